/* base/clock.c - CLOCK_MONOTONIC, exact and coarse. */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts); /* cannot fail for these clocks */
    return (int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t nkvi_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t nkvi_now_coarse_ns(void)
{
    return read_ns(CLOCK_MONOTONIC_COARSE);
}

int64_t nkvi_clock_coarse_slack(void)
{
    struct timespec ts;
    /* Two ticks: the tick may be read just before it is due, and once more be late. */
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) != 0) {
        return 20 * NKVI_NS_PER_MS;
    }
    return 2 * ((int64_t)ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec);
}

int64_t nkvi_deadline_ns(int64_t now_ns, int64_t ms)
{
    int64_t ns;

    if (ms < 0 || __builtin_mul_overflow(ms, NKVI_NS_PER_MS, &ns) ||
        __builtin_add_overflow(now_ns, ns, &ns)) {
        return NKVI_NEVER;
    }
    return ns;
}
