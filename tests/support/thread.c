/* support/thread.c - threads and condition variables of the test kit.
 *
 * Callers      monitor.c, proxy.c, fake.c                                                        */

#include "support/thread.h"

#include "support/check.h"

#include <signal.h>

void t_thread_start(pthread_t *thread, void *(*fn)(void *ud), void *ud)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(thread, NULL, fn, ud);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    T_REQUIRE(rc == 0);
}

void t_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    T_REQUIRE(pthread_condattr_init(&attr) == 0);
    T_REQUIRE(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    T_REQUIRE(pthread_cond_init(cond, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
}

struct timespec t_deadline_after_ms(int64_t ms)
{
    const int64_t end_ns = t_now_ns() + ms * 1000000;
    return (struct timespec){.tv_sec = (time_t)(end_ns / 1000000000),
                             .tv_nsec = end_ns % 1000000000};
}
