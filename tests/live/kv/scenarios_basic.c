/* tests/live/kv/scenarios_basic.c - reading, writing, times to live, codecs. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"
#include "support/near.h"

void kv_reads_and_writes(const place *at)
{
    nkv_kv *kv = place_open(at, "rw:");
    nkv_result result;
    int64_t removed;
    const nkv_str key = nkv_cstr("k");
    cr_expect_str_eq(place_get(kv, "k"), "_");
    cr_expect_eq(place_set(kv, "k", "one"), NKV_OK);
    cr_expect_str_eq(place_get(kv, "k"), "one");
    cr_expect_str_eq(place_seen(at, "rw:k"), "one");
    cr_expect_eq(place_set(kv, "k", ""), NKV_OK);
    cr_expect_str_eq(place_get(kv, "k"), ""); /* an empty value is one */
    cr_expect_eq(nkv_kv_exists(kv, &key, 1, NULL, &result), NKV_OK);
    cr_expect_eq(result.status, NKV_OK);
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, &removed), NKV_OK);
    cr_expect_eq(removed, 1);
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, &removed), NKV_OK);
    cr_expect_eq(removed, 0);
    cr_expect_eq(nkv_kv_exists(kv, &key, 1, NULL, &result), NKV_OK);
    cr_expect_eq(result.status, NKV_NOT_FOUND);
    cr_expect_eq(place_set(kv, "__tag__:x", "v"), NKV_EINVAL);
    cr_expect_eq(place_set(kv, "__fresh__:x", "v"), NKV_EINVAL);
    cr_expect_str_eq(place_seen(at, "rw:__tag__:x"), "_");
    nkv_kv_destroy(kv);
}

void kv_reads_are_local_until_somebody_writes(const place *at)
{
    nkv_kv *kv = place_open(at, "local:");
    place_put(at, "local:k", "one");
    cr_expect_str_eq(place_get(kv, "k"), "one");
    cr_expect_eq(place_from(kv, "k"), NKV_FROM_CACHE);
    place_put(at, "local:k", "two");
    t_near_sync(nkv_kv_client(kv));
    T_WAIT_UNTIL(strcmp(place_get(kv, "k"), "two") == 0, 2000);
    t_ctl_ok(place_ctl(at, "local:k"), "DEL", "local:k");
    T_WAIT_UNTIL(strcmp(place_get(kv, "k"), "_") == 0, 2000);
    nkv_kv_destroy(kv);
}

/* PTTL as the outsider sees it: of so many ms no more than two seconds are gone. */
static void expect_pttl(const place *at, const char *key, int64_t ms)
{
    long long left = place_pttl(at, key);
    if (ms < 0) {
        cr_expect_eq(left, ms, "%s: %lld", key, left);
    } else {
        cr_expect(left <= ms && left > ms - 2000, "%s: %lld of %lld", key, left, (long long)ms);
    }
}

static void expect_ttls_refused(nkv_kv *kv)
{
    static const int64_t rows[] = {0, -3, -60000, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nkv_value *value;
        cr_expect_eq(place_set_ttl(kv, "k", "v", rows[i]), NKV_EINVAL);
        cr_expect_eq(nkv_kv_touch(kv, nkv_cstr("k"), rows[i], NULL), NKV_EINVAL);
        cr_expect_eq(nkv_kv_getex(kv, nkv_cstr("k"), rows[i], NULL, &value), NKV_EINVAL);
        cr_expect_null(value);
    }
}

