/* tests/fake/client/test_review_stale.c - answers that must not be served any more, on a played
 * server: pushes between an answer and its PTTL, writes whose keys cannot be told. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "support/fake.h"
#include "support/near.h"

enum { SOON_MS = 10000, HARDLY_MS = 3000 };

static const char push_k[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

/* The connection of the n-th tracked lane, from 1 on. */
static int tracked_conn(t_fake *fake, int nth)
{
    long at = -1;
    for (int i = 0; i < nth; i++) {
        at = t_fake_find(fake, (size_t)(at + 1), "CLIENT", "TRACKING", "ON");
        cr_assert_geq(at, 0);
    }
    return t_fake_command_at(fake, (size_t)at).conn;
}

static nkv_client *open_on(t_fake *fake)
{
    nkv_options options = t_near_options(t_fake_url(fake));
    return t_near_open(&options);
}

/* k = "old", without expiry, cached by a first read. */
static void cache_old(t_fake *fake, nkv_client *client)
{
    t_fake_on(fake, "$3\r\nold\r\n", "GET", "k");
    t_fake_on(fake, ":-1\r\n", "PTTL", "...");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "old"));
}

/* The data lane may be answered between an answer of the tracked lane and its PTTL. */
Test(client_stale, a_push_before_pttl_counts_whatever_the_data_lane_does, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_on(fake);
    const int conn = tracked_conn(fake, 1);
    t_pending *read = t_near_begin(client, "GET", "k");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PTTL", "k"));
    t_fake_say(fake, conn, "$3\r\nold\r\n");
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "other");
    nkv_call past;
    nkv_call_init(&past);
    past.no_cache = 1;
    cr_assert(t_says(t_near_get_with(client, "other", &past), "v"));
    t_fake_send(fake, conn, push_k, sizeof push_k - 1);
    t_fake_say(fake, conn, ":-1\r\n");
    cr_assert(t_is(t_near_end(read), NKV_FROM_SERVER, "old"));
    t_fake_on(fake, "$3\r\nnew\r\n", "GET", "k");
    t_fake_on(fake, ":-1\r\n", "PTTL", "...");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* ---- A loop that is held up by a handler ---------------------------------------------------- */

typedef struct gate {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool entered, open;
} gate;

static void stand_at_gate(const nkv_event *event, void *ud)
{
    gate *g = ud;
    if (event->type != NKV_EVENT_INVALIDATE || event->key.len != 4) {
        return;
    }
    pthread_mutex_lock(&g->mu);
    g->entered = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open) {
        pthread_cond_wait(&g->changed, &g->mu);
    }
    pthread_mutex_unlock(&g->mu);
}

/* The socket holds the answer to a question under way, and behind it the word that it is void:
 * whoever asks for what the socket holds to be processed first must not join that question. */
Test(client_stale, a_drain_does_not_join_a_question_that_may_have_been_answered, .timeout = 30)
{
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.on_event = stand_at_gate;
    options.on_event_ud = &g;
    nkv_client *client = t_near_open(&options);
    const int conn = tracked_conn(fake, 1);
    t_pending *first = t_near_begin(client, "GET", "k");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PTTL", "k"));
    t_fake_say(fake, conn, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\ngate\r\n");
    pthread_mutex_lock(&g.mu);
    while (!g.entered) {
        pthread_cond_wait(&g.changed, &g.mu);
    }
    pthread_mutex_unlock(&g.mu);
    t_fake_say(fake, conn, "$3\r\nold\r\n:-1\r\n");
    t_fake_send(fake, conn, push_k, sizeof push_k - 1);
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_DRAIN;
    t_pending *drained = t_near_begin_with(client, &call, "GET", "k");
    bool asked = t_fake_wait_hits(fake, 2, HARDLY_MS, "PTTL", "k");
    pthread_mutex_lock(&g.mu);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mu);
    t_fake_say(fake, conn, "$3\r\nnew\r\n:-1\r\n");
    cr_assert(t_says(t_near_end(first), "old"));
    cr_assert(t_is(t_near_end(drained), NKV_FROM_SERVER, "new"));
    cr_assert(asked);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* ---- Writes whose keys cannot be told ------------------------------------------------------- */

static const nkv_str script[] = {{"EVAL", 4}, {"return redis.call('SET','k','new')", 34}, {"0", 1}};

static void answer_transactions(t_fake *fake)
{
    t_fake_on(fake, "+OK\r\n", "MULTI");
    t_fake_on(fake, "+QUEUED\r\n", "EVAL", "...");
    t_fake_on(fake, "*1\r\n+OK\r\n", "EXEC");
}

/* P2: the server's word on what a script wrote comes behind its answer, on another connection. */
Test(client_stale, a_script_in_a_transaction_settles_before_it_returns, .timeout = 30)
{
    static const t_step late[] = {
        T_EXPECT("PING"),
        T_SEND(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n"),
    };
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_on(fake);
    cache_old(fake, client);
    answer_transactions(fake);
    t_fake_on(fake, "$3\r\nnew\r\n", "GET", "k");
    t_fake_script(fake, tracked_conn(fake, 1), late, T_STEPS(late));
    const nkv_argv commands[] = {{3, script}};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, commands, 1, NULL, &value), NKV_OK);
    nkv_value_release(value);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

typedef struct outcome {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool done;
    nkv_status status;
} outcome;

static void note(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    outcome *out = ud;
    (void)call;
    nkv_value_release(value);
    pthread_mutex_lock(&out->mu);
    out->done = true;
    out->status = status;
    pthread_cond_signal(&out->changed);
    pthread_mutex_unlock(&out->mu);
}

static nkv_status run_async_with(nkv_client *client, const nkv_call *call, int argc,
                                 const nkv_str *argv)
{
    outcome out = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, NKV_OK};
    cr_assert_eq(nkv_command_async(client, argc, argv, call, note, &out), NKV_OK);
    pthread_mutex_lock(&out.mu);
    while (!out.done) {
        pthread_cond_wait(&out.changed, &out.mu);
    }
    pthread_mutex_unlock(&out.mu);
    return out.status;
}

