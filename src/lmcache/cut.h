/* lmcache/cut.h - a key is cut at its '@'.
 *
 * "a@@b" has the three parts "a", "" and "b"; "" has one, which is empty.
 * Threads  [any]. */
#ifndef NKVI_LMCACHE_CUT_H
#define NKVI_LMCACHE_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include <nearkv/status.h>

typedef struct nkvi_lmcache_cut {
    nkv_str rest;
    bool more; /* false: all parts were taken */
} nkvi_lmcache_cut;

static inline nkvi_lmcache_cut nkvi_lmcache_cut_from(nkv_str text)
{
    nkvi_lmcache_cut cut = {text, true};
    return cut;
}

/* The next part, which points into the text; false if there is none. */
bool nkvi_lmcache_cut_next(nkvi_lmcache_cut *cut, nkv_str *part);

/* What stands before the first `c`, which is there; *text becomes what stands behind it. */
nkv_str nkvi_lmcache_cut_at(nkv_str *text, char c);

/* A part as a number: decimal, at most 2^32 - 1, as it is printed.
 * NKV_OK · NKV_EINVAL (which names `name`). */
nkv_status nkvi_lmcache_cut_number(nkv_str part, const char *name, uint32_t *out, nkv_error *error);

#endif
