/* cli/replay_chunks.c - blocks that are chunks of LMCache.
 *
 * Every block has the same size, so a worker has one buffer for a batch of them, into which chunks
 * are received and from which they are sent.  With --cache-payloads the cached side takes values
 * of the library instead, which its cache may keep.                                              */
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/replay.h"
#include "cli/stopwatch.h"

/* ---- Handles --------------------------------------------------------------------------------- */

/* Tensors where the size allows it, else bytes. */
static void describe(nkvi_replay *replay)
{
    int64_t bytes = replay->settings->block_bytes;
    bool tensor = bytes % 4 == 0;
    int32_t size = (int32_t)bytes;
    nkv_lmcache_group group = {.dtype = NKV_LMCACHE_BFLOAT16, .dims = 4, .shape = {2, 1, 1}};

    group.shape[3] = size / 4;
    if (!tensor) {
        group = (nkv_lmcache_group){.dtype = NKV_LMCACHE_NONE, .dims = 4, .shape = {size}};
    }
    replay->meta = (nkv_lmcache_meta){.length = bytes, .groups_len = 1, .groups = {group}};
    replay->meta.format = tensor ? NKV_LMCACHE_KV_2LTD : NKV_LMCACHE_BINARY_BUFFER;
}

static bool is_single(const nkvi_replay *replay)
{
    return replay->settings->replay_layout - 1 == NKV_LMCACHE_SINGLE_KEY;
}

static bool open_one(const nkvi_settings *settings, nkv_client *client, nkv_lmcache **out,
                     nkvi_out *error)
{
    nkv_lmcache_options options;
    nkv_error why;

    if (client == NULL) {
        return true;
    }
    nkv_lmcache_options_init(&options);
    options.layout = (nkv_lmcache_layout)(settings->replay_layout - 1);
    options.ttl_s = NKVI_KEY_TTL_S;
    options.timeout_ms = settings->timeout_ms;
    options.verify_payload = (int)settings->verify_payload;
    options.cache_payloads = (int)settings->cache_payloads;
    options.chunk_bytes = options.layout == NKV_LMCACHE_SINGLE_KEY ? settings->block_bytes : 0;
    if (nkv_lmcache_create(client, &options, out, &why) < 0) {
        nkvi_out_printf(error, "nearkv: %s\n", why.text);
        return false;
    }
    return true;
}

bool nkvi_replay_open_chunks(nkvi_replay *replay, nkvi_out *error)
{
    const nkvi_settings *settings = replay->settings;
    bool fine = open_one(settings, replay->checker, &replay->lmcache_checker, error);

    describe(replay);
    for (int side = 0; side < NKVI_SIDES && fine; side++) {
        fine = open_one(settings, replay->client[side], &replay->lmcache[side], error);
    }
    return fine;
}

