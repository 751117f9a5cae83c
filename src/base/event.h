/* base/event.h - a count that goes down to zero, and one thread that waits for it.
 *
 * Waking costs a system call only if the waiter sleeps, and nothing if it does not; the waiter does
 * not have to get a mutex back from whoever woke it, as with a condition variable.
 *
 *      value = open things, with the top bit set while the waiter sleeps (Linux futex)
 *
 * The last one to count down may still call into the kernel with the address of an event that its
 * waiter has already left behind; it does not touch the memory any more, and the kernel finds
 * nobody, or wakes a later waiter at the same address, who looks and goes back to sleep.
 * Threads  add and wait: the waiting thread; done: [any].                                        */
#ifndef NKVI_BASE_EVENT_H
#define NKVI_BASE_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct nkvi_event_count {
    _Atomic uint32_t value;
} nkvi_event_count;

static inline void nkvi_event_init(nkvi_event_count *event)
{
    atomic_init(&event->value, 0);
}

/* n more things are open. */
static inline void nkvi_event_add(nkvi_event_count *event, uint32_t n)
{
    atomic_fetch_add_explicit(&event->value, n, memory_order_relaxed);
}

/* How many are open. */
static inline uint32_t nkvi_event_open(const nkvi_event_count *event)
{
    return atomic_load_explicit(&event->value, memory_order_acquire) & ~(UINT32_C(1) << 31);
}

/* n things are done; the waiter sees what was written before, and may let the event go then.
 * Returns whether they were the last that were open. */
bool nkvi_event_done(nkvi_event_count *event, uint32_t n);

/* Waits until nothing is open, or the deadline (CLOCK_MONOTONIC; NKVI_NEVER: none; one in the past:
 * just looks).  Returns whether nothing is open.                                                 */
bool nkvi_event_wait(nkvi_event_count *event, int64_t deadline_ns);

#endif
