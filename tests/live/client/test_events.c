/* tests/live/client/test_events.c - what a client tells, and in which order: the acceptance case
 * 104 (I7). */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

static nkv_client *open_with(const char *url, nkv_event_fn fn, void *ud)
{
    nkv_options options = t_near_options(url);
    options.on_event = fn;
    options.on_event_ud = ud;
    options.max_idle_ms = 1000; /* silence that is meant, and none of a busy machine */
    options.backoff_min_ms = 5;
    options.backoff_max_ms = 50;
    return t_near_start(&options);
}

/* ARMED, then HEALTH 1; a push; a flush; the loss: FLUSH by connection, DISARMED or HEALTH 0, then
 * ARMED and HEALTH 1 again.                                                                      */
T_LIVE(client_events, case_104_events_come_in_order)
{
    t_ctl *ctl = t_ctl_open(server);
    t_events *events = t_events_new();
    nkv_client *client = open_with(t_server_unix_url(server), t_events_take, events);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    const long armed = t_events_wait(events, 0, NKV_EVENT_ARMED, 5000);
    const long healthy = t_events_wait(events, 0, NKV_EVENT_HEALTH, 5000);
    cr_assert(armed >= 0 && healthy >= 0);
    cr_assert_eq(t_events_at(events, (size_t)healthy).healthy, 1);
    cr_assert_neq(t_events_at(events, (size_t)armed).node[0], '\0');

    for (int i = 0; i < 5; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)t_near_get(client, key);
        t_ctl_ok(ctl, "SET", key, "v");
    }
    t_near_sync(client);
    long at = -1;
    for (int i = 0; i < 5; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        at = t_events_wait(events, (size_t)(at + 1), NKV_EVENT_INVALIDATE, 5000);
        cr_assert_geq(at, 0);
        cr_assert_str_eq(t_events_at(events, (size_t)at).key, key);
    }
    t_ctl_ok(ctl, "FLUSHALL");
    const long flush = t_events_wait(events, (size_t)at, NKV_EVENT_FLUSH, 5000);
    cr_assert_geq(flush, 0);
    cr_assert_eq(t_events_at(events, (size_t)flush).cause, NKV_FLUSH_SERVER);

    const size_t before = t_events_count(events);
    cr_assert_eq(t_ctl_kill_id(ctl, t_near_node(client).client_id), 1);
    const long lost = t_events_wait(events, before, NKV_EVENT_FLUSH, 5000);
    const long again = t_events_wait(events, before, NKV_EVENT_ARMED, 5000);
    if (lost < 0 || again < lost) {
        t_events_print(events);
        cr_assert(false, "loss at %ld, armed again at %ld", lost, again);
    }
    cr_assert_eq(t_events_at(events, (size_t)lost).cause, NKV_FLUSH_CONNECTION);
    const long disarmed = t_events_find(events, before, NKV_EVENT_DISARMED);
    cr_assert(disarmed >= 0 && disarmed < again, "nobody was told that reads go to the server");
    T_WAIT_UNTIL(t_near_healthy(client), 5000);
    nkv_client_destroy(client);
    /* Health alternates: each event is a change. */
    int health = 0;
    for (size_t i = 0; i < t_events_count(events); i++) {
        const t_event event = t_events_at(events, i);
        if (event.type == NKV_EVENT_HEALTH) {
            if (event.healthy == health) {
                t_events_print(events);
            }
            cr_assert_neq(event.healthy, health, "event %zu is no change", i);
            health = event.healthy;
        }
    }
    t_events_free(events);
    t_ctl_close(ctl);
}

