/* tests/live/lmcache/test_refusals.c - servers that say no: LMCache's behaviours 2 and 12.
 *
 * Metadata is never there without its payload, whichever of the two writes is refused. */
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/monitor.h"

/* ---- 2: refused by name ---------------------------------------------------------------------- */

/* A user who may write all of the keys g…, but of the others only the part whose name ends so. */
static t_lm open_as(t_server *server, nkv_lmcache_layout layout, const char *ending)
{
    t_ctl *ctl = t_ctl_open(server);
    char *pattern = t_format("~*%s", ending);
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "ACL", "SETUSER", "half", "reset", "on", ">pw", "+@all", "~g*", "~{g*", "~t:sync",
             pattern);
    free(pattern);
    t_ctl_close(ctl);
    nkv_options client = t_near_options(t_server_unix_url(server));
    client.username = "half";
    client.password = "pw";
    const nkv_lmcache_options options = t_lm_options(layout);
    return t_lm_open_with(server, &client, &options);
}

static void close_as(t_lm *lm)
{
    t_ctl_ok(lm->ctl, "ACL", "DELUSER", "half");
    t_lm_close(lm);
}

/* How often metadata was written: alone, or together with its payload. */
static size_t sets_of_meta(t_monitor *monitor, nkv_lmcache_layout layout, const char *key)
{
    char meta[256], payload[256];
    meta[t_lm_name(layout, T_META, nkv_cstr(key), meta).len] = '\0';
    payload[t_lm_name(layout, T_KV, nkv_cstr(key), payload).len] = '\0';
    return t_monitor_hits(monitor, "SET", meta) + t_monitor_hits(monitor, "MSET", payload);
}

T_LIVE(lmcache_refusals, case_2_a_refused_payload_publishes_no_metadata)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        t_lm lm = open_as(server, (nkv_lmcache_layout)layout, "metadata");
        t_monitor *monitor = t_monitor_start(server);
        t_items list = t_items_list("g1 bad1 g2 bad2 bad3 g3");
        t_items_values(&list, 2000);
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, list.n, &call), NKV_EREPLY, "%s", lm.name);
        cr_assert_str_eq(t_items_text(&list), "+R+RR+", "%s", lm.name);
        cr_assert_not_null(strstr(call.error.text, "NOPERM"), "%s", call.error.text);
        cr_assert_eq(nkv_lmcache_put(lm.lm, &list.items[1], 1, NULL), NKV_EREPLY, "%s", lm.name);
        t_monitor_sync(monitor);
        for (size_t i = 0; i < list.n; i++) {
            const bool good = list.keys[i][0] == 'g';
            cr_assert_eq(sets_of_meta(monitor, lm.layout, list.keys[i]), good ? 1 : 0, "%s: %s",
                         lm.name, list.keys[i]);
            cr_assert_eq(t_lm_int(&lm, "EXISTS", list.items[i].key, T_META), good, "%s", lm.name);
            cr_assert_eq(t_lm_has(&lm, list.items[i].key, NKV_EVENTUAL, NULL),
                         good ? NKV_OK : NKV_NOT_FOUND, "%s: %s", lm.name, list.keys[i]);
        }
        t_monitor_stop(monitor);
        t_items_free(&list);
        close_as(&lm);
    }
}

/* Over a chunk that is there: what was there stays whole, or is gone; it never mixes. */
T_LIVE(lmcache_refusals, case_2_a_refused_payload_leaves_the_older_chunk_whole)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        t_lm lm = open_as(server, (nkv_lmcache_layout)layout, "metadata");
        t_lm_chunk_version(&lm, nkv_cstr("bad"), 1000, 1);
        t_items list = t_items_list("bad");
        t_item_value(&list, 0, 5000, 2);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 1, NULL), NKV_EREPLY, "%s", lm.name);
        const t_bytes meta = t_lm_plain(1000);
        cr_assert(t_lm_int(&lm, "EXISTS", nkv_cstr("bad"), T_META) == 0 ||
                  t_lm_holds(&lm, nkv_cstr("bad"), T_META, meta.bytes, meta.len));
        cr_assert_eq(t_lm_int(&lm, "STRLEN", nkv_cstr("bad"), T_KV), 1000);
        t_items_free(&list);
        close_as(&lm);
    }
}

