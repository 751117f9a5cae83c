/* core/store.c - slabs, and the end of an answer's life.
 *
 * Invariants   S1  a slot is in exactly one place: free chain, returned chain, chain of the one who
 *                  emptied it, or in use
 *              S2  only the holder of the cache's lock takes slots out of a chain, and of the
 *                  returned chain only all at once, so its compare-and-swap cannot be fooled (ABA)
 *              S3  what is allocated for slots is in the meter before it is allocated */
#include "core/store.h"

#include <assert.h>

#define SLAB_FIRST 16u                           /* slots of the first slab, if the budget allows */
#define SLAB_LEAST 2u                            /* a header and a slot */
#define SLABS_MAX  (1u << (31 - NKVI_SLAB_BITS)) /* an index has 31 bits */

_Static_assert(sizeof(nkvi_slab) <= sizeof(nkvi_slot), "the header takes the place of a slot");

nkvi_store *nkvi_store_create(uint64_t bytes_max, uint64_t keys)
{
    nkvi_store *store = nkvi_calloc(1, sizeof *store);
    if (store == NULL) {
        return NULL;
    }
    nkvi_meter_init(&store->meter, bytes_max);
    atomic_init(&store->holds, 1);
    nkvi_parray_init(&store->slabs);
    /* Besides its keys a cache needs a few slots for answers that are dropped but held. */
    uint64_t wanted = keys + keys / 16 + 4;
    store->wanted = keys == 0 || wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    if (!nkvi_pool_init(&store->pool, bytes_max)) {
        nkvi_free(store);
        return NULL;
    }
    return store;
}

static void destroy(nkvi_store *store)
{
    uint32_t slabs = nkvi_parray_count(&store->slabs);
    for (uint32_t i = 0; i < slabs; i++) {
        nkvi_slab *slab = nkvi_parray_at(&store->slabs, i);
        nkvi_free(slab->cold);
        nkvi_free(slab);
    }
    nkvi_parray_clear(&store->slabs);
    nkvi_pool_clear(&store->pool);
    nkvi_free(store);
}

void nkvi_store_hold(nkvi_store *store)
{
    atomic_fetch_add_explicit(&store->holds, 1, memory_order_relaxed);
}

void nkvi_store_unhold(nkvi_store *store)
{
    if (atomic_fetch_sub_explicit(&store->holds, 1, memory_order_acq_rel) == 1) {
        destroy(store);
    }
}

/* ---- Slabs ----------------------------------------------------------------------------------- */

static uint64_t slab_cost(uint32_t slots)
{
    return nkvi_mem_cost(slots * sizeof(nkvi_slot)) + nkvi_mem_cost(slots * sizeof(nkvi_cold));
}

/* What may still be spent on slots.  They are never given back, so three quarters of the budget at
 * most: else a cache that small answers had filled would have no room for a large one ever after.
 * */
static uint64_t allowance(const nkvi_store *store)
{
    const nkvi_meter *meter = &store->meter;
    uint64_t left = nkvi_meter_left(meter);
    uint64_t most = meter->max / 4 * 3;
    if (store->total == 0 || meter->max == NKVI_UNBOUNDED) {
        return left;
    }
    uint64_t rest = most > store->slot_bytes ? most - store->slot_bytes : 0;
    return rest < left ? rest : left;
}

/* Slots of the next slab: as many as there are, no more than are wanted, and no more than an eighth
 * of what the budget has left, so that answers find room as well; 0 if not even the least fits. */
static uint32_t slab_size(const nkvi_store *store)
{
    uint64_t left = allowance(store);
    uint32_t slots = store->total > SLAB_FIRST ? store->total : SLAB_FIRST;
    if (store->wanted != UINT32_MAX && slab_cost(NKVI_SLAB_SLOTS) < left / 8) {
        slots = store->wanted; /* the whole of it at once lies closer together */
    }
    if (store->wanted > store->total && slots > store->wanted - store->total) {
        slots = store->wanted - store->total + 1;
    }
    slots = slots > NKVI_SLAB_SLOTS ? NKVI_SLAB_SLOTS : slots;
    while (slots > SLAB_LEAST && slab_cost(slots) > left / 8) {
        slots = slots / 2 > SLAB_LEAST ? slots / 2 : SLAB_LEAST;
    }
    return slab_cost(slots) <= left ? slots : 0;
}

static void slab_init(nkvi_store *store, nkvi_slot *hot, nkvi_cold *cold, uint32_t slots)
{
    uint32_t first = nkvi_parray_count(&store->slabs) << NKVI_SLAB_BITS;
    memset(hot, 0, slots * sizeof *hot);
    memset(cold, 0, slots * sizeof *cold);
    nkvi_slab *slab = (nkvi_slab *)(void *)hot;
    slab->store = store;
    slab->cold = cold;
    slab->slots = slots;
    for (uint32_t i = slots - 1; i > 0; i--) {
        hot[i].self = first + i;
        cold[i].next = store->free;
        store->free = first + i;
    }
    store->total += slots - 1;
}

