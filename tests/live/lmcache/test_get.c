/* tests/live/lmcache/test_get.c - chunks that are read: LMCache's behaviours 4, 5, 6, 9, 10 and 11,
 * and every kind of memory that a caller may lend. */
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/monitor.h"

static const char *get(t_lm *lm, t_items *list)
{
    t_items_reset(list);
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_lmcache_get(lm->lm, list->items, list->n, &call);
    const char *text = t_items_text(list);
    /* The call fails exactly if an item does, and then says why. */
    const bool all_fine = strspn(text, "+-") == strlen(text);
    cr_assert_eq(status == NKV_OK, all_fine, "%s: %s, %s", lm->name, nkv_status_text(status), text);
    cr_assert(all_fine || (call.error.status == status && call.error.text[0] != '\0'), "%s", text);
    return text;
}

static const char *get_prefix(t_lm *lm, t_items *list, size_t *prefix)
{
    t_items_reset(list);
    nkv_call call;
    nkv_call_init(&call);
    *prefix = 9999;
    const nkv_status status = nkv_lmcache_get_prefix(lm->lm, list->items, list->n, &call, prefix);
    cr_assert_eq(status, NKV_OK, "%s: %s", lm->name, call.error.text);
    return t_items_text(list);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Exact, larger, smaller, none at all, one byte short; between two that are not there. */
static void check_buffers(t_lm *lm)
{
    static const size_t sizes[] = {1, 100, 70000, 3 << 20};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t len = sizes[s];
        t_items list = t_items_list("no1 exact larger smaller short zero held no2");
        t_lm_chunks(lm, "exact larger smaller short zero held", len);
        t_lm_sync(lm);
        t_items_bufs(&list, len);
        t_item_buf(&list, 2, len + 1000);
        t_item_buf(&list, 3, len / 2);
        t_item_buf(&list, 4, len - 1);
        t_item_buf(&list, 5, 0);
        list.items[6].buf = NULL;
        list.items[6].cap = 0;
        for (int round = 0; round < 2; round++) {
            cr_assert_str_eq(get(lm, &list), "-++SSS+-", "%s, %zu bytes", lm->name, len);
            for (size_t i = 0; i < list.n; i++) {
                const bool there = i > 0 && i < 7;
                cr_assert(!there || list.items[i].len == len, "%s, item %zu: %zu", lm->name, i,
                          list.items[i].len);
                cr_assert_eq(list.items[i].held != NULL, i == 6, "%s, item %zu", lm->name, i);
                if (list.items[i].status == NKV_OK) {
                    cr_assert(t_item_has(&list, i), "%s", lm->name);
                } else {
                    cr_assert(t_item_untouched(&list, i), "%s, item %zu", lm->name, i);
                }
            }
        }
        t_items_free(&list);
    }
}

T_LIVE(lmcache_get, case_15_buffers_exact_larger_and_smaller)
{
    t_lm_each(server, check_buffers);
}

/* What the caller's alloc() saw. */
typedef struct order {
    int calls;
    size_t len;
    int64_t meta_len;
    bool refuse;
    void *gave;
} order;

static void *take_order(nkv_item *item)
{
    order *o = item->ud;
    o->calls++;
    o->len = item->len;
    o->meta_len = item->meta != NULL ? item->meta->length : -1;
    if (o->refuse) {
        return NULL;
    }
    o->gave = malloc(item->len + 1);
    T_REQUIRE(o->gave != NULL);
    return o->gave;
}

/* Called once, with the size and the metadata known; what it refuses is NKV_ENOMEM, for that
 * item. */
