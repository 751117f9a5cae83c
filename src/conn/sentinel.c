/* conn/sentinel.c - see sentinel_impl.h: the table of the connector. */
#include "conn/sentinel.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/redirect.h"
#include "conn/sentinel_impl.h"

#define TICK_MS 50

static sentinels *of(nkvi_connector *connector)
{
    return (sentinels *)(void *)connector;
}

void nkvi_sentinels_note_error(sentinels *all, const nkv_error *error)
{
    pthread_mutex_lock(&all->mu);
    all->last_error = *error;
    pthread_mutex_unlock(&all->mu);
}

/* ---- whom to ask ----------------------------------------------------------------------------- */

/* The replica that a key is read from: always the same, so that it is cached under one lane.
 * NULL: there is none. */
static server *replica_for(const sentinels *all, nkv_str key)
{
    uint32_t servers = atomic_load(&all->servers_len), n = 0, readable = 0;
    for (uint32_t i = 0; i < servers; i++) {
        readable += atomic_load(&server_at(all, i)->readable);
    }
    uint64_t want = readable > 1 ? nkvi_hash(key.data, key.len, 0) % readable : 0;
    server *found = NULL;
    for (uint32_t i = 0; i < servers && n <= want; i++) {
        if (atomic_load(&server_at(all, i)->readable)) { /* or the last one, if some went */
            found = server_at(all, i);
            n++;
        }
    }
    return found;
}

/* The one that answers fastest, replica or primary; NULL: none is known. */
static server *nearest(const sentinels *all)
{
    server *primary = atomic_load(&all->primary);
    server *best = primary != NULL && atomic_load(&primary->alive) ? primary : NULL;
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        server *s = server_at(all, i);
        int64_t rtt_ns = atomic_load(&s->rtt_ns);
        bool better =
            best == NULL || atomic_load(&best->rtt_ns) == 0 || rtt_ns < atomic_load(&best->rtt_ns);
        if (rtt_ns > 0 && better && atomic_load(&s->readable)) {
            best = s;
        }
    }
    return best != NULL ? best : primary;
}

/* The server for a read, by the policy; but the primary, if another one may not have a write of
 * ours. */
static server *reader_for(const sentinels *all, nkv_str key)
{
    server *primary = atomic_load(&all->primary);
    server *s = primary;
    switch (all->read_from) {
    case NKVI_URL_READ_REPLICA:
        s = replica_for(all, key);
        break;
    case NKVI_URL_READ_PREFER_REPLICA:
        s = replica_for(all, key);
        s = s != NULL ? s : primary;
        break;
    case NKVI_URL_READ_NEAREST:
        s = nearest(all);
        break;
    default:
        break;
    }
    bool behind = s != NULL && s != primary && all->config.written != NULL &&
                  nkvi_written_since(all->config.written, key, atomic_load(&s->has));
    return behind ? primary : s;
}

static nkvi_route sentinel_route(nkvi_connector *connector, nkv_str key, nkvi_intent intent)
{
    sentinels *all = of(connector);
    server *s = intent == NKVI_TO_WRITE ? atomic_load(&all->primary) : reader_for(all, key);
    s = s != NULL && atomic_load(&s->demoted) ? NULL : s; /* nobody, until sentinels say who */
    return (nkvi_route){.peer = s != NULL ? &s->member.peer : &all->nowhere};
}

/* [loop] */
static bool sentinel_vouches(nkvi_connector *connector, const nkvi_route *route)
{
    const sentinels *all = of(connector);
    const server *s = server_of_peer(route->peer);
    return s->speaks && (s == atomic_load(&all->primary) || atomic_load(&s->readable));
}

static void sentinel_hear(nkvi_connector *connector, nkvi_peer *peer, const nkv_reply *error)
{
    sentinels *all = of(connector);
    nkvi_redirect_kind kind = nkvi_redirect_of(error).kind;
    if (peer != &all->nowhere && (kind == NKVI_REDIRECT_READONLY || kind == NKVI_REDIRECT_LOADING ||
                                  kind == NKVI_REDIRECT_MASTERDOWN)) {
        nkvi_server_ask(server_of_peer(peer)); /* what is it now? */
        nkvi_watchers_hurry(all);
    }
}

static nkvi_again sentinel_again(nkvi_connector *connector, const nkvi_route *route,
                                 nkv_status status, const nkv_reply *reply, nkvi_peer **there)
{
    nkvi_redirect_kind kind =
        status == NKV_EREPLY ? nkvi_redirect_of(reply).kind : NKVI_REDIRECT_NONE;
    (void)connector;
    (void)route;
    (void)there;
    bool later = status == NKV_ECONN || kind == NKVI_REDIRECT_READONLY ||
                 kind == NKVI_REDIRECT_LOADING || kind == NKVI_REDIRECT_MASTERDOWN;
    return later ? NKVI_AGAIN_LATER : NKVI_AGAIN_NOT;
}

/* ---- what there is --------------------------------------------------------------------------- */

/* Whether every sentinel says that it does not know the service. */
static bool nobody_knows(const sentinels *all)
{
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        if (atomic_load(&atomic_load(&all->watchers[i])->named) != NKV_NOT_FOUND) {
            return false;
        }
    }
    return true;
}

