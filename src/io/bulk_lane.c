/* io/bulk_lane.c - one bulk lane: what its thread does.
 *
 *      take operations --> connected? --> write what the socket takes --> read what it holds
 *             ^                                                              | nothing moved
 *             `---------------- wait for the socket, a wake-up or a deadline <
 *
 * Invariant    0 <= sending <= len: the operations before `sending` are wholly written, of those
 *              behind it at most the first in part */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/bulk_impl.h"

#define PIECES_MAX 64u /* of one sendmsg() */
#define READS_MAX  16u /* before it is written again */

/* ============ Ending ============ */

/* Takes the oldest operation off the window. */
static nkvi_bulk_op *retire(nkvi_bulk_lane *lane)
{
    nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, 0);
    nkvi_bulk_op *op = slot->op;
    lane->window_used -= slot->bytes;
    lane->head = (lane->head + 1) & (NKVI_BULK_WINDOW - 1);
    lane->len--;
    lane->sending -= lane->sending > 0 ? 1 : 0;
    return op;
}

/* Ends the connection.  Operations of which nothing was written get another try, once; the others
 * may have been executed. */
static void lose(nkvi_bulk_lane *lane, const nkv_error *why)
{
    nkv_error error;
    nkvi_list again;
    nkvi_list_init(&again);
    (void)nkvi_reader_take_back(&lane->reader);
    nkvi_wire_close(&lane->wire);
    nkvi_reader_clear(&lane->reader);
    nkvi_fail(&error, why->status, "%s: %s", lane->bulk->address, why->text);
    error.sys_errno = why->sys_errno;
    while (lane->len > 0) {
        nkvi_bulk_op *op = retire(lane);
        if (op == NULL) {
            continue;
        }
        if (op->written == 0 && !op->again && why->status != NKV_ECLOSED) {
            op->again = true;
            nkvi_list_push(&again, &op->node);
        } else {
            nkvi_bulk_end(op, error.status, &error);
        }
    }
    lane->sending = 0;
    nkvi_bulk_put_back(lane->bulk, &again);
}

/* Ends all with the failure to connect. */
static void fail_flight(nkvi_bulk_lane *lane, const nkv_error *error)
{
    while (lane->len > 0) {
        nkvi_bulk_op *op = retire(lane);
        if (op != NULL) {
            nkvi_bulk_end(op, error->status, error);
        }
    }
    lane->sending = 0;
}

/* ============ Writing ============ */

/* The parts of an operation that are not yet written. */
static size_t add_pieces(const nkvi_bulk_op *op, struct iovec *pieces, size_t n)
{
    size_t skip = op->written;
    for (unsigned i = 0; i < NKVI_BULK_PARTS && n < PIECES_MAX; i++) {
        nkv_str part = op->parts[i];
        if (skip >= part.len) {
            skip -= part.len;
            continue;
        }
        pieces[n].iov_base = (void *)(uintptr_t)(part.data + skip);
        pieces[n++].iov_len = part.len - skip;
        skip = 0;
    }
    return n;
}

static size_t collect(nkvi_bulk_lane *lane, struct iovec *pieces)
{
    size_t n = 0;
    for (unsigned i = lane->sending; i < lane->len && n < PIECES_MAX; i++) {
        n = add_pieces(nkvi_bulk_slot_at(lane, i)->op, pieces, n);
    }
    return n;
}

static void note_written(nkvi_bulk_lane *lane, size_t bytes)
{
    while (lane->sending < lane->len) {
        nkvi_bulk_op *op = nkvi_bulk_slot_at(lane, lane->sending)->op;
        size_t left = nkvi_bulk_op_bytes(op) - op->written;
        size_t now = bytes < left ? bytes : left;
        op->written += now;
        bytes -= now;
        if (now < left) {
            return;
        }
        lane->sending++;
    }
}

/* Writes until nothing is left or the socket is full, which it also says by taking less than it
 * was given.  false: the connection is lost. */
