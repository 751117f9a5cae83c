/* tests/unit/lmcache/test_object_key.c - keys of the MP mode, there and back. */
#include "unit/lmcache/hex.h"

#define LLAMA  "meta-llama/Llama-3.1-8B-Instruct"
#define DIGEST "6c87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b"
#define STR(text)              \
    {                          \
        text, sizeof(text) - 1 \
    }

typedef struct vector {
    nkv_lmcache_object_key key;
    const char *text;
} vector;

static const vector vectors[] = {
    {{.gen = NKV_LMCACHE_OBJECT,
      .model = STR(LLAMA),
      .world = 8,
      .global_rank = 3,
      .local_world = 8,
      .local_rank = 3,
      .hash = STR(DIGEST)},
     LLAMA "@08030803@0@" DIGEST},
    {{NKV_LMCACHE_OBJECT, {NULL, 0}, STR(LLAMA), 8, 3, 8, 3, 1, STR(DIGEST), STR("tenantA")},
     LLAMA "@08030803@1@" DIGEST "@tenantA"},
    {{NKV_LMCACHE_OBJECT, {NULL, 0}, STR(LLAMA), 1, 0, 1, 0, 0, STR(DIGEST), {NULL, 0}},
     LLAMA "@01000100@0@" DIGEST},
    {{NKV_LMCACHE_OBJECT_OLD, {NULL, 0}, STR("m"), 255, 254, 253, 252, 0, STR("00ff"), {NULL, 0}},
     "m@fffefdfc@00ff"},
    {{NKV_LMCACHE_OBJECT_OLD, STR("a@b"), STR("m"), 0, 0, 0, 0, 0, STR("00ff"), STR("s%t:u v")},
     "a@b@m@00000000@00ff@s%t:u v"},
    {{NKV_LMCACHE_OBJECT, STR("p"), STR("m"), 0, 0, 0, 1, 4294967295u, STR("00ff"), {NULL, 0}},
     "p@m@00000001@ffffffff@00ff"},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static void assert_str(nkv_str got, nkv_str want)
{
    cr_assert_eq(got.len, want.len);
    cr_assert(want.len == 0 || memcmp(got.data, want.data, want.len) == 0);
}

Test(lmcache_object_key, built_keys_are_those_of_lmcache)
{
    for (size_t i = 0; i < VECTORS; i++) {
        size_t want = strlen(vectors[i].text), len = 0;
        char buf[256];
        nkv_error error = {NKV_OK, 0, ""};
        cr_assert_eq(nkv_lmcache_object_key_build(&vectors[i].key, buf, want, &len, &error), NKV_OK,
                     "vector %zu: %s", i, error.text);
        assert_str(nkv_str_make(buf, len), nkv_cstr(vectors[i].text));
        cr_assert_eq(nkv_lmcache_object_key_build(&vectors[i].key, buf, want - 1, &len, NULL),
                     NKV_ENOMEM);
        cr_assert_eq(len, want);
    }
}

Test(lmcache_object_key, they_are_cut_into_their_parts)
{
    for (size_t i = 0; i < VECTORS; i++) {
        const nkv_lmcache_object_key *want = &vectors[i].key;
        nkv_lmcache_object_key got;
        nkv_error error = {NKV_OK, 0, ""};

        cr_assert_eq(nkv_lmcache_object_key_parse(nkv_cstr(vectors[i].text), want->gen,
                                                  want->prefix, &got, &error),
                     NKV_OK, "vector %zu: %s", i, error.text);
        cr_assert_eq(got.gen, want->gen);
        assert_str(got.prefix, want->prefix);
        assert_str(got.model, want->model);
        cr_assert_eq(got.world, want->world);
        cr_assert_eq(got.global_rank, want->global_rank);
        cr_assert_eq(got.local_world, want->local_world);
        cr_assert_eq(got.local_rank, want->local_rank);
        cr_assert_eq(got.group, want->group);
        assert_str(got.hash, want->hash);
        assert_str(got.salt, want->salt);
    }
}

typedef struct refusal {
    nkv_lmcache_gen gen;
    const char *prefix, *text, *error;
} refusal;

#define FORM  "key: allowed is model@rank@group@hash[@salt]"
#define RANK  "rank: allowed are 8 digits"
#define GROUP "group: allowed is 0 to ffffffff"

static const refusal refusals[] = {
    {NKV_LMCACHE_OBJECT, "", "", FORM},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@00ff", FORM},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@00ff@", FORM},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@00ff@s@t", FORM},
    {NKV_LMCACHE_OBJECT_OLD, "", "m@01000100", "key: allowed is model@rank@hash[@salt]"},
    {NKV_LMCACHE_OBJECT, "", "@01000100@0@00ff", "model: allowed"},
    {NKV_LMCACHE_OBJECT, "", "m@1000100@0@00ff", RANK},
    {NKV_LMCACHE_OBJECT, "", "m@100000000@0@00ff", RANK},
    {NKV_LMCACHE_OBJECT, "", "m@0100010G@0@00ff", RANK},
    {NKV_LMCACHE_OBJECT, "", "m@0100010A@0@00ff", RANK},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@@00ff", GROUP},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@00@00ff", GROUP},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@100000000@00ff", GROUP},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@g@00ff", GROUP},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@0ff", "hash: allowed is an even number"},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@-1", "hash: allowed is an even number"},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@00ff@a/b", "salt: allowed are bytes other than"},
    {NKV_LMCACHE_OBJECT, "", "m@01000100@0@00ff@a\\b", "salt: allowed are bytes other than"},
    {NKV_LMCACHE_OBJECT, "p", "m@01000100@0@00ff", "key: does not begin with the prefix"},
    {NKV_LMCACHE_OBJECT, "p", "pm@01000100@0@00ff", "key: does not begin with the prefix"},
    {NKV_LMCACHE_OBJECT, "m", "m", "key: does not begin with the prefix"},
    {NKV_LMCACHE_OBJECT, "m", "m@01000100@0@00ff", FORM},
    {NKV_LMCACHE_K5, "", "m@01000100@0@00ff", "generation: allowed is OBJECT and OBJECT_OLD"},
};

