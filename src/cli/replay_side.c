/* cli/replay_side.c - one request on one side: look up, fetch, store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/replay.h"
#include "cli/stopwatch.h"

/* Half of what the queue of a connection takes. */
#define QUEUE_BYTES (INT64_C(32) << 20)

/* Enough for several large chunks at once. */
#define BUFFER_BYTES (INT64_C(128) << 20)

void nkvi_replay_value(uint64_t id, char *value, size_t len)
{
    uint64_t state = id;

    for (size_t i = 0; i < len; i += sizeof state) {
        size_t part = len - i < sizeof state ? len - i : sizeof state;
        state = (state ^ state >> 29) * UINT64_C(0xbf58476d1ce4e5b9) + UINT64_C(0x9e3779b97f4a7c15);
        memcpy(value + i, &state, part);
    }
}

void nkvi_replay_fail(nkvi_replay *replay, const char *what, const nkv_call *call,
                      nkv_status status)
{
    pthread_mutex_lock(&replay->lock);
    if (!replay->failed) {
        bool detail = call != NULL && call->error.text[0] != '\0';
        replay->failed = true;
        nkvi_out_printf(&replay->error, "nearkv: request %" PRIu64 ": %s: %s\n", replay->requests,
                        what, detail ? call->error.text : nkv_status_text(status));
    }
    pthread_mutex_unlock(&replay->lock);
}

/* Makes the keys of the request for this side. */
static void make_keys(nkvi_worker *worker, int side)
{
    const nkvi_out *prefix = &worker->replay->key_prefix[side];
    const nkvi_request *request = &worker->request;

    if (request->n > worker->cap) {
        worker->cap = request->n;
        worker->key = nkvi_must_grow(worker->key, worker->cap, sizeof *worker->key);
        worker->result = nkvi_must_grow(worker->result, worker->cap, sizeof *worker->result);
    }
    worker->names.len = 0;
    for (size_t i = 0; i < request->n; i++) {
        size_t start = worker->names.len;
        nkvi_out_add(&worker->names, prefix->data, prefix->len);
        nkvi_out_printf(&worker->names, "%" PRIu64, request->ids[i]);
        worker->key[i].len = worker->names.len - start;
    }
    /* The block may have moved while it grew: only now the keys are where they stay. */
    const char *at = worker->names.data;
    for (size_t i = 0; i < request->n; i++) {
        worker->key[i].data = at;
        at += worker->key[i].len;
    }
}

size_t nkvi_replay_batch_max(const nkvi_settings *settings)
{
    int64_t most = settings->replay_layout > 0 ? BUFFER_BYTES : QUEUE_BYTES;
    int64_t by_bytes = most / settings->threads / settings->block_bytes;
    int64_t blocks = settings->chunk < by_bytes ? settings->chunk : by_bytes;

    return blocks > 1 ? (size_t)blocks : 1;
}

bool nkvi_replay_side(nkvi_worker *worker, int side)
{
    const nkvi_replay_way *way = worker->replay->way;
    nkvi_side_count *count = &worker->side[side];
    size_t found = 0, local = 0;
    int64_t answer_ns = 0;

    if (worker->request.n == 0) {
        return true;
    }
    make_keys(worker, side);
    for (int64_t asks = worker->replay->settings->asks; asks > 0; asks--) {
        worker->spent_ns = 0;
        if (!way->look_up(worker, side, &found, &local)) {
            return false;
        }
        nkvi_latency_add(&count->lookup, worker->spent_ns);
        answer_ns += worker->spent_ns;
    }
    size_t asked = found;
    worker->spent_ns = 0;
    if (!way->fetch(worker, side, &found, &local)) {
        return false;
    }
    count->found += found;
    if (asked > 0) {
        nkvi_latency_add(&count->fetch, worker->spent_ns);
    }
    nkvi_latency_add(&count->answer, answer_ns + worker->spent_ns);
    worker->spent_ns = 0;
    if (!way->store(worker, side, found)) {
        return false;
    }
    if (found < worker->request.n) {
        nkvi_latency_add(&count->store, worker->spent_ns);
    }
    return true;
}
