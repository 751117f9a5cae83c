/* client/job.c - see job.h.
 *
 * Invariant    a phase is started only while BIT_CANCELLED is not set, and kind->cancel() is called
 *              only while BIT_STARTING is not: so it always sees a phase that is wholly started. */
#include "client/job.h"

#include <string.h>

#include "base/status.h"
#include "client/queue.h"

#define BIT_CANCELLED 1u
#define BIT_STARTING  2u

#define ITEMS_MAX (UINT32_MAX / 4)

/* ---- making ---------------------------------------------------------------------------------- */

nkv_status nkvi_job_check(const nkvi_job_plan *plan, nkv_error *error)
{
    if (plan->n > 0 && plan->items == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "%zu items, but no array of items", plan->n);
    }
    if (plan->n > ITEMS_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "a batch of %zu items; allowed are up to %u", plan->n,
                         ITEMS_MAX);
    }
    nkv_priority priority = plan->call != NULL ? plan->call->priority : NKV_PRIORITY_DEFAULT;
    if ((unsigned)priority > NKV_PRIORITY_PUT) {
        return nkvi_fail(error, NKV_EINVAL, "priority %d; allowed are %d to %d", (int)priority,
                         NKV_PRIORITY_DEFAULT, NKV_PRIORITY_PUT);
    }
    return NKV_OK;
}

void nkvi_items_fail(nkv_item *items, size_t n, nkv_status status)
{
    for (size_t i = 0; items != NULL && n <= ITEMS_MAX && i < n; i++) {
        items[i].held = NULL;
        items[i].len = 0;
        items[i].from = NKV_FROM_SERVER;
        items[i].status = status;
    }
}

void nkvi_job_init(nkvi_job *job, const nkvi_job_plan *plan)
{
    memset(job, 0, sizeof *job);
    job->kind = plan->kind;
    job->client = plan->client;
    job->items = plan->items;
    job->n = plan->n;
    nkvi_call_copy(&job->call, plan->call);
    job->priority =
        job->call.priority != NKV_PRIORITY_DEFAULT ? job->call.priority : plan->priority;
    if (job->call.timeout_ms <= 0) {
        job->call.timeout_ms = plan->timeout_ms;
    }
    job->deadline_ns = nkvi_call_deadline(plan->client, &job->call);
    (void)pthread_mutex_init(&job->error_mu, NULL);
    nkvi_node_init(&job->node);
    atomic_init(&job->refs, 1);
    job->error_at = SIZE_MAX;
    nkvi_items_fail(job->items, job->n, NKV_ECANCELED);
}

/* Frees a job. */
static void discard(nkvi_job *job)
{
    (void)pthread_mutex_destroy(&job->error_mu);
    job->kind->destroy(job);
}

/* One that was not let in: the client may be gone. */
static void discard_outside(nkvi_job *job)
{
    job->client = NULL;
    discard(job);
}

void nkvi_job_free(nkvi_job *job, void *block)
{
    nkvi_spare_give(job->client != NULL ? &job->client->spare : NULL, block);
}

void nkvi_job_retain(nkvi_job *job)
{
    atomic_fetch_add(&job->client->active, 1); /* no enter: the job is inside already */
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
}

void nkvi_job_release(nkvi_job *job)
{
    nkv_client *client = job->client;
    if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) == 1) {
        discard(job);
    }
    nkvi_client_leave(client);
}

/* ---- phases ---------------------------------------------------------------------------------- */

bool nkvi_job_start(nkvi_job *job)
{
    if ((atomic_fetch_or(&job->bits, BIT_STARTING) & BIT_CANCELLED) != 0) {
        atomic_fetch_and(&job->bits, ~BIT_STARTING);
        return false;
    }
    atomic_store_explicit(&job->open, 1, memory_order_relaxed);
    return true;
}

