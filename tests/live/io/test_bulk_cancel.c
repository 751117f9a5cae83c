/* tests/live/io/test_bulk_cancel.c - bulk lanes: cancelled at every stage of its life. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/bulk_op.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/fake.h"
#include "support/live.h"
#include "support/proxy.h"

static void cancelled(t_op *ask)
{
    T_WAIT_UNTIL(atomic_load(&ask->done) > 0, T_OP_MS / 4);
    cr_assert_eq(ask->status, NKV_ECANCELED, "%d: %s", ask->status, ask->text);
    cr_assert_not_null(strstr(ask->text, "cancelled"));
}

static void good(t_op *ask, nkv_type type)
{
    t_op_wait(ask);
    cr_assert(ask->status == NKV_OK && ask->type == type, "%d: %s", ask->status, ask->text);
    t_op_drop(ask);
}

static uint64_t connections(nkvi_bulk *bulk)
{
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    return info.connections;
}

T_LIVE(io_bulk_cancel, what_waits_in_the_queue_ends_at_once)
{
    enum { N = 400 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")), NKV_TYPE_STATUS);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    static t_op *asks[N];
    for (int i = 0; i < N; i++) {
        asks[i] = t_op_get("k", 10);
        t_op_submit(bulk, asks[i]);
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_geq(info.waiting, N - NKVI_BULK_WINDOW);
    for (int i = N - 1; i >= N - 100; i--) {
        nkvi_bulk_cancel(bulk, &asks[i]->op);
        cr_assert_eq(atomic_load(&asks[i]->done), 1);
        cancelled(asks[i]);
        nkvi_bulk_cancel(bulk, &asks[i]->op); /* once more changes nothing */
    }
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_leq(info.waiting, N - 100);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    for (int i = 0; i < N - 100; i++) {
        good(asks[i], NKV_TYPE_NIL);
    }
    for (int i = N - 100; i < N; i++) {
        t_op_drop(asks[i]);
    }
    cr_assert_eq(connections(bulk), 1);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* After done() nobody touches the memory, and the stream goes on. */
T_LIVE(io_bulk_cancel, in_the_middle_of_a_string)
{
    enum { BYTES = 4 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool(t_proxy_path(proxy), 1);
    char *value = t_op_bytes(BYTES, 5);
    good(t_op_run(bulk, t_op_set("big", value, BYTES)), NKV_TYPE_STATUS);
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 4 << 20); /* it would take a second */
    t_op *get = t_op_get("big", BYTES);
    t_op *next = t_op_command(NKVI_GET, "ECHO aligned");
    uint64_t before = t_proxy_forwarded(proxy, T_EVERY, T_TO_CLIENT);
    t_op_submit(bulk, get);
    t_op_submit(bulk, next);
    cr_assert(t_proxy_wait_forwarded(proxy, T_EVERY, T_TO_CLIENT, before + 200000, T_OP_MS));
    nkvi_bulk_cancel(bulk, &get->op);
    cancelled(get);
    cr_assert_gt(get->offered, 0, "the string had begun");
    memset(get->room, '#', BYTES);
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 0);
    good(next, NKV_TYPE_STRING);
    for (int i = 0; i < BYTES; i++) {
        cr_assert_eq(get->room[i], '#', "byte %d was written after the end", i);
    }
    cr_assert_eq(connections(bulk), 1, "the connection was kept");
    t_op_drop(get);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* A request that is half written ends its connection; what was sent before is answered there, what
 * waits behind it goes to another. */
