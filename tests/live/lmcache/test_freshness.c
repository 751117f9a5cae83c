/* tests/live/lmcache/test_freshness.c - lookups that cost nothing, and are right: P1, P2, P3. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

static nkv_str key_of(t_items *list, size_t i)
{
    return list->items[i].key;
}

static size_t prefix_of(t_lm *lm, t_items *list, nkv_call *call)
{
    static nkv_str keys[1024];
    T_REQUIRE(list->n <= 1024);
    for (size_t i = 0; i < list->n; i++) {
        keys[i] = key_of(list, i);
    }
    size_t prefix = 9999;
    cr_assert_eq(nkv_lmcache_prefix(lm->lm, keys, list->n, call, &prefix), NKV_OK, "%s", lm->name);
    return prefix;
}

/* ---- Local, and right ------------------------------------------------------------------------ */

/* After a put the next lookup asks nobody. */
static void check_local_after_put(t_lm *lm)
{
    t_items list = t_items_new("k", 128);
    t_items_values(&list, 2000);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 128, NULL), NKV_OK);
    const long long calls = t_ctl_data_calls(lm->ctl);
    const uint64_t trips = t_near_stats(lm->client).round_trips;
    t_items_metas(&list);
    cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 128, NULL), NKV_OK);
    for (size_t i = 0; i < 128; i++) {
        cr_assert(list.items[i].status == NKV_OK && list.items[i].from == NKV_FROM_CACHE, "%s: %zu",
                  lm->name, i);
        cr_assert(list.items[i].len == 2000 && list.metas[i].length == 2000, "%s", lm->name);
    }
    cr_assert_eq(prefix_of(lm, &list, NULL), 128, "%s", lm->name);
    cr_assert_eq(t_ctl_data_calls(lm->ctl), calls, "%s", lm->name);
    cr_assert_eq(t_near_stats(lm->client).round_trips, trips, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, p2_after_a_put_the_next_lookup_is_local)
{
    t_lm_each_pair(server, check_local_after_put);
}

/* Whatever was known before the put: nothing, «not there», another size; EVENTUAL, at once. */
static void check_right_after_writes(t_lm *lm)
{
    t_items list = t_items_list("k");
    t_items_metas(&list);
    nkv_lmcache_meta *meta = list.items[0].meta;
    for (size_t round = 1; round <= 300; round++) {
        list.items[0].meta = NULL;
        t_item_value(&list, 0, round, round);
        cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 1, NULL), NKV_OK);
        list.items[0].meta = meta;
        cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 1, NULL), NKV_OK);
        cr_assert_eq(list.items[0].status, NKV_OK, "%s, round %zu", lm->name, round);
        cr_assert(!lm->pair || list.items[0].len == round, "%s, round %zu: %zu", lm->name, round,
                  list.items[0].len);
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 1, NULL), NKV_OK);
        cr_assert(t_item_has_version(&list, 0, round), "%s", lm->name);
        nkv_value_release(list.items[0].held);
        list.items[0].held = NULL;
        if (round % 3 == 0) {
            cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, 1, NULL), NKV_OK);
            cr_assert_eq(t_lm_has(lm, key_of(&list, 0), NKV_EVENTUAL, NULL), NKV_NOT_FOUND, "%s",
                         lm->name);
        }
    }
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, p2_lookups_and_gets_at_once_after_put_and_remove)
{
    t_lm_each(server, check_right_after_writes);
}

/* P2 holds for clients that share the cache. */
T_LIVE(lmcache_freshness, p2_a_put_is_seen_by_who_shares_the_cache)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    nkv_client *second = NULL;
    cr_assert_eq(nkv_client_share(lm.client, &second, NULL), NKV_OK);
    cr_assert_eq(nkv_client_wait_ready(second, 5000, NULL), NKV_OK);
    const nkv_lmcache_options options = t_lm_options(lm.layout);
    t_lm other = lm;
    other.lm = t_lm_make(second, &options);
    t_items list = t_items_list("k");
    for (size_t round = 1; round <= 200; round++) {
        t_item_value(&list, 0, round, round);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 1, NULL), NKV_OK);
        cr_assert_eq(t_lm_has(&other, key_of(&list, 0), NKV_EVENTUAL, NULL), NKV_OK);
        cr_assert_eq(nkv_lmcache_remove(other.lm, list.items, 1, NULL), NKV_OK);
        cr_assert_eq(t_lm_has(&lm, key_of(&list, 0), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
    }
    nkv_lmcache_destroy(other.lm);
    nkv_client_destroy(second);
    t_items_free(&list);
    t_lm_close(&lm);
}

