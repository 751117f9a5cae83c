/* core/cache_entry.c - entries: how slots, index, queues and rings hang together.
 *
 *      one command        slot: head = itself, on a queue, in the index under both hashes
 *
 *      several            group: on a queue, in the index under the key's hash
 *                           |  ring
 *                           +-- slot -- slot -- slot --+      head = group, under their own hashes
 *
 * A key gets its group with its second command and keeps it until its last answer goes.  A group is
 * a slot without an answer: readers who stumble on it see another hash, and EMPTY if they look
 * further.
 *
 * Everything here holds the cache's lock. */
#include "core/cache_impl.h"

#include <assert.h>

static nkvi_slot *slot_at(const nkv_cache *cache, uint32_t index)
{
    return nkvi_slot_at(cache->view.store, index);
}

static nkvi_cold *cold_at(const nkv_cache *cache, uint32_t index)
{
    return nkvi_cold_at(cache->view.store, index);
}

static uint64_t hash_of(const nkvi_slot *slot)
{
    return atomic_load_explicit(&slot->value.of.slot.hash, memory_order_relaxed);
}

static bool visible(const nkvi_slot *slot)
{
    return nkvi_state(atomic_load_explicit(&slot->value.meta, memory_order_relaxed)) ==
           NKVI_STATE_VISIBLE;
}

/* ---- Finding --------------------------------------------------------------------------------- */

uint32_t nkvi_entry_find(const nkv_cache *cache, const nkvi_query *query, uint64_t realm)
{
    const nkvi_index *index = cache->index;
    nkvi_probe probe;
    uint32_t at = index->ops->first(index, query->hash, &probe);
    while (at != 0) {
        const nkvi_slot *slot = slot_at(cache, at);
        if (hash_of(slot) == query->hash && visible(slot) && nkvi_slot_is(slot, query, realm)) {
            break;
        }
        at = index->ops->next(index, query->hash, &probe);
    }
    return at;
}

static bool stands_for(const nkv_cache *cache, uint32_t at, const nkvi_query *query, uint64_t realm)
{
    const nkvi_cold *cold = cold_at(cache, at);
    if (cold->key_hash != query->key_hash || (cold->flags & NKVI_COLD_MEMBER) != 0) {
        return false;
    }
    bool group = (cold->flags & NKVI_COLD_GROUP) != 0;
    const nkvi_slot *named = slot_at(cache, group ? cold->ring_next : at);
    nkv_str key = nkvi_slot_key(named);
    return named->value.of.slot.realm == realm && key.len == query->key.len &&
           (key.len == 0 || memcmp(key.data, query->key.data, key.len) == 0);
}

uint32_t nkvi_entry_head(const nkv_cache *cache, const nkvi_query *query, uint64_t realm)
{
    const nkvi_index *index = cache->index;
    nkvi_probe probe;
    uint32_t at = index->ops->first(index, query->key_hash, &probe);
    while (at != 0 && !stands_for(cache, at, query, realm)) {
        at = index->ops->next(index, query->key_hash, &probe);
    }
    return at;
}

/* ---- Counting keys --------------------------------------------------------------------------- */

static void count_key(nkv_cache *cache, uint64_t realm, uint64_t one)
{
    cache->keys += one;
    if (nkvi_realm_stands(&cache->spaces, realm)) {
        nkvi_space *space = nkvi_space_at(&cache->spaces, nkvi_realm_space(realm));
        atomic_fetch_add_explicit(&space->keys, one, memory_order_relaxed);
        atomic_fetch_add_explicit(&cache->live, one, memory_order_relaxed);
    }
}

/* ---- Rings ----------------------------------------------------------------------------------- */

static void ring_add(nkv_cache *cache, uint32_t group, uint32_t index)
{
    nkvi_cold *head = cold_at(cache, group);
    nkvi_cold *cold = cold_at(cache, index);
    cold->ring_prev = head->ring_prev;
    cold->ring_next = group;
    cold_at(cache, head->ring_prev)->ring_next = index;
    head->ring_prev = index;
    head->ring_len++;
    cold->flags |= NKVI_COLD_MEMBER;
    atomic_store_explicit(&slot_at(cache, index)->head, group, memory_order_release);
}

static void ring_remove(nkv_cache *cache, uint32_t group, uint32_t index)
{
    nkvi_cold *cold = cold_at(cache, index);
    cold_at(cache, cold->ring_prev)->ring_next = cold->ring_next;
    cold_at(cache, cold->ring_next)->ring_prev = cold->ring_prev;
    cold_at(cache, group)->ring_len--;
}

