/* tests/unit/support/test_freshness.c - the judge of reads says no where it must. */

#include <criterion/criterion.h>

#include "support/freshness.h"

#define MS INT64_C(1000000)

/* Versions 1 … n are written, acknowledged at 10 ms each. */
static t_fresh *with_versions(int n)
{
    t_fresh *fresh = t_fresh_new(2, 5 * MS);
    for (int i = 1; i <= n; i++) {
        t_fresh_acked(fresh, 1, t_fresh_write(fresh, 1), (int64_t)i * 10 * MS);
    }
    return fresh;
}

static t_fresh_verdict read_at(t_fresh *fresh, int64_t now_ns, nkv_level level, uint64_t version)
{
    const t_fresh_ask ask = t_fresh_begin(fresh, 1, now_ns);
    return t_fresh_end(fresh, 1, &ask, level, version);
}

Test(support_freshness, a_barrier_sees_all_that_was_acknowledged)
{
    t_fresh *fresh = with_versions(3);
    cr_assert_eq(read_at(fresh, 30 * MS, NKV_BARRIER, 3), T_FRESH_GOOD);
    cr_assert_eq(read_at(fresh, 30 * MS + 1, NKV_BARRIER, 2), T_FRESH_STALE);
    cr_assert_eq(read_at(fresh, 30 * MS + 1, NKV_BARRIER, 0), T_FRESH_STALE);
    t_fresh_free(fresh);
}

/* A write under way may be seen or not, and one acknowledged during the read as well. */
Test(support_freshness, what_is_not_acknowledged_is_free)
{
    t_fresh *fresh = with_versions(3);
    const t_fresh_ask ask = t_fresh_begin(fresh, 1, 31 * MS);
    const uint64_t version = t_fresh_write(fresh, 1);
    cr_assert_eq(version, 4);
    cr_assert_eq(t_fresh_end(fresh, 1, &ask, NKV_BARRIER, 4), T_FRESH_GOOD);
    t_fresh_acked(fresh, 1, version, 32 * MS);
    cr_assert_eq(t_fresh_end(fresh, 1, &ask, NKV_BARRIER, 3), T_FRESH_GOOD);
    t_fresh_free(fresh);
}

Test(support_freshness, others_may_be_late_up_to_the_bound)
{
    t_fresh *fresh = with_versions(3);
    cr_assert_eq(read_at(fresh, 35 * MS, NKV_EVENTUAL, 2), T_FRESH_GOOD);
    cr_assert_eq(read_at(fresh, 35 * MS + 1, NKV_EVENTUAL, 2), T_FRESH_STALE);
    /* It counts when the next version came, not the last. */
    cr_assert_eq(read_at(fresh, 31 * MS, NKV_DRAIN, 1), T_FRESH_STALE);
    cr_assert_eq(t_fresh_age_max_ns(fresh, NKV_DRAIN), 11 * MS);
    t_fresh_free(fresh);
}

Test(support_freshness, a_thread_does_not_go_back_and_nothing_is_invented)
{
    t_fresh *fresh = with_versions(3);
    t_fresh_ask ask = t_fresh_begin(fresh, 1, 31 * MS);
    ask.floor = 4; /* seen by the thread before it was acknowledged */
    cr_assert_eq(t_fresh_write(fresh, 1), 4);
    cr_assert_eq(t_fresh_end(fresh, 1, &ask, NKV_BARRIER, 3), T_FRESH_BACKWARDS);
    cr_assert_eq(t_fresh_end(fresh, 1, &ask, NKV_EVENTUAL, 3), T_FRESH_GOOD);
    cr_assert_eq(t_fresh_end(fresh, 1, &ask, NKV_BARRIER, 5), T_FRESH_INVENTED);
    t_fresh_free(fresh);
}

/* What is older than the memory is judged by the oldest time that is left. */
Test(support_freshness, long_gone_versions_are_stale)
{
    t_fresh *fresh = with_versions(10000);
    cr_assert_eq(read_at(fresh, 100000 * MS + 1, NKV_EVENTUAL, 1), T_FRESH_STALE);
    cr_assert_eq(read_at(fresh, 100000 * MS + 1, NKV_EVENTUAL, 9999), T_FRESH_GOOD);
    t_fresh_free(fresh);
}
