/* tests/fake/client/test_reads.c - reads for which nobody waits (client/read_async.c), on a played
 * server: every read has its result, and done() is called once, whatever happens when. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"
#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/reads.h"
#include "support/thread.h"

enum { SOON_MS = 10000, LONG_MS = 60000 };

static const char push_a[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";

typedef struct rig {
    t_fake *fake;
    nkv_client *client;
    int conn; /* of the tracked lane */
} rig;

/* Every key is "v", and does not expire. */
static rig rig_with(nkv_options *options)
{
    rig r = {.fake = t_fake_start(NULL)};
    t_fake_on(r.fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(r.fake, ":-1\r\n", "PTTL", "*");
    options->url = t_fake_url(r.fake);
    r.client = t_near_open(options);
    long at = t_fake_find(r.fake, 0, "CLIENT", "TRACKING", "ON");
    r.conn = at < 0 ? 0 : t_fake_command_at(r.fake, (size_t)at).conn;
    return r;
}

static rig rig_open(void)
{
    nkv_options options = t_near_options(NULL);
    return rig_with(&options);
}

/* Nobody is left inside, and what was read adds up. */
static void rig_close(rig *r)
{
    cr_assert(t_near_identity(r->client));
    cr_assert_eq(atomic_load(&r->client->active), 0);
    nkv_client_destroy(r->client);
    t_fake_stop(r->fake);
}

static void read_now(t_reads *reads)
{
    t_reads_start(reads, LONG_MS);
    t_reads_wait(reads);
}

static void check_text(t_reads *reads, const char *text)
{
    cr_assert_str_eq(t_reads_text(reads), text);
}

/* ---- Answers --------------------------------------------------------------------------------- */

Test(client_reads, any_number_is_asked_once_and_then_hit, .timeout = 60)
{
    static const size_t counts[] = {1, 7, 8, 9, 64, 65, 300, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        rig r = rig_open();
        t_reads *reads = t_reads_many(r.client, "k", counts[i]);
        read_now(reads);
        cr_assert(t_reads_all_from(reads, NKV_FROM_SERVER), "%zu reads", counts[i]);
        cr_assert_eq(reads->first, NKV_OK);
        cr_assert_eq(t_fake_hits(r.fake, "GET", "*"), counts[i]);
        const size_t asked = t_fake_count(r.fake);
        t_reads_start(reads, LONG_MS);
        cr_assert(t_reads_is_done(reads), "a hit waits for nobody");
        cr_assert(pthread_equal(reads->thread, pthread_self()));
        cr_assert(t_reads_all_from(reads, NKV_FROM_CACHE), "%zu reads", counts[i]);
        const nkv_stats stats = t_near_stats(r.client);
        cr_assert_eq(stats.hits, counts[i], "counted once");
        cr_assert_eq(stats.misses, counts[i]);
        cr_assert_eq(stats.reads, 2 * counts[i]);
        cr_assert_eq(t_fake_count(r.fake), asked);
        t_reads_free(reads);
        rig_close(&r);
    }
}

Test(client_reads, none_at_all_is_done_at_once, .timeout = 30)
{
    rig r = rig_open();
    t_reads *reads = t_reads_many(r.client, "k", 0);
    t_reads_start(reads, LONG_MS);
    cr_assert(t_reads_is_done(reads));
    cr_assert_eq(reads->first, NKV_OK);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, hits_holes_and_duplicates_keep_their_places, .timeout = 30)
{
    rig r = rig_open();
    t_fake_on(r.fake, "_\r\n", "GET", "none");
    cr_assert(t_says(t_near_get(r.client, "hot"), "v"));
    t_reads *reads = t_reads_of(r.client, "a", "hot", "none", "a", "hot", "b", "none");
    read_now(reads);
    check_text(reads, "v/server v/cache _/server v/joined v/cache v/server _/joined");
    cr_assert_eq(t_fake_hits(r.fake, "GET", "a"), 1);
    read_now(reads);
    check_text(reads, "v/cache v/cache _/cache v/cache v/cache v/cache _/cache");
    t_reads_free(reads);
    rig_close(&r);
}

static atomic_long allocations;
static _Atomic bool counting;
static pthread_t counted;

static bool gate(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    if (atomic_load(&counting) && pthread_equal(counted, pthread_self())) {
        atomic_fetch_add(&allocations, 1);
    }
    return true;
}

Test(client_reads, hits_allocate_nothing, .timeout = 30)
{
    nkvi_mem_set_gate(gate, NULL);
    rig r = rig_open();
    t_reads *reads = t_reads_many(r.client, "k", 300);
    read_now(reads);
    counted = pthread_self();
    atomic_store(&counting, true);
    t_reads_start(reads, LONG_MS);
    atomic_store(&counting, false);
    cr_assert(t_reads_all_from(reads, NKV_FROM_CACHE));
    cr_assert_eq(atomic_load(&allocations), 0);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, a_failure_is_of_its_key_alone, .timeout = 30)
{
    rig r = rig_open();
    t_fake_on(r.fake, "-WRONGTYPE a list\r\n", "GET", "list");
    t_fake_on(r.fake, "-LOADING later\r\n", "GET", "slow");
    t_reads *reads = t_reads_of(r.client, "a", "slow", "list", "b");
    read_now(reads);
    check_text(reads, "v/server !reply !reply v/server");
    cr_assert_eq(reads->first, NKV_EREPLY);
    cr_assert_str_eq(reads->error.text, "LOADING later");
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, without_a_cache_they_are_bypasses, .timeout = 30)
{
    nkv_options options = t_near_options(NULL);
    options.no_cache = 1;
    rig r = rig_with(&options);
    t_reads *reads = t_reads_many(r.client, "k", 20);
    read_now(reads);
    read_now(reads);
    cr_assert(t_reads_all_from(reads, NKV_FROM_SERVER));
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_DISABLED], 40);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, confidence_has_hits_asked_again, .timeout = 30)
{
    nkv_options options = t_near_options(NULL);
    options.cache_options.confidence = 50;
    rig r = rig_with(&options);
    t_reads *reads = t_reads_many(r.client, "k", 200);
    read_now(reads);
    read_now(reads);
    const nkv_stats stats = t_near_stats(r.client);
    cr_assert_eq(stats.hits, 200);
    cr_assert(stats.validations > 50 && stats.validations < 150, "%llu",
              (unsigned long long)stats.validations);
    cr_assert_eq(t_fake_hits(r.fake, "GET", "*"), 200 + stats.validations);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, a_full_queue_is_told, .timeout = 30)
{
    nkv_options options = t_near_options(NULL);
    options.inflight_max = 1;
    rig r = rig_with(&options);
    t_fake_on(r.fake, "", "GET", "stuck");
    t_reads *stuck = t_reads_of(r.client, "stuck");
    t_reads_start(stuck, LONG_MS);
    t_reads *reads = t_reads_of(r.client, "a", "stuck");
    t_reads_start(reads, LONG_MS);
    t_reads_cancel(reads); /* the second has joined, and would wait */
    t_reads_wait(reads);
    check_text(reads, "!busy !canceled");
    cr_assert_eq(reads->first, NKV_EBUSY);
    t_reads_cancel(stuck);
    t_reads_free(stuck);
    t_reads_free(reads);
    rig_close(&r);
}