T_LIVE(lmcache_refusals, case_2_refused_metadata_is_a_failed_put)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        t_lm lm = open_as(server, (nkv_lmcache_layout)layout, "kv_bytes");
        t_items list = t_items_list("g1 bad1 g2");
        t_items_values(&list, 2000);
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, list.n, &call), NKV_EREPLY, "%s", lm.name);
        cr_assert_str_eq(t_items_text(&list), "+R+", "%s", lm.name);
        cr_assert_not_null(strstr(call.error.text, "NOPERM"), "%s", call.error.text);
        cr_assert_eq(t_lm_int(&lm, "EXISTS", nkv_cstr("bad1"), T_META), 0, "%s", lm.name);
        /* Lookups of it fail as well, those of the others do not. */
        cr_assert_eq(nkv_lmcache_contains(lm.lm, list.items, list.n, NULL), NKV_EREPLY);
        cr_assert_str_eq(t_items_text(&list), "+R+", "%s", lm.name);
        t_ctl_ok(lm.ctl, "ACL", "SETUSER", "half", "allkeys");
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, list.n, NULL), NKV_OK, "%s", lm.name);
        cr_assert_eq(nkv_lmcache_contains(lm.lm, list.items, list.n, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "+++", "%s", lm.name);
        t_items_free(&list);
        close_as(&lm);
    }
}

/* ---- 2: out of memory ------------------------------------------------------------------------ */

enum { HUGE_LEN = 16 << 20, SPARE = 6 << 20 };

static long long used_memory(t_ctl *ctl)
{
    return t_ctl_info_int(ctl, "memory", "used_memory");
}

static void set_limit(t_ctl *ctl, long long bytes)
{
    char *text = t_format("%lld", bytes);
    t_ctl_config_set(ctl, "maxmemory", text);
    free(text);
}

/* Every item: both keys with NKV_OK; else an error of the server, and no metadata or that of an
 * older put, whose payload is there. */
static void check_all_or_nothing(t_lm *lm, t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const nkv_str key = list->items[i].key;
        const bool good = list->items[i].status == NKV_OK;
        cr_assert(good || list->items[i].status == NKV_EREPLY, "%s: %s", lm->name,
                  nkv_status_text(list->items[i].status));
        const bool there = !lm->pair ? good : t_lm_int(lm, "EXISTS", key, T_META) == 1;
        cr_assert(there || !good, "%s: item %zu", lm->name, i);
        if (there) {
            cr_assert(
                t_lm_holds(lm, key, T_KV, list->items[i].value.data, list->items[i].value.len));
        }
    }
}

/* The server has room for metadata and small payloads, but not for large ones: those it refuses
 * when they have arrived, and has room again after that. */
T_LIVE_PRIVATE(lmcache_refusals, case_2_out_of_memory)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_server *server = t_server_start(&(t_server_options){.kind = kind});
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        t_items list = t_items_list("s1 L1 s2 L2 s3 s4 L3 s5");
        for (size_t i = 0; i < list.n; i++) {
            t_item_value(&list, i, list.keys[i][0] == 'L' ? HUGE_LEN : 500, 0);
        }
        t_ctl_config_set(lm.ctl, "maxmemory-policy", "noeviction");
        set_limit(lm.ctl, used_memory(lm.ctl) + SPARE);
        for (int round = 0; round < 3; round++) {
            nkv_call call;
            nkv_call_init(&call);
            cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, list.n, &call), NKV_EREPLY, "%s",
                         lm.name);
            cr_assert_not_null(strstr(call.error.text, "OOM"), "%s", call.error.text);
            check_all_or_nothing(&lm, &list);
            for (size_t i = 0; i < list.n; i++) {
                cr_assert(list.keys[i][0] != 'L' || list.items[i].status == NKV_EREPLY, "%s: %s",
                          lm.name, t_items_text(&list));
            }
            /* One alone: room for its metadata is there for certain. */
            cr_assert_eq(nkv_lmcache_put(lm.lm, &list.items[1], 1, NULL), NKV_EREPLY, "%s",
                         lm.name);
            cr_assert(!lm.pair || t_lm_int(&lm, "EXISTS", list.items[1].key, T_META) == 0, "%s",
                      lm.name);
            cr_assert_eq(t_lm_has(&lm, list.items[1].key, NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
        }
        set_limit(lm.ctl, 0);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, list.n, NULL), NKV_OK, "%s", lm.name);
        check_all_or_nothing(&lm, &list);
        t_items_free(&list);
        t_lm_close(&lm);
        t_server_stop(server);
    }
}

/* A value that the server does not take: the connection is lost for it once, not twice, and other
 * chunks are written as before. */
T_LIVE_PRIVATE(lmcache_refusals, a_value_that_is_too_large_for_the_server)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    t_items small = t_items_list("a"), large = t_items_list("b");
    t_items_values(&small, 100);
    t_items_values(&large, 4 << 20);
    t_ctl_config_set(lm.ctl, "proto-max-bulk-len", "1mb");
    for (int round = 0; round < 3; round++) {
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(lm.lm, large.items, 1, &call), NKV_EREPLY);
        cr_assert_not_null(strstr(call.error.text, "invalid bulk length"), "%s", call.error.text);
        cr_assert_eq(nkv_lmcache_put(lm.lm, small.items, 1, NULL), NKV_OK);
        cr_assert_eq(t_ctl_calls(lm.ctl, "mset"), round + 1);
        cr_assert_eq(t_ctl_calls(lm.ctl, "set"), 0);
    }
    cr_assert_leq(t_near_stats(lm.client).bulk_connections, 5);
    t_items_free(&small);
    t_items_free(&large);
    t_lm_close(&lm);
    t_server_stop(server);
}

