/* tests/live/io/test_bulk_life.c - bulk lanes: threads that begin with the work, connections that
 * cannot be had, servers that say nothing, the end. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/bulk_op.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/proxy.h"

static void good(t_op *ask)
{
    t_op_wait(ask);
    cr_assert_eq(ask->status, NKV_OK, "%d: %s", ask->status, ask->text);
    t_op_drop(ask);
}

T_LIVE(io_bulk_life, a_pool_that_is_not_used_has_no_threads)
{
    const int threads = t_thread_count(), fds = t_fd_count();
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
    cr_assert(t_thread_count() == threads && t_fd_count() == fds);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    cr_assert_eq(t_thread_count(), threads + 1, "one is enough for one");
    for (int i = 0; i < 10; i++) {
        good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    }
    cr_assert_eq(t_thread_count(), threads + 1);
    nkvi_bulk_destroy(bulk);
    cr_assert(t_thread_count() == threads && t_fd_count() == fds);
    bulk = t_op_pool(t_server_path(server), 4);
    nkvi_bulk_destroy(bulk); /* never used */
    cr_assert(t_thread_count() == threads && t_fd_count() == fds);
}

T_LIVE(io_bulk_life, what_comes_after_the_stop_ends_at_once)
{
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 2);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    nkvi_bulk_stop(bulk);
    t_op *get = t_op_get("k", 10);
    t_op_submit(bulk, get);
    cr_assert_eq(atomic_load(&get->done), 1);
    cr_assert_eq(get->status, NKV_ECLOSED, "%s", get->text);
    nkvi_bulk_stop(bulk);
    t_op_drop(get);
    nkvi_bulk_destroy(bulk);
}

/* ---- Nothing to be had ----------------------------------------------------------------------- */

/* No more descriptors than are open now, and `more`. */
static rlim_t limit_fds(int more)
{
    struct rlimit limit;
    T_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    int lowest = dup(STDERR_FILENO);
    T_REQUIRE(lowest >= 0 && close(lowest) == 0);
    limit.rlim_cur = (rlim_t)(lowest + more);
    T_REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return before;
}

static void unlimit_fds(rlim_t before)
{
    struct rlimit limit;
    T_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = before;
    T_REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

T_LIVE(io_bulk_life, no_lane_at_all_is_told_of_every_operation)
{
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 2);
    t_op *get = t_op_get("k", 10);
    rlim_t before = limit_fds(0);
    t_op_submit(bulk, get);
    unlimit_fds(before);
    cr_assert_eq(atomic_load(&get->done), 1);
    cr_assert(get->status == NKV_ECONN && strstr(get->text, "no descriptor") != NULL, "%s",
              get->text);
    t_op_drop(get);
    good(t_op_run(bulk, t_op_get("k", 10))); /* and it may be better later */
    nkvi_bulk_destroy(bulk);
}

T_LIVE(io_bulk_life, some_lanes_do_the_work_of_all)
{
    enum { N = 64, BYTES = 1 << 20 };
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
    char *value = t_op_bytes(BYTES, 2);
    const int threads = t_thread_count();
    good(t_op_run(bulk, t_op_set("k", value, BYTES)));
    rlim_t before = limit_fds(0);
    t_op *asks[N];
    nkvi_bulk_op *ops[N];
    for (int i = 0; i < N; i++) {
        asks[i] = t_op_get("k", BYTES);
        ops[i] = &asks[i]->op;
    }
    nkvi_bulk_submit(bulk, ops, N);
    for (int i = 0; i < N; i++) {
        t_op_wait(asks[i]);
    }
    unlimit_fds(before);
    for (int i = 0; i < N; i++) {
        good(asks[i]);
    }
    cr_assert_eq(t_thread_count(), threads + 1);
    free(value);
    nkvi_bulk_destroy(bulk);
}