void nkvi_job_parts(nkvi_job *job, uint32_t n)
{
    atomic_fetch_add_explicit(&job->open, n, memory_order_relaxed);
}

void nkvi_job_not_started(nkvi_job *job)
{
    atomic_fetch_and(&job->bits, ~BIT_STARTING); /* a cancel that came meanwhile has no parts */
}

void nkvi_job_started(nkvi_job *job)
{
    if ((atomic_fetch_and(&job->bits, ~BIT_STARTING) & BIT_CANCELLED) != 0) {
        job->kind->cancel(job);
    }
    nkvi_job_part_done(job);
}

void nkvi_job_part_done(nkvi_job *job)
{
    if (atomic_fetch_sub_explicit(&job->open, 1, memory_order_acq_rel) == 1) {
        job->kind->advance(job);
    }
}

void nkvi_job_cancel(nkvi_job *job)
{
    if ((atomic_fetch_or(&job->bits, BIT_CANCELLED) & BIT_STARTING) == 0) {
        job->kind->cancel(job);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

void nkvi_job_explain(nkvi_job *job, size_t item, const nkv_error *error)
{
    if (error == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&job->error_mu);
    if (item < job->error_at) {
        job->error_at = item;
        job->error = *error;
    }
    (void)pthread_mutex_unlock(&job->error_mu);
}

void nkvi_job_sum_up(nkvi_job *job)
{
    nkv_completion *outcome = &job->outcome;
    bool leading = true;
    outcome->status = NKV_OK;
    outcome->prefix = outcome->found = 0;
    for (size_t i = 0; i < job->n; i++) {
        nkv_status status = job->items[i].status;
        leading = leading && status == NKV_OK;
        outcome->prefix += leading;
        outcome->found += status == NKV_OK;
        if (status >= 0 || outcome->status < 0) {
            continue;
        }
        outcome->status = status;
        (void)pthread_mutex_lock(&job->error_mu);
        if (job->error_at == i) {
            outcome->error = job->error;
            outcome->error.status = status;
        } else {
            (void)nkvi_fail(&outcome->error, status, "%s", nkv_status_text(status));
        }
        (void)pthread_mutex_unlock(&job->error_mu);
    }
}

void nkvi_job_end(nkvi_job *job)
{
    if (job->queue == NULL) {
        nkvi_event_done(&job->ended, 1);
        return;
    }
    nkvi_queue_report(job->queue, job);
    nkvi_job_release(job);
}

/* ---- running --------------------------------------------------------------------------------- */

nkv_status nkvi_job_run(nkvi_job *job, nkv_call *call, nkv_completion *outcome)
{
    nkv_error error = {.status = NKV_OK};
    nkv_completion ended = {.id = 0};
    ended.status = nkvi_client_enter_blocking(job->client, &error);
    if (ended.status == NKV_OK) {
        nkvi_event_init(&job->ended);
        nkvi_event_add(&job->ended, 1);
        job->kind->advance(job);
        (void)nkvi_event_wait(&job->ended, NKVI_NEVER); /* every part has a deadline */
        ended = job->outcome;
        error = ended.error;
        nkvi_job_release(job);
    } else {
        nkvi_items_fail(job->items, job->n, ended.status);
        discard_outside(job);
    }
    if (outcome != NULL) {
        *outcome = ended;
    }
    return nkvi_call_done(call, ended.status, NKV_FROM_SERVER, &error);
}

nkv_status nkvi_job_submit(nkvi_job *job, nkv_ticket *ticket)
{
    ticket->id = 0;
    if (!nkvi_client_enter(job->client)) {
        discard_outside(job);
        return NKV_ECLOSED;
    }
    job->outcome.ud = ticket->ud;
    nkv_status status = nkvi_queue_add(ticket->queue, job);
    if (status != NKV_OK) {
        nkvi_job_release(job);
        return status;
    }
    ticket->id = job->outcome.id;
    job->kind->advance(job);
    return NKV_OK;
}
