/* tests/stress/stress_lane.c - many threads on one lane while its connection is killed again and
 * again.
 *
 *      askers   ECHO a number of their own: the answer must be that number, or the loss of the
 *               connection; each request ends exactly once, in its deadline
 *      killer   CLIENT KILL of the lane every few milliseconds, now and then a pause of the server
 *      writer   invalidates what the lane has read
 *      watcher  snapshots of the lane, drains
 *
 * Meant for ThreadSanitizer.  NEARKV_STRESS_MS: how long (3000). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/cache.h"
#include "io/lane.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/server.h"

#define ASKERS 6
#define WINDOW 8 /* requests that an asker has under way */

static t_server *server;
static nkvi_loop *loop;
static nkvi_lane *lane;
static nkv_cache *cache;
static nkvi_owner *owner;
static _Atomic bool go_on = true;
static _Atomic uint64_t answered, failed, wrong, pushes, downs;

typedef struct ask {
    nkvi_request request;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    uint64_t number;
    unsigned replies; /* that came */
    bool busy;
} ask;

/* ---- The lane's callbacks -------------------------------------------------------------------- */

static void on_push(void *ud, const nkv_reply *push)
{
    (void)ud;
    (void)push;
    pushes++;
}

static void on_change(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    (void)ud;
    (void)cause;
    uint64_t generation = atomic_load(&owner->generation);
    downs += info->state == NKVI_LANE_DOWN;
    wrong += (info->state == NKVI_LANE_ARMED) != (generation % 2 == 1);
}

static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    ask *a = (ask *)request;
    bool good = reply->root.type == NKV_TYPE_STRING && index == a->replies &&
                strtoull(reply->root.str, NULL, 10) == a->number + index;
    wrong += !good;
    a->replies++;
    nkvi_draft_clear(reply);
}

static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    ask *a = (ask *)request;
    bool good = status == NKV_OK ? a->replies == 2 && error == NULL : error != NULL;
    wrong += !good || (status == NKV_OK && request->generation % 2 != 1);
    *(status == NKV_OK ? &answered : &failed) += 1;
    pthread_mutex_lock(&a->mu);
    wrong += !a->busy;
    a->busy = false;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->mu);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void wait_free(ask *a)
{
    pthread_mutex_lock(&a->mu);
    while (a->busy) {
        pthread_cond_wait(&a->changed, &a->mu);
    }
    pthread_mutex_unlock(&a->mu);
}

/* Two ECHOs in one request, a short deadline now and then. */
static void ask_again(ask *a, uint64_t number, t_rng *rng)
{
    nkvi_buf bytes;
    nkv_error error;
    nkvi_buf_init(&bytes);
    for (unsigned i = 0; i < 2; i++) {
        char text[24];
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)(number + i));
        nkv_str argv[] = {nkv_cstr("ECHO"), nkv_str_make(text, (size_t)len)};
        nkvi_buf_resp(&bytes, 2, argv);
    }
    a->number = number;
    a->replies = 0;
    a->request.replies = 2;
    a->request.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), t_rng_below(rng, 20) == 0 ? 1 : 2000);
    a->request.on_reply = on_reply;
    a->request.on_done = on_done;
    a->busy = true;
    nkvi_submit_when when = t_rng_below(rng, 4) == 0 ? NKVI_SUBMIT_ARMED : NKVI_SUBMIT_WAIT;
    nkv_status status = nkvi_lane_submit(lane, &a->request, &bytes, when, &error);
    if (status != NKV_OK) {
        a->busy = false;
        wrong += status != NKV_ECONN && status != NKV_EBUSY && status != NKV_ECLOSED;
    }
}

static void *run_asker(void *arg)
{
    ask asks[WINDOW];
    t_rng rng;
    uint64_t number = (uint64_t)(uintptr_t)arg << 40;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(uintptr_t)arg);
    memset(asks, 0, sizeof asks);
    for (size_t i = 0; i < WINDOW; i++) {
        pthread_mutex_init(&asks[i].mu, NULL);
        pthread_cond_init(&asks[i].changed, NULL);
    }
    while (go_on) {
        ask *a = &asks[t_rng_below(&rng, WINDOW)];
        wait_free(a);
        ask_again(a, number += 2, &rng);
    }
    for (size_t i = 0; i < WINDOW; i++) {
        wait_free(&asks[i]);
        pthread_cond_destroy(&asks[i].changed);
        pthread_mutex_destroy(&asks[i].mu);
    }
    return NULL;
}

static void *run_killer(void *arg)
{
    t_ctl *ctl = t_ctl_open(server);
    t_rng rng;
    (void)arg;
    t_rng_init(&rng, t_run_seed() + 100);
    while (go_on) {
        t_sleep_ms((int64_t)t_rng_below(&rng, 30));
        nkvi_lane_info info;
        nkvi_lane_get_info(lane, &info);
        if (info.client_id > 0) {
            (void)t_ctl_kill_id(ctl, info.client_id);
        }
        if (t_rng_below(&rng, 10) == 0) {
            t_server_pause(server);
            t_sleep_ms(20);
            t_server_resume(server);
        }
    }
    t_ctl_close(ctl);
    return NULL;
}

