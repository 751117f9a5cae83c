/* lmcache/chain.c - chunk hashes, as LMCache's token database makes them.
 *
 * The state is the hash before, in the form that enters the next one:
 *
 *      BUILTIN      INT      hash((before, tokens, extra))
 *      CBOR         any      sha256(cbor([before, tokens, extra]))
 *      CBOR_FOLDED  INT      the same, and its first 8 bytes are the next `before`
 *      SHA256       BYTES    sha256(hex(before) + tokens as little-endian int64); nothing at first
 *
 * A chunk is hashed from its tokens in one pass, without writing them down anywhere. */
#include <nearkv/lmcache_chain.h>

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/status.h"
#include "lmcache/cbor.h"
#include "lmcache/pyhash.h"
#include "lmcache/sha256.h"

#define FOLDED_BYTES 8

struct nkv_lmcache_chain {
    nkv_lmcache_algorithm algorithm;
    nkv_lmcache_extra extra;
    nkv_lmcache_hash root, before;
    nkvi_sha256 *sha; /* NULL with BUILTIN */
};

/* ---- Hashes ---------------------------------------------------------------------------------- */

static bool is_cbor(nkv_lmcache_algorithm algorithm)
{
    return algorithm == NKV_LMCACHE_CHAIN_CBOR || algorithm == NKV_LMCACHE_CHAIN_CBOR_FOLDED;
}

/* The first bytes of a digest as a number, big-endian; of a shorter one all of them. */
static nkv_lmcache_hash fold(const nkv_lmcache_hash *digest)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digest->bytes_len && i < FOLDED_BYTES; i++) {
        number = number << 8 | digest->bytes[i];
    }
    return nkv_lmcache_hash_uint(number);
}

/* Takes a hash that may stand before a chunk. */
static nkv_status take_hash(nkv_lmcache_algorithm algorithm, const nkv_lmcache_hash *hash,
                            nkv_lmcache_hash *out, nkv_error *error)
{
    bool is_int = hash->kind == NKV_LMCACHE_HASH_INT;
    bool is_bytes = hash->kind == NKV_LMCACHE_HASH_BYTES && hash->bytes_len >= 1 &&
                    hash->bytes_len <= NKV_LMCACHE_HASH_MAX;

    if (algorithm == NKV_LMCACHE_CHAIN_BUILTIN && !is_int) {
        return nkvi_fail(error, NKV_EINVAL, "hash: allowed is a number in chains of BUILTIN");
    }
    if (algorithm == NKV_LMCACHE_CHAIN_SHA256 &&
        (!is_bytes || hash->bytes_len != NKVI_SHA256_BYTES)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "hash: allowed is a digest of 32 bytes in chains of SHA256");
    }
    if (!is_int && !is_bytes) {
        return nkvi_fail(error, NKV_EINVAL,
                         "hash: allowed is a number, or a digest of 1 to 32 bytes");
    }
    *out = algorithm == NKV_LMCACHE_CHAIN_CBOR_FOLDED && is_bytes ? fold(hash) : *hash;
    return NKV_OK;
}

/* ---- One chunk ------------------------------------------------------------------------------- */

static nkv_lmcache_hash builtin(const nkv_lmcache_chain *chain, const int64_t *tokens, size_t n)
{
    const nkv_lmcache_hash *before = &chain->before;
    uint64_t inner = NKVI_PYHASH_PRIME5;
    uint64_t outer = NKVI_PYHASH_PRIME5;

    for (size_t i = 0; i < n; i++) {
        inner = nkvi_pyhash_add(inner, nkvi_pyhash_int(tokens[i]));
    }
    int64_t extra = chain->extra == NKV_LMCACHE_EXTRA_NONE ? NKVI_PYHASH_NONE
                                                           : nkvi_pyhash_end(NKVI_PYHASH_PRIME5, 0);
    outer = nkvi_pyhash_add(outer, nkvi_pyhash_number(before->negative != 0, before->number));
    outer = nkvi_pyhash_add(outer, nkvi_pyhash_end(inner, n));
    outer = nkvi_pyhash_add(outer, extra);
    return nkv_lmcache_hash_int(nkvi_pyhash_end(outer, 3));
}

