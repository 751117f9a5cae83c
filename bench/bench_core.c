/* bench/bench_core.c - the local cache beside the bare probe: hits, misses, batches, puts that
 * evict, invalidations; Zipf and uniform; one and two threads; chunked index and uthash.
 *
 *      bench_core [--keys N,N,…] [--rounds N] [--ops N]
 *
 * Each round takes a short window of every subject, the bare probe among them; a figure is the
 * median of a subject's windows, its ratio the median of the ratios within the rounds. One thread
 * is measured by its processor time. Two are measured by the wall, and a window in which one of
 * them did not have a processor to itself is taken again. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "tests/support/core_kit.h"

enum { STREAM = 1 << 20, ROUNDS_MAX = 64, SIZES_MAX = 8, THREADS = 2, BATCH_MAX = 128, TRIES = 12 };

/* What a window works on. */
typedef struct rig {
    uint64_t keys;
    b_bare *bare;
    t_kit kits[2];             /* by nkv_index_kind */
    b_stream hits[2][THREADS]; /* by b_shape */
    b_stream misses;
    size_t at[THREADS]; /* where in the streams */
    uint64_t fresh;     /* number of the next key that was never put */
    int rounds;
    size_t ops;
    unsigned disturbed; /* windows of two threads that never had both processors */
} rig;

/* A window: what it took a thread, by the wall and on the processor, for each operation. */
typedef struct span {
    double wall, cpu;
} span;

typedef struct subject {
    const char *name;
    span (*window)(rig *r, const struct subject *self, unsigned thread, size_t ops);
    int index; /* nkv_index_kind, -1: the bare probe */
    b_shape shape;
    size_t batch; /* keys of one call; 0: misses */
} subject;

static _Atomic uint64_t sink; /* keeps what was read from being optimised away */

static span span_start(void)
{
    return (span){.wall = (double)b_wall_ns(), .cpu = (double)b_thread_ns()};
}

static span span_end(span from, size_t ops)
{
    return (span){.wall = ((double)b_wall_ns() - from.wall) / (double)ops,
                  .cpu = ((double)b_thread_ns() - from.cpu) / (double)ops};
}

/* ---- Windows -----------------------------------------------------------------------------------
 * */

static span bare_window(rig *r, const subject *self, unsigned thread, size_t ops)
{
    const b_stream *stream = self->batch == 0 ? &r->misses : &r->hits[self->shape][thread];
    uint64_t sum = 0;
    span from = span_start();
    for (size_t i = 0; i < ops; i++) {
        const char *value = b_bare_find(r->bare, b_stream_at(stream, r->at[thread] + i));
        sum += value != NULL ? (uint64_t)value[0] : 1;
    }
    span took = span_end(from, ops);
    atomic_fetch_add_explicit(&sink, sum, memory_order_relaxed);
    r->at[thread] += ops;
    return took;
}

static void make_query(const t_kit *kit, nkvi_query *query, nkv_str key)
{
    query->key = key;
    query->command = nkv_str_make(NULL, 0);
    query->space = kit->space;
    nkvi_query_hash(kit->cache, query);
}

static span core_window(rig *r, const subject *self, unsigned thread, size_t ops)
{
    const t_kit *kit = &r->kits[self->index];
    const b_stream *stream = self->batch == 0 ? &r->misses : &r->hits[self->shape][thread];
    size_t batch = self->batch == 0 ? 1 : self->batch;
    nkvi_query queries[BATCH_MAX];
    nkvi_found found[BATCH_MAX];
    uint64_t sum = 0;
    span from = span_start();
    for (size_t i = 0; i < ops; i += batch) {
        for (size_t j = 0; j < batch; j++) {
            make_query(kit, &queries[j], b_stream_at(stream, r->at[thread] + i + j));
        }
        nkvi_cache_find(kit->cache, queries, batch, 1, found);
        for (size_t j = 0; j < batch; j++) {
            if (found[j].value != NULL) {
                sum += (uint64_t)nkv_value_str(found[j].value).data[0];
                nkv_value_release(found[j].value);
            } else {
                sum++;
            }
        }
    }
    span took = span_end(from, ops);
    atomic_fetch_add_explicit(&sink, sum, memory_order_relaxed);
    r->at[thread] += ops;
    return took;
}

