/* io/lane_rx.c - the receiving half of a lane: replies to their requests, pushes to the handler,
 * both in the order of the stream; and the deadlines of requests.
 *
 *      socket -> reader -> push?            -> on_push
 *                          handshake?       -> nkvi_lane_greet
 *                          else the oldest request: on_reply; behind its last reply on_done
 *
 * No lock is held during callbacks.  A callback may submit; what it submits is behind everything
 * that is awaited already.  Whatever one wake-up reads is dispatched before the owner may vouch
 * longer. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/lane_impl.h"
#include "tracking/audit.h"

#define TICK_MIN_NS (5 * NKVI_NS_PER_MS)
#define TICK_MAX_NS (1000 * NKVI_NS_PER_MS)

/* ============ Dispatch ============ */

/* The oldest request that is awaited, or NULL.  Takes the lock once for all that were submitted
 * since. */
static nkvi_slot *oldest(nkvi_lane *lane)
{
    if (lane->order.len == 0) {
        pthread_mutex_lock(&lane->mu);
        nkvi_ring_swap(&lane->order, &lane->fresh);
        pthread_mutex_unlock(&lane->mu);
    }
    return lane->order.len == 0 ? NULL : nkvi_ring_at(&lane->order, 0);
}

/* Takes the oldest request off a queue. */
static void retire(nkvi_lane *lane, nkvi_ring *ring)
{
    const nkvi_slot *slot = nkvi_ring_at(ring, 0);
    if (!slot->own) {
        atomic_fetch_sub_explicit(&lane->inflight, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&lane->inflight_bytes, (int64_t)slot->bytes,
                                  memory_order_relaxed);
    }
    nkvi_ring_pop(ring);
}

/* The answer to our own question whether tracking is on; false: it is not, and nothing that this
 * connection vouched for may be served any more. */
static bool judge_audit(nkvi_lane *lane, const nkv_reply *reply, nkv_error *error)
{
    lane->auditing = false;
    switch (nkvi_audit_reply(reply)) {
    case NKVI_AUDIT_OFF:
        nkvi_fail(error, NKV_ECONN, "the server no longer tracks what this connection reads");
        return false;
    case NKVI_AUDIT_UNKNOWN:
        lane->audit_ns = NKVI_NEVER; /* an ACL or a proxy: it cannot be asked */
        return true;
    case NKVI_AUDIT_ON:
    case NKVI_AUDIT_LATER:
        break;
    }
    return true;
}

static bool dispatch_reply(nkvi_lane *lane, nkvi_draft *draft, nkv_error *error)
{
    nkvi_slot *slot = oldest(lane);
    if (slot == NULL) {
        nkvi_draft_clear(draft);
        nkvi_fail(error, NKV_EPROTO, "protocol error: a reply that nobody asked for");
        return false;
    }
    nkvi_request *request = slot->request;
    bool audit = slot->audit;
    unsigned index = slot->index++;
    bool last = --slot->left == 0;
    if (last) {
        retire(lane, &lane->order);
    }
    if (request == NULL) {
        bool go_on = !audit || judge_audit(lane, &draft->root, error);
        nkvi_draft_clear(draft);
        return go_on;
    }
    request->on_reply(request, index, draft);
    if (last) {
        request->sent = true;
        request->on_done(request, NKV_OK, NULL);
    }
    return true;
}

static bool dispatch(nkvi_lane *lane, nkvi_draft *draft, nkv_error *error)
{
    if (draft->root.type == NKV_TYPE_PUSH) {
        if (lane->config.handler.on_push != NULL) {
            lane->config.handler.on_push(lane->config.handler.ud, &draft->root);
        }
        nkvi_draft_clear(draft);
        return true;
    }
    if (lane->phase == NKVI_PHASE_HANDSHAKE) {
        bool go_on = nkvi_lane_greet(lane, &draft->root, error);
        nkvi_draft_clear(draft);
        return go_on;
    }
    return dispatch_reply(lane, draft, error);
}

static bool dispatch_all(nkvi_lane *lane, nkv_error *error)
{
    nkvi_draft draft;
    nkv_status status;
    while ((status = nkvi_reader_next(&lane->reader, &draft, error)) == NKV_OK) {
        if (!dispatch(lane, &draft, error)) {
            return false;
        }
    }
    return status == NKV_MISS;
}

/* ============ Reading ============ */

/* One read and what it brought.  *drained: the socket holds no more. */
static bool read_once(nkvi_lane *lane, bool *heard, bool *drained, nkv_error *error)
{
    char *data;
    size_t len;
    if (!nkvi_reader_space(&lane->reader, &data, &len)) {
        nkvi_fail(error, NKV_ENOMEM, "out of memory for replies");
        return false;
    }
    ptrdiff_t n = nkvi_wire_read(&lane->wire, data, len, error);
    if (n < 0) {
        return false;
    }
    *drained = (size_t)n < len;
    if (n == 0) {
        return true;
    }
    *heard = true;
    nkvi_reader_fed(&lane->reader, (size_t)n);
    return dispatch_all(lane, error);
}

bool nkvi_lane_rx(nkvi_lane *lane, unsigned reads_max, nkv_error *error)
{
    if (lane->dispatching || lane->wire.context == NULL) {
        return true;
    }
    bool heard = false, drained = false, alive = true;
    lane->dispatching = true;
    while (alive && !drained && reads_max-- > 0) {
        alive = read_once(lane, &heard, &drained, error);
    }
    lane->dispatching = false;
    nkvi_reader_rest(&lane->reader);
    if (alive && heard) {
        nkvi_lane_heard(lane, drained);
    }
    return alive;
}

