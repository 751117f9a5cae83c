/* conn/hash_slot.c - see hash_slot.h.
 *
 * A CRC is linear: that of several bytes is the XOR of what each of them does to it alone.  So
 * eight bytes are looked up at once, each in a table that knows how many bytes follow it:
 *
 *      crc ^ b0 b1 b2 b3 b4 b5 b6 b7  -->  BYTE7[b0] ^ BYTE6[b1] ^ … ^ BYTE0[b7]
 *
 * It is linear in the bits of a byte too, so a table is written down as what its eight bits do:
 * x^16, x^17, … modulo the polynomial, each one step from the one before, which the compiler
 * takes. */
#include "conn/hash_slot.h"

#include <string.h>

/* ---- The tables ------------------------------------------------------------------------------ */

#define POLYNOMIAL 0x1021

/* c × x modulo the polynomial. */
#define STEP(c) ((((c) << 1) & 0xFFFF) ^ (((c)&0x8000) != 0 ? POLYNOMIAL : 0))

#define BITS(byte, before)                                                           \
    byte##_0 = STEP(before), byte##_1 = STEP(byte##_0), byte##_2 = STEP(byte##_1),   \
    byte##_3 = STEP(byte##_2), byte##_4 = STEP(byte##_3), byte##_5 = STEP(byte##_4), \
    byte##_6 = STEP(byte##_5), byte##_7 = STEP(byte##_6)

/* BYTEn_i: what bit i of a byte does to the CRC when n bytes follow. */
enum bits {
    X15 = 0x8000,
    BITS(BYTE0, X15),
    BITS(BYTE1, BYTE0_7),
    BITS(BYTE2, BYTE1_7),
    BITS(BYTE3, BYTE2_7),
    BITS(BYTE4, BYTE3_7),
    BITS(BYTE5, BYTE4_7),
    BITS(BYTE6, BYTE5_7),
    BITS(BYTE7, BYTE6_7)
};

#define BIT(byte, b, i) ((((b) >> (i)) & 1) * byte##_##i)
#define OF(byte, b)                                                                           \
    BIT(byte, b, 0) ^ BIT(byte, b, 1) ^ BIT(byte, b, 2) ^ BIT(byte, b, 3) ^ BIT(byte, b, 4) ^ \
        BIT(byte, b, 5) ^ BIT(byte, b, 6) ^ BIT(byte, b, 7)
#define OF_4(byte, b)  OF(byte, b), OF(byte, (b) + 1), OF(byte, (b) + 2), OF(byte, (b) + 3)
#define OF_16(byte, b) OF_4(byte, b), OF_4(byte, (b) + 4), OF_4(byte, (b) + 8), OF_4(byte, (b) + 12)
#define OF_64(byte, b) \
    OF_16(byte, b), OF_16(byte, (b) + 16), OF_16(byte, (b) + 32), OF_16(byte, (b) + 48)
#define OF_256(byte) OF_64(byte, 0), OF_64(byte, 64), OF_64(byte, 128), OF_64(byte, 192)

/* table[n][b]: what the byte b does to the CRC when n bytes follow. */
static const uint16_t table[8][256] = {
    {OF_256(BYTE0)}, {OF_256(BYTE1)}, {OF_256(BYTE2)}, {OF_256(BYTE3)},
    {OF_256(BYTE4)}, {OF_256(BYTE5)}, {OF_256(BYTE6)}, {OF_256(BYTE7)},
};

/* ---- The hash -------------------------------------------------------------------------------- */

/* Four bytes, the CRC before them being mixed into the first two, when `behind` bytes follow. */
static unsigned four(unsigned crc, const unsigned char *p, unsigned behind)
{
    return (unsigned)table[behind + 3][p[0] ^ (crc >> 8)] ^ table[behind + 2][p[1] ^ (crc & 0xFF)] ^
           table[behind + 1][p[2]] ^ table[behind][p[3]];
}

static unsigned crc16(nkv_str text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    size_t left = text.len;
    unsigned crc = 0;

    for (; left >= 8; left -= 8, p += 8) {
        crc = four(crc, p, 4) ^ four(0, p + 4, 0);
    }
    if (left >= 4) {
        crc = four(crc, p, 0);
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++) {
        crc = ((crc << 8) & 0xFFFF) ^ table[0][(crc >> 8) ^ *p];
    }
    return crc;
}

/* What is hashed of a key. */
static nkv_str hashed_part(nkv_str key)
{
    const char *open = key.len > 0 ? memchr(key.data, '{', key.len) : NULL;
    if (open == NULL) {
        return key;
    }
    const char *tag = open + 1;
    const char *close = memchr(tag, '}', (size_t)(key.data + key.len - tag));
    return close == NULL || close == tag ? key : nkv_str_make(tag, (size_t)(close - tag));
}

uint16_t nkvi_hash_slot(nkv_str key)
{
    return (uint16_t)(crc16(hashed_part(key)) % NKVI_HASH_SLOTS);
}