/* ---- done() ---------------------------------------------------------------------------------- */

typedef struct chain {
    t_reads *reads[2]; /* in turn */
    int left, depth, deepest, ended;
} chain;

static void next_of_chain(t_reads *reads)
{
    chain *c = reads->ud;
    c->deepest = ++c->depth > c->deepest ? c->depth : c->deepest;
    if (c->left > 0) {
        t_reads_start(c->reads[--c->left % 2], LONG_MS);
    }
    c->depth--;
    c->ended++;
}

/* Each done() starts the next, which is a hit: the stack does not grow with them. */
Test(client_reads, done_may_start_reads_that_are_hits_without_end, .timeout = 60)
{
    enum { LINKS = 200000 };
    rig r = rig_open();
    cr_assert(t_says(t_near_get(r.client, "a"), "v"));
    chain c = {.left = LINKS};
    for (int i = 0; i < 2; i++) {
        c.reads[i] = t_reads_of(r.client, "a");
        c.reads[i]->then = next_of_chain;
        c.reads[i]->ud = &c;
    }
    t_reads_start(c.reads[0], LONG_MS);
    cr_assert_eq(c.ended, LINKS + 1);
    cr_assert_eq(c.deepest, 1);
    t_reads_free(c.reads[0]);
    t_reads_free(c.reads[1]);
    rig_close(&r);
}

