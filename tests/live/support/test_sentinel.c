/* tests/live/support/test_sentinel.c - the sentinels that live tests stand on: started, looked at,
 * and what happens to them and their servers.                                                    */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/live.h"
#include "support/sentinel.h"

static void tell(const char *kind, const char *what, int64_t since_ms)
{
    (void)fprintf(stderr, "%s: %s in %d ms\n", kind, what, (int)(t_now_ms() - since_ms));
}

static bool holds(t_sentinels *all, int node, const char *key, const char *value)
{
    char *text = t_ctl_text(t_sentinels_ctl(all, node), "GET", key);
    const bool same = text != NULL && strcmp(text, value) == 0;
    free(text);
    return same;
}

T_LIVE_TOPOLOGY(support_sentinel, starts_and_leaves_nothing)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    const int64_t begin_ms = t_now_ms();
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    tell(kind, "3 servers and 3 sentinels", begin_ms);
    cr_assert_eq(t_sentinels_servers(all), 3);
    cr_assert_eq(t_sentinels_watchers(all), 3);
    cr_assert_eq(t_sentinels_primary(all), 0);
    char *url = t_format("redis-sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/redismaster",
                         t_sentinels_port(all, 3), t_sentinels_port(all, 4),
                         t_sentinels_port(all, t_sentinels_watcher(all, 2)));
    cr_assert_str_eq(t_sentinels_url(all), url);
    free(url);
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "k", "v");
    t_sentinels_wait_replicated(all, 5000);
    pid_t pids[6];
    for (int i = 0; i < 6; i++) {
        pids[i] = t_server_pid(t_sentinels_server(all, i));
        cr_assert(i > 2 || t_sentinels_is_primary(all, i) == (i == 0));
        cr_assert(i > 2 || holds(all, i, "k", "v"));
    }
    t_sentinels_stop(all);
    for (int i = 0; i < 6; i++) {
        cr_assert_neq(kill(pids[i], 0), 0, "process %d is still there", i);
    }
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, 5000); /* a joined one is listed a little longer */
}

T_LIVE_TOPOLOGY(support_sentinel, fails_over_by_command)
{
    t_sentinels *all =
        t_sentinels_start(&(t_sentinels_options){.kind = kind, .service = "other", .replicas = 1});
    const int64_t begin_ms = t_now_ms();
    cr_assert_eq(t_sentinels_failover(all), 1);
    tell(kind, "failover", begin_ms);
    cr_assert(t_sentinels_is_primary(all, 1));
    cr_assert_not(t_sentinels_is_primary(all, 0));
    cr_assert_eq(t_sentinels_failover(all), 0);
    t_sentinels_stop(all);
}

T_LIVE_TOPOLOGY(support_sentinel, replaces_a_killed_primary)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){
        .kind = kind, .proxied = true, .password = "pw", .sentinel_password = "other"});
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(t_sentinels_port(all, i), t_proxy_port(t_sentinels_proxy(all, i)));
    }
    cr_assert_null(t_sentinels_proxy(all, 3));
    cr_assert(strncmp(t_sentinels_url(all), "redis-sentinel://:pw@127", 24) == 0);
    t_ctl *ctl = t_ctl_open_port(t_sentinels_port(all, 3), NULL, NULL);
    cr_assert_not(t_ctl_try(ctl, "SENTINEL", "MASTERS"), "it wants no password");
    t_ctl_close(ctl);
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "k", "v");
    t_sentinels_wait_replicated(all, 5000);
    int64_t begin_ms = t_now_ms();
    t_sentinels_kill(all, 0);
    const int primary = t_sentinels_wait_takeover(all, 0);
    tell(kind, "takeover", begin_ms);
    cr_assert(primary == 1 || primary == 2);
    cr_assert(holds(all, primary, "k", "v"));
    begin_ms = t_now_ms();
    t_sentinels_restart(all, 0);
    tell(kind, "demoted", begin_ms);
    cr_assert_not(t_sentinels_is_primary(all, 0));
    cr_assert(holds(all, 0, "k", "v"));
    t_sentinels_stop(all);
}

T_LIVE_TOPOLOGY(support_sentinel, demotes_a_primary_that_was_silent)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    t_sentinels_pause(all, 0);
    const int primary = t_sentinels_wait_takeover(all, 0);
    t_ctl_ok(t_sentinels_ctl(all, primary), "SET", "k", "v");
    const int64_t begin_ms = t_now_ms();
    t_sentinels_resume(all, 0);
    tell(kind, "demoted after a pause", begin_ms);
    cr_assert_eq(t_sentinels_primary(all), primary);
    cr_assert(holds(all, 0, "k", "v"));
    t_sentinels_kill(all, t_sentinels_watcher(all, 0));
    t_sentinels_settle(all, 20000);
    t_sentinels_restart(all, t_sentinels_watcher(all, 0));
    cr_assert_eq(t_sentinels_primary(all), primary, "it has forgotten who is primary");
    t_sentinels_stop(all);
}
