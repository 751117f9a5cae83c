/* tests/live/lmcache/test_put.c - what a put leaves at the server: LMCache's behaviours 1, 15, 16.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"

/* A chunk of 2 × 3 × 5 × 7 elements of 2 bytes. */
static const nkv_lmcache_meta small_meta = {
    420, NKV_LMCACHE_KV_2LTD, 1, {{NKV_LMCACHE_BFLOAT16, 4, {2, 3, 5, 7}}}};

static nkv_status put_one(t_lm *lm, t_items *list, const nkv_lmcache_meta *meta)
{
    nkv_lmcache_meta copy;
    if (meta != NULL) {
        copy = *meta;
        list->items[0].meta = &copy;
    }
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_lmcache_put(lm->lm, list->items, 1, &call);
    if (status < 0) {
        (void)fprintf(stderr, "%s: put: %s\n", lm->name, call.error.text);
    }
    list->items[0].meta = NULL;
    return status;
}

static bool is_string(t_lm *lm, nkv_str key, nkv_lmcache_part part)
{
    char room[256];
    const t_arg args[] = {T_ARG("TYPE"), t_lm_name(lm->layout, part, key, room)};
    redisReply *reply = t_ctl_args(lm->ctl, 2, args);
    const bool is = reply != NULL && strcmp(reply->str, "string") == 0;
    freeReplyObject(reply);
    return is;
}

/* ---- 1 --------------------------------------------------------------------------------------- */

static void check_two_keys(t_lm *lm)
{
    t_items list = t_items_new("m@1@0@ff@half", 1);
    const nkv_str key = list.items[0].key;
    t_item_value(&list, 0, 420, 0);
    cr_assert_eq(put_one(lm, &list, &small_meta), NKV_OK, "%s", lm->name);
    cr_assert_eq(list.items[0].status, NKV_OK, "%s", lm->name);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), lm->pair ? 2 : 1, "%s", lm->name);
    cr_assert(t_lm_holds(lm, key, T_KV, list.items[0].value.data, 420));
    cr_assert_eq(t_lm_int(lm, "PTTL", key, T_KV), -1, "%s", lm->name);
    cr_assert(is_string(lm, key, T_KV), "%s", lm->name);
    if (lm->pair) {
        const t_bytes meta = T_INTS(420, 1, 3, 2, 3, 5, 7);
        cr_assert(t_lm_holds(lm, key, T_META, meta.bytes, meta.len));
        cr_assert_eq(t_lm_int(lm, "PTTL", key, T_META), -1, "%s", lm->name);
        cr_assert(is_string(lm, key, T_META), "%s", lm->name);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_1_two_keys_of_exact_bytes_and_no_expiry)
{
    t_lm_each(server, check_two_keys);
}

typedef struct row {
    nkv_lmcache_meta meta;
    const char *hex;
} row;

#define ROW(length, format, dtype, dims, ...) \
    {                                         \
        length, format, 1,                    \
        {                                     \
            {                                 \
                NKV_LMCACHE_##dtype, dims,    \
                {                             \
                    __VA_ARGS__               \
                }                             \
            }                                 \
        }                                     \
    }

