/* bench/bench_lane.c - what a miss costs: the lane against hiredis's blocking calls, in one run.
 *
 *      one       one thread asks for one key after the other (GET and PTTL, one write)
 *      many      16 threads do, all over one lane; hiredis has a connection for each thread
 *      batch     one thread asks for 128 keys at once, in one pipeline
 *      reader    replies from memory through the reader alone, against hiredis's reader
 *
 * Each round runs every variant once, so that all see the same weather; shown are medians of the
 * rounds and the medians of the ratios within a round.  Server: a private redis on a unix
 * socket.
 *
 *      bench_lane [ROUNDS [MILLISECONDS]]        7 rounds of 300 ms for each variant */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/lane.h"
#include "io/reader.h"
#include "tests/support/check.h"
#include "tests/support/server.h"

#define THREADS    16
#define BATCH      128
#define KEYS       20000u
#define ROUNDS_MAX 101

static const char *path;
static nkvi_loop *loop;
static nkvi_lane *lane;
static nkv_cache *cache;
static nkvi_owner *owner;
static int64_t round_ms = 300;

/* ============ The lane ============ */

static void create_lane(void *ud)
{
    (void)ud;
    nkvi_lane_config config = {.endpoint = {.path = path},
                               .owner = owner,
                               .cache = cache,
                               .connect_timeout_ms = 2000,
                               .max_idle_ms = 5000,
                               .backoff_min_ms = 50,
                               .backoff_max_ms = 2000,
                               .reply_bytes_max = INT64_C(512) << 20};
    nkv_error error;
    if (nkvi_lane_create(loop, &config, &lane, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    nkvi_lane_start(lane);
}

static void destroy_lane(void *ud)
{
    (void)ud;
    nkvi_lane_destroy(lane);
}

typedef struct ask {
    nkvi_request request;
    sem_t done;
    nkv_status status;
    unsigned strings;
} ask;

static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    ((ask *)request)->strings += reply->root.type == NKV_TYPE_STRING;
    (void)index;
    nkvi_draft_clear(reply);
}

static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    ask *a = (ask *)request;
    (void)error;
    a->status = status;
    sem_post(&a->done);
}

static void key_text(char key[32], unsigned number)
{
    (void)snprintf(key, 32, "key:%08u", number % KEYS);
}

static void append_pair(nkvi_buf *bytes, unsigned number)
{
    char key[32];
    key_text(key, number);
    nkvi_buf_resp(bytes, 2, (nkv_str[]){nkv_cstr("GET"), nkv_cstr(key)});
    nkvi_buf_resp(bytes, 2, (nkv_str[]){nkv_cstr("PTTL"), nkv_cstr(key)});
}

static void ask_lane(ask *a, unsigned number, unsigned keys)
{
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    for (unsigned i = 0; i < keys; i++) {
        append_pair(&bytes, number + i);
    }
    a->request.replies = 2 * keys;
    a->request.deadline_ns = nkvi_now_coarse_ns() + INT64_C(5000000000);
    a->request.on_reply = on_reply;
    a->request.on_done = on_done;
    a->strings = 0;
    nkv_error error;
    if (nkvi_lane_submit(lane, &a->request, &bytes, NKVI_SUBMIT_WAIT, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    while (sem_wait(&a->done) != 0) {}
    if (a->status != NKV_OK || a->strings != keys) {
        T_DIE("a lane's answer is wrong: status %d, %u strings", a->status, a->strings);
    }
}

/* ============ hiredis ============ */

static redisContext *connect_hiredis(void)
{
    redisContext *context = redisConnectUnix(path);
    if (context == NULL || context->err != 0) {
        T_DIE("hiredis cannot connect");
    }
    return context;
}

static void ask_hiredis(redisContext *context, unsigned number, unsigned keys)
{
    char key[32];
    for (unsigned i = 0; i < keys; i++) {
        key_text(key, number + i);
        redisAppendCommand(context, "GET %s", key);
        redisAppendCommand(context, "PTTL %s", key);
    }
    for (unsigned i = 0; i < 2 * keys; i++) {
        redisReply *reply;
        if (redisGetReply(context, (void **)&reply) != REDIS_OK ||
            reply->type != (i % 2 == 0 ? REDIS_REPLY_STRING : REDIS_REPLY_INTEGER)) {
            T_DIE("hiredis's answer is wrong");
        }
        freeReplyObject(reply);
    }
}

static void ask_hiredis_get(redisContext *context, unsigned number)
{
    char key[32];
    key_text(key, number);
    redisReply *reply = redisCommand(context, "GET %s", key);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        T_DIE("hiredis's answer is wrong");
    }
    freeReplyObject(reply);
}

/* ============ Rounds ============ */

typedef struct worker {
    pthread_t thread;
    bool hiredis, get_only;
    unsigned keys, seed;
    uint64_t asked; /* keys */
} worker;

static _Atomic bool go_on;

static void *work(void *arg)
{
    worker *w = arg;
    unsigned number = w->seed * 7919u;
    redisContext *context = w->hiredis ? connect_hiredis() : NULL;
    ask a;
    memset(&a, 0, sizeof a);
    sem_init(&a.done, 0, 0);
    while (atomic_load_explicit(&go_on, memory_order_relaxed)) {
        if (w->get_only) {
            ask_hiredis_get(context, number);
        } else if (w->hiredis) {
            ask_hiredis(context, number, w->keys);
        } else {
            ask_lane(&a, number, w->keys);
        }
        number += w->keys;
        w->asked += w->keys;
    }
    if (context != NULL) {
        redisFree(context);
    }
    sem_destroy(&a.done);
    return NULL;
}

/* Keys per second. */
static double run(unsigned threads, unsigned keys, bool hiredis, bool get_only)
{
    worker workers[THREADS];
    memset(workers, 0, sizeof workers);
    atomic_store(&go_on, true);
    int64_t begin_ns = nkvi_now_ns();
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (worker){.hiredis = hiredis, .get_only = get_only, .keys = keys, .seed = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            T_DIE("no thread");
        }
    }
    t_sleep_ms(round_ms);
    atomic_store(&go_on, false);
    uint64_t asked = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        asked += workers[i].asked;
    }
    return (double)asked / ((double)(nkvi_now_ns() - begin_ns) * 1e-9);
}

