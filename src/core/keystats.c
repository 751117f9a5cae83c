/* core/keystats.c - see keystats.h. */
#include "core/keystats.h"

#include <string.h>

#include "base/mem.h"

#define WAYS  8u
#define KINDS 4u
#define NONE  UINT64_C(0)

_Static_assert(NKVI_HITS == 0 && NKVI_MISSES == 1 && NKVI_INVALIDATIONS == 2 && NKVI_DIRTY == 3,
               "the first four totals are those of keys");

struct nkvi_key_bucket {
    _Alignas(64) _Atomic uint64_t ids[WAYS];
    _Atomic uint64_t counts[WAYS][KINDS];
};

bool nkvi_keystats_init(nkvi_keystats *stats, size_t keys)
{
    memset(stats, 0, sizeof *stats);
    if (pthread_mutex_init(&stats->mu, NULL) != 0) {
        return false;
    }
    if (keys == 0) {
        return true;
    }
    size_t buckets = 1;
    while (buckets <= keys / WAYS / 2) {
        buckets *= 2;
    }
    stats->ways = keys < WAYS ? (unsigned)keys : WAYS;
    stats->mask = buckets - 1;
    stats->buckets = buckets <= SIZE_MAX / sizeof(nkvi_key_bucket)
                         ? nkvi_alloc_aligned(64, buckets * sizeof(nkvi_key_bucket))
                         : NULL;
    if (stats->buckets == NULL) {
        pthread_mutex_destroy(&stats->mu);
        return false;
    }
    memset(stats->buckets, 0, buckets * sizeof(nkvi_key_bucket));
    return true;
}

void nkvi_keystats_clear(nkvi_keystats *stats)
{
    nkvi_free(stats->buckets);
    pthread_mutex_destroy(&stats->mu);
}

static uint64_t load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static nkvi_key_bucket *bucket_of(const nkvi_keystats *stats, uint64_t id)
{
    return &stats->buckets[(id >> 8) & stats->mask];
}

/* The place of the key, or WAYS. */
static unsigned find(const nkvi_keystats *stats, const nkvi_key_bucket *bucket, uint64_t id)
{
    for (unsigned way = 0; way < stats->ways; way++) {
        if (load(&bucket->ids[way]) == id) {
            return way;
        }
    }
    return WAYS;
}

/* A free place, taken for the key, or WAYS. */
static unsigned claim(const nkvi_keystats *stats, nkvi_key_bucket *bucket, uint64_t id)
{
    for (unsigned way = 0; way < stats->ways; way++) {
        uint64_t none = NONE;
        if (atomic_compare_exchange_strong_explicit(&bucket->ids[way], &none, id,
                                                    memory_order_relaxed, memory_order_relaxed) ||
            none == id) {
            return way;
        }
    }
    return WAYS;
}

static uint64_t events(const nkvi_key_bucket *bucket, unsigned way)
{
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        sum += load(&bucket->counts[way][kind]);
    }
    return sum;
}

static void empty(nkvi_key_bucket *bucket, unsigned way)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        atomic_store_explicit(&bucket->counts[way][kind], 0, memory_order_relaxed);
    }
}

/* Displaces the key that was counted least. */
static unsigned displace(nkvi_keystats *stats, nkvi_key_bucket *bucket, uint64_t id)
{
    pthread_mutex_lock(&stats->mu);
    unsigned least = find(stats, bucket, id);
    if (least == WAYS) {
        least = 0;
        for (unsigned way = 1; way < stats->ways; way++) {
            if (events(bucket, way) < events(bucket, least)) {
                least = way;
            }
        }
        empty(bucket, least);
        atomic_store_explicit(&bucket->ids[least], id, memory_order_relaxed);
    }
    pthread_mutex_unlock(&stats->mu);
    return least;
}

void nkvi_keystats_count(nkvi_keystats *stats, uint64_t id, nkvi_counted which)
{
    if (stats->buckets == NULL) {
        return;
    }
    id = id == NONE ? 1 : id;
    nkvi_key_bucket *bucket = bucket_of(stats, id);
    unsigned way = find(stats, bucket, id);
    if (way == WAYS) {
        way = claim(stats, bucket, id);
    }
    if (way == WAYS && which != NKVI_HITS) {
        way = displace(stats, bucket, id);
    }
    if (way != WAYS) {
        atomic_fetch_add_explicit(&bucket->counts[way][which], 1, memory_order_relaxed);
    }
}

void nkvi_keystats_fetch(const nkvi_keystats *stats, uint64_t id)
{
    if (stats->buckets != NULL) {
        __builtin_prefetch(bucket_of(stats, id == NONE ? 1 : id));
    }
}

bool nkvi_keystats_read(const nkvi_keystats *stats, uint64_t id, nkv_key_stats *out)
{
    memset(out, 0, sizeof *out);
    if (stats->buckets == NULL) {
        return false;
    }
    id = id == NONE ? 1 : id;
    const nkvi_key_bucket *bucket = bucket_of(stats, id);
    unsigned way = find(stats, bucket, id);
    if (way == WAYS) {
        return false;
    }
    out->hits = load(&bucket->counts[way][NKVI_HITS]);
    out->misses = load(&bucket->counts[way][NKVI_MISSES]);
    out->invalidations = load(&bucket->counts[way][NKVI_INVALIDATIONS]);
    out->dirty = load(&bucket->counts[way][NKVI_DIRTY]);
    return true;
}

void nkvi_keystats_forget(nkvi_keystats *stats)
{
    pthread_mutex_lock(&stats->mu);
    for (uint64_t i = 0; stats->buckets != NULL && i <= stats->mask; i++) {
        for (unsigned way = 0; way < WAYS; way++) {
            atomic_store_explicit(&stats->buckets[i].ids[way], NONE, memory_order_relaxed);
            empty(&stats->buckets[i], way);
        }
    }
    pthread_mutex_unlock(&stats->mu);
}
