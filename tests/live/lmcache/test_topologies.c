/* tests/live/lmcache/test_topologies.c - chunks on clusters and behind sentinels: behaviours 18 and
 * 19, and what 12 and 17 say of them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/sentinel.h"

enum { CHUNKS = 24, LEN = 100000 };

static nkv_client *client_of(const char *url, int64_t timeout_ms)
{
    nkv_options options = t_near_options(url);
    options.timeout_ms = timeout_ms;
    options.topology_max_age_ms = 1000;
    options.max_idle_ms = 1000;
    options.resend_writes = 1;
    return t_near_open(&options);
}

static nkv_lmcache *chunks_of(nkv_client *client, nkv_lmcache_layout layout, int64_t timeout_ms)
{
    nkv_lmcache_options options = t_lm_options(layout);
    options.timeout_ms = timeout_ms;
    return t_lm_make(client, &options);
}

static t_items chunks_new(const char *prefix, size_t len)
{
    t_items list = t_items_new(prefix, CHUNKS);
    t_items_values(&list, len);
    return list;
}

/* Reads all chunks back into new buffers. */
static void expect_all(nkv_lmcache *lm, t_items *list, const char *when)
{
    nkv_call call;
    nkv_call_init(&call);
    t_items_bufs(list, LEN);
    cr_expect_eq(nkv_lmcache_get(lm, list->items, CHUNKS, &call), NKV_OK, "%s: %s", when,
                 call.error.text);
    for (size_t i = 0; i < CHUNKS; i++) {
        cr_expect(t_item_has(list, i), "%s: chunk %zu", when, i);
    }
}

/* Where an outsider finds a name of a chunk: the node of its slot, and there it must be. */
static int node_of(t_cluster *cluster, nkv_lmcache_layout layout, nkv_lmcache_part part,
                   nkv_str key)
{
    static char name[T_LM_NAME_MAX];
    t_arg arg = t_lm_name(layout, part, key, name);
    int node = t_cluster_owner(cluster, t_cluster_slot(arg.bytes, arg.len));
    const t_arg argv[] = {T_ARG("EXISTS"), arg};
    redisReply *reply = t_ctl_args(t_cluster_ctl(cluster, node), 2, argv);
    cr_expect_eq(reply->integer, 1);
    freeReplyObject(reply);
    return node;
}

static int count_one(nkv_str key, void *ud)
{
    (void)key;
    ++*(int *)ud;
    return 0;
}

static void check_layout(t_cluster *cluster, nkv_client *client, nkv_lmcache_layout layout)
{
    nkv_lmcache *lm = chunks_of(client, layout, 10000);
    t_items list = chunks_new("m@1@0@ff", LEN);
    int apart = 0, listed = 0;
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_lmcache_put(lm, list.items, CHUNKS, &call), NKV_OK, "%s", call.error.text);
    for (size_t i = 0; i < CHUNKS; i++) {
        int payload = node_of(cluster, layout, NKV_LMCACHE_PAYLOAD, list.items[i].key);
        if (layout != NKV_LMCACHE_SINGLE_KEY) {
            apart += payload != node_of(cluster, layout, NKV_LMCACHE_METADATA, list.items[i].key);
        }
    }
    bool together = layout == NKV_LMCACHE_HASH_TAG || layout == NKV_LMCACHE_SINGLE_KEY;
    cr_expect_eq(apart == 0, together);
    cr_assert_eq(nkv_lmcache_contains(lm, list.items, CHUNKS, &call), NKV_OK);
    cr_expect_eq(nkv_lmcache_list(lm, nkv_cstr("m@1@0@ff"), count_one, &listed, &call), NKV_OK);
    cr_expect(layout == NKV_LMCACHE_SINGLE_KEY ? listed >= CHUNKS : listed == CHUNKS, "%d listed",
              listed);
    expect_all(lm, &list, "at rest");
    cr_expect_eq(nkv_lmcache_remove(lm, list.items, CHUNKS, &call), NKV_OK);
    cr_expect_eq(nkv_lmcache_contains(lm, list.items, CHUNKS, &call), NKV_OK);
    for (size_t i = 0; i < CHUNKS; i++) {
        cr_expect_eq(list.items[i].status, NKV_NOT_FOUND);
    }
    t_items_free(&list);
    nkv_lmcache_destroy(lm);
}

