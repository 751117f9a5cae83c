/* support/fake_cluster_impl.h - what fake_cluster.c (the test's side), fake_cluster_tell.c (what
 * nodes tell of the cluster) and fake_cluster_store.c (keys) see of it. Internal to the test kit.
 *
 * Lock order  a fake's, then mu: nodes answer under their fake's. Who holds mu calls no fake.    */

#ifndef T_SUPPORT_FAKE_CLUSTER_IMPL_H
#define T_SUPPORT_FAKE_CLUSTER_IMPL_H

#include <pthread.h>

#include "support/check.h"
#include "support/fake_cluster.h"
#include "support/fake_impl.h"
#include "support/resp.h"

enum {
    T_FC_SLOTS = 16384,
    T_FC_KEYS = 4096,
    T_FC_READS = 16384,
    T_FC_QUEUE = 32,
    T_FC_SAYS = 64,
    T_FC_NAMED = 64
};

typedef struct t_fc_item {
    int node;
    char *key;
    char *value;
    size_t len;
} t_fc_item;

/* A tracked connection has read the key. */
typedef struct t_fc_read {
    int conn;
    char *key;
} t_fc_read;

typedef struct t_fc_conn {
    bool tracked, asking, multi, dirty;
    size_t queued;
    t_fake_command queue[T_FC_QUEUE];
} t_fc_conn;

typedef struct t_fc_saying {
    int node;
    int times;
    const char *line;
    const char *words[T_FAKE_WORDS + 1];
} t_fc_saying;

typedef struct t_fc_member {
    t_fc *fc;
    int number;
    t_fake *fake;
    char *url;
    bool listed, failing, down;
    uint64_t epoch;
    int8_t view[T_FC_SLOTS]; /* who holds what, it believes                                       */
    t_fc_conn conns[T_FAKE_CONNS + 1];
    t_fc_read reads[T_FC_READS];
    size_t reads_len;
} t_fc_member;

struct t_fc {
    pthread_mutex_t mu; /* guards all below                                                       */
    int nodes;
    t_fc_member *members[T_FC_NODES];
    t_fc_endpoint endpoint;
    uint64_t epoch;
    int8_t to[T_FC_SLOTS]; /* on its way there                                                    */
    t_fc_item items[T_FC_KEYS];
    size_t items_len;
    t_fc_saying says[T_FC_SAYS];
    size_t says_len;
    char *keys[T_FC_NODES][T_FC_NAMED];
    char *url;
};

/* @locks mu held, all below */

/* "host:port" of a node, as MOVED has it. */
void t_fc_address(const t_fc *fc, int node, char *out, size_t size);

/* CLUSTER … */
void t_fc_tell(const t_fc_member *me, const t_fake_command *command, t_resp *out);

/* Any other command; false: it is not known. */
bool t_fc_serve(t_fc_member *me, const t_fake_command *command, t_resp *out);

t_fc_item *t_fc_find(t_fc *fc, int node, const char *key);
void t_fc_store(t_fc *fc, int node, const char *key, const char *value, size_t len);
void t_fc_delete(t_fc *fc, int node, const char *key);

/* Takes the next connection that has read the key off the list; 0: there is none. */
int t_fc_take_reader(t_fc_member *me, const char *key);

#endif
