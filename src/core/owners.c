/* core/owners.c - see owners.h.
 *
 * Invariant   a stamp is only ever made of an odd generation.  An owner that is given back moves
 *             its generation on by more than any slot has moved, so the sums in the stamps of its
 *             user match no later user of its number, whatever moves that one has. */
#include "core/owners.h"

#include <assert.h>

bool nkvi_owners_init(nkvi_owners *owners)
{
    nkvi_parray_init(&owners->slots);
    owners->free = NULL;
    owners->moves = owners->free_moves = NULL;
    atomic_init(&owners->open, 0);
    return pthread_mutex_init(&owners->mu, NULL) == 0;
}

static void free_all(nkvi_moves *moves)
{
    while (moves != NULL) {
        nkvi_moves *next = moves->next;
        nkvi_free(moves);
        moves = next;
    }
}

void nkvi_owners_clear(nkvi_owners *owners)
{
    for (uint32_t i = 0; i < nkvi_parray_count(&owners->slots); i++) {
        nkvi_free(nkvi_parray_at(&owners->slots, i));
    }
    nkvi_parray_clear(&owners->slots);
    free_all(owners->moves);
    free_all(owners->free_moves);
    pthread_mutex_destroy(&owners->mu);
}

static nkvi_owner_slot *make(nkvi_owners *owners)
{
    uint32_t id = nkvi_parray_count(&owners->slots);
    nkvi_owner_slot *slot =
        id < NKVI_OWNERS_MAX ? nkvi_alloc_aligned(_Alignof(nkvi_owner_slot), sizeof *slot) : NULL;
    if (slot == NULL) {
        return NULL;
    }
    memset(slot, 0, sizeof *slot);
    slot->owner.id = id;
    atomic_init(&slot->owner.fresh_until_ns, INT64_MIN);
    atomic_init(&slot->owner.moves, NULL);
    if (!nkvi_parray_push(&owners->slots, slot)) {
        nkvi_free(slot);
        return NULL;
    }
    return slot;
}

nkvi_owner *nkvi_owners_open(nkvi_owners *owners, const nkvi_moves *moves)
{
    pthread_mutex_lock(&owners->mu);
    nkvi_owner_slot *slot = owners->free;
    if (slot != NULL) {
        owners->free = slot->next_free;
    } else {
        slot = make(owners);
    }
    if (slot != NULL) {
        atomic_store_explicit(&slot->owner.moves, moves, memory_order_release);
        atomic_fetch_add(&owners->open, 1);
    }
    pthread_mutex_unlock(&owners->mu);
    return slot == NULL ? NULL : &slot->owner;
}

void nkvi_owners_close(nkvi_owners *owners, nkvi_owner *owner)
{
    nkvi_owner_slot *slot = (nkvi_owner_slot *)(void *)owner;
    (void)nkvi_owner_end(owner);
    const nkvi_moves *moves = atomic_load_explicit(&owner->moves, memory_order_relaxed);
    if (moves != NULL) {
        uint64_t most = atomic_load(&moves->most);
        atomic_fetch_add(&owner->generation,
                         most + 2 - most % 2); /* first: the sum never shrinks */
        atomic_store_explicit(&owner->moves, NULL, memory_order_release);
    }
    atomic_store_explicit(&slot->spaces_used, 0, memory_order_relaxed);
    pthread_mutex_lock(&owners->mu);
    slot->next_free = owners->free;
    owners->free = slot;
    atomic_fetch_sub(&owners->open, 1);
    pthread_mutex_unlock(&owners->mu);
}

uint64_t nkvi_owner_begin(nkvi_owner *owner, int64_t fresh_until_ns)
{
    atomic_store(&owner->fresh_until_ns, fresh_until_ns);
    uint64_t before = atomic_fetch_add(&owner->generation, 1);
    assert(before % 2 == 0);
    return before + 1;
}

bool nkvi_owner_end(nkvi_owner *owner)
{
    uint64_t generation = atomic_load(&owner->generation);
    while (generation % 2 == 1) {
        if (atomic_compare_exchange_weak(&owner->generation, &generation, generation + 1)) {
            atomic_store(&owner->fresh_until_ns, INT64_MIN);
            return true;
        }
    }
    return false;
}

/* ---- Moves ----------------------------------------------------------------------------------- */

nkvi_moves *nkvi_moves_open(nkvi_owners *owners)
{
    pthread_mutex_lock(&owners->mu);
    nkvi_moves *moves = owners->free_moves;
    if (moves != NULL) {
        owners->free_moves = moves->next;
    } else {
        moves = nkvi_calloc(1, sizeof *moves);
    }
    if (moves != NULL) {
        moves->next = owners->moves;
        owners->moves = moves;
    }
    pthread_mutex_unlock(&owners->mu);
    return moves;
}

/* Readers of the cache may still look at them for a moment: so they are never freed before it. */
void nkvi_moves_close(nkvi_owners *owners, nkvi_moves *moves)
{
    pthread_mutex_lock(&owners->mu);
    nkvi_moves **at = &owners->moves;
    while (*at != moves) {
        at = &(*at)->next;
    }
    *at = moves->next;
    moves->next = owners->free_moves;
    owners->free_moves = moves;
    pthread_mutex_unlock(&owners->mu);
}

void nkvi_moves_add(nkvi_moves *moves, uint16_t hash_slot)
{
    uint32_t now = atomic_fetch_add(&moves->of[hash_slot], 1) + 1;
    uint32_t most = atomic_load(&moves->most);
    while (most < now && !atomic_compare_exchange_weak(&moves->most, &most, now)) {}
}
