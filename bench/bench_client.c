/* bench_client.c - the whole client beside hiredis, on one private server and its unix socket.
 *
 * Every line compares two ways of doing the same, in turn within one run: A B A B … .  The ratio
 * of a round is what the two took in that round; printed is the median over the rounds, with the
 * smallest and the
 * largest.  Above 1: nearkv is faster.
 *
 *      hit         nkv_get of cached keys             redisCommand("GET") of the same keys
 *      prefix      nkv_prefix of 128 cached keys      128 EXISTS in one pipeline
 *      miss 1      nkv_get of cold keys (GET, PTTL)   GET one by one
 *      miss 16     the same with 16 threads           16 threads, a connection each
 *      batch       nkv_mget of 128 cold keys          the same 256 commands (GET, PTTL) in one
 *                  pipeline
 * */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nearkv/nearkv.h>

#include "support/server.h"

#define KEYS    100000 /* at the server */
#define HOT     4000   /* of them cached by the hit benches */
#define BATCH   128
#define THREADS 16
#define ROUNDS  9

static char names[KEYS][24];

typedef struct side {
    nkv_client *client; /* one of the two */
    redisContext *redis;
    const char *path; /* of the socket, for more connections */
    size_t cursor;    /* next cold key */
} side;

static void die(const char *what)
{
    fprintf(stderr, "bench_client: %s\n", what);
    exit(1);
}

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static redisContext *dial(const char *path)
{
    redisContext *redis = redisConnectUnix(path);
    if (redis == NULL || redis->err) {
        die("cannot connect");
    }
    return redis;
}

/* ---- what is measured; each returns µs per operation
 * ---------------------------------------------- */

static double hit_near(side *s)
{
    size_t n = 200000;
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        nkv_value *value;
        if (nkv_get(s->client, nkv_cstr(names[(i * 7919) % HOT]), NULL, &value) != NKV_OK) {
            die("hit");
        }
        nkv_value_release(value);
    }
    return (now_us() - begin) / (double)n;
}

static void get_redis(redisContext *redis, const char *name)
{
    redisReply *reply = redisCommand(redis, "GET %s", name);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        die("GET");
    }
    freeReplyObject(reply);
}

static double hit_redis(side *s)
{
    size_t n = 4000;
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        get_redis(s->redis, names[(i * 7919) % HOT]);
    }
    return (now_us() - begin) / (double)n;
}

static double prefix_near(side *s)
{
    size_t n = 2000, prefix = 0, from_cache = 0;
    nkv_str keys[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        keys[i] = nkv_cstr(names[i]);
    }
    if (nkv_prefix(s->client, keys, BATCH, NULL, &prefix, &from_cache) != NKV_OK) {
        die("prefix");
    }
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        if (nkv_prefix(s->client, keys, BATCH, NULL, &prefix, &from_cache) != NKV_OK ||
            prefix != BATCH || from_cache != BATCH) {
            die("prefix");
        }
    }
    return (now_us() - begin) / (double)n;
}

static double prefix_redis(side *s)
{
    size_t n = 200;
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < BATCH; k++) {
            redisAppendCommand(s->redis, "EXISTS %s", names[k]);
        }
        for (size_t k = 0; k < BATCH; k++) {
            void *reply;
            if (redisGetReply(s->redis, &reply) != REDIS_OK) {
                die("EXISTS");
            }
            freeReplyObject(reply);
        }
    }
    return (now_us() - begin) / (double)n;
}

static size_t cold(side *s, size_t n)
{
    size_t at = s->cursor;
    s->cursor = (s->cursor + n) % KEYS;
    return at;
}

static double miss_near(side *s)
{
    size_t n = 5000, at = cold(s, n);
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        nkv_call call;
        nkv_value *value;
        nkv_call_init(&call);
        if (nkv_get(s->client, nkv_cstr(names[(at + i) % KEYS]), &call, &value) != NKV_OK ||
            call.from != NKV_FROM_SERVER) {
            die("miss");
        }
        nkv_value_release(value);
    }
    return (now_us() - begin) / (double)n;
}

static double miss_redis(side *s)
{
    size_t n = 5000, at = cold(s, n);
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        get_redis(s->redis, names[(at + i) % KEYS]);
    }
    return (now_us() - begin) / (double)n;
}

typedef struct worker {
    side *s;
    redisContext *redis;
    size_t at, n;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    for (size_t i = 0; i < w->n; i++) {
        const char *name = names[(w->at + i) % KEYS];
        nkv_value *value;
        if (w->redis != NULL) {
            get_redis(w->redis, name);
        } else if (nkv_get(w->s->client, nkv_cstr(name), NULL, &value) != NKV_OK) {
            die("miss");
        } else {
            nkv_value_release(value);
        }
    }
    return NULL;
}

static double miss_threads(side *s, int near)
{
    size_t each = 2000;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){s, near ? NULL : dial(s->path), cold(s, each), each};
    }
    double begin = now_us();
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    double us = (now_us() - begin) / (double)(THREADS * each);
    for (size_t i = 0; i < THREADS; i++) {
        if (workers[i].redis != NULL) {
            redisFree(workers[i].redis);
        }
    }
    return us;
}

