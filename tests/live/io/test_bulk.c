/* tests/live/io/test_bulk.c - bulk lanes on real servers: sizes, errors by key, deadlines, loss. */
#include <stdlib.h>
#include <string.h>

#include "support/bulk_op.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/proxy.h"

T_LIVE(io_bulk, values_of_every_size_there_and_back_in_place)
{
    static const size_t sizes[] = {0,     1,     2,       100,           65534,
                                   65535, 65536, 1 << 20, (4 << 20) + 1, 32 << 20};
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *value = t_op_bytes(sizes[i], (unsigned)i);
        t_op *put = t_op_run(bulk, t_op_set("big", value, sizes[i]));
        cr_assert(put->status == NKV_OK && put->type == NKV_TYPE_STATUS, "%s", put->text);
        t_op_drop(put);
        t_op *get = t_op_run(bulk, t_op_get("big", sizes[i]));
        cr_assert(get->status == NKV_OK && get->type == NKV_TYPE_STRING, "%s", get->text);
        cr_assert(get->len == sizes[i] && get->offered == sizes[i] && get->in_place);
        cr_assert_eq(memcmp(get->room, value, sizes[i]), 0, "size %zu", sizes[i]);
        t_op_drop(get);
        free(value);
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_lt(info.copied, 10u * 70000, "%llu bytes of 37 MiB came through a buffer",
                 (unsigned long long)info.copied);
    nkvi_bulk_destroy(bulk);
}

/* I9: what is wrong with one key is told of that key; the others get their answers. */
T_LIVE(io_bulk, i9_errors_and_misses_leave_the_stream_aligned)
{
    enum { N = 400 };
    t_ctl *ctl = t_ctl_open(server);
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 2);
    char *value = t_op_bytes(100000, 7);
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    t_op_drop(t_op_run(bulk, t_op_set("there", value, 100000)));
    t_op *asks[N];
    for (int i = 0; i < N; i++) {
        static const char *const keys[] = {"there", "none", "list", "there"};
        asks[i] =
            t_op_get(keys[i % 4], i % 4 == 3 ? 50 : 100000); /* the last one lends too little */
        t_op_submit(bulk, asks[i]);
    }
    for (int i = 0; i < N; i++) {
        T_WAIT_UNTIL(atomic_load(&asks[i]->done) > 0, T_OP_MS);
        switch (i % 4) {
        case 0:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->in_place);
            cr_assert_eq(memcmp(asks[i]->room, value, 100000), 0);
            break;
        case 1:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->type == NKV_TYPE_NIL);
            break;
        case 2:
            cr_assert_eq(asks[i]->status, NKV_EREPLY);
            cr_assert_not_null(strstr(asks[i]->text, "WRONGTYPE"));
            break;
        default:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->len == 100000 && !asks[i]->in_place);
        }
        t_op_drop(asks[i]);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
    t_ctl_close(ctl);
}

/* Several commands that are one operation, between others: each gets its own last reply, or the
 * first error of its own. */
T_LIVE(io_bulk, i9_transactions_leave_the_stream_aligned)
{
    enum { N = 600, KINDS = 6 };
    t_ctl *ctl = t_ctl_open(server);
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 2);
    char *value = t_op_bytes(300000, 7);
    t_ctl_ok(ctl, "SET", "plain", "1");
    static t_op *asks[N];
    for (int i = 0; i < N; i++) {
        switch (i % KINDS) {
        case 0:
            asks[i] = t_op_multi_set("large", value, 300000);
            break;
        case 1:
            asks[i] = t_op_get("plain", 10);
            break;
        case 2: /* refused when it is queued: the others are not executed */
            asks[i] = t_op_command(NKVI_PUT, "MULTI\r\nSET plain\r\nSET plain 2\r\nEXEC");
            asks[i]->op.before = 3;
            break;
        case 3: /* fails when it is executed: the answer is an array all the same */
            asks[i] = t_op_command(NKVI_PUT, "MULTI\r\nLPUSH plain x\r\nEXEC");
            asks[i]->op.before = 2;
            break;
        case 4: /* no transaction at all */
            asks[i] = t_op_command(NKVI_PUT, "NOSUCH\r\nPING\r\nEXEC");
            asks[i]->op.before = 2;
            break;
        default:
            asks[i] = t_op_command(NKVI_PEEK, "PING");
        }
        t_op_submit(bulk, asks[i]);
    }
    static const char *const errors[KINDS] = {
        [2] = "wrong number of arguments", [4] = "unknown command"};
    static const nkv_type types[KINDS] = {NKV_TYPE_ARRAY, NKV_TYPE_STRING, NKV_TYPE_ERROR,
                                          NKV_TYPE_ARRAY, NKV_TYPE_ERROR,  NKV_TYPE_STATUS};
    for (int i = 0; i < N; i++) {
        const char *error = errors[i % KINDS];
        t_op_wait(asks[i]);
        cr_assert_eq(asks[i]->status, error != NULL ? NKV_EREPLY : NKV_OK, "%d: %s", i,
                     asks[i]->text);
        cr_assert(error == NULL || strstr(asks[i]->text, error) != NULL, "%d: %s", i,
                  asks[i]->text);
        cr_assert_eq(asks[i]->type, types[i % KINDS], "%d: type %d", i, (int)asks[i]->type);
        t_op_drop(asks[i]);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
    t_ctl_close(ctl);
}

