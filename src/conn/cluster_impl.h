/* conn/cluster_impl.h - what the topology of a cluster is made of; for cluster*.c only.
 *
 *      cluster.c        the table of the connector: routes, redirections, life
 *      cluster_node.c   nodes: a peer each, made when somebody first names it
 *      cluster_ask.c    questions: what a node says of itself and of the others, and when it is
 *                       asked
 *
 *      every node    INFO + SLOTS + NODES, twice in topology_max_age: only behind its own word
 *                    that it is well, and holds the slot, a node vouches, and no longer than
 *                    topology_max_age; of a slot that it is migrating away, what it had not got may
 *                    be made elsewhere by now
 *      any node      SHARDS (or SLOTS), about once in topology_max_age; ten times a second while a
 *                    slot is nobody's, or its holder cannot be asked
 *
 * Questions go over the tracked lane: no connection more, and the answers are in order with what
 * the lane carries.  A node is never forgotten, so that pointers to it stay good; one that nobody
 * lists any more rests, without a connection.
 * Threads  [loop], but for what slot_map.h says is [any]. */
#ifndef NKVI_CONN_CLUSTER_IMPL_H
#define NKVI_CONN_CLUSTER_IMPL_H

#include <pthread.h>

#include "base/clock.h"
#include "conn/address_map.h"
#include "conn/cluster.h"
#include "conn/member.h"
#include "conn/slot_map.h"

#define NKVI_LEAVING_MAX 64u /* of more, all slots of the node count as leaving */

typedef struct cluster cluster;
typedef struct cluster_node cluster_node;

/* What a node is asked, and what has come of it. */
typedef struct question {
    nkvi_request request;
    cluster_node *node;
    int64_t asked_ns; /* NKVI_NEVER: nothing is under way */
    bool shards;      /* SHARDS instead of SLOTS */
    nkvi_cluster_info info;
    bool informed;
    char id[NKVI_NODE_ID_SIZE];
    nkvi_cluster_view view;
    bool viewed;
    uint16_t leaving[NKVI_LEAVING_MAX]; /* slots that the node migrates away */
    size_t leaving_len;                 /* all of them: perhaps more than there is room for */
    bool older;                         /* SHARDS is not known: SLOTS is asked for instead */
    nkv_error error; /* why there is none, or the node is not well; NKV_EBUSY: as yet */
} question;

struct cluster_node {
    nkvi_member member; /* first */
    nkvi_map_node map;
    cluster *cluster;
    bool seed;        /* the URL names it */
    int64_t due_ns;   /* when it is asked for its own word */
    int64_t named_ns; /* when somebody last listed or named it */
    nkv_error error;  /* its last question's; under mu */
    question question;
};

struct cluster {
    nkvi_connector base;
    nkvi_connector_config config; /* its strings are the client's, which lives longer */
    int64_t max_age_ns;
    nkvi_address_map *addresses; /* NULL: none */
    nkvi_slot_map map;
    nkvi_moves *moves; /* NULL: nothing is cached */
    nkvi_ticker *ticker;
    _Atomic uint32_t any; /* number of a node that answered lately */
    _Atomic bool known;   /* a map has come */
    bool no_shards;       /* the servers know SLOTS only */
    int64_t map_due_ns;   /* when somebody is asked for the map */
    bool silent;          /* nobody can be asked: seeds are tried */
    int64_t seeds_due_ns; /* when the next seed is woken, while nobody answers */
    uint32_t next_seed;
    uint64_t random;
    pthread_mutex_t mu; /* a leaf: why nodes have given no word */
};

static inline cluster *cluster_of(nkvi_connector *connector)
{
    return (cluster *)(void *)connector;
}

static inline cluster_node *node_of(nkvi_map_node *node)
{
    return NKVI_CONTAINER(node, cluster_node, map);
}

static inline cluster_node *node_at(const cluster *self, uint32_t number)
{
    return node_of(nkvi_slot_map_node(&self->map, number));
}

static inline cluster_node *node_of_peer(nkvi_peer *peer)
{
    return (cluster_node *)(void *)nkvi_member_of(peer);
}

/* ---- cluster_node.c ---- */

/* The node that is announced at that address, translated, made if need be; host empty: `asked`'s.
 * NULL: memory, or too many. */
cluster_node *nkvi_cluster_node(cluster *self, const cluster_node *asked, nkv_str host, int port);

/* Where the announced address is reached, without making a node.  [any] */
nkvi_map_node *nkvi_cluster_find(const cluster *self, nkvi_peer *asked, nkv_str host, int port);

void nkvi_cluster_node_destroy(cluster_node *node);

/* Why it has given no word; NULL: it has, or is not asked any more. */
void nkvi_cluster_note(cluster_node *node, const nkv_error *error);

/* ---- cluster_ask.c ---- */

/* Asks the node for its own word now (shards: and for what it knows of the others).  false: it is
 * being asked already, or cannot be asked. */
bool nkvi_cluster_ask(cluster_node *node, bool shards);

/* Everything that is due. */
void nkvi_cluster_tick(void *ud);

#endif
