/* tests/live/client/test_server_facts.c - what servers really do: the acceptance cases 71 to 76,
 * and rows 3, 4, 5, 18 and 20 of their measured behaviours. (Row 9 is about BCAST, which this
 * client does not use; rows 6 and 8 are in test_own_writes.c, 21 is case 73, 22 in test_batches.c,
 * 23 in test_ttl.c.) */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

/* ---- Case 71: flushes ------------------------------------------------------------------------ */

typedef void (*flush_fn)(t_ctl *ctl);

static void flushall(t_ctl *ctl)
{
    t_ctl_ok(ctl, "FLUSHALL");
}

static void flushdb(t_ctl *ctl)
{
    t_ctl_ok(ctl, "FLUSHDB");
}

static void flushall_async(t_ctl *ctl)
{
    t_ctl_ok(ctl, "FLUSHALL", "ASYNC");
}

static void flush_in_multi(t_ctl *ctl)
{
    t_ctl_ok(ctl, "MULTI");
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "SET", "k", "_");
    t_ctl_ok(ctl, "DEL", "k");
    t_ctl_ok(ctl, "EXEC");
}

static void flush_ten_times(t_ctl *ctl)
{
    for (int i = 0; i < 10; i++) {
        t_ctl_ok(ctl, "FLUSHALL");
    }
}

static void flush_with_resp3(t_ctl *ctl)
{
    t_ctl_ok(ctl, "HELLO", "3");
    t_ctl_ok(ctl, "FLUSHDB");
    t_ctl_ok(ctl, "HELLO", "2");
}

T_LIVE(client_server_facts, i4_case_71_every_flush_empties_the_cache)
{
    static const flush_fn flushes[] = {flushall,       flushdb,         flushall_async,
                                       flush_in_multi, flush_ten_times, flush_with_resp3};
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < sizeof flushes / sizeof flushes[0]; i++) {
        t_ctl_ok(ctl, "SET", "k", "v");
        t_near_sync(client);
        cr_assert(t_says(t_near_get(client, "k"), "v"));
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
        const uint64_t before = t_near_stats(client).flushes;
        flushes[i](ctl);
        t_near_sync(client);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "_"), "flush %zu", i);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "_"), "flush %zu", i);
        cr_assert_gt(t_near_stats(client).flushes, before);
    }
    cr_assert(t_near_healthy(client), "a flush is no loss");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The null push names no database: flushing another one drops ours, and nothing is wrong after. */
