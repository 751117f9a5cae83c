/* tests/fake/client/test_cluster_moved.c - MOVED, ASK, TRYAGAIN and their like from a played
 * cluster: who is asked again, how often, and that nothing of it is kept. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/fc_client.h"

enum { SOON_MS = 10000 };

/* The error of a call that has so much time. Where the machine was slow, so that the last request
 * met the deadline, there is another try. */
static t_answer fail_argv(nkv_client *client, int64_t timeout_ms, const char *const *argv)
{
    t_answer got = {.status = NKV_ETIMEDOUT};
    for (int i = 0; i < 5 && got.status == NKV_ETIMEDOUT; i++) {
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = timeout_ms;
        got = t_near_argv(client, &call, argv);
    }
    return got;
}
#define fail_within(client, timeout_ms, ...) \
    fail_argv((client), (timeout_ms), (const char *const[]){__VA_ARGS__, NULL})

/* A client that looks at the topology hardly ever by itself. */
static nkv_client *open_slow(t_fc *fc)
{
    nkv_options options = t_fc_options(fc);
    options.topology_max_age_ms = 600000;
    return t_near_open(&options);
}

/* ---- MOVED ----------------------------------------------------------------------------------- */

Test(client_cluster_moved, case_85_takes_only_the_slots_entries_along, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = open_slow(fc);
    const char *other = t_fc_key(fc, 0, 0);
    const uint16_t slot = t_fc_slot("{t}a");
    t_fc_give(fc, slot, 1);
    t_fc_put(fc, 1, "{t}a", "a");
    t_fc_put(fc, 1, "{t}b", "b");
    t_fc_put(fc, 0, other, "o");
    t_fc_warm(client, "{t}a", "a");
    t_fc_warm(client, "{t}b", "b");
    t_fc_warm(client, other, "o");
    t_fc_give(fc, slot, 2);
    nkv_call fresh;
    nkv_call_init(&fresh);
    fresh.no_cache = 1;
    const size_t asked = t_fc_hits(fc, "GET", "{t}a");
    cr_assert(t_is(t_near_get_with(client, "{t}a", &fresh), NKV_FROM_SERVER, "a"));
    cr_assert_eq(t_fc_hits(fc, "GET", "{t}a"), asked + 2, "once here, once there");
    cr_assert(t_is(t_near_get(client, "{t}b"), NKV_FROM_SERVER, "b"), "it was in the slot, too");
    cr_assert(t_fc_is_hit(client, other, "o"), "this one was not");
    cr_assert(t_fc_is_hit(client, "{t}b", "b"), "and the new node is believed");
    t_fc_put(fc, 2, "{t}b", "c");
    cr_assert(t_says(t_near_get_at(client, "{t}b", NKV_BARRIER), "c"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, a_node_that_only_moved_names_is_opened, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const int node = t_fc_join(fc);
    const char *key = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 1, key, "v");
    t_fc_give(fc, t_fc_slot(key), node);
    cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"));
    t_fc_warm(client, key, "v"); /* as soon as it has given its word */
    t_fc_put(fc, node, key, "w");
    cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "w"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, writes_are_led_on_too_and_read_back, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = open_slow(fc);
    for (int i = 0; i < 10; i++) {
        const char *key = t_fc_key(fc, 0, i);
        const int to = 1 + i % 2;
        t_fc_put(fc, 0, key, "old");
        t_fc_warm(client, key, "old");
        t_fc_give(fc, t_fc_slot(key), to);
        cr_assert_eq(t_near_set(client, key, "new"), NKV_OK);
        cr_assert(t_fc_has(fc, to, key, "new") && !t_fc_has(fc, 0, key, "new"));
        cr_assert(t_says(t_near_get(client, key), "new"), "P2");
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, a_loop_ends_with_the_deadline_and_costs_little, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_believe(fc, 0, t_fc_slot(key), 1);
    t_fc_believe(fc, 1, t_fc_slot(key), 0);
    t_answer got = fail_within(client, 1000, "GET", key);
    cr_assert(t_failed(got, NKV_EREPLY, "MOVED"));
    cr_assert(got.took_ms >= 800 && got.took_ms < 3000, "%d ms", (int)got.took_ms);
    const size_t reads = t_fc_hits(fc, "GET", key);
    cr_assert(reads >= 2 && reads <= 200, "%zu requests", reads);
    cr_assert_lt(t_fc_hits(fc, "CLUSTER", "INFO"), 500);
    got = fail_within(client, 1000, "SET", key, "v");
    cr_assert(t_failed(got, NKV_EREPLY, "MOVED"));
    cr_assert_lt(got.took_ms, 3000);
    cr_assert_leq(t_fc_hits(fc, "SET", key, "v"), 200);
    t_fc_believe(fc, 1, t_fc_slot(key), 1);
    cr_assert_eq(t_near_set(client, key, "v"), NKV_OK, "and it works when they agree");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, a_redirection_for_another_slot_is_the_answer, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 1, 0);
    char *line = t_format("-MOVED %u 127.0.0.1:%d", t_fc_slot(b), t_fc_port(fc, 1));
    t_fc_say(fc, T_FC_EVERY, -1, line, "RENAME", "...");
    t_answer got = t_near(client, "RENAME", a, b);
    cr_assert(t_failed(got, NKV_EREPLY, "MOVED"));
    cr_assert_eq(t_fc_hits(fc, "RENAME", "..."), 1);
    cr_assert_lt(got.took_ms, 2000);
    free(line);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A connection's word is in its order: an answer from before the slot left is not kept. */
Test(client_cluster_moved, a_read_under_way_while_its_slot_moves_is_not_kept, .timeout = 60)
{
    static const t_step steps[] = {T_EXPECT("GET", "{late}k"), T_SYNC("asked"),
                                   T_SEND("$3\r\nold\r\n")};
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const uint16_t slot = t_fc_slot("{late}k");
    t_fc_give(fc, slot, 0);
    t_fc_put(fc, 0, "{late}k", "old");
    t_fc_put(fc, 0, "{late}b", "b");
    t_fc_warm(client, "{late}b", "b");
    const int conn = t_fc_tracked(fc, 0);
    t_fake_script(t_fc_node(fc, 0), conn, steps, T_STEPS(steps));
    t_pending *pending = t_near_begin(client, "GET", "{late}k");
    cr_assert(t_fake_wait_sync(t_fc_node(fc, 0), conn, "asked", SOON_MS));
    t_fc_give(fc, slot, 1);
    t_fc_put(fc, 1, "{late}k", "new");
    cr_assert_eq(t_near_set(client, "{late}b", "c"), NKV_OK, "which learns of it by MOVED");
    t_fake_go(t_fc_node(fc, 0), conn, "asked");
    cr_assert(t_says(t_near_end(pending), "old"), "it was asked before");
    cr_assert(t_is(t_near_get(client, "{late}k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- ASK ------------------------------------------------------------------------------------- */

/* A key of node 0 that is on its way to node 1 and is there already. */
static const char *open_ask(t_fc *fc, int n)
{
    const char *key = t_fc_key(fc, 0, n);
    t_fc_migrate(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "there");
    return key;
}

/* The command of these words came right behind ASKING, on an untracked connection of node 1. */
static void check_behind_asking(t_fc *fc, const char *const *words)
{
    t_fake *fake = t_fc_node(fc, 1);
    const long at = t_fake_find_argv(fake, 0, words);
    cr_assert_geq(at, 0);
    const int conn = t_fake_command_at(fake, (size_t)at).conn;
    cr_assert_neq(conn, t_fc_tracked(fc, 1));
    const char *before = "";
    for (long i = 0; i < at; i++) {
        const t_fake_command command = t_fake_command_at(fake, (size_t)i);
        before = command.conn == conn ? command.argv[0] : before;
    }
    cr_assert_str_eq(before, "ASKING");
}
#define BEHIND_ASKING(fc, ...) check_behind_asking((fc), (const char *const[]){__VA_ARGS__, NULL})

Test(client_cluster_moved, case_86_an_asked_answer_is_not_kept, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = open_ask(fc, 0);
    for (size_t i = 1; i <= 3; i++) {
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "there"));
        cr_assert_eq(t_fake_hits(t_fc_node(fc, 0), "GET", key), i, "the holder is asked first");
        cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "GET", key), i);
        cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "ASKING"), i);
    }
    BEHIND_ASKING(fc, "GET", key);
    t_fc_put(fc, 1, key, "changed");
    cr_assert(t_says(t_near_get(client, key), "changed"));
    t_fc_give(fc, t_fc_slot(key), 1);
    t_fc_warm(client, key, "changed");
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "ASKING"), 4);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* What is not there either is no answer to be kept. */
Test(client_cluster_moved, a_missing_key_behind_ask_is_not_kept, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_migrate(fc, t_fc_slot(key), 1);
    cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "_") ||
              t_near_get(client, key).status == NKV_NOT_FOUND);
    t_fc_put(fc, 1, key, "v");
    cr_assert(t_says(t_near_get(client, key), "v"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, writes_behind_ask_are_read_back, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_put(fc, 0, key, "old");
    t_fc_warm(client, key, "old");
    t_fc_migrate(fc, t_fc_slot(key), 1);
    t_fc_carry(fc, key, 0, 1);
    cr_assert_eq(t_near_set(client, key, "new"), NKV_OK);
    cr_assert(t_fc_has(fc, 1, key, "new"));
    BEHIND_ASKING(fc, "SET", key, "new");
    cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "new"));
    const nkv_str keys[] = {nkv_cstr(key)};
    int64_t removed = 0;
    cr_assert_eq(nkv_del(client, keys, 1, NULL, &removed), NKV_OK);
    cr_assert_eq(removed, 1);
    cr_assert(t_fc_has(fc, 1, key, NULL));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A cached «is not there» of before the migration, and a write of ours behind ASK. */
