/* io/bulk_lane.c - one bulk lane: what its thread does.
 *
 *      look at the queue --> connected? --> write what the socket takes --> read what it holds
 *             ^                  | no                                          | nothing moved
 *             |                  `-- connect, or leave the work to others      |
 *             `---------------- wait for the socket, a wake-up or a deadline <-'
 *
 * Invariant    0 <= sending <= len: the operations before `sending` are wholly written, of those
 *              behind it at most the first in part, and alone if the lane is lame */
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
    lane->early.status = NKV_OK;
    lane->head = (lane->head + 1) & (NKVI_BULK_WINDOW - 1);
    lane->len--;
    lane->live -= op != NULL;
    lane->sending -= lane->sending > 0 ? 1 : 0;
    return op;
}

/* Takes a slot out of which nothing was written, or which nothing will follow. */
static void forget(nkvi_bulk_lane *lane, unsigned i)
{
    const nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, i);
    lane->window_used -= slot->bytes;
    lane->live -= slot->op != NULL;
    if (i == 0) {
        lane->early.status = NKV_OK;
    }
    for (unsigned j = i; j + 1 < lane->len; j++) {
        *nkvi_bulk_slot_at(lane, j) = *nkvi_bulk_slot_at(lane, j + 1);
    }
    lane->len--;
}

/* Nothing is written any more; what is not written at all goes back to the queue.  Answers to what
 * is may still come. */
static void make_lame(nkvi_bulk_lane *lane)
{
    nkvi_list again;
    unsigned keep = lane->sending;
    nkvi_list_init(&again);
    lane->lame = true;
    keep += keep < lane->len && nkvi_bulk_slot_at(lane, keep)->op->written > 0;
    while (lane->len > keep) {
        nkvi_list_push(&again, &nkvi_bulk_slot_at(lane, keep)->op->node);
        forget(lane, keep);
    }
    nkvi_bulk_put_back(lane, &again);
}

/* Ends the connection.  Operations of which nothing was written get another try, once; the others
 * may have been executed. */