static void check_alloc(t_lm *lm)
{
    enum { N = 7 };
    static const size_t sizes[N] = {1, 0, 100, 100, 70000, 3 << 20, 0};
    t_items list = t_items_list("a none refused b c d gone");
    t_items_metas(&list);
    order orders[N] = {{.calls = 0}};
    for (size_t i = 0; i < N; i++) {
        if (sizes[i] > 0) {
            t_lm_chunk(lm, list.items[i].key, sizes[i]);
        }
        orders[i].refuse = i == 2;
        list.items[i].alloc = take_order;
        list.items[i].ud = &orders[i];
    }
    cr_assert_str_eq(get(lm, &list), "+-M+++-", "%s", lm->name);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(orders[i].calls, sizes[i] > 0, "%s, item %zu: %d calls", lm->name, i,
                     orders[i].calls);
        cr_assert_null(list.items[i].held);
        if (sizes[i] == 0) {
            continue;
        }
        cr_assert_eq(orders[i].len, sizes[i], "%s, item %zu", lm->name, i);
        cr_assert(!lm->pair || orders[i].meta_len == (int64_t)sizes[i], "%s, item %zu: %lld",
                  lm->name, i, (long long)orders[i].meta_len);
        if (i != 2) {
            cr_assert_eq(list.items[i].buf, orders[i].gave, "%s, item %zu", lm->name, i);
            cr_assert(t_item_has(&list, i), "%s", lm->name);
        }
        free(orders[i].gave);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_15_memory_from_the_callers_function)
{
    t_lm_each(server, check_alloc);
}

/* alloc() runs under no lock: it may submit. */
typedef struct nested {
    t_lm *lm;
    nkv_queue *queue;
    t_items inner;
    nkv_status submitted;
    uint64_t cancels; /* 0: nothing */
    void *gave;
} nested;

static void *submit_inside(nkv_item *item)
{
    nested *n = item->ud;
    nkv_ticket ticket = {.queue = n->queue};
    n->submitted = nkv_lmcache_submit_contains(n->lm->lm, n->inner.items, n->inner.n, &ticket);
    if (n->cancels != 0) {
        (void)nkv_queue_cancel(n->queue, n->cancels);
    }
    n->gave = malloc(item->len);
    return n->gave;
}

static void check_nested(t_lm *lm)
{
    t_lm_chunks(lm, "a b", 2000);
    nested n = {.lm = lm, .queue = t_queue_new(), .inner = t_items_list("b x")};
    t_items list = t_items_list("a");
    list.items[0].alloc = submit_inside;
    list.items[0].ud = &n;
    cr_assert_str_eq(get(lm, &list), "+", "%s", lm->name);
    cr_assert_eq(n.submitted, NKV_OK, "%s", nkv_status_text(n.submitted));
    const nkv_completion done = t_queue_next(n.queue);
    cr_assert(done.status == NKV_OK && done.prefix == 1, "%s", lm->name);
    nkv_queue_destroy(n.queue);
    free(n.gave);
    t_items_free(&n.inner);
    t_items_free(&list);
}

T_LIVE(lmcache_get, the_callers_function_may_submit)
{
    t_lm_each(server, check_nested);
}

/* It may even cancel the batch that it is called for. */
static void check_cancel_inside(t_lm *lm)
{
    t_lm_chunks(lm, "a b c", 2000);
    for (int round = 0; round < 50; round++) {
        nested n = {.lm = lm, .queue = t_queue_new(), .inner = t_items_list("b x"), .cancels = 1};
        t_items list = t_items_list("c a b");
        list.items[1].alloc = submit_inside;
        list.items[1].ud = &n;
        nkv_ticket ticket = {.queue = n.queue};
        cr_assert_eq(nkv_lmcache_submit_get(lm->lm, list.items, 3, &ticket), NKV_OK);
        unsigned seen = 0;
        for (int i = 0; i < 2; i++) {
            const nkv_completion done = t_queue_next(n.queue);
            cr_assert(done.status == NKV_OK || (done.id == 1 && done.status == NKV_ECANCELED));
            seen |= 1u << done.id;
        }
        cr_assert_eq(seen, 6u);
        cr_assert_eq(strspn(t_items_text(&list), "+Z"), 3, "%s: %s", lm->name, t_items_text(&list));
        nkv_queue_destroy(n.queue);
        free(n.gave);
        t_items_free(&n.inner);
        t_items_free(&list);
    }
}

T_LIVE(lmcache_get, the_callers_function_may_cancel_its_own_batch)
{
    t_lm_each(server, check_cancel_inside);
}