/* ============ Requests that end otherwise ============ */

/* Returns what is told to those who come after. */
static const nkv_error *fail_ring(nkvi_lane *lane, nkvi_ring *ring, const nkv_error *error,
                                  const nkv_error *others)
{
    while (ring->len > 0) {
        nkvi_slot slot = *nkvi_ring_at(ring, 0);
        retire(lane, ring);
        if (slot.request != NULL) {
            slot.request->on_done(slot.request, error->status, error);
        }
        error = others;
    }
    return error;
}

void nkvi_lane_fail_doomed(nkvi_lane *lane, const nkv_error *error, nkv_status others)
{
    nkv_error lost = *error;
    lost.status = others;
    bool before = lane->dispatching;
    lane->dispatching = true;
    error = fail_ring(lane, &lane->order, error, &lost);
    (void)fail_ring(lane, &lane->doomed, error, &lost);
    lane->dispatching = before;
}

static void give_up(nkvi_lane *lane, nkvi_request *request, bool sent)
{
    nkv_error error;
    request->sent = sent;
    nkvi_fail(&error, NKV_ETIMEDOUT, "%s: no answer within the deadline", lane->address);
    request->on_done(request, NKV_ETIMEDOUT, &error);
}

/* The deadline of the slot, if it has not passed at `now_ns`; else it is given up. */
static int64_t expire_slot(nkvi_slot *slot, int64_t now_ns, nkvi_request **expired)
{
    *expired = NULL;
    if (slot->request == NULL) {
        return NKVI_NEVER;
    }
    if (slot->request->deadline_ns > now_ns) {
        return slot->request->deadline_ns;
    }
    *expired = slot->request;
    slot->request = NULL; /* keeps its place: its replies are still to come */
    return NKVI_NEVER;
}

/* Gives up what is too late; returns the earliest deadline that is left.  Only this thread takes
 * slots away, so positions hold while callbacks run and others submit. */
static int64_t expire_all(nkvi_lane *lane, int64_t now_ns, bool sent)
{
    int64_t earliest_ns = NKVI_NEVER;
    nkvi_request *expired;
    for (size_t i = 0; i < lane->order.len; i++) {
        int64_t ns = expire_slot(nkvi_ring_at(&lane->order, i), now_ns, &expired);
        earliest_ns = ns < earliest_ns ? ns : earliest_ns;
        if (expired != NULL) {
            give_up(lane, expired, sent);
        }
    }
    pthread_mutex_lock(&lane->mu);
    for (size_t i = 0; i < lane->fresh.len; i++) {
        int64_t ns = expire_slot(nkvi_ring_at(&lane->fresh, i), now_ns, &expired);
        earliest_ns = ns < earliest_ns ? ns : earliest_ns;
        if (expired != NULL) {
            pthread_mutex_unlock(&lane->mu);
            give_up(lane, expired, sent);
            pthread_mutex_lock(&lane->mu);
        }
    }
    pthread_mutex_unlock(&lane->mu);
    return earliest_ns;
}

/* ============ The timer of deadlines ============ */

/* While there is traffic the timer goes on ticking, several times per usual timeout, even with
 * nothing under way: then a request hardly ever has to wake the loop only to have the timer set. */
void nkvi_lane_expire(nkvi_lane *lane)
{
    nkvi_loop_enter(lane->loop);
    int64_t now_ns = nkvi_loop_now_ns(lane->loop);
    pthread_mutex_lock(&lane->mu);
    int64_t soonest_ns = lane->soonest_ns, fired_ns = lane->due_fired_ns;
    bool down = lane->state == NKVI_LANE_DOWN;
    lane->soonest_ns = NKVI_NEVER;
    lane->due_fired_ns = now_ns;
    lane->due_ns = NKVI_NEVER; /* submitters lower it from here on */
    pthread_mutex_unlock(&lane->mu);

    bool before = lane->dispatching;
    lane->dispatching = true;
    int64_t next_ns = expire_all(lane, now_ns, !down);
    lane->dispatching = before;
    if (soonest_ns != NKVI_NEVER) {
        int64_t tick_ns = soonest_ns > fired_ns ? (soonest_ns - fired_ns) / 4 : TICK_MIN_NS;
        tick_ns = tick_ns < TICK_MIN_NS   ? TICK_MIN_NS
                  : tick_ns > TICK_MAX_NS ? TICK_MAX_NS
                                          : tick_ns;
        next_ns = now_ns + tick_ns < next_ns ? now_ns + tick_ns : next_ns;
    }
    pthread_mutex_lock(&lane->mu);
    lane->due_ns = next_ns < lane->due_ns ? next_ns : lane->due_ns;
    pthread_mutex_unlock(&lane->mu);
    nkvi_lane_arm_due(lane);
}

void nkvi_lane_arm_due(nkvi_lane *lane)
{
    pthread_mutex_lock(&lane->mu);
    int64_t due_ns = lane->due_ns;
    pthread_mutex_unlock(&lane->mu);
    ev_timer_stop(lane->ev, &lane->due);
    if (due_ns != NKVI_NEVER) {
        int64_t wait_ns = due_ns - nkvi_now_ns();
        ev_now_update(lane->ev);
        ev_timer_set(&lane->due, wait_ns > 0 ? (double)wait_ns * 1e-9 : 0.0, 0.0);
        ev_timer_start(lane->ev, &lane->due);
    }
}
