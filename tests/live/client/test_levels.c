/* tests/live/client/test_levels.c - P3: EVENTUAL, DRAIN and BARRIER; the acceptance case 54 in
 * default mode (stress_client_barrier.c goes on for longer).                                     */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

/* Each round is one acknowledged write of somebody else to ten keys, then one BARRIER read of all
 * ten: 2 000 rounds are 20 000 reads.                                                            */
T_LIVE(client_levels, p3_case_54_barrier_sees_every_acknowledged_write)
{
    enum { KEYS = 10, ROUNDS = 2000 };
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    char names[KEYS][24];
    nkv_str keys[KEYS];
    const char *argv[KEYS * 2 + 2] = {"MSET"};
    char value[24];
    for (int k = 0; k < KEYS; k++) {
        (void)snprintf(names[k], sizeof names[k], "k%d", k);
        keys[k] = nkv_cstr(names[k]);
        argv[1 + 2 * k] = names[k];
        argv[2 + 2 * k] = value;
    }
    int stale = 0;
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok_argv(ctl, argv);
        nkv_result results[KEYS];
        nkv_call call;
        nkv_call_init(&call);
        call.level = NKV_BARRIER;
        cr_assert_eq(nkv_mget(client, keys, KEYS, &call, results), NKV_OK);
        for (int k = 0; k < KEYS; k++) {
            const nkv_str got = nkv_value_str(results[k].value);
            stale += got.len != strlen(value) || memcmp(got.data, value, got.len) != 0;
            nkv_value_release(results[k].value);
        }
    }
    cr_assert_eq(stale, 0, "%d of %d reads stale", stale, KEYS * ROUNDS);
    cr_assert_geq(t_near_stats(client).barriers, 1);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Single reads: one key, commands other than GET, EXISTS and prefixes have the level too. */
T_LIVE(client_levels, p3_case_54_barrier_of_every_kind_of_read)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    nkv_call call;
    nkv_call_init(&call);
    for (int i = 0; i < 300; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "HSET", "h", "f", value);
        call.level = NKV_BARRIER;
        cr_assert(t_says(t_near_with(client, &call, "HGET", "h", "f"), value));
        t_ctl_ok(ctl, "SET", "k", value);
        cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), value));
        t_ctl_ok(ctl, i % 2 != 0 ? "SETNX" : "DEL", "e", i % 2 != 0 ? "x" : "none");
        const nkv_str keys[] = {nkv_cstr("e")};
        nkv_result result;
        cr_assert_eq(nkv_exists(client, keys, 1, &call, &result), NKV_OK);
        cr_assert_eq(result.status, i % 2 != 0 ? NKV_OK : NKV_NOT_FOUND);
        size_t prefix = 9;
        cr_assert_eq(nkv_prefix(client, keys, 1, &call, &prefix, NULL), NKV_OK);
        cr_assert_eq(prefix, i % 2 != 0 ? 1 : 0);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* A barrier that finds nothing new costs a PING, not the value: the entry stays a hit. */
T_LIVE(client_levels, p3_a_barrier_read_of_an_unchanged_key_is_a_hit)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    const long long gets = t_ctl_calls(ctl, "get");
    const long long pings = t_ctl_calls(ctl, "ping");
    for (int i = 0; i < 10; i++) {
        cr_assert(t_is(t_near_get_at(client, "k", NKV_BARRIER), NKV_FROM_CACHE, "v"));
    }
    cr_assert_eq(t_ctl_calls(ctl, "get"), gets);
    cr_assert_geq(t_ctl_calls(ctl, "ping") - pings, 10);
    cr_assert_eq(t_near_stats(client).barriers, 10);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The client's own level is used where the call says nothing. */
