/* tests/live/client/test_filters.c - which keys may be cached: the acceptance cases 97 and 98.
 *
 * 97 is about BCAST, whose prefixes a server refuses when they overlap. In default mode a prefix is
 * only a question of ours to a key, so overlapping ones are right, and that is what is tested.   */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

T_LIVE(client_filters, case_98_only_keys_with_a_prefix_are_cached)
{
    static const char *const prefixes[] = {"user:", "shop:"};
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "MSET", "user:1", "u", "shop:1", "s", "other:1", "o", "user", "x");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.prefixes = prefixes;
    options.prefixes_len = 2;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 3; i++) {
        const nkv_from from = i == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE;
        cr_assert(t_is(t_near_get(client, "user:1"), from, "u"));
        cr_assert(t_is(t_near_get(client, "shop:1"), from, "s"));
        cr_assert(t_is(t_near_get(client, "other:1"), NKV_FROM_SERVER, "o"));
        cr_assert(t_is(t_near_get(client, "user"), NKV_FROM_SERVER, "x"));
        cr_assert(t_is(t_near_get(client, ""), NKV_FROM_SERVER, "_"));
        cr_assert(t_is(t_near(client, "STRLEN", "other:1"), NKV_FROM_SERVER, ":1"));
    }
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_FILTERED], 12);
    cr_assert_eq(t_near_stats(client).cache.keys, 2);
    cr_assert(t_near_identity(client));
    /* In a batch each key is asked about. */
    const nkv_str keys[] = {nkv_cstr("user:1"), nkv_cstr("other:1"), nkv_cstr("shop:1")};
    nkv_result results[3];
    cr_assert_eq(nkv_mget(client, keys, 3, NULL, results), NKV_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(results[i].from, i == 1 ? NKV_FROM_SERVER : NKV_FROM_CACHE);
        nkv_value_release(results[i].value);
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_filters, case_97_prefixes_may_overlap)
{
    static const char *const prefixes[] = {"a", "ab", "", "a"};
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.prefixes = prefixes;
    options.prefixes_len = 2;
    nkv_client *client = t_near_open(&options);
    cr_assert(t_is(t_near_get(client, "abc"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "abc"), NKV_FROM_CACHE, "_"));
    t_ctl_ok(ctl, "SET", "abc", "v");
    cr_assert(t_is(t_near_get_at(client, "abc", NKV_BARRIER), NKV_FROM_SERVER, "v"));
    nkv_client_destroy(client);
    options.prefixes_len = 4; /* the empty one is every key's */
    client = t_near_open(&options);
    cr_assert(t_is(t_near_get(client, "zzz"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "zzz"), NKV_FROM_CACHE, "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 98: predicate and deny list -------------------------------------------------------- */

typedef struct asked {
    int count;
    int wrong;
} asked;

/* Allows GETs of keys that do not begin with "no:". */
static int allow(nkv_str key, int argc, const nkv_str *argv, void *ud)
{
    asked *a = ud;
    a->count++;
    a->wrong += argc < 2 || argv[0].len == 0 || argv[1].len != key.len ||
                memcmp(argv[1].data, key.data, key.len) != 0;
    return argc == 2 && argv[0].len == 3 && memcmp(argv[0].data, "GET", 3) == 0 &&
           !(key.len >= 3 && memcmp(key.data, "no:", 3) == 0);
}

T_LIVE(client_filters, case_98_predicate_is_asked_about_key_and_command)
{
    t_ctl *ctl = t_ctl_open(server);
    asked a = {.count = 0};
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cacheable = allow;
    options.cacheable_ud = &a;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "MSET", "yes:1", "y", "no:1", "n");
    for (int i = 0; i < 3; i++) {
        const nkv_from from = i == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE;
        cr_assert(t_is(t_near_get(client, "yes:1"), from, "y"));
        cr_assert(t_is(t_near_get(client, "no:1"), NKV_FROM_SERVER, "n"));
        cr_assert(t_is(t_near(client, "STRLEN", "yes:1"), NKV_FROM_SERVER, ":1"));
    }
    cr_assert_gt(a.count, 0);
    cr_assert_eq(a.wrong, 0, "%d of %d questions did not fit", a.wrong, a.count);
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_FILTERED], 6);
    /* Denied commands (no predicate can allow them) are not asked about at all. */
    const int before = a.count;
    (void)t_near(client, "TTL", "yes:1");
    (void)t_near(client, "SET", "yes:1", "z");
    cr_assert_eq(a.count, before);
    cr_assert(t_says(t_near_get(client, "yes:1"), "z"), "P2 holds for filtered clients too");
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* no_cache of a call: asked at the server, counted, and nothing changes in the cache. */
T_LIVE(client_filters, no_cache_of_a_call)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    nkv_call call;
    nkv_call_init(&call);
    call.no_cache = 1;
    cr_assert(t_is(t_near_get_with(client, "k", &call), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get_with(client, "k", &call), NKV_FROM_SERVER, "v"));
    cr_assert_eq(t_near_stats(client).cache.keys, 0);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get_with(client, "k", &call), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_DISABLED], 3);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* nkv_client_invalidate() forgets one key with all its commands, nkv_client_reset() all keys. */
T_LIVE(client_filters, forgetting_by_hand)
{
    nkv_client *client = t_near_open_on(server);
    (void)t_near_get(client, "a");
    (void)t_near(client, "STRLEN", "a");
    (void)t_near_get(client, "b");
    nkv_client_invalidate(client, nkv_cstr("a"));
    cr_assert_eq(t_near(client, "STRLEN", "a").from, NKV_FROM_SERVER);
    cr_assert_eq(t_near_get(client, "a").from, NKV_FROM_SERVER);
    cr_assert_eq(t_near_get(client, "b").from, NKV_FROM_CACHE);
    nkv_client_reset(client);
    cr_assert_eq(t_near_get(client, "a").from, NKV_FROM_SERVER);
    cr_assert_eq(t_near_get(client, "b").from, NKV_FROM_SERVER);
    cr_assert_eq(t_near_get(client, "b").from, NKV_FROM_CACHE);
    nkv_client_destroy(client);
}
