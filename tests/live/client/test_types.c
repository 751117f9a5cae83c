/* tests/live/client/test_types.c - answers of every type come back as the server meant them, cached
 * or not: the acceptance case 30 (what a real server says; fake/client/test_types.c has the rest).
 */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

enum { WORDS_MAX = 12 };

typedef struct question {
    const char *text; /* the answer */
    const char *argv[WORDS_MAX];
} question;

static void fill(t_ctl *ctl)
{
    t_ctl_ok(ctl, "SET", "str", "some text");
    t_ctl_ok(ctl, "SET", "num", "-42");
    t_ctl_ok(ctl, "RPUSH", "list", "a", "b", "c", "b");
    t_ctl_ok(ctl, "SADD", "set", "m");
    t_ctl_ok(ctl, "HSET", "hash", "f", "v");
    t_ctl_ok(ctl, "ZADD", "zset", "1.5", "one", "-inf", "least", "inf", "most");
    t_ctl_ok(ctl, "ZADD", "tenth", "0.1", "x");
    t_ctl_ok(ctl, "GEOADD", "geo", "13.361389", "38.115556", "Palermo");
    t_ctl_ok(ctl, "XADD", "stream", "1-1", "f", "v", "g", "w");
    t_ctl_ok(ctl, "XADD", "stream", "1-2", "h", "x");
}

static const question cached[] = {
    {"some text", {"GET", "str"}},
    {"_", {"GET", "none"}},
    {":9", {"STRLEN", "str"}},
    {"+string", {"TYPE", "str"}},
    {"-42", {"GETRANGE", "num", "0", "-1"}},
    {":1", {"EXISTS", "str"}},
    {"[a b c b]", {"LRANGE", "list", "0", "-1"}},
    {"[:1 :3]", {"LPOS", "list", "b", "COUNT", "0"}},
    {"_", {"LPOS", "list", "none"}},
    {"~[m]", {"SMEMBERS", "set"}},
    {"[:1 :0]", {"SMISMEMBER", "set", "m", "n"}},
    {"{f v}", {"HGETALL", "hash"}},
    {"[v _]", {"HMGET", "hash", "f", "none"}},
    {",1.5", {"ZSCORE", "zset", "one"}},
    {",-inf", {"ZSCORE", "zset", "least"}},
    {",inf", {"ZSCORE", "zset", "most"}},
    {",0.10000000000000001", {"ZSCORE", "tenth", "x"}},
    {"[,1.5 _ ,inf]", {"ZMSCORE", "zset", "one", "none", "most"}},
    {"[[least ,-inf] [one ,1.5] [most ,inf]]", {"ZRANGE", "zset", "0", "-1", "WITHSCORES"}},
    {"[[one ,1.5]]", {"ZRANGEBYSCORE", "zset", "0", "10", "WITHSCORES"}},
    {"[[1-1 [f v g w]] [1-2 [h x]]]", {"XRANGE", "stream", "-", "+"}},
    {"[sqc8b49rny0]", {"GEOHASH", "geo", "Palermo"}},
};

