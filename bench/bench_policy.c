/* bench/bench_policy.c - how much of prefix traffic each policy finds, at several sizes of the
 * cache.
 *
 *      bench_policy [--trace FILE | --requests N]
 *
 * FILE: JSON lines with "hash_ids". Without it, made traffic of the same shape (support/traffic.h).
 * Blocks count 1 each; a request finds its leading blocks, up to the first that is not there; what
 * was not found is stored, the last block first. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "tests/support/traffic.h"

enum { SIZES = 8, POLICIES = 3 };

int main(int argc, char **argv)
{
    static const double percents[SIZES] = {0.05, 0.1, 0.5, 1, 2, 5, 10, 25};
    static const struct {
        const char *name;
        nkv_policy policy;
        int strict;
    } those[POLICIES] = {{"lru strict", NKV_POLICY_LRU, 1},
                         {"lru", NKV_POLICY_LRU, 0},
                         {"s3fifo", NKV_POLICY_S3FIFO, 0}};
    const char *path = NULL;
    size_t requests = 12000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--trace") == 0) {
            path = argv[i + 1];
        } else if (strcmp(argv[i], "--requests") == 0) {
            requests = (size_t)strtoull(argv[i + 1], NULL, 10);
        } else {
            fprintf(stderr, "usage: bench_policy [--trace FILE | --requests N]\n");
            return 2;
        }
    }
    t_traffic traffic = path != NULL ? t_traffic_load(path) : t_traffic_make(requests, 7);
    printf("%zu requests, %zu blocks, %zu of them distinct\n", traffic.requests,
           traffic.from[traffic.requests], traffic.distinct);
    printf("%-12s", "% of blocks");
    for (int i = 0; i < SIZES; i++) {
        printf(" %7.2f", percents[i]);
    }
    printf("\n");
    b_results_open();
    for (int i = 0; i < POLICIES; i++) {
        printf("%-12s", those[i].name);
        for (int j = 0; j < SIZES; j++) {
            double ratio = t_traffic_ratio(&traffic, those[i].policy, those[i].strict,
                                           NKV_INDEX_CHUNKED, percents[j]);
            char name[64];
            (void)snprintf(name, sizeof name, "hits_%s_%g", those[i].name, percents[j]);
            b_result(name, ratio, "%", false);
            printf(" %7.2f", ratio);
            fflush(stdout);
        }
        printf("\n");
    }
    b_results_close();
    t_traffic_free(&traffic);
    return 0;
}