static double threads_near(side *s)
{
    return miss_threads(s, 1);
}

static double threads_redis(side *s)
{
    return miss_threads(s, 0);
}

static double batch_near(side *s)
{
    size_t n = 100;
    nkv_result results[BATCH];
    nkv_str keys[BATCH];
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        size_t at = cold(s, BATCH);
        for (size_t k = 0; k < BATCH; k++) {
            keys[k] = nkv_cstr(names[(at + k) % KEYS]);
        }
        if (nkv_mget(s->client, keys, BATCH, NULL, results) != NKV_OK) {
            die("mget");
        }
        for (size_t k = 0; k < BATCH; k++) {
            nkv_value_release(results[k].value);
        }
    }
    return (now_us() - begin) / (double)n;
}

static double batch_redis(side *s)
{
    size_t n = 100;
    double begin = now_us();
    for (size_t i = 0; i < n; i++) {
        size_t at = cold(s, BATCH);
        for (size_t k = 0; k < BATCH; k++) {
            redisAppendCommand(s->redis, "GET %s", names[(at + k) % KEYS]);
            redisAppendCommand(s->redis, "PTTL %s", names[(at + k) % KEYS]);
        }
        for (size_t k = 0; k < 2 * BATCH; k++) {
            void *reply;
            if (redisGetReply(s->redis, &reply) != REDIS_OK) {
                die("pipeline");
            }
            freeReplyObject(reply);
        }
    }
    return (now_us() - begin) / (double)n;
}

/* ---- the comparison
 * ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(const char *name, side *near, double (*a)(side *), side *redis,
                    double (*b)(side *), double bar)
{
    double ratios[ROUNDS], us[ROUNDS], other[ROUNDS];
    (void)a(near);
    (void)b(redis);
    for (int i = 0; i < ROUNDS; i++) {
        us[i] = a(near);
        other[i] = b(redis);
        ratios[i] = other[i] / us[i];
    }
    qsort(ratios, ROUNDS, sizeof ratios[0], by_value);
    qsort(us, ROUNDS, sizeof us[0], by_value);
    qsort(other, ROUNDS, sizeof other[0], by_value);
    printf("%-10s nearkv %9.3f us   hiredis %9.3f us   x %8.2f  (%.2f .. %.2f)", name,
           us[ROUNDS / 2], other[ROUNDS / 2], ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    if (bar > 0) {
        printf("   bar %.2f %s", bar, ratios[ROUNDS / 2] >= bar ? "met" : "MISSED");
    }
    printf("\n");
}

static void populate(redisContext *redis)
{
    char value[65];
    memset(value, 'v', 64);
    value[64] = '\0';
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "bench:%08zx", i);
        redisAppendCommand(redis, "SET %s %s", names[i], value);
        if (i % 1000 == 999) {
            for (size_t k = 0; k < 1000; k++) {
                void *reply;
                if (redisGetReply(redis, &reply) != REDIS_OK) {
                    die("SET");
                }
                freeReplyObject(reply);
            }
        }
    }
}

static nkv_client *make_client(const char *url, int64_t keys_max)
{
    nkv_options options;
    nkv_client *client;
    nkv_error error;
    nkv_options_init(&options);
    options.url = url;
    options.cache_options.keys_max = keys_max;
    if (nkv_client_create(&options, &client, &error) != NKV_OK ||
        nkv_client_wait_ready(client, 5000, &error) != NKV_OK) {
        die(error.text);
    }
    return client;
}

static void warm(nkv_client *client)
{
    for (size_t i = 0; i < HOT; i++) {
        nkv_value *value;
        if (nkv_get(client, nkv_cstr(names[i]), NULL, &value) != NKV_OK) {
            die("warm");
        }
        nkv_value_release(value);
    }
}

int main(void)
{
    t_server *server = t_server_start(NULL);
    const char *path = t_server_path(server);
    side redis = {.redis = dial(path), .path = path};
    populate(redis.redis);
    side hot = {.client = make_client(t_server_unix_url(server), 16384)};
    side few = {.client = make_client(t_server_unix_url(server), 1000)};
    warm(hot.client);
    printf("%s, unix socket, 64-byte values, %d rounds\n", t_server_kind_name(server), ROUNDS);
    compare("hit", &hot, hit_near, &redis, hit_redis, 0);
    compare("prefix 128", &hot, prefix_near, &redis, prefix_redis, 10);
    compare("miss 1", &few, miss_near, &redis, miss_redis, 0.5);
    compare("miss 16", &few, threads_near, &redis, threads_redis, 1.0);
    compare("batch 128", &few, batch_near, &redis, batch_redis, 0.8);
    nkv_client_destroy(hot.client);
    nkv_client_destroy(few.client);
    redisFree(redis.redis);
    t_server_stop(server);
    return 0;
}
