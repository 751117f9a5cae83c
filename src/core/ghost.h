/* core/ghost.h - hashes of keys that were evicted lately: what S3-FIFO remembers of the past.
 *
 *      bucket of 8 (one cache line):  [ fingerprint, when | fingerprint, when | … ]
 *
 * `when` counts insertions, so age is a subtraction and nothing has to be queued: an entry older
 * than the capacity is gone.  A full bucket forgets its oldest.
 * Threads  @locks the cache's */
#ifndef NKVI_CORE_GHOST_H
#define NKVI_CORE_GHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/meter.h"

typedef struct nkvi_ghost_bucket nkvi_ghost_bucket;

typedef struct nkvi_ghost {
    nkvi_meter *meter;
    nkvi_ghost_bucket *buckets; /* NULL: nothing remembered */
    uint32_t bits;              /* log2 of their number */
    uint32_t now;               /* insertions */
} nkvi_ghost;

void nkvi_ghost_init(nkvi_ghost *ghost, nkvi_meter *meter);
void nkvi_ghost_clear(nkvi_ghost *ghost);

/* Remembers a hash; `capacity` is how many shall be remembered.  Forgets it if memory or budget is
 * short. */
void nkvi_ghost_add(nkvi_ghost *ghost, uint64_t hash, uint32_t capacity);

/* Whether the hash is among the last `capacity`; it is forgotten then. */
bool nkvi_ghost_take(nkvi_ghost *ghost, uint64_t hash, uint32_t capacity);

#endif
