/* tests/unit/client/test_wrap_races.c - what is told, and what ends, while a connector's call is
 * under way: each race is a script with a call that stands still. */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "support/check.h"
#include "support/near.h"
#include "support/thread.h"
#include "support/toy_store.h"

enum { SOON_MS = 20000 };

TestSuite(client_wrap_races, .timeout = 60);

typedef struct rig {
    t_store *store;
    nkv_client *client;
    t_events *events;
} rig;

static rig start_with(nkv_options options, bool silent)
{
    rig r = {.store = t_store_new(), .events = t_events_new()};
    nkv_error error;
    options.on_event = t_events_take;
    options.on_event_ud = r.events;
    if (silent) {
        t_store_be_silent(r.store);
    }
    t_store_change(r.store, "k", "old");
    const nkv_connector table = t_store_table(r.store);
    cr_assert_eq(nkv_client_wrap(&table, &options, &r.client, &error), NKV_OK);
    return r;
}

static rig start(void)
{
    return start_with(t_near_options(NULL), false);
}

static void finish(rig *r)
{
    cr_assert(t_near_identity(r->client));
    nkv_client_destroy(r->client);
    t_events_free(r->events);
    t_store_free(r->store);
}

/* A read of k that has seen "old" and does not come back yet. */
static t_pending *read_stands(rig *r)
{
    t_store_hold(r->store, T_STORE_GET);
    t_pending *read = t_near_begin(r->client, "GET", "k");
    t_store_await(r->store, T_STORE_GET, 1);
    return read;
}

/* The read returns what it saw, and it was not kept: the next one asks and sees "new". */
static void old_is_not_kept(rig *r, t_pending *read)
{
    t_store_go(r->store);
    cr_assert(t_is(t_near_end(read), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r->client, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(r->client, "k"), NKV_FROM_CACHE, "new"));
    finish(r);
}

/* ---- Telling --------------------------------------------------------------------------------- */

Test(client_wrap_races, a_change_that_is_told_between_read_and_fill)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    t_store_change(r.store, "k", "new");
    t_store_tell(r.store, "k");
    cr_assert_eq(t_near_stats(r.client).invalidations, 1);
    old_is_not_kept(&r, read);
}

Test(client_wrap_races, a_change_of_another_key_does_not_matter)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    t_store_tell(r.store, "another");
    t_store_go(r.store);
    cr_assert(t_is(t_near_end(read), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "old"));
    finish(&r);
}

Test(client_wrap_races, a_change_that_is_told_after_the_fill)
{
    rig r = start();
    cr_assert(t_says(t_near_get(r.client, "k"), "old"));
    cr_assert(t_is(t_near(r.client, "EXISTS", "k"), NKV_FROM_SERVER, ":1"));
    t_store_change(r.store, "k", NULL);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "old"));
    t_store_tell(r.store, "k");
    cr_assert_eq(t_near_get(r.client, "k").status, NKV_NOT_FOUND);
    cr_assert(t_is(t_near(r.client, "EXISTS", "k"), NKV_FROM_SERVER, ":0"));
    t_store_change(r.store, "k", "new");
    t_store_tell(r.store, "k");
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "new"));
    finish(&r);
}

Test(client_wrap_races, a_flush_between_read_and_fill)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    t_store_change(r.store, "k", "new");
    nkv_voucher_flush(t_store_voucher(r.store), "all of it");
    old_is_not_kept(&r, read);
}

Test(client_wrap_races, a_read_that_saw_an_old_value_is_not_joined)
{
    rig r = start();
    t_pending *first = read_stands(&r);
    t_store_change(r.store, "k", "new");
    t_store_tell(r.store, "k");
    t_pending *second = t_near_begin(r.client, "GET", "k");
    t_store_await(r.store, T_STORE_GET, 2);
    t_store_go(r.store);
    cr_assert(t_is(t_near_end(first), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_end(second), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "new"));
    finish(&r);
}

