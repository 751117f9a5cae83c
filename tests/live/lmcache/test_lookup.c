/* tests/live/lmcache/test_lookup.c - contains and prefix: LMCache's behaviours 3, 7 and 8. */
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

static const char *contains(t_lm *lm, t_items *list)
{
    t_items_reset(list);
    nkv_call call;
    nkv_call_init(&call);
    if (nkv_lmcache_contains(lm->lm, list->items, list->n, &call) < 0) {
        (void)fprintf(stderr, "%s: contains: %s\n", lm->name, call.error.text);
    }
    return t_items_text(list);
}

static size_t prefix_of(t_lm *lm, t_items *list)
{
    nkv_str *keys = calloc(list->n + 1, sizeof *keys);
    T_REQUIRE(keys != NULL);
    for (size_t i = 0; i < list->n; i++) {
        keys[i] = list->items[i].key;
    }
    size_t prefix = 9999;
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_lmcache_prefix(lm->lm, keys, list->n, &call, &prefix);
    cr_assert_eq(status, NKV_OK, "%s: %s", lm->name, call.error.text);
    free(keys);
    return prefix;
}

/* ---- 3 --------------------------------------------------------------------------------------- */

/* Metadata alone is a chunk, a payload alone is none; asked for twice, the second time locally. */
static void check_metadata_alone(t_lm *lm)
{
    t_items list = t_items_list("both meta kv none both");
    t_lm_chunks(lm, "both meta kv", 100);
    (void)t_lm_int(lm, "DEL", nkv_cstr("meta"), T_KV);
    (void)t_lm_int(lm, "DEL", nkv_cstr("kv"), T_META);
    cr_assert_str_eq(contains(lm, &list), "++--+", "%s", lm->name);
    const long long calls = t_ctl_data_calls(lm->ctl);
    cr_assert_str_eq(contains(lm, &list), "++--+", "%s", lm->name);
    cr_assert_eq(t_ctl_data_calls(lm->ctl), calls, "%s", lm->name);
    for (size_t i = 0; i < list.n; i++) {
        cr_assert_eq(list.items[i].from, NKV_FROM_CACHE, "%s, %zu", lm->name, i);
        cr_assert_null(list.items[i].held);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_lookup, case_3_metadata_says_whether_a_chunk_is_there)
{
    t_lm_each_pair(server, check_metadata_alone);
}

T_LIVE(lmcache_lookup, case_3_with_a_single_key_it_is_the_key)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_SINGLE_KEY);
    t_lm_chunks(&lm, "a c", 100);
    t_lm_lay(&lm, nkv_cstr("empty"), T_KV, "", 0);
    t_items list = t_items_list("a b c empty");
    for (int round = 0; round < 2; round++) {
        cr_assert_str_eq(contains(&lm, &list), "+-++", "round %d", round);
    }
    cr_assert_eq(list.items[0].from, NKV_FROM_CACHE);
    t_items_free(&list);
    t_lm_close(&lm);
}

/* verify_payload: a payload that is gone, or of another size, is not promised; and when it goes
 * later, that is noticed as well. */
