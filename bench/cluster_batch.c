/* bench/cluster_batch.c - batches of 128 keys of 2 KiB on three real nodes; see cluster.h.
 *
 *      no tags      the keys are of all slots
 *      one tag      all keys of a batch are of one slot, each batch's of another
 *      three tags   of three slots, each of another node
 *
 * nearkv does not know where keys are but by their slots; the limit is told beforehand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/cluster.h"
#include "cli/latency.h"
#include "support/check.h"

enum { NODES = 3, BATCHES = 8, BYTES = 2048, KEY_SIZE = 48, REPEATS = 40, HITS = 2000 };

typedef enum way { LIMIT, NEAR, ONE_BY_ONE, SIDES } way;

/* Batches of one kind. */
typedef struct key_set {
    const char *label;
    unsigned tags; /* of a batch; 0: none */
    nkv_str keys[BATCHES][B_BATCH];
    unsigned at[BATCHES][B_BATCH];
    char names[BATCHES][B_BATCH][KEY_SIZE];
} key_set;

typedef struct places {
    t_cluster *cluster;
    t_server *alone;
    nkv_client *client, *cached, *cached_alone;
    b_pipes *pipes;
} places;

/* ---- Keys ------------------------------------------------------------------------------------ */

static unsigned node_of_key(const char *key)
{
    unsigned node = 0;
    unsigned slot = (unsigned)t_cluster_slot(key, strlen(key));
    while (slot >= (unsigned)T_CLUSTER_SLOTS * (node + 1) / NODES) {
        node++;
    }
    return node;
}

/* The tag of a group: with several the n-th is a key of the n-th node. */
static void make_tag(const key_set *set, unsigned batch, unsigned group,
                     char out[T_CLUSTER_KEY_MAX])
{
    unsigned share = T_CLUSTER_SLOTS / NODES;
    unsigned node = set->tags > 1 ? group : batch % NODES;
    t_cluster_key((int)(node * share + 1 + batch * 97 % (share - 1)), out);
}

static void make_set(key_set *set)
{
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < B_BATCH; i++) {
            char tag[T_CLUSTER_KEY_MAX], *name = set->names[b][i];
            if (set->tags == 0) {
                (void)snprintf(name, KEY_SIZE, "chunk:%u:%u", b, i);
            } else {
                make_tag(set, b, i * set->tags / B_BATCH, tag);
                (void)snprintf(name, KEY_SIZE, "{%s}%u:%u:%u", tag, set->tags, b, i);
            }
            set->keys[b][i] = nkv_cstr(name);
            set->at[b][i] = node_of_key(name);
        }
    }
}

static void fill(const places *p, const key_set *set)
{
    static char value[BYTES + 1];
    t_ctl *alone = t_ctl_open(p->alone);
    memset(value, 'v', BYTES);
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < B_BATCH; i++) {
            t_ctl *ctl = t_cluster_ctl(p->cluster, (int)set->at[b][i]);
            t_ctl_ok(ctl, "SET", set->names[b][i], value);
            t_ctl_ok(alone, "SET", set->names[b][i], value);
        }
    }
    t_ctl_close(alone);
}

/* ---- Sides ----------------------------------------------------------------------------------- */

static void get_batch(nkv_client *client, const nkv_str *keys, bool hits)
{
    nkv_result results[B_BATCH];
    nkv_call call;
    nkv_call_init(&call);
    T_REQUIRE(nkv_mget(client, keys, B_BATCH, &call, results) == NKV_OK);
    T_REQUIRE(!hits || call.from == NKV_FROM_CACHE);
    for (unsigned i = 0; i < B_BATCH; i++) {
        T_REQUIRE(results[i].status == NKV_OK);
        nkv_value_release(results[i].value);
    }
}

static void get_one_by_one(nkv_client *client, const nkv_str *keys)
{
    for (unsigned i = 0; i < B_BATCH; i++) {
        nkv_value *value;
        T_REQUIRE(nkv_get(client, keys[i], NULL, &value) == NKV_OK);
        nkv_value_release(value);
    }
}

/* Microseconds of a batch. */
static double run(const places *p, const key_set *set, way side)
{
    unsigned repeats = side == ONE_BY_ONE ? 2 : REPEATS;
    int64_t begin_ns = b_wall_ns();
    for (unsigned r = 0; r < repeats; r++) {
        unsigned b = r % BATCHES;
        if (side == LIMIT) {
            b_pipes_get(p->pipes, set->keys[b], set->at[b], B_BATCH);
        } else if (side == NEAR) {
            get_batch(p->client, set->keys[b], false);
        } else {
            get_one_by_one(p->client, set->keys[b]);
        }
    }
    return (double)(b_wall_ns() - begin_ns) * 1e-3 / repeats;
}