/* ---- Round trips ----------------------------------------------------------------------------- */

/* 128 keys: two round trips at most the first time, none the second; a get of all of them two. */
static void check_round_trips(t_lm *lm)
{
    t_items list = t_items_new("k", 128);
    for (size_t i = 0; i < 128; i++) {
        t_lm_chunk(lm, key_of(&list, i), 1000);
    }
    const uint64_t before = t_near_stats(lm->client).round_trips;
    cr_assert_eq(prefix_of(lm, &list, NULL), 128);
    const uint64_t first = t_near_stats(lm->client).round_trips - before;
    cr_assert(first >= 1 && first <= 2, "%s: %llu round trips", lm->name,
              (unsigned long long)first);
    const long long calls = t_ctl_data_calls(lm->ctl);
    for (int round = 0; round < 10; round++) {
        cr_assert_eq(prefix_of(lm, &list, NULL), 128);
        cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 128, NULL), NKV_OK);
    }
    cr_assert_eq(t_ctl_data_calls(lm->ctl), calls, "%s", lm->name);
    cr_assert_eq(t_near_stats(lm->client).round_trips - before, first, "%s", lm->name);
    cr_assert(t_near_identity(lm->client));
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, a_prefix_of_128_keys_costs_two_round_trips_then_none)
{
    t_lm_each(server, check_round_trips);
}

