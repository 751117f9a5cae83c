/* tests/fake/lmcache/test_wire.c - the commands that chunks are made of, word by word, and in which
 * order: what a recording server was told.  LMCache's behaviours 2, 10, 12, 20 and its frames. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/lm.h"

#define K        "m@1@0@ff@half"
#define META_HEX "04000000 01000000 02000000 02000000 01000000 01000000 01000000"

static const nkv_lmcache_meta meta_4 = {
    4, NKV_LMCACHE_KV_2LTD, 1, {{NKV_LMCACHE_FLOAT16, 4, {2, 1, 1, 1}}}};

static const char *const names[T_LM_LAYOUTS][2] = {{K "metadata", K "kv_bytes"},
                                                   {K ":metadata", K ":kv_bytes"},
                                                   {"{" K "}:metadata", "{" K "}:kv_bytes"},
                                                   {NULL, K}};

typedef struct rig {
    t_fake *fake;
    nkv_client *client;
    nkv_lmcache *lm;
} rig;

static t_fake *start_fake(void)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    t_fake_on(fake, "-ERR unknown command 'MSET'\r\n", "MSET", "...");
    t_fake_on(fake, "-ERR unknown command 'MULTI'\r\n", "MULTI");
    t_fake_on(fake, ":0\r\n", "PEXPIRE", "...");
    t_fake_on(fake, "-ERR EXEC without MULTI\r\n", "EXEC");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    t_fake_on(fake, "_\r\n", "GET", "*");
    t_fake_on(fake, ":1\r\n", "DEL", "*");
    t_fake_on(fake, ":1\r\n", "EXISTS", "*");
    return fake;
}

/* GET of a name is answered by these bytes. */
static void answer_get(t_fake *fake, const char *name, const void *bytes, size_t len)
{
    char *reply = malloc(len + 32);
    T_REQUIRE(reply != NULL);
    const size_t head = (size_t)snprintf(reply, 32, "$%zu\r\n", len);
    memcpy(reply + head, bytes, len);
    memcpy(reply + head + len, "\r\n", 2);
    t_fake_on_argv(fake, reply, head + len + 2, (const char *const[]){"GET", name, NULL});
    free(reply);
}

static void answer_meta(t_fake *fake, const char *name, size_t len)
{
    const t_bytes meta = t_lm_plain(len);
    answer_get(fake, name, meta.bytes, meta.len);
}

static rig open_rig(const nkv_lmcache_options *options, int64_t lanes)
{
    rig r = {.fake = start_fake()};
    nkv_options client = t_near_options(t_fake_url(r.fake));
    client.bulk_connections = lanes;
    client.backoff_min_ms = 1;
    client.backoff_max_ms = 5;
    r.client = t_near_open(&client);
    r.lm = t_lm_make(r.client, options);
    return r;
}

static rig open_layout(int layout, int64_t lanes)
{
    const nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    return open_rig(&options, lanes);
}

static void close_rig(rig *r)
{
    nkv_lmcache_destroy(r->lm);
    nkv_client_destroy(r->client);
    t_fake_stop(r->fake);
}

/* Is the command exactly these words?  The third may be any bytes. */
static bool is_set(t_fake_command command, const char *name, const void *value, size_t len)
{
    return command.argc >= 3 && strcmp(command.argv[0], "SET") == 0 &&
           strcmp(command.argv[1], name) == 0 &&
           t_same_bytes(name, command.argv[2], command.lens[2], value, len);
}

/* ---- Put ------------------------------------------------------------------------------------- */

static nkv_status put_abcd(rig *r)
{
    nkv_lmcache_meta meta = meta_4;
    nkv_item item = {.key = nkv_cstr(K), .value = nkv_cstr("abcd"), .meta = &meta};
    return nkv_lmcache_put(r->lm, &item, 1, NULL);
}

Test(lmcache_wire, frames_of_a_put, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_layout(layout, 4);
        const t_bytes meta = t_hex(META_HEX);
        cr_assert_eq(put_abcd(&r), NKV_OK, "layout %d", layout);
        const long payload = t_fake_find(r.fake, 0, "SET", names[layout][T_KV], "...");
        cr_assert_geq(payload, 0, "layout %d", layout);
        const t_fake_command first = t_fake_command_at(r.fake, (size_t)payload);
        cr_assert(first.argc == 3 && is_set(first, names[layout][T_KV], "abcd", 4));
        if (names[layout][T_META] == NULL) {
            cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 1);
        } else {
            const long second = t_fake_find(r.fake, 0, "SET", names[layout][T_META], "...");
            cr_assert_gt(second, payload, "layout %d", layout);
            const t_fake_command set = t_fake_command_at(r.fake, (size_t)second);
            cr_assert(set.argc == 3 && is_set(set, names[layout][T_META], meta.bytes, meta.len));
            cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 2);
        }
        close_rig(&r);
    }
}

