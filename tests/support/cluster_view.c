/* support/cluster_view.c - what the nodes of a cluster say about it, and whether they agree.
 *
 * CLUSTER NODES is the only source: one line a node,
 *
 *      id  ip:port@bus  flags  primary|-  ping  pong  epoch  link  slot|from-to|[migrating]…
 *
 * A node's own line is what it is; the lines of others are what they think of it. Settled means
 * that nobody thinks anything else than what is.
 *
 * Callers      cluster.c, cluster_slots.c, cluster_nodes.c                                       */

#include "support/cluster_impl.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS = 8, POLL_US = 4000 };

/* ---- CLUSTER NODES --------------------------------------------------------------------------- */

static int find_id(const t_cluster *cluster, const char *id, size_t len)
{
    for (int i = 0; i < cluster->count; i++) {
        if (len == T_CLUSTER_ID_LEN && memcmp(cluster->nodes[i].id, id, len) == 0) {
            return i;
        }
    }
    return -1;
}

static void note_slots(t_cluster_view *view, int node, const char *text)
{
    char *end;
    const long from = strtol(text, &end, 10);
    const long to = *end == '-' ? strtol(end + 1, &end, 10) : from;
    if (end == text || from < 0 || to >= T_CLUSTER_SLOTS) {
        return; /* "[12->-…": on its way, still in the list as well */
    }
    memset(view->owner + from, node, (size_t)(to - from + 1));
}

static void note_node(const t_cluster *cluster, char *line, t_cluster_view *view)
{
    char *fields[FIELDS];
    char *rest = line;
    for (int i = 0; i < FIELDS; i++) {
        fields[i] = strsep(&rest, " ");
        if (fields[i] == NULL) {
            return;
        }
    }
    const int node = find_id(cluster, fields[0], strlen(fields[0]));
    const char *flags = fields[2];
    if (node < 0 || strstr(flags, "handshake") != NULL) {
        view->strangers++;
        return;
    }
    view->nodes[node] = (t_node_seen){.known = true,
                                      .linked = strstr(flags, "myself") != NULL ||
                                                strcmp(fields[7], "connected") == 0,
                                      .primary = strstr(flags, "master") != NULL,
                                      .failed = strstr(flags, "fail") != NULL,
                                      .follows = find_id(cluster, fields[3], strlen(fields[3]))};
    for (char *slots; (slots = strsep(&rest, " ")) != NULL;) {
        note_slots(view, node, slots);
    }
}

bool t_cluster_look(t_cluster *cluster, int node, t_cluster_view *view)
{
    memset(view, 0, sizeof *view);
    memset(view->owner, -1, sizeof view->owner);
    redisReply *reply = t_ctl_cmd(t_cluster_ctl(cluster, node), "CLUSTER", "NODES");
    const bool fine =
        reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_VERB);
    char *rest = fine ? reply->str : NULL;
    for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;) {
        note_node(cluster, line, view);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return fine;
}

void t_cluster_look_hard(t_cluster *cluster, int node, t_cluster_view *view)
{
    if (!t_cluster_look(cluster, node, view)) {
        T_DIE("node %d of the cluster does not answer CLUSTER NODES", node);
    }
}

void t_cluster_die(t_cluster *cluster, const char *what)
{
    (void)fprintf(stderr, "the cluster %s; its nodes say:\n", what);
    for (int i = 0; i < cluster->count; i++) {
        const t_cluster_node *node = &cluster->nodes[i];
        (void)fprintf(stderr, "-- node %d, %s, port %d, state %d\n", i, node->id, node->port,
                      (int)node->state);
        if (node->state == T_NODE_UP) {
            char *info = t_ctl_text(t_cluster_ctl(cluster, i), "CLUSTER", "INFO");
            char *nodes = t_ctl_text(t_cluster_ctl(cluster, i), "CLUSTER", "NODES");
            (void)fprintf(stderr, "%.18s\n%s", info, nodes);
            free(info);
            free(nodes);
        }
    }
    T_DIE("the cluster %s", what);
}

