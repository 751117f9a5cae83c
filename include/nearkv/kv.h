/* nearkv/kv.h - a key-value cache with a key prefix, over a client: what an application's cache
 * backend is (OmniCache's RedisBackend and the like), with local answers that the server vouches
 * for.
 *
 *      kv "tenant:"  --get("x")-->  GET tenant:x          local while the server has not said
 *                    --set("x")-->  SET tenant:x … PX     otherwise; a TTL set by anybody counts
 *                    --clear()-->   SCAN, UNLINK          never KEYS; of this prefix alone
 *
 * The key at the server is prefix + key, nothing between; the value is byte for byte what was given
 * unless there is a codec or compression.  Under the prefix two beginnings are the library's own:
 * "__tag__:" (which keys have a tag) and "__fresh__:" (until when a value is fresh, with stale_ms).
 *
 * Ownership  Keys, values and options are borrowed for the call; values come back as references.
 * Threads    [any]: one handle may be used by any number of threads.  The calls wait, so not from
 *            the loop's own thread (NKV_EDEADLK).
 * Times      Milliseconds.  A time to live of 0, or below, is an error, never «no expiry».
 * Errors     As the client's, and NKV_EDECODE.  A failed call tells call->error why.  NKV_ECONN and
 *            NKV_ETIMEDOUT of a write leave open whether the server executed it; every write here
 *            may be repeated. */
#ifndef NEARKV_KV_H
#define NEARKV_KV_H

#include <nearkv/client.h>
#include <nearkv/kv_codec.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_kv nkv_kv;

/* Times to live that are no number of milliseconds. */
#define NKV_KV_TTL_DEFAULT (-1) /* the handle's default_ttl_ms */
#define NKV_KV_TTL_NONE    (-2) /* the key does not expire */

/* Settings of a handle.  Strings are copied.  A few words on what they do:
 *
 * stale_ms        get_or_compute: a value lives so much longer than its TTL, and is handed out
 *                 meanwhile, while it is computed anew.  One that others have set to live no longer
 *                 than that is computed anew as well.
 * compress_above  Values of more bytes are compressed (zstd) where that makes them smaller.
 *                 Whatever is read is then looked at for the mark of a compressed value, so all who
 *                 share a prefix must agree whether there is this option.
 * fail_open       If the server gives no answer, an error, or bytes that cannot be decoded, a read
 *                 is NKV_NOT_FOUND and a set NKV_MISS, counted.  Removing is never let pass. */
typedef struct nkv_kv_options {
    size_t struct_size;        /* filled by nkv_kv_options_init() */
    nkv_str prefix;            /* of every key; any bytes, up to 65536; default empty */
    const nkv_kv_codec *codec; /* copied; NULL: bytes as they are */
    int64_t default_ttl_ms;    /* default NKV_KV_TTL_NONE */
    int ttl_jitter_percent;    /* a TTL is made shorter or longer by up to so much, so that what was
                                * written together does not expire together; default 0; to 50 */
    int64_t timeout_ms;        /* deadline of a call that does not say; default 0: the client's */
    int64_t stale_ms;          /* default 0 */
    int64_t compress_above;    /* default -1: never */
    int compress_level;        /* of zstd; default 3; 1 to 19 */
    int fail_open;             /* 1 or 0, the default */
    int forbid_flush;          /* 1: clear() of an empty prefix is NKV_EREFUSED; default 0 */
    /* since 0.2: new fields only below this line */
} nkv_kv_options;

NKV_API void nkv_kv_options_init_sized(nkv_kv_options *options, size_t size);
#define nkv_kv_options_init(options) nkv_kv_options_init_sized((options), sizeof *(options))

/* A handle over `client`, which must outlive it; nothing is sent.  options: NULL: all defaults.
 * Returns NKV_OK · NKV_EINVAL (names the option and what is allowed) · NKV_ENOMEM.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_create(nkv_client *client, const nkv_kv_options *options,
                                               nkv_kv **out, nkv_error *error);

/* A handle over a client of its own, as nkv_client_create(client_options) makes it: starts
 * connecting, does not wait.  Returns as both.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_open(const nkv_options *client_options,
                                             const nkv_kv_options *options, nkv_kv **out,
                                             nkv_error *error);

/* From now on every call returns NKV_ECLOSED; those under way end as they would have, but who waits
 * for a value that somebody else computes.  Again: nothing.  Since 0.1 */
