/* core/keystats.h - counters of single keys in a table of fixed size.
 *
 *      bucket of 8:  [ id × 8 ]  one cache line, all that a key without counters costs
 *                    [ hits misses invalidations dirty ] × 8
 *
 * A key is known by a seeded 64-bit hash of its bytes.  A key that is seen for the first time takes
 * a free place of its bucket; where there is none, a miss, an invalidation or a dirty answer
 * displaces the key that was counted least.  A hit never does: it neither locks nor allocates.  The
 * counters of a key are exact as long as it is not displaced.
 * Threads  [any]; displacing takes a lock of its own. */
#ifndef NKVI_CORE_KEYSTATS_H
#define NKVI_CORE_KEYSTATS_H

#include <pthread.h>
#include <stdbool.h>

#include <nearkv/cache.h>

#include "core/counters.h"

typedef struct nkvi_key_bucket nkvi_key_bucket;

typedef struct nkvi_keystats {
    pthread_mutex_t mu;
    nkvi_key_bucket *buckets; /* NULL: no counters */
    uint64_t mask;            /* buckets - 1 */
    unsigned ways;            /* used places of each bucket */
} nkvi_keystats;

/* keys: places, rounded down to what buckets hold; 0: none.  false: memory ran out. */
bool nkvi_keystats_init(nkvi_keystats *stats, size_t keys);
void nkvi_keystats_clear(nkvi_keystats *stats);

/* Adds one to a counter (hits, misses, invalidations or dirty) of the key. */
void nkvi_keystats_count(nkvi_keystats *stats, uint64_t id, nkvi_counted which);

/* Fetches the memory that counting the key will look at. */
void nkvi_keystats_fetch(const nkvi_keystats *stats, uint64_t id);

/* false: the key has no counters. */
bool nkvi_keystats_read(const nkvi_keystats *stats, uint64_t id, nkv_key_stats *out);

/* Forgets all keys. */
void nkvi_keystats_forget(nkvi_keystats *stats);

#endif
