/* kv/write.h - setting values, for whoever sets them: a caller, a tag, what was computed.
 *
 * Threads  [any] but the loop's own. */
#ifndef NKVI_KV_WRITE_H
#define NKVI_KV_WRITE_H

#include "kv/names.h"

/* Options that were looked through: ttl_ms is > 0 or NKV_KV_TTL_NONE, with jitter. */
typedef struct nkvi_how {
    nkv_kv_set_options options;
    int64_t ttl_ms;
    int64_t fresh_ms; /* with stale_ms: of ttl_ms; or NKV_KV_TTL_NONE */
    int64_t until_ns; /* the deadline of all steps */
} nkvi_how;

/* given: NULL: all defaults; its tags must live as long as *how.  NKV_OK · NKV_EINVAL. */
nkv_status nkvi_kv_how(nkv_kv *kv, const nkv_kv_set_options *given, nkvi_how *how,
                       nkv_error *error);

/* The words of a SET; they point into the struct and to what was given. */
typedef struct nkvi_set_words {
    nkv_str argv[6];
    char number[24];
} nkvi_set_words;

size_t nkvi_kv_set_argv(const nkvi_how *how, nkv_str name, nkv_str value, nkvi_set_words *out);
nkv_status nkvi_kv_set_status(const nkvi_how *how, nkv_status status);

/* Sets a value, packed and tagged; as nkv_kv_set(), without letting failures pass.  call: never
 * NULL. */
nkv_status nkvi_kv_set_value(nkv_kv *kv, nkv_str key, nkv_str value, const nkvi_how *how,
                             nkv_call *call);

/* Whether it is a SET that may as well be a batch's. */
static inline bool nkvi_kv_is_plain(const nkvi_how *how)
{
    return !how->options.keep_ttl && how->options.when == NKV_KV_ALWAYS;
}

/* A SET of a large value, without a copy of it. */
nkv_status nkvi_kv_set_large(nkv_kv *kv, nkv_str name, nkv_str value, const nkvi_how *how,
                             nkv_call *call);

/* From which size on a plain value is a large one. */
#define NKVI_KV_LARGE ((size_t)64 << 10)

/* UNLINK of n > 0 names; *removed is right also after a failure.  call: never NULL. */
nkv_status nkvi_kv_unlink(nkv_kv *kv, const nkv_str *names, size_t n, nkv_call *call,
                          int64_t *removed);

#endif
