/* client/counters.h - counters that many threads add to without sharing a cache line.
 *
 * Each thread adds to one of a few stripes; reading sums them. Every addition is exact; a sum is
 * not one instant.
 * Threads  [any], lock-free. */
#ifndef NKVI_CLIENT_COUNTERS_H
#define NKVI_CLIENT_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define NKVI_STRIPES 16u

typedef enum nkvi_counter {
    NKVI_C_READS,      /* but the quick hits */
    NKVI_C_QUICK_HITS, /* hits of the hot path: one addition counts the read and the hit */
    NKVI_C_HITS,
    NKVI_C_VALIDATIONS,
    NKVI_C_MISSES,
    NKVI_C_COALESCED,
    NKVI_C_BYPASS, /* NKV_BYPASS_COUNT of them */
    NKVI_C_BYPASS_END = NKVI_C_BYPASS + 4,
    NKVI_C_FAILURES,
    NKVI_C_WRITES,
    NKVI_C_INVALIDATIONS,
    NKVI_C_SPURIOUS,
    NKVI_C_FLUSHES,
    NKVI_C_RACED,
    NKVI_C_UNKNOWN_PUSHES,
    NKVI_C_BARRIERS,
    NKVI_C_AGAIN, /* requests that were sent again: redirected, or their node could not answer */
    NKVI_C_COUNT
} nkvi_counter;

typedef struct nkvi_stripe {
    _Alignas(64) _Atomic uint64_t count[(NKVI_C_COUNT + 7) / 8 * 8];
} nkvi_stripe;

typedef struct nkvi_counters {
    nkvi_stripe stripes[NKVI_STRIPES];
} nkvi_counters;

/* A number that is the same for every call of one thread and spread over threads. */
unsigned nkvi_stripe_of_thread(void);

static inline void nkvi_count_add(nkvi_counters *counters, unsigned which, uint64_t n)
{
    nkvi_stripe *stripe = &counters->stripes[nkvi_stripe_of_thread() % NKVI_STRIPES];
    atomic_fetch_add_explicit(&stripe->count[which], n, memory_order_relaxed);
}

uint64_t nkvi_count_sum(const nkvi_counters *counters, unsigned which);

#endif