NKV_API void nkv_kv_close(nkv_kv *kv);

/* Closes, waits for values that are being computed in the background, and frees, with the client if
 * it is the handle's own.  No call may be under way.  NULL is allowed.  Since 0.1 */
NKV_API void nkv_kv_destroy(nkv_kv *kv);

/* The client that it works over; the handle's or the caller's. */
NKV_API nkv_client *nkv_kv_client(nkv_kv *kv);

/* ---- reading --------------------------------------------------------------------------------- */

/* The value; an empty one is a value.  Returns NKV_OK (*out: a reference; without codec and
 * compression the cached answer itself) · NKV_NOT_FOUND (also after the TTL) · NKV_EREPLY
 * (WRONGTYPE …) · NKV_EDECODE · NKV_EINVAL (a key of the library's own) · as nkv_get().
 * Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_get(nkv_kv *kv, nkv_str key, nkv_call *call,
                                            nkv_value **out);

/* GETEX: the value, and from now on this time to live (ms, or NKV_KV_TTL_NONE, _DEFAULT).  Asks the
 * server.  Returns as nkv_kv_get() · NKV_EINVAL (the time).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_getex(nkv_kv *kv, nkv_str key, int64_t ttl_ms,
                                              nkv_call *call, nkv_value **out);

/* n keys at once: one pass over the cache, one round trip for the rest.  As nkv_mget().
 * Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_mget(nkv_kv *kv, const nkv_str *keys, size_t n,
                                             nkv_call *call, nkv_result *results);

/* Whether each of n keys exists: NKV_OK or NKV_NOT_FOUND.  As nkv_exists().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_exists(nkv_kv *kv, const nkv_str *keys, size_t n,
                                               nkv_call *call, nkv_result *results);

/* What is left of the key's time to live (PTTL; asks the server): *ttl_ms, or NKV_KV_TTL_NONE.
 * Returns NKV_OK · NKV_NOT_FOUND · as nkv_kv_get().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_ttl(nkv_kv *kv, nkv_str key, nkv_call *call,
                                            int64_t *ttl_ms);

/* ---- writing --------------------------------------------------------------------------------- */

typedef enum nkv_kv_when {
    NKV_KV_ALWAYS = 0,
    NKV_KV_IF_ABSENT = 1, /* NX */
    NKV_KV_IF_PRESENT = 2 /* XX */
} nkv_kv_when;

/* How something is set. */
typedef struct nkv_kv_set_options {
    size_t struct_size;  /* filled by nkv_kv_set_options_init() */
    int64_t ttl_ms;      /* > 0, NKV_KV_TTL_NONE, or (default) NKV_KV_TTL_DEFAULT */
    int keep_ttl;        /* 1: the key keeps what it has left (KEEPTTL); ttl_ms must be _DEFAULT */
    nkv_kv_when when;    /* default NKV_KV_ALWAYS */
    const nkv_str *tags; /* for nkv_kv_invalidate_tag(); none empty, none begins with '}'.  On a
                          * cluster not with a prefix whose first '{' stands before a '}' */
    size_t tags_len;
    /* since 0.2: new fields only below this line */
} nkv_kv_set_options;

NKV_API void nkv_kv_set_options_init_sized(nkv_kv_set_options *options, size_t size);
#define nkv_kv_set_options_init(options) nkv_kv_set_options_init_sized((options), sizeof *(options))

/* SET.  how: NULL: all defaults.  As Redis does, a key that is set without a TTL loses the one it
 * had.  Returns NKV_OK · NKV_NOT_FOUND (IF_PRESENT, and it was not) · NKV_MISS (IF_ABSENT, and it
 * was there; or failed open: call->error says which) · NKV_EINVAL · as nkv_set().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_set(nkv_kv *kv, nkv_str key, nkv_str value,
                                            const nkv_kv_set_options *how, nkv_call *call);

/* One of many. */
typedef struct nkv_kv_item {
    nkv_str key, value; /* in */
    nkv_status status;  /* out: as nkv_kv_set() returns */
} nkv_kv_item;

