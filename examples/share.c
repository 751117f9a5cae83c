/* share.c - two clients on one cache: what one has read, the other need not ask for; what one
 * writes, the other sees at once.
 *
 *      share URL
 */
#include <stdio.h>

#include <nearkv/nearkv.h>

static int fail(const char *what, const char *text)
{
    fprintf(stderr, "share: %s: %s\n", what, text);
    return 1;
}

/* Reads the key and says who answered. */
static int show(nkv_client *client, const char *who)
{
    nkv_call call;
    nkv_value *value;
    nkv_call_init(&call);
    nkv_status status = nkv_get(client, nkv_cstr("share:greeting"), &call, &value);
    if (status != NKV_OK) {
        return fail(who, status < 0 ? call.error.text : "not found");
    }
    nkv_str bytes = nkv_value_str(value);
    printf("%s reads %.*s from the %s\n", who, (int)bytes.len, bytes.data,
           call.from == NKV_FROM_CACHE ? "cache" : "server");
    nkv_value_release(value);
    return 0;
}

static int run(nkv_client *first, nkv_client *second)
{
    nkv_call call;
    nkv_call_init(&call);
    if (nkv_set(first, nkv_cstr("share:greeting"), nkv_cstr("hello"), 60000, &call) != NKV_OK) {
        return fail("set", call.error.text);
    }
    if (show(first, "first") != 0 || show(second, "second") != 0) {
        return 1;
    }
    if (nkv_set(second, nkv_cstr("share:greeting"), nkv_cstr("good evening"), 60000, &call) !=
        NKV_OK) {
        return fail("set", call.error.text);
    }
    return show(first, "first");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: share URL\n");
        return 2;
    }
    nkv_options options;
    nkv_client *first, *second;
    nkv_error error;
    nkv_options_init(&options);
    options.url = argv[1];
    if (nkv_client_create(&options, &first, &error) != NKV_OK ||
        nkv_client_wait_ready(first, 5000, &error) != NKV_OK) {
        return fail("first client", error.text);
    }
    if (nkv_client_share(first, &second, &error) != NKV_OK ||
        nkv_client_wait_ready(second, 5000, &error) != NKV_OK) {
        return fail("second client", error.text);
    }
    int failed = run(first, second);
    nkv_client_destroy(second);
    nkv_client_destroy(first);
    return failed;
}
