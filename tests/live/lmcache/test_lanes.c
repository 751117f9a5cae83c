/* tests/live/lmcache/test_lanes.c - the tracked connection and the bulk lanes fail by themselves;
 * loops of the user's own; very many keys; the end of a connector under way. */
#include <ev.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/proxy.h"

/* ---- One kind of connection fails ------------------------------------------------------------ */

typedef struct rig {
    t_proxy *proxy; /* its first connection is the tracked one */
    t_lm lm;
} rig;

static rig open_rig(t_server *server, int layout)
{
    rig r = {.proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false)};
    nkv_options client = t_near_options(t_proxy_url(r.proxy));
    client.backoff_min_ms = 1;
    client.backoff_max_ms = 10;
    client.max_idle_ms = 30000;
    const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    r.lm = t_lm_open_with(server, &client, &options);
    t_ctl_ok(r.lm.ctl, "FLUSHALL");
    t_lm_sync(&r.lm);
    return r;
}

static void close_rig(rig *r)
{
    t_lm_close(&r->lm);
    t_proxy_stop(r->proxy);
}

/* The tracked connection is silent while a put goes through.  Whatever the put says: afterwards no
 * lookup says that the chunk is not there, if the put was NKV_OK. */
T_LIVE(lmcache_lanes, p2_a_put_beside_a_silent_tracked_connection)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_rig(server, layout);
        t_items list = t_items_list("k");
        t_items_values(&list, 1000);
        cr_assert_eq(t_lm_has(&r.lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = 400;
        t_proxy_hold(r.proxy, 1, T_TO_CLIENT);
        const int64_t begin_ms = t_now_ms();
        const nkv_status put = nkv_lmcache_put(r.lm.lm, list.items, 1, &call);
        cr_assert_lt(t_now_ms() - begin_ms, 1000, "%s", r.lm.name);
        cr_assert(put == NKV_OK || put == NKV_ETIMEDOUT, "%s: %s", r.lm.name, nkv_status_text(put));
        nkv_item item = {.key = nkv_cstr("k")};
        const nkv_status has = nkv_lmcache_contains(r.lm.lm, &item, 1, &call);
        cr_assert(has < 0 || item.status == NKV_OK, "%s: put is %s, and then it is not there",
                  r.lm.name, nkv_status_text(put));
        t_proxy_release(r.proxy, 1, T_TO_CLIENT);
        cr_assert_eq(t_lm_has(&r.lm, nkv_cstr("k"), NKV_BARRIER, NULL), NKV_OK, "%s", r.lm.name);
        t_items_free(&list);
        close_rig(&r);
    }
}

/* The tracked connection is cut again and again: puts, gets and lookups go on, and are right. */
T_LIVE(lmcache_lanes, case_13_the_tracked_connection_is_lost)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_rig(server, layout);
        t_items list = t_items_list("k");
        int good = 0;
        for (uint64_t round = 1; round <= 60; round++) {
            t_item_value(&list, 0, 1000, round);
            list.items[0].buf = NULL;
            t_client_info *clients;
            size_t count = 0;
            clients = t_ctl_clients(r.lm.ctl, &count);
            for (size_t i = 0; i < count; i++) {
                if (strchr(clients[i].flags, 't') != NULL) {
                    (void)t_ctl_kill_id(r.lm.ctl, clients[i].id);
                }
            }
            free(clients);
            const nkv_status put = nkv_lmcache_put(r.lm.lm, list.items, 1, NULL);
            cr_assert(put == NKV_OK || put == NKV_ECONN, "%s", nkv_status_text(put));
            if (put != NKV_OK) {
                continue;
            }
            const nkv_status has = t_lm_has(&r.lm, nkv_cstr("k"), NKV_EVENTUAL, NULL);
            cr_assert(has == NKV_OK || has == NKV_ECONN, "%s: %s", r.lm.name, nkv_status_text(has));
            const nkv_status got = nkv_lmcache_get(r.lm.lm, list.items, 1, NULL);
            cr_assert(got == NKV_OK || got == NKV_ECONN, "%s: %s", r.lm.name, nkv_status_text(got));
            cr_assert(got != NKV_OK || t_item_has_version(&list, 0, round), "%s", r.lm.name);
            good += has == NKV_OK && got == NKV_OK;
            t_items_reset(&list);
        }
        cr_assert_gt(good, 20, "%s: only %d of 60 rounds", r.lm.name, good);
        t_items_free(&list);
        close_rig(&r);
    }
}

