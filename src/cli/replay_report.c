/* cli/replay_report.c - what a replay came to: a table for people, an object for programs. */
#include <inttypes.h>

#include "cli/json_out.h"
#include "cli/replay.h"
#include "cli/table.h"
#include "cli/view.h"

typedef struct phase {
    const char *title, *name;
    size_t offset; /* of its nkvi_latency */
} phase;

static const phase phases[] = {
    {"lookup + fetch", "answer", offsetof(nkvi_side_count, answer)},
    {"lookup", "lookup", offsetof(nkvi_side_count, lookup)},
    {"fetch", "fetch", offsetof(nkvi_side_count, fetch)},
    {"store", "store", offsetof(nkvi_side_count, store)},
};

#define PHASES (sizeof phases / sizeof phases[0])

static const nkvi_latency *latency_of(const nkvi_side_count *side, const phase *which)
{
    return (const nkvi_latency *)(const void *)((const char *)side + which->offset);
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* Bytes a second while they were on their way; 0: none were. */
static double rate(const nkvi_replay_result *result, uint64_t bytes, const nkvi_latency *latency)
{
    double ns = (double)latency->sum_ns / (result->threads > 0 ? (double)result->threads : 1);

    return ns > 0 ? (double)bytes * 1e9 / ns : 0;
}

/* How many times as long the answers took without the cache; 0: there are none to compare. */
static double speedup(const nkvi_replay_result *result)
{
    if (result->sides < NKVI_SIDES) {
        return 0;
    }
    double with = nkvi_latency_mean(&result->side[NKVI_SIDE_CACHE].answer);

    return with > 0 ? nkvi_latency_mean(&result->side[NKVI_SIDE_PLAIN].answer) / with : 0;
}

/* How many columns of figures there are. */
static int columns(const nkvi_replay_result *result)
{
    return result->sides < NKVI_SIDES ? 1 : NKVI_SIDES;
}

/* ---- Table ----------------------------------------------------------------------------------- */

/* A row's title and, one after the other, the values of the sides that there are. */
static void counts(nkvi_table *table, const nkvi_replay_result *result, const char *title,
                   const uint64_t *values)
{
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, "%s", title);
    for (int side = 0; side < columns(result); side++) {
        nkvi_table_count(table, values[side]);
    }
}

static void shares(nkvi_table *table, const nkvi_replay_result *result, const char *title,
                   const double *values)
{
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, "%s", title);
    for (int side = 0; side < columns(result); side++) {
        nkvi_table_cell(table, "%.1f %%", values[side] * 100);
    }
}

/* A number of bytes in a unit that leaves one to three digits in front. */
static void bytes_cell(nkvi_table *table, double bytes, const char *behind)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    while (bytes >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    nkvi_table_cell(table, unit > 0 ? "%.2f %s%s" : "%.0f %s%s", bytes, units[unit], behind);
}

/* How much payload there was, and how fast it went. */
static void payload_rows(nkvi_table *table, const nkvi_replay_result *result, bool fetched)
{
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, fetched ? "payload fetched" : "payload stored");
    for (int i = 0; i < columns(result); i++) {
        const nkvi_side_count *side = &result->side[i];
        bytes_cell(table, (double)(fetched ? side->fetched_bytes : side->stored_bytes), "");
    }
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, fetched ? "payload fetched, rate" : "payload stored, rate");
    for (int i = 0; i < columns(result); i++) {
        const nkvi_side_count *side = &result->side[i];
        bytes_cell(table,
                   fetched ? rate(result, side->fetched_bytes, &side->fetch)
                           : rate(result, side->stored_bytes, &side->store),
                   "/s");
    }
}

static void time_cell(nkvi_table *table, double us)
{
    nkvi_out text = {0};

    nkvi_text_out_us(&text, us);
    nkvi_table_cell(table, "%.*s", (int)text.len, text.data);
    nkvi_out_clear(&text);
}

static void latency_rows(nkvi_table *table, const nkvi_replay_result *result, const phase *which)
{
    static const double percents[] = {50, 95, 99};

    for (size_t p = 0; p < 3; p++) {
        nkvi_table_row_begin(table);
        nkvi_table_cell(table, "%s p%.0f", which->title, percents[p]);
        for (int side = 0; side < columns(result); side++) {
            const nkvi_latency *latency = latency_of(&result->side[side], which);
            time_cell(table, (double)nkvi_latency_percentile(latency, percents[p]) / 1e3);
        }
    }
}

static void verdict(const nkvi_replay_result *result, nkvi_out *out)
{
    double times = speedup(result);

    nkvi_out_text(out, "\nspeed-up of lookup + fetch: ");
    nkvi_out_printf(out, times > 0 ? "%.2f x (mean)" : "nothing to compare", times);
    nkvi_out_printf(out, ", %.1f s in all\n", result->seconds);
    if (result->verified) {
        nkvi_out_printf(out, "verified: %" PRIu64 " local answers compared, %" PRIu64 " %s\n",
                        result->verify.compared, result->verify.mismatches,
                        result->verify.mismatches == 1 ? "mismatch" : "mismatches");
    }
    if (result->interrupted) {
        nkvi_out_text(out, "interrupted: the figures are those so far\n");
    }
}

