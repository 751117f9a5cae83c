/* support/core_kit.c - see core_kit.h. */

#include "support/core_kit.h"

#include <string.h>

#include "base/clock.h"

nkv_cache_options t_kit_options(nkv_index_kind index, int64_t keys_max, int64_t bytes_max)
{
    nkv_cache_options options;
    nkv_cache_options_init(&options);
    options.index = index;
    options.keys_max = keys_max;
    options.bytes_max = bytes_max;
    return options;
}

void t_kit_share(t_kit *kit, nkv_cache *cache, const char *space)
{
    memset(kit, 0, sizeof *kit);
    kit->cache = cache;
    kit->owner = nkvi_cache_owner_open(cache, NULL);
    T_REQUIRE(kit->owner != NULL);
    kit->generation = nkvi_cache_owner_begin(cache, kit->owner, INT64_MAX);
    T_REQUIRE(nkvi_cache_space_open(cache, nkv_cstr(space), &kit->space, &kit->fence));
}

void t_kit_open(t_kit *kit, const nkv_cache_options *options)
{
    nkv_cache *cache;
    nkv_error error;
    if (nkv_cache_create(options, &cache, &error) != NKV_OK) {
        T_DIE("no cache: %s", error.text);
    }
    t_kit_share(kit, cache, "test");
}

void t_kit_unshare(t_kit *kit)
{
    nkvi_cache_owner_close(kit->cache, kit->owner);
}

void t_kit_close(t_kit *kit)
{
    t_kit_unshare(kit);
    nkv_cache_release(kit->cache);
}

void t_kit_lose_owner(t_kit *kit)
{
    nkvi_cache_owner_end(kit->cache, kit->owner);
    kit->generation = nkvi_cache_owner_begin(kit->cache, kit->owner, INT64_MAX);
}

nkvi_query t_kit_query(const t_kit *kit, nkv_str key, nkv_str command)
{
    nkvi_query query = {.key = key, .command = command, .space = kit->space};
    nkvi_query_hash(kit->cache, &query);
    return query;
}

bool t_kit_put_draft(t_kit *kit, nkv_str key, nkv_str command, nkvi_draft *draft,
                     int64_t deadline_ns)
{
    nkvi_query query = t_kit_query(kit, key, command);
    nkvi_stamp stamp = {
        .owner = kit->owner, .generation = kit->generation, .deadline_ns = deadline_ns};
    bool stored = false;
    nkv_value *value = nkvi_cache_put(kit->cache, &query, draft, &stamp, 1, &stored);
    if (value == NULL) {
        nkvi_draft_clear(draft);
    }
    nkv_value_release(value);
    return stored;
}

bool t_kit_put_bytes(t_kit *kit, nkv_str key, nkv_str command, nkv_str value, int64_t deadline_ns)
{
    nkvi_draft draft;
    return nkvi_draft_string(&draft, NKV_TYPE_STRING, value.data, value.len) &&
           t_kit_put_draft(kit, key, command, &draft, deadline_ns);
}

bool t_kit_put(t_kit *kit, const char *key, const char *command, const char *value)
{
    return t_kit_put_bytes(kit, nkv_cstr(key), nkv_cstr(command), nkv_cstr(value), NKVI_NEVER);
}

bool t_kit_put_integer(t_kit *kit, nkv_str key, nkv_str command, int64_t number)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    draft.root.type = NKV_TYPE_INTEGER;
    draft.root.integer = number;
    return t_kit_put_draft(kit, key, command, &draft, NKVI_NEVER);
}

nkv_value *t_kit_get(const t_kit *kit, nkv_str key, nkv_str command)
{
    nkvi_query query = t_kit_query(kit, key, command);
    nkvi_found found;
    nkvi_cache_find(kit->cache, &query, 1, 1, &found);
    T_REQUIRE((found.value != NULL) == (found.outcome == NKVI_HIT));
    return found.value;
}

bool t_kit_has(const t_kit *kit, const char *key, const char *command, const char *value)
{
    nkv_value *got = t_kit_get(kit, nkv_cstr(key), nkv_cstr(command));
    if (got == NULL) {
        return false;
    }
    nkv_str text = nkv_value_str(got);
    bool same = text.len == strlen(value) && memcmp(text.data, value, text.len) == 0;
    nkv_value_release(got);
    return same;
}

bool t_kit_hit(const t_kit *kit, const char *key, const char *command)
{
    nkv_value *got = t_kit_get(kit, nkv_cstr(key), nkv_cstr(command));
    nkv_value_release(got);
    return got != NULL;
}

nkvi_outcome t_kit_outcome(const t_kit *kit, const char *key, int64_t now_ns)
{
    nkvi_query query = t_kit_query(kit, nkv_cstr(key), nkv_cstr(""));
    nkvi_found found;
    nkvi_cache_find(kit->cache, &query, 1, now_ns, &found);
    nkv_value_release(found.value);
    return found.outcome;
}

nkv_cache_stats t_kit_stats(const t_kit *kit)
{
    nkv_cache_stats stats;
    nkv_cache_get_stats(kit->cache, &stats);
    return stats;
}
