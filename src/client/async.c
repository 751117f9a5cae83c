/* client/async.c - nkv_command_async: the same without waiting.
 *
 * A small object per call waits on the data call, or on the read (read_async.c), and hands the
 * outcome to done() on the loop's thread.  What is known at once is posted there too, so done()
 * never runs inside the call that started it.  A deadline is kept by the housekeeping tick of the
 * loop.
 *
 *      start --cached--> nkvi_reads_start --> settle: who ends it first, wins
 *        |--else--> data call --answer--> settle --> deliver (loop's thread) --> done()
 *        '--tick: deadline passed--> leaves, settle
 */
#include "client/async.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/barrier.h"
#include "client/data_call.h"
#include "client/everywhere.h"
#include "client/plan.h"
#include "client/read.h"

typedef struct async_call {
    nkvi_waiter waiter;
    nkvi_node node; /* of client->asyncs; guarded by flights.mu */
    nkvi_task task;
    nkv_client *client;
    nkv_call call;
    nkv_done_fn done;
    void *ud;
    nkv_status status;
    nkv_value *value;
    int64_t deadline_ns;
    bool settling;    /* answered; a barrier is under way, see plan.h */
    nkvi_reads reads; /* of a cached one */
    nkvi_read one;
    nkv_result result;
    nkvi_plan plan; /* its strings point into the copy of argv */
    size_t argc;
    nkv_str argv[]; /* then their bytes */
} async_call;

/* ---- the end --------------------------------------------------------------------------------- */

/* Reads that are never cached; the others count themselves. */
static void count_read(const async_call *self)
{
    nkvi_counters *counters = &self->client->counters;
    const nkvi_plan *plan = &self->plan;
    if (plan->split || (!plan->writes && plan->command->klass != NKVI_COMMAND_OTHER)) {
        nkvi_count_add(counters, NKVI_C_READS, 1);
        nkvi_count_add(
            counters, self->status < 0 ? NKVI_C_FAILURES : NKVI_C_BYPASS + NKV_BYPASS_NOT_CACHEABLE,
            1);
    }
}

/* [loop] */
static void deliver(nkvi_task *task)
{
    async_call *self = NKVI_CONTAINER(task, async_call, task);
    nkv_client *client = self->client;
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_remove(&self->node);
    pthread_mutex_unlock(&client->flights.mu);
    self->done(self->status, self->value, &self->call, self->ud);
    nkvi_plan_clear(&self->plan);
    nkvi_free(self);
    nkvi_client_leave(client);
}

static void settle(async_call *self, nkv_status status, nkv_value *value, nkv_from from,
                   const nkv_error *error)
{
    self->status = status;
    self->value = value;
    if (status == NKV_OK && value != NULL && nkv_value_reply(value).type == NKV_TYPE_NIL) {
        self->status = NKV_NOT_FOUND;
    }
    (void)nkvi_call_done(&self->call, self->status, from, error);
    nkvi_loop_post(self->client->loop, &self->task);
}

/* ---- the way there --------------------------------------------------------------------------- */

static void read_done(nkvi_reads *reads, nkv_status first, const nkv_error *error)
{
    async_call *self = NKVI_CONTAINER(reads, async_call, reads);
    settle(self, first, self->result.value, self->result.from, error);
}

static void read_cached(async_call *self)
{
    self->one = (nkvi_read){.query = self->plan.query,
                            .argc = self->argc,
                            .argv = self->argv,
                            .fields_at = self->plan.fields_at};
    self->reads = (nkvi_reads){.reads = &self->one,
                               .n = 1,
                               .call = &self->call,
                               .deadline_ns = self->deadline_ns,
                               .results = &self->result,
                               .done = read_done};
    nkvi_reads_start(self->client, &self->reads);
}

static void send_plain(async_call *self)
{
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    if (!self->client->wrapped) {
        nkvi_buf_resp(&bytes, self->argc, self->argv);
    }
    nkvi_data_call data = {.bytes = &bytes,
                           .argv = self->argv,
                           .argc = self->argc,
                           .replies = 1,
                           .keys = self->plan.keys,
                           .keys_len = self->plan.writes ? self->plan.keys_len : 0,
                           .flush = self->plan.flush,
                           .route_by = self->plan.key,
                           .intent = self->plan.intent,
                           .opaque = self->plan.settle,
                           .resend = self->plan.resend,
                           .deadline_ns = self->deadline_ns};
    nkvi_count_add(&self->client->counters, NKVI_C_WRITES, self->plan.writes);
    nkvi_data_call_send(self->client, &data, &self->waiter);
}

/* What may have been written is not known: done() waits until the server's word on it is
 * processed. */
static void settle_first(async_call *self, nkv_status status, nkv_value *value,
                         const nkv_error *error)
{
    self->settling = true;
    self->status = status;
    self->value = value;
    if (error != NULL) {
        self->call.error = *error;
    }
    nkvi_node_init(&self->waiter.node);
    nkvi_route route = nkvi_client_route(self->client, self->plan.key, NKVI_TO_WRITE);
    nkvi_barrier_send(self->client, route.peer, NULL, self->deadline_ns, &self->waiter);
}

