/* lmcache/tables.c - LMCache's dtypes and memory formats: numbers, sizes and words.
 *
 * The words stand in keys, the numbers in metadata.  The K4 column is what LMCache wrote while its
 * table of words knew one fp8 of either kind; before that, "fp8" stood for uint8. */
#include <nearkv/lmcache_meta.h>

#include "base/status.h"
#include "lmcache/text.h"

typedef struct dtype_row {
    nkv_lmcache_dtype dtype;
    size_t size;
    const char *k4, *k5;
} dtype_row;

/* In the order of the enum: where K4 has one word for two, the first is what it is read as. */
static const dtype_row dtypes[] = {
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
#define DTYPES (sizeof dtypes / sizeof dtypes[0])

static const char *const formats[] = {
    "UNDEFINED",     "KV_2LTD",    "KV_T2D", "KV_2TD", "BINARY",
    "BINARY_BUFFER", "KV_MLA_FMT", "EC_TD",  "HS_TD",
};
#define FORMATS ((int32_t)(sizeof formats / sizeof formats[0]))

/* ---- Dtypes ---------------------------------------------------------------------------------- */

static const dtype_row *row_of(nkv_lmcache_dtype dtype)
{
    for (size_t i = 0; i < DTYPES; i++) {
        if (dtypes[i].dtype == dtype) {
            return &dtypes[i];
        }
    }
    return NULL;
}

/* The word of a row in keys of `gen`; NULL if they hold none. */
static const char *word(const dtype_row *row, nkv_lmcache_gen gen)
{
    switch (gen) {
    case NKV_LMCACHE_K4:
        return row->k4;
    case NKV_LMCACHE_K5:
        return row->k5;
    default:
        return NULL;
    }
}

size_t nkv_lmcache_dtype_size(nkv_lmcache_dtype dtype)
{
    const dtype_row *row = row_of(dtype);
    return row != NULL ? row->size : 0;
}

const char *nkv_lmcache_dtype_text(nkv_lmcache_dtype dtype, nkv_lmcache_gen gen)
{
    const dtype_row *row = row_of(dtype);
    return row != NULL ? word(row, gen) : NULL;
}

static nkv_status unknown_dtype(nkv_lmcache_gen gen, nkv_error *error)
{
    static const char k4[] = "half bfloat16 float double int8 uint8 int16 int32 int64 bool "
                             "fp8_e4m3 fp8_e5m2 fp8";
    static const char k5[] = "half bfloat16 float double int8 uint8 int16 int32 int64 bool "
                             "fp8_e4m3fn fp8_e4m3fnuz fp8_e5m2 fp8_e5m2fnuz";
    if (gen != NKV_LMCACHE_K4 && gen != NKV_LMCACHE_K5) {
        return nkvi_fail(error, NKV_EINVAL, "dtype: only keys of K4 and K5 have one");
    }
    return nkvi_fail(error, NKV_EINVAL, "dtype: allowed is one of %s",
                     gen == NKV_LMCACHE_K4 ? k4 : k5);
}

nkv_status nkv_lmcache_dtype_parse(nkv_str text, nkv_lmcache_gen gen, nkv_lmcache_dtype *out,
                                   nkv_error *error)
{
    *out = NKV_LMCACHE_NONE;
    for (size_t i = 0; i < DTYPES; i++) {
        const char *name = word(&dtypes[i], gen);
        if (name != NULL && nkvi_lmcache_is(text, name)) {
            *out = dtypes[i].dtype;
            return NKV_OK;
        }
    }
    if (gen == NKV_LMCACHE_K4 && nkvi_lmcache_is(text, "fp8")) {
        *out = NKV_LMCACHE_UINT8;
        return NKV_OK;
    }
    return unknown_dtype(gen, error);
}

/* ---- Formats --------------------------------------------------------------------------------- */

const char *nkv_lmcache_format_text(int32_t format)
{
    return format >= 0 && format < FORMATS ? formats[format] : NULL;
}

nkv_status nkv_lmcache_format_parse(nkv_str text, int32_t *out, nkv_error *error)
{
    *out = NKV_LMCACHE_UNDEFINED;
    for (int32_t i = 0; i < FORMATS; i++) {
        if (nkvi_lmcache_is(text, formats[i])) {
            *out = i;
            return NKV_OK;
        }
    }
    return nkvi_fail(error, NKV_EINVAL,
                     "format: allowed is one of UNDEFINED KV_2LTD KV_T2D KV_2TD BINARY "
                     "BINARY_BUFFER KV_MLA_FMT EC_TD HS_TD");
}
