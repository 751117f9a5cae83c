/* tests/unit/io/test_loop.c - mailbox, calls and tickers, on a thread of the loop's own and on a
 * user's loop. */
#include <criterion/criterion.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"
#include "support/check.h"

static nkvi_loop *make(struct ev_loop *user_loop)
{
    nkvi_loop *loop;
    nkv_error error;
    cr_assert_eq(nkvi_loop_create(user_loop, &loop, &error), NKV_OK, "%s", error.text);
    return loop;
}

/* ---- Mailbox --------------------------------------------------------------------------------- */

enum { POSTERS = 4, EACH = 5000 };

typedef struct note {
    nkvi_task task;
    int poster, number;
} note;

static int seen[POSTERS];
static bool in_order = true;

static void take_note(nkvi_task *task)
{
    note *n = (note *)task;
    in_order = in_order && n->number == seen[n->poster];
    seen[n->poster]++;
    free(n);
}

typedef struct poster {
    pthread_t thread;
    nkvi_loop *loop;
    int number;
} poster;

static void *post_all(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < EACH; i++) {
        note *n = malloc(sizeof *n);
        *n = (note){.task = {.run = take_note}, .poster = p->number, .number = i};
        nkvi_loop_post(p->loop, &n->task);
    }
    return NULL;
}

/* What one thread posts runs in its order, and destroy runs what is left. */
Test(io_loop, tasks_run_in_the_order_of_their_posting)
{
    poster posters[POSTERS];
    nkvi_loop *loop = make(NULL);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.loop = loop, .number = i};
        T_REQUIRE(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]) == 0);
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
    }
    nkvi_loop_destroy(loop);
    for (int i = 0; i < POSTERS; i++) {
        cr_assert_eq(seen[i], EACH);
    }
    cr_assert(in_order);
}

typedef struct chain {
    nkvi_task task;
    nkvi_loop *loop;
    int left;
} chain;

static void run_chain(nkvi_task *task)
{
    chain *c = (chain *)task;
    if (--c->left > 0) {
        nkvi_loop_post(c->loop, &c->task);
    }
}

Test(io_loop, a_task_may_post_itself_again)
{
    nkvi_loop *loop = make(NULL);
    chain c = {.task = {.run = run_chain}, .loop = loop, .left = 1000};
    nkvi_loop_post(loop, &c.task);
    nkvi_loop_destroy(loop);
    cr_assert_eq(c.left, 0);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

typedef struct visit {
    nkvi_loop *loop;
    pthread_t thread;
    bool current, inner, signals_blocked;
    int64_t now_ns;
} visit;

static void inner(void *ud)
{
    ((visit *)ud)->inner = true;
}

static void look_around(void *ud)
{
    visit *v = ud;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    v->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGPIPE) == 1;
    v->thread = pthread_self();
    v->current = nkvi_loop_is_current(v->loop);
    v->now_ns = nkvi_loop_now_ns(v->loop);
    nkvi_loop_call(v->loop, inner, v); /* on its own thread: at once, no deadlock */
}

Test(io_loop, a_call_waits_for_the_loops_thread)
{
    nkvi_loop *loop = make(NULL);
    visit v = {.loop = loop};
    int64_t before_ns = t_now_ns();
    nkvi_loop_call(loop, look_around, &v);
    cr_assert(v.current && v.inner && v.signals_blocked);
    cr_assert_not(pthread_equal(v.thread, pthread_self()));
    cr_assert_not(nkvi_loop_is_current(loop));
    cr_assert(v.now_ns >= before_ns - 1000000 && v.now_ns <= t_now_ns());
    nkvi_loop_destroy(loop);
}

/* ---- A user's loop --------------------------------------------------------------------------- */

static void break_loop(void *ud)
{
    ev_break(ud, EVBREAK_ALL);
}

typedef struct breaker {
    nkvi_task task;
    struct ev_loop *ev;
    int runs;
} breaker;

static void run_breaker(nkvi_task *task)
{
    breaker *b = (breaker *)task;
    b->runs++;
    break_loop(b->ev);
}

Test(io_loop, works_on_a_users_loop)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    nkvi_loop *loop = make(ev);
    visit v = {.loop = loop};
    breaker b = {.task = {.run = run_breaker}, .ev = ev};
    cr_assert(nkvi_loop_is_current(loop));
    nkvi_loop_call(loop, look_around, &v);
    cr_assert(v.current && v.inner);
    nkvi_loop_post(loop, &b.task);
    cr_assert_eq(b.runs, 0);
    ev_run(ev, 0);
    cr_assert_eq(b.runs, 1);
    nkvi_loop_post(loop, &b.task);
    nkvi_loop_destroy(loop);
    cr_assert_eq(b.runs, 2, "destroy runs what is left");
    cr_assert_eq(ev_pending_count(ev), 0);
    cr_assert_eq(ev_run(ev, 0), 0, "none of our watchers keeps it");
    ev_loop_destroy(ev);
}

static void *run_users_loop(void *arg)
{
    ev_run(arg, 0);
    return NULL;
}

/* Made here, run there: the thread that runs it is the current one from then on. */
Test(io_loop, follows_the_thread_that_runs_it)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    nkvi_loop *loop = make(ev);
    breaker b = {.task = {.run = run_breaker}, .ev = ev};
    pthread_t thread;
    T_REQUIRE(pthread_create(&thread, NULL, run_users_loop, ev) == 0);
    nkvi_loop_post(loop, &b.task);
    pthread_join(thread, NULL);
    cr_assert_not(nkvi_loop_is_current(loop));
    nkvi_loop_destroy(loop);
    ev_loop_destroy(ev);
}

/* ---- Tickers --------------------------------------------------------------------------------- */

typedef struct count {
    nkvi_ticker *ticker;
    nkvi_loop *loop;
    struct ev_loop *ev;
    int ticks;
} count;

static void tick(void *ud)
{
    count *c = ud;
    if (++c->ticks == 3) {
        nkvi_ticker_stop(c->ticker);
        ev_break(c->ev, EVBREAK_ALL);
    }
}

Test(io_loop, a_ticker_ticks_until_it_is_stopped)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    count c = {.loop = make(ev), .ev = ev};
    int64_t before_ms = t_now_ms();
    c.ticker = nkvi_ticker_start(c.loop, 2, tick, &c);
    ev_run(ev, 0);
    cr_assert_eq(c.ticks, 3);
    cr_assert_geq(t_now_ms() - before_ms, 5);
    nkvi_loop_destroy(c.loop);
    ev_loop_destroy(ev);
}

/* ---- Resources ------------------------------------------------------------------------------- */

static bool no_memory(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return false;
}

Test(io_loop, leaves_nothing_and_fails_cleanly)
{
    int fds = t_fd_count(), threads = t_thread_count();
    nkvi_loop *loop = make(NULL);
    cr_assert_gt(t_fd_count(), fds);
    cr_assert_eq(t_thread_count(), threads + 1);
    nkvi_loop_destroy(loop);
    cr_assert_eq(t_fd_count(), fds);
    cr_assert_eq(t_thread_count(), threads);
    nkvi_mem_set_gate(no_memory, NULL);
    nkv_error error;
    cr_assert_eq(nkvi_loop_create(NULL, &loop, &error), NKV_ENOMEM);
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert_null(loop);
    cr_assert_eq(t_fd_count(), fds);
    nkvi_loop_destroy(NULL);
}
