/* core/counters.h - totals that are exact and cost a hit one plain addition.
 *
 * Threads are numbered as they come.  The first ones have a stripe of counters each, which nobody
 * else writes, so no atomic addition is needed; later ones share stripes and add atomically.
 *
 *      [ thread 1 | thread 2 | … | thread 48 | shared | … | shared ]        reading sums them
 *
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_COUNTERS_H
#define NKVI_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define NKVI_STRIPES_OWN    48u
#define NKVI_STRIPES_SHARED 16u /* a power of two */

typedef enum nkvi_counted {
    NKVI_HITS,
    NKVI_MISSES,
    NKVI_INVALIDATIONS,
    NKVI_DIRTY,
    NKVI_PUTS,
    NKVI_PUTS_REFUSED,
    NKVI_EVICTIONS,
    NKVI_EXPIRATIONS,
    NKVI_FLUSHES,
    NKVI_COUNTED
} nkvi_counted;

typedef struct nkvi_count_stripe {
    _Alignas(64) _Atomic uint64_t count[(NKVI_COUNTED + 7) / 8 * 8];
} nkvi_count_stripe;

typedef struct nkvi_totals {
    nkvi_count_stripe stripes[NKVI_STRIPES_OWN + NKVI_STRIPES_SHARED];
    _Atomic uint64_t cleared[NKVI_COUNTED]; /* the sums when they were cleared */
} nkvi_totals;

/* The number of the calling thread: 0, 1, 2 … in the order of their first calls. */
uint32_t nkvi_thread_number(void);

static inline void nkvi_totals_add(nkvi_totals *totals, nkvi_counted which, uint64_t n)
{
    uint32_t thread = nkvi_thread_number();
    if (thread < NKVI_STRIPES_OWN) {
        _Atomic uint64_t *count = &totals->stripes[thread].count[which];
        uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
        atomic_store_explicit(count, now + n, memory_order_relaxed);
    } else {
        uint32_t stripe = NKVI_STRIPES_OWN + (thread & (NKVI_STRIPES_SHARED - 1));
        atomic_fetch_add_explicit(&totals->stripes[stripe].count[which], n, memory_order_relaxed);
    }
}

/* The sum since the last clear. */
uint64_t nkvi_totals_sum(const nkvi_totals *totals, nkvi_counted which);
void nkvi_totals_clear(nkvi_totals *totals);

#endif
