/* tests/unit/client/test_job.c - jobs and queues, with parts that a test ends by hand. */
#include "client/queue.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/check.h"
#include "support/thread.h"

/* A job of `phases` phases of `parts` parts; the test ends them, or the start does. */
typedef struct toy {
    nkvi_job job;
    unsigned phases, parts, phase;
    bool inline_parts; /* they end while they are being started */
    bool stubborn;     /* cancel() does nothing: the test ends the parts all the same */
    nkv_status outcome;
    _Atomic uint32_t left; /* parts of the phase that nobody has ended */
    _Atomic int cancels;
    _Atomic int *destroyed;
    void (*while_starting)(struct toy *self);
} toy;

static void end_parts(toy *self)
{
    for (uint32_t left = atomic_load(&self->left); left > 0;) {
        if (atomic_compare_exchange_weak(&self->left, &left, left - 1)) {
            bool last = --left == 0;
            nkvi_job_part_done(&self->job);
            if (last) {
                return; /* it may be gone */
            }
        }
    }
}

static void toy_advance(nkvi_job *job)
{
    toy *self = NKVI_CONTAINER(job, toy, job);
    if (self->phase < self->phases && nkvi_job_start(job)) {
        nkvi_job_parts(job, self->parts);
        self->phase++;
        atomic_store(&self->left, self->parts);
        if (self->while_starting != NULL) {
            self->while_starting(self);
        }
        if (self->inline_parts) {
            end_parts(self);
        }
        nkvi_job_started(job);
        return;
    }
    self->outcome = self->phase < self->phases ? NKV_ECANCELED : NKV_OK;
    nkvi_job_sum_up(job);
    job->outcome.status = self->outcome;
    nkvi_job_end(job);
}

static void toy_cancel(nkvi_job *job)
{
    toy *self = NKVI_CONTAINER(job, toy, job);
    atomic_fetch_add(&self->cancels, 1);
    if (!self->stubborn) {
        end_parts(self);
    }
}

static void toy_destroy(nkvi_job *job)
{
    toy *self = NKVI_CONTAINER(job, toy, job);
    atomic_fetch_add(self->destroyed, 1);
    free(self);
}

static const nkvi_job_kind toy_kind = {toy_advance, toy_cancel, toy_destroy};

/* A client that has nothing but what a job asks of it. */
static nkv_client client;
static _Atomic int destroyed;

static void set_up(void)
{
    memset(&client, 0, sizeof client);
    client.options.timeout_ms = 1000;
    atomic_store(&destroyed, 0);
}

static toy *make(unsigned phases, unsigned parts)
{
    nkvi_job_plan plan = {.kind = &toy_kind, .client = &client, .priority = NKV_PRIORITY_GET};
    toy *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    cr_assert_eq(nkvi_job_check(&plan, NULL), NKV_OK);
    nkvi_job_init(&self->job, &plan);
    self->phases = phases;
    self->parts = parts;
    self->destroyed = &destroyed;
    return self;
}

