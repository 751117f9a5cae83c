/* io/resolve.h - host names to addresses, without holding up the loop.
 *
 * A numeric address is answered at once.  A name is looked up by getaddrinfo() on a thread that
 * lives only for this, and the answer is posted to the loop.  The resolver's own patience is cut
 * down to about the connect timeout, so that whoever has to wait for the thread does not wait
 * for long.
 *
 * Threads  [loop], unless a function says otherwise. */
#ifndef NKVI_IO_RESOLVE_H
#define NKVI_IO_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

#include "io/loop.h"

#define NKVI_ADDRESSES_MAX 16

typedef enum nkvi_family { NKVI_ADDRESS_UNIX, NKVI_ADDRESS_V4, NKVI_ADDRESS_V6 } nkvi_family;

typedef struct nkvi_address {
    nkvi_family family;
    int port;
    char text[108]; /* path of the socket, or the address in digits (with %zone where it has one) */
} nkvi_address;

typedef struct nkvi_addresses {
    size_t n;
    nkvi_address list[NKVI_ADDRESSES_MAX];
} nkvi_addresses;

/* addresses NULL: it failed, error says why. */
typedef void (*nkvi_resolve_fn)(void *ud, const nkvi_addresses *addresses, const nkv_error *error);

/* True, and *out has one address, if `host` is one in digits. */
bool nkvi_resolve_numeric(const char *host, int port, nkvi_addresses *out);

/* The same for any name, by waiting for the answer.  Never on a loop's thread.
 * Returns NKV_OK (at least one address) · NKV_ECONN · NKV_ENOMEM.  [any] */
nkv_status nkvi_resolve_now(const char *host, int port, int64_t timeout_ms, nkvi_addresses *out,
                            nkv_error *error);

typedef struct nkvi_resolve nkvi_resolve;

/* Starts looking a name up; done(ud, …) is called once, later, from the loop, unless it is
 * cancelled.
 * Returns NULL if there is no memory or thread; done is then not called. */
nkvi_resolve *nkvi_resolve_start(nkvi_loop *loop, const char *host, int port, int64_t timeout_ms,
                                 nkvi_resolve_fn done, void *ud);

/* done will not be called any more.  Waits for the thread, which is as long as the look-up
 * takes: at most about the timeout, where the name service heeds it.  NULL is allowed. */
void nkvi_resolve_cancel(nkvi_resolve *job);

#endif
