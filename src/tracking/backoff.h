/* tracking/backoff.h - how long to wait before the next attempt to connect.
 *
 * Decorrelated jitter: each wait is random between the least wait and three times the last one,
 * never above the greatest, so that many clients that lost one server do not come back together.
 * Threads  One thread at a time; no clock. */
#ifndef NKVI_TRACKING_BACKOFF_H
#define NKVI_TRACKING_BACKOFF_H

#include <stdint.h>

typedef struct nkvi_backoff {
    int64_t min_ms, max_ms, last_ms;
    uint64_t random;
} nkvi_backoff;

/* 0 < min_ms; a max_ms below it counts as min_ms. */
void nkvi_backoff_init(nkvi_backoff *backoff, int64_t min_ms, int64_t max_ms, uint64_t seed);

/* After a connection that lasted. */
void nkvi_backoff_reset(nkvi_backoff *backoff);

/* The next wait: min_ms <= wait <= max_ms. */
int64_t nkvi_backoff_next_ms(nkvi_backoff *backoff);

#endif
