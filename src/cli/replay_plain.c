/* cli/replay_plain.c - blocks that are values of plain keys. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/replay.h"
#include "cli/stopwatch.h"

static size_t chunk_at(const nkvi_worker *worker, size_t at, size_t n)
{
    size_t chunk = (size_t)worker->replay->settings->chunk;

    return n - at < chunk ? n - at : chunk;
}

static bool look_up(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    nkvi_side_count *count = &worker->side[side];
    size_t n = worker->request.n;
    int64_t began_ns = nkvi_stopwatch_ns();
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
    worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
    count->lookups_local += *local;
    return true;
}

/* ---- Fetching -------------------------------------------------------------------------------- */

/* Gets `n` blocks into worker->result; they are to be released. */
static bool get(nkvi_worker *worker, int side, size_t n)
{
    int64_t began_ns = nkvi_stopwatch_ns();
    nkv_status status = NKV_OK;
    nkv_call call;

    nkv_call_init(&call);
    memset(worker->result, 0, n * sizeof *worker->result);
    for (size_t at = 0; at < n && status >= 0; at += chunk_at(worker, at, n)) {
        status = nkv_mget(worker->replay->client[side], worker->key + at, chunk_at(worker, at, n),
                          &call, worker->result + at);
    }
    worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
    if (status < 0) {
        nkvi_replay_fail(worker->replay, "fetching the prefix", &call, status);
    }
    return status >= 0;
}

static bool fetch(nkvi_worker *worker, int side, size_t *found, size_t *local)
{
    nkvi_side_count *count = &worker->side[side];
    size_t n = *found;
    bool fine = get(worker, side, n);

    *local = 0;
    for (size_t i = 0; i < n && fine; i++) {
        *local += worker->result[i].from == NKV_FROM_CACHE;
        if (i < *found && worker->result[i].status != NKV_OK) {
            *found = i;
        }
        if (i < *found) {
            count->fetched_bytes += nkv_value_str(worker->result[i].value).len;
        }
    }
    count->fetches += n;
    count->fetches_local += *local;
    if (fine && side == NKVI_SIDE_CACHE && worker->replay->checker != NULL) {
        fine = nkvi_replay_verify(worker, *found);
    }
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(worker->result[i].value);
    }
    return fine;
}

/* ---- Storing --------------------------------------------------------------------------------- */

/* Makes worker->set the SETs of `n` blocks from `first` on. */
static void make_sets(nkvi_worker *worker, size_t first, size_t n)
{
    size_t bytes = (size_t)worker->replay->settings->block_bytes;

    for (size_t i = 0; i < n; i++) {
        char *value = worker->value + i * bytes;
        nkv_str *argv = worker->set_argv[i];

        nkvi_replay_value(worker->request.ids[first + i], value, bytes);
        argv[0] = nkv_cstr("SET");
        argv[1] = worker->key[first + i];
        argv[2] = nkv_str_make(value, bytes);
        argv[3] = nkv_cstr("EX");
        argv[4] = nkv_cstr(NKVI_KEY_TTL_TEXT);
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

/* SETs on their way, so that a batch is one round trip to each node that has some of it. */
typedef struct sets {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    size_t open;
    nkv_status status; /* of the first that failed */
    nkv_call call;     /* its error */
} sets;

/* `call` NULL: it could not even begin. */
static void set_done(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    sets *all = ud;

    nkv_value_release(value);
    pthread_mutex_lock(&all->mu);
    if (status < 0 && all->status == NKV_OK) {
        all->status = status;
        all->call.error = call != NULL ? call->error : (nkv_error){.status = status};
    }
    if (--all->open == 0) {
        pthread_cond_signal(&all->cond);
    }
    pthread_mutex_unlock(&all->mu);
}

/* Stores the blocks of worker->set one by one, and waits for them. */
static bool set_singly(nkvi_worker *worker, int side, size_t n)
{
    sets all = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .open = n};

    nkv_call_init(&all.call);
    for (size_t i = 0; i < n; i++) {
        nkv_status status = nkv_command_async(worker->replay->client[side], worker->set[i].argc,
                                              worker->set[i].argv, NULL, set_done, &all);
        if (status < 0) {
            set_done(status, NULL, NULL, &all);
        }
    }
    pthread_mutex_lock(&all.mu);
    while (all.open > 0) {
        pthread_cond_wait(&all.cond, &all.mu);
    }
    pthread_mutex_unlock(&all.mu);
    if (all.status < 0) {
        nkvi_replay_fail(worker->replay, "storing a block", &all.call, all.status);
    }
    return all.status == NKV_OK;
}

/* Stores them in one transaction, which a cluster does not take: then one by one. */
static bool set_together(nkvi_worker *worker, int side, size_t n)
{
    nkvi_replay *replay = worker->replay;
    nkv_value *value = NULL;
    nkv_call call;

    nkv_call_init(&call);
    if (!atomic_load(&replay->singly)) {
        nkv_status status = nkv_transaction(replay->client[side], worker->set, n, &call, &value);
        if (status >= 0) {
            bool fine = value == NULL || all_stored(worker, value);
            nkv_value_release(value);
            return fine;
        }
        if (status != NKV_EINVAL) {
            nkvi_replay_fail(replay, "storing a block", &call, status);
            return false;
        }
        atomic_store(&replay->singly, true);
    }
    return set_singly(worker, side, n);
}

static bool store(nkvi_worker *worker, int side, size_t first)
{
    size_t n = worker->request.n, at = first;
    nkvi_side_count *count = &worker->side[side];
    bool fine = true;

    while (fine && at < n) {
        size_t blocks = n - at < worker->replay->batch_max ? n - at : worker->replay->batch_max;

        make_sets(worker, at, blocks);
        int64_t began_ns = nkvi_stopwatch_ns();
        fine = set_together(worker, side, blocks);
        worker->spent_ns += nkvi_stopwatch_ns() - began_ns;
        at += blocks;
    }
    count->stored += at - first;
    count->stored_bytes += (at - first) * (uint64_t)worker->replay->settings->block_bytes;
    return fine;
}

static nkv_status forget(nkvi_replay *replay, const nkv_str *keys, size_t n)
{
    return nkv_del(replay->client[replay->sides - 1], keys, n, NULL, NULL);
}

const nkvi_replay_way nkvi_replay_plain = {look_up, fetch, store, forget};
