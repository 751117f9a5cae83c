/* tests/live/lmcache/test_payloads.c - payloads that are kept here (cache_payloads), or watched at
 * the server (verify_payload): local, and right; P1, P2, P3, and the witness rule. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/proxy.h"

static t_lm open_keeping(t_server *server, int layout)
{
    nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    options.cache_payloads = 1;
    t_lm lm = t_lm_open_with(server, NULL, &options);
    t_ctl_ok(lm.ctl, "FLUSHALL");
    t_lm_sync(&lm);
    return lm;
}

static const char *get_at(t_lm *lm, t_items *list, nkv_level level)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    t_items_reset(list);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list->items, list->n, &call), NKV_OK, "%s: %s", lm->name,
                 call.error.text);
    return t_items_text(list);
}

/* ---- Kept ------------------------------------------------------------------------------------ */

static void *from_heap(nkv_item *item)
{
    return malloc(item->len + 1);
}

/* The second get asks nobody, in every kind of memory, and after references are gone. */
static void check_local(t_lm *lm)
{
    t_lm_chunks(lm, "a b c d", 5000);
    t_items list = t_items_list("a none b c d a");
    cr_assert_str_eq(get_at(lm, &list, NKV_EVENTUAL), "+-++++", "%s", lm->name);
    const long long calls = t_ctl_data_calls(lm->ctl);
    for (int round = 0; round < 3; round++) {
        t_items_reset(&list);
        t_item_buf(&list, 2, 5000);
        t_item_buf(&list, 3, 4999);
        list.items[4].alloc = from_heap;
        list.items[4].buf = NULL;
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, list.n, NULL), NKV_ESIZE, "%s", lm->name);
        cr_assert_str_eq(t_items_text(&list), "+-+S++", "%s", lm->name);
        cr_assert(t_item_has(&list, 0) && t_item_has(&list, 2) && t_item_has(&list, 5));
        cr_assert(t_item_has(&list, 4) && t_item_untouched(&list, 3), "%s", lm->name);
        free(list.items[4].buf);
        list.items[4].buf = NULL;
    }
    cr_assert_eq(t_ctl_data_calls(lm->ctl), calls, "%s: not local", lm->name);
    t_items_free(&list);
}

/* Another's put, own puts and removals, of the same size and of others: seen, as promised. */
static void check_changes(t_lm *lm)
{
    t_items list = t_items_list("k");
    for (uint64_t round = 1; round <= 120; round++) {
        const size_t len = round % 4 == 0 ? 2000 : 1000;
        if (round % 2 == 0) {
            t_lm_chunk_version(lm, nkv_cstr("k"), len, round);
        } else {
            t_items put = t_items_list("k");
            t_item_value(&put, 0, len, round);
            cr_assert_eq(nkv_lmcache_put(lm->lm, put.items, 1, NULL), NKV_OK);
            t_items_free(&put);
        }
        const nkv_level level = round % 2 == 0 ? NKV_BARRIER : NKV_EVENTUAL;
        cr_assert_str_eq(get_at(lm, &list, level), "+", "%s, round %llu", lm->name,
                         (unsigned long long)round);
        cr_assert(t_item_has_version(&list, 0, round), "%s: an older payload", lm->name);
        cr_assert_str_eq(get_at(lm, &list, NKV_EVENTUAL), "+");
        cr_assert(t_item_has_version(&list, 0, round), "%s: an older payload", lm->name);
        if (round % 5 == 0) {
            t_items gone = t_items_list("k");
            cr_assert_eq(nkv_lmcache_remove(lm->lm, gone.items, 1, NULL), NKV_OK);
            cr_assert_str_eq(get_at(lm, &list, NKV_EVENTUAL), "-", "%s: removed", lm->name);
            t_items_free(&gone);
        } else if (round % 5 == 2) {
            (void)t_lm_int(lm, "DEL", nkv_cstr("k"), lm->pair ? T_META : T_KV);
            cr_assert_str_eq(get_at(lm, &list, NKV_BARRIER), "-", "%s: deleted", lm->name);
        }
    }
    t_items_free(&list);
}

T_LIVE(lmcache_payloads, p6_payloads_that_are_kept_cost_nothing)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = open_keeping(server, layout);
        check_local(&lm);
        t_lm_close(&lm);
    }
}

T_LIVE(lmcache_payloads, p2_p3_payloads_that_are_kept_are_right)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = open_keeping(server, layout);
        check_changes(&lm);
        t_lm_close(&lm);
    }
}