static void put_cbor(const nkv_lmcache_chain *chain, const int64_t *tokens, size_t n)
{
    static const unsigned char none = NKVI_CBOR_NULL;
    const nkv_lmcache_hash *before = &chain->before;

    nkvi_cbor_head(chain->sha, NKVI_CBOR_ARRAY, 3);
    if (before->kind == NKV_LMCACHE_HASH_BYTES) {
        nkvi_cbor_string(chain->sha, NKVI_CBOR_BYTES, before->bytes, before->bytes_len);
    } else {
        nkvi_cbor_number(chain->sha, before->negative != 0, before->number);
    }
    nkvi_cbor_head(chain->sha, NKVI_CBOR_ARRAY, n);
    for (size_t i = 0; i < n; i++) {
        nkvi_cbor_int(chain->sha, tokens[i]);
    }
    if (chain->extra == NKV_LMCACHE_EXTRA_NONE) {
        nkvi_sha256_put(chain->sha, &none, 1);
    } else {
        nkvi_cbor_head(chain->sha, NKVI_CBOR_ARRAY, 0);
    }
}

static void put_2024(const nkv_lmcache_chain *chain, const int64_t *tokens, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const nkv_lmcache_hash *before = &chain->before;

    for (size_t i = 0; i < before->bytes_len; i++) {
        char two[2] = {digits[before->bytes[i] >> 4], digits[before->bytes[i] & 15]};
        nkvi_sha256_put(chain->sha, two, sizeof two);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char bytes[8];
        for (unsigned b = 0; b < 8; b++) {
            bytes[b] = (unsigned char)((uint64_t)tokens[i] >> (8 * b));
        }
        nkvi_sha256_put(chain->sha, bytes, sizeof bytes);
    }
}

nkv_status nkv_lmcache_chain_next(nkv_lmcache_chain *chain, const int64_t *tokens, size_t n,
                                  nkv_lmcache_hash *out, nkv_error *error)
{
    uint8_t digest[NKVI_SHA256_BYTES];

    *out = nkv_lmcache_hash_uint(0);
    if (n == 0) {
        return nkvi_fail(error, NKV_EINVAL, "tokens: allowed is 1 or more");
    }
    if (chain->algorithm == NKV_LMCACHE_CHAIN_BUILTIN) {
        chain->before = *out = builtin(chain, tokens, n);
        return NKV_OK;
    }
    nkvi_sha256_begin(chain->sha);
    if (is_cbor(chain->algorithm)) {
        put_cbor(chain, tokens, n);
    } else {
        put_2024(chain, tokens, n);
    }
    if (!nkvi_sha256_end(chain->sha, digest)) {
        return nkvi_fail(error, NKV_ENOMEM, "SHA-256: OpenSSL failed, for want of memory");
    }
    *out = nkv_lmcache_hash_bytes(digest, sizeof digest);
    if (chain->algorithm == NKV_LMCACHE_CHAIN_CBOR_FOLDED) {
        *out = fold(out);
    }
    chain->before = *out;
    return NKV_OK;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void nkv_lmcache_chain_options_init_sized(nkv_lmcache_chain_options *options, size_t size)
{
    memset(options, 0, size); /* all defaults are 0 */
    options->struct_size = size;
}

/* The options with what the caller's struct does not have at its default. */
static nkv_status read_options(const nkv_lmcache_chain_options *given,
                               nkv_lmcache_chain_options *all, nkv_error *error)
{
    nkv_lmcache_chain_options_init(all);
    if (given == NULL) {
        return NKV_OK;
    }
    if (given->struct_size < offsetof(nkv_lmcache_chain_options, root) + sizeof(void *)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "options: nkv_lmcache_chain_options_init() was not called");
    }
    *all = *given;
    if ((int)all->algorithm < NKV_LMCACHE_CHAIN_BUILTIN ||
        (int)all->algorithm > NKV_LMCACHE_CHAIN_SHA256) {
        return nkvi_fail(error, NKV_EINVAL,
                         "algorithm: allowed is BUILTIN, CBOR_FOLDED, CBOR, SHA256 (0 to 3)");
    }
    if ((int)all->extra != NKV_LMCACHE_EXTRA_EMPTY && (int)all->extra != NKV_LMCACHE_EXTRA_NONE) {
        return nkvi_fail(error, NKV_EINVAL, "extra: allowed is EMPTY or NONE (0 or 1)");
    }
    if (all->root == NULL && is_cbor(all->algorithm)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "root: the CBOR algorithms need vLLM's NONE_HASH (nkv_lmcache_none_hash)");
    }
    if (all->root != NULL && all->algorithm == NKV_LMCACHE_CHAIN_SHA256) {
        return nkvi_fail(error, NKV_EINVAL, "root: chains of SHA256 begin with nothing");
    }
    return NKV_OK;
}

