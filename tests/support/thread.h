/* support/thread.h - the few lines of pthread that every part of the kit would repeat. */

#ifndef T_SUPPORT_THREAD_H
#define T_SUPPORT_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Starts a thread that is not interrupted by signals: those are for the test's own. */
void t_thread_start(pthread_t *thread, void *(*fn)(void *ud), void *ud);

/* A condition variable whose timed waits are on CLOCK_MONOTONIC. */
void t_cond_init(pthread_cond_t *cond);

/* For pthread_cond_timedwait() on such a one. */
struct timespec t_deadline_after_ms(int64_t ms);

#endif
