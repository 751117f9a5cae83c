/* io/lane_tx.c - the sending half of a lane: submitting from any thread, and one writer at a time.
 *
 *      submit:  slot -> fresh, bytes -> pending        both under mu, so in the same order
 *               nobody writes?  pending <-> flight, write(), and again while others have appended
 *               the socket is full, or the round limit is reached?  handed: the loop goes on
 *
 * Invariants   writing: flight is that thread's; fd stays open
 *              !writing && !handed: flight and pending are empty, or the lane is down
 *              queued_bytes == sent_bytes + what flight and pending still hold */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/lane_impl.h"

#define ROUNDS_MAX \
    16 /* write() calls that a submitter does for others before the loop takes over */
#define BUF_KEEP (256u * 1024u)

static const char ping_bytes[] = "*1\r\n$4\r\nPING\r\n";
static const char audit_bytes[] = "*2\r\n$6\r\nCLIENT\r\n$12\r\nTRACKINGINFO\r\n";

static void buf_swap(nkvi_buf *a, nkvi_buf *b)
{
    nkvi_buf c = *a;
    *a = *b;
    *b = c;
}

/* Emptied, but kept for the next bytes unless it has grown large. */
static void buf_reset(nkvi_buf *buf)
{
    if (buf->cap > BUF_KEEP) {
        nkvi_buf_clear(buf);
    }
    buf->len = 0;
    buf->failed = false;
}

/* ============ Writing ============ */

/* Takes the next bytes to be written.  false: there are none.  @locks mu held, writing */
static bool next_flight(nkvi_lane *lane)
{
    if (lane->flight_at < lane->flight.len) {
        return true;
    }
    buf_reset(&lane->flight);
    lane->flight_at = 0;
    buf_swap(&lane->flight, &lane->pending);
    return lane->flight.len > 0;
}

/* Writes until nothing is left, the socket is full, or for `rounds`; what is left is handed to
 * the loop. @locks mu held, given up during each write(); writing must be false before and is so
 * afterwards */
static void write_out(nkvi_lane *lane, unsigned rounds)
{
    assert(!lane->writing && lane->state != NKVI_LANE_DOWN);
    lane->writing = true;
    lane->handed = false;
    while (lane->state != NKVI_LANE_DOWN && next_flight(lane)) {
        if (rounds-- == 0) {
            lane->handed = true;
            break;
        }
        const char *data = lane->flight.data + lane->flight_at;
        size_t len = lane->flight.len - lane->flight_at;
        pthread_mutex_unlock(&lane->mu);
        ptrdiff_t n = nkvi_wire_write(&lane->wire, data, len);
        int write_errno = errno;
        pthread_mutex_lock(&lane->mu);
        if (n <= 0) {
            lane->write_errno = n < 0 ? write_errno : 0;
            lane->handed = true;
            break;
        }
        lane->writes++;
        lane->sent_bytes += (size_t)n;
        lane->flight_at += (size_t)n;
    }
    lane->writing = false;
    pthread_cond_broadcast(&lane->written);
}

bool nkvi_lane_tx(nkvi_lane *lane, nkv_error *error)
{
    pthread_mutex_lock(&lane->mu);
    if (lane->handed && !lane->writing && lane->write_errno == 0) {
        write_out(lane, UINT32_MAX);
    }
    int write_errno = lane->write_errno;
    bool more = lane->handed && write_errno == 0;
    pthread_mutex_unlock(&lane->mu);
    if (write_errno != 0) {
        nkvi_fail_errno(error, NKV_ECONN, write_errno, "connection lost");
        return false;
    }
    if (more) {
        ev_io_start(lane->ev, &lane->tx);
    } else {
        ev_io_stop(lane->ev, &lane->tx);
    }
    return true;
}

/* ============ Begin and end of a connection ============ */

/* Takes the requests that were given up while they waited out of a queue, and their bytes too:
 * who was told that a command was not sent must be able to rely on it. */
