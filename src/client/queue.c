/* client/queue.c - see queue.h. */
#include "client/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"

/* The place for a completion. */
typedef struct nkvi_report {
    nkvi_node node;
    nkv_completion completion;
} nkvi_report;

struct nkv_queue {
    pthread_mutex_t mu;
    pthread_cond_t cond; /* a report came, or the last job has gone */
    int fd;
    bool closed;
    uint64_t last_id;
    nkvi_list running; /* jobs */
    nkvi_list ended;   /* reports */
};

/* ---- jobs ------------------------------------------------------------------------------------ */

nkv_status nkvi_queue_add(nkv_queue *queue, nkvi_job *job)
{
    nkvi_report *report = nkvi_alloc(sizeof *report);
    if (report == NULL) {
        return NKV_ENOMEM;
    }
    (void)pthread_mutex_lock(&queue->mu);
    bool closed = queue->closed;
    if (!closed) {
        job->outcome.id = ++queue->last_id;
        job->queue = queue;
        job->report = report;
        nkvi_list_push(&queue->running, &job->node);
    }
    (void)pthread_mutex_unlock(&queue->mu);
    if (closed) {
        nkvi_free(report);
    }
    return closed ? NKV_ECLOSED : NKV_OK;
}

void nkvi_queue_report(nkv_queue *queue, nkvi_job *job)
{
    const uint64_t one = 1;
    nkvi_report *report = job->report;
    report->completion = job->outcome;
    (void)pthread_mutex_lock(&queue->mu);
    nkvi_list_remove(&job->node);
    if (nkvi_list_empty(&queue->ended)) {
        (void)!write(queue->fd, &one, sizeof one);
    }
    nkvi_list_push(&queue->ended, &report->node);
    (void)pthread_cond_broadcast(&queue->cond);
    (void)pthread_mutex_unlock(&queue->mu); /* from here on the queue may be gone */
}

/* ---- taking reports -------------------------------------------------------------------------- */

int nkv_queue_fd(const nkv_queue *queue)
{
    return queue->fd;
}

size_t nkv_queue_drain(nkv_queue *queue, nkv_completion *completions, size_t cap)
{
    size_t n = 0;
    nkvi_list taken;
    nkvi_list_init(&taken);
    (void)pthread_mutex_lock(&queue->mu);
    while (n < cap && !nkvi_list_empty(&queue->ended)) {
        nkvi_list_push(&taken, nkvi_list_pop(&queue->ended));
        n++;
    }
    if (n > 0 && nkvi_list_empty(&queue->ended)) {
        uint64_t count;
        (void)!read(queue->fd, &count, sizeof count);
    }
    (void)pthread_mutex_unlock(&queue->mu);
    n = 0;
    for (nkvi_node *node; (node = nkvi_list_pop(&taken)) != NULL;) {
        nkvi_report *report = NKVI_CONTAINER(node, nkvi_report, node);
        completions[n++] = report->completion;
        nkvi_free(report);
    }
    return n;
}

nkv_status nkv_queue_wait(nkv_queue *queue, int64_t timeout_ms)
{
    int64_t until_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms > 0 ? timeout_ms : 0);
    struct timespec until = {.tv_sec = (time_t)(until_ns / (1000 * NKVI_NS_PER_MS)),
                             .tv_nsec = (long)(until_ns % (1000 * NKVI_NS_PER_MS))};
    int rc = 0;
    (void)pthread_mutex_lock(&queue->mu);
    while (rc != ETIMEDOUT && nkvi_list_empty(&queue->ended) && !nkvi_list_empty(&queue->running)) {
        rc = pthread_cond_timedwait(&queue->cond, &queue->mu, &until);
    }
    nkv_status status = !nkvi_list_empty(&queue->ended)     ? NKV_OK
                        : !nkvi_list_empty(&queue->running) ? NKV_ETIMEDOUT
                                                            : NKV_NOT_FOUND;
    (void)pthread_mutex_unlock(&queue->mu);
    return status;
}

/* ---- cancelling ------------------------------------------------------------------------------ */

nkv_status nkv_queue_cancel(nkv_queue *queue, uint64_t id)
{
    nkvi_job *found = NULL;
    (void)pthread_mutex_lock(&queue->mu);
    const nkvi_node *end = &queue->running.head;
    for (nkvi_node *node = end->next; node != end && found == NULL; node = node->next) {
        nkvi_job *job = NKVI_CONTAINER(node, nkvi_job, node);
        found = job->outcome.id == id ? job : NULL;
    }
    if (found != NULL) {
        nkvi_job_retain(found);
    }
    (void)pthread_mutex_unlock(&queue->mu);
    if (found == NULL) {
        return NKV_NOT_FOUND;
    }
    nkvi_job_cancel(found);
    nkvi_job_release(found);
    return NKV_OK;
}

/* The next job under way with a higher id, with a reference, or NULL.  New jobs go to the end, so
 * their ids go up. */
static nkvi_job *running_after(nkv_queue *queue, uint64_t id)
{
    nkvi_job *next = NULL;
    (void)pthread_mutex_lock(&queue->mu);
    const nkvi_node *end = &queue->running.head;
    for (nkvi_node *node = end->next; node != end && next == NULL; node = node->next) {
        nkvi_job *job = NKVI_CONTAINER(node, nkvi_job, node);
        next = job->outcome.id > id ? job : NULL;
    }
    if (next != NULL) {
        nkvi_job_retain(next);
    }
    (void)pthread_mutex_unlock(&queue->mu);
    return next;
}

void nkv_queue_close(nkv_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mu);
    queue->closed = true;
    (void)pthread_mutex_unlock(&queue->mu);
    uint64_t id = 0;
    for (nkvi_job *job; (job = running_after(queue, id)) != NULL;) {
        id = job->outcome.id;
        nkvi_job_cancel(job);
        nkvi_job_release(job);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

nkv_status nkv_queue_create(nkv_queue **out, nkv_error *error)
{
    *out = NULL;
    nkv_queue *queue = nkvi_calloc(1, sizeof *queue);
    if (queue == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a queue");
    }
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd < 0) {
        nkvi_free(queue);
        return nkvi_fail_errno(error, NKV_ECONN, errno, "no descriptor for a queue");
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&queue->mu, NULL);
    nkvi_list_init(&queue->running);
    nkvi_list_init(&queue->ended);
    *out = queue;
    return NKV_OK;
}

void nkv_queue_destroy(nkv_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    nkv_queue_close(queue);
    (void)pthread_mutex_lock(&queue->mu);
    while (!nkvi_list_empty(&queue->running)) {
        (void)pthread_cond_wait(&queue->cond, &queue->mu);
    }
    (void)pthread_mutex_unlock(&queue->mu);
    for (nkvi_node *node; (node = nkvi_list_pop(&queue->ended)) != NULL;) {
        nkvi_free(NKVI_CONTAINER(node, nkvi_report, node));
    }
    (void)close(queue->fd);
    (void)pthread_cond_destroy(&queue->cond);
    (void)pthread_mutex_destroy(&queue->mu);
    nkvi_free(queue);
}
