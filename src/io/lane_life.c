/* io/lane_life.c - the life of a lane's connections.
 *
 *      IDLE --start--> RESOLVING --> CONNECTING --> HANDSHAKE --> UP --lost--> BACKOFF --+
 *                         ^              |  ^ next address |                            |
 *                         |              +--+--------------+--failed--> BACKOFF --------+
 *                         +----------------------------------------------------timer----+
 *
 * One timer, `life`, serves them all: the patience of an attempt, the watchdog while it is up,
 * the wait before the next attempt.
 *
 * When a connection is lost, the order is: the owner's generation ends, so nothing that it
 * vouched for is served any more; then the lane is down for submitters; then the socket is
 * closed and its unread bytes with it, so nothing late can reach the next generation; only then
 * is anybody told. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/lane_impl.h"

#define READS_MAX 16   /* per wake-up, so that other lanes get their turn */
#define DRAIN_MAX 4096 /* the same before a judgement that needs the whole truth */

/* ============ The timer ============ */

void nkvi_lane_life_at(nkvi_lane *lane, int64_t at_ns)
{
    ev_timer_stop(lane->ev, &lane->life);
    lane->life_ns = at_ns;
    if (at_ns != NKVI_NEVER) {
        int64_t wait_ns = at_ns - nkvi_now_ns();
        ev_now_update(lane->ev);
        ev_timer_set(&lane->life, wait_ns > 0 ? (double)wait_ns * 1e-9 : 0.0, 0.0);
        ev_timer_start(lane->ev, &lane->life);
    }
}

/* ============ Telling ============ */

void nkvi_lane_tell(nkvi_lane *lane, nkv_flush_cause cause)
{
    if (lane->config.handler.on_change != NULL) {
        nkvi_lane_info info;
        nkvi_lane_get_info(lane, &info);
        info.healthy = info.state != NKVI_LANE_DOWN && lane->health.healthy;
        lane->config.handler.on_change(lane->config.handler.ud, &info, cause);
    }
}

/* ============ Signs of life ============ */

static void vouch(nkvi_lane *lane)
{
    int64_t until_ns = lane->fresh_ns < lane->vouch_ns ? lane->fresh_ns : lane->vouch_ns;
    atomic_store_explicit(&lane->config.owner->fresh_until_ns, until_ns, memory_order_release);
}

void nkvi_lane_vouch(nkvi_lane *lane, int64_t until_ns)
{
    lane->vouch_ns = until_ns;
    if (lane->generation != 0) {
        vouch(lane);
    }
}

void nkvi_lane_heard(nkvi_lane *lane, bool drained)
{
    int64_t now_ns = nkvi_loop_now_ns(lane->loop);
    if (lane->phase != NKVI_PHASE_UP) {
        return;
    }
    atomic_store_explicit(&lane->last_rx_ns, now_ns, memory_order_relaxed);
    bool revived = nkvi_health_heard(&lane->health, now_ns);
    /* What the socket still holds may be invalidations of long ago. */
    if (drained && lane->generation != 0) {
        lane->fresh_ns = nkvi_deadline_ns(now_ns, lane->config.max_idle_ms);
        vouch(lane);
    }
    if (revived) {
        nkvi_lane_tell(lane, NKV_FLUSH_NONE);
    }
}

/* ============ The end of a connection ============ */

void nkvi_lane_hang_up(nkvi_lane *lane)
{
    ev_io_stop(lane->ev, &lane->rx);
    ev_io_stop(lane->ev, &lane->tx);
    ev_timer_stop(lane->ev, &lane->life);
    nkvi_wire_close(&lane->wire);
    nkvi_reader_clear(&lane->reader);
    nkvi_lane_greeting_wipe(lane);
}

/* The reason with the address in front; a server that answered our greeting with an error and
 * hung up has told the better reason. */
static nkv_error reason(nkvi_lane *lane, const nkv_error *why)
{
    nkv_error error = {.status = NKV_OK};
    if (lane->phase == NKVI_PHASE_HANDSHAKE && lane->handshake.refused) {
        why = &lane->handshake.error;
    }
    nkvi_fail(&error, why->status, "%s: %s", lane->address, why->text);
    error.sys_errno = why->sys_errno;
    return error;
}