static bool write_some(nkvi_bulk_lane *lane, bool *moved, nkv_error *error)
{
    struct iovec pieces[PIECES_MAX];
    size_t n;
    while ((lane->ready & POLLOUT) != 0 && (n = collect(lane, pieces)) > 0) {
        size_t offered = 0;
        for (size_t i = 0; i < n; i++) {
            offered += pieces[i].iov_len;
        }
        ptrdiff_t written = nkvi_wire_writev(&lane->wire, pieces, n);
        if (written < 0) {
            nkvi_fail_errno(error, NKV_ECONN, errno, "connection lost");
            return false;
        }
        *moved = *moved || written > 0;
        note_written(lane, (size_t)written);
        if ((size_t)written < offered) {
            lane->ready = (short)(lane->ready & ~POLLOUT);
        }
    }
    return true;
}

/* ============ Reading ============ */

/* Where a string goes that is coming in. */
static char *lend(void *ud, size_t len)
{
    nkvi_bulk_lane *lane = ud;
    nkvi_bulk_op *op = lane->len > 0 ? nkvi_bulk_slot_at(lane, 0)->op : NULL;
    return op != NULL && op->room != NULL ? op->room(op, len) : NULL;
}

static void finish(nkvi_bulk_lane *lane, nkvi_draft *draft)
{
    nkvi_bulk_op *op = retire(lane);
    if (op != NULL && draft->root.type == NKV_TYPE_ERROR) {
        nkv_error error;
        int len =
            draft->root.len < sizeof error.text ? (int)draft->root.len : (int)sizeof error.text - 1;
        nkvi_fail(&error, NKV_EREPLY, "%.*s", len, draft->root.str);
        op->done(op, NKV_EREPLY, &draft->root, &error);
    } else if (op != NULL) {
        op->done(op, NKV_OK, &draft->root, NULL);
    }
    nkvi_draft_clear(draft);
}

static bool dispatch(nkvi_bulk_lane *lane, nkv_error *error)
{
    nkvi_draft draft;
    nkv_status status;
    while ((status = nkvi_reader_next(&lane->reader, &draft, error)) == NKV_OK) {
        if (draft.root.type == NKV_TYPE_PUSH) {
            nkvi_draft_clear(&draft);
            continue;
        }
        if (lane->len == 0 || lane->sending == 0) {
            nkvi_draft_clear(&draft);
            nkvi_fail(error, NKV_EPROTO, "protocol error: a reply that nobody asked for");
            return false;
        }
        finish(lane, &draft);
    }
    return status == NKV_MISS;
}

/* Reads until the socket is empty, for a while.  false: the connection is lost. */
static bool read_some(nkvi_bulk_lane *lane, bool *moved, nkv_error *error)
{
    for (unsigned i = 0; i < READS_MAX && (lane->ready & POLLIN) != 0; i++) {
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
        *moved = *moved || n > 0;
        if ((size_t)n < len) {
            lane->ready = (short)(lane->ready & ~POLLIN);
        }
        if (lane->reader.home != NKVI_HOME_LENT) {
            atomic_fetch_add_explicit(&lane->bulk->copied, (uint64_t)n, memory_order_relaxed);
        }
        nkvi_reader_fed(&lane->reader, (size_t)n);
        if (!dispatch(lane, error)) {
            return false;
        }
    }
    return true;
}

/* ============ Deadlines ============ */

/* Gives up one operation in flight.  false: it is half written, which only the end of the
 * connection can undo. */
static bool give_up(nkvi_bulk_lane *lane, unsigned i)
{
    nkv_error error;
    nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, i);
    nkvi_bulk_op *op = slot->op;
    bool whole = i < lane->sending;
    if (!whole && op->written > 0) {
        return false;
    }
    nkvi_fail(&error, NKV_ETIMEDOUT, "%s: no answer within the deadline", lane->bulk->address);
    if (whole) {
        if (i == 0) {
            (void)nkvi_reader_take_back(&lane->reader);
        }
        slot->op = NULL; /* its reply is still to come */
    } else {
        lane->window_used -= slot->bytes;
        for (unsigned j = i; j + 1 < lane->len; j++) {
            *nkvi_bulk_slot_at(lane, j) = *nkvi_bulk_slot_at(lane, j + 1);
        }
        lane->len--;
    }
    nkvi_bulk_end(op, NKV_ETIMEDOUT, &error);
    return true;
}

