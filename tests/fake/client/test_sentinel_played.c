/* tests/fake/client/test_sentinel_played.c - sentinels that are late, and primaries that are none:
 * what real ones do for a moment, for as long as the test wants it. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"

enum { SOON_MS = 10000, MAX_AGE_MS = 200 };

/* One sentinel, and two servers of which one is the primary; each says its own name as the value of
 * every key. */
typedef struct stage {
    t_fake *sentinel, *a, *b;
    nkv_client *client;
} stage;

static void answer(t_fake *fake, char *reply, const char *const *words)
{
    t_fake_on_argv(fake, reply, strlen(reply), words);
    free(reply);
}
#define ANSWER(fake, reply, ...) answer((fake), (reply), (const char *const[]){__VA_ARGS__, NULL})

/* What the sentinel says: who is the primary, by the configuration of that epoch. */
static void name_primary(stage *s, const t_fake *fake, int epoch)
{
    char port[8], number[8];
    (void)snprintf(port, sizeof port, "%d", t_fake_port(fake));
    (void)snprintf(number, sizeof number, "%d", epoch);
    ANSWER(s->sentinel, t_format("*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port),
           "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "...");
    ANSWER(s->sentinel,
           t_format("%%4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$%zu\r\n%s\r\n"
                    "$5\r\nflags\r\n$6\r\nmaster\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                    strlen(port), port, strlen(number), number),
           "SENTINEL", "MASTER", "...");
}

static void say_role(t_fake *fake, const char *role)
{
    char text[160];
    (void)snprintf(text, sizeof text,
                   "role:%s\r\nmaster_link_status:up\r\nmaster_replid:%040d\r\n"
                   "master_repl_offset:7\r\nslave_repl_offset:7\r\n",
                   role, 1);
    ANSWER(fake, t_format("$%zu\r\n%s\r\n", strlen(text), text), "INFO", "...");
    ANSWER(fake, t_format("*3\r\n$%zu\r\n%s\r\n:7\r\n*0\r\n", strlen(role), role), "ROLE");
}

static t_fake *server_start(const char *name, const char *role)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.tcp = true});
    ANSWER(fake, t_format("$1\r\n%s\r\n", name), "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    say_role(fake, role);
    return fake;
}

static stage stage_open(void)
{
    stage s = {.sentinel = t_fake_start(&(t_fake_options){.tcp = true}),
               .a = server_start("a", "master"),
               .b = server_start("b", "slave")};
    char url[96];
    t_fake_on(s.sentinel, "*0\r\n", "SENTINEL", "REPLICAS", "...");
    t_fake_on(s.sentinel, "*0\r\n", "SENTINEL", "SENTINELS", "...");
    name_primary(&s, s.a, 1);
    (void)snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d/s", t_fake_port(s.sentinel));
    nkv_options options = t_near_options(url);
    options.topology_max_age_ms = MAX_AGE_MS;
    options.timeout_ms = 300;
    s.client = t_near_open(&options);
    return s;
}

static void stage_close(stage *s)
{
    nkv_client_destroy(s->client);
    t_fake_stop(s->sentinel);
    t_fake_stop(s->a);
    t_fake_stop(s->b);
}

/* Tells those who have subscribed. */
static void announce_switch(const stage *s, int from, int to)
{
    char payload[96], bytes[192];
    int conn =
        t_fake_command_at(s->sentinel, (size_t)t_fake_find(s->sentinel, 0, "SUBSCRIBE", "..."))
            .conn;
    (void)snprintf(payload, sizeof payload, "s 127.0.0.1 %d 127.0.0.1 %d", from, to);
    (void)snprintf(bytes, sizeof bytes,
                   ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
                   strlen(payload), payload);
    t_fake_send(s->sentinel, conn, bytes, strlen(bytes));
}

static void await_value(const stage *s, const char *value)
{
    T_WAIT_UNTIL(strcmp(t_near_get(s->client, "k").text, value) == 0, SOON_MS);
}

Test(client_sentinel, a_switch_is_followed_at_once, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    say_role(s.b, "master");
    announce_switch(&s, t_fake_port(s.a), t_fake_port(s.b)); /* MASTER still names the old one */
    await_value(&s, "b");
    t_sleep_ms(3 * MAX_AGE_MS / 4);
    for (int i = 0; i < 20; i++) {
        cr_assert_str_eq(t_near_get(s.client, "k").text, "b", "the old epoch is not believed");
    }
    cr_assert(t_fake_wait_closed(s.a, 1, SOON_MS), "the old primary's connection is over");
    stage_close(&s);
}

/* A sentinel that was cut off tells of a switch of long ago when it is back. */
Test(client_sentinel, a_switch_between_others_switches_nothing, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    say_role(s.b, "master");
    const size_t before = t_fake_hits(s.b, "GET", "*");
    announce_switch(&s, 1, t_fake_port(s.b));
    t_sleep_ms(2 * MAX_AGE_MS);
    for (int i = 0; i < 20; i++) {
        cr_assert_str_eq(t_near_get(s.client, "k").text, "a");
    }
    cr_assert_eq(t_fake_hits(s.b, "GET", "*"), before);
    stage_close(&s);
}

Test(client_sentinel, a_newer_configuration_is_followed_and_an_older_is_not, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    say_role(s.b, "master");
    name_primary(&s, s.b, 2);
    await_value(&s, "b");
    name_primary(&s, s.a, 1);
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
    say_role(s.a, "slave");
    T_WAIT_UNTIL(t_near_get(s.client, "k").status < 0, SOON_MS);
    t_answer answer = t_near_get_at(s.client, "k", NKV_BARRIER);
    cr_assert_eq(answer.status, NKV_ECONN, "%s", answer.text);
    cr_assert_not_null(strstr(answer.error.text, "no server is known"), "%s", answer.error.text);
    cr_assert_lt(t_near_set(s.client, "w", "v"), 0);
    say_role(s.a, "master");
    await_value(&s, "a");
    cr_assert_eq(t_near_set(s.client, "w", "v"), NKV_OK);
    stage_close(&s);
}

/* Silence of all sentinels ends nothing: the primary's own word counts. */
Test(client_sentinel, without_sentinels_it_goes_on, .timeout = 60)
{
    stage s = stage_open();
    await_value(&s, "a");
    t_fake_refuse(s.sentinel, true);
    t_fake_close(s.sentinel, T_EVERY, true);
    t_sleep_ms(3 * MAX_AGE_MS);
    for (int i = 0; i < 10; i++) {
        cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "a"));
    }
    t_fake_on(s.a, "", "INFO", "..."); /* but without that, nothing vouches */
    T_WAIT_UNTIL(t_near_get(s.client, "k").from == NKV_FROM_SERVER, SOON_MS);
    stage_close(&s);
}
