/* tests/live/kv/scenarios_tags.c - tags: who has them, and what an invalidation removes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"

static nkv_status set_tagged(nkv_kv *kv, const char *key, const char *tag, const char *other,
                             int64_t ttl_ms)
{
    const nkv_str tags[2] = {nkv_cstr(tag), nkv_cstr(other)};
    nkv_kv_set_options how;
    nkv_kv_set_options_init(&how);
    how.tags = tags;
    how.tags_len = other != NULL ? 2 : 1;
    how.ttl_ms = ttl_ms;
    return nkv_kv_set(kv, nkv_cstr(key), nkv_cstr("v"), &how, NULL);
}

static int64_t invalidate(nkv_kv *kv, const char *tag)
{
    nkv_call call;
    int64_t removed;
    nkv_call_init(&call);
    cr_expect_eq(nkv_kv_invalidate_tag(kv, nkv_cstr(tag), &call, &removed), NKV_OK, "%s",
                 call.error.text);
    return removed;
}

/* How many keys a set of the library's holds. */
static long long noted(const place *at, const char *name)
{
    return t_ctl_int(place_ctl(at, name), "ZCARD", name);
}

void kv_tags(const place *at)
{
    nkv_kv *kv = place_open(at, "tag:");
    nkv_kv *other = place_open(at, "tag:");
    cr_expect_eq(set_tagged(kv, "a", "red", "round", NKV_KV_TTL_NONE), NKV_OK);
    cr_expect_eq(set_tagged(other, "b", "red", NULL, 60000), NKV_OK); /* by somebody else */
    cr_expect_eq(set_tagged(kv, "c", "blue", "round", 60000), NKV_OK);
    cr_expect_eq(place_set(kv, "d", "v"), NKV_OK);
    cr_expect_str_eq(place_get(other, "a"), "v");
    cr_expect_eq(invalidate(kv, "red"), 2);
    cr_expect_str_eq(place_get(kv, "a"), "_");
    cr_expect_str_eq(place_get(kv, "b"), "_");
    cr_expect_str_eq(place_get(kv, "c"), "v");
    cr_expect_str_eq(place_get(kv, "d"), "v");
    T_WAIT_UNTIL(strcmp(place_get(other, "a"), "_") == 0, 2000);
    cr_expect_eq(invalidate(kv, "red"), 0);
    cr_expect_eq(invalidate(kv, "nobody's"), 0);
    cr_expect_eq(set_tagged(kv, "a", "red", NULL, 60000), NKV_OK);
    cr_expect_eq(invalidate(other, "round"), 2); /* a was round once, and set again without */
    cr_expect_eq(set_tagged(kv, "x", "", NULL, 1000), NKV_EINVAL);
    cr_expect_eq(set_tagged(kv, "x", "}t", NULL, 1000), NKV_EINVAL);
    cr_expect_eq(nkv_kv_invalidate_tag(kv, nkv_cstr(""), NULL, NULL), NKV_EINVAL);
    cr_expect_eq(set_tagged(kv, "x", "a}b{c", NULL, 60000), NKV_OK);
    cr_expect_eq(invalidate(kv, "a}b{c"), 1);
    nkv_kv_destroy(kv);
    nkv_kv_destroy(other);
}

void kv_tags_of_many_keys(const place *at)
{
    enum { N = 1200 }; /* more than one page */
    static char names[N][16];
    static nkv_kv_item items[N];
    const nkv_str tag = nkv_cstr("bulk");
    nkv_kv_set_options how;
    nkv_kv *kv = place_open(at, "{tm}:");
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        items[i].key = items[i].value = nkv_cstr(names[i]);
    }
    nkv_kv_set_options_init(&how);
    how.tags = &tag;
    how.tags_len = 1;
    cr_expect_eq(nkv_kv_mset(kv, items, N, &how, NULL), NKV_OK);
    cr_expect_eq(noted(at, "{tm}:__tag__:{bulk}"), N);
    cr_expect_eq(invalidate(kv, "bulk"), N);
    cr_expect_eq(noted(at, "{tm}:__tag__:{bulk}"), 0);
    cr_expect_eq(t_ctl_int(place_ctl(at, "{tm}:"), "EXISTS", "{tm}:__tag__:{bulk}:gone"), 0);
    nkv_kv_destroy(kv);
}

