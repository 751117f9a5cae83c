/* chunks.c - LMCache's chunks from C: tokens to keys, «how long a prefix of these do you have?»,
 * put, and get straight into memory of the program's own.
 *
 *      chunks URL
 */
#include <stdio.h>
#include <stdlib.h>

#include <nearkv/nearkv.h>

enum { CHUNKS = 3, TOKENS = 256, BYTES = 1 << 20 };

typedef struct program {
    nkv_client *client;
    nkv_lmcache *lmcache;
    nkv_str keys[CHUNKS];
    char text[CHUNKS][128];
    char *bytes;
} program;

static int fail(const char *what, const nkv_error *error)
{
    fprintf(stderr, "chunks: %s: %s\n", what, error->text);
    return 1;
}

/* The keys that LMCache v0.4 and later would make for this prompt. */
static int make_keys(program *self, nkv_error *error)
{
    nkv_lmcache_chain *chain;
    if (nkv_lmcache_chain_create(NULL, &chain, error) != NKV_OK) {
        return fail("chain", error);
    }
    for (int i = 0; i < CHUNKS; i++) {
        int64_t tokens[TOKENS];
        nkv_lmcache_hash hash;
        char digits[NKV_LMCACHE_HASH_TEXT_MAX];
        size_t len = 0;
        for (int t = 0; t < TOKENS; t++) {
            tokens[t] = i * TOKENS + t;
        }
        if (nkv_lmcache_chain_next(chain, tokens, TOKENS, &hash, error) != NKV_OK ||
            nkv_lmcache_hash_text(&hash, NKV_LMCACHE_K5, digits, sizeof digits, &len, error) !=
                NKV_OK) {
            nkv_lmcache_chain_destroy(chain);
            return fail("hash", error);
        }
        nkv_lmcache_key key = {.gen = NKV_LMCACHE_K5,
                               .model = nkv_cstr("example/model"),
                               .world_size = 1,
                               .hash = nkv_str_make(digits, len),
                               .dtype = nkv_cstr("bfloat16")};
        if (nkv_lmcache_key_build(&key, self->text[i], sizeof self->text[i], &len, error) !=
            NKV_OK) {
            nkv_lmcache_chain_destroy(chain);
            return fail("key", error);
        }
        self->keys[i] = nkv_str_make(self->text[i], len);
    }
    nkv_lmcache_chain_destroy(chain);
    return 0;
}

static int look_up(program *self, nkv_error *error)
{
    nkv_call call;
    size_t prefix;
    nkv_call_init(&call);
    if (nkv_lmcache_prefix(self->lmcache, self->keys, CHUNKS, &call, &prefix) < 0) {
        *error = call.error;
        return fail("prefix", error);
    }
    printf("%zu of %d chunks (%s)\n", prefix, CHUNKS,
           call.from == NKV_FROM_CACHE ? "from the cache" : "asked the server");
    return 0;
}

/* Stores the first two chunks: 1 MiB each, as one tensor [2, 4, 256, 256] of bfloat16. */
static int put(program *self, nkv_error *error)
{
    nkv_call call;
    nkv_item items[CHUNKS - 1] = {0};
    nkv_lmcache_meta meta = {.length = BYTES,
                             .format = NKV_LMCACHE_KV_2LTD,
                             .groups_len = 1,
                             .groups = {{NKV_LMCACHE_BFLOAT16, 4, {2, 4, TOKENS, 256}}}};
    nkv_call_init(&call);
    for (int i = 0; i < CHUNKS - 1; i++) {
        items[i].key = self->keys[i];
        items[i].value = nkv_str_make(self->bytes, BYTES);
        items[i].meta = &meta;
    }
    if (nkv_lmcache_put(self->lmcache, items, CHUNKS - 1, &call) < 0) {
        *error = call.error;
        return fail("put", error);
    }
    return 0;
}

static int get(program *self, nkv_error *error)
{
    nkv_call call;
    nkv_lmcache_meta meta = {0};
    nkv_item items[CHUNKS] = {0};
    size_t prefix;
    nkv_call_init(&call);
    for (int i = 0; i < CHUNKS; i++) {
        items[i].key = self->keys[i];
    }
    items[0].buf = self->bytes; /* the others come as values of the library's */
    items[0].cap = BYTES;
    items[0].meta = &meta;
    if (nkv_lmcache_get_prefix(self->lmcache, items, CHUNKS, &call, &prefix) < 0) {
        *error = call.error;
        return fail("get", error);
    }
    printf("got %zu, the first of %zu bytes, %d layers\n", prefix, items[0].len,
           (int)meta.groups[0].shape[1]);
    for (int i = 0; i < CHUNKS; i++) {
        nkv_value_release(items[i].held);
    }
    return 0;
}

static int run(program *self, nkv_error *error)
{
    return make_keys(self, error) || look_up(self, error) || put(self, error) ||
           look_up(self, error) || get(self, error);
}

int main(int argc, char **argv)
{
    nkv_error error;
    nkv_options options;
    program self = {.bytes = calloc(1, BYTES)};
    nkv_options_init(&options);
    options.url = argc > 1 ? argv[1] : NULL;
    if (argc != 2 || self.bytes == NULL) {
        fprintf(stderr, "usage: chunks URL\n");
        free(self.bytes);
        return 2;
    }
    int status = 1;
    if (nkv_client_create(&options, &self.client, &error) != NKV_OK) {
        (void)fail("client", &error);
    } else if (nkv_client_wait_ready(self.client, 5000, &error) < 0) {
        (void)fail("server", &error);
    } else if (nkv_lmcache_create(self.client, NULL, &self.lmcache, &error) != NKV_OK) {
        (void)fail("lmcache", &error);
    } else {
        status = run(&self, &error);
    }
    nkv_lmcache_destroy(self.lmcache);
    nkv_client_destroy(self.client);
    free(self.bytes);
    return status;
}
