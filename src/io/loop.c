/* io/loop.c - see loop.h.
 *
 * The mailbox is a stack that posters push onto with one compare-and-swap; the loop takes the
 * whole of it with one exchange and turns it round, so tasks run in the order of their posting:
 *
 *      post(c) -> [ c | b | a ] --exchange(NULL)--> a, b, c
 *
 * Only the poster that finds it empty wakes the loop.
 *
 * Time: a check watcher of the highest priority runs right behind the poll and reads the clock,
 * so that everything which a wake-up does sees one and the same «now».
 *
 * On a user's loop our watchers count like any other: ev_run() goes on until the client is
 * destroyed, or until somebody calls ev_break(). */
#include "io/loop.h"

#include <assert.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/loop_impl.h"

struct nkvi_loop {
    struct ev_loop *ev;
    bool own;                 /* the loop and its thread are ours */
    bool stopping;            /* loop thread only */
    pthread_t thread;         /* own: to be joined */
    _Atomic uintptr_t runner; /* the loop's thread; a user's loop: who last ran a watcher of ours */
    int64_t now_ns;
    ev_async wake;
    ev_check tick;
    _Atomic(nkvi_task *) inbox; /* newest first */
    nkvi_reader_spare spare;
};

struct nkvi_ticker {
    ev_timer timer;
    nkvi_loop *loop;
    void (*fn)(void *ud);
    void *ud;
};

/* ============ Time and threads ============ */

struct ev_loop *nkvi_loop_ev(const nkvi_loop *loop)
{
    return loop->ev;
}

nkvi_reader_spare *nkvi_loop_spare(nkvi_loop *loop)
{
    return &loop->spare;
}

void nkvi_loop_enter(nkvi_loop *loop)
{
    loop->now_ns = nkvi_now_ns();
    if (!loop->own) {
        atomic_store_explicit(&loop->runner, (uintptr_t)pthread_self(), memory_order_relaxed);
    }
}

int64_t nkvi_loop_now_ns(const nkvi_loop *loop)
{
    return loop->now_ns;
}

bool nkvi_loop_is_current(const nkvi_loop *loop)
{
    return atomic_load_explicit(&loop->runner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

static void on_check(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void)ev;
    (void)events;
    nkvi_loop_enter(watcher->data);
}

/* ============ Mailbox ============ */

void nkvi_loop_post(nkvi_loop *loop, nkvi_task *task)
{
    nkvi_task *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, task, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (head == NULL) {
        ev_async_send(loop->ev, &loop->wake);
    }
}

/* Runs what has been posted so far; false if there was nothing. */
static bool run_posted(nkvi_loop *loop)
{
    nkvi_task *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acq_rel);
    nkvi_task *oldest = NULL;
    bool some = newest != NULL;

    while (newest != NULL) {
        nkvi_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        nkvi_task *next = oldest->next; /* run() may free the task */
        oldest->run(oldest);
        oldest = next;
    }
    return some;
}

static void on_wake(struct ev_loop *ev, ev_async *watcher, int events)
{
    nkvi_loop *loop = watcher->data;
    (void)events;
    (void)run_posted(loop);
    if (loop->stopping) {
        ev_break(ev, EVBREAK_ALL);
    }
}

typedef struct call_task {
    nkvi_task task;
    void (*fn)(void *ud);
    void *ud;
    pthread_mutex_t mu;
    pthread_cond_t done_cond;
    bool done;
} call_task;

static void run_call(nkvi_task *task)
{
    call_task *call = NKVI_TASK_OF(task, call_task, task);
    call->fn(call->ud);
    pthread_mutex_lock(&call->mu);
    call->done = true;
    pthread_cond_signal(&call->done_cond); /* under the lock: the waiter frees `call` behind it */
    pthread_mutex_unlock(&call->mu);
}

void nkvi_loop_call(nkvi_loop *loop, void (*fn)(void *ud), void *ud)
{
    if (!loop->own || nkvi_loop_is_current(loop)) {
        nkvi_loop_enter(loop);
        fn(ud);
        return;
    }
    call_task call = {.task = {.next = NULL, .run = run_call}, .fn = fn, .ud = ud};
    pthread_mutex_init(&call.mu, NULL);
    pthread_cond_init(&call.done_cond, NULL);
    nkvi_loop_post(loop, &call.task);
    pthread_mutex_lock(&call.mu);
    while (!call.done) {
        pthread_cond_wait(&call.done_cond, &call.mu);
    }
    pthread_mutex_unlock(&call.mu);
    pthread_cond_destroy(&call.done_cond);
    pthread_mutex_destroy(&call.mu);
}

