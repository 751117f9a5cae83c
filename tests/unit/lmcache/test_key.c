/* tests/unit/lmcache/test_key.c - cache keys K1 to K5, there and back. */
#include "unit/lmcache/hex.h"

#include <stdlib.h>

#define LLAMA  "meta-llama/Llama-3.1-8B-Instruct"
#define DIGEST "6c87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b"
#define SHORT  "2783dafec0011aa"
#define STR(text)              \
    {                          \
        text, sizeof(text) - 1 \
    }

static const nkv_lmcache_tag tenant[] = {{STR("tenant"), STR("a")}, {STR("env"), STR("p%q")}};
static const nkv_lmcache_tag empty_value[] = {{STR("t"), STR("")}, {STR("7"), STR("%")}};

typedef struct vector {
    nkv_lmcache_key key;
    nkv_str text;
} vector;

#define K5(world, worker, hash, dtype, ...)                                               \
    {                                                                                     \
        .gen = NKV_LMCACHE_K5, .model = STR(LLAMA), world, worker, STR(hash), STR(dtype), \
        __VA_ARGS__                                                                       \
    }

static const vector vectors[] = {
    {K5(1, 0, SHORT, "bfloat16", .has_layer = 0), STR(LLAMA "@1@0@2783dafec0011aa@bfloat16")},
    {K5(1, 0, DIGEST, "bfloat16", .has_layer = 0), STR(LLAMA "@1@0@" DIGEST "@bfloat16")},
    {K5(1, 0, "-" SHORT, "half", .has_layer = 0), STR(LLAMA "@1@0@-2783dafec0011aa@half")},
    {K5(8, 3, SHORT, "bfloat16", .has_layer = 0), STR(LLAMA "@8@3@2783dafec0011aa@bfloat16")},
    {K5(1, 0, SHORT, "bfloat16", .has_layer = 1, .layer = 7),
     STR(LLAMA "@1@0@2783dafec0011aa@bfloat16@7")},
    {K5(1, 0, SHORT, "bfloat16", .tags = tenant, .tags_len = 2),
     STR(LLAMA "@1@0@2783dafec0011aa@bfloat16@tenant%a@env%p%q")},
    {K5(1, 0, SHORT, "bfloat16", .has_layer = 1, .layer = 31, .tags = tenant, .tags_len = 1),
     STR(LLAMA "@1@0@2783dafec0011aa@bfloat16@31@tenant%a")},
    {K5(1, 0, SHORT, "fp8_e4m3fn", .has_layer = 0), STR(LLAMA "@1@0@2783dafec0011aa@fp8_e4m3fn")},
    {K5(1, 0, "0", "float", .has_layer = 0), STR(LLAMA "@1@0@0@float")},
    {{.gen = NKV_LMCACHE_K4, STR("vllm"), STR(LLAMA), 1, 0, STR(SHORT), STR("bfloat16")},
     STR("vllm@" LLAMA "@1@0@2783dafec0011aa@bfloat16")},
    {{.gen = NKV_LMCACHE_K3, STR("vllm"), STR(LLAMA), 1, 0, STR(SHORT)},
     STR("vllm@" LLAMA "@1@0@2783dafec0011aa")},
    {{.gen = NKV_LMCACHE_K2, STR("vllm"), STR(LLAMA), 1, 0, STR("177960011069133226")},
     STR("vllm@" LLAMA "@1@0@177960011069133226")},
    {{.gen = NKV_LMCACHE_K1, STR("vllm"), STR(LLAMA), 1, 0, STR(DIGEST)},
     STR("vllm@" LLAMA "@1@0@" DIGEST)},
    /* What the generations have besides. */
    {{.gen = NKV_LMCACHE_K1, STR("huggingface"), STR("m"), 2, 1, STR(DIGEST), .has_layer = 1},
     STR("huggingface@m@2@1@" DIGEST "@0")},
    {{NKV_LMCACHE_K2, STR("sglang"), STR("m"), 2, 1, STR("-5"), .has_layer = 1, .layer = 12,
      .tags = tenant, .tags_len = 2},
     STR("sglang@m@2@1@-5@12@tenant%a@env%p%q")},
    {{NKV_LMCACHE_K3, STR("vllm"), STR("m"), 2, 1, STR("-5a"), .has_layer = 1, .layer = 0,
      .tags = tenant, .tags_len = 1},
     STR("vllm@m@2@1@-5a@0@tenant%a")},
    {{NKV_LMCACHE_K4, STR("vllm"), STR("m"), 2, 1, STR("5a"), STR("fp8_e4m3"), 1, 4294967295u,
      tenant, 2},
     STR("vllm@m@2@1@5a@fp8_e4m3@4294967295@tenant%a@env%p%q")},
    {{NKV_LMCACHE_K4, STR("vllm"), STR("m"), 2, 1, STR("5a"), STR("fp8"), .has_layer = 0},
     STR("vllm@m@2@1@5a@fp8")},
    {{.gen = NKV_LMCACHE_K5,
      .model = STR("m"),
      .world_size = 1,
      .hash = STR("ff"),
      .dtype = STR("half")},
     STR("m@1@0@ff@half")},
    /* Bytes are bytes; a value may be empty; a name of digits is a tag, because of its '%'. */
    {{.gen = NKV_LMCACHE_K5,
      .model = STR("\xc3\xa4 /%\0\r\n"),
      .world_size = 4294967295u,
      .worker_id = 4294967295u,
      .hash = STR("00ff"),
      .dtype = STR("bool"),
      .tags = empty_value,
      .tags_len = 2},
     STR("\xc3\xa4 /%\0\r\n@4294967295@4294967295@00ff@bool@t%@7%%")},
    /* What LMCache prints of a digest that it has parsed as a number. */
    {{.gen = NKV_LMCACHE_K5,
      .model = STR("a{b}c"),
      .world_size = 1,
      .hash = STR("fc58acb88244190fc58acb88244190fc58acb88244190fc58acb88244190abc"),
      .dtype = STR("half")},
     STR("a{b}c@1@0@fc58acb88244190fc58acb88244190fc58acb88244190fc58acb88244190abc@half")},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static void assert_str(nkv_str got, nkv_str want)
{
    cr_assert_eq(got.len, want.len, "%.*s, %.*s", (int)got.len, got.data, (int)want.len, want.data);
    cr_assert(want.len == 0 || memcmp(got.data, want.data, want.len) == 0, "%.*s", (int)got.len,
              got.data);
}

Test(lmcache_key, built_keys_are_those_of_lmcache)
{
    for (size_t i = 0; i < VECTORS; i++) {
        nkv_str want = vectors[i].text;
        char *buf = malloc(want.len); /* exactly, so that a sanitizer sees an overrun */
        size_t len = 0;
        nkv_error error = {NKV_OK, 0, ""};
        cr_assert_eq(nkv_lmcache_key_build(&vectors[i].key, buf, want.len, &len, &error), NKV_OK,
                     "vector %zu: %s", i, error.text);
        assert_str(nkv_str_make(buf, len), want);
        for (size_t cap = 0; cap < want.len; cap++) {
            cr_assert_eq(nkv_lmcache_key_build(&vectors[i].key, buf, cap, &len, NULL), NKV_ENOMEM);
            cr_assert_eq(len, want.len);
        }
        free(buf);
    }
    cr_assert_eq(vectors[0].text.len, 61);
}

Test(lmcache_key, they_are_cut_into_their_parts)
{
    for (size_t i = 0; i < VECTORS; i++) {
        const nkv_lmcache_key *want = &vectors[i].key;
        nkv_lmcache_tag tags[4];
        nkv_lmcache_key got;
        nkv_error error = {NKV_OK, 0, ""};

        cr_assert_eq(nkv_lmcache_key_parse(vectors[i].text, want->gen, tags, 4, &got, &error),
                     NKV_OK, "vector %zu: %s", i, error.text);
        cr_assert_eq(got.gen, want->gen);
        assert_str(got.fmt, want->fmt);
        assert_str(got.model, want->model);
        cr_assert_eq(got.world_size, want->world_size);
        cr_assert_eq(got.worker_id, want->worker_id);
        assert_str(got.hash, want->hash);
        assert_str(got.dtype, want->dtype);
        cr_assert_eq(got.has_layer, want->has_layer);
        cr_assert_eq(got.layer, want->layer);
        cr_assert_eq(got.tags_len, want->tags_len);
        for (size_t t = 0; t < want->tags_len; t++) {
            assert_str(got.tags[t].name, want->tags[t].name);
            assert_str(got.tags[t].value, want->tags[t].value);
        }
    }
}

Test(lmcache_key, tags_need_room)
{
    nkv_str text = nkv_cstr("m@1@0@ff@half@a%1@b%2@c%3");
    nkv_lmcache_tag tags[3];
    nkv_lmcache_key key;
    nkv_error error;

    t_refused(nkv_lmcache_key_parse(text, NKV_LMCACHE_K5, tags, 2, &key, &error), NKV_ENOMEM,
              &error, "tags: there is room for 2, 3 are needed");
    t_refused(nkv_lmcache_key_parse(text, NKV_LMCACHE_K5, NULL, 0, &key, &error), NKV_ENOMEM,
              &error, "tags: there is room for 0, 3 are needed");
    cr_assert_null(key.tags);
    cr_assert_eq(key.model.len, 0);
    cr_assert_eq(nkv_lmcache_key_parse(text, NKV_LMCACHE_K5, tags, 3, &key, NULL), NKV_OK);
    cr_assert_eq(
        nkv_lmcache_key_parse(nkv_cstr("m@1@0@ff@half"), NKV_LMCACHE_K5, NULL, 0, &key, NULL),
        NKV_OK);
    cr_assert_null(key.tags);
}

typedef struct refusal {
    nkv_lmcache_gen gen;
    const char *text, *error;
} refusal;

#define FEW      "key: too few parts; allowed is "
#define NUMBER   ": allowed is 0 to 4294967295 in decimal, without zeros in front"
#define NO_TAG   "tag: allowed is name%value behind"
#define TAG_NAME "tag: in a name are allowed bytes"

static const refusal refusals[] = {
    {NKV_LMCACHE_K5, "", FEW "model@world_size@worker_id@hash@dtype[@layer][@tag%value]..."},
    {NKV_LMCACHE_K5, "m@1@0@ff", FEW},
    {NKV_LMCACHE_K4, "vllm@m@1@0@ff", FEW "fmt@model@world_size@worker_id@hash@dtype["},
    {NKV_LMCACHE_K1, "vllm@m@1@0", FEW "fmt@model@world_size@worker_id@hash[@layer]"},
    {NKV_LMCACHE_K5, "m@x@1@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@01@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@-1@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@4294967296@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@99999999999999999999999@0@ff@half", "world_size" NUMBER},
    {NKV_LMCACHE_K5, "m@1@+0@ff@half", "worker_id" NUMBER},
    {NKV_LMCACHE_K5, "m@1@ 0@ff@half", "worker_id" NUMBER},
    {NKV_LMCACHE_K5, "@1@0@ff@half", "model: allowed are bytes other than '@', at least one"},
    {NKV_LMCACHE_K4, "@m@1@0@ff@half", "fmt: allowed are bytes other than '@', at least one"},
    {NKV_LMCACHE_K5, "m@1@0@@half", "hash: allowed is digits"},
    {NKV_LMCACHE_K5, "m@1@0@FF@half", "hash: allowed is digits"},
    {NKV_LMCACHE_K2, "vllm@m@1@0@ff", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K1, "vllm@m@1@0@ff", "hash: allowed is 64 digits"},
    {NKV_LMCACHE_K5, "m@1@0@ff@", "dtype: allowed is one of"},
    {NKV_LMCACHE_K5, "m@1@0@ff@float16", "dtype: allowed is one of"},
    {NKV_LMCACHE_K5, "m@1@0@ff@fp8_e4m3", "dtype: allowed is one of"},
    {NKV_LMCACHE_K4, "vllm@m@1@0@ff@fp8_e4m3fn", "dtype: allowed is one of"},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@07", "layer" NUMBER},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@4294967296", "layer" NUMBER},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@", NO_TAG},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@7@", NO_TAG},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@-7", NO_TAG},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@tag", NO_TAG},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@a%1@7", NO_TAG},
    {NKV_LMCACHE_K5, "m@1@0@ff@half@%1", TAG_NAME},
    {NKV_LMCACHE_K1, "vllm@m@1@0@" DIGEST "@a%1", "tags: keys of this generation have none"},
    {(nkv_lmcache_gen)0, "m@1@0@ff@half", "generation: allowed is K1 to K5"},
    {NKV_LMCACHE_OBJECT, "m@1@0@ff@half", "generation: allowed is K1 to K5"},
};