T_LIVE(client_types, case_30_cached_answers_equal_uncached_ones)
{
    t_ctl *ctl = t_ctl_open(server);
    fill(ctl);
    nkv_client *client = t_near_open_on(server);
    nkv_options plain_options = t_near_options(t_server_unix_url(server));
    plain_options.no_cache = 1;
    nkv_client *plain = t_near_start(&plain_options);
    for (size_t i = 0; i < sizeof cached / sizeof cached[0]; i++) {
        const question *q = &cached[i];
        cr_assert(t_is(t_near_argv(plain, NULL, q->argv), NKV_FROM_SERVER, q->text), "%s",
                  q->argv[0]);
        cr_assert(t_is(t_near_argv(client, NULL, q->argv), NKV_FROM_SERVER, q->text), "%s",
                  q->argv[0]);
        cr_assert(t_is(t_near_argv(client, NULL, q->argv), NKV_FROM_CACHE, q->text), "%s",
                  q->argv[0]);
    }
    nkv_client_destroy(plain);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* nkv_value_equal() agrees with itself on a cached and a fresh answer, and tells others apart. */
T_LIVE(client_types, case_30_equality_of_values)
{
    t_ctl *ctl = t_ctl_open(server);
    fill(ctl);
    nkv_client *client = t_near_open_on(server);
    nkv_call fresh;
    nkv_call_init(&fresh);
    fresh.no_cache = 1;
    nkv_value *before = NULL;
    for (size_t i = 0; i < sizeof cached / sizeof cached[0]; i++) {
        nkv_str argv[WORDS_MAX];
        int argc = 0;
        for (; argc < WORDS_MAX && cached[i].argv[argc] != NULL; argc++) {
            argv[argc] = nkv_cstr(cached[i].argv[argc]);
        }
        nkv_value *values[3] = {NULL};
        cr_assert_geq((int)nkv_command(client, argc, argv, NULL, &values[0]), 0);
        cr_assert_geq((int)nkv_command(client, argc, argv, NULL, &values[1]), 0);
        cr_assert_geq((int)nkv_command(client, argc, argv, &fresh, &values[2]), 0);
        cr_assert(values[0] == values[1], "P6: a hit is the cached answer itself (%s)",
                  cached[i].argv[0]);
        cr_assert(values[2] != values[0] && nkv_value_equal(values[0], values[2]), "%s",
                  cached[i].argv[0]);
        if (before != NULL && strcmp(cached[i].text, cached[i - 1].text) != 0) {
            cr_assert_not(nkv_value_equal(before, values[0]), "%s", cached[i].argv[0]);
        }
        nkv_value_release(before);
        before = values[2];
        nkv_value_release(values[0]);
        nkv_value_release(values[1]);
    }
    nkv_value_release(before);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Types that no cacheable command gives, from DEBUG PROTOCOL: handed through as they are. */
T_LIVE(client_types, case_30_every_type_of_debug_protocol)
{
    static const question asked[] = {
        {"Hello World", {"DEBUG", "PROTOCOL", "string"}},
        {":12345", {"DEBUG", "PROTOCOL", "integer"}},
        {",3.141", {"DEBUG", "PROTOCOL", "double"}},
        {"_", {"DEBUG", "PROTOCOL", "null"}},
        {"[:0 :1 :2]", {"DEBUG", "PROTOCOL", "array"}},
        {"~[:0 :1 :2]", {"DEBUG", "PROTOCOL", "set"}},
        {"{:0 #f :1 #t :2 #f}", {"DEBUG", "PROTOCOL", "map"}},
        {"#t", {"DEBUG", "PROTOCOL", "true"}},
        {"#f", {"DEBUG", "PROTOCOL", "false"}},
        {"(1234567999999999999999999999999999999", {"DEBUG", "PROTOCOL", "bignum"}},
        {"=txt:This is a verbatim\\x0astring", {"DEBUG", "PROTOCOL", "verbatim"}},
        {"Some real reply following the attribute", {"DEBUG", "PROTOCOL", "attrib"}},
    };
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        t_answer answer = t_near_argv(client, NULL, asked[i].argv);
        if (asked[i].argv[2][0] == 'd') { /* 3.141 is as near as a double comes */
            cr_assert(strncmp(answer.text, asked[i].text, 6) == 0 ||
                          strncmp(answer.text, ",3.1409", 7) == 0,
                      "%s", answer.text);
            continue;
        }
        cr_assert(t_is(answer, NKV_FROM_SERVER, asked[i].text), "%s", asked[i].argv[2]);
    }
    nkv_client_destroy(client);
}

/* Nested deeply and mixed, as a script makes them. */
T_LIVE(client_types, case_30_nested_answers_of_a_script)
{
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_says(t_near(client, "EVAL",
                            "redis.setresp(3); return {1,{'a',{false,{}}},{double=0.5},"
                            "{map={k={map={x='y'}}}},{set={z=true}},{big_number='12'},"
                            "{verbatim_string={format='mkd',string='# t'}},"
                            "{ok='fine'},true}",
                            "0"),
                     "[:1 [a [#f []]] ,0.5 {k {x y}} ~[z] (12 =mkd:# t +fine #t]"));
    char script[400] = "return ";
    char expected[200] = "";
    for (int i = 0; i < 9; i++) { /* nesting that hiredis' default reader would refuse, too */
        memcpy(script + strlen(script), "{", 2);
        memcpy(expected + strlen(expected), "[", 2);
    }
    memcpy(script + strlen(script), "7", 2);
    memcpy(expected + strlen(expected), ":7", 3);
    for (int i = 0; i < 9; i++) {
        memcpy(script + strlen(script), "}", 2);
        memcpy(expected + strlen(expected), "]", 2);
    }
    cr_assert(t_says(t_near(client, "EVAL", script, "0"), expected));
    nkv_client_destroy(client);
}