void kv_times_to_live(const place *at)
{
    nkv_kv_options options = place_options("ttl:");
    options.default_ttl_ms = 50000;
    nkv_kv *kv = place_open_with(at, &options);
    nkv_value *value;
    int64_t left = 0;
    const nkv_str key = nkv_cstr("k");
    cr_expect_eq(place_set(kv, "k", "v"), NKV_OK);
    expect_pttl(at, "ttl:k", 50000);
    cr_expect_eq(place_set_ttl(kv, "k", "v", 7000), NKV_OK);
    expect_pttl(at, "ttl:k", 7000);
    cr_expect_eq(nkv_kv_ttl(kv, key, NULL, &left), NKV_OK);
    cr_expect(left > 5000 && left <= 7000);
    nkv_kv_set_options how;
    nkv_kv_set_options_init(&how);
    how.keep_ttl = 1;
    cr_expect_eq(nkv_kv_set(kv, key, nkv_cstr("w"), &how, NULL), NKV_OK);
    expect_pttl(at, "ttl:k", 7000);
    how.ttl_ms = 5;
    cr_expect_eq(nkv_kv_set(kv, key, nkv_cstr("x"), &how, NULL), NKV_EINVAL);
    cr_expect_eq(nkv_kv_getex(kv, key, 90000, NULL, &value), NKV_OK);
    nkv_value_release(value);
    expect_pttl(at, "ttl:k", 90000);
    cr_expect_eq(nkv_kv_touch(kv, key, 20000, NULL), NKV_OK);
    expect_pttl(at, "ttl:k", 20000);
    cr_expect_eq(nkv_kv_touch(kv, key, NKV_KV_TTL_NONE, NULL), NKV_OK);
    expect_pttl(at, "ttl:k", -1);
    cr_expect_eq(nkv_kv_touch(kv, key, NKV_KV_TTL_NONE, NULL), NKV_OK); /* it is there */
    cr_expect_eq(nkv_kv_ttl(kv, key, NULL, &left), NKV_OK);
    cr_expect_eq(left, NKV_KV_TTL_NONE);
    expect_ttls_refused(kv);
    cr_expect_str_eq(place_get(kv, "k"), "w");
    cr_expect_eq(nkv_kv_touch(kv, nkv_cstr("no"), NKV_KV_TTL_NONE, NULL), NKV_NOT_FOUND);
    cr_expect_eq(nkv_kv_touch(kv, nkv_cstr("no"), 100, NULL), NKV_NOT_FOUND);
    cr_expect_eq(nkv_kv_ttl(kv, nkv_cstr("no"), NULL, &left), NKV_NOT_FOUND);
    cr_expect_eq(place_set_ttl(kv, "soon", "v", 60), NKV_OK);
    T_WAIT_UNTIL(strcmp(place_get(kv, "soon"), "_") == 0, 2000);
    nkv_kv_destroy(kv);
}

void kv_conditions(const place *at)
{
    nkv_kv *kv = place_open(at, "cond:");
    nkv_kv_set_options how;
    nkv_kv_set_options_init(&how);
    how.when = NKV_KV_IF_PRESENT;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("a"), &how, NULL), NKV_NOT_FOUND);
    how.when = NKV_KV_IF_ABSENT;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("b"), &how, NULL), NKV_OK);
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("c"), &how, NULL), NKV_MISS);
    cr_expect_str_eq(place_get(kv, "k"), "b");
    how.when = NKV_KV_IF_PRESENT;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("d"), &how, NULL), NKV_OK);
    cr_expect_str_eq(place_get(kv, "k"), "d");
    how.when = (nkv_kv_when)3;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("e"), &how, NULL), NKV_EINVAL);
    nkv_kv_destroy(kv);
}

enum { MANY = 100 };

static void expect_set(const nkv_kv_item items[MANY], nkv_status first_ten, nkv_status others)
{
    for (int i = 0; i < MANY; i++) {
        cr_expect_eq(items[i].status, i < 10 ? first_ten : others, "%d", i);
    }
}

void kv_many_keys(const place *at)
{
    char names[MANY][16];
    nkv_str keys[MANY];
    nkv_kv_item items[MANY];
    nkv_result results[MANY];
    nkv_kv_set_options how;
    int64_t removed;
    nkv_kv *kv = place_open(at, "many:");
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        keys[i] = nkv_cstr(names[i]);
        items[i] = (nkv_kv_item){.key = keys[i], .value = keys[i]};
    }
    nkv_kv_set_options_init(&how);
    how.ttl_ms = 60000;
    cr_expect_eq(nkv_kv_mset(kv, items, MANY, &how, NULL), NKV_OK);
    expect_set(items, NKV_OK, NKV_OK);
    expect_pttl(at, "many:k99", 60000);
    how.when = NKV_KV_IF_ABSENT;
    cr_expect_eq(nkv_kv_delete(kv, keys, 10, NULL, &removed), NKV_OK);
    cr_expect_eq(removed, 10);
    cr_expect_eq(nkv_kv_mset(kv, items, MANY, &how, NULL), NKV_OK);
    expect_set(items, NKV_OK, NKV_MISS);
    keys[5] = nkv_cstr("hole");
    cr_expect_eq(nkv_kv_mget(kv, keys, MANY, NULL, results), NKV_OK);
    for (int i = 0; i < MANY; i++) {
        cr_expect_eq(results[i].status, i == 5 ? NKV_NOT_FOUND : NKV_OK);
        if (i != 5) {
            cr_expect_str_eq(nkv_value_str(results[i].value).data, names[i]);
        }
        nkv_value_release(results[i].value);
    }
    cr_expect_eq(nkv_kv_exists(kv, keys, MANY, NULL, results), NKV_OK);
    cr_expect_eq(results[5].status, NKV_NOT_FOUND);
    cr_expect_eq(results[6].status, NKV_OK);
    cr_expect_eq(nkv_kv_delete(kv, keys, MANY, NULL, &removed), NKV_OK);
    cr_expect_eq(removed, MANY - 1);
    cr_expect_eq(nkv_kv_mset(kv, items, 0, NULL, NULL), NKV_OK);
    cr_expect_eq(nkv_kv_mget(kv, keys, 0, NULL, results), NKV_OK);
    nkv_kv_destroy(kv);
}

