/* core/cache_drop.c - everything that makes answers unusable: invalidations, flushes, lost owners.
 *
 * A flush and a lost owner are one addition each: lookups compare.  What became unusable is freed
 * by a sweep that puts and the housekeeping push on, a few slots at a time. */
#include "core/cache_impl.h"

/* ---- Keys ------------------------------------------------------------------------------------ */

static nkvi_query query_of(const nkv_cache *cache, uint32_t space, nkv_str key)
{
    nkvi_query query = {.key = key, .space = space};
    nkvi_query_hash(cache, &query);
    return query;
}

size_t nkvi_cache_remove_key(nkv_cache *cache, const nkvi_query *query)
{
    if (query->space >= nkvi_parray_count(&cache->spaces.all)) {
        return 0;
    }
    if (cache->index == NULL) {
        nkvi_wrapped_drop(cache, query->space, query->key);
        return 0;
    }
    uint32_t chain = 0;
    size_t gone = 0;
    pthread_mutex_lock(&cache->mu);
    uint64_t realm = nkvi_realm_of(&cache->spaces, query->space);
    uint32_t head = nkvi_entry_head(cache, query, realm);
    if (head != 0) {
        gone = nkvi_entry_remove_key(cache, head, &chain);
    }
    pthread_mutex_unlock(&cache->mu);
    nkvi_store_finish_all(cache->view.store, chain);
    return gone;
}

size_t nkvi_cache_invalidate(nkv_cache *cache, uint32_t space, nkv_str key)
{
    nkvi_query query = query_of(cache, space, key);
    nkvi_cache_count_key(cache, &query, NKVI_INVALIDATIONS);
    return nkvi_cache_remove_key(cache, &query);
}

void nkv_cache_feedback(nkv_cache *cache, uint32_t space, nkv_str key, int match)
{
    nkvi_confidence_feedback(&cache->confidence, match != 0);
    if (match == 0) {
        nkvi_query query = query_of(cache, space, key);
        nkvi_cache_count_key(cache, &query, NKVI_DIRTY);
        nkvi_cache_count_key(cache, &query, NKVI_INVALIDATIONS);
        (void)nkvi_cache_remove_key(cache, &query);
    }
    if (cache->ops.feedback != NULL) {
        cache->ops.feedback(cache->self, space, key, match);
    }
}

/* ---- Whole spaces ---------------------------------------------------------------------------- */

static void wish_sweep(nkv_cache *cache)
{
    atomic_fetch_add_explicit(&cache->sweep_wish, 1, memory_order_release);
}

/* @locks mu */
static void flush_space(nkv_cache *cache, uint32_t number)
{
    nkvi_space *space = nkvi_space_at(&cache->spaces, number);
    atomic_fetch_add(&space->realm, 1);
    uint64_t keys = atomic_exchange_explicit(&space->keys, 0, memory_order_relaxed);
    atomic_fetch_sub_explicit(&cache->live, keys, memory_order_relaxed);
}

void nkvi_cache_flush(nkv_cache *cache, uint32_t space)
{
    if (space >= nkvi_parray_count(&cache->spaces.all)) {
        return;
    }
    pthread_mutex_lock(&cache->mu);
    flush_space(cache, space);
    pthread_mutex_unlock(&cache->mu);
    wish_sweep(cache);
    if (cache->index == NULL) {
        nkvi_wrapped_reset(cache, space);
    }
    nkvi_totals_add(&cache->totals, NKVI_FLUSHES, 1);
}

void nkv_cache_reset(nkv_cache *cache)
{
    uint32_t spaces = nkvi_parray_count(&cache->spaces.all);
    pthread_mutex_lock(&cache->mu);
    for (uint32_t i = 0; i < spaces; i++) {
        flush_space(cache, i);
    }
    pthread_mutex_unlock(&cache->mu);
    wish_sweep(cache);
    if (cache->index == NULL) {
        nkvi_wrapped_reset(cache, UINT32_MAX);
    }
    nkvi_confidence_reset(&cache->confidence);
    nkvi_totals_add(&cache->totals, NKVI_FLUSHES, 1);
}

bool nkvi_cache_tidy(nkv_cache *cache, int64_t now_ns, size_t entries)
{
    if (cache->index == NULL) {
        return false;
    }
    uint32_t chain = 0;
    pthread_mutex_lock(&cache->mu);
    nkvi_entry_sweep(cache, now_ns, entries, &chain);
    bool more = nkvi_entry_sweeping(cache);
    pthread_mutex_unlock(&cache->mu);
    nkvi_store_finish_all(cache->view.store, chain);
    return more;
}

/* ---- Owners and spaces ----------------------------------------------------------------------- */

nkvi_moves *nkvi_cache_moves_open(nkv_cache *cache)
{
    return nkvi_moves_open(&cache->owners);
}

void nkvi_cache_moves_close(nkv_cache *cache, nkvi_moves *moves)
{
    nkvi_moves_close(&cache->owners, moves);
}

void nkvi_cache_slot_moved(nkv_cache *cache, nkvi_moves *moves, uint16_t hash_slot)
{
    nkvi_moves_add(moves, hash_slot);
    wish_sweep(cache);
}

nkvi_owner *nkvi_cache_owner_open(nkv_cache *cache, const nkvi_moves *moves)
{
    return nkvi_owners_open(&cache->owners, moves);
}

uint32_t nkvi_cache_owner_count(const nkv_cache *cache)
{
    return atomic_load(&cache->owners.open);
}

void nkvi_cache_owner_close(nkv_cache *cache, nkvi_owner *owner)
{
    nkvi_cache_owner_end(cache, owner);
    nkvi_owners_close(&cache->owners, owner);
}

uint64_t nkvi_cache_owner_begin(nkv_cache *cache, nkvi_owner *owner, int64_t fresh_until_ns)
{
    (void)cache;
    return nkvi_owner_begin(owner, fresh_until_ns);
}

void nkvi_cache_owner_end(nkv_cache *cache, nkvi_owner *owner)
{
    if (nkvi_owner_end(owner)) {
        wish_sweep(cache);
        if (cache->index == NULL) {
            nkvi_wrapped_owner_end(cache, owner);
        }
    }
}

bool nkvi_cache_space_open(nkv_cache *cache, nkv_str name, uint32_t *space, nkvi_fence **fence)
{
    if (!nkvi_spaces_open(&cache->spaces, name, space)) {
        return false;
    }
    if (fence != NULL) {
        *fence = nkvi_cache_space_fence(cache, *space);
    }
    return true;
}

uint32_t nkvi_cache_space_count(const nkv_cache *cache)
{
    return nkvi_parray_count(&cache->spaces.all);
}

nkvi_fence *nkvi_cache_space_fence(nkv_cache *cache, uint32_t space)
{
    return &nkvi_space_at(&cache->spaces, space)->fence;
}
