/* client/batch.c - the operations of <nearkv/batch.h>: jobs of one phase each. */
#include <string.h>

#include "base/status.h"
#include "client/chunk.h"
#include "client/job.h"
#include "client/place.h"
#include "client/read.h"

/* ---- get, put, remove: a chunk for each item ------------------------------------------------- */

typedef struct chunk_job chunk_job;

typedef struct part {
    nkvi_chunk chunk;
    nkvi_place place;
    chunk_job *whole;
} part;

struct chunk_job {
    nkvi_job job;
    nkvi_chunk_kind kind;
    int64_t ttl_ms;
    bool started;
    nkvi_chunk **chunks; /* behind the parts */
    part parts[];
};

static char *part_room(nkvi_chunk *chunk, size_t len)
{
    return nkvi_place_room(&NKVI_CONTAINER(chunk, part, chunk)->place, len);
}

/* What a reply says of the item. */
static nkv_status judge(const part *self, const nkv_reply *reply)
{
    switch (reply->type) {
    case NKV_TYPE_NIL:
        return NKV_NOT_FOUND;
    case NKV_TYPE_INTEGER:
        return self->chunk.kind != NKVI_CHUNK_DEL ? NKV_EPROTO
               : reply->integer > 0               ? NKV_OK
                                                  : NKV_NOT_FOUND;
    case NKV_TYPE_STRING:
        return self->chunk.kind == NKVI_CHUNK_GET ? NKV_OK : NKV_EPROTO;
    case NKV_TYPE_STATUS:
        return self->chunk.kind == NKVI_CHUNK_SET ? NKV_OK : NKV_EPROTO;
    default:
        return NKV_EPROTO;
    }
}

static void part_done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                      const nkv_error *error)
{
    part *self = NKVI_CONTAINER(chunk, part, chunk);
    nkvi_job *job = &self->whole->job;
    nkv_item *item = self->place.item;
    item->status = status == NKV_OK ? judge(self, reply) : status;
    if (item->status == NKV_OK && chunk->kind == NKVI_CHUNK_GET) {
        nkvi_place_arrived(&self->place);
    } else {
        nkvi_place_drop(&self->place);
    }
    if (status != NKV_OK) {
        nkvi_job_explain(job, (size_t)(item - job->items), error);
    }
    nkvi_job_part_done(job);
}

static void start_chunks(chunk_job *self)
{
    nkvi_job *job = &self->job;
    self->started = true;
    if (job->n == 0 || !nkvi_job_start(job)) {
        nkvi_job_sum_up(job);
        nkvi_job_end(job);
        return;
    }
    nkvi_job_parts(job, (uint32_t)job->n);
    nkvi_chunks_submit(job->client, self->chunks, job->n);
    nkvi_job_started(job);
}

static void chunk_job_advance(nkvi_job *job)
{
    chunk_job *self = NKVI_CONTAINER(job, chunk_job, job);
    if (!self->started) {
        start_chunks(self);
        return;
    }
    nkvi_job_sum_up(job);
    nkvi_job_end(job);
}

static void chunk_job_cancel(nkvi_job *job)
{
    chunk_job *self = NKVI_CONTAINER(job, chunk_job, job);
    for (size_t i = 0; i < job->n; i++) {
        nkvi_chunk_cancel(self->chunks[i]);
    }
}

static void chunk_job_destroy(nkvi_job *job)
{
    nkvi_job_free(job, NKVI_CONTAINER(job, chunk_job, job));
}

static const nkvi_job_kind chunk_job_kind = {chunk_job_advance, chunk_job_cancel,
                                             chunk_job_destroy};

static nkv_status chunk_job_make(nkvi_job_plan *plan, nkvi_chunk_kind kind, int64_t ttl_ms,
                                 nkvi_job **out, nkv_error *error)
{
    *out = NULL;
    plan->kind = &chunk_job_kind;
    plan->priority = kind == NKVI_CHUNK_GET ? NKV_PRIORITY_GET : NKV_PRIORITY_PUT;
    nkv_status status = nkvi_job_check(plan, error);
    if (status == NKV_OK && ttl_ms < 0) {
        status = nkvi_fail(error, NKV_EINVAL, "ttl_ms is %lld; allowed is 0 (no expiry) or more",
                           (long long)ttl_ms);
    }
    if (status != NKV_OK) {
        return status;
    }
    size_t n = plan->n;
    size_t size = sizeof(chunk_job) + n * (sizeof(part) + sizeof(nkvi_chunk *));
    chunk_job *self = nkvi_spare_take(&plan->client->spare, size);
    if (self == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a batch of %zu items", n);
    }
    nkvi_job_init(&self->job, plan);
    self->kind = kind;
    self->ttl_ms = ttl_ms;
    self->started = false;
    self->chunks = (nkvi_chunk **)(void *)&self->parts[n];
    for (size_t i = 0; i < n; i++) {
        part *one = &self->parts[i];
        nkv_item *item = &plan->items[i];
        memset(one, 0, sizeof *one);
        one->whole = self;
        nkvi_place_init(&one->place, item);
        one->chunk.kind = kind;
        one->chunk.priority = self->job.priority;
        one->chunk.key = item->key;
        one->chunk.value = kind == NKVI_CHUNK_SET ? item->value : nkv_str_make(NULL, 0);
        one->chunk.ttl_ms = ttl_ms;
        one->chunk.expect = kind == NKVI_CHUNK_GET && item->buf != NULL ? item->cap : 0;
        one->chunk.deadline_ns = self->job.deadline_ns;
        one->chunk.room = part_room;
        one->chunk.done = part_done;
        self->chunks[i] = &one->chunk;
    }
    *out = &self->job;
    return NKV_OK;
}

