/* io/ring.h - requests in the order in which their replies will come.
 *
 *      head                tail
 *       |                   |
 *       v                   v
 *     [ slot | slot | slot | … ]       grows by doubling, never shrinks below what it once held
 *
 * Not one allocation for a request once the ring has grown to the usual depth.  Pure; the owner
 * locks. */
#ifndef NKVI_IO_RING_H
#define NKVI_IO_RING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/lane.h"

/* A request's place in the stream. */
typedef struct nkvi_slot {
    nkvi_request *request; /* NULL: given up, or our own; its replies are thrown away */
    uint64_t begin;        /* offset of its first byte in what this connection sends */
    size_t bytes;
    unsigned index, left; /* replies that have come, and that are still to come */
    bool own;             /* a PING or an audit of our own: counts nowhere */
    bool audit;           /* its reply tells whether tracking is still on */
} nkvi_slot;

typedef struct nkvi_ring {
    nkvi_slot *slots;
    size_t cap, head, len; /* cap: 0 or a power of two */
} nkvi_ring;

void nkvi_ring_init(nkvi_ring *ring);
void nkvi_ring_clear(nkvi_ring *ring);

/* Room for one more slot.  false: memory ran out. */
bool nkvi_ring_reserve(nkvi_ring *ring);

/* The i-th slot, 0 the oldest; i < len. */
static inline nkvi_slot *nkvi_ring_at(const nkvi_ring *ring, size_t i)
{
    assert(i < ring->len);
    return &ring->slots[(ring->head + i) & (ring->cap - 1)];
}

/* Behind the youngest; room has been reserved. */
static inline void nkvi_ring_push(nkvi_ring *ring, nkvi_slot slot)
{
    assert(ring->len < ring->cap);
    ring->len++;
    *nkvi_ring_at(ring, ring->len - 1) = slot;
}

/* Drops the oldest. */
static inline void nkvi_ring_pop(nkvi_ring *ring)
{
    assert(ring->len > 0);
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->len--;
}

static inline void nkvi_ring_swap(nkvi_ring *a, nkvi_ring *b)
{
    nkvi_ring c = *a;
    *a = *b;
    *b = c;
}

#endif
