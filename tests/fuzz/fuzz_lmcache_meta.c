/* tests/fuzz/fuzz_lmcache_meta.c - any bytes as metadata.
 *
 * The first byte says how many groups are expected (0 to 19).  What is accepted keeps the promises
 * of lmcache_meta.h, and packed again gives the bytes it came from, but for a dtype 1, which
 * becomes 2. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <nearkv/lmcache_meta.h>

#include "support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(const nkv_lmcache_meta *meta, nkv_status status, const nkv_error *error)
{
    static const nkv_lmcache_meta empty;
    T_REQUIRE(status == NKV_EINVAL && error->status == status);
    T_REQUIRE(strncmp(error->text, "metadata: ", 10) == 0);
    T_REQUIRE(strlen(error->text) < sizeof error->text - 1);
    T_REQUIRE(meta->length == empty.length && meta->groups_len == 0);
}

static void check_again(const nkv_lmcache_meta *meta, const uint8_t *data)
{
    uint8_t again[NKV_LMCACHE_META_MAX];
    size_t len;

    T_REQUIRE(nkv_lmcache_meta_pack(meta, NKV_LMCACHE_PAD_ZEROS, again, sizeof again, &len, NULL) ==
              NKV_OK);
    T_REQUIRE(len == NKV_LMCACHE_META_SIZE(meta->groups_len));
    for (size_t i = 0; i < len; i++) {
        bool dtype = i >= 8 && (i - 8) % 20 == 0;
        T_REQUIRE(again[i] == data[i] || (dtype && again[i] == 2 && data[i] == 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkv_lmcache_meta meta;
    nkv_error error = {NKV_OK, 0, ""};

    if (size == 0) {
        return 0;
    }
    uint32_t groups = data[0] % 20;
    nkv_str bytes = nkv_str_make(data + 1, size - 1);
    nkv_status status = nkv_lmcache_meta_unpack(bytes, groups, &meta, &error);
    if (status != NKV_OK) {
        check_refused(&meta, status, &error);
        return 0;
    }
    T_REQUIRE(meta.length >= 1 && meta.length <= NKV_LMCACHE_PAYLOAD_MAX);
    T_REQUIRE(meta.groups_len >= 1 && meta.groups_len <= NKV_LMCACHE_GROUPS_MAX);
    T_REQUIRE(groups == 0 || meta.groups_len == groups);
    T_REQUIRE(NKV_LMCACHE_META_SIZE(meta.groups_len) <= bytes.len);
    check_again(&meta, data + 1);
    return 0;
}
