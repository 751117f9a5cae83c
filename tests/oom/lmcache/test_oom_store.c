/* tests/oom/lmcache/test_oom_store.c - put, lookup, get and remove of chunks, waiting and not,
 * again and again with the i-th allocation failing, for every i.
 *
 * Whatever fails: nothing crashes, nothing is left, every batch ends once, an item that is NKV_OK
 * has its bytes, and the next calls work. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/lm.h"
#include "support/oom.h"
#include "support/resp.h"

enum { KEYS = 3, LEN = 3000, SOON_MS = 10000 };

/* ---- The scenario ---------------------------------------------------------------------------- */

static int wrong;

static void complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    wrong++;
}

/* A status that may come of a lack of memory, or none at all. */
static void allow(nkv_status status, const char *what)
{
    if (status < 0 && !(t_oom_failed() && (status == NKV_ENOMEM || status == NKV_ECONN ||
                                           status == NKV_EPROTO || status == NKV_ENOTSUP))) {
        complain(what, nkv_status_text(status));
    }
}

/* What became of the items of a batch; `wants` is what they are without a failure. */
static void allow_items(t_items *list, nkv_status status, nkv_status wants, bool values,
                        const char *what)
{
    allow(status, what);
    if (status == NKV_EINVAL) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        const nkv_status item = list->items[i].status;
        if (status >= 0 && item != wants) {
            complain(what, "OK, but an item is not");
        }
        if (item >= 0 && item != wants) {
            complain(what, nkv_status_text(item));
        }
        if (item == NKV_OK && values && !t_item_has(list, i)) {
            complain(what, "other bytes");
        }
        if (item < 0 && list->items[i].held != NULL) {
            complain(what, "a failed item holds a value");
        }
    }
}

static void *from_heap(nkv_item *item)
{
    void **gave = item->ud;
    *gave = malloc(item->len + 1);
    return *gave;
}

static void read_all(nkv_lmcache *lm)
{
    t_items list = t_items_new("k", KEYS);
    t_items_metas(&list);
    size_t prefix = 99;
    const nkv_str keys[] = {list.items[0].key, list.items[1].key};
    const nkv_status looked = nkv_lmcache_prefix(lm, keys, 2, NULL, &prefix);
    allow(looked, "prefix");
    if (prefix > 2 || (looked == NKV_OK && prefix != 2)) {
        complain("prefix", "not a number of leading keys");
    }
    allow_items(&list, nkv_lmcache_contains(lm, list.items, KEYS, NULL), NKV_OK, false, "contains");
    t_items_reset(&list);
    allow_items(&list, nkv_lmcache_get(lm, list.items, KEYS, NULL), NKV_OK, true,
                "get by reference");
    t_items_reset(&list);
    t_items_bufs(&list, LEN);
    allow_items(&list, nkv_lmcache_get(lm, list.items, KEYS, NULL), NKV_OK, true, "get");
    void *gave[KEYS] = {NULL};
    for (size_t i = 0; i < KEYS; i++) {
        list.items[i].buf = NULL;
        list.items[i].alloc = from_heap;
        list.items[i].ud = &gave[i];
    }
    allow_items(&list, nkv_lmcache_get(lm, list.items, KEYS, NULL), NKV_OK, true, "get by alloc");
    for (size_t i = 0; i < KEYS; i++) {
        free(gave[i]);
    }
    t_items_free(&list);
    t_items held = t_items_new("k", KEYS);
    const nkv_status status = nkv_lmcache_get_prefix(lm, held.items, KEYS, NULL, &prefix);
    allow(status, "get_prefix");
    if (status == NKV_OK && prefix != KEYS) {
        complain("get_prefix", "OK, but shorter");
    }
    t_items_free(&held);
    t_items stale = t_items_list("stale");
    allow_items(&stale, nkv_lmcache_get(lm, stale.items, 1, NULL), NKV_NOT_FOUND, false, "stale");
    t_items_free(&stale);
}

static void write_all(nkv_lmcache *lm)
{
    t_items list = t_items_new("k", KEYS);
    t_items_values(&list, LEN);
    allow_items(&list, nkv_lmcache_put(lm, list.items, KEYS, NULL), NKV_OK, false, "put");
    t_items gone = t_items_new("k", KEYS);
    allow_items(&gone, nkv_lmcache_remove(lm, gone.items, KEYS, NULL), NKV_OK, false, "remove");
    t_items_free(&gone);
    t_items_free(&list);
}

