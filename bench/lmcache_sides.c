/* bench/lmcache_sides.c - the ways of moving chunks; see lmcache.h. */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/lmcache.h"
#include "tests/support/check.h"

enum { LOOPS_FROM = 64 << 10 /* bytes of a payload */, TIMEOUT_MS = 120000 };

const char *const b_side_names[B_SIDES] = {"limit", "loops", "nearkv", "pipeline", "per key"};

/* ---- Life ------------------------------------------------------------------------------------ */

static void open_client(b_sides *sides, const char *url, size_t window)
{
    nkv_options options;
    nkv_lmcache_options more;
    nkv_error error;
    nkv_options_init(&options);
    options.url = url;
    options.bulk_connections = sides->lanes;
    options.bulk_window_bytes = window > 0 ? (int64_t)window : options.bulk_window_bytes;
    options.cache_options.keys_max = 65536;
    nkv_lmcache_options_init(&more);
    more.timeout_ms = TIMEOUT_MS;
    if (nkv_client_create(&options, &sides->client, &error) != NKV_OK ||
        nkv_client_wait_ready(sides->client, 5000, &error) != NKV_OK ||
        nkv_lmcache_create(sides->client, &more, &sides->lmcache, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
}

void b_sides_open(b_sides *sides, t_addr address, const char *url, unsigned lanes, size_t window)
{
    *sides = (b_sides){.address = address, .lanes = lanes, .limit = b_limit_open(address)};
    for (unsigned i = 0; i < lanes; i++) {
        sides->loops[i] = b_limit_open(address);
    }
    sides->hiredis = address.path != NULL ? redisConnectUnix(address.path)
                                          : redisConnect("127.0.0.1", address.port);
    T_REQUIRE(sides->hiredis != NULL && sides->hiredis->err == 0);
    open_client(sides, url, window);
}

void b_sides_close(b_sides *sides)
{
    nkv_lmcache_destroy(sides->lmcache);
    nkv_client_destroy(sides->client);
    redisFree(sides->hiredis);
    b_limit_close(sides->limit);
    for (unsigned i = 0; i < sides->lanes; i++) {
        b_limit_close(sides->loops[i]);
    }
}

void b_sides_fill(b_sides *sides, const b_chunks *chunks)
{
    b_limit_forget(sides->limit);
    for (unsigned i = 0; i < sides->lanes; i++) {
        b_limit_forget(sides->loops[i]);
    }
    b_limit_prepare(sides->limit, chunks->metadata, chunks->n);
    b_limit_run(sides->limit, B_SET);
    b_limit_prepare(sides->limit, chunks->payloads, chunks->n);
    b_limit_run(sides->limit, B_SET);
}

bool b_sides_can(b_side side, b_task task, const b_chunks *chunks)
{
    return side != B_LOOPS ||
           (task <= B_GET_CHUNKS && chunks->bytes >= LOOPS_FROM && chunks->n > 1);
}

/* ---- The limit, on one connection and on several --------------------------------------------- */

static b_verb verb_of(b_task task)
{
    return task == B_PUT ? B_SET : task == B_GET_CHUNKS ? B_GET : B_EXISTS;
}

typedef struct loop {
    b_limit *limit; /* NULL: nothing is left for it */
    b_verb verb;
    pthread_t thread;
} loop;

static void *run_loop(void *arg)
{
    const loop *self = arg;
    b_limit_run(self->limit, self->verb);
    return NULL;
}

static int64_t run_loops(b_sides *sides, b_task task, const b_chunks *chunks)
{
    loop loops[B_LOOPS_MAX];
    size_t each = (chunks->n + sides->lanes - 1) / sides->lanes;
    for (unsigned i = 0; i < sides->lanes; i++) {
        size_t first = i * each, left = first < chunks->n ? chunks->n - first : 0;
        loops[i] = (loop){.limit = left > 0 ? sides->loops[i] : NULL, .verb = verb_of(task)};
        if (left > 0) {
            b_limit_prepare(sides->loops[i], chunks->payloads + first, left < each ? left : each);
        }
    }
    int64_t begin_ns = b_wall_ns();
    for (unsigned i = 0; i < sides->lanes; i++) {
        T_REQUIRE(loops[i].limit == NULL ||
                  pthread_create(&loops[i].thread, NULL, run_loop, &loops[i]) == 0);
    }
    for (unsigned i = 0; i < sides->lanes; i++) {
        T_REQUIRE(loops[i].limit == NULL || pthread_join(loops[i].thread, NULL) == 0);
    }
    return b_wall_ns() - begin_ns;
}

static int64_t run_limit(b_sides *sides, b_task task, const b_chunks *chunks)
{
    b_limit_prepare(sides->limit, task <= B_GET_CHUNKS ? chunks->payloads : chunks->metadata,
                    chunks->n);
    int64_t begin_ns = b_wall_ns();
    b_limit_run(sides->limit, verb_of(task));
    return b_wall_ns() - begin_ns;
}

/* ---- nearkv ---------------------------------------------------------------------------------- */

static void look_up(b_sides *sides, b_task task, b_chunks *chunks)
{
    nkv_call call;
    nkv_call_init(&call);
    size_t prefix = chunks->n;
    nkv_status status;
    if (task == B_PREFIX) {
        status = nkv_lmcache_prefix(sides->lmcache, chunks->keys, chunks->n, &call, &prefix);
    } else {
        status = nkv_lmcache_contains(sides->lmcache, chunks->items, chunks->n, &call);
    }
    if (status != NKV_OK || prefix != chunks->n) {
        T_DIE("a lookup failed: %s", call.error.text);
    }
}

static void exist(b_sides *sides, b_chunks *chunks)
{
    nkv_call call;
    nkv_call_init(&call);
    call.no_cache = 1;
    T_REQUIRE(nkv_batch_exists(sides->client, chunks->items, chunks->n, &call) == NKV_OK);
}

static void move_chunks(b_sides *sides, b_task task, b_chunks *chunks)
{
    nkv_call call;
    nkv_call_init(&call);
    nkv_status status = (task == B_PUT ? nkv_lmcache_put : nkv_lmcache_get)(
        sides->lmcache, chunks->items, chunks->n, &call);
    if (status != NKV_OK) {
        T_DIE("%s failed: %s", task == B_PUT ? "put" : "get", call.error.text);
    }
}

/* Items for the task: keys are K, but EXISTS is asked of a Redis key; a get may write to meta. */
static void set_items(b_task task, b_chunks *chunks)
{
    for (size_t i = 0; i < chunks->n; i++) {
        chunks->items[i].key = task == B_EXIST ? chunks->metadata[i].key : chunks->keys[i];
        chunks->items[i].meta = task == B_PUT ? &chunks->meta : NULL;
    }
}

static void check_items(const b_chunks *chunks)
{
    for (size_t i = 0; i < chunks->n; i++) {
        T_REQUIRE(chunks->items[i].status == NKV_OK);
    }
}

static int64_t run_near(b_sides *sides, b_task task, b_memory memory, b_chunks *chunks)
{
    set_items(task, chunks);
    if (memory == B_COLD) {
        nkv_client_reset(sides->client);
    } else if (memory == B_KNOWN) {
        look_up(sides, B_PREFIX, chunks);
    }
    int64_t begin_ns = b_wall_ns();
    if (task == B_CONTAINS || task == B_PREFIX) {
        look_up(sides, task, chunks);
    } else if (task == B_EXIST) {
        exist(sides, chunks);
    } else {
        move_chunks(sides, task, chunks);
    }
    int64_t ns = b_wall_ns() - begin_ns;
    if (task != B_PREFIX) {
        check_items(chunks);
    }
    return ns;
}

/* ---- hiredis --------------------------------------------------------------------------------- */

static void append(redisContext *hiredis, const char *verb, nkv_str key, const b_value *value)
{
    const char *argv[3] = {verb, key.data, value != NULL ? value->memory : NULL};
    size_t lens[3] = {strlen(verb), key.len, value != NULL ? value->len : 0};
    T_REQUIRE(redisAppendCommandArgv(hiredis, value != NULL ? 3 : 2, argv, lens) == REDIS_OK);
}

static redisReply *answer(redisContext *hiredis)
{
    void *reply;
    if (redisGetReply(hiredis, &reply) != REDIS_OK) {
        T_DIE("hiredis: %s", hiredis->errstr);
    }
    return reply;
}

static void expect_ok(redisContext *hiredis)
{
    redisReply *reply = answer(hiredis);
    T_REQUIRE(reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

static void expect_one(redisContext *hiredis)
{
    redisReply *reply = answer(hiredis);
    T_REQUIRE(reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
    freeReplyObject(reply);
}

/* What a connector does with an answer: it learns the size, and copies to where the bytes go. */
static size_t expect_metadata(redisContext *hiredis)
{
    nkv_lmcache_meta meta;
    redisReply *reply = answer(hiredis);
    T_REQUIRE(reply->type == REDIS_REPLY_STRING &&
              nkv_lmcache_meta_unpack(nkv_str_make(reply->str, reply->len), 0, &meta, NULL) ==
                  NKV_OK);
    freeReplyObject(reply);
    return (size_t)meta.length;
}

static void expect_payload(redisContext *hiredis, const b_value *payload, size_t len)
{
    redisReply *reply = answer(hiredis);
    T_REQUIRE(reply->type == REDIS_REPLY_STRING && reply->len == len && len == payload->len);
    memcpy(payload->memory, reply->str, len);
    freeReplyObject(reply);
}

static void put_group(redisContext *hiredis, const b_chunks *chunks, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        append(hiredis, "SET", chunks->payloads[i].key, &chunks->payloads[i]);
        append(hiredis, "SET", chunks->metadata[i].key, &chunks->metadata[i]);
    }
    for (size_t i = first; i < last; i++) {
        expect_ok(hiredis);
        expect_ok(hiredis);
    }
}

static void get_group(redisContext *hiredis, const b_chunks *chunks, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        append(hiredis, "GET", chunks->metadata[i].key, NULL);
        append(hiredis, "GET", chunks->payloads[i].key, NULL);
    }
    for (size_t i = first; i < last; i++) {
        size_t len = expect_metadata(hiredis);
        expect_payload(hiredis, &chunks->payloads[i], len);
    }
}

static void exist_group(redisContext *hiredis, const b_chunks *chunks, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        append(hiredis, "EXISTS", chunks->metadata[i].key, NULL);
    }
    for (size_t i = first; i < last; i++) {
        expect_one(hiredis);
    }
}

static int64_t run_pipeline(b_sides *sides, b_task task, const b_chunks *chunks)
{
    int64_t begin_ns = b_wall_ns();
    size_t each = task <= B_GET_CHUNKS ? B_GROUP / chunks->bytes : chunks->n;
    each = each > 0 ? each : 1;
    for (size_t first = 0; first < chunks->n; first += each) {
        size_t last = chunks->n - first < each ? chunks->n : first + each;
        if (task == B_PUT) {
            put_group(sides->hiredis, chunks, first, last);
        } else if (task == B_GET_CHUNKS) {
            get_group(sides->hiredis, chunks, first, last);
        } else {
            exist_group(sides->hiredis, chunks, first, last);
        }
    }
    return b_wall_ns() - begin_ns;
}

static void do_one(redisContext *hiredis, b_task task, const b_chunks *chunks, size_t i)
{
    if (task == B_PUT) {
        append(hiredis, "SET", chunks->payloads[i].key, &chunks->payloads[i]);
        expect_ok(hiredis);
        append(hiredis, "SET", chunks->metadata[i].key, &chunks->metadata[i]);
        expect_ok(hiredis);
    } else if (task == B_GET_CHUNKS) {
        append(hiredis, "GET", chunks->metadata[i].key, NULL);
        size_t len = expect_metadata(hiredis);
        append(hiredis, "GET", chunks->payloads[i].key, NULL);
        expect_payload(hiredis, &chunks->payloads[i], len);
    } else {
        append(hiredis, "EXISTS", chunks->metadata[i].key, NULL);
        expect_one(hiredis);
    }
}

static int64_t run_per_key(b_sides *sides, b_task task, const b_chunks *chunks)
{
    int64_t begin_ns = b_wall_ns();
    for (size_t i = 0; i < chunks->n; i++) {
        do_one(sides->hiredis, task, chunks, i);
    }
    return b_wall_ns() - begin_ns;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int64_t run_side(b_sides *sides, b_side side, b_task task, b_memory memory, b_chunks *chunks)
{
    switch (side) {
    case B_LIMIT:
        return run_limit(sides, task, chunks);
    case B_LOOPS:
        return run_loops(sides, task, chunks);
    case B_NEAR:
        return run_near(sides, task, memory, chunks);
    case B_PIPELINE:
        return run_pipeline(sides, task, chunks);
    case B_PER_KEY:
    default:
        return run_per_key(sides, task, chunks);
    }
}

int64_t b_sides_run(b_sides *sides, b_side side, b_task task, b_memory memory, b_chunks *chunks)
{
    if (task == B_GET_CHUNKS) {
        b_chunks_blank(chunks);
    }
    int64_t ns = run_side(sides, side, task, memory, chunks);
    if (task == B_GET_CHUNKS) {
        b_chunks_check(chunks);
    }
    return ns;
}
