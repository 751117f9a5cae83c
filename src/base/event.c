/* base/event.c - see event.h. */
#include "base/event.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SLEEPS (UINT32_C(1) << 31)

bool nkvi_event_done(nkvi_event_count *event, uint32_t n)
{
    uint32_t before = atomic_fetch_sub_explicit(&event->value, n, memory_order_acq_rel);
    if (before == (SLEEPS | n)) {
        (void)syscall(SYS_futex, &event->value, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return (before & ~SLEEPS) == n;
}

/* Sleeps while the value is `value`; false if the deadline passed. */
static bool sleep_on(nkvi_event_count *event, uint32_t value, int64_t deadline_ns)
{
    if (deadline_ns <= 0) {
        return false; /* the kernel takes no negative time, and would be asked again and again */
    }
    struct timespec until = {.tv_sec = deadline_ns / INT64_C(1000000000),
                             .tv_nsec = deadline_ns % INT64_C(1000000000)};
    /* WAIT_BITSET takes an absolute time of the monotonic clock. */
    long rc = syscall(SYS_futex, &event->value, FUTEX_WAIT_BITSET_PRIVATE, value,
                      deadline_ns == NKVI_NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    return rc == 0 || errno != ETIMEDOUT;
}

bool nkvi_event_wait(nkvi_event_count *event, int64_t deadline_ns)
{
    bool in_time = true;
    while (in_time && nkvi_event_open(event) > 0) {
        uint32_t value = atomic_fetch_or_explicit(&event->value, SLEEPS, memory_order_acquire);
        if ((value & ~SLEEPS) > 0) {
            in_time = sleep_on(event, value | SLEEPS, deadline_ns);
        }
    }
    atomic_fetch_and_explicit(&event->value, ~SLEEPS, memory_order_acquire);
    return nkvi_event_open(event) == 0;
}
