/* client/read_steps.c - see read_steps.h. */
#include "client/read_steps.h"

#include <assert.h>
#include <string.h>

#include "base/status.h"
#include "client/again.h"
#include "client/barrier.h"
#include "client/random.h"
#include "client/reply.h"

/* ---- taking reads in ------------------------------------------------------------------------- */

size_t nkvi_steps_room(size_t n)
{
    return n <= SIZE_MAX / 1024 ? n * (sizeof(nkvi_reading) + sizeof(nkvi_ask *)) : 0;
}

void nkvi_steps_init(nkvi_steps *all, nkv_client *client, const nkv_call *call, int64_t deadline_ns,
                     void *room, size_t most)
{
    all->client = client;
    all->call = call;
    all->level = nkvi_call_level(client, call);
    all->healthy = client->caching && nkvi_cache_healthy(client->cache);
    all->deadline_ns = deadline_ns;
    all->ending = NKV_OK;
    all->at = NKVI_STEP_LOOK;
    all->n = 0;
    all->items = room;
    all->asks = (nkvi_ask **)(void *)(all->items + most);
    nkvi_gather_init(&all->gather);
}

static void bypass(nkvi_reading *item, nkv_bypass reason)
{
    item->state = NKVI_READ_BYPASS;
    item->reason = reason;
}

/* What replicas say is never all that was acknowledged. */
static nkvi_intent intent_of(const nkvi_steps *all)
{
    return all->level == NKV_BARRIER ? NKVI_TO_WRITE : NKVI_TO_READ;
}

/* Whom it is asked of.  The token first: an answer of whoever is behind a write of ours that is
 * later than this is not kept. */
static void aim(const nkvi_steps *all, nkvi_reading *item)
{
    item->ask.token = nkvi_fence_token(all->client->fence, item->read->query.key_hash);
    item->route = nkvi_client_route(all->client, item->read->query.key, intent_of(all));
}

/* Routes it, and decides whether it is looked up at all. */
static void begin(const nkvi_steps *all, nkvi_reading *item)
{
    aim(all, item);
    item->there = NULL;
    item->settler = NULL;
    item->state = NKVI_READ_NEW;
    item->validated = item->joined = false;
    if (item->reason != NKV_BYPASS_COUNT) {
        item->state = NKVI_READ_BYPASS;
    } else if (!all->healthy) {
        bypass(item, NKV_BYPASS_UNHEALTHY);
    }
}

/* The lane that was to answer is lost.  Meanwhile the key may be somebody else's. */
static void bypass_anew(const nkvi_steps *all, nkvi_reading *item)
{
    bypass(item, NKV_BYPASS_UNTRACKED);
    item->route = nkvi_client_route(all->client, item->read->query.key, intent_of(all));
}