static nkv_status run_async(nkv_client *client, int argc, const nkv_str *argv)
{
    return run_async_with(client, NULL, argc, argv);
}

/* Two clients on one cache; the second one's lane vouches for k, and has not heard of any write. */
typedef struct pair {
    t_fake *fake;
    nkv_client *writer, *reader;
} pair;

static pair open_pair(void)
{
    pair p = {.fake = t_fake_start(NULL)};
    p.writer = open_on(p.fake);
    cr_assert_eq(nkv_client_share(p.writer, &p.reader, NULL), NKV_OK);
    cr_assert_eq(nkv_client_wait_ready(p.reader, SOON_MS, NULL), NKV_OK);
    cache_old(p.fake, p.reader);
    cr_assert(t_is(t_near_get(p.writer, "k"), NKV_FROM_CACHE, "old"));
    t_fake_on(p.fake, "$3\r\nnew\r\n", "GET", "k");
    t_fake_on(p.fake, "+OK\r\n", "EVAL", "...");
    return p;
}

static void close_pair(pair *p)
{
    nkv_client_destroy(p->writer);
    nkv_client_destroy(p->reader);
    t_fake_stop(p->fake);
}

/* P2 on a shared cache: a PING on the writer's lane says nothing of what the other heard. */
Test(client_stale, a_script_is_seen_by_all_who_share_the_cache, .timeout = 30)
{
    pair p = open_pair();
    nkv_value *value = NULL;
    cr_assert_eq(nkv_command(p.writer, 3, script, NULL, &value), NKV_OK);
    nkv_value_release(value);
    cr_assert(t_says(t_near_get(p.writer, "k"), "new"));
    cr_assert(t_says(t_near_get(p.reader, "k"), "new"));
    close_pair(&p);
}

Test(client_stale, a_script_without_waiting_is_seen_by_all_who_share_the_cache, .timeout = 30)
{
    pair p = open_pair();
    cr_assert_eq(run_async(p.writer, 3, script), NKV_OK);
    cr_assert(t_says(t_near_get(p.reader, "k"), "new"));
    cr_assert(t_says(t_near_get(p.writer, "k"), "new"));
    close_pair(&p);
}

Test(client_stale, a_script_in_a_transaction_is_seen_by_all_who_share_the_cache, .timeout = 30)
{
    pair p = open_pair();
    answer_transactions(p.fake);
    const nkv_argv commands[] = {{3, script}};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(p.writer, commands, 1, NULL, &value), NKV_OK);
    nkv_value_release(value);
    cr_assert(t_says(t_near_get(p.reader, "k"), "new"));
    close_pair(&p);
}

/* ---- ... and that have failed: they may have been done all the same ------------------------- */

static nkv_call soon(void)
{
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 100;
    return call;
}

/* k = "old" is cached; the script that sets it to "new" is not answered, and no push comes. */
static nkv_client *open_unanswered(t_fake *fake)
{
    nkv_client *client = open_on(fake);
    cache_old(fake, client);
    t_fake_on(fake, "", "EVAL", "...");
    t_fake_on(fake, "$3\r\nnew\r\n", "GET", "k");
    return client;
}

static void check_new(t_fake *fake, nkv_client *client)
{
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

Test(client_stale, a_script_that_was_given_up_may_have_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    nkv_call call = soon();
    nkv_value *value = NULL;
    cr_assert_eq(nkv_command(client, 3, script, &call, &value), NKV_ETIMEDOUT);
    check_new(fake, client);
}

Test(client_stale, a_script_that_was_given_up_without_waiting_may_have_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    const nkv_call call = soon();
    cr_assert_eq(run_async_with(client, &call, 3, script), NKV_ETIMEDOUT);
    check_new(fake, client);
}

Test(client_stale, a_script_in_a_transaction_that_was_given_up_may_have_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    t_fake_on(fake, "", "MULTI");
    t_fake_on(fake, "", "EXEC");
    const nkv_argv commands[] = {{3, script}};
    nkv_call call = soon();
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, commands, 1, &call, &value), NKV_ETIMEDOUT);
    check_new(fake, client);
}