/* Puts a group over a key with one command; 0: there was no slot or no room in the index. */
static uint32_t make_group(nkv_cache *cache, uint32_t only, nkvi_entered *why)
{
    uint32_t group = nkvi_store_alloc(cache->view.store);
    if (group == 0) {
        *why = NKVI_ENTER_NEEDS_SLOT;
        return 0;
    }
    nkvi_slot *slot = slot_at(cache, group);
    nkvi_cold *cold = cold_at(cache, group);
    const nkvi_slot *member = slot_at(cache, only);
    uint64_t key_hash = cold_at(cache, only)->key_hash;
    atomic_store_explicit(&slot->value.of.slot.hash, ~key_hash, memory_order_relaxed);
    cold->key_hash = key_hash;
    if (hash_of(member) != key_hash) {
        cache->index->ops->replace(cache->index, key_hash, only, group);
    } else if (!cache->index->ops->insert(cache->index, key_hash, group)) {
        nkvi_store_unalloc(cache->view.store, group);
        *why = NKVI_ENTER_NEEDS_INDEX;
        return 0;
    }
    atomic_store_explicit(&slot->head, group, memory_order_relaxed);
    cold->flags = NKVI_COLD_GROUP;
    cold->ring_prev = cold->ring_next = group;
    nkvi_policy_hand_over(&cache->policy, only, group);
    ring_add(cache, group, only);
    return group;
}

/* ---- Entering -------------------------------------------------------------------------------- */

static void fill(nkv_cache *cache, uint32_t index, const nkvi_filling *filling, uint64_t realm)
{
    nkvi_slot *slot = slot_at(cache, index);
    nkvi_cold *cold = cold_at(cache, index);
    const nkvi_query *query = filling->query;
    nkvi_value_set(&slot->value, &filling->root);
    slot->value.kind |= NKVI_KIND_SLOT;
    atomic_store_explicit(&slot->value.of.slot.hash, query->hash, memory_order_relaxed);
    slot->value.of.slot.realm = realm;
    slot->value.of.slot.stamp = filling->stamp;
    slot->value.of.slot.deadline_ns = filling->deadline_ns;
    atomic_store_explicit(&slot->value.visited, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->head, index, memory_order_relaxed);
    if (filling->name != NULL) {
        slot->value.key_len = NKVI_NAME_LONG;
        slot->name.name = filling->name;
    } else {
        slot->value.key_len = (uint8_t)query->key.len;
        slot->value.command_len = (uint8_t)query->command.len;
        if (query->key.len > 0) {
            memcpy(slot->name.bytes, query->key.data, query->key.len);
        }
        if (query->command.len > 0) {
            memcpy(slot->name.bytes + query->key.len, query->command.data, query->command.len);
        }
    }
    cold->block = filling->block;
    cold->charge = filling->charge;
    cold->key_hash = query->key_hash;
    cold->flags = filling->foreign ? NKVI_COLD_FOREIGN : 0;
    cache->visible_bytes += filling->charge;
}

/* Takes an answer that nothing leads to any more away from the readers. */
static void drop(nkv_cache *cache, uint32_t index, uint32_t *chain)
{
    cache->visible_bytes -= cold_at(cache, index)->charge;
    if (nkvi_store_drop(cache->view.store, index)) {
        cold_at(cache, index)->next = *chain;
        *chain = index;
    }
}

/* The new answer takes the place of the old one in index, queue and ring, so that a reader finds
 * one of them at any moment. */
static void enter_over(nkv_cache *cache, uint32_t old, uint32_t index, uint32_t *chain)
{
    const nkvi_index_ops *ops = cache->index->ops;
    uint64_t hash = hash_of(slot_at(cache, old));
    const nkvi_cold *cold = cold_at(cache, old);
    uint32_t head = atomic_load_explicit(&slot_at(cache, old)->head, memory_order_relaxed);
    nkvi_store_publish(cache->view.store, index, 1);
    ops->replace(cache->index, hash, old, index);
    if (head == old) {
        if (hash != cold->key_hash) {
            ops->replace(cache->index, cold->key_hash, old, index);
        }
        nkvi_policy_hand_over(&cache->policy, old, index);
        head = index;
    } else {
        ring_add(cache, head, index);
        ring_remove(cache, head, old);
    }
    nkvi_policy_use(&cache->policy, head);
    drop(cache, old, chain);
}

