/* support/cluster.h - a private cluster of real servers, and what can happen to one.
 *
 *      t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
 *      char key[T_CLUSTER_KEY_MAX];
 *      t_cluster_key(4242, key);
 *      t_ctl_ok(t_cluster_ctl(cluster, t_cluster_owner(cluster, 4242)), "SET", key, "v");
 *      t_cluster_migrate_slot(cluster, 4242, 2);
 *      t_cluster_stop(cluster);
 *
 * Nodes have numbers: first the primaries, in the order of their slots, which are dealt out evenly;
 * then the replicas: with P primaries and R replicas of each, P + p * R + r follows p. A number
 * stays, whatever the node becomes: t_cluster_is_primary() tells what it is now.
 *
 * Proxied     Each node has a proxy of its own in front (t_cluster_proxy), whose port it announces:
 *             clients reach it only there. Gossip and MIGRATE go directly; but a replica follows
 *             its primary under the announced port: the primary's proxy carries that too, from
 *             before the first client on (t_proxy_accepted() after the start).
 * Settled     Functions that change something return when all nodes that run see it alike: roles,
 *             owners of slots, replicas' links, and (where every slot has an owner) state ok.
 * Failure     As t_server: what should not fail ends the process, with the nodes' own words.
 * Threads     One thread at a time per cluster.                                                  */

#ifndef T_SUPPORT_CLUSTER_H
#define T_SUPPORT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/ctl.h"
#include "support/proxy.h"
#include "support/server.h"

enum { T_CLUSTER_SLOTS = 16384, T_CLUSTER_NODES_MAX = 24, T_CLUSTER_KEY_MAX = 16 };

typedef struct t_cluster t_cluster;

typedef struct t_cluster_options {
    const char *kind;        /* NULL: the first that is there                                     */
    int primaries;           /* 0: 3; with less than 3 nobody is elected by itself                */
    int replicas;            /* of each primary                                                   */
    int node_timeout_ms;     /* silence after which a node counts as failed; 0: 2000              */
    bool proxied;            /* see above                                                         */
    const char *password;    /* of the default user, on every node; NULL: none                    */
    const char *const *args; /* further arguments of every node, as in t_server_options           */
} t_cluster_options;

/* ---- Life ------------------------------------------------------------------------------------ */

/* Starts a cluster and returns when it is settled and every slot is served: about 2.2 s, of which
 * 2 s are a wait that a primary insists on. `options` may be NULL.                               */
t_cluster *t_cluster_start(const t_cluster_options *options);

/* Ends all nodes at once. NULL is allowed. */
void t_cluster_stop(t_cluster *cluster);

/* ---- Where it is ----------------------------------------------------------------------------- */

/* "redis-cluster://127.0.0.1:p1,127.0.0.1:p2,…": the nodes that began as primaries, announced
 * ports, with the password.                                                                      */
const char *t_cluster_url(const t_cluster *cluster);

int t_cluster_size(const t_cluster *cluster); /* nodes, those killed or removed included          */
t_server *t_cluster_server(const t_cluster *cluster, int node);
int t_cluster_port(const t_cluster *cluster, int node);       /* announced: the proxy's, if any   */
const char *t_cluster_id(const t_cluster *cluster, int node); /* as CLUSTER NODES has it          */
t_proxy *t_cluster_proxy(const t_cluster *cluster, int node); /* NULL: not proxied                */
bool t_cluster_up(const t_cluster *cluster, int node); /* not killed, paused or removed           */

/* The cluster's own connection to a node, not by its proxy; good until the node is killed. */
t_ctl *t_cluster_ctl(t_cluster *cluster, int node);

/* The node that announces a port; -1: none of ours. */
int t_cluster_node_at(const t_cluster *cluster, int port);

/* ---- Keys and slots -------------------------------------------------------------------------- */

/* The slot of a key, hash tags heeded. */
int t_cluster_slot(const void *key, size_t len);

/* A key of that slot; always the same one. In braces it is a hash tag. */
void t_cluster_key(int slot, char out[T_CLUSTER_KEY_MAX]);

