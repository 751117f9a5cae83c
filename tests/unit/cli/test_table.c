/* tests/unit/cli/test_table.c - tables, the set of numbers and the progress bar. */
#include "cli/ids.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "unit/cli/out_text.h"

Test(cli_table, columns_are_aligned)
{
    nkvi_table table = {0};
    nkvi_out out = {0};

    nkvi_table_row_begin(&table);
    nkvi_table_cell(&table, "%s", "");
    nkvi_table_cell(&table, "with");
    nkvi_table_cell(&table, "without");
    nkvi_table_row_begin(&table);
    nkvi_table_row_begin(&table);
    nkvi_table_cell(&table, "p50");
    nkvi_table_cell(&table, "%.1f µs", 1.25);
    nkvi_table_cell(&table, "33 µs");
    nkvi_table_row_begin(&table);
    nkvi_table_cell(&table, "requests");
    nkvi_table_count(&table, 1234567);
    nkvi_table_count(&table, 0);
    nkvi_table_print(&table, &out);
    OUT_IS(&out, "               with  without\n"
                 "----------------------------\n"
                 "p50          1.2 µs    33 µs\n"
                 "requests  1,234,567        0\n");
    nkvi_table_clear(&table);
}

Test(cli_table, thousands_have_commas)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {{0, "0\n"},
                 {999, "999\n"},
                 {1000, "1,000\n"},
                 {12345, "12,345\n"},
                 {123456, "123,456\n"},
                 {1234567, "1,234,567\n"},
                 {UINT64_MAX, "18,446,744,073,709,551,615\n"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nkvi_table table = {0};
        nkvi_out out = {0};
        nkvi_table_row_begin(&table);
        nkvi_table_count(&table, cases[i].number);
        nkvi_table_print(&table, &out);
        cr_assert(out.len == strlen(cases[i].text) &&
                  memcmp(out.data, cases[i].text, out.len) == 0);
        nkvi_out_clear(&out);
        nkvi_table_clear(&table);
    }
}

Test(cli_ids, a_set_knows_what_is_new_and_gives_all_back)
{
    nkvi_ids ids = {0};
    uint64_t sum = 0, id;
    size_t at = 0, n = 0;

    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 5000; i++) {
            cr_assert_eq(nkvi_ids_add(&ids, i * 1024), round == 0);
        }
    }
    cr_assert(nkvi_ids_add(&ids, UINT64_MAX - 1));
    cr_assert_eq(ids.n, 5001);
    while (nkvi_ids_next(&ids, &at, &id)) {
        sum += id < UINT64_MAX - 1 ? id / 1024 : 0;
        n++;
    }
    cr_assert_eq(n, 5001);
    cr_assert_eq(sum, 4999 * 5000 / 2);
    nkvi_ids_clear(&ids);
    at = 0;
    cr_assert_not(nkvi_ids_next(&ids, &at, &id));
}

Test(cli_progress, the_bar_grows)
{
    nkvi_out out = {0};

    nkvi_progress_text(&out, 0, 0, 0);
    OUT_IS(&out, "[..............................]   0 %  0 requests, 0/s");
    nkvi_progress_text(&out, 0.5, 1000, 2);
    OUT_IS(&out, "[###############...............]  50 %  1000 requests, 500/s, 2 s left");
    nkvi_progress_text(&out, 1.5, 2000, 4);
    OUT_IS(&out, "[##############################] 100 %  2000 requests, 500/s, 0 s left");
    nkvi_progress_text(&out, -1, 7, 1);
    OUT_IS(&out, "7 requests, 7/s");
}
