/* tests/unit/base/test_parse.c - numbers, sizes and durations as people write them. */

#include "base/parse.h"

#include <criterion/criterion.h>
#include <math.h>

#define UNTOUCHED INT64_C(0x7e57)

/* What must come out of a text; status NKV_EINVAL: nothing. */
typedef struct row {
    const char *text;
    nkv_status status;
    int64_t value;
} row;

#define OK(text, value)     \
    {                       \
        text, NKV_OK, value \
    }
#define BAD(text)                   \
    {                               \
        text, NKV_EINVAL, UNTOUCHED \
    }

typedef enum form { INT, BYTES, MS } form;

static nkv_status parse(form kind, nkv_str text, const nkvi_bound *bound, int64_t *out,
                        nkv_error *error)
{
    switch (kind) {
    case INT:
        return nkvi_parse_int(text, bound, out, error);
    case BYTES:
        return nkvi_parse_bytes(text, bound, out, error);
    case MS:
        return nkvi_parse_ms(text, 1000, bound, out, error);
    }
    return NKV_EINVAL;
}

static void check(form kind, const nkvi_bound *bound, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = UNTOUCHED;
        nkv_error error = {NKV_OK, 0, ""};
        nkv_status status = parse(kind, nkv_cstr(rows[i].text), bound, &value, &error);

        cr_assert_eq(status, rows[i].status, "'%s': status %d, %s", rows[i].text, status,
                     error.text);
        cr_assert_eq(value, rows[i].value, "'%s': value %lld", rows[i].text, (long long)value);
        if (status != NKV_OK) {
            cr_assert_eq(strncmp(error.text, bound->name, strlen(bound->name)), 0,
                         "the error names the option: %s", error.text);
        }
        cr_assert_eq(parse(kind, nkv_cstr(rows[i].text), bound, &value, NULL), rows[i].status);
    }
}
#define CHECK(kind, bound, ...)                                    \
    do {                                                           \
        static const row rows_[] = {__VA_ARGS__};                  \
        check(kind, bound, rows_, sizeof rows_ / sizeof rows_[0]); \
    } while (0)

static const nkvi_bound any = {"any-number", INT64_MIN, INT64_MAX};
static const nkvi_bound count = {"max-keys", -1, INT64_MAX};
static const nkvi_bound small = {"port", 1, 65535};

Test(base_parse, whole_numbers)
{
    CHECK(INT, &any, OK("0", 0), OK("-0", 0), OK("42", 42), OK("-42", -42), OK("007", 7),
          OK("9223372036854775807", INT64_MAX), OK("-9223372036854775807", -INT64_MAX));
}

Test(base_parse, what_is_no_whole_number)
{
    CHECK(INT, &any, BAD(""), BAD("-"), BAD("+1"), BAD(" 1"), BAD("1 "), BAD("1.0"), BAD("1."),
          BAD(".5"), BAD("1e3"), BAD("0x10"), BAD("--1"), BAD("ten"), BAD("1k"), BAD("1,000"),
          BAD("9223372036854775808"), BAD("-9223372036854775808"), BAD("18446744073709551616"),
          BAD("99999999999999999999999999999999999999"), BAD("nan"), BAD("inf"), BAD("\n1"),
          BAD("1\n"), BAD("١"));
}

Test(base_parse, whole_numbers_within_bounds)
{
    CHECK(INT, &small, OK("1", 1), OK("65535", 65535), BAD("0"), BAD("65536"), BAD("-1"));
    CHECK(INT, &count, OK("-1", -1), OK("0", 0), BAD("-2"));
}

Test(base_parse, the_length_counts_and_not_a_nul)
{
    int64_t value = UNTOUCHED;

    cr_assert_eq(nkvi_parse_int(nkv_str_make("123456", 3), &any, &value, NULL), NKV_OK);
    cr_assert_eq(value, 123);
    cr_assert_eq(nkvi_parse_int(nkv_str_make("12\0", 3), &any, &value, NULL), NKV_EINVAL);
    cr_assert_eq(nkvi_parse_int(nkv_str_make(NULL, 0), &any, &value, NULL), NKV_EINVAL);
}

Test(base_parse, sizes_have_the_units_of_redis_conf)
{
    CHECK(BYTES, &count, OK("0", 0), OK("4096", 4096), OK("1b", 1), OK("1k", 1000), OK("1kb", 1024),
          OK("1KiB", 1024), OK("3m", 3000000), OK("64mb", 64 << 20), OK("64MiB", 64 << 20),
          OK("2G", 2000000000), OK("2gb", INT64_C(2) << 30), OK("2GIB", INT64_C(2) << 30),
          OK("1t", INT64_C(1000000000000)), OK("1tb", INT64_C(1) << 40),
          OK("1TiB", INT64_C(1) << 40), OK("1.5gb", INT64_C(3) << 29), OK("0.5k", 500),
          OK("0.3kb", 307), OK("0.0009765625mb", 1023), OK("-1", -1),
          OK("8388607tb", INT64_C(8388607) << 40), OK("9223372036854775807b", INT64_MAX));
}

