/* lmcache/abi.c - sizes of public structs by name.  Here, because this room sees them all. */
#include <nearkv/abi.h>

#include <nearkv/lmcache.h>
#include <nearkv/stats.h>

#define ROW(type) #type, sizeof(type)

static const struct {
    const char *name;
    size_t size;
} rows[] = {
    {ROW(nkv_argv)},
    {ROW(nkv_cache_ops)},
    {ROW(nkv_cache_options)},
    {ROW(nkv_cache_stats)},
    {ROW(nkv_call)},
    {ROW(nkv_completion)},
    {ROW(nkv_error)},
    {ROW(nkv_event)},
    {ROW(nkv_item)},
    {ROW(nkv_key_stats)},
    {ROW(nkv_lmcache_chain_options)},
    {ROW(nkv_lmcache_group)},
    {ROW(nkv_lmcache_hash)},
    {ROW(nkv_lmcache_key)},
    {ROW(nkv_lmcache_meta)},
    {ROW(nkv_lmcache_name)},
    {ROW(nkv_lmcache_object_key)},
    {ROW(nkv_lmcache_options)},
    {ROW(nkv_lmcache_tag)},
    {ROW(nkv_node_health)},
    {ROW(nkv_options)},
    {ROW(nkv_reply)},
    {ROW(nkv_result)},
    {ROW(nkv_stats)},
    {ROW(nkv_str)},
    {ROW(nkv_ticket)},
};

size_t nkv_struct_size(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].size;
        }
    }
    return 0;
}
