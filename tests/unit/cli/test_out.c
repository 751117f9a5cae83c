/* tests/unit/cli/test_out.c - text is put together as it should be printed. */
#include <math.h>

#include "unit/cli/out_text.h"

static nkvi_out quoted(const char *data, size_t len)
{
    nkvi_out out = {0};

    nkvi_out_quoted(&out, nkv_str_make(data, len));
    return out;
}

Test(cli_out, pieces_follow_each_other)
{
    nkvi_out out = {0};

    nkvi_out_text(&out, "a");
    nkvi_out_char(&out, 'b');
    nkvi_out_printf(&out, "%d-%s", 7, "x");
    nkvi_out_add(&out, "", 0);
    nkvi_out_add(&out, "\0z", 2);
    OUT_IS(&out, "ab7-x\0z");
}

Test(cli_out, a_buffer_grows_beyond_its_first_size)
{
    nkvi_out out = {0};

    for (int i = 0; i < 10000; i++) {
        nkvi_out_printf(&out, "%04d", i);
    }
    cr_assert_eq(out.len, 40000);
    cr_assert(memcmp(out.data + 4 * 9999, "9999", 4) == 0);
    nkvi_out_clear(&out);
    cr_assert_null(out.data);
}

Test(cli_out, quoting_escapes_what_cannot_be_typed)
{
    nkvi_out out = quoted("plain n r t a b", 15);
    OUT_IS(&out, "\"plain n r t a b\"");
    out = quoted("\n\r\t\a\b\"\\", 7);
    OUT_IS(&out, "\"\\n\\r\\t\\a\\b\\\"\\\\\"");
    out = quoted("\0\x1f\x7f\xff", 4);
    OUT_IS(&out, "\"\\x00\\x1f\\x7f\\xff\"");
    out = quoted("'", 1);
    OUT_IS(&out, "\"'\"");
    out = quoted(NULL, 0);
    OUT_IS(&out, "\"\"");
}

static void is_double(double number, const char *text)
{
    nkvi_out out = {0};

    nkvi_out_double(&out, number);
    cr_assert(out.len == strlen(text) && memcmp(out.data, text, out.len) == 0, "%s: %.*s", text,
              (int)out.len, out.data);
    nkvi_out_clear(&out);
}

Test(cli_out, doubles_are_as_short_as_they_can_be)
{
    is_double(0.1, "0.1");
    is_double(3, "3");
    is_double(-2.5, "-2.5");
    is_double(0.1 + 0.2, "0.30000000000000004");
    is_double(1e300, "1e+300");
    is_double(INFINITY, "inf");
    is_double(-INFINITY, "-inf");
    is_double(NAN, "nan");
}

Test(cli_out, writing_empties_the_buffer_and_tells_of_a_closed_stream)
{
    nkvi_out out = {0};
    char read_back[8] = "";
    FILE *stream = tmpfile();

    cr_assert_not_null(stream);
    nkvi_out_text(&out, "abc");
    cr_assert(nkvi_out_write(&out, stream));
    cr_assert_eq(out.len, 0);
    cr_assert(nkvi_out_write(&out, stream));
    rewind(stream);
    cr_assert_eq(fread(read_back, 1, sizeof read_back, stream), 3);
    fclose(stream);

    stream = fopen("/dev/full", "w");
    cr_assert_not_null(stream);
    nkvi_out_text(&out, "abc");
    cr_assert_not(nkvi_out_write(&out, stream));
    fclose(stream);
    nkvi_out_clear(&out);
}
