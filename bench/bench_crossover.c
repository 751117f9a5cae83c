/* bench/bench_crossover.c - ways to read many keys at once, by the size of the values, in one run.
 *
 *      one by one    hiredis, one GET after the other, the value copied to its place
 *      pipeline      hiredis, all GETs written, then all answers read and copied
 *      MGET          hiredis, one command, the values copied
 *      lanes         the pool: a GET for each key, received in place
 *      lanes MGET    the pool: one MGET, the values copied out of its reply
 *
 * Each round runs every variant once, beginning with another one each time; shown are the medians
 * of the rounds in MB/s and the medians of the ratios to `one by one` within a round. Server: a
 * private redis on a unix socket.
 *
 *      bench_crossover [ROUNDS]        15 rounds */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/event.h"
#include "bench/bench.h"
#include "io/bulk.h"
#include "tests/support/check.h"
#include "tests/support/server.h"

enum { ROUNDS_MAX = 101, KEYS = 128, VARIANTS = 5, HEAD = 64, TOTAL_MAX = 64 << 20 };

static const size_t sizes[] = {64,       256,      1 << 10,   2 << 10, 4 << 10,
                               16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20};
static const char *const variants[VARIANTS] = {"one by one", "pipeline", "MGET", "lanes",
                                               "lanes MGET"};

typedef struct item {
    nkvi_bulk_op op;
    char head[HEAD], name[24];
    char *memory;
} item;

static item items[KEYS];
static size_t bytes; /* of a value */
static unsigned keys;
static nkvi_event_count left;

static void take(unsigned i, const char *text, size_t len)
{
    T_REQUIRE(len == bytes);
    memcpy(items[i].memory, text, len);
}

/* ---- hiredis --------------------------------------------------------------------------------- */

static void take_reply(redisReply *reply, unsigned i)
{
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_STRING);
    take(i, reply->str, reply->len);
}

static void one_by_one(redisContext *context)
{
    for (unsigned i = 0; i < keys; i++) {
        redisReply *reply = redisCommand(context, "GET %s", items[i].name);
        take_reply(reply, i);
        freeReplyObject(reply);
    }
}

static void pipeline(redisContext *context)
{
    for (unsigned i = 0; i < keys; i++) {
        T_REQUIRE(redisAppendCommand(context, "GET %s", items[i].name) == REDIS_OK);
    }
    for (unsigned i = 0; i < keys; i++) {
        void *reply = NULL;
        T_REQUIRE(redisGetReply(context, &reply) == REDIS_OK);
        take_reply(reply, i);
        freeReplyObject(reply);
    }
}

static void mget(redisContext *context)
{
    const char *argv[KEYS + 1] = {"MGET"};
    for (unsigned i = 0; i < keys; i++) {
        argv[i + 1] = items[i].name;
    }
    redisReply *reply = redisCommandArgv(context, (int)keys + 1, argv, NULL);
    T_REQUIRE(reply != NULL && reply->elements == keys);
    for (unsigned i = 0; i < keys; i++) {
        take_reply(reply->element[i], i);
    }
    freeReplyObject(reply);
}

/* ---- The pool -------------------------------------------------------------------------------- */

static char *room(nkvi_bulk_op *op, size_t len)
{
    return len == bytes ? NKVI_CONTAINER(op, item, op)->memory : NULL;
}

static void got(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply, const nkv_error *error)
{
    (void)op;
    if (status != NKV_OK || reply->len != bytes) {
        T_DIE("an operation failed: %s", error != NULL ? error->text : "another length");
    }
    nkvi_event_done(&left, 1);
}

static void lanes(nkvi_bulk *bulk)
{
    static nkvi_bulk_op *ops[KEYS];
    for (unsigned i = 0; i < keys; i++) {
        item *it = &items[i];
        int len = snprintf(it->head, HEAD, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(it->name),
                           it->name);
        it->op = (nkvi_bulk_op){.priority = NKVI_GET,
                                .parts = {nkv_str_make(it->head, (size_t)len)},
                                .expect = bytes,
                                .deadline_ns = NKVI_NEVER,
                                .room = room,
                                .done = got};
        ops[i] = &it->op;
    }
    nkvi_event_add(&left, keys);
    nkvi_bulk_submit(bulk, ops, keys);
    T_REQUIRE(nkvi_event_wait(&left, NKVI_NEVER));
}

static void got_all(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                    const nkv_error *error)
{
    (void)op;
    if (status != NKV_OK || reply->elements != keys) {
        T_DIE("MGET failed: %s", error != NULL ? error->text : "another length");
    }
    for (unsigned i = 0; i < keys; i++) {
        take(i, reply->element[i].str, reply->element[i].len);
    }
    nkvi_event_done(&left, 1);
}

