/* core/cache_read.c - lookups, and counting what became of them. */
#include "core/cache_impl.h"

#include <assert.h>

#include "base/hash.h"

void nkvi_query_hash(const nkv_cache *cache, nkvi_query *query)
{
    query->key_id = nkvi_hash(query->key.data, query->key.len, cache->seed);
    query->key_hash = nkvi_hash_mix(query->key_id, query->space);
    query->hash = query->key_hash;
    if (query->command.len > 0) {
        query->hash = nkvi_hash_mix(
            query->key_hash, nkvi_hash(query->command.data, query->command.len, cache->seed));
    }
}

#define STAGE 16u /* queries whose memory is on its way at once */

/* ---- Lookups --------------------------------------------------------------------------------- */

/* Moves the keys of the hits to the front; the last one first, so that the beginning of a prefix,
 * which every longer one needs, outlives its end.
 * @locks mu */
static void promote(nkv_cache *cache, const nkvi_found *found, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        if (found[i - 1].value == NULL) {
            continue;
        }
        const nkvi_slot *slot = (const nkvi_slot *)(const void *)found[i - 1].value;
        uint64_t meta = atomic_load_explicit(&slot->value.meta, memory_order_relaxed);
        if (nkvi_state(meta) == NKVI_STATE_VISIBLE) {
            nkvi_policy_use(&cache->policy,
                            atomic_load_explicit(&slot->head, memory_order_relaxed));
        }
    }
}

/* The queries in stages: fetch what some will look at, then answer them in order. */
static size_t find_all(nkv_cache *cache, const nkvi_lookup *lookup)
{
    nkvi_index *index = cache->index;
    for (size_t done = 0; done < lookup->n; done += STAGE) {
        size_t end = lookup->n - done < STAGE ? lookup->n : done + STAGE;
        if (end - done > 1) {
            index->ops->fetch(index, &cache->view, lookup->queries + done, end - done);
        }
        for (size_t i = done; i < end; i++) {
            index->ops->find(index, &cache->view, &lookup->queries[i], lookup->now_ns,
                             &lookup->found[i]);
            if (!nkvi_lookup_goes_on(lookup, i)) {
                return i + 1;
            }
        }
    }
    return lookup->n;
}

static size_t find_locked(nkv_cache *cache, const nkvi_lookup *lookup)
{
    size_t looked = 0;
    bool lock_free = cache->index->ops->lock_free;
    if (lock_free) {
        looked = find_all(cache, lookup);
    }
    pthread_mutex_lock(&cache->mu);
    if (!lock_free) {
        looked = find_all(cache, lookup);
    }
    if (cache->exact) {
        promote(cache, lookup->found, looked);
    }
    pthread_mutex_unlock(&cache->mu);
    return looked;
}

void nkvi_cache_find(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                     nkvi_found *found)
{
    if (cache->free_reads && n == 1) {
        cache->index->ops->find(cache->index, &cache->view, queries, now_ns, found);
        return;
    }
    (void)nkvi_cache_find_while(cache, queries, n, now_ns, found, NULL);
}

size_t nkvi_cache_find_while(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                             nkvi_found *found, bool (*go_on)(const nkv_value *value))
{
    if (cache->index == NULL) {
        return nkvi_wrapped_find(cache, queries, n, now_ns, found, go_on);
    }
    const nkvi_lookup lookup = {queries, n, now_ns, found, go_on};
    return cache->free_reads ? find_all(cache, &lookup) : find_locked(cache, &lookup);
}

/* ---- Counting -------------------------------------------------------------------------------- */

void nkvi_cache_count_key(nkv_cache *cache, const nkvi_query *query, nkvi_counted what)
{
    nkvi_totals_add(&cache->totals, what, 1);
    nkvi_keystats_count(&cache->keystats, query->key_id, what);
}

void nkvi_cache_count(nkv_cache *cache, const nkvi_query *query, nkvi_count what)
{
    nkvi_cache_count_key(cache, query, what == NKVI_COUNT_HIT ? NKVI_HITS : NKVI_MISSES);
}

void nkvi_cache_count_hits(nkv_cache *cache, const nkvi_query *queries, nkv_value *const *values,
                           size_t n)
{
    size_t hits = 0;
    for (size_t i = 0; i < n; i++) {
        nkvi_keystats_fetch(&cache->keystats, queries[i].key_id);
    }
    for (size_t i = 0; i < n; i++) {
        if (values[i] != NULL) {
            nkvi_keystats_count(&cache->keystats, queries[i].key_id, NKVI_HITS);
            hits++;
        }
    }
    if (hits > 0) {
        nkvi_totals_add(&cache->totals, NKVI_HITS, hits);
    }
}

bool nkvi_cache_must_validate(nkv_cache *cache, uint64_t random)
{
    double percent = nkv_cache_confidence(cache);
    return percent < 100.0 && nkvi_confidence_doubts(percent, random);
}

bool nkvi_cache_healthy(nkv_cache *cache)
{
    return cache->ops.healthy == NULL || cache->ops.healthy(cache->self) != 0;
}
