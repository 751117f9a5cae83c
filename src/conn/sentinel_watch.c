/* conn/sentinel_watch.c - see sentinel_impl.h: what sentinels answer and announce. */
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/sentinel_impl.h"

#define HURRY_NS (100 * NKVI_NS_PER_MS) /* between two questions while the primary is wanted */

/* ---- what comes ------------------------------------------------------------------------------ */

/* Whose word counts: the newest configuration's; any, while the primary that we know is silent. */
static bool is_believed(const watcher *w, const server *named, int64_t now_ns)
{
    const sentinels *all = w->all;
    const server *primary = atomic_load(&all->primary);
    /* One that has not heard of the switch yet names the one before. */
    bool as_new =
        primary != NULL && w->epoch == all->epoch && !primary->speaks && named != all->before;
    return primary == NULL || w->epoch > all->epoch || as_new ||
           now_ns - primary->heard_ns > all->max_age_ns;
}

static void take_primary(watcher *w, int64_t now_ns)
{
    sentinels *all = w->all;
    server *named = nkvi_server_named(all, nkv_cstr(w->primary.host), w->primary.port);
    if (named == NULL) {
        return;
    }
    if (named == atomic_load(&all->primary)) {
        all->epoch = w->epoch > all->epoch ? w->epoch : all->epoch;
    } else if (is_believed(w, named, now_ns)) {
        nkvi_server_promote(all, named, w->epoch);
    }
}

static void take_replicas(watcher *w, int64_t now_ns)
{
    sentinels *all = w->all;
    bool wanted = all->read_from > NKVI_URL_READ_PRIMARY;
    for (size_t i = 0; wanted && i < w->replicas.n; i++) {
        const nkvi_sentinel_address *at = &w->replicas.nodes[i].at;
        server *s = nkvi_server_named(all, nkv_cstr(at->host), at->port);
        if (s != NULL) {
            s->listed = true;
            s->named_ns = now_ns;
        }
    }
}

static void take_others(const watcher *w)
{
    for (size_t i = 0; i < w->others.n; i++) {
        char host[NKVI_HOST_SIZE];
        int port;
        nkvi_address_map_apply(w->all->addresses, w->others.nodes[i].at.host,
                               w->others.nodes[i].at.port, host, sizeof host, &port);
        (void)nkvi_watcher_add(w->all, host, port, NULL);
    }
}

/* The address, MASTER, REPLICAS, SENTINELS.  While a sentinel leads a failover, MASTER names the
 * server that is being replaced, with the epoch of the one that replaces it; the address is right.
 * [loop] */
static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    watcher *w = NKVI_CONTAINER(request, watcher, request);
    nkvi_sentinel_node primary;
    switch (index) {
    case 0:
        w->named = nkvi_sentinel_address_parse(&reply->root, &w->primary, &w->error);
        break;
    case 1:
        (void)nkvi_sentinel_primary_parse(&reply->root, &primary, NULL);
        w->epoch = primary.epoch;
        break;
    case 2:
        (void)nkvi_sentinel_replicas_parse(&reply->root, &w->replicas, NULL);
        break;
    default:
        (void)nkvi_sentinel_others_parse(&reply->root, &w->others, NULL);
        break;
    }
    nkvi_draft_clear(reply);
}

static void note_failure(watcher *w)
{
    const char *address = nkvi_lane_address(w->lane);
    nkv_error error = w->error;
    if (w->named == NKV_NOT_FOUND) {
        (void)nkvi_fail(&error, NKV_EREPLY, "%s: this sentinel knows no service '%.100s'", address,
                        w->all->service);
    } else if (w->named == NKV_EPROTO) {
        (void)nkvi_fail(&error, NKV_EPROTO, "%s: %s", address, w->error.text);
    }
    nkvi_sentinels_note_error(w->all, &error);
}