Test(lmcache_object_key, what_is_no_key_is_refused_and_named)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        nkv_lmcache_object_key key;
        nkv_error error = {NKV_OK, 0, ""};
        memset(&key, 1, sizeof key);
        t_refused(nkv_lmcache_object_key_parse(nkv_cstr(refusals[i].text), refusals[i].gen,
                                               nkv_cstr(refusals[i].prefix), &key, &error),
                  NKV_EINVAL, &error, refusals[i].error);
        cr_assert(key.model.data == NULL && key.hash.data == NULL && key.world == 0);
    }
}

static void refuses_to_build(const nkv_lmcache_object_key *key, const char *text)
{
    char buf[512];
    size_t len = 9;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_object_key_build(key, buf, sizeof buf, &len, &error), NKV_EINVAL, &error,
              text);
    cr_assert_eq(len, 0);
}

Test(lmcache_object_key, ranks_that_would_run_into_each_other_are_refused)
{
    nkv_lmcache_object_key key = vectors[0].key;
    uint32_t *const numbers[] = {&key.world, &key.global_rank, &key.local_world, &key.local_rank};

    for (size_t i = 0; i < 4; i++) {
        uint32_t good = *numbers[i];
        *numbers[i] = 256;
        refuses_to_build(&key, "world, global_rank, local_world, local_rank: allowed is 0 to 255");
        *numbers[i] = good;
    }
}

Test(lmcache_object_key, what_could_not_be_parsed_is_not_built)
{
    nkv_lmcache_object_key key = vectors[0].key;

    key.gen = NKV_LMCACHE_K5;
    refuses_to_build(&key, "generation: allowed is OBJECT and OBJECT_OLD");
    key.gen = NKV_LMCACHE_OBJECT_OLD;
    key.group = 1;
    refuses_to_build(&key, "group: keys of OBJECT_OLD have none");
    key = vectors[0].key;
    key.model = nkv_cstr("a@b");
    refuses_to_build(&key, "model: allowed");
    key = vectors[0].key;
    key.hash = nkv_cstr("FF");
    refuses_to_build(&key, "hash: allowed is an even number");
    key = vectors[0].key;
    key.salt = nkv_cstr("a@b");
    refuses_to_build(&key, "salt: allowed are bytes other than '@', '/', '\\' and NUL");
    key.salt = nkv_str_make("a\0b", 3);
    refuses_to_build(&key, "salt: allowed are bytes other than '@', '/', '\\' and NUL");
}

/* As Python counts: characters, not bytes. */
Test(lmcache_object_key, a_salt_has_at_most_128_characters)
{
    nkv_lmcache_object_key key = vectors[0].key;
    char salt[2 * 129], buf[512];
    size_t len;

    for (size_t i = 0; i < 129; i++) {
        memcpy(salt + 2 * i, "\xc3\xa4", 2);
    }
    key.salt = nkv_str_make(salt, 2 * 128);
    cr_assert_eq(nkv_lmcache_object_key_build(&key, buf, sizeof buf, &len, NULL), NKV_OK);
    key.salt = nkv_str_make(salt, 2 * 129);
    refuses_to_build(&key, "salt: allowed are at most 128 characters");
}
