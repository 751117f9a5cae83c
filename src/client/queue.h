/* client/queue.h - who is told when submitted jobs end.
 *
 *      running: jobs under way          ended: reports, oldest first ---> drain
 *                                       descriptor readable  <=>  ended is not empty
 *
 * A report is allocated before its job starts, so a job can always end.
 * Locks    queue->mu: everything here; a leaf.
 * Threads  [any]. */
#ifndef NKVI_CLIENT_QUEUE_H
#define NKVI_CLIENT_QUEUE_H

#include "client/job.h"

/* Adds a job under way; its id is in job->outcome.  Returns NKV_OK · NKV_ECLOSED · NKV_ENOMEM. */
nkv_status nkvi_queue_add(nkv_queue *queue, nkvi_job *job);

/* The job, whose outcome is there, has ended: it is off the queue, and nothing here refers to it
 * any more but who holds a reference (job->refs). */
void nkvi_queue_report(nkv_queue *queue, nkvi_job *job);

/* One more reference, while the job is under way / one less: the last destroys the job.  Each
 * counts as a call inside the client. */
void nkvi_job_retain(nkvi_job *job);
void nkvi_job_release(nkvi_job *job);

/* Cancels it; the caller holds a reference. */
void nkvi_job_cancel(nkvi_job *job);

#endif