/* ---- 12 -------------------------------------------------------------------------------------- */

/* A list instead of a payload: that key's error, the others succeed. */
static void check_wrong_payload(t_lm *lm)
{
    t_lm_chunks(lm, "a list b", 3000);
    char name[64];
    t_arg args[] = {T_ARG("RPUSH"), t_lm_name(lm->layout, T_KV, nkv_cstr("list"), name),
                    T_ARG("x")};
    (void)t_lm_int(lm, "DEL", nkv_cstr("list"), T_KV);
    freeReplyObject(t_ctl_args(lm->ctl, 3, args));
    t_lm_sync(lm);
    t_items list = t_items_list("a list b list a");
    t_items_bufs(&list, 3000);
    for (int round = 0; round < 5; round++) {
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, list.n, &call), NKV_EREPLY, "%s",
                     lm->name);
        cr_assert_str_eq(t_items_text(&list), "+R+R+", "%s", lm->name);
        cr_assert_not_null(strstr(call.error.text, "WRONGTYPE"), "%s", call.error.text);
        cr_assert(t_item_has(&list, 0) && t_item_has(&list, 2) && t_item_has(&list, 4));
        cr_assert(t_item_untouched(&list, 1) && t_item_untouched(&list, 3));
        t_items_reset(&list);
    }
    cr_assert(!lm->pair || t_lm_int(lm, "EXISTS", nkv_cstr("list"), T_META) == 1, "%s", lm->name);
    /* EXISTS is true of a list, too; metadata says nothing of the payload's type. */
    cr_assert_eq(t_lm_has(lm, nkv_cstr("list"), NKV_EVENTUAL, NULL), NKV_OK, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_refusals, case_12_a_payload_of_another_type)
{
    t_lm_each(server, check_wrong_payload);
}

/* A list instead of metadata: an error or «cannot be read», but that key's alone, and not local. */
static void check_wrong_metadata(t_lm *lm)
{
    t_lm_chunks(lm, "a list b", 3000);
    char name[64];
    t_arg args[] = {T_ARG("RPUSH"), t_lm_name(lm->layout, T_META, nkv_cstr("list"), name),
                    T_ARG("x")};
    (void)t_lm_int(lm, "DEL", nkv_cstr("list"), T_META);
    freeReplyObject(t_ctl_args(lm->ctl, 3, args));
    t_lm_sync(lm);
    t_items list = t_items_list("a list b");
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, list.n, NULL), NKV_EREPLY);
        cr_assert_str_eq(t_items_text(&list), "+R+", "%s", lm->name);
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, list.n, NULL), NKV_EREPLY);
        cr_assert_str_eq(t_items_text(&list), "+R+", "%s", lm->name);
        t_items_reset(&list);
    }
    t_items_values(&list, 77);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, list.n, NULL), NKV_OK, "%s", lm->name);
    cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, list.n, NULL), NKV_OK);
    cr_assert_str_eq(t_items_text(&list), "+++", "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_refusals, case_12_metadata_of_another_type)
{
    t_lm_each_pair(server, check_wrong_metadata);
}

/* A replica takes no writes. */
T_LIVE_PRIVATE(lmcache_refusals, case_12_read_only)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        t_lm_chunks(&lm, "there", 100);
        t_ctl_ok(lm.ctl, "REPLICAOF", "127.0.0.1", "1");
        t_items list = t_items_list("k0 k1");
        t_items_values(&list, 100);
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 2, &call), NKV_EREPLY, "%s", lm.name);
        cr_assert_str_eq(t_items_text(&list), "RR", "%s", lm.name);
        cr_assert_not_null(strstr(call.error.text, "READONLY"), "%s", call.error.text);
        t_items one = t_items_list("there");
        cr_assert_eq(nkv_lmcache_remove(lm.lm, one.items, 1, NULL), NKV_EREPLY, "%s", lm.name);
        t_ctl_ok(lm.ctl, "REPLICAOF", "NO", "ONE");
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 2, NULL), NKV_OK, "%s", lm.name);
        cr_assert_eq(nkv_lmcache_remove(lm.lm, one.items, 1, NULL), NKV_OK, "%s", lm.name);
        t_items_free(&one);
        t_items_free(&list);
        t_lm_close(&lm);
    }
    t_server_stop(server);
}
