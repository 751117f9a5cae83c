/* bench/cluster_fake.c - the process of a cluster that is none; see cluster_fake.h.
 *
 *      caller  --order-->  loop: epoll over the orders, a listener for each node, all connections
 *              <-counts--
 *
 * SLOTS and SHARDS are made once for each map.  What a socket does not take at once is kept. */
#include "bench/cluster_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "bench/bench.h"
#include "conn/hash_slot.h"
#include "support/check.h"
#include "support/net.h"

enum { SLOTS = 16384, BACKLOG = 64, EVENTS = 256, WORDS_MAX = 16, READ_BYTES = 16384 };

typedef enum act { GIVE, TAKE_OVER, KILL, COUNT } act;

typedef struct demand {
    act act;
    unsigned from, to; /* GIVE: the slot, and the node */
} demand;

struct b_fake {
    unsigned primaries;
    pid_t pid;
    int orders; /* one end of a pair of sockets */
    char url[160];
};

/* ---- The other process ----------------------------------------------------------------------- */

typedef enum source_kind { ORDERS, LISTENER, CONN } source_kind;

/* What epoll tells of. */
typedef struct origin {
    source_kind kind;
    int fd; /* -1: closed */
    unsigned node;
} origin;

typedef struct customer {
    origin source;  /* first */
    nkvi_node link; /* of open connections, or of those that have ended */
    nkvi_buf in, out;
    size_t sent;
    bool writing; /* waits for room */
} customer;

typedef struct process {
    b_fake_map map;
    unsigned nodes;
    int poll;
    origin orders;
    origin *listeners;
    nkvi_list open, ended;
    nkvi_buf slots, shards; /* of this map; empty: not made yet */
    b_fake_counts counts;
} process;

typedef struct sentence {
    size_t n;
    nkv_str list[WORDS_MAX];
} sentence;

static void watch(const process *self, origin *source, uint32_t events, int verb)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(self->poll, verb, source->fd, &event) != 0) {
        T_DIE("epoll: %s", strerror(errno));
    }
}

/* Events of this round may still speak of it. */
static void end_conn(process *self, customer *conn, bool reset)
{
    if (conn->source.fd < 0) {
        return;
    }
    if (reset) {
        const struct linger now = {.l_onoff = 1};
        (void)setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)close(conn->source.fd);
    conn->source.fd = -1;
    self->counts.open--;
    nkvi_list_remove(&conn->link);
    nkvi_list_push(&self->ended, &conn->link);
}

static void bury(process *self)
{
    for (nkvi_node *node; (node = nkvi_list_pop(&self->ended)) != NULL;) {
        customer *dead = NKVI_CONTAINER(node, customer, link);
        nkvi_buf_clear(&dead->in);
        nkvi_buf_clear(&dead->out);
        free(dead);
    }
}

/* ---- What is answered ------------------------------------------------------------------------ */

