/* lmcache/store_put.c - put and remove: the order of the two keys is what matters; see store.h. */
#include <stdlib.h>
#include <string.h>

#include "lmcache/store.h"

/* A small write behind a large one must not wait for the large ones of others. */
static nkv_priority small_priority(const nkvi_op *op)
{
    return op->job.priority < NKV_PRIORITY_GET ? op->job.priority : NKV_PRIORITY_GET;
}

/* ---- put ------------------------------------------------------------------------------------- */

static nkvi_pairs pairs_of(const nkvi_op_part *part)
{
    return nkvi_chunk_pairs(part->op->job.client, part->names[NKV_LMCACHE_PAYLOAD],
                            part->names[NKV_LMCACHE_METADATA]);
}

static void payload_written(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                            const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    bool written = status == NKV_OK && reply->type == NKV_TYPE_STATUS;
    part->wrote = written;
    if (!written || nkvi_op_single(part->op)) {
        part->item->status = status == NKV_OK && !written ? NKV_EPROTO : status;
    }
    nkvi_op_chunk_done(part, error);
}

static void pair_written(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                         const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    if (nkvi_pair_refused(status, reply)) {
        part->paired = false; /* one after the other, then */
        nkvi_job_part_done(&part->op->job);
        return;
    }
    bool written = status == NKV_OK && reply->type == NKV_TYPE_STATUS;
    part->item->status = status == NKV_OK && !written ? NKV_EPROTO : status;
    nkvi_op_chunk_done(part, error);
}

static bool fill_pair(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_PAIR;
    part->chunk.key = part->names[NKV_LMCACHE_PAYLOAD];
    part->chunk.value = part->item->value;
    part->chunk.other_key = part->names[NKV_LMCACHE_METADATA];
    part->chunk.other_value = part->packed;
    part->chunk.ttl_ms = part->op->options.ttl_s * 1000;
    part->chunk.done = pair_written;
    return part->paired;
}

static bool fill_payload(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_SET;
    part->chunk.key = part->names[NKV_LMCACHE_PAYLOAD];
    part->chunk.value = part->item->value;
    part->chunk.ttl_ms = part->op->options.ttl_s * 1000;
    part->chunk.done = payload_written;
    return nkvi_op_open(part) && part->shadow == NULL && !part->paired;
}

/* What is asked of the server first: a pair, or the payload alone. */
static bool fill_first(nkvi_op_part *part)
{
    return part->paired ? fill_pair(part) : fill_payload(part);
}

static void metadata_written(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                             const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    bool written = status == NKV_OK && reply->type == NKV_TYPE_STATUS;
    part->item->status = status == NKV_OK && !written ? NKV_EPROTO : status;
    part->gone = status == NKV_EREPLY; /* what is there is of another payload */
    nkvi_op_chunk_done(part, error);
}

static bool fill_metadata(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_SET;
    part->chunk.priority = small_priority(part->op);
    part->chunk.key = part->names[NKV_LMCACHE_METADATA];
    part->chunk.value = part->packed;
    part->chunk.ttl_ms = part->op->options.ttl_s * 1000;
    part->chunk.done = metadata_written;
    return part->wrote;
}

static void nothing_more(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                         const nkv_error *error)
{
    (void)status, (void)reply, (void)error; /* the item has failed already */
    nkvi_op_chunk_done(NKVI_CONTAINER(chunk, nkvi_op_part, chunk), NULL);
}

static bool fill_unpublish(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_DEL;
    part->chunk.priority = small_priority(part->op);
    part->chunk.key = part->names[NKV_LMCACHE_METADATA];
    part->chunk.done = nothing_more;
    return part->gone;
}

/* By key, and those of one key in the order of the items. */
static int compare_keys(const void *a, const void *b, void *ud)
{
    const nkv_item *items = ud;
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    size_t shorter = items[i].key.len < items[j].key.len ? items[i].key.len : items[j].key.len;
    int order = shorter > 0 ? memcmp(items[i].key.data, items[j].key.data, shorter) : 0;
    if (order != 0 || items[i].key.len != items[j].key.len) {
        return order != 0 ? order : items[i].key.len < items[j].key.len ? -1 : 1;
    }
    return i < j ? -1 : i > j;
}

static bool same_key(const nkv_item *a, const nkv_item *b)
{
    return a->key.len == b->key.len && memcmp(a->key.data, b->key.data, a->key.len) == 0;
}

/* Of items with one key only the last is written: payloads travel on several lanes, and the
 * metadata of one must not meet the payload of another. */
static void shadow_doubles(nkvi_op *op)
{
    uint32_t *order = op->lookup.part; /* not in use yet */
    const uint32_t n = (uint32_t)op->job.n;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    qsort_r(order, n, sizeof *order, compare_keys, op->job.items);
    for (uint32_t i = n; i-- > 1;) {
        nkvi_op_part *part = &op->parts[order[i - 1]];
        const nkvi_op_part *next = &op->parts[order[i]];
        if (nkvi_op_open(part) && nkvi_op_open(next) && same_key(part->item, next->item)) {
            part->shadow = next->shadow != NULL ? next->shadow : next;
        }
    }
}

/* Where the server is known to take pairs all are; where that is not known yet, the smallest. */
static void choose_pairs(nkvi_op *op)
{
    nkvi_op_part *smallest = NULL;
    bool may = !nkvi_op_single(op) && !op->options.one_by_one;
    for (size_t i = 0; may && i < op->job.n; i++) {
        nkvi_op_part *part = &op->parts[i];
        if (!nkvi_op_open(part) || part->shadow != NULL) {
            continue;
        }
        nkvi_pairs pairs = pairs_of(part);
        part->paired = pairs == NKVI_PAIRS_TAKEN;
        if (pairs == NKVI_PAIRS_UNKNOWN &&
            (smallest == NULL || part->item->value.len < smallest->item->value.len)) {
            smallest = part;
        }
    }
    if (smallest != NULL) {
        smallest->paired = true;
    }
}

