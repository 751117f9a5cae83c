/* tests/oom/client/test_oom_chunks.c - chunks of every kind, with the i-th allocation failing, for
 * every i: each ends once, as it should or for lack of memory, and the next ones work. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/chunks.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/oom.h"

enum { LARGE = 100000, LONG = 3000, CHUNKS = 8 };

/* ---- The scenario ---------------------------------------------------------------------------- */

static char large_reply[LARGE + 32], long_key[LONG];

static void judge(t_chunk *chunk, nkv_status wanted)
{
    t_chunk_wait(chunk);
    bool fine = chunk->status == wanted ||
                (t_oom_failed() && (chunk->status == NKV_ENOMEM || chunk->status == NKV_ECONN ||
                                    chunk->status == NKV_EPROTO));
    cr_assert(fine, "%d: %s", chunk->status, chunk->text);
    t_chunk_drop(chunk);
}

static void use(nkv_client *client)
{
    const nkv_str many = nkv_str_make(long_key, LONG);
    t_chunk *chunks[CHUNKS] = {
        t_chunk_get(nkv_cstr("large"), SIZE_MAX), t_chunk_get(nkv_cstr("large"), 0),
        t_chunk_set(many, nkv_cstr("v"), 60000),  t_chunk_get(nkv_cstr("small"), 0),
        t_chunk_get(nkv_cstr("list"), SIZE_MAX),  t_chunk_get(many, SIZE_MAX),
        t_chunk_del(nkv_cstr("small")),           t_chunk_get(nkv_cstr("small"), SIZE_MAX)};
    t_chunks_submit(client, chunks, CHUNKS);
    for (int i = 0; i < CHUNKS; i++) {
        judge(chunks[i], i == 4 ? NKV_EREPLY : NKV_OK);
    }
    /* The memory that was missing is there again. */
    nkv_status status = NKV_ENOMEM;
    for (int64_t end_ms = t_now_ms() + T_CHUNK_MS; status != NKV_OK && t_now_ms() < end_ms;) {
        t_chunk *again = t_chunk_run(client, t_chunk_get(nkv_cstr("large"), SIZE_MAX));
        status = again->status;
        cr_assert(status == NKV_OK || t_oom_failed(), "%s", again->text);
        t_chunk_drop(again);
    }
    cr_assert_eq(status, NKV_OK, "it never works again");
}

static void live_once(t_fake *fake)
{
    nkv_options options = t_near_options(t_fake_url(fake));
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    options.bulk_connections = 2;
    nkv_client *client = NULL;
    const nkv_status status = nkv_client_create(&options, &client, NULL);
    cr_assert(status == NKV_OK || (status == NKV_ENOMEM && t_oom_failed()));
    if (status == NKV_OK) {
        use(client);
        cr_assert(t_near_identity(client));
    }
    nkv_client_destroy(client);
}

static t_fake *start_server(void)
{
    t_fake *fake = t_fake_start(NULL);
    int head = snprintf(large_reply, 32, "$%d\r\n", LARGE);
    memset(large_reply + head, 'v', LARGE);
    memcpy(large_reply + head + LARGE, "\r\n", 2);
    memset(long_key, 'k', LONG);
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on_argv(fake, large_reply, (size_t)head + LARGE + 2,
                   (const char *const[]){"GET", "large", NULL});
    t_fake_on(fake, "-WRONGTYPE a list\r\n", "GET", "list");
    t_fake_on(fake, ":1\r\n", "DEL", "*");
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    return fake;
}

static void fail_everywhere(long burst)
{
    t_fake *fake = start_server();
    bool failed = true;
    for (long i = 0; failed; i++) {
        t_oom_open();
        t_oom_fail(i, burst);
        live_once(fake);
        failed = t_oom_failed();
        t_oom_close();
        cr_assert_lt(i, 2000);
    }
    t_fake_stop(fake);
}

Test(oom_chunks, one_allocation_fails, .timeout = 120)
{
    fail_everywhere(1);
}

Test(oom_chunks, three_in_a_row_fail, .timeout = 120)
{
    fail_everywhere(3);
}
