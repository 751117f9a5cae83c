/* tests/live/lmcache/test_loss.c - lost connections, dead servers, deadlines and late answers:
 * LMCache's behaviour 13, P4, and «after a completion nobody touches the buffer». */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/proxy.h"

/* ---- 13: killed connections ------------------------------------------------------------------ */

typedef struct killer {
    t_server *server;
    atomic_bool stop;
    atomic_llong killed;
} killer;

static void *kill_often(void *ud)
{
    killer *k = ud;
    t_ctl *ctl = t_ctl_open(k->server);
    while (!atomic_load(&k->stop)) {
        atomic_fetch_add(&k->killed, t_ctl_kill_type(ctl, "normal"));
        t_sleep_ms(4);
    }
    t_ctl_close(ctl);
    return NULL;
}

enum { BATCHES = 16, BATCH = 8, CHUNK = 100000 };

typedef struct batch {
    t_items list;
    uint64_t id;
    int kind;
    bool open;
} batch;

static nkv_status submit_kind(t_lm *lm, batch *b, nkv_ticket *ticket)
{
    nkv_item *items = b->list.items;
    switch (b->kind) {
    case 0:
        return nkv_lmcache_submit_get(lm->lm, items, BATCH, ticket);
    case 1:
        return nkv_lmcache_submit_put(lm->lm, items, BATCH, ticket);
    case 2:
        return nkv_lmcache_submit_contains(lm->lm, items, BATCH, ticket);
    case 3:
        return nkv_lmcache_submit_get_prefix(lm->lm, items, BATCH, ticket);
    default:
        return nkv_lmcache_submit_remove(lm->lm, items, BATCH, ticket);
    }
}

static nkv_status submit(t_lm *lm, nkv_queue *queue, batch *b)
{
    nkv_ticket ticket = {.queue = queue, .ud = b};
    t_items_reset(&b->list);
    const nkv_status status = submit_kind(lm, b, &ticket);
    b->id = ticket.id;
    return status;
}

/* What may come of an item when connections are cut under it. */
static void check_items(t_lm *lm, batch *b, const nkv_completion *done)
{
    const char *text = t_items_text(&b->list);
    cr_assert_eq(strspn(text, "+-C"), BATCH, "%s, kind %d: %s (%s)", lm->name, b->kind, text,
                 done->error.text);
    cr_assert_eq(done->status == NKV_OK, strchr(text, 'C') == NULL, "%s: %s, %s", lm->name,
                 nkv_status_text(done->status), text);
    cr_assert(done->status >= 0 || done->error.text[0] != '\0', "%s: no text", lm->name);
    for (size_t i = 0; i < BATCH; i++) {
        if ((b->kind == 0 || b->kind == 3) && b->list.items[i].status == NKV_OK) {
            cr_assert(t_item_has(&b->list, i), "%s", lm->name);
        }
        cr_assert(t_item_guarded(&b->list, i), "%s", lm->name);
    }
}

static void works_again(t_lm *lm)
{
    t_items list = t_items_list("again");
    const int64_t end_ms = t_now_ms() + 10000;
    t_items_values(&list, 5000);
    while (nkv_lmcache_put(lm->lm, list.items, 1, NULL) != NKV_OK && t_now_ms() < end_ms) {
        t_sleep_ms(1);
    }
    list.items[0].value = (nkv_str){NULL, 0};
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 1, NULL), NKV_OK, "%s", lm->name);
    cr_assert(t_item_has(&list, 0), "%s", lm->name);
    t_items_free(&list);
}

