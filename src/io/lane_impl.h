/* io/lane_impl.h - a lane inside: shared by the lane_*.c files, seen by nobody else.
 *
 *      lane.c          create, stop, destroy, snapshot
 *      lane_connect.c  attempts: name, addresses, greeting
 *      lane_life.c     watchers, watchdog, loss, backoff
 *      lane_tx.c       submit and write
 *      lane_rx.c       read, dispatch, deadlines
 *
 * What is sent and what is awaited:
 *
 *      submitters --push--> [ fresh ]  (mu)  --swap, when empty--> [ order ]  (loop)  <-- replies
 *                 --bytes-> [ pending ](mu)  --swap--> [ flight ] --write()--> socket
 *
 * `order` is older than `fresh`; together they are the requests in stream order.  While the lane
 * is down the same queues hold the requests that wait, and nothing is written.
 *
 * One thread at a time writes (`writing`): whoever finds nobody doing it; the others only
 * append, and their bytes go out with its next write().  What the socket does not take at once
 * is left to the loop
 * (`handed`).  The socket is closed only when nobody writes.
 *
 * Lock order  mu is a leaf: nothing is called under it but memory, the owner's atomics and the
 *             wake-up. */
#ifndef NKVI_IO_LANE_IMPL_H
#define NKVI_IO_LANE_IMPL_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "io/lane.h"
#include "io/loop_impl.h"
#include "io/reader.h"
#include "io/resolve.h"
#include "io/ring.h"
#include "io/wire.h"
#include "tracking/backoff.h"
#include "tracking/handshake.h"
#include "tracking/health.h"

typedef enum nkvi_phase {
    NKVI_PHASE_IDLE,       /* not started, or resting */
    NKVI_PHASE_RESOLVING,  /* a name is being looked up */
    NKVI_PHASE_CONNECTING, /* waiting until the socket is writable */
    NKVI_PHASE_HANDSHAKE,
    NKVI_PHASE_UP,
    NKVI_PHASE_BACKOFF
} nkvi_phase;

struct nkvi_lane {
    /* Constant. */
    nkvi_loop *loop;
    struct ev_loop *ev;
    nkvi_lane_config config; /* its strings are ours */
    char address[120];

    /* The loop's thread only. */
    nkvi_phase phase;
    bool dispatching; /* callbacks of the read side are running */
    nkvi_resolve *resolve;
    nkvi_addresses addresses; /* of this attempt; tried from `address_next` on */
    size_t address_next;
    int64_t attempt_until_ns;
    int64_t life_ns; /* when the `life` timer is meant to fire */
    int64_t up_ns;   /* since when it is up */
    nkvi_wire wire;
    nkvi_reader reader;
    nkvi_handshake handshake;
    nkvi_buf greeting; /* of the handshake, not yet written; holds the password */
    size_t greeting_at;
    nkvi_health health;
    int64_t fresh_ns; /* until when what was heard lets the owner vouch … */
    int64_t vouch_ns; /* … but no longer than this */
    int64_t audit_ns; /* when to ask next whether tracking is on; NKVI_NEVER: not any more */
    bool auditing;    /* asked, and not answered yet */
    nkvi_backoff backoff;
    nkvi_ring order, doomed; /* doomed: was `fresh` when the connection ended */
    ev_io rx, tx;
    ev_timer life; /* attempt, watchdog or backoff, by phase */
    ev_timer due;  /* deadlines of requests */
    ev_async kick; /* from submitters: bytes are left to the loop, or an earlier deadline */

    /* Under mu. */
    pthread_mutex_t mu;
    pthread_cond_t written; /* `writing` became false */
    nkvi_lane_state state;
    bool closed; /* being destroyed */
    bool idle;   /* who submits must wake the loop, which starts it */
    bool writing, handed;
    int write_errno;     /* why a write failed; 0: none did */
    uint64_t generation; /* of the owner; 0: not armed */
    nkvi_ring fresh;
    nkvi_buf pending, flight;
    size_t flight_at;
    uint64_t queued_bytes; /* offset behind the last byte that was queued on this connection */
    uint64_t sent_bytes;   /* offset behind the last byte that was written */
    int64_t due_ns;        /* when the `due` timer fires or is going to be told to */
    int64_t soonest_ns;    /* the earliest deadline submitted since it last fired */
    int64_t due_fired_ns;
    int64_t client_id;
    uint64_t ups; /* connections that became usable */
    uint64_t writes;
    nkv_error last_error;