/* The answer to a login is no answer to a chunk's command. */
static void a_login_that_is_refused(const t_cluster *cluster)
{
    char url[64];
    (void)snprintf(url, sizeof url, "redis-cluster://127.0.0.1:%d", t_cluster_port(cluster, 0));
    nkv_options options = t_near_options(url);
    options.timeout_ms = 1000;
    nkv_client *client = t_near_start(&options);
    t_items list = t_items_new("k", 3);
    t_items_bufs(&list, LEN);
    nkv_call call;
    nkv_call_init(&call);
    cr_expect_eq(nkv_batch_get(client, list.items, 3, &call), NKV_EREPLY);
    cr_expect(strstr(call.error.text, "NOAUTH") != NULL, "%s", call.error.text);
    t_items_free(&list);
    nkv_client_destroy(client);
}

T_LIVE_TOPOLOGY(lmcache_topologies, case_19_layouts_on_a_cluster)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .password = "of-all-nodes"});
    nkv_client *client = client_of(t_cluster_url(cluster), 10000);
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        check_layout(cluster, client, (nkv_lmcache_layout)layout);
    }
    a_login_that_is_refused(cluster);
    nkv_client_destroy(client);
    t_cluster_stop(cluster);
}

/* MOVED and ASK on bulk lanes: of the first chunk's slots. */
T_LIVE_TOPOLOGY(lmcache_topologies, case_19_moved_and_ask)
{
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    nkv_client *client = client_of(t_cluster_url(cluster), 10000);
    static const nkv_lmcache_layout layouts[] = {NKV_LMCACHE_PLAIN_SUFFIX, NKV_LMCACHE_HASH_TAG};
    for (size_t l = 0; l < 2; l++) {
        nkv_lmcache *lm = chunks_of(client, layouts[l], 10000);
        t_items list = chunks_new(l == 0 ? "plain" : "tagged", LEN);
        static char name[T_LM_NAME_MAX];
        t_arg arg = t_lm_name(layouts[l], NKV_LMCACHE_PAYLOAD, list.items[0].key, name);
        int slot = t_cluster_slot(arg.bytes, arg.len);
        cr_assert_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
        t_cluster_migrate_slot(cluster, slot, (t_cluster_owner(cluster, slot) + 1) % 3);
        expect_all(lm, &list, "moved");
        t_items_values(&list, LEN);
        cr_expect_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
        cr_expect_eq(nkv_lmcache_remove(lm, list.items, 1, NULL), NKV_OK);
        t_cluster_migrate_begin(cluster, slot, (t_cluster_owner(cluster, slot) + 1) % 3);
        t_items_values(&list, LEN); /* what is missing at the source is asked for at the target */
        cr_expect_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
        expect_all(lm, &list, "asking");
        t_cluster_migrate_keys(cluster);
        t_cluster_migrate_end(cluster);
        expect_all(lm, &list, "moved again");
        t_items_free(&list);
        nkv_lmcache_destroy(lm);
    }
    nkv_client_destroy(client);
    t_cluster_stop(cluster);
}

/* Behaviour 12: a slot that nobody serves is an error of its keys alone. */
T_LIVE_TOPOLOGY(lmcache_topologies, case_12_a_slot_of_nobody)
{
    static const char *const args[] = {"--cluster-require-full-coverage", "no", NULL};
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .args = args});
    nkv_client *client = client_of(t_cluster_url(cluster), 10000);
    nkv_lmcache *lm = chunks_of(client, NKV_LMCACHE_HASH_TAG, 800);
    t_items list = chunks_new("m@1@0@ff", LEN);
    static char name[T_LM_NAME_MAX], number[16];
    t_arg arg = t_lm_name(NKV_LMCACHE_HASH_TAG, NKV_LMCACHE_PAYLOAD, list.items[3].key, name);
    (void)snprintf(number, sizeof number, "%d", t_cluster_slot(arg.bytes, arg.len));
    for (int i = 0; i < 3; i++) {
        t_ctl_ok(t_cluster_ctl(cluster, i), "CLUSTER", "DELSLOTS", number);
    }
    nkv_call call;
    nkv_call_init(&call);
    cr_expect_lt(nkv_lmcache_put(lm, list.items, CHUNKS, &call), 0);
    cr_expect(strstr(call.error.text, "CLUSTERDOWN") != NULL, "%s", call.error.text);
    for (size_t i = 0; i < CHUNKS; i++) {
        cr_expect_eq(list.items[i].status, i == 3 ? NKV_EREPLY : NKV_OK, "chunk %zu: %s", i,
                     nkv_status_text(list.items[i].status));
    }
    t_items_bufs(&list, LEN);
    cr_expect_lt(nkv_lmcache_get(lm, list.items, CHUNKS, &call), 0);
    for (size_t i = 0; i < CHUNKS; i++) {
        cr_expect(i == 3 ? list.items[i].status < 0 : t_item_has(&list, i), "chunk %zu", i);
    }
    t_items_free(&list);
    nkv_lmcache_destroy(lm);
    nkv_client_destroy(client);
    t_cluster_stop(cluster);
}

