/* cli/replay.c - the command `nearkv replay`: workers, their requests, the end.
 *
 *      open source, connect --> workers: take a request, do it on both sides, …
 *                                                  --> report --> delete keys
 *
 * A worker stops when the source is empty, something failed, or a signal asked for it.  The first
 * failure ends the replay: figures of a half-broken run mean nothing.  The report is shown in any
 * case.                                                                                          */
#include "cli/replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <nearkv/stats.h>

#include "cli/connect.h"
#include "cli/embedded.h"
#include "cli/ending.h"
#include "cli/help.h"
#include "cli/must.h"
#include "cli/secret.h"
#include "cli/stopwatch.h"

#define SYNTHETIC_REQUESTS 1000
#define DELETE_KEYS        512 /* in one command */
#define DELETE_TRIES       3   /* the connection may be lost and come back meanwhile */

/* ---- Workers --------------------------------------------------------------------------------- */

/* Takes the next request.  Returns its number from 1, or 0: there is nothing to do any more. */
static uint64_t take_request(nkvi_worker *worker)
{
    nkvi_replay *replay = worker->replay;
    uint64_t limit = (uint64_t)replay->settings->requests, number = 0;

    pthread_mutex_lock(&replay->lock);
    if (!replay->failed && !nkvi_ending_asked() && (limit == 0 || replay->requests < limit)) {
        nkvi_source_result result =
            replay->source->next(replay->source, &worker->request, &replay->error);
        replay->failed = result == NKVI_SOURCE_ERROR;
        if (result == NKVI_SOURCE_REQUEST) {
            number = ++replay->requests;
            replay->blocks += worker->request.n;
            for (size_t i = 0; i < worker->request.n; i++) {
                (void)nkvi_ids_add(&replay->ids, worker->request.ids[i]);
            }
            double done =
                limit > 0 ? (double)number / (double)limit : replay->source->done(replay->source);
            nkvi_progress_step(&replay->progress, done, number, nkvi_stopwatch_ns());
        }
    }
    pthread_mutex_unlock(&replay->lock);
    return number;
}

static void *work(void *argument)
{
    nkvi_worker *worker = argument;
    uint64_t number;

    while ((number = take_request(worker)) != 0) {
        bool both = worker->replay->sides == NKVI_SIDES;
        int first = both && number % 2 == 0 ? NKVI_SIDE_PLAIN : NKVI_SIDE_CACHE;
        if (!nkvi_replay_side(worker, first) || (both && !nkvi_replay_side(worker, 1 - first))) {
            break;
        }
    }
    return NULL;
}

static void add_worker(nkvi_replay_result *result, const nkvi_worker *worker)
{
    for (int i = 0; i < NKVI_SIDES; i++) {
        nkvi_side_count *into = &result->side[i];
        const nkvi_side_count *from = &worker->side[i];
        into->lookups += from->lookups;
        into->lookups_local += from->lookups_local;
        into->fetches += from->fetches;
        into->fetches_local += from->fetches_local;
        into->found += from->found;
        into->stored += from->stored;
        into->fetched_bytes += from->fetched_bytes;
        into->stored_bytes += from->stored_bytes;
        nkvi_latency_merge(&into->lookup, &from->lookup);
        nkvi_latency_merge(&into->fetch, &from->fetch);
        nkvi_latency_merge(&into->store, &from->store);
        nkvi_latency_merge(&into->answer, &from->answer);
    }
    result->verify.mismatches += worker->mismatches;
}

static void clear_worker(nkvi_worker *worker)
{
    nkvi_request_clear(&worker->request);
    nkvi_out_clear(&worker->names);
    free(worker->key);
    free(worker->result);
    free(worker->value);
    free(worker->expect);
    free(worker->set);
    free(worker->set_argv);
    free(worker->item);
    free(worker->check);
    free(worker->meta);
}

/* Gives a worker its buffers. */
static void equip(nkvi_worker *worker, nkvi_replay *replay)
{
    size_t n = replay->batch_max, bytes = (size_t)replay->settings->block_bytes;

    worker->replay = replay;
    worker->value = nkvi_must_alloc(n, bytes);
    if (replay->checker != NULL) {
        worker->expect = nkvi_must_alloc(1, bytes);
        worker->check = nkvi_must_alloc(n, sizeof *worker->check);
    }
    worker->set = nkvi_must_alloc(n, sizeof *worker->set);
    worker->set_argv = nkvi_must_alloc(n, sizeof *worker->set_argv);
    worker->item = nkvi_must_alloc(n, sizeof *worker->item);
    worker->meta = nkvi_must_alloc(n, sizeof *worker->meta);
}

