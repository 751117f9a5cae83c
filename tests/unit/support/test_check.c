/* tests/unit/support/test_check.c - the small helpers: each must be able to say no. */

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"

/* ---- Ends ------------------------------------------------------------------------------------ */

Test(support_check, die_aborts, .signal = SIGABRT, .init = cr_redirect_stderr)
{
    T_DIE("the reason is %d", 7);
}

Test(support_check, require_aborts_only_when_untrue, .signal = SIGABRT, .init = cr_redirect_stderr)
{
    T_REQUIRE(1 + 1 == 2);
    T_REQUIRE(1 + 1 == 3);
}

Test(support_check, wait_until_gives_up, .signal = SIGABRT, .init = cr_redirect_stderr)
{
    T_WAIT_UNTIL(false, 5);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static bool third_time(void *ud)
{
    return ++*(int *)ud == 3;
}

static bool never(void *ud)
{
    (void)ud;
    return false;
}

Test(support_check, wait_for_asks_until_it_holds_or_time_is_up)
{
    int asked = 0;
    cr_assert(t_wait_for(third_time, &asked, 10000));
    cr_assert_eq(asked, 3);
    const int64_t begin_ms = t_now_ms();
    cr_assert_not(t_wait_for(never, NULL, 5));
    cr_assert_geq(t_now_ms() - begin_ms, 5);
    T_WAIT_UNTIL(++asked == 6, 10000);
}

Test(support_check, both_clocks_are_one)
{
    const int64_t before_ms = t_now_ms();
    const int64_t ns = t_now_ns();
    const int64_t after_ms = t_now_ms();
    cr_assert(before_ms <= ns / 1000000 && ns / 1000000 <= after_ms);
    t_sleep_us(2500);
    cr_assert_geq(t_now_ns() - ns, 2500000);
}

/* ---- The process ----------------------------------------------------------------------------- */

Test(support_check, counts_descriptors)
{
    const int before = t_fd_count();
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(t_fd_count(), before + 1);
    (void)close(fd);
    cr_assert_eq(t_fd_count(), before);
}

static void *wait_for_unlock(void *mu)
{
    (void)pthread_mutex_lock(mu);
    (void)pthread_mutex_unlock(mu);
    return NULL;
}

Test(support_check, counts_threads)
{
    pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    const int before = t_thread_count();
    (void)pthread_mutex_lock(&mu);
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_unlock, &mu), 0);
    cr_assert_eq(t_thread_count(), before + 1);
    (void)pthread_mutex_unlock(&mu);
    (void)pthread_join(thread, NULL);
    T_WAIT_UNTIL(t_thread_count() == before, 5000); /* the kernel lags behind the join */
}

Test(support_check, resident_memory_grows_with_use)
{
    const size_t len = (size_t)64 << 20;
    const size_t before = t_rss_bytes();
    char *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED);
    memset(pages, 1, len);
    cr_assert_geq(t_rss_bytes(), before + len - (len >> 3));
    (void)munmap(pages, len);
    cr_assert_lt(t_rss_bytes(), before + (len >> 1));
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

Test(support_check, same_bytes_sees_every_difference, .init = cr_redirect_stderr)
{
    cr_assert(t_same_bytes("equal", "a\0b", 3, "a\0b", 3));
    cr_assert(t_same_bytes("both empty", NULL, 0, NULL, 0));
    cr_assert_not(t_same_bytes("after a NUL", "a\0b", 3, "a\0c", 3));
    cr_assert_not(t_same_bytes("shorter", "ab", 2, "abc", 3));
    cr_assert_not(t_same_bytes("longer", "abc", 3, "ab", 2));
    cr_assert_not(t_same_bytes("empty", NULL, 0, "x", 1));
    char big[300];
    memset(big, 'x', sizeof big);
    char other[300];
    memcpy(other, big, sizeof big);
    other[299] = 'y';
    cr_assert_not(t_same_bytes("the last byte", big, sizeof big, other, sizeof other));
}

Test(support_check, find_bytes)
{
    cr_assert_eq(t_find_bytes("ab\0cd", 5, "\0c", 2), 2);
    cr_assert_eq(t_find_bytes("abab", 4, "ab", 2), 0);
    cr_assert_eq(t_find_bytes("abab", 4, "ba", 2), 1);
    cr_assert_eq(t_find_bytes("ab", 2, "abc", 3), 2);
    cr_assert_eq(t_find_bytes(NULL, 0, "a", 1), 0);
}

/* ---- Random numbers -------------------------------------------------------------------------- */

