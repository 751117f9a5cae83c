/* tests/live/support/test_ctl.c - the control client and the monitor. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/monitor.h"

/* ---- Commands -------------------------------------------------------------------------------- */

T_LIVE(support_ctl, carries_any_bytes)
{
    t_ctl *ctl = t_ctl_open(server);
    const t_arg set[] = {T_ARG("SET"), T_ARG("a\0b\r\n%s"), T_ARG_BYTES("\xff\0\n", 3)};
    freeReplyObject(t_ctl_args(ctl, 3, set));
    const t_arg get[] = {T_ARG("GET"), T_ARG("a\0b\r\n%s")};
    redisReply *reply = t_ctl_args(ctl, 2, get);
    cr_assert(reply != NULL && reply->type == REDIS_REPLY_STRING);
    cr_assert(t_same_bytes("value", reply->str, reply->len, "\xff\0\n", 3));
    freeReplyObject(reply);
    t_ctl_close(ctl);
}

T_LIVE(support_ctl, nil_is_null_and_errors_are_told)
{
    t_ctl *ctl = t_ctl_open(server);
    cr_assert_null(t_ctl_text(ctl, "GET", "none"));
    cr_assert_not(t_ctl_try(ctl, "NOSUCH"));
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    redisReply *reply = t_ctl_cmd(ctl, "GET", "list");
    cr_assert_eq(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    t_ctl_close(ctl);
}

/* A short form that gets another answer than it promises must not let the test go on. */
T_LIVE(support_ctl, a_wrong_answer_ends_the_process)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        t_ctl *ctl = t_ctl_open(server);
        t_ctl_ok(ctl, "SET", "k", "v");
        (void)t_ctl_int(ctl, "GET", "k");
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %d", status);
}

/* ---- Questions ------------------------------------------------------------------------------- */

T_LIVE(support_ctl, counts_what_reached_the_server)
{
    t_ctl *ctl = t_ctl_open(server);
    cr_assert_eq(t_ctl_calls(ctl, "get"), 0);
    for (int i = 0; i < 3; i++) {
        freeReplyObject(t_ctl_cmd(ctl, "GET", "k"));
    }
    t_ctl_ok(ctl, "GETRANGE", "k", "0", "1"); /* not to be taken for GET */
    t_ctl_ok(ctl, "PING");
    (void)t_ctl_own_id(ctl);
    cr_assert_eq(t_ctl_calls(ctl, "get"), 3);
    cr_assert_eq(t_ctl_calls(ctl, "client|id"), 1);
    cr_assert_eq(t_ctl_data_calls(ctl), 4);
    t_ctl_ok(ctl, "CONFIG", "RESETSTAT");
    cr_assert_eq(t_ctl_calls(ctl, "get"), 0);
    t_ctl_close(ctl);
}

T_LIVE(support_ctl, reads_info)
{
    t_ctl *ctl = t_ctl_open(server);
    char text[64];
    cr_assert(t_ctl_info(ctl, "replication", "role", text, sizeof text));
    cr_assert_str_eq(text, "master");
    cr_assert_not(t_ctl_info(ctl, "replication", "rol", text, sizeof text));
    cr_assert_eq(t_ctl_info_int(ctl, "clients", "connected_clients"), 1);
    cr_assert(t_ctl_has_command(ctl, "GET"));
    cr_assert_not(t_ctl_has_command(ctl, "NOSUCH"));
    t_ctl_close(ctl);
}

