/* lmcache/store.h - what LMCache's operations are made of; for src/lmcache/store*.c only.
 *
 * An operation is a job (client/job.h) whose phases are lookups (cached reads on the tracked lane)
 * and transfers (chunks on the bulk lanes):
 *
 *      contains     lookup
 *      get          lookup, payloads, delete the metadata of payloads that are gone
 *      put          payload and metadata in one command where the server takes it, else payloads,
 *                   metadata of those that are there; lookup (so that the next is local)
 *      remove       metadata, payloads
 *
 * All memory of an operation is one block: the job, a part for each item, and what carve() cut off
 * behind them.
 * Threads  as a job's: one phase at a time. */
#ifndef NKVI_LMCACHE_STORE_H
#define NKVI_LMCACHE_STORE_H

#include <nearkv/lmcache_store.h>

#include "client/chunk.h"
#include "client/job.h"
#include "client/place.h"
#include "client/read.h"
#include "client/witness.h"

struct nkv_lmcache {
    nkv_client *client;
    nkv_lmcache_options options;
};

typedef struct nkvi_op nkvi_op;

/* One item on its way. */
typedef struct nkvi_op_part {
    nkvi_op *op;
    nkv_item *item;
    nkv_str names[2]; /* by nkv_lmcache_part; what the layout has not is empty */
    nkv_str packed;   /* put: the metadata's bytes */
    bool paired;      /* put: payload and metadata are written in one */
    bool wrote;       /* put: the payload is there; remove: one of the keys was */
    bool fetched;     /* get: the payload is where it belongs */
    bool wrong;       /* get: the payload has another size than it should */
    bool gone;        /* get: metadata without a payload; put: refused metadata; to be deleted */
    const struct nkvi_op_part *shadow; /* put: another of the same key, which is written instead */
    nkv_value *witness; /* get with cache_payloads: the tracked answer; a reference */
    nkvi_chunk chunk;   /* of the phase under way */
    nkvi_place place;
    nkvi_witnessed keep;
} nkvi_op_part;

/* The reads of a lookup: one or two for each part. */
typedef struct nkvi_lookup {
    nkvi_reads all;
    nkvi_read *reads;
    nkv_result *results;
    nkv_str *argv;  /* two for each read */
    uint32_t *part; /* of each part that is asked for: its index */
    size_t n;       /* parts that are asked for */
} nkvi_lookup;

typedef enum nkvi_doing { NKVI_DOING_NOTHING, NKVI_DOING_LOOKUP, NKVI_DOING_CHUNKS } nkvi_doing;

/* What a step of an operation did. */
typedef enum nkvi_step {
    NKVI_STEP_STARTED, /* a phase is under way; the operation may be gone already */
    NKVI_STEP_NOTHING, /* there was nothing to do: on to the next */
    NKVI_STEP_END      /* nothing more may be done */
} nkvi_step;

struct nkvi_op {
    nkvi_job job;
    nkv_lmcache_options options;            /* the handle may go before the operation does */
    nkvi_step (*const *steps)(nkvi_op *op); /* one behind the other; NULL ends them */
    unsigned step;
    nkvi_doing doing;
    bool blind;                  /* the lookup is for the cache alone: it judges nothing */
    void (*finish)(nkvi_op *op); /* after all steps, or NULL */
    nkvi_lookup lookup;
    nkvi_chunk **chunks; /* of the phase under way */
    size_t chunks_n;
    nkvi_op_part parts[];
};

/* How an operation is made. */
typedef struct nkvi_op_plan {
    nkv_lmcache *lmcache;
    nkv_item *items;
    size_t n;
    const nkv_call *call;
    nkv_priority priority;
    nkvi_step (*const *steps)(nkvi_op *op);
    void (*finish)(nkvi_op *op);
    bool looks_up; /* memory for a lookup is needed */
    bool packs;    /* items have metadata to be written */
} nkvi_op_plan;

/* The deadline of a call, from now. */
int64_t nkvi_lmcache_deadline(const nkv_lmcache *lmcache, const nkv_call *call);

/* Makes the operation; items that cannot be (an empty K, wrong metadata) get NKV_EINVAL, and are
 * left out by everything that follows.  Returns NKV_OK · NKV_EINVAL · NKV_ENOMEM. */
nkv_status nkvi_op_make(const nkvi_op_plan *plan, nkvi_op **out, nkv_error *error);

/* Makes and runs, or submits, in one. */
nkv_status nkvi_op_run(const nkvi_op_plan *plan, nkv_call *call, nkv_completion *outcome);
nkv_status nkvi_op_submit(const nkvi_op_plan *plan, nkv_ticket *ticket);

/* Whether an item may still be worked on: nothing of it has failed or is missing. */
static inline bool nkvi_op_open(const nkvi_op_part *part)
{
    return part->item->status == NKV_ECANCELED || part->item->status == NKV_OK;
}

/* Whether payloads are looked for in the cache, and kept there. */
static inline bool nkvi_op_keeps(const nkvi_op *op)
{
    return op->options.cache_payloads && op->job.client->caching && !op->job.call.no_cache;
}

static inline bool nkvi_op_single(const nkvi_op *op)
{
    return op->options.layout == NKV_LMCACHE_SINGLE_KEY;
}

/* Starts a lookup of the parts for which wanted() is true; all of them are judged when the last is
 * answered. */
typedef bool (*nkvi_wanted_fn)(const nkvi_op_part *part);
nkvi_step nkvi_op_look_up(nkvi_op *op, nkvi_wanted_fn wanted);

/* Starts the chunks of the parts for which fill() returns true; it sets kind, key, value, expect,
 * room and done of the chunk.  done() ends with nkvi_op_chunk_done(). */
typedef bool (*nkvi_fill_fn)(nkvi_op_part *part);
nkvi_step nkvi_op_transfer(nkvi_op *op, nkvi_fill_fn fill);
void nkvi_op_chunk_done(nkvi_op_part *part, const nkv_error *error);

/* What a lookup found: sets the item's status, len and meta. */
void nkvi_judge(nkvi_op_part *part, const nkv_lmcache_options *options, const nkv_result *results);

/* The same of the answers alone (NIL for what does not exist): NKV_OK (*meta is filled in; not with
 * SINGLE_KEY) · NKV_NOT_FOUND.  *gone: there is metadata, but no payload. */
nkv_status nkvi_judge_values(const nkv_lmcache_options *options, nkv_value *const *values,
                             nkv_lmcache_meta *meta, bool *gone);

/* How many reads a lookup makes for each item (1 or 2), and with which verb on which key. */
unsigned nkvi_lookup_width(const nkv_lmcache_options *options);
const nkvi_verb *nkvi_lookup_verb(const nkv_lmcache_options *options, unsigned i,
                                  nkv_lmcache_part *part);

/* Parts that are not settled yet: wanted() of a first lookup. */
bool nkvi_op_wants_all(const nkvi_op_part *part);

#endif