/* What was asked for, at the server, to the last command. */
static void check_commands(t_lm *lm)
{
    t_items list = t_items_new("k", 50);
    for (size_t i = 0; i < 40; i++) {
        t_lm_chunk(lm, key_of(&list, i), 1000);
    }
    t_ctl_ok(lm->ctl, "CONFIG", "RESETSTAT");
    cr_assert_eq(prefix_of(lm, &list, NULL), 40);
    const char *ask = lm->pair ? "get" : "exists";
    const long long asked = t_ctl_calls(lm->ctl, ask);
    cr_assert(asked == 50 || (!lm->pair && t_ctl_calls(lm->ctl, "pttl") >= 41), "%s: %lld",
              lm->name, asked);
    cr_assert_eq(t_ctl_calls(lm->ctl, "strlen"), 0, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, a_lookup_asks_for_metadata_and_no_more)
{
    t_lm_each(server, check_commands);
}

/* ---- Negative answers ------------------------------------------------------------------------ */

static void check_negative(t_lm *lm)
{
    t_items list = t_items_new("k", 20);
    nkv_from from = NKV_FROM_CACHE;
    cr_assert_eq(prefix_of(lm, &list, NULL), 0, "%s", lm->name);
    for (size_t i = 0; i < 20; i++) {
        cr_assert_eq(t_lm_has(lm, key_of(&list, i), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
    }
    const long long calls = t_ctl_data_calls(lm->ctl);
    cr_assert_eq(prefix_of(lm, &list, NULL), 0, "%s", lm->name);
    for (size_t i = 0; i < 20; i++) {
        cr_assert_eq(t_lm_has(lm, key_of(&list, i), NKV_EVENTUAL, &from), NKV_NOT_FOUND);
        cr_assert_eq(from, NKV_FROM_CACHE, "%s, key %zu", lm->name, i);
    }
    cr_assert_eq(t_ctl_data_calls(lm->ctl), calls, "%s", lm->name);
    /* Somebody else puts: a BARRIER sees it at once, for one key and for all. */
    t_lm_chunk(lm, key_of(&list, 0), 10);
    cr_assert_eq(t_lm_has(lm, key_of(&list, 0), NKV_BARRIER, NULL), NKV_OK, "%s", lm->name);
    for (size_t i = 1; i < 20; i++) {
        t_lm_chunk(lm, key_of(&list, i), 10);
    }
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    cr_assert_eq(prefix_of(lm, &list, &call), 20, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, p3_no_is_kept_too_and_anothers_put_is_seen)
{
    t_lm_each(server, check_negative);
}

/* BARRIER on every reading call, behind each kind of change that another makes. */
static void check_barrier(t_lm *lm)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    t_items list = t_items_list("k");
    t_items held = t_items_list("k");
    for (size_t round = 1; round <= 200; round++) {
        const bool there = round % 3 != 0;
        if (there) {
            t_lm_chunk_version(lm, key_of(&list, 0), 10 + round, round);
        } else {
            (void)t_lm_int(lm, "DEL", key_of(&list, 0), lm->pair ? T_META : T_KV);
        }
        cr_assert_eq(prefix_of(lm, &list, &call), there, "%s, round %zu", lm->name, round);
        cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 1, &call), NKV_OK);
        cr_assert_eq(list.items[0].status, there ? NKV_OK : NKV_NOT_FOUND);
        cr_assert(!there || !lm->pair || list.items[0].len == 10 + round, "%s", lm->name);
        t_items_reset(&held);
        cr_assert_eq(nkv_lmcache_get(lm->lm, held.items, 1, &call), NKV_OK);
        cr_assert_str_eq(t_items_text(&held), there ? "+" : "-", "%s, round %zu", lm->name, round);
        cr_assert(!there || t_item_has_version(&held, 0, round));
    }
    t_items_free(&held);
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, p3_barrier_sees_every_change_of_others)
{
    t_lm_each(server, check_barrier);
}

/* ---- Races ----------------------------------------------------------------------------------- */

/* Another client that deletes chunks and writes them anew, in other sizes, all the time. */
typedef struct racer {
    t_server *server;
    nkv_lmcache_layout layout;
    atomic_bool stop;
    atomic_int rounds;
    bool deletes_only;
} racer;

enum { RACED_KEYS = 4, OWN = 1000000 };

static void *race(void *ud)
{
    racer *r = ud;
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    t_lm lm = {.ctl = t_ctl_open(r->server),
               .layout = r->layout,
               .pair = r->layout != NKV_LMCACHE_SINGLE_KEY,
               .name = "racer"};
    while (!atomic_load(&r->stop)) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%llu", (unsigned long long)t_rng_below(&rng, RACED_KEYS));
        if (r->deletes_only || t_rng_below(&rng, 3) == 0) {
            if (lm.pair) {
                (void)t_lm_int(&lm, "DEL", nkv_cstr(key), T_META);
            }
            (void)t_lm_int(&lm, "DEL", nkv_cstr(key), T_KV);
        } else {
            const uint64_t version = 1 + t_rng_below(&rng, OWN - 1);
            t_lm_chunk_version(&lm, nkv_cstr(key), 8 + 100 * (version % 30), version);
        }
        atomic_fetch_add(&r->rounds, 1);
    }
    t_ctl_close(lm.ctl);
    return NULL;
}

/* A read that is NKV_OK is one whole value, of a version that somebody has written, and as long as
 * its metadata says. */
static void check_read(t_lm *lm, t_items *list, nkv_level level)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    t_items_reset(list);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list->items, list->n, &call), NKV_OK, "%s: %s, %s",
                 lm->name, t_items_text(list), call.error.text);
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].status != NKV_OK) {
            continue;
        }
        const nkv_str got = nkv_value_str(list->items[i].held);
        const uint64_t version = t_value_version(got.data, got.len, list->items[i].key);
        cr_assert_neq(version, UINT64_MAX, "%s", lm->name);
        const uint64_t parts = version >= OWN ? version - OWN : version;
        cr_assert_eq(got.len, 8 + 100 * (parts % 30), "%s: version %llu", lm->name,
                     (unsigned long long)version);
        cr_assert(!lm->pair || list->metas[i].length == (int64_t)got.len, "%s", lm->name);
    }
}

