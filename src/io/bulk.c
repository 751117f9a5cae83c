/* io/bulk.c - see bulk.h: the pool and its queue. */
#include "io/bulk.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/bulk_impl.h"

/* ============ Ending ============ */

void nkvi_bulk_end(nkvi_bulk_op *op, nkv_status status, const nkv_error *error)
{
    op->done(op, status, NULL, error);
}

void nkvi_bulk_end_all(nkvi_list *ops, const nkv_error *error)
{
    for (nkvi_node *node; (node = nkvi_list_pop(ops)) != NULL;) {
        nkvi_bulk_end(NKVI_CONTAINER(node, nkvi_bulk_op, node), error->status, error);
    }
}

/* ============ Queue ============ */

/* The operation whose turn it is, or NULL.  @locks mu held */
static nkvi_bulk_op *next_op(nkvi_bulk *bulk)
{
    nkvi_list *first = NULL, *last = NULL;
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        if (!nkvi_list_empty(&bulk->queues[i])) {
            first = first == NULL ? &bulk->queues[i] : first;
            last = &bulk->queues[i];
        }
    }
    if (first == NULL) {
        return NULL;
    }
    bool overtakes = first != last;
    bool enough = overtakes && bulk->streak >= NKVI_BULK_STREAK;
    return NKVI_CONTAINER(nkvi_list_first(enough ? last : first), nkvi_bulk_op, node);
}

/* Takes it off the queue.  @locks mu held */
static void unqueue(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    bool overtakes = false;
    nkvi_list_remove(&op->node);
    bulk->queued--;
    for (unsigned i = op->priority + 1u; i < NKVI_PRIORITIES; i++) {
        overtakes = overtakes || !nkvi_list_empty(&bulk->queues[i]);
    }
    bulk->streak = overtakes ? bulk->streak + 1 : 0;
}

static bool fits(const nkvi_bulk_lane *lane, size_t bytes)
{
    size_t max = lane->bulk->config.window_bytes;
    return lane->len == 0 || (lane->len < NKVI_BULK_WINDOW && lane->window_used <= max &&
                              bytes <= max - lane->window_used);
}

/* Takes out what is too late, if anything may be.  @locks mu held */
static void expire_queue(nkvi_bulk *bulk, int64_t now_ns, nkvi_list *expired)
{
    if (now_ns < bulk->queue_ns) {
        return;
    }
    bulk->queue_ns = NKVI_NEVER;
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        nkvi_node *next;
        for (nkvi_node *node = bulk->queues[i].head.next; node != &bulk->queues[i].head;
             node = next) {
            nkvi_bulk_op *op = NKVI_CONTAINER(node, nkvi_bulk_op, node);
            next = node->next;
            if (op->deadline_ns <= now_ns) {
                nkvi_list_remove(node);
                bulk->queued--;
                nkvi_list_push(expired, node);
            } else if (op->deadline_ns < bulk->queue_ns) {
                bulk->queue_ns = op->deadline_ns;
            }
        }
    }
}

bool nkvi_bulk_take(nkvi_bulk_lane *lane, nkvi_list *expired, int64_t *wake_ns)
{
    nkvi_bulk *bulk = lane->bulk;
    nkvi_bulk_op *op;
    pthread_mutex_lock(&bulk->mu);
    expire_queue(bulk, nkvi_now_ns(), expired);
    /* Not more than an even share at once: the other lanes want some of it. */
    uint64_t share = bulk->queued / bulk->config.lanes + 1;
    while (!bulk->closing && share > 0 && (op = next_op(bulk)) != NULL) {
        size_t bytes = nkvi_bulk_op_bytes(op) + op->expect;
        if (!fits(lane, bytes)) {
            break;
        }
        unqueue(bulk, op);
        lane->len++;
        *nkvi_bulk_slot_at(lane, lane->len - 1) = (nkvi_bulk_slot){op, bytes};
        lane->window_used += bytes;
        share--;
    }
    bool room = lane->len < NKVI_BULK_WINDOW && lane->window_used < bulk->config.window_bytes;
    bool more = bulk->queued > 0 && room && share == 0;
    lane->state = more             ? NKVI_BULK_BUSY
                  : lane->len == 0 ? NKVI_BULK_IDLE
                  : room           ? NKVI_BULK_HUNGRY
                                   : NKVI_BULK_BUSY;
    *wake_ns = bulk->queue_ns;
    bool open = !bulk->closing;
    pthread_mutex_unlock(&bulk->mu);
    return open;
}

/* Wakes a lane in that state, if there is one.  @locks mu held */
static bool wake_one(nkvi_bulk *bulk, nkvi_bulk_state state)
{
    for (unsigned i = 0; i < bulk->config.lanes; i++) {
        nkvi_bulk_lane *lane = &bulk->lanes[i];
        if (lane->state == state) {
            const uint64_t one = 1;
            lane->state = NKVI_BULK_BUSY;
            (void)!write(lane->wake, &one, sizeof one); /* can only fail if it is set already */
            return true;
        }
    }
    return false;
}

/* @locks mu held */
static void wake_for(nkvi_bulk *bulk, size_t n)
{
    while (n > 0 && wake_one(bulk, NKVI_BULK_IDLE)) {
        n--;
    }
    while (n > 0 && wake_one(bulk, NKVI_BULK_HUNGRY)) {
        n--;
    }
}

