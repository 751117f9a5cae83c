/* client/hit.c - the hot path: reads that the cache answers at once.
 *
 * The clock is read coarsely and rounded up, so an entry can only look too old; one that does is
 * looked at again with the exact time. So an entry is never served past its deadline, and the
 * exact clock is paid only near it. */
#include <assert.h>

#include "client/read.h"

#define PASS 64u /* lookups in one pass; bounds what lies on the stack */

const nkvi_verb nkvi_verb_get = {{"GET", 3}, {"", 0}};
const nkvi_verb nkvi_verb_exists = {{"EXISTS", 6}, {"\1EXISTS", 7}};

nkvi_query nkvi_verb_query(const nkv_client *client, const nkvi_verb *verb, nkv_str key)
{
    nkvi_query query = {.key = key, .command = verb->command, .space = client->space};
    nkvi_query_hash(client->cache, &query);
    return query;
}

/* Counts a hit, or takes it back if confidence wants it validated: the slow path will find it
 * again. */
static bool accept(nkv_client *client, const nkvi_query *query, nkvi_found *found)
{
    if (nkv_cache_confidence(client->cache) < 100.0) {
        nkv_value_release(found->value);
        found->value = NULL;
        return false; /* sampling is the slow path's */
    }
    nkvi_count_add(&client->counters, NKVI_C_QUICK_HITS, 1);
    nkvi_cache_count(client->cache, query, NKVI_COUNT_HIT);
    return true;
}

size_t nkvi_read_hits(nkv_client *client, const nkvi_query *queries, size_t n, nkv_value **values)
{
    assert(n <= PASS);
    nkvi_found found[PASS];
    size_t hits = 0;
    nkvi_cache_find(client->cache, queries, n, nkvi_now_coarse_ns() + client->coarse_slack_ns,
                    found);
    for (size_t i = 0; i < n; i++) {
        if (found[i].outcome == NKVI_EXPIRED || found[i].outcome == NKVI_LAPSED) {
            nkvi_cache_find(client->cache, &queries[i], 1, nkvi_now_ns(), &found[i]);
        }
        values[i] = NULL;
        if (found[i].outcome == NKVI_HIT && accept(client, &queries[i], &found[i])) {
            values[i] = found[i].value;
            hits++;
        }
    }
    return hits;
}

bool nkvi_read_hit(nkv_client *client, const nkvi_query *query, nkv_value **value)
{
    nkvi_found found;
    nkvi_cache_find(client->cache, query, 1, nkvi_now_coarse_ns() + client->coarse_slack_ns,
                    &found);
    if (found.outcome == NKVI_EXPIRED || found.outcome == NKVI_LAPSED) {
        nkvi_cache_find(client->cache, query, 1, nkvi_now_ns(), &found);
    }
    if (found.outcome != NKVI_HIT || !accept(client, query, &found)) {
        *value = NULL;
        return false;
    }
    *value = found.value;
    return true;
}

size_t nkvi_read_hits_while(nkv_client *client, const nkvi_query *queries, size_t n,
                            nkv_value **values, bool (*go_on)(const nkv_value *value))
{
    assert(n <= PASS);
    nkvi_found found[PASS];
    size_t looked = nkvi_cache_find_while(
        client->cache, queries, n, nkvi_now_coarse_ns() + client->coarse_slack_ns, found, go_on);
    for (size_t i = 0; i < looked; i++) {
        if (found[i].outcome != NKVI_HIT || !accept(client, &queries[i], &found[i])) {
            for (size_t j = i + 1; j < looked; j++) {
                nkv_value_release(found[j].value); /* behind a hit that must be validated */
            }
            return i;
        }
        values[i] = found[i].value;
    }
    return looked;
}
