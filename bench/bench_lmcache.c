/* bench/bench_lmcache.c - LMCache's operations beside what else there is, in one run.
 *
 * What is compared with what: lmcache.h.  Every side does the same to the same chunks on the same
 * server, in turn within each round; a round's ratio is what two took in that round.  Shown are the
 * medians of the rounds, of the ratio that has a bar also the smallest and the largest; and for a
 * get the payload bytes that passed through a buffer of nearkv's, for each that was received.
 *
 *      transfers      put and get of chunks; the metadata is unknown to nearkv's cache before a get
 *                     («known»: it was looked up before, as LMCache does)
 *      lookups        whether chunks are there: for the first time, and again
 *      round trips    of a request of 128 keys
 *      overtaking     a lookup behind 500 large puts
 *
 * All times of single calls go to NEARKV_BENCH_CSV as percentiles.  See usage() for the options.
 * The largest set is in memory twice, here and at the server: with --percent 100 that is 4 GB.  */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/lmcache.h"
#include "tests/support/ctl.h"
#include "tests/support/server.h"

enum { SIZES_MAX = 16, REPEATS_MAX = 50, LOOKUPS = 50, OVERTAKEN = 500 };

#define REPEAT_BYTES (128.0 * (1 << 20)) /* a side moves about so much in a round */
#define LARGE        ((size_t)1 << 20)   /* bytes of a chunk: compared with the limit */
#define SMALL        ((size_t)64 << 10)  /* below: compared with one key after the other */

/* ---- Options --------------------------------------------------------------------------------- */

typedef struct size {
    size_t bytes, n;
} size;

typedef struct options {
    size_t rounds, percent, window;
    unsigned lanes, io_threads;
    const char *kind;
    bool transports[2], io[2]; /* unix, TCP; without io-threads, with */
    size sizes[SIZES_MAX];
    size_t sizes_len;
    bool transfers, lookups, trips, overtaking;
} options;

_Noreturn static void usage(void)
{
    fputs(
        "usage: bench_lmcache [OPTION...]\n"
        "  --rounds N          of each comparison; default 3, at most 31\n"
        "  --percent P         of the chunks of sets of more than 128 MiB; default 25 (minutes),\n"
        "                      100: whole sets (about three times as long)\n"
        "  --sizes LIST        BYTES:CHUNKS,... ; k and m are known; default\n"
        "                      4m:500,1m:500,32m:40,2k:128,1m:1,4m:1,32m:1\n"
        "  --connections N     bulk lanes of nearkv, and loops; default 4\n"
        "  --window BYTES      of nearkv, for each lane; k and m are known; default 4m\n"
        "  --io-threads N      of the server that has them; default: as many as processors,\n"
        "                      2 to 4; 0: that server is left out; --only-io-threads: the other "
        "is\n"
        "  --transport NAME    unix or tcp; default both\n"
        "  --server KIND       redis, valkey, redis8, valkey81; default redis\n"
        "  --part NAME         transfers, lookups, trips or overtaking; default all\n",
        stderr);
    exit(2);
}

static size_t number(const char *text, size_t least, size_t most, const char **end)
{
    char *stop;
    unsigned long n = strtoul(text, &stop, 10);
    bool kilo = *stop == 'k', mega = *stop == 'm';
    size_t all = n << (kilo ? 10 : mega ? 20 : 0);
    stop += kilo || mega;
    if (stop == text || (end == NULL && *stop != '\0') || all < least || all > most) {
        fprintf(stderr, "bench_lmcache: %s: a number from %zu to %zu is wanted\n", text, least,
                most);
        usage();
    }
    if (end != NULL) {
        *end = stop;
    }
    return all;
}

static void parse_sizes(options *o, const char *text)
{
    for (o->sizes_len = 0; *text != '\0'; o->sizes_len++) {
        if (o->sizes_len == SIZES_MAX) {
            usage();
        }
        size *one = &o->sizes[o->sizes_len];
        one->bytes = number(text, 64, NKV_VALUE_MAX, &text) & ~(size_t)3;
        if (*text++ != ':') {
            usage();
        }
        one->n = number(text, 1, B_LIMIT_KEYS, &text);
        text += *text == ',';
    }
}

