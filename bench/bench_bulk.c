/* bench/bench_bulk.c - bulk lanes beside the least that moving the bytes can cost, in one run.
 *
 *      limit      one connection and the bare system calls (limit.h)
 *      one, four  the pool with so many lanes
 *      per key    hiredis, one command after the other, the value copied to its place
 *
 * Each round runs every variant once; shown are the medians of the rounds in MB/s and the medians
 * of the ratios to the limit within a round. Server: a private redis on a unix socket.
 *
 *      bench_bulk [ROUNDS]        5 rounds */
#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/limit.h"
#include "io/bulk.h"
#include "tests/support/check.h"
#include "tests/support/server.h"

enum { ROUNDS_MAX = 31, KEYS_MAX = 512, VARIANTS = 4, HEAD = 64, NAME = 24 };

typedef struct shape {
    const char *name;
    size_t bytes;
    unsigned keys;
} shape;

static const shape shapes[] = {{"2 KiB x 128", 2 << 10, 128},
                               {"64 KiB x 256", 64 << 10, 256},
                               {"1 MiB x 100", 1 << 20, 100},
                               {"4 MiB x 50", 4 << 20, 50},
                               {"32 MiB x 8", 32 << 20, 8}};

static const char *const variants[VARIANTS] = {"limit", "one", "four", "per key"};

typedef struct item {
    nkvi_bulk_op op;
    char name[NAME], head[HEAD];
    char *memory;
} item;

static item items[KEYS_MAX];
static b_value values[KEYS_MAX];
static const shape *now;
static const char *path;
static _Atomic unsigned left;

/* ---- The pool -------------------------------------------------------------------------------- */

static char *room(nkvi_bulk_op *op, size_t len)
{
    return len == now->bytes ? NKVI_CONTAINER(op, item, op)->memory : NULL;
}

static void done(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error)
{
    bool put = op->priority == NKVI_PUT;
    if (status != NKV_OK || (!put && reply->len != now->bytes)) {
        T_DIE("an operation failed: %s", error != NULL ? error->text : "another length");
    }
    atomic_fetch_sub(&left, 1);
}

