/* tests/fuzz/fuzz_meta_text.c - any text of --meta is metadata or an error with a text.
 *
 * Promises  What was read comes out as a text that is read as the same again.
 *           What fits a size is metadata that the library packs, and reads again.
 *           A refused text has a reason of one line.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/meta_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void comes_again(const nkv_lmcache_meta *meta)
{
    nkv_lmcache_meta again;
    nkvi_out first = {0}, second = {0}, error = {0};

    nkvi_meta_text(&first, meta);
    nkvi_out_add(&first, "", 1);
    require(nkvi_meta_parse(first.data, &again, &error));
    nkvi_meta_text(&second, &again);
    nkvi_out_add(&second, "", 1);
    require(strcmp(first.data, second.data) == 0);
    nkvi_out_clear(&first);
    nkvi_out_clear(&second);
}

static void fits_or_says_why(nkv_lmcache_meta meta, uint64_t size)
{
    char packed[NKV_LMCACHE_META_MAX];
    nkv_lmcache_meta read;
    nkvi_out error = {0};
    size_t len;

    if (!nkvi_meta_fit(&meta, size, NKV_LMCACHE_PAD_ZEROS, &error)) {
        require(error.len > 0);
        require(memchr(error.data, '\n', error.len) == NULL);
        nkvi_out_clear(&error);
        return;
    }
    require(nkv_lmcache_meta_pack(&meta, NKV_LMCACHE_PAD_ZEROS, packed, sizeof packed, &len,
                                  NULL) == NKV_OK);
    require(nkv_lmcache_meta_unpack(nkv_str_make(packed, len), 0, &read, NULL) == NKV_OK);
    require(read.length == (int64_t)size && read.groups_len == meta.groups_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkv_lmcache_meta meta;
    nkvi_out error = {0};
    char *text = malloc(size + 1);

    require(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (nkvi_meta_parse(text, &meta, &error)) {
        require(error.len == 0);
        if (meta.groups_len > 0) {
            comes_again(&meta);
        }
        fits_or_says_why(meta, size);
        fits_or_says_why(meta, 4);
        fits_or_says_why(meta, 33554432);
    } else {
        require(error.len > 0);
        require(memchr(error.data, '\n', error.len) == NULL);
    }
    nkvi_out_clear(&error);
    free(text);
    return 0;
}
