/* cli/replay_verify.c - are the answers right?  Every one is compared with the server's own.
 *
 * The checker is a client that caches nothing.  It asks for the same keys right after the cached
 * client did; a block never changes once it is stored, so the two may differ in two cases only:
 * another worker stored a block after the cached client was told that it is missing, or the server
 * evicted one after it was told that it is there.  Then the cached client is asked again, behind a
 * barrier: it must know by then.                                                                 */
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/replay.h"

/* Whether the cached client, asked again behind a barrier, says that `key` exists.  Returns false
 * after a failure.                                                                               */
static bool ask_again(nkvi_worker *worker, nkv_str key, bool *exists)
{
    nkvi_replay *replay = worker->replay;
    bool chunks = replay->settings->replay_layout > 0;
    nkv_item item = {.key = key};
    nkv_result result = {0};
    nkv_call call;

    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    nkv_status status =
        chunks ? nkv_lmcache_contains(replay->lmcache[NKVI_SIDE_CACHE], &item, 1, &call)
               : nkv_exists(replay->client[NKVI_SIDE_CACHE], &key, 1, &call, &result);
    if (status < 0) {
        nkvi_replay_fail(replay, "asking again", &call, status);
        return false;
    }
    *exists = (chunks ? item.status : result.status) == NKV_OK;
    return true;
}

/* Whether the checker says that `key` exists. */
static bool ask_server(nkvi_worker *worker, nkv_str key, bool *exists)
{
    nkvi_replay *replay = worker->replay;
    bool chunks = replay->settings->replay_layout > 0;
    nkv_item item = {.key = key};
    nkv_result result = {0};
    nkv_call call;

    nkv_call_init(&call);
    nkv_status status = chunks ? nkv_lmcache_contains(replay->lmcache_checker, &item, 1, &call)
                               : nkv_exists(replay->checker, &key, 1, &call, &result);
    if (status < 0) {
        nkvi_replay_fail(replay, "verifying", &call, status);
        return false;
    }
    *exists = (chunks ? item.status : result.status) == NKV_OK;
    return true;
}

bool nkvi_replay_is_block(nkvi_worker *worker, uint64_t id, const char *data, size_t len)
{
    size_t bytes = (size_t)worker->replay->settings->block_bytes;

    if (len != bytes) {
        return false;
    }
    nkvi_replay_value(id, worker->expect, bytes);
    return memcmp(data, worker->expect, bytes) == 0;
}

/* The first block that was not found must not be on the server either. */
bool nkvi_replay_verify_absent(nkvi_worker *worker, size_t found)
{
    nkv_str key = worker->key[found];
    bool several = worker->replay->settings->threads > 1, there = false, exists = false;

    if (!ask_server(worker, key, &there)) {
        return false;
    }
    if (there && several && !ask_again(worker, key, &exists)) {
        return false;
    }
    worker->mismatches += there && !exists;
    return true;
}

/* The server has lost a block since: does the cached client know?  Another worker may have stored
 * it again meanwhile.                                                                            */
static bool check_lost(nkvi_worker *worker, nkv_str key, bool *known)
{
    bool exists = false, there = false;

    if (!ask_again(worker, key, &exists) || (exists && !ask_server(worker, key, &there))) {
        return false;
    }
    *known = exists == there;
    return true;
}

/* ---- Plain keys ------------------------------------------------------------------------------ */

/* Compares one fetched block with the server's, and with what was once stored.  Returns false after
 * a failure.                                                                                     */
static bool check_block(nkvi_worker *worker, size_t i, const nkv_result *servers)
{
    const nkv_result *ours = &worker->result[i];
    nkv_str value = nkv_value_str(ours->value);
    bool same = nkvi_replay_is_block(worker, worker->request.ids[i], value.data, value.len);

    if (servers->status == NKV_OK) {
        same = same && nkv_value_equal(ours->value, servers->value);
    } else if (same && !check_lost(worker, worker->key[i], &same)) {
        return false;
    }
    worker->mismatches += !same;
    return true;
}

/* The fetched blocks, a chunk at a time. */
static bool check_found(nkvi_worker *worker, size_t found)
{
    size_t chunk = (size_t)worker->replay->settings->chunk;
    nkv_result *servers = nkvi_must_alloc(chunk, sizeof *servers);
    bool fine = true;
    nkv_call call;

    nkv_call_init(&call);
    for (size_t at = 0; at < found && fine; at += chunk) {
        size_t n = found - at < chunk ? found - at : chunk;
        nkv_status status = nkv_mget(worker->replay->checker, worker->key + at, n, &call, servers);
        if (status < 0) {
            nkvi_replay_fail(worker->replay, "verifying", &call, status);
            fine = false;
        }
        for (size_t i = 0; i < n; i++) {
            fine = fine && check_block(worker, at + i, &servers[i]);
            nkv_value_release(servers[i].value);
        }
    }
    free(servers);
    return fine;
}

bool nkvi_replay_verify(nkvi_worker *worker, size_t found)
{
    return check_found(worker, found) &&
           (found == worker->request.n || nkvi_replay_verify_absent(worker, found));
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* The bytes of a chunk that was got. */
static const char *bytes_of(const nkv_item *item)
{
    return item->held != NULL ? nkv_value_str(item->held).data : item->buf;
}

/* Whether a chunk is what was once stored, and what its metadata says. */
static bool is_chunk(nkvi_worker *worker, const nkv_item *item, uint64_t id)
{
    const nkvi_replay *replay = worker->replay;
    bool described = replay->settings->replay_layout - 1 != NKV_LMCACHE_SINGLE_KEY;

    if (described &&
        (item->meta->length != replay->meta.length || item->meta->format != replay->meta.format)) {
        return false;
    }
    return nkvi_replay_is_block(worker, id, bytes_of(item), item->len);
}

/* Compares one chunk with the server's.  Returns false after a failure. */
static bool check_chunk(nkvi_worker *worker, size_t at, size_t i)
{
    const nkv_item *ours = &worker->item[i], *servers = &worker->check[i];
    bool same = is_chunk(worker, ours, worker->request.ids[at + i]);

    if (servers->status == NKV_OK) {
        same = same && servers->len == ours->len &&
               memcmp(bytes_of(ours), bytes_of(servers), ours->len) == 0;
    } else if (same && !check_lost(worker, ours->key, &same)) {
        return false;
    }
    worker->mismatches += !same;
    return true;
}

bool nkvi_replay_verify_chunks(nkvi_worker *worker, size_t at, size_t n)
{
    nkv_call call;
    bool fine = true;

    if (n == 0) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        worker->check[i] = (nkv_item){.key = worker->key[at + i]};
    }
    nkv_call_init(&call);
    nkv_status status = nkv_lmcache_get(worker->replay->lmcache_checker, worker->check, n, &call);
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "verifying", &call, status);
        fine = false;
    }
    for (size_t i = 0; i < n; i++) {
        fine = fine && check_chunk(worker, at, i);
        nkv_value_release(worker->check[i].held);
    }
    return fine;
}
