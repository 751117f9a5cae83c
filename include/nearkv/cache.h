/* nearkv/cache.h - the local cache: the built-in one, and the table for one of your own.
 *
 * A cache maps (space, key, command) to an answer.  `space` separates what must never mix: answers
 * of different servers, databases and users; the client gives each its number.  `command` is an
 * opaque, canonical encoding of the command and its other arguments; the empty one is GET.
 *
 * The client decides what may be served: it checks owner, health and deadline of every answer that
 * a cache hands it, so a cache of your own cannot make a stale hit out of a lost connection.  What
 * it can get wrong is invalidate() and reset(): after they return, get() must not return what was
 * put before.  `nkv_cache_conformance()` in the test suite checks such a table.
 *
 * Threads  The built-in cache is [any].  A table of your own is called from any thread at once. */
#ifndef NEARKV_CACHE_H
#define NEARKV_CACHE_H

#include <nearkv/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_cache nkv_cache;

typedef enum nkv_policy {
    NKV_POLICY_LRU = 0,   /* second chance on one list: a hit sets a bit and takes no lock; exact
                             promotion with `strict` or up to 1024 keys */
    NKV_POLICY_S3FIFO = 1 /* small queue of 50 %, moved on one hit, ghosts: resists scans */
} nkv_policy;

typedef enum nkv_index_kind {
    NKV_INDEX_CHUNKED = 0, /* tag chunks, read without a lock */
    NKV_INDEX_UTHASH = 1   /* uthash under one mutex: the reference of the differential tests */
} nkv_index_kind;

typedef struct nkv_cache_options {
    size_t struct_size;      /* filled by nkv_cache_options_init() */
    int64_t keys_max;        /* distinct keys; default 4096; < 0 unbounded; 0 caches nothing */
    int64_t bytes_max;       /* keys + answers + index + spare buffers; default 64 MiB; < 0
                                unbounded; 0 caches nothing */
    int64_t entry_bytes_max; /* a larger answer is not stored; default 0: bytes_max / 2 */
    nkv_policy policy;       /* default NKV_POLICY_LRU */
    int strict;              /* 1: exact LRU order, a lock on every hit; default 0 */
    nkv_index_kind index;    /* default NKV_INDEX_CHUNKED */
    double confidence;       /* 0..100 % of hits trusted without asking the server; default 100 */
    int dynamic_confidence;  /* 1: × 0.999 on a dirty answer, × 1.0001 on a good one; default 0 */
    size_t key_counters;     /* keys with counters of their own; default 1024; 0 none */
    uint64_t reserved[8];    /* 0; new fields take their room from here, as nkv_options holds one */
} nkv_cache_options;

/* Sets every field to its default; `size` is sizeof the caller's struct (the macro passes it). */
NKV_API void nkv_cache_options_init_sized(nkv_cache_options *options, size_t size);
#define nkv_cache_options_init(options) nkv_cache_options_init_sized((options), sizeof *(options))

/* Totals and gauges of one cache.  All counters only grow until nkv_cache_clear_stats(). */
typedef struct nkv_cache_stats {
    uint64_t hits;          /* lookups that found a servable answer */
    uint64_t misses;        /* lookups that found none */
    uint64_t invalidations; /* keys named by invalidate(), cached or not */
    uint64_t dirty;         /* validations that found another answer at the server */
    uint64_t puts;          /* answers stored */
    uint64_t puts_refused;  /* not stored: too large, full of pinned answers, or a fence */
    uint64_t evictions;     /* keys thrown out for room */
    uint64_t expirations;   /* answers dropped because their deadline had passed */
    uint64_t flushes;       /* whole spaces or caches dropped */
    uint64_t keys;          /* now */
    uint64_t bytes;         /* now */
    uint64_t pinned_bytes;  /* now: dropped from the cache, still held by readers */
    uint64_t reserved[8];   /* 0; new fields take their room from here */
} nkv_cache_stats;

