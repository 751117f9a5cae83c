/* tests/fake/support/proxy_rig.h - a proxy between two plain sockets of the test's own.
 *
 * The test is client and server at once, so every byte is under its control. The time limits only
 * end a test that has already failed. Everything is static: each test file has its own copy.     */

#ifndef T_FAKE_SUPPORT_PROXY_RIG_H
#define T_FAKE_SUPPORT_PROXY_RIG_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/net.h"
#include "support/proxy.h"

enum { SOON_MS = 10000 };

/* ---- The rig --------------------------------------------------------------------------------- */

typedef struct rig {
    t_proxy *proxy;
    bool tcp;
    t_addr target;
    char dir[T_PATH_MAX];
    char *path;
    int listener;
} rig;

static inline void rig_open(rig *r, bool tcp)
{
    t_temp_dir(r->dir);
    r->tcp = tcp;
    r->path = t_format("%s/target", r->dir);
    if (tcp) {
        r->listener = t_net_listen_free(&r->target.port);
    } else {
        r->target.path = r->path;
        r->listener = t_net_listen(r->target);
    }
    r->proxy = t_proxy_start(r->target, tcp);
}

static inline void rig_close(rig *r)
{
    t_proxy_stop(r->proxy);
    (void)close(r->listener);
    t_remove_dir(r->dir);
    free(r->path);
}

static inline int connect_client(const rig *r)
{
    return t_net_connect((t_addr){.path = t_proxy_path(r->proxy), .port = t_proxy_port(r->proxy)});
}

/* A connection through the proxy: both its ends. */
typedef struct ends {
    int client;
    int server;
} ends;

static inline ends connect_through(const rig *r)
{
    const ends e = {.client = connect_client(r), .server = accept(r->listener, NULL, NULL)};
    cr_assert(e.client >= 0 && e.server >= 0);
    return e;
}

static inline void close_ends(ends e)
{
    (void)close(e.client);
    (void)close(e.server);
}

static inline void put(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* One read: what comes soon; "" at the end of file, "!" after a reset, "?" if nothing comes. */
static inline const char *get_within(int fd, char *out, size_t room, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, timeout_ms) != 1) {
        return "?";
    }
    const ssize_t got = recv(fd, out, room - 1, 0);
    if (got < 0) {
        return errno == ECONNRESET ? "!" : "?";
    }
    out[got] = '\0';
    return out;
}

static inline const char *get(int fd, char out[256])
{
    return get_within(fd, out, 256, SOON_MS);
}

/* What is readable now, without waiting. */
static inline const char *peek(int fd, char out[256])
{
    return get_within(fd, out, 256, 0);
}

#define assert_get(fd, text)                       \
    do {                                           \
        char got_[256];                            \
        cr_assert_str_eq(get((fd), got_), (text)); \
    } while (0)

#define assert_nothing(fd)                       \
    do {                                         \
        char got_[256];                          \
        cr_assert_str_eq(peek((fd), got_), "?"); \
    } while (0)

/* Both kinds of sockets. */
static inline struct criterion_test_params both_kinds(void)
{
    static bool kinds[2] = {false, true};
    return cr_make_param_array(bool, kinds, 2, NULL);
}

#define PROXY_TEST(suite, name)               \
    static void name(rig *r);                 \
    ParameterizedTestParameters(suite, name)  \
    {                                         \
        return both_kinds();                  \
    }                                         \
    ParameterizedTest(bool *tcp, suite, name) \
    {                                         \
        rig r = {.listener = -1};             \
        rig_open(&r, *tcp);                   \
        name(&r);                             \
        rig_close(&r);                        \
    }                                         \
    static void name(rig *r)

#endif
