/* core/value.h - what a value is made of: one cache line that two kinds of owners share.
 *
 *      a value of its own    [ nkv_value | bytes … ]            or  [ nkv_value ] -> block
 *      a cached answer       [ nkv_value | name of the entry ]  ->  block       (core/slot.h)
 *
 * The handle of a cached answer *is* its slot in the cache, so taking a reference on a hit is one
 * atomic addition, and the line that it touches is the one that was looked at anyway.
 *
 * `meta` holds the references in its lower half; the upper half is used by slots only.
 * Threads  Everything but `meta` and `visited` is constant while references exist. */
#ifndef NKVI_CORE_VALUE_H
#define NKVI_CORE_VALUE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nearkv/value.h>

#define NKVI_KIND_TYPE    0x1fu /* nkv_type */
#define NKVI_KIND_STAMPED 0x40u /* a nkvi_stamped (core/wrap.h) */
#define NKVI_KIND_SLOT    0x80u /* lives in a slot of a cache */

struct nkv_value {
    _Atomic uint64_t meta;
    union {
        struct {
            _Atomic uint64_t hash; /* of space, key and command */
            uint64_t realm;        /* space, and how often it had been flushed */
            uint64_t stamp;        /* owner and its generation */
            int64_t deadline_ns;
        } slot;
        struct {
            void *block;                            /* NULL: the bytes lie behind this struct */
            size_t block_bytes;                     /* wherever they lie */
            void (*free_fn)(void *block, void *ud); /* NULL: nkvi_free */
            void *free_ud;
        } heap;
    } of;
    _Atomic(const void *) data; /* text or children; readers may peek at it to fetch it early */
    union {
        uint64_t len; /* of the text, or number of children */
        int64_t integer;
        double dval;
    } number;
    uint8_t kind;
    uint8_t vtype[3];        /* VERBATIM: its format; DOUBLE: the length of its text */
    uint8_t key_len;         /* slots: see slot.h */
    uint8_t command_len;     /* slots: see slot.h */
    _Atomic uint8_t visited; /* slots: read since the eviction looked last */
    uint8_t spare;
};

_Static_assert(sizeof(struct nkv_value) == 64, "one cache line");

/* A reference to the integer 0 or 1, the answers that come in masses: made once for all, so nothing
 * is allocated.  NULL: the answer is another. */
nkv_value *nkvi_value_flag(const nkv_reply *root);

/* Puts the root of an answer into the value's fields (not its references, not its owner). */
void nkvi_value_set(nkv_value *value, const nkv_reply *root);

/* The number of an INTEGER; false: it is none. */
static inline bool nkvi_value_integer(const nkv_value *value, int64_t *number)
{
    *number = value->number.integer;
    return (value->kind & NKVI_KIND_TYPE) == NKV_TYPE_INTEGER;
}

static inline bool nkvi_value_is_string(const nkv_value *value)
{
    return (value->kind & NKVI_KIND_TYPE) == NKV_TYPE_STRING;
}

/* A value with one reference whose bytes (len of them, to be filled by the caller) lie behind it,
 * or NULL. */
nkv_value *nkvi_value_make(size_t len);

/* Same type, bytes, numbers and children. */
bool nkvi_reply_same(const nkv_reply *a, const nkv_reply *b);

#endif
