/* tests/unit/base/test_status.c - texts of statuses and errors. */

#include "base/status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>

Test(base_status, every_status_has_a_text_of_its_own)
{
    const int first = NKV_EDECODE, last = NKV_MISS;

    for (int a = first; a <= last; a++) {
        cr_assert_str_neq(nkv_status_text((nkv_status)a), "unknown status", "%d", a);
        for (int b = first; b < a; b++) {
            cr_assert_str_neq(nkv_status_text((nkv_status)a), nkv_status_text((nkv_status)b));
        }
    }
    cr_assert_str_eq(nkv_status_text((nkv_status)(first - 1)), "unknown status");
    cr_assert_str_eq(nkv_status_text((nkv_status)(last + 1)), "unknown status");
}

Test(base_status, fail_fills_the_error_and_returns_the_status)
{
    nkv_error error = {NKV_OK, 99, "old"};

    cr_assert_eq(nkvi_fail(&error, NKV_EINVAL, "port: %d", 70000), NKV_EINVAL);
    cr_assert_eq(error.status, NKV_EINVAL);
    cr_assert_eq(error.sys_errno, 0);
    cr_assert_str_eq(error.text, "port: 70000");
    cr_assert_eq(nkvi_fail(NULL, NKV_ENOMEM, "nobody listens"), NKV_ENOMEM);
}

Test(base_status, an_errno_is_kept_and_told_in_words)
{
    nkv_error error;

    cr_assert_eq(nkvi_fail_errno(&error, NKV_ECONN, ECONNREFUSED, "connect"), NKV_ECONN);
    cr_assert_eq(error.sys_errno, ECONNREFUSED);
    cr_assert_str_eq(error.text, "connect: Connection refused");
    cr_assert_eq(nkvi_fail_errno(&error, NKV_ECONN, 123456, "connect"), NKV_ECONN);
    cr_assert_str_eq(error.text, "connect: unknown error");
    cr_assert_eq(nkvi_fail_errno(NULL, NKV_ECONN, EPIPE, "nobody listens"), NKV_ECONN);
}

Test(base_status, an_error_is_one_line_without_control_bytes)
{
    nkv_error error;

    (void)nkvi_fail(&error, NKV_EREPLY,
                    "ERR a\r\nb\tc\x7f"
                    "d\x1b[31m é");
    cr_assert_str_eq(error.text, "ERR a??b?c?d?[31m é");
}

Test(base_status, a_long_text_is_cut_and_terminated)
{
    nkv_error error;
    char text[1000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(error.text, 'z', sizeof error.text);
    (void)nkvi_fail(&error, NKV_EREPLY, "%s", text);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
    (void)nkvi_fail_errno(&error, NKV_ECONN, EPIPE, "%s", text);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
}

/* Is `text` well-formed UTF-8, as far as lengths go? */
static bool is_utf8(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    while (*c != '\0') {
        int more = *c >= 0xF0 ? 3 : *c >= 0xE0 ? 2 : *c >= 0xC0 ? 1 : *c >= 0x80 ? -1 : 0;
        if (more < 0) {
            return false;
        }
        for (c++; more > 0; more--, c++) {
            if ((*c & 0xC0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

Test(base_status, a_text_is_not_cut_inside_a_character)
{
    static const char *const characters[] = {"é", "€", "😀"};
    nkv_error error;
    char text[1200];

    for (size_t kind = 0; kind < 3; kind++) {
        const size_t width = strlen(characters[kind]);
        for (size_t shift = 0; shift < width; shift++) {
            memset(text, 'x', shift);
            size_t len = shift;
            while (len + width < sizeof text) {
                memcpy(text + len, characters[kind], width);
                len += width;
            }
            text[len] = '\0';
            (void)nkvi_fail(&error, NKV_EREPLY, "%s", text);
            cr_assert(is_utf8(error.text), "%zu bytes, shifted by %zu", width, shift);
            cr_assert_gt(strlen(error.text), sizeof error.text - 1 - width);
        }
    }
}

/* Bytes that are no UTF-8 at all must not make the cut go wild. */
Test(base_status, a_text_of_continuation_bytes_only_is_cut_at_its_end)
{
    nkv_error error;
    char text[1000];

    memset(text, '\x80', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)nkvi_fail(&error, NKV_EREPLY, "%s", text);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
}
