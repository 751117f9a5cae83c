/* client/async.c - nkv_command_async: the same without waiting.
 *
 * A small object per call waits on the flight or the data call, and hands the outcome to done() on
 * the loop's thread.  Hits and failures that are known at once are posted there too, so done()
 * never runs inside the call that started it.  A deadline is kept by the housekeeping tick of the
 * loop.
 *
 *      start --hit--> posted                          settle: who ends it first, wins
 *        |--ask--> flight --answer--> settle --> deliver (loop's thread) --> done()
 *        |            |--lane lost--> asked again on the data lane
 *        '--tick: deadline passed--> leaves, settle
 */
#include "client/async.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/barrier.h"
#include "client/data_call.h"
#include "client/plan.h"
#include "client/random.h"
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
    bool read;         /* counts as a read, with the outcome below */
    bool tracked;      /* asked on the tracked lane */
    bool settling;     /* answered; a barrier is under way, see plan.h */
    nkv_value *cached; /* a hit that is asked all the same, or NULL; a reference */
    nkv_bypass reason;
    nkvi_ask ask;
    nkvi_plan plan; /* its strings point into the copy of argv */
    size_t argc;
    nkv_str argv[]; /* then their bytes */
} async_call;

/* ---- the end --------------------------------------------------------------------------------- */

static void count_read(const async_call *self)
{
    nkvi_counters *counters = &self->client->counters;
    if (!self->read) {
        return;
    }
    nkvi_count_add(counters, NKVI_C_READS, 1);
    if (self->status < 0) {
        nkvi_count_add(counters, NKVI_C_FAILURES, 1);
    } else if (self->reason != NKV_BYPASS_COUNT) {
        nkvi_count_add(counters, NKVI_C_BYPASS + (unsigned)self->reason, 1);
    } else if (self->cached != NULL) {
        nkvi_count_add(counters, NKVI_C_HITS, 1);
        nkvi_count_add(counters, NKVI_C_VALIDATIONS, 1);
        nkvi_cache_count(self->client->cache, &self->plan.query, NKVI_COUNT_HIT);
    } else {
        nkvi_count_add(counters, self->ask.joined ? NKVI_C_COALESCED : NKVI_C_MISSES, 1);
        nkvi_cache_count(self->client->cache, &self->plan.query, NKVI_COUNT_MISS);
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
    nkv_value_release(self->cached);
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

static nkvi_peer *peer_of(const async_call *self)
{
    return self->client->connector->ops->route(self->client->connector, self->plan.key);
}

/* Asks the question on one of the lanes. */
static void ask(async_call *self, bool tracked)
{
    nkvi_ask *asks[1] = {&self->ask};
    nkvi_ask_mode mode = {.tracked = tracked,
                          /* a fresh question is as good as a barrier; one under way is not */
                          .join = nkvi_call_level(self->client, &self->call) == NKV_EVENTUAL,
                          .static_ttl = self->call.static_ttl,
                          .ttl_ms = self->call.ttl_ms,
                          .deadline_ns = self->deadline_ns};
    self->tracked = tracked;
    self->ask.joined = false;
    self->ask.validate = tracked ? self->cached : NULL;
    self->ask.fields_at = self->plan.fields_at;
    nkvi_ask_all(self->client, peer_of(self), asks, 1, &mode);
}

static void send_plain(async_call *self)
{
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, self->argc, self->argv);
    nkvi_data_call data = {.bytes = &bytes,
                           .replies = 1,
                           .keys = self->plan.keys,
                           .keys_len = self->plan.writes ? self->plan.keys_len : 0,
                           .flush = self->plan.flush,
                           .deadline_ns = self->deadline_ns};
    nkvi_count_add(&self->client->counters, NKVI_C_WRITES, self->plan.writes);
    nkvi_data_call_send(self->client, peer_of(self), &data, &self->waiter);
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
    nkvi_barrier_send(self->client, peer_of(self), self->deadline_ns, &self->waiter);
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
    if (status == NKV_ECONN && self->tracked) {
        self->reason = NKV_BYPASS_UNTRACKED;
        nkvi_node_init(&waiter->node);
        ask(self, false);
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
    nkv_from from = self->tracked && self->ask.joined ? NKV_FROM_JOINED : NKV_FROM_SERVER;
    settle(self, status, value, from, error);
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
    self->reason = NKV_BYPASS_COUNT;
    self->ask = (nkvi_ask){
        .query = &self->plan.query, .argc = argc, .argv = self->argv, .waiter = &self->waiter};
    return self;
}

/* Why this read may not be answered by the cache or the tracked lane; else NKV_BYPASS_COUNT. */
static nkv_bypass async_filter(const async_call *self)
{
    nkv_bypass reason =
        nkvi_read_filter(self->client, &self->call, self->plan.key, self->argc, self->argv);
    if (reason == NKV_BYPASS_COUNT && !nkvi_cache_healthy(self->client->cache)) {
        reason = NKV_BYPASS_UNHEALTHY;
    }
    return reason;
}

/* Below a confidence of 100 chance decides which hits are believed: then true and *value is a
 * reference.  One that is to be validated is kept in self->cached. */
static bool believed_hit(async_call *self, nkv_value **value)
{
    nkv_client *client = self->client;
    nkvi_found found;
    if (nkv_cache_confidence(client->cache) >= 100.0) {
        return nkvi_read_hit(client, &self->plan.query, value);
    }
    nkvi_cache_find(client->cache, &self->plan.query, 1, nkvi_now_ns(), &found);
    if (found.outcome != NKVI_HIT) {
        return false;
    }
    if (nkvi_cache_must_validate(client->cache, nkvi_random())) {
        self->cached = found.value;
        return false;
    }
    nkvi_count_add(&client->counters, NKVI_C_QUICK_HITS, 1);
    nkvi_cache_count(client->cache, &self->plan.query, NKVI_COUNT_HIT);
    *value = found.value;
    return true;
}

static void async_run(async_call *self)
{
    nkv_client *client = self->client;
    const nkvi_plan *plan = &self->plan;
    self->read = plan->cached || plan->split ||
                 (!plan->writes && plan->command->klass != NKVI_COMMAND_OTHER);
    if (!plan->cached) {
        self->reason = NKV_BYPASS_NOT_CACHEABLE;
        send_plain(self);
        return;
    }
    self->reason = async_filter(self);
    if (self->reason != NKV_BYPASS_COUNT) {
        ask(self, false);
        return;
    }
    nkv_value *value = NULL;
    if (nkvi_call_level(client, &self->call) == NKV_EVENTUAL && believed_hit(self, &value)) {
        settle(self, NKV_OK, value, NKV_FROM_CACHE, NULL);
        return;
    }
    self->reason = nkvi_peer_vouching(peer_of(self), nkvi_now_ns());
    ask(self, self->reason == NKV_BYPASS_COUNT);
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
    nkv_call_init(&self->call);
    if (call != NULL) { /* a caller compiled against an older header has a shorter struct */
        size_t size = call->struct_size;
        memcpy(&self->call, call, size < sizeof self->call ? size : sizeof self->call);
        self->call.struct_size = sizeof self->call;
    }
    self->done = done;
    self->ud = ud;
    self->deadline_ns = nkvi_call_deadline(client, &self->call);
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkvi_plan_make(client, self->argc, self->argv, &self->plan, &error);
    if (status != NKV_OK) {
        nkvi_plan_clear(&self->plan);
        nkvi_free(self);
        nkvi_client_leave(client);
        return status;
    }
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&client->asyncs, &self->node);
    pthread_mutex_unlock(&client->flights.mu);
    async_run(self);
    return NKV_OK;
}
