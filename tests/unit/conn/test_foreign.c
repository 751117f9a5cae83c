/* tests/unit/conn/test_foreign.c - the pool over a connector of the user's own: order, batches,
 * whose memory is touched when, and every way in which an operation ends. */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "conn/foreign.h"
#include "support/check.h"
#include "support/toy_store.h"

enum { SOON_MS = 20000, ROOM = 64 };

TestSuite(conn_foreign, .timeout = 60);

/* ---- A pool without a client ----------------------------------------------------------------- */

typedef struct rig {
    t_store *store;
    nkv_connector table;
    nkvi_loop *loop;
    nkv_cache *cache;
    nkvi_foreign_config config;
    nkvi_connector *connector;
    nkvi_foreign *foreign;
    nkv_status status;
} rig;

static bool on_open(void *ud, nkvi_peer *peer)
{
    peer->user = ud;
    return true;
}

static void on_close(void *ud, nkvi_peer *peer)
{
    (void)ud;
    peer->user = NULL;
}

static void on_change(void *ud, nkvi_peer *peer, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    (void)ud;
    (void)peer;
    (void)info;
    (void)cause;
}

static void on_state(void *ud, nkvi_peer *peer)
{
    (void)ud;
    (void)peer;
}

static void on_told(void *ud, nkvi_peer *peer, const nkv_str *key, const char *why)
{
    (void)ud;
    (void)peer;
    (void)key;
    (void)why;
}

static void create(void *ud)
{
    rig *r = ud;
    r->status = nkvi_foreign_create(&r->config, &r->connector, NULL);
}

static void stop(void *ud)
{
    rig *r = ud;
    r->connector->ops->stop(r->connector);
}

static void destroy(void *ud)
{
    rig *r = ud;
    r->connector->ops->destroy(r->connector);
}

static void rig_start(rig *r)
{
    memset(r, 0, sizeof *r);
    r->store = t_store_new();
    t_store_be_silent(r->store);
    r->table = t_store_table(r->store);
    cr_assert_eq(nkv_cache_create(NULL, &r->cache, NULL), NKV_OK);
    uint32_t space;
    cr_assert(nkvi_cache_space_open(r->cache, nkv_cstr("space"), &space, NULL));
    cr_assert_eq(nkvi_loop_create(NULL, &r->loop, NULL), NKV_OK);
    r->config = (nkvi_foreign_config){.base = {.loop = r->loop,
                                               .tracked = true,
                                               .handler = {.on_open = on_open,
                                                           .on_close = on_close,
                                                           .on_change = on_change,
                                                           .on_state = on_state,
                                                           .on_told = on_told,
                                                           .ud = r}},
                                      .table = &r->table,
                                      .batch_max = 256,
                                      .calls_max = 4,
                                      .window_bytes = 1 << 20};
    r->config.base.lane.cache = r->cache;
    r->config.base.lane.max_idle_ms = 5000;
    r->config.base.lane.inflight_max = 1000;
    r->config.base.lane.inflight_bytes_max = 1 << 20;
    r->config.base.lane.reply_bytes_max = 1 << 20;
}

static void rig_open(rig *r)
{
    nkvi_loop_call(r->loop, create, r);
    cr_assert_eq(r->status, NKV_OK);
    r->foreign = r->connector->ops->route(r->connector, nkv_cstr(""), NKVI_TO_WRITE).peer->foreign;
    cr_assert_eq(nkvi_foreign_open(r->foreign, NULL), NKV_OK);
}

static void rig_end(rig *r)
{
    nkvi_loop_call(r->loop, stop, r);
    r->connector->ops->wait(r->connector);
    nkvi_loop_call(r->loop, destroy, r);
    nkvi_loop_destroy(r->loop);
    nkv_cache_release(r->cache);
    t_store_free(r->store);
}

/* ---- An operation ---------------------------------------------------------------------------- */

static atomic_int turn;

typedef struct work {
    nkvi_foreign_op op;
    char room[ROOM], text[ROOM];
    size_t len;
    bool no_room; /* room() says NULL */
    bool found;
    nkv_status status;
    nkv_error error;
    atomic_int order; /* 0: not done */
} work;

static char *work_room(nkvi_foreign_op *op, size_t len)
{
    work *w = (work *)(void *)op;
    cr_assert_leq(len, ROOM);
    return w->no_room ? NULL : w->room;
}

