/* tests/fake/client/test_errors.c - I9: every error that a server can answer for one key is
 * reported for that key alone; and connections that end in the middle of something (the acceptance
 * cases 47 and 80). */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"

enum { SOON_MS = 10000 };

static const char *const errors[] = {
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "LOADING Redis is loading the dataset in memory",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
    "NOAUTH Authentication required.",
    "NOPERM this user has no permissions to access one of the keys",
    "MASTERDOWN Link with MASTER is down",
    "BUSY Redis is busy running a script.",
    "ERR something else",
};

static void on_get(t_fake *fake, const char *key, const char *error)
{
    char *reply = t_format("-%s\r\n", error);
    t_fake_on_argv(fake, reply, strlen(reply), (const char *const[]){"GET", key, NULL});
    free(reply);
}

/* The PTTL behind the failed GET fails or not, as servers please. */
static void check_error(const char *error, const char *pttl)
{
    t_fake *fake = t_fake_start(NULL);
    const nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    on_get(fake, "bad", error);
    t_fake_on_argv(fake, pttl, strlen(pttl), (const char *const[]){"PTTL", "bad", NULL});
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("bad"), nkv_cstr("c"), nkv_cstr("bad")};
    for (int round = 0; round < 2; round++) {
        nkv_result results[4];
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_mget(client, keys, 4, &call, results), NKV_EREPLY, "%s", error);
        cr_assert(strncmp(call.error.text, error, strcspn(error, " ")) == 0, "%s", call.error.text);
        for (int i = 0; i < 4; i++) {
            const bool bad = i % 2 == 1;
            cr_assert_eq(results[i].status, bad ? NKV_EREPLY : NKV_OK, "%s: key %d", error, i);
            cr_assert(bad || round == 0 || results[i].from == NKV_FROM_CACHE, "%s", error);
            nkv_value_release(results[i].value);
        }
    }
    /* The next answer is right, and the key too as soon as the server says so. */
    cr_assert(t_failed(t_near_get(client, "bad"), NKV_EREPLY, ""));
    t_fake_on(fake, "$4\r\ngood\r\n", "GET", "bad");
    t_fake_on(fake, ":-1\r\n", "PTTL", "bad");
    cr_assert(t_is(t_near_get(client, "bad"), NKV_FROM_SERVER, "good"), "%s", error);
    cr_assert(t_is(t_near_get(client, "bad"), NKV_FROM_CACHE, "good"), "%s", error);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

Test(client_errors, i9_every_error_belongs_to_its_key, .timeout = 60)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char *same = t_format("-%s\r\n", errors[i]);
        check_error(errors[i], ":-1\r\n");
        check_error(errors[i], same);
        free(same);
    }
}

/* Errors of writes are told, and the key is forgotten all the same: nobody knows what an unknown
 * error has left behind.                                                                         */
Test(client_errors, i9_p2_a_write_that_failed_is_no_reason_to_keep, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    const nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "$3\r\nold\r\n", "GET", "k");
    t_fake_on(fake, ":-1\r\n", "PTTL", "k");
    cr_assert(t_says(t_near_get(client, "k"), "old"));
    t_fake_on(fake, "-OOM command not allowed\r\n", "SET", "...");
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("new"), 0, &call), NKV_EREPLY);
    cr_assert(strncmp(call.error.text, "OOM ", 4) == 0, "%s", call.error.text);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "old"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* ---- Case 47: the connection ends in the middle ---------------------------------------------- */

typedef struct tally {
    atomic_int done;
    atomic_int wrong;
} tally;

static void take(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    tally *t = ud;
    const bool right = status == NKV_ECONN || status == NKV_EPROTO || status == NKV_ETIMEDOUT ||
                       (status == NKV_OK && value != NULL);
    nkv_value_release(value);
    atomic_fetch_add(&t->wrong, !right);
    atomic_fetch_add(&t->done, 1);
}

