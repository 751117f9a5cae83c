/* bench/cluster.c - what the parts of bench_cluster share; see cluster.h. */
#include "bench/cluster.h"

#include <stdio.h>

#include "support/check.h"

void b_cluster_bar(b_cluster *bench, double value, double most)
{
    bool met = value <= most;
    bench->met += met;
    bench->missed += !met;
    printf("   bar: at most %g: %s\n", most, met ? "met" : "MISSED");
}

nkv_client *b_cluster_client(const char *url, bool no_cache)
{
    nkv_client *client;
    nkv_options options;
    nkv_options_init(&options);
    options.url = url;
    options.no_cache = no_cache;
    options.client_name = "bench";
    T_REQUIRE(nkv_client_create(&options, &client, NULL) == NKV_OK);
    T_REQUIRE(nkv_client_wait_ready(client, 10000, NULL) == NKV_OK);
    return client;
}
