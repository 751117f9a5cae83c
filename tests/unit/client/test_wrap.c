/* tests/unit/client/test_wrap.c - a client over a connector of the user's own: reads, writes,
 * levels, limits, and what it refuses. */

#include <criterion/criterion.h>
#include <ev.h>
#include <stdatomic.h>
#include <string.h>

#include "support/check.h"
#include "support/near.h"
#include "support/toy_store.h"

enum { SOON_MS = 20000 };

TestSuite(client_wrap, .timeout = 60);

static nkv_client *wrap(const nkv_connector *table, const nkv_options *options)
{
    nkv_client *client = NULL;
    nkv_error error = {.text = ""};
    const nkv_status status = nkv_client_wrap(table, options, &client, &error);
    cr_assert_eq(status, NKV_OK, "%s", error.text);
    return client;
}

static nkv_client *wrap_store(t_store *store)
{
    const nkv_connector table = t_store_table(store);
    return wrap(&table, NULL);
}

static void finish(nkv_client *client, t_store *store)
{
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    cr_assert_eq(t_store_opened(store), 0);
    t_store_free(store);
}

/* ---- Reads ----------------------------------------------------------------------------------- */

Test(client_wrap, the_second_read_is_answered_from_memory)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_client *client = wrap_store(store);
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert_eq(t_near_get(client, "no").status, NKV_NOT_FOUND);
    const t_answer none = t_near_get(client, "no");
    cr_assert_eq(none.status, NKV_NOT_FOUND);
    cr_assert_eq(none.from, NKV_FROM_CACHE);
    cr_assert_eq(t_store_calls(store, T_STORE_GET), 2);
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.hits, 2);
    cr_assert_eq(stats.misses, 2);
    cr_assert_eq(stats.round_trips, 2);
    finish(client, store);
}

Test(client_wrap, many_keys_are_one_call_and_keep_their_order)
{
    t_store *store = t_store_new();
    t_store_change(store, "a", "1");
    t_store_change(store, "c", "3");
    nkv_client *client = wrap_store(store);
    const nkv_str keys[] = {nkv_cstr("c"), nkv_cstr("b"), nkv_cstr("a"), nkv_cstr("c")};
    nkv_result results[4];
    cr_assert_eq(nkv_mget(client, keys, 4, NULL, results), NKV_OK);
    cr_assert_eq(t_store_calls(store, T_STORE_GET), 1);
    cr_assert_eq(t_store_items(store, T_STORE_GET), 3); /* the second c joins the first */
    cr_assert_eq(results[1].status, NKV_NOT_FOUND);
    cr_assert_str_eq(nkv_value_str(results[0].value).data, "3");
    cr_assert_str_eq(nkv_value_str(results[2].value).data, "1");
    cr_assert_str_eq(nkv_value_str(results[3].value).data, "3");
    for (int i = 0; i < 4; i++) {
        nkv_value_release(results[i].value);
    }
    cr_assert_eq(nkv_exists(client, keys, 4, NULL, results), NKV_OK);
    cr_assert_eq(results[0].status, NKV_OK);
    cr_assert_eq(results[1].status, NKV_NOT_FOUND);
    finish(client, store);
}

Test(client_wrap, a_prefix_is_known_locally_the_second_time)
{
    t_store *store = t_store_new();
    nkv_str keys[20];
    char names[20][16];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(names[i], sizeof names[i], "p%d", i);
        keys[i] = nkv_cstr(names[i]);
        if (i < 12) {
            t_store_change(store, names[i], "x");
        }
    }
    nkv_client *client = wrap_store(store);
    size_t prefix = 0, cached = 0;
    cr_assert_eq(nkv_prefix(client, keys, 20, NULL, &prefix, &cached), NKV_OK);
    cr_assert_eq(prefix, 12);
    cr_assert_eq(t_store_calls(store, T_STORE_EXISTS), 1);
    cr_assert_eq(nkv_prefix(client, keys, 20, NULL, &prefix, &cached), NKV_OK);
    cr_assert_eq(prefix, 12);
    cr_assert_eq(cached, 13);
    cr_assert_eq(t_store_calls(store, T_STORE_EXISTS), 1);
    finish(client, store);
}

