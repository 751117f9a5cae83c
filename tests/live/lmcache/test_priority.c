/* tests/live/lmcache/test_priority.c - lookups behind large puts: LMCache's behaviour 20. */
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

enum { PUTS = 500, BYTES = 512 << 10 };

/* 500 puts of half a MiB, a batch each, then one question: its place among the completions. */
typedef struct jam {
    t_items puts; /* they share one value */
    nkv_queue *queue;
    char *value;
} jam;

static jam start_jam(t_lm *lm, bool one_batch)
{
    jam j = {.puts = t_items_new("put", PUTS), .queue = t_queue_new(), .value = malloc(BYTES)};
    T_REQUIRE(j.value != NULL);
    memset(j.value, 'p', BYTES);
    for (size_t i = 0; i < PUTS; i++) {
        j.puts.items[i].value = nkv_str_make(j.value, BYTES);
    }
    nkv_ticket ticket = {.queue = j.queue};
    for (size_t i = 0; i < (one_batch ? 1 : PUTS); i++) {
        cr_assert_eq(
            nkv_lmcache_submit_put(lm->lm, &j.puts.items[i], one_batch ? PUTS : 1, &ticket),
            NKV_OK);
    }
    return j;
}

/* Drains until the completion of `id`; how many came before it. */
static size_t place_of(jam *j, uint64_t id, nkv_completion *found)
{
    for (size_t before = 0;; before++) {
        const nkv_completion done = t_queue_next(j->queue);
        if (done.id == id) {
            *found = done;
            return before;
        }
        cr_assert_eq(done.status, NKV_OK, "%s", done.error.text);
    }
}

static void end_jam(jam *j, size_t left)
{
    for (size_t i = 0; i < left; i++) {
        const nkv_completion done = t_queue_next(j->queue);
        cr_assert_eq(done.status, NKV_OK, "%s", done.error.text);
    }
    cr_assert_eq(nkv_queue_wait(j->queue, 0), NKV_NOT_FOUND);
    nkv_queue_destroy(j->queue);
    free(j->value);
    t_items_free(&j->puts);
}

/* Payloads that the server has when the question is answered: one MSET asks what it takes; the
 * others are SET, and their metadata comes behind all of them. */
static long long puts_done(t_lm *lm)
{
    return t_ctl_calls(lm->ctl, "mset") + t_ctl_calls(lm->ctl, "set");
}

static void check_contains(t_lm *lm)
{
    t_items list = t_items_list("there none");
    t_lm_chunks(lm, "there", 10);
    t_ctl_ok(lm->ctl, "CONFIG", "RESETSTAT");
    jam j = start_jam(lm, false);
    nkv_ticket ticket = {.queue = j.queue};
    cr_assert_eq(nkv_lmcache_submit_contains(lm->lm, list.items, 2, &ticket), NKV_OK);
    nkv_completion done;
    const size_t before = place_of(&j, ticket.id, &done);
    cr_assert(done.status == NKV_OK && done.prefix == 1, "%s", lm->name);
    cr_assert_lt(before, PUTS / 2, "%s: behind %zu of %d puts", lm->name, before, PUTS);
    end_jam(&j, PUTS - before);
    t_items_free(&list);
}

T_LIVE(lmcache_priority, case_20_contains_overtakes_500_puts)
{
    t_lm_each(server, check_contains);
}

static void check_contains_one_batch(t_lm *lm)
{
    t_items list = t_items_list("there none");
    t_lm_chunks(lm, "there", 10);
    t_ctl_ok(lm->ctl, "CONFIG", "RESETSTAT");
    jam j = start_jam(lm, true);
    cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 2, NULL), NKV_OK);
    const long long puts = puts_done(lm);
    cr_assert_str_eq(t_items_text(&list), "+-", "%s", lm->name);
    cr_assert_lt(puts, PUTS / 2, "%s: behind %lld of %d puts", lm->name, puts, PUTS);
    end_jam(&j, 1);
    t_items_free(&list);
}

T_LIVE(lmcache_priority, case_20_contains_overtakes_one_batch_of_500_puts)
{
    t_lm_each(server, check_contains_one_batch);
}

/* The same for EXISTS and for a small get, which has to share the bulk lanes with the puts. */
static void check_exists(t_lm *lm)
{
    t_items list = t_items_list("other");
    t_ctl_ok(lm->ctl, "SET", "other", "x");
    jam j = start_jam(lm, false);
    nkv_ticket ticket = {.queue = j.queue};
    cr_assert_eq(nkv_submit_exists(lm->client, list.items, 1, &ticket), NKV_OK);
    nkv_completion done;
    const size_t exists_before = place_of(&j, ticket.id, &done);
    cr_assert_eq(done.status, NKV_OK);
    cr_assert_lt(exists_before, PUTS / 2, "EXISTS behind %zu of %d puts", exists_before, PUTS);
    end_jam(&j, PUTS - exists_before);
    t_ctl_ok(lm->ctl, "FLUSHALL");
    t_ctl_ok(lm->ctl, "SET", "other", "x");
    j = start_jam(lm, false);
    nkv_call call;
    nkv_call_init(&call);
    call.priority = NKV_PRIORITY_PEEK;
    ticket = (nkv_ticket){.queue = j.queue, .call = &call};
    cr_assert_eq(nkv_submit_get(lm->client, list.items, 1, &ticket), NKV_OK);
    const size_t get_before = place_of(&j, ticket.id, &done);
    cr_assert(done.status == NKV_OK && list.items[0].len == 1);
    cr_assert_lt(get_before, PUTS / 2, "GET behind %zu of %d puts", get_before, PUTS);
    end_jam(&j, PUTS - get_before);
    t_items_free(&list);
}

T_LIVE(lmcache_priority, case_20_exists_and_a_get_overtake_puts_on_their_lanes)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    check_exists(&lm);
    t_lm_close(&lm);
}
