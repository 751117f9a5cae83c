/* tests/live/client/test_seed.c - what users of tracking caches have come to expect: the acceptance
 * cases 1, 4, 5, 6, 8, 10, 11, 12 and 15.
 *
 * A foreign SWAPDB changes what is under a key and tells nobody: that is how a test makes an answer
 * dirty.                                                                                         */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

static nkv_client *open_with_confidence(const t_server *server, double confidence, int dynamic)
{
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.confidence = confidence;
    options.cache_options.dynamic_confidence = dynamic;
    return t_near_open(&options);
}

/* Reads key0 … key99 once and returns how many GETs that cost the server. */
static long long requests_of_a_pass(nkv_client *client, t_ctl *ctl)
{
    const long long before = t_ctl_calls(ctl, "get");
    for (int i = 0; i < 100; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "key%d", i);
        cr_assert(t_says(t_near_get(client, key), "_"));
    }
    return t_ctl_calls(ctl, "get") - before;
}

/* ---- Case 1 ---------------------------------------------------------------------------------- */

T_LIVE(client_seed, case_01_a_cache_of_one_key_answers_right)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.keys_max = 1;
    nkv_client *client = t_near_open(&options);
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_CACHE, "_"));
    t_ctl_ok(ctl, "SET", "fubar", "1");
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "1"));
    t_ctl_ok(ctl, "INCR", "fubar");
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "2"));
    nkv_client_reset(client);
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "2"));
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_CACHE, "2"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Cases 4 to 8: confidence ---------------------------------------------------------------- */

/* Of 100 hits at confidence c, 100 - c are validated, give or take: the bounds for 500 hits are
 * beyond six standard deviations for 10 and 90, and 50 is allowed to be anything between. */
static void check_bounds(t_server *server, double confidence, long long least, long long most)
{
    enum { PASSES = 5 };
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = open_with_confidence(server, confidence, 0);
    cr_assert_eq(requests_of_a_pass(client, ctl), 100);
    long long requests = 0;
    for (int i = 0; i < PASSES; i++) {
        requests += requests_of_a_pass(client, ctl);
    }
    cr_assert(requests >= PASSES * least && requests <= PASSES * most,
              "confidence %g: %lld requests", confidence, requests);
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.hits, PASSES * 100, "validated hits are hits");
    cr_assert_eq(stats.validations, (uint64_t)requests);
    cr_assert_eq(stats.cache.dirty, 0);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_seed, case_04_confidence_10_validates_most)
{
    check_bounds(server, 10, 75, 99);
}

T_LIVE(client_seed, case_04_confidence_50_validates_half)
{
    check_bounds(server, 50, 25, 74);
}

T_LIVE(client_seed, case_04_confidence_90_validates_few)
{
    check_bounds(server, 90, 1, 24);
}

T_LIVE(client_seed, case_05_confidence_100_validates_nothing)
{
    check_bounds(server, 100, 0, 0);
}

T_LIVE(client_seed, case_05_confidence_0_validates_everything)
{
    check_bounds(server, 0, 100, 100);
}

/* A validation that finds another answer returns the server's, keeps it, and counts it as dirty. */
T_LIVE(client_seed, case_06_every_validation_is_fed_back)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = open_with_confidence(server, 0, 0);
    for (int i = 0; i < 10; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        t_ctl_ok(ctl, "SET", key, "old");
        cr_assert(t_says(t_near_get(client, key), "old"));
    }
    t_ctl_ok(ctl, "SELECT", "1");
    for (int i = 0; i < 10; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        /* The key's invalidation (db numbers are not told) comes and is done with. */
        t_ctl_ok(ctl, "SET", key, "new");
    }
    t_near_sync(client);
    for (int i = 0; i < 10; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_says(t_near_get(client, key), "old"));
    }
    t_ctl_ok(ctl, "SWAPDB", "0", "1");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            char key[24];
            (void)snprintf(key, sizeof key, "k%d", i);
            cr_assert(t_says(t_near_get(client, key), "new"), "round %d, key %d", round, i);
        }
    }
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.cache.dirty, 10, "%llu", (unsigned long long)stats.cache.dirty);
    cr_assert_eq(stats.validations, 20, "the fresh answer was not kept: %llu validations",
                 (unsigned long long)stats.validations);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

