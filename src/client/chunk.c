/* client/chunk.c - see chunk.h.
 *
 *      head: "*3 SET $len key $len"      from the chunk's own memory, or an allocated block
 *      value                             from the caller's
 *      tail: CR LF, "EX 60"              from the chunk's own memory
 *
 * Of a pair:
 *      head: "*5 MSET $len key $len"     from an allocated block, "MULTI" before it if it expires
 *      tail: other key and value; PEXPIRE of both and EXEC, if they expire
 */
#include "client/chunk.h"

#include <assert.h>
#include <string.h>

#include <nearkv/batch.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/again.h"
#include "client/reply.h"

#define SUBMIT_MAX 256u /* operations handed over at once */
#define HEAD_MORE  72u  /* bytes of a head besides the key */
#define MULTI_MORE 16u  /* of a pair's more */
#define TAIL_MORE  224u /* bytes of a pair's tail besides the keys and the value */
#define ASKING     "*1\r\n$6\r\nASKING\r\n"
#define PAIR_PARTS 3u /* commands of a pair that expires, besides MULTI and EXEC */

/* ---- the end --------------------------------------------------------------------------------- */

static bool writes(const nkvi_chunk *chunk)
{
    return chunk->kind != NKVI_CHUNK_GET;
}

static void count_read(const nkvi_chunk *chunk, nkv_status status)
{
    nkvi_counters *counters = &chunk->client->counters;
    nkvi_count_add(counters, NKVI_C_READS, 1);
    nkvi_count_add(counters,
                   status < 0 ? NKVI_C_FAILURES : NKVI_C_BYPASS + NKV_BYPASS_NOT_CACHEABLE, 1);
}

static nkvi_priority priority_of(const nkvi_chunk *chunk)
{
    nkv_priority own = writes(chunk) ? NKV_PRIORITY_PUT : NKV_PRIORITY_GET;
    return (nkvi_priority)((chunk->priority != NKV_PRIORITY_DEFAULT ? chunk->priority : own) - 1);
}

static void drop_head(nkvi_chunk *chunk)
{
    if (chunk->head != chunk->inline_head) {
        nkvi_free(chunk->head);
    }
    chunk->head = chunk->inline_head;
}

static void bracket_begin(nkvi_chunk *chunk)
{
    nkv_cache *cache = chunk->client->cache;
    if (!writes(chunk) || cache == NULL || chunk->bracketed) {
        return;
    }
    chunk->bracketed = true;
    chunk->spaces = nkvi_cache_write_begin(cache, chunk->key);
    if (chunk->kind == NKVI_CHUNK_PAIR) {
        chunk->other_spaces = nkvi_cache_write_begin(cache, chunk->other_key);
    }
}

static void bracket_end(nkvi_chunk *chunk)
{
    nkv_cache *cache = chunk->client->cache;
    nkvi_written *written = chunk->client->own_written;
    if (written != NULL && writes(chunk)) {
        nkvi_written_note(written, chunk->key);
        nkvi_written_note(written, chunk->kind == NKVI_CHUNK_PAIR ? chunk->other_key : chunk->key);
    }
    if (!chunk->bracketed) {
        return;
    }
    chunk->bracketed = false;
    nkvi_cache_write_end(cache, chunk->key, chunk->spaces);
    if (chunk->kind == NKVI_CHUNK_PAIR) {
        nkvi_cache_write_end(cache, chunk->other_key, chunk->other_spaces);
    }
}

/* Gives back what the chunk holds, and tells. */
static void end(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                const nkv_error *error)
{
    drop_head(chunk);
    bracket_end(chunk);
    if (!writes(chunk)) {
        count_read(chunk, status);
    }
    chunk->done(chunk, status, reply, error);
}

/* The keys' slot is being migrated: new ones are taken one by one, two at a time only when that is
 * over. */
static bool is_unsettled(const nkv_reply *reply)
{
    return nkvi_reply_has_code(reply, "TRYAGAIN");
}