static nkvi_step put_first(nkvi_op *op)
{
    shadow_doubles(op);
    choose_pairs(op);
    return nkvi_op_transfer(op, fill_first);
}

/* Of pairs that the server did not take. */
static bool fill_refused(nkvi_op_part *part)
{
    return fill_payload(part) && !part->wrote && part->item->status == NKV_ECANCELED;
}

static nkvi_step put_refused(nkvi_op *op)
{
    return nkvi_op_single(op) ? NKVI_STEP_NOTHING : nkvi_op_transfer(op, fill_refused);
}

static nkvi_step put_metadata(nkvi_op *op)
{
    return nkvi_op_single(op) ? NKVI_STEP_NOTHING : nkvi_op_transfer(op, fill_metadata);
}

static nkvi_step unpublish(nkvi_op *op)
{
    return nkvi_op_transfer(op, fill_unpublish);
}

static bool is_written(const nkvi_op_part *part)
{
    return part->item->status == NKV_OK;
}

/* Reads what was written on the tracked lane: the next lookup is local. */
static nkvi_step read_back(nkvi_op *op)
{
    if (!op->job.client->caching || op->job.call.no_cache) {
        return NKVI_STEP_NOTHING;
    }
    op->blind = true;
    op->job.call.level = NKV_EVENTUAL;
    return nkvi_op_look_up(op, is_written);
}

/* What became of the last of one key is what became of all. */
static void settle(nkvi_op *op)
{
    for (size_t i = 0; i < op->job.n; i++) {
        const nkvi_op_part *last = op->parts[i].shadow;
        if (last != NULL) {
            op->parts[i].item->status = last->item->status;
        }
    }
}

static nkvi_step (*const put_steps[])(nkvi_op *) = {put_first, put_refused, put_metadata,
                                                    unpublish, read_back,   NULL};

static nkvi_op_plan put_plan(nkv_lmcache *lmcache, nkv_item *items, size_t n, const nkv_call *call)
{
    return (nkvi_op_plan){.lmcache = lmcache,
                          .items = items,
                          .n = n,
                          .call = call,
                          .priority = NKV_PRIORITY_PUT,
                          .steps = put_steps,
                          .finish = settle,
                          .looks_up = true,
                          .packs = true};
}

nkv_status nkv_lmcache_put(nkv_lmcache *lmcache, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_op_plan plan = put_plan(lmcache, items, n, call);
    return nkvi_op_run(&plan, call, NULL);
}

nkv_status nkv_lmcache_submit_put(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                  nkv_ticket *ticket)
{
    nkvi_op_plan plan = put_plan(lmcache, items, n, ticket->call);
    return nkvi_op_submit(&plan, ticket);
}

/* ---- remove ---------------------------------------------------------------------------------- */

static void key_removed(nkvi_op_part *part, nkv_status status, const nkv_reply *reply, bool last)
{
    if (status == NKV_OK) {
        part->wrote = part->wrote || reply->integer > 0;
        status = part->wrote ? NKV_OK : NKV_NOT_FOUND;
    }
    if (last || status < 0) {
        part->item->status = status;
    }
}

static void metadata_removed(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                             const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    key_removed(part, status, reply, false);
    nkvi_op_chunk_done(part, error);
}

static void payload_removed(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                            const nkv_error *error)
{
    nkvi_op_part *part = NKVI_CONTAINER(chunk, nkvi_op_part, chunk);
    key_removed(part, status, reply, true);
    nkvi_op_chunk_done(part, error);
}

static bool fill_metadata_removal(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_DEL;
    part->chunk.key = part->names[NKV_LMCACHE_METADATA];
    part->chunk.done = metadata_removed;
    return nkvi_op_open(part);
}

static bool fill_payload_removal(nkvi_op_part *part)
{
    part->chunk.kind = NKVI_CHUNK_DEL;
    part->chunk.key = part->names[NKV_LMCACHE_PAYLOAD];
    part->chunk.done = payload_removed;
    return nkvi_op_open(part);
}

static nkvi_step remove_metadata(nkvi_op *op)
{
    return nkvi_op_single(op) ? NKVI_STEP_NOTHING : nkvi_op_transfer(op, fill_metadata_removal);
}

static nkvi_step remove_payloads(nkvi_op *op)
{
    return nkvi_op_transfer(op, fill_payload_removal);
}

static nkvi_step (*const remove_steps[])(nkvi_op *) = {remove_metadata, remove_payloads, NULL};

static nkvi_op_plan remove_plan(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                const nkv_call *call)
{
    return (nkvi_op_plan){.lmcache = lmcache,
                          .items = items,
                          .n = n,
                          .call = call,
                          .priority = NKV_PRIORITY_PUT,
                          .steps = remove_steps};
}

nkv_status nkv_lmcache_remove(nkv_lmcache *lmcache, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_op_plan plan = remove_plan(lmcache, items, n, call);
    return nkvi_op_run(&plan, call, NULL);
}

nkv_status nkv_lmcache_submit_remove(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                     nkv_ticket *ticket)
{
    nkvi_op_plan plan = remove_plan(lmcache, items, n, ticket->call);
    return nkvi_op_submit(&plan, ticket);
}