Test(client_wrap, a_value_is_received_where_it_stays)
{
    t_store *store = t_store_new();
    const size_t len = (size_t)3 << 20;
    char *large = malloc(len);
    memset(large, 'x', len);
    const nkv_str bytes = nkv_str_make(large, len);
    t_store_change_bytes(store, nkv_cstr("large"), &bytes);
    nkv_client *client = wrap_store(store);
    nkv_value *value = NULL;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(nkv_get(client, nkv_cstr("large"), NULL, &value), NKV_OK);
        const nkv_str got = nkv_value_str(value);
        cr_assert_eq(got.data, t_store_room(store));
        cr_assert(t_same_bytes("the value", got.data, got.len, large, len));
        cr_assert_eq(got.data[len], '\0');
        nkv_value_release(value);
    }
    cr_assert_eq(t_store_calls(store, T_STORE_GET), 1);
    free(large);
    finish(client, store);
}

Test(client_wrap, an_empty_value_is_a_value)
{
    t_store *store = t_store_new();
    t_store_change(store, "e", "");
    nkv_client *client = wrap_store(store);
    cr_assert(t_is(t_near_get(client, "e"), NKV_FROM_SERVER, ""));
    cr_assert(t_is(t_near_get(client, "e"), NKV_FROM_CACHE, ""));
    finish(client, store);
}

Test(client_wrap, what_expires_is_bounded_and_what_has_expired_not_kept)
{
    t_store *store = t_store_new();
    t_store_change(store, "long", "v");
    t_store_expire(store, "long", 3600000);
    t_store_change(store, "short", "v");
    nkv_client *client = wrap_store(store);
    cr_assert(t_is(t_near_get(client, "long"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "long"), NKV_FROM_CACHE, "v"));
    t_store_expire(store, "short", 80);
    t_answer got = t_near_get(client, "short");
    const int64_t read_ms = t_now_ms();
    while (got.status == NKV_OK && t_now_ms() - read_ms < SOON_MS) {
        got = t_near_get(client, "short"); /* nobody tells that it expires */
    }
    cr_assert_eq(got.status, NKV_NOT_FOUND);
    finish(client, store);
}

Test(client_wrap, a_key_fails_for_itself_and_says_why)
{
    t_store *store = t_store_new();
    t_store_change(store, "a", "1");
    t_store_change(store, "b", "2");
    t_store_fail(store, "b", NKV_EREPLY, "b is broken");
    nkv_client *client = wrap_store(store);
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("b"), nkv_cstr("c")};
    nkv_result results[3];
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_mget(client, keys, 3, &call, results), NKV_EREPLY);
    cr_assert_str_eq(call.error.text, "toy:store: b is broken");
    cr_assert_eq(results[0].status, NKV_OK);
    cr_assert_eq(results[1].status, NKV_EREPLY);
    cr_assert_eq(results[2].status, NKV_NOT_FOUND);
    nkv_value_release(results[0].value);
    cr_assert(t_is(t_near_get(client, "a"), NKV_FROM_CACHE, "1"));
    cr_assert(t_failed(t_near_get(client, "b"), NKV_EREPLY, "broken"));
    t_store_fail_calls(store, T_STORE_GET, NKV_EPROTO, "all of it");
    cr_assert(t_failed(t_near_get(client, "d"), NKV_EPROTO, "toy:store: all of it"));
    t_store_fail(store, "", NKV_OK, NULL);
    t_store_fail_calls(store, T_STORE_GET, NKV_OK, NULL);
    cr_assert(t_is(t_near_get(client, "b"), NKV_FROM_SERVER, "2"));
    finish(client, store);
}

