/* tests/fake/client/test_chunk_frames.c - what goes over the wire for a chunk, and every error that
 * a server may answer with. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"
#include "support/chunks.h"
#include "support/fake.h"
#include "support/near.h"

static nkv_client *open_on(t_fake *fake)
{
    nkv_options options = t_near_options(t_fake_url(fake));
    options.bulk_connections = 1;
    return t_near_open(&options);
}

/* The words of the first command that begins so, one behind the other. */
static bool was_told(t_fake *fake, const char *const *words)
{
    long at = t_fake_find_argv(fake, 0, words);
    return at >= 0;
}
#define TOLD(fake, ...) was_told((fake), (const char *const[]){__VA_ARGS__, NULL})

Test(client_chunk_frames, the_words_of_every_command, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    t_fake_on(fake, "$5\r\nhello\r\n", "GET", "*");
    t_fake_on(fake, ":1\r\n", "DEL", "*");
    nkv_client *client = open_on(fake);
    nkv_str key = nkv_cstr("m@1@0@ff@halfkv_bytes"), value = nkv_cstr("abcd");
    static const int64_t ttls[] = {0, 60000, 1500, 1, 999, 3600000, 86400000000};
    for (size_t i = 0; i < sizeof ttls / sizeof ttls[0]; i++) {
        t_chunk_is(t_chunk_run(client, t_chunk_set(key, value, ttls[i])), NKV_OK, NKV_TYPE_STATUS);
    }
    t_chunk *get = t_chunk_run(client, t_chunk_get(key, SIZE_MAX));
    cr_assert(get->in_place && memcmp(get->room, "hello", 5) == 0);
    t_chunk_is(get, NKV_OK, NKV_TYPE_STRING);
    t_chunk_is(t_chunk_run(client, t_chunk_del(key)), NKV_OK, NKV_TYPE_INTEGER);
    cr_assert(TOLD(fake, "SET", key.data, "abcd"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "EX", "60"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "PX", "1500"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "PX", "1"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "PX", "999"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "EX", "3600"));
    cr_assert(TOLD(fake, "SET", key.data, "abcd", "EX", "86400000"));
    cr_assert(TOLD(fake, "GET", key.data) && TOLD(fake, "DEL", key.data));
    cr_assert(!TOLD(fake, "MGET", "..."));
    nkv_client_destroy(client);
    cr_assert_null(t_fake_error(fake));
    t_fake_stop(fake);
}

/* I9: the error is the key's, and the stream stays aligned. */
Test(client_chunk_frames, i9_every_error_by_key, .timeout = 30)
{
    static const char *const errors[] = {
        "-OOM command not allowed when used memory > 'maxmemory'.",
        "-LOADING Redis is loading the dataset in memory",
        "-MOVED 3999 127.0.0.1:6381",
        "-ASK 3999 127.0.0.1:6381",
        "-TRYAGAIN Multiple keys request during rehashing of slot",
        "-NOAUTH Authentication required.",
        "-READONLY You can't write against a read only replica.",
        "-WRONGTYPE Operation against a key holding the wrong kind of value",
        "-CLUSTERDOWN The cluster is down",
        "-BUSY Redis is busy running a script."};
    enum { N = sizeof errors / sizeof errors[0] };
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "$5\r\nhello\r\n", "GET", "good");
    for (int i = 0; i < N; i++) {
        char key[16], reply[128];
        (void)snprintf(key, sizeof key, "bad%d", i);
        int len = snprintf(reply, sizeof reply, "%s\r\n", errors[i]);
        t_fake_on_argv(fake, reply, (size_t)len, (const char *const[]){"*", key, "...", NULL});
    }
    nkv_client *client = open_on(fake);
    t_chunk *chunks[3 * N];
    char keys[N][16];
    for (int i = 0; i < N; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "bad%d", i);
        chunks[3 * i] = t_chunk_get(nkv_cstr(keys[i]), SIZE_MAX);
        chunks[3 * i + 1] = t_chunk_get(nkv_cstr("good"), SIZE_MAX);
        chunks[3 * i + 2] = t_chunk_set(nkv_cstr(keys[i]), nkv_cstr("v"), 0);
    }
    t_chunks_submit(client, chunks, 3 * (size_t)N);
    for (int i = 0; i < 3 * N; i++) {
        t_chunk *chunk = t_chunk_wait(chunks[i]);
        bool good = i % 3 == 1;
        cr_assert(good || strcmp(chunk->text, errors[i / 3] + 1) == 0, "%s", chunk->text);
        cr_assert(!good || (chunk->in_place && memcmp(chunk->room, "hello", 5) == 0));
        t_chunk_is(chunk, good ? NKV_OK : NKV_EREPLY, NKV_TYPE_STRING);
    }
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* A stream that makes no sense ends the connection, not the client. */
Test(client_chunk_frames, a_reply_that_is_none, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    t_fake_on(fake, "?what\r\n", "GET", "bad");
    t_fake_on(fake, "$5\r\nhello\r\n", "GET", "good");
    nkv_client *client = open_on(fake);
    t_chunk_is(t_chunk_run(client, t_chunk_get(nkv_cstr("bad"), SIZE_MAX)), NKV_EPROTO,
               NKV_TYPE_NIL);
    t_chunk_is(t_chunk_run(client, t_chunk_get(nkv_cstr("good"), SIZE_MAX)), NKV_OK,
               NKV_TYPE_STRING);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
