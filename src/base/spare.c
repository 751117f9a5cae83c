/* base/spare.c - see spare.h.  A kept block belongs to whoever exchanged it for NULL. */
#include "base/spare.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Before what the user gets: how many bytes he may use. */
typedef union header {
    size_t bytes;
    max_align_t aligned;
} header;

void *nkvi_spare_take(nkvi_spare *spare, size_t bytes)
{
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS && bytes <= NKVI_SPARE_BYTES; i++) {
        if (atomic_load_explicit(&spare->blocks[i], memory_order_relaxed) == NULL) {
            continue;
        }
        header *kept = atomic_exchange_explicit(&spare->blocks[i], NULL, memory_order_acquire);
        if (kept != NULL && kept->bytes >= bytes) {
            return kept + 1;
        }
        nkvi_free(kept); /* too small: a larger one will take its place */
    }
    header *made = bytes <= SIZE_MAX - sizeof *made ? nkvi_alloc(sizeof *made + bytes) : NULL;
    if (made == NULL) {
        return NULL;
    }
    made->bytes = bytes;
    return made + 1;
}

void nkvi_spare_give(nkvi_spare *spare, void *block)
{
    if (block == NULL) {
        return;
    }
    header *own = (header *)block - 1;
    bool keep = spare != NULL && own->bytes <= NKVI_SPARE_BYTES;
    for (unsigned i = 0; keep && i < NKVI_SPARE_BLOCKS; i++) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&spare->blocks[i], &empty, own,
                                                    memory_order_release, memory_order_relaxed)) {
            return;
        }
    }
    nkvi_free(own);
}

void nkvi_spare_clear(nkvi_spare *spare)
{
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS; i++) {
        nkvi_free(atomic_exchange_explicit(&spare->blocks[i], NULL, memory_order_acquire));
    }
}
