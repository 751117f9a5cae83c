/* tests/live/client/test_queue.c - batches that are not waited for: ids, completions, descriptor,
 * cancel, close.  LMCache's behaviours 14 and 23. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/items.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

/* ---- A client whose server can be kept silent ------------------------------------------------ */

typedef struct rig {
    t_proxy *proxy;
    nkv_client *client;
    nkv_queue *queue;
    t_items list; /* k0 to k3 are there, 1000 bytes each */
} rig;

static rig open_rig(t_server *server)
{
    rig r = {.proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false),
             .queue = t_queue_new(),
             .list = t_items_new("k", 4)};
    nkv_options options = t_near_options(t_proxy_url(r.proxy));
    options.max_idle_ms = 30000;
    options.backoff_min_ms = 1;
    r.client = t_near_open(&options);
    t_items_values(&r.list, 1000);
    cr_assert_eq(nkv_batch_put(r.client, r.list.items, 4, 0, NULL), NKV_OK);
    t_items_bufs(&r.list, 1000);
    return r;
}

static void silence(rig *r, bool on)
{
    if (on) {
        t_proxy_hold(r->proxy, T_EVERY, T_TO_CLIENT);
    } else {
        t_proxy_release(r->proxy, T_EVERY, T_TO_CLIENT);
    }
}

static uint64_t submit_get(rig *r, t_items *list, void *ud)
{
    nkv_ticket ticket = {.queue = r->queue, .ud = ud};
    t_items_reset(list);
    cr_assert_eq(nkv_submit_get(r->client, list->items, list->n, &ticket), NKV_OK);
    return ticket.id;
}

static void close_rig(rig *r)
{
    nkv_queue_destroy(r->queue);
    nkv_client_destroy(r->client);
    t_proxy_stop(r->proxy);
    t_items_free(&r->list);
}

/* ---- Ids and completions --------------------------------------------------------------------- */

T_LIVE(client_queue, case_23_ids_are_1_2_3_and_each_comes_back_once)
{
    rig r = open_rig(server);
    t_items others[4] = {t_items_new("a", 3), t_items_new("b", 3), t_items_new("k", 5),
                         t_items_new("k", 2)};
    nkv_ticket tickets[4];
    for (int i = 0; i < 4; i++) {
        tickets[i] = (nkv_ticket){.queue = r.queue, .ud = i < 3 ? &others[i] : NULL};
    }
    t_items_values(&others[0], 100);
    cr_assert_eq(nkv_submit_put(r.client, others[0].items, 3, 0, &tickets[0]), NKV_OK);
    cr_assert_eq(nkv_submit_exists(r.client, others[1].items, 3, &tickets[1]), NKV_OK);
    cr_assert_eq(nkv_submit_get(r.client, others[2].items, 5, &tickets[2]), NKV_OK);
    cr_assert_eq(nkv_submit_remove(r.client, others[3].items, 2, &tickets[3]), NKV_OK);
    unsigned seen = 0;
    for (int i = 0; i < 4; i++) {
        const nkv_completion done = t_queue_next(r.queue);
        cr_assert_eq(tickets[i].id, (uint64_t)i + 1);
        cr_assert(done.id >= 1 && done.id <= 4 && (seen & 1u << done.id) == 0);
        seen |= 1u << done.id;
        cr_assert_eq(done.status, NKV_OK, "%s", done.error.text);
        static const size_t found[] = {3, 0, 4, 2};
        /* The removal may have overtaken the get. */
        cr_assert(done.id == 3 || done.found == found[done.id - 1], "batch %llu: %zu",
                  (unsigned long long)done.id, done.found);
        cr_assert(done.ud == (done.id == 4 ? NULL : &others[done.id - 1]));
    }
    nkv_completion more;
    cr_assert_eq(nkv_queue_drain(r.queue, &more, 1), 0);
    cr_assert_eq(nkv_queue_wait(r.queue, 10), NKV_NOT_FOUND);
    for (int i = 0; i < 4; i++) {
        t_items_free(&others[i]);
    }
    close_rig(&r);
}

