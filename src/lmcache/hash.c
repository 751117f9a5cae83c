/* lmcache/hash.c - hashes as keys spell them.
 *
 *      kind    K1          K2        K3 K4 K5      OBJECT, OBJECT_OLD
 *      INT     -           decimal   hex, short    two's complement, 16 digits
 *      BYTES   64 digits   -         all digits    all digits
 *
 * Python prints a number with f"{h:x}": no zeros in front, and a minus for what hash() made
 * negative.  A digest is printed with .hex(): two digits a byte. */
#include <nearkv/lmcache_key.h>

#include <stdbool.h>

#include "base/status.h"
#include "lmcache/generation.h"
#include "lmcache/text.h"

#define DIGITS_K1  64
#define DIGITS_INT 16 /* of 64 bits */

static const nkvi_lmcache_generation generations[] = {
    {true, false, false, "fmt@model@world_size@worker_id@hash[@layer]"},
    {true, false, true, "fmt@model@world_size@worker_id@hash[@layer][@tag%value]..."},
    {true, false, true, "fmt@model@world_size@worker_id@hash[@layer][@tag%value]..."},
    {true, true, true, "fmt@model@world_size@worker_id@hash@dtype[@layer][@tag%value]..."},
    {false, true, true, "model@world_size@worker_id@hash@dtype[@layer][@tag%value]..."},
};

const nkvi_lmcache_generation *nkvi_lmcache_generation_of(nkv_lmcache_gen gen)
{
    if ((int)gen < NKV_LMCACHE_K1 || (int)gen > NKV_LMCACHE_K5) {
        return NULL;
    }
    return &generations[gen - NKV_LMCACHE_K1];
}

static bool is_object(nkv_lmcache_gen gen)
{
    return gen == NKV_LMCACHE_OBJECT || gen == NKV_LMCACHE_OBJECT_OLD;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static nkv_status bad_hash(nkv_lmcache_gen gen, nkv_error *error)
{
    const char *allowed = "digits 0 to 9 and a to f, with a minus or without";
    if (gen == NKV_LMCACHE_K1) {
        allowed = "64 digits 0 to 9 and a to f";
    } else if (gen == NKV_LMCACHE_K2) {
        allowed = "a decimal number without zeros in front, with a minus or without";
    } else if (is_object(gen)) {
        allowed = "an even number of digits 0 to 9 and a to f";
    } else if (nkvi_lmcache_generation_of(gen) == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "generation: allowed is K1 to K5, OBJECT, OBJECT_OLD");
    }
    return nkvi_fail(error, NKV_EINVAL, "hash: allowed is %s", allowed);
}

/* Takes a minus off; true if there was one. */
static bool take_minus(nkv_str *text)
{
    if (text->len == 0 || text->data[0] != '-') {
        return false;
    }
    *text = nkv_str_make(text->data + 1, text->len - 1);
    return true;
}

static bool is_hash(nkv_str text, nkv_lmcache_gen gen)
{
    if (is_object(gen)) {
        return nkvi_lmcache_is_hex(text) && text.len % 2 == 0;
    }
    switch (gen) {
    case NKV_LMCACHE_K1:
        return nkvi_lmcache_is_hex(text) && text.len == DIGITS_K1;
    case NKV_LMCACHE_K2:
        (void)take_minus(&text);
        return nkvi_lmcache_is_decimal(text) && nkvi_lmcache_is_shortest(text);
    case NKV_LMCACHE_K3:
    case NKV_LMCACHE_K4:
    case NKV_LMCACHE_K5:
        (void)take_minus(&text);
        return nkvi_lmcache_is_hex(text);
    default:
        return false;
    }
}

