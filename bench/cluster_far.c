/* bench/cluster_far.c - a batch over several nodes that are far away, and how many connections a
 * client makes; see cluster.h.
 *
 * What nodes answer is kept back for 5 ms, so that a batch whose nodes are asked one after the
 * other would take as many times 5 ms; values are small, so that nothing else counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/cluster.h"
#include "support/check.h"

enum { NODES = 6, DELAY_MS = 5, TIMES = 10, KEYS = 3000, READS = 60000, KEY_SIZE = 48 };

#define SPREAD_MAX 1.3 /* a batch over several nodes, to one of one node */

typedef struct key_batch {
    unsigned nodes;
    nkv_str keys[B_BATCH];
    char names[B_BATCH][KEY_SIZE];
} key_batch;

static void make_batch(t_cluster *cluster, key_batch *batch, unsigned nodes)
{
    batch->nodes = nodes;
    for (unsigned i = 0; i < B_BATCH; i++) {
        char tag[T_CLUSTER_KEY_MAX];
        t_cluster_tag(cluster, (int)(i % nodes), tag);
        (void)snprintf(batch->names[i], KEY_SIZE, "%s%u:%u", tag, nodes, i);
        batch->keys[i] = nkv_cstr(batch->names[i]);
        t_ctl_ok(t_cluster_ctl(cluster, (int)(i % nodes)), "SET", batch->names[i], "value");
    }
}

/* Milliseconds of a batch, the median. */
static double run(nkv_client *client, const key_batch *batch)
{
    double ms[TIMES];
    for (int t = 0; t < TIMES; t++) {
        nkv_result results[B_BATCH];
        int64_t begin_ns = b_wall_ns();
        T_REQUIRE(nkv_mget(client, batch->keys, B_BATCH, NULL, results) == NKV_OK);
        ms[t] = (double)(b_wall_ns() - begin_ns) * 1e-6;
        for (unsigned i = 0; i < B_BATCH; i++) {
            T_REQUIRE(results[i].status == NKV_OK);
            nkv_value_release(results[i].value);
        }
    }
    return b_median(ms, TIMES);
}

static void delay_all(t_cluster *cluster, int ms)
{
    for (int i = 0; i < NODES; i++) {
        t_proxy_delay(t_cluster_proxy(cluster, i), T_EVERY, T_TO_CLIENT, ms);
    }
}

static void far_batches(b_cluster *bench, t_cluster *cluster)
{
    static const unsigned nodes[] = {1, 3, 6};
    static key_batch batches[3];
    double ms[3][B_CLUSTER_ROUNDS_MAX], ratio[3][B_CLUSTER_ROUNDS_MAX];
    nkv_client *client = b_cluster_client(t_cluster_url(cluster), true);
    for (int i = 0; i < 3; i++) {
        make_batch(cluster, &batches[i], nodes[i]);
        (void)run(client, &batches[i]);
    }
    delay_all(cluster, DELAY_MS);
    for (size_t round = 0; round < bench->rounds; round++) {
        for (unsigned i = 0; i < 3; i++) {
            unsigned one = (unsigned)(round + i) % 3;
            ms[one][round] = run(client, &batches[one]);
        }
        for (unsigned i = 0; i < 3; i++) {
            ratio[i][round] = ms[i][round] / ms[0][round];
        }
    }
    delay_all(cluster, 0);
    nkv_client_destroy(client);
    printf("\n%s, %d nodes, answers %d ms late: %d keys, without cache, %zu rounds\n", bench->kind,
           NODES, DELAY_MS, B_BATCH, bench->rounds);
    printf("  over 1 node  %9.2f ms\n", b_median(ms[0], bench->rounds));
    for (unsigned i = 1; i < 3; i++) {
        char name[40];
        double median = b_median(ratio[i], bench->rounds);
        printf("  over %u nodes %9.2f ms   %.2f x 1 node (%.2f … %.2f)", nodes[i],
               b_median(ms[i], bench->rounds), median, ratio[i][0], ratio[i][bench->rounds - 1]);
        b_cluster_bar(bench, median, SPREAD_MAX);
        (void)snprintf(name, sizeof name, "cluster_far_%u_nodes", nodes[i]);
        b_result(name, median, "x", true);
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

/* Nineteen reads of twenty. */
static void work(nkv_client *client)
{
    for (unsigned i = 0; i < READS; i++) {
        char name[KEY_SIZE];
        nkv_value *value = NULL;
        (void)snprintf(name, sizeof name, "work:%u", i * 7919 % KEYS);
        if (i % 20 == 0) {
            T_REQUIRE(nkv_set(client, nkv_cstr(name), nkv_cstr("value"), 0, NULL) == NKV_OK);
        } else {
            T_REQUIRE(nkv_get(client, nkv_cstr(name), NULL, &value) >= 0);
        }
        nkv_value_release(value);
    }
}

static void count(t_cluster *cluster, size_t *tracked, size_t *all)
{
    for (int i = 0; i < NODES; i++) {
        size_t n;
        t_client_info *clients = t_ctl_clients(t_cluster_ctl(cluster, i), &n);
        for (size_t j = 0; j < n; j++) {
            bool ours = strcmp(clients[j].name, "bench") == 0;
            *all += ours;
            *tracked += ours && strchr(clients[j].flags, 't') != NULL;
        }
        free(clients);
    }
}

static void connections(b_cluster *bench, t_cluster *cluster)
{
    size_t tracked = 0, all = 0;
    nkv_client *client = b_cluster_client(t_cluster_url(cluster), false);
    nkv_stats stats = {.struct_size = sizeof stats};
    work(client);
    T_REQUIRE(nkv_client_stats(client, &stats) == NKV_OK);
    count(cluster, &tracked, &all);
    nkv_client_destroy(client);
    printf("\n%s, %d nodes: a client that reads 19 times of 20, %.1f %% of them hits\n",
           bench->kind, NODES, 100.0 * (double)stats.hits / (double)stats.reads);
    printf("  tracked connections %zu, all %zu", tracked, all);
    b_cluster_bar(bench, (double)tracked, NODES);
    b_result("cluster_tracked", (double)tracked, "connections", true);
}

void b_cluster_far(b_cluster *bench)
{
    t_cluster *cluster = t_cluster_start(
        &(t_cluster_options){.kind = bench->kind, .primaries = NODES, .proxied = true});
    far_batches(bench, cluster);
    connections(bench, cluster);
    t_cluster_stop(cluster);
}