/* Ends what there is; returns whether it was up. */
static bool end_connection(nkvi_lane *lane, bool idle, const nkv_error *error)
{
    bool was_up = lane->phase == NKVI_PHASE_UP;
    if (was_up && lane->generation != 0) {
        nkvi_cache_owner_end(lane->config.cache, lane->config.owner);
    }
    pthread_mutex_lock(&lane->mu);
    lane->state = NKVI_LANE_DOWN;
    lane->generation = 0;
    lane->client_id = 0;
    lane->last_error = *error;
    lane->idle = idle;
    nkvi_lane_tx_end(lane);
    pthread_mutex_unlock(&lane->mu);
    nkvi_lane_hang_up(lane);
    return was_up;
}

void nkvi_lane_lose(nkvi_lane *lane, nkv_flush_cause cause, const nkv_error *why)
{
    nkv_error error = reason(lane, why);
    int64_t now_ns = nkvi_now_ns();
    bool was_up = end_connection(lane, false, &error);
    if (was_up && now_ns - lane->up_ns >= lane->backoff.max_ms * NKVI_NS_PER_MS) {
        nkvi_backoff_reset(&lane->backoff);
    }
    lane->phase = NKVI_PHASE_BACKOFF;
    nkvi_lane_life_at(lane, nkvi_deadline_ns(now_ns, nkvi_backoff_next_ms(&lane->backoff)));
    if (was_up) {
        nkvi_lane_tell(lane, cause);
    }
    /* The stream broke in the answer to the oldest; the others have lost a connection, no more. */
    nkvi_lane_fail_doomed(lane, &error, was_up ? NKV_ECONN : error.status);
}

void nkvi_lane_rest(nkvi_lane *lane)
{
    nkv_error error;
    assert(!lane->dispatching);
    if (lane->phase == NKVI_PHASE_IDLE || lane->closed) {
        return;
    }
    (void)nkvi_fail(&error, NKV_ECONN, "%s: it is not needed at present", lane->address);
    bool was_up = end_connection(lane, true, &error);
    nkvi_resolve_cancel(lane->resolve);
    lane->resolve = NULL;
    nkvi_backoff_reset(&lane->backoff);
    lane->phase = NKVI_PHASE_IDLE;
    if (was_up) {
        nkvi_lane_tell(lane, NKV_FLUSH_CONNECTION);
    }
    nkvi_lane_fail_doomed(lane, &error, NKV_ECONN);
}

/* ============ Watchers ============ */

static void read_now(nkvi_lane *lane, unsigned reads_max)
{
    nkv_error error;
    if (!nkvi_lane_rx(lane, reads_max, &error)) {
        nkvi_lane_lose(lane, NKV_FLUSH_CONNECTION, &error);
    }
}

void nkvi_lane_drain(nkvi_lane *lane)
{
    nkvi_loop_enter(lane->loop);
    if (!lane->dispatching &&
        (lane->phase == NKVI_PHASE_UP || lane->phase == NKVI_PHASE_HANDSHAKE)) {
        read_now(lane, DRAIN_MAX);
    }
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    read_now(watcher->data, READS_MAX);
}

static void on_connected(nkvi_lane *lane)
{
    nkv_error error;
    ev_io_stop(lane->ev, &lane->tx);
    if (nkvi_wire_finish(&lane->wire, &error) != NKV_OK) {
        nkvi_lane_try_failed(lane, &error);
        return;
    }
    nkvi_lane_greet_begin(lane);
    if (!nkvi_lane_greet_write(lane, &error)) {
        nkvi_lane_lose(lane, NKV_FLUSH_NONE, &error);
    }
}

/* A write failed: what the server said before it hung up is worth reading. */
static void write_failed(nkvi_lane *lane, const nkv_error *error)
{
    nkv_error read_error;
    if (!nkvi_lane_rx(lane, DRAIN_MAX, &read_error)) {
        error = &read_error;
    }
    nkvi_lane_lose(lane, NKV_FLUSH_CONNECTION, error);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    nkvi_lane *lane = watcher->data;
    nkv_error error;
    (void)ev;
    (void)events;
    switch (lane->phase) {
    case NKVI_PHASE_CONNECTING:
        on_connected(lane);
        break;
    case NKVI_PHASE_HANDSHAKE:
        if (!nkvi_lane_greet_write(lane, &error)) {
            write_failed(lane, &error);
        }
        break;
    case NKVI_PHASE_UP:
        if (!nkvi_lane_tx(lane, &error)) {
            write_failed(lane, &error);
        }
        break;
    default:
        ev_io_stop(lane->ev, &lane->tx);
        break;
    }
}