nkv_status nkvi_lmcache_check_hash(nkv_str text, nkv_lmcache_gen gen, nkv_error *error)
{
    return is_hash(text, gen) ? NKV_OK : bad_hash(gen, error);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Can keys of `gen` hold this hash? */
static bool has_text(const nkv_lmcache_hash *hash, nkv_lmcache_gen gen)
{
    if (hash->kind == NKV_LMCACHE_HASH_BYTES) {
        return hash->bytes_len >= 1 && hash->bytes_len <= NKV_LMCACHE_HASH_MAX &&
               gen != NKV_LMCACHE_K2 && (gen != NKV_LMCACHE_K1 || hash->bytes_len == DIGITS_K1 / 2);
    }
    if (hash->kind != NKV_LMCACHE_HASH_INT || gen == NKV_LMCACHE_K1) {
        return false;
    }
    uint64_t most = (UINT64_C(1) << 63) - (hash->negative != 0 ? 0 : 1);
    return !is_object(gen) || hash->number <= most;
}

static void put_digest(nkvi_lmcache_out *out, const nkv_lmcache_hash *hash)
{
    for (size_t i = 0; i < hash->bytes_len; i++) {
        nkvi_lmcache_put_number(out, hash->bytes[i], 16, 2);
    }
}

static void put_int(nkvi_lmcache_out *out, const nkv_lmcache_hash *hash, nkv_lmcache_gen gen)
{
    bool negative = hash->negative != 0 && hash->number != 0;

    if (is_object(gen)) {
        nkvi_lmcache_put_number(out, negative ? 0 - hash->number : hash->number, 16, DIGITS_INT);
        return;
    }
    if (negative) {
        nkvi_lmcache_put_char(out, '-');
    }
    nkvi_lmcache_put_number(out, hash->number, gen == NKV_LMCACHE_K2 ? 10 : 16, 0);
}

nkv_status nkv_lmcache_hash_text(const nkv_lmcache_hash *hash, nkv_lmcache_gen gen, char *buf,
                                 size_t cap, size_t *len, nkv_error *error)
{
    nkvi_lmcache_out out = nkvi_lmcache_out_to(buf, cap);

    *len = 0;
    if (nkvi_lmcache_generation_of(gen) == NULL && !is_object(gen)) {
        return bad_hash(gen, error);
    }
    if (!has_text(hash, gen)) {
        return nkvi_fail(error, NKV_EINVAL, "hash: allowed is %s",
                         gen == NKV_LMCACHE_K1   ? "a digest of 32 bytes in K1"
                         : gen == NKV_LMCACHE_K2 ? "a number in K2"
                         : is_object(gen) ? "a digest of 1 to 32 bytes, or a number of 64 bits "
                                            "with sign, in object keys"
                                          : "a number, or a digest of 1 to 32 bytes");
    }
    if (hash->kind == NKV_LMCACHE_HASH_BYTES) {
        put_digest(&out, hash);
    } else {
        put_int(&out, hash, gen);
    }
    return nkvi_lmcache_out_end(&out, "hash", len, error);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* `text` is of hexadecimal digits, an even number of them; false if there are too many. */
static bool read_digest(nkv_str text, nkv_lmcache_hash *out)
{
    if (text.len > NKV_LMCACHE_HASH_TEXT_MAX) {
        return false;
    }
    out->kind = NKV_LMCACHE_HASH_BYTES;
    out->bytes_len = text.len / 2;
    for (size_t i = 0; i < out->bytes_len; i++) {
        uint64_t byte = 0;
        (void)nkvi_lmcache_read(nkv_str_make(text.data + 2 * i, 2), 16, &byte);
        out->bytes[i] = (uint8_t)byte;
    }
    return true;
}

/* A number; false if it would not be printed so. */
static bool read_int(nkv_str text, unsigned base, nkv_lmcache_hash *out)
{
    out->negative = take_minus(&text) ? 1 : 0;
    return nkvi_lmcache_is_shortest(text) && nkvi_lmcache_read(text, base, &out->number) &&
           (out->number > 0 || out->negative == 0);
}

static bool read_hash(nkv_str text, nkv_lmcache_gen gen, nkv_lmcache_hash *out)
{
    if (gen == NKV_LMCACHE_K2) {
        return read_int(text, 10, out);
    }
    if (gen == NKV_LMCACHE_K1 || is_object(gen)) {
        return read_digest(text, out);
    }
    if (read_int(text, 16, out)) {
        return true;
    }
    *out = nkv_lmcache_hash_uint(0);
    return text.data[0] != '-' && text.len % 2 == 0 && read_digest(text, out);
}

nkv_status nkv_lmcache_hash_parse(nkv_str text, nkv_lmcache_gen gen, nkv_lmcache_hash *out,
                                  nkv_error *error)
{
    *out = nkv_lmcache_hash_uint(0);
    nkv_status status = nkvi_lmcache_check_hash(text, gen, error);
    if (status == NKV_OK && !read_hash(text, gen, out)) {
        *out = nkv_lmcache_hash_uint(0);
        status = nkvi_fail(error, NKV_EINVAL,
                           "hash: allowed is a number of 64 bits as Python prints it, or a digest "
                           "of 1 to 32 bytes");
    }
    return status;
}
