/* client/flight_foreign.c - flights that a connector of the user's own answers.
 *
 *      batch --an operation for each flight--> conn/foreign --done(), any thread--> loop: settle
 *
 * The table's answers come in any order, some of them perhaps never; an operation ends all the same
 * (conn/foreign.h), and its flight with it. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/flight_impl.h"
#include "client/read.h"
#include "conn/foreign.h"

/* What one flight asks, and what came of it. */
typedef struct nkvi_inquiry {
    nkvi_foreign_op op;
    nkvi_task task;
    nkvi_batch *batch;
    nkvi_flight *flight;
    nkv_status status;
    nkvi_foreign_answer answer;
    nkv_error error;
} nkvi_inquiry;

int64_t nkvi_batch_patience(const nkvi_batch *b)
{
    if (!b->mode.tracked) {
        return b->mode.deadline_ns;
    }
    int64_t timeout_ms = b->client->options.timeout_ms;
    int64_t least_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms);
    int64_t asker_ns = b->mode.deadline_ns;
    return nkvi_deadline_ns(asker_ns > least_ns ? asker_ns : least_ns, timeout_ms);
}

/* The answer in the words of a server. */
static void take_answer(nkvi_inquiry *inquiry)
{
    nkvi_flight *flight = inquiry->flight;
    nkvi_foreign_answer *answer = &inquiry->answer;
    if (inquiry->op.kind == NKVI_FOREIGN_EXISTS) {
        flight->answer.root.type = NKV_TYPE_INTEGER;
        flight->answer.root.integer = answer->found;
    } else if (answer->found) {
        flight->answer = answer->draft;
        nkvi_draft_init(&answer->draft);
    }
    if (!inquiry->batch->mode.static_ttl) {
        flight->ttl.key_ms = answer->found ? answer->ttl_ms : NKVI_TTL_NO_KEY;
    }
    inquiry->batch->sent_ns = answer->asked_ns;
}

/* [loop] */
static void inquiry_settle(nkvi_task *task)
{
    nkvi_inquiry *inquiry = NKVI_CONTAINER(task, nkvi_inquiry, task);
    nkvi_batch *b = inquiry->batch;
    if (inquiry->status == NKV_OK) {
        take_answer(inquiry);
        nkvi_flight_settle(b, inquiry->flight);
    } else {
        nkvi_flight_end(b, inquiry->flight, inquiry->status, NULL, &inquiry->error);
    }
    nkvi_draft_clear(&inquiry->answer.draft);
    if (++b->at == b->n) {
        nkvi_batch_free(b);
    }
}

static void inquiry_done(nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                         const nkv_error *error)
{
    nkvi_inquiry *inquiry = NKVI_CONTAINER(op, nkvi_inquiry, op);
    inquiry->status = status;
    if (answer != NULL) {
        inquiry->answer = *answer;
        nkvi_draft_init(&answer->draft);
    }
    if (error != NULL) {
        inquiry->error = *error;
    }
    nkvi_loop_post(inquiry->batch->client->loop, &inquiry->task); /* the last touch */
}

static void inquiry_init(nkvi_inquiry *inquiry, nkvi_batch *b, nkvi_flight *flight)
{
    memset(inquiry, 0, sizeof *inquiry);
    nkvi_draft_init(&inquiry->answer.draft);
    bool get = flight->query.command.len == 0; /* the only other one is EXISTS: plan.c */
    inquiry->task.run = inquiry_settle;
    inquiry->batch = b;
    inquiry->flight = flight;
    inquiry->op.kind = get ? NKVI_FOREIGN_GET : NKVI_FOREIGN_EXISTS;
    inquiry->op.priority = get ? NKVI_GET : NKVI_PEEK;
    inquiry->op.key = flight->query.key;
    inquiry->op.deadline_ns = b->until_ns;
    inquiry->op.limited = true;
    inquiry->op.done = inquiry_done;
}

static void end_all(nkvi_batch *b, nkv_status status, const char *why)
{
    nkv_error error;
    (void)nkvi_fail(&error, status, "%s", why);
    for (size_t i = 0; i < b->n; i++) {
        nkvi_flight_end(b, &b->flights[i], status, NULL, &error);
    }
    nkvi_batch_free(b);
}

void nkvi_batch_inquire(nkvi_batch *b)
{
    size_t each = sizeof(nkvi_inquiry) + sizeof(nkvi_foreign_op *);
    if (b->mode.tracked && b->request.generation % 2 == 0) {
        end_all(b, NKV_ECONN, "the connector does not vouch"); /* it is asked again untracked */
        return;
    }
    b->inquiries = nkvi_alloc(b->n * each);
    if (b->inquiries == NULL) {
        end_all(b, NKV_ENOMEM, "no memory to ask");
        return;
    }
    nkvi_foreign_op **ops = (nkvi_foreign_op **)(void *)&b->inquiries[b->n];
    for (size_t i = 0; i < b->n; i++) {
        inquiry_init(&b->inquiries[i], b, &b->flights[i]);
        ops[i] = &b->inquiries[i].op;
    }
    nkvi_foreign_submit(b->peer->foreign, ops, b->n);
}