/* Not beyond the cache's limits, and what does not fit is read from the server. */
T_LIVE(lmcache_payloads, p5_payloads_that_are_kept_stay_within_the_limits)
{
    nkv_options client = t_near_options(t_server_unix_url(server));
    client.cache_options.bytes_max = 1 << 20;
    nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
    options.cache_payloads = 1;
    t_lm lm = t_lm_open_with(server, &client, &options);
    t_items list = t_items_new("k", 40);
    for (size_t i = 0; i < 40; i++) {
        t_lm_chunk(&lm, list.items[i].key, i == 7 ? 3 << 20 : 100000);
    }
    for (int round = 0; round < 5; round++) {
        const char *text = get_at(&lm, &list, NKV_EVENTUAL);
        cr_assert_eq(strspn(text, "+"), 40, "%s", text);
        for (size_t i = 0; i < 40; i++) {
            cr_assert(t_item_has(&list, i));
        }
        const nkv_stats stats = t_near_stats(lm.client);
        cr_assert_leq(stats.cache.bytes, 1u << 20, "%llu bytes",
                      (unsigned long long)stats.cache.bytes);
    }
    t_items_free(&list);
    t_lm_close(&lm);
}

/* The witness rule: a payload that was read before another changed the chunk, and comes in behind
 * the news of it, is handed to who asked for it, and not kept. */
T_LIVE(lmcache_payloads, a_late_payload_is_not_kept_behind_its_invalidation)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        nkv_options client = t_near_options(t_proxy_url(proxy));
        client.bulk_connections = 1;
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.cache_payloads = 1;
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_items list = t_items_list("k");
        t_items warm = t_items_list("warm");
        t_lm_chunk_version(&lm, nkv_cstr("k"), 1000, 1);
        t_lm_chunk(&lm, nkv_cstr("warm"), 1000);
        t_lm_sync(&lm);
        cr_assert_str_eq(get_at(&lm, &warm, NKV_EVENTUAL), "+");
        cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_OK);
        /* All but the first connection, which is the tracked one: t_lm_sync() below proves it. */
        const int last = t_proxy_accepted(proxy);
        for (int conn = 2; conn <= last; conn++) {
            t_proxy_hold(proxy, conn, T_TO_CLIENT);
        }
        nkv_queue *queue = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_get(lm.lm, list.items, 1, &ticket), NKV_OK);
        T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_CLIENT) >= 1000, 10000);
        t_lm_chunk_version(&lm, nkv_cstr("k"), 1000, 2);
        t_lm_sync(&lm);
        for (int conn = 2; conn <= last; conn++) {
            t_proxy_release(proxy, conn, T_TO_CLIENT);
        }
        cr_assert_eq(t_queue_next(queue).status, NKV_OK);
        cr_assert(t_item_has_version(&list, 0, 1), "%s", lm.name);
        for (int round = 0; round < 2; round++) {
            cr_assert_str_eq(get_at(&lm, &list, NKV_EVENTUAL), "+", "%s", lm.name);
            cr_assert(t_item_has_version(&list, 0, 2), "%s: an old payload was kept", lm.name);
        }
        nkv_queue_destroy(queue);
        t_items_free(&warm);
        t_items_free(&list);
        t_lm_close(&lm);
        t_proxy_stop(proxy);
    }
}

/* ---- Beside a writer ------------------------------------------------------------------------- */

typedef struct writer {
    t_server *server;
    nkv_lmcache_layout layout;
    atomic_bool stop;
    atomic_ullong acked;
} writer;

static void *write_versions(void *ud)
{
    writer *w = ud;
    t_lm lm = {.ctl = t_ctl_open(w->server),
               .layout = w->layout,
               .pair = w->layout != NKV_LMCACHE_SINGLE_KEY,
               .name = "writer"};
    while (!atomic_load(&w->stop)) {
        const uint64_t version = atomic_load(&w->acked) + 1;
        t_lm_chunk_version(&lm, nkv_cstr("k"), 1000, version);
        atomic_store(&w->acked, version);
        t_sleep_us(version % 3 == 0 ? 400 : 20);
    }
    t_ctl_close(lm.ctl);
    return NULL;
}

/* A BARRIER get is never older than what was acknowledged before it began, and no get goes back
 * behind what the same thread has seen. */
