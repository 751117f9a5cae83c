/* tests/unit/lmcache/test_tables.c - dtypes and formats: numbers, sizes, words. */
#include "unit/lmcache/hex.h"

typedef struct row {
    nkv_lmcache_dtype dtype;
    size_t size;
    const char *k4, *k5;
} row;

static const row rows[] = {
    {NKV_LMCACHE_FLOAT16, 2, "half", "half"},
    {NKV_LMCACHE_BFLOAT16, 2, "bfloat16", "bfloat16"},
    {NKV_LMCACHE_FLOAT32, 4, "float", "float"},
    {NKV_LMCACHE_FLOAT64, 8, "double", "double"},
    {NKV_LMCACHE_UINT8, 1, "uint8", "uint8"},
    {NKV_LMCACHE_FP8_E4M3FN, 1, "fp8_e4m3", "fp8_e4m3fn"},
    {NKV_LMCACHE_FP8_E5M2, 1, "fp8_e5m2", "fp8_e5m2"},
    {NKV_LMCACHE_INT8, 1, "int8", "int8"},
    {NKV_LMCACHE_INT16, 2, "int16", "int16"},
    {NKV_LMCACHE_INT32, 4, "int32", "int32"},
    {NKV_LMCACHE_INT64, 8, "int64", "int64"},
    {NKV_LMCACHE_BOOL, 1, "bool", "bool"},
    {NKV_LMCACHE_FP8_E4M3FNUZ, 1, "fp8_e4m3", "fp8_e4m3fnuz"},
    {NKV_LMCACHE_FP8_E5M2FNUZ, 1, "fp8_e5m2", "fp8_e5m2fnuz"},
};
#define ROWS (sizeof rows / sizeof rows[0])

Test(lmcache_tables, dtypes_have_the_words_of_their_generation)
{
    for (size_t i = 0; i < ROWS; i++) {
        nkv_lmcache_dtype dtype;
        cr_assert_eq(nkv_lmcache_dtype_size(rows[i].dtype), rows[i].size, "%s", rows[i].k5);
        cr_assert_str_eq(nkv_lmcache_dtype_text(rows[i].dtype, NKV_LMCACHE_K4), rows[i].k4);
        cr_assert_str_eq(nkv_lmcache_dtype_text(rows[i].dtype, NKV_LMCACHE_K5), rows[i].k5);
        cr_assert_null(nkv_lmcache_dtype_text(rows[i].dtype, NKV_LMCACHE_K3));
        cr_assert_null(nkv_lmcache_dtype_text(rows[i].dtype, NKV_LMCACHE_OBJECT));
        cr_assert_eq(nkv_lmcache_dtype_parse(nkv_cstr(rows[i].k5), NKV_LMCACHE_K5, &dtype, NULL),
                     NKV_OK);
        cr_assert_eq(dtype, rows[i].dtype);
        cr_assert_eq(nkv_lmcache_dtype_parse(nkv_cstr(rows[i].k4), NKV_LMCACHE_K4, &dtype, NULL),
                     NKV_OK);
        cr_assert_str_eq(nkv_lmcache_dtype_text(dtype, NKV_LMCACHE_K4), rows[i].k4);
    }
}

Test(lmcache_tables, metadata_numbers_are_lmcaches)
{
    const int want[] = {2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        cr_assert_eq((int)rows[i].dtype, want[i], "%s", rows[i].k5);
    }
    cr_assert_eq((int)NKV_LMCACHE_NONE, 0);
}

Test(lmcache_tables, the_fp8_of_k4_is_read)
{
    nkv_lmcache_dtype dtype;

    cr_assert_eq(nkv_lmcache_dtype_parse(nkv_cstr("fp8"), NKV_LMCACHE_K4, &dtype, NULL), NKV_OK);
    cr_assert_eq(dtype, NKV_LMCACHE_UINT8);
    cr_assert_eq(nkv_lmcache_dtype_parse(nkv_cstr("fp8_e4m3"), NKV_LMCACHE_K4, &dtype, NULL),
                 NKV_OK);
    cr_assert_eq(dtype, NKV_LMCACHE_FP8_E4M3FN);
}

Test(lmcache_tables, other_words_are_refused)
{
    static const char *const words[] = {"",    "hal",      "halff", "Half",         "float16",
                                        "fp8", "fp8_e4m3", "None",  "float8_e4m3fn"};
    nkv_lmcache_dtype dtype;
    nkv_error error;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        dtype = NKV_LMCACHE_BOOL;
        t_refused(nkv_lmcache_dtype_parse(nkv_cstr(words[i]), NKV_LMCACHE_K5, &dtype, &error),
                  NKV_EINVAL, &error, "dtype: allowed is one of half bfloat16 ");
        cr_assert_eq(dtype, NKV_LMCACHE_NONE);
    }
    cr_assert(strstr(error.text, " fp8_e5m2fnuz") != NULL, "the list is whole: %s", error.text);
    t_refused(nkv_lmcache_dtype_parse(nkv_cstr("fp8_e4m3fn"), NKV_LMCACHE_K4, &dtype, &error),
              NKV_EINVAL, &error, "dtype: allowed is one of half");
    t_refused(nkv_lmcache_dtype_parse(nkv_cstr("half"), NKV_LMCACHE_K3, &dtype, &error), NKV_EINVAL,
              &error, "dtype: only keys of K4 and K5 have one");
}

Test(lmcache_tables, no_dtype_has_no_size_and_no_word)
{
    const nkv_lmcache_dtype none[] = {NKV_LMCACHE_NONE, (nkv_lmcache_dtype)1, (nkv_lmcache_dtype)9,
                                      (nkv_lmcache_dtype)-1};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(nkv_lmcache_dtype_size(none[i]), 0);
        cr_assert_null(nkv_lmcache_dtype_text(none[i], NKV_LMCACHE_K5));
    }
}

Test(lmcache_tables, formats_have_names_there_and_back)
{
    static const char *const names[] = {"UNDEFINED",     "KV_2LTD",    "KV_T2D", "KV_2TD", "BINARY",
                                        "BINARY_BUFFER", "KV_MLA_FMT", "EC_TD",  "HS_TD"};
    nkv_error error;
    int32_t format;

    for (int32_t i = 0; i < 9; i++) {
        cr_assert_str_eq(nkv_lmcache_format_text(i), names[i]);
        cr_assert_eq(nkv_lmcache_format_parse(nkv_cstr(names[i]), &format, NULL), NKV_OK);
        cr_assert_eq(format, i);
    }
    cr_assert_null(nkv_lmcache_format_text(9));
    cr_assert_null(nkv_lmcache_format_text(-1));
    cr_assert_null(nkv_lmcache_format_text(INT32_MIN));
    t_refused(nkv_lmcache_format_parse(nkv_cstr("kv_2ltd"), &format, &error), NKV_EINVAL, &error,
              "format: allowed is one of UNDEFINED KV_2LTD");
    t_refused(nkv_lmcache_format_parse(nkv_cstr(""), &format, &error), NKV_EINVAL, &error,
              "format: allowed");
}
