/* core/owners.h - who vouches for answers: a table of generations that readers look up without a
 * lock.
 *
 * An entry carries a stamp: the owner's number, the hash slot, and what the owner's generation and
 * the moves of the slot were when it was filled, added up.  Both only grow, so the sum is the same
 * only while both are.  The owner vouches while its generation is odd; ending it, or moving a slot,
 * is one addition.
 *
 *      stamp   | owner, 18 bits | hash slot, 14 bits | generation + moves, 32 bits |
 *
 * Threads  open and close take a lock of their own; the rest is [any], lock-free. */
#ifndef NKVI_CORE_OWNERS_H
#define NKVI_CORE_OWNERS_H

#include <pthread.h>

#include "core/cache.h"
#include "core/parray.h"

#define NKVI_STAMP_SUM_MASK UINT64_C(0xffffffff)
#define NKVI_STAMP_SLOT_AT  32u
#define NKVI_STAMP_OWNER_AT 46u
#define NKVI_OWNERS_MAX     (1u << (64 - NKVI_STAMP_OWNER_AT))

typedef struct nkvi_owner_slot {
    nkvi_owner owner;
    struct nkvi_owner_slot *next_free;
    _Atomic uint64_t spaces_used; /* wrapped caches: 0 none, 1 + the space, UINT64_MAX several */
} nkvi_owner_slot;

typedef struct nkvi_owners {
    pthread_mutex_t mu;
    nkvi_parray slots;
    nkvi_owner_slot *free;
    nkvi_moves *moves, *free_moves; /* in use, and not */
    _Atomic uint32_t open;          /* owners that were not given back */
} nkvi_owners;

bool nkvi_owners_init(nkvi_owners *owners);
void nkvi_owners_clear(nkvi_owners *owners);

nkvi_owner *nkvi_owners_open(nkvi_owners *owners, const nkvi_moves *moves);
void nkvi_owners_close(nkvi_owners *owners, nkvi_owner *owner);

nkvi_moves *nkvi_moves_open(nkvi_owners *owners);
void nkvi_moves_close(nkvi_owners *owners, nkvi_moves *moves);
void nkvi_moves_add(nkvi_moves *moves, uint16_t hash_slot);

/* Ends vouching, if it has begun; returns whether it had. */
bool nkvi_owner_end(nkvi_owner *owner);
uint64_t nkvi_owner_begin(nkvi_owner *owner, int64_t fresh_until_ns);

static inline uint64_t nkvi_stamp_pack(const nkvi_stamp *stamp)
{
    return (uint64_t)stamp->owner->id << NKVI_STAMP_OWNER_AT |
           (uint64_t)stamp->hash_slot << NKVI_STAMP_SLOT_AT |
           ((stamp->generation + stamp->moves) & NKVI_STAMP_SUM_MASK);
}

static inline uint32_t nkvi_stamp_owner(uint64_t stamp)
{
    return (uint32_t)(stamp >> NKVI_STAMP_OWNER_AT);
}

/* Whether the generation of the stamp still stands, and its slot has not moved. */
static inline bool nkvi_stamp_current(const nkvi_owner *owner, uint64_t stamp)
{
    uint64_t sum = atomic_load_explicit(&owner->generation, memory_order_acquire);
    const nkvi_moves *moves = atomic_load_explicit(&owner->moves, memory_order_acquire);
    if (moves != NULL) {
        size_t hash_slot = (size_t)(stamp >> NKVI_STAMP_SLOT_AT) & (NKVI_HASH_SLOTS - 1);
        sum += atomic_load_explicit(&moves->of[hash_slot], memory_order_acquire);
    }
    return ((sum ^ stamp) & NKVI_STAMP_SUM_MASK) == 0;
}

static inline bool nkvi_stamp_stands(const nkvi_owners *owners, uint64_t stamp)
{
    return nkvi_stamp_current(nkvi_parray_at(&owners->slots, nkvi_stamp_owner(stamp)), stamp);
}

/* Whether its owner vouches for it at `now`. */
static inline bool nkvi_stamp_vouched(const nkvi_owners *owners, uint64_t stamp, int64_t now_ns)
{
    const nkvi_owner *owner = nkvi_parray_at(&owners->slots, nkvi_stamp_owner(stamp));
    return nkvi_stamp_current(owner, stamp) &&
           now_ns < atomic_load_explicit(&owner->fresh_until_ns, memory_order_relaxed);
}

#endif