Test(lmcache_wire, case_1_frames_of_a_put_with_expiry, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.ttl_s = 60;
        rig r = open_rig(&options, 1);
        cr_assert_eq(put_abcd(&r), NKV_OK);
        for (int part = names[layout][T_META] == NULL ? T_KV : T_META; part <= T_KV; part++) {
            const long at = t_fake_find(r.fake, 0, "SET", names[layout][part], "...");
            cr_assert_geq(at, 0);
            const t_fake_command set = t_fake_command_at(r.fake, (size_t)at);
            cr_assert_eq(set.argc, 5, "%s: %zu words", names[layout][part], set.argc);
            cr_assert(strcmp(set.argv[3], "EX") == 0 && strcmp(set.argv[4], "60") == 0, "%s: %s %s",
                      names[layout][part], set.argv[3], set.argv[4]);
        }
        close_rig(&r);
    }
}

/* Metadata is sent only after the payload's +OK. */
Test(lmcache_wire, case_2_metadata_waits_for_the_payloads_answer, .timeout = 60)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 4);
        const char *payload = names[layout][T_KV];
        const char *metadata = names[layout][T_META];
        t_fake_on(r.fake, "", "SET", payload, "...");
        nkv_lmcache_meta meta = meta_4;
        nkv_item item = {.key = nkv_cstr(K), .value = nkv_cstr("abcd"), .meta = &meta};
        nkv_queue *queue = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_put(r.lm, &item, 1, &ticket), NKV_OK);
        cr_assert(t_fake_wait_hits(r.fake, 1, 10000, "SET", payload, "..."));
        cr_assert_not(t_fake_wait_hits(r.fake, 1, 200, "SET", metadata, "..."),
                      "layout %d: metadata before the answer", layout);
        cr_assert_not(t_queue_readable(queue, 0));
        const long at = t_fake_find(r.fake, 0, "SET", payload, "...");
        const int conn = t_fake_command_at(r.fake, (size_t)at).conn;
        t_fake_say(r.fake, conn, "+OK\r\n");
        cr_assert(t_fake_wait_hits(r.fake, 1, 10000, "SET", metadata, "..."));
        const nkv_completion done = t_queue_next(queue);
        cr_assert_eq(done.status, NKV_OK, "%s", done.error.text);
        nkv_queue_destroy(queue);
        close_rig(&r);
    }
}

/* Of three payloads the second is refused: its metadata is not sent, that of the others is. */
Test(lmcache_wire, case_2_no_metadata_for_a_refused_payload, .timeout = 60)
{
    for (int64_t lanes = 1; lanes <= 4; lanes += 3) {
        for (int layout = 0; layout < T_LM_PAIRS; layout++) {
            rig r = open_layout(layout, lanes);
            char meta_names[3][40];
            t_items list = t_items_list("a b c");
            t_items_values(&list, 1000);
            for (size_t i = 0; i < 3; i++) {
                char name[40];
                t_arg arg =
                    t_lm_name((nkv_lmcache_layout)layout, T_META, list.items[i].key, meta_names[i]);
                meta_names[i][arg.len] = '\0';
                arg = t_lm_name((nkv_lmcache_layout)layout, T_KV, list.items[i].key, name);
                name[arg.len] = '\0';
                if (i == 1) {
                    t_fake_on(r.fake,
                              "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "SET",
                              name, "...");
                }
            }
            nkv_call call;
            nkv_call_init(&call);
            cr_assert_eq(nkv_lmcache_put(r.lm, list.items, 3, &call), NKV_EREPLY);
            cr_assert_str_eq(t_items_text(&list), "+R+", "layout %d", layout);
            cr_assert_not_null(strstr(call.error.text, "OOM"), "%s", call.error.text);
            cr_assert_eq(t_fake_hits(r.fake, "SET", meta_names[0], "..."), 1);
            cr_assert_eq(t_fake_hits(r.fake, "SET", meta_names[2], "..."), 1);
            cr_assert_not(t_fake_wait_hits(r.fake, 1, 100, "SET", meta_names[1], "..."),
                          "layout %d", layout);
            t_items_free(&list);
            close_rig(&r);
        }
    }
}

/* The metadata is refused: what an older put left there would not fit the new payload any more, so
 * it is deleted, and the put has failed. */
