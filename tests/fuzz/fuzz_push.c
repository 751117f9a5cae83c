/* tests/fuzz/fuzz_push.c - any bytes as a push: what is decoded lies within the reply, and what
 * looks like an invalidation is never passed over.
 *
 * Every reply of the stream is decoded, whatever its type. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "io/reader.h"
#include "support/check.h"
#include "tracking/push.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte of every key, for the sanitizers to see. */
static unsigned touched;

static void check(const nkv_reply *reply)
{
    nkvi_push push = nkvi_push_decode(reply);
    for (size_t i = 0; push.kind == NKVI_PUSH_KEYS && i < push.n; i++) {
        nkv_str key = nkvi_push_key(&push, i);
        for (size_t j = 0; j < key.len; j++) {
            touched += (unsigned char)key.data[j];
        }
    }
    bool first_is_text = reply->type == NKV_TYPE_PUSH && reply->elements > 0 &&
                         reply->element[0].type == NKV_TYPE_STRING;
    if (first_is_text && strcmp(reply->element[0].str, "invalidate") == 0 &&
        reply->element[0].len == 10) {
        T_REQUIRE(push.kind == NKVI_PUSH_KEYS || push.kind == NKVI_PUSH_FLUSH);
    }
    T_REQUIRE(!push.malformed || push.kind == NKVI_PUSH_FLUSH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkvi_reader reader;
    nkvi_draft draft;
    nkvi_reader_init(&reader, 1 << 20, NULL);
    while (size > 0) {
        char *room;
        size_t n;
        T_REQUIRE(nkvi_reader_space(&reader, &room, &n));
        n = size < n ? size : n;
        memcpy(room, data, n);
        nkvi_reader_fed(&reader, n);
        data += n;
        size -= n;
        while (nkvi_reader_next(&reader, &draft, NULL) == NKV_OK) {
            check(&draft.root);
            nkvi_draft_clear(&draft);
        }
    }
    nkvi_reader_clear(&reader);
    return 0;
}
