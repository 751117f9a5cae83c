/* tests/live/client/test_store.c - what is kept and found again: the acceptance cases 16 to 23 and
 * 25, from the client's side.                                                                    */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

/* A command that nil answers for the first time and the second time costs nothing. */
#define CHECK_CACHED(client, ctl, text, ...)                                 \
    do {                                                                     \
        cr_assert(t_is(t_near(client, __VA_ARGS__), NKV_FROM_SERVER, text)); \
        const long long calls_ = t_ctl_data_calls(ctl);                      \
        cr_assert(t_is(t_near(client, __VA_ARGS__), NKV_FROM_CACHE, text));  \
        cr_assert(t_is(t_near(client, __VA_ARGS__), NKV_FROM_CACHE, text));  \
        cr_assert_eq(t_ctl_data_calls(ctl), calls_, "a hit sent something"); \
    } while (0)

T_LIVE(client_store, case_16_fields_of_a_hash_are_told_apart)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "HSET", "h", "f1", "v1", "f2", "v2");
    CHECK_CACHED(client, ctl, "v1", "HGET", "h", "f1");
    CHECK_CACHED(client, ctl, "v2", "HGET", "h", "f2");
    CHECK_CACHED(client, ctl, "_", "HGET", "h", "f3");
    cr_assert(t_is(t_near(client, "HGET", "h", "f1"), NKV_FROM_CACHE, "v1"));
    t_ctl_ok(ctl, "HSET", "h", "f2", "w2"); /* one push for the key drops every field of it */
    t_near_sync(client);
    cr_assert(t_is(t_near(client, "HGET", "h", "f2"), NKV_FROM_SERVER, "w2"));
    cr_assert(t_is(t_near(client, "HGET", "h", "f1"), NKV_FROM_SERVER, "v1"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Arguments that make the same bytes when they are put together are different arguments. */
T_LIVE(client_store, case_17_arguments_do_not_run_together)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "HSET", "h", "a", "1", "bc", "2", "ab", "3", "c", "4");
    cr_assert(t_is(t_near(client, "HMGET", "h", "a", "bc"), NKV_FROM_SERVER, "[1 2]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "ab", "c"), NKV_FROM_SERVER, "[3 4]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "abc"), NKV_FROM_SERVER, "[_]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "a", "", "bc"), NKV_FROM_SERVER, "[1 _ 2]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "a", "bc", ""), NKV_FROM_SERVER, "[1 2 _]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "a", "bc"), NKV_FROM_CACHE, "[1 2]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "ab", "c"), NKV_FROM_CACHE, "[3 4]"));
    cr_assert(t_is(t_near(client, "HMGET", "h", "abc"), NKV_FROM_CACHE, "[_]"));
    /* What looks like a length prefix, and key and argument exchanged. */
    t_ctl_ok(ctl, "HSET", "1:a", "x", "5");
    cr_assert(t_is(t_near(client, "HGET", "1:a", "x"), NKV_FROM_SERVER, "5"));
    cr_assert(t_is(t_near(client, "HGET", "x", "1:a"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near(client, "HGET", "1", ":ax"), NKV_FROM_SERVER, "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The same command in another spelling is the same; another command of the same arguments is not.
 */
T_LIVE(client_store, case_17_command_names_have_no_case_and_are_told_apart)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "HSET", "h", "f", "12345");
    cr_assert(t_is(t_near(client, "HGET", "h", "f"), NKV_FROM_SERVER, "12345"));
    cr_assert(t_is(t_near(client, "hGet", "h", "f"), NKV_FROM_CACHE, "12345"));
    cr_assert(t_is(t_near(client, "HSTRLEN", "h", "f"), NKV_FROM_SERVER, ":5"));
    cr_assert(t_is(t_near(client, "HEXISTS", "h", "f"), NKV_FROM_SERVER, ":1"));
    cr_assert(t_is(t_near(client, "hstrlen", "h", "f"), NKV_FROM_CACHE, ":5"));
    cr_assert(t_is(t_near(client, "get", "none"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_CACHE, "_"), "nkv_get is not GET");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 18: any bytes ---------------------------------------------------------------------- */

static void check_bytes(nkv_client *client, t_ctl *ctl, t_arg key, t_arg value)
{
    const t_arg set[] = {T_ARG("SET"), key, value};
    freeReplyObject(t_ctl_args(ctl, 3, set));
    for (int i = 0; i < 2; i++) {
        nkv_call call;
        nkv_call_init(&call);
        nkv_value *got = NULL;
        cr_assert_eq(nkv_get(client, nkv_str_make(key.bytes, key.len), &call, &got), NKV_OK);
        cr_assert_eq(call.from, i == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE);
        const nkv_str bytes = nkv_value_str(got);
        cr_assert(t_same_bytes("value", bytes.data, bytes.len, value.bytes, value.len));
        cr_assert_eq(bytes.data[bytes.len], '\0');
        nkv_value_release(got);
    }
}

T_LIVE(client_store, case_18_keys_and_values_are_any_bytes)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    check_bytes(client, ctl, T_ARG("a\0b"), T_ARG("\0"));
    check_bytes(client, ctl, T_ARG("a\0c"), T_ARG("\0\0"));
    check_bytes(client, ctl, T_ARG("\r\n$3\r\nfoo\r\n"), T_ARG("\r\n-ERR no\r\n"));
    check_bytes(client, ctl, T_ARG("\xff\xfe\x80%s%n"), T_ARG("\xff%d"));
    char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    check_bytes(client, ctl, T_ARG_BYTES(all, 256), T_ARG_BYTES(all, 256));
    char long_key[5000];
    memset(long_key, 'x', sizeof long_key);
    check_bytes(client, ctl, T_ARG_BYTES(long_key, sizeof long_key), T_ARG("long"));
    /* A push for one of them drops that one. */
    const t_arg set[] = {T_ARG("SET"), T_ARG("a\0b"), T_ARG("new")};
    freeReplyObject(t_ctl_args(ctl, 3, set));
    t_near_sync(client);
    nkv_call call;
    nkv_call_init(&call);
    nkv_value *got = NULL;
    cr_assert_eq(nkv_get(client, nkv_str_make("a\0b", 3), &call, &got), NKV_OK);
    cr_assert(call.from == NKV_FROM_SERVER && nkv_value_str(got).len == 3);
    nkv_value_release(got);
    cr_assert_eq(nkv_get(client, nkv_str_make("a\0c", 3), &call, &got), NKV_OK);
    cr_assert(call.from == NKV_FROM_CACHE && nkv_value_str(got).len == 2);
    nkv_value_release(got);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_store, case_19_empty_key_and_empty_value_are_hits)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    check_bytes(client, ctl, T_ARG(""), T_ARG("of the empty key"));
    check_bytes(client, ctl, T_ARG("empty"), T_ARG(""));
    t_ctl_ok(ctl, "SET", "", "");
    t_near_sync(client);
    CHECK_CACHED(client, ctl, "", "GET", "");
    cr_assert_eq(t_near_set(client, "", "x"), NKV_OK);
    cr_assert(t_says(t_near_get(client, ""), "x"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_store, case_20_answers_that_look_like_nothing_are_hits)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "empty", "");
    CHECK_CACHED(client, ctl, "_", "GET", "none");
    CHECK_CACHED(client, ctl, "", "GET", "empty");
    CHECK_CACHED(client, ctl, ":0", "STRLEN", "empty");
    CHECK_CACHED(client, ctl, ":0", "LLEN", "nolist");
    CHECK_CACHED(client, ctl, "[]", "LRANGE", "nolist", "0", "-1");
    CHECK_CACHED(client, ctl, "{}", "HGETALL", "nohash");
    CHECK_CACHED(client, ctl, "~[]", "SMEMBERS", "noset");
    CHECK_CACHED(client, ctl, ":0", "EXISTS", "nokey");
    CHECK_CACHED(client, ctl, "+none", "TYPE", "nokey");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The limit counts keys, not commands. */
T_LIVE(client_store, case_21_two_commands_on_one_key_fit_keys_max_1)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.keys_max = 1;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "12345");
    cr_assert(t_is(t_near(client, "GET", "k"), NKV_FROM_SERVER, "12345"));
    cr_assert(t_is(t_near(client, "STRLEN", "k"), NKV_FROM_SERVER, ":5"));
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near(client, "GET", "k"), NKV_FROM_CACHE, "12345"));
        cr_assert(t_is(t_near(client, "STRLEN", "k"), NKV_FROM_CACHE, ":5"));
    }
    cr_assert_eq(t_near_stats(client).cache.keys, 1);
    cr_assert(t_says(t_near(client, "GET", "other"), "_"));
    cr_assert_eq(t_near_stats(client).cache.keys, 1, "P5: bounded at any instant");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Cases 22, 23, 25: limits ---------------------------------------------------------------- */

