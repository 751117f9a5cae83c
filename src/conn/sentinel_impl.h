/* conn/sentinel_impl.h - what the topology of sentinels is made of; for sentinel*.c only.
 *
 *      sentinel.c          the table of the connector: routes, life
 *      sentinel_watch.c    sentinels: who is the primary, and what they announce
 *      sentinel_server.c   servers: what each says of itself (INFO), and what follows from it
 *
 *      sentinels --address of the primary, +switch-master--> the one that is named
 *      INFO of the named one says master                 --> it is the primary: it vouches, and no
 *                                                            longer than topology_max_age
 *      INFO of a replica says that its link is up        --> it may be read from, and vouches
 *
 * A server that is no longer named is fenced: it vouches for nothing from that moment on, and what
 * it vouched for is gone with its connection.  A sentinel's word is needed for a switch, not for
 * going on: without any sentinel the primary's own word counts.
 *
 * Own writes (P2)   A replica that says an offset which the primary has said before, of the same
 *                   history (replid), has everything that had been written when the primary was
 *                   asked (core/written.h).
 * Threads  [loop], but for what is atomic. */
#ifndef NKVI_CONN_SENTINEL_IMPL_H
#define NKVI_CONN_SENTINEL_IMPL_H

#include <pthread.h>

#include "base/clock.h"
#include "conn/address_map.h"
#include "conn/member.h"
#include "conn/role.h"
#include "conn/sentinel.h"
#include "conn/sentinel_reply.h"

#define NKVI_SERVERS_MAX   4094u /* addresses that were ever named */
#define NKVI_SENTINELS_MAX 64u
#define NKVI_MARKS         8u /* a power of two */

typedef struct sentinels sentinels;

/* A server behind the sentinels. */
typedef struct server {
    nkvi_member member; /* first */
    sentinels *all;
    char host[NKVI_HOST_SIZE]; /* constant, as is: */
    int port;
    nkvi_request request;
    int64_t asked_ns;  /* NKVI_NEVER: no question is under way */
    uint64_t asked_at; /* writes that had returned when it was asked */
    nkvi_replication said;
    bool understood;
    int64_t due_ns;
    int64_t heard_ns;       /* a primary: when it was asked for its last good word */
    int64_t named_ns;       /* when a sentinel last named it */
    bool listed;            /* as a replica that can be used */
    bool fence;             /* to be rested at the next tick */
    bool speaks;            /* its last word was good for what it is used as */
    _Atomic int64_t rtt_ns; /* of a question, smoothed; 0: not measured */
    _Atomic bool demoted;   /* it was the primary, and says that it is not */
    _Atomic bool alive;     /* as speaks */
    _Atomic bool readable;  /* a replica that may be asked */
    _Atomic uint64_t has;   /* it has all writes up to this number */
} server;

/* One of the sentinels. */
typedef struct watcher {
    sentinels *all;
    nkvi_lane *lane;
    char host[NKVI_HOST_SIZE];
    int port;
    nkvi_request request, subscription;
    int64_t asked_ns; /* NKVI_NEVER: no question is under way */
    int64_t due_ns;
    bool up, subscribing, subscribed;
    _Atomic nkv_status named; /* NKV_OK: primary is */
    nkvi_sentinel_address primary;
    uint64_t epoch;
    nkvi_sentinel_list replicas, others;
    nkv_error error;
} watcher;

/* What the primary said: with this offset it has these writes. */
typedef struct mark {
    char replid[NKVI_REPLID_SIZE];
    int64_t offset;
    uint64_t writes;
} mark;

struct sentinels {
    nkvi_connector base;
    nkvi_connector_config config; /* its strings are the client's, which lives longer */
    nkvi_lane_config watch;       /* of the lanes to sentinels */
    const char *service;
    int64_t timeout_ns, max_age_ns;
    nkvi_url_read read_from;
    nkvi_address_map *addresses; /* NULL: none */
    _Atomic(watcher *) watchers[NKVI_SENTINELS_MAX];
    _Atomic size_t watchers_len;
    _Atomic(server *) servers[NKVI_SERVERS_MAX];
    _Atomic uint32_t servers_len;
    _Atomic(server *) primary; /* NULL: not known */
    server *before;            /* the primary before it */
    uint64_t epoch;            /* of the configuration that named it */
    nkvi_peer nowhere;         /* where requests go while nobody is known */
    nkvi_connector_config nowhere_config;
    bool nowhere_open;
    mark marks[NKVI_MARKS];
    unsigned marks_len;
    nkvi_ticker *ticker;
    bool started;
    _Atomic bool known;
    pthread_mutex_t mu; /* a leaf: why nobody is known */
    nkv_error last_error;
};

static inline server *server_at(const sentinels *all, uint32_t i)
{
    return atomic_load_explicit(&all->servers[i], memory_order_acquire);
}

static inline server *server_of_peer(nkvi_peer *peer)
{
    return (server *)(void *)nkvi_member_of(peer);
}

/* ---- sentinel_watch.c ---- */

/* One more sentinel, unless it is known; false: memory.  Too many are left out. */
bool nkvi_watcher_add(sentinels *all, const char *host, int port, nkv_error *error);
void nkvi_watcher_start(watcher *w);
void nkvi_watcher_destroy(watcher *w);
void nkvi_watcher_tick(watcher *w, int64_t now_ns);

/* All of them are asked as soon as they can be. */
void nkvi_watchers_hurry(sentinels *all);

/* ---- sentinel_server.c ---- */

/* The server that is announced at that address, translated, made if need be.  NULL: memory, or too
 * many. */
server *nkvi_server_named(sentinels *all, nkv_str host, int port);

/* A sentinel says that it is the primary now, by the configuration of that epoch (0: it does not
 * say). */
void nkvi_server_promote(sentinels *all, server *s, uint64_t epoch);

void nkvi_server_ask(server *s);
void nkvi_server_tick(server *s, int64_t now_ns);
void nkvi_server_destroy(server *s);

void nkvi_sentinels_note_error(sentinels *all, const nkv_error *error);

#endif