/* Prefix, sum and the first failure in the caller's order. */
T_LIVE(client_queue, what_a_completion_says)
{
    rig r = open_rig(server);
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    t_items list = t_items_list("k0 k1 none list k2 k3");
    t_items_bufs(&list, 1000);
    t_item_buf(&list, 4, 10);
    (void)submit_get(&r, &list, &list);
    const nkv_completion done = t_queue_next(r.queue);
    cr_assert_str_eq(t_items_text(&list), "++-RS+");
    cr_assert(done.prefix == 2 && done.found == 3 && done.status == NKV_EREPLY);
    cr_assert_eq(done.error.status, NKV_EREPLY);
    cr_assert_not_null(strstr(done.error.text, "WRONGTYPE"), "%s", done.error.text);
    t_items_free(&list);
    t_ctl_close(ctl);
    close_rig(&r);
}

T_LIVE(client_queue, batches_of_nothing_and_wrong_arguments)
{
    rig r = open_rig(server);
    nkv_ticket ticket = {.queue = r.queue, .ud = &r};
    cr_assert_eq(nkv_submit_get(r.client, NULL, 0, &ticket), NKV_OK);
    cr_assert_eq(ticket.id, 1);
    const nkv_completion done = t_queue_next(r.queue);
    cr_assert(done.id == 1 && done.status == NKV_OK && done.ud == &r);
    cr_assert(done.found == 0 && done.prefix == 0);
    ticket.id = 99;
    cr_assert_eq(nkv_submit_get(r.client, NULL, 3, &ticket), NKV_EINVAL);
    cr_assert_eq(ticket.id, 0);
    cr_assert_eq(nkv_queue_wait(r.queue, 0), NKV_NOT_FOUND);
    cr_assert_eq(submit_get(&r, &r.list, NULL), 2, "a refused batch has taken a number");
    cr_assert_eq(t_queue_next(r.queue).id, 2);
    nkv_queue_destroy(NULL);
    close_rig(&r);
}

/* ---- The descriptor -------------------------------------------------------------------------- */

