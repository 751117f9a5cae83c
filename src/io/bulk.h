/* io/bulk.h - lanes for large values: what is sent lies where the caller has it, what comes goes
 * to where the caller wants it.
 *
 *      submit --> [ PEEK | PREFETCH | GET | PUT ]         one queue of a node
 *                     |          |          |
 *                   lane 1     lane 2  …  lane n          a thread, a connection and a window each
 *                     |  parts[] --sendmsg--> socket
 *                     |  socket --recv--> room(len)       only what came with the header is copied
 *                     `--> done(), once
 *
 * Connections are untracked; nothing that comes here may be cached but under a witness.  A lane
 * gets its thread and its connection when there is first something to do for it.  It takes
 * operations once it is connected, and keeps several in flight, in the order of the wire: at most
 * `window_bytes` of requests and expected replies together (two operations may be more), at most
 * NKVI_BULK_WINDOW operations.  Both directions are served whenever the socket is ready, so neither
 * side can wait for the other for ever.
 *
 * Width    Work is worth a lane for every MiB of it, but no more than `at_once` lanes are at work,
 *          as long as they move: where the server shares the machine, more would only take turns on
 *          its processors.
 * Order    By priority, and within one in the order of submission.  After NKVI_BULK_STREAK
 *          operations that overtook others, the oldest of the lowest priority has its turn.
 * Loss     Operations of which nothing was written are tried again, once.  A lane that cannot
 *          connect leaves the queue to those that can.  If none can, all that waits ends with the
 *          reason of the attempt that fails next, which may be due only after a while.
 * Several  An operation of several commands that is half written when the connection ends, or when
 *          it is given up, is never finished: as a transaction it has no effect then.
 * Life     An operation and its memory belong to the pool from submit() until done().  After done()
 *          nobody touches them: a string that is still coming in is thrown away; a connection on
 *          which a request is only half written answers what was sent before, and ends.
 * Threads  create, stop, destroy: one thread.  submit, cancel: [any].  room() and done() are called
 *          from threads of the pool (done() also from submit, cancel, stop and destroy), under no
 *          lock, and must not block; they may submit and cancel. */
#ifndef NKVI_IO_BULK_H
#define NKVI_IO_BULK_H

#include "base/list.h"
#include "io/lane.h"

#define NKVI_BULK_LANES_MAX 150u
#define NKVI_BULK_WINDOW    128u /* operations; a power of two */
#define NKVI_BULK_STREAK    64u
#define NKVI_BULK_PARTS     3u
#define NKVI_BULK_STUCK_MS  20

typedef enum nkvi_priority {
    NKVI_PEEK = 0, /* nkv_priority - 1 */
    NKVI_PREFETCH,
    NKVI_GET,
    NKVI_PUT,
    NKVI_PRIORITIES
} nkvi_priority;

/* One command with one reply; or several, of which the last is the answer: a transaction. */
typedef struct nkvi_bulk_op {
    nkvi_priority priority;
    nkv_str parts[NKVI_BULK_PARTS]; /* its bytes, one part behind the other; may be empty */
    size_t expect;                  /* bytes of the reply, as far as is known */
    unsigned before;                /* replies that come before the last; the first error among them
                                     * is the operation's */
    int64_t deadline_ns;
    /* A string of `len` bytes begins: where it goes, or NULL: the reply brings a copy.  NULL as a
     * whole: the same. */
    char *(*room)(struct nkvi_bulk_op *op, size_t len);
    /* NKV_OK with the reply, a view during the call (a string that was given room: its text is
     * there) · NKV_EREPLY with the error reply · without one: NKV_ETIMEDOUT · NKV_ECONN ·
     * NKV_EPROTO · NKV_ENOMEM · NKV_ECLOSED · NKV_ECANCELED · NKV_EREPLY (the login is refused). */
    void (*done)(struct nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error);
    /* The pool's; zeroes before the first submit. */
    nkvi_node node;
    struct nkvi_bulk_lane *lane;      /* that took it last; NULL: none yet */
    size_t bytes;                     /* of request and reply, as far as is known */
    size_t written;                   /* bytes of the parts; > 0 with NKV_ECONN, NKV_ETIMEDOUT,
                                  * NKV_ECANCELED: it may be executed */
    _Atomic(struct nkvi_bulk *) home; /* the pool that has it; NULL: none yet */
    bool queued;
    _Atomic bool cancelled; /* and stays so: it ends whenever it is submitted */
    bool again;             /* it has been put back once */
} nkvi_bulk_op;

typedef struct nkvi_bulk_config {
    nkvi_endpoint endpoint; /* its strings are the caller's, and live as long as the pool */
    unsigned lanes;         /* 1 to NKVI_BULK_LANES_MAX */
    unsigned at_once;       /* of them; 0: all */
    int64_t stuck_ms;       /* of a lane that hardly moves; others may work then; 0:
                             * NKVI_BULK_STUCK_MS */
    int64_t connect_timeout_ms, backoff_min_ms, backoff_max_ms;
    int64_t reply_bytes_max;
    size_t window_bytes;
} nkvi_bulk_config;

typedef struct nkvi_bulk_info {
    uint64_t connections; /* made so far */
    uint64_t waiting;     /* operations that no lane has taken */
    uint64_t at_work;     /* connections with something under way, as far as is known */
    uint64_t copied;      /* payload bytes that passed through a buffer of ours */
} nkvi_bulk_info;

typedef struct nkvi_bulk nkvi_bulk;

/* Starts and connects nothing yet.  Returns NKV_OK · NKV_EINVAL · NKV_ENOMEM. */
nkv_status nkvi_bulk_create(const nkvi_bulk_config *config, nkvi_bulk **out, nkv_error *error);

/* Ends every operation with NKV_ECLOSED and joins the threads; what is submitted from now on ends
 * at once in the same way. */
void nkvi_bulk_stop(nkvi_bulk *bulk);

/* Ends the connections that there are, and what is under way or waits, with NKV_ECONN; what is
 * submitted from now on makes new ones. */
void nkvi_bulk_hang_up(nkvi_bulk *bulk);

/* Stops if need be, and frees.  Nobody submits any more. */
void nkvi_bulk_destroy(nkvi_bulk *bulk);

/* Lets go of an operation that has ended, so that it can be submitted to another pool, even while
 * somebody is about to cancel it here. */
void nkvi_bulk_let_go(nkvi_bulk *bulk, nkvi_bulk_op *op);

/* If not even one thread can be started they end with NKV_ECONN or NKV_ENOMEM. */
void nkvi_bulk_submit(nkvi_bulk *bulk, nkvi_bulk_op *const *ops, size_t n);

/* Makes an operation end soon with NKV_ECANCELED, as a deadline would, if it has not ended.  It may
 * be ending now, or not be submitted yet; its memory must outlive this call.  [any] */
void nkvi_bulk_cancel(nkvi_bulk *bulk, nkvi_bulk_op *op);

void nkvi_bulk_get_info(nkvi_bulk *bulk, nkvi_bulk_info *info);

#endif
