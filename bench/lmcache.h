/* bench/lmcache.h - what bench_lmcache is made of: sets of chunks, and the ways of moving them.
 *
 *      limit      the bare system calls on one connection (limit.h); payloads alone
 *      loops      the same on as many connections as nearkv has lanes, a thread each
 *      nearkv     nkv_lmcache_put(), _get(), _contains(), _prefix()
 *      pipeline   hiredis: commands for B_GROUP bytes appended, then the answers read
 *      per key    hiredis, one command after the other, in the order of LMCache's RedisConnector:
 *                 SET payload, SET metadata; GET metadata, GET payload; EXISTS metadata
 *
 * All read into the same memory and write from it; what was read is checked outside of the time
 * that is measured.  Failure ends the process.  Threads: one at a time. */

#ifndef B_LMCACHE_H
#define B_LMCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <hiredis/hiredis.h>
#include <nearkv/lmcache_store.h>
#include <nearkv/nearkv.h>

#include "bench/limit.h"

/* ---- Chunks ---------------------------------------------------------------------------------- */

typedef struct b_chunks {
    size_t bytes; /* of a payload */
    size_t n;
    nkv_str *keys;     /* K */
    b_value *payloads; /* K + "kv_bytes", and where it lies */
    b_value *metadata; /* K + "metadata", and its 28 bytes */
    nkv_item *items;   /* key, value, meta, memory */
    nkv_lmcache_meta meta;
    char packed[NKV_LMCACHE_META_SIZE(1)];
    struct b_names *names; /* the texts of all keys */
} b_chunks;

/* Chunks that no other series has; the memory is written to, so that it is there. */
void b_chunks_make(b_chunks *chunks, size_t bytes, size_t n, const char *series);
void b_chunks_free(b_chunks *chunks);

/* Writes the marks into the memory / takes them out / looks for them. */
void b_chunks_mark(b_chunks *chunks);
void b_chunks_blank(b_chunks *chunks);
void b_chunks_check(const b_chunks *chunks);

/* ---- Sides ----------------------------------------------------------------------------------- */

typedef enum b_side { B_LIMIT, B_LOOPS, B_NEAR, B_PIPELINE, B_PER_KEY, B_SIDES } b_side;

extern const char *const b_side_names[B_SIDES];

typedef enum b_task {
    B_PUT,
    B_GET_CHUNKS,
    B_CONTAINS, /* nearkv: nkv_lmcache_contains() */
    B_PREFIX,   /* nearkv: nkv_lmcache_prefix() */
    B_EXIST     /* nearkv: nkv_batch_exists(), past the cache */
} b_task;

/* What nearkv knows before a task. */
typedef enum b_memory {
    B_COLD,   /* nothing: its cache is emptied */
    B_KNOWN,  /* the metadata, as after a lookup */
    B_UNASKED /* the task does not look into the cache */
} b_memory;

enum { B_LOOPS_MAX = 64, B_GROUP = 16 << 20 };

/* The connections of all sides to one server. */
typedef struct b_sides {
    t_addr address;
    b_limit *limit, *loops[B_LOOPS_MAX];
    unsigned lanes;
    nkv_client *client;
    nkv_lmcache *lmcache;
    redisContext *hiredis;
} b_sides;

/* window: of nearkv's lanes, in bytes; 0: its default. */
void b_sides_open(b_sides *sides, t_addr address, const char *url, unsigned lanes, size_t window);
void b_sides_close(b_sides *sides);

/* Lays down payloads and metadata. */
void b_sides_fill(b_sides *sides, const b_chunks *chunks);

/* Whether a side can do that at all: loops are for large payloads. */
bool b_sides_can(b_side side, b_task task, const b_chunks *chunks);

/* Does a task once; returns the nanoseconds. */
int64_t b_sides_run(b_sides *sides, b_side side, b_task task, b_memory memory, b_chunks *chunks);

/* Payload bytes that passed through a buffer of the client's so far. */
uint64_t b_sides_copied(const b_sides *sides);

/* ---- Comparing ------------------------------------------------------------------------------- */

enum { B_ROUNDS_MAX = 31 };

/* One line of a table. */
typedef struct b_row {
    const char *label;
    b_task task;
    b_memory memory;
    size_t repeats; /* in a round */
    b_side base;    /* what nearkv is compared with */
    double bar;     /* the least of the ratio; 0: none is set */
} b_row;

/* Where a table is made, and what came out. */
typedef struct b_table {
    size_t rounds;
    const char *kind, *transport;
    unsigned io_threads;
    char place[64];     /* all these in one word, for names of results */
    FILE *csv;          /* or NULL */
    size_t lines;       /* so far, at this place */
    size_t met, missed; /* bars */
} b_table;

/* Opens the file of NEARKV_BENCH_CSV, if there is one: the percentiles of all calls. */
void b_table_open(b_table *table);
void b_table_close(b_table *table);

/* Runs the rounds of a row, prints its line. */
void b_compare(b_table *table, b_sides *sides, const b_row *row, b_chunks *chunks);
void b_compare_head(const char *unit);

/* Says whether a bar is met, and counts it. */
const char *b_judge(b_table *table, bool met);

/* ---- Parts of the bench ---------------------------------------------------------------------- */

/* Counts the round trips of requests of 128 keys, at a server that is far away. */
void b_trips(const char *kind, unsigned lanes, b_table *table);

/* Puts so many chunks, every one a batch of its own, and lookups behind them; prints how many puts
 * had ended before those. */
void b_overtake(const b_sides *sides, b_table *table, size_t bytes, size_t puts);

#endif
