/* kv/pack.c - see pack.h. */
#include "kv/pack.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"
#include "base/status.h"

#define MARK_BYTES 5u

enum { KEPT = 0, ZSTD_FRAME = 1 };

static const char mark[MARK_BYTES - 1] = {(char)0x89, 'n', 'k', 'v'};

static bool has_mark(nkv_str bytes)
{
    return bytes.len >= MARK_BYTES && memcmp(bytes.data, mark, sizeof mark) == 0;
}

static void free_block(void *data, void *ud)
{
    (void)ud;
    nkvi_free(data);
}

/* Takes the block, also when it fails. */
static nkv_status adopt(char *block, size_t len, nkv_value **out, nkv_error *error)
{
    *out = nkv_value_adopt(block, len, free_block, NULL);
    if (*out == NULL) {
        nkvi_free(block);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a value of %zu bytes", len);
    }
    return NKV_OK;
}

/* ---- compression ----------------------------------------------------------------------------- */

static nkv_status keep(nkv_str value, nkv_value **out, nkv_error *error)
{
    char *block = nkvi_alloc(MARK_BYTES + value.len + 1);
    if (block == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a value of %zu bytes", value.len);
    }
    memcpy(block, mark, sizeof mark);
    block[sizeof mark] = KEPT;
    memcpy(block + MARK_BYTES, value.data, value.len);
    return adopt(block, MARK_BYTES + value.len, out, error);
}

nkv_status nkvi_compress(nkv_str value, int64_t above, int level, nkv_value **out, nkv_error *error)
{
    *out = NULL;
    if (value.len > (uint64_t)above && value.len <= NKV_VALUE_MAX) {
        size_t most = MARK_BYTES + ZSTD_compressBound(value.len);
        char *block = nkvi_alloc(most + 1);
        if (block == NULL) {
            return nkvi_fail(error, NKV_ENOMEM, "no memory to compress %zu bytes", value.len);
        }
        size_t len =
            ZSTD_compress(block + MARK_BYTES, most - MARK_BYTES, value.data, value.len, level);
        if (ZSTD_isError(len)) {
            nkvi_free(block);
            return nkvi_fail(error, NKV_ENOMEM, "zstd: %s", ZSTD_getErrorName(len));
        }
        if (len + MARK_BYTES < value.len) {
            char *less = nkvi_realloc(block, MARK_BYTES + len + 1);
            block = less != NULL ? less : block;
            memcpy(block, mark, sizeof mark);
            block[sizeof mark] = ZSTD_FRAME;
            return adopt(block, MARK_BYTES + len, out, error);
        }
        nkvi_free(block);
    }
    return has_mark(value) ? keep(value, out, error) : NKV_OK;
}

static nkv_status inflate(nkv_str frame, nkv_value **out, nkv_error *error)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ||
        size > NKV_VALUE_MAX) {
        return nkvi_fail(error, NKV_EDECODE,
                         "a compressed value that says no size of up to %zu bytes", NKV_VALUE_MAX);
    }
    char *block = nkvi_alloc((size_t)size + 1);
    if (block == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a value of %llu bytes", size);
    }
    size_t len = ZSTD_decompress(block, (size_t)size, frame.data, frame.len);
    if (ZSTD_isError(len) || len != size) {
        bool memory = ZSTD_isError(len) && ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation;
        nkvi_free(block);
        return nkvi_fail(error, memory ? NKV_ENOMEM : NKV_EDECODE, "a compressed value: zstd: %s",
                         ZSTD_isError(len) ? ZSTD_getErrorName(len) : "another size");
    }
    return adopt(block, len, out, error);
}

nkv_status nkvi_decompress(nkv_str stored, nkv_value **out, nkv_error *error)
{
    *out = NULL;
    if (!has_mark(stored)) {
        return NKV_OK;
    }
    nkv_str rest = nkv_str_make(stored.data + MARK_BYTES, stored.len - MARK_BYTES);
    switch (stored.data[MARK_BYTES - 1]) {
    case KEPT:
        *out = nkv_value_from_bytes(rest.data, rest.len);
        return *out != NULL ? NKV_OK : nkvi_fail(error, NKV_ENOMEM, "no memory for a value");
    case ZSTD_FRAME:
        return inflate(rest, out, error);
    default:
        return nkvi_fail(error, NKV_EDECODE, "a value with the mark of a newer nearkv");
    }
}

/* ---- both ways ------------------------------------------------------------------------------- */

nkv_status nkvi_pack(const nkv_kv *kv, nkv_str value, nkv_str *bytes, nkv_value **held,
                     nkv_error *error)
{
    nkv_status status = NKV_OK;
    *bytes = value;
    *held = NULL;
    if (kv->has_codec) {
        status = kv->codec.encode(kv->codec.ud, value, held, error);
        if (status != NKV_OK || *held == NULL) {
            return status < 0
                       ? status
                       : nkvi_fail(error, NKV_EINVAL, "codec %s made no value", kv->codec.name);
        }
        *bytes = nkv_value_str(*held);
    }
    if (kv->options.compress_above >= 0) {
        nkv_value *packed;
        status = nkvi_compress(*bytes, kv->options.compress_above, kv->options.compress_level,
                               &packed, error);
        if (packed != NULL) {
            nkv_value_release(*held);
            *held = packed;
            *bytes = nkv_value_str(packed);
        }
    }
    if (status != NKV_OK) {
        nkv_value_release(*held);
        *held = NULL;
    }
    return status;
}

nkv_status nkvi_unpack(const nkv_kv *kv, nkv_value *stored, nkv_value **out, nkv_error *error)
{
    nkv_status status = NKV_OK;
    nkv_value *next = NULL;
    *out = NULL;
    if (kv->options.compress_above >= 0) {
        status = nkvi_decompress(nkv_value_str(stored), &next, error);
        if (status == NKV_OK && next != NULL) {
            nkv_value_release(stored);
            stored = next;
        }
    }
    if (status == NKV_OK && kv->has_codec) {
        next = NULL;
        status = kv->codec.decode(kv->codec.ud, nkv_value_str(stored), &next, error);
        if (status == NKV_OK && next == NULL) {
            status = nkvi_fail(error, NKV_EDECODE, "codec %s made no value", kv->codec.name);
        } else if (status == NKV_OK) {
            nkv_value_release(stored);
            stored = next;
        } else if (status > 0) {
            status = nkvi_fail(error, NKV_EDECODE, "codec %s says %s", kv->codec.name,
                               nkv_status_text(status));
        }
    }
    if (status != NKV_OK) {
        nkv_value_release(stored);
        return status;
    }
    *out = stored;
    return NKV_OK;
}
