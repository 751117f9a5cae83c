/* tests/live/kv/test_kv.c - the key-value handle on one server, scenario by scenario, and what only
 * one server can show. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"
#include "support/live.h"
#include "support/near.h"

#define ON_SERVER(suite, name)              \
    T_LIVE(suite, name)                     \
    {                                       \
        place_on_server(server, kv_##name); \
    }

ON_SERVER(kv_basic, reads_and_writes)
ON_SERVER(kv_basic, reads_are_local_until_somebody_writes)
ON_SERVER(kv_basic, times_to_live)
ON_SERVER(kv_basic, conditions)
ON_SERVER(kv_basic, many_keys)
ON_SERVER(kv_basic, any_bytes)
ON_SERVER(kv_basic, a_wrong_type_is_an_error)
ON_SERVER(kv_basic, codecs)
ON_SERVER(kv_basic, one_item_fails)
ON_SERVER(kv_basic, closed)
ON_SERVER(kv_basic, counters)
ON_SERVER(kv_clear, clear_is_exact)
ON_SERVER(kv_clear, clear_many)
ON_SERVER(kv_clear, clear_can_be_ended)
ON_SERVER(kv_clear, clear_without_prefix)
ON_SERVER(kv_clear, count)
ON_SERVER(kv_tags, tags)
ON_SERVER(kv_tags, tags_of_many_keys)
ON_SERVER(kv_tags, tags_go_on_where_they_were)
ON_SERVER(kv_tags, tags_are_tidied)
ON_SERVER(kv_tags, tags_are_listed)
ON_SERVER(kv_tags, tags_of_large_values)
ON_SERVER(kv_compute, computes_once)
ON_SERVER(kv_compute, computing_fails)
ON_SERVER(kv_compute, stale_while_computed_anew)
ON_SERVER(kv_compute, what_was_set_is_fresh)
ON_SERVER(kv_compute, a_write_outdates_what_is_computed)
ON_SERVER(kv_compute, computing_in_itself)

/* ---- a server that is not there, or goes ----------------------------------------------------- */

T_LIVE_PRIVATE(kv_trouble, a_server_that_goes)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    const place at = {.url = t_server_unix_url(server)};
    nkv_kv_options options = place_options("p:");
    options.timeout_ms = 300;
    nkv_kv *strict = place_open_with(&at, &options);
    options.fail_open = 1;
    nkv_kv *open = place_open_with(&at, &options);
    nkv_error error;
    int64_t removed;
    nkv_kv_item item = {.key = nkv_cstr("k"), .value = nkv_cstr("v")};
    nkv_kv_set_options tagged;
    const nkv_str key = nkv_cstr("k");
    nkv_kv_set_options_init(&tagged);
    tagged.tags = &key;
    tagged.tags_len = 1;
    cr_expect_eq(place_set(strict, "k", "v"), NKV_OK);
    cr_expect_str_eq(place_get(open, "k"), "v");
    t_server_kill(server);
    T_WAIT_UNTIL(place_get(strict, "k")[0] == '!', 5000);
    cr_expect_lt((int)place_set(strict, "k", "w"), 0);
    cr_expect_str_eq(place_get(open, "k"), "_");
    cr_expect_eq(place_set(open, "k", "w"), NKV_MISS);
    cr_expect_eq(nkv_kv_mset(open, &item, 1, &tagged, NULL), NKV_OK);
    cr_expect_eq(item.status, NKV_MISS);
    cr_expect_lt((int)nkv_kv_mset(strict, &item, 1, &tagged, NULL), 0);
    cr_expect_lt((int)item.status, 0);
    cr_expect_lt((int)nkv_kv_delete(open, &key, 1, NULL, &removed), 0); /* never let pass */
    cr_expect_lt((int)nkv_kv_invalidate_tag(open, key, NULL, &removed), 0);
    cr_expect_lt((int)nkv_kv_clear(open, NULL, &error, &removed), 0, "%s", error.text);
    nkv_kv_stats stats;
    nkv_kv_stats_get(open, &stats);
    cr_expect_geq(stats.failed_open, 2);
    nkv_kv_destroy(strict);
    nkv_kv_destroy(open);
    t_server_stop(server);
}

