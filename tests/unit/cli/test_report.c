/* tests/unit/cli/test_report.c - the report of a replay, from figures made by hand. */
#include <jansson.h>

#include "cli/replay.h"
#include "unit/cli/out_text.h"

static nkvi_replay_result result;

static void fill(void)
{
    nkvi_side_count *cached = &result.side[NKVI_SIDE_CACHE];
    nkvi_side_count *plain = &result.side[NKVI_SIDE_PLAIN];

    result = (nkvi_replay_result){.requests = 1500, .blocks = 4000, .distinct = 3000};
    result.seconds = 2.5;
    *cached = (nkvi_side_count){.lookups = 1500,
                                .lookups_local = 500,
                                .fetches = 500,
                                .fetches_local = 300,
                                .found = 1000,
                                .stored = 3000};
    *plain = (nkvi_side_count){.lookups = 1500, .fetches = 500, .found = 1000, .stored = 3000};
    result.round_trips[NKVI_SIDE_CACHE] = 200;
    result.round_trips[NKVI_SIDE_PLAIN] = 700;
    for (int i = 0; i < 10; i++) {
        nkvi_latency_add(&cached->answer, 20000);
        nkvi_latency_add(&plain->answer, 50000);
    }
}

Test(cli_report, the_table_has_both_sides)
{
    nkvi_out out = {0};

    fill();
    nkvi_replay_table(&result, &out);
    OUT_HAS(&out, "with cache  without\n");
    OUT_HAS(&out, "requests");
    OUT_HAS(&out, "1,500    1,500\n");
    OUT_HAS(&out, "25.0 %   25.0 %\n");
    OUT_HAS(&out, "40.0 %    0.0 %\n");
    OUT_HAS(&out, "200      700\n");
    OUT_HAS(&out, "lookup + fetch p50");
    OUT_HAS(&out, "20 µs    50 µs\n");
    OUT_HAS(&out, "speed-up of lookup + fetch: 2.50 x (mean), 2.5 s in all\n");
    cr_assert_null(memmem(out.data, out.len, "verified", 8));
    cr_assert_null(memmem(out.data, out.len, "interrupted", 11));
    nkvi_out_clear(&out);

    result.verified = result.interrupted = true;
    result.verify = (nkvi_verify_count){800, 1};
    nkvi_replay_table(&result, &out);
    OUT_HAS(&out, "verified: 800 local answers compared, 1 mismatch\n");
    OUT_HAS(&out, "interrupted: the figures are those so far\n");
    nkvi_out_clear(&out);
}

Test(cli_report, the_object_has_the_same_figures)
{
    nkvi_out out = {0};
    double mean;
    json_int_t requests, local, trips, mismatches;

    fill();
    result.verified = true;
    result.verify = (nkvi_verify_count){800, 2};
    nkvi_replay_json(&result, &out);
    json_t *object = json_loadb(out.data, out.len, 0, NULL);
    cr_assert_not_null(object, "%.*s", (int)out.len, out.data);
    cr_assert_eq(json_unpack(object, "{s:I, s:{s:I, s:I, s:{s:F}}, s:{s:I}}", "requests", &requests,
                             "cached", "local", &local, "round_trips", &trips, "answer_us", "p50",
                             &mean, "verify", "mismatches", &mismatches),
                 0);
    cr_assert_eq(requests, 1500);
    cr_assert_eq(local, 800);
    cr_assert_eq(trips, 200);
    cr_assert_eq(mismatches, 2);
    cr_assert_float_eq(mean, 20, 0.4);
    json_decref(object);
    nkvi_out_clear(&out);
}

Test(cli_report, nothing_replayed_is_no_division_by_zero)
{
    nkvi_out out = {0};

    result = (nkvi_replay_result){0};
    nkvi_replay_table(&result, &out);
    OUT_HAS(&out, "speed-up of lookup + fetch: nothing to compare, 0.0 s in all\n");
    nkvi_out_clear(&out);
    nkvi_replay_json(&result, &out);
    OUT_HAS(&out, "\"speedup\":null,");
    nkvi_out_clear(&out);
}

Test(cli_report, transactions_of_all_threads_fit_into_the_queue)
{
    nkvi_settings settings = {.chunk = 256, .threads = 1, .value_bytes = 2048};

    cr_assert_eq(nkvi_replay_sets_max(&settings), 256);
    settings.threads = 256;
    cr_assert_eq(nkvi_replay_sets_max(&settings), 64);
    settings.value_bytes = 1 << 20;
    cr_assert_eq(nkvi_replay_sets_max(&settings), 1);
    settings.threads = 1;
    cr_assert_eq(nkvi_replay_sets_max(&settings), 32);
}

Test(cli_report, a_block_has_bytes_of_its_own_that_come_again)
{
    char one[100], again[100], other[100];

    nkvi_replay_value(7, one, sizeof one);
    nkvi_replay_value(7, again, sizeof again);
    nkvi_replay_value(8, other, sizeof other);
    cr_assert(memcmp(one, again, sizeof one) == 0);
    cr_assert(memcmp(one, other, sizeof one) != 0);
    nkvi_replay_value(7, again, 13);
    cr_assert(memcmp(one, again, 13) == 0);
}