T_LIVE(client_queue, case_23_the_descriptor_is_readable_while_completions_wait)
{
    rig r = open_rig(server);
    const int fd = nkv_queue_fd(r.queue);
    cr_assert_geq(fd, 0);
    cr_assert((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    cr_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    cr_assert_not(t_queue_readable(r.queue, 0));
    t_items lists[5];
    silence(&r, true);
    for (int i = 0; i < 5; i++) {
        lists[i] = t_items_new("k", 4);
        (void)submit_get(&r, &lists[i], NULL);
    }
    cr_assert_not(t_queue_readable(r.queue, 20));
    cr_assert_eq(nkv_queue_wait(r.queue, 20), NKV_ETIMEDOUT);
    silence(&r, false);
    cr_assert(t_queue_readable(r.queue, 10000));
    cr_assert_eq(nkv_queue_wait(r.queue, 0), NKV_OK);
    /* In parts: readable until the last one is out. */
    nkv_completion done[5];
    size_t got = 0;
    while (got < 5) {
        cr_assert(t_queue_readable(r.queue, 10000), "%zu of 5", got);
        got += nkv_queue_drain(r.queue, &done[got], got == 1 ? 2 : 1);
    }
    cr_assert_not(t_queue_readable(r.queue, 20));
    cr_assert_eq(nkv_queue_fd(r.queue), fd);
    cr_assert_eq(nkv_queue_drain(r.queue, done, 0), 0);
    for (int i = 0; i < 5; i++) {
        t_items_free(&lists[i]);
    }
    close_rig(&r);
}

/* Oldest first: those that ended first. */
T_LIVE(client_queue, case_23_drained_in_the_order_of_their_end)
{
    rig r = open_rig(server);
    t_items lists[10];
    for (int i = 0; i < 10; i++) {
        lists[i] = t_items_new("k", 4);
        const uint64_t id = submit_get(&r, &lists[i], NULL);
        cr_assert_eq(id, (uint64_t)i + 1);
        /* Cancelled or not: when this says so, it has ended. */
        T_WAIT_UNTIL(nkv_queue_cancel(r.queue, id) == NKV_NOT_FOUND, 10000);
    }
    nkv_completion done[10];
    t_queue_take(r.queue, done, 10);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(done[i].id, (uint64_t)i + 1);
        t_items_free(&lists[i]);
    }
    close_rig(&r);
}

/* ---- Cancel, deadlines ----------------------------------------------------------------------- */

T_LIVE(client_queue, case_14_cancel)
{
    rig r = open_rig(server);
    t_items other = t_items_new("k", 4);
    t_items_bufs(&other, 1000);
    cr_assert_eq(nkv_queue_cancel(r.queue, 0), NKV_NOT_FOUND);
    cr_assert_eq(nkv_queue_cancel(r.queue, 1), NKV_NOT_FOUND);
    silence(&r, true);
    const uint64_t first = submit_get(&r, &r.list, NULL);
    const uint64_t second = submit_get(&r, &other, NULL);
    cr_assert_eq(nkv_queue_cancel(r.queue, second + 1), NKV_NOT_FOUND);
    const int64_t begin_ms = t_now_ms();
    cr_assert_eq(nkv_queue_cancel(r.queue, first), NKV_OK);
    nkv_completion done = t_queue_next(r.queue);
    cr_assert_lt(t_now_ms() - begin_ms, 1000);
    cr_assert(done.id == first && done.status == NKV_ECANCELED, "%s", nkv_status_text(done.status));
    cr_assert_str_eq(t_items_text(&r.list), "ZZZZ");
    for (size_t i = 0; i < 4; i++) {
        cr_assert(t_item_untouched(&r.list, i));
    }
    cr_assert_eq(nkv_queue_cancel(r.queue, first), NKV_NOT_FOUND);
    cr_assert_not(t_queue_readable(r.queue, 20));
    silence(&r, false);
    done = t_queue_next(r.queue);
    cr_assert(done.id == second && done.status == NKV_OK && done.found == 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert(t_item_has(&other, i));
        cr_assert(t_item_untouched(&r.list, i), "touched after its completion");
    }
    cr_assert_eq(nkv_queue_cancel(r.queue, second), NKV_NOT_FOUND);
    t_items_free(&other);
    close_rig(&r);
}

/* Of every kind of batch, at any time: at once, when it is being answered, when it is over. */
T_LIVE(client_queue, case_14_cancel_at_any_time_ends_each_batch_once)
{
    rig r = open_rig(server);
    t_items lists[4] = {t_items_new("k", 4), t_items_new("p", 30), t_items_new("k", 4),
                        t_items_new("q", 30)};
    t_items_bufs(&lists[0], 1000);
    t_items_values(&lists[1], 20000);
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (int round = 0; round < 400; round++) {
        nkv_ticket ticket = {.queue = r.queue};
        t_items *list = &lists[round % 4];
        t_items_reset(list);
        nkv_status status;
        switch (round % 4) {
        case 0:
            status = nkv_submit_get(r.client, list->items, list->n, &ticket);
            break;
        case 1:
            status = nkv_submit_put(r.client, list->items, list->n, 0, &ticket);
            break;
        case 2:
            status = nkv_submit_exists(r.client, list->items, list->n, &ticket);
            break;
        default:
            status = nkv_submit_remove(r.client, list->items, list->n, &ticket);
        }
        cr_assert_eq(status, NKV_OK);
        t_sleep_us((int64_t)t_rng_below(&rng, 300));
        const nkv_status cancelled = nkv_queue_cancel(r.queue, ticket.id);
        cr_assert(cancelled == NKV_OK || cancelled == NKV_NOT_FOUND);
        const nkv_completion done = t_queue_next(r.queue);
        cr_assert_eq(done.id, ticket.id);
        cr_assert(done.status == NKV_OK || (cancelled == NKV_OK && done.status == NKV_ECANCELED),
                  "%s", nkv_status_text(done.status));
        cr_assert_eq(strspn(t_items_text(list), done.status == NKV_OK ? "+-" : "+-Z"), list->n);
    }
    cr_assert_eq(nkv_queue_wait(r.queue, 0), NKV_NOT_FOUND);
    for (int i = 0; i < 4; i++) {
        t_items_free(&lists[i]);
    }
    close_rig(&r);
}

T_LIVE(client_queue, p4_deadlines_of_submitted_batches)
{
    rig r = open_rig(server);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 150;
    nkv_ticket ticket = {.queue = r.queue, .call = &call};
    silence(&r, true);
    const int64_t begin_ms = t_now_ms();
    t_items_reset(&r.list);
    cr_assert_eq(nkv_submit_get(r.client, r.list.items, 4, &ticket), NKV_OK);
    call.timeout_ms = 1; /* the call is a copy */
    nkv_completion done = t_queue_next(r.queue);
    const int64_t took_ms = t_now_ms() - begin_ms;
    cr_assert_eq(done.status, NKV_ETIMEDOUT, "%s", nkv_status_text(done.status));
    cr_assert(took_ms >= 149 && took_ms < 650, "%lld ms", (long long)took_ms);
    cr_assert_str_eq(t_items_text(&r.list), "TTTT");
    cr_assert(done.error.text[0] != '\0');
    silence(&r, false);
    (void)submit_get(&r, &r.list, NULL);
    done = t_queue_next(r.queue);
    cr_assert(done.status == NKV_OK && done.found == 4);
    close_rig(&r);
}

/* ---- Close and destroy ----------------------------------------------------------------------- */

T_LIVE(client_queue, case_14_close_ends_what_is_under_way_and_refuses_more)
{
    rig r = open_rig(server);
    t_items lists[6];
    silence(&r, true);
    for (int i = 0; i < 6; i++) {
        lists[i] = t_items_new("k", 4);
        t_items_bufs(&lists[i], 1000);
        (void)submit_get(&r, &lists[i], &lists[i]);
    }
    nkv_queue_close(r.queue);
    nkv_queue_close(r.queue);
    nkv_completion done[6];
    t_queue_take(r.queue, done, 6);
    unsigned seen = 0;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(done[i].status, NKV_ECANCELED, "%s", nkv_status_text(done[i].status));
        cr_assert_str_eq(t_items_text(done[i].ud), "ZZZZ");
        seen |= 1u << done[i].id;
    }
    cr_assert_eq(seen, 0x7eu);
    nkv_ticket ticket = {.queue = r.queue};
    cr_assert_eq(nkv_submit_get(r.client, lists[0].items, 4, &ticket), NKV_ECLOSED);
    cr_assert_eq(ticket.id, 0);
    ticket.id = 99;
    cr_assert_eq(nkv_submit_put(r.client, NULL, 0, 0, &ticket), NKV_ECLOSED);
    cr_assert_eq(ticket.id, 0);
    cr_assert_eq(nkv_queue_wait(r.queue, 0), NKV_NOT_FOUND);
    nkv_queue_close(r.queue);
    silence(&r, false);
    /* The client goes on without it. */
    t_items_reset(&lists[0]);
    cr_assert_eq(nkv_batch_get(r.client, lists[0].items, 4, NULL), NKV_OK);
    for (int i = 0; i < 6; i++) {
        t_items_free(&lists[i]);
    }
    close_rig(&r);
}

