/* tests/live/support/test_server.c - the servers that all live tests stand on: started, found,
 * paused, killed, restarted, shared, and gone when nobody needs them.                            */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/net.h"

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool runs(pid_t pid)
{
    return kill(pid, 0) == 0;
}

/* ---- Private servers ------------------------------------------------------------------------- */

T_LIVE_PRIVATE(support_server, starts_answers_and_leaves_nothing)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    char *dir = t_format("%s", t_server_dir(server));
    const pid_t pid = t_server_pid(server);
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    char *value = t_ctl_text(ctl, "GET", "k");
    cr_assert_str_eq(value, "v");
    free(value);
    t_ctl_close(ctl);
    cr_assert(exists(dir) && runs(pid) && t_server_alive(server));
    cr_assert_null(t_server_tcp_url(server));
    cr_assert_eq(t_server_port(server), 0);
    t_server_stop(server);
    cr_assert_not(exists(dir), "the directory is still there");
    cr_assert_not(runs(pid), "the process is still there");
    free(dir);
}

T_LIVE_PRIVATE(support_server, tells_its_version)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .password = "secret"});
    const t_server_version version = t_server_get_version(server);
    cr_assert_eq(version.valkey, kind[0] == 'v');
    cr_assert(version.major >= (version.valkey ? 7 : 6) && version.major < 100);
    t_ctl *ctl = t_ctl_open(server);
    char text[64];
    char *expected = t_format("%d.%d.%d", version.major, version.minor, version.patch);
    const char *field = version.valkey ? "valkey_version" : "redis_version";
    cr_assert(t_ctl_info(ctl, "server", field, text, sizeof text));
    cr_assert_str_eq(text, expected);
    free(expected);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE_PRIVATE(support_server, listens_on_a_port_with_a_password)
{
    t_server *server =
        t_server_start(&(t_server_options){.kind = kind, .tcp = true, .password = "secret"});
    const int port = t_server_port(server);
    char *url = t_format("redis://:secret@127.0.0.1:%d", port);
    cr_assert_str_eq(t_server_tcp_url(server), url);
    free(url);
    t_ctl *in = t_ctl_open_port(port, NULL, "secret");
    cr_assert_not_null(in);
    t_ctl *out = t_ctl_open_port(port, NULL, NULL);
    cr_assert_not_null(out);
    cr_assert(t_ctl_try(in, "GET", "k"));
    cr_assert_not(t_ctl_try(out, "GET", "k"), "let in without the password");
    cr_assert_null(t_ctl_open_port(port, NULL, "wrong"));
    t_ctl_close(in);
    t_ctl_close(out);
    t_server_stop(server);
}

T_LIVE_PRIVATE(support_server, takes_further_arguments)
{
    const char *const args[] = {"--maxmemory", "12mb", "--user", "ann", "on",
                                "+get",        ">pw",  "~a*",    NULL};
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .args = args});
    t_ctl *ctl = t_ctl_open(server);
    char *maxmemory = t_ctl_config_get(ctl, "maxmemory");
    cr_assert_str_eq(maxmemory, "12582912");
    free(maxmemory);
    t_ctl *ann = t_ctl_open_path(t_server_path(server), "ann", "pw");
    cr_assert_not_null(ann);
    cr_assert(t_ctl_try(ann, "GET", "a1"));
    cr_assert_not(t_ctl_try(ann, "GET", "b1"));
    cr_assert_not(t_ctl_try(ann, "SET", "a1", "x"));
    t_ctl_close(ann);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* Is there an answer to a PING within that time? */
static bool answers_within(int fd, int timeout_ms)
{
    char answer[16];
    cr_assert_eq(send(fd, "PING\r\n", 6, MSG_NOSIGNAL), 6);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, timeout_ms) == 1 && recv(fd, answer, sizeof answer, 0) > 0;
}

T_LIVE_PRIVATE(support_server, a_paused_one_is_silent_until_resumed)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    const int fd = t_net_connect((t_addr){.path = t_server_path(server)});
    cr_assert(answers_within(fd, 5000));
    t_server_pause(server);
    cr_assert_not(answers_within(fd, 100), "a stopped process has answered");
    cr_assert(t_server_alive(server));
    t_server_resume(server);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 5000), 1, "the answer did not come after SIGCONT");
    (void)close(fd);
    t_server_stop(server);
}

T_LIVE_PRIVATE(support_server, a_killed_one_comes_back_empty_at_the_same_address)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .tcp = true});
    const int port = t_server_port(server);
    char *path = t_format("%s", t_server_path(server));
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    t_server_kill(server);
    cr_assert_not(t_server_alive(server));
    cr_assert_null(t_ctl_cmd(ctl, "GET", "k"), "a killed server has answered");
    t_ctl_close(ctl);
    cr_assert(t_net_connect((t_addr){.path = path}) < 0);
    cr_assert(t_net_connect((t_addr){.port = port}) < 0);

    t_server_restart(server, (const char *const[]){"--databases", "3", NULL});
    cr_assert(t_server_alive(server));
    cr_assert_str_eq(t_server_path(server), path);
    cr_assert_eq(t_server_port(server), port);
    ctl = t_ctl_open_port(port, NULL, NULL);
    cr_assert_not_null(ctl);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 0);
    cr_assert_not(t_ctl_try(ctl, "SELECT", "3"), "the new arguments were not used");
    t_ctl_close(ctl);
    free(path);
    t_server_stop(server);
}

T_LIVE_PRIVATE(support_server, shuts_down_even_when_paused)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_server_pause(server);
    t_server_shutdown(server);
    cr_assert_not(t_server_alive(server));
    t_server_stop(server);
}

