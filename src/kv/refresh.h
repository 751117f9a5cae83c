/* kv/refresh.h - values that are computed in the background, one after the other, by one thread.
 *
 * Threads  create, put: [any], under the lock that guards kv->refresh; destroy: nobody else. */
#ifndef NKVI_KV_REFRESH_H
#define NKVI_KV_REFRESH_H

#include "kv/kv.h"

typedef struct nkvi_refresh nkvi_refresh;

typedef void (*nkvi_refresh_fn)(nkv_kv *kv, nkv_str key, const nkv_kv_maker *maker);

/* run: what is done with each.  NULL: no memory, no thread. */
nkvi_refresh *nkvi_refresh_create(nkv_kv *kv, nkvi_refresh_fn run);

/* Ends what is under way, forgets what waits.  NULL is allowed. */
void nkvi_refresh_destroy(nkvi_refresh *refresh);

/* Key, maker, its options (which are there, and complete) and their tags are copied.  false: it is
 * waiting already, or too many are, or no memory. */
bool nkvi_refresh_put(nkvi_refresh *refresh, nkv_str key, const nkv_kv_maker *maker);

#endif