T_LIVE(client_server_facts, i4_case_71_flush_of_another_database)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_ctl_ok(ctl, "SELECT", "5");
    t_ctl_ok(ctl, "FLUSHDB");
    t_near_sync(client);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_server_facts, p2_case_71_own_flush_is_seen_at_once)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    static const char *const own[][3] = {
        {"FLUSHALL", NULL}, {"FLUSHDB", NULL}, {"FLUSHALL", "SYNC", NULL}};
    for (int i = 0; i < 30; i++) {
        t_ctl_ok(ctl, "SET", "k", "v");
        t_near_sync(client);
        cr_assert(t_says(t_near_get(client, "k"), "v"));
        cr_assert(t_says(t_near_argv(client, NULL, own[i % 3]), "+OK"));
        cr_assert(t_says(t_near_get(client, "k"), "_"));
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 72: SWAPDB ------------------------------------------------------------------------- */

T_LIVE(client_server_facts, case_72_own_swapdb_flushes)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "zero");
    t_ctl_ok(ctl, "SELECT", "1");
    t_ctl_ok(ctl, "SET", "k", "one");
    t_near_sync(client);
    cr_assert(t_says(t_near_get(client, "k"), "zero"));
    cr_assert(t_says(t_near(client, "SWAPDB", "0", "1"), "+OK"));
    cr_assert(t_says(t_near_get(client, "k"), "one"));
    cr_assert(t_says(t_near(client, "SWAPDB", "1", "0"), "+OK"));
    cr_assert(t_says(t_near_get(client, "k"), "zero"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Of a foreign SWAPDB the server tells nobody (a known hole of its own): max_ttl bounds it. */
T_LIVE(client_server_facts, p1_case_72_foreign_swapdb_is_bounded_by_max_ttl)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.max_ttl_ms = 200;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "zero");
    t_ctl_ok(ctl, "SELECT", "1");
    t_ctl_ok(ctl, "SET", "k", "one");
    t_near_sync(client);
    cr_assert(t_says(t_near_get(client, "k"), "zero"));
    t_ctl_ok(ctl, "SWAPDB", "0", "1");
    const int64_t swapped_ms = t_now_ms();
    while (t_now_ms() <= swapped_ms + 200) {
        (void)t_near_get(client, "k");
    }
    cr_assert(t_says(t_near_get(client, "k"), "one"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 73: a tracking table that is too small (row 21) ------------------------------------ */

T_LIVE(client_server_facts, case_73_tracking_table_of_one_key)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_config_set(ctl, "tracking-table-max-keys", "1");
    t_events *events = t_events_new();
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.on_event = t_events_take;
    options.on_event_ud = events;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 50; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "MSET", "a", value, "b", value, "c", value);
        cr_assert(t_says(t_near_get_at(client, "a", NKV_BARRIER), value));
        cr_assert(t_says(t_near_get_at(client, "b", NKV_BARRIER), value));
        cr_assert(t_says(t_near_get_at(client, "c", NKV_BARRIER), value));
        for (int k = 0; k < 3; k++) { /* nobody writes: whatever is pushed now is spurious */
            cr_assert(t_says(t_near_get(client, "a"), value));
            cr_assert(t_says(t_near_get(client, "b"), value));
            cr_assert(t_says(t_near_get(client, "c"), value));
        }
    }
    cr_assert_gt(t_near_stats(client).spurious, 0);
    if (t_events_wait(events, 0, NKV_EVENT_PRESSURE, 2000) < 0) {
        t_events_print(events);
        cr_assert(false, "nobody is told that the table is too small");
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_events_free(events);
    t_ctl_close(ctl);
}

/* ---- Case 74: databases (row 18) ------------------------------------------------------------- */

T_LIVE(client_server_facts, case_74_the_same_key_in_two_databases_of_one_cache)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    nkv_client *zero = t_near_open(&options);
    options.db = 2;
    options.cache = nkv_client_cache(zero);
    nkv_client *two = t_near_open(&options);
    cr_assert_neq(nkv_client_space(zero), nkv_client_space(two));
    t_ctl_ok(ctl, "SET", "k", "in 0");
    cr_assert(t_is(t_near_get(zero, "k"), NKV_FROM_SERVER, "in 0"));
    cr_assert(t_is(t_near_get(two, "k"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(zero, "k"), NKV_FROM_CACHE, "in 0"));
    cr_assert(t_is(t_near_get(two, "k"), NKV_FROM_CACHE, "_"));
    cr_assert_eq(t_near_set(two, "k", "in 2"), NKV_OK);
    cr_assert(t_says(t_near_get(two, "k"), "in 2"));
    t_near_sync(zero); /* the push does not tell the database: dropping too much is right */
    cr_assert(t_says(t_near_get(zero, "k"), "in 0"));
    t_ctl_ok(ctl, "SET", "k", "new in 0");
    t_near_sync(zero);
    t_near_sync(two);
    cr_assert(t_says(t_near_get(zero, "k"), "new in 0"));
    cr_assert(t_says(t_near_get(two, "k"), "in 2"));
    nkv_cache_release(options.cache);
    nkv_client_destroy(two);
    nkv_client_destroy(zero);
    t_ctl_close(ctl);
}

/* The same server as another user, who may see other keys: answers do not pass over. */
T_LIVE(client_server_facts, case_74_users_of_one_cache_do_not_share_answers)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "bob", "on", ">pw", "+@all", "~public:*", "&*");
    t_ctl_ok(ctl, "SET", "private:k", "secret");
    nkv_options options = t_near_options(t_server_unix_url(server));
    nkv_client *all = t_near_open(&options);
    options.username = "bob";
    options.password = "pw";
    options.cache = nkv_client_cache(all);
    nkv_client *bob = t_near_open(&options);
    cr_assert(t_says(t_near_get(all, "private:k"), "secret"));
    cr_assert(t_failed(t_near_get(bob, "private:k"), NKV_EREPLY, "NOPERM"));
    cr_assert(t_is(t_near_get(all, "private:k"), NKV_FROM_CACHE, "secret"));
    cr_assert_neq(nkv_client_space(all), nkv_client_space(bob));
    nkv_cache_release(options.cache);
    nkv_client_destroy(bob);
    nkv_client_destroy(all);
    t_ctl_close(ctl);
}

/* ---- Cases 75, 76 ---------------------------------------------------------------------------- */

