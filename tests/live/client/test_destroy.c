/* tests/live/client/test_destroy.c - I8: nothing is left; I7: callbacks come once, and never from
 * inside the call that started them.                                                             */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

/* ---- I8 -------------------------------------------------------------------------------------- */

typedef struct blocked {
    nkv_client *client;
    int number;
    nkv_status status;
    pthread_t thread;
} blocked;

/* A thread that is blocked in one call, in different ones, each with something under way. */
static void *be_blocked(void *ud)
{
    blocked *b = ud;
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 60000;
    char key[24];
    (void)snprintf(key, sizeof key, "k%d", b->number);
    switch (b->number == 0 ? 0 : 1 + b->number % 3) {
    case 0:
        call.level = NKV_BARRIER;
        b->status = t_near_get_with(b->client, "warm", &call).status;
        break;
    case 1:
        b->status = t_near_get_with(b->client, key, &call).status;
        break;
    case 2:
        b->status = t_near_with(b->client, &call, "SET", key, "v").status;
        break;
    default:
        b->status = t_near_with(b->client, &call, "MGET", key, "x", key).status;
        break;
    }
    return NULL;
}

T_LIVE(client_destroy, i8_destroy_while_16_threads_are_blocked)
{
    enum { THREADS = 16, ROUNDS = 5 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    for (int round = 0; round < ROUNDS; round++) {
        const nkv_options options = t_near_options(t_proxy_url(proxy));
        nkv_client *client = t_near_open(&options);
        cr_assert(t_near_get(client, "warm").status >= 0);
        t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
        blocked list[THREADS];
        for (int i = 0; i < THREADS; i++) {
            list[i] = (blocked){.client = client, .number = i};
            cr_assert_eq(pthread_create(&list[i].thread, NULL, be_blocked, &list[i]), 0);
        }
        /* All are inside then: no call may begin after destroy has. */
        T_WAIT_UNTIL(t_near_stats(client).inflight >= THREADS, 5000);
        const int64_t begin_ms = t_now_ms();
        nkv_client_destroy(client);
        cr_assert_lt(t_now_ms() - begin_ms, 2000);
        for (int i = 0; i < THREADS; i++) {
            cr_assert_eq(pthread_join(list[i].thread, NULL), 0);
            cr_assert_eq(list[i].status, NKV_ECLOSED, "thread %d: %s", i,
                         nkv_status_text(list[i].status));
        }
        t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
        cr_assert(t_proxy_wait_open(proxy, 0, 5000), "connections are left");
        T_WAIT_UNTIL(t_fd_count() == fds && t_thread_count() == threads, 5000);
    }
    t_proxy_stop(proxy);
}

static void count_status(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    atomic_int *by_status = ud;
    nkv_value_release(value);
    atomic_fetch_add(&by_status[status > 0 ? 31 : -(int)status], 1);
}

static int sum(atomic_int by_status[32])
{
    int all = 0;
    for (int i = 0; i < 32; i++) {
        all += atomic_load(&by_status[i]);
    }
    return all;
}

/* I7: one done() for each call, also for those that destroy ends; and never after it returned. */
T_LIVE(client_destroy, i7_every_done_comes_once_also_on_close)
{
    enum { CALLS = 600 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    for (int round = 0; round < 6; round++) {
        const nkv_options options = t_near_options(t_proxy_url(proxy));
        nkv_client *client = round % 2 == 0 ? t_near_open(&options) : t_near_start(&options);
        if (round < 4) {
            t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
        }
        atomic_int *by_status = calloc(32, sizeof *by_status);
        T_REQUIRE(by_status != NULL);
        int accepted = 0;
        for (int i = 0; i < CALLS; i++) {
            char key[24];
            (void)snprintf(key, sizeof key, "k%d", i % 50);
            const nkv_str get[] = {nkv_cstr("GET"), nkv_cstr(key)};
            const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr(key), nkv_cstr("v")};
            const nkv_str wrong[] = {nkv_cstr("NOSUCH"), nkv_cstr(key)};
            const nkv_status status =
                i % 3 == 0   ? nkv_command_async(client, 2, get, NULL, count_status, by_status)
                : i % 3 == 1 ? nkv_command_async(client, 3, set, NULL, count_status, by_status)
                             : nkv_command_async(client, 2, wrong, NULL, count_status, by_status);
            accepted += status == NKV_OK;
        }
        nkv_client_destroy(client);
        cr_assert_eq(sum(by_status), accepted, "round %d: %d calls, %d ends", round, accepted,
                     sum(by_status));
        cr_assert(round >= 4 || atomic_load(&by_status[-NKV_ECLOSED]) > 0);
        free(by_status); /* whoever calls back now, writes to freed memory */
        t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    }
    t_proxy_stop(proxy);
}

/* The memory is looked at after some rounds, when caches of the allocator are warm. */
T_LIVE(client_destroy, i8_200_create_destroy_cycles_leave_nothing)
{
    t_ctl *ctl = t_ctl_open(server);
    int fds = 0;
    int threads = 0;
    size_t rss = 0;
    for (int i = 0; i < 200; i++) {
        const nkv_options options = t_near_options(t_server_unix_url(server));
        nkv_client *client = i % 3 == 0 ? t_near_start(&options) : t_near_open(&options);
        if (i % 2 == 0) {
            cr_assert(t_near_get(client, "k").status >= 0);
            cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
        }
        nkv_client_destroy(client);
        if (i == 60) {
            fds = t_fd_count();
            threads = t_thread_count();
            rss = t_rss_bytes();
        }
    }
    cr_assert_eq(t_fd_count(), fds);
    cr_assert_eq(t_thread_count(), threads);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cr_assert_lt(t_rss_bytes(), rss + (2U << 20), "%zu bytes more", t_rss_bytes() - rss);
#else
    (void)rss; /* a sanitizer keeps freed memory for a while; it finds leaks by itself */
#endif
    T_WAIT_UNTIL(t_ctl_info_int(ctl, "clients", "connected_clients") == 1, 5000);
    t_ctl_close(ctl);
}

/* While it connects, resolves a name, or waits to try again. */
T_LIVE(client_destroy, i8_destroy_at_any_time)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    static const t_accept ways[] = {T_ACCEPT, T_ACCEPT_NOTHING, T_ACCEPT_CLOSE, T_ACCEPT_REFUSE};
    for (int i = 0; i < 80; i++) {
        t_proxy_accept(proxy, ways[i % 4]);
        char *named = t_format("redis://localhost:%d", t_proxy_port(proxy));
        const nkv_options options = t_near_options(i % 8 < 4 ? t_proxy_url(proxy) : named);
        nkv_client *client = t_near_start(&options);
        t_sleep_us(i * 50);
        nkv_client_destroy(client);
        free(named);
    }
    const nkv_options options = t_near_options("redis://no-such-host.invalid:1");
    nkv_client_destroy(t_near_start(&options));
    t_proxy_accept(proxy, T_ACCEPT);
    cr_assert(t_proxy_wait_open(proxy, 0, 5000));
    T_WAIT_UNTIL(t_fd_count() == fds && t_thread_count() == threads, 5000);
    t_proxy_stop(proxy);
}