static bool grow(nkvi_store *store)
{
    uint32_t slots = slab_size(store);
    uint64_t cost = slab_cost(slots) + nkvi_parray_growth(&store->slabs);
    if (slots == 0 || nkvi_parray_count(&store->slabs) == SLABS_MAX ||
        !nkvi_meter_add(&store->meter, cost)) {
        return false;
    }
    nkvi_slot *hot = nkvi_alloc_huge(slots * sizeof *hot);
    nkvi_cold *cold = hot != NULL ? nkvi_alloc_huge(slots * sizeof *cold) : NULL;
    if (cold != NULL) {
        slab_init(store, hot, cold, slots); /* whole before it can be found */
        if (nkvi_parray_push(&store->slabs, hot)) {
            store->slot_bytes += cost;
            return true;
        }
        store->free = 0; /* there was nothing else in the chain */
        store->total -= slots - 1;
    }
    nkvi_free(cold);
    nkvi_free(hot);
    nkvi_meter_sub(&store->meter, cost);
    return false;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

uint32_t nkvi_store_alloc(nkvi_store *store)
{
    if (store->free == 0) {
        store->free = atomic_exchange_explicit(&store->returned, 0, memory_order_acquire);
    }
    if (store->free == 0 && !grow(store)) {
        return 0;
    }
    uint32_t index = store->free;
    nkvi_slot *slot = nkvi_slot_at(store, index);
    nkvi_cold *cold = nkvi_cold_of(slot);
    store->free = cold->next;
    memset(cold, 0, sizeof *cold);
    slot->value.key_len = 0; /* no name yet */
    return index;
}

void nkvi_store_unalloc(nkvi_store *store, uint32_t index)
{
    nkvi_cold_at(store, index)->next = store->free;
    store->free = index;
}

void nkvi_store_publish(nkvi_store *store, uint32_t index, uint32_t refs)
{
    nkvi_slot *slot = nkvi_slot_at(store, index);
    uint64_t before = atomic_fetch_add_explicit(&slot->value.meta, NKVI_STATE_VISIBLE + 1 + refs,
                                                memory_order_release);
    assert(nkvi_state(before) == NKVI_STATE_EMPTY);
    (void)before;
}

bool nkvi_store_drop(nkvi_store *store, uint32_t index)
{
    nkvi_slot *slot = nkvi_slot_at(store, index);
    uint64_t charge = nkvi_cold_of(slot)->charge;
    uint64_t meta = atomic_load_explicit(&slot->value.meta, memory_order_relaxed);
    bool held = false;
    for (;;) {
        assert(nkvi_state(meta) == NKVI_STATE_VISIBLE && (meta & NKVI_REFS_MASK) > 0);
        bool last = (meta & NKVI_REFS_MASK) == 1;
        if (!last && !held) {
            /* Before the reader can see that it is the last: it will take these off again. */
            held = true;
            nkvi_store_hold(store);
            atomic_fetch_add_explicit(&store->pinned_bytes, charge, memory_order_relaxed);
        }
        uint64_t then =
            last ? NKVI_STATE_EMPTY : meta - NKVI_STATE_VISIBLE + NKVI_STATE_DROPPED - 1;
        if (atomic_compare_exchange_weak_explicit(&slot->value.meta, &meta, then,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            if (last && held) {
                atomic_fetch_sub_explicit(&store->pinned_bytes, charge, memory_order_relaxed);
                nkvi_store_unhold(store);
            }
            return last;
        }
    }
}

void nkvi_store_finish(nkvi_store *store, uint32_t index)
{
    nkvi_slot *slot = nkvi_slot_at(store, index);
    nkvi_cold *cold = nkvi_cold_of(slot);
    uint64_t charge = cold->charge;
    if (slot->value.key_len == NKVI_NAME_LONG) {
        nkvi_free(slot->name.name);
    }
    if ((cold->flags & NKVI_COLD_FOREIGN) != 0) {
        nkvi_foreign *foreign = cold->block;
        if (foreign->free_fn == nkvi_pool_give) {
            charge -= nkvi_pool_cost(store, foreign->block); /* the pool's again */
        }
        foreign->free_fn(foreign->block, foreign->free_ud);
        nkvi_free(foreign);
    } else {
        nkvi_free(cold->block);
    }
    nkvi_meter_sub(&store->meter, charge);
    uint32_t top = atomic_load_explicit(&store->returned, memory_order_relaxed);
    do {
        cold->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&store->returned, &top, index,
                                                    memory_order_release, memory_order_relaxed));
}

void nkvi_store_finish_all(nkvi_store *store, uint32_t chain)
{
    while (chain != 0) {
        uint32_t next = nkvi_cold_at(store, chain)->next;
        nkvi_store_finish(store, chain);
        chain = next;
    }
}

/* ---- Readers --------------------------------------------------------------------------------- */

void nkvi_slot_release(nkvi_slot *slot)
{
    uint64_t meta = atomic_load_explicit(&slot->value.meta, memory_order_relaxed);
    uint64_t then;
    do {
        assert((meta & NKVI_REFS_MASK) > 0);
        then = meta == (NKVI_STATE_DROPPED | 1) ? NKVI_STATE_EMPTY : meta - 1;
    } while (!atomic_compare_exchange_weak_explicit(&slot->value.meta, &meta, then,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (meta == (NKVI_STATE_DROPPED | 1)) {
        nkvi_store *store = nkvi_slab_of(slot)->store;
        uint64_t charge = nkvi_cold_of(slot)->charge;
        nkvi_store_finish(store, slot->self);
        atomic_fetch_sub_explicit(&store->pinned_bytes, charge, memory_order_relaxed);
        nkvi_store_unhold(store);
    }
}

bool nkvi_slot_is_long(const nkvi_slot *slot, const nkvi_query *query)
{
    const nkvi_long_name *own = slot->name.name;
    return own->key_len == query->key.len && own->command_len == query->command.len &&
           nkvi_same(own->bytes, query->key) &&
           nkvi_same(own->bytes + own->key_len, query->command);
}

size_t nkvi_slot_size(const nkvi_slot *slot)
{
    return sizeof *slot + sizeof(nkvi_cold) + nkvi_cold_of(slot)->charge;
}
