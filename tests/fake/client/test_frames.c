/* tests/fake/client/test_frames.c - answers of every RESP3 type through the whole client, cached
 * and joined; and answers that are none: the acceptance case 30. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"

static nkv_client *open_on(t_fake *fake)
{
    const nkv_options options = t_near_options(t_fake_url(fake));
    return t_near_open(&options);
}

static void answer(t_fake *fake, const char *reply)
{
    t_fake_on_argv(fake, reply, strlen(reply), (const char *const[]){"HGETALL", "*", NULL});
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
}

/* ---- Types ----------------------------------------------------------------------------------- */

static const struct {
    const char *reply;
    const char *text;
} types[] = {
    {"$5\r\nhello\r\n", "hello"},
    {"$0\r\n\r\n", ""},
    {"+status\r\n", "+status"},
    {":-9223372036854775808\r\n", ":-9223372036854775808"},
    {":9223372036854775807\r\n", ":9223372036854775807"},
    {"_\r\n", "_"},
    {"$-1\r\n", "_"},
    {"*-1\r\n", "_"},
    {"#t\r\n", "#t"},
    {"#f\r\n", "#f"},
    {",1.25\r\n", ",1.25"},
    {",-0\r\n", ",-0"},
    {",10\r\n", ",10"},
    {",1.5e10\r\n", ",15000000000"},
    {",inf\r\n", ",inf"},
    {",-inf\r\n", ",-inf"},
    {",nan\r\n", ",nan"},
    {"(3492890328409238509324850943850943825024385\r\n",
     "(3492890328409238509324850943850943825024385"},
    {"=15\r\ntxt:Some string\r\n", "=txt:Some string"},
    {"=4\r\nmkd:\r\n", "=mkd:"},
    {"*0\r\n", "[]"},
    {"%0\r\n", "{}"},
    {"~0\r\n", "~[]"},
    {"*3\r\n:1\r\n$1\r\na\r\n_\r\n", "[:1 a _]"},
    {"%2\r\n+a\r\n:1\r\n*1\r\n#t\r\n~1\r\n,2\r\n", "{+a :1 [#t] ~[,2]}"},
    {"~2\r\n$1\r\nx\r\n(1\r\n", "~[x (1]"},
    {"*2\r\n*2\r\n*0\r\n*1\r\n*1\r\n:7\r\n$2\r\n\r\n\r\n", "[[[] [[:7]]] \\x0d\\x0a]"},
    {"*2\r\n-ERR inside\r\n!9\r\nERR\r\nbulk\r\n", "[-ERR inside -ERR\\x0d\\x0abulk]"},
    {"|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n", "v"},
    {"*2\r\n|1\r\n+a\r\n%1\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[:3 :4]"},
};

/* Asked for once, answered from memory ever after, and the same through a client without a cache.
 */
Test(client_frames, case_30_every_type_is_cached_as_it_came, .timeout = 30)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        t_fake *fake = t_fake_start(NULL);
        answer(fake, types[i].reply);
        nkv_client *client = open_on(fake);
        for (int k = 0; k < 3; k++) {
            const nkv_from from = k == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE;
            cr_assert(t_is(t_near(client, "HGETALL", "k"), from, types[i].text), "%s",
                      types[i].text);
        }
        nkv_call call;
        nkv_call_init(&call);
        call.no_cache = 1;
        cr_assert(t_is(t_near_with(client, &call, "HGETALL", "k"), NKV_FROM_SERVER, types[i].text));
        cr_assert_eq(t_fake_hits(fake, "HGETALL", "k"), 2);
        nkv_client_destroy(client);
        t_fake_stop(fake);
    }
}

