/* conn/foreign_call.c - one call of a function of the user's table, for a batch of operations.
 *
 *      TAKEN ops --copy keys, values--> seats --ASKED--> items[] --table--> each item judged, ended
 *
 * One block holds it all:  [ call | seats | items | keys and values ].  Seats stay where they are;
 * items are those whose operation was still open when the call began. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/foreign_impl.h"
#include "core/pool.h"

#define UNTOUCHED NKV_MISS /* an item's status before the table gave it one */

typedef struct call {
    nkvi_foreign *foreign;
    nkvi_foreign_kind kind;
    size_t n; /* seats */
    size_t items_len;
    int64_t deadline_ns; /* the latest of the operations */
    int64_t asked_ns;
    nkv_status status; /* what the table returned */
    nkv_error error;
    nkv_connector_item *items;
    nkvi_foreign_seat seats[];
} call;

bool nkvi_foreign_can(const nkvi_foreign *foreign, nkvi_foreign_kind kind)
{
    const nkv_connector *table = &foreign->table;
    switch (kind) {
    case NKVI_FOREIGN_GET:
    case NKVI_FOREIGN_EXISTS:
        return true;
    case NKVI_FOREIGN_PUT:
        return table->put != NULL;
    case NKVI_FOREIGN_REMOVE:
        return table->remove != NULL;
    case NKVI_FOREIGN_SCAN:
        return table->scan != NULL;
    case NKVI_FOREIGN_PING:
        return true;
    case NKVI_FOREIGN_SETTLE:
        return table->settle != NULL;
    }
    return false;
}

/* ============ What the table's functions may use ============ */

static void *refuse(nkv_connector_item *item, nkv_status status, const char *text)
{
    (void)nkv_connector_fail(item, status, text);
    return NULL;
}

nkv_status nkv_connector_fail(nkv_connector_item *item, nkv_status status, const char *text)
{
    nkvi_foreign_seat *seat = item->reserved[0];
    item->status = status;
    (void)nkvi_fail(&seat->error, status, "%s: %s", seat->foreign->name,
                    text != NULL ? text : nkv_status_text(status));
    return status;
}

/* Memory of ours for a value and a NUL; the draft has it then. */
static char *own_room(nkvi_foreign_seat *seat, size_t len)
{
    nkv_cache *cache = seat->foreign->config.lane.cache;
    nkvi_draft *draft = &seat->draft;
    char *block = NULL;
    /* What is on its way to somebody's own memory must not push answers out of the cache. */
    if (!seat->placed && cache != NULL && len >= NKVI_POOL_LEAST) {
        block = nkvi_cache_buffer(cache, len + 1);
        draft->free_fn = block != NULL ? nkvi_pool_give : NULL;
    }
    block = block != NULL ? block : nkvi_alloc(len + 1);
    if (block != NULL) {
        block[len] = '\0';
        draft->block = block;
        draft->block_bytes = len + 1;
        draft->root.type = NKV_TYPE_STRING;
        draft->root.str = block;
        draft->root.len = len;
    }
    return block;
}

/* The operation's own memory, if the table may have it; *open: whether anybody waits. */
static char *lent_room(nkvi_foreign_seat *seat, size_t len, bool *open)
{
    nkvi_foreign *foreign = seat->foreign;
    pthread_mutex_lock(&foreign->mu);
    nkvi_foreign_op *op = seat->op;
    bool lends = op != NULL && seat->placed && foreign->table.punctual;
    if (lends) {
        op->state = NKVI_OP_LENT;
    }
    pthread_mutex_unlock(&foreign->mu);
    *open = op != NULL;
    if (!lends) {
        return NULL;
    }
    char *room = op->room(op, len);
    if (room == NULL) {
        pthread_mutex_lock(&foreign->mu);
        op->state = NKVI_OP_ASKED;
        nkvi_foreign_note_due(foreign, op);
        pthread_mutex_unlock(&foreign->mu);
    }
    return room;
}

void *nkv_connector_room(nkv_connector_item *item, size_t len)
{
    nkvi_foreign_seat *seat = item->reserved[0];
    bool open;
    if (seat->kind != NKVI_FOREIGN_GET || seat->text.data != NULL) {
        return refuse(item, NKV_EINVAL, "nkv_connector_room() is for get, and once for an item");
    }
    if (len > (uint64_t)seat->foreign->config.lane.reply_bytes_max) {
        return refuse(item, NKV_ESIZE, "the value is larger than reply_bytes_max");
    }
    char *room = lent_room(seat, len, &open);
    if (!open) {
        return refuse(item, NKV_ECANCELED, "nobody waits for it any more");
    }
    seat->lent = room != NULL;
    room = room != NULL ? room : own_room(seat, len);
    if (room == NULL) {
        return refuse(item, NKV_ENOMEM, "no memory for the value");
    }
    seat->text = nkv_str_make(room, len);
    return room;
}

