/* client/read_async.c - cached reads for which nobody waits: nkvi_reads_start.
 *
 *      start --all hits--> done()              the rest: an object of its own takes the steps
 *        |
 *        '--> run: steps --some answers missing--> parked --the last answer--> run
 *              |                                     |
 *              '--no more steps--> done()            '--tick or cancel: abandon what waits --> run
 *
 * Whoever closes the last slot of a step runs the next one, on its own thread; so steps never run
 * twice at once, and no thread waits for another. Only while an object is parked may its slots be
 * abandoned. Who finds it running leaves word in `ending`, and it abandons them itself when it
 * parks, or ends at its next step. An object from which slots were taken cannot end, nor go, before
 * they are closed; who takes none does not touch it behind the lock. */
#include <assert.h>
#include <string.h>

#include "base/status.h"
#include "client/read.h"
#include "client/read_steps.h"

/* Reads under way.  flights.mu guards what says so. */
typedef struct waiting {
    nkvi_steps steps;
    nkvi_reads *reads;
    nkvi_node node;    /* of client->reads; mu */
    nkv_status ending; /* why it is to end early, or NKV_OK; mu */
    bool parked;       /* all slots of a step are open(ed); mu */
    uint32_t left;     /* slots that the tick has taken off their lists, and closes soon; [loop] */
    nkvi_node late;    /* of the tick's list; [loop] */
} waiting;

/* ---- the end --------------------------------------------------------------------------------- */

/* Calls done(), or leaves that to the done() inside of which it happens. */
static void deliver(nkvi_reads *reads, nkv_status first)
{
    static _Thread_local nkvi_reads *
        *last; /* where the next one goes; NULL: no done() is running */
    reads->first = first;
    reads->next = NULL;
    if (last != NULL) {
        *last = reads;
        last = &reads->next;
        return;
    }
    nkvi_reads *queue = reads;
    last = &reads->next;
    while (queue != NULL) {
        nkvi_reads *now = queue;
        nkv_client *client = now->client;
        nkv_error error = {.status = NKV_OK}; /* *now may go before it was looked at */
        if (now->first < 0) {
            error = now->error;
        }
        queue = now->next;
        if (queue == NULL) {
            last = &queue;
        }
        now->done(now, now->first, &error);
        if (client != NULL) {
            nkvi_client_leave(client);
        }
    }
    last = NULL;
}

/* Ends with one failure what no hit has answered. */
static void fail_rest(nkvi_reads *reads, nkv_status status)
{
    for (size_t i = 0; i < reads->n; i++) {
        if (reads->results[i].status == NKV_MISS) {
            reads->results[i].status = status;
        }
    }
    (void)nkvi_fail(&reads->error, status, "%s", nkv_status_text(status));
    deliver(reads, status);
}

static void end(waiting *self)
{
    nkvi_reads *reads = self->reads;
    nkvi_flights *flights = &reads->client->flights;
    pthread_mutex_lock(&flights->mu);
    nkvi_list_remove(&self->node);
    reads->state = NULL; /* from now on nobody else finds it */
    pthread_mutex_unlock(&flights->mu);
    (void)nkvi_gather_close(&self->steps.gather, 1);
    nkv_status first = nkvi_steps_finish(&self->steps, &reads->error);
    nkvi_spare_give(&reads->client->spare, self);
    deliver(reads, first);
}

/* ---- the way there --------------------------------------------------------------------------- */

/* Takes steps until one must be waited for, or the end; by whoever closed the last slot. */
static void run(waiting *self)
{
    nkvi_gather *gather = &self->steps.gather;
    nkvi_flights *flights = &self->reads->client->flights;
    uint32_t left;
    do {
        pthread_mutex_lock(&flights->mu);
        self->parked = false;
        self->steps.ending = self->ending;
        nkvi_gather_hold(gather);
        pthread_mutex_unlock(&flights->mu);
        if (!nkvi_steps_go(&self->steps)) {
            end(self);
            return;
        }
        pthread_mutex_lock(&flights->mu);
        self->parked = true;
        left = self->ending != NKV_OK ? nkvi_gather_abandon(gather, self->ending) : 0;
        pthread_mutex_unlock(&flights->mu);
    } while (nkvi_gather_close(gather, left + 1));
}

static void answered(nkvi_gather *gather)
{
    run(NKVI_CONTAINER(gather, waiting, steps.gather));
}

/* Says that it is to end, and returns how many slots the caller has to close now.
 * @locks flights.mu held */
static uint32_t stop(waiting *self, nkv_status status)
{
    if (self->ending == NKV_OK) {
        self->ending = status;
    }
    return self->parked ? nkvi_gather_abandon(&self->steps.gather, status) : 0;
}

