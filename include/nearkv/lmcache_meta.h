/* nearkv/lmcache_meta.h - what LMCache says of a chunk: dtypes, memory formats, metadata.
 *
 * The value of a chunk's metadata key, as all versions of LMCache's connectors write and read it.
 * Conventions of buffers, errors and threads: nearkv/lmcache.h. */
#ifndef NEARKV_LMCACHE_META_H
#define NEARKV_LMCACHE_META_H

#include <nearkv/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Which LMCache -------------------------------------------------------------------------- */

/* Generations of cache keys.  K1 to K5 are CacheEngineKey.to_string() through the years, OBJECT and
 * OBJECT_OLD the object keys of the MP mode's L2 adapters.
 *
 *      K1          fmt@model@world@worker@DIGEST[@layer]         64 hex digits; 2024, early v1
 *      K2          fmt@model@world@worker@DECIMAL[@layer]TAGS    mid 2025
 *      K3          fmt@model@world@worker@HEX[@layer]TAGS        second half of 2025
 *      K4          fmt@model@world@worker@HEX@DTYPE[@layer]TAGS  v0.3.10 to v0.3.12
 *      K5          model@world@worker@HEX@DTYPE[@layer]TAGS      v0.4 and later
 *      OBJECT      [prefix@]model@RANK@GROUP@DIGEST[@salt]       MP mode
 *      OBJECT_OLD  [prefix@]model@RANK@DIGEST[@salt]             MP mode before object groups
 *
 * TAGS: "@name%value" for each. */
typedef enum nkv_lmcache_gen {
    NKV_LMCACHE_K1 = 1,
    NKV_LMCACHE_K2 = 2,
    NKV_LMCACHE_K3 = 3,
    NKV_LMCACHE_K4 = 4,
    NKV_LMCACHE_K5 = 5,
    NKV_LMCACHE_OBJECT = 6,
    NKV_LMCACHE_OBJECT_OLD = 7
} nkv_lmcache_gen;

/* Types of elements.  Below 64: the number in metadata (there 1 is read as FLOAT16 as well, but
 * never written: torch.half is torch.float16).  The others occur in keys only. */
typedef enum nkv_lmcache_dtype {
    NKV_LMCACHE_NONE = 0, /* plain bytes */
    NKV_LMCACHE_FLOAT16 = 2,
    NKV_LMCACHE_BFLOAT16 = 3,
    NKV_LMCACHE_FLOAT32 = 4,
    NKV_LMCACHE_FLOAT64 = 5,
    NKV_LMCACHE_UINT8 = 6,
    NKV_LMCACHE_FP8_E4M3FN = 7,
    NKV_LMCACHE_FP8_E5M2 = 8,
    NKV_LMCACHE_INT8 = 64,
    NKV_LMCACHE_INT16 = 65,
    NKV_LMCACHE_INT32 = 66,
    NKV_LMCACHE_INT64 = 67,
    NKV_LMCACHE_BOOL = 68,
    NKV_LMCACHE_FP8_E4M3FNUZ = 69,
    NKV_LMCACHE_FP8_E5M2FNUZ = 70
} nkv_lmcache_dtype;

/* Bytes of one element; 0 for NONE and for what is no dtype.  Since 0.1 */
NKV_API size_t nkv_lmcache_dtype_size(nkv_lmcache_dtype dtype);

/* The dtype as keys of a generation spell it ("half", "bfloat16", "fp8_e4m3fn"; K4 does not tell
 * the fp8 variants apart).  A constant; NULL if it has none: NONE, or a generation whose keys hold
 * no dtype.  Since 0.1 */
NKV_API const char *nkv_lmcache_dtype_text(nkv_lmcache_dtype dtype, nkv_lmcache_gen gen);

/* The reverse; where K4 has one word for two dtypes, the first in the enum.  K4's "fp8" is UINT8.
 * Returns NKV_OK · NKV_EINVAL (unknown; the text lists the words).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_dtype_parse(nkv_str text, nkv_lmcache_gen gen,
                                                         nkv_lmcache_dtype *out, nkv_error *error);

/* ---- Metadata ------------------------------------------------------------------------------- */

/* How the payload is laid out (MemoryFormat).  In metadata it is a plain number, because forks add
 * their own: an unknown one passes through unchanged. */