Test(client_wrap, a_key_that_the_connector_forgot_is_a_protocol_error)
{
    t_store *store = t_store_new();
    t_store_set_fault(store, T_STORE_FIRST_ONLY);
    nkv_client *client = wrap_store(store);
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("b")};
    nkv_result results[2];
    cr_assert_eq(nkv_mget(client, keys, 2, NULL, results), NKV_EPROTO);
    cr_assert_eq(results[0].status, NKV_NOT_FOUND);
    cr_assert_eq(results[1].status, NKV_EPROTO);
    finish(client, store);
}

Test(client_wrap, a_value_above_the_limit_is_refused_for_its_key)
{
    t_store *store = t_store_new();
    char text[2001];
    memset(text, 'x', 2000);
    text[2000] = '\0';
    t_store_change(store, "large", text);
    t_store_change(store, "small", "v");
    nkv_options options = t_near_options(NULL);
    options.reply_bytes_max = 1024;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = wrap(&table, &options);
    cr_assert(t_failed(t_near_get(client, "large"), NKV_ESIZE, "reply_bytes_max"));
    cr_assert(t_is(t_near_get(client, "small"), NKV_FROM_SERVER, "v"));
    finish(client, store);
}

Test(client_wrap, confidence_asks_again)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_options options = t_near_options(NULL);
    options.cache_options.confidence = 0;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = wrap(&table, &options);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    t_store_change(store, "k", "w"); /* nobody tells */
    cr_assert(t_says(t_near_get(client, "k"), "w"));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.validations, 2);
    cr_assert_eq(stats.cache.dirty, 1);
    finish(client, store);
}

/* ---- Writes ---------------------------------------------------------------------------------- */

Test(client_wrap, a_write_is_seen_by_the_next_read)
{
    t_store *store = t_store_new();
    nkv_client *client = wrap_store(store);
    cr_assert_eq(t_near_get(client, "k").status, NKV_NOT_FOUND);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 0, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    int64_t removed = 0;
    const nkv_str keys[] = {nkv_cstr("k"), nkv_cstr("no")};
    cr_assert_eq(nkv_del(client, keys, 2, NULL, &removed), NKV_OK);
    cr_assert_eq(removed, 1);
    cr_assert_eq(t_near_get(client, "k").status, NKV_NOT_FOUND);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 3600000, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert_eq(t_near_stats(client).writes, 3);
    finish(client, store);
}

Test(client_wrap, a_write_fails_with_the_words_of_the_connector)
{
    t_store *store = t_store_new();
    t_store_fail(store, "k", NKV_EREPLY, "read-only");
    nkv_client *client = wrap_store(store);
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 0, &call), NKV_EREPLY);
    cr_assert_str_eq(call.error.text, "toy:store: read-only");
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("k")};
    cr_assert_eq(nkv_del(client, keys, 2, &call, NULL), NKV_EREPLY);
    finish(client, store);
}

Test(client_wrap, what_the_table_lacks_is_not_supported)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_connector table = t_store_table(store);
    table.put = table.remove = NULL;
    table.scan = NULL;
    table.ping = NULL;
    nkv_client *client = wrap(&table, NULL);
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), 0, &call), NKV_ENOTSUP);
    cr_assert_neq(strstr(call.error.text, "toy:store"), NULL);
    const nkv_str key = nkv_cstr("k");
    cr_assert_eq(nkv_del(client, &key, 1, NULL, NULL), NKV_ENOTSUP);
    cr_assert_eq(t_near(client, "SCAN", "0").status, NKV_ENOTSUP);
    cr_assert(t_says(t_near(client, "PING"), "+PONG"));
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    finish(client, store);
}

/* ---- Commands -------------------------------------------------------------------------------- */

