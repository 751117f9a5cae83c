/* conn/foreign_voucher.c - what the user's threads tell of the store.
 *
 * Whatever concerns the cache takes effect inside the call, on the thread that calls; only events
 * wait for the loop.  The fence moves before the entry is dropped (on_told), so that a read which
 * was under way is refused, or is dropped. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/foreign_impl.h"

#define NEWS_MAX 64u /* changes of state on their way to the loop; beyond, the watch tells them */

/* A change of state on its way to the loop. */
typedef struct news {
    nkvi_task task;
    nkvi_foreign *foreign;
    nkvi_lane_info info;
    nkv_flush_cause cause;
} news;

/* [loop] */
static void say(nkvi_foreign *foreign, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    const nkvi_peer_handler *handler = &foreign->config.handler;
    foreign->voucher.told_armed = info->state == NKVI_LANE_ARMED;
    foreign->voucher.told_healthy = info->healthy;
    handler->on_change(handler->ud, foreign->peer, info, cause);
}

/* [loop] */
static void news_run(nkvi_task *task)
{
    news *self = NKVI_CONTAINER(task, news, task);
    say(self->foreign, &self->info, self->cause);
    atomic_fetch_sub(&self->foreign->voucher.news, 1);
    nkvi_free(self);
}

static void tell(nkvi_foreign *foreign, nkv_flush_cause cause)
{
    const nkvi_peer_handler *handler = &foreign->config.handler;
    nkv_voucher *voucher = &foreign->voucher;
    bool room = atomic_fetch_add(&voucher->news, 1) < NEWS_MAX;
    news *self = room ? nkvi_alloc(sizeof *self) : NULL;
    if (self != NULL) {
        memset(self, 0, sizeof *self);
        self->task.run = news_run;
        self->foreign = foreign;
        self->cause = cause;
        nkvi_foreign_get_info(foreign, &self->info);
        nkvi_loop_post(foreign->config.loop, &self->task);
    } else {
        if (cause != NKV_FLUSH_NONE) {
            atomic_store(&voucher->unsaid_end, true);
        }
        atomic_fetch_sub(&voucher->news, 1);
    }
    handler->on_state(handler->ud, foreign->peer);
}

void nkvi_voucher_watch(nkvi_foreign *foreign)
{
    nkv_voucher *voucher = &foreign->voucher;
    nkvi_lane_info info;
    if (atomic_load(&voucher->news) > 0) {
        return; /* they know better */
    }
    bool ended = atomic_exchange(&voucher->unsaid_end, false);
    nkvi_foreign_get_info(foreign, &info);
    bool armed = info.state == NKVI_LANE_ARMED;
    if (!ended && armed == voucher->told_armed && info.healthy == voucher->told_healthy) {
        return;
    }
    if (armed && !info.healthy) {
        (void)nkvi_fail(&info.last_error, NKV_ECONN,
                        "%s: the connector has been silent for too long", foreign->name);
    }
    say(foreign, &info, ended ? NKV_FLUSH_CONNECTION : NKV_FLUSH_NONE);
}

/* ============ The functions of <nearkv/connector.h> ============ */

static bool vouches(const nkv_voucher *voucher)
{
    return voucher->owner != NULL && atomic_load(&voucher->owner->generation) % 2 == 1;
}

void nkv_voucher_begin(nkv_voucher *voucher)
{
    pthread_mutex_lock(&voucher->mu);
    bool begins = voucher->owner != NULL && !voucher->closed && !vouches(voucher);
    if (begins) {
        int64_t now_ns = nkvi_now_ns();
        voucher->begins++;
        voucher->heard_ns = now_ns;
        (void)nkvi_cache_owner_begin(voucher->cache, voucher->owner,
                                     nkvi_deadline_ns(now_ns, voucher->max_idle_ms));
    }
    pthread_mutex_unlock(&voucher->mu);
    if (begins) {
        tell(voucher->foreign, NKV_FLUSH_NONE);
    }
}