void nkvi_steps_add(nkvi_steps *all, const nkvi_read *read, nkv_result *result)
{
    nkv_client *client = all->client;
    nkvi_reading *item = &all->items[all->n++];
    item->read = read;
    item->result = result;
    item->reason = nkvi_read_filter(client, all->call, read->query.key, read->argc, read->argv);
    item->cached = NULL;
    item->tries = 0;
    item->ask = (nkvi_ask){.query = &read->query,
                           .argc = read->argc,
                           .argv = read->argv,
                           .fields_at = read->fields_at,
                           .waiter = &item->slot.waiter};
    begin(all, item);
    item->slot.status = NKV_OK; /* opened when there is something to wait for */
    item->slot.value = NULL;
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* Judges what the cache says of one read. */
static void classify(const nkvi_steps *all, nkvi_reading *item, const nkvi_found *found,
                     int64_t now_ns)
{
    nkv_client *client = all->client;
    const nkvi_owner *owner = item->route.peer->owner; /* NULL: a server nobody knows yet */
    bool own = all->level <= NKV_EVENTUAL || (owner != NULL && found->owner == owner->id);
    if (found->outcome == NKVI_HIT && own) {
        item->cached = found->value;
        item->validated = nkv_cache_confidence(client->cache) < 100.0 &&
                          nkvi_cache_must_validate(client->cache, nkvi_random());
        if (!item->validated) {
            item->state = NKVI_READ_HIT;
            return;
        }
    } else {
        nkv_value_release(found->value);
    }
    nkv_bypass reason = nkvi_peer_vouching(item->route.peer, now_ns);
    item->state = reason == NKV_BYPASS_COUNT ? NKVI_READ_ASK : NKVI_READ_BYPASS;
    item->reason = reason;
}

/* Looks up what is NEW, in passes. */
static void look_up(nkvi_steps *all)
{
    int64_t now_ns = nkvi_now_ns();
    size_t i = 0;
    while (i < all->n) {
        nkvi_query queries[NKVI_READ_PASS];
        nkvi_found found[NKVI_READ_PASS];
        nkvi_reading *items[NKVI_READ_PASS];
        size_t m = 0;
        for (; i < all->n && m < NKVI_READ_PASS; i++) {
            if (all->items[i].state == NKVI_READ_NEW) {
                items[m] = &all->items[i];
                queries[m++] = all->items[i].read->query;
            }
        }
        if (m > 0) {
            nkvi_cache_find(all->client->cache, queries, m, now_ns, found);
        }
        for (size_t k = 0; k < m; k++) {
            classify(all, items[k], &found[k], now_ns);
        }
    }
}

/* ---- levels ---------------------------------------------------------------------------------- */

static void drop_cached(nkvi_reading *item)
{
    nkv_value_release(item->cached);
    item->cached = NULL;
    item->validated = false;
}

/* Whether the peer's word on one of them counts for the other, too. */
static bool settled_together(const nkvi_steps *all, const nkvi_reading *a, const nkvi_reading *b)
{
    bool by_slot =
        all->level == NKV_BARRIER && all->client->connector->barrier == NKVI_BARRIER_KEYS;
    return a->route.peer == b->route.peer && (!by_slot || a->route.hash_slot == b->route.hash_slot);
}

static bool is_used(const nkvi_reading *item)
{
    return item->state == NKVI_READ_HIT || item->validated;
}

/* A barrier for all answers that would be used of the item's peer, or hash slot; it is the first of
 * them. */
static void send_barrier(nkvi_steps *all, size_t i, size_t n)
{
    nkvi_reading *item = &all->items[i];
    nkvi_buf keys;
    nkvi_buf_init(&keys);
    if (all->client->connector->barrier == NKVI_BARRIER_KEYS) {
        nkvi_barrier_keys(&keys, n);
        for (size_t j = i; j < all->n; j++) {
            if (is_used(&all->items[j]) && all->items[j].settler == &item->slot) {
                nkvi_buf_resp_arg(&keys, all->items[j].read->query.key);
            }
        }
    }
    nkvi_barrier_send(all->client, item->route.peer, &keys, all->deadline_ns, &item->slot.waiter);
}

/* Makes every peer whose cached answers would be used process what is on its way. Returns whether
 * there is one. */
static bool settle_peers(nkvi_steps *all)
{
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        size_t used = 0;
        if (!is_used(item) || item->settler != NULL) {
            continue;
        }
        for (size_t j = i; j < all->n; j++) {
            if (settled_together(all, &all->items[j], item)) {
                all->items[j].settler = &item->slot;
                used += is_used(&all->items[j]);
            }
        }
        any = true;
        nkvi_slot_open(&item->slot, &all->gather);
        if (all->level == NKV_BARRIER) {
            send_barrier(all, i, used);
        } else {
            nkvi_drain_send(all->client, item->route.peer, &item->slot.waiter);
        }
    }
    return any;
}

static void end_one(nkvi_reading *item, nkv_status status)
{
    drop_cached(item);
    item->state = NKVI_READ_DONE;
    item->slot.status = status;
    item->slot.value = NULL;
}

/* NKV_OK, or what ends all reads: there is no time left to ask instead, or nobody to be asked. */
static nkv_status settling_failed(const nkvi_steps *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const nkvi_slot *settler = all->items[i].settler;
        nkv_status status = settler != NULL ? settler->status : NKV_OK;
        if (status == NKV_ETIMEDOUT || status == NKV_ECLOSED || status == NKV_ECANCELED) {
            return status;
        }
    }
    return all->ending;
}

/* The peers have settled: looks again at what was a hit before.  A peer that could not settle is
 * not believed: its reads go to the server.  false: nothing is to be asked any more. */
