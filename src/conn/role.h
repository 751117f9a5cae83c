/* conn/role.h - whether a server is a primary or a replica, and how far it has come.
 *
 *      ROLE               [master 434 [[ip port offset] …]]       [slave ip port connected 434]
 *                         [sentinel [service …]]
 *      INFO replication   role:slave, master_link_status:up, master_repl_offset:434, …
 *
 * Servers still write master and slave; primary and replica are understood as well.
 * Threads  [any]: pure. */
#ifndef NKVI_CONN_ROLE_H
#define NKVI_CONN_ROLE_H

#include <stdbool.h>

#include <nearkv/value.h>

#include "conn/address.h"

#define NKVI_REPLID_SIZE 41

typedef enum nkvi_role_kind {
    NKVI_ROLE_UNKNOWN = 0,
    NKVI_ROLE_PRIMARY,
    NKVI_ROLE_REPLICA,
    NKVI_ROLE_SENTINEL
} nkvi_role_kind;

/* How a replica stands with its primary. */
typedef enum nkvi_role_link {
    NKVI_ROLE_LINK_UNKNOWN = 0, /* none, or a state that is not known here */
    NKVI_ROLE_LINK_CONNECT,     /* it must connect, or it is refused */
    NKVI_ROLE_LINK_CONNECTING,  /* connects, or greets */
    NKVI_ROLE_LINK_SYNC,        /* takes over all of the data */
    NKVI_ROLE_LINK_CONNECTED
} nkvi_role_link;

typedef struct nkvi_role {
    nkvi_role_kind kind;
    int64_t offset;                    /* PRIMARY REPLICA; -1: it has none yet */
    char primary_host[NKVI_HOST_SIZE]; /* REPLICA; may be empty */
    int primary_port;                  /* REPLICA; 0: not told */
    nkvi_role_link link;               /* REPLICA */
} nkvi_role;

/* The answer to ROLE.  false: not understood, *out is all 0. */
bool nkvi_role_parse(const nkv_reply *reply, nkvi_role *out);

typedef struct nkvi_replication {
    nkvi_role_kind kind;               /* PRIMARY or REPLICA */
    int64_t offset;                    /* master_repl_offset; -1: not told */
    char replid[NKVI_REPLID_SIZE];     /* which history the offset is one of; empty: not told */
    bool link_up;                      /* REPLICA: master_link_status:up */
    bool syncing;                      /* REPLICA: master_sync_in_progress:1 */
    int64_t replica_offset;            /* REPLICA: slave_repl_offset; -1: not told */
    char primary_host[NKVI_HOST_SIZE]; /* REPLICA; may be empty */
    int primary_port;                  /* REPLICA; 0: not told */
} nkvi_replication;

/* INFO, or INFO replication.  false: it does not tell the role, *out is all 0. */
bool nkvi_replication_parse(const nkv_reply *reply, nkvi_replication *out);

#endif
