/* tests/unit/lmcache/test_name.c - the names that the connectors use in Redis. */
#include "unit/lmcache/hex.h"

#define K "m@1@0@ff@half"

typedef struct vector {
    nkv_lmcache_layout layout;
    nkv_lmcache_part part;
    const char *key, *name;
} vector;

static const vector vectors[] = {
    {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_METADATA, K, K "metadata"},
    {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_PAYLOAD, K, K "kv_bytes"},
    {NKV_LMCACHE_COLON_SUFFIX, NKV_LMCACHE_METADATA, K, K ":metadata"},
    {NKV_LMCACHE_COLON_SUFFIX, NKV_LMCACHE_PAYLOAD, K, K ":kv_bytes"},
    {NKV_LMCACHE_HASH_TAG, NKV_LMCACHE_METADATA, K, "{" K "}:metadata"},
    {NKV_LMCACHE_HASH_TAG, NKV_LMCACHE_PAYLOAD, K, "{" K "}:kv_bytes"},
    {NKV_LMCACHE_SINGLE_KEY, NKV_LMCACHE_PAYLOAD, K, K},
    {NKV_LMCACHE_HASH_TAG, NKV_LMCACHE_PAYLOAD, "a{b}c@1@0@ff@half",
     "{a{b}c@1@0@ff@half}:kv_bytes"},
    {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_PAYLOAD, "metadata", "metadatakv_bytes"},
    {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_METADATA, "a\r\n b", "a\r\n bmetadata"},
    {NKV_LMCACHE_SINGLE_KEY, NKV_LMCACHE_PAYLOAD, "metadata", "metadata"},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

Test(lmcache_name, names_are_those_of_the_connectors)
{
    for (size_t i = 0; i < VECTORS; i++) {
        nkv_lmcache_name name = {vectors[i].layout, vectors[i].part, nkv_cstr(vectors[i].key)};
        size_t want = strlen(vectors[i].name), len = 0;
        char buf[64];

        cr_assert_eq(nkv_lmcache_name_build(&name, buf, want, &len, NULL), NKV_OK);
        cr_assert(len == want && memcmp(buf, vectors[i].name, len) == 0, "%.*s", (int)len, buf);
        cr_assert(len <= name.key.len + NKV_LMCACHE_NAME_MORE);
        cr_assert_eq(nkv_lmcache_name_build(&name, buf, want - 1, &len, NULL), NKV_ENOMEM);
        cr_assert_eq(len, want);
    }
}

Test(lmcache_name, they_are_cut_again)
{
    for (size_t i = 0; i < VECTORS; i++) {
        nkv_str text = nkv_cstr(vectors[i].name);
        nkv_lmcache_name name;

        cr_assert_eq(nkv_lmcache_name_parse(text, vectors[i].layout, &name, NULL), NKV_OK);
        cr_assert_eq(name.layout, vectors[i].layout);
        cr_assert_eq(name.part, vectors[i].part);
        cr_assert_eq(name.key.len, strlen(vectors[i].key));
        cr_assert_eq(memcmp(name.key.data, vectors[i].key, name.key.len), 0);
        cr_assert(name.key.data >= text.data && name.key.data < text.data + text.len);
    }
}

Test(lmcache_name, a_key_may_hold_a_nul)
{
    nkv_lmcache_name name = {NKV_LMCACHE_HASH_TAG, NKV_LMCACHE_METADATA, nkv_str_make("a\0b", 3)};
    char buf[64];
    size_t len;

    cr_assert_eq(nkv_lmcache_name_build(&name, buf, sizeof buf, &len, NULL), NKV_OK);
    cr_assert_eq(len, 14);
    cr_assert_eq(memcmp(buf, "{a\0b}:metadata", len), 0);
}

typedef struct refusal {
    nkv_lmcache_layout layout;
    const char *name, *error;
} refusal;

static const refusal refusals[] = {
    {NKV_LMCACHE_PLAIN_SUFFIX, "", "name: allowed is Kmetadata or Kkv_bytes, K not empty"},
    {NKV_LMCACHE_PLAIN_SUFFIX, "metadata", "name: allowed is Kmetadata or Kkv_bytes"},
    {NKV_LMCACHE_PLAIN_SUFFIX, K, "name: allowed is Kmetadata or Kkv_bytes"},
    {NKV_LMCACHE_PLAIN_SUFFIX, K "METADATA", "name: allowed is Kmetadata or Kkv_bytes"},
    {NKV_LMCACHE_COLON_SUFFIX, K "metadata", "name: allowed is K:metadata or K:kv_bytes"},
    {NKV_LMCACHE_COLON_SUFFIX, ":kv_bytes", "name: allowed is K:metadata or K:kv_bytes"},
    {NKV_LMCACHE_HASH_TAG, K ":metadata", "name: allowed is {K}:metadata or {K}:kv_bytes"},
    {NKV_LMCACHE_HASH_TAG, "{" K ":metadata", "name: allowed is {K}:metadata or {K}:kv_bytes"},
    {NKV_LMCACHE_HASH_TAG, "{}:metadata", "name: allowed is {K}:metadata or {K}:kv_bytes"},
    {NKV_LMCACHE_HASH_TAG, "}:metadata", "name: allowed is {K}:metadata or {K}:kv_bytes"},
    {NKV_LMCACHE_SINGLE_KEY, "", "name: allowed are any bytes, at least one"},
    {(nkv_lmcache_layout)4, K, "layout: allowed is plain suffix"},
    {(nkv_lmcache_layout)-1, K, "layout: allowed is plain suffix"},
};

Test(lmcache_name, other_names_are_refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        nkv_lmcache_name name;
        nkv_error error = {NKV_OK, 0, ""};
        memset(&name, 1, sizeof name);
        t_refused(
            nkv_lmcache_name_parse(nkv_cstr(refusals[i].name), refusals[i].layout, &name, &error),
            NKV_EINVAL, &error, refusals[i].error);
        cr_assert_null(name.key.data);
    }
}

static void refuses_to_build(int layout, int part, const char *key, const char *text)
{
    nkv_lmcache_name name = {(nkv_lmcache_layout)layout, (nkv_lmcache_part)part, nkv_cstr(key)};
    char buf[64];
    size_t len = 9;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_name_build(&name, buf, sizeof buf, &len, &error), NKV_EINVAL, &error,
              text);
    cr_assert_eq(len, 0);
}

Test(lmcache_name, what_has_no_name_is_refused)
{
    refuses_to_build(NKV_LMCACHE_SINGLE_KEY, NKV_LMCACHE_METADATA, K,
                     "part: the layout of a single key has no metadata");
    for (int layout = NKV_LMCACHE_PLAIN_SUFFIX; layout <= NKV_LMCACHE_SINGLE_KEY; layout++) {
        refuses_to_build(layout, NKV_LMCACHE_PAYLOAD, "", "key: allowed are any bytes");
        refuses_to_build(layout, 2, K, "part: allowed is metadata or payload");
        refuses_to_build(layout, -1, K, "part: allowed is metadata or payload");
    }
    refuses_to_build(4, NKV_LMCACHE_PAYLOAD, K, "layout: allowed is plain suffix");
    refuses_to_build(-1, NKV_LMCACHE_PAYLOAD, K, "layout: allowed is plain suffix");
}
