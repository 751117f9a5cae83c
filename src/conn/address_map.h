/* conn/address_map.h - servers that are reached elsewhere than where they say that they are.
 *
 * Nodes of a cluster and sentinels tell addresses as they know them themselves: behind NAT, in
 * containers or through tunnels these are of no use here.  The user says what they mean:
 *
 *      10.0.0.1:6379=localhost:7001,10.0.0.2=[::1],*=127.0.0.1
 *
 *      announced   host:port  host  [v6]:port  [v6]  *:port  *      * is any host
 *      reachable   host:port  host  [v6]:port  [v6]                 without a port: it is kept
 *
 * The most exact entry decides: host:port, then host, then *:port, then *.  What none is for stays
 * as it is.  Names compare without case.
 * Threads  [any]: a map never changes. */
#ifndef NKVI_CONN_ADDRESS_MAP_H
#define NKVI_CONN_ADDRESS_MAP_H

#include <nearkv/status.h>

#define NKVI_ADDRESS_MAP_MAX 1024 /* entries */

typedef struct nkvi_address_map nkvi_address_map;

/* Reads a map.
 *
 *   text  NULL or empty: no map, which is NULL in *out
 *   out   NKV_OK: to be freed; else NULL
 *
 * Returns NKV_OK · NKV_EINVAL (error says which entry and what is allowed) · NKV_ENOMEM. */
nkv_status nkvi_address_map_parse(const char *text, nkvi_address_map **out, nkv_error *error);

/* NULL is allowed. */
void nkvi_address_map_free(nkvi_address_map *map);

/* Where host:port is reached.
 *
 *   map       NULL: right there
 *   out_host  of out_size bytes, NKVI_HOST_SIZE at least; may be `host` itself
 *
 * O(entries). */
void nkvi_address_map_apply(const nkvi_address_map *map, const char *host, int port, char *out_host,
                            size_t out_size, int *out_port);

#endif
