/* nearkv/lmcache_chain.h - chunk hashes: from token ids to the hashes in LMCache's keys.
 *
 *      tokens      [0 .. 256)      [256 .. 512)      [512 .. 768)
 *                      |                |                 |
 *      root ------> hash 0 ---------> hash 1 ---------> hash 2       one for each chunk
 *
 * A chunk's hash depends on all tokens before it, so two prompts share keys as far as they agree.
 * The caller cuts the chunks, as LMCache does: from left to right, chunk_size (256) tokens each;
 * whether a shorter one at the end is hashed is save_unfull_chunk (off in later versions).
 * Conventions of buffers, errors and threads: nearkv/lmcache.h. */
#ifndef NEARKV_LMCACHE_CHAIN_H
#define NEARKV_LMCACHE_CHAIN_H

#include <nearkv/lmcache_key.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_lmcache_chain nkv_lmcache_chain;

/* How a hash is made; `before` is the one before it, at the beginning the root. */
typedef enum nkv_lmcache_algorithm {
    NKV_LMCACHE_CHAIN_BUILTIN = 0,     /* Python's hash((before, tokens, extra)): LMCache's default,
                                          "builtin"; CPython from 3.8, 64 bits.  An INT */
    NKV_LMCACHE_CHAIN_CBOR_FOLDED = 1, /* the first 8 bytes of SHA-256 of the same in CBOR, as a
                                          number: "sha256_cbor" since LMCache folds digests; INT */
    NKV_LMCACHE_CHAIN_CBOR = 2,        /* all 32 bytes of it: "sha256_cbor" before that.  BYTES */
    NKV_LMCACHE_CHAIN_SHA256 = 3       /* SHA-256 of before in hexadecimal and the tokens as int64:
                                          LMCache of 2024.  BYTES; no root, no extra */
} nkv_lmcache_algorithm;

/* The third thing hashed. */
typedef enum nkv_lmcache_extra {
    NKV_LMCACHE_EXTRA_EMPTY = 0, /* (): newest */
    NKV_LMCACHE_EXTRA_NONE = 1   /* None: until about December 2025.  With BUILTIN as CPython 3.12
                                    and later hash it; before, that was an address, and hashes of
                                    one process meant nothing to another */
} nkv_lmcache_extra;

typedef struct nkv_lmcache_chain_options {
    size_t struct_size;              /* filled by nkv_lmcache_chain_options_init() */
    nkv_lmcache_algorithm algorithm; /* default BUILTIN */
    nkv_lmcache_extra extra;         /* default EMPTY */
    const nkv_lmcache_hash *root;    /* NONE_HASH; copied.  NULL, the default: 0 with BUILTIN, as
                                        without vLLM; the CBOR ones need it: vLLM's is random where
                                        PYTHONHASHSEED is not set, else nkv_lmcache_none_hash() */
    /* since 0.2: new fields only below this line */
} nkv_lmcache_chain_options;

NKV_API void nkv_lmcache_chain_options_init_sized(nkv_lmcache_chain_options *options, size_t size);
#define nkv_lmcache_chain_options_init(options) \
    nkv_lmcache_chain_options_init_sized((options), sizeof *(options))

/* vLLM's NONE_HASH under sha256_cbor for a PYTHONHASHSEED, given as its text ("0"): the SHA-256 of
 * the text in CBOR.  FOLDED chains fold it themselves.
 * Returns NKV_OK · NKV_ENOMEM · NKV_ENOTSUP (OpenSSL offers no SHA-256).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_none_hash(nkv_str seed, nkv_lmcache_hash *out,
                                                       nkv_error *error);

/* Makes a chain, at its root.  options: NULL for the defaults.  The caller gives *out back with
 * nkv_lmcache_chain_destroy(); after a failure it is NULL.
 * A root is an INT for BUILTIN; an INT, or BYTES from 1 to 32, for the CBOR ones.
 * Returns NKV_OK · NKV_EINVAL (an option; the text names it) · NKV_ENOMEM · NKV_ENOTSUP (OpenSSL
 * offers no SHA-256).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_chain_create(const nkv_lmcache_chain_options *options,
                                                          nkv_lmcache_chain **out,
                                                          nkv_error *error);

/* Frees a chain; NULL is allowed.  Since 0.1 */
NKV_API void nkv_lmcache_chain_destroy(nkv_lmcache_chain *chain);

/* Goes back to the root (from: NULL), or to behind a chunk whose hash is known: what comes next is
 * hashed as if that chunk had been the last.  Does not allocate.
 * Returns NKV_OK · NKV_EINVAL (not a hash of this chain's: an INT for BUILTIN, 32 BYTES for SHA256,
 * else as a root; the chain is unchanged).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_chain_restart(nkv_lmcache_chain *chain,
                                                           const nkv_lmcache_hash *from,
                                                           nkv_error *error);

/* Hashes the next chunk.
 *
 *   tokens, n  all tokens of one chunk, n >= 1; any numbers.  (LMCache hashes images through tokens
 *              of their own; extra keys of a request are not offered.)
 *   out        its hash, for nkv_lmcache_hash_text()
 *
 * Returns NKV_OK · NKV_EINVAL (n is 0) · NKV_ENOMEM (OpenSSL's; the chain is unchanged).  O(n), no
 * allocation of ours.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_chain_next(nkv_lmcache_chain *chain,
                                                        const int64_t *tokens, size_t n,
                                                        nkv_lmcache_hash *out, nkv_error *error);

#ifdef __cplusplus
}
#endif
#endif