static void work_done(nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                      const nkv_error *error)
{
    work *w = (work *)(void *)op;
    w->status = status;
    if (answer != NULL) {
        w->found = answer->found;
        w->len = answer->text.len;
        if (answer->text.len > 0 && answer->text.len < ROOM) {
            memcpy(w->text, answer->text.data, answer->text.len);
        }
    }
    if (error != NULL) {
        w->error = *error;
    }
    cr_assert_eq(atomic_load(&w->order), 0);
    atomic_store(&w->order, atomic_fetch_add(&turn, 1) + 1);
}

static void prepare(work *w, nkvi_foreign_kind kind, const char *key)
{
    memset(w, 0, sizeof *w);
    w->op.kind = kind;
    w->op.priority = kind == NKVI_FOREIGN_GET ? NKVI_GET : NKVI_PUT;
    w->op.key = nkv_cstr(key);
    w->op.deadline_ns = NKVI_NEVER;
    w->op.done = work_done;
}

static void submit(rig *r, work *w)
{
    nkvi_foreign_op *ops[1] = {&w->op};
    nkvi_foreign_submit(r->foreign, ops, 1);
}

static bool is_done(work *w)
{
    return atomic_load(&w->order) > 0;
}

static void await(work *w)
{
    T_WAIT_UNTIL(is_done(w), SOON_MS);
}

/* Keeps the only worker busy until t_store_go(). */
static void occupy(rig *r, work *w)
{
    t_store_hold(r->store, T_STORE_PING);
    prepare(w, NKVI_FOREIGN_PING, "");
    submit(r, w);
    t_store_await(r->store, T_STORE_PING, 1);
}

static void start_with_one(rig *r)
{
    rig_start(r);
    r->table.calls_max = 1;
    rig_open(r);
}

/* ---- Order ----------------------------------------------------------------------------------- */

Test(conn_foreign, by_priority_and_then_in_the_order_of_submission)
{
    rig r;
    start_with_one(&r);
    work busy, works[8];
    occupy(&r, &busy);
    for (int i = 0; i < 8; i++) {
        prepare(&works[i], i % 2 == 0 ? NKVI_FOREIGN_GET : NKVI_FOREIGN_EXISTS, "k");
        works[i].op.priority = (nkvi_priority)(3 - i / 2);
        submit(&r, &works[i]);
    }
    t_store_go(r.store);
    for (int i = 0; i < 8; i++) {
        await(&works[i]);
    }
    for (int i = 0; i + 2 < 8; i++) {
        cr_assert_gt(works[i].order, works[i + 2 - (i % 2)].order);
    }
    cr_assert_lt(works[0].order, works[1].order);
    rig_end(&r);
}

Test(conn_foreign, the_lowest_priority_has_its_turn)
{
    enum { MANY = 300 };
    static work works[MANY];
    rig r;
    rig_start(&r);
    r.table.calls_max = 1;
    rig_open(&r);
    work busy, low;
    occupy(&r, &busy);
    prepare(&low, NKVI_FOREIGN_PUT, "k");
    submit(&r, &low);
    for (int i = 0; i < MANY; i++) {
        prepare(&works[i], NKVI_FOREIGN_EXISTS, "k");
        works[i].op.priority = NKVI_PEEK;
        submit(&r, &works[i]);
    }
    t_store_go(r.store);
    await(&low);
    for (int i = 0; i < MANY; i++) {
        await(&works[i]);
    }
    cr_assert_eq(low.order - busy.order, (int)NKVI_BULK_STREAK + 1);
    rig_end(&r);
}

Test(conn_foreign, a_call_is_for_one_kind_and_no_more_bytes_than_fit)
{
    rig r;
    rig_start(&r);
    r.table.calls_max = 1;
    r.config.window_bytes = 100;
    rig_open(&r);
    work busy, works[9];
    occupy(&r, &busy);
    for (int i = 0; i < 9; i++) { /* GET GET | EXISTS | GET GET GET | GET GET GET */
        prepare(&works[i], i == 2 ? NKVI_FOREIGN_EXISTS : NKVI_FOREIGN_GET, "k");
        works[i].op.priority = NKVI_GET;
        works[i].op.expect = 30;
        submit(&r, &works[i]);
    }
    t_store_go(r.store);
    for (int i = 0; i < 9; i++) {
        await(&works[i]);
        cr_assert_eq(works[i].status, NKV_OK);
    }
    cr_assert_eq(t_store_calls(r.store, T_STORE_GET), 3);
    cr_assert_eq(t_store_calls(r.store, T_STORE_EXISTS), 1);
    work large;
    prepare(&large, NKVI_FOREIGN_GET, "k");
    large.op.expect = 1000; /* alone it may */
    submit(&r, &large);
    await(&large);
    cr_assert_eq(large.status, NKV_OK);
    rig_end(&r);
}

