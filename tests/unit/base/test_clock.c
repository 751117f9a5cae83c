/* tests/unit/base/test_clock.c - deadlines saturate, and the clocks agree. */

#include "base/clock.h"

#include <criterion/criterion.h>

Test(base_clock, a_deadline_is_now_plus_milliseconds)
{
    cr_assert_eq(nkvi_deadline_ns(0, 0), 0);
    cr_assert_eq(nkvi_deadline_ns(5, 1), 1000005);
    cr_assert_eq(nkvi_deadline_ns(1000000007, 2500), INT64_C(3500000007));
    cr_assert_eq(nkvi_deadline_ns(-5000000, 3), -2000000, "tests begin where they like");
}

Test(base_clock, a_negative_time_means_never)
{
    cr_assert_eq(nkvi_deadline_ns(0, -1), NKVI_NEVER);
    cr_assert_eq(nkvi_deadline_ns(123, INT64_MIN), NKVI_NEVER);
}

Test(base_clock, a_deadline_too_far_away_is_never_and_does_not_wrap)
{
    const int64_t ms_max = NKVI_NEVER / NKVI_NS_PER_MS;

    cr_assert_eq(nkvi_deadline_ns(0, ms_max), ms_max * NKVI_NS_PER_MS);
    cr_assert_eq(nkvi_deadline_ns(0, ms_max + 1), NKVI_NEVER);
    cr_assert_eq(nkvi_deadline_ns(0, INT64_MAX), NKVI_NEVER);
    cr_assert_eq(nkvi_deadline_ns(NKVI_NEVER, 1), NKVI_NEVER);
    cr_assert_eq(nkvi_deadline_ns(NKVI_NEVER - 1000000, 1), NKVI_NEVER);
    cr_assert_eq(nkvi_deadline_ns(NKVI_NEVER - 1000001, 1), NKVI_NEVER - 1);
    cr_assert_eq(nkvi_deadline_ns(INT64_MIN, 0), INT64_MIN);
    cr_assert_eq(nkvi_deadline_ns(INT64_MIN, INT64_MAX), NKVI_NEVER);
}

Test(base_clock, the_coarse_clock_is_never_ahead_and_behind_by_its_slack_at_most)
{
    const int64_t slack_ns = nkvi_clock_coarse_slack();

    cr_assert_gt(slack_ns, 0);
    for (int i = 0; i < 1000; i++) {
        int64_t before_ns = nkvi_now_ns();
        int64_t coarse_ns = nkvi_now_coarse_ns();
        int64_t after_ns = nkvi_now_ns();
        cr_assert_leq(before_ns, after_ns);
        cr_assert_leq(coarse_ns, after_ns);
        cr_assert_geq(coarse_ns, before_ns - slack_ns);
    }
}
