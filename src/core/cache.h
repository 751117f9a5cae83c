/* core/cache.h - the cache as the client sees it: spaces, owners, lookups of many, guarded puts.
 *
 * The public half (create, wrap, stats, reset …) is <nearkv/cache.h>.  Here is what a client needs
 * on top to keep its promises.
 *
 *      space   who may see an answer: one server (or cluster), database, user.  Registered by name,
 *              so that two clients with the same name share answers.  Holds the fence of its
 *              writes.
 *      owner   who vouches for an answer: one tracked lane.  Its generation is bumped when the lane
 *              is lost; that one store makes all its answers unusable (I1).
 *      moves   of a cluster: how often each hash slot has changed hands.  A slot that moves takes
 *              its answers along, by one store too.
 *      query   one lookup: space, key, command, and their hash, computed once.
 *
 * An answer is served only if  owner.generation == the entry's  &&  the moves of its hash slot ==
 * the entry's  &&  now < owner.fresh_until  &&  now < the entry's deadline.  `now` is always an
 * argument.
 * Threads  [any] unless said otherwise. */
#ifndef NKVI_CORE_CACHE_H
#define NKVI_CORE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nearkv/cache.h>

#include "core/draft.h"
#include "core/fence.h"
#include "core/written.h"

/* ---- owners ---------------------------------------------------------------------------------- */

#define NKVI_HASH_SLOTS 16384u /* of a cluster */

/* Hash slots of one cluster, as one client sees them. */
typedef struct nkvi_moves {
    _Atomic uint32_t of[NKVI_HASH_SLOTS]; /* only grow */
    _Atomic uint32_t most;                /* of any of them */
    struct nkvi_moves *next;              /* the cache's */
} nkvi_moves;

typedef struct nkvi_owner {
    _Alignas(64) _Atomic uint64_t generation; /* odd: vouches; even: does not.  Only grows. */
    _Atomic int64_t fresh_until_ns;    /* last sign of life + max_idle; INT64_MIN: nothing yet */
    _Atomic(const nkvi_moves *) moves; /* NULL: there are no hash slots */
    uint32_t id;                       /* constant; index into the cache's table of owners */
} nkvi_owner;

/* The moves of a cluster's slots, or NULL (memory).  They stay the cache's, which reuses them but
 * never sets them back. */
nkvi_moves *nkvi_cache_moves_open(nkv_cache *cache);
/* Every owner that was opened with them is closed. */
void nkvi_cache_moves_close(nkv_cache *cache, nkvi_moves *moves);
/* The slot has another master, or is going to: what anybody vouched for in it is unusable at once;
 * the memory follows. */
void nkvi_cache_slot_moved(nkv_cache *cache, nkvi_moves *moves, uint16_t hash_slot);

/* A new owner that does not vouch yet, or NULL (memory, or more than 2^18 owners); moves: of its
 * cluster, or NULL.  Returned owners are reused only after their generation moved on, so stamps of
 * an earlier user never match. */
nkvi_owner *nkvi_cache_owner_open(nkv_cache *cache, const nkvi_moves *moves);
/* Ends vouching and gives the owner back. */
void nkvi_cache_owner_close(nkv_cache *cache, nkvi_owner *owner);

/* How many owners are open: more than one, and answers in the cache may be vouched for by lanes
 * that the caller does not know. */
uint32_t nkvi_cache_owner_count(const nkv_cache *cache);

/* Starts / ends vouching.  begin returns the new generation.  end makes everything the owner
 * vouched for unusable at once (O(1)); the memory is freed bit by bit by later calls into the
 * cache. */
uint64_t nkvi_cache_owner_begin(nkv_cache *cache, nkvi_owner *owner, int64_t fresh_until_ns);
void nkvi_cache_owner_end(nkv_cache *cache, nkvi_owner *owner);

/* ---- spaces ---------------------------------------------------------------------------------- */

/* The number and the fence of a space; the same name gives the same.  false: memory, or 2^16
 * spaces. They live as long as the cache. */
bool nkvi_cache_space_open(nkv_cache *cache, nkv_str name, uint32_t *space, nkvi_fence **fence);

/* How many spaces there are (their numbers are 0 … count - 1), and the fence of one of them. */
uint32_t nkvi_cache_space_count(const nkv_cache *cache);
nkvi_fence *nkvi_cache_space_fence(nkv_cache *cache, uint32_t space);

/* ---- own writes (core/write.c) --------------------------------------------------------------- */

/* Brackets a write of ours to the key: fences and drops it in *every* space, because two clients
 * that share the cache may reach one server under two addresses or users, and neither may read what
 * the other has overwritten (P2).  begin before the command is sent; end after it was answered or
 * given up, and before the caller is told.  begin returns how many spaces it bracketed, which end
 * must be told: a space may be opened in between. */
uint32_t nkvi_cache_write_begin(nkv_cache *cache, nkv_str key);
void nkvi_cache_write_end(nkv_cache *cache, nkv_str key, uint32_t spaces);

/* From now on write_end and flush_own note what was written (core/written.h), for clients that read
 * from replicas; the cache's, to its end.  NULL: memory. */
