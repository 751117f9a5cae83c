/* tests/fake/client/test_cluster_batches.c - many keys at once over a played cluster: small ones
 * from the cache, large ones on bulk lanes, pairs, and commands that are split by hash slot. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/batch.h>

#include "support/check.h"
#include "support/chunks.h"
#include "support/fc_client.h"

enum { SOON_MS = 10000 };

static nkv_client *open_slow(t_fc *fc)
{
    nkv_options options = t_fc_options(fc);
    options.topology_max_age_ms = 600000;
    return t_near_open(&options);
}

/* ---- Case 95 --------------------------------------------------------------------------------- */

static void check_mget(nkv_client *client, const char *const *keys, size_t n, const char *text)
{
    nkv_str names[16];
    nkv_result results[16];
    char got[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        names[i] = nkv_cstr(keys[i]);
    }
    cr_assert_geq(nkv_mget(client, names, n, NULL, results), 0);
    for (size_t i = 0; i < n; i++) {
        static const char *const from[] = {
            [NKV_FROM_CACHE] = "c", [NKV_FROM_SERVER] = "s", [NKV_FROM_JOINED] = "j"};
        char one[64] = "_";
        if (results[i].value != NULL) {
            const nkv_reply reply = nkv_value_reply(results[i].value);
            t_near_write(&reply, one, sizeof one);
        }
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s/%s", i > 0 ? " " : "", one,
                                from[results[i].from]);
        nkv_value_release(results[i].value);
    }
    cr_assert_str_eq(got, text);
}