static void nothing(void *ud)
{
    (void)ud;
}

void nkvi_loop_flush(nkvi_loop *loop)
{
    if (!loop->own || nkvi_loop_is_current(loop)) {
        nkvi_loop_enter(loop);
        (void)run_posted(loop);
        return;
    }
    nkvi_loop_call(loop, nothing, NULL);
}

/* ============ Life ============ */

static void *run_thread(void *arg)
{
    nkvi_loop *loop = arg;
    atomic_store_explicit(&loop->runner, (uintptr_t)pthread_self(), memory_order_relaxed);
    ev_run(loop->ev, 0);
    return NULL;
}

/* Starts the thread with every signal blocked: handlers are the program's, not ours to run. */
static int start_thread(nkvi_loop *loop)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&loop->thread, NULL, run_thread, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        (void)pthread_setname_np(loop->thread, "nearkv");
    }
    return rc;
}

static void watchers_start(nkvi_loop *loop)
{
    ev_async_init(&loop->wake, on_wake);
    ev_check_init(&loop->tick, on_check);
    ev_set_priority(&loop->tick, EV_MAXPRI);
    loop->wake.data = loop;
    loop->tick.data = loop;
    ev_async_start(loop->ev, &loop->wake);
    ev_check_start(loop->ev, &loop->tick);
}

static void watchers_stop(nkvi_loop *loop)
{
    ev_async_stop(loop->ev, &loop->wake);
    ev_check_stop(loop->ev, &loop->tick);
}

nkv_status nkvi_loop_create(struct ev_loop *user_loop, nkvi_loop **out, nkv_error *error)
{
    assert(out != NULL);
    *out = NULL;
    nkvi_loop *loop = nkvi_calloc(1, sizeof *loop);
    if (loop == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for an event loop");
    }
    loop->own = user_loop == NULL;
    loop->ev = loop->own ? ev_loop_new(EVFLAG_AUTO) : user_loop;
    if (loop->ev == NULL) {
        nkvi_free(loop);
        return nkvi_fail(error, NKV_ECONN, "no event loop: is the limit of open files reached?");
    }
    nkvi_loop_enter(loop);
    watchers_start(loop);
    int rc = loop->own ? start_thread(loop) : 0;
    if (rc != 0) {
        watchers_stop(loop);
        ev_loop_destroy(loop->ev);
        nkvi_free(loop);
        return nkvi_fail_errno(error, NKV_ECONN, rc, "cannot start the loop's thread");
    }
    *out = loop;
    return NKV_OK;
}

static void stop(void *ud)
{
    nkvi_loop *loop = ud;
    loop->stopping = true;
}

void nkvi_loop_destroy(nkvi_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->own) {
        assert(!nkvi_loop_is_current(loop)); /* a thread cannot wait for its own end */
        nkvi_loop_call(loop, stop, loop);
        pthread_join(loop->thread, NULL);
    }
    while (run_posted(loop)) { /* ends: tasks of a loop that is going away do not post for ever */
    }
    watchers_stop(loop);
    if (loop->own) {
        ev_loop_destroy(loop->ev);
    }
    nkvi_reader_spare_clear(&loop->spare);
    nkvi_free(loop);
}

/* ============ Tickers ============ */

static void on_ticker(struct ev_loop *ev, ev_timer *timer, int events)
{
    nkvi_ticker *ticker = timer->data;
    (void)ev;
    (void)events;
    ticker->fn(ticker->ud);
}

nkvi_ticker *nkvi_ticker_start(nkvi_loop *loop, int64_t period_ms, void (*fn)(void *ud), void *ud)
{
    assert(period_ms > 0);
    nkvi_ticker *ticker = nkvi_calloc(1, sizeof *ticker);
    if (ticker == NULL) {
        return NULL;
    }
    double seconds = (double)period_ms / 1000.0;
    ticker->loop = loop;
    ticker->fn = fn;
    ticker->ud = ud;
    ev_timer_init(&ticker->timer, on_ticker, seconds, seconds);
    ticker->timer.data = ticker;
    ev_now_update(loop->ev);
    ev_timer_start(loop->ev, &ticker->timer);
    return ticker;
}

void nkvi_ticker_stop(nkvi_ticker *ticker)
{
    if (ticker != NULL) {
        ev_timer_stop(ticker->loop->ev, &ticker->timer);
        nkvi_free(ticker);
    }
}
