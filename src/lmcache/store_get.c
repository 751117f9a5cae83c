/* lmcache/store_get.c - get: sizes from the metadata, payloads in place; see store.h.
 *
 * With cache_payloads a payload is kept beside the tracked answer that says that it is there: the
 * metadata, as the command PAYLOAD of its key, or EXISTS of a single key, as its GET. */
#include <string.h>

#include "base/mem.h"
#include "lmcache/store.h"

/* ---- steps ----------------------------------------------------------------------------------- */

static nkvi_step look_up(nkvi_op *op)
{
    bool asks = !nkvi_op_single(op) || nkvi_op_keeps(op);
    return asks ? nkvi_op_look_up(op, nkvi_op_wants_all) : NKVI_STEP_NOTHING;
}

/* ---- kept payloads --------------------------------------------------------------------------- */

/* The tracked answer that stands for the payload, and as what the payload is kept beside it. */
static nkvi_query witness_of(const nkvi_op_part *part, nkv_str *command)
{
    const nkv_lmcache_options *options = &part->op->options;
    nkv_lmcache_part which;
    const nkvi_verb *verb = nkvi_lookup_verb(options, 0, &which);
    *command = nkvi_op_single(part->op) ? nkvi_verb_get.command : nkv_cstr("\3PAYLOAD");
    return nkvi_verb_query(part->op->job.client, verb, part->names[which]);
}

/* Takes the payload from the cache, if it is there. */
static bool take_kept(nkvi_op_part *part)
{
    nkv_client *client = part->op->job.client;
    nkv_value *value;
    if (part->witness == NULL || nkvi_call_level(client, &part->op->job.call) > NKV_EVENTUAL) {
        return false; /* it may be vouched for by a lane that the level did not ask */
    }
    nkv_str command;
    nkvi_query query = witness_of(part, &command);
    query.command = command;
    nkvi_query_hash(client->cache, &query);
    if (!nkvi_read_hit(client, &query, &value)) {
        nkvi_cache_count(client->cache, &query, NKVI_COUNT_MISS);
        return false;
    }
    bool fits = nkv_value_reply(value).type == NKV_TYPE_STRING &&
                (nkvi_op_single(part->op) || nkv_value_str(value).len == part->item->len);
    if (fits) {
        nkvi_place_copy(&part->place, value);
        part->fetched = true;
    }
    nkv_value_release(value);
    return fits;
}

/* [loop] */
static void payload_kept(nkvi_witnessed *keep)
{
    nkvi_op_part *part = NKVI_CONTAINER(keep, nkvi_op_part, keep);
    nkv_item *item = part->item;
    if (item->buf == NULL) {
        item->held = keep->value;
        item->status = keep->value != NULL ? NKV_OK : NKV_ENOMEM;
    } else {
        nkv_value_release(keep->value);
    }
    nkvi_op_chunk_done(part, NULL);
}

/* Puts the payload that has arrived into the cache: itself, or a copy if it lies in the caller's
 * memory.  false: it is not kept. */
static bool keep_payload(nkvi_op_part *part)
{
    nkv_item *item = part->item;
    nkvi_witnessed *keep = &part->keep;
    if (part->witness == NULL || part->place.status != NKV_OK) {
        return false;
    }
    if (item->buf != NULL) {
        nkvi_place copy = {.item = &(nkv_item){.buf = NULL}, .cache = part->place.cache};
        nkvi_draft_init(&copy.draft);
        char *room = nkvi_place_room(&copy, item->len);
        if (room == NULL) {
            return false;
        }
        memcpy(room, item->buf, item->len);
        keep->draft = copy.draft;
        item->status = NKV_OK;
    } else {
        keep->draft = part->place.draft;
        nkvi_draft_init(&part->place.draft);
    }
    keep->client = part->op->job.client;
    keep->witness = witness_of(part, &keep->command);
    keep->answer = part->witness;
    keep->kept = payload_kept;
    nkvi_witness_keep(keep);
    return true;
}

/* ---- payloads -------------------------------------------------------------------------------- */

/* Where the payload goes, if it has the size that it should have. */
static char *payload_room(nkvi_chunk *chunk, size_t len)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    const nkv_lmcache_options *options = &part->op->options;
    size_t want = nkvi_op_single(part->op) ? (size_t)options->chunk_bytes : part->chunk.expect;
    part->wrong = (want > 0 || !nkvi_op_single(part->op)) && len != want;
    if (part->wrong) {
        part->item->len = len;
        return NULL;
    }
    return nkvi_place_room(&part->place, len);
}

/* false: the part is not done yet. */
static bool got_string(nkvi_op_part *part)
{
    if (part->wrong) {
        part->item->status = NKV_NOT_FOUND;
        if (!nkvi_op_single(part->op)) { /* one of the two is about to be written */
            nkv_client_invalidate(part->op->job.client, part->names[NKV_LMCACHE_METADATA]);
        }
        return true;
    }
    part->fetched = true;
    if (keep_payload(part)) {
        return false;
    }
    nkvi_place_arrived(&part->place);
    return true;
}

static void payload_done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                         const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    nkv_item *item = part->item;
    if (status == NKV_OK && reply->type == NKV_TYPE_STRING) {
        if (!got_string(part)) {
            return;
        }
    } else if (status == NKV_OK) {
        item->status = reply->type == NKV_TYPE_NIL ? NKV_NOT_FOUND : NKV_EPROTO;
        item->len = 0;
        part->gone = reply->type == NKV_TYPE_NIL && !nkvi_op_single(part->op);
    } else {
        item->status = status;
    }
    nkvi_place_drop(&part->place);
    nkvi_op_chunk_done(part, status == NKV_OK ? NULL : error);
}

