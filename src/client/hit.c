/* client/hit.c - the hot path: reads that the cache answers at once.
 *
 * The clock is read coarsely and rounded up, so an entry can only look too old; one that does is
 * looked at again with the exact time. So an entry is never served past its deadline, and the
 * exact clock is paid only near it. */
#include <assert.h>

#include "client/read.h"

const nkvi_verb nkvi_verb_get = {{"GET", 3}, {"", 0}};
const nkvi_verb nkvi_verb_exists = {{"EXISTS", 6}, {"\1EXISTS", 7}};
const nkvi_verb nkvi_verb_strlen = {{"STRLEN", 6}, {"\1STRLEN", 7}};

nkvi_query nkvi_verb_query(const nkv_client *client, const nkvi_verb *verb, nkv_str key)
{
    nkvi_query query = {.key = key, .command = verb->command, .space = client->space};
    if (client->caching) { /* else there is no cache to look into */
        nkvi_query_hash(client->cache, &query);
    }
    return query;
}

/* Whether hits may be served as they are: what confidence wants validated is the slow path's, which
 * finds them again. */
static bool trusted(const nkv_client *client)
{
    return nkv_cache_confidence(client->cache) >= 100.0;
}

/* Looks again, with the exact time, at what only looked too old. */
static void look_closely(nkv_client *client, const nkvi_query *query, nkvi_found *found)
{
    if (found->outcome == NKVI_EXPIRED || found->outcome == NKVI_LAPSED) {
        nkvi_cache_find(client->cache, query, 1, nkvi_now_ns(), found);
    }
}

size_t nkvi_read_hits(nkv_client *client, const nkvi_query *queries, size_t n, nkv_value **values)
{
    assert(n <= NKVI_READ_PASS);
    nkvi_found found[NKVI_READ_PASS];
    size_t hits = 0;
    bool trust = trusted(client);
    if (trust) {
        nkvi_cache_find(client->cache, queries, n, nkvi_now_coarse_ns() + client->coarse_slack_ns,
                        found);
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = NULL;
        if (trust) {
            look_closely(client, &queries[i], &found[i]);
            values[i] = found[i].outcome == NKVI_HIT ? found[i].value : NULL;
        }
        hits += values[i] != NULL;
    }
    if (hits > 0) {
        nkvi_count_add(&client->counters, NKVI_C_QUICK_HITS, hits);
        nkvi_cache_count_hits(client->cache, queries, values, n);
    }
    return hits;
}

bool nkvi_read_hit(nkv_client *client, const nkvi_query *query, nkv_value **value)
{
    nkvi_found found;
    *value = NULL;
    if (!trusted(client)) {
        return false;
    }
    nkvi_cache_find(client->cache, query, 1, nkvi_now_coarse_ns() + client->coarse_slack_ns,
                    &found);
    look_closely(client, query, &found);
    if (found.outcome != NKVI_HIT) {
        return false;
    }
    nkvi_count_add(&client->counters, NKVI_C_QUICK_HITS, 1);
    nkvi_cache_count(client->cache, query, NKVI_COUNT_HIT);
    *value = found.value;
    return true;
}

size_t nkvi_read_hits_while(nkv_client *client, const nkvi_query *queries, size_t n,
                            nkv_value **values, bool (*go_on)(const nkv_value *value))
{
    assert(n <= NKVI_READ_PASS);
    if (!trusted(client)) {
        return 0;
    }
    nkvi_found found[NKVI_READ_PASS];
    size_t hits = 0;
    size_t looked = nkvi_cache_find_while(
        client->cache, queries, n, nkvi_now_coarse_ns() + client->coarse_slack_ns, found, go_on);
    while (hits < looked && found[hits].outcome == NKVI_HIT) {
        values[hits] = found[hits].value;
        hits++;
    }
    if (hits > 0) {
        nkvi_count_add(&client->counters, NKVI_C_QUICK_HITS, hits);
        nkvi_cache_count_hits(client->cache, queries, values, hits);
    }
    return hits;
}
