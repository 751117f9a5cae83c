/* tests/unit/base/test_buf.c - the growing buffer. */

#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "support/check.h"

/* Takes the bytes out of the buffer and compares them. */
static bool holds(nkvi_buf *buf, const char *want, size_t want_len)
{
    size_t len = 0;
    char *data = nkvi_buf_take(buf, &len);

    bool same = data != NULL && t_same_bytes("buffer", data, len, want, want_len);
    same = same && data[len] == '\0';
    nkvi_free(data);
    return same;
}

Test(base_buf, collects_bytes_texts_and_numbers_in_order)
{
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    nkvi_buf_append(&buf, "a\0b", 3);
    nkvi_buf_text(&buf, "-cd");
    nkvi_buf_printf(&buf, "[%d%%]", -7);
    nkvi_buf_append(&buf, NULL, 0);
    nkvi_buf_uint(&buf, 0);
    nkvi_buf_uint(&buf, UINT64_MAX);
    cr_assert(holds(&buf, "a\0b-cd[-7%]018446744073709551615", 32));
}

Test(base_buf, keeps_its_bytes_while_it_grows)
{
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    for (unsigned i = 0; i < 5000; i++) {
        nkvi_buf_printf(&buf, "%04u", i);
    }
    cr_assert_eq(buf.len, 20000);
    cr_assert_geq(buf.cap, buf.len);
    for (unsigned i = 0; i < 5000; i++) {
        char want[5];
        (void)snprintf(want, sizeof want, "%04u", i);
        cr_assert_eq(memcmp(buf.data + 4 * i, want, 4), 0, "at %u", i);
    }
    nkvi_buf_clear(&buf);
    cr_assert_null(buf.data);
}

Test(base_buf, printf_longer_than_the_room_left_is_whole)
{
    nkvi_buf buf;
    char long_text[500];

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    nkvi_buf_init(&buf);
    nkvi_buf_text(&buf, "start");
    nkvi_buf_printf(&buf, "%s|%s", long_text, "end");
    cr_assert_eq(buf.len, 5 + 499 + 4);
    cr_assert_eq(memcmp(buf.data + buf.len - 5, "x|end", 5), 0);
    nkvi_buf_clear(&buf);
}

Test(base_buf, a_command_is_a_resp_array_of_bulk_strings)
{
    const nkv_str argv[] = {nkv_cstr("SET"), nkv_str_make("k\r\n\0", 4), nkv_str_make("", 0)};
    const char want[] = "*3\r\n$3\r\nSET\r\n$4\r\nk\r\n\0\r\n$0\r\n\r\n";
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    nkvi_buf_resp(&buf, 3, argv);
    cr_assert(holds(&buf, want, sizeof want - 1));
}

Test(base_buf, a_buffer_with_nothing_in_it_gives_an_empty_text)
{
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    cr_assert(holds(&buf, "", 0));
    cr_assert_eq(buf.len, 0, "empty again after take");
    nkvi_buf_text(&buf, "again");
    cr_assert(holds(&buf, "again", 5));
}

/* ---- Failure --------------------------------------------------------------------------------- */

static bool no_memory(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return false;
}

Test(base_buf, failure_is_remembered_and_take_gives_nothing)
{
    nkvi_buf buf;
    size_t len = 99;

    nkvi_buf_init(&buf);
    nkvi_buf_text(&buf, "before");
    nkvi_mem_set_gate(no_memory, NULL);
    cr_assert_not(nkvi_buf_reserve(&buf, 1000));
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert(buf.failed);

    size_t before = buf.len;
    nkvi_buf_text(&buf, "after memory came back");
    nkvi_buf_uint(&buf, 1);
    nkvi_buf_printf(&buf, "%d", 1);
    nkvi_buf_resp_arg(&buf, nkv_cstr("x"));
    cr_assert_eq(buf.len, before, "a hole in the middle would be worse than an end");
    cr_assert_null(nkvi_buf_take(&buf, &len));
    cr_assert_not(buf.failed, "usable again");
    nkvi_buf_text(&buf, "ok");
    cr_assert(holds(&buf, "ok", 2));
}

Test(base_buf, lengths_that_no_memory_can_hold_fail_without_wrapping)
{
    nkvi_buf buf;
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 31, SIZE_MAX / 2};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        nkvi_buf_init(&buf);
        nkvi_buf_text(&buf, "x");
        cr_assert_not(nkvi_buf_reserve(&buf, lengths[i]));
        nkvi_buf_clear(&buf);
        nkvi_buf_resp_arg(&buf, nkv_str_make("x", lengths[i]));
        cr_assert(buf.failed);
        nkvi_buf_clear(&buf);
    }
}
