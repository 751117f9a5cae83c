/* tests/live/client/test_ttl.c - no answer outlives its key: the acceptance cases 33 to 42 (P1).
 *
 * Servers tell of an expiry late or, without their expiry cycle, never; so each test that looks at
 * an expiry switches that cycle off and reads as fast as it can until well after it. A read counts
 * as too late if it *began* after the key was surely gone and memory still answered with the value.
 */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

enum {
    SLACK_MS = 1,  /* the server's clock ticks in milliseconds */
    LIFE_MS = 800, /* of a key: long enough for a few calls on a busy machine */
    BOUND_MS = 300 /* of the client's own, where too late is told from not kept */
};

static t_ctl *open_without_expiry_cycle(const t_server *server)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "DEBUG", "SET-ACTIVE-EXPIRE", "0");
    return ctl;
}

/* Reads until `until_ms`. Returns when the last read began that memory answered with `value`, 0 if
 * there was none.                                                                                */
static int64_t last_served_ms(nkv_client *client, const char *key, const char *value,
                              int64_t until_ms)
{
    int64_t last_ms = 0;
    int64_t begin_ms;
    while ((begin_ms = t_now_ms()) < until_ms) {
        const t_answer answer = t_near_get(client, key);
        cr_assert_geq((int)answer.status, 0, "%s", answer.error.text);
        if (answer.from == NKV_FROM_CACHE && strcmp(answer.text, value) == 0) {
            last_ms = begin_ms;
        }
    }
    return last_ms;
}

/* ---- Cases 33, 34, 42: expiry nobody tells of ------------------------------------------------ */

