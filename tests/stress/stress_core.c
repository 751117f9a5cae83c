/* stress/stress_core.c - readers, writers, invalidations, flushes, lost owners, and the end of the
 * cache, all at once, on both indexes.
 *
 * Every put of a key has a version, taken after its token and its owner's generation. What makes
 * the answers of a key unusable raises the key's floor when it has returned:
 *
 *      own write       all versions that were taken before it ended        (their tokens are
 *      broken) flush           all that were taken before it began
 *      lost owner      all that were taken before it began                 (their generation is
 *      over)
 *
 * A reader notes the floor, looks the key up, and must not find a version below it. Values in hand
 * are read again after the cache is gone. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/core_kit.h"

enum { KEYS = 48, READERS = 3, WRITERS = 2, HELD = 32, ROUNDS = 3, BATCH = 12 };

typedef struct shared {
    t_kit kit;
    _Atomic uint64_t generation; /* of the owner, as writers see it */
    _Atomic uint64_t next[KEYS], floors[KEYS];
    pthread_mutex_t owner_mu;
    _Atomic int writing; /* writers that are not done */
    _Atomic uint64_t reads, hits, stale, wrong, stored, over;
    uint64_t keys_max, bytes_max;
    int ops;
} shared;

typedef struct worker {
    pthread_t thread;
    shared *all;
    t_rng rng;
    nkv_value *held[HELD];
    unsigned key_of_held[HELD];
} worker;

static const char *const commands[] = {"", "STRLEN",
                                       "HGET a-field-with-a-long-name-that-fills-it-up"};

static nkv_str key_text(unsigned key, char out[80])
{
    /* Some names fit into a slot, some do not. */
    int len = snprintf(out, 80, key % 3 == 0 ? "key:%u" : "key:%u:%060u", key, key);
    return nkv_str_make(out, (size_t)len);
}

static nkvi_query query_of(shared *all, unsigned key, unsigned command, char text[80])
{
    nkv_str name = key_text(key, text);
    return t_kit_query(&all->kit, name, nkv_cstr(commands[command]));
}

/* The version that a value carries; counts it as wrong if it is not of that key. */
static uint64_t version_of(shared *all, const nkv_value *value, unsigned key)
{
    nkv_str text = nkv_value_str(value);
    unsigned of = KEYS;
    unsigned long long version = 0;
    if (text.len < 4 || sscanf(text.data, "%u %llu ", &of, &version) != 2 || of != key ||
        text.data[text.len] != '\0') {
        atomic_fetch_add(&all->wrong, 1);
    }
    return version;
}

static void raise_floor(shared *all, unsigned key, uint64_t floor)
{
    uint64_t now = atomic_load(&all->floors[key]);
    while (now < floor && !atomic_compare_exchange_weak(&all->floors[key], &now, floor)) {}
}

/* ---- Readers --------------------------------------------------------------------------------- */

/* Keeps the value instead of one that was kept before, or gives it back. */
static void keep(worker *self, nkv_value *value, unsigned key)
{
    unsigned at = (unsigned)t_rng_below(&self->rng, HELD * 4);
    if (at >= HELD) {
        nkv_value_release(value);
        return;
    }
    if (self->held[at] != NULL) {
        (void)version_of(self->all, self->held[at], self->key_of_held[at]);
        nkv_value_release(self->held[at]);
    }
    self->held[at] = value;
    self->key_of_held[at] = key;
}

static void read_some(worker *self)
{
    shared *all = self->all;
    unsigned keys[BATCH];
    uint64_t floors[BATCH];
    nkvi_query queries[BATCH];
    nkvi_found found[BATCH];
    char texts[BATCH][80];
    size_t n = t_rng_below(&self->rng, 3) == 0 ? BATCH : 1;
    for (size_t i = 0; i < n; i++) {
        keys[i] = (unsigned)t_rng_below(&self->rng, KEYS);
        queries[i] = query_of(all, keys[i], (unsigned)t_rng_below(&self->rng, 3), texts[i]);
        floors[i] = atomic_load(&all->floors[keys[i]]);
    }
    nkvi_cache_find(all->kit.cache, queries, n, 1, found);
    for (size_t i = 0; i < n; i++) {
        nkvi_cache_count(all->kit.cache, &queries[i],
                         found[i].value != NULL ? NKVI_COUNT_HIT : NKVI_COUNT_MISS);
        if (found[i].value != NULL) {
            if (version_of(all, found[i].value, keys[i]) < floors[i]) {
                atomic_fetch_add(&all->stale, 1);
            }
            atomic_fetch_add_explicit(&all->hits, 1, memory_order_relaxed);
            keep(self, found[i].value, keys[i]);
        }
    }
    atomic_fetch_add_explicit(&all->reads, n, memory_order_relaxed);
}

