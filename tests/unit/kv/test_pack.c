/* tests/unit/kv/test_pack.c - compressed values and their mark. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kv/pack.h"

static const char mark[] = "\x89nkv";

static nkv_value *packed(const char *data, size_t len, int64_t above)
{
    nkv_value *value;
    nkv_error error;
    cr_assert_eq(nkvi_compress(nkv_str_make(data, len), above, 3, &value, &error), NKV_OK, "%s",
                 error.text);
    return value;
}

static void expect_back(nkv_value *stored, const char *data, size_t len)
{
    nkv_value *back;
    nkv_error error;
    cr_assert_eq(nkvi_decompress(nkv_value_str(stored), &back, &error), NKV_OK, "%s", error.text);
    cr_assert_not_null(back);
    cr_expect_eq(nkv_value_str(back).len, len);
    cr_expect_eq(memcmp(nkv_value_str(back).data, data, len), 0);
    nkv_value_release(back);
}

Test(kv_pack, what_gets_smaller_is_compressed_and_comes_back)
{
    char data[5000];
    memset(data, 'a', sizeof data);
    nkv_value *stored = packed(data, sizeof data, 100);
    cr_assert_not_null(stored);
    cr_expect_lt(nkv_value_str(stored).len, 100);
    cr_expect_eq(memcmp(nkv_value_str(stored).data, "\x89nkv\x01", 5), 0);
    expect_back(stored, data, sizeof data);
    nkv_value_release(stored);
}

Test(kv_pack, small_values_and_what_gets_no_smaller_stay_as_they_are)
{
    char data[64];
    memset(data, 'a', sizeof data);
    cr_expect_null(packed(data, 64, 64));
    cr_expect_null(packed("", 0, 0));
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)(i * 37 + (i * i >> 3));
    }
    cr_expect_null(packed(data, sizeof data, 0));
}

Test(kv_pack, a_value_that_begins_like_a_mark_is_kept_and_comes_back)
{
    static const char *const rows[] = {"\x89nkv\x01", "\x89nkv\x01tail", "\x89nkvX"};
    for (size_t i = 0; i < 3; i++) {
        nkv_value *stored = packed(rows[i], strlen(rows[i]), 1000);
        cr_assert_not_null(stored);
        expect_back(stored, rows[i], strlen(rows[i]));
        nkv_value_release(stored);
    }
    cr_expect_null(packed(mark, 4, 1000)); /* too short to be one */
}

Test(kv_pack, a_broken_frame_is_an_error)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {{"\x89nkv\x01", 5}, {"\x89nkv\x01junk", 9}, {"\x89nkv\x02x", 6}};
    nkv_value *value;
    nkv_error error;
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(nkvi_decompress(nkv_str_make(rows[i].bytes, rows[i].len), &value, &error),
                     NKV_EDECODE, "row %zu", i);
        cr_expect_null(value);
    }
    char data[5000];
    memset(data, 'a', sizeof data);
    nkv_value *stored = packed(data, sizeof data, 100);
    nkv_str whole = nkv_value_str(stored);
    for (size_t len = 5; len < whole.len; len++) {
        cr_expect_eq(nkvi_decompress(nkv_str_make(whole.data, len), &value, &error), NKV_EDECODE,
                     "cut at %zu", len);
    }
    nkv_value_release(stored);
}

Test(kv_pack, a_value_without_a_mark_is_left_alone)
{
    nkv_value *value;
    nkv_error error;
    cr_expect_eq(nkvi_decompress(nkv_cstr("plain"), &value, &error), NKV_OK);
    cr_expect_null(value);
    cr_expect_eq(nkvi_decompress(nkv_cstr(mark), &value, &error), NKV_OK);
    cr_expect_null(value);
}
