/* io/bulk_queue.c - the queue of a pool: whose turn it is, who is woken, what is too late. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/bulk_impl.h"

#define BARREN_MS 1000 /* after an attempt to start a thread that failed */

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

static void fail_late(nkvi_bulk *bulk, nkv_error *error)
{
    nkvi_fail(error, NKV_ETIMEDOUT, "%s: no answer within the deadline", bulk->address);
}

static void fail_cancelled(nkvi_bulk *bulk, nkv_error *error)
{
    nkvi_fail(error, NKV_ECANCELED, "%s: cancelled", bulk->address);
}

void nkvi_bulk_end_late(nkvi_bulk *bulk, nkvi_bulk_view *view)
{
    nkv_error error;
    if (!nkvi_list_empty(&view->late)) {
        fail_late(bulk, &error);
        nkvi_bulk_end_all(&view->late, &error);
    }
}

/* ============ On and off ============ */

static size_t bytes_of(const nkvi_bulk *bulk, const nkvi_bulk_op *op)
{
    size_t reply = op->expect;
    if (reply == 0 && op->room != NULL && op->parts[1].len == 0) {
        reply = atomic_load_explicit(&bulk->guess, memory_order_relaxed);
    }
    return nkvi_bulk_op_bytes(op) + reply;
}

/* @locks mu held */
static void enqueue(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    nkvi_list_push(&bulk->queues[op->priority], &op->node);
    op->queued = true;
    op->bytes = bytes_of(bulk, op);
    bulk->queued++;
    bulk->queued_bytes += op->bytes;
    if (op->deadline_ns < bulk->queue_ns) {
        bulk->queue_ns = op->deadline_ns;
    }
}

/* @locks mu held */
static void unqueue(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    nkvi_list_remove(&op->node);
    op->queued = false;
    bulk->queued--;
    bulk->queued_bytes -= op->bytes;
}

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

/* Takes the one whose turn it is.  @locks mu held */
static void take_turn(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    bool overtakes = false;
    unqueue(bulk, op);
    for (unsigned i = op->priority + 1u; i < NKVI_PRIORITIES; i++) {
        overtakes = overtakes || !nkvi_list_empty(&bulk->queues[i]);
    }
    bulk->streak = overtakes ? bulk->streak + 1 : 0;
}

/* Takes out what is too late, if anything may be.  @locks mu held */
static void expire_queue(nkvi_bulk *bulk, int64_t now_ns, nkvi_list *late)
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
                unqueue(bulk, op);
                nkvi_list_push(late, node);
            } else if (op->deadline_ns < bulk->queue_ns) {
                bulk->queue_ns = op->deadline_ns;
            }
        }
    }
}

/* ============ Waking ============ */

static void nudge(nkvi_bulk_lane *lane)
{
    const uint64_t one = 1;
    (void)!write(lane->wake, &one, sizeof one); /* can only fail if it is set already */
}

/* @locks mu held */
static size_t count(const nkvi_bulk *bulk, nkvi_bulk_state state)
{
    size_t n = 0;
    for (unsigned i = 0; i < bulk->started; i++) {
        n += bulk->lanes[i].state == state;
    }
    return n;
}

typedef bool (*choose_fn)(const nkvi_bulk_lane *lane);

static bool is_ready(const nkvi_bulk_lane *lane)
{
    return lane->state == NKVI_BULK_IDLE && lane->linked;
}

static bool is_idle(const nkvi_bulk_lane *lane)
{
    return lane->state == NKVI_BULK_IDLE;
}

static bool has_little(const nkvi_bulk_lane *lane)
{
    return lane->state == NKVI_BULK_HUNGRY && !lane->stuck && lane->load <= NKVI_BULK_WORTH / 4;
}

static bool is_hungry(const nkvi_bulk_lane *lane)
{
    return lane->state == NKVI_BULK_HUNGRY;
}

/* Wakes up to `n` lanes of a kind; returns how many.  @locks mu held */
static size_t wake_some(nkvi_bulk *bulk, choose_fn choose, size_t n)
{
    size_t woken = 0;
    for (unsigned i = 0; i < bulk->started && woken < n; i++) {
        nkvi_bulk_lane *lane = &bulk->lanes[i];
        if (choose(lane)) {
            lane->state = NKVI_BULK_BUSY;
            nudge(lane);
            woken++;
        }
    }
    return woken;
}

/* Starts up to `n` lanes that have no thread yet; where that fails those that have one must do.
 * Returns how many.  @locks mu held */