/* ============ The readers ============ */

#define STREAM_REPLIES 1000u

/* Replies from memory in pieces of 16 KiB; returns replies per second. */
static double read_ours(const char *stream, size_t len)
{
    nkvi_reader reader;
    nkvi_draft draft;
    uint64_t n = 0;
    nkvi_reader_init(&reader, INT64_C(512) << 20, NULL);
    int64_t begin_ns = nkvi_now_ns(), end_ns;
    do {
        for (size_t at = 0; at < len;) {
            char *data;
            size_t room;
            if (!nkvi_reader_space(&reader, &data, &room)) {
                T_DIE("out of memory");
            }
            size_t part = len - at < room ? len - at : room;
            part = part < 16384 ? part : 16384;
            memcpy(data, stream + at, part);
            nkvi_reader_fed(&reader, part);
            at += part;
            while (nkvi_reader_next(&reader, &draft, NULL) == NKV_OK) {
                nkvi_draft_clear(&draft);
                n++;
            }
        }
        end_ns = nkvi_now_ns();
    } while (end_ns - begin_ns < round_ms * NKVI_NS_PER_MS / 4);
    nkvi_reader_clear(&reader);
    return (double)n / ((double)(end_ns - begin_ns) * 1e-9);
}

static double read_hiredis(const char *stream, size_t len)
{
    redisReader *reader = redisReaderCreate();
    uint64_t n = 0;
    int64_t begin_ns = nkvi_now_ns(), end_ns;
    do {
        for (size_t at = 0; at < len; at += 16384) {
            void *reply;
            redisReaderFeed(reader, stream + at, len - at < 16384 ? len - at : 16384);
            while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
                freeReplyObject(reply);
                n++;
            }
        }
        end_ns = nkvi_now_ns();
    } while (end_ns - begin_ns < round_ms * NKVI_NS_PER_MS / 4);
    redisReaderFree(reader);
    return (double)n / ((double)(end_ns - begin_ns) * 1e-9);
}

static char *make_stream(size_t bulk, size_t replies, size_t *len)
{
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    for (size_t i = 0; i < replies; i++) {
        nkvi_buf_printf(&buf, "$%zu\r\n", bulk);
        if (nkvi_buf_reserve(&buf, bulk)) {
            memset(buf.data + buf.len, 'x', bulk);
            buf.len += bulk;
        }
        nkvi_buf_text(&buf, "\r\n");
    }
    char *data = nkvi_buf_take(&buf, len);
    T_REQUIRE(data != NULL);
    return data;
}

/* ============ Figures ============ */

typedef struct figure {
    const char *name, *what;
    double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
} figure;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void note(figure *f, size_t round, double ours, double theirs)
{
    f->ours[round] = ours;
    f->theirs[round] = theirs;
    f->ratio[round] = ours / theirs;
}

