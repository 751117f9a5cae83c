/* support/fc_client.c - a client of a played cluster, in few words.
 *
 * Callers      tests of clients of a cluster                                                     */

#include "support/fc_client.h"

#include "support/check.h"

#include <string.h>

enum { WARM_MS = 10000 };

nkv_options t_fc_options(t_fc *fc)
{
    nkv_options options = t_near_options(t_fc_url(fc));
    options.topology_max_age_ms = T_FC_AGE_MS;
    options.backoff_min_ms = 5;
    options.backoff_max_ms = 50;
    options.bulk_connections = 1;
    return options;
}

nkv_client *t_fc_open(t_fc *fc)
{
    const nkv_options options = t_fc_options(fc);
    return t_near_open(&options);
}

bool t_fc_is_hit(nkv_client *client, const char *key, const char *text)
{
    const t_answer got = t_near_get(client, key);
    return got.status >= 0 && got.from == NKV_FROM_CACHE && strcmp(got.text, text) == 0;
}

void t_fc_warm(nkv_client *client, const char *key, const char *text)
{
    T_WAIT_UNTIL(t_fc_is_hit(client, key, text), WARM_MS);
}

size_t t_fc_nodes(nkv_client *client)
{
    size_t n = 0;
    T_REQUIRE(nkv_client_health(client, NULL, NULL, 0, &n) == NKV_OK);
    return n;
}

bool t_fc_lists(nkv_client *client, const char *address)
{
    nkv_node_health nodes[T_FC_NODES];
    size_t n = 0;
    bool found = false;
    T_REQUIRE(nkv_client_health(client, NULL, nodes, T_FC_NODES, &n) == NKV_OK);
    for (size_t i = 0; i < n && i < T_FC_NODES; i++) {
        found = found || strcmp(nodes[i].address, address) == 0;
    }
    return found;
}