T_LIVE_PRIVATE(support_server, many_start_at_the_same_time)
{
    enum { COUNT = 5 };
    t_server *servers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        servers[i] = t_server_launch(&(t_server_options){.kind = kind, .tcp = true});
    }
    for (int i = 0; i < COUNT; i++) {
        t_server_wait_ready(servers[i]);
        for (int k = 0; k < i; k++) {
            cr_assert_neq(t_server_port(servers[i]), t_server_port(servers[k]));
        }
    }
    for (int i = 0; i < COUNT; i++) {
        t_server_stop(servers[i]);
    }
}

/* ---- They end with the test ------------------------------------------------------------------ */

static t_server *started_by_thread;

static void *start_in_thread(void *kind)
{
    started_by_thread = t_server_start(&(t_server_options){.kind = kind});
    return NULL;
}

/* The signal that the kernel sends at a parent's death comes when the parent's *thread* ends. */
T_LIVE_PRIVATE(support_server, outlives_the_thread_that_started_it)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, start_in_thread, (void *)(uintptr_t)kind), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    t_sleep_ms(30);
    cr_assert(t_server_alive(started_by_thread));
    t_server_stop(started_by_thread);
}

typedef struct victim {
    pid_t server;
    char dir[T_PATH_MAX];
} victim;

/* Starts a server in a child process that then ends by the signal; what it started goes to `v`. */
static void start_and_die(const char *kind, int signo, victim *v)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        t_server *server = t_server_start(&(t_server_options){.kind = kind});
        v->server = t_server_pid(server);
        (void)snprintf(v->dir, sizeof v->dir, "%s", t_server_dir(server));
        (void)!write(ends[1], v, sizeof *v);
        (void)signal(signo, SIG_DFL);
        (void)raise(signo);
        _exit(1);
    }
    (void)close(ends[1]);
    cr_assert_eq(read(ends[0], v, sizeof *v), (ssize_t)sizeof *v);
    (void)close(ends[0]);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

T_LIVE_PRIVATE(support_server, ends_with_its_process_however_that_ends)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        victim v;
        start_and_die(kind, signals[i], &v);
        T_WAIT_UNTIL(!runs(v.server), 5000);
        T_WAIT_UNTIL(!exists(v.dir), 5000);
    }
}

/* ---- Shared servers -------------------------------------------------------------------------- */

T_LIVE(support_server, a_borrowed_one_has_both_addresses)
{
    t_ctl *by_path = t_ctl_open(server);
    t_ctl *by_port = t_ctl_open_port(t_server_port(server), NULL, NULL);
    cr_assert_not_null(by_port);
    t_ctl_ok(by_path, "SET", "k", "v");
    cr_assert_eq(t_ctl_int(by_port, "STRLEN", "k"), 1);
    t_ctl_close(by_port);
    t_ctl_close(by_path);
}

/* Everything that a test may leave behind. */
static void make_a_mess(t_ctl *ctl)
{
    t_ctl_ok(ctl, "SET", "left", "behind");
    t_ctl_config_set(ctl, "maxmemory", "200000000");
    t_ctl_config_set(ctl, "tracking-table-max-keys", "1");
    t_ctl_config_set(ctl, "notify-keyspace-events", "KEA");
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "+@all");
    t_ctl_ok(ctl, "ACL", "SETUSER", "default", "-hget");
    t_ctl_ok(ctl, "DEBUG", "SET-ACTIVE-EXPIRE", "0");
    t_ctl_ok(ctl, "CLIENT", "PAUSE", "600000", "WRITE");
}

static void assert_as_new(t_ctl *ctl)
{
    size_t others = 0;
    free(t_ctl_clients(ctl, &others));
    cr_assert_eq(others, 0, "%zu clients are left", others);
    cr_assert_eq(t_ctl_data_calls(ctl), 0, "statistics are left");
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 0);
    static const char *const settings[][2] = {
        {"maxmemory", "0"}, {"tracking-table-max-keys", "1000000"}, {"notify-keyspace-events", ""}};
    for (size_t i = 0; i < 3; i++) {
        char *value = t_ctl_config_get(ctl, settings[i][0]);
        cr_assert_str_eq(value, settings[i][1], "%s is %s", settings[i][0], value);
        free(value);
    }
    cr_assert_null(t_ctl_text(ctl, "ACL", "GETUSER", "ann"));
    cr_assert(t_ctl_try(ctl, "HGET", "h", "f"), "a right is lost");
    t_ctl_ok(ctl, "SET", "k", "v", "PX", "1");
    T_WAIT_UNTIL(t_ctl_info_int(ctl, "stats", "expired_keys") == 1, 5000);
}

T_LIVE_PRIVATE(support_server, the_next_borrower_finds_nothing_of_the_last)
{
    char dir[T_PATH_MAX] = "";
    for (int round = 0; round < 8; round++) {
        t_server *server = t_server_borrow(kind);
        t_ctl *ctl = t_ctl_open(server);
        const bool again = strcmp(dir, t_server_dir(server)) == 0;
        assert_as_new(ctl);
        (void)snprintf(dir, sizeof dir, "%s", t_server_dir(server));
        t_ctl *forgotten = t_ctl_open(server);
        make_a_mess(ctl);
        t_server_stop(server);
        t_ctl_close(ctl);
        t_ctl_close(forgotten);
        if (again) {
            return; /* the same server twice: it was cleaned in between */
        }
    }
    cr_assert(false, "never got the same server twice");
}

T_LIVE(support_server, two_borrowers_never_share)
{
    t_server *other = t_server_borrow(t_server_kind_name(server));
    cr_assert_str_neq(t_server_dir(other), t_server_dir(server));
    t_server_stop(other);
}
