/* client/merge.c - see merge.h. */
#include "client/merge.h"

#include "base/status.h"
#include "client/environment.h"

#define SERVICE_DEFAULT             "redismaster"
#define SENTINEL_TIMEOUT_DEFAULT_MS 1000

_Static_assert((int)NKVI_URL_READ_NOT_GIVEN == (int)NKV_READ_DEFAULT &&
                   (int)NKVI_URL_READ_PRIMARY == (int)NKV_READ_PRIMARY &&
                   (int)NKVI_URL_READ_PREFER_REPLICA == (int)NKV_READ_PREFER_REPLICA &&
                   (int)NKVI_URL_READ_REPLICA == (int)NKV_READ_REPLICA &&
                   (int)NKVI_URL_READ_NEAREST == (int)NKV_READ_NEAREST,
               "the URL's words are the option's values");

static void merge_sentinels(nkv_options *options, const nkvi_url *url)
{
    if (options->service_name == NULL) {
        options->service_name = url->service != NULL ? url->service : SERVICE_DEFAULT;
    }
    if (options->sentinel_timeout_ms <= 0) {
        options->sentinel_timeout_ms =
            url->sentinel_timeout_ms > 0 ? url->sentinel_timeout_ms : SENTINEL_TIMEOUT_DEFAULT_MS;
    }
}

nkv_status nkvi_merge_topology(nkv_options *options, nkvi_url *url, nkv_error *error)
{
    if (url->topology == NKVI_CLUSTER && options->db > 0) {
        return nkvi_fail(error, NKV_EINVAL, "option db is %d; a cluster has database 0 only",
                         options->db);
    }
    bool replicas = options->read_from > NKV_READ_PRIMARY || url->read_from > NKVI_URL_READ_PRIMARY;
    if (url->topology == NKVI_CLUSTER && replicas) {
        return nkvi_fail(error, NKV_ENOTSUP,
                         "option read_from: of a cluster the primaries are read from; replicas are "
                         "read from where sentinels watch them");
    }
    if (url->topology == NKVI_SENTINEL) {
        nkv_status status = nkvi_environment_read(options, url, error);
        if (status != NKV_OK) {
            return status;
        }
        merge_sentinels(options, url);
    }
    options->address_map = options->address_map != NULL ? options->address_map : url->address_map;
    if (options->read_from == NKV_READ_DEFAULT) {
        options->read_from = (nkv_read_from)url->read_from;
    }
    if (options->read_from == NKV_READ_DEFAULT) {
        options->read_from = NKV_READ_PRIMARY;
    }
    if (url->topology_max_age_ms > 0) {
        options->topology_max_age_ms = url->topology_max_age_ms;
    }
    if (url->replica_max_ttl_ms > 0) {
        options->replica_max_ttl_ms = url->replica_max_ttl_ms;
    }
    if (options->replica_max_ttl_ms < 0) {
        options->replica_max_ttl_ms = options->max_ttl_ms;
    }
    return NKV_OK;
}