Test(client_cluster_moved, a_write_behind_ask_drops_what_the_source_vouched_for, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    t_fc_migrate(fc, t_fc_slot(key), 1);
    cr_assert_eq(t_near_set(client, key, "new"), NKV_OK);
    cr_assert(t_says(t_near_get(client, key), "new"), "P2");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* Who has seen what is there now is not told afterwards what was here before. */
Test(client_cluster_moved, an_asked_answer_outdates_what_the_source_vouched_for, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0), *other = t_fc_key(fc, 0, 1);
    t_fc_warm(client, key, "_");
    t_fc_warm(client, other, "_");
    t_fc_migrate(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "there");
    nkv_call fresh;
    nkv_call_init(&fresh);
    fresh.no_cache = 1;
    cr_assert(t_is(t_near_get_with(client, key, &fresh), NKV_FROM_SERVER, "there"));
    cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "there"));
    cr_assert(t_fc_is_hit(client, other, "_"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, a_transaction_behind_ask, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = open_ask(fc, 0);
    const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr(key), nkv_cstr("1")};
    const nkv_str get[] = {nkv_cstr("GET"), nkv_cstr(key)};
    const nkv_argv commands[] = {{3, set}, {2, get}};
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_transaction(client, commands, 2, &call, &value), NKV_OK, "%s",
                 call.error.text);
    char text[64];
    const nkv_reply reply = nkv_value_reply(value);
    t_near_write(&reply, text, sizeof text);
    cr_assert_str_eq(text, "[+OK 1]");
    nkv_value_release(value);
    BEHIND_ASKING(fc, "MULTI");
    cr_assert(t_fc_has(fc, 1, key, "1") && t_fc_has(fc, 0, key, NULL));
    cr_assert(t_says(t_near_get(client, key), "1"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, a_transaction_that_moved_is_executed_once, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_give(fc, t_fc_slot(key), 1);
    const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr(key), nkv_cstr("1")};
    const nkv_argv commands[] = {{3, set}};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, commands, 1, NULL, &value), NKV_OK);
    nkv_value_release(value);
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 0), "EXEC"), 1);
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "EXEC"), 1);
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "ASKING"), 0);
    cr_assert(t_fc_has(fc, 1, key, "1"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, an_ask_loop_ends_with_the_deadline, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0);
    char *line = t_format("-ASK %u 127.0.0.1:%d", t_fc_slot(key), t_fc_port(fc, 1));
    t_fc_say(fc, T_FC_EVERY, -1, line, "GET", key);
    t_answer got = fail_within(client, 700, "GET", key);
    cr_assert(t_failed(got, NKV_EREPLY, "ASK"));
    cr_assert(got.took_ms >= 500 && got.took_ms < 3000, "%d ms", (int)got.took_ms);
    cr_assert_leq(t_fc_hits(fc, "GET", key), 200);
    free(line);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Not now --------------------------------------------------------------------------------- */

static const char *const later[] = {
    "-TRYAGAIN Multiple keys request during rehashing of slot", "-CLUSTERDOWN The cluster is down",
    "-LOADING Redis is loading the dataset in memory",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."};

Test(client_cluster_moved, case_96_not_now_is_asked_again_a_few_times, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    for (int i = 0; i < 4; i++) {
        const char *key = t_fc_key(fc, 0, i);
        t_fc_put(fc, 0, key, "v");
        t_fc_say(fc, 0, 3, later[i], "GET", key);
        t_fc_say(fc, 0, 2, later[i], "SET", key, "w");
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"), "%s", later[i]);
        cr_assert_eq(t_fc_hits(fc, "GET", key), 4);
        cr_assert_eq(t_near_set(client, key, "w"), NKV_OK, "%s", later[i]);
        cr_assert_eq(t_fc_hits(fc, "SET", key, "w"), 3);
        cr_assert(t_fc_has(fc, 0, key, "w"));
        t_fc_warm(client, key, "w");
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_moved, case_96_not_now_until_the_deadline_is_the_answer, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    for (int i = 0; i < 4; i++) {
        const char *key = t_fc_key(fc, 0, i);
        const char *code = later[i] + 1;
        t_fc_put(fc, 0, key, "v");
        t_fc_say(fc, 0, -1, later[i], "GET", key);
        t_fc_say(fc, 0, -1, later[i], "SET", key, "w");
        t_answer got = fail_within(client, 400, "GET", key);
        cr_assert(t_failed(got, NKV_EREPLY, code));
        cr_assert(got.took_ms >= 200 && got.took_ms < 2000, "%d ms", (int)got.took_ms);
        got = fail_within(client, 400, "SET", key, "w");
        cr_assert(t_failed(got, NKV_EREPLY, code));
        cr_assert(got.took_ms >= 200 && got.took_ms < 2000, "%d ms", (int)got.took_ms);
        const size_t asked = t_fc_hits(fc, "SET", key, "w");
        t_sleep_ms(150);
        cr_assert_eq(t_fc_hits(fc, "SET", key, "w"), asked, "nothing is sent behind its end");
        t_fc_hush(fc);
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"), "the error was not kept");
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* Without an event loop of its own a caller is told the same. */
typedef struct told {
    _Atomic int done;
    nkv_status status;
    char text[256];
} told;

static void take(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    told *to = ud;
    to->status = status;
    (void)snprintf(to->text, sizeof to->text, "%s", call->error.text);
    nkv_value_release(value);
    to->done = 1;
}

static void check_async(nkv_client *client, int argc, const char *const *words, nkv_status status,
                        const char *part)
{
    nkv_str argv[4];
    told to = {.status = NKV_ETIMEDOUT};
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 400;
    for (int i = 0; i < argc; i++) {
        argv[i] = nkv_cstr(words[i]);
    }
    for (int i = 0; i < 5 && to.status == NKV_ETIMEDOUT; i++) { /* as in fail_argv() */
        to.done = 0;
        cr_assert_eq(nkv_command_async(client, argc, argv, &call, take, &to), NKV_OK);
        T_WAIT_UNTIL(to.done == 1, SOON_MS);
    }
    cr_assert_eq(to.status, status, "%s: %s", words[0], to.text);
    cr_assert(strstr(to.text, part) != NULL, "%s: %s", words[0], to.text);
}

Test(client_cluster_moved, who_does_not_wait_is_told_the_same, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *key = t_fc_key(fc, 0, 0), *other = t_fc_key(fc, 1, 0);
    const char *const get[] = {"GET", key}, *const set[] = {"SET", key, "v"};
    const char *const del[] = {"DEL", key, other};
    t_fc_give(fc, t_fc_slot(key), 1);
    check_async(client, 3, set, NKV_OK, "");
    check_async(client, 2, get, NKV_OK, "");
    check_async(client, 3, del, NKV_EREPLY, "CROSSSLOT");
    nkv_client_invalidate(client, nkv_cstr(key));
    t_fc_say(fc, T_FC_EVERY, -1, later[1], "GET", key);
    t_fc_say(fc, T_FC_EVERY, -1, later[1], "SET", "...");
    check_async(client, 3, set, NKV_EREPLY, "CLUSTERDOWN");
    check_async(client, 2, get, NKV_EREPLY, "CLUSTERDOWN");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}
