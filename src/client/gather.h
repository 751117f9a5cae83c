/* client/gather.h - several answers that somebody needs all of, with one deadline.
 *
 *      slot --+                                  somebody waits: nkvi_gather_wait() returns
 *      slot --+--> open: how many are missing -->
 *      slot --+                                  nobody does: the last one calls closed()
 *
 * A slot is one answer; its waiter is put on a flight or a call.  A slot is closed once: it is
 * woken, or it was abandoned while it still waited; never both (flights->mu decides).  Where
 * somebody waits, slots and gather live in his frame, and no slot can be touched any more when
 * nkvi_gather_wait returns.  Where nobody does, what closed() is told of may be freed in it.
 * Threads  open, wait, hold: one at a time; slots are woken from any. */
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
    nkvi_event_count open; /* slots not closed yet */
    nkvi_slot *slots;      /* opened since the last wait or hold */
    /* Set behind init, where nobody waits: nothing is open any more.  On the thread that closed the
     * last slot, under no lock. */
    void (*closed)(struct nkvi_gather *gather);
    pthread_mutex_t mu;
    nkv_error error; /* of the first slot that failed, under mu; NKV_OK: none did */
} nkvi_gather;

void nkvi_gather_init(nkvi_gather *gather);
void nkvi_gather_clear(nkvi_gather *gather);

/* Opens a slot: from now on it must be woken once. */
void nkvi_slot_open(nkvi_slot *slot, nkvi_gather *gather);

/* Waits until every slot was woken or the deadline passes; slots still open then leave with
 * NKV_ETIMEDOUT.  Afterwards all are closed. */
void nkvi_gather_wait(nkvi_gather *gather, nkvi_flights *flights, int64_t deadline_ns);

/* ---- where nobody waits ---------------------------------------------------------------------- */

/* Begins to open the next slots: until nkvi_gather_close(gather, 1) they are not all. */
void nkvi_gather_hold(nkvi_gather *gather);

/* Takes the slots that still wait off their lists, with this status.  They count as open until the
 * caller has told nkvi_gather_close how many there were, which is returned.
 * @locks flights->mu held; nobody opens slots */
uint32_t nkvi_gather_abandon(nkvi_gather *gather, nkv_status status);

/* n of what was held or abandoned is closed; false: somebody will close the rest, and nothing may
 * be touched any more; true: nothing is open, and closed() is not called. */
bool nkvi_gather_close(nkvi_gather *gather, uint32_t n);

#endif