static nkv_status sentinel_ready(nkvi_connector *connector, nkv_error *error)
{
    sentinels *all = of(connector);
    bool served = all->read_from != NKVI_URL_READ_REPLICA || replica_for(all, nkv_cstr("")) != NULL;
    if (atomic_load(&all->known) && served) {
        return NKV_OK;
    }
    pthread_mutex_lock(&all->mu);
    nkv_error last = all->last_error;
    pthread_mutex_unlock(&all->mu);
    if (error != NULL) {
        *error = last;
    }
    return last.status == NKV_EREPLY && nobody_knows(all) ? NKV_EREPLY : NKV_EBUSY;
}

static size_t sentinel_peers(nkvi_connector *connector, nkvi_peer **peers, size_t cap)
{
    const sentinels *all = of(connector);
    size_t n = 0;
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        server *s = server_at(all, i);
        if (!atomic_load(&s->member.shown)) {
            continue;
        }
        if (n < cap) {
            peers[n] = &s->member.peer;
        }
        n++;
    }
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void tick(void *ud)
{
    sentinels *all = ud;
    int64_t now_ns = nkvi_loop_now_ns(all->config.loop);
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        nkvi_watcher_tick(atomic_load(&all->watchers[i]), now_ns);
    }
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        nkvi_server_tick(server_at(all, i), now_ns);
    }
}

static void sentinel_start(nkvi_connector *connector)
{
    sentinels *all = of(connector);
    all->started = true;
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        nkvi_watcher_start(atomic_load(&all->watchers[i]));
    }
}

static void sentinel_stop(nkvi_connector *connector)
{
    sentinels *all = of(connector);
    nkvi_ticker_stop(all->ticker);
    all->ticker = NULL;
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        nkvi_lane_stop(atomic_load(&all->watchers[i])->lane);
    }
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        nkvi_peer_stop(&server_at(all, i)->member.peer);
    }
    nkvi_peer_stop(&all->nowhere);
}

static void sentinel_destroy(nkvi_connector *connector)
{
    sentinels *all = of(connector);
    nkvi_ticker_stop(all->ticker);
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        nkvi_watcher_destroy(atomic_load(&all->watchers[i]));
    }
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        nkvi_server_destroy(server_at(all, i));
    }
    if (all->nowhere_open) {
        nkvi_peer_close(&all->nowhere, &all->nowhere_config);
    }
    nkvi_address_map_free(all->addresses);
    pthread_mutex_destroy(&all->mu);
    nkvi_free(all);
}

static const nkvi_connector_ops sentinel_ops = {
    .route = sentinel_route,
    .vouches = sentinel_vouches,
    .hear = sentinel_hear,
    .again = sentinel_again,
    .ready = sentinel_ready,
    .peers = sentinel_peers,
    .start = sentinel_start,
    .stop = sentinel_stop,
    .destroy = sentinel_destroy,
};

static void configure(sentinels *all, const nkvi_sentinel_config *config)
{
    all->config = config->base;
    all->service = config->service;
    all->timeout_ns = config->timeout_ms * NKVI_NS_PER_MS;
    all->max_age_ns = config->topology_max_age_ms * NKVI_NS_PER_MS;
    all->read_from = config->read_from;
    all->base.overlaps = config->read_from > NKVI_URL_READ_PRIMARY;
    all->watch = config->base.lane;
    all->watch.cache = NULL;
    all->watch.owner = NULL;
    all->watch.connect_timeout_ms = config->timeout_ms;
    all->watch.endpoint.username = config->username;
    all->watch.endpoint.password = config->password;
    all->watch.endpoint.db = 0;
    all->nowhere_config = config->base;
    all->nowhere_config.tracked = false;
    all->nowhere_config.lane.endpoint.host = "nowhere";
    all->nowhere_config.lane.endpoint.nowhere =
        "no server is known that may be asked: no sentinel has named one yet";
}

static nkv_status open_all(sentinels *all, const nkvi_sentinel_config *config, nkv_error *error)
{
    nkv_status status = nkvi_address_map_parse(config->address_map, &all->addresses, error);
    if (status == NKV_OK) {
        status = nkvi_peer_open(&all->nowhere, &all->nowhere_config, error);
        all->nowhere_open = status == NKV_OK;
    }
    for (size_t i = 0; status == NKV_OK && i < config->sentinels_len; i++) {
        const nkvi_url_host *at = &config->sentinels[i];
        if (!nkvi_watcher_add(all, at->host, at->port, error)) {
            status = NKV_ENOMEM;
        }
    }
    if (status == NKV_OK) {
        all->ticker = nkvi_ticker_start(all->config.loop, TICK_MS, tick, all);
        if (all->ticker == NULL) {
            status = nkvi_fail(error, NKV_ENOMEM, "no memory for a timer");
        }
    }
    return status;
}

nkv_status nkvi_sentinel_create(const nkvi_sentinel_config *config, nkvi_connector **out,
                                nkv_error *error)
{
    sentinels *all = nkvi_calloc(1, sizeof *all);
    if (all == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a connector");
    }
    all->base.ops = &sentinel_ops;
    all->base.barrier = NKVI_BARRIER_ROLE;
    (void)pthread_mutex_init(&all->mu, NULL);
    configure(all, config);
    nkv_status status = open_all(all, config, error);
    if (status != NKV_OK) {
        sentinel_destroy(&all->base);
        return status;
    }
    *out = &all->base;
    return NKV_OK;
}