static void pick_part(options *o, const char *name)
{
    if (!o->transfers || !o->lookups || !o->trips || !o->overtaking) {
        usage(); /* one only */
    }
    o->transfers = strcmp(name, "transfers") == 0;
    o->lookups = strcmp(name, "lookups") == 0;
    o->trips = strcmp(name, "trips") == 0;
    o->overtaking = strcmp(name, "overtaking") == 0;
    if (!o->transfers && !o->lookups && !o->trips && !o->overtaking) {
        usage();
    }
}

static void take_option(options *o, int c)
{
    switch (c) {
    case 'r':
        o->rounds = number(optarg, 1, B_ROUNDS_MAX, NULL);
        return;
    case 'p':
        o->percent = number(optarg, 1, 100, NULL);
        return;
    case 's':
        parse_sizes(o, optarg);
        return;
    case 'c':
        o->lanes = (unsigned)number(optarg, 1, B_LOOPS_MAX, NULL);
        return;
    case 'w':
        o->window = number(optarg, 65536, (size_t)1 << 30, NULL);
        return;
    case 'i':
        o->io_threads = (unsigned)number(optarg, 0, 64, NULL);
        o->io[1] = o->io_threads > 1;
        return;
    case 'I':
        o->io[0] = false;
        return;
    case 't':
        o->transports[0] = strcmp(optarg, "unix") == 0;
        o->transports[1] = strcmp(optarg, "tcp") == 0;
        return;
    case 'k':
        o->kind = optarg;
        return;
    case 'P':
        pick_part(o, optarg);
        return;
    default:
        usage();
    }
}

static options parse(int argc, char **argv)
{
    static const struct option names[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"percent", required_argument, NULL, 'p'},
                                          {"sizes", required_argument, NULL, 's'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"io-threads", required_argument, NULL, 'i'},
                                          {"only-io-threads", no_argument, NULL, 'I'},
                                          {"transport", required_argument, NULL, 't'},
                                          {"server", required_argument, NULL, 'k'},
                                          {"part", required_argument, NULL, 'P'},
                                          {"window", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    options o = {.rounds = 3,
                 .percent = 25,
                 .lanes = 4,
                 .io_threads = cpus < 2   ? 2
                               : cpus > 4 ? 4
                                          : (unsigned)cpus,
                 .kind = "redis",
                 .transports = {true, true},
                 .io = {true, true},
                 .transfers = true,
                 .lookups = true,
                 .trips = true,
                 .overtaking = true};
    parse_sizes(&o, "4m:500,1m:500,32m:40,2k:128,1m:1,4m:1,32m:1");
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        take_option(&o, c);
    }
    if (optind < argc || (!o.transports[0] && !o.transports[1]) || (!o.io[0] && !o.io[1])) {
        usage();
    }
    return o;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

typedef struct bench {
    options options;
    b_table table;
    b_sides sides;
    t_ctl *ctl;
} bench;

static void transfers_of(bench *b, size one)
{
    b_chunks chunks;
    bool batch = one.n > 1, large = one.bytes >= LARGE, small = one.bytes < SMALL;
    double often = REPEAT_BYTES / (double)(one.bytes * one.n);
    size_t repeats = often < 1 ? 1 : often > REPEATS_MAX ? REPEATS_MAX : (size_t)often;
    b_chunks_make(&chunks, one.bytes, one.n, "c");
    b_sides_fill(&b->sides, &chunks);
    b_row rows[] = {{"put", B_PUT, B_COLD, repeats, B_LIMIT, batch && large ? 0.9 : 0},
                    {"get", B_GET_CHUNKS, B_COLD, repeats, B_LIMIT, batch && large ? 0.9 : 0},
                    {"get known", B_GET_CHUNKS, B_KNOWN, repeats, B_LIMIT, 0}};
    if (batch && small) {
        rows[1].base = rows[2].base = B_PER_KEY;
        rows[1].bar = 3;
    }
    for (size_t i = 0; i < (batch && !small ? 2 : 3); i++) {
        b_compare(&b->table, &b->sides, &rows[i], &chunks);
    }
    b_chunks_free(&chunks);
}

static void lookups_of(bench *b)
{
    const b_row wide[] = {{"exists", B_EXIST, B_UNASKED, LOOKUPS, B_LIMIT, 0.8},
                          {"contains first", B_CONTAINS, B_COLD, LOOKUPS, B_LIMIT, 0},
                          {"contains again", B_CONTAINS, B_KNOWN, LOOKUPS, B_LIMIT, 0.8}};
    const b_row prefix[] = {{"prefix first", B_PREFIX, B_COLD, LOOKUPS, B_PER_KEY, 0},
                            {"prefix again", B_PREFIX, B_KNOWN, LOOKUPS, B_PER_KEY, 100}};
    b_chunks chunks;
    b_chunks_make(&chunks, 64, 1024, "e");
    b_sides_fill(&b->sides, &chunks);
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        b_compare(&b->table, &b->sides, &wide[i], &chunks);
    }
    b_chunks_free(&chunks);
    b_chunks_make(&chunks, 64, 128, "p");
    b_sides_fill(&b->sides, &chunks);
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        b_compare(&b->table, &b->sides, &prefix[i], &chunks);
    }
    b_chunks_free(&chunks);
}