static bool is(nkv_str word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

static void answer_map(process *self, bool shards, nkvi_buf *out)
{
    nkvi_buf *map = shards ? &self->shards : &self->slots;
    if (map->len == 0) {
        (shards ? b_fake_say_shards : b_fake_say_slots)(&self->map, map);
    }
    self->counts.maps++;
    nkvi_buf_append(out, map->data, map->len);
}

static void answer_cluster(process *self, unsigned node, nkv_str what, nkvi_buf *out)
{
    if (is(what, "MYID")) {
        b_fake_say_id(node, out);
    } else if (is(what, "INFO")) {
        b_fake_say_info(&self->map, node, out);
    } else if (is(what, "SLOTS") || is(what, "SHARDS")) {
        answer_map(self, is(what, "SHARDS"), out);
    } else {
        nkvi_buf_text(out, "-ERR unknown subcommand\r\n");
    }
}

static void answer_client(nkv_str what, nkvi_buf *out)
{
    if (is(what, "TRACKINGINFO")) {
        nkvi_buf_text(out, "%3\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$8\r\nredirect\r\n:-1\r\n"
                           "$8\r\nprefixes\r\n*0\r\n");
    } else if (is(what, "ID")) {
        nkvi_buf_text(out, ":1\r\n");
    } else {
        nkvi_buf_text(out, "+OK\r\n");
    }
}

/* A command on a key; false: it is none that is known. */
static bool answer_key(const process *self, unsigned node, const sentence *words, nkvi_buf *out)
{
    static const struct {
        const char *name, *answer;
    } known[] = {{"GET", NULL}, {"SET", "+OK\r\n"}, {"PTTL", ":-1\r\n"}, {"EXISTS", ":1\r\n"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (words->n < 2 || !is(words->list[0], known[i].name)) {
            continue;
        }
        unsigned slot = nkvi_hash_slot(words->list[1]);
        unsigned holder = self->map.holders[slot];
        if (holder != node) {
            nkvi_buf_printf(out, "-MOVED %u %s:%d\r\n", slot, self->map.host,
                            self->map.ports[holder]);
        } else if (known[i].answer != NULL) {
            nkvi_buf_text(out, known[i].answer);
        } else {
            nkvi_buf_printf(out, "$4\r\n%04u\r\n", node);
        }
        return true;
    }
    return false;
}

static void answer(process *self, unsigned node, const sentence *words, nkvi_buf *out)
{
    nkv_str verb = words->list[0], what = words->n > 1 ? words->list[1] : nkv_cstr("");
    self->counts.commands++;
    if (answer_key(self, node, words, out)) {
        return;
    }
    if (is(verb, "PING")) {
        nkvi_buf_text(out, "+PONG\r\n");
    } else if (is(verb, "CLUSTER")) {
        answer_cluster(self, node, what, out);
    } else if (is(verb, "CLIENT")) {
        answer_client(what, out);
    } else if (is(verb, "HELLO")) {
        nkvi_buf_text(out, "%4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n"
                           "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n");
    } else if (is(verb, "AUTH") || is(verb, "SELECT") || is(verb, "READONLY")) {
        nkvi_buf_text(out, "+OK\r\n");
    } else {
        nkvi_buf_text(out, "-ERR unknown command\r\n");
    }
}

/* ---- What is read ---------------------------------------------------------------------------- */

/* A number behind `sign` and its line break; returns the bytes of the line, 0: not all there. */
static size_t take_number(const char *at, size_t len, char sign, size_t *number)
{
    const char *end = memchr(at, '\n', len);
    if (end == NULL) {
        return 0;
    }
    if (*at != sign) {
        T_DIE("bench: a client that speaks no RESP: %.*s", (int)(end - at), at);
    }
    *number = strtoul(at + 1, NULL, 10);
    return (size_t)(end - at) + 1;
}

/* A command; returns its bytes, 0: not all there. */
static size_t take_words(const char *data, size_t len, sentence *words)
{
    size_t at = len > 0 ? take_number(data, len, '*', &words->n) : 0;
    T_REQUIRE(at == 0 || (words->n > 0 && words->n <= WORDS_MAX));
    for (size_t i = 0; at > 0 && i < words->n; i++) {
        size_t size = 0;
        size_t line = at < len ? take_number(data + at, len - at, '$', &size) : 0;
        if (line == 0 || len - at - line < size + 2) {
            return 0;
        }
        words->list[i] = nkv_str_make(data + at + line, size);
        at += line + size + 2;
    }
    return at;
}

static void send_out(process *self, customer *conn)
{
    while (conn->sent < conn->out.len) {
        ssize_t n = send(conn->source.fd, conn->out.data + conn->sent, conn->out.len - conn->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            end_conn(self, conn, false);
            return;
        }
        if (n < 0) {
            break;
        }
        conn->sent += (size_t)n;
        self->counts.bytes += (uint64_t)n;
    }
    bool full = conn->sent < conn->out.len;
    if (!full) {
        nkvi_buf_clear(&conn->out);
        conn->sent = 0;
    }
    if (full != conn->writing) {
        conn->writing = full;
        watch(self, &conn->source, full ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
}

static void read_in(process *self, customer *conn)
{
    sentence words;
    if (!nkvi_buf_reserve(&conn->in, READ_BYTES)) {
        T_DIE("bench: no memory");
    }
    ssize_t n = recv(conn->source.fd, conn->in.data + conn->in.len, READ_BYTES, 0);
    if (n <= 0) {
        end_conn(self, conn, false);
        return;
    }
    conn->in.len += (size_t)n;
    size_t at = 0, taken;
    while ((taken = take_words(conn->in.data + at, conn->in.len - at, &words)) > 0) {
        answer(self, conn->source.node, &words, &conn->out);
        at += taken;
    }
    memmove(conn->in.data, conn->in.data + at, conn->in.len - at);
    conn->in.len -= at;
    if (conn->in.len == 0) {
        nkvi_buf_clear(&conn->in);
    }
    send_out(self, conn);
}

static void on_conn(process *self, customer *conn, uint32_t events)
{
    if (conn->source.fd >= 0 && (events & EPOLLOUT) != 0) {
        send_out(self, conn);
    }
    if (conn->source.fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0) {
        read_in(self, conn);
    }
}

static void on_listener(process *self, const origin *listener)
{
    int fd = listener->fd >= 0 ? accept(listener->fd, NULL, NULL) : -1;
    if (fd < 0) {
        return;
    }
    customer *new = calloc(1, sizeof *new);
    T_REQUIRE(new != NULL);
    const int on = 1;
    t_net_set_nonblocking(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    new->source = (origin){.kind = CONN, .fd = fd, .node = listener->node};
    nkvi_buf_init(&new->in);
    nkvi_buf_init(&new->out);
    nkvi_list_push(&self->open, &new->link);
    self->counts.accepted++;
    self->counts.open++;
    watch(self, &new->source, EPOLLIN, EPOLL_CTL_ADD);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

static void give(process *self, unsigned slot, unsigned to)
{
    self->map.holders[slot] = (uint16_t)to;
    nkvi_buf_clear(&self->slots);
    nkvi_buf_clear(&self->shards);
}

static void kill_node(process *self, unsigned node)
{
    (void)close(self->listeners[node].fd);
    self->listeners[node].fd = -1;
    nkvi_node *next;
    for (nkvi_node *at = self->open.head.next; at != &self->open.head; at = next) {
        customer *one = NKVI_CONTAINER(at, customer, link);
        next = at->next;
        if (one->source.node == node) {
            end_conn(self, one, true);
        }
    }
}

static void on_order(process *self)
{
    demand order;
    ssize_t n = recv(self->orders.fd, &order, sizeof order, 0);
    if (n == 0) {
        _exit(0);
    }
    T_REQUIRE(n == sizeof order);
    switch (order.act) {
    case GIVE:
        give(self, order.from, order.to);
        break;
    case TAKE_OVER:
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (self->map.holders[slot] == order.from) {
                give(self, slot, order.to);
            }
        }
        break;
    case KILL:
        kill_node(self, order.from);
        break;
    case COUNT:
        break;
    }
    if (order.act == GIVE || order.act == TAKE_OVER) {
        self->map.epochs[order.to] = ++self->map.epoch;
    }
    self->counts.cpu_ns = b_thread_ns();
    T_REQUIRE(send(self->orders.fd, &self->counts, sizeof self->counts, MSG_NOSIGNAL) ==
              sizeof self->counts);
}

_Noreturn static void run(process *self)
{
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(self->poll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            origin *source = events[i].data.ptr;
            if (source->kind == ORDERS) {
                on_order(self);
            } else if (source->kind == LISTENER) {
                on_listener(self, source);
            } else {
                on_conn(self, (customer *)(void *)source, events[i].events);
            }
        }
        bury(self);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static unsigned dealt(unsigned primaries, unsigned slot)
{
    return slot * primaries / SLOTS;
}

/* A port that was free, on an address of this process. */
static int listen_at(const char *host, int *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t len = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    T_REQUIRE(fd >= 0 && inet_pton(AF_INET, host, &name.sin_addr) == 1);
    if (bind(fd, (struct sockaddr *)&name, len) != 0 || listen(fd, BACKLOG) != 0) {
        T_DIE("cannot listen on %s: %s", host, strerror(errno));
    }
    T_REQUIRE(getsockname(fd, (struct sockaddr *)&name, &len) == 0);
    *port = ntohs(name.sin_port);
    return fd;
}

/* The ports are there before anybody is told of them. */
static process *make(unsigned primaries, bool replicas)
{
    process *self = calloc(1, sizeof *self);
    T_REQUIRE(self != NULL);
    self->nodes = primaries * (replicas ? 2 : 1);
    self->map.primaries = primaries;
    self->map.replicas = replicas;
    (void)snprintf(self->map.host, sizeof self->map.host, "127.%u.%u.%u",
                   1 + (unsigned)getpid() / 65536 % 254, (unsigned)getpid() / 256 % 256,
                   1 + (unsigned)getpid() % 254);
    self->map.ports = calloc(self->nodes, sizeof *self->map.ports);
    self->map.epochs = calloc(primaries, sizeof *self->map.epochs);
    self->listeners = calloc(self->nodes, sizeof *self->listeners);
    T_REQUIRE(self->map.ports != NULL && self->map.epochs != NULL && self->listeners != NULL);
    for (unsigned i = 0; i < self->nodes; i++) {
        int fd = listen_at(self->map.host, &self->map.ports[i]);
        self->listeners[i] = (origin){.kind = LISTENER, .fd = fd, .node = i};
    }
    for (unsigned i = 0; i < primaries; i++) {
        self->map.epochs[i] = ++self->map.epoch;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        self->map.holders[slot] = (uint16_t)dealt(primaries, slot);
    }
    nkvi_list_init(&self->open);
    nkvi_list_init(&self->ended);
    nkvi_buf_init(&self->slots);
    nkvi_buf_init(&self->shards);
    return self;
}

_Noreturn static void become(process *self, int orders)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    self->orders = (origin){.kind = ORDERS, .fd = orders};
    self->poll = epoll_create1(EPOLL_CLOEXEC);
    T_REQUIRE(self->poll >= 0);
    watch(self, &self->orders, EPOLLIN, EPOLL_CTL_ADD);
    for (unsigned i = 0; i < self->nodes; i++) {
        watch(self, &self->listeners[i], EPOLLIN, EPOLL_CTL_ADD);
    }
    run(self);
}

b_fake *b_fake_start(unsigned primaries, bool replicas)
{
    int ends[2];
    b_fake *handle = calloc(1, sizeof *handle);
    T_REQUIRE(handle != NULL && primaries >= 3 && primaries <= 4000);
    T_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    process *other = make(primaries, replicas);
    handle->primaries = primaries;
    const char *host = other->map.host;
    const int *ports = other->map.ports;
    (void)snprintf(handle->url, sizeof handle->url, "redis-cluster://%s:%d,%s:%d,%s:%d", host,
                   ports[0], host, ports[1], host, ports[2]);
    (void)fflush(NULL);
    handle->pid = fork();
    T_REQUIRE(handle->pid >= 0);
    if (handle->pid == 0) {
        (void)close(ends[0]);
        become(other, ends[1]);
    }
    (void)close(ends[1]);
    handle->orders = ends[0];
    for (unsigned i = 0; i < other->nodes; i++) {
        (void)close(other->listeners[i].fd);
    }
    free(other->listeners);
    free(other->map.ports);
    free(other->map.epochs);
    free(other);
    return handle;
}

void b_fake_stop(b_fake *fake)
{
    (void)close(fake->orders);
    (void)waitpid(fake->pid, NULL, 0);
    free(fake);
}

const char *b_fake_url(const b_fake *fake)
{
    return fake->url;
}

unsigned b_fake_dealt(const b_fake *fake, unsigned slot)
{
    return dealt(fake->primaries, slot);
}

static b_fake_counts say(b_fake *fake, demand order)
{
    b_fake_counts counts;
    T_REQUIRE(send(fake->orders, &order, sizeof order, MSG_NOSIGNAL) == sizeof order);
    T_REQUIRE(recv(fake->orders, &counts, sizeof counts, 0) == sizeof counts);
    return counts;
}

void b_fake_give(b_fake *fake, unsigned slot, unsigned to)
{
    (void)say(fake, (demand){.act = GIVE, .from = slot, .to = to});
}

void b_fake_take_over(b_fake *fake, unsigned from, unsigned to)
{
    (void)say(fake, (demand){.act = TAKE_OVER, .from = from, .to = to});
}

void b_fake_kill(b_fake *fake, unsigned node)
{
    (void)say(fake, (demand){.act = KILL, .from = node});
}

void b_fake_count(b_fake *fake, b_fake_counts *counts)
{
    *counts = say(fake, (demand){.act = COUNT});
}