static nkv_status set_root(nkv_lmcache_chain *chain, const nkv_lmcache_hash *root, nkv_error *error)
{
    if (root != NULL) {
        return take_hash(chain->algorithm, root, &chain->root, error);
    }
    chain->root = chain->algorithm == NKV_LMCACHE_CHAIN_SHA256 ? nkv_lmcache_hash_bytes(NULL, 0)
                                                               : nkv_lmcache_hash_uint(0);
    return NKV_OK;
}

nkv_status nkv_lmcache_chain_create(const nkv_lmcache_chain_options *options,
                                    nkv_lmcache_chain **out, nkv_error *error)
{
    nkv_lmcache_chain_options all;

    *out = NULL;
    nkv_status status = read_options(options, &all, error);
    if (status != NKV_OK) {
        return status;
    }
    nkv_lmcache_chain *chain = nkvi_calloc(1, sizeof *chain);
    if (chain == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory");
    }
    chain->algorithm = all.algorithm;
    chain->extra = all.extra;
    status = set_root(chain, all.root, error);
    if (status == NKV_OK && all.algorithm != NKV_LMCACHE_CHAIN_BUILTIN) {
        status = nkvi_sha256_create(&chain->sha, error);
    }
    if (status != NKV_OK) {
        nkv_lmcache_chain_destroy(chain);
        return status;
    }
    chain->before = chain->root;
    *out = chain;
    return NKV_OK;
}

void nkv_lmcache_chain_destroy(nkv_lmcache_chain *chain)
{
    if (chain != NULL) {
        nkvi_sha256_destroy(chain->sha);
        nkvi_free(chain);
    }
}

nkv_status nkv_lmcache_chain_restart(nkv_lmcache_chain *chain, const nkv_lmcache_hash *from,
                                     nkv_error *error)
{
    if (from == NULL) {
        chain->before = chain->root;
        return NKV_OK;
    }
    return take_hash(chain->algorithm, from, &chain->before, error);
}

nkv_status nkv_lmcache_none_hash(nkv_str seed, nkv_lmcache_hash *out, nkv_error *error)
{
    uint8_t digest[NKVI_SHA256_BYTES];
    nkvi_sha256 *sha;

    *out = nkv_lmcache_hash_uint(0);
    nkv_status status = nkvi_sha256_create(&sha, error);
    if (status != NKV_OK) {
        return status;
    }
    nkvi_sha256_begin(sha);
    nkvi_cbor_string(sha, NKVI_CBOR_TEXT, seed.data, seed.len);
    if (nkvi_sha256_end(sha, digest)) {
        *out = nkv_lmcache_hash_bytes(digest, sizeof digest);
    } else {
        status = nkvi_fail(error, NKV_ENOMEM, "SHA-256: OpenSSL failed, for want of memory");
    }
    nkvi_sha256_destroy(sha);
    return status;
}
