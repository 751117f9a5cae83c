/* io/lane.h - a lane: one connection to one server that is always being kept up.
 *
 *      caller's thread                           loop's thread
 *      ---------------                           -------------
 *      submit: queue + write() at once   --->    read() -> parse -> on_reply / on_push, in order
 *              (leftovers and TLS: the loop)     connect, handshake, PING watchdog, deadlines,
 *                                                backoff
 *
 * A tracked lane arms CLIENT TRACKING in its handshake, before any request is sent (I5), and
 * vouches through its owner: the generation begins when tracking is confirmed, and ends, before
 * anybody is told, when the connection is lost or the server takes tracking back.  The owner's
 * fresh_until is moved on after everything that a wake-up read has been dispatched.
 *
 *      IDLE -> CONNECTING -> HANDSHAKE -> ARMED | UNTRACKED -> (lost) BACKOFF -> CONNECTING …
 *        ^---------------------------- rest ---------------------------'
 *
 * A lane that is idle, because it was not started yet or is to rest, starts when there is something
 * to be sent that may wait.
 * Where a server may lose its say without losing a connection (its hash slots, its role), the lane
 * vouches only as long as it is told to: see nkvi_lane_vouch.
 *
 * Replies are matched by order; a request that was given up keeps its place, and its replies are
 * thrown away.  After a protocol error, an unexpected reply, or a reply above the limits the
 * connection is closed.
 * Threads  create, start, stop, destroy: [loop] (use nkvi_loop_call).  submit: [any].  Callbacks:
 *          [loop], under no lock; submit is allowed inside them, destroy is not. */
#ifndef NKVI_IO_LANE_H
#define NKVI_IO_LANE_H

#include <stdbool.h>

#include <nearkv/event.h>
#include <nearkv/status.h>

#include "base/buf.h"
#include "core/cache.h"
#include "core/draft.h"
#include "io/loop.h"

typedef struct nkvi_lane nkvi_lane;

/* Where and as whom; strings are copied, the password is wiped at the end. */
typedef struct nkvi_endpoint {
    const char *path; /* unix socket, or NULL: */
    const char *host;
    int port;
    const char *username, *password; /* NULL: none */
    int db;
    const char *client_name;
    const char *nowhere; /* there is no such server, and this is why: every request ends with
                          * NKV_ECONN; constant text; NULL: there is one */
} nkvi_endpoint;

/* "host:port", "[host]:port" or the path; never a secret. */
void nkvi_endpoint_address(const nkvi_endpoint *endpoint, char *out, size_t size);

/* Whether the server, or what stands for it, is on this machine: a unix socket or a loopback
 * address. */
bool nkvi_endpoint_is_near(const nkvi_endpoint *endpoint);

typedef enum nkvi_lane_state {
    NKVI_LANE_DOWN = 0,  /* not connected (connecting, backing off, or stopped) */
    NKVI_LANE_UNTRACKED, /* usable; does not vouch */
    NKVI_LANE_ARMED      /* usable; tracking is on */
} nkvi_lane_state;

typedef struct nkvi_lane_info {
    nkvi_lane_state state;
    bool healthy;         /* heard within max_idle */
    int64_t last_rx_ns;   /* INT64_MIN: never */
    int64_t client_id;    /* 0: none */
    uint64_t reconnects;  /* connections that were made after the first */
    uint64_t writes;      /* write system calls that carried requests of callers */
    uint64_t inflight;    /* requests queued or under way */
    nkv_error last_error; /* why it is down or untracked; status NKV_OK: never was */
} nkvi_lane_info;

typedef struct nkvi_lane_handler {
    /* A push, in stream order between the replies.  The view is valid during the call. */
    void (*on_push)(void *ud, const nkv_reply *push);
    /* The state or the health changed; the owner has already been begun or ended. */
    void (*on_change)(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause);
    void *ud;
} nkvi_lane_handler;

