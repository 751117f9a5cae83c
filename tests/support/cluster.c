/* support/cluster.c - starts and ends private clusters.
 *
 *      launch all ──> ports, proxies, ids ──> slots, epochs ──> MEET, each with each
 *                                                                        │
 *                  settled <── REPLICATE <── all know all <──────────────┘
 *
 * Everybody is introduced to everybody, so that nothing waits for gossip, which is slow among few:
 * a node talks to one other a second. For the same reason news are sent by express: a MEET of a
 * node that is known already is a ping at once, with the sender's role and slots in its head.
 *
 * The announced ports are set when the servers run: the number of a port is known only then.
 *
 * Invariants   nodes[i].ctl is NULL unless nodes[i].state is up
 * Callers      live tests of clusters                                                            */

#include "support/cluster.h"

#include "support/check.h"
#include "support/cluster_impl.h"
#include "support/decimal.h"

#include <stdlib.h>
#include <string.h>

enum { PRIMARIES = 3, TIMEOUT_MS = 2000, BUS = 10000, OWN_ARGS = 16, ARGS_MAX = 48 };

/* ---- Arguments ------------------------------------------------------------------------------- */

static void set_args(t_cluster *cluster, const char *const *more)
{
    const t_decimal timeout = t_decimal_of(cluster->node_timeout_ms);
    const char *const own[] = {"--cluster-enabled", "yes", "--cluster-node-timeout", timeout.text,
                               "--cluster-announce-ip", "127.0.0.1",
                               /* Nobody changes sides unless told to, or beaten. */
                               "--cluster-allow-replica-migration", "no", "--repl-diskless-sync",
                               "yes", "--repl-diskless-sync-delay", "0",
                               cluster->password == NULL ? NULL : "--masterauth",
                               cluster->password};
    size_t count = 0;
    cluster->args = calloc(ARGS_MAX, sizeof *cluster->args);
    T_REQUIRE(cluster->args != NULL);
    for (size_t i = 0; i < sizeof own / sizeof own[0] && own[i] != NULL; i++) {
        cluster->args[count++] = t_format("%s", own[i]);
    }
    for (; more != NULL && *more != NULL; more++) {
        T_REQUIRE(count < ARGS_MAX - 1);
        cluster->args[count++] = t_format("%s", *more);
    }
}

/* ---- One node -------------------------------------------------------------------------------- */

int t_cluster_launch_node(t_cluster *cluster)
{
    T_REQUIRE(cluster->count < T_CLUSTER_NODES_MAX);
    t_cluster_node *node = &cluster->nodes[cluster->count];
    const t_server_options options = {.kind = cluster->kind,
                                      .tcp = true,
                                      .password = cluster->password,
                                      .args = (const char *const *)cluster->args};
    node->server = t_server_launch(&options);
    return cluster->count++;
}

void t_cluster_welcome(t_cluster *cluster, int number)
{
    t_cluster_node *node = &cluster->nodes[number];
    t_server_wait_ready(node->server);
    node->state = T_NODE_UP;
    t_ctl *ctl = t_cluster_ctl(cluster, number);
    const int own_port = t_server_port(node->server);
    if (cluster->proxied && node->proxy == NULL) {
        node->proxy = t_proxy_start((t_addr){.port = own_port}, true);
    }
    node->port = node->proxy == NULL ? own_port : t_proxy_port(node->proxy);
    if (node->proxy != NULL) {
        t_ctl_config_set(ctl, "cluster-announce-bus-port", t_decimal_of(own_port + BUS).text);
        t_ctl_config_set(ctl, "cluster-announce-port", t_decimal_of(node->port).text);
    }
    char *id = t_ctl_text(ctl, "CLUSTER", "MYID");
    T_REQUIRE(id != NULL && strlen(id) == T_CLUSTER_ID_LEN);
    memcpy(node->id, id, sizeof node->id);
    free(id);
}

void t_cluster_meet(t_cluster *cluster, int node, int other)
{
    const int bus = t_server_port(cluster->nodes[other].server) + BUS;
    t_ctl_ok(t_cluster_ctl(cluster, node), "CLUSTER", "MEET", "127.0.0.1",
             t_decimal_of(cluster->nodes[other].port).text, t_decimal_of(bus).text);
}

