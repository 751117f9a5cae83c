/* cli/replay_side.c - one request on one side: look up, fetch, store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/replay.h"
#include "cli/stopwatch.h"

/* A key outlives every replay, but not for ever: should we be killed, the server forgets it. */
#define KEY_TTL_MS "86400000"

/* Half of what the queue of a connection takes. */
#define QUEUE_BYTES (INT64_C(32) << 20)

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

static size_t chunk_at(const nkvi_worker *worker, size_t at, size_t n)
{
    size_t chunk = (size_t)worker->replay->settings->chunk;

    return n - at < chunk ? n - at : chunk;
}

/* Asks how many leading blocks there are. */
static bool look_up(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    nkvi_side_count *count = &worker->side[side];
    size_t n = worker->request.n;
    nkv_call call;

    *found = *local = 0;
    nkv_call_init(&call);
    while (*found < n) {
        size_t chunk = chunk_at(worker, *found, n), prefix = 0, from_cache = 0;
        nkv_status status = nkv_prefix(worker->replay->client[side], worker->key + *found, chunk,
                                       &call, &prefix, &from_cache);
        if (status < 0) {
            nkvi_replay_fail(worker->replay, "looking the prefix up", &call, status);
            return false;
        }
        count->lookups += prefix < chunk ? prefix + 1 : chunk;
        *found += prefix;
        *local += from_cache;
        if (prefix < chunk) {
            break;
        }
    }
    count->lookups_local += *local;
    return true;
}

/* Fetches the `found` leading blocks into worker->result; they are to be released.  A block that
 * went away meanwhile (the server evicted it) shortens the prefix.                               */
static bool fetch(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    nkvi_side_count *count = &worker->side[side];
    size_t n = *found, at = 0;
    nkv_call call;

    *local = 0;
    nkv_call_init(&call);
    memset(worker->result, 0, n * sizeof *worker->result);
    while (at < n) {
        size_t chunk = chunk_at(worker, at, n);
        nkv_status status = nkv_mget(worker->replay->client[side], worker->key + at, chunk, &call,
                                     worker->result + at);
        if (status < 0) {
            nkvi_replay_fail(worker->replay, "fetching the prefix", &call, status);
            return false;
        }
        at += chunk;
    }
    for (size_t i = 0; i < n; i++) {
        *local += worker->result[i].from == NKV_FROM_CACHE;
        if (i < *found && worker->result[i].status != NKV_OK) {
            *found = i;
        }
    }
    count->fetches += n;
    count->fetches_local += *local;
    return true;
}

/* ---- Storing --------------------------------------------------------------------------------- */

size_t nkvi_replay_sets_max(const nkvi_settings *settings)
{
    int64_t by_bytes = QUEUE_BYTES / settings->threads / settings->value_bytes;
    int64_t sets = settings->chunk < by_bytes ? settings->chunk : by_bytes;

    return sets > 1 ? (size_t)sets : 1;
}

/* Makes worker->set the SETs of `n` blocks from `first` on. */
static void make_sets(nkvi_worker *worker, size_t first, size_t n)
{
    size_t bytes = (size_t)worker->replay->settings->value_bytes;

    for (size_t i = 0; i < n; i++) {
        char *value = worker->value + i * bytes;
        nkv_str *argv = worker->set_argv[i];

        nkvi_replay_value(worker->request.ids[first + i], value, bytes);
        argv[0] = nkv_cstr("SET");
        argv[1] = worker->key[first + i];
        argv[2] = nkv_str_make(value, bytes);
        argv[3] = nkv_cstr("PX");
        argv[4] = nkv_cstr(KEY_TTL_MS);
        worker->set[i] = (nkv_argv){NKVI_SET_WORDS, argv};
    }
}

/* Notes the first error among the answers of a transaction.  Returns whether there is none. */
static bool all_stored(nkvi_worker *worker, const nkv_value *value)
{
    nkv_reply reply = nkv_value_reply(value);

    for (size_t i = 0; i < reply.elements; i++) {
        if (reply.element[i].type == NKV_TYPE_ERROR) {
            nkv_call call;
            nkv_call_init(&call);
            snprintf(call.error.text, sizeof call.error.text, "%s", reply.element[i].str);
            nkvi_replay_fail(worker->replay, "storing a block", &call, NKV_EREPLY);
            return false;
        }
    }
    return true;
}

/* Stores the blocks from `first` on, many in one round trip. */
static bool store(nkvi_worker *worker, int side, size_t first)
{
    size_t n = worker->request.n, at = first;
    bool fine = true;
    nkv_call call;

    nkv_call_init(&call);
    while (fine && at < n) {
        size_t sets = n - at < worker->replay->sets_max ? n - at : worker->replay->sets_max;
        nkv_value *value = NULL;

        make_sets(worker, at, sets);
        nkv_status status =
            nkv_transaction(worker->replay->client[side], worker->set, sets, &call, &value);
        if (status < 0) {
            nkvi_replay_fail(worker->replay, "storing a block", &call, status);
        }
        fine = status >= 0 && (value == NULL || all_stored(worker, value));
        nkv_value_release(value);
        at += sets;
    }
    worker->side[side].stored += at - first;
    return fine;
}

/* ---- All ------------------------------------------------------------------------------------- */

static void release(nkvi_worker *worker, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(worker->result[i].value);
    }
}

bool nkvi_replay_side(nkvi_worker *worker, int side)
{
    nkvi_side_count *count = &worker->side[side];
    size_t found = 0, local = 0, looked_up_local = 0, fetched_local = 0;

    if (worker->request.n == 0) {
        return true;
    }
    make_keys(worker, side);
    int64_t began_ns = nkvi_stopwatch_ns(), asked_ns = began_ns, looked_up_ns = began_ns;
    for (int64_t asks = worker->replay->settings->asks; asks > 0; asks--) {
        if (!look_up(worker, side, &found, &local)) {
            return false;
        }
        looked_up_local += local;
        looked_up_ns = nkvi_stopwatch_ns();
        nkvi_latency_add(&count->lookup, looked_up_ns - asked_ns);
        asked_ns = looked_up_ns;
    }
    size_t asked = found;
    bool fine = fetch(worker, side, &found, &fetched_local);
    int64_t fetched_ns = nkvi_stopwatch_ns();
    if (fine && side == NKVI_SIDE_CACHE && worker->replay->checker != NULL) {
        fine = nkvi_replay_verify(worker, found, looked_up_local + fetched_local);
    }
    release(worker, asked);
    int64_t store_ns = nkvi_stopwatch_ns();
    if (!fine || !store(worker, side, found)) {
        return false;
    }
    count->found += found;
    if (asked > 0) {
        nkvi_latency_add(&count->fetch, fetched_ns - looked_up_ns);
    }
    nkvi_latency_add(&count->answer, fetched_ns - began_ns);
    if (found < worker->request.n) {
        nkvi_latency_add(&count->store, nkvi_stopwatch_ns() - store_ns);
    }
    return true;
}
