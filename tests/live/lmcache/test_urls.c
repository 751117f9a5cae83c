/* tests/live/lmcache/test_urls.c - the addresses that LMCache's users write: behaviour 17.  What
 * travels on the bulk lanes goes to the same server, database and user as what is tracked. */
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

/* A whole round through all connections; then both keys are in that database and nowhere else. */
static void check_url(t_server *server, const char *url, int db)
{
    const nkv_options client = t_near_options(url);
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_sync(&lm);
        t_items list = t_items_list("a b c d e f g h");
        t_items_values(&list, 100000);
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 8, &call), NKV_OK, "%s: %s", url,
                     call.error.text);
        char *number = t_format("%d", db);
        t_ctl_ok(lm.ctl, "SELECT", number);
        free(number);
        cr_assert_eq(t_ctl_int(lm.ctl, "DBSIZE"), lm.pair ? 16 : 8, "%s", url);
        t_items_bufs(&list, 100000);
        cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 8, &call), NKV_OK, "%s: %s", url,
                     call.error.text);
        for (size_t i = 0; i < 8; i++) {
            cr_assert(t_item_has(&list, i), "%s", url);
        }
        cr_assert_eq(nkv_lmcache_contains(lm.lm, list.items, 8, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "++++++++");
        cr_assert_eq(nkv_lmcache_remove(lm.lm, list.items, 8, NULL), NKV_OK);
        cr_assert_eq(t_ctl_int(lm.ctl, "DBSIZE"), 0, "%s", url);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

T_LIVE_PRIVATE(lmcache_urls, case_17_passwords_databases_and_sockets)
{
    t_server *server =
        t_server_start(&(t_server_options){.kind = kind, .tcp = true, .password = "pw"});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "u", "on", ">p@w", "~*", "&*", "+@all");
    t_ctl_close(ctl);
    const int port = t_server_port(server);
    const char *path = t_server_path(server);
    char *urls[] = {
        t_format("redis://:pw@127.0.0.1:%d", port),
        t_format("redis://:pw@127.0.0.1:%d/2", port),
        t_format("redis://u:p%%40w@127.0.0.1:%d/1", port),
        t_format("redis://u:p%%40w@localhost:%d/2?db=3", port),
        t_format("unix://:pw@%s?db=1", path),
        t_format("unix://u:p%%40w@%s", path),
    };
    static const int dbs[] = {0, 2, 1, 3, 1, 0};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        check_url(server, urls[i], dbs[i]);
        free(urls[i]);
    }
    t_server_stop(server);
}

/* IPv6 in brackets, where the machine has it. */
T_LIVE_PRIVATE(lmcache_urls, case_17_ipv6)
{
    if (access("/proc/net/if_inet6", R_OK) != 0) {
        return;
    }
    char *text = t_read_file("/proc/net/if_inet6", NULL);
    const bool there = text != NULL && strstr(text, "00000000000000000000000000000001") != NULL;
    free(text);
    if (!there) {
        return;
    }
    t_server *server = t_server_start(
        &(t_server_options){.kind = kind,
                            .tcp = true,
                            .args = (const char *const[]){"--bind", "127.0.0.1", "::1", NULL}});
    char *url = t_format("redis://[::1]:%d/1", t_server_port(server));
    check_url(server, url, 1);
    free(url);
    t_server_stop(server);
}

/* What cannot be, or not yet: told at once, with the reason. */
T_LIVE(lmcache_urls, case_17_what_is_refused)
{
    (void)server;
    static const struct {
        const char *url;
        nkv_status status;
    } cases[] = {{"rediss://127.0.0.1:6379", NKV_ENOTSUP},
                 {"rediss-cluster://127.0.0.1:6379", NKV_ENOTSUP},
                 {"redis-cluster://h:1,h:2?read_from=replica", NKV_ENOTSUP},
                 {"redis-cluster://h:1,h:2/1", NKV_EINVAL},
                 {"redis-sentinel://u:p@h:1,h", NKV_EINVAL},
                 {"redis://h:1,h", NKV_EINVAL},
                 {"redis://h:port", NKV_EINVAL},
                 {"http://h", NKV_EINVAL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const nkv_options options = t_near_options(cases[i].url);
        nkv_client *client = NULL;
        nkv_error error = {.status = NKV_OK};
        const nkv_status status = nkv_client_create(&options, &client, &error);
        cr_assert_eq(status, cases[i].status, "%s: %s (%s)", cases[i].url, nkv_status_text(status),
                     error.text);
        cr_assert(client == NULL && error.text[0] != '\0');
    }
}
