/* core/slot.h - slots: where cached answers live, and the protocol that readers need no lock for.
 *
 *      hot, 192 bytes: what a lookup touches                  cold: what it does not
 *      +--------------------------------------------------+   +------------------------------+
 *      | meta | hash | realm | stamp | deadline           |   | block, charge, key_hash      |
 *      | data | number | kind, lengths, visited           |   | links of the eviction queue  |
 *      +--------------------------------------------------+   | ring of the key's commands   |
 *      | self | head | key and command, up to 120 bytes   |   +------------------------------+
 *      +--------------------------------------------------+
 *
 * A slot is type-stable: once made it stays a slot until the store goes, so a stale index is always
 * safe to touch.  Its meta word says what it is:
 *
 *                    publish (writer)                    drop (writer)
 *         EMPTY, r  ------------------> VISIBLE, r + 2  ---------------> DROPPED, r'
 *           ^                            |                                  |
 *           |   drop, nobody reads it    |          the last reference goes |
 *           +----------------------------+----------------------------------+
 *           then whoever made it EMPTY frees the answer and gives the slot back
 *
 *      VISIBLE    the cache itself holds one of the references; any reader may take one more
 *      DROPPED    removed from the cache; those who hold it may go on, nobody gets it any more
 *      EMPTY      no answer; references that appear are guesses of readers, taken back at once
 *
 * A reader takes the reference first and looks afterwards: one addition to meta, whose result tells
 * the state at that very moment.  Not VISIBLE, or another key: it gives the reference back.
 *
 * Why no reader gets what was invalidated before its lookup began: drop() moves meta away from
 * VISIBLE before invalidate returns; the addition of a later lookup comes after it in meta's order,
 * so it sees DROPPED, EMPTY, or VISIBLE with something that was put afterwards.
 * Why a slot that was emptied and filled again is no danger (ABA): nothing is concluded from before
 * the addition; the identity is compared after it, and is constant while the reference is held.  A
 * guess that straddles a refill is a reference like any other: publish adds to meta, it does not
 * set it.
 * Why giving back is a compare-and-swap: the one who takes the count to 0 must be the one
 * who makes the slot EMPTY, in one step.  With a subtraction first, another could empty it in
 * between and the store could be gone when the first comes back.
 *
 * Callers  store.c, the indexes, cache_*.c. */
#ifndef NKVI_CORE_SLOT_H
#define NKVI_CORE_SLOT_H

#include <string.h>

#include "core/cache.h"
#include "core/value.h"

#define NKVI_SLOT_BYTES 192u /* long chunk keys fit; 128 was not faster on short ones */
#define NKVI_NAME_BYTES (NKVI_SLOT_BYTES - 72u)
#define NKVI_NAME_LONG  0xffu /* key_len: the name is in a block of its own */

#define NKVI_REFS_MASK     UINT64_C(0xffffffff)
#define NKVI_STATE_MASK    (UINT64_C(3) << 32)
#define NKVI_STATE_EMPTY   UINT64_C(0)
#define NKVI_STATE_VISIBLE (UINT64_C(1) << 32)
#define NKVI_STATE_DROPPED (UINT64_C(2) << 32)

/* A name that does not fit into its slot. */
typedef struct nkvi_long_name {
    size_t key_len, command_len;
    char bytes[];
} nkvi_long_name;

typedef struct nkvi_slot {
    nkv_value value;
    uint32_t self;         /* its index; constant */
    _Atomic uint32_t head; /* who stands for the key in the eviction queue */
    union {
        char bytes[NKVI_NAME_BYTES]; /* key, then command */
        nkvi_long_name *name;
    } name;
} nkvi_slot;

_Static_assert(sizeof(nkvi_slot) == NKVI_SLOT_BYTES, "whole cache lines");

#define NKVI_COLD_FOREIGN 1u /* block is a nkvi_foreign */
#define NKVI_COLD_GROUP   2u /* stands for a key with several commands; has no answer */
#define NKVI_COLD_MEMBER  4u /* one of several commands */

typedef struct nkvi_cold {
    void *block;                   /* of the answer, or NULL */
    uint64_t charge;               /* bytes that go when the slot is emptied */
    uint64_t key_hash;             /* of space and key */
    uint32_t prev, next;           /* eviction queue; `next` also chains free and emptied slots */
    uint32_t ring_prev, ring_next; /* commands of one key, the group among them */
    uint8_t queue;                 /* which one; the policy's */
    uint8_t flags;
    uint16_t spare;
    uint32_t ring_len; /* of a group: its members */
} nkvi_cold;

/* A block that is not given back with nkvi_free. */
typedef struct nkvi_foreign {
    void *block;
    void (*free_fn)(void *block, void *ud);
    void *free_ud;
} nkvi_foreign;

static inline uint64_t nkvi_state(uint64_t meta)
{
    return meta & NKVI_STATE_MASK;
}

static inline nkv_str nkvi_slot_key(const nkvi_slot *slot)
{
    if (slot->value.key_len == NKVI_NAME_LONG) {
        return nkv_str_make(slot->name.name->bytes, slot->name.name->key_len);
    }
    return nkv_str_make(slot->name.bytes, slot->value.key_len);
}

static inline bool nkvi_same(const char *a, nkv_str b)
{
    return b.len == 0 || memcmp(a, b.data, b.len) == 0;
}

/* Whether a slot with a long name has the name of the query. */
bool nkvi_slot_is_long(const nkvi_slot *slot, const nkvi_query *query);

/* Whether the slot is the entry of that query in that realm.  The caller holds a reference or the
 * lock. */
static inline bool nkvi_slot_is(const nkvi_slot *slot, const nkvi_query *query, uint64_t realm)
{
    const nkv_value *value = &slot->value;
    if (value->of.slot.realm != realm) {
        return false;
    }
    if (__builtin_expect(value->key_len == NKVI_NAME_LONG, 0)) {
        return nkvi_slot_is_long(slot, query);
    }
    return value->key_len == query->key.len && value->command_len == query->command.len &&
           nkvi_same(slot->name.bytes, query->key) &&
           nkvi_same(slot->name.bytes + query->key.len, query->command);
}

/* Takes a reference on a guess; the state that meta had tells whether it may be kept. */
static inline bool nkvi_slot_take(nkvi_slot *slot)
{
    uint64_t before = atomic_fetch_add_explicit(&slot->value.meta, 1, memory_order_acq_rel);
    return nkvi_state(before) == NKVI_STATE_VISIBLE;
}

/* Gives a reference back; the last one of a dropped slot empties it. */
void nkvi_slot_release(nkvi_slot *slot);

/* What nkv_value_size says of a cached answer. */
size_t nkvi_slot_size(const nkvi_slot *slot);

#endif
