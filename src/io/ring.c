/* io/ring.c - see ring.h. */
#include "io/ring.h"

#include <string.h>

#include "base/mem.h"

#define RING_MIN 16

void nkvi_ring_init(nkvi_ring *ring)
{
    memset(ring, 0, sizeof *ring);
}

void nkvi_ring_clear(nkvi_ring *ring)
{
    nkvi_free(ring->slots);
    nkvi_ring_init(ring);
}

bool nkvi_ring_reserve(nkvi_ring *ring)
{
    if (ring->len < ring->cap) {
        return true;
    }
    size_t cap = ring->cap == 0 ? RING_MIN : ring->cap * 2;
    nkvi_slot *slots = cap > SIZE_MAX / sizeof *slots ? NULL : nkvi_alloc(cap * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < ring->len; i++) {
        slots[i] = *nkvi_ring_at(ring, i);
    }
    nkvi_free(ring->slots);
    ring->slots = slots;
    ring->cap = cap;
    ring->head = 0;
    return true;
}
