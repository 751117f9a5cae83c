/* nearkv/connector.h - a store of your own behind the same cached client.
 *
 *      nkv_get, nkv_mget, nkv_prefix, nkv_set … --hit--> from memory
 *                        | miss, write
 *                        v
 *      worker threads --get(items, n)--> your table of functions --> your store
 *                                                                       | somebody changed a key
 *      cache <--nkv_voucher_invalidate(key), from any thread of yours---'
 *
 * A connector is a table of batch operations that may block; nkv_client_wrap() makes a client of
 * it.  Single flight, deadlines, levels, statistics, events and the bracket around own writes are
 * those of any client.  Nothing is cached before the connector *vouches*: it says with
 * nkv_voucher_begin() that from now on it tells of every change, and then does so.
 *
 * The voucher's promise, from begin until end:
 *      1. Every change of a key that becomes visible to get and exists is told, by invalidate or
 *         flush, whoever made it.  Only what put and remove of this very table changed need not be,
 *         as far as it was visible before they returned.  (It may be; it costs a miss.)
 *      2. A change is told *after* it is visible: a get that begins after the telling must not
 *         return what was there before.
 *      3. It is told soon.  Until then reads may return the value from before.
 *      4. nkv_voucher_heard() means: nothing that was visible before it is still to be told.
 * What follows from it: when nkv_voucher_invalidate() has returned, no read returns from memory
 * what was there before the change.  An answer that your store gave to a read which was under way
 * at that moment goes to those who had asked, and is neither kept nor shared any further.  When
 * nkv_voucher_end() has returned, or max_idle_ms has passed since the last heard (or begin),
 * nothing is served from memory.
 * What does not follow: that a read sees a change which was not told yet (NKV_EVENTUAL, NKV_DRAIN),
 * or that a value is right which get returned although a newer one had been told: it is kept until
 * the key's next change is told, or max_ttl_ms has passed.
 *
 * Ownership  The table is copied, strings included; `ud` is yours, and must live until close()
 *            returned.  Items, keys and values are borrowed for the call.
 * Threads    The table's functions are called from threads of the client's, several at once unless
 *            calls_max is 1, under no lock.  They may use the voucher, but no function that takes a
 *            client.  open() runs inside nkv_client_wrap(), close() inside nkv_client_destroy().
 * Units      Times are milliseconds unless the name says ns; sizes are bytes. */
#ifndef NEARKV_CONNECTOR_H
#define NEARKV_CONNECTOR_H

#include <nearkv/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nkv_client;
struct nkv_options;

typedef struct nkv_voucher nkv_voucher;
typedef struct nkv_connector_scan nkv_connector_scan;

/* One key of a call. */
typedef struct nkv_connector_item {
    nkv_str key;       /* in: any bytes, also none */
    nkv_str value;     /* put, in */
    int64_t ttl_ms;    /* put, in: the key's expiry, 0: none.  get and exists, out: how long the key
                          will still be there; it stands at -1: for ever, or you do not know */
    nkv_status status; /* out: see nkv_connector_fn */
    void *reserved[3]; /* not yours */
} nkv_connector_item;

/* get, exists, put, remove: does the same to n keys (1 or more; perhaps one twice), and sets the
 * status of each item by itself:
 *
 *      get      NKV_OK (nkv_connector_room() was asked for memory, and has the whole value) ·
 *               NKV_NOT_FOUND · any failure
 *      exists   NKV_OK · NKV_NOT_FOUND · any failure
 *      put      NKV_OK · any failure (also where it may have been done all the same)
 *      remove   NKV_OK (it was there) · NKV_NOT_FOUND · any failure
 *
 * Returning a failure (< 0) gives it, and the text in *error, to every item that was not given a
 * status.  An item without one after NKV_OK is NKV_EPROTO.
 * deadline_ns: time of CLOCK_MONOTONIC after which nobody waits for any of them; INT64_MAX: never.
 * A function that comes back later hangs nobody, but keeps its thread, and holds
 * nkv_client_destroy() up. */
typedef nkv_status (*nkv_connector_fn)(void *ud, nkv_connector_item *items, size_t n,
                                       int64_t deadline_ns, nkv_error *error);

