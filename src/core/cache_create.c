/* core/cache_create.c - making caches, and their end.
 *
 * The end: nothing leads into the cache any more, so every answer is dropped; what readers still
 * hold keeps the store (and only that) until they let go. */
#include <math.h>

#include "base/hash.h"
#include "base/status.h"
#include "core/cache_impl.h"

#define KEYS_DEFAULT     4096
#define BYTES_DEFAULT    ((int64_t)64 << 20)
#define COUNTERS_DEFAULT 1024
#define COUNTERS_MAX     ((size_t)1 << 28)
#define EXACT_KEYS_MAX   1024 /* up to here a lock on every hit does not matter */

void nkv_cache_options_init_sized(nkv_cache_options *options, size_t size)
{
    const nkv_cache_options defaults = {
        .struct_size = size,
        .keys_max = KEYS_DEFAULT,
        .bytes_max = BYTES_DEFAULT,
        .entry_bytes_max = 0,
        .policy = NKV_POLICY_LRU,
        .strict = 0,
        .index = NKV_INDEX_CHUNKED,
        .confidence = 100.0,
        .dynamic_confidence = 0,
        .key_counters = COUNTERS_DEFAULT,
    };
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

static nkv_status check(const nkv_cache_options *options, nkv_error *error)
{
    if (options->entry_bytes_max < 0) {
        return nkvi_fail(error, NKV_EINVAL,
                         "entry_bytes_max is %lld: 0 (half of bytes_max) or more",
                         (long long)options->entry_bytes_max);
    }
    if (options->policy != NKV_POLICY_LRU && options->policy != NKV_POLICY_S3FIFO) {
        return nkvi_fail(error, NKV_EINVAL, "policy is %d: NKV_POLICY_LRU or NKV_POLICY_S3FIFO",
                         (int)options->policy);
    }
    if (options->index != NKV_INDEX_CHUNKED && options->index != NKV_INDEX_UTHASH) {
        return nkvi_fail(error, NKV_EINVAL, "index is %d: NKV_INDEX_CHUNKED or NKV_INDEX_UTHASH",
                         (int)options->index);
    }
    if (options->strict != 0 && options->strict != 1) {
        return nkvi_fail(error, NKV_EINVAL, "strict is %d: 0 or 1", options->strict);
    }
    if (options->dynamic_confidence != 0 && options->dynamic_confidence != 1) {
        return nkvi_fail(error, NKV_EINVAL, "dynamic_confidence is %d: 0 or 1",
                         options->dynamic_confidence);
    }
    if (isnan(options->confidence) || options->confidence < 0 || options->confidence > 100) {
        return nkvi_fail(error, NKV_EINVAL, "confidence is %g: a percentage, 0 to 100",
                         options->confidence);
    }
    if (options->key_counters > COUNTERS_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "key_counters is %zu: at most %zu",
                         options->key_counters, COUNTERS_MAX);
    }
    return NKV_OK;
}

/* ---- The parts ------------------------------------------------------------------------------- */

static uint64_t limit(int64_t option)
{
    return option < 0 ? NKVI_UNBOUNDED : (uint64_t)option;
}

/* What both kinds of caches have. */
static bool init_common(nkv_cache *cache, const nkv_cache_options *options)
{
    memset(cache, 0, sizeof *cache);
    atomic_init(&cache->refs, 1);
    cache->seed = nkvi_random_seed();
    nkvi_confidence_init(&cache->confidence, options->confidence, options->dynamic_confidence != 0);
    if (pthread_mutex_init(&cache->mu, NULL) != 0) {
        return false;
    }
    if (!nkvi_owners_init(&cache->owners)) {
        goto no_owners;
    }
    if (!nkvi_spaces_init(&cache->spaces)) {
        goto no_spaces;
    }
    if (!nkvi_keystats_init(&cache->keystats, options->key_counters)) {
        goto no_keystats;
    }
    cache->view.owners = &cache->owners;
    cache->view.spaces = &cache->spaces;
    return true;
no_keystats:
    nkvi_spaces_clear(&cache->spaces);
no_spaces:
    nkvi_owners_clear(&cache->owners);
no_owners:
    pthread_mutex_destroy(&cache->mu);
    return false;
}

static void clear_common(nkv_cache *cache)
{
    nkvi_keystats_clear(&cache->keystats);
    nkvi_spaces_clear(&cache->spaces);
    nkvi_owners_clear(&cache->owners);
    nkvi_free(atomic_load(&cache->written));
    pthread_mutex_destroy(&cache->mu);
}

