/* tests/live/client/test_batches.c - many keys in one call: order, holes, duplicates, partial hits,
 * EXISTS and MGET by key, prefixes. One server's half of the acceptance case 95, and row 22 of the
 * server's behaviours (a missing key in an MGET is tracked).                                     */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

enum { BATCH_MAX = 16 };

/* Gets the keys (space-separated) and writes the answers with where each came from, as in
 * "a=1/cache b=_/server".                                                                        */
static void mget_text(nkv_client *client, const char *list, char *out, size_t room)
{
    static const char *const from[] = {"server", "cache", "joined", "local"};
    nkv_str keys[BATCH_MAX];
    nkv_result results[BATCH_MAX];
    size_t count = 0;
    for (const char *at = list; *at != '\0'; count++) {
        const size_t len = strcspn(at, " ");
        T_REQUIRE(count < BATCH_MAX);
        keys[count] = nkv_str_make(at, len);
        at += len + (at[len] == ' ');
    }
    cr_assert_eq(nkv_mget(client, keys, count, NULL, results), NKV_OK);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const nkv_str value =
            results[i].value == NULL ? nkv_cstr("_") : nkv_value_str(results[i].value);
        len += (size_t)snprintf(out + len, room - len, "%s%.*s=%.*s/%s", i > 0 ? " " : "",
                                (int)keys[i].len, keys[i].data, (int)value.len, value.data,
                                from[results[i].from]);
        T_REQUIRE(len < room);
        nkv_value_release(results[i].value);
    }
}

#define CHECK_MGET(client, list, expected)            \
    do {                                              \
        char text_[512];                              \
        mget_text(client, list, text_, sizeof text_); \
        cr_assert_str_eq(text_, expected);            \
    } while (0)

T_LIVE(client_batches, case_95_order_holes_and_duplicates_of_an_mget)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "b", "2", "d", "4");
    cr_assert(t_says(t_near_get(client, "b"), "2"));
    char text[512];
    mget_text(client, "d c b a c d", text, sizeof text);
    /* The second c and d of the same call may be told as joined or from the server. */
    static const char expected[] = "d=4/server c=_/server b=2/cache a=1/server c=_/";
    cr_assert(strncmp(text, expected, sizeof expected - 1) == 0, "%s", text);
    cr_assert_not_null(strstr(text, " d=4/"));
    cr_assert_eq(t_ctl_calls(ctl, "get"), 4, "duplicates were asked for twice");
    CHECK_MGET(client, "a b c d", "a=1/cache b=2/cache c=_/cache d=4/cache");
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batches, row_22_a_missing_key_of_an_mget_is_tracked)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "a", "1");
    CHECK_MGET(client, "a none", "a=1/server none=_/server");
    t_ctl_ok(ctl, "SET", "none", "now");
    t_near_sync(client);
    CHECK_MGET(client, "a none", "a=1/cache none=now/server");
    cr_assert(t_is(t_near(client, "MGET", "a", "none"), NKV_FROM_CACHE, "[1 now]"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The command MGET, the call nkv_mget() and GET share their answers, key by key. */
T_LIVE(client_batches, mget_as_command_is_cached_by_key)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "b", "2");
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    cr_assert(t_is(t_near(client, "MGET", "a", "none", "b"), NKV_FROM_SERVER, "[1 _ 2]"));
    cr_assert(t_is(t_near_get(client, "a"), NKV_FROM_CACHE, "1"));
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_CACHE, "_"));
    cr_assert(t_is(t_near(client, "MGET", "b", "a", "b"), NKV_FROM_CACHE, "[2 1 2]"));
    t_ctl_ok(ctl, "SET", "b", "3");
    t_near_sync(client);
    cr_assert(t_is(t_near(client, "MGET", "b", "a"), NKV_FROM_SERVER, "[3 1]"));
    /* To MGET a key of another type is no error but nil: its answer is not that of GET, which would
     * be WRONGTYPE. */
    cr_assert(t_says(t_near(client, "MGET", "a", "list"), "[1 _]"));
    cr_assert(t_failed(t_near(client, "GET", "list"), NKV_EREPLY, "WRONGTYPE"));
    cr_assert(t_says(t_near(client, "MGET", "a", "list"), "[1 _]"));
    cr_assert(t_failed(t_near(client, "GET", "list"), NKV_EREPLY, "WRONGTYPE"));
    /* A key that fails in earnest is what the failure of all is about, wherever the list stands. */
    t_ctl_ok(ctl, "ACL", "SETUSER", "some", "on", "nopass", "+@all", "~a", "~list");
    nkv_client_destroy(client);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "some";
    options.password = "any";
    client = t_near_open(&options);
    cr_assert(t_failed(t_near(client, "MGET", "list", "a", "forbidden"), NKV_EREPLY, "NOPERM"));
    cr_assert(t_says(t_near(client, "MGET", "list", "a"), "[_ 1]"));
    t_ctl_ok(ctl, "ACL", "DELUSER", "some");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* EXISTS is asked as PTTL; a user who may not ask that gets its answers all the same, uncached. */
