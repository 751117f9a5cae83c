/* tests/fuzz/fuzz_kv.c - any bytes as a stored value (a pickle, a compressed value) and as what a
 * node says of itself.
 *
 * A pickle that is read is one that can be written again and read as the same.  Any value comes
 * back from packing as it was. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kv/coverage.h"
#include "kv/pack.h"
#include "support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_pickle(nkv_str bytes)
{
    nkv_scalar scalar, again;
    nkv_value *written;
    nkv_error error;
    nkv_status status = nkv_pickle_read(bytes, &scalar, &error);
    T_REQUIRE(status == NKV_OK || status == NKV_EDECODE);
    if (status != NKV_OK) {
        return;
    }
    T_REQUIRE(scalar.str.len <= bytes.len);
    status = nkv_pickle_write(&scalar, &written, &error);
    T_REQUIRE(status == NKV_OK || (status == NKV_EINVAL && scalar.type == NKV_SCALAR_TEXT));
    if (status == NKV_OK) {
        T_REQUIRE(nkv_pickle_read(nkv_value_str(written), &again, &error) == NKV_OK);
        T_REQUIRE(again.type == scalar.type && again.integer == scalar.integer &&
                  memcmp(&again.real, &scalar.real, sizeof again.real) == 0 &&
                  again.str.len == scalar.str.len);
        nkv_value_release(written);
    }
}

static void as_packed(nkv_str bytes)
{
    nkv_value *value;
    nkv_error error;
    nkv_status status = nkvi_decompress(bytes, &value, &error);
    T_REQUIRE(status == NKV_OK ||
              ((status == NKV_EDECODE || status == NKV_ENOMEM) && value == NULL));
    nkv_value_release(value);
    T_REQUIRE(nkvi_compress(bytes, 16, 1, &value, &error) == NKV_OK);
    if (value != NULL) {
        nkv_value *back;
        T_REQUIRE(nkvi_decompress(nkv_value_str(value), &back, &error) == NKV_OK && back != NULL);
        T_REQUIRE(nkv_value_str(back).len == bytes.len &&
                  memcmp(nkv_value_str(back).data, bytes.data, bytes.len) == 0);
        nkv_value_release(back);
        nkv_value_release(value);
    }
}

static void as_word(nkv_str bytes)
{
    nkvi_node_word word;
    nkvi_coverage coverage;
    char id[NKVI_KV_ID_MAX];
    nkvi_run_id_parse(bytes, id);
    T_REQUIRE(strlen(id) < sizeof id);
    if (nkvi_node_word_parse(bytes, &word)) {
        nkvi_coverage_begin(&coverage, -1);
        unsigned before = nkvi_coverage_left(&coverage);
        nkvi_coverage_scanned(&coverage, &coverage.waiting, &word, &word);
        T_REQUIRE(nkvi_coverage_left(&coverage) <= before);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkv_str bytes = nkv_str_make(data, size);
    as_pickle(bytes);
    as_packed(bytes);
    as_word(bytes);
    return 0;
}
