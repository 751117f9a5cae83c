/* tests/live/client/test_life.c - connections that are lost, silent, or come back: the acceptance
 * cases 59 to 62, 68 and 70 (P1, P4, I1). */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

/* A server is asked after half of max_idle and given up when the other half has passed: so long may
 * a busy machine let any process wait, and a quiet server is none that is gone. */
enum { IDLE_MS = 800 };

static nkv_options short_idle(const char *url)
{
    nkv_options options = t_near_options(url);
    options.max_idle_ms = IDLE_MS;
    options.backoff_min_ms = 5;
    options.backoff_max_ms = 50;
    return options;
}

/* Reads k until `until_ms`; returns when the last hit began. Reads that fail are let pass, and fail
 * soon. */
static int64_t last_hit_ms(nkv_client *client, int64_t until_ms)
{
    int64_t last_ms = 0;
    int64_t begin_ms;
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 50;
    while ((begin_ms = t_now_ms()) < until_ms) {
        if (t_near_get_with(client, "k", &call).from == NKV_FROM_CACHE) {
            last_ms = begin_ms;
        }
    }
    return last_ms;
}

/* ---- Case 59: half-open ---------------------------------------------------------------------- */

T_LIVE(client_life, p1_case_59_half_open_stops_serving_within_max_idle)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = short_idle(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    const int64_t silent_ms = t_now_ms();
    t_ctl_ok(ctl, "SET", "k", "new"); /* the push is swallowed */
    const int64_t last_ms = last_hit_ms(client, silent_ms + 3 * IDLE_MS);
    cr_assert_gt(last_ms, silent_ms, "P1 allows hits until max_idle");
    cr_assert_leq(last_ms - silent_ms, IDLE_MS + 1, "hit %lld ms after the silence began",
                  (long long)(last_ms - silent_ms));
    cr_assert_not(t_near_healthy(client));
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, false);
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"), "I1: what was lost is void");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "new"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* Only one direction is dead: our PINGs arrive, their PONGs and the pushes do not. */
T_LIVE(client_life, p1_case_59_deaf_in_one_direction)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = short_idle(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_proxy_swallow(proxy, T_EVERY, T_TO_CLIENT, true);
    const int64_t silent_ms = t_now_ms();
    const int64_t last_ms = last_hit_ms(client, silent_ms + 2 * IDLE_MS);
    cr_assert(last_ms > silent_ms && last_ms - silent_ms <= IDLE_MS + 1, "%lld ms",
              (long long)(last_ms - silent_ms));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* A server that has nothing to say is not silent: the watchdog's PING keeps the cache in use. */
T_LIVE(client_life, case_59_a_quiet_server_stays_healthy)
{
    t_ctl *ctl = t_ctl_open(server);
    const nkv_options options = short_idle(t_server_unix_url(server));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    const int64_t end_ms = t_now_ms() + 5 * IDLE_MS / 2;
    while (t_now_ms() < end_ms) {
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
        cr_assert(t_near_healthy(client));
        t_sleep_ms(2);
    }
    cr_assert_geq(t_ctl_calls(ctl, "ping"), 2);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 60: the server stops for a while --------------------------------------------------- */

/* 10 s and 5 s in the small: stopped for three times max_idle. The write that waited in the stopped
 * server's socket must not be overtaken by a hit when it goes on.                                */
T_LIVE_PRIVATE(client_life, p4_case_60_bypass_while_stopped_nothing_stale_after)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    const nkv_options options = short_idle(t_server_unix_url(server));
    nkv_client *client = t_near_open(&options);
    nkv_options writer_options = t_near_options(t_server_unix_url(server));
    writer_options.no_cache = 1;
    nkv_client *writer = t_near_start(&writer_options);
    cr_assert_eq(t_near_set(writer, "prime", "x"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_server_pause(server);
    const int64_t stopped_ms = t_now_ms();
    t_pending *write = t_near_begin(writer, "SET", "k", "new");
    const int64_t last_ms = last_hit_ms(client, stopped_ms + 3 * IDLE_MS);
    cr_assert(last_ms > stopped_ms && last_ms - stopped_ms <= IDLE_MS + 1, "%lld ms",
              (long long)(last_ms - stopped_ms));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_gt(stats.failures, 0, "who could have answered?");
    t_server_resume(server);
    cr_assert(t_says(t_near_end(write), "+OK"));
    for (int i = 0; i < 50; i++) { /* acknowledged: from here on nobody may say «v» for long */
        const t_answer answer = t_near_get(client, "k");
        cr_assert(answer.status < 0 || strcmp(answer.text, "v") != 0 ||
                      answer.from != NKV_FROM_CACHE,
                  "stale hit after SIGCONT");
    }
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), "new"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(writer);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* ---- Cases 61, 62: the connection is lost ---------------------------------------------------- */

T_LIVE_PRIVATE(client_life, i1_case_61_server_restarted_with_other_data)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .tcp = true});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "before");
    const nkv_options options = short_idle(t_server_tcp_url(server));
    nkv_client *client = t_near_open(&options);
    cr_assert(t_says(t_near_get(client, "k"), "before"));
    cr_assert(t_says(t_near_get(client, "none"), "_"));
    cr_assert_eq(t_near_set(client, "mine", "x"), NKV_OK);
    t_ctl_close(ctl);
    const uint64_t generation = t_near_node(client).generation;
    t_server_restart(server, NULL);
    ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "MSET", "k", "after", "none", "exists");
    T_WAIT_UNTIL(t_near_node(client).generation > generation, 5000);
    cr_assert(t_says(t_near_get(client, "k"), "after"));
    cr_assert(t_says(t_near_get(client, "none"), "exists"));
    cr_assert(t_says(t_near_get(client, "mine"), "_"));
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    cr_assert_geq(t_near_stats(client).reconnects, 1);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* While the server is gone calls fail in time and say why; when it is back all is well. */
T_LIVE_PRIVATE(client_life, p4_case_61_calls_while_the_server_is_gone)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    const nkv_options options = short_idle(t_server_unix_url(server));
    nkv_client *client = t_near_open(&options);
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    t_server_kill(server);
    T_WAIT_UNTIL(!t_near_healthy(client), 5000);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 150;
    for (int i = 0; i < 5; i++) {
        const t_answer answer = t_near_get_with(client, "k", &call);
        cr_assert(answer.status == NKV_ECONN || answer.status == NKV_ETIMEDOUT, "%s",
                  nkv_status_text(answer.status));
        cr_assert_lt(answer.took_ms, 700);
        cr_assert_neq(answer.error.text[0], '\0');
        cr_assert_lt((int)nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 0, &call), 0);
    }
    t_server_restart(server, NULL);
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_server_stop(server);
}

