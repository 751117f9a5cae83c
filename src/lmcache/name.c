/* lmcache/name.c - the names of Redis keys that the connectors make from a cache key.
 *
 *      PLAIN_SUFFIX   Kmetadata     Kkv_bytes        two slots of a cluster
 *      COLON_SUFFIX   K:metadata    K:kv_bytes       two slots
 *      HASH_TAG       {K}:metadata  {K}:kv_bytes     one slot
 *      SINGLE_KEY                   K
 *
 * Plain concatenation.  With braces in K the server takes what stands between the first '{' and the
 * next '}' for the tag, which is the same in both names of HASH_TAG. */
#include <nearkv/lmcache_key.h>

#include <stdbool.h>

#include "base/status.h"
#include "lmcache/text.h"

typedef struct name_shape {
    const char *before;    /* K */
    const char *behind[2]; /* by part; NULL: there is no such part */
} name_shape;

static const name_shape shapes[] = {
    {"", {"metadata", "kv_bytes"}},
    {"", {":metadata", ":kv_bytes"}},
    {"{", {"}:metadata", "}:kv_bytes"}},
    {"", {NULL, ""}},
};

static const name_shape *shape_of(nkv_lmcache_layout layout)
{
    if ((int)layout < NKV_LMCACHE_PLAIN_SUFFIX || (int)layout > NKV_LMCACHE_SINGLE_KEY) {
        return NULL;
    }
    return &shapes[layout];
}

static nkv_status bad_layout(nkv_error *error)
{
    return nkvi_fail(
        error, NKV_EINVAL,
        "layout: allowed is plain suffix, colon suffix, hash tag, single key (0 to 3)");
}

static nkv_status check_name(const nkv_lmcache_name *name, nkv_error *error)
{
    const name_shape *shape = shape_of(name->layout);

    if (shape == NULL) {
        return bad_layout(error);
    }
    if ((int)name->part != NKV_LMCACHE_METADATA && (int)name->part != NKV_LMCACHE_PAYLOAD) {
        return nkvi_fail(error, NKV_EINVAL, "part: allowed is metadata or payload (0 or 1)");
    }
    if (shape->behind[name->part] == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "part: the layout of a single key has no metadata");
    }
    if (name->key.len == 0) {
        return nkvi_fail(error, NKV_EINVAL, "key: allowed are any bytes, at least one");
    }
    return NKV_OK;
}

nkv_status nkv_lmcache_name_build(const nkv_lmcache_name *name, char *buf, size_t cap, size_t *len,
                                  nkv_error *error)
{
    nkvi_lmcache_out out = nkvi_lmcache_out_to(buf, cap);

    *len = 0;
    nkv_status status = check_name(name, error);
    if (status != NKV_OK) {
        return status;
    }
    const name_shape *shape = shape_of(name->layout);
    nkvi_lmcache_put_str(&out, nkv_cstr(shape->before));
    nkvi_lmcache_put_str(&out, name->key);
    nkvi_lmcache_put_str(&out, nkv_cstr(shape->behind[name->part]));
    return nkvi_lmcache_out_end(&out, "name", len, error);
}

/* Is `text` before + K + behind, with a K of at least one byte? */
static bool matches(nkv_str text, nkv_str before, nkv_str behind, nkv_str *key)
{
    if (text.len <= before.len + behind.len || memcmp(text.data, before.data, before.len) != 0 ||
        memcmp(text.data + text.len - behind.len, behind.data, behind.len) != 0) {
        return false;
    }
    *key = nkv_str_make(text.data + before.len, text.len - before.len - behind.len);
    return true;
}

nkv_status nkv_lmcache_name_parse(nkv_str text, nkv_lmcache_layout layout, nkv_lmcache_name *out,
                                  nkv_error *error)
{
    const name_shape *shape = shape_of(layout);
    nkv_str key;

    *out = (nkv_lmcache_name){0};
    if (shape == NULL) {
        return bad_layout(error);
    }
    for (int part = NKV_LMCACHE_METADATA; part <= NKV_LMCACHE_PAYLOAD; part++) {
        const char *behind = shape->behind[part];
        if (behind != NULL && matches(text, nkv_cstr(shape->before), nkv_cstr(behind), &key)) {
            *out = (nkv_lmcache_name){layout, (nkv_lmcache_part)part, key};
            return NKV_OK;
        }
    }
    if (shape->behind[NKV_LMCACHE_METADATA] == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "name: allowed are any bytes, at least one");
    }
    return nkvi_fail(error, NKV_EINVAL, "name: allowed is %sK%s or %sK%s, K not empty",
                     shape->before, shape->behind[NKV_LMCACHE_METADATA], shape->before,
                     shape->behind[NKV_LMCACHE_PAYLOAD]);
}
