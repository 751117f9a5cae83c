/* bench/bench.h - what the benches of the local table share.
 *
 * Keys are 32 to 64 bytes: a common prefix, then hex digits, as chunk keys look. Queries come from
 * a stream that was written beforehand and is read once from front to back, so no lookup compares a
 * key with itself. Every figure is the median of windows that were taken in turns with those of the
 * bare probe, and is given as a ratio to them: the machine may be slow, or shared, but it is the
 * same machine.
 *
 * The bare probe is the least a lookup can do: hash, open addressing, compare, touch the value. It
 * has no lock, no references and no eviction. */

#ifndef B_BENCH_H
#define B_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

/* ---- Time and processors --------------------------------------------------------------------- */

int64_t b_wall_ns(void);
int64_t b_thread_ns(void); /* processor time of this thread */

/* Keeps the calling thread on one processor (modulo how many there are). */
void b_pin(unsigned cpu);

double b_median(double *numbers, size_t n); /* sorts them */

/* Prints what the figures depend on: processors, system, compiler, load; and the command. */
void b_show_machine(int argc, char **argv);

/* ---- Keys and streams ------------------------------------------------------------------------ */

enum { B_KEY_MAX = 64, B_STRIDE = 80, B_VALUE = 128 };

/* Writes key number `i` of the kind (two kinds have no key in common); returns its length. */
size_t b_key(uint64_t i, unsigned kind, char out[B_KEY_MAX]);

typedef enum b_shape { B_UNIFORM, B_ZIPF } b_shape; /* Zipf: exponent 0.99, scattered */

typedef struct b_stream {
    char *bytes; /* B_STRIDE a query: one byte of length, then the key */
    size_t ops;
} b_stream;

/* `ops` queries for keys 0 to n - 1 of the kind. Ends the process if memory runs out. */
b_stream b_stream_make(size_t ops, uint64_t n, b_shape shape, unsigned kind, uint64_t seed);
void b_stream_free(b_stream *stream);

static inline nkv_str b_stream_at(const b_stream *stream, size_t i)
{
    const char *at = stream->bytes + (i % stream->ops) * B_STRIDE;
    return nkv_str_make(at + 1, (size_t)(unsigned char)at[0]);
}

/* ---- The bare probe -------------------------------------------------------------------------- */

typedef struct b_bare b_bare;

b_bare *b_bare_make(uint64_t n);
void b_bare_free(b_bare *bare);
const char *b_bare_find(const b_bare *bare, nkv_str key);

/* ---- Results --------------------------------------------------------------------------------- */

/* Opens the file of NEARKV_BENCH_JSON, if there is one; b_results_close writes it. */
void b_results_open(void);
void b_results_close(void);

/* One figure for scripts/bench_diff: a ratio (lower is better), nanoseconds, … */
void b_result(const char *name, double value, const char *unit, bool lower_is_better);

#endif