static bool readable(const nkv_queue *queue)
{
    struct pollfd fd = {.fd = nkv_queue_fd(queue), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static nkv_queue *make_queue(void)
{
    nkv_queue *queue;
    nkv_error error;
    cr_assert_eq(nkv_queue_create(&queue, &error), NKV_OK, "%s", error.text);
    return queue;
}

static uint64_t submit(nkv_queue *queue, toy *self)
{
    nkv_ticket ticket = {.queue = queue, .ud = self};
    cr_assert_eq(nkvi_job_submit(&self->job, &ticket), NKV_OK);
    return ticket.id;
}

/* The only completion there is. */
static nkv_completion take_one(nkv_queue *queue)
{
    nkv_completion got[2];
    cr_assert_eq(nkv_queue_drain(queue, got, 2), 1);
    return got[0];
}

TestSuite(client_job, .init = set_up);

Test(client_job, a_submitted_job_goes_through_its_phases)
{
    nkv_queue *queue = make_queue();
    toy *self = make(3, 4);
    uint64_t id = submit(queue, self);
    cr_assert_eq(id, 1);
    for (unsigned phase = 1; phase <= 3; phase++) {
        cr_assert_eq(self->phase, phase);
        cr_assert(!readable(queue));
        cr_assert_eq(nkv_queue_wait(queue, 0), NKV_ETIMEDOUT);
        end_parts(self);
    }
    cr_assert(readable(queue));
    cr_assert_eq(nkv_queue_wait(queue, 0), NKV_OK);
    nkv_completion got = take_one(queue);
    cr_assert_eq(got.id, 1);
    cr_assert_eq(got.status, NKV_OK);
    cr_assert_eq(got.ud, self);
    cr_assert(!readable(queue));
    cr_assert_eq(nkv_queue_wait(queue, 0), NKV_NOT_FOUND);
    cr_assert_eq(atomic_load(&destroyed), 1);
    cr_assert_eq(atomic_load(&client.active), 0);
    nkv_queue_destroy(queue);
}

Test(client_job, parts_may_end_while_they_are_started)
{
    nkv_queue *queue = make_queue();
    toy *self = make(1000, 3);
    self->inline_parts = true;
    (void)submit(queue, self);
    cr_assert_eq(take_one(queue).status, NKV_OK);
    nkv_queue_destroy(queue);
}

Test(client_job, ids_count_up_and_completions_come_in_the_order_of_their_end)
{
    nkv_queue *queue = make_queue();
    toy *jobs[3];
    nkv_completion got[3];
    for (uint64_t i = 0; i < 3; i++) {
        jobs[i] = make(1, 1);
        cr_assert_eq(submit(queue, jobs[i]), i + 1);
    }
    end_parts(jobs[1]);
    end_parts(jobs[0]);
    cr_assert_eq(nkv_queue_drain(queue, got, 1), 1);
    cr_assert_eq(got[0].id, 2);
    cr_assert(readable(queue), "one is left");
    end_parts(jobs[2]);
    cr_assert_eq(nkv_queue_drain(queue, got, 3), 2);
    cr_assert_eq(got[0].id, 1);
    cr_assert_eq(got[1].id, 3);
    cr_assert_eq(nkv_queue_drain(queue, got, 3), 0);
    nkv_queue_destroy(queue);
}

Test(client_job, cancelling_ends_the_phase_and_starts_no_other)
{
    nkv_queue *queue = make_queue();
    toy *self = make(3, 2);
    uint64_t id = submit(queue, self);
    end_parts(self);
    cr_assert_eq(nkv_queue_cancel(queue, id), NKV_OK);
    cr_assert_eq(take_one(queue).status, NKV_ECANCELED);
    cr_assert_eq(nkv_queue_cancel(queue, id), NKV_NOT_FOUND, "it is gone");
    cr_assert_eq(nkv_queue_cancel(queue, 99), NKV_NOT_FOUND);
    cr_assert_eq(atomic_load(&destroyed), 1);
    cr_assert_eq(atomic_load(&client.active), 0);
    nkv_queue_destroy(queue);
}

static nkv_queue *cancel_at;

static void cancel_now(toy *self)
{
    cr_assert_eq(nkv_queue_cancel(cancel_at, self->job.outcome.id), NKV_OK);
    cr_assert_eq(atomic_load(&self->cancels), 0, "a phase that is half started is let be");
}

Test(client_job, a_cancel_while_a_phase_is_being_started_waits_for_all_of_it)
{
    cancel_at = make_queue();
    toy *self = make(2, 5);
    self->while_starting = cancel_now;
    (void)submit(cancel_at, self);
    cr_assert_eq(take_one(cancel_at).status, NKV_ECANCELED);
    nkv_queue_destroy(cancel_at);
}

Test(client_job, a_part_that_does_not_heed_the_cancel_ends_the_job_when_it_ends)
{
    nkv_queue *queue = make_queue();
    toy *self = make(2, 1);
    self->stubborn = true;
    uint64_t id = submit(queue, self);
    cr_assert_eq(nkv_queue_cancel(queue, id), NKV_OK);
    cr_assert_eq(nkv_queue_wait(queue, 0), NKV_ETIMEDOUT);
    end_parts(self);
    cr_assert_eq(take_one(queue).status, NKV_ECANCELED);
    nkv_queue_destroy(queue);
}

Test(client_job, closing_cancels_all_and_takes_no_more)
{
    nkv_queue *queue = make_queue();
    nkv_completion got[4];
    nkv_ticket ticket = {.queue = queue, .id = 7};
    for (int i = 0; i < 3; i++) {
        (void)submit(queue, make(1, 2));
    }
    nkv_queue_close(queue);
    nkv_queue_close(queue);
    cr_assert_eq(nkvi_job_submit(&make(1, 1)->job, &ticket), NKV_ECLOSED);
    cr_assert_eq(ticket.id, 0);
    cr_assert_eq(nkv_queue_drain(queue, got, 4), 3);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(got[i].id, i + 1);
    }
    cr_assert_eq(atomic_load(&destroyed), 4);
    cr_assert_eq(atomic_load(&client.active), 0);
    nkv_queue_destroy(queue);
}

Test(client_job, destroying_frees_what_was_not_drained)
{
    nkv_queue *queue = make_queue();
    (void)submit(queue, make(1, 2));
    (void)submit(queue, make(1, 2));
    nkv_queue_destroy(queue);
    nkv_queue_destroy(NULL);
    cr_assert_eq(atomic_load(&destroyed), 2);
}

static void *end_soon(void *ud)
{
    t_sleep_ms(20);
    end_parts(ud);
    return NULL;
}

Test(client_job, destroying_waits_for_parts_that_are_still_under_way)
{
    nkv_queue *queue = make_queue();
    toy *self = make(1, 1);
    pthread_t thread;
    self->stubborn = true;
    (void)submit(queue, self);
    t_thread_start(&thread, end_soon, self);
    nkv_queue_destroy(queue);
    cr_assert_eq(atomic_load(&destroyed), 1);
    (void)pthread_join(thread, NULL);
}

Test(client_job, a_client_that_is_being_destroyed_takes_no_job)
{
    nkv_queue *queue = make_queue();
    nkv_ticket ticket = {.queue = queue, .id = 7};
    atomic_store(&client.closing, true);
    cr_assert_eq(nkvi_job_submit(&make(1, 1)->job, &ticket), NKV_ECLOSED);
    cr_assert_eq(ticket.id, 0);
    cr_assert_eq(atomic_load(&destroyed), 1);
    cr_assert_eq(atomic_load(&client.active), 0);
    nkv_queue_destroy(queue);
}

Test(client_job, the_outcome_is_the_first_failure_and_its_text)
{
    nkv_item items[5] = {{.ud = NULL}};
    nkvi_job_plan plan = {.kind = &toy_kind, .client = &client, .items = items, .n = 5};
    toy *self = calloc(1, sizeof *self);
    nkv_error late, early;
    nkvi_job_init(&self->job, &plan);
    self->destroyed = &destroyed;
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(items[i].status, NKV_ECANCELED);
        items[i].status = NKV_OK;
    }
    items[2].status = NKV_NOT_FOUND;
    items[3].status = NKV_ECONN;
    items[4].status = NKV_EREPLY;
    late = (nkv_error){.status = NKV_EREPLY, .text = "late"};
    early = (nkv_error){.status = NKV_ECONN, .text = "early"};
    nkvi_job_explain(&self->job, 4, &late);
    nkvi_job_explain(&self->job, 3, &early);
    nkvi_job_sum_up(&self->job);
    cr_assert_eq(self->job.outcome.prefix, 2);
    cr_assert_eq(self->job.outcome.found, 2);
    cr_assert_eq(self->job.outcome.status, NKV_ECONN);
    cr_assert_str_eq(self->job.outcome.error.text, "early");
    items[3].status = NKV_OK;
    nkvi_job_sum_up(&self->job);
    cr_assert_eq(self->job.outcome.status, NKV_EREPLY);
    cr_assert_str_eq(self->job.outcome.error.text, nkv_status_text(NKV_EREPLY),
                     "the text of another item is not taken for its own");
    (void)pthread_mutex_destroy(&self->job.error_mu);
    free(self);
}

