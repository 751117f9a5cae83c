/* io/wire.h - one socket: connecting without blocking, reading, writing.
 *
 * A hiredis context below, so that its TLS can take the place of the plain socket later; but
 * writing goes past hiredis, which would raise SIGPIPE and wants a buffer of its own.
 *
 * Threads  write is [any], one caller at a time; all else is [loop]. */
#ifndef NKVI_IO_WIRE_H
#define NKVI_IO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

#include "io/resolve.h"

struct redisContext;

typedef struct nkvi_wire {
    struct redisContext *context; /* NULL: closed */
    int fd;                       /* -1: closed */
} nkvi_wire;

void nkvi_wire_init(nkvi_wire *wire);

/* Begins to connect.  NKV_OK: wait until the socket is writable, then ask nkvi_wire_finish.
 * patience_ms: how long the kernel may try to get rid of bytes before it gives a TCP connection
 * up (0: its default).
 * Returns NKV_OK · NKV_ECONN · NKV_ENOMEM; the wire is closed after a failure. */
nkv_status nkvi_wire_open(nkvi_wire *wire, const nkvi_address *address, int64_t patience_ms,
                          nkv_error *error);

/* Whether the connection stands.  Returns NKV_OK · NKV_ECONN. */
nkv_status nkvi_wire_finish(const nkvi_wire *wire, nkv_error *error);

/* Bytes read, > 0; 0: it would block; -1: lost, see error (NKV_ECONN). */
ptrdiff_t nkvi_wire_read(nkvi_wire *wire, char *data, size_t len, nkv_error *error);

/* Bytes written, > 0; 0: it would block; -1: lost, errno tells.  Never raises a signal. */
ptrdiff_t nkvi_wire_write(const nkvi_wire *wire, const char *data, size_t len);

/* The same for several pieces. */
struct iovec;
ptrdiff_t nkvi_wire_writev(const nkvi_wire *wire, struct iovec *pieces, size_t n_pieces);

void nkvi_wire_close(nkvi_wire *wire);

#endif
