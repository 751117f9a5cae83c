/* lmcache/store_op.c - operations: their memory, their phases; see store.h. */
#include <string.h>

#include "base/status.h"
#include "lmcache/store.h"

/* ---- phases ---------------------------------------------------------------------------------- */

static void op_advance(nkvi_job *job)
{
    nkvi_op *op = NKVI_CONTAINER(job, nkvi_op, job);
    while (op->steps[op->step] != NULL) {
        nkvi_step did = op->steps[op->step++](op);
        if (did == NKVI_STEP_STARTED) {
            return; /* it may be gone */
        }
        if (did == NKVI_STEP_END) {
            break;
        }
    }
    if (op->finish != NULL) {
        op->finish(op);
    }
    nkvi_job_sum_up(job);
    nkvi_job_end(job);
}

static void op_cancel(nkvi_job *job)
{
    nkvi_op *op = NKVI_CONTAINER(job, nkvi_op, job);
    if (op->doing == NKVI_DOING_LOOKUP) {
        nkvi_reads_cancel(job->client, &op->lookup.all);
    }
    for (size_t i = 0; op->doing == NKVI_DOING_CHUNKS && i < op->chunks_n; i++) {
        nkvi_chunk_cancel(op->chunks[i]);
    }
}

static void op_destroy(nkvi_job *job)
{
    nkvi_op *op = NKVI_CONTAINER(job, nkvi_op, job);
    for (size_t i = 0; i < job->n; i++) {
        nkv_value_release(op->parts[i].witness);
    }
    nkvi_job_free(job, op);
}

static const nkvi_job_kind op_kind = {op_advance, op_cancel, op_destroy};

/* ---- lookups --------------------------------------------------------------------------------- */

static void looked_up(nkvi_reads *all, nkv_status first, const nkv_error *error)
{
    nkvi_op *op = NKVI_CONTAINER(NKVI_CONTAINER(all, nkvi_lookup, all), nkvi_op, lookup);
    unsigned width = nkvi_lookup_width(&op->options);
    bool explained = first >= 0;
    for (size_t i = 0; i < op->lookup.n; i++) {
        nkvi_op_part *part = &op->parts[op->lookup.part[i]];
        nkv_result *results = &op->lookup.results[i * width];
        if (!op->blind) {
            nkvi_judge(part, &op->options, results);
            if (part->item->status == NKV_OK && nkvi_op_keeps(op)) {
                part->witness = nkv_value_retain(results[0].value);
            }
        }
        if (!explained && !op->blind && part->item->status < 0) {
            nkvi_job_explain(&op->job, op->lookup.part[i], error);
            explained = true;
        }
        for (unsigned j = 0; j < width; j++) {
            nkv_value_release(results[j].value);
        }
    }
    nkvi_job_part_done(&op->job);
}

nkvi_step nkvi_op_look_up(nkvi_op *op, nkvi_wanted_fn wanted)
{
    nkvi_lookup *lookup = &op->lookup;
    unsigned width = nkvi_lookup_width(&op->options);
    if (!nkvi_job_start(&op->job)) {
        return NKVI_STEP_END;
    }
    lookup->n = 0;
    for (size_t i = 0; i < op->job.n; i++) {
        if (!wanted(&op->parts[i])) {
            continue;
        }
        for (unsigned j = 0; j < width; j++) {
            nkv_lmcache_part which;
            size_t at = lookup->n * width + j;
            const nkvi_verb *verb = nkvi_lookup_verb(&op->options, j, &which);
            nkv_str name = op->parts[i].names[which];
            lookup->argv[2 * at] = verb->name;
            lookup->argv[2 * at + 1] = name;
            lookup->reads[at] = (nkvi_read){.query = nkvi_verb_query(op->job.client, verb, name),
                                            .argc = 2,
                                            .argv = &lookup->argv[2 * at]};
        }
        lookup->part[lookup->n++] = (uint32_t)i;
    }
    if (lookup->n == 0) {
        nkvi_job_not_started(&op->job);
        return NKVI_STEP_NOTHING;
    }
    nkvi_job_parts(&op->job, 1);
    lookup->all = (nkvi_reads){.reads = lookup->reads,
                               .n = lookup->n * width,
                               .call = &op->job.call,
                               .deadline_ns = op->job.deadline_ns,
                               .results = lookup->results,
                               .done = looked_up};
    op->doing = NKVI_DOING_LOOKUP;
    nkvi_reads_start(op->job.client, &lookup->all);
    nkvi_job_started(&op->job);
    return NKVI_STEP_STARTED;
}

