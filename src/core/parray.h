/* core/parray.h - a growing array of pointers that readers index without a lock.
 *
 * Growing publishes a larger copy; the smaller ones stay until the end, because a reader may be
 * inside one (together they are smaller than the last).  An item is written once, before its index
 * is made known to anybody.
 *
 *      items --> [ copy of 16 | … ]  --old--> [ copy of 8 ] --old--> NULL
 *
 * Threads  push: one at a time.  at: [any], for an index that was learned after its push. */
#ifndef NKVI_CORE_PARRAY_H
#define NKVI_CORE_PARRAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

typedef struct nkvi_parray_copy {
    struct nkvi_parray_copy *old;
    void *items[];
} nkvi_parray_copy;

typedef struct nkvi_parray {
    _Atomic(nkvi_parray_copy *) copy;
    uint32_t cap;
    _Atomic uint32_t count;
} nkvi_parray;

static inline void nkvi_parray_init(nkvi_parray *array)
{
    atomic_init(&array->copy, NULL);
    array->cap = 0;
    atomic_init(&array->count, 0);
}

/* Frees the copies, not what the items point to. */
static inline void nkvi_parray_clear(nkvi_parray *array)
{
    nkvi_parray_copy *copy = atomic_load_explicit(&array->copy, memory_order_relaxed);
    while (copy != NULL) {
        nkvi_parray_copy *old = copy->old;
        nkvi_free(copy);
        copy = old;
    }
    nkvi_parray_init(array);
}

static inline void *nkvi_parray_at(const nkvi_parray *array, uint32_t i)
{
    return atomic_load_explicit(&array->copy, memory_order_acquire)->items[i];
}

static inline uint32_t nkvi_parray_count(const nkvi_parray *array)
{
    return atomic_load_explicit(&array->count, memory_order_acquire);
}

/* Bytes that the next push will allocate. */
static inline size_t nkvi_parray_growth(const nkvi_parray *array)
{
    uint32_t cap = array->cap == 0 ? 8 : array->cap * 2;
    return nkvi_parray_count(array) < array->cap
               ? 0
               : nkvi_mem_cost(sizeof(nkvi_parray_copy) + cap * sizeof(void *));
}

/* Appends; its index is the count from before.  false: memory ran out, nothing changed. */
static inline bool nkvi_parray_push(nkvi_parray *array, void *item)
{
    uint32_t count = nkvi_parray_count(array);
    nkvi_parray_copy *copy = atomic_load_explicit(&array->copy, memory_order_relaxed);
    if (count == array->cap) {
        uint32_t cap = array->cap == 0 ? 8 : array->cap * 2;
        nkvi_parray_copy *larger = nkvi_alloc(sizeof *larger + cap * sizeof(void *));
        if (larger == NULL) {
            return false;
        }
        larger->old = copy;
        if (count > 0) {
            memcpy(larger->items, copy->items, count * sizeof(void *));
        }
        atomic_store_explicit(&array->copy, larger, memory_order_release);
        array->cap = cap;
        copy = larger;
    }
    copy->items[count] = item;
    atomic_store_explicit(&array->count, count + 1, memory_order_release);
    return true;
}

#endif
