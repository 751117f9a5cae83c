/* client/client_int.h - what a client is made of; for src/client only.
 *
 * Locks    Order: flights.mu before a gather's mutex.  Locks of the cache and of a lane are
 *          leaves: they are taken inside calls into those rooms, and no call comes back out.
 * Ending   A call that may wait or send is counted in `active` (nkvi_client_enter/leave).  destroy
 *          sets `closing`, ends the lanes, which wakes everybody, and waits until nobody is in. */
#ifndef NKVI_CLIENT_CLIENT_INT_H
#define NKVI_CLIENT_CLIENT_INT_H

#include <nearkv/client.h>
#include <nearkv/stats.h>

#include "base/clock.h"
#include "base/spare.h"
#include "base/url.h"
#include "client/counters.h"
#include "client/flight.h"
#include "conn/connector.h"
#include "core/cache.h"
#include "io/loop.h"

#define NKVI_TICK_MS    50   /* of the client's housekeeping */
#define NKVI_RECENT     256u /* a power of two */
#define NKVI_POSTED_MAX 4096u

/* The client's state for one peer.  [loop] */
typedef struct nkvi_peer_state {
    struct nkvi_flight *between; /* answered, its PTTL not yet */
    struct {
        uint64_t hash;
        int64_t at_ns;
    } recent[NKVI_RECENT]; /* fills of the last moments, to tell spurious invalidations */
    int64_t pressure_window_ns;
    unsigned pressure_spurious, pressure_fills;
    _Atomic bool no_field_expiry; /* the server answered that it knows no HPTTL; [any] */
    _Atomic bool no_presence;     /* PTTL is refused there; [any] */
    bool armed, healthy, known;   /* as last told by an event */
} nkvi_peer_state;

struct nkv_client {
    nkv_options options; /* strings are owned: see strings */
    char *strings;       /* of the options, in one block; wiped at the end */
    size_t strings_size;
    nkvi_url url; /* of a wrapped connector: empty */
    bool wrapped; /* over a connector of the user's own */
    bool caching; /* a cache is used */
    bool plain;   /* caching, and every key may be cached */
    nkv_cache *cache;
    uint32_t space;
    nkvi_fence *fence;
    nkvi_written *written; /* where replicas are read from: the cache's, or own_written; or NULL */
    nkvi_written *own_written; /* of a client that does not cache */
    int64_t coarse_slack_ns;
    nkvi_loop *loop;
    nkvi_connector *connector;
    nkvi_ticker *ticker;
    nkvi_flights flights;
    pthread_mutex_t state_mu; /* a leaf; with state_cond: a lane changed its state */
    pthread_cond_t state_cond;
    uint64_t state_changes;
    nkvi_list asyncs;        /* async calls under way; guarded by flights.mu, as are: */
    nkvi_list reads;         /* reads under way for which nobody waits */
    nkvi_list pauses;        /* waiters that the next tick wakes */
    _Atomic uint32_t owners; /* of its peers, that are open */
    _Atomic bool closing;
    _Atomic uint64_t active;
    _Atomic unsigned posted; /* events on their way to the loop; at most NKVI_POSTED_MAX */
    nkvi_counters counters;
    nkvi_spare spare; /* blocks of jobs, reads and batches that have ended */
};

/* Counts a call in; false: the client is being destroyed.  Every true needs a leave. */
bool nkvi_client_enter(nkv_client *client);
void nkvi_client_leave(nkv_client *client);

/* A blocking call: enter, and not on the loop's thread. Returns NKV_OK or NKV_ECLOSED or
 * NKV_EDEADLK. */
nkv_status nkvi_client_enter_blocking(nkv_client *client, nkv_error *error);

/* The deadline of a call, from now. */
int64_t nkvi_call_deadline(const nkv_client *client, const nkv_call *call);

/* What is left until a deadline, for calls that are made of several: at least 1 ms. */
int64_t nkvi_call_left_ms(int64_t until_ns);

/* A copy of a call's choices, which may be of an older, shorter struct, or NULL. */
void nkvi_call_copy(nkv_call *copy, const nkv_call *call);

nkv_level nkvi_call_level(const nkv_client *client, const nkv_call *call);

/* Stores the outcome into the caller's struct (NULL is allowed) and returns status. */
nkv_status nkvi_call_done(nkv_call *call, nkv_status status, nkv_from from, const nkv_error *error);

/* Delivers an event.  On the loop's thread it is delivered at once; from another a copy is posted
 * (but for `node`, which must live as long as the client), or lost if there is no memory, or if
 * NKVI_POSTED_MAX of them wait already. */
void nkvi_event_emit(nkv_client *client, const nkv_event *event);

/* Whom a key is to be asked of, or written to. */
static inline nkvi_route nkvi_client_route(const nkv_client *client, nkv_str key,
                                           nkvi_intent intent)
{
    return client->connector->ops->route(client->connector, key, intent);
}

/* Whether lanes of others may fill the cache, too, or several of ours the same keys. */
bool nkvi_client_others_fill(const nkv_client *client);

/* Handlers of the connector.  [loop] */
bool nkvi_client_on_open(void *ud, nkvi_peer *peer);
void nkvi_client_on_close(void *ud, nkvi_peer *peer);
void nkvi_client_on_push(void *ud, nkvi_peer *peer, const nkv_reply *push);
void nkvi_client_on_change(void *ud, nkvi_peer *peer, const nkvi_lane_info *info,
                           nkv_flush_cause cause);

void nkvi_client_on_state(void *ud, nkvi_peer *peer); /* [any] */
void nkvi_client_on_told(void *ud, nkvi_peer *peer, const nkv_str *key,
                         const char *why); /* [any] */

/* A key was filled at this moment: remembered to tell a spurious invalidation.  [loop] */
void nkvi_client_note_fill(nkvi_peer *peer, uint64_t key_hash, int64_t now_ns);

#endif
