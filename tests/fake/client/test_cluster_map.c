/* tests/fake/client/test_cluster_map.c - how a client learns of a played cluster, and what it says
 * if it cannot: announced addresses, old servers, refusals, dead seeds. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/fc_client.h"

enum { SOON_MS = 10000 };

/* ---- Where nodes say that they are ----------------------------------------------------------- */

/* Reads and caches a key of each node, and sees every change of it. */
static void check_all_nodes(t_fc *fc, nkv_client *client, int nodes)
{
    for (int i = 0; i < nodes; i++) {
        const char *key = t_fc_key(fc, i, 0);
        t_fc_put(fc, i, key, "old");
        cr_assert(t_says(t_near_get_at(client, key, NKV_BARRIER), "old"), "node %d", i);
        T_WAIT_UNTIL(t_fc_is_hit(client, key, "old"), SOON_MS);
        t_fc_put(fc, i, key, "new");
        cr_assert(t_is(t_near_get_at(client, key, NKV_BARRIER), NKV_FROM_SERVER, "new"));
    }
}

static void check_endpoint(t_fc_endpoint how, bool no_shards)
{
    t_fc *fc = t_fc_start(3);
    t_fc_announce(fc, how);
    if (no_shards) {
        t_fc_say(fc, T_FC_EVERY, -1, "-ERR Unknown subcommand or wrong number of arguments",
                 "CLUSTER", "SHARDS");
    }
    nkv_options options = t_fc_options(fc);
    options.url = t_fc_url_of(fc, 1);
    nkv_client *client = t_near_open(&options);
    check_all_nodes(fc, client, 3);
    cr_assert_gt(t_fc_hits(fc, "CLUSTER", "SLOTS"), 0);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_map, nodes_that_announce_an_address, .timeout = 60)
{
    check_endpoint(T_FC_IP, false);
    check_endpoint(T_FC_IP, true);
}

Test(client_cluster_map, nodes_that_announce_a_name, .timeout = 60)
{
    check_endpoint(T_FC_NAME, false);
    check_endpoint(T_FC_NAME, true);
}

Test(client_cluster_map, nodes_that_announce_an_empty_host, .timeout = 60)
{
    check_endpoint(T_FC_EMPTY, false);
    check_endpoint(T_FC_EMPTY, true);
}

Test(client_cluster_map, nodes_that_announce_nil, .timeout = 60)
{
    check_endpoint(T_FC_NIL, false);
    check_endpoint(T_FC_NIL, true);
}

Test(client_cluster_map, nodes_that_should_have_a_name, .timeout = 60)
{
    check_endpoint(T_FC_UNKNOWN, false);
    check_endpoint(T_FC_UNKNOWN, true);
}

/* ---- Addresses that are reached elsewhere ---------------------------------------------------- */

static void check_address_map(t_fc *fc, const char *map)
{
    t_fc_announce(fc, T_FC_FAR);
    nkv_options options = t_fc_options(fc);
    options.address_map = map;
    nkv_client *client = t_near_open(&options);
    check_all_nodes(fc, client, 3);
    /* A redirection tells a far address, too. */
    const char *key = t_fc_key(fc, 0, 1);
    t_fc_put(fc, 0, key, "v");
    cr_assert(t_says(t_near_get(client, key), "v"));
    t_fc_give(fc, t_fc_slot(key), 2);
    cr_assert(t_is(
        t_near_get_with(client, key, &(nkv_call){.struct_size = sizeof(nkv_call), .no_cache = 1}),
        NKV_FROM_SERVER, "v"));
    nkv_client_destroy(client);
}

Test(client_cluster_map, far_addresses_are_translated, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    char *map = t_format("10.9.9.1:7000=127.0.0.1:%d,10.9.9.2:7000=localhost:%d,"
                         "10.9.9.3:7000=127.0.0.1:%d",
                         t_fc_port(fc, 0), t_fc_port(fc, 1), t_fc_port(fc, 2));
    check_address_map(fc, map);
    free(map);
    t_fc_stop(fc);
}

Test(client_cluster_map, the_most_exact_translation_counts, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    char *map =
        t_format("*=127.0.0.1:1,10.9.9.1=127.0.0.1:%d,10.9.9.2=[::1]:9,10.9.9.2:7000=127.0.0.1:%d,"
                 "*:7000=localhost:%d,127.0.0.1=127.0.0.1",
                 t_fc_port(fc, 0), t_fc_port(fc, 1), t_fc_port(fc, 2));
    check_address_map(fc, map);
    free(map);
    t_fc_stop(fc);
}

