/* client/split.c - see split.h. */
#include "client/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/data_call.h"
#include "client/gather.h"

/* A key and where it belongs. */
typedef struct placed {
    nkv_str key;
    uint16_t hash_slot;
} placed;

typedef struct splitting {
    nkv_client *client;
    const nkvi_split *split;
    nkvi_gather gather;
    placed *placed;   /* by slot */
    nkv_str *argv;    /* the name, then keys of one slot */
    nkvi_slot *parts; /* a slot to wait in for each of the slots of a cluster */
    size_t parts_len;
} splitting;

bool nkvi_split_needed(const nkv_client *client, const nkv_str *keys, size_t n)
{
    if (n < 2 || !client->connector->hash_slots) {
        return false;
    }
    uint16_t first = nkvi_client_route(client, keys[0], NKVI_TO_WRITE).hash_slot;
    for (size_t i = 1; i < n; i++) {
        if (nkvi_client_route(client, keys[i], NKVI_TO_WRITE).hash_slot != first) {
            return true;
        }
    }
    return false;
}

static int by_slot(const void *a, const void *b)
{
    return ((const placed *)a)->hash_slot - ((const placed *)b)->hash_slot;
}

static void place_all(splitting *self)
{
    const nkvi_split *split = self->split;
    for (size_t i = 0; i < split->n; i++) {
        nkvi_route route = nkvi_client_route(self->client, split->keys[i], NKVI_TO_WRITE);
        self->placed[i] = (placed){split->keys[i], route.hash_slot};
    }
    qsort(self->placed, split->n, sizeof *self->placed, by_slot);
}

/* Sends the keys of one slot, from `at` on; returns where those of the next begin. */
static size_t send_part(splitting *self, size_t at)
{
    const nkvi_split *split = self->split;
    nkvi_slot *one = &self->parts[self->parts_len++];
    size_t n = 0;
    self->argv[0] = split->name;
    for (size_t i = at; i < split->n && self->placed[i].hash_slot == self->placed[at].hash_slot;
         i++) {
        self->argv[++n] = self->placed[i].key;
    }
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, n + 1, self->argv);
    const nkvi_data_call call = {.bytes = &bytes,
                                 .argv = self->argv,
                                 .argc = n + 1,
                                 .replies = 1,
                                 .keys = self->argv + 1,
                                 .keys_len = split->writes ? n : 0,
                                 .resend = split->resend,
                                 .route_by = self->argv[1],
                                 .intent = NKVI_TO_WRITE,
                                 .deadline_ns = split->deadline_ns};
    nkvi_slot_open(one, &self->gather);
    nkvi_data_call_send(self->client, &call, &one->waiter);
    return at + n;
}

static nkv_status add_up(splitting *self, int64_t *sum, nkv_error *error)
{
    nkv_status status = NKV_OK;
    for (size_t i = 0; i < self->parts_len; i++) {
        nkvi_slot *slot = &self->parts[i];
        if (slot->status == NKV_OK) {
            *sum += nkv_value_reply(slot->value).integer;
        } else if (status == NKV_OK) {
            status = slot->status;
            *error = self->gather.error; /* of the first in time */
            error->status = status;
        }
        nkv_value_release(slot->value);
    }
    return status;
}

nkv_status nkvi_split_run(nkv_client *client, const nkvi_split *split, int64_t *sum,
                          nkv_error *error)
{
    splitting self = {.client = client, .split = split};
    *sum = 0;
    size_t each = sizeof *self.parts + sizeof *self.placed + sizeof *self.argv;
    bool fits = split->n < SIZE_MAX / each / 2;
    char *block = fits ? nkvi_alloc(split->n * each + sizeof *self.argv) : NULL;
    if (block == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for %zu keys", split->n);
    }
    self.parts = (nkvi_slot *)(void *)block;
    self.placed = (placed *)(void *)(self.parts + split->n);
    self.argv = (nkv_str *)(void *)(self.placed + split->n);
    nkvi_gather_init(&self.gather);
    place_all(&self);
    for (size_t at = 0; at < split->n;) {
        at = send_part(&self, at);
    }
    nkvi_gather_wait(&self.gather, &client->flights, split->deadline_ns);
    nkv_status status = add_up(&self, sum, error);
    nkvi_gather_clear(&self.gather);
    nkvi_free(block);
    return status;
}
