/* support/fake_cluster_tell.c - what a node of the played cluster tells of it: CLUSTER MYID, INFO,
 * NODES, SHARDS, SLOTS, by its own view.
 *
 * Callers      fake_cluster.c, under the lock                                                    */

#include "support/fake_cluster_impl.h"

#include <string.h>

static const char *host_of(const t_fc *fc, int node, char far[32])
{
    (void)snprintf(far, 32, "10.9.9.%d", node + 1);
    switch (fc->endpoint) {
    case T_FC_NAME:
        return "localhost";
    case T_FC_EMPTY:
        return "";
    case T_FC_NIL:
        return NULL;
    case T_FC_UNKNOWN:
        return "?";
    case T_FC_FAR:
        return far;
    default:
        return "127.0.0.1";
    }
}

static int port_of(const t_fc *fc, int node)
{
    return fc->endpoint == T_FC_FAR ? 7000 : t_fake_port(fc->members[node]->fake);
}

void t_fc_address(const t_fc *fc, int node, char *out, size_t size)
{
    char far[32];
    const char *host = host_of(fc, node, far);
    (void)snprintf(out, size, "%s:%d", host != NULL ? host : "", port_of(fc, node));
}

static void put_id(t_resp *out, int node)
{
    char id[48];
    (void)snprintf(id, sizeof id, "%040d", node + 1);
    t_resp_bulk(out, id);
}

static void put_host(const t_fc *fc, t_resp *out, int node)
{
    char far[32];
    const char *host = host_of(fc, node, far);
    if (host != NULL) {
        t_resp_bulk(out, host);
    } else {
        t_resp_nil(out, T_NIL3);
    }
}

/* The end of the run of slots that begins at `first` and is one node's. */
static int run_end(const t_fc_member *me, int first)
{
    int last = first;
    while (last + 1 < T_FC_SLOTS && me->view[last + 1] == me->view[first]) {
        last++;
    }
    return last;
}

/* The runs that are `node`'s (EVERY: anybody's). */
static long long count_runs(const t_fc_member *me, int node)
{
    long long n = 0;
    for (int s = 0; s < T_FC_SLOTS; s = run_end(me, s) + 1) {
        n += me->view[s] >= 0 && (node == T_FC_EVERY || me->view[s] == node);
    }
    return n;
}

static void tell_info(const t_fc_member *me, t_resp *out)
{
    char text[160];
    (void)snprintf(text, sizeof text,
                   "cluster_state:%s\r\ncluster_known_nodes:%d\r\ncluster_current_epoch:%llu\r\n"
                   "cluster_my_epoch:%llu\r\n",
                   me->failing ? "fail" : "ok", me->fc->nodes, (unsigned long long)me->fc->epoch,
                   (unsigned long long)me->epoch);
    t_resp_bulk(out, text);
}

/* The flags say who is asked; behind its ranges stand the slots that leave it or come to it. */
static void tell_nodes(const t_fc_member *me, t_resp *out)
{
    t_resp text = {0};
    for (int i = 0; i < me->fc->nodes; i++) {
        char address[64], word[160];
        t_fc_address(me->fc, i, address, sizeof address);
        (void)snprintf(word, sizeof word, "%040d %s@1 %smaster - 0 0 %llu connected", i + 1,
                       address, i == me->number ? "myself," : "",
                       (unsigned long long)me->fc->members[i]->epoch);
        t_resp_text(&text, word);
        for (int s = 0; s < T_FC_SLOTS; s = run_end(me, s) + 1) {
            if (me->view[s] == i) {
                (void)snprintf(word, sizeof word, " %d-%d", s, run_end(me, s));
                t_resp_text(&text, word);
            }
        }
        for (int s = 0; s < T_FC_SLOTS && i == me->number; s++) {
            const int to = me->fc->to[s];
            if (to >= 0 && (me->view[s] == i || to == i)) {
                (void)snprintf(word, sizeof word, " [%d-%s-%040d]", s, to == i ? "<" : ">",
                               (to == i ? me->view[s] : to) + 1);
                t_resp_text(&text, word);
            }
        }
        t_resp_text(&text, "\n");
    }
    t_resp_bulk_bytes(out, text.bytes, text.len);
    t_resp_free(&text);
}

static void tell_slots(const t_fc_member *me, t_resp *out)
{
    t_resp_head(out, '*', count_runs(me, T_FC_EVERY));
    for (int s = 0; s < T_FC_SLOTS; s = run_end(me, s) + 1) {
        if (me->view[s] < 0) {
            continue;
        }
        t_resp_head(out, '*', 3);
        t_resp_head(out, ':', s);
        t_resp_head(out, ':', run_end(me, s));
        t_resp_head(out, '*', 4);
        put_host(me->fc, out, me->view[s]);
        t_resp_head(out, ':', port_of(me->fc, me->view[s]));
        put_id(out, me->view[s]);
        t_resp_head(out, '%', 1);
        t_resp_bulk(out, "ip");
        t_resp_bulk(out, "127.0.0.1");
    }
}

static void put_shard(const t_fc_member *me, t_resp *out, int node)
{
    t_resp_head(out, '%', 2);
    t_resp_bulk(out, "slots");
    t_resp_head(out, '*', 2 * count_runs(me, node));
    for (int s = 0; s < T_FC_SLOTS; s = run_end(me, s) + 1) {
        if (me->view[s] == node) {
            t_resp_head(out, ':', s);
            t_resp_head(out, ':', run_end(me, s));
        }
    }
    t_resp_bulk(out, "nodes");
    t_resp_head(out, '*', 1);
    t_resp_head(out, '%', 6);
    t_resp_bulk(out, "id");
    put_id(out, node);
    t_resp_bulk(out, "port");
    t_resp_head(out, ':', port_of(me->fc, node));
    t_resp_bulk(out, "ip");
    t_resp_bulk(out, "127.0.0.1");
    t_resp_bulk(out, "endpoint");
    put_host(me->fc, out, node);
    t_resp_bulk(out, "role");
    t_resp_bulk(out, "master");
    t_resp_bulk(out, "health");
    t_resp_bulk(out, me->fc->members[node]->down ? "fail" : "online");
}

static void tell_shards(const t_fc_member *me, t_resp *out)
{
    long long n = 0;
    for (int i = 0; i < me->fc->nodes; i++) {
        n += me->fc->members[i]->listed;
    }
    t_resp_head(out, '*', n);
    for (int i = 0; i < me->fc->nodes; i++) {
        if (me->fc->members[i]->listed) {
            put_shard(me, out, i);
        }
    }
}

void t_fc_tell(const t_fc_member *me, const t_fake_command *command, t_resp *out)
{
    const char *what = command->argc > 1 ? command->argv[1] : "";
    if (strcmp(what, "MYID") == 0) {
        put_id(out, me->number);
    } else if (strcmp(what, "INFO") == 0) {
        tell_info(me, out);
    } else if (strcmp(what, "NODES") == 0) {
        tell_nodes(me, out);
    } else if (strcmp(what, "SHARDS") == 0) {
        tell_shards(me, out);
    } else if (strcmp(what, "SLOTS") == 0) {
        tell_slots(me, out);
    } else {
        t_resp_text(out, "-ERR unknown subcommand\r\n");
    }
}
