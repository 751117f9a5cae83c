/* tests/live/client/test_batch_values.c - nkv_batch_*: many keys, values of any size, where the
 * caller wants them; LMCache's behaviours 10, 11, 12 and 15 for plain keys, and P2. */
#include <stdlib.h>
#include <sys/mman.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/items.h"
#include "support/live.h"
#include "support/near.h"

static const char *get(nkv_client *client, t_items *list)
{
    t_items_reset(list);
    nkv_call call;
    nkv_call_init(&call);
    const nkv_status status = nkv_batch_get(client, list->items, list->n, &call);
    const char *text = t_items_text(list);
    const bool all_fine = strspn(text, "+-") == strlen(text);
    cr_assert_eq(status == NKV_OK, all_fine, "%s, %s", nkv_status_text(status), text);
    cr_assert(all_fine || (call.error.status == status && call.error.text[0] != '\0'), "%s", text);
    return text;
}

static void lay(t_ctl *ctl, const char *key, size_t len)
{
    char *value = malloc(len + 1);
    T_REQUIRE(value != NULL);
    t_value_fill(value, len, nkv_cstr(key), 0);
    const t_arg args[] = {T_ARG("SET"), T_ARG_BYTES(key, strlen(key)), T_ARG_BYTES(value, len)};
    freeReplyObject(t_ctl_args(ctl, 3, args));
    free(value);
}

/* ---- Exists ---------------------------------------------------------------------------------- */

/* More keys than go into one request, with few requests allowed at a time, and with many. */
T_LIVE(client_batch_values, exists_of_many_keys)
{
    enum { N = 3000 };
    static const int64_t limits[] = {1, 2, 60, 65536};
    t_ctl *ctl = t_ctl_open(server);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        nkv_options options = t_near_options(t_server_unix_url(server));
        options.inflight_max = limits[i];
        options.chunk_size = 128;
        nkv_client *client = t_near_open(&options);
        t_items list = t_items_new("many", N);
        for (size_t k = 0; k < N; k += 3) {
            t_ctl_ok(ctl, "SET", list.keys[k], "x");
        }
        for (int round = 0; round < 4; round++) {
            nkv_call call;
            nkv_call_init(&call);
            call.no_cache = round % 2;
            cr_assert_eq(nkv_batch_exists(client, list.items, N, &call), NKV_OK, "%s",
                         call.error.text);
            for (size_t k = 0; k < N; k++) {
                cr_assert_eq(list.items[k].status, k % 3 == 0 ? NKV_OK : NKV_NOT_FOUND, "%zu", k);
            }
        }
        t_items_free(&list);
        nkv_client_destroy(client);
    }
    t_ctl_close(ctl);
}

/* ---- Get ------------------------------------------------------------------------------------- */