static void make_dirty(t_ctl *ctl)
{
    t_ctl_ok(ctl, "SWAPDB", "0", "1");
}

/* × 0.999 for each dirty answer, × 1.0001 for each good one, and reset restores: seen from the
 * client (the arithmetic itself is a test of the cache). */
T_LIVE(client_seed, case_08_dynamic_confidence_moves_and_reset_restores_it)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = open_with_confidence(server, 1, 1);
    t_ctl_ok(ctl, "SET", "k", "zero");
    t_ctl_ok(ctl, "SELECT", "1");
    t_ctl_ok(ctl, "SET", "k", "one");
    double expected = 1;
    uint64_t dirty = 0;
    uint64_t validations = 0;
    cr_assert(t_says(t_near_get(client, "k"), "zero"));
    for (int i = 0; i < 200; i++) {
        const bool turned = i % 7 == 0;
        if (turned) {
            make_dirty(ctl);
        }
        const t_answer answer = t_near_get(client, "k");
        cr_assert(answer.status == NKV_OK);
        const nkv_stats stats = t_near_stats(client);
        if (stats.validations > validations) {
            expected *= stats.cache.dirty > dirty ? 0.999 : 1.0001;
        }
        validations = stats.validations;
        dirty = stats.cache.dirty;
        const double off = stats.confidence - expected;
        cr_assert(off < 1e-9 && off > -1e-9, "%.12f, not %.12f", stats.confidence, expected);
    }
    cr_assert(dirty >= 20 && validations >= 180, "%llu dirty of %llu", (unsigned long long)dirty,
              (unsigned long long)validations);
    nkv_client_reset(client);
    cr_assert_float_eq(t_near_stats(client).confidence, 1, 1e-12);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* That the key is of another type now is an answer as well: the cached one is dirty, and gone. */
T_LIVE(client_seed, case_06_a_validation_that_finds_another_type_is_dirty)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = open_with_confidence(server, 0, 0);
    t_ctl_ok(ctl, "SET", "k", "text");
    t_ctl_ok(ctl, "SELECT", "1");
    t_ctl_ok(ctl, "RPUSH", "k", "row");
    cr_assert(t_says(t_near_get(client, "k"), "text"));
    make_dirty(ctl);
    cr_assert(t_failed(t_near_get(client, "k"), NKV_EREPLY, "WRONGTYPE"));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.cache.dirty, 1);
    cr_assert_eq(stats.cache.keys, 0);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 10: statistics --------------------------------------------------------------------- */

/* 3 hits, 3 misses, 2 invalidations, 1 dirty, in all and by key (as in the seed, a dirty answer
 * counts as an invalidation too); compact keeps the totals and forgets the keys, clear forgets all.
 */