/* After each byte of the answers; a hundred wait for the same key and one for another. */
Test(client_errors, i3_case_47_hang_up_after_every_byte, .timeout = 120)
{
    static const char all[] = "$5\r\nvalue\r\n:-1\r\n$1\r\nx\r\n:-1\r\n";
    for (size_t len = 0; len < sizeof all - 1; len++) {
        t_fake *fake = t_fake_start(NULL);
        nkv_options options = t_near_options(t_fake_url(fake));
        options.backoff_min_ms = 1;
        options.backoff_max_ms = 5;
        nkv_client *client = t_near_open(&options);
        const long at = t_fake_find(fake, 0, "CLIENT", "TRACKING", "ON");
        const int conn = t_fake_command_at(fake, (size_t)at).conn;
        tally t = {.done = 0};
        const nkv_str k[] = {nkv_cstr("GET"), nkv_cstr("k")};
        const nkv_str x[] = {nkv_cstr("GET"), nkv_cstr("x")};
        for (int i = 0; i < 100; i++) {
            cr_assert_eq(nkv_command_async(client, 2, k, NULL, take, &t), NKV_OK);
        }
        cr_assert_eq(nkv_command_async(client, 2, x, NULL, take, &t), NKV_OK);
        cr_assert(t_fake_wait_hits(fake, 2, SOON_MS, "PTTL", "*"));
        /* Whoever asks again shall be answered. */
        t_fake_on(fake, "$5\r\nvalue\r\n", "GET", "*");
        t_fake_on(fake, ":-1\r\n", "PTTL", "*");
        t_fake_send(fake, conn, all, len);
        t_fake_close(fake, conn, false);
        T_WAIT_UNTIL(atomic_load(&t.done) == 101, SOON_MS);
        cr_assert_eq(atomic_load(&t.wrong), 0, "%zu bytes", len);
        T_WAIT_UNTIL(t_near_healthy(client), SOON_MS);
        const t_answer next = t_near_get(client, "k");
        cr_assert(t_says(next, "value"), "%zu bytes", len);
        cr_assert_lt(next.took_ms, 2000);
        cr_assert(t_near_identity(client));
        nkv_client_destroy(client);
        t_fake_stop(fake);
    }
}

/* ---- Case 80: servers that are too old ------------------------------------------------------- */

Test(client_errors, p4_case_80_redis_6_works_uncached_and_says_so, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake,
              "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n6.2.7\r\n$"
              "5\r\nproto\r\n:3\r\n",
              "HELLO", "...");
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "k");
    t_events *events = t_events_new();
    nkv_options options = t_near_options(t_fake_url(fake));
    options.on_event = t_events_take;
    options.on_event_ud = events;
    nkv_client *client = t_near_start(&options);
    nkv_error error = {.status = NKV_OK};
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_ENOTSUP);
    cr_assert_not_null(strstr(error.text, "6.2.7"), "%s", error.text);
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    }
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_UNTRACKED], 3);
    cr_assert_eq(t_events_of(events, NKV_EVENT_ARMED), 0);
    cr_assert_geq(t_events_wait(events, 0, NKV_EVENT_DISARMED, SOON_MS), 0);
    nkv_client_destroy(client);
    t_events_free(events);
    t_fake_stop(fake);
}

/* A server that does not speak RESP3 at all. */
Test(client_errors, p4_case_64_a_server_without_resp3, .timeout = 30)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.resp2 = true});
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "k");
    t_fake_on(fake, "$-1\r\n", "GET", "none");
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    const nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_start(&options);
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, NULL), NKV_ENOTSUP);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "none"), NKV_FROM_SERVER, "_"));
    cr_assert_eq(t_near_set(client, "k", "w"), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert_eq(t_near_stats(client).cache.keys, 0);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* P4: a stream that breaks fails the one whose answer broke it; who only shared the connection asks
 * elsewhere. */
Test(client_errors, p4_a_broken_stream_is_the_fault_of_one, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    const nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_open(&options);
    const long at = t_fake_find(fake, 0, "CLIENT", "TRACKING", "ON");
    t_pending *bad = t_near_begin(client, "GET", "bad");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PTTL", "bad"));
    t_pending *good = t_near_begin(client, "GET", "good");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PTTL", "good"));
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "good");
    t_fake_say(fake, t_fake_command_at(fake, (size_t)at).conn, "garbage\r\n");
    cr_assert_eq(t_near_end(bad).status, NKV_EPROTO);
    cr_assert(t_is(t_near_end(good), NKV_FROM_SERVER, "v"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* The same in one batch. */
Test(client_errors, p4_a_broken_stream_is_the_fault_of_one_key, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    const nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "garbage\r\n", "GET", "bad");
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "good");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    const nkv_str keys[] = {nkv_cstr("good"), nkv_cstr("bad"), nkv_cstr("good")};
    nkv_result results[3];
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER; /* each is asked */
    cr_assert_eq(nkv_mget(client, keys, 3, &call, results), NKV_EPROTO);
    cr_assert_eq(call.error.status, NKV_EPROTO);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(results[i].status, i == 1 ? NKV_EPROTO : NKV_OK, "%d", i);
        nkv_value_release(results[i].value);
    }
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
