/* unit/core/test_policy.c - who leaves: exact LRU, second chance, S3-FIFO. */

#include <criterion/criterion.h>

#include "core/ghost.h"
#include "support/core_kit.h"
#include "support/traffic.h"

static void open_kit(t_kit *kit, int64_t keys, nkv_policy policy, int strict)
{
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, keys, -1);
    options.policy = policy;
    options.strict = strict;
    t_kit_open(kit, &options);
}

static void put_number(t_kit *kit, uint64_t number)
{
    cr_assert(t_kit_put_integer(kit, nkv_str_make(&number, sizeof number), nkv_cstr(""), 1));
}

static bool has_number(t_kit *kit, uint64_t number)
{
    nkv_value *value = t_kit_get(kit, nkv_str_make(&number, sizeof number), nkv_cstr(""));
    nkv_value_release(value);
    return value != NULL;
}

/* ---- LRU ------------------------------------------------------------------------------------- */

Test(core_policy, exact_lru_throws_out_the_longest_unused)
{
    t_kit kit;
    open_kit(&kit, 3, NKV_POLICY_LRU, 0); /* so few keys are exact anyway */
    put_number(&kit, 1);
    put_number(&kit, 2);
    put_number(&kit, 3);
    cr_assert(has_number(&kit, 1));
    put_number(&kit, 4);
    cr_assert(!has_number(&kit, 2));
    put_number(&kit, 3); /* writing again is using */
    put_number(&kit, 5);
    cr_assert(!has_number(&kit, 1));
    cr_assert(has_number(&kit, 3));
    t_kit_close(&kit);
}

Test(core_policy, a_batch_keeps_its_beginning_longest)
{
    t_kit kit;
    open_kit(&kit, 3, NKV_POLICY_LRU, 0);
    uint64_t numbers[3] = {1, 2, 3};
    nkvi_query queries[3];
    nkvi_found found[3];
    for (int i = 0; i < 3; i++) {
        put_number(&kit, numbers[i]);
        queries[i] = t_kit_query(&kit, nkv_str_make(&numbers[i], sizeof numbers[i]), nkv_cstr(""));
    }
    nkvi_cache_find(kit.cache, queries, 3, 1, found);
    for (int i = 0; i < 3; i++) {
        nkv_value_release(found[i].value);
    }
    put_number(&kit, 4);
    cr_assert(!has_number(&kit, 3));
    put_number(&kit, 5);
    cr_assert(!has_number(&kit, 2));
    cr_assert(has_number(&kit, 1));
    t_kit_close(&kit);
}

/* More keys than are promoted exactly: a key that was read goes round once more. */
Test(core_policy, second_chance_spares_what_was_read)
{
    enum { KEYS = 2000 };
    t_kit kit;
    open_kit(&kit, KEYS, NKV_POLICY_LRU, 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        put_number(&kit, i);
    }
    cr_assert(has_number(&kit, 0));
    cr_assert(has_number(&kit, 1));
    put_number(&kit, KEYS);
    put_number(&kit, KEYS + 1);
    cr_assert(!has_number(&kit, 2));
    cr_assert(!has_number(&kit, 3));
    cr_assert(has_number(&kit, 0));
    cr_assert(has_number(&kit, 1));
    t_kit_close(&kit);
}

/* Case 26 (the part of the order): all commands of a key leave together, whichever was used. */
Test(core_policy, commands_of_a_key_live_and_leave_together)
{
    enum { KEYS = 2000 };
    for (int strict = 0; strict < 2; strict++) {
        t_kit kit;
        open_kit(&kit, KEYS, NKV_POLICY_LRU, strict);
        cr_assert(t_kit_put(&kit, "k", "", "v"));
        cr_assert(t_kit_put(&kit, "k", "STRLEN", "1"));
        cr_assert(t_kit_put(&kit, "l", "STRLEN", "1"));
        for (uint64_t i = 0; i < KEYS - 2; i++) {
            put_number(&kit, i);
        }
        cr_assert(t_kit_hit(&kit, "k", "STRLEN"));
        put_number(&kit, KEYS);
        cr_assert(!t_kit_hit(&kit, "l", "STRLEN"));
        cr_assert(t_kit_hit(&kit, "k", ""), "its other command was read");
        for (uint64_t i = 0; i < 2 * KEYS; i++) {
            put_number(&kit, i);
        }
        cr_assert(!t_kit_hit(&kit, "k", ""));
        cr_assert(!t_kit_hit(&kit, "k", "STRLEN"));
        cr_assert_eq(t_kit_stats(&kit).keys, KEYS);
        t_kit_close(&kit);
    }
}

/* ---- S3-FIFO --------------------------------------------------------------------------------- */

/* Case 28: under s3fifo one pass of cold keys leaves a hot set alone. */
Test(core_policy, case_28_a_scan_keeps_the_hot_set)
{
    enum { KEYS = 10000, HOT = 2000, SCAN = 1000000 };
    t_kit kit;
    open_kit(&kit, KEYS, NKV_POLICY_S3FIFO, 0);
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t i = 0; i < HOT; i++) {
            if (!has_number(&kit, i)) {
                put_number(&kit, i);
            }
        }
    }
    for (uint64_t i = 0; i < SCAN; i++) {
        put_number(&kit, HOT + i);
        (void)has_number(&kit,
                         i % HOT * (i % 50 == 0)); /* the hot set is still used now and then */
    }
    uint64_t there = 0;
    for (uint64_t i = 0; i < HOT; i++) {
        there += has_number(&kit, i);
    }
    cr_assert_geq(there, HOT * 8 / 10, "%llu of %d hot keys", (unsigned long long)there, HOT);
    cr_assert_leq(t_kit_stats(&kit).keys, KEYS);
    t_kit_close(&kit);
}

