/* core/owners.h - who vouches for answers: a table of generations that readers look up without a
 * lock.
 *
 * An entry carries a stamp: the owner's number and the generation at which it was filled.  The
 * owner vouches while its generation is that one, which is odd; ending it is one addition.
 *
 *      stamp   | owner, 20 bits | generation, 44 bits |
 *
 * Threads  open and close take a lock of their own; the rest is [any], lock-free. */
#ifndef NKVI_CORE_OWNERS_H
#define NKVI_CORE_OWNERS_H

#include <pthread.h>

#include "core/cache.h"
#include "core/parray.h"

#define NKVI_GENERATION_BITS 44u
#define NKVI_GENERATION_MASK ((UINT64_C(1) << NKVI_GENERATION_BITS) - 1)
#define NKVI_OWNERS_MAX      (1u << (64 - NKVI_GENERATION_BITS))

typedef struct nkvi_owner_slot {
    nkvi_owner owner;
    struct nkvi_owner_slot *next_free;
    _Atomic uint64_t spaces_used; /* wrapped caches: 0 none, 1 + the space, UINT64_MAX several */
} nkvi_owner_slot;

typedef struct nkvi_owners {
    pthread_mutex_t mu;
    nkvi_parray slots;
    nkvi_owner_slot *free;
    _Atomic uint32_t open; /* owners that were not given back */
} nkvi_owners;

bool nkvi_owners_init(nkvi_owners *owners);
void nkvi_owners_clear(nkvi_owners *owners);

nkvi_owner *nkvi_owners_open(nkvi_owners *owners);
void nkvi_owners_close(nkvi_owners *owners, nkvi_owner *owner);

/* Ends vouching, if it has begun; returns whether it had. */
bool nkvi_owner_end(nkvi_owner *owner);
uint64_t nkvi_owner_begin(nkvi_owner *owner, int64_t fresh_until_ns);

static inline uint64_t nkvi_owner_stamp(const nkvi_owner *owner, uint64_t generation)
{
    return (uint64_t)owner->id << NKVI_GENERATION_BITS | (generation & NKVI_GENERATION_MASK);
}

static inline uint32_t nkvi_stamp_owner(uint64_t stamp)
{
    return (uint32_t)(stamp >> NKVI_GENERATION_BITS);
}

/* Whether the generation of the stamp still stands. */
static inline bool nkvi_stamp_stands(const nkvi_owners *owners, uint64_t stamp)
{
    const nkvi_owner *owner = nkvi_parray_at(&owners->slots, nkvi_stamp_owner(stamp));
    uint64_t now = atomic_load_explicit(&owner->generation, memory_order_acquire);
    return ((now ^ stamp) & NKVI_GENERATION_MASK) == 0;
}

/* Whether its owner vouches for it at `now`. */
static inline bool nkvi_stamp_vouched(const nkvi_owners *owners, uint64_t stamp, int64_t now_ns)
{
    const nkvi_owner *owner = nkvi_parray_at(&owners->slots, nkvi_stamp_owner(stamp));
    uint64_t now = atomic_load_explicit(&owner->generation, memory_order_acquire);
    return ((now ^ stamp) & NKVI_GENERATION_MASK) == 0 &&
           now_ns < atomic_load_explicit(&owner->fresh_until_ns, memory_order_relaxed);
}

#endif