T_LIVE(lmcache_lookup, case_3_verified_payloads)
{
    for (int layout = 0; layout < T_LM_PAIRS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.verify_payload = 1;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_sync(&lm);
        t_lm_chunks(&lm, "both meta kv short later", 1000);
        (void)t_lm_int(&lm, "DEL", nkv_cstr("meta"), T_KV);
        (void)t_lm_int(&lm, "DEL", nkv_cstr("kv"), T_META);
        t_lm_lay(&lm, nkv_cstr("short"), T_KV, "abc", 3);
        t_items list = t_items_list("both meta kv short later none");
        cr_assert_str_eq(contains(&lm, &list), "+---+-", "%s", lm.name);
        const long long calls = t_ctl_data_calls(lm.ctl);
        cr_assert_str_eq(contains(&lm, &list), "+---+-", "%s", lm.name);
        cr_assert_eq(t_ctl_data_calls(lm.ctl), calls, "%s: not local the second time", lm.name);
        t_items ordered = t_items_list("both later meta");
        cr_assert_eq(prefix_of(&lm, &ordered), 2, "%s", lm.name);
        (void)t_lm_int(&lm, "DEL", nkv_cstr("later"), T_KV);
        t_lm_sync(&lm);
        cr_assert_str_eq(contains(&lm, &list), "+-----", "%s", lm.name);
        cr_assert_eq(prefix_of(&lm, &ordered), 1, "%s", lm.name);
        t_items_free(&ordered);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* ---- 7: metadata ----------------------------------------------------------------------------- */

typedef struct meta_case {
    const char *what;
    const char *hex;
    uint32_t groups; /* the option */
    size_t len;      /* of the payload */
    bool good;
} meta_case;

#define SHAPE_420 "02000000 03000000 05000000 07000000"

static const meta_case meta_cases[] = {
    {"28 bytes", "a4010000 01000000 03000000 " SHAPE_420, 0, 420, true},
    {"dtype 1 is float16", "a4010000 01000000 01000000 " SHAPE_420, 0, 420, true},
    {"dtype 2 is float16", "a4010000 01000000 02000000 " SHAPE_420, 0, 420, true},
    {"27 bytes", "a4010000 01000000 03000000 02000000 03000000 05000000 070000", 0, 420, false},
    {"no bytes", "", 0, 420, false},
    {"8 bytes", "a4010000 01000000", 0, 420, false},
    {"32 bytes", "a4010000 01000000 03000000 " SHAPE_420 "ffffffff", 1, 420, true},
    {"32 bytes, groups not said", "a4010000 01000000 03000000 " SHAPE_420 "ffffffff", 0, 420, true},
    {"47 bytes, one group",
     "a4010000 01000000 03000000 " SHAPE_420 "ffffffffffffffffffffffffffffff"
     "ffffffff",
     1, 420, true},
    {"48 bytes, two groups", "48030000 01000000 03000000 " SHAPE_420 " 03000000 " SHAPE_420, 2, 840,
     true},
    {"48 bytes, groups not said", "48030000 01000000 03000000 " SHAPE_420 " 03000000 " SHAPE_420, 0,
     840, true},
    {"48 bytes, one group wanted", "a4010000 01000000 03000000 " SHAPE_420 " 03000000 " SHAPE_420,
     1, 420, true},
    {"28 bytes, two groups wanted", "a4010000 01000000 03000000 " SHAPE_420, 2, 420, false},
    {"68 bytes, three groups",
     "ec040000 01000000 03000000 " SHAPE_420 " 03000000 " SHAPE_420 " 02000000 " SHAPE_420, 3, 1260,
     true},
    {"68 bytes, the third group is wrong",
     "ec040000 01000000 03000000 " SHAPE_420 " 03000000 " SHAPE_420 " 09000000 " SHAPE_420, 3, 1260,
     false},
    {"unknown dtype 9", "a4010000 01000000 09000000 " SHAPE_420, 0, 420, false},
    {"unknown dtype -1", "a4010000 01000000 ffffffff " SHAPE_420, 0, 420, false},
    {"dtype of keys only", "d2000000 01000000 40000000 " SHAPE_420, 0, 210, false},
    {"no dtype for tensors", "d2000000 01000000 00000000 " SHAPE_420, 0, 210, false},
    {"length 0", "00000000 01000000 03000000 " SHAPE_420, 0, 420, false},
    {"length -1", "ffffffff 01000000 03000000 " SHAPE_420, 0, 420, false},
    {"length -2^31", "00000080 01000000 03000000 " SHAPE_420, 0, 420, false},
    {"product too small", "a6010000 01000000 03000000 " SHAPE_420, 0, 422, false},
    {"product too large", "a2010000 01000000 03000000 " SHAPE_420, 0, 418, false},
    {"a size is negative", "a4010000 01000000 03000000 02000000 fdffffff 05000000 f9ffffff", 0, 420,
     false},
    {"a hole in the shape", "a4010000 01000000 03000000 02000000 00000000 05000000 07000000", 0,
     420, false},
    {"the product overflows", "04000000 01000000 03000000 00000080 00000080 00000080 00000080", 0,
     4, false},
    {"the bytes are 2^64 + 4", "04000000 01000000 02000000 05df0500 45c10000 d2430000 016d0000", 0,
     4, false},
    {"the bytes are 2^32 + 2", "02000000 01000000 02000000 abaaaa2a 03000000 01000000 01000000", 0,
     2, false},
    {"zeros behind", "1c000000 02000000 02000000 02000000 07000000 00000000 00000000", 0, 28, true},
    {"ones in front", "1c000000 02000000 02000000 01000000 01000000 02000000 07000000", 0, 28,
     true},
    {"binary: shapes say nothing", "0a000000 04000000 00000000 63000000 00000000 00000000 00000000",
     0, 10, true},
    {"an unknown format passes", "0a000000 63000000 06000000 05000000 00000000 07000000 00000000",
     0, 10, true},
    {"a negative format passes", "0a000000 f9ffffff 00000000 00000000 00000000 00000000 00000000",
     0, 10, true},
    {"text", "7b226c656e677468223a3432302c22666d74223a317d2020202020202020", 0, 420, false},
};

/* What a lookup makes of metadata that somebody has laid down, and what a get does; then a put over
 * it mends it. */
static void check_meta_case(t_server *server, nkv_client *client, const meta_case *c, int layout)
{
    nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
    options.groups = c->groups;
    t_lm lm = {.server = server,
               .ctl = t_ctl_open(server),
               .client = client,
               .lm = t_lm_make(client, &options),
               .layout = options.layout,
               .pair = true,
               .name = c->what};
    t_items list = t_items_list("m");
    const t_bytes meta = t_hex(c->hex);
    t_lm_chunk(&lm, list.items[0].key, c->len);
    t_lm_lay(&lm, list.items[0].key, T_META, meta.bytes, meta.len);
    t_lm_sync(&lm);
    t_item_buf(&list, 0, c->len);
    t_items_metas(&list);
    cr_assert_str_eq(contains(&lm, &list), c->good ? "+" : "-", "%s", c->what);
    cr_assert(!c->good || (list.items[0].len == c->len && list.metas[0].length == (int64_t)c->len),
              "%s: %zu", c->what, list.items[0].len);
    cr_assert_eq(prefix_of(&lm, &list), c->good ? 1 : 0, "%s", c->what);
    t_items_reset(&list);
    cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 1, NULL), NKV_OK, "%s", c->what);
    cr_assert_str_eq(t_items_text(&list), c->good ? "+" : "-", "%s", c->what);
    cr_assert(c->good ? t_item_has(&list, 0) : t_item_untouched(&list, 0), "%s", c->what);
    cr_assert_eq(t_lm_int(&lm, "EXISTS", list.items[0].key, T_META), 1, "%s", c->what);
    list.items[0].meta = NULL;
    t_item_value(&list, 0, 33, 5);
    cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 1, NULL), NKV_OK, "%s", c->what);
    if (c->groups < 2) {
        cr_assert_str_eq(contains(&lm, &list), "+", "after a put: %s", c->what);
    }
    t_items_free(&list);
    nkv_lmcache_destroy(lm.lm);
    t_ctl_close(lm.ctl);
}

