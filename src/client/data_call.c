/* client/data_call.c - see data_call.h. */
#include "client/data_call.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/again.h"
#include "client/client_int.h"
#include "client/own_call.h"
#include "client/reply.h"
#include "conn/redirect.h"

typedef struct written_key {
    nkv_str key;
    uint32_t spaces; /* that nkvi_cache_write_begin bracketed */
} written_key;

typedef struct pending_call {
    nkvi_request request;
    nkv_client *client;
    nkvi_list waiters; /* guarded by flights->mu */
    nkvi_draft answer;
    bool flush;
    struct {
        nkvi_buf bytes; /* what was sent; empty: it is not sent again */
        nkv_str route_by;
        nkvi_intent intent;
        nkvi_peer *to;   /* NULL: by the key */
        nkvi_peer *peer; /* whom it was sent to */
        nkvi_peer *there;
        uint16_t hash_slot;
        unsigned tries;
        unsigned commands; /* of the bytes, with a reply each */
        bool resend, opaque, asking;
        nkvi_waiter pause;
    } again;
    size_t keys_len;
    written_key keys[]; /* then their bytes */
} pending_call;

static void write_begin(pending_call *pending)
{
    nkv_cache *cache = pending->client->cache;
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < pending->keys_len; i++) {
        pending->keys[i].spaces = nkvi_cache_write_begin(cache, pending->keys[i].key);
    }
    if (pending->flush) {
        nkvi_cache_flush_own(cache);
    }
}

/* What the cache notes otherwise. */
static void note_written(const pending_call *pending)
{
    nkvi_written *written = pending->client->own_written;
    for (size_t i = 0; written != NULL && i < pending->keys_len; i++) {
        nkvi_written_note(written, pending->keys[i].key);
    }
    if (written != NULL && pending->flush) {
        nkvi_written_note_all(written);
    }
}

static void write_end(pending_call *pending)
{
    nkv_cache *cache = pending->client->cache;
    if (cache == NULL) {
        note_written(pending);
        return;
    }
    for (size_t i = 0; i < pending->keys_len; i++) {
        nkvi_cache_write_end(cache, pending->keys[i].key, pending->keys[i].spaces);
    }
    if (pending->flush) {
        nkv_event event = {.type = NKV_EVENT_FLUSH,
                           .cause = NKV_FLUSH_OWN,
                           .text = "this client flushed or swapped a database"};
        nkvi_cache_flush_own(cache);
        nkvi_count_add(&pending->client->counters, NKVI_C_FLUSHES, 1);
        nkvi_event_emit(pending->client, &event);
    }
}

/* [loop] The last reply is the answer.  If a transaction failed, an error before it is the better
 * one: EXEC only says that there was one. */
static void call_on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    pending_call *pending = NKVI_CONTAINER(request, pending_call, request);
    bool last = index + 1 == request->replies;
    bool error = reply->root.type == NKV_TYPE_ERROR;
    bool earlier = pending->answer.root.type == NKV_TYPE_ERROR;
    if (error && !earlier) {
        nkvi_again_hear(pending->client, pending->again.peer, &reply->root);
    }
    if ((last && !(error && earlier)) || (error && !earlier)) {
        nkvi_draft_clear(&pending->answer);
        pending->answer = *reply;
        nkvi_draft_init(reply);
    } else {
        nkvi_draft_clear(reply);
    }
}

/* Ends the write, wakes, frees.  [loop], or the submitter if nothing was sent. */
static void call_end(pending_call *pending, nkv_status status, const nkv_error *error)
{
    nkv_error own = {.status = NKV_OK};
    nkv_value *value = NULL;
    write_end(pending);
    if (status == NKV_OK) {
        if (pending->answer.root.type == NKV_TYPE_ERROR) {
            status = nkvi_reply_fail(&own, &pending->answer.root);
            error = &own;
        }
        value = nkvi_draft_seal(&pending->answer);
        if (value == NULL && status == NKV_OK) {
            status = nkvi_fail(&own, NKV_ENOMEM, "no memory for an answer");
            error = &own;
        }
    }
    nkvi_draft_clear(&pending->answer);
    nkvi_waiters_wake(&pending->client->flights, &pending->waiters, status, value, error);
    nkv_value_release(value);
    nkvi_buf_clear(&pending->again.bytes);
    nkvi_free(pending);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void call_send(pending_call *pending);

static void pause_over(nkvi_waiter *waiter, nkv_status status, nkv_value *value,
                       const nkv_error *error)
{
    pending_call *pending = NKVI_CONTAINER(waiter, pending_call, again.pause);
    nkv_error late;
    nkv_value_release(value);
    if (status == NKV_OK && nkvi_now_ns() >= pending->request.deadline_ns) {
        status = nkvi_fail(&late, NKV_ETIMEDOUT, "no answer before the deadline of the call");
        error = &late; /* the caller has left: nothing is sent behind his back */
    }
    if (status == NKV_OK) {
        call_send(pending);
    } else {
        call_end(pending, status, error);
    }
}

static bool is_redirected(const nkv_reply *reply)
{
    nkvi_redirect_kind kind = nkvi_redirect_of(reply).kind;
    return kind == NKVI_REDIRECT_MOVED || kind == NKVI_REDIRECT_ASK;
}

/* What was asked has come to this end: it is the caller's, or it is sent again. */
static void call_ended(pending_call *pending, nkv_status status, const nkv_error *error)
{
    const nkv_reply *reply = &pending->answer.root;
    bool refused = status == NKV_OK && reply->type == NKV_TYPE_ERROR;
    bool lost = status == NKV_ECONN && pending->request.sent && !pending->again.resend;
    nkvi_tried tried = {.peer = pending->again.peer,
                        .hash_slot = pending->again.hash_slot,
                        .status = refused ? NKV_EREPLY : status,
                        .reply = refused ? reply : NULL,
                        .deadline_ns = pending->request.deadline_ns,
                        .tries = &pending->again.tries};
    nkvi_again again = NKVI_AGAIN_NOT;
    bool done = pending->again.opaque && refused && !is_redirected(reply);
    if (pending->again.bytes.len > 0 && !lost && !done) {
        again = nkvi_again_judge(pending->client, &tried, &pending->again.there);
    }
    if (again == NKVI_AGAIN_NOT) {
        call_end(pending, status, error);
        return;
    }
    pending->again.asking = again == NKVI_AGAIN_ASKING;
    nkvi_draft_clear(&pending->answer);
    nkvi_draft_init(&pending->answer);
    if (again == NKVI_AGAIN_LATER) {
        nkvi_node_init(&pending->again.pause.node);
        pending->again.pause.wake = pause_over;
        nkvi_pause_send(pending->client, &pending->again.pause);
    } else {
        call_send(pending);
    }
}

static void call_on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    call_ended(NKVI_CONTAINER(request, pending_call, request), status, error);
}