static void start_ud(t_reads *reads)
{
    t_reads_start(reads->ud, LONG_MS);
}

/* The same where they are not hits, from the loop's thread. */
Test(client_reads, done_may_start_reads_that_are_asked, .timeout = 30)
{
    rig r = rig_open();
    t_reads *second = t_reads_of(r.client, "b", "c");
    t_reads *first = t_reads_of(r.client, "a");
    first->then = start_ud;
    first->ud = second;
    read_now(first);
    t_reads_wait(second);
    check_text(second, "v/server v/server");
    t_reads_free(first);
    t_reads_free(second);
    rig_close(&r);
}

static void start_on_loop(void *ud)
{
    t_reads_start(ud, LONG_MS);
}

Test(client_reads, the_loops_own_thread_may_start_them_at_any_level, .timeout = 30)
{
    static const nkv_level levels[] = {NKV_EVENTUAL, NKV_DRAIN, NKV_BARRIER};
    rig r = rig_open();
    t_reads *reads = t_reads_of(r.client, "a", "b");
    read_now(reads);
    for (size_t i = 0; i < 3; i++) {
        reads->call.level = levels[i];
        nkvi_loop_call(r.client->loop, start_on_loop, reads);
        t_reads_wait(reads);
        check_text(reads, "v/cache v/cache");
    }
    t_reads_free(reads);
    rig_close(&r);
}

/* ---- A lane is lost -------------------------------------------------------------------------- */

