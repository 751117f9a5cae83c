/* core/counters.c - see counters.h. */
#include "core/counters.h"

uint32_t nkvi_thread_number(void)
{
    static _Atomic uint32_t threads;
    static _Thread_local __attribute__((tls_model("initial-exec"))) uint32_t mine; /* 1 + number */
    if (mine == 0) {
        mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    }
    return mine - 1;
}

static uint64_t sum_all(const nkvi_totals *totals, nkvi_counted which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < NKVI_STRIPES_OWN + NKVI_STRIPES_SHARED; i++) {
        sum += atomic_load_explicit(&totals->stripes[i].count[which], memory_order_relaxed);
    }
    return sum;
}

uint64_t nkvi_totals_sum(const nkvi_totals *totals, nkvi_counted which)
{
    uint64_t cleared = atomic_load_explicit(&totals->cleared[which], memory_order_relaxed);
    return sum_all(totals, which) - cleared;
}

void nkvi_totals_clear(nkvi_totals *totals)
{
    for (unsigned i = 0; i < NKVI_COUNTED; i++) {
        atomic_store_explicit(&totals->cleared[i], sum_all(totals, (nkvi_counted)i),
                              memory_order_relaxed);
    }
}
