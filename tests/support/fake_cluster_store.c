/* support/fake_cluster_store.c - the keys of the played cluster: where a command is answered, and
 * with what, and who is told of it.
 *
 * Invariants   a key is at a node once; a connection is noted for a key once
 * Callers      fake_cluster.c, under the lock                                                    */

#include "support/fake_cluster_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- Items ----------------------------------------------------------------------------------- */

t_fc_item *t_fc_find(t_fc *fc, int node, const char *key)
{
    for (size_t i = 0; i < fc->items_len; i++) {
        if (fc->items[i].node == node && strcmp(fc->items[i].key, key) == 0) {
            return &fc->items[i];
        }
    }
    return NULL;
}

void t_fc_store(t_fc *fc, int node, const char *key, const char *value, size_t len)
{
    t_fc_item *item = t_fc_find(fc, node, key);
    if (item == NULL) {
        T_REQUIRE(fc->items_len < T_FC_KEYS);
        item = &fc->items[fc->items_len++];
        *item = (t_fc_item){.node = node, .key = t_format("%s", key)};
    }
    free(item->value);
    item->value = malloc(len + 1);
    T_REQUIRE(item->value != NULL);
    memcpy(item->value, value, len);
    item->value[len] = '\0';
    item->len = len;
}

void t_fc_delete(t_fc *fc, int node, const char *key)
{
    t_fc_item *item = t_fc_find(fc, node, key);
    if (item != NULL) {
        free(item->key);
        free(item->value);
        *item = fc->items[--fc->items_len];
    }
}

/* ---- Tracking -------------------------------------------------------------------------------- */

static void note_read(t_fc_member *me, int conn, const char *key)
{
    if (!me->conns[conn].tracked) {
        return;
    }
    for (size_t i = 0; i < me->reads_len; i++) {
        if (me->reads[i].conn == conn && strcmp(me->reads[i].key, key) == 0) {
            return;
        }
    }
    T_REQUIRE(me->reads_len < T_FC_READS);
    me->reads[me->reads_len++] = (t_fc_read){conn, t_format("%s", key)};
}

int t_fc_take_reader(t_fc_member *me, const char *key)
{
    for (size_t i = 0; i < me->reads_len; i++) {
        if (strcmp(me->reads[i].key, key) == 0) {
            const int conn = me->reads[i].conn;
            free(me->reads[i].key);
            me->reads[i] = me->reads[--me->reads_len];
            return conn;
        }
    }
    return 0;
}

/* The fake's lock is held by its thread, which calls us. */
static void push_to_readers(t_fc_member *me, const char *key)
{
    for (int conn; (conn = t_fc_take_reader(me, key)) != 0;) {
        if (me->fake->conns[conn].fd >= 0) {
            t_resp_push_keys(&me->fake->conns[conn].out, key);
        }
    }
}

/* ---- Commands -------------------------------------------------------------------------------- */

typedef struct verb {
    const char *name;
    size_t step; /* from one key to the next                                                      */
    bool many, writes;
    void (*run)(t_fc_member *me, const t_fake_command *command, t_resp *out);
} verb;

static t_fc_item *item_of(t_fc_member *me, const t_fake_command *command, size_t i)
{
    return t_fc_find(me->fc, me->number, command->argv[i]);
}

static void put_item(const t_fc_item *item, t_resp *out)
{
    if (item != NULL) {
        t_resp_bulk_bytes(out, item->value, item->len);
    } else {
        t_resp_nil(out, T_NIL3);
    }
}

static void run_get(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    put_item(item_of(me, command, 1), out);
}

static void run_mget(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    t_resp_head(out, '*', (long long)command->argc - 1);
    for (size_t i = 1; i < command->argc; i++) {
        put_item(item_of(me, command, i), out);
    }
}

static void run_set(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    const bool many = strcmp(command->argv[0], "MSET") == 0;
    for (size_t i = 1; i + 1 < (many ? command->argc : 3); i += 2) {
        t_fc_store(me->fc, me->number, command->argv[i], command->argv[i + 1],
                   command->lens[i + 1]);
    }
    t_resp_text(out, "+OK\r\n");
}

static void run_count(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    const bool deletes = command->argv[0][0] == 'D' || command->argv[0][0] == 'U';
    long long n = 0;
    for (size_t i = 1; i < command->argc; i++) {
        const bool there = item_of(me, command, i) != NULL;
        n += there;
        if (there && deletes) {
            t_fc_delete(me->fc, me->number, command->argv[i]);
        }
    }
    t_resp_head(out, ':', n);
}

static void run_strlen(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    const t_fc_item *item = item_of(me, command, 1);
    t_resp_head(out, ':', item != NULL ? (long long)item->len : 0);
}

static void run_pttl(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    t_resp_head(out, ':', item_of(me, command, 1) != NULL ? -1 : -2);
}

