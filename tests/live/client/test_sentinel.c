/* tests/live/client/test_sentinel.c - a primary with replicas behind sentinels: what is read from
 * whom, and what a failover leaves behind; the acceptance cases 89 and 91 to 94. */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/sentinel.h"
#include "support/topology_traffic.h"

enum { MAX_IDLE_MS = 1000, MAX_AGE_MS = 1000, BOUND_MS = 1500, SERVICE_MS = 1000 };

static nkv_options options_of(const t_sentinels *all, nkv_read_from from)
{
    nkv_options options = t_near_options(t_sentinels_url(all));
    options.read_from = from;
    options.max_idle_ms = MAX_IDLE_MS;
    options.topology_max_age_ms = MAX_AGE_MS;
    options.timeout_ms = 20000;
    options.resend_writes = 1;
    return options;
}

/* Reads until the answer says so and comes from the cache, which replicas need a moment for. */
static void await_hit(nkv_client *client, const char *key, const char *text)
{
    t_answer answer = t_near_get(client, key);
    for (int i = 0; i < 300 && !t_is(answer, NKV_FROM_CACHE, text); i++) {
        t_sleep_ms(10);
        answer = t_near_get(client, key);
    }
    cr_assert(t_is(answer, NKV_FROM_CACHE, text), "%s is %s", key, answer.text);
}

/* Reads until the answer is another. */
static void await_change(nkv_client *client, const char *key, const char *text)
{
    t_answer answer = t_near_get(client, key);
    for (int i = 0; i < 300 && strcmp(answer.text, text) != 0; i++) {
        t_sleep_ms(10);
        answer = t_near_get(client, key);
    }
    cr_assert_str_eq(answer.text, text);
}

/* How often a server was asked for a key so far. */
static long long gets_of(t_sentinels *all, int node)
{
    t_ctl *ctl = t_sentinels_ctl(all, node);
    return t_ctl_info_int(ctl, "stats", "keyspace_hits") +
           t_ctl_info_int(ctl, "stats", "keyspace_misses");
}

/* Cases 91 and 92. */
T_LIVE_TOPOLOGY(sentinel, cases_91_and_92_a_replica_is_read_and_tells)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind, .replicas = 1});
    nkv_options options = options_of(all, NKV_READ_REPLICA);
    nkv_client *client = t_near_open(&options);
    t_ctl *primary = t_sentinels_ctl(all, 0);
    t_ctl_ok(primary, "SET", "k", "v");
    t_ctl_ok(primary, "SET", "soon", "gone", "PX", "2000");
    t_sentinels_wait_replicated(all, 5000);
    for (int i = 0; i < 300; i++) { /* until it is known how far the replicas have come */
        char key[16];
        (void)snprintf(key, sizeof key, "warm%d", i);
        long long asked = gets_of(all, 0);
        (void)t_near_get(client, key);
        if (gets_of(all, 0) == asked) {
            break;
        }
        t_sleep_ms(10);
    }
    long long before = gets_of(all, 0);
    await_hit(client, "k", "v");
    cr_assert_str_eq(t_near_get(client, "soon").text, "gone");
    cr_assert_eq(gets_of(all, 0), before, "the primary was read");
    t_ctl_ok(primary, "SET", "k", "w");
    await_change(client, "k", "w");
    await_hit(client, "k", "w");
    t_sleep_ms(2020); /* a replica does not expire by itself; PTTL bounds what it says */
    cr_assert_str_eq(t_near_get(client, "soon").text, "_");
    t_ctl_ok(primary, "SET", "k", "x");
    cr_assert_str_eq(t_near_get_at(client, "k", NKV_BARRIER).text, "x");
    nkv_client_destroy(client);
    t_sentinels_stop(all);
}