static void *run_writer(void *arg)
{
    t_ctl *ctl = t_ctl_open(server);
    (void)arg;
    while (go_on) {
        t_ctl_ok(ctl, "FLUSHALL"); /* tells every tracking client */
        t_sleep_us(500);
    }
    t_ctl_close(ctl);
    return NULL;
}

static void drain(void *ud)
{
    (void)ud;
    nkvi_lane_drain(lane);
}

static void *run_watcher(void *arg)
{
    (void)arg;
    while (go_on) {
        nkvi_lane_info info;
        nkvi_lane_get_info(lane, &info);
        nkvi_loop_call(loop, drain, NULL);
    }
    return NULL;
}

static void *run_nothing(void *arg)
{
    return arg;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void create(void *ud)
{
    nkv_error error;
    nkvi_lane_config config = {.endpoint = {.path = t_server_path(server)},
                               .handler = {.on_push = on_push, .on_change = on_change},
                               .cache = cache,
                               .owner = owner,
                               .connect_timeout_ms = 1000,
                               .max_idle_ms = 1000,
                               .backoff_min_ms = 1,
                               .backoff_max_ms = 10,
                               .inflight_max = ASKERS * WINDOW - 4,
                               .reply_bytes_max = 1 << 20};
    (void)ud;
    if (nkvi_lane_create(loop, &config, &lane, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    nkvi_lane_start(lane);
}

static void stop(void *ud)
{
    (void)ud;
    nkvi_lane_stop(lane);
}

static void destroy(void *ud)
{
    (void)ud;
    nkvi_lane_destroy(lane);
}

static pthread_t threads[ASKERS + 3];

static void start_all(void)
{
    nkv_error error;
    T_REQUIRE(nkvi_loop_create(NULL, &loop, &error) == NKV_OK);
    T_REQUIRE(nkv_cache_create(NULL, &cache, &error) == NKV_OK);
    owner = nkvi_cache_owner_open(cache, NULL);
    T_REQUIRE(owner != NULL);
    nkvi_loop_call(loop, create, NULL);
    for (uintptr_t i = 0; i < ASKERS; i++) {
        T_REQUIRE(pthread_create(&threads[i], NULL, run_asker, (void *)(i + 1)) == 0);
    }
    T_REQUIRE(pthread_create(&threads[ASKERS], NULL, run_killer, NULL) == 0);
    T_REQUIRE(pthread_create(&threads[ASKERS + 1], NULL, run_writer, NULL) == 0);
    T_REQUIRE(pthread_create(&threads[ASKERS + 2], NULL, run_watcher, NULL) == 0);
}

/* Returns how many requests the lane still believes to be under way. */
static uint64_t stop_all(void)
{
    nkvi_lane_info info;
    nkvi_loop_call(loop, stop, NULL); /* while they still submit: they are told NKV_ECLOSED */
    go_on = false;
    for (size_t i = 0; i < ASKERS + 3; i++) {
        pthread_join(threads[i], NULL);
    }
    nkvi_lane_get_info(lane, &info);
    nkvi_loop_call(loop, destroy, NULL);
    nkvi_loop_destroy(loop);
    nkvi_cache_owner_close(cache, owner);
    nkv_cache_release(cache);
    return info.inflight;
}

static bool tell(bool good, const char *what)
{
    printf("%s - %s\n", good ? "ok" : "not ok", what);
    return good;
}

int main(void)
{
    const char *ms = getenv("NEARKV_STRESS_MS");
    server = t_server_start(NULL);
    T_REQUIRE(pthread_create(&threads[0], NULL, run_nothing, NULL) == 0);
    pthread_join(threads[0], NULL); /* a sanitizer has started its own helper by now */
    int fds = t_fd_count(), running = t_thread_count();
    start_all();
    t_sleep_ms(ms != NULL ? strtol(ms, NULL, 10) : 3000);
    uint64_t inflight = stop_all();
    printf("# %llu answered, %llu failed, %llu pushes, %llu losses, %llu wrong, %llu in flight\n",
           (unsigned long long)answered, (unsigned long long)failed, (unsigned long long)pushes,
           (unsigned long long)downs, (unsigned long long)wrong, (unsigned long long)inflight);
    bool good = tell(wrong == 0, "every request got its own answers, once");
    good = tell(inflight == 0 && t_fd_count() == fds && t_thread_count() == running,
                "nothing is left in flight, open or running") &&
           good;
    good = tell(answered > 100 && failed > 0 && pushes > 0 && downs > 2,
                "there was something to get wrong") &&
           good;
    t_server_stop(server);
    return good ? 0 : 1;
}