Test(client_reads, what_a_lost_lane_did_not_answer_is_asked_on_the_data_lane, .timeout = 30)
{
    static const t_step cut[] = {
        T_EXPECT("GET", "a"), T_EXPECT("PTTL", "a"), T_SEND("$1\r\nv\r\n:-1\r\n"),
        T_EXPECT("GET", "b"), T_HANG_UP(),
    };
    rig r = rig_open();
    t_fake_script(r.fake, r.conn, cut, T_STEPS(cut));
    t_reads *reads = t_reads_of(r.client, "a", "b", "c", "b");
    read_now(reads);
    check_text(reads, "v/server v/server v/server v/server");
    cr_assert_eq(reads->first, NKV_OK);
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_UNTRACKED], 3);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, without_any_lane_they_fail, .timeout = 30)
{
    nkv_options options = t_near_options(NULL);
    options.backoff_min_ms = options.backoff_max_ms = 10000;
    rig r = rig_with(&options);
    t_reads *reads = t_reads_of(r.client, "a", "b");
    t_fake_refuse(r.fake, true);
    t_fake_close(r.fake, T_EVERY, false);
    T_WAIT_UNTIL(!t_near_healthy(r.client), SOON_MS);
    read_now(reads);
    check_text(reads, "!conn !conn");
    t_reads_free(reads);
    rig_close(&r);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

static const t_step one_of_three[] = {T_EXPECT("GET", "a"), T_EXPECT("PTTL", "a"),
                                      T_SEND("$1\r\nv\r\n:-1\r\n"), T_SYNC("one")};

Test(client_reads, what_is_late_times_out_and_the_rest_is_answered, .timeout = 30)
{
    rig r = rig_open();
    cr_assert(t_says(t_near_get(r.client, "hot"), "v"));
    t_fake_script(r.fake, r.conn, one_of_three, T_STEPS(one_of_three));
    t_reads *reads = t_reads_of(r.client, "a", "hot", "b", "c");
    const int64_t begin_ms = t_now_ms();
    t_reads_start(reads, 100);
    t_reads_wait(reads);
    cr_assert_geq(t_now_ms() - begin_ms, 99);
    check_text(reads, "v/server v/cache !timedout !timedout");
    cr_assert_eq(reads->first, NKV_ETIMEDOUT);
    cr_assert_not_null(strstr(reads->error.text, "deadline"), "%s", reads->error.text);
    t_fake_go(r.fake, r.conn, "one");
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS);
    read_now(reads); /* the late answers were kept */
    check_text(reads, "v/cache v/cache v/cache v/cache");
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, each_has_its_own_deadline, .timeout = 30)
{
    static const t_step stuck[] = {T_EXPECT("GET", "a"), T_SYNC("stuck"), T_SEND("$1\r\nv\r\n")};
    rig r = rig_open();
    t_fake_script(r.fake, r.conn, stuck, T_STEPS(stuck));
    t_reads *patient = t_reads_of(r.client, "a", "b");
    t_reads *hasty = t_reads_of(r.client, "b", "a");
    t_reads_start(patient, LONG_MS);
    t_reads_start(hasty, 1);
    t_reads_wait(hasty);
    check_text(hasty, "!timedout !timedout");
    cr_assert_not(t_reads_is_done(patient));
    t_fake_go(r.fake, r.conn, "stuck");
    t_reads_wait(patient);
    check_text(patient, "v/server v/server");
    t_reads_free(patient);
    t_reads_free(hasty);
    rig_close(&r);
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

static void *cancel_in_thread(void *ud)
{
    t_reads_cancel(ud);
    return NULL;
}

static void cancel_elsewhere(t_reads *reads)
{
    pthread_t thread;
    t_thread_start(&thread, cancel_in_thread, reads);
    (void)pthread_join(thread, NULL);
}

Test(client_reads, cancelled_before_they_were_started_they_end_when_they_are, .timeout = 30)
{
    static const nkv_level levels[] = {NKV_EVENTUAL, NKV_DRAIN, NKV_BARRIER};
    rig r = rig_open();
    cr_assert(t_says(t_near_get(r.client, "a"), "v"));
    const size_t asked = t_fake_count(r.fake);
    for (size_t i = 0; i < 3; i++) {
        t_reads *reads = t_reads_of(r.client, "a", "b");
        reads->call.level = levels[i];
        cancel_elsewhere(reads);
        t_reads_start(reads, LONG_MS);
        cr_assert(t_reads_is_done(reads));
        check_text(reads, i == 0 ? "v/cache !canceled" : "!canceled !canceled");
        cr_assert_eq(reads->first, NKV_ECANCELED);
        t_reads_free(reads);
    }
    cr_assert_eq(t_fake_count(r.fake), asked, "nothing is asked");
    rig_close(&r);
}

Test(client_reads, cancelled_between_answers_some_are_answered, .timeout = 30)
{
    rig r = rig_open();
    t_fake_script(r.fake, r.conn, one_of_three, T_STEPS(one_of_three));
    t_reads *reads = t_reads_of(r.client, "a", "b", "c");
    t_reads_start(reads, LONG_MS);
    cr_assert(t_says(t_near_get(r.client, "a"), "v"));
    nkvi_loop_flush(r.client->loop); /* everybody who asked for a has it */
    cancel_elsewhere(reads);
    cr_assert(t_reads_is_done(reads), "who cancels ends what nobody else does");
    check_text(reads, "v/server !canceled !canceled");
    cr_assert_eq(reads->first, NKV_ECANCELED);
    t_reads_cancel(reads);
    cancel_elsewhere(reads);
    t_fake_go(r.fake, r.conn, "one");
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS);
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, cancelled_behind_the_answers_nothing_happens, .timeout = 30)
{
    rig r = rig_open();
    t_reads *reads = t_reads_of(r.client, "a", "b");
    read_now(reads);
    cancel_elsewhere(reads);
    check_text(reads, "v/server v/server");
    cr_assert_eq(atomic_load(&reads->done), 1);
    t_reads_free(reads);
    rig_close(&r);
}

