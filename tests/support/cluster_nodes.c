/* support/cluster_nodes.c - nodes that come, go, fall silent and take each other's place.
 *
 * A node that is to go is asked for its lowest slot first: who has that slot later took its place.
 *
 * Callers      live tests of clusters                                                            */

#include "support/cluster_impl.h"
#include "support/decimal.h"

#include <stdlib.h>

enum { BUS = 10000, AGAIN_MS = 6000, FAILOVER_MS = 40000, RESTART_ARGS = 64 };

static t_cluster_node *node_of(t_cluster *cluster, int node)
{
    T_REQUIRE(node >= 0 && node < cluster->count);
    return &cluster->nodes[node];
}

/* ---- A replica takes over -------------------------------------------------------------------- */

/* Waits until the node is a primary. False after `timeout_ms`. */
static bool becomes_primary(t_cluster *cluster, int node, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (!t_cluster_is_primary(cluster, node)) {
        if (t_now_ms() > end_ms) {
            return false;
        }
        t_sleep_ms(2);
    }
    return true;
}

/* An election may be lost: others refuse their votes for a while after slots have moved. */
static void fail_over(t_cluster *cluster, int replica, bool forced)
{
    const int64_t end_ms = t_now_ms() + FAILOVER_MS;
    do {
        if (t_now_ms() > end_ms) {
            t_cluster_die(cluster, "does not fail over");
        }
        t_ctl *ctl = t_cluster_ctl(cluster, replica);
        (void)(forced ? t_ctl_try(ctl, "CLUSTER", "FAILOVER", "FORCE")
                      : t_ctl_try(ctl, "CLUSTER", "FAILOVER"));
    } while (!becomes_primary(cluster, replica, AGAIN_MS));
    t_cluster_meet_all(cluster);
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
}

void t_cluster_failover(t_cluster *cluster, int replica)
{
    const int primary = t_cluster_primary_of(cluster, replica);
    T_REQUIRE(primary >= 0);
    fail_over(cluster, replica, !t_cluster_up(cluster, primary));
}

void t_cluster_failover_forced(t_cluster *cluster, int replica)
{
    fail_over(cluster, replica, true);
}

int t_cluster_wait_takeover(t_cluster *cluster, int number)
{
    const t_cluster_node *node = node_of(cluster, number);
    T_REQUIRE(node->state != T_NODE_UP && node->slot >= 0);
    const int64_t end_ms = t_now_ms() + FAILOVER_MS;
    int owner;
    while ((owner = t_cluster_owner(cluster, node->slot)) < 0) {
        if (t_now_ms() > end_ms) {
            t_cluster_die(cluster, "has nobody who takes over");
        }
        t_sleep_ms(2);
    }
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
    return owner;
}

/* ---- Silence --------------------------------------------------------------------------------- */

/* From now on nothing is asked of the node. */
static void leave_alone(t_cluster *cluster, int number, t_node_state state)
{
    t_cluster_node *node = node_of(cluster, number);
    if (node->state == T_NODE_UP) {
        node->slot = t_cluster_first_slot(cluster, number);
    }
    t_cluster_close_ctl(node);
    node->state = state;
}

void t_cluster_kill(t_cluster *cluster, int number)
{
    leave_alone(cluster, number, T_NODE_DOWN);
    t_server_kill(cluster->nodes[number].server);
}

void t_cluster_pause(t_cluster *cluster, int number)
{
    T_REQUIRE(t_cluster_up(cluster, number));
    leave_alone(cluster, number, T_NODE_PAUSED);
    t_server_pause(cluster->nodes[number].server);
}

void t_cluster_continue(t_cluster *cluster, int number)
{
    t_cluster_node *node = node_of(cluster, number);
    T_REQUIRE(node->state == T_NODE_PAUSED);
    t_server_resume(node->server);
    node->state = T_NODE_UP;
}

void t_cluster_resume(t_cluster *cluster, int number)
{
    t_cluster_continue(cluster, number);
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
}

/* What it announces must be right from its first word on. */
void t_cluster_restart(t_cluster *cluster, int number)
{
    t_cluster_node *node = node_of(cluster, number);
    T_REQUIRE(node->state != T_NODE_REMOVED);
    const t_decimal port = t_decimal_of(node->port);
    const t_decimal bus = t_decimal_of(t_server_port(node->server) + BUS);
    const char *const announce[] = {"--cluster-announce-port", port.text,
                                    "--cluster-announce-bus-port", bus.text};
    const char *args[RESTART_ARGS] = {NULL};
    size_t count = 0;
    for (; cluster->args[count] != NULL; count++) {
        args[count] = cluster->args[count];
    }
    for (size_t i = 0; i < sizeof announce / sizeof announce[0] && node->proxy != NULL; i++) {
        args[count++] = announce[i];
    }
    leave_alone(cluster, number, T_NODE_DOWN);
    t_server_restart(node->server, args);
    t_cluster_welcome(cluster, number);
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
}

/* ---- More, and fewer ------------------------------------------------------------------------- */

int t_cluster_add_node(t_cluster *cluster, int follows)
{
    const int node = t_cluster_launch_node(cluster);
    t_cluster_welcome(cluster, node);
    for (int i = 0; i < node; i++) {
        if (t_cluster_up(cluster, i)) {
            t_cluster_meet(cluster, i, node);
            t_cluster_meet(cluster, node, i);
        }
    }
    t_cluster_wait_acquainted(cluster);
    if (follows >= 0) {
        t_ctl_ok(t_cluster_ctl(cluster, node), "CLUSTER", "REPLICATE",
                 node_of(cluster, follows)->id);
        t_cluster_meet_all(cluster);
    }
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
    return node;
}

/* Everybody forgets it. Who has not yet heard that it is nobody's primary any more refuses. */
static void forget(t_cluster *cluster, int number)
{
    const char *id = cluster->nodes[number].id;
    for (int i = 0; i < cluster->count; i++) {
        t_cluster_view view;
        if (i == number || !t_cluster_up(cluster, i)) {
            continue;
        }
        T_WAIT_UNTIL(t_ctl_try(t_cluster_ctl(cluster, i), "CLUSTER", "FORGET", id) ||
                         (t_cluster_look(cluster, i, &view) && !view.nodes[number].known),
                     T_CLUSTER_SETTLE_MS);
    }
}

void t_cluster_remove_node(t_cluster *cluster, int number, int heir)
{
    T_REQUIRE(t_cluster_up(cluster, number));
    const int slots = t_cluster_slot_count(cluster, number);
    if (slots > 0) {
        t_cluster_reshard(cluster, number, heir, slots);
    }
    int replicas[T_CLUSTER_NODES_MAX];
    const int count = t_cluster_replicas(cluster, number, replicas);
    for (int i = 0; i < count; i++) {
        t_ctl_ok(t_cluster_ctl(cluster, replicas[i]), "CLUSTER", "REPLICATE",
                 node_of(cluster, heir)->id);
    }
    if (count > 0) {
        t_cluster_meet_all(cluster);
        t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
    }
    forget(cluster, number);
    leave_alone(cluster, number, T_NODE_REMOVED);
    t_server_kill(cluster->nodes[number].server);
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
}
