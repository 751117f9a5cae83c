/* client/read.c - see read.h.  The slow path: everything that is not a plain hit. */
#include "client/read.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/barrier.h"
#include "client/gather.h"
#include "client/random.h"
#include "client/reply.h"

#define FEW 8u /* so many reads are answered without allocating working memory */

typedef enum read_state {
    READ_NEW,    /* to be looked up */
    READ_HIT,    /* answered by the cache */
    READ_ASK,    /* to be asked on the tracked lane */
    READ_BYPASS, /* to be asked on the data lane */
    READ_DONE    /* answered by the server, or failed */
} read_state;

/* One read on its way. */
typedef struct reading {
    read_state state;
    nkv_bypass reason; /* NKV_BYPASS_COUNT: none */
    bool validated;    /* a hit that is asked all the same */
    bool settled;      /* its peer has processed what was on its way, or could not */
    bool joined;
    nkv_value *cached; /* the answer of the cache, a reference */
    nkvi_peer *peer;
    nkvi_ask ask;
    nkvi_slot slot;
} reading;

typedef struct readings {
    nkv_client *client;
    const nkv_call *call;
    nkvi_read *reads;
    size_t n;
    nkv_level level;
    int64_t deadline_ns;
    reading *items;
    nkvi_ask **asks; /* room for n */
    nkvi_gather gather;
} readings;

/* ---- classify -------------------------------------------------------------------------------- */

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

/* What the cache says of one read. */
static void classify(readings *all, size_t i, int64_t now_ns)
{
    nkv_client *client = all->client;
    reading *item = &all->items[i];
    nkvi_found found;
    nkvi_cache_find(client->cache, &all->reads[i].query, 1, now_ns, &found);
    bool own = all->level <= NKV_EVENTUAL || found.owner == item->peer->owner->id;
    if (found.outcome == NKVI_HIT && own) {
        item->cached = found.value;
        item->validated = nkv_cache_confidence(client->cache) < 100.0 &&
                          nkvi_cache_must_validate(client->cache, nkvi_random());
        if (!item->validated) {
            item->state = READ_HIT;
            return;
        }
    } else {
        nkv_value_release(found.value);
    }
    nkv_bypass reason = nkvi_peer_vouching(item->peer, now_ns);
    item->state = reason == NKV_BYPASS_COUNT ? READ_ASK : READ_BYPASS;
    item->reason = reason;
}

static void bypass(reading *item, nkv_bypass reason)
{
    item->state = READ_BYPASS;
    item->reason = reason;
}

/* Routes and filters; what is left NEW is looked up. */
static void prepare(readings *all)
{
    nkv_client *client = all->client;
    bool healthy = client->caching && nkvi_cache_healthy(client->cache);
    for (size_t i = 0; i < all->n; i++) {
        nkvi_read *read = &all->reads[i];
        reading *item = &all->items[i];
        memset(item, 0, sizeof *item);
        item->peer = client->connector->ops->route(client->connector, read->query.key);
        item->reason = nkvi_read_filter(client, all->call, read->query.key, read->argc, read->argv);
        if (item->reason != NKV_BYPASS_COUNT) {
            item->state = READ_BYPASS;
        } else if (!healthy) {
            bypass(item, NKV_BYPASS_UNHEALTHY);
        }
        item->ask.query = &read->query;
        item->ask.argc = read->argc;
        item->ask.argv = read->argv;
        item->ask.fields_at = read->fields_at;
        item->ask.waiter = &item->slot.waiter;
    }
}

static void look_up(readings *all)
{
    int64_t now_ns = nkvi_now_ns();
    for (size_t i = 0; i < all->n; i++) {
        if (all->items[i].state == READ_NEW) {
            classify(all, i, now_ns);
        }
    }
}

/* ---- levels ---------------------------------------------------------------------------------- */

/* Makes every peer whose cached answers would be used process what is on its way. A peer that
 * cannot is not believed: its reads go to the server. */