/* A reference outlives client, connector and the key. */
static void check_held(t_lm *lm)
{
    t_lm_chunks(lm, "a b", 100000);
    t_items list = t_items_list("a b a");
    cr_assert_str_eq(get(lm, &list), "+++", "%s", lm->name);
    t_ctl_ok(lm->ctl, "FLUSHALL");
    nkv_lmcache_destroy(lm->lm);
    nkv_client_destroy(lm->client);
    lm->lm = NULL;
    lm->client = NULL;
    for (size_t i = 0; i < list.n; i++) {
        cr_assert(t_item_has(&list, i), "%s", lm->name);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_get, references_outlive_the_client)
{
    t_lm_each(server, check_held);
}

/* ---- 4: the payload is gone ------------------------------------------------------------------ */

static bool metadata_is_gone(t_lm *lm, nkv_str key)
{
    return t_lm_int(lm, "EXISTS", key, T_META) == 0;
}

/* A miss, and the metadata with it: at the server, and here. */
static void check_payload_gone(t_lm *lm)
{
    t_lm_chunks(lm, "a gone b", 5000);
    t_items list = t_items_list("a gone b");
    t_items_bufs(&list, 5000);
    cr_assert_eq(t_lm_has(lm, nkv_cstr("gone"), NKV_EVENTUAL, NULL), NKV_OK);
    (void)t_lm_int(lm, "DEL", nkv_cstr("gone"), T_KV);
    cr_assert_str_eq(get(lm, &list), "+-+", "%s", lm->name);
    cr_assert(t_item_untouched(&list, 1), "%s", lm->name);
    cr_assert_eq(t_lm_has(lm, nkv_cstr("gone"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND,
                 "%s: still promised", lm->name);
    T_WAIT_UNTIL(metadata_is_gone(lm, nkv_cstr("gone")), 5000);
    cr_assert_eq(t_lm_has(lm, nkv_cstr("gone"), NKV_BARRIER, NULL), NKV_NOT_FOUND);
    cr_assert_eq(t_lm_int(lm, "EXISTS", nkv_cstr("a"), T_META), 1, "%s", lm->name);
    /* The same by references, by alloc, and by the prefix. */
    t_lm_chunk(lm, nkv_cstr("gone"), 5000);
    (void)t_lm_int(lm, "DEL", nkv_cstr("gone"), T_KV);
    t_lm_sync(lm);
    t_items held = t_items_list("a gone b");
    size_t prefix = 0;
    cr_assert_str_eq(get_prefix(lm, &held, &prefix), "+--", "%s", lm->name);
    cr_assert(prefix == 1 && held.items[1].held == NULL && held.items[2].held == NULL, "%s",
              lm->name);
    T_WAIT_UNTIL(metadata_is_gone(lm, nkv_cstr("gone")), 5000);
    t_items_free(&held);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_4_a_payload_that_is_gone_takes_its_metadata_along)
{
    t_lm_each_pair(server, check_payload_gone);
}

/* All that alloc() gave is known to the caller, whatever comes of the item. */
static void check_alloc_of_gone(t_lm *lm)
{
    t_lm_chunks(lm, "gone b", 5000);
    t_items list = t_items_list("gone b");
    order orders[2] = {{.calls = 0}};
    for (size_t i = 0; i < 2; i++) {
        list.items[i].alloc = take_order;
        list.items[i].ud = &orders[i];
    }
    (void)t_lm_int(lm, "DEL", nkv_cstr("gone"), T_KV);
    cr_assert_str_eq(get(lm, &list), "-+", "%s", lm->name);
    cr_assert(orders[0].calls <= 1 && orders[1].calls == 1, "%s", lm->name);
    free(orders[0].gave);
    cr_assert(t_item_has(&list, 1), "%s", lm->name);
    free(orders[1].gave);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_4_memory_for_a_payload_that_is_gone)
{
    t_lm_each_pair(server, check_alloc_of_gone);
}

/* ---- 5: the metadata is gone ----------------------------------------------------------------- */

/* How many commands have named this key. */
static size_t named(t_monitor *monitor, nkv_lmcache_layout layout, nkv_lmcache_part part,
                    const char *key)
{
    char name[256];
    const t_arg arg = t_lm_name(layout, part, nkv_cstr(key), name);
    size_t count = 0;
    for (size_t i = 0; i < t_monitor_count(monitor); i++) {
        const t_monitor_entry entry = t_monitor_entry_at(monitor, i);
        bool hit = false;
        for (size_t a = 1; a < entry.argc; a++) {
            hit = hit || (strlen(entry.argv[a]) == arg.len &&
                          memcmp(entry.argv[a], arg.bytes, arg.len) == 0);
        }
        count += hit;
    }
    return count;
}

static void check_metadata_gone(t_lm *lm)
{
    t_lm_chunks(lm, "a orphan b", 5000);
    (void)t_lm_int(lm, "DEL", nkv_cstr("orphan"), T_META);
    t_items list = t_items_list("a orphan b");
    t_items_bufs(&list, 5000);
    t_monitor *monitor = t_monitor_start(lm->server);
    for (int round = 0; round < 2; round++) {
        cr_assert_str_eq(get(lm, &list), "+-+", "%s", lm->name);
        cr_assert(t_item_untouched(&list, 1), "%s", lm->name);
    }
    t_monitor_sync(monitor);
    cr_assert_eq(named(monitor, lm->layout, T_KV, "orphan"), 0, "%s", lm->name);
    cr_assert_eq(named(monitor, lm->layout, T_KV, "a"), 2, "%s: %zu", lm->name,
                 named(monitor, lm->layout, T_KV, "a"));
    t_monitor_stop(monitor);
    cr_assert_eq(t_lm_int(lm, "EXISTS", nkv_cstr("orphan"), T_KV), 1, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_5_without_metadata_the_payload_is_not_touched)
{
    t_lm_each_pair(server, check_metadata_gone);
}

/* ---- 6, 10, 11: sizes ------------------------------------------------------------------------ */

/* How many of these connections the server still has. */
static size_t still_there(t_ctl *ctl, const t_client_info *before, size_t count)
{
    size_t now_count = 0;
    size_t found = 0;
    t_client_info *now = t_ctl_clients(ctl, &now_count);
    for (size_t i = 0; i < count * now_count; i++) {
        found += before[i / now_count].id == now[i % now_count].id;
    }
    free(now);
    return found;
}

/* Payloads of another length than metadata says: a miss, nothing is delivered, the connections go
 * on; the metadata stays (it is not for a reader to judge).  Buffers are as large as metadata says,
 * or larger than all payloads. */
static void check_mismatch(t_lm *lm)
{
    static const size_t wrong[] = {0, 1, 999, 1001, 2000, 65536, 3 << 20};
    enum { N = 2 + 2 * sizeof wrong / sizeof wrong[0] };
    t_items list = t_items_new("k", N);
    const t_bytes meta = t_lm_plain(1000);
    for (size_t i = 0; i < N; i++) {
        t_lm_chunk(lm, list.items[i].key, i == 0 || i == N - 1 ? 1000 : wrong[(i - 1) / 2]);
        t_lm_lay(lm, list.items[i].key, T_META, meta.bytes, meta.len);
        t_item_buf(&list, i, i % 2 == 0 ? 1000 : 4 << 20);
    }
    t_lm_sync(lm);
    cr_assert_str_eq(get(lm, &list), "+--------------+", "%s", lm->name);
    const uint64_t reconnects = t_near_stats(lm->client).reconnects;
    size_t connections = 0;
    t_client_info *before = t_ctl_clients(lm->ctl, &connections);
    for (int round = 0; round < 3; round++) {
        cr_assert_str_eq(get(lm, &list), "+--------------+", "%s", lm->name);
        for (size_t i = 1; i < N - 1; i++) {
            cr_assert(t_item_untouched(&list, i), "%s, item %zu", lm->name, i);
        }
        cr_assert(t_item_has(&list, 0) && t_item_has(&list, N - 1), "%s", lm->name);
    }
    cr_assert_eq(still_there(lm->ctl, before, connections), connections, "%s", lm->name);
    cr_assert_eq(t_near_stats(lm->client).reconnects, reconnects, "%s", lm->name);
    free(before);
    cr_assert_eq(t_lm_int(lm, "EXISTS", list.items[3].key, T_META), 1, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_6_payloads_of_another_size_are_misses)
{
    t_lm_each_pair(server, check_mismatch);
}

static void check_mismatch_held(t_lm *lm)
{
    t_lm_chunks(lm, "a long short b", 1000);
    static char bytes[5000];
    t_lm_lay(lm, nkv_cstr("long"), T_KV, bytes, 5000);
    t_lm_lay(lm, nkv_cstr("short"), T_KV, bytes, 500);
    t_items list = t_items_list("a long short b");
    cr_assert_str_eq(get(lm, &list), "+--+", "%s", lm->name);
    cr_assert(list.items[1].held == NULL && list.items[2].held == NULL, "%s", lm->name);
    cr_assert(t_item_has(&list, 0) && t_item_has(&list, 3), "%s", lm->name);
    order orders[4] = {{.calls = 0}};
    for (size_t i = 0; i < 4; i++) {
        list.items[i].alloc = take_order;
        list.items[i].ud = &orders[i];
    }
    cr_assert_str_eq(get(lm, &list), "+--+", "%s, alloc", lm->name);
    for (size_t i = 0; i < 4; i++) {
        cr_assert(orders[i].calls <= 1 && (orders[i].calls == 0 || orders[i].len == 1000), "%s",
                  lm->name);
        free(orders[i].gave);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_6_other_sizes_by_reference_and_by_alloc)
{
    t_lm_each_pair(server, check_mismatch_held);
}

/* RESP mode: a miss in a batch, and every size but the chunk's, leave the stream aligned. */
T_LIVE(lmcache_get, case_10_and_11_a_single_key_of_fixed_size)
{
    nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_SINGLE_KEY);
    options.chunk_bytes = 70000;
    t_lm lm = t_lm_open_with(server, NULL, &options);
    static const size_t sizes[] = {70000, 0, 1, 69999, 70001, 140000, 3 << 20, 70000};
    t_items list = t_items_list("s0 s1 s2 s3 s4 s5 s6 s7 none s0");
    for (size_t i = 0; i < 8; i++) {
        t_lm_chunk(&lm, list.items[i].key, sizes[i]);
    }
    for (int round = 0; round < 3; round++) {
        t_items_bufs(&list, round == 1 ? 4 << 20 : 70000);
        cr_assert_str_eq(get(&lm, &list), "+------+-+", "round %d", round);
        for (size_t i = 0; i < list.n; i++) {
            cr_assert(list.items[i].status == NKV_OK ? t_item_has(&list, i)
                                                     : t_item_untouched(&list, i),
                      "item %zu", i);
        }
    }
    t_items held = t_items_list("s0 s1 s4 s7");
    cr_assert_str_eq(get(&lm, &held), "+--+");
    cr_assert(held.items[1].held == NULL && held.items[2].held == NULL && t_item_has(&held, 3));
    t_items_free(&held);
    t_items_free(&list);
    t_lm_close(&lm);
}

T_LIVE(lmcache_get, case_10_a_miss_between_two_hits)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_SINGLE_KEY);
    t_lm_chunks(&lm, "a c", 300);
    t_items list = t_items_list("a b c");
    t_items_bufs(&list, 300);
    for (int round = 0; round < 50; round++) {
        cr_assert_str_eq(get(&lm, &list), "+-+");
        cr_assert(t_item_has(&list, 0) && t_item_has(&list, 2) && t_item_untouched(&list, 1));
    }
    t_items_free(&list);
    t_lm_close(&lm);
}

/* ---- 9: positions ---------------------------------------------------------------------------- */

static void check_positions(t_lm *lm)
{
    static const char *const wholes[] = {"+-+-+", "-+-+-", "-----", "+++++", "----+", "+----"};
    for (size_t w = 0; w < sizeof wholes / sizeof wholes[0]; w++) {
        char *prefix = t_format("w%zu:", w);
        t_items list = t_items_new(prefix, 5);
        for (size_t i = 0; i < 5; i++) {
            if (wholes[w][i] == '+') {
                t_lm_chunk(lm, list.items[i].key, 1000 + i);
            }
        }
        cr_assert_str_eq(get(lm, &list), wholes[w], "%s", lm->name);
        const size_t leading = strspn(wholes[w], "+");
        for (size_t i = 0; i < 5; i++) {
            cr_assert(wholes[w][i] == '+' ? t_item_has(&list, i) : list.items[i].held == NULL);
            cr_assert(wholes[w][i] != '+' || list.items[i].len == 1000 + i, "%s", lm->name);
        }
        size_t count = 0;
        char want[6] = "-----";
        memset(want, '+', leading);
        cr_assert_str_eq(get_prefix(lm, &list, &count), want, "%s", lm->name);
        cr_assert_eq(count, leading, "%s: %zu", lm->name, count);
        for (size_t i = 0; i < 5; i++) {
            cr_assert(i < leading ? t_item_has(&list, i) : list.items[i].held == NULL);
        }
        t_items_free(&list);
        free(prefix);
    }
}

T_LIVE(lmcache_get, case_9_holes_stay_holes_and_the_prefix_ends_at_the_first)
{
    t_lm_each(server, check_positions);
}

/* Payloads behind the first missing metadata are not asked for. */
static void check_prefix_asks(t_lm *lm)
{
    t_lm_chunks(lm, "a b d e", 1000);
    t_items list = t_items_list("a b none d e");
    t_items_bufs(&list, 1000);
    t_monitor *monitor = t_monitor_start(lm->server);
    size_t prefix = 0;
    cr_assert_str_eq(get_prefix(lm, &list, &prefix), "++---", "%s", lm->name);
    cr_assert_eq(prefix, 2);
    t_monitor_sync(monitor);
    cr_assert_eq(named(monitor, lm->layout, T_KV, "a"), 1, "%s", lm->name);
    cr_assert_eq(named(monitor, lm->layout, T_KV, "d"), 0, "%s", lm->name);
    cr_assert_eq(named(monitor, lm->layout, T_KV, "e"), 0, "%s", lm->name);
    t_monitor_stop(monitor);
    cr_assert(t_item_has(&list, 0) && t_item_has(&list, 1));
    cr_assert(t_item_untouched(&list, 3) && t_item_untouched(&list, 4), "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_9_the_prefix_does_not_ask_behind_its_end)
{
    t_lm_each_pair(server, check_prefix_asks);
}

/* The prefix ends in the middle of what was asked for already: the rest is given back. */
static void check_prefix_cut(t_lm *lm)
{
    t_lm_chunks(lm, "a b c d e", 1000);
    static char other[10];
    t_lm_lay(lm, nkv_cstr("c"), T_KV, other, sizeof other);
    t_items list = t_items_list("a b c d e");
    size_t prefix = 0;
    cr_assert_str_eq(get_prefix(lm, &list, &prefix), "++---", "%s", lm->name);
    cr_assert_eq(prefix, 2, "%s: %zu", lm->name, prefix);
    for (size_t i = 2; i < 5; i++) {
        cr_assert_null(list.items[i].held, "%s, item %zu", lm->name, i);
    }
    nkv_queue *queue = t_queue_new();
    nkv_ticket ticket = {.queue = queue};
    t_items_reset(&list);
    cr_assert_eq(nkv_lmcache_submit_get_prefix(lm->lm, list.items, 5, &ticket), NKV_OK);
    const nkv_completion done = t_queue_next(queue);
    cr_assert(done.status == NKV_OK && done.prefix == 2 && done.found == 2, "%s: %zu, %zu",
              lm->name, done.prefix, done.found);
    cr_assert_str_eq(t_items_text(&list), "++---", "%s", lm->name);
    nkv_queue_destroy(queue);
    t_items_free(&list);
}

T_LIVE(lmcache_get, case_9_a_payload_of_another_size_ends_the_prefix)
{
    t_lm_each_pair(server, check_prefix_cut);
}

/* ---- Duplicates ------------------------------------------------------------------------------ */

static void check_duplicates(t_lm *lm)
{
    t_lm_chunks(lm, "a b", 40000);
    t_items list = t_items_list("a x a b x b a");
    t_items_bufs(&list, 40000);
    for (int round = 0; round < 3; round++) {
        cr_assert_str_eq(get(lm, &list), "+-++-++", "%s", lm->name);
        for (size_t i = 0; i < list.n; i++) {
            cr_assert(list.items[i].status != NKV_OK || t_item_has(&list, i), "%s", lm->name);
        }
    }
    t_items_free(&list);
}

T_LIVE(lmcache_get, duplicates_each_get_their_own_bytes)
{
    t_lm_each(server, check_duplicates);
}