static bool look_again(nkvi_steps *all)
{
    nkv_status failed = settling_failed(all);
    for (size_t i = 0; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        if (failed != NKV_OK) {
            end_one(item, failed);
        } else if (item->settler != NULL && item->settler->status != NKV_OK) {
            drop_cached(item);
            if (item->state != NKVI_READ_BYPASS) {
                bypass_anew(all, item);
            }
        } else if (item->state == NKVI_READ_HIT || item->validated) {
            drop_cached(item);
            item->state = NKVI_READ_NEW;
        }
        if (item->state == NKVI_READ_NEW || item->state == NKVI_READ_ASK) {
            const nkvi_peer *settled = item->route.peer;
            aim(all, item); /* nothing of it was sent yet */
            if (item->route.peer != settled) {
                bypass(item, NKV_BYPASS_UNTRACKED); /* whose word on what is cached nobody has */
            }
        }
    }
    if (failed != NKV_OK) {
        return false;
    }
    memset(&all->gather.error, 0, sizeof all->gather.error);
    look_up(all);
    return true;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static nkvi_peer *peer_of(const nkvi_reading *item)
{
    return item->there != NULL ? item->there : item->route.peer;
}

/* Opens the slots of one peer's reads in `state`, the first of which is at `i`, and lists what is
 * to be asked.  Returns how many there are. */
static size_t open_slots(nkvi_steps *all, size_t i, nkvi_read_state state)
{
    const nkvi_peer *peer = peer_of(&all->items[i]);
    bool asking = all->items[i].there != NULL;
    size_t n = 0;
    for (; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        if (item->state != state || peer_of(item) != peer || (item->there != NULL) != asking) {
            continue;
        }
        bool validates = state == NKVI_READ_ASK && item->validated;
        item->ask.validate = validates ? item->cached : NULL;
        item->ask.joined = false;
        item->ask.route = item->route;
        nkvi_slot_open(&item->slot, &all->gather);
        item->state = NKVI_READ_DONE;
        all->asks[n++] = &item->ask;
    }
    return n;
}

/* Asks all reads that are in `state`, peer by peer.  Returns whether there are any. */
static bool ask(nkvi_steps *all, nkvi_read_state state)
{
    nkvi_ask_mode mode = {
        .tracked = state == NKVI_READ_ASK,
        /* One under way may have been answered before we began: by the server, or in our socket. */
        .join = all->level <= NKV_EVENTUAL,
        .static_ttl = all->call != NULL && all->call->static_ttl,
        .ttl_ms = all->call != NULL ? all->call->ttl_ms : 0,
        .deadline_ns = all->deadline_ns,
    };
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        if (all->items[i].state != state) {
            continue; /* asked with an earlier one of its peer, perhaps */
        }
        if (all->ending != NKV_OK) {
            end_one(&all->items[i], all->ending);
            continue;
        }
        nkvi_peer *peer = peer_of(&all->items[i]);
        mode.asking = all->items[i].there != NULL;
        size_t n = open_slots(all, i, state);
        nkvi_ask_all(all->client, peer, all->asks, n, &mode);
        any = true;
    }
    return any;
}

/* The tracked lanes have answered.  A read whose lane was lost under it is asked again on the data
 * lane. */
static void take_answers(nkvi_steps *all)
{
    bool lost = false;
    for (size_t i = 0; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        item->joined = item->ask.joined;
        if (item->state == NKVI_READ_DONE && item->slot.status == NKV_ECONN) {
            bypass_anew(all, item);
            item->validated = item->joined = false;
            lost = true;
        }
    }
    if (lost && all->gather.error.status == NKV_ECONN) {
        memset(&all->gather.error, 0, sizeof all->gather.error);
    }
}

/* ---- asking again ---------------------------------------------------------------------------- */

static nkvi_again judge(const nkvi_steps *all, nkvi_reading *item)
{
    nkv_reply reply;
    bool replied = item->slot.status == NKV_EREPLY && item->slot.value != NULL;
    if (item->state != NKVI_READ_DONE || all->ending != NKV_OK) {
        return NKVI_AGAIN_NOT;
    }
    if (replied) {
        reply = nkv_value_reply(item->slot.value);
    }
    nkvi_tried tried = {.peer = peer_of(item),
                        .hash_slot = item->route.hash_slot,
                        .status = item->slot.status,
                        .reply = replied ? &reply : NULL,
                        .deadline_ns = all->deadline_ns,
                        .tries = &item->tries};
    nkvi_peer *there = NULL;
    nkvi_again again = nkvi_again_judge(all->client, &tried, &there);
    item->there = again == NKVI_AGAIN_ASKING ? there : NULL;
    return again;
}

/* Everybody has answered.  Which of the answers are none?  Returns whether there are such; a pause
 * is under way if one of them is to be asked later. */
static bool judge_all(nkvi_steps *all, bool *paused)
{
    bool any = false;
    *paused = false;
    if (all->client->connector->ops->again == NULL) {
        return false;
    }
    for (size_t i = 0; i < all->n; i++) {
        nkvi_again again = judge(all, &all->items[i]);
        if (again != NKVI_AGAIN_NOT) {
            all->items[i].state = NKVI_READ_AGAIN;
            any = true;
            *paused = *paused || again == NKVI_AGAIN_LATER;
        }
    }
    all->pause.status = NKV_OK;
    if (*paused) {
        nkvi_slot_open(&all->pause, &all->gather);
        nkvi_pause_send(all->client, &all->pause.waiter);
    }
    return any;
}