void nkvi_replay_close_chunks(nkvi_replay *replay)
{
    nkv_lmcache_destroy(replay->lmcache_checker);
    for (int side = 0; side < NKVI_SIDES; side++) {
        nkv_lmcache_destroy(replay->lmcache[side]);
    }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static bool look_up(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    size_t n = worker->request.n, chunk = (size_t)worker->replay->settings->chunk;
    int64_t began_ns = nkvi_stopwatch_ns();
    size_t asked = 0;
    nkv_call call;

    *found = *local = 0;
    nkv_call_init(&call);
    while (*found < n && *found == asked) {
        size_t ask = n - *found < chunk ? n - *found : chunk, prefix = 0;
        nkv_status status = nkv_lmcache_prefix(worker->replay->lmcache[side], worker->key + *found,
                                               ask, &call, &prefix);
        if (status < 0) {
            nkvi_replay_fail(worker->replay, "looking the prefix up", &call, status);
            return false;
        }
        *found += prefix;
        asked += ask;
    }
    worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
    worker->side[side].lookups += *found < n ? *found + 1 : n;
    return true;
}

/* Makes worker->item the `n` blocks from `at` on. */
static void make_items(nkvi_worker *worker, int side, size_t at, size_t n)
{
    const nkvi_settings *settings = worker->replay->settings;
    size_t bytes = (size_t)settings->block_bytes;
    bool held = settings->cache_payloads && side == NKVI_SIDE_CACHE;

    for (size_t i = 0; i < n; i++) {
        char *buf = worker->value + i * bytes;
        worker->item[i] = (nkv_item){.key = worker->key[at + i], .meta = &worker->meta[i]};
        if (!held) {
            worker->item[i].buf = buf;
            worker->item[i].cap = bytes;
        }
    }
}

/* Fetches a batch; *prefix: how many of them are there. */
static bool fetch_batch(nkvi_worker *worker, int side, size_t at, size_t n, size_t *prefix)
{
    bool verify = side == NKVI_SIDE_CACHE && worker->replay->checker != NULL;
    nkv_call call;

    make_items(worker, side, at, n);
    nkv_call_init(&call);
    int64_t began_ns = nkvi_stopwatch_ns();
    nkv_status status =
        nkv_lmcache_get_prefix(worker->replay->lmcache[side], worker->item, n, &call, prefix);
    worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "fetching the prefix", &call, status);
    }
    bool fine = status >= 0 && (!verify || nkvi_replay_verify_chunks(worker, at, *prefix));
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(worker->item[i].held);
    }
    return fine;
}

static bool fetch(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    nkvi_side_count *count = &worker->side[side];
    size_t n = *found, at = 0, asked = 0, max = worker->replay->batch_max;
    bool fine = true;

    *local = 0;
    while (at < n && at == asked && fine) {
        size_t batch = n - at < max ? n - at : max, prefix = 0;
        fine = fetch_batch(worker, side, at, batch, &prefix);
        at += prefix;
        asked += batch;
    }
    *found = at;
    count->fetches += asked;
    count->fetched_bytes += at * (uint64_t)worker->replay->settings->block_bytes;
    bool verify = side == NKVI_SIDE_CACHE && worker->replay->checker != NULL;
    return fine && (!verify || at == worker->request.n || nkvi_replay_verify_absent(worker, at));
}

static bool store(nkvi_worker *worker, int side, size_t first)
{
    nkvi_replay *replay = worker->replay;
    size_t n = worker->request.n, bytes = (size_t)replay->settings->block_bytes, batch;
    nkv_status status = NKV_OK;
    nkv_call call;

    nkv_call_init(&call);
    for (size_t at = first; at < n && status >= 0; at += batch) {
        batch = n - at < replay->batch_max ? n - at : replay->batch_max;
        for (size_t i = 0; i < batch; i++) {
            char *value = worker->value + i * bytes;
            nkvi_replay_value(worker->request.ids[at + i], value, bytes);
            worker->item[i] = (nkv_item){.key = worker->key[at + i],
                                         .value = nkv_str_make(value, bytes),
                                         .meta = is_single(replay) ? NULL : &replay->meta};
        }
        int64_t began_ns = nkvi_stopwatch_ns();
        status = nkv_lmcache_put(replay->lmcache[side], worker->item, batch, &call);
        worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
    }
    if (status < 0) {
        nkvi_replay_fail(replay, "storing a block", &call, status);
        return false;
    }
    worker->side[side].stored += n - first;
    worker->side[side].stored_bytes += (n - first) * (uint64_t)bytes;
    return true;
}

static nkv_status forget(nkvi_replay *replay, const nkv_str *keys, size_t n)
{
    nkv_item *items = nkvi_must_alloc(n, sizeof *items);

    for (size_t i = 0; i < n; i++) {
        items[i].key = keys[i];
    }
    nkv_status status = nkv_lmcache_remove(replay->lmcache[replay->sides - 1], items, n, NULL);
    free(items);
    return status;
}

const nkvi_replay_way nkvi_replay_chunks = {look_up, fetch, store, forget};