T_LIVE_PRIVATE(client_ttl, p1_case_33_never_served_after_expiry)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = open_without_expiry_cycle(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v", "PX", "800");
    const int64_t gone_ms = t_now_ms() + LIFE_MS;
    const int64_t last_ms = last_served_ms(client, "k", "v", gone_ms + 300);
    cr_assert_gt(last_ms, 0, "never a hit");
    cr_assert_leq(last_ms, gone_ms + SLACK_MS, "%lld ms late", (long long)(last_ms - gone_ms));
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE_PRIVATE(client_ttl, case_33_other_commands_of_the_key_expire_with_it)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = open_without_expiry_cycle(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "HSET", "h", "f", "v");
    t_ctl_ok(ctl, "PEXPIRE", "h", "800");
    const int64_t gone_ms = t_now_ms() + LIFE_MS;
    cr_assert(t_is(t_near(client, "HGET", "h", "f"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near(client, "HLEN", "h"), NKV_FROM_SERVER, ":1"));
    cr_assert(t_is(t_near(client, "EXISTS", "h"), NKV_FROM_SERVER, ":1"));
    cr_assert(t_is(t_near(client, "HGET", "h", "f"), NKV_FROM_CACHE, "v"));
    t_sleep_ms(gone_ms + SLACK_MS + 1 - t_now_ms());
    cr_assert(t_says(t_near(client, "HGET", "h", "f"), "_"));
    cr_assert(t_says(t_near(client, "HLEN", "h"), ":0"));
    cr_assert(t_says(t_near(client, "EXISTS", "h"), ":0"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE_PRIVATE(client_ttl, case_34_among_200000_volatile_keys_not_1_ms_late)
{
    enum { KEYS = 20 };
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "EVAL", "for i=1,200000 do redis.call('SET','v'..i,'x','EX',1000) end", "0");
    nkv_client *client = t_near_open_on(server);
    int64_t gone_ms[KEYS];
    int64_t last_ms[KEYS] = {0};
    char keys[KEYS][24];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        t_ctl_ok(ctl, "SET", keys[i], "v", "PX", "800");
        gone_ms[i] = t_now_ms() + LIFE_MS;
    }
    while (t_now_ms() < gone_ms[KEYS - 1] + 250) {
        for (int i = 0; i < KEYS; i++) {
            const int64_t begin_ms = t_now_ms();
            const t_answer answer = t_near_get(client, keys[i]);
            if (answer.from == NKV_FROM_CACHE && strcmp(answer.text, "v") == 0) {
                last_ms[i] = begin_ms;
            }
        }
    }
    for (int i = 0; i < KEYS; i++) {
        cr_assert_gt(last_ms[i], 0, "%s was never a hit", keys[i]);
        cr_assert_leq(last_ms[i], gone_ms[i] + SLACK_MS, "%s: %lld ms late", keys[i],
                      (long long)(last_ms[i] - gone_ms[i]));
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE_PRIVATE(client_ttl, case_42_not_served_while_client_pause_delays_the_expiry)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v", "PX", "800");
    const int64_t gone_ms = t_now_ms() + LIFE_MS;
    t_ctl_ok(ctl, "CLIENT", "PAUSE", "60000", "WRITE");
    const int64_t last_ms = last_served_ms(client, "k", "v", gone_ms + 300);
    cr_assert_gt(last_ms, 0);
    cr_assert_leq(last_ms, gone_ms + SLACK_MS, "%lld ms late", (long long)(last_ms - gone_ms));
    cr_assert_eq(t_near_stats(client).invalidations, 0, "the pause did not delay the push");
    t_ctl_ok(ctl, "CLIENT", "UNPAUSE");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
    t_server_stop(server);
}

/* ---- Cases 35, 36: something happens between GET and PTTL ------------------------------------ */

/* Reads k; when the server has run the GET and not yet the PTTL, runs `argv`. The pair tells
 * nothing certain about the key then: the answer is handed over and not kept.                    */
static void check_between(t_server *server, const char *const *argv, const char *after)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "old", "PX", "60000");
    const t_trigger at_pttl = {
        .when = T_BEFORE, .pattern = "PTTL", .pattern_len = 4, .what = T_DO_HOLD};
    const int fired = t_proxy_on(proxy, T_EVERY, T_TO_SERVER, &at_pttl);
    t_pending *pending = t_near_begin(client, "GET", "k");
    cr_assert(t_proxy_wait_fired(proxy, fired, 5000), "no PTTL is sent behind the GET");
    T_WAIT_UNTIL(t_ctl_calls(ctl, "get") == 1, 5000);
    t_ctl_ok_argv(ctl, argv);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(pending), "old"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, after), "%s between", argv[0]);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, after), "%s between", argv[0]);
    cr_assert_eq(t_near_stats(client).raced, 1, "%s: raced %llu", argv[0],
                 (unsigned long long)t_near_stats(client).raced);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

#define BETWEEN(server, after, ...) \
    check_between((server), (const char *const[]){__VA_ARGS__, NULL}, (after))

T_LIVE(client_ttl, case_35_expire_between_get_and_pttl_is_not_cached)
{
    BETWEEN(server, "old", "EXPIRE", "k", "1000");
}

T_LIVE(client_ttl, case_36_set_between_get_and_pttl_is_not_cached)
{
    BETWEEN(server, "new", "SET", "k", "new");
}

T_LIVE(client_ttl, case_36_del_between_get_and_pttl_is_not_cached)
{
    BETWEEN(server, "_", "DEL", "k");
}

T_LIVE(client_ttl, case_36_persist_between_get_and_pttl_is_not_cached)
{
    BETWEEN(server, "old", "PERSIST", "k");
}

T_LIVE(client_ttl, case_36_flushall_between_get_and_pttl_is_not_cached)
{
    BETWEEN(server, "_", "FLUSHALL");
}

