/* cli/latency.h - how long things took: a histogram with logarithmic buckets.
 *
 *      ns      0 1 2 … 63 | 64 65 … 127 | 128 130 … 254 | 256 260 … | …
 *      width   1          | 1           | 2             | 4         | …     64 buckets to an octave
 *
 * A bucket is at most 1/64 of its value wide, so a percentile is right within 1.6 %, at a fixed
 * size and a few instructions for each time.
 * Threads  One thread at a time per object; merge what threads counted.                          */
#ifndef NKVI_CLI_LATENCY_H
#define NKVI_CLI_LATENCY_H

#include <stdint.h>

#define NKVI_LATENCY_BUCKETS (64 * 59)

/* Zeroed is empty. */
typedef struct nkvi_latency {
    uint64_t count[NKVI_LATENCY_BUCKETS];
    uint64_t n, sum_ns, max_ns;
} nkvi_latency;

/* Counts one time; ns < 0 counts as 0. */
void nkvi_latency_add(nkvi_latency *latency, int64_t ns);

void nkvi_latency_merge(nkvi_latency *into, const nkvi_latency *from);

/* The time that `percent` of all times do not exceed, in ns: the largest that falls into its
 * bucket, and not above the largest seen.  0 if there is none.  percent: 0..100.                 */
uint64_t nkvi_latency_percentile(const nkvi_latency *latency, double percent);

/* The mean in ns; 0 if there is none. */
double nkvi_latency_mean(const nkvi_latency *latency);

#endif
