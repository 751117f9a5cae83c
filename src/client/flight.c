/* client/flight.c - see flight.h.
 *
 * A batch owns its flights and their strings in one block, and dies in on_done. A flight is found
 * by others only through the table, under flights->mu; once it is out of the table and its waiters
 * are taken, nobody but the batch knows it. */
#include "client/flight.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/again.h"
#include "client/flight_impl.h"
#include "client/read.h"
#include "client/reply.h"
#include "core/value.h"

void nkvi_flights_init(nkvi_flights *flights)
{
    (void)pthread_mutex_init(&flights->mu, NULL);
    for (size_t i = 0; i < NKVI_FLIGHT_BUCKETS; i++) {
        nkvi_list_init(&flights->buckets[i]);
    }
}

void nkvi_flights_clear(nkvi_flights *flights)
{
    for (size_t i = 0; i < NKVI_FLIGHT_BUCKETS; i++) {
        assert(nkvi_list_empty(&flights->buckets[i]));
    }
    (void)pthread_mutex_destroy(&flights->mu);
}

static nkvi_list *bucket_of(nkvi_flights *flights, uint64_t hash)
{
    return &flights->buckets[(hash >> 32) & (NKVI_FLIGHT_BUCKETS - 1)];
}

static bool same_str(nkv_str a, nkv_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A lane that is lost ends its flights; a connector's go on, but may have missed a change. */
static bool generation_stands(const nkvi_flight *flight)
{
    return flight->owner == NULL ||
           atomic_load_explicit(&flight->owner->generation, memory_order_acquire) ==
               flight->generation;
}

/* Whether its peer still vouches for the key's hash slot.  [loop] */
static bool slot_stands(const nkvi_batch *b, const nkvi_flight *flight)
{
    nkvi_connector *connector = b->client->connector;
    const nkvi_route route = {b->peer, flight->moves, flight->hash_slot};
    return connector->ops->vouches == NULL || connector->ops->vouches(connector, &route);
}

/* The flight that answers the query and may be joined, or NULL.  @locks flights->mu held */
static nkvi_flight *find_flight(nkvi_flights *flights, const nkvi_ask *ask)
{
    const nkvi_query *query = ask->query;
    nkvi_list *bucket = bucket_of(flights, query->hash);
    for (nkvi_node *node = bucket->head.next; node != &bucket->head; node = node->next) {
        nkvi_flight *flight = NKVI_CONTAINER(node, nkvi_flight, bucket);
        if (flight->query.hash == query->hash && same_str(flight->query.key, query->key) &&
            same_str(flight->query.command, query->command)) {
            bool usable = nkvi_fence_intact(&flight->token) && generation_stands(flight) &&
                          flight->moves == ask->route.moves && flight->peer == ask->route.peer &&
                          !atomic_load_explicit(&flight->dirty, memory_order_acquire);
            if (!usable) {
                nkvi_list_remove(&flight->bucket); /* a fresh one takes its place in the table */
            }
            return usable ? flight : NULL;
        }
    }
    return NULL;
}

bool nkvi_waiter_leave(nkvi_waiter *waiter)
{
    bool linked = nkvi_list_linked(&waiter->node);
    if (linked) {
        nkvi_list_remove(&waiter->node);
    }
    return linked;
}

void nkvi_waiters_wake(nkvi_flights *flights, nkvi_list *waiters, nkv_status status,
                       nkv_value *value, const nkv_error *error)
{
    nkvi_list woken;
    nkvi_list_init(&woken);
    pthread_mutex_lock(&flights->mu);
    nkvi_list_splice(&woken, waiters);
    /* A waiter that is off every list can no longer leave: it must be woken, once. Until then
     * `prev` chains them, and `next` keeps saying «not linked». */
    nkvi_waiter *chain = NULL;
    for (nkvi_node *node; (node = nkvi_list_pop(&woken)) != NULL;) {
        nkvi_waiter *waiter = NKVI_CONTAINER(node, nkvi_waiter, node);
        waiter->node.prev = chain != NULL ? &chain->node : NULL;
        chain = waiter;
        waiter->node.next = &waiter->node;
    }
    pthread_mutex_unlock(&flights->mu);
    while (chain != NULL) {
        nkvi_waiter *waiter = chain;
        chain =
            waiter->node.prev != NULL ? NKVI_CONTAINER(waiter->node.prev, nkvi_waiter, node) : NULL;
        waiter->wake(waiter, status, value != NULL ? nkv_value_retain(value) : NULL, error);
    }
}

void nkvi_flight_end(nkvi_batch *b, nkvi_flight *flight, nkv_status status, nkv_value *value,
                     const nkv_error *error)
{
    nkvi_flights *flights = &b->client->flights;
    assert(!flight->done);
    flight->done = true;
    pthread_mutex_lock(&flights->mu);
    nkvi_list_remove(&flight->bucket);
    pthread_mutex_unlock(&flights->mu);
    nkvi_waiters_wake(flights, &flight->waiters, status, value, error);
    nkvi_draft_clear(&flight->answer);
    nkv_value_release(flight->validate);
    flight->validate = NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Judges a validation before the answer is stored: whether the cached one is still there, the
 * same, or dirty. A cached answer that was dropped meanwhile is no fault of the cache: the push was
 * on its way. */
static void judge(nkvi_batch *b, nkvi_flight *flight, bool match, int64_t now_ns)
{
    nkv_cache *cache = b->client->cache;
    nkvi_found found;
    nkvi_cache_find(cache, &flight->query, 1, now_ns, &found);
    bool still_there = found.value == flight->validate;
    nkv_value_release(found.value);
    if (!match && !still_there) {
        return;
    }
    nkv_cache_feedback(cache, flight->query.space, flight->query.key, match);
}

/* The waiters are about to see an answer that is not put. It is newer than what another owner
  * may have in the cache, and nobody shall get that after it. (One that the same lane has
  * outdated was dropped by a push before. A connector's answers come in any order. If one was
  * overtaken by what was told, or not told, all others are newer; else older ones, which are
  * still on their way, are kept out.) */
static void outdate(const nkvi_batch *b, const nkvi_flight *flight)
{
    bool disorder =
        b->peer->foreign != NULL && nkvi_fence_intact(&flight->token) && generation_stands(flight);
    if (disorder) {
        nkvi_fence_touch(b->client->fence, flight->query.key_hash);
    }
    if (disorder || nkvi_client_others_fill(b->client)) {
        nkvi_cache_forget(b->client->cache, &flight->query);
    }
}

/* Whether the cache holds another answer of this connector. Which of the two is newer nobody can
 * tell before the change is told, so neither is kept. */
static bool contradicted(const nkvi_batch *b, const nkvi_flight *flight, int64_t now_ns)
{
    if (b->peer->foreign == NULL) {
        return false;
    }
    nkvi_found found;
    nkvi_cache_find(b->client->cache, &flight->query, 1, now_ns, &found);
    bool differs = false;
    if (found.value != NULL) {
        nkv_reply cached = nkv_value_reply(found.value);
        differs = !nkvi_reply_same(&cached, &flight->answer.root);
    }
    nkv_value_release(found.value);
    return differs;
}

/* That the key has another type now is an answer, too. */
static void wrong_type(nkvi_batch *b, nkvi_flight *flight)
{
    if (flight->validate != NULL) {
        judge(b, flight, false, nkvi_loop_now_ns(b->client->loop));
    }
    outdate(b, flight);
}

/* What a replica says is kept no longer than the option allows. */
static bool replica_bound(const nkvi_batch *b, int64_t *deadline_ns)
{
    int64_t bound_ms = b->client->options.replica_max_ttl_ms;
    if (bound_ms < 0 || !atomic_load(&b->peer->replica)) {
        return true;
    }
    int64_t bound_ns = nkvi_deadline_ns(b->sent_ns, bound_ms);
    *deadline_ns = *deadline_ns < bound_ns ? *deadline_ns : bound_ns;
    return bound_ms > 0;
}

/* Makes the value, and stores it if it may be. */
static nkv_value *flight_value(nkvi_batch *b, nkvi_flight *flight, int64_t now_ns)
{
    nkv_client *client = b->client;
    if (!b->mode.tracked) {
        if (client->caching && contradicted(b, flight, now_ns)) {
            outdate(b, flight);
        }
        return nkvi_draft_seal(&flight->answer);
    }
    if (flight->validate != NULL) {
        nkv_reply cached = nkv_value_reply(flight->validate);
        judge(b, flight, nkvi_reply_same(&cached, &flight->answer.root), now_ns);
    }
    nkvi_stamp stamp = {.owner = b->peer->owner,
                        .generation = b->request.generation,
                        .token = &flight->token,
                        .moves = flight->moves,
                        .hash_slot = flight->hash_slot};
    bool keep = nkvi_ttl_deadline(&client->options, &b->mode, b->sent_ns, &flight->answer.root,
                                  &flight->ttl, &stamp.deadline_ns);
    keep = keep && replica_bound(b, &stamp.deadline_ns);
    bool overtaken = atomic_load_explicit(&flight->dirty, memory_order_relaxed) ||
                     !nkvi_fence_intact(&flight->token) || !generation_stands(flight) ||
                     !slot_stands(b, flight) || contradicted(b, flight, now_ns);
    if (!keep || overtaken) {
        nkvi_count_add(&client->counters, NKVI_C_RACED, overtaken);
        outdate(b, flight);
        return nkvi_draft_seal(&flight->answer);
    }
    bool stored = false;
    nkv_value *value =
        nkvi_cache_put(client->cache, &flight->query, &flight->answer, &stamp, now_ns, &stored);
    if (stored) {
        nkvi_client_note_fill(b->peer, flight->query.key_hash, now_ns);
    } else if (value != NULL && !nkvi_fence_intact(&flight->token)) {
        nkvi_count_add(&client->counters, NKVI_C_RACED, 1);
    }
    return value;
}

/* Whether PTTL itself is not allowed (an ACL) or not known (renamed). */
static bool presence_refused(const nkv_reply *reply)
{
    return nkvi_reply_has_code(reply, "NOPERM") || nkvi_reply_has_code(reply, "ERR");
}

void nkvi_flight_settle(nkvi_batch *b, nkvi_flight *flight)
{
    nkv_error error = {.status = NKV_OK};
    if (flight->presence && presence_refused(&flight->answer.root)) {
        ((nkvi_peer_state *)b->peer->user)->no_presence = true;
        (void)nkvi_fail(&error, NKV_ECONN, "PTTL is refused");
        nkvi_flight_end(b, flight, NKV_ECONN, NULL, &error); /* the data lane is asked for EXISTS */
        return;
    }
    if (flight->answer.root.type == NKV_TYPE_ERROR) {
        (void)nkvi_reply_fail(&error, &flight->answer.root);
        nkvi_again_hear(b->client, b->peer, &flight->answer.root);
        if (b->mode.tracked && nkvi_reply_has_code(&flight->answer.root, "WRONGTYPE")) {
            wrong_type(b, flight);
        }
        nkv_value *reply = nkvi_draft_seal(&flight->answer);
        nkvi_flight_end(b, flight, NKV_EREPLY, reply, &error);
        nkv_value_release(reply);
        return;
    }
    nkv_value *value = flight_value(b, flight, nkvi_loop_now_ns(b->client->loop));
    if (value == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for an answer");
        nkvi_flight_end(b, flight, NKV_ENOMEM, NULL, &error);
        return;
    }
    nkvi_flight_end(b, flight, NKV_OK, value, NULL);
    nkv_value_release(value);
}

/* What PTTL says of a key is what EXISTS would have said. */
static void take_presence(nkvi_flight *flight, nkvi_draft *reply)
{
    nkvi_ttl_of_key(&flight->ttl, &reply->root);
    if (!flight->ttl.failed) {
        reply->root.integer = flight->ttl.key_ms != NKVI_TTL_NO_KEY;
    }
}

/* One of the replies of the flight whose turn it is.  [loop] */
static void take_part(nkvi_batch *b, nkvi_flight *flight, nkvi_draft *reply)
{
    nkvi_peer_state *state = b->peer->user;
    switch (b->part) {
    case 0:
        if (flight->presence) {
            take_presence(flight, reply);
        }
        flight->answer = *reply;
        nkvi_draft_init(reply);
        break;
    case 1:
        nkvi_ttl_of_key(&flight->ttl, &reply->root);
        break;
    default:
        if (!nkvi_ttl_of_fields(&flight->ttl, &reply->root)) {
            state->no_field_expiry = true; /* HPTTL is unknown there: not asked again */
        }
        break;
    }
    nkvi_draft_clear(reply);
}

/* [loop] */
static void batch_on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    nkvi_batch *b = NKVI_CONTAINER(request, nkvi_batch, request);
    nkvi_peer_state *state = b->peer->user;
    nkvi_flight *flight = &b->flights[b->at];
    (void)index; /* in order: at and part follow it */
    take_part(b, flight, reply);
    if (++b->part < flight->parts) {
        state->between = flight;
        return;
    }
    if (state->between == flight) { /* the other lane of the peer may have one of its own */
        state->between = NULL;
    }
    b->part = 0;
    b->at++;
    nkvi_flight_settle(b, flight);
}

void nkvi_batch_free(nkvi_batch *b)
{
    nkvi_free(b->inquiries);
    nkvi_spare_give(&b->client->spare, b);
}

/* [loop] */
static void batch_on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    nkvi_batch *b = NKVI_CONTAINER(request, nkvi_batch, request);
    nkvi_peer_state *state = b->peer->user;
    const size_t broken = nkvi_stream_broke(status) ? b->at : b->n;
    nkv_error lost;
    nkvi_bystander(error, &lost);
    for (size_t i = 0; i < b->n; i++) {
        if (state->between == &b->flights[i]) {
            state->between = NULL;
        }
        if (!b->flights[i].done) {
            assert(status < 0);
            bool bystander = i > broken; /* the stream broke in the answer to one before it */
            nkvi_flight_end(b, &b->flights[i], bystander ? NKV_ECONN : status, NULL,
                            bystander ? &lost : error);
        }
    }
    nkvi_batch_free(b);
}