/* ---- transfers ------------------------------------------------------------------------------- */

nkvi_step nkvi_op_transfer(nkvi_op *op, nkvi_fill_fn fill)
{
    if (!nkvi_job_start(&op->job)) {
        return NKVI_STEP_END;
    }
    op->chunks_n = 0;
    for (size_t i = 0; i < op->job.n; i++) {
        nkvi_op_part *part = &op->parts[i];
        memset(&part->chunk, 0, sizeof part->chunk);
        part->chunk.priority = op->job.priority;
        part->chunk.deadline_ns = op->job.deadline_ns;
        if (fill(part)) {
            op->chunks[op->chunks_n++] = &part->chunk;
        }
    }
    if (op->chunks_n == 0) {
        nkvi_job_not_started(&op->job);
        return NKVI_STEP_NOTHING;
    }
    nkvi_job_parts(&op->job, (uint32_t)op->chunks_n);
    op->doing = NKVI_DOING_CHUNKS;
    nkvi_chunks_submit(op->job.client, op->chunks, op->chunks_n);
    nkvi_job_started(&op->job);
    return NKVI_STEP_STARTED;
}

void nkvi_op_chunk_done(nkvi_op_part *part, const nkv_error *error)
{
    nkvi_op *op = part->op;
    if (part->item->status < 0) {
        nkvi_job_explain(&op->job, (size_t)(part - op->parts), error);
    }
    nkvi_job_part_done(&op->job);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Cuts `bytes` off; with a NULL base only the place is counted. */
static void *carve(char *base, size_t *at, size_t bytes)
{
    void *cut = base != NULL ? base + *at : NULL;
    *at += (bytes + 15) & ~(size_t)15;
    return cut;
}

/* Everything behind the parts but the names; returns how much it is. */
static size_t carve_all(nkvi_op *op, char *base, const nkvi_op_plan *plan)
{
    size_t at = 0, n = plan->n;
    size_t reads = plan->looks_up ? n * nkvi_lookup_width(&plan->lmcache->options) : 0;
    nkvi_chunk **chunks = carve(base, &at, n * sizeof(void *));
    nkvi_lookup lookup = {.n = 0};
    lookup.reads = carve(base, &at, reads * sizeof *lookup.reads);
    lookup.results = carve(base, &at, reads * sizeof *lookup.results);
    lookup.argv = carve(base, &at, reads * 2 * sizeof *lookup.argv);
    lookup.part = carve(base, &at, (plan->looks_up ? n : 0) * sizeof *lookup.part);
    if (base != NULL) {
        op->chunks = chunks;
        op->lookup = lookup;
    }
    return at;
}

static size_t names_size(const nkvi_op_plan *plan)
{
    size_t size = 0;
    for (size_t i = 0; i < plan->n; i++) {
        size += 2 * (plan->items[i].key.len + NKV_LMCACHE_NAME_MORE);
        if (plan->packs && plan->items[i].meta != NULL) {
            size += NKV_LMCACHE_META_MAX;
        } else if (plan->packs) {
            size += NKV_LMCACHE_META_SIZE(1);
        }
    }
    return size;
}

/* ---- names and metadata ---------------------------------------------------------------------- */

static nkv_status build_names(nkvi_op_part *part, nkv_lmcache_layout layout, char **at,
                              nkv_error *error)
{
    for (int i = NKV_LMCACHE_METADATA; i <= NKV_LMCACHE_PAYLOAD; i++) {
        nkv_lmcache_name name = {
            .layout = layout, .part = (nkv_lmcache_part)i, .key = part->item->key};
        size_t room = part->item->key.len + NKV_LMCACHE_NAME_MORE, len;
        if (layout == NKV_LMCACHE_SINGLE_KEY && i == NKV_LMCACHE_METADATA) {
            continue;
        }
        nkv_status status = nkv_lmcache_name_build(&name, *at, room, &len, error);
        if (status != NKV_OK) {
            return status;
        }
        part->names[i] = nkv_str_make(*at, len);
        *at += len;
    }
    return NKV_OK;
}

static nkv_status check_value(const nkvi_op *op, const nkv_item *item, nkv_error *error)
{
    int64_t want = op->options.chunk_bytes;
    if (item->value.len > NKV_VALUE_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "a value of %zu bytes; allowed are up to %zu",
                         item->value.len, NKV_VALUE_MAX);
    }
    if (nkvi_op_single(op) && want > 0 && item->value.len != (size_t)want) {
        return nkvi_fail(error, NKV_EINVAL, "a value of %zu bytes; option chunk_bytes allows %lld",
                         item->value.len, (long long)want);
    }
    return NKV_OK;
}

