/* support/check.h - small helpers that every test may want.
 *
 * The test kit does not know Criterion (live.h apart), so that plain stress programs can use it
 * too. What a sane machine cannot make fail ends the process with a message: T_DIE().
 *
 * Threads    Every function may be called from any thread; a t_rng belongs to one thread.
 * Units      Times are int64_t on CLOCK_MONOTONIC; the unit is the name's last word.             */

#ifndef T_SUPPORT_CHECK_H
#define T_SUPPORT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Prints «file:line: message» on standard error and aborts: the running test fails.              */
_Noreturn void t_die(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define T_DIE(...) t_die(__FILE__, __LINE__, __VA_ARGS__)

/* An assert that release builds keep. */
#define T_REQUIRE(condition)                 \
    do {                                     \
        if (!(condition)) {                  \
            T_DIE("not so: %s", #condition); \
        }                                    \
    } while (0)

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t t_now_ns(void);
int64_t t_now_ms(void);

/* Sleeps at least that long, signals or not. For live tests only. */
void t_sleep_us(int64_t us);
void t_sleep_ms(int64_t ms);

/* Asks `condition(ud)` every millisecond until it holds. False when `timeout_ms` have passed; it is
 * asked once more at the very end, so a slow machine alone does not fail.                        */
bool t_wait_for(bool (*condition)(void *ud), void *ud, int64_t timeout_ms);

/* The same for an expression; ends the process when time is up. */
#define T_WAIT_UNTIL(expression, timeout_ms)                   \
    do {                                                       \
        const int64_t t_wait_end_ = t_now_ms() + (timeout_ms); \
        while (!(expression)) {                                \
            if (t_now_ms() > t_wait_end_) {                    \
                T_DIE("waited in vain for: %s", #expression);  \
            }                                                  \
            t_sleep_ms(1);                                     \
        }                                                      \
    } while (0)

/* ---- What the process holds ------------------------------------------------------------------ */

/* Open descriptors and threads of this process, the one used for counting not included. */
int t_fd_count(void);
int t_thread_count(void);

/* Resident memory in bytes. */
size_t t_rss_bytes(void);

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* True if both are the same bytes; else prints a hexdump of both around the first difference on
 * standard error, under `what`. NULL is allowed where the length is 0.                           */
bool t_same_bytes(const char *what, const void *got, size_t got_len, const void *want,
                  size_t want_len);

/* Where `needle` begins in `hay`; `hay_len` if nowhere. */
size_t t_find_bytes(const void *hay, size_t hay_len, const void *needle, size_t needle_len);

/* A text made as by printf; the caller frees. Never NULL. */
char *t_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Seeded random numbers (splitmix64) ------------------------------------------------------ */

typedef struct t_rng {
    uint64_t state;
} t_rng;

/* The seed of this run: NEARKV_SEED if set, else new for each process. Printed on standard error
 * at the first call, so that a failing run can be repeated.                                      */
uint64_t t_run_seed(void);

void t_rng_init(t_rng *rng, uint64_t seed);
uint64_t t_rng_next(t_rng *rng);

/* Even over 0..below-1; `below` > 0. */
uint64_t t_rng_below(t_rng *rng, uint64_t below);

/* Even over [0, 1). */
double t_rng_unit(t_rng *rng);

void t_rng_fill(t_rng *rng, void *out, size_t len);

/* ---- Files ----------------------------------------------------------------------------------- */

enum { T_PATH_MAX = 1024 };

/* Makes a private directory below TMPDIR (or /tmp where TMPDIR is too long for the path of a unix
 * socket) and writes its path to `out`.                                                          */
void t_temp_dir(char out[T_PATH_MAX]);

/* Removes the directory and all that is in it; links are not followed. */
void t_remove_dir(const char *path);

/* The first directory from the running program's, then from the working directory, upwards that
 * holds `name`; its path joined with `name` goes to `out`. False if there is none.               */
bool t_find_upwards(const char *name, char out[T_PATH_MAX]);

/* Reads a whole file; a NUL follows its bytes. The caller frees. NULL if it cannot be read. */
char *t_read_file(const char *path, size_t *len);

#endif