typedef struct nkvi_lane_config {
    nkvi_endpoint endpoint;
    nkvi_lane_handler handler;
    nkv_cache *cache;  /* whose owner is begun and ended; only with `owner` */
    nkvi_owner *owner; /* not NULL: a tracked lane */
    int64_t connect_timeout_ms, max_idle_ms, backoff_min_ms, backoff_max_ms;
    int64_t audit_ms; /* between two questions whether tracking is on; 0: never asked */
    int64_t inflight_max, inflight_bytes_max, reply_bytes_max;
    bool vouch_if_told; /* a connection begins without vouching */
} nkvi_lane_config;

/* One or more pipelined commands and their replies.  The memory is the submitter's and must live
 * until on_done was called. */
typedef struct nkvi_request {
    unsigned replies;    /* how many replies belong to it; >= 1 */
    int64_t deadline_ns; /* the lane gives the request up then: NKV_ETIMEDOUT */
    /* One reply, in order.  The draft is handed over: what the callee does not take it
     * must clear. */
    void (*on_reply)(struct nkvi_request *request, unsigned index, nkvi_draft *reply);
    /* Exactly once, and the last: NKV_OK after the last reply; or NKV_ECONN, NKV_EREPLY (handshake
     * refused), NKV_EPROTO, NKV_ETIMEDOUT, NKV_ENOMEM (for a reply: the connection is closed,
     * and those behind it get NKV_ECONN, as they do with NKV_EPROTO),
     * NKV_ECLOSED.  sent (below) tells whether the server may have seen it. */
    void (*on_done)(struct nkvi_request *request, nkv_status status, const nkv_error *error);
    /* Set by the lane: */
    uint64_t generation; /* of the owner, under which it was sent; 0: not tracked */
    bool sent;           /* bytes of it may have reached the server */
} nkvi_request;

typedef enum nkvi_submit_when {
    NKVI_SUBMIT_ARMED, /* only if the lane is ARMED now, else NKV_ECONN at once */
    NKVI_SUBMIT_WAIT   /* if it is down, wait for the connection attempt that is under way or due */
} nkvi_submit_when;

/* [loop] */
nkv_status nkvi_lane_create(nkvi_loop *loop, const nkvi_lane_config *config, nkvi_lane **out,
                            nkv_error *error);
void nkvi_lane_start(nkvi_lane *lane);
/* Ends the owner's generation, fails every request with NKV_ECLOSED, closes.  From now on submit
 * returns NKV_ECLOSED; the lane stays valid until destroy, because other threads may be about to
 * call it. */
void nkvi_lane_stop(nkvi_lane *lane);
/* Stops if need be, and frees.  Nobody calls into the lane any more. */
void nkvi_lane_destroy(nkvi_lane *lane);

/* Sends `bytes` (complete RESP commands, `request->replies` of them; taken in every case, the
 * buffer is empty afterwards) and queues the request.
 * Returns NKV_OK: on_done will be called, on the loop's thread, perhaps before this returns to
 * another thread · NKV_ECONN (NKVI_SUBMIT_ARMED and it is not) · NKV_EBUSY (inflight_max or its
 * bytes) · NKV_ENOMEM · NKV_ECLOSED: on_done will never be called.  [any] */
nkv_status nkvi_lane_submit(nkvi_lane *lane, nkvi_request *request, nkvi_buf *bytes,
                            nkvi_submit_when when, nkv_error *error);

/* The present connection, if it is armed, vouches until `until_ns` at the longest; INT64_MIN: not
 * now.  Nothing is dropped by it.  [loop] */
void nkvi_lane_vouch(nkvi_lane *lane, int64_t until_ns);

/* Ends the connection, or the attempt to make one, and makes none until something is to be sent.
 * Requests under way end with NKV_ECONN.  [loop], not inside a callback of this lane. */
void nkvi_lane_rest(nkvi_lane *lane);

/* Reads and dispatches what the socket holds now, until it would block.  [loop] */
void nkvi_lane_drain(nkvi_lane *lane);

/* A snapshot.  [any] */
void nkvi_lane_get_info(nkvi_lane *lane, nkvi_lane_info *info);

/* "host:port" or the path; constant for the lane's life, never a secret.  [any] */
const char *nkvi_lane_address(const nkvi_lane *lane);

#endif