bool nkvi_flight_pushed(nkvi_peer *peer, const nkv_str *key)
{
    nkvi_flight *flight = ((nkvi_peer_state *)peer->user)->between;
    bool hit = flight != NULL && (key == NULL || same_str(flight->query.key, *key));
    if (hit) {
        atomic_store_explicit(&flight->dirty, true, memory_order_release);
    }
    return hit;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static nkvi_batch *batch_make(nkv_client *client, nkvi_peer *peer, nkvi_ask **asks, size_t n,
                              const nkvi_ask_mode *mode)
{
    size_t bytes = sizeof(nkvi_batch) + n * sizeof(nkvi_flight);
    for (size_t i = 0; i < n; i++) {
        bytes += asks[i]->query->key.len + asks[i]->query->command.len;
    }
    nkvi_batch *b = nkvi_spare_take(&client->spare, bytes);
    if (b == NULL) {
        return NULL;
    }
    memset(b, 0, sizeof *b);
    b->client = client;
    b->peer = peer;
    b->mode = *mode;
    /* Whoever joins may be more patient than who asked first, and waiters leave by themselves. */
    b->request.deadline_ns = mode->tracked ? NKVI_NEVER : mode->deadline_ns;
    b->until_ns = peer->foreign != NULL ? nkvi_batch_patience(b) : NKVI_NEVER;
    b->request.generation =
        peer->foreign != NULL && mode->tracked
            ? atomic_load_explicit(&peer->owner->generation, memory_order_acquire)
            : 0; /* a lane sets it when it sends */
    b->request.on_reply = batch_on_reply;
    b->request.on_done = batch_on_done;
    return b;
}

static nkv_str copy_to(char **at, nkv_str str)
{
    nkv_str copy = nkv_str_make(*at, str.len);
    if (str.len > 0) {
        memcpy(*at, str.data, str.len);
    }
    *at += str.len;
    return copy;
}

/* Adds a flight for the ask.
 * @locks flights->mu held */
static void batch_add(nkvi_batch *b, const nkvi_ask *ask, char **strings, bool in_table)
{
    nkvi_flight *flight = &b->flights[b->n++];
    memset(flight, 0, sizeof *flight);
    nkvi_ttl_init(&flight->ttl);
    nkvi_node_init(&flight->bucket);
    nkvi_list_init(&flight->waiters);
    nkvi_draft_init(&flight->answer);
    flight->query = *ask->query;
    flight->query.key = copy_to(strings, ask->query->key);
    flight->query.command = copy_to(strings, ask->query->command);
    flight->token = ask->token;
    flight->peer = b->peer;
    flight->until_ns = b->until_ns;
    flight->moves = ask->route.moves;
    flight->hash_slot = ask->route.hash_slot;
    flight->owner = b->peer->foreign != NULL && b->mode.tracked ? b->peer->owner : NULL;
    flight->generation = b->request.generation;
    if (ask->validate != NULL) {
        flight->validate = nkv_value_retain(ask->validate);
    }
    nkvi_list_push(&flight->waiters, &ask->waiter->node);
    if (in_table) {
        nkvi_list_push(bucket_of(&b->client->flights, ask->query->hash), &flight->bucket);
    }
}

/* Writes the commands of one flight, and says how many replies they will have. */
static unsigned write_parts(const nkvi_batch *b, const nkvi_ask *ask, nkvi_flight *flight,
                            nkvi_buf *bytes)
{
    static const nkv_str pttl = {"PTTL", 4}, hpttl = {"HPTTL", 5}, fields = {"FIELDS", 6};
    bool bounded = b->mode.tracked && !b->mode.static_ttl;
    flight->presence = bounded && !((nkvi_peer_state *)b->peer->user)->no_presence &&
                       same_str(ask->query->command, nkvi_verb_exists.command);
    if (!flight->presence) {
        nkvi_buf_resp(bytes, ask->argc, ask->argv);
    }
    if (!bounded) {
        return 1;
    }
    nkv_str argv[2] = {pttl, ask->query->key};
    nkvi_buf_resp(bytes, 2, argv);
    if (flight->presence) {
        return 1;
    }
    if (ask->fields_at == 0 || ((nkvi_peer_state *)b->peer->user)->no_field_expiry) {
        return 2;
    }
    char number[24];
    size_t n = ask->argc - ask->fields_at;
    int digits = snprintf(number, sizeof number, "%zu", n);
    nkvi_buf_resp_header(bytes, 4 + n);
    nkvi_buf_resp_arg(bytes, hpttl);
    nkvi_buf_resp_arg(bytes, ask->query->key);
    nkvi_buf_resp_arg(bytes, fields);
    nkvi_buf_resp_arg(bytes, nkv_str_make(number, (size_t)digits));
    for (size_t i = 0; i < n; i++) {
        nkvi_buf_resp_arg(bytes, ask->argv[ask->fields_at + i]);
    }
    return 3;
}

/* Joins what can be joined and makes flights for the rest, with their commands in `bytes`. */
static void batch_fill(nkvi_batch *b, nkvi_ask **asks, size_t n, nkvi_buf *bytes)
{
    nkvi_flights *flights = &b->client->flights;
    char *strings = (char *)&b->flights[n];
    pthread_mutex_lock(&flights->mu);
    for (size_t i = 0; i < n; i++) {
        nkvi_ask *ask = asks[i];
        bool shared = b->mode.tracked && ask->validate == NULL;
        nkvi_flight *flight = shared ? find_flight(flights, ask) : NULL;
        if (flight != NULL && b->mode.join && flight->until_ns >= b->mode.deadline_ns) {
            nkvi_list_push(&flight->waiters, &ask->waiter->node);
            ask->joined = true;
            continue;
        }
        batch_add(b, ask, &strings, shared && flight == NULL);
        flight = &b->flights[b->n - 1];
        flight->parts = b->peer->foreign == NULL ? write_parts(b, ask, flight, bytes) : 1;
        b->request.replies += flight->parts;
    }
    pthread_mutex_unlock(&flights->mu);
}

void nkvi_wake_all(nkvi_ask **asks, size_t n, nkv_status status, const nkv_error *error)
{
    for (size_t i = 0; i < n; i++) {
        asks[i]->waiter->wake(asks[i]->waiter, status, NULL, error);
    }
}

void nkvi_ask_all(nkv_client *client, nkvi_peer *peer, nkvi_ask **asks, size_t n,
                  const nkvi_ask_mode *mode)
{
    if (!mode->tracked && peer->foreign == NULL) {
        nkvi_ask_plain(client, peer, asks, n, mode);
        return;
    }
    nkv_error error = {.status = NKV_OK};
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    nkvi_batch *b = batch_make(client, peer, asks, n, mode);
    if (b == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory to ask");
        nkvi_wake_all(asks, n, NKV_ENOMEM, &error);
        return;
    }
    batch_fill(b, asks, n, &bytes);
    if (b->n == 0) {
        nkvi_buf_clear(&bytes);
        nkvi_batch_free(b);
        return;
    }
    if (peer->foreign != NULL) {
        nkvi_batch_inquire(b);
        return;
    }
    b->sent_ns = nkvi_now_ns();
    nkv_status status;
    if (bytes.failed) {
        nkvi_buf_clear(&bytes);
        status = nkvi_fail(&error, NKV_ENOMEM, "no memory to ask");
    } else {
        status = nkvi_lane_submit(peer->tracked, &b->request, &bytes, NKVI_SUBMIT_ARMED, &error);
    }
    if (status == NKV_OK) {
        return; /* the batch is the lane's now, and may be gone */
    }
    for (size_t i = 0; i < b->n; i++) {
        nkvi_flight_end(b, &b->flights[i], status, NULL, &error);
    }
    nkvi_batch_free(b);
}