static nkv_status settle_peers(readings *all, nkv_error *error)
{
    for (size_t i = 0; i < all->n; i++) {
        nkvi_peer *peer = all->items[i].peer;
        bool used = all->items[i].state == READ_HIT || all->items[i].validated;
        if (!used || all->items[i].settled) {
            continue;
        }
        nkv_status status = all->level == NKV_BARRIER
                                ? nkvi_read_barrier(all->client, peer, all->deadline_ns, error)
                                : nkvi_read_drain(all->client, peer, all->deadline_ns, error);
        if (status == NKV_ETIMEDOUT || status == NKV_ECLOSED) {
            return status;
        }
        for (size_t j = i; j < all->n; j++) {
            if (all->items[j].peer != peer) {
                continue;
            }
            all->items[j].settled = true;
            if (status != NKV_OK && all->items[j].state != READ_BYPASS) {
                nkv_value_release(all->items[j].cached);
                all->items[j].cached = NULL;
                all->items[j].validated = false;
                bypass(&all->items[j], NKV_BYPASS_UNTRACKED);
            }
        }
    }
    return NKV_OK;
}

/* Looks again at what was a hit before the peers settled. */
static void look_again(readings *all)
{
    for (size_t i = 0; i < all->n; i++) {
        reading *item = &all->items[i];
        if (item->state == READ_HIT || item->validated) {
            nkv_value_release(item->cached);
            item->cached = NULL;
            item->validated = false;
            item->state = READ_NEW;
        }
    }
    look_up(all);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Asks all reads that are in `state`, peer by peer, and waits. */
static void ask(readings *all, read_state state)
{
    nkvi_ask_mode mode = {
        .tracked = state == READ_ASK,
        /* One under way may have been answered before we began: by the server, or in our socket. */
        .join = all->level <= NKV_EVENTUAL,
        .static_ttl = all->call != NULL && all->call->static_ttl,
        .ttl_ms = all->call != NULL ? all->call->ttl_ms : 0,
        .deadline_ns = all->deadline_ns,
    };
    for (size_t i = 0; i < all->n; i++) {
        nkvi_peer *peer = all->items[i].peer;
        size_t n = 0;
        if (all->items[i].state != state) {
            continue; /* asked with an earlier one of its peer */
        }
        for (size_t j = i; j < all->n; j++) {
            reading *item = &all->items[j];
            if (item->state != state || item->peer != peer) {
                continue;
            }
            item->ask.validate = mode.tracked && item->validated ? item->cached : NULL;
            item->ask.joined = false;
            nkvi_slot_open(&item->slot, &all->gather);
            item->state = READ_DONE;
            all->asks[n++] = &item->ask;
        }
        nkvi_ask_all(all->client, peer, all->asks, n, &mode);
    }
    nkvi_gather_wait(&all->gather, &all->client->flights, all->deadline_ns);
}

/* A read whose tracked lane was lost under it is asked again on the data lane. */
static bool retry_untracked(readings *all)
{
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        reading *item = &all->items[i];
        if (item->state == READ_DONE && item->slot.status == NKV_ECONN &&
            item->reason == NKV_BYPASS_COUNT) {
            bypass(item, NKV_BYPASS_UNTRACKED);
            item->validated = item->joined = false;
            any = true;
        }
    }
    return any;
}

/* ---- results --------------------------------------------------------------------------------- */

static void count(readings *all, const reading *item, const nkvi_query *query, nkv_status status)
{
    nkv_client *client = all->client;
    nkvi_counters *counters = &client->counters;
    nkvi_count_add(counters, NKVI_C_READS, 1);
    if (status < 0) {
        nkvi_count_add(counters, NKVI_C_FAILURES, 1);
    } else if (item->reason != NKV_BYPASS_COUNT) {
        nkvi_count_add(counters, NKVI_C_BYPASS + (unsigned)item->reason, 1);
    } else if (item->state == READ_HIT || item->validated) {
        nkvi_count_add(counters, NKVI_C_HITS, 1);
        nkvi_count_add(counters, NKVI_C_VALIDATIONS, item->validated);
        nkvi_cache_count(client->cache, query, NKVI_COUNT_HIT);
    } else {
        nkvi_count_add(counters, item->joined ? NKVI_C_COALESCED : NKVI_C_MISSES, 1);
        nkvi_cache_count(client->cache, query, NKVI_COUNT_MISS);
    }
}