static void lose(nkvi_bulk_lane *lane, const nkv_error *why)
{
    nkv_error error;
    nkvi_list again;
    nkvi_list_init(&again);
    if (lane->wire.context == NULL) {
        return;
    }
    (void)nkvi_reader_take_back(&lane->reader);
    nkvi_wire_close(&lane->wire);
    nkvi_reader_clear(&lane->reader);
    nkvi_bulk_hope(lane->bulk, -1);
    nkvi_fail(&error, why->status, "%s: %s", lane->bulk->address, why->text);
    error.sys_errno = why->sys_errno;
    while (lane->len > 0) {
        nkv_error early = lane->early; /* the server has said why, and hung up */
        nkvi_bulk_op *op = retire(lane);
        if (op == NULL) {
            continue;
        }
        if (early.status != NKV_OK) {
            nkvi_bulk_end(op, early.status, &early);
        } else if (op->written == 0 && !op->again && why->status != NKV_ECLOSED) {
            op->again = true;
            nkvi_list_push(&again, &op->node);
        } else {
            nkvi_bulk_end(op, error.status, &error);
        }
    }
    lane->sending = 0;
    nkvi_bulk_put_back(lane, &again);
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
 * was given.  When the peer does not listen any more, it may still have said why: reading goes
 * on. */
static void write_some(nkvi_bulk_lane *lane, bool *moved)
{
    struct iovec pieces[PIECES_MAX];
    size_t n;
    while (!lane->lame && (lane->ready & POLLOUT) != 0 && (n = collect(lane, pieces)) > 0) {
        size_t offered = 0;
        for (size_t i = 0; i < n; i++) {
            offered += pieces[i].iov_len;
        }
        ptrdiff_t written = nkvi_wire_writev(&lane->wire, pieces, n);
        if (written < 0) {
            make_lame(lane);
            lane->ready |= POLLIN;
            return;
        }
        *moved = *moved || written > 0;
        lane->paced += (size_t)written;
        note_written(lane, (size_t)written);
        if ((size_t)written < offered) {
            lane->ready = (short)(lane->ready & ~POLLOUT);
        }
    }
}

/* ============ Reading ============ */

/* The guess rises at once and falls slowly: too high a guess only costs a wake-up. */
static void note_size(nkvi_bulk *bulk, size_t len)
{
    size_t guess = atomic_load_explicit(&bulk->guess, memory_order_relaxed);
    guess = len > guess ? len : guess - (guess - len) / 8;
    atomic_store_explicit(&bulk->guess, guess, memory_order_relaxed);
}

/* Where a string goes that is coming in. */
static char *lend(void *ud, size_t len)
{
    nkvi_bulk_lane *lane = ud;
    nkvi_bulk_op *op = lane->len > 0 ? nkvi_bulk_slot_at(lane, 0)->op : NULL;
    if (op == NULL) {
        return NKVI_READER_DROP; /* nobody is left who wants it */
    }
    if (op->room == NULL) {
        return NULL;
    }
    note_size(lane->bulk, len);
    return op->room(op, len);
}

static void take_error(const nkvi_draft *draft, nkv_error *error)
{
    int len =
        draft->root.len < sizeof error->text ? (int)draft->root.len : (int)sizeof error->text - 1;
    nkvi_fail(error, NKV_EREPLY, "%.*s", len, draft->root.str);
}

/* A reply before the oldest operation's last. */
static void note_early(nkvi_bulk_lane *lane, nkvi_draft *draft)
{
    nkvi_bulk_slot_at(lane, 0)->before--;
    if (draft->root.type == NKV_TYPE_ERROR && lane->early.status == NKV_OK) {
        take_error(draft, &lane->early);
    }
    nkvi_draft_clear(draft);
}

static void finish(nkvi_bulk_lane *lane, nkvi_draft *draft)
{
    if (nkvi_bulk_slot_at(lane, 0)->before > 0) {
        note_early(lane, draft);
        return;
    }
    nkv_error error = lane->early;
    nkvi_bulk_op *op = retire(lane);
    if (op != NULL && error.status != NKV_OK) {
        nkv_reply early = {.type = NKV_TYPE_ERROR, .str = error.text, .len = strlen(error.text)};
        op->done(op, NKV_EREPLY, &early, &error);
    } else if (op != NULL && draft->root.type == NKV_TYPE_ERROR) {
        take_error(draft, &error);
        op->done(op, NKV_EREPLY, &draft->root, &error);
    } else if (op != NULL) {
        op->done(op, NKV_OK, &draft->root, NULL);
    }
    nkvi_draft_clear(draft);
}

/* A reply has come that the order of requests does not explain.  It does if the next request is
 * half written and it is an error: that is how a server refuses it; it closes the connection then.
 * Or if that request has several commands. */
static bool refused(nkvi_bulk_lane *lane, nkvi_draft *draft)
{
    nkvi_bulk_op *op = lane->len > 0 ? nkvi_bulk_slot_at(lane, 0)->op : NULL;
    if (op == NULL || op->written == 0) {
        return false;
    }
    if (nkvi_bulk_slot_at(lane, 0)->before > 0) {
        note_early(lane, draft); /* answers to its first commands */
        return true;
    }
    if (draft->root.type != NKV_TYPE_ERROR) {
        return false;
    }
    finish(lane, draft);
    make_lame(lane);
    return true;
}

/* Memory for a reply ran out: ends the operation whose reply it is; the reply can be thrown away
 * when it is asked for again.  false: there is none. */
static bool starve(nkvi_bulk_lane *lane, const nkv_error *error)
{
    nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, 0);
    nkvi_bulk_op *op = lane->sending > 0 ? slot->op : NULL;
    if (op == NULL) {
        return false;
    }
    slot->op = NULL;
    lane->live--;
    nkvi_bulk_end(op, NKV_ENOMEM, error);
    return true;
}

