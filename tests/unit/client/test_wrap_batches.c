/* tests/unit/client/test_wrap_batches.c - batches and LMCache's operations over a connector of the
 * user's own. */
#include <nearkv/connector.h>
#include <nearkv/nearkv.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#include "support/near.h"
#include "support/toy_store.h"

enum { LARGE = 300000 };

typedef struct rig {
    t_store *store;
    nkv_client *client;
    nkv_lmcache *lmcache;
    char *bytes;
} rig;

static rig set_up(nkv_lmcache_layout layout)
{
    rig self = {.store = t_store_new(), .bytes = malloc(LARGE)};
    nkv_connector table = t_store_table(self.store);
    nkv_lmcache_options options;
    nkv_error error;
    nkv_lmcache_options_init(&options);
    options.layout = layout;
    cr_assert_not_null(self.bytes);
    for (size_t i = 0; i < LARGE; i++) {
        self.bytes[i] = (char)(i * 31 + i / 256);
    }
    cr_assert_eq(nkv_client_wrap(&table, NULL, &self.client, &error), NKV_OK, "%s", error.text);
    cr_assert_eq(nkv_lmcache_create(self.client, &options, &self.lmcache, &error), NKV_OK, "%s",
                 error.text);
    return self;
}

static void tear_down(rig *self)
{
    nkv_lmcache_destroy(self->lmcache);
    nkv_client_destroy(self->client);
    t_store_free(self->store);
    free(self->bytes);
}

Test(client_wrap_batches, values_go_there_and_come_back)
{
    rig self = set_up(NKV_LMCACHE_SINGLE_KEY);
    char *room = malloc(LARGE);
    nkv_item items[3] = {{.key = nkv_cstr("a"), .value = nkv_str_make(self.bytes, LARGE)},
                         {.key = nkv_cstr("b"), .value = nkv_cstr("")},
                         {.key = nkv_cstr("c"), .value = nkv_cstr("small")}};
    cr_assert_eq(nkv_batch_put(self.client, items, 3, 0, NULL), NKV_OK);
    nkv_item back[4] = {{.key = nkv_cstr("a"), .buf = room, .cap = LARGE},
                        {.key = nkv_cstr("none")},
                        {.key = nkv_cstr("c")},
                        {.key = nkv_cstr("a"), .buf = (char[4]){0}, .cap = 4}};
    cr_assert_eq(nkv_batch_get(self.client, back, 4, NULL), NKV_ESIZE);
    cr_assert_eq(back[0].status, NKV_OK);
    cr_assert_eq(back[0].len, LARGE);
    cr_assert_eq(memcmp(room, self.bytes, LARGE), 0);
    cr_assert_eq(back[1].status, NKV_NOT_FOUND);
    cr_assert_eq(back[2].status, NKV_OK);
    cr_assert_str_eq(nkv_value_str(back[2].held).data, "small");
    nkv_value_release(back[2].held);
    cr_assert_eq(back[3].status, NKV_ESIZE);
    cr_assert_eq(back[3].len, LARGE);
    cr_assert_eq(nkv_batch_exists(self.client, back, 4, NULL), NKV_OK);
    cr_assert_eq(back[1].status, NKV_NOT_FOUND);
    cr_assert_eq(nkv_batch_remove(self.client, back, 2, NULL), NKV_OK);
    cr_assert_eq(back[0].status, NKV_OK);
    cr_assert_eq(back[1].status, NKV_NOT_FOUND);
    cr_assert_eq(nkv_batch_exists(self.client, back, 1, NULL), NKV_OK);
    cr_assert_eq(back[0].status, NKV_NOT_FOUND);
    free(room);
    tear_down(&self);
}

static int count_key(nkv_str key, void *ud)
{
    (void)key;
    ++*(int *)ud;
    return 0;
}

static void chunks_with(nkv_lmcache_layout layout)
{
    rig self = set_up(layout);
    nkv_call call;
    nkv_str keys[3] = {nkv_cstr("m@1@0@1@half"), nkv_cstr("m@1@0@2@half"),
                       nkv_cstr("m@1@0@3@half")};
    nkv_item items[2] = {{.key = keys[0], .value = nkv_str_make(self.bytes, LARGE)},
                         {.key = keys[1], .value = nkv_cstr("abcd")}};
    size_t prefix = 9;
    int listed = 0;
    nkv_call_init(&call);
    cr_assert_eq(nkv_lmcache_prefix(self.lmcache, keys, 3, &call, &prefix), NKV_OK);
    cr_assert_eq(prefix, 0);
    cr_assert_eq(nkv_lmcache_put(self.lmcache, items, 2, &call), NKV_OK, "%s", call.error.text);
    cr_assert_eq(nkv_lmcache_prefix(self.lmcache, keys, 3, &call, &prefix), NKV_OK);
    cr_assert_eq(prefix, 2);
    cr_assert_eq(call.from, NKV_FROM_CACHE, "read back, and the third was known to be missing");
    nkv_item back[3] = {{.key = keys[0]}, {.key = keys[1]}, {.key = keys[2]}};
    cr_assert_eq(nkv_lmcache_get_prefix(self.lmcache, back, 3, &call, &prefix), NKV_OK);
    cr_assert_eq(prefix, 2);
    cr_assert_eq(back[0].len, LARGE);
    cr_assert_eq(memcmp(nkv_value_str(back[0].held).data, self.bytes, LARGE), 0);
    nkv_value_release(back[0].held);
    nkv_value_release(back[1].held);
    cr_assert_eq(nkv_lmcache_list(self.lmcache, nkv_cstr("m@"), count_key, &listed, &call), NKV_OK,
                 "%s", call.error.text);
    cr_assert_eq(listed, 2);
    cr_assert_eq(nkv_lmcache_ping(self.lmcache, &call), NKV_OK);
    cr_assert_eq(nkv_lmcache_remove(self.lmcache, back, 1, &call), NKV_OK);
    cr_assert_eq(nkv_lmcache_prefix(self.lmcache, keys, 3, &call, &prefix), NKV_OK);
    cr_assert_eq(prefix, 0);
    tear_down(&self);
}

Test(client_wrap_batches, chunks_in_two_keys)
{
    chunks_with(NKV_LMCACHE_PLAIN_SUFFIX);
    chunks_with(NKV_LMCACHE_HASH_TAG);
}

Test(client_wrap_batches, chunks_in_one_key)
{
    chunks_with(NKV_LMCACHE_SINGLE_KEY);
}

Test(client_wrap_batches, a_submitted_batch_ends_while_the_connector_hangs)
{
    rig self = set_up(NKV_LMCACHE_PLAIN_SUFFIX);
    nkv_queue *queue;
    nkv_completion done;
    nkv_item item = {.key = nkv_cstr("a")};
    cr_assert_eq(nkv_queue_create(&queue, NULL), NKV_OK);
    t_store_hold(self.store, T_STORE_GET);
    nkv_ticket ticket = {.queue = queue};
    cr_assert_eq(nkv_submit_get(self.client, &item, 1, &ticket), NKV_OK);
    cr_assert_eq(nkv_queue_cancel(queue, ticket.id), NKV_OK);
    cr_assert_eq(nkv_queue_wait(queue, 5000), NKV_OK);
    cr_assert_eq(nkv_queue_drain(queue, &done, 1), 1);
    cr_assert_eq(done.status, NKV_ECANCELED);
    t_store_go(self.store);
    nkv_queue_destroy(queue);
    tear_down(&self);
}