T_LIVE(lmcache_lookup, case_7_metadata_of_every_kind)
{
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < sizeof meta_cases / sizeof meta_cases[0]; i++) {
        for (int layout = 0; layout < T_LM_PAIRS; layout++) {
            check_meta_case(server, client, &meta_cases[i], layout);
        }
    }
    nkv_client_destroy(client);
}

T_LIVE(lmcache_lookup, case_7_what_metadata_says_is_handed_out)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_COLON_SUFFIX);
    const t_bytes meta = T_INTS(840, 1, 1, 2, 3, 5, 7, 6, 420, 0, 0, 0);
    t_lm_chunk(&lm, nkv_cstr("m"), 840);
    t_lm_lay(&lm, nkv_cstr("m"), T_META, meta.bytes, meta.len);
    t_items list = t_items_list("m none");
    t_items_metas(&list);
    cr_assert_str_eq(contains(&lm, &list), "+-");
    const nkv_lmcache_meta *got = &list.metas[0];
    cr_assert(got->length == 840 && got->format == NKV_LMCACHE_KV_2LTD && got->groups_len == 2);
    cr_assert(got->groups[0].dtype == NKV_LMCACHE_FLOAT16 && got->groups[0].dims == 4);
    cr_assert(got->groups[0].shape[0] == 2 && got->groups[0].shape[3] == 7);
    cr_assert(got->groups[1].dtype == NKV_LMCACHE_UINT8 && got->groups[1].dims == 1);
    cr_assert_eq(got->groups[1].shape[0], 420);
    cr_assert_eq(list.items[0].len, 840);
    t_items_free(&list);
    t_lm_close(&lm);
}

/* Length 2147483647 is allowed in metadata; no payload is that long here. */
T_LIVE(lmcache_lookup, case_7_the_largest_length)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    const t_bytes meta = T_INTS(2147483647, 4, 0, 2147483647, 0, 0, 0);
    t_lm_chunk(&lm, nkv_cstr("m"), 100);
    t_lm_lay(&lm, nkv_cstr("m"), T_META, meta.bytes, meta.len);
    t_items list = t_items_list("m");
    cr_assert_str_eq(contains(&lm, &list), "+");
    cr_assert_eq(list.items[0].len, 2147483647u);
    t_item_buf(&list, 0, 1000);
    const nkv_status status = nkv_lmcache_get(lm.lm, list.items, 1, NULL);
    cr_assert(status == NKV_ESIZE || status == NKV_OK, "%s", nkv_status_text(status));
    cr_assert(t_item_guarded(&list, 0));
    cr_assert(list.items[0].status == (status == NKV_OK ? NKV_NOT_FOUND : NKV_ESIZE));
    t_items_free(&list);
    t_lm_close(&lm);
}

/* ---- 8: prefixes ----------------------------------------------------------------------------- */