nkvi_written *nkvi_cache_written(nkv_cache *cache);

/* The same as a write for a command that changes everything (FLUSHALL, SWAPDB …); called before and
 * after. */
void nkvi_cache_flush_own(nkv_cache *cache);

/* ---- lookups and puts ------------------------------------------------------------------------ */

typedef struct nkvi_query {
    nkv_str key;
    nkv_str command; /* canonical bytes of the command and its other arguments; empty: GET */
    uint32_t space;
    uint64_t key_id;   /* of the key alone; finds its counters */
    uint64_t key_hash; /* of space and key; picks the cell of the fence */
    uint64_t hash;     /* of all; == key_hash when command is empty */
} nkvi_query;

/* Fills in the hashes. */
void nkvi_query_hash(const nkv_cache *cache, nkvi_query *query);

typedef enum nkvi_outcome {
    NKVI_HIT = 0,
    NKVI_ABSENT = 1,
    NKVI_EXPIRED = 2, /* there, but its own deadline has passed at `now` */
    NKVI_LAPSED = 3   /* there, but its owner's generation moved on or it was silent too long */
} nkvi_outcome;

typedef struct nkvi_found {
    nkv_value *value; /* a reference, for NKVI_HIT; else NULL */
    nkvi_outcome outcome;
    uint32_t owner; /* of a hit: who vouches */
} nkvi_found;

/* Looks n queries up in one pass (prefetching); a single read is n = 1.  No lock, no allocation, no
 * system call on the chunked index.  Does not count hits or misses: see nkvi_cache_count. */
void nkvi_cache_find(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                     nkvi_found *found);

/* Like find, but stops behind the first query that is not a hit or whose value the callback does
 * not want to go on behind; returns how many were looked at, only those of `found` are filled in.
 * For prefix lookups. */
size_t nkvi_cache_find_while(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                             nkvi_found *found, bool (*go_on)(const nkv_value *value));

/* Counts the outcome of reads for totals and the key's counters.  What a validation found is
 * counted by nkv_cache_feedback. */
typedef enum nkvi_count { NKVI_COUNT_HIT, NKVI_COUNT_MISS } nkvi_count;
void nkvi_cache_count(nkv_cache *cache, const nkvi_query *query, nkvi_count what);

/* The same for the hits of one pass: those queries whose value is not NULL. */
void nkvi_cache_count_hits(nkv_cache *cache, const nkvi_query *queries, nkv_value *const *values,
                           size_t n);

typedef struct nkvi_stamp {
    const nkvi_owner *owner;
    uint64_t generation;     /* the owner's, when the read was sent */
    int64_t deadline_ns;     /* NKVI_NEVER: none */
    const nkvi_token *token; /* of the fence, when the read was sent; NULL: none */
    uint32_t moves;          /* of the hash slot, when the read was sent */
    uint16_t hash_slot;      /* of the key; 0 where there are none */
} nkvi_stamp;

/* Makes a value of the draft (which is nil afterwards unless NULL is returned) and stores it if the
 * stamp's token is intact, its generation is current and it fits.  *stored (may be
 * NULL) tells.  Replaces what was there; one that is not stored drops it, because the caller has
 * seen the newer answer.  One that contradicts another owner's is not stored either, and breaks all
 * tokens of the key.  Returns a reference for the caller in either case, or NULL if not even a
 * value could be made (memory ran out). */
nkv_value *nkvi_cache_put(nkv_cache *cache, const nkvi_query *query, nkvi_draft *draft,
                          const nkvi_stamp *stamp, int64_t now_ns, bool *stored);

/* Drops the answer to the query, if there is one: the caller has seen a newer one that is not put.
 */
void nkvi_cache_forget(nkv_cache *cache, const nkvi_query *query);

/* Drops all commands of the key in the space; O(1) in the size of the cache.  Returns how many
 * answers were dropped. */
size_t nkvi_cache_invalidate(nkv_cache *cache, uint32_t space, nkv_str key);

/* Drops everything of the space; O(1), memory follows. */
void nkvi_cache_flush(nkv_cache *cache, uint32_t space);

/* ---- confidence ------------------------------------------------------------------------------ */

/* Whether this hit must be validated against the server.  `random` is 64 random bits.  Confidence
 * 100: never, 0: always. */
bool nkvi_cache_must_validate(nkv_cache *cache, uint64_t random);

/* Healthy, as a cache of one's own sees itself; the built-in one always is. */
bool nkvi_cache_healthy(nkv_cache *cache);

/* Looks at up to `entries` entries, going round, and frees those whose owner or space is gone or
 * whose deadline has passed; returns whether a flush or a lost owner has left something that was
 * not looked at yet.  Called by the loop's housekeeping. */
bool nkvi_cache_tidy(nkv_cache *cache, int64_t now_ns, size_t entries);

/* A buffer of at least `size` bytes to receive a large answer into, counted against the limit of
 * the cache, which throws out what it must; where that does not do, and in a cache of one's own, it
 * comes from outside.  It goes into a draft as its block, with nkvi_pool_give (core/pool.h) as
 * free_fn. NULL: memory ran out. */
void *nkvi_cache_buffer(nkv_cache *cache, size_t size);

#endif
