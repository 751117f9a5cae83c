/* io/bulk_impl.h - what a pool and its lanes are made of; for bulk*.c only.
 *
 *      NONE --first work--> BUSY <--> REACHING, IDLE, HUNGRY, FULL, RESTING    see nkvi_bulk_state
 *
 * Hope     Lanes that are connected or are trying to be.  While there is hope, a lane that cannot
 *          connect rests and leaves the queue to the others; whose attempt fails and who sees no
 *          other hope ends everything that waits.
 * Waking   A lane looks at the queue before it sleeps, and whoever changes what a sleeping lane
 *          has to know (work, an earlier deadline, a cancel, the end) writes to its eventfd.  Work
 *          is worth a lane for every NKVI_BULK_WORTH bytes; a lane that leaves something in the
 *          queue wakes another.  A lane on which less than NKVI_BULK_BRISK bytes have moved within
 *          stuck_ms, though something is in flight, is stuck: it does not count as one at work,
 *          and small operations go elsewhere.
 * Guess    A reply of unknown size counts as what such replies had lately.
 * Locks    bulk->mu: the queue, the lanes' states.  A leaf; never held while a socket is used or a
 *          callback runs. */
#ifndef NKVI_IO_BULK_IMPL_H
#define NKVI_IO_BULK_IMPL_H

#include <pthread.h>

#include "io/bulk.h"
#include "io/reader.h"
#include "io/wire.h"
#include "tracking/backoff.h"

#define NKVI_BULK_WORTH (1u << 20)
#define NKVI_BULK_BRISK (1u << 20)

/* An operation on the wire; its place stays when it is given up. */
typedef struct nkvi_bulk_slot {
    nkvi_bulk_op *op; /* NULL: given up */
    size_t bytes;     /* what it counts against the window */
    unsigned before;  /* replies that are still to come before its last */
    bool cancelled;   /* the lane has been told */
} nkvi_bulk_slot;

typedef enum nkvi_bulk_state {
    NKVI_BULK_NONE = 0, /* has no thread yet */
    NKVI_BULK_BUSY,     /* looks at the queue before it sleeps */
    NKVI_BULK_REACHING, /* tries to connect, and looks at the queue then */
    NKVI_BULK_IDLE,     /* sleeps, with nothing in flight */
    NKVI_BULK_HUNGRY,   /* waits for its socket, with room in the window */
    NKVI_BULK_FULL,     /* waits for its socket, without */
    NKVI_BULK_ENDING,   /* waits for answers to what it has sent, and takes nothing more */
    NKVI_BULK_RESTING   /* waits until it may try to connect again; others can */
} nkvi_bulk_state;

typedef struct nkvi_bulk_lane {
    nkvi_bulk *bulk;
    pthread_t thread;
    int wake;              /* eventfd */
    nkvi_bulk_state state; /* guarded by bulk->mu */
    bool cancels;          /* some of its operations are cancelled; guarded by bulk->mu */
    bool hangs_up;         /* it is to end its connection; guarded by bulk->mu */
    bool stuck, linked;    /* hardly moves; is connected; guarded by bulk->mu */
    size_t load;           /* bytes in its window when it looked last; guarded by bulk->mu */

    /* The lane's thread only. */
    nkvi_wire wire;
    nkvi_reader reader;
    nkvi_backoff backoff;
    nkvi_bulk_slot slots[NKVI_BULK_WINDOW]; /* a ring: oldest at `head` */
    unsigned head, len;
    unsigned sending;   /* of those in flight: the first that is not wholly written */
    unsigned live;      /* of those in flight: not given up */
    size_t window_used; /* bytes */
    short ready;        /* POLLIN, POLLOUT: the socket has not said that it would block */
    bool lame;          /* a request was given up half-way: nothing can be written any more */
    int64_t pace_ns;    /* since when `paced` bytes have moved */
    size_t paced;
    int64_t heard_ns; /* when something came, or the last live operation was given up */
    int64_t retry_ns; /* no attempt to connect before */
    nkv_error why;    /* the last failure to connect */
    nkv_error early;  /* the first error among the replies before the oldest one's last */
} nkvi_bulk_lane;

struct nkvi_bulk {
    nkvi_bulk_config config;
    char address[120];
    pthread_mutex_t mu;
    nkvi_list queues[NKVI_PRIORITIES];
    uint64_t queued, queued_bytes;
    unsigned streak;   /* operations in a row that overtook others */
    int64_t queue_ns;  /* no queued operation's deadline is earlier */
    unsigned started;  /* lanes that have a thread: the first ones */
    int64_t barren_ns; /* no attempt to start another thread before */
    unsigned hope;     /* lanes that are connected or trying to be */
    bool closing;
    _Atomic uint64_t connections, copied;
    _Atomic size_t guess;  /* bytes of a reply of which nothing is known */
    nkvi_bulk_lane *lanes; /* config.lanes of them; NULL: none was started yet */
};

static inline nkvi_bulk_slot *nkvi_bulk_slot_at(nkvi_bulk_lane *lane, unsigned i)
{
    return &lane->slots[(lane->head + i) & (NKVI_BULK_WINDOW - 1)];
}

static inline size_t nkvi_bulk_op_bytes(const nkvi_bulk_op *op)
{
    return op->parts[0].len + op->parts[1].len + op->parts[2].len;
}

/* ---- bulk.c: life ---- */

/* Gives the next lane a thread, the first time memory for all of them.  @locks mu held
 * Returns NKV_OK · NKV_ECONN · NKV_ENOMEM: there is no lane more than before. */
nkv_status nkvi_bulk_start_lane(nkvi_bulk *bulk, nkv_error *error);

/* ---- bulk_queue.c ---- */

/* What a look at the queue has shown. */
typedef struct nkvi_bulk_view {
    nkvi_list late;  /* taken out: their deadline has passed */
    bool closing;    /* the pool is being closed */
    bool cancels;    /* slots of the lane have become cancelled */
    bool hangs_up;   /* the lane is to end its connection */
    bool waiting;    /* there is work, and the lane is not connected */
    int64_t wake_ns; /* the earliest deadline that is left in the queue, or when it gets stuck */
} nkvi_bulk_view;

/* Looks, and takes what there is room for, if the lane is connected.  Sets the lane's state: BUSY,
 * or, if it is about to sleep, what it waits for. */
void nkvi_bulk_look(nkvi_bulk_lane *lane, nkvi_bulk_view *view);

/* Looks while the lane is waiting for something else; it has nothing in flight. */
void nkvi_bulk_glance(nkvi_bulk_lane *lane, nkvi_bulk_view *view);

/* Ends what was found to be late. */
void nkvi_bulk_end_late(nkvi_bulk *bulk, nkvi_bulk_view *view);

/* Puts operations of which nothing was written back, ahead of all of their priority and in this
 * order.  The lane takes nothing more before it has looked again. */
void nkvi_bulk_put_back(nkvi_bulk_lane *lane, nkvi_list *ops);

/* One lane more (1) or less (-1) is connected or tries to be. */
void nkvi_bulk_hope(nkvi_bulk *bulk, int change);

/* The lane is not connected.  true: others are or may soon be; the work is left to them, and the
 * lane is RESTING. */
bool nkvi_bulk_hand_over(nkvi_bulk_lane *lane);

/* Ends all that waits. */
void nkvi_bulk_fail_all(nkvi_bulk *bulk, const nkv_error *error);

/* Without a lock. */
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
