/* io/wire.c - see wire.h. */
#include "io/wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/status.h"

#define KEEPALIVE_S 15

void nkvi_wire_init(nkvi_wire *wire)
{
    wire->context = NULL;
    wire->fd = -1;
}

void nkvi_wire_close(nkvi_wire *wire)
{
    if (wire->context != NULL) {
        redisFree(wire->context); /* closes the descriptor */
    }
    nkvi_wire_init(wire);
}

static nkv_status open_failed(nkvi_wire *wire, nkv_error *error)
{
    int sys_errno = errno;
    nkv_status status = NKV_ECONN;
    if (wire->context == NULL || wire->context->err == REDIS_ERR_OOM) {
        status = nkvi_fail(error, NKV_ENOMEM, "out of memory for a connection");
    } else {
        nkvi_fail(error, NKV_ECONN, "cannot connect: %s", wire->context->errstr);
        if (error != NULL) {
            error->sys_errno = wire->context->err == REDIS_ERR_IO ? sys_errno : 0;
        }
    }
    nkvi_wire_close(wire);
    return status;
}

nkv_status nkvi_wire_open(nkvi_wire *wire, const nkvi_address *address, int64_t patience_ms,
                          nkv_error *error)
{
    assert(wire->context == NULL);
    redisOptions options = {0};
    options.options = REDIS_OPT_NONBLOCK;
    if (address->family == NKVI_ADDRESS_UNIX) {
        REDIS_OPTIONS_SET_UNIX(&options, address->text);
    } else {
        /* A numeric address: hiredis's own look-up finds it without asking anybody. */
        options.options |= address->family == NKVI_ADDRESS_V6 ? REDIS_OPT_PREFER_IPV6 : 0;
        REDIS_OPTIONS_SET_TCP(&options, address->text, address->port);
    }
    errno = 0;
    wire->context = redisConnectWithOptions(&options);
    if (wire->context == NULL || wire->context->err != 0) {
        return open_failed(wire, error);
    }
    wire->fd = wire->context->fd;
    (void)fcntl(wire->fd, F_SETFD, FD_CLOEXEC);
    if (address->family != NKVI_ADDRESS_UNIX) {
        /* Comforts: a connection without them works too.  TCP_NODELAY has been set by hiredis. */
        (void)redisEnableKeepAliveWithInterval(wire->context, KEEPALIVE_S);
        if (patience_ms > 0 && patience_ms < INT32_MAX) {
            (void)redisSetTcpUserTimeout(wire->context, (unsigned)patience_ms);
        }
        wire->context->err = 0;
    }
    return NKV_OK;
}

/* A client that keeps knocking at a free port of its own machine may get it as its source port,
 * and then be connected to itself. */
static bool talks_to_itself(int fd)
{
    struct sockaddr_storage own, peer;
    socklen_t own_len = sizeof own, peer_len = sizeof peer;
    memset(&own, 0, sizeof own);
    memset(&peer, 0, sizeof peer);
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own.ss_family != AF_UNIX &&
           own_len == peer_len && memcmp(&own, &peer, own_len) == 0;
}

nkv_status nkvi_wire_finish(const nkvi_wire *wire, nkv_error *error)
{
    int sys_errno = 0;
    socklen_t len = sizeof sys_errno;
    if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &sys_errno, &len) != 0) {
        sys_errno = errno;
    }
    if (sys_errno == 0 && talks_to_itself(wire->fd)) {
        sys_errno = ECONNREFUSED;
    }
    if (sys_errno != 0) {
        return nkvi_fail_errno(error, NKV_ECONN, sys_errno, "cannot connect");
    }
    return NKV_OK;
}

ptrdiff_t nkvi_wire_read(nkvi_wire *wire, char *data, size_t len, nkv_error *error)
{
    errno = 0;
    ssize_t n = wire->context->funcs->read(wire->context, data, len);
    if (n < 0) {
        int sys_errno = wire->context->err == REDIS_ERR_IO ? errno : 0;
        nkvi_fail(error, NKV_ECONN, "connection lost: %s", wire->context->errstr);
        if (error != NULL) {
            error->sys_errno = sys_errno;
        }
    }
    return n;
}

ptrdiff_t nkvi_wire_write(const nkvi_wire *wire, const char *data, size_t len)
{
    struct iovec piece = {(void *)(uintptr_t)data, len};
    return nkvi_wire_writev(wire, &piece, 1);
}

ptrdiff_t nkvi_wire_writev(const nkvi_wire *wire, struct iovec *pieces, size_t n_pieces)
{
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = n_pieces};
    for (;;) {
        ssize_t n = sendmsg(wire->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            return n;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}