static void check_versions(t_lm *lm)
{
    writer w = {.server = lm->server, .layout = lm->layout};
    pthread_t thread;
    t_lm_chunk_version(lm, nkv_cstr("k"), 1000, 1);
    atomic_store(&w.acked, 1);
    T_REQUIRE(pthread_create(&thread, NULL, write_versions, &w) == 0);
    t_items list = t_items_list("k");
    uint64_t newest = 0;
    size_t stale = 0;
    size_t backwards = 0;
    const int64_t end_ms = t_now_ms() + 1000;
    for (int round = 0; t_now_ms() < end_ms; round++) {
        const nkv_level level = round % 3 == 0 ? NKV_BARRIER : NKV_EVENTUAL;
        const uint64_t acked = atomic_load(&w.acked);
        cr_assert_str_eq(get_at(lm, &list, level), "+", "%s", lm->name);
        const nkv_str got = nkv_value_str(list.items[0].held);
        const uint64_t version = t_value_version(got.data, got.len, list.items[0].key);
        cr_assert(got.len == 1000 && version != UINT64_MAX, "%s", lm->name);
        stale += level == NKV_BARRIER && version < acked;
        backwards += level == NKV_BARRIER && version < newest;
        newest = version > newest ? version : newest;
    }
    atomic_store(&w.stop, true);
    T_REQUIRE(pthread_join(thread, NULL) == 0);
    cr_assert_gt(atomic_load(&w.acked), 100);
    cr_assert_eq(stale, 0, "%s: %zu stale", lm->name, stale);
    cr_assert_eq(backwards, 0, "%s: %zu backwards", lm->name, backwards);
    cr_assert_str_eq(get_at(lm, &list, NKV_BARRIER), "+");
    cr_assert(t_item_has_version(&list, 0, atomic_load(&w.acked)), "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_payloads, p3_barrier_gets_beside_a_writer)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = open_keeping(server, layout);
        check_versions(&lm);
        t_lm_close(&lm);
    }
    t_lm_each(server, check_versions);
}

/* ---- Watched at the server ------------------------------------------------------------------- */

/* verify_payload and own writes: what was known of the payload's size is not what it has now. */
T_LIVE(lmcache_payloads, p2_verified_lookups_behind_own_writes)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.verify_payload = 1;
        options.cache_payloads = layout % 2;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_sync(&lm);
        t_items list = t_items_list("k");
        cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        for (size_t round = 1; round <= 60; round++) {
            t_item_value(&list, 0, 10 * round, round);
            cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 1, NULL), NKV_OK);
            cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_OK, "%s, round %zu",
                         lm.name, round);
            if (round % 3 == 0) {
                cr_assert_eq(nkv_lmcache_remove(lm.lm, list.items, 1, NULL), NKV_OK);
                cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
            } else if (round % 3 == 1) {
                (void)t_lm_int(&lm, "DEL", nkv_cstr("k"), T_KV);
                cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_BARRIER, NULL), NKV_NOT_FOUND,
                             "%s: an evicted payload is promised", lm.name);
            }
        }
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* What is known here may be older than what is there.  A payload that was gone, and is back, loses
 * nothing: on the word of the cache nothing is deleted at the server. */
T_LIVE(lmcache_payloads, case_4_what_is_only_remembered_deletes_nothing)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        const nkv_options client = t_near_options(t_proxy_url(proxy));
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.verify_payload = 1;
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_chunk(&lm, nkv_cstr("k"), 1000);
        (void)t_lm_int(&lm, "DEL", nkv_cstr("k"), T_KV);
        t_lm_sync(&lm);
        cr_assert_eq(t_lm_has(&lm, nkv_cstr("k"), NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        t_proxy_hold(proxy, 1, T_TO_CLIENT); /* the tracked connection: no news */
        t_lm_chunk(&lm, nkv_cstr("k"), 1000);
        t_items list = t_items_list("k");
        cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 1, NULL), NKV_OK);
        t_sleep_ms(20);
        cr_assert_eq(t_lm_int(&lm, "EXISTS", nkv_cstr("k"), T_META), 1,
                     "%s: another's chunk was deleted on the word of the cache", lm.name);
        t_proxy_release(proxy, 1, T_TO_CLIENT);
        t_items_reset(&list);
        nkv_call call;
        nkv_call_init(&call);
        call.level = NKV_BARRIER;
        cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 1, &call), NKV_OK);
        cr_assert(t_item_has(&list, 0), "%s", lm.name);
        t_items_free(&list);
        t_lm_close(&lm);
        t_proxy_stop(proxy);
    }
}

/* Of a single key whose size is fixed it is known without asking that a buffer is too small, but
 * not whether the chunk is there. */
T_LIVE(lmcache_payloads, case_11_a_small_buffer_for_a_chunk_that_is_not_there)
{
    for (int keeps = 0; keeps < 2; keeps++) {
        nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_SINGLE_KEY);
        options.chunk_bytes = 1000;
        options.cache_payloads = keeps;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_lm_chunk(&lm, nkv_cstr("there"), 1000);
        t_lm_chunk(&lm, nkv_cstr("other"), 999);
        t_items list = t_items_list("there none other");
        t_items_bufs(&list, 10);
        cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 3, NULL), NKV_ESIZE);
        cr_assert_str_eq(t_items_text(&list), "S--", "cache_payloads %d", keeps);
        cr_assert_eq(list.items[0].len, 1000);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}
