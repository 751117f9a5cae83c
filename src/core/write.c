/* core/write.c - own writes: what keeps a read that overlaps a write out of the cache (I2, P2).
 *
 * The order inside begin and end matters.  A fill checks the fence under the lock of the cache,
 * which the invalidation takes too: so a fill either comes before the invalidation, and is dropped
 * by it, or sees the fence moved, and is refused.  That is why the fence moves first at the end of
 * a write as well. */
#include "core/cache.h"

static uint64_t key_hash_in(nkv_cache *cache, uint32_t space, nkv_str key)
{
    nkvi_query query = {.key = key, .space = space};
    nkvi_query_hash(cache, &query);
    return query.key_hash;
}

uint32_t nkvi_cache_write_begin(nkv_cache *cache, nkv_str key)
{
    uint32_t spaces = nkvi_cache_space_count(cache);
    for (uint32_t space = 0; space < spaces; space++) {
        nkvi_fence_write_begin(nkvi_cache_space_fence(cache, space),
                               key_hash_in(cache, space, key));
        (void)nkvi_cache_invalidate(cache, space, key);
    }
    return spaces;
}

void nkvi_cache_write_end(nkv_cache *cache, nkv_str key, uint32_t spaces)
{
    uint32_t now = nkvi_cache_space_count(cache);
    for (uint32_t space = 0; space < now; space++) {
        nkvi_fence *fence = nkvi_cache_space_fence(cache, space);
        uint64_t hash = key_hash_in(cache, space, key);
        if (space < spaces) {
            nkvi_fence_write_end(fence, hash);
        } else {
            nkvi_fence_touch(fence, hash); /* opened while the write was under way */
        }
        (void)nkvi_cache_drop(cache, space, key);
    }
}

void nkvi_cache_flush_own(nkv_cache *cache)
{
    for (uint32_t space = 0; space < nkvi_cache_space_count(cache); space++) {
        nkvi_fence_touch_all(nkvi_cache_space_fence(cache, space));
        nkvi_cache_flush(cache, space);
    }
}