/* The published examples, but for the one whose payload has 2 GiB. */
static const row rows[] = {
    {ROW(33554432, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 32, 256, 1024),
     "00000002 01000000 03000000 02000000 20000000 00010000 00040000"},
    {ROW(33554432, NKV_LMCACHE_KV_2LTD, FLOAT16, 4, 2, 32, 256, 1024),
     "00000002 01000000 02000000 02000000 20000000 00010000 00040000"},
    {ROW(13107200, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 32, 100, 1024),
     "0000c800 01000000 03000000 02000000 20000000 64000000 00040000"},
    {ROW(16777216, NKV_LMCACHE_KV_2LTD, UINT8, 4, 2, 32, 256, 1024),
     "00000001 01000000 06000000 02000000 20000000 00010000 00040000"},
    {ROW(16777216, NKV_LMCACHE_KV_2LTD, FP8_E4M3FN, 4, 2, 32, 256, 1024),
     "00000001 01000000 07000000 02000000 20000000 00010000 00040000"},
    {ROW(14680064, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 28, 256, 512),
     "0000e000 01000000 03000000 02000000 1c000000 00010000 00020000"},
    {ROW(17989632, NKV_LMCACHE_KV_MLA_FMT, BFLOAT16, 4, 1, 61, 256, 576),
     "00801201 06000000 03000000 01000000 3d000000 00010000 40020000"},
    {ROW(1048576, NKV_LMCACHE_KV_2TD, BFLOAT16, 3, 2, 256, 1024),
     "00001000 03000000 03000000 02000000 00010000 00040000 00000000"},
    {ROW(1048576, NKV_LMCACHE_KV_T2D, BFLOAT16, 3, 256, 2, 1024),
     "00001000 02000000 03000000 00010000 02000000 00040000 00000000"},
    {ROW(1000, NKV_LMCACHE_BINARY_BUFFER, NONE, 4, 1000, 0, 0, 0),
     "e8030000 05000000 00000000 e8030000 00000000 00000000 00000000"},
    {ROW(12345, NKV_LMCACHE_BINARY, NONE, 4, 12345, 0, 0, 0),
     "39300000 04000000 00000000 39300000 00000000 00000000 00000000"},
    {ROW(4, NKV_LMCACHE_KV_2LTD, FLOAT16, 4, 2, 1, 1, 1),
     "04000000 01000000 02000000 02000000 01000000 01000000 01000000"},
    {{2162688,
      NKV_LMCACHE_KV_2LTD,
      2,
      {{NKV_LMCACHE_BFLOAT16, 4, {2, 2, 256, 1024}}, {NKV_LMCACHE_BFLOAT16, 4, {1, 2, 256, 64}}}},
     "00002100 01000000 03000000 02000000 02000000 00010000 00040000 "
     "03000000 01000000 02000000 00010000 40000000"},
};

/* Put, looked at from outside, got back: size, metadata, bytes. */
static void check_row(t_lm *lm, const row *r)
{
    const size_t len = (size_t)r->meta.length;
    t_items list = t_items_new("row", 1);
    t_item_value(&list, 0, len, 0);
    cr_assert_eq(put_one(lm, &list, &r->meta), NKV_OK, "%s", r->hex);
    const t_bytes meta = t_hex(r->hex);
    cr_assert(t_lm_holds(lm, list.items[0].key, T_META, meta.bytes, meta.len), "%s", r->hex);
    cr_assert_eq(t_lm_int(lm, "STRLEN", list.items[0].key, T_KV), (long long)len);
    t_item_buf(&list, 0, len);
    t_items_metas(&list);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 1, NULL), NKV_OK);
    cr_assert(t_item_has(&list, 0), "%s", r->hex);
    cr_assert_eq(list.metas[0].length, r->meta.length);
    cr_assert_eq(list.metas[0].format, r->meta.format);
    cr_assert_eq(list.metas[0].groups_len, r->meta.groups_len);
    for (uint32_t g = 0; g < r->meta.groups_len; g++) {
        cr_assert_eq(list.metas[0].groups[g].dtype, r->meta.groups[g].dtype, "%s", r->hex);
        cr_assert_eq(list.metas[0].groups[g].dims, r->meta.groups[g].dims, "%s", r->hex);
        cr_assert_eq(memcmp(list.metas[0].groups[g].shape, r->meta.groups[g].shape,
                            r->meta.groups[g].dims * sizeof(int32_t)),
                     0, "%s", r->hex);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_1_metadata_is_that_of_the_published_examples)
{
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&lm, &rows[i]);
    }
    t_lm_close(&lm);
}

T_LIVE(lmcache_put, case_1_ones_in_front_where_the_option_says_so)
{
    nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
    options.padding = NKV_LMCACHE_PAD_ONES;
    t_lm lm = t_lm_open_with(server, NULL, &options);
    t_items list = t_items_new("k", 1);
    t_item_value(&list, 0, 1048576, 0);
    const nkv_lmcache_meta meta = ROW(1048576, NKV_LMCACHE_KV_2TD, BFLOAT16, 3, 2, 256, 1024);
    cr_assert_eq(put_one(&lm, &list, &meta), NKV_OK);
    const t_bytes want = t_hex("00001000 03000000 03000000 01000000 02000000 00010000 00040000");
    cr_assert(t_lm_holds(&lm, list.items[0].key, T_META, want.bytes, want.len));
    t_items_free(&list);
    t_lm_close(&lm);
}

/* Without metadata of its own a chunk is plain bytes. */
static void check_plain(t_lm *lm)
{
    t_items list = t_items_new("k", 1);
    t_item_value(&list, 0, 1000, 0);
    cr_assert_eq(put_one(lm, &list, NULL), NKV_OK);
    const t_bytes want = t_lm_plain(1000);
    cr_assert(t_lm_holds(lm, list.items[0].key, T_META, want.bytes, want.len));
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_1_without_metadata_it_is_a_buffer)
{
    t_lm_each_pair(server, check_plain);
}

