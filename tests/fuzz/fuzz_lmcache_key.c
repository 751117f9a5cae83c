/* tests/fuzz/fuzz_lmcache_key.c - any bytes as a cache key, an object key, a hash and a name.
 *
 * The first byte picks one: 0 a name; 1 to 5 the cache keys K1 to K5; 6 and 7 the object keys, with
 * the prefix "p" if bit 3 is set.  What is accepted is built again to the same bytes; what is
 * refused has a text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/lmcache.h>

#include "support/check.h"

#define TAGS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(nkv_status status, const nkv_error *error)
{
    T_REQUIRE(status == NKV_EINVAL || status == NKV_ENOMEM);
    T_REQUIRE(error->status == status);
    T_REQUIRE(error->text[0] != '\0' && strlen(error->text) < sizeof error->text - 1);
}

static void check_same(const char *buf, size_t len, nkv_str text)
{
    T_REQUIRE(len == text.len && memcmp(buf, text.data, len) == 0);
}

static void check_hash(nkv_str text, nkv_lmcache_gen gen)
{
    char buf[NKV_LMCACHE_HASH_TEXT_MAX];
    nkv_lmcache_hash hash;
    nkv_error error = {NKV_OK, 0, ""};
    size_t len;
    nkv_status status = nkv_lmcache_hash_parse(text, gen, &hash, &error);

    if (status != NKV_OK) {
        check_refused(status, &error);
        return;
    }
    T_REQUIRE(nkv_lmcache_hash_text(&hash, gen, buf, sizeof buf, &len, NULL) == NKV_OK);
    check_same(buf, len, text);
}

static void check_key(nkv_str text, nkv_lmcache_gen gen, char *buf)
{
    nkv_lmcache_tag tags[TAGS_MAX];
    nkv_lmcache_key key;
    nkv_error error = {NKV_OK, 0, ""};
    size_t len;
    nkv_status status = nkv_lmcache_key_parse(text, gen, tags, TAGS_MAX, &key, &error);

    if (status != NKV_OK) {
        check_refused(status, &error);
        T_REQUIRE(key.model.data == NULL && key.tags_len == 0);
        return;
    }
    T_REQUIRE(key.tags_len <= TAGS_MAX);
    T_REQUIRE(nkv_lmcache_key_build(&key, buf, text.len, &len, NULL) == NKV_OK);
    check_same(buf, len, text);
    check_hash(key.hash, gen);
}

static void check_object_key(nkv_str text, nkv_lmcache_gen gen, nkv_str prefix, char *buf)
{
    nkv_lmcache_object_key key;
    nkv_error error = {NKV_OK, 0, ""};
    size_t len;
    nkv_status status = nkv_lmcache_object_key_parse(text, gen, prefix, &key, &error);

    if (status != NKV_OK) {
        check_refused(status, &error);
        T_REQUIRE(key.model.data == NULL);
        return;
    }
    T_REQUIRE(nkv_lmcache_object_key_build(&key, buf, text.len, &len, NULL) == NKV_OK);
    check_same(buf, len, text);
    check_hash(key.hash, gen);
}

static void check_name(nkv_str text, nkv_lmcache_layout layout, char *buf)
{
    nkv_lmcache_name name;
    nkv_error error = {NKV_OK, 0, ""};
    size_t len;
    nkv_status status = nkv_lmcache_name_parse(text, layout, &name, &error);

    if (status != NKV_OK) {
        check_refused(status, &error);
        return;
    }
    T_REQUIRE(name.key.len > 0 && name.key.len + NKV_LMCACHE_NAME_MORE >= text.len);
    T_REQUIRE(nkv_lmcache_name_build(&name, buf, text.len, &len, NULL) == NKV_OK);
    check_same(buf, len, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    int gen = data[0] & 7;
    nkv_str text = nkv_str_make(data + 1, size - 1);
    char *buf = malloc(text.len > 0 ? text.len : 1); /* exactly, so that an overrun is seen */
    T_REQUIRE(buf != NULL);

    if (gen == 0) {
        for (int layout = NKV_LMCACHE_PLAIN_SUFFIX; layout <= NKV_LMCACHE_SINGLE_KEY; layout++) {
            check_name(text, (nkv_lmcache_layout)layout, buf);
        }
    } else if (gen < NKV_LMCACHE_OBJECT) {
        check_key(text, (nkv_lmcache_gen)gen, buf);
    } else {
        nkv_str prefix = nkv_cstr((data[0] & 8) != 0 ? "p" : "");
        check_object_key(text, (nkv_lmcache_gen)gen, prefix, buf);
    }
    if (gen != 0) {
        check_hash(text, (nkv_lmcache_gen)gen);
    }
    free(buf);
    return 0;
}
