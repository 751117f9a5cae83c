/* tests/unit/lmcache/test_meta.c - metadata against bytes that Python's struct module made. */
#include "unit/lmcache/hex.h"

#include <limits.h>

typedef struct vector {
    nkv_lmcache_meta meta;
    const char *zeros; /* as PAD_ZEROS writes it */
    const char *ones;  /* as PAD_ONES does; NULL: the same */
} vector;

#define META(length, format, dtype, dims, ...) \
    {                                          \
        length, format, 1,                     \
        {                                      \
            {                                  \
                NKV_LMCACHE_##dtype, dims,     \
                {                              \
                    __VA_ARGS__                \
                }                              \
            }                                  \
        }                                      \
    }

/* Chunks of known models, and the corners. */
static const vector vectors[] = {
    {META(33554432, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 32, 256, 1024),
     "00000002 01000000 03000000 02000000 20000000 00010000 00040000", NULL},
    {META(33554432, NKV_LMCACHE_KV_2LTD, FLOAT16, 4, 2, 32, 256, 1024),
     "00000002 01000000 02000000 02000000 20000000 00010000 00040000", NULL},
    {META(13107200, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 32, 100, 1024),
     "0000c800 01000000 03000000 02000000 20000000 64000000 00040000", NULL},
    {META(16777216, NKV_LMCACHE_KV_2LTD, UINT8, 4, 2, 32, 256, 1024),
     "00000001 01000000 06000000 02000000 20000000 00010000 00040000", NULL},
    {META(16777216, NKV_LMCACHE_KV_2LTD, FP8_E4M3FN, 4, 2, 32, 256, 1024),
     "00000001 01000000 07000000 02000000 20000000 00010000 00040000", NULL},
    {META(14680064, NKV_LMCACHE_KV_2LTD, BFLOAT16, 4, 2, 28, 256, 512),
     "0000e000 01000000 03000000 02000000 1c000000 00010000 00020000", NULL},
    {META(17989632, NKV_LMCACHE_KV_MLA_FMT, BFLOAT16, 4, 1, 61, 256, 576),
     "00801201 06000000 03000000 01000000 3d000000 00010000 40020000", NULL},
    {META(1048576, NKV_LMCACHE_KV_2TD, BFLOAT16, 3, 2, 256, 1024),
     "00001000 03000000 03000000 02000000 00010000 00040000 00000000",
     "00001000 03000000 03000000 01000000 02000000 00010000 00040000"},
    {META(1048576, NKV_LMCACHE_KV_T2D, BFLOAT16, 3, 256, 2, 1024),
     "00001000 02000000 03000000 00010000 02000000 00040000 00000000",
     "00001000 02000000 03000000 01000000 00010000 02000000 00040000"},
    {META(1000, NKV_LMCACHE_BINARY_BUFFER, NONE, 4, 1000, 0, 0, 0),
     "e8030000 05000000 00000000 e8030000 00000000 00000000 00000000", NULL},
    {META(12345, NKV_LMCACHE_BINARY, NONE, 4, 12345, 0, 0, 0),
     "39300000 04000000 00000000 39300000 00000000 00000000 00000000", NULL},
    {META(2147483647, NKV_LMCACHE_UNDEFINED, NONE, 1, 2147483647),
     "ffffff7f 00000000 00000000 ffffff7f 00000000 00000000 00000000",
     "ffffff7f 00000000 00000000 01000000 01000000 01000000 ffffff7f"},
    {META(4, NKV_LMCACHE_KV_2LTD, FLOAT16, 4, 2, 1, 1, 1),
     "04000000 01000000 02000000 02000000 01000000 01000000 01000000", NULL},
    {{2162688,
      NKV_LMCACHE_KV_2LTD,
      2,
      {{NKV_LMCACHE_BFLOAT16, 4, {2, 2, 256, 1024}}, {NKV_LMCACHE_BFLOAT16, 4, {1, 2, 256, 64}}}},
     "00002100 01000000 03000000 02000000 02000000 00010000 00040000 "
     "03000000 01000000 02000000 00010000 40000000",
     NULL},
    /* Unknown formats, of forks and of the future: the shape means what it means to them. */
    {META(99, 9, UINT8, 4, 5, 0, 7, 0),
     "63000000 09000000 06000000 05000000 00000000 07000000 00000000", NULL},
    {META(1, -7, NONE, 4, 0, 0, 0, 0),
     "01000000 f9ffffff 00000000 00000000 00000000 00000000 00000000", NULL},
    {META(1, INT_MAX, FLOAT64, 4, INT_MAX, INT_MAX, INT_MAX, INT_MAX),
     "01000000 ffffff7f 05000000 ffffff7f ffffff7f ffffff7f ffffff7f", NULL},
    /* Drawn by lot. */
    {{2184, 2, 1, {{NKV_LMCACHE_FLOAT16, 2, {26, 42}}}},
     "88080000 02000000 02000000 1a000000 2a000000 00000000 00000000",
     "88080000 02000000 02000000 01000000 01000000 1a000000 2a000000"},
    {{24, 0, 1, {{NKV_LMCACHE_UINT8, 1, {24}}}},
     "18000000 00000000 06000000 18000000 00000000 00000000 00000000",
     "18000000 00000000 06000000 01000000 01000000 01000000 18000000"},
    {{144, 0, 1, {{NKV_LMCACHE_FLOAT64, 2, {3, 6}}}},
     "90000000 00000000 05000000 03000000 06000000 00000000 00000000",
     "90000000 00000000 05000000 01000000 01000000 03000000 06000000"},
    {{125536, 3, 2, {{NKV_LMCACHE_FLOAT16, 1, {16}}, {NKV_LMCACHE_BFLOAT16, 4, {4, 53, 37, 8}}}},
     "60ea0100 03000000 02000000 10000000 00000000 00000000 00000000 03000000 04000000 35000000 "
     "25000000 08000000",
     "60ea0100 03000000 02000000 01000000 01000000 01000000 10000000 03000000 04000000 35000000 "
     "25000000 08000000"},
    {{7543,
      7,
      3,
      {{NKV_LMCACHE_UINT8, 1, {37}},
       {NKV_LMCACHE_FP8_E5M2, 4, {4, 15, 3, 36}},
       {NKV_LMCACHE_BFLOAT16, 2, {19, 27}}}},
     "771d0000 07000000 06000000 25000000 00000000 00000000 00000000 08000000 04000000 0f000000 "
     "03000000 24000000 03000000 13000000 1b000000 00000000 00000000",
     "771d0000 07000000 06000000 01000000 01000000 01000000 25000000 08000000 04000000 0f000000 "
     "03000000 24000000 03000000 01000000 01000000 13000000 1b000000"},
    {{582,
      6,
      3,
      {{NKV_LMCACHE_FLOAT32, 1, {37}},
       {NKV_LMCACHE_UINT8, 2, {7, 38}},
       {NKV_LMCACHE_UINT8, 2, {24, 7}}}},
     "46020000 06000000 04000000 25000000 00000000 00000000 00000000 06000000 07000000 26000000 "
     "00000000 00000000 06000000 18000000 07000000 00000000 00000000",
     "46020000 06000000 04000000 01000000 01000000 01000000 25000000 06000000 01000000 01000000 "
     "07000000 26000000 06000000 01000000 01000000 18000000 07000000"},
    {{1482, 7, 2, {{NKV_LMCACHE_FLOAT16, 1, {37}}, {NKV_LMCACHE_UINT8, 2, {32, 44}}}},
     "ca050000 07000000 02000000 25000000 00000000 00000000 00000000 06000000 20000000 2c000000 "
     "00000000 00000000",
     "ca050000 07000000 02000000 01000000 01000000 01000000 25000000 06000000 01000000 01000000 "
     "20000000 2c000000"},
    {{7417544,
      3,
      5,
      {{NKV_LMCACHE_FLOAT64, 3, {30, 38, 60}},
       {NKV_LMCACHE_BFLOAT16, 3, {20, 16, 51}},
       {NKV_LMCACHE_FLOAT32, 2, {6, 37}},
       {NKV_LMCACHE_FLOAT32, 4, {57, 22, 47, 29}},
       {NKV_LMCACHE_UINT8, 1, {8}}}},
     "c82e7100 03000000 05000000 1e000000 26000000 3c000000 00000000 03000000 14000000 10000000 "
     "33000000 00000000 04000000 06000000 25000000 00000000 00000000 04000000 39000000 16000000 "
     "2f000000 1d000000 06000000 08000000 00000000 00000000 00000000",
     "c82e7100 03000000 05000000 01000000 1e000000 26000000 3c000000 03000000 01000000 14000000 "
     "10000000 33000000 04000000 01000000 01000000 06000000 25000000 04000000 39000000 16000000 "
     "2f000000 1d000000 06000000 01000000 01000000 01000000 08000000"},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static void assert_same(const nkv_lmcache_meta *a, const nkv_lmcache_meta *b, size_t which)
{
    cr_assert_eq(a->length, b->length, "vector %zu", which);
    cr_assert_eq(a->format, b->format, "vector %zu", which);
    cr_assert_eq(a->groups_len, b->groups_len, "vector %zu", which);
    for (size_t i = 0; i < NKV_LMCACHE_GROUPS_MAX; i++) {
        const nkv_lmcache_group *ga = &a->groups[i], *gb = &b->groups[i];
        cr_assert_eq(ga->dtype, gb->dtype, "vector %zu, group %zu", which, i);
        cr_assert_eq(ga->dims, gb->dims, "vector %zu, group %zu", which, i);
        for (uint32_t d = 0; d < ga->dims; d++) {
            cr_assert_eq(ga->shape[d], gb->shape[d], "vector %zu, group %zu", which, i);
        }
    }
}

static void assert_packs(const nkv_lmcache_meta *meta, nkv_lmcache_padding padding, const char *hex)
{
    unsigned char want[NKV_LMCACHE_META_MAX], got[NKV_LMCACHE_META_MAX];
    size_t want_len = t_unhex(hex, want, sizeof want), len = 0;
    nkv_error error = {NKV_OK, 0, ""};

    cr_assert_eq(nkv_lmcache_meta_pack(meta, padding, got, want_len, &len, &error), NKV_OK, "%s",
                 error.text);
    cr_assert_eq(len, want_len);
    cr_assert_eq(len, NKV_LMCACHE_META_SIZE(meta->groups_len));
    cr_assert_eq(memcmp(got, want, len), 0, "%s", hex);
}

static nkv_status unpack_hex(const char *hex, uint32_t groups, nkv_lmcache_meta *meta,
                             nkv_error *error)
{
    unsigned char bytes[512];
    size_t len = t_unhex(hex, bytes, sizeof bytes);
    return nkv_lmcache_meta_unpack(nkv_str_make(bytes, len), groups, meta, error);
}

Test(lmcache_meta, bytes_are_those_of_lmcache)
{
    for (size_t i = 0; i < VECTORS; i++) {
        const vector *v = &vectors[i];
        assert_packs(&v->meta, NKV_LMCACHE_PAD_ZEROS, v->zeros);
        assert_packs(&v->meta, NKV_LMCACHE_PAD_ONES, v->ones != NULL ? v->ones : v->zeros);
        if (v->ones == NULL) {
            assert_packs(&v->meta, NKV_LMCACHE_PAD_NONE, v->zeros);
        }
    }
}

Test(lmcache_meta, they_are_read_back)
{
    for (size_t i = 0; i < VECTORS; i++) {
        nkv_lmcache_meta meta;
        nkv_error error = {NKV_OK, 0, ""};

        cr_assert_eq(unpack_hex(vectors[i].zeros, 0, &meta, &error), NKV_OK, "vector %zu: %s", i,
                     error.text);
        assert_same(&meta, &vectors[i].meta, i);
        cr_assert_eq(unpack_hex(vectors[i].zeros, meta.groups_len, &meta, NULL), NKV_OK);
        assert_same(&meta, &vectors[i].meta, i);
    }
}

/* Ones in front may have been meant: four dimensions are read, and give the same bytes again. */
Test(lmcache_meta, the_padding_of_ones_stays)
{
    for (size_t i = 0; i < VECTORS; i++) {
        nkv_lmcache_meta meta;
        if (vectors[i].ones != NULL) {
            cr_assert_eq(unpack_hex(vectors[i].ones, 0, &meta, NULL), NKV_OK);
            cr_assert_eq(meta.groups[0].dims, 4);
            assert_packs(&meta, NKV_LMCACHE_PAD_ZEROS, vectors[i].ones);
            assert_packs(&meta, NKV_LMCACHE_PAD_NONE, vectors[i].ones);
        }
    }
}

Test(lmcache_meta, binary_gets_zeros_behind_whatever_the_padding)
{
    const nkv_lmcache_meta meta = META(1000, NKV_LMCACHE_BINARY_BUFFER, NONE, 1, 1000);
    const nkv_lmcache_padding all[] = {NKV_LMCACHE_PAD_ZEROS, NKV_LMCACHE_PAD_ONES,
                                       NKV_LMCACHE_PAD_NONE};
    for (size_t i = 0; i < 3; i++) {
        assert_packs(&meta, all[i],
                     "e8030000 05000000 00000000 e8030000 00000000 00000000 00000000");
    }
}

Test(lmcache_meta, dtype_one_is_half_and_written_as_two)
{
    nkv_lmcache_meta meta;

    cr_assert_eq(unpack_hex("04000000 01000000 01000000 02000000 01000000 01000000 01000000", 0,
                            &meta, NULL),
                 NKV_OK);
    cr_assert_eq(meta.groups[0].dtype, NKV_LMCACHE_FLOAT16);
    assert_packs(&meta, NKV_LMCACHE_PAD_ZEROS,
                 "04000000 01000000 02000000 02000000 01000000 01000000 01000000");
}

Test(lmcache_meta, a_tail_is_ignored)
{
    static const char *const longer[] = {
        "04000000 01000000 02000000 02000000 01000000 01000000 01000000 ff",
        "04000000 01000000 02000000 02000000 01000000 01000000 01000000 ffffffff",
        ("04000000 01000000 02000000 02000000 01000000 01000000 01000000 "
         "ffffffff ffffffff ffffffff ffffffff ffffff"),
    };
    nkv_lmcache_meta meta;
    nkv_error error;

    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        cr_assert_eq(unpack_hex(longer[i], 0, &meta, NULL), NKV_OK);
        cr_assert_eq(meta.groups_len, 1);
        cr_assert_eq(unpack_hex(longer[i], 1, &meta, NULL), NKV_OK);
        t_refused(unpack_hex(longer[i], 2, &meta, &error), NKV_EINVAL, &error, "metadata: ");
    }
    /* Two groups, of which a reader that expects one sees the first; its length does not fit. */
    const char *two = "00002100 01000000 03000000 02000000 02000000 00010000 00040000 "
                      "03000000 01000000 02000000 00010000 40000000";
    t_refused(unpack_hex(two, 1, &meta, &error), NKV_EINVAL, &error,
              "metadata: the shape takes 2097152 bytes, the length is 2162688");
    /* With a format that is not looked into, it is as LMCache reads it. */
    const char *binary = "00002100 04000000 03000000 02000000 02000000 00010000 00040000 "
                         "03000000 01000000 02000000 00010000 40000000";
    cr_assert_eq(unpack_hex(binary, 1, &meta, NULL), NKV_OK);
    cr_assert_eq(meta.groups_len, 1);
    cr_assert_eq(unpack_hex(binary, 0, &meta, NULL), NKV_OK);
    cr_assert_eq(meta.groups_len, 2);
}