/* P2, where replicas lag: the writer does not read from before its write. */
T_LIVE_TOPOLOGY(sentinel, own_writes_are_read_where_replicas_lag)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    nkv_options options = options_of(all, NKV_READ_PREFER_REPLICA);
    nkv_client *client = t_near_open(&options);
    nkv_client *uncached = NULL;
    options.no_cache = 1;
    uncached = t_near_open(&options);
    nkv_client *const clients[] = {client, uncached};
    await_hit(client, "warm", "_");
    for (int i = 0; i < 400; i++) {
        char key[16], value[16];
        (void)snprintf(key, sizeof key, "k%d", i % 7);
        (void)snprintf(value, sizeof value, "%d", i);
        nkv_client *writer = clients[i / 7 % 2];
        cr_assert_eq(t_near_set(writer, key, value), NKV_OK);
        cr_assert_str_eq(t_near_get(writer, key).text, value);
    }
    t_sentinels_pause(all, 1); /* one of the replicas stands still */
    for (int i = 0; i < 50; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "p%d", i);
        cr_assert_eq(t_near_set(client, key, "now"), NKV_OK);
        cr_assert_str_eq(t_near_get(client, key).text, "now");
    }
    t_sentinels_resume(all, 1);
    await_hit(client, "k1", t_near_get(client, "k1").text);
    nkv_client_destroy(client);
    nkv_client_destroy(uncached);
    t_sentinels_stop(all);
}

/* Case 93, and a replica that has lost its primary. */
T_LIVE_TOPOLOGY(sentinel, case_93_a_replica_without_its_primary_vouches_for_nothing)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind, .replicas = 1});
    nkv_options options = options_of(all, NKV_READ_PREFER_REPLICA);
    nkv_client *client = t_near_open(&options);
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "k", "v");
    t_sentinels_wait_replicated(all, 5000);
    await_hit(client, "k", "v");
    t_ctl_ok(t_sentinels_ctl(all, 1), "REPLICAOF", "127.0.0.1", "1"); /* nobody is there */
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "k", "w");
    await_change(client, "k", "w"); /* of the primary, within topology_max_age */
    for (int i = 0; i < 100; i++) {
        cr_assert_str_eq(t_near_get(client, "k").text, "w");
    }
    t_sentinels_settle(all, 20000); /* the sentinels put it right: a full synchronisation */
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "k", "x");
    await_change(client, "k", "x");
    await_hit(client, "k", "x");
    nkv_client_destroy(client);
    t_sentinels_stop(all);
}

/* Case 94, and 89: what the old primary vouched for is gone. */
T_LIVE_TOPOLOGY(sentinel, case_94_a_switch_fences_the_old_primary)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    nkv_options options = options_of(all, NKV_READ_PRIMARY);
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    await_hit(client, "k", "v");
    int now = t_sentinels_failover(all);
    t_ctl_ok(t_sentinels_ctl(all, now), "SET", "k", "w");
    int64_t written_ns = t_now_ns();
    await_change(client, "k", "w");
    cr_assert_lt(t_now_ns() - written_ns, MAX_AGE_MS * INT64_C(1000000));
    cr_assert_eq(t_near_set(client, "k", "x"), NKV_OK);
    await_hit(client, "k", "x");
    nkv_node_health nodes[4];
    size_t n = 0;
    int healthy = 0;
    cr_assert_eq(nkv_client_health(client, &healthy, nodes, 4, &n), NKV_OK);
    cr_assert(healthy);
    cr_assert_eq(n, 1, "only who is read from is connected");
    nkv_client_destroy(client);
    t_sentinels_stop(all);
}

