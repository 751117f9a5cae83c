/* tests/unit/lmcache/test_hash.c - hashes as Python prints them: f"{h:x}", str(h), bytes.hex(). */
#include "unit/lmcache/hex.h"

#define DIGEST "6c87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b" /* of "chunk" */
#define ZEROES "00000000000000000000000000000000000000000000000000000000000000ff"

typedef struct row {
    nkv_lmcache_gen gen;
    const char *digest; /* hexadecimal; NULL: a number */
    int negative;
    uint64_t number;
    const char *text;
} row;

static const row rows[] = {
    {NKV_LMCACHE_K1, DIGEST, 0, 0, DIGEST},
    {NKV_LMCACHE_K1, ZEROES, 0, 0, ZEROES},
    {NKV_LMCACHE_K2, NULL, 0, 0, "0"},
    {NKV_LMCACHE_K2, NULL, 0, 177960011069133226, "177960011069133226"},
    {NKV_LMCACHE_K2, NULL, 1, 177960011069133226, "-177960011069133226"},
    {NKV_LMCACHE_K2, NULL, 0, UINT64_MAX, "18446744073709551615"},
    {NKV_LMCACHE_K2, NULL, 1, UINT64_C(1) << 63, "-9223372036854775808"},
    {NKV_LMCACHE_K3, NULL, 0, 0, "0"},
    {NKV_LMCACHE_K3, NULL, 0, 0x2783dafec0011aa, "2783dafec0011aa"},
    {NKV_LMCACHE_K4, NULL, 1, 0x2783dafec0011aa, "-2783dafec0011aa"},
    {NKV_LMCACHE_K5, NULL, 0, UINT64_MAX, "ffffffffffffffff"},
    {NKV_LMCACHE_K5, NULL, 1, UINT64_C(1) << 63, "-8000000000000000"},
    {NKV_LMCACHE_K5, DIGEST, 0, 0, DIGEST},
    {NKV_LMCACHE_K3, ZEROES, 0, 0, ZEROES},
    {NKV_LMCACHE_K5, "0fc58acb88244190", 0, 0, "0fc58acb88244190"},
    {NKV_LMCACHE_K5, "ffc58acb88244190ff", 0, 0, "ffc58acb88244190ff"},
    {NKV_LMCACHE_K5, "00", 0, 0, "00"},
    {NKV_LMCACHE_OBJECT, DIGEST, 0, 0, DIGEST},
    {NKV_LMCACHE_OBJECT_OLD, DIGEST, 0, 0, DIGEST},
    {NKV_LMCACHE_OBJECT, "7f", 0, 0, "7f"},
};
#define ROWS (sizeof rows / sizeof rows[0])

static nkv_lmcache_hash hash_of(const row *r)
{
    unsigned char digest[NKV_LMCACHE_HASH_MAX];
    if (r->digest != NULL) {
        return nkv_lmcache_hash_bytes(digest, t_unhex(r->digest, digest, sizeof digest));
    }
    nkv_lmcache_hash hash = nkv_lmcache_hash_uint(r->number);
    hash.negative = r->negative;
    return hash;
}

static void assert_text(const nkv_lmcache_hash *hash, nkv_lmcache_gen gen, const char *want)
{
    char text[NKV_LMCACHE_HASH_TEXT_MAX];
    size_t len;
    nkv_error error = {NKV_OK, 0, ""};

    cr_assert_eq(nkv_lmcache_hash_text(hash, gen, text, sizeof text, &len, &error), NKV_OK,
                 "%s: %s", want, error.text);
    cr_assert_eq(len, strlen(want));
    cr_assert_eq(memcmp(text, want, len), 0, "%.*s is not %s", (int)len, text, want);
}