Test(lmcache_wire, case_2_refused_metadata_deletes_what_was_there, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 2);
        const char *metadata = names[layout][T_META];
        t_fake_on(r.fake, "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "SET",
                  metadata, "...");
        cr_assert_eq(put_abcd(&r), NKV_EREPLY);
        cr_assert(t_fake_wait_hits(r.fake, 1, 5000, "DEL", metadata), "layout %d", layout);
        const long set = t_fake_find(r.fake, 0, "SET", metadata, "...");
        cr_assert_gt(t_fake_find(r.fake, 0, "DEL", metadata), set, "layout %d", layout);
        cr_assert_eq(t_fake_hits(r.fake, "DEL", names[layout][T_KV]), 0);
        close_rig(&r);
    }
}

/* The connection is cut when the payload is on its way: no metadata, on no other connection. */
Test(lmcache_wire, case_2_no_metadata_for_a_payload_of_unknown_fate, .timeout = 60)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 2);
        t_fake_on(r.fake, "", "SET", names[layout][T_KV], "...");
        nkv_lmcache_meta meta = meta_4;
        nkv_item item = {.key = nkv_cstr(K), .value = nkv_cstr("abcd"), .meta = &meta};
        nkv_queue *queue = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_put(r.lm, &item, 1, &ticket), NKV_OK);
        cr_assert(t_fake_wait_hits(r.fake, 1, 10000, "SET", names[layout][T_KV], "..."));
        const long at = t_fake_find(r.fake, 0, "SET", names[layout][T_KV], "...");
        t_fake_close(r.fake, t_fake_command_at(r.fake, (size_t)at).conn, false);
        const nkv_completion done = t_queue_next(queue);
        cr_assert_eq(done.status, NKV_ECONN, "%s", nkv_status_text(done.status));
        cr_assert_eq(item.status, NKV_ECONN);
        cr_assert_not(t_fake_wait_hits(r.fake, 1, 100, "SET", names[layout][T_META], "..."));
        nkv_queue_destroy(queue);
        close_rig(&r);
    }
}

/* ---- Put of pairs ---------------------------------------------------------------------------- */

static bool is_pair(t_fake_command command, int layout, const t_bytes *meta)
{
    return command.argc == 5 && strcmp(command.argv[0], "MSET") == 0 &&
           strcmp(command.argv[1], names[layout][T_KV]) == 0 &&
           t_same_bytes("payload", command.argv[2], command.lens[2], "abcd", 4) &&
           strcmp(command.argv[3], names[layout][T_META]) == 0 &&
           t_same_bytes("metadata", command.argv[4], command.lens[4], meta->bytes, meta->len);
}

/* A server that takes MSET gets both keys in it, and no SET. */
Test(lmcache_wire, frames_of_a_pair, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 4);
        const t_bytes meta = t_hex(META_HEX);
        t_fake_on(r.fake, "+OK\r\n", "MSET", "...");
        for (size_t round = 1; round <= 3; round++) {
            cr_assert_eq(put_abcd(&r), NKV_OK, "layout %d", layout);
            cr_assert_eq(t_fake_hits(r.fake, "MSET", "..."), round);
        }
        const long at = t_fake_find(r.fake, 0, "MSET", "...");
        cr_assert(is_pair(t_fake_command_at(r.fake, (size_t)at), layout, &meta));
        cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 0);
        close_rig(&r);
    }
}

/* One that does not take it is asked once, with the smallest of a batch. */
Test(lmcache_wire, a_refused_pair_is_set_key_by_key, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 2);
        t_items list = t_items_list("a b c");
        for (size_t i = 0; i < 3; i++) {
            t_item_value(&list, i, i == 1 ? 10 : 20000, 1);
        }
        for (size_t round = 1; round <= 3; round++) {
            cr_assert_eq(nkv_lmcache_put(r.lm, list.items, 3, NULL), NKV_OK);
            cr_assert_eq(t_fake_hits(r.fake, "MSET", "..."), 1, "layout %d", layout);
            cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 6 * round);
        }
        char name[40];
        name[t_lm_name((nkv_lmcache_layout)layout, T_KV, nkv_cstr("b"), name).len] = '\0';
        cr_assert_eq(t_fake_hits(r.fake, "MSET", name, "..."), 1);
        t_items_free(&list);
        close_rig(&r);
    }
}

