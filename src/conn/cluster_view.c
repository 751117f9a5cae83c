/* conn/cluster_view.c - see cluster_view.h.
 *
 * A node is named in many places, by its id or, where it has none, by its address.  So each one
 * that is read is looked up in a table of those that are known:
 *
 *      hash of id, or of host and port --> table [ . 3 . . 1 2 . . ]   index + 1 of a node, 0: free
 *
 * The table has twice as many places as there may be nodes, so it never fills up. */
#include "conn/cluster_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/answer.h"
#include "conn/hash_slot.h"

#define TABLE_SIZE ((size_t)2 * NKVI_VIEW_NODES_MAX)
#define NONE       UINT32_MAX

typedef struct parser {
    nkvi_cluster_view *view;
    size_t nodes_cap, ranges_cap;
    uint32_t *table;
    uint32_t shards; /* so many numbers are taken */
    const char *command;
    nkv_error *error;
} parser;

static const nkvi_limits port_limits = {0, NKVI_PORT_MAX};
static const nkvi_limits slot_limits = {0, NKVI_HASH_SLOTS - 1};

static nkv_status bad(const parser *p, const char *what)
{
    return nkvi_fail(p->error, NKV_EPROTO, "%s: %s", p->command, what);
}

static nkv_status no_memory(const parser *p)
{
    return nkvi_fail(p->error, NKV_ENOMEM, "%s: out of memory", p->command);
}