/* Submits batches of all kinds while `until_ms` is ahead; each ends exactly once. */
static void submit_much(t_lm *lm, int64_t until_ms)
{
    static batch batches[BATCHES];
    nkv_queue *queue = t_queue_new();
    uint64_t last = 0;
    size_t open = 0;
    for (int b = 0; b < BATCHES; b++) {
        batches[b] = (batch){.list = t_items_new("k", BATCH), .kind = b % 5};
        t_items_values(&batches[b].list, CHUNK);
        t_items_bufs(&batches[b].list, CHUNK);
    }
    do {
        for (int b = 0; b < BATCHES && t_now_ms() < until_ms; b++) {
            if (!batches[b].open) {
                cr_assert_eq(submit(lm, queue, &batches[b]), NKV_OK);
                cr_assert_eq(batches[b].id, ++last);
                batches[b].open = true;
                open++;
            }
        }
        if (open > 0) {
            const nkv_completion done = t_queue_next(queue);
            batch *b = done.ud;
            cr_assert(b->open && b->id == done.id, "%llu came twice", (unsigned long long)done.id);
            check_items(lm, b, &done);
            b->open = false;
            open--;
        }
    } while (open > 0 || t_now_ms() < until_ms);
    cr_assert_eq(nkv_queue_wait(queue, 0), NKV_NOT_FOUND);
    nkv_queue_destroy(queue);
    for (int b = 0; b < BATCHES; b++) {
        t_items_free(&batches[b].list);
    }
}

T_LIVE(lmcache_loss, case_13_killed_connections_in_mid_batch)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_options client = t_near_options(t_server_unix_url(server));
        client.backoff_min_ms = 1;
        client.backoff_max_ms = 10;
        const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_close(lm.ctl); /* it would be killed, too */
        lm.ctl = NULL;
        killer k = {.server = server};
        pthread_t thread;
        T_REQUIRE(pthread_create(&thread, NULL, kill_often, &k) == 0);
        submit_much(&lm, t_now_ms() + 1500);
        atomic_store(&k.stop, true);
        T_REQUIRE(pthread_join(thread, NULL) == 0);
        cr_assert_gt(atomic_load(&k.killed), 20);
        works_again(&lm);
        t_lm_close(&lm);
    }
}

/* ---- 13: killed servers ---------------------------------------------------------------------- */

/* The server is stopped, so that all of it is under way; then it dies.  Everything ends; when it is
 * there again, it is empty, and nothing of before is believed. */
T_LIVE_PRIVATE(lmcache_loss, case_13_a_server_that_dies_in_mid_batch)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        static batch batches[BATCHES];
        nkv_queue *queue = t_queue_new();
        for (int b = 0; b < BATCHES; b++) {
            char prefix[16];
            (void)snprintf(prefix, sizeof prefix, "b%d:", b);
            batches[b] = (batch){.list = t_items_new(prefix, BATCH), .kind = b % 5};
            t_items_values(&batches[b].list, 1 << 20);
            t_items_bufs(&batches[b].list, 1 << 20);
            cr_assert(b % 2 != 0 ||
                      nkv_lmcache_put(lm.lm, batches[b].list.items, BATCH, NULL) == NKV_OK);
        }
        t_server_pause(server);
        for (int b = 0; b < BATCHES; b++) {
            cr_assert_eq(submit(&lm, queue, &batches[b]), NKV_OK);
        }
        t_sleep_ms(50);
        t_ctl_close(lm.ctl);
        lm.ctl = NULL;
        t_server_kill(server);
        for (int b = 0; b < BATCHES; b++) {
            const nkv_completion done = t_queue_next(queue);
            batch *ended = done.ud;
            const char *text = t_items_text(&ended->list);
            cr_assert_eq(strspn(text, "+-CT"), BATCH, "%s: %s", lm.name, text);
            ended->open = true;
        }
        cr_assert_eq(nkv_queue_wait(queue, 0), NKV_NOT_FOUND);
        t_server_restart(server, NULL);
        works_again(&lm);
        for (int b = 0; b < BATCHES; b++) {
            cr_assert(batches[b].open, "%s: batch %d did not end", lm.name, b);
            cr_assert_eq(t_lm_has(&lm, batches[b].list.items[0].key, NKV_EVENTUAL, NULL),
                         NKV_NOT_FOUND, "%s: what was before the restart is believed", lm.name);
            t_items_free(&batches[b].list);
        }
        nkv_queue_destroy(queue);
        t_lm_close(&lm);
    }
    t_server_stop(server);
}

/* ---- Deadlines: P4 --------------------------------------------------------------------------- */

enum { TIMEOUT_MS = 150, SLACK_MS = 500, CALLS = 8 };

