/* core/policy.c - see policy.h.
 *
 * Invariants   L1  a head's cold.queue names the queue it is on, NKVI_QUEUE_NONE: none
 *              L2  the counts of the queues add up to the number of keys */
#include "core/policy.h"

#include <assert.h>

void nkvi_policy_init(nkvi_policy *policy, nkvi_store *store, nkv_policy kind, bool exact)
{
    memset(policy, 0, sizeof *policy);
    policy->store = store;
    policy->kind = kind;
    policy->exact = exact && kind == NKV_POLICY_LRU;
    nkvi_ghost_init(&policy->ghost, &store->meter);
}

void nkvi_policy_clear(nkvi_policy *policy)
{
    nkvi_ghost_clear(&policy->ghost);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

static nkvi_cold *cold_at(const nkvi_policy *policy, uint32_t index)
{
    return nkvi_cold_at(policy->store, index);
}

static void push(nkvi_policy *policy, uint8_t which, uint32_t head)
{
    nkvi_queue *queue = &policy->queues[which];
    nkvi_cold *cold = cold_at(policy, head);
    cold->queue = which;
    cold->prev = 0;
    cold->next = queue->newest;
    if (queue->newest != 0) {
        cold_at(policy, queue->newest)->prev = head;
    } else {
        queue->oldest = head;
    }
    queue->newest = head;
    queue->count++;
}

static void unlink_head(nkvi_policy *policy, uint32_t head)
{
    nkvi_cold *cold = cold_at(policy, head);
    nkvi_queue *queue = &policy->queues[cold->queue];
    assert(cold->queue != NKVI_QUEUE_NONE && queue->count > 0);
    if (cold->prev != 0) {
        cold_at(policy, cold->prev)->next = cold->next;
    } else {
        queue->newest = cold->next;
    }
    if (cold->next != 0) {
        cold_at(policy, cold->next)->prev = cold->prev;
    } else {
        queue->oldest = cold->prev;
    }
    cold->queue = NKVI_QUEUE_NONE;
    queue->count--;
}

/* Whether it was read since the last time somebody asked. */
static bool was_read(nkvi_policy *policy, uint32_t head)
{
    nkvi_slot *slot = nkvi_slot_at(policy->store, head);
    if (atomic_load_explicit(&slot->value.visited, memory_order_relaxed) == 0) {
        return false;
    }
    atomic_store_explicit(&slot->value.visited, 0, memory_order_relaxed);
    return true;
}

/* As many ghosts as there is room for in the main queue: half of the keys. */
static uint32_t ghosts(const nkvi_policy *policy)
{
    uint32_t keys = policy->queues[NKVI_QUEUE_MAIN].count + policy->queues[NKVI_QUEUE_SMALL].count;
    return keys / 2 + 1;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

void nkvi_policy_add(nkvi_policy *policy, uint32_t head)
{
    uint8_t which = NKVI_QUEUE_MAIN;
    if (policy->kind == NKV_POLICY_S3FIFO &&
        !nkvi_ghost_take(&policy->ghost, cold_at(policy, head)->key_hash, ghosts(policy))) {
        which = NKVI_QUEUE_SMALL;
    }
    push(policy, which, head);
}

void nkvi_policy_remove(nkvi_policy *policy, uint32_t head)
{
    unlink_head(policy, head);
}

void nkvi_policy_use(nkvi_policy *policy, uint32_t head)
{
    if (policy->exact) {
        unlink_head(policy, head);
        push(policy, NKVI_QUEUE_MAIN, head);
    } else {
        atomic_store_explicit(&nkvi_slot_at(policy->store, head)->value.visited, 1,
                              memory_order_relaxed);
    }
}

void nkvi_policy_hand_over(nkvi_policy *policy, uint32_t from, uint32_t to)
{
    nkvi_cold *old = cold_at(policy, from);
    nkvi_cold *new = cold_at(policy, to);
    nkvi_queue *queue = &policy->queues[old->queue];
    new->queue = old->queue;
    new->prev = old->prev;
    new->next = old->next;
    if (new->prev != 0) {
        cold_at(policy, new->prev)->next = to;
    } else {
        queue->newest = to;
    }
    if (new->next != 0) {
        cold_at(policy, new->next)->prev = to;
    } else {
        queue->oldest = to;
    }
    old->queue = NKVI_QUEUE_NONE;
    uint8_t read = was_read(policy, from) ? 1 : 0;
    atomic_store_explicit(&nkvi_slot_at(policy->store, to)->value.visited, read,
                          memory_order_relaxed);
}

/* ---- Leaving --------------------------------------------------------------------------------- */

/* Ends: every round clears a `visited`, and only readers set them, without the lock, so that after
 * one whole turn the oldest is taken whatever it says. */
static uint32_t victim_lru(nkvi_policy *policy)
{
    nkvi_queue *queue = &policy->queues[NKVI_QUEUE_MAIN];
    for (uint32_t turn = queue->count; turn > 0; turn--) {
        uint32_t head = queue->oldest;
        if (policy->exact || !was_read(policy, head)) {
            return head;
        }
        unlink_head(policy, head);
        push(policy, NKVI_QUEUE_MAIN, head);
    }
    return queue->oldest;
}

static uint32_t victim_s3fifo(nkvi_policy *policy)
{
    nkvi_queue *small = &policy->queues[NKVI_QUEUE_SMALL];
    nkvi_queue *main = &policy->queues[NKVI_QUEUE_MAIN];
    for (uint32_t turn = 2 * small->count + main->count; turn > 0; turn--) {
        nkvi_queue *from = small->count >= main->count ? small : main;
        uint32_t head = from->oldest;
        if (!was_read(policy, head)) {
            return head;
        }
        unlink_head(policy, head);
        push(policy, NKVI_QUEUE_MAIN, head);
    }
    return main->count > 0 ? main->oldest : small->oldest;
}

uint32_t nkvi_policy_victim(nkvi_policy *policy)
{
    return policy->kind == NKV_POLICY_S3FIFO ? victim_s3fifo(policy) : victim_lru(policy);
}

void nkvi_policy_evicted(nkvi_policy *policy, uint32_t head)
{
    const nkvi_cold *cold = cold_at(policy, head);
    if (cold->queue == NKVI_QUEUE_SMALL) {
        nkvi_ghost_add(&policy->ghost, cold->key_hash, ghosts(policy));
    }
}
