/* tests/oom/client/test_scenario.c - a client's whole life, again and again, with the i-th
 * allocation failing, for every i: the acceptance case 107.
 *
 * Whatever fails, nothing crashes and nothing is left (a sanitizer or valgrind looks on); every
 * call says NKV_ENOMEM or what follows from it; the next one works; and no answer is wrong. */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/oom.h"

enum { SOON_MS = 10000, KEYS = 20 };

/* ---- The scenario ---------------------------------------------------------------------------- */

static int wrong;

/* A status that may come of a lack of memory, or none at all. */
static void allow(nkv_status status, const char *what)
{
    const bool fine =
        status >= 0 || (t_oom_failed() && (status == NKV_ENOMEM || status == NKV_ECONN ||
                                           status == NKV_EPROTO || status == NKV_ENOTSUP));
    if (!fine) {
        (void)fprintf(stderr, "%s: %s\n", what, nkv_status_text(status));
        wrong++;
    }
}

static void allow_answer(t_answer answer, const char *text, const char *what)
{
    allow(answer.status, what);
    if (answer.status >= 0 && strcmp(answer.text, text) != 0) {
        (void)fprintf(stderr, "%s: \"%s\" instead of \"%s\"\n", what, answer.text, text);
        wrong++;
    }
}

static void batches(nkv_client *client)
{
    char names[KEYS][24];
    nkv_str keys[KEYS];
    nkv_result results[KEYS];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "b%d", i);
        keys[i] = nkv_cstr(names[i]);
    }
    allow(nkv_mget(client, keys, KEYS, NULL, results), "mget");
    for (int i = 0; i < KEYS; i++) {
        allow(results[i].status, "a key of mget");
        nkv_value_release(results[i].value);
    }
    allow(nkv_exists(client, keys, KEYS, NULL, results), "exists");
    size_t prefix = 0;
    allow(nkv_prefix(client, keys, KEYS, NULL, &prefix, NULL), "prefix");
    allow_answer(t_near(client, "MGET", "k", "m1"), "[v v]", "MGET");
    allow_answer(t_near(client, "EXISTS", "k", "m1"), ":2", "EXISTS");
}

static void count_done(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    nkv_value_release(value);
    atomic_fetch_add((atomic_int *)ud, 1);
}

static void without_waiting(nkv_client *client)
{
    static const char *const words[][3] = {{"GET", "async", NULL},
                                           {"GET", "k", NULL},
                                           {"SET", "s", "v"},
                                           {"TTL", "k", NULL},
                                           {"MGET", "k", "m1"}};
    atomic_int done = 0;
    int accepted = 0;
    for (size_t i = 0; i < 5; i++) {
        nkv_str argv[3];
        int argc = 0;
        for (; argc < 3 && words[i][argc] != NULL; argc++) {
            argv[argc] = nkv_cstr(words[i][argc]);
        }
        const nkv_status status = nkv_command_async(client, argc, argv, NULL, count_done, &done);
        allow(status, "async");
        accepted += status == NKV_OK;
    }
    T_WAIT_UNTIL(atomic_load(&done) == accepted, SOON_MS);
}

static void writes(nkv_client *client)
{
    const nkv_str gone[] = {nkv_cstr("x"), nkv_cstr("y")};
    allow(t_near_set(client, "s", "v"), "set");
    allow(nkv_del(client, gone, 2, NULL, NULL), "del");
    const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr("s"), nkv_cstr("v")};
    const nkv_argv commands[] = {{3, set}};
    nkv_value *value = NULL;
    allow(nkv_transaction(client, commands, 1, NULL, &value), "transaction");
    nkv_value_release(value);
    allow(t_near(client, "EVAL", "return 1", "1", "s").status, "EVAL");
}

static void texts(nkv_client *client)
{
    for (int i = 0; i < 4; i++) {
        char *text = NULL;
        size_t len = 0;
        const nkv_format format = i % 2 != 0 ? NKV_FORMAT_JSON : NKV_FORMAT_PROMETHEUS;
        allow(i < 2 ? nkv_client_stats_text(client, format, &text, &len)
                    : nkv_client_health_text(client, format, &text, &len),
              "text");
        nkv_free(text);
    }
}