/* Nobody has told yet: which of the two answers is newer cannot be known. */
Test(client_wrap_races, answers_that_contradict_each_other_are_not_kept)
{
    rig r = start();
    t_pending *first = read_stands(&r);
    t_store_change(r.store, "k", "new");
    cr_assert_eq(t_store_calls(r.store, T_STORE_GET), 1);
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER; /* asks for itself */
    t_pending *second = t_near_begin_with(r.client, &call, "GET", "k");
    t_store_await(r.store, T_STORE_GET, 2);
    t_store_go(r.store);
    cr_assert(t_says(t_near_end(first), "old"));
    cr_assert(t_says(t_near_end(second), "new"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "new"));
    finish(&r);
}

/* ---- Vouching -------------------------------------------------------------------------------- */

Test(client_wrap_races, the_end_of_vouching_between_read_and_fill)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    t_store_change(r.store, "k", "new"); /* never told */
    nkv_voucher_end(t_store_voucher(r.store), "lost");
    t_store_go(r.store);
    cr_assert(t_is(t_near_end(read), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "new"));
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_UNTRACKED], 2);
    finish(&r);
}

Test(client_wrap_races, an_end_and_a_begin_between_read_and_fill)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    t_store_change(r.store, "k", "new"); /* never told */
    nkv_voucher_end(t_store_voucher(r.store), NULL);
    nkv_voucher_begin(t_store_voucher(r.store));
    t_pending *second = t_near_begin(r.client, "GET", "k"); /* does not join the first */
    t_store_await(r.store, T_STORE_GET, 2);
    t_store_go(r.store);
    cr_assert(t_says(t_near_end(read), "old"));
    cr_assert(t_is(t_near_end(second), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "new"));
    finish(&r);
}

Test(client_wrap_races, nothing_is_cached_before_it_vouches)
{
    rig r = start_with(t_near_options(NULL), true);
    nkv_voucher *voucher = t_store_voucher(r.store);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(r.client, 10, &error), NKV_ETIMEDOUT);
    cr_assert_neq(strstr(error.text, "does not vouch for anything yet"), NULL, "%s", error.text);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_UNTRACKED], 2);
    cr_assert_str_eq(t_near_node(r.client).state, "untracked");
    cr_assert_not(t_near_healthy(r.client));
    nkv_voucher_heard(voucher); /* is no begin */
    nkv_voucher_invalidate(voucher, nkv_cstr("k"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    t_pending *read = read_stands(&r);
    nkv_voucher_begin(voucher);
    nkv_voucher_begin(voucher); /* the same once more */
    t_store_go(r.store);
    cr_assert(t_says(t_near_end(read), "old")); /* was asked before */
    cr_assert_eq(nkv_client_wait_ready(r.client, SOON_MS, NULL), NKV_OK);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "old"));
    cr_assert_str_eq(t_near_node(r.client).state, "armed");
    cr_assert(t_near_healthy(r.client));
    nkv_voucher_end(voucher, "the watch is lost");
    cr_assert_eq(nkv_client_wait_ready(r.client, 10, &error), NKV_ECONN);
    cr_assert_str_eq(error.text, "toy:store: the watch is lost");
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    nkv_voucher_begin(voucher);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "old"));
    cr_assert_eq(t_near_stats(r.client).reconnects, 1);
    finish(&r);
}

