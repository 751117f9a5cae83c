/* conn/cluster_view.h - who is in a cluster and who serves which slots, as one node sees it.
 *
 *      CLUSTER SHARDS   [ {slots [first last …], nodes [ {id port endpoint role health} … ]} … ]
 *      CLUSTER SLOTS    [ [first last [host port id {}] [replica …] …] … ]
 *                                                    |
 *      view             nodes [0 1 2 3 …]  <--node-- ranges, ascending, none over another
 *
 * Both replies, in both protocols, give the same view; they are told apart by their shape.  SHARDS
 * knows of nodes that serve nothing, of failed ones and of health; SLOTS leaves them out.
 *
 * A view is what one node believes at one moment: a shard may have two primaries (one that failed,
 * and the replica that took over), or none, and slots may be nobody's.
 * Threads  [any]: pure, but for memory. */
#ifndef NKVI_CONN_CLUSTER_VIEW_H
#define NKVI_CONN_CLUSTER_VIEW_H

#include <stdbool.h>

#include <nearkv/value.h>

#include "conn/address.h"
#include "core/cache.h"

#define NKVI_VIEW_NODES_MAX  4096
#define NKVI_VIEW_RANGES_MAX 16384
#define NKVI_NODE_ID_SIZE    41

typedef struct nkvi_view_node {
    char id[NKVI_NODE_ID_SIZE]; /* empty: it has none (old servers, some proxies) */
    char host[NKVI_HOST_SIZE];  /* where to reach it; empty: the host that was asked */
    int port;                   /* 0: TLS only */
    int tls_port;               /* 0: none, or not told: SLOTS tells one port, for the way in which
                                   it was asked */
    bool primary;               /* it says so itself, or it is a range's */
    bool online;                /* SLOTS: always; never if it has no port at all */
    uint32_t shard;             /* nodes of one number hold the same data */
} nkvi_view_node;

typedef struct nkvi_view_range {
    uint16_t first, last; /* both included */
    uint32_t node;        /* index of its primary */
} nkvi_view_range;

typedef struct nkvi_cluster_view {
    nkvi_view_node *nodes; /* each node once */
    size_t nodes_len;
    nkvi_view_range *ranges; /* ascending; a shard without a primary has none */
    size_t ranges_len;
} nkvi_cluster_view;

/* The view out of either reply.
 *
 *   out   NKV_OK: to be cleared; else empty
 *
 * Returns NKV_OK (the cluster may be empty) · NKV_EPROTO (not understood, or beyond the limits
 * above; error says what) · NKV_ENOMEM. */
nkv_status nkvi_cluster_view_parse(const nkv_reply *reply, nkvi_cluster_view *out,
                                   nkv_error *error);

/* Frees it; empty afterwards. */
void nkvi_cluster_view_clear(nkvi_cluster_view *view);

typedef struct nkvi_cluster_info {
    bool ok; /* cluster_state:ok */
    uint64_t current_epoch, my_epoch;
    uint32_t known_nodes;
} nkvi_cluster_info;

/* Hash slots that the node which answered CLUSTER NODES is migrating away: up to `cap` of them in
 * `slots`; returns how many there are.  0: also of what is no such text. */
size_t nkvi_cluster_leaving_parse(const nkv_reply *reply, uint16_t *slots, size_t cap);

/* CLUSTER INFO; what it does not tell is 0.  false: it is no such text, *out is all 0. */
bool nkvi_cluster_info_parse(const nkv_reply *reply, nkvi_cluster_info *out);

#endif