/* Another command of a key that has some. */
static nkvi_entered enter_beside(nkv_cache *cache, uint32_t head, uint32_t index, uint64_t hash)
{
    nkvi_entered why = NKVI_ENTERED;
    if ((cold_at(cache, head)->flags & NKVI_COLD_GROUP) == 0) {
        head = make_group(cache, head, &why);
        if (head == 0) {
            return why;
        }
    }
    if (!cache->index->ops->insert(cache->index, hash, index)) {
        return NKVI_ENTER_NEEDS_INDEX;
    }
    ring_add(cache, head, index);
    nkvi_policy_use(&cache->policy, head);
    nkvi_store_publish(cache->view.store, index, 1);
    return NKVI_ENTERED;
}

/* The first command of a key. */
static nkvi_entered enter_new(nkv_cache *cache, const nkvi_query *query, uint32_t index,
                              uint64_t realm)
{
    nkvi_index *in = cache->index;
    if (!in->ops->insert(in, query->hash, index)) {
        return NKVI_ENTER_NEEDS_INDEX;
    }
    if (query->hash != query->key_hash && !in->ops->insert(in, query->key_hash, index)) {
        in->ops->remove(in, query->hash, index);
        return NKVI_ENTER_NEEDS_INDEX;
    }
    nkvi_policy_add(&cache->policy, index);
    count_key(cache, realm, 1);
    nkvi_store_publish(cache->view.store, index, 1);
    return NKVI_ENTERED;
}

nkvi_entered nkvi_entry_enter(nkv_cache *cache, const nkvi_filling *filling, int64_t now_ns,
                              uint32_t *index, uint32_t *chain)
{
    const nkvi_query *query = filling->query;
    nkvi_store *store = cache->view.store;
    uint64_t realm = nkvi_realm_of(&cache->spaces, query->space);
    uint32_t made = nkvi_store_alloc(store);
    if (made == 0) {
        return NKVI_ENTER_NEEDS_SLOT;
    }
    fill(cache, made, filling, realm);
    uint32_t old = nkvi_entry_find(cache, query, realm);
    uint32_t head = old == 0 ? nkvi_entry_head(cache, query, realm) : 0;
    nkvi_entered entered = NKVI_ENTERED;
    if (old != 0) {
        if (slot_at(cache, old)->value.of.slot.deadline_ns <= now_ns) {
            nkvi_totals_add(&cache->totals, NKVI_EXPIRATIONS, 1);
        }
        enter_over(cache, old, made, chain);
    } else if (head != 0) {
        entered = enter_beside(cache, head, made, query->hash);
    } else {
        uint64_t bytes = 0;
        while (cache->keys >= cache->keys_max && nkvi_entry_evict(cache, chain, &bytes)) {}
        entered = enter_new(cache, query, made, realm);
    }
    if (entered != NKVI_ENTERED) {
        cache->visible_bytes -= filling->charge;
        slot_at(cache, made)->value.key_len = 0;
        nkvi_store_unalloc(store, made);
        made = 0;
    }
    *index = made;
    return entered;
}

/* ---- Removing -------------------------------------------------------------------------------- */

static void remove_group(nkv_cache *cache, uint32_t group, uint64_t realm)
{
    nkvi_policy_remove(&cache->policy, group);
    cache->index->ops->remove(cache->index, cold_at(cache, group)->key_hash, group);
    count_key(cache, realm, (uint64_t)-1);
    nkvi_store_unalloc(cache->view.store, group);
}

void nkvi_entry_remove(nkv_cache *cache, uint32_t index, uint32_t *chain)
{
    nkvi_slot *slot = slot_at(cache, index);
    nkvi_cold *cold = cold_at(cache, index);
    uint64_t hash = hash_of(slot);
    uint64_t realm = slot->value.of.slot.realm;
    cache->index->ops->remove(cache->index, hash, index);
    if ((cold->flags & NKVI_COLD_MEMBER) != 0) {
        uint32_t group = atomic_load_explicit(&slot->head, memory_order_relaxed);
        ring_remove(cache, group, index);
        if (cold_at(cache, group)->ring_len == 0) {
            remove_group(cache, group, realm);
        }
    } else {
        if (hash != cold->key_hash) {
            cache->index->ops->remove(cache->index, cold->key_hash, index);
        }
        nkvi_policy_remove(&cache->policy, index);
        count_key(cache, realm, (uint64_t)-1);
    }
    drop(cache, index, chain);
}