static double run_hits(nkv_client *client, const key_set *set)
{
    int64_t begin_ns = b_wall_ns();
    for (unsigned r = 0; r < HITS; r++) {
        get_batch(client, set->keys[r % BATCHES], true);
    }
    return (double)(b_wall_ns() - begin_ns) * 1e-3 / HITS;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* The smallest and the largest stand at the ends of the sorted. */
static void show_ratio(const char *what, double *ratio, size_t n)
{
    double median = b_median(ratio, n);
    printf("   %5.2f x %s (%.2f … %.2f)", median, what, ratio[0], ratio[n - 1]);
}

static void result(const char *what, const key_set *set, double value)
{
    char name[96];
    (void)snprintf(name, sizeof name, "cluster_%s_%u_tags", what, set->tags);
    b_result(name, value, "x", false);
}

static void compare(const b_cluster *bench, const places *p, const key_set *set)
{
    double us[SIDES][B_CLUSTER_ROUNDS_MAX], limit[B_CLUSTER_ROUNDS_MAX];
    double single[B_CLUSTER_ROUNDS_MAX];
    for (unsigned s = 0; s < SIDES; s++) { /* nobody's first time is counted */
        (void)run(p, set, (way)s);
    }
    for (size_t round = 0; round < bench->rounds; round++) {
        for (unsigned i = 0; i < SIDES; i++) {
            way side = (unsigned)(round + i) % SIDES; /* none is always the first */
            us[side][round] = run(p, set, side);
        }
        limit[round] = us[LIMIT][round] / us[NEAR][round];
        single[round] = us[ONE_BY_ONE][round] / us[NEAR][round];
    }
    printf("%-12s %9.0f us %9.0f us %9.0f us", set->label, b_median(us[LIMIT], bench->rounds),
           b_median(us[NEAR], bench->rounds), b_median(us[ONE_BY_ONE], bench->rounds));
    show_ratio("limit", limit, bench->rounds);
    show_ratio("one by one", single, bench->rounds);
    printf("\n");
    result("batch_limit", set, limit[bench->rounds / 2]);
    result("batch_single", set, single[bench->rounds / 2]);
}

static void compare_hits(const b_cluster *bench, const places *p, const key_set *set)
{
    double us[2][B_CLUSTER_ROUNDS_MAX], ratio[B_CLUSTER_ROUNDS_MAX];
    for (unsigned b = 0; b < BATCHES; b++) {
        get_batch(p->cached, set->keys[b], false);
        get_batch(p->cached_alone, set->keys[b], false);
    }
    for (size_t round = 0; round < bench->rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            bool alone = (round + i) % 2 == 1;
            us[alone][round] = run_hits(alone ? p->cached_alone : p->cached, set);
        }
        ratio[round] = us[1][round] / us[0][round];
    }
    printf("%-12s %9.2f us %9.2f us", set->label, b_median(us[0], bench->rounds),
           b_median(us[1], bench->rounds));
    show_ratio("one server", ratio, bench->rounds);
    printf("\n");
    result("hits", set, ratio[bench->rounds / 2]);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void open_places(const b_cluster *bench, places *p)
{
    int ports[NODES];
    p->cluster = t_cluster_start(&(t_cluster_options){.kind = bench->kind, .primaries = NODES});
    p->alone = t_server_start(&(t_server_options){.kind = bench->kind, .tcp = true});
    for (int i = 0; i < NODES; i++) {
        ports[i] = t_cluster_port(p->cluster, i);
    }
    p->pipes = b_pipes_open(ports, NODES);
    p->client = b_cluster_client(t_cluster_url(p->cluster), true);
    p->cached = b_cluster_client(t_cluster_url(p->cluster), false);
    p->cached_alone = b_cluster_client(t_server_tcp_url(p->alone), false);
}

static void close_places(places *p)
{
    nkv_client_destroy(p->client);
    nkv_client_destroy(p->cached);
    nkv_client_destroy(p->cached_alone);
    b_pipes_close(p->pipes);
    t_server_stop(p->alone);
    t_cluster_stop(p->cluster);
}

void b_cluster_batches(b_cluster *bench)
{
    static key_set sets[] = {{.label = "no tags", .tags = 0},
                             {.label = "one tag", .tags = 1},
                             {.label = "three tags", .tags = 3}};
    places p;
    open_places(bench, &p);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        make_set(&sets[i]);
        fill(&p, &sets[i]);
    }
    printf("\n%s, %d nodes: %d keys of %d bytes, without cache, %zu rounds\n", bench->kind, NODES,
           B_BATCH, BYTES, bench->rounds);
    printf("%-12s %12s %12s %12s\n", "", "limit", "nkv_mget", "nkv_get");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        compare(bench, &p, &sets[i]);
    }
    printf("\ncached, beside a client of one server\n%-12s %12s %12s\n", "", "cluster",
           "one server");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        compare_hits(bench, &p, &sets[i]);
    }
    close_places(&p);
}
