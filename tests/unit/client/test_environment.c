/* tests/unit/client/test_environment.c - what the environment says of sentinels, and when it is
 * looked at. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "client/environment.h"

static nkv_options options;
static nkvi_url url;
static nkv_error error;

static void setup(void)
{
    unsetenv("REDIS_SERVICE_NAME");
    unsetenv("REDIS_TIMEOUT");
    nkv_options_init(&options);
    cr_assert_eq(nkvi_url_parse("redis-sentinel://h", &url, NULL), NKV_OK);
    memset(&error, 0, sizeof error);
}

static void clear(void)
{
    nkvi_url_clear(&url);
}

TestSuite(client_environment, .init = setup, .fini = clear);

Test(client_environment, what_is_not_set_changes_nothing)
{
    cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK);
    cr_assert_null(url.service);
    cr_assert_eq(url.sentinel_timeout_ms, -1);
    setenv("REDIS_SERVICE_NAME", "", 1);
    setenv("REDIS_TIMEOUT", "", 1);
    cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK);
    cr_assert_null(url.service);
    cr_assert_eq(url.sentinel_timeout_ms, -1);
}

Test(client_environment, what_is_set_is_copied)
{
    setenv("REDIS_SERVICE_NAME", "my-master", 1);
    setenv("REDIS_TIMEOUT", "3", 1);
    cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK);
    setenv("REDIS_SERVICE_NAME", "another", 1);
    cr_assert_str_eq(url.service, "my-master");
    cr_assert_eq(url.sentinel_timeout_ms, 3000);
}

Test(client_environment, a_time_is_in_seconds_or_has_a_unit)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"1", 1000},    {"0.25", 250}, {"2.5s", 2500},
                {"250ms", 250}, {"1m", 60000}, {"365d", INT64_C(365) * 86400000}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        url.sentinel_timeout_ms = -1;
        setenv("REDIS_TIMEOUT", rows[i].text, 1);
        cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK, "%s", rows[i].text);
        cr_assert_eq(url.sentinel_timeout_ms, rows[i].ms, "%s", rows[i].text);
    }
}

Test(client_environment, a_bad_time_is_refused_by_the_name_of_the_variable)
{
    static const char *const texts[] = {"0", "-1", "soon", "1e3", " 1", "1 ", "nan", "366d", "1x"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        setenv("REDIS_TIMEOUT", texts[i], 1);
        cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_EINVAL, "%s", texts[i]);
        cr_assert_str_eq(error.text,
                         "REDIS_TIMEOUT of the environment: expected are seconds (2.5), "
                         "or 250ms, 5s, 1m; above 0, at most 365 days");
        cr_assert_eq(url.sentinel_timeout_ms, -1);
    }
}

Test(client_environment, a_bad_service_is_refused_by_the_name_of_the_variable)
{
    char longer[257];

    memset(longer, 's', 256);
    longer[256] = '\0';
    const char *const texts[] = {"my master", " ", "a\tb", "caf\xc3\xa9", longer};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        setenv("REDIS_SERVICE_NAME", texts[i], 1);
        cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_EINVAL, "%s", texts[i]);
        cr_assert_str_eq(error.text,
                         "REDIS_SERVICE_NAME of the environment: 1 to 255 visible ASCII "
                         "characters are allowed, no blanks");
        cr_assert_null(url.service);
    }
}

Test(client_environment, what_the_options_say_is_not_looked_up)
{
    setenv("REDIS_SERVICE_NAME", "not one", 1);
    setenv("REDIS_TIMEOUT", "not one", 1);
    options.service_name = "s";
    options.sentinel_timeout_ms = 5;
    cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK, "%s", error.text);
    cr_assert_null(url.service);
    cr_assert_eq(url.sentinel_timeout_ms, -1);
}

Test(client_environment, nor_is_what_the_url_says)
{
    setenv("REDIS_SERVICE_NAME", "not one", 1);
    setenv("REDIS_TIMEOUT", "not one", 1);
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("redis-sentinel://h/s?sentinel_timeout=2", &url, NULL), NKV_OK);
    cr_assert_eq(nkvi_environment_read(&options, &url, &error), NKV_OK, "%s", error.text);
    cr_assert_str_eq(url.service, "s");
    cr_assert_eq(url.sentinel_timeout_ms, 2000);
}

static bool fail_all(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return false;
}

Test(client_environment, without_memory_it_says_so)
{
    setenv("REDIS_SERVICE_NAME", "s", 1);
    nkvi_mem_set_gate(fail_all, NULL);
    nkv_status status = nkvi_environment_read(&options, &url, &error);
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert_eq(status, NKV_ENOMEM);
    cr_assert_null(url.service);
}
