/* conn/cluster.c - see cluster_impl.h: the table of the connector. */
#include "conn/cluster.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/cluster_impl.h"
#include "conn/hash_slot.h"
#include "conn/redirect.h"

#define TICK_MS     50
#define SEEDS_FIRST 3u /* that are tried at once */

/* ---- whom to ask ----------------------------------------------------------------------------- */

static nkvi_route cluster_route(nkvi_connector *connector, nkv_str key, nkvi_intent intent)
{
    cluster *self = cluster_of(connector);
    nkvi_route route = {.hash_slot = nkvi_hash_slot(key)};
    (void)intent;
    if (self->moves != NULL) {
        route.moves = atomic_load_explicit(&self->moves->of[route.hash_slot], memory_order_acquire);
    }
    nkvi_map_node *node = nkvi_slot_map_holder(&self->map, route.hash_slot);
    if (node == NULL) { /* any node knows better, or says that there is nobody */
        node = nkvi_slot_map_node(&self->map, atomic_load(&self->any));
    }
    route.peer = &node_of(node)->member.peer;
    return route;
}

/* [loop], where slots change hands. */
static bool cluster_vouches(nkvi_connector *connector, const nkvi_route *route)
{
    const cluster *self = cluster_of(connector);
    nkvi_map_node *holder = nkvi_slot_map_holder(&self->map, route->hash_slot);
    return holder != NULL && &node_of(holder)->member.peer == route->peer &&
           atomic_load(&self->moves->of[route->hash_slot]) == route->moves;
}

static void cluster_hear(nkvi_connector *connector, nkvi_peer *peer, const nkv_reply *error)
{
    cluster *self = cluster_of(connector);
    cluster_node *from = node_of_peer(peer);
    const nkvi_redirect redirect = nkvi_redirect_of(error);
    cluster_node *to = NULL;
    if (redirect.kind == NKVI_REDIRECT_NONE) {
        return;
    }
    if (redirect.kind == NKVI_REDIRECT_MOVED || redirect.kind == NKVI_REDIRECT_ASK) {
        to = nkvi_cluster_node(self, from, redirect.host, redirect.port);
    }
    if (to != NULL) {
        nkvi_member_wake(&to->member);
    }
    if (redirect.kind == NKVI_REDIRECT_MOVED && to != NULL) {
        (void)nkvi_slot_map_moved(&self->map, redirect.hash_slot, &from->map, &to->map);
    }
    if (redirect.kind == NKVI_REDIRECT_ASK) {
        nkvi_slot_map_leaving(&self->map, redirect.hash_slot, &from->map);
    }
    if (redirect.kind != NKVI_REDIRECT_ASK && redirect.kind != NKVI_REDIRECT_TRYAGAIN) {
        from->map.doubted = true; /* its word may have changed in more than this */
    }
}

static nkvi_again cluster_again(nkvi_connector *connector, const nkvi_route *route,
                                nkv_status status, const nkv_reply *reply, nkvi_peer **there)
{
    const cluster *self = cluster_of(connector);
    const nkvi_redirect redirect = nkvi_redirect_of(reply);
    nkvi_map_node *to = NULL;
    if (status == NKV_ECONN) {
        return NKVI_AGAIN_LATER;
    }
    switch (status == NKV_EREPLY ? redirect.kind : NKVI_REDIRECT_NONE) {
    case NKVI_REDIRECT_NONE:
        return NKVI_AGAIN_NOT;
    case NKVI_REDIRECT_MOVED: /* of another slot: the keys of the command are in several */
        return redirect.hash_slot == route->hash_slot ? NKVI_AGAIN_NOW : NKVI_AGAIN_NOT;
    case NKVI_REDIRECT_ASK:
        if (redirect.hash_slot != route->hash_slot) {
            return NKVI_AGAIN_NOT;
        }
        to = nkvi_cluster_find(self, route->peer, redirect.host, redirect.port);
        *there = to != NULL ? &node_of(to)->member.peer : NULL;
        return to != NULL ? NKVI_AGAIN_ASKING : NKVI_AGAIN_LATER;
    default:
        return NKVI_AGAIN_LATER;
    }
}

/* ---- what there is --------------------------------------------------------------------------- */

static nkv_error error_of(cluster *self, const cluster_node *node)
{
    pthread_mutex_lock(&self->mu);
    nkv_error error = node->error;
    pthread_mutex_unlock(&self->mu);
    return error;
}

/* Why the node has given no word: what it answered, or what became of its lane. */
static nkv_error reason_of(cluster *self, const cluster_node *node)
{
    nkvi_lane_info info;
    nkv_error error = error_of(self, node);
    nkvi_lane_get_info(nkvi_member_lane(&node->member), &info);
    return error.status == NKV_OK && info.state == NKVI_LANE_DOWN ? info.last_error : error;
}

/* Nobody has told of the cluster.  It is in vain to wait if every seed refuses. */
static nkv_status find_reason(cluster *self, nkv_error *error)
{
    nkv_status never = NKV_OK;
    bool hope = false;
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        const cluster_node *node = node_at(self, i);
        const nkv_error one = reason_of(self, node);
        bool refuses = one.status == NKV_EREPLY || one.status == NKV_EPROTO;
        hope = hope || (node->seed && !refuses);
        if (one.status != NKV_OK && (error->status == NKV_OK || refuses)) {
            *error = one;
            never = one.status;
        }
    }
    return hope ? NKV_EBUSY : never;
}

