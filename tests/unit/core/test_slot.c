/* unit/core/test_slot.c - the life of a slot, step by step, as slot.h draws it: what the races of
 * the stress program do by chance is done here on purpose. */

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "core/cache_impl.h"
#include "support/core_kit.h"

static nkvi_store *store;
static long blocks;

static void watch(void *block, size_t size, void *ud)
{
    (void)block;
    (void)ud;
    blocks += size > 0 ? 1 : -1;
}

static void begin(void)
{
    blocks = 0;
    nkvi_mem_set_watch(watch, NULL);
    store = nkvi_store_create(1 << 20, 0);
    cr_assert_not_null(store);
}

static void end(void)
{
    nkvi_store_unhold(store);
    cr_assert_eq(blocks, 0);
    nkvi_mem_set_watch(NULL, NULL);
}

TestSuite(core_slot, .init = begin, .fini = end);

/* A visible slot with a block of its own, and `refs` references of callers. */
static nkvi_slot *made(uint32_t refs)
{
    uint32_t index = nkvi_store_alloc(store);
    cr_assert_neq(index, 0);
    nkvi_slot *slot = nkvi_slot_at(store, index);
    nkvi_cold *cold = nkvi_cold_of(slot);
    nkv_reply root = {.type = NKV_TYPE_STRING, .str = nkvi_strndup("text", 4), .len = 4};
    nkvi_value_set(&slot->value, &root);
    slot->value.kind |= NKVI_KIND_SLOT;
    cold->block = (void *)(uintptr_t)root.str;
    cold->charge = nkvi_mem_cost(5);
    cr_assert(nkvi_meter_add(&store->meter, cold->charge));
    nkvi_store_publish(store, index, refs);
    return slot;
}

static uint64_t refs_of(const nkvi_slot *slot)
{
    return atomic_load(&slot->value.meta) & NKVI_REFS_MASK;
}

static uint64_t state_of(const nkvi_slot *slot)
{
    return nkvi_state(atomic_load(&slot->value.meta));
}

Test(core_slot, nobody_holds_it_the_one_who_drops_frees)
{
    uint64_t before = nkvi_meter_used(&store->meter);
    nkvi_slot *slot = made(0);
    cr_assert_eq(refs_of(slot), 1, "the cache's own");
    cr_assert(nkvi_store_drop(store, slot->self));
    cr_assert_eq(atomic_load(&slot->value.meta), NKVI_STATE_EMPTY);
    nkvi_store_finish(store, slot->self);
    cr_assert_lt(before, nkvi_meter_used(&store->meter), "the slab stays");
    nkvi_slot *again = made(0);
    cr_assert_neq(again, slot, "the free chain comes first");
    cr_assert(nkvi_store_drop(store, again->self));
    nkvi_store_finish(store, again->self);
}

Test(core_slot, a_dropped_one_lives_until_its_last_reader)
{
    nkvi_slot *slot = made(1);
    cr_assert(nkvi_slot_take(slot));
    cr_assert(!nkvi_store_drop(store, slot->self));
    cr_assert_eq(state_of(slot), NKVI_STATE_DROPPED);
    cr_assert_eq(atomic_load(&store->pinned_bytes), nkvi_mem_cost(5));
    cr_assert_str_eq(nkv_value_str(&slot->value).data, "text");
    nkvi_slot_release(slot);
    cr_assert_eq(state_of(slot), NKVI_STATE_DROPPED);
    nkv_value_release(&slot->value);
    cr_assert_eq(atomic_load(&slot->value.meta), NKVI_STATE_EMPTY);
    cr_assert_eq(atomic_load(&store->pinned_bytes), 0);
    cr_assert_eq(atomic_load(&store->returned), slot->self);
}

/* A reader with a stale index comes late: dropped, empty, or something else by now. */
Test(core_slot, a_late_guess_is_told_so)
{
    nkvi_slot *slot = made(1);
    cr_assert(!nkvi_store_drop(store, slot->self));
    cr_assert(!nkvi_slot_take(slot), "dropped, although somebody still holds it");
    nkvi_slot_release(slot);
    cr_assert_eq(refs_of(slot), 1);
    nkv_value_release(&slot->value);
    cr_assert(!nkvi_slot_take(slot), "empty");
    nkvi_slot_release(slot);
    cr_assert_eq(atomic_load(&slot->value.meta), NKVI_STATE_EMPTY);
}

