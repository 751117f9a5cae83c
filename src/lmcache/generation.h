/* lmcache/generation.h - what the generations of cache keys have, and how each spells a hash.
 *
 * Threads  [any]. */
#ifndef NKVI_LMCACHE_GENERATION_H
#define NKVI_LMCACHE_GENERATION_H

#include <stdbool.h>

#include <nearkv/lmcache_key.h>

typedef struct nkvi_lmcache_generation {
    bool fmt, dtype, tags;
    const char *form; /* for errors: how its keys look */
} nkvi_lmcache_generation;

/* The row of K1 to K5; NULL for anything else. */
const nkvi_lmcache_generation *nkvi_lmcache_generation_of(nkv_lmcache_gen gen);

/* NKV_OK if `text` is a hash as keys of `gen` (any of them) have it, however long; else NKV_EINVAL,
 * which says what they have. */
nkv_status nkvi_lmcache_check_hash(nkv_str text, nkv_lmcache_gen gen, nkv_error *error);

#endif
