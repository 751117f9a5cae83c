/* cli/options_client.c - the settings as the library's options. */
#include "cli/options.h"

void nkvi_options_client(const nkvi_settings *settings, nkv_options *options)
{
    static const nkv_level levels[] = {NKV_EVENTUAL, NKV_DRAIN, NKV_BARRIER};
    static const nkv_policy policies[] = {NKV_POLICY_LRU, NKV_POLICY_S3FIFO};
    static const nkv_read_from reads[] = {NKV_READ_DEFAULT, NKV_READ_PRIMARY,
                                          NKV_READ_PREFER_REPLICA, NKV_READ_REPLICA,
                                          NKV_READ_NEAREST};

    nkv_options_init(options);
    options->url = settings->url;
    options->username = settings->username;
    options->password = settings->password;
    options->client_name = settings->client_name;
    options->service_name = settings->service_name;
    options->sentinel_username = settings->sentinel_username;
    options->sentinel_password = settings->sentinel_password;
    options->address_map = settings->address_map;
    options->read_from = reads[settings->read_from];
    options->resend_writes = (int)settings->resend_writes;
    options->db = (int)settings->db;
    options->timeout_ms = settings->timeout_ms;
    options->connect_timeout_ms = settings->connect_timeout_ms;
    options->sentinel_timeout_ms = settings->sentinel_timeout_ms;
    options->topology_max_age_ms = settings->topology_age_max_ms;
    options->max_idle_ms = settings->idle_max_ms;
    options->max_ttl_ms = settings->ttl_max_ms >= 0 ? settings->ttl_max_ms : -1;
    options->negative_ttl_ms = settings->negative_ttl_ms >= 0 ? settings->negative_ttl_ms : -1;
    options->replica_max_ttl_ms =
        settings->replica_ttl_max_ms >= 0 ? settings->replica_ttl_max_ms : -1;
    options->level = levels[settings->level];
    options->no_cache = (int)settings->no_cache;
    options->prefixes = (const char *const *)settings->prefixes.text;
    options->prefixes_len = settings->prefixes.n;
    options->cache_options.keys_max = settings->keys_max;
    options->cache_options.bytes_max = settings->bytes_max;
    options->cache_options.policy = policies[settings->policy];
    options->cache_options.strict = (int)settings->strict;
    options->cache_options.confidence = settings->confidence;
    options->cache_options.dynamic_confidence = (int)settings->dynamic_confidence;
}