/* [loop] */
static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    watcher *w = NKVI_CONTAINER(request, watcher, request);
    sentinels *all = w->all;
    int64_t now_ns = nkvi_loop_now_ns(all->config.loop);
    w->due_ns = w->asked_ns + all->max_age_ns / 2;
    w->asked_ns = NKVI_NEVER;
    if (status != NKV_OK) {
        w->named = status;
        w->error = *error;
        w->error.status = status;
    }
    if (w->named == NKV_OK) {
        take_primary(w, now_ns);
        take_replicas(w, now_ns);
        take_others(w);
    } else {
        note_failure(w);
        w->due_ns = now_ns + HURRY_NS;
    }
    nkvi_sentinel_list_clear(&w->replicas);
    nkvi_sentinel_list_clear(&w->others);
}

static bool same_text(nkv_str a, const char *b)
{
    return a.len == strlen(b) && memcmp(a.data, b, a.len) == 0;
}

/* A switch from the primary that we know is followed at once; of another one, which may be long
 * over, the sentinels' answers tell what is so now. */
static void take_switch(sentinels *all, const nkvi_switch *to)
{
    server *from = nkvi_server_named(all, to->old_host, to->old_port);
    server *named = nkvi_server_named(all, to->new_host, to->new_port);
    if (named != NULL && from != NULL && from == atomic_load(&all->primary)) {
        nkvi_server_promote(all, named, all->epoch);
    }
}

/* An announcement; what else a push may be (the answer to SUBSCRIBE) is of no interest. */
static void on_push(void *ud, const nkv_reply *push)
{
    watcher *w = ud;
    nkvi_sentinel_event event;
    nkv_str channel, payload;
    if (!nkvi_message_parse(push, &channel, &payload) ||
        !nkvi_sentinel_event_parse(channel, payload, &event) ||
        !same_text(event.service, w->all->service)) {
        return;
    }
    if (event.switched) {
        take_switch(w->all, &event.to);
    }
    if (event.refresh) {
        nkvi_watchers_hurry(w->all);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void subscribed(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    (void)request;
    (void)index;
    nkvi_draft_clear(reply);
}

static void subscription_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    watcher *w = NKVI_CONTAINER(request, watcher, subscription);
    (void)error;
    w->subscribing = false;
    w->subscribed = status == NKV_OK;
}

/* SUBSCRIBE answers with pushes, so something with a reply stands behind it. */
static void subscribe(watcher *w)
{
    static const char *const words[] = {
        "SUBSCRIBE", "+switch-master",    "+slave",      "+sdown", "-sdown", "+odown",
        "+reboot",   "+convert-to-slave", "-role-change"};
    nkv_str argv[sizeof words / sizeof words[0]];
    const nkv_str ping = nkv_cstr("PING");
    nkvi_buf bytes;
    if (w->subscribing || w->subscribed) {
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        argv[i] = nkv_cstr(words[i]);
    }
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, sizeof words / sizeof words[0], argv);
    nkvi_buf_resp(&bytes, 1, &ping);
    w->subscription = (nkvi_request){.replies = 1,
                                     .deadline_ns = NKVI_NEVER,
                                     .on_reply = subscribed,
                                     .on_done = subscription_done};
    w->subscribing =
        nkvi_lane_submit(w->lane, &w->subscription, &bytes, NKVI_SUBMIT_WAIT, NULL) == NKV_OK;
}

static void ask(watcher *w)
{
    static const char *const words[] = {"GET-MASTER-ADDR-BY-NAME", "MASTER", "REPLICAS",
                                        "SENTINELS"};
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const nkv_str argv[3] = {nkv_cstr("SENTINEL"), nkv_cstr(words[i]),
                                 nkv_cstr(w->all->service)};
        nkvi_buf_resp(&bytes, 3, argv);
    }
    w->named = NKV_EPROTO;
    memset(&w->error, 0, sizeof w->error);
    w->asked_ns = nkvi_now_ns();
    w->request = (nkvi_request){.replies = 4,
                                .deadline_ns = w->asked_ns + w->all->timeout_ns,
                                .on_reply = on_reply,
                                .on_done = on_done};
    if (nkvi_lane_submit(w->lane, &w->request, &bytes, NKVI_SUBMIT_WAIT, NULL) != NKV_OK) {
        w->asked_ns = NKVI_NEVER;
        w->due_ns = nkvi_now_ns() + HURRY_NS;
    }
}

