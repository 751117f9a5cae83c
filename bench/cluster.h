/* bench/cluster.h - what bench_cluster is made of: its parts, and what they share.
 *
 *      cluster_batch.c   batches on a real cluster, beside one by one and the bare limit
 *      cluster_pipes.c   the bare limit: a hiredis connection for each node
 *      cluster_far.c     batches over one, three and six nodes that are far away; connections
 *      cluster_tags.c    what hash tags do to prefix traffic
 *      cluster_many.c    hundreds of nodes, by cluster_fake.h
 *
 * Failure ends the process.  Threads: one at a time. */
#ifndef B_CLUSTER_H
#define B_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include <nearkv/nearkv.h>

#include "support/cluster.h"

enum { B_BATCH = 128, B_CLUSTER_ROUNDS_MAX = 31 };

typedef struct b_cluster {
    const char *kind; /* of real servers */
    size_t rounds;
    unsigned nodes;     /* of the simulated cluster */
    unsigned idle_s;    /* for how long it is watched while nobody asks */
    size_t met, missed; /* bars */
} b_cluster;

/* Prints a bar and whether it is met, and counts it. */
void b_cluster_bar(b_cluster *bench, double value, double most);

/* A client of its own cache; no_cache: of none. */
nkv_client *b_cluster_client(const char *url, bool no_cache);

/* ---- Parts ----------------------------------------------------------------------------------- */

void b_cluster_batches(b_cluster *bench);
void b_cluster_tags(b_cluster *bench);
void b_cluster_far(b_cluster *bench);
void b_cluster_many(b_cluster *bench, bool replicas);

/* ---- The limit ------------------------------------------------------------------------------- */

typedef struct b_pipes b_pipes;

/* A connection to each of the ports. */
b_pipes *b_pipes_open(const int *ports, size_t n);
void b_pipes_close(b_pipes *pipes);

/* GET of keys, keys[i] at the node at[i]: everything is written, then read as it comes. */
void b_pipes_get(b_pipes *pipes, const nkv_str *keys, const unsigned *at, size_t n);

#endif