static void check_prefixes(t_lm *lm)
{
    static const struct {
        const char *keys;
        size_t prefix;
    } cases[] = {{"a b x c", 2}, {"x a b", 0}, {"a b c", 3},   {"", 0},      {"a a x", 2},
                 {"x", 0},       {"a", 1},     {"x x", 0},     {"a x a", 1}, {"c b a c x a", 4},
                 {"a a a a", 4}, {"b x", 1},   {"a b c x", 3}, {"x a", 0}};
    t_lm_chunks(lm, "a b c", 50);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            t_items list = t_items_list(cases[i].keys);
            cr_assert_eq(prefix_of(lm, &list), cases[i].prefix, "%s: %s", lm->name, cases[i].keys);
            t_items_free(&list);
        }
        if (round == 1) {
            nkv_client_reset(lm->client); /* cold, and once more warm */
        }
    }
}

T_LIVE(lmcache_lookup, case_8_prefix_counts)
{
    t_lm_each(server, check_prefixes);
}

/* The same by contains without waiting, whose completion tells the prefix and the sum. */
static void check_submitted(t_lm *lm)
{
    t_lm_chunks(lm, "a b c", 50);
    t_items list = t_items_list("a b x c a");
    nkv_queue *queue = t_queue_new();
    for (uint64_t round = 1; round <= 3; round++) {
        nkv_ticket ticket = {.queue = queue, .ud = &list};
        t_items_reset(&list);
        cr_assert_eq(nkv_lmcache_submit_contains(lm->lm, list.items, list.n, &ticket), NKV_OK);
        const nkv_completion done = t_queue_next(queue);
        cr_assert(ticket.id == round && done.id == ticket.id && done.ud == &list &&
                  done.status == NKV_OK);
        cr_assert(done.prefix == 2 && done.found == 4, "%s: %zu of %zu", lm->name, done.prefix,
                  done.found);
        cr_assert_str_eq(t_items_text(&list), "++-++", "%s", lm->name);
    }
    nkv_queue_destroy(queue);
    t_items_free(&list);
}

T_LIVE(lmcache_lookup, case_8_the_completion_of_contains_tells_the_prefix)
{
    t_lm_each(server, check_submitted);
}

enum { MANY = 600 };

/* A hole at every place where batches are cut. */
static void check_many(t_lm *lm)
{
    static const size_t holes[] = {0,   1,   7,   8,   9,   63,  64,  65,  255,
                                   256, 257, 511, 512, 513, 598, 599, MANY};
    t_items list = t_items_new("many", MANY);
    t_items_values(&list, 20);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, MANY, NULL), NKV_OK);
    for (size_t h = 0; h < sizeof holes / sizeof holes[0]; h++) {
        const size_t hole = holes[h];
        const nkv_str key = hole < MANY ? list.items[hole].key : nkv_cstr("other");
        if (hole < MANY) {
            (void)t_lm_int(lm, "DEL", key, lm->pair ? T_META : T_KV);
        }
        t_lm_sync(lm);
        cr_assert_eq(prefix_of(lm, &list), hole, "%s: %zu", lm->name, hole);
        nkv_client_reset(lm->client);
        cr_assert_eq(prefix_of(lm, &list), hole, "%s, cold: %zu", lm->name, hole);
        cr_assert_eq(prefix_of(lm, &list), hole, "%s, warm: %zu", lm->name, hole);
        if (hole < MANY) {
            t_lm_chunk(lm, key, 20);
        }
    }
    t_items_free(&list);
}

T_LIVE(lmcache_lookup, case_8_long_prefixes_with_a_hole)
{
    t_lm_each(server, check_many);
}

/* chunk_size: as many keys travel together; the answer is the same for every size. */
T_LIVE(lmcache_lookup, case_8_in_pieces_of_every_size)
{
    static const int64_t sizes[] = {1, 2, 3, 100, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        nkv_options client = t_near_options(t_server_unix_url(server));
        client.chunk_size = sizes[s];
        const nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_sync(&lm);
        t_items list = t_items_new("k", 50);
        for (size_t i = 0; i < 50; i++) {
            if (i != 37) {
                t_lm_chunk(&lm, list.items[i].key, 10);
            }
        }
        cr_assert_eq(prefix_of(&lm, &list), 37, "%lld keys at a time", (long long)sizes[s]);
        const char *text = contains(&lm, &list);
        cr_assert(strspn(text, "+") == 37 && strlen(text) == 50 && strspn(text + 38, "+") == 12,
                  "%lld keys at a time: %s", (long long)sizes[s], text);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* A duplicate key in contains is told at both places, holes too. */
static void check_duplicates(t_lm *lm)
{
    t_lm_chunks(lm, "a b", 50);
    t_items list = t_items_list("a x a b x b a");
    for (int round = 0; round < 2; round++) {
        cr_assert_str_eq(contains(lm, &list), "+-++-++", "%s, round %d", lm->name, round);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_lookup, duplicates_and_holes_of_contains)
{
    t_lm_each(server, check_duplicates);
}
