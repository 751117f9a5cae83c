/* get.c - reads one key three times and says where each answer came from.
 *
 *      get URL KEY             for example: get redis://localhost KEY
 */
#include <stdio.h>

#include <nearkv/nearkv.h>

static const char *const from_names[] = {"server", "cache", "joined", "local"};

static int show(nkv_client *client, const char *key)
{
    nkv_call call;
    nkv_value *value;
    nkv_call_init(&call);
    nkv_status status = nkv_get(client, nkv_cstr(key), &call, &value);
    if (status < 0) {
        fprintf(stderr, "get: %s\n", call.error.text);
        return 1;
    }
    nkv_str bytes = status == NKV_OK ? nkv_value_str(value) : nkv_cstr("(nil)");
    printf("%.*s  (from the %s)\n", (int)bytes.len, bytes.data, from_names[call.from]);
    nkv_value_release(value);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: get URL KEY\n");
        return 2;
    }
    nkv_options options;
    nkv_client *client;
    nkv_error error;
    nkv_options_init(&options);
    options.url = argv[1];
    if (nkv_client_create(&options, &client, &error) != NKV_OK ||
        nkv_client_wait_ready(client, 5000, &error) != NKV_OK) {
        fprintf(stderr, "get: %s\n", error.text);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < 3 && !failed; i++) {
        failed = show(client, argv[2]);
    }
    nkv_client_destroy(client);
    return failed;
}
