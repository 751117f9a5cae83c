/* tests/unit/cli/test_meta_text.c - metadata of a chunk as a text: both ways, refusals, sizes. */
#include "cli/meta_text.h"
#include "unit/cli/out_text.h"

#define LLAMA "fmt=KV_2LTD,dtype=bfloat16,shape=2x32x256x1024"

static nkv_lmcache_meta read_meta(const char *text)
{
    nkv_lmcache_meta meta;
    nkvi_out error = {0};

    cr_assert(nkvi_meta_parse(text, &meta, &error), "%s: %.*s", text, (int)error.len, error.data);
    cr_assert_eq(error.len, 0);
    return meta;
}

static void refused(const char *text, const char *why)
{
    nkv_lmcache_meta meta;
    nkvi_out error = {0};

    cr_assert_not(nkvi_meta_parse(text, &meta, &error), "%s is taken", text);
    OUT_HAS(&error, why);
    cr_assert_null(memchr(error.data, '\n', error.len));
    nkvi_out_clear(&error);
}

/* Reads it, completes it for `size` bytes and compares its packed form. */
static void packs(const char *text, uint64_t size, const void *bytes, size_t len)
{
    nkv_lmcache_meta meta = read_meta(text);
    char packed[NKV_LMCACHE_META_MAX];
    nkvi_out error = {0};
    size_t got;

    cr_assert(nkvi_meta_fit(&meta, size, NKV_LMCACHE_PAD_ZEROS, &error), "%.*s", (int)error.len,
              error.data);
    cr_assert_eq(
        nkv_lmcache_meta_pack(&meta, NKV_LMCACHE_PAD_ZEROS, packed, sizeof packed, &got, NULL),
        NKV_OK);
    cr_assert(got == len && memcmp(packed, bytes, len) == 0, "%s", text);
}

static void unfit(const char *text, uint64_t size, nkv_lmcache_padding padding, const char *why)
{
    nkv_lmcache_meta meta = read_meta(text);
    nkvi_out error = {0};

    cr_assert_not(nkvi_meta_fit(&meta, size, padding, &error), "%s fits", text);
    OUT_HAS(&error, why);
    nkvi_out_clear(&error);
}

