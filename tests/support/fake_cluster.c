/* support/fake_cluster.c - the played cluster, seen from the test; and how its nodes answer.
 *
 *      command --> a t_fc_say()? --> CLUSTER: tell --> keys: serve --> what a t_fake greets with
 *
 * Callers      tests of clients of a cluster                                                     */

#include "support/fake_cluster.h"

#include "conn/hash_slot.h"
#include "support/fake_cluster_impl.h"

#include <stdlib.h>
#include <string.h>

static void lock(t_fc *fc)
{
    (void)pthread_mutex_lock(&fc->mu);
}

static void unlock(t_fc *fc)
{
    (void)pthread_mutex_unlock(&fc->mu);
}

/* ---- Answering ------------------------------------------------------------------------------- */

/* The line that the test wants said, or NULL. */
static const char *saying_for(t_fc *fc, int node, const t_fake_command *command)
{
    for (size_t i = fc->says_len; i > 0; i--) {
        t_fc_saying *say = &fc->says[i - 1];
        if ((say->node == node || say->node == T_FC_EVERY) && say->times != 0 &&
            t_fake_fits(command, say->words)) {
            say->times -= say->times > 0;
            return say->line;
        }
    }
    return NULL;
}

static void note_tracking(t_fc_member *me, const t_fake_command *command)
{
    if (strcmp(command->argv[0], "CLIENT") == 0 && command->argc > 2 &&
        strcmp(command->argv[1], "TRACKING") == 0) {
        me->conns[command->conn].tracked = strcmp(command->argv[2], "ON") == 0;
    }
}

