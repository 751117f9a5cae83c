/* tests/oom/client/test_cluster_oom.c - a client of a played cluster, from its making to its end,
 * with the i-th allocation failing, for every i: the acceptance case 107 for clusters.
 *
 * Whatever fails, nothing crashes, hangs or is left; every call says NKV_ENOMEM or what follows
 * from it; the next one works; and no answer is wrong. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/batch.h>

#include "support/check.h"
#include "support/fc_client.h"
#include "support/oom.h"

enum { SOON_MS = 10000, BATCH = 4 };

static int wrong;

/* A status that may come of a lack of memory, or none at all. */
static void allow(nkv_status status, const char *what)
{
    const bool follows = status == NKV_ENOMEM || status == NKV_ECONN || status == NKV_EPROTO ||
                         status == NKV_ENOTSUP || status == NKV_ETIMEDOUT || status == NKV_EREPLY;
    if (status < 0 && !(t_oom_failed() && follows)) {
        (void)fprintf(stderr, "%s: %s\n", what, nkv_status_text(status));
        wrong++;
    }
}

static void allow_answer(t_answer answer, const char *text, const char *what)
{
    allow(answer.status, what);
    if (answer.status >= 0 && strcmp(answer.text, text) != 0) {
        (void)fprintf(stderr, "%s: \"%s\" instead of \"%s\"\n", what, answer.text, text);
        wrong++;
    }
}

/* The key is at `node` now, and the client is told by MOVED, or by ASK. */
static void led_on(t_fc *fc, nkv_client *client, const char *key, bool ask)
{
    if (ask) {
        t_fc_migrate(fc, t_fc_slot(key), 1);
        t_fc_carry(fc, key, 0, 1);
    } else {
        t_fc_give(fc, t_fc_slot(key), 1);
    }
    allow_answer(t_near_get(client, key), "v", "led on");
    const nkv_status set = t_near_set(client, key, "w");
    allow(set, "a write that is led on");
    t_answer got = t_near_get(client, key);
    allow_answer(got, set == NKV_OK || t_fc_has(fc, 1, key, "w") ? "w" : "v", "read back");
    allow(t_near_set(client, key, "v"), "and back");
}

static void batches(t_fc *fc, nkv_client *client)
{
    nkv_item items[BATCH];
    nkv_str keys[BATCH];
    memset(items, 0, sizeof items);
    for (int i = 0; i < BATCH; i++) {
        keys[i] = nkv_cstr(t_fc_key(fc, i % 2, 8 + i));
        items[i].key = keys[i];
        items[i].value = nkv_cstr("v");
    }
    t_fc_give(fc, t_fc_slot(keys[0].data), 1);
    t_fc_migrate(fc, t_fc_slot(keys[2].data), 1);
    allow(nkv_batch_put(client, items, BATCH, 0, NULL), "put");
    allow(nkv_batch_get(client, items, BATCH, NULL), "get");
    for (int i = 0; i < BATCH; i++) {
        nkv_value_release(items[i].held);
    }
    allow(nkv_del(client, keys, BATCH, NULL, NULL), "del");
    allow(t_near(client, "EXISTS", keys[0].data, keys[1].data).status, "EXISTS");
}

/* After the failure: it works again, and says what the servers say. */
static void works_again(nkv_client *client, const char *key)
{
    const int64_t end_ms = t_now_ms() + SOON_MS;
    t_answer answer;
    nkv_status set;
    do {
        set = t_near_set(client, key, "again");
    } while (set < 0 && t_now_ms() < end_ms);
    do {
        answer = t_near_get_at(client, key, NKV_BARRIER);
    } while (answer.status < 0 && t_now_ms() < end_ms);
    allow_answer(answer, "again", "the next call");
    cr_assert_geq((int)answer.status, 0, "it never works again: %s", answer.error.text);
    t_fc_warm(client, key, "again");
}

static void use(t_fc *fc, nkv_client *client)
{
    const char *a = t_fc_key(fc, 0, 0), *b = t_fc_key(fc, 1, 0);
    nkv_error error;
    allow(nkv_client_wait_ready(client, SOON_MS, &error), "ready");
    allow_answer(t_near_get(client, a), "v", "get of a");
    allow_answer(t_near_get(client, b), "_", "get of b");
    allow_answer(t_near_get_at(client, a, NKV_BARRIER), "v", "get behind a barrier");
    led_on(fc, client, t_fc_key(fc, 0, 1), false);
    led_on(fc, client, t_fc_key(fc, 0, 2), true);
    t_fc_say(fc, 0, 1, "-TRYAGAIN later", "GET", a);
    nkv_client_invalidate(client, nkv_cstr(a));
    allow_answer(t_near_get(client, a), "v", "get that is asked again");
    batches(fc, client);
    const int node = t_fc_join(fc);
    const char *c = t_fc_key(fc, 1, 1);
    t_fc_give(fc, t_fc_slot(c), node);
    t_fc_put(fc, node, c, "c");
    allow_answer(t_near_get(client, c), "c", "get of a new node");
    if (t_oom_failed()) {
        works_again(client, c);
    }
}

static void live_once(t_fc *fc)
{
    nkv_options options = t_fc_options(fc);
    options.timeout_ms = 5000;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    options.address_map = "nowhere=127.0.0.1";
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_create(&options, &client, &error);
    cr_assert_eq(client == NULL, status < 0);
    if (status < 0) {
        cr_assert_eq(status, NKV_ENOMEM, "%s (%s)", nkv_status_text(status), error.text);
        return;
    }
    use(fc, client);
    nkv_client_destroy(client);
}

/* Fails `burst` allocations in a row from each point on, `step` apart, until none fails. */
static void check_every(long burst, long step)
{
    t_oom_open();
    const int fds = t_fd_count(), threads = t_thread_count();
    bool more = true;
    long from = 0;
    for (; more; from += step) {
        t_fc *fc = t_fc_start(2);
        for (int i = 0; i < 3; i++) {
            t_fc_put(fc, 0, t_fc_key(fc, 0, i), "v");
        }
        t_oom_fail(from, burst);
        live_once(fc);
        more = t_oom_failed();
        t_oom_relent();
        t_fc_stop(fc);
        cr_assert_eq(wrong, 0, "allocation %ld", from);
        cr_assert(t_fd_count() == fds && t_thread_count() == threads, "allocation %ld", from);
    }
    t_oom_close();
    cr_assert_gt(from, 100, "only %ld allocations: is the gate in force?", from);
}

Test(client_cluster_oom, case_107_every_allocation_fails_once, .timeout = 280)
{
    check_every(1, 1);
}

Test(client_cluster_oom, case_107_ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(10, 7);
}
