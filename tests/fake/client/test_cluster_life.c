/* tests/fake/client/test_cluster_life.c - a played cluster and connections that break, levels of
 * freshness, ends of clients in the middle of something, cancelled batches. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/batch.h>

#include "client/client_int.h"
#include "support/check.h"
#include "support/fc_client.h"

enum { SOON_MS = 10000 };

static nkv_options slow_options(t_fc *fc)
{
    nkv_options options = t_fc_options(fc);
    options.topology_max_age_ms = 600000;
    return options;
}

static nkv_client *open_slow(t_fc *fc)
{
    const nkv_options options = slow_options(fc);
    return t_near_open(&options);
}

/* The connection on which the node got these words first. */
static int conn_of(t_fake *fake, const char *const *words)
{
    cr_assert(t_fake_wait_hits_argv(fake, 1, SOON_MS, words));
    return t_fake_command_at(fake, (size_t)t_fake_find_argv(fake, 0, words)).conn;
}
#define CONN_OF(fake, ...) conn_of((fake), (const char *const[]){__VA_ARGS__, NULL})

/* ---- Writes whose connection breaks ---------------------------------------------------------- */

Test(client_cluster_life, a_write_that_may_have_been_done_is_not_sent_again, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_say(fc, 0, -1, "", "SET", key, "v");
    t_pending *pending = t_near_begin(client, "SET", key, "v");
    const int conn = CONN_OF(t_fc_node(fc, 0), "SET", key, "v");
    t_fake_close(t_fc_node(fc, 0), conn, true);
    cr_assert(t_failed(t_near_end(pending), NKV_ECONN, ""));
    t_fc_hush(fc);
    t_sleep_ms(150);
    cr_assert_eq(t_fc_hits(fc, "SET", key, "v"), 1);
    cr_assert(t_says(t_near_get(client, key), "_"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_life, unless_the_caller_wants_it, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_options options = slow_options(fc);
    options.resend_writes = 1;
    nkv_client *client = t_near_open(&options);
    for (int i = 0; i < 2; i++) {
        const char *key = t_fc_key(fc, 0, i);
        const nkv_str keys[] = {nkv_cstr(key)};
        t_fc_say(fc, 0, 1, "", i == 0 ? "SET" : "DEL", key, "...");
        t_fc_put(fc, 0, key, "old");
        t_fake *fake = t_fc_node(fc, 0);
        nkv_item item = {.key = keys[0], .value = nkv_cstr("v")};
        nkv_queue *queue = NULL;
        cr_assert_eq(nkv_queue_create(&queue, NULL), NKV_OK);
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(i == 0 ? nkv_submit_put(client, &item, 1, 0, &ticket)
                            : nkv_submit_remove(client, &item, 1, &ticket),
                     NKV_OK);
        const int conn = i == 0 ? CONN_OF(fake, "SET", key, "v") : CONN_OF(fake, "DEL", key);
        t_fake_close(fake, conn, true);
        nkv_completion end;
        cr_assert_eq(nkv_queue_wait(queue, SOON_MS), NKV_OK);
        cr_assert_eq(nkv_queue_drain(queue, &end, 1), 1);
        cr_assert_eq(end.status, NKV_OK, "%s", end.error.text);
        cr_assert(t_fc_has(fc, 0, key, i == 0 ? "v" : NULL));
        nkv_queue_destroy(queue);
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

static void *set_v(void *ud)
{
    void **args = ud;
    static nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_set(args[0], nkv_cstr(args[1]), nkv_cstr("v"), 0, &call);
    return (void *)(intptr_t)status;
}

Test(client_cluster_life, a_set_is_sent_again_if_wanted, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_options options = slow_options(fc);
    options.resend_writes = 1;
    nkv_client *client = t_near_open(&options);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_say(fc, 0, 1, "", "SET", key, "v");
    pthread_t thread;
    void *args[2] = {client, (void *)(uintptr_t)key}, *status = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, set_v, args), 0);
    const int conn = CONN_OF(t_fc_node(fc, 0), "SET", key, "v");
    t_fake_close(t_fc_node(fc, 0), conn, true);
    cr_assert_eq(pthread_join(thread, &status), 0);
    cr_assert_eq((intptr_t)status, NKV_OK);
    cr_assert(t_fc_has(fc, 0, key, "v"));
    cr_assert_eq(t_fc_hits(fc, "SET", key, "v"), 2);
    cr_assert(t_says(t_near_get(client, key), "v"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_life, a_write_that_was_never_sent_is_tried_until_its_deadline, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    cr_assert_eq(t_near_set(client, t_fc_key(fc, 0, 1), "x"), NKV_OK);
    t_fake_refuse(t_fc_node(fc, 0), true);
    t_fake_close(t_fc_node(fc, 0), T_EVERY, true);
    t_pending *pending = t_near_begin(client, "SET", key, "v");
    t_sleep_ms(200);
    cr_assert_not(t_near_is_done(pending));
    t_fake_refuse(t_fc_node(fc, 0), false);
    cr_assert(t_says(t_near_end(pending), "+OK"));
    cr_assert_eq(t_fc_hits(fc, "SET", key, "v"), 1);
    t_fake_refuse(t_fc_node(fc, 0), true);
    t_fake_close(t_fc_node(fc, 0), T_EVERY, true);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 300;
    t_answer got = t_near_with(client, &call, "SET", key, "w");
    cr_assert(got.status == NKV_ECONN || got.status == NKV_ETIMEDOUT);
    cr_assert(got.took_ms >= 200 && got.took_ms < 2000, "%d ms", (int)got.took_ms);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

Test(client_cluster_life, a_barrier_asks_once_for_each_node_and_slot, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    t_fc_give(fc, t_fc_slot("{x}1"), 0);
    nkv_client *client = open_slow(fc);
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 0, 1), *c = t_fc_key(fc, 1, 0);
    const char *const all[] = {"{x}1", "{x}2", a, b, c};
    nkv_str keys[5];
    nkv_result results[5];
    for (size_t i = 0; i < 5; i++) {
        keys[i] = nkv_cstr(all[i]);
        t_fc_warm(client, all[i], "_");
    }
    const size_t asked = t_fc_hits(fc, "EXISTS", "...");
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    cr_assert_geq(nkv_mget(client, keys, 5, &call, results), 0);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(results[i].from, NKV_FROM_CACHE, "%zu", i);
        nkv_value_release(results[i].value);
    }
    cr_assert_eq(t_fc_hits(fc, "EXISTS", "...") - asked, 4);
    cr_assert_eq(t_fc_hits(fc, "EXISTS", "{x}1", "{x}2"), 1, "of all keys of a slot");
    const long at = t_fake_find(t_fc_node(fc, 1), 0, "EXISTS", c);
    cr_assert_geq(at, 0);
    cr_assert_eq(t_fake_command_at(t_fc_node(fc, 1), (size_t)at).conn, t_fc_tracked(fc, 1));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_life, a_barrier_does_not_believe_a_node_that_lost_the_slot, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    for (int i = 0; i < 3; i++) {
        const char *key = t_fc_key(fc, 0, i);
        t_fc_warm(client, key, "_");
        if (i == 0) {
            t_fc_give(fc, t_fc_slot(key), 1);
        } else {
            t_fc_migrate(fc, t_fc_slot(key), 1);
        }
        t_fc_put(fc, 1, key, "v");
        cr_assert(t_is(t_near_get_at(client, key, NKV_BARRIER), NKV_FROM_SERVER, "v"));
        cr_assert(t_says(t_near_get(client, key), "v"), "what was cached is gone for all");
        t_fc_put(fc, 1, key, "w");
        cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "w"));
    }
    const char *key = t_fc_key(fc, 1, 0);
    t_fc_warm(client, key, "_");
    t_fc_say(fc, 1, 1, "-LOADING the dataset", "EXISTS", key);
    cr_assert(t_is(t_near_get_at(client, key, NKV_BARRIER), NKV_FROM_SERVER, "_"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_life, drain_takes_in_what_has_come, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    for (int i = 0; i < 2; i++) {
        const char *key = t_fc_key(fc, i, 0);
        t_fc_put(fc, i, key, "v");
        t_fc_warm(client, key, "v");
        cr_assert(t_is(t_near_get_at(client, key, NKV_DRAIN), NKV_FROM_CACHE, "v"));
        for (int k = 0; k < 50; k++) {
            char text[16];
            (void)snprintf(text, sizeof text, "%d", k);
            t_fc_put(fc, i, key, text);
            cr_assert(t_says(t_near_get_at(client, key, NKV_DRAIN), text));
        }
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- A seed by another name ------------------------------------------------------------------ */

/* The seed is asked first, then known by the name that it announces: what is under way to the seed
 * is not cut off. */
Test(client_cluster_life, a_write_under_way_outlives_the_name_of_the_seed, .timeout = 60)
{
    static const t_step steps[] = {T_EXPECT("SET", "k", "v"), T_SYNC("asked"), T_SEND("+OK\r\n")};
    t_fc *fc = t_fc_start(1);
    t_fake *fake = t_fc_node(fc, 0);
    t_fc_announce(fc, T_FC_NAME);
    t_fc_say(fc, 0, -1, "-LOADING not yet", "CLUSTER", "...");
    const nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    t_fake_script(fake, T_EVERY, steps, T_STEPS(steps));
    t_pending *pending = t_near_begin(client, "SET", "k", "v");
    const int conn = CONN_OF(fake, "SET", "k", "v");
    t_fc_hush(fc);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    t_sleep_ms(300);
    cr_assert_not(t_near_is_done(pending));
    t_fake_go(fake, conn, "asked");
    cr_assert(t_says(t_near_end(pending), "+OK"));
    T_WAIT_UNTIL(t_fc_nodes(client) == 1, SOON_MS);
    cr_assert(t_fake_wait_closed(fake, conn, SOON_MS), "then it rests");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_life, so_does_a_large_one, .timeout = 60)
{
    static const t_step steps[] = {T_EXPECT("SET", "k", "v"), T_SYNC("asked"), T_SEND("+OK\r\n")};
    t_fc *fc = t_fc_start(1);
    t_fake *fake = t_fc_node(fc, 0);
    t_fc_announce(fc, T_FC_NAME);
    t_fc_say(fc, 0, -1, "-LOADING not yet", "CLUSTER", "...");
    const nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    t_fake_script(fake, T_EVERY, steps, T_STEPS(steps));
    nkv_item item = {.key = nkv_cstr("k"), .value = nkv_cstr("v")};
    nkv_queue *queue = NULL;
    cr_assert_eq(nkv_queue_create(&queue, NULL), NKV_OK);
    nkv_ticket ticket = {.queue = queue};
    cr_assert_eq(nkv_submit_put(client, &item, 1, 0, &ticket), NKV_OK);
    const int conn = CONN_OF(fake, "SET", "k", "v");
    t_fc_hush(fc);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    cr_assert_eq(nkv_queue_wait(queue, 300), NKV_ETIMEDOUT);
    t_fake_go(fake, conn, "asked");
    nkv_completion end;
    cr_assert_eq(nkv_queue_wait(queue, SOON_MS), NKV_OK);
    cr_assert_eq(nkv_queue_drain(queue, &end, 1), 1);
    cr_assert_eq(end.status, NKV_OK, "%s", end.error.text);
    cr_assert(t_fake_wait_closed(fake, conn, SOON_MS), "then it rests");
    nkv_queue_destroy(queue);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

Test(client_cluster_life, fifty_clients_one_after_the_other, .timeout = 120)
{
    t_fc *fc = t_fc_start(2);
    const int threads = t_thread_count(), fds = t_fd_count();
    t_fc_put(fc, 1, t_fc_key(fc, 1, 0), "v");
    for (int i = 0; i < 50; i++) {
        const nkv_options options = t_fc_options(fc);
        nkv_client *client = t_near_start(&options);
        if (i % 3 == 0) {
            nkv_error error;
            cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
            cr_assert(t_says(t_near_get(client, t_fc_key(fc, 1, 0)), "v"));
        } else if (i % 3 == 1) {
            cr_assert(t_says(t_near_get(client, t_fc_key(fc, 1, 0)), "v"));
        }
        nkv_client_destroy(client);
        cr_assert_eq(t_thread_count(), threads);
    }
    T_WAIT_UNTIL(t_fd_count() <= fds, SOON_MS);
    t_fc_stop(fc);
}

typedef struct ends {
    _Atomic int done;
} ends;

static void count_end(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    nkv_value_release(value);
    atomic_fetch_add(&((ends *)ud)->done, 1);
}

/* Calls of every kind that are being led around, or wait to be asked again. */
static void check_destroy(const char *line, int pause_ms)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    if (line != NULL) {
        t_fc_say(fc, T_FC_EVERY, -1, line, "GET", "*");
        t_fc_say(fc, T_FC_EVERY, -1, line, "SET", "...");
    } else {
        t_fc_believe(fc, 0, t_fc_slot(key), 1);
        t_fc_believe(fc, 1, t_fc_slot(key), 0);
    }
    ends all = {0};
    t_pending *read = t_near_begin(client, "GET", key);
    t_pending *write = t_near_begin(client, "SET", key, "v");
    T_WAIT_UNTIL(atomic_load(&client->active) == 2, SOON_MS); /* none may come behind the end */
    const nkv_str get[] = {nkv_cstr("GET"), nkv_cstr(key)};
    const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr(key), nkv_cstr("v")};
    nkv_queue *queue = NULL;
    cr_assert_eq(nkv_queue_create(&queue, NULL), NKV_OK);
    nkv_item items[3] = {{.key = get[1]}, {.key = get[1], .value = set[2]}, {.key = get[1]}};
    nkv_ticket ticket = {.queue = queue};
    cr_assert_eq(nkv_command_async(client, 2, get, NULL, count_end, &all), NKV_OK);
    cr_assert_eq(nkv_command_async(client, 3, set, NULL, count_end, &all), NKV_OK);
    cr_assert_eq(nkv_submit_get(client, &items[0], 1, &ticket), NKV_OK);
    cr_assert_eq(nkv_submit_put(client, &items[1], 1, 0, &ticket), NKV_OK);
    cr_assert_eq(nkv_submit_exists(client, &items[2], 1, &ticket), NKV_OK);
    t_sleep_ms(pause_ms);
    const int64_t begun_ms = t_now_ms();
    nkv_client_destroy(client);
    cr_assert_lt(t_now_ms() - begun_ms, 5000);
    cr_assert_lt(t_near_end(read).status, 0);
    cr_assert_lt(t_near_end(write).status, 0);
    cr_assert_eq(atomic_load(&all.done), 2);
    nkv_completion ended[4];
    cr_assert_eq(nkv_queue_drain(queue, ended, 4), 3);
    nkv_queue_destroy(queue);
    nkv_value_release(items[0].held);
    t_fc_stop(fc);
}

Test(client_cluster_life, the_end_while_calls_wait_to_be_asked_again, .timeout = 60)
{
    static const int pauses_ms[] = {0, 1, 7, 60, 130};
    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
        check_destroy("-TRYAGAIN later", pauses_ms[i]);
    }
}

Test(client_cluster_life, the_end_while_calls_are_led_around, .timeout = 60)
{
    static const int pauses_ms[] = {0, 1, 7, 60, 130};
    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
        check_destroy(NULL, pauses_ms[i]);
    }
}

Test(client_cluster_life, a_batch_is_cancelled_while_it_is_led_around, .timeout = 120)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    enum { N = 8 };
    nkv_item items[N];
    memset(items, 0, sizeof items);
    for (int i = 0; i < N; i++) {
        const char *key = t_fc_key(fc, i % 2, i);
        items[i].key = nkv_cstr(key);
        items[i].value = nkv_cstr("v");
        if (i % 4 < 2) {
            t_fc_believe(fc, 0, t_fc_slot(key), 1);
            t_fc_believe(fc, 1, t_fc_slot(key), 0);
        } else {
            t_fc_say(fc, T_FC_EVERY, -1, "-TRYAGAIN later", "SET", key, "...");
        }
    }
    nkv_queue *queue = NULL;
    cr_assert_eq(nkv_queue_create(&queue, NULL), NKV_OK);
    for (int round = 0; round < 60; round++) {
        nkv_ticket ticket = {.queue = queue};
        nkv_completion end;
        cr_assert_eq(nkv_submit_put(client, items, N, 0, &ticket), NKV_OK);
        t_sleep_us(round * 150);
        (void)nkv_queue_cancel(queue, ticket.id);
        cr_assert_eq(nkv_queue_wait(queue, 2000), NKV_OK, "round %d", round);
        cr_assert_eq(nkv_queue_drain(queue, &end, 1), 1);
        cr_assert_eq(end.status, NKV_ECANCELED, "round %d: %s", round, end.error.text);
    }
    nkv_queue_destroy(queue);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}
