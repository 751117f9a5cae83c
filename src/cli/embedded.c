/* cli/embedded.c - a private server that ends with us, however we end.
 *
 * Invariants   I1  Between mkdtemp() and the keeper's first poll() no signal can end us: they are
 *                  blocked; SIGKILL closes the pair, and leaves an empty directory at most if
 *                  it comes before the fork.
 *              I2  The keeper ends only after the server and the directory are gone.             */
#include "cli/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/keeper.h"
#include "cli/must.h"

#define START_MS_MAX 10000
#define STEP_MS      5

/* What nkvi_embedded_stop() needs; it runs in signal handlers.  `own` is set before pair_end is. */
static nkvi_server own;
static volatile sig_atomic_t pair_end = -1;
static volatile sig_atomic_t keeper_pid;

/* ---- Which program --------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* Looks for a server in the `len` bytes of `folder`, followed by `below`. */
static bool find_in(const char *folder, size_t len, const char *below, char *path)
{
    static const char *const names[] = {"redis-server", "valkey-server"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int need = snprintf(path, PATH_MAX, "%.*s%s/%s", (int)len, folder, below, names[i]);
        if (need > 0 && need < PATH_MAX && is_program(path)) {
            return true;
        }
    }
    return false;
}

static bool find_beside_executable(char *path)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len <= 0) {
        return false;
    }
    self[len] = '\0';
    const char *slash = strrchr(self, '/');
    return find_in(self, (size_t)(slash - self), "/../../deps/bin", path);
}

static bool find_in_path(char *path)
{
    const char *at = getenv("PATH");

    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        if (len > 0 && find_in(at, len, "", path)) {
            return true;
        }
        at += len + (at[len] == ':');
    }
    return false;
}

/* Puts the server to be started into path[PATH_MAX]. */
static bool find_server(char *path, nkvi_out *error)
{
    const char *given = getenv("NEARKV_REDIS_SERVER");

    if (given != NULL && *given != '\0') {
        if (strlen(given) < PATH_MAX && is_program(given)) {
            memcpy(path, given, strlen(given) + 1);
            return true;
        }
        nkvi_out_printf(error, "nearkv: NEARKV_REDIS_SERVER: %s is no program\n", given);
        return false;
    }
    if (find_beside_executable(path) || find_in_path(path)) {
        return true;
    }
    nkvi_out_text(error, "nearkv: --embedded needs redis-server or valkey-server: there is none in "
                         "PATH; NEARKV_REDIS_SERVER can name one\n");
    return false;
}

/* ---- Where it lives -------------------------------------------------------------------------- */

/* Makes the directory, mode 0700, in $TMPDIR or /tmp. */
static bool make_directory(nkvi_server *server, nkvi_out *error)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || *parent != '/') {
        parent = "/tmp";
    }
    int need = snprintf(server->directory, sizeof server->directory, "%s/nearkv-XXXXXX", parent);
    if (need < 0 || (size_t)need >= sizeof server->directory) {
        snprintf(server->directory, sizeof server->directory, "/tmp/nearkv-XXXXXX");
    }
    if (mkdtemp(server->directory) == NULL) {
        nkvi_out_printf(error, "nearkv: %s cannot be made: %s\n", server->directory,
                        strerrordesc_np(errno));
        return false;
    }
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->directory);
    snprintf(server->log, sizeof server->log, "%s/log", server->directory);
    return true;
}

/* ---- Is it there? ---------------------------------------------------------------------------- */

static bool answers_ping(const char *path)
{
    static const char ping[] = "PING\r\n", pong[] = "+PONG\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 1};
    char reply[sizeof pong] = "";
    size_t got = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ping - 1) {
        ssize_t more = 1;
        while (more > 0 && got < sizeof pong - 1) {
            more = recv(fd, reply + got, sizeof pong - 1 - got, 0);
            got += more > 0 ? (size_t)more : 0;
        }
    }
    close(fd);
    return got == sizeof pong - 1 && memcmp(reply, pong, got) == 0;
}

/* Adds the last line of the server's log, which tells why it did not start. */
static void add_last_line(const char *path, nkvi_out *error)
{
    char line[512], last[512] = "";
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0') {
            memcpy(last, line, sizeof last);
        }
    }
    fclose(file);
    if (last[0] != '\0') {
        nkvi_out_printf(error, ": %s", last);
    }
}

/* Waits until the server answers; the keeper sends a byte if it died. */
static bool wait_ready(const nkvi_server *server, int fd, nkvi_out *error)
{
    struct pollfd news = {.fd = fd, .events = POLLIN};

    for (int waited = 0; waited < START_MS_MAX; waited += STEP_MS) {
        if (answers_ping(server->socket)) {
            return true;
        }
        if (poll(&news, 1, STEP_MS) > 0) {
            break;
        }
    }
    nkvi_out_printf(error, "nearkv: %s did not start", server->program);
    add_last_line(server->log, error);
    nkvi_out_char(error, '\n');
    return false;
}

/* ---- Start and stop -------------------------------------------------------------------------- */

/* Makes directory, pair and keeper; signals that end us are blocked meanwhile.  Returns our end of
 * the pair, or -1.                                                                               */
static int start_keeper(nkvi_server *server, nkvi_out *error)
{
    int pair[2];

    if (!make_directory(server, error)) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        nkvi_out_printf(error, "nearkv: no socket pair: %s\n", strerrordesc_np(errno));
        (void)rmdir(server->directory);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        nkvi_keeper_run(server, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        nkvi_out_printf(error, "nearkv: no process: %s\n", strerrordesc_np(errno));
        (void)rmdir(server->directory);
        close(pair[0]);
        return -1;
    }
    keeper_pid = pid;
    pair_end = pair[0];
    return pair[0];
}

bool nkvi_embedded_start(char **url, nkvi_out *error)
{
    sigset_t all, before;

    if (!find_server(own.program, error)) {
        return false;
    }
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    int fd = start_keeper(&own, error);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (fd < 0) {
        return false;
    }
    (void)atexit(nkvi_embedded_stop);
    if (!wait_ready(&own, fd, error)) {
        nkvi_embedded_stop();
        return false;
    }
    nkvi_out text = {0};
    nkvi_out_printf(&text, "unix://%s", own.socket);
    *url = nkvi_must_copy(text.data, text.len);
    nkvi_out_clear(&text);
    return true;
}

void nkvi_embedded_stop(void)
{
    int fd = pair_end;
    pid_t pid = keeper_pid;

    if (fd < 0) {
        return;
    }
    pair_end = -1;
    close(fd);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        /* another signal: the keeper is still at it */
    }
    /* The keeper has done this, unless somebody killed it; then the server died with it. */
    (void)unlink(own.socket);
    (void)unlink(own.log);
    (void)rmdir(own.directory);
}