static bool fill_payload(nkvi_op_part *part)
{
    nkv_item *item = part->item;
    bool single = nkvi_op_single(part->op);
    bool wanted = single && !nkvi_op_keeps(part->op) ? nkvi_op_open(part) : item->status == NKV_OK;
    if (!wanted || take_kept(part)) {
        return false;
    }
    size_t want = single ? (size_t)part->op->options.chunk_bytes : item->len;
    if (!single && item->buf != NULL && want > item->cap) {
        item->len = want;
        item->status = NKV_ESIZE;
        return false;
    }
    item->status = NKV_ECANCELED;
    part->chunk.kind = NKVI_CHUNK_GET;
    part->chunk.key = part->names[NKV_LMCACHE_PAYLOAD];
    part->chunk.expect = single && want == 0 && item->buf != NULL ? item->cap : want;
    part->chunk.room = payload_room;
    part->chunk.done = payload_done;
    return true;
}

static nkvi_step fetch(nkvi_op *op)
{
    return nkvi_op_transfer(op, fill_payload);
}

/* Of a batch whose holes end it: nothing behind the first is worth its way. */
static nkvi_step fetch_prefix(nkvi_op *op)
{
    size_t i = 0;
    while (i < op->job.n && nkvi_op_open(&op->parts[i])) {
        i++;
    }
    for (; i < op->job.n; i++) {
        nkv_item *item = &op->job.items[i];
        item->status =
            item->status < 0 && item->status != NKV_ECANCELED ? item->status : NKV_NOT_FOUND;
        item->len = 0;
    }
    return nkvi_op_transfer(op, fill_payload);
}

static void deleted(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                    const nkv_error *error)
{
    (void)status, (void)reply, (void)error; /* it is a miss either way */
    nkvi_op_chunk_done(NKVI_CONTAINER(chunk, nkvi_op_part, chunk), NULL);
}

static bool fill_delete(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_DEL;
    part->chunk.key = part->names[NKV_LMCACHE_METADATA];
    part->chunk.done = deleted;
    /* Where replicas are read from, the one that was asked may only be behind the other. */
    return part->gone && !part->op->job.client->connector->overlaps;
}

static nkvi_step forget_gone(nkvi_op *op)
{
    return nkvi_op_transfer(op, fill_delete);
}

/* A lookup alone is no get: it was cancelled before the payloads were asked for. */
static void settle(nkvi_op *op)
{
    for (size_t i = 0; i < op->job.n; i++) {
        if (op->job.items[i].status == NKV_OK && !op->parts[i].fetched) {
            op->job.items[i].status = NKV_ECANCELED;
        }
    }
}

/* ---- the consecutive prefix ------------------------------------------------------------------ */

/* Everything behind the first item that is not there holds nothing; what failed in front of it is
 * reported. */
static void cut_to_prefix(nkvi_op *op)
{
    size_t i = 0;
    settle(op);
    while (i < op->job.n && op->job.items[i].status == NKV_OK) {
        i++;
    }
    for (size_t behind = i; behind < op->job.n; behind++) {
        nkv_item *item = &op->job.items[behind];
        nkv_value_release(item->held);
        item->held = NULL;
        item->status = behind == i ? item->status : NKV_NOT_FOUND;
    }
}

/* ---- the functions --------------------------------------------------------------------------- */

static nkvi_step (*const get_steps[])(nkvi_op *) = {look_up, fetch, forget_gone, NULL};
static nkvi_step (*const prefix_steps[])(nkvi_op *) = {look_up, fetch_prefix, forget_gone, NULL};

static nkvi_op_plan get_plan(nkv_lmcache *lmcache, nkv_item *items, size_t n, const nkv_call *call)
{
    return (nkvi_op_plan){.lmcache = lmcache,
                          .items = items,
                          .n = n,
                          .call = call,
                          .priority = NKV_PRIORITY_GET,
                          .steps = get_steps,
                          .finish = settle,
                          .looks_up = true};
}

static nkvi_op_plan prefix_plan(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                const nkv_call *call)
{
    nkvi_op_plan plan = get_plan(lmcache, items, n, call);
    plan.priority = NKV_PRIORITY_PREFETCH;
    plan.steps = prefix_steps;
    plan.finish = cut_to_prefix;
    return plan;
}

nkv_status nkv_lmcache_get(nkv_lmcache *lmcache, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_op_plan plan = get_plan(lmcache, items, n, call);
    return nkvi_op_run(&plan, call, NULL);
}

nkv_status nkv_lmcache_submit_get(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                  nkv_ticket *ticket)
{
    nkvi_op_plan plan = get_plan(lmcache, items, n, ticket->call);
    return nkvi_op_submit(&plan, ticket);
}

nkv_status nkv_lmcache_get_prefix(nkv_lmcache *lmcache, nkv_item *items, size_t n, nkv_call *call,
                                  size_t *prefix)
{
    nkvi_op_plan plan = prefix_plan(lmcache, items, n, call);
    nkv_completion outcome = {.prefix = 0};
    nkv_status status = nkvi_op_run(&plan, call, &outcome);
    *prefix = outcome.prefix;
    return status;
}

nkv_status nkv_lmcache_submit_get_prefix(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                         nkv_ticket *ticket)
{
    nkvi_op_plan plan = prefix_plan(lmcache, items, n, ticket->call);
    return nkvi_op_submit(&plan, ticket);
}