Test(client_cluster_batches, case_95_partial_hits_order_and_duplicates, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = open_slow(fc);
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 1, 0), *c = t_fc_key(fc, 2, 0);
    const char *hot = t_fc_key(fc, 1, 1), *none = t_fc_key(fc, 2, 1);
    const char *const keys[] = {c, hot, a, none, b, a, hot, c, none};
    t_fc_put(fc, 0, a, "a");
    t_fc_put(fc, 1, b, "b");
    t_fc_put(fc, 2, c, "c");
    t_fc_put(fc, 1, hot, "h");
    t_fc_warm(client, hot, "h");
    check_mget(client, keys, 9, "c/s h/c a/s _/s b/s a/j h/c c/j _/j");
    check_mget(client, keys, 9, "c/c h/c a/c _/c b/c a/c h/c c/c _/c");
    cr_assert_eq(t_fc_hits(fc, "GET", "..."), 5);
    cr_assert_eq(t_fc_hits(fc, "MGET", "..."), 0, "keys of several slots");
    t_answer got = t_near(client, "MGET", c, hot, none, a);
    cr_assert(t_says(got, "[c h _ a]"));
    got = t_near(client, "EXISTS", c, none, a, a);
    cr_assert(t_says(got, ":3"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* Some keys have moved, some are on their way, one node is slow to answer. */
Test(client_cluster_batches, case_95_while_slots_move, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = open_slow(fc);
    const char *moved = t_fc_key(fc, 0, 0), *asked = t_fc_key(fc, 0, 1),
               *stays = t_fc_key(fc, 0, 2);
    const char *later = t_fc_key(fc, 1, 0);
    const char *const keys[] = {asked, stays, moved, later, moved, asked};
    t_fc_put(fc, 0, moved, "m");
    t_fc_put(fc, 0, stays, "s");
    t_fc_put(fc, 1, later, "l");
    t_fc_give(fc, t_fc_slot(moved), 2);
    t_fc_migrate(fc, t_fc_slot(asked), 1);
    t_fc_put(fc, 1, asked, "a");
    t_fc_say(fc, 1, 2, "-TRYAGAIN not all there", "GET", later);
    check_mget(client, keys, 6, "a/s s/s m/s l/s m/j a/s");
    cr_assert(t_fc_is_hit(client, stays, "s"));
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 0), "GET", stays), 1, "it was answered at once");
    cr_assert(t_is(t_near_get(client, asked), NKV_FROM_SERVER, "a"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Split commands -------------------------------------------------------------------------- */

Test(client_cluster_batches, deletes_over_many_slots_add_up, .timeout = 60)
{
    t_fc *fc = t_fc_start(3);
    nkv_client *client = open_slow(fc);
    enum { N = 12 };
    nkv_str keys[N + 2];
    for (int i = 0; i < N; i++) {
        const char *key = t_fc_key(fc, i % 3, i / 3);
        keys[i] = nkv_cstr(key);
        t_fc_put(fc, i % 3, key, "v");
        t_fc_warm(client, key, "v");
    }
    keys[N] = nkv_cstr(t_fc_key(fc, 1, 10)); /* is not there */
    keys[N + 1] = keys[0];                   /* a duplicate */
    t_fc_give(fc, t_fc_slot(t_fc_key(fc, 0, 0)), 2);
    int64_t removed = 0;
    cr_assert_eq(nkv_del(client, keys, N + 2, NULL, &removed), NKV_OK);
    cr_assert_eq(removed, N);
    for (int i = 0; i < N; i++) {
        cr_assert(t_says(t_near_get(client, keys[i].data), "_"), "P2");
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(t_near_set(client, t_fc_key(fc, i, 0), "w"), NKV_OK);
    }
    t_answer got = t_near(client, "UNLINK", t_fc_key(fc, 0, 0), t_fc_key(fc, 1, 0), "none");
    cr_assert(t_says(got, ":2"));
    got = t_near(client, "TOUCH", t_fc_key(fc, 2, 0), t_fc_key(fc, 1, 0));
    cr_assert(t_says(got, ":1"));
    got = t_near(client, "DEL", t_fc_key(fc, 2, 0), t_fc_key(fc, 1, 0), t_fc_key(fc, 2, 0));
    cr_assert(t_says(got, ":1"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_batches, a_part_that_fails_is_told_and_the_others_count, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 1, 0);
    const nkv_str keys[] = {nkv_cstr(a), nkv_cstr(b)};
    t_fc_put(fc, 0, a, "v");
    t_fc_put(fc, 1, b, "v");
    t_fc_say(fc, 1, -1, "-NOPERM no way", "DEL", "*");
    nkv_call call;
    nkv_call_init(&call);
    int64_t removed = 0;
    cr_assert_eq(nkv_del(client, keys, 2, &call, &removed), NKV_EREPLY);
    cr_assert_not_null(strstr(call.error.text, "NOPERM"));
    cr_assert_eq(removed, 1);
    cr_assert(t_fc_has(fc, 0, a, NULL) && t_fc_has(fc, 1, b, "v"));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_batches, what_cannot_be_split_is_refused, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 1, 0);
    t_answer got = t_near(client, "MSET", a, "1", b, "2");
    cr_assert(t_failed(got, NKV_EREPLY, "CROSSSLOT"));
    const nkv_str one[] = {nkv_cstr("SET"), nkv_cstr(a), nkv_cstr("1")};
    const nkv_str two[] = {nkv_cstr("SET"), nkv_cstr(b), nkv_cstr("1")};
    const nkv_argv commands[] = {{3, one}, {3, two}};
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_transaction(client, commands, 2, &call, &value), NKV_EINVAL);
    cr_assert_null(value);
    cr_assert_not_null(strstr(call.error.text, "slot"), "%s", call.error.text);
    cr_assert_eq(t_fc_hits(fc, "MULTI"), 0);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Bulk lanes ------------------------------------------------------------------------------ */

enum { BULK = 9 };

typedef struct bulk {
    nkv_item items[BULK];
    char bufs[BULK][32];
} bulk;

/* Nine keys of node 0: three stay, three have moved to 1, three are on their way there. */
static void make_bulk(t_fc *fc, bulk *all, bool there)
{
    memset(all, 0, sizeof *all);
    for (int i = 0; i < BULK; i++) {
        const char *key = t_fc_key(fc, 0, i);
        if (i % 3 == 1) {
            t_fc_give(fc, t_fc_slot(key), 1);
        } else if (i % 3 == 2) {
            t_fc_migrate(fc, t_fc_slot(key), 1);
        }
        if (there) {
            t_fc_put(fc, i % 3 == 0 ? 0 : 1, key, key);
        }
        all->items[i].key = nkv_cstr(key);
        all->items[i].buf = all->bufs[i];
        all->items[i].cap = sizeof all->bufs[i];
    }
}

static void check_all(const bulk *all, nkv_status status)
{
    for (int i = 0; i < BULK; i++) {
        cr_assert_eq(all->items[i].status, status, "item %d: %s", i,
                     nkv_status_text(all->items[i].status));
    }
}

Test(client_cluster_batches, large_values_are_found_where_they_are, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    bulk all;
    make_bulk(fc, &all, true);
    t_fc_say(fc, 1, 3, "-TRYAGAIN later", "GET", t_fc_key(fc, 0, 1));
    t_fc_say(fc, 0, 1, "-LOADING later", "GET", t_fc_key(fc, 0, 0));
    cr_assert_eq(nkv_batch_get(client, all.items, BULK, NULL), NKV_OK);
    check_all(&all, NKV_OK);
    for (int i = 0; i < BULK; i++) {
        cr_assert_eq(all.items[i].len, all.items[i].key.len);
        cr_assert_eq(memcmp(all.bufs[i], all.items[i].key.data, all.items[i].len), 0);
    }
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "ASKING"), 3);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_batches, large_values_are_written_and_removed_there, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    bulk all;
    t_fc_warm(client, t_fc_key(fc, 0, 1), "_");
    t_fc_warm(client, t_fc_key(fc, 0, 2), "_");
    make_bulk(fc, &all, false);
    for (int i = 0; i < BULK; i++) {
        all.items[i].value = nkv_cstr("value");
    }
    cr_assert_eq(nkv_batch_put(client, all.items, BULK, 0, NULL), NKV_OK);
    check_all(&all, NKV_OK);
    for (int i = 0; i < BULK; i++) {
        const char *key = t_fc_key(fc, 0, i);
        cr_assert(t_fc_has(fc, i % 3 == 0 ? 0 : 1, key, "value"), "item %d", i);
        cr_assert_eq(t_fc_hits(fc, "SET", key, "value"), i % 3 == 0 ? 1 : 2);
        cr_assert(t_says(t_near_get(client, key), "value"), "P2");
    }
    cr_assert_eq(nkv_batch_exists(client, all.items, BULK, NULL), NKV_OK);
    check_all(&all, NKV_OK);
    cr_assert_eq(nkv_batch_remove(client, all.items, BULK, NULL), NKV_OK);
    check_all(&all, NKV_OK);
    cr_assert_eq(nkv_batch_exists(client, all.items, BULK, NULL), NKV_OK);
    check_all(&all, NKV_NOT_FOUND);
    for (int i = 0; i < BULK; i++) {
        cr_assert(t_says(t_near_get(client, t_fc_key(fc, 0, i)), "_"));
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_batches, one_item_that_cannot_be_had_is_told_of_alone, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    bulk all;
    make_bulk(fc, &all, true);
    t_fc_say(fc, T_FC_EVERY, -1, "-TRYAGAIN never", "GET", t_fc_key(fc, 0, 4));
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 400;
    const int64_t begun_ms = t_now_ms();
    cr_assert_eq(nkv_batch_get(client, all.items, BULK, &call), NKV_EREPLY);
    cr_assert_lt(t_now_ms() - begun_ms, 2000);
    cr_assert_not_null(strstr(call.error.text, "TRYAGAIN"), "%s", call.error.text);
    for (int i = 0; i < BULK; i++) {
        cr_assert_eq(all.items[i].status, i == 4 ? NKV_EREPLY : NKV_OK, "item %d", i);
    }
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* A value that fills the socket while its slot leaves: it is sent again, whole. */
Test(client_cluster_batches, a_value_of_a_megabyte_is_led_on, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const size_t len = 1u << 20;
    char *value = malloc(len + 1), *back = malloc(len);
    cr_assert(value != NULL && back != NULL);
    memset(value, 'x', len);
    value[len] = '\0';
    const char *key = t_fc_key(fc, 0, 0);
    t_fc_give(fc, t_fc_slot(key), 1);
    nkv_item item = {.key = nkv_cstr(key), .value = nkv_str_make(value, len)};
    cr_assert_eq(nkv_batch_put(client, &item, 1, 0, NULL), NKV_OK);
    cr_assert(t_fc_has(fc, 1, key, value));
    t_fc_give(fc, t_fc_slot(key), 0);
    item = (nkv_item){.key = nkv_cstr(key), .buf = back, .cap = len};
    cr_assert_eq(nkv_batch_get(client, &item, 1, NULL), NKV_OK);
    cr_assert(item.len == len && memcmp(back, value, len) == 0);
    free(value);
    free(back);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

/* ---- Pairs ----------------------------------------------------------------------------------- */

static nkv_status put_pair(nkv_client *client, const char *key, const char *other, int64_t ttl_ms)
{
    t_chunk *chunk = t_chunk_set(nkv_cstr(key), nkv_cstr("1"), ttl_ms);
    chunk->chunk.kind = NKVI_CHUNK_PAIR;
    chunk->chunk.other_key = nkv_cstr(other);
    chunk->chunk.other_value = nkv_cstr("2");
    (void)t_chunk_run(client, chunk);
    const nkv_status status = chunk->status;
    t_chunk_drop(chunk);
    return status;
}

static void check_pairs(int64_t ttl_ms)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const char *const tags[][2] = {{"{a}1", "{a}2"}, {"{b}1", "{b}2"}};
    for (int i = 0; i < 2; i++) {
        const uint16_t slot = t_fc_slot(tags[i][0]);
        t_fc_give(fc, slot, 0);
        t_fc_put(fc, 0, tags[i][0], "old");
        t_fc_put(fc, 0, tags[i][1], "old");
        t_fc_warm(client, tags[i][0], "old");
        t_fc_warm(client, tags[i][1], "old");
        if (i == 0) {
            t_fc_give(fc, slot, 1);
        } else {
            t_fc_migrate(fc, slot, 1);
            t_fc_carry(fc, tags[i][0], 0, 1);
            t_fc_carry(fc, tags[i][1], 0, 1);
        }
        cr_assert_eq(put_pair(client, tags[i][0], tags[i][1], ttl_ms), NKV_OK, "pair %d", i);
        cr_assert(t_fc_has(fc, 1, tags[i][0], "1") && t_fc_has(fc, 1, tags[i][1], "2"));
        cr_assert(t_says(t_near_get(client, tags[i][0]), "1"));
        cr_assert(t_says(t_near_get(client, tags[i][1]), "2"));
    }
    cr_assert_eq(t_fake_hits(t_fc_node(fc, 1), "MULTI"), ttl_ms > 0 ? 2 : 0);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}

Test(client_cluster_batches, pairs_are_led_on, .timeout = 60)
{
    check_pairs(0);
}

Test(client_cluster_batches, pairs_that_expire_are_led_on, .timeout = 60)
{
    check_pairs(60000);
}

/* One key of two is there already: neither node can write both, but both keys can be written. */
Test(client_cluster_batches, a_pair_between_two_nodes_is_two_keys, .timeout = 60)
{
    t_fc *fc = t_fc_start(2);
    nkv_client *client = open_slow(fc);
    const uint16_t slot = t_fc_slot("{p}1");
    t_fc_give(fc, slot, 0);
    t_fc_put(fc, 0, "{p}1", "old");
    t_fc_put(fc, 0, "{p}2", "old");
    cr_assert(t_says(t_near_get(client, "{p}1"), "old"));
    t_fc_migrate(fc, slot, 1);
    t_fc_carry(fc, "{p}1", 0, 1);
    const int64_t begun_ms = t_now_ms();
    cr_assert_eq(put_pair(client, "{p}1", "{p}2", 0), NKV_EREPLY);
    cr_assert_lt(t_now_ms() - begun_ms, 5000);
    cr_assert(t_fc_has(fc, 1, "{p}1", "old") && t_fc_has(fc, 0, "{p}2", "old"));
    nkv_item items[2] = {{.key = nkv_cstr("{p}1"), .value = nkv_cstr("1")},
                         {.key = nkv_cstr("{p}2"), .value = nkv_cstr("2")}};
    cr_assert_eq(nkv_batch_put(client, items, 2, 0, NULL), NKV_OK);
    cr_assert(t_fc_has(fc, 1, "{p}1", "1") && t_fc_has(fc, 0, "{p}2", "2"));
    cr_assert_neq(nkvi_chunk_pairs(client, nkv_cstr("{p}1"), nkv_cstr("{p}2")), NKVI_PAIRS_REFUSED);
    t_fc_carry(fc, "{p}2", 0, 1);
    cr_assert_eq(put_pair(client, "{p}1", "{p}2", 0), NKV_OK);
    nkv_client_destroy(client);
    t_fc_stop(fc);
}