Test(lmcache_key, what_is_no_key_is_refused_and_named)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        nkv_lmcache_tag tags[4];
        nkv_lmcache_key key;
        nkv_error error = {NKV_OK, 0, ""};
        memset(&key, 1, sizeof key);
        t_refused(nkv_lmcache_key_parse(nkv_cstr(refusals[i].text), refusals[i].gen, tags, 4, &key,
                                        &error),
                  NKV_EINVAL, &error, refusals[i].error);
        cr_assert(key.model.data == NULL && key.tags == NULL && key.has_layer == 0);
    }
    nkv_lmcache_key key;
    cr_assert_eq(nkv_lmcache_key_parse(nkv_str_make(NULL, 0), NKV_LMCACHE_K5, NULL, 0, &key, NULL),
                 NKV_EINVAL);
}

static void refuses_to_build(nkv_lmcache_key key, const char *text)
{
    char buf[256];
    size_t len = 9;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_key_build(&key, buf, sizeof buf, &len, &error), NKV_EINVAL, &error, text);
    cr_assert_eq(len, 0);
}

Test(lmcache_key, what_could_not_be_parsed_is_not_built)
{
    const nkv_lmcache_tag bad[] = {{STR("a@b"), STR("1")},
                                   {STR("a%b"), STR("1")},
                                   {STR(""), STR("1")},
                                   {STR("a"), STR("1@2")}};
    const nkv_lmcache_key good = vectors[0].key;
    nkv_lmcache_key key = good;

    key.model = nkv_cstr("a@b");
    refuses_to_build(key, "model: allowed are bytes other than '@', at least one");
    key.model = nkv_cstr("");
    refuses_to_build(key, "model: allowed");
    key = good;
    key.fmt = nkv_cstr("vllm");
    refuses_to_build(key, "fmt: keys of this generation have none; leave it empty");
    key = good;
    key.hash = nkv_cstr("0xff");
    refuses_to_build(key, "hash: allowed is digits");
    key = good;
    key.dtype = nkv_cstr("");
    refuses_to_build(key, "dtype: allowed is one of");
    key = good;
    key.gen = (nkv_lmcache_gen)9;
    refuses_to_build(key, "generation: allowed is K1 to K5");
    for (size_t i = 0; i < 4; i++) {
        key = good;
        key.tags = &bad[i];
        key.tags_len = 1;
        refuses_to_build(key, i < 3 ? TAG_NAME : "tag: in a value are allowed");
    }
    key = vectors[11].key; /* K2 */
    key.dtype = nkv_cstr("half");
    refuses_to_build(key, "dtype: keys of this generation have none");
    key = vectors[12].key; /* K1 */
    key.tags = tenant;
    key.tags_len = 1;
    refuses_to_build(key, "tags: keys of this generation have none");
    key.tags_len = 0;
    key.fmt = nkv_cstr("");
    refuses_to_build(key, "fmt: allowed are bytes");
}

/* Lengths that no text has: nothing is read, and nothing wraps. */
Test(lmcache_key, a_name_that_is_too_long_is_refused)
{
    static const char byte = 'x';
    const nkv_lmcache_layout layouts[] = {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_SINGLE_KEY};
    const size_t lens[] = {((size_t)512 << 20) + 1, SIZE_MAX - 3, SIZE_MAX};
    nkv_lmcache_key key;
    nkv_error error;

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t l = 0; l < 2; l++) {
            nkv_lmcache_name name = {layouts[l], NKV_LMCACHE_PAYLOAD, nkv_str_make(&byte, lens[i])};
            char buf[16];
            size_t len = 9;
            t_refused(nkv_lmcache_name_build(&name, buf, sizeof buf, &len, &error), NKV_EINVAL,
                      &error, "name: longer than the 512 MiB");
            cr_assert_eq(len, 0);
        }
        t_refused(nkv_lmcache_key_parse(nkv_str_make(&byte, lens[i]), NKV_LMCACHE_K5, NULL, 0, &key,
                                        &error),
                  NKV_EINVAL, &error, "key: longer than the 512 MiB");
    }
}
