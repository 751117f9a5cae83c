/* client/barrier.c - see barrier.h.
 *
 * Both are small objects of their own, because the caller may leave at its deadline before the
 * loop is done with them: whoever ends them frees them. */
#include "client/barrier.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/again.h"
#include "client/gather.h"
#include "client/own_call.h"
#include "conn/role.h"

typedef struct ping {
    nkvi_request request;
    nkv_client *client;
    nkvi_peer *peer;
    nkvi_barrier_kind kind;
    bool refused;      /* the peer has no say any more */
    nkvi_list waiters; /* guarded by flights->mu */
} ping;

typedef struct drain {
    nkvi_task task;
    nkv_client *client;
    nkvi_peer *peer;
    nkvi_list waiters; /* guarded by flights->mu */
} drain;

static void put_waiter(nkv_client *client, nkvi_list *list, nkvi_waiter *waiter)
{
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(list, &waiter->node);
    pthread_mutex_unlock(&client->flights.mu);
}

/* Nothing could be sent. */
static void wake_failed(nkvi_waiter *waiter, nkv_status status, const char *text)
{
    nkv_error error;
    (void)nkvi_fail(&error, status, "%s", text);
    waiter->wake(waiter, status, NULL, &error);
}

static bool is_primary(const nkv_reply *reply)
{
    nkvi_role role;
    return nkvi_role_parse(reply, &role) && role.kind == NKVI_ROLE_PRIMARY;
}

/* Whatever it is, it came after the invalidations. */
static void ping_on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    ping *self = NKVI_CONTAINER(request, ping, request);
    (void)index;
    switch (self->kind) {
    case NKVI_BARRIER_PING:
        break;
    case NKVI_BARRIER_KEYS:
        self->refused = reply->root.type != NKV_TYPE_INTEGER;
        break;
    case NKVI_BARRIER_ROLE:
        self->refused = !is_primary(&reply->root);
        break;
    }
    if (self->refused && reply->root.type == NKV_TYPE_ERROR) {
        nkvi_again_hear(self->client, self->peer, &reply->root);
    }
    nkvi_draft_clear(reply);
}

static void ping_on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    ping *self = NKVI_CONTAINER(request, ping, request);
    nkv_error refused;
    if (status == NKV_OK && self->refused) {
        status = nkvi_fail(&refused, NKV_ECONN, "%s: it has no say about the key any more",
                           nkvi_peer_address(self->peer));
        error = &refused;
    }
    nkvi_waiters_wake(&self->client->flights, &self->waiters, status, NULL, error);
    nkvi_free(self);
}

void nkvi_barrier_keys(nkvi_buf *keys, size_t n)
{
    nkvi_buf_resp_header(keys, n + 1);
    nkvi_buf_resp_arg(keys, nkv_cstr("EXISTS"));
}

/* What the barrier asks. */
static nkvi_barrier_kind ping_bytes(const nkv_client *client, nkvi_buf *keys, nkvi_buf *bytes)
{
    nkvi_barrier_kind kind = keys != NULL ? client->connector->barrier : NKVI_BARRIER_PING;
    nkv_str name = nkv_cstr(kind == NKVI_BARRIER_ROLE ? "ROLE" : "PING");
    nkvi_buf_init(bytes);
    if (kind == NKVI_BARRIER_KEYS) {
        *bytes = *keys;
        nkvi_buf_init(keys);
    } else {
        nkvi_buf_resp(bytes, 1, &name);
    }
    return kind;
}

static ping *ping_make(nkv_client *client, int64_t deadline_ns, nkvi_waiter *waiter)
{
    ping *self = nkvi_alloc(sizeof *self);
    if (self != NULL) {
        memset(self, 0, sizeof *self);
        self->client = client;
        self->request.replies = 1;
        self->request.deadline_ns = deadline_ns;
        self->request.on_reply = ping_on_reply;
        self->request.on_done = ping_on_done;
        nkvi_list_init(&self->waiters);
        put_waiter(client, &self->waiters, waiter);
    }
    return self;
}