/* A hash tag, "{…}", whose slot the node serves now. */
void t_cluster_tag(t_cluster *cluster, int node, char out[T_CLUSTER_KEY_MAX]);

/* ---- What it is now, by the nodes' own words ------------------------------------------------- */

bool t_cluster_is_primary(t_cluster *cluster, int node);
int t_cluster_primary_of(t_cluster *cluster, int node); /* of a replica; -1: it is none           */

/* The node that runs and says that it serves the slot; -1: nobody. */
int t_cluster_owner(t_cluster *cluster, int slot);

/* How many slots the node says it serves; the lowest of them, -1 if it has none. */
int t_cluster_slot_count(t_cluster *cluster, int node);
int t_cluster_first_slot(t_cluster *cluster, int node);

/* Writes the replicas of a node that run, and returns how many there are. */
int t_cluster_replicas(t_cluster *cluster, int node, int out[T_CLUSTER_NODES_MAX]);

/* Waits until all nodes that run see everything alike. Dies if that takes longer. */
void t_cluster_settle(t_cluster *cluster, int64_t timeout_ms);

/* Waits until all nodes that run say cluster_state:ok, or that it is not. */
void t_cluster_wait_state(t_cluster *cluster, bool ok, int64_t timeout_ms);

/* Waits until the replicas that run have all that their primaries have. */
void t_cluster_wait_replicated(t_cluster *cluster, int64_t timeout_ms);

/* ---- Slots move ------------------------------------------------------------------------------ */

/* Moves a slot with its keys, as operators do. In three steps, between which the source answers ASK
 * for keys that it has no more (begin: SETSLOT IMPORTING and MIGRATING; keys: GETKEYSINSLOT and
 * MIGRATE; end: SETSLOT NODE at the target, the source, the other primaries). The steps remember
 * one slot at a time.                                                                            */
void t_cluster_migrate_slot(t_cluster *cluster, int slot, int to);
void t_cluster_migrate_begin(t_cluster *cluster, int slot, int to);
void t_cluster_migrate_keys(t_cluster *cluster);
void t_cluster_migrate_end(t_cluster *cluster);

/* The target claims the slot over the owner's head: no MIGRATE, and the keys are thrown away by the
 * old owner when it hears of it.                                                                 */
void t_cluster_reassign_slot(t_cluster *cluster, int slot, int to);

/* Moves the `count` lowest slots of a node with their keys. */
void t_cluster_reshard(t_cluster *cluster, int from, int to, int count);

/* ---- Nodes come, go and change their roles --------------------------------------------------- */

/* CLUSTER FAILOVER: the replica becomes the primary, its old primary a replica of it. */
void t_cluster_failover(t_cluster *cluster, int replica);

/* CLUSTER FAILOVER FORCE, for a replica that cannot follow: what it had not yet heard is lost. */
void t_cluster_failover_forced(t_cluster *cluster, int replica);

/* SIGKILL; returns when the process is gone. Others notice after the node timeout. */
void t_cluster_kill(t_cluster *cluster, int node);

/* Waits until the slots of a node that does not run are another's, and all agree: returns that
 * other one. About two node timeouts after the kill.                                             */
int t_cluster_wait_takeover(t_cluster *cluster, int node);

/* Starts a killed (or living) node again, under the same id and ports, with nothing in it; what it
 * becomes is for the others to say: a replica, if its slots were taken over.                     */
void t_cluster_restart(t_cluster *cluster, int node);

/* SIGSTOP and SIGCONT. Resume waits until all is settled again: a primary whose slots were taken
 * over meanwhile is a replica then. t_cluster_continue() does not wait.                          */
void t_cluster_pause(t_cluster *cluster, int node);
void t_cluster_resume(t_cluster *cluster, int node);
void t_cluster_continue(t_cluster *cluster, int node);

/* A new node: a primary without slots, or a replica of `follows` (>= 0). Returns its number. */
int t_cluster_add_node(t_cluster *cluster, int follows);

/* Moves all slots of the node to `heir` (not needed for a replica: -1), makes its replicas follow
 * that one, has everybody forget the node, and ends it.                                          */
void t_cluster_remove_node(t_cluster *cluster, int node, int heir);

#endif
