/* conn/connector.h - which server answers for a key: the topologies behind one small table.
 *
 *      client --route(key)--> peer { tracked lane, data lane, owner }
 *             <--answer------    |  MOVED, ASK, CLUSTERDOWN, a lost connection …
 *             --hear, again------+  the topology learns, and says who is to be asked now, or later
 *
 * A peer is one server.  Its tracked lane carries cacheable reads and vouches through the peer's
 * owner; its data lane carries writes and everything that is not cached.  A topology decides which
 * peers there are and which of them a key belongs to; standalone has exactly one.
 * Threads  create, start, hear, destroy: [loop].  route, again and peers: [any]; a peer stays valid
 *          until destroy, also when its server has left. */
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
    _Atomic bool replica;             /* what it answers may be old: replica_max_ttl bounds it */
    const nkvi_peer_handler *handler; /* whom to tell; the connector's */
} nkvi_peer;

/* What somebody wants of a key. */
typedef enum nkvi_intent { NKVI_TO_READ = 0, NKVI_TO_WRITE } nkvi_intent;

/* Whom it is to be asked of. */
typedef struct nkvi_route {
    nkvi_peer *peer;    /* never NULL */
    uint32_t moves;     /* of the hash slot, when it was routed */
    uint16_t hash_slot; /* 0 where there are none */
} nkvi_route;

/* What becomes of a request that ended in a certain way. */
typedef enum nkvi_again {
    NKVI_AGAIN_NOT = 0, /* that was the answer */
    NKVI_AGAIN_NOW,     /* whoever route() names now is asked */
    NKVI_AGAIN_ASKING,  /* another one is asked, this once, behind ASKING */
    NKVI_AGAIN_LATER    /* after a while: as NOW */
} nkvi_again;

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
    nkvi_lane_config lane;       /* template; owner and handler are set here */
    bool tracked;                /* false: no tracked lanes */
    _Atomic uint32_t *owners;    /* counts the open ones of its peers, never too many; or NULL */
    const nkvi_moves *moves;     /* of the cluster's hash slots, or NULL */
    const nkvi_written *written; /* what was written; where replicas are read from, else NULL */
    unsigned bulk_lanes;         /* of each peer */
    unsigned bulk_at_once;       /* of them; 0: it depends on the peer */
    size_t bulk_window_bytes;
    nkvi_peer_handler handler;
} nkvi_connector_config;

typedef struct nkvi_connector_ops {
    nkvi_route (*route)(nkvi_connector *connector, nkv_str key, nkvi_intent intent);
    /* Whether an answer that was asked for by this route may be kept: its peer still vouches for
     * the hash slot.  NULL: always.  [loop] */
    bool (*vouches)(nkvi_connector *connector, const nkvi_route *route);
    /* A peer has answered with an error, which may tell of the topology.  NULL: it never does.
     * [loop] */
    void (*hear)(nkvi_connector *connector, nkvi_peer *peer, const nkv_reply *error);
    /* What becomes of a request that was not executed: where it went, and how it ended (reply: with
     * NKV_EREPLY); *there: with ASKING.  NULL: never again.  [any] */
    nkvi_again (*again)(nkvi_connector *connector, const nkvi_route *route, nkv_status status,
                        const nkv_reply *reply, nkvi_peer **there);
    /* NKV_OK: the topology is known · NKV_EBUSY with the reason, if there is one: not yet · else
     * why it never will be.  NULL: always.  [any] */
    nkv_status (*ready)(nkvi_connector *connector, nkv_error *error);
    size_t (*peers)(nkvi_connector *connector, nkvi_peer **peers, size_t cap);
    /* The peers that the keys are spread over, in the order of their numbers (constant for a peer,
     * below 4095; NULL: not wanted).  NULL: all keys are in one place. */
    size_t (*primaries)(nkvi_connector *connector, nkvi_peer **peers, uint32_t *numbers,
                        size_t cap);
    void (*start)(nkvi_connector *connector);
    void (*stop)(nkvi_connector *connector); /* nkvi_lane_stop of every lane */
    /* After stop, from the thread that ends the client: returns when no code of the user's runs
     * any more.  NULL: there is none. */
    void (*wait)(nkvi_connector *connector);
    void (*destroy)(nkvi_connector *connector);
} nkvi_connector_ops;

/* What a barrier asks, besides what it waits for (client/barrier.h). */
typedef enum nkvi_barrier_kind {
    NKVI_BARRIER_PING = 0,
    NKVI_BARRIER_KEYS, /* for the keys: an error says that the peer no longer answers for them */
    NKVI_BARRIER_ROLE  /* for the role: whoever is no primary has no say */
} nkvi_barrier_kind;

struct nkvi_connector {
    const nkvi_connector_ops *ops;
    nkvi_barrier_kind barrier;
    bool overlaps;   /* several peers may answer for one key */
    bool hash_slots; /* a command takes keys of one hash slot only */
};

/* One server.  Returns NKV_OK · NKV_ENOMEM · what nkvi_lane_create returns. */
nkv_status nkvi_standalone_create(const nkvi_connector_config *config, nkvi_connector **out,
                                  nkv_error *error);

/* An owner for a peer, counted, or NULL; and back. */
nkvi_owner *nkvi_peer_owner_open(const nkvi_connector_config *config);
void nkvi_peer_owner_close(const nkvi_connector_config *config, nkvi_owner *owner);

/* Opens the owner and the lanes of a peer; for topologies.  On failure nothing is left. */
nkv_status nkvi_peer_open(nkvi_peer *peer, const nkvi_connector_config *config, nkv_error *error);
void nkvi_peer_start(nkvi_peer *peer);
/* "host:port", a path, or a connector's name; constant for the peer's life, never a secret.
 * [any] */
const char *nkvi_peer_address(const nkvi_peer *peer);
void nkvi_peer_stop(nkvi_peer *peer);
void nkvi_peer_close(nkvi_peer *peer, const nkvi_connector_config *config);

#endif
