/* client/environment.c - see environment.h. */
#include "client/environment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"

#define TIME_LIMIT_MS (INT64_C(365) * 24 * 3600 * 1000)

/* NULL: not set, or to nothing. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static nkv_status read_service(nkvi_url *url, nkv_error *error)
{
    const char *value = variable("REDIS_SERVICE_NAME");
    if (value == NULL) {
        return NKV_OK;
    }
    if (!nkvi_url_is_service(value)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "REDIS_SERVICE_NAME of the environment: 1 to 255 visible ASCII characters "
                         "are allowed, no blanks");
    }
    url->service = nkvi_strndup(value, strlen(value));
    return url->service != NULL
               ? NKV_OK
               : nkvi_fail(error, NKV_ENOMEM, "no memory for a sentinel's service");
}

static nkv_status read_timeout(nkvi_url *url, nkv_error *error)
{
    static const nkvi_bound bound = {"REDIS_TIMEOUT", 1, TIME_LIMIT_MS};
    const char *value = variable("REDIS_TIMEOUT");
    if (value != NULL &&
        nkvi_parse_ms(nkv_cstr(value), 1000, &bound, &url->sentinel_timeout_ms, NULL) != NKV_OK) {
        return nkvi_fail(error, NKV_EINVAL,
                         "REDIS_TIMEOUT of the environment: expected are seconds (2.5), or 250ms, "
                         "5s, 1m; above 0, at most 365 days");
    }
    return NKV_OK;
}

nkv_status nkvi_environment_read(const nkv_options *options, nkvi_url *url, nkv_error *error)
{
    nkv_status status = NKV_OK;
    assert(url->topology == NKVI_SENTINEL);
    if (options->service_name == NULL && url->service == NULL) {
        status = read_service(url, error);
    }
    if (status == NKV_OK && options->sentinel_timeout_ms <= 0 && url->sentinel_timeout_ms <= 0) {
        status = read_timeout(url, error);
    }
    return status;
}
