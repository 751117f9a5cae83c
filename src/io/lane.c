/* io/lane.c - see lane.h: birth, end and snapshot of a lane; lane_impl.h shows its parts. */
#include "io/lane.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "io/lane_impl.h"

/* A copy of a string that may be NULL; *ok becomes false when memory runs out. */
static const char *copy(const char *text, bool *ok)
{
    if (text == NULL) {
        return NULL;
    }
    char *own = nkvi_strndup(text, strlen(text));
    *ok = *ok && own != NULL;
    return own;
}

static void drop(const char *text)
{
    nkvi_free((void *)(uintptr_t)text);
}

static void drop_secret(const char *text)
{
    if (text != NULL) {
        explicit_bzero((void *)(uintptr_t)text, strlen(text));
        drop(text);
    }
}

static bool copy_endpoint(nkvi_endpoint *own, const nkvi_endpoint *from)
{
    bool ok = true;
    own->path = copy(from->path, &ok);
    own->host = copy(from->path == NULL && from->host == NULL ? "127.0.0.1" : from->host, &ok);
    own->port = from->port;
    own->username = copy(from->username, &ok);
    own->password = copy(from->password, &ok);
    own->client_name = copy(from->client_name, &ok);
    own->db = from->db;
    own->nowhere = from->nowhere;
    return ok;
}

void nkvi_endpoint_address(const nkvi_endpoint *endpoint, char *out, size_t size)
{
    if (endpoint->path != NULL) {
        (void)snprintf(out, size, "%s", endpoint->path);
    } else if (strchr(endpoint->host, ':') != NULL) {
        (void)snprintf(out, size, "[%.100s]:%d", endpoint->host, endpoint->port);
    } else {
        (void)snprintf(out, size, "%.100s:%d", endpoint->host, endpoint->port);
    }
}

bool nkvi_endpoint_is_near(const nkvi_endpoint *endpoint)
{
    const char *host = endpoint->host;
    return endpoint->path != NULL || strcasecmp(host, "localhost") == 0 ||
           strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static void lane_free(nkvi_lane *lane)
{
    nkvi_endpoint *endpoint = &lane->config.endpoint;
    drop(endpoint->path);
    drop(endpoint->host);
    drop(endpoint->username);
    drop_secret(endpoint->password);
    drop(endpoint->client_name);
    nkvi_ring_clear(&lane->order);
    nkvi_ring_clear(&lane->doomed);
    nkvi_ring_clear(&lane->fresh);
    nkvi_buf_clear(&lane->pending);
    nkvi_buf_clear(&lane->flight);
    pthread_cond_destroy(&lane->written);
    pthread_mutex_destroy(&lane->mu);
    nkvi_free(lane);
}

nkv_status nkvi_lane_create(nkvi_loop *loop, const nkvi_lane_config *config, nkvi_lane **out,
                            nkv_error *error)
{
    assert(config->owner == NULL || config->cache != NULL);
    *out = NULL;
    nkvi_lane *lane = nkvi_calloc(1, sizeof *lane);
    if (lane == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for a connection");
    }
    lane->loop = loop;
    lane->ev = nkvi_loop_ev(loop);
    lane->config = *config;
    pthread_mutex_init(&lane->mu, NULL);
    pthread_cond_init(&lane->written, NULL);
    nkvi_wire_init(&lane->wire);
    nkvi_backoff_init(&lane->backoff, config->backoff_min_ms > 0 ? config->backoff_min_ms : 1,
                      config->backoff_max_ms, nkvi_random_seed());
    lane->due_ns = lane->soonest_ns = NKVI_NEVER;
    lane->idle = true;
    atomic_init(&lane->last_rx_ns, INT64_MIN);
    if (!copy_endpoint(&lane->config.endpoint, &config->endpoint)) {
        lane_free(lane);
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for a connection");
    }
    nkvi_endpoint_address(&lane->config.endpoint, lane->address, sizeof lane->address);
    nkvi_lane_watchers_init(lane);
    *out = lane;
    return NKV_OK;
}

void nkvi_lane_start(nkvi_lane *lane)
{
    if (lane->phase == NKVI_PHASE_IDLE && !lane->closed) {
        pthread_mutex_lock(&lane->mu);
        lane->idle = false;
        pthread_mutex_unlock(&lane->mu);
        nkvi_lane_attempt(lane);
    }
}

void nkvi_lane_stop(nkvi_lane *lane)
{
    nkv_error error;
    assert(!lane->dispatching);
    if (lane->closed) {
        return;
    }
    if (lane->generation != 0) {
        nkvi_cache_owner_end(lane->config.cache, lane->config.owner);
    }
    nkvi_fail(&error, NKV_ECLOSED, "%s: the connection is being closed", lane->address);
    pthread_mutex_lock(&lane->mu);
    lane->closed = true;
    lane->state = NKVI_LANE_DOWN;
    lane->generation = 0;
    nkvi_lane_tx_end(lane);
    pthread_mutex_unlock(&lane->mu);
    nkvi_lane_hang_up(lane);
    lane->phase = NKVI_PHASE_IDLE;
    nkvi_lane_watchers_stop(lane);
    nkvi_resolve_cancel(lane->resolve);
    lane->resolve = NULL;
    nkvi_lane_fail_doomed(lane, &error, error.status);
}

void nkvi_lane_destroy(nkvi_lane *lane)
{
    if (lane != NULL) {
        nkvi_lane_stop(lane);
        lane_free(lane);
    }
}

void nkvi_lane_get_info(nkvi_lane *lane, nkvi_lane_info *info)
{
    int64_t idle_max_ns = nkvi_deadline_ns(0, lane->config.max_idle_ms);
    memset(info, 0, sizeof *info);
    pthread_mutex_lock(&lane->mu);
    info->state = lane->state;
    info->client_id = lane->client_id;
    info->reconnects = lane->ups > 0 ? lane->ups - 1 : 0;
    info->writes = lane->writes;
    info->last_error = lane->last_error;
    pthread_mutex_unlock(&lane->mu);
    /* Behind the state: a lane that is up has been heard, so nothing overflows below. */
    int64_t rx_ns = atomic_load_explicit(&lane->last_rx_ns, memory_order_relaxed);
    info->last_rx_ns = rx_ns;
    info->healthy = info->state != NKVI_LANE_DOWN &&
                    (lane->config.max_idle_ms <= 0 || nkvi_now_ns() - rx_ns < idle_max_ns);
    info->inflight = (uint64_t)atomic_load_explicit(&lane->inflight, memory_order_relaxed);
}

const char *nkvi_lane_address(const nkvi_lane *lane)
{
    return lane->address;
}