/* All connections are killed again and again while a writer changes the key: every answer is at
 * most as old as the loss of the connection lets it be, and a read after the dust is right.      */
T_LIVE(client_life, i1_case_62_client_kill_type_normal)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 20;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 20; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        (void)t_near_get(client, "k");
        const nkv_node_health before = t_near_node(client);
        const long long killed = t_ctl_kill_type(ctl, "normal");
        cr_assert_geq(killed, 1);
        t_ctl_ok(ctl, "SET", "k", value); /* untold */
        T_WAIT_UNTIL(t_near_node(client).generation > before.generation, 5000);
        T_WAIT_UNTIL(t_near_healthy(client), 5000);
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, value));
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, value));
    }
    cr_assert_geq(t_near_stats(client).reconnects, 20);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 68: the old connection speaks again ------------------------------------------------ */

/* The tracked connection falls silent with a push for k on its way; the client gives it up and
 * fetches k over a new one. The old push must not arrive, nor the old entry come back.           */
T_LIVE(client_life, i1_case_68_late_push_of_a_closed_socket)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = short_idle(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(client, "k"), "old"));
    const uint64_t generation = t_near_node(client).generation;
    const int old_conns = t_proxy_accepted(proxy);
    for (int conn = 1; conn <= old_conns; conn++) {
        t_proxy_hold(proxy, conn, T_TO_CLIENT);
    }
    t_ctl_ok(ctl, "SET", "k", "new"); /* its push lies in the proxy */
    T_WAIT_UNTIL(t_near_node(client).generation > generation && t_near_healthy(client), 5000);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "new"));
    const uint64_t invalidations = t_near_stats(client).invalidations;
    for (int conn = 1; conn <= old_conns; conn++) {
        t_proxy_release(proxy, conn, T_TO_CLIENT);
    }
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "new"));
    cr_assert_eq(t_near_stats(client).invalidations, invalidations);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* A reply that was on its way over the lost connection fills nothing of the new generation. */
T_LIVE(client_life, i1_case_68_late_reply_of_a_closed_socket)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = short_idle(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "old");
    const int old_conns = t_proxy_accepted(proxy);
    for (int conn = 1; conn <= old_conns; conn++) {
        t_proxy_hold(proxy, conn, T_TO_CLIENT);
    }
    t_pending *pending = t_near_begin(client, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(ctl, "get") > 0, 5000);
    t_ctl_ok(ctl, "SET", "k", "new");
    const t_answer answer = t_near_end(pending); /* given up, or asked again on a new connection */
    cr_assert(answer.status == NKV_ECONN || t_says(answer, "new"));
    for (int conn = 1; conn <= old_conns; conn++) {
        t_proxy_release(proxy, conn, T_TO_CLIENT);
    }
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    cr_assert(t_says(t_near_get(client, "k"), "new"));
    cr_assert(t_says(t_near_get(client, "k"), "new"));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* ---- Case 70: tracking is turned off behind our back ----------------------------------------- */

/* Two commands without any reply: the stream stays aligned, and nobody is told. */
static const char silently_off[] = "CLIENT REPLY SKIP\r\nCLIENT TRACKING OFF\r\n";

enum { AUDIT_MS = 20 };

T_LIVE(client_life, p1_case_70_tracking_turned_off_is_noticed)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    options.audit_ms = AUDIT_MS;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    const uint64_t generation = t_near_node(client).generation;
    t_sleep_ms(5 * AUDIT_MS);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"), "while it is on all stays");
    cr_assert_eq(t_near_node(client).generation, generation);

    t_proxy_inject(proxy, T_EVERY, T_TO_SERVER, silently_off, sizeof silently_off - 1);
    T_WAIT_UNTIL(t_near_node(client).generation > generation, 5000);
    t_ctl_ok(ctl, "SET", "k", "new");
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    t_ctl_ok(ctl, "SET", "k", "newer");
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "newer"), "it is tracked again");
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* Who may not ask goes on as before: the connection is kept. */
T_LIVE(client_life, case_70_a_user_without_the_right_to_ask)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "unasked", "on", "nopass", "~*", "+@all",
             "-client|trackinginfo");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "unasked";
    options.password = "any";
    options.audit_ms = AUDIT_MS;
    nkv_client *client = t_near_open(&options);
    const uint64_t generation = t_near_node(client).generation;
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_sleep_ms(5 * AUDIT_MS);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert_eq(t_near_node(client).generation, generation);
    nkv_client_destroy(client);
    t_ctl_ok(ctl, "ACL", "DELUSER", "unasked");
    t_ctl_close(ctl);
}