/* Those who joined the same questions are not disturbed. */
Test(client_reads, a_cancel_is_nobody_elses, .timeout = 30)
{
    static const t_step stuck[] = {T_EXPECT("GET", "a"), T_SYNC("stuck"), T_SEND("$1\r\nv\r\n")};
    rig r = rig_open();
    t_fake_script(r.fake, r.conn, stuck, T_STEPS(stuck));
    t_reads *first = t_reads_of(r.client, "a", "b");
    t_reads *second = t_reads_of(r.client, "b", "a", "b");
    t_reads_start(first, LONG_MS);
    t_reads_start(second, LONG_MS);
    t_pending *third = t_near_begin(r.client, "GET", "b");
    t_reads_cancel(first);
    check_text(first, "!canceled !canceled");
    t_fake_go(r.fake, r.conn, "stuck");
    t_reads_wait(second);
    check_text(second, "v/joined v/joined v/joined");
    cr_assert(t_says(t_near_end(third), "v"));
    t_reads_free(first);
    t_reads_free(second);
    rig_close(&r);
}

static void cancel_ud(t_reads *reads)
{
    t_reads_cancel(reads->ud);
    t_reads_cancel(reads); /* its end has begun: nothing */
}

/* One of its answers is being handed out when it is cancelled: that one still counts. */
Test(client_reads, cancelled_while_it_is_woken, .timeout = 30)
{
    static const t_step stuck[] = {T_EXPECT("GET", "a"),  T_SYNC("stuck"),   T_SEND("$1\r\nv\r\n"),
                                   T_EXPECT("PTTL", "a"), T_SEND(":-1\r\n"), T_SYNC("b")};
    rig r = rig_open();
    t_fake_script(r.fake, r.conn, stuck, T_STEPS(stuck));
    t_reads *both = t_reads_of(r.client, "a", "b");
    t_reads *one = t_reads_of(r.client, "a");
    one->then = cancel_ud;
    one->ud = both;
    t_reads_start(both, LONG_MS);
    t_reads_start(one, LONG_MS); /* joins, and is told first */
    t_fake_go(r.fake, r.conn, "stuck");
    t_reads_wait(one);
    t_reads_wait(both);
    check_text(one, "v/joined");
    check_text(both, "v/server !canceled");
    t_fake_go(r.fake, r.conn, "b");
    T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS);
    t_reads_free(one);
    t_reads_free(both);
    rig_close(&r);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

Test(client_reads, a_barrier_is_one_ping_and_then_hits, .timeout = 30)
{
    rig r = rig_open();
    t_reads *reads = t_reads_many(r.client, "k", 100);
    reads->call.level = NKV_BARRIER;
    read_now(reads);
    cr_assert(t_reads_all_from(reads, NKV_FROM_SERVER));
    cr_assert_eq(t_near_stats(r.client).barriers, 0, "what is asked needs none");
    read_now(reads);
    cr_assert(t_reads_all_from(reads, NKV_FROM_CACHE));
    cr_assert_eq(t_near_stats(r.client).barriers, 1);
    cr_assert_eq(t_near_stats(r.client).hits, 100);
    t_reads_free(reads);
    rig_close(&r);
}

/* a was pushed ahead of the PONG: it is asked again; b is served. */
static void check_push(nkv_level level)
{
    static const t_step pong[] = {T_EXPECT("PING"), T_SYNC("ping"), T_SEND("+PONG\r\n")};
    rig r = rig_open();
    t_reads *reads = t_reads_of(r.client, "a", "b");
    read_now(reads);
    t_fake_on(r.fake, "$1\r\nw\r\n", "GET", "*");
    reads->call.level = level;
    if (level == NKV_BARRIER) {
        t_fake_script(r.fake, r.conn, pong, T_STEPS(pong));
        t_reads_start(reads, LONG_MS);
        cr_assert(t_fake_wait_sync(r.fake, r.conn, "ping", SOON_MS));
        cr_assert_not(t_reads_is_done(reads));
        t_fake_send(r.fake, r.conn, push_a, sizeof push_a - 1);
        t_fake_go(r.fake, r.conn, "ping");
    } else {
        const nkv_stats before = t_near_stats(r.client);
        t_fake_send(r.fake, r.conn, push_a, sizeof push_a - 1);
        T_WAIT_UNTIL(t_near_stats(r.client).invalidations > before.invalidations, SOON_MS);
        t_reads_start(reads, LONG_MS);
    }
    t_reads_wait(reads);
    check_text(reads, "w/server v/cache");
    t_reads_free(reads);
    rig_close(&r);
}

Test(client_reads, a_push_ahead_of_the_pong_is_heeded, .timeout = 30)
{
    check_push(NKV_BARRIER);
}