T_LIVE_TOPOLOGY(sentinel, services_passwords_and_what_is_wrong_with_them)
{
    t_sentinels *all =
        t_sentinels_start(&(t_sentinels_options){.kind = kind,
                                                 .service = "cache/one",
                                                 .password = "of-servers",
                                                 .sentinel_password = "of-sentinels"});
    char url[256], ports[128];
    const char *list = strchr(t_sentinels_url(all), '@') + 1;
    (void)snprintf(ports, sizeof ports, "%.*s", (int)strcspn(list, "/"), list);
    (void)snprintf(url, sizeof url, "redis-sentinel://:of-servers@%s/cache%%2Fone", ports);
    nkv_options options = t_near_options(url);
    options.sentinel_password = "of-sentinels";
    nkv_client *client = t_near_open(&options);
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    nkv_client_destroy(client);
    nkv_error error = {.status = NKV_OK};
    options.service_name = "another"; /* wins over the URL's */
    client = t_near_start(&options);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, &error), NKV_EREPLY);
    cr_assert(strstr(error.text, "knows no service 'another'") != NULL, "%s", error.text);
    nkv_client_destroy(client);
    options.service_name = NULL;
    options.sentinel_password = "wrong secret";
    client = t_near_start(&options);
    cr_assert_lt(nkv_client_wait_ready(client, 500, &error), 0);
    cr_assert(strstr(error.text, "wrong secret") == NULL, "%s", error.text);
    cr_assert(strstr(error.text, "WRONGPASS") != NULL || strstr(error.text, "AUTH") != NULL, "%s",
              error.text);
    t_answer answer = t_near_get(client, "k");
    (void)answer;
    nkv_client_destroy(client);
    t_sentinels_stop(all);
}

/* ---- load ------------------------------------------------------------------------------------ */

/* Of what was acknowledged so shortly before, a replica may not have heard. */
#define LOST_NS (INT64_C(100) * 1000000)

static void load_with(const char *kind, nkv_read_from from, int64_t bound_ms)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    nkv_options options = options_of(all, from);
    /* A replica whose link is up gets nothing new before it has acknowledged what it took over. */
    t_ctl_ok(t_sentinels_ctl(all, 0), "SET", "first", "v");
    t_sentinels_wait_replicated(all, 10000);
    t_load *load = t_load_start(&(t_load_options){.url = t_sentinels_url(all),
                                                  .client = &options,
                                                  .barrier_percent = 25,
                                                  .bound_ms = bound_ms});
    int64_t from_ns = t_now_ns() - LOST_NS;
    (void)t_sentinels_failover(all);
    t_load_forgive(load, from_ns, t_now_ns());
    int64_t ms = t_load_wait_service(load, 10000);
    cr_expect(ms >= 0 && ms <= SERVICE_MS, "after a failover: %lld ms", (long long)ms);
    int old = t_sentinels_primary(all);
    from_ns = t_now_ns() - LOST_NS;
    t_sentinels_kill(all, old);
    (void)t_sentinels_wait_takeover(all, old);
    t_load_forgive(load, from_ns, t_now_ns());
    ms = t_load_wait_service(load, 10000);
    cr_expect(ms >= 0 && ms <= SERVICE_MS, "after kill -9: %lld ms", (long long)ms);
    t_sentinels_restart(all, old); /* begins as the primary that it was */
    t_sentinels_settle(all, 20000);
    ms = t_load_wait_service(load, 10000);
    cr_expect(ms >= 0 && ms <= SERVICE_MS, "the old primary is back: %lld ms", (long long)ms);
    const t_load_report report = t_load_stop(load);
    printf("read_from %d: ", (int)from);
    t_load_print(&report, stdout);
    cr_expect_eq(report.wrong, 0);
    cr_expect_eq(report.read_errors, 0, "%s", report.first_text[-NKV_ECONN]);
    cr_expect_eq(report.write_errors, 0, "%s", report.first_text[-NKV_ECONN]);
    cr_expect_gt(report.hits, report.reads / 10);
    t_sentinels_stop(all);
}

T_LIVE_TOPOLOGY(sentinel_load, failover_kill_and_the_old_primary_comes_back)
{
    load_with(kind, NKV_READ_PRIMARY, BOUND_MS);
}

/* Replicas are as old as they are: only BARRIER reads and own writes are judged. */
T_LIVE_TOPOLOGY(sentinel_load, the_same_with_replicas)
{
    load_with(kind, NKV_READ_PREFER_REPLICA, -1);
}