static nkv_status pack(nkvi_op_part *part, nkv_lmcache_padding padding, char **at, nkv_error *error)
{
    const nkv_item *item = part->item;
    nkv_lmcache_meta bytes = {
        .length = (int64_t)item->value.len, .format = NKV_LMCACHE_BINARY_BUFFER, .groups_len = 1};
    bytes.groups[0].dtype = NKV_LMCACHE_NONE;
    bytes.groups[0].dims = 1;
    bytes.groups[0].shape[0] = (int32_t)item->value.len;
    const nkv_lmcache_meta *meta = item->meta != NULL ? item->meta : &bytes;
    size_t room = item->meta != NULL ? NKV_LMCACHE_META_MAX : NKV_LMCACHE_META_SIZE(1), len;
    if (meta->length != (int64_t)item->value.len) {
        return nkvi_fail(error, NKV_EINVAL,
                         "the metadata's length is %lld, the value has %zu bytes",
                         (long long)meta->length, item->value.len);
    }
    nkv_status status = nkv_lmcache_meta_pack(meta, padding, *at, room, &len, error);
    if (status == NKV_OK) {
        part->packed = nkv_str_make(*at, len);
        *at += len;
    }
    return status;
}

static void prepare(nkvi_op *op, const nkvi_op_plan *plan, char *at)
{
    for (size_t i = 0; i < plan->n; i++) {
        nkvi_op_part *part = &op->parts[i];
        nkv_error error;
        memset(part, 0, sizeof *part);
        part->op = op;
        part->item = &plan->items[i];
        nkvi_place_init(&part->place, part->item);
        part->place.cache = nkvi_op_keeps(op) ? op->job.client->cache : NULL;
        nkv_status status = build_names(part, op->options.layout, &at, &error);
        if (status == NKV_OK && plan->packs) {
            status = check_value(op, part->item, &error);
        }
        if (status == NKV_OK && plan->packs && !nkvi_op_single(op)) {
            status = pack(part, op->options.padding, &at, &error);
        }
        if (status != NKV_OK) {
            part->item->status = status;
            nkvi_job_explain(&op->job, i, &error);
        }
    }
}

nkv_status nkvi_op_make(const nkvi_op_plan *plan, nkvi_op **out, nkv_error *error)
{
    nkv_lmcache *lmcache = plan->lmcache;
    nkvi_job_plan job = {.kind = &op_kind,
                         .client = lmcache->client,
                         .items = plan->items,
                         .n = plan->n,
                         .call = plan->call,
                         .priority = plan->priority,
                         .timeout_ms = lmcache->options.timeout_ms};
    *out = NULL;
    nkv_status status = nkvi_job_check(&job, error);
    if (status != NKV_OK) {
        return status;
    }
    size_t head = (sizeof(nkvi_op) + plan->n * sizeof(nkvi_op_part) + 15) & ~(size_t)15;
    size_t more = carve_all(NULL, NULL, plan);
    char *block = nkvi_spare_take(&lmcache->client->spare, head + more + names_size(plan) + 1);
    if (block == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a batch of %zu items", plan->n);
    }
    nkvi_op *op = (nkvi_op *)(void *)block;
    memset(op, 0, sizeof *op);
    nkvi_job_init(&op->job, &job);
    op->options = lmcache->options;
    op->steps = plan->steps;
    op->finish = plan->finish;
    (void)carve_all(op, block + head, plan);
    prepare(op, plan, block + head + more);
    *out = op;
    return NKV_OK;
}

nkv_status nkvi_op_run(const nkvi_op_plan *plan, nkv_call *call, nkv_completion *outcome)
{
    nkvi_op *op;
    nkv_error error;
    nkv_status status = nkvi_op_make(plan, &op, &error);
    if (status != NKV_OK) {
        nkvi_items_fail(plan->items, plan->n, status);
        return nkvi_call_done(call, status, NKV_FROM_LOCAL, &error);
    }
    return nkvi_job_run(&op->job, call, outcome);
}

nkv_status nkvi_op_submit(const nkvi_op_plan *plan, nkv_ticket *ticket)
{
    nkvi_op *op;
    ticket->id = 0;
    nkv_status status = nkvi_op_make(plan, &op, NULL);
    return status == NKV_OK ? nkvi_job_submit(&op->job, ticket) : status;
}
