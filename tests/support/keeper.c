/* support/keeper.c - the leash on a server process.
 *
 *      test process ----leash (socket pair)----> keeper ----parent of----> redis-server
 *                   <---pid, acks, death--------        <----SIGCHLD------
 *
 * The obvious leash, PR_SET_PDEATHSIG on a server forked by the test itself, is no good: the signal
 * comes when the *thread* that forked ends, and nobody removes the directory. The keeper has one
 * thread, so it can use that signal towards the server, and it learns of the test's end, however
 * it comes, by end of file on the leash. As it is the server's parent, a process id that it signals
 * cannot have been given to somebody else.
 *
 * The keeper is forked from a process that may have many threads and never calls exec before its
 * last act: between the two it uses only functions that are safe in a signal handler.
 *
 * Invariants   the server never outlives the keeper (PR_SET_PDEATHSIG)
 *              the keeper holds no descriptor of the test's but its end of the leash
 *              one answer for each request; one death note for each server
 * Callers      server.c                                                                          */

#include "support/keeper.h"

#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What travels on the leash. */
enum { NOTE_PID, NOTE_SIGNAL, NOTE_DONE, NOTE_DEAD, NOTE_KEEP_DIR };
typedef struct note {
    int kind;
    int value;
} note;

/* ---- The keeper's side ----------------------------------------------------------------------- */

/* Closes every descriptor but `keep`, which becomes 3. */
static int close_others(int keep)
{
    if (keep != 3) {
        if (dup2(keep, 3) < 0) {
            _exit(126);
        }
    }
    if (syscall(SYS_close_range, 4u, ~0u, 0u) != 0) {
        for (int fd = 4; fd < 65536; fd++) {
            (void)close(fd);
        }
    }
    const int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 0);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    if (null > 2) {
        (void)close(null);
    }
    return 3;
}

static void run_server(const t_keeper_order *order, const sigset_t *signals, pid_t keeper)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) {
        _exit(126);
    }
    (void)sigprocmask(SIG_UNBLOCK, signals, NULL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    const int log = open(order->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log >= 0) {
        (void)dup2(log, 1);
        (void)dup2(log, 2);
        (void)close(log);
    }
    (void)close(3);
    if (chdir(order->dir) != 0) {
        _exit(126);
    }
    (void)execv(order->binary, order->argv);
    _exit(127);
}

static void tell(int leash, int kind, int value)
{
    const note n = {.kind = kind, .value = value};
    (void)send(leash, &n, sizeof n, MSG_NOSIGNAL);
}

/* Answers the leash until the other end is gone. `server` is 0 once reaped.
 * Returns true if the directory is to be kept.                                                   */
static bool serve_leash(int leash, int deaths, pid_t *server)
{
    bool keep_dir = false;
    for (;;) {
        struct pollfd fds[2] = {{.fd = leash, .events = POLLIN}, {.fd = deaths, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            continue;
        }
        int status = 0;
        if (fds[1].revents != 0) {
            struct signalfd_siginfo info;
            (void)!read(deaths, &info, sizeof info);
            if (*server != 0 && waitpid(*server, &status, WNOHANG) == *server) {
                *server = 0;
                tell(leash, NOTE_DEAD, status);
            }
        }
        if (fds[0].revents == 0) {
            continue;
        }
        note n;
        if (recv(leash, &n, sizeof n, 0) != (ssize_t)sizeof n) {
            return keep_dir;
        }
        if (n.kind == NOTE_KEEP_DIR) {
            keep_dir = true;
        } else if (*server != 0) {
            (void)kill(*server, n.value);
        }
        tell(leash, NOTE_DONE, *server != 0);
    }
}

static _Noreturn void be_keeper(const t_keeper_order *order, int leash)
{
    (void)setsid(); /* the terminal's signals are for the test */
    (void)prctl(PR_SET_NAME, "nkv-keeper");
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    leash = close_others(leash);

    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    const int deaths = signalfd(-1, &signals, SFD_CLOEXEC);

    const pid_t keeper = getpid();
    pid_t server = fork();
    if (server == 0) {
        run_server(order, &signals, keeper);
    }
    if (server < 0 || deaths < 0) {
        _exit(126);
    }
    tell(leash, NOTE_PID, server);
    const bool keep_dir = serve_leash(leash, deaths, &server);
    if (server != 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
    }
    if (!keep_dir) {
        (void)execl("/bin/rm", "rm", "-rf", "--", order->dir, (char *)NULL);
    }
    _exit(0);
}

/* ---- The test's side ------------------------------------------------------------------------- */

/* The next note, or false after `timeout_ms` or when the keeper is gone. */
static bool next_note(t_keeper *keeper, note *n, int64_t timeout_ms)
{
    struct pollfd fd = {.fd = keeper->fd, .events = POLLIN};
    const int64_t end_ms = t_now_ms() + timeout_ms;
    int ready;
    do {
        const int64_t left_ms = end_ms - t_now_ms();
        ready = poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        return false;
    }
    if (recv(keeper->fd, n, sizeof *n, 0) != (ssize_t)sizeof *n) {
        T_DIE("the keeper of server %d is gone", (int)keeper->server_pid);
    }
    if (n->kind == NOTE_DEAD) {
        keeper->dead = true;
        keeper->status = n->value;
    }
    return true;
}

enum { KEEPER_ANSWER_MS = 20000 };

/* Waits for a note of one kind; a death note on the way is taken down. */
static int await_note(t_keeper *keeper, int kind)
{
    note n;
    do {
        if (!next_note(keeper, &n, KEEPER_ANSWER_MS)) {
            T_DIE("the keeper of server %d does not answer", (int)keeper->server_pid);
        }
    } while (n.kind != kind);
    return n.value;
}

void t_keeper_start(t_keeper *keeper, const t_keeper_order *order)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        T_DIE("socketpair: %s", strerror(errno));
    }
    /* No handler of the test's may run in the child. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        (void)sigemptyset(&none);
        for (int signo = 1; signo < NSIG; signo++) {
            (void)signal(signo, SIG_DFL);
        }
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        be_keeper(order, ends[1]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        T_DIE("fork: %s", strerror(errno));
    }
    (void)close(ends[1]);
    *keeper = (t_keeper){.pid = pid, .fd = ends[0]};
    keeper->server_pid = await_note(keeper, NOTE_PID);
}

static void send_note(t_keeper *keeper, int kind, int value)
{
    const note n = {.kind = kind, .value = value};
    if (send(keeper->fd, &n, sizeof n, MSG_NOSIGNAL) != (ssize_t)sizeof n) {
        T_DIE("the keeper of server %d is gone", (int)keeper->server_pid);
    }
}

bool t_keeper_signal(t_keeper *keeper, int signo)
{
    if (keeper->dead) {
        return false;
    }
    send_note(keeper, NOTE_SIGNAL, signo);
    return await_note(keeper, NOTE_DONE) != 0;
}

bool t_keeper_wait_dead(t_keeper *keeper, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    note n;
    while (!keeper->dead) {
        if (!next_note(keeper, &n, end_ms - t_now_ms())) {
            return false;
        }
    }
    return true;
}

void t_keeper_end(t_keeper *keeper, bool keep_dir)
{
    if (keeper->pid == 0) {
        return;
    }
    if (keep_dir) {
        send_note(keeper, NOTE_KEEP_DIR, 0);
        (void)await_note(keeper, NOTE_DONE);
    }
    (void)close(keeper->fd);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR) {}
    *keeper = (t_keeper){.fd = -1};
}