static void run_pexpire(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    t_resp_head(out, ':', item_of(me, command, 1) != NULL);
}

static const verb verbs[] = {
    {"GET", 1, false, false, run_get},        {"MGET", 1, true, false, run_mget},
    {"SET", 1, false, true, run_set},         {"MSET", 2, true, true, run_set},
    {"DEL", 1, true, true, run_count},        {"UNLINK", 1, true, true, run_count},
    {"TOUCH", 1, true, false, run_count},     {"EXISTS", 1, true, false, run_count},
    {"STRLEN", 1, false, false, run_strlen},  {"PTTL", 1, false, false, run_pttl},
    {"PEXPIRE", 1, false, true, run_pexpire},
};

static const verb *verb_of(const t_fake_command *command)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, command->argv[0]) == 0 && command->argc > 1) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* Behind its last key. */
static size_t keys_end(const verb *v, const t_fake_command *command)
{
    return v->many ? command->argc : 2;
}

static void put_redirect(const t_fc *fc, t_resp *out, const char *what, uint16_t slot, int node)
{
    char address[64], line[128];
    t_fc_address(fc, node, address, sizeof address);
    (void)snprintf(line, sizeof line, "-%s %u %s\r\n", what, slot, address);
    t_resp_text(out, line);
}

/* Whether the node answers for the keys; else it has said who does. */
static bool is_mine(t_fc_member *me, const verb *v, const t_fake_command *command, bool asking,
                    t_resp *out)
{
    t_fc *fc = me->fc;
    const uint16_t slot = t_fc_slot(command->argv[1]);
    size_t there = 0, keys = 0;
    for (size_t i = 1; i < keys_end(v, command); i += v->step, keys++) {
        if (t_fc_slot(command->argv[i]) != slot) {
            t_resp_text(out, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
            return false;
        }
        there += item_of(me, command, i) != NULL;
    }
    const bool imports = fc->to[slot] == me->number;
    const bool mine = me->view[slot] == me->number;
    if (!mine && !(imports && asking)) {
        if (me->view[slot] < 0) {
            t_resp_text(out, "-CLUSTERDOWN Hash slot not served\r\n");
        } else {
            put_redirect(fc, out, "MOVED", slot, me->view[slot]);
        }
        return false;
    }
    if (there == keys || (mine && (fc->to[slot] < 0 || imports)) || (!mine && keys == 1)) {
        return true;
    }
    if (there > 0 || !mine) {
        t_resp_text(out, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    } else {
        put_redirect(fc, out, "ASK", slot, fc->to[slot]);
    }
    return false;
}

static void run(t_fc_member *me, const verb *v, const t_fake_command *command, t_resp *out)
{
    for (size_t i = 1; i < keys_end(v, command); i += v->step) {
        if (v->writes) {
            push_to_readers(me, command->argv[i]);
        } else {
            note_read(me, command->conn, command->argv[i]);
        }
    }
    v->run(me, command, out);
}

static void run_exec(t_fc_member *me, t_fc_conn *conn, t_resp *out)
{
    if (conn->dirty) {
        t_resp_text(out, "-EXECABORT Transaction discarded because of previous errors.\r\n");
    } else {
        t_resp_head(out, '*', (long long)conn->queued);
        for (size_t i = 0; i < conn->queued; i++) {
            run(me, verb_of(&conn->queue[i]), &conn->queue[i], out);
        }
    }
    conn->multi = conn->dirty = conn->asking = false;
    conn->queued = 0;
}

/* ASKING counts for the next command, and for a whole transaction. */
static bool serve_state(t_fc_member *me, t_fc_conn *conn, const t_fake_command *command,
                        t_resp *out)
{
    const char *name = command->argv[0];
    if (strcmp(name, "ASKING") == 0) {
        conn->asking = true;
    } else if (strcmp(name, "MULTI") == 0) {
        conn->multi = true;
    } else if (strcmp(name, "EXEC") == 0) {
        run_exec(me, conn, out);
        return true;
    } else {
        return false;
    }
    t_resp_text(out, "+OK\r\n");
    return true;
}

bool t_fc_serve(t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    t_fc_conn *conn = &me->conns[command->conn];
    const verb *v = verb_of(command);
    if (serve_state(me, conn, command, out)) {
        return true;
    }
    if (v == NULL) {
        return false;
    }
    const bool mine = is_mine(me, v, command, conn->asking, out);
    if (!conn->multi) {
        conn->asking = false;
        if (mine) {
            run(me, v, command, out);
        }
        return true;
    }
    conn->dirty = conn->dirty || !mine;
    if (mine) {
        T_REQUIRE(conn->queued < T_FC_QUEUE);
        conn->queue[conn->queued++] = *command;
        t_resp_text(out, "+QUEUED\r\n");
    }
    return true;
}