static void plain_batches(nkv_client *client)
{
    t_items list = t_items_new("plain", KEYS);
    t_items_values(&list, LEN);
    allow_items(&list, nkv_batch_put(client, list.items, KEYS, 0, NULL), NKV_OK, false,
                "batch_put");
    allow_items(&list, nkv_batch_exists(client, list.items, KEYS, NULL), NKV_OK, false, "exists");
    allow_items(&list, nkv_batch_remove(client, list.items, KEYS, NULL), NKV_OK, false,
                "batch_remove");
    t_items_reset(&list);
    allow(nkv_batch_get(client, list.items, KEYS, NULL), "batch_get");
    t_items_free(&list);
}

/* Every kind, all at once; each accepted one ends once. */
static void submit_all(nkv_lmcache *lm)
{
    nkv_queue *queue = NULL;
    const nkv_status created = nkv_queue_create(&queue, NULL);
    allow(created, "queue");
    if (created < 0) {
        return;
    }
    t_items lists[5];
    size_t accepted = 0;
    uint64_t cancelled = 0;
    for (size_t i = 0; i < 5; i++) {
        lists[i] = t_items_new("k", KEYS);
        nkv_item *items = lists[i].items;
        nkv_ticket ticket = {.queue = queue};
        t_items_values(&lists[i], LEN);
        const nkv_status status = i == 0   ? nkv_lmcache_submit_put(lm, items, KEYS, &ticket)
                                  : i == 1 ? nkv_lmcache_submit_get(lm, items, KEYS, &ticket)
                                  : i == 2 ? nkv_lmcache_submit_contains(lm, items, KEYS, &ticket)
                                  : i == 3 ? nkv_lmcache_submit_get_prefix(lm, items, KEYS, &ticket)
                                           : nkv_lmcache_submit_remove(lm, items, KEYS, &ticket);
        allow(status, "submit");
        if ((ticket.id != 0) != (status == NKV_OK)) {
            complain("submit", "a number without a batch, or a batch without");
        }
        accepted += status == NKV_OK;
        if (i == 1) {
            cancelled = ticket.id;
            (void)nkv_queue_cancel(queue, ticket.id);
        }
    }
    nkv_completion done;
    for (size_t i = 0; i < accepted; i++) {
        t_queue_take(queue, &done, 1);
        if (!(done.id == cancelled && done.status == NKV_ECANCELED)) {
            allow(done.status, "completion");
        }
    }
    if (nkv_queue_wait(queue, 0) != NKV_NOT_FOUND) {
        complain("queue", "more completions than batches");
    }
    nkv_queue_destroy(queue);
    for (size_t i = 0; i < 5; i++) {
        t_items_free(&lists[i]);
    }
}

/* After the failure it works again. */
static void works_again(nkv_lmcache *lm)
{
    t_items list = t_items_new("k", KEYS);
    t_items put = t_items_new("k", KEYS);
    t_items_values(&put, LEN);
    const int64_t end_ms = t_now_ms() + SOON_MS;
    nkv_status status;
    do {
        t_items_reset(&list);
        status = nkv_lmcache_put(lm, put.items, KEYS, NULL);
        status = status < 0 ? status : nkv_lmcache_get(lm, list.items, KEYS, NULL);
    } while (status < 0 && t_now_ms() < end_ms);
    cr_assert_eq(status, NKV_OK, "it never works again: %s", nkv_status_text(status));
    allow_items(&list, status, NKV_OK, true, "the next get");
    t_items_free(&put);
    t_items_free(&list);
}

static void use(nkv_client *client, nkv_lmcache *lm)
{
    read_all(lm);
    write_all(lm);
    plain_batches(client);
    submit_all(lm);
    if (t_oom_failed()) {
        works_again(lm);
    }
}

