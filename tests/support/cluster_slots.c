/* support/cluster_slots.c - slots that move from one primary to another.
 *
 * SETSLOT NODE is said to all primaries, the target first, so that no moment has no owner; replicas
 * hear of it by express (t_cluster_meet).
 *
 * Callers      live tests of clusters, cluster_nodes.c                                           */

#include "support/cluster_impl.h"
#include "support/decimal.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 200, MIGRATE_ARGS = 12 };

static void set_slot(t_cluster *cluster, int node, int slot, const char *what, int other)
{
    const t_decimal number = t_decimal_of(slot);
    t_ctl_ok(t_cluster_ctl(cluster, node), "CLUSTER", "SETSLOT", number.text, what,
             cluster->nodes[other].id);
}

static void begin(t_cluster *cluster, int slot, int to)
{
    T_REQUIRE(cluster->moving_slot < 0);
    set_slot(cluster, to, slot, "IMPORTING", cluster->moving_from);
    set_slot(cluster, cluster->moving_from, slot, "MIGRATING", to);
    cluster->moving_slot = slot;
    cluster->moving_to = to;
}

void t_cluster_migrate_begin(t_cluster *cluster, int slot, int to)
{
    cluster->moving_from = t_cluster_owner(cluster, slot);
    T_REQUIRE(cluster->moving_from >= 0 && cluster->moving_from != to);
    begin(cluster, slot, to);
}

/* Sends the keys of one reply of GETKEYSINSLOT to the target. */
static void send_keys(t_cluster *cluster, const redisReply *keys)
{
    const t_decimal port = t_decimal_of(t_server_port(cluster->nodes[cluster->moving_to].server));
    t_arg args[MIGRATE_ARGS + BATCH];
    size_t count = 0;
    const char *const head[] = {"MIGRATE", "127.0.0.1", port.text, "", "0", "5000"};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        args[count++] = T_ARG_BYTES(head[i], strlen(head[i]));
    }
    if (cluster->password != NULL) {
        args[count++] = T_ARG("AUTH");
        args[count++] = T_ARG_BYTES(cluster->password, strlen(cluster->password));
    }
    args[count++] = T_ARG("KEYS");
    for (size_t i = 0; i < keys->elements; i++) {
        args[count++] = T_ARG_BYTES(keys->element[i]->str, keys->element[i]->len);
    }
    redisReply *reply = t_ctl_args(t_cluster_ctl(cluster, cluster->moving_from), count, args);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        T_DIE("MIGRATE of slot %d: %s", cluster->moving_slot,
              reply == NULL ? "no answer" : reply->str);
    }
    freeReplyObject(reply);
}

void t_cluster_migrate_keys(t_cluster *cluster)
{
    T_REQUIRE(cluster->moving_slot >= 0);
    const t_decimal number = t_decimal_of(cluster->moving_slot);
    size_t moved;
    do {
        redisReply *keys = t_ctl_cmd(t_cluster_ctl(cluster, cluster->moving_from), "CLUSTER",
                                     "GETKEYSINSLOT", number.text, "200");
        T_REQUIRE(keys != NULL && keys->type == REDIS_REPLY_ARRAY && keys->elements <= BATCH);
        moved = keys->elements;
        if (moved > 0) {
            send_keys(cluster, keys);
        }
        freeReplyObject(keys);
    } while (moved > 0);
}

/* Tells all primaries, without waiting for the rest to hear of it. */
static void end(t_cluster *cluster, const bool *primaries)
{
    const int slot = cluster->moving_slot;
    const int to = cluster->moving_to;
    set_slot(cluster, to, slot, "NODE", to);
    set_slot(cluster, cluster->moving_from, slot, "NODE", to);
    for (int i = 0; i < cluster->count; i++) {
        if (primaries[i] && i != to && i != cluster->moving_from) {
            set_slot(cluster, i, slot, "NODE", to);
        }
    }
    cluster->moving_slot = -1;
}

static void note_primaries(t_cluster *cluster, bool primaries[T_CLUSTER_NODES_MAX])
{
    for (int i = 0; i < cluster->count; i++) {
        primaries[i] = t_cluster_up(cluster, i) && t_cluster_is_primary(cluster, i);
    }
}

/* The news of what the node has now, to all at once; then waits until nobody disagrees. */
static void spread(t_cluster *cluster, int node)
{
    for (int i = 0; i < cluster->count; i++) {
        if (i != node && t_cluster_up(cluster, i)) {
            t_cluster_meet(cluster, node, i);
        }
    }
    t_cluster_settle(cluster, T_CLUSTER_SETTLE_MS);
}

void t_cluster_migrate_end(t_cluster *cluster)
{
    T_REQUIRE(cluster->moving_slot >= 0);
    bool primaries[T_CLUSTER_NODES_MAX];
    note_primaries(cluster, primaries);
    end(cluster, primaries);
    spread(cluster, cluster->moving_to);
}

void t_cluster_migrate_slot(t_cluster *cluster, int slot, int to)
{
    t_cluster_migrate_begin(cluster, slot, to);
    t_cluster_migrate_keys(cluster);
    t_cluster_migrate_end(cluster);
}

void t_cluster_reassign_slot(t_cluster *cluster, int slot, int to)
{
    const int from = t_cluster_owner(cluster, slot);
    T_REQUIRE(from >= 0 && from != to);
    /* With IMPORTING the target takes a new epoch, by which it wins. */
    set_slot(cluster, to, slot, "IMPORTING", from);
    set_slot(cluster, to, slot, "NODE", to);
    spread(cluster, to);
}

void t_cluster_reshard(t_cluster *cluster, int from, int to, int count)
{
    t_cluster_view view;
    bool primaries[T_CLUSTER_NODES_MAX];
    t_cluster_look_hard(cluster, from, &view);
    note_primaries(cluster, primaries);
    for (int slot = 0; slot < T_CLUSTER_SLOTS && count > 0; slot++) {
        if (view.owner[slot] == from) {
            cluster->moving_from = from;
            begin(cluster, slot, to);
            t_cluster_migrate_keys(cluster);
            end(cluster, primaries);
            count--;
        }
    }
    T_REQUIRE(count == 0);
    spread(cluster, to);
}
