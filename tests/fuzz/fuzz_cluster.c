/* tests/fuzz/fuzz_cluster.c - any replies as those about a cluster: maps of it, CLUSTER INFO, and
 * errors that lead elsewhere.
 *
 * Every reply of the stream is read as each of them.  A map that is understood keeps its promises:
 * ranges ascend, none over another, each a primary's; no node is there twice; the slot of every
 * name is one. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conn/cluster_view.h"
#include "conn/hash_slot.h"
#include "conn/redirect.h"
#include "support/check.h"
#include "support/replies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_nodes(const nkvi_cluster_view *view)
{
    T_REQUIRE(view->nodes_len <= NKVI_VIEW_NODES_MAX);
    for (size_t i = 0; i < view->nodes_len; i++) {
        const nkvi_view_node *node = &view->nodes[i];
        T_REQUIRE(strlen(node->id) < sizeof node->id && strlen(node->host) < sizeof node->host);
        T_REQUIRE(node->port >= 0 && node->port <= 65535);
        T_REQUIRE(node->tls_port >= 0 && node->tls_port <= 65535);
        T_REQUIRE(!node->online || node->port != 0 || node->tls_port != 0);
        for (size_t j = 0; j < i && i < 64 && node->id[0] != '\0'; j++) {
            T_REQUIRE(strcmp(view->nodes[j].id, node->id) != 0);
        }
    }
}

static void check_ranges(const nkvi_cluster_view *view)
{
    T_REQUIRE(view->ranges_len <= NKVI_VIEW_RANGES_MAX);
    for (size_t i = 0; i < view->ranges_len; i++) {
        const nkvi_view_range *range = &view->ranges[i];
        T_REQUIRE(range->first <= range->last && range->last < NKVI_HASH_SLOTS);
        T_REQUIRE(i == 0 || view->ranges[i - 1].last < range->first);
        T_REQUIRE(range->node < view->nodes_len && view->nodes[range->node].primary);
    }
}

static void check_redirect(const nkv_reply *reply)
{
    nkvi_redirect redirect = nkvi_redirect_of(reply);
    if (redirect.kind == NKVI_REDIRECT_MOVED || redirect.kind == NKVI_REDIRECT_ASK) {
        T_REQUIRE(redirect.hash_slot < NKVI_HASH_SLOTS);
        T_REQUIRE(redirect.port >= 1 && redirect.port <= 65535 && redirect.host.len <= 255);
        T_REQUIRE(redirect.host.len == 0 ||
                  (redirect.host.data > reply->str &&
                   redirect.host.data + redirect.host.len < reply->str + reply->len));
    } else {
        T_REQUIRE(redirect.port == 0 && redirect.host.len == 0);
    }
}

static void check(const nkv_reply *reply, void *ud)
{
    nkvi_cluster_view view;
    nkvi_cluster_info info;
    nkv_error error;

    (void)ud;
    nkv_status status = nkvi_cluster_view_parse(reply, &view, &error);
    T_REQUIRE(status == NKV_OK || (view.nodes == NULL && view.ranges == NULL));
    T_REQUIRE(status == NKV_OK || error.status == status);
    check_nodes(&view);
    check_ranges(&view);
    nkvi_cluster_view_clear(&view);
    (void)nkvi_cluster_info_parse(reply, &info);
    check_redirect(reply);
    if (reply->type == NKV_TYPE_STRING) {
        T_REQUIRE(nkvi_hash_slot(nkv_str_make(reply->str, reply->len)) < NKVI_HASH_SLOTS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    t_replies(data, size, check, NULL);
    return 0;
}