Test(conn_foreign, one_settle_answers_all_that_wait)
{
    rig r;
    start_with_one(&r);
    work busy, works[5];
    occupy(&r, &busy);
    for (int i = 0; i < 5; i++) {
        prepare(&works[i], NKVI_FOREIGN_SETTLE, "");
        submit(&r, &works[i]);
    }
    t_store_go(r.store);
    for (int i = 0; i < 5; i++) {
        await(&works[i]);
        cr_assert_eq(works[i].status, NKV_OK);
    }
    cr_assert_eq(t_store_calls(r.store, T_STORE_SETTLE), 1);
    rig_end(&r);
}

Test(conn_foreign, workers_are_made_when_they_are_needed)
{
    const int before = t_thread_count();
    rig r;
    rig_start(&r);
    rig_open(&r);
    cr_assert_eq(t_thread_count(), before + 1); /* the loop's */
    t_store_hold(r.store, T_STORE_GET);
    work works[6];
    for (int i = 0; i < 6; i++) {
        prepare(&works[i], NKVI_FOREIGN_GET, "k");
        submit(&r, &works[i]);
        if (i < 4) {
            t_store_await(r.store, T_STORE_GET, i + 1);
            cr_assert_eq(t_thread_count(), before + 3 + i); /* and a keeper */
        }
    }
    cr_assert_eq(t_thread_count(), before + 6);
    t_store_go(r.store);
    for (int i = 0; i < 6; i++) {
        await(&works[i]);
    }
    cr_assert_eq(t_store_at_once(r.store), 4);
    rig_end(&r);
    cr_assert_eq(t_thread_count(), before);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void get_into(rig *r, work *w, bool no_room)
{
    prepare(w, NKVI_FOREIGN_GET, "k");
    w->op.room = work_room;
    w->no_room = no_room;
    submit(r, w);
}

Test(conn_foreign, a_value_passes_through_a_buffer)
{
    rig r;
    rig_start(&r);
    rig_open(&r);
    t_store_change(r.store, "k", "value");
    work w;
    get_into(&r, &w, false);
    await(&w);
    cr_assert_eq(w.len, 5);
    cr_assert_str_eq(w.room, "value");
    cr_assert_str_eq(w.text, "value");
    cr_assert_neq(t_store_room(r.store), w.room);
    get_into(&r, &w, true);
    await(&w);
    cr_assert_str_eq(w.text, "value"); /* a copy to look at */
    rig_end(&r);
}

Test(conn_foreign, a_punctual_table_has_the_memory_itself)
{
    rig r;
    rig_start(&r);
    r.table.punctual = 1;
    rig_open(&r);
    t_store_change(r.store, "k", "value");
    work w;
    get_into(&r, &w, false);
    await(&w);
    cr_assert_str_eq(w.room, "value");
    cr_assert_eq(t_store_room(r.store), w.room);
    get_into(&r, &w, true);
    await(&w);
    cr_assert_str_eq(w.text, "value");
    rig_end(&r);
}

/* The store stands still with a pointer to memory, and the operation ends: that memory must not be
 * the operation's. */
static void ends_while_asked(nkv_status how)
{
    rig r;
    rig_start(&r);
    rig_open(&r);
    t_store_change(r.store, "k", "value");
    t_store_hold(r.store, T_STORE_GET);
    work w;
    prepare(&w, NKVI_FOREIGN_GET, "k");
    w.op.room = work_room;
    w.op.deadline_ns = how == NKV_ETIMEDOUT ? nkvi_now_ns() + 300 * NKVI_NS_PER_MS : NKVI_NEVER;
    submit(&r, &w);
    t_store_await(r.store, T_STORE_GET, 1);
    if (how == NKV_ECANCELED) {
        nkvi_foreign_cancel(r.foreign, &w.op);
    } else if (how == NKV_ECLOSED) {
        nkvi_loop_call(r.loop, stop, &r);
    }
    await(&w);
    cr_assert_eq(w.status, how);
    nkvi_foreign_cancel(r.foreign, &w.op); /* too late, and no harm */
    memset(&w, '?', sizeof w);
    t_store_go(r.store);
    rig_end(&r);
    for (size_t i = 0; i < sizeof w; i++) {
        cr_assert_eq(((const char *)&w)[i], '?', "byte %zu was touched", i);
    }
}

Test(conn_foreign, an_operation_ends_at_its_deadline)
{
    ends_while_asked(NKV_ETIMEDOUT);
}

Test(conn_foreign, an_operation_ends_when_it_is_cancelled)
{
    ends_while_asked(NKV_ECANCELED);
}

Test(conn_foreign, an_operation_ends_when_the_pool_stops)
{
    ends_while_asked(NKV_ECLOSED);
}

Test(conn_foreign, lent_memory_holds_the_end_up)
{
    rig r;
    rig_start(&r);
    r.table.punctual = 1;
    rig_open(&r);
    t_store_change(r.store, "k", "value");
    t_store_hold(r.store, T_STORE_GET);
    work w, put;
    prepare(&w, NKVI_FOREIGN_GET, "k");
    w.op.room = work_room;
    w.op.deadline_ns = nkvi_now_ns() + 300 * NKVI_NS_PER_MS;
    submit(&r, &w);
    t_store_await(r.store, T_STORE_GET, 1);
    t_store_hold_first(r.store, T_STORE_PUT);
    prepare(&put, NKVI_FOREIGN_PUT, "p");
    put.op.value = nkv_cstr("v");
    put.op.deadline_ns = nkvi_now_ns() + 300 * NKVI_NS_PER_MS;
    submit(&r, &put);
    t_store_await(r.store, T_STORE_PUT, 1);
    work watch; /* ends behind both deadlines */
    t_store_hold(r.store, T_STORE_EXISTS);
    prepare(&watch, NKVI_FOREIGN_EXISTS, "k");
    watch.op.deadline_ns = nkvi_now_ns() + 400 * NKVI_NS_PER_MS;
    submit(&r, &watch);
    await(&watch);
    cr_assert_eq(watch.status, NKV_ETIMEDOUT);
    nkvi_foreign_cancel(r.foreign, &w.op);
    nkvi_loop_call(r.loop, stop, &r);
    cr_assert_not(is_done(&w));
    cr_assert_not(is_done(&put));
    t_store_go(r.store);
    await(&w);
    await(&put);
    cr_assert_eq(w.status, NKV_OK);
    cr_assert_str_eq(w.room, "value");
    cr_assert_eq(put.status, NKV_OK);
    rig_end(&r);
}

Test(conn_foreign, a_put_has_a_copy_of_its_value)
{
    rig r;
    rig_start(&r);
    rig_open(&r);
    char value[] = "value";
    t_store_hold_first(r.store, T_STORE_PUT);
    work w;
    prepare(&w, NKVI_FOREIGN_PUT, "k");
    w.op.value = nkv_cstr(value);
    w.op.deadline_ns = nkvi_now_ns() + 300 * NKVI_NS_PER_MS;
    submit(&r, &w);
    t_store_await(r.store, T_STORE_PUT, 1);
    await(&w);
    cr_assert_eq(w.status, NKV_ETIMEDOUT);
    memset(value, '?', sizeof value - 1);
    t_store_go(r.store);
    T_WAIT_UNTIL(t_store_has(r.store, "k", "value"), SOON_MS);
    rig_end(&r);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

Test(conn_foreign, what_waits_ends_without_being_asked)
{
    rig r;
    start_with_one(&r);
    work busy, late, cancelled, closed;
    occupy(&r, &busy);
    prepare(&late, NKVI_FOREIGN_GET, "late");
    late.op.deadline_ns = nkvi_now_ns() + 300 * NKVI_NS_PER_MS;
    submit(&r, &late);
    prepare(&cancelled, NKVI_FOREIGN_GET, "cancelled");
    submit(&r, &cancelled);
    prepare(&closed, NKVI_FOREIGN_PUT, "closed");
    submit(&r, &closed);
    nkvi_foreign_cancel(r.foreign, &cancelled.op);
    cr_assert_eq(cancelled.status, NKV_ECANCELED);
    await(&late);
    cr_assert_eq(late.status, NKV_ETIMEDOUT);
    cr_assert_neq(strstr(late.error.text, "toy:store: no answer"), NULL);
    nkvi_loop_call(r.loop, stop, &r);
    cr_assert_eq(closed.status, NKV_ECLOSED);
    work behind;
    prepare(&behind, NKVI_FOREIGN_PUT, "behind");
    submit(&r, &behind);
    cr_assert_eq(behind.status, NKV_ECLOSED);
    t_store_go(r.store);
    rig_end(&r);
}

Test(conn_foreign, a_cancel_before_the_submit_counts)
{
    rig r;
    rig_start(&r);
    rig_open(&r);
    work w, other;
    prepare(&w, NKVI_FOREIGN_PUT, "k");
    prepare(&other, NKVI_FOREIGN_PUT, "other");
    nkvi_foreign_cancel(r.foreign, &w.op);
    cr_assert_not(is_done(&w));
    nkvi_foreign_op *ops[2] = {&w.op, &other.op};
    nkvi_foreign_submit(r.foreign, ops, 2);
    cr_assert(is_done(&w));
    cr_assert_eq(w.status, NKV_ECANCELED);
    await(&other);
    cr_assert_eq(other.status, NKV_OK);
    cr_assert_eq(t_store_items(r.store, T_STORE_PUT), 1);
    rig_end(&r);
}

Test(conn_foreign, what_counts_is_refused_beyond_the_limits)
{
    rig r;
    rig_start(&r);
    r.table.calls_max = 1;
    r.config.base.lane.inflight_max = 2;
    r.config.base.lane.inflight_bytes_max = 1024;
    rig_open(&r);
    work busy, works[5];
    char value[1100];
    memset(value, 'v', sizeof value);
    occupy(&r, &busy); /* does not count */
    for (int i = 0; i < 5; i++) {
        prepare(&works[i], NKVI_FOREIGN_PUT, "k");
        works[i].op.limited = i != 3;
    }
    works[0].op.value = nkv_str_make(value, sizeof value);
    submit(&r, &works[0]);
    cr_assert_eq(works[0].status, NKV_EBUSY); /* bytes */
    nkvi_foreign_op *ops[3] = {&works[1].op, &works[2].op, &works[4].op};
    nkvi_foreign_submit(r.foreign, ops, 3);
    cr_assert_eq(works[1].status, NKV_EBUSY); /* all or none */
    cr_assert_eq(works[4].status, NKV_EBUSY);
    prepare(&works[1], NKVI_FOREIGN_PUT, "k");
    works[1].op.limited = true;
    submit(&r, &works[1]);
    prepare(&works[2], NKVI_FOREIGN_PUT, "k");
    works[2].op.limited = true;
    submit(&r, &works[2]);
    prepare(&works[4], NKVI_FOREIGN_PUT, "k");
    works[4].op.limited = true;
    submit(&r, &works[4]);
    cr_assert_eq(works[4].status, NKV_EBUSY); /* the third */
    submit(&r, &works[3]);
    cr_assert_not(is_done(&works[3]));
    t_store_go(r.store);
    await(&works[1]);
    await(&works[2]);
    await(&works[3]);
    cr_assert_eq(works[2].status, NKV_OK);
    rig_end(&r);
}

Test(conn_foreign, a_kind_without_a_function_is_refused_for_itself)
{
    rig r;
    rig_start(&r);
    r.table.put = NULL;
    rig_open(&r);
    work get, put;
    prepare(&get, NKVI_FOREIGN_GET, "k");
    prepare(&put, NKVI_FOREIGN_PUT, "k");
    nkvi_foreign_op *ops[2] = {&put.op, &get.op};
    nkvi_foreign_submit(r.foreign, ops, 2);
    cr_assert_eq(put.status, NKV_ENOTSUP);
    cr_assert_neq(strstr(put.error.text, "no function"), NULL);
    await(&get);
    cr_assert_eq(get.status, NKV_OK);
    cr_assert_not(get.found);
    rig_end(&r);
}

/* ---- Brackets -------------------------------------------------------------------------------- */

static bool fenced(rig *r, const char *key)
{
    nkvi_query query = {.key = nkv_cstr(key), .space = 0};
    nkvi_query_hash(r->cache, &query);
    const nkvi_token token = nkvi_fence_token(nkvi_cache_space_fence(r->cache, 0), query.key_hash);
    return !nkvi_fence_intact(&token);
}

Test(conn_foreign, writes_are_fenced_from_submit_until_the_function_returned)
{
    rig r;
    rig_start(&r);
    rig_open(&r);
    t_store_hold(r.store, T_STORE_REMOVE);
    work w, cancelled;
    prepare(&w, NKVI_FOREIGN_REMOVE, "k");
    submit(&r, &w);
    cr_assert(fenced(&r, "k"));
    t_store_await(r.store, T_STORE_REMOVE, 1);
    nkvi_foreign_cancel(r.foreign, &w.op);
    cr_assert_eq(w.status, NKV_ECANCELED);
    cr_assert(fenced(&r, "k"));
    prepare(&cancelled, NKVI_FOREIGN_PUT, "c");
    nkvi_foreign_cancel(r.foreign, &cancelled.op);
    submit(&r, &cancelled);
    cr_assert_not(fenced(&r, "c"));
    t_store_go(r.store);
    T_WAIT_UNTIL(!fenced(&r, "k"), SOON_MS);
    rig_end(&r);
}