/* The bytes that go out this time; the others are kept where they may have to go out again. */
static void take_bytes(pending_call *pending, nkvi_buf *out)
{
    static const nkv_str asking = {"ASKING", 6};
    nkvi_buf_init(out);
    if (pending->client->connector->ops->again == NULL) {
        *out = pending->again.bytes;
        nkvi_buf_init(&pending->again.bytes);
        return;
    }
    if (pending->again.asking) {
        nkvi_buf_resp(out, 1, &asking);
    }
    nkvi_buf_append(out, pending->again.bytes.data, pending->again.bytes.len);
}

static void call_send(pending_call *pending)
{
    nkv_client *client = pending->client;
    nkv_error error = {.status = NKV_OK};
    nkvi_buf bytes;
    nkvi_route route = nkvi_client_route(client, pending->again.route_by, pending->again.intent);
    take_bytes(pending, &bytes);
    if (pending->again.to != NULL) {
        route = (nkvi_route){.peer = pending->again.to};
    }
    pending->again.hash_slot = route.hash_slot;
    pending->again.peer = pending->again.asking ? pending->again.there : route.peer;
    pending->request.replies = pending->again.commands + pending->again.asking;
    nkv_status status = nkvi_lane_submit(pending->again.peer->data, &pending->request, &bytes,
                                         NKVI_SUBMIT_WAIT, &error);
    if (status != NKV_OK) {
        call_ended(pending, status, &error);
    }
}

static char *copy_key(char *at, nkv_str key, nkv_str *copy)
{
    if (key.len > 0) {
        memcpy(at, key.data, key.len);
    }
    *copy = nkv_str_make(at, key.len);
    return at + key.len;
}

static pending_call *pending_make(nkv_client *client, const nkvi_data_call *call)
{
    size_t bytes = sizeof(pending_call) + call->keys_len * sizeof(written_key) + call->route_by.len;
    for (size_t i = 0; i < call->keys_len; i++) {
        bytes += call->keys[i].len;
    }
    pending_call *pending = nkvi_alloc(bytes);
    if (pending == NULL) {
        return NULL;
    }
    memset(pending, 0, sizeof *pending);
    pending->client = client;
    pending->flush = call->flush;
    pending->keys_len = call->keys_len;
    pending->request.deadline_ns = call->deadline_ns;
    pending->request.on_reply = call_on_reply;
    pending->request.on_done = call_on_done;
    pending->again.commands = call->replies;
    pending->again.intent = call->intent;
    pending->again.resend = call->resend;
    pending->again.opaque = call->opaque;
    pending->again.to = call->to;
    nkvi_list_init(&pending->waiters);
    nkvi_draft_init(&pending->answer);
    char *at = (char *)&pending->keys[call->keys_len];
    for (size_t i = 0; i < call->keys_len; i++) {
        at = copy_key(at, call->keys[i], &pending->keys[i].key);
    }
    (void)copy_key(at, call->route_by, &pending->again.route_by);
    return pending;
}

void nkvi_data_call_send(nkv_client *client, const nkvi_data_call *call, nkvi_waiter *waiter)
{
    nkv_error error = {.status = NKV_OK};
    if (client->wrapped) {
        nkvi_route route = nkvi_client_route(client, call->route_by, call->intent);
        nkvi_own_call_send(client, route.peer, call, waiter);
        return;
    }
    pending_call *pending = call->bytes->failed ? NULL : pending_make(client, call);
    if (pending == NULL) {
        nkvi_buf_clear(call->bytes);
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for a command");
        waiter->wake(waiter, NKV_ENOMEM, NULL, &error);
        return;
    }
    pending->again.bytes = *call->bytes;
    nkvi_buf_init(call->bytes);
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&pending->waiters, &waiter->node);
    pthread_mutex_unlock(&client->flights.mu);
    write_begin(pending);
    call_send(pending);
}