static void show(figure *f, size_t rounds, FILE *json)
{
    double ours = median(f->ours, rounds), theirs = median(f->theirs, rounds);
    double ratio = median(f->ratio, rounds);
    printf("%-44s %12.0f %12.0f %8.2f\n", f->what, ours, theirs, ratio);
    if (json != NULL) {
        fprintf(json,
                "{\"name\":\"lane_%s\",\"value\":%.3f,\"unit\":\"x\",\"better\":\"higher\"}\n",
                f->name, ratio);
        fprintf(
            json,
            "{\"name\":\"lane_%s_per_s\",\"value\":%.0f,\"unit\":\"/s\",\"better\":\"higher\"}\n",
            f->name, ours);
    }
}

static figure one = {.name = "one", .what = "1 thread, GET+PTTL / the same"};
static figure one_get = {.name = "one_get", .what = "1 thread, GET+PTTL / hiredis GET alone"};
static figure many = {.name = "many", .what = "16 threads, GET+PTTL / 16 connections"};
static figure many_get = {.name = "many_get",
                          .what = "16 threads, GET+PTTL / 16 × hiredis GET alone"};
static figure batch = {.name = "batch", .what = "batch of 128 keys / hiredis pipeline"};
static figure parse_small = {.name = "reader_64", .what = "reader, 64 B strings / hiredis's"};
static figure parse_page = {.name = "reader_2k", .what = "reader, 2 KiB strings / hiredis's"};
static figure parse_large = {.name = "reader_1m", .what = "reader, 1 MiB strings / hiredis's"};

static void fill(void)
{
    redisContext *context = connect_hiredis();
    char key[32], value[64];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < KEYS; i++) {
        key_text(key, i);
        redisAppendCommand(context, "SET %s %b", key, value, sizeof value);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        void *reply;
        T_REQUIRE(redisGetReply(context, &reply) == REDIS_OK);
        freeReplyObject(reply);
    }
    redisFree(context);
}

static void run_readers(size_t round)
{
    size_t len;
    char *small = make_stream(64, STREAM_REPLIES, &len);
    note(&parse_small, round, read_ours(small, len), read_hiredis(small, len));
    nkvi_free(small);
    char *page = make_stream(2048, STREAM_REPLIES, &len);
    note(&parse_page, round, read_ours(page, len), read_hiredis(page, len));
    nkvi_free(page);
    char *large = make_stream(1024 * 1024, 16, &len);
    note(&parse_large, round, read_ours(large, len), read_hiredis(large, len));
    nkvi_free(large);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 7;
    round_ms = argc > 2 ? strtol(argv[2], NULL, 10) : round_ms;
    T_REQUIRE(rounds >= 1 && rounds <= ROUNDS_MAX && round_ms >= 10);
    t_server *server = t_server_start(NULL);
    path = t_server_path(server);
    nkv_error error;
    T_REQUIRE(nkvi_loop_create(NULL, &loop, &error) == NKV_OK);
    T_REQUIRE(nkv_cache_create(NULL, &cache, &error) == NKV_OK);
    owner = nkvi_cache_owner_open(cache, NULL);
    T_REQUIRE(owner != NULL);
    nkvi_loop_call(loop, create_lane, NULL);
    fill();
    for (size_t r = 0; r < rounds; r++) {
        double pair = run(1, 1, true, false);
        double ours = run(1, 1, false, false);
        note(&one, r, ours, pair);
        note(&one_get, r, ours, run(1, 1, true, true));
        ours = run(THREADS, 1, false, false);
        note(&many, r, ours, run(THREADS, 1, true, false));
        note(&many_get, r, ours, run(THREADS, 1, true, true));
        note(&batch, r, run(1, BATCH, false, false), run(1, BATCH, true, false));
        run_readers(r);
    }
    const char *name = getenv("NEARKV_BENCH_JSON");
    FILE *json = name != NULL ? fopen(name, "w") : NULL;
    printf("%-44s %12s %12s %8s\n", "keys (replies) per second", "lane", "hiredis", "ratio");
    figure *all[] = {&one,   &one_get,     &many,       &many_get,
                     &batch, &parse_small, &parse_page, &parse_large};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        show(all[i], rounds, json);
    }
    if (json != NULL) {
        fclose(json);
    }
    nkvi_loop_call(loop, destroy_lane, NULL);
    nkvi_loop_destroy(loop);
    nkvi_cache_owner_close(cache, owner);
    nkv_cache_release(cache);
    t_server_stop(server);
    return 0;
}