/* ---- exists: cached reads -------------------------------------------------------------------- */

/* Reads that are asked at once, chunk_size at most: while the server answers the first ones the
 * next are made. */
typedef struct exists_group {
    nkvi_reads all;
    struct exists_job *whole;
    size_t first; /* item */
} exists_group;

typedef struct exists_job {
    nkvi_job job;
    bool started;
    size_t groups_len;
    exists_group *groups;
    nkvi_read *reads;
    nkv_result *results;
    nkv_str *argv; /* two each */
} exists_job;

static void exists_done(nkvi_reads *all, nkv_status first, const nkv_error *error)
{
    exists_group *group = NKVI_CONTAINER(all, exists_group, all);
    nkvi_job *job = &group->whole->job;
    (void)first;
    for (size_t i = 0; i < all->n; i++) {
        nkv_item *item = &job->items[group->first + i];
        nkv_result *result = &all->results[i];
        item->status = result->status;
        item->from = result->from;
        if (result->status == NKV_OK) {
            int exists = nkvi_exists_of(result->value);
            item->status = exists > 0 ? NKV_OK : exists == 0 ? NKV_NOT_FOUND : NKV_EPROTO;
        } else if (result->status < 0) {
            nkvi_job_explain(job, group->first + i, error);
        }
        nkv_value_release(result->value);
    }
    nkvi_job_part_done(job);
}

static void start_group(exists_job *self, exists_group *group)
{
    nkvi_job *job = &self->job;
    bool unseen = job->call.no_cache && !job->client->wrapped; /* by cache and flights: no hash */
    for (size_t i = group->first; i < group->first + group->all.n; i++) {
        nkv_str key = job->items[i].key;
        self->argv[2 * i] = nkvi_verb_exists.name;
        self->argv[2 * i + 1] = key;
        self->reads[i] =
            (nkvi_read){.query = unseen ? (nkvi_query){.key = key,
                                                       .command = nkvi_verb_exists.command,
                                                       .space = job->client->space}
                                        : nkvi_verb_query(job->client, &nkvi_verb_exists, key),
                        .argc = 2,
                        .argv = &self->argv[2 * i]};
    }
    nkvi_reads_start(job->client, &group->all);
}

static void exists_advance(nkvi_job *job)
{
    exists_job *self = NKVI_CONTAINER(job, exists_job, job);
    if (self->started || job->n == 0 || !nkvi_job_start(job)) {
        nkvi_job_sum_up(job);
        nkvi_job_end(job);
        return;
    }
    self->started = true;
    nkvi_job_parts(job, (uint32_t)self->groups_len);
    for (size_t i = 0; i < self->groups_len; i++) {
        start_group(self, &self->groups[i]);
    }
    nkvi_job_started(job);
}

static void exists_cancel(nkvi_job *job)
{
    exists_job *self = NKVI_CONTAINER(job, exists_job, job);
    for (size_t i = 0; i < self->groups_len; i++) {
        nkvi_reads_cancel(job->client, &self->groups[i].all);
    }
}

static void exists_destroy(nkvi_job *job)
{
    nkvi_job_free(job, NKVI_CONTAINER(job, exists_job, job));
}

static const nkvi_job_kind exists_kind = {exists_advance, exists_cancel, exists_destroy};

static void set_groups(exists_job *self, size_t most)
{
    for (size_t i = 0; i < self->groups_len; i++) {
        size_t first = i * most, left = self->job.n - first;
        self->groups[i] = (exists_group){.whole = self,
                                         .first = first,
                                         .all = {.reads = self->reads + first,
                                                 .n = left < most ? left : most,
                                                 .call = &self->job.call,
                                                 .deadline_ns = self->job.deadline_ns,
                                                 .results = self->results + first,
                                                 .done = exists_done}};
    }
}

