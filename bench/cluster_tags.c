/* bench/cluster_tags.c - what hash tags do to prefix traffic on three real nodes; see cluster.h.
 *
 *      no tags        chunk:9f3c…            chunks are spread over all slots
 *      per request    {request}chunk:9f3c…   the chunks of a prompt are in one slot, and nobody
 *                                            else's, though another prompt begins like it
 *      per trace      {trace}chunk:9f3c…     everything is in one slot
 *
 * Each request asks how much of its prefix is there, and stores the rest: made-up traffic of a chat
 * service, the same for all three. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/cluster.h"
#include "cli/source.h"
#include "support/check.h"

enum { NODES = 3, REQUESTS = 2000, SEED = 1, KEY_SIZE = 80, VALUE_BYTES = 64 };

typedef enum tagging { TAG_NONE, TAG_REQUEST, TAG_TRACE, TAGGINGS } tagging;

typedef struct outcome {
    uint64_t asked, there;
    int64_t lookup_ns;
    int64_t keys[NODES], commands[NODES];
} outcome;

typedef struct prompt {
    nkv_str *keys;
    nkv_item *items;
    char (*names)[KEY_SIZE];
    size_t cap;
} prompt;

static void prompt_room(prompt *p, size_t n)
{
    if (n > p->cap) {
        p->cap = n;
        p->keys = realloc(p->keys, n * sizeof *p->keys);
        p->items = realloc(p->items, n * sizeof *p->items);
        p->names = realloc(p->names, n * sizeof *p->names);
        T_REQUIRE(p->keys != NULL && p->items != NULL && p->names != NULL);
    }
}

static void prompt_make(prompt *p, const nkvi_request *request, tagging how, unsigned number)
{
    static const char value[VALUE_BYTES];
    prompt_room(p, request->n);
    for (size_t i = 0; i < request->n; i++) {
        char tag[24] = "";
        if (how == TAG_REQUEST) {
            (void)snprintf(tag, sizeof tag, "{r%u}", number);
        } else if (how == TAG_TRACE) {
            (void)snprintf(tag, sizeof tag, "{trace}");
        }
        int len = snprintf(p->names[i], KEY_SIZE, "%schunk:%" PRIu64, tag, request->ids[i]);
        p->keys[i] = nkv_str_make(p->names[i], (size_t)len);
        p->items[i] = (nkv_item){.key = p->keys[i], .value = nkv_str_make(value, sizeof value)};
    }
}

static void ask(nkv_client *client, const prompt *p, size_t n, outcome *out)
{
    size_t prefix, local;
    int64_t begin_ns = b_wall_ns();
    T_REQUIRE(nkv_prefix(client, p->keys, n, NULL, &prefix, &local) == NKV_OK);
    out->lookup_ns += b_wall_ns() - begin_ns;
    out->asked += n;
    out->there += prefix;
    if (prefix < n) {
        T_REQUIRE(nkv_batch_put(client, p->items + prefix, n - prefix, 0, NULL) == NKV_OK);
    }
}

static int64_t commands_of(t_cluster *cluster, int node)
{
    static const char name[] = "total_commands_processed:";
    char *info = t_ctl_text(t_cluster_ctl(cluster, node), "INFO", "stats");
    const char *at = strstr(info, name);
    T_REQUIRE(at != NULL);
    int64_t number = strtoll(at + sizeof name - 1, NULL, 10);
    free(info);
    return number;
}

static void count_nodes(t_cluster *cluster, outcome *out, bool begins)
{
    for (int i = 0; i < NODES; i++) {
        out->commands[i] = commands_of(cluster, i) - (begins ? 0 : out->commands[i]);
        out->keys[i] = t_ctl_int(t_cluster_ctl(cluster, i), "DBSIZE");
    }
}

static outcome run(const b_cluster *bench, tagging how)
{
    outcome out = {.asked = 0};
    nkvi_request request = {NULL, 0, 0};
    prompt p = {NULL, NULL, NULL, 0};
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = bench->kind, .primaries = NODES});
    nkv_client *client = b_cluster_client(t_cluster_url(cluster), false);
    nkvi_source *source = nkvi_synthetic_open(SEED, REQUESTS);
    count_nodes(cluster, &out, true);
    for (unsigned i = 0; source->next(source, &request, NULL) == NKVI_SOURCE_REQUEST; i++) {
        prompt_make(&p, &request, how, i);
        ask(client, &p, request.n, &out);
    }
    count_nodes(cluster, &out, false);
    source->close(source);
    nkvi_request_clear(&request);
    nkv_client_destroy(client);
    t_cluster_stop(cluster);
    free(p.keys);
    free(p.items);
    free(p.names);
    return out;
}

/* The largest share, in percent. */
static double busiest(const int64_t *of_node)
{
    int64_t sum = 0, most = 0;
    for (unsigned i = 0; i < NODES; i++) {
        sum += of_node[i];
        most = of_node[i] > most ? of_node[i] : most;
    }
    return sum > 0 ? 100.0 * (double)most / (double)sum : 0;
}

void b_cluster_tags(b_cluster *bench)
{
    static const char *const labels[TAGGINGS] = {"no tags", "per request", "per trace"};
    static const char *const names[TAGGINGS] = {"cluster_tags_none", "cluster_tags_request",
                                                "cluster_tags_trace"};
    printf("\n%s, %d nodes: %d made-up requests ask for their prefix and store the rest\n",
           bench->kind, NODES, REQUESTS);
    printf("%-12s %10s %10s %14s %16s %20s\n", "", "a lookup", "there", "keys stored",
           "busiest: keys", "busiest: commands");
    for (unsigned i = 0; i < TAGGINGS; i++) {
        outcome out = run(bench, (tagging)i);
        double us = (double)out.lookup_ns * 1e-3 / REQUESTS;
        double there = 100.0 * (double)out.there / (double)out.asked;
        printf("%-12s %7.0f us %8.1f %% %14" PRId64 " %14.1f %% %18.1f %%\n", labels[i], us, there,
               out.keys[0] + out.keys[1] + out.keys[2], busiest(out.keys), busiest(out.commands));
        b_result(names[i], us, "us", true);
    }
}
