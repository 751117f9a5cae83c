/* client/job.h - a batch under way: its parts, its end, and who is told.
 *
 *      start --> phase: parts (reads, chunks) --the last one--> advance() --> next phase, or end()
 *                                                                               |
 *                                somebody waits for it  <-----------------------+--> its queue
 *
 * Whoever finishes the last part of a phase runs advance() on its own thread (the caller's, the
 * loop's, a bulk lane's), which starts the next phase or ends the job.  While a phase is being
 * started one part more is open, so that it cannot end under the starter.
 *
 * Ending    nkvi_job_end() is called once, by advance(). A waiting caller wakes and frees the job;
 *           a submitted one is reported to its queue, and freed. Every job counts as a call inside
 *           its client.
 * Cancel    sets a bit; from then on no phase can be started, and the parts of the one under way
 *           are made to end soon by kind->cancel(), as soon as all of them have been started.
 * Threads   advance() never runs twice at once. */
#ifndef NKVI_CLIENT_JOB_H
#define NKVI_CLIENT_JOB_H

#include <nearkv/batch.h>

#include "base/event.h"
#include "client/client_int.h"

typedef struct nkvi_job nkvi_job;

typedef struct nkvi_job_kind {
    /* Every part of the phase is done; also called to start the first.  Must not block. */
    void (*advance)(nkvi_job *job);
    /* Makes the parts of the phase under way end soon; perhaps twice, on any thread. */
    void (*cancel)(nkvi_job *job);
    /* Frees the job, the struct itself included. */
    void (*destroy)(nkvi_job *job);
} nkvi_job_kind;

struct nkvi_job {
    const nkvi_job_kind *kind;
    nkv_client *client;
    nkv_item *items; /* the caller's */
    size_t n;
    nkv_call call; /* a copy; its out fields are not used */
    int64_t deadline_ns;
    nkv_priority priority;
    nkv_completion outcome; /* nkvi_job_sum_up() fills it */
    /* Its own. */
    _Atomic uint32_t open; /* parts */
    _Atomic uint32_t bits;
    _Atomic uint32_t refs;
    nkvi_event_count ended; /* of a job that is waited for */
    nkv_queue *queue;       /* of a submitted one, or NULL */
    struct nkvi_report *report;
    nkvi_node node; /* of the queue's jobs under way; guarded by its mutex */
    pthread_mutex_t error_mu;
    size_t error_at; /* the first item, in their order, that failed with a text */
    nkv_error error; /* both under error_mu */
};

/* What everybody who makes a job asks for. */
typedef struct nkvi_job_plan {
    const nkvi_job_kind *kind;
    nkv_client *client;
    nkv_item *items;
    size_t n;
    const nkv_call *call;  /* perhaps an older, shorter struct, or NULL */
    nkv_priority priority; /* if the call does not say */
    int64_t timeout_ms;    /* if the call does not say; 0: the client's */
} nkvi_job_plan;

/* Whether the arguments are fit for a job.  Returns NKV_OK · NKV_EINVAL. */
nkv_status nkvi_job_check(const nkvi_job_plan *plan, nkv_error *error);

/* The call fails as a whole: so does each of its items. */
void nkvi_items_fail(nkv_item *items, size_t n, nkv_status status);

/* Gives back the block that a job is the head of, taken with nkvi_spare_take; for destroy(). */
void nkvi_job_free(nkvi_job *job, void *block);

/* Sets up the job, and the out fields of its items (status NKV_ECANCELED). */
void nkvi_job_init(nkvi_job *job, const nkvi_job_plan *plan);

/* Runs it and waits for its end; the outcome goes to `call` (NULL is allowed) and *outcome (NULL is
 * allowed).  The job is gone afterwards.  Returns its status, or NKV_ECLOSED · NKV_EDEADLK: then
 * all its items have that status. */
nkv_status nkvi_job_run(nkvi_job *job, nkv_call *call, nkv_completion *outcome);

/* Runs it for a queue.  Returns NKV_OK · NKV_ECLOSED (queue or client) · NKV_ENOMEM: then the job
 * is gone, as it never was, and ticket->id is 0. */
nkv_status nkvi_job_submit(nkvi_job *job, nkv_ticket *ticket);

/* Begins to start a phase: from here on nobody else looks at the parts, so they can be made.
 * false: the job was cancelled, nothing may be started, and somebody may be looking. */
bool nkvi_job_start(nkvi_job *job);
/* n parts more, before any of them is started. */
void nkvi_job_parts(nkvi_job *job, uint32_t n);
/* All parts of the phase are started.  The job may be gone when this returns. */
void nkvi_job_started(nkvi_job *job);
/* There are none after all: there was no phase. */
void nkvi_job_not_started(nkvi_job *job);
/* A part has ended.  The job may be gone when this returns. */
void nkvi_job_part_done(nkvi_job *job);

/* The text for a failed item; the first in the order of the items is kept.  [any] */
void nkvi_job_explain(nkvi_job *job, size_t item, const nkv_error *error);

/* Fills the outcome from the items: the first failure, and the counts. */
void nkvi_job_sum_up(nkvi_job *job);

/* The end.  The job may be gone when this returns. */
void nkvi_job_end(nkvi_job *job);

#endif