static nkv_status finish(readings *all, nkv_result *results)
{
    nkv_status first = NKV_OK;
    for (size_t i = 0; i < all->n; i++) {
        reading *item = &all->items[i];
        nkv_result *result = &results[i];
        if (item->state == READ_HIT) {
            *result = (nkv_result){NKV_OK, NKV_FROM_CACHE, item->cached};
        } else {
            nkv_value_release(item->cached);
            result->status = item->slot.status;
            result->value = item->slot.value;
            result->from = item->joined ? NKV_FROM_JOINED : NKV_FROM_SERVER;
        }
        count(all, item, &all->reads[i].query, result->status);
        if (first == NKV_OK && result->status < 0) {
            first = result->status;
        }
    }
    return first;
}

/* Ends every read that is not answered yet with one failure. */
static nkv_status fail_all(readings *all, nkv_result *results, nkv_status status)
{
    for (size_t i = 0; i < all->n; i++) {
        nkv_value_release(all->items[i].cached);
        results[i] = (nkv_result){status, NKV_FROM_SERVER, NULL};
        nkvi_count_add(&all->client->counters, NKVI_C_READS, 1);
        nkvi_count_add(&all->client->counters, NKVI_C_FAILURES, 1);
    }
    return status;
}

static bool any_in(const readings *all, read_state state)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->items[i].state == state) {
            return true;
        }
    }
    return false;
}

/* Tells of the first failure in the order of the results, which need not be the first in time. */
static void explain(readings *all, const nkv_result *results, nkv_status first, nkv_error *error)
{
    size_t i = 0;
    while (results[i].status >= 0) {
        i++;
    }
    if (first == NKV_EREPLY && results[i].value != NULL) {
        nkv_reply reply = nkv_value_reply(results[i].value);
        (void)nkvi_reply_fail(error, &reply);
    } else if (all->gather.error.status == first && error != NULL) {
        *error = all->gather.error;
    } else {
        (void)nkvi_fail(error, first, "%s", nkv_status_text(first));
    }
}

/* The whole way of n reads; working memory is there. */
static nkv_status run(readings *all, nkv_result *results, nkv_error *error)
{
    prepare(all);
    look_up(all);
    if (all->level > NKV_EVENTUAL) {
        nkv_status status = settle_peers(all, error);
        if (status != NKV_OK) {
            return fail_all(all, results, status);
        }
        look_again(all);
    }
    if (any_in(all, READ_ASK)) {
        ask(all, READ_ASK);
        for (size_t i = 0; i < all->n; i++) {
            all->items[i].joined = all->items[i].ask.joined;
        }
        if (retry_untracked(all) && all->gather.error.status == NKV_ECONN) {
            memset(&all->gather.error, 0, sizeof all->gather.error);
        }
    }
    if (any_in(all, READ_BYPASS)) {
        ask(all, READ_BYPASS);
    }
    nkv_status first = finish(all, results);
    if (first < 0) {
        explain(all, results, first, error);
    }
    return first;
}

nkv_status nkvi_read_many(nkv_client *client, nkvi_read *reads, size_t n, const nkv_call *call,
                          nkv_result *results, nkv_error *error)
{
    reading few[FEW];
    nkvi_ask *few_asks[FEW];
    readings all = {.client = client,
                    .call = call,
                    .reads = reads,
                    .n = n,
                    .level = nkvi_call_level(client, call),
                    .deadline_ns = nkvi_call_deadline(client, call),
                    .items = few,
                    .asks = few_asks};
    void *memory = NULL;
    if (n > FEW) {
        memory =
            n <= SIZE_MAX / 1024 ? nkvi_alloc(n * (sizeof(reading) + sizeof(nkvi_ask *))) : NULL;
        if (memory == NULL) {
            for (size_t i = 0; i < n; i++) {
                results[i] = (nkv_result){NKV_ENOMEM, NKV_FROM_SERVER, NULL};
            }
            return nkvi_fail(error, NKV_ENOMEM, "no memory to read %zu keys", n);
        }
        all.items = memory;
        all.asks = (nkvi_ask **)(void *)(all.items + n);
    }
    nkvi_gather_init(&all.gather);
    nkv_status status = run(&all, results, error);
    nkvi_gather_clear(&all.gather);
    nkvi_free(memory);
    return status;
}
