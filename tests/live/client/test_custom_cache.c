/* tests/live/client/test_custom_cache.c - a cache of the user's own: the acceptance cases 6, 14 and
 * 105.
 *
 * Case 14 of the seed has a third part, «no reply»: CLIENT REPLY OFF is refused on shared
 * connections (case 65), so no read without a reply can be asked for.                            */

#include <stdlib.h>

#include "support/cache_conformance.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/toy_cache.h"

/* ---- Case 105: the suite itself -------------------------------------------------------------- */

Test(client_custom_cache, case_105_a_right_table_passes)
{
    t_toy_new_fault = T_TOY_RIGHT;
    cr_assert_eq(nkv_cache_conformance(&t_toy_heap_ops, t_toy_new, stderr), 0);
}

Test(client_custom_cache, case_105_every_wrong_table_fails)
{
    for (int fault = T_TOY_RIGHT + 1; fault < T_TOY_FAULTS; fault++) {
        t_toy_new_fault = (t_toy_fault)fault;
        cr_assert_gt(nkv_cache_conformance(&t_toy_heap_ops, t_toy_new, NULL), 0,
                     "fault %d was not seen", fault);
        t_toy_free_leaks();
    }
}

/* ---- nkv_cache_wrap() ------------------------------------------------------------------------ */

Test(client_custom_cache, case_14_what_a_table_must_have)
{
    t_toy toy;
    t_toy_init(&toy);
    nkv_cache *cache = NULL;
    nkv_error error;
    for (int i = 0; i < 5; i++) {
        nkv_cache_ops ops = t_toy_ops;
        switch (i) {
        case 0:
            ops.get = NULL;
            break;
        case 1:
            ops.put = NULL;
            break;
        case 2:
            ops.invalidate = NULL;
            break;
        case 3:
            ops.reset = NULL;
            break;
        default:
            ops.struct_size = 0;
            break;
        }
        cr_assert_eq(nkv_cache_wrap(&ops, &toy, &cache, &error), NKV_EINVAL, "without %d", i);
        cr_assert_neq(error.text[0], '\0');
    }
    cr_assert_eq(toy.destroyed, 0, "destroyed though it was refused");
    nkv_cache_ops least = {.struct_size = sizeof least,
                           .get = t_toy_ops.get,
                           .put = t_toy_ops.put,
                           .invalidate = t_toy_ops.invalidate,
                           .reset = t_toy_ops.reset};
    cr_assert_eq(nkv_cache_wrap(&least, &toy, &cache, NULL), NKV_OK);
    memset(&least, 0xff, sizeof least); /* it was copied */
    cr_assert_float_eq(nkv_cache_confidence(cache), 100, 1e-9);
    nkv_cache_stats stats;
    memset(&stats, 0xff, sizeof stats);
    nkv_cache_get_stats(cache, &stats);
    cr_assert(stats.keys == 0 && stats.hits == 0, "zeroes where the table says nothing");
    nkv_cache_feedback(cache, 0, nkv_cstr("k"), 1);
    nkv_cache_reset(cache);
    cr_assert_eq(toy.resets, 1);
    nkv_cache_release(nkv_cache_retain(cache));
    nkv_cache_release(cache);
    cr_assert_eq(toy.destroyed, 0);
    t_toy_ops.destroy(&toy);
}

/* ---- A client on a table --------------------------------------------------------------------- */

typedef struct scene {
    t_toy toy;
    nkv_cache *cache;
    nkv_client *client;
    t_ctl *ctl;
} scene;

static void open_scene(scene *s, const t_server *server)
{
    t_toy_init(&s->toy);
    s->ctl = t_ctl_open(server);
    cr_assert_eq(nkv_cache_wrap(&t_toy_ops, &s->toy, &s->cache, NULL), NKV_OK);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache = s->cache;
    s->client = t_near_open(&options);
}

static void close_scene(scene *s)
{
    cr_assert(t_near_identity(s->client));
    nkv_client_destroy(s->client);
    cr_assert_eq(s->toy.destroyed, 0, "somebody still holds it");
    nkv_cache_release(s->cache);
    cr_assert_eq(s->toy.destroyed, 1, "destroyed %d times", s->toy.destroyed);
    t_ctl_close(s->ctl);
}

T_LIVE(client_custom_cache, case_14_hit_and_miss)
{
    scene s;
    open_scene(&s, server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    t_ctl_ok(s.ctl, "HSET", "h", "f", "w");
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert(t_is(t_near(s.client, "HGET", "h", "f"), NKV_FROM_SERVER, "w"));
    cr_assert(t_is(t_near(s.client, "HGET", "h", "f"), NKV_FROM_CACHE, "w"));
    cr_assert(t_is(t_near(s.client, "HGET", "h", "g"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near(s.client, "MGET", "k", "none"), NKV_FROM_SERVER, "[v _]"));
    cr_assert_geq(s.toy.gets, 6);
    cr_assert_geq(s.toy.hits, 2);
    cr_assert_eq(s.toy.puts, 4);
    t_ctl_ok(s.ctl, "SET", "k", "new");
    t_near_sync(s.client);
    cr_assert_geq(s.toy.invalidations, 1);
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "new"));
    t_ctl_ok(s.ctl, "FLUSHALL");
    t_near_sync(s.client);
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "_"));
    cr_assert_eq(t_near_stats(s.client).cache.puts, (uint64_t)s.toy.puts);
    close_scene(&s);
}