static bool dispatch(nkvi_bulk_lane *lane, nkv_error *error)
{
    nkvi_draft draft;
    nkv_status status;
    do {
        while ((status = nkvi_reader_next(&lane->reader, &draft, error)) == NKV_OK) {
            if (draft.root.type == NKV_TYPE_PUSH) {
                nkvi_draft_clear(&draft);
            } else if (lane->sending > 0) {
                finish(lane, &draft);
            } else if (!refused(lane, &draft)) {
                nkvi_draft_clear(&draft);
                nkvi_fail(error, NKV_EPROTO, "protocol error: a reply that nobody asked for");
                return false;
            }
        }
    } while (status == NKV_ENOMEM && starve(lane, error));
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
        lane->paced += (size_t)n;
        if ((size_t)n < len) {
            lane->ready = (short)(lane->ready & ~POLLIN);
        }
        nkvi_reader_fed(&lane->reader, (size_t)n);
        bool good = dispatch(lane, error);
        if (lane->reader.copied > 0) {
            atomic_fetch_add_explicit(&lane->bulk->copied, lane->reader.copied,
                                      memory_order_relaxed);
            lane->reader.copied = 0;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* ============ Giving up ============ */

/* Ends one operation in flight; what it has on the wire stays there. */
static void give_up(nkvi_bulk_lane *lane, unsigned i, const nkv_error *error)
{
    nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, i);
    nkvi_bulk_op *op = slot->op;
    if (i < lane->sending) {
        if (i == 0) {
            (void)nkvi_reader_take_back(&lane->reader);
        }
        slot->op = NULL; /* its reply is still to come */
        lane->live--;
    } else {
        bool half = op->written > 0;
        forget(lane, i);
        if (half) {
            make_lame(lane);
        }
    }
    nkvi_bulk_end(op, error->status, error);
}

static void cancel_flight(nkvi_bulk_lane *lane)
{
    nkv_error error;
    nkvi_fail(&error, NKV_ECANCELED, "%s: cancelled", lane->bulk->address);
    for (unsigned i = 0; i < lane->len;) {
        const nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, i);
        unsigned before = lane->len;
        if (slot->op != NULL && slot->cancelled) {
            give_up(lane, i, &error);
        }
        i += lane->len == before ? 1 : 0;
    }
}

/* Gives up what is too late; *next_ns: lowered to the earliest deadline that is left. */
static void expire_flight(nkvi_bulk_lane *lane, int64_t now_ns, int64_t *next_ns)
{
    nkv_error error;
    nkvi_fail(&error, NKV_ETIMEDOUT, "%s: no answer within the deadline", lane->bulk->address);
    for (unsigned i = 0; i < lane->len;) {
        const nkvi_bulk_op *op = nkvi_bulk_slot_at(lane, i)->op;
        unsigned before = lane->len;
        if (op != NULL && op->deadline_ns <= now_ns) {
            give_up(lane, i, &error);
        } else if (op != NULL && op->deadline_ns < *next_ns) {
            *next_ns = op->deadline_ns;
        }
        i += lane->len == before ? 1 : 0;
    }
}

/* A connection on which nobody waits for anything: whether it is of use still.  *next_ns: when to
 * ask again. */
static bool useful(nkvi_bulk_lane *lane, bool moved, int64_t now_ns, int64_t *next_ns)
{
    if (lane->live > 0 || moved) {
        lane->heard_ns = now_ns;
    }
    if (lane->live > 0 || (lane->len == 0 && !lane->lame)) {
        return true;
    }
    int64_t until_ns = nkvi_deadline_ns(lane->heard_ns, lane->bulk->config.connect_timeout_ms);
    *next_ns = until_ns < *next_ns ? until_ns : *next_ns;
    return lane->len > 0 && now_ns < until_ns;
}