void t_cluster_meet_all(t_cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++) {
        for (int j = 0; j < cluster->count; j++) {
            if (i != j && t_cluster_up(cluster, i) && t_cluster_up(cluster, j)) {
                t_cluster_meet(cluster, i, j);
            }
        }
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Gives the node its slots, range by range where the server knows how. */
static void add_slots(t_ctl *ctl, int from, int to)
{
    if (t_ctl_try(ctl, "CLUSTER", "ADDSLOTSRANGE", t_decimal_of(from).text,
                  t_decimal_of(to).text)) {
        return;
    }
    for (int slot = from; slot <= to; slot++) {
        t_ctl_ok(ctl, "CLUSTER", "ADDSLOTS", t_decimal_of(slot).text);
    }
}

static void make_url(t_cluster *cluster, int primaries)
{
    const bool open = cluster->password == NULL;
    cluster->url = t_format("redis-cluster://%s%s%s", open ? "" : ":",
                            open ? "" : cluster->password, open ? "" : "@");
    for (int i = 0; i < primaries; i++) {
        char *longer =
            t_format("%s%s127.0.0.1:%d", cluster->url, i == 0 ? "" : ",", cluster->nodes[i].port);
        free(cluster->url);
        cluster->url = longer;
    }
}

static void deal_slots(t_cluster *cluster, int primaries)
{
    for (int i = 0; i < cluster->count; i++) {
        t_ctl *ctl = t_cluster_ctl(cluster, i);
        t_ctl_ok(ctl, "CLUSTER", "SET-CONFIG-EPOCH", t_decimal_of(i + 1).text);
        if (i < primaries) {
            add_slots(ctl, T_CLUSTER_SLOTS * i / primaries,
                      T_CLUSTER_SLOTS * (i + 1) / primaries - 1);
        }
    }
}

void t_cluster_wait_acquainted(t_cluster *cluster)
{
    const int64_t end_ms = t_now_ms() + T_CLUSTER_SETTLE_MS;
    while (!t_cluster_acquainted(cluster)) {
        if (t_now_ms() > end_ms) {
            t_cluster_die(cluster, "does not come together");
        }
        t_sleep_ms(5);
    }
}

t_cluster *t_cluster_start(const t_cluster_options *options)
{
    const t_cluster_options defaults = {.kind = NULL};
    options = options == NULL ? &defaults : options;
    t_cluster *cluster = calloc(1, sizeof *cluster);
    T_REQUIRE(cluster != NULL);
    cluster->kind = t_format("%s", t_server_kind_find(options->kind)->name);
    cluster->password = options->password == NULL ? NULL : t_format("%s", options->password);
    cluster->proxied = options->proxied;
    cluster->moving.slot = -1;
    cluster->node_timeout_ms =
        options->node_timeout_ms == 0 ? TIMEOUT_MS : options->node_timeout_ms;
    set_args(cluster, options->args);
    const int primaries = options->primaries == 0 ? PRIMARIES : options->primaries;
    for (int i = 0; i < primaries * (1 + options->replicas); i++) {
        (void)t_cluster_launch_node(cluster);
    }
    for (int i = 0; i < cluster->count; i++) {
        t_cluster_welcome(cluster, i);
    }
    make_url(cluster, primaries);
    deal_slots(cluster, primaries);
    t_cluster_meet_all(cluster);
    t_cluster_wait_acquainted(cluster);
    for (int i = primaries; i < cluster->count; i++) {
        const char *id = cluster->nodes[(i - primaries) / options->replicas].id;
        t_ctl_ok(t_cluster_ctl(cluster, i), "CLUSTER", "REPLICATE", id);
    }
    if (cluster->count > primaries) {
        t_cluster_meet_all(cluster);
    }
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
    return cluster;
}

void t_cluster_stop(t_cluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    for (int i = 0; i < cluster->count; i++) {
        t_cluster_close_ctl(&cluster->nodes[i]);
        t_proxy_stop(cluster->nodes[i].proxy);
        t_server_stop(cluster->nodes[i].server);
    }
    for (char **arg = cluster->args; *arg != NULL; arg++) {
        free(*arg);
    }
    free(cluster->args);
    free(cluster->kind);
    free(cluster->password);
    free(cluster->url);
    free(cluster);
}

/* ---- Where it is ----------------------------------------------------------------------------- */

static const t_cluster_node *node_of(const t_cluster *cluster, int node)
{
    T_REQUIRE(node >= 0 && node < cluster->count);
    return &cluster->nodes[node];
}

const char *t_cluster_url(const t_cluster *cluster)
{
    return cluster->url;
}

int t_cluster_size(const t_cluster *cluster)
{
    return cluster->count;
}

t_server *t_cluster_server(const t_cluster *cluster, int node)
{
    return node_of(cluster, node)->server;
}

int t_cluster_port(const t_cluster *cluster, int node)
{
    return node_of(cluster, node)->port;
}

const char *t_cluster_id(const t_cluster *cluster, int node)
{
    return node_of(cluster, node)->id;
}

t_proxy *t_cluster_proxy(const t_cluster *cluster, int node)
{
    return node_of(cluster, node)->proxy;
}

bool t_cluster_up(const t_cluster *cluster, int node)
{
    return node_of(cluster, node)->state == T_NODE_UP;
}

void t_cluster_close_ctl(t_cluster_node *node)
{
    t_ctl_close(node->ctl);
    node->ctl = NULL;
}

t_ctl *t_cluster_ctl(t_cluster *cluster, int number)
{
    T_REQUIRE(number >= 0 && number < cluster->count);
    t_cluster_node *node = &cluster->nodes[number];
    if (node->state != T_NODE_UP) {
        T_DIE("node %d of the cluster does not run", number);
    }
    if (node->ctl == NULL) {
        node->ctl = t_ctl_open(node->server);
    }
    return node->ctl;
}

int t_cluster_node_at(const t_cluster *cluster, int port)
{
    for (int i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].port == port) {
            return i;
        }
    }
    return -1;
}