static void close_left(waiting *self, uint32_t left)
{
    if (left > 0 && nkvi_gather_close(&self->steps.gather, left)) {
        run(self);
    }
}

void nkvi_reads_cancel(nkv_client *client, nkvi_reads *reads)
{
    pthread_mutex_lock(&client->flights.mu);
    waiting *self = reads->state;
    uint32_t left = self != NULL ? stop(self, NKV_ECANCELED) : 0;
    reads->cancelled = true;
    pthread_mutex_unlock(&client->flights.mu);
    close_left(self, left);
}

void nkvi_reads_expire(nkv_client *client, int64_t now_ns)
{
    nkvi_list late;
    nkvi_list_init(&late);
    pthread_mutex_lock(&client->flights.mu);
    for (nkvi_node *node = client->reads.head.next; node != &client->reads.head;
         node = node->next) {
        waiting *self = NKVI_CONTAINER(node, waiting, node);
        if (now_ns < self->reads->deadline_ns) {
            continue;
        }
        uint32_t left = stop(self, NKV_ETIMEDOUT);
        if (left > 0) { /* else somebody else has it, and it may go as soon as the lock is free */
            self->left = left;
            nkvi_list_push(&late, &self->late);
        }
    }
    pthread_mutex_unlock(&client->flights.mu);
    for (nkvi_node *node; (node = nkvi_list_pop(&late)) != NULL;) {
        waiting *self = NKVI_CONTAINER(node, waiting, late);
        close_left(self, self->left);
    }
}

/* ---- the start ------------------------------------------------------------------------------- */

/* Takes what the cache answers at once; results of the others get NKV_MISS.  Returns how many are
 * left. */
static size_t take_hits(nkv_client *client, const nkvi_reads *all)
{
    size_t left = all->n, i = 0;
    bool allowed = nkvi_read_hits_allowed(client, all->call);
    while (i < all->n) {
        nkvi_query queries[NKVI_READ_PASS];
        nkv_value *values[NKVI_READ_PASS];
        nkv_result *results[NKVI_READ_PASS];
        size_t m = 0;
        for (; i < all->n && m < NKVI_READ_PASS; i++) {
            const nkvi_read *read = &all->reads[i];
            all->results[i] = (nkv_result){NKV_MISS, NKV_FROM_SERVER, NULL};
            if (allowed && nkvi_read_filter(client, all->call, read->query.key, read->argc,
                                            read->argv) == NKV_BYPASS_COUNT) {
                results[m] = &all->results[i];
                queries[m++] = read->query;
            }
        }
        left -= m > 0 ? nkvi_read_hits(client, queries, m, values) : 0;
        for (size_t k = 0; k < m; k++) {
            if (values[k] != NULL) {
                *results[k] = (nkv_result){NKV_OK, NKV_FROM_CACHE, values[k]};
            }
        }
    }
    return left;
}

/* Makes the object that takes the rest of the reads through the steps, or NULL. */
static waiting *waiting_make(nkv_client *client, nkvi_reads *reads, size_t left)
{
    size_t room = nkvi_steps_room(left);
    waiting *self = room > 0 ? nkvi_spare_take(&client->spare, sizeof *self + room) : NULL;
    if (self == NULL) {
        return NULL;
    }
    nkvi_steps_init(&self->steps, client, reads->call, reads->deadline_ns, self + 1, left);
    self->steps.gather.closed = answered;
    self->reads = reads;
    self->parked = false;
    nkvi_node_init(&self->node);
    nkvi_node_init(&self->late);
    for (size_t i = 0; i < reads->n; i++) {
        if (reads->results[i].status == NKV_MISS) {
            nkvi_steps_add(&self->steps, &reads->reads[i], &reads->results[i]);
        }
    }
    assert(self->steps.n == left);
    return self;
}

void nkvi_reads_start(nkv_client *client, nkvi_reads *reads)
{
    reads->client = NULL;
    if (!nkvi_client_enter(client)) {
        for (size_t i = 0; i < reads->n; i++) {
            reads->results[i] = (nkv_result){NKV_MISS, NKV_FROM_SERVER, NULL};
        }
        fail_rest(reads, NKV_ECLOSED);
        return;
    }
    reads->client = client;
    size_t left = take_hits(client, reads);
    if (left == 0) {
        deliver(reads, NKV_OK);
        return;
    }
    waiting *self = waiting_make(client, reads, left);
    if (self == NULL) {
        fail_rest(reads, NKV_ENOMEM);
        return;
    }
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&client->reads, &self->node);
    reads->state = self;
    self->ending = reads->cancelled ? NKV_ECANCELED : NKV_OK;
    pthread_mutex_unlock(&client->flights.mu);
    run(self);
}