typedef struct nkv_key_stats {
    uint64_t hits, misses, invalidations, dirty;
} nkv_key_stats;

/* The table.  Every function may be called from any thread at once; none may block on I/O or call
 * back into the client. */
typedef struct nkv_cache_ops {
    size_t struct_size; /* sizeof(nkv_cache_ops) of the caller */
    /* Returns a reference for the caller (release with nkv_value_release), or NULL.  It must be
     * to a value that put() was given: only those carry what the client checks, others are not
     * served. */
    nkv_value *(*get)(void *self, uint32_t space, nkv_str key, nkv_str command);
    /* Stores `value` and takes its own reference if it keeps it.  deadline_ns: CLOCK_MONOTONIC time
     * after which it is of no use (INT64_MAX: none). */
    void (*put)(void *self, uint32_t space, nkv_str key, nkv_str command, nkv_value *value,
                int64_t deadline_ns);
    /* Drops every command of the key. */
    void (*invalidate)(void *self, uint32_t space, nkv_str key);
    /* Drops everything of the space; UINT32_MAX: of all. */
    void (*reset)(void *self, uint32_t space);
    void (*stats)(void *self, nkv_cache_stats *stats); /* changes what we counted; NULL: nothing */
    double (*confidence)(void *self);                  /* NULL: 100 */
    void (*feedback)(void *self, uint32_t space, nkv_str key, int match); /* NULL: ignored */
    int (*healthy)(void *self);  /* NULL: healthy; 0: every read bypasses */
    void (*destroy)(void *self); /* NULL: nothing to do; called once, when the last user let go */
} nkv_cache_ops;

/* Makes a built-in cache.  options: NULL for the defaults; copied.  On success *out holds a
 * reference.  Returns NKV_OK · NKV_EINVAL (error names the option and its range) · NKV_ENOMEM.
 * [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_cache_create(const nkv_cache_options *options, nkv_cache **out,
                                                  nkv_error *error);

/* Wraps a table of one's own (copied) as a cache.  `self` is handed to every function.
 * Returns NKV_OK · NKV_EINVAL (get, put, invalidate or reset missing) · NKV_ENOMEM; after a failure
 * destroy() is not called.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_cache_wrap(const nkv_cache_ops *ops, void *self,
                                                nkv_cache **out, nkv_error *error);

/* References: create/wrap and nkv_client_cache() hand one out; the last release frees the cache.
 * Values that readers still hold stay valid.  NULL is allowed.  [any]  Since 0.1 */
NKV_API nkv_cache *nkv_cache_retain(nkv_cache *cache);
NKV_API void nkv_cache_release(nkv_cache *cache);

/* Reads or clears the totals.  The numbers are each exact, but not one instant.
 * [any]  Since 0.1 */
NKV_API void nkv_cache_get_stats(nkv_cache *cache, nkv_cache_stats *stats);
NKV_API void nkv_cache_clear_stats(nkv_cache *cache);

/* Counters of one key over all spaces and commands.  Returns NKV_OK · NKV_MISS (the bounded table
 * does not hold this key).  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_cache_key_stats(nkv_cache *cache, nkv_str key,
                                                     nkv_key_stats *stats);

/* Folds the counters of single keys into the totals, which do not change, and forgets the keys.
 * [any]  Since 0.1 */
NKV_API void nkv_cache_compact_stats(nkv_cache *cache);

/* Confidence now, in percent; and what coredis calls feedback: `match` says whether a validation
 * found the cached answer at the server.  [any]  Since 0.1 */
NKV_API double nkv_cache_confidence(nkv_cache *cache);
NKV_API void nkv_cache_feedback(nkv_cache *cache, uint32_t space, nkv_str key, int match);

/* Drops everything and restores the configured confidence.  O(1); memory follows bit by bit.
 * [any]  Since 0.1 */
NKV_API void nkv_cache_reset(nkv_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
