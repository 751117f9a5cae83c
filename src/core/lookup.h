/* core/lookup.h - the part of a lookup that both indexes share: take a slot, compare, judge.
 *
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_LOOKUP_H
#define NKVI_CORE_LOOKUP_H

#include "core/owners.h"
#include "core/spaces.h"
#include "core/store.h"

/* What a reader needs of a cache. */
typedef struct nkvi_view {
    nkvi_store *store;
    const nkvi_owners *owners;
    const nkvi_spaces *spaces;
} nkvi_view;

/* A batch of queries under way. */
typedef struct nkvi_lookup {
    const nkvi_query *queries;
    size_t n;
    int64_t now_ns;
    nkvi_found *found;
    bool (*go_on)(const nkv_value *value); /* NULL: all are answered */
} nkvi_lookup;

typedef enum nkvi_taken {
    NKVI_TAKEN_NOT,   /* another entry */
    NKVI_TAKEN_GONE,  /* dropped meanwhile: what replaced it may be found by looking again */
    NKVI_TAKEN_JUDGED /* it was the one; found says what it is worth */
} nkvi_taken;

static inline void nkvi_found_none(nkvi_found *found)
{
    found->value = NULL;
    found->outcome = NKVI_ABSENT;
    found->owner = 0;
}

/* Whether the batch goes on behind query i, which was just answered. */
static inline bool nkvi_lookup_goes_on(const nkvi_lookup *lookup, size_t i)
{
    return lookup->go_on == NULL ||
           (lookup->found[i].outcome == NKVI_HIT && lookup->go_on(lookup->found[i].value));
}

/* Marks the key of a slot as read.  The head is a hint: a slot that has become something else
 * meanwhile gets a second chance that it has not earned. */
static inline void nkvi_slot_visit(const nkvi_store *store, nkvi_slot *slot)
{
    uint32_t head = atomic_load_explicit(&slot->head, memory_order_acquire);
    nkvi_slot *marked = head == slot->self ? slot : nkvi_slot_at(store, head);
    if (atomic_load_explicit(&marked->value.visited, memory_order_relaxed) == 0) {
        atomic_store_explicit(&marked->value.visited, 1, memory_order_relaxed);
    }
}

/* Judges an entry to which a reference was taken; gives it back unless it is a hit. */
static inline void nkvi_slot_judge(const nkvi_view *view, nkvi_slot *slot, int64_t now_ns,
                                   nkvi_found *found)
{
    uint64_t stamp = slot->value.of.slot.stamp;
    if (nkvi_stamp_vouched(view->owners, stamp, now_ns) &&
        now_ns < slot->value.of.slot.deadline_ns) {
        nkvi_slot_visit(view->store, slot);
        found->value = &slot->value;
        found->outcome = NKVI_HIT;
        found->owner = nkvi_stamp_owner(stamp);
        return;
    }
    found->value = NULL;
    found->outcome = now_ns < slot->value.of.slot.deadline_ns ? NKVI_LAPSED : NKVI_EXPIRED;
    found->owner = 0;
    nkvi_slot_release(slot);
}

/* Fetches both lines of a slot that will be looked at. */
static inline void nkvi_slot_fetch(const nkvi_slot *slot)
{
    __builtin_prefetch(slot, 1);
    __builtin_prefetch((const char *)slot + 64);
}

/* Tries whether a slot answers the query.  An atomic addition lets nothing behind it begin before
 * it is done, so what will be needed is fetched before.
 *
 *   realm  the present one of the query's space, read when the lookup began: a flush that returned
 *          before is seen, one that runs at the same time may be or not */
static inline nkvi_taken nkvi_slot_try(const nkvi_view *view, nkvi_slot *slot,
                                       const nkvi_query *query, uint64_t realm, int64_t now_ns,
                                       nkvi_found *found)
{
    if (atomic_load_explicit(&slot->value.of.slot.hash, memory_order_relaxed) != query->hash) {
        return NKVI_TAKEN_NOT;
    }
    __builtin_prefetch(atomic_load_explicit(&slot->value.data, memory_order_relaxed));
    if (__builtin_expect(!nkvi_slot_take(slot), 0)) {
        nkvi_slot_release(slot);
        return NKVI_TAKEN_GONE;
    }
    if (__builtin_expect(!nkvi_slot_is(slot, query, realm), 0)) {
        nkvi_slot_release(slot);
        return NKVI_TAKEN_NOT;
    }
    nkvi_slot_judge(view, slot, now_ns, found);
    return NKVI_TAKEN_JUDGED;
}

#endif