Test(client_wrap_races, a_silent_connector_is_not_believed)
{
    nkv_options options = t_near_options(NULL);
    options.max_idle_ms = 30;
    rig r = start_with(options, true);
    nkv_voucher *voucher = t_store_voucher(r.store);
    cr_assert_eq(nkv_voucher_max_idle_ms(voucher), 30);
    nkv_voucher_begin(voucher);
    cr_assert_geq(t_events_wait(r.events, 0, NKV_EVENT_ARMED, SOON_MS), 0);
    (void)t_near_get(r.client, "k");
    T_WAIT_UNTIL(!t_near_healthy(r.client), SOON_MS);
    const uint64_t before = t_near_stats(r.client).bypass[NKV_BYPASS_UNHEALTHY];
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_UNHEALTHY], before + 1);
    cr_assert_str_eq(t_near_node(r.client).state, "unhealthy");
    long at = t_events_wait(r.events, 0, NKV_EVENT_HEALTH, SOON_MS);
    while (t_events_at(r.events, (size_t)at).healthy) {
        at = t_events_wait(r.events, (size_t)at + 1, NKV_EVENT_HEALTH, SOON_MS);
    }
    cr_assert_neq(strstr(t_events_at(r.events, (size_t)at).text, "silent"), NULL);
    nkv_voucher_invalidate(voucher, nkv_cstr("x")); /* no sign of life */
    cr_assert_not(t_near_healthy(r.client));
    nkv_voucher_heard(voucher);
    at = t_events_wait(r.events, (size_t)at + 1, NKV_EVENT_HEALTH, SOON_MS);
    cr_assert_geq(at, 0);
    finish(&r);
}

Test(client_wrap_races, events_tell_what_happened_in_order)
{
    rig r = start_with(t_near_options(NULL), true);
    nkv_voucher *voucher = t_store_voucher(r.store);
    nkv_voucher_begin(voucher);
    char key[] = "some key";
    nkv_voucher_invalidate(voucher, nkv_cstr(key));
    memset(key, 'x', sizeof key - 1);
    nkv_voucher_flush(voucher, "somebody restored it");
    nkv_voucher_end(voucher, "inotify is gone");
    const long end = t_events_wait(r.events, 0, NKV_EVENT_DISARMED, SOON_MS);
    static const nkv_event_type wanted[] = {NKV_EVENT_ARMED, NKV_EVENT_HEALTH, NKV_EVENT_INVALIDATE,
                                            NKV_EVENT_FLUSH, NKV_EVENT_FLUSH,  NKV_EVENT_DISARMED};
    cr_assert_eq(end, 5);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(t_events_at(r.events, i).type, wanted[i], "event %zu", i);
        cr_assert_str_eq(t_events_at(r.events, i).node, "toy:store");
    }
    cr_assert_str_eq(t_events_at(r.events, 2).key, "some key");
    cr_assert_str_eq(t_events_at(r.events, 3).text, "somebody restored it");
    cr_assert_eq(t_events_at(r.events, 3).cause, NKV_FLUSH_SERVER);
    cr_assert_eq(t_events_at(r.events, 4).cause, NKV_FLUSH_CONNECTION);
    cr_assert_neq(strstr(t_events_at(r.events, 5).text, "inotify is gone"), NULL);
    finish(&r);
}

/* ---- Flights --------------------------------------------------------------------------------- */

Test(client_wrap_races, readers_of_one_key_are_one_call)
{
    rig r = start();
    t_pending *reads[6];
    reads[0] = read_stands(&r);
    for (int i = 1; i < 6; i++) {
        reads[i] = t_near_begin(r.client, "GET", "k");
    }
    t_pending *other = t_near_begin(r.client, "GET", "other");
    t_store_await(r.store, T_STORE_GET, 2);
    t_store_go(r.store);
    int joined = 0, cached = 0;
    for (int i = 0; i < 6; i++) {
        const t_answer got = t_near_end(reads[i]);
        cr_assert(t_says(got, "old"));
        joined += got.from == NKV_FROM_JOINED;
        cached += got.from == NKV_FROM_CACHE; /* a thread that came late */
    }
    cr_assert_eq(t_near_end(other).status, NKV_NOT_FOUND);
    cr_assert_eq(joined + cached, 5);
    cr_assert_eq(t_store_calls(r.store, T_STORE_GET), 2);
    finish(&r);
}

static t_pending *read_within(rig *r, int64_t timeout_ms)
{
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = timeout_ms;
    return t_near_begin_with(r->client, &call, "GET", "k");
}