enum {
    NKV_LMCACHE_UNDEFINED = 0,
    NKV_LMCACHE_KV_2LTD = 1,       /* [2, layers, tokens, hidden] */
    NKV_LMCACHE_KV_T2D = 2,        /* [tokens, 2, hidden]: layer by layer */
    NKV_LMCACHE_KV_2TD = 3,        /* [2, tokens, hidden]: layer by layer, blending */
    NKV_LMCACHE_BINARY = 4,        /* compressed, as by cachegen */
    NKV_LMCACHE_BINARY_BUFFER = 5, /* bytes: [n, 0, 0, 0] */
    NKV_LMCACHE_KV_MLA_FMT = 6,    /* [1, layers, tokens, head] */
    NKV_LMCACHE_EC_TD = 7,         /* encoder cache: [tokens, hidden] */
    NKV_LMCACHE_HS_TD = 8          /* hidden states: [tokens, hidden] */
};

/* The name of a format ("KV_2LTD"), a constant; NULL: unknown.  And the reverse, in that case:
 * NKV_OK · NKV_EINVAL (the text lists the names).  Since 0.1 */
NKV_API const char *nkv_lmcache_format_text(int32_t format);
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_format_parse(nkv_str text, int32_t *out,
                                                          nkv_error *error);

#define NKV_LMCACHE_DIMS_MAX    4
#define NKV_LMCACHE_GROUPS_MAX  16
#define NKV_LMCACHE_PAYLOAD_MAX 2147483647 /* metadata's length is an int32 */
/* Bytes of the metadata of n KV groups: 28, 48, 68, …  Its length alone tells n. */
#define NKV_LMCACHE_META_SIZE(groups) (8 + 20 * (size_t)(groups))
#define NKV_LMCACHE_META_MAX          NKV_LMCACHE_META_SIZE(NKV_LMCACHE_GROUPS_MAX)

/* One tensor of a chunk. */
typedef struct nkv_lmcache_group {
    nkv_lmcache_dtype dtype;
    uint32_t dims; /* 1 to NKV_LMCACHE_DIMS_MAX */
    int32_t shape[NKV_LMCACHE_DIMS_MAX];
} nkv_lmcache_group;

/* What a chunk's metadata says of its payload (RemoteMetadata). */
typedef struct nkv_lmcache_meta {
    int64_t length;      /* bytes of the payload; 1 to NKV_LMCACHE_PAYLOAD_MAX */
    int32_t format;      /* NKV_LMCACHE_KV_2LTD …, or any other number */
    uint32_t groups_len; /* KV groups: 1 to NKV_LMCACHE_GROUPS_MAX; with most models 1 */
    nkv_lmcache_group groups[NKV_LMCACHE_GROUPS_MAX];
} nkv_lmcache_meta;

/* How fewer than four dimensions are written. */
typedef enum nkv_lmcache_padding {
    NKV_LMCACHE_PAD_ZEROS = 0, /* newest: zeros behind */
    NKV_LMCACHE_PAD_ONES = 1,  /* before that: ones in front */
    NKV_LMCACHE_PAD_NONE = 2   /* oldest: there must be four */
} nkv_lmcache_padding;

/* Writes metadata: little-endian int32 length, format, then dtype and four sizes for each group.
 *
 *   meta     for KV_…, EC_TD, HS_TD and UNDEFINED each size is positive and each dtype has a size
 *            (UNDEFINED may also have NONE: then elements are bytes); for BINARY, BINARY_BUFFER and
 *            unknown formats the sizes are anything from 0.  As with LMCache, nobody looks here
 *            whether the shapes add up to `length`
 *   padding  BINARY and BINARY_BUFFER get zeros behind, whatever it says, as LMCache writes them
 *   buf      room for NKV_LMCACHE_META_SIZE(meta->groups_len); META_MAX is always enough
 *
 * Returns NKV_OK · NKV_EINVAL (a field is not as above, or the dtype has no number in metadata, as
 * int8) · NKV_ENOMEM (cap).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_meta_pack(const nkv_lmcache_meta *meta,
                                                       nkv_lmcache_padding padding, void *buf,
                                                       size_t cap, size_t *len, nkv_error *error);

/* Reads metadata of any generation, under the same conditions, and one more: unless the format is
 * BINARY, BINARY_BUFFER or unknown, the bytes of all groups add up to the length.
 *
 *   bytes   the value of the metadata key
 *   groups  how many KV groups to read: a longer value is fine and its tail ignored, as with
 *           LMCache's reader; 0: as many as the length has room for
 *
 * Zeros behind the sizes are cut off (one stays; none are cut for BINARY, BINARY_BUFFER and unknown
 * formats); ones in front are kept, because they may have been meant.  Packing the result again
 * with PAD_ZEROS gives the same bytes, but for a dtype 1, which becomes 2.
 * Returns NKV_OK · NKV_EINVAL (too short, or a field is not allowed; what is read through a
 * connector then counts as a miss).  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_lmcache_meta_unpack(nkv_str bytes, uint32_t groups,
                                                         nkv_lmcache_meta *out, nkv_error *error);

#ifdef __cplusplus
}
#endif
#endif
