/* client/witness.c - see witness.h. */
#include "client/witness.h"

#include "core/value.h"

/* Until when: as long as the witness at most. */
static int64_t deadline_of(const nkvi_witnessed *self, int64_t now_ns)
{
    int64_t deadline_ns = nkvi_deadline_ns(now_ns, self->client->options.max_ttl_ms);
    const nkv_value *answer = self->answer;
    if ((answer->kind & NKVI_KIND_SLOT) != 0 && answer->of.slot.deadline_ns < deadline_ns) {
        deadline_ns = answer->of.slot.deadline_ns;
    }
    return deadline_ns;
}

/* [loop] Pushes come on this thread, so none can come between looking and storing; a write of ours
 * or another lane's push can, and breaks the token. */
static void keep(nkvi_task *task)
{
    nkvi_witnessed *self = NKVI_CONTAINER(task, nkvi_witnessed, task);
    nkv_client *client = self->client;
    const nkvi_route route = nkvi_client_route(client, self->witness.key, NKVI_TO_READ);
    const nkvi_peer *peer = route.peer;
    int64_t now_ns = nkvi_loop_now_ns(client->loop);
    nkvi_found found = {.outcome = NKVI_ABSENT};
    if (peer->owner != NULL) {
        nkvi_token token = nkvi_fence_token(client->fence, self->witness.key_hash);
        nkvi_stamp stamp = {.owner = peer->owner,
                            .generation = atomic_load(&peer->owner->generation),
                            .token = &token,
                            .deadline_ns = deadline_of(self, now_ns),
                            .moves = route.moves,
                            .hash_slot = route.hash_slot};
        nkvi_cache_find(client->cache, &self->witness, 1, now_ns, &found);
        if (found.value == self->answer && found.owner == peer->owner->id) {
            nkvi_query query = self->witness;
            query.command = self->command;
            nkvi_query_hash(client->cache, &query);
            self->value = nkvi_cache_put(client->cache, &query, &self->draft, &stamp, now_ns, NULL);
        }
        nkv_value_release(found.value);
    }
    if (self->value == NULL) {
        self->value = nkvi_draft_seal(&self->draft);
    }
    nkvi_draft_clear(&self->draft);
    self->kept(self);
}

void nkvi_witness_keep(nkvi_witnessed *self)
{
    self->value = NULL;
    self->task.run = keep;
    nkvi_loop_post(self->client->loop, &self->task);
}
