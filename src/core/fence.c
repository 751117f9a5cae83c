/* core/fence.c - see fence.h.
 *
 * A cell:   | epoch, 40 bits | pending writes, 24 bits |     A write that begins adds one to both,
 * one that ends adds one to the epoch and takes one from the pending, each in a single addition. */
#include "core/fence.h"

#include <stddef.h>

#define PENDING_BITS 24
#define PENDING_MASK ((UINT64_C(1) << PENDING_BITS) - 1)
#define EPOCH_ONE    (UINT64_C(1) << PENDING_BITS)

static size_t cell_of(uint64_t key_hash)
{
    return (size_t)(key_hash & (NKVI_FENCE_CELLS - 1));
}

void nkvi_fence_init(nkvi_fence *fence)
{
    atomic_init(&fence->flushes, 0);
    for (size_t i = 0; i < NKVI_FENCE_CELLS; i++) {
        atomic_init(&fence->cells[i], 0);
    }
}

nkvi_token nkvi_fence_token(const nkvi_fence *fence, uint64_t key_hash)
{
    nkvi_token token = {.fence = fence, .hash = key_hash};
    if (fence != NULL) {
        token.flushes = atomic_load(&fence->flushes);
        token.cell = atomic_load(&fence->cells[cell_of(key_hash)]);
    }
    return token;
}

bool nkvi_fence_intact(const nkvi_token *token)
{
    const nkvi_fence *fence = token->fence;
    return fence == NULL || ((token->cell & PENDING_MASK) == 0 &&
                             token->cell == atomic_load(&fence->cells[cell_of(token->hash)]) &&
                             token->flushes == atomic_load(&fence->flushes));
}

void nkvi_fence_write_begin(nkvi_fence *fence, uint64_t key_hash)
{
    atomic_fetch_add(&fence->cells[cell_of(key_hash)], EPOCH_ONE + 1);
}

void nkvi_fence_write_end(nkvi_fence *fence, uint64_t key_hash)
{
    atomic_fetch_add(&fence->cells[cell_of(key_hash)], EPOCH_ONE - 1);
}

void nkvi_fence_touch(nkvi_fence *fence, uint64_t key_hash)
{
    atomic_fetch_add(&fence->cells[cell_of(key_hash)], EPOCH_ONE);
}

void nkvi_fence_touch_all(nkvi_fence *fence)
{
    atomic_fetch_add(&fence->flushes, 1);
}