/* Two keys of different slots, and a proxy for which one_by_one was set. */
Test(lmcache_wire, keys_that_must_not_be_paired, .timeout = 30)
{
    for (int chosen = 0; chosen < 2; chosen++) {
        nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
        options.one_by_one = chosen;
        rig r = open_rig(&options, 1);
        t_fake_on(r.fake, "-CROSSSLOT Keys in request don't hash to the same slot\r\n", "MSET",
                  "...");
        for (size_t round = 1; round <= 3; round++) {
            cr_assert_eq(put_abcd(&r), NKV_OK);
            cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 2 * round);
        }
        cr_assert_eq(t_fake_hits(r.fake, "MSET", "..."), chosen ? 0 : 1);
        close_rig(&r);
    }
}

/* Out of memory: the pair has failed as a whole, nothing of it is tried again, and the next put is
 * a pair. */
Test(lmcache_wire, case_2_a_pair_without_memory_for_it, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 2);
        t_fake_on(r.fake, "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "MSET",
                  "...");
        cr_assert_eq(put_abcd(&r), NKV_EREPLY);
        t_fake_on(r.fake, "+OK\r\n", "MSET", "...");
        cr_assert_eq(put_abcd(&r), NKV_OK);
        cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 0, "layout %d", layout);
        cr_assert_eq(t_fake_hits(r.fake, "DEL", "..."), 0, "layout %d", layout);
        cr_assert_eq(t_fake_hits(r.fake, "MSET", "..."), 2, "layout %d", layout);
        close_rig(&r);
    }
}

/* Rights that go away while the client lives: the put is right at once, without an error. */
Test(lmcache_wire, pairs_that_are_refused_later, .timeout = 30)
{
    rig r = open_layout(NKV_LMCACHE_PLAIN_SUFFIX, 2);
    t_fake_on(r.fake, "+OK\r\n", "MSET", "...");
    cr_assert_eq(put_abcd(&r), NKV_OK);
    t_fake_on(r.fake, "-NOPERM this user has no permissions to run the 'mset' command\r\n", "MSET",
              "...");
    for (size_t round = 1; round <= 4; round++) {
        cr_assert_eq(put_abcd(&r), NKV_OK);
        cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 2 * round);
    }
    cr_assert_eq(t_fake_hits(r.fake, "MSET", "..."), 3, "one of them asks again");
    close_rig(&r);
}

static rig open_expiring(int layout)
{
    nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    options.ttl_s = 60;
    rig r = open_rig(&options, 1);
    t_fake_on(r.fake, "+OK\r\n", "MULTI");
    t_fake_on(r.fake, "+QUEUED\r\n", "MSET", "...");
    t_fake_on(r.fake, "+QUEUED\r\n", "PEXPIRE", "...");
    t_fake_on(r.fake, "*3\r\n+OK\r\n:1\r\n:1\r\n", "EXEC");
    return r;
}

/* With an expiry the pair is a transaction: keys that live for ever never come to be. */
Test(lmcache_wire, case_1_frames_of_a_pair_with_expiry, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_expiring(layout);
        const t_bytes meta = t_hex(META_HEX);
        for (size_t round = 1; round <= 3; round++) {
            cr_assert_eq(put_abcd(&r), NKV_OK, "layout %d", layout);
        }
        const long at = t_fake_find(r.fake, 0, "MULTI");
        cr_assert_geq(at, 0);
        cr_assert(is_pair(t_fake_command_at(r.fake, (size_t)at + 1), layout, &meta));
        for (int part = T_META; part <= T_KV; part++) {
            const long expiry =
                t_fake_find(r.fake, (size_t)at, "PEXPIRE", names[layout][part], "60000");
            cr_assert(expiry > at + 1 && expiry < at + 4, "%s", names[layout][part]);
        }
        cr_assert_eq(t_fake_find(r.fake, (size_t)at, "EXEC"), at + 4);
        cr_assert_eq(t_fake_hits(r.fake, "EXEC"), 3);
        cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 0);
        close_rig(&r);
    }
}

/* Whichever of its commands is refused: the reason is told, and nothing is set key by key. */
Test(lmcache_wire, case_2_a_transaction_without_memory_for_it, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_expiring(layout);
        t_fake_on(r.fake, "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "MSET",
                  "...");
        t_fake_on(r.fake, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                  "EXEC");
        nkv_item item = {.key = nkv_cstr(K), .value = nkv_cstr("abcd")};
        nkv_call call;
        nkv_call_init(&call);
        cr_assert_eq(nkv_lmcache_put(r.lm, &item, 1, &call), NKV_EREPLY);
        cr_assert_not_null(strstr(call.error.text, "OOM command"), "%s", call.error.text);
        t_fake_on(r.fake, "+QUEUED\r\n", "MSET", "...");
        t_fake_on(r.fake, "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "EXEC");
        cr_assert_eq(nkv_lmcache_put(r.lm, &item, 1, &call), NKV_EREPLY);
        cr_assert_not_null(strstr(call.error.text, "OOM command"), "%s", call.error.text);
        t_fake_on(r.fake, "*3\r\n+OK\r\n:1\r\n:1\r\n", "EXEC");
        cr_assert_eq(nkv_lmcache_put(r.lm, &item, 1, &call), NKV_OK, "%s", call.error.text);
        cr_assert_eq(t_fake_hits(r.fake, "SET", "..."), 0, "layout %d", layout);
        close_rig(&r);
    }
}

