/* cli/table.h - a table of a few columns: the first aligned left, the others right.
 *
 * Ownership  Cells are copied.
 * Width      Counted in characters, not bytes: a cell may hold UTF-8.                            */
#ifndef NKVI_CLI_TABLE_H
#define NKVI_CLI_TABLE_H

#include <stdint.h>

#include "cli/out.h"

#define NKVI_TABLE_COLUMNS_MAX 6

typedef struct nkvi_table_row {
    char *cell[NKVI_TABLE_COLUMNS_MAX]; /* NULL: empty */
    size_t n;                           /* 0: a line across */
} nkvi_table_row;

/* Zeroed is empty. */
typedef struct nkvi_table {
    nkvi_table_row *row;
    size_t n, cap;
} nkvi_table;

void nkvi_table_clear(nkvi_table *table);

/* Begins a row; nkvi_table_cell() fills it from the left.  A row left empty is a line across. */
void nkvi_table_row_begin(nkvi_table *table);
void nkvi_table_cell(nkvi_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A whole number with a comma at every thousand. */
void nkvi_table_count(nkvi_table *table, uint64_t number);

void nkvi_table_print(const nkvi_table *table, nkvi_out *out);

#endif