static void drop_given_up(nkvi_lane *lane, nkvi_ring *ring, size_t *bytes)
{
    size_t n = ring->len, kept = 0;
    for (size_t i = 0; i < n; i++) {
        nkvi_slot slot = *nkvi_ring_at(ring, i);
        if (slot.request == NULL) {
            atomic_fetch_sub_explicit(&lane->inflight, 1, memory_order_relaxed);
            atomic_fetch_sub_explicit(&lane->inflight_bytes, (int64_t)slot.bytes,
                                      memory_order_relaxed);
            continue;
        }
        if (slot.bytes > 0 && slot.begin != *bytes) {
            memmove(lane->pending.data + *bytes, lane->pending.data + slot.begin, slot.bytes);
        }
        slot.begin = *bytes;
        *bytes += slot.bytes;
        slot.request->generation = lane->generation;
        *nkvi_ring_at(ring, kept++) = slot;
    }
    ring->len = kept;
}

void nkvi_lane_tx_begin(nkvi_lane *lane)
{
    assert(lane->flight.len == 0 && lane->sent_bytes == 0);
    size_t bytes = 0;
    drop_given_up(lane, &lane->order, &bytes);
    drop_given_up(lane, &lane->fresh, &bytes);
    lane->pending.len = bytes;
    lane->queued_bytes = bytes;
    lane->handed = false;
    lane->write_errno = 0;
    if (bytes > 0) {
        write_out(lane, UINT32_MAX);
    }
}

static void note_sent(const nkvi_ring *ring, uint64_t sent_bytes)
{
    for (size_t i = 0; i < ring->len; i++) {
        nkvi_slot *slot = nkvi_ring_at(ring, i);
        if (slot->request != NULL) {
            slot->request->sent = slot->begin < sent_bytes;
        }
    }
}

void nkvi_lane_tx_end(nkvi_lane *lane)
{
    while (lane->writing) { /* ends: writes do not block, and nobody begins one while it is down */
        pthread_cond_wait(&lane->written, &lane->mu);
    }
    note_sent(&lane->order, lane->sent_bytes);
    note_sent(&lane->fresh, lane->sent_bytes);
    assert(lane->doomed.len == 0);
    nkvi_ring_swap(&lane->doomed, &lane->fresh);
    buf_reset(&lane->pending);
    buf_reset(&lane->flight);
    lane->flight_at = 0;
    lane->queued_bytes = lane->sent_bytes = 0;
    lane->handed = false;
    lane->write_errno = 0;
}

/* ============ Submitting ============ */

/* Appends to what is to be written, without a copy if nothing else waits.  @locks mu held */
static bool queue_bytes(nkvi_lane *lane, nkvi_buf *bytes)
{
    if (lane->pending.len == 0) {
        buf_swap(&lane->pending, bytes);
        bytes->len = 0;
        return true;
    }
    if (!nkvi_buf_reserve(&lane->pending, bytes->len)) {
        lane->pending.failed = false;
        return false;
    }
    nkvi_buf_append(&lane->pending, bytes->data, bytes->len);
    return true;
}

/* @locks mu held */
static nkv_status admit(nkvi_lane *lane, size_t len, nkvi_submit_when when, nkv_error *error)
{
    if (lane->closed) {
        return nkvi_fail(error, NKV_ECLOSED, "%s: the connection is being closed", lane->address);
    }
    if (lane->config.endpoint.nowhere != NULL) {
        return nkvi_fail(error, NKV_ECONN, "%s", lane->config.endpoint.nowhere);
    }
    if (when == NKVI_SUBMIT_ARMED && lane->state != NKVI_LANE_ARMED) {
        return nkvi_fail(error, NKV_ECONN, "%s: not connected with tracking", lane->address);
    }
    int64_t n = atomic_load_explicit(&lane->inflight, memory_order_relaxed);
    int64_t bytes = atomic_load_explicit(&lane->inflight_bytes, memory_order_relaxed);
    if (lane->config.inflight_max > 0 && n >= lane->config.inflight_max) {
        return nkvi_fail(error, NKV_EBUSY, "%s: inflight_max (%lld) commands are under way",
                         lane->address, (long long)lane->config.inflight_max);
    }
    if (lane->config.inflight_bytes_max > 0 && (int64_t)len > lane->config.inflight_bytes_max) {
        return nkvi_fail(error, NKV_EINVAL,
                         "%s: a request of %zu bytes; inflight_bytes_max allows %lld",
                         lane->address, len, (long long)lane->config.inflight_bytes_max);
    }
    if (lane->config.inflight_bytes_max > 0 &&
        (int64_t)len > lane->config.inflight_bytes_max - bytes) {
        return nkvi_fail(error, NKV_EBUSY,
                         "%s: %zu more bytes would exceed inflight_bytes_max (%lld)", lane->address,
                         len, (long long)lane->config.inflight_bytes_max);
    }
    return NKV_OK;
}