/* Makes room for one more of `size` bytes. */
static bool grow(void **items, size_t len, size_t *cap, size_t size)
{
    if (len < *cap) {
        return true;
    }
    size_t wanted = *cap == 0 ? 16 : *cap * 2;
    void *moved = nkvi_realloc(*items, wanted * size);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *cap = wanted;
    return true;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool same_node(const nkvi_view_node *a, const nkvi_view_node *b)
{
    if (a->id[0] != '\0' || b->id[0] != '\0') {
        return strcmp(a->id, b->id) == 0;
    }
    return a->port == b->port && a->tls_port == b->tls_port && strcmp(a->host, b->host) == 0;
}

static uint64_t hash_of(const nkvi_view_node *node)
{
    if (node->id[0] != '\0') {
        return nkvi_hash(node->id, strlen(node->id), 0);
    }
    return nkvi_hash_mix(nkvi_hash(node->host, strlen(node->host), 0), (uint64_t)node->port);
}

/* Finds a node, or adds it to shard `shard`. */
static nkv_status place_node(parser *p, const nkvi_view_node *node, uint32_t shard, uint32_t *index)
{
    nkvi_cluster_view *view = p->view;
    size_t at = hash_of(node) % TABLE_SIZE;

    for (; p->table[at] != 0; at = (at + 1) % TABLE_SIZE) {
        nkvi_view_node *known = &view->nodes[p->table[at] - 1];
        if (same_node(known, node)) {
            known->primary |= node->primary;
            *index = p->table[at] - 1;
            return NKV_OK;
        }
    }
    if (view->nodes_len == NKVI_VIEW_NODES_MAX) {
        return bad(p, "more than 4096 nodes");
    }
    if (!grow((void **)&view->nodes, view->nodes_len, &p->nodes_cap, sizeof *node)) {
        return no_memory(p);
    }
    *index = (uint32_t)view->nodes_len++;
    view->nodes[*index] = *node;
    view->nodes[*index].shard = shard;
    p->table[at] = *index + 1;
    return NKV_OK;
}

/* An id that is longer than servers make them is taken for none. */
static void set_id(nkvi_view_node *node, const nkv_reply *reply)
{
    nkv_str id;

    node->id[0] = '\0';
    if (nkvi_answer_text(reply, &id) && id.len < sizeof node->id &&
        memchr(id.data, '\0', id.len) == NULL) {
        memcpy(node->id, id.data, id.len);
        node->id[id.len] = '\0';
    }
}

/* The host of a node: what it wants to be called, which is nil or empty where that is the host that
 * was asked, and "?" where it should have a name and has none. */
static bool set_host(nkvi_view_node *node, const nkv_reply *endpoint, const nkv_reply *ip,
                     const nkv_reply *hostname)
{
    nkv_str host;

    if (endpoint == NULL || nkvi_answer_is(endpoint, "?")) {
        if (!nkvi_answer_text(ip, &host) || host.len == 0) {
            (void)nkvi_answer_text(hostname, &host);
        }
    } else if (!nkvi_answer_text(endpoint, &host) && endpoint->type != NKV_TYPE_NIL) {
        return false;
    }
    return nkvi_host_copy(node->host, host);
}

/* A port that may be left out. */
static bool set_port(int *port, const nkv_reply *reply)
{
    int64_t number = 0;

    if (reply != NULL && reply->type != NKV_TYPE_NIL &&
        !nkvi_answer_int(reply, port_limits, &number)) {
        return false;
    }
    *port = (int)number;
    return true;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

static nkv_status add_range(parser *p, const nkv_reply ends[2], uint32_t node)
{
    nkvi_cluster_view *view = p->view;
    int64_t first, last;

    if (!nkvi_answer_int(&ends[0], slot_limits, &first) ||
        !nkvi_answer_int(&ends[1], slot_limits, &last) || first > last) {
        return bad(p, "a range of slots that is none");
    }
    if (view->ranges_len == NKVI_VIEW_RANGES_MAX) {
        return bad(p, "more than 16384 ranges of slots");
    }
    if (!grow((void **)&view->ranges, view->ranges_len, &p->ranges_cap, sizeof *view->ranges)) {
        return no_memory(p);
    }
    view->ranges[view->ranges_len++] =
        (nkvi_view_range){.first = (uint16_t)first, .last = (uint16_t)last, .node = node};
    return NKV_OK;
}

static int by_first(const void *a, const void *b)
{
    return ((const nkvi_view_range *)a)->first - ((const nkvi_view_range *)b)->first;
}

static nkv_status sort_ranges(parser *p)
{
    nkvi_cluster_view *view = p->view;

    if (view->ranges_len > 1) {
        qsort(view->ranges, view->ranges_len, sizeof *view->ranges, by_first);
    }
    for (size_t i = 1; i < view->ranges_len; i++) {
        if (view->ranges[i].first <= view->ranges[i - 1].last) {
            return bad(p, "a slot in two ranges");
        }
    }
    return NKV_OK;
}

/* ---- CLUSTER SHARDS -------------------------------------------------------------------------- */

static nkv_status read_shard_node(parser *p, const nkv_reply *fields, nkvi_view_node *node)
{
    const nkv_reply *health = nkvi_answer_field(fields, "health");
    const nkv_reply *role = nkvi_answer_field(fields, "role");

    if (!nkvi_answer_is_pairs(fields) || role == NULL) {
        return bad(p, "a node without a role");
    }
    set_id(node, nkvi_answer_field(fields, "id"));
    if (!set_host(node, nkvi_answer_field(fields, "endpoint"), nkvi_answer_field(fields, "ip"),
                  nkvi_answer_field(fields, "hostname"))) {
        return bad(p, "a node's endpoint that is no host");
    }
    if (!set_port(&node->port, nkvi_answer_field(fields, "port")) ||
        !set_port(&node->tls_port, nkvi_answer_field(fields, "tls-port"))) {
        return bad(p, "a node's port that is none");
    }
    node->primary = nkvi_answer_is(role, "master") || nkvi_answer_is(role, "primary");
    node->online = (health == NULL || nkvi_answer_is(health, "online")) &&
                   (node->port != 0 || node->tls_port != 0);
    return NKV_OK;
}

/* The nodes of a shard, and whose its slots are: the first primary that is alive, else the first,
 * else NONE.  Where one of them is known already, they are of its shard. */
static nkv_status read_shard_nodes(parser *p, const nkv_reply *nodes, uint32_t *primary)
{
    nkvi_cluster_view *view = p->view;
    size_t known = view->nodes_len;
    uint32_t shard = p->shards++;
    bool alive = false;

    *primary = NONE;
    for (size_t i = 0; i < nodes->elements; i++) {
        nkvi_view_node node = {.port = 0};
        uint32_t index = NONE;
        nkv_status status = read_shard_node(p, &nodes->element[i], &node);
        if (status == NKV_OK) {
            status = place_node(p, &node, shard, &index);
        }
        if (status != NKV_OK) {
            return status;
        }
        if (index < known) {
            shard = view->nodes[index].shard;
        }
        if (node.primary && (*primary == NONE || (node.online && !alive))) {
            *primary = index;
            alive = node.online;
        }
    }
    for (size_t i = known; i < view->nodes_len; i++) {
        view->nodes[i].shard = shard;
    }
    return NKV_OK;
}

static nkv_status read_shard(parser *p, const nkv_reply *shard)
{
    const nkv_reply *slots = nkvi_answer_field(shard, "slots");
    const nkv_reply *nodes = nkvi_answer_field(shard, "nodes");
    uint32_t primary;

    if (!nkvi_answer_is_list(slots) || slots->elements % 2 != 0 || !nkvi_answer_is_list(nodes)) {
        return bad(p, "a shard without slots and nodes");
    }
    nkv_status status = read_shard_nodes(p, nodes, &primary);
    for (size_t i = 0; status == NKV_OK && primary != NONE && i < slots->elements; i += 2) {
        status = add_range(p, &slots->element[i], primary);
    }
    return status;
}

/* ---- CLUSTER SLOTS --------------------------------------------------------------------------- */

/* [host port], later [host port id], later [host port id {ip hostname}]. */
static nkv_status read_slots_node(parser *p, const nkv_reply *parts, nkvi_view_node *node)
{
    if (!nkvi_answer_is_list(parts) || parts->elements < 2) {
        return bad(p, "a node without host and port");
    }
    const nkv_reply *more = parts->elements > 3 ? &parts->element[3] : NULL;
    set_id(node, parts->elements > 2 ? &parts->element[2] : NULL);
    if (!set_host(node, &parts->element[0], nkvi_answer_field(more, "ip"), NULL)) {
        return bad(p, "a node's endpoint that is no host");
    }
    if (!set_port(&node->port, &parts->element[1])) {
        return bad(p, "a node's port that is none");
    }
    node->tls_port = 0;
    node->primary = false;
    node->online = node->port != 0;
    return NKV_OK;
}

/* [first last primary replica …] */
static nkv_status read_slots(parser *p, const nkv_reply *range)
{
    uint32_t primary = NONE, shard = p->shards;

    if (!nkvi_answer_is_list(range) || range->elements < 3) {
        return bad(p, "a range without a node");
    }
    for (size_t i = 2; i < range->elements; i++) {
        nkvi_view_node node = {.port = 0};
        uint32_t index = NONE;
        nkv_status status = read_slots_node(p, &range->element[i], &node);
        if (status != NKV_OK) {
            return status;
        }
        node.primary = i == 2;
        status = place_node(p, &node, shard, &index);
        if (status != NKV_OK) {
            return status;
        }
        if (i == 2) {
            primary = index;
            shard = p->view->nodes[index].shard;
            p->shards += shard == p->shards ? 1 : 0;
        }
    }
    return add_range(p, range->element, primary);
}

/* ---- Both ------------------------------------------------------------------------------------ */

/* SLOTS begins with the number of a slot, SHARDS with a map or, in RESP2, with a field's name. */
static bool is_slots(const nkv_reply *reply)
{
    const nkv_reply *first = reply->elements > 0 ? reply->element : NULL;
    return first != NULL && first->type == NKV_TYPE_ARRAY && first->elements > 0 &&
           first->element[0].type == NKV_TYPE_INTEGER;
}

static nkv_status read_all(parser *p, const nkv_reply *reply)
{
    nkv_status status = NKV_OK;
    bool slots = is_slots(reply);

    p->command = slots ? "CLUSTER SLOTS" : "CLUSTER SHARDS";
    for (size_t i = 0; status == NKV_OK && i < reply->elements; i++) {
        status = slots ? read_slots(p, &reply->element[i]) : read_shard(p, &reply->element[i]);
    }
    return status == NKV_OK ? sort_ranges(p) : status;
}

nkv_status nkvi_cluster_view_parse(const nkv_reply *reply, nkvi_cluster_view *out, nkv_error *error)
{
    parser p = {.view = out, .command = "CLUSTER SHARDS or SLOTS", .error = error};

    *out = (nkvi_cluster_view){0};
    if (reply->type == NKV_TYPE_ERROR) {
        return nkvi_fail(error, NKV_EPROTO, "%s: %s", p.command, reply->str);
    }
    if (!nkvi_answer_is_list(reply)) {
        return bad(&p, "the answer is no list");
    }
    p.table = nkvi_calloc(TABLE_SIZE, sizeof *p.table);
    if (p.table == NULL) {
        return no_memory(&p);
    }
    nkv_status status = read_all(&p, reply);
    nkvi_free(p.table);
    if (status != NKV_OK) {
        nkvi_cluster_view_clear(out);
    }
    return status;
}

void nkvi_cluster_view_clear(nkvi_cluster_view *view)
{
    nkvi_free(view->nodes);
    nkvi_free(view->ranges);
    *view = (nkvi_cluster_view){0};
}

bool nkvi_cluster_info_parse(const nkv_reply *reply, nkvi_cluster_info *out)
{
    static const nkvi_limits epochs = {0, INT64_MAX}, counts = {0, UINT32_MAX};
    int64_t current = 0, mine = 0, nodes = 0;
    nkv_str text, state;

    *out = (nkvi_cluster_info){0};
    if (!nkvi_answer_text(reply, &text) || !nkvi_answer_line(text, "cluster_state", &state)) {
        return false;
    }
    (void)nkvi_answer_line_int(text, "cluster_current_epoch", epochs, &current);
    (void)nkvi_answer_line_int(text, "cluster_my_epoch", epochs, &mine);
    (void)nkvi_answer_line_int(text, "cluster_known_nodes", counts, &nodes);
    out->ok = state.len == 2 && memcmp(state.data, "ok", 2) == 0;
    out->current_epoch = (uint64_t)current;
    out->my_epoch = (uint64_t)mine;
    out->known_nodes = (uint32_t)nodes;
    return true;
}

/* ---- slots that leave ------------------------------------------------------------------------ */

/* Cuts the first word off *rest, which ends where the line does. */
static nkv_str next_word(nkv_str *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    nkv_str word = nkv_str_make(rest->data, len);
    size_t cut = len + (end != NULL);
    *rest = nkv_str_make(rest->data + cut, rest->len - cut);
    return word;
}

/* "[93->-ID]": slot 93 is on its way to another node.  ("[93-<-ID]": from one.) */
static bool is_leaving(nkv_str word, uint16_t *slot)
{
    const char *arrow = word.len > 0 ? memmem(word.data, word.len, "->-", 3) : NULL;
    uint64_t number = 0;
    if (arrow == NULL || word.data[0] != '[' ||
        !nkvi_digits_parse(nkv_str_make(word.data + 1, (size_t)(arrow - word.data - 1)),
                           NKVI_HASH_SLOTS - 1, &number)) {
        return false;
    }
    *slot = (uint16_t)number;
    return true;
}

size_t nkvi_cluster_leaving_parse(const nkv_reply *reply, uint16_t *slots, size_t cap)
{
    static const char myself[] = " myself,"; /* its flags; a host may have that name, too */
    nkv_str text;
    size_t n = 0;
    const char *at = NULL;
    if (nkvi_answer_text(reply, &text)) {
        at = memmem(text.data, text.len, myself, sizeof myself - 1);
    }
    if (at == NULL) {
        return 0;
    }
    size_t left = (size_t)(text.data + text.len - at);
    const char *end = memchr(at, '\n', left);
    nkv_str line = nkv_str_make(at, end != NULL ? (size_t)(end - at) : left);
    while (line.len > 0) {
        uint16_t slot;
        if (is_leaving(next_word(&line), &slot)) {
            if (n < cap) {
                slots[n] = slot;
            }
            n++;
        }
    }
    return n;
}
