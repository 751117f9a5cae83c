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

static uint64_t local_of(const nkvi_side_count *side)
{
    return side->lookups_local + side->fetches_local;
}

static uint64_t asked_of(const nkvi_side_count *side)
{
    return side->lookups + side->fetches;
}

/* How many times as long the answers took without the cache; 0: there are none to compare. */
static double speedup(const nkvi_replay_result *result)
{
    double with = nkvi_latency_mean(&result->side[NKVI_SIDE_CACHE].answer);

    return with > 0 ? nkvi_latency_mean(&result->side[NKVI_SIDE_PLAIN].answer) / with : 0;
}

/* ---- Table ----------------------------------------------------------------------------------- */

static void both_counts(nkvi_table *table, const char *title, uint64_t cached, uint64_t plain)
{
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, "%s", title);
    nkvi_table_count(table, cached);
    nkvi_table_count(table, plain);
}

static void both_shares(nkvi_table *table, const char *title, double cached, double plain)
{
    nkvi_table_row_begin(table);
    nkvi_table_cell(table, "%s", title);
    nkvi_table_cell(table, "%.1f %%", cached * 100);
    nkvi_table_cell(table, "%.1f %%", plain * 100);
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
        for (int side = 0; side < NKVI_SIDES; side++) {
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

void nkvi_replay_table(const nkvi_replay_result *result, nkvi_out *out)
{
    const nkvi_side_count *cached = &result->side[NKVI_SIDE_CACHE];
    const nkvi_side_count *plain = &result->side[NKVI_SIDE_PLAIN];
    nkvi_table table = {0};

    nkvi_table_row_begin(&table);
    nkvi_table_cell(&table, "%s", "");
    nkvi_table_cell(&table, "with cache");
    nkvi_table_cell(&table, "without");
    nkvi_table_row_begin(&table);
    both_counts(&table, "requests", result->requests, result->requests);
    both_counts(&table, "blocks", result->blocks, result->blocks);
    both_counts(&table, "prefix hits", cached->found, plain->found);
    both_shares(&table, "prefix hits, share", share(cached->found, result->blocks),
                share(plain->found, result->blocks));
    both_counts(&table, "keys asked for", asked_of(cached), asked_of(plain));
    both_counts(&table, "answered locally", local_of(cached), local_of(plain));
    both_shares(&table, "answered locally, share", share(local_of(cached), asked_of(cached)),
                share(local_of(plain), asked_of(plain)));
    both_counts(&table, "round trips", result->round_trips[NKVI_SIDE_CACHE],
                result->round_trips[NKVI_SIDE_PLAIN]);
    both_counts(&table, "blocks stored", cached->stored, plain->stored);
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
    number(out, "asked", asked_of(count));
    number(out, "local", local_of(count));
    number(out, "lookups", count->lookups);
    number(out, "lookups_local", count->lookups_local);
    number(out, "fetches", count->fetches);
    number(out, "fetches_local", count->fetches_local);
    number(out, "stored", count->stored);
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
    number(out, "local", local_of(&result->side[NKVI_SIDE_CACHE]));
    nkvi_out_text(out, "\"cached\":");
    side_json(result, NKVI_SIDE_CACHE, out);
    nkvi_out_text(out, ",\"uncached\":");
    side_json(result, NKVI_SIDE_PLAIN, out);
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
