/* tests/unit/base/test_ascii.c - case without locale. */

#include "base/ascii.h"

#include <criterion/criterion.h>

Test(base_ascii, only_the_26_letters_have_a_case)
{
    for (int c = 0; c < 256; c++) {
        char upper = nkvi_ascii_upper((char)c);
        if (c >= 'a' && c <= 'z') {
            cr_assert_eq(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[c - 'a']);
        } else {
            cr_assert_eq(upper, (char)c);
        }
        cr_assert_eq(nkvi_ascii_digit((char)c), c >= 48 && c <= 57);
    }
}

Test(base_ascii, words_are_the_same_whatever_their_case_and_differ_by_length)
{
    cr_assert(nkvi_ascii_is(nkv_cstr("StReAmS"), "STREAMS"));
    cr_assert(nkvi_ascii_is(nkv_cstr("STREAMS"), "streams"));
    cr_assert_not(nkvi_ascii_is(nkv_cstr("STREAM"), "STREAMS"));
    cr_assert_not(nkvi_ascii_is(nkv_cstr("STREAMSS"), "STREAMS"));
    cr_assert_not(nkvi_ascii_is(nkv_str_make("STREAMS\0", 8), "STREAMS"));
    cr_assert_not(nkvi_ascii_is(nkv_str_make("GET\0T", 5), "GET"));
    cr_assert(nkvi_ascii_is(nkv_str_make(NULL, 0), ""));
    cr_assert_not(nkvi_ascii_is(nkv_str_make(NULL, 0), "A"));
    cr_assert_not(nkvi_ascii_is(nkv_cstr("@"), "`"), "they differ by the bit that is the case");
}
