/* support/lane_rig.c - see lane_rig.h. */

#include "support/lane_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/cache.h"
#include "support/check.h"
#include "tracking/push.h"

struct t_rig {
    t_rig_options options;
    nkvi_loop *loop;
    nkvi_lane *lane;
    nkvi_lane_config config;
    nkv_cache *cache;
    nkvi_owner *owner;
    bool stopped;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    nkvi_buf diary;
    char *shown;
    nkvi_lane_state state; /* as last told */
    bool healthy;
    t_ask *asks;
    unsigned asked;
};

/* ---- Diary ----------------------------------------------------------------------------------- */

static void put_reply(nkvi_buf *out, const nkv_reply *reply)
{
    switch (reply->type) {
    case NKV_TYPE_STRING:
        nkvi_buf_printf(out, "$%s", reply->str);
        return;
    case NKV_TYPE_STATUS:
        nkvi_buf_printf(out, "+%s", reply->str);
        return;
    case NKV_TYPE_ERROR:
        nkvi_buf_printf(out, "-%s", reply->str);
        return;
    case NKV_TYPE_INTEGER:
        nkvi_buf_printf(out, ":%lld", (long long)reply->integer);
        return;
    case NKV_TYPE_NIL:
        nkvi_buf_text(out, "_");
        return;
    case NKV_TYPE_DOUBLE:
        nkvi_buf_printf(out, ",%s", reply->str);
        return;
    case NKV_TYPE_BOOL:
        nkvi_buf_text(out, reply->integer != 0 ? "#t" : "#f");
        return;
    default:
        break;
    }
    nkvi_buf_text(out, "*[");
    for (size_t i = 0; i < reply->elements; i++) {
        nkvi_buf_text(out, i > 0 ? "," : "");
        put_reply(out, &reply->element[i]);
    }
    nkvi_buf_text(out, "]");
}

static const char *status_word(nkv_status status)
{
    switch (status) {
    case NKV_OK:
        return "done";
    case NKV_ETIMEDOUT:
        return "ETIMEDOUT";
    case NKV_ECONN:
        return "ECONN";
    case NKV_EREPLY:
        return "EREPLY";
    case NKV_EPROTO:
        return "EPROTO";
    case NKV_ECLOSED:
        return "ECLOSED";
    case NKV_ENOMEM:
        return "ENOMEM";
    default:
        return "other";
    }
}

/* Entries are written between these two. */
static void entry_begin(t_rig *rig)
{
    pthread_mutex_lock(&rig->mu);
    if (rig->diary.len > 0) {
        nkvi_buf_text(&rig->diary, " ");
    }
}

static void entry_end(t_rig *rig)
{
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->mu);
}

const char *t_rig_diary(t_rig *rig)
{
    pthread_mutex_lock(&rig->mu);
    free(rig->shown);
    rig->shown = t_format("%.*s", (int)rig->diary.len, rig->diary.len > 0 ? rig->diary.data : "");
    pthread_mutex_unlock(&rig->mu);
    return rig->shown;
}

void t_rig_diary_clear(t_rig *rig)
{
    pthread_mutex_lock(&rig->mu);
    rig->diary.len = 0;
    pthread_mutex_unlock(&rig->mu);
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static void on_push(void *ud, const nkv_reply *reply)
{
    t_rig *rig = ud;
    nkvi_push push = nkvi_push_decode(reply);
    if (!rig->options.no_diary) {
        static const char *const words[] = {"unknown", "push(", "flush", "broken"};
        entry_begin(rig);
        nkvi_buf_text(&rig->diary, words[push.kind]);
        for (size_t i = 0; i < push.n; i++) {
            nkvi_buf_printf(&rig->diary, "%s%s", i > 0 ? "," : "", nkvi_push_key(&push, i).data);
        }
        nkvi_buf_text(&rig->diary, push.kind == NKVI_PUSH_KEYS ? ")" : "");
        entry_end(rig);
    }
    if (rig->options.on_push != NULL) {
        rig->options.on_push(rig, reply);
    }
}

static void on_change(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    static const char *const causes[] = {"none", "server", "connection", "idle", "own", "reset"};
    t_rig *rig = ud;
    if (!rig->options.no_diary) {
        entry_begin(rig);
        if (info->state == rig->state) {
            nkvi_buf_text(&rig->diary, info->healthy ? "healthy" : "unhealthy");
        } else if (info->state == NKVI_LANE_DOWN) {
            nkvi_buf_printf(&rig->diary, "down(%s)", causes[cause]);
        } else {
            nkvi_buf_printf(&rig->diary, "up(%s)",
                            info->state == NKVI_LANE_ARMED ? "armed" : "untracked");
        }
        rig->state = info->state;
        rig->healthy = info->healthy;
        entry_end(rig);
    }
    if (rig->options.on_change != NULL) {
        rig->options.on_change(rig, info);
    }
}

static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    t_ask *ask = (t_ask *)request;
    if (!ask->rig->options.no_diary) {
        entry_begin(ask->rig);
        nkvi_buf_printf(&ask->rig->diary, "#%u.%u=", ask->number, index);
        put_reply(&ask->rig->diary, &reply->root);
        entry_end(ask->rig);
    }
    nkv_value_release(ask->value);
    ask->value = nkvi_draft_seal(reply);
    nkvi_draft_clear(reply);
}

