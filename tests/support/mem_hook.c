/* support/mem_hook.c - the counts behind the allocation hook.
 *
 * A thread has its own counts, which nobody else touches, and adds to those of the process, which
 * are atomic. Nothing here allocates.
 *
 * glibc keeps the size of a block, rounded and with its header, in the word before it; the three
 * lowest bits are flags. That is what the block takes from the heap.
 *
 * Callers      mem_hook_here.h, tests                                                            */

#include "support/mem_hook.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Thread_local t_mem own;
static _Atomic int64_t all_allocs;
static _Atomic int64_t all_frees;
static _Atomic int64_t all_requested;
static _Atomic int64_t all_heap;
static _Atomic int64_t peak;

size_t t_mem_cost_of(const void *block)
{
    return block == NULL ? 0 : ((const size_t *)block)[-1] & ~(size_t)7;
}

static void raise_peak(int64_t heap)
{
    int64_t highest = atomic_load_explicit(&peak, memory_order_relaxed);
    while (heap > highest && !atomic_compare_exchange_weak(&peak, &highest, heap)) {}
}

void t_mem_note_alloc(const void *block, size_t requested)
{
    if (block == NULL) {
        return;
    }
    const int64_t cost = (int64_t)t_mem_cost_of(block);
    own.allocs++;
    own.requested += (int64_t)requested;
    own.heap += cost;
    atomic_fetch_add_explicit(&all_allocs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&all_requested, (int64_t)requested, memory_order_relaxed);
    raise_peak(atomic_fetch_add_explicit(&all_heap, cost, memory_order_relaxed) + cost);
}

void t_mem_note_free(size_t cost)
{
    if (cost == 0) {
        return;
    }
    own.frees++;
    own.heap -= (int64_t)cost;
    atomic_fetch_add_explicit(&all_frees, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&all_heap, (int64_t)cost, memory_order_relaxed);
}

t_mem t_mem_of_thread(void)
{
    return own;
}

t_mem t_mem_of_process(void)
{
    return (t_mem){.allocs = atomic_load(&all_allocs),
                   .frees = atomic_load(&all_frees),
                   .requested = atomic_load(&all_requested),
                   .heap = atomic_load(&all_heap)};
}

t_mem t_mem_diff(t_mem after, t_mem before)
{
    return (t_mem){.allocs = after.allocs - before.allocs,
                   .frees = after.frees - before.frees,
                   .requested = after.requested - before.requested,
                   .heap = after.heap - before.heap};
}

void t_mem_peak_reset(void)
{
    atomic_store(&peak, atomic_load(&all_heap));
}

int64_t t_mem_peak(void)
{
    return atomic_load(&peak);
}

bool t_mem_hooked(void)
{
    /* Through a volatile pointer, or the compiler takes both calls away. */
    void *(*volatile allocate)(size_t) = malloc;
    const int64_t before = own.allocs;
    free(allocate(1));
    return own.allocs != before;
}