/* After the failure: it works again, and says what the server says. */
static void works_again(nkv_client *client)
{
    const int64_t end_ms = t_now_ms() + SOON_MS;
    t_answer answer;
    do {
        answer = t_near_get_at(client, "k", NKV_BARRIER);
    } while (answer.status < 0 && t_now_ms() < end_ms);
    allow_answer(answer, "v", "the next call");
    cr_assert_geq((int)answer.status, 0, "it never works again: %s", answer.error.text);
}

static void use(t_fake *fake, nkv_client *client)
{
    allow(nkv_client_wait_ready(client, SOON_MS, NULL), "ready");
    allow_answer(t_near_get(client, "k"), "v", "get");
    allow_answer(t_near_get(client, "k"), "v", "get again");
    allow_answer(t_near(client, "HGETALL", "h"), "{f [v :1]}", "HGETALL");
    allow_answer(t_near(client, "HGETALL", "h"), "{f [v :1]}", "HGETALL again");
    t_fake_send(fake, T_EVERY, ">1\r\n+something\r\n", 16);
    batches(client);
    writes(client);
    without_waiting(client);
    texts(client);
    nkv_client *second = NULL;
    const nkv_status shared = nkv_client_share(client, &second, NULL);
    allow(shared, "share");
    cr_assert_eq(second == NULL, shared < 0);
    if (second != NULL) {
        allow_answer(t_near_get(second, "k"), "v", "get of the second");
        nkv_client_destroy(second);
    }
    nkv_client_invalidate(client, nkv_cstr("k"));
    nkv_client_reset(client);
    if (t_oom_failed()) {
        works_again(client);
    }
}

static void live_once(t_fake *fake, t_events *events)
{
    static const char *const prefixes[] = {""};
    nkv_options options = t_near_options(t_fake_url(fake));
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    options.prefixes = prefixes;
    options.prefixes_len = 1;
    options.client_name = "oom";
    options.on_event = t_events_take;
    options.on_event_ud = events;
    options.cache_options.confidence = 70;
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_create(&options, &client, &error);
    cr_assert_eq(client == NULL, status < 0);
    if (status < 0) {
        cr_assert_eq(status, NKV_ENOMEM, "%s (%s)", nkv_status_text(status), error.text);
        return;
    }
    use(fake, client);
    nkv_client_destroy(client);
}

static t_fake *start_server(void)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    t_fake_on(fake, ":-1\r\n", "TTL", "*");
    t_fake_on(fake, ":1\r\n", "EXISTS", "*");
    t_fake_on(fake, ":1\r\n", "DEL", "...");
    t_fake_on(fake, ":1\r\n", "EVAL", "...");
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    t_fake_on(fake, "+OK\r\n", "MULTI");
    t_fake_on(fake, "*1\r\n+OK\r\n", "EXEC");
    t_fake_on(fake, "*2\r\n$1\r\nv\r\n$1\r\nv\r\n", "MGET", "...");
    t_fake_on(fake, "%1\r\n$1\r\nf\r\n*2\r\n$1\r\nv\r\n:1\r\n", "HGETALL", "*");
    return fake;
}

/* Fails `burst` allocations in a row from each point on, `step` apart, until none fails any more.
 */
static void check_every(long burst, long step)
{
    t_oom_open();
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    bool more = true;
    long from = 0;
    for (; more; from += step) {
        t_fake *fake = start_server();
        t_events *events = t_events_new();
        t_oom_fail(from, burst);
        live_once(fake, events);
        more = t_oom_failed();
        t_oom_relent();
        t_events_free(events);
        t_fake_stop(fake);
        cr_assert_eq(wrong, 0, "allocation %ld", from);
        cr_assert(t_fd_count() == fds && t_thread_count() == threads, "allocation %ld", from);
    }
    t_oom_close();
    cr_assert_gt(from, 100, "only %ld allocations: is the gate in force?", from);
}

Test(client_scenario, case_107_every_allocation_fails_once, .timeout = 280)
{
    check_every(1, 1);
}

Test(client_scenario, case_107_ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(10, 7);
}
