/* cli/lines.c - a stream read line by line, whatever its bytes, within a limit. */
#include "cli/lines.h"

#include <stdbool.h>
#include <stdlib.h>

#include "cli/must.h"

void nkvi_lines_init(nkvi_lines *lines, FILE *file, size_t bytes_max)
{
    *lines = (nkvi_lines){.file = file, .bytes_max = bytes_max};
}

void nkvi_lines_clear(nkvi_lines *lines)
{
    free(lines->line);
    *lines = (nkvi_lines){0};
}

static void add(nkvi_lines *lines, int c)
{
    if (lines->len + 1 >= lines->cap) {
        lines->cap = lines->cap < 256 ? 256 : lines->cap * 2;
        lines->line = nkvi_must_grow(lines->line, lines->cap, 1);
    }
    lines->line[lines->len++] = (char)c;
}

nkvi_lines_result nkvi_lines_next(nkvi_lines *lines)
{
    bool any = false, too_long = false;
    int c;

    lines->len = 0;
    flockfile(lines->file);
    while ((c = getc_unlocked(lines->file)) != EOF && c != '\n') {
        any = true;
        if (lines->len == lines->bytes_max) {
            too_long = true;
        } else {
            add(lines, c);
        }
    }
    bool failed = c == EOF && ferror(lines->file) != 0;
    funlockfile(lines->file);
    if (failed) {
        return NKVI_LINES_ERROR;
    }
    if (c == EOF && !any) {
        return NKVI_LINES_END;
    }
    lines->number++;
    if (too_long) {
        return NKVI_LINES_TOO_LONG;
    }
    add(lines, '\0');
    lines->len--;
    return NKVI_LINES_LINE;
}
