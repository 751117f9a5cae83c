/* kv/pickle.c - Python's pickles of scalars, and nothing but scalars.
 *
 *      PROTO 4 · [FRAME, of the rest] · one opcode with its payload · [MEMOIZE] · STOP
 *
 * The writer makes what CPython's pickle.dumps(value, protocol=4) makes, byte by byte.  The reader
 * takes protocols 2 to 5, and refuses every opcode that it does not know: what a pickle could call
 * or import is not even looked at.
 * From  PEP 307, PEP 3154 and CPython's pickletools. */
#include <float.h>
#include <stdbool.h>
#include <string.h>

#include <nearkv/kv_codec.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"

#define FRAME_LEAST 4u           /* a shorter rest has no frame */
#define FRAME_MOST  (64u * 1024) /* a payload of so much stays outside of frames */

enum {
    OP_PROTO = 0x80,
    OP_FRAME = 0x95,
    OP_MEMOIZE = 0x94,
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_STOP = '.',
    OP_NONE = 'N',
    OP_TRUE = 0x88,
    OP_FALSE = 0x89,
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_LONG1 = 0x8a,
    OP_BINFLOAT = 'G',
    OP_SHORT_BINBYTES = 'C',
    OP_BINBYTES = 'B',
    OP_BINBYTES8 = 0x8e,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE = 'X',
    OP_BINUNICODE8 = 0x8d
};

_Static_assert(DBL_MANT_DIG == 53 && sizeof(double) == 8, "a double is an IEEE 754 binary64");

/* ---- writing --------------------------------------------------------------------------------- */

static void put_op(nkvi_buf *out, int op)
{
    const char byte = (char)op;
    nkvi_buf_append(out, &byte, 1);
}

static void put_le(nkvi_buf *out, uint64_t number, unsigned bytes)
{
    char raw[8];
    for (unsigned i = 0; i < bytes; i++) {
        raw[i] = (char)(number >> (8 * i) & 0xff);
    }
    nkvi_buf_append(out, raw, bytes);
}

/* The fewest bytes of two's complement that hold it. */
static unsigned long1_len(int64_t number)
{
    unsigned len = 1;
    while (len < 8 && (number < -(INT64_C(1) << (8 * len - 1)) ||
                       number > (INT64_C(1) << (8 * len - 1)) - 1)) {
        len++;
    }
    return len;
}

static void put_int(nkvi_buf *out, int64_t number)
{
    if (number >= 0 && number <= 0xff) {
        put_op(out, OP_BININT1);
        put_le(out, (uint64_t)number, 1);
    } else if (number >= 0 && number <= 0xffff) {
        put_op(out, OP_BININT2);
        put_le(out, (uint64_t)number, 2);
    } else if (number >= INT32_MIN && number <= INT32_MAX) {
        put_op(out, OP_BININT);
        put_le(out, (uint64_t)number, 4);
    } else {
        unsigned len = long1_len(number);
        put_op(out, OP_LONG1);
        put_le(out, len, 1);
        put_le(out, (uint64_t)number, len);
    }
}

static void put_float(nkvi_buf *out, double real)
{
    uint64_t bits;
    char raw[8];
    memcpy(&bits, &real, sizeof bits);
    for (unsigned i = 0; i < 8; i++) {
        raw[i] = (char)(bits >> (56 - 8 * i) & 0xff);
    }
    put_op(out, OP_BINFLOAT);
    nkvi_buf_append(out, raw, sizeof raw);
}

static void put_str(nkvi_buf *out, nkv_str str, bool text)
{
    if (str.len <= 0xff) {
        put_op(out, text ? OP_SHORT_BINUNICODE : OP_SHORT_BINBYTES);
        put_le(out, str.len, 1);
    } else if (str.len <= UINT32_MAX) {
        put_op(out, text ? OP_BINUNICODE : OP_BINBYTES);
        put_le(out, str.len, 4);
    } else {
        put_op(out, text ? OP_BINUNICODE8 : OP_BINBYTES8);
        put_le(out, str.len, 8);
    }
    nkvi_buf_append(out, str.data, str.len);
    put_op(out, OP_MEMOIZE);
}

