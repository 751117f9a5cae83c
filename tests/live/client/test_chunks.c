/* tests/live/client/test_chunks.c - chunks on real servers: sizes, keys, expiry, errors by key, and
 * what they do to the cache. */
#include "support/chunks.h"

#include <stdlib.h>
#include <string.h>

#include <nearkv/batch.h>

#include "io/reader.h"
#include "support/bulk_op.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

/* ---- There and back -------------------------------------------------------------------------- */

T_LIVE(client_chunks, values_of_every_size)
{
    static const size_t sizes[] = {0, 1, 100, 65536, 4 << 20, 32 << 20};
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *value = t_op_bytes(sizes[i], (unsigned)i);
        nkv_str key = nkv_cstr("big");
        t_chunk_is(t_chunk_run(client, t_chunk_set(key, nkv_str_make(value, sizes[i]), 0)), NKV_OK,
                   NKV_TYPE_STATUS);
        t_chunk *get = t_chunk_run(client, t_chunk_get(key, SIZE_MAX));
        cr_assert(get->in_place && get->len == sizes[i], "size %zu", sizes[i]);
        cr_assert(t_same_bytes("value", get->room, get->len, value, sizes[i]));
        t_chunk_is(get, NKV_OK, NKV_TYPE_STRING);
        get = t_chunk_run(client, t_chunk_get(key, 0)); /* no room: a copy to look at */
        cr_assert(get->len == sizes[i] && (!get->in_place || sizes[i] == 0));
        t_chunk_is(get, NKV_OK, NKV_TYPE_STRING);
        free(value);
    }
    nkv_client_destroy(client);
}

/* Only what came in one read with the header is copied, and a value that is sent is not. */
T_LIVE(client_chunks, a_large_value_is_not_copied)
{
    enum { BYTES = 4 << 20 };
    nkv_client *client = t_near_open_on(server);
    nkv_str key = nkv_cstr("big");
    char *value = t_op_bytes(BYTES, 1);
    t_chunk_is(t_chunk_run(client, t_chunk_set(key, nkv_str_make(value, BYTES), 0)), NKV_OK,
               NKV_TYPE_STATUS);
    cr_assert_eq(t_near_stats(client).bulk_copied, 0);
    t_chunk_is(t_chunk_run(client, t_chunk_get(key, SIZE_MAX)), NKV_OK, NKV_TYPE_STRING);
    nkv_stats stats = t_near_stats(client);
    cr_assert(stats.bulk_connections >= 1 && stats.bulk_waiting == 0);
    cr_assert_lt(stats.bulk_copied, NKVI_READER_BUFFER_MIN + 1, "%llu bytes",
                 (unsigned long long)stats.bulk_copied);
    free(value);
    nkv_client_destroy(client);
}

T_LIVE(client_chunks, keys_are_any_bytes)
{
    static char large[70000];
    memset(large, 'k', sizeof large);
    const nkv_str keys[] = {nkv_str_make("", 0),
                            nkv_str_make("a\r\n\0 b", 6),
                            nkv_str_make("\xff\xfe", 2),
                            nkv_cstr("Schl\xc3\xbcssel mit Leerzeichen"),
                            nkv_cstr("$5\r\nhello\r\n"),
                            nkv_str_make(large, NKVI_CHUNK_HEAD - 72),
                            nkv_str_make(large, NKVI_CHUNK_HEAD - 71),
                            nkv_str_make(large, sizeof large)};
    enum { N = sizeof keys / sizeof keys[0] };
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < N; i++) {
        t_chunk_is(t_chunk_run(client, t_chunk_set(keys[i], keys[i], 0)), NKV_OK, NKV_TYPE_STATUS);
    }
    for (size_t i = 0; i < N; i++) {
        t_chunk *get = t_chunk_run(client, t_chunk_get(keys[i], SIZE_MAX));
        cr_assert(t_same_bytes("value", get->room, get->len, keys[i].data, keys[i].len));
        t_chunk_is(get, NKV_OK, NKV_TYPE_STRING);
    }
    t_ctl *ctl = t_ctl_open(server);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), N);
    for (int64_t there = 1; there >= 0; there--) {
        for (size_t i = 0; i < N; i++) {
            t_chunk *del = t_chunk_run(client, t_chunk_del(keys[i]));
            cr_assert_eq(del->integer, there);
            t_chunk_is(del, NKV_OK, NKV_TYPE_INTEGER);
        }
    }
    t_chunk_is(t_chunk_run(client, t_chunk_get(keys[1], SIZE_MAX)), NKV_OK, NKV_TYPE_NIL);
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

