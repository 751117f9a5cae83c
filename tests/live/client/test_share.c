/* tests/live/client/test_share.c - one cache, several clients: the acceptance cases 9 and 101 (I1).
 */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

enum { CLONES = 5 };

static nkv_client *share(nkv_client *client)
{
    nkv_client *clone = NULL;
    nkv_error error = {.status = NKV_OK};
    cr_assert_eq(nkv_client_share(client, &clone, &error), NKV_OK, "%s", error.text);
    cr_assert_eq(nkv_client_wait_ready(clone, 5000, &error), NKV_OK, "%s", error.text);
    return clone;
}

T_LIVE(client_share, case_09_five_clones_cost_no_request)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    nkv_client *clones[CLONES];
    for (int i = 0; i < CLONES; i++) {
        clones[i] = share(client);
        cr_assert_eq(nkv_client_space(clones[i]), nkv_client_space(client));
    }
    t_ctl_ok(ctl, "SET", "fubar", "test");
    cr_assert(t_is(t_near_get(client, "fubar"), NKV_FROM_SERVER, "test"));
    const long long gets = t_ctl_calls(ctl, "get");
    for (int i = 0; i < CLONES; i++) {
        cr_assert(t_is(t_near_get(clones[i], "fubar"), NKV_FROM_CACHE, "test"), "clone %d", i);
    }
    cr_assert_eq(t_ctl_calls(ctl, "get"), gets);
    t_ctl_ok(ctl, "SET", "fubar", "newer");
    t_near_sync(client); /* it asked, so it is told; the entry is everybody's */
    for (int i = 0; i < CLONES; i++) {
        cr_assert(t_says(t_near_get(clones[i], "fubar"), "newer"), "clone %d", i);
    }
    cr_assert_lt(t_ctl_calls(ctl, "get") - gets, CLONES);
    for (int i = 0; i < CLONES; i++) {
        nkv_client_destroy(clones[i]);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* A BARRIER read through one client pings the connection that vouches for the entry, even if that
 * is another client's: a barrier on the own connection would prove nothing about it.             */
T_LIVE(client_share, p3_barrier_on_an_entry_of_another_client)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *filler = t_near_open(&options);
    nkv_client *reader = share(filler);
    for (int i = 0; i < 300; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        (void)t_near_get(filler, "k");
        t_ctl_ok(ctl, "SET", "k", value);
        cr_assert(t_says(t_near_get_at(reader, "k", NKV_BARRIER), value), "round %d", i);
    }
    nkv_client_destroy(reader);
    nkv_client_destroy(filler);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* The same with the filler's connection deaf: its pushes are on their way for ever. */
T_LIVE(client_share, p3_barrier_when_the_other_clients_connection_is_late)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *filler = t_near_open(&options);
    const int held = t_proxy_accepted(proxy);
    t_ctl_ok(ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(filler, "k"), "old"));
    nkv_client *reader = share(filler);
    for (int conn = 1; conn <= held; conn++) {
        t_proxy_hold(proxy, conn, T_TO_CLIENT);
    }
    t_ctl_ok(ctl, "SET", "k", "new"); /* acknowledged, and the filler is not told */
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    call.timeout_ms = 500;
    const t_answer answer = t_near_get_with(reader, "k", &call);
    cr_assert(answer.status < 0 || strcmp(answer.text, "new") == 0, "P3: stale \"%s\"",
              answer.text);
    for (int conn = 1; conn <= held; conn++) {
        t_proxy_release(proxy, conn, T_TO_CLIENT);
    }
    cr_assert(t_says(t_near_get_at(reader, "k", NKV_BARRIER), "new"));
    nkv_client_destroy(reader);
    nkv_client_destroy(filler);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* What a client vouched for goes with it; what the others did stays. */
T_LIVE(client_share, i1_case_101_shutdown_of_one_client)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *first = t_near_open_on(server);
    nkv_client *second = share(first);
    t_ctl_ok(ctl, "MSET", "one", "1", "two", "2");
    cr_assert(t_is(t_near_get(first, "one"), NKV_FROM_SERVER, "1"));
    cr_assert(t_is(t_near_get(second, "two"), NKV_FROM_SERVER, "2"));
    cr_assert(t_is(t_near_get(second, "one"), NKV_FROM_CACHE, "1"));
    nkv_client_destroy(first);
    t_ctl_ok(ctl, "SET", "one", "changed"); /* whose reader is gone: nobody is told */
    cr_assert(t_is(t_near_get(second, "one"), NKV_FROM_SERVER, "changed"), "I1: nobody vouches");
    cr_assert(t_is(t_near_get(second, "two"), NKV_FROM_CACHE, "2"), "the other's went, too");
    nkv_client_destroy(second);
    t_ctl_close(ctl);
}