Test(support_check, rng_repeats_with_its_seed)
{
    t_rng a;
    t_rng b;
    t_rng c;
    t_rng_init(&a, 42);
    t_rng_init(&b, 42);
    t_rng_init(&c, 43);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        const uint64_t number = t_rng_next(&a);
        cr_assert_eq(number, t_rng_next(&b));
        same += number == t_rng_next(&c);
    }
    cr_assert_eq(same, 0);
}

/* The first numbers of splitmix64 from 1234567, as its author's program prints them. */
Test(support_check, rng_is_splitmix64)
{
    t_rng rng;
    t_rng_init(&rng, 1234567);
    cr_assert_eq(t_rng_next(&rng), 6457827717110365317u);
    cr_assert_eq(t_rng_next(&rng), 3203168211198807973u);
    cr_assert_eq(t_rng_next(&rng), 9817491932198370423u);
}

Test(support_check, rng_below_is_even_and_in_range)
{
    enum { SIDES = 6, ROLLS = 60000 };
    t_rng rng;
    t_rng_init(&rng, 1);
    int count[SIDES] = {0};
    for (int i = 0; i < ROLLS; i++) {
        const uint64_t side = t_rng_below(&rng, SIDES);
        cr_assert_lt(side, SIDES);
        count[side]++;
    }
    for (int i = 0; i < SIDES; i++) {
        cr_assert(count[i] > ROLLS / SIDES * 95 / 100 && count[i] < ROLLS / SIDES * 105 / 100);
    }
    cr_assert_eq(t_rng_below(&rng, 1), 0);
    for (int i = 0; i < 1000; i++) {
        const double unit = t_rng_unit(&rng);
        cr_assert(unit >= 0.0 && unit < 1.0);
    }
}

Test(support_check, rng_fill_writes_all_and_no_more)
{
    t_rng rng;
    t_rng_init(&rng, 5);
    for (size_t len = 0; len < 20; len++) {
        unsigned char bytes[24] = {0};
        unsigned char seen[24] = {0};
        for (int round = 0; round < 40; round++) {
            t_rng_fill(&rng, bytes, len);
            for (size_t i = 0; i < sizeof bytes; i++) {
                seen[i] = (unsigned char)(seen[i] | bytes[i]);
            }
        }
        for (size_t i = 0; i < sizeof bytes; i++) {
            cr_assert_eq(seen[i] != 0, i < len, "byte %zu of %zu", i, len);
        }
    }
}

Test(support_check, run_seed_comes_from_the_environment, .init = cr_redirect_stderr)
{
    cr_assert_eq(setenv("NEARKV_SEED", "0x1f", 1), 0);
    cr_assert_eq(t_run_seed(), 31);
    cr_assert_eq(setenv("NEARKV_SEED", "7", 1), 0);
    cr_assert_eq(t_run_seed(), 31, "the seed has changed in the middle of a run");
}

/* ---- Files ----------------------------------------------------------------------------------- */

Test(support_check, temp_dir_is_private_and_removed_with_all_in_it)
{
    char dir[T_PATH_MAX];
    t_temp_dir(dir);
    struct stat info;
    cr_assert_eq(stat(dir, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0700);
    char *below = t_format("%s/a", dir);
    char *file = t_format("%s/a/f", dir);
    char *link = t_format("%s/a/l", dir);
    cr_assert_eq(mkdir(below, 0700), 0);
    cr_assert_eq(symlink("/etc", link), 0);
    FILE *f = fopen(file, "we");
    cr_assert_not_null(f);
    (void)fputs("a\nb", f);
    (void)fclose(f);

    size_t len = 0;
    char *text = t_read_file(file, &len);
    cr_assert(t_same_bytes("file", text, len, "a\nb", 3));
    free(text);
    t_remove_dir(dir);
    cr_assert_neq(stat(dir, &info), 0);
    cr_assert_eq(stat("/etc", &info), 0);
    cr_assert_null(t_read_file(file, NULL));
    t_remove_dir(dir); /* a second time does no harm */
    free(link);
    free(file);
    free(below);
}

Test(support_check, temp_dir_stays_short)
{
    char long_dir[200];
    memset(long_dir, 'x', sizeof long_dir - 1);
    long_dir[0] = '/';
    long_dir[sizeof long_dir - 1] = '\0';
    cr_assert_eq(setenv("TMPDIR", long_dir, 1), 0);
    char dir[T_PATH_MAX];
    t_temp_dir(dir);
    cr_assert_lt(strlen(dir), 90);
    t_remove_dir(dir);
}

Test(support_check, find_upwards)
{
    char path[T_PATH_MAX];
    cr_assert(t_find_upwards("tests/support/check.h", path));
    cr_assert_eq(access(path, R_OK), 0);
    cr_assert_not(t_find_upwards("tests/support/no-such-file", path));
}
