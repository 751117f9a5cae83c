/* cli/keeper.c - the process between the command and its private server.
 *
 *      poll: the pair  --closed-------> kill the server, wait for it, remove the directory, end
 *            SIGTERM   --asked to-----> the same
 *            SIGCHLD   --server died--> tell the command, then wait for the pair to close
 *
 * It runs in a child of fork(), so it writes nothing to the inherited streams and ends by
 * _exit().                                                                                       */
#include "cli/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t told_to_end;

static void on_term(int number)
{
    (void)number;
    told_to_end = 1;
}

static void on_child(int number)
{
    (void)number; /* that poll() returns is all that is wanted */
}

/* Leaves nothing open but the pair, which becomes descriptor 3: a pipe that we kept open would keep
 * its reader waiting after the command has ended.                                                */
static int detach(int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 4); /* out of the way of what follows */
    int null = open("/dev/null", O_RDWR);

    (void)setsid();
    (void)prctl(PR_SET_NAME, "nearkv-keeper");
    for (int i = 0; i < 3 && null >= 0; i++) {
        (void)dup2(null, i);
    }
    (void)dup2(own, 3);
    (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    (void)close_range(4, ~0U, 0);
    return 3;
}

static void take_signals(void)
{
    struct sigaction term = {.sa_handler = on_term}, child = {.sa_handler = on_child};

    sigemptyset(&term.sa_mask);
    sigemptyset(&child.sa_mask);
    (void)sigaction(SIGTERM, &term, NULL);
    (void)sigaction(SIGCHLD, &child, NULL);
}

/* Becomes the server. */
static _Noreturn void become_server(const nkvi_server *server, pid_t keeper)
{
    sigset_t none;
    int log = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) {
        _exit(1); /* it died before the line above */
    }
    if (log >= 0) {
        (void)dup2(log, STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
    }
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    execl(server->program, server->program, "--port", "0", "--unixsocket", server->socket,
          "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", server->directory,
          "--daemonize", "no", "--loglevel", "warning", "--logfile", "", (char *)NULL);
    (void)dprintf(STDERR_FILENO, "%s\n", strerrordesc_np(errno));
    _exit(127);
}

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *file;

    while (directory != NULL && (file = readdir(directory)) != NULL) {
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0) {
            (void)unlinkat(dirfd(directory), file->d_name, 0);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    (void)rmdir(path);
}

_Noreturn void nkvi_keeper_run(const nkvi_server *server, int fd)
{
    pid_t keeper = getpid();
    sigset_t open_mask;
    struct pollfd pair = {.fd = detach(fd), .events = POLLIN};

    take_signals();
    pid_t child = fork();
    if (child == 0) {
        become_server(server, keeper);
    }
    if (child < 0) {
        (void)send(pair.fd, "", 1, MSG_NOSIGNAL);
    }
    sigfillset(&open_mask);
    sigdelset(&open_mask, SIGTERM);
    sigdelset(&open_mask, SIGCHLD);
    /* The command never writes: when the pair can be read, it has been closed. */
    while (!told_to_end && ppoll(&pair, 1, NULL, &open_mask) <= 0) {
        if (child > 0 && waitpid(child, NULL, WNOHANG) == child) {
            child = -1;
            (void)send(pair.fd, "", 1, MSG_NOSIGNAL);
        }
    }
    if (child > 0) {
        /* It has nothing to save, and would take a while to notice a SIGTERM. */
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
    remove_directory(server->directory);
    _exit(0);
}
