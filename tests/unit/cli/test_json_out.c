/* tests/unit/cli/test_json_out.c - every type of answer has its form in JSON. */
#include <jansson.h>
#include <math.h>

#include "cli/json_out.h"
#include "unit/cli/out_text.h"
#include "unit/cli/replies.h"

/* The JSON of an answer; it must be JSON for another reader, too. */
static nkvi_out json(nkv_reply reply)
{
    nkvi_out out = {0};
    json_error_t wrong;

    nkvi_json_out_reply(&out, &reply);
    json_t *read = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &wrong);
    cr_assert_not_null(read, "%.*s: %s", (int)out.len, out.data, wrong.text);
    json_decref(read);
    return out;
}

#define JSON_IS(reply, text)         \
    do {                             \
        nkvi_out out_ = json(reply); \
        OUT_IS(&out_, text);         \
    } while (0)

Test(cli_json_out, scalars)
{
    JSON_IS(r_nil(), "null");
    JSON_IS(r_int(0), "0");
    JSON_IS(r_int(-7), "-7");
    JSON_IS(r_int(INT64_MAX), "9223372036854775807");
    JSON_IS(r_int(INT64_MIN), "-9223372036854775808");
    JSON_IS(r_bool(1), "true");
    JSON_IS(r_bool(0), "false");
    JSON_IS(r_double(3.25), "3.25");
    JSON_IS(r_double(0.1), "0.1");
    JSON_IS(r_double(1e300), "1e+300");
    JSON_IS(r_status("OK"), "\"OK\"");
    JSON_IS(r_big("1234567890123456789012345678901234567890"),
            "\"1234567890123456789012345678901234567890\"");
    JSON_IS(r_verbatim("txt", "hi"), "\"hi\"");
}

Test(cli_json_out, what_json_has_no_number_for_is_a_string)
{
    JSON_IS(r_double(INFINITY), "\"inf\"");
    JSON_IS(r_double(-INFINITY), "\"-inf\"");
    JSON_IS(r_double(NAN), "\"nan\"");
}

Test(cli_json_out, strings_are_escaped)
{
    JSON_IS(r_str(""), "\"\"");
    JSON_IS(r_str("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    JSON_IS(r_str("\n\r\t\b\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u001f\\u007f\"");
    JSON_IS(r_bytes("a\0b", 3), "\"a\\u0000b\"");
    JSON_IS(r_str("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

Test(cli_json_out, bytes_that_are_no_utf8_are_base64)
{
    JSON_IS(r_str("\xff"), "{\"b64\":\"/w==\"}");
    JSON_IS(r_str("\xff\xfe"), "{\"b64\":\"//4=\"}");
    JSON_IS(r_str("\xff\xfe\xfd"), "{\"b64\":\"//79\"}");
    JSON_IS(r_str("abc\x80"), "{\"b64\":\"YWJjgA==\"}");
    JSON_IS(r_bytes("\0\xff", 2), "{\"b64\":\"AP8=\"}");
}

Test(cli_json_out, utf8_is_told_from_what_only_looks_like_it)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",             /* continues nothing      */
                                      "\xc0\x80",         /* NUL, too long          */
                                      "\xc1\xbf",         /* DEL, too long          */
                                      "\xe0\x9f\xbf",     /* too long               */
                                      "\xf0\x8f\xbf\xbf", /* too long               */
                                      "\xed\xa0\x80",     /* half of a pair         */
                                      "\xed\xbf\xbf",     /* the other half         */
                                      "\xf4\x90\x80\x80", /* above the last one     */
                                      "\xf5\x80\x80\x80", /* no first byte          */
                                      "\xc3",             /* cut                    */
                                      "\xe2\x82",         /* cut                    */
                                      "\xf0\x9f\x98",     /* cut                    */
                                      "\xc3(",            /* not continued          */
                                      "a\xff"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(nkv_utf8_valid(nkv_cstr(good[i])), "good %zu", i);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(nkv_utf8_valid(nkv_cstr(bad[i])), "bad %zu", i);
    }
}

Test(cli_json_out, arrays_and_sets)
{
    nkv_reply inner[] = {r_int(1), r_nil()};
    nkv_reply outer[] = {r_str("a"), r_array(inner, 2), r_error("ERR no"), r_array(NULL, 0)};

    JSON_IS(r_array(NULL, 0), "[]");
    JSON_IS(r_set(NULL, 0), "[]");
    JSON_IS(r_set(inner, 2), "[1,null]");
    JSON_IS(r_array(outer, 4), "[\"a\",[1,null],{\"error\":\"ERR no\"},[]]");
}

Test(cli_json_out, maps_are_objects)
{
    nkv_reply members[] = {r_str("a"), r_int(1), r_str("b\"c"), r_str("x"), r_str(""), r_nil()};

    JSON_IS(r_map(NULL, 0), "{}");
    JSON_IS(r_map(members, 6), "{\"a\":1,\"b\\\"c\":\"x\",\"\":null}");
}

Test(cli_json_out, keys_that_are_no_strings_get_the_text_of_their_json)
{
    nkv_reply inner[] = {r_int(1), r_str("x")};
    nkv_reply members[] = {r_int(-1),         r_int(1), r_bool(1),     r_int(2),
                           r_nil(),           r_int(3), r_double(0.5), r_int(4),
                           r_array(inner, 2), r_int(5), r_str("\xff"), r_int(6),
                           r_status("st"),    r_int(7)};

    JSON_IS(r_map(members, 14), "{\"-1\":1,\"true\":2,\"null\":3,\"0.5\":4,\"[1,\\\"x\\\"]\":5,"
                                "\"b64:/w==\":6,\"st\":7}");
}

Test(cli_json_out, keys_that_would_get_the_same_name_make_pairs)
{
    nkv_reply members[] = {r_int(1), r_str("number"), r_str("1"), r_str("string")};

    JSON_IS(r_map(members, 4), "{\"pairs\":[[1,\"number\"],[\"1\",\"string\"]]}");
}

Test(cli_json_out, our_own_texts_are_always_strings)
{
    nkvi_out out = {0};

    nkvi_json_out_text(&out, "a\xff\xc3\xa4\"\n\xe2\x82");
    OUT_IS(&out, "\"a?\xc3\xa4\\\"\\n??\"");
}