/* Somebody has submitted something to a lane that is idle. */
static void start_if_wanted(nkvi_lane *lane)
{
    pthread_mutex_lock(&lane->mu);
    bool wanted = lane->fresh.len > 0;
    pthread_mutex_unlock(&lane->mu);
    if (wanted) {
        nkvi_lane_start(lane);
    }
}

static void on_kick(struct ev_loop *ev, ev_async *watcher, int events)
{
    nkvi_lane *lane = watcher->data;
    nkv_error error;
    (void)ev;
    (void)events;
    if (lane->phase == NKVI_PHASE_IDLE) {
        start_if_wanted(lane);
    }
    if (lane->phase == NKVI_PHASE_UP && !nkvi_lane_tx(lane, &error)) {
        write_failed(lane, &error);
    }
    nkvi_lane_arm_due(lane);
}

/* Asks whether tracking is on, if it is time for that and the last question was answered: a server
 * that is stuck must not find a queue of them. */
static void audit(nkvi_lane *lane)
{
    int64_t now_ns = nkvi_loop_now_ns(lane->loop);
    if (lane->audit_ns <= now_ns) {
        lane->audit_ns = nkvi_deadline_ns(now_ns, lane->config.audit_ms);
        lane->auditing = lane->auditing || nkvi_lane_audit(lane);
    }
}

/* The watchdog.  Before it judges silence it reads what has come meanwhile. */
void nkvi_lane_watch(nkvi_lane *lane)
{
    nkv_error error;
    int64_t next_ns;
    audit(lane);
    for (;;) {
        nkvi_health_action action =
            nkvi_health_check(&lane->health, nkvi_loop_now_ns(lane->loop), &next_ns);
        switch (action) {
        case NKVI_HEALTH_PING:
            nkvi_lane_ping(lane);
            break;
        case NKVI_HEALTH_UNHEALTHY:
            nkvi_lane_tell(lane, NKV_FLUSH_NONE);
            break;
        case NKVI_HEALTH_CLOSE:
            nkvi_fail(&error, NKV_ECONN, "the server has been silent for too long");
            nkvi_lane_lose(lane, NKV_FLUSH_IDLE, &error);
            return;
        default:
            nkvi_lane_life_at(lane, next_ns < lane->audit_ns ? next_ns : lane->audit_ns);
            return;
        }
    }
}

static void on_life(struct ev_loop *ev, ev_timer *watcher, int events)
{
    nkvi_lane *lane = watcher->data;
    nkv_error error;
    (void)ev;
    (void)events;
    nkvi_loop_enter(lane->loop);
    if (nkvi_loop_now_ns(lane->loop) < lane->life_ns) {
        nkvi_lane_life_at(lane, lane->life_ns); /* libev's clock runs a little ahead of ours */
        return;
    }
    switch (lane->phase) {
    case NKVI_PHASE_RESOLVING:
    case NKVI_PHASE_CONNECTING:
    case NKVI_PHASE_HANDSHAKE:
        nkvi_fail_errno(&error, NKV_ECONN, ETIMEDOUT, "no connection within %lld ms",
                        (long long)lane->config.connect_timeout_ms);
        nkvi_lane_try_failed(lane, &error);
        break;
    case NKVI_PHASE_UP:
        read_now(lane, DRAIN_MAX);
        if (lane->phase == NKVI_PHASE_UP) {
            nkvi_lane_watch(lane);
        }
        break;
    case NKVI_PHASE_BACKOFF:
        nkvi_lane_attempt(lane);
        break;
    default:
        break;
    }
}

static void on_due(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    nkvi_lane_expire(watcher->data);
}

void nkvi_lane_watchers_init(nkvi_lane *lane)
{
    ev_io_init(&lane->rx, on_readable, -1, EV_READ);
    ev_io_init(&lane->tx, on_writable, -1, EV_WRITE);
    ev_timer_init(&lane->life, on_life, 0.0, 0.0);
    ev_timer_init(&lane->due, on_due, 0.0, 0.0);
    ev_async_init(&lane->kick, on_kick);
    lane->rx.data = lane->tx.data = lane->life.data = lane->due.data = lane->kick.data = lane;
    ev_async_start(lane->ev, &lane->kick);
}

void nkvi_lane_watchers_stop(nkvi_lane *lane)
{
    ev_timer_stop(lane->ev, &lane->due);
    ev_async_stop(lane->ev, &lane->kick);
}
