/* core/wrap.c - see wrap.h.
 *
 * put and invalidate of the table are called under the cache's lock, for the same reason for which
 * the built-in cache changes its own table under it: a fill either comes before the invalidation or
 * finds its token broken.  The table's contract forbids it to block or to call back. */
#include "core/wrap.h"

#include "core/cache_impl.h"

/* Whether the table's value is one that we gave it for the query, and its space still stands. */
static bool is_ours(const nkv_cache *cache, const nkvi_query *query, const nkv_value *value)
{
    const nkvi_stamped *stamped = (const nkvi_stamped *)(const void *)value;
    bool ours = (value->kind & (NKVI_KIND_STAMPED | NKVI_KIND_SLOT)) == NKVI_KIND_STAMPED;
    return ours && stamped->hash == query->hash &&
           stamped->realm == nkvi_realm_of(&cache->spaces, query->space);
}

/* Whether the table's value answers the query now: found gets it then, or it is released. */
static void judge(const nkv_cache *cache, const nkvi_query *query, int64_t now_ns, nkv_value *value,
                  nkvi_found *found)
{
    nkvi_found_none(found);
    if (value == NULL) {
        return;
    }
    const nkvi_stamped *stamped = (const nkvi_stamped *)(const void *)value;
    if (!is_ours(cache, query, value) ||
        !nkvi_stamp_vouched(&cache->owners, stamped->stamp, now_ns)) {
        found->outcome = NKVI_LAPSED;
    } else if (stamped->deadline_ns <= now_ns) {
        found->outcome = NKVI_EXPIRED;
    } else {
        found->outcome = NKVI_HIT;
        found->owner = nkvi_stamp_owner(stamped->stamp);
        found->value = value;
        return;
    }
    nkv_value_release(value);
}

size_t nkvi_wrapped_find(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                         nkvi_found *found, bool (*go_on)(const nkv_value *value))
{
    const nkvi_lookup lookup = {queries, n, now_ns, found, go_on};
    for (size_t i = 0; i < n; i++) {
        nkv_value *value =
            cache->ops.get(cache->self, queries[i].space, queries[i].key, queries[i].command);
        judge(cache, &queries[i], now_ns, value, &found[i]);
        if (!nkvi_lookup_goes_on(&lookup, i)) {
            return i + 1;
        }
    }
    return n;
}

static nkvi_stamped *seal(nkvi_draft *draft)
{
    nkvi_stamped *stamped = nkvi_alloc(sizeof *stamped);
    if (stamped == NULL) {
        return NULL;
    }
    memset(stamped, 0, sizeof *stamped);
    nkv_value *value = &stamped->value;
    atomic_store_explicit(&value->meta, 1, memory_order_relaxed);
    nkvi_value_set(value, &draft->root);
    value->kind |= NKVI_KIND_STAMPED;
    value->of.heap.block = draft->block;
    value->of.heap.block_bytes = draft->block_bytes;
    value->of.heap.free_fn = draft->free_fn;
    value->of.heap.free_ud = draft->free_ud;
    nkvi_draft_init(draft);
    return stamped;
}

/* Remembers in which space an owner vouches, for the day it is lost. */
static void note_space(const nkvi_owner *owner, uint32_t space)
{
    nkvi_owner_slot *slot = (nkvi_owner_slot *)(uintptr_t)owner;
    uint64_t none = 0;
    uint64_t mine = (uint64_t)space + 1;
    if (!atomic_compare_exchange_strong_explicit(&slot->spaces_used, &none, mine,
                                                 memory_order_relaxed, memory_order_relaxed) &&
        none != mine) {
        atomic_store_explicit(&slot->spaces_used, UINT64_MAX, memory_order_relaxed);
    }
}

/* As in cache_put.c: another owner's answer says something else, and all that were asked for are
 * kept out.
 * @locks mu */
static bool contradicted(nkv_cache *cache, const nkvi_query *query, const nkvi_stamped *stamped,
                         int64_t now_ns)
{
    nkv_value *value = NULL;
    if (nkvi_cache_owner_count(cache) > 1) {
        value = cache->ops.get(cache->self, query->space, query->key, query->command);
    }
    bool differs = false;
    if (value != NULL && is_ours(cache, query, value)) {
        const nkvi_stamped *other = (const nkvi_stamped *)(const void *)value;
        nkv_reply says = nkv_value_reply(value), now = nkv_value_reply(&stamped->value);
        differs = nkvi_stamp_owner(other->stamp) != nkvi_stamp_owner(stamped->stamp) &&
                  nkvi_stamp_stands(&cache->owners, other->stamp) && other->deadline_ns > now_ns &&
                  !nkvi_reply_same(&says, &now);
    }
    nkv_value_release(value);
    if (differs) {
        nkvi_fence_touch(nkvi_cache_space_fence(cache, query->space), query->key_hash);
        cache->ops.invalidate(cache->self, query->space, query->key);
    }
    return differs;
}

nkv_value *nkvi_wrapped_put(nkv_cache *cache, const nkvi_query *query, nkvi_draft *draft,
                            const nkvi_stamp *stamp, int64_t now_ns, bool *stored)
{
    nkvi_stamped *stamped = seal(draft);
    if (stamped == NULL) {
        return NULL;
    }
    stamped->hash = query->hash;
    stamped->stamp = nkvi_stamp_pack(stamp);
    stamped->deadline_ns = stamp->deadline_ns;
    pthread_mutex_lock(&cache->mu);
    stamped->realm = nkvi_realm_of(&cache->spaces, query->space);
    *stored = stamp->generation % 2 == 1 && nkvi_stamp_stands(&cache->owners, stamped->stamp) &&
              (stamp->token == NULL || nkvi_fence_intact(stamp->token)) &&
              !contradicted(cache, query, stamped, now_ns);
    if (*stored) {
        note_space(stamp->owner, query->space);
        cache->ops.put(cache->self, query->space, query->key, query->command, &stamped->value,
                       stamp->deadline_ns);
    }
    pthread_mutex_unlock(&cache->mu);
    return &stamped->value;
}

void nkvi_wrapped_drop(nkv_cache *cache, uint32_t space, nkv_str key)
{
    pthread_mutex_lock(&cache->mu);
    cache->ops.invalidate(cache->self, space, key);
    pthread_mutex_unlock(&cache->mu);
}

void nkvi_wrapped_reset(nkv_cache *cache, uint32_t space)
{
    pthread_mutex_lock(&cache->mu);
    cache->ops.reset(cache->self, space);
    pthread_mutex_unlock(&cache->mu);
}

void nkvi_wrapped_owner_end(nkv_cache *cache, const nkvi_owner *owner)
{
    nkvi_owner_slot *slot = (nkvi_owner_slot *)(uintptr_t)owner;
    uint64_t used = atomic_load_explicit(&slot->spaces_used, memory_order_relaxed);
    if (used != 0) {
        nkvi_wrapped_reset(cache, used == UINT64_MAX ? UINT32_MAX : (uint32_t)(used - 1));
    }
}