/* ---- I7: callbacks --------------------------------------------------------------------------- */

typedef struct inside {
    nkv_client *client;
    int blocking_ok; /* blocking calls that did not say NKV_EDEADLK                               */
    int hits;        /* a hit does not block                                                      */
    nkv_status from_hit;
    atomic_bool done;
} inside;

static void block_inside(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    inside *in = ud;
    nkv_value_release(value);
    const nkv_str keys[] = {nkv_cstr("cold1"), nkv_cstr("cold2")};
    nkv_result results[2] = {{.status = NKV_OK}};
    size_t prefix = 0;
    nkv_value *got = NULL;
    const nkv_str incr[] = {nkv_cstr("INCR"), nkv_cstr("n")};
    const nkv_argv commands[] = {{2, incr}};
    nkv_client *client = in->client;
    in->blocking_ok += nkv_get(client, nkv_cstr("cold"), NULL, &got) != NKV_EDEADLK;
    in->blocking_ok += nkv_mget(client, keys, 2, NULL, results) != NKV_EDEADLK;
    in->blocking_ok += nkv_exists(client, keys, 2, NULL, results) != NKV_EDEADLK;
    in->blocking_ok += nkv_prefix(client, keys, 2, NULL, &prefix, NULL) != NKV_EDEADLK;
    in->blocking_ok += t_near_set(client, "k", "v") != NKV_EDEADLK;
    in->blocking_ok += nkv_del(client, keys, 2, NULL, NULL) != NKV_EDEADLK;
    in->blocking_ok += t_near(client, "PING").status != NKV_EDEADLK;
    in->blocking_ok += nkv_transaction(client, commands, 1, NULL, &got) != NKV_EDEADLK;
    in->blocking_ok += t_near_get_at(client, "warm", NKV_BARRIER).status != NKV_EDEADLK;
    in->from_hit = t_near_get(client, "warm").status;
    atomic_store(&in->done, true);
}