static void put_body(nkvi_buf *out, const nkv_scalar *scalar)
{
    switch (scalar->type) {
    case NKV_SCALAR_NONE:
        put_op(out, OP_NONE);
        break;
    case NKV_SCALAR_BOOL:
        put_op(out, scalar->integer != 0 ? OP_TRUE : OP_FALSE);
        break;
    case NKV_SCALAR_INT:
        put_int(out, scalar->integer);
        break;
    case NKV_SCALAR_FLOAT:
        put_float(out, scalar->real);
        break;
    case NKV_SCALAR_BYTES:
    case NKV_SCALAR_TEXT:
        put_str(out, scalar->str, scalar->type == NKV_SCALAR_TEXT);
        break;
    }
    put_op(out, OP_STOP);
}

static void free_block(void *data, void *ud)
{
    (void)ud;
    nkvi_free(data);
}

nkv_status nkv_pickle_write(const nkv_scalar *scalar, nkv_value **out, nkv_error *error)
{
    static const char proto[2] = {(char)OP_PROTO, 4};
    nkvi_buf body, all;
    *out = NULL;
    if ((unsigned)scalar->type > NKV_SCALAR_TEXT) {
        return nkvi_fail(error, NKV_EINVAL, "scalar type %d; allowed is 0 (None) to %d (text)",
                         (int)scalar->type, NKV_SCALAR_TEXT);
    }
    if (scalar->type == NKV_SCALAR_TEXT && !nkv_utf8_valid(scalar->str)) {
        return nkvi_fail(error, NKV_EINVAL, "the text is not UTF-8; store it as bytes");
    }
    nkvi_buf_init(&body);
    nkvi_buf_init(&all);
    put_body(&body, scalar);
    nkvi_buf_append(&all, proto, sizeof proto);
    bool large = scalar->type >= NKV_SCALAR_BYTES && scalar->str.len >= FRAME_MOST;
    if (body.len >= FRAME_LEAST && !large) {
        put_op(&all, OP_FRAME);
        put_le(&all, body.len, 8);
    }
    nkvi_buf_append(&all, body.data, body.len);
    size_t len = 0;
    char *bytes = body.failed ? NULL : nkvi_buf_take(&all, &len);
    nkvi_buf_clear(&body);
    nkvi_buf_clear(&all);
    *out = bytes != NULL ? nkv_value_adopt(bytes, len, free_block, NULL) : NULL;
    if (*out == NULL) {
        nkvi_free(bytes);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a pickle");
    }
    return NKV_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct cursor {
    const unsigned char *at;
    size_t left;
    const char *wrong; /* what was, or NULL */
} cursor;

static uint64_t take_le(cursor *in, unsigned bytes)
{
    uint64_t number = 0;
    if (in->left < bytes) {
        in->wrong = "it ends too early";
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        number |= (uint64_t)in->at[i] << (8 * i);
    }
    in->at += bytes;
    in->left -= bytes;
    return number;
}

static int take_op(cursor *in)
{
    return (int)take_le(in, 1);
}

static void take_str(cursor *in, unsigned length_bytes, nkv_scalar_type type, nkv_scalar *out)
{
    uint64_t len = take_le(in, length_bytes);
    if (in->wrong == NULL && len > in->left) {
        in->wrong = "a length is larger than what is there";
    }
    if (in->wrong == NULL) {
        *out = (nkv_scalar){.type = type, .str = nkv_str_make(in->at, (size_t)len)};
        in->at += len;
        in->left -= (size_t)len;
    }
}

static int64_t sign_extended(uint64_t number, unsigned bytes)
{
    if (bytes == 0) {
        return 0;
    }
    const uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
    return (int64_t)((number ^ sign) - sign);
}

static void take_int(cursor *in, int op, nkv_scalar *out)
{
    unsigned bytes = op == OP_BININT1 ? 1 : op == OP_BININT2 ? 2 : 4;
    if (op == OP_LONG1) {
        uint64_t len = take_le(in, 1);
        if (len > 8) {
            in->wrong = "an integer of more than 64 bits";
            return;
        }
        bytes = (unsigned)len;
    }
    uint64_t number = take_le(in, bytes);
    bool has_sign = op == OP_BININT || op == OP_LONG1;
    *out = (nkv_scalar){.type = NKV_SCALAR_INT,
                        .integer = has_sign ? sign_extended(number, bytes) : (int64_t)number};
}

static void take_float(cursor *in, nkv_scalar *out)
{
    uint64_t little = take_le(in, 8), bits = 0;
    for (unsigned i = 0; i < 8; i++) {
        bits |= (little >> (8 * i) & 0xff) << (56 - 8 * i);
    }
    *out = (nkv_scalar){.type = NKV_SCALAR_FLOAT};
    memcpy(&out->real, &bits, sizeof bits);
}

static void take_value(cursor *in, nkv_scalar *out)
{
    int op = take_op(in);
    switch (op) {
    case OP_NONE:
        *out = (nkv_scalar){.type = NKV_SCALAR_NONE};
        break;
    case OP_TRUE:
    case OP_FALSE:
        *out = (nkv_scalar){.type = NKV_SCALAR_BOOL, .integer = op == OP_TRUE};
        break;
    case OP_BININT:
    case OP_BININT1:
    case OP_BININT2:
    case OP_LONG1:
        take_int(in, op, out);
        break;
    case OP_BINFLOAT:
        take_float(in, out);
        break;
    case OP_SHORT_BINBYTES:
    case OP_SHORT_BINUNICODE:
        take_str(in, 1, op == OP_SHORT_BINBYTES ? NKV_SCALAR_BYTES : NKV_SCALAR_TEXT, out);
        break;
    case OP_BINBYTES:
    case OP_BINUNICODE:
        take_str(in, 4, op == OP_BINBYTES ? NKV_SCALAR_BYTES : NKV_SCALAR_TEXT, out);
        break;
    case OP_BINBYTES8:
    case OP_BINUNICODE8:
        take_str(in, 8, op == OP_BINBYTES8 ? NKV_SCALAR_BYTES : NKV_SCALAR_TEXT, out);
        break;
    default:
        in->wrong = in->wrong != NULL ? in->wrong : "an opcode that is no scalar's";
    }
}

/* A frame may begin here, which must hold all that is left. */
static void skip_frame(cursor *in)
{
    if (in->left > 0 && in->at[0] == OP_FRAME) {
        (void)take_op(in);
        uint64_t len = take_le(in, 8);
        if (in->wrong == NULL && len != in->left) {
            in->wrong = "a frame of another length";
        }
    }
}

/* The value may be noted for later, which nothing is. */
static void skip_memo(cursor *in)
{
    if (in->left == 0 || in->wrong != NULL) {
        return;
    }
    unsigned bytes = in->at[0] == OP_MEMOIZE       ? 1
                     : in->at[0] == OP_BINPUT      ? 2
                     : in->at[0] == OP_LONG_BINPUT ? 5
                                                   : 0;
    (void)take_le(in, bytes);
}

nkv_status nkv_pickle_read(nkv_str pickle, nkv_scalar *out, nkv_error *error)
{
    cursor in = {(const unsigned char *)pickle.data, pickle.len, NULL};
    memset(out, 0, sizeof *out);
    if (in.left < 2 || in.at[0] != OP_PROTO || in.at[1] < 2 || in.at[1] > 5) {
        in.wrong = "it is of no protocol from 2 to 5";
    }
    if (in.wrong == NULL) {
        (void)take_le(&in, 2);
        skip_frame(&in);
    }
    if (in.wrong == NULL) {
        take_value(&in, out);
    }
    skip_memo(&in);
    if (in.wrong == NULL && (take_op(&in) != OP_STOP || in.left != 0)) {
        in.wrong = "it does not end behind one scalar";
    }
    if (in.wrong != NULL) {
        memset(out, 0, sizeof *out);
        return nkvi_fail(error, NKV_EDECODE, "unsupported pickle: %s", in.wrong);
    }
    return NKV_OK;
}

/* ---- as a codec ------------------------------------------------------------------------------ */

static nkv_status encode(void *ud, nkv_str value, nkv_value **out, nkv_error *error)
{
    const nkv_scalar scalar = {.type = NKV_SCALAR_BYTES, .str = value};
    (void)ud;
    return nkv_pickle_write(&scalar, out, error);
}

static nkv_status decode(void *ud, nkv_str stored, nkv_value **out, nkv_error *error)
{
    nkv_scalar scalar;
    (void)ud;
    *out = NULL;
    nkv_status status = nkv_pickle_read(stored, &scalar, error);
    if (status != NKV_OK) {
        return status;
    }
    if (scalar.type != NKV_SCALAR_BYTES && scalar.type != NKV_SCALAR_TEXT) {
        return nkvi_fail(error, NKV_EDECODE,
                         "a pickle of a number or None; nkv_pickle_read() reads it");
    }
    *out = nkv_value_from_bytes(scalar.str.data, scalar.str.len);
    return *out != NULL ? NKV_OK : nkvi_fail(error, NKV_ENOMEM, "no memory for a value");
}

const nkv_kv_codec *nkv_kv_codec_pickle(void)
{
    static const nkv_kv_codec codec = {"pickle", encode, decode, NULL};
    return &codec;
}
