/* core/meter.h - the byte budget: one number that is never above its limit.
 *
 * Memory is added before it is allocated and taken off after it was freed, so what is counted is
 * never less than what there is.
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_METER_H
#define NKVI_CORE_METER_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NKVI_UNBOUNDED UINT64_MAX

typedef struct nkvi_meter {
    _Atomic uint64_t used;
    uint64_t max; /* NKVI_UNBOUNDED: none */
} nkvi_meter;

static inline void nkvi_meter_init(nkvi_meter *meter, uint64_t max)
{
    atomic_init(&meter->used, 0);
    meter->max = max;
}

static inline uint64_t nkvi_meter_used(const nkvi_meter *meter)
{
    return atomic_load_explicit(&meter->used, memory_order_relaxed);
}

/* Bytes that may still be added. */
static inline uint64_t nkvi_meter_left(const nkvi_meter *meter)
{
    return meter->max - nkvi_meter_used(meter);
}

/* Adds `bytes` if they fit. */
static inline bool nkvi_meter_add(nkvi_meter *meter, uint64_t bytes)
{
    uint64_t used = nkvi_meter_used(meter);
    do {
        if (bytes > meter->max - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&meter->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static inline void nkvi_meter_sub(nkvi_meter *meter, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&meter->used, bytes, memory_order_relaxed);
    assert(before >= bytes);
    (void)before;
}

#endif
