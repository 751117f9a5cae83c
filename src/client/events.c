/* client/events.c - what the tracked lanes tell: invalidations, flushes, health; and who is told
 * of it.
 *
 * Order: first the cache, then the flight between its two answers, then the counters, then the
 * user. */
#include <string.h>

#include "base/mem.h"
#include "client/client_int.h"
#include "tracking/push.h"

#define SPURIOUS_NS     (5 * NKVI_NS_PER_MS)    /* so soon after its fill: spurious */
#define PRESSURE_NS     (1000 * NKVI_NS_PER_MS) /* window for comparing with fills */
#define PRESSURE_AT_ALL 32u                     /* fewer in a window are no sign */

/* ---- telling --------------------------------------------------------------------------------- */

typedef struct posted_event {
    nkvi_task task;
    nkv_client *client;
    nkv_event event; /* key and text lie behind */
    char bytes[];
} posted_event;

static void posted_run(nkvi_task *task)
{
    posted_event *posted = NKVI_CONTAINER(task, posted_event, task);
    posted->client->options.on_event(&posted->event, posted->client->options.on_event_ud);
    atomic_fetch_sub(&posted->client->posted, 1);
    nkvi_client_leave(posted->client);
    nkvi_free(posted);
}

void nkvi_event_emit(nkv_client *client, const nkv_event *event)
{
    if (client->options.on_event == NULL) {
        return;
    }
    nkv_event full = *event;
    full.node = event->node != NULL ? event->node : "";
    full.text = event->text != NULL ? event->text : "";
    if (nkvi_loop_is_current(client->loop)) {
        client->options.on_event(&full, client->options.on_event_ud);
        return;
    }
    if (!nkvi_client_enter(client)) {
        return;
    }
    size_t text_size = strlen(full.text) + 1;
    bool room = atomic_fetch_add(&client->posted, 1) < NKVI_POSTED_MAX;
    posted_event *posted = room ? nkvi_alloc(sizeof *posted + full.key.len + text_size) : NULL;
    if (posted == NULL) {
        atomic_fetch_sub(&client->posted, 1);
        nkvi_client_leave(client); /* the event is lost, and nothing else */
        return;
    }
    if (full.key.len > 0) {
        memcpy(posted->bytes, full.key.data, full.key.len);
    }
    full.key.data = posted->bytes;
    full.text = memcpy(posted->bytes + full.key.len, full.text, text_size);
    posted->task.run = posted_run;
    posted->client = client;
    posted->event = full;
    nkvi_loop_post(client->loop, &posted->task);
}

/* ---- peers ----------------------------------------------------------------------------------- */

bool nkvi_client_on_open(void *ud, nkvi_peer *peer)
{
    (void)ud;
    peer->user = nkvi_calloc(1, sizeof(nkvi_peer_state));
    return peer->user != NULL;
}

void nkvi_client_on_close(void *ud, nkvi_peer *peer)
{
    (void)ud;
    nkvi_free(peer->user);
    peer->user = NULL;
}

/* ---- invalidations --------------------------------------------------------------------------- */

void nkvi_client_note_fill(nkvi_peer *peer, uint64_t key_hash, int64_t now_ns)
{
    nkvi_peer_state *state = peer->user;
    state->recent[key_hash & (NKVI_RECENT - 1)].hash = key_hash;
    state->recent[key_hash & (NKVI_RECENT - 1)].at_ns = now_ns;
    state->pressure_fills++;
}

/* A server whose tracking table is full drops keys right after it answered them: it then tells of
 * many keys that were filled only a moment ago. */
static void watch_pressure(nkv_client *client, nkvi_peer *peer, uint64_t key_hash, bool between,
                           int64_t now_ns)
{
    nkvi_peer_state *state = peer->user;
    if (between) {
        nkvi_client_note_fill(peer, key_hash, now_ns); /* it came even before it could be filled */
    }
    if (now_ns - state->pressure_window_ns > PRESSURE_NS) {
        state->pressure_window_ns = now_ns;
        state->pressure_spurious = state->pressure_fills = 0;
    }
    uint64_t slot = key_hash & (NKVI_RECENT - 1);
    if (state->recent[slot].hash != key_hash || now_ns - state->recent[slot].at_ns > SPURIOUS_NS) {
        return;
    }
    state->recent[slot].hash = 0;
    nkvi_count_add(&client->counters, NKVI_C_SPURIOUS, 1);
    if (++state->pressure_spurious == PRESSURE_AT_ALL &&
        state->pressure_spurious * 2 > state->pressure_fills) {
        nkv_event event = {.type = NKV_EVENT_PRESSURE,
                           .node = nkvi_peer_address(peer),
                           .text = "most keys are invalidated right after they are read: "
                                   "tracking-table-max-keys of the server may be too small"};
        nkvi_event_emit(client, &event);
    }
}

bool nkvi_client_others_fill(const nkv_client *client)
{
    return nkvi_cache_owner_count(client->cache) > atomic_load(&client->owners) ||
           client->connector->overlaps;
}

static void invalidate_key(nkv_client *client, nkvi_peer *peer, nkv_str key)
{
    nkvi_query query = {.key = key, .space = client->space};
    nkvi_query_hash(client->cache, &query);
    /* What this lane heard must keep out older answers of others, which may still be in their
     * sockets.  (Its own come later on the same stream.) */
    if (nkvi_client_others_fill(client)) {
        nkvi_fence_touch(client->fence, query.key_hash); /* first: a fill is refused, or dropped */
    }
    (void)nkvi_cache_invalidate(client->cache, client->space, key);
    bool between = nkvi_flight_pushed(peer, &key);
    nkvi_count_add(&client->counters, NKVI_C_INVALIDATIONS, 1);
    watch_pressure(client, peer, query.key_hash, between, nkvi_loop_now_ns(client->loop));
    nkv_event event = {.type = NKV_EVENT_INVALIDATE, .key = key, .node = nkvi_peer_address(peer)};
    nkvi_event_emit(client, &event);
}