/* n keys, all on their way at once, each with its own status.  Returns NKV_OK when none is < 0,
 * else the first failure; the others are set all the same.  Of two equal keys either may be there
 * in the end.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_mset(nkv_kv *kv, nkv_kv_item *items, size_t n,
                                             const nkv_kv_set_options *how, nkv_call *call);

/* UNLINK of n keys; *removed (may be NULL): how many there were.  As nkv_del().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_delete(nkv_kv *kv, const nkv_str *keys, size_t n,
                                               nkv_call *call, int64_t *removed);

/* Gives the key another time to live (PEXPIRE; PERSIST for NKV_KV_TTL_NONE).  Returns NKV_OK ·
 * NKV_NOT_FOUND · NKV_EINVAL · as nkv_set().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_touch(nkv_kv *kv, nkv_str key, int64_t ttl_ms,
                                              nkv_call *call);

/* ---- clearing -------------------------------------------------------------------------------- */

/* How far it is. */
typedef struct nkv_kv_progress {
    int64_t scanned; /* keys seen */
    int64_t removed;
    int64_t passes; /* over a node */
} nkv_kv_progress;

/* Every page has the deadline of a call.  Without timeout_ms it ends when nothing at all could be
 * done within that, or when nothing more could be done for half a minute. */
typedef struct nkv_kv_clear_options {
    size_t struct_size; /* filled by nkv_kv_clear_options_init() */
    int64_t page;       /* SCAN … COUNT; default 1000; 1 to 100000 */
    int64_t pause_ms;   /* between pages, for the server to breathe; default 0 */
    int64_t timeout_ms; /* for all of it; default 0: none */
    int (*progress)(const nkv_kv_progress *progress,
                    void *ud); /* after each page, in the calling thread; not 0: cancel */
    void *ud;
    /* since 0.2: new fields only below this line */
} nkv_kv_clear_options;

NKV_API void nkv_kv_clear_options_init_sized(nkv_kv_clear_options *options, size_t size);
#define nkv_kv_clear_options_init(options) \
    nkv_kv_clear_options_init_sized((options), sizeof *(options))

/* Removes every key of the prefix, by SCAN and UNLINK of each node, page by page: what is there all
 * the time is removed, what is written meanwhile perhaps.  Slots that move, and nodes that restart
 * or fail over meanwhile, are scanned again.  *removed (may be NULL): how many, counted by UNLINK;
 * also after a failure.
 *
 * With an EMPTY PREFIX this is FLUSHDB ASYNC, of the selected database, of every primary, whoever
 * has written what is in it (*removed: -1); forbid_flush forbids it.
 * Returns NKV_OK · NKV_ETIMEDOUT · NKV_ECANCELED · NKV_EREFUSED · as nkv_command().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_clear(nkv_kv *kv, const nkv_kv_clear_options *options,
                                              nkv_error *error, int64_t *removed);

/* How many keys the prefix has, by SCAN.  While slots move some may be counted twice. */
NKV_API NKV_NODISCARD nkv_status nkv_kv_count(nkv_kv *kv, const nkv_kv_clear_options *options,
                                              nkv_error *error, int64_t *count);

/* ---- tags ------------------------------------------------------------------------------------ */

/* Removes every key that was set with the tag, by anybody, before this began; *removed (may be
 * NULL): how many there were.  A key keeps its tags until then, also if it is set again without;
 * what of them has expired is forgotten when the tag is used next.  If this fails, calling it
 * again goes on where it was, also after NKV_ETIMEDOUT.  Returns NKV_OK · NKV_EINVAL · as
 * nkv_command().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_invalidate_tag(nkv_kv *kv, nkv_str tag, nkv_call *call,
                                                       int64_t *removed);

/* Hands out every tag of the prefix and how many keys it has; `each` runs in the calling thread and
 * returns non-zero to end it.  A tag may come twice.  Since 0.1 */
typedef int (*nkv_kv_each_tag_fn)(nkv_str tag, int64_t keys, void *ud);
NKV_API NKV_NODISCARD nkv_status nkv_kv_tags(nkv_kv *kv, nkv_kv_each_tag_fn each, void *ud,
                                             nkv_call *call);

