/* nearkv/lmcache_key.h - where LMCache keeps a chunk: hashes, cache keys, names in Redis.
 *
 * All of it is optional: a cache key K is opaque to everything but the functions here.
 * Conventions of buffers, errors and threads: nearkv/lmcache.h. */
#ifndef NEARKV_LMCACHE_KEY_H
#define NEARKV_LMCACHE_KEY_H

#include <nearkv/lmcache_meta.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Hashes in keys ------------------------------------------------------------------------- */

#define NKV_LMCACHE_HASH_MAX 32
/* The longest text of a hash: 64 hexadecimal digits. */
#define NKV_LMCACHE_HASH_TEXT_MAX 64

typedef enum nkv_lmcache_hash_kind {
    NKV_LMCACHE_HASH_INT = 0,  /* a number, as Python's hash() and folded digests are */
    NKV_LMCACHE_HASH_BYTES = 1 /* a digest */
} nkv_lmcache_hash_kind;

/* A chunk's hash.  All zero is the number 0. */
typedef struct nkv_lmcache_hash {
    nkv_lmcache_hash_kind kind;
    int negative;    /* INT: 1: -number */
    uint64_t number; /* INT */
    uint8_t bytes[NKV_LMCACHE_HASH_MAX];
    size_t bytes_len; /* BYTES */
} nkv_lmcache_hash;

/* A hash from a number. */
static inline nkv_lmcache_hash nkv_lmcache_hash_uint(uint64_t number)
{
    nkv_lmcache_hash hash;
    memset(&hash, 0, sizeof hash);
    hash.number = number;
    return hash;
}

static inline nkv_lmcache_hash nkv_lmcache_hash_int(int64_t number)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_uint((uint64_t)number);
    if (number < 0) {
        hash.negative = 1;
        hash.number = 0 - hash.number;
    }
    return hash;
}

/* A hash from a digest; one of more than NKV_LMCACHE_HASH_MAX bytes is refused where it is used. */
static inline nkv_lmcache_hash nkv_lmcache_hash_bytes(const void *digest, size_t len)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_uint(0);
    hash.kind = NKV_LMCACHE_HASH_BYTES;
    hash.bytes_len = len;
    if (len > 0 && len <= sizeof hash.bytes) {
        memcpy(hash.bytes, digest, len);
    }
    return hash;
}

/* A hash as keys of a generation spell it.
 *
 *      K1                  a digest of 32 bytes: all its 64 digits
 *      K2                  a number: decimal, with a minus
 *      K3 K4 K5            a number: hexadecimal, with a minus, no zeros in front; a digest: all
 *                          its digits
 *      OBJECT, OBJECT_OLD  a digest: all its digits; a number from -2^63 to 2^63 - 1: the 16 digits
 *                          of its two's complement, as LMCache makes bytes of Python's hash()
 *
 * buf: room for NKV_LMCACHE_HASH_TEXT_MAX is always enough.  Digits are in lower case.
 * Returns NKV_OK · NKV_EINVAL (the generation has no such hash; an empty digest) · NKV_ENOMEM
 * (cap).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_hash_text(const nkv_lmcache_hash *hash,
                                                       nkv_lmcache_gen gen, char *buf, size_t cap,
                                                       size_t *len, nkv_error *error);

/* The reverse.  In K3 to K5 a text that a number would not have (more than 16 digits, or zeros in
 * front) is a digest; so a digest of exactly 8 bytes is read as a number, unless its first digit is
 * 0, and has the same text again.
 * Returns NKV_OK · NKV_EINVAL (not as above; more than 64 bits, or than 32 bytes; upper case).
 * Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_hash_parse(nkv_str text, nkv_lmcache_gen gen,
                                                        nkv_lmcache_hash *out, nkv_error *error);

/* ---- Cache keys ----------------------------------------------------------------------------- */

/* An entry "lmcache.tag.NAME" of a request's configs. */
typedef struct nkv_lmcache_tag {
    nkv_str name;  /* not empty; no '@', no '%' */
    nkv_str value; /* may be empty; no '@' */
} nkv_lmcache_tag;

/* A key in its parts.  Start from {0}; what the generation has not stays empty.  A text is any
 * bytes but '@', UTF-8 as a rule, and not empty. */
typedef struct nkv_lmcache_key {
    nkv_lmcache_gen gen; /* K1 to K5 */
    nkv_str fmt;         /* K1 to K4: "vllm", "huggingface", "sglang", … */
    nkv_str model;
    uint32_t world_size; /* LMCache writes 1 where only the first rank saves (MLA) */
    uint32_t worker_id;
    nkv_str hash;                /* as nkv_lmcache_hash_text() makes it */
    nkv_str dtype;               /* K4, K5: as nkv_lmcache_dtype_text() makes it */
    int has_layer;               /* 1: the key of one layer (use_layerwise) */
    uint32_t layer;              /* from 0 */
    const nkv_lmcache_tag *tags; /* K2 to K5; in the order of the request's configs */
    size_t tags_len;
} nkv_lmcache_key;