/* I9: an error reply comes with its text and as a value, and leaves the stream in order. */
T_LIVE(client_types, case_30_error_replies_are_values_too)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "RPUSH", "list", "a");
    nkv_client *client = t_near_open_on(server);
    const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr("list")};
    for (int i = 0; i < 2; i++) {
        nkv_call call;
        nkv_call_init(&call);
        nkv_value *value = NULL;
        cr_assert_eq(nkv_command(client, 2, argv, &call, &value), NKV_EREPLY);
        cr_assert_eq(call.from, NKV_FROM_SERVER, "an error is never cached");
        cr_assert_eq(call.error.status, NKV_EREPLY);
        cr_assert(strncmp(call.error.text, "WRONGTYPE ", 10) == 0, "%s", call.error.text);
        cr_assert_not_null(value);
        const nkv_reply reply = nkv_value_reply(value);
        cr_assert_eq(reply.type, NKV_TYPE_ERROR);
        cr_assert(strncmp(reply.str, "WRONGTYPE ", 10) == 0);
        nkv_value_release(value);
    }
    cr_assert(t_failed(t_near(client, "NOSUCHCOMMAND", "x"), NKV_EREPLY, "ERR unknown command"));
    cr_assert(t_failed(t_near(client, "HGET", "h"), NKV_EREPLY, "wrong number of arguments"));
    cr_assert(t_says(t_near(client, "LRANGE", "list", "0", "-1"), "[a]"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* I9: one key of a wrong type in a batch fails alone. */
T_LIVE(client_types, i9_a_wrong_type_in_a_batch_fails_alone)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "c", "3");
    t_ctl_ok(ctl, "RPUSH", "b", "x");
    nkv_client *client = t_near_open_on(server);
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("b"), nkv_cstr("none"), nkv_cstr("c"),
                            nkv_cstr("a")};
    for (int round = 0; round < 2; round++) {
        nkv_result results[5];
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_mget(client, keys, 5, &call, results), NKV_EREPLY);
        cr_assert(strncmp(call.error.text, "WRONGTYPE", 9) == 0, "%s", call.error.text);
        static const nkv_status statuses[] = {NKV_OK, NKV_EREPLY, NKV_NOT_FOUND, NKV_OK, NKV_OK};
        static const char *const texts[] = {"1", NULL, NULL, "3", "1"};
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(results[i].status, statuses[i], "key %d: %d", i, (int)results[i].status);
            if (texts[i] != NULL) {
                cr_assert_str_eq(nkv_value_str(results[i].value).data, texts[i]);
                cr_assert_eq(results[i].from == NKV_FROM_CACHE, round == 1, "key %d", i);
            }
            nkv_value_release(results[i].value);
        }
    }
    /* All three questions about b were failures, reads that succeeded are in the identity. */
    cr_assert_eq(t_near_stats(client).failures, 2);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
