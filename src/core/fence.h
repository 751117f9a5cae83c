/* core/fence.h - keeps an answer out of the cache when a write overtook it (I2).
 *
 * A fence is a fixed table of counters; a key's hash picks its cell.
 *
 *      write begins:  pending + 1, epoch + 1    then the key is invalidated, then the command sent
 *      write ends:    the key is invalidated, epoch + 1, pending - 1        then the caller is told
 *      read begins:   token = {cell, epoch}, broken at once if a write is pending
 *      fill:          allowed only if the cell still shows the token's epoch and no pending write,
 *                     checked under the lock of the cache, which the invalidations take as well
 *
 * So a value read before or during a write of ours can never be stored after it.  Two keys in one
 * cell only cause a fill to be refused that need not have been.  A flush moves every cell at once
 * by one counter that all tokens carry.
 * Memory   Fixed: NKVI_FENCE_CELLS × 8 bytes.
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_FENCE_H
#define NKVI_CORE_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NKVI_FENCE_CELLS 4096u /* a power of two */

typedef struct nkvi_fence {
    _Atomic uint64_t flushes;
    _Atomic uint64_t
        cells[NKVI_FENCE_CELLS]; /* epoch in the upper 40 bits, pending writes in the lower 24 */
} nkvi_fence;

typedef struct nkvi_token {
    const nkvi_fence *fence; /* NULL: no fence, always intact */
    uint64_t hash;
    uint64_t cell, flushes; /* as seen when the read began */
} nkvi_token;

void nkvi_fence_init(nkvi_fence *fence);
nkvi_token nkvi_fence_token(const nkvi_fence *fence, uint64_t key_hash);
/* False if a write or flush touched the token's cell since, or is pending. */
bool nkvi_fence_intact(const nkvi_token *token);
void nkvi_fence_write_begin(nkvi_fence *fence, uint64_t key_hash);
void nkvi_fence_write_end(nkvi_fence *fence, uint64_t key_hash);
/* Breaks every token of the key's cell / of the whole fence. */
void nkvi_fence_touch(nkvi_fence *fence, uint64_t key_hash);
void nkvi_fence_touch_all(nkvi_fence *fence);

#endif
