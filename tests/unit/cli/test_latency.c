/* tests/unit/cli/test_latency.c - percentiles from a histogram. */
#include <criterion/criterion.h>

#include "cli/latency.h"

static nkvi_latency latency; /* too large for a stack */

static void near(uint64_t got, double wanted)
{
    /* A bucket is 1/64 of its value wide at most. */
    cr_assert((double)got >= wanted && (double)got <= wanted * (1 + 1.0 / 64), "%llu is not %.0f",
              (unsigned long long)got, wanted);
}

Test(cli_latency, nothing_took_no_time)
{
    cr_assert_eq(nkvi_latency_percentile(&latency, 50), 0);
    cr_assert_float_eq(nkvi_latency_mean(&latency), 0, 0);
}

Test(cli_latency, one_time_is_every_percentile)
{
    nkvi_latency_add(&latency, 12345);
    cr_assert_eq(nkvi_latency_percentile(&latency, 0), 12345);
    cr_assert_eq(nkvi_latency_percentile(&latency, 50), 12345);
    cr_assert_eq(nkvi_latency_percentile(&latency, 100), 12345);
    cr_assert_float_eq(nkvi_latency_mean(&latency), 12345, 0);
}

Test(cli_latency, small_times_are_exact)
{
    for (int i = 1; i <= 100; i++) {
        nkvi_latency_add(&latency, i);
    }
    cr_assert_eq(nkvi_latency_percentile(&latency, 50), 50);
    cr_assert_eq(nkvi_latency_percentile(&latency, 95), 95);
    cr_assert_eq(nkvi_latency_percentile(&latency, 99), 99);
    cr_assert_eq(nkvi_latency_percentile(&latency, 99.1), 100);
    cr_assert_eq(nkvi_latency_percentile(&latency, 0), 1);
}

Test(cli_latency, large_times_are_right_within_a_bucket)
{
    for (int i = 1; i <= 100000; i++) {
        nkvi_latency_add(&latency, (int64_t)i * 1000);
    }
    near(nkvi_latency_percentile(&latency, 50), 50e6);
    near(nkvi_latency_percentile(&latency, 95), 95e6);
    near(nkvi_latency_percentile(&latency, 99), 99e6);
    cr_assert_eq(nkvi_latency_percentile(&latency, 100), 100000000);
    cr_assert_float_eq(nkvi_latency_mean(&latency), 50000500, 1e-3);
}

Test(cli_latency, every_time_has_a_bucket_that_holds_it)
{
    for (unsigned bit = 0; bit < 63; bit++) {
        for (int64_t by = -1; by <= 1; by++) {
            int64_t ns = (int64_t)(UINT64_C(1) << bit) + by;
            static nkvi_latency one;
            one = (nkvi_latency){0};
            nkvi_latency_add(&one, ns);
            nkvi_latency_add(&one, INT64_MAX);
            if (ns >= 0) {
                near(nkvi_latency_percentile(&one, 50), (double)ns);
            }
            cr_assert_eq(nkvi_latency_percentile(&one, 100), INT64_MAX);
        }
    }
}

Test(cli_latency, a_clock_that_went_back_counts_as_no_time)
{
    nkvi_latency_add(&latency, -5);
    cr_assert_eq(latency.n, 1);
    cr_assert_eq(nkvi_latency_percentile(&latency, 50), 0);
}

Test(cli_latency, merging_adds_up)
{
    static nkvi_latency other;

    nkvi_latency_add(&latency, 10);
    nkvi_latency_add(&other, 20);
    nkvi_latency_add(&other, 30);
    nkvi_latency_merge(&latency, &other);
    cr_assert_eq(latency.n, 3);
    cr_assert_eq(nkvi_latency_percentile(&latency, 50), 20);
    cr_assert_eq(latency.max_ns, 30);
    cr_assert_float_eq(nkvi_latency_mean(&latency), 20, 0);
}
