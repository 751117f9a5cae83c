/* cli/connect.c - a client as the settings want it, connected. */
#include "cli/connect.h"

#include <stdio.h>

static const char *reason(const nkv_error *error, nkv_status status)
{
    return error->text[0] != '\0' ? error->text : nkv_status_text(status);
}

int nkvi_connect_silently(const nkvi_settings *settings, bool no_cache, nkv_client **out,
                          nkvi_out *said)
{
    nkv_options options;
    nkv_error error = {0};

    *out = NULL;
    nkvi_options_client(settings, &options);
    options.no_cache = options.no_cache || no_cache;
    nkv_status status = nkv_client_create(&options, out, &error);
    if (status < 0) {
        nkvi_out_text(said, reason(&error, status));
        *out = NULL;
        return status == NKV_EINVAL || status == NKV_ENOTSUP ? NKVI_EXIT_USAGE : NKVI_EXIT_FAILURE;
    }
    status = nkv_client_wait_ready(*out, settings->connect_timeout_ms, &error);
    if (status == NKV_ENOTSUP) {
        if (!options.no_cache) {
            nkvi_out_printf(said, "nothing is cached: %s", reason(&error, status));
        }
    } else if (status < 0) {
        nkvi_out_text(said, reason(&error, status));
        nkv_client_destroy(*out);
        *out = NULL;
        return NKVI_EXIT_FAILURE;
    }
    return NKVI_EXIT_OK;
}

int nkvi_connect(const nkvi_settings *settings, bool no_cache, nkv_client **out)
{
    nkvi_out said = {0};
    int status = nkvi_connect_silently(settings, no_cache, out, &said);

    if (said.len > 0) {
        fprintf(stderr, "nearkv: %.*s\n", (int)said.len, said.data);
    }
    nkvi_out_clear(&said);
    return status;
}
