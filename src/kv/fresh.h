/* kv/fresh.h - with stale_ms: until when a value is fresh, which outlives that.
 *
 *      key           value     PX ttl + stale_ms
 *      __fresh__:key           PX ttl              while it is there, the value is fresh
 *      __fresh__:key "c"       PX 30000            somebody is computing it anew
 *
 * Without a mark the value's own time to live tells: it is stale if no more than stale_ms of it are
 * left.
 * Threads  [any] but the loop's own. */
#ifndef NKVI_KV_FRESH_H
#define NKVI_KV_FRESH_H

#include "kv/names.h"

/* call: never NULL; left as it was but for its error.  As nkv_set(). */
nkv_status nkvi_kv_mark_fresh(nkv_kv *kv, nkv_str key, int64_t ms, nkv_call *call);

/* Whether a value that was just read is fresh; it is if nobody can say. */
bool nkvi_kv_is_fresh(nkv_kv *kv, nkv_str key, const nkv_call *call);

/* Whether this client is the one that computes it anew.  again: it was, a while ago; then also
 * whether that is still of use. */
bool nkvi_kv_claim(nkv_kv *kv, nkv_str key, bool again, const nkv_call *call);

#endif