T_LIVE(io_bulk_cancel, in_the_middle_of_a_request)
{
    enum { BYTES = 32 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_with(t_proxy_path(proxy), 1, T_OP_CONNECT_MS, 64 << 20);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")), NKV_TYPE_STATUS);
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    char *value = t_op_bytes(BYTES, 5);
    t_op *first = t_op_get("other", 10), *put = t_op_set("big", value, BYTES);
    t_op *last = t_op_get("other", 10);
    t_op *asks[] = {first, put, last};
    for (int i = 0; i < 3; i++) {
        asks[i]->op.priority = NKVI_GET; /* in this order */
        t_op_submit(bulk, asks[i]);
    }
    cr_assert(t_proxy_wait_seen(proxy, 1, T_TO_SERVER, 20000, T_OP_MS));
    nkvi_bulk_cancel(bulk, &put->op);
    cancelled(put);
    cr_assert_gt(put->op.written, 0);
    cr_assert_lt(put->op.written, BYTES);
    memset(value, 0, BYTES);
    cr_assert_eq(atomic_load(&first->done), 0);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    good(first, NKV_TYPE_NIL);
    good(last, NKV_TYPE_NIL);
    t_op *exists = t_op_run(bulk, t_op_command(NKVI_PEEK, "EXISTS big"));
    cr_assert_eq(exists->integer, 0, "half a value was stored");
    good(exists, NKV_TYPE_INTEGER);
    cr_assert_eq(connections(bulk), 2);
    t_op_drop(put);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Behind it in the window, not a byte of it written: it leaves no trace. */
T_LIVE(io_bulk_cancel, before_a_byte_was_written)
{
    enum { BYTES = 32 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = t_op_pool_with(t_proxy_path(proxy), 1, T_OP_CONNECT_MS, 256 << 20);
    good(t_op_run(bulk, t_op_command(NKVI_PEEK, "PING")), NKV_TYPE_STATUS);
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    char *value = t_op_bytes(BYTES, 5);
    t_op *asks[4];
    for (int i = 0; i < 4; i++) {
        char key[8] = {'k', (char)('0' + i)};
        asks[i] = t_op_set(key, value, BYTES);
        t_op_submit(bulk, asks[i]);
    }
    cr_assert(t_proxy_wait_seen(proxy, 1, T_TO_SERVER, 20000, T_OP_MS));
    nkvi_bulk_cancel(bulk, &asks[2]->op);
    cancelled(asks[2]);
    cr_assert_eq(asks[2]->op.written, 0);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    for (int i = 0; i < 4; i++) {
        if (i != 2) {
            good(asks[i], NKV_TYPE_STATUS);
        }
    }
    t_op *size = t_op_run(bulk, t_op_command(NKVI_PEEK, "DBSIZE"));
    cr_assert_eq(size->integer, 3);
    good(size, NKV_TYPE_INTEGER);
    cr_assert_eq(connections(bulk), 1);
    t_op_drop(asks[2]);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* ---- While it ends --------------------------------------------------------------------------- */

enum { RACERS = 32, RACE_ROUNDS = 150 };

typedef struct race {
    nkvi_bulk *bulk;
    t_op *asks[RACERS];
    uint64_t seed;
} race;

static void *cancel_some(void *arg)
{
    race *r = arg;
    t_rng rng;
    t_rng_init(&rng, r->seed);
    for (int i = 0; i < RACERS; i++) {
        nkvi_bulk_cancel(r->bulk, &r->asks[t_rng_below(&rng, RACERS)]->op);
        for (volatile uint64_t spin = t_rng_below(&rng, 2000); spin > 0;) {
            spin = spin - 1;
        }
    }
    return NULL;
}

T_LIVE(io_bulk_cancel, while_it_ends_by_itself)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    race r = {.bulk = t_op_pool(t_proxy_path(proxy), 3)};
    char *value = t_op_bytes(100000, 9);
    good(t_op_run(r.bulk, t_op_set("k", value, 100000)), NKV_TYPE_STATUS);
    int ended[3] = {0, 0, 0};
    for (int round = 0; round < RACE_ROUNDS; round++) {
        nkvi_bulk_op *ops[RACERS];
        pthread_t thread;
        for (int i = 0; i < RACERS; i++) {
            r.asks[i] = i % 4 == 0 ? t_op_set("k", value, 100000) : t_op_get("k", 100000);
            ops[i] = &r.asks[i]->op;
        }
        r.seed = t_run_seed() + (uint64_t)round;
        nkvi_bulk_submit(r.bulk, ops, RACERS);
        T_REQUIRE(pthread_create(&thread, NULL, cancel_some, &r) == 0);
        if (round % 8 == 7) {
            t_proxy_cut(proxy, T_EVERY, T_FIN);
        }
        pthread_join(thread, NULL);
        for (int i = 0; i < RACERS; i++) {
            t_op *a = t_op_wait(r.asks[i]);
            bool whole = a->status == NKV_OK && (i % 4 == 0 || memcmp(a->room, value, 100000) == 0);
            cr_assert(whole || a->status == NKV_ECANCELED || a->status == NKV_ECONN, "%d: %s",
                      a->status, a->text);
            ended[whole ? 0 : a->status == NKV_ECANCELED ? 1 : 2]++;
            t_op_drop(a);
        }
    }
    cr_assert(ended[0] > 0 && ended[1] > 0, "%d answered, %d cancelled, %d lost", ended[0],
              ended[1], ended[2]);
    free(value);
    nkvi_bulk_destroy(r.bulk);
    t_proxy_stop(proxy);
}

/* ---- Without a connection -------------------------------------------------------------------- */

/* Somebody accepts the connection and never says a word. */
Test(io_bulk_cancel, while_there_is_no_connection_yet)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.no_rules = true});
    nkvi_bulk *bulk = t_op_pool_with(t_fake_path(fake), 2, T_OP_MS, 1 << 20);
    t_op *late = t_op_within(t_op_get("k", 10), 100), *stay = t_op_get("k", 10);
    t_op *never = t_op_get("k", 10);
    int64_t begin_ms = t_now_ms();
    t_op_submit(bulk, stay);
    t_op_submit(bulk, never);
    cr_assert(t_fake_wait_accepted(fake, 1, T_OP_MS));
    t_op_run(bulk, late);
    cr_assert_eq(late->status, NKV_ETIMEDOUT, "%s", late->text);
    nkvi_bulk_cancel(bulk, &stay->op);
    cancelled(stay);
    nkvi_bulk_stop(bulk);
    cr_assert_eq(never->status, NKV_ECLOSED, "%s", never->text);
    cr_assert_lt(t_now_ms() - begin_ms, T_OP_MS / 2, "nobody waited for the connection");
    nkvi_bulk_cancel(bulk, &never->op);
    nkvi_bulk_destroy(bulk);
    t_op_drop(late);
    t_op_drop(stay);
    t_op_drop(never);
    t_fake_stop(fake);
}
