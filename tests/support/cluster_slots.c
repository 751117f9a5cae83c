/* support/cluster_slots.c - slots that move from one primary to another.
 *
 * SETSLOT NODE is said to all primaries, the target first, so that no moment has no owner; replicas
 * hear of it by express (t_cluster_meet). A Valkey primary answers SETSLOT only when its replicas
 * have it, so many slots are moved by a crew, each member with connections of its own.
 *
 * Callers      live tests of clusters, cluster_nodes.c                                           */

#include "support/cluster_impl.h"
#include "support/decimal.h"
#include "support/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 200, MIGRATE_ARGS = 12, CREW = 8, CREW_FROM = 32 };

/* ---- One slot -------------------------------------------------------------------------------- */

static void set_slot(const t_cluster *cluster, const t_slot_move *move, int node, const char *what,
                     int other)
{
    T_REQUIRE(move->ctls[node] != NULL);
    t_ctl_ok(move->ctls[node], "CLUSTER", "SETSLOT", t_decimal_of(move->slot).text, what,
             cluster->nodes[other].id);
}

static void begin(const t_cluster *cluster, const t_slot_move *move)
{
    set_slot(cluster, move, move->to, "IMPORTING", move->from);
    set_slot(cluster, move, move->from, "MIGRATING", move->to);
}

/* Sends the keys of one reply of GETKEYSINSLOT to the target. */
static void send_keys(const t_cluster *cluster, const t_slot_move *move, const redisReply *keys)
{
    const t_decimal port = t_decimal_of(t_server_port(cluster->nodes[move->to].server));
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
    redisReply *reply = t_ctl_args(move->ctls[move->from], count, args);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        T_DIE("MIGRATE of slot %d: %s", move->slot, reply == NULL ? "no answer" : reply->str);
    }
    freeReplyObject(reply);
}

static void migrate_keys(const t_cluster *cluster, const t_slot_move *move)
{
    size_t moved;
    do {
        redisReply *keys = t_ctl_cmd(move->ctls[move->from], "CLUSTER", "GETKEYSINSLOT",
                                     t_decimal_of(move->slot).text, t_decimal_of(BATCH).text);
        T_REQUIRE(keys != NULL && keys->type == REDIS_REPLY_ARRAY && keys->elements <= BATCH);
        moved = keys->elements;
        if (moved > 0) {
            send_keys(cluster, move, keys);
        }
        freeReplyObject(keys);
    } while (moved > 0);
}

/* Tells all primaries, without waiting for the rest to hear of it. */
static void end(const t_cluster *cluster, const t_slot_move *move)
{
    set_slot(cluster, move, move->to, "NODE", move->to);
    set_slot(cluster, move, move->from, "NODE", move->to);
    for (int i = 0; i < cluster->count; i++) {
        if (move->ctls[i] != NULL && i != move->to && i != move->from) {
            set_slot(cluster, move, i, "NODE", move->to);
        }
    }
}

/* ---- With everybody -------------------------------------------------------------------------- */

/* Marks the primaries that run. */
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

static t_slot_move make_move(t_cluster *cluster, int slot, int to)
{
    bool primaries[T_CLUSTER_NODES_MAX];
    t_slot_move move = {.slot = slot, .from = t_cluster_owner(cluster, slot), .to = to};
    T_REQUIRE(move.from >= 0 && move.from != to);
    note_primaries(cluster, primaries);
    for (int i = 0; i < cluster->count; i++) {
        move.ctls[i] = primaries[i] ? t_cluster_ctl(cluster, i) : NULL;
    }
    return move;
}

void t_cluster_migrate_begin(t_cluster *cluster, int slot, int to)
{
    T_REQUIRE(cluster->moving.slot < 0);
    cluster->moving = make_move(cluster, slot, to);
    begin(cluster, &cluster->moving);
}

void t_cluster_migrate_keys(t_cluster *cluster)
{
    T_REQUIRE(cluster->moving.slot >= 0);
    migrate_keys(cluster, &cluster->moving);
}

void t_cluster_migrate_end(t_cluster *cluster)
{
    T_REQUIRE(cluster->moving.slot >= 0);
    end(cluster, &cluster->moving);
    cluster->moving.slot = -1;
    spread(cluster, cluster->moving.to);
}

void t_cluster_migrate_slot(t_cluster *cluster, int slot, int to)
{
    t_cluster_migrate_begin(cluster, slot, to);
    t_cluster_migrate_keys(cluster);
    t_cluster_migrate_end(cluster);
}

void t_cluster_reassign_slot(t_cluster *cluster, int slot, int to)
{
    const t_slot_move move = make_move(cluster, slot, to);
    /* With IMPORTING the target takes a new epoch, by which it wins. */
    set_slot(cluster, &move, to, "IMPORTING", move.from);
    set_slot(cluster, &move, to, "NODE", to);
    spread(cluster, to);
}

/* ---- Many slots ------------------------------------------------------------------------------ */

typedef struct t_crew {
    const t_cluster *cluster;
    bool primaries[T_CLUSTER_NODES_MAX];
    int from;
    int to;
    int slots[T_CLUSTER_SLOTS];
    int count;
    _Atomic int next;
} t_crew;

/* A slot without keys needs no ASK: the source refuses to give away one that has some. In between
 * source and target send a client back and forth. The others hear of all slots in the end.       */
static bool hand_over_empty(const t_cluster *cluster, const t_slot_move *move)
{
    if (!t_ctl_try(move->ctls[move->from], "CLUSTER", "SETSLOT", t_decimal_of(move->slot).text,
                   "NODE", cluster->nodes[move->to].id)) {
        return false;
    }
    set_slot(cluster, move, move->to, "NODE", move->to);
    return true;
}

static void *move_slots(void *ud)
{
    t_crew *crew = ud;
    t_slot_move move = {.from = crew->from, .to = crew->to};
    for (int i = 0; i < crew->cluster->count; i++) {
        move.ctls[i] = crew->primaries[i] ? t_ctl_open(crew->cluster->nodes[i].server) : NULL;
    }
    int at;
    while ((at = atomic_fetch_add(&crew->next, 1)) < crew->count) {
        move.slot = crew->slots[at];
        if (!hand_over_empty(crew->cluster, &move)) {
            begin(crew->cluster, &move);
            migrate_keys(crew->cluster, &move);
            end(crew->cluster, &move);
        }
    }
    for (int i = 0; i < crew->cluster->count; i++) {
        t_ctl_close(move.ctls[i]);
    }
    return NULL;
}

void t_cluster_reshard(t_cluster *cluster, int from, int to, int count)
{
    t_cluster_view view;
    t_cluster_look_hard(cluster, from, &view);
    t_crew *crew = calloc(1, sizeof *crew);
    T_REQUIRE(crew != NULL && from != to);
    crew->cluster = cluster;
    crew->from = from;
    crew->to = to;
    note_primaries(cluster, crew->primaries);
    for (int slot = 0; slot < T_CLUSTER_SLOTS && crew->count < count; slot++) {
        if (view.owner[slot] == from) {
            crew->slots[crew->count++] = slot;
        }
    }
    T_REQUIRE(crew->count == count);
    pthread_t threads[CREW];
    const int size = count < CREW_FROM ? 1 : CREW;
    for (int i = 0; i < size; i++) {
        t_thread_start(&threads[i], move_slots, crew);
    }
    for (int i = 0; i < size; i++) {
        T_REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    free(crew);
    t_ctl_ok(t_cluster_ctl(cluster, to), "CLUSTER", "BUMPEPOCH");
    spread(cluster, to);
}
