/* conn/cluster_node.c - see cluster_impl.h: the nodes of a cluster, and their peers. */
#include <string.h>

#include "base/mem.h"
#include "conn/cluster_impl.h"

/* Before anything else a node is asked for its word; one that is lost is asked for no more. */
static void changed(nkvi_member *member, bool up)
{
    cluster_node *node = (cluster_node *)(void *)member;
    if (up) {
        (void)nkvi_cluster_ask(node, !atomic_load(&node->cluster->known));
    } else {
        node->map.credible = node->map.spoke = false;
        node->cluster->map_due_ns = INT64_MIN;
        nkvi_cluster_note(node, NULL);
    }
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
    node->member.changed = changed;
    if (nkvi_member_open(&node->member, &self->config, node->map.host, port, NULL) != NKV_OK) {
        nkvi_free(node);
        return NULL;
    }
    if (!nkvi_slot_map_add(&self->map, &node->map)) {
        nkvi_member_close(&node->member);
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

void nkvi_cluster_note(cluster_node *node, const nkv_error *error)
{
    static const nkv_error none = {.status = NKV_OK};
    pthread_mutex_lock(&node->cluster->mu);
    node->error = error != NULL ? *error : none;
    pthread_mutex_unlock(&node->cluster->mu);
}

void nkvi_cluster_node_destroy(cluster_node *node)
{
    nkvi_member_close(&node->member);
    nkvi_cluster_view_clear(&node->question.view);
    nkvi_free(node);
}
