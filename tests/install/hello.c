/* tests/install/hello.c - a program as a user writes it, built against an installed nearkv.
 *
 * scripts/check_install builds it as C11 and as C++17, with the shared and the static library, and
 * runs it.  No server is there: it uses a value and a cache, and sees that a client which cannot
 * connect answers with a failure within its deadline. */

#include <nearkv/nearkv.h>

#include <stdio.h>
#include <string.h>

static int failures;

static void check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        failures++;
    }
}

static void use_a_value(void)
{
    nkv_value *value = nkv_value_from_bytes("hello", 5);

    check(value != NULL, "a value can be made");
    if (value != NULL) {
        nkv_str text = nkv_value_str(value);
        check(text.len == 5 && memcmp(text.data, "hello", 5) == 0, "a value gives its bytes back");
    }
    nkv_value_release(value);
}

static void use_a_cache(void)
{
    nkv_cache_options options;
    nkv_cache_stats stats;
    nkv_cache *cache = NULL;
    nkv_error error;

    nkv_cache_options_init(&options);
    options.keys_max = 16;
    check(nkv_cache_create(&options, &cache, &error) == NKV_OK, "a cache can be made");
    if (cache != NULL) {
        nkv_cache_get_stats(cache, &stats);
        check(stats.keys == 0 && stats.hits == 0, "a new cache is empty");
    }
    nkv_cache_release(cache);
}

static void use_a_client(void)
{
    nkv_options options;
    nkv_client *client = NULL;
    nkv_value *value = NULL;
    nkv_error error;

    nkv_options_init(&options);
    options.url = "unix:///nonexistent/nearkv.sock";
    options.timeout_ms = 200;
    check(nkv_client_create(&options, &client, &error) == NKV_OK,
          "a client starts without a server");
    if (client != NULL) {
        check(nkv_get(client, nkv_cstr("key"), NULL, &value) < 0, "without a server a read fails");
        check(value == NULL, "a failed read hands out nothing");
    }
    nkv_client_destroy(client);
}

int main(void)
{
    check(nkv_status_text(NKV_ETIMEDOUT) != NULL, "a status has a text");
    use_a_value();
    use_a_cache();
    use_a_client();
    return failures == 0 ? 0 : 1;
}
