/* tests/unit/base/test_event.c - the count that one thread waits for. */

#include "base/event.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "base/clock.h"

enum { ROUNDS = 5000, HELPERS = 2 };

Test(base_event, nothing_open_is_not_waited_for)
{
    nkvi_event_count event;

    nkvi_event_init(&event);
    cr_assert_eq(nkvi_event_open(&event), 0);
    cr_assert(nkvi_event_wait(&event, NKVI_NEVER));
    cr_assert(nkvi_event_wait(&event, 0));
    nkvi_event_add(&event, 3);
    nkvi_event_done(&event, 2);
    nkvi_event_done(&event, 1);
    cr_assert(nkvi_event_wait(&event, NKVI_NEVER));
}

Test(base_event, a_deadline_in_the_past_only_looks, .timeout = 20)
{
    static const int64_t past[] = {INT64_MIN, -1, 0, 1};
    nkvi_event_count event;

    nkvi_event_init(&event);
    nkvi_event_add(&event, 5);
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        cr_assert_not(nkvi_event_wait(&event, past[i]));
    }
    cr_assert_not(nkvi_event_wait(&event, nkvi_now_ns()));
    cr_assert_eq(nkvi_event_open(&event), 5, "and says what is open as before");
    nkvi_event_done(&event, 5);
    cr_assert(nkvi_event_wait(&event, 0));
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* Round by round the waiter publishes an event of its own stack, the helpers fill in a number each
 * and count down, and the waiter takes the event away at once.                                   */
typedef struct shared {
    pthread_barrier_t begin;
    nkvi_event_count *event;
    int numbers[HELPERS]; /* not atomic: done() and wait() must order them */
} shared;

typedef struct helper {
    shared *all;
    int index;
} helper;

static void *help(void *ud)
{
    const helper *me = ud;

    for (int round = 1; round <= ROUNDS; round++) {
        (void)pthread_barrier_wait(&me->all->begin);
        nkvi_event_count *event = me->all->event;
        me->all->numbers[me->index] = round;
        nkvi_event_done(event, 1);
    }
    return NULL;
}

static int wait_one_round(shared *all, int round)
{
    nkvi_event_count event;
    int right = 0;

    nkvi_event_init(&event);
    nkvi_event_add(&event, HELPERS);
    all->event = &event;
    (void)pthread_barrier_wait(&all->begin);
    if (nkvi_event_wait(&event, NKVI_NEVER)) {
        for (int i = 0; i < HELPERS; i++) {
            right += all->numbers[i] == round;
        }
    }
    event.value = 0x7fffffff; /* whoever touches it now spoils the next round */
    return right;
}

Test(base_event, the_waiter_sees_what_was_written_before_and_may_leave_at_once, .timeout = 60)
{
    shared all = {.event = NULL};
    pthread_t threads[HELPERS];
    helper helpers[HELPERS];
    int wrong = 0;

    (void)pthread_barrier_init(&all.begin, NULL, HELPERS + 1);
    for (int i = 0; i < HELPERS; i++) {
        helpers[i] = (helper){&all, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, help, &helpers[i]), 0);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        wrong += wait_one_round(&all, round) != HELPERS;
    }
    for (int i = 0; i < HELPERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_barrier_destroy(&all.begin);
    cr_assert_eq(wrong, 0);
}
