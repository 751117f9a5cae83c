/* support/core_kit.h - a cache with one owner and one space, and short ways to use it.
 *
 * Texts are C strings; `command` "" is GET. Times are plain numbers: nothing here looks at a clock.
 * Threads    A kit may be used from any thread once it is open. */

#ifndef T_SUPPORT_CORE_KIT_H
#define T_SUPPORT_CORE_KIT_H

#include "core/cache.h"
#include "support/check.h"

typedef struct t_kit {
    nkv_cache *cache;
    nkvi_owner *owner; /* vouches, for ever */
    uint64_t generation;
    uint32_t space;
    nkvi_fence *fence;
} t_kit;

/* The defaults, with these limits and this index. */
nkv_cache_options t_kit_options(nkv_index_kind index, int64_t keys_max, int64_t bytes_max);

/* Opens a kit on a new cache / on one that there is (which is not retained). Ends the process if
 * that fails. */
void t_kit_open(t_kit *kit, const nkv_cache_options *options);
void t_kit_share(t_kit *kit, nkv_cache *cache, const char *space);

/* Closes owner and cache (t_kit_unshare: the owner only). */
void t_kit_close(t_kit *kit);
void t_kit_unshare(t_kit *kit);

/* Ends the owner's generation and begins the next. */
void t_kit_lose_owner(t_kit *kit);

nkvi_query t_kit_query(const t_kit *kit, nkv_str key, nkv_str command);

/* Puts a string / any draft; true if it was stored. */
bool t_kit_put(t_kit *kit, const char *key, const char *command, const char *value);
bool t_kit_put_bytes(t_kit *kit, nkv_str key, nkv_str command, nkv_str value, int64_t deadline_ns);
bool t_kit_put_draft(t_kit *kit, nkv_str key, nkv_str command, nkvi_draft *draft,
                     int64_t deadline_ns);
bool t_kit_put_integer(t_kit *kit, nkv_str key, nkv_str command, int64_t number);

/* Looks up at time 1: a reference, or NULL. */
nkv_value *t_kit_get(const t_kit *kit, nkv_str key, nkv_str command);

/* Whether the string is there / the key is not. */
bool t_kit_has(const t_kit *kit, const char *key, const char *command, const char *value);
bool t_kit_hit(const t_kit *kit, const char *key, const char *command);

/* Looks up once; what came of it. */
nkvi_outcome t_kit_outcome(const t_kit *kit, const char *key, int64_t now_ns);

nkv_cache_stats t_kit_stats(const t_kit *kit);

#endif
