/* tests/fake/client/test_cluster_age.c - slots that change hands while a client only has hits: how
 * long what was cached before is served. Nobody answers MOVED here, nothing is pushed: the nodes'
 * own words are all there is. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/fc_client.h"

/* LATE_MS: topology_max_age and what a loaded machine may add; only behind it is a hit wrong. */
enum { SOON_MS = 10000, LATE_MS = 3 * T_FC_AGE_MS };

static bool not_hit(nkv_client *client, const char *key, const char *text)
{
    return !t_fc_is_hit(client, key, text);
}

/* The old answer is not served for long any more, and the new one then is, from the cache. */
static void check_change(nkv_client *client, const char *key, const char *old, const char *new)
{
    const int64_t begun_ms = t_now_ms();
    T_WAIT_UNTIL(not_hit(client, key, old), SOON_MS);
    cr_assert_lt(t_now_ms() - begun_ms, LATE_MS);
    for (int i = 0; i < 20; i++) {
        cr_assert(t_says(t_near_get(client, key), new));
    }
    t_fc_warm(client, key, new);
}

Test(client_cluster_age, case_82_a_negative_entry_does_not_outlive_the_word, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    t_fc_give(fc, t_fc_slot(key), 2);
    t_fc_put(fc, 2, key, "v");
    check_change(client, key, "_", "v");
    t_fc_put(fc, 2, key, "w");
    cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "w"), "the new node is heard");
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* The slot is still the source's, which does not have the key: it was made where the slot goes. */
Test(client_cluster_age, case_82_nor_while_the_slot_is_on_its_way, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0), *here = t_fc_key(fc, 0, 1), *other = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 0, here, "h");
    t_fc_warm(client, key, "_");
    t_fc_warm(client, here, "h");
    t_fc_warm(client, other, "_");
    t_fc_migrate(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "v");
    const int64_t begun_ms = t_now_ms();
    T_WAIT_UNTIL(not_hit(client, key, "_"), SOON_MS);
    cr_assert_lt(t_now_ms() - begun_ms, LATE_MS);
    for (int i = 0; i < 20; i++) {
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"), "behind ASK");
    }
    t_fc_warm(client, here, "h");
    t_fc_warm(client, other, "_");
    /* It is called off, and everything is as before. */
    t_fc_put(fc, 1, key, NULL);
    t_fc_migrate(fc, t_fc_slot(key), T_FC_NOBODY);
    t_fc_warm(client, key, "_");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* So many slots leave at once that they are not told apart. */
Test(client_cluster_age, case_82_nor_while_very_many_are, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    for (int slot = 0, n = 0; n < 100; slot++) {
        if (slot != t_fc_slot(key)) {
            t_fc_migrate(fc, (uint16_t)slot, 1);
            n++;
        }
    }
    t_fc_migrate(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "v");
    const int64_t begun_ms = t_now_ms();
    T_WAIT_UNTIL(not_hit(client, key, "_"), SOON_MS);
    cr_assert_lt(t_now_ms() - begun_ms, LATE_MS);
    cr_assert(t_says(t_near_get(client, key), "v"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, case_83_nor_does_a_value_that_was_not_migrated, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 1, 0), *stays = t_fc_key(fc, 1, 1);
    t_fc_put(fc, 1, key, "old");
    t_fc_put(fc, 1, stays, "s");
    t_fc_warm(client, key, "old");
    t_fc_warm(client, stays, "s");
    t_fc_give(fc, t_fc_slot(key), 0);
    t_fc_put(fc, 0, key, "new");
    check_change(client, key, "old", "new");
    t_fc_warm(client, stays, "s");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* There and back, with a write in between, faster than anybody is asked. */
Test(client_cluster_age, case_84_a_slot_that_comes_back, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    t_fc_give(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "v");
    t_fc_give(fc, t_fc_slot(key), 0);
    check_change(client, key, "_", "v");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, case_84_a_slot_that_comes_back_while_another_leaves, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    t_fc_give(fc, t_fc_slot(key), 1);
    t_fc_put(fc, 1, key, "v");
    t_fc_give(fc, t_fc_slot(key), 0);
    t_fc_give(fc, t_fc_slot(t_fc_key(fc, 0, 1)), 1);
    check_change(client, key, "_", "v");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Who vouches ----------------------------------------------------------------------------- */

/* For a while nothing is a hit, and every answer is right. */
static void check_bypass(t_fc *fc, nkv_client *client, int node, const char *key)
{
    T_WAIT_UNTIL(t_near_get(client, key).from == NKV_FROM_SERVER, SOON_MS);
    for (int i = 0; i < 10; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "v%d", i);
        t_fc_put(fc, node, key, text);
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, text));
        t_sleep_ms(20);
    }
}

