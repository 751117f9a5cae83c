/* conn/address.h - hosts and ports as servers write them.
 *
 *      10.0.0.7:6379   shard-1.example.com:6379   ::1:6379   [::1]:6379   :6379
 *
 * A host is up to NKVI_HOST_MAX bytes without blanks and control characters; whether it can be
 * resolved is seen when it is.  A port is 1 to 65535.
 * Threads  [any]: pure. */
#ifndef NKVI_CONN_ADDRESS_H
#define NKVI_CONN_ADDRESS_H

#include <stdbool.h>

#include <nearkv/status.h>

#define NKVI_HOST_MAX  255
#define NKVI_HOST_SIZE (NKVI_HOST_MAX + 1)
#define NKVI_PORT_MAX  65535

/* Digits alone, that make a number up to `max`.  false: *out is untouched. */
bool nkvi_digits_parse(nkv_str text, uint64_t max, uint64_t *out);

/* 1 to 65535.  false: *port is untouched. */
bool nkvi_port_parse(nkv_str text, int *port);

/* Could that be a host?  Not if it is empty. */
bool nkvi_host_valid(nkv_str host);

/* Copies a host, or an empty text.  false: it is none, *out is empty. */
bool nkvi_host_copy(char out[NKVI_HOST_SIZE], nkv_str host);

/* Cuts host:port at the last ':'; takes the brackets off a host that stands in them.  The host may
 * be empty.  false: it is no such thing, *host and *port are untouched. */
bool nkvi_address_split(nkv_str text, nkv_str *host, int *port);

#endif
