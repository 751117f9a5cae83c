/* bench/bench.c - see bench.h. */

#include "bench/bench.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"

#define THETA 0.99

static void *must(void *block)
{
    if (block == NULL) {
        fputs("bench: out of memory\n", stderr);
        exit(2);
    }
    return block;
}

/* ---- Time and processors --------------------------------------------------------------------- */

static int64_t ns_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t b_wall_ns(void)
{
    return ns_of(CLOCK_MONOTONIC);
}

int64_t b_thread_ns(void)
{
    return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

void b_pin(unsigned cpu)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu % (unsigned)(cpus > 0 ? cpus : 1), &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double b_median(double *numbers, size_t n)
{
    qsort(numbers, n, sizeof *numbers, by_size);
    return n % 2 == 1 ? numbers[n / 2] : (numbers[n / 2 - 1] + numbers[n / 2]) / 2;
}

/* ---- The machine ----------------------------------------------------------------------------- */

void b_show_machine(int argc, char **argv)
{
    char line[256], cpu[256] = "unknown processor";
    struct utsname system;
    double load[1] = {0};
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        if (sscanf(line, "model name : %255[^\n]", cpu) == 1) {
            break;
        }
    }
    if (info != NULL) {
        fclose(info);
    }
    (void)uname(&system);
    (void)getloadavg(load, 1);
    printf(
        "machine: %ld x %s, %s %s, compiler %s, load %.2f\ncommand:", sysconf(_SC_NPROCESSORS_ONLN),
        cpu, system.sysname, system.release, __VERSION__, load[0]);
    for (int i = 0; i < argc; i++) {
        printf(" %s", argv[i]);
    }
    printf("\n");
}

/* ---- Keys and streams ------------------------------------------------------------------------ */

static uint64_t scramble(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

size_t b_key(uint64_t i, unsigned kind, char out[B_KEY_MAX])
{
    static const char prefix[] = "model@1@chunk:";
    static const char hex[] = "0123456789abcdef";
    uint64_t bits = scramble(i * 2 + kind);
    size_t len = 32 + (size_t)(bits % 33);
    size_t at = sizeof prefix - 1;
    memcpy(out, prefix, at);
    for (unsigned word = 0; at < len; word++) {
        uint64_t more = scramble(bits + word);
        for (unsigned j = 0; j < 16 && at < len; j++, at++) {
            out[at] = hex[(more >> (4 * j)) & 15];
        }
    }
    return len;
}

/* Ranks by the method of Gray et al. (1994), as YCSB uses it. */
typedef struct zipf {
    double n, zeta_n, alpha, eta;
} zipf;

static zipf zipf_make(uint64_t n)
{
    zipf z = {.n = (double)n, .alpha = 1 / (1 - THETA)};
    for (uint64_t i = 1; i <= n; i++) {
        z.zeta_n += 1 / pow((double)i, THETA);
    }
    double zeta_2 = 1 + pow(0.5, THETA);
    z.eta = (1 - pow(2 / z.n, 1 - THETA)) / (1 - zeta_2 / z.zeta_n);
    return z;
}

static uint64_t zipf_rank(const zipf *z, double unit)
{
    double at = unit * z->zeta_n;
    if (at < 1) {
        return 0;
    }
    if (at < 1 + pow(0.5, THETA)) {
        return 1;
    }
    double rank = z->n * pow(z->eta * unit - z->eta + 1, z->alpha);
    return rank >= z->n ? (uint64_t)z->n - 1 : (uint64_t)rank;
}

b_stream b_stream_make(size_t ops, uint64_t n, b_shape shape, unsigned kind, uint64_t seed)
{
    b_stream stream = {.bytes = must(malloc(ops * B_STRIDE)), .ops = ops};
    zipf z = shape == B_ZIPF ? zipf_make(n) : (zipf){0};
    uint64_t state = seed;
    for (size_t i = 0; i < ops; i++) {
        uint64_t bits = scramble(state++ ^ seed << 32);
        uint64_t key = bits % n;
        if (shape == B_ZIPF) {
            key = scramble(zipf_rank(&z, (double)(bits >> 11) * 0x1p-53)) % n;
        }
        char text[B_KEY_MAX];
        size_t len = b_key(key, kind, text);
        char *at = stream.bytes + i * B_STRIDE;
        at[0] = (char)len;
        memcpy(at + 1, text, len);
    }
    return stream;
}

void b_stream_free(b_stream *stream)
{
    free(stream->bytes);
    stream->bytes = NULL;
}

/* ---- The bare probe -------------------------------------------------------------------------- */

typedef struct bare_entry {
    uint64_t hash;
    size_t len;
    char key[B_KEY_MAX];
    char *value;
} bare_entry;

struct b_bare {
    uint64_t mask, seed, n;
    struct {
        uint64_t hash;
        bare_entry *entry; /* NULL: free */
    } * cells;
};

b_bare *b_bare_make(uint64_t n)
{
    b_bare *bare = must(calloc(1, sizeof *bare));
    uint64_t cells = 16;
    while (cells < 2 * n) {
        cells *= 2;
    }
    bare->cells = must(calloc(cells, sizeof *bare->cells));
    bare->mask = cells - 1;
    bare->n = n;
    bare->seed = nkvi_random_seed();
    for (uint64_t i = 0; i < n; i++) {
        bare_entry *entry = must(malloc(sizeof *entry));
        entry->len = b_key(i, 0, entry->key);
        entry->hash = nkvi_hash(entry->key, entry->len, bare->seed);
        entry->value = must(malloc(B_VALUE));
        memset(entry->value, (int)(i & 127), B_VALUE);
        uint64_t at = entry->hash & bare->mask;
        while (bare->cells[at].entry != NULL) {
            at = (at + 1) & bare->mask;
        }
        bare->cells[at].hash = entry->hash;
        bare->cells[at].entry = entry;
    }
    return bare;
}

void b_bare_free(b_bare *bare)
{
    for (uint64_t i = 0; i <= bare->mask; i++) {
        if (bare->cells[i].entry != NULL) {
            free(bare->cells[i].entry->value);
            free(bare->cells[i].entry);
        }
    }
    free(bare->cells);
    free(bare);
}

const char *b_bare_find(const b_bare *bare, nkv_str key)
{
    uint64_t hash = nkvi_hash(key.data, key.len, bare->seed);
    uint64_t at = hash & bare->mask;
    while (bare->cells[at].entry != NULL) {
        const bare_entry *entry = bare->cells[at].entry;
        if (bare->cells[at].hash == hash && entry->len == key.len &&
            memcmp(entry->key, key.data, key.len) == 0) {
            return entry->value;
        }
        at = (at + 1) & bare->mask;
    }
    return NULL;
}

/* ---- Results --------------------------------------------------------------------------------- */

static FILE *results;

void b_results_open(void)
{
    const char *path = getenv("NEARKV_BENCH_JSON");
    results = path != NULL && path[0] != '\0' ? fopen(path, "w") : NULL;
}

void b_results_close(void)
{
    if (results != NULL) {
        fclose(results);
        results = NULL;
    }
}

void b_result(const char *name, double value, const char *unit, bool lower_is_better)
{
    if (results != NULL) {
        fprintf(results, "{\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"better\":\"%s\"}\n",
                name, value, unit, lower_is_better ? "lower" : "higher");
    }
}
