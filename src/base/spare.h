/* base/spare.h - a few blocks that were given back, for those who ask for such sizes again and
 * again: an allocator that returns large blocks to the system makes the next owner pay for pages.
 *
 *      nkvi_spare spare = {{NULL}};
 *      void *block = nkvi_spare_take(&spare, 100000);        or NULL; uninitialised
 *      nkvi_spare_give(&spare, block);                       NULL is allowed
 *      nkvi_spare_clear(&spare);
 *
 * At most NKVI_SPARE_BLOCKS blocks of up to NKVI_SPARE_BYTES each are kept.
 * Threads  take, give: [any], without a lock; clear: nobody else. */
#ifndef NKVI_BASE_SPARE_H
#define NKVI_BASE_SPARE_H

#include <stdatomic.h>
#include <stddef.h>

#define NKVI_SPARE_BLOCKS 4u
#define NKVI_SPARE_BYTES  ((size_t)256 << 10)

typedef struct nkvi_spare {
    _Atomic(void *) blocks[NKVI_SPARE_BLOCKS];
} nkvi_spare;

/* Given back with nkvi_spare_give() alone.  NULL: no memory, or too many bytes. */
void *nkvi_spare_take(nkvi_spare *spare, size_t bytes);
/* spare NULL: the block is freed. */
void nkvi_spare_give(nkvi_spare *spare, void *block);

/* Frees what is kept. */
void nkvi_spare_clear(nkvi_spare *spare);

#endif
