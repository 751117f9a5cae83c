/* client/flight.h - questions under way, and those who wait for them.
 *
 *      caller --ask--> [flight GET k]--+                      on the wire:  GET k, PTTL k, …
 *      caller --join-> [   same      ] |-- batch (one write) --> lane
 *      caller --ask--> [flight GET m]--+
 *
 * A batch is one write to one lane: some flights, each with its command and, on a tracked lane,
 * the PTTL behind it (and HPTTL, where the answer is of hash fields and the server knows field
 * expiry). EXISTS is asked as PTTL alone, which says both, and is tracked like any read. A flight
 * ends exactly once, whatever happens, and wakes everybody who waits for it (I3). It fills the
 * cache from the reply callback, on the loop's thread, if nothing overtook it:
 *
 *      - its token is intact: no write of ours to the key since before it was sent (I2), and where
 *        several lanes fill one cache, no push for it on any of them;
 *      - no push named the key between the answer and its PTTL (`between` of the peer);
 *      - the generation under which it was sent still stands (nkvi_cache_put checks).
 *
 * A push *before* the answer on the same stream does not matter: the answer is newer. (Two lanes
 * have no common order; so there any push of one keeps out what was asked before it on another, and
 * of two answers that contradict each other the cache keeps neither; an answer that is not kept
 * drops what another lane has put.)
 *
 * Waiters leave at their own deadline; the flight goes on without them.
 *
 * Locks    flights->mu: the table, the lists of waiters.  Taken by any thread, never while a
 *          callback of the user runs, and before a gather's mutex.
 * Threads  ask, leave: [any]; replies and pushes: [loop]. */
#ifndef NKVI_CLIENT_FLIGHT_H
#define NKVI_CLIENT_FLIGHT_H

#include <pthread.h>

#include "base/list.h"
#include "conn/connector.h"
#include "core/cache.h"

#define NKVI_FLIGHT_BUCKETS 8192u /* a power of two; 128 KiB of each client */

typedef struct nkvi_flights {
    pthread_mutex_t mu;
    nkvi_list buckets[NKVI_FLIGHT_BUCKETS];
} nkvi_flights;

/* Somebody who waits for one answer. wake() is called exactly once, under no lock, unless the
 * waiter left before. It gets a reference of its own (or NULL) and borrows the error. */
typedef struct nkvi_waiter {
    nkvi_node node; /* of the flight's or call's list; guarded by flights->mu */
    void (*wake)(struct nkvi_waiter *waiter, nkv_status status, nkv_value *value,
                 const nkv_error *error);
} nkvi_waiter;

/* A question: a command with one key. */
typedef struct nkvi_ask {
    const nkvi_query *query;
    size_t argc; /* the whole command */
    const nkv_str *argv;
    size_t fields_at;    /* where hash fields begin in argv, whose expiries bound it; 0: none */
    nkv_value *validate; /* the cached answer to be checked, or NULL; borrowed */
    nkvi_waiter *waiter;
    nkvi_route route; /* to the peer that is asked */
    nkvi_token token; /* from before it was routed */
    bool joined;      /* out: somebody else's question was joined */
} nkvi_ask;

typedef struct nkvi_ask_mode {
    bool tracked; /* cacheable, on the tracked lane; false: on the data lane, nothing is cached */
    bool join;    /* flights under way may be joined */
    bool asking;  /* not tracked: behind ASKING */
    bool static_ttl; /* no PTTL: ttl_ms alone bounds the entry */
    int64_t ttl_ms;  /* bound of the call; 0: none */
    int64_t deadline_ns;
} nkvi_ask_mode;

void nkvi_flights_init(nkvi_flights *flights);
void nkvi_flights_clear(nkvi_flights *flights);

struct nkv_client;

/* Asks n questions of one peer in one write; each ask's waiter is woken once, perhaps before this
 * returns.  If nothing could be sent the waiters of the new flights are woken with the reason:
 * NKV_ECONN (tracked: the lane is not armed; ask again untracked) · NKV_EBUSY · NKV_ENOMEM ·
 * NKV_ECLOSED.  asks and their strings are borrowed for the call.  [any] */
void nkvi_ask_all(struct nkv_client *client, nkvi_peer *peer, nkvi_ask **asks, size_t n,
                  const nkvi_ask_mode *mode);

/* Takes a waiter off its list.  true: it will not be woken; false: it was, or is being.
 * @locks flights->mu held */
bool nkvi_waiter_leave(nkvi_waiter *waiter);

/* Wakes all waiters of a list (which is emptied): each gets a reference of its own to `value` and
 * borrows `error`. The caller does not hold flights->mu. */
void nkvi_waiters_wake(nkvi_flights *flights, nkvi_list *waiters, nkv_status status,
                       nkv_value *value, const nkv_error *error);

/* A push named the key (or flushed: key NULL) at this peer. Returns whether an answer of it had
 * come, but not yet all that belongs to it. [loop] */
bool nkvi_flight_pushed(nkvi_peer *peer, const nkv_str *key);

#endif