T_LIVE(client_events, case_104_causes_of_flushes)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    t_events *events = t_events_new();
    nkv_client *client = open_with(t_proxy_url(proxy), t_events_take, events);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    (void)t_near_get(client, "k");
    size_t from = t_events_count(events);
    nkv_client_reset(client);
    long at = t_events_wait(events, from, NKV_EVENT_FLUSH, 5000);
    cr_assert(at >= 0 && t_events_at(events, (size_t)at).cause == NKV_FLUSH_RESET);
    from = t_events_count(events);
    cr_assert(t_says(t_near(client, "SWAPDB", "0", "1"), "+OK"));
    at = t_events_wait(events, from, NKV_EVENT_FLUSH, 5000);
    cr_assert(at >= 0 && t_events_at(events, (size_t)at).cause == NKV_FLUSH_OWN);
    t_near_sync(client);
    from = t_events_count(events);
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    at = t_events_wait(events, from, NKV_EVENT_FLUSH, 5000);
    cr_assert_geq(at, 0);
    cr_assert_eq(t_events_at(events, (size_t)at).cause, NKV_FLUSH_IDLE, "cause %d",
                 (int)t_events_at(events, (size_t)at).cause);
    const long health = t_events_wait(events, from, NKV_EVENT_HEALTH, 5000);
    cr_assert(health >= 0 && t_events_at(events, (size_t)health).healthy == 0);
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, false);
    nkv_client_destroy(client);
    t_events_free(events);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* ---- The state when the event comes, the thread, and what may be called ---------------------- */

typedef struct watcher {
    _Atomic(nkv_client *) client;
    atomic_int invalidations;
    atomic_int stale;    /* the key was still served                                              */
    atomic_int deadlock; /* blocking calls that said so                                           */
    atomic_int other; /* … and that did not                                                    */
    atomic_int threads; /* different threads that delivered                                      */
    pthread_t first;
    atomic_bool known;
} watcher;

static void watch(const nkv_event *event, void *ud)
{
    watcher *w = ud;
    if (!atomic_exchange(&w->known, true)) {
        w->first = pthread_self();
        atomic_store(&w->threads, 1);
    } else if (!pthread_equal(w->first, pthread_self())) {
        atomic_fetch_add(&w->threads, 1);
    }
    nkv_client *client = atomic_load(&w->client);
    if (event->type != NKV_EVENT_INVALIDATE || client == NULL) {
        return;
    }
    atomic_fetch_add(&w->invalidations, 1);
    /* The cache is in the state that the event tells of: this is a miss, and a miss would block. */
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_get(client, event->key, &call, &value);
    atomic_fetch_add(status >= 0 ? &w->stale : status == NKV_EDEADLK ? &w->deadlock : &w->other, 1);
    nkv_value_release(value);
    (void)t_near_stats(client); /* does not block */
}

T_LIVE(client_events, i7_case_104_state_and_thread_of_an_event)
{
    t_ctl *ctl = t_ctl_open(server);
    watcher w = {.client = NULL};
    nkv_client *client = open_with(t_server_unix_url(server), watch, &w);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    atomic_store(&w.client, client);
    for (int i = 0; i < 100; i++) {
        (void)t_near_get(client, "k");
        t_ctl_ok(ctl, "SET", "k", "v");
        T_WAIT_UNTIL(atomic_load(&w.invalidations) == i + 1, 5000);
    }
    cr_assert_eq(atomic_load(&w.stale), 0, "served in the event that tells it is void");
    cr_assert_eq(atomic_load(&w.deadlock), 100, "%d", atomic_load(&w.deadlock));
    cr_assert_eq(atomic_load(&w.other), 0);
    cr_assert_eq(atomic_load(&w.threads), 1, "more than one thread delivers");
    cr_assert_not(pthread_equal(w.first, pthread_self()));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Never after destroy has returned: a recorder that is freed at once would show it. */
T_LIVE(client_events, i8_case_104_no_event_after_destroy)
{
    t_ctl *ctl = t_ctl_open(server);
    for (int i = 0; i < 30; i++) {
        t_events *events = t_events_new();
        nkv_client *client = open_with(t_server_unix_url(server), t_events_take, events);
        if (i % 3 != 0) {
            cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
            (void)t_near_get(client, "k");
            t_ctl_ok(ctl, "SET", "k", "v");
        }
        nkv_client_destroy(client);
        t_events_free(events);
    }
    t_ctl_close(ctl);
}
