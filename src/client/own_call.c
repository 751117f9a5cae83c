/* client/own_call.c - see own_call.h.
 *
 * A call is one operation of the connector for each of its keys.  The last that ends makes the
 * answer, in the words of a server, and wakes the waiter.  Writes are bracketed by the peer
 * (conn/foreign.h). */
#include "client/own_call.h"

#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"
#include "client/client_int.h"
#include "conn/foreign.h"

#define KNOWN "GET, MGET, EXISTS, SET (plain, PX, EX), DEL, UNLINK, PING and SCAN 0"

/* What a command comes to. */
typedef struct wish {
    nkvi_foreign_kind kind;
    nkv_str value;       /* SET */
    int64_t ttl_ms;      /* SET */
    const nkv_str *keys; /* as many operations */
    size_t keys_len;
    nkv_str pattern; /* SCAN: MATCH */
} wish;

typedef struct own_call own_call;

typedef struct piece {
    nkvi_foreign_op op;
    own_call *whole;
    bool found;
    nkvi_draft draft;
} piece;

struct own_call {
    nkv_client *client;
    nkvi_list waiters; /* guarded by flights->mu */
    nkvi_foreign_kind kind;
    bool exact; /* SCAN: the prefix is all of the key */
    _Atomic bool explained;
    nkv_error error; /* of the first that failed */
    size_t n;
    _Atomic size_t open;
    piece pieces[]; /* then pointers to their operations, and copies of keys and value */
};

/* ---- understanding --------------------------------------------------------------------------- */

static const nkv_str no_key = {"", 0};

static nkv_status unknown(nkv_error *error, nkv_str name)
{
    int len = name.len < 40 ? (int)name.len : 40;
    return nkvi_fail(error, NKV_ENOTSUP, "%.*s: this client wraps a connector, which knows " KNOWN,
                     len, name.data);
}

static bool take_set(size_t argc, const nkv_str *argv, wish *out)
{
    static const nkvi_bound bound = {"expiry", 1, INT64_MAX / 1000};
    *out = (wish){.kind = NKVI_FOREIGN_PUT, .keys = &argv[1], .keys_len = 1, .value = argv[2]};
    if (argc == 3) {
        return true;
    }
    bool ms = nkvi_ascii_is(argv[3], "PX");
    if (argc != 5 || !(ms || nkvi_ascii_is(argv[3], "EX")) ||
        nkvi_parse_int(argv[4], &bound, &out->ttl_ms, NULL) != NKV_OK) {
        return false;
    }
    out->ttl_ms *= ms ? 1 : 1000;
    return true;
}

static bool take_scan(size_t argc, const nkv_str *argv, wish *out)
{
    *out = (wish){
        .kind = NKVI_FOREIGN_SCAN, .keys = &no_key, .keys_len = 1, .pattern = nkv_str_make("*", 1)};
    bool known = argc % 2 == 0 && nkvi_ascii_is(argv[1], "0");
    for (size_t i = 2; known && i < argc; i += 2) {
        if (nkvi_ascii_is(argv[i], "MATCH")) {
            out->pattern = argv[i + 1];
        } else if (nkvi_ascii_is(argv[i], "TYPE")) {
            known = nkvi_ascii_is(argv[i + 1], "string");
        } else {
            known = nkvi_ascii_is(argv[i], "COUNT");
        }
    }
    return known;
}

/* The literal of a pattern, written to `out` (as long as the pattern; NULL: nowhere); *exact:
 * there is no star behind it.  false: it is no such pattern. */
static bool take_pattern(nkv_str pattern, char *out, size_t *len, bool *exact)
{
    *len = 0;
    *exact = true;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.data[i];
        if (c == '*' && i + 1 == pattern.len) {
            *exact = false;
            return true;
        }
        if (c == '*' || c == '?' || c == '[') {
            return false;
        }
        if (c == '\\' && i + 1 < pattern.len) {
            c = pattern.data[++i];
        }
        if (out != NULL) {
            out[*len] = c;
        }
        ++*len;
    }
    return true;
}

/* Commands about many keys, and how many at least. */
static bool take_keys(size_t argc, const nkv_str *argv, wish *out)
{
    static const struct {
        const char *name;
        nkvi_foreign_kind kind;
    } commands[] = {{"DEL", NKVI_FOREIGN_REMOVE},
                    {"UNLINK", NKVI_FOREIGN_REMOVE},
                    {"MGET", NKVI_FOREIGN_GET},
                    {"EXISTS", NKVI_FOREIGN_EXISTS}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (nkvi_ascii_is(argv[0], commands[i].name)) {
            *out = (wish){.kind = commands[i].kind, .keys = argv + 1, .keys_len = argc - 1};
            return argc > 1;
        }
    }
    return false;
}

