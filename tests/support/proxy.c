/* support/proxy.c - the proxy's thread: accepts, forwards, closes.
 *
 *      lock;  accept what is there, look at every connection, tell the waiting
 *      unlock; poll: the listener, what the pipes want, the test's wake-up, the next due time
 *
 * A test changes rules under the lock, wakes the thread, and waits until `done` has caught up with
 * `asked` (proxy_api.c). Descriptors are made and closed by the thread alone, so none is closed
 * while somebody polls it.
 *
 * Invariants   open == number of connections in state T_CONN_OPEN; done <= asked
 *              a connection is closed when both its pipes are finished, or cut
 * Callers      live tests                                                                        */

#include "support/proxy.h"

#include "support/check.h"
#include "support/proxy_impl.h"
#include "support/thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- Connections ----------------------------------------------------------------------------- */

t_proxy_conn *t_proxy_conn_at(t_proxy *proxy, int number)
{
    T_REQUIRE(number >= 1 && number <= T_PROXY_CONNS);
    if (proxy->conns[number] == NULL) {
        t_proxy_conn *conn = calloc(1, sizeof *conn);
        T_REQUIRE(conn != NULL);
        conn->client = -1;
        conn->server = -1;
        for (int dir = 0; dir < 2; dir++) {
            conn->pipes[dir].from = -1;
            conn->pipes[dir].to = -1;
            conn->pipes[dir].rules = proxy->fresh[dir];
        }
        proxy->conns[number] = conn;
    }
    return proxy->conns[number];
}

static void close_socket(int fd, t_cut how)
{
    if (how == T_RST) {
        const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    } else {
        (void)shutdown(fd,
                       SHUT_WR); /* first of all, so that unread input does not make it a reset */
    }
    (void)close(fd);
}

static void close_conn(t_proxy *proxy, t_proxy_conn *conn, t_cut how)
{
    close_socket(conn->client, how);
    close_socket(conn->server, how);
    t_pipe_close(&conn->pipes[T_TO_SERVER]);
    t_pipe_close(&conn->pipes[T_TO_CLIENT]);
    conn->state = T_CONN_CLOSED;
    proxy->open--;
}

static void open_conn(t_proxy *proxy, int client)
{
    const t_addr target = {.path = proxy->target_path, .port = proxy->target_port};
    if (proxy->accepted == T_PROXY_CONNS || proxy->accept == T_ACCEPT_CLOSE) {
        (void)close(client);
        return;
    }
    t_proxy_conn *conn = t_proxy_conn_at(proxy, ++proxy->accepted);
    const int server = t_net_connect_begin(target);
    if (server < 0) {
        conn->state = T_CONN_CLOSED;
        (void)close(client);
        return;
    }
    conn->state = T_CONN_OPEN;
    conn->client = client;
    conn->server = server;
    proxy->open++;
    t_pipe_open(&conn->pipes[T_TO_SERVER], client, server);
    t_pipe_open(&conn->pipes[T_TO_CLIENT], server, client);
}

/* ---- The listener ---------------------------------------------------------------------------- */

static void open_listener(t_proxy *proxy)
{
    proxy->listener = t_net_listen((t_addr){.path = proxy->path, .port = proxy->port});
    t_net_set_nonblocking(proxy->listener);
}

/* Brings the listener to the state that is asked for and takes what waits there. True if anything
 * has changed.                                                                                   */
static bool accept_all(t_proxy *proxy)
{
    if (proxy->accept == T_ACCEPT_REFUSE) {
        if (proxy->listener >= 0) {
            (void)close(proxy->listener);
            proxy->listener = -1;
        }
        return false;
    }
    if (proxy->listener < 0) {
        open_listener(proxy);
    }
    bool changed = false;
    while (proxy->accept != T_ACCEPT_NOTHING) {
        const int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) {
            break;
        }
        open_conn(proxy, client);
        changed = true;
    }
    return changed;
}

/* ---- Triggers -------------------------------------------------------------------------------- */