static void put_key(const t_kit *kit, uint64_t number, unsigned kind)
{
    char key[B_KEY_MAX];
    char value[B_VALUE];
    nkv_str name = nkv_str_make(key, b_key(number, kind, key));
    memset(value, (int)(number & 127), sizeof value);
    nkvi_draft draft;
    nkvi_query query;
    make_query(kit, &query, name);
    if (!nkvi_draft_string(&draft, NKV_TYPE_STRING, value, sizeof value - 1)) {
        exit(2);
    }
    nkvi_stamp stamp = {.owner = kit->owner,
                        .generation = kit->generation,
                        .deadline_ns = NKVI_NEVER,
                        .token = NULL};
    nkv_value_release(nkvi_cache_put(kit->cache, &query, &draft, &stamp, 1, NULL));
}

/* New keys only, so each throws one out; the value is copied, as from a socket's buffer. */
static span put_window(rig *r, const subject *self, unsigned thread, size_t ops)
{
    (void)thread;
    span from = span_start();
    for (size_t i = 0; i < ops; i++) {
        put_key(&r->kits[self->index], r->fresh++, 2);
    }
    return span_end(from, ops);
}

/* Keys that are there; they are put back outside the window. */
static span invalidate_window(rig *r, const subject *self, unsigned thread, size_t ops)
{
    (void)thread;
    const t_kit *kit = &r->kits[self->index];
    ops = ops < r->keys / 2 ? ops : r->keys / 2;
    uint64_t first = r->fresh++ * 7919 % r->keys;
    char(*keys)[B_KEY_MAX] = malloc(ops * sizeof *keys);
    nkv_str *names = malloc(ops * sizeof *names);
    if (keys == NULL || names == NULL) {
        exit(2);
    }
    for (size_t i = 0; i < ops; i++) {
        names[i] = nkv_str_make(keys[i], b_key((first + i) % r->keys, 0, keys[i]));
    }
    span from = span_start();
    for (size_t i = 0; i < ops; i++) {
        (void)nkvi_cache_invalidate(kit->cache, kit->space, names[i]);
    }
    span took = span_end(from, ops);
    for (size_t i = 0; i < ops; i++) {
        put_key(kit, (first + i) % r->keys, 0);
    }
    free(keys);
    free(names);
    return took;
}

/* ---- Rounds ------------------------------------------------------------------------------------
 * */

typedef struct pair {
    rig *r;
    const subject *who;
    unsigned thread;
    pthread_barrier_t *barrier;
    span took;
} pair;

static void *half(void *arg)
{
    pair *self = arg;
    b_pin(self->thread);
    (void)self->who->window(self->r, self->who, self->thread, self->r->ops / 4);
    pthread_barrier_wait(self->barrier);
    self->took = self->who->window(self->r, self->who, self->thread, self->r->ops);
    return NULL;
}

/* Two threads at once: nanoseconds an operation of one of them. *alone: both had their processor.
 * */
static double try_both(rig *r, const subject *who, bool *alone)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    pair halves[THREADS];
    pthread_t threads[THREADS];
    double sum = 0;
    *alone = true;
    for (unsigned i = 0; i < THREADS; i++) {
        halves[i] = (pair){r, who, i, &barrier, {0, 0}};
        if (pthread_create(&threads[i], NULL, half, &halves[i]) != 0) {
            exit(2);
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += halves[i].took.wall;
        *alone = *alone && halves[i].took.cpu > 0.93 * halves[i].took.wall;
    }
    pthread_barrier_destroy(&barrier);
    return sum / THREADS;
}

static double both(rig *r, const subject *who)
{
    bool alone = false;
    double ns = 0;
    for (int i = 0; i < TRIES && !alone; i++) {
        ns = try_both(r, who, &alone);
    }
    r->disturbed += alone ? 0 : 1;
    return ns;
}

static double one(rig *r, const subject *who, bool warm)
{
    if (warm) {
        (void)who->window(r, who, 0, r->ops / 4);
    }
    return who->window(r, who, 0, r->ops).cpu;
}

