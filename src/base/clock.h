/* base/clock.h - the time source: monotonic nanoseconds.
 *
 * Only layers from io upwards ask for the time; core and tracking get it as an argument.  The
 * coarse clock costs a third of the exact one; it lags by nkvi_clock_coarse_slack() at most.
 * Threads  [any].  No system call (vDSO) where the kernel's clock source allows it.              */
#ifndef NKVI_BASE_CLOCK_H
#define NKVI_BASE_CLOCK_H

#include <stdint.h>

#define NKVI_NS_PER_MS INT64_C(1000000)
#define NKVI_NEVER     INT64_MAX /* a deadline that does not come */

int64_t nkvi_now_ns(void);
int64_t nkvi_now_coarse_ns(void);
int64_t nkvi_clock_coarse_slack(void);

/* now + ms, saturating at NKVI_NEVER; ms < 0 is NKVI_NEVER. */
int64_t nkvi_deadline_ns(int64_t now_ns, int64_t ms);

#endif