bool nkvi_pair_refused(nkv_status status, const nkv_reply *reply)
{
    static const char broken[] = "ERR Protocol error"; /* the value is what was refused */
    if (status != NKV_EREPLY || reply == NULL ||
        (reply->len >= sizeof broken - 1 && memcmp(reply->str, broken, sizeof broken - 1) == 0)) {
        return false;
    }
    return nkvi_reply_has_code(reply, "NOPERM") || nkvi_reply_has_code(reply, "ERR") ||
           nkvi_reply_has_code(reply, "CROSSSLOT") || is_unsettled(reply);
}

/* What the server thinks of pairs.  Where it took some before, it may be the keys alone. */
static void note_pair(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply)
{
    _Atomic nkvi_pairs *pairs = &atomic_load(&chunk->peer)->pairs;
    if (status == NKV_OK) {
        atomic_store(pairs, NKVI_PAIRS_TAKEN);
    } else if (nkvi_pair_refused(status, reply) && !is_unsettled(reply)) {
        bool taken = atomic_load(pairs) == NKVI_PAIRS_TAKEN;
        atomic_store(pairs, taken ? NKVI_PAIRS_UNKNOWN : NKVI_PAIRS_REFUSED);
    }
}

/* ---- again ----------------------------------------------------------------------------------- */

/* An answer on its way to the loop, where it is judged. */
typedef struct answered {
    nkvi_task task;
    nkvi_waiter pause;
    nkvi_chunk *chunk;
    nkvi_peer *peer; /* whose answer it is */
    nkvi_peer *there;
    nkv_status status;
    nkv_error error;
    bool replied;
    nkv_reply reply; /* an error, if there was one */
    char text[];
} answered;

static void send_again(nkvi_chunk *chunk, nkvi_peer *there);

/* It was the caller's answer after all. */
static void answered_end(answered *self, nkv_status status, const nkv_error *error)
{
    bool own = status == self->status;
    end(self->chunk, status, own && self->replied ? &self->reply : NULL,
        own ? &self->error : error);
    nkvi_free(self);
}

/* [loop] */
static void pause_over(nkvi_waiter *waiter, nkv_status status, nkv_value *value,
                       const nkv_error *error)
{
    answered *self = NKVI_CONTAINER(waiter, answered, pause);
    nkvi_chunk *chunk = self->chunk;
    nkv_value_release(value);
    if (status != NKV_OK) {
        answered_end(self, status, error);
        return;
    }
    nkvi_free(self);
    send_again(chunk, NULL);
}

/* [loop] */
static void judge(nkvi_task *task)
{
    answered *self = NKVI_CONTAINER(task, answered, task);
    nkvi_chunk *chunk = self->chunk;
    nkv_client *client = chunk->client;
    nkvi_tried tried = {.peer = self->peer,
                        .hash_slot = nkvi_client_route(client, chunk->key, NKVI_TO_WRITE).hash_slot,
                        .status = self->status,
                        .reply = self->replied ? &self->reply : NULL,
                        .deadline_ns = chunk->deadline_ns,
                        .tries = &chunk->tries};
    if (self->replied) {
        nkvi_again_hear(client, self->peer, &self->reply);
    }
    nkvi_peer *there = NULL;
    switch (nkvi_again_judge(client, &tried, &there)) {
    case NKVI_AGAIN_NOT:
        answered_end(self, self->status, &self->error);
        break;
    case NKVI_AGAIN_LATER:
        nkvi_node_init(&self->pause.node);
        self->pause.wake = pause_over;
        nkvi_pause_send(client, &self->pause);
        break;
    default:
        nkvi_free(self);
        send_again(chunk, there);
        break;
    }
}

/* Whether it may be sent again at all, because it was not executed, or may be twice. */
static bool may_go_again(const nkvi_chunk *chunk, nkv_status status)
{
    const nkv_client *client = chunk->client;
    if (client->connector->ops->again == NULL || atomic_load(&client->closing)) {
        return false;
    }
    bool unsure = status == NKV_ECONN && writes(chunk) && chunk->op.written > 0;
    return (status == NKV_EREPLY || status == NKV_ECONN) &&
           (!unsure || client->options.resend_writes != 0);
}