static void report(const rig *r, const char *name, double ns, double ratio)
{
    char full[96];
    (void)snprintf(full, sizeof full, "%s_%llu", name, (unsigned long long)r->keys);
    printf("  %-34s %9.1f ns   %6.2f x bare\n", name, ns, ratio);
    b_result(full, ratio, "x", true);
}

static const subject subjects[] = {
    {"bare_zipf", bare_window, -1, B_ZIPF, 1},
    {"hit_chunked_zipf", core_window, NKV_INDEX_CHUNKED, B_ZIPF, 1},
    {"hit_chunked_zipf_batch16", core_window, NKV_INDEX_CHUNKED, B_ZIPF, 16},
    {"hit_chunked_zipf_batch128", core_window, NKV_INDEX_CHUNKED, B_ZIPF, 128},
    {"hit_uthash_zipf", core_window, NKV_INDEX_UTHASH, B_ZIPF, 1},
    {"bare_uniform", bare_window, -1, B_UNIFORM, 1},
    {"hit_chunked_uniform", core_window, NKV_INDEX_CHUNKED, B_UNIFORM, 1},
    {"hit_chunked_uniform_batch16", core_window, NKV_INDEX_CHUNKED, B_UNIFORM, 16},
    {"hit_chunked_uniform_batch128", core_window, NKV_INDEX_CHUNKED, B_UNIFORM, 128},
    {"hit_uthash_uniform", core_window, NKV_INDEX_UTHASH, B_UNIFORM, 1},
    {"bare_miss", bare_window, -1, B_UNIFORM, 0},
    {"miss_chunked", core_window, NKV_INDEX_CHUNKED, B_UNIFORM, 0},
    {"miss_uthash", core_window, NKV_INDEX_UTHASH, B_UNIFORM, 0},
};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

/* One thread and two, in turns; two threads are told as what they gain over one, beside what the
 * bare probe gains. */
static void lookups(rig *r)
{
    static double ns[THREADS][SUBJECTS][ROUNDS_MAX];
    for (int round = 0; round < r->rounds; round++) {
        for (unsigned i = 0; i < SUBJECTS; i++) {
            ns[0][i][round] = one(r, &subjects[i], true);
            ns[1][i][round] = both(r, &subjects[i]);
        }
    }
    unsigned bare = 0;
    for (unsigned i = 0; i < SUBJECTS; i++) {
        bare = subjects[i].index < 0 ? i : bare;
        double ratios[ROUNDS_MAX];
        double gains[ROUNDS_MAX];
        double walls[ROUNDS_MAX];
        for (int round = 0; round < r->rounds; round++) {
            ratios[round] = ns[0][i][round] / ns[0][bare][round];
            walls[round] = ns[1][i][round] / ns[0][bare][round];
            gains[round] =
                ns[0][i][round] / ns[1][i][round] / (ns[0][bare][round] / ns[1][bare][round]);
        }
        size_t n = (size_t)r->rounds;
        double ratio = b_median(ratios, n);
        double wall = b_median(walls, n);
        double gain = b_median(gains, n);
        double first = b_median(ns[0][i], n);
        double second = b_median(ns[1][i], n);
        printf("  %-30s %7.1f ns %6.2f x bare | 2 threads %7.1f ns %6.2f x, scales %5.2f x bare\n",
               subjects[i].name, first, ratio, second, wall, gain);
        char name[96];
        (void)snprintf(name, sizeof name, "%s_%llu", subjects[i].name, (unsigned long long)r->keys);
        b_result(name, subjects[i].index < 0 ? first : ratio, subjects[i].index < 0 ? "ns" : "x",
                 true);
        (void)snprintf(name, sizeof name, "%s_2t_scaling_%llu", subjects[i].name,
                       (unsigned long long)r->keys);
        if (subjects[i].index >= 0) {
            b_result(name, gain, "x", false);
        }
    }
}

