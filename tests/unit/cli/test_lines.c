/* tests/unit/cli/test_lines.c - lines of a stream. */
#include <criterion/criterion.h>
#include <string.h>

#include "cli/lines.h"

static nkvi_lines lines_of(const char *text, size_t len, size_t bytes_max)
{
    nkvi_lines lines;
    FILE *file = tmpfile();

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, len, file), len);
    rewind(file);
    nkvi_lines_init(&lines, file, bytes_max);
    return lines;
}

static void end(nkvi_lines *lines)
{
    cr_assert_eq(nkvi_lines_next(lines), NKVI_LINES_END);
    fclose(lines->file);
    nkvi_lines_clear(lines);
}

static void is_line(nkvi_lines *lines, const char *text, size_t len, size_t number)
{
    cr_assert_eq(nkvi_lines_next(lines), NKVI_LINES_LINE);
    cr_assert_eq(lines->len, len);
    cr_assert(memcmp(lines->line, text, len) == 0);
    cr_assert_eq(lines->line[len], '\0');
    cr_assert_eq(lines->number, number);
}

Test(cli_lines, lines_are_numbered_and_the_last_needs_no_newline)
{
    nkvi_lines lines = lines_of("a\n\nb c\nd", 8, 100);

    is_line(&lines, "a", 1, 1);
    is_line(&lines, "", 0, 2);
    is_line(&lines, "b c", 3, 3);
    is_line(&lines, "d", 1, 4);
    end(&lines);
}

Test(cli_lines, any_byte_is_taken)
{
    nkvi_lines lines = lines_of("a\0b\r\n\xff\n", 7, 100);

    is_line(&lines, "a\0b\r", 4, 1);
    is_line(&lines, "\xff", 1, 2);
    end(&lines);
}

Test(cli_lines, a_line_that_is_too_long_is_passed_over)
{
    nkvi_lines lines = lines_of("1234\n12345\n1\n12345", 18, 4);

    is_line(&lines, "1234", 4, 1);
    cr_assert_eq(nkvi_lines_next(&lines), NKVI_LINES_TOO_LONG);
    cr_assert_eq(lines.number, 2);
    is_line(&lines, "1", 1, 3);
    cr_assert_eq(nkvi_lines_next(&lines), NKVI_LINES_TOO_LONG);
    end(&lines);
}

Test(cli_lines, nothing_has_no_lines)
{
    nkvi_lines lines = lines_of("", 0, 4);

    end(&lines);
}

Test(cli_lines, what_cannot_be_read_is_an_error)
{
    nkvi_lines lines;
    FILE *directory = fopen("/", "r");

    cr_assert_not_null(directory);
    nkvi_lines_init(&lines, directory, 10);
    cr_assert_eq(nkvi_lines_next(&lines), NKVI_LINES_ERROR);
    fclose(directory);
    nkvi_lines_clear(&lines);
}