int nkv_connector_add(nkv_connector_scan *scan, nkv_str key)
{
    nkvi_foreign_found entry = {scan->bytes.len, key.len};
    if (scan->bytes_max - scan->bytes.len < key.len ||
        scan->keys.len / sizeof entry >= scan->bytes_max / sizeof entry) {
        scan->too_many = true;
        return 1;
    }
    nkvi_buf_append(&scan->bytes, key.data, key.len);
    nkvi_buf_append(&scan->keys, &entry, sizeof entry);
    return scan->bytes.failed || scan->keys.failed;
}

/* ============ Taking seats ============ */

static size_t copied(const nkvi_foreign *foreign, const nkvi_foreign_op *op)
{
    return op->key.len + (foreign->table.punctual ? 0 : op->value.len);
}

static nkv_str copy_to(char **at, nkv_str bytes)
{
    nkv_str copy = nkv_str_make(*at, bytes.len);
    if (bytes.len > 0) {
        memcpy(*at, bytes.data, bytes.len);
    }
    *at += bytes.len;
    return copy;
}

static void seat_init(nkvi_foreign *foreign, nkvi_foreign_seat *seat, nkvi_foreign_op *op,
                      char **bytes)
{
    memset(seat, 0, offsetof(nkvi_foreign_seat, error));
    seat->error.status = NKV_OK; /* its text is read only behind a status */
    seat->foreign = foreign;
    seat->op = op;
    seat->kind = op->kind;
    seat->placed = op->room != NULL;
    seat->ttl_ms = op->ttl_ms;
    seat->key = copy_to(bytes, op->key);
    seat->value = foreign->table.punctual ? op->value : copy_to(bytes, op->value);
    nkvi_draft_init(&seat->draft);
}

/* A call with a seat for each operation, or NULL. */
static call *call_make(nkvi_foreign *foreign, nkvi_list *ops, size_t n)
{
    size_t bytes = 0;
    for (nkvi_node *node = ops->head.next; node != &ops->head; node = node->next) {
        bytes += copied(foreign, NKVI_CONTAINER(node, nkvi_foreign_op, node));
    }
    size_t each = sizeof(nkvi_foreign_seat) + sizeof(nkv_connector_item);
    call *self = nkvi_alloc(sizeof *self + n * each + bytes);
    if (self == NULL) {
        return NULL;
    }
    memset(self, 0, sizeof *self);
    self->foreign = foreign;
    self->kind = NKVI_CONTAINER(nkvi_list_first(ops), nkvi_foreign_op, node)->kind;
    self->items = (nkv_connector_item *)(void *)&self->seats[n];
    char *at = (char *)&self->items[n];
    for (nkvi_node *node = ops->head.next; node != &ops->head; node = node->next) {
        seat_init(foreign, &self->seats[self->n++], NKVI_CONTAINER(node, nkvi_foreign_op, node),
                  &at);
    }
    assert(self->n == n);
    return self;
}

static void add_item(call *self, nkvi_foreign_seat *seat)
{
    nkv_connector_item *item = &self->items[self->items_len++];
    memset(item, 0, sizeof *item);
    item->key = seat->key;
    item->value = seat->value;
    item->ttl_ms = seat->kind == NKVI_FOREIGN_PUT ? seat->ttl_ms : -1;
    item->status = UNTOUCHED;
    item->reserved[0] = seat;
}

/* Moves the operations from `ops` to their seats; those that must end stay in `ops`. */
static void take_seats(call *self, nkvi_list *ops)
{
    nkvi_foreign *foreign = self->foreign;
    pthread_mutex_lock(&foreign->mu);
    for (size_t i = 0; i < self->n; i++) {
        nkvi_foreign_seat *seat = &self->seats[i];
        nkvi_foreign_op *op = seat->op;
        if (foreign->closing || op->ending != NKV_OK) {
            op->ending = op->ending != NKV_OK ? op->ending : NKV_ECLOSED;
            seat->op = NULL;
            nkvi_foreign_cut(foreign, op);
            nkvi_list_push(ops, &op->node);
            continue;
        }
        nkvi_list_remove(&op->node);
        nkvi_list_push(&foreign->asked, &op->node);
        op->seat = seat;
        op->state =
            op->kind == NKVI_FOREIGN_PUT && foreign->table.punctual ? NKVI_OP_LENT : NKVI_OP_ASKED;
        seat->spaces = op->spaces;
        op->spaces = 0;
        if (op->deadline_ns > self->deadline_ns) {
            self->deadline_ns = op->deadline_ns;
        }
        nkvi_foreign_note_due(foreign, op);
        add_item(self, seat);
    }
    pthread_mutex_unlock(&foreign->mu);
}