/* Where few requests may be under way a batch stays one. */
static size_t group_size(const nkv_client *client, size_t n)
{
    size_t most = (size_t)client->options.chunk_size;
    return n / most < (size_t)client->options.inflight_max / 4 ? most : n + 1;
}

static nkv_status exists_make(nkvi_job_plan *plan, nkvi_job **out, nkv_error *error)
{
    *out = NULL;
    plan->kind = &exists_kind;
    plan->priority = NKV_PRIORITY_PEEK;
    nkv_status status = nkvi_job_check(plan, error);
    if (status != NKV_OK) {
        return status;
    }
    size_t n = plan->n, most = group_size(plan->client, n);
    size_t groups = (n + most - 1) / most;
    size_t each = sizeof(nkvi_read) + sizeof(nkv_result) + 2 * sizeof(nkv_str);
    size_t size = sizeof(exists_job) + groups * sizeof(exists_group) + n * each;
    exists_job *self = nkvi_spare_take(&plan->client->spare, size);
    if (self == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a batch of %zu items", n);
    }
    nkvi_job_init(&self->job, plan);
    self->started = false;
    self->groups_len = groups;
    self->groups = (exists_group *)(void *)(self + 1);
    self->reads = (nkvi_read *)(void *)(self->groups + groups);
    self->results = (nkv_result *)(void *)(self->reads + n);
    self->argv = (nkv_str *)(void *)(self->results + n);
    set_groups(self, most);
    *out = &self->job;
    return NKV_OK;
}

/* ---- the public functions -------------------------------------------------------------------- */

static nkv_status wait_for(nkv_status made, nkvi_job *const *job, const nkvi_job_plan *plan,
                           nkv_call *call, const nkv_error *error)
{
    if (made == NKV_OK) {
        return nkvi_job_run(*job, call, NULL);
    }
    nkvi_items_fail(plan->items, plan->n, made);
    return nkvi_call_done(call, made, NKV_FROM_LOCAL, error);
}

nkv_status nkv_batch_get(nkv_client *client, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = call};
    nkvi_job *job;
    nkv_error error;
    return wait_for(chunk_job_make(&plan, NKVI_CHUNK_GET, 0, &job, &error), &job, &plan, call,
                    &error);
}

nkv_status nkv_batch_put(nkv_client *client, nkv_item *items, size_t n, int64_t ttl_ms,
                         nkv_call *call)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = call};
    nkvi_job *job;
    nkv_error error;
    return wait_for(chunk_job_make(&plan, NKVI_CHUNK_SET, ttl_ms, &job, &error), &job, &plan, call,
                    &error);
}

nkv_status nkv_batch_remove(nkv_client *client, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = call};
    nkvi_job *job;
    nkv_error error;
    return wait_for(chunk_job_make(&plan, NKVI_CHUNK_DEL, 0, &job, &error), &job, &plan, call,
                    &error);
}

nkv_status nkv_batch_exists(nkv_client *client, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = call};
    nkvi_job *job;
    nkv_error error;
    return wait_for(exists_make(&plan, &job, &error), &job, &plan, call, &error);
}

static nkv_status hand_over(nkv_status made, nkvi_job *const *job, nkv_ticket *ticket)
{
    ticket->id = 0;
    return made == NKV_OK ? nkvi_job_submit(*job, ticket) : made;
}

nkv_status nkv_submit_get(nkv_client *client, nkv_item *items, size_t n, nkv_ticket *ticket)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = ticket->call};
    nkvi_job *job;
    return hand_over(chunk_job_make(&plan, NKVI_CHUNK_GET, 0, &job, NULL), &job, ticket);
}

nkv_status nkv_submit_put(nkv_client *client, nkv_item *items, size_t n, int64_t ttl_ms,
                          nkv_ticket *ticket)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = ticket->call};
    nkvi_job *job;
    return hand_over(chunk_job_make(&plan, NKVI_CHUNK_SET, ttl_ms, &job, NULL), &job, ticket);
}

nkv_status nkv_submit_exists(nkv_client *client, nkv_item *items, size_t n, nkv_ticket *ticket)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = ticket->call};
    nkvi_job *job;
    return hand_over(exists_make(&plan, &job, NULL), &job, ticket);
}

nkv_status nkv_submit_remove(nkv_client *client, nkv_item *items, size_t n, nkv_ticket *ticket)
{
    nkvi_job_plan plan = {.client = client, .items = items, .n = n, .call = ticket->call};
    nkvi_job *job;
    return hand_over(chunk_job_make(&plan, NKVI_CHUNK_DEL, 0, &job, NULL), &job, ticket);
}
