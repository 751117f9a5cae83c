/* bench/bench_stores.c - what the stores on top of the client cost: the key-value cache.
 *
 *      clear      a million keys of a prefix, and others beside them: how long another client has
 *                 to wait for a PING meanwhile, and how long it takes; beside KEYS and one DEL
 *
 * Both are done in turn, round by round; shown are medians. */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/nearkv.h>

#include "bench/bench.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/server.h"

enum { ROUNDS_MAX = 31, BAR_MS = 50, VALUE_BYTES = 16, OTHERS = 200000 };

typedef struct choices {
    const char *kind;
    unsigned rounds;
    unsigned keys;
} choices;

_Noreturn static void usage(void)
{
    fputs("usage: bench_stores [OPTION...]\n"
          "  --rounds N      of each comparison; default 3, at most 31\n"
          "  --server KIND   redis, valkey, redis8, valkey81; default redis\n"
          "  --keys N        that are cleared; default 1000000\n",
          stderr);
    exit(2);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n < least || n > most) {
        usage();
    }
    return (unsigned)n;
}

/* ---- somebody else --------------------------------------------------------------------------- */

/* Pings all the time, and keeps the longest wait. */
typedef struct pinger {
    t_ctl *ctl;
    pthread_t thread;
    _Atomic bool stop;
    int64_t worst_ns;
    uint64_t pings;
} pinger;

static void *ping(void *ud)
{
    pinger *self = ud;
    while (!atomic_load(&self->stop)) {
        int64_t begin_ns = b_wall_ns();
        t_ctl_ok(self->ctl, "PING");
        int64_t took_ns = b_wall_ns() - begin_ns;
        self->worst_ns = took_ns > self->worst_ns ? took_ns : self->worst_ns;
        self->pings++;
        t_sleep_us(200);
    }
    return NULL;
}

static void ping_begin(pinger *self, t_server *server)
{
    *self = (pinger){.ctl = t_ctl_open(server)};
    T_REQUIRE(pthread_create(&self->thread, NULL, ping, self) == 0);
}

static double ping_end(pinger *self)
{
    atomic_store(&self->stop, true);
    T_REQUIRE(pthread_join(self->thread, NULL) == 0);
    t_ctl_close(self->ctl);
    T_REQUIRE(self->pings > 0);
    return (double)self->worst_ns * 1e-6;
}

/* ---- clearing -------------------------------------------------------------------------------- */

static void fill(t_ctl *ctl, unsigned keys)
{
    char count[16], others[16], bytes[16];
    (void)snprintf(count, sizeof count, "%u", keys);
    (void)snprintf(others, sizeof others, "%d", OTHERS);
    (void)snprintf(bytes, sizeof bytes, "%d", VALUE_BYTES);
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "DEBUG", "POPULATE", count, "clear", bytes);
    t_ctl_ok(ctl, "DEBUG", "POPULATE", others, "stays", bytes);
}

/* As caches do it that have one DEL for what KEYS found. */
static void clear_at_once(const t_server *server)
{
    redisContext *context = redisConnectUnix(t_server_path(server));
    T_REQUIRE(context != NULL && context->err == 0);
    redisReply *keys = redisCommand(context, "KEYS clear:*");
    T_REQUIRE(keys != NULL && keys->type == REDIS_REPLY_ARRAY);
    const char **argv = malloc((keys->elements + 1) * sizeof *argv);
    size_t *lens = malloc((keys->elements + 1) * sizeof *lens);
    T_REQUIRE(argv != NULL && lens != NULL);
    argv[0] = "DEL";
    lens[0] = 3;
    for (size_t i = 0; i < keys->elements; i++) {
        argv[i + 1] = keys->element[i]->str;
        lens[i + 1] = keys->element[i]->len;
    }
    redisReply *removed = redisCommandArgv(context, (int)keys->elements + 1, argv, lens);
    T_REQUIRE(removed != NULL && removed->type == REDIS_REPLY_INTEGER);
    freeReplyObject(removed);
    freeReplyObject(keys);
    free((void *)argv);
    free(lens);
    redisFree(context);
}

static void clear_in_pages(t_server *server, unsigned keys)
{
    nkv_options client;
    nkv_kv_options options;
    nkv_error error;
    nkv_kv *kv;
    int64_t removed;
    nkv_options_init(&client);
    client.url = t_server_unix_url(server);
    nkv_kv_options_init(&options);
    options.prefix = nkv_cstr("clear:");
    T_REQUIRE(nkv_kv_open(&client, &options, &kv, &error) == NKV_OK);
    if (nkv_kv_clear(kv, NULL, &error, &removed) != NKV_OK) {
        T_DIE("clear: %s", error.text);
    }
    T_REQUIRE(removed == (int64_t)keys);
    nkv_kv_destroy(kv);
}

typedef struct figures {
    double worst_ms[ROUNDS_MAX], took_s[ROUNDS_MAX];
} figures;

static void run(const choices *o, t_server *server, bool pages, figures *out, unsigned round)
{
    t_ctl *ctl = t_ctl_open(server);
    pinger other;
    fill(ctl, o->keys);
    ping_begin(&other, server);
    int64_t begin_ns = b_wall_ns();
    if (pages) {
        clear_in_pages(server, o->keys);
    } else {
        clear_at_once(server);
    }
    out->took_s[round] = (double)(b_wall_ns() - begin_ns) * 1e-9;
    out->worst_ms[round] = ping_end(&other);
    T_REQUIRE(t_ctl_int(ctl, "DBSIZE") == OTHERS);
    t_ctl_close(ctl);
}

static bool compare(const choices *o)
{
    static figures of[2];
    t_server *server = t_server_start(&(t_server_options){.kind = o->kind});
    for (unsigned round = 0; round < o->rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            bool pages = (round + i) % 2 == 0;
            run(o, server, pages, &of[pages], round);
        }
    }
    t_server_stop(server);
    printf("\n%s: %u keys of %u are cleared, %u rounds\n", o->kind, o->keys, o->keys + OTHERS,
           o->rounds);
    printf("%-18s %22s %12s\n", "", "worst PING meanwhile", "took");
    for (unsigned i = 0; i < 2; i++) {
        printf("%-18s %19.1f ms %10.2f s\n", i == 0 ? "KEYS, one DEL" : "nkv_kv_clear",
               b_median(of[i].worst_ms, o->rounds), b_median(of[i].took_s, o->rounds));
    }
    double worst = of[1].worst_ms[o->rounds - 1]; /* they are sorted now */
    bool met = worst <= BAR_MS;
    printf("worst of all rounds %.1f ms   bar: at most %d: %s\n", worst, BAR_MS,
           met ? "met" : "MISSED");
    b_result("stores_clear_worst_ping", worst, "ms", true);
    return met;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"server", required_argument, NULL, 'k'},
                                          {"keys", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
    choices o = {.kind = "redis", .rounds = 3, .keys = 1000000};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'r':
            o.rounds = number(optarg, 1, ROUNDS_MAX);
            break;
        case 'k':
            o.kind = optarg;
            break;
        case 'n':
            o.keys = number(optarg, 1000, 10000000);
            break;
        default:
            usage();
        }
    }
    if (optind < argc) {
        usage();
    }
    b_show_machine(argc, argv);
    b_results_open();
    bool met = compare(&o);
    printf("\nbars: %d met, %d missed\n", met, !met);
    b_results_close();
    return 0;
}