Test(client_wrap, commands_that_a_connector_can_do)
{
    t_store *store = t_store_new();
    nkv_client *client = wrap_store(store);
    cr_assert(t_says(t_near(client, "SET", "k", "v"), "+OK"));
    cr_assert(t_says(t_near(client, "set", "px", "v", "px", "100000"), "+OK"));
    cr_assert(t_says(t_near(client, "SET", "ex", "v", "EX", "100"), "+OK"));
    cr_assert(t_is(t_near(client, "GET", "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near(client, "GET", "k"), NKV_FROM_CACHE, "v"));
    cr_assert(t_says(t_near(client, "MGET", "k", "no", "px"), "[v _ v]"));
    cr_assert(t_says(t_near(client, "EXISTS", "k"), ":1"));
    cr_assert(t_says(t_near(client, "EXISTS", "k", "no", "k"), ":2"));
    cr_assert(t_says(t_near(client, "DEL", "px", "no"), ":1"));
    cr_assert(t_says(t_near(client, "UNLINK", "ex"), ":1"));
    cr_assert(t_says(t_near(client, "PING"), "+PONG"));
    cr_assert_eq(t_store_calls(store, T_STORE_PING), 1);
    finish(client, store);
}

Test(client_wrap, scan_takes_a_literal_with_a_star_behind_it)
{
    t_store *store = t_store_new();
    t_store_change(store, "a1", "");
    t_store_change(store, "a*", "");
    t_store_change(store, "b1", "");
    t_store_change(store, "", "");
    nkv_client *client = wrap_store(store);
    cr_assert(t_says(t_near(client, "SCAN", "0", "MATCH", "a*"), "[0 [a* a1]]"));
    cr_assert(t_says(t_near(client, "SCAN", "0", "MATCH", "a\\**"), "[0 [a*]]"));
    cr_assert(t_says(t_near(client, "SCAN", "0", "MATCH", "b1"), "[0 [b1]]"));
    cr_assert(t_says(t_near(client, "SCAN", "0", "MATCH", "b"), "[0 []]"));
    cr_assert(t_says(t_near(client, "SCAN", "0", "COUNT", "1", "TYPE", "string", "MATCH", "zz*"),
                     "[0 []]"));
    cr_assert(t_says(t_near(client, "SCAN", "0"), "[0 [ b1 a* a1]]"));
    cr_assert(t_failed(t_near(client, "SCAN", "0", "MATCH", "a?"), NKV_ENOTSUP, "MATCH"));
    cr_assert_eq(t_near(client, "SCAN", "7").status, NKV_ENOTSUP);
    cr_assert_eq(t_near(client, "SCAN", "0", "TYPE", "hash").status, NKV_ENOTSUP);
    finish(client, store);
}

Test(client_wrap, other_commands_say_what_is_known)
{
    static const char *const unknown[][6] = {{"HGET", "h", "f"},
                                             {"STRLEN", "k"},
                                             {"INCR", "k"},
                                             {"FLUSHALL"},
                                             {"INFO"},
                                             {"SET", "k"},
                                             {"SET", "k", "v", "NX"},
                                             {"EVAL", "return 1", "0"},
                                             {"GET"},
                                             {"GET", "a", "b"},
                                             {"MGET"},
                                             {"NOSUCH", "k"},
                                             {"TTL", "k"},
                                             {"SET", "k", "v", "PX", "0"}};
    t_store *store = t_store_new();
    nkv_client *client = wrap_store(store);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_assert(t_failed(t_near_argv(client, NULL, unknown[i]), NKV_ENOTSUP, "connector"));
    }
    cr_assert_eq(t_near(client, "SUBSCRIBE", "c").status, NKV_EREFUSED);
    const nkv_str words[] = {nkv_cstr("PING")};
    const nkv_argv one = {1, words};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, &one, 1, NULL, &value), NKV_ENOTSUP);
    nkv_client *second = NULL;
    nkv_error error;
    cr_assert_eq(nkv_client_share(client, &second, &error), NKV_ENOTSUP);
    cr_assert_eq(second, NULL);
    finish(client, store);
}

typedef struct outcome {
    _Atomic int done;
    nkv_status status;
    char text[200];
} outcome;

static void take(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    outcome *out = ud;
    (void)call;
    out->status = status;
    if (value != NULL) {
        const nkv_reply reply = nkv_value_reply(value);
        t_near_write(&reply, out->text, sizeof out->text);
    }
    nkv_value_release(value);
    atomic_fetch_add(&out->done, 1);
}