/* The barrier behind the answer has ended with `status`. */
static void settled(async_call *self, nkv_status status, const nkv_error *error)
{
    bool failed = status < 0 && status != NKV_ECONN;
    if (failed) {
        nkvi_write_unsure(self->client, NKV_OK);
    }
    nkv_error first = self->call.error;
    settle(self, failed ? status : self->status, self->value, NKV_FROM_SERVER,
           failed ? error : &first);
}

static void wake(nkvi_waiter *waiter, nkv_status status, nkv_value *value, const nkv_error *error)
{
    async_call *self = NKVI_CONTAINER(waiter, async_call, waiter);
    if (self->settling) {
        settled(self, status, error);
        return;
    }
    self->status = status;
    count_read(self);
    bool answered = status == NKV_OK || status == NKV_EREPLY;
    if (self->plan.settle && answered && !nkvi_write_settle_at_once(self->client)) {
        settle_first(self, status, value, error);
        return;
    }
    if (self->plan.settle && !answered) {
        nkvi_write_unsure(self->client, status);
    }
    settle(self, status, value, NKV_FROM_SERVER, error);
}

void nkvi_asyncs_expire(nkv_client *client, int64_t now_ns)
{
    nkvi_list late;
    nkvi_list_init(&late);
    pthread_mutex_lock(&client->flights.mu);
    nkvi_node *next;
    for (nkvi_node *node = client->asyncs.head.next; node != &client->asyncs.head; node = next) {
        async_call *self = NKVI_CONTAINER(node, async_call, node);
        next = node->next;
        if (now_ns >= self->deadline_ns && nkvi_list_linked(&self->waiter.node)) {
            nkvi_list_remove(&self->waiter.node);
            nkvi_list_remove(&self->node);
            nkvi_list_push(&late, &self->node);
        }
    }
    pthread_mutex_unlock(&client->flights.mu);
    for (nkvi_node *node; (node = nkvi_list_pop(&late)) != NULL;) {
        async_call *self = NKVI_CONTAINER(node, async_call, node);
        nkv_error error;
        self->status =
            nkvi_fail(&error, NKV_ETIMEDOUT, "no answer before the deadline of the call");
        if (!self->settling) {
            count_read(self);
        }
        if (self->plan.settle || self->plan.flush) {
            nkvi_write_unsure(client, NKV_ETIMEDOUT);
        }
        settle(self, NKV_ETIMEDOUT, self->value, NKV_FROM_SERVER, &error);
    }
}

/* ---- the start ------------------------------------------------------------------------------- */

static async_call *async_make(nkv_client *client, size_t argc, const nkv_str *argv)
{
    size_t bytes = sizeof(async_call);
    for (size_t i = 0; i < argc; i++) {
        bytes += sizeof(nkv_str) + argv[i].len;
    }
    async_call *self = nkvi_alloc(bytes);
    if (self == NULL) {
        return NULL;
    }
    memset(self, 0, offsetof(async_call, plan));
    self->client = client;
    self->argc = argc;
    char *at = (char *)&self->argv[argc];
    for (size_t i = 0; i < argc; i++) {
        self->argv[i] = nkv_str_make(at, argv[i].len);
        if (argv[i].len > 0) {
            memcpy(at, argv[i].data, argv[i].len);
        }
        at += argv[i].len;
    }
    nkvi_node_init(&self->waiter.node);
    nkvi_node_init(&self->node);
    self->waiter.wake = wake;
    self->task.run = deliver;
    return self;
}

nkv_status nkv_command_async(nkv_client *client, int argc, const nkv_str *argv,
                             const nkv_call *call, nkv_done_fn done, void *ud)
{
    if (argc < 1 || done == NULL) {
        return NKV_EINVAL;
    }
    if (!nkvi_client_enter(client)) {
        return NKV_ECLOSED;
    }
    async_call *self = async_make(client, (size_t)argc, argv);
    if (self == NULL) {
        nkvi_client_leave(client);
        return NKV_ENOMEM;
    }
    nkvi_call_copy(&self->call, call);
    self->done = done;
    self->ud = ud;
    self->deadline_ns = nkvi_call_deadline(client, &self->call);
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkvi_plan_make(client, self->argc, self->argv, &self->plan, &error);
    if (status == NKV_OK && nkvi_everywhere_needed(client, &self->plan)) {
        status = NKV_ENOTSUP; /* it would be done in one place only */
    }
    if (status != NKV_OK) {
        nkvi_plan_clear(&self->plan);
        nkvi_free(self);
        nkvi_client_leave(client);
        return status;
    }
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&client->asyncs, &self->node);
    pthread_mutex_unlock(&client->flights.mu);
    if (self->plan.cached) {
        read_cached(self);
    } else {
        send_plain(self);
    }
    return NKV_OK;
}