/* Options that are wrong, by name; passwords are in no text. */
T_LIVE(kv_trouble, options)
{
    nkv_kv_options options = place_options("p:");
    nkv_options client = t_near_options(t_server_unix_url(server));
    nkv_error error;
    nkv_kv *kv;
    static const struct {
        size_t offset;
        int64_t value;
        bool narrow;
        const char *name;
    } rows[] = {
        {offsetof(nkv_kv_options, default_ttl_ms), 0, false, "default_ttl_ms"},
        {offsetof(nkv_kv_options, default_ttl_ms), -1, false, "default_ttl_ms"},
        {offsetof(nkv_kv_options, ttl_jitter_percent), 51, true, "ttl_jitter_percent"},
        {offsetof(nkv_kv_options, timeout_ms), -1, false, "timeout_ms"},
        {offsetof(nkv_kv_options, stale_ms), -1, false, "stale_ms"},
        {offsetof(nkv_kv_options, compress_above), -2, false, "compress_above"},
        {offsetof(nkv_kv_options, compress_level), 20, true, "compress_level"},
        {offsetof(nkv_kv_options, fail_open), 2, true, "fail_open"},
        {offsetof(nkv_kv_options, forbid_flush), -1, true, "forbid_flush"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nkv_kv_options wrong = options;
        const int narrow = (int)rows[i].value;
        memcpy((char *)&wrong + rows[i].offset,
               rows[i].narrow ? (const void *)&narrow : (const void *)&rows[i].value,
               rows[i].narrow ? sizeof narrow : sizeof rows[i].value);
        cr_expect_eq(nkv_kv_open(&client, &wrong, &kv, &error), NKV_EINVAL, "row %zu", i);
        cr_expect_not_null(strstr(error.text, rows[i].name), "%s", error.text);
        cr_expect_null(kv);
    }
    memset(&options, 0, sizeof options);
    cr_expect_eq(nkv_kv_open(&client, &options, &kv, &error), NKV_EINVAL);
    client.url = "redis://:secret@h:0";
    cr_expect_eq(nkv_kv_open(&client, NULL, &kv, &error), NKV_EINVAL);
    cr_expect_null(strstr(error.text, "secret"), "%s", error.text);
}

/* Times to live that were all the same are spread, also of keys that are set together. */
T_LIVE(kv_trouble, jitter)
{
    enum { N = 50 };
    t_ctl *ctl = t_ctl_open(server);
    const place at = {.url = t_server_unix_url(server), .ctl = ctl};
    nkv_kv_options options = place_options("j:");
    options.ttl_jitter_percent = 20;
    options.default_ttl_ms = 100000;
    nkv_kv *kv = place_open_with(&at, &options);
    char names[N][16];
    nkv_kv_item items[N];
    long long least = 1000000, most = 0;
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "j:%d", i);
        items[i] = (nkv_kv_item){.key = nkv_cstr(names[i] + 2), .value = nkv_cstr("v")};
    }
    cr_expect_eq(nkv_kv_mset(kv, items, N, NULL, NULL), NKV_OK);
    for (int i = 0; i < N; i++) {
        long long left = place_pttl(&at, names[i]);
        least = left < least ? left : least;
        most = left > most ? left : most;
    }
    cr_expect_gt(least, 75000);
    cr_expect_leq(most, 120000);
    cr_expect_gt(most - least, 15000);
    nkv_kv_destroy(kv);
    t_ctl_close(ctl);
}

typedef struct inside {
    nkv_kv *kv;
    _Atomic int done;
    nkv_status set, get, many, cleared;
} inside;

static void from_inside(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    inside *self = ud;
    nkv_kv_item item = {.key = nkv_cstr("k"), .value = nkv_cstr("v")};
    nkv_kv_set_options how;
    nkv_value *got;
    (void)status;
    (void)call;
    nkv_kv_set_options_init(&how);
    how.when = NKV_KV_IF_ABSENT;
    self->set = place_set(self->kv, "k", "v");
    self->get = nkv_kv_get(self->kv, nkv_cstr("never asked"), NULL, &got);
    self->many = nkv_kv_mset(self->kv, &item, 1, &how, NULL);
    self->cleared = nkv_kv_invalidate_tag(self->kv, nkv_cstr("t"), NULL, NULL);
    nkv_value_release(value);
    atomic_store(&self->done, 1);
}

/* On the loop's own thread nothing waits. */
T_LIVE(kv_trouble, on_the_loops_thread)
{
    const place at = {.url = t_server_unix_url(server)};
    inside self = {.kv = place_open(&at, "p:")};
    const nkv_str ping = nkv_cstr("PING");
    cr_assert_eq(nkv_command_async(nkv_kv_client(self.kv), 1, &ping, NULL, from_inside, &self),
                 NKV_OK);
    T_WAIT_UNTIL(atomic_load(&self.done) == 1, 5000);
    cr_expect_eq(self.set, NKV_EDEADLK);
    cr_expect_eq(self.get, NKV_EDEADLK);
    cr_expect_eq(self.many, NKV_EDEADLK);
    cr_expect_eq(self.cleared, NKV_EDEADLK);
    nkv_kv_destroy(self.kv);
}

/* Spec/case S19: a value of 100 MB goes and comes. */
T_LIVE_PRIVATE(kv_trouble, a_hundred_megabytes)
{
    enum { LEN = 100 << 20 };
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    const place at = {.url = t_server_unix_url(server)};
    nkv_kv *kv = place_open(&at, "p:");
    char *bytes = malloc(LEN);
    nkv_value *value;
    nkv_call call;
    T_REQUIRE(bytes != NULL);
    for (size_t i = 0; i < LEN; i += 4096) {
        memset(bytes + i, (int)(i >> 12 & 0xff), 4096);
    }
    nkv_call_init(&call);
    call.timeout_ms = 60000;
    cr_assert_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_str_make(bytes, LEN), NULL, &call), NKV_OK, "%s",
                 call.error.text);
    cr_assert_eq(nkv_kv_get(kv, nkv_cstr("k"), &call, &value), NKV_OK, "%s", call.error.text);
    cr_expect_eq(nkv_value_str(value).len, LEN);
    cr_expect_eq(memcmp(nkv_value_str(value).data, bytes, LEN), 0);
    nkv_value_release(value);
    free(bytes);
    nkv_kv_destroy(kv);
    t_server_stop(server);
}