T_LIVE(client_destroy, i7_blocking_inside_a_callback_is_edeadlk)
{
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_says(t_near_get(client, "warm"), "_"));
    inside in = {.client = client};
    const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr("x")};
    cr_assert_eq(nkv_command_async(client, 2, argv, NULL, block_inside, &in), NKV_OK);
    T_WAIT_UNTIL(atomic_load(&in.done), 10000);
    cr_assert_eq(in.blocking_ok, 0, "%d blocking calls went on", in.blocking_ok);
    cr_assert_eq(in.from_hit, NKV_NOT_FOUND, "a hit needs no loop: %s",
                 nkv_status_text(in.from_hit));
    cr_assert(t_says(t_near_get(client, "cold"), "_"), "the client is stuck");
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    nkv_client_destroy(client);
}

/* done() of a hit, too, comes from the loop's thread and not from inside the call. */
typedef struct order {
    pthread_mutex_t lock; /* held by the caller during the call                                   */
    pthread_t caller;
    atomic_int done;
    atomic_int inside;
} order;

static void note_order(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    order *o = ud;
    nkv_value_release(value);
    if (pthread_equal(pthread_self(), o->caller)) {
        atomic_fetch_add(&o->inside, 1);
    }
    (void)pthread_mutex_lock(&o->lock); /* called under a lock, this never ends */
    (void)pthread_mutex_unlock(&o->lock);
    atomic_fetch_add(&o->done, 1);
}

T_LIVE(client_destroy, i7_done_is_never_called_from_inside_the_call)
{
    nkv_client *client = t_near_open_on(server);
    (void)t_near_get(client, "warm");
    order o = {.caller = pthread_self()};
    cr_assert_eq(pthread_mutex_init(&o.lock, NULL), 0);
    const char *const words[][2] = {{"GET", "warm"}, {"GET", "cold"}, {"DEL", "x"}, {"TTL", "x"}};
    for (int i = 0; i < 200; i++) {
        const nkv_str argv[] = {nkv_cstr(words[i % 4][0]), nkv_cstr(words[i % 4][1])};
        (void)pthread_mutex_lock(&o.lock);
        cr_assert_eq(nkv_command_async(client, 2, argv, NULL, note_order, &o), NKV_OK);
        (void)pthread_mutex_unlock(&o.lock);
    }
    T_WAIT_UNTIL(atomic_load(&o.done) == 200, 5000);
    cr_assert_eq(atomic_load(&o.inside), 0);
    nkv_client_destroy(client);
    (void)pthread_mutex_destroy(&o.lock);
}