/* The second put is what is there, whatever its size, its shape and its expiry. */
static void check_replaces(t_lm *lm)
{
    t_items list = t_items_new("k", 1);
    const nkv_str key = list.items[0].key;
    for (size_t len = 5000; len >= 50; len /= 10) {
        t_item_value(&list, 0, len, len);
        cr_assert_eq(put_one(lm, &list, NULL), NKV_OK);
        cr_assert(t_lm_holds(lm, key, T_KV, list.items[0].value.data, len));
        list.items[0].value = (nkv_str){NULL, 0};
        t_item_buf(&list, 0, 5000);
        cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 1, NULL), NKV_OK);
        cr_assert(t_item_has_version(&list, 0, len), "%s, %zu bytes", lm->name, len);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_1_a_second_put_replaces_all)
{
    t_lm_each(server, check_replaces);
}

/* ---- Expiry: 1, 16 --------------------------------------------------------------------------- */

static void check_expiry(t_lm *lm, const t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        for (int part = lm->pair ? T_META : T_KV; part <= T_KV; part++) {
            const long long left = t_lm_int(lm, "PTTL", list->items[i].key, (nkv_lmcache_part)part);
            cr_assert(left > 90000 && left <= 100000, "%s: %lld", lm->name, left);
        }
    }
}

T_LIVE(lmcache_put, case_1_and_16_expiry_is_on_both_keys)
{
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        nkv_lmcache_options options = t_lm_options((nkv_lmcache_layout)layout);
        options.ttl_s = 100;
        t_lm lm = t_lm_open_with(server, NULL, &options);
        t_items list = t_items_new("k", 3);
        for (size_t len = 3000; len < 10000000; len *= 1000) { /* the second time it is known */
            t_items_values(&list, len);                        /* what the server takes       */
            cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 3, NULL), NKV_OK);
            check_expiry(&lm, &list);
            cr_assert_eq(t_lm_int(&lm, "STRLEN", list.items[2].key, T_KV), (long long)len);
        }
        /* A connector without expiry takes it away again. */
        const nkv_lmcache_options forever = t_lm_options((nkv_lmcache_layout)layout);
        nkv_lmcache *second = t_lm_make(lm.client, &forever);
        cr_assert_eq(nkv_lmcache_put(second, list.items, 1, NULL), NKV_OK);
        cr_assert_eq(t_lm_int(&lm, "PTTL", list.items[0].key, T_KV), -1);
        cr_assert(!lm.pair || t_lm_int(&lm, "PTTL", list.items[0].key, T_META) == -1);
        nkv_lmcache_destroy(second);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* What a server would refuse, and what would overflow in milliseconds, is refused at once. */
T_LIVE(lmcache_put, case_16_an_expiry_that_cannot_be)
{
    nkv_client *client = t_near_open_on(server);
    static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 1000 + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
        options.ttl_s = wrong[i];
        nkv_lmcache *lm = NULL;
        nkv_error error = {.status = NKV_OK};
        cr_assert_eq(nkv_lmcache_create(client, &options, &lm, &error), NKV_EINVAL, "%lld",
                     (long long)wrong[i]);
        cr_assert_null(lm);
        cr_assert_not_null(strstr(error.text, "ttl_s"), "%s", error.text);
    }
    nkv_client_destroy(client);
}

T_LIVE(lmcache_put, options_that_are_wrong_are_named)
{
    nkv_client *client = t_near_open_on(server);
    const nkv_lmcache_options good = t_lm_options(NKV_LMCACHE_PLAIN_SUFFIX);
    nkv_lmcache_options wrong[] = {good, good, good, good, good, good};
    wrong[0].layout = (nkv_lmcache_layout)4;
    wrong[1].layout = (nkv_lmcache_layout)-1;
    wrong[2].padding = (nkv_lmcache_padding)3;
    wrong[3].groups = NKV_LMCACHE_GROUPS_MAX + 1;
    wrong[4].timeout_ms = -1;
    wrong[5].chunk_bytes = -1;
    static const char *const names[] = {"layout", "layout",     "padding",
                                        "groups", "timeout_ms", "chunk_bytes"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        nkv_lmcache *lm = NULL;
        nkv_error error = {.status = NKV_OK};
        cr_assert_eq(nkv_lmcache_create(client, &wrong[i], &lm, &error), NKV_EINVAL, "%s",
                     names[i]);
        cr_assert_null(lm);
        cr_assert_not_null(strstr(error.text, names[i]), "%s: %s", names[i], error.text);
    }
    nkv_lmcache *lm = NULL;
    cr_assert_eq(nkv_lmcache_create(client, NULL, &lm, NULL), NKV_OK);
    nkv_lmcache_destroy(lm);
    nkv_lmcache_destroy(NULL);
    nkv_client_destroy(client);
}

