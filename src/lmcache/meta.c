/* lmcache/meta.c - the value of a metadata key: written, read, and looked at for sense.
 *
 *      offset  0        4        8       12  16  20  24       28 …
 *              length | format | dtype | s0, s1, s2, s3 |     the same 20 bytes for further groups
 *
 * All are little-endian int32: LMCache writes them in the machine's order (struct "i"), and runs on
 * little-endian machines.  There is no magic and no version; the length alone tells the number of
 * groups, and LMCache's reader ignores what follows those that it expects.
 *
 * What a field may be is checked in one place for both directions.  Whether shape and length agree
 * is asked of what is read only: LMCache writes either, and its readers find out. */
#include <nearkv/lmcache_meta.h>

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

#define HEAD_BYTES   8
#define GROUP_BYTES  20
#define DTYPE_HALF   1 /* read as float16, never written */
#define DTYPE_NUMBER 8 /* the last one that metadata has a number for */

_Static_assert(NKV_LMCACHE_META_SIZE(1) == HEAD_BYTES + GROUP_BYTES, "the sizes are LMCache's");

/* ---- What is allowed ------------------------------------------------------------------------- */

/* Bytes that somebody else makes sense of: shape and length need not agree. */
static bool is_binary(int32_t format)
{
    return format == NKV_LMCACHE_BINARY || format == NKV_LMCACHE_BINARY_BUFFER;
}

static bool is_tensor(int32_t format)
{
    return !is_binary(format) && nkv_lmcache_format_text(format) != NULL;
}

/* An error about one group; its number is told where there are several. */
static nkv_status bad_group(const nkv_lmcache_meta *meta, uint32_t i, const char *what,
                            nkv_error *error)
{
    char where[32] = "";
    if (meta->groups_len > 1) {
        (void)snprintf(where, sizeof where, "group %" PRIu32 ", ", i);
    }
    return nkvi_fail(error, NKV_EINVAL, "metadata: %s%s", where, what);
}

static nkv_status check_group(const nkv_lmcache_meta *meta, uint32_t i, nkv_error *error)
{
    const nkv_lmcache_group *group = &meta->groups[i];
    bool tensor = is_tensor(meta->format);

    if ((int)group->dtype < 0 || (int)group->dtype > DTYPE_NUMBER ||
        (int)group->dtype == DTYPE_HALF) {
        return bad_group(meta, i,
                         "dtype: allowed is none float16 bfloat16 float32 float64 uint8 "
                         "fp8_e4m3fn fp8_e5m2 (0 to 8)",
                         error);
    }
    if (tensor && group->dtype == NKV_LMCACHE_NONE && meta->format != NKV_LMCACHE_UNDEFINED) {
        return bad_group(meta, i, "dtype: none is for bytes, and the format is one of tensors",
                         error);
    }
    if (group->dims < 1 || group->dims > NKV_LMCACHE_DIMS_MAX) {
        return bad_group(meta, i, "shape: allowed is 1 to 4 dimensions", error);
    }
    for (uint32_t d = 0; d < group->dims; d++) {
        if (group->shape[d] < (tensor ? 1 : 0)) {
            return bad_group(meta, i,
                             tensor ? "shape: allowed are sizes from 1, then zeros"
                                    : "shape: allowed are sizes from 0",
                             error);
        }
    }
    return NKV_OK;
}

static nkv_status check(const nkv_lmcache_meta *meta, nkv_error *error)
{
    if (meta->length < 1 || meta->length > NKV_LMCACHE_PAYLOAD_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "metadata: length: allowed is 1 to %d bytes",
                         NKV_LMCACHE_PAYLOAD_MAX);
    }
    if (meta->groups_len < 1 || meta->groups_len > NKV_LMCACHE_GROUPS_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "metadata: groups: allowed is 1 to %d",
                         NKV_LMCACHE_GROUPS_MAX);
    }
    for (uint32_t i = 0; i < meta->groups_len; i++) {
        nkv_status status = check_group(meta, i, error);
        if (status != NKV_OK) {
            return status;
        }
    }
    return NKV_OK;
}

/* Adds the bytes of a group's tensor to *sum; false if that is more than a uint64_t holds. */
static bool add_bytes(const nkv_lmcache_group *group, uint64_t *sum)
{
    size_t size = nkv_lmcache_dtype_size(group->dtype);
    uint64_t bytes = size > 0 ? size : 1;

    for (uint32_t d = 0; d < group->dims; d++) {
        if (__builtin_mul_overflow(bytes, (uint64_t)group->shape[d], &bytes)) {
            return false;
        }
    }
    return !__builtin_add_overflow(*sum, bytes, sum);
}

/* Do the shapes take as many bytes as the length says? */
static nkv_status check_length(const nkv_lmcache_meta *meta, nkv_error *error)
{
    uint64_t sum = 0;
    bool counted = true;

    if (!is_tensor(meta->format)) {
        return NKV_OK;
    }
    for (uint32_t i = 0; i < meta->groups_len; i++) {
        counted = counted && add_bytes(&meta->groups[i], &sum);
    }
    if (!counted) {
        return nkvi_fail(
            error, NKV_EINVAL,
            "metadata: the shape takes more than 64 bits count, the length is %" PRId64,
            meta->length);
    }
    if (sum != (uint64_t)meta->length) {
        return nkvi_fail(error, NKV_EINVAL,
                         "metadata: the shape takes %" PRIu64 " bytes, the length is %" PRId64, sum,
                         meta->length);
    }
    return NKV_OK;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static unsigned char *put_int(unsigned char *at, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(bits >> (8 * i));
    }
    return at + 4;
}