void kv_any_bytes(const place *at)
{
    enum { LARGE = 3 << 20 };
    static const char odd[] = "\0\r\n*3\xff{}";
    nkv_kv *kv = place_open(at, "b\x01{:");
    nkv_value *value;
    char *large = malloc(LARGE);
    memset(large, 'z', LARGE);
    large[LARGE / 2] = '\0';
    const nkv_str key = nkv_str_make(odd, sizeof odd - 1);
    cr_expect_eq(nkv_kv_set(kv, key, key, NULL, NULL), NKV_OK);
    cr_assert_eq(nkv_kv_get(kv, key, NULL, &value), NKV_OK);
    cr_expect_eq(nkv_value_str(value).len, key.len);
    cr_expect_eq(memcmp(nkv_value_str(value).data, odd, key.len), 0);
    nkv_value_release(value);
    cr_expect_eq(nkv_kv_set(kv, key, nkv_str_make(large, LARGE), NULL, NULL), NKV_OK);
    cr_assert_eq(nkv_kv_get(kv, key, NULL, &value), NKV_OK);
    cr_expect_eq(nkv_value_str(value).len, LARGE);
    cr_expect_eq(memcmp(nkv_value_str(value).data, large, LARGE), 0);
    nkv_value_release(value);
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, NULL), NKV_OK);
    free(large);
    nkv_kv_destroy(kv);
}

void kv_a_wrong_type_is_an_error(const place *at)
{
    nkv_kv_options options = place_options("type:");
    nkv_kv *kv = place_open_with(at, &options);
    t_ctl_ok(place_ctl(at, "type:k"), "LPUSH", "type:k", "x");
    cr_expect_eq(strncmp(place_get(kv, "k"), "!WRONGTYPE", 10), 0, "%s", place_get(kv, "k"));
    nkv_kv_destroy(kv);
    options.fail_open = 1;
    kv = place_open_with(at, &options);
    nkv_kv_stats stats;
    cr_expect_str_eq(place_get(kv, "k"), "_");
    nkv_kv_stats_get(kv, &stats);
    cr_expect_eq(stats.failed_open, 1);
    cr_expect_eq(stats.errors, 1);
    nkv_kv_destroy(kv);
}

/* What one handle writes by a codec, the outsider and other handles see as it is stored. */
void kv_codecs(const place *at)
{
    nkv_kv_options options = place_options("codec:");
    nkv_kv *plain = place_open_with(at, &options);
    options.codec = nkv_kv_codec_pickle();
    nkv_kv *pickled = place_open_with(at, &options);
    options.codec = NULL;
    options.compress_above = 100;
    nkv_kv *packed = place_open_with(at, &options);
    char text[400];
    cr_expect_eq(place_set(pickled, "k", "hi"), NKV_OK);
    cr_expect_str_eq(place_get(pickled, "k"), "hi");
    nkv_value *value;
    cr_assert_eq(nkv_kv_get(plain, nkv_cstr("k"), NULL, &value), NKV_OK);
    cr_expect_eq(nkv_value_str(value).len, 17);
    nkv_value_release(value);
    cr_expect_eq(place_set(plain, "k", "no pickle"), NKV_OK);
    T_WAIT_UNTIL(strncmp(place_get(pickled, "k"), "!unsupported pickle", 19) == 0, 2000);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    cr_expect_eq(place_set(packed, "long", text), NKV_OK);
    cr_expect_str_eq(place_get(packed, "long"), text);
    cr_expect_lt(t_ctl_int(place_ctl(at, "codec:long"), "STRLEN", "codec:long"), 100);
    cr_expect_str_eq(place_get(packed, "k"), "no pickle");
    nkv_kv_destroy(plain);
    nkv_kv_destroy(pickled);
    nkv_kv_destroy(packed);
}

