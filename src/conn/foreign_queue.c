/* conn/foreign_queue.c - what waits, who works on it, and who ends it.
 *
 * Workers are made one at a time, when something is queued and nobody is idle: by whoever queues
 * it, or by the worker that leaves something behind. */
#include <assert.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/foreign_impl.h"

/* ============ Ending ============ */

void nkvi_foreign_end(nkvi_foreign *foreign, nkvi_foreign_op *op, nkv_status status,
                      nkvi_foreign_answer *answer, const nkv_error *error)
{
    if (op->spaces > 0) {
        nkvi_cache_write_end(foreign->config.lane.cache, op->key, op->spaces);
        op->spaces = 0;
    }
    op->done(op, status, answer, error); /* the last touch */
}

void nkvi_foreign_cut(nkvi_foreign *foreign, nkvi_foreign_op *op)
{
    if (op->state == NKVI_OP_QUEUED) {
        foreign->queued--;
    }
    nkvi_list_remove(&op->node);
    op->state = NKVI_OP_ENDED;
    if (op->seat != NULL) {
        op->seat->op = NULL;
        op->seat = NULL;
    }
    foreign->open--;
    if (op->limited) {
        foreign->inflight--;
        foreign->inflight_bytes -= op->key.len + op->value.len;
    }
}

static const char *reason(nkv_status status)
{
    switch (status) {
    case NKV_ETIMEDOUT:
        return "no answer before the deadline";
    case NKV_ECANCELED:
        return "cancelled";
    case NKV_ECLOSED:
        return "the client is being destroyed";
    case NKV_EBUSY:
        return "too many operations are under way";
    case NKV_ECONN:
        return "no thread to ask the connector on";
    case NKV_ENOTSUP:
        return "the connector has no function for that";
    default:
        return nkv_status_text(status);
    }
}

static void end_failed(nkvi_foreign *foreign, nkvi_foreign_op *op, nkv_status status)
{
    nkv_error error;
    (void)nkvi_fail(&error, status, "%s: %s", foreign->name, reason(status));
    nkvi_foreign_end(foreign, op, status, NULL, &error);
}

void nkvi_foreign_end_marked(nkvi_foreign *foreign, nkvi_list *ops)
{
    for (nkvi_node *node; (node = nkvi_list_pop(ops)) != NULL;) {
        nkvi_foreign_op *op = NKVI_CONTAINER(node, nkvi_foreign_op, node);
        end_failed(foreign, op, op->ending);
    }
}

static void end_all(nkvi_foreign *foreign, nkvi_list *ops, nkv_status status)
{
    for (nkvi_node *node; (node = nkvi_list_pop(ops)) != NULL;) {
        end_failed(foreign, NKVI_CONTAINER(node, nkvi_foreign_op, node), status);
    }
}

/* Cuts the operations of a list whose deadline is not after `now_ns`; the earliest of the others is
 * noted.  @locks mu held */
static void cut_late(nkvi_foreign *foreign, nkvi_list *list, int64_t now_ns, nkvi_list *late)
{
    nkvi_node *next;
    for (nkvi_node *node = list->head.next; node != &list->head; node = next) {
        nkvi_foreign_op *op = NKVI_CONTAINER(node, nkvi_foreign_op, node);
        next = node->next;
        if (op->state == NKVI_OP_LENT) {
            continue;
        }
        if (op->deadline_ns <= now_ns) {
            nkvi_foreign_cut(foreign, op);
            nkvi_list_push(late, node);
        } else if (op->deadline_ns < foreign->due_ns) {
            foreign->due_ns = op->deadline_ns;
        }
    }
}

/* @locks mu held */
static void cut_all_late(nkvi_foreign *foreign, int64_t now_ns, nkvi_list *late)
{
    nkvi_list_init(late);
    foreign->due_ns = NKVI_NEVER;
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        cut_late(foreign, &foreign->queues[i], now_ns, late);
    }
    cut_late(foreign, &foreign->asked, now_ns, late);
}