enum { MANY = 100000, BATCH = 1000 };

/* Asks for MANY keys, a thousand at a time; returns how many the cache answered. */
static size_t read_many(nkv_client *client)
{
    static char keys[BATCH][24];
    static nkv_str names[BATCH];
    static nkv_result results[BATCH];
    size_t hits = 0;
    for (int begin = 0; begin < MANY; begin += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            (void)snprintf(keys[i], sizeof keys[i], "key:%d", begin + i);
            names[i] = nkv_cstr(keys[i]);
        }
        cr_assert_eq(nkv_mget(client, names, BATCH, NULL, results), NKV_OK);
        for (int i = 0; i < BATCH; i++) {
            cr_assert_eq(results[i].status, NKV_NOT_FOUND);
            cr_assert_null(results[i].value);
            hits += results[i].from == NKV_FROM_CACHE;
        }
    }
    return hits;
}

T_LIVE(client_store, case_22_keys_max_minus_1_holds_1e5_keys)
{
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.keys_max = -1;
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(read_many(client), 0);
    cr_assert_eq(read_many(client), MANY);
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.cache.keys, MANY);
    cr_assert_eq(stats.cache.evictions, 0);
    nkv_client_destroy(client);
}

T_LIVE(client_store, case_23_keys_max_0_caches_nothing)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.keys_max = 0;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    }
    cr_assert_eq(t_ctl_calls(ctl, "get"), 3);
    const nkv_stats stats = t_near_stats(client);
    cr_assert(stats.hits == 0 && stats.cache.keys == 0 && stats.cache.bytes == 0);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_store, case_23_bytes_max_0_and_no_cache_cache_nothing)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.bytes_max = 0;
    nkv_client *client = t_near_open(&options);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);

    options = t_near_options(t_server_unix_url(server));
    options.no_cache = 1;
    client = t_near_start(&options);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert_null(nkv_client_cache(client));
    cr_assert_eq(t_ctl_tracking_clients(ctl), 0, "tracks though it does not cache");
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_DISABLED], 2);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* P5: what is too large is handed over and not kept, and throws nothing else out. */
T_LIVE(client_store, case_25_an_answer_too_large_is_returned_not_stored)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.entry_bytes_max = 10000;
    options.cache_options.bytes_max = 1 << 20;
    nkv_client *client = t_near_open(&options);
    char *big = malloc(100001);
    T_REQUIRE(big != NULL);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    t_ctl_ok(ctl, "SET", "big", big);
    t_ctl_ok(ctl, "SET", "small", "v");
    cr_assert(t_says(t_near_get(client, "small"), "v"));
    for (int i = 0; i < 2; i++) {
        nkv_call call;
        nkv_call_init(&call);
        nkv_value *value = NULL;
        cr_assert_eq(nkv_get(client, nkv_cstr("big"), &call, &value), NKV_OK);
        cr_assert_eq(call.from, NKV_FROM_SERVER);
        const nkv_str got = nkv_value_str(value);
        cr_assert(t_same_bytes("big", got.data, got.len, big, 100000));
        nkv_value_release(value);
    }
    cr_assert(t_is(t_near_get(client, "small"), NKV_FROM_CACHE, "v"));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.cache.keys, 1);
    cr_assert_leq(stats.cache.bytes, 1 << 20); /* spare buffers are within it, too */
    cr_assert_eq(stats.cache.puts_refused, 2);
    cr_assert(t_near_identity(client));
    free(big);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Right also when there is room for nothing (seed's max_size test). */
T_LIVE(client_store, case_02_bytes_max_1_answers_right)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.bytes_max = 1;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 2; i++) {
        cr_assert(t_says(t_near_get(client, "none"), "_"));
        t_ctl_ok(ctl, "SET", "k", "v");
        cr_assert(t_says(t_near_get(client, "k"), "v"));
        cr_assert_leq(t_near_stats(client).cache.bytes, 1);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Two keys alternate in a cache of one; both expire. */
T_LIVE(client_store, case_03_eviction_with_keys_max_1)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache_options.keys_max = 1;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "fubar", "1");
    t_ctl_ok(ctl, "SET", "barbar", "2");
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "1"));
        cr_assert(t_is(t_near_get(client, "barbar"), NKV_FROM_SERVER, "2"));
        cr_assert(t_is(t_near_get(client, "barbar"), NKV_FROM_CACHE, "2"));
    }
    t_ctl_ok(ctl, "PEXPIRE", "fubar", "1");
    t_ctl_ok(ctl, "PEXPIRE", "barbar", "1");
    t_near_sync(client);
    t_sleep_ms(5);
    cr_assert(t_says(t_near_get(client, "fubar"), "_"));
    cr_assert(t_says(t_near_get(client, "barbar"), "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