/* A write of another key in between is no reason. */
T_LIVE(client_ttl, case_36_another_key_between_get_and_pttl_does_not_matter)
{
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "other"), "_"));
    const t_trigger at_pttl = {
        .when = T_BEFORE, .pattern = "PTTL", .pattern_len = 4, .what = T_DO_HOLD};
    const int fired = t_proxy_on(proxy, T_EVERY, T_TO_SERVER, &at_pttl);
    t_pending *pending = t_near_begin(client, "GET", "k");
    cr_assert(t_proxy_wait_fired(proxy, fired, 5000));
    T_WAIT_UNTIL(t_ctl_calls(ctl, "get") == 2, 5000);
    t_ctl_ok(ctl, "SET", "other", "x");
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(pending), "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* ---- Cases 37 to 40: bounds of the client's own ---------------------------------------------- */

/* Reads twice what is kept for BOUND_MS: from the server and from memory. Returns when it must be
 * gone: a life is counted from the sending, so between before and behind the first read. Two reads
 * that took so long that the second may rightly be none from memory say nothing; then all is
 * forgotten and they are made again.                                                             */
static int64_t read_twice(nkv_client *client, nkv_call *call, const char *const *argv,
                          const char *text)
{
    for (;;) {
        const int64_t until_ms = t_now_ms() + BOUND_MS;
        cr_assert(t_is(t_near_argv(client, call, argv), NKV_FROM_SERVER, text));
        const int64_t gone_ms = t_now_ms() + BOUND_MS + SLACK_MS;
        const t_answer again = t_near_argv(client, call, argv);
        if (again.from == NKV_FROM_CACHE || t_now_ms() < until_ms) {
            cr_assert(t_is(again, NKV_FROM_CACHE, text));
            return gone_ms;
        }
        nkv_client_reset(client);
    }
}

#define READ_TWICE(client, call, text, ...) \
    read_twice((client), (call), (const char *const[]){__VA_ARGS__, NULL}, (text))

