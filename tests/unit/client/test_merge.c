/* tests/unit/client/test_merge.c - which of option, URL and environment counts with clusters and
 * sentinels, and what becomes of the texts. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "client/client_int.h"
#include "client/merge.h"

static nkv_options options;
static nkvi_url url;
static nkv_error error;

static void setup(void)
{
    unsetenv("REDIS_SERVICE_NAME");
    unsetenv("REDIS_TIMEOUT");
    nkv_options_init(&options);
    memset(&url, 0, sizeof url);
    memset(&error, 0, sizeof error);
}

static void clear(void)
{
    nkvi_url_clear(&url);
}

TestSuite(client_merge, .init = setup, .fini = clear);

static nkv_status merge(const char *text)
{
    cr_assert_eq(nkvi_url_parse(text, &url, &error), NKV_OK, "%s", error.text);
    return nkvi_merge_topology(&options, &url, &error);
}

Test(client_merge, what_nobody_says)
{
    cr_assert_eq(merge("redis-sentinel://h"), NKV_OK);
    cr_assert_str_eq(options.service_name, "redismaster");
    cr_assert_eq(options.sentinel_timeout_ms, 1000);
    cr_assert_eq(options.topology_max_age_ms, 10000);
    cr_assert_eq(options.read_from, NKV_READ_PRIMARY);
    cr_assert_eq(options.replica_max_ttl_ms, options.max_ttl_ms);
    cr_assert_null(options.address_map);
}

Test(client_merge, what_the_environment_says)
{
    setenv("REDIS_SERVICE_NAME", "e", 1);
    setenv("REDIS_TIMEOUT", "0.5", 1);
    cr_assert_eq(merge("redis-sentinel://h"), NKV_OK);
    cr_assert_str_eq(options.service_name, "e");
    cr_assert_eq(options.sentinel_timeout_ms, 500);
}

Test(client_merge, what_the_url_says_wins_over_the_environment)
{
    setenv("REDIS_SERVICE_NAME", "e", 1);
    setenv("REDIS_TIMEOUT", "0.5", 1);
    cr_assert_eq(merge("redis-sentinel://h/u?sentinel_timeout=2&topology_max_age=3&"
                       "replica_max_ttl=4&read_from=nearest&address_map=a=b"),
                 NKV_OK);
    cr_assert_str_eq(options.service_name, "u");
    cr_assert_eq(options.sentinel_timeout_ms, 2000);
    cr_assert_eq(options.topology_max_age_ms, 3000);
    cr_assert_eq(options.replica_max_ttl_ms, 4000);
    cr_assert_eq(options.read_from, NKV_READ_NEAREST);
    cr_assert_str_eq(options.address_map, "a=b");
}

/* As with all other times of a URL, those that have a default of their own are the URL's. */
Test(client_merge, what_the_options_say_wins_but_for_two_times)
{
    options.service_name = "o";
    options.sentinel_timeout_ms = 7;
    options.topology_max_age_ms = 700;
    options.replica_max_ttl_ms = 70;
    options.read_from = NKV_READ_REPLICA;
    options.address_map = "c=d";
    cr_assert_eq(merge("redis-sentinel://h/u?sentinel_timeout=2&topology_max_age=3&"
                       "replica_max_ttl=4&read_from=nearest&address_map=a=b"),
                 NKV_OK);
    cr_assert_str_eq(options.service_name, "o");
    cr_assert_eq(options.sentinel_timeout_ms, 7);
    cr_assert_eq(options.topology_max_age_ms, 3000);
    cr_assert_eq(options.replica_max_ttl_ms, 4000);
    cr_assert_eq(options.read_from, NKV_READ_REPLICA);
    cr_assert_str_eq(options.address_map, "c=d");
}

Test(client_merge, every_word_of_read_from_is_its_option)
{
    static const struct {
        const char *text;
        nkv_read_from want;
    } rows[] = {{"redis-sentinel://h?read_from=primary", NKV_READ_PRIMARY},
                {"redis-sentinel://h?read_from=prefer-replica", NKV_READ_PREFER_REPLICA},
                {"redis-sentinel://h?read_from=replica", NKV_READ_REPLICA},
                {"redis-sentinel://h?read_from=nearest", NKV_READ_NEAREST}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nkv_options_init(&options);
        cr_assert_eq(merge(rows[i].text), NKV_OK);
        cr_assert_eq(options.read_from, rows[i].want, "%s", rows[i].text);
        nkvi_url_clear(&url);
    }
}

Test(client_merge, an_age_of_replicas_is_kept)
{
    options.replica_max_ttl_ms = 0;
    cr_assert_eq(merge("redis-cluster://h"), NKV_OK);
    cr_assert_eq(options.replica_max_ttl_ms, 0);
    nkvi_url_clear(&url);
    options.replica_max_ttl_ms = -1;
    options.max_ttl_ms = -1;
    cr_assert_eq(merge("redis-cluster://h"), NKV_OK);
    cr_assert_eq(options.replica_max_ttl_ms, -1, "no bound");
}

Test(client_merge, the_environment_is_of_sentinels_only)
{
    setenv("REDIS_SERVICE_NAME", "not one", 1);
    setenv("REDIS_TIMEOUT", "not one", 1);
    static const char *const texts[] = {"redis://h", "unix:///s", "redis-cluster://h"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(merge(texts[i]), NKV_OK, "%s: %s", texts[i], error.text);
        cr_assert_null(options.service_name);
        nkvi_url_clear(&url);
    }
    cr_assert_eq(merge("redis-sentinel://h"), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "REDIS_SERVICE_NAME"), "%s", error.text);
    nkvi_url_clear(&url);
    cr_assert_eq(merge("redis-sentinel://h/s"), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "REDIS_TIMEOUT"), "%s", error.text);
}

