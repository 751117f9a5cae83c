/* tests/unit/tracking/test_backoff.c - waits between attempts: in bounds, growing, not alike. */
#include <criterion/criterion.h>

#include "tracking/backoff.h"

Test(tracking_backoff, stays_within_bounds_and_reaches_high)
{
    nkvi_backoff backoff;
    nkvi_backoff_init(&backoff, 50, 2000, 42);
    int64_t first_ms = nkvi_backoff_next_ms(&backoff), highest_ms = 0;
    cr_assert(first_ms >= 50 && first_ms <= 150, "the first wait is short, not %lld",
              (long long)first_ms);
    for (int i = 0; i < 1000; i++) {
        int64_t ms = nkvi_backoff_next_ms(&backoff);
        cr_assert(ms >= 50 && ms <= 2000, "%lld", (long long)ms);
        highest_ms = ms > highest_ms ? ms : highest_ms;
    }
    cr_assert_gt(highest_ms, 1500);
}

Test(tracking_backoff, reset_makes_the_next_wait_short)
{
    nkvi_backoff backoff;
    nkvi_backoff_init(&backoff, 10, 100000, 7);
    while (nkvi_backoff_next_ms(&backoff) < 1000) {}
    nkvi_backoff_reset(&backoff);
    cr_assert_leq(nkvi_backoff_next_ms(&backoff), 30);
}

Test(tracking_backoff, seeds_differ_and_repeat)
{
    nkvi_backoff a, b, c;
    nkvi_backoff_init(&a, 1, 1000000, 1);
    nkvi_backoff_init(&b, 1, 1000000, 1);
    nkvi_backoff_init(&c, 1, 1000000, 2);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        int64_t ms = nkvi_backoff_next_ms(&a);
        cr_assert_eq(ms, nkvi_backoff_next_ms(&b));
        same += ms == nkvi_backoff_next_ms(&c);
    }
    cr_assert_lt(same, 50);
}

Test(tracking_backoff, odd_bounds_do_no_harm)
{
    nkvi_backoff backoff;
    nkvi_backoff_init(&backoff, 100, 10, 1);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(nkvi_backoff_next_ms(&backoff), 100);
    }
    nkvi_backoff_init(&backoff, 1, INT64_MAX, 1);
    for (int i = 0; i < 1000; i++) {
        cr_assert_geq(nkvi_backoff_next_ms(&backoff), 1);
    }
}