Test(client_reads, drained_hits_are_served_and_the_rest_is_asked, .timeout = 30)
{
    check_push(NKV_DRAIN);
}

Test(client_reads, a_peer_that_cannot_settle_is_not_believed, .timeout = 30)
{
    static const t_step cut[] = {T_EXPECT("PING"), T_HANG_UP()};
    rig r = rig_open();
    t_reads *reads = t_reads_of(r.client, "a", "b", "a");
    read_now(reads);
    t_fake_on(r.fake, "$1\r\nw\r\n", "GET", "*");
    t_fake_script(r.fake, r.conn, cut, T_STEPS(cut));
    reads->call.level = NKV_BARRIER;
    read_now(reads);
    check_text(reads, "w/server w/server w/server");
    cr_assert_eq(t_near_stats(r.client).bypass[NKV_BYPASS_UNTRACKED], 3);
    t_reads_free(reads);
    rig_close(&r);
}

/* A barrier that does not end in time leaves nothing that may be believed. */
Test(client_reads, a_barrier_that_is_late_or_cancelled_ends_all, .timeout = 30)
{
    static const t_step stuck[] = {T_EXPECT("PING"), T_SYNC("ping"), T_SEND("+PONG\r\n")};
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        rig r = rig_open();
        t_reads *reads = t_reads_of(r.client, "a", "b");
        read_now(reads);
        t_fake_script(r.fake, r.conn, stuck, T_STEPS(stuck));
        t_reads *more = t_reads_of(r.client, "a", "new", "b");
        more->call.level = NKV_BARRIER;
        t_reads_start(more, cancelled ? LONG_MS : 100);
        if (cancelled) {
            cr_assert(t_fake_wait_sync(r.fake, r.conn, "ping", SOON_MS));
            cancel_elsewhere(more);
        }
        t_reads_wait(more);
        check_text(more,
                   cancelled ? "!canceled !canceled !canceled" : "!timedout !timedout !timedout");
        t_fake_go(r.fake, r.conn, "ping");
        T_WAIT_UNTIL(t_near_stats(r.client).inflight == 0, SOON_MS);
        t_reads_free(reads);
        t_reads_free(more);
        rig_close(&r);
    }
}

/* ---- The client ends ------------------------------------------------------------------------- */

Test(client_reads, a_client_that_is_destroyed_ends_them, .timeout = 30)
{
    static const t_step deaf[] = {T_EXPECT("GET", "a"), T_SYNC("never")};
    static const t_step deaf_ping[] = {T_EXPECT("PING"), T_SYNC("never")};
    for (int barrier = 0; barrier < 2; barrier++) {
        rig r = rig_open();
        cr_assert(t_says(t_near_get(r.client, "hot"), "v"));
        t_fake_script(r.fake, r.conn, barrier ? deaf_ping : deaf, 2);
        t_reads *reads = t_reads_of(r.client, "a", "hot", "b");
        reads->call.level = barrier ? NKV_BARRIER : NKV_EVENTUAL;
        t_reads_start(reads, LONG_MS);
        cr_assert(t_fake_wait_sync(r.fake, r.conn, "never", SOON_MS));
        nkv_client_destroy(r.client);
        cr_assert_eq(atomic_load(&reads->done), 1, "before it returned");
        check_text(reads, barrier ? "!closed !closed !closed" : "!closed v/cache !closed");
        cr_assert_eq(reads->first, NKV_ECLOSED);
        t_reads_free(reads);
        t_fake_stop(r.fake);
    }
}

Test(client_reads, nothing_starts_in_a_client_that_ends, .timeout = 30)
{
    rig r = rig_open();
    t_reads *reads = t_reads_of(r.client, "a", "b");
    read_now(reads);
    atomic_store(&r.client->closing, true); /* as destroy does first */
    t_reads_start(reads, LONG_MS);
    cr_assert(t_reads_is_done(reads));
    check_text(reads, "!closed !closed");
    cr_assert_eq(reads->first, NKV_ECLOSED);
    cr_assert_neq(reads->error.text[0], '\0');
    atomic_store(&r.client->closing, false);
    t_reads_free(reads);
    rig_close(&r);
}