Test(client_merge, a_cluster_has_database_0_only)
{
    options.db = 3;
    cr_assert_eq(merge("redis-cluster://h"), NKV_EINVAL);
    cr_assert_str_eq(error.text, "option db is 3; a cluster has database 0 only");
    nkvi_url_clear(&url);
    options.db = 0;
    cr_assert_eq(merge("redis-cluster://h"), NKV_OK);
    nkvi_url_clear(&url);
    options.db = 3;
    cr_assert_eq(merge("redis-sentinel://h"), NKV_OK);
}

/* ---- The client ------------------------------------------------------------------------------ */

Test(client_merge, texts_are_copied)
{
    char service[] = "service", user[] = "user", password[] = "s3cr3tpw", map[] = "a=b";
    nkv_client *client = NULL;

    options.url = "unix:///nowhere/nothing.sock";
    options.service_name = service;
    options.sentinel_username = user;
    options.sentinel_password = password;
    options.address_map = map;
    cr_assert_eq(nkv_client_create(&options, &client, &error), NKV_OK, "%s", error.text);
    memset(service, 'x', sizeof service - 1);
    memset(user, 'x', sizeof user - 1);
    memset(password, 'x', sizeof password - 1);
    memset(map, 'x', sizeof map - 1);
    cr_assert_str_eq(client->options.service_name, "service");
    cr_assert_str_eq(client->options.sentinel_username, "user");
    cr_assert_str_eq(client->options.sentinel_password, "s3cr3tpw");
    cr_assert_str_eq(client->options.address_map, "a=b");
    nkv_client_destroy(client);
}

/* Every block that is given out, until it is taken back: then it must not have a secret in it. */
typedef struct blocks {
    struct {
        void *at;
        size_t size;
    } block[256];
    int found, taken;
} blocks;

static void watch(void *at, size_t size, void *ud)
{
    blocks *all = ud;

    for (size_t i = 0; i < 256; i++) {
        if (size > 0 && all->block[i].at == NULL) {
            all->block[i].at = at;
            all->block[i].size = size;
            return;
        }
        if (size == 0 && all->block[i].at == at && at != NULL) {
            all->found += memmem(at, all->block[i].size, "s3cr3t", 6) != NULL;
            all->taken++;
            all->block[i].at = NULL;
            return;
        }
    }
}

/* Refused as TLS is, so that nothing but this thread allocates. */
Test(client_merge, passwords_are_wiped)
{
    blocks all = {.found = 0};
    nkv_client *client = NULL;

    options.url = "rediss-sentinel://ann:s3cr3turl@h/s";
    options.password = "s3cr3tone";
    options.sentinel_password = "s3cr3ttwo";
    nkvi_mem_set_watch(watch, &all);
    nkv_status status = nkv_client_create(&options, &client, &error);
    nkvi_mem_set_watch(NULL, NULL);
    cr_assert_eq(status, NKV_ENOTSUP);
    cr_assert_gt(all.taken, 3);
    cr_assert_eq(all.found, 0);
}

Test(client_merge, what_a_cluster_does_not_have)
{
    static const nkv_read_from refused[] = {NKV_READ_PREFER_REPLICA, NKV_READ_REPLICA,
                                            NKV_READ_NEAREST};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        options.read_from = refused[i];
        cr_assert_eq(merge("redis-cluster://h"), NKV_ENOTSUP);
        cr_assert_not_null(strstr(error.text, "read_from"), "%s", error.text);
        nkvi_url_clear(&url);
    }
    options.read_from = NKV_READ_DEFAULT;
    cr_assert_eq(merge("redis-cluster://h?read_from=nearest"), NKV_ENOTSUP);
    nkvi_url_clear(&url);
    cr_assert_eq(merge("redis-cluster://h?read_from=primary"), NKV_OK);
    nkv_client *client = NULL;
    options.url = "rediss-cluster://h";
    cr_assert_eq(nkv_client_create(&options, &client, &error), NKV_ENOTSUP);
    cr_assert_not_null(strstr(error.text, "TLS"), "%s", error.text);
}

/* Clients of other services, or of the same addresses seen through another map, share no answers,
 * even if they share a cache.  Nobody listens there. */
Test(client_merge, services_and_address_maps_do_not_mix)
{
    static const struct {
        const char *url, *map;
    } rows[] = {{"redis-sentinel://127.0.0.1:1/orders", NULL},
                {"redis-sentinel://127.0.0.1:1/users", NULL},
                {"redis-sentinel://127.0.0.1:1/users?read_from=replica", NULL},
                {"redis-sentinel://127.0.0.1:1/users", "a=b"},
                {"redis-cluster://127.0.0.1:1", NULL},
                {"redis-cluster://127.0.0.1:1", "a=b"},
                {"redis://127.0.0.1:1", NULL}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    nkv_client *clients[ROWS];
    nkv_cache *cache = NULL;
    nkv_cache_options cache_options;
    nkv_cache_options_init(&cache_options);
    cr_assert_eq(nkv_cache_create(&cache_options, &cache, &error), NKV_OK);
    for (size_t i = 0; i < ROWS; i++) {
        nkv_options_init(&options);
        options.url = rows[i].url;
        options.address_map = rows[i].map;
        options.cache = cache;
        cr_assert_eq(nkv_client_create(&options, &clients[i], &error), NKV_OK, "%s", error.text);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(nkv_client_space(clients[i]), nkv_client_space(clients[j]), "%zu, %zu", i,
                          j);
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        nkv_client_destroy(clients[i]);
    }
    nkv_cache_release(cache);
}