/* ---- Get, lookup, remove --------------------------------------------------------------------- */

Test(lmcache_wire, frames_of_a_get_and_of_stale_metadata, .timeout = 60)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        for (int stale = 0; stale < 2; stale++) {
            rig r = open_layout(layout, 1);
            const char *metadata = names[layout][T_META];
            if (metadata != NULL) {
                answer_meta(r.fake, metadata, 4);
            }
            if (!stale) {
                answer_get(r.fake, names[layout][T_KV], "abcd", 4);
            }
            char buf[4] = "....";
            nkv_item item = {.key = nkv_cstr(K), .buf = buf, .cap = 4};
            cr_assert_eq(nkv_lmcache_get(r.lm, &item, 1, NULL), NKV_OK);
            cr_assert_eq(item.status, stale ? NKV_NOT_FOUND : NKV_OK, "layout %d", layout);
            cr_assert(memcmp(buf, stale ? "...." : "abcd", 4) == 0);
            const long payload = t_fake_find(r.fake, 0, "GET", names[layout][T_KV]);
            cr_assert_geq(payload, 0, "layout %d", layout);
            if (metadata != NULL) {
                const long meta = t_fake_find(r.fake, 0, "GET", metadata);
                cr_assert(meta >= 0 && meta < payload);
                cr_assert_neq(t_fake_command_at(r.fake, (size_t)meta).conn,
                              t_fake_command_at(r.fake, (size_t)payload).conn,
                              "a payload on the tracked connection");
                cr_assert_eq(t_fake_wait_hits(r.fake, 1, stale ? 10000 : 50, "DEL", metadata),
                             stale != 0);
            }
            cr_assert_eq(t_fake_hits(r.fake, "DEL", "..."), metadata != NULL && stale ? 1 : 0);
            close_rig(&r);
        }
    }
}

/* Both ways of nothing: RESP3's and RESP2's. */
Test(lmcache_wire, case_10_both_kinds_of_nil, .timeout = 30)
{
    rig r = open_layout(NKV_LMCACHE_SINGLE_KEY, 1);
    t_fake_on(r.fake, "$-1\r\n", "GET", "none2");
    answer_get(r.fake, "a", "abcd", 4);
    t_items list = t_items_list("a none2 a none3 a");
    t_items_bufs(&list, 4);
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(nkv_lmcache_get(r.lm, list.items, 5, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "+-+-+");
        cr_assert(memcmp(list.items[4].buf, "abcd", 4) == 0);
    }
    t_items_free(&list);
    close_rig(&r);
}

Test(lmcache_wire, a_lookup_is_one_question_for_metadata_and_of_a_single_key_exists, .timeout = 30)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        rig r = open_layout(layout, 1);
        if (names[layout][T_META] != NULL) {
            answer_meta(r.fake, names[layout][T_META], 4);
        } else {
            t_fake_on(r.fake, ":1\r\n", "PTTL", K);
        }
        nkv_item item = {.key = nkv_cstr(K)};
        for (int round = 0; round < 3; round++) {
            cr_assert_eq(nkv_lmcache_contains(r.lm, &item, 1, NULL), NKV_OK);
            cr_assert_eq(item.status, NKV_OK, "layout %d", layout);
        }
        cr_assert_eq(t_fake_hits(r.fake, "GET", names[layout][T_KV]), 0, "layout %d", layout);
        cr_assert_eq(t_fake_hits(r.fake, "STRLEN", "..."), 0);
        if (names[layout][T_META] != NULL) {
            cr_assert_eq(t_fake_hits(r.fake, "GET", names[layout][T_META]), 1);
            cr_assert_eq(t_fake_hits(r.fake, "EXISTS", "..."), 0);
        }
        close_rig(&r);
    }
}

