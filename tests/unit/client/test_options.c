/* Defaults and checks of the options. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "client/options.h"

static nkv_options options;
static nkv_error error;

static void setup(void)
{
    memset(&error, 0, sizeof error);
    nkv_options_init(&options);
}

TestSuite(client_options, .init = setup);

Test(client_options, defaults_are_valid)
{
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_OK, "%s", error.text);
}

Test(client_options, defaults_are_those_of_the_manual)
{
    cr_assert_eq(options.timeout_ms, 5000);
    cr_assert_eq(options.max_idle_ms, 5000);
    cr_assert_eq(options.cache_options.keys_max, 4096);
    cr_assert_eq(options.cache_options.bytes_max, 64 << 20);
    cr_assert_eq(options.cache_options.confidence, 100.0);
    cr_assert_eq(options.level, NKV_EVENTUAL);
    cr_assert_eq(options.db, -1);
}

Test(client_options, defaults_of_clusters_and_sentinels)
{
    cr_assert_null(options.service_name);
    cr_assert_null(options.sentinel_username);
    cr_assert_null(options.sentinel_password);
    cr_assert_null(options.address_map);
    cr_assert_eq(options.sentinel_timeout_ms, 0);
    cr_assert_eq(options.topology_max_age_ms, 10000);
    cr_assert_eq(options.read_from, NKV_READ_DEFAULT);
    cr_assert_eq(options.replica_max_ttl_ms, -1);
    cr_assert_eq(options.resend_writes, 0);
}

Test(client_options, bounds_of_clusters_and_sentinels)
{
    options.topology_max_age_ms = 100;
    options.read_from = NKV_READ_NEAREST;
    options.resend_writes = 1;
    options.service_name = "my-master";
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_OK, "%s", error.text);
    options.topology_max_age_ms = 99;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "topology_max_age_ms is 99; allowed is 100 to"));
    setup();
    options.read_from = (nkv_read_from)5;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "read_from is 5; allowed is 0 to 4"), "%s", error.text);
    static const char *const services[] = {"", "my master", "a\n"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        setup();
        options.service_name = services[i];
        cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
        cr_assert_not_null(strstr(error.text, "option service_name: 1 to 255"), "%s", error.text);
    }
}

/* Every numeric row refuses what lies just outside its range, and names itself. */
Test(client_options, every_row_refuses_what_is_out_of_range_by_name)
{
    for (size_t i = 0; i < nkvi_options_count; i++) {
        const nkvi_option *row = &nkvi_options_table[i];
        if (row->kind != NKVI_OPTION_INT64 && row->kind != NKVI_OPTION_INT) {
            continue;
        }
        setup();
        char *at = (char *)&options + row->offset;
        if (row->min < -1e17) {
            continue; /* negative means unbounded */
        }
        if (row->kind == NKVI_OPTION_INT64) {
            int64_t low = (int64_t)row->min - 1;
            memcpy(at, &low, sizeof low);
        } else {
            int low = (int)row->min - 1;
            memcpy(at, &low, sizeof low);
        }
        cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL, "%s", row->name);
        cr_assert_not_null(strstr(error.text, row->name), "%s: %s", row->name, error.text);
    }
}

Test(client_options, nan_and_negative_confidence_are_refused)
{
    const double bad[] = {NAN, -0.1, 100.1, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setup();
        options.cache_options.confidence = bad[i];
        cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
        cr_assert_not_null(strstr(error.text, "confidence"), "%s", error.text);
    }
}

Test(client_options, overflowing_times_are_refused)
{
    options.max_ttl_ms = INT64_MAX;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    setup();
    options.timeout_ms = INT64_MAX;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
}

Test(client_options, rules_between_options)
{
    options.backoff_min_ms = 500;
    options.backoff_max_ms = 100;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "backoff_min_ms"));
    setup();
    options.prefixes_len = 1;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    const char *const prefixes[] = {"a", NULL};
    options.prefixes = prefixes;
    options.prefixes_len = 2;
    cr_assert_eq(nkvi_options_check(&options, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "prefixes[1]"));
}

Test(client_options, a_shorter_struct_of_an_older_caller_is_not_written_behind)
{
    char memory[sizeof(nkv_options)];
    size_t old = offsetof(nkv_options, max_idle_ms);
    memset(memory, 0x55, sizeof memory);
    nkv_options_init_sized((nkv_options *)(void *)memory, old);
    cr_assert_eq(((nkv_options *)(void *)memory)->struct_size, old);
    for (size_t i = old; i < sizeof memory; i++) {
        cr_assert_eq(memory[i], 0x55, "byte %zu", i);
    }
}

/* A program that was compiled before there were clusters. */
Test(client_options, options_without_the_newest_fields_are_taken)
{
    nkv_options whole;
    nkv_client *client = NULL;
    memset(&whole, 0x55, sizeof whole); /* what lies behind the older struct is not read */
    nkv_options_init_sized(&whole, offsetof(nkv_options, service_name));
    whole.url = "unix:///nowhere/nothing.sock";
    cr_assert_eq(nkv_client_create(&whole, &client, &error), NKV_OK, "%s", error.text);
    nkv_client_destroy(client);
}

Test(client_options, every_row_has_a_text)
{
    for (size_t i = 0; i < nkvi_options_count; i++) {
        cr_assert_gt(strlen(nkvi_options_table[i].text), 3, "%s", nkvi_options_table[i].name);
        for (size_t j = 0; j < i; j++) {
            cr_assert_str_neq(nkvi_options_table[i].name, nkvi_options_table[j].name);
        }
    }
}
