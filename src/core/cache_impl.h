/* core/cache_impl.h - what a cache is made of; for src/core only.
 *
 *      nkv_cache --index--> slots (store) <--queues-- policy
 *          |                  ^ 1 answer, 1 key
 *          +-- spaces, owners: whom readers ask whether an answer still counts
 *
 * Invariants   C1  every visible slot is in the index under its hash, and its key under the key's
 *                  hash
 *              C2  a key has one slot that stands for it: its only answer, or a group
 *              C3  keys counts those, and is never above keys_max; the meter never above bytes_max
 *              C4  visible_bytes is the sum of the charges of the visible slots
 * Locks        mu: index, policy, rings, free slots, the numbers below it.  It is a leaf but for
 *              the pool's.  Answers are freed after it was let go.  Readers of a lock-free index
 *              take it only to promote exactly. */
#ifndef NKVI_CORE_CACHE_IMPL_H
#define NKVI_CORE_CACHE_IMPL_H

#include <pthread.h>

#include "core/cache.h"
#include "core/confidence.h"
#include "core/counters.h"
#include "core/index.h"
#include "core/keystats.h"
#include "core/policy.h"
#include "core/wrap.h"

struct nkv_cache {
    /* Read by every lookup, written by none. */
    nkvi_view view;
    nkvi_index *index; /* NULL: wrapped */
    bool exact;        /* hits promote under the lock */
    bool free_reads;   /* hits take no lock */
    bool off;          /* a limit of 0: caches nothing */
    uint64_t seed;
    uint64_t keys_max, entry_bytes_max;
    nkvi_confidence confidence;
    nkvi_owners owners;
    nkvi_spaces spaces;
    nkv_cache_ops ops; /* wrapped */
    void *self;        /* wrapped */

    _Alignas(64) pthread_mutex_t mu;
    nkvi_policy policy;
    uint64_t visible_bytes;
    uint64_t keys;                   /* slots that stand for a key */
    _Atomic uint64_t live;           /* of these, in realms that stand: what stats tell */
    uint32_t sweep_slab, sweep_slot; /* where the sweep is */
    uint64_t sweep_left;             /* slots to look at before everything dead is gone */
    uint64_t sweep_seen;             /* the wish that sweep_left stands for */
    _Atomic uint64_t sweep_wish;     /* counts flushes and lost owners */

    _Alignas(64) _Atomic uint64_t refs;
    _Atomic(nkvi_written *) written; /* NULL: nobody reads from replicas */
    nkvi_keystats keystats;
    nkvi_totals totals;
};

/* ---- Entries (cache_entry.c); all @locks mu ------------------------------------------------ */

/* What a put wants to store; block and long name are taken by the slot. */
typedef struct nkvi_filling {
    const nkvi_query *query;
    nkv_reply root;
    void *block; /* or a nkvi_foreign */
    bool foreign;
    nkvi_long_name *name; /* NULL: it fits into the slot */
    uint64_t charge;      /* in the meter already */
    uint64_t stamp;
    int64_t deadline_ns;
    const nkvi_token *token; /* NULL: none */
} nkvi_filling;

/* The entry of a query / the slot that stands for its key, in the realm; 0: none. */
uint32_t nkvi_entry_find(const nkv_cache *cache, const nkvi_query *query, uint64_t realm);
uint32_t nkvi_entry_head(const nkv_cache *cache, const nkvi_query *query, uint64_t realm);

typedef enum nkvi_entered {
    NKVI_ENTERED,
    NKVI_ENTER_NEEDS_SLOT, /* no slot left */
    NKVI_ENTER_NEEDS_INDEX /* no room in the index */
} nkvi_entered;

/* Enters a filling, with one reference for the caller; *index is its slot.  What it replaces is put
 * on the chain.  Otherwise nothing has changed (a group may have been made, which is none). */
nkvi_entered nkvi_entry_enter(nkv_cache *cache, const nkvi_filling *filling, int64_t now_ns,
                              uint32_t *index, uint32_t *chain);

/* Removes one answer / all answers of a key; those that nobody holds are put on the chain, to be
 * finished without the lock.  Returns how many answers went. */
void nkvi_entry_remove(nkv_cache *cache, uint32_t index, uint32_t *chain);
size_t nkvi_entry_remove_key(nkv_cache *cache, uint32_t head, uint32_t *chain);

/* Throws the key out whose turn it is; false: there is none. */
bool nkvi_entry_evict(nkv_cache *cache, uint32_t *chain, uint64_t *bytes);

/* Looks at up to `slots` slots and removes what is dead among them. */
void nkvi_entry_sweep(nkv_cache *cache, int64_t now_ns, size_t slots, uint32_t *chain);

/* Whether a sweep is under way or wished for. */
bool nkvi_entry_sweeping(const nkv_cache *cache);

/* Removes everything. */
void nkvi_entry_clear(nkv_cache *cache);

/* ---- Whole caches --------------------------------------------------------------------------- */

/* Adds `bytes` to the meter, throwing out spares and keys for it; false: it cannot be done. */
bool nkvi_cache_reserve(nkv_cache *cache, uint64_t bytes);

/* Removes the answers of a key; returns how many. */
size_t nkvi_cache_remove_key(nkv_cache *cache, const nkvi_query *query);

/* Counts an event of a key, in its counters and the totals. */
void nkvi_cache_count_key(nkv_cache *cache, const nkvi_query *query, nkvi_counted what);

#endif
