/* support/net.c - sockets of the test kit.
 *
 * Callers      server.c, proxy.c, fake.c                                                         */

#include "support/net.h"

#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT_MIN = 11000, PORT_COUNT = 11000, BACKLOG = 512 };

typedef struct socket_name {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
    } u;
    socklen_t len;
} socket_name;

static socket_name make_name(t_addr addr)
{
    socket_name name = {.len = 0};
    if (addr.path == NULL) {
        name.u.in = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)addr.port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        name.len = sizeof name.u.in;
        return name;
    }
    const size_t len = strlen(addr.path);
    if (len >= sizeof name.u.un.sun_path) {
        T_DIE("%s is too long for a unix socket", addr.path);
    }
    name.u.un.sun_family = AF_UNIX;
    memcpy(name.u.un.sun_path, addr.path, len + 1);
    name.len = sizeof name.u.un;
    return name;
}

static int make_socket(t_addr addr, int flags)
{
    const int family = addr.path == NULL ? AF_INET : AF_UNIX;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) {
        T_DIE("socket: %s", strerror(errno));
    }
    if (addr.path == NULL) {
        const int on = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

int t_net_listen(t_addr addr)
{
    const int fd = make_socket(addr, 0);
    const socket_name name = make_name(addr);
    if (addr.path != NULL) {
        (void)unlink(addr.path);
    }
    if (bind(fd, &name.u.any, name.len) != 0 || listen(fd, BACKLOG) != 0) {
        T_DIE("cannot listen on %s, port %d: %s", addr.path == NULL ? "127.0.0.1" : addr.path,
              addr.port, strerror(errno));
    }
    return fd;
}

static int connect_with(t_addr addr, int flags)
{
    const int fd = make_socket(addr, flags);
    const socket_name name = make_name(addr);
    int rc;
    do {
        rc = connect(fd, &name.u.any, name.len);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EINPROGRESS) {
        const int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

int t_net_connect(t_addr addr)
{
    return connect_with(addr, 0);
}

int t_net_connect_begin(t_addr addr)
{
    return connect_with(addr, SOCK_NONBLOCK);
}

/* Binds a socket to a port that was free. */
static int bind_free(int *port)
{
    t_rng rng;
    t_rng_init(&rng, (uint64_t)t_now_ns() ^ ((uint64_t)getpid() << 32));
    for (int i = 0; i < 1000; i++) {
        *port = PORT_MIN + (int)t_rng_below(&rng, PORT_COUNT);
        const t_addr addr = {.port = *port};
        const int fd = make_socket(addr, 0);
        const socket_name name = make_name(addr);
        if (bind(fd, &name.u.any, name.len) == 0) {
            return fd;
        }
        (void)close(fd);
    }
    T_DIE("no free port on 127.0.0.1");
}

int t_net_free_port(void)
{
    int port;
    (void)close(bind_free(&port));
    return port;
}

int t_net_listen_free(int *port)
{
    for (int i = 0; i < 100; i++) {
        const int fd = bind_free(port);
        if (listen(fd, BACKLOG) == 0) { /* two may have bound it, both with SO_REUSEADDR */
            return fd;
        }
        (void)close(fd);
    }
    T_DIE("no free port on 127.0.0.1");
}

void t_net_set_nonblocking(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    T_REQUIRE(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

/* ---- What the other end has read ------------------------------------------------------------- */

/* The ports of both ends; false if it is no TCP socket. */
static bool tcp_ports(int fd, unsigned *own, unsigned *other)
{
    struct sockaddr_in name;
    struct sockaddr_in peer;
    socklen_t len = sizeof name;
    socklen_t peer_len = sizeof peer;
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0 || name.sin_family != AF_INET ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0) {
        return false;
    }
    *own = ntohs(name.sin_port);
    *other = ntohs(peer.sin_port);
    return true;
}

/* Asks the kernel about the other end's socket: how many bytes has it not read? -1 if there is no
 * such socket, or if this kernel does not tell.                                                  */
static int64_t tcp_peer_unread(unsigned own, unsigned other)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } ask = {.head = {.nlmsg_len = sizeof ask,
                      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                      .nlmsg_flags = NLM_F_REQUEST},
             .body = {.sdiag_family = AF_INET,
                      .sdiag_protocol = IPPROTO_TCP,
                      .idiag_states = UINT32_MAX,
                      .id = {.idiag_sport = htons((uint16_t)other),
                             .idiag_dport = htons((uint16_t)own),
                             .idiag_src = {htonl(INADDR_LOOPBACK)},
                             .idiag_dst = {htonl(INADDR_LOOPBACK)},
                             .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } answer;
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) {
        return -1;
    }
    const ssize_t sent = send(fd, &ask, sizeof ask, 0);
    const ssize_t got = sent < 0 ? -1 : recv(fd, &answer, sizeof answer, 0);
    (void)close(fd);
    if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return -1;
    }
    const struct inet_diag_msg *found = NLMSG_DATA(&answer.head);
    return found->idiag_rqueue;
}

bool t_net_all_read(int fd, int64_t since_ns)
{
    unsigned own;
    unsigned other;
    int on_the_way = 0;
    if (!tcp_ports(fd, &own, &other)) {
        /* A unix socket counts what the other end has not read. */
        return ioctl(fd, SIOCOUTQ, &on_the_way) != 0 || on_the_way == 0;
    }
    /* A TCP socket counts what is not acknowledged, and that may be so for 40 ms after it was read:
     * after one millisecond it is taken to be delivered.                                         */
    if (ioctl(fd, SIOCOUTQ, &on_the_way) == 0 && on_the_way > 0 && since_ns < 1000000) {
        return false;
    }
    const int64_t unread = tcp_peer_unread(own, other);
    return unread == 0 || (unread < 0 && since_ns >= 3000000);
}