/* When destroy has returned, nothing of a batch is touched: the late answers find nobody. */
T_LIVE(client_queue, case_14_destroy_with_work_under_way)
{
    rig r = open_rig(server);
    enum { BYTES = 300000 };
    t_items put = t_items_new("big", 8);
    t_items_values(&put, BYTES);
    cr_assert_eq(nkv_batch_put(r.client, put.items, 8, 0, NULL), NKV_OK);
    for (int round = 0; round < 10; round++) {
        nkv_queue *queue = t_queue_new();
        t_items list = t_items_new("big", 8);
        t_items_bufs(&list, BYTES);
        silence(&r, true);
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_submit_get(r.client, list.items, 8, &ticket), NKV_OK);
        cr_assert_eq(nkv_submit_put(r.client, put.items, 8, 0, &ticket), NKV_OK);
        if (round % 2 != 0) {
            T_WAIT_UNTIL(t_proxy_kept(r.proxy, T_EVERY, T_TO_CLIENT) > 50000, 10000);
        }
        nkv_queue_destroy(queue);
        for (size_t i = 0; i < 8; i++) {
            memset(list.items[i].buf, '#', BYTES);
        }
        silence(&r, false);
        t_items_reset(&r.list);
        cr_assert_eq(nkv_batch_get(r.client, r.list.items, 4, NULL), NKV_OK);
        t_sleep_ms(10);
        for (size_t i = 0; i < 8; i++) {
            const char *bytes = list.items[i].buf;
            for (size_t b = 0; b < BYTES; b++) {
                cr_assert_eq(bytes[b], '#', "round %d, item %zu, byte %zu", round, i, b);
            }
        }
        t_items_free(&list);
    }
    t_items_free(&put);
    close_rig(&r);
}

