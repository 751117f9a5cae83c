/* support/fake_cluster.h - a cluster that is played: nodes of support/fake.h, with a small store
 * and a table of hash slots that the test changes as it likes.
 *
 *      t_fc *fc = t_fc_start(3);                    every node holds a third, and all agree
 *      const char *k = t_fc_key(fc, 1, 0);          a key whose slot is node 1's
 *      t_fc_put(fc, 1, k, "v");                     as if another client had written it there
 *      … read it by a client of t_fc_url(fc) …
 *      t_fc_give(fc, t_fc_slot(k), 2);              the slot is node 2's now, with its keys
 *
 * Nodes count from 0. Each has a view of its own of who holds what: it is what it tells (CLUSTER
 * SHARDS, SLOTS), and what it acts by (an answer, MOVED, ASK, TRYAGAIN, CLUSTERDOWN). A node tracks
 * what connections with CLIENT TRACKING ON read, keys that are not there included, and pushes when
 * one of these is written at it, by whomever; a slot that goes away is no write. It knows GET MGET
 * SET MSET DEL UNLINK TOUCH EXISTS STRLEN PTTL PEXPIRE MULTI EXEC ASKING CLUSTER, and what a
 * t_fake greets with.
 *
 * Threads     Any thread may call.
 * Bounds      T_FC_NODES nodes, 4096 keys.                                                       */

#ifndef T_SUPPORT_FAKE_CLUSTER_H
#define T_SUPPORT_FAKE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fake.h"

typedef struct t_fc t_fc;

enum { T_FC_NODES = 8, T_FC_NOBODY = -1, T_FC_EVERY = -1 };

/* ---- Life ------------------------------------------------------------------------------------ */

t_fc *t_fc_start(int nodes);
void t_fc_stop(t_fc *fc);

/* One more, without slots, that all know; returns its number. */
int t_fc_join(t_fc *fc);

/* It is taken out of everybody's list; its slots are the test's to give away before. */
void t_fc_leave(t_fc *fc, int node);

t_fake *t_fc_node(t_fc *fc, int node);
int t_fc_port(t_fc *fc, int node);

/* With every node of the start as a seed, or this one; for a client. They live as long as it. */
const char *t_fc_url(t_fc *fc);
const char *t_fc_url_of(t_fc *fc, int node);

/* ---- Slots ----------------------------------------------------------------------------------- */

uint16_t t_fc_slot(const char *key);

/* The n-th key, from 0, of 64 whose slots were the node's at the start. */
const char *t_fc_key(t_fc *fc, int node, int n);

/* Everybody knows that the slot is `to`'s, or nobody's; `to` has a new configuration epoch. The
 * keys go along unseen, without a push. */
void t_fc_give(t_fc *fc, uint16_t slot, int to);
void t_fc_give_range(t_fc *fc, uint16_t first, uint16_t last, int to);

/* The same of all that a node holds. */
void t_fc_give_all(t_fc *fc, int from, int to);

/* Only `who` believes so; no keys move, no epoch changes. */
void t_fc_believe(t_fc *fc, int who, uint16_t slot, int to);
void t_fc_believe_range(t_fc *fc, int who, uint16_t first, uint16_t last, int to);

/* The slot is on its way to `to`: what its holder does not have is asked there. NOBODY: it is not
 * any more. */
void t_fc_migrate(t_fc *fc, uint16_t slot, int to);

void t_fc_bump(t_fc *fc, int node); /* its configuration epoch */

/* ---- What it tells --------------------------------------------------------------------------- */

/* How nodes announce themselves. */
typedef enum t_fc_endpoint {
    T_FC_IP,      /* 127.0.0.1                                                                    */
    T_FC_NAME,    /* localhost                                                                    */
    T_FC_EMPTY,   /* "": the host that was asked                                                  */
    T_FC_NIL,     /* the same, as nil                                                             */
    T_FC_UNKNOWN, /* "?", beside the ip                                                           */
    T_FC_FAR      /* 10.9.9.1 and so on, port 7000                                                */
} t_fc_endpoint;
void t_fc_announce(t_fc *fc, t_fc_endpoint how);

/* cluster_state of CLUSTER INFO: fail, or ok again. */
void t_fc_fail(t_fc *fc, int node, bool on);

/* In SHARDS: it is down, or online again. */
void t_fc_down(t_fc *fc, int node, bool on);

/* The next `times` commands (-1: all) of these words (as in T_EXPECT) are answered with `line`,
 * without CR LF, or not at all if it is empty. The latest wins. The text is borrowed. */
void t_fc_say_argv(t_fc *fc, int node, int times, const char *line, const char *const *words);
#define t_fc_say(fc, node, times, line, ...) \
    t_fc_say_argv((fc), (node), (times), (line), (const char *const[]){__VA_ARGS__, NULL})
void t_fc_hush(t_fc *fc); /* none of these any more */

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Another client writes the key at the node; NULL: deletes it. Pushes where it was read. */
void t_fc_put(t_fc *fc, int node, const char *key, const char *value);

/* The key is moved, as MIGRATE does: deleted here with a push, and there it is. */
void t_fc_carry(t_fc *fc, const char *key, int from, int to);

/* Whether the node has it so; NULL: has it not. */
bool t_fc_has(t_fc *fc, int node, const char *key, const char *value);

/* ---- What it was told ------------------------------------------------------------------------ */

/* The latest connection of the node that has asked for tracking; 0: none. */
int t_fc_tracked(t_fc *fc, int node);

/* How many commands of these words all nodes have had. */
size_t t_fc_hits_argv(t_fc *fc, const char *const *words);
#define t_fc_hits(fc, ...) t_fc_hits_argv((fc), (const char *const[]){__VA_ARGS__, NULL})

#endif
