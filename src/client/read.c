/* client/read.c - see read.h.  What may be cached, and the slow path of whoever waits: everything
 * that is not a plain hit. */
#include "client/read.h"

#include <string.h>

#include "base/status.h"
#include "client/read_steps.h"

#define FEW 8u /* so many reads are answered without allocating working memory */

nkv_bypass nkvi_peer_vouching(const nkvi_peer *peer, int64_t now_ns)
{
    if (peer->owner == NULL ||
        atomic_load_explicit(&peer->owner->generation, memory_order_acquire) % 2 == 0) {
        return NKV_BYPASS_UNTRACKED;
    }
    return now_ns < atomic_load_explicit(&peer->owner->fresh_until_ns, memory_order_acquire)
               ? NKV_BYPASS_COUNT
               : NKV_BYPASS_UNHEALTHY;
}

nkv_bypass nkvi_read_filter(const nkv_client *client, const nkv_call *call, nkv_str key,
                            size_t argc, const nkv_str *argv)
{
    const nkv_options *options = &client->options;
    if (!client->caching || (call != NULL && call->no_cache)) {
        return NKV_BYPASS_DISABLED;
    }
    if (client->plain) {
        return NKV_BYPASS_COUNT;
    }
    bool allowed = options->prefixes_len == 0;
    for (size_t i = 0; i < options->prefixes_len && !allowed; i++) {
        size_t len = strlen(options->prefixes[i]);
        allowed = key.len >= len && memcmp(key.data, options->prefixes[i], len) == 0;
    }
    if (allowed && options->cacheable != NULL) {
        allowed = options->cacheable(key, (int)argc, argv, options->cacheable_ud) != 0;
    }
    return allowed ? NKV_BYPASS_COUNT : NKV_BYPASS_FILTERED;
}

nkv_status nkvi_read_many(nkv_client *client, nkvi_read *reads, size_t n, const nkv_call *call,
                          nkv_result *results, nkv_error *error)
{
    struct {
        nkvi_reading items[FEW];
        nkvi_ask *asks[FEW];
    } few;
    void *memory = NULL;
    if (n > FEW) {
        size_t room = nkvi_steps_room(n);
        memory = room > 0 ? nkvi_spare_take(&client->spare, room) : NULL;
        if (memory == NULL) {
            for (size_t i = 0; i < n; i++) {
                results[i] = (nkv_result){NKV_ENOMEM, NKV_FROM_SERVER, NULL};
            }
            return nkvi_fail(error, NKV_ENOMEM, "no memory to read %zu keys", n);
        }
    }
    nkvi_steps all;
    nkvi_steps_init(&all, client, call, nkvi_call_deadline(client, call),
                    memory != NULL ? memory : &few, memory != NULL ? n : FEW);
    for (size_t i = 0; i < n; i++) {
        nkvi_steps_add(&all, &reads[i], &results[i]);
    }
    while (nkvi_steps_go(&all)) {
        nkvi_gather_wait(&all.gather, &client->flights, all.deadline_ns);
    }
    nkv_status status = nkvi_steps_finish(&all, error);
    nkvi_spare_give(&client->spare, memory);
    return status;
}
