/* support/chunks.h - chunks of a client as a test sees them, and what became of them.
 *
 *      t_chunk *get = t_chunk_run(client, t_chunk_get("k", SIZE_MAX));
 *      cr_assert(get->status == NKV_OK && get->in_place && get->len == 5);
 *      t_chunk_drop(get);
 *
 * Failure     T_DIE(): no memory, an answer that does not come, or one that comes twice.
 * Threads     A chunk belongs to the test but between submit and `done`.                         */

#ifndef T_SUPPORT_CHUNKS_H
#define T_SUPPORT_CHUNKS_H

#include <stdatomic.h>

#include "client/chunk.h"

enum { T_CHUNK_MS = 20000 };

typedef struct t_chunk {
    nkvi_chunk chunk;
    size_t room_max;  /* a longer value gets no room                                              */
    char *room;       /* what was given                                                           */
    _Atomic int done; /* how often; what follows is set before                                    */
    nkv_status status;
    nkv_type type;
    int64_t integer;
    size_t len;
    bool in_place;
    char text[120];
} t_chunk;

/* Keys and values are borrowed; the deadline is in T_CHUNK_MS. */
t_chunk *t_chunk_get(nkv_str key, size_t room_max);
t_chunk *t_chunk_set(nkv_str key, nkv_str value, int64_t ttl_ms);
t_chunk *t_chunk_del(nkv_str key);

t_chunk *t_chunk_within(t_chunk *chunk, int64_t timeout_ms); /* another deadline */

void t_chunks_submit(nkv_client *client, t_chunk *const *chunks, size_t n);
t_chunk *t_chunk_wait(t_chunk *chunk);
t_chunk *t_chunk_run(nkv_client *client, t_chunk *chunk); /* both */

/* Frees it; it must have ended exactly once. */
void t_chunk_drop(t_chunk *chunk);

/* Ends the process if it did not end so; then frees it. */
void t_chunk_is(t_chunk *chunk, nkv_status status, nkv_type type);

#endif
