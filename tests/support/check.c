/* support/check.c - time, process facts, bytes, random numbers.
 *
 * Nothing here keeps state but the run's seed. What looks at the process reads /proc, so the
 * figures are the kernel's: threads and descriptors of every library are in them.
 *
 * Callers      all tests; files are in check_files.c                                             */

#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void t_die(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, text);
    (void)fflush(stderr);
    abort();
}

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t t_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t t_now_ms(void)
{
    return t_now_ns() / 1000000;
}

void t_sleep_us(int64_t us)
{
    struct timespec left = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (us % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

void t_sleep_ms(int64_t ms)
{
    t_sleep_us(ms * 1000);
}

bool t_wait_for(bool (*condition)(void *ud), void *ud, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (!condition(ud)) {
        if (t_now_ms() > end_ms) {
            return condition(ud);
        }
        t_sleep_ms(1);
    }
    return true;
}

/* ---- What the process holds ------------------------------------------------------------------ */

/* Counts what does not begin with a dot; counts: NULL, or says of a name whether it counts. */
static int count_entries(const char *path, bool (*counts)(const char *name))
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        T_DIE("%s: %s", path, strerror(errno));
    }
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.' && (counts == NULL || counts(entry->d_name));
    }
    (void)closedir(dir);
    return count;
}

int t_fd_count(void)
{
    return count_entries("/proc/self/fd", NULL) - 1; /* opendir's own */
}

/* Whoever joins a thread may be told before the kernel has taken it off the list. */
static bool is_no_exiting_thread(const char *id)
{
    enum { EXITING = 4 }; /* the kernel's PF_EXITING */
    char path[64];
    unsigned flags = EXITING;
    (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", id);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    const int fields = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %u", &flags);
    (void)fclose(file);
    return fields == 1 && (flags & EXITING) == 0;
}

int t_thread_count(void)
{
    return count_entries("/proc/self/task", is_no_exiting_thread);
}

size_t t_rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        T_DIE("/proc/self/statm: %s", strerror(errno));
    }
    unsigned long total_pages = 0;
    unsigned long resident_pages = 0;
    const int fields = fscanf(file, "%lu %lu", &total_pages, &resident_pages);
    (void)fclose(file);
    T_REQUIRE(fields == 2);
    return (size_t)resident_pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

enum { DUMP_COLUMNS = 16, DUMP_LINES = 6 };

static void hexdump(const char *label, const unsigned char *bytes, size_t len, size_t from)
{
    (void)fprintf(stderr, "  %s, %zu bytes:\n", label, len);
    for (size_t line = 0; line < DUMP_LINES && from < len; line++, from += DUMP_COLUMNS) {
        char text[DUMP_COLUMNS + 1] = {0};
        (void)fprintf(stderr, "    %06zx ", from);
        for (size_t i = 0; i < DUMP_COLUMNS; i++) {
            if (from + i < len) {
                const unsigned char byte = bytes[from + i];
                (void)fprintf(stderr, " %02x", byte);
                text[i] = (char)(byte >= ' ' && byte < 127 ? byte : '.');
            } else {
                (void)fputs("   ", stderr);
            }
        }
        (void)fprintf(stderr, "  %s\n", text);
    }
}

bool t_same_bytes(const char *what, const void *got, size_t got_len, const void *want,
                  size_t want_len)
{
    const unsigned char *a = got;
    const unsigned char *b = want;
    const size_t common = got_len < want_len ? got_len : want_len;
    size_t i = 0;
    while (i < common && a[i] == b[i]) {
        i++;
    }
    if (i == got_len && i == want_len) {
        return true;
    }
    const size_t line = i / DUMP_COLUMNS;
    const size_t from = (line > 1 ? line - 1 : 0) * DUMP_COLUMNS;
    (void)fprintf(stderr, "%s: first difference at byte %zu\n", what, i);
    hexdump("got", a, got_len, from);
    hexdump("want", b, want_len, from);
    return false;
}

size_t t_find_bytes(const void *hay, size_t hay_len, const void *needle, size_t needle_len)
{
    const void *at = hay_len == 0 ? NULL : memmem(hay, hay_len, needle, needle_len);
    return at == NULL ? hay_len : (size_t)((const char *)at - (const char *)hay);
}

char *t_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int len = vasprintf(&text, format, args);
    va_end(args);
    T_REQUIRE(len >= 0);
    return text;
}

/* ---- Random numbers -------------------------------------------------------------------------- */

static uint64_t run_seed;
static pthread_once_t run_seed_once = PTHREAD_ONCE_INIT;

static void choose_run_seed(void)
{
    const char *text = getenv("NEARKV_SEED");
    if (text != NULL && text[0] != '\0') {
        run_seed = strtoull(text, NULL, 0);
    } else {
        t_rng rng = {.state = (uint64_t)t_now_ns() ^ ((uint64_t)getpid() << 40)};
        run_seed = t_rng_next(&rng) >> 32; /* short enough to be typed */
    }
    (void)fprintf(stderr, "NEARKV_SEED=%llu\n", (unsigned long long)run_seed);
}

uint64_t t_run_seed(void)
{
    (void)pthread_once(&run_seed_once, choose_run_seed);
    return run_seed;
}

void t_rng_init(t_rng *rng, uint64_t seed)
{
    rng->state = seed;
}

uint64_t t_rng_next(t_rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    uint64_t z = rng->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t t_rng_below(t_rng *rng, uint64_t below)
{
    T_REQUIRE(below > 0);
    /* Numbers from the last, incomplete round of `below` would favour the small results. */
    const uint64_t limit = UINT64_MAX - UINT64_MAX % below;
    uint64_t number = t_rng_next(rng);
    while (number >= limit) {
        number = t_rng_next(rng);
    }
    return number % below;
}

double t_rng_unit(t_rng *rng)
{
    return (double)(t_rng_next(rng) >> 11) * 0x1p-53;
}

void t_rng_fill(t_rng *rng, void *out, size_t len)
{
    unsigned char *to = out;
    while (len > 0) {
        const uint64_t word = t_rng_next(rng);
        const size_t part = len < sizeof word ? len : sizeof word;
        memcpy(to, &word, part);
        to += part;
        len -= part;
    }
}
