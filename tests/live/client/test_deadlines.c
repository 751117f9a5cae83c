/* tests/live/client/test_deadlines.c - P4: every call ends within its timeout and a little,
 * whatever the other side does or leaves undone. */

#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

enum { TIMEOUT_MS = 120, SLACK_MS = 400 };

typedef nkv_status (*call_fn)(nkv_client *client, nkv_call *call);

static nkv_status call_get(nkv_client *client, nkv_call *call)
{
    nkv_value *value = NULL;
    const nkv_status status = nkv_get(client, nkv_cstr("cold"), call, &value);
    nkv_value_release(value);
    return status;
}

static nkv_status call_mget(nkv_client *client, nkv_call *call)
{
    const nkv_str keys[] = {nkv_cstr("cold"), nkv_cstr("cold2"), nkv_cstr("cold")};
    nkv_result results[3];
    const nkv_status status = nkv_mget(client, keys, 3, call, results);
    for (int i = 0; i < 3; i++) {
        cr_assert_lt((int)results[i].status, 0);
        nkv_value_release(results[i].value);
    }
    return status;
}

static nkv_status call_exists(nkv_client *client, nkv_call *call)
{
    const nkv_str keys[] = {nkv_cstr("cold"), nkv_cstr("cold2")};
    nkv_result results[2];
    return nkv_exists(client, keys, 2, call, results);
}

static nkv_status call_prefix(nkv_client *client, nkv_call *call)
{
    const nkv_str keys[] = {nkv_cstr("cold"), nkv_cstr("cold2")};
    size_t prefix = 0;
    return nkv_prefix(client, keys, 2, call, &prefix, NULL);
}

static nkv_status call_command(nkv_client *client, nkv_call *call)
{
    return t_near_with(client, call, "HGETALL", "cold").status;
}

static nkv_status call_uncached(nkv_client *client, nkv_call *call)
{
    return t_near_with(client, call, "RANDOMKEY").status;
}

static nkv_status call_set(nkv_client *client, nkv_call *call)
{
    return nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 0, call);
}

static nkv_status call_del(nkv_client *client, nkv_call *call)
{
    const nkv_str keys[] = {nkv_cstr("k"), nkv_cstr("k2")};
    return nkv_del(client, keys, 2, call, NULL);
}

static nkv_status call_transaction(nkv_client *client, nkv_call *call)
{
    const nkv_str incr[] = {nkv_cstr("INCR"), nkv_cstr("n")};
    const nkv_argv commands[] = {{2, incr}};
    nkv_value *value = NULL;
    const nkv_status status = nkv_transaction(client, commands, 1, call, &value);
    nkv_value_release(value);
    return status;
}

static nkv_status call_barrier(nkv_client *client, nkv_call *call)
{
    call->level = NKV_BARRIER;
    return t_near_get_with(client, "warm", call).status;
}

static const struct {
    const char *name;
    call_fn fn;
} calls[] = {
    {"get", call_get},        {"mget", call_mget},       {"exists", call_exists},
    {"prefix", call_prefix},  {"command", call_command}, {"uncached command", call_uncached},
    {"set", call_set},        {"del", call_del},         {"transaction", call_transaction},
    {"barrier", call_barrier}};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* Every call fails, and in time; with the timeout of the call if `by_call`, else the client's. */
static void check_calls(nkv_client *client, bool by_call, const char *when)
{
    for (size_t i = 0; i < CALLS; i++) {
        nkv_call call;
        nkv_status status;
        int64_t took_ms;
        int late = 0;
        do { /* a busy machine may be late; a client that is late is so every time */
            nkv_call_init(&call);
            call.timeout_ms = by_call ? TIMEOUT_MS : 0;
            const int64_t begin_ms = t_now_ms();
            status = calls[i].fn(client, &call);
            took_ms = t_now_ms() - begin_ms;
        } while (took_ms > TIMEOUT_MS + SLACK_MS && ++late < 3);
        cr_assert(status == NKV_ETIMEDOUT || status == NKV_ECONN, "%s, %s: %s", when, calls[i].name,
                  nkv_status_text(status));
        cr_assert_leq(took_ms, TIMEOUT_MS + SLACK_MS, "%s, %s: %lld ms", when, calls[i].name,
                      (long long)took_ms);
        cr_assert(status != NKV_ETIMEDOUT || took_ms >= TIMEOUT_MS - 1, "%s, %s: after %lld ms",
                  when, calls[i].name, (long long)took_ms);
        cr_assert_neq(call.error.text[0], '\0', "%s, %s: no text", when, calls[i].name);
    }
}

/* The connection stands, and then nothing is heard any more. */
T_LIVE(client_deadlines, p4_black_hole_in_an_open_connection)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "warm", "v"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "warm"), "v"));
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    check_calls(client, true, "swallowed");
    t_proxy_stop(proxy);
    nkv_client_destroy(client);
}

