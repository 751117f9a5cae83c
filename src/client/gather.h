/* client/gather.h - a caller that waits for several answers, with one deadline.
 *
 * A slot is one answer; its waiter is put on a flight or a call. The gather counts the slots that
 * are still open. Both live in the caller's frame: nkvi_gather_wait does not return before no slot
 * can be touched any more.
 * Threads  One waiting thread; slots are woken from any. */
#ifndef NKVI_CLIENT_GATHER_H
#define NKVI_CLIENT_GATHER_H

#include "base/event.h"
#include "client/flight.h"

typedef struct nkvi_slot {
    nkvi_waiter waiter;
    struct nkvi_gather *gather;
    struct nkvi_slot *next; /* of the gather's */
    nkv_status status;
    nkv_value *value; /* a reference for the caller, or NULL */
} nkvi_slot;

typedef struct nkvi_gather {
    nkvi_event_count open; /* slots not woken yet */
    nkvi_slot *slots;      /* opened since the last wait; only the waiting thread touches them */
    pthread_mutex_t mu;
    nkv_error error; /* of the first slot that failed, under mu; NKV_OK: none did */
} nkvi_gather;

void nkvi_gather_init(nkvi_gather *gather);
void nkvi_gather_clear(nkvi_gather *gather);

/* Opens a slot: from now on it must be woken once.  By the waiting thread. */
void nkvi_slot_open(nkvi_slot *slot, nkvi_gather *gather);

/* Waits until every slot was woken or the deadline passes; slots still open then leave with
 * NKV_ETIMEDOUT.  Afterwards all are closed. */
void nkvi_gather_wait(nkvi_gather *gather, nkvi_flights *flights, int64_t deadline_ns);

#endif