Test(lmcache_meta, the_number_of_groups_is_bounded)
{
    unsigned char bytes[NKV_LMCACHE_META_MAX + 20] = {1, 0, 0, 0, 4};
    nkv_lmcache_meta meta;
    nkv_error error;

    cr_assert_eq(nkv_lmcache_meta_unpack(nkv_str_make(bytes, sizeof bytes - 1), 0, &meta, NULL),
                 NKV_OK);
    cr_assert_eq(meta.groups_len, NKV_LMCACHE_GROUPS_MAX);
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, sizeof bytes), 0, &meta, &error),
              NKV_EINVAL, &error, "metadata: 348 bytes; allowed is 28 to 347");
    cr_assert_eq(nkv_lmcache_meta_unpack(nkv_str_make(bytes, sizeof bytes), 16, &meta, NULL),
                 NKV_OK);
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, sizeof bytes), 17, &meta, &error),
              NKV_EINVAL, &error, "metadata: groups: allowed is 0 to 16");
}

Test(lmcache_meta, what_is_too_short_is_refused)
{
    unsigned char bytes[68];
    nkv_lmcache_meta meta, empty;
    nkv_error error;

    memset(bytes, 1, sizeof bytes);
    memset(&empty, 0, sizeof empty);
    for (size_t len = 0; len < 28; len++) {
        memset(&meta, 1, sizeof meta);
        t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, len), 0, &meta, &error), NKV_EINVAL,
                  &error, "metadata: ");
        assert_same(&meta, &empty, len);
    }
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(NULL, 0), 0, &meta, &error), NKV_EINVAL, &error,
              "metadata: 0 bytes; 1 group takes 28");
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, 27), 1, &meta, &error), NKV_EINVAL,
              &error, "metadata: 27 bytes; 1 group takes 28");
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, 28), 2, &meta, &error), NKV_EINVAL,
              &error, "metadata: 28 bytes; 2 groups take 48");
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, 67), 3, &meta, &error), NKV_EINVAL,
              &error, "metadata: 67 bytes; 3 groups take 68");
}

