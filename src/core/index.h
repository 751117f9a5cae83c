/* core/index.h - from a hash to slots: the one seam between the cache and its table.
 *
 * An index is a multimap: 64-bit hash -> slots.  Names are compared by who asks, in the slots.  A
 * slot is under its own hash (space, key, command), and the one that stands for its key is also
 * under the hash of space and key, so a key is found whatever commands it has:
 *
 *      GET k only       hash(k) -> slot                           the slot stands for the key
 *      STRLEN k only    hash(k, STRLEN) -> slot, hash(k) -> slot  it does here, too
 *      both             hash(k) -> slot of GET, hash(k, STRLEN) -> slot of STRLEN
 *                       hash(k) -> group                          a slot without an answer does
 *
 * There are two: uthash under the cache's lock, the reference, and chunks of tags (index_chunked.c)
 * that readers search without it.
 * Threads  Everything @locks the cache's, but `find` and `fetch` of an index that
 *          says `lock_free`. */
#ifndef NKVI_CORE_INDEX_H
#define NKVI_CORE_INDEX_H

#include "core/lookup.h"

typedef struct nkvi_index nkvi_index;

/* Where a walk over the slots of one hash is. */
typedef struct nkvi_probe {
    const void *at;
    uint64_t rest, step;
} nkvi_probe;

typedef struct nkvi_index_ops {
    bool lock_free;
    size_t entry_bytes; /* what the budget gets back, at least, when a key goes */
    /* false: memory or budget; nothing changed. */
    bool (*insert)(nkvi_index *index, uint64_t hash, uint32_t slot);
    /* `to` takes the place of `from` in one step; cannot fail. */
    void (*replace)(nkvi_index *index, uint64_t hash, uint32_t from, uint32_t to);
    /* The pair must be there. */
    void (*remove)(nkvi_index *index, uint64_t hash, uint32_t slot);
    /* The first slot that may be under the hash (others may come up as well), and the one after; 0:
     * no more.  The index must not be changed during the walk. */
    uint32_t (*first)(const nkvi_index *index, uint64_t hash, nkvi_probe *probe);
    uint32_t (*next)(const nkvi_index *index, uint64_t hash, nkvi_probe *probe);
    /* Answers a query. */
    void (*find)(nkvi_index *index, const nkvi_view *view, const nkvi_query *query, int64_t now_ns,
                 nkvi_found *found);
    /* Fetches the memory that the answers of some queries will look at; a few dozen at most. */
    void (*fetch)(const nkvi_index *index, const nkvi_view *view, const nkvi_query *queries,
                  size_t n);
    void (*destroy)(nkvi_index *index);
} nkvi_index_ops;

struct nkvi_index {
    const nkvi_index_ops *ops;
    nkvi_store *store;
};

/* keys: how many are expected at most; 0: not known.  NULL: memory ran out. */
nkvi_index *nkvi_index_uthash_create(nkvi_store *store, uint64_t keys);
nkvi_index *nkvi_index_chunked_create(nkvi_store *store, uint64_t keys);

#endif