Test(core_policy, a_ghost_comes_back_to_the_main_queue)
{
    enum { KEYS = 100 };
    t_kit kit;
    open_kit(&kit, KEYS, NKV_POLICY_S3FIFO, 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        put_number(&kit, i);
        cr_assert(i % 2 == 0 || has_number(&kit, i)); /* every other one goes to main later */
    }
    for (uint64_t i = 0; i < KEYS / 2; i++) {
        put_number(&kit, KEYS + i); /* throws the unread ones out, which leaves ghosts */
    }
    cr_assert(!has_number(&kit, KEYS - 2));
    put_number(&kit, KEYS - 2); /* a ghost: straight to main */
    for (uint64_t i = 0; i < KEYS; i++) {
        put_number(&kit, 1000 + i); /* a scan as long as the cache */
    }
    cr_assert(has_number(&kit, KEYS - 2));
    t_kit_close(&kit);
}

Test(core_ghost, remembers_the_last_and_forgets_the_rest)
{
    nkvi_meter meter;
    nkvi_meter_init(&meter, NKVI_UNBOUNDED);
    nkvi_ghost ghost;
    nkvi_ghost_init(&ghost, &meter);
    t_rng rng;
    t_rng_init(&rng, 3);
    uint64_t hashes[1000];
    for (int i = 0; i < 1000; i++) {
        hashes[i] = t_rng_next(&rng);
        nkvi_ghost_add(&ghost, hashes[i], 100);
    }
    int found = 0;
    for (int i = 0; i < 1000; i++) {
        bool there = nkvi_ghost_take(&ghost, hashes[i], 100);
        cr_assert(i >= 900 || !there, "hash %d is too old", i);
        found += there;
        cr_assert(!nkvi_ghost_take(&ghost, hashes[i], 100), "taken is taken");
    }
    cr_assert_geq(found, 90);
    cr_assert_gt(nkvi_meter_used(&meter), 0);
    nkvi_ghost_clear(&ghost);
    cr_assert_eq(nkvi_meter_used(&meter), 0);
}

Test(core_ghost, lives_without_memory)
{
    nkvi_meter meter;
    nkvi_meter_init(&meter, 10);
    nkvi_ghost ghost;
    nkvi_ghost_init(&ghost, &meter);
    nkvi_ghost_add(&ghost, 7, 100);
    cr_assert(!nkvi_ghost_take(&ghost, 7, 100));
    nkvi_ghost_clear(&ghost);
}

/* ---- Prefix traffic -------------------------------------------------------------------------- */

/* The bar: within a point of strict LRU on prefix traffic, at 1, 5, 10 and 25 % of the footprint.
 * */
Test(core_policy, second_chance_is_within_a_point_of_strict_lru)
{
    static const double percents[] = {1, 5, 10, 25};
    t_traffic traffic = t_traffic_make(4000, 7);
    cr_assert_gt(traffic.distinct, 20000);
    for (int i = 0; i < 4; i++) {
        double strict =
            t_traffic_ratio(&traffic, NKV_POLICY_LRU, 1, NKV_INDEX_CHUNKED, percents[i]);
        double second =
            t_traffic_ratio(&traffic, NKV_POLICY_LRU, 0, NKV_INDEX_CHUNKED, percents[i]);
        double s3fifo =
            t_traffic_ratio(&traffic, NKV_POLICY_S3FIFO, 0, NKV_INDEX_CHUNKED, percents[i]);
        cr_assert_float_eq(second, strict, 1.0, "%g %%: strict %.2f, second chance %.2f",
                           percents[i], strict, second);
        cr_assert_gt(s3fifo, strict - 1.0, "%g %%: strict %.2f, s3fifo %.2f", percents[i], strict,
                     s3fifo);
        cr_assert_gt(strict, 10.0);
    }
    t_traffic_free(&traffic);
}

/* The order does not depend on the index: the same traffic finds the same blocks to the last one.
 * */
Test(core_policy, both_indexes_evict_alike)
{
    t_traffic traffic = t_traffic_make(1500, 11);
    for (int i = 0; i < 3; i++) {
        nkv_policy policy = i == 2 ? NKV_POLICY_S3FIFO : NKV_POLICY_LRU;
        double a = t_traffic_ratio(&traffic, policy, i == 0, NKV_INDEX_CHUNKED, 7);
        double b = t_traffic_ratio(&traffic, policy, i == 0, NKV_INDEX_UTHASH, 7);
        if (policy == NKV_POLICY_LRU) {
            cr_assert_float_eq(a, b, 1e-12);
        } else {
            cr_assert_float_eq(a, b, 0.2, "the ghosts' hashes are seeded anew for every cache");
        }
    }
    t_traffic_free(&traffic);
}
