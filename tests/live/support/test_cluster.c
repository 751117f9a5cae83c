/* tests/live/support/test_cluster.c - the clusters that live tests stand on: started, looked at,
 * changed in every way there is, and gone when nobody needs them.                                */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/live.h"

static void set(t_cluster *cluster, int node, const char *key, const char *value)
{
    t_ctl_ok(t_cluster_ctl(cluster, node), "SET", key, value);
}

/* What a node answers to GET: the value, "nil", or the error. */
static const char *get(t_cluster *cluster, int node, const char *key)
{
    static char text[128];
    redisReply *reply = t_ctl_cmd(t_cluster_ctl(cluster, node), "GET", key);
    T_REQUIRE(reply != NULL);
    (void)snprintf(text, sizeof text, "%s", reply->str == NULL ? "nil" : reply->str);
    freeReplyObject(reply);
    return text;
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

T_LIVE(support_cluster, knows_the_slots_of_keys)
{
    (void)server;
    cr_assert_eq(t_cluster_slot("123456789", 9), 0x31c3 % T_CLUSTER_SLOTS);
    cr_assert_eq(t_cluster_slot("foo", 3), 12182);
    cr_assert_eq(t_cluster_slot("", 0), 0);
    cr_assert_eq(t_cluster_slot("a{foo}b", 7), 12182);
    cr_assert_eq(t_cluster_slot("{foo}{bar}", 10), 12182);
    cr_assert_neq(t_cluster_slot("{}foo", 5), 12182);
    cr_assert_neq(t_cluster_slot("{foo", 4), 12182);
    for (int slot = 0; slot < T_CLUSTER_SLOTS; slot++) {
        char key[T_CLUSTER_KEY_MAX];
        t_cluster_key(slot, key);
        cr_assert_eq(t_cluster_slot(key, strlen(key)), slot);
    }
}

/* ---- Start and stop -------------------------------------------------------------------------- */

T_LIVE_TOPOLOGY(support_cluster, starts_serves_and_leaves_nothing)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    const int64_t begin_ms = t_now_ms();
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    (void)fprintf(stderr, "%s: 3 primaries in %d ms\n", kind, (int)(t_now_ms() - begin_ms));
    cr_assert_eq(t_cluster_size(cluster), 3);
    char *url = t_format("redis-cluster://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d",
                         t_cluster_port(cluster, 0), t_cluster_port(cluster, 1),
                         t_cluster_port(cluster, 2));
    cr_assert_str_eq(t_cluster_url(cluster), url);
    free(url);
    pid_t pids[3];
    char *dirs[3];
    for (int i = 0; i < 3; i++) {
        t_server *server = t_cluster_server(cluster, i);
        pids[i] = t_server_pid(server);
        dirs[i] = t_format("%s", t_server_dir(server));
        cr_assert(t_cluster_is_primary(cluster, i));
        cr_assert_eq(t_cluster_port(cluster, i), t_server_port(server));
        cr_assert_eq(t_cluster_node_at(cluster, t_server_port(server)), i);
        char tag[T_CLUSTER_KEY_MAX];
        t_cluster_tag(cluster, i, tag);
        set(cluster, i, tag, "v");
        cr_assert(begins(get(cluster, (i + 1) % 3, tag), "MOVED "));
    }
    cr_assert_eq(t_cluster_owner(cluster, 0), 0);
    cr_assert_eq(t_cluster_owner(cluster, T_CLUSTER_SLOTS - 1), 2);
    t_cluster_stop(cluster);
    for (int i = 0; i < 3; i++) {
        cr_assert_neq(access(dirs[i], F_OK), 0, "the directory is still there");
        cr_assert_neq(kill(pids[i], 0), 0, "the process is still there");
        free(dirs[i]);
    }
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, 5000); /* a joined one is listed a little longer */
}

T_LIVE_TOPOLOGY(support_cluster, starts_with_replicas)
{
    const int64_t begin_ms = t_now_ms();
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
    (void)fprintf(stderr, "%s: 3 + 3 in %d ms\n", kind, (int)(t_now_ms() - begin_ms));
    for (int i = 0; i < 3; i++) {
        int replicas[T_CLUSTER_NODES_MAX];
        cr_assert_eq(t_cluster_primary_of(cluster, i), -1);
        cr_assert_eq(t_cluster_primary_of(cluster, 3 + i), i);
        cr_assert_eq(t_cluster_replicas(cluster, i, replicas), 1);
        cr_assert_eq(replicas[0], 3 + i);
        char key[T_CLUSTER_KEY_MAX];
        t_cluster_key(t_cluster_first_slot(cluster, i), key);
        set(cluster, i, key, "v");
        t_cluster_wait_replicated(cluster, 5000);
        t_ctl_ok(t_cluster_ctl(cluster, 3 + i), "READONLY");
        cr_assert_str_eq(get(cluster, 3 + i, key), "v");
    }
    t_cluster_stop(cluster);
}

