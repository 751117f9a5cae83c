/* core/ghost.c - see ghost.h.
 *
 * The upper half of the hash is kept as fingerprint; its upper bits pick the bucket, so a table of
 * twice the size can be filled from the old one. */
#include "core/ghost.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define WAYS     8u
#define BITS_MAX 26u
#define BITS_MIN 1u
#define EMPTY    0u

struct nkvi_ghost_bucket {
    _Alignas(64) struct {
        uint32_t fingerprint; /* EMPTY: none */
        uint32_t when;
    } way[WAYS];
};

void nkvi_ghost_init(nkvi_ghost *ghost, nkvi_meter *meter)
{
    memset(ghost, 0, sizeof *ghost);
    ghost->meter = meter;
}

static uint64_t cost(uint32_t bits)
{
    return nkvi_mem_cost(sizeof(nkvi_ghost_bucket) << bits);
}

static void drop(nkvi_ghost *ghost)
{
    if (ghost->buckets != NULL) {
        nkvi_free(ghost->buckets);
        nkvi_meter_sub(ghost->meter, cost(ghost->bits));
        ghost->buckets = NULL;
    }
}

void nkvi_ghost_clear(nkvi_ghost *ghost)
{
    drop(ghost);
    ghost->bits = 0;
    ghost->now = 0;
}

static uint32_t fingerprint(uint64_t hash)
{
    uint32_t print = (uint32_t)(hash >> 32);
    return print == EMPTY ? 1 : print;
}

static nkvi_ghost_bucket *bucket(const nkvi_ghost *ghost, uint32_t print)
{
    assert(ghost->bits >= BITS_MIN && ghost->bits <= BITS_MAX);
    return &ghost->buckets[print >> (32 - ghost->bits)];
}

static void insert(nkvi_ghost *ghost, uint32_t print, uint32_t when)
{
    nkvi_ghost_bucket *into = bucket(ghost, print);
    unsigned oldest = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (into->way[i].fingerprint == EMPTY || into->way[i].fingerprint == print) {
            oldest = i;
            break;
        }
        if (ghost->now - into->way[i].when > ghost->now - into->way[oldest].when) {
            oldest = i;
        }
    }
    into->way[oldest].fingerprint = print;
    into->way[oldest].when = when;
}

/* Makes the table twice as large as the capacity asks for, if it is smaller. */
static void grow(nkvi_ghost *ghost, uint32_t capacity)
{
    uint32_t bits = BITS_MIN;
    while (bits < BITS_MAX && (uint64_t)WAYS << bits < (uint64_t)capacity * 2) {
        bits++;
    }
    if ((ghost->buckets != NULL && bits <= ghost->bits) ||
        !nkvi_meter_add(ghost->meter, cost(bits))) {
        return;
    }
    nkvi_ghost larger = *ghost;
    larger.bits = bits;
    larger.buckets = nkvi_alloc_huge(sizeof(nkvi_ghost_bucket) << bits);
    if (larger.buckets == NULL) {
        nkvi_meter_sub(ghost->meter, cost(bits));
        return;
    }
    memset(larger.buckets, 0, sizeof(nkvi_ghost_bucket) << bits);
    for (size_t i = 0; ghost->buckets != NULL && i < (size_t)1 << ghost->bits; i++) {
        for (unsigned j = 0; j < WAYS; j++) {
            if (ghost->buckets[i].way[j].fingerprint != EMPTY) {
                insert(&larger, ghost->buckets[i].way[j].fingerprint,
                       ghost->buckets[i].way[j].when);
            }
        }
    }
    drop(ghost);
    *ghost = larger;
}

void nkvi_ghost_add(nkvi_ghost *ghost, uint64_t hash, uint32_t capacity)
{
    grow(ghost, capacity);
    if (ghost->buckets != NULL) {
        ghost->now++;
        insert(ghost, fingerprint(hash), ghost->now);
    }
}

bool nkvi_ghost_take(nkvi_ghost *ghost, uint64_t hash, uint32_t capacity)
{
    if (ghost->buckets == NULL) {
        return false;
    }
    uint32_t print = fingerprint(hash);
    nkvi_ghost_bucket *in = bucket(ghost, print);
    for (unsigned i = 0; i < WAYS; i++) {
        if (in->way[i].fingerprint == print) {
            bool fresh = ghost->now - in->way[i].when < capacity;
            in->way[i].fingerprint = EMPTY;
            return fresh;
        }
    }
    return false;
}