Test(lmcache_wire, case_24_metadata_is_deleted_first_and_answered_before_the_payload_goes,
     .timeout = 30)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        rig r = open_layout(layout, 4);
        const char *metadata = names[layout][T_META];
        const char *payload = names[layout][T_KV];
        t_fake_on(r.fake, "", "DEL", metadata);
        nkv_item item = {.key = nkv_cstr(K)};
        nkv_queue *queue = t_queue_new();
        nkv_ticket ticket = {.queue = queue};
        cr_assert_eq(nkv_lmcache_submit_remove(r.lm, &item, 1, &ticket), NKV_OK);
        cr_assert(t_fake_wait_hits(r.fake, 1, 10000, "DEL", metadata));
        const int conn =
            t_fake_command_at(r.fake, (size_t)t_fake_find(r.fake, 0, "DEL", metadata)).conn;
        /* On the same connection it may be behind it already; on another it must wait. */
        if (t_fake_wait_hits(r.fake, 1, 100, "DEL", payload)) {
            const long at = t_fake_find(r.fake, 0, "DEL", payload);
            cr_assert_eq(t_fake_command_at(r.fake, (size_t)at).conn, conn, "layout %d", layout);
        }
        t_fake_say(r.fake, conn, ":0\r\n");
        cr_assert_eq(t_queue_next(queue).status, NKV_OK);
        cr_assert_eq(item.status, NKV_OK, "the payload was there");
        cr_assert_eq(t_fake_hits(r.fake, "DEL", payload), 1);
        nkv_queue_destroy(queue);
        close_rig(&r);
    }
}

/* ---- Logins ---------------------------------------------------------------------------------- */

/* Every connection logs in, in the same words, before it carries anything. */
Test(lmcache_wire, frames_of_logins, .timeout = 30)
{
    static const char *const users[] = {NULL, "u"};
    for (size_t u = 0; u < 2; u++) {
        t_fake *fake = start_fake();
        nkv_options options = t_near_options(t_fake_url(fake));
        options.username = users[u];
        options.password = "pw";
        options.db = 3;
        nkv_client *client = t_near_open(&options);
        const nkv_lmcache_options plain = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
        nkv_lmcache *lm = t_lm_make(client, &plain);
        t_items list = t_items_new("k", 40);
        t_items_values(&list, 100000);
        cr_assert_eq(nkv_lmcache_put(lm, list.items, 40, NULL), NKV_OK);
        bool in[T_FAKE_CONNS + 1] = {false};
        bool selected[T_FAKE_CONNS + 1] = {false};
        size_t data = 0;
        for (size_t i = 0; i < t_fake_count(fake); i++) {
            const t_fake_command c = t_fake_command_at(fake, i);
            if (strcasecmp(c.argv[0], "HELLO") == 0) {
                cr_assert_geq(c.argc, 5);
                cr_assert(strcmp(c.argv[1], "3") == 0 && strcmp(c.argv[2], "AUTH") == 0);
                cr_assert_str_eq(c.argv[3], u == 0 ? "default" : "u");
                cr_assert_str_eq(c.argv[4], "pw");
                in[c.conn] = true;
            } else if (strcasecmp(c.argv[0], "SELECT") == 0) {
                cr_assert_str_eq(c.argv[1], "3");
                selected[c.conn] = true;
            } else if (strcasecmp(c.argv[0], "SET") == 0 || strcasecmp(c.argv[0], "GET") == 0) {
                cr_assert(in[c.conn] && selected[c.conn], "connection %d", c.conn);
                data++;
            }
        }
        cr_assert_geq(data, 80);
        t_items_free(&list);
        nkv_lmcache_destroy(lm);
        nkv_client_destroy(client);
        t_fake_stop(fake);
    }
}

/* ---- 12: errors of every kind ---------------------------------------------------------------- */

static const char *const errors[] = {
    "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "-LOADING Redis is loading the dataset in memory\r\n",
    "-MOVED 3999 127.0.0.1:6381\r\n",
    "-ASK 3999 127.0.0.1:6381\r\n",
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "-CLUSTERDOWN The cluster is down\r\n",
    "-NOAUTH Authentication required.\r\n",
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "-READONLY You can't write against a read only replica.\r\n",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "-BUSY Redis is busy running a script.\r\n",
    "-MISCONF Errors writing to the AOF file\r\n",
    "-\r\n",
};

static void rule(t_fake *fake, const char *reply, const char *verb, const char *name)
{
    t_fake_on_argv(fake, reply, strlen(reply), (const char *const[]){verb, name, "...", NULL});
}