typedef struct nkv_connector {
    size_t struct_size; /* sizeof(nkv_connector) of the caller */
    const char *name;   /* what is connected to, for health and errors: "dir:/var/chunks".  Clients
                           that share a cache and have connectors of one name share answers */
    void *ud;           /* handed to every function */
    unsigned calls_max; /* calls at once, each on a thread; 0: options.bulk_connections; 1: never
                           two at once, for what is not thread-safe (open and close included) */
    size_t batch_max;   /* items of one call; 0: options.chunk_size */
    int punctual;       /* 1: get and put always return soon after their deadline.  Then large
                           values go straight to and from the memory of nkv_batch_… callers, who
                           wait for that return; else they pass through a buffer, because a call
                           that ends at its deadline must leave nobody who still writes there */

    nkv_connector_fn get, exists; /* required */
    nkv_connector_fn put, remove; /* NULL: such calls return NKV_ENOTSUP */
    /* Calls nkv_connector_add() for every key that begins with `prefix` (empty: all).  NULL:
     * NKV_ENOTSUP. */
    nkv_status (*scan)(void *ud, nkv_str prefix, nkv_connector_scan *scan, int64_t deadline_ns,
                       nkv_error *error);
    /* Is the store there?  For PING.  NULL: PING is answered by the client. */
    nkv_status (*ping)(void *ud, int64_t deadline_ns, nkv_error *error);
    /* Returns NKV_OK when every change that was acknowledged to anybody before this was called has
     * been told.  For NKV_BARRIER; NULL, or a failure: such reads ask the store. */
    nkv_status (*settle)(void *ud, int64_t deadline_ns, nkv_error *error);
    /* Takes the voucher, which is valid until close() has returned; may use it already.  A failure
     * is nkv_client_wrap()'s.  NULL: this connector never vouches, and nothing is cached. */
    nkv_status (*open)(void *ud, nkv_voucher *voucher, nkv_error *error);
    /* The end: called once if open() succeeded (or is NULL) and nkv_client_wrap() returned NKV_OK,
     * when every other function has returned.  After it the voucher may not be used any more: end
     * the threads that do.  NULL: nothing to do. */
    void (*close)(void *ud);
    /* since 0.2: new functions only below this line */
} nkv_connector;

/* ---- the client ------------------------------------------------------------------------------ */

/* A client over a connector.  options: copied; NULL: all defaults; url must be NULL, and what is
 * about connections has no meaning.
 *
 * It has the reads and writes of client.h, the batches of batch.h, statistics, health and events.
 * nkv_command() knows GET, MGET, EXISTS, SET (plain, PX, EX), DEL, UNLINK, PING and SCAN (from
 * cursor 0, all in one answer; MATCH with a literal and at most one '*', at its end); everything
 * else is NKV_ENOTSUP, as are nkv_transaction() and nkv_client_share(): wrap a second connector on
 * nkv_client_cache() instead.  Levels: NKV_DRAIN is NKV_EVENTUAL, because what is told takes effect
 * at once; NKV_BARRIER is settle().  nkv_client_wait_ready() waits until the connector vouches.
 * nkv_stats: round_trips counts calls into the table; spurious is not counted.
 *
 * nkv_client_destroy() ends waiting calls with NKV_ECLOSED at once, and then waits for the
 * functions of the table that still run.
 * Returns NKV_OK · NKV_EINVAL (names what is missing or wrong) · NKV_ENOMEM · NKV_ECONN (no thread)
 * · what open() returned; after a failure close() is not called.
 * Thread  as nkv_client_create().  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_wrap(const nkv_connector *connector,
                                                 const struct nkv_options *options,
                                                 struct nkv_client **out, nkv_error *error);

/* ---- for the functions of the table ---------------------------------------------------------- */

/* Memory for the item's value, whose `len` bytes must all be written before get returns.  Once for
 * an item; not NULL for a length of 0.  NULL: leave the item, its status is set (memory ran out,
 * the value is larger than options.reply_bytes_max, or nobody waits for it any more).
 * Thread  inside get.  Since 0.1 */
NKV_API void *nkv_connector_room(nkv_connector_item *item, size_t len);

/* Sets an item's failure with a text of one line, which is copied (NULL: none); returns `status`.
 * Thread  inside the call that has the item.  Since 0.1 */
NKV_API nkv_status nkv_connector_fail(nkv_connector_item *item, nkv_status status,
                                      const char *text);

/* Hands out a key that was found.  Returns 0, or non-zero: stop, memory ran out or it is more than
 * options.reply_bytes_max.  Thread  inside scan.  Since 0.1 */
NKV_API int nkv_connector_add(nkv_connector_scan *scan, nkv_str key);

/* ---- vouching -------------------------------------------------------------------------------- */

/* «I vouch from now on»: the promise above holds for what is read from now on.  What was cached
 * before an end stays unusable.  While it vouches already: nothing.  [any]  Since 0.1 */
NKV_API void nkv_voucher_begin(nkv_voucher *voucher);

/* «I may have missed something», or the source of changes is lost: nothing that was read so far is
 * served any more.  why: one line for events and health, copied; NULL: none.  Without a begin:
 * keeps the text only.  [any]  Since 0.1 */
NKV_API void nkv_voucher_end(nkv_voucher *voucher, const char *why);

/* A sign of life: everything that was visible until now has been told.  Needed more often than
 * every max_idle_ms, each half of it is good; while it is missing nothing is served.  Telling a
 * change is none: others may be waiting behind it.  [any]  Since 0.1 */
NKV_API void nkv_voucher_heard(nkv_voucher *voucher);

/* This key has changed, came, or went.  [any]  Since 0.1 */
NKV_API void nkv_voucher_invalidate(nkv_voucher *voucher, nkv_str key);

/* Anything may have changed: forgets all keys, and goes on vouching.  why: as end.  [any]
 * Since 0.1 */
NKV_API void nkv_voucher_flush(nkv_voucher *voucher, const char *why);

/* options.max_idle_ms of the client.  [any]  Since 0.1 */
NKV_API int64_t nkv_voucher_max_idle_ms(const nkv_voucher *voucher);

#ifdef __cplusplus
}
#endif
#endif
