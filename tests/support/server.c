/* support/server.c - starts, watches and ends private servers.
 *
 * A server is a directory (socket, log) and a keeper that holds the process. Ready means: a PING on
 * its own socket, which nobody else can have made, was answered. A restart gets a new keeper before
 * the old one is let go, so there is no moment at which nobody would clear up.
 *
 * Ports come from t_net_free_port(). Another test that rolls the same number makes the server exit
 * at its start, and then the next number is tried.
 *
 * Invariants   keeper.pid == 0 exactly for borrowed servers (server_share.c makes those)
 * Callers      live tests, server_share.c                                                        */

#include "support/server.h"

#include "support/check.h"
#include "support/keeper.h"
#include "support/net.h"
#include "support/server_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READY_MS = 20000, PORT_TRIES = 20, ARGS_MAX = 64 };

/* ---- Arguments ------------------------------------------------------------------------------- */

static void free_args(t_server *server)
{
    for (size_t i = 0; i < server->arg_count; i++) {
        free(server->args[i]);
    }
    free(server->args);
    server->args = NULL;
    server->arg_count = 0;
}

static void set_args(t_server *server, const char *const *args)
{
    free_args(server);
    size_t count = 0;
    while (args != NULL && args[count] != NULL) {
        count++;
    }
    server->args = calloc(count + 1, sizeof *server->args);
    T_REQUIRE(server->args != NULL);
    for (size_t i = 0; i < count; i++) {
        server->args[i] = t_format("%s", args[i]);
    }
    server->arg_count = count;
}

void t_server_make_urls(t_server *server)
{
    char *auth = t_format("%s", "");
    if (server->password != NULL) {
        T_REQUIRE(strpbrk(server->password, ":/?#[]@% ") == NULL); /* would need encoding */
        free(auth);
        auth = t_format(":%s@", server->password);
    }
    free(server->unix_url);
    server->unix_url = t_format("unix://%s%s", auth, server->path);
    free(server->tcp_url);
    server->tcp_url = NULL;
    if (server->port != 0) {
        server->tcp_url = t_format("redis://%s127.0.0.1:%d", auth, server->port);
    }
    free(auth);
}

/* Writes the whole command line of the server, NULL-terminated, with borrowed strings. `port_text`
 * holds the port's digits.                                                                       */
static void make_argv(const t_server *server, char port_text[16], const char *argv[ARGS_MAX])
{
    (void)snprintf(port_text, 16, "%d", server->port);
    const char *const pairs[][2] = {
        {"--port", port_text},
        {"--bind", "127.0.0.1"},
        {"--unixsocket", server->path},
        {"--unixsocketperm", "700"},
        {"--dir", server->dir},
        {"--save", ""},
        {"--enable-debug-command", "yes"},
        {"--requirepass", server->password},
    };
    size_t argc = 0;
    argv[argc++] = server->kind->name[0] == 'v' ? "valkey-server" : "redis-server";
    if (server->sentinel != NULL) {
        argv[argc++] = server->sentinel;
        argv[argc++] = "--sentinel";
    }
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][1] != NULL) {
            argv[argc++] = pairs[i][0];
            argv[argc++] = pairs[i][1];
        }
    }
    T_REQUIRE(argc + server->arg_count < ARGS_MAX);
    for (size_t i = 0; i < server->arg_count; i++) {
        argv[argc++] = server->args[i];
    }
    argv[argc] = NULL;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    T_REQUIRE(file != NULL);
    T_REQUIRE(fputs(text, file) >= 0);
    T_REQUIRE(fclose(file) == 0);
}

/* Hands the server to a new keeper. */
static void launch(t_server *server)
{
    char port_text[16];
    const char *argv[ARGS_MAX];
    make_argv(server, port_text, argv);
    char *log = t_format("%s/log", server->dir);
    const t_keeper_order order = {.binary = server->kind->binary,
                                  .argv = (char *const *)(uintptr_t)argv,
                                  .dir = server->dir,
                                  .log = log};
    t_keeper old = server->keeper;
    t_keeper_start(&server->keeper, &order);
    t_keeper_end(&old, true);
    free(log);
}

/* ---- Ready? ---------------------------------------------------------------------------------- */

/* One PING on the unix socket. True if a server answered that takes commands; a server that wants
 * a password first is ready too. The wait for the answer ends at `end_ms`.                       */
static bool answers_ping(const t_server *server, int64_t end_ms)
{
    const int fd = t_net_connect((t_addr){.path = server->path});
    if (fd < 0) {
        return false;
    }
    char answer[8] = "";
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6) {
        const int64_t left_ms = end_ms - t_now_ms();
        const int64_t wait_ms = left_ms < 1 ? 1 : left_ms;
        const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
                                     .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        (void)!recv(fd, answer, sizeof answer - 1, 0);
    }
    (void)close(fd);
    return strncmp(answer, "+PONG", 5) == 0 || strncmp(answer, "-NOAUTH", 7) == 0 ||
           strncmp(answer, "-NOPERM", 7) == 0;
}

static _Noreturn void die_of_start(t_server *server, const char *what)
{
    char *log = t_server_log(server);
    const size_t len = strlen(log);
    T_DIE("%s server %s %s; its log ends:\n%s", server->kind->name, server->kind->binary, what,
          log + (len > 800 ? len - 800 : 0));
}

