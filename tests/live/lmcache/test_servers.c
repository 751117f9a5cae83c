/* tests/live/lmcache/test_servers.c - servers as they are run: limits, idle time-outs, eviction,
 * changed passwords.  What one connection meets is not every key's trouble. */
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

static const char *put(t_lm *lm, t_items *list, nkv_call *call)
{
    nkv_call own;
    if (call == NULL) {
        call = &own;
        nkv_call_init(call);
    }
    const nkv_status status = nkv_lmcache_put(lm->lm, list->items, list->n, call);
    const char *text = t_items_text(list);
    cr_assert_eq(status == NKV_OK, strspn(text, "+") == list->n, "%s: %s, %s", lm->name, text,
                 call->error.text);
    return text;
}

static const char *get(t_lm *lm, t_items *list)
{
    t_items_reset(list);
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_lmcache_get(lm->lm, list->items, list->n, &call);
    cr_assert_eq(status, NKV_OK, "%s: %s", lm->name, call.error.text);
    return t_items_text(list);
}

/* A value that this server takes for a broken protocol, and hangs up on: its key fails; all others
 * are written, now or when they are put again. */
T_LIVE_PRIVATE(lmcache_servers, a_value_beyond_the_servers_own_limit)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    for (int64_t lanes = 1; lanes <= 4; lanes += 3) {
        nkv_options client = t_near_options(t_server_unix_url(server));
        client.bulk_connections = lanes;
        client.backoff_min_ms = 1;
        const nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_ctl_config_set(lm.ctl, "proto-max-bulk-len", "1mb");
        t_items list = t_items_list("a b large c d");
        t_items_values(&list, 10000);
        t_item_value(&list, 2, 2 << 20, 0);
        for (int round = 0; round < 5; round++) {
            const int64_t begin_ms = t_now_ms();
            const char *text = put(&lm, &list, NULL);
            cr_assert_lt(t_now_ms() - begin_ms, 5000, "%s", text);
            cr_assert(text[2] == 'R' || text[2] == 'C' || text[2] == 'P', "%s", text);
            for (size_t i = 0; i < 5; i++) {
                const bool there = t_lm_int(&lm, "EXISTS", list.items[i].key, T_META) == 1;
                cr_assert(i != 2 ? there || text[i] != '+' : !there, "%s", text);
            }
        }
        t_ctl_config_set(lm.ctl, "proto-max-bulk-len", "512mb");
        cr_assert_str_eq(put(&lm, &list, NULL), "+++++");
        t_items_free(&list);
        t_lm_close(&lm);
    }
    t_server_stop(server);
}

/* The server lets in fewer connections than there are lanes: those that are in do all the work. */
T_LIVE_PRIVATE(lmcache_servers, fewer_connections_than_lanes)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    nkv_options client = t_near_options(t_server_unix_url(server));
    client.bulk_connections = 8;
    client.backoff_min_ms = 1;
    client.backoff_max_ms = 20;
    const nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_COLON_SUFFIX);
    t_lm lm = t_lm_open_with(server, &client, &options);
    cr_assert_eq(nkv_lmcache_ping(lm.lm, NULL),
                 NKV_OK); /* what it has besides the lanes is there */
    size_t count = 0;
    free(t_ctl_clients(lm.ctl, &count));
    char *limit = t_format("%zu", count + 1 + 2); /* ourselves, and two lanes */
    t_ctl_config_set(lm.ctl, "maxclients", limit);
    free(limit);
    t_items list = t_items_new("k", 60);
    t_items_values(&list, 400000);
    for (int round = 0; round < 3; round++) {
        const int64_t begin_ms = t_now_ms();
        const char *text = put(&lm, &list, NULL);
        cr_assert_eq(strspn(text, "+"), 60, "%s", text);
        cr_assert_lt(t_now_ms() - begin_ms, 5000);
        t_items got = t_items_new("k", 60);
        cr_assert_eq(strspn(get(&lm, &got), "+"), 60, "%s", t_items_text(&got));
        t_items_free(&got);
    }
    t_items_free(&list);
    t_lm_close(&lm);
    t_server_stop(server);
}

/* Connections that the server has closed while nothing was under way are no failure of what comes
 * next. */