/* 0 B to 32 MiB, into memory that fits, and as a reference; misses between them. */
T_LIVE(client_batch_values, case_15_sizes_there_and_back)
{
    static const size_t sizes[] = {
        0, 1, 2, 63, 64, 16383, 16384, 65535, 65536, 1 << 20, (4 << 20) + 1, 32 << 20};
    enum { N = sizeof sizes / sizeof sizes[0] };
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_items put = t_items_new("size", N);
    t_items list = t_items_new("size", 2 * N);
    for (size_t i = 0; i < N; i++) {
        t_item_value(&put, i, sizes[i], 0);
        t_item_key(&list, 2 * i, put.keys[i], strlen(put.keys[i]));
        t_item_key(&list, 2 * i + 1, "none", 4);
        t_item_buf(&list, 2 * i, sizes[i]);
    }
    cr_assert_eq(nkv_batch_put(client, put.items, N, 0, NULL), NKV_OK);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq((size_t)t_ctl_int(ctl, "STRLEN", put.keys[i]), sizes[i]);
    }
    for (int round = 0; round < 2; round++) {
        cr_assert_str_eq(get(client, &list), "+-+-+-+-+-+-+-+-+-+-+-+-");
        for (size_t i = 0; i < N; i++) {
            cr_assert_eq(list.items[2 * i].len, sizes[i]);
            cr_assert(t_item_has(&list, 2 * i));
        }
        for (size_t i = 0; round == 0 && i < N; i++) {
            list.items[2 * i].buf = NULL; /* the second time by reference */
        }
    }
    t_items_free(&put);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batch_values, case_11_and_12_every_item_for_itself)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    static const size_t lens[] = {1, 70000, 2 << 20};
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    for (size_t l = 0; l < 3; l++) {
        const size_t len = lens[l];
        t_items list = t_items_list("a list none a small a list large a none");
        lay(ctl, "a", len);
        lay(ctl, "small", len);
        lay(ctl, "large", len);
        t_items_bufs(&list, len);
        t_item_buf(&list, 4, len - 1);
        t_item_buf(&list, 7, len + 500);
        for (int round = 0; round < 10; round++) {
            cr_assert_str_eq(get(client, &list), "+R-+S+R++-");
            for (size_t i = 0; i < list.n; i++) {
                cr_assert(list.items[i].status == NKV_OK ? t_item_has(&list, i)
                                                         : t_item_untouched(&list, i),
                          "item %zu", i);
            }
            cr_assert_eq(list.items[4].len, len);
        }
        t_items_free(&list);
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

typedef struct order {
    int calls;
    size_t len;
    void *gave;
} order;

static void *take_order(nkv_item *item)
{
    order *o = item->ud;
    o->calls++;
    o->len = item->len;
    o->gave = item->key.data[0] == 'r' ? NULL : malloc(item->len + 1);
    return o->gave;
}

T_LIVE(client_batch_values, memory_from_the_callers_function)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_list("a none refused b c list a");
    static const size_t lens[] = {100, 0, 500, 70000, 3 << 20, 0, 100};
    order orders[7] = {{.calls = 0}};
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    for (size_t i = 0; i < 7; i++) {
        if (lens[i] > 0) {
            lay(ctl, list.keys[i], lens[i]);
        }
        list.items[i].alloc = take_order;
        list.items[i].ud = &orders[i];
    }
    cr_assert_str_eq(get(client, &list), "+-M++R+");
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(orders[i].calls, lens[i] > 0, "item %zu: %d calls", i, orders[i].calls);
        cr_assert_eq(orders[i].len, lens[i]);
        cr_assert_null(list.items[i].held);
        if (list.items[i].status == NKV_OK) {
            cr_assert_eq(list.items[i].buf, orders[i].gave);
            cr_assert(t_item_has(&list, i));
        }
        free(orders[i].gave);
    }
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Reads of batches fill no cache, and are not answered from it. */
T_LIVE(client_batch_values, gets_ask_the_server_and_fill_no_cache)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    lay(ctl, "k", 100);
    t_items list = t_items_list("k");
    for (int round = 1; round <= 3; round++) {
        cr_assert_str_eq(get(client, &list), "+");
        cr_assert_eq(t_ctl_calls(ctl, "get") + t_ctl_calls(ctl, "mget"), round);
    }
    cr_assert_eq(t_near_get(client, "k").from, NKV_FROM_SERVER);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batch_values, wrong_arguments_and_batches_of_nothing)
{
    nkv_client *client = t_near_open_on(server);
    cr_assert_eq(nkv_batch_get(client, NULL, 0, NULL), NKV_OK);
    cr_assert_eq(nkv_batch_put(client, NULL, 0, 0, NULL), NKV_OK);
    cr_assert_eq(nkv_batch_exists(client, NULL, 0, NULL), NKV_OK);
    cr_assert_eq(nkv_batch_remove(client, NULL, 0, NULL), NKV_OK);
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_batch_get(client, NULL, 1, &call), NKV_EINVAL);
    cr_assert(call.error.text[0] != '\0');
    cr_assert_eq(nkv_batch_put(client, NULL, 1, 0, NULL), NKV_EINVAL);
    cr_assert_eq(nkv_batch_exists(client, NULL, 1, NULL), NKV_EINVAL);
    cr_assert_eq(nkv_batch_remove(client, NULL, 1, NULL), NKV_EINVAL);
    nkv_client_destroy(client);
}

/* ---- Put ------------------------------------------------------------------------------------- */

