/* gen_options.c - prints docs/OPTIONS.md from the table that defaults and checks come from.
 *
 * Built and run by `make docs`. */
#include <stdio.h>
#include <string.h>

#include "client/options.h"

static void print_number(double number)
{
    if (number <= -1e17) {
        printf("any negative");
    } else if (number >= 8e18) {
        printf("2^63 − 1");
    } else {
        printf("%.15g", number);
    }
}

static void print_row(const nkvi_option *row)
{
    printf("| `%s` | ", row->name);
    if (row->kind == NKVI_OPTION_TEXT || row->kind == NKVI_OPTION_OTHER) {
        printf("NULL%s | ", strcmp(row->name, "loop") == 0 ? ": its own" : "");
        printf("| ");
    } else {
        print_number(row->initial);
        printf("%s%s | ", row->unit[0] != '\0' ? " " : "", row->unit);
        print_number(row->min);
        printf(" … ");
        print_number(row->max);
        printf(" | ");
    }
    printf("%s |\n", row->text);
}

int main(void)
{
    printf(
        "# Options\n\n"
        "Fields of `nkv_options` (`<nearkv/client.h>`), made by `make docs` from the table that\n"
        "the library itself reads. Set them up with `nkv_options_init()`; a value outside its\n"
        "range makes `nkv_client_create()` return `NKV_EINVAL` with a text that names the option\n"
        "and the range.\n\n"
        "| option | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < nkvi_options_count; i++) {
        print_row(&nkvi_options_table[i]);
    }
    printf("\nA URL may give `db`, `timeout`, `max_idle` and others as well: see\n"
           "[the README](../README.md#urls).\n");
    return 0;
}