/* In the end what is known here is what is there. */
static void check_agreement(t_lm *lm, t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const nkv_str key = key_of(list, i);
        const bool there = t_lm_int(lm, "EXISTS", key, lm->pair ? T_META : T_KV) == 1;
        cr_assert_eq(t_lm_has(lm, key, NKV_BARRIER, NULL), there ? NKV_OK : NKV_NOT_FOUND,
                     "%s, key %zu", lm->name, i);
        cr_assert_eq(t_lm_has(lm, key, NKV_EVENTUAL, NULL), there ? NKV_OK : NKV_NOT_FOUND,
                     "%s, key %zu", lm->name, i);
    }
}

static void race_once(t_lm *lm, bool deletes_only)
{
    racer r = {.server = lm->server, .layout = lm->layout, .deletes_only = deletes_only};
    pthread_t thread;
    T_REQUIRE(pthread_create(&thread, NULL, race, &r) == 0);
    t_items list = t_items_new("k", RACED_KEYS);
    t_items_metas(&list);
    t_items puts = t_items_new("k", RACED_KEYS);
    const int64_t end_ms = t_now_ms() + 700;
    for (uint64_t round = 0; t_now_ms() < end_ms; round++) {
        const size_t i = round % RACED_KEYS;
        t_item_value(&puts, i, 8 + 100 * (round % 30), OWN + round);
        cr_assert_eq(nkv_lmcache_put(lm->lm, &puts.items[i], 1, NULL), NKV_OK, "%s", lm->name);
        check_read(lm, &list, round % 2 == 0 ? NKV_EVENTUAL : NKV_BARRIER);
        if (round % 16 == 0) {
            cr_assert_eq(nkv_lmcache_remove(lm->lm, &puts.items[i], 1, NULL), NKV_OK);
        }
    }
    atomic_store(&r.stop, true);
    T_REQUIRE(pthread_join(thread, NULL) == 0);
    cr_assert_gt(atomic_load(&r.rounds), 50);
    check_agreement(lm, &list);
    t_items_free(&puts);
    t_items_free(&list);
}

static void check_race(t_lm *lm)
{
    race_once(lm, false);
    race_once(lm, true);
}

T_LIVE(lmcache_freshness, p2_puts_and_gets_beside_another_who_deletes_and_puts)
{
    t_lm_each(server, check_race);
}

/* Another deletes while the put is under way: what this client believes afterwards is what the
 * server has, as soon as its pushes are read.  The put's own read of the metadata must not bring
 * back what is gone. */
static void check_delete_race(t_lm *lm)
{
    racer r = {.server = lm->server, .layout = lm->layout, .deletes_only = true};
    t_items list = t_items_new("k", 1);
    for (int round = 0; round < 30; round++) {
        pthread_t thread;
        atomic_store(&r.stop, false);
        T_REQUIRE(pthread_create(&thread, NULL, race, &r) == 0);
        for (int i = 0; i < 20; i++) {
            t_item_value(&list, 0, 100, 0);
            cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 1, NULL), NKV_OK);
            (void)t_lm_has(lm, key_of(&list, 0), NKV_EVENTUAL, NULL);
        }
        atomic_store(&r.stop, true);
        T_REQUIRE(pthread_join(thread, NULL) == 0);
        t_lm_sync(lm);
        const bool there = t_lm_int(lm, "EXISTS", key_of(&list, 0), lm->pair ? T_META : T_KV) == 1;
        cr_assert_eq(t_lm_has(lm, key_of(&list, 0), NKV_EVENTUAL, NULL),
                     there ? NKV_OK : NKV_NOT_FOUND, "%s, round %d", lm->name, round);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_freshness, p2_a_deletion_beside_a_put_is_not_forgotten)
{
    t_lm_each(server, check_delete_race);
}

/* ---- Expiry: P1 ------------------------------------------------------------------------------ */

