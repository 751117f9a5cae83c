/* tests/live/kv/place.h - where a scenario of the key-value handle runs: one server or a cluster.
 *
 *      static void case_empty_value(const place *at) { … place_open(at, "p:") … }
 *      T_LIVE(kv_basic, empty_value) { place_on_server(server, case_empty_value); }
 *
 * An outsider looks at what is really there: the text of a key, nothing in between. */
#ifndef T_LIVE_KV_PLACE_H
#define T_LIVE_KV_PLACE_H

#include <nearkv/nearkv.h>

#include "support/cluster.h"
#include "support/ctl.h"

typedef struct place {
    const char *url;
    t_cluster *cluster; /* or NULL */
    t_ctl *ctl;         /* of the one server, or NULL */
} place;

void place_on_server(t_server *server, void (*scenario)(const place *at));

/* The outsider's connection to whoever has the key. */
t_ctl *place_ctl(const place *at, const char *key);

/* Options that are the defaults but for the prefix. */
nkv_kv_options place_options(const char *prefix);

/* A handle with a client of its own, which is ready. */
nkv_kv *place_open(const place *at, const char *prefix);
nkv_kv *place_open_with(const place *at, const nkv_kv_options *options);

/* What a read comes to: the text, "_" for NKV_NOT_FOUND, "!" and the error's text for a failure.
 * Good until the next call. */
const char *place_get(nkv_kv *kv, const char *key);
nkv_from place_from(nkv_kv *kv, const char *key); /* and where it comes from */

nkv_status place_set(nkv_kv *kv, const char *key, const char *value);
nkv_status place_set_ttl(nkv_kv *kv, const char *key, const char *value, int64_t ttl_ms);

/* What the outsider sees: the text, or "_"; its PTTL.  Good until the next call. */
const char *place_seen(const place *at, const char *key);
long long place_pttl(const place *at, const char *key);

/* What the outsider does. */
void place_put(const place *at, const char *key, const char *value);

/* Keys of all nodes together. */
long long place_dbsize(const place *at);

#endif