T_LIVE_PRIVATE(lmcache_servers, case_13_idle_connections_are_closed)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    t_items list = t_items_new("k", 20);
    t_items_values(&list, 300000);
    for (int round = 0; round < 5; round++) {
        cr_assert_eq(strspn(put(&lm, &list, NULL), "+"), 20);
        size_t count = 0;
        t_client_info *clients = t_ctl_clients(lm.ctl, &count);
        for (size_t i = 0; i < count; i++) {
            if (strchr(clients[i].flags, 't') == NULL) {
                (void)t_ctl_kill_id(lm.ctl, clients[i].id);
            }
        }
        free(clients);
        t_sleep_ms(20);
        t_items got = t_items_new("k", 20);
        cr_assert_eq(strspn(get(&lm, &got), "+"), 20, "round %d", round);
        t_items_free(&got);
    }
    t_ctl_config_set(lm.ctl, "timeout", "1");
    t_sleep_ms(3500);
    t_ctl_close(lm.ctl); /* it may have been closed, too */
    lm.ctl = t_ctl_open(server);
    cr_assert_eq(strspn(put(&lm, &list, NULL), "+"), 20);
    t_items_free(&list);
    t_lm_close(&lm);
    t_server_stop(server);
}

/* A server that throws out what it likes: a get is a whole value or a miss, and with verify_payload
 * what a BARRIER lookup promises is there, if nothing is thrown out in between. */
T_LIVE_PRIVATE(lmcache_servers, case_4_eviction)
{
    t_server *server = t_server_start(&(t_server_options){
        .kind = kind,
        .args = (const char *const[]){"--maxmemory", "30mb", "--maxmemory-policy", "allkeys-random",
                                      NULL}});
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.verify_payload = 1;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_items list = t_items_new("k", 300);
        t_items_values(&list, 200000);
        cr_assert_eq(strspn(put(&lm, &list, NULL), "+"), 300);
        const char *first = get(&lm, &list); /* replies take memory, so more is thrown out */
        for (size_t i = 0; i < 300; i++) {
            cr_assert(first[i] == '-' || t_item_has(&list, i), "%s", lm.name);
        }
        t_ctl_config_set(lm.ctl, "maxmemory", "0"); /* from here on nothing is */
        nkv_call call;
        nkv_call_init(&call);
        call.level = NKV_BARRIER;
        t_items_reset(&list);
        cr_assert_eq(nkv_lmcache_contains(lm.lm, list.items, 300, &call), NKV_OK);
        char *promised = strdup(t_items_text(&list));
        const char *text = get(&lm, &list);
        cr_assert_str_eq(text, promised, "%s", lm.name);
        size_t there = 0;
        for (size_t i = 0; i < 300; i++) {
            cr_assert(text[i] == '-' || t_item_has(&list, i), "%s", lm.name);
            there += text[i] == '+';
        }
        cr_assert(there > 10 && there < 290, "%s: %zu are left", lm.name, there);
        free(promised);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_ctl_config_set(lm.ctl, "maxmemory", "30mb");
        t_items_free(&list);
        t_lm_close(&lm);
    }
    t_server_stop(server);
}

/* The password has changed since: connections that are there go on; new ones are refused, and that
 * is told, soon, with the server's reason. */
T_LIVE_PRIVATE(lmcache_servers, case_12_a_password_that_is_not_right_any_more)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "u", "on", ">old", "~*", "&*", "+@all");
    nkv_options client = t_near_options(t_server_unix_url(server));
    client.username = "u";
    client.password = "old";
    client.backoff_min_ms = 1;
    client.backoff_max_ms = 20;
    const nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
    t_lm lm = t_lm_open_with(server, &client, &options);
    t_ctl_ok(ctl, "ACL", "SETUSER", "u", "resetpass", ">new");
    t_items list = t_items_list("k");
    t_items_values(&list, 1000);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 3000;
    const int64_t begin_ms = t_now_ms();
    const nkv_status status = nkv_lmcache_put(lm.lm, list.items, 1, &call);
    cr_assert(status == NKV_EREPLY || status == NKV_ECONN, "%s: %s", nkv_status_text(status),
              call.error.text);
    cr_assert_lt(t_now_ms() - begin_ms, 2500, "it took until the deadline");
    cr_assert_not_null(strstr(call.error.text, "WRONGPASS"), "%s", call.error.text);
    cr_assert_null(strstr(call.error.text, "old"), "a password is in the text");
    t_ctl_ok(ctl, "ACL", "SETUSER", "u", "resetpass", ">old");
    const int64_t end_ms = t_now_ms() + 5000;
    while (nkv_lmcache_put(lm.lm, list.items, 1, NULL) != NKV_OK && t_now_ms() < end_ms) {
        t_sleep_ms(5);
    }
    cr_assert_eq(list.items[0].status, NKV_OK);
    t_items_free(&list);
    t_lm_close(&lm);
    t_ctl_close(ctl);
    t_server_stop(server);
}