T_LIVE(client_batch_values, case_15_keys_of_any_bytes)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_new("", 6);
    static const nkv_str keys[] = {{"", 0},          {" ", 1},    {"\0", 1},
                                   {"a\r\n\0 b", 6}, {"\xff", 1}, {"$5\r\nabcde\r\n", 11}};
    for (size_t i = 0; i < 6; i++) {
        t_item_key(&list, i, keys[i].data, keys[i].len);
    }
    t_items_values(&list, 70000);
    cr_assert_eq(nkv_batch_put(client, list.items, 6, 0, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 6);
    t_items_bufs(&list, 70000);
    cr_assert_str_eq(get(client, &list), "++++++");
    for (size_t i = 0; i < 6; i++) {
        cr_assert(t_item_has(&list, i));
    }
    cr_assert_eq(nkv_batch_exists(client, list.items, 6, NULL), NKV_OK);
    cr_assert_str_eq(t_items_text(&list), "++++++");
    cr_assert_eq(nkv_batch_remove(client, list.items, 6, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 0);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batch_values, case_16_expiry_of_what_is_put)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_new("k", 3);
    t_items_values(&list, 1000);
    cr_assert_eq(nkv_batch_put(client, list.items, 3, 60500, NULL), NKV_OK);
    for (size_t i = 0; i < 3; i++) {
        const long long left = t_ctl_int(ctl, "PTTL", list.keys[i]);
        cr_assert(left > 50000 && left <= 60500, "%lld", left);
    }
    cr_assert_eq(nkv_batch_put(client, list.items, 3, 0, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(ctl, "PTTL", "k0"), -1);
    cr_assert_eq(nkv_batch_put(client, list.items, 3, -5, NULL), NKV_EINVAL);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batch_values, case_15_more_than_512_mib_is_not_sent)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    const size_t len = NKV_VALUE_MAX + 1;
    void *huge = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    T_REQUIRE(huge != MAP_FAILED);
    t_items list = t_items_list("a huge b huger");
    t_items_values(&list, 100);
    list.items[1].value = nkv_str_make(huge, len);
    list.items[3].value = nkv_str_make(huge, SIZE_MAX); /* a length that nobody has */
    const long long before = t_ctl_info_int(ctl, "stats", "total_net_input_bytes");
    cr_assert_eq(nkv_batch_put(client, list.items, 4, 0, NULL), NKV_EINVAL);
    cr_assert_str_eq(t_items_text(&list), "+I+I");
    cr_assert_lt(t_ctl_info_int(ctl, "stats", "total_net_input_bytes") - before, 1 << 20);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 2);
    T_REQUIRE(munmap(huge, len) == 0);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* P2: what is cached of a key is gone when the put, or the removal, returns. */
T_LIVE(client_batch_values, p2_reads_behind_puts_and_removals)
{
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_new("k", 3);
    for (uint64_t round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 3; i++) {
            t_item_value(&list, i, 40, round);
        }
        cr_assert_geq((int)t_near_get(client, "k1").status, 0);
        cr_assert_eq(nkv_batch_put(client, list.items, 3, 0, NULL), NKV_OK);
        nkv_value *value = NULL;
        cr_assert_eq(nkv_get(client, list.items[1].key, NULL, &value), NKV_OK);
        const nkv_str got = nkv_value_str(value);
        cr_assert(got.len == 40 && t_value_is(got.data, 40, list.items[1].key, round));
        nkv_value_release(value);
        if (round % 4 == 0) {
            cr_assert_eq(nkv_batch_remove(client, list.items, 3, NULL), NKV_OK);
            cr_assert_str_eq(t_items_text(&list), "+++");
            cr_assert_eq(t_near_get(client, "k1").status, NKV_NOT_FOUND);
        }
    }
    cr_assert(t_near_identity(client));
    t_items_free(&list);
    nkv_client_destroy(client);
}

/* ---- Exists and remove ----------------------------------------------------------------------- */

T_LIVE(client_batch_values, exists_by_key_from_the_cache_where_it_can)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "b", "");
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    t_items list = t_items_list("a none b list a none");
    for (int round = 0; round < 2; round++) {
        t_items_reset(&list);
        cr_assert_eq(nkv_batch_exists(client, list.items, 6, NULL), NKV_OK);
        cr_assert_str_eq(t_items_text(&list), "+-+++-");
        for (size_t i = 0; i < 6; i++) {
            cr_assert(round == 0 || list.items[i].from == NKV_FROM_CACHE, "item %zu", i);
            cr_assert_null(list.items[i].held);
        }
    }
    const long long calls = t_ctl_data_calls(ctl);
    cr_assert_eq(nkv_batch_exists(client, list.items, 6, NULL), NKV_OK);
    cr_assert_eq(t_ctl_data_calls(ctl), calls);
    t_ctl_ok(ctl, "DEL", "a");
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    cr_assert_eq(nkv_batch_exists(client, list.items, 6, &call), NKV_OK);
    cr_assert_str_eq(t_items_text(&list), "--++--");
    cr_assert(t_near_identity(client));
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_batch_values, case_24_remove_tells_for_each_key)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_items list = t_items_new("k", 500);
    for (size_t i = 0; i < 500; i += 3) {
        t_ctl_ok(ctl, "SET", list.keys[i], "x");
    }
    cr_assert_eq(nkv_batch_remove(client, list.items, 500, NULL), NKV_OK);
    for (size_t i = 0; i < 500; i++) {
        cr_assert_eq(list.items[i].status, i % 3 == 0 ? NKV_OK : NKV_NOT_FOUND, "%zu", i);
    }
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 0);
    t_items_free(&list);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