/* Gives up what is too late; *next_ns: the earliest deadline that is left.  false: the connection
 * has to end. */
static bool expire_flight(nkvi_bulk_lane *lane, int64_t now_ns, int64_t *next_ns)
{
    unsigned i = 0;
    while (i < lane->len) {
        nkvi_bulk_op *op = nkvi_bulk_slot_at(lane, i)->op;
        unsigned before = lane->len;
        if (op != NULL && op->deadline_ns <= now_ns && !give_up(lane, i)) {
            return false;
        }
        if (lane->len == before) {
            op = nkvi_bulk_slot_at(lane, i)->op;
            *next_ns = op != NULL && op->deadline_ns < *next_ns ? op->deadline_ns : *next_ns;
            i++;
        }
    }
    return true;
}

/* ============ The thread ============ */

static bool connected(nkvi_bulk_lane *lane)
{
    if (lane->wire.context != NULL) {
        return true;
    }
    int64_t now_ns = nkvi_now_ns();
    nkv_error error;
    if (now_ns >= lane->retry_ns) {
        int64_t until_ns = nkvi_deadline_ns(now_ns, lane->bulk->config.connect_timeout_ms);
        if (nkvi_bulk_connect(lane, until_ns, &error)) {
            nkvi_backoff_reset(&lane->backoff);
            atomic_fetch_add(&lane->bulk->connections, 1);
            nkvi_reader_lend(&lane->reader, lend, lane);
            lane->ready = POLLIN | POLLOUT;
            return true;
        }
        lane->why = error;
        lane->retry_ns = nkvi_deadline_ns(nkvi_now_ns(), nkvi_backoff_next_ms(&lane->backoff));
    }
    fail_flight(lane, &lane->why);
    return false;
}

/* Writes, reads, keeps the deadlines; then waits, if the socket would block. */
static void serve(nkvi_bulk_lane *lane, int64_t wake_ns)
{
    nkv_error error;
    bool moved = false;
    int64_t now_ns = nkvi_now_ns();
    if (!write_some(lane, &moved, &error) || !read_some(lane, &moved, &error)) {
        lose(lane, &error);
        return;
    }
    if (!expire_flight(lane, now_ns, &wake_ns)) {
        nkvi_fail(&error, NKV_ETIMEDOUT, "no answer within the deadline");
        lose(lane, &error);
        return;
    }
    /* Only a lane that has just looked at the queue in vain may sleep: nobody wakes the others. */
    short wanted = lane->sending < lane->len ? POLLIN | POLLOUT : POLLIN;
    if (!moved && (lane->ready & wanted) == 0) {
        lane->ready = (short)(lane->ready | nkvi_bulk_wait(lane, wanted, wake_ns));
        lane->ready = (lane->ready & (POLLERR | POLLHUP)) != 0 ? POLLIN | POLLOUT : lane->ready;
    }
}

void *nkvi_bulk_lane_main(void *arg)
{
    nkvi_bulk_lane *lane = arg;
    nkv_error error;
    int64_t wake_ns;
    for (;;) {
        nkvi_list expired;
        nkvi_list_init(&expired);
        bool open = nkvi_bulk_take(lane, &expired, &wake_ns);
        nkvi_fail(&error, NKV_ETIMEDOUT, "%s: no answer within the deadline", lane->bulk->address);
        nkvi_bulk_end_all(&expired, &error);
        if (!open) {
            break;
        }
        if (lane->len == 0 && lane->wire.context == NULL) {
            (void)nkvi_bulk_wait(lane, 0, wake_ns);
        } else if (connected(lane)) {
            serve(lane, wake_ns);
        }
    }
    nkvi_fail(&error, NKV_ECLOSED, "the connections are being closed");
    lose(lane, &error);
    return NULL;
}