static void *reader(void *arg)
{
    worker *self = arg;
    shared *all = self->all;
    /* Not done before the writers are: on a busy machine they may begin late. */
    for (int i = 0; i < all->ops || atomic_load(&all->writing) > 0; i++) {
        read_some(self);
    }
    return NULL;
}

/* ---- Writers --------------------------------------------------------------------------------- */

static void put_one(worker *self)
{
    shared *all = self->all;
    char text[80];
    char *body = malloc(4096);
    T_REQUIRE(body != NULL);
    unsigned key = (unsigned)t_rng_below(&self->rng, KEYS);
    nkvi_query query = query_of(all, key, (unsigned)t_rng_below(&self->rng, 3), text);
    nkvi_token token = nkvi_fence_token(all->kit.fence, query.key_hash);
    uint64_t generation = atomic_load(&all->generation);
    uint64_t version = atomic_fetch_add(&all->next[key], 1);
    size_t len =
        24 + (size_t)t_rng_below(&self->rng, t_rng_below(&self->rng, 20) == 0 ? 4000 : 100);
    memset(body, 'x', len);
    int head = snprintf(body, 40, "%u %llu ", key, (unsigned long long)version);
    body[head] = 'x';
    nkvi_draft draft;
    T_REQUIRE(nkvi_draft_string(&draft, NKV_TYPE_STRING, body, len < 41 ? 41 : len));
    free(body);
    nkvi_stamp stamp = {.owner = all->kit.owner,
                        .generation = generation,
                        .deadline_ns = NKVI_NEVER,
                        .token = &token};
    bool stored;
    nkv_value *value = nkvi_cache_put(all->kit.cache, &query, &draft, &stamp, 1, &stored);
    T_REQUIRE(value != NULL);
    atomic_fetch_add_explicit(&all->stored, stored, memory_order_relaxed);
    keep(self, value, key);
}

static void own_write(worker *self)
{
    shared *all = self->all;
    char text[80];
    unsigned key = (unsigned)t_rng_below(&self->rng, KEYS);
    nkv_str name = key_text(key, text);
    uint32_t spaces = nkvi_cache_write_begin(all->kit.cache, name);
    uint64_t dead = atomic_load(&all->next[key]);
    nkvi_cache_write_end(all->kit.cache, name, spaces);
    raise_floor(all, key, dead);
}

static void everything(worker *self, bool owner)
{
    shared *all = self->all;
    uint64_t dead[KEYS];
    pthread_mutex_lock(&all->owner_mu);
    for (unsigned key = 0; key < KEYS; key++) {
        dead[key] = atomic_load(&all->next[key]);
    }
    if (owner) {
        nkvi_cache_owner_end(all->kit.cache, all->kit.owner);
        uint64_t now = nkvi_cache_owner_begin(all->kit.cache, all->kit.owner, INT64_MAX);
        atomic_store(&all->generation, now);
    } else {
        nkvi_cache_flush_own(all->kit.cache);
    }
    pthread_mutex_unlock(&all->owner_mu);
    for (unsigned key = 0; key < KEYS; key++) {
        raise_floor(all, key, dead[key]);
    }
}

/* The limits hold at any instant. */
static void look_at_limits(shared *all)
{
    nkv_cache_stats stats = t_kit_stats(&all->kit);
    if (stats.bytes > all->bytes_max || stats.keys > all->keys_max) {
        atomic_fetch_add(&all->over, 1);
    }
}

static void *writer(void *arg)
{
    worker *self = arg;
    for (int i = 0; i < self->all->ops; i++) {
        uint64_t dice = t_rng_below(&self->rng, 1000);
        if (dice < 5) {
            everything(self, dice < 2);
        } else if (dice < 250) {
            own_write(self);
        } else if (dice < 260) {
            (void)nkvi_cache_tidy(self->all->kit.cache, 1, 16);
            look_at_limits(self->all);
        } else {
            put_one(self);
        }
    }
    atomic_fetch_sub(&self->all->writing, 1);
    return NULL;
}