/* ============ The end of a seat ============ */

/* What the table said of an item. */
static nkv_status judge(const call *self, nkvi_foreign_seat *seat, nkv_connector_item *item)
{
    nkv_status status = item->status;
    bool ok = status == NKV_OK;
    if (seat->error.status != NKV_OK && ok) {
        return seat->error.status; /* it had been refused something */
    }
    if (status == UNTOUCHED && self->status < 0) {
        seat->error = self->error;
        return self->status;
    }
    if (ok && seat->kind == NKVI_FOREIGN_GET && seat->text.data == NULL) {
        return nkv_connector_fail(item, NKV_EPROTO, "the connector gave no value");
    }
    bool missing = status == NKV_NOT_FOUND && seat->kind != NKVI_FOREIGN_PUT;
    if (status > 0 && !missing) {
        return nkv_connector_fail(item, NKV_EPROTO, "the connector said nothing of a key");
    }
    if (status < 0 && seat->error.status != status) {
        return nkv_connector_fail(item, status, NULL);
    }
    return status;
}

/* Hands a value that was received in memory of ours to the operation's, if it has some. */
static void place(nkvi_foreign_seat *seat, nkvi_foreign_op *op)
{
    if (seat->lent || !seat->placed) {
        return;
    }
    char *room = op->room(op, seat->text.len);
    if (room != NULL) {
        memcpy(room, seat->text.data, seat->text.len);
        seat->text.data = room;
        nkvi_draft_clear(&seat->draft);
    }
}

/* The operation of a seat, if it is open still: it is the caller's to end then. */
static nkvi_foreign_op *unseat(nkvi_foreign_seat *seat)
{
    nkvi_foreign *foreign = seat->foreign;
    pthread_mutex_lock(&foreign->mu);
    nkvi_foreign_op *op = seat->op;
    if (op != NULL) {
        nkvi_foreign_cut(foreign, op);
    }
    pthread_mutex_unlock(&foreign->mu);
    return op;
}

static void end_seat(const call *self, nkvi_foreign_seat *seat, nkv_status status, bool found,
                     int64_t ttl_ms)
{
    nkvi_foreign_op *op = unseat(seat);
    nkvi_foreign_answer answer = {
        .found = found, .ttl_ms = ttl_ms, .asked_ns = self->asked_ns, .draft = {.block = NULL}};
    nkvi_draft_init(&answer.draft);
    if (op != NULL && status == NKV_OK) {
        if (seat->kind == NKVI_FOREIGN_GET && found) {
            place(seat, op);
        }
        answer.text = seat->text;
        answer.draft = seat->draft;
        nkvi_draft_init(&seat->draft);
        nkvi_foreign_end(seat->foreign, op, NKV_OK, &answer, NULL);
    } else if (op != NULL) {
        nkvi_foreign_end(seat->foreign, op, status, NULL, &seat->error);
    }
    nkvi_draft_clear(&answer.draft);
    nkvi_draft_clear(&seat->draft);
}

static void end_item(const call *self, nkv_connector_item *item)
{
    nkvi_foreign_seat *seat = item->reserved[0];
    nkv_status status = judge(self, seat, item);
    bool found = status == NKV_OK;
    int64_t ttl_ms = item->ttl_ms < 0 ? -1 : item->ttl_ms;
    if (seat->spaces > 0) {
        nkvi_cache_write_end(seat->foreign->config.lane.cache, seat->key, seat->spaces);
    }
    end_seat(self, seat, status < 0 ? status : NKV_OK, found, ttl_ms);
}

/* ============ The calls ============ */

static nkv_connector_fn function_of(const nkv_connector *table, nkvi_foreign_kind kind)
{
    return kind == NKVI_FOREIGN_GET      ? table->get
           : kind == NKVI_FOREIGN_EXISTS ? table->exists
           : kind == NKVI_FOREIGN_PUT    ? table->put
                                         : table->remove;
}

static void call_items(call *self)
{
    const nkv_connector *table = &self->foreign->table;
    nkv_connector_fn function = function_of(table, self->kind);
    self->status =
        function(table->ud, self->items, self->items_len, self->deadline_ns, &self->error);
}

