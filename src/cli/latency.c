/* cli/latency.c - how long things took: a histogram with logarithmic buckets. */
#include "cli/latency.h"

#include <math.h>
#include <stddef.h>

#define SUB_BITS 6 /* 64 buckets to an octave */
#define SUB      (1U << SUB_BITS)

static size_t bucket_of(uint64_t ns)
{
    if (ns < SUB) {
        return (size_t)ns;
    }
    unsigned octave = 63U - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return ((size_t)octave << SUB_BITS) + (size_t)(ns >> octave);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < 2 * SUB) {
        return bucket;
    }
    unsigned octave = (unsigned)(bucket >> SUB_BITS) - 1;
    uint64_t first = (uint64_t)(bucket - ((size_t)octave << SUB_BITS));

    /* For the last bucket of all this wraps around to the largest number there is, as it should. */
    return ((first + 1) << octave) - 1;
}

void nkvi_latency_add(nkvi_latency *latency, int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;

    latency->count[bucket_of(value)]++;
    latency->n++;
    latency->sum_ns += value;
    if (value > latency->max_ns) {
        latency->max_ns = value;
    }
}

void nkvi_latency_merge(nkvi_latency *into, const nkvi_latency *from)
{
    for (size_t i = 0; i < NKVI_LATENCY_BUCKETS; i++) {
        into->count[i] += from->count[i];
    }
    into->n += from->n;
    into->sum_ns += from->sum_ns;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
}

uint64_t nkvi_latency_percentile(const nkvi_latency *latency, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)latency->n * percent / 100);
    uint64_t passed = 0;

    if (latency->n == 0) {
        return 0;
    }
    wanted = wanted < 1 ? 1 : wanted;
    for (size_t i = 0; i < NKVI_LATENCY_BUCKETS; i++) {
        passed += latency->count[i];
        if (passed >= wanted) {
            uint64_t end = bucket_end(i);
            return end < latency->max_ns ? end : latency->max_ns;
        }
    }
    return latency->max_ns;
}

double nkvi_latency_mean(const nkvi_latency *latency)
{
    return latency->n > 0 ? (double)latency->sum_ns / (double)latency->n : 0;
}
