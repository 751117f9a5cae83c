/* client/data_call.c - see data_call.h. */
#include "client/data_call.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/client_int.h"
#include "client/own_call.h"
#include "client/reply.h"

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

static void write_end(pending_call *pending)
{
    nkv_cache *cache = pending->client->cache;
    if (cache == NULL) {
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
    nkvi_free(pending);
}

static void call_on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    call_end(NKVI_CONTAINER(request, pending_call, request), status, error);
}

static pending_call *pending_make(nkv_client *client, const nkvi_data_call *call)
{
    size_t bytes = sizeof(pending_call) + call->keys_len * sizeof(written_key);
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
    pending->request.replies = call->replies;
    pending->request.deadline_ns = call->deadline_ns;
    pending->request.on_reply = call_on_reply;
    pending->request.on_done = call_on_done;
    nkvi_list_init(&pending->waiters);
    nkvi_draft_init(&pending->answer);
    char *at = (char *)&pending->keys[call->keys_len];
    for (size_t i = 0; i < call->keys_len; i++) {
        if (call->keys[i].len > 0) {
            memcpy(at, call->keys[i].data, call->keys[i].len);
        }
        pending->keys[i].key = nkv_str_make(at, call->keys[i].len);
        at += call->keys[i].len;
    }
    return pending;
}

void nkvi_data_call_send(nkv_client *client, nkvi_peer *peer, const nkvi_data_call *call,
                         nkvi_waiter *waiter)
{
    nkv_error error = {.status = NKV_OK};
    if (peer->foreign != NULL) {
        nkvi_own_call_send(client, peer, call, waiter);
        return;
    }
    pending_call *pending = call->bytes->failed ? NULL : pending_make(client, call);
    if (pending == NULL) {
        nkvi_buf_clear(call->bytes);
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for a command");
        waiter->wake(waiter, NKV_ENOMEM, NULL, &error);
        return;
    }
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&pending->waiters, &waiter->node);
    pthread_mutex_unlock(&client->flights.mu);
    write_begin(pending);
    nkv_status status =
        nkvi_lane_submit(peer->data, &pending->request, call->bytes, NKVI_SUBMIT_WAIT, &error);
    if (status != NKV_OK) {
        call_end(pending, status, &error);
    }
}