/* ---- computing what is not there ------------------------------------------------------------- */

/* Makes the value of a key: *out a reference, and how it is to be set (how: prepared with what the
 * caller gave).  Runs under no lock, in the thread of one of those who wait; with stale_ms also in
 * a thread of the handle's.  A failure (< 0) is what everybody gets who waits, and is not stored;
 * NKV_NOT_FOUND likewise. */
typedef nkv_status (*nkv_kv_compute_fn)(nkv_str key, nkv_value **out, nkv_kv_set_options *how,
                                        nkv_error *error, void *ud);

/* What makes values. */
typedef struct nkv_kv_maker {
    nkv_kv_compute_fn compute;
    void *ud;                      /* for compute() */
    const nkv_kv_set_options *how; /* the values are set so; NULL: all defaults */
} nkv_kv_maker;

/* The value, or what the maker makes of the key, which is then stored.  Of all threads that ask for
 * one key of this handle at the same time one computes, the others wait for its value, each until
 * its own deadline.  Whoever computes has no deadline for that; from inside compute() the same key
 * is NKV_EDEADLK.  A value that cannot be stored is handed out all the same (call->error says why).
 * If this handle sets or removes the key meanwhile, what was computed is not stored, and whoever
 * asks from then on does not get it.
 *
 * With nkv_kv_options.stale_ms: past its TTL the value is handed out for up to stale_ms more, and
 * one of all clients computes it anew, in the background: `ud` must live until nkv_kv_destroy().
 * Returns NKV_OK · as nkv_kv_get() · what compute() returns.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_get_or_compute(nkv_kv *kv, nkv_str key,
                                                       const nkv_kv_maker *maker, nkv_call *call,
                                                       nkv_value **out);

/* ---- keys that others make ------------------------------------------------------------------- */

/* OmniCache's CacheKeyBuilder: "name_space:kind:digest", digest the first `digits` (16: as
 * OmniCache, 64 bits; 32 is safer; to 64) hex digits of SHA-256 of `canonical_json`; the kinds
 * embedding, retrieval, context and response are written embed, retrieval, ctx and resp.
 * Returns NKV_OK (*out: a reference) · NKV_EINVAL · NKV_ENOMEM.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_kv_key_build(const char *name_space, const char *kind,
                                                  nkv_str canonical_json, int digits,
                                                  nkv_value **out, nkv_error *error);

/* ---- counters -------------------------------------------------------------------------------- */

typedef struct nkv_kv_stats {
    size_t struct_size;   /* filled by nkv_kv_stats_get() */
    uint64_t hits;        /* values handed out by get, getex, mget, get_or_compute … */
    uint64_t local_hits;  /* … of them without asking the server */
    uint64_t misses;      /* … and keys that were not there */
    uint64_t sets;        /* acknowledged */
    uint64_t deletes;     /* keys removed by delete, clear and tags */
    uint64_t errors;      /* calls, or keys of a call, that failed */
    uint64_t failed_open; /* … and were let pass */
    uint64_t computed;    /* values that `compute` made */
    uint64_t joined;      /* callers that got a value which another one computed */
    uint64_t stale;       /* values handed out past their TTL */
    uint64_t bytes_read;  /* of values handed out */
    uint64_t bytes_written;
    /* since 0.2: new fields only below this line */
} nkv_kv_stats;

/* Since the handle was made, or reset.  Since 0.1 */
NKV_API void nkv_kv_stats_get_sized(const nkv_kv *kv, nkv_kv_stats *out, size_t size);
#define nkv_kv_stats_get(kv, out) nkv_kv_stats_get_sized((kv), (out), sizeof *(out))
NKV_API void nkv_kv_stats_reset(nkv_kv *kv);

/* The same as Prometheus text, names beginning with "nearkv_kv_", label prefix="…".  To be given
 * back with nkv_free(); NULL: no memory.  Since 0.1 */
NKV_API NKV_NODISCARD char *nkv_kv_stats_text(const nkv_kv *kv);

#ifdef __cplusplus
}
#endif
#endif
