/* core/cache_put.c - storing answers, and making room for them.
 *
 *      reserve bytes --> make name and record --> lock: may it be stored? enter it
 *        | too few              no lock held         ^           | no slot, no room in the index
 *        v                                           |           v
 *      throw out spares, then keys; free them        +-- unlock, free what was thrown out
 *
 * Whether the answer may be stored is asked under the lock that invalidations take: so either it is
 * stored first, and they drop it, or they come first, and the token is broken (I2). */
#include "core/cache_impl.h"

#include <assert.h>

#define SWEEP_PER_PUT 8u /* slots a put looks at while something dead is known to be there */

/* ---- Room ------------------------------------------------------------------------------------ */

/* Whether throwing out all that can be would do. */
static bool worth_it(const nkv_cache *cache, uint64_t bytes)
{
    const nkvi_meter *meter = &cache->view.store->meter;
    uint64_t used = nkvi_meter_used(meter);
    uint64_t goes = cache->visible_bytes + cache->keys * cache->index->ops->entry_bytes;
    uint64_t stays = used > goes ? used - goes : 0;
    return stays <= meter->max && bytes <= meter->max - stays;
}

bool nkvi_cache_reserve(nkv_cache *cache, uint64_t bytes)
{
    nkvi_store *store = cache->view.store;
    while (!nkvi_meter_add(&store->meter, bytes)) {
        if (nkvi_pool_shrink(store, bytes)) {
            continue;
        }
        uint32_t chain = 0;
        uint64_t gone = 0;
        pthread_mutex_lock(&cache->mu);
        bool some = worth_it(cache, bytes);
        while (some && gone < bytes) {
            some = nkvi_entry_evict(cache, &chain, &gone);
        }
        pthread_mutex_unlock(&cache->mu);
        nkvi_store_finish_all(store, chain);
        if (gone == 0) {
            return false;
        }
    }
    return true;
}

void *nkvi_cache_buffer(nkv_cache *cache, size_t size)
{
    nkvi_store *store = cache->view.store;
    if (store == NULL) {
        return NULL;
    }
    void *buffer = nkvi_pool_take(store, size);
    /* What is thrown out may be a buffer of the very size, and become a spare: so ask the pool
     * first. */
    while (buffer == NULL) {
        uint32_t chain = 0;
        uint64_t gone = 0;
        pthread_mutex_lock(&cache->mu);
        bool some = worth_it(cache, size) && nkvi_entry_evict(cache, &chain, &gone);
        pthread_mutex_unlock(&cache->mu);
        nkvi_store_finish_all(store, chain);
        buffer = nkvi_pool_take(store, size);
        if (buffer == NULL && !nkvi_pool_shrink(store, size) && !some) {
            break;
        }
    }
    return buffer != NULL ? buffer : nkvi_pool_take_unmetered(store, size);
}

/* Throws one key out, with the lock let go and taken again; false: there was none, and nothing else
 * was given back either. */
