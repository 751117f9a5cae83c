/* support/fake.c - the played server's thread: accepts, reads, sends, closes.
 *
 * The same scheme as the proxy's: everything is done under one lock, which is given back while the
 * thread waits in poll; descriptors are made and closed by the thread alone.
 *
 * Invariants   done <= asked; a connection with fd >= 0 was opened and is not closed
 * Callers      fake_api.c starts and stops it                                                    */

#include "support/fake.h"
#include "support/check.h"
#include "support/fake_impl.h"
#include "support/net.h"
#include "support/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Connections ----------------------------------------------------------------------------- */

/* Takes a new connection over. @locks mu held */
static void open_conn(t_fake *fake, int fd)
{
    if (fake->accepted == T_FAKE_CONNS) {
        (void)close(fd);
        return;
    }
    t_net_set_nonblocking(fd);
    t_fake_conn *conn = &fake->conns[++fake->accepted];
    conn->fd = fd;
    conn->opened = true;
    if (conn->steps == NULL && fake->steps_of_new != NULL) {
        t_fake_conn_script(conn, fake->steps_of_new, fake->step_count_of_new);
    }
}

static void close_conn(t_fake_conn *conn)
{
    if (conn->close_now) {
        const struct linger at_once = {.l_onoff = 1};
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    } else {
        (void)shutdown(conn->fd, SHUT_WR); /* else unread input would make it a reset */
    }
    (void)close(conn->fd);
    conn->fd = -1;
}

/* Reads what there is. False when the other end has closed. */
static bool read_conn(t_fake *fake, t_fake_conn *conn, bool *changed)
{
    char bytes[16384];
    while (!conn->close_now && !conn->close_when_sent) {
        const ssize_t got = recv(conn->fd, bytes, sizeof bytes, 0);
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        *changed = true;
        t_fake_conn_input(fake, conn, bytes, (size_t)got);
    }
    return true;
}

/* Sends what is there, as far as it goes. False when the other end is gone. */
static bool write_conn(t_fake_conn *conn)
{
    size_t sent = 0;
    bool alive = true;
    while (sent < conn->out.len && alive) {
        const ssize_t put = send(conn->fd, conn->out.bytes + sent, conn->out.len - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0) {
            alive = errno == EAGAIN || errno == EINTR;
            break;
        }
        sent += (size_t)put;
    }
    conn->out.len -= sent;
    if (sent > 0) {
        memmove(conn->out.bytes, conn->out.bytes + sent, conn->out.len);
    }
    return alive;
}

/* True if anything has changed. */
static bool look_at_conn(t_fake *fake, t_fake_conn *conn)
{
    bool changed = false;
    const bool more = read_conn(fake, conn, &changed);
    changed = t_fake_conn_play(fake, conn) || changed;
    const bool alive = conn->close_now || write_conn(conn);
    const bool said_all = conn->close_when_sent && conn->out.len == 0;
    if (!more || !alive || conn->close_now || said_all) {
        close_conn(conn);
        changed = true;
    }
    return changed;
}

static bool accept_all(t_fake *fake)
{
    bool changed = false;
    if (fake->refuse != (fake->listener < 0)) {
        if (fake->refuse) {
            (void)close(fake->listener);
            fake->listener = -1;
        } else {
            fake->listener = t_net_listen((t_addr){.path = fake->path, .port = fake->port});
            t_net_set_nonblocking(fake->listener);
        }
    }
    while (fake->listener >= 0) {
        const int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            break;
        }
        open_conn(fake, fd);
        changed = true;
    }
    return changed;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static size_t fill_polls(const t_fake *fake, struct pollfd *fds)
{
    size_t count = 0;
    fds[count++] = (struct pollfd){.fd = fake->wake, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = fake->listener, .events = POLLIN}; /* < 0: left out */
    for (int i = 1; i <= fake->accepted; i++) {
        const t_fake_conn *conn = &fake->conns[i];
        const int in = conn->close_when_sent ? 0 : POLLIN;
        const int out = conn->out.len > 0 ? POLLOUT : 0;
        fds[count++] = (struct pollfd){.fd = conn->fd, .events = (short)(in | out)};
    }
    return count;
}

