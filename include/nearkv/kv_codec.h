/* nearkv/kv_codec.h - what the bytes of a value mean: codecs of kv.h, and Python's pickled scalars.
 *
 *      caller's bytes --encode--> [compressed, marked] ---> the server, byte by byte
 *      caller's bytes <--decode-- [unpacked]           <---
 *
 * Ownership  Input is borrowed for the call; values come back as references for the caller.
 * Threads    [any]; a codec of the user's own is called from any thread, under no lock. */
#ifndef NEARKV_KV_CODEC_H
#define NEARKV_KV_CODEC_H

#include <nearkv/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One way to write a value.  Both functions return NKV_OK with a reference, or a failure with its
 * text (NKV_EDECODE: what is stored is not what this codec writes); neither may call into the
 * handle that it is used by. */
typedef struct nkv_kv_codec {
    const char *name; /* in messages; static */
    nkv_status (*encode)(void *ud, nkv_str value, nkv_value **out, nkv_error *error);
    nkv_status (*decode)(void *ud, nkv_str stored, nkv_value **out, nkv_error *error);
    void *ud;
} nkv_kv_codec;

/* Python's pickle of `bytes`; reads those of `bytes` and `str`.  For sharing keys with a program
 * that stores pickles (OmniCache's RedisBackend).  Nothing that a pickle could call or import is
 * ever read.  Static.  Since 0.1 */
NKV_API const nkv_kv_codec *nkv_kv_codec_pickle(void);

/* ---- pickled scalars ------------------------------------------------------------------------- */

typedef enum nkv_scalar_type {
    NKV_SCALAR_NONE = 0,
    NKV_SCALAR_BOOL = 1, /* integer: 0 or 1 */
    NKV_SCALAR_INT = 2,
    NKV_SCALAR_FLOAT = 3,
    NKV_SCALAR_BYTES = 4,
    NKV_SCALAR_TEXT = 5 /* UTF-8; what is read may hold surrogates, which Python lets pass */
} nkv_scalar_type;

typedef struct nkv_scalar {
    nkv_scalar_type type;
    int64_t integer;
    double real;
    nkv_str str; /* BYTES, TEXT; borrowed */
} nkv_scalar;

/* The bytes that CPython's pickle.dumps(value, protocol=4) makes.
 * Returns NKV_OK · NKV_EINVAL (no such type; a text that is not UTF-8) · NKV_ENOMEM.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_pickle_write(const nkv_scalar *scalar, nkv_value **out,
                                                  nkv_error *error);

/* Reads a pickle of protocol 2 to 5 that holds one scalar; out->str points into `pickle`.  An
 * integer must fit 64 bits.  Returns NKV_OK · NKV_EDECODE (the text begins with "unsupported
 * pickle").  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_pickle_read(nkv_str pickle, nkv_scalar *out, nkv_error *error);

#ifdef __cplusplus
}
#endif
#endif
