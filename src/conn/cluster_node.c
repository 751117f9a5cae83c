/* conn/cluster_node.c - see cluster_impl.h: the nodes of a cluster, and their peers. */
#include <string.h>

#include "base/mem.h"
#include "conn/cluster_impl.h"

/* ---- what their lanes tell ------------------------------------------------------------------- */

static cluster_node *teller(nkvi_peer *peer, const nkvi_peer_handler **handler)
{
    cluster_node *node = node_of_peer(peer);
    *handler = &node->cluster->config.handler;
    return node;
}

static bool on_open(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *handler = &((cluster *)ud)->config.handler;
    return handler->on_open(handler->ud, peer);
}

static void on_close(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *handler = &((cluster *)ud)->config.handler;
    handler->on_close(handler->ud, peer);
}

static void on_push(void *ud, nkvi_peer *peer, const nkv_reply *push)
{
    const nkvi_peer_handler *handler;
    (void)ud;
    (void)teller(peer, &handler);
    handler->on_push(handler->ud, peer, push);
}

/* The tracked lane is up, or lost.  Before anything else it is asked for the node's word. */
static void on_change(void *ud, nkvi_peer *peer, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    const nkvi_peer_handler *handler;
    cluster_node *node = teller(peer, &handler);
    bool up = info->state != NKVI_LANE_DOWN;
    if (up && !node->up) {
        node->up = true;
        nkvi_cluster_ask(node, !atomic_load(&node->cluster->known));
    } else if (!up) {
        node->up = node->map.credible = false;
        node->cluster->map_due_ns = INT64_MIN;
    }
    (void)ud;
    handler->on_change(handler->ud, peer, info, cause);
}

static void on_state(void *ud, nkvi_peer *peer)
{
    const nkvi_peer_handler *handler;
    (void)ud;
    (void)teller(peer, &handler);
    handler->on_state(handler->ud, peer);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void configure(cluster_node *node)
{
    cluster *self = node->cluster;
    node->config = self->config;
    node->config.handler = (nkvi_peer_handler){.on_open = on_open,
                                               .on_close = on_close,
                                               .on_push = on_push,
                                               .on_change = on_change,
                                               .on_state = on_state,
                                               .ud = self};
    node->config.lane.endpoint.host = node->map.host;
    node->config.lane.endpoint.port = node->map.port;
}

static cluster_node *make(cluster *self, const char *host, int port)
{
    cluster_node *node = nkvi_calloc(1, sizeof *node);
    if (node == NULL) {
        return NULL;
    }
    node->cluster = self;
    memcpy(node->map.host, host, strlen(host) + 1);
    node->map.port = port;
    node->due_ns = NKVI_NEVER;
    node->named_ns = nkvi_loop_now_ns(self->config.loop);
    node->question.node = node;
    node->question.asked_ns = NKVI_NEVER;
    configure(node);
    if (nkvi_peer_open(&node->peer, &node->config, NULL) != NKV_OK) {
        nkvi_free(node);
        return NULL;
    }
    if (!nkvi_slot_map_add(&self->map, &node->map)) {
        nkvi_peer_close(&node->peer, &node->config);
        nkvi_free(node);
        return NULL;
    }
    return node;
}

/* Where an announced address is reached; returns the port. */
static int translate(const cluster *self, const cluster_node *asked, nkv_str host, int port,
                     char out[NKVI_HOST_SIZE])
{
    if (host.len == 0 || !nkvi_host_copy(out, host)) {
        memcpy(out, asked->map.host, sizeof asked->map.host);
    }
    nkvi_address_map_apply(self->addresses, out, port, out, NKVI_HOST_SIZE, &port);
    return port;
}

nkvi_map_node *nkvi_cluster_find(const cluster *self, nkvi_peer *asked, nkv_str host, int port)
{
    char reached[NKVI_HOST_SIZE];
    port = translate(self, node_of_peer(asked), host, port, reached);
    return nkvi_slot_map_find(&self->map, nkv_cstr(reached), port);
}

cluster_node *nkvi_cluster_node(cluster *self, const cluster_node *asked, nkv_str host, int port)
{
    char reached[NKVI_HOST_SIZE];
    port = translate(self, asked, host, port, reached);
    nkvi_map_node *known = nkvi_slot_map_find(&self->map, nkv_cstr(reached), port);
    cluster_node *node = known != NULL ? node_of(known) : make(self, reached, port);
    if (node != NULL) {
        node->named_ns = nkvi_loop_now_ns(self->config.loop);
    }
    return node;
}

void nkvi_cluster_wake(cluster_node *node)
{
    if (!node->awake) {
        node->awake = true;
        atomic_store(&node->shown, true);
        nkvi_lane_start(node->peer.tracked != NULL ? node->peer.tracked : node->peer.data);
    }
}

void nkvi_cluster_rest(cluster_node *node)
{
    node->awake = node->up = node->map.credible = false;
    node->map.spoke = false;
    atomic_store(&node->shown, false);
    if (node->peer.tracked != NULL) {
        nkvi_lane_rest(node->peer.tracked);
    }
    nkvi_lane_rest(node->peer.data);
}

void nkvi_cluster_node_destroy(cluster_node *node)
{
    nkvi_peer_close(&node->peer, &node->config);
    nkvi_cluster_view_clear(&node->question.view);
    nkvi_free(node);
}