typedef struct refusal {
    const char *hex, *text;
} refusal;

static const refusal refusals[] = {
    {"00000000 01000000 02000000 02000000 01000000 01000000 01000000",
     "metadata: length: allowed is 1 to 2147483647 bytes"},
    {"ffffffff 01000000 02000000 02000000 01000000 01000000 01000000",
     "metadata: length: allowed is 1 to 2147483647 bytes"},
    {"00000080 01000000 02000000 02000000 01000000 01000000 01000000",
     "metadata: length: allowed is 1 to 2147483647 bytes"},
    {"04000000 01000000 09000000 02000000 01000000 01000000 01000000", "metadata: dtype: allowed"},
    {"04000000 01000000 40000000 01000000 01000000 01000000 01000000", "metadata: dtype: allowed"},
    {"04000000 01000000 ffffffff 02000000 01000000 01000000 01000000", "metadata: dtype: allowed"},
    {"04000000 04000000 09000000 02000000 01000000 01000000 01000000", "metadata: dtype: allowed"},
    {"04000000 63000000 09000000 02000000 01000000 01000000 01000000", "metadata: dtype: allowed"},
    {"02000000 01000000 00000000 02000000 01000000 01000000 01000000",
     "metadata: dtype: none is for bytes"},
    {"04000000 01000000 02000000 feffffff ffffffff 01000000 01000000",
     "metadata: shape: allowed are sizes from 1, then zeros"},
    {"04000000 01000000 02000000 02000000 00000000 01000000 01000000",
     "metadata: shape: allowed are sizes from 1, then zeros"},
    {"04000000 01000000 02000000 00000000 00000000 00000000 00000000",
     "metadata: shape: allowed are sizes from 1, then zeros"},
    {"04000000 05000000 00000000 04000000 00000000 00000000 ffffffff",
     "metadata: shape: allowed are sizes from 0"},
    {"04000000 0a000000 00000000 ffffffff 00000000 00000000 00000000",
     "metadata: shape: allowed are sizes from 0"},
    {"05000000 01000000 02000000 02000000 01000000 01000000 01000000",
     "metadata: the shape takes 4 bytes, the length is 5"},
    {"00000040 01000000 02000000 ffffff7f ffffff7f ffffff7f ffffff7f",
     "metadata: the shape takes more than 64 bits count, the length is 1073741824"},
    {"04000000 01000000 02000000 02000000 01000000 01000000 01000000 "
     "0a000000 01000000 01000000 01000000 01000000",
     "metadata: group 1, dtype: allowed"},
};