Test(client_cluster_map, a_host_alone_keeps_the_port, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    t_fc_announce(fc, T_FC_NAME);
    nkv_options options = t_fc_options(fc);
    options.address_map = "LOCALHOST=127.0.0.1";
    nkv_client *client = t_near_open(&options);
    check_all_nodes(fc, client, 3);
    char one[64];
    (void)snprintf(one, sizeof one, "127.0.0.1:%d", t_fc_port(fc, 2));
    cr_assert(t_fc_lists(client, one));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

#define NOPERM "-NOPERM User default has no permissions to run the 'cluster|slots' command"

Test(client_cluster_map, an_acl_without_cluster_is_told_by_its_command, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    t_fc_say(fc, T_FC_EVERY, -1, NOPERM, "CLUSTER", "...");
    nkv_options options = t_fc_options(fc);
    options.timeout_ms = 1000;
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    const int64_t begun_ms = t_now_ms();
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_EREPLY);
    cr_assert_lt(t_now_ms() - begun_ms, 5000, "it will not get better");
    cr_assert(strstr(error.text, "CLUSTER S") != NULL && strstr(error.text, "NOPERM") != NULL, "%s",
              error.text);
    const char *key = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 1, key, "v");
    for (int i = 0; i < 3; i++) {
        t_answer got = t_near_get(client, key);
        cr_assert(got.status == NKV_OK ? got.from == NKV_FROM_SERVER : got.status == NKV_EREPLY,
                  "%s", got.error.text);
        cr_assert_lt(got.took_ms, 3000);
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_map, a_refused_info_leaves_nobody_vouching, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    t_fc_say(fc, T_FC_EVERY, -1, "-NOPERM no permission for 'cluster|info'", "CLUSTER", "INFO");
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    const char *key = t_fc_key(fc, 1, 0);
    t_fc_put(fc, 1, key, "v");
    nkv_error error;
    cr_assert_neq(nkv_client_wait_ready(client, 1500, &error), NKV_OK);
    cr_assert_neq(strlen(error.text), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"));
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* One seed that is no cluster at all does not keep the others from being asked. */
Test(client_cluster_map, one_seed_that_refuses_is_not_all, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    t_fc_say(fc, 0, -1, "-ERR This instance has cluster support disabled", "CLUSTER", "...");
    t_fc_give_all(fc, 0, 1);
    t_fc_leave(fc, 0);
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    const char *key = t_fc_key(fc, 2, 0);
    t_fc_put(fc, 2, key, "v");
    cr_assert(t_says(t_near_get(client, key), "v"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_map, a_seed_that_is_still_loading_is_asked_again, .timeout = 60)
{
    t_fc *fc = t_fc_start(1);
    t_fc_say(fc, 0, 6, "-LOADING the dataset is being loaded", "CLUSTER", "...");
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Seeds and nodes ------------------------------------------------------------------------- */

Test(client_cluster_map, dead_seeds_end_the_wait_and_are_named, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    for (int i = 0; i < 3; i++) {
        t_fake_refuse(t_fc_node(fc, i), true);
    }
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    const int64_t begun_ms = t_now_ms();
    cr_assert_eq(nkv_client_wait_ready(client, 500, &error), NKV_ECONN);
    cr_assert_lt(t_now_ms() - begun_ms, 3000);
    cr_assert_not_null(strstr(error.text, "127.0.0.1:"), "%s", error.text);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 300;
    t_answer got = t_near_get_with(client, "k", &call);
    cr_assert(t_failed(got, NKV_ECONN, "127.0.0.1:") || got.status == NKV_ETIMEDOUT);
    cr_assert_lt(got.took_ms, 3000);
    t_fake_refuse(t_fc_node(fc, 2), false);
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_ECONN, "two are missing");
    t_fake_refuse(t_fc_node(fc, 0), false);
    t_fake_refuse(t_fc_node(fc, 1), false);
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* More seeds than are tried at once, and only the last one lives. */
Test(client_cluster_map, the_last_seed_is_found, .timeout = 60)
{
    t_fc *fc = t_fc_start(6);
    for (int i = 0; i < 5; i++) {
        t_fake_refuse(t_fc_node(fc, i), true);
        t_fc_give_all(fc, i, 5);
        t_fc_leave(fc, i);
    }
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    char one[64];
    (void)snprintf(one, sizeof one, "127.0.0.1:%d", t_fc_port(fc, 5));
    T_WAIT_UNTIL(t_fc_nodes(client) == 1 && t_fc_lists(client, one), SOON_MS);
    cr_assert(t_near_healthy(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_map, health_lists_the_nodes_that_are_used, .timeout = 60)
{
    t_fc *fc = t_fc_start(4);
    t_fc_give_all(fc, 3, 0);
    t_fc_announce(fc, T_FC_NAME);
    nkv_options options = t_fc_options(fc);
    nkv_client *client = t_near_open(&options);
    T_WAIT_UNTIL(t_fc_nodes(client) == 4, SOON_MS); /* a primary without slots counts */
    for (int i = 0; i < 4; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "localhost:%d", t_fc_port(fc, i));
        cr_assert(t_fc_lists(client, name), "not by the address of the seed: %s", name);
    }
    T_WAIT_UNTIL(t_near_healthy(client), SOON_MS);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A primary that failed and lost its slots stays in everybody's list until it is forgotten. */
Test(client_cluster_map, a_former_primary_that_is_down_is_not_used, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    t_fc_give_all(fc, 2, 1);
    t_fc_down(fc, 2, true);
    t_fake_refuse(t_fc_node(fc, 2), true);
    nkv_options options = t_fc_options(fc);
    options.url = t_fc_url_of(fc, 0);
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    cr_assert_eq(t_fc_nodes(client), 2);
    cr_assert(t_near_healthy(client));
    const size_t told = t_fc_hits(fc, "CLUSTER", "SHARDS");
    T_WAIT_UNTIL(t_fc_hits(fc, "CLUSTER", "SHARDS") > told + 3, SOON_MS);
    cr_assert_eq(t_fc_nodes(client), 2);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_map, a_client_without_a_cache_learns_the_same, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_options options = t_fc_options(fc);
    options.no_cache = 1;
    nkv_client *client = t_near_start(&options);
    nkv_error error;
    cr_assert_eq(nkv_client_wait_ready(client, SOON_MS, &error), NKV_OK, "%s", error.text);
    for (int i = 0; i < 3; i++) {
        const char *key = t_fc_key(fc, i, 0);
        t_fc_put(fc, i, key, "v");
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"));
        t_fc_put(fc, i, key, "w");
        cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "w"));
    }
    cr_assert_eq(t_fc_hits(fc, "CLIENT", "TRACKING", "..."), 0);
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_give(fc, t_fc_slot(key), 2);
    cr_assert(t_says(t_near_get(client, key), "w"));
    cr_assert(t_says(t_near_get(client, key), "w"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}
