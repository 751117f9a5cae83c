/* lmcache/sha256.c - see sha256.h. */
#include "lmcache/sha256.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

#define GATHERED 1024

struct nkvi_sha256 {
    EVP_MD *digest;
    EVP_MD_CTX *context;
    bool failed;
    size_t used;
    unsigned char gathered[GATHERED];
};

nkv_status nkvi_sha256_create(nkvi_sha256 **out, nkv_error *error)
{
    nkvi_sha256 *sha = nkvi_calloc(1, sizeof *sha);

    *out = NULL;
    if (sha == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory");
    }
    sha->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha->context = EVP_MD_CTX_new();
    if (sha->digest == NULL || sha->context == NULL) {
        nkv_status status = sha->context == NULL ? NKV_ENOMEM : NKV_ENOTSUP;
        nkvi_sha256_destroy(sha);
        return status == NKV_ENOMEM
                   ? nkvi_fail(error, status, "out of memory")
                   : nkvi_fail(error, status, "SHA-256: OpenSSL's configuration does not offer it");
    }
    *out = sha;
    return NKV_OK;
}

void nkvi_sha256_destroy(nkvi_sha256 *sha)
{
    if (sha != NULL) {
        EVP_MD_CTX_free(sha->context);
        EVP_MD_free(sha->digest);
        nkvi_free(sha);
    }
}

void nkvi_sha256_begin(nkvi_sha256 *sha)
{
    sha->used = 0;
    sha->failed = EVP_DigestInit_ex(sha->context, sha->digest, NULL) != 1;
}

static void update(nkvi_sha256 *sha, const void *data, size_t len)
{
    sha->failed = sha->failed || EVP_DigestUpdate(sha->context, data, len) != 1;
}

void nkvi_sha256_put(nkvi_sha256 *sha, const void *data, size_t len)
{
    if (len > sizeof sha->gathered - sha->used) {
        update(sha, sha->gathered, sha->used);
        sha->used = 0;
    }
    if (len > sizeof sha->gathered) {
        update(sha, data, len);
        return;
    }
    if (len > 0) {
        memcpy(sha->gathered + sha->used, data, len);
    }
    sha->used += len;
}

bool nkvi_sha256_end(nkvi_sha256 *sha, uint8_t digest[NKVI_SHA256_BYTES])
{
    update(sha, sha->gathered, sha->used);
    return !sha->failed && EVP_DigestFinal_ex(sha->context, digest, NULL) == 1;
}