static void lanes_mget(nkvi_bulk *bulk)
{
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    nkvi_buf_resp_header(&buf, keys + 1);
    nkvi_buf_resp_arg(&buf, nkv_cstr("MGET"));
    for (unsigned i = 0; i < keys; i++) {
        nkvi_buf_resp_arg(&buf, nkv_cstr(items[i].name));
    }
    nkvi_bulk_op op = {.priority = NKVI_GET,
                       .parts = {nkv_str_make(buf.data, buf.len)},
                       .expect = bytes * keys,
                       .deadline_ns = NKVI_NEVER,
                       .done = got_all};
    nkvi_bulk_op *ops[1] = {&op};
    nkvi_event_add(&left, 1);
    nkvi_bulk_submit(bulk, ops, 1);
    T_REQUIRE(nkvi_event_wait(&left, NKVI_NEVER));
    nkvi_buf_clear(&buf);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static double run(redisContext *context, nkvi_bulk *bulk, unsigned variant)
{
    static void (*const plain[])(redisContext *) = {one_by_one, pipeline, mget};
    int64_t begin_ns = nkvi_now_ns();
    if (variant < 3) {
        plain[variant](context);
    } else {
        (variant == 3 ? lanes : lanes_mget)(bulk);
    }
    return (double)bytes * keys / ((double)(nkvi_now_ns() - begin_ns) * 1e-9) / 1e6;
}

static void show(redisContext *context, nkvi_bulk *bulk, size_t rounds)
{
    double rate[VARIANTS][ROUNDS_MAX], ratio[VARIANTS][ROUNDS_MAX], gain[ROUNDS_MAX];
    for (size_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < VARIANTS; i++) {
            unsigned v = (unsigned)((round + i) % VARIANTS);
            rate[v][round] = run(context, bulk, v);
        }
        for (unsigned v = 0; v < VARIANTS; v++) {
            ratio[v][round] = rate[v][round] / rate[0][round];
        }
        gain[round] = rate[4][round] / rate[3][round];
    }
    printf("%9zu x %-4u", bytes, keys);
    for (unsigned v = 0; v < VARIANTS; v++) {
        char name[64];
        double x = b_median(ratio[v], rounds);
        printf(" %8.1f (%5.2f)", b_median(rate[v], rounds), x);
        (void)snprintf(name, sizeof name, "crossover_%zu_%s", bytes, variants[v]);
        b_result(name, x, "x", false);
    }
    printf(" %8.2f\n", b_median(gain, rounds));
}

static void prepare(redisContext *context)
{
    keys = TOTAL_MAX / bytes < KEYS ? (unsigned)(TOTAL_MAX / bytes) : KEYS;
    for (unsigned i = 0; i < keys; i++) {
        (void)snprintf(items[i].name, sizeof items[i].name, "bench:key:%u", i);
        items[i].memory = malloc(bytes);
        T_REQUIRE(items[i].memory != NULL);
        memset(items[i].memory, (int)('a' + i % 26), bytes);
        redisReply *reply =
            redisCommand(context, "SET %s %b", items[i].name, items[i].memory, bytes);
        T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
    }
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 15;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_crossover: rounds are from 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    t_server *server = t_server_start(&(t_server_options){.kind = "redis"});
    const nkvi_bulk_config config = {.endpoint = {.path = t_server_path(server)},
                                     .lanes = 4,
                                     .connect_timeout_ms = 5000,
                                     .backoff_min_ms = 1,
                                     .backoff_max_ms = 100,
                                     .reply_bytes_max = 1 << 30,
                                     .window_bytes = 4 << 20};
    nkvi_bulk *bulk;
    T_REQUIRE(nkvi_bulk_create(&config, &bulk, NULL) == NKV_OK);
    redisContext *context = redisConnectUnix(t_server_path(server));
    T_REQUIRE(context != NULL && context->err == 0);
    nkvi_event_init(&left);
    b_results_open();
    printf("MB/s (× one by one)");
    for (unsigned v = 0; v < VARIANTS; v++) {
        printf(v == 0 ? "%9s" : "%17s", variants[v]);
    }
    printf("  MGET/GETs\n");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        bytes = sizes[s];
        prepare(context);
        show(context, bulk, rounds);
        for (unsigned i = 0; i < keys; i++) {
            free(items[i].memory);
        }
    }
    nkvi_bulk_destroy(bulk);
    redisFree(context);
    b_results_close();
    t_server_stop(server);
    return 0;
}