static int each_key(nkv_str key, void *ud)
{
    (void)key;
    (void)ud;
    return 0;
}

static nkv_status call_one(t_lm *lm, t_items *list, int which, nkv_call *call)
{
    size_t prefix = 0;
    switch (which) {
    case 0:
        return nkv_lmcache_contains(lm->lm, list->items, list->n, call);
    case 1:
        return nkv_lmcache_prefix(lm->lm, &list->items[0].key, 1, call, &prefix);
    case 2:
        return nkv_lmcache_get(lm->lm, list->items, list->n, call);
    case 3:
        return nkv_lmcache_get_prefix(lm->lm, list->items, list->n, call, &prefix);
    case 4:
        return nkv_lmcache_put(lm->lm, list->items, list->n, call);
    case 5:
        return nkv_lmcache_remove(lm->lm, list->items, list->n, call);
    case 6:
        return nkv_lmcache_list(lm->lm, nkv_cstr(""), each_key, NULL, call);
    default:
        return nkv_lmcache_ping(lm->lm, call);
    }
}

static void check_deadlines(t_lm *lm, bool by_call)
{
    static const char *const names[CALLS] = {"contains", "prefix", "get",  "get_prefix",
                                             "put",      "remove", "list", "ping"};
    t_items list = t_items_list("cold1 cold2");
    t_items_values(&list, 1 << 20);
    t_items_bufs(&list, 1000);
    for (int which = 0; which < CALLS; which++) {
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = by_call ? TIMEOUT_MS : 0;
        const int64_t begin_ms = t_now_ms();
        const nkv_status status = call_one(lm, &list, which, &call);
        const int64_t took_ms = t_now_ms() - begin_ms;
        cr_expect(status == NKV_ETIMEDOUT || status == NKV_ECONN, "%s, %s: %s", lm->name,
                  names[which], nkv_status_text(status));
        cr_expect_leq(took_ms, TIMEOUT_MS + SLACK_MS, "%s, %s: %lld ms", lm->name, names[which],
                      (long long)took_ms);
        cr_expect(call.error.text[0] != '\0', "%s, %s: no text", lm->name, names[which]);
    }
    t_items_free(&list);
}

/* Nothing is heard; the connector's timeout and the call's both end every call. */
T_LIVE(lmcache_loss, p4_every_call_ends_within_its_timeout)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        const nkv_options client = t_near_options(t_proxy_url(proxy));
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.timeout_ms = layout % 2 == 0 ? TIMEOUT_MS : 20000;
        t_lm lm = t_lm_open_with(server, &client, &options);
        works_again(&lm);
        t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
        check_deadlines(&lm, layout % 2 != 0);
        t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
        works_again(&lm);
        t_lm_close(&lm);
        t_proxy_stop(proxy);
    }
}

/* A prefix is asked for in several rounds; its deadline is one. */
T_LIVE(lmcache_loss, p4_a_prefix_of_many_rounds_has_one_deadline)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        nkv_options client = t_near_options(t_proxy_url(proxy));
        client.chunk_size = 1;
        const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_items list = t_items_new("k", 60);
        nkv_str keys[60];
        for (size_t i = 0; i < 60; i++) {
            t_lm_chunk(&lm, list.items[i].key, 10);
            keys[i] = list.items[i].key;
        }
        t_lm_sync(&lm);
        t_proxy_delay(proxy, T_EVERY, T_TO_CLIENT, 40);
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = 300;
        size_t prefix = 99;
        const int64_t begin_ms = t_now_ms();
        const nkv_status status = nkv_lmcache_prefix(lm.lm, keys, 60, &call, &prefix);
        const int64_t took_ms = t_now_ms() - begin_ms;
        cr_assert_lt(took_ms, 300 + SLACK_MS, "%s: %lld ms", lm.name, (long long)took_ms);
        cr_assert_eq(status, NKV_ETIMEDOUT, "%s: %s", lm.name, nkv_status_text(status));
        cr_assert_lt(prefix, 30, "%s: %zu", lm.name, prefix);
        t_items_free(&list);
        t_lm_close(&lm);
        t_proxy_stop(proxy);
    }
}

