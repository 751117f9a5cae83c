/* kv/pack.h - a value as it is stored: by the codec, then compressed and marked.
 *
 *      [0x89 n k v] [0] bytes              kept as they were, because they begin like a mark
 *      [0x89 n k v] [1] a frame of zstd
 *      anything else                       bytes as they are
 *
 * Only with nkv_kv_options.compress_above.
 * Threads  [any]. */
#ifndef NKVI_KV_PACK_H
#define NKVI_KV_PACK_H

#include "kv/kv.h"

/* What is to be stored: *bytes, which point into `value`, or into *held (a reference, or NULL).
 * Returns NKV_OK · what the codec returns · NKV_ENOMEM. */
nkv_status nkvi_pack(const nkv_kv *kv, nkv_str value, nkv_str *bytes, nkv_value **held,
                     nkv_error *error);

/* What was stored: takes the reference `stored`, gives another, or the same.  Returns NKV_OK · what
 * the codec returns · NKV_EDECODE · NKV_ENOMEM; *out is NULL then. */
nkv_status nkvi_unpack(const nkv_kv *kv, nkv_value *stored, nkv_value **out, nkv_error *error);

/* Without a handle: the part about compression. */
nkv_status nkvi_compress(nkv_str value, int64_t above, int level, nkv_value **out,
                         nkv_error *error); /* *out NULL: it stays as it is */
nkv_status nkvi_decompress(nkv_str stored, nkv_value **out,
                           nkv_error *error); /* *out NULL: it has no mark */

#endif
