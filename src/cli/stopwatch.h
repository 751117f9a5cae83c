/* cli/stopwatch.h - the time, for measuring how long something took. */
#ifndef NKVI_CLI_STOPWATCH_H
#define NKVI_CLI_STOPWATCH_H

#include <stdint.h>
#include <time.h>

/* Monotonic, in nanoseconds.  [any] */
static inline int64_t nkvi_stopwatch_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
