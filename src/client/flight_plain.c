/* client/flight_plain.c - questions to a data lane: nothing of what comes is kept or shared, so
 * there is no flight to be found by others, and the key is needed no longer than it takes to write
 * it. */
#include "base/status.h"
#include "client/again.h"
#include "client/flight_impl.h"
#include "client/reply.h"

/* One write of n commands with one reply and one waiter each. */
typedef struct plain {
    nkvi_request request;
    nkv_client *client;
    nkvi_peer *peer;
    bool asking;  /* each is behind ASKING, whose reply comes first */
    size_t n, at; /* whose reply is next */
    nkvi_list waiters[];
} plain;

static void wake(plain *self, nkv_status status, nkv_value *value, const nkv_error *error)
{
    nkvi_waiters_wake(&self->client->flights, &self->waiters[self->at++], status, value, error);
    nkv_value_release(value);
}

/* [loop] */
static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    plain *self = NKVI_CONTAINER(request, plain, request);
    nkv_error error = {.status = NKV_OK};
    nkv_status status = NKV_OK;
    if (self->asking && index % 2 == 0) {
        nkvi_draft_clear(reply);
        return;
    }
    if (reply->root.type == NKV_TYPE_ERROR) {
        nkvi_again_hear(self->client, self->peer, &reply->root);
        status = nkvi_reply_fail(&error, &reply->root);
    }
    nkv_value *value = nkvi_draft_seal(reply);
    nkvi_draft_clear(reply);
    if (value == NULL && status == NKV_OK) {
        status = nkvi_fail(&error, NKV_ENOMEM, "no memory for an answer");
    }
    wake(self, status, value, &error);
}

/* [loop] */
static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    plain *self = NKVI_CONTAINER(request, plain, request);
    size_t at = self->at;
    nkv_error lost;
    nkvi_bystander(error, &lost);
    while (self->at < self->n) {
        bool bystander = self->at > at && nkvi_stream_broke(status);
        wake(self, bystander ? NKV_ECONN : status, NULL, bystander ? &lost : error);
    }
    nkvi_spare_give(&self->client->spare, self);
}

static plain *plain_make(nkv_client *client, nkvi_ask **asks, size_t n, const nkvi_ask_mode *mode)
{
    plain *self = nkvi_spare_take(&client->spare, sizeof *self + n * sizeof self->waiters[0]);
    if (self == NULL) {
        return NULL;
    }
    self->request = (nkvi_request){.replies = (unsigned)(mode->asking ? 2 * n : n),
                                   .deadline_ns = mode->deadline_ns,
                                   .on_reply = on_reply,
                                   .on_done = on_done};
    self->client = client;
    self->asking = mode->asking;
    self->n = n;
    self->at = 0;
    pthread_mutex_lock(&client->flights.mu);
    for (size_t i = 0; i < n; i++) {
        nkvi_list_init(&self->waiters[i]);
        nkvi_list_push(&self->waiters[i], &asks[i]->waiter->node);
    }
    pthread_mutex_unlock(&client->flights.mu);
    return self;
}

void nkvi_ask_plain(nkv_client *client, nkvi_peer *peer, nkvi_ask **asks, size_t n,
                    const nkvi_ask_mode *mode)
{
    static const nkv_str asking = {"ASKING", 6};
    nkv_error error;
    plain *self = plain_make(client, asks, n, mode);
    if (self == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory to ask");
        nkvi_wake_all(asks, n, NKV_ENOMEM, &error);
        return;
    }
    self->peer = peer;
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    for (size_t i = 0; i < n; i++) {
        if (mode->asking) {
            nkvi_buf_resp(&bytes, 1, &asking);
        }
        nkvi_buf_resp(&bytes, asks[i]->argc, asks[i]->argv);
    }
    nkv_status status =
        nkvi_lane_submit(peer->data, &self->request, &bytes, NKVI_SUBMIT_WAIT, &error);
    while (status != NKV_OK && self->at < self->n) {
        wake(self, status, NULL, &error);
    }
    if (status != NKV_OK) {
        nkvi_spare_give(&client->spare, self); /* else it is the lane's now, and may be gone */
    }
}