/* The end of a client ends its batches; the queue goes on with those of another. */
T_LIVE(client_queue, case_14_the_client_ends_first)
{
    rig r = open_rig(server);
    nkv_client *other = t_near_open_on(server);
    t_items lists[5];
    silence(&r, true);
    for (int i = 0; i < 4; i++) {
        lists[i] = t_items_new("k", 4);
        t_items_bufs(&lists[i], 1000);
        (void)submit_get(&r, &lists[i], &lists[i]);
    }
    lists[4] = t_items_new("new", 4);
    t_items_values(&lists[4], 3 << 20);
    nkv_ticket ticket = {.queue = r.queue, .ud = &lists[4]};
    cr_assert_eq(nkv_submit_put(r.client, lists[4].items, 4, 0, &ticket), NKV_OK);
    nkv_client_destroy(r.client);
    r.client = NULL;
    nkv_completion done[5];
    t_queue_take(r.queue, done, 5);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(done[i].status, NKV_ECLOSED, "%s", nkv_status_text(done[i].status));
        cr_assert_eq(strspn(t_items_text(done[i].ud), "X"), 4, "%s", t_items_text(done[i].ud));
    }
    t_items_reset(&lists[0]);
    cr_assert_eq(nkv_submit_get(other, lists[0].items, 4, &ticket), NKV_OK);
    cr_assert_eq(ticket.id, 6);
    cr_assert_eq(t_queue_next(r.queue).status, NKV_OK);
    for (int i = 0; i < 5; i++) {
        t_items_free(&lists[i]);
    }
    nkv_client_destroy(other);
    close_rig(&r);
}

/* Nothing is left of queues, used or not. */
T_LIVE(client_queue, case_14_nothing_is_left)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_new("k", 20);
    t_items_values(&list, 50000);
    for (int round = 0; round < 50; round++) {
        nkv_queue *queue = t_queue_new();
        nkv_queue *unused = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_submit_put(client, list.items, 20, 0, &ticket), NKV_OK);
        if (round % 3 == 0) {
            (void)t_queue_next(queue);
        } else if (round % 3 == 1) {
            nkv_queue_close(queue);
        }
        nkv_queue_destroy(queue);
        nkv_queue_destroy(unused);
    }
    nkv_client_destroy(client);
    t_items_free(&list);
    cr_assert_eq(t_fd_count(), fds, "%d more descriptors", t_fd_count() - fds);
    cr_assert_eq(t_thread_count(), threads);
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { SUBMITTERS = 4, EACH = 300, IDS = SUBMITTERS * EACH };

typedef struct shared {
    nkv_client *client;
    nkv_queue *queue;
    atomic_int seen[IDS + 1];
    atomic_int drained;
    atomic_int wrong;
} shared;

static void *submit_many(void *ud)
{
    shared *s = ud;
    t_items *lists = calloc(EACH, sizeof *lists);
    T_REQUIRE(lists != NULL);
    uint64_t last = 0;
    for (int i = 0; i < EACH; i++) {
        lists[i] = t_items_new("k", 4);
        nkv_ticket ticket = {.queue = s->queue};
        const nkv_status status = i % 2 == 0
                                      ? nkv_submit_get(s->client, lists[i].items, 4, &ticket)
                                      : nkv_submit_exists(s->client, lists[i].items, 4, &ticket);
        if (status != NKV_OK || ticket.id <= last || ticket.id > IDS) {
            atomic_fetch_add(&s->wrong, 1);
        }
        last = ticket.id;
        if (i % 16 == 0) {
            (void)nkv_queue_cancel(s->queue, ticket.id);
        }
    }
    T_WAIT_UNTIL(atomic_load(&s->drained) == IDS, 60000);
    for (int i = 0; i < EACH; i++) {
        t_items_free(&lists[i]);
    }
    free(lists);
    return NULL;
}

