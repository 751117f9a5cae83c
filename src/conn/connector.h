/* conn/connector.h - which server answers for a key: the topologies behind one small table.
 *
 *      client --route(key)--> peer { tracked lane, data lane, owner }
 *
 * A peer is one server.  Its tracked lane carries cacheable reads and vouches through the peer's
 * owner; its data lane carries writes and everything that is not cached.  A topology decides which
 * peers there are and which of them a key belongs to; standalone has exactly one.
 * Threads  create, start, destroy: [loop].  route and peers: [any]; a peer stays valid until
 *          destroy. */
#ifndef NKVI_CONN_CONNECTOR_H
#define NKVI_CONN_CONNECTOR_H

#include "io/bulk.h"
#include "io/lane.h"

typedef struct nkvi_connector nkvi_connector;

typedef struct nkvi_peer_handler nkvi_peer_handler;

/* Whether a server takes two keys in one command (MSET). */
typedef enum nkvi_pairs {
    NKVI_PAIRS_UNKNOWN = 0,
    NKVI_PAIRS_TAKEN,
    NKVI_PAIRS_REFUSED /* by an ACL, or a proxy */
} nkvi_pairs;

typedef struct nkvi_peer {
    nkvi_lane *tracked; /* NULL: the client does not cache */
    nkvi_lane *data;
    nkvi_bulk *bulk;              /* large values, batches */
    struct nkvi_foreign *foreign; /* a connector of the user's own (conn/foreign.h): then the peer
                                     has no lanes; else NULL */
    nkvi_owner *owner;            /* NULL: the client does not cache */
    void *user;                   /* the client's state for this peer; [loop] */
    _Atomic nkvi_pairs pairs;
    const nkvi_peer_handler *handler; /* whom to tell; the connector's */
} nkvi_peer;

struct nkvi_peer_handler {
    /* A peer was made; sets peer->user.  false: memory. */
    bool (*on_open)(void *ud, nkvi_peer *peer);
    void (*on_close)(void *ud, nkvi_peer *peer);
    /* As nkvi_lane_handler's, for the tracked lane. */
    void (*on_push)(void *ud, nkvi_peer *peer, const nkv_reply *push);
    void (*on_change)(void *ud, nkvi_peer *peer, const nkvi_lane_info *info, nkv_flush_cause cause);
    /* Any lane of the peer changed its state, or it began or ended to vouch.  [any] */
    void (*on_state)(void *ud, nkvi_peer *peer);
    /* A foreign peer tells that a key has changed (NULL: all of them, and why).  [any] */
    void (*on_told)(void *ud, nkvi_peer *peer, const nkv_str *key, const char *why);
    void *ud;
};

typedef struct nkvi_connector_config {
    nkvi_loop *loop;
    nkvi_lane_config lane; /* template; owner and handler are set here */
    bool tracked;          /* false: no tracked lanes */
    unsigned bulk_lanes;   /* of each peer */
    unsigned bulk_at_once; /* of them; 0: it depends on the peer */
    size_t bulk_window_bytes;
    nkvi_peer_handler handler;
} nkvi_connector_config;

typedef struct nkvi_connector_ops {
    nkvi_peer *(*route)(nkvi_connector *connector, nkv_str key);
    size_t (*peers)(nkvi_connector *connector, nkvi_peer **peers, size_t cap);
    void (*start)(nkvi_connector *connector);
    void (*stop)(nkvi_connector *connector); /* nkvi_lane_stop of every lane */
    /* After stop, from the thread that ends the client: returns when no code of the user's runs
     * any more.  NULL: there is none. */
    void (*wait)(nkvi_connector *connector);
    void (*destroy)(nkvi_connector *connector);
} nkvi_connector_ops;

struct nkvi_connector {
    const nkvi_connector_ops *ops;
};

/* One server.  Returns NKV_OK · NKV_ENOMEM · what nkvi_lane_create returns. */
nkv_status nkvi_standalone_create(const nkvi_connector_config *config, nkvi_connector **out,
                                  nkv_error *error);

/* Opens the owner and the lanes of a peer; for topologies.  On failure nothing is left. */
nkv_status nkvi_peer_open(nkvi_peer *peer, const nkvi_connector_config *config, nkv_error *error);
void nkvi_peer_start(nkvi_peer *peer);
/* "host:port", a path, or a connector's name; constant for the peer's life, never a secret.
 * [any] */
const char *nkvi_peer_address(const nkvi_peer *peer);
void nkvi_peer_stop(nkvi_peer *peer);
void nkvi_peer_close(nkvi_peer *peer, const nkvi_connector_config *config);

#endif
