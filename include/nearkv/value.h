/* nearkv/value.h - answers: immutable, counted, read in place.
 *
 * A nkv_value is one answer of a server.  It never changes, any number of threads may read it, and
 * it stays valid until its last reference is given back, whatever happens to the key, the cache or
 * the client meanwhile.  A hit hands out a reference to the cached answer itself: nothing is
 * copied.
 *
 *      nkv_value --nkv_value_reply()--> nkv_reply {type, str, len | integer | dval | element[]}
 *                                                                                   |
 *                                          children lie in one array: element[0..elements)
 *
 * nkv_reply is a view in the manner of hiredis's redisReply: it points into the value, owns nothing
 * and is valid as long as the reference it came from. */
#ifndef NEARKV_VALUE_H
#define NEARKV_VALUE_H

#include <nearkv/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_value nkv_value;

/* Types of RESP3; the numbers are hiredis's, so that a `switch` written for it keeps working. */
typedef enum nkv_type {
    NKV_TYPE_STRING = 1,
    NKV_TYPE_ARRAY = 2,
    NKV_TYPE_INTEGER = 3,
    NKV_TYPE_NIL = 4,
    NKV_TYPE_STATUS = 5,
    NKV_TYPE_ERROR = 6,
    NKV_TYPE_DOUBLE = 7,
    NKV_TYPE_BOOL = 8,
    NKV_TYPE_MAP = 9, /* elements = 2 × pairs: key, value, key, value … */
    NKV_TYPE_SET = 10,
    NKV_TYPE_PUSH = 12,
    NKV_TYPE_BIGNUM = 13,
    NKV_TYPE_VERBATIM = 14
} nkv_type;

typedef struct nkv_reply {
    nkv_type type;
    char vtype[4];   /* VERBATIM: "txt", "mkd", …; terminated */
    int64_t integer; /* INTEGER; BOOL: 0 or 1 */
    double dval;     /* DOUBLE */
    const char *str; /* STRING STATUS ERROR BIGNUM VERBATIM DOUBLE (its text): terminated by a NUL
                        that len does not count */
    size_t len;      /* bytes of str */
    size_t elements; /* ARRAY MAP SET PUSH: number of children */
    const struct nkv_reply *element; /* the children, one after the other */
} nkv_reply;

/* The answer as a view.  value: not NULL.  O(1), no allocation.  [any]  Since 0.1 */
NKV_API nkv_reply nkv_value_reply(const nkv_value *value);

/* The bytes of a string-like answer (see nkv_reply.str); {NULL, 0} for any other type.  Valid as
 * long as the reference.  [any]  Since 0.1 */
NKV_API nkv_str nkv_value_str(const nkv_value *value);

/* One more reference; returns `value`.  O(1), one atomic addition.  [any]  Since 0.1 */
NKV_API nkv_value *nkv_value_retain(nkv_value *value);

/* Gives one reference back; NULL is allowed.  The last one frees the memory.  [any]  Since 0.1 */
NKV_API void nkv_value_release(nkv_value *value);

/* Makes a string value from bytes of the caller, which are copied: for caches and connectors of
 * one's own.  Returns NULL if memory ran out.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_value *nkv_value_from_bytes(const void *data, size_t len);

/* The same without a copy: takes `data` (`len` bytes, and one more that is writable and becomes the
 * NUL), and calls free_fn(data, ud) exactly once when the last reference goes, from the thread that
 * gave it back.  On failure (NULL: memory ran out) `data` stays the caller's.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_value *nkv_value_adopt(void *data, size_t len,
                                                 void (*free_fn)(void *data, void *ud), void *ud);

/* Two answers are equal if type, bytes, numbers and children are; maps and sets in any order are
 * not compared as sets: order counts, as it does on the wire.  Returns 1 or 0.  [any]  Since 0.1 */
NKV_API int nkv_value_equal(const nkv_value *a, const nkv_value *b);

/* Bytes of memory this value holds, header included.  [any]  Since 0.1 */
NKV_API size_t nkv_value_size(const nkv_value *value);

#ifdef __cplusplus
}
#endif
#endif