static nkv_status encode_some(void *ud, nkv_str value, nkv_value **out, nkv_error *error)
{
    (void)ud;
    *out = nkv_value_from_bytes(value.data, value.len);
    if (value.len == 3) {
        (void)snprintf(error->text, sizeof error->text, "no three bytes");
        error->status = NKV_EINVAL;
        return NKV_EINVAL; /* though there is a value */
    }
    return NKV_OK;
}

static nkv_status decode_nothing(void *ud, nkv_str stored, nkv_value **out, nkv_error *error)
{
    (void)ud;
    (void)stored;
    (void)out;
    (void)error;
    return NKV_OK;
}

/* A codec that fails, and one that makes nothing. */
void kv_one_item_fails(const place *at)
{
    const nkv_kv_codec codec = {"odd", encode_some, decode_nothing, NULL};
    nkv_kv_options options = place_options("odd:");
    options.codec = &codec;
    options.compress_above = 1000;
    nkv_kv *kv = place_open_with(at, &options);
    nkv_kv_item items[3] = {{.key = nkv_cstr("a"), .value = nkv_cstr("1")},
                            {.key = nkv_cstr("b"), .value = nkv_cstr("123")},
                            {.key = nkv_cstr("c"), .value = nkv_cstr("12")}};
    nkv_call call;
    nkv_call_init(&call);
    cr_expect_eq(nkv_kv_mset(kv, items, 3, NULL, &call), NKV_EINVAL);
    cr_expect_str_eq(call.error.text, "no three bytes");
    cr_expect_eq(items[0].status, NKV_OK);
    cr_expect_eq(items[1].status, NKV_EINVAL);
    cr_expect_eq(items[2].status, NKV_OK);
    cr_expect_str_eq(place_seen(at, "odd:c"), "12");
    cr_expect_str_eq(place_seen(at, "odd:b"), "_");
    cr_expect_str_eq(place_get(kv, "a"), "!codec odd made no value");
    nkv_kv_destroy(kv);
}

void kv_closed(const place *at)
{
    nkv_kv *kv = place_open(at, "closed:");
    nkv_error error;
    nkv_result result;
    const nkv_str key = nkv_cstr("k");
    int64_t number;
    nkv_kv_close(kv);
    nkv_kv_close(kv);
    cr_expect_str_eq(place_get(kv, "k"), "!the key-value handle was closed");
    cr_expect_eq(place_set(kv, "k", "v"), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_mget(kv, &key, 1, NULL, &result), NKV_ECLOSED);
    cr_expect_eq(result.status, NKV_ECLOSED);
    nkv_kv_item item = {.key = key};
    cr_expect_eq(nkv_kv_mset(kv, &item, 1, NULL, NULL), NKV_ECLOSED);
    cr_expect_eq(item.status, NKV_ECLOSED);
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, NULL), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_clear(kv, NULL, &error, NULL), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_count(kv, NULL, &error, &number), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_touch(kv, key, 1, NULL), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_ttl(kv, key, NULL, &number), NKV_ECLOSED);
    cr_expect_eq(nkv_kv_invalidate_tag(kv, key, NULL, NULL), NKV_ECLOSED);
    nkv_kv_destroy(kv);
    nkv_kv_destroy(NULL);
}

void kv_counters(const place *at)
{
    nkv_kv *kv = place_open(at, "stats\"\\:");
    nkv_kv_stats stats;
    cr_expect_eq(place_set(kv, "k", "four"), NKV_OK);
    cr_expect_str_eq(place_get(kv, "k"), "four");
    cr_expect_str_eq(place_get(kv, "k"), "four");
    cr_expect_str_eq(place_get(kv, "no"), "_");
    nkv_kv_stats_get(kv, &stats);
    cr_expect_eq(stats.hits, 2);
    cr_expect_eq(stats.local_hits, 1);
    cr_expect_eq(stats.misses, 1);
    cr_expect_eq(stats.sets, 1);
    cr_expect_eq(stats.bytes_read, 8);
    cr_expect_eq(stats.bytes_written, 4);
    char *text = nkv_kv_stats_text(kv);
    cr_assert_not_null(text);
    cr_expect_not_null(strstr(text, "nearkv_kv_hits_total{prefix=\"stats\\\"\\\\:\"} 2\n"), "%s",
                       text);
    nkv_free(text);
    nkv_kv_stats_reset(kv);
    nkv_kv_stats_get(kv, &stats);
    cr_expect_eq(stats.hits, 0);
    const nkv_str key = nkv_cstr("k");
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, NULL), NKV_OK);
    nkv_kv_destroy(kv);
}
