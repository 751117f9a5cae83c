/* tests/unit/cli/test_values.c - numbers as people type them. */
#include <criterion/criterion.h>

#include "cli/values.h"

static void bytes_is(const char *text, int64_t wanted)
{
    int64_t got = 0;

    cr_assert(nkvi_value_bytes(text, &got), "%s is refused", text);
    cr_assert_eq(got, wanted, "%s: %lld", text, (long long)got);
}

static void ms_is(const char *text, int64_t wanted)
{
    int64_t got = 0;

    cr_assert(nkvi_value_ms(text, &got), "%s is refused", text);
    cr_assert_eq(got, wanted, "%s: %lld", text, (long long)got);
}

Test(cli_values, integers)
{
    int64_t got = 0;

    cr_assert(nkvi_value_integer("-42", &got) && got == -42);
    cr_assert(nkvi_value_integer("9223372036854775807", &got) && got == INT64_MAX);
    static const char *const bad[] = {
        "", "-", " 1", "1 ", "1x", "0x10", "1.5", "abc", "+-1", "9223372036854775808", "1k"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(nkvi_value_integer(bad[i], &got), "\"%s\" is taken", bad[i]);
    }
}

Test(cli_values, bytes)
{
    bytes_is("0", 0);
    bytes_is("-1", -1);
    bytes_is("2k", 2048);
    bytes_is("64M", INT64_C(64) << 20);
    bytes_is("3g", INT64_C(3) << 30);
    int64_t got;
    static const char *const bad[] = {"", "k", "1kb", "1.5m", "1t", "9999999999g", "1 k", "\x0b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(nkvi_value_bytes(bad[i], &got), "\"%s\" is taken", bad[i]);
    }
}

Test(cli_values, times_are_seconds_unless_they_say_otherwise)
{
    ms_is("5", 5000);
    ms_is("0", 0);
    ms_is("0.5", 500);
    ms_is(".25", 250);
    ms_is("1.1", 1100);
    ms_is("250ms", 250);
    ms_is("1.5s", 1500);
    ms_is("10m", 600000);
    ms_is("2h", 7200000);
    ms_is("-1", -1000);
    int64_t got;
    static const char *const bad[] = {"",    "s",    "5 s",   "5sec", "inf",
                                      "nan", "1e99", "0x1p3", "-",    "5d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(nkvi_value_ms(bad[i], &got), "\"%s\" is taken", bad[i]);
    }
}

Test(cli_values, a_short_time_does_not_become_none)
{
    ms_is("0.0001", 1);
    ms_is("0.1ms", 1);
    ms_is("-0.0001", -1);
}

Test(cli_values, choices)
{
    int64_t place = -1;

    cr_assert(nkvi_value_choice("lru", "lru|s3fifo", &place) && place == 0);
    cr_assert(nkvi_value_choice("s3fifo", "lru|s3fifo", &place) && place == 1);
    cr_assert_not(nkvi_value_choice("lr", "lru|s3fifo", &place));
    cr_assert_not(nkvi_value_choice("lru|s3fifo", "lru|s3fifo", &place));
    cr_assert_not(nkvi_value_choice("", "lru|s3fifo", &place));
    cr_assert_not(nkvi_value_choice("LRU", "lru|s3fifo", &place));
}