Test(lmcache_hash, texts_are_pythons_there_and_back)
{
    for (size_t i = 0; i < ROWS; i++) {
        nkv_lmcache_hash want = hash_of(&rows[i]), got;
        assert_text(&want, rows[i].gen, rows[i].text);
        cr_assert_eq(nkv_lmcache_hash_parse(nkv_cstr(rows[i].text), rows[i].gen, &got, NULL),
                     NKV_OK, "%s", rows[i].text);
        cr_assert_eq(got.kind, want.kind, "%s", rows[i].text);
        cr_assert_eq(got.negative, want.negative);
        cr_assert_eq(got.number, want.number);
        cr_assert_eq(got.bytes_len, want.bytes_len);
        cr_assert_eq(memcmp(got.bytes, want.bytes, sizeof got.bytes), 0);
    }
}

Test(lmcache_hash, numbers_of_every_size_become_hashes)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_int(INT64_MIN);
    assert_text(&hash, NKV_LMCACHE_K5, "-8000000000000000");
    hash = nkv_lmcache_hash_int(-1);
    assert_text(&hash, NKV_LMCACHE_K5, "-1");
    hash = nkv_lmcache_hash_int(INT64_MAX);
    assert_text(&hash, NKV_LMCACHE_K5, "7fffffffffffffff");
    hash = nkv_lmcache_hash_int(0);
    assert_text(&hash, NKV_LMCACHE_K5, "0");
    hash.negative = 1; /* there is no -0 */
    assert_text(&hash, NKV_LMCACHE_K5, "0");
    assert_text(&hash, NKV_LMCACHE_OBJECT, "0000000000000000");
}

/* int.to_bytes(8, "big", signed=True).hex() */
Test(lmcache_hash, object_keys_have_numbers_as_eight_bytes)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_int(-0x33f9bce42327706c);
    assert_text(&hash, NKV_LMCACHE_OBJECT, "cc06431bdcd88f94");
    hash = nkv_lmcache_hash_int(255);
    assert_text(&hash, NKV_LMCACHE_OBJECT_OLD, "00000000000000ff");
    hash = nkv_lmcache_hash_int(INT64_MIN);
    assert_text(&hash, NKV_LMCACHE_OBJECT, "8000000000000000");
    hash = nkv_lmcache_hash_int(INT64_MAX);
    assert_text(&hash, NKV_LMCACHE_OBJECT, "7fffffffffffffff");
}

static void refuses_text(nkv_lmcache_hash hash, nkv_lmcache_gen gen, const char *text)
{
    char buf[NKV_LMCACHE_HASH_TEXT_MAX];
    size_t len = 9;
    nkv_error error = {NKV_OK, 0, ""};

    t_refused(nkv_lmcache_hash_text(&hash, gen, buf, sizeof buf, &len, &error), NKV_EINVAL, &error,
              text);
    cr_assert_eq(len, 0);
}

Test(lmcache_hash, what_a_generation_has_no_text_for_is_refused)
{
    unsigned char digest[40] = {1};

    refuses_text(nkv_lmcache_hash_uint(7), NKV_LMCACHE_K1, "hash: allowed is a digest of 32 bytes");
    refuses_text(nkv_lmcache_hash_bytes(digest, 31), NKV_LMCACHE_K1, "hash: allowed is a digest");
    refuses_text(nkv_lmcache_hash_bytes(digest, 32), NKV_LMCACHE_K2, "hash: allowed is a number");
    refuses_text(nkv_lmcache_hash_bytes(digest, 0), NKV_LMCACHE_K5, "hash: allowed is a number, ");
    refuses_text(nkv_lmcache_hash_bytes(digest, 33), NKV_LMCACHE_K5, "hash: allowed is a number, ");
    refuses_text(nkv_lmcache_hash_uint(UINT64_C(1) << 63), NKV_LMCACHE_OBJECT,
                 "hash: allowed is a digest of 1 to 32 bytes, or a number");
    nkv_lmcache_hash hash = nkv_lmcache_hash_uint((UINT64_C(1) << 63) + 1);
    hash.negative = 1;
    refuses_text(hash, NKV_LMCACHE_OBJECT, "hash: allowed is a digest of 1 to 32 bytes, or");
    hash.kind = (nkv_lmcache_hash_kind)2;
    refuses_text(hash, NKV_LMCACHE_K5, "hash: allowed");
    refuses_text(nkv_lmcache_hash_uint(7), (nkv_lmcache_gen)0, "generation: allowed");
    refuses_text(nkv_lmcache_hash_uint(7), (nkv_lmcache_gen)8, "generation: allowed");
}