/* Runs the workers and adds up what they counted.  The calling thread is one of them. */
static void run_workers(nkvi_replay *replay, nkvi_replay_result *result)
{
    size_t n = (size_t)replay->settings->threads, started = 0;
    nkvi_worker *worker = nkvi_must_alloc(n, sizeof *worker);
    pthread_t *thread = nkvi_must_alloc(n, sizeof *thread);

    for (size_t i = 0; i < n; i++) {
        equip(&worker[i], replay);
    }
    for (size_t i = 1; i < n; i++) {
        if (pthread_create(&thread[i], NULL, work, &worker[i]) != 0) {
            nkvi_replay_fail(replay, "starting a thread", NULL, NKV_ENOMEM);
            break;
        }
        started = i;
    }
    (void)work(&worker[0]);
    for (size_t i = 1; i <= started; i++) {
        (void)pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < n; i++) {
        add_worker(result, &worker[i]);
        clear_worker(&worker[i]);
    }
    free(thread);
    free(worker);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Gives both sides keys that nobody else has. */
static void name_keys(nkvi_replay *replay)
{
    static const char marks[NKVI_SIDES] = {'c', 'p'};
    uint32_t run = 0;

    if (getrandom(&run, sizeof run, 0) != (ssize_t)sizeof run) {
        run = (uint32_t)getpid();
    }
    for (int side = 0; side < NKVI_SIDES; side++) {
        nkvi_out_printf(&replay->key_prefix[side], "%s%08x:%c:", replay->settings->key_prefix, run,
                        marks[side]);
    }
}

/* Deletes the keys of `n` ids on one side. */
static bool delete_some(nkvi_replay *replay, int side, const uint64_t *ids, size_t n)
{
    const nkvi_out *prefix = &replay->key_prefix[side];
    nkv_str keys[DELETE_KEYS];
    nkvi_out names = {0};

    for (size_t i = 0; i < n; i++) {
        size_t start = names.len;
        nkvi_out_add(&names, prefix->data, prefix->len);
        nkvi_out_printf(&names, "%llu", (unsigned long long)ids[i]);
        keys[i].len = names.len - start;
    }
    const char *at = names.data;
    for (size_t i = 0; i < n; i++) {
        keys[i].data = at;
        at += keys[i].len;
    }
    nkv_status status = NKV_ECONN;
    for (int i = 0; i < DELETE_TRIES && status == NKV_ECONN; i++) {
        status = replay->way->forget(replay, keys, n);
    }
    nkvi_out_clear(&names);
    return status >= 0;
}

/* Deletes all keys of this run. */
static void delete_keys(nkvi_replay *replay)
{
    uint64_t ids[DELETE_KEYS];
    size_t at = 0, n = 0;
    bool more = true, fine = true;

    while (more && fine) {
        more = nkvi_ids_next(&replay->ids, &at, &ids[n]);
        n += more;
        if (n == DELETE_KEYS || (!more && n > 0)) {
            for (int side = 0; side < replay->sides && fine; side++) {
                fine = delete_some(replay, side, ids, n);
            }
            n = 0;
        }
    }
    if (!fine) {
        fprintf(stderr, "nearkv: not all keys could be deleted; they expire within a day\n");
    }
}

/* ---- The run --------------------------------------------------------------------------------- */

static nkv_stats stats_of(nkv_client *client)
{
    nkv_stats stats = {.struct_size = sizeof stats};

    if (client == NULL || nkv_client_stats(client, &stats) < 0) {
        stats = (nkv_stats){.struct_size = sizeof stats};
    }
    return stats;
}

/* How many keys were asked for on a side, and for how many the cache answered.  Of chunks the
 * client alone knows: it counts metadata, and payloads that the cache is asked for. */
static void add_up_keys(nkvi_replay_result *result, const nkvi_replay *replay, int side,
                        const nkv_stats *before)
{
    const nkvi_side_count *count = &result->side[side];
    nkv_stats now = stats_of(replay->client[side]);
    bool counted = replay->settings->cache_payloads && side == NKVI_SIDE_CACHE;

    result->round_trips[side] = now.round_trips - before->round_trips;
    result->asked[side] = count->lookups + count->fetches;
    result->local[side] = count->lookups_local + count->fetches_local;
    if (result->chunks) {
        result->asked[side] = now.reads - before->reads + (counted ? 0 : count->fetches);
        result->local[side] = now.hits - before->hits;
    }
}

static void report(const nkvi_replay *replay, const nkvi_replay_result *result)
{
    nkvi_out out = {0};

    if (replay->settings->json) {
        nkvi_replay_json(result, &out);
    } else if (result->requests > 0 || !replay->failed) { /* else the reason tells it all */
        nkvi_replay_table(result, &out);
    }
    (void)nkvi_out_write(&out, stdout);
    nkvi_out_clear(&out);
}

/* Replays on connected clients.  Returns the exit status. */
static int run(nkvi_replay *replay)
{
    nkvi_replay_result *result = nkvi_must_alloc(1, sizeof *result);
    nkv_stats before[NKVI_SIDES];
    int64_t began_ns = nkvi_stopwatch_ns();

    for (int i = 0; i < NKVI_SIDES; i++) {
        before[i] = stats_of(replay->client[i]);
    }
    nkvi_progress_start(&replay->progress, isatty(STDERR_FILENO), began_ns);
    nkvi_ending_patience(true);
    run_workers(replay, result);
    nkvi_progress_end(&replay->progress);

    result->chunks = replay->settings->replay_layout > 0;
    result->sides = replay->sides;
    result->threads = replay->settings->threads;
    for (int i = 0; i < NKVI_SIDES; i++) {
        add_up_keys(result, replay, i, &before[i]);
    }
    result->requests = replay->requests;
    result->blocks = replay->blocks;
    result->distinct = replay->ids.n;
    result->verified = replay->checker != NULL;
    result->verify.compared = result->local[NKVI_SIDE_CACHE];
    result->interrupted = nkvi_ending_asked() != 0;
    result->seconds = (double)(nkvi_stopwatch_ns() - began_ns) / 1e9;
    report(replay, result);
    if (replay->failed) {
        (void)nkvi_out_write(&replay->error, stderr);
    }
    if (!replay->settings->embedded && !replay->settings->keep) {
        delete_keys(replay);
    }
    bool right = !replay->failed && result->verify.mismatches == 0;
    free(result);
    return nkvi_ending_asked() ? 128 + nkvi_ending_asked()
           : right             ? NKVI_EXIT_OK
                               : NKVI_EXIT_FAILURE;
}

/* Connects the clients. */
static int connect_all(nkvi_replay *replay)
{
    const nkvi_settings *settings = replay->settings;
    int status = nkvi_connect(settings, false, &replay->client[NKVI_SIDE_CACHE]);

    if (status == NKVI_EXIT_OK && replay->sides == NKVI_SIDES) {
        status = nkvi_connect(settings, true, &replay->client[NKVI_SIDE_PLAIN]);
    }
    if (status == NKVI_EXIT_OK && settings->verify) {
        status = nkvi_connect(settings, true, &replay->checker);
    }
    return status;
}

/* Connects the clients, runs, and lets go of them. */
static int connect_and_run(nkvi_replay *replay, nkvi_out *error)
{
    const nkvi_settings *settings = replay->settings;
    bool chunks = settings->replay_layout > 0;

    replay->way = chunks ? &nkvi_replay_chunks : &nkvi_replay_plain;
    replay->sides = settings->cached_only ? 1 : NKVI_SIDES;
    int status = connect_all(replay);
    if (status == NKVI_EXIT_OK && chunks && !nkvi_replay_open_chunks(replay, error)) {
        status = NKVI_EXIT_USAGE;
    }
    if (status == NKVI_EXIT_OK) {
        name_keys(replay);
        replay->batch_max = nkvi_replay_batch_max(settings);
        status = run(replay);
    }
    nkvi_replay_close_chunks(replay);
    nkv_client_destroy(replay->checker);
    for (int i = 0; i < NKVI_SIDES; i++) {
        nkv_client_destroy(replay->client[i]);
        nkvi_out_clear(&replay->key_prefix[i]);
    }
    return status;
}

/* Everything but the options.  Returns the exit status. */
static int prepare_and_run(nkvi_settings *settings, nkvi_out *error)
{
    nkvi_replay replay = {.settings = settings, .lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t requests = settings->requests > 0 ? (uint64_t)settings->requests : SYNTHETIC_REQUESTS;
    int status = NKVI_EXIT_FAILURE;

    replay.source = settings->synthetic ? nkvi_synthetic_open((uint64_t)settings->seed, requests)
                                        : nkvi_trace_open(settings->trace, error);
    if (replay.source == NULL) {
        return NKVI_EXIT_FAILURE;
    }
    if (nkvi_secret_find(settings, error) &&
        (!settings->embedded || nkvi_embedded_start(&settings->url, error))) {
        status = connect_and_run(&replay, error);
    }
    replay.source->close(replay.source);
    nkvi_ids_clear(&replay.ids);
    nkvi_out_clear(&replay.error);
    return status;
}

int nkvi_replay_main(int argc, char **argv)
{
    nkvi_settings settings;
    nkvi_out error = {0};
    int status = NKVI_EXIT_USAGE;

    if (nkvi_options_parse(&settings, NKVI_FOR_REPLAY, argc, argv, &error)) {
        status = settings.help ? nkvi_help_print("replay") : prepare_and_run(&settings, &error);
    }
    if (error.len > 0) {
        (void)nkvi_out_write(&error, stderr);
    }
    nkvi_embedded_stop();
    nkvi_settings_clear(&settings);
    nkvi_out_clear(&error);
    return status;
}
