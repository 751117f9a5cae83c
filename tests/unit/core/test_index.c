/* unit/core/test_index.c - the indexes alone: multimaps from hashes to slots.
 *
 * Slots are taken from a store and given hashes by hand; nothing is published. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "core/index.h"
#include "support/check.h"

typedef nkvi_index *(*make_fn)(nkvi_store *store, uint64_t keys);

static make_fn makers[] = {nkvi_index_uthash_create, nkvi_index_chunked_create};

/* A test runs in a process of its own, where functions may lie elsewhere: so a number is handed
 * over. */
static int which[] = {0, 1};

#define BOTH(suite, name)                                                       \
    ParameterizedTestParameters(suite, name)                                    \
    {                                                                           \
        return cr_make_param_array(int, which, sizeof which / sizeof which[0]); \
    }                                                                           \
    ParameterizedTest(int *kind, suite, name)

typedef struct rig {
    nkvi_store *store;
    nkvi_index *index;
} rig;

static void open_rig(rig *r, make_fn make, uint64_t bytes_max, uint64_t keys)
{
    r->store = nkvi_store_create(bytes_max, keys);
    r->index = make(r->store, keys);
    cr_assert_not_null(r->index);
}

static void close_rig(rig *r)
{
    r->index->ops->destroy(r->index);
    nkvi_store_unhold(r->store);
}

/* A slot that has this hash, its key's hash being another. */
static uint32_t slot_with(rig *r, uint64_t hash)
{
    uint32_t slot = nkvi_store_alloc(r->store);
    cr_assert_neq(slot, 0);
    atomic_store(&nkvi_slot_at(r->store, slot)->value.of.slot.hash, hash);
    nkvi_cold_at(r->store, slot)->key_hash = ~hash;
    return slot;
}

static bool insert(rig *r, uint64_t hash, uint32_t slot)
{
    return r->index->ops->insert(r->index, hash, slot);
}

/* How many candidates there are for a hash; *seen: how often the slot is among them. */
static unsigned candidates(const rig *r, uint64_t hash, uint32_t slot, unsigned *seen)
{
    unsigned n = 0;
    nkvi_probe probe;
    *seen = 0;
    for (uint32_t at = r->index->ops->first(r->index, hash, &probe); at != 0;
         at = r->index->ops->next(r->index, hash, &probe)) {
        *seen += at == slot;
        n++;
    }
    return n;
}

static bool holds(const rig *r, uint64_t hash, uint32_t slot)
{
    unsigned seen;
    (void)candidates(r, hash, slot, &seen);
    return seen == 1;
}

BOTH(core_index, an_empty_one_finds_nothing)
{
    rig r;
    open_rig(&r, makers[*kind], NKVI_UNBOUNDED, 0);
    nkvi_probe probe;
    cr_assert_eq(r.index->ops->first(r.index, 5, &probe), 0);
    close_rig(&r);
}

BOTH(core_index, slots_may_share_a_hash)
{
    rig r;
    open_rig(&r, makers[*kind], NKVI_UNBOUNDED, 0);
    uint32_t slots[30];
    for (int i = 0; i < 30; i++) {
        slots[i] = slot_with(&r, 77);
        cr_assert(insert(&r, 77, slots[i]));
    }
    for (int i = 0; i < 30; i += 3) {
        r.index->ops->remove(r.index, 77, slots[i]);
    }
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(holds(&r, 77, slots[i]), i % 3 != 0);
    }
    for (int i = 0; i < 30; i++) {
        if (i % 3 != 0) {
            r.index->ops->remove(r.index, 77, slots[i]);
        }
    }
    nkvi_probe probe;
    cr_assert_eq(r.index->ops->first(r.index, 77, &probe), 0);
    close_rig(&r);
}

BOTH(core_index, replace_puts_one_in_the_place_of_another)
{
    rig r;
    open_rig(&r, makers[*kind], NKVI_UNBOUNDED, 0);
    uint32_t first = slot_with(&r, 5);
    uint32_t second = slot_with(&r, 5);
    cr_assert(insert(&r, 5, first));
    r.index->ops->replace(r.index, 5, first, second);
    cr_assert(!holds(&r, 5, first));
    cr_assert(holds(&r, 5, second));
    r.index->ops->remove(r.index, 5, second);
    close_rig(&r);
}

/* A slot is found under its own hash and under its key's, through every growth. */
BOTH(core_index, growing_loses_nothing)
{
    enum { SLOTS = 20000 };
    rig r;
    open_rig(&r, makers[*kind], NKVI_UNBOUNDED, 0);
    uint32_t *slots = calloc(SLOTS, sizeof *slots);
    uint64_t *hashes = calloc(SLOTS, sizeof *hashes);
    t_rng rng;
    t_rng_init(&rng, 2);
    for (int i = 0; i < SLOTS; i++) {
        hashes[i] = t_rng_next(&rng);
        slots[i] = slot_with(&r, hashes[i]);
        cr_assert(insert(&r, hashes[i], slots[i]));
        cr_assert(i % 2 == 1 || insert(&r, ~hashes[i], slots[i]));
    }
    for (int i = 0; i < SLOTS; i++) {
        cr_assert(holds(&r, hashes[i], slots[i]));
        cr_assert_eq(holds(&r, ~hashes[i], slots[i]), i % 2 == 0);
    }
    for (int i = 0; i < SLOTS; i++) {
        r.index->ops->remove(r.index, hashes[i], slots[i]);
        cr_assert(!holds(&r, hashes[i], slots[i]));
        if (i % 2 == 0) {
            r.index->ops->remove(r.index, ~hashes[i], slots[i]);
        }
    }
    free(slots);
    free(hashes);
    close_rig(&r);
}

