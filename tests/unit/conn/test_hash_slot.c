/* tests/unit/conn/test_hash_slot.c - slots as the specification and real servers tell them. */
#include "conn/hash_slot.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static unsigned slot_of(const char *key)
{
    return nkvi_hash_slot(nkv_cstr(key));
}

/* The definition, bit by bit. */
static unsigned plain_crc16(const unsigned char *data, size_t len)
{
    unsigned crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)data[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0)) & 0xFFFF;
        }
    }
    return crc;
}

/* The check value of CRC16/XMODEM. */
Test(conn_hash_slot, is_that_of_the_specification)
{
    cr_assert_eq(plain_crc16((const unsigned char *)"123456789", 9), 0x31C3);
    cr_assert_eq(slot_of("123456789"), 0x31C3 % NKVI_HASH_SLOTS);
    cr_assert_eq(slot_of("foo"), 12182);
    cr_assert_eq(slot_of("bar"), 5061);
    cr_assert_eq(slot_of("hello"), 866);
    cr_assert_eq(slot_of(""), 0);
    cr_assert_eq(nkvi_hash_slot(nkv_str_make(NULL, 0)), 0);
}

Test(conn_hash_slot, hashes_only_the_tag)
{
    cr_assert_eq(slot_of("{user1000}.following"), slot_of("user1000"));
    cr_assert_eq(slot_of("{user1000}.followers"), slot_of("user1000"));
    cr_assert_eq(slot_of("foo{bar}{zap}"), slot_of("bar"));
    cr_assert_eq(slot_of("foo{bar}zap}"), slot_of("bar"));
    cr_assert_eq(slot_of("}foo{bar}"), slot_of("bar"));
    cr_assert_eq(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    cr_assert_eq(slot_of("{{}"), slot_of("{"));
    cr_assert_eq(slot_of("{}}"), plain_crc16((const unsigned char *)"{}}", 3) % NKVI_HASH_SLOTS);
}

static void assert_whole(const char *key)
{
    size_t len = strlen(key);
    cr_assert_eq(slot_of(key), plain_crc16((const unsigned char *)key, len) % NKVI_HASH_SLOTS, "%s",
                 key);
}

Test(conn_hash_slot, without_a_tag_hashes_all_of_it)
{
    static const char *const keys[] = {"{}x",  "foo{}{bar}", "foo{bar", "foo}bar{",
                                       "{",    "}",          "{}",      "}{",
                                       "foo{", "foo{}",      "foo}bar", "{}{bar}"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_whole(keys[i]);
    }
}

Test(conn_hash_slot, takes_any_bytes)
{
    static const unsigned char tagged[] = {0, 0xFF, '{', 0, 0x80, '}', '}', 0};
    cr_assert_eq(nkvi_hash_slot(nkv_str_make(tagged, sizeof tagged)),
                 plain_crc16(tagged + 3, 2) % NKVI_HASH_SLOTS);
    /* What stands behind the key is not looked at. */
    cr_assert_eq(nkvi_hash_slot(nkv_str_make("a{b}", 3)),
                 plain_crc16((const unsigned char *)"a{b", 3) % NKVI_HASH_SLOTS);
    cr_assert_eq(nkvi_hash_slot(nkv_str_make("a{b}", 2)),
                 plain_crc16((const unsigned char *)"a{", 2) % NKVI_HASH_SLOTS);
}

/* What CLUSTER KEYSLOT of a real server said. */
Test(conn_hash_slot, is_that_of_servers)
{
#define K "meta-llama/Llama-3.1-8B-Instruct@1@0@2783dafec0011aa@bfloat16"
    static const struct {
        const char *key;
        unsigned slot;
    } said[] = {
        {K, 7710},
        {K "metadata", 15716},
        {K "kv_bytes", 685},
        {K ":metadata", 439},
        {K ":kv_bytes", 15998},
        {"{" K "}:metadata", 7710},
        {"{" K "}:kv_bytes", 7710},
        {"a{b}c@1@0@ff@halfmetadata", 3300},
        {"a{b}c@1@0@ff@halfkv_bytes", 3300},
        {"{a{b}c@1@0@ff@half}:kv_bytes", 13340},
        {"{a{b}c@1@0@ff@half}:metadata", 13340},
        {"{}x@1@0@ff@halfkv_bytes", 3609},
        {"mneme:meta", 10980},
        {"mneme:next_id", 1621},
        {"{mneme}:hash:{x}:abc", 12992},
        {"p{}:x", 3700},
        {"p{}:y", 7765},
    };
#undef K
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        cr_assert_eq(slot_of(said[i].key), said[i].slot, "%s", said[i].key);
    }
}

/* Every length has its own way through the loops; every byte its own entry of the tables. */
Test(conn_hash_slot, is_the_definition_at_every_length)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (size_t len = 0; len < 300; len++) {
        unsigned char *key = malloc(len + 1);
        for (int round = 0; round < 40; round++) {
            t_rng_fill(&rng, key, len);
            for (size_t i = 0; i < len; i++) {
                key[i] = key[i] == '{' ? '}' : key[i];
            }
            cr_assert_eq(nkvi_hash_slot(nkv_str_make(key, len)),
                         plain_crc16(key, len) % NKVI_HASH_SLOTS, "%zu bytes", len);
        }
        free(key);
    }
}

Test(conn_hash_slot, is_the_definition_for_every_byte_at_every_place)
{
    unsigned char key[16] = {0};
    for (size_t at = 0; at < sizeof key; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            key[at] = (unsigned char)byte;
            cr_assert_eq(nkvi_hash_slot(nkv_str_make(key, sizeof key)),
                         plain_crc16(key, sizeof key) % NKVI_HASH_SLOTS, "%u at %zu", byte, at);
        }
        key[at] = 0;
    }
}
