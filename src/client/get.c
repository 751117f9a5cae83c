/* client/get.c - GET, MGET, EXISTS and prefixes: the reads with functions of their own.
 *
 * Each first takes what the cache answers at once (hit.c), in passes that lie on the stack, and
 * hands the rest to the slow path (read.c) in one go. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/read.h"
#include "core/value.h"

#define TAIL_ASK 8u /* the same behind a prefix that the cache knew */
#define FEW      8u

bool nkvi_key_fits(const nkv_client *client, const nkvi_verb *verb, const nkv_call *call,
                   nkv_str key)
{
    nkv_str argv[2] = {verb->name, key};
    return client->plain || nkvi_read_filter(client, call, key, 2, argv) == NKV_BYPASS_COUNT;
}

/* Nil is «not found» for functions that hand out a value. */
static nkv_status nil_is_not_found(nkv_value **value)
{
    if (*value != NULL && nkv_value_reply(*value).type == NKV_TYPE_NIL) {
        nkv_value_release(*value);
        *value = NULL;
        return NKV_NOT_FOUND;
    }
    return NKV_OK;
}

static nkv_status get_slow(nkv_client *client, nkvi_query query, nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    nkv_str argv[2] = {nkvi_verb_get.name, query.key};
    nkvi_read read = {.query = query, .argc = 2, .argv = argv};
    nkv_result result;
    status = nkvi_read_many(client, &read, 1, call, &result, &error);
    nkvi_client_leave(client);
    if (status < 0) {
        nkv_value_release(result.value);
        return nkvi_call_done(call, status, result.from, &error);
    }
    *out = result.value;
    return nkvi_call_done(call, nil_is_not_found(out), result.from, NULL);
}

nkv_status nkv_get(nkv_client *client, nkv_str key, nkv_call *call, nkv_value **out)
{
    *out = NULL;
    nkvi_query query = {.key = key, .space = client->space};
    if (client->caching) {
        nkvi_query_hash(client->cache, &query);
    }
    if (nkvi_read_hits_allowed(client, call) && nkvi_key_fits(client, &nkvi_verb_get, call, key) &&
        nkvi_read_hit(client, &query, out)) {
        return nkvi_call_done(call, nil_is_not_found(out), NKV_FROM_CACHE, NULL);
    }
    return get_slow(client, query, call, out);
}

/* ---- many keys ------------------------------------------------------------------------------- */

/* One call over many keys. */
typedef struct key_call {
    nkv_client *client;
    const nkvi_verb *verb;
    const nkv_str *keys;
    size_t n;
    nkv_call *call;
    nkv_result *results;
} key_call;

/* Takes what the cache has; results of the others keep status NKV_MISS.  Returns how many are
 * left. */
static size_t take_hits(const key_call *all)
{
    size_t left = all->n;
    bool allowed = nkvi_read_hits_allowed(all->client, all->call);
    for (size_t i = 0; i < all->n; i++) {
        all->results[i] = (nkv_result){NKV_MISS, NKV_FROM_SERVER, NULL};
    }
    for (size_t begin = 0; allowed && begin < all->n; begin += NKVI_READ_PASS) {
        nkvi_query queries[NKVI_READ_PASS];
        nkv_value *values[NKVI_READ_PASS];
        size_t where[NKVI_READ_PASS], m = 0;
        for (size_t i = begin; i < all->n && i < begin + NKVI_READ_PASS; i++) {
            if (nkvi_key_fits(all->client, all->verb, all->call, all->keys[i])) {
                where[m] = i;
                queries[m++] = nkvi_verb_query(all->client, all->verb, all->keys[i]);
            }
        }
        left -= nkvi_read_hits(all->client, queries, m, values);
        for (size_t i = 0; i < m; i++) {
            if (values[i] != NULL) {
                all->results[where[i]] = (nkv_result){NKV_OK, NKV_FROM_CACHE, values[i]};
            }
        }
    }
    return left;
}

/* Working memory to ask for `n` keys; one block. */
typedef struct rest {
    nkvi_read *reads;
    nkv_str *argv; /* two each */
    nkv_result *results;
    size_t *where;
} rest;