Test(client_cluster_age, case_90_a_node_that_is_not_well_vouches_for_nothing, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0), *other = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 0, key, "v");
    t_fc_warm(client, key, "v");
    t_fc_warm(client, other, "_");
    t_fc_fail(fc, 0, true);
    check_bypass(fc, client, 0, key);
    t_fc_warm(client, other, "_");
    t_fc_fail(fc, 0, false);
    t_fc_warm(client, key, "v9");
    t_fc_put(fc, 0, key, "w");
    cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "w"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, case_90_a_cluster_that_is_down_answers_with_its_error, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_put(fc, 0, key, "v");
    t_fc_warm(client, key, "v");
    t_fc_fail(fc, 0, true);
    t_fc_fail(fc, 1, true);
    t_fc_say(fc, T_FC_EVERY, -1, "-CLUSTERDOWN The cluster is down", "GET", "*");
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 200;
    T_WAIT_UNTIL(t_near_get_with(client, key, &call).status == NKV_EREPLY, SOON_MS);
    cr_assert(t_failed(t_near_get_with(client, key, &call), NKV_EREPLY, "CLUSTERDOWN"));
    t_fc_hush(fc);
    t_fc_fail(fc, 0, false);
    t_fc_fail(fc, 1, false);
    t_fc_warm(client, key, "v");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, who_does_not_answer_for_itself_vouches_no_longer, .timeout = 60)
{
    static const char *const lines[] = {"-BUSY Redis is busy running a script",
                                        "-NOPERM User default has no permissions"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        t_fc *fc = t_fc_start(2);
        nkv_client *client = t_fc_open(fc);
        const char *key = t_fc_key(fc, 0, 0);
        t_fc_put(fc, 0, key, "v");
        t_fc_warm(client, key, "v");
        t_fc_say(fc, 0, -1, lines[i], "CLUSTER", "...");
        check_bypass(fc, client, 0, key);
        t_fc_hush(fc);
        t_fc_warm(client, key, "v9");
        nkv_client_destroy(client);
        t_fc_stop(fc);
    }
}

