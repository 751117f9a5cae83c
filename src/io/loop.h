/* io/loop.h - the loop: one libev loop, on a thread of ours or on the user's.
 *
 *      any thread --nkvi_loop_post--> mailbox (lock-free, intrusive) --ev_async--> loop's thread
 *
 * Everything that touches a watcher runs on the loop's thread.
 * Threads  post, call and is_current are [any]; create and destroy as said there; the rest is
 *          [loop]. */
#ifndef NKVI_IO_LOOP_H
#define NKVI_IO_LOOP_H

#include <stdbool.h>

#include <nearkv/status.h>

struct ev_loop;
typedef struct nkvi_loop nkvi_loop;

/* Work for the loop's thread.  The memory is the poster's; run() may free it. */
typedef struct nkvi_task {
    struct nkvi_task *next;
    void (*run)(struct nkvi_task *task);
} nkvi_task;

/* user_loop NULL: makes a loop and a thread that runs it (with all signals blocked).  Else the
 * watchers go on that loop, and the caller is (or later becomes) the thread that runs it.
 * Returns NKV_OK · NKV_ENOMEM · NKV_ECONN (no descriptor or thread). */
nkv_status nkvi_loop_create(struct ev_loop *user_loop, nkvi_loop **out, nkv_error *error);

/* Runs what is still posted, stops watchers and the thread, frees everything.  With a user's loop:
 * from its thread, outside ev_run or inside a callback of another watcher. */
void nkvi_loop_destroy(nkvi_loop *loop);

/* Tasks run in the order of their posting. */
void nkvi_loop_post(nkvi_loop *loop, nkvi_task *task);

/* Runs fn on the loop's thread and waits; directly when called there.  With a user's loop: only
 * there. */
void nkvi_loop_call(nkvi_loop *loop, void (*fn)(void *ud), void *ud);

/* Returns when everything that was posted before has run; runs it when called on the
 * loop's thread. */
void nkvi_loop_flush(nkvi_loop *loop);

/* Whether the caller is the thread that runs the loop.  For a user's loop: the thread that created
 * the nkvi_loop, or the one that last ran a watcher of it. */
bool nkvi_loop_is_current(const nkvi_loop *loop);

/* The time of this wake-up (monotonic, exact), read once per wake-up.  [loop] */
int64_t nkvi_loop_now_ns(const nkvi_loop *loop);

/* Calls fn every `period_ms`, until stopped.  [loop] */
typedef struct nkvi_ticker nkvi_ticker;
nkvi_ticker *nkvi_ticker_start(nkvi_loop *loop, int64_t period_ms, void (*fn)(void *ud), void *ud);
void nkvi_ticker_stop(nkvi_ticker *ticker);

#endif