T_LIVE(client_ttl, case_37_max_ttl_bounds_a_key_that_never_expires)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.max_ttl_ms = BOUND_MS;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    for (int i = 0; i < 2; i++) {
        t_sleep_ms(READ_TWICE(client, NULL, "v", "GET", "k") - t_now_ms());
    }
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_ttl, case_38_ttl_of_a_call_bounds_what_it_caches)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "HSET", "h", "f", "v");
    nkv_call call;
    nkv_call_init(&call);
    call.ttl_ms = BOUND_MS;
    const int64_t gone_ms = READ_TWICE(client, &call, "v", "HGET", "h", "f");
    cr_assert(t_is(t_near(client, "HLEN", "h"), NKV_FROM_SERVER, ":1")); /* by the client's bound */
    t_sleep_ms(gone_ms - t_now_ms());
    cr_assert(t_is(t_near(client, "HLEN", "h"), NKV_FROM_CACHE, ":1"));
    cr_assert(t_is(t_near(client, "HGET", "h", "f"), NKV_FROM_SERVER, "v"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* With static_ttl the server is not asked for the PTTL; the call's bound holds alone. */
T_LIVE(client_ttl, case_38_static_ttl_sends_no_pttl)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    t_ctl_ok(ctl, "SET", "k2", "v");
    nkv_call call;
    nkv_call_init(&call);
    call.ttl_ms = BOUND_MS;
    call.static_ttl = 1;
    const int64_t gone_ms = READ_TWICE(client, &call, "v", "GET", "k");
    cr_assert_eq(t_ctl_calls(ctl, "pttl"), 0);
    cr_assert(t_is(t_near_get(client, "k2"), NKV_FROM_SERVER, "v"));
    cr_assert_eq(t_ctl_calls(ctl, "pttl"), 1);
    t_sleep_ms(gone_ms - t_now_ms());
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The rest of a key's life is counted from when it was asked for, so delays make it shorter. */
static void check_delayed_pttl(const char *kind, int delay_ms, bool may_hit)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = open_without_expiry_cycle(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    nkv_client *client = t_near_open(&options);
    t_proxy_delay(proxy, T_EVERY, T_TO_CLIENT, delay_ms);
    t_ctl_ok(ctl, "SET", "k", "v", "PX", "800");
    const int64_t gone_ms = t_now_ms() + LIFE_MS;
    const t_answer first = t_near_get(client, "k");
    cr_assert(t_is(first, NKV_FROM_SERVER, "v"));
    cr_assert_geq(first.took_ms, delay_ms - 1);
    t_proxy_delay(proxy, T_EVERY, T_TO_CLIENT, 0);
    const int64_t last_ms = last_served_ms(client, "k", "v", gone_ms + delay_ms + 200);
    cr_assert(last_ms == 0 || last_ms <= gone_ms + SLACK_MS, "%lld ms late",
              (long long)(last_ms - gone_ms));
    cr_assert_eq(last_ms != 0, may_hit);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE_PRIVATE(client_ttl, case_39_slow_answers_do_not_lengthen_a_life)
{
    check_delayed_pttl(kind, LIFE_MS / 4, true);
}

T_LIVE_PRIVATE(client_ttl, case_39_an_answer_that_comes_after_the_expiry_is_not_kept)
{
    check_delayed_pttl(kind, LIFE_MS + 100, false);
}

T_LIVE(client_ttl, case_40_negative_ttl_bounds_what_does_not_exist)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.negative_ttl_ms = BOUND_MS;
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(ctl, "SET", "k", "v");
    const int64_t gone_ms = READ_TWICE(client, NULL, "_", "GET", "none");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    t_sleep_ms(gone_ms - t_now_ms());
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"), "bounded though it exists");
    nkv_client_destroy(client);

    options.negative_ttl_ms = -1; /* the default: as long as any answer */
    options.max_ttl_ms = BOUND_MS;
    client = t_near_open(&options);
    t_sleep_ms(READ_TWICE(client, NULL, "_", "GET", "none") - t_now_ms());
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_SERVER, "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 41: fields with a life of their own ------------------------------------------------ */

/* Only servers that know HPEXPIRE (redis 7.4 and later) can have such fields; on the others there
 * is nothing to check, which is no skip: no answer can go wrong there. What names no field
 * (HGETALL, HVALS, HLEN) cannot be bounded, because HPTTL must be told the fields: it is dropped by
 * the push that the server sends when its expiry cycle finds the field, and by max_ttl. */
T_LIVE_PRIVATE(client_ttl, case_41_field_expiry_bounds_what_was_read_of_it)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_ctl *ctl = open_without_expiry_cycle(server);
    if (t_ctl_has_command(ctl, "HPEXPIRE")) {
        nkv_client *client = t_near_open_on(server);
        t_ctl_ok(ctl, "HSET", "h", "f", "v", "g", "w");
        t_ctl_ok(ctl, "HPEXPIRE", "h", "800", "FIELDS", "1", "f");
        const int64_t gone_ms = t_now_ms() + LIFE_MS;
        cr_assert(t_says(t_near(client, "HGET", "h", "f"), "v"));
        cr_assert(t_says(t_near(client, "HMGET", "h", "f", "g"), "[v w]"));
        cr_assert(t_says(t_near(client, "HGET", "h", "g"), "w"));
        cr_assert(t_says(t_near(client, "HEXISTS", "h", "f"), ":1"));
        cr_assert(t_says(t_near(client, "HSTRLEN", "h", "f"), ":1"));
        t_sleep_ms(gone_ms + SLACK_MS + 1 - t_now_ms());
        cr_assert(t_says(t_near(client, "HGET", "h", "f"), "_"));
        cr_assert(t_says(t_near(client, "HMGET", "h", "f", "g"), "[_ w]"));
        cr_assert(t_says(t_near(client, "HGET", "h", "g"), "w"));
        cr_assert(t_says(t_near(client, "HEXISTS", "h", "f"), ":0"));
        cr_assert(t_says(t_near(client, "HSTRLEN", "h", "f"), ":0"));
        nkv_client_destroy(client);
    }
    t_ctl_close(ctl);
    t_server_stop(server);
}