/* What is half written when the connection goes has no effect; what was wholly written may have. */
T_LIVE(io_bulk, a_transaction_that_is_cut_sets_nothing)
{
    enum { LEN = 8 << 20 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    char *value = t_op_bytes(LEN, 7);
    t_ctl_ok(ctl, "SET", "cut", "before");
    for (int round = 0; round < 5; round++) {
        t_op_drop(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
        const t_trigger cut = {.when = T_AT_BYTES,
                               .bytes = 100 + (uint64_t)round * (LEN / 5),
                               .what = T_DO_CUT,
                               .cut = T_RST};
        (void)t_proxy_on(proxy, t_proxy_accepted(proxy), T_TO_SERVER, &cut);
        t_op *put = t_op_run(bulk, t_op_multi_set("cut", value, LEN));
        cr_assert_eq(put->status, NKV_ECONN, "%s", put->text);
        t_op_drop(put);
        cr_assert_eq(t_ctl_int(ctl, "STRLEN", "cut"), 6);
    }
    t_op *put = t_op_run(bulk, t_op_multi_set("cut", value, LEN));
    cr_assert(put->status == NKV_OK && put->type == NKV_TYPE_ARRAY, "%s", put->text);
    t_op_drop(put);
    cr_assert_eq(t_ctl_int(ctl, "STRLEN", "cut"), LEN);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* Behaviour 20: a question behind 500 large writes is answered before they are half done. */
T_LIVE(io_bulk, case_20_a_peek_overtakes_large_puts)
{
    enum { PUTS = 500, BYTES = 256 << 10 };
    nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
    char *value = t_op_bytes(BYTES, 3);
    _Atomic int order = 0;
    static t_op *puts[PUTS];
    static nkvi_bulk_op *ops[PUTS + 1];
    for (int i = 0; i < PUTS; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        puts[i] = t_op_set(key, value, BYTES);
        puts[i]->order = &order;
        ops[i] = &puts[i]->op;
    }
    t_op *peek = t_op_command(NKVI_PEEK, "EXISTS k0");
    peek->order = &order;
    ops[PUTS] = &peek->op;
    nkvi_bulk_submit(bulk, ops, PUTS + 1); /* at once, so that it cannot come too late */
    T_WAIT_UNTIL(atomic_load(&peek->done) > 0, 2 * T_OP_MS);
    cr_assert_eq(peek->status, NKV_OK);
    cr_assert_lt(peek->nth, PUTS / 2, "answered behind %d of %d", peek->nth, PUTS);
    t_op_drop(peek);
    for (int i = 0; i < PUTS; i++) {
        T_WAIT_UNTIL(atomic_load(&puts[i]->done) > 0, T_OP_MS);
        cr_assert_eq(puts[i]->status, NKV_OK, "%s", puts[i]->text);
        t_op_drop(puts[i]);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
}

/* Nobody starves: what is of the lowest priority has its turn while others go on coming. */
T_LIVE(io_bulk, the_lowest_priority_has_its_turn)
{
    enum { PEEKS = 1000 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    t_op_drop(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS); /* all of them wait in one window and one queue */
    _Atomic int order = 0;
    static t_op *peeks[PEEKS];
    for (int i = 0; i < PEEKS; i++) {
        peeks[i] = t_op_command(NKVI_PEEK, "PING");
        peeks[i]->order = &order;
        t_op_submit(bulk, peeks[i]);
    }
    t_op *put = t_op_set("k", "v", 1);
    put->order = &order;
    t_op_submit(bulk, put);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    T_WAIT_UNTIL(atomic_load(&put->done) > 0, T_OP_MS);
    cr_assert_lt(put->nth, PEEKS / 2, "the write came behind %d of %d", put->nth, PEEKS);
    t_op_drop(put);
    for (int i = 0; i < PEEKS; i++) {
        T_WAIT_UNTIL(atomic_load(&peeks[i]->done) > 0, T_OP_MS);
        t_op_drop(peeks[i]);
    }
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* ---- How many lanes work --------------------------------------------------------------------- */

enum { WIDE_PUTS = 60, WIDE_BYTES = 1 << 20, WIDE_EACH = 2 /* fit into a window */ };

/* The server takes commands, but executes no write until it is let go on. */
static void pause_writes(t_ctl *ctl, t_op **puts, nkvi_bulk *bulk, const char *value)
{
    t_ctl_ok(ctl, "CLIENT", "PAUSE", "100000", "WRITE");
    for (int i = 0; i < WIDE_PUTS; i++) {
        puts[i] = t_op_set("wide", value, WIDE_BYTES);
        t_op_submit(bulk, puts[i]);
    }
}

static nkvi_bulk_info info_of(nkvi_bulk *bulk)
{
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    return info;
}

static void let_go_on(t_ctl *ctl, t_op **puts)
{
    t_ctl_ok(ctl, "CLIENT", "UNPAUSE");
    for (int i = 0; i < WIDE_PUTS; i++) {
        t_op_wait(puts[i]);
        cr_assert_eq(puts[i]->status, NKV_OK, "%s", puts[i]->text);
        t_op_drop(puts[i]);
    }
}

T_LIVE(io_bulk, no_more_lanes_work_than_may_at_once)
{
    t_ctl *ctl = t_ctl_open(server);
    char *value = t_op_bytes(WIDE_BYTES, 5);
    for (unsigned at_once = 0; at_once <= 5; at_once++) {
        t_op *puts[WIDE_PUTS];
        const unsigned lanes = at_once >= 1 && at_once <= 4 ? at_once : 4;
        nkvi_bulk *bulk = t_op_pool_narrow(t_server_path(server), 4, at_once, 1000000);
        pause_writes(ctl, puts, bulk, value);
        T_WAIT_UNTIL(info_of(bulk).waiting <= WIDE_PUTS - WIDE_EACH * lanes, T_OP_MS);
        cr_assert_eq(info_of(bulk).waiting, WIDE_PUTS - WIDE_EACH * lanes);
        cr_assert_eq(info_of(bulk).connections, lanes);
        let_go_on(ctl, puts);
        cr_assert_eq(info_of(bulk).connections, lanes);
        nkvi_bulk_destroy(bulk);
    }
    free(value);
    t_ctl_close(ctl);
}

T_LIVE(io_bulk, a_lane_that_is_stuck_leaves_the_work_to_others)
{
    t_ctl *ctl = t_ctl_open(server);
    t_op *puts[WIDE_PUTS];
    char *value = t_op_bytes(WIDE_BYTES, 6);
    nkvi_bulk *bulk = t_op_pool_narrow(t_server_path(server), 3, 1, 0);
    pause_writes(ctl, puts, bulk, value);
    T_WAIT_UNTIL(info_of(bulk).waiting == WIDE_PUTS - WIDE_EACH * 3, T_OP_MS);
    cr_assert_eq(info_of(bulk).connections, 3);
    let_go_on(ctl, puts);
    nkvi_bulk_destroy(bulk);
    free(value);
    t_ctl_close(ctl);
}

/* ---- One lane at work, and something happens to it ------------------------------------------- */

/* Connection 1 stands still, with something small in flight: small operations go elsewhere. */
T_LIVE(io_bulk, small_operations_do_not_join_a_lane_that_is_stuck)
{
    enum { N = 50 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_narrow(t_proxy_path(proxy), 4, 1, 0);
    t_op_drop(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, 1, T_BOTH_WAYS);
    t_op *held = t_op_command(NKVI_PEEK, "PING");
    t_op_submit(bulk, held);
    t_sleep_ms(5 * NKVI_BULK_STUCK_MS);
    for (int i = 0; i < N; i++) {
        t_op *ping = t_op_run(bulk, t_op_command(NKVI_PEEK, "PING"));
        cr_assert_eq(ping->status, NKV_OK, "%s", ping->text);
        t_op_drop(ping);
    }
    cr_assert_eq(atomic_load(&held->done), 0);
    t_proxy_release(proxy, 1, T_BOTH_WAYS);
    t_op_drop(t_op_wait(held));
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* A request is given up half-way: its connection only waits for what was asked before it, and what
 * was behind it goes to another. */
T_LIVE(io_bulk, what_is_behind_a_half_written_request_goes_to_another_lane)
{
    enum { LEN = 16 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_narrow(t_proxy_path(proxy), 4, 1, 1000000);
    char *value = t_op_bytes(LEN, 1);
    t_op_drop(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, 1, T_BOTH_WAYS);
    t_op *first = t_op_command(NKVI_GET, "PING"), *half = t_op_set("half", value, LEN);
    t_op *behind = t_op_command(NKVI_PUT, "PING");
    t_op_submit(bulk, first);
    t_op_submit(bulk, half);
    t_op_submit(bulk, behind);
    T_WAIT_UNTIL(t_proxy_kept(proxy, 1, T_TO_SERVER) > 1000, T_OP_MS);
    nkvi_bulk_cancel(bulk, &half->op);
    t_op_wait(half);
    cr_assert_eq(half->status, NKV_ECANCELED);
    t_op_wait(behind);
    cr_assert_eq(behind->status, NKV_OK, "%s", behind->text);
    cr_assert_eq(atomic_load(&first->done), 0);
    t_op *later = t_op_run(bulk, t_op_command(NKVI_PUT, "PING"));
    cr_assert_eq(later->status, NKV_OK, "%s", later->text);
    t_proxy_release(proxy, 1, T_BOTH_WAYS);
    t_op_wait(first);
    t_op_drop(first);
    t_op_drop(half);
    t_op_drop(behind);
    t_op_drop(later);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* The lane at work is cut off and finds nobody who answers; another is connected, and does it. */
T_LIVE(io_bulk, a_lane_that_is_connected_does_the_work_of_one_that_is_not)
{
    t_ctl *ctl = t_ctl_open(server);
    t_op *puts[WIDE_PUTS];
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_narrow(t_proxy_path(proxy), 2, 1, 0);
    char *value = t_op_bytes(WIDE_BYTES, 8);
    pause_writes(ctl, puts, bulk, value);
    T_WAIT_UNTIL(info_of(bulk).connections == 2, T_OP_MS); /* the first one was stuck */
    let_go_on(ctl, puts);
    t_proxy_accept(proxy, T_ACCEPT_NOTHING);
    t_proxy_cut(proxy, 1, T_RST);
    const int64_t begin_ms = t_now_ms();
    for (int i = 0; i < 20; i++) {
        t_op *ping = t_op_run(bulk, t_op_command(NKVI_PEEK, "PING"));
        cr_assert_eq(ping->status, NKV_OK, "%s", ping->text);
        t_op_drop(ping);
    }
    cr_assert_lt(t_now_ms() - begin_ms, T_OP_CONNECT_MS);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* After done() nobody touches the memory, and the stream goes on. */
T_LIVE(io_bulk, a_deadline_in_the_middle_of_a_string)
{
    enum { BYTES = 4 << 20 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    char *value = t_op_bytes(BYTES, 5);
    t_op_drop(t_op_run(bulk, t_op_set("big", value, BYTES)));
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 1 << 20); /* it would take four seconds */
    t_op *get = t_op_get("big", BYTES);
    t_op_within(get, 800);
    t_op_run(bulk, get);
    cr_assert_eq(get->status, NKV_ETIMEDOUT);
    cr_assert_gt(get->offered, 0, "the string had begun");
    memset(get->room, '#', BYTES);
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 0);
    t_op *next = t_op_run(bulk, t_op_command(NKVI_GET, "ECHO aligned"));
    cr_assert(next->status == NKV_OK && next->len == 7, "%s", next->text);
    for (int i = 0; i < BYTES; i++) {
        cr_assert_eq(get->room[i], '#', "byte %d was written after the end", i);
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_eq(info.connections, 1, "the connection was kept");
    t_op_drop(get);
    t_op_drop(next);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* A request that is half written cannot be called back: the connection ends, what was behind it is
 * asked again on a new one. */
T_LIVE(io_bulk, a_deadline_in_the_middle_of_a_request)
{
    enum { BYTES = 32 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    t_op_drop(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    char *value = t_op_bytes(BYTES, 5);
    t_op *put = t_op_set("big", value, BYTES);
    t_op_within(put, 300);
    t_op *get = t_op_get("other", 10);
    get->op.expect = 0;
    t_op_submit(bulk, put);
    t_op_submit(bulk, get);
    T_WAIT_UNTIL(atomic_load(&put->done) > 0, T_OP_MS);
    cr_assert_eq(put->status, NKV_ETIMEDOUT, "%s", put->text);
    memset(value, 0, BYTES);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    T_WAIT_UNTIL(atomic_load(&get->done) > 0, T_OP_MS);
    cr_assert(get->status == NKV_OK && get->type == NKV_TYPE_NIL, "%s", get->text);
    t_op *exists = t_op_run(bulk, t_op_command(NKVI_PEEK, "EXISTS big"));
    cr_assert(exists->status == NKV_OK && exists->integer == 0, "half a value was stored");
    t_op_drop(put);
    t_op_drop(get);
    t_op_drop(exists);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Behaviour 13: every operation ends when connections are cut, and later ones connect again. */
T_LIVE(io_bulk, case_13_cut_connections_end_everything_once)
{
    enum { ROUNDS = 20, N = 64 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 4);
    char *value = t_op_bytes(20000, 1);
    t_op_drop(t_op_run(bulk, t_op_set("k", value, 20000)));
    int good = 0;
    for (int round = 0; round < ROUNDS; round++) {
        t_op *asks[N];
        for (int i = 0; i < N; i++) {
            asks[i] = t_op_get("k", 20000);
            t_op_submit(bulk, asks[i]);
            if (i == N / 2) {
                t_proxy_cut(proxy, T_EVERY, round % 2 == 0 ? T_FIN : T_RST);
            }
        }
        for (int i = 0; i < N; i++) {
            T_WAIT_UNTIL(atomic_load(&asks[i]->done) > 0, T_OP_MS);
            cr_assert(asks[i]->status == NKV_OK || asks[i]->status == NKV_ECONN, "%s",
                      asks[i]->text);
            good += asks[i]->status == NKV_OK && memcmp(asks[i]->room, value, 20000) == 0;
            t_op_drop(asks[i]);
        }
    }
    cr_assert_gt(good, ROUNDS, "hardly any was answered: %d", good);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Behaviour 14: nothing is left open, and nothing is left. */
T_LIVE(io_bulk, case_14_destroy_ends_what_is_open)
{
    enum { N = 500 };
    const int fds = t_fd_count(), threads = t_thread_count();
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const int fds_with_proxy = t_fd_count(), threads_with_proxy = t_thread_count();
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 3);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    static t_op *asks[N];
    for (int i = 0; i < N; i++) {
        asks[i] = t_op_get("k", 10);
        t_op_submit(bulk, asks[i]);
    }
    nkvi_bulk_destroy(bulk);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(asks[i]->status, NKV_ECLOSED, "%s", asks[i]->text);
        t_op_drop(asks[i]);
    }
    cr_assert_eq(t_thread_count(), threads_with_proxy);
    T_WAIT_UNTIL(t_fd_count() <= fds_with_proxy + 6, T_OP_MS); /* the proxy's side of three */
    t_proxy_stop(proxy);
    cr_assert(t_fd_count() == fds && t_thread_count() == threads);
}

T_LIVE(io_bulk, a_server_that_is_not_there)
{
    (void)server;
    nkvi_bulk *bulk = t_op_pool("/nowhere/at/all.sock", 2);
    t_op *get = t_op_run(bulk, t_op_get("k", 10));
    cr_assert_eq(get->status, NKV_ECONN);
    cr_assert_not_null(strstr(get->text, "/nowhere/at/all.sock"), "%s", get->text);
    t_op_drop(get);
    nkvi_bulk_destroy(bulk);
}
