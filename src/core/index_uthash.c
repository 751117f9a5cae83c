/* core/index_uthash.c - the reference index: uthash, keyed by the 64-bit hash, under the cache's
 * lock.
 *
 *      uthash --hash--> node {slot} --same--> node {slot} --> …       slots that share a hash
 *
 * Everything it allocates is in the meter first.  A bucket array that cannot grow makes uthash
 * refuse the element (HASH_NONFATAL_OOM), so the insertion fails and nothing has changed.
 *
 * This is the one file that includes uthash. */
#include "core/index.h"

#include <assert.h>

#define HASH_NONFATAL_OOM         1
#define uthash_malloc(size)       metered_alloc(own->base.store, (size))
#define uthash_free(block, size)  metered_free(own->base.store, (block), (size))
#define uthash_nonfatal_oom(node) ((node)->refused = true)

static void *metered_alloc(nkvi_store *store, size_t size)
{
    if (!nkvi_meter_add(&store->meter, nkvi_mem_cost(size))) {
        return NULL;
    }
    void *block = nkvi_alloc(size);
    if (block == NULL) {
        nkvi_meter_sub(&store->meter, nkvi_mem_cost(size));
    }
    return block;
}

static void metered_free(nkvi_store *store, void *block, size_t size)
{
    nkvi_free(block);
    nkvi_meter_sub(&store->meter, nkvi_mem_cost(size));
}

#include <uthash.h>

typedef struct node {
    UT_hash_handle hh; /* of the first of its hash only */
    struct node *same; /* the next of the same hash */
    uint64_t hash;
    uint32_t slot;
    bool refused;
} node;

typedef struct uthash_index {
    nkvi_index base;
    node *table;
} uthash_index;

/* uthash takes the lower bits for the bucket. */
static unsigned spread(uint64_t hash)
{
    return (unsigned)hash;
}

static node *lookup(const uthash_index *own, uint64_t hash)
{
    node *first;
    HASH_FIND_BYHASHVALUE(hh, own->table, &hash, sizeof hash, spread(hash), first);
    return first;
}

static bool insert(nkvi_index *index, uint64_t hash, uint32_t slot)
{
    uthash_index *own = (uthash_index *)index;
    node *added = metered_alloc(index->store, sizeof *added);
    if (added == NULL) {
        return false;
    }
    memset(added, 0, sizeof *added);
    added->hash = hash;
    added->slot = slot;
    node *first = lookup(own, hash);
    if (first != NULL) {
        added->same = first->same;
        first->same = added;
        return true;
    }
    HASH_ADD_BYHASHVALUE(hh, own->table, hash, sizeof added->hash, spread(hash), added);
    if (added->refused) {
        metered_free(index->store, added, sizeof *added);
        return false;
    }
    return true;
}

/* The node of the pair, and the one before it among those of its hash (NULL: it is the first). */
static node *pair(const uthash_index *own, uint64_t hash, uint32_t slot, node **before)
{
    *before = NULL;
    node *at = lookup(own, hash);
    while (at != NULL && at->slot != slot) {
        *before = at;
        at = at->same;
    }
    assert(at != NULL);
    return at;
}

static void replace(nkvi_index *index, uint64_t hash, uint32_t from, uint32_t to)
{
    node *before;
    pair((uthash_index *)index, hash, from, &before)->slot = to;
}

static void remove_pair(nkvi_index *index, uint64_t hash, uint32_t slot)
{
    uthash_index *own = (uthash_index *)index;
    node *before;
    node *gone = pair(own, hash, slot, &before);
    if (before == NULL && gone->same != NULL) {
        /* The first is uthash's: it stays and takes over what the second holds. */
        node *second = gone->same;
        gone->slot = second->slot;
        gone->same = second->same;
        gone = second;
    } else if (before == NULL) {
        HASH_DELETE(hh, own->table, gone);
    } else {
        before->same = gone->same;
    }
    metered_free(index->store, gone, sizeof *gone);
}

static uint32_t next(const nkvi_index *index, uint64_t hash, nkvi_probe *probe)
{
    (void)index;
    (void)hash;
    const node *at = probe->at;
    if (at == NULL) {
        return 0;
    }
    probe->at = at->same;
    return at->slot;
}

static uint32_t first(const nkvi_index *index, uint64_t hash, nkvi_probe *probe)
{
    probe->at = lookup((const uthash_index *)index, hash);
    return next(index, hash, probe);
}

static void find(nkvi_index *index, const nkvi_view *view, const nkvi_query *query, int64_t now_ns,
                 nkvi_found *found)
{
    uint64_t realm = nkvi_realm_of(view->spaces, query->space);
    nkvi_found_none(found);
    nkvi_probe probe;
    uint32_t at = first(index, query->hash, &probe);
    nkvi_taken taken = NKVI_TAKEN_NOT;
    while (at != 0 && taken != NKVI_TAKEN_JUDGED) {
        taken = nkvi_slot_try(view, nkvi_slot_at(view->store, at), query, realm, now_ns, found);
        at = next(index, query->hash, &probe);
    }
}

static void fetch(const nkvi_index *index, const nkvi_view *view, const nkvi_query *queries,
                  size_t n)
{
    (void)index; /* chains of nodes: there is nothing that could be fetched ahead */
    (void)view;
    (void)queries;
    (void)n;
}

static void destroy(nkvi_index *index)
{
    uthash_index *own = (uthash_index *)index;
    while (own->table != NULL) {
        remove_pair(index, own->table->hash, own->table->slot);
    }
    nkvi_free(own);
}

static const nkvi_index_ops ops = {
    .lock_free = false,
    .entry_bytes = sizeof(node),
    .insert = insert,
    .replace = replace,
    .remove = remove_pair,
    .first = first,
    .next = next,
    .find = find,
    .fetch = fetch,
    .destroy = destroy,
};

nkvi_index *nkvi_index_uthash_create(nkvi_store *store, uint64_t keys)
{
    (void)keys;
    uthash_index *own = nkvi_calloc(1, sizeof *own);
    if (own == NULL) {
        return NULL;
    }
    own->base.ops = &ops;
    own->base.store = store;
    return &own->base;
}
