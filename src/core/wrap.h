/* core/wrap.h - a table of the user's own behind the functions of cache.h.
 *
 * The table stores and finds; what may be served is judged here.  The values that it is given carry
 * what is needed for that in front of them, so it has to hand out the very values that it was
 * given:
 *
 *      [ nkv_value | hash, realm, stamp, deadline ] -> block
 *
 * A value without that, or of another key, is never served.
 * Callers  cache_*.c, for caches made by nkv_cache_wrap. */
#ifndef NKVI_CORE_WRAP_H
#define NKVI_CORE_WRAP_H

#include "core/cache.h"
#include "core/value.h"

typedef struct nkvi_stamped {
    nkv_value value;
    uint64_t hash, realm, stamp;
    int64_t deadline_ns;
} nkvi_stamped;

size_t nkvi_wrapped_find(nkv_cache *cache, const nkvi_query *queries, size_t n, int64_t now_ns,
                         nkvi_found *found, bool (*go_on)(const nkv_value *value));

nkv_value *nkvi_wrapped_put(nkv_cache *cache, const nkvi_query *query, nkvi_draft *draft,
                            const nkvi_stamp *stamp, int64_t now_ns, bool *stored);

void nkvi_wrapped_drop(nkv_cache *cache, uint32_t space, nkv_str key);

/* After the realm of the space (UINT32_MAX: all) moved on. */
void nkvi_wrapped_reset(nkv_cache *cache, uint32_t space);

/* After the owner's generation moved on. */
void nkvi_wrapped_owner_end(nkv_cache *cache, const nkvi_owner *owner);

#endif