/* ---- 15: keys, sizes, counts ----------------------------------------------------------------- */

/* Any bytes are a key, and no two of them meet. */
static void check_keys(t_lm *lm)
{
    static char large[60000];
    memset(large, 'L', sizeof large);
    const nkv_str keys[] = {nkv_str_make(" ", 1),
                            nkv_str_make("a b", 3),
                            nkv_str_make("a\r\nb", 4),
                            nkv_str_make("\0", 1),
                            nkv_str_make("a\0b", 3),
                            nkv_str_make("a\0c", 3),
                            nkv_str_make("\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80", 9),
                            nkv_str_make("\xff\xfe", 2),
                            nkv_str_make("{}", 2),
                            nkv_str_make("a{b}c", 5),
                            nkv_str_make("}x", 2),
                            nkv_str_make("*3\r\n$3\r\nDEL\r\n", 13),
                            nkv_str_make(large, sizeof large)};
    enum { N = sizeof keys / sizeof keys[0] };
    t_items list = t_items_new("", N);
    for (size_t i = 0; i < N; i++) {
        t_item_key(&list, i, keys[i].data, keys[i].len);
    }
    t_items_values(&list, 100);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, N, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), lm->pair ? 2 * N : N, "%s", lm->name);
    const t_bytes meta = t_lm_plain(100);
    for (size_t i = 0; i < N; i++) {
        cr_assert(t_lm_holds(lm, keys[i], T_KV, list.items[i].value.data, 100));
        cr_assert(!lm->pair || t_lm_holds(lm, keys[i], T_META, meta.bytes, meta.len));
        list.items[i].value = (nkv_str){NULL, 0};
    }
    t_items_bufs(&list, 100);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, N, NULL), NKV_OK);
    for (size_t i = 0; i < N; i++) {
        cr_assert(t_item_has(&list, i), "%s, key %zu", lm->name, i);
    }
    size_t prefix = 0;
    cr_assert_eq(nkv_lmcache_prefix(lm->lm, keys, N, NULL, &prefix), NKV_OK);
    cr_assert_eq(prefix, N, "%s: %zu", lm->name, prefix);
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, N, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), 0, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_15_keys_of_any_bytes)
{
    t_lm_each(server, check_keys);
}

static void check_no_key(t_lm *lm)
{
    t_items list = t_items_list("a b c");
    t_item_key(&list, 1, "", 0);
    t_items_values(&list, 10);
    t_lm_chunks(lm, "a c", 10); /* a prefix ends where a chunk is missing, and looks no further */
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 3, NULL), NKV_EINVAL, "%s", lm->name);
    cr_assert_eq(nkv_lmcache_contains(lm->lm, list.items, 3, NULL), NKV_EINVAL, "%s", lm->name);
    size_t prefix = 99;
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("")};
    cr_assert_eq(nkv_lmcache_prefix(lm->lm, keys, 2, NULL, &prefix), NKV_EINVAL, "%s", lm->name);
    t_items_bufs(&list, 10);
    cr_assert_eq(nkv_lmcache_get_prefix(lm->lm, list.items, 3, NULL, &prefix), NKV_EINVAL, "%s",
                 lm->name);
    t_items_reset(&list);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 3, NULL), NKV_EINVAL, "%s", lm->name);
    cr_assert_eq(list.items[1].status, NKV_EINVAL, "%s", lm->name);
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, 3, NULL), NKV_EINVAL, "%s", lm->name);
    t_items_free(&list);
}

T_LIVE(lmcache_put, an_empty_key_is_told)
{
    t_lm_each(server, check_no_key);
}

