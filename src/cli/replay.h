/* cli/replay.h - prefix traffic, replayed with the cache and without, side by side.
 *
 *                        +--> side 0: the cached client,  keys nearkv:replay:RUN:c:ID
 *      source --request--+
 *                        +--> side 1: an uncached client, keys nearkv:replay:RUN:p:ID
 *
 * Each request is done on both sides, right after each other, and the side that begins changes with
 * every request: so both meet the same server in the same state, the same weather on the machine,
 * and equal data of their own.
 *
 * On one side a request is what an engine that stores KV blocks does with a prompt:
 *      lookup   how many leading blocks are there?        nkv_prefix
 *      fetch    get those                                 nkv_mget
 *      store    put the others                            SETs, many in one nkv_transaction
 *
 * Threads  Every worker has counters of its own; what is shared stands under replay.lock.        */
#ifndef NKVI_CLI_REPLAY_H
#define NKVI_CLI_REPLAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nearkv/client.h>

#include "cli/ids.h"
#include "cli/latency.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/source.h"

#define NKVI_SIDES      2
#define NKVI_SIDE_CACHE 0
#define NKVI_SIDE_PLAIN 1

#define NKVI_SET_WORDS 5 /* SET key value PX ms */

/* What happened on one side. */
typedef struct nkvi_side_count {
    uint64_t lookups, lookups_local; /* keys asked for, and for how many the cache answered */
    uint64_t fetches, fetches_local;
    uint64_t found;  /* blocks of the prefixes */
    uint64_t stored; /* blocks */
    nkvi_latency lookup, fetch, store;
    nkvi_latency answer; /* lookup and fetch: what a prompt waits for */
} nkvi_side_count;

/* What --verify found. */
typedef struct nkvi_verify_count {
    uint64_t compared;   /* local answers that were compared with the server's */
    uint64_t mismatches; /* of all answers */
} nkvi_verify_count;

/* Everything that is in the report. */
typedef struct nkvi_replay_result {
    uint64_t requests, blocks, distinct;
    nkvi_side_count side[NKVI_SIDES];
    uint64_t round_trips[NKVI_SIDES];
    bool verified, interrupted;
    nkvi_verify_count verify;
    double seconds;
} nkvi_replay_result;

typedef struct nkvi_replay {
    const nkvi_settings *settings;
    nkv_client *client[NKVI_SIDES];
    nkv_client
        *checker; /* NULL: no --verify; caches nothing                                        */
    nkvi_out key_prefix[NKVI_SIDES];
    size_t sets_max; /* in one transaction                                                        */

    pthread_mutex_t lock; /* over all below */
    nkvi_source *source;
    nkvi_progress progress;
    nkvi_ids ids; /* of all blocks seen */
    uint64_t requests, blocks;
    bool failed;
    nkvi_out error; /* the first failure, a line */
} nkvi_replay;

/* One thread's own: counters and buffers. */
typedef struct nkvi_worker {
    nkvi_replay *replay;
    nkvi_side_count side[NKVI_SIDES];
    nkvi_verify_count verify;
    nkvi_request request;
    nkvi_out names; /* the keys of the request, one after the other */
    nkv_str *key;
    nkv_result *result;
    size_t cap;    /* of key and result */
    nkv_argv *set; /* sets_max of each */
    nkv_str (*set_argv)[NKVI_SET_WORDS];
    char *value; /* their values, value_bytes each */
} nkvi_worker;

/* How many SETs a transaction may have, so that the transactions of all threads fit into the queue
 * of one connection. */
size_t nkvi_replay_sets_max(const nkvi_settings *settings);

/* Does worker->request on one side.  Returns false after a failure, which is then in
 * replay->error.                                                                                 */
bool nkvi_replay_side(nkvi_worker *worker, int side);

/* Compares the answers for worker->request, of which `found` leading blocks were found and fetched
 * into worker->result, with those of the checker.  Returns false after a failure.                */
bool nkvi_replay_verify(nkvi_worker *worker, size_t found, size_t local);

/* Notes the first failure.  what: in a few words what was tried. */
void nkvi_replay_fail(nkvi_replay *replay, const char *what, const nkv_call *call,
                      nkv_status status);

/* The bytes that the block `id` has on both sides. */
void nkvi_replay_value(uint64_t id, char *value, size_t len);

/* The report. */
void nkvi_replay_table(const nkvi_replay_result *result, nkvi_out *out);
void nkvi_replay_json(const nkvi_replay_result *result, nkvi_out *out);

/* The command `nearkv replay`.  Returns its exit status. */
int nkvi_replay_main(int argc, char **argv);

#endif