Test(client_wrap_races, a_reader_leaves_at_its_deadline_and_others_stay)
{
    rig r = start();
    t_store_hold(r.store, T_STORE_GET);
    t_pending *hasty = read_within(&r, 100);
    t_store_await(r.store, T_STORE_GET, 1);
    t_pending *patient = t_near_begin(r.client, "GET", "k");
    const t_answer late = t_near_end(hasty);
    cr_assert_eq(late.status, NKV_ETIMEDOUT);
    cr_assert_geq(late.took_ms, 100);
    t_store_go(r.store);
    cr_assert(t_says(t_near_end(patient), "old"));
    cr_assert_eq(t_store_calls(r.store, T_STORE_GET), 1);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_CACHE, "old"));
    finish(&r);
}

/* The connector is told a deadline that suits whoever may join; who is more patient asks anew. */
Test(client_wrap_races, a_very_patient_reader_does_not_join)
{
    nkv_options options = t_near_options(NULL);
    options.timeout_ms = 1000;
    rig r = start_with(options, false);
    const int64_t before_ns = t_now_ns();
    t_store_hold(r.store, T_STORE_GET);
    t_pending *first = read_within(&r, 1000);
    t_store_await(r.store, T_STORE_GET, 1);
    const int64_t deadline_ns = t_store_deadline_ns(r.store);
    cr_assert_geq(deadline_ns - before_ns, INT64_C(2000000000));
    cr_assert_lt(deadline_ns - before_ns, INT64_C(20000000000));
    t_pending *patient = read_within(&r, 3600000);
    t_store_await(r.store, T_STORE_GET, 2);
    t_store_go(r.store);
    (void)t_near_end(first);
    cr_assert(t_is(t_near_end(patient), NKV_FROM_SERVER, "old"));
    finish(&r);
}

Test(client_wrap_races, a_connector_that_never_comes_back_hangs_nobody)
{
    nkv_options options = t_near_options(NULL);
    options.timeout_ms = 200;
    options.bulk_connections = 1;
    rig r = start_with(options, false);
    t_store_hold(r.store, T_STORE_GET);
    const nkv_str keys[] = {nkv_cstr("k"), nkv_cstr("b")};
    nkv_result results[2];
    cr_assert_eq(nkv_mget(r.client, keys, 2, NULL, results), NKV_ETIMEDOUT);
    cr_assert(t_failed(t_near_get(r.client, "c"), NKV_ETIMEDOUT, "deadline")); /* was not begun */
    cr_assert_eq(nkv_set(r.client, nkv_cstr("k"), nkv_cstr("w"), 0, NULL), NKV_ETIMEDOUT);
    cr_assert(t_failed(t_near_get_at(r.client, "k", NKV_BARRIER), NKV_ETIMEDOUT, ""));
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS);
    t_store_go(r.store);
    T_WAIT_UNTIL(t_near_get(r.client, "k").status == NKV_OK, SOON_MS);
    cr_assert_eq(t_store_calls(r.store, T_STORE_PUT), 0); /* its deadline had passed in the queue */
    finish(&r);
}

/* ---- Own writes ------------------------------------------------------------------------------ */

Test(client_wrap_races, a_write_during_a_read_keeps_it_out)
{
    rig r = start();
    t_pending *read = read_stands(&r);
    cr_assert_eq(nkv_set(r.client, nkv_cstr("k"), nkv_cstr("new"), 0, NULL), NKV_OK);
    old_is_not_kept(&r, read);
}

Test(client_wrap_races, a_read_during_a_write_is_not_kept)
{
    rig r = start();
    t_store_hold_first(r.store, T_STORE_PUT);
    t_pending *write = t_near_begin(r.client, "SET", "k", "new");
    t_store_await(r.store, T_STORE_PUT, 1);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    t_store_go(r.store);
    cr_assert(t_says(t_near_end(write), "+OK"));
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "new"));
    finish(&r);
}

/* The call has ended, its put has not: the fence stays up until it has, because nobody will tell of
 * a change that put made before it returned. */