void nkv_voucher_end(nkv_voucher *voucher, const char *why)
{
    pthread_mutex_lock(&voucher->mu);
    bool ends = vouches(voucher) && !voucher->closed;
    if (ends) {
        nkvi_cache_owner_end(voucher->cache, voucher->owner);
    }
    (void)nkvi_fail(&voucher->why, NKV_ECONN, "%s: %s", voucher->foreign->name,
                    why != NULL ? why : "the connector does not vouch any more");
    pthread_mutex_unlock(&voucher->mu);
    if (ends) {
        tell(voucher->foreign, NKV_FLUSH_CONNECTION);
    }
}

void nkv_voucher_heard(nkv_voucher *voucher)
{
    bool was_silent = false;
    pthread_mutex_lock(&voucher->mu);
    if (vouches(voucher) && !voucher->closed) {
        voucher->heard_ns = nkvi_now_ns();
        was_silent = atomic_load(&voucher->owner->fresh_until_ns) <= voucher->heard_ns;
        atomic_store_explicit(&voucher->owner->fresh_until_ns,
                              nkvi_deadline_ns(voucher->heard_ns, voucher->max_idle_ms),
                              memory_order_release);
    }
    pthread_mutex_unlock(&voucher->mu);
    if (was_silent) {
        tell(voucher->foreign, NKV_FLUSH_NONE);
    }
}

/* Without an owner that vouches there is nothing to forget: what was read before its end is
 * unusable, and what is read before its next begin is not kept. */
static void told(nkv_voucher *voucher, const nkv_str *key, const char *why)
{
    if (vouches(voucher)) {
        const nkvi_peer_handler *handler = &voucher->foreign->config.handler;
        handler->on_told(handler->ud, voucher->foreign->peer, key, why);
    }
}

void nkv_voucher_invalidate(nkv_voucher *voucher, nkv_str key)
{
    told(voucher, &key, NULL);
}

void nkv_voucher_flush(nkv_voucher *voucher, const char *why)
{
    told(voucher, NULL, why != NULL ? why : "the connector flushed");
}

int64_t nkv_voucher_max_idle_ms(const nkv_voucher *voucher)
{
    return voucher->max_idle_ms;
}

/* ============ Life ============ */

void nkvi_voucher_init(nkvi_foreign *foreign)
{
    nkv_voucher *voucher = &foreign->voucher;
    voucher->foreign = foreign;
    voucher->cache = foreign->config.lane.cache;
    voucher->max_idle_ms = foreign->config.lane.max_idle_ms;
    voucher->heard_ns = INT64_MIN;
    (void)pthread_mutex_init(&voucher->mu, NULL);
    (void)nkvi_fail(&voucher->why, NKV_ENOTSUP, "%s: the connector does not vouch for anything%s",
                    foreign->table.name, foreign->table.open != NULL ? " yet" : "");
}

void nkvi_voucher_close(nkvi_foreign *foreign)
{
    nkv_voucher *voucher = &foreign->voucher;
    pthread_mutex_lock(&voucher->mu);
    voucher->closed = true;
    if (voucher->owner != NULL) {
        nkvi_cache_owner_end(voucher->cache, voucher->owner);
    }
    pthread_mutex_unlock(&voucher->mu);
}

void nkvi_voucher_clear(nkvi_foreign *foreign)
{
    (void)pthread_mutex_destroy(&foreign->voucher.mu);
}

void nkvi_foreign_get_info(nkvi_foreign *foreign, nkvi_lane_info *info)
{
    nkv_voucher *voucher = &foreign->voucher;
    memset(info, 0, sizeof *info);
    pthread_mutex_lock(&voucher->mu);
    bool armed = vouches(voucher);
    info->state = armed ? NKVI_LANE_ARMED : NKVI_LANE_UNTRACKED;
    info->healthy = armed && nkvi_now_ns() < atomic_load(&voucher->owner->fresh_until_ns);
    info->last_rx_ns = voucher->heard_ns;
    info->reconnects = voucher->begins > 0 ? voucher->begins - 1 : 0;
    info->last_error = voucher->why;
    pthread_mutex_unlock(&voucher->mu);
    info->writes = atomic_load(&foreign->calls);
    pthread_mutex_lock(&foreign->mu);
    info->inflight = foreign->open;
    pthread_mutex_unlock(&foreign->mu);
}