static void check_size(t_lm *lm, size_t len)
{
    t_items list = t_items_new("size", 1);
    t_item_value(&list, 0, len, 0);
    cr_assert_eq(put_one(lm, &list, NULL), NKV_OK, "%s, %zu bytes", lm->name, len);
    cr_assert_eq(t_lm_int(lm, "STRLEN", list.items[0].key, T_KV), (long long)len);
    t_item_buf(&list, 0, len);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 1, NULL), NKV_OK, "%zu", len);
    cr_assert_eq(list.items[0].len, len, "%s", lm->name);
    cr_assert(t_item_has(&list, 0), "%s, %zu bytes", lm->name, len);
    t_items_free(&list);
}

static void check_sizes(t_lm *lm)
{
    static const size_t sizes[] = {1,     2,     63,    64,      127,          4095,
                                   16384, 65535, 65536, 1 << 20, (4 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_size(lm, sizes[i]);
    }
}

T_LIVE(lmcache_put, case_15_values_of_1_b_to_4_mb)
{
    t_lm_each(server, check_sizes);
}

T_LIVE(lmcache_put, case_15_values_of_32_mib)
{
    t_lm plain = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    check_size(&plain, 32 << 20);
    t_lm_close(&plain);
    t_lm single = t_lm_open(server, NKV_LMCACHE_SINGLE_KEY);
    check_size(&single, 32 << 20);
    t_lm_close(&single);
}

/* A value of no bytes is one where there is no metadata; metadata cannot say 0. */
static void check_empty(t_lm *lm)
{
    t_items list = t_items_list("before empty behind");
    t_items_values(&list, 100);
    t_item_value(&list, 1, 0, 0);
    const nkv_status status = nkv_lmcache_put(lm->lm, list.items, 3, NULL);
    const nkv_str key = list.items[1].key;
    if (!lm->pair) {
        cr_assert_eq(status, NKV_OK);
        cr_assert_eq(t_lm_int(lm, "EXISTS", key, T_KV), 1);
    } else {
        cr_assert_eq(status, NKV_EINVAL, "%s: %s", lm->name, nkv_status_text(status));
        cr_assert_eq(list.items[1].status, NKV_EINVAL, "%s", lm->name);
        cr_assert_eq(t_lm_int(lm, "EXISTS", key, T_META), 0, "%s", lm->name);
        t_lm_lay(lm, key, T_KV, "", 0);
        const t_bytes meta = t_lm_plain(0);
        t_lm_lay(lm, key, T_META, meta.bytes, meta.len);
    }
    list.items[1].value = (nkv_str){NULL, 0};
    t_items_bufs(&list, 100);
    cr_assert_eq(nkv_lmcache_get(lm->lm, list.items, 3, NULL), NKV_OK);
    cr_assert_str_eq(t_items_text(&list), lm->pair ? "+-+" : "+++");
    cr_assert(t_item_untouched(&list, 1));
    cr_assert_eq(list.items[1].len, 0);
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_15_a_value_of_0_b)
{
    t_lm_each(server, check_empty);
}

/* The server would refuse it after it has come over the wire; so it is not sent. */
static void check_too_large(t_lm *lm)
{
    const size_t len = NKV_VALUE_MAX + 1;
    void *huge = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    T_REQUIRE(huge != MAP_FAILED);
    t_items list = t_items_list("a huge b");
    t_items_values(&list, 100);
    list.items[1].value = nkv_str_make(huge, len);
    const long long before = t_ctl_info_int(lm->ctl, "stats", "total_net_input_bytes");
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 3, &call), NKV_EINVAL, "%s", lm->name);
    cr_assert_str_eq(t_items_text(&list), "+I+", "%s", lm->name);
    cr_assert(call.error.text[0] != '\0');
    const long long sent = t_ctl_info_int(lm->ctl, "stats", "total_net_input_bytes") - before;
    cr_assert_lt(sent, 1 << 20, "%s: %lld bytes were sent", lm->name, sent);
    cr_assert(!lm->pair || t_lm_int(lm, "EXISTS", list.items[1].key, T_META) == 0);
    cr_assert_eq(t_lm_int(lm, "EXISTS", list.items[1].key, T_KV), 0);
    T_REQUIRE(munmap(huge, len) == 0);
    t_items_free(&list);
}

T_LIVE(lmcache_put, case_15_more_than_512_mib_is_refused_and_not_sent)
{
    t_lm_each(server, check_too_large);
}