T_LIVE(client_batches, exists_for_a_user_without_pttl)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "timeless", "on", "nopass", "~*", "+@all", "-pttl");
    t_ctl_ok(ctl, "SET", "a", "1");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "timeless";
    options.password = "any";
    nkv_client *client = t_near_open(&options);
    for (int round = 0; round < 3; round++) {
        cr_assert(t_is(t_near(client, "EXISTS", "a"), NKV_FROM_SERVER, ":1"), "round %d", round);
        cr_assert(t_is(t_near(client, "EXISTS", "b"), NKV_FROM_SERVER, ":0"), "round %d", round);
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_ok(ctl, "ACL", "DELUSER", "timeless");
    t_ctl_close(ctl);
}

T_LIVE(client_batches, exists_is_cached_by_key)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "b", "2");
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("none"), nkv_cstr("b"), nkv_cstr("a")};
    for (int round = 0; round < 2; round++) {
        nkv_result results[4];
        cr_assert_eq(nkv_exists(client, keys, 4, NULL, results), NKV_OK);
        static const nkv_status statuses[] = {NKV_OK, NKV_NOT_FOUND, NKV_OK, NKV_OK};
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(results[i].status, statuses[i], "round %d, key %d", round, i);
            cr_assert_null(results[i].value);
            cr_assert(round == 0 || results[i].from == NKV_FROM_CACHE);
        }
    }
    cr_assert(t_is(t_near(client, "EXISTS", "a", "none", "b", "a"), NKV_FROM_CACHE, ":3"));
    t_ctl_ok(ctl, "DEL", "a");
    t_near_sync(client);
    cr_assert(t_is(t_near(client, "EXISTS", "a", "b"), NKV_FROM_SERVER, ":1"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batches, prefix_stops_at_the_first_missing_key)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "p0", "x", "p1", "x", "p2", "x", "p4", "x");
    const nkv_str keys[] = {nkv_cstr("p0"), nkv_cstr("p1"), nkv_cstr("p2"), nkv_cstr("p3"),
                            nkv_cstr("p4")};
    size_t prefix = 99;
    size_t from_cache = 99;
    cr_assert_eq(nkv_prefix(client, keys, 5, NULL, &prefix, &from_cache), NKV_OK);
    cr_assert(prefix == 3 && from_cache == 0, "%zu, %zu", prefix, from_cache);
    const long long calls = t_ctl_data_calls(ctl);
    cr_assert_eq(nkv_prefix(client, keys, 5, NULL, &prefix, &from_cache), NKV_OK);
    cr_assert(prefix == 3 && from_cache == 4, "%zu, %zu", prefix, from_cache);
    cr_assert_eq(t_ctl_data_calls(ctl), calls, "a local answer costs nothing");
    t_ctl_ok(ctl, "SET", "p3", "x");
    t_near_sync(client);
    cr_assert_eq(nkv_prefix(client, keys, 5, NULL, &prefix, &from_cache), NKV_OK);
    cr_assert_eq(prefix, 5);
    t_ctl_ok(ctl, "DEL", "p0");
    t_near_sync(client);
    cr_assert_eq(nkv_prefix(client, keys, 5, NULL, &prefix, NULL), NKV_OK);
    cr_assert_eq(prefix, 0);
    cr_assert_eq(nkv_prefix(client, keys, 0, NULL, &prefix, &from_cache), NKV_OK);
    cr_assert(prefix == 0 && from_cache == 0);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batches, an_empty_batch_is_done_at_once)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    const long long calls = t_ctl_data_calls(ctl);
    cr_assert_eq(nkv_mget(client, NULL, 0, NULL, NULL), NKV_OK);
    cr_assert_eq(nkv_exists(client, NULL, 0, NULL, NULL), NKV_OK);
    cr_assert_eq(t_ctl_data_calls(ctl), calls);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* A batch of cold keys is one write to the socket. */
T_LIVE(client_batches, a_cold_batch_is_one_round_trip)
{
    nkv_client *client = t_near_open_on(server);
    const uint64_t before = t_near_stats(client).round_trips;
    char text[512];
    mget_text(client, "k1 k2 k3 k4 k5 k6 k7 k8 k9 k10", text, sizeof text);
    cr_assert_eq(t_near_stats(client).round_trips - before, 1);
    nkv_client_destroy(client);
}