static int32_t get_int(const char *at)
{
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) {
        bits |= (uint32_t)(unsigned char)at[i] << (8 * i);
    }
    return (int32_t)bits;
}

/* ---- Pack ------------------------------------------------------------------------------------ */

static unsigned char *put_group(unsigned char *at, const nkv_lmcache_group *group, bool in_front)
{
    uint32_t missing = NKV_LMCACHE_DIMS_MAX - group->dims;

    at = put_int(at, (int32_t)group->dtype);
    for (uint32_t i = 0; in_front && i < missing; i++) {
        at = put_int(at, 1);
    }
    for (uint32_t i = 0; i < group->dims; i++) {
        at = put_int(at, group->shape[i]);
    }
    for (uint32_t i = 0; !in_front && i < missing; i++) {
        at = put_int(at, 0);
    }
    return at;
}

static nkv_status check_padding(const nkv_lmcache_meta *meta, nkv_lmcache_padding padding,
                                nkv_error *error)
{
    if ((int)padding < NKV_LMCACHE_PAD_ZEROS || (int)padding > NKV_LMCACHE_PAD_NONE) {
        return nkvi_fail(error, NKV_EINVAL, "padding: allowed is zeros, ones or none (0 to 2)");
    }
    if (padding != NKV_LMCACHE_PAD_NONE || is_binary(meta->format)) {
        return NKV_OK;
    }
    for (uint32_t i = 0; i < meta->groups_len; i++) {
        if (meta->groups[i].dims != NKV_LMCACHE_DIMS_MAX) {
            return bad_group(meta, i, "shape: without padding it needs 4 dimensions", error);
        }
    }
    return NKV_OK;
}

nkv_status nkv_lmcache_meta_pack(const nkv_lmcache_meta *meta, nkv_lmcache_padding padding,
                                 void *buf, size_t cap, size_t *len, nkv_error *error)
{
    *len = 0;
    nkv_status status = check(meta, error);
    if (status == NKV_OK) {
        status = check_padding(meta, padding, error);
    }
    if (status != NKV_OK) {
        return status;
    }
    *len = NKV_LMCACHE_META_SIZE(meta->groups_len);
    if (cap < *len) {
        return nkvi_fail(error, NKV_ENOMEM, "metadata: the buffer has %zu bytes, %zu are needed",
                         cap, *len);
    }
    bool in_front = padding == NKV_LMCACHE_PAD_ONES && !is_binary(meta->format);
    unsigned char *at = put_int((unsigned char *)buf, (int32_t)meta->length);
    at = put_int(at, meta->format);
    for (uint32_t i = 0; i < meta->groups_len; i++) {
        at = put_group(at, &meta->groups[i], in_front);
    }
    assert(at == (unsigned char *)buf + *len);
    return NKV_OK;
}

/* ---- Unpack ---------------------------------------------------------------------------------- */

static void get_group(const char *at, int32_t format, nkv_lmcache_group *group)
{
    int32_t dtype = get_int(at);

    group->dtype = dtype == DTYPE_HALF ? NKV_LMCACHE_FLOAT16 : (nkv_lmcache_dtype)dtype;
    group->dims = NKV_LMCACHE_DIMS_MAX;
    for (size_t i = 0; i < NKV_LMCACHE_DIMS_MAX; i++) {
        group->shape[i] = get_int(at + 4 + 4 * i);
    }
    while (is_tensor(format) && group->dims > 1 && group->shape[group->dims - 1] == 0) {
        group->dims--;
    }
}

/* How many groups to read from a value of `len` bytes; 0: it is refused. */
static uint32_t groups_in(size_t len, uint32_t groups, nkv_error *error)
{
    if (groups > NKV_LMCACHE_GROUPS_MAX) {
        (void)nkvi_fail(error, NKV_EINVAL, "metadata: groups: allowed is 0 to %d",
                        NKV_LMCACHE_GROUPS_MAX);
        return 0;
    }
    size_t least = NKV_LMCACHE_META_SIZE(groups > 0 ? groups : 1);
    if (len < least) {
        (void)nkvi_fail(error, NKV_EINVAL, "metadata: %zu bytes; %u group%s take%s %zu", len,
                        groups > 0 ? groups : 1, groups > 1 ? "s" : "", groups > 1 ? "" : "s",
                        least);
        return 0;
    }
    if (groups == 0 && len >= NKV_LMCACHE_META_MAX + GROUP_BYTES) {
        (void)nkvi_fail(error, NKV_EINVAL,
                        "metadata: %zu bytes; allowed is %zu to %zu, unless the number of groups "
                        "is given",
                        len, least, NKV_LMCACHE_META_MAX + GROUP_BYTES - 1);
        return 0;
    }
    return groups > 0 ? groups : (uint32_t)((len - HEAD_BYTES) / GROUP_BYTES);
}

nkv_status nkv_lmcache_meta_unpack(nkv_str bytes, uint32_t groups, nkv_lmcache_meta *out,
                                   nkv_error *error)
{
    *out = (nkv_lmcache_meta){0};
    groups = groups_in(bytes.len, groups, error);
    if (groups == 0) {
        return NKV_EINVAL;
    }
    out->length = get_int(bytes.data);
    out->format = get_int(bytes.data + 4);
    out->groups_len = groups;
    for (uint32_t i = 0; i < groups; i++) {
        get_group(bytes.data + HEAD_BYTES + (size_t)i * GROUP_BYTES, out->format, &out->groups[i]);
    }
    nkv_status status = check(out, error);
    if (status == NKV_OK) {
        status = check_length(out, error);
    }
    if (status != NKV_OK) {
        *out = (nkv_lmcache_meta){0};
    }
    return status;
}