/* Metadata that does not fit its value, or that cannot be written, is no put of anything. */
static void check_wrong_meta(t_lm *lm)
{
    nkv_lmcache_meta metas[6];
    for (size_t i = 0; i < 6; i++) {
        metas[i] = small_meta;
    }
    metas[0].length = 419;
    metas[1].length = 421;
    metas[2].length = -420;
    metas[3].groups[0].dtype = NKV_LMCACHE_INT8;
    metas[4].groups_len = 0;
    t_items list = t_items_new("wrong", 6);
    t_items_values(&list, 420);
    for (size_t i = 0; i < 6; i++) {
        list.items[i].meta = &metas[i];
    }
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 6, NULL), NKV_EINVAL, "%s", lm->name);
    cr_assert_str_eq(t_items_text(&list), "IIIII+", "%s", lm->name);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(t_lm_int(lm, "EXISTS", list.items[i].key, T_META), 0, "%s", lm->name);
        cr_assert_eq(t_lm_int(lm, "EXISTS", list.items[i].key, T_KV), 0, "%s", lm->name);
    }
    t_items_free(&list);
}

T_LIVE(lmcache_put, metadata_that_does_not_fit_is_refused_and_nothing_sent)
{
    t_lm_each_pair(server, check_wrong_meta);
}

static void check_counts(t_lm *lm)
{
    static const size_t counts[] = {0, 1, 7, 500};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t n = counts[c];
        char *prefix = t_format("n%zu:", n);
        t_items list = t_items_new(prefix, n);
        t_items_values(&list, 3000);
        cr_assert_eq(nkv_lmcache_put(lm->lm, n == 0 ? NULL : list.items, n, NULL), NKV_OK);
        cr_assert_eq(nkv_lmcache_contains(lm->lm, n == 0 ? NULL : list.items, n, NULL), NKV_OK);
        t_items_bufs(&list, 3000);
        cr_assert_eq(nkv_lmcache_get(lm->lm, n == 0 ? NULL : list.items, n, NULL), NKV_OK);
        for (size_t i = 0; i < n; i++) {
            cr_assert(t_item_has(&list, i), "%s", lm->name);
        }
        cr_assert_eq(nkv_lmcache_remove(lm->lm, n == 0 ? NULL : list.items, n, NULL), NKV_OK);
        cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), 0, "%s", lm->name);
        t_items_free(&list);
        free(prefix);
    }
}

T_LIVE(lmcache_put, case_15_batches_of_0_1_and_500)
{
    t_lm_each(server, check_counts);
}

/* One lane, eight, and more than there are keys. */
T_LIVE(lmcache_put, case_15_one_lane_eight_and_more_than_keys)
{
    static const int64_t lanes[] = {1, 8, 150};
    for (size_t l = 0; l < 3; l++) {
        nkv_options client = t_near_options(t_server_unix_url(server));
        client.bulk_connections = lanes[l];
        const nkv_lmcache_options options = t_lm_options(NKV_LMCACHE_HASH_TAG);
        t_lm lm = t_lm_open_with(server, &client, &options);
        t_items list = t_items_new("k", 20);
        t_items_values(&list, 300000);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 20, NULL), NKV_OK);
        t_items_bufs(&list, 300000);
        cr_assert_eq(nkv_lmcache_get(lm.lm, list.items, 20, NULL), NKV_OK);
        for (size_t i = 0; i < 20; i++) {
            cr_assert(t_item_has(&list, i), "%lld lanes", (long long)lanes[l]);
        }
        size_t connections = 0;
        free(t_ctl_clients(lm.ctl, &connections));
        cr_assert_leq(connections, (size_t)lanes[l] + 4, "%zu connections for %lld bulk lanes",
                      connections, (long long)lanes[l]);
        t_items_free(&list);
        t_lm_close(&lm);
    }
}

/* The same key twice in a batch, small values and such that travel on several lanes: one of them is
 * there in the end, with metadata that fits. */
static void check_duplicates(t_lm *lm)
{
    for (int round = 0; round < 60; round++) {
        const size_t unit = round % 3 == 0 ? 700000 : 1000;
        t_items list = t_items_list("twice twice twice");
        for (size_t i = 0; i < 3; i++) {
            t_item_value(&list, i, unit * (i + 1), i + 1);
        }
        cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 3, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "+++");
        t_items got = t_items_list("twice");
        cr_assert_eq(nkv_lmcache_get(lm->lm, got.items, 1, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&got), "+", "%s, round %d: metadata of another put", lm->name,
                         round);
        cr_assert(t_item_has_version(&got, 0, got.items[0].len / unit));
        t_items_free(&got);
        t_items_free(&list);
    }
}

T_LIVE(lmcache_put, a_key_twice_in_a_batch_of_puts)
{
    t_lm_each(server, check_duplicates);
}