void nkvi_foreign_note_due(nkvi_foreign *foreign, const nkvi_foreign_op *op)
{
    if (op->deadline_ns < foreign->due_ns) {
        foreign->due_ns = op->deadline_ns;
        pthread_cond_signal(&foreign->late);
    }
}

void nkvi_foreign_cancel(nkvi_foreign *foreign, nkvi_foreign_op *op)
{
    pthread_mutex_lock(&foreign->mu);
    bool ends = op->state == NKVI_OP_QUEUED || op->state == NKVI_OP_ASKED;
    if (ends) {
        nkvi_foreign_cut(foreign, op);
    } else if (op->state == NKVI_OP_TAKEN || op->state == NKVI_OP_NEW) {
        op->ending = NKV_ECANCELED; /* as soon as it is seated, or submitted */
    }
    pthread_mutex_unlock(&foreign->mu);
    if (ends) {
        end_failed(foreign, op, NKV_ECANCELED);
    }
}

/* ============ Threads ============ */

static void *worker_main(void *arg)
{
    nkvi_foreign *foreign = arg;
    nkvi_list ops;
    size_t n;
    while (nkvi_foreign_take(foreign, &ops, &n)) {
        nkvi_foreign_call(foreign, &ops, n);
    }
    return NULL;
}

static void *keeper_main(void *arg)
{
    nkvi_foreign *foreign = arg;
    pthread_mutex_lock(&foreign->mu);
    while (!foreign->closing) {
        int64_t due_ns = foreign->due_ns;
        nkvi_list late;
        if (due_ns <= nkvi_now_ns()) {
            cut_all_late(foreign, nkvi_now_ns(), &late);
            pthread_mutex_unlock(&foreign->mu);
            end_all(foreign, &late, NKV_ETIMEDOUT);
            pthread_mutex_lock(&foreign->mu);
        } else if (due_ns == NKVI_NEVER) {
            pthread_cond_wait(&foreign->late, &foreign->mu);
        } else {
            struct timespec until = {.tv_sec = due_ns / INT64_C(1000000000),
                                     .tv_nsec = due_ns % INT64_C(1000000000)};
            (void)pthread_cond_clockwait(&foreign->late, &foreign->mu, CLOCK_MONOTONIC, &until);
        }
    }
    pthread_mutex_unlock(&foreign->mu);
    return NULL;
}

/* Signals are the program's, not ours to run handlers for. */
static bool start_thread(pthread_t *thread, void *(*main)(void *arg), nkvi_foreign *foreign)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(thread, NULL, main, foreign);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

/* Sees to it that somebody will take what is queued.  false: there is no thread, nor can one be
 * made.  @locks mu held */
static bool call_worker(nkvi_foreign *foreign)
{
    if (!foreign->keeping) {
        foreign->keeping = start_thread(&foreign->keeper, keeper_main, foreign);
        if (!foreign->keeping) {
            return false;
        }
    }
    if (foreign->idle > 0) {
        pthread_cond_signal(&foreign->work);
    } else if (foreign->workers < foreign->calls_max) {
        bool started = start_thread(&foreign->threads[foreign->workers], worker_main, foreign);
        foreign->workers += started;
    }
    return foreign->workers > 0;
}

/* ============ Queue ============ */

/* The list whose turn it is, or NULL; *overtakes: it is not the last one.  @locks mu held */
static nkvi_list *next_queue(nkvi_foreign *foreign, bool *overtakes)
{
    nkvi_list *first = NULL, *last = NULL;
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        if (!nkvi_list_empty(&foreign->queues[i])) {
            first = first == NULL ? &foreign->queues[i] : first;
            last = &foreign->queues[i];
        }
    }
    bool enough = first != last && foreign->streak >= NKVI_BULK_STREAK;
    *overtakes = first != last && !enough;
    return enough ? last : first;
}