static void *play(void *ud)
{
    t_fake *fake = ud;
    struct pollfd fds[T_FAKE_CONNS + 2];
    (void)pthread_mutex_lock(&fake->mu);
    while (!fake->stop) {
        const uint64_t asked = fake->asked;
        bool changed = accept_all(fake);
        for (int i = 1; i <= fake->accepted; i++) {
            if (fake->conns[i].fd >= 0) {
                changed = look_at_conn(fake, &fake->conns[i]) || changed;
            }
        }
        if (changed || fake->done != asked) {
            fake->done = asked;
            (void)pthread_cond_broadcast(&fake->changed);
        }
        const size_t count = fill_polls(fake, fds);
        (void)pthread_mutex_unlock(&fake->mu);
        (void)poll(fds, (nfds_t)count, -1);
        uint64_t number;
        (void)!read(fake->wake, &number, sizeof number);
        (void)pthread_mutex_lock(&fake->mu);
    }
    for (int i = 1; i <= fake->accepted; i++) {
        if (fake->conns[i].fd >= 0) {
            close_conn(&fake->conns[i]);
        }
    }
    if (fake->listener >= 0) {
        (void)close(fake->listener);
    }
    (void)pthread_mutex_unlock(&fake->mu);
    return NULL;
}

void t_fake_wake(t_fake *fake)
{
    const uint64_t one = 1;
    (void)!write(fake->wake, &one, sizeof one);
}

/* ---- Start and stop -------------------------------------------------------------------------- */

t_fake *t_fake_start(const t_fake_options *options)
{
    t_fake *fake = calloc(1, sizeof *fake);
    T_REQUIRE(fake != NULL);
    if (options != NULL) {
        fake->options = *options;
    }
    for (int i = 0; i <= T_FAKE_CONNS; i++) {
        fake->conns[i] = (t_fake_conn){.number = i, .fd = -1};
    }
    t_temp_dir(fake->dir);
    if (fake->options.tcp) {
        fake->listener = t_net_listen_free(&fake->port);
        fake->url = t_format("redis://127.0.0.1:%d", fake->port);
    } else {
        fake->path = t_format("%s/fake", fake->dir);
        fake->listener = t_net_listen((t_addr){.path = fake->path});
        fake->url = t_format("unix://%s", fake->path);
    }
    t_net_set_nonblocking(fake->listener);
    fake->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    T_REQUIRE(fake->wake >= 0);
    t_cond_init(&fake->changed);
    (void)pthread_mutex_init(&fake->mu, NULL);
    t_thread_start(&fake->thread, play, fake);
    return fake;
}

int t_fake_pair(t_fake *fake)
{
    int ends[2];
    T_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    (void)pthread_mutex_lock(&fake->mu);
    open_conn(fake, ends[0]);
    t_fake_wake(fake);
    (void)pthread_mutex_unlock(&fake->mu);
    return ends[1];
}

static void free_all(t_fake *fake)
{
    for (int i = 1; i <= T_FAKE_CONNS; i++) {
        t_resp_free(&fake->conns[i].in);
        t_resp_free(&fake->conns[i].out);
        free(fake->conns[i].released);
    }
    for (size_t i = 0; i < fake->rule_count; i++) {
        for (size_t k = 0; fake->rules[i].words[k] != NULL; k++) {
            free(fake->rules[i].words[k]);
        }
        free(fake->rules[i].reply);
    }
    for (size_t i = 0; i < fake->record_count; i++) {
        free(fake->records[i]);
    }
    free(fake->records);
    free(fake->error);
    free(fake->path);
    free(fake->url);
    free(fake);
}

void t_fake_stop(t_fake *fake)
{
    if (fake == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&fake->mu);
    fake->stop = true;
    t_fake_wake(fake);
    (void)pthread_mutex_unlock(&fake->mu);
    (void)pthread_join(fake->thread, NULL);
    (void)close(fake->wake);
    (void)pthread_cond_destroy(&fake->changed);
    (void)pthread_mutex_destroy(&fake->mu);
    t_remove_dir(fake->dir);
    free_all(fake);
}
