/* support/peer.c - see peer.h. */

#include "support/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/net.h"

#define PATIENCE_MS 10000

struct t_peer {
    char dir[T_PATH_MAX];
    char path[T_PATH_MAX + 8]; /* empty: TCP */
    int port;
    int fd; /* -1: deaf */
};

static t_addr address_of(const t_peer *peer)
{
    return (t_addr){.path = peer->port == 0 ? peer->path : NULL, .port = peer->port};
}

int t_peer_connect(t_peer *peer)
{
    int fd = t_net_connect(address_of(peer));
    T_REQUIRE(fd >= 0);
    return fd;
}

void t_peer_hear(t_peer *peer)
{
    T_REQUIRE(peer->fd < 0);
    peer->fd = t_net_listen(address_of(peer));
    t_net_set_nonblocking(peer->fd);
}

void t_peer_deafen(t_peer *peer)
{
    T_REQUIRE(peer->fd >= 0);
    (void)close(peer->fd);
    peer->fd = -1;
}

static t_peer *new_peer(void)
{
    t_peer *peer = calloc(1, sizeof *peer);
    T_REQUIRE(peer != NULL);
    peer->fd = -1;
    return peer;
}

t_peer *t_peer_listen(void)
{
    t_peer *peer = new_peer();
    t_temp_dir(peer->dir);
    (void)snprintf(peer->path, sizeof peer->path, "%s/s", peer->dir);
    t_peer_hear(peer);
    return peer;
}

t_peer *t_peer_listen_tcp(void)
{
    t_peer *peer = new_peer();
    peer->port = t_net_free_port();
    t_peer_hear(peer);
    return peer;
}

void t_peer_free(t_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    if (peer->fd >= 0) {
        t_peer_deafen(peer);
    }
    if (peer->dir[0] != '\0') {
        t_remove_dir(peer->dir);
    }
    free(peer);
}

const char *t_peer_path(t_peer *peer)
{
    return peer->path;
}

int t_peer_port(t_peer *peer)
{
    return peer->port;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int n;
    while ((n = poll(&poller, 1, timeout_ms)) < 0 && errno == EINTR) {}
    return n > 0;
}

bool t_peer_is_asked(t_peer *peer)
{
    return readable(peer->fd, 0);
}

int t_peer_accept(t_peer *peer)
{
    if (!readable(peer->fd, PATIENCE_MS)) {
        T_DIE("nobody connected");
    }
    int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);
    T_REQUIRE(fd >= 0);
    return fd;
}

void t_peer_expect_bytes(int fd, const void *bytes, size_t len)
{
    char *got = malloc(len + 1);
    size_t n = 0;
    T_REQUIRE(got != NULL);
    while (n < len) {
        ssize_t more = readable(fd, PATIENCE_MS) ? recv(fd, got + n, len - n, 0) : -1;
        if (more <= 0) {
            (void)t_same_bytes("until the silence or the end", got, n, bytes, len);
            T_DIE("expected %zu bytes, got %zu", len, n);
        }
        n += (size_t)more;
    }
    if (!t_same_bytes("received", got, n, bytes, len)) {
        T_DIE("expected other bytes");
    }
    free(got);
}

void t_peer_expect(int fd, const char *text)
{
    t_peer_expect_bytes(fd, text, strlen(text));
}

void t_peer_expect_silence(int fd)
{
    char byte;
    if (readable(fd, 0)) {
        T_DIE("%s", recv(fd, &byte, 1, MSG_PEEK) > 0 ? "more bytes came" : "it was closed");
    }
}

void t_peer_expect_end(int fd)
{
    char rest[512];
    for (;;) {
        if (!readable(fd, PATIENCE_MS)) {
            T_DIE("the connection was not closed");
        }
        if (recv(fd, rest, sizeof rest, 0) <= 0) {
            return;
        }
    }
}

void t_peer_send_bytes(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            T_DIE("cannot send: %s", strerror(errno));
        }
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void t_peer_send(int fd, const char *text)
{
    t_peer_send_bytes(fd, text, strlen(text));
}

void t_peer_close(int fd)
{
    (void)close(fd);
}

void t_peer_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

int t_peer_welcome(t_peer *peer)
{
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, T_WELCOME);
    return fd;
}
