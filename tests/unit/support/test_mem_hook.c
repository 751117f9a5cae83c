/* tests/unit/support/test_mem_hook.c - the allocation counts; including the hook here makes all
 * allocations of this program count, so other unit tests may use t_mem_of_thread() as well.
 *
 * Under a sanitizer or valgrind nothing is counted, and there is only that to check.             */

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "support/check.h"
#include "support/mem_hook.h"
#include "support/mem_hook_here.h"

/* Not optimised away, in pairs or alone. */
static void *volatile sink;

Test(support_mem_hook, is_in_force_exactly_where_it_can_be)
{
#ifdef T_MEM_SANITIZED
    cr_assert_not(t_mem_hooked());
#else
    const char *profile = getenv("NEARKV_PROFILE");
    const bool valgrind = profile != NULL && strcmp(profile, "valgrind") == 0;
    cr_assert_eq(t_mem_hooked(), !valgrind);
#endif
}

static t_mem window;

#define WINDOW_BEGIN() const t_mem window_begin = t_mem_of_thread()
#define WINDOW_END()   window = t_mem_diff(t_mem_of_thread(), window_begin)

#define assert_window(allocs_, frees_, requested_)    \
    do {                                              \
        cr_assert_eq(window.allocs, (allocs_));       \
        cr_assert_eq(window.frees, (frees_));         \
        cr_assert_eq(window.requested, (requested_)); \
    } while (0)

Test(support_mem_hook, counts_every_kind_of_allocation)
{
    if (!t_mem_hooked()) {
        return;
    }
    WINDOW_BEGIN();
    WINDOW_END();
    assert_window(0, 0, 0);
    sink = malloc(100);
    WINDOW_END();
    assert_window(1, 0, 100);
    free(sink);
    free(NULL);
    WINDOW_END();
    assert_window(1, 1, 100);
    cr_assert_eq(window.heap, 0);
    sink = calloc(3, 7);
    sink = realloc(sink, 1000);
    WINDOW_END();
    assert_window(3, 2, 1121);
    cr_assert_eq(window.heap, (int64_t)t_mem_cost_of(sink));
    free(sink);
    sink = aligned_alloc(64, 128);
    free(sink);
    void *aligned = NULL;
    cr_assert_eq(posix_memalign(&aligned, 256, 10), 0);
    cr_assert_eq((uintptr_t)aligned % 256, 0);
    free(aligned);
    sink = memalign(32, 5);
    free(sink);
    sink = reallocarray(NULL, 4, 4);
    free(sink);
    sink = strdup("four"); /* libc's own calls */
    free(sink);
    WINDOW_END();
    assert_window(8, 8, 1121 + 128 + 10 + 5 + 16 + 5);
    cr_assert_eq(window.heap, 0);
}

Test(support_mem_hook, failed_allocations_change_nothing)
{
    if (!t_mem_hooked()) {
        return;
    }
    volatile size_t too_much = SIZE_MAX / 2 + 1;
    void *block = malloc(10);
    WINDOW_BEGIN();
    cr_assert_null(malloc(too_much));
    cr_assert_null(calloc(too_much, 4));
    cr_assert_null(reallocarray(NULL, too_much, 4));
    void *posix = block;
    cr_assert_neq(posix_memalign(&posix, 3, 10), 0);
    cr_assert_eq(posix, block);
    cr_assert_null(realloc(block, too_much));
    WINDOW_END();
    assert_window(0, 0, 0);
    cr_assert_eq(window.heap, 0);
    free(posix);
}

Test(support_mem_hook, other_libraries_count_too)
{
    if (!t_mem_hooked()) {
        return;
    }
    WINDOW_BEGIN();
    redisReader *reader = redisReaderCreate();
    WINDOW_END();
    cr_assert_geq(window.allocs, 2);
    redisReaderFree(reader);
    WINDOW_END();
    cr_assert_eq(window.heap, 0);
}

Test(support_mem_hook, cost_is_what_base_counts)
{
    for (size_t size = 1; size < 5000; size++) {
        void *block = malloc(size);
        cr_assert_geq(malloc_usable_size(block), size);
        if (t_mem_hooked()) {
            cr_assert_eq(t_mem_cost_of(block), nkvi_mem_cost(size), "%zu bytes", size);
        }
        free(block);
    }
    cr_assert_eq(t_mem_cost_of(NULL), 0);
}

static void *allocate_elsewhere(void *ud)
{
    const t_mem before = t_mem_of_thread();
    for (int i = 0; i < 1000; i++) {
        free(malloc((size_t)i + 1));
    }
    sink = malloc(50);
    *(t_mem *)ud = t_mem_diff(t_mem_of_thread(), before);
    return NULL;
}

Test(support_mem_hook, a_window_is_the_threads_own)
{
    if (!t_mem_hooked()) {
        return;
    }
    const t_mem all_before = t_mem_of_process();
    t_mem theirs = {0};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, allocate_elsewhere, &theirs), 0);
    (void)pthread_join(thread, NULL);
    WINDOW_BEGIN();
    free(sink); /* theirs, freed by us */
    WINDOW_END();
    assert_window(0, 1, 0);
    cr_assert_lt(window.heap, 0);
    cr_assert_eq(theirs.heap, -window.heap);
    const t_mem all = t_mem_diff(t_mem_of_process(), all_before);
    cr_assert_geq(all.allocs, theirs.allocs);
}

Test(support_mem_hook, the_peak_is_the_highest_point_in_between)
{
    if (!t_mem_hooked()) {
        return;
    }
    t_mem_peak_reset();
    const int64_t base = t_mem_peak();
    cr_assert_eq(base, t_mem_of_process().heap);
    void *big = malloc(1000000);
    const int64_t cost = (int64_t)t_mem_cost_of(big);
    free(big);
    cr_assert_eq(t_mem_of_process().heap, base);
    cr_assert_eq(t_mem_peak(), base + cost);
    t_mem_peak_reset();
    cr_assert_eq(t_mem_peak(), base);
}
