/* client/again.c - see again.h. */
#include "client/again.h"

#include "base/status.h"

/* Servers that lead one around in circles are asked no more often than those that cannot answer.
 * What is on its way to another node is there only behind ASKING, so every second one is
 * followed. */
static nkvi_again slow_down(nkvi_again again, unsigned tries)
{
    bool many = tries > NKVI_AGAIN_AT_ONCE;
    bool follow = again == NKVI_AGAIN_ASKING && tries % 2 == 0;
    return many && !follow ? NKVI_AGAIN_LATER : again;
}

nkvi_again nkvi_again_judge(nkv_client *client, const nkvi_tried *tried, nkvi_peer **there)
{
    nkvi_connector *connector = client->connector;
    if (connector->ops->again == NULL || tried->status >= 0 || *tried->tries >= NKVI_AGAIN_MAX) {
        return NKVI_AGAIN_NOT;
    }
    int64_t left_ns = tried->deadline_ns - nkvi_now_ns();
    const nkvi_route route = {.peer = tried->peer, .hash_slot = tried->hash_slot};
    nkvi_again again = connector->ops->again(connector, &route, tried->status, tried->reply, there);
    if (again == NKVI_AGAIN_NOT) {
        return again;
    }
    again = slow_down(again, *tried->tries + 1);
    if (left_ns <= (again == NKVI_AGAIN_LATER ? NKVI_PAUSE_NS : 0)) {
        return NKVI_AGAIN_NOT; /* this answer tells more than that there was no time for another */
    }
    ++*tried->tries;
    nkvi_count_add(&client->counters, NKVI_C_AGAIN, 1);
    return again;
}

void nkvi_pause_send(nkv_client *client, nkvi_waiter *waiter)
{
    pthread_mutex_lock(&client->flights.mu);
    bool closing = atomic_load(&client->closing);
    if (!closing) {
        nkvi_list_push(&client->pauses, &waiter->node);
    }
    pthread_mutex_unlock(&client->flights.mu);
    if (closing) {
        nkv_error error;
        (void)nkvi_fail(&error, NKV_ECLOSED, "the client is being destroyed");
        waiter->wake(waiter, NKV_ECLOSED, NULL, &error);
    }
}

void nkvi_pauses_wake(nkv_client *client, nkv_status status)
{
    nkv_error error = {.status = NKV_OK};
    if (status < 0) {
        (void)nkvi_fail(&error, status, "%s", nkv_status_text(status));
    }
    nkvi_waiters_wake(&client->flights, &client->pauses, status, NULL, &error);
}

void nkvi_again_hear(nkv_client *client, nkvi_peer *peer, const nkv_reply *error)
{
    nkvi_connector *connector = client->connector;
    if (connector->ops->hear != NULL) {
        connector->ops->hear(connector, peer, error);
    }
}
