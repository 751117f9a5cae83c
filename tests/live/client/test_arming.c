/* tests/live/client/test_arming.c - how a connection becomes a tracked one, and what happens where
 * it may not: the acceptance cases 52, 63, 64 and 67 (I5, P4). */

#include <stdlib.h>
#include <strings.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/monitor.h"
#include "support/near.h"

/* ---- Case 67 --------------------------------------------------------------------------------- */

/* Is anything about data sent over a connection that tracks before it tracks? */
static void check_order(t_monitor *monitor, size_t *trackers)
{
    t_monitor_sync(monitor);
    const size_t count = t_monitor_count(monitor);
    for (size_t i = 0; i < count; i++) {
        const t_monitor_entry entry = t_monitor_entry_at(monitor, i);
        if (entry.argc < 3 || strcasecmp(entry.argv[0], "CLIENT") != 0 ||
            strcasecmp(entry.argv[1], "TRACKING") != 0) {
            continue;
        }
        ++*trackers;
        /* Case 52: NOLOOP without BCAST would keep quiet about our own writes on this lane; there
         * is no option for it, and it is never sent. */
        cr_assert_eq(entry.argc, 3);
        cr_assert_str_eq(entry.argv[2], "ON");
        for (size_t k = 0; k < i; k++) {
            const t_monitor_entry earlier = t_monitor_entry_at(monitor, k);
            if (strcmp(earlier.client, entry.client) == 0) {
                static const char *const allowed[] = {"HELLO", "AUTH", "SELECT", "CLIENT", "PING"};
                bool known = false;
                for (size_t w = 0; w < sizeof allowed / sizeof allowed[0]; w++) {
                    known = known || strcasecmp(earlier.argv[0], allowed[w]) == 0;
                }
                if (!known) {
                    t_monitor_print(monitor);
                }
                cr_assert(known, "%s before CLIENT TRACKING", earlier.argv[0]);
            }
        }
    }
}

/* Every connection is a TCP one here: MONITOR then names each by its port. Reads are already
 * waiting when the client connects, and the connection is killed three times.                    */
T_LIVE_PRIVATE(client_arming, i5_case_67_no_read_before_tracking)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .tcp = true});
    t_ctl *ctl = t_ctl_open(server);
    t_monitor *monitor = t_monitor_start(server);
    nkv_options options = t_near_options(t_server_tcp_url(server));
    options.db = 3;
    options.backoff_min_ms = 1;
    nkv_client *client = t_near_start(&options);
    for (int round = 0; round < 4; round++) {
        t_pending *pending[8];
        for (int i = 0; i < 8; i++) {
            char key[24];
            (void)snprintf(key, sizeof key, "k%d", i);
            pending[i] = t_near_begin(client, "GET", key);
        }
        for (int i = 0; i < 8; i++) {
            (void)t_near_end(pending[i]);
        }
        cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
        cr_assert(t_says(t_near_get(client, "k0"), "_"));
        const nkv_node_health before = t_near_node(client);
        cr_assert_eq(t_ctl_kill_id(ctl, before.client_id), 1);
        T_WAIT_UNTIL(t_near_node(client).generation > before.generation, 5000);
    }
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    size_t trackers = 0;
    check_order(monitor, &trackers);
    cr_assert_geq(trackers, 5);
    /* The reads went to the chosen database. */
    const long get = t_monitor_find(monitor, 0, "GET", "k0");
    cr_assert_geq(get, 0);
    cr_assert_eq(t_monitor_entry_at(monitor, (size_t)get).db, 3);
    nkv_client_destroy(client);
    t_monitor_stop(monitor);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* The tracked connection says who it is, and logs in as whom it was told. */
T_LIVE(client_arming, name_user_and_database_of_the_connections)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">se:cr@t", "+@all", "~*", "&*");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "ann";
    options.password = "se:cr@t";
    options.client_name = "shop-7";
    options.db = 2;
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    size_t count = 0;
    t_client_info *clients = t_ctl_clients(ctl, &count);
    cr_assert_geq(count, 1);
    for (size_t i = 0; i < count; i++) {
        cr_assert_str_eq(clients[i].user, "ann");
        cr_assert_str_eq(clients[i].name, "shop-7");
        cr_assert_eq(clients[i].db, 2);
    }
    free(clients);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Cases 63, 64: tracking is refused ------------------------------------------------------- */

