/* nearkv/batch.h - many keys at once, large values without a copy, waiting or not.
 *
 *      items[] --nkv_batch_get()------> waits; every item has its status
 *              --nkv_submit_get()-> id  does not wait: the queue's descriptor becomes readable, and
 *                                       nkv_queue_drain() hands out {id, status, prefix …}
 *
 * Values travel on connections of their own («bulk lanes», nkv_options.bulk_connections per node):
 * what is written is taken from the caller's memory, what is read is received where the caller
 * wants it. A batch is split over them and over nodes; results keep the caller's order, holes and
 * duplicates are fine. Work is taken up by priority, within one in the order of submission; after
 * 64 operations that overtook others the oldest of the lowest priority has its turn.
 *
 * These reads ask the server and fill no cache; what is in the cache of small values may be used
 * for nkv_batch_exists(). Writes forget the keys locally before and after, as nkv_set() does.
 *
 * Ownership  Of a submitted batch everything (the array of items, keys, values, buffers) belongs to
 *            the library until its completion was drained, or nkv_queue_destroy() has returned;
 *            after that nobody touches it.
 * Threads    [any], also several on one queue.  Units: bytes, milliseconds. */
#ifndef NEARKV_BATCH_H
#define NEARKV_BATCH_H

#include <nearkv/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nkv_lmcache_meta;

/* The largest value that a server takes unless told otherwise (proto-max-bulk-len). */
#define NKV_VALUE_MAX ((size_t)512 << 20)

/* One key of a batch.  Start from {0}; what is not named for an operation is not looked at.  Every
 * operation sets all that is out: release what is held before the item is used again. */
typedef struct nkv_item {
    nkv_str key;   /* in */
    nkv_str value; /* put, in */
    void *buf;     /* get, in: where the value goes; with NULL: */
    size_t cap;    /* get, in: bytes of buf; a longer value is NKV_ESIZE and leaves buf alone */
    /* get, in: called once, when the size (`len`, and `meta`) is known, for memory of that size;
     * NULL from it ends the item with NKV_ENOMEM.  It becomes `buf`.  Called from any thread, also
     * from inside the call, under no lock; must not block.  After it was called the item may still
     * fail: look at `status`, and free what it gave.  NULL: the value comes as `held`. */
    void *(*alloc)(struct nkv_item *item);
    struct nkv_lmcache_meta *meta; /* LMCache: put, in; get, contains, out; may be NULL there */
    void *ud;                      /* the caller's */

    nkv_value *held;   /* get, out: a reference for the caller if there was no memory; else NULL */
    size_t len;        /* get, out: bytes of the value, also with NKV_ESIZE */
    nkv_status status; /* out */
    nkv_from from;     /* out: of the lookup, where there is one */
    void *reserved[2];
} nkv_item;

/* ---- waiting --------------------------------------------------------------------------------- */

/* GET.  Each item: NKV_OK · NKV_NOT_FOUND · NKV_ESIZE · NKV_EREPLY (that key alone: WRONGTYPE …) ·
 * NKV_ETIMEDOUT · NKV_ECONN · NKV_EPROTO · NKV_ENOMEM · NKV_EINVAL (an empty item array with n > 0)
 * · NKV_ECLOSED; buf has the whole value with NKV_OK, and may have been written to in part after a
 * failure.  An empty value is NKV_OK with len 0.  Returns NKV_OK when every item is NKV_OK or
 * NKV_NOT_FOUND, else the first failure in their order, with its text in call->error.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_batch_get(nkv_client *client, nkv_item *items, size_t n,
                                               nkv_call *call);

/* SET of every value; ttl_ms > 0: the keys' expiry, 0: none.  Values of more than NKV_VALUE_MAX
 * bytes are NKV_EINVAL and not sent.  NKV_ECONN and NKV_ETIMEDOUT leave open whether the server has
 * it.  Of two items with one key either may be there in the end.  Otherwise as nkv_batch_get(); the
 * items after one that failed are still written.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_batch_put(nkv_client *client, nkv_item *items, size_t n,
                                               int64_t ttl_ms, nkv_call *call);

/* EXISTS, key by key, from the cache where it can be: NKV_OK · NKV_NOT_FOUND · as above.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_batch_exists(nkv_client *client, nkv_item *items, size_t n,
                                                  nkv_call *call);

/* DEL, key by key: NKV_OK (it was there) · NKV_NOT_FOUND · as above.  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_batch_remove(nkv_client *client, nkv_item *items, size_t n,
                                                  nkv_call *call);

/* ---- not waiting ----------------------------------------------------------------------------- */