/* Hands the answer to the loop; false: it is the caller's at once. */
static bool pass_on(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                    const nkv_error *error)
{
    bool replied = status == NKV_EREPLY && reply != NULL; /* else it is the login's answer */
    size_t len = replied ? reply->len : 0;
    answered *self = may_go_again(chunk, status) ? nkvi_alloc(sizeof *self + len + 1) : NULL;
    if (self == NULL) {
        return false;
    }
    memset(self, 0, sizeof *self);
    self->task.run = judge;
    self->chunk = chunk;
    self->peer = atomic_load(&chunk->peer);
    self->status = status;
    if (error != NULL) {
        self->error = *error;
    }
    self->replied = replied;
    if (replied) {
        memcpy(self->text, reply->str, len);
        self->text[len] = '\0';
        self->reply = (nkv_reply){.type = NKV_TYPE_ERROR, .str = self->text, .len = len};
    }
    nkvi_loop_post(chunk->client->loop, &self->task);
    return true;
}

static void op_done(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                    const nkv_error *error)
{
    nkvi_chunk *chunk = NKVI_CONTAINER(op, nkvi_chunk, op);
    if (chunk->kind == NKVI_CHUNK_PAIR) {
        bool executed =
            status == NKV_OK && reply->type == NKV_TYPE_ARRAY && reply->elements == PAIR_PARTS;
        reply = executed ? &reply->element[0] : reply; /* what MSET has said */
        note_pair(chunk, status, reply);
    }
    bool refused = chunk->kind == NKVI_CHUNK_PAIR && nkvi_pair_refused(status, reply);
    if (refused || !pass_on(chunk, status, reply, error)) {
        end(chunk, status, reply, error);
    }
}

static char *op_room(nkvi_bulk_op *op, size_t len)
{
    nkvi_chunk *chunk = NKVI_CONTAINER(op, nkvi_chunk, op);
    return chunk->room(chunk, len);
}

/* ---- a connector of the user's own ----------------------------------------------------------- */

/* What the connector said, in the words of a server. */
static nkv_reply reply_of(const nkvi_chunk *chunk, const nkvi_foreign_answer *answer)
{
    switch (chunk->kind) {
    case NKVI_CHUNK_SET:
        return (nkv_reply){.type = NKV_TYPE_STATUS, .str = "OK", .len = 2};
    case NKVI_CHUNK_DEL:
        return (nkv_reply){.type = NKV_TYPE_INTEGER, .integer = answer->found};
    default:
        return answer->found ? (nkv_reply){.type = NKV_TYPE_STRING,
                                           .str = answer->text.data,
                                           .len = answer->text.len}
                             : (nkv_reply){.type = NKV_TYPE_NIL};
    }
}

static void foreign_done(nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                         const nkv_error *error)
{
    nkvi_chunk *chunk = NKVI_CONTAINER(op, nkvi_chunk, foreign_op);
    if (status != NKV_OK) {
        end(chunk, status, NULL, error);
        return;
    }
    nkv_reply reply = reply_of(chunk, answer);
    end(chunk, NKV_OK, &reply, NULL);
}

static char *foreign_room(nkvi_foreign_op *op, size_t len)
{
    nkvi_chunk *chunk = NKVI_CONTAINER(op, nkvi_chunk, foreign_op);
    return chunk->room(chunk, len);
}

/* Writes are bracketed there. */
static void make_foreign(nkvi_chunk *chunk)
{
    static const nkvi_foreign_kind kinds[] = {[NKVI_CHUNK_GET] = NKVI_FOREIGN_GET,
                                              [NKVI_CHUNK_SET] = NKVI_FOREIGN_PUT,
                                              [NKVI_CHUNK_DEL] = NKVI_FOREIGN_REMOVE};
    chunk->foreign_op = (nkvi_foreign_op){.kind = kinds[chunk->kind],
                                          .priority = priority_of(chunk),
                                          .key = chunk->key,
                                          .value = chunk->value,
                                          .ttl_ms = chunk->ttl_ms,
                                          .expect = chunk->expect,
                                          .deadline_ns = chunk->deadline_ns,
                                          .room = chunk->room != NULL ? foreign_room : NULL,
                                          .done = foreign_done};
}