/* An invalidation that was broken off behind its rename. */
void kv_tags_go_on_where_they_were(const place *at)
{
    nkv_kv *kv = place_open(at, "go:");
    const char *list = "go:__tag__:{t}:gone";
    t_ctl *ctl = place_ctl(at, list);
    cr_expect_eq(set_tagged(kv, "a", "t", NULL, 60000), NKV_OK);
    t_ctl_ok(ctl, "RENAME", "go:__tag__:{t}", "go:__tag__:{t}:gone:abc");
    t_ctl_ok(ctl, "SADD", list, "abc");
    cr_expect_eq(set_tagged(kv, "b", "t", NULL, 60000), NKV_OK);
    cr_expect_eq(invalidate(kv, "t"), 2);
    cr_expect_eq(t_ctl_int(ctl, "EXISTS", list), 0);
    cr_expect_eq(t_ctl_int(ctl, "EXISTS", "go:__tag__:{t}:gone:abc"), 0);
    nkv_kv_destroy(kv);
}

/* What has expired long ago is forgotten, but not what was given more time. */
void kv_tags_are_tidied(const place *at)
{
    nkv_kv *kv = place_open(at, "tidy:");
    const char *set = "tidy:__tag__:{t}";
    t_ctl *ctl = place_ctl(at, set);
    cr_expect_eq(set_tagged(kv, "lives", "t", NULL, 60000), NKV_OK);
    t_ctl_ok(ctl, "ZADD", set, "1000", "lives", "1000", "gone", "1001", "gone too");
    cr_expect_eq(set_tagged(kv, "new", "t", NULL, 60000), NKV_OK);
    cr_expect_eq(noted(at, set), 2);
    /* More than are looked at in one go live on: they do not stand in the way of those that do
     * not. */
    for (int i = 0; i < 20; i++) {
        char key[16], name[24];
        (void)snprintf(key, sizeof key, "more%02d", i);
        (void)snprintf(name, sizeof name, "tidy:%s", key);
        place_put(at, name, "v");
        t_ctl_ok(ctl, "ZADD", set, "1000", key);
    }
    t_ctl_ok(ctl, "ZADD", set, "1001", "gone");
    cr_expect_eq(set_tagged(kv, "new", "t", NULL, 60000), NKV_OK);
    cr_expect_eq(set_tagged(kv, "new", "t", NULL, 60000), NKV_OK);
    cr_expect_eq(noted(at, set), 22);
    cr_expect_eq(invalidate(kv, "t"), 22);
    nkv_kv_destroy(kv);
}

/* A value that is too large for the queue of a connection. */
void kv_tags_of_large_values(const place *at)
{
    enum { LARGE = 70 << 20 };
    nkv_kv *kv = place_open(at, "large:");
    char *bytes = malloc(LARGE);
    nkv_kv_set_options how;
    nkv_call call;
    const nkv_str tag = nkv_cstr("big");
    T_REQUIRE(bytes != NULL);
    memset(bytes, 'x', LARGE);
    nkv_kv_set_options_init(&how);
    how.tags = &tag;
    how.tags_len = 1;
    nkv_call_init(&call);
    call.timeout_ms = 60000;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_str_make(bytes, LARGE), &how, &call), NKV_OK,
                 "%s", call.error.text);
    cr_expect_eq(t_ctl_int(place_ctl(at, "large:k"), "STRLEN", "large:k"), LARGE);
    cr_expect_eq(invalidate(kv, "big"), 1);
    free(bytes);
    nkv_kv_destroy(kv);
}

typedef struct listing {
    int tags;
    int64_t keys;
    bool odd;
} listing;

static int take_tag(nkv_str tag, int64_t keys, void *ud)
{
    listing *self = ud;
    self->tags++;
    self->keys += keys;
    self->odd = self->odd || (tag.len == 3 && memcmp(tag.data, "a}b", 3) == 0);
    return 0;
}

void kv_tags_are_listed(const place *at)
{
    nkv_kv *kv = place_open(at, "list:");
    listing seen = {.tags = 0};
    cr_expect_eq(set_tagged(kv, "a", "one", "a}b", 60000), NKV_OK);
    cr_expect_eq(set_tagged(kv, "b", "one", NULL, 60000), NKV_OK);
    cr_expect_eq(nkv_kv_tags(kv, take_tag, &seen, NULL), NKV_OK);
    cr_expect_eq(seen.tags, 2);
    cr_expect_eq(seen.keys, 3);
    cr_expect(seen.odd);
    nkv_kv_destroy(kv);
}
