/* support/proxy_api.c - the proxy, seen from the test: settings and questions.
 *
 * A setting is written into the rules of all the pipes it is for, those of connections to come
 * included, and then the thread is asked to look at everything once: when it has, the setting is in
 * force.
 *
 * Callers      live tests                                                                        */

#include "support/check.h"
#include "support/proxy.h"
#include "support/proxy_impl.h"
#include "support/thread.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Change ---------------------------------------------------------------------------------- */

/* Returns when the thread has acted on all changes made so far. @locks mu held */
static void settle(t_proxy *proxy)
{
    const uint64_t asked = ++proxy->asked;
    t_proxy_wake(proxy);
    while (proxy->done < asked) {
        (void)pthread_cond_wait(&proxy->changed, &proxy->mu);
    }
}

/* Changes the rules of a pipe; `sent` is what it has forwarded. */
typedef void change_rules(t_pipe_rules *rules, uint64_t sent, const void *what);

static bool is_meant(t_dir dir, int pipe)
{
    T_REQUIRE(dir >= T_TO_SERVER && dir <= T_BOTH_WAYS);
    return dir == T_BOTH_WAYS || (int)dir == pipe;
}

static void change(t_proxy *proxy, int conn, t_dir dir, change_rules *fn, const void *what)
{
    (void)pthread_mutex_lock(&proxy->mu);
    for (int d = 0; d < 2; d++) {
        if (!is_meant(dir, d)) {
            continue;
        }
        if (conn != T_EVERY) {
            t_pipe *pipe = &t_proxy_conn_at(proxy, conn)->pipes[d];
            fn(&pipe->rules, pipe->sent, what);
            continue;
        }
        fn(&proxy->fresh[d], 0, what);
        for (int i = 1; i <= T_PROXY_CONNS; i++) {
            if (proxy->conns[i] != NULL) {
                t_pipe *pipe = &proxy->conns[i]->pipes[d];
                fn(&pipe->rules, pipe->sent, what);
            }
        }
    }
    settle(proxy);
    (void)pthread_mutex_unlock(&proxy->mu);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void set_delay(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    (void)sent;
    rules->delay_ns = (int64_t) * (const int *)what * 1000000;
}

void t_proxy_delay(t_proxy *proxy, int conn, t_dir dir, int ms)
{
    T_REQUIRE(ms >= 0);
    change(proxy, conn, dir, set_delay, &ms);
}

static void set_hold(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    (void)sent;
    rules->hold = *(const bool *)what;
}

void t_proxy_hold(t_proxy *proxy, int conn, t_dir dir)
{
    change(proxy, conn, dir, set_hold, &(const bool){true});
}

void t_proxy_release(t_proxy *proxy, int conn, t_dir dir)
{
    change(proxy, conn, dir, set_hold, &(const bool){false});
}

static void set_swallow(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    (void)sent;
    rules->swallow = *(const bool *)what;
}

void t_proxy_swallow(t_proxy *proxy, int conn, t_dir dir, bool on)
{
    change(proxy, conn, dir, set_swallow, &on);
}

static void set_chop(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    (void)sent;
    rules->chop = *(const size_t *)what;
}

void t_proxy_chop(t_proxy *proxy, int conn, t_dir dir, size_t bytes)
{
    change(proxy, conn, dir, set_chop, &bytes);
}

typedef struct split_list {
    const size_t *offsets;
    size_t count;
} split_list;

static void set_splits(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    const split_list *list = what;
    for (size_t i = 0; i < list->count; i++) {
        rules->splits[i] = sent + list->offsets[i];
    }
    rules->split_count = list->count;
}

void t_proxy_split(t_proxy *proxy, int conn, t_dir dir, const size_t *offsets, size_t count)
{
    T_REQUIRE(count <= T_PIPE_SPLITS);
    for (size_t i = 1; i < count; i++) {
        T_REQUIRE(offsets[i - 1] < offsets[i]);
    }
    change(proxy, conn, dir, set_splits, &(const split_list){offsets, count});
}

static void set_bandwidth(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    (void)sent;
    rules->bytes_per_s = *(const size_t *)what;
}

void t_proxy_bandwidth(t_proxy *proxy, int conn, t_dir dir, size_t bytes_per_s)
{
    change(proxy, conn, dir, set_bandwidth, &bytes_per_s);
}

void t_proxy_inject(t_proxy *proxy, int conn, t_dir dir, const void *bytes, size_t len)
{
    (void)pthread_mutex_lock(&proxy->mu);
    const int first = conn == T_EVERY ? 1 : conn;
    const int last = conn == T_EVERY ? proxy->accepted : conn;
    for (int i = first; i <= last; i++) {
        t_proxy_conn *to = t_proxy_conn_at(proxy, i);
        for (int d = 0; d < 2 && to->state != T_CONN_CLOSED; d++) {
            if (is_meant(dir, d)) {
                t_pipe_inject(&to->pipes[d], bytes, len);
            }
        }
    }
    settle(proxy);
    (void)pthread_mutex_unlock(&proxy->mu);
}

void t_proxy_cut(t_proxy *proxy, int conn, t_cut how)
{
    (void)pthread_mutex_lock(&proxy->mu);
    const int first = conn == T_EVERY ? 1 : conn;
    const int last = conn == T_EVERY ? proxy->accepted : conn;
    for (int i = first; i <= last; i++) {
        t_proxy_conn *cut = t_proxy_conn_at(proxy, i);
        cut->cut_asked = true;
        cut->cut = how;
    }
    settle(proxy);
    (void)pthread_mutex_unlock(&proxy->mu);
}

void t_proxy_accept(t_proxy *proxy, t_accept how)
{
    (void)pthread_mutex_lock(&proxy->mu);
    proxy->accept = how;
    settle(proxy);
    (void)pthread_mutex_unlock(&proxy->mu);
}

void t_proxy_retarget(t_proxy *proxy, t_addr target)
{
    (void)pthread_mutex_lock(&proxy->mu);
    free(proxy->target_path);
    proxy->target_path = target.path == NULL ? NULL : t_format("%s", target.path);
    proxy->target_port = target.port;
    (void)pthread_mutex_unlock(&proxy->mu);
}

/* ---- Triggers -------------------------------------------------------------------------------- */

static void arm(t_pipe_rules *rules, uint64_t sent, const void *what)
{
    for (size_t i = 0; i < T_PROXY_TRIGGERS; i++) {
        if (!rules->triggers[i].armed) {
            rules->triggers[i] = *(const t_armed *)what;
            rules->triggers[i].base = sent;
            return;
        }
    }
    T_DIE("more than %d triggers in one direction", T_PROXY_TRIGGERS);
}

int t_proxy_on(t_proxy *proxy, int conn, t_dir dir, const t_trigger *trigger)
{
    T_REQUIRE(dir != T_BOTH_WAYS);
    t_armed armed = {.armed = true, .trigger = *trigger};
    void *pattern = NULL;
    if (trigger->when != T_AT_BYTES) {
        T_REQUIRE(trigger->pattern_len > 0 && trigger->pattern_len <= T_PROXY_PATTERN);
        pattern = malloc(trigger->pattern_len);
        T_REQUIRE(pattern != NULL);
        memcpy(pattern, trigger->pattern, trigger->pattern_len);
        armed.trigger.pattern = pattern;
    }
    (void)pthread_mutex_lock(&proxy->mu);
    T_REQUIRE(proxy->trigger_count < T_PROXY_TRIGGERS_ALL);
    armed.id = proxy->trigger_count++;
    proxy->patterns[armed.id] = pattern;
    (void)pthread_mutex_unlock(&proxy->mu);
    change(proxy, conn, dir, arm, &armed);
    return armed.id;
}

/* ---- Questions ------------------------------------------------------------------------------- */

const char *t_proxy_path(const t_proxy *proxy)
{
    return proxy->path;
}

int t_proxy_port(const t_proxy *proxy)
{
    return proxy->port;
}

const char *t_proxy_url(const t_proxy *proxy)
{
    return proxy->url;
}

/* What to count. */
typedef enum { SEEN, FORWARDED, KEPT, ACCEPTED, OPEN, CLOSED, FIRED } thing;
typedef struct question {
    thing what;
    int number; /* of the connection or the trigger                                               */
    t_dir dir;
} question;

static uint64_t count_pipe(const t_pipe *pipe, thing what)
{
    return what == SEEN ? pipe->seen : what == FORWARDED ? pipe->sent : pipe->len;
}

/* @locks mu held */
static uint64_t count(const t_proxy *proxy, const question *q)
{
    switch (q->what) {
    case ACCEPTED:
        return (uint64_t)proxy->accepted;
    case OPEN:
        return (uint64_t)proxy->open;
    case FIRED:
        T_REQUIRE(q->number >= 0 && q->number < proxy->trigger_count);
        return (uint64_t)proxy->fired[q->number];
    case CLOSED:
        T_REQUIRE(q->number >= 1 && q->number <= T_PROXY_CONNS);
        return proxy->conns[q->number] != NULL && proxy->conns[q->number]->state == T_CONN_CLOSED;
    default:
        break;
    }
    uint64_t sum = 0;
    for (int i = 1; i <= T_PROXY_CONNS; i++) {
        for (int d = 0; d < 2 && proxy->conns[i] != NULL; d++) {
            if ((q->number == T_EVERY || q->number == i) && is_meant(q->dir, d)) {
                sum += count_pipe(&proxy->conns[i]->pipes[d], q->what);
            }
        }
    }
    return sum;
}

static uint64_t ask(t_proxy *proxy, question q)
{
    (void)pthread_mutex_lock(&proxy->mu);
    const uint64_t answer = count(proxy, &q);
    (void)pthread_mutex_unlock(&proxy->mu);
    return answer;
}

/* Waits until the count is at least (`exactly`: just) `wanted`. */
static bool wait_for(t_proxy *proxy, question q, uint64_t wanted, bool exactly, int64_t timeout_ms)
{
    const struct timespec end = t_deadline_after_ms(timeout_ms);
    (void)pthread_mutex_lock(&proxy->mu);
    bool fits;
    for (;;) {
        const uint64_t answer = count(proxy, &q);
        fits = exactly ? answer == wanted : answer >= wanted;
        if (fits || pthread_cond_timedwait(&proxy->changed, &proxy->mu, &end) != 0) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&proxy->mu);
    return fits;
}

int t_proxy_accepted(t_proxy *proxy)
{
    return (int)ask(proxy, (question){.what = ACCEPTED});
}

int t_proxy_open(t_proxy *proxy)
{
    return (int)ask(proxy, (question){.what = OPEN});
}

uint64_t t_proxy_seen(t_proxy *proxy, int conn, t_dir dir)
{
    return ask(proxy, (question){SEEN, conn, dir});
}

uint64_t t_proxy_forwarded(t_proxy *proxy, int conn, t_dir dir)
{
    return ask(proxy, (question){FORWARDED, conn, dir});
}

uint64_t t_proxy_kept(t_proxy *proxy, int conn, t_dir dir)
{
    return ask(proxy, (question){KEPT, conn, dir});
}

bool t_proxy_wait_accepted(t_proxy *proxy, int wanted, int64_t timeout_ms)
{
    return wait_for(proxy, (question){.what = ACCEPTED}, (uint64_t)wanted, false, timeout_ms);
}

bool t_proxy_wait_open(t_proxy *proxy, int wanted, int64_t timeout_ms)
{
    return wait_for(proxy, (question){.what = OPEN}, (uint64_t)wanted, true, timeout_ms);
}

bool t_proxy_wait_closed(t_proxy *proxy, int conn, int64_t timeout_ms)
{
    return wait_for(proxy, (question){.what = CLOSED, .number = conn}, 1, false, timeout_ms);
}

bool t_proxy_wait_seen(t_proxy *proxy, int conn, t_dir dir, uint64_t bytes, int64_t timeout_ms)
{
    return wait_for(proxy, (question){SEEN, conn, dir}, bytes, false, timeout_ms);
}

bool t_proxy_wait_forwarded(t_proxy *proxy, int conn, t_dir dir, uint64_t bytes, int64_t timeout_ms)
{
    return wait_for(proxy, (question){FORWARDED, conn, dir}, bytes, false, timeout_ms);
}

bool t_proxy_wait_fired(t_proxy *proxy, int trigger, int64_t timeout_ms)
{
    return wait_for(proxy, (question){.what = FIRED, .number = trigger}, 1, false, timeout_ms);
}