/* What keeps a node that is used from vouching, if it is its answer. */
static nkv_status find_unwell(cluster *self, nkv_error *error)
{
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        const cluster_node *node = node_at(self, i);
        const nkv_error one = error_of(self, node);
        if (atomic_load(&node->member.shown) && one.status != NKV_OK) {
            *error = one;
            return NKV_EBUSY;
        }
    }
    return NKV_OK;
}

static nkv_status cluster_ready(nkvi_connector *connector, nkv_error *error)
{
    cluster *self = cluster_of(connector);
    nkv_error why = {.status = NKV_OK};
    nkv_status status = !atomic_load(&self->known) ? find_reason(self, &why)
                        : self->config.tracked     ? find_unwell(self, &why)
                                                   : NKV_OK;
    if (error != NULL) {
        *error = why;
    }
    return status;
}

/* Those that hold slots or are kept connected. */
static size_t cluster_peers(nkvi_connector *connector, nkvi_peer **peers, size_t cap)
{
    const cluster *self = cluster_of(connector);
    size_t n = 0;
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        cluster_node *node = node_at(self, i);
        if (!atomic_load(&node->member.shown)) {
            continue;
        }
        if (n < cap) {
            peers[n] = &node->member.peer;
        }
        n++;
    }
    return n;
}

static size_t cluster_primaries(nkvi_connector *connector, nkvi_peer **peers, uint32_t *numbers,
                                size_t cap)
{
    const cluster *self = cluster_of(connector);
    size_t n = 0;
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        cluster_node *node = node_at(self, i);
        if (atomic_load(&node->map.slots) == 0) {
            continue;
        }
        if (n < cap) {
            peers[n] = &node->member.peer;
        }
        if (n < cap && numbers != NULL) {
            numbers[n] = i;
        }
        n++;
    }
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void cluster_start(nkvi_connector *connector)
{
    cluster *self = cluster_of(connector);
    for (uint32_t i = 0; i < SEEDS_FIRST && i < atomic_load(&self->map.nodes_len); i++) {
        nkvi_member_wake(&node_at(self, i)->member);
    }
    self->next_seed = SEEDS_FIRST;
    self->seeds_due_ns = nkvi_loop_now_ns(self->config.loop);
}

static void cluster_stop(nkvi_connector *connector)
{
    cluster *self = cluster_of(connector);
    nkvi_ticker_stop(self->ticker);
    self->ticker = NULL;
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        nkvi_peer_stop(&node_at(self, i)->member.peer);
    }
}

static void cluster_destroy(nkvi_connector *connector)
{
    cluster *self = cluster_of(connector);
    nkvi_ticker_stop(self->ticker);
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        nkvi_cluster_node_destroy(node_at(self, i));
    }
    if (self->moves != NULL) {
        nkvi_cache_moves_close(self->config.lane.cache, self->moves);
    }
    nkvi_address_map_free(self->addresses);
    pthread_mutex_destroy(&self->mu);
    nkvi_free(self);
}

static const nkvi_connector_ops cluster_ops = {
    .route = cluster_route,
    .vouches = cluster_vouches,
    .hear = cluster_hear,
    .again = cluster_again,
    .ready = cluster_ready,
    .peers = cluster_peers,
    .primaries = cluster_primaries,
    .start = cluster_start,
    .stop = cluster_stop,
    .destroy = cluster_destroy,
};

static nkv_status open_seeds(cluster *self, const nkvi_cluster_config *config, nkv_error *error)
{
    for (size_t i = 0; i < config->seeds_len; i++) {
        const nkvi_url_host *seed = &config->seeds[i];
        cluster_node *node = nkvi_cluster_node(self, NULL, nkv_cstr(seed->host), seed->port);
        if (node == NULL) {
            return nkvi_fail(error, NKV_ENOMEM, "no memory for the nodes of a cluster");
        }
        node->seed = true;
    }
    return NKV_OK;
}

static nkv_status open_all(cluster *self, const nkvi_cluster_config *config, nkv_error *error)
{
    self->config = config->base;
    self->max_age_ns = config->topology_max_age_ms * NKVI_NS_PER_MS;
    self->random = nkvi_random_seed();
    if (self->config.tracked) {
        self->moves = nkvi_cache_moves_open(self->config.lane.cache);
        if (self->moves == NULL) {
            return nkvi_fail(error, NKV_ENOMEM, "no memory for the slots of a cluster");
        }
        self->config.moves = self->moves;
    }
    nkvi_slot_map_init(&self->map, self->config.lane.cache, self->moves);
    nkv_status status = nkvi_address_map_parse(config->address_map, &self->addresses, error);
    if (status == NKV_OK) {
        status = open_seeds(self, config, error);
    }
    if (status == NKV_OK) {
        self->ticker = nkvi_ticker_start(self->config.loop, TICK_MS, nkvi_cluster_tick, self);
        if (self->ticker == NULL) {
            status = nkvi_fail(error, NKV_ENOMEM, "no memory for a timer");
        }
    }
    return status;
}

nkv_status nkvi_cluster_create(const nkvi_cluster_config *config, nkvi_connector **out,
                               nkv_error *error)
{
    cluster *self = nkvi_calloc(1, sizeof *self);
    if (self == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a connector");
    }
    self->base.ops = &cluster_ops;
    self->base.barrier = NKVI_BARRIER_KEYS;
    self->base.hash_slots = true;
    (void)pthread_mutex_init(&self->mu, NULL);
    nkv_status status = open_all(self, config, error);
    if (status != NKV_OK) {
        cluster_destroy(&self->base);
        return status;
    }
    *out = &self->base;
    return NKV_OK;
}