/* ---- the command ----------------------------------------------------------------------------- */

static char *put(char *at, const char *text, size_t len)
{
    if (len > 0) {
        memcpy(at, text, len);
    }
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_len(char *at, size_t len)
{
    at = PUT(at, "$");
    at += nkvi_ascii_decimal(at, len);
    return PUT(at, "\r\n");
}

static char *put_string(char *at, nkv_str str)
{
    at = put(put_len(at, str.len), str.data, str.len);
    return PUT(at, "\r\n");
}

/* Room for head and tail; what is too long for any server is not sent. */
static nkv_status find_head(nkvi_chunk *chunk, nkv_error *error)
{
    bool key = chunk->key.len > NKV_VALUE_MAX;
    chunk->head = chunk->inline_head;
    chunk->tail = chunk->inline_tail;
    if (key || chunk->value.len > NKV_VALUE_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "a %s of %zu bytes; allowed are up to %zu",
                         key ? "key" : "value", key ? chunk->key.len : chunk->value.len,
                         NKV_VALUE_MAX);
    }
    size_t head = chunk->key.len + HEAD_MORE, tail = 0;
    head += chunk->asking ? sizeof(ASKING) - 1 : 0;
    if (chunk->kind == NKVI_CHUNK_PAIR) {
        head += MULTI_MORE;
        tail = chunk->key.len + 2 * chunk->other_key.len + chunk->other_value.len + TAIL_MORE;
    }
    if (head + tail > sizeof chunk->inline_head) {
        chunk->head = nkvi_alloc(head + tail);
    }
    if (chunk->head == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a command");
    }
    chunk->tail = tail > 0 ? chunk->head + head : chunk->inline_tail;
    return NKV_OK;
}

static bool is_transaction(const nkvi_chunk *chunk)
{
    return chunk->kind == NKVI_CHUNK_PAIR && chunk->ttl_ms > 0;
}

static void make_head(nkvi_chunk *chunk)
{
    static const char *const names[] = {[NKVI_CHUNK_GET] = "\r\n$3\r\nGET\r\n",
                                        [NKVI_CHUNK_SET] = "\r\n$3\r\nSET\r\n",
                                        [NKVI_CHUNK_DEL] = "\r\n$3\r\nDEL\r\n",
                                        [NKVI_CHUNK_PAIR] = "\r\n$4\r\nMSET\r\n"};
    bool set = chunk->kind == NKVI_CHUNK_SET || chunk->kind == NKVI_CHUNK_PAIR;
    assert(chunk->head != NULL);
    char *at = chunk->head;
    at = chunk->asking ? PUT(at, ASKING) : at;
    at = is_transaction(chunk) ? PUT(at, "*1\r\n$5\r\nMULTI\r\n") : at;
    *at++ = '*';
    *at++ = !set ? '2' : chunk->kind == NKVI_CHUNK_PAIR || chunk->ttl_ms > 0 ? '5' : '3';
    at = put(at, names[chunk->kind], strlen(names[chunk->kind]));
    at = put_string(at, chunk->key);
    at = set ? put_len(at, chunk->value.len) : at;
    chunk->op.parts[0] = nkv_str_make(chunk->head, (size_t)(at - chunk->head));
}

static char *put_expiry(char *at, nkv_str key, int64_t ttl_ms)
{
    char digits[NKVI_DECIMAL_MAX];
    size_t n = nkvi_ascii_decimal(digits, (uint64_t)ttl_ms);
    at = PUT(at, "*3\r\n$7\r\nPEXPIRE\r\n");
    return put_string(put_string(at, key), nkv_str_make(digits, n));
}