typedef struct nkv_queue nkv_queue;

/* The end of a submitted batch. */
typedef struct nkv_completion {
    uint64_t id;
    nkv_status status; /* as the waiting call returns; NKV_ECANCELED if it was cancelled */
    size_t prefix;     /* leading items that are NKV_OK */
    size_t found;      /* items that are NKV_OK */
    void *ud;          /* as given to submit */
    nkv_error error;   /* if status < 0 */
} nkv_completion;

/* A queue of completions for batches of any client.
 * Returns NKV_OK · NKV_ENOMEM · NKV_ECONN (no descriptor).  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_queue_create(nkv_queue **out, nkv_error *error);

/* A descriptor (eventfd, non-blocking) that is readable while completions wait to be drained; for
 * poll() and event loops only: the queue reads it itself.  Valid until destroy.  [any] */
NKV_API int nkv_queue_fd(const nkv_queue *queue);

/* Takes up to `cap` completions, oldest first; returns how many.  Never waits.  [any] */
NKV_API size_t nkv_queue_drain(nkv_queue *queue, nkv_completion *completions, size_t cap);

/* Waits until there is one to drain.  Returns NKV_OK · NKV_ETIMEDOUT · NKV_NOT_FOUND (nothing is
 * under way or waiting: there will be none).  [any] */
NKV_API NKV_NODISCARD nkv_status nkv_queue_wait(nkv_queue *queue, int64_t timeout_ms);

/* Ends a batch early: what has not been answered becomes NKV_ECANCELED, and its completion comes
 * soon.  What was sent may still be executed.  Returns NKV_OK · NKV_NOT_FOUND (no such id is under
 * way).  [any] */
NKV_API nkv_status nkv_queue_cancel(nkv_queue *queue, uint64_t id);

/* Cancels everything and refuses new batches (NKV_ECLOSED); completions can still be drained.
 * Calling it again does nothing.  [any] */
NKV_API void nkv_queue_close(nkv_queue *queue);

/* Closes, waits until nothing of a batch is touched any more, and frees the queue and what was not
 * drained.  NULL is allowed.  Not from a callback, and no other call may be under way. */
NKV_API void nkv_queue_destroy(nkv_queue *queue);

/* How a batch is submitted, and what it is called from then on.  Start from {0}. */
typedef struct nkv_ticket {
    nkv_queue *queue;     /* in: who is told of its end */
    const nkv_call *call; /* in: NULL: the client's; read during submit, its `error` is the
                             completion's */
    void *ud;             /* in: comes back with the completion */
    uint64_t id;          /* out: 1, 2, 3 … in this queue; 0: nothing was submitted */
} nkv_ticket;

/* The same as the waiting calls.  Exactly one completion comes for each id, whatever happens
 * (answer, deadline, cancel, close, lost server, end of the client), perhaps before this returns.
 * Returns NKV_OK · NKV_EINVAL · NKV_ENOMEM · NKV_ECLOSED (queue or client): then nothing was
 * submitted.  [any], callbacks and the loop's thread included. */
NKV_API NKV_NODISCARD nkv_status nkv_submit_get(nkv_client *client, nkv_item *items, size_t n,
                                                nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_submit_put(nkv_client *client, nkv_item *items, size_t n,
                                                int64_t ttl_ms, nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_submit_exists(nkv_client *client, nkv_item *items, size_t n,
                                                   nkv_ticket *ticket);
NKV_API NKV_NODISCARD nkv_status nkv_submit_remove(nkv_client *client, nkv_item *items, size_t n,
                                                   nkv_ticket *ticket);

#ifdef __cplusplus
}
#endif
#endif
