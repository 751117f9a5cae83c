/* tests/unit/tracking/test_health.c - the watchdog on a clock of the test's own. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "tracking/health.h"

#define MS   NKVI_NS_PER_MS
#define IDLE 1000 /* max_idle in ms */

static nkvi_health health;
static int64_t next_ns;

static nkvi_health_action check_at(int64_t ms)
{
    return nkvi_health_check(&health, ms * MS, &next_ns);
}

static void begin(void)
{
    nkvi_health_init(&health, IDLE, 0);
}

Test(tracking_health, silence_leads_to_ping_unhealthy_close, .init = begin)
{
    cr_assert_eq(check_at(0), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, 500 * MS);
    cr_assert_eq(check_at(499), NKVI_HEALTH_NOTHING);
    cr_assert_eq(check_at(500), NKVI_HEALTH_PING);
    cr_assert_eq(check_at(500), NKVI_HEALTH_NOTHING, "one PING is enough");
    cr_assert_eq(next_ns, 1000 * MS);
    cr_assert(health.healthy);
    cr_assert_eq(check_at(1000), NKVI_HEALTH_UNHEALTHY);
    cr_assert_not(health.healthy);
    cr_assert_eq(check_at(1000), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, 2000 * MS);
    cr_assert_eq(check_at(1999), NKVI_HEALTH_NOTHING);
    cr_assert_eq(check_at(2000), NKVI_HEALTH_CLOSE);
}

Test(tracking_health, a_sign_of_life_starts_over, .init = begin)
{
    cr_assert_eq(check_at(500), NKVI_HEALTH_PING);
    cr_assert_not(nkvi_health_heard(&health, 600 * MS), "it was healthy all the time");
    cr_assert_eq(check_at(1099), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, 1100 * MS);
    cr_assert_eq(check_at(1100), NKVI_HEALTH_PING);
    cr_assert_eq(check_at(1600), NKVI_HEALTH_UNHEALTHY);
    cr_assert(nkvi_health_heard(&health, 1700 * MS), "it became healthy");
    cr_assert(health.healthy);
    cr_assert_eq(check_at(1700), NKVI_HEALTH_NOTHING);
}

/* The process was stopped (SIGSTOP, a laptop's sleep): silence is not the server's fault. */
Test(tracking_health, after_a_long_sleep_it_asks_before_it_judges, .init = begin)
{
    cr_assert_eq(check_at(60000), NKVI_HEALTH_PING);
    cr_assert_eq(check_at(60000), NKVI_HEALTH_UNHEALTHY, "but nothing is served meanwhile");
    cr_assert_eq(check_at(60000), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, 61500 * MS);
    cr_assert_eq(check_at(61499), NKVI_HEALTH_NOTHING);
    cr_assert_eq(check_at(61500), NKVI_HEALTH_CLOSE);
}

Test(tracking_health, time_does_not_run_backwards, .init = begin)
{
    nkvi_health_heard(&health, 700 * MS);
    nkvi_health_heard(&health, 300 * MS);
    cr_assert_eq(health.heard_ns, 700 * MS);
    cr_assert_eq(check_at(100), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, 1200 * MS);
}

Test(tracking_health, without_a_limit_it_never_acts)
{
    nkvi_health_init(&health, -1, 0);
    cr_assert_eq(check_at(INT64_C(1000000000)), NKVI_HEALTH_NOTHING);
    cr_assert_eq(next_ns, NKVI_NEVER);
    nkvi_health_init(&health, INT64_MAX, 0);
    cr_assert_eq(check_at(INT64_C(1000000000)), NKVI_HEALTH_NOTHING);
}
