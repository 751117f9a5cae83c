/* tests/live/client/test_cluster_load.c - a cluster changes while clients read and write, and every
 * read is judged: nothing stale, nothing lost, no error that the deadline does not allow. */

#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/live.h"
#include "support/near.h"
#include "support/topology_traffic.h"

/* An EVENTUAL answer is as old as max_idle or topology_max_age at most (DESIGN.md, P1). */
enum { MAX_IDLE_MS = 1000, MAX_AGE_MS = 1000, BOUND_MS = 1500, SERVICE_MS = 1000 };

/* Of what was acknowledged so shortly before, a replica may not have heard. */
#define LOST_NS (INT64_C(100) * 1000000)

static t_load *load_start(const t_cluster *cluster)
{
    nkv_options options = t_near_options(t_cluster_url(cluster));
    options.max_idle_ms = MAX_IDLE_MS;
    options.topology_max_age_ms = MAX_AGE_MS;
    options.timeout_ms = 20000;
    options.connect_timeout_ms = 1000;
    options.resend_writes = 1;
    return t_load_start(&(t_load_options){.url = t_cluster_url(cluster),
                                          .client = &options,
                                          .barrier_percent = 25,
                                          .bound_ms = BOUND_MS});
}

static void load_end(t_load *load, const char *what)
{
    const t_load_report report = t_load_stop(load);
    printf("%s: ", what);
    t_load_print(&report, stdout);
    cr_expect_eq(report.wrong, 0, "%s: %zu reads are wrong", what, report.wrong);
    cr_expect_eq(report.read_errors, 0, "%s: %s", what, report.first_text[-NKV_ECONN]);
    cr_expect_eq(report.write_errors, 0, "%s: %s", what, report.first_text[-NKV_ECONN]);
    cr_expect_gt(report.hits, report.reads / 10, "%s: the cache was hardly used", what);
}

static void expect_service(t_load *load, const char *what)
{
    int64_t ms = t_load_wait_service(load, 10000);
    cr_expect(ms >= 0 && ms <= SERVICE_MS, "%s: normal service after %lld ms", what, (long long)ms);
}

T_LIVE_TOPOLOGY(cluster_load, resharding_1000_slots_back_and_forth)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    t_load *load = load_start(cluster);
    t_cluster_reshard(cluster, 0, 1, 1000);
    t_cluster_reshard(cluster, 1, 0, 1000);
    expect_service(load, "resharding");
    load_end(load, "resharding");
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(cluster_load, failover_by_command)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
    t_load *load = load_start(cluster);
    for (int i = 0; i < 2; i++) {
        int64_t from_ns = t_now_ns() - LOST_NS;
        t_cluster_failover(cluster, i == 0 ? 3 : 4);
        t_load_forgive(load, from_ns, t_now_ns());
        expect_service(load, "failover by command");
    }
    load_end(load, "failover by command");
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(cluster_load, kill_9_of_a_primary)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .node_timeout_ms = 1000});
    t_load *load = load_start(cluster);
    int64_t from_ns = t_now_ns() - LOST_NS;
    t_cluster_kill(cluster, 1);
    (void)t_cluster_wait_takeover(cluster, 1);
    t_load_forgive(load, from_ns, t_now_ns());
    expect_service(load, "kill -9");
    t_cluster_restart(cluster, 1);
    expect_service(load, "the old primary comes back");
    load_end(load, "kill -9");
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(cluster_load, a_node_paused_and_resumed)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .node_timeout_ms = 1000});
    t_load *load = load_start(cluster);
    int64_t from_ns = t_now_ns() - LOST_NS;
    t_cluster_pause(cluster, 2);
    (void)t_cluster_wait_takeover(cluster, 2);
    t_load_forgive(load, from_ns, t_now_ns());
    expect_service(load, "a paused node");
    const char *seconds = getenv("NEARKV_PAUSE_SECONDS"); /* 10: as long as it takes to be sure */
    int64_t pause_ms = seconds != NULL ? strtol(seconds, NULL, 10) * 1000 : 4000;
    int64_t left_ms = pause_ms - (t_now_ns() - from_ns) / 1000000;
    t_sleep_ms(left_ms > 0 ? left_ms : 0);
    t_cluster_resume(cluster, 2);
    expect_service(load, "a resumed node");
    load_end(load, "a paused node");
    t_cluster_stop(cluster);
}

/* Cases 13, 87 and 88. */
T_LIVE_TOPOLOGY(cluster_load, a_node_is_added_and_removed)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    t_load *load = load_start(cluster);
    int added = t_cluster_add_node(cluster, -1);
    t_cluster_reshard(cluster, 0, added, 500);
    expect_service(load, "a node added");
    nkv_node_health nodes[8];
    size_t n = 0;
    int healthy = 0;
    cr_expect_eq(nkv_client_health(t_load_client(load), &healthy, nodes, 8, &n), NKV_OK);
    cr_expect_eq(n, 4);
    cr_expect(healthy);
    t_cluster_remove_node(cluster, added, 0);
    expect_service(load, "a node removed");
    for (int i = 0; i < 100 && n != 3; i++) { /* it rests when nobody has listed it for a while */
        t_sleep_ms(50);
        cr_expect_eq(nkv_client_health(t_load_client(load), &healthy, nodes, 8, &n), NKV_OK);
    }
    cr_expect_eq(n, 3);
    load_end(load, "a node added and removed");
    t_cluster_stop(cluster);
}

/* Case 89, too: the client is cut off from a primary, which is alive, and is failed over. */
T_LIVE_TOPOLOGY(cluster_load, a_partition)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .proxied = true});
    t_load *load = load_start(cluster);
    t_proxy *proxy = t_cluster_proxy(cluster, 0);
    int64_t from_ns = t_now_ns() - LOST_NS;
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    t_sleep_ms(1500);
    t_cluster_failover_forced(cluster, 3); /* its link to the primary is cut as well */
    t_load_forgive(load, from_ns, t_now_ns());
    expect_service(load, "a partition");
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, false);
    t_proxy_cut(proxy, T_EVERY, T_RST);
    expect_service(load, "the partition ends");
    load_end(load, "a partition");
    t_cluster_stop(cluster);
}
