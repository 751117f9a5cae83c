/* client/gather.c - see gather.h. */
#include "client/gather.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

void nkvi_gather_init(nkvi_gather *gather)
{
    memset(gather, 0, sizeof *gather);
    nkvi_event_init(&gather->open);
    (void)pthread_mutex_init(&gather->mu, NULL); /* cannot fail for default attributes */
}

void nkvi_gather_clear(nkvi_gather *gather)
{
    assert(nkvi_event_open(&gather->open) == 0);
    (void)pthread_mutex_destroy(&gather->mu);
}

static void note_failure(nkvi_gather *gather, nkv_status status, const nkv_error *error)
{
    pthread_mutex_lock(&gather->mu);
    if (gather->error.status == NKV_OK) {
        if (error != NULL && error->status != NKV_OK) {
            gather->error = *error;
        } else {
            (void)nkvi_fail(&gather->error, status, "%s", nkv_status_text(status));
        }
    }
    pthread_mutex_unlock(&gather->mu);
}

static void slot_wake(nkvi_waiter *waiter, nkv_status status, nkv_value *value,
                      const nkv_error *error)
{
    nkvi_slot *slot = NKVI_CONTAINER(waiter, nkvi_slot, waiter);
    nkvi_gather *gather = slot->gather;
    void (*closed)(nkvi_gather *) = gather->closed;
    slot->status = status;
    slot->value = value;
    if (status < 0) {
        note_failure(gather, status, error);
    }
    /* Where somebody waits this is the last touch: slot and gather may be gone behind it. */
    if (nkvi_event_done(&gather->open, 1) && closed != NULL) {
        closed(gather);
    }
}

void nkvi_slot_open(nkvi_slot *slot, nkvi_gather *gather)
{
    nkvi_node_init(&slot->waiter.node);
    slot->waiter.wake = slot_wake;
    slot->gather = gather;
    slot->status = NKV_ETIMEDOUT;
    slot->value = NULL;
    slot->next = gather->slots;
    gather->slots = slot;
    nkvi_event_add(&gather->open, 1);
}

void nkvi_gather_wait(nkvi_gather *gather, nkvi_flights *flights, int64_t deadline_ns)
{
    if (!nkvi_event_wait(&gather->open, deadline_ns)) {
        pthread_mutex_lock(&flights->mu);
        uint32_t left = nkvi_gather_abandon(gather, NKV_ETIMEDOUT);
        pthread_mutex_unlock(&flights->mu);
        if (left > 0) {
            (void)nkvi_event_done(&gather->open, left);
        }
        /* Whoever did not leave is being woken at this moment. */
        (void)nkvi_event_wait(&gather->open, NKVI_NEVER);
    }
    gather->slots = NULL;
}

void nkvi_gather_hold(nkvi_gather *gather)
{
    gather->slots = NULL;
    nkvi_event_add(&gather->open, 1);
}

uint32_t nkvi_gather_abandon(nkvi_gather *gather, nkv_status status)
{
    static const nkv_error late = {.status = NKV_ETIMEDOUT,
                                   .text = "no answer before the deadline of the call"};
    uint32_t left = 0;
    for (nkvi_slot *slot = gather->slots; slot != NULL; slot = slot->next) {
        if (nkvi_waiter_leave(&slot->waiter)) {
            slot->status = status;
            left++;
        }
    }
    if (left > 0) {
        note_failure(gather, status, status == NKV_ETIMEDOUT ? &late : NULL);
    }
    return left;
}

bool nkvi_gather_close(nkvi_gather *gather, uint32_t n)
{
    return nkvi_event_done(&gather->open, n);
}