/* The error is told of that key, with its word; the others succeed, again and again. */
static void check_error(const char *error)
{
    rig r = open_layout(NKV_LMCACHE_PLAIN_SUFFIX, 1);
    t_items list = t_items_list("a bad b nometa");
    for (size_t i = 0; i < 4; i++) {
        char *meta = t_format("%smetadata", list.keys[i]);
        char *kv = t_format("%skv_bytes", list.keys[i]);
        answer_meta(r.fake, meta, 4);
        answer_get(r.fake, kv, "abcd", 4);
        free(meta);
        free(kv);
    }
    rule(r.fake, error, "GET", "badkv_bytes");
    rule(r.fake, error, "SET", "badkv_bytes");
    rule(r.fake, error, "GET", "nometametadata");
    rule(r.fake, error, "DEL", "badkv_bytes");
    char word[32] = "";
    (void)sscanf(error + 1, "%31[A-Z]", word);
    for (int round = 0; round < 3; round++) {
        nkv_call call;
        nkv_call_init(&call);
        t_items_bufs(&list, 4);
        cr_assert_eq(nkv_lmcache_get(r.lm, list.items, 4, &call), NKV_EREPLY, "%s", error);
        cr_assert_str_eq(t_items_text(&list), "+R+R", "%s", error);
        cr_assert_not_null(strstr(call.error.text, word), "%s: %s", error, call.error.text);
        cr_assert(t_item_untouched(&list, 1) && t_item_untouched(&list, 3));
        cr_assert(memcmp(list.items[2].buf, "abcd", 4) == 0);
        t_items_values(&list, 4);
        cr_assert_eq(nkv_lmcache_put(r.lm, list.items, 3, &call), NKV_EREPLY, "%s", error);
        cr_assert_eq(strncmp(t_items_text(&list), "+R+", 3), 0, "%s", error);
        cr_assert_not_null(strstr(call.error.text, word), "%s: %s", error, call.error.text);
        cr_assert_eq(nkv_lmcache_remove(r.lm, list.items, 3, &call), NKV_EREPLY, "%s", error);
        cr_assert_eq(strncmp(t_items_text(&list), "+R+", 3), 0, "%s", error);
    }
    cr_assert_eq(t_fake_hits(r.fake, "SET", "badmetadata", "..."), 0, "%s", error);
    t_items_free(&list);
    close_rig(&r);
}

Test(lmcache_wire, case_12_every_error_is_that_keys_alone, .timeout = 60)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        check_error(errors[i]);
    }
}

/* ---- Answers that are none ------------------------------------------------------------------- */

/* A payload's answer that is no string, or no RESP at all: never a value, never a crash, and the
 * next get is answered. */
Test(lmcache_wire, answers_of_a_payload_that_are_none, .timeout = 100)
{
    static const char *const broken[] = {"$4\r\nabcdXX",
                                         "$-2\r\n",
                                         "$x\r\n",
                                         "$99999999999999999999\r\n",
                                         "garbage\r\n",
                                         ":4\r\n",
                                         "+abcd\r\n",
                                         "*1\r\n$4\r\nabcd\r\n",
                                         "*-1\r\n",
                                         "#t\r\n",
                                         ",1.5\r\n",
                                         "=8\r\ntxt:abcd\r\n",
                                         "%1\r\n+a\r\n+b\r\n",
                                         "(123\r\n",
                                         "!3\r\nERR\r\n",
                                         "$2147483648\r\n",
                                         "$536870913\r\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        rig r = open_layout(NKV_LMCACHE_SINGLE_KEY, 1);
        rule(r.fake, broken[i], "GET", "broken");
        answer_get(r.fake, "good", "abcd", 4);
        t_items list = t_items_list("broken");
        t_item_buf(&list, 0, 4);
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = 300;
        const nkv_status status = nkv_lmcache_get(r.lm, list.items, 1, &call);
        cr_assert(status != NKV_OK || list.items[0].status == NKV_NOT_FOUND, "\"%s\" is a value",
                  broken[i]);
        cr_assert(t_item_guarded(&list, 0), "%s", broken[i]);
        t_items good = t_items_list("good");
        t_item_buf(&good, 0, 4);
        call.timeout_ms = 5000;
        cr_assert_eq(nkv_lmcache_get(r.lm, good.items, 1, &call), NKV_OK, "after \"%s\": %s",
                     broken[i], call.error.text);
        cr_assert(memcmp(good.items[0].buf, "abcd", 4) == 0);
        t_items_free(&good);
        t_items_free(&list);
        close_rig(&r);
    }
}

/* ---- 20: who goes first ---------------------------------------------------------------------- */

typedef struct turn {
    const char *prefix;
    nkv_priority priority;
    t_items list;
} turn;

/* Two puts that nobody answers, each larger than the window of the only lane: now it is full. */
typedef struct jam {
    t_fake *fake;
    nkv_client *client;
    nkv_queue *queue;
    t_items big;
    long at; /* of the second one among the commands */
} jam;