T_LIVE(client_custom_cache, p2_case_14_own_set_drops_a_cached_nil)
{
    scene s;
    open_scene(&s, server);
    for (int i = 0; i < 200; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        (void)t_near_get(s.client, "k");
        cr_assert_eq(t_near_set(s.client, "k", value), NKV_OK);
        cr_assert(t_says(t_near_get(s.client, "k"), value));
    }
    close_scene(&s);
}

/* The client checks owner and health itself: a table cannot make a stale hit of a lost connection.
 */
T_LIVE(client_custom_cache, i1_case_14_a_table_that_forgets_nothing_on_loss)
{
    scene s;
    open_scene(&s, server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(s.client, "k"), "old"));
    s.toy.fault = T_TOY_RESET_NOTHING;
    const nkv_node_health before = t_near_node(s.client);
    cr_assert_eq(t_ctl_kill_id(s.ctl, before.client_id), 1);
    t_ctl_ok(s.ctl, "SET", "k", "new");
    T_WAIT_UNTIL(t_near_node(s.client).generation > before.generation, 5000);
    cr_assert(t_says(t_near_get(s.client, "k"), "new"));
    T_WAIT_UNTIL(t_near_healthy(s.client), 5000);
    cr_assert(t_says(t_near_get(s.client, "k"), "new"));
    close_scene(&s);
}

/* Values that a table made up, or kept from elsewhere, were vouched for by nobody. */
static nkv_value *forged;

static nkv_value *forge_get(void *self, uint32_t space, nkv_str key, nkv_str command)
{
    (void)self;
    (void)space;
    (void)key;
    (void)command;
    return nkv_value_retain(forged);
}

T_LIVE(client_custom_cache, i1_case_14_a_table_that_makes_answers_up)
{
    t_toy toy;
    t_toy_init(&toy);
    forged = nkv_value_from_bytes("forged", 6);
    nkv_cache_ops ops = t_toy_ops;
    ops.get = forge_get;
    nkv_cache *cache = NULL;
    cr_assert_eq(nkv_cache_wrap(&ops, &toy, &cache, NULL), NKV_OK);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.cache = cache;
    nkv_client *client = t_near_open(&options);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "_"));
    nkv_client_destroy(client);
    nkv_cache_release(cache);
    nkv_value_release(forged);
    cr_assert_eq(toy.destroyed, 1);
}

/* healthy() == 0: every read goes to the server and is counted so. */
T_LIVE(client_custom_cache, p4_case_14_an_unhealthy_table_is_bypassed)
{
    scene s;
    open_scene(&s, server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(s.client, "k"), "v"));
    s.toy.healthy = 0;
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "v"));
    }
    cr_assert_eq(t_near_stats(s.client).bypass[NKV_BYPASS_UNHEALTHY], 3);
    s.toy.healthy = 1;
    cr_assert(t_says(t_near_get(s.client, "k"), "v"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "v"));
    close_scene(&s);
}

/* An answer belongs to the key and command that it was put for. */
T_LIVE(client_custom_cache, i1_case_14_a_table_that_mixes_keys_up)
{
    scene s;
    open_scene(&s, server);
    t_ctl_ok(s.ctl, "MSET", "one", "1", "two", "2");
    cr_assert(t_says(t_near_get(s.client, "one"), "1"));
    s.toy.instead = "one";
    cr_assert(t_is(t_near_get(s.client, "two"), NKV_FROM_SERVER, "2"));
    cr_assert(t_is(t_near_get(s.client, "one"), NKV_FROM_CACHE, "1"));
    close_scene(&s);
}

/* Case 6 as the seed has it: confidence 0 and a cached value that is wrong (the table did not
 * forget it when it was told to); each of the ten reads is fed back, and answered with what the
 * server said. */
T_LIVE(client_custom_cache, case_06_ten_wrong_answers_are_fed_back)
{
    scene s;
    open_scene(&s, server);
    s.toy.fault = T_TOY_INVALIDATES_NONE;
    for (int i = 0; i < 10; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "fubar%d", i);
        t_ctl_ok(s.ctl, "SET", key, "old");
        cr_assert(t_says(t_near_get(s.client, key), "old"));
        t_ctl_ok(s.ctl, "SET", key, "new");
    }
    t_near_sync(s.client);
    s.toy.confidence = 0;
    for (int i = 0; i < 10; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "fubar%d", i);
        cr_assert(t_says(t_near_get(s.client, key), "new"));
    }
    cr_assert(s.toy.mismatches == 10 && s.toy.matches == 0, "%d mismatches, %d matches",
              s.toy.mismatches, s.toy.matches);
    t_ctl_ok(s.ctl, "SET", "fubar0", "old");
    cr_assert(t_says(t_near_get(s.client, "fubar0"), "old"));
    cr_assert_eq(s.toy.matches, 1);
    cr_assert_eq(t_near_stats(s.client).validations, 11);
    close_scene(&s);
}
