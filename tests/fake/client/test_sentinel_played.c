/* tests/fake/client/test_sentinel_played.c - sentinels that are late, and primaries that are none:
 * what real ones do for a moment, for as long as the test wants it. */

#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"
#include "support/fake_sentinel.h"
#include "support/near.h"

enum { SOON_MS = 10000, MAX_AGE_MS = 200 };

typedef struct stage {
    t_fs fs;
    nkv_client *client;
} stage;

static stage stage_open(void)
{
    stage s;
    t_fs_start(&s.fs);
    nkv_options options = t_near_options(s.fs.url);
    options.topology_max_age_ms = MAX_AGE_MS;
    options.timeout_ms = 300;
    s.client = t_near_open(&options);
    return s;
}

static void stage_close(stage *s)
{
    nkv_client_destroy(s->client);
    t_fs_stop(&s->fs);
}

static void await_value(const stage *s, const char *value)
{
    T_WAIT_UNTIL(strcmp(t_near_get(s->client, "k").text, value) == 0, SOON_MS);
}

Test(client_sentinel, a_switch_is_followed_at_once, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    t_fs_role(s.fs.b, "master");
    t_fs_announce(&s.fs, t_fake_port(s.fs.a),
                  t_fake_port(s.fs.b)); /* MASTER still names the old one */
    await_value(&s, "b");
    t_sleep_ms(3 * MAX_AGE_MS / 4);
    for (int i = 0; i < 20; i++) {
        cr_assert_str_eq(t_near_get(s.client, "k").text, "b", "the old epoch is not believed");
    }
    cr_assert(t_fake_wait_closed(s.fs.a, 1, SOON_MS), "the old primary's connection is over");
    stage_close(&s);
}

/* A sentinel that was cut off tells of a switch of long ago when it is back. */
Test(client_sentinel, a_switch_between_others_switches_nothing, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    t_fs_role(s.fs.b, "master");
    const size_t before = t_fake_hits(s.fs.b, "GET", "*");
    t_fs_announce(&s.fs, 1, t_fake_port(s.fs.b));
    t_sleep_ms(2 * MAX_AGE_MS);
    for (int i = 0; i < 20; i++) {
        cr_assert_str_eq(t_near_get(s.client, "k").text, "a");
    }
    cr_assert_eq(t_fake_hits(s.fs.b, "GET", "*"), before);
    stage_close(&s);
}

Test(client_sentinel, a_newer_configuration_is_followed_and_an_older_is_not, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    t_fs_role(s.fs.b, "master");
    t_fs_name(&s.fs, s.fs.b, 2);
    await_value(&s, "b");
    t_fs_name(&s.fs, s.fs.a, 1);
    t_sleep_ms(2 * MAX_AGE_MS);
    cr_assert_str_eq(t_near_get(s.client, "k").text, "b");
    stage_close(&s);
}

/* It says so itself, and nobody names another one yet. */
Test(client_sentinel, who_says_that_it_is_no_primary_is_not_asked, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    cr_assert_eq(t_near_set(s.client, "w", "v"), NKV_OK);
    t_fs_role(s.fs.a, "slave");
    T_WAIT_UNTIL(t_near_get(s.client, "k").status < 0, SOON_MS);
    t_answer answer = t_near_get_at(s.client, "k", NKV_BARRIER);
    cr_assert_eq(answer.status, NKV_ECONN, "%s", answer.text);
    cr_assert_not_null(strstr(answer.error.text, "no server is known"), "%s", answer.error.text);
    cr_assert_lt(t_near_set(s.client, "w", "v"), 0);
    t_fs_role(s.fs.a, "master");
    await_value(&s, "a");
    cr_assert_eq(t_near_set(s.client, "w", "v"), NKV_OK);
    stage_close(&s);
}

/* Silence of all sentinels ends nothing: the primary's own word counts. */
Test(client_sentinel, without_sentinels_it_goes_on, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    t_fake_refuse(s.fs.sentinel, true);
    t_fake_close(s.fs.sentinel, T_EVERY, true);
    t_sleep_ms(3 * MAX_AGE_MS);
    for (int i = 0; i < 10; i++) {
        cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "a"));
    }
    t_fake_on(s.fs.a, "", "INFO", "..."); /* but without that, nothing vouches */
    T_WAIT_UNTIL(t_near_get(s.client, "k").from == NKV_FROM_SERVER, SOON_MS);
    stage_close(&s);
}