static void ask_async(nkv_client *client, const char *const *words, outcome *out)
{
    nkv_str argv[6];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = nkv_cstr(words[argc]);
    }
    memset(out, 0, sizeof *out);
    cr_assert_eq(nkv_command_async(client, argc, argv, NULL, take, out), NKV_OK);
    T_WAIT_UNTIL(atomic_load(&out->done) == 1, SOON_MS);
}

Test(client_wrap, commands_without_waiting)
{
    static const struct {
        const char *words[6];
        const char *text;
    } cases[] = {
        {{"SET", "k", "v"}, "+OK"},
        {{"GET", "k"}, "v"},
        {{"GET", "k"}, "v"},
        {{"MGET", "k", "no"}, "[v _]"},
        {{"EXISTS", "k", "k", "no"}, ":2"},
        {{"SCAN", "0"}, "[0 [k]]"},
        {{"DEL", "k"}, ":1"},
        {{"EXISTS", "k"}, ":0"},
    };
    t_store *store = t_store_new();
    nkv_client *client = wrap_store(store);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome out;
        ask_async(client, cases[i].words, &out);
        cr_assert_eq(out.status, NKV_OK);
        cr_assert_str_eq(out.text, cases[i].text);
    }
    const nkv_str words[] = {nkv_cstr("HGETALL"), nkv_cstr("h")};
    cr_assert_eq(nkv_command_async(client, 2, words, NULL, take, NULL), NKV_ENOTSUP);
    finish(client, store);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

Test(client_wrap, drain_is_a_table_lookup)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_client *client = wrap_store(store);
    cr_assert(t_is(t_near_get_at(client, "k", NKV_DRAIN), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get_at(client, "k", NKV_DRAIN), NKV_FROM_CACHE, "v"));
    cr_assert_eq(t_store_calls(store, T_STORE_SETTLE), 0);
    finish(client, store);
}

Test(client_wrap, a_barrier_settles_first)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_client *client = wrap_store(store);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get_at(client, "k", NKV_BARRIER), NKV_FROM_CACHE, "v"));
    cr_assert_eq(t_store_calls(store, T_STORE_SETTLE), 1);
    for (int i = 0; i < 20; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "v%d", i);
        const nkv_str value = nkv_cstr(text);
        t_store_change_and_tell(store, nkv_cstr("k"), &value); /* soon */
        cr_assert(t_says(t_near_get_at(client, "k", NKV_BARRIER), text));
        cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, text));
    }
    cr_assert_geq(t_near_stats(client).barriers, 21);
    finish(client, store);
}

Test(client_wrap, without_settle_a_barrier_asks_the_store)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_connector table = t_store_table(store);
    table.settle = NULL;
    nkv_client *client = wrap(&table, NULL);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    t_store_change(store, "k", "w"); /* nobody tells */
    cr_assert(t_is(t_near_get_at(client, "k", NKV_BARRIER), NKV_FROM_SERVER, "w"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "w")); /* nobody goes back to v */
    finish(client, store);
}

Test(client_wrap, a_settle_that_fails_is_not_believed)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_client *client = wrap_store(store);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    t_store_change(store, "k", "w"); /* nobody tells */
    t_store_fail_calls(store, T_STORE_SETTLE, NKV_EREPLY, "cannot say");
    cr_assert(t_is(t_near_get_at(client, "k", NKV_BARRIER), NKV_FROM_SERVER, "w"));
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_UNTRACKED], 1);
    finish(client, store);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

Test(client_wrap, never_two_calls_at_once_where_the_table_says_so)
{
    t_store *store = t_store_new();
    nkv_connector table = t_store_table(store);
    table.calls_max = 1;
    nkv_client *client = wrap(&table, NULL);
    t_store_hold(store, T_STORE_GET);
    t_pending *reads[8];
    for (int i = 0; i < 8; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        reads[i] = t_near_begin(client, "GET", key);
    }
    t_store_await(store, T_STORE_GET, 1);
    T_WAIT_UNTIL(t_near_stats(client).inflight == 8, SOON_MS);
    t_store_go(store);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(t_near_end(reads[i]).status, NKV_NOT_FOUND);
    }
    cr_assert_eq(t_store_at_once(store), 1);
    finish(client, store);
}

