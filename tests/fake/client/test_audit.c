/* tests/fake/client/test_audit.c - the question whether the server still tracks a connection, and
 * servers that cannot answer it just now. */
#include <criterion/criterion.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"

enum { SOON_MS = 10000, AUDIT_MS = 10, SOME_AUDITS_MS = 300 };

static nkv_client *open_on(t_fake *fake)
{
    nkv_options options = t_near_options(t_fake_url(fake));
    options.audit_ms = AUDIT_MS;
    options.backoff_min_ms = options.backoff_max_ms = 1;
    return t_near_open(&options);
}

/* P5: a server that is stuck is not asked again and again. */
Test(client_audit, p5_one_question_at_a_time, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "", "CLIENT", "TRACKINGINFO");
    nkv_client *client = open_on(fake);
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "CLIENT", "TRACKINGINFO"));
    t_sleep_ms(SOME_AUDITS_MS);
    cr_assert_eq(t_fake_hits(fake, "CLIENT", "TRACKINGINFO"), 1);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* A script that runs too long, a replica that loads: it passes, and the question is asked again. */
Test(client_audit, a_server_that_is_busy_is_asked_again, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "-BUSY Redis is busy running a script.\r\n", "CLIENT", "TRACKINGINFO");
    nkv_client *client = open_on(fake);
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "CLIENT", "TRACKINGINFO"));
    t_fake_on(fake, "%1\r\n+flags\r\n~1\r\n+off\r\n", "CLIENT", "TRACKINGINFO");
    cr_assert(t_fake_wait_hits(fake, 2, SOON_MS, "CLIENT", "TRACKING", "ON"), "not asked again");
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* The same when tracking is to be turned on: without it for good would be too much. */
Test(client_audit, a_server_that_is_busy_at_the_greeting_is_greeted_again, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "-BUSY Redis is busy running a script.\r\n", "CLIENT", "TRACKING", "ON");
    nkv_options options = t_near_options(t_fake_url(fake));
    options.backoff_min_ms = options.backoff_max_ms = 1;
    nkv_client *client = t_near_start(&options);
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "CLIENT", "TRACKING", "ON"));
    t_fake_on(fake, "+OK\r\n", "CLIENT", "TRACKING", "ON");
    T_WAIT_UNTIL(nkv_client_wait_ready(client, SOON_MS, NULL) == NKV_OK, SOON_MS);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
