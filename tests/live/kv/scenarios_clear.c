/* tests/live/kv/scenarios_clear.c - clearing and counting. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"
#include "support/net.h"

static void put_many(const place *at, const char *prefix, int n)
{
    for (int i = 0; i < n; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s%d", prefix, i);
        place_put(at, key, "v");
    }
}

static int64_t clear(nkv_kv *kv)
{
    nkv_error error = {.status = NKV_OK};
    int64_t removed = -2;
    cr_expect_eq(nkv_kv_clear(kv, NULL, &error, &removed), NKV_OK, "%s", error.text);
    return removed;
}

/* Prefixes that are patterns, or begin like another. */
void kv_clear_is_exact(const place *at)
{
    static const char *const prefixes[] = {
        "t[12]:", "t*", "t?:", "t\\:", "tenant", "{t}:", "t^[^a]:"};
    static const char *const others[] = {"t1:a", "t2:a",   "tx:a",  "t:a",
                                         "te:a", "tenanT", "{t}a:", "ta:"};
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        nkv_kv *kv = place_open(at, prefixes[p]);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            place_put(at, others[i], "stays");
        }
        cr_expect_eq(place_set(kv, "a", "v"), NKV_OK);
        cr_expect_eq(place_set(kv, "b]", "v"), NKV_OK);
        cr_expect_eq(place_set(kv, "", "v"), NKV_OK);
        cr_expect_eq(clear(kv), 3, "%s", prefixes[p]);
        cr_expect_str_eq(place_get(kv, "a"), "_");
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            cr_expect_str_eq(place_seen(at, others[i]), "stays", "%s, %s", prefixes[p], others[i]);
        }
        cr_expect_eq(clear(kv), 0);
        nkv_kv_destroy(kv);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        t_ctl_ok(place_ctl(at, others[i]), "DEL", others[i]);
    }
}

typedef struct told {
    int pages, end_after;
    nkv_kv_progress last;
} told;

static int tell(const nkv_kv_progress *progress, void *ud)
{
    told *self = ud;
    self->last = *progress;
    return ++self->pages == self->end_after;
}

void kv_clear_many(const place *at)
{
    enum { N = 3000 };
    told to = {.end_after = 0};
    nkv_kv_clear_options options;
    nkv_error error;
    int64_t removed;
    nkv_kv *kv = place_open(at, "clear:");
    long long before = place_dbsize(at);
    put_many(at, "clear:", N);
    put_many(at, "other:", 50);
    cr_expect_str_eq(place_get(kv, "7"), "v");
    nkv_kv_clear_options_init(&options);
    options.page = 100;
    options.progress = tell;
    options.ud = &to;
    cr_expect_eq(nkv_kv_clear(kv, &options, &error, &removed), NKV_OK, "%s", error.text);
    cr_expect_eq(removed, N);
    cr_expect_eq(to.last.removed, N);
    cr_expect_geq(to.last.scanned, N);
    cr_expect_gt(to.pages, 10);
    cr_expect_eq(place_dbsize(at), before + 50);
    cr_expect_str_eq(place_get(kv, "7"), "_");
    nkv_kv_destroy(kv);
    kv = place_open(at, "other:");
    cr_expect_eq(clear(kv), 50);
    nkv_kv_destroy(kv);
}

void kv_clear_can_be_ended(const place *at)
{
    enum { N = 500 };
    told to = {.end_after = 2};
    nkv_kv_clear_options options;
    nkv_error error;
    int64_t removed;
    nkv_kv *kv = place_open(at, "end:");
    put_many(at, "end:", N);
    nkv_kv_clear_options_init(&options);
    options.page = 10;
    options.progress = tell;
    options.ud = &to;
    cr_expect_eq(nkv_kv_clear(kv, &options, &error, &removed), NKV_ECANCELED);
    cr_expect_lt(removed, N);
    cr_expect_eq(to.pages, 2);
    options.progress = NULL;
    options.pause_ms = 30;
    options.timeout_ms = 100;
    int64_t begin_ms = t_now_ms();
    cr_expect_eq(nkv_kv_clear(kv, &options, &error, &removed), NKV_ETIMEDOUT);
    cr_expect_lt(t_now_ms() - begin_ms, 2000);
    options.page = 0;
    cr_expect_eq(nkv_kv_clear(kv, &options, &error, &removed), NKV_EINVAL);
    cr_expect_not_null(strstr(error.text, "page"), "%s", error.text);
    (void)clear(kv);
    nkv_kv_destroy(kv);
}

void kv_clear_without_prefix(const place *at)
{
    nkv_kv_options options = place_options("");
    options.forbid_flush = 1;
    nkv_error error;
    int64_t removed;
    nkv_kv *kv = place_open_with(at, &options);
    put_many(at, "flush:", 20);
    cr_expect_eq(nkv_kv_clear(kv, NULL, &error, &removed), NKV_EREFUSED);
    cr_expect_not_null(strstr(error.text, "forbid_flush"), "%s", error.text);
    cr_expect_str_eq(place_seen(at, "flush:3"), "v");
    nkv_kv_destroy(kv);
    kv = place_open(at, "");
    cr_expect_str_eq(place_get(kv, "flush:3"), "v");
    cr_expect_eq(clear(kv), -1);
    cr_expect_str_eq(place_get(kv, "flush:3"), "_");
    cr_expect_eq(place_dbsize(at), 0);
    nkv_kv_destroy(kv);
}

void kv_count(const place *at)
{
    int64_t count;
    nkv_error error;
    nkv_kv *kv = place_open(at, "count:");
    nkv_kv_set_options how;
    const nkv_str tag = nkv_cstr("t");
    put_many(at, "count:", 300);
    nkv_kv_set_options_init(&how);
    how.tags = &tag;
    how.tags_len = 1;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("7"), nkv_cstr("v"), &how, NULL), NKV_OK);
    cr_expect_eq(nkv_kv_count(kv, NULL, &error, &count), NKV_OK, "%s", error.text);
    cr_expect_eq(count, 300); /* what tags need is not counted */
    cr_expect_eq(clear(kv), 300);
    cr_expect_eq(nkv_kv_count(kv, NULL, &error, &count), NKV_OK);
    cr_expect_eq(count, 0);
    nkv_kv_destroy(kv);
}
