/* tracking/backoff.c - see backoff.h. */
#include "tracking/backoff.h"

#include <assert.h>

void nkvi_backoff_init(nkvi_backoff *backoff, int64_t min_ms, int64_t max_ms, uint64_t seed)
{
    assert(min_ms > 0);
    backoff->min_ms = min_ms;
    backoff->max_ms = max_ms < min_ms ? min_ms : max_ms;
    backoff->random = seed;
    nkvi_backoff_reset(backoff);
}

void nkvi_backoff_reset(nkvi_backoff *backoff)
{
    backoff->last_ms = backoff->min_ms;
}

/* SplitMix64: 64 well mixed bits from a counter. */
static uint64_t next_random(nkvi_backoff *backoff)
{
    uint64_t x = backoff->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

int64_t nkvi_backoff_next_ms(nkvi_backoff *backoff)
{
    int64_t top = backoff->last_ms > backoff->max_ms / 3 ? backoff->max_ms : backoff->last_ms * 3;
    if (top < backoff->min_ms) {
        top = backoff->min_ms;
    }
    uint64_t width = (uint64_t)(top - backoff->min_ms) + 1;
    backoff->last_ms = backoff->min_ms + (int64_t)(next_random(backoff) % width);
    assert(backoff->last_ms >= backoff->min_ms && backoff->last_ms <= backoff->max_ms);
    return backoff->last_ms;
}
