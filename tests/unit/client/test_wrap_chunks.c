/* tests/unit/client/test_wrap_chunks.c - chunks of a connector of the user's own: in the words of a
 * server, with its brackets, deadlines and ends. */

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "client/chunk.h"
#include "support/check.h"
#include "support/near.h"
#include "support/thread.h"
#include "support/toy_store.h"

enum { SOON_MS = 20000, LARGE = 100000 };

TestSuite(client_wrap_chunks, .timeout = 60);

typedef struct part {
    nkvi_chunk chunk;
    char *buf;
    size_t len;
    nkv_status status;
    nkv_type type;
    int64_t integer;
    char error[100];
    atomic_int done;
} part;

static char *part_room(nkvi_chunk *chunk, size_t len)
{
    part *p = (part *)(void *)chunk;
    p->len = len;
    return p->buf;
}

static void part_done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                      const nkv_error *error)
{
    part *p = (part *)(void *)chunk;
    p->status = status;
    cr_assert_eq(reply != NULL, status == NKV_OK);
    if (reply != NULL) {
        p->type = reply->type;
        p->integer = reply->integer;
        p->len = reply->len;
        cr_assert(p->buf == NULL || reply->type != NKV_TYPE_STRING || reply->str == p->buf);
    }
    if (error != NULL) {
        (void)snprintf(p->error, sizeof p->error, "%.90s", error->text);
    }
    cr_assert_eq(atomic_fetch_add(&p->done, 1), 0);
}

static void prepare(part *p, nkvi_chunk_kind kind, const char *key, char *buf)
{
    memset(p, 0, sizeof *p);
    p->buf = buf;
    p->chunk.kind = kind;
    p->chunk.key = nkv_cstr(key);
    p->chunk.deadline_ns = NKVI_NEVER;
    p->chunk.room = part_room;
    p->chunk.done = part_done;
}

static void submit(nkv_client *client, part *parts, size_t n)
{
    nkvi_chunk *chunks[200];
    for (size_t i = 0; i < n; i++) {
        chunks[i] = &parts[i].chunk;
    }
    nkvi_chunks_submit(client, chunks, n);
}

static void await(part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        T_WAIT_UNTIL(atomic_load(&parts[i].done) == 1, SOON_MS);
    }
}

static nkv_client *wrap(t_store *store, bool punctual)
{
    nkv_client *client = NULL;
    nkv_connector table = t_store_table(store);
    table.punctual = punctual;
    cr_assert_eq(nkv_client_wrap(&table, NULL, &client, NULL), NKV_OK);
    return client;
}

static void set_get_del(bool punctual)
{
    static part parts[150];
    static char value[LARGE], buf[LARGE];
    t_store *store = t_store_new();
    nkv_client *client = wrap(store, punctual);
    memset(value, 'x', sizeof value);
    for (size_t i = 0; i < 150; i++) {
        static char keys[150][8];
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        prepare(&parts[i], NKVI_CHUNK_SET, keys[i], NULL);
        parts[i].chunk.value = nkv_str_make(value, i % 3 == 0 ? LARGE : i);
    }
    cr_assert_eq(t_near_get(client, "k1").status, NKV_NOT_FOUND);
    submit(client, parts, 150);
    await(parts, 150);
    for (size_t i = 0; i < 150; i++) {
        cr_assert_eq(parts[i].status, NKV_OK);
        cr_assert_eq(parts[i].type, NKV_TYPE_STATUS);
    }
    cr_assert(t_is(t_near_get(client, "k1"), NKV_FROM_SERVER, "x")); /* read your writes */
    prepare(&parts[0], NKVI_CHUNK_GET, "k99", buf);
    prepare(&parts[1], NKVI_CHUNK_GET, "no", buf);
    prepare(&parts[2], NKVI_CHUNK_GET, "k7", NULL); /* a copy to look at */
    submit(client, parts, 3);
    await(parts, 3);
    cr_assert_eq(parts[0].type, NKV_TYPE_STRING);
    cr_assert_eq(parts[0].len, LARGE);
    cr_assert_eq(memcmp(buf, value, LARGE), 0);
    cr_assert_eq(parts[1].type, NKV_TYPE_NIL);
    cr_assert_eq(parts[2].type, NKV_TYPE_STRING);
    cr_assert_eq(parts[2].len, 7);
    prepare(&parts[0], NKVI_CHUNK_DEL, "k1", NULL);
    prepare(&parts[1], NKVI_CHUNK_DEL, "no", NULL);
    submit(client, parts, 2);
    await(parts, 2);
    cr_assert_eq(parts[0].integer, 1);
    cr_assert_eq(parts[1].integer, 0);
    cr_assert_eq(t_near_get(client, "k1").status, NKV_NOT_FOUND);
    nkv_client_destroy(client);
    t_store_free(store);
}

Test(client_wrap_chunks, set_get_del_through_a_buffer)
{
    set_get_del(false);
}

Test(client_wrap_chunks, set_get_del_in_place)
{
    set_get_del(true);
}

Test(client_wrap_chunks, each_ends_for_itself)
{
    static part parts[4];
    char buf[16];
    t_store *store = t_store_new();
    t_store_change(store, "a", "1");
    t_store_fail(store, "b", NKV_EREPLY, "b is broken");
    nkv_client *client = wrap(store, false);
    prepare(&parts[0], NKVI_CHUNK_GET, "b", buf);
    prepare(&parts[1], NKVI_CHUNK_GET, "a", buf);
    submit(client, parts, 2);
    await(parts, 2);
    cr_assert_eq(parts[0].status, NKV_EREPLY);
    cr_assert_str_eq(parts[0].error, "toy:store: b is broken");
    cr_assert_eq(parts[1].status, NKV_OK);
    t_store_hold(store, T_STORE_GET);
    prepare(&parts[0], NKVI_CHUNK_GET, "a", buf);
    prepare(&parts[1], NKVI_CHUNK_GET, "a", buf);
    prepare(&parts[2], NKVI_CHUNK_GET, "a", buf);
    parts[1].chunk.deadline_ns = nkvi_now_ns() + 300 * NKVI_NS_PER_MS;
    submit(client, parts, 3);
    t_store_await(store, T_STORE_GET, 1);
    nkvi_chunk_cancel(&parts[0].chunk);
    await(parts, 2);
    cr_assert_eq(parts[0].status, NKV_ECANCELED);
    cr_assert_eq(parts[1].status, NKV_ETIMEDOUT);
    t_store_go(store);
    await(parts, 3);
    cr_assert_eq(parts[2].status, NKV_OK);
    nkv_client_destroy(client);
    t_store_free(store);
}

static void *destroy(void *ud)
{
    nkv_client_destroy(ud);
    return NULL;
}

Test(client_wrap_chunks, the_end_of_the_client_ends_them)
{
    static part parts[100];
    t_store *store = t_store_new();
    nkv_client *client = wrap(store, false);
    t_store_hold_first(store, T_STORE_REMOVE);
    for (size_t i = 0; i < 100; i++) {
        prepare(&parts[i], NKVI_CHUNK_DEL, "k", NULL);
    }
    submit(client, parts, 100);
    t_store_await(store, T_STORE_REMOVE, 1);
    pthread_t thread;
    t_thread_start(&thread, destroy, client);
    await(parts, 100);
    for (size_t i = 0; i < 100; i++) {
        cr_assert_eq(parts[i].status, NKV_ECLOSED);
    }
    t_store_go(store);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    t_store_free(store);
}