Test(lmcache_meta, what_makes_no_sense_is_refused_and_named)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        nkv_lmcache_meta meta;
        nkv_error error = {NKV_OK, 0, ""};
        t_refused(unpack_hex(refusals[i].hex, 0, &meta, &error), NKV_EINVAL, &error,
                  refusals[i].text);
        cr_assert_eq(meta.groups_len, 0);
        cr_assert_eq(unpack_hex(refusals[i].hex, 0, &meta, NULL), NKV_EINVAL);
    }
}

/* Sizes whose bytes are more than 64 bits count, in the sum of the groups only. */
Test(lmcache_meta, the_sum_of_the_groups_may_not_overflow)
{
    nkv_lmcache_meta meta = {.length = 8, .format = NKV_LMCACHE_KV_2LTD, .groups_len = 16};
    unsigned char bytes[NKV_LMCACHE_META_MAX];
    size_t len;
    nkv_error error;

    for (size_t i = 0; i < 16; i++) {
        meta.groups[i] = (nkv_lmcache_group){NKV_LMCACHE_FLOAT64, 3, {1 << 30, 1 << 30, 1}};
    }
    meta.groups[15].shape[2] = 1 + (1 << 3);
    cr_assert_eq(
        nkv_lmcache_meta_pack(&meta, NKV_LMCACHE_PAD_ZEROS, bytes, sizeof bytes, &len, NULL),
        NKV_OK);
    t_refused(nkv_lmcache_meta_unpack(nkv_str_make(bytes, len), 0, &meta, &error), NKV_EINVAL,
              &error, "metadata: the shape takes more than 64 bits count, the length is 8");
}