/* A hundred thousand children, and a string of ten million bytes. */
Test(client_frames, case_30_large_answers, .timeout = 60)
{
    enum { CHILDREN = 100000, BYTES = 10000000 };
    char *array = malloc(CHILDREN * 16 + 32);
    char *bulk = malloc(BYTES + 32);
    T_REQUIRE(array != NULL && bulk != NULL);
    size_t len = (size_t)snprintf(array, 32, "*%d\r\n", CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        len += (size_t)snprintf(array + len, 16, ":%d\r\n", i);
    }
    const size_t begin = (size_t)snprintf(bulk, 32, "$%d\r\n", BYTES);
    memset(bulk + begin, 'x', BYTES);
    memcpy(bulk + begin + BYTES, "\r\n", 2);
    t_fake *fake = t_fake_start(NULL);
    t_fake_on_argv(fake, array, len, (const char *const[]){"LRANGE", "...", NULL});
    t_fake_on_argv(fake, bulk, begin + BYTES + 2, (const char *const[]){"GET", "*", NULL});
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    nkv_client *client = open_on(fake);
    const nkv_str words[] = {nkv_cstr("LRANGE"), nkv_cstr("k"), nkv_cstr("0"), nkv_cstr("-1")};
    for (int k = 0; k < 2; k++) {
        nkv_value *value = NULL;
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_command(client, 4, words, &call, &value), NKV_OK);
        cr_assert_eq(call.from, k == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE);
        const nkv_reply reply = nkv_value_reply(value);
        cr_assert_eq(reply.elements, CHILDREN);
        for (int i = 0; i < CHILDREN; i++) {
            cr_assert(reply.element[i].integer == i);
        }
        nkv_value_release(value);
        cr_assert_eq(nkv_get(client, nkv_cstr("big"), &call, &value), NKV_OK);
        cr_assert_eq(call.from, k == 0 ? NKV_FROM_SERVER : NKV_FROM_CACHE);
        const nkv_str bytes = nkv_value_str(value);
        cr_assert(bytes.len == BYTES && bytes.data[0] == 'x' && bytes.data[BYTES - 1] == 'x' &&
                  bytes.data[BYTES] == '\0');
        nkv_value_release(value);
    }
    nkv_client_destroy(client);
    t_fake_stop(fake);
    free(bulk);
    free(array);
}

/* ---- What is no answer ----------------------------------------------------------------------- */

/* The stream cannot be trusted any more: the call fails, the connection is closed, what it vouched
 * for is void, and the next connection works.                                                    */
Test(client_frames, p4_case_30_broken_streams, .timeout = 60)
{
    static const char *const broken[] = {
        "garbage\r\n",
        "$abc\r\n",
        "$-2\r\n",
        "$5\r\nhelloXX",
        "*-2\r\n",
        ":12x\r\n",
        ":\r\n",
        "#x\r\n",
        ",\r\n",
        ",1.5x\r\n",
        "(12a\r\n",
        "=2\r\nab\r\n",
        "_x\r\n",
        "%1\r\n+key only\r\n-\x01\r\n$x",
        "$99999999999999999999\r\n",
        "*99999999999\r\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        t_fake *fake = t_fake_start(NULL);
        answer(fake, "$4\r\nfine\r\n");
        t_fake_on_argv(fake, broken[i], strlen(broken[i]),
                       (const char *const[]){"GET", "broken", NULL});
        nkv_options options = t_near_options(t_fake_url(fake));
        options.backoff_min_ms = 1;
        options.backoff_max_ms = 10;
        options.timeout_ms = 2000;
        nkv_client *client = t_near_open(&options);
        cr_assert(t_says(t_near(client, "HGETALL", "k"), "fine"));
        const uint64_t generation = t_near_node(client).generation;
        const t_answer got = t_near_get(client, "broken");
        cr_assert(
            got.status == NKV_EPROTO || got.status == NKV_ECONN || got.status == NKV_ETIMEDOUT,
            "\"%s\" was taken for \"%s\" (%s)", broken[i], got.text, nkv_status_text(got.status));
        T_WAIT_UNTIL(t_near_node(client).generation > generation, 10000);
        T_WAIT_UNTIL(t_near_healthy(client), 10000);
        cr_assert(t_is(t_near(client, "HGETALL", "k"), NKV_FROM_SERVER, "fine"), "%s", broken[i]);
        nkv_client_destroy(client);
        t_fake_stop(fake);
    }
}

/* P5: a bulk beyond reply_bytes_max is refused when its length is read, not when memory is gone. */
Test(client_frames, p5_a_reply_that_is_too_large, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "$2000000\r\n", "GET", "big");
    t_fake_on(fake, "$5\r\nsmall\r\n", "GET", "small");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    nkv_options options = t_near_options(t_fake_url(fake));
    options.reply_bytes_max = 1000000;
    options.backoff_min_ms = 1;
    options.timeout_ms = 3000;
    nkv_client *client = t_near_open(&options);
    const t_answer got = t_near_get(client, "big");
    cr_assert(got.status == NKV_EPROTO || got.status == NKV_ECONN, "%s",
              nkv_status_text(got.status));
    cr_assert_lt(got.took_ms, 2500, "it waited for two million bytes");
    T_WAIT_UNTIL(t_near_healthy(client), 10000);
    cr_assert(t_says(t_near_get(client, "small"), "small"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
