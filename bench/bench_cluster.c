/* bench/bench_cluster.c - clients of clusters: what many nodes cost, and what they do not.
 *
 *      batches    128 keys over a real cluster of three nodes, beside one by one and beside the
 *                 least that a program can do which knows all nodes
 *      tags       prefix traffic: what hash tags do to lookups, to what is shared, to balance
 *      far        a batch over one, three and six nodes that are 5 ms away; connections
 *      many       hundreds of simulated nodes: memory, threads, start, idle time, moves, a loss
 *
 * Compared is in turn, round by round; shown are medians of the rounds.  See cluster.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/cluster.h"

typedef struct options {
    b_cluster bench;
    bool batches, tags, far, many;
} choices;

_Noreturn static void usage(void)
{
    fputs("usage: bench_cluster [OPTION...]\n"
          "  --rounds N      of each comparison; default 9, at most 31\n"
          "  --server KIND   redis, valkey, redis8, valkey81; default redis\n"
          "  --nodes N       of the simulated cluster; default 500\n"
          "  --idle SECONDS  for which it is watched while nobody asks; default 20\n"
          "  --part NAME     batches, tags, far or many; default all\n",
          stderr);
    exit(2);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n < least || n > most) {
        fprintf(stderr, "bench_cluster: %s: a number from %u to %u is wanted\n", text, least, most);
        usage();
    }
    return (unsigned)n;
}

static void pick_part(choices *o, const char *name)
{
    o->batches = strcmp(name, "batches") == 0;
    o->tags = strcmp(name, "tags") == 0;
    o->far = strcmp(name, "far") == 0;
    o->many = strcmp(name, "many") == 0;
    if (!o->batches && !o->tags && !o->far && !o->many) {
        usage();
    }
}

static choices parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"rounds", required_argument, NULL, 'r'}, {"server", required_argument, NULL, 'k'},
        {"nodes", required_argument, NULL, 'n'},  {"idle", required_argument, NULL, 'i'},
        {"part", required_argument, NULL, 'P'},   {NULL, 0, NULL, 0}};
    choices o = {.bench = {.kind = "redis", .rounds = 9, .nodes = 500, .idle_s = 20},
                 .batches = true,
                 .tags = true,
                 .far = true,
                 .many = true};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'r':
            o.bench.rounds = number(optarg, 1, B_CLUSTER_ROUNDS_MAX);
            break;
        case 'k':
            o.bench.kind = optarg;
            break;
        case 'n':
            o.bench.nodes = number(optarg, 64, 4000);
            break;
        case 'i':
            o.bench.idle_s = number(optarg, 1, 3600);
            break;
        case 'P':
            pick_part(&o, optarg);
            break;
        default:
            usage();
        }
    }
    if (optind < argc) {
        usage();
    }
    return o;
}

int main(int argc, char **argv)
{
    choices o = parse(argc, argv);
    b_show_machine(argc, argv);
    b_results_open();
    if (o.many) { /* first: it starts a process of its own, and its memory is not that of others */
        b_cluster_many(&o.bench, false);
        b_cluster_many(&o.bench, true);
    }
    if (o.batches) {
        b_cluster_batches(&o.bench);
    }
    if (o.tags) {
        b_cluster_tags(&o.bench);
    }
    if (o.far) {
        b_cluster_far(&o.bench);
    }
    printf("\nbars: %zu met, %zu missed\n", o.bench.met, o.bench.missed);
    b_results_close();
    return 0;
}
