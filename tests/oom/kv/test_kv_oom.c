/* tests/oom/kv/test_kv_oom.c - the life of a key-value handle over a connector of the user's own,
 * again and again, with the i-th allocation failing, for every i.
 *
 * Whatever fails, nothing crashes and nothing is left; every call says NKV_ENOMEM or what it
 * should; and no answer is wrong. */
#include <criterion/criterion.h>
#include <string.h>

#include <nearkv/kv.h>

#include "support/check.h"
#include "support/near.h"
#include "support/oom.h"
#include "support/toy_store.h"

enum { KEYS = 20, LONG = 600 };

static int wrong;
static bool more; /* an allocation failed the last time */

static void allow(nkv_status status, const char *what)
{
    if (status < 0 && status != NKV_ENOMEM) {
        (void)fprintf(stderr, "%s: %s\n", what, nkv_status_text(status));
        wrong++;
    }
}

/* A value that was got is `text`; takes the reference. */
static void expect(nkv_status status, nkv_value *value, const char *text, const char *what)
{
    allow(status, what);
    bool fits = status != NKV_OK || (nkv_value_str(value).len == strlen(text) &&
                                     memcmp(nkv_value_str(value).data, text, strlen(text)) == 0);
    if (!fits || (status != NKV_OK) != (value == NULL)) {
        (void)fprintf(stderr, "%s: a wrong answer\n", what);
        wrong++;
    }
    nkv_value_release(value);
}

static nkv_status make(nkv_str key, nkv_value **out, nkv_kv_set_options *how, nkv_error *error,
                       void *ud)
{
    (void)key;
    (void)how;
    (void)error;
    (void)ud;
    *out = nkv_value_from_bytes("made", 4);
    return *out != NULL ? NKV_OK : NKV_ENOMEM;
}

static void many(nkv_kv *kv)
{
    char names[KEYS][24];
    nkv_str keys[KEYS];
    nkv_result results[KEYS];
    nkv_kv_item items[KEYS];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        keys[i] = nkv_cstr(names[i]);
        items[i] = (nkv_kv_item){.key = keys[i], .value = keys[i]};
    }
    allow(nkv_kv_mset(kv, items, KEYS, NULL, NULL), "mset");
    allow(nkv_kv_mget(kv, keys, KEYS, NULL, results), "mget");
    for (int i = 0; i < KEYS; i++) {
        expect(results[i].status, results[i].value, names[i], "a key of mget");
    }
    allow(nkv_kv_delete(kv, keys, KEYS, NULL, NULL), "delete");
}

static void use(nkv_kv *kv)
{
    char text[LONG + 1];
    nkv_value *value;
    nkv_error error;
    int64_t number;
    const nkv_str longer = nkv_str_make(text, LONG);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    nkv_status set = nkv_kv_set(kv, nkv_cstr("k"), longer, NULL, NULL);
    allow(set, "set");
    nkv_status status = nkv_kv_get(kv, nkv_cstr("k"), NULL, &value);
    expect(status, value, text, "get");
    wrong += set == NKV_OK && status == NKV_NOT_FOUND;
    status = nkv_kv_get(kv, nkv_str_make(text, LONG), NULL, &value); /* a name that is allocated */
    expect(status, value, "", "get of a long key");
    const nkv_kv_maker maker = {.compute = make};
    status = nkv_kv_get_or_compute(kv, nkv_cstr("c"), &maker, NULL, &value);
    expect(status, value, "made", "get_or_compute");
    many(kv);
    allow(nkv_kv_count(kv, NULL, &error, &number), "count");
    allow(nkv_kv_clear(kv, NULL, &error, &number), "clear");
    nkv_free(nkv_kv_stats_text(kv));
    /* And when all is well again: */
    more = t_oom_failed();
    t_oom_relent();
    wrong += nkv_kv_set(kv, nkv_cstr("k"), longer, NULL, NULL) != NKV_OK;
    status = nkv_kv_get(kv, nkv_cstr("k"), NULL, &value);
    wrong += status != NKV_OK;
    expect(status, value, text, "the next get");
}

static void live_once(t_store *store)
{
    nkv_options options = t_near_options(NULL);
    nkv_kv_options kv_options;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = NULL;
    nkv_kv *kv = NULL;
    nkv_error error = {.status = NKV_OK};
    nkv_kv_options_init(&kv_options);
    kv_options.prefix = nkv_cstr("p:");
    kv_options.compress_above = 100;
    kv_options.codec = nkv_kv_codec_pickle();
    nkv_status status = nkv_client_wrap(&table, &options, &client, &error);
    if (status == NKV_OK) {
        status = nkv_kv_create(client, &kv_options, &kv, &error);
        cr_assert_eq(kv == NULL, status < 0);
    }
    if (status < 0) {
        cr_assert_eq(status, NKV_ENOMEM, "%s (%s)", nkv_status_text(status), error.text);
        more = true;
    } else {
        use(kv);
    }
    nkv_kv_destroy(kv);
    nkv_client_destroy(client);
}

static void check_every(long burst, long step)
{
    long from = 0;
    for (more = true; more; from += step) {
        t_store *store = t_store_new();
        t_store_be_silent(store);
        t_oom_open();
        t_oom_fail(from, burst);
        live_once(store);
        t_oom_close();
        cr_assert_eq(wrong, 0, "with allocation %ld", from);
        cr_assert_eq(t_store_opened(store), 0);
        t_store_free(store);
    }
    cr_assert_gt(from, 50, "only %ld allocations: is the gate in force?", from);
}

Test(kv_oom, one_allocation_fails, .timeout = 280)
{
    check_every(1, 1);
}

Test(kv_oom, ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(10, 7);
}