static bool rest_make(rest *r, size_t n)
{
    size_t each = sizeof(nkvi_read) + 2 * sizeof(nkv_str) + sizeof(nkv_result) + sizeof(size_t);
    char *block = n <= SIZE_MAX / 1024 ? nkvi_alloc(n * each) : NULL;
    if (block == NULL) {
        return false;
    }
    r->reads = (nkvi_read *)(void *)block;
    r->argv = (nkv_str *)(void *)(r->reads + n);
    r->results = (nkv_result *)(void *)(r->argv + 2 * n);
    r->where = (size_t *)(void *)(r->results + n);
    return true;
}

/* Asks for the keys whose result is still NKV_MISS. */
static nkv_status ask_rest(const key_call *all, size_t left, nkv_error *error)
{
    nkv_client *client = all->client;
    rest r;
    if (!rest_make(&r, left)) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory to ask for %zu keys", left);
    }
    size_t m = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->results[i].status != NKV_MISS) {
            continue;
        }
        nkvi_read *read = &r.reads[m];
        *read = (nkvi_read){.argc = 2, .argv = &r.argv[2 * m]};
        r.argv[2 * m] = all->verb->name;
        r.argv[2 * m + 1] = all->keys[i];
        read->query = (nkvi_query){
            .key = all->keys[i], .command = all->verb->command, .space = client->space};
        if (client->caching) {
            nkvi_query_hash(client->cache, &read->query);
        }
        r.where[m++] = i;
    }
    nkv_status status = nkvi_read_many(client, r.reads, m, all->call, r.results, error);
    for (size_t i = 0; i < m; i++) {
        all->results[r.where[i]] = r.results[i];
    }
    nkvi_free(r.reads);
    return status;
}

/* What one call over many keys reports: the cache only if it answered all. */
static nkv_from from_of(const nkv_result *results, size_t n)
{
    nkv_from from = NKV_FROM_CACHE;
    for (size_t i = 0; i < n; i++) {
        if (results[i].from != NKV_FROM_CACHE) {
            from = from == NKV_FROM_SERVER ? from : results[i].from;
        }
    }
    return n > 0 ? from : NKV_FROM_LOCAL;
}

/* Reads many keys with one verb; results hold values, nil included. */
static nkv_status read_keys(const key_call *all)
{
    nkv_error error = {.status = NKV_OK};
    nkv_status status = NKV_OK;
    size_t left = take_hits(all);
    if (left > 0) {
        status = nkvi_client_enter_blocking(all->client, &error);
        if (status == NKV_OK) {
            status = ask_rest(all, left, &error);
            nkvi_client_leave(all->client);
        }
        for (size_t i = 0; i < all->n; i++) {
            if (all->results[i].status == NKV_MISS) {
                all->results[i].status = status;
            }
        }
    }
    return nkvi_call_done(all->call, status, from_of(all->results, all->n), &error);
}

nkv_status nkv_mget(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                    nkv_result *results)
{
    const key_call all = {client, &nkvi_verb_get, keys, n, call, results};
    nkv_status status = read_keys(&all);
    for (size_t i = 0; i < n; i++) {
        if (results[i].status == NKV_OK) {
            results[i].status = nil_is_not_found(&results[i].value);
        }
    }
    return status;
}

int nkvi_exists_of(const nkv_value *value)
{
    int64_t number;
    return nkvi_value_integer(value, &number) && number >= 0 ? number > 0 : -1;
}

static void exists_to_status(nkv_result *result)
{
    if (result->status == NKV_OK) {
        int exists = result->value != NULL ? nkvi_exists_of(result->value) : -1;
        result->status = exists > 0 ? NKV_OK : exists == 0 ? NKV_NOT_FOUND : NKV_EPROTO;
        nkv_value_release(result->value);
        result->value = NULL;
    }
}

nkv_status nkv_exists(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                      nkv_result *results)
{
    const key_call all = {client, &nkvi_verb_exists, keys, n, call, results};
    nkv_status status = read_keys(&all);
    for (size_t i = 0; i < n; i++) {
        exists_to_status(&results[i]);
    }
    return status;
}

/* ---- prefixes -------------------------------------------------------------------------------- */