/* What an operation brings into the memory of a call. */
static size_t weight(const nkvi_foreign_op *op)
{
    return op->kind == NKVI_FOREIGN_GET ? op->expect : op->value.len;
}

/* How many of that kind go into one call. */
static size_t most_of(const nkvi_foreign *foreign, nkvi_foreign_kind kind)
{
    switch (kind) {
    case NKVI_FOREIGN_SCAN:
        return 1;
    case NKVI_FOREIGN_PING:
    case NKVI_FOREIGN_SETTLE:
        return SIZE_MAX; /* all began before the call: one will do */
    default:
        return foreign->batch_max;
    }
}

/* @locks mu held */
static size_t take_from(nkvi_foreign *foreign, nkvi_list *queue, bool overtakes, nkvi_list *ops)
{
    nkvi_foreign_kind kind = NKVI_CONTAINER(nkvi_list_first(queue), nkvi_foreign_op, node)->kind;
    size_t most = most_of(foreign, kind);
    size_t n = 0, bytes = 0;
    if (overtakes && most > NKVI_BULK_STREAK - foreign->streak) {
        most = NKVI_BULK_STREAK - foreign->streak;
    }
    for (nkvi_node *node; n < most && (node = nkvi_list_first(queue)) != NULL; n++) {
        nkvi_foreign_op *op = NKVI_CONTAINER(node, nkvi_foreign_op, node);
        bytes += weight(op);
        if (op->kind != kind || (n > 0 && bytes > foreign->window_bytes)) {
            break;
        }
        nkvi_list_remove(node);
        nkvi_list_push(ops, node);
        op->state = NKVI_OP_TAKEN;
        foreign->queued--;
    }
    foreign->streak = overtakes ? foreign->streak + (unsigned)n : 0;
    return n;
}

bool nkvi_foreign_take(nkvi_foreign *foreign, nkvi_list *ops, size_t *n)
{
    nkvi_list_init(ops);
    pthread_mutex_lock(&foreign->mu);
    while (!foreign->closing && foreign->queued == 0) {
        foreign->idle++;
        pthread_cond_wait(&foreign->work, &foreign->mu);
        foreign->idle--;
    }
    bool open = !foreign->closing;
    if (open) {
        bool overtakes;
        nkvi_list *queue = next_queue(foreign, &overtakes);
        *n = take_from(foreign, queue, overtakes, ops);
        if (foreign->queued > 0) {
            (void)call_worker(foreign); /* this one will come back, if there is no other */
        }
    }
    pthread_mutex_unlock(&foreign->mu);
    return open;
}

/* Whether n more are within the limits; an operation that does not count is.  @locks mu held */
static bool fits(const nkvi_foreign *foreign, nkvi_foreign_op *const *ops, size_t n)
{
    uint64_t count = foreign->inflight, bytes = foreign->inflight_bytes;
    bool limited = false;
    for (size_t i = 0; i < n; i++) {
        if (ops[i]->limited) {
            limited = true;
            count++;
            bytes += ops[i]->key.len + ops[i]->value.len;
        }
    }
    const nkvi_lane_config *config = &foreign->config.lane;
    return !limited || (count <= (uint64_t)config->inflight_max &&
                        bytes <= (uint64_t)config->inflight_bytes_max);
}

/* @locks mu held */
static void push(nkvi_foreign *foreign, nkvi_foreign_op *op)
{
    nkvi_list_push(&foreign->queues[op->priority], &op->node);
    op->state = NKVI_OP_QUEUED;
    foreign->queued++;
    foreign->open++;
    if (op->limited) {
        foreign->inflight++;
        foreign->inflight_bytes += op->key.len + op->value.len;
    }
    nkvi_foreign_note_due(foreign, op);
}

/* Queues all or none; returns why none.  What was cancelled before, and what the table has no
 * function for, goes to `marked`.
 * @locks mu held */