void nkvi_bulk_submit(nkvi_bulk *bulk, nkvi_bulk_op *const *ops, size_t n)
{
    pthread_mutex_lock(&bulk->mu);
    bool closing = bulk->closing;
    for (size_t i = 0; i < n && !closing; i++) {
        ops[i]->written = 0;
        ops[i]->again = false;
        nkvi_list_push(&bulk->queues[ops[i]->priority], &ops[i]->node);
        bulk->queued++;
        if (ops[i]->deadline_ns < bulk->queue_ns) {
            bulk->queue_ns = ops[i]->deadline_ns;
        }
    }
    if (!closing) {
        wake_for(bulk, n);
    }
    pthread_mutex_unlock(&bulk->mu);
    nkv_error error;
    for (size_t i = 0; i < n && closing; i++) {
        nkvi_fail(&error, NKV_ECLOSED, "%s: the connections are being closed", bulk->address);
        nkvi_bulk_end(ops[i], NKV_ECLOSED, &error);
    }
}

void nkvi_bulk_put_back(nkvi_bulk *bulk, nkvi_list *ops)
{
    size_t n = 0;
    pthread_mutex_lock(&bulk->mu);
    while (!nkvi_list_empty(ops)) {
        nkvi_node *last = ops->head.prev; /* the last one first: each goes to the front */
        nkvi_bulk_op *op = NKVI_CONTAINER(last, nkvi_bulk_op, node);
        nkvi_list_remove(last);
        nkvi_list rest;
        nkvi_list_init(&rest);
        nkvi_list_splice(&rest, &bulk->queues[op->priority]);
        nkvi_list_push(&bulk->queues[op->priority], last);
        nkvi_list_splice(&bulk->queues[op->priority], &rest);
        bulk->queued++;
        n++;
        if (op->deadline_ns < bulk->queue_ns) {
            bulk->queue_ns = op->deadline_ns;
        }
    }
    wake_for(bulk, n);
    pthread_mutex_unlock(&bulk->mu);
}

/* ============ Life ============ */

static nkv_status start_lane(nkvi_bulk *bulk, nkvi_bulk_lane *lane, nkv_error *error)
{
    const nkvi_bulk_config *config = &bulk->config;
    lane->bulk = bulk;
    nkvi_wire_init(&lane->wire);
    nkvi_backoff_init(&lane->backoff, config->backoff_min_ms > 0 ? config->backoff_min_ms : 1,
                      config->backoff_max_ms, nkvi_random_seed());
    lane->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->wake < 0) {
        return nkvi_fail_errno(error, NKV_ECONN, errno, "no descriptor for a connection");
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&lane->thread, NULL, nkvi_bulk_lane_main, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)close(lane->wake);
        return nkvi_fail_errno(error, NKV_ECONN, rc, "no thread for a connection");
    }
    lane->started = true;
    return NKV_OK;
}

nkv_status nkvi_bulk_create(const nkvi_bulk_config *config, nkvi_bulk **out, nkv_error *error)
{
    *out = NULL;
    if (config->lanes < 1 || config->lanes > NKVI_BULK_LANES_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "%u bulk connections; allowed are 1 to %u",
                         config->lanes, NKVI_BULK_LANES_MAX);
    }
    nkvi_bulk *bulk = nkvi_calloc(1, sizeof *bulk + config->lanes * sizeof(nkvi_bulk_lane));
    if (bulk == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for %u bulk connections", config->lanes);
    }
    bulk->config = *config;
    bulk->queue_ns = NKVI_NEVER;
    pthread_mutex_init(&bulk->mu, NULL);
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        nkvi_list_init(&bulk->queues[i]);
    }
    nkvi_endpoint_address(&bulk->config.endpoint, bulk->address, sizeof bulk->address);
    for (unsigned i = 0; i < config->lanes; i++) {
        nkv_status status = start_lane(bulk, &bulk->lanes[i], error);
        if (status != NKV_OK) {
            nkvi_bulk_destroy(bulk);
            return status;
        }
    }
    *out = bulk;
    return NKV_OK;
}

void nkvi_bulk_destroy(nkvi_bulk *bulk)
{
    if (bulk == NULL) {
        return;
    }
    const uint64_t one = 1;
    pthread_mutex_lock(&bulk->mu);
    bulk->closing = true;
    for (unsigned i = 0; i < bulk->config.lanes && bulk->lanes[i].started; i++) {
        (void)!write(bulk->lanes[i].wake, &one, sizeof one);
    }
    pthread_mutex_unlock(&bulk->mu);
    for (unsigned i = 0; i < bulk->config.lanes && bulk->lanes[i].started; i++) {
        pthread_join(bulk->lanes[i].thread, NULL);
        (void)close(bulk->lanes[i].wake);
    }
    nkv_error error;
    nkvi_fail(&error, NKV_ECLOSED, "%s: the connections are being closed", bulk->address);
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        nkvi_bulk_end_all(&bulk->queues[i], &error);
    }
    pthread_mutex_destroy(&bulk->mu);
    nkvi_free(bulk);
}

void nkvi_bulk_get_info(nkvi_bulk *bulk, nkvi_bulk_info *info)
{
    memset(info, 0, sizeof *info);
    pthread_mutex_lock(&bulk->mu);
    info->waiting = bulk->queued;
    pthread_mutex_unlock(&bulk->mu);
    info->connections = atomic_load(&bulk->connections);
    info->copied = atomic_load(&bulk->copied);
}