/* Clients see the proxies alone, and but for replicas only clients come by them. */
T_LIVE_TOPOLOGY(support_cluster, hides_behind_proxies)
{
    t_cluster *cluster = t_cluster_start(
        &(t_cluster_options){.kind = kind, .replicas = 1, .proxied = true, .password = "pw"});
    cr_assert(begins(t_cluster_url(cluster), "redis-cluster://:pw@127.0.0.1:"));
    for (int i = 0; i < t_cluster_size(cluster); i++) {
        t_proxy *proxy = t_cluster_proxy(cluster, i);
        cr_assert_eq(t_cluster_port(cluster, i), t_proxy_port(proxy));
        cr_assert_neq(t_cluster_port(cluster, i), t_server_port(t_cluster_server(cluster, i)));
        cr_assert_eq(t_proxy_accepted(proxy) > 0, i < 3, "not only its replica");
    }
    char key[T_CLUSTER_KEY_MAX];
    t_cluster_key(T_CLUSTER_SLOTS - 1, key);
    set(cluster, 2, key, "v");
    t_ctl *ctl = t_ctl_open_port(t_cluster_port(cluster, 0), NULL, "pw");
    redisReply *reply = t_ctl_cmd(ctl, "GET", key);
    char *moved =
        t_format("MOVED %d 127.0.0.1:%d", T_CLUSTER_SLOTS - 1, t_cluster_port(cluster, 2));
    cr_assert_str_eq(reply->str, moved);
    free(moved);
    freeReplyObject(reply);
    t_ctl_close(ctl);
    const int accepted = t_proxy_accepted(t_cluster_proxy(cluster, 0));
    t_cluster_migrate_slot(cluster, T_CLUSTER_SLOTS - 1, 0);
    cr_assert_str_eq(get(cluster, 0, key), "v");
    cr_assert_eq(t_proxy_accepted(t_cluster_proxy(cluster, 0)), accepted, "MIGRATE came by it");
    t_cluster_stop(cluster);
}

/* ---- Slots ----------------------------------------------------------------------------------- */

T_LIVE_TOPOLOGY(support_cluster, moves_a_slot_with_its_keys)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
    char key[T_CLUSTER_KEY_MAX];
    t_cluster_key(100, key);
    set(cluster, 0, key, "v");
    const int64_t begin_ms = t_now_ms();
    t_cluster_migrate_begin(cluster, 100, 1);
    cr_assert_str_eq(get(cluster, 0, key), "v");
    t_cluster_migrate_keys(cluster);
    cr_assert(begins(get(cluster, 0, key), "ASK 100 "));
    cr_assert(begins(get(cluster, 1, key), "MOVED 100 "));
    cr_assert_eq(t_cluster_owner(cluster, 100), 0);
    t_cluster_migrate_end(cluster);
    (void)fprintf(stderr, "%s: a slot moved in %d ms\n", kind, (int)(t_now_ms() - begin_ms));
    cr_assert_eq(t_cluster_owner(cluster, 100), 1);
    cr_assert_str_eq(get(cluster, 1, key), "v");
    cr_assert(begins(get(cluster, 0, key), "MOVED 100 "));
    cr_assert(begins(get(cluster, 3, key), "MOVED 100 "), "the replica has not heard of it");
    t_cluster_migrate_slot(cluster, 100, 0); /* and back */
    cr_assert_str_eq(get(cluster, 0, key), "v");
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(support_cluster, reassigns_a_slot_without_its_keys)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    char key[T_CLUSTER_KEY_MAX];
    t_cluster_key(100, key);
    set(cluster, 0, key, "old");
    const int64_t begin_ms = t_now_ms();
    t_cluster_reassign_slot(cluster, 100, 2);
    (void)fprintf(stderr, "%s: reassigned in %d ms\n", kind, (int)(t_now_ms() - begin_ms));
    cr_assert_eq(t_cluster_owner(cluster, 100), 2);
    cr_assert_str_eq(get(cluster, 2, key), "nil");
    cr_assert(begins(get(cluster, 0, key), "MOVED 100 "));
    cr_assert_eq(t_ctl_int(t_cluster_ctl(cluster, 0), "DBSIZE"), 0);
    t_cluster_reassign_slot(cluster, 100, 0);
    cr_assert_str_eq(get(cluster, 0, key), "nil");
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(support_cluster, reshards)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    char keys[3][T_CLUSTER_KEY_MAX];
    for (int i = 0; i < 3; i++) {
        t_cluster_key(i * 50, keys[i]);
        set(cluster, 0, keys[i], "v");
    }
    const int before = t_cluster_slot_count(cluster, 1);
    const int64_t begin_ms = t_now_ms();
    t_cluster_reshard(cluster, 0, 1, 100);
    (void)fprintf(stderr, "%s: 100 slots in %d ms\n", kind, (int)(t_now_ms() - begin_ms));
    cr_assert_eq(t_cluster_slot_count(cluster, 1), before + 100);
    cr_assert_eq(t_cluster_first_slot(cluster, 0), 100);
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(get(cluster, i < 2, keys[i]), "v");
    }
    t_cluster_stop(cluster);
}