/* Begins anew with those.  If there is no time left for it, their last answers stand. */
static bool resume(nkvi_steps *all)
{
    bool over = all->pause.status != NKV_OK || all->ending != NKV_OK;
    for (size_t i = 0; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        nkvi_peer *there = item->there;
        if (item->state != NKVI_READ_AGAIN) {
            continue;
        }
        if (over) {
            item->state = NKVI_READ_DONE;
            continue;
        }
        nkv_value_release(item->slot.value);
        item->slot.value = NULL;
        drop_cached(item);
        item->reason = nkvi_read_filter(all->client, all->call, item->read->query.key,
                                        item->read->argc, item->read->argv);
        begin(all, item);
        if (there != NULL) {
            item->there = there;
            bypass(item, NKV_BYPASS_UNTRACKED);
        }
    }
    if (!over) {
        memset(&all->gather.error, 0, sizeof all->gather.error);
    }
    return !over;
}

bool nkvi_steps_go(nkvi_steps *all)
{
    bool opened = false;
    while (!opened && all->at != NKVI_STEP_END) {
        switch (all->at) {
        case NKVI_STEP_LOOK:
            look_up(all);
            all->at = all->level > NKV_EVENTUAL ? NKVI_STEP_SETTLED : NKVI_STEP_ASK;
            opened = all->level > NKV_EVENTUAL && all->ending == NKV_OK && settle_peers(all);
            break;
        case NKVI_STEP_SETTLED:
            all->at = look_again(all) ? NKVI_STEP_ASK : NKVI_STEP_END;
            break;
        case NKVI_STEP_ASK:
            opened = ask(all, NKVI_READ_ASK);
            all->at = opened ? NKVI_STEP_ASKED : NKVI_STEP_BYPASS;
            break;
        case NKVI_STEP_ASKED:
            take_answers(all);
            all->at = NKVI_STEP_BYPASS;
            break;
        case NKVI_STEP_BYPASS:
            opened = ask(all, NKVI_READ_BYPASS);
            all->at = NKVI_STEP_JUDGE;
            break;
        case NKVI_STEP_JUDGE:
            all->at = judge_all(all, &opened) ? NKVI_STEP_AGAIN : NKVI_STEP_END;
            break;
        default: /* NKVI_STEP_AGAIN */
            all->at = resume(all) ? NKVI_STEP_LOOK : NKVI_STEP_END;
            break;
        }
    }
    return opened;
}

/* ---- results --------------------------------------------------------------------------------- */

static void count(const nkvi_steps *all, const nkvi_reading *item, nkv_status status)
{
    nkv_client *client = all->client;
    nkvi_counters *counters = &client->counters;
    const nkvi_query *query = &item->read->query;
    nkvi_count_add(counters, NKVI_C_READS, 1);
    if (status < 0) {
        nkvi_count_add(counters, NKVI_C_FAILURES, 1);
    } else if (item->reason != NKV_BYPASS_COUNT) {
        nkvi_count_add(counters, NKVI_C_BYPASS + (unsigned)item->reason, 1);
    } else if (item->state == NKVI_READ_HIT || item->validated) {
        nkvi_count_add(counters, NKVI_C_HITS, 1);
        nkvi_count_add(counters, NKVI_C_VALIDATIONS, item->validated);
        nkvi_cache_count(client->cache, query, NKVI_COUNT_HIT);
    } else {
        nkvi_count_add(counters, item->joined ? NKVI_C_COALESCED : NKVI_C_MISSES, 1);
        nkvi_cache_count(client->cache, query, NKVI_COUNT_MISS);
    }
}

/* Tells of the first failure in the order of the results, which need not be the first in time. */
static void explain(const nkvi_steps *all, const nkv_result *failed, nkv_error *error)
{
    if (failed->status == NKV_EREPLY && failed->value != NULL) {
        nkv_reply reply = nkv_value_reply(failed->value);
        (void)nkvi_reply_fail(error, &reply);
    } else if (all->gather.error.status == failed->status && error != NULL) {
        *error = all->gather.error;
    } else {
        (void)nkvi_fail(error, failed->status, "%s", nkv_status_text(failed->status));
    }
}

nkv_status nkvi_steps_finish(nkvi_steps *all, nkv_error *error)
{
    const nkv_result *failed = NULL;
    assert(all->at == NKVI_STEP_END);
    for (size_t i = 0; i < all->n; i++) {
        nkvi_reading *item = &all->items[i];
        nkv_result *result = item->result;
        if (item->state == NKVI_READ_HIT) {
            *result = (nkv_result){NKV_OK, NKV_FROM_CACHE, item->cached};
        } else {
            nkv_value_release(item->cached);
            result->status = item->slot.status;
            result->value = item->slot.value;
            result->from = item->joined ? NKV_FROM_JOINED : NKV_FROM_SERVER;
        }
        count(all, item, result->status);
        if (failed == NULL && result->status < 0) {
            failed = result;
        }
    }
    if (failed != NULL) {
        explain(all, failed, error);
    }
    nkvi_gather_clear(&all->gather);
    return failed != NULL ? failed->status : NKV_OK;
}