static void changes(rig *r)
{
    static const subject those[] = {
        {"put_evict_chunked", put_window, NKV_INDEX_CHUNKED, B_UNIFORM, 1},
        {"put_evict_uthash", put_window, NKV_INDEX_UTHASH, B_UNIFORM, 1},
        {"invalidate_chunked", invalidate_window, NKV_INDEX_CHUNKED, B_UNIFORM, 1},
        {"invalidate_uthash", invalidate_window, NKV_INDEX_UTHASH, B_UNIFORM, 1},
    };
    enum { THOSE = sizeof those / sizeof those[0] };
    static double ns[THOSE][ROUNDS_MAX];
    static double bare[ROUNDS_MAX];
    for (unsigned i = 2; i < THOSE + 2; i++) {
        unsigned at = i % THOSE; /* invalidations first: the puts throw their keys out */
        for (int round = 0; round < r->rounds; round++) {
            bare[round] = one(r, &subjects[5], true);
            ns[at][round] = one(r, &those[at], false);
        }
        double ratios[ROUNDS_MAX];
        for (int round = 0; round < r->rounds; round++) {
            ratios[round] = ns[at][round] / bare[round];
        }
        report(r, those[at].name, b_median(ns[at], (size_t)r->rounds),
               b_median(ratios, (size_t)r->rounds));
    }
}

/* ---- Setting up --------------------------------------------------------------------------------
 * */

static void run_size(uint64_t keys, int rounds, size_t ops)
{
    rig r = {.keys = keys, .rounds = rounds, .ops = ops};
    printf("%llu keys\n", (unsigned long long)keys);
    r.bare = b_bare_make(keys);
    for (int index = 0; index < 2; index++) {
        nkv_cache_options options = t_kit_options((nkv_index_kind)index, (int64_t)keys, -1);
        t_kit_open(&r.kits[index], &options);
        for (uint64_t i = 0; i < keys; i++) {
            put_key(&r.kits[index], i, 0);
        }
    }
    for (unsigned thread = 0; thread < THREADS; thread++) {
        r.hits[B_UNIFORM][thread] = b_stream_make(STREAM, keys, B_UNIFORM, 0, 11 + thread);
        r.hits[B_ZIPF][thread] = b_stream_make(STREAM, keys, B_ZIPF, 0, 21 + thread);
    }
    r.misses = b_stream_make(STREAM, keys, B_UNIFORM, 1, 31);
    b_pin(0);
    lookups(&r);
    changes(&r);
    if (r.disturbed > 0) {
        printf("  %u windows of two threads were disturbed by others\n", r.disturbed);
    }
    for (unsigned thread = 0; thread < THREADS; thread++) {
        b_stream_free(&r.hits[B_UNIFORM][thread]);
        b_stream_free(&r.hits[B_ZIPF][thread]);
    }
    b_stream_free(&r.misses);
    t_kit_close(&r.kits[0]);
    t_kit_close(&r.kits[1]);
    b_bare_free(r.bare);
}

int main(int argc, char **argv)
{
    uint64_t sizes[SIZES_MAX] = {4096, 100000, 1000000};
    size_t n = 3;
    int rounds = 15;
    size_t ops = 16 * 1024;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--keys") == 0) {
            n = 0;
            for (char *at = argv[i + 1]; *at != '\0' && n < SIZES_MAX; at += *at == ',') {
                sizes[n++] = strtoull(at, &at, 10);
            }
        } else if (strcmp(argv[i], "--rounds") == 0) {
            rounds = (int)strtol(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--ops") == 0) {
            ops = (size_t)strtoull(argv[i + 1], NULL, 10) / BATCH_MAX * BATCH_MAX;
        } else {
            fprintf(stderr, "usage: bench_core [--keys N,N,...] [--rounds N] [--ops N]\n");
            return 2;
        }
    }
    if (rounds < 1 || rounds > ROUNDS_MAX || ops == 0) {
        fprintf(stderr, "bench_core: 1 to %d rounds, at least %d operations\n", ROUNDS_MAX,
                BATCH_MAX);
        return 2;
    }
    b_results_open();
    for (size_t i = 0; i < n; i++) {
        run_size(sizes[i], rounds, ops);
    }
    b_results_close();
    return 0;
}