    _Atomic int64_t last_rx_ns;
    _Atomic int64_t inflight, inflight_bytes;
};

/* ---- lane_tx.c ---- */

/* The loop's share of writing: goes on with what was left to it.  false: the connection is lost.
 * [loop] */
bool nkvi_lane_tx(nkvi_lane *lane, nkv_error *error);
/* Sends a PING of our own.  [loop] */
void nkvi_lane_ping(nkvi_lane *lane);
/* Asks whether the server still tracks this connection; the answer is judged by lane_rx.c.
 * Returns whether that could be queued.  [loop] */
bool nkvi_lane_audit(nkvi_lane *lane);
/* The lane has become usable: requests that waited are sent.  @locks mu held; [loop] */
void nkvi_lane_tx_begin(nkvi_lane *lane);
/* Stops writing for good on this connection: waits for the thread that is at it, notes for every
 * request whether the server may have seen it, drops the bytes, and dooms all requests there
 * are.  @locks mu held; [loop] */
void nkvi_lane_tx_end(nkvi_lane *lane);

/* ---- lane_rx.c ---- */

/* Reads and dispatches.  false: the connection is lost, error says why.  [loop] */
bool nkvi_lane_rx(nkvi_lane *lane, unsigned reads_max, nkv_error *error);
/* Completes with `error` the requests that nkvi_lane_tx_end has doomed; all but the oldest with the
 * status `others`.  [loop] */
void nkvi_lane_fail_doomed(nkvi_lane *lane, const nkv_error *error, nkv_status others);
/* Gives requests up whose deadline has passed and sets the timer anew.  [loop] */
void nkvi_lane_expire(nkvi_lane *lane);
/* Sets the `due` timer to due_ns.  [loop] */
void nkvi_lane_arm_due(nkvi_lane *lane);

/* ---- lane_connect.c ---- */

/* Begins an attempt to connect. */
void nkvi_lane_attempt(nkvi_lane *lane);
/* This address does not do: the next one, or the attempt is over. */
void nkvi_lane_try_failed(nkvi_lane *lane, const nkv_error *error);
/* The socket is connected: the greeting is made, and then written, as far as the socket takes it.
 * false: the connection is lost. */
void nkvi_lane_greet_begin(nkvi_lane *lane);
bool nkvi_lane_greet_write(nkvi_lane *lane, nkv_error *error);
/* A reply that belongs to the handshake.  false: it was refused. */
bool nkvi_lane_greet(nkvi_lane *lane, const nkv_reply *reply, nkv_error *error);
/* The password is not left behind in freed memory. */
void nkvi_lane_greeting_wipe(nkvi_lane *lane);

/* ---- lane_life.c ---- */

void nkvi_lane_watchers_init(nkvi_lane *lane);
void nkvi_lane_watchers_stop(nkvi_lane *lane);
/* Sets the `life` timer. */
void nkvi_lane_life_at(nkvi_lane *lane, int64_t at_ns);
/* The watchdog: acts on how long the server has been silent, and sets the timer. */
void nkvi_lane_watch(nkvi_lane *lane);
/* The connection, or the attempt to make one, is over. */
void nkvi_lane_lose(nkvi_lane *lane, nkv_flush_cause cause, const nkv_error *why);
/* Closes the socket and frees what belongs to the connection; nothing is told to anybody. */
void nkvi_lane_hang_up(nkvi_lane *lane);
/* Tells the handler. */
void nkvi_lane_tell(nkvi_lane *lane, nkv_flush_cause cause);
/* Something was read and all of it dispatched; `drained`: the socket held no more.  Then the owner
 * may vouch for max_idle from the beginning of this wake-up. */
void nkvi_lane_heard(nkvi_lane *lane, bool drained);

#endif