static void flush_all(nkv_client *client, nkvi_peer *peer, const char *text)
{
    if (nkvi_client_others_fill(client)) {
        nkvi_fence_touch_all(client->fence);
    }
    nkvi_cache_flush(client->cache, client->space);
    (void)nkvi_flight_pushed(peer, NULL);
    nkvi_count_add(&client->counters, NKVI_C_FLUSHES, 1);
    nkv_event event = {.type = NKV_EVENT_FLUSH,
                       .cause = NKV_FLUSH_SERVER,
                       .node = nkvi_peer_address(peer),
                       .text = text};
    nkvi_event_emit(client, &event);
}

void nkvi_client_on_push(void *ud, nkvi_peer *peer, const nkv_reply *push)
{
    nkv_client *client = ud;
    nkvi_push decoded = nkvi_push_decode(push);
    switch (decoded.kind) {
    case NKVI_PUSH_KEYS:
        for (size_t i = 0; i < decoded.n; i++) {
            invalidate_key(client, peer, nkvi_push_key(&decoded, i));
        }
        break;
    case NKVI_PUSH_FLUSH:
        flush_all(client, peer,
                  decoded.malformed ? "an invalidation that could not be understood"
                                    : "the server flushed");
        break;
    case NKVI_PUSH_REDIR_BROKEN:
        flush_all(client, peer, "the server lost the connection that it redirected to");
        break;
    case NKVI_PUSH_UNKNOWN:
        nkvi_count_add(&client->counters, NKVI_C_UNKNOWN_PUSHES, 1);
        break;
    }
}

/* A connector of the user's own tells from threads of its own, while answers to what was asked
  * before are on others: the fence keeps those out, whoever fills the cache.  It moves first, so
  * that a fill is either refused, or dropped by what follows. */
void nkvi_client_on_told(void *ud, nkvi_peer *peer, const nkv_str *key, const char *why)
{
    nkv_client *client = ud;
    nkv_event event = {.type = NKV_EVENT_INVALIDATE, .node = nkvi_peer_address(peer)};
    if (key == NULL) {
        nkvi_fence_touch_all(client->fence);
        nkvi_cache_flush(client->cache, client->space);
        nkvi_count_add(&client->counters, NKVI_C_FLUSHES, 1);
        event.type = NKV_EVENT_FLUSH;
        event.cause = NKV_FLUSH_SERVER;
        event.text = why;
    } else {
        nkvi_query query = {.key = *key, .space = client->space};
        nkvi_query_hash(client->cache, &query);
        nkvi_fence_touch(client->fence, query.key_hash);
        (void)nkvi_cache_invalidate(client->cache, client->space, *key);
        nkvi_count_add(&client->counters, NKVI_C_INVALIDATIONS, 1);
        event.key = *key;
    }
    nkvi_event_emit(client, &event);
}

/* ---- states ---------------------------------------------------------------------------------- */

static void tell_armed(nkv_client *client, nkvi_peer *peer, const nkvi_lane_info *info)
{
    nkvi_peer_state *state = peer->user;
    bool armed = info->state == NKVI_LANE_ARMED;
    if (state->known && armed == state->armed && info->state != NKVI_LANE_UNTRACKED) {
        return;
    }
    state->armed = armed;
    nkv_event event = {.type = armed ? NKV_EVENT_ARMED : NKV_EVENT_DISARMED,
                       .node = nkvi_peer_address(peer),
                       .text = armed ? "" : info->last_error.text};
    nkvi_event_emit(client, &event);
}

static void tell_health(nkv_client *client, nkvi_peer *peer, const nkvi_lane_info *info)
{
    nkvi_peer_state *state = peer->user;
    bool healthy = info->state == NKVI_LANE_ARMED && info->healthy;
    if (state->known && healthy == state->healthy) {
        return;
    }
    state->healthy = healthy;
    nkv_event event = {.type = NKV_EVENT_HEALTH,
                       .healthy = healthy,
                       .node = nkvi_peer_address(peer),
                       .text = healthy ? "" : info->last_error.text};
    nkvi_event_emit(client, &event);
}

void nkvi_client_on_change(void *ud, nkvi_peer *peer, const nkvi_lane_info *info,
                           nkv_flush_cause cause)
{
    nkv_client *client = ud;
    if (info->state == NKVI_LANE_DOWN) {
        /* The server that comes back may be a newer one. */
        ((nkvi_peer_state *)peer->user)->no_field_expiry = false;
        ((nkvi_peer_state *)peer->user)->no_presence = false;
    }
    if (cause != NKV_FLUSH_NONE) {
        nkvi_count_add(&client->counters, NKVI_C_FLUSHES, 1);
        nkv_event event = {.type = NKV_EVENT_FLUSH,
                           .cause = cause,
                           .node = nkvi_peer_address(peer),
                           .text = info->last_error.text};
        nkvi_event_emit(client, &event);
    }
    tell_armed(client, peer, info);
    tell_health(client, peer, info);
    ((nkvi_peer_state *)peer->user)->known = true;
}

void nkvi_client_on_state(void *ud, nkvi_peer *peer)
{
    nkv_client *client = ud;
    (void)peer;
    pthread_mutex_lock(&client->state_mu);
    client->state_changes++;
    pthread_cond_broadcast(&client->state_cond);
    pthread_mutex_unlock(&client->state_mu);
}
