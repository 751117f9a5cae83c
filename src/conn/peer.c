/* conn/peer.c - the lanes of one server, made and ended in the right order.
 *
 * The owner outlives its lane: the lane ends the owner's generation before it closes, and only then
 * may the owner be given back to the cache. */
#include "conn/connector.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "conn/foreign.h"

/* What the lane's callbacks need to find their way back. */
static void peer_on_push(void *ud, const nkv_reply *push)
{
    nkvi_peer *peer = ud;
    peer->handler->on_push(peer->handler->ud, peer, push);
}

static void peer_on_change(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    nkvi_peer *peer = ud;
    peer->handler->on_change(peer->handler->ud, peer, info, cause);
    peer->handler->on_state(peer->handler->ud, peer);
}

/* The data lane is not tracked: nothing it is told concerns the cache. */
static void data_on_push(void *ud, const nkv_reply *push)
{
    (void)ud;
    (void)push;
}

static void data_on_change(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    nkvi_peer *peer = ud;
    (void)info;
    (void)cause;
    peer->handler->on_state(peer->handler->ud, peer);
}

/* Whoever compares the numbers of the client and of the cache in between sees one too few of the
 * client's, which is taken for somebody else's. */
nkvi_owner *nkvi_peer_owner_open(const nkvi_connector_config *config)
{
    nkvi_owner *owner = nkvi_cache_owner_open(config->lane.cache, config->moves);
    if (owner != NULL && config->owners != NULL) {
        atomic_fetch_add(config->owners, 1);
    }
    return owner;
}

void nkvi_peer_owner_close(const nkvi_connector_config *config, nkvi_owner *owner)
{
    if (config->owners != NULL) {
        atomic_fetch_sub(config->owners, 1);
    }
    nkvi_cache_owner_close(config->lane.cache, owner);
}

static nkv_status open_tracked(nkvi_peer *peer, const nkvi_connector_config *config,
                               nkv_error *error)
{
    peer->owner = nkvi_peer_owner_open(config);
    if (peer->owner == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for an owner");
    }
    nkvi_lane_config lane = config->lane;
    lane.owner = peer->owner;
    lane.handler.on_push = peer_on_push;
    lane.handler.on_change = peer_on_change;
    lane.handler.ud = peer;
    return nkvi_lane_create(config->loop, &lane, &peer->tracked, error);
}

/* Lanes that are of use at the same time: each keeps a processor busy, and a server on this machine
 * needs one, too. */
static unsigned lanes_at_once(const nkvi_connector_config *config)
{
    cpu_set_t cpus;
    if (config->bulk_at_once > 0) {
        return config->bulk_at_once;
    }
    if (!nkvi_endpoint_is_near(&config->lane.endpoint) ||
        sched_getaffinity(getpid(), sizeof cpus, &cpus) != 0) {
        return config->bulk_lanes;
    }
    int n = CPU_COUNT(&cpus);
    return n > 2 ? (unsigned)n - 1 : 1;
}

static nkv_status open_bulk(nkvi_peer *peer, const nkvi_connector_config *config, nkv_error *error)
{
    int64_t reply_max = config->lane.reply_bytes_max;
    const nkvi_bulk_config bulk = {.endpoint = config->lane.endpoint,
                                   .lanes = config->bulk_lanes,
                                   .at_once = lanes_at_once(config),
                                   .connect_timeout_ms = config->lane.connect_timeout_ms,
                                   .backoff_min_ms = config->lane.backoff_min_ms,
                                   .backoff_max_ms = config->lane.backoff_max_ms,
                                   .reply_bytes_max =
                                       reply_max < INT64_MAX ? reply_max + 1 : reply_max,
                                   .window_bytes = config->bulk_window_bytes};
    return nkvi_bulk_create(&bulk, &peer->bulk, error);
}

nkv_status nkvi_peer_open(nkvi_peer *peer, const nkvi_connector_config *config, nkv_error *error)
{
    memset(peer, 0, sizeof *peer);
    peer->handler = &config->handler;
    if (!config->handler.on_open(config->handler.ud, peer)) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a peer");
    }
    nkvi_lane_config data = config->lane;
    data.owner = NULL;
    data.handler.on_push = data_on_push;
    data.handler.on_change = data_on_change;
    data.handler.ud = peer;
    nkv_status status = nkvi_lane_create(config->loop, &data, &peer->data, error);
    if (status == NKV_OK) {
        status = open_bulk(peer, config, error);
    }
    if (status == NKV_OK && config->tracked) {
        status = open_tracked(peer, config, error);
    }
    if (status != NKV_OK) {
        nkvi_peer_close(peer, config);
    }
    return status;
}

const char *nkvi_peer_address(const nkvi_peer *peer)
{
    if (peer->foreign != NULL) {
        return nkvi_foreign_name(peer->foreign);
    }
    return nkvi_lane_address(peer->tracked != NULL ? peer->tracked : peer->data);
}

void nkvi_peer_start(nkvi_peer *peer)
{
    if (peer->tracked != NULL) {
        nkvi_lane_start(peer->tracked);
    }
    nkvi_lane_start(peer->data);
}

void nkvi_peer_stop(nkvi_peer *peer)
{
    if (peer->tracked != NULL) {
        nkvi_lane_stop(peer->tracked);
    }
    nkvi_lane_stop(peer->data);
    nkvi_bulk_stop(peer->bulk);
}

void nkvi_peer_close(nkvi_peer *peer, const nkvi_connector_config *config)
{
    if (peer->tracked != NULL) {
        nkvi_lane_destroy(peer->tracked);
    }
    if (peer->data != NULL) {
        nkvi_lane_destroy(peer->data);
    }
    nkvi_bulk_destroy(peer->bulk);
    if (peer->owner != NULL) {
        nkvi_peer_owner_close(config, peer->owner);
    }
    config->handler.on_close(config->handler.ud, peer);
    peer->tracked = peer->data = NULL;
    peer->bulk = NULL;
    peer->owner = NULL;
}