static size_t start_some(nkvi_bulk *bulk, size_t n)
{
    size_t started = 0;
    while (started < n && bulk->started < bulk->config.lanes && !bulk->closing) {
        if (bulk->barren_ns != 0 && nkvi_now_ns() < bulk->barren_ns) {
            break;
        }
        if (nkvi_bulk_start_lane(bulk, NULL) != NKV_OK) {
            bulk->barren_ns = nkvi_deadline_ns(nkvi_now_ns(), BARREN_MS);
            break;
        }
        bulk->barren_ns = 0;
        started++;
    }
    return started;
}

/* How many more lanes may go to work.  @locks mu held */
static size_t room_for_lanes(const nkvi_bulk *bulk)
{
    size_t at_work = 0;
    for (unsigned i = 0; i < bulk->started; i++) {
        nkvi_bulk_state state = bulk->lanes[i].state;
        bool works =
            state == NKVI_BULK_BUSY || state == NKVI_BULK_HUNGRY || state == NKVI_BULK_FULL;
        at_work += works && !bulk->lanes[i].stuck;
    }
    return bulk->config.at_once > at_work ? bulk->config.at_once - at_work : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* Makes lanes connect that are not, but for those that do so already; returns how many begin to.
 * @locks mu held */
static size_t reach_out(nkvi_bulk *bulk, size_t missing)
{
    size_t reaching = count(bulk, NKVI_BULK_REACHING);
    missing = least(less(missing, reaching), less(room_for_lanes(bulk), reaching));
    size_t n = wake_some(bulk, is_idle, missing);
    return n + start_some(bulk, missing - n);
}

/* Makes as many lanes look at the queue as what is in it is worth.  Those with little to do come
 * before new ones, and those before the others.  hungry: also lanes that have something in flight;
 * they may find that they have no room, so one of them must not wake another.  @locks mu held */
static void wake(nkvi_bulk *bulk, bool hungry)
{
    if (bulk->queued == 0) {
        return;
    }
    size_t want = least(1 + bulk->queued_bytes / NKVI_BULK_WORTH, bulk->queued);
    size_t have = count(bulk, NKVI_BULK_BUSY);
    have += wake_some(bulk, is_ready, least(less(want, have), room_for_lanes(bulk)));
    if (hungry) {
        have += wake_some(bulk, has_little, less(want, have));
    }
    have += reach_out(bulk, less(want, have));
    if (hungry) {
        (void)wake_some(bulk, is_hungry, less(want, have));
    }
}

/* Somebody has to know of an earlier deadline: who is about to look, else a sleeper.
 * @locks mu held */
static void wake_keeper(nkvi_bulk *bulk)
{
    if (count(bulk, NKVI_BULK_BUSY) > 0) {
        return;
    }
    for (unsigned i = 0; i < bulk->started; i++) {
        nudge(&bulk->lanes[i]);
        if (bulk->lanes[i].state != NKVI_BULK_REACHING) {
            return; /* others may be waiting for a name server */
        }
    }
}

/* ============ From outside ============ */

/* @locks mu held */
static nkv_status may_submit(nkvi_bulk *bulk, nkv_error *error)
{
    if (bulk->closing) {
        return nkvi_fail(error, NKV_ECLOSED, "%s: the connections are being closed", bulk->address);
    }
    if (bulk->config.endpoint.nowhere != NULL) {
        return nkvi_fail(error, NKV_ECONN, "%s", bulk->config.endpoint.nowhere);
    }
    return bulk->started > 0 ? NKV_OK : nkvi_bulk_start_lane(bulk, error);
}

/* What was cancelled before it came is left out: *left.  @locks mu held */
static void enqueue_all(nkvi_bulk *bulk, nkvi_bulk_op *const *ops, size_t n, nkvi_list *left)
{
    for (size_t i = 0; i < n; i++) {
        atomic_store(&ops[i]->home, bulk);
        ops[i]->written = 0;
        ops[i]->lane = NULL;
        ops[i]->again = false;
        if (ops[i]->cancelled) {
            nkvi_list_push(left, &ops[i]->node);
        } else {
            enqueue(bulk, ops[i]);
        }
    }
}

void nkvi_bulk_submit(nkvi_bulk *bulk, nkvi_bulk_op *const *ops, size_t n)
{
    nkv_error error;
    nkvi_list cancelled;
    nkvi_list_init(&cancelled);
    if (n == 0) {
        return;
    }
    pthread_mutex_lock(&bulk->mu);
    nkv_status status = may_submit(bulk, &error);
    int64_t before_ns = bulk->queue_ns;
    if (status == NKV_OK) {
        enqueue_all(bulk, ops, n, &cancelled);
        wake(bulk, true);
        if (bulk->queue_ns < before_ns) {
            wake_keeper(bulk);
        }
    }
    pthread_mutex_unlock(&bulk->mu);
    for (size_t i = 0; i < n && status != NKV_OK; i++) {
        nkvi_bulk_end(ops[i], status, &error);
    }
    if (!nkvi_list_empty(&cancelled)) {
        fail_cancelled(bulk, &error);
        nkvi_bulk_end_all(&cancelled, &error);
    }
}

void nkvi_bulk_cancel(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    nkv_error error;
    pthread_mutex_lock(&bulk->mu);
    const nkvi_bulk *home = atomic_load(&op->home);
    bool ours = home == bulk; /* else its other fields are another pool's */
    bool queued = ours && op->queued;
    if (ours || home == NULL) {
        atomic_store(&op->cancelled, true);
    }
    if (queued) {
        unqueue(bulk, op);
    } else if (ours &&
               op->lane != NULL) { /* which may have ended it already: then it finds nothing */
        op->lane->cancels = true;
        nudge(op->lane);
    }
    pthread_mutex_unlock(&bulk->mu);
    if (queued) {
        fail_cancelled(bulk, &error);
        nkvi_bulk_end(op, NKV_ECANCELED, &error);
    }
}

void nkvi_bulk_let_go(nkvi_bulk *bulk, nkvi_bulk_op *op)
{
    pthread_mutex_lock(&bulk->mu);
    atomic_store(&op->home, NULL);
    pthread_mutex_unlock(&bulk->mu);
}

/* ============ From the lanes ============ */

static bool fits(const nkvi_bulk_lane *lane, size_t bytes)
{
    size_t max = lane->bulk->config.window_bytes;
    /* The next one is under way while the one before it ends, however large they are. */
    return lane->len < 2 || (lane->len < NKVI_BULK_WINDOW && lane->window_used <= max &&
                             bytes <= max - lane->window_used);
}

/* An even share of the queue for each lane that is about to look at it.  @locks mu held */
static uint64_t share_of(const nkvi_bulk *bulk)
{
    size_t awake = count(bulk, NKVI_BULK_BUSY);
    return bulk->queued / (awake > 0 ? awake : 1) + 1;
}

/* Moves operations to the window while there is room.  @locks mu held */
static void take(nkvi_bulk_lane *lane)
{
    nkvi_bulk *bulk = lane->bulk;
    nkvi_bulk_op *op;
    lane->state = NKVI_BULK_BUSY;
    uint64_t share = share_of(bulk);
    while (share > 0 && (op = next_op(bulk)) != NULL) {
        if (!fits(lane, op->bytes)) {
            break;
        }
        take_turn(bulk, op);
        op->lane = lane;
        lane->len++;
        lane->live++;
        *nkvi_bulk_slot_at(lane, lane->len - 1) =
            (nkvi_bulk_slot){.op = op, .bytes = op->bytes, .before = op->before};
        lane->window_used += op->bytes;
        share--;
    }
    bool room = lane->len < 2 ||
                (lane->len < NKVI_BULK_WINDOW && lane->window_used < bulk->config.window_bytes);
    bool more = bulk->queued > 0 && room && share == 0;
    lane->state = more             ? NKVI_BULK_BUSY
                  : lane->len == 0 ? NKVI_BULK_IDLE
                  : room           ? NKVI_BULK_HUNGRY
                                   : NKVI_BULK_FULL;
    lane->load = lane->window_used;
    if (!more && lane->len > 0) {
        wake(bulk, false);
    }
}

/* @locks mu held */
static void note_cancels(nkvi_bulk_lane *lane)
{
    lane->cancels = false;
    for (unsigned i = 0; i < lane->len; i++) {
        nkvi_bulk_slot *slot = nkvi_bulk_slot_at(lane, i);
        slot->cancelled = slot->op != NULL && slot->op->cancelled;
    }
}

/* Whether the lane is stuck, and when it will be.  @locks mu held */
static int64_t note_stuck(nkvi_bulk_lane *lane, int64_t now_ns)
{
    bool flying = lane->wire.context != NULL && lane->len > 0;
    int64_t until_ns = nkvi_deadline_ns(lane->pace_ns, lane->bulk->config.stuck_ms);
    if (!flying || now_ns >= until_ns) {
        lane->stuck = flying && lane->paced < NKVI_BULK_BRISK;
        lane->pace_ns = now_ns;
        lane->paced = 0;
        until_ns = nkvi_deadline_ns(now_ns, lane->bulk->config.stuck_ms);
    }
    bool matters = flying && !lane->stuck && lane->bulk->config.at_once < lane->bulk->config.lanes;
    return matters ? until_ns : NKVI_NEVER;
}

/* @locks mu held */
static void see(nkvi_bulk_lane *lane, int64_t now_ns, nkvi_bulk_view *view)
{
    nkvi_list_init(&view->late);
    expire_queue(lane->bulk, now_ns, &view->late);
    view->closing = lane->bulk->closing;
    view->cancels = lane->cancels;
    view->waiting = false;
}

void nkvi_bulk_look(nkvi_bulk_lane *lane, nkvi_bulk_view *view)
{
    nkvi_bulk *bulk = lane->bulk;
    int64_t now_ns = nkvi_now_ns();
    pthread_mutex_lock(&bulk->mu);
    see(lane, now_ns, view);
    lane->linked = lane->wire.context != NULL;
    int64_t stuck_ns = note_stuck(lane, now_ns);
    view->hangs_up = lane->hangs_up;
    lane->hangs_up = false;
    if (view->cancels) {
        note_cancels(lane);
    }
    if (lane->wire.context == NULL) {
        view->waiting = bulk->queued > 0;
        lane->state = view->waiting ? NKVI_BULK_REACHING : NKVI_BULK_IDLE;
        lane->load = 0;
        if (view->waiting) {
            wake(bulk, false); /* others may be connected */
        }
    } else if (lane->lame || view->closing || view->hangs_up) {
        lane->state = NKVI_BULK_ENDING;
        wake(bulk, false);
    } else {
        take(lane);
    }
    view->wake_ns = bulk->queue_ns < stuck_ns ? bulk->queue_ns : stuck_ns;
    pthread_mutex_unlock(&bulk->mu);
}

void nkvi_bulk_glance(nkvi_bulk_lane *lane, nkvi_bulk_view *view)
{
    pthread_mutex_lock(&lane->bulk->mu);
    see(lane, nkvi_now_ns(), view);
    view->hangs_up = lane->hangs_up; /* stays so: who looks next acts on it */
    view->wake_ns = lane->bulk->queue_ns;
    pthread_mutex_unlock(&lane->bulk->mu);
}

void nkvi_bulk_put_back(nkvi_bulk_lane *lane, nkvi_list *ops)
{
    nkvi_bulk *bulk = lane->bulk;
    nkv_error error;
    nkvi_list cancelled;
    nkvi_list_init(&cancelled);
    pthread_mutex_lock(&bulk->mu);
    lane->state = NKVI_BULK_ENDING; /* until it looks again */
    while (!nkvi_list_empty(ops)) {
        nkvi_node *last = ops->head.prev; /* the last one first: each goes to the front */
        nkvi_bulk_op *op = NKVI_CONTAINER(last, nkvi_bulk_op, node);
        nkvi_list rest;
        nkvi_list_remove(last);
        if (op->cancelled) {
            nkvi_list_push(&cancelled, last);
            continue;
        }
        nkvi_list_init(&rest);
        nkvi_list_splice(&rest, &bulk->queues[op->priority]);
        op->lane = NULL;
        enqueue(bulk, op);
        nkvi_list_splice(&bulk->queues[op->priority], &rest);
    }
    wake(bulk, true);
    pthread_mutex_unlock(&bulk->mu);
    if (!nkvi_list_empty(&cancelled)) {
        fail_cancelled(bulk, &error);
        nkvi_bulk_end_all(&cancelled, &error);
    }
}

/* ============ Hope ============ */

void nkvi_bulk_hope(nkvi_bulk *bulk, int change)
{
    pthread_mutex_lock(&bulk->mu);
    bulk->hope = (unsigned)((int)bulk->hope + change);
    pthread_mutex_unlock(&bulk->mu);
}

bool nkvi_bulk_hand_over(nkvi_bulk_lane *lane)
{
    nkvi_bulk *bulk = lane->bulk;
    pthread_mutex_lock(&bulk->mu);
    bool others = bulk->hope > 0;
    if (others) {
        lane->state = NKVI_BULK_RESTING;
        wake(bulk, true); /* it may be this lane alone that was told of the work */
    }
    pthread_mutex_unlock(&bulk->mu);
    return others;
}

void nkvi_bulk_fail_all(nkvi_bulk *bulk, const nkv_error *error)
{
    nkvi_list all;
    nkvi_list_init(&all);
    pthread_mutex_lock(&bulk->mu);
    for (unsigned i = 0; i < NKVI_PRIORITIES; i++) {
        for (nkvi_node *node; (node = nkvi_list_first(&bulk->queues[i])) != NULL;) {
            unqueue(bulk, NKVI_CONTAINER(node, nkvi_bulk_op, node));
            nkvi_list_push(&all, node);
        }
    }
    pthread_mutex_unlock(&bulk->mu);
    nkvi_bulk_end_all(&all, error);
}