Test(client_wrap_races, a_write_that_timed_out_keeps_reads_out_until_it_is_over)
{
    rig r = start();
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 300;
    t_store_hold_first(r.store, T_STORE_PUT);
    cr_assert_eq(nkv_set(r.client, nkv_cstr("k"), nkv_cstr("new"), 0, &call), NKV_ETIMEDOUT);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS); /* the keeper has ended it, too */
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "old"));
    t_store_go(r.store);
    T_WAIT_UNTIL(t_store_has(r.store, "k", "new"), SOON_MS);
    t_answer got;
    do {
        got = t_near_get(r.client, "k");
        cr_assert(t_says(got, "new"));
    } while (got.from != NKV_FROM_CACHE);
    finish(&r);
}

/* ---- The end --------------------------------------------------------------------------------- */

typedef struct ending {
    nkv_client *client;
    atomic_int ended;
    pthread_t thread;
} ending;

static void *destroy(void *ud)
{
    ending *e = ud;
    nkv_client_destroy(e->client);
    atomic_store(&e->ended, 1);
    return NULL;
}

static void end_while(t_store_kind kind)
{
    rig r = start();
    t_store_hold_first(r.store, kind);
    t_pending *call = kind == T_STORE_PUT ? t_near_begin(r.client, "SET", "k", "v")
                                          : t_near_begin(r.client, "GET", "k");
    t_store_await(r.store, kind, 1);
    ending e = {.client = r.client};
    t_thread_start(&e.thread, destroy, &e);
    cr_assert_eq(t_near_end(call).status, NKV_ECLOSED); /* at once */
    cr_assert_eq(t_store_opened(r.store), 1);
    cr_assert_eq(atomic_load(&e.ended), 0);
    t_store_go(r.store);
    cr_assert_eq(pthread_join(e.thread, NULL), 0);
    cr_assert_eq(t_store_opened(r.store), 0);
    t_events_free(r.events);
    t_store_free(r.store);
}

Test(client_wrap_races, destroy_waits_for_a_get_and_its_callers_do_not)
{
    end_while(T_STORE_GET);
}

Test(client_wrap_races, destroy_waits_for_a_put_and_its_callers_do_not)
{
    end_while(T_STORE_PUT);
}

Test(client_wrap_races, destroy_with_calls_that_did_not_begin)
{
    nkv_options options = t_near_options(NULL);
    options.bulk_connections = 1;
    rig r = start_with(options, false);
    t_pending *first = read_stands(&r);
    t_pending *waiting[3];
    for (int i = 0; i < 3; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "w%d", i);
        waiting[i] = t_near_begin(r.client, "GET", key);
    }
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 4, SOON_MS);
    ending e = {.client = r.client};
    t_thread_start(&e.thread, destroy, &e);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(t_near_end(waiting[i]).status, NKV_ECLOSED);
    }
    cr_assert_eq(t_near_end(first).status, NKV_ECLOSED);
    t_store_go(r.store);
    cr_assert_eq(pthread_join(e.thread, NULL), 0);
    cr_assert_eq(t_store_calls(r.store, T_STORE_GET), 1);
    t_events_free(r.events);
    t_store_free(r.store);
}

/* What is told while the client ends does no harm. */
static void *tell_on(void *ud)
{
    rig *r = ud;
    while (t_store_opened(r->store) > 0) {
        nkv_voucher *voucher = t_store_voucher(r->store);
        if (voucher != NULL) {
            nkv_voucher_end(voucher, "and");
            nkv_voucher_begin(voucher);
            nkv_voucher_invalidate(voucher, nkv_cstr("k"));
            nkv_voucher_heard(voucher);
        }
        if (t_store_calls(r->store, T_STORE_PING) > 0) {
            break; /* the test's sign that close() comes */
        }
    }
    return NULL;
}

Test(client_wrap_races, telling_until_the_very_end)
{
    rig r = start();
    pthread_t teller;
    t_thread_start(&teller, tell_on, &r);
    for (int i = 0; i < 200; i++) {
        (void)t_near_get(r.client, "k");
    }
    cr_assert(t_says(t_near(r.client, "PING"), "+PONG"));
    cr_assert_eq(pthread_join(teller, NULL), 0);
    finish(&r);
}