/* Queues slot and bytes, or neither.  @locks mu held */
static nkv_status enqueue(nkvi_lane *lane, nkvi_request *request, nkvi_buf *bytes, nkv_error *error)
{
    nkvi_slot slot = {.request = request,
                      .begin = lane->queued_bytes,
                      .bytes = bytes->len,
                      .left = request->replies};
    if (!nkvi_ring_reserve(&lane->fresh) || !queue_bytes(lane, bytes)) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for a request of %zu bytes", slot.bytes);
    }
    request->generation = lane->generation;
    nkvi_ring_push(&lane->fresh, slot);
    lane->queued_bytes += slot.bytes;
    atomic_fetch_add_explicit(&lane->inflight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lane->inflight_bytes, (int64_t)slot.bytes, memory_order_relaxed);
    return NKV_OK;
}

/* Notes the deadline; true if the loop must be woken for it, because its timer would fire too late.
 * @locks mu held */
static bool note_deadline(nkvi_lane *lane, int64_t deadline_ns)
{
    if (deadline_ns < lane->soonest_ns) {
        lane->soonest_ns = deadline_ns;
    }
    if (deadline_ns >= lane->due_ns) {
        return false;
    }
    lane->due_ns = deadline_ns;
    return true;
}

nkv_status nkvi_lane_submit(nkvi_lane *lane, nkvi_request *request, nkvi_buf *bytes,
                            nkvi_submit_when when, nkv_error *error)
{
    assert(request->replies > 0);
    bool kick = false;
    nkv_status status = NKV_OK;
    request->sent = false;
    request->generation = 0;
    if (bytes->failed) {
        status = nkvi_fail(error, NKV_ENOMEM, "out of memory for a request");
    }
    pthread_mutex_lock(&lane->mu);
    if (status == NKV_OK) {
        status = admit(lane, bytes->len, when, error);
    }
    if (status == NKV_OK) {
        int64_t deadline_ns = request->deadline_ns; /* the request may be gone after the write */
        status = enqueue(lane, request, bytes, error);
        if (status == NKV_OK) {
            kick = note_deadline(lane, deadline_ns) || lane->idle;
            if (lane->state != NKVI_LANE_DOWN && !lane->writing && !lane->handed) {
                write_out(lane, ROUNDS_MAX);
                kick = kick || lane->handed;
            }
        }
    }
    if (kick) {
        ev_async_send(lane->ev, &lane->kick); /* under mu: the lane stops its watcher under it */
    }
    pthread_mutex_unlock(&lane->mu);
    nkvi_buf_clear(bytes);
    return status;
}

/* Sends a command of our own, with one reply.  Returns whether it could be queued. */
static bool send_own(nkvi_lane *lane, const char *bytes, size_t len, bool audit)
{
    bool queued = false;
    pthread_mutex_lock(&lane->mu);
    if (lane->state != NKVI_LANE_DOWN && nkvi_ring_reserve(&lane->fresh)) {
        nkvi_buf_append(&lane->pending, bytes, len);
        if (!lane->pending.failed) {
            nkvi_slot slot = {
                .begin = lane->queued_bytes, .bytes = len, .left = 1, .own = true, .audit = audit};
            nkvi_ring_push(&lane->fresh, slot);
            lane->queued_bytes += slot.bytes;
            queued = true;
            if (!lane->writing && !lane->handed) {
                uint64_t before = lane->writes;
                write_out(lane, ROUNDS_MAX);
                lane->writes -= lane->writes > before ? 1 : 0; /* it carried no caller's request */
            }
        }
        lane->pending.failed = false;
    }
    if (lane->handed) {
        ev_async_send(lane->ev, &lane->kick);
    }
    pthread_mutex_unlock(&lane->mu);
    return queued;
}

void nkvi_lane_ping(nkvi_lane *lane)
{
    (void)send_own(lane, ping_bytes, sizeof ping_bytes - 1, false);
}

bool nkvi_lane_audit(nkvi_lane *lane)
{
    return send_own(lane, audit_bytes, sizeof audit_bytes - 1, true);
}