/* The keys that were found, as one array. */
static nkv_status scan_result(nkv_connector_scan *scan, nkvi_draft *draft)
{
    size_t n = scan->keys.len / sizeof(nkvi_foreign_found);
    const nkvi_foreign_found *entries = (const nkvi_foreign_found *)(void *)scan->keys.data;
    nkv_reply *children = nkvi_calloc(n > 0 ? n : 1, sizeof *children);
    bool made = children != NULL && !scan->keys.failed && !scan->bytes.failed;
    for (size_t i = 0; made && i < n; i++) {
        children[i].type = NKV_TYPE_STRING;
        children[i].str = entries[i].len > 0 ? scan->bytes.data + entries[i].at : "";
        children[i].len = entries[i].len;
    }
    nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = n, .element = children};
    made = made && nkvi_draft_copy(draft, &root);
    nkvi_free(children);
    return made ? NKV_OK : NKV_ENOMEM;
}

static void call_scan(call *self)
{
    const nkv_connector *table = &self->foreign->table;
    nkvi_foreign_seat *seat = self->items[0].reserved[0];
    nkv_connector_scan scan = {.bytes_max = (size_t)self->foreign->config.lane.reply_bytes_max};
    nkvi_buf_init(&scan.keys);
    nkvi_buf_init(&scan.bytes);
    self->status = table->scan(table->ud, seat->key, &scan, self->deadline_ns, &self->error);
    if (self->status >= 0 && scan.too_many) {
        self->status = nkvi_fail(&self->error, NKV_ESIZE, "the keys are more than reply_bytes_max");
    } else if (self->status >= 0) {
        self->status = scan_result(&scan, &seat->draft);
    }
    nkvi_buf_clear(&scan.keys);
    nkvi_buf_clear(&scan.bytes);
}

static void call_plain(call *self)
{
    const nkv_connector *table = &self->foreign->table;
    nkv_status (*function)(void *ud, int64_t deadline_ns, nkv_error *error) =
        self->kind == NKVI_FOREIGN_PING ? table->ping : table->settle;
    self->status = function != NULL ? function(table->ud, self->deadline_ns, &self->error) : NKV_OK;
}

/* The text of a failure of the whole call, with the name in front. */
static void explain(call *self)
{
    nkv_error said = self->error;
    bool silent = said.text[0] == '\0';
    (void)nkvi_fail(&self->error, self->status, "%s: %s", self->foreign->name,
                    silent ? nkv_status_text(self->status) : said.text);
    self->error.sys_errno = said.sys_errno;
}

static void run(call *self)
{
    self->asked_ns = nkvi_now_ns();
    atomic_fetch_add_explicit(&self->foreign->calls, 1, memory_order_relaxed);
    switch (self->kind) {
    case NKVI_FOREIGN_SCAN:
        call_scan(self);
        break;
    case NKVI_FOREIGN_PING:
    case NKVI_FOREIGN_SETTLE:
        call_plain(self);
        break;
    default:
        call_items(self);
        break;
    }
    if (self->status < 0) {
        explain(self);
    }
}

static void end_items(call *self)
{
    for (size_t i = 0; i < self->items_len; i++) {
        nkvi_foreign_seat *seat = self->items[i].reserved[0];
        if (self->kind <= NKVI_FOREIGN_REMOVE) {
            end_item(self, &self->items[i]);
            continue;
        }
        seat->error = self->error;
        end_seat(self, seat, self->status < 0 ? self->status : NKV_OK, true, -1);
    }
}

/* There is no memory for seats.  @locks mu not held */
static void give_up(nkvi_foreign *foreign, nkvi_list *ops)
{
    nkvi_list all;
    nkvi_list_init(&all);
    pthread_mutex_lock(&foreign->mu);
    for (nkvi_node *node; (node = nkvi_list_pop(ops)) != NULL;) {
        nkvi_foreign_op *op = NKVI_CONTAINER(node, nkvi_foreign_op, node);
        op->ending = op->ending != NKV_OK ? op->ending : NKV_ENOMEM;
        nkvi_foreign_cut(foreign, op);
        nkvi_list_push(&all, node);
    }
    pthread_mutex_unlock(&foreign->mu);
    nkvi_list_splice(ops, &all);
}

void nkvi_foreign_call(nkvi_foreign *foreign, nkvi_list *ops, size_t n)
{
    call *self = call_make(foreign, ops, n);
    if (self == NULL) {
        give_up(foreign, ops);
        nkvi_foreign_end_marked(foreign, ops);
        return;
    }
    take_seats(self, ops);
    nkvi_foreign_end_marked(foreign, ops);
    if (self->items_len > 0) {
        run(self);
        end_items(self);
    }
    nkvi_free(self);
}