static void make_pair_tail(nkvi_chunk *chunk)
{
    char *at = PUT(chunk->tail, "\r\n");
    at = put_string(put_string(at, chunk->other_key), chunk->other_value);
    if (is_transaction(chunk)) {
        at = put_expiry(at, chunk->key, chunk->ttl_ms);
        at = put_expiry(at, chunk->other_key, chunk->ttl_ms);
        at = PUT(at, "*1\r\n$4\r\nEXEC\r\n");
    }
    chunk->op.parts[1] = chunk->value;
    chunk->op.parts[2] = nkv_str_make(chunk->tail, (size_t)(at - chunk->tail));
}

/* What follows a value that is set: whole seconds as EX, as most write them. */
static void make_tail(nkvi_chunk *chunk)
{
    char *at = PUT(chunk->tail, "\r\n");
    if (chunk->ttl_ms > 0) {
        char digits[NKVI_DECIMAL_MAX];
        bool whole = chunk->ttl_ms % 1000 == 0;
        size_t n = nkvi_ascii_decimal(digits, (uint64_t)chunk->ttl_ms / (whole ? 1000u : 1u));
        at = whole ? PUT(at, "$2\r\nEX\r\n") : PUT(at, "$2\r\nPX\r\n");
        at = put_len(at, n);
        at = put(at, digits, n);
        at = PUT(at, "\r\n");
    }
    chunk->op.parts[1] = chunk->value;
    chunk->op.parts[2] = nkv_str_make(chunk->tail, (size_t)(at - chunk->tail));
}

/* ---- submitting ------------------------------------------------------------------------------ */

static nkv_status may_begin(nkvi_chunk *chunk, nkv_error *error)
{
    if (atomic_load(&chunk->client->closing)) {
        return nkvi_fail(error, NKV_ECLOSED, "the client is being destroyed");
    }
    if (atomic_load(&chunk->cancelled)) {
        return nkvi_fail(error, NKV_ECANCELED, "cancelled");
    }
    return find_head(chunk, error);
}

static void make_op(nkvi_chunk *chunk)
{
    chunk->op.before = (is_transaction(chunk) ? PAIR_PARTS + 1 : 0) + chunk->asking;
    make_head(chunk);
    if (chunk->kind == NKVI_CHUNK_PAIR) {
        make_pair_tail(chunk);
    } else if (chunk->kind == NKVI_CHUNK_SET) {
        make_tail(chunk);
    }
    chunk->op.priority = priority_of(chunk);
    chunk->op.expect = chunk->expect;
    chunk->op.deadline_ns = chunk->deadline_ns;
    chunk->op.room = !writes(chunk) && chunk->room != NULL ? op_room : NULL;
    chunk->op.done = op_done;
    bracket_begin(chunk);
}

static void cancel_at(nkvi_peer *peer, nkvi_chunk *chunk)
{
    if (peer->foreign != NULL) {
        nkvi_foreign_cancel(peer->foreign, &chunk->foreign_op);
    } else {
        nkvi_bulk_cancel(peer->bulk, &chunk->op);
    }
}

/* Makes the chunk ready to be handed to its peer's lanes, and returns the peer. NULL: it has
 * ended. */
static nkvi_peer *prepare(nkv_client *client, nkvi_chunk *chunk)
{
    nkv_error error;
    chunk->client = client;
    chunk->head = chunk->inline_head;
    nkv_status status = may_begin(chunk, &error);
    if (status != NKV_OK) {
        end(chunk, status, NULL, &error);
        return NULL;
    }
    nkvi_peer *peer =
        nkvi_client_route(client, chunk->key, writes(chunk) ? NKVI_TO_WRITE : NKVI_TO_READ).peer;
    nkvi_count_add(&client->counters, NKVI_C_WRITES, writes(chunk));
    if (peer->foreign != NULL) {
        make_foreign(chunk);
    } else {
        make_op(chunk);
    }
    atomic_store(&chunk->peer, peer);
    if (atomic_load(&chunk->cancelled)) { /* by somebody who has not seen the peer */
        cancel_at(peer, chunk);
    }
    return peer;
}