Test(client_stale, a_script_whose_connection_was_lost_may_have_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    t_pending *pending =
        t_near_begin(client, "EVAL", "return redis.call('SET','k','new')", "0", "x");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "EVAL", "..."));
    long at = t_fake_find(fake, 0, "EVAL", "...");
    t_fake_close(fake, t_fake_command_at(fake, (size_t)at).conn, false);
    cr_assert_eq(t_near_end(pending).status, NKV_ECONN);
    check_new(fake, client);
}

static const t_step slow_pong[] = {T_EXPECT("PING"), T_SYNC("late"), T_SEND("+PONG\r\n")};

/* It has run, and the server's word on it does not come in time. */
Test(client_stale, a_script_that_could_not_be_settled_has_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    t_fake_on(fake, "+OK\r\n", "EVAL", "...");
    t_fake_script(fake, tracked_conn(fake, 1), slow_pong, T_STEPS(slow_pong));
    nkv_call call = soon();
    nkv_value *value = NULL;
    cr_assert_eq(nkv_command(client, 3, script, &call, &value), NKV_ETIMEDOUT);
    t_fake_go(fake, tracked_conn(fake, 1), "late");
    check_new(fake, client);
}

Test(client_stale, a_script_that_could_not_be_settled_without_waiting_has_run, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_unanswered(fake);
    t_fake_on(fake, "+OK\r\n", "EVAL", "...");
    t_fake_script(fake, tracked_conn(fake, 1), slow_pong, T_STEPS(slow_pong));
    const nkv_call call = soon();
    cr_assert_eq(run_async_with(client, &call, 3, script), NKV_ETIMEDOUT);
    t_fake_go(fake, tracked_conn(fake, 1), "late");
    check_new(fake, client);
}

/* A flush is given up by its caller while the loop is held up: what was cached since it was sent is
 * gone nevertheless. */
Test(client_stale, a_flush_that_was_given_up_may_have_run, .timeout = 30)
{
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.on_event = stand_at_gate;
    options.on_event_ud = &g;
    nkv_client *client = t_near_open(&options);
    nkv_call call = soon();
    call.timeout_ms = 500;
    t_fake_on(fake, "", "FLUSHALL");
    t_pending *flush = t_near_begin_with(client, &call, "FLUSHALL");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "FLUSHALL"));
    cache_old(fake, client);
    t_fake_say(fake, tracked_conn(fake, 1), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\ngate\r\n");
    cr_assert_eq(t_near_end(flush).status, NKV_ETIMEDOUT);
    nkv_value *value = NULL;
    nkv_status status = nkv_get(client, nkv_cstr("k"), &call, &value);
    pthread_mutex_lock(&g.mu);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mu);
    cr_assert_eq(call.from, NKV_FROM_SERVER, "%s", nkv_status_text(status));
    nkv_value_release(value);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* A newer server may take arguments that the table does not know: what it writes is forgotten all
 * the same. */
Test(client_stale, a_write_whose_arguments_do_not_fit_the_table_is_forgotten, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_on(fake);
    cache_old(fake, client);
    t_fake_on(fake, "+OK\r\n", "RENAME", "...");
    t_fake_on(fake, "$3\r\nnew\r\n", "GET", "k");
    cr_assert(t_says(t_near(client, "RENAME", "x", "k", "REPLACE"), "+OK"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* The server that comes back may be a newer one. */
Test(client_stale, a_new_connection_is_asked_for_field_expiry_again, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.backoff_min_ms = options.backoff_max_ms = 1;
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "$1\r\nv\r\n", "HGET", "...");
    t_fake_on(fake, ":-1\r\n", "PTTL", "...");
    t_fake_on(fake, "-ERR unknown command 'HPTTL'\r\n", "HPTTL", "...");
    cr_assert(t_says(t_near(client, "HGET", "h", "f"), "v"));
    cr_assert(t_says(t_near(client, "HGET", "h", "g"), "v"));
    cr_assert_eq(t_fake_hits(fake, "HPTTL", "..."), 1);
    t_fake_on(fake, "*1\r\n:100000\r\n", "HPTTL", "...");
    t_fake_close(fake, tracked_conn(fake, 1), false);
    cr_assert(t_fake_wait_hits(fake, 2, SOON_MS, "CLIENT", "TRACKING", "ON"));
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, NULL), NKV_OK);
    cr_assert(t_says(t_near(client, "HGET", "h", "f"), "v"));
    cr_assert_eq(t_fake_hits(fake, "HPTTL", "..."), 2);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
