/* kv/names.h - keys as the server has them: prefix + what is the library's own + key.
 *
 *      nkvi_name name;
 *      if (!nkvi_name_make(kv, "", key, &name)) … no memory
 *      … name.str …
 *      nkvi_name_clear(&name);
 *
 * Threads  [any]. */
#ifndef NKVI_KV_NAMES_H
#define NKVI_KV_NAMES_H

#include "kv/kv.h"

#define NKVI_NAME_FEW 256u

typedef struct nkvi_name {
    nkv_str str; /* points to few, to many, or to the caller's key */
    char *many;  /* allocated, or NULL */
    char few[NKVI_NAME_FEW];
} nkvi_name;

/* infix: "", NKVI_KV_FRESH.  The key must live as long as the name.  false: no memory. */
bool nkvi_name_make(const nkv_kv *kv, const char *infix, nkv_str key, nkvi_name *out);
void nkvi_name_clear(nkvi_name *name);

/* The name of a caller's key, checked.  Returns NKV_OK · NKV_EINVAL · NKV_ENOMEM, and then there is
 * nothing to clear. */
nkv_status nkvi_name_open(const nkv_kv *kv, nkv_str key, nkvi_name *out, nkv_error *error);

/* Names of n keys in one block, which nkvi_free() gives back.  NULL: no memory. */
nkv_str *nkvi_names_make(const nkv_kv *kv, const char *infix, const nkv_str *keys, size_t n);

/* Whether a caller may use the keys.  Returns NKV_OK · NKV_EINVAL. */
nkv_status nkvi_names_check(const nkv_str *keys, size_t n, nkv_error *error);

/* A pattern of SCAN's that matches what begins with these bytes, and is appended to. */
void nkvi_name_pattern(nkvi_buf *out, nkv_str beginning);

static inline bool nkvi_begins(nkv_str text, nkv_str beginning)
{
    return text.len >= beginning.len &&
           (beginning.len == 0 || memcmp(text.data, beginning.data, beginning.len) == 0);
}

#endif