/* Metadata that expires is served no longer than it lives, though no push has come yet. */
T_LIVE(lmcache_freshness, p1_expiry_ends_what_is_known)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.ttl_s = 1;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_items list = t_items_new("k", 3);
        t_items_values(&list, 100);
        const int64_t begin_ms = t_now_ms();
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 3, NULL), NKV_OK);
        const int64_t put_ms = t_now_ms(); /* all of it is gone a second from here */
        const size_t first = prefix_of(&lm, &list, NULL);
        cr_assert(first == 3 || t_now_ms() - begin_ms > 900, "%s: %zu", lm.name, first);
        while (t_now_ms() < put_ms + 1020) {
            t_sleep_ms(1);
        }
        cr_assert_eq(prefix_of(&lm, &list, NULL), 0, "%s: served after its expiry", lm.name);
        cr_assert_eq(t_lm_has(&lm, key_of(&list, 0), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* ---- Without the cache ----------------------------------------------------------------------- */

/* A client that caches nothing, or not these keys, has the same answers. */
static void use_all(t_lm *lm)
{
    t_items list = t_items_list("a b c");
    t_items_values(&list, 1000);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 2, NULL), NKV_OK, "%s", lm->name);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(prefix_of(lm, &list, NULL), 2, "%s", lm->name);
        t_items_bufs(&list, 1000);
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 3, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "++-", "%s", lm->name);
        cr_assert(t_item_has(&list, 0) && t_item_has(&list, 1), "%s", lm->name);
    }
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, 3, NULL), NKV_OK);
    cr_assert_str_eq(t_items_text(&list), "++-", "%s", lm->name);
    cr_assert_eq(prefix_of(lm, &list, NULL), 0, "%s", lm->name);
    t_items_free(&list);
}

/* All ways of looking: bit 0 keeps payloads, bit 1 verifies them. */
static nkv_lmcache_options options_of(int layout, int ways)
{
    nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    options.cache_payloads = ways & 1;
    options.verify_payload = ways >> 1;
    return options;
}

T_LIVE(lmcache_freshness, p4_without_a_cache_all_is_the_same)
{
    static const char *const prefixes[] = {"other:"};
    for (int i = 0; i < 4 * T_LM_LAYOUTS; i++) {
        const nkv_lmcache_options options = options_of(i / 4, i % 4);
        nkv_options client = t_near_options(t_server_unix_url(server));
        client.no_cache = 1;
        t_lm uncached = t_lm_open_with(server, &client, &options);
        use_all(&uncached);
        t_lm_close(&uncached);
        client = t_near_options(t_server_unix_url(server));
        client.prefixes = prefixes;
        client.prefixes_len = 1;
        t_lm filtered = t_lm_open_with(server, &client, &options);
        use_all(&filtered);
        t_lm_close(&filtered);
    }
}

/* Tracking refused: answers are the server's, every time. */
T_LIVE(lmcache_freshness, p4_without_tracking_all_is_the_same)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-client|tracking");
    nkv_options client = t_near_options(t_server_unix_url(server));
    client.username = "blind";
    client.password = "pw";
    for (int i = 0; i < 4 * T_LM_LAYOUTS; i++) {
        const nkv_lmcache_options options = options_of(i / 4, i % 4);
        t_lm lm = {.server = server, .ctl = ctl, .client = t_near_start(&client)};
        lm.layout = options.layout;
        lm.pair = options.layout != NKV_LMCACHE_SINGLE_KEY;
        lm.name = "untracked";
        cr_assert_eq(nkv_client_wait_ready(lm.client, 5000, NULL), NKV_ENOTSUP);
        lm.lm = t_lm_make(lm.client, &options);
        use_all(&lm);
        t_lm_chunk(&lm, nkv_cstr("a"), 10);
        cr_assert_eq(t_lm_has(&lm, nkv_cstr("a"), NKV_EVENTUAL, NULL), NKV_OK, "%d", i);
        (void)t_lm_int(&lm, "DEL", nkv_cstr("a"), lm.pair ? T_META : T_KV);
        cr_assert_eq(t_lm_has(&lm, nkv_cstr("a"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        nkv_lmcache_destroy(lm.lm);
        nkv_client_destroy(lm.client);
    }
    t_ctl_ok(ctl, "ACL", "DELUSER", "blind");
    t_ctl_close(ctl);
}
