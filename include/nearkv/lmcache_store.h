/* nearkv/lmcache_store.h - LMCache's operations on chunks, over a client.
 *
 *      K ----> metadata key --tracked lane, cached--> is it there, how large, what shape
 *        \---> payload key  --bulk lanes-----------> bytes, received where the caller wants them
 *
 * Metadata answers are kept by the client's cache, the negative ones too, and the server says when
 * they change: a lookup that is repeated costs no round trip, and a get knows its sizes.
 *
 * A put writes payload and metadata in one command (MSET; with ttl_s in a transaction); where the
 * server does not take that, the payload, and only when the server has acknowledged it, the
 * metadata.  So metadata without its payload is never made, not even when the server is out of
 * memory.  It then reads the metadata back on the tracked lane, so that the next lookup is local.
 * A remove deletes metadata first.  Where a get finds the payload gone (evicted), or of another
 * size than the metadata says, it is a miss, and the metadata of a payload that is gone is deleted.
 *
 * With NKV_LMCACHE_SINGLE_KEY there is no metadata: a lookup is EXISTS, and `chunk_bytes` says
 * which size a value must have.  A get is then one round trip, two with cache_payloads.
 *
 * Ownership, completions, threads: nearkv/batch.h.  Items are nkv_item: key is K (opaque bytes, not
 * empty), meta the metadata.  Conventions of errors: nearkv/lmcache.h. */
#ifndef NEARKV_LMCACHE_STORE_H
#define NEARKV_LMCACHE_STORE_H

#include <nearkv/batch.h>
#include <nearkv/lmcache_key.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_lmcache nkv_lmcache;

typedef struct nkv_lmcache_options {
    size_t struct_size;          /* filled by nkv_lmcache_options_init() */
    nkv_lmcache_layout layout;   /* default NKV_LMCACHE_PLAIN_SUFFIX */
    nkv_lmcache_padding padding; /* of written metadata; default NKV_LMCACHE_PAD_ZEROS */
    uint32_t groups;     /* KV groups to read in metadata; default 0: as many as there are */
    int64_t ttl_s;       /* expiry of what is put, both keys, in seconds; default 0: none */
    int64_t timeout_ms;  /* deadline of a call that does not say; default 10000 (LMCache's
                           blocking_timeout_secs) */
    int verify_payload;  /* 1: a lookup also asks for the payload's size (STRLEN, cached in the same
                           way), so that an evicted payload is not promised; default 0 */
    int64_t chunk_bytes; /* NKV_LMCACHE_SINGLE_KEY: any other size is a miss; default 0: any */
    int cache_payloads;  /* 1: payloads that were read are kept in the client's cache, within its
                           limits, for as long as their metadata (SINGLE_KEY: the key) is unchanged;
                           default 0: metadata alone is kept */
    int one_by_one;      /* 1: a put writes payloads and metadata in two steps, for proxies that
                           split commands over several servers; default 0 */
    void *reserved[6];
} nkv_lmcache_options;

NKV_API void nkv_lmcache_options_init_sized(nkv_lmcache_options *options, size_t size);
#define nkv_lmcache_options_init(options) \
    nkv_lmcache_options_init_sized((options), sizeof *(options))

/* LMCache's operations over `client`, which must outlive it.  options: copied; NULL: all defaults.
 * Returns NKV_OK · NKV_EINVAL (names the option and what is allowed) · NKV_ENOMEM.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_create(nkv_client *client,
                                                    const nkv_lmcache_options *options,
                                                    nkv_lmcache **out, nkv_error *error);

/* Ends it («close»); NULL is allowed.  No call on it may be under way; submitted batches may. */
NKV_API void nkv_lmcache_destroy(nkv_lmcache *lmcache);

/* ---- lookups --------------------------------------------------------------------------------- */

/* Which chunks are there.  Each item: NKV_OK (meta, if not NULL, and len are filled in; with
 * SINGLE_KEY neither) · NKV_NOT_FOUND (also for metadata that cannot be read) · a failure as
 * nkv_batch_exists().  Returns NKV_OK · the first failure · NKV_EINVAL (an empty K).
 * batched_contains as a list; exists with n = 1.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_contains(nkv_lmcache *lmcache, nkv_item *items,
                                                      size_t n, nkv_call *call);

/* How many leading chunks are there; stops at the first that is not («prefix count»).  A local
 * answer costs no round trip, no allocation up to 64 keys; otherwise up to nkv_options.chunk_size
 * keys are asked for in one.  Returns NKV_OK · a failure before the prefix ended.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_prefix(nkv_lmcache *lmcache, const nkv_str *keys,
                                                    size_t n, nkv_call *call, size_t *prefix);

/* ---- chunks ---------------------------------------------------------------------------------- */

/* Metadata and payload.  Each item: NKV_OK · NKV_NOT_FOUND · NKV_ESIZE (longer than cap: len says
 * how long) · as nkv_batch_get().  Positions are kept: a hole stays a hole.  meta, if not NULL, is
 * filled in before alloc() is called.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_get(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                                 nkv_call *call);

/* The same for the consecutive prefix only (batched_get_non_blocking): *prefix leading items are
 * NKV_OK; all behind are NKV_NOT_FOUND, and hold nothing (a reference is given back; what alloc()
 * gave is the caller's to free).  Payloads behind the first missing metadata are not asked for.
 * Priority NKV_PREFETCH.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_get_prefix(nkv_lmcache *lmcache, nkv_item *items,
                                                        size_t n, nkv_call *call, size_t *prefix);

/* Writes value and meta of each item.  meta NULL: plain bytes (BINARY_BUFFER); meta->length must be
 * the value's length (NKV_EINVAL).  Of items with one key the last is written.  When it returns
 * NKV_OK, lookups through this client see it.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_put(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                                 nkv_call *call);

/* Deletes both keys, metadata first.  Each item: NKV_OK (one of them was there) · NKV_NOT_FOUND ·
 * as nkv_batch_remove().  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_remove(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                                    nkv_call *call);

/* Calls `each` with every K that begins with `prefix` (empty: all) and has metadata
  * (SINGLE_KEY: and is a string), from SCAN: a K that is there all the time comes at least once,
  * one that comes or goes meanwhile perhaps.  A K may come twice.  `each` runs in the calling
  * thread, and returns non-zero to end it.  The timeout is for all of it.  Returns NKV_OK · as
  * nkv_command().  [any] but the loop's thread. */
typedef int (*nkv_lmcache_each_fn)(nkv_str key, void *ud);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_list(nkv_lmcache *lmcache, nkv_str prefix,
                                                  nkv_lmcache_each_fn each, void *ud,
                                                  nkv_call *call);

/* PING.  Returns as nkv_command(). */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_ping(nkv_lmcache *lmcache, nkv_call *call);

/* ---- not waiting ----------------------------------------------------------------------------- */

/* As nkv_submit_get(); contains and get_prefix tell the prefix in the completion. */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_submit_contains(nkv_lmcache *lmcache, nkv_item *items,
                                                             size_t n, nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_submit_get(nkv_lmcache *lmcache, nkv_item *items,
                                                        size_t n, nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_submit_get_prefix(nkv_lmcache *lmcache,
                                                               nkv_item *items, size_t n,
                                                               nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_submit_put(nkv_lmcache *lmcache, nkv_item *items,
                                                        size_t n, nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_submit_remove(nkv_lmcache *lmcache, nkv_item *items,
                                                           size_t n, nkv_ticket *ticket);

#ifdef __cplusplus
}
#endif
#endif