/* ---- while things change --------------------------------------------------------------------- */

typedef struct loader {
    nkv_lmcache *lm;
    _Atomic bool over;
    _Atomic int rounds, failures, wrong;
    char first[256];
} loader;

static void load_round(loader *self, int round)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof prefix, "r%d@", round % 4);
    t_items list = chunks_new(prefix, LEN);
    nkv_call call;
    nkv_call_init(&call);
    bool fine = nkv_lmcache_put(self->lm, list.items, CHUNKS, &call) == NKV_OK;
    t_items_bufs(&list, LEN);
    fine = fine && nkv_lmcache_get(self->lm, list.items, CHUNKS, &call) == NKV_OK;
    if (!fine && atomic_fetch_add(&self->failures, 1) == 0) {
        (void)snprintf(self->first, sizeof self->first, "%s", call.error.text);
    }
    for (size_t i = 0; i < CHUNKS; i++) { /* what is there is what was put, whole */
        atomic_fetch_add(&self->wrong, list.items[i].status == NKV_OK && !t_item_has(&list, i));
    }
    t_items_free(&list);
}

static void *load_main(void *arg)
{
    loader *self = arg;
    while (!atomic_load(&self->over)) {
        load_round(self, atomic_fetch_add(&self->rounds, 1));
    }
    return NULL;
}

T_LIVE_TOPOLOGY(lmcache_topologies, case_19_chunks_while_a_cluster_changes)
{
    t_cluster *cluster =
        t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1, .node_timeout_ms = 1000});
    nkv_client *client = client_of(t_cluster_url(cluster), 20000);
    loader load = {.lm = chunks_of(client, NKV_LMCACHE_HASH_TAG, 20000)};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, load_main, &load), 0);
    t_cluster_reshard(cluster, 0, 1, 200);
    t_cluster_failover(cluster, 3);
    t_cluster_kill(cluster, 1);
    (void)t_cluster_wait_takeover(cluster, 1);
    int seen = atomic_load(&load.rounds);
    for (int i = 0; i < 200 && atomic_load(&load.rounds) < seen + 5; i++) {
        t_sleep_ms(20);
    }
    cr_expect_geq(atomic_load(&load.rounds), seen + 5);
    atomic_store(&load.over, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(load.failures, 0, "%d of %d: %s", load.failures, load.rounds, load.first);
    cr_expect_eq(load.wrong, 0);
    nkv_lmcache_destroy(load.lm);
    nkv_client_destroy(client);
    t_cluster_stop(cluster);
}

T_LIVE_TOPOLOGY(lmcache_topologies, case_18_chunks_behind_sentinels)
{
    t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
    char *url = strdup(t_sentinels_url(all));
    *strrchr(url, '/') = '\0'; /* the service is redismaster by default */
    nkv_client *client = client_of(url, 20000);
    nkv_lmcache *lm = chunks_of(client, NKV_LMCACHE_PLAIN_SUFFIX, 20000);
    t_items list = chunks_new("m@1@0@ff", LEN);
    cr_assert_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
    cr_expect_eq(t_ctl_int(t_sentinels_ctl(all, 0), "DBSIZE"), 2 * CHUNKS, "on the primary");
    cr_expect_eq(nkv_lmcache_remove(lm, list.items, 2, NULL), NKV_OK);
    cr_expect_eq(t_ctl_int(t_sentinels_ctl(all, 0), "DBSIZE"), 2 * CHUNKS - 4);
    t_items_values(&list, LEN);
    cr_assert_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
    t_sentinels_wait_replicated(all, 5000);
    int now = t_sentinels_failover(all);
    expect_all(lm, &list, "after a failover");
    t_items_values(&list, LEN);
    cr_expect_eq(nkv_lmcache_put(lm, list.items, CHUNKS, NULL), NKV_OK);
    cr_expect_eq(nkv_lmcache_remove(lm, list.items, CHUNKS, NULL), NKV_OK);
    cr_expect_eq(t_ctl_int(t_sentinels_ctl(all, now), "DBSIZE"), 0);
    t_items_free(&list);
    nkv_lmcache_destroy(lm);
    nkv_client_destroy(client);
    free(url);
    t_sentinels_stop(all);
}
