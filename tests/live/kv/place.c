/* tests/live/kv/place.c - see place.h. */
#include "place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/near.h"

void place_on_server(t_server *server, void (*scenario)(const place *at))
{
    t_ctl *ctl = t_ctl_open(server);
    const place at = {.url = t_server_unix_url(server), .ctl = ctl};
    scenario(&at);
    t_ctl_close(ctl);
}

t_ctl *place_ctl(const place *at, const char *key)
{
    return at->cluster == NULL
               ? at->ctl
               : t_cluster_ctl(at->cluster,
                               t_cluster_owner(at->cluster, t_cluster_slot(key, strlen(key))));
}

nkv_kv_options place_options(const char *prefix)
{
    nkv_kv_options options;
    nkv_kv_options_init(&options);
    options.prefix = nkv_cstr(prefix);
    return options;
}

nkv_kv *place_open_with(const place *at, const nkv_kv_options *options)
{
    nkv_options client = t_near_options(at->url);
    nkv_kv *kv;
    nkv_error error;
    T_REQUIRE(nkv_kv_open(&client, options, &kv, &error) == NKV_OK);
    T_REQUIRE(nkv_client_wait_ready(nkv_kv_client(kv), 5000, &error) == NKV_OK);
    return kv;
}

nkv_kv *place_open(const place *at, const char *prefix)
{
    nkv_kv_options options = place_options(prefix);
    return place_open_with(at, &options);
}

static nkv_status read_text(nkv_kv *kv, const char *key, nkv_call *call, char *out, size_t room)
{
    nkv_value *value;
    nkv_call_init(call);
    nkv_status status = nkv_kv_get(kv, nkv_cstr(key), call, &value);
    if (status == NKV_OK) {
        (void)snprintf(out, room, "%.*s", (int)nkv_value_str(value).len, nkv_value_str(value).data);
    } else if (status == NKV_NOT_FOUND) {
        (void)snprintf(out, room, "_");
    } else {
        (void)snprintf(out, room, "!%s", call->error.text);
    }
    T_REQUIRE((value != NULL) == (status == NKV_OK));
    nkv_value_release(value);
    return status;
}

const char *place_get(nkv_kv *kv, const char *key)
{
    static char text[512];
    nkv_call call;
    (void)read_text(kv, key, &call, text, sizeof text);
    return text;
}

nkv_from place_from(nkv_kv *kv, const char *key)
{
    char text[512];
    nkv_call call;
    cr_expect_geq((int)read_text(kv, key, &call, text, sizeof text), 0, "%s", text);
    return call.from;
}

nkv_status place_set(nkv_kv *kv, const char *key, const char *value)
{
    return nkv_kv_set(kv, nkv_cstr(key), nkv_cstr(value), NULL, NULL);
}

nkv_status place_set_ttl(nkv_kv *kv, const char *key, const char *value, int64_t ttl_ms)
{
    nkv_kv_set_options how;
    nkv_kv_set_options_init(&how);
    how.ttl_ms = ttl_ms;
    return nkv_kv_set(kv, nkv_cstr(key), nkv_cstr(value), &how, NULL);
}

const char *place_seen(const place *at, const char *key)
{
    static char text[512];
    char *there = t_ctl_text(place_ctl(at, key), "GET", key);
    (void)snprintf(text, sizeof text, "%s", there != NULL ? there : "_");
    free(there);
    return text;
}

long long place_pttl(const place *at, const char *key)
{
    return t_ctl_int(place_ctl(at, key), "PTTL", key);
}

void place_put(const place *at, const char *key, const char *value)
{
    t_ctl_ok(place_ctl(at, key), "SET", key, value);
}

long long place_dbsize(const place *at)
{
    long long sum = 0;
    if (at->cluster == NULL) {
        return t_ctl_int(at->ctl, "DBSIZE");
    }
    for (int i = 0; i < t_cluster_size(at->cluster); i++) {
        if (t_cluster_up(at->cluster, i) && t_cluster_is_primary(at->cluster, i)) {
            sum += t_ctl_int(t_cluster_ctl(at->cluster, i), "DBSIZE");
        }
    }
    return sum;
}