/* ---- Do they agree? -------------------------------------------------------------------------- */

static bool is_linked(const t_node_seen *seen)
{
    return seen->known && seen->linked && !seen->failed;
}

bool t_cluster_acquainted(t_cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++) {
        t_cluster_view view;
        if (!t_cluster_up(cluster, i)) {
            continue;
        }
        t_cluster_look_hard(cluster, i, &view);
        for (int j = 0; j < cluster->count; j++) {
            if (t_cluster_up(cluster, j) && !is_linked(&view.nodes[j])) {
                return false;
            }
        }
    }
    return true;
}

static bool state_is_ok(t_cluster *cluster, int node)
{
    char *info = t_ctl_text(t_cluster_ctl(cluster, node), "CLUSTER", "INFO");
    const bool ok = info != NULL && strncmp(info, "cluster_state:ok", 16) == 0;
    free(info);
    return ok;
}

/* Is this replica's link to its primary up, as the replica sees it? */
static bool follows_closely(t_cluster *cluster, int node)
{
    char text[16];
    return t_ctl_info(t_cluster_ctl(cluster, node), "replication", "master_link_status", text,
                      sizeof text) &&
           strcmp(text, "up") == 0;
}

/* Does it send to as many replicas as follow it? */
static bool leads_all(t_cluster *cluster, int node, int replicas)
{
    char *info = t_ctl_text(t_cluster_ctl(cluster, node), "INFO", "replication");
    int online = 0;
    for (const char *at = info; at != NULL && (at = strstr(at, "state=online")) != NULL; at++) {
        online++;
    }
    free(info);
    return online == replicas;
}

/* Does `view` show the node as it shows itself in `own`? */
static bool sees_right(const t_cluster_view *view, const t_cluster_view *own, int node)
{
    const t_node_seen *seen = &view->nodes[node];
    const t_node_seen *is = &own->nodes[node];
    return is_linked(seen) && seen->primary == is->primary && seen->follows == is->follows;
}

/* Are all views of the owners the same, and every owner that runs of the same mind? `served`: has
 * every slot an owner that runs?                                                                 */
static bool owners_agree(const t_cluster *cluster, const t_cluster_view *views, bool *served)
{
    int first = -1;
    *served = true;
    for (int i = 0; i < cluster->count; i++) {
        if (!t_cluster_up(cluster, i)) {
            continue;
        }
        first = first < 0 ? i : first;
        if (memcmp(views[i].owner, views[first].owner, sizeof views[i].owner) != 0) {
            return false;
        }
    }
    for (int slot = 0; first >= 0 && slot < T_CLUSTER_SLOTS; slot++) {
        const int owner = views[first].owner[slot];
        *served = *served && owner >= 0 && t_cluster_up(cluster, owner);
    }
    return true;
}

static bool nodes_agree(const t_cluster *cluster, const t_cluster_view *views, int node)
{
    if (views[node].strangers > 0) {
        return false;
    }
    for (int other = 0; other < cluster->count; other++) {
        const t_node_state state = cluster->nodes[other].state;
        if (state == T_NODE_UP && !sees_right(&views[node], &views[other], other)) {
            return false;
        }
        if (state == T_NODE_REMOVED && views[node].nodes[other].known) {
            return false;
        }
    }
    return true;
}

static bool replication_stands(t_cluster *cluster, const t_cluster_view *views, int node)
{
    const t_node_seen *own = &views[node].nodes[node];
    if (!own->primary) {
        return own->follows < 0 || !t_cluster_up(cluster, own->follows) ||
               follows_closely(cluster, node);
    }
    int replicas = 0;
    bool others = false; /* some that follow do not run: who knows what it counts */
    for (int i = 0; i < cluster->count; i++) {
        const bool follows = views[node].nodes[i].known && views[node].nodes[i].follows == node;
        replicas += follows && t_cluster_up(cluster, i);
        others = others || (follows && !t_cluster_up(cluster, i));
    }
    return others || leads_all(cluster, node, replicas);
}