/* Writes a key: model names and tags raw, numbers in decimal.
 * Returns NKV_OK · NKV_EINVAL (a part is empty, holds an '@', is not as the generation spells it,
 * or is given though the generation has none: a tag that was left out would mix up tenants) ·
 * NKV_ENOMEM (cap).  LMCache would write a model name with an '@' and then fail to read it; use
 * such a key as opaque bytes.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_key_build(const nkv_lmcache_key *key, char *buf,
                                                       size_t cap, size_t *len, nkv_error *error);

/* Cuts a key into its parts, which point into `text`.
 *
 *   gen             K1 to K5; it cannot be told from the text
 *   tags, tags_cap  room for the tags; out->tags points to it.  NULL, 0: for keys without
 *
 * What is accepted gives the same bytes again with nkv_lmcache_key_build(), a digest with zeros in
 * front included (LMCache's own parser loses those).
 * Returns NKV_OK · NKV_EINVAL (not a key of that generation) · NKV_ENOMEM (more tags than
 * tags_cap).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_key_parse(nkv_str text, nkv_lmcache_gen gen,
                                                       nkv_lmcache_tag *tags, size_t tags_cap,
                                                       nkv_lmcache_key *out, nkv_error *error);

/* An object key of the MP mode in its parts.  Start from {0}. */
typedef struct nkv_lmcache_object_key {
    nkv_lmcache_gen gen; /* OBJECT or OBJECT_OLD */
    nkv_str prefix;      /* the Valkey adapter's key_prefix: any bytes; empty: none */
    nkv_str model;       /* not empty; no '@' */
    uint32_t world, global_rank, local_world, local_rank; /* each 0 to 255 */
    uint32_t group;                                       /* object_group_id; OBJECT only */
    nkv_str hash;                                         /* as nkv_lmcache_hash_text() makes it */
    nkv_str salt; /* empty: none; no '@', '/', '\\', NUL; at most 128 characters of UTF-8 */
} nkv_lmcache_object_key;

/* Writes an object key; RANK is the four numbers as 2 hexadecimal digits each.
 * Returns NKV_OK · NKV_EINVAL (a part is not as above) · NKV_ENOMEM (cap).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_object_key_build(const nkv_lmcache_object_key *key,
                                                              char *buf, size_t cap, size_t *len,
                                                              nkv_error *error);

/* Cuts an object key into its parts, which point into `text` (prefix: into `prefix`).
 *
 *   gen     OBJECT or OBJECT_OLD; it cannot be told from the text
 *   prefix  what the key must begin with, and an '@' behind it; empty: nothing
 *
 * Returns NKV_OK · NKV_EINVAL (not such a key).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_object_key_parse(nkv_str text, nkv_lmcache_gen gen,
                                                              nkv_str prefix,
                                                              nkv_lmcache_object_key *out,
                                                              nkv_error *error);

/* ---- Names in Redis ------------------------------------------------------------------------- */

/* How a connector makes the names of Redis keys from a cache key K. */
typedef enum nkv_lmcache_layout {
    NKV_LMCACHE_PLAIN_SUFFIX = 0, /* Kmetadata, Kkv_bytes: RedisConnector, Sentinel, Cluster */
    NKV_LMCACHE_COLON_SUFFIX =
        1,                     /* K:metadata, K:kv_bytes: Valkey before the single key, enhanced */
    NKV_LMCACHE_HASH_TAG = 2,  /* {K}:metadata, {K}:kv_bytes: their cluster modes */
    NKV_LMCACHE_SINGLE_KEY = 3 /* K: RESP, Valkey, the MP mode's adapters, LMCache of 2024 */
} nkv_lmcache_layout;

typedef enum nkv_lmcache_part {
    NKV_LMCACHE_METADATA = 0,
    NKV_LMCACHE_PAYLOAD = 1
} nkv_lmcache_part;

/* Bytes that a name is at most longer than its K. */
#define NKV_LMCACHE_NAME_MORE 11

/* A name in its parts. */
typedef struct nkv_lmcache_name {
    nkv_lmcache_layout layout;
    nkv_lmcache_part part; /* SINGLE_KEY has the payload only */
    nkv_str key;           /* K: any bytes, but at least one */
} nkv_lmcache_name;

/* Writes a name.  K is opaque, nothing is escaped.  In a cluster both names of HASH_TAG are in one
 * slot, also if K holds braces, unless it begins with '}'.
 * Returns NKV_OK · NKV_EINVAL (K is empty, or too long for a key; the metadata of SINGLE_KEY) ·
 * NKV_ENOMEM (cap; name->key.len + NKV_LMCACHE_NAME_MORE is always enough).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_name_build(const nkv_lmcache_name *name, char *buf,
                                                        size_t cap, size_t *len, nkv_error *error);

/* The reverse, for what a SCAN brings: out->key points into `text`.  Every name of COLON_SUFFIX is
 * one of PLAIN_SUFFIX too, with a K that ends in ':', and any text is a name of SINGLE_KEY: the
 * caller says which layout is in use.
 * Returns NKV_OK · NKV_EINVAL (not a name of this layout).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_name_parse(nkv_str text, nkv_lmcache_layout layout,
                                                        nkv_lmcache_name *out, nkv_error *error);

#ifdef __cplusplus
}
#endif
#endif
