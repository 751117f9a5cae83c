/* tests/live/kv/test_kv_cluster.c - the key-value handle on a cluster: everything that it does on
 * one server, and clearing while slots move. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"
#include "support/live.h"

T_LIVE_TOPOLOGY(kv_cluster, everything)
{
    static void (*const scenarios[])(const place *at) = {kv_reads_and_writes,
                                                         kv_reads_are_local_until_somebody_writes,
                                                         kv_times_to_live,
                                                         kv_conditions,
                                                         kv_many_keys,
                                                         kv_any_bytes,
                                                         kv_a_wrong_type_is_an_error,
                                                         kv_codecs,
                                                         kv_one_item_fails,
                                                         kv_closed,
                                                         kv_counters,
                                                         kv_clear_is_exact,
                                                         kv_clear_many,
                                                         kv_clear_can_be_ended,
                                                         kv_count,
                                                         kv_tags,
                                                         kv_tags_of_many_keys,
                                                         kv_tags_go_on_where_they_were,
                                                         kv_tags_are_tidied,
                                                         kv_tags_are_listed,
                                                         kv_tags_of_large_values,
                                                         kv_computes_once,
                                                         kv_computing_fails,
                                                         kv_stale_while_computed_anew,
                                                         kv_what_was_set_is_fresh,
                                                         kv_a_write_outdates_what_is_computed,
                                                         kv_computing_in_itself,
                                                         kv_clear_without_prefix};
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    const place at = {.url = t_cluster_url(cluster), .cluster = cluster};
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        scenarios[i](&at);
    }
    /* A prefix with which a tag's keys would not be in one slot. */
    nkv_kv *kv = place_open(&at, "a{}:");
    nkv_kv_set_options how;
    const nkv_str tag = nkv_cstr("t");
    nkv_kv_set_options_init(&how);
    how.tags = &tag;
    how.tags_len = 1;
    cr_expect_eq(nkv_kv_set(kv, nkv_cstr("k"), nkv_cstr("v"), &how, NULL), NKV_EINVAL);
    cr_expect_eq(nkv_kv_invalidate_tag(kv, tag, NULL, NULL), NKV_EINVAL);
    nkv_kv_destroy(kv);
    t_cluster_stop(cluster);
}

typedef struct clearing {
    nkv_kv *kv;
    nkv_status status;
    nkv_error error;
    int64_t removed;
    _Atomic int64_t scanned;
    _Atomic bool done;
} clearing;

static int slow_down(const nkv_kv_progress *progress, void *ud)
{
    clearing *self = ud;
    atomic_store(&self->scanned, progress->scanned);
    return 0;
}

static void *clear(void *ud)
{
    clearing *self = ud;
    nkv_kv_clear_options options;
    nkv_kv_clear_options_init(&options);
    options.page = 20;
    options.pause_ms = 2;
    options.timeout_ms = 60000;
    options.progress = slow_down;
    options.ud = self;
    self->status = nkv_kv_clear(self->kv, &options, &self->error, &self->removed);
    atomic_store(&self->done, true);
    return NULL;
}

/* Slots move back and forth under the scan, the keys of one are on their way all the time: every
 * key that was there when it began is gone in the end. */
T_LIVE_TOPOLOGY(kv_cluster, clear_while_slots_move)
{
    enum { N = 6000 };
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind});
    const place at = {.url = t_cluster_url(cluster), .cluster = cluster};
    clearing job = {.kv = place_open(&at, "move:")};
    pthread_t thread;
    int64_t left;
    for (int i = 0; i < N; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "move:%d", i);
        place_put(&at, key, "v");
    }
    int slot = t_cluster_slot("move:17", 7), from = t_cluster_owner(cluster, slot);
    t_cluster_migrate_begin(cluster, slot, (from + 1) % 3);
    t_cluster_migrate_keys(cluster);
    T_REQUIRE(pthread_create(&thread, NULL, clear, &job) == 0);
    T_WAIT_UNTIL(atomic_load(&job.scanned) > 0, 5000);
    t_cluster_migrate_end(cluster);
    static const int ways[][2] = {{0, 1}, {2, 0}, {2, 1}}; /* no slot goes twice */
    for (int i = 0; i < 3 && !atomic_load(&job.done); i++) {
        t_cluster_reshard(cluster, ways[i][0], ways[i][1], 400);
    }
    T_REQUIRE(pthread_join(thread, NULL) == 0);
    cr_expect_eq(job.status, NKV_OK, "%s", job.error.text);
    cr_expect_eq(job.removed, N);
    cr_expect_eq(place_dbsize(&at), 0);
    cr_expect_eq(nkv_kv_count(job.kv, NULL, &job.error, &left), NKV_OK);
    cr_expect_eq(left, 0);
    nkv_kv_destroy(job.kv);
    t_cluster_stop(cluster);
}

/* A node goes in the midst of it, and its replica has the keys. */
T_LIVE_TOPOLOGY(kv_cluster, clear_during_a_failover)
{
    enum { N = 3000 };
    t_cluster *cluster = t_cluster_start(&(t_cluster_options){.kind = kind, .replicas = 1});
    const place at = {.url = t_cluster_url(cluster), .cluster = cluster};
    clearing job = {.kv = place_open(&at, "fo:")};
    pthread_t thread;
    for (int i = 0; i < N; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "fo:%d", i);
        place_put(&at, key, "v");
    }
    t_cluster_wait_replicated(cluster, 5000);
    T_REQUIRE(pthread_create(&thread, NULL, clear, &job) == 0);
    T_WAIT_UNTIL(atomic_load(&job.scanned) > 0, 5000);
    t_cluster_failover(cluster, 3);
    T_REQUIRE(pthread_join(thread, NULL) == 0);
    cr_expect_eq(job.status, NKV_OK, "%s", job.error.text);
    cr_expect_eq(place_dbsize(&at), 0);
    nkv_kv_destroy(job.kv);
    t_cluster_stop(cluster);
}