Test(client_wrap, calls_have_no_more_items_than_the_table_wants)
{
    t_store *store = t_store_new();
    nkv_connector table = t_store_table(store);
    table.batch_max = 3;
    nkv_client *client = wrap(&table, NULL);
    nkv_str keys[7];
    char names[7][16];
    nkv_result results[7];
    for (int i = 0; i < 7; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", i);
        keys[i] = nkv_cstr(names[i]);
    }
    cr_assert_eq(nkv_mget(client, keys, 7, NULL, results), NKV_OK);
    cr_assert_eq(t_store_calls(store, T_STORE_GET), 3);
    cr_assert_leq(t_store_items(store, T_STORE_GET), 3);
    finish(client, store);
}

Test(client_wrap, a_full_queue_says_so)
{
    t_store *store = t_store_new();
    t_store_hold(store, T_STORE_GET);
    nkv_options options = t_near_options(NULL);
    options.inflight_max = 2;
    options.bulk_connections = 1;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = wrap(&table, &options);
    t_pending *first = t_near_begin(client, "GET", "a");
    t_store_await(store, T_STORE_GET, 1);
    t_pending *second = t_near_begin(client, "GET", "b");
    T_WAIT_UNTIL(t_near_stats(client).inflight == 2, SOON_MS);
    cr_assert(t_failed(t_near_get(client, "c"), NKV_EBUSY, "too many"));
    t_store_go(store);
    cr_assert_eq(t_near_end(first).status, NKV_NOT_FOUND);
    cr_assert_eq(t_near_end(second).status, NKV_NOT_FOUND);
    cr_assert_eq(t_near_get(client, "c").status, NKV_NOT_FOUND);
    finish(client, store);
}

/* ---- Making one ------------------------------------------------------------------------------ */

static void refused(const nkv_connector *table, const nkv_options *options, nkv_status wanted,
                    const char *part)
{
    nkv_client *client = (nkv_client *)&client;
    nkv_error error = {.text = ""};
    cr_assert_eq(nkv_client_wrap(table, options, &client, &error), wanted);
    cr_assert_eq(client, NULL);
    cr_assert_neq(strstr(error.text, part), NULL, "%s", error.text);
}

Test(client_wrap, what_a_table_must_have)
{
    t_store *store = t_store_new();
    const nkv_connector right = t_store_table(store);
    nkv_connector table = right;
    table.struct_size = 0;
    refused(&table, NULL, NKV_EINVAL, "struct_size");
    table = right;
    table.name = NULL;
    refused(&table, NULL, NKV_EINVAL, "name");
    table.name = "";
    refused(&table, NULL, NKV_EINVAL, "name");
    table = right;
    table.get = NULL;
    refused(&table, NULL, NKV_EINVAL, "get is missing");
    table = right;
    table.exists = NULL;
    refused(&table, NULL, NKV_EINVAL, "exists is missing");
    table = right;
    table.calls_max = 100000;
    refused(&table, NULL, NKV_EINVAL, "calls_max");
    nkv_options options = t_near_options("redis://localhost");
    refused(&right, &options, NKV_EINVAL, "url");
    options.url = NULL;
    options.timeout_ms = -1;
    refused(&right, &options, NKV_EINVAL, "timeout_ms");
    t_store_fail_calls(store, T_STORE_PING, NKV_ECONN, "no such place");
    refused(&right, NULL, NKV_ECONN, "toy:store: no such place");
    cr_assert_eq(t_store_opened(store), 0);
    t_store_free(store);
}