static bool understand(size_t argc, const nkv_str *argv, wish *out)
{
    if (argc == 1 && nkvi_ascii_is(argv[0], "PING")) {
        *out = (wish){.kind = NKVI_FOREIGN_PING, .keys = &no_key, .keys_len = 1};
        return true;
    }
    if (argc >= 3 && nkvi_ascii_is(argv[0], "SET")) {
        return take_set(argc, argv, out);
    }
    if (argc >= 2 && nkvi_ascii_is(argv[0], "SCAN")) {
        return take_scan(argc, argv, out);
    }
    return take_keys(argc, argv, out);
}

nkv_status nkvi_own_check(size_t argc, const nkv_str *argv, nkv_error *error)
{
    wish wanted;
    size_t len;
    bool exact;
    if (argc == 2 && nkvi_ascii_is(argv[0], "GET")) {
        return NKV_OK;
    }
    if (!understand(argc, argv, &wanted)) {
        return unknown(error, argv[0]);
    }
    if (wanted.kind == NKVI_FOREIGN_SCAN && !take_pattern(wanted.pattern, NULL, &len, &exact)) {
        return nkvi_fail(error, NKV_ENOTSUP,
                         "SCAN of a connector: MATCH takes a literal with a '*' behind it");
    }
    return NKV_OK;
}

/* ---- answers --------------------------------------------------------------------------------- */

static size_t found_of(const own_call *self)
{
    size_t found = 0;
    for (size_t i = 0; i < self->n; i++) {
        found += self->pieces[i].found;
    }
    return found;
}

/* A copy of a tree of views, as a value. */
static nkv_value *value_of(const nkv_reply *root)
{
    nkvi_draft draft;
    nkv_value *value = nkvi_draft_copy(&draft, root) ? nkvi_draft_seal(&draft) : NULL;
    nkvi_draft_clear(&draft);
    return value;
}

static nkv_value *values_of(const own_call *self)
{
    nkv_reply *children = nkvi_calloc(self->n, sizeof *children);
    if (children == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < self->n; i++) {
        children[i] = self->pieces[i].draft.root;
    }
    nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = self->n, .element = children};
    nkv_value *value = value_of(&root);
    nkvi_free(children);
    return value;
}

static bool same_str(const nkv_reply *reply, nkv_str text)
{
    return reply->len == text.len &&
           (text.len == 0 || memcmp(reply->str, text.data, text.len) == 0);
}

/* Cursor and keys, as SCAN's; the scan is over. */
static nkv_value *scanned(const own_call *self)
{
    const nkv_reply *keys = &self->pieces[0].draft.root;
    nkv_reply *children = nkvi_calloc(keys->elements + 2, sizeof *children);
    if (children == NULL) {
        return NULL;
    }
    nkv_reply *hits = children + 2;
    size_t n = 0;
    for (size_t i = 0; i < keys->elements; i++) {
        if (!self->exact || same_str(&keys->element[i], self->pieces[0].op.key)) {
            hits[n++] = keys->element[i];
        }
    }
    children[0] = (nkv_reply){.type = NKV_TYPE_STRING, .str = "0", .len = 1};
    children[1] = (nkv_reply){.type = NKV_TYPE_ARRAY, .elements = n, .element = hits};
    nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = 2, .element = children};
    nkv_value *value = value_of(&root);
    nkvi_free(children);
    return value;
}

static nkv_value *answer_of(const own_call *self)
{
    nkv_reply root = {.type = NKV_TYPE_STATUS};
    switch (self->kind) {
    case NKVI_FOREIGN_GET:
        return values_of(self);
    case NKVI_FOREIGN_SCAN:
        return scanned(self);
    case NKVI_FOREIGN_EXISTS:
    case NKVI_FOREIGN_REMOVE:
        root.type = NKV_TYPE_INTEGER;
        root.integer = (int64_t)found_of(self);
        break;
    default:
        root.str = self->kind == NKVI_FOREIGN_PUT ? "OK" : "PONG";
        root.len = strlen(root.str);
        break;
    }
    return value_of(&root);
}

/* Everything has ended. */
static void finish(own_call *self)
{
    nkv_value *value = NULL;
    if (self->error.status == NKV_OK) {
        value = answer_of(self);
        if (value == NULL) {
            (void)nkvi_fail(&self->error, NKV_ENOMEM, "no memory for an answer");
        }
    }
    nkvi_waiters_wake(&self->client->flights, &self->waiters, self->error.status, value,
                      value == NULL ? &self->error : NULL);
    nkv_value_release(value);
    for (size_t i = 0; i < self->n; i++) {
        nkvi_draft_clear(&self->pieces[i].draft);
    }
    nkvi_free(self);
}