/* The server accepts and says nothing, not even to HELLO. */
T_LIVE(client_deadlines, p4_silent_from_the_beginning)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    options.timeout_ms = TIMEOUT_MS;
    options.connect_timeout_ms = 300;
    nkv_client *client = t_near_start(&options);
    const int64_t begin_ms = t_now_ms();
    const nkv_status ready = nkv_client_wait_ready(client, TIMEOUT_MS, NULL);
    const int64_t took_ms = t_now_ms() - begin_ms;
    cr_assert(ready == NKV_ETIMEDOUT || ready == NKV_ECONN);
    cr_assert(took_ms >= TIMEOUT_MS - 1 && took_ms <= TIMEOUT_MS + SLACK_MS, "%lld ms",
              (long long)took_ms);
    check_calls(client, false, "never answered");
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}

/* Connections are made by the kernel, and nobody takes them. */
T_LIVE(client_deadlines, p4_connected_to_nobody)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    t_proxy_accept(proxy, T_ACCEPT_NOTHING);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    options.connect_timeout_ms = 100;
    nkv_client *client = t_near_start(&options);
    check_calls(client, true, "not accepted");
    t_proxy_accept(proxy, T_ACCEPT_REFUSE);
    check_calls(client, true, "refused");
    t_proxy_accept(proxy, T_ACCEPT_CLOSE);
    check_calls(client, true, "closed at once");
    t_proxy_accept(proxy, T_ACCEPT);
    T_WAIT_UNTIL(t_near_healthy(client), 10000);
    cr_assert(t_says(t_near_get(client, "cold"), "_"));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}

T_LIVE_PRIVATE(client_deadlines, p4_stopped_server)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.timeout_ms = TIMEOUT_MS;
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "warm", "v"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "warm"), "v"));
    t_server_pause(server);
    check_calls(client, false, "stopped");
    t_server_resume(server);
    T_WAIT_UNTIL(t_near_healthy(client), 10000);
    cr_assert_eq(t_near_set(client, "warm", "w"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "warm"), "w"));
    nkv_client_destroy(client);
    t_server_stop(server);
}

/* I2, I3: a write that timed out leaves open whether it happened; whatever the server executes
 * later, the client does not serve the value from before. And the late answers of calls that gave
 * up are not taken for answers of later ones.                                                    */
T_LIVE(client_deadlines, p2_a_write_that_timed_out_and_happened_later)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "k", "old"), NKV_OK);
    for (int i = 0; i < 5; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        (void)t_near_get(client, "k");
        t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = 30;
        cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr(value), 0, &call), NKV_ETIMEDOUT);
        t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
        char expected[24];
        (void)snprintf(expected, sizeof expected, "%d", i);
        /* The held write goes on (or its connection was given up): once the server has it, and the
         * push has had its barrier, nobody reads the value from before. */
        char *now = NULL;
        const int64_t end_ms = t_now_ms() + 1000;
        do {
            free(now);
            now = t_ctl_text(ctl, "GET", "k");
        } while (strcmp(now, expected) != 0 && t_now_ms() < end_ms);
        cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), now));
        cr_assert(t_says(t_near_get(client, "k"), now));
        for (int k = 0; k < 3; k++) {
            cr_assert(t_says(t_near(client, "STRLEN", "k"), now[1] == '\0' ? ":1" : ":3"));
            cr_assert_eq(t_near_set(client, "other", value), NKV_OK);
            cr_assert(t_says(t_near_get(client, "other"), value));
        }
        free(now);
    }
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* P5: a queue that is full says NKV_EBUSY at once instead of growing. */
typedef struct tally {
    atomic_int done;
    atomic_int busy;
    atomic_int other; /* neither NKV_EBUSY nor an answer                                          */
} tally;

static void count(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    tally *t = ud;
    nkv_value_release(value);
    atomic_fetch_add(&t->busy, status == NKV_EBUSY);
    atomic_fetch_add(&t->other, status < 0 && status != NKV_EBUSY);
    atomic_fetch_add(&t->done, 1);
}

T_LIVE(client_deadlines, p5_full_queues_say_busy)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    options.inflight_max = 50;
    nkv_client *client = t_near_open(&options);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    tally t = {.done = 0};
    int taken = 0;
    int busy = 0;
    for (int i = 0; i < 500; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr(key)};
        const nkv_status status = nkv_command_async(client, 2, argv, NULL, count, &t);
        cr_assert(status == NKV_OK || status == NKV_EBUSY, "%s", nkv_status_text(status));
        taken += status == NKV_OK;
        busy += status == NKV_EBUSY;
    }
    /* It may be told by the call or, the same thing, by done(). */
    T_WAIT_UNTIL(busy + atomic_load(&t.busy) >= 450, 5000);
    cr_assert_leq(t_near_stats(client).inflight, 50);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    T_WAIT_UNTIL(atomic_load(&t.done) == taken, 5000);
    cr_assert_eq(busy + atomic_load(&t.busy), 450);
    cr_assert_eq(atomic_load(&t.other), 0);
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}