static void release(t_proxy *proxy, int number, t_dir dir)
{
    const int first = number == T_EVERY ? 1 : number;
    const int last = number == T_EVERY ? proxy->accepted : number;
    for (int i = first; i <= last; i++) {
        t_proxy_conn *conn = t_proxy_conn_at(proxy, i);
        for (int d = 0; d < 2; d++) {
            if (dir == T_BOTH_WAYS || (int)dir == d) {
                conn->pipes[d].rules.hold = false;
            }
        }
    }
}

/* Does what a trigger is for. `pipe` is the one that it is on. */
static void act(t_proxy *proxy, t_proxy_conn *conn, t_pipe *pipe, const t_armed *fired)
{
    const t_trigger *trigger = &fired->trigger;
    proxy->fired[fired->id]++;
    switch (trigger->what) {
    case T_DO_NOTHING:
        break;
    case T_DO_HOLD:
        pipe->rules.hold = true;
        break;
    case T_DO_CUT:
        conn->cut_asked = true;
        conn->cut = trigger->cut;
        break;
    case T_DO_RELEASE:
        release(proxy, trigger->other_conn, trigger->other_dir);
        break;
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

typedef struct look {
    bool moved;
    bool again;      /* a trigger has changed another connection                                  */
    int64_t wake_ns; /* look again then                                                           */
} look;

/* Reads and writes one direction until nothing more can be done now. */
static void look_at_pipe(t_proxy *proxy, t_proxy_conn *conn, t_pipe *pipe, look *l)
{
    while (!conn->cut_asked) {
        t_pipe_news news = {.wake_ns = l->wake_ns};
        const int64_t now_ns = t_now_ns();
        t_pipe_read(pipe, now_ns, &news);
        t_pipe_write(pipe, now_ns, &news);
        l->moved = l->moved || news.moved;
        l->wake_ns = news.wake_ns;
        if (news.reset) {
            conn->cut_asked = true;
            conn->cut = T_RST;
        }
        if (news.fired == NULL) {
            return;
        }
        act(proxy, conn, pipe, news.fired);
        l->moved = true;
        l->again = l->again || news.fired->trigger.what == T_DO_RELEASE;
    }
}

static void look_at_conn(t_proxy *proxy, t_proxy_conn *conn, look *l)
{
    if (conn->state != T_CONN_OPEN) {
        return;
    }
    for (int dir = 0; dir < 2 && !conn->cut_asked; dir++) {
        look_at_pipe(proxy, conn, &conn->pipes[dir], l);
    }
    const bool finished = conn->pipes[0].finished && conn->pipes[1].finished;
    if (conn->cut_asked || finished) {
        close_conn(proxy, conn, conn->cut_asked ? conn->cut : T_FIN);
        l->moved = true;
    }
}

static look look_at_all(t_proxy *proxy)
{
    look l = {.wake_ns = INT64_MAX};
    l.moved = accept_all(proxy);
    for (int i = 1; i <= proxy->accepted; i++) {
        look_at_conn(proxy, proxy->conns[i], &l);
    }
    return l;
}

/* Adds a socket to the list if either of its pipes waits for it. */
static size_t add_poll(struct pollfd *fds, size_t count, int fd, const t_pipe *in,
                       const t_pipe *out)
{
    const int events = (t_pipe_wants_in(in) ? POLLIN : 0) | (t_pipe_wants_out(out) ? POLLOUT : 0);
    if (events != 0) {
        fds[count++] = (struct pollfd){.fd = fd, .events = (short)events};
    }
    return count;
}

/* Everything that the thread waits for. */
static size_t fill_polls(const t_proxy *proxy, struct pollfd *fds)
{
    size_t count = 0;
    fds[count++] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
    if (proxy->listener >= 0 && proxy->accept != T_ACCEPT_NOTHING) {
        fds[count++] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    }
    for (int i = 1; i <= proxy->accepted; i++) {
        const t_proxy_conn *conn = proxy->conns[i];
        if (conn->state == T_CONN_OPEN) {
            const t_pipe *up = &conn->pipes[T_TO_SERVER];
            const t_pipe *down = &conn->pipes[T_TO_CLIENT];
            count = add_poll(fds, count, conn->client, up, down);
            count = add_poll(fds, count, conn->server, down, up);
        }
    }
    return count;
}

static void wait_for_events(struct pollfd *fds, size_t count, const look *l, int wake)
{
    const int64_t left_ns = l->again ? 0 : l->wake_ns - t_now_ns();
    const struct timespec wait = {.tv_sec = (time_t)(left_ns > 0 ? left_ns / 1000000000 : 0),
                                  .tv_nsec = left_ns > 0 ? left_ns % 1000000000 : 0};
    const bool forever = !l->again && l->wake_ns == INT64_MAX;
    (void)ppoll(fds, (nfds_t)count, forever ? NULL : &wait, NULL);
    uint64_t number;
    (void)!read(wake, &number, sizeof number);
}

static void *forward(void *ud)
{
    t_proxy *proxy = ud;
    struct pollfd *fds = calloc(2 + 2 * (size_t)T_PROXY_CONNS, sizeof *fds);
    T_REQUIRE(fds != NULL);
    (void)pthread_mutex_lock(&proxy->mu);
    while (!proxy->stop) {
        const uint64_t asked = proxy->asked;
        const look l = look_at_all(proxy);
        if (l.moved || proxy->done != asked) {
            proxy->done = asked;
            (void)pthread_cond_broadcast(&proxy->changed);
        }
        const size_t count = fill_polls(proxy, fds);
        (void)pthread_mutex_unlock(&proxy->mu);
        wait_for_events(fds, count, &l, proxy->wake);
        (void)pthread_mutex_lock(&proxy->mu);
    }
    for (int i = 1; i <= proxy->accepted; i++) {
        if (proxy->conns[i]->state == T_CONN_OPEN) {
            close_conn(proxy, proxy->conns[i], T_FIN);
        }
    }
    if (proxy->listener >= 0) {
        (void)close(proxy->listener);
    }
    (void)pthread_mutex_unlock(&proxy->mu);
    free(fds);
    return NULL;
}

void t_proxy_wake(t_proxy *proxy)
{
    const uint64_t one = 1;
    (void)!write(proxy->wake, &one, sizeof one);
}

/* ---- Start and stop -------------------------------------------------------------------------- */

t_proxy *t_proxy_start(t_addr target, bool tcp)
{
    t_proxy *proxy = calloc(1, sizeof *proxy);
    T_REQUIRE(proxy != NULL);
    t_temp_dir(proxy->dir);
    proxy->target_path = target.path == NULL ? NULL : t_format("%s", target.path);
    proxy->target_port = target.port;
    if (tcp) {
        proxy->listener = t_net_listen_free(&proxy->port);
        t_net_set_nonblocking(proxy->listener);
        proxy->url = t_format("redis://127.0.0.1:%d", proxy->port);
    } else {
        proxy->path = t_format("%s/proxy", proxy->dir);
        proxy->url = t_format("unix://%s", proxy->path);
        open_listener(proxy);
    }
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    T_REQUIRE(proxy->wake >= 0);
    t_cond_init(&proxy->changed);
    (void)pthread_mutex_init(&proxy->mu, NULL);
    t_thread_start(&proxy->thread, forward, proxy);
    return proxy;
}

void t_proxy_stop(t_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->mu);
    proxy->stop = true;
    t_proxy_wake(proxy);
    (void)pthread_mutex_unlock(&proxy->mu);
    (void)pthread_join(proxy->thread, NULL);
    (void)close(proxy->wake);
    for (int i = 1; i <= T_PROXY_CONNS; i++) {
        if (proxy->conns[i] != NULL) {
            free(proxy->conns[i]->pipes[0].inject);
            free(proxy->conns[i]->pipes[1].inject);
            free(proxy->conns[i]);
        }
    }
    for (int i = 0; i < proxy->trigger_count; i++) {
        free(proxy->patterns[i]);
    }
    (void)pthread_cond_destroy(&proxy->changed);
    (void)pthread_mutex_destroy(&proxy->mu);
    free(proxy->target_path);
    free(proxy->path);
    free(proxy->url);
    t_remove_dir(proxy->dir);
    free(proxy);
}
