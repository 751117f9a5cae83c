/* core/cache_stats.c - the numbers of a cache, and its confidence. */
#include "base/hash.h"
#include "core/cache_impl.h"

static uint64_t total(const nkv_cache *cache, nkvi_counted which)
{
    return nkvi_totals_sum(&cache->totals, which);
}

void nkv_cache_get_stats(nkv_cache *cache, nkv_cache_stats *stats)
{
    *stats = (nkv_cache_stats){
        .hits = total(cache, NKVI_HITS),
        .misses = total(cache, NKVI_MISSES),
        .invalidations = total(cache, NKVI_INVALIDATIONS),
        .dirty = total(cache, NKVI_DIRTY),
        .puts = total(cache, NKVI_PUTS),
        .puts_refused = total(cache, NKVI_PUTS_REFUSED),
        .evictions = total(cache, NKVI_EVICTIONS),
        .expirations = total(cache, NKVI_EXPIRATIONS),
        .flushes = total(cache, NKVI_FLUSHES),
        .keys = atomic_load_explicit(&cache->live, memory_order_relaxed),
    };
    if (cache->index != NULL) {
        const nkvi_store *store = cache->view.store;
        stats->bytes = nkvi_meter_used(&store->meter);
        stats->pinned_bytes = atomic_load_explicit(&store->pinned_bytes, memory_order_relaxed);
    } else if (cache->ops.stats != NULL) {
        cache->ops.stats(cache->self, stats);
    }
}

void nkv_cache_clear_stats(nkv_cache *cache)
{
    nkvi_totals_clear(&cache->totals);
    nkvi_keystats_forget(&cache->keystats);
}

nkv_status nkv_cache_key_stats(nkv_cache *cache, nkv_str key, nkv_key_stats *stats)
{
    nkvi_query query = {.key = key};
    nkvi_query_hash(cache, &query);
    return nkvi_keystats_read(&cache->keystats, query.key_id, stats) ? NKV_OK : NKV_MISS;
}

void nkv_cache_compact_stats(nkv_cache *cache)
{
    nkvi_keystats_forget(&cache->keystats);
}

double nkv_cache_confidence(nkv_cache *cache)
{
    return cache->ops.confidence != NULL ? cache->ops.confidence(cache->self)
                                         : nkvi_confidence_now(&cache->confidence);
}