void nkvi_barrier_send(nkv_client *client, nkvi_peer *peer, nkvi_buf *keys, int64_t deadline_ns,
                       nkvi_waiter *waiter)
{
    nkv_error error = {.status = NKV_OK};
    nkvi_buf bytes;
    nkvi_barrier_kind kind = ping_bytes(client, keys, &bytes);
    if (peer->owner == NULL) {
        nkvi_buf_clear(&bytes);
        wake_failed(waiter, NKV_ECONN, "no tracked connection");
        return;
    }
    if (peer->foreign != NULL) {
        nkvi_buf_clear(&bytes);
        nkvi_count_add(&client->counters, NKVI_C_BARRIERS, 1);
        nkvi_own_settle(client, peer, deadline_ns, waiter);
        return;
    }
    ping *self = bytes.failed ? NULL : ping_make(client, deadline_ns, waiter);
    if (self == NULL) {
        nkvi_buf_clear(&bytes);
        wake_failed(waiter, NKV_ENOMEM, "no memory for a barrier");
        return;
    }
    self->peer = peer;
    self->kind = kind;
    nkvi_count_add(&client->counters, NKVI_C_BARRIERS, 1);
    nkv_status status =
        nkvi_lane_submit(peer->tracked, &self->request, &bytes, NKVI_SUBMIT_ARMED, &error);
    if (status != NKV_OK) {
        ping_on_done(&self->request, status, &error);
    }
}

bool nkvi_write_settle_at_once(nkv_client *client)
{
    if (client->written != NULL) {
        nkvi_written_note_all(client->written);
    }
    if (!client->caching) {
        return true;
    }
    if (!nkvi_client_others_fill(client)) {
        return false;
    }
    nkvi_cache_flush_own(client->cache);
    return true;
}

nkv_status nkvi_write_settle(nkv_client *client, nkvi_peer *peer, int64_t deadline_ns,
                             nkv_error *error)
{
    if (nkvi_write_settle_at_once(client)) {
        return NKV_OK;
    }
    nkvi_gather gather;
    nkvi_slot slot;
    nkvi_gather_init(&gather);
    nkvi_slot_open(&slot, &gather);
    nkvi_barrier_send(client, peer, NULL, deadline_ns, &slot.waiter);
    nkvi_gather_wait(&gather, &client->flights, deadline_ns);
    if (slot.status < 0 && error != NULL) {
        *error = gather.error;
    }
    nkvi_gather_clear(&gather);
    return slot.status == NKV_ECONN ? NKV_OK : slot.status;
}

void nkvi_write_unsure(nkv_client *client, nkv_status status)
{
    if (client->caching && status != NKV_EBUSY && status != NKV_EINVAL) {
        nkvi_cache_flush_own(client->cache);
    }
}

static void drain_run(nkvi_task *task)
{
    drain *self = NKVI_CONTAINER(task, drain, task);
    nkv_status status = NKV_ECLOSED;
    if (!atomic_load_explicit(&self->client->closing, memory_order_acquire)) {
        nkvi_lane_drain(self->peer->tracked);
        status = NKV_OK;
    }
    nkvi_waiters_wake(&self->client->flights, &self->waiters, status, NULL, NULL);
    nkvi_free(self);
}

void nkvi_drain_send(nkv_client *client, nkvi_peer *peer, nkvi_waiter *waiter)
{
    if (peer->foreign != NULL) { /* what a connector tells is in force when it has told it */
        waiter->wake(waiter, NKV_OK, NULL, NULL);
        return;
    }
    if (peer->tracked == NULL) {
        wake_failed(waiter, NKV_ECONN, "no tracked connection");
        return;
    }
    drain *self = nkvi_alloc(sizeof *self);
    if (self == NULL) {
        wake_failed(waiter, NKV_ENOMEM, "no memory to drain");
        return;
    }
    memset(self, 0, sizeof *self);
    self->task.run = drain_run;
    self->client = client;
    self->peer = peer;
    nkvi_list_init(&self->waiters);
    put_waiter(client, &self->waiters, waiter);
    nkvi_loop_post(client->loop, &self->task);
}