static void live_once(t_fake *fake, nkv_lmcache_layout layout)
{
    nkv_options options = t_near_options(t_fake_url(fake));
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    options.bulk_connections = 2;
    nkv_client *client = NULL;
    const nkv_status status = nkv_client_create(&options, &client, NULL);
    cr_assert_eq(client == NULL, status < 0);
    if (status < 0) {
        cr_assert_eq(status, NKV_ENOMEM);
        return;
    }
    allow(nkv_client_wait_ready(client, SOON_MS, NULL), "ready");
    nkv_lmcache_options lm_options = t_lm_options(layout);
    lm_options.ttl_s = layout == NKV_LMCACHE_HASH_TAG ? 60 : 0;
    nkv_lmcache *lm = NULL;
    const nkv_status made = nkv_lmcache_create(client, &lm_options, &lm, NULL);
    allow(made, "create");
    cr_assert_eq(lm == NULL, made < 0);
    if (lm != NULL) {
        use(client, lm);
    }
    nkv_lmcache_destroy(lm);
    nkv_client_destroy(client);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void answer_get(t_fake *fake, const char *name, const void *bytes, size_t len)
{
    t_resp reply = {0};
    t_resp_bulk_bytes(&reply, bytes, len);
    t_fake_on_argv(fake, reply.bytes, reply.len, (const char *const[]){"GET", name, NULL});
    t_resp_free(&reply);
}

/* Three chunks, and metadata without its payload. */
static t_fake *start_server(nkv_lmcache_layout layout)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    if (layout == NKV_LMCACHE_COLON_SUFFIX) {
        t_fake_on(fake, "-ERR unknown command 'MSET'\r\n", "MSET", "...");
    } else {
        t_fake_on(fake, "+OK\r\n", "MSET", "...");
    }
    t_fake_on(fake, "+OK\r\n", "MULTI");
    t_fake_on(fake, "+QUEUED\r\n", "PEXPIRE", "...");
    t_fake_on(fake, "*3\r\n+OK\r\n:1\r\n:1\r\n", "EXEC");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    t_fake_on(fake, ":1\r\n", "EXISTS", "*");
    t_fake_on(fake, ":1\r\n", "DEL", "...");
    t_fake_on(fake, "_\r\n", "GET", "*");
    t_resp all = {0};
    t_resp_head(&all, '*', KEYS);
    const t_bytes meta = t_lm_plain(LEN);
    for (int i = 0; i <= KEYS; i++) {
        char key[16] = "stale";
        char name[64];
        char value[LEN];
        if (i < KEYS) {
            (void)snprintf(key, sizeof key, "k%d", i);
        }
        t_value_fill(value, LEN, nkv_cstr(key), 0);
        if (i < KEYS) {
            t_arg arg = t_lm_name(layout, T_KV, nkv_cstr(key), name);
            name[arg.len] = '\0';
            answer_get(fake, name, value, LEN);
            t_resp_bulk_bytes(&all, value, LEN);
        }
        if (layout != NKV_LMCACHE_SINGLE_KEY) {
            t_arg arg = t_lm_name(layout, T_META, nkv_cstr(key), name);
            name[arg.len] = '\0';
            answer_get(fake, name, meta.bytes, meta.len);
        }
    }
    t_fake_on_argv(fake, all.bytes, all.len, (const char *const[]){"MGET", "*", "*", "*", NULL});
    t_resp_free(&all);
    return fake;
}

/* Fails `burst` allocations in a row from each point on, `step` apart, until none fails any
 * more. */
static void check_every(nkv_lmcache_layout layout, long burst, long step)
{
    t_oom_open();
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    bool more = true;
    long from = 0;
    for (; more; from += step) {
        t_fake *fake = start_server(layout);
        t_oom_fail(from, burst);
        live_once(fake, layout);
        more = t_oom_failed();
        t_oom_relent();
        t_fake_stop(fake);
        cr_assert_eq(wrong, 0, "allocation %ld", from);
        cr_assert(t_fd_count() == fds && t_thread_count() == threads, "allocation %ld", from);
    }
    t_oom_close();
    cr_assert_gt(from, 50, "only %ld allocations: is the gate in force?", from);
}

Test(oom_lmcache_store, every_allocation_fails_once, .timeout = 280)
{
    check_every(NKV_LMCACHE_PLAIN_SUFFIX, 1, 1);
}

Test(oom_lmcache_store, every_allocation_fails_once_key_by_key, .timeout = 280)
{
    check_every(NKV_LMCACHE_COLON_SUFFIX, 1, 3);
}

Test(oom_lmcache_store, every_allocation_fails_once_in_a_transaction, .timeout = 280)
{
    check_every(NKV_LMCACHE_HASH_TAG, 1, 3);
}

Test(oom_lmcache_store, every_allocation_fails_once_with_a_single_key, .timeout = 280)
{
    check_every(NKV_LMCACHE_SINGLE_KEY, 1, 1);
}

Test(oom_lmcache_store, ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(NKV_LMCACHE_HASH_TAG, 10, 7);
}
