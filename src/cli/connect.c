/* cli/connect.c - a client as the settings want it, connected. */
#include "cli/connect.h"

#include <stdio.h>

static const char *reason(const nkv_error *error, nkv_status status)
{
    return error->text[0] != '\0' ? error->text : nkv_status_text(status);
}

int nkvi_connect(const nkvi_settings *settings, bool no_cache, nkv_client **out)
{
    nkv_options options;
    nkv_error error = {0};

    *out = NULL;
    nkvi_options_client(settings, &options);
    options.no_cache = options.no_cache || no_cache;
    nkv_status status = nkv_client_create(&options, out, &error);
    if (status < 0) {
        fprintf(stderr, "nearkv: %s\n", reason(&error, status));
        *out = NULL;
        return status == NKV_EINVAL || status == NKV_ENOTSUP ? NKVI_EXIT_USAGE : NKVI_EXIT_FAILURE;
    }
    status = nkv_client_wait_ready(*out, settings->connect_timeout_ms, &error);
    if (status == NKV_ENOTSUP) {
        if (!options.no_cache) {
            fprintf(stderr, "nearkv: nothing is cached: %s\n", reason(&error, status));
        }
    } else if (status < 0) {
        fprintf(stderr, "nearkv: %s\n", reason(&error, status));
        nkv_client_destroy(*out);
        *out = NULL;
        return NKVI_EXIT_FAILURE;
    }
    return NKVI_EXIT_OK;
}