/* Hashes that all begin at one chunk go their own ways from there. */
BOTH(core_index, crowded_hashes_are_found)
{
    enum { SLOTS = 500 };
    rig r;
    open_rig(&r, makers[*kind], NKVI_UNBOUNDED, 0);
    uint32_t slots[SLOTS];
    for (uint64_t i = 0; i < SLOTS; i++) {
        uint64_t hash = i << 50; /* the lower bits are all the same */
        slots[i] = slot_with(&r, hash);
        cr_assert(insert(&r, hash, slots[i]));
    }
    for (uint64_t i = 0; i < SLOTS; i++) {
        cr_assert(holds(&r, i << 50, slots[i]));
    }
    for (uint64_t i = 0; i < SLOTS; i += 2) {
        r.index->ops->remove(r.index, i << 50, slots[i]);
    }
    for (uint64_t i = 0; i < SLOTS; i++) {
        cr_assert_eq(holds(&r, i << 50, slots[i]), i % 2 == 1);
    }
    for (uint64_t i = 1; i < SLOTS; i += 2) {
        r.index->ops->remove(r.index, i << 50, slots[i]);
    }
    close_rig(&r);
}

BOTH(core_index, without_room_an_insertion_fails_and_changes_nothing)
{
    rig r;
    open_rig(&r, makers[*kind], 200000, 0);
    uint32_t slots[800];
    int n = 0;
    while (n < 800) {
        slots[n] = nkvi_store_alloc(r.store);
        if (slots[n] == 0) {
            break;
        }
        atomic_store(&nkvi_slot_at(r.store, slots[n])->value.of.slot.hash, (uint64_t)n * 977);
        n++;
    }
    cr_assert_gt(n, 100);
    uint64_t left = nkvi_meter_left(&r.store->meter);
    cr_assert(nkvi_meter_add(&r.store->meter, left > 5000 ? left - 5000 : 0));
    int stored = 0;
    while (stored < n && insert(&r, (uint64_t)stored * 977, slots[stored])) {
        stored++;
    }
    cr_assert_lt(stored, n);
    cr_assert_gt(stored, 5);
    cr_assert(!holds(&r, (uint64_t)stored * 977, slots[stored]));
    for (int i = 0; i < stored; i++) {
        cr_assert(holds(&r, (uint64_t)i * 977, slots[i]));
    }
    r.index->ops->remove(r.index, 0, slots[0]);
    cr_assert(insert(&r, (uint64_t)stored * 977, slots[stored]), "what was freed can be used");
    close_rig(&r);
}

/* Random changes on both at once: the same pairs are in them at any time. */
Test(core_index, both_hold_the_same)
{
    enum { SLOTS = 300, HASHES = 40, STEPS = 40000 };
    rig rigs[2];
    uint32_t slots[2][SLOTS];
    uint64_t hash_of[SLOTS];
    bool in[SLOTS] = {false};
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (int k = 0; k < 2; k++) {
        open_rig(&rigs[k], makers[k], NKVI_UNBOUNDED, 0);
    }
    for (int i = 0; i < SLOTS; i++) {
        hash_of[i] = t_rng_below(&rng, HASHES) * (i % 2 == 0 ? 0x9E3779B97F4A7C15u : 1);
        for (int k = 0; k < 2; k++) {
            slots[k][i] = slot_with(&rigs[k], hash_of[i]);
        }
    }
    for (int step = 0; step < STEPS; step++) {
        int i = (int)t_rng_below(&rng, SLOTS);
        int j = (int)t_rng_below(&rng, SLOTS);
        bool swap = in[i] && !in[j] && hash_of[i] == hash_of[j];
        for (int k = 0; k < 2; k++) {
            nkvi_index *index = rigs[k].index;
            if (swap) {
                index->ops->replace(index, hash_of[i], slots[k][i], slots[k][j]);
            } else if (in[i]) {
                index->ops->remove(index, hash_of[i], slots[k][i]);
            } else {
                cr_assert(index->ops->insert(index, hash_of[i], slots[k][i]));
            }
        }
        in[j] = swap ? true : in[j];
        in[i] = !in[i];
        int look = (int)t_rng_below(&rng, SLOTS);
        for (int k = 0; k < 2; k++) {
            cr_assert_eq(holds(&rigs[k], hash_of[look], slots[k][look]), in[look]);
        }
    }
    close_rig(&rigs[0]);
    close_rig(&rigs[1]);
}

/* Case 27: finding what an invalidation drops looks at as many candidates among a million entries
 * as among a hundred.  (What it costs in time is in bench_core.) */
Test(core_index, case_27_the_way_to_a_key_does_not_grow)
{
    static const int sizes[] = {100, 10000, 1000000};
    double looked[3];
    for (int s = 0; s < 3; s++) {
        rig r;
        open_rig(&r, nkvi_index_chunked_create, NKVI_UNBOUNDED, (uint64_t)sizes[s]);
        t_rng rng;
        t_rng_init(&rng, 27);
        for (int i = 0; i < sizes[s]; i++) {
            uint64_t hash = t_rng_next(&rng);
            cr_assert(insert(&r, hash, slot_with(&r, hash)));
        }
        t_rng_init(&rng, 27);
        uint64_t sum = 0;
        for (int i = 0; i < 100; i++) {
            unsigned seen;
            sum += candidates(&r, t_rng_next(&rng), 0, &seen);
        }
        looked[s] = (double)sum / 100;
        close_rig(&r);
    }
    for (int s = 0; s < 3; s++) {
        cr_assert_geq(looked[s], 1.0);
        cr_assert_leq(looked[s], 1.3, "%d entries: %.2f candidates", sizes[s], looked[s]);
    }
}