/* Under the fake's lock. */
static bool answer(void *ud, const t_fake_command *command, t_resp *out)
{
    t_fc_member *me = ud;
    bool known = true;
    lock(me->fc);
    const char *line = saying_for(me->fc, me->number, command);
    if (line != NULL) {
        t_resp_text(out, line);
        t_resp_text(out, line[0] != '\0' ? "\r\n" : "");
        me->conns[command->conn].dirty = me->conns[command->conn].multi;
    } else if (strcmp(command->argv[0], "CLUSTER") == 0) {
        t_fc_tell(me, command, out);
    } else {
        note_tracking(me, command);
        known = t_fc_serve(me, command, out);
    }
    unlock(me->fc);
    return known;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int add_member(t_fc *fc)
{
    t_fc_member *me = calloc(1, sizeof *me);
    T_REQUIRE(me != NULL && fc->nodes < T_FC_NODES);
    me->fc = fc;
    me->listed = true;
    me->fake = t_fake_start(&(const t_fake_options){.tcp = true});
    me->url = t_format("redis-cluster://127.0.0.1:%d", t_fake_port(me->fake));
    lock(fc);
    me->number = fc->nodes;
    memset(me->view, T_FC_NOBODY, sizeof me->view);
    if (fc->nodes > 0) {
        memcpy(me->view, fc->members[0]->view, sizeof me->view);
    }
    me->epoch = ++fc->epoch;
    fc->members[fc->nodes++] = me;
    unlock(fc);
    t_fake_answer_by(me->fake, answer, me);
    return me->number;
}

/* Names for t_fc_key(). */
static void name_keys(t_fc *fc)
{
    int missing = fc->nodes * T_FC_NAMED, n[T_FC_NODES] = {0};
    for (int i = 0; missing > 0; i++) {
        char *key = t_format("key:%d", i);
        const int node = fc->members[0]->view[t_fc_slot(key)];
        if (n[node] < T_FC_NAMED) {
            fc->keys[node][n[node]++] = key;
            missing--;
        } else {
            free(key);
        }
    }
}

t_fc *t_fc_start(int nodes)
{
    t_fc *fc = calloc(1, sizeof *fc);
    T_REQUIRE(fc != NULL);
    (void)pthread_mutex_init(&fc->mu, NULL);
    memset(fc->to, T_FC_NOBODY, sizeof fc->to);
    fc->url = t_format("%s", "redis-cluster://");
    for (int i = 0; i < nodes; i++) {
        (void)add_member(fc);
        char *longer = t_format("%s%s127.0.0.1:%d", fc->url, i > 0 ? "," : "", t_fc_port(fc, i));
        free(fc->url);
        fc->url = longer;
    }
    for (int i = 0; i < nodes; i++) {
        for (int s = 0; s < T_FC_SLOTS; s++) {
            fc->members[i]->view[s] = (int8_t)(s * nodes / T_FC_SLOTS);
        }
    }
    name_keys(fc);
    return fc;
}

static void free_member(t_fc_member *me)
{
    for (size_t i = 0; i < me->reads_len; i++) {
        free(me->reads[i].key);
    }
    free(me->url);
    free(me);
}

void t_fc_stop(t_fc *fc)
{
    for (int i = 0; i < fc->nodes; i++) {
        t_fake_stop(fc->members[i]->fake);
    }
    for (int i = 0; i < fc->nodes; i++) {
        free_member(fc->members[i]);
        for (size_t k = 0; k < T_FC_NAMED; k++) {
            free(fc->keys[i][k]);
        }
    }
    while (fc->items_len > 0) {
        t_fc_delete(fc, fc->items[0].node, fc->items[0].key);
    }
    (void)pthread_mutex_destroy(&fc->mu);
    free(fc->url);
    free(fc);
}

int t_fc_join(t_fc *fc)
{
    return add_member(fc);
}

void t_fc_leave(t_fc *fc, int node)
{
    lock(fc);
    fc->members[node]->listed = false;
    unlock(fc);
}

t_fake *t_fc_node(t_fc *fc, int node)
{
    T_REQUIRE(node >= 0 && node < fc->nodes);
    return fc->members[node]->fake;
}

int t_fc_port(t_fc *fc, int node)
{
    return t_fake_port(t_fc_node(fc, node));
}

const char *t_fc_url(t_fc *fc)
{
    return fc->url;
}

const char *t_fc_url_of(t_fc *fc, int node)
{
    return fc->members[node]->url;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

uint16_t t_fc_slot(const char *key)
{
    return nkvi_hash_slot(nkv_cstr(key));
}

const char *t_fc_key(t_fc *fc, int node, int n)
{
    T_REQUIRE(n < T_FC_NAMED && fc->keys[node][n] != NULL);
    return fc->keys[node][n];
}

/* @locks mu held */
static void carry_slot(t_fc *fc, uint16_t slot, int to)
{
    for (size_t i = 0; i < fc->items_len; i++) {
        fc->items[i].node = t_fc_slot(fc->items[i].key) == slot ? to : fc->items[i].node;
    }
}

void t_fc_give_range(t_fc *fc, uint16_t first, uint16_t last, int to)
{
    lock(fc);
    for (uint32_t s = first; s <= last; s++) {
        for (int i = 0; i < fc->nodes; i++) {
            fc->members[i]->view[s] = (int8_t)to;
        }
        fc->to[s] = T_FC_NOBODY;
        if (to >= 0 && fc->items_len > 0) {
            carry_slot(fc, (uint16_t)s, to);
        }
    }
    if (to >= 0) {
        fc->members[to]->epoch = ++fc->epoch;
    }
    unlock(fc);
}

void t_fc_give(t_fc *fc, uint16_t slot, int to)
{
    t_fc_give_range(fc, slot, slot, to);
}

void t_fc_give_all(t_fc *fc, int from, int to)
{
    lock(fc);
    for (int s = 0; s < T_FC_SLOTS; s++) {
        for (int i = 0; i < fc->nodes; i++) {
            int8_t *seen = &fc->members[i]->view[s];
            *seen = (int8_t)(*seen == from ? to : *seen);
        }
    }
    for (size_t i = 0; i < fc->items_len; i++) {
        fc->items[i].node = fc->items[i].node == from ? to : fc->items[i].node;
    }
    fc->members[to]->epoch = ++fc->epoch;
    unlock(fc);
}

void t_fc_believe_range(t_fc *fc, int who, uint16_t first, uint16_t last, int to)
{
    lock(fc);
    for (uint32_t s = first; s <= last; s++) {
        fc->members[who]->view[s] = (int8_t)to;
    }
    unlock(fc);
}

void t_fc_believe(t_fc *fc, int who, uint16_t slot, int to)
{
    t_fc_believe_range(fc, who, slot, slot, to);
}

void t_fc_migrate(t_fc *fc, uint16_t slot, int to)
{
    lock(fc);
    fc->to[slot] = (int8_t)to;
    unlock(fc);
}

void t_fc_bump(t_fc *fc, int node)
{
    lock(fc);
    fc->members[node]->epoch = ++fc->epoch;
    unlock(fc);
}

/* ---- What it tells --------------------------------------------------------------------------- */

void t_fc_announce(t_fc *fc, t_fc_endpoint how)
{
    lock(fc);
    fc->endpoint = how;
    unlock(fc);
}

void t_fc_fail(t_fc *fc, int node, bool on)
{
    lock(fc);
    fc->members[node]->failing = on;
    unlock(fc);
}

void t_fc_down(t_fc *fc, int node, bool on)
{
    lock(fc);
    fc->members[node]->down = on;
    unlock(fc);
}

void t_fc_say_argv(t_fc *fc, int node, int times, const char *line, const char *const *words)
{
    lock(fc);
    T_REQUIRE(fc->says_len < T_FC_SAYS);
    t_fc_saying *say = &fc->says[fc->says_len++];
    *say = (t_fc_saying){.node = node, .times = times, .line = line};
    for (size_t i = 0; words[i] != NULL; i++) {
        T_REQUIRE(i < T_FAKE_WORDS);
        say->words[i] = words[i];
    }
    unlock(fc);
}

void t_fc_hush(t_fc *fc)
{
    lock(fc);
    fc->says_len = 0;
    unlock(fc);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void push(t_fc *fc, int node, const char *key)
{
    t_resp bytes = {0};
    t_resp_push_keys(&bytes, key);
    for (;;) {
        lock(fc);
        const int conn = t_fc_take_reader(fc->members[node], key);
        unlock(fc);
        if (conn == 0) {
            break;
        }
        t_fake_try_send(fc->members[node]->fake, conn, bytes.bytes, bytes.len);
    }
    t_resp_free(&bytes);
}

void t_fc_put(t_fc *fc, int node, const char *key, const char *value)
{
    lock(fc);
    if (value != NULL) {
        t_fc_store(fc, node, key, value, strlen(value));
    } else {
        t_fc_delete(fc, node, key);
    }
    unlock(fc);
    push(fc, node, key);
}

void t_fc_carry(t_fc *fc, const char *key, int from, int to)
{
    lock(fc);
    t_fc_item *item = t_fc_find(fc, from, key);
    T_REQUIRE(item != NULL && t_fc_find(fc, to, key) == NULL);
    item->node = to;
    unlock(fc);
    push(fc, from, key);
}

bool t_fc_has(t_fc *fc, int node, const char *key, const char *value)
{
    lock(fc);
    const t_fc_item *item = t_fc_find(fc, node, key);
    const bool has = value == NULL ? item == NULL : item != NULL && strcmp(item->value, value) == 0;
    unlock(fc);
    return has;
}

/* ---- What it was told ------------------------------------------------------------------------ */

int t_fc_tracked(t_fc *fc, int node)
{
    lock(fc);
    int found = 0;
    for (int i = 1; i <= T_FAKE_CONNS; i++) {
        found = fc->members[node]->conns[i].tracked ? i : found;
    }
    unlock(fc);
    return found;
}

size_t t_fc_hits_argv(t_fc *fc, const char *const *words)
{
    size_t hits = 0;
    for (int i = 0; i < fc->nodes; i++) {
        hits += t_fake_hits_argv(fc->members[i]->fake, words);
    }
    return hits;
}
