/* io/bulk.c - see bulk.h: a pool's life. */
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

nkv_status nkvi_bulk_start_lane(nkvi_bulk *bulk, nkv_error *error)
{
    const nkvi_bulk_config *config = &bulk->config;
    if (bulk->lanes == NULL) {
        bulk->lanes = nkvi_calloc(config->lanes, sizeof *bulk->lanes);
    }
    if (bulk->lanes == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "%s: no memory for %u bulk connections", bulk->address,
                         config->lanes);
    }
    nkvi_bulk_lane *lane = &bulk->lanes[bulk->started];
    lane->bulk = bulk;
    nkvi_wire_init(&lane->wire);
    nkvi_backoff_init(&lane->backoff, config->backoff_min_ms > 0 ? config->backoff_min_ms : 1,
                      config->backoff_max_ms, nkvi_random_seed());
    lane->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->wake < 0) {
        return nkvi_fail_errno(error, errno == ENOMEM ? NKV_ENOMEM : NKV_ECONN, errno,
                               "%s: no descriptor for a connection", bulk->address);
    }
    sigset_t all, before;
    sigfillset(&all);
    lane->state = NKVI_BULK_BUSY;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&lane->thread, NULL, nkvi_bulk_lane_main, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)close(lane->wake);
        lane->state = NKVI_BULK_NONE;
        return nkvi_fail_errno(error, rc == ENOMEM ? NKV_ENOMEM : NKV_ECONN, rc,
                               "%s: no thread for a connection", bulk->address);
    }
    bulk->started++;
    return NKV_OK;
}

nkv_status nkvi_bulk_create(const nkvi_bulk_config *config, nkvi_bulk **out, nkv_error *error)
{
    *out = NULL;
    if (config->lanes < 1 || config->lanes > NKVI_BULK_LANES_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "%u bulk connections; allowed are 1 to %u",
                         config->lanes, NKVI_BULK_LANES_MAX);
    }
    nkvi_bulk *bulk = nkvi_calloc(1, sizeof *bulk);
    if (bulk == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for bulk connections");
    }
    bulk->config = *config;
    if (config->at_once < 1 || config->at_once > config->lanes) {
        bulk->config.at_once = config->lanes;
    }
    bulk->config.stuck_ms = config->stuck_ms > 0 ? config->stuck_ms : NKVI_BULK_STUCK_MS;
    bulk->queue_ns = NKVI_NEVER;
    atomic_init(&bulk->guess, config->window_bytes / 16);
    pthread_mutex_init(&bulk->mu, NULL);
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        nkvi_list_init(&bulk->queues[i]);
    }
    nkvi_endpoint_address(&bulk->config.endpoint, bulk->address, sizeof bulk->address);
    *out = bulk;
    return NKV_OK;
}

void nkvi_bulk_stop(nkvi_bulk *bulk)
{
    const uint64_t one = 1;
    nkv_error error;
    pthread_mutex_lock(&bulk->mu);
    bool first = !bulk->closing;
    bulk->closing = true; /* from now on no lane is started and nothing is queued from outside */
    unsigned started = first ? bulk->started : 0;
    for (unsigned i = 0; i < started; i++) {
        (void)!write(bulk->lanes[i].wake, &one, sizeof one);
    }
    pthread_mutex_unlock(&bulk->mu);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(bulk->lanes[i].thread, NULL);
    }
    nkvi_fail(&error, NKV_ECLOSED, "%s: the connections are being closed", bulk->address);
    nkvi_bulk_fail_all(bulk, &error);
}

void nkvi_bulk_hang_up(nkvi_bulk *bulk)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&bulk->mu);
    bool idle = bulk->hope == 0 && bulk->queued == 0;
    for (unsigned i = 0; i < bulk->started && !bulk->closing && !idle; i++) {
        bulk->lanes[i].hangs_up = true;
        (void)!write(bulk->lanes[i].wake, &one, sizeof one);
    }
    pthread_mutex_unlock(&bulk->mu);
}

void nkvi_bulk_destroy(nkvi_bulk *bulk)
{
    if (bulk == NULL) {
        return;
    }
    nkvi_bulk_stop(bulk);
    for (unsigned i = 0; i < bulk->started; i++) {
        (void)close(bulk->lanes[i].wake); /* until now somebody might have cancelled */
    }
    pthread_mutex_destroy(&bulk->mu);
    nkvi_free(bulk->lanes);
    nkvi_free(bulk);
}

void nkvi_bulk_get_info(nkvi_bulk *bulk, nkvi_bulk_info *info)
{
    memset(info, 0, sizeof *info);
    pthread_mutex_lock(&bulk->mu);
    info->waiting = bulk->queued;
    for (unsigned i = 0; i < bulk->started; i++) {
        const nkvi_bulk_lane *lane = &bulk->lanes[i];
        info->at_work += lane->linked && lane->state != NKVI_BULK_IDLE;
    }
    pthread_mutex_unlock(&bulk->mu);
    info->connections = atomic_load(&bulk->connections);
    info->copied = atomic_load(&bulk->copied);
}