/* [loop] The bulk lanes have let go of it. */
static void send_again(nkvi_chunk *chunk, nkvi_peer *there)
{
    nkv_client *client = chunk->client;
    nkv_error error;
    chunk->asking = there != NULL;
    drop_head(chunk);
    nkv_status status = may_begin(chunk, &error);
    if (status != NKV_OK) {
        end(chunk, status, NULL, &error);
        return;
    }
    nkvi_peer *peer = there;
    if (peer == NULL) {
        nkvi_intent intent = writes(chunk) ? NKVI_TO_WRITE : NKVI_TO_READ;
        peer = nkvi_client_route(client, chunk->key, intent).peer;
    }
    nkvi_bulk_let_go(atomic_load(&chunk->peer)->bulk, &chunk->op);
    make_op(chunk);
    atomic_store(&chunk->peer, peer);
    if (atomic_load(&chunk->cancelled)) { /* by somebody who saw the peer of before */
        cancel_at(peer, chunk);
    }
    nkvi_bulk_op *op = &chunk->op;
    nkvi_bulk_submit(peer->bulk, &op, 1);
}

/* Chunks on their way to their peers. */
typedef struct basket {
    nkvi_chunk *chunks[SUBMIT_MAX];
    nkvi_peer *peers[SUBMIT_MAX];
    size_t n;
} basket;

static void submit_to(nkvi_peer *peer, nkvi_chunk *const *chunks, size_t n)
{
    if (peer->foreign != NULL) {
        nkvi_foreign_op *ops[SUBMIT_MAX];
        for (size_t i = 0; i < n; i++) {
            ops[i] = &chunks[i]->foreign_op;
        }
        nkvi_foreign_submit(peer->foreign, ops, n);
        return;
    }
    nkvi_bulk_op *ops[SUBMIT_MAX];
    for (size_t i = 0; i < n; i++) {
        ops[i] = &chunks[i]->op;
    }
    nkvi_bulk_submit(peer->bulk, ops, n);
}

/* Hands over what is for the peer of the first one; the others move up. */
static void hand_over_some(basket *all)
{
    nkvi_chunk *chunks[SUBMIT_MAX];
    nkvi_peer *peer = all->peers[0];
    size_t n = 0, rest = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->peers[i] == peer) {
            chunks[n++] = all->chunks[i];
        } else {
            all->chunks[rest] = all->chunks[i];
            all->peers[rest++] = all->peers[i];
        }
    }
    all->n = rest;
    submit_to(peer, chunks, n);
}

void nkvi_chunks_submit(nkv_client *client, nkvi_chunk *const *chunks, size_t n)
{
    basket all = {.n = 0};
    for (size_t i = 0; i < n; i++) {
        all.peers[all.n] = prepare(client, chunks[i]);
        all.chunks[all.n] = chunks[i];
        all.n += all.peers[all.n] != NULL;
        while (all.n > 0 && (all.n == SUBMIT_MAX || i + 1 == n)) {
            hand_over_some(&all);
        }
    }
}

nkvi_pairs nkvi_chunk_pairs(nkv_client *client, nkv_str key, nkv_str other_key)
{
    nkvi_route route = nkvi_client_route(client, key, NKVI_TO_WRITE);
    nkvi_route other = nkvi_client_route(client, other_key, NKVI_TO_WRITE);
    if (route.peer->foreign != NULL || route.peer != other.peer ||
        route.hash_slot != other.hash_slot) {
        return NKVI_PAIRS_REFUSED;
    }
    return atomic_load(&route.peer->pairs);
}

void nkvi_chunk_cancel(nkvi_chunk *chunk)
{
    atomic_store(&chunk->cancelled, true);
    nkvi_peer *peer = atomic_load(&chunk->peer);
    if (peer != NULL) {
        cancel_at(peer, chunk);
    }
}