typedef struct refusal {
    nkv_lmcache_gen gen;
    const char *text, *error;
} refusal;

static const refusal refusals[] = {
    {NKV_LMCACHE_K1, "", "hash: allowed is 64 digits"},
    {NKV_LMCACHE_K1, "ff", "hash: allowed is 64 digits"},
    {NKV_LMCACHE_K1, "6C87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b",
     "hash: allowed is 64 digits"},
    {NKV_LMCACHE_K2, "", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K2, "-", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K2, "007", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K2, "+7", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K2, "7f", "hash: allowed is a decimal number"},
    {NKV_LMCACHE_K2, "18446744073709551616", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K2, "-0", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K3, "", "hash: allowed is digits 0 to 9 and a to f"},
    {NKV_LMCACHE_K4, "-", "hash: allowed is digits 0 to 9 and a to f"},
    {NKV_LMCACHE_K5, "--1", "hash: allowed is digits 0 to 9 and a to f"},
    {NKV_LMCACHE_K5, "FF", "hash: allowed is digits 0 to 9 and a to f"},
    {NKV_LMCACHE_K5, "0xff", "hash: allowed is digits 0 to 9 and a to f"},
    {NKV_LMCACHE_K5, "0ff", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K5, "-0f", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K5, "-ffffffffffffffff0", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K5, "fffffffffffffffff", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_K5, DIGEST "00", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_OBJECT, DIGEST "00", "hash: allowed is a number of 64 bits"},
    {NKV_LMCACHE_OBJECT, "", "hash: allowed is an even number of digits"},
    {NKV_LMCACHE_OBJECT, "fff", "hash: allowed is an even number of digits"},
    {NKV_LMCACHE_OBJECT, "-f", "hash: allowed is an even number of digits"},
    {(nkv_lmcache_gen)0, "ff", "generation: allowed"},
    {(nkv_lmcache_gen)-1, "ff", "generation: allowed"},
};

Test(lmcache_hash, other_texts_are_refused)
{
    static const nkv_lmcache_hash empty;

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        nkv_lmcache_hash hash;
        nkv_error error = {NKV_OK, 0, ""};
        memset(&hash, 1, sizeof hash);
        t_refused(
            nkv_lmcache_hash_parse(nkv_cstr(refusals[i].text), refusals[i].gen, &hash, &error),
            NKV_EINVAL, &error, refusals[i].error);
        cr_assert(hash.number == 0 && hash.bytes_len == 0 && hash.kind == empty.kind);
    }
}

Test(lmcache_hash, a_small_buffer_is_told_the_size)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_int(-255);
    char text[3] = "zzz";
    size_t len;
    nkv_error error;

    t_refused(nkv_lmcache_hash_text(&hash, NKV_LMCACHE_K5, text, 2, &len, &error), NKV_ENOMEM,
              &error, "hash: the buffer has 2 bytes, 3 are needed");
    cr_assert_eq(len, 3);
    cr_assert_eq(text[2], 'z');
    cr_assert_eq(nkv_lmcache_hash_text(&hash, NKV_LMCACHE_K5, NULL, 0, &len, NULL), NKV_ENOMEM);
    cr_assert_eq(nkv_lmcache_hash_text(&hash, NKV_LMCACHE_K5, text, len, &len, NULL), NKV_OK);
    cr_assert_eq(memcmp(text, "-ff", 3), 0);
}
