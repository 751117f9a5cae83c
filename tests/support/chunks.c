/* support/chunks.c - see chunks.h. */
#include "support/chunks.h"

#include <stdlib.h>

#include "base/clock.h"
#include "support/check.h"

static char *room(nkvi_chunk *chunk, size_t len)
{
    t_chunk *self = NKVI_CONTAINER(chunk, t_chunk, chunk);
    T_REQUIRE(self->room == NULL);
    self->room = len <= self->room_max ? malloc(len + 1) : NULL;
    return self->room;
}

static void done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error)
{
    t_chunk *self = NKVI_CONTAINER(chunk, t_chunk, chunk);
    T_REQUIRE((status == NKV_OK) == (error == NULL) && (reply != NULL || status < 0));
    self->status = status;
    if (reply != NULL) {
        self->type = reply->type;
        self->integer = reply->integer;
        self->len = reply->len;
        self->in_place = reply->str != NULL && reply->str == self->room;
    }
    if (error != NULL) {
        T_REQUIRE(error->status == status);
        (void)snprintf(self->text, sizeof self->text, "%.110s", error->text);
    }
    atomic_fetch_add(&self->done, 1);
}

static t_chunk *new_chunk(nkvi_chunk_kind kind, nkv_str key)
{
    t_chunk *self = calloc(1, sizeof *self);
    T_REQUIRE(self != NULL);
    self->chunk.kind = kind;
    self->chunk.key = key;
    self->chunk.done = done;
    return t_chunk_within(self, T_CHUNK_MS);
}

t_chunk *t_chunk_within(t_chunk *chunk, int64_t timeout_ms)
{
    chunk->chunk.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms);
    return chunk;
}

t_chunk *t_chunk_get(nkv_str key, size_t room_max)
{
    t_chunk *self = new_chunk(NKVI_CHUNK_GET, key);
    self->room_max = room_max;
    self->chunk.room = room;
    return self;
}

t_chunk *t_chunk_set(nkv_str key, nkv_str value, int64_t ttl_ms)
{
    t_chunk *self = new_chunk(NKVI_CHUNK_SET, key);
    self->chunk.value = value;
    self->chunk.ttl_ms = ttl_ms;
    return self;
}

t_chunk *t_chunk_del(nkv_str key)
{
    return new_chunk(NKVI_CHUNK_DEL, key);
}

void t_chunks_submit(nkv_client *client, t_chunk *const *chunks, size_t n)
{
    nkvi_chunk **list = malloc((n + 1) * sizeof(nkvi_chunk *));
    T_REQUIRE(list != NULL);
    for (size_t i = 0; i < n; i++) {
        list[i] = &chunks[i]->chunk;
    }
    nkvi_chunks_submit(client, list, n);
    free(list);
}

t_chunk *t_chunk_wait(t_chunk *chunk)
{
    T_WAIT_UNTIL(atomic_load(&chunk->done) > 0, 2 * T_CHUNK_MS);
    return chunk;
}

t_chunk *t_chunk_run(nkv_client *client, t_chunk *chunk)
{
    t_chunks_submit(client, &chunk, 1);
    return t_chunk_wait(chunk);
}

void t_chunk_drop(t_chunk *chunk)
{
    int times = atomic_load(&chunk->done);
    if (times != 1) {
        T_DIE("a chunk ended %d times", times);
    }
    free(chunk->room);
    free(chunk);
}

void t_chunk_is(t_chunk *chunk, nkv_status status, nkv_type type)
{
    if (chunk->status != status || (status == NKV_OK && chunk->type != type)) {
        T_DIE("status %d, type %d: %s", chunk->status, chunk->type, chunk->text);
    }
    t_chunk_drop(chunk);
}