T_LIVE(client_chunks, expiry_in_seconds_and_milliseconds)
{
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    nkv_str value = nkv_cstr("v");
    static const int64_t ttls[] = {0, 60000, 90500, 1};
    static const char *const names[] = {"none", "seconds", "milliseconds", "gone"};
    for (int i = 0; i < 4; i++) {
        t_chunk_is(t_chunk_run(client, t_chunk_set(nkv_cstr(names[i]), value, ttls[i])), NKV_OK,
                   NKV_TYPE_STATUS);
    }
    cr_assert_eq(t_ctl_int(ctl, "PTTL", "none"), -1);
    long long left = t_ctl_int(ctl, "PTTL", "seconds");
    cr_assert(left > 30000 && left <= 60000, "%lld", left);
    left = t_ctl_int(ctl, "PTTL", "milliseconds");
    cr_assert(left > 60500 && left <= 90500, "%lld", left);
    t_sleep_ms(5);
    cr_assert_eq(t_ctl_int(ctl, "EXISTS", "gone"), 0);
    t_chunk_is(t_chunk_run(client, t_chunk_set(nkv_cstr("seconds"), value, 0)), NKV_OK,
               NKV_TYPE_STATUS);
    cr_assert_eq(t_ctl_int(ctl, "PTTL", "seconds"), -1, "a SET takes the expiry away");
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

/* Not a byte of it goes out. */
T_LIVE(client_chunks, what_no_server_takes_is_not_sent)
{
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    static const char some[16] = "x";
    t_ctl_ok(ctl, "CONFIG", "RESETSTAT");
    t_chunk *set = t_chunk_set(nkv_cstr("k"), nkv_str_make(some, NKV_VALUE_MAX + 1), 0);
    cr_assert_not_null(strstr(t_chunk_run(client, set)->text, "536870913"), "%s", set->text);
    t_chunk_is(set, NKV_EINVAL, NKV_TYPE_NIL);
    t_chunk_is(t_chunk_run(client, t_chunk_get(nkv_str_make(some, NKV_VALUE_MAX + 1), SIZE_MAX)),
               NKV_EINVAL, NKV_TYPE_NIL);
    nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.writes, 0);
    char *info = t_ctl_text(ctl, "INFO", "commandstats");
    cr_assert(strstr(info, "cmdstat_set:") == NULL && strstr(info, "cmdstat_get:") == NULL);
    free(info);
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

/* ---- Errors by key --------------------------------------------------------------------------- */

enum { MIX = 300 };

/* Gets and sets in turn; every third key holds a list. */
static void mixed(nkv_client *client, t_ctl *ctl)
{
    static char names[MIX][16];
    t_chunk *chunks[MIX];
    t_ctl_ok(ctl, "SET", "there", "value");
    for (int i = 0; i < MIX; i++) {
        (void)snprintf(names[i], sizeof names[i],
                       i % 3 == 0   ? "there"
                       : i % 3 == 1 ? "list"
                                    : "%d",
                       i);
        nkv_str key = nkv_cstr(names[i]);
        chunks[i] = i % 3 == 2 ? t_chunk_set(key, key, 0) : t_chunk_get(key, SIZE_MAX);
    }
    t_chunks_submit(client, chunks, MIX);
    for (int i = 0; i < MIX; i++) {
        t_chunk *chunk = t_chunk_wait(chunks[i]);
        if (i % 3 == 0) {
            cr_assert(chunk->len == 5 && memcmp(chunk->room, "value", 5) == 0);
            t_chunk_is(chunk, NKV_OK, NKV_TYPE_STRING);
        } else if (i % 3 == 1) {
            cr_assert_not_null(strstr(chunk->text, "WRONGTYPE"), "%s", chunk->text);
            t_chunk_is(chunk, NKV_EREPLY, NKV_TYPE_ERROR);
        } else {
            t_chunk_is(chunk, NKV_OK, NKV_TYPE_STATUS);
        }
    }
}

T_LIVE(client_chunks, i9_a_wrong_type_concerns_its_key_alone)
{
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    cr_assert_eq(t_ctl_int(ctl, "RPUSH", "list", "x"), 1);
    mixed(client, ctl);
    cr_assert(t_near_identity(client));
    cr_assert_eq(t_near_stats(client).writes, MIX / 3);
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

T_LIVE(client_chunks, i9_a_server_out_of_memory_refuses_the_writes_alone)
{
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    cr_assert_eq(t_ctl_int(ctl, "RPUSH", "list", "x"), 1);
    t_ctl_ok(ctl, "SET", "there", "value");
    t_ctl_ok(ctl, "CONFIG", "SET", "maxmemory", "1");
    t_chunk *set = t_chunk_run(client, t_chunk_set(nkv_cstr("there"), nkv_cstr("new"), 0));
    cr_assert_not_null(strstr(set->text, "OOM"), "%s", set->text);
    t_chunk_is(set, NKV_EREPLY, NKV_TYPE_ERROR);
    t_chunk_is(t_chunk_run(client, t_chunk_get(nkv_cstr("there"), SIZE_MAX)), NKV_OK,
               NKV_TYPE_STRING);
    t_chunk_is(t_chunk_run(client, t_chunk_del(nkv_cstr("there"))), NKV_OK, NKV_TYPE_INTEGER);
    t_ctl_ok(ctl, "CONFIG", "SET", "maxmemory", "0");
    mixed(client, ctl);
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

T_LIVE(client_chunks, i9_what_a_user_may_not_do)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "mine:k", "v");
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "~mine:*", "+@all", "-set");
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.username = "ann";
    options.password = "pw";
    nkv_client *client = t_near_open(&options);
    t_chunk *chunks[] = {t_chunk_get(nkv_cstr("mine:k"), SIZE_MAX),
                         t_chunk_set(nkv_cstr("mine:k"), nkv_cstr("w"), 0),
                         t_chunk_get(nkv_cstr("other"), SIZE_MAX),
                         t_chunk_get(nkv_cstr("mine:k"), SIZE_MAX)};
    t_chunks_submit(client, chunks, 4);
    for (int i = 0; i < 4; i++) {
        bool may = i % 3 == 0;
        cr_assert(may || strstr(t_chunk_wait(chunks[i])->text, "NOPERM") != NULL);
        t_chunk_is(t_chunk_wait(chunks[i]), may ? NKV_OK : NKV_EREPLY, NKV_TYPE_STRING);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE_PRIVATE(client_chunks, i9_a_login_that_is_refused)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .password = "secret"});
    char *url = t_format("unix://%s", t_server_path(server));
    nkv_options options = t_near_options(url);
    nkv_client *client = t_near_start(&options);
    t_chunk *get = t_chunk_run(client, t_chunk_get(nkv_cstr("k"), SIZE_MAX));
    cr_assert_not_null(strstr(get->text, "NOAUTH"), "%s", get->text);
    t_chunk_is(get, NKV_EREPLY, NKV_TYPE_ERROR);
    nkv_client_destroy(client);
    free(url);
    t_server_stop(server);
}