/* ---- A round --------------------------------------------------------------------------------- */

static void *let_go(void *arg)
{
    worker *self = arg;
    for (unsigned i = 0; i < HELD; i++) {
        if (self->held[i] != NULL) {
            (void)version_of(self->all, self->held[i], self->key_of_held[i]);
            nkv_value_release(self->held[i]);
        }
    }
    return NULL;
}

static void run_all(worker *workers, unsigned n, void *(*first)(void *), void *(*second)(void *),
                    unsigned border)
{
    for (unsigned i = 0; i < n; i++) {
        T_REQUIRE(pthread_create(&workers[i].thread, NULL, i < border ? first : second,
                                 &workers[i]) == 0);
    }
    for (unsigned i = 0; i < n; i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
    }
}

static bool round_of(const nkv_cache_options *options, int ops, uint64_t seed, const char *name)
{
    static shared all;
    memset(&all, 0, sizeof all);
    all.ops = ops;
    all.keys_max = options->keys_max < 0 ? UINT64_MAX : (uint64_t)options->keys_max;
    all.bytes_max = (uint64_t)options->bytes_max;
    t_kit_open(&all.kit, options);
    atomic_store(&all.generation, all.kit.generation);
    atomic_store(&all.writing, WRITERS);
    T_REQUIRE(pthread_mutex_init(&all.owner_mu, NULL) == 0);
    worker workers[READERS + WRITERS];
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        workers[i].all = &all;
        t_rng_init(&workers[i].rng, seed + i);
    }
    run_all(workers, READERS + WRITERS, reader, writer, READERS);
    nkv_cache_stats stats = t_kit_stats(&all.kit);
    t_kit_close(&all.kit);
    run_all(workers, READERS + WRITERS, let_go, let_go, 0); /* the last of them frees the store */
    pthread_mutex_destroy(&all.owner_mu);
    uint64_t reads = atomic_load(&all.reads);
    bool counted = stats.hits == atomic_load(&all.hits) && stats.hits + stats.misses == reads &&
                   stats.puts == atomic_load(&all.stored);
    printf("# %-34s %8llu reads, %7llu hits, %6llu stored, stale %llu, wrong %llu, over %llu\n",
           name, (unsigned long long)reads, (unsigned long long)stats.hits,
           (unsigned long long)stats.puts, (unsigned long long)atomic_load(&all.stale),
           (unsigned long long)atomic_load(&all.wrong), (unsigned long long)atomic_load(&all.over));
    return counted && atomic_load(&all.over) == 0 && stats.hits > reads / 1000 &&
           atomic_load(&all.stale) == 0 && atomic_load(&all.wrong) == 0;
}

int main(void)
{
    int passed = 0;
    int failed = 0;
    const char *text = getenv("NEARKV_STRESS_OPS");
    int ops = text != NULL ? (int)strtol(text, NULL, 10) : 10000;
    uint64_t seed = t_run_seed();
    for (unsigned i = 0; i < 2 * 2 * 3; i++) {
        nkv_index_kind index = i % 2 == 0 ? NKV_INDEX_CHUNKED : NKV_INDEX_UTHASH;
        int64_t keys_max = i / 4 == 0 ? 4096 : i / 4 == 1 ? KEYS / 2 : -1;
        int64_t bytes_max = i / 4 == 2 ? 64 << 10 : 1 << 20;
        nkv_cache_options options = t_kit_options(index, keys_max, bytes_max);
        options.policy = i % 4 < 2 ? NKV_POLICY_LRU : NKV_POLICY_S3FIFO;
        char name[80];
        (void)snprintf(name, sizeof name, "%s %s, %lld keys, %lld bytes",
                       index == NKV_INDEX_CHUNKED ? "chunked" : "uthash",
                       options.policy == NKV_POLICY_LRU ? "lru" : "s3fifo", (long long)keys_max,
                       (long long)bytes_max);
        bool ok = round_of(&options, ops, seed + 100 * i, name);
        passed += ok;
        failed += !ok;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