size_t nkvi_entry_remove_key(nkv_cache *cache, uint32_t head, uint32_t *chain)
{
    const nkvi_cold *cold = cold_at(cache, head);
    if ((cold->flags & NKVI_COLD_GROUP) == 0) {
        nkvi_entry_remove(cache, head, chain);
        return 1;
    }
    size_t n = cold->ring_len;
    for (size_t i = 0; i < n; i++) {
        nkvi_entry_remove(cache, cold->ring_next, chain); /* the last one takes the group along */
    }
    return n;
}

/* What goes when the key goes. */
static uint64_t charge_of_key(const nkv_cache *cache, uint32_t head)
{
    const nkvi_cold *cold = cold_at(cache, head);
    if ((cold->flags & NKVI_COLD_GROUP) == 0) {
        return cold->charge;
    }
    uint64_t sum = 0;
    for (uint32_t at = cold->ring_next; at != head; at = cold_at(cache, at)->ring_next) {
        sum += cold_at(cache, at)->charge;
    }
    return sum;
}

bool nkvi_entry_evict(nkv_cache *cache, uint32_t *chain, uint64_t *bytes)
{
    uint32_t head = nkvi_policy_victim(&cache->policy);
    if (head == 0) {
        return false;
    }
    *bytes += charge_of_key(cache, head) + cache->index->ops->entry_bytes;
    nkvi_policy_evicted(&cache->policy, head);
    (void)nkvi_entry_remove_key(cache, head, chain);
    nkvi_totals_add(&cache->totals, NKVI_EVICTIONS, 1);
    return true;
}

/* ---- Sweeping -------------------------------------------------------------------------------- */

static bool dead(nkv_cache *cache, const nkvi_slot *slot, int64_t now_ns)
{
    const nkv_value *value = &slot->value;
    if (!nkvi_realm_stands(&cache->spaces, value->of.slot.realm) ||
        !nkvi_stamp_stands(&cache->owners, value->of.slot.stamp)) {
        return true;
    }
    if (value->of.slot.deadline_ns <= now_ns) {
        nkvi_totals_add(&cache->totals, NKVI_EXPIRATIONS, 1);
        return true;
    }
    return false;
}

bool nkvi_entry_sweeping(const nkv_cache *cache)
{
    return cache->sweep_left > 0 ||
           cache->sweep_seen != atomic_load_explicit(&cache->sweep_wish, memory_order_acquire);
}

/* The next slot of the turn, 0 at the end of a slab. */
static uint32_t sweep_step(nkv_cache *cache)
{
    const nkvi_store *store = cache->view.store;
    const nkvi_slab *slab = nkvi_parray_at(&store->slabs, cache->sweep_slab);
    cache->sweep_slot++;
    if (cache->sweep_slot < slab->slots) {
        return cache->sweep_slab << NKVI_SLAB_BITS | cache->sweep_slot;
    }
    cache->sweep_slot = 0;
    cache->sweep_slab = (cache->sweep_slab + 1) % nkvi_parray_count(&store->slabs);
    return 0;
}

void nkvi_entry_sweep(nkv_cache *cache, int64_t now_ns, size_t slots, uint32_t *chain)
{
    uint64_t wish = atomic_load_explicit(&cache->sweep_wish, memory_order_acquire);
    uint64_t total = cache->view.store->total;
    if (wish != cache->sweep_seen) {
        cache->sweep_seen = wish;
        cache->sweep_left = total;
    }
    slots = slots > total ? total : slots;
    for (size_t i = 0; i < slots;) {
        uint32_t at = sweep_step(cache);
        if (at == 0) {
            continue;
        }
        i++;
        cache->sweep_left -= cache->sweep_left > 0 ? 1 : 0;
        const nkvi_slot *slot = slot_at(cache, at);
        if (visible(slot) && dead(cache, slot, now_ns)) {
            nkvi_entry_remove(cache, at, chain);
        }
    }
}

void nkvi_entry_clear(nkv_cache *cache)
{
    const nkvi_store *store = cache->view.store;
    uint32_t chain = 0;
    for (uint32_t i = 0; i < nkvi_parray_count(&store->slabs); i++) {
        const nkvi_slab *slab = nkvi_parray_at(&store->slabs, i);
        for (uint32_t j = 1; j < slab->slots; j++) {
            if (visible(slot_at(cache, i << NKVI_SLAB_BITS | j))) {
                nkvi_entry_remove(cache, i << NKVI_SLAB_BITS | j, &chain);
            }
        }
    }
    nkvi_store_finish_all(cache->view.store, chain);
}
