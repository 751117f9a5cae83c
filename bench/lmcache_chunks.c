/* bench/lmcache_chunks.c - sets of chunks for bench_lmcache; see lmcache.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lmcache.h"
#include "tests/support/check.h"

enum { KEY_MAX = 96 };

/* The texts of one chunk. */
struct b_names {
    char key[KEY_MAX], payload[KEY_MAX + 8], metadata[KEY_MAX + 8];
};

static void *must(void *block)
{
    T_REQUIRE(block != NULL);
    return block;
}

/* A chunk of bfloat16, as many as there is room for. */
static void describe(b_chunks *chunks)
{
    chunks->meta = (nkv_lmcache_meta){
        .length = (int64_t)chunks->bytes, .format = NKV_LMCACHE_KV_2LTD, .groups_len = 1};
    chunks->meta.groups[0] =
        (nkv_lmcache_group){NKV_LMCACHE_BFLOAT16, 4, {2, 1, 1, (int32_t)(chunks->bytes / 4)}};
    size_t len;
    T_REQUIRE(nkv_lmcache_meta_pack(&chunks->meta, NKV_LMCACHE_PAD_ZEROS, chunks->packed,
                                    sizeof chunks->packed, &len, NULL) == NKV_OK &&
              len == sizeof chunks->packed);
}

void b_chunks_make(b_chunks *chunks, size_t bytes, size_t n, const char *series)
{
    T_REQUIRE(bytes >= 32 && bytes % 4 == 0 && n > 0);
    *chunks = (b_chunks){.bytes = bytes, .n = n};
    describe(chunks);
    chunks->keys = must(calloc(n, sizeof *chunks->keys));
    chunks->payloads = must(calloc(n, sizeof *chunks->payloads));
    chunks->metadata = must(calloc(n, sizeof *chunks->metadata));
    chunks->items = must(calloc(n, sizeof *chunks->items));
    chunks->names = must(calloc(n, sizeof *chunks->names));
    for (size_t i = 0; i < n; i++) {
        struct b_names *names = &chunks->names[i];
        char *memory = must(malloc(bytes));
        memset(memory, (int)('a' + i % 26), bytes);
        int len = snprintf(names->key, KEY_MAX,
                           "meta-llama/Llama-3.1-8B-Instruct@1@0@%s%08zx@bfloat16", series, i);
        memcpy(names->payload, names->key, (size_t)len);
        memcpy(names->metadata, names->key, (size_t)len);
        memcpy(names->payload + len, "kv_bytes", 8);
        memcpy(names->metadata + len, "metadata", 8);
        nkv_str payload = nkv_str_make(names->payload, (size_t)len + 8);
        nkv_str metadata = nkv_str_make(names->metadata, (size_t)len + 8);
        chunks->keys[i] = nkv_str_make(names->key, (size_t)len);
        chunks->payloads[i] = (b_value){payload, memory, bytes};
        chunks->metadata[i] = (b_value){metadata, chunks->packed, sizeof chunks->packed};
        chunks->items[i].key = chunks->keys[i];
        chunks->items[i].value = nkv_str_make(memory, bytes);
        chunks->items[i].buf = memory;
        chunks->items[i].cap = bytes;
    }
    b_chunks_mark(chunks);
}

void b_chunks_free(b_chunks *chunks)
{
    for (size_t i = 0; i < chunks->n; i++) {
        free(chunks->payloads[i].memory);
    }
    free(chunks->keys);
    free(chunks->payloads);
    free(chunks->metadata);
    free(chunks->items);
    free(chunks->names);
    *chunks = (b_chunks){.n = 0};
}

/* ---- Marks: the number of the chunk at its beginning, in the middle and at its end ----------- */

static char *mark_at(const b_chunks *chunks, size_t i, unsigned mark)
{
    return chunks->payloads[i].memory + (chunks->bytes - sizeof(uint64_t)) * mark / 2;
}

static void write_marks(b_chunks *chunks, uint64_t number)
{
    for (size_t i = 0; i < chunks->n; i++) {
        uint64_t text = number == 0 ? 0 : number + i;
        for (unsigned mark = 0; mark < 3; mark++) {
            memcpy(mark_at(chunks, i, mark), &text, sizeof text);
        }
    }
}

void b_chunks_mark(b_chunks *chunks)
{
    write_marks(chunks, 1);
}

void b_chunks_blank(b_chunks *chunks)
{
    write_marks(chunks, 0);
}

void b_chunks_check(const b_chunks *chunks)
{
    for (size_t i = 0; i < chunks->n; i++) {
        for (unsigned mark = 0; mark < 3; mark++) {
            uint64_t number;
            memcpy(&number, mark_at(chunks, i, mark), sizeof number);
            if (number != i + 1) {
                T_DIE("chunk %zu of %zu bytes was not received", i, chunks->bytes);
            }
        }
    }
}
