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
    result.sides = NKVI_SIDES;
    result.threads = 1;
    result.seconds = 2.5;
    *cached = (nkvi_side_count){.lookups = 1500,
                                .lookups_local = 500,
                                .fetched_bytes = 3000000,
                                .stored_bytes = 700,
                                .fetches = 500,
                                .fetches_local = 300,
                                .found = 1000,
                                .stored = 3000};
    *plain = (nkvi_side_count){.lookups = 1500, .fetches = 500, .found = 1000, .stored = 3000};
    result.asked[NKVI_SIDE_CACHE] = result.asked[NKVI_SIDE_PLAIN] = 2000;
    result.local[NKVI_SIDE_CACHE] = 800;
    result.round_trips[NKVI_SIDE_CACHE] = 200;
    result.round_trips[NKVI_SIDE_PLAIN] = 700;
    nkvi_latency_add(&cached->fetch, 100000000);
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
    OUT_HAS(&out, "payload fetched");
    OUT_HAS(&out, "3.00 MB      0 B\n");
    OUT_HAS(&out, "30.00 MB/s    0 B/s\n");
    OUT_HAS(&out, "700 B");
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

Test(cli_report, one_side_has_one_column)
{
    nkvi_out out = {0};

    fill();
    result.sides = 1;
    nkvi_replay_table(&result, &out);
    OUT_HAS(&out, "with cache\n");
    OUT_HAS(&out, "nothing to compare");
    cr_assert_null(memmem(out.data, out.len, "without", 7));
    nkvi_out_clear(&out);
    nkvi_replay_json(&result, &out);
    OUT_HAS(&out, ",\"uncached\":null,\"speedup\":null,");
    nkvi_out_clear(&out);
}

Test(cli_report, of_chunks_the_client_tells_what_was_local)
{
    nkvi_out out = {0};

    fill();
    nkvi_replay_json(&result, &out);
    OUT_HAS(&out, "\"lookups_local\":500,");
    OUT_HAS(&out, "\"fetched_bytes\":3000000,\"stored_bytes\":700,"
                  "\"fetched_bytes_per_s\":30000000,\"stored_bytes_per_s\":0,");
    nkvi_out_clear(&out);
    result.chunks = true;
    result.threads = 3;
    nkvi_replay_json(&result, &out);
    OUT_HAS(&out, "\"asked\":2000,\"local\":800,\"lookups\":1500,\"fetches\":500,");
    OUT_HAS(&out, "\"fetched_bytes_per_s\":90000000,");
    nkvi_out_clear(&out);
}

Test(cli_report, nothing_replayed_is_no_division_by_zero)
{
    nkvi_out out = {0};

    result = (nkvi_replay_result){.sides = NKVI_SIDES};
    nkvi_replay_table(&result, &out);
    OUT_HAS(&out, "speed-up of lookup + fetch: nothing to compare, 0.0 s in all\n");
    nkvi_out_clear(&out);
    nkvi_replay_json(&result, &out);
    OUT_HAS(&out, "\"speedup\":null,");
    nkvi_out_clear(&out);
}

Test(cli_report, transactions_of_all_threads_fit_into_the_queue)
{
    nkvi_settings settings = {.chunk = 256, .threads = 1, .block_bytes = 2048};

    cr_assert_eq(nkvi_replay_batch_max(&settings), 256);
    settings.threads = 256;
    cr_assert_eq(nkvi_replay_batch_max(&settings), 64);
    settings.block_bytes = 1 << 20;
    cr_assert_eq(nkvi_replay_batch_max(&settings), 1);
    settings.threads = 1;
    cr_assert_eq(nkvi_replay_batch_max(&settings), 32);
    settings.replay_layout = 1;
    cr_assert_eq(nkvi_replay_batch_max(&settings), 128);
    settings.block_bytes = 512 << 20;
    cr_assert_eq(nkvi_replay_batch_max(&settings), 1);
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