static jam start_jam(void)
{
    jam j = {.fake = start_fake(), .queue = t_queue_new(), .big = t_items_new("big", 2)};
    nkv_options options = t_near_options(t_fake_url(j.fake));
    options.bulk_connections = 1;
    options.bulk_window_bytes = 1 << 20;
    j.client = t_near_open(&options);
    t_fake_on(j.fake, "", "SET", "big0", "...");
    t_fake_on(j.fake, "", "SET", "big1", "...");
    t_items_values(&j.big, 3 << 20);
    nkv_ticket ticket = {.queue = j.queue};
    cr_assert_eq(nkv_submit_put(j.client, j.big.items, 2, 0, &ticket), NKV_OK);
    cr_assert(t_fake_wait_hits(j.fake, 1, 10000, "SET", "big1", "..."));
    j.at = t_fake_find(j.fake, 0, "SET", "big1", "...");
    return j;
}

static void loosen(jam *j)
{
    t_fake_say(j->fake, t_fake_command_at(j->fake, (size_t)j->at).conn, "+OK\r\n+OK\r\n");
}

static void end_jam(jam *j)
{
    t_items_free(&j->big);
    nkv_queue_destroy(j->queue);
    nkv_client_destroy(j->client);
    t_fake_stop(j->fake);
}

/* What waits for a lane goes out by priority, whatever the order of asking. */
Test(lmcache_wire, case_20_peek_prefetch_get_put, .timeout = 60)
{
    enum { TURNS = 4, EACH = 5 };
    jam j = start_jam();
    nkv_ticket ticket = {.queue = j.queue};
    turn turns[TURNS] = {{"put", NKV_PRIORITY_PUT, {.n = 0}},
                         {"get", NKV_PRIORITY_GET, {.n = 0}},
                         {"prefetch", NKV_PRIORITY_PREFETCH, {.n = 0}},
                         {"peek", NKV_PRIORITY_PEEK, {.n = 0}}};
    for (int t = 0; t < TURNS; t++) {
        turns[t].list = t_items_new(turns[t].prefix, EACH);
        nkv_call call;
        nkv_call_init(&call);
        call.priority = turns[t].priority;
        ticket.call = &call;
        for (size_t i = 0; i < EACH; i++) {
            cr_assert_eq(nkv_submit_get(j.client, &turns[t].list.items[i], 1, &ticket), NKV_OK);
        }
    }
    cr_assert_not(t_fake_wait_hits(j.fake, 1, 100, "GET", "..."), "the window is not kept");
    loosen(&j);
    nkv_completion done[1 + TURNS * EACH];
    t_queue_take(j.queue, done, 1 + TURNS * EACH);
    long before = j.at;
    for (int t = TURNS - 1; t >= 0; t--) {
        for (size_t i = 0; i < EACH; i++) {
            const long place = t_fake_find(j.fake, 0, "GET", turns[t].list.keys[i]);
            cr_assert_gt(place, before, "%s%zu has the place %ld, behind %ld", turns[t].prefix, i,
                         place, before);
            before = place;
        }
        t_items_free(&turns[t].list);
    }
    end_jam(&j);
}

/* 64 may overtake; then the oldest of the lowest priority has its turn. */
Test(lmcache_wire, case_20_nobody_starves, .timeout = 60)
{
    enum { PEEKS = 300 };
    jam j = start_jam();
    nkv_ticket ticket = {.queue = j.queue};
    t_items put = t_items_new("put", 2);
    t_items_values(&put, 10);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(nkv_submit_put(j.client, &put.items[i], 1, 0, &ticket), NKV_OK);
    }
    t_items peeks = t_items_new("peek", PEEKS);
    nkv_call call;
    nkv_call_init(&call);
    call.priority = NKV_PRIORITY_PEEK;
    ticket.call = &call;
    for (size_t i = 0; i < PEEKS; i++) {
        cr_assert_eq(nkv_submit_get(j.client, &peeks.items[i], 1, &ticket), NKV_OK);
    }
    loosen(&j);
    for (int i = 0; i < 3 + PEEKS; i++) {
        cr_assert_eq(t_queue_next(j.queue).status, NKV_OK);
    }
    const long first = t_fake_find(j.fake, 0, "SET", "put0", "...") - j.at;
    const long second = t_fake_find(j.fake, 0, "SET", "put1", "...") - j.at;
    cr_assert(first >= 60 && first <= 70, "the first put went behind %ld peeks", first - 1);
    cr_assert(second >= 120 && second <= 140, "the second put has the place %ld", second);
    t_items_free(&peeks);
    t_items_free(&put);
    end_jam(&j);
}