/* The examples of LMCache's format. */
Test(cli_meta_text, packs_to_the_bytes_that_lmcache_writes)
{
    packs(LLAMA, 33554432, "\0\0\0\2\1\0\0\0\3\0\0\0\2\0\0\0\x20\0\0\0\0\1\0\0\0\4\0\0", 28);
    packs("fmt=KV_2TD,dtype=bfloat16,shape=2x256x1024", 1048576,
          "\0\0\x10\0\3\0\0\0\3\0\0\0\2\0\0\0\0\1\0\0\0\4\0\0\0\0\0\0", 28);
    packs(NULL, 1000, "\xe8\3\0\0\5\0\0\0\0\0\0\0\xe8\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 28);
    packs("fmt=BINARY", 12345, "9\x30\0\0\4\0\0\0\0\0\0\0\x39\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 28);
    packs("fmt=KV_2LTD,dtype=bfloat16,shape=2x2x256x1024;dtype=bfloat16,shape=1x2x256x64", 2162688,
          "\0\0\x21\0\1\0\0\0\3\0\0\0\2\0\0\0\2\0\0\0\0\1\0\0\0\4\0\0"
          "\3\0\0\0\1\0\0\0\2\0\0\0\0\1\0\0\x40\0\0\0",
          48);
    packs("fmt=9,dtype=uint8,shape=5x1", 7,
          "\7\0\0\0\x9\0\0\0\6\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 28);
}

Test(cli_meta_text, what_is_written_is_what_was_read)
{
    static const char *const texts[] = {
        LLAMA,
        "fmt=KV_MLA_FMT,dtype=half,shape=1x61x256x576",
        "fmt=9,dtype=uint8,shape=16x100",
        "fmt=BINARY,dtype=none,shape=12x0x0x0",
        "fmt=EC_TD,dtype=float,shape=3x5",
        "fmt=KV_2LTD,dtype=half,shape=2x2x256x1024;dtype=fp8_e5m2,shape=1x2x256x64",
        "fmt=UNDEFINED,dtype=none,shape=7"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nkv_lmcache_meta meta = read_meta(texts[i]);
        nkvi_out out = {0};
        nkvi_meta_text(&out, &meta);
        cr_assert(out.len == strlen(texts[i]) && memcmp(out.data, texts[i], out.len) == 0,
                  "%s became %.*s", texts[i], (int)out.len, out.data);
        nkvi_out_clear(&out);
    }
}

Test(cli_meta_text, fields_come_in_any_order)
{
    nkv_lmcache_meta meta = read_meta("shape=2x3,fmt=1,dtype=double");

    cr_assert_eq(meta.format, NKV_LMCACHE_KV_2LTD);
    cr_assert_eq(meta.groups_len, 1);
    cr_assert_eq(meta.groups[0].dtype, NKV_LMCACHE_FLOAT64);
    cr_assert_eq(meta.groups[0].dims, 2);
    cr_assert_eq(meta.groups[0].shape[1], 3);
}

Test(cli_meta_text, a_refusal_says_what_is_allowed)
{
    refused("", "\"\" is no fmt=, dtype= or shape=, as in " LLAMA);
    refused("fmt", "\"fmt\" is no fmt=");
    refused("format=KV_2LTD", "\"format=KV_2LTD\" is no fmt=");
    refused(LLAMA ";", "\"\" is no fmt=");
    refused(LLAMA ",", "\"\" is no fmt=");
    refused("fmt=KV_9,dtype=half,shape=1", "fmt is \"KV_9\": format: allowed is one of UNDEFINED");
    refused("fmt=-1", "or a number from 0 to 2147483647");
    refused("fmt=2147483648", "or a number from 0 to 2147483647");
    refused("fmt=KV_2LTD,dtype=f16,shape=1", "dtype is \"f16\": dtype: allowed is one of half");
    refused("fmt=KV_2LTD,dtype=half,shape=1x", "1 to 4 whole numbers from 0 to 2147483647");
    refused("fmt=KV_2LTD,dtype=half,shape=1x2x3x4x5", "shape is \"1x2x3x4x5\"");
    refused("fmt=KV_2LTD,dtype=half,shape=+1", "shape is \"+1\"");
    refused("fmt=KV_2LTD,dtype=half,shape=99999999999", "whole numbers");
    refused("fmt=KV_2LTD,fmt=KV_2LTD", "comes twice");
    refused(LLAMA ";fmt=KV_2LTD", "comes twice");
    refused("fmt=KV_2LTD,shape=1,shape=2", "comes twice");
    refused("dtype=half,shape=1", "the first group has no fmt=");
    refused("fmt=KV_2LTD,shape=1", "a group has no dtype=");
    refused("fmt=KV_2LTD,dtype=half", "a group has no shape=");
    refused("fmt=BINARY,dtype=half", "a group has no shape=");
    refused("fmt=KV_2LTD\n", "fmt is \"KV_2LTD\\n\"");
}

Test(cli_meta_text, no_more_groups_than_lmcache_reads)
{
    nkvi_out text = {0};

    nkvi_out_text(&text, "fmt=9,shape=1");
    for (int i = 1; i < NKV_LMCACHE_GROUPS_MAX; i++) {
        nkvi_out_text(&text, ";shape=1");
    }
    nkvi_out_add(&text, "", 1);
    cr_assert_eq(read_meta(text.data).groups_len, NKV_LMCACHE_GROUPS_MAX);
    text.len--;
    nkvi_out_add(&text, ";shape=1", sizeof ";shape=1");
    refused(text.data, "more than 16 groups");
    nkvi_out_clear(&text);
    refused("fmt=9;shape=1", "of several groups each needs");
}

Test(cli_meta_text, what_does_not_fit_the_size_is_refused)
{
    unfit(LLAMA, 33554431, NKV_LMCACHE_PAD_ZEROS,
          "33554431 bytes, but --meta " LLAMA " has 33554432");
    unfit("fmt=KV_2LTD,dtype=double,shape=2147483647x2147483647x2147483647x2147483647", 8,
          NKV_LMCACHE_PAD_ZEROS, "has more");
    unfit(NULL, 0, NKV_LMCACHE_PAD_ZEROS, "0 bytes; a chunk with metadata has 1 to 2147483647");
    unfit(NULL, UINT64_C(2147483648), NKV_LMCACHE_PAD_ZEROS, "has 1 to 2147483647");
    unfit("fmt=KV_2LTD,dtype=int8,shape=8", 8, NKV_LMCACHE_PAD_ZEROS, "is not for LMCache: ");
    unfit("fmt=KV_2LTD,dtype=uint8,shape=8x0", 8, NKV_LMCACHE_PAD_ZEROS, "sizes from 1");
    unfit("fmt=KV_2LTD,dtype=uint8,shape=8", 8, NKV_LMCACHE_PAD_NONE, "4 dimensions");
    unfit("fmt=KV_2LTD,dtype=none,shape=8", 8, NKV_LMCACHE_PAD_ZEROS, "none is for bytes");
}

Test(cli_meta_text, as_json)
{
    nkv_lmcache_meta meta = read_meta("fmt=KV_2LTD,dtype=half,shape=2x1x3x4;dtype=uint8,shape=7");
    nkvi_out out = {0};

    nkvi_meta_json(&out, &meta);
    OUT_IS(&out, "{\"format\":\"KV_2LTD\",\"groups\":[{\"dtype\":\"half\",\"shape\":[2,1,3,4]},"
                 "{\"dtype\":\"uint8\",\"shape\":[7]}]}");
    meta = read_meta("fmt=77,shape=1");
    nkvi_meta_json(&out, &meta);
    OUT_IS(&out, "{\"format\":77,\"groups\":[{\"dtype\":\"none\",\"shape\":[1]}]}");
}