static void piece_done(nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                       const nkv_error *error)
{
    piece *part = NKVI_CONTAINER(op, piece, op);
    own_call *self = part->whole;
    if (status != NKV_OK) {
        if (!atomic_exchange(&self->explained, true)) {
            self->error = *error;
            self->error.status = status;
        }
    } else {
        part->found = answer->found;
        part->draft = answer->draft;
        nkvi_draft_init(&answer->draft);
    }
    if (atomic_fetch_sub(&self->open, 1) == 1) {
        finish(self);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static nkvi_priority priority_of(nkvi_foreign_kind kind)
{
    switch (kind) {
    case NKVI_FOREIGN_GET:
        return NKVI_GET;
    case NKVI_FOREIGN_PUT:
    case NKVI_FOREIGN_REMOVE:
        return NKVI_PUT;
    default:
        return NKVI_PEEK;
    }
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

static own_call *own_make(nkv_client *client, const wish *wanted)
{
    size_t n = wanted->keys_len;
    size_t bytes = wanted->value.len + wanted->pattern.len;
    for (size_t i = 0; i < n; i++) {
        bytes += wanted->keys[i].len;
    }
    size_t head = sizeof(own_call) + n * (sizeof(piece) + sizeof(nkvi_foreign_op *));
    own_call *self = n < SIZE_MAX / 4096 ? nkvi_alloc(head + bytes) : NULL;
    if (self == NULL) {
        return NULL;
    }
    memset(self, 0, head);
    self->client = client;
    self->kind = wanted->kind;
    self->n = n;
    atomic_init(&self->open, n);
    nkvi_list_init(&self->waiters);
    return self;
}

static nkvi_foreign_op **ops_of(own_call *self)
{
    return (nkvi_foreign_op **)(void *)&self->pieces[self->n];
}

static void fill(own_call *self, const wish *wanted, int64_t deadline_ns)
{
    nkvi_foreign_op **ops = ops_of(self);
    char *at = (char *)(ops + self->n);
    nkv_str value = copy_to(&at, wanted->value);
    for (size_t i = 0; i < self->n; i++) {
        piece *part = &self->pieces[i];
        part->whole = self;
        nkvi_draft_init(&part->draft);
        part->op.kind = wanted->kind;
        part->op.priority = priority_of(wanted->kind);
        part->op.key = copy_to(&at, wanted->keys[i]);
        part->op.value = value;
        part->op.ttl_ms = wanted->ttl_ms;
        part->op.deadline_ns = deadline_ns;
        part->op.limited = true;
        part->op.done = piece_done;
        ops[i] = &part->op;
    }
    if (wanted->kind == NKVI_FOREIGN_SCAN) {
        nkv_str *prefix = &self->pieces[0].op.key;
        prefix->data = at;
        (void)take_pattern(wanted->pattern, at, &prefix->len, &self->exact);
    }
}

void nkvi_own_call_send(nkv_client *client, nkvi_peer *peer, const nkvi_data_call *call,
                        nkvi_waiter *waiter)
{
    nkv_error error = {.status = NKV_OK};
    wish wanted;
    nkvi_buf_clear(call->bytes);
    if (!understand(call->argc, call->argv, &wanted)) {
        nkv_status status = unknown(&error, call->argc > 0 ? call->argv[0] : nkv_cstr("MULTI"));
        waiter->wake(waiter, status, NULL, &error);
        return;
    }
    own_call *self = own_make(client, &wanted);
    if (self == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for a command");
        waiter->wake(waiter, NKV_ENOMEM, NULL, &error);
        return;
    }
    fill(self, &wanted, call->deadline_ns);
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&self->waiters, &waiter->node);
    pthread_mutex_unlock(&client->flights.mu);
    nkvi_foreign_submit(peer->foreign, ops_of(self), self->n);
}

/* ---- settling -------------------------------------------------------------------------------- */

typedef struct own_settle {
    nkvi_foreign_op op;
    nkv_client *client;
    nkvi_list waiters; /* guarded by flights->mu */
} own_settle;

static void settle_done(nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                        const nkv_error *error)
{
    own_settle *self = NKVI_CONTAINER(op, own_settle, op);
    bool ours = status == NKV_OK || status == NKV_ETIMEDOUT || status == NKV_ECLOSED ||
                status == NKV_ENOMEM;
    (void)answer;
    nkvi_waiters_wake(&self->client->flights, &self->waiters, ours ? status : NKV_ECONN, NULL,
                      error);
    nkvi_free(self);
}

void nkvi_own_settle(nkv_client *client, nkvi_peer *peer, int64_t deadline_ns, nkvi_waiter *waiter)
{
    own_settle *self = nkvi_calloc(1, sizeof *self);
    if (self == NULL) {
        nkv_error error;
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for a barrier");
        waiter->wake(waiter, NKV_ENOMEM, NULL, &error);
        return;
    }
    self->client = client;
    self->op.kind = NKVI_FOREIGN_SETTLE;
    self->op.priority = NKVI_PEEK;
    self->op.deadline_ns = deadline_ns;
    self->op.done = settle_done;
    nkvi_list_init(&self->waiters);
    pthread_mutex_lock(&client->flights.mu);
    nkvi_list_push(&self->waiters, &waiter->node);
    pthread_mutex_unlock(&client->flights.mu);
    nkvi_foreign_op *ops[1] = {&self->op};
    nkvi_foreign_submit(peer->foreign, ops, 1);
}