T_LIVE(support_ctl, lists_and_kills_clients)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl *tracker = t_ctl_open(server);
    t_ctl *plain = t_ctl_open(server);
    t_ctl_ok(tracker, "CLIENT", "SETNAME", "tracker");
    t_ctl_ok(tracker, "HELLO", "3");
    t_ctl_ok(tracker, "SELECT", "5");
    t_ctl_ok(tracker, "CLIENT", "TRACKING", "ON");
    const long long id = t_ctl_own_id(tracker);
    (void)t_ctl_own_id(plain);

    size_t count = 0;
    t_client_info *clients = t_ctl_clients(ctl, &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(clients[0].id, id);
    cr_assert_eq(clients[0].db, 5);
    cr_assert_str_eq(clients[0].name, "tracker");
    cr_assert_str_eq(clients[0].user, "default");
    cr_assert_str_eq(clients[0].cmd, "client|id");
    cr_assert(strchr(clients[0].flags, 't') != NULL);
    cr_assert(strchr(clients[1].flags, 't') == NULL);
    free(clients);
    cr_assert_eq(t_ctl_tracking_clients(ctl), 1);

    cr_assert_eq(t_ctl_kill_id(ctl, id), 1);
    cr_assert_not(t_ctl_try(tracker, "PING"));
    cr_assert_eq(t_ctl_kill_type(ctl, "normal"), 1);
    cr_assert_not(t_ctl_try(plain, "PING"));
    cr_assert(t_ctl_try(ctl, "PING"), "killed itself");
    t_ctl_close(plain);
    t_ctl_close(tracker);
    t_ctl_close(ctl);
}

/* ---- Monitor --------------------------------------------------------------------------------- */

T_LIVE(support_monitor, keeps_the_order_of_what_came_before_sync)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "early", "x"); /* before the start: not seen */
    t_monitor *monitor = t_monitor_start(server);
    for (int round = 0; round < 50; round++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", round);
        t_ctl_ok(ctl, "SET", key, "v");
        freeReplyObject(t_ctl_cmd(ctl, "GET", key));
        t_monitor_sync(monitor);
        cr_assert_eq(t_monitor_count(monitor), (size_t)(round + 1) * 2);
        const long set = t_monitor_find(monitor, 0, "SET", key, "v");
        cr_assert_eq(set, round * 2);
        cr_assert_eq(t_monitor_find(monitor, (size_t)set, "get", key), set + 1);
    }
    cr_assert_eq(t_monitor_hits(monitor, "GET"), 50);
    cr_assert_eq(t_monitor_find(monitor, 0, "SET", "early"), -1);
    t_ctl_close(ctl);
    t_monitor_stop(monitor);
}

T_LIVE(support_monitor, decodes_what_the_server_escapes)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SELECT", "7");
    t_monitor *monitor = t_monitor_start(server);
    /* Valkey 8.1 prints quotes and backslashes as they are, so that they cannot be told from its
     * own: nobody can decode those. */
    const t_server_version version = t_server_get_version(server);
    const bool ambiguous = version.valkey && version.major == 8 && version.minor >= 1;
    const char *key = ambiguous ? "a b\r\n\t\x01\xff] [" : "a \"b\"\\\r\n\t\x01\xff] [";
    t_ctl_ok(ctl, "SET", key, "");
    t_monitor_sync(monitor);
    const t_monitor_entry entry = t_monitor_entry_at(monitor, 0);
    cr_assert_eq(entry.db, 7);
    cr_assert_eq(entry.argc, 3);
    cr_assert_str_eq(entry.argv[1], key);
    cr_assert_str_eq(entry.argv[2], "");
    cr_assert(strncmp(entry.client, "unix:", 5) == 0);
    t_ctl_close(ctl);
    t_monitor_stop(monitor);
}

T_LIVE(support_monitor, leaves_no_thread_and_no_descriptor)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    t_monitor *monitor = t_monitor_start(server);
    cr_assert_eq(t_thread_count(), threads + 1);
    t_monitor_stop(monitor);
    cr_assert_eq(t_fd_count(), fds);
    cr_assert_eq(t_thread_count(), threads);
}

T_LIVE_PRIVATE(support_monitor, works_with_a_password)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .password = "pw"});
    t_monitor *monitor = t_monitor_start(server);
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    t_monitor_sync(monitor);
    cr_assert(t_monitor_find(monitor, 0, "SET", "k", "v") >= 0);
    t_ctl_close(ctl);
    t_monitor_stop(monitor);
    t_server_stop(server);
}