static void *drain_many(void *ud)
{
    shared *s = ud;
    while (atomic_load(&s->drained) < IDS) {
        nkv_completion done[7];
        const bool there = nkv_queue_wait(s->queue, 5) == NKV_OK;
        const size_t n = nkv_queue_drain(s->queue, done, there ? 7 : 1);
        for (size_t i = 0; i < n; i++) {
            const bool known = done[i].id >= 1 && done[i].id <= IDS;
            if (!known || (done[i].status != NKV_OK && done[i].status != NKV_ECANCELED)) {
                atomic_fetch_add(&s->wrong, 1);
            } else {
                atomic_fetch_add(&s->seen[done[i].id], 1);
            }
        }
        atomic_fetch_add(&s->drained, (int)n);
    }
    return NULL;
}

T_LIVE(client_queue, case_23_many_threads_on_one_queue)
{
    rig r = open_rig(server);
    static shared s;
    s = (shared){.client = r.client, .queue = r.queue};
    pthread_t threads[SUBMITTERS + 2];
    for (int i = 0; i < SUBMITTERS + 2; i++) {
        T_REQUIRE(
            pthread_create(&threads[i], NULL, i < SUBMITTERS ? submit_many : drain_many, &s) == 0);
    }
    for (int i = 0; i < SUBMITTERS + 2; i++) {
        T_REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    cr_assert_eq(atomic_load(&s.wrong), 0);
    for (int i = 1; i <= IDS; i++) {
        cr_assert_eq(atomic_load(&s.seen[i]), 1, "id %d came %d times", i, atomic_load(&s.seen[i]));
    }
    cr_assert_not(t_queue_readable(r.queue, 0));
    cr_assert_eq(nkv_queue_wait(r.queue, 0), NKV_NOT_FOUND);
    close_rig(&r);
}

/* From a callback, on the loop's own thread: submitting and draining are allowed. */
typedef struct inside {
    rig *r;
    nkv_status submitted;
    nkv_status waited;
    size_t drained;
    t_items other;
    atomic_bool done;
} inside;

static void submit_inside(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    inside *in = ud;
    nkv_ticket ticket = {.queue = in->r->queue};
    nkv_completion completion;
    (void)status;
    (void)call;
    nkv_value_release(value);
    in->drained = nkv_queue_drain(in->r->queue, &completion, 1);
    in->submitted = nkv_submit_get(in->r->client, in->r->list.items, 4, &ticket);
    in->waited = nkv_batch_get(in->r->client, in->other.items, 1, NULL);
    atomic_store(&in->done, true);
}

T_LIVE(client_queue, a_callback_may_submit_but_not_wait)
{
    rig r = open_rig(server);
    inside in = {.r = &r, .other = t_items_list("k0")};
    t_items_reset(&in.other);
    const nkv_str argv[] = {nkv_cstr("PING")};
    t_items_reset(&r.list);
    cr_assert_eq(nkv_command_async(r.client, 1, argv, NULL, submit_inside, &in), NKV_OK);
    T_WAIT_UNTIL(atomic_load(&in.done), 10000);
    cr_assert_eq(in.submitted, NKV_OK, "%s", nkv_status_text(in.submitted));
    cr_assert_eq(in.drained, 0);
    cr_assert_eq(in.waited, NKV_EDEADLK, "%s", nkv_status_text(in.waited));
    cr_assert(in.other.items[0].status < 0, "an item of a call that failed says otherwise");
    t_items_free(&in.other);
    const nkv_completion done = t_queue_next(r.queue);
    cr_assert(done.status == NKV_OK && done.found == 4);
    close_rig(&r);
}
