/* core/write.c - own writes: what keeps a read that overlaps a write out of the cache (I2, P2).
 *
 * The order inside begin and end matters.  A fill checks the fence under the lock of the cache,
 * which the invalidation takes too: so a fill either comes before the invalidation, and is dropped
 * by it, or sees the fence moved, and is refused.  That is why the fence moves first at the end of
 * a write as well. */
#include "base/mem.h"
#include "core/cache_impl.h"

static nkvi_query query_in(nkv_cache *cache, uint32_t space, nkv_str key)
{
    nkvi_query query = {.key = key, .space = space};
    nkvi_query_hash(cache, &query);
    return query;
}

uint32_t nkvi_cache_write_begin(nkv_cache *cache, nkv_str key)
{
    uint32_t spaces = nkvi_cache_space_count(cache);
    for (uint32_t space = 0; space < spaces; space++) {
        nkvi_query query = query_in(cache, space, key);
        nkvi_fence_write_begin(nkvi_cache_space_fence(cache, space), query.key_hash);
        (void)nkvi_cache_remove_key(cache, &query);
        if (space == 0) {
            nkvi_cache_count_key(cache, &query,
                                 NKVI_INVALIDATIONS); /* a key, however many spaces */
        }
    }
    return spaces;
}

nkvi_written *nkvi_cache_written(nkv_cache *cache)
{
    pthread_mutex_lock(&cache->mu);
    nkvi_written *written = atomic_load(&cache->written);
    if (written == NULL) {
        written = nkvi_alloc(sizeof *written);
        if (written != NULL) {
            nkvi_written_init(written, cache->seed);
            atomic_store(&cache->written, written);
        }
    }
    pthread_mutex_unlock(&cache->mu);
    return written;
}

void nkvi_cache_write_end(nkv_cache *cache, nkv_str key, uint32_t spaces)
{
    nkvi_written *written = atomic_load(&cache->written);
    if (written != NULL) {
        nkvi_written_note(written, key);
    }
    uint32_t now = nkvi_cache_space_count(cache);
    for (uint32_t space = 0; space < now; space++) {
        nkvi_fence *fence = nkvi_cache_space_fence(cache, space);
        nkvi_query query = query_in(cache, space, key);
        if (space < spaces) {
            nkvi_fence_write_end(fence, query.key_hash);
        } else {
            nkvi_fence_touch(fence, query.key_hash); /* opened while the write was under way */
        }
        (void)nkvi_cache_remove_key(cache, &query);
    }
}

void nkvi_cache_flush_own(nkv_cache *cache)
{
    nkvi_written *written = atomic_load(&cache->written);
    if (written != NULL) {
        nkvi_written_note_all(written);
    }
    for (uint32_t space = 0; space < nkvi_cache_space_count(cache); space++) {
        nkvi_fence_touch_all(nkvi_cache_space_fence(cache, space));
        nkvi_cache_flush(cache, space);
    }
}