/* The guess came while the slot was dropped, and is the last to leave: it frees. */
Test(core_slot, a_guess_that_leaves_last_frees)
{
    nkvi_slot *slot = made(1);
    cr_assert(!nkvi_store_drop(store, slot->self));
    cr_assert(!nkvi_slot_take(slot));
    nkv_value_release(&slot->value);
    cr_assert_eq(state_of(slot), NKVI_STATE_DROPPED);
    nkvi_slot_release(slot);
    cr_assert_eq(atomic_load(&slot->value.meta), NKVI_STATE_EMPTY);
    cr_assert_eq(atomic_load(&store->pinned_bytes), 0);
}

/* The guess came while the slot was empty, and leaves when it is somebody else's. */
Test(core_slot, a_guess_may_straddle_a_refill)
{
    nkvi_slot *slot = made(0);
    cr_assert(nkvi_store_drop(store, slot->self));
    cr_assert(!nkvi_slot_take(slot));
    nkvi_store_finish(store, slot->self);
    store->free = 0; /* so that the next slot is this one */
    cr_assert_eq(made(1), slot);
    cr_assert_eq(refs_of(slot), 3);
    cr_assert(!nkvi_store_drop(store, slot->self));
    nkv_value_release(&slot->value);
    cr_assert_eq(state_of(slot), NKVI_STATE_DROPPED, "the guess is still there");
    nkvi_slot_release(slot);
    cr_assert_eq(atomic_load(&slot->value.meta), NKVI_STATE_EMPTY);
}

/* The reader of a value is the last of all: the store goes with it. */
Test(core_slot, the_last_value_takes_the_store_along)
{
    nkvi_slot *slot = made(1);
    nkvi_store_hold(store); /* for end() */
    cr_assert(!nkvi_store_drop(store, slot->self));
    nkvi_store_unhold(store);
    cr_assert_eq(atomic_load(&store->holds), 2);
    nkv_value_release(&slot->value);
    cr_assert_eq(atomic_load(&store->holds), 1);
}

/* ---- Lookups that something overtakes ---------------------------------------------------------
 * */

/* The reader has found its slot in the index; before it takes the reference the key is put anew. */
Test(core_slot, a_lookup_that_is_overtaken_looks_again)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 2000, -1);
    t_kit_open(&kit, &options);
    cr_assert(t_kit_put(&kit, "k", "", "old"));
    nkvi_query query = t_kit_query(&kit, nkv_cstr("k"), nkv_cstr(""));
    nkv_value *old = t_kit_get(&kit, query.key, query.command);
    nkvi_slot *found_before = (nkvi_slot *)(void *)old;
    cr_assert(t_kit_put(&kit, "k", "", "new"));
    nkvi_found found;
    uint64_t realm = nkvi_realm_of(kit.cache->view.spaces, query.space);
    nkvi_taken taken = nkvi_slot_try(&kit.cache->view, found_before, &query, realm, 1, &found);
    cr_assert_eq(taken, NKVI_TAKEN_GONE);
    cr_assert_str_eq(nkv_value_str(old).data, "old", "who holds it keeps it");
    nkv_value_release(old);
    taken = nkvi_slot_try(&kit.cache->view, found_before, &query, realm, 1, &found);
    cr_assert_eq(taken, NKVI_TAKEN_GONE);
    cr_assert(t_kit_has(&kit, "k", "", "new"));
    /* The slot may come back as another key; then it is just another key. */
    for (int i = 0; i < 100 && state_of(found_before) != NKVI_STATE_VISIBLE; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "other%d", i);
        cr_assert(t_kit_put(&kit, key, "", "x"));
    }
    taken = nkvi_slot_try(&kit.cache->view, found_before, &query, realm, 1, &found);
    cr_assert_neq(taken, NKVI_TAKEN_JUDGED);
    cr_assert_eq(t_kit_stats(&kit).pinned_bytes, 0);
    t_kit_close(&kit);
}