static void count_rows(nkvi_table *table, const nkvi_replay_result *result)
{
    const nkvi_side_count *cached = &result->side[NKVI_SIDE_CACHE];
    const nkvi_side_count *plain = &result->side[NKVI_SIDE_PLAIN];
    const uint64_t *asked = result->asked, *local = result->local;

    counts(table, result, "requests", (uint64_t[]){result->requests, result->requests});
    counts(table, result, "blocks", (uint64_t[]){result->blocks, result->blocks});
    counts(table, result, "prefix hits", (uint64_t[]){cached->found, plain->found});
    shares(table, result, "prefix hits, share",
           (double[]){share(cached->found, result->blocks), share(plain->found, result->blocks)});
    counts(table, result, "keys asked for", asked);
    counts(table, result, "answered locally", local);
    shares(table, result, "answered locally, share",
           (double[]){share(local[0], asked[0]), share(local[1], asked[1])});
    counts(table, result, "round trips", result->round_trips);
    counts(table, result, "blocks stored", (uint64_t[]){cached->stored, plain->stored});
}

void nkvi_replay_table(const nkvi_replay_result *result, nkvi_out *out)
{
    nkvi_table table = {0};

    nkvi_table_row_begin(&table);
    nkvi_table_cell(&table, "%s", "");
    nkvi_table_cell(&table, "with cache");
    if (result->sides == NKVI_SIDES) {
        nkvi_table_cell(&table, "without");
    }
    nkvi_table_row_begin(&table);
    count_rows(&table, result);
    nkvi_table_row_begin(&table);
    payload_rows(&table, result, true);
    payload_rows(&table, result, false);
    for (size_t p = 0; p < PHASES; p++) {
        nkvi_table_row_begin(&table);
        latency_rows(&table, result, &phases[p]);
    }
    nkvi_table_print(&table, out);
    nkvi_table_clear(&table);
    verdict(result, out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void number(nkvi_out *out, const char *name, uint64_t value)
{
    nkvi_out_printf(out, "\"%s\":%" PRIu64 ",", name, value);
}

static void side_json(const nkvi_replay_result *result, int side, nkvi_out *out)
{
    static const double percents[] = {50, 95, 99};
    const nkvi_side_count *count = &result->side[side];

    nkvi_out_char(out, '{');
    number(out, "prefix_hits", count->found);
    number(out, "asked", result->asked[side]);
    number(out, "local", result->local[side]);
    number(out, "lookups", count->lookups);
    if (!result->chunks) {
        number(out, "lookups_local", count->lookups_local);
    }
    number(out, "fetches", count->fetches);
    if (!result->chunks) {
        number(out, "fetches_local", count->fetches_local);
    }
    number(out, "stored", count->stored);
    number(out, "fetched_bytes", count->fetched_bytes);
    number(out, "stored_bytes", count->stored_bytes);
    nkvi_out_printf(out, "\"fetched_bytes_per_s\":%.0f,\"stored_bytes_per_s\":%.0f,",
                    rate(result, count->fetched_bytes, &count->fetch),
                    rate(result, count->stored_bytes, &count->store));
    nkvi_out_printf(out, "\"round_trips\":%" PRIu64, result->round_trips[side]);
    for (size_t p = 0; p < PHASES; p++) {
        const nkvi_latency *latency = latency_of(count, &phases[p]);
        nkvi_out_printf(out, ",\"%s_us\":{\"n\":%" PRIu64 ",\"mean\":%.3f", phases[p].name,
                        latency->n, nkvi_latency_mean(latency) / 1e3);
        for (size_t i = 0; i < 3; i++) {
            nkvi_out_printf(out, ",\"p%.0f\":%.3f", percents[i],
                            (double)nkvi_latency_percentile(latency, percents[i]) / 1e3);
        }
        nkvi_out_char(out, '}');
    }
    nkvi_out_char(out, '}');
}

void nkvi_replay_json(const nkvi_replay_result *result, nkvi_out *out)
{
    nkvi_out_char(out, '{');
    number(out, "requests", result->requests);
    number(out, "blocks", result->blocks);
    number(out, "distinct", result->distinct);
    number(out, "prefix_hits", result->side[NKVI_SIDE_CACHE].found);
    number(out, "local", result->local[NKVI_SIDE_CACHE]);
    nkvi_out_text(out, "\"cached\":");
    side_json(result, NKVI_SIDE_CACHE, out);
    nkvi_out_text(out, ",\"uncached\":");
    if (result->sides == NKVI_SIDES) {
        side_json(result, NKVI_SIDE_PLAIN, out);
    } else {
        nkvi_out_text(out, "null");
    }
    double times = speedup(result);
    nkvi_out_printf(out, times > 0 ? ",\"speedup\":%.3f" : ",\"speedup\":null", times);
    nkvi_out_printf(out, ",\"seconds\":%.3f,\"interrupted\":%s", result->seconds,
                    result->interrupted ? "true" : "false");
    if (result->verified) {
        nkvi_out_printf(out, ",\"verify\":{\"compared\":%" PRIu64 ",\"mismatches\":%" PRIu64 "}",
                        result->verify.compared, result->verify.mismatches);
    }
    nkvi_out_text(out, "}\n");
}
