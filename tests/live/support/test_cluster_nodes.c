/* tests/live/support/test_cluster_nodes.c - nodes of a cluster that come, go, fall silent and take
 * each other's place.                                                                            */

#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/live.h"

/* What a node answers to GET of a key of the slot: the value, "nil", or the error. */
static const char *get(t_cluster *cluster, int node, int slot)
{
    static char text[128];
    char key[T_CLUSTER_KEY_MAX];
    t_cluster_key(slot, key);
    redisReply *reply = t_ctl_cmd(t_cluster_ctl(cluster, node), "GET", key);
    T_REQUIRE(reply != NULL);
    (void)snprintf(text, sizeof text, "%s", reply->str == NULL ? "nil" : reply->str);
    freeReplyObject(reply);
    return text;
}

static void set(t_cluster *cluster, int node, int slot, const char *value)
{
    char key[T_CLUSTER_KEY_MAX];
    t_cluster_key(slot, key);
    t_ctl_ok(t_cluster_ctl(cluster, node), "SET", key, value);
}

static void tell(const char *kind, const char *what, int64_t since_ms)
{
    (void)fprintf(stderr, "%s: %s in %d ms\n", kind, what, (int)(t_now_ms() - since_ms));
}

/* ---- A replica takes over -------------------------------------------------------------------- */

T_LIVE_TOPOLOGY(support_cluster_nodes, fail_over_by_command_and_back)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
    set(cluster, 0, 5, "v");
    int64_t begin_ms = t_now_ms();
    t_cluster_failover(cluster, 3);
    tell(kind, "failover", begin_ms);
    cr_assert(t_cluster_is_primary(cluster, 3));
    cr_assert_eq(t_cluster_primary_of(cluster, 0), 3);
    cr_assert_eq(t_cluster_owner(cluster, 5), 3);
    cr_assert_str_eq(get(cluster, 3, 5), "v");
    begin_ms = t_now_ms();
    t_cluster_failover(cluster, 0);
    tell(kind, "failover back", begin_ms);
    cr_assert_eq(t_cluster_owner(cluster, 5), 0);
    cr_assert_eq(t_cluster_primary_of(cluster, 3), 0);
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(support_cluster_nodes, take_over_when_one_is_killed)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){
        .kind = kind, .replicas = 1, .node_timeout_ms = 1000, .proxied = true});
    char *id = t_format("%s", t_cluster_id(cluster, 0));
    const int port = t_cluster_port(cluster, 0);
    set(cluster, 0, 5, "v");
    t_cluster_wait_replicated(cluster, 5000);
    int64_t begin_ms = t_now_ms();
    t_cluster_kill(cluster, 0);
    cr_assert_not(t_cluster_up(cluster, 0));
    cr_assert_eq(t_cluster_wait_takeover(cluster, 0), 3);
    tell(kind, "takeover", begin_ms);
    t_cluster_wait_state(cluster, true, 5000);
    cr_assert_str_eq(get(cluster, 3, 5), "v");
    begin_ms = t_now_ms();
    t_cluster_restart(cluster, 0);
    tell(kind, "restart", begin_ms);
    cr_assert_str_eq(t_cluster_id(cluster, 0), id);
    cr_assert_eq(t_cluster_port(cluster, 0), port);
    cr_assert_eq(t_cluster_primary_of(cluster, 0), 3);
    cr_assert_eq(t_cluster_owner(cluster, 5), 3);
    char *nodes = t_ctl_text(t_cluster_ctl(cluster, 1), "CLUSTER", "NODES");
    char *address = t_format("%s 127.0.0.1:%d@", id, port);
    cr_assert(strstr(nodes, address) != NULL, "it has another address: %s", nodes);
    free(address);
    free(nodes);
    free(id);
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(support_cluster_nodes, demote_one_that_was_silent)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .node_timeout_ms = 1000});
    set(cluster, 1, 6000, "v");
    t_cluster_wait_replicated(cluster, 5000);
    t_cluster_pause(cluster, 1);
    t_cluster_failover(cluster, 4);
    cr_assert_eq(t_cluster_owner(cluster, 6000), 4);
    set(cluster, 4, 6000, "w");
    const int64_t begin_ms = t_now_ms();
    t_cluster_resume(cluster, 1);
    tell(kind, "demoted", begin_ms);
    cr_assert_eq(t_cluster_primary_of(cluster, 1), 4);
    t_ctl_ok(t_cluster_ctl(cluster, 1), "READONLY");
    cr_assert_str_eq(get(cluster, 1, 6000), "w");
    t_cluster_stop(cluster);
}

/* Without a replica its slots are nobody's until it is back, with nothing in it. */
T_LIVE_TOPOLOGY(support_cluster_nodes, are_down_while_a_slot_has_no_owner)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .node_timeout_ms = 500});
    set(cluster, 0, 5, "v");
    set(cluster, 1, 6000, "v");
    t_cluster_kill(cluster, 0);
    t_cluster_wait_state(cluster, false, 20000);
    cr_assert(strncmp(get(cluster, 1, 6000), "CLUSTERDOWN", 11) == 0);
    const int64_t begin_ms = t_now_ms();
    t_cluster_restart(cluster, 0);
    tell(kind, "up again", begin_ms);
    cr_assert_eq(t_cluster_owner(cluster, 5), 0);
    cr_assert_str_eq(get(cluster, 0, 5), "nil");
    cr_assert_str_eq(get(cluster, 1, 6000), "v");
    t_cluster_stop(cluster);
}

/* ---- More, and fewer ------------------------------------------------------------------------- */

T_LIVE_TOPOLOGY(support_cluster_nodes, come_and_go)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .proxied = true});
    set(cluster, 0, 5, "v");
    int64_t begin_ms = t_now_ms();
    const int primary = t_cluster_add_node(cluster, -1);
    const int replica = t_cluster_add_node(cluster, primary);
    tell(kind, "two more", begin_ms);
    cr_assert_eq(primary, 6);
    cr_assert_eq(t_cluster_primary_of(cluster, replica), primary);
    cr_assert_eq(t_cluster_slot_count(cluster, primary), 0);
    cr_assert_eq(t_cluster_port(cluster, primary), t_proxy_port(t_cluster_proxy(cluster, primary)));
    begin_ms = t_now_ms();
    t_cluster_remove_node(cluster, 0, primary);
    tell(kind, "one less", begin_ms);
    cr_assert_not(t_cluster_up(cluster, 0));
    cr_assert_eq(t_cluster_owner(cluster, 5), primary);
    cr_assert_eq(t_cluster_primary_of(cluster, 3), primary);
    cr_assert_str_eq(get(cluster, primary, 5), "v");
    t_cluster_remove_node(cluster, replica, -1);
    int replicas[T_CLUSTER_NODES_MAX];
    cr_assert_eq(t_cluster_replicas(cluster, primary, replicas), 1);
    cr_assert_eq(replicas[0], 3);
    t_cluster_stop(cluster);
}
