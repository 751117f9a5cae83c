/* kv/key_build.c - the keys of OmniCache's CacheKeyBuilder. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include <nearkv/kv.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"

#define DIGEST_BYTES 32

static const char *written(const char *kind)
{
    static const char *const rows[][2] = {
        {"embedding", "embed"}, {"context", "ctx"}, {"response", "resp"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(kind, rows[i][0]) == 0) {
            return rows[i][1];
        }
    }
    return kind;
}

nkv_status nkv_kv_key_build(const char *name_space, const char *kind, nkv_str canonical_json,
                            int digits, nkv_value **out, nkv_error *error)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];
    nkvi_buf key;
    *out = NULL;
    if (name_space == NULL || kind == NULL || digits < 8 || digits > 2 * DIGEST_BYTES) {
        return nkvi_fail(error, NKV_EINVAL,
                         "a key needs a name space, a kind, and 8 to %d digits of its digest",
                         2 * DIGEST_BYTES);
    }
    if (EVP_Digest(canonical_json.len > 0 ? canonical_json.data : "", canonical_json.len, digest,
                   NULL, EVP_sha256(), NULL) != 1) {
        return nkvi_fail(error, NKV_ENOMEM, "SHA-256 failed");
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    nkvi_buf_init(&key);
    nkvi_buf_printf(&key, "%s:%s:%.*s", name_space, written(kind), digits, hex);
    *out = key.failed ? NULL : nkv_value_from_bytes(key.data, key.len);
    nkvi_buf_clear(&key);
    return *out != NULL ? NKV_OK : nkvi_fail(error, NKV_ENOMEM, "no memory for a key");
}
