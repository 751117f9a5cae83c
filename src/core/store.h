/* core/store.h - the memory of one cache: slots in slabs, the byte budget, and what readers still
 * hold.
 *
 *      index 0x00018007 = slab 3, slot 7:      slabs[3] --> [ header | slot 1 | … | slot 7 | … ]
 *                                                              |
 *                                                              +--> cold[…]
 *
 * Slabs are made as they are needed, each as large as all before it up to 32768 slots (whole large
 * pages), and smaller where the limits ask for it; they are given back when the store goes.  Slot 0
 * of each slab holds its header, so no slot has the index 0.
 *
 * The store outlives its cache while readers hold dropped answers: each of those has a hold on it,
 * as the cache itself has.
 * Threads  Functions that say so need the lock of the cache; the others are [any]. */
#ifndef NKVI_CORE_STORE_H
#define NKVI_CORE_STORE_H

#include "core/meter.h"
#include "core/parray.h"
#include "core/pool.h"
#include "core/slot.h"

#define NKVI_SLAB_BITS  15u
#define NKVI_SLAB_SLOTS (1u << NKVI_SLAB_BITS)

typedef struct nkvi_store {
    nkvi_meter meter;
    _Atomic uint64_t pinned_bytes; /* of dropped slots that are still held */
    _Atomic uint64_t holds; /* 1 of the cache, 1 of each such slot and of each buffer given out */
    _Atomic uint32_t returned; /* chain of emptied slots */
    nkvi_parray slabs;
    uint32_t free;       /* chain of free slots, for the holder of the lock */
    uint32_t total;      /* slots in all slabs */
    uint64_t slot_bytes; /* what all slabs cost */
    uint32_t wanted;     /* so many slots will do, as far as is known */
    nkvi_pool pool;
} nkvi_store;

typedef struct nkvi_slab {
    nkvi_store *store;
    nkvi_cold *cold;
    uint32_t slots; /* the header's place included */
} nkvi_slab;

/* keys: how many are expected at most; 0: not known.  NULL: memory ran out. */
nkvi_store *nkvi_store_create(uint64_t bytes_max, uint64_t keys);

void nkvi_store_hold(nkvi_store *store);
void nkvi_store_unhold(nkvi_store *store); /* the last one frees it */

static inline nkvi_slot *nkvi_slot_at(const nkvi_store *store, uint32_t index)
{
    nkvi_slot *slab = nkvi_parray_at(&store->slabs, index >> NKVI_SLAB_BITS);
    return slab + (index & (NKVI_SLAB_SLOTS - 1));
}

static inline nkvi_slab *nkvi_slab_of(const nkvi_slot *slot)
{
    return (nkvi_slab *)(void *)(slot - (slot->self & (NKVI_SLAB_SLOTS - 1)));
}

static inline nkvi_cold *nkvi_cold_of(const nkvi_slot *slot)
{
    return &nkvi_slab_of(slot)->cold[slot->self & (NKVI_SLAB_SLOTS - 1)];
}

static inline nkvi_cold *nkvi_cold_at(const nkvi_store *store, uint32_t index)
{
    const nkvi_slab *slab = nkvi_parray_at(&store->slabs, index >> NKVI_SLAB_BITS);
    return &slab->cold[index & (NKVI_SLAB_SLOTS - 1)];
}

/* An empty slot, or 0: memory or the budget does not allow another slab.
 * @locks the cache's */
uint32_t nkvi_store_alloc(nkvi_store *store);

/* Gives back a slot that was not published, or that has no answer (a group).
 * @locks the cache's */
void nkvi_store_unalloc(nkvi_store *store, uint32_t index);

/* Makes a filled slot visible with `refs` references of callers, besides the cache's own.
 * @locks the cache's */
void nkvi_store_publish(nkvi_store *store, uint32_t index, uint32_t refs);

/* Takes a visible slot away from readers; nothing may lead to it any more.  True: nobody holds it,
 * and the caller must nkvi_store_finish() it, best after the lock.  False: its last reader will.
 * @locks the cache's */
bool nkvi_store_drop(nkvi_store *store, uint32_t index);

/* Frees answer and name of an emptied slot and gives the slot back. */
void nkvi_store_finish(nkvi_store *store, uint32_t index);

/* Finishes a chain (by cold.next) of emptied slots; 0 is the empty one. */
void nkvi_store_finish_all(nkvi_store *store, uint32_t chain);

#endif