Test(base_parse, what_is_no_size)
{
    CHECK(BYTES, &count, BAD(""), BAD("-2"), BAD("-1b"), BAD("-64mb"), BAD("-0"), BAD("1.5"),
          BAD("1.5b"), BAD("64 mb"), BAD("64mbx"), BAD("mb"), BAD("64mi"), BAD("64bytes"),
          BAD("1e6"), BAD("0x40"), BAD("8388608tb"), BAD("9223372036854775808"),
          BAD("18446744073709551617"), BAD("99999999999tb"), BAD("1.mb"), BAD("1..5mb"));
    CHECK(BYTES, &small, BAD("-1"), BAD("0"), OK("1k", 1000), BAD("1mb"));
}

Test(base_parse, durations_are_milliseconds_rounded_up)
{
    CHECK(MS, &count, OK("0", 0), OK("5", 5000), OK("2.5", 2500), OK("100ms", 100), OK("5s", 5000),
          OK("5S", 5000), OK("1.5m", 90000), OK("3min", 180000), OK("2h", 7200000),
          OK("1d", 86400000), OK("0.0001", 1), OK("0.0000001", 1), OK("0.00100000001", 2),
          OK("0.1ms", 1), OK("0.30000000000000004", 301), OK("-1", -1),
          OK("9223372036854775.807", INT64_MAX));
}

Test(base_parse, what_is_no_duration)
{
    CHECK(MS, &count, BAD(""), BAD("-1s"), BAD("-0.5"), BAD("5 s"), BAD("5sec"), BAD("1e3"),
          BAD("inf"), BAD("nan"), BAD("s"), BAD("1:30"), BAD("9223372036854775.808"),
          BAD("106751991168d"), BAD("99999999999999999999"), BAD("."), BAD("1.s"));
    CHECK(MS, &small, BAD("0"), BAD("-1"), BAD("65.536"), OK("65.535", 65535), OK("0.0001", 1));
}

Test(base_parse, the_caller_says_what_a_number_without_unit_counts)
{
    int64_t value = UNTOUCHED;

    cr_assert_eq(nkvi_parse_ms(nkv_cstr("250"), 1, &count, &value, NULL), NKV_OK);
    cr_assert_eq(value, 250);
    cr_assert_eq(nkvi_parse_ms(nkv_cstr("2s"), 1, &count, &value, NULL), NKV_OK);
    cr_assert_eq(value, 2000);
}

Test(base_parse, an_error_tells_what_is_allowed_and_does_not_repeat_the_text)
{
    static const nkvi_bound limited = {"max-bytes", -1, 1024};
    nkv_error error;
    int64_t value;

    (void)nkvi_parse_int(nkv_cstr("70000"), &small, &value, &error);
    cr_assert_str_eq(error.text, "port: allowed is 1 to 65535");
    (void)nkvi_parse_int(nkv_cstr("hunter2"), &small, &value, &error);
    cr_assert_str_eq(error.text, "port: not a whole number");
    (void)nkvi_parse_bytes(nkv_cstr("-3"), &limited, &value, &error);
    cr_assert_str_eq(error.text, "max-bytes: allowed is 0 to 1024 bytes, or -1 for no limit");
    (void)nkvi_parse_bytes(nkv_cstr("hunter2"), &limited, &value, &error);
    cr_assert_str_eq(error.text, "max-bytes: not a size such as 4096, 64mb or 1.5GiB");
    (void)nkvi_parse_ms(nkv_cstr("-2"), 1, &count, &value, &error);
    cr_assert_str_eq(error.text, "max-keys: allowed is 0 or more ms, or -1 for no limit");
    (void)nkvi_parse_ms(nkv_cstr("hunter2"), 1, &count, &value, &error);
    cr_assert_str_eq(error.text, "max-keys: not a duration such as 100ms, 5s or 1.5m");
}

/* ---- Reals ----------------------------------------------------------------------------------- */

/* Case 106: a confidence that is negative, too large or no number. */
Test(base_parse, case_106_reals_within_bounds)
{
    static const nkvi_real_bound confidence = {"confidence", 0, 100};
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"100", 100},
                {"99.5", 99.5},
                {"0.1", 0.1},
                {"33.333", 33.333},
                {"00.25", .25},
                {"0.00000000000001", 1e-14},
                {"12.3456789012345", 12.3456789012345}};
    static const char *const wrong[] = {"",
                                        "nan",
                                        "NaN",
                                        "inf",
                                        "-inf",
                                        "1e2",
                                        "100.1",
                                        "-0.1",
                                        "101",
                                        "1,5",
                                        "50%",
                                        " 50",
                                        "0x1p3",
                                        ".",
                                        "1.",
                                        "1.2.3",
                                        "99.50000000000000",
                                        "-1",
                                        "--1",
                                        "+1"};
    double value;
    nkv_error error;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        value = -1;
        cr_assert_eq(nkvi_parse_real(nkv_cstr(good[i].text), &confidence, &value, &error), NKV_OK,
                     "%s", good[i].text);
        cr_assert(value == good[i].value, "%s is %.17g", good[i].text, value);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        value = 0.125;
        cr_assert_eq(nkvi_parse_real(nkv_cstr(wrong[i]), &confidence, &value, &error), NKV_EINVAL,
                     "%s", wrong[i]);
        cr_assert(value == 0.125, "%s touched the value", wrong[i]);
        cr_assert_eq(strncmp(error.text, "confidence: ", 12), 0);
    }
    (void)nkvi_parse_real(nkv_cstr("101"), &confidence, &value, &error);
    cr_assert_str_eq(error.text, "confidence: allowed is 0 to 100");
}