bool t_cluster_settled(t_cluster *cluster)
{
    t_cluster_view *views = cluster->views;
    bool served;
    for (int i = 0; i < cluster->count; i++) {
        if (t_cluster_up(cluster, i) && !t_cluster_look(cluster, i, &views[i])) {
            return false;
        }
    }
    if (!owners_agree(cluster, views, &served)) {
        return false;
    }
    for (int i = 0; i < cluster->count; i++) {
        if (t_cluster_up(cluster, i) &&
            (!nodes_agree(cluster, views, i) || !replication_stands(cluster, views, i) ||
             (served && !state_is_ok(cluster, i)))) {
            return false;
        }
    }
    return true;
}

void t_cluster_settle(t_cluster *cluster, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (!t_cluster_settled(cluster)) {
        if (t_now_ms() > end_ms) {
            t_cluster_die(cluster, "does not settle");
        }
        t_sleep_us(POLL_US);
    }
}

static bool all_states_are(t_cluster *cluster, bool ok)
{
    for (int i = 0; i < cluster->count; i++) {
        if (t_cluster_up(cluster, i) && state_is_ok(cluster, i) != ok) {
            return false;
        }
    }
    return true;
}

void t_cluster_wait_state(t_cluster *cluster, bool ok, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (!all_states_are(cluster, ok)) {
        if (t_now_ms() > end_ms) {
            t_cluster_die(cluster, ok ? "is not ok" : "is still ok");
        }
        t_sleep_us(POLL_US);
    }
}

void t_cluster_wait_replicated(t_cluster *cluster, int64_t timeout_ms)
{
    for (int i = 0; i < cluster->count; i++) {
        const int primary = t_cluster_up(cluster, i) ? t_cluster_primary_of(cluster, i) : -1;
        if (primary < 0 || !t_cluster_up(cluster, primary)) {
            continue;
        }
        const long long want =
            t_ctl_info_int(t_cluster_ctl(cluster, primary), "replication", "master_repl_offset");
        T_WAIT_UNTIL(
            t_ctl_info_int(t_cluster_ctl(cluster, i), "replication", "slave_repl_offset") >= want,
            timeout_ms);
    }
}

/* ---- Questions ------------------------------------------------------------------------------- */

bool t_cluster_is_primary(t_cluster *cluster, int node)
{
    t_cluster_view view;
    t_cluster_look_hard(cluster, node, &view);
    return view.nodes[node].primary;
}

int t_cluster_primary_of(t_cluster *cluster, int node)
{
    t_cluster_view view;
    t_cluster_look_hard(cluster, node, &view);
    return view.nodes[node].primary ? -1 : view.nodes[node].follows;
}

int t_cluster_owner(t_cluster *cluster, int slot)
{
    T_REQUIRE(slot >= 0 && slot < T_CLUSTER_SLOTS);
    for (int i = 0; i < cluster->count; i++) {
        t_cluster_view view;
        if (t_cluster_up(cluster, i) && t_cluster_look(cluster, i, &view) &&
            view.owner[slot] == i) {
            return i;
        }
    }
    return -1;
}

int t_cluster_slot_count(t_cluster *cluster, int node)
{
    t_cluster_view view;
    t_cluster_look_hard(cluster, node, &view);
    int count = 0;
    for (int slot = 0; slot < T_CLUSTER_SLOTS; slot++) {
        count += view.owner[slot] == node;
    }
    return count;
}

int t_cluster_first_slot(t_cluster *cluster, int node)
{
    t_cluster_view view;
    t_cluster_look_hard(cluster, node, &view);
    for (int slot = 0; slot < T_CLUSTER_SLOTS; slot++) {
        if (view.owner[slot] == node) {
            return slot;
        }
    }
    return -1;
}

int t_cluster_replicas(t_cluster *cluster, int node, int out[T_CLUSTER_NODES_MAX])
{
    int count = 0;
    for (int i = 0; i < cluster->count; i++) {
        if (i != node && t_cluster_up(cluster, i) && t_cluster_primary_of(cluster, i) == node) {
            out[count++] = i;
        }
    }
    return count;
}
