/* cli/replay_verify.c - are the answers right?  Every one is compared with the server's own.
 *
 * The checker is a client that caches nothing.  It asks for the same keys right after the cached
 * client did; a block never changes once it is stored, so the two may differ in one case only:
 * another worker stored a block after the cached client was told that it is missing.  Then the
 * cached client is asked again, behind a barrier: it must know by then.                          */
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/replay.h"

/* Whether the cached client, asked again behind a barrier, says that `key` exists.  Returns false
 * after a failure.                                                                               */
static bool ask_again(nkvi_worker *worker, nkv_str key, bool *exists)
{
    nkv_result result = {0};
    nkv_call call;

    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    nkv_status status =
        nkv_exists(worker->replay->client[NKVI_SIDE_CACHE], &key, 1, &call, &result);
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "asking again", &call, status);
        return false;
    }
    *exists = result.status == NKV_OK;
    return true;
}

/* The first block that was not found must not be on the server either. */
static bool check_missing(nkvi_worker *worker, size_t found)
{
    nkv_str key = worker->key[found];
    bool several = worker->replay->settings->threads > 1, exists = false;
    nkv_result result = {0};
    nkv_call call;

    nkv_call_init(&call);
    nkv_status status = nkv_exists(worker->replay->checker, &key, 1, &call, &result);
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "verifying", &call, status);
        return false;
    }
    if (result.status != NKV_OK) {
        return true;
    }
    if (several && !ask_again(worker, key, &exists)) {
        return false;
    }
    worker->verify.mismatches += !exists;
    return true;
}

/* Whether one fetched block is what the server has, and what was once stored. */
static bool is_right(nkvi_worker *worker, size_t i, const nkv_result *servers)
{
    size_t bytes = (size_t)worker->replay->settings->value_bytes;
    const nkv_result *ours = &worker->result[i];

    if (servers->status != NKV_OK || !nkv_value_equal(ours->value, servers->value)) {
        return false;
    }
    nkv_str value = nkv_value_str(ours->value);
    nkvi_replay_value(worker->request.ids[i], worker->value, bytes);
    return value.len == bytes && memcmp(value.data, worker->value, bytes) == 0;
}

/* The fetched blocks, a chunk at a time. */
static bool check_found(nkvi_worker *worker, size_t found)
{
    size_t chunk = (size_t)worker->replay->settings->chunk;
    nkv_result *servers = nkvi_must_alloc(chunk, sizeof *servers);
    nkv_call call;
    nkv_status status = NKV_OK;

    nkv_call_init(&call);
    for (size_t at = 0; at < found && status >= 0; at += chunk) {
        size_t n = found - at < chunk ? found - at : chunk;
        status = nkv_mget(worker->replay->checker, worker->key + at, n, &call, servers);
        for (size_t i = 0; i < n; i++) {
            worker->verify.mismatches += status >= 0 && !is_right(worker, at + i, &servers[i]);
            nkv_value_release(servers[i].value);
        }
    }
    free(servers);
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "verifying", &call, status);
    }
    return status >= 0;
}

bool nkvi_replay_verify(nkvi_worker *worker, size_t found, size_t local)
{
    worker->verify.compared += local;
    return check_found(worker, found) &&
           (found == worker->request.n || check_missing(worker, found));
}
