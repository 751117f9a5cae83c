/* tests/oom/client/test_wrap_oom.c - the life of a client over a connector of the user's own, again
 * and again, with the i-th allocation failing, for every i.
 *
 * Whatever fails, nothing crashes and nothing is left (a sanitizer or valgrind looks on); every
 * call says NKV_ENOMEM or what it should; a key is left out of the cache at most; and no answer is
 * wrong.                                                                                         */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "client/chunk.h"
#include "support/check.h"
#include "support/near.h"
#include "support/oom.h"
#include "support/toy_store.h"

enum { SOON_MS = 10000, KEYS = 20 };

/* ---- The scenario ---------------------------------------------------------------------------- */

static int wrong;
static bool more; /* an allocation failed the last time */

static void allow(nkv_status status, const char *what)
{
    if (status < 0 && status != NKV_ENOMEM) {
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

static void batches(nkv_client *client)
{
    char names[KEYS][24];
    nkv_str keys[KEYS];
    nkv_result results[KEYS];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "b%d", i);
        keys[i] = nkv_cstr(names[i]);
    }
    allow(nkv_mget(client, keys, KEYS, NULL, results), "mget");
    for (int i = 0; i < KEYS; i++) {
        allow(results[i].status, "a key of mget");
        nkv_value_release(results[i].value);
    }
    size_t prefix = 0;
    allow(nkv_prefix(client, keys, KEYS, NULL, &prefix, NULL), "prefix");
    wrong += prefix != 0;
}

static void count_done(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    allow(status, "async");
    nkv_value_release(value);
    atomic_fetch_add((atomic_int *)ud, 1);
}

static void without_waiting(nkv_client *client)
{
    static const char *const words[][3] = {
        {"GET", "k", NULL}, {"SET", "s", "v"}, {"MGET", "k", "s"}, {"SCAN", "0", NULL}};
    atomic_int done = 0;
    int accepted = 0;
    for (size_t i = 0; i < 4; i++) {
        nkv_str argv[3];
        int argc = 0;
        for (; argc < 3 && words[i][argc] != NULL; argc++) {
            argv[argc] = nkv_cstr(words[i][argc]);
        }
        const nkv_status status = nkv_command_async(client, argc, argv, NULL, count_done, &done);
        allow(status, "async");
        accepted += status == NKV_OK;
    }
    T_WAIT_UNTIL(atomic_load(&done) == accepted, SOON_MS);
}

typedef struct part {
    nkvi_chunk chunk;
    char buf[16];
    atomic_int done;
} part;

static char *part_room(nkvi_chunk *chunk, size_t len)
{
    (void)len;
    return ((part *)(void *)chunk)->buf;
}

static void part_done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                      const nkv_error *error)
{
    (void)reply;
    (void)error;
    allow(status, "a chunk");
    atomic_fetch_add(&((part *)(void *)chunk)->done, 1);
}

static void chunks(nkv_client *client)
{
    static const nkvi_chunk_kind kinds[] = {NKVI_CHUNK_SET, NKVI_CHUNK_GET, NKVI_CHUNK_DEL};
    static part parts[3];
    for (size_t i = 0; i < 3; i++) {
        memset(&parts[i], 0, sizeof parts[i]);
        parts[i].chunk.kind = kinds[i];
        parts[i].chunk.key = nkv_cstr("c");
        parts[i].chunk.value = nkv_cstr("v");
        parts[i].chunk.deadline_ns = NKVI_NEVER;
        parts[i].chunk.room = part_room;
        parts[i].chunk.done = part_done;
        nkvi_chunk *one[1] = {&parts[i].chunk};
        nkvi_chunks_submit(client, one, 1);
        T_WAIT_UNTIL(atomic_load(&parts[i].done) == 1, SOON_MS);
    }
}

static void use(t_store *store, nkv_client *client)
{
    nkv_voucher *voucher = t_store_voucher(store);
    nkv_voucher_begin(voucher);
    allow_answer(t_near_get(client, "k"), "v", "get");
    allow_answer(t_near_get(client, "k"), "v", "get again");
    allow_answer(t_near_get_at(client, "k", NKV_BARRIER), "v", "a barrier");
    t_store_change(store, "k", "w");
    nkv_voucher_invalidate(voucher, nkv_cstr("k"));
    allow_answer(t_near_get(client, "k"), "w", "get of what was told");
    t_store_change(store, "k", "v");
    nkv_voucher_flush(voucher, NULL);
    allow_answer(t_near_get(client, "k"), "v", "get after a flush");
    nkv_voucher_end(voucher, "lost");
    t_store_change(store, "k", "w");
    allow_answer(t_near_get(client, "k"), "w", "get after the end");
    t_store_change(store, "k", "v");
    nkv_voucher_begin(voucher);
    batches(client);
    allow(t_near_set(client, "s", "v"), "set");
    const nkv_str gone[] = {nkv_cstr("x"), nkv_cstr("y")};
    allow(nkv_del(client, gone, 2, NULL, NULL), "del");
    without_waiting(client);
    chunks(client);
    /* And when all is well again: */
    more = t_oom_failed();
    t_oom_relent();
    allow_answer(t_near_get_at(client, "k", NKV_BARRIER), "v", "the next call");
    allow_answer(t_near_get(client, "k"), "v", "and another");
    wrong += t_near_get(client, "k").from != NKV_FROM_CACHE;
}

static void live_once(t_store *store, t_events *events)
{
    nkv_options options = t_near_options(NULL);
    options.on_event = t_events_take;
    options.on_event_ud = events;
    const nkv_connector table = t_store_table(store);
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_wrap(&table, &options, &client, &error);
    cr_assert_eq(client == NULL, status < 0);
    if (status < 0) {
        cr_assert_eq(status, NKV_ENOMEM, "%s (%s)", nkv_status_text(status), error.text);
        return;
    }
    use(store, client);
    nkv_client_destroy(client);
}

static void check_every(long burst, long step)
{
    long from = 0;
    for (more = true; more; from += step) {
        t_store *store = t_store_new();
        t_events *events = t_events_new();
        t_store_be_silent(store);
        t_store_change(store, "k", "v");
        t_oom_open();
        t_oom_fail(from, burst);
        live_once(store, events);
        t_oom_close();
        cr_assert_eq(wrong, 0, "with allocation %ld", from);
        cr_assert_eq(t_store_opened(store), 0);
        t_events_free(events);
        t_store_free(store);
    }
    cr_assert_gt(from, 50, "only %ld allocations: is the gate in force?", from);
}

Test(client_wrap_oom, one_allocation_fails, .timeout = 280)
{
    check_every(1, 1);
}

Test(client_wrap_oom, ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(10, 7);
}