/* The cache outlives its clients; a client that comes later finds nothing that nobody vouches for.
 */
T_LIVE(client_share, i1_case_101_a_cache_without_clients_serves_nothing)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_cache *cache = NULL;
    cr_assert_eq(nkv_cache_create(NULL, &cache, NULL), NKV_OK);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache = cache;
    nkv_value *held = NULL;
    for (int i = 0; i < 5; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "SET", "k", value);
        nkv_client *client = t_near_open(&options);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, value), "round %d", i);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, value));
        nkv_value_release(held);
        cr_assert_eq(nkv_get(client, nkv_cstr("k"), NULL, &held), NKV_OK);
        nkv_client_destroy(client);
        cr_assert_str_eq(nkv_value_str(held).data, value, "P6: it outlives the client");
    }
    nkv_cache_release(cache);
    cr_assert_str_eq(nkv_value_str(held).data, "4", "P6: it outlives the cache");
    nkv_value_release(held);
    t_ctl_close(ctl);
}

/* One client's connection is lost: the other's entries are served on, its own are not. */
T_LIVE(client_share, i1_case_101_connection_loss_of_one_client)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *first = t_near_open_on(server);
    nkv_client *second = share(first);
    t_ctl_ok(ctl, "MSET", "one", "1", "two", "2");
    cr_assert(t_says(t_near_get(first, "one"), "1"));
    cr_assert(t_says(t_near_get(second, "two"), "2"));
    const nkv_node_health before = t_near_node(first);
    cr_assert_eq(t_ctl_kill_id(ctl, before.client_id), 1);
    t_ctl_ok(ctl, "SET", "one", "changed");
    T_WAIT_UNTIL(t_near_node(first).generation > before.generation, 5000);
    cr_assert(t_is(t_near_get(second, "one"), NKV_FROM_SERVER, "changed"));
    cr_assert(t_is(t_near_get(first, "two"), NKV_FROM_CACHE, "2"));
    nkv_client_destroy(second);
    nkv_client_destroy(first);
    t_ctl_close(ctl);
}

/* A write of ours is one invalidation of one key, however many databases share the cache. */
T_LIVE(client_share, a_write_counts_once_whatever_else_shares_the_cache)
{
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_create(NULL, &cache, NULL), NKV_OK);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache = cache;
    nkv_client *zero = t_near_open(&options);
    options.db = 1;
    nkv_client *one = t_near_open(&options);
    cr_assert_eq(nkv_set(zero, nkv_cstr("k"), nkv_cstr("v"), 0, NULL), NKV_OK);
    nkv_cache_stats stats;
    nkv_cache_get_stats(cache, &stats);
    cr_assert_eq(stats.invalidations, 1);
    nkv_client_destroy(one);
    nkv_client_destroy(zero);
    nkv_cache_release(cache);
}

/* Caches of two servers never mix, though a user gives both the same one. */
T_LIVE_PRIVATE(client_share, case_101_two_servers_in_one_cache)
{
    t_server *servers[2] = {t_server_launch(&(t_server_options){.kind = kind}),
                            t_server_launch(&(t_server_options){.kind = kind})};
    nkv_cache *cache = NULL;
    cr_assert_eq(nkv_cache_create(NULL, &cache, NULL), NKV_OK);
    nkv_client *clients[2];
    for (int i = 0; i < 2; i++) {
        t_server_wait_ready(servers[i]);
        nkv_options options = t_near_options(t_server_unix_url(servers[i]));
        options.cache = cache;
        clients[i] = t_near_open(&options);
    }
    cr_assert_eq(t_near_set(clients[0], "k", "of 0"), NKV_OK);
    cr_assert_eq(t_near_set(clients[1], "k", "of 1"), NKV_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert(t_says(t_near_get(clients[0], "k"), "of 0"));
        cr_assert(t_says(t_near_get(clients[1], "k"), "of 1"));
    }
    cr_assert(t_is(t_near_get(clients[0], "k"), NKV_FROM_CACHE, "of 0"));
    cr_assert(t_is(t_near_get(clients[1], "k"), NKV_FROM_CACHE, "of 1"));
    cr_assert(t_says(t_near(clients[0], "FLUSHALL"), "+OK"));
    cr_assert(t_says(t_near_get(clients[0], "k"), "_"));
    cr_assert(t_says(t_near_get(clients[1], "k"), "of 1"));
    for (int i = 0; i < 2; i++) {
        nkv_client_destroy(clients[i]);
        t_server_stop(servers[i]);
    }
    nkv_cache_release(cache);
}