static void on_change(void *ud, const nkvi_lane_info *info, nkv_flush_cause cause)
{
    watcher *w = ud;
    bool up = info->state != NKVI_LANE_DOWN;
    (void)cause;
    w->subscribed = w->subscribed && up;
    if (up && !w->up) {
        subscribe(w); /* first: what changes behind the answer is announced */
        if (w->asked_ns == NKVI_NEVER) {
            ask(w);
        }
    }
    w->up = up;
}

void nkvi_watchers_hurry(sentinels *all)
{
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        atomic_load(&all->watchers[i])->due_ns = INT64_MIN;
    }
}

/* Why a sentinel cannot be reached is worth telling as long as nobody else answers. */
static void note_lane(watcher *w)
{
    nkvi_lane_info info;
    nkvi_lane_get_info(w->lane, &info);
    if (info.last_error.status != NKV_OK) {
        nkvi_sentinels_note_error(w->all, &info.last_error);
    }
}

void nkvi_watcher_tick(watcher *w, int64_t now_ns)
{
    const server *primary = atomic_load(&w->all->primary);
    bool wanted = primary == NULL || !primary->speaks;
    if (!w->up && wanted) {
        note_lane(w);
    }
    if (w->up) {
        subscribe(w); /* if there was no memory for it before */
    }
    if (w->up && w->asked_ns == NKVI_NEVER) {
        if (wanted && w->due_ns > now_ns + HURRY_NS) {
            w->due_ns = now_ns + HURRY_NS;
        }
        if (now_ns >= w->due_ns) {
            ask(w);
        }
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool is_known(const sentinels *all, const char *host, int port)
{
    for (size_t i = 0; i < atomic_load(&all->watchers_len); i++) {
        const watcher *w = atomic_load(&all->watchers[i]);
        if (w->port == port && strcasecmp(w->host, host) == 0) {
            return true;
        }
    }
    return false;
}

bool nkvi_watcher_add(sentinels *all, const char *host, int port, nkv_error *error)
{
    size_t n = atomic_load(&all->watchers_len);
    if (n == NKVI_SENTINELS_MAX || is_known(all, host, port)) {
        return true;
    }
    watcher *w = nkvi_calloc(1, sizeof *w);
    if (w == NULL) {
        (void)nkvi_fail(error, NKV_ENOMEM, "no memory for a sentinel");
        return false;
    }
    w->all = all;
    w->port = port;
    w->asked_ns = NKVI_NEVER;
    memcpy(w->host, host, strlen(host) + 1);
    nkvi_lane_config config = all->watch;
    config.endpoint.host = w->host;
    config.endpoint.port = port;
    config.handler = (nkvi_lane_handler){.on_push = on_push, .on_change = on_change, .ud = w};
    if (nkvi_lane_create(all->config.loop, &config, &w->lane, error) != NKV_OK) {
        nkvi_free(w);
        return false;
    }
    atomic_store(&all->watchers[n], w);
    atomic_store(&all->watchers_len, n + 1);
    if (all->started) {
        nkvi_watcher_start(w);
    }
    return true;
}

void nkvi_watcher_start(watcher *w)
{
    nkvi_lane_start(w->lane);
}

void nkvi_watcher_destroy(watcher *w)
{
    nkvi_lane_destroy(w->lane);
    nkvi_sentinel_list_clear(&w->replicas);
    nkvi_sentinel_list_clear(&w->others);
    nkvi_free(w);
}