T_LIVE(client_seed, case_10_scripted_statistics)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = open_with_confidence(server, 0, 0);
    nkv_cache *cache = nkv_client_cache(client);
    t_ctl_ok(ctl, "SELECT", "1");
    t_ctl_ok(ctl, "SET", "fubar", "other");
    t_ctl_ok(ctl, "SELECT", "0");
    t_ctl_ok(ctl, "SET", "fubar", "1");
    cr_assert(t_says(t_near_get(client, "fubar"), "1"));  /* miss */
    cr_assert(t_says(t_near_get(client, "fubar"), "1"));  /* hit  */
    cr_assert(t_says(t_near_get(client, "barbar"), "_")); /* miss */
    t_ctl_ok(ctl, "INCR", "fubar");                       /* invalidation */
    T_WAIT_UNTIL(t_near_stats(client).invalidations == 1, 5000);
    cr_assert(t_says(t_near_get(client, "fubar"), "2")); /* miss */
    cr_assert(t_says(t_near_get(client, "fubar"), "2")); /* hit  */
    make_dirty(ctl);
    cr_assert(t_says(t_near_get(client, "fubar"), "other")); /* hit, dirty: invalidation */

    nkv_cache_stats total;
    nkv_cache_get_stats(cache, &total);
    cr_assert(total.hits == 3 && total.misses == 3 && total.invalidations == 2 && total.dirty == 1,
              "hits %llu misses %llu invalidations %llu dirty %llu", (unsigned long long)total.hits,
              (unsigned long long)total.misses, (unsigned long long)total.invalidations,
              (unsigned long long)total.dirty);
    nkv_key_stats fubar;
    cr_assert_eq(nkv_cache_key_stats(cache, nkv_cstr("fubar"), &fubar), NKV_OK);
    cr_assert(fubar.hits == 3 && fubar.misses == 2 && fubar.invalidations == 2 && fubar.dirty == 1,
              "hits %llu misses %llu invalidations %llu dirty %llu", (unsigned long long)fubar.hits,
              (unsigned long long)fubar.misses, (unsigned long long)fubar.invalidations,
              (unsigned long long)fubar.dirty);

    nkv_cache_compact_stats(cache);
    cr_assert_eq(nkv_cache_key_stats(cache, nkv_cstr("fubar"), &fubar), NKV_MISS);
    nkv_cache_get_stats(cache, &total);
    cr_assert(total.hits == 3 && total.misses == 3 && total.invalidations == 2 && total.dirty == 1);
    nkv_cache_clear_stats(cache);
    nkv_cache_get_stats(cache, &total);
    cr_assert(total.hits == 0 && total.misses == 0 && total.invalidations == 0 && total.dirty == 0);
    nkv_cache_release(cache);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Cases 11, 12, 15: the tracked connection ------------------------------------------------ */

T_LIVE(client_seed, case_11_client_id_is_0_before_and_known_after)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_start(&options);
    nkv_node_health node = t_near_node(client);
    cr_assert_eq(node.client_id, 0);
    cr_assert_eq(node.tracking, 0);
    cr_assert_not(t_near_healthy(client));
    cr_assert_str_eq(node.state, "connecting");

    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    node = t_near_node(client);
    cr_assert_gt(node.client_id, 0);
    cr_assert_eq(node.tracking, 1);
    cr_assert_str_eq(node.state, "armed");
    cr_assert(t_near_healthy(client));
    size_t count = 0;
    t_client_info *clients = t_ctl_clients(ctl, &count);
    size_t tracking = 0;
    for (size_t i = 0; i < count; i++) {
        if (strchr(clients[i].flags, 't') != NULL) {
            cr_assert_eq(clients[i].id, node.client_id);
            tracking++;
        }
    }
    cr_assert_eq(tracking, 1, "one tracked connection per node, not %zu", tracking);
    free(clients);
    cr_assert_float_eq(t_near_stats(client).confidence, 100, 1e-12);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

T_LIVE(client_seed, case_12_listener_killed_then_fresh)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "fubar", "1");
    cr_assert(t_says(t_near_get(client, "fubar"), "1"));
    const nkv_node_health before = t_near_node(client);
    cr_assert_eq(t_ctl_kill_id(ctl, before.client_id), 1);
    t_ctl_ok(ctl, "INCR", "fubar"); /* nobody is told */
    T_WAIT_UNTIL(t_near_node(client).generation > before.generation, 5000);
    cr_assert(t_says(t_near_get(client, "fubar"), "2"));
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    const nkv_node_health after = t_near_node(client);
    cr_assert(after.client_id > before.client_id && after.tracking == 1);
    cr_assert(t_says(t_near_get(client, "fubar"), "2"));
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_CACHE, "2"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* «False after close»: a destroyed client cannot be asked any more, so this asks while its server
 * is gone; what happens to the entries of a destroyed one is case 101. */
T_LIVE_PRIVATE(client_seed, case_15_health_is_false_when_the_connection_is_gone)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_near_healthy(client));
    t_server_kill(server);
    T_WAIT_UNTIL(!t_near_healthy(client), 5000);
    const nkv_node_health node = t_near_node(client);
    cr_assert_eq(node.tracking, 0);
    cr_assert_eq(node.client_id, 0);
    cr_assert_str_neq(node.state, "armed");
    nkv_client_destroy(client);
    t_server_stop(server);
}