/* ---- Late answers ---------------------------------------------------------------------------- */

enum { LATE = 2 << 20 };

typedef struct late {
    bool cancel; /* else: its deadline passes */
    bool begun;  /* the answer's first bytes have come when it ends */
} late;

static const late late_kinds[] = {{false, false}, {false, true}, {true, false}, {true, true}};

static void hold_answers(t_proxy *proxy, const late *how)
{
    if (how->begun) {
        const t_trigger trigger = {.when = T_AT_BYTES, .bytes = 100000, .what = T_DO_HOLD};
        (void)t_proxy_on(proxy, T_EVERY, T_TO_CLIENT, &trigger);
    } else {
        t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    }
}

static bool is_pattern(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '#') {
            (void)fprintf(stderr, "byte %zu was written after the completion\n", i);
            return false;
        }
    }
    return true;
}

/* A get that ended early; then its answer comes. */
static void check_late(t_lm *lm, t_proxy *proxy, const late *how)
{
    t_items list = t_items_list("late");
    t_item_buf(&list, 0, LATE);
    t_items warm = t_items_new("warm", 8);
    for (size_t i = 0; i < 8; i++) {
        t_lm_chunk(lm, warm.items[i].key, 1000);
    }
    t_lm_chunk(lm, nkv_cstr("late"), LATE);
    cr_assert_eq(t_lm_has(lm, nkv_cstr("late"), NKV_BARRIER, NULL), NKV_OK);
    cr_assert_eq(nkv_lmcache_get(lm->lm, warm.items, 8, NULL), NKV_OK); /* lanes are there */
    nkv_queue *queue = t_queue_new();
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = how->cancel ? 20000 : 700;
    nkv_ticket ticket = {.queue = queue, .call = &call};
    hold_answers(proxy, how);
    cr_assert_eq(nkv_lmcache_submit_get(lm->lm, list.items, 1, &ticket), NKV_OK);
    /* On a busy machine the deadline may be first. */
    T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_CLIENT) > 60000 || t_queue_readable(queue, 0),
                 10000);
    if (how->cancel) {
        cr_assert_eq(nkv_queue_cancel(queue, ticket.id), NKV_OK);
    }
    const nkv_completion done = t_queue_next(queue);
    cr_assert_eq(done.status, how->cancel ? NKV_ECANCELED : NKV_ETIMEDOUT, "%s: %s", lm->name,
                 nkv_status_text(done.status));
    cr_assert_str_eq(t_items_text(&list), how->cancel ? "Z" : "T", "%s", lm->name);
    memset(list.items[0].buf, '#', LATE);
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_CLIENT) == 0, 5000);
    t_items_reset(&warm);
    cr_assert_eq(nkv_lmcache_get(lm->lm, warm.items, 8, NULL), NKV_OK, "%s", lm->name);
    for (size_t i = 0; i < 8; i++) {
        cr_assert(t_item_has(&warm, i), "%s: the stream is not aligned", lm->name);
    }
    t_sleep_ms(50);
    cr_assert(is_pattern(list.items[0].buf, LATE), "%s, %s, %s", lm->name,
              how->cancel ? "cancelled" : "timed out", how->begun ? "begun" : "not begun");
    nkv_queue_destroy(queue);
    t_items_free(&warm);
    t_items_free(&list);
}

T_LIVE(lmcache_loss, after_a_completion_nobody_touches_the_buffer)
{
    static const nkv_lmcache_layout layouts[] = {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_SINGLE_KEY};
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; i < sizeof late_kinds / sizeof late_kinds[0]; i++) {
            t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
            nkv_options client = t_near_options(t_proxy_url(proxy));
            client.backoff_min_ms = 1;
            client.max_idle_ms = 20000;
            const nkv_lmcache_options options = t_lm_options(layouts[l]);
            t_lm lm = t_lm_open_with(server, &client, &options);
            check_late(&lm, proxy, &late_kinds[i]);
            t_lm_close(&lm);
            t_proxy_stop(proxy);
        }
    }
}

