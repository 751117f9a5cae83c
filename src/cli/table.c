/* cli/table.c - a table of a few columns: the first aligned left, the others right. */
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"

#define GAP 2 /* blanks between columns */

void nkvi_table_clear(nkvi_table *table)
{
    for (size_t r = 0; r < table->n; r++) {
        for (size_t c = 0; c < table->row[r].n; c++) {
            free(table->row[r].cell[c]);
        }
    }
    free(table->row);
    *table = (nkvi_table){0};
}

void nkvi_table_row_begin(nkvi_table *table)
{
    if (table->n == table->cap) {
        table->cap = table->cap < 16 ? 16 : table->cap * 2;
        table->row = nkvi_must_grow(table->row, table->cap, sizeof *table->row);
    }
    table->row[table->n++] = (nkvi_table_row){0};
}

void nkvi_table_cell(nkvi_table *table, const char *format, ...)
{
    va_list values;
    char *text;

    assert(table->n > 0 && table->row[table->n - 1].n < NKVI_TABLE_COLUMNS_MAX);
    nkvi_table_row *row = &table->row[table->n - 1];
    va_start(values, format);
    if (vasprintf(&text, format, values) < 0) {
        nkvi_must_fail();
    }
    va_end(values);
    row->cell[row->n++] = text;
}

void nkvi_table_count(nkvi_table *table, uint64_t number)
{
    char digits[24], grouped[32];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *to = grouped;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    nkvi_table_cell(table, "%s", grouped);
}

/* Characters of a UTF-8 text. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void blanks(nkvi_out *out, size_t n)
{
    nkvi_out_printf(out, "%*s", (int)n, "");
}

static void print_row(const nkvi_table_row *row, const size_t *width, nkvi_out *out)
{
    for (size_t c = 0; c < row->n; c++) {
        size_t pad = width[c] - width_of(row->cell[c]);
        if (c > 0) {
            blanks(out, GAP + pad);
        }
        nkvi_out_text(out, row->cell[c]);
        if (c == 0 && row->n > 1) {
            blanks(out, pad);
        }
    }
    nkvi_out_char(out, '\n');
}

void nkvi_table_print(const nkvi_table *table, nkvi_out *out)
{
    size_t width[NKVI_TABLE_COLUMNS_MAX] = {0};
    size_t columns = 0, across = 0;

    for (size_t r = 0; r < table->n; r++) {
        const nkvi_table_row *row = &table->row[r];
        columns = row->n > columns ? row->n : columns;
        for (size_t c = 0; c < row->n; c++) {
            size_t own = width_of(row->cell[c]);
            width[c] = own > width[c] ? own : width[c];
        }
    }
    for (size_t c = 0; c < columns; c++) {
        across += width[c] + (c > 0 ? GAP : 0);
    }
    for (size_t r = 0; r < table->n; r++) {
        if (table->row[r].n > 0) {
            print_row(&table->row[r], width, out);
            continue;
        }
        for (size_t i = 0; i < across; i++) {
            nkvi_out_char(out, '-');
        }
        nkvi_out_char(out, '\n');
    }
}