Test(client_wrap, get_and_exists_are_enough)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    const nkv_connector full = t_store_table(store);
    const nkv_connector table = {.struct_size = sizeof table,
                                 .name = "least",
                                 .ud = store,
                                 .get = full.get,
                                 .exists = full.exists};
    nkv_client *client = wrap(&table, NULL);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_ENOTSUP);
    cr_assert_neq(strstr(error.text, "does not vouch"), NULL, "%s", error.text);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_UNTRACKED], 2);
    cr_assert_str_eq(t_near_node(client).address, "least");
    cr_assert_str_eq(t_near_node(client).state, "untracked");
    finish(client, store);
}

Test(client_wrap, an_older_shorter_table_will_do)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_connector table = t_store_table(store);
    table.struct_size = offsetof(nkv_connector, scan);
    nkv_client *client = wrap(&table, NULL);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("w"), 0, NULL), NKV_OK);
    cr_assert_eq(t_near(client, "SCAN", "0").status, NKV_ENOTSUP);
    cr_assert_eq(t_store_opened(store), 0);
    finish(client, store);
}

Test(client_wrap, a_client_that_does_not_cache)
{
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_options options = t_near_options(NULL);
    options.no_cache = 1;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = wrap(&table, &options);
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, NULL), NKV_OK);
    nkv_voucher *voucher = t_store_voucher(store);
    cr_assert_eq(nkv_voucher_max_idle_ms(voucher), 5000);
    nkv_voucher_begin(voucher);
    nkv_voucher_invalidate(voucher, nkv_cstr("k"));
    nkv_voucher_flush(voucher, NULL);
    nkv_voucher_end(voucher, "whatever");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("w"), 0, NULL), NKV_OK);
    cr_assert_eq(t_near_stats(client).bypass[NKV_BYPASS_DISABLED], 2);
    finish(client, store);
}

Test(client_wrap, connectors_of_one_name_share_a_cache_and_others_do_not)
{
    t_store *store = t_store_new(), *same = t_store_new(), *other = t_store_new();
    t_store_change(store, "k", "v");
    t_store_change(same, "k", "v");
    t_store_change(other, "k", "another");
    nkv_client *client = wrap_store(store);
    nkv_options options = t_near_options(NULL);
    options.cache = nkv_client_cache(client);
    nkv_connector table = t_store_table(same);
    nkv_client *second = wrap(&table, &options);
    table = t_store_table(other);
    table.name = "toy:other";
    nkv_client *third = wrap(&table, &options);
    nkv_cache_release(options.cache);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(second, "k"), NKV_FROM_CACHE, "v"));
    cr_assert(t_is(t_near_get(third, "k"), NKV_FROM_SERVER, "another"));
    cr_assert_eq(nkv_set(second, nkv_cstr("k"), nkv_cstr("w"), 0, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v")); /* two stores, in truth */
    nkv_client_destroy(third);
    nkv_client_destroy(second);
    t_store_free(same);
    t_store_free(other);
    finish(client, store);
}

Test(client_wrap, on_a_loop_of_the_users)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    t_store *store = t_store_new();
    t_store_change(store, "k", "v");
    nkv_options options = t_near_options(NULL);
    options.loop = loop;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = wrap(&table, &options);
    cr_assert_eq(t_near_get(client, "k").status, NKV_EDEADLK);
    outcome out = {.status = NKV_OK};
    const nkv_str words[] = {nkv_cstr("GET"), nkv_cstr("k")};
    cr_assert_eq(nkv_command_async(client, 2, words, NULL, take, &out), NKV_OK);
    while (atomic_load(&out.done) == 0) {
        ev_run(loop, EVRUN_ONCE);
    }
    cr_assert_str_eq(out.text, "v");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    finish(client, store);
    ev_loop_destroy(loop);
}

Test(client_wrap, nothing_is_left)
{
    const int threads = t_thread_count(), fds = t_fd_count();
    for (int i = 0; i < 10; i++) {
        t_store *store = t_store_new();
        nkv_client *client = wrap_store(store);
        cr_assert_eq(t_near_get(client, "k").status, NKV_NOT_FOUND);
        finish(client, store);
    }
    cr_assert_eq(t_thread_count(), threads);
    cr_assert_eq(t_fd_count(), fds);
}