static bool port_was_taken(const t_server *server)
{
    char *log = t_server_log(server);
    const bool taken = strstr(log, "Address already in use") != NULL;
    free(log);
    return taken;
}

void t_server_wait_ready(t_server *server)
{
    const int64_t end_ms = t_now_ms() + READY_MS;
    int tries = 0;
    while (!answers_ping(server, end_ms)) {
        if (t_keeper_wait_dead(&server->keeper, 0)) {
            if (server->port == 0 || server->port_fixed || !port_was_taken(server) ||
                ++tries > PORT_TRIES) {
                die_of_start(server, "ended at its start");
            }
            server->port = t_net_free_port();
            launch(server);
        }
        if (t_now_ms() > end_ms) {
            die_of_start(server, "does not answer");
        }
        t_sleep_us(500);
    }
    server->port_fixed = true;
    t_server_make_urls(server);
}

/* ---- Life ------------------------------------------------------------------------------------ */

t_server *t_server_launch(const t_server_options *options)
{
    const t_server_options defaults = {.kind = NULL};
    if (options == NULL) {
        options = &defaults;
    }
    t_server *server = calloc(1, sizeof *server);
    T_REQUIRE(server != NULL);
    server->kind = t_server_kind_find(options->kind);
    if (server->kind->binary == NULL) {
        T_DIE("%s: %s", server->kind->name, server->kind->why);
    }
    server->lease_fd = -1;
    t_temp_dir(server->dir);
    server->path = t_format("%s/sock", server->dir);
    server->password = options->password == NULL ? NULL : t_format("%s", options->password);
    server->port = options->tcp ? t_net_free_port() : 0;
    set_args(server, options->args);
    if (options->sentinel != NULL) {
        server->sentinel = t_format("%s/sentinel.conf", server->dir);
        write_file(server->sentinel, options->sentinel);
    }
    launch(server);
    return server;
}

t_server *t_server_start(const t_server_options *options)
{
    t_server *server = t_server_launch(options);
    t_server_wait_ready(server);
    return server;
}

void t_server_stop(t_server *server)
{
    if (server == NULL) {
        return;
    }
    t_keeper_end(&server->keeper, false);
    if (server->lease_fd >= 0) {
        (void)close(server->lease_fd);
    }
    free_args(server);
    free(server->path);
    free(server->sentinel);
    free(server->password);
    free(server->unix_url);
    free(server->tcp_url);
    free(server);
}

static void require_private(const t_server *server)
{
    if (server->keeper.pid == 0) {
        T_DIE("a borrowed server cannot be paused, killed or restarted: start a private one");
    }
}

void t_server_pause(t_server *server)
{
    require_private(server);
    T_REQUIRE(t_keeper_signal(&server->keeper, SIGSTOP));
}

void t_server_resume(t_server *server)
{
    require_private(server);
    T_REQUIRE(t_keeper_signal(&server->keeper, SIGCONT));
}

void t_server_kill(t_server *server)
{
    require_private(server);
    (void)t_keeper_signal(&server->keeper, SIGKILL);
    T_REQUIRE(t_keeper_wait_dead(&server->keeper, READY_MS));
}

void t_server_shutdown(t_server *server)
{
    require_private(server);
    (void)t_keeper_signal(&server->keeper, SIGTERM);
    (void)t_keeper_signal(&server->keeper, SIGCONT);
    if (!t_keeper_wait_dead(&server->keeper, 5000)) {
        t_server_kill(server);
    }
}

void t_server_restart(t_server *server, const char *const *args)
{
    t_server_kill(server);
    if (args != NULL) {
        set_args(server, args);
    }
    launch(server);
    t_server_wait_ready(server);
}

bool t_server_alive(t_server *server)
{
    require_private(server);
    return !t_keeper_wait_dead(&server->keeper, 0);
}

/* ---- Questions ------------------------------------------------------------------------------- */

const char *t_server_path(const t_server *server)
{
    return server->path;
}

int t_server_port(const t_server *server)
{
    return server->port;
}

const char *t_server_unix_url(const t_server *server)
{
    return server->unix_url;
}

const char *t_server_tcp_url(const t_server *server)
{
    return server->tcp_url;
}

const char *t_server_password(const t_server *server)
{
    return server->password;
}

const char *t_server_dir(const t_server *server)
{
    return server->dir;
}

const char *t_server_kind_name(const t_server *server)
{
    return server->kind->name;
}

pid_t t_server_pid(const t_server *server)
{
    return server->keeper.server_pid;
}

char *t_server_log(const t_server *server)
{
    char *path = t_format("%s/log", server->dir);
    char *text = t_read_file(path, NULL);
    free(path);
    return text == NULL ? t_format("%s", "") : text;
}

/* The log's first lines name the program and its version, whatever the password. */
t_server_version t_server_get_version(const t_server *server)
{
    char *log = t_server_log(server);
    t_server_version version = {.valkey = strstr(log, "Valkey version=") != NULL};
    const char *at = strstr(log, version.valkey ? "Valkey version=" : "Redis version=");
    if (at == NULL || sscanf(strchr(at, '=') + 1, "%d.%d.%d", &version.major, &version.minor,
                             &version.patch) != 3) {
        T_DIE("%s does not name its version in its log", server->kind->binary);
    }
    free(log);
    return version;
}
