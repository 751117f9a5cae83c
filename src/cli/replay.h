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
 * On one side a request is what an engine that stores KV blocks does with a prompt, in one of two
 * ways: blocks are values of plain keys, or (--layout) chunks of LMCache:
 *                                                       replay_plain.c      replay_chunks.c
 *      lookup   how many leading blocks are there?      nkv_prefix          nkv_lmcache_prefix
 *      fetch    get those                               nkv_mget            nkv_lmcache_get_prefix
 *      store    put the others                          nkv_transaction     nkv_lmcache_put
 *
 * Threads  Every worker has counters of its own; what is shared stands under replay.lock.        */
#ifndef NKVI_CLI_REPLAY_H
#define NKVI_CLI_REPLAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nearkv/client.h>
#include <nearkv/lmcache_store.h>
#include <nearkv/stats.h>

#include "cli/ids.h"
#include "cli/latency.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/source.h"

#define NKVI_SIDES      2
#define NKVI_SIDE_CACHE 0
#define NKVI_SIDE_PLAIN 1

#define NKVI_SET_WORDS 5 /* SET key value EX seconds */

/* A key outlives every replay, but not for ever: should we be killed, the server forgets it. */
#define NKVI_KEY_TTL_S    86400
#define NKVI_KEY_TTL_TEXT "86400"

/* What happened on one side. */
typedef struct nkvi_side_count {
    /* Keys asked for, and for how many the cache answered; what of chunks was answered by the cache
     * is counted by the client alone. */
    uint64_t lookups, lookups_local;
    uint64_t fetches, fetches_local;
    uint64_t found;  /* blocks of the prefixes */
    uint64_t stored; /* blocks */
    uint64_t fetched_bytes, stored_bytes;
    nkvi_latency lookup, fetch, store;
    nkvi_latency answer; /* lookup and fetch: what a prompt waits for */
} nkvi_side_count;

/* What --verify found. */
typedef struct nkvi_verify_count {
    uint64_t compared;   /* local answers, all of which were compared with the server's */
    uint64_t mismatches; /* of all answers */
} nkvi_verify_count;

/* Everything that is in the report. */
typedef struct nkvi_replay_result {
    uint64_t requests, blocks, distinct;
    bool chunks; /* --layout */
    int sides;   /* 1: the cached one alone */
    int64_t threads;
    nkvi_side_count side[NKVI_SIDES];
    uint64_t asked[NKVI_SIDES], local[NKVI_SIDES]; /* keys; for how many the cache answered */
    uint64_t round_trips[NKVI_SIDES];
    bool verified, interrupted;
    nkvi_verify_count verify;
    double seconds;
} nkvi_replay_result;

typedef struct nkvi_replay nkvi_replay;
typedef struct nkvi_worker nkvi_worker;

/* What the blocks are: the steps of a request.  Each adds the time that the library took to
 * worker->spent_ns, and returns false after a failure, which is then in replay->error. */
typedef struct nkvi_replay_way {
    /* Asks how many leading blocks there are, and of how many answers the cache gave. */
    bool (*look_up)(nkvi_worker *worker, int side, size_t *found, size_t *local);
    /* Fetches the `found` leading blocks; one that went away meanwhile shortens the prefix.  What
     * the cached side has is verified if there is a checker. */
    bool (*fetch)(nkvi_worker *worker, int side, size_t *found, size_t *local);
    /* Stores the blocks from `first` on. */
    bool (*store)(nkvi_worker *worker, int side, size_t first);
    /* Deletes blocks of one side. */
    nkv_status (*forget)(nkvi_replay *replay, const nkv_str *keys, size_t n);
} nkvi_replay_way;

extern const nkvi_replay_way nkvi_replay_plain, nkvi_replay_chunks;

struct nkvi_replay {
    const nkvi_settings *settings;
    const nkvi_replay_way *way;
    int sides;
    nkv_client *client[NKVI_SIDES];
    nkv_client *checker; /* NULL: no --verify; caches nothing */
    /* --layout: the same clients' chunks, and what is said of every block. */
    nkv_lmcache *lmcache[NKVI_SIDES], *lmcache_checker;
    nkv_lmcache_meta meta;
    nkvi_out key_prefix[NKVI_SIDES];
    size_t batch_max;    /* blocks that lie in a worker's buffer */
    _Atomic bool singly; /* plain: the server takes no transactions over several slots */

    pthread_mutex_t lock; /* over all below */
    nkvi_source *source;
    nkvi_progress progress;
    nkvi_ids ids; /* of all blocks seen */
    uint64_t requests, blocks;
    bool failed;
    nkvi_out error; /* the first failure, a line */
};

/* One thread's own: counters and buffers. */
struct nkvi_worker {
    nkvi_replay *replay;
    nkvi_side_count side[NKVI_SIDES];
    uint64_t mismatches;
    int64_t spent_ns; /* on the step under way */
    nkvi_request request;
    nkvi_out names; /* the keys of the request, one after the other */
    nkv_str *key;
    nkv_result *result;
    size_t cap;    /* of key and result */
    char *value;   /* of batch_max blocks */
    char *expect;  /* --verify: of one */
    nkv_argv *set; /* plain: batch_max of each */
    nkv_str (*set_argv)[NKVI_SET_WORDS];
    nkv_item *item, *check; /* chunks: batch_max of each */
    nkv_lmcache_meta *meta;
};

/* How many blocks a worker has memory for: of plain keys, so many that the transactions of all
 * threads fit into the queue of one connection. */
size_t nkvi_replay_batch_max(const nkvi_settings *settings);

/* Does worker->request on one side.  Returns false after a failure, which is then in
 * replay->error.                                                                                 */
bool nkvi_replay_side(nkvi_worker *worker, int side);

/* plain: compares the answers for worker->request, of which `found` leading blocks were found and
 * fetched into worker->result, with those of the checker.  Returns false after a failure.        */
bool nkvi_replay_verify(nkvi_worker *worker, size_t found);

/* chunks: the same for the `n` blocks from `at` on, in worker->item, and for the block at `found`,
 * which is not there.                                                                            */
bool nkvi_replay_verify_chunks(nkvi_worker *worker, size_t at, size_t n);
bool nkvi_replay_verify_absent(nkvi_worker *worker, size_t found);

/* Whether `len` bytes are those of the block `id`. */
bool nkvi_replay_is_block(nkvi_worker *worker, uint64_t id, const char *data, size_t len);

/* chunks: makes the handles on the clients that are there.  Returns false: `error` has a line. */
bool nkvi_replay_open_chunks(nkvi_replay *replay, nkvi_out *error);
void nkvi_replay_close_chunks(nkvi_replay *replay);

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