static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    t_ask *ask = (t_ask *)request;
    t_rig *rig = ask->rig;
    void (*then)(t_ask * ask) = atomic_load(&ask->on_done);
    if (then != NULL) {
        then(ask);
    }
    entry_begin(rig);
    if (!rig->options.no_diary) {
        nkvi_buf_printf(&rig->diary, "#%u=%s", ask->number, status_word(status));
    }
    ask->status = status;
    if (error != NULL) {
        ask->error = *error;
    }
    T_REQUIRE(!ask->done && (status == NKV_OK) == (error == NULL));
    ask->done = true;
    entry_end(rig);
}

/* ---- Rig ------------------------------------------------------------------------------------- */

static int64_t or (int64_t value, int64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void create(void *ud)
{
    t_rig *rig = ud;
    nkv_error error;
    if (nkvi_lane_create(rig->loop, &rig->config, &rig->lane, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    nkvi_lane_start(rig->lane);
}

static void destroy(void *ud)
{
    nkvi_lane_destroy(((t_rig *)ud)->lane);
}

static void drain(void *ud)
{
    nkvi_lane_drain(((t_rig *)ud)->lane);
}

static void configure(t_rig *rig)
{
    const t_rig_options *o = &rig->options;
    rig->config = (nkvi_lane_config){
        .endpoint = {.path = o->path,
                     .host = o->host,
                     .port = o->port,
                     .username = o->username,
                     .password = o->password,
                     .db = o->db,
                     .client_name = "rig"},
        .handler = {.on_push = on_push, .on_change = on_change, .ud = rig},
        .connect_timeout_ms = or (o->connect_timeout_ms, 5000),
        .max_idle_ms = or (o->max_idle_ms, 60000),
        .backoff_min_ms = or (o->backoff_ms, 1),
        .backoff_max_ms = or (o->backoff_ms, 1),
        .inflight_max = or (o->inflight_max, 1000),
        .inflight_bytes_max = or (o->inflight_bytes_max, 64 << 20),
        .reply_bytes_max = or (o->reply_bytes_max, 64 << 20),
    };
    if (!o->untracked) {
        T_REQUIRE(nkv_cache_create(NULL, &rig->cache, NULL) == NKV_OK);
        rig->owner = nkvi_cache_owner_open(rig->cache, NULL);
        T_REQUIRE(rig->owner != NULL);
        rig->config.cache = rig->cache;
        rig->config.owner = rig->owner;
    }
}

t_rig *t_rig_start(const t_rig_options *options)
{
    t_rig *rig = calloc(1, sizeof *rig);
    nkv_error error;
    T_REQUIRE(rig != NULL);
    rig->options = *options;
    pthread_mutex_init(&rig->mu, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&rig->changed, &clock);
    pthread_condattr_destroy(&clock);
    configure(rig);
    if (nkvi_loop_create(NULL, &rig->loop, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    nkvi_loop_call(rig->loop, create, rig);
    return rig;
}

void t_rig_stop(t_rig *rig)
{
    if (!rig->stopped) {
        nkvi_loop_call(rig->loop, destroy, rig);
        nkvi_loop_destroy(rig->loop);
        rig->stopped = true;
        if (rig->owner != NULL) {
            nkvi_cache_owner_close(rig->cache, rig->owner);
        }
        nkv_cache_release(rig->cache);
    }
}

void t_rig_free(t_rig *rig)
{
    t_rig_stop(rig);
    while (rig->asks != NULL) {
        t_ask *ask = rig->asks;
        rig->asks = ask->next;
        nkv_value_release(ask->value);
        free(ask);
    }
    nkvi_buf_clear(&rig->diary);
    free(rig->shown);
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->mu);
    free(rig);
}

nkvi_lane *t_rig_lane(t_rig *rig)
{
    return rig->lane;
}

nkvi_loop *t_rig_loop(t_rig *rig)
{
    return rig->loop;
}

nkvi_owner *t_rig_owner(t_rig *rig)
{
    return rig->owner;
}

nkvi_lane_info t_rig_info(t_rig *rig)
{
    nkvi_lane_info info;
    nkvi_lane_get_info(rig->lane, &info);
    return info;
}

void t_rig_drain(t_rig *rig)
{
    nkvi_loop_call(rig->loop, drain, rig);
}

static struct timespec after_ms(int64_t ms)
{
    int64_t ns = t_now_ns() + ms * 1000000;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* @locks mu held.  False when time is up. */
static bool wait_change(t_rig *rig, const struct timespec *until)
{
    return pthread_cond_timedwait(&rig->changed, &rig->mu, until) == 0;
}

void t_rig_wait_state(t_rig *rig, nkvi_lane_state state)
{
    struct timespec until = after_ms(10000);
    pthread_mutex_lock(&rig->mu);
    while (rig->state != state) {
        if (!wait_change(rig, &until)) {
            T_DIE("waited in vain for state %d; diary: %.*s", (int)state, (int)rig->diary.len,
                  rig->diary.data);
        }
    }
    pthread_mutex_unlock(&rig->mu);
}

void t_rig_wait_diary(t_rig *rig, const char *part)
{
    struct timespec until = after_ms(10000);
    size_t len = strlen(part);
    pthread_mutex_lock(&rig->mu);
    while (rig->diary.len == 0 || memmem(rig->diary.data, rig->diary.len, part, len) == NULL) {
        if (!wait_change(rig, &until)) {
            T_DIE("waited in vain for %s; diary: %.*s", part, (int)rig->diary.len, rig->diary.data);
        }
    }
    pthread_mutex_unlock(&rig->mu);
}

/* ---- Requests -------------------------------------------------------------------------------- */

t_ask *t_ask_bytes(t_rig *rig, const void *bytes, size_t len, unsigned replies,
                   nkvi_submit_when when, int64_t timeout_ms)
{
    t_ask *ask = calloc(1, sizeof *ask);
    nkvi_buf buf;
    T_REQUIRE(ask != NULL);
    nkvi_buf_init(&buf);
    nkvi_buf_append(&buf, bytes, len);
    ask->rig = rig;
    ask->request.replies = replies;
    ask->request.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), or (timeout_ms, 10000));
    ask->request.on_reply = on_reply;
    ask->request.on_done = on_done;
    pthread_mutex_lock(&rig->mu);
    ask->number = ++rig->asked;
    ask->next = rig->asks;
    rig->asks = ask;
    pthread_mutex_unlock(&rig->mu);
    ask->submitted = nkvi_lane_submit(rig->lane, &ask->request, &buf, when, &ask->submit_error);
    T_REQUIRE(buf.len == 0 && buf.cap == 0);
    return ask;
}

t_ask *t_ask_argv(t_rig *rig, const char *const *argv)
{
    nkvi_buf buf;
    nkv_str words[8];
    size_t n = 0;
    nkvi_buf_init(&buf);
    while (argv[n] != NULL && n < 8) {
        words[n] = nkv_cstr(argv[n]);
        n++;
    }
    nkvi_buf_resp(&buf, n, words);
    T_REQUIRE(!buf.failed);
    t_ask *ask = t_ask_bytes(rig, buf.data, buf.len, 1, NKVI_SUBMIT_WAIT, 0);
    nkvi_buf_clear(&buf);
    return ask;
}

nkv_value *t_ask_value(t_ask *ask)
{
    T_REQUIRE(ask->done);
    return ask->value;
}

nkv_status t_ask_wait(t_ask *ask)
{
    struct timespec until = after_ms(20000);
    T_REQUIRE(ask->submitted == NKV_OK);
    pthread_mutex_lock(&ask->rig->mu);
    while (!ask->done) {
        if (!wait_change(ask->rig, &until)) {
            T_DIE("request %u never ended; diary: %.*s", ask->number, (int)ask->rig->diary.len,
                  ask->rig->diary.data);
        }
    }
    pthread_mutex_unlock(&ask->rig->mu);
    return ask->status;
}