/* All bulk lanes are silent: lookups do not notice. */
T_LIVE(lmcache_lanes, lookups_do_not_wait_for_bulk_lanes)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_rig(server, layout);
        t_lm_chunks(&r.lm, "a b c", 500000);
        t_items list = t_items_list("a b c");
        cr_assert_eq(nkv_lmcache_get(r.lm.lm, list.items, 3, NULL), NKV_OK);
        t_items_reset(&list);
        nkv_client_reset(r.lm.client);
        const int last = t_proxy_accepted(r.proxy);
        for (int conn = 2; conn <= last; conn++) {
            t_proxy_hold(r.proxy, conn, T_TO_CLIENT);
        }
        t_items under_way = t_items_list("a b c");
        nkv_queue *queue = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_get(r.lm.lm, under_way.items, 3, &ticket), NKV_OK);
        for (int round = 0; round < 3; round++) {
            nkv_client_reset(r.lm.client);
            const int64_t begin_ms = t_now_ms();
            cr_assert_eq(nkv_lmcache_contains(r.lm.lm, list.items, 3, NULL), NKV_OK);
            cr_assert_lt(t_now_ms() - begin_ms, 1000, "%s", r.lm.name);
            cr_assert_str_eq(t_items_text(&list), "+++");
        }
        for (int conn = 2; conn <= last; conn++) {
            t_proxy_release(r.proxy, conn, T_TO_CLIENT);
        }
        const nkv_completion done = t_queue_next(queue);
        cr_assert(done.status == NKV_OK && done.found == 3, "%s", done.error.text);
        nkv_queue_destroy(queue);
        t_items_free(&under_way);
        t_items_free(&list);
        close_rig(&r);
    }
}

/* ---- The end of a connector ------------------------------------------------------------------ */

/* Submitted batches may be under way when it is destroyed: they go on. */
T_LIVE(lmcache_lanes, case_14_a_connector_goes_its_batches_stay)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_rig(server, layout);
        t_items lists[4] = {t_items_list("a b"), t_items_list("n1 n2"), t_items_list("a x"),
                            t_items_list("a b")};
        nkv_queue *queue = t_queue_new();
        t_lm_chunks(&r.lm, "a b", 300000);
        t_items_values(&lists[1], 300000);
        t_proxy_hold(r.proxy, T_EVERY, T_TO_CLIENT);
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_get(r.lm.lm, lists[0].items, 2, &ticket), NKV_OK);
        cr_assert_eq(nkv_lmcache_submit_put(r.lm.lm, lists[1].items, 2, &ticket), NKV_OK);
        cr_assert_eq(nkv_lmcache_submit_contains(r.lm.lm, lists[2].items, 2, &ticket), NKV_OK);
        cr_assert_eq(nkv_lmcache_submit_get_prefix(r.lm.lm, lists[3].items, 2, &ticket), NKV_OK);
        nkv_lmcache_destroy(r.lm.lm);
        r.lm.lm = NULL;
        t_proxy_release(r.proxy, T_EVERY, T_TO_CLIENT);
        static const size_t found[] = {2, 2, 1, 2};
        for (int i = 0; i < 4; i++) {
            const nkv_completion done = t_queue_next(queue);
            cr_assert_eq(done.status, NKV_OK, "%s: %s", r.lm.name, done.error.text);
            cr_assert_eq(done.found, found[done.id - 1], "%s", r.lm.name);
        }
        cr_assert(t_item_has(&lists[0], 0) && t_item_has(&lists[3], 1), "%s", r.lm.name);
        for (int i = 0; i < 4; i++) {
            t_items_free(&lists[i]);
        }
        nkv_queue_destroy(queue);
        close_rig(&r);
    }
}

/* ---- A loop of the user's -------------------------------------------------------------------- */

typedef struct looped {
    nkv_queue *queue;
    nkv_completion last;
    size_t count;
} looped;

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    looped *l = watcher->data;
    nkv_completion done;
    while (nkv_queue_drain(l->queue, &done, 1) == 1) {
        l->last = done;
        l->count++;
    }
    ev_break(loop, EVBREAK_ONE);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    T_DIE("nothing came in ten seconds");
}

/* Everything on the loop of the test's own thread: submitting and draining are allowed there, and
 * waiting is told to be no good. */