/* LMCache writes such metadata, and so do we; whoever reads it finds out. */
Test(lmcache_meta, shape_and_length_are_compared_by_the_reader_only)
{
    nkv_lmcache_meta meta = META(2147483647, NKV_LMCACHE_KV_2LTD, FLOAT32, 4, 1, 1, 1, 1);
    const char *hex = "ffffff7f 01000000 04000000 01000000 01000000 01000000 01000000";
    nkv_error error;

    assert_packs(&meta, NKV_LMCACHE_PAD_ZEROS, hex);
    t_refused(unpack_hex(hex, 0, &meta, &error), NKV_EINVAL, &error,
              "metadata: the shape takes 4 bytes, the length is 2147483647");
}

static void refuses_to_pack(const nkv_lmcache_meta *meta, nkv_lmcache_padding padding,
                            const char *text)
{
    unsigned char bytes[NKV_LMCACHE_META_MAX];
    size_t len = 99;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_meta_pack(meta, padding, bytes, sizeof bytes, &len, &error), NKV_EINVAL,
              &error, text);
    cr_assert_eq(len, 0);
}

Test(lmcache_meta, what_could_not_be_read_is_not_written)
{
    const nkv_lmcache_meta good = META(4, NKV_LMCACHE_KV_2TD, FLOAT16, 3, 2, 1, 1);
    nkv_lmcache_meta meta = good;

    meta.length = INT64_C(2147483648);
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: length: allowed is 1 to 2147483647");
    meta.length = 0;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: length: allowed is 1 to 2147483647");
    meta.length = INT64_MIN;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: length: allowed is 1 to 2147483647");
    meta = good;
    meta.groups_len = 0;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: groups: allowed is 1 to 16");
    meta.groups_len = 17;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: groups: allowed is 1 to 16");
    meta = good;
    meta.groups[0].dims = 0;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: shape: allowed is 1 to 4 dimensions");
    meta.groups[0].dims = 5;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: shape: allowed is 1 to 4 dimensions");
    meta = good;
    meta.groups[0].dtype = NKV_LMCACHE_INT8; /* LMCache has no number for it */
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: dtype: allowed");
    meta.groups[0].dtype = (nkv_lmcache_dtype)1;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: dtype: allowed");
    refuses_to_pack(&good, NKV_LMCACHE_PAD_NONE, "metadata: shape: without padding it needs 4");
    refuses_to_pack(&good, (nkv_lmcache_padding)3, "padding: allowed is");
    meta = good;
    meta.groups[0].shape[1] = 0;
    refuses_to_pack(&meta, NKV_LMCACHE_PAD_ZEROS, "metadata: shape: allowed are sizes from 1");
}

Test(lmcache_meta, a_small_buffer_is_told_the_size_and_left_alone)
{
    const nkv_lmcache_meta meta = META(4, NKV_LMCACHE_KV_2TD, FLOAT16, 3, 2, 1, 1);
    unsigned char bytes[28];
    size_t len;
    nkv_error error;

    memset(bytes, 0x55, sizeof bytes);
    t_refused(nkv_lmcache_meta_pack(&meta, NKV_LMCACHE_PAD_ZEROS, bytes, 27, &len, &error),
              NKV_ENOMEM, &error, "metadata: the buffer has 27 bytes, 28 are needed");
    cr_assert_eq(len, 28);
    for (size_t i = 0; i < sizeof bytes; i++) {
        cr_assert_eq(bytes[i], 0x55);
    }
    cr_assert_eq(nkv_lmcache_meta_pack(&meta, NKV_LMCACHE_PAD_ZEROS, NULL, 0, &len, NULL),
                 NKV_ENOMEM);
    cr_assert_eq(len, 28);
}