typedef struct prefix_walk {
    size_t prefix;     /* leading keys that exist */
    size_t from_cache; /* of those looked at */
    bool ended;        /* one that does not exist was met */
} prefix_walk;

static bool go_on(const nkv_value *value)
{
    return nkvi_exists_of(value) > 0;
}

/* Walks as far as the cache answers. Keys it was the first not to answer are left to the server. */
static void prefix_local(nkv_client *client, const nkv_str *keys, size_t n, const nkv_call *call,
                         prefix_walk *walk)
{
    while (!walk->ended && walk->prefix < n) {
        nkvi_query queries[NKVI_READ_PASS];
        nkv_value *values[NKVI_READ_PASS];
        size_t m = 0;
        while (m < NKVI_READ_PASS && walk->prefix + m < n &&
               nkvi_key_fits(client, &nkvi_verb_exists, call, keys[walk->prefix + m])) {
            queries[m] = nkvi_verb_query(client, &nkvi_verb_exists, keys[walk->prefix + m]);
            m++;
        }
        size_t looked = nkvi_read_hits_while(client, queries, m, values, go_on);
        for (size_t i = 0; i < looked; i++) {
            walk->from_cache++;
            walk->ended = !go_on(values[i]);
            walk->prefix += !walk->ended;
            nkv_value_release(values[i]);
        }
        if (looked < m || m < NKVI_READ_PASS) {
            return;
        }
    }
}

/* Asks for the next keys in one round trip. */
static nkv_status prefix_ask(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                             prefix_walk *walk)
{
    nkv_result few[FEW];
    nkv_result *results = n <= FEW ? few : nkvi_alloc(n * sizeof *results);
    if (results == NULL) {
        nkv_error error;
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory to ask for %zu keys", n);
        return nkvi_call_done(call, NKV_ENOMEM, NKV_FROM_SERVER, &error);
    }
    nkv_status failed = NKV_OK;
    nkv_status asked = nkv_exists(client, keys, n, call, results);
    (void)asked; /* what counts is each key up to the first that is missing */
    for (size_t i = 0; i < n; i++) {
        if (walk->ended || failed != NKV_OK) {
            continue;
        }
        walk->from_cache += results[i].from == NKV_FROM_CACHE;
        if (results[i].status == NKV_OK) {
            walk->prefix++;
        } else if (results[i].status == NKV_NOT_FOUND) {
            walk->ended = true;
        } else {
            failed = results[i].status;
        }
    }
    if (results != few) {
        nkvi_free(results);
    }
    return failed;
}

nkv_status nkv_prefix(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                      size_t *prefix, size_t *from_cache)
{
    prefix_walk walk = {0, 0, false};
    nkv_status status = NKV_OK;
    nkv_from from = NKV_FROM_CACHE;
    if (nkvi_read_hits_allowed(client, call)) {
        prefix_local(client, keys, n, call, &walk);
    }
    /* What follows a known prefix is new to everybody more often than not, and then the first of
     * its keys settles it; with nothing known, one round trip for all is the better bet. */
    const size_t round = (size_t)client->options.chunk_size;
    const int64_t until_ns = !walk.ended && walk.prefix < n ? nkvi_call_deadline(client, call) : 0;
    size_t most = walk.prefix > 0 && round > TAIL_ASK ? TAIL_ASK : round;
    while (status == NKV_OK && !walk.ended && walk.prefix < n) {
        nkv_call own;
        nkvi_call_copy(&own, call);
        own.timeout_ms = nkvi_call_left_ms(until_ns); /* one deadline for all rounds */
        size_t ask = n - walk.prefix < most ? n - walk.prefix : most;
        status = prefix_ask(client, keys + walk.prefix, ask, &own, &walk);
        from = NKV_FROM_SERVER;
        most = round;
        (void)nkvi_call_done(call, status, from, &own.error);
    }
    *prefix = walk.prefix;
    if (from_cache != NULL) {
        *from_cache = walk.from_cache;
    }
    if (status == NKV_OK && call != NULL) {
        call->from = n > 0 ? from : NKV_FROM_LOCAL;
    }
    return status;
}