/* The server evicts cached keys for room: each that is gone there is gone here. */
T_LIVE_PRIVATE(client_server_facts, case_75_eviction_at_the_server_is_pushed)
{
    static const char *const args[] = {"--maxmemory-policy", "allkeys-random", NULL};
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .args = args});
    t_ctl *ctl = t_ctl_open(server);
    char *value = t_format("%01000d", 7);
    char key[24];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        t_ctl_ok(ctl, "SET", key, value);
    }
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_near_get(client, key).status == NKV_OK);
    }
    const long long used = t_ctl_info_int(ctl, "memory", "used_memory");
    char limit[32];
    (void)snprintf(limit, sizeof limit, "%lld", used + 50000);
    t_ctl_config_set(ctl, "maxmemory", limit);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "x%d", i);
        (void)t_ctl_try(ctl, "SET", key, value);
    }
    cr_assert_gt(t_ctl_info_int(ctl, "stats", "evicted_keys"), 0);
    t_ctl_config_set(ctl, "maxmemory", "0");
    t_near_sync(client);
    int gone = 0;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        const bool exists = t_ctl_int(ctl, "EXISTS", key) == 1;
        const t_answer answer = t_near_get(client, key);
        cr_assert_eq(answer.status == NKV_OK, exists, "%s", key);
        gone += !exists;
    }
    cr_assert_gt(gone, 0, "nothing that was cached was evicted");
    free(value);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* Row 5: a read that ends in WRONGTYPE is tracked by the server; no trace of it stays here. */
T_LIVE(client_server_facts, i9_case_76_wrongtype_leaves_nothing_behind)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 20; i++) {
        t_ctl_ok(ctl, "DEL", "k");
        t_ctl_ok(ctl, "HSET", "k", "f", "v");
        t_near_sync(client);
        cr_assert(t_failed(t_near_get(client, "k"), NKV_EREPLY, "WRONGTYPE"));
        cr_assert(t_says(t_near(client, "HGET", "k", "f"), "v"));
        cr_assert(t_failed(t_near_get(client, "k"), NKV_EREPLY, "WRONGTYPE"));
        cr_assert(t_is(t_near(client, "HGET", "k", "f"), NKV_FROM_CACHE, "v"));
        t_ctl_ok(ctl, "DEL", "k");
        t_ctl_ok(ctl, "SET", "k", "text");
        t_near_sync(client);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "text"));
        cr_assert(t_failed(t_near(client, "HGET", "k", "f"), NKV_EREPLY, "WRONGTYPE"));
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "text"));
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Rows 3, 4: what is pushed and what is not ----------------------------------------------- */

T_LIVE(client_server_facts, row_3_pushes_without_a_change_drop_and_nothing_more)
{
    static const char *const touching[][6] = {
        {"EXPIRE", "k", "1000", NULL},      {"PERSIST", "k", NULL},
        {"GETEX", "k", "EX", "1000", NULL}, {"SET", "k", "v", NULL},
        {"RENAME", "k", "k2", NULL},        {"RENAME", "k2", "k", NULL},
    };
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    for (size_t i = 0; i < sizeof touching / sizeof touching[0]; i++) {
        (void)t_near_get(client, "k");
        (void)t_near_get(client, "k2");
        cr_assert_eq(t_near_get(client, "k").from, NKV_FROM_CACHE);
        t_ctl_ok_argv(ctl, touching[i]);
        t_near_sync(client);
        const char *there = i == 4 ? "_" : "v";
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, there), "%s", touching[i][0]);
        cr_assert(t_says(t_near_get(client, "k2"), i == 4 ? "v" : "_"), "%s", touching[i][0]);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_server_facts, row_4_no_push_no_drop)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert(t_says(t_near_get(client, "none"), "_"));
    t_ctl_ok(ctl, "DEL", "none");
    t_ctl_ok(ctl, "PERSIST", "k");
    t_ctl_ok(ctl, "TOUCH", "k");
    t_ctl_ok(ctl, "GET", "k");
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_CACHE, "_"));
    cr_assert_eq(t_near_stats(client).invalidations, 0);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Row 20: the pushes of a foreign transaction come behind all of it; after its acknowledgement a
 * barrier read sees all its writes.                                                              */
T_LIVE(client_server_facts, row_20_foreign_transactions_are_seen_whole)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 200; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        cr_assert(t_near_get(client, "k").status >= 0);
        cr_assert(t_near_get(client, "other").status >= 0);
        t_ctl_ok(ctl, "MULTI");
        t_ctl_ok(ctl, "SET", "k", value);
        t_ctl_ok(ctl, "GET", "k");
        t_ctl_ok(ctl, "SET", "other", value);
        t_ctl_ok(ctl, "EXEC");
        cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), value));
        cr_assert(t_says(t_near_get(client, "other"), value), "the barrier covers every key");
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