T_LIVE(lmcache_lanes, case_23_on_a_loop_of_ones_own)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    looped l = {.queue = t_queue_new()};
    ev_io readable;
    ev_timer late;
    ev_io_init(&readable, on_readable, nkv_queue_fd(l.queue), EV_READ);
    readable.data = &l;
    ev_io_start(loop, &readable);
    ev_timer_init(&late, on_late, 10., 0.);
    ev_timer_start(loop, &late);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.loop = loop;
    nkv_client *client = t_near_start(&options);
    const nkv_lmcache_options plain = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
    nkv_lmcache *lm = t_lm_make(client, &plain);
    t_items put = t_items_list("a b");
    t_items get = t_items_list("a x b");
    t_items_values(&put, 100000);
    nkv_ticket ticket = {.queue = l.queue};
    cr_assert_eq(nkv_lmcache_submit_put(lm, put.items, 2, &ticket), NKV_OK);
    while (l.count < 1) {
        ev_run(loop, 0);
    }
    cr_assert(l.last.status == NKV_OK && l.last.found == 2, "%s", l.last.error.text);
    cr_assert_eq(nkv_lmcache_submit_contains(lm, get.items, 3, &ticket), NKV_OK);
    while (l.count < 2) {
        ev_run(loop, 0);
    }
    cr_assert_str_eq(t_items_text(&get), "+-+");
    cr_assert_eq(nkv_lmcache_submit_get(lm, get.items, 3, &ticket), NKV_OK);
    while (l.count < 3) {
        ev_run(loop, 0);
    }
    cr_assert_str_eq(t_items_text(&get), "+-+");
    cr_assert(t_item_has(&get, 0) && t_item_has(&get, 2));
    cr_assert_eq(nkv_lmcache_submit_remove(lm, put.items, 2, &ticket), NKV_OK);
    while (l.count < 4) {
        ev_run(loop, 0);
    }
    cr_assert_eq(l.last.found, 2);
    ev_io_stop(loop, &readable);
    ev_timer_stop(loop, &late);
    nkv_lmcache_destroy(lm);
    nkv_client_destroy(client);
    nkv_queue_destroy(l.queue);
    ev_loop_destroy(loop);
    t_items_free(&get);
    t_items_free(&put);
}

/* ---- Very many keys -------------------------------------------------------------------------- */

static void check_many(t_lm *lm)
{
    enum { MANY = 20000 };
    t_items list = t_items_new("k", MANY);
    t_items_values(&list, 100);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 60000;
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, MANY, &call), NKV_OK, "%s: %s", lm->name,
                 call.error.text);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), lm->pair ? 2 * MANY : MANY);
    (void)t_lm_int(lm, "DEL", list.items[MANY - 5].key, lm->pair ? T_META : T_KV);
    t_lm_sync(lm);
    nkv_str *keys = calloc(MANY, sizeof *keys);
    T_REQUIRE(keys != NULL);
    for (size_t i = 0; i < MANY; i++) {
        keys[i] = list.items[i].key;
    }
    for (int round = 0; round < 2; round++) {
        size_t prefix = 0;
        cr_assert_eq(nkv_lmcache_prefix(lm->lm, keys, MANY, &call, &prefix), NKV_OK);
        cr_assert_eq(prefix, MANY - 5, "%s: %zu", lm->name, prefix);
        nkv_client_reset(lm->client);
    }
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, MANY, &call), NKV_OK, "%s: %s", lm->name,
                 call.error.text);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert(i == MANY - 5 ? list.items[i].status == NKV_NOT_FOUND : t_item_has(&list, i));
    }
    t_items_reset(&list);
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, MANY, &call), NKV_OK);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), 0, "%s", lm->name);
    cr_assert(t_near_identity(lm->client));
    free(keys);
    t_items_free(&list);
}

T_LIVE(lmcache_lanes, case_15_twenty_thousand_keys_in_a_batch)
{
    t_lm_each(server, check_many);
}

/* ---- Failures in a prefix -------------------------------------------------------------------- */

/* A key in trouble ends a prefix: what is before it counts, what is behind it is not held. */
static void check_trouble(t_lm *lm)
{
    t_lm_chunks(lm, "a b list c", 1000);
    char name[64];
    t_arg args[] = {T_ARG("RPUSH"), t_lm_name(lm->layout, T_KV, nkv_cstr("list"), name),
                    T_ARG("x")};
    (void)t_lm_int(lm, "DEL", nkv_cstr("list"), T_KV);
    freeReplyObject(t_ctl_args(lm->ctl, 3, args));
    t_lm_sync(lm);
    t_items list = t_items_list("a b list c");
    nkv_call call;
    nkv_call_init(&call);
    size_t prefix = 99;
    const nkv_status status = nkv_lmcache_get_prefix(lm->lm, list.items, 4, &call, &prefix);
    cr_assert(status == NKV_EREPLY || status == NKV_OK, "%s: %s", lm->name,
              nkv_status_text(status));
    cr_assert_eq(prefix, 2, "%s: %zu", lm->name, prefix);
    cr_assert(t_item_has(&list, 0) && t_item_has(&list, 1), "%s", lm->name);
    cr_assert(list.items[2].status == (status == NKV_OK ? NKV_NOT_FOUND : NKV_EREPLY), "%s",
              lm->name);
    cr_assert(list.items[3].status == NKV_NOT_FOUND && list.items[3].held == NULL, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_lanes, case_12_a_key_in_trouble_ends_a_prefix)
{
    t_lm_each(server, check_trouble);
}