static nkv_status queue_all(nkvi_foreign *foreign, nkvi_foreign_op *const *ops, size_t n,
                            nkvi_list *marked)
{
    if (foreign->closing) {
        return NKV_ECLOSED;
    }
    if (!fits(foreign, ops, n)) {
        return NKV_EBUSY;
    }
    if (!call_worker(foreign)) {
        return NKV_ECONN;
    }
    for (size_t i = 0; i < n; i++) {
        push(foreign, ops[i]);
        if (ops[i]->ending == NKV_OK && !nkvi_foreign_can(foreign, ops[i]->kind)) {
            ops[i]->ending = NKV_ENOTSUP;
        }
        if (ops[i]->ending != NKV_OK) {
            nkvi_foreign_cut(foreign, ops[i]);
            nkvi_list_push(marked, &ops[i]->node);
        }
    }
    return NKV_OK;
}

static void begin_write(nkvi_foreign *foreign, nkvi_foreign_op *op)
{
    nkv_cache *cache = foreign->config.lane.cache;
    bool writes = op->kind == NKVI_FOREIGN_PUT || op->kind == NKVI_FOREIGN_REMOVE;
    op->spaces = writes && cache != NULL ? nkvi_cache_write_begin(cache, op->key) : 0;
}

void nkvi_foreign_submit(nkvi_foreign *foreign, nkvi_foreign_op *const *ops, size_t n)
{
    nkvi_list marked;
    nkvi_list_init(&marked);
    for (size_t i = 0; i < n; i++) {
        begin_write(foreign, ops[i]);
    }
    pthread_mutex_lock(&foreign->mu);
    nkv_status status = n > 0 ? queue_all(foreign, ops, n, &marked) : NKV_OK;
    pthread_mutex_unlock(&foreign->mu);
    nkvi_foreign_end_marked(foreign, &marked);
    for (size_t i = 0; i < n && status != NKV_OK; i++) {
        end_failed(foreign, ops[i], status);
    }
}

/* ============ Life ============ */

bool nkvi_foreign_queue_init(nkvi_foreign *foreign)
{
    foreign->threads = nkvi_calloc(foreign->calls_max, sizeof *foreign->threads);
    (void)pthread_mutex_init(&foreign->mu, NULL);
    (void)pthread_cond_init(&foreign->work, NULL);
    (void)pthread_cond_init(&foreign->late, NULL);
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        nkvi_list_init(&foreign->queues[i]);
    }
    nkvi_list_init(&foreign->asked);
    foreign->due_ns = NKVI_NEVER;
    return foreign->threads != NULL;
}

void nkvi_foreign_queue_clear(nkvi_foreign *foreign)
{
    assert(foreign->open == 0 && foreign->queued == 0);
    pthread_cond_destroy(&foreign->late);
    pthread_cond_destroy(&foreign->work);
    pthread_mutex_destroy(&foreign->mu);
    nkvi_free(foreign->threads);
}

void nkvi_foreign_stop(nkvi_foreign *foreign)
{
    nkvi_list late;
    pthread_mutex_lock(&foreign->mu);
    foreign->closing = true; /* what is taken now ends when it is to be seated */
    cut_all_late(foreign, NKVI_NEVER, &late);
    pthread_cond_broadcast(&foreign->work);
    pthread_cond_broadcast(&foreign->late);
    pthread_mutex_unlock(&foreign->mu);
    end_all(foreign, &late, NKV_ECLOSED);
}

void nkvi_foreign_join(nkvi_foreign *foreign)
{
    assert(foreign->closing);
    if (foreign->keeping) {
        pthread_join(foreign->keeper, NULL);
        foreign->keeping = false;
    }
    for (unsigned i = 0; i < foreign->workers; i++) {
        pthread_join(foreign->threads[i], NULL);
    }
    foreign->workers = 0;
}