/* ---- The cache ------------------------------------------------------------------------------- */

/* P2: what was cached before a write is not seen after it, and what comes after it is cached. */
T_LIVE(client_chunks, p2_reads_see_the_writes_before_them)
{
    enum { ROUNDS = 200 };
    nkv_client *client = t_near_open_on(server);
    nkv_str key = nkv_cstr("k");
    for (int round = 0; round < ROUNDS; round++) {
        char value[16];
        (void)snprintf(value, sizeof value, "v%d", round);
        t_chunk *write = round % 5 == 4 ? t_chunk_del(key) : t_chunk_set(key, nkv_cstr(value), 0);
        t_chunk_is(t_chunk_run(client, write), NKV_OK,
                   round % 5 == 4 ? NKV_TYPE_INTEGER : NKV_TYPE_STATUS);
        t_answer answer = t_near_get(client, "k");
        cr_assert(t_says(answer, round % 5 == 4 ? "_" : value), "round %d", round);
    }
    /* Every write is over: nothing is fenced any more. */
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "_") ||
              t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "_"));
    nkv_client_destroy(client);
}

/* A write that failed, for whatever reason, may have been executed: the old value is forgotten. */
T_LIVE(client_chunks, p2_writes_that_fail_forget_the_key_too)
{
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(client, "k"), "old"));
    t_ctl_ok(ctl, "CONFIG", "SET", "maxmemory", "1");
    t_chunk_is(t_chunk_run(client, t_chunk_set(nkv_cstr("k"), nkv_cstr("new"), 0)), NKV_EREPLY,
               NKV_TYPE_ERROR);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "old"));
    t_ctl_ok(ctl, "CONFIG", "SET", "maxmemory", "0");
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}
