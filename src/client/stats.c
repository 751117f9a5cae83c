/* client/stats.c - numbers and health as structs; and waiting for the lane to be armed. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "client/client_int.h"
#include "client/read.h"
#include "conn/foreign.h"

#define PEERS_MAX     1024u
#define READY_STEP_MS 20

const char *nkv_bypass_name(nkv_bypass reason)
{
    static const char *const names[NKV_BYPASS_COUNT] = {
        [NKV_BYPASS_DISABLED] = "disabled",   [NKV_BYPASS_NOT_CACHEABLE] = "not_cacheable",
        [NKV_BYPASS_FILTERED] = "filtered",   [NKV_BYPASS_UNTRACKED] = "untracked",
        [NKV_BYPASS_UNHEALTHY] = "unhealthy",
    };
    return (unsigned)reason < NKV_BYPASS_COUNT ? names[reason] : NULL;
}

/* What the peer is vouched for by, or else reached through. */
static void peer_info(const nkvi_peer *peer, nkvi_lane_info *info)
{
    if (peer->foreign != NULL) {
        nkvi_foreign_get_info(peer->foreign, info);
    } else {
        nkvi_lane_get_info(peer->tracked != NULL ? peer->tracked : peer->data, info);
    }
}

static void add_info(nkv_stats *stats, const nkvi_lane_info *info)
{
    stats->reconnects += info->reconnects;
    stats->round_trips += info->writes;
    stats->inflight += info->inflight;
}

/* bulk NULL: a peer without bulk lanes. */
static void add_bulk(nkv_stats *stats, nkvi_bulk *bulk)
{
    nkvi_bulk_info info;
    if (bulk != NULL) {
        nkvi_bulk_get_info(bulk, &info);
        stats->bulk_connections += info.connections;
        stats->bulk_waiting += info.waiting;
        stats->bulk_copied += info.copied;
    }
}

static void sum_lanes(nkv_client *client, nkv_stats *stats)
{
    nkvi_peer *peers[PEERS_MAX];
    size_t n = client->connector->ops->peers(client->connector, peers, PEERS_MAX);
    for (size_t i = 0; i < n && i < PEERS_MAX; i++) {
        nkvi_lane_info info;
        peer_info(peers[i], &info);
        add_info(stats, &info);
        if (peers[i]->tracked != NULL) {
            nkvi_lane_get_info(peers[i]->data, &info);
            add_info(stats, &info);
        }
        add_bulk(stats, peers[i]->bulk);
    }
}

static void sum_counters(const nkvi_counters *c, nkv_stats *stats)
{
    uint64_t quick = nkvi_count_sum(c, NKVI_C_QUICK_HITS);
    stats->reads = nkvi_count_sum(c, NKVI_C_READS) + quick;
    stats->hits = nkvi_count_sum(c, NKVI_C_HITS) + quick;
    stats->validations = nkvi_count_sum(c, NKVI_C_VALIDATIONS);
    stats->misses = nkvi_count_sum(c, NKVI_C_MISSES);
    stats->coalesced = nkvi_count_sum(c, NKVI_C_COALESCED);
    for (unsigned i = 0; i < NKV_BYPASS_COUNT; i++) {
        stats->bypass[i] = nkvi_count_sum(c, NKVI_C_BYPASS + i);
    }
    stats->failures = nkvi_count_sum(c, NKVI_C_FAILURES);
    stats->writes = nkvi_count_sum(c, NKVI_C_WRITES);
    stats->invalidations = nkvi_count_sum(c, NKVI_C_INVALIDATIONS);
    stats->spurious = nkvi_count_sum(c, NKVI_C_SPURIOUS);
    stats->flushes = nkvi_count_sum(c, NKVI_C_FLUSHES);
    stats->raced = nkvi_count_sum(c, NKVI_C_RACED);
    stats->unknown_pushes = nkvi_count_sum(c, NKVI_C_UNKNOWN_PUSHES);
    stats->barriers = nkvi_count_sum(c, NKVI_C_BARRIERS);
    stats->retries = nkvi_count_sum(c, NKVI_C_AGAIN);
}

nkv_status nkv_client_stats(nkv_client *client, nkv_stats *stats)
{
    size_t size = stats->struct_size;
    if (size < sizeof(size_t)) {
        return NKV_EINVAL;
    }
    nkv_stats all;
    memset(&all, 0, sizeof all);
    sum_counters(&client->counters, &all);
    sum_lanes(client, &all);
    all.confidence = 100;
    if (client->caching) {
        all.confidence = nkv_cache_confidence(client->cache);
        nkv_cache_get_stats(client->cache, &all.cache);
    }
    memcpy(stats, &all, size < sizeof all ? size : sizeof all);
    stats->struct_size = size;
    return NKV_OK;
}

/* ---- health ---------------------------------------------------------------------------------- */

static const char *state_name(const nkvi_peer *peer, const nkvi_lane_info *info)
{
    if (info->state == NKVI_LANE_DOWN) {
        return info->last_error.status == NKV_OK ? "connecting" : "down";
    }
    if (peer->owner == NULL || info->state == NKVI_LANE_UNTRACKED) {
        return "untracked";
    }
    return info->healthy ? "armed" : "unhealthy";
}

