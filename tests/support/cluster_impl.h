/* support/cluster_impl.h - what the files of the cluster kit share.
 *
 * Internal to the test kit: cluster.c (life), cluster_view.c (what nodes say), cluster_slots.c and
 * cluster_nodes.c (changes).                                                                     */

#ifndef T_SUPPORT_CLUSTER_IMPL_H
#define T_SUPPORT_CLUSTER_IMPL_H

#include "support/check.h"
#include "support/cluster.h"

enum { T_CLUSTER_ID_LEN = 40, T_CLUSTER_SETTLE_MS = 30000 };

typedef enum t_node_state {
    T_NODE_STARTING,
    T_NODE_UP,
    T_NODE_PAUSED,
    T_NODE_DOWN,
    T_NODE_REMOVED
} t_node_state;

typedef struct t_cluster_node {
    t_server *server;
    t_proxy *proxy; /* NULL: not proxied                                                          */
    t_ctl *ctl;     /* NULL: not open                                                             */
    t_node_state state;
    int port;
    int slot; /* its lowest when it went silent; -1: it had none                                  */
    char id[T_CLUSTER_ID_LEN + 1];
} t_cluster_node;

/* A node as another (or itself) sees it. */
typedef struct t_node_seen {
    bool known;
    bool linked; /* connected, or itself                                                          */
    bool primary;
    bool failed; /* or only suspected                                                             */
    int follows; /* -1: nobody, or nobody we know                                                 */
} t_node_seen;

/* What one node says in CLUSTER NODES. */
typedef struct t_cluster_view {
    t_node_seen nodes[T_CLUSTER_NODES_MAX];
    int strangers; /* lines about none of ours, handshakes included           */
    signed char owner[T_CLUSTER_SLOTS]; /* -1: nobody                                             */
} t_cluster_view;

/* A slot on its way, and the connections on which all is said about it. */
typedef struct t_slot_move {
    int slot;
    int from;
    int to;
    t_ctl *ctls[T_CLUSTER_NODES_MAX]; /* of the primaries that run; else NULL                     */
} t_slot_move;

struct t_cluster {
    t_cluster_node nodes[T_CLUSTER_NODES_MAX];
    int count;
    char *kind;
    char *password;
    char **args; /* NULL-terminated: every node's                                                 */
    bool proxied;
    int node_timeout_ms;
    char *url;
    t_cluster_view views[T_CLUSTER_NODES_MAX]; /* of t_cluster_settled()                          */
    t_slot_move moving; /* slot -1: none                                                          */
};

/* ---- Nodes (cluster.c) ----------------------------------------------------------------------- */

/* Starts the process of the next node, ready or not, and returns its number. */
int t_cluster_launch_node(t_cluster *cluster);

/* Waits until it answers, gives it its proxy and learns its id. */
void t_cluster_welcome(t_cluster *cluster, int node);

/* Has the one say hello to the other. They may know each other: then it is news by express. */
void t_cluster_meet(t_cluster *cluster, int node, int other);

/* Has all that run say hello to all that run. */
void t_cluster_meet_all(t_cluster *cluster);

/* Waits until all that run know all that run. */
void t_cluster_wait_acquainted(t_cluster *cluster);

void t_cluster_close_ctl(t_cluster_node *node);

/* ---- Views (cluster_view.c) ------------------------------------------------------------------ */

/* False if it does not answer. */
bool t_cluster_look(t_cluster *cluster, int node, t_cluster_view *view);

/* The same, but it must answer. */
void t_cluster_look_hard(t_cluster *cluster, int node, t_cluster_view *view);

/* Do all that run know all that run? */
bool t_cluster_acquainted(t_cluster *cluster);

/* Is it settled now? */
bool t_cluster_settled(t_cluster *cluster);

/* Ends the process with what every node says. */
_Noreturn void t_cluster_die(t_cluster *cluster, const char *what);

#endif