/* The server takes one connection more and no other: that one does it all. */
T_LIVE(io_bulk_life, what_cannot_connect_leaves_the_work_to_what_can)
{
    enum { ROUNDS = 5, N = 64, BYTES = 256 << 10 };
    t_ctl *ctl = t_ctl_open(server);
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
    char *value = t_op_bytes(BYTES, 2);
    t_ctl_ok(ctl, "CONFIG", "SET", "maxclients", "2");
    good(t_op_run(bulk, t_op_set("k", value, BYTES)));
    for (int round = 0; round < ROUNDS; round++) {
        t_op *asks[N];
        nkvi_bulk_op *ops[N];
        for (int i = 0; i < N; i++) {
            asks[i] = t_op_get("k", BYTES);
            ops[i] = &asks[i]->op;
        }
        nkvi_bulk_submit(bulk, ops, N);
        for (int i = 0; i < N; i++) {
            good(asks[i]);
        }
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_eq(info.connections, 1);
    t_ctl_ok(ctl, "CONFIG", "SET", "maxclients", "1000");
    free(value);
    nkvi_bulk_destroy(bulk);
    t_ctl_close(ctl);
}

/* ---- A server that is silent ----------------------------------------------------------------- */

/* Deadlines are kept by a lane that has no room and hears nothing. */
T_LIVE(io_bulk_life, a_deadline_behind_full_lanes)
{
    enum { N = 150 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    t_op *asks[N];
    for (int i = 0; i < N; i++) {
        asks[i] = t_op_get("k", 10);
        t_op_submit(bulk, asks[i]);
    }
    t_sleep_ms(20); /* the lane is asleep by now, with the others' deadlines in mind */
    int64_t begin_ms = t_now_ms();
    t_op *late = t_op_run(bulk, t_op_within(t_op_get("k", 10), 100));
    cr_assert_eq(late->status, NKV_ETIMEDOUT, "%s", late->text);
    cr_assert_lt(t_now_ms() - begin_ms, T_OP_MS / 2);
    t_op_drop(late);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    for (int i = 0; i < N; i++) {
        good(asks[i]);
    }
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

static int64_t cpu_ms(void)
{
    struct rusage usage;
    T_REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000) +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Lanes with some room left, but not for what comes next, sleep until they can do something. */
T_LIVE(io_bulk_life, lanes_that_can_do_nothing_sleep)
{
    enum { N = 12, WINDOW = 1 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_with(t_proxy_path(proxy), 3, T_OP_CONNECT_MS, WINDOW);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    t_op *ops[N];
    for (int i = 0; i < N; i++) {
        ops[i] = t_op_get("k", WINDOW / 5 * 3);
        t_op_submit(bulk, ops[i]);
    }
    t_sleep_ms(50);
    int64_t before_ms = cpu_ms();
    t_sleep_ms(500);
    cr_assert_lt(cpu_ms() - before_ms, 200);
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    for (int i = 0; i < N; i++) {
        good(ops[i]);
    }
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Answers that nobody waits for any more, and that do not come, do not block a lane for ever. */
T_LIVE(io_bulk_life, a_connection_that_is_dead_is_replaced)
{
    enum { N = 300 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_with(t_proxy_path(proxy), 1, 300, 1 << 20);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_swallow(proxy, 1, T_TO_SERVER, true);
    t_op *asks[N];
    for (int i = 0; i < N; i++) {
        asks[i] = t_op_within(t_op_get("k", 10), 100);
        t_op_submit(bulk, asks[i]);
    }
    for (int i = 0; i < N; i++) {
        cr_assert_eq(t_op_wait(asks[i])->status, NKV_ETIMEDOUT, "%s", asks[i]->text);
        t_op_drop(asks[i]);
    }
    good(t_op_run(bulk, t_op_get("k", 10)));
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_eq(info.connections, 2);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* ---- A server that refuses ------------------------------------------------------------------- */

/* It says so when it has seen the length, and hangs up. */
T_LIVE(io_bulk_life, a_value_that_is_too_large_for_the_server)
{
    enum { BYTES = 64 << 20 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    t_ctl_ok(ctl, "CONFIG", "SET", "proto-max-bulk-len", "1mb");
    char *value = t_op_bytes(BYTES, 2);
    for (int multi = 0; multi < 2; multi++) {
        t_op *put = (multi ? t_op_multi_set : t_op_set)("k", value, BYTES);
        t_op *get = t_op_get("k", 10);
        put->op.priority = NKVI_GET;
        t_op_submit(bulk, put);
        t_op_submit(bulk, get);
        t_op_wait(put);
        cr_assert_eq(put->status, NKV_EREPLY, "%d: %s", put->status, put->text);
        cr_assert_not_null(strstr(put->text, "invalid bulk length"), "%s", put->text);
        t_op_drop(put);
        good(get);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}