static bool init_table(nkv_cache *cache, const nkv_cache_options *options)
{
    uint64_t bytes_max = limit(options->bytes_max);
    cache->keys_max = limit(options->keys_max);
    cache->off = options->keys_max == 0 || options->bytes_max == 0;
    cache->entry_bytes_max = (uint64_t)options->entry_bytes_max;
    if (cache->entry_bytes_max == 0) {
        cache->entry_bytes_max = bytes_max == NKVI_UNBOUNDED ? bytes_max : bytes_max / 2;
    }
    bool exact = options->strict != 0 || cache->keys_max <= EXACT_KEYS_MAX;
    uint64_t keys = cache->keys_max == NKVI_UNBOUNDED ? 0 : cache->keys_max;
    nkvi_store *store = nkvi_store_create(bytes_max, keys);
    if (store == NULL) {
        return false;
    }
    cache->view.store = store;
    cache->index = options->index == NKV_INDEX_UTHASH ? nkvi_index_uthash_create(store, keys)
                                                      : nkvi_index_chunked_create(store, keys);
    if (cache->index == NULL) {
        nkvi_store_unhold(store);
        return false;
    }
    nkvi_policy_init(&cache->policy, store, options->policy, exact);
    cache->exact = cache->policy.exact;
    cache->free_reads = cache->index->ops->lock_free && !cache->exact;
    return true;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static nkv_cache *alloc_cache(void)
{
    return nkvi_alloc_aligned(_Alignof(nkv_cache), sizeof(nkv_cache));
}

nkv_status nkv_cache_create(const nkv_cache_options *options, nkv_cache **out, nkv_error *error)
{
    *out = NULL;
    nkv_cache_options all;
    nkv_cache_options_init(&all);
    if (options != NULL) {
        if (options->struct_size < sizeof options->struct_size) {
            return nkvi_fail(error, NKV_EINVAL,
                             "the options were not set up with nkv_cache_options_init()");
        }
        size_t size = options->struct_size < sizeof all ? options->struct_size : sizeof all;
        memcpy(&all, options, size);
    }
    nkv_status status = check(&all, error);
    if (status != NKV_OK) {
        return status;
    }
    nkv_cache *cache = alloc_cache();
    if (cache == NULL || !init_common(cache, &all)) {
        nkvi_free(cache);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a cache");
    }
    if (!init_table(cache, &all)) {
        clear_common(cache);
        nkvi_free(cache);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a cache");
    }
    *out = cache;
    return NKV_OK;
}

nkv_status nkv_cache_wrap(const nkv_cache_ops *ops, void *self, nkv_cache **out, nkv_error *error)
{
    *out = NULL;
    nkv_cache_ops own = {0};
    memcpy(&own, ops, ops->struct_size < sizeof own ? ops->struct_size : sizeof own);
    if (own.get == NULL || own.put == NULL || own.invalidate == NULL || own.reset == NULL) {
        return nkvi_fail(error, NKV_EINVAL,
                         "a table needs get, put, invalidate and reset, and its struct_size");
    }
    nkv_cache_options options;
    nkv_cache_options_init(&options);
    nkv_cache *cache = alloc_cache();
    if (cache == NULL || !init_common(cache, &options)) {
        nkvi_free(cache);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a cache");
    }
    cache->ops = own;
    cache->self = self;
    *out = cache;
    return NKV_OK;
}

/* ---- The end --------------------------------------------------------------------------------- */

nkv_cache *nkv_cache_retain(nkv_cache *cache)
{
    atomic_fetch_add_explicit(&cache->refs, 1, memory_order_relaxed);
    return cache;
}

static void destroy(nkv_cache *cache)
{
    if (cache->index != NULL) {
        nkvi_store *store = cache->view.store;
        nkvi_entry_clear(cache);
        cache->index->ops->destroy(cache->index);
        nkvi_policy_clear(&cache->policy);
        nkvi_pool_close(&store->pool);
        nkvi_store_unhold(store);
    } else if (cache->ops.destroy != NULL) {
        cache->ops.destroy(cache->self);
    }
    clear_common(cache);
    nkvi_free(cache);
}

void nkv_cache_release(nkv_cache *cache)
{
    if (cache != NULL && atomic_fetch_sub_explicit(&cache->refs, 1, memory_order_acq_rel) == 1) {
        destroy(cache);
    }
}