/* Everything works, from the server, counted with its reason; nothing claims to be armed. */
static void check_uncached(nkv_client *client, t_events *events, t_ctl *ctl)
{
    nkv_error error = {.status = NKV_OK};
    const nkv_status ready = nkv_client_wait_ready(client, 5000, &error);
    cr_assert_eq(ready, NKV_ENOTSUP, "%s: %s", nkv_status_text(ready), error.text);
    cr_assert_neq(error.text[0], '\0', "does not say why");
    cr_assert_geq(t_events_wait(events, 0, NKV_EVENT_DISARMED, 5000), 0);
    cr_assert_eq(t_events_of(events, NKV_EVENT_ARMED), 0);
    t_ctl_ok(ctl, "SET", "k", "v");
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
        cr_assert(t_is(t_near(client, "STRLEN", "k"), NKV_FROM_SERVER, ":1"));
    }
    cr_assert_eq(t_near_set(client, "k", "w"), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "w"));
    cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), "w"));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.bypass[NKV_BYPASS_UNTRACKED], 8);
    cr_assert_eq(stats.hits, 0);
    cr_assert_eq(stats.cache.keys, 0);
    cr_assert(t_near_identity(client));
    cr_assert_not(t_near_healthy(client));
    cr_assert_str_eq(t_near_node(client).state, "untracked");
}

T_LIVE(client_arming, p4_case_63_tracking_refused_by_acl)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "+@all", "~*", "&*", "-client|tracking");
    t_events *events = t_events_new();
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "ann";
    options.password = "pw";
    options.on_event = t_events_take;
    options.on_event_ud = events;
    nkv_client *client = t_near_start(&options);
    check_uncached(client, events, ctl);
    nkv_client_destroy(client);
    t_events_free(events);
    t_ctl_close(ctl);
}

/* Without HELLO there is no RESP3 and no push: what is left is to work uncached. (No ACL can take
 * HELLO away, because one logs in by it; a server without it is made by renaming.)               */
T_LIVE_PRIVATE(client_arming, p4_case_64_hello_refused)
{
    static const char *const args[] = {"--rename-command", "HELLO", "", NULL};
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .args = args});
    t_ctl *ctl = t_ctl_open(server);
    t_events *events = t_events_new();
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.on_event = t_events_take;
    options.on_event_ud = events;
    nkv_client *client = t_near_start(&options);
    check_uncached(client, events, ctl);
    nkv_client_destroy(client);
    t_events_free(events);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* A password that is wrong is an error that names neither password, at once, and calls say so. */
T_LIVE_PRIVATE(client_arming, wrong_password_is_told_without_it)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .password = "rightone"});
    char *url = t_format("unix://%s", t_server_path(server));
    nkv_options options = t_near_options(url);
    options.timeout_ms = 500;
    for (int i = 0; i < 2; i++) {
        options.password = i == 0 ? "wrongone" : NULL;
        nkv_client *client = t_near_start(&options);
        nkv_error error = {.status = NKV_OK};
        const nkv_status ready = nkv_client_wait_ready(client, 5000, &error);
        cr_assert_eq(ready, NKV_EREPLY, "%s: %s", nkv_status_text(ready), error.text);
        cr_assert_null(strstr(error.text, "wrongone"), "%s", error.text);
        cr_assert(strstr(error.text, "WRONGPASS") != NULL || strstr(error.text, "NOAUTH") != NULL,
                  "%s", error.text);
        const t_answer answer = t_near_get(client, "k");
        cr_assert_lt((int)answer.status, 0);
        cr_assert_lt(answer.took_ms, 1500);
        cr_assert_null(strstr(answer.error.text, "wrongone"), "%s", answer.error.text);
        nkv_client_destroy(client);
    }
    options.password = "rightone";
    nkv_client *client = t_near_open(&options);
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    nkv_client_destroy(client);
    free(url);
    t_server_stop(server);
}

T_LIVE(client_arming, a_database_that_is_not_there_is_told)
{
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.db = 9999;
    options.timeout_ms = 500;
    nkv_client *client = t_near_start(&options);
    nkv_error error = {.status = NKV_OK};
    cr_assert_eq(nkv_client_wait_ready(client, 5000, &error), NKV_EREPLY);
    cr_assert_not_null(strstr(error.text, "DB index"), "%s", error.text);
    cr_assert_lt((int)t_near_get(client, "k").status, 0, "answered from some other database");
    nkv_client_destroy(client);
}
