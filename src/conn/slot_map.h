/* conn/slot_map.h - which node holds which hash slot of a cluster, as one client believes.
 *
 *      MOVED from the holder            ---> the slot is another's
 *      ASK from the holder              ---> it is going to be: what is cached of it goes
 *      a node's word on itself          ---> it holds no more than it says
 *      a node's word on another         ---> believed if that one is nobody, or cannot be asked;
 *                                            else that one is doubted: it is to be asked itself
 *
 * A node speaks for itself: what it says that it holds is what its answers are good for, and only
 * where it cannot be asked others are believed (a failover).  So a node that has an old view of the
 * others does no harm.  A slot that changes hands takes its cached answers along (core/cache.h).
 *
 * Callers  cluster*.c.  Sans I/O; nodes are the caller's.
 * Threads  holder, node, find: [any]; the rest: one at a time, [loop]. */
#ifndef NKVI_CONN_SLOT_MAP_H
#define NKVI_CONN_SLOT_MAP_H

#include "conn/cluster_view.h"
#include "core/cache.h"

#define NKVI_MAP_NODES_MAX 4094u
#define NKVI_MAP_PLACES    8192u /* a power of two, and more than nodes, so that some are free */

typedef struct nkvi_map_node {
    char host[NKVI_HOST_SIZE]; /* where it is reached; constant, as are: */
    int port;
    uint32_t number;
    char id[NKVI_NODE_ID_SIZE]; /* empty: not told yet */
    bool credible;              /* it can be asked, and answers; the caller's */
    bool doubted;               /* it may hold less than we believe; the caller clears it */
    bool outvoted;              /* others hold what it held, and it did not answer; the same */
    bool listed;                /* as a primary, by whoever spoke last of it */
    bool spoke;                 /* of itself, with this epoch: */
    uint64_t epoch;
    _Atomic uint32_t slots; /* that it holds; [any] */
} nkvi_map_node;

typedef struct nkvi_slot_map {
    _Atomic uint16_t holders[NKVI_HASH_SLOTS]; /* number + 1; 0: nobody */
    _Atomic(nkvi_map_node *) nodes[NKVI_MAP_NODES_MAX];
    _Atomic uint32_t nodes_len;
    _Atomic uint16_t places[NKVI_MAP_PLACES]; /* of nodes, by address: number + 1; 0: free */
    uint32_t covered;                         /* slots that somebody holds */
    uint64_t version;                         /* counts changes */
    nkv_cache *cache;
    nkvi_moves *moves; /* NULL: nothing is cached */
} nkvi_slot_map;

/* What a node has said. */
typedef struct nkvi_word {
    nkvi_map_node *speaker;
    const nkvi_cluster_view *view;
    nkvi_map_node *const
        *nodes;     /* of the view, one by one; NULL: not to be reached, or a replica */
    uint64_t epoch; /* its own configuration epoch */
} nkvi_word;

/* As zeroes; cache and moves are the caller's. */
void nkvi_slot_map_init(nkvi_slot_map *map, nkv_cache *cache, nkvi_moves *moves);

/* Numbers the node, whose host and port are set; false: there are too many. */
bool nkvi_slot_map_add(nkvi_slot_map *map, nkvi_map_node *node);

static inline nkvi_map_node *nkvi_slot_map_node(const nkvi_slot_map *map, uint32_t number)
{
    return atomic_load_explicit(&map->nodes[number], memory_order_acquire);
}

/* The node at that address, in upper or lower case, or NULL.  O(host.len). */
nkvi_map_node *nkvi_slot_map_find(const nkvi_slot_map *map, nkv_str host, int port);

/* Who holds the slot, or NULL. */
static inline nkvi_map_node *nkvi_slot_map_holder(const nkvi_slot_map *map, uint16_t hash_slot)
{
    uint16_t holder = atomic_load_explicit(&map->holders[hash_slot], memory_order_acquire);
    return holder == 0 ? NULL : nkvi_slot_map_node(map, holder - 1u);
}

/* `from` has answered that the slot is `to`'s.  Returns whether that changed something. */
bool nkvi_slot_map_moved(nkvi_slot_map *map, uint16_t hash_slot, const nkvi_map_node *from,
                         nkvi_map_node *to);

/* `from` has answered that it has not got something of the slot any more: what it said before is
 * not there may be where the slot is going by now, and nobody tells.  Its answers are dropped. */
void nkvi_slot_map_leaving(nkvi_slot_map *map, uint16_t hash_slot, const nkvi_map_node *from);

/* Takes a node's word.  Returns whether a slot changed hands, or may have left its holder and come
 * back: then all answers of the node are dropped. */
bool nkvi_slot_map_hear(nkvi_slot_map *map, const nkvi_word *word);

#endif