static bool evict_one(nkv_cache *cache, uint32_t *chain)
{
    uint64_t bytes = 0;
    bool evicted = nkvi_entry_evict(cache, chain, &bytes) || *chain != 0;
    pthread_mutex_unlock(&cache->mu);
    nkvi_store_finish_all(cache->view.store, *chain);
    *chain = 0;
    pthread_mutex_lock(&cache->mu);
    return evicted;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static bool name_fits(const nkvi_query *query)
{
    return query->key.len + query->command.len <= NKVI_NAME_BYTES;
}

static size_t long_name_bytes(const nkvi_query *query)
{
    return sizeof(nkvi_long_name) + query->key.len + query->command.len;
}

static bool from_own_pool(const nkv_cache *cache, const nkvi_draft *draft, uint64_t *cost)
{
    *cost = draft->free_fn == nkvi_pool_give && draft->block != NULL
                ? nkvi_pool_cost(cache->view.store, draft->block)
                : 0;
    return *cost > 0;
}

/* Bytes that the entry will hold; *reserved: those of them that are not in the meter yet. */
static uint64_t charge_of(const nkv_cache *cache, const nkvi_query *query, const nkvi_draft *draft,
                          uint64_t *reserved)
{
    uint64_t record =
        draft->block != NULL && draft->free_fn != NULL ? nkvi_mem_cost(sizeof(nkvi_foreign)) : 0;
    uint64_t name = name_fits(query) ? 0 : nkvi_mem_cost(long_name_bytes(query));
    uint64_t block;
    *reserved = record + name;
    if (!from_own_pool(cache, draft, &block)) {
        block = draft->block != NULL ? nkvi_mem_cost(draft->block_bytes) : 0;
        *reserved += block;
    }
    return record + name + block;
}

static void unprepare(nkvi_filling *filling)
{
    if (filling->foreign) {
        nkvi_free(filling->block);
    }
    nkvi_free(filling->name);
}

static bool make_name(nkvi_filling *filling)
{
    const nkvi_query *query = filling->query;
    if (name_fits(query)) {
        return true;
    }
    filling->name = nkvi_alloc(long_name_bytes(query));
    if (filling->name == NULL) {
        return false;
    }
    filling->name->key_len = query->key.len;
    filling->name->command_len = query->command.len;
    if (query->key.len > 0) {
        memcpy(filling->name->bytes, query->key.data, query->key.len);
    }
    if (query->command.len > 0) {
        memcpy(filling->name->bytes + query->key.len, query->command.data, query->command.len);
    }
    return true;
}

/* Makes what the slot will need besides the draft's block.  false: memory ran out. */
static bool prepare(nkvi_filling *filling, const nkvi_draft *draft)
{
    filling->root = draft->root;
    filling->block = draft->block;
    if (draft->block != NULL && draft->free_fn != NULL) {
        nkvi_foreign *foreign = nkvi_alloc(sizeof *foreign);
        if (foreign == NULL) {
            return false;
        }
        *foreign = (nkvi_foreign){draft->block, draft->free_fn, draft->free_ud};
        filling->block = foreign;
        filling->foreign = true;
    }
    if (!make_name(filling)) {
        unprepare(filling);
        return false;
    }
    return true;
}

/* ---- Storing --------------------------------------------------------------------------------- */

static bool may_be_stored(const nkv_cache *cache, const nkvi_filling *filling, int64_t now_ns)
{
    return filling->deadline_ns > now_ns && nkvi_stamp_stands(&cache->owners, filling->stamp) &&
           (filling->token == NULL || nkvi_fence_intact(filling->token));
}

/* Whether another owner's answer that still counts says something else.  Which of the two is newer
 * nobody can tell: each owner's stream has an order, two have none.  A third owner's may be on its
 * way and be the oldest, with nothing left to contradict: so all that were asked for are kept out.
 * @locks mu */
static bool contradicted(nkv_cache *cache, const nkvi_filling *filling, int64_t now_ns)
{
    if (nkvi_cache_owner_count(cache) <= 1) {
        return false;
    }
    uint64_t realm = nkvi_realm_of(&cache->spaces, filling->query->space);
    uint32_t at = nkvi_entry_find(cache, filling->query, realm);
    if (at == 0) {
        return false;
    }
    const nkv_value *other = &nkvi_slot_at(cache->view.store, at)->value;
    nkv_reply says = nkv_value_reply(other);
    bool differs = nkvi_stamp_owner(other->of.slot.stamp) != nkvi_stamp_owner(filling->stamp) &&
                   nkvi_stamp_stands(&cache->owners, other->of.slot.stamp) &&
                   other->of.slot.deadline_ns > now_ns && !nkvi_reply_same(&says, &filling->root);
    if (differs) {
        nkvi_fence_touch(nkvi_cache_space_fence(cache, filling->query->space),
                         filling->query->key_hash);
    }
    return differs;
}

/* Enters under the lock; 0: it may not, or cannot, be stored. */
static uint32_t store(nkv_cache *cache, const nkvi_filling *filling, int64_t now_ns)
{
    uint32_t index = 0;
    uint32_t chain = 0;
    pthread_mutex_lock(&cache->mu);
    if (nkvi_entry_sweeping(cache)) {
        nkvi_entry_sweep(cache, now_ns, SWEEP_PER_PUT, &chain);
    }
    while (may_be_stored(cache, filling, now_ns) && !contradicted(cache, filling, now_ns)) {
        if (nkvi_entry_enter(cache, filling, now_ns, &index, &chain) == NKVI_ENTERED ||
            !evict_one(cache, &chain)) {
            break;
        }
    }
    pthread_mutex_unlock(&cache->mu);
    nkvi_store_finish_all(cache->view.store, chain);
    return index;
}

/* Puts into the built-in cache; NULL: not stored, the draft is as it was. */
static nkv_value *put(nkv_cache *cache, const nkvi_query *query, const nkvi_draft *draft,
                      const nkvi_stamp *stamp, int64_t now_ns)
{
    uint64_t reserved;
    nkvi_filling filling = {
        .query = query,
        .charge = charge_of(cache, query, draft, &reserved),
        .stamp = nkvi_stamp_pack(stamp),
        .deadline_ns = stamp->deadline_ns,
        .token = stamp->token,
    };
    if (cache->off || stamp->generation % 2 == 0 || filling.charge > cache->entry_bytes_max ||
        !may_be_stored(cache, &filling, now_ns) || !nkvi_cache_reserve(cache, reserved)) {
        return NULL;
    }
    uint32_t index = 0;
    if (prepare(&filling, draft)) {
        index = store(cache, &filling, now_ns);
        if (index == 0) {
            unprepare(&filling);
        }
    }
    if (index == 0) {
        nkvi_meter_sub(&cache->view.store->meter, reserved);
        return NULL;
    }
    return &nkvi_slot_at(cache->view.store, index)->value;
}

void nkvi_cache_forget(nkv_cache *cache, const nkvi_query *query)
{
    if (cache->index == NULL) {
        nkvi_wrapped_drop(cache, query->space, query->key);
        return;
    }
    uint32_t chain = 0;
    pthread_mutex_lock(&cache->mu);
    uint32_t old = nkvi_entry_find(cache, query, nkvi_realm_of(&cache->spaces, query->space));
    if (old != 0) {
        nkvi_entry_remove(cache, old, &chain);
    }
    pthread_mutex_unlock(&cache->mu);
    nkvi_store_finish_all(cache->view.store, chain);
}

nkv_value *nkvi_cache_put(nkv_cache *cache, const nkvi_query *query, nkvi_draft *draft,
                          const nkvi_stamp *stamp, int64_t now_ns, bool *stored)
{
    bool kept = false;
    nkv_value *value;
    if (cache->index == NULL) {
        value = nkvi_wrapped_put(cache, query, draft, stamp, now_ns, &kept);
    } else {
        value = put(cache, query, draft, stamp, now_ns);
        kept = value != NULL;
        if (kept) {
            nkvi_draft_init(draft); /* the slot has taken the block */
        } else {
            nkvi_cache_forget(cache, query);
            value = nkvi_draft_seal(draft);
        }
    }
    nkvi_totals_add(&cache->totals, kept ? NKVI_PUTS : NKVI_PUTS_REFUSED, 1);
    if (stored != NULL) {
        *stored = kept;
    }
    return value;
}