/* A put that ended early: its value may be unmapped, and half of it is not stored. */
static void check_late_put(t_lm *lm, t_proxy *proxy, bool cancel)
{
    enum { BYTES = 8 << 20 };
    void *value = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    T_REQUIRE(value != MAP_FAILED);
    memset(value, 'v', BYTES);
    t_items list = t_items_list("late");
    list.items[0].value = nkv_str_make(value, BYTES);
    nkv_queue *queue = t_queue_new();
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = cancel ? 20000 : 700;
    nkv_ticket ticket = {.queue = queue, .call = &call};
    works_again(lm);
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    cr_assert_eq(nkv_lmcache_submit_put(lm->lm, list.items, 1, &ticket), NKV_OK);
    T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_SERVER) > 60000 || t_queue_readable(queue, 0),
                 10000);
    if (cancel) {
        cr_assert_eq(nkv_queue_cancel(queue, ticket.id), NKV_OK);
    }
    const nkv_completion done = t_queue_next(queue);
    cr_assert_eq(done.status, cancel ? NKV_ECANCELED : NKV_ETIMEDOUT, "%s",
                 nkv_status_text(done.status));
    T_REQUIRE(munmap(value, BYTES) == 0);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    works_again(lm);
    t_sleep_ms(50);
    cr_assert_eq(t_lm_int(lm, "EXISTS", nkv_cstr("late"), T_KV), 0, "half a value was stored");
    cr_assert(!lm->pair || t_lm_int(lm, "EXISTS", nkv_cstr("late"), T_META) == 0);
    cr_assert_eq(t_lm_has(lm, nkv_cstr("late"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
    nkv_queue_destroy(queue);
    list.items[0].value = (nkv_str){NULL, 0};
    t_items_free(&list);
}

T_LIVE(lmcache_loss, after_a_completion_nobody_reads_the_value)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        for (int cancel = 0; cancel < 2; cancel++) {
            t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
            nkv_options client = t_near_options(t_proxy_url(proxy));
            client.backoff_min_ms = 1;
            client.max_idle_ms = 20000;
            const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
            t_lm lm = t_lm_open_with(server, &client, &options);
            check_late_put(&lm, proxy, cancel != 0);
            t_lm_close(&lm);
            t_proxy_stop(proxy);
        }
    }
}

/* A put that is cut off at some place of its stream: metadata is there only with its payload. */
static void check_cut_put(t_lm *lm, t_proxy *proxy, t_rng *rng)
{
    t_items list = t_items_new("cut", 6);
    t_items_values(&list, 1 + t_rng_below(rng, 60000));
    const t_trigger cut = {
        .when = T_AT_BYTES, .bytes = t_rng_below(rng, 200000), .what = T_DO_CUT, .cut = T_FIN};
    t_ctl_ok(lm->ctl, "FLUSHALL");
    works_again(lm);
    (void)t_proxy_on(proxy, T_EVERY, T_TO_SERVER, &cut);
    const nkv_status status = nkv_lmcache_put(lm->lm, list.items, 6, NULL);
    cr_assert(status == NKV_OK || status == NKV_ECONN, "%s", nkv_status_text(status));
    for (size_t i = 0; i < 6; i++) {
        const nkv_str key = list.items[i].key;
        const bool meta = t_lm_int(lm, "EXISTS", key, T_META) == 1;
        cr_assert(!meta ||
                  t_lm_holds(lm, key, T_KV, list.items[i].value.data, list.items[i].value.len));
        cr_assert(meta || list.items[i].status != NKV_OK, "%s: OK, but not there", lm->name);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_loss, case_2_cut_between_payload_and_metadata)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (int round = 0; round < 120; round++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        nkv_options client = t_near_options(t_proxy_url(proxy));
        client.backoff_min_ms = 1;
        client.backoff_max_ms = 5;
        client.bulk_connections = 1 + (int64_t)t_rng_below(&rng, 3);
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)(round % T_LM_PAIRS));
        options.ttl_s = round / 3 % 2 == 0 ? 100 : 0;
        options.one_by_one = round / 6 % 2;
        t_lm lm = t_lm_open_with(server, &client, &options);
        check_cut_put(&lm, proxy, &rng);
        t_lm_close(&lm);
        t_proxy_stop(proxy);
    }
}
