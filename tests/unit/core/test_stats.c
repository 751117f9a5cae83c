/* unit/core/test_stats.c - totals and the counters of single keys. */

#include <criterion/criterion.h>
#include <pthread.h>

#include "core/counters.h"
#include "core/keystats.h"
#include "support/core_kit.h"

static void count(t_kit *kit, const char *key, nkvi_count what)
{
    nkvi_query query = t_kit_query(kit, nkv_cstr(key), nkv_cstr(""));
    nkvi_cache_count(kit->cache, &query, what);
}

static void open_kit(t_kit *kit, size_t key_counters)
{
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    options.key_counters = key_counters;
    t_kit_open(kit, &options);
}

/* Case 10: a script of 3 hits, 3 misses, 2 invalidations, 1 dirty; compact keeps the totals and
 * drops the keys; clear zeroes. */
Test(core_stats, case_10_script)
{
    t_kit kit;
    open_kit(&kit, 1024);
    count(&kit, "a", NKVI_COUNT_MISS);
    count(&kit, "a", NKVI_COUNT_HIT);
    count(&kit, "a", NKVI_COUNT_HIT);
    count(&kit, "b", NKVI_COUNT_MISS);
    count(&kit, "b", NKVI_COUNT_HIT);
    (void)nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("b"));
    count(&kit, "b", NKVI_COUNT_MISS);
    nkv_cache_feedback(kit.cache, kit.space, nkv_cstr("a"), 0);
    for (int pass = 0; pass < 2; pass++) {
        nkv_cache_stats stats = t_kit_stats(&kit);
        cr_assert_eq(stats.hits, 3);
        cr_assert_eq(stats.misses, 3);
        cr_assert_eq(stats.invalidations, 2);
        cr_assert_eq(stats.dirty, 1);
        nkv_key_stats key;
        nkv_status status = nkv_cache_key_stats(kit.cache, nkv_cstr("a"), &key);
        if (pass == 0) {
            cr_assert_eq(status, NKV_OK);
            cr_assert_eq(key.hits, 2);
            cr_assert_eq(key.misses, 1);
            cr_assert_eq(key.invalidations, 1);
            cr_assert_eq(key.dirty, 1);
            cr_assert_eq(nkv_cache_key_stats(kit.cache, nkv_cstr("b"), &key), NKV_OK);
            cr_assert_eq(key.hits, 1);
            cr_assert_eq(key.misses, 2);
            cr_assert_eq(nkv_cache_key_stats(kit.cache, nkv_cstr("c"), &key), NKV_MISS);
        } else {
            cr_assert_eq(status, NKV_MISS);
        }
        nkv_cache_compact_stats(kit.cache);
    }
    count(&kit, "a", NKVI_COUNT_HIT);
    nkv_cache_clear_stats(kit.cache);
    nkv_cache_stats stats = t_kit_stats(&kit);
    cr_assert_eq(stats.hits + stats.misses + stats.invalidations + stats.dirty, 0);
    t_kit_close(&kit);
}

Test(core_stats, counters_of_a_key_are_over_all_spaces)
{
    t_kit one;
    t_kit two;
    open_kit(&one, 1024);
    t_kit_share(&two, one.cache, "other");
    count(&one, "k", NKVI_COUNT_MISS);
    count(&two, "k", NKVI_COUNT_MISS);
    nkv_key_stats key;
    cr_assert_eq(nkv_cache_key_stats(one.cache, nkv_cstr("k"), &key), NKV_OK);
    cr_assert_eq(key.misses, 2);
    t_kit_unshare(&two);
    t_kit_close(&one);
}

Test(core_stats, without_counters_only_totals_count)
{
    t_kit kit;
    open_kit(&kit, 0);
    count(&kit, "k", NKVI_COUNT_MISS);
    nkv_key_stats key;
    cr_assert_eq(nkv_cache_key_stats(kit.cache, nkv_cstr("k"), &key), NKV_MISS);
    cr_assert_eq(t_kit_stats(&kit).misses, 1);
    t_kit_close(&kit);
}

/* However many keys come by, a busy one keeps its counters. */
Test(core_keystats, a_full_table_displaces_who_was_counted_least)
{
    nkvi_keystats stats;
    cr_assert(nkvi_keystats_init(&stats, 8));
    for (int i = 0; i < 50; i++) {
        nkvi_keystats_count(&stats, 77, NKVI_HITS);
    }
    for (uint64_t id = 1000; id < 2000; id++) {
        nkvi_keystats_count(&stats, id, NKVI_MISSES);
    }
    nkv_key_stats key;
    cr_assert(nkvi_keystats_read(&stats, 77, &key));
    cr_assert_eq(key.hits, 50);
    cr_assert(nkvi_keystats_read(&stats, 1999, &key), "the last to come is there");
    cr_assert_eq(key.misses, 1);
    int there = 0;
    for (uint64_t id = 1000; id < 2000; id++) {
        there += nkvi_keystats_read(&stats, id, &key);
    }
    cr_assert_eq(there, 7);
    nkvi_keystats_count(&stats, 5000, NKVI_HITS);
    cr_assert(!nkvi_keystats_read(&stats, 5000, &key), "a hit displaces nobody");
    nkvi_keystats_clear(&stats);
}

Test(core_keystats, the_table_never_holds_more_than_was_asked_for)
{
    static const size_t sizes[] = {1, 3, 8, 9, 100, 1000, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        nkvi_keystats stats;
        cr_assert(nkvi_keystats_init(&stats, sizes[i]));
        t_rng rng;
        t_rng_init(&rng, 1);
        uint64_t ids[4096];
        for (int j = 0; j < 4096; j++) {
            ids[j] = t_rng_next(&rng);
            nkvi_keystats_count(&stats, ids[j], NKVI_MISSES);
        }
        size_t there = 0;
        nkv_key_stats key;
        for (int j = 0; j < 4096; j++) {
            there += nkvi_keystats_read(&stats, ids[j], &key);
        }
        cr_assert_leq(there, sizes[i]);
        cr_assert_geq(there, sizes[i] / 2);
        nkvi_keystats_clear(&stats);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 80, TIMES = 2000 }; /* more than have a stripe of their own */

typedef struct counting {
    t_kit kit;
    nkvi_query query;
} counting;

static void *count_many(void *arg)
{
    counting *all = arg;
    for (int i = 0; i < TIMES; i++) {
        nkvi_cache_count(all->kit.cache, &all->query,
                         i % 2 == 0 ? NKVI_COUNT_HIT : NKVI_COUNT_MISS);
    }
    return NULL;
}

/* Case 102 (store part): the totals are exact, however many threads count. */
Test(core_stats, case_102_totals_of_many_threads_are_exact)
{
    counting all;
    open_kit(&all.kit, 16);
    all.query = t_kit_query(&all.kit, nkv_cstr("k"), nkv_cstr(""));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, count_many, &all), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    nkv_cache_stats stats = t_kit_stats(&all.kit);
    cr_assert_eq(stats.hits, (uint64_t)THREADS * TIMES / 2);
    cr_assert_eq(stats.misses, (uint64_t)THREADS * TIMES / 2);
    nkv_key_stats key;
    cr_assert_eq(nkv_cache_key_stats(all.kit.cache, nkv_cstr("k"), &key), NKV_OK);
    cr_assert_eq(key.hits + key.misses, (uint64_t)THREADS * TIMES);
    t_kit_close(&all.kit);
}