/* ============ The thread ============ */

static bool try_to_connect(nkvi_bulk_lane *lane, int64_t now_ns)
{
    nkvi_bulk *bulk = lane->bulk;
    int64_t until_ns = nkvi_deadline_ns(now_ns, bulk->config.connect_timeout_ms);
    nkvi_bulk_hope(bulk, 1);
    if (!nkvi_bulk_connect(lane, until_ns, &lane->why)) {
        nkvi_bulk_hope(bulk, -1);
        lane->retry_ns = nkvi_deadline_ns(nkvi_now_ns(), nkvi_backoff_next_ms(&lane->backoff));
        return false;
    }
    nkvi_backoff_reset(&lane->backoff);
    atomic_fetch_add(&bulk->connections, 1);
    nkvi_reader_lend(&lane->reader, lend, lane);
    lane->reader.copied = 0; /* the greeting is no payload */
    lane->ready = POLLIN | POLLOUT;
    lane->lame = false;
    return true;
}

/* Connects, now or when the next attempt is due; meanwhile the work is left to whoever can do
 * it. */
static void reach(nkvi_bulk_lane *lane, int64_t wake_ns)
{
    int64_t now_ns = nkvi_now_ns();
    bool due = now_ns >= lane->retry_ns;
    if (due && try_to_connect(lane, now_ns)) {
        return;
    }
    if (!nkvi_bulk_hand_over(lane) && due) {
        nkvi_bulk_fail_all(lane->bulk, &lane->why);
    } else {
        (void)nkvi_bulk_wait(lane, 0, wake_ns < lane->retry_ns ? wake_ns : lane->retry_ns);
    }
}

/* Writes, reads, keeps the deadlines; then waits, if the socket would block. */
static void serve(nkvi_bulk_lane *lane, int64_t wake_ns)
{
    nkv_error error;
    bool moved = false;
    int64_t now_ns = nkvi_now_ns();
    write_some(lane, &moved);
    if (!read_some(lane, &moved, &error)) {
        lose(lane, &error);
        return;
    }
    expire_flight(lane, now_ns, &wake_ns);
    if (!useful(lane, moved, now_ns, &wake_ns)) {
        nkvi_fail(&error, NKV_ECONN, "the connection is of no use any more");
        lose(lane, &error);
        return;
    }
    /* Only a lane that has just looked at the queue in vain may sleep: nobody wakes the others. */
    short wanted = lane->sending < lane->len && !lane->lame ? POLLIN | POLLOUT : POLLIN;
    if (!moved && (lane->ready & wanted) == 0) {
        lane->ready = (short)(lane->ready | nkvi_bulk_wait(lane, wanted, wake_ns));
        lane->ready = (lane->ready & (POLLERR | POLLHUP)) != 0 ? POLLIN | POLLOUT : lane->ready;
    }
}

void *nkvi_bulk_lane_main(void *arg)
{
    nkvi_bulk_lane *lane = arg;
    nkv_error error;
    for (;;) {
        nkvi_bulk_view view;
        nkvi_bulk_look(lane, &view);
        nkvi_bulk_end_late(lane->bulk, &view);
        if (view.closing) {
            break;
        }
        if (view.cancels) {
            cancel_flight(lane);
        }
        if (view.hangs_up) {
            nkvi_fail(&error, NKV_ECONN, "the server is not asked any more");
            lose(lane, &error);
            nkvi_bulk_fail_all(lane->bulk, &error);
            continue;
        }
        if (lane->wire.context != NULL) {
            serve(lane, view.wake_ns);
        } else if (view.waiting) {
            reach(lane, view.wake_ns);
        } else {
            (void)nkvi_bulk_wait(lane, 0, view.wake_ns);
        }
    }
    nkvi_fail(&error, NKV_ECLOSED, "the connections are being closed");
    lose(lane, &error);
    return NULL;
}
