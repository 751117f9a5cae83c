/* base/mem.h - the one place that allocates, so that a test can count allocations and fail any.
 *
 * Threads  [any].                                                                                */
#ifndef NKVI_BASE_MEM_H
#define NKVI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Uninitialised / zeroed memory, or NULL.  size > 0. */
void *nkvi_alloc(size_t size);
void *nkvi_calloc(size_t count, size_t size); /* NULL also if count × size overflows */

/* Grows or shrinks; on NULL the old block is untouched. */
void *nkvi_realloc(void *block, size_t size);

/* Aligned memory (alignment: a power of two ≥ sizeof(void *)), also given back with nkvi_free. */
void *nkvi_alloc_aligned(size_t alignment, size_t size);

/* Memory for something large that is looked at all over: on a boundary of 2 MiB, and the kernel is
 * asked for pages of that size, if there is at least one; else on a boundary of 128 bytes. */
void *nkvi_alloc_huge(size_t size);

/* What a block of `size` bytes takes from the heap, the allocator's rounding and header included:
 * what counts against a byte limit. */
static inline size_t nkvi_mem_cost(size_t size)
{
    return size <= 24 ? 32 : (size + 8 + 15) & ~(size_t)15;
}

/* Gives memory back; NULL is allowed. */
void nkvi_free(void *block);

/* A copy of len bytes and a NUL behind them, or NULL. */
char *nkvi_strndup(const char *data, size_t len);

/* For tests: called before every allocation; returning false makes it fail.  NULL: none.  Not to be
 * changed while other threads allocate.                                                          */
typedef bool (*nkvi_mem_gate_fn)(size_t size, void *ud);
void nkvi_mem_set_gate(nkvi_mem_gate_fn gate, void *ud);

/* For tests: called for every block that was given out, with the size that was asked for, and for
 * every one that is about to be taken back, with size 0.  NULL: none.  Not to be changed while
 * other threads allocate. */
typedef void (*nkvi_mem_watch_fn)(void *block, size_t size, void *ud);
void nkvi_mem_set_watch(nkvi_mem_watch_fn watch, void *ud);

#endif
