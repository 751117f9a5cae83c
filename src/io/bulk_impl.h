/* io/bulk_impl.h - what a pool and its lanes are made of; for bulk*.c only.
 *
 * Locks    bulk->mu: the queue, the lanes' states.  A leaf; never held while a socket is used or a
 *          callback runs. */
#ifndef NKVI_IO_BULK_IMPL_H
#define NKVI_IO_BULK_IMPL_H

#include <pthread.h>

#include "io/bulk.h"
#include "io/reader.h"
#include "io/wire.h"
#include "tracking/backoff.h"

/* An operation on the wire; its place stays when it is given up. */
typedef struct nkvi_bulk_slot {
    nkvi_bulk_op *op; /* NULL: given up */
    size_t bytes;     /* what it counts against the window */
} nkvi_bulk_slot;

typedef enum nkvi_bulk_state {
    NKVI_BULK_BUSY = 0, /* looks at the queue before it sleeps */
    NKVI_BULK_IDLE,     /* sleeps, with nothing in flight */
    NKVI_BULK_HUNGRY    /* waits for its socket, with room in the window */
} nkvi_bulk_state;

typedef struct nkvi_bulk_lane {
    nkvi_bulk *bulk;
    pthread_t thread;
    bool started;
    int wake;              /* eventfd */
    nkvi_bulk_state state; /* guarded by bulk->mu */

    /* The lane's thread only. */
    nkvi_wire wire;
    nkvi_reader reader;
    nkvi_backoff backoff;
    nkvi_bulk_slot slots[NKVI_BULK_WINDOW]; /* a ring: oldest at `head` */
    unsigned head, len;
    unsigned sending;   /* of those in flight: the first that is not wholly written */
    size_t window_used; /* bytes */
    short ready;        /* POLLIN, POLLOUT: the socket has not said that it would block */
    int64_t retry_ns;   /* no attempt to connect before */
    nkv_error why;      /* the last failure to connect */
} nkvi_bulk_lane;

struct nkvi_bulk {
    nkvi_bulk_config config;
    char address[120];
    pthread_mutex_t mu;
    nkvi_list queues[NKVI_PRIORITIES];
    uint64_t queued;
    unsigned streak;  /* operations in a row that overtook others */
    int64_t queue_ns; /* no queued operation's deadline is earlier */
    bool closing;
    _Atomic uint64_t connections, copied;
    nkvi_bulk_lane lanes[]; /* config.lanes of them */
};

static inline nkvi_bulk_slot *nkvi_bulk_slot_at(nkvi_bulk_lane *lane, unsigned i)
{
    return &lane->slots[(lane->head + i) & (NKVI_BULK_WINDOW - 1)];
}

static inline size_t nkvi_bulk_op_bytes(const nkvi_bulk_op *op)
{
    return op->parts[0].len + op->parts[1].len + op->parts[2].len;
}

/* ---- bulk.c: the queue ---- */

/* Moves operations from the queue to the lane's window while there is room.  Sets the lane's state:
 * BUSY, or, if it is about to sleep, what it waits for.  *expired gets what is too late.
 * false: the pool is closing. */
bool nkvi_bulk_take(nkvi_bulk_lane *lane, nkvi_list *expired, int64_t *wake_ns);

/* Puts operations of which nothing was written back, ahead of all of their priority. */
void nkvi_bulk_put_back(nkvi_bulk *bulk, nkvi_list *ops);

void nkvi_bulk_end(nkvi_bulk_op *op, nkv_status status, const nkv_error *error);
void nkvi_bulk_end_all(nkvi_list *ops, const nkv_error *error);

/* ---- bulk_lane.c ---- */

/* The thread of a lane. */
void *nkvi_bulk_lane_main(void *arg);

/* ---- bulk_connect.c ---- */

/* Connects and greets, until `until_ns`.  false: *error says why, the wire is closed. */
bool nkvi_bulk_connect(nkvi_bulk_lane *lane, int64_t until_ns, nkv_error *error);

/* Waits until the socket is ready for `events` or the lane is woken.  Returns the socket's events,
 * 0: neither, by until_ns, or woken. */
short nkvi_bulk_wait(nkvi_bulk_lane *lane, short events, int64_t until_ns);

#endif