T_LIVE(client_levels, p3_level_of_the_client)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.level = NKV_BARRIER;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 200; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "SET", "k", value);
        cr_assert(t_says(t_near_get(client, "k"), value));
    }
    const uint64_t barriers = t_near_stats(client).barriers;
    for (int i = 1; i <= 10; i++) {
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "199"));
        cr_assert_eq(t_near_stats(client).barriers, barriers + (uint64_t)i);
    }
    cr_assert(t_says(t_near_get_at(client, "k", NKV_EVENTUAL), "199"));
    cr_assert_eq(t_near_stats(client).barriers, barriers + 10);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Barriers of many threads at once are shared, and still each sees what was acknowledged before it
 * began: the PONG of a PING sent earlier does not do.                                            */
T_LIVE(client_levels, p3_a_barrier_does_not_use_a_ping_sent_before_it)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(client, "k"), "old"));
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    /* The first PONG is kept back; then comes the write, and then the second reader. */
    const long long pings = t_ctl_calls(ctl, "ping");
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    t_pending *first = t_near_begin_with(client, &call, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(ctl, "ping") > pings, 5000);
    T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_CLIENT) > 0, 5000);
    t_ctl_ok(ctl, "SET", "k", "new");
    t_pending *second = t_near_begin_with(client, &call, "GET", "k");
    t_sleep_ms(20); /* it has joined whatever it may join */
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    const t_answer early = t_near_end(first);
    cr_assert(strcmp(early.text, "old") == 0 || strcmp(early.text, "new") == 0);
    cr_assert(t_says(t_near_end(second), "new"), "P3: used a PONG older than itself");
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* Nor does it join a question that was asked before it began: that one's answer is older. */
T_LIVE(client_levels, p3_a_barrier_does_not_join_a_question_asked_before_it)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "old");
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    t_pending *first = t_near_begin(client, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(ctl, "get") == 1, 5000);
    t_ctl_ok(ctl, "SET", "k", "new");
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    t_pending *second = t_near_begin_with(client, &call, "GET", "k");
    t_sleep_ms(20); /* it has joined whatever it may join */
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_end(first), "old"));
    cr_assert(t_says(t_near_end(second), "new"), "P3: joined a question older than itself");
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* DRAIN: what has arrived at the socket when the read begins is in force for it, though the loop
 * may not have looked yet. The push lies in the kernel's buffer because the loop is kept busy.   */
static void be_busy(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    nkv_value_release(value);
    t_sleep_ms(60);
    *(volatile int *)ud = 1;
}

T_LIVE(client_levels, p3_drain_processes_what_the_socket_holds)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 5; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "SET", "k", value);
        t_near_sync(client);
        cr_assert(t_says(t_near_get(client, "k"), value));
        cr_assert(t_is(t_near_get_at(client, "k", NKV_DRAIN), NKV_FROM_CACHE, value));
        const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr("other")};
        volatile int done = 0;
        cr_assert_eq(nkv_command_async(client, 2, argv, NULL, be_busy, (void *)(uintptr_t)&done),
                     NKV_OK);
        t_sleep_ms(10); /* the loop is in be_busy() */
        t_ctl_ok(ctl, "SET", "k", "fresh");
        /* The server may write the push behind the reply, but before it reads the next command: it
         * is in our kernel's buffer then, because a unix socket has no way to go. */
        t_ctl_ok(ctl, "PING");
        cr_assert(t_says(t_near_get_at(client, "k", NKV_DRAIN), "fresh"), "round %d", i);
        T_WAIT_UNTIL(done, 5000);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* A barrier that the server does not answer fails with the call's deadline and serves nothing. */
T_LIVE(client_levels, p3_p4_a_barrier_without_answer_is_no_hit)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    call.timeout_ms = 100;
    const t_answer answer = t_near_get_with(client, "k", &call);
    cr_assert_eq(answer.status, NKV_ETIMEDOUT, "%s", nkv_status_text(answer.status));
    cr_assert(answer.took_ms >= 99 && answer.took_ms < 600, "%lld ms", (long long)answer.took_ms);
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), "v"));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}