Test(client_job, arguments_are_checked)
{
    nkv_error error;
    nkv_call call;
    nkvi_job_plan plan = {.kind = &toy_kind, .client = &client, .n = 1};
    cr_assert_eq(nkvi_job_check(&plan, &error), NKV_EINVAL);
    cr_assert(strstr(error.text, "1 items") != NULL, "%s", error.text);
    nkv_call_init(&call);
    call.priority = (nkv_priority)5;
    plan = (nkvi_job_plan){.kind = &toy_kind, .client = &client, .call = &call};
    cr_assert_eq(nkvi_job_check(&plan, &error), NKV_EINVAL);
    cr_assert(strstr(error.text, "priority 5; allowed are 0 to 4") != NULL, "%s", error.text);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { ROUNDS = 2000 };

static void *cancel_all(void *ud)
{
    nkv_queue *queue = ud;
    for (uint64_t id = 1; id <= ROUNDS; id++) {
        for (int tries = 0; nkv_queue_cancel(queue, id) == NKV_NOT_FOUND && tries < 50; tries++) {}
    }
    return NULL;
}

Test(client_job, every_id_completes_once_while_others_cancel)
{
    nkv_queue *queue = make_queue();
    pthread_t threads[2];
    nkv_completion got[16];
    char seen[ROUNDS + 1] = {0};
    size_t n, all = 0;
    for (int i = 0; i < 2; i++) {
        t_thread_start(&threads[i], cancel_all, queue);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        toy *self = make(3, 4);
        self->inline_parts = true;
        (void)submit(queue, self);
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    while ((n = nkv_queue_drain(queue, got, 16)) > 0) {
        for (size_t i = 0; i < n; i++) {
            cr_assert_eq(seen[got[i].id]++, 0);
        }
        all += n;
    }
    cr_assert_eq(all, ROUNDS);
    cr_assert_eq(atomic_load(&destroyed), ROUNDS);
    cr_assert_eq(atomic_load(&client.active), 0);
    nkv_queue_destroy(queue);
}