static size_t head_of(item *it, bool put)
{
    size_t len = strlen(it->name);
    int n = put ? snprintf(it->head, HEAD, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", len,
                           it->name, now->bytes)
                : snprintf(it->head, HEAD, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", len, it->name);
    return (size_t)n;
}

static nkvi_bulk *open_pool(unsigned lanes)
{
    const nkvi_bulk_config config = {.endpoint = {.path = path},
                                     .lanes = lanes,
                                     .connect_timeout_ms = 5000,
                                     .backoff_min_ms = 1,
                                     .backoff_max_ms = 100,
                                     .reply_bytes_max = 1 << 30,
                                     .window_bytes = 4 << 20};
    nkvi_bulk *bulk;
    T_REQUIRE(nkvi_bulk_create(&config, &bulk, NULL) == NKV_OK);
    return bulk;
}

static void run_pool(nkvi_bulk *bulk, bool put)
{
    static nkvi_bulk_op *ops[KEYS_MAX];
    for (unsigned i = 0; i < now->keys; i++) {
        item *it = &items[i];
        it->op = (nkvi_bulk_op){.priority = put ? NKVI_PUT : NKVI_GET,
                                .parts = {nkv_str_make(it->head, head_of(it, put))},
                                .expect = put ? 0 : now->bytes,
                                .deadline_ns = NKVI_NEVER,
                                .room = room,
                                .done = done};
        if (put) {
            it->op.parts[1] = nkv_str_make(it->memory, now->bytes);
            it->op.parts[2] = nkv_cstr("\r\n");
        }
        ops[i] = &it->op;
    }
    atomic_store(&left, now->keys);
    nkvi_bulk_submit(bulk, ops, now->keys);
    while (atomic_load(&left) > 0) {
        t_sleep_us(20);
    }
}

/* ---- One key after the other ----------------------------------------------------------------- */

static void per_key(redisContext *context, bool put)
{
    for (unsigned i = 0; i < now->keys; i++) {
        redisReply *reply =
            put ? redisCommand(context, "SET bench:key:%u %b", i, items[i].memory, now->bytes)
                : redisCommand(context, "GET bench:key:%u", i);
        T_REQUIRE(reply != NULL && reply->type != REDIS_REPLY_ERROR);
        if (!put) {
            T_REQUIRE(reply->len == now->bytes);
            memcpy(items[i].memory, reply->str, reply->len);
        }
        freeReplyObject(reply);
    }
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

typedef struct bench {
    b_limit *limit;
    nkvi_bulk *pools[2];
    redisContext *context;
} bench;

static double run(bench *b, unsigned variant, bool put)
{
    int64_t begin_ns = nkvi_now_ns();
    switch (variant) {
    case 0:
        b_limit_run(b->limit, put ? B_SET : B_GET);
        break;
    case 1:
    case 2:
        run_pool(b->pools[variant - 1], put);
        break;
    default:
        per_key(b->context, put);
    }
    double seconds = (double)(nkvi_now_ns() - begin_ns) * 1e-9;
    return (double)now->bytes * now->keys / seconds / 1e6;
}

static void show(bench *b, bool put, size_t rounds)
{
    double rate[VARIANTS][ROUNDS_MAX], ratio[VARIANTS][ROUNDS_MAX];
    for (size_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < VARIANTS; i++) {
            unsigned v = (unsigned)((round + i) % VARIANTS); /* none is always the first */
            rate[v][round] = run(b, v, put);
        }
        for (unsigned v = 0; v < VARIANTS; v++) {
            ratio[v][round] = rate[v][round] / rate[0][round];
        }
    }
    printf("%-4s %-14s", put ? "SET" : "GET", now->name);
    for (unsigned v = 0; v < VARIANTS; v++) {
        char name[64];
        double x = b_median(ratio[v], rounds);
        printf(" %9.0f (%4.2f)", b_median(rate[v], rounds), x);
        (void)snprintf(name, sizeof name, "bulk_%s_%zu_%s", put ? "set" : "get", now->bytes,
                       variants[v]);
        b_result(name, x, "x", false);
    }
    printf("\n");
}

static void prepare(const shape *next, b_limit *limit)
{
    now = next;
    for (unsigned i = 0; i < now->keys; i++) {
        item *it = &items[i];
        it->memory = malloc(now->bytes);
        T_REQUIRE(it->memory != NULL);
        memset(it->memory, (int)('a' + i % 26), now->bytes);
        (void)snprintf(it->name, sizeof it->name, "bench:key:%u", i);
        values[i] = (b_value){nkv_cstr(it->name), it->memory, now->bytes};
    }
    b_limit_prepare(limit, values, now->keys);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_bulk: rounds are from 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    t_server *server = t_server_start(&(t_server_options){.kind = "redis"});
    path = t_server_path(server);
    b_results_open();
    bench b = {.limit = b_limit_open((t_addr){.path = path}),
               .pools = {open_pool(1), open_pool(4)},
               .context = redisConnectUnix(path)};
    T_REQUIRE(b.context != NULL && b.context->err == 0);
    printf("MB/s (× limit)     ");
    for (unsigned v = 0; v < VARIANTS; v++) {
        printf(v == 0 ? "%10s" : "%17s", variants[v]);
    }
    printf("\n");
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        prepare(&shapes[s], b.limit);
        show(&b, true, rounds);
        show(&b, false, rounds);
        for (unsigned i = 0; i < now->keys; i++) {
            free(items[i].memory);
        }
    }
    b_limit_close(b.limit);
    nkvi_bulk_destroy(b.pools[0]);
    nkvi_bulk_destroy(b.pools[1]);
    redisFree(b.context);
    b_results_close();
    t_server_stop(server);
    return 0;
}
