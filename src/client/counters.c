/* client/counters.c - see counters.h. */
#include "client/counters.h"

unsigned nkvi_stripe_of_thread(void)
{
    static _Atomic unsigned next;
    static _Thread_local unsigned mine; /* 0: not numbered yet */
    if (mine == 0) {
        mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) + 1;
    }
    return mine;
}

uint64_t nkvi_count_sum(const nkvi_counters *counters, unsigned which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < NKVI_STRIPES; i++) {
        sum += atomic_load_explicit(&counters->stripes[i].count[which], memory_order_relaxed);
    }
    return sum;
}