static bool peer_health(const nkvi_peer *peer, nkv_node_health *node)
{
    nkvi_lane_info info;
    peer_info(peer, &info);
    (void)snprintf(node->address, sizeof node->address, "%s", nkvi_peer_address(peer));
    node->state = state_name(peer, &info);
    node->generation = peer->owner != NULL ? atomic_load(&peer->owner->generation) : 0;
    node->tracking = info.state == NKVI_LANE_ARMED;
    node->idle_ms =
        info.last_rx_ns == INT64_MIN ? -1 : (nkvi_now_ns() - info.last_rx_ns) / NKVI_NS_PER_MS;
    node->client_id = info.client_id;
    return peer->owner != NULL ? node->tracking && info.healthy : info.state != NKVI_LANE_DOWN;
}

nkv_status nkv_client_health(nkv_client *client, int *healthy, nkv_node_health *nodes, size_t cap,
                             size_t *n)
{
    nkvi_peer *peers[PEERS_MAX];
    size_t count = client->connector->ops->peers(client->connector, peers, PEERS_MAX);
    bool all = count > 0 && !atomic_load(&client->closing);
    for (size_t i = 0; i < count && i < PEERS_MAX; i++) {
        nkv_node_health node;
        memset(&node, 0, sizeof node);
        all = peer_health(peers[i], &node) && all;
        if (i < cap) {
            nodes[i] = node;
        }
    }
    if (client->caching && !nkvi_cache_healthy(client->cache)) {
        all = false;
    }
    if (healthy != NULL) {
        *healthy = all;
    }
    *n = count;
    return NKV_OK;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Of a cluster a node vouches only when it has given its word. */
static bool vouches(const nkvi_peer *peer)
{
    return peer->owner == NULL || nkvi_peer_vouching(peer, nkvi_now_ns()) == NKV_BYPASS_COUNT;
}

/* What the tracked lanes say together: NKV_OK armed, NKV_EBUSY still under way, or why not. */
static nkv_status ready_now(nkv_client *client, nkv_error *error)
{
    nkvi_peer *peers[PEERS_MAX];
    nkvi_connector *connector = client->connector;
    nkv_status status =
        connector->ops->ready != NULL ? connector->ops->ready(connector, error) : NKV_OK;
    size_t n = status == NKV_OK ? connector->ops->peers(connector, peers, PEERS_MAX) : 0;
    for (size_t i = 0; i < n && i < PEERS_MAX; i++) {
        nkvi_lane_info info;
        bool tracked = peers[i]->owner != NULL;
        peer_info(peers[i], &info);
        if ((info.state == NKVI_LANE_ARMED && vouches(peers[i])) ||
            (info.state == NKVI_LANE_UNTRACKED && !tracked)) {
            continue;
        }
        if (error != NULL) {
            *error = info.last_error;
        }
        bool may_come = peers[i]->foreign != NULL && nkvi_foreign_may_vouch(peers[i]->foreign);
        if (info.state == NKVI_LANE_UNTRACKED && !may_come) {
            return NKV_ENOTSUP;
        }
        return info.last_error.status == NKV_EREPLY ? NKV_EREPLY : NKV_EBUSY;
    }
    return status;
}

/* Waits until a lane changed its state since `seen`, or a moment has passed: an attempt that failed
 * is no change of state, but may tell why the next ones will fail as well.  False at the deadline
 * or when the client ends.                                                                       */
static bool await_change(nkv_client *client, uint64_t *seen, int64_t deadline_ns)
{
    int rc = 0;
    int64_t step_ns = nkvi_deadline_ns(nkvi_now_ns(), READY_STEP_MS);
    int64_t until_ns = step_ns < deadline_ns ? step_ns : deadline_ns;
    pthread_mutex_lock(&client->state_mu);
    struct timespec until = {.tv_sec = until_ns / INT64_C(1000000000),
                             .tv_nsec = until_ns % INT64_C(1000000000)};
    while (client->state_changes == *seen && rc == 0) {
        rc =
            pthread_cond_clockwait(&client->state_cond, &client->state_mu, CLOCK_MONOTONIC, &until);
    }
    *seen = client->state_changes;
    pthread_mutex_unlock(&client->state_mu);
    return nkvi_now_ns() < deadline_ns && !atomic_load(&client->closing);
}

/* Nothing failed, and nothing came either. */
static void say_silent(nkv_client *client, nkv_status status, int64_t timeout_ms, nkv_error *error)
{
    nkv_node_health node = {.address = ""};
    size_t n;
    if (nkv_client_health(client, NULL, &node, 1, &n) == NKV_OK) {
        (void)nkvi_fail(error, status, "%s: the server did not answer within %lld ms", node.address,
                        (long long)timeout_ms);
    }
}

nkv_status nkv_client_wait_ready(nkv_client *client, int64_t timeout_ms, nkv_error *error)
{
    nkv_error last = {.status = NKV_OK};
    nkv_status status = nkvi_client_enter_blocking(client, error);
    if (status != NKV_OK) {
        return status;
    }
    int64_t deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms);
    uint64_t seen = 0;
    do {
        status = ready_now(client, &last);
    } while (status == NKV_EBUSY && await_change(client, &seen, deadline_ns));
    if (status == NKV_EBUSY) {
        status = last.status == NKV_ECONN ? NKV_ECONN : NKV_ETIMEDOUT;
    }
    if (status < 0 && last.text[0] == '\0') {
        say_silent(client, status, timeout_ms, &last);
    }
    nkvi_client_leave(client);
    if (status < 0 && error != NULL) {
        *error = last;
        error->status = status;
    }
    return status;
}