static void flush(bench *b)
{
    t_ctl_ok(b->ctl, "FLUSHALL", "SYNC");
}

/* Large sets are made smaller on request. */
static size_t scaled(const options *o, size one)
{
    size_t less = one.n * o->percent / 100;
    bool large = (double)one.bytes * (double)one.n > REPEAT_BYTES;
    return !large ? one.n : less > 1 ? less : 2;
}

static void transfers(bench *b)
{
    b_compare_head("MB/s (x limit)");
    for (size_t i = 0; i < b->options.sizes_len; i++) {
        size one = b->options.sizes[i];
        one.n = scaled(&b->options, one);
        transfers_of(b, one);
        flush(b);
    }
}

static void lookups(bench *b)
{
    b_compare_head("thousand keys/s (x limit)");
    lookups_of(b);
    flush(b);
}

static void at_place(bench *b, t_server *server, bool tcp)
{
    const options *o = &b->options;
    b->table.transport = tcp ? "tcp" : "unix";
    b->table.lines = 0;
    (void)snprintf(b->table.place, sizeof b->table.place, "%s_%s_io%u", o->kind, b->table.transport,
                   b->table.io_threads);
    printf("\n%s, %s, io-threads %u, %u lanes, %zu rounds\n", o->kind, tcp ? "TCP" : "unix socket",
           b->table.io_threads, o->lanes, o->rounds);
    t_addr address = {.path = tcp ? NULL : t_server_path(server), .port = t_server_port(server)};
    b_sides_open(&b->sides, address, tcp ? t_server_tcp_url(server) : t_server_unix_url(server),
                 o->lanes, o->window);
    if (o->transfers) {
        transfers(b);
    }
    if (o->lookups) {
        lookups(b);
    }
    if (o->overtaking) {
        b_overtake(&b->sides, &b->table, (size_t)4 << 20, OVERTAKEN);
        flush(b);
    }
    b_sides_close(&b->sides);
}

static void at_server(bench *b, bool io)
{
    char count[16];
    const char *args[] = {"--io-threads", count, "--io-threads-do-reads", "yes", NULL};
    b->table.io_threads = io ? b->options.io_threads : 1;
    (void)snprintf(count, sizeof count, "%u", b->table.io_threads);
    t_server *server =
        t_server_start(&(t_server_options){.kind = b->options.kind, .tcp = true, .args = args});
    b->ctl = t_ctl_open(server);
    for (int tcp = 0; tcp < 2; tcp++) {
        if (b->options.transports[tcp]) {
            at_place(b, server, tcp == 1);
        }
    }
    t_ctl_close(b->ctl);
    t_server_stop(server);
}

int main(int argc, char **argv)
{
    static bench b;
    b.options = parse(argc, argv);
    b.table.rounds = b.options.rounds;
    b.table.kind = b.options.kind;
    b_show_machine(argc, argv);
    b_results_open();
    b_table_open(&b.table);
    for (int io = 0; io < 2; io++) {
        bool local = b.options.transfers || b.options.lookups || b.options.overtaking;
        if (b.options.io[io] && local) {
            at_server(&b, io == 1);
        }
    }
    if (b.options.trips) {
        b_trips(b.options.kind, b.options.lanes, &b.table);
    }
    printf("\nbars: %zu met, %zu missed\n", b.table.met, b.table.missed);
    b_table_close(&b.table);
    b_results_close();
    return 0;
}