/* Its answers to questions stay out, but its stream goes on: pushes come. */
Test(client_cluster_age, who_is_silent_about_itself_vouches_no_longer, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_options options = t_fc_options(fc);
    options.max_idle_ms = 60000;
    nkv_client *client = t_near_open(&options);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_put(fc, 0, key, "v");
    t_fc_warm(client, key, "v");
    const int conn = t_fc_tracked(fc, 0);
    t_fc_say(fc, 0, -1, "", "CLUSTER", "...");
    const int64_t begun_ms = t_now_ms();
    bool hit = true;
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 100;
    while (hit && t_now_ms() < begun_ms + SOON_MS) {
        t_fake_say(t_fc_node(fc, 0), conn, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\nnoise\r\n");
        t_sleep_ms(10);
        hit = t_near_get_with(client, key, &call).from == NKV_FROM_CACHE;
    }
    cr_assert_not(hit);
    cr_assert_lt(t_now_ms() - begun_ms, LATE_MS);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A node that is cut off from the others keeps its old view, which is not believed of others. */
Test(client_cluster_age, an_old_view_of_others_does_no_harm, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_give(fc, t_fc_slot(key), 1);
    t_fc_believe(fc, 2, t_fc_slot(key), 0);
    nkv_options options = t_fc_options(fc);
    options.url = t_fc_url_of(fc, 2);
    nkv_client *client = t_near_open(&options);
    t_fc_put(fc, 1, key, "v");
    t_fc_warm(client, key, "v");
    const nkv_stats before = t_near_stats(client);
    for (int64_t end_ms = t_now_ms() + 3 * T_FC_AGE_MS; t_now_ms() < end_ms; t_sleep_ms(5)) {
        cr_assert(t_says(t_near_get(client, key), "v"));
    }
    cr_assert_leq(t_near_stats(client).misses - before.misses, 1, "it changes to and back");
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Nodes that come and go ------------------------------------------------------------------ */

Test(client_cluster_age, case_87_a_node_that_joins_is_cached_and_heard, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_warm(client, key, "_");
    const int node = t_fc_join(fc);
    T_WAIT_UNTIL(t_fc_nodes(client) == 3 && t_near_healthy(client), SOON_MS);
    t_fc_give(fc, t_fc_slot(key), node);
    t_fc_put(fc, node, key, "v");
    check_change(client, key, "_", "v");
    const size_t asked = t_fake_hits(t_fc_node(fc, node), "GET", key);
    cr_assert_leq(asked, 2, "its reads are kept; its first word with the slot drops them once");
    t_fc_put(fc, node, key, "w");
    T_WAIT_UNTIL(not_hit(client, key, "v"), SOON_MS);
    cr_assert(t_says(t_near_get(client, key), "w"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, case_88_a_node_that_leaves_is_let_go, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 2, 0);
    t_fc_put(fc, 2, key, "v");
    t_fc_warm(client, key, "v");
    cr_assert_eq(t_near_set(client, t_fc_key(fc, 2, 1), "x"), NKV_OK, "its data lane is in use");
    t_fc_give_all(fc, 2, 0);
    t_fc_leave(fc, 2);
    check_change(client, key, "v", "v");
    t_fc_put(fc, 0, key, "w");
    cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "w"));
    for (int conn = 1; conn <= t_fake_accepted(t_fc_node(fc, 2)); conn++) {
        cr_assert(t_fake_wait_closed(t_fc_node(fc, 2), conn, SOON_MS), "connection %d", conn);
    }
    T_WAIT_UNTIL(t_fc_nodes(client) == 2, SOON_MS);
    const int before = t_fake_accepted(t_fc_node(fc, 2));
    t_sleep_ms(200);
    cr_assert_eq(t_fake_accepted(t_fc_node(fc, 2)), before, "it is not called again");
    cr_assert(t_near_healthy(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_age, a_node_that_left_may_come_back, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 1, key, "v");
    t_fc_warm(client, key, "v");
    const int node = t_fc_join(fc);
    for (int i = 0; i < 2; i++) {
        t_fc_give(fc, t_fc_slot(key), node);
        check_change(client, key, "nothing", "v");
        t_fc_give(fc, t_fc_slot(key), 1);
        t_fc_leave(fc, node);
        check_change(client, key, "nothing", "v");
        T_WAIT_UNTIL(t_fc_nodes(client) == 2, SOON_MS);
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A node that dies, and another that takes its slots over: only third parties can tell. */
Test(client_cluster_age, a_failover_is_learnt_from_the_others, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = t_fc_open(fc);
    const char *key = t_fc_key(fc, 2, 0);
    t_fc_put(fc, 2, key, "v");
    t_fc_warm(client, key, "v");
    t_fake_refuse(t_fc_node(fc, 2), true);
    t_fake_close(t_fc_node(fc, 2), T_EVERY, true);
    t_fc_give_all(fc, 2, 1);
    t_fc_down(fc, 2, true);
    t_fc_put(fc, 1, key, "w");
    T_WAIT_UNTIL(not_hit(client, key, "v"), SOON_MS);
    cr_assert(t_says(t_near_get(client, key), "w"));
    cr_assert_eq(t_near_set(client, key, "x"), NKV_OK);
    check_change(client, key, "v", "x");
    T_WAIT_UNTIL(t_fc_nodes(client) == 2, SOON_MS);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}
