/* bench/lmcache_compare.c - rounds of one comparison, and its line; see lmcache.h. */

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/lmcache.h"
#include "cli/latency.h"

enum { MIB = 1 << 20 };

/* What the rounds of a row gave. */
typedef struct figures {
    double rate[B_SIDES][B_ROUNDS_MAX];  /* MB or thousands of keys per second */
    double ratio[B_SIDES][B_ROUNDS_MAX]; /* to the limit */
    double judged[B_ROUNDS_MAX];         /* nearkv to the row's base */
    nkvi_latency calls[B_SIDES];
    double copied; /* payload bytes for each that nearkv received */
} figures;

static bool moves(b_task task)
{
    return task <= B_GET_CHUNKS;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static double run_round(b_sides *sides, const b_row *row, b_side side, b_chunks *chunks,
                        nkvi_latency *calls)
{
    int64_t total_ns = 0;
    for (size_t i = 0; i < row->repeats; i++) {
        int64_t ns = b_sides_run(sides, side, row->task, row->memory, chunks);
        nkvi_latency_add(calls, ns);
        total_ns += ns;
    }
    double amount = (double)(chunks->n * row->repeats);
    return (moves(row->task) ? amount * (double)chunks->bytes * 1e-6 : amount * 1e-3) /
           ((double)total_ns * 1e-9);
}

static void run_rounds(b_table *table, b_sides *sides, const b_row *row, b_chunks *chunks,
                       figures *f)
{
    memset(f, 0, sizeof *f);
    for (unsigned side = 0; side < B_SIDES; side++) { /* nobody's first time is counted */
        if (b_sides_can(side, row->task, chunks)) {
            (void)b_sides_run(sides, side, row->task, row->memory, chunks);
        }
    }
    uint64_t copied = b_sides_copied(sides);
    for (size_t round = 0; round < table->rounds; round++) {
        for (unsigned i = 0; i < B_SIDES; i++) {
            b_side side = (b_side)((round + i) % B_SIDES); /* none is always the first */
            if (b_sides_can(side, row->task, chunks)) {
                f->rate[side][round] = run_round(sides, row, side, chunks, &f->calls[side]);
            }
        }
        for (unsigned side = 0; side < B_SIDES; side++) {
            f->ratio[side][round] = f->rate[side][round] / f->rate[B_LIMIT][round];
        }
        f->judged[round] = f->rate[B_NEAR][round] / f->rate[row->base][round];
    }
    f->copied = (double)(b_sides_copied(sides) - copied) /
                (double)(chunks->bytes * chunks->n * row->repeats * table->rounds);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void show_sides(figures *f, size_t rounds)
{
    for (unsigned side = 0; side < B_SIDES; side++) {
        if (f->calls[side].n == 0) {
            printf(" %17s", "-");
        } else if (side == B_LIMIT) {
            printf(" %9.0f", b_median(f->rate[side], rounds));
        } else {
            printf(" %9.0f (%5.2f)", b_median(f->rate[side], rounds),
                   b_median(f->ratio[side], rounds));
        }
    }
}

const char *b_judge(b_table *table, bool met)
{
    table->met += met;
    table->missed += !met;
    return met ? "met" : "MISSED";
}

static void write_csv(b_table *table, const b_row *row, const b_chunks *chunks, const figures *f,
                      unsigned lanes)
{
    table->lines++;
    for (unsigned side = 0; side < B_SIDES && table->csv != NULL; side++) {
        const nkvi_latency *calls = &f->calls[side];
        if (calls->n > 0) {
            fprintf(table->csv, "%zu,%s,%s,%u,%u,%s,%zu,%zu,%s,%llu,%.1f,%.1f,%.1f,%.1f\n",
                    table->lines, table->kind, table->transport, table->io_threads, lanes,
                    row->label, chunks->bytes, chunks->n, b_side_names[side],
                    (unsigned long long)calls->n, (double)nkvi_latency_percentile(calls, 50) * 1e-3,
                    (double)nkvi_latency_percentile(calls, 95) * 1e-3,
                    (double)nkvi_latency_percentile(calls, 99) * 1e-3,
                    (double)calls->max_ns * 1e-3);
        }
    }
}

static void write_result(const b_table *table, const b_row *row, const b_chunks *chunks,
                         double ratio)
{
    char name[160];
    (void)snprintf(name, sizeof name, "lmcache_%s_%s_%zu_%zu", table->place, row->label,
                   moves(row->task) ? chunks->bytes : 0, chunks->n);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == ' ' ? '_' : *c;
    }
    b_result(name, ratio, "x", false);
}

void b_compare(b_table *table, b_sides *sides, const b_row *row, b_chunks *chunks)
{
    static figures f;
    size_t rounds = table->rounds, bytes = chunks->bytes;
    run_rounds(table, sides, row, chunks, &f);
    printf("%-16s", row->label);
    if (moves(row->task)) {
        printf("%4zu %s x %-4zu", bytes >= MIB ? bytes / MIB : bytes / 1024,
               bytes >= MIB ? "MiB" : "KiB", chunks->n);
    } else {
        printf("%11s %-4zu", "x", chunks->n);
    }
    show_sides(&f, rounds);
    double ratio = b_median(f.judged, rounds); /* sorted now */
    if (row->bar > 0) {
        printf("   %.2f x %s (%.2f … %.2f), bar %.1f: %s", ratio, b_side_names[row->base],
               f.judged[0], f.judged[rounds - 1], row->bar, b_judge(table, ratio >= row->bar));
    }
    if (row->task == B_GET_CHUNKS) {
        printf("   copied %.4f", f.copied);
    }
    printf("\n");
    (void)fflush(stdout);
    write_result(table, row, chunks, ratio);
    write_csv(table, row, chunks, &f, sides->lanes);
}

void b_compare_head(const char *unit)
{
    printf("%-31s %9s", unit, b_side_names[B_LIMIT]);
    for (unsigned side = B_LIMIT + 1; side < B_SIDES; side++) {
        printf(" %9s %7s", b_side_names[side], "");
    }
    printf("\n");
}

/* ---- The file -------------------------------------------------------------------------------- */

void b_table_open(b_table *table)
{
    const char *path = getenv("NEARKV_BENCH_CSV");
    table->csv = path != NULL && path[0] != '\0' ? fopen(path, "w") : NULL;
    if (table->csv != NULL) {
        fputs("line,server,transport,io_threads,lanes,operation,bytes,keys,side,calls,p50_us,"
              "p95_us,p99_us,max_us\n",
              table->csv);
    }
}

void b_table_close(b_table *table)
{
    if (table->csv != NULL) {
        fclose(table->csv);
        table->csv = NULL;
    }
}
