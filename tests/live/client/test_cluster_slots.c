/* tests/live/client/test_cluster_slots.c - hash slots that move under a client; the acceptance
 * cases 63, 81 to 86, 95 and 96, on one cluster. */

#include <stdlib.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

enum { MAX_AGE_MS = 400 };

typedef struct rig {
    t_cluster *cluster;
    nkv_client *client;
    int slot, from, to; /* from holds the slot */
    char key[T_CLUSTER_KEY_MAX];
} rig;

static rig rig_open(const char *kind)
{
    rig r = {.cluster = t_cluster_start(&(t_cluster_options){.kind = kind})};
    nkv_options options = t_near_options(t_cluster_url(r.cluster));
    options.topology_max_age_ms = MAX_AGE_MS;
    r.client = t_near_open(&options);
    return r;
}

static void rig_close(rig *r)
{
    nkv_client_destroy(r->client);
    t_cluster_stop(r->cluster);
}

/* Takes another slot of node 0 for what follows, and a node that it may go to. */
static void next_slot(rig *r)
{
    r->slot = r->slot == 0 ? 100 : r->slot + 1;
    r->from = t_cluster_owner(r->cluster, r->slot);
    r->to = (r->from + 1) % 3;
    t_cluster_key(r->slot, r->key);
}

/* Whatever a node has to tell has been told within this. */
static void wait_max_age(void)
{
    t_sleep_ms(MAX_AGE_MS + 100);
}

static void case_81_a_key_that_migrates(rig *r)
{
    next_slot(r);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->from), "SET", r->key, "v");
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_CACHE, "v"));
    t_cluster_migrate_slot(r->cluster, r->slot, r->to);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->to), "SET", r->key, "w");
    t_near_sync(r->client);
    wait_max_age();
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "w"));
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_CACHE, "w"));
}

/* Reads, and gets nothing but hits, until the key is there. */
static void await_news(const rig *r, const char *text)
{
    int64_t begin_ns = t_now_ns();
    t_answer answer = t_near_get(r->client, r->key);
    while (answer.from == NKV_FROM_CACHE && strcmp(answer.text, text) != 0) {
        cr_assert_lt(t_now_ns() - begin_ns, (MAX_AGE_MS + 100) * INT64_C(1000000));
        answer = t_near_get(r->client, r->key);
    }
    cr_assert_str_eq(answer.text, text);
}

/* A slot stays half moved for as long as somebody likes. */
static void case_82_a_missing_key_whose_slot_is_being_migrated(rig *r)
{
    next_slot(r);
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_CACHE, "_"));
    t_cluster_migrate_begin(r->cluster, r->slot, r->to);
    t_ctl *target = t_cluster_ctl(r->cluster, r->to);
    t_ctl_ok(target, "ASKING");
    t_ctl_ok(target, "SET", r->key, "new");
    await_news(r, "new");
    t_cluster_migrate_end(r->cluster);
}

/* Nothing but hits: nobody tells that the missing key has moved. */
static void case_82_a_missing_key_that_migrates(rig *r)
{
    next_slot(r);
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_CACHE, "_"));
    t_cluster_migrate_slot(r->cluster, r->slot, r->to);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->to), "SET", r->key, "new");
    await_news(r, "new");
}

static void case_83_reassigned_without_migrating(rig *r)
{
    next_slot(r);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->from), "SET", r->key, "v");
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "v"));
    t_cluster_reassign_slot(r->cluster, r->slot, r->to);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->to), "SET", r->key, "w");
    wait_max_age();
    cr_assert_str_eq(t_near_get(r->client, r->key).text, "w");
}

static void case_84_a_slot_that_returns(rig *r)
{
    next_slot(r);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->from), "SET", r->key, "v");
    cr_assert_str_eq(t_near_get(r->client, r->key).text, "v");
    t_cluster_migrate_slot(r->cluster, r->slot, r->to);
    t_ctl_ok(t_cluster_ctl(r->cluster, r->to), "SET", r->key, "w");
    t_cluster_migrate_slot(r->cluster, r->slot, r->from);
    t_near_sync(r->client);
    wait_max_age();
    cr_assert_str_eq(t_near_get(r->client, r->key).text, "w");
}

static void case_85_only_the_slot_that_moved(rig *r)
{
    char others[20][T_CLUSTER_KEY_MAX];
    next_slot(r);
    for (int i = 0; i < 20; i++) {
        t_cluster_key(r->slot + 100 + i, others[i]);
        t_ctl_ok(t_cluster_ctl(r->cluster, r->from), "SET", others[i], "v");
        cr_assert(t_is(t_near_get(r->client, others[i]), NKV_FROM_SERVER, "v"));
    }
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "_"));
    t_cluster_migrate_slot(r->cluster, r->slot, r->to);
    cr_assert_eq(t_near_set(r->client, r->key, "w"), NKV_OK); /* MOVED */
    for (int i = 0; i < 20; i++) {
        cr_assert(t_is(t_near_get(r->client, others[i]), NKV_FROM_CACHE, "v"));
    }
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "w"));
}

static void case_86_an_answer_behind_asking(rig *r)
{
    char tagged[T_CLUSTER_KEY_MAX + 4];
    next_slot(r);
    (void)snprintf(tagged, sizeof tagged, "{%s}2", r->key);
    t_cluster_migrate_begin(r->cluster, r->slot, r->to);
    for (int i = 0; i < 3; i++) { /* missing at the source: ASK, and never from the cache */
        cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "_"));
    }
    cr_assert_eq(t_near_set(r->client, r->key, "asked"), NKV_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_SERVER, "asked"));
    }
    /* Case 96: of two keys one is there, one has gone, and nothing of it is kept. */
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 300;
    t_answer answer = t_near_with(r->client, &call, "SUNION", r->key, tagged);
    cr_assert_eq(answer.status, NKV_EREPLY);
    cr_assert_eq(strncmp(answer.error.text, "TRYAGAIN", 8), 0, "%s", answer.error.text);
    t_cluster_migrate_end(r->cluster);
    cr_assert_str_eq(t_near_get(r->client, r->key).text, "asked");
    cr_assert(t_is(t_near_get(r->client, r->key), NKV_FROM_CACHE, "asked"));
}

static void case_95_and_96_a_batch_over_all_nodes(rig *r)
{
    enum { KEYS = 60, EACH = 2 };
    char names[KEYS][T_CLUSTER_KEY_MAX], value[16];
    nkv_str keys[KEYS * EACH];
    nkv_result results[KEYS * EACH];
    for (int i = 0; i < KEYS; i++) {
        t_cluster_key(i * 273, names[i]);
    }
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        if (i % 3 != 0) {
            cr_assert_eq(t_near_set(r->client, names[i], value), NKV_OK);
        }
        keys[i] = nkv_cstr(names[i]);
        keys[KEYS + i] = nkv_cstr(names[KEYS - 1 - i]); /* once more, the other way round */
        if (i % 5 == 0) {
            (void)t_near_get(r->client, names[i]); /* partial hits */
        }
    }
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(nkv_mget(r->client, keys, (size_t)KEYS * EACH, NULL, results), NKV_OK);
        for (int i = 0; i < KEYS * EACH; i++) {
            int number = i < KEYS ? i : 2 * KEYS - 1 - i;
            (void)snprintf(value, sizeof value, "%d", number);
            if (number % 3 == 0) {
                cr_assert_eq(results[i].status, NKV_NOT_FOUND);
            } else {
                nkv_str got = nkv_value_str(results[i].value);
                cr_assert(got.len == strlen(value) && memcmp(got.data, value, got.len) == 0);
            }
            cr_assert(round == 0 || results[i].from == NKV_FROM_CACHE);
            nkv_value_release(results[i].value);
        }
    }
    t_answer crossed = t_near(r->client, "SUNION", names[0], names[1]);
    cr_assert_eq(crossed.status, NKV_EREPLY);
    cr_assert_eq(strncmp(crossed.error.text, "CROSSSLOT", 9), 0, "%s", crossed.error.text);
    int64_t removed = 0;
    cr_assert_eq(nkv_del(r->client, keys, KEYS, NULL, &removed), NKV_OK);
    cr_assert_eq(removed, KEYS - KEYS / 3);
}

/* A slot that is being migrated has lost some of its keys and kept others. */
static void case_54_a_barrier_while_a_slot_is_being_migrated(rig *r)
{
    char names[2][T_CLUSTER_KEY_MAX + 16];
    nkv_str keys[2];
    nkv_result results[2];
    nkv_call call;
    next_slot(r);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(names[i], sizeof names[i], "{%s}%d", r->key, i);
        keys[i] = nkv_cstr(names[i]);
    }
    t_ctl_ok(t_cluster_ctl(r->cluster, r->from), "SET", names[0], "stays");
    cr_assert_str_eq(t_near_get(r->client, names[0]).text, "stays");
    cr_assert(t_is(t_near_get(r->client, names[1]), NKV_FROM_SERVER, "_"));
    t_cluster_migrate_begin(r->cluster, r->slot, r->to);
    t_ctl *target = t_cluster_ctl(r->cluster, r->to);
    t_ctl_ok(target, "ASKING");
    t_ctl_ok(target, "SET", names[1], "new");
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    cr_assert_eq(nkv_mget(r->client, keys, 2, &call, results), NKV_OK);
    cr_assert_eq(nkv_value_str(results[0].value).len, 5);
    cr_assert_eq(nkv_value_str(results[1].value).len, 3);
    nkv_value_release(results[0].value);
    nkv_value_release(results[1].value);
    t_cluster_migrate_keys(r->cluster);
    t_cluster_migrate_end(r->cluster);
}

/* Scripts go where their keys are, and are executed once. */
static void scripts_of_every_node(rig *r)
{
    static const char *const once =
        "redis.call('INCR', KEYS[1]); return redis.error_reply('TRYAGAIN busy')";
    char key[T_CLUSTER_KEY_MAX];
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 500;
    for (int slot = 500; slot < T_CLUSTER_SLOTS; slot += 3000) {
        t_cluster_key(slot, key);
        const char *set = "return redis.call('SET', KEYS[1], ARGV[1])";
        cr_assert(t_says(t_near(r->client, "EVAL", set, "1", key, "0"), "+OK"));
        cr_assert_str_eq(t_near_get(r->client, key).text, "0");
        t_answer answer = t_near_with(r->client, &call, "EVAL", once, "1", key);
        cr_assert_eq(answer.status, NKV_EREPLY);
        cr_assert_str_eq(t_near_get(r->client, key).text, "1");
    }
    const nkv_str argv[] = {nkv_cstr("EVAL"), nkv_cstr("return redis.call('INCR', KEYS[1])"),
                            nkv_cstr("1"), nkv_cstr(key)};
    const nkv_argv commands[] = {{4, argv}, {4, argv}};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(r->client, commands, 2, NULL, &value), NKV_OK);
    nkv_value_release(value);
    cr_assert_str_eq(t_near_get(r->client, key).text, "3");
    cr_assert(t_says(t_near(r->client, "EVAL", "return 7", "0"), ":7"));
}

/* Commands without a key mean all nodes. */
static void commands_of_the_whole_cluster(rig *r)
{
    enum { KEYS = 300 };
    bool seen[KEYS] = {false};
    char name[24], cursor[24] = "0";
    int scanned = 0;
    cr_assert(t_says(t_near(r->client, "FLUSHALL"), "+OK"));
    cr_assert(t_says(t_near(r->client, "DBSIZE"), ":0"));
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(name, sizeof name, "scan:%d", i);
        cr_assert_eq(t_near_set(r->client, name, "v"), NKV_OK);
    }
    cr_assert(t_says(t_near(r->client, "DBSIZE"), ":300"));
    do {
        const nkv_str argv[] = {nkv_cstr("SCAN"), nkv_cstr(cursor), nkv_cstr("COUNT"),
                                nkv_cstr("20")};
        nkv_value *value = NULL;
        cr_assert_eq(nkv_command(r->client, 4, argv, NULL, &value), NKV_OK);
        nkv_reply reply = nkv_value_reply(value);
        (void)snprintf(cursor, sizeof cursor, "%s", reply.element[0].str);
        for (size_t i = 0; i < reply.element[1].elements; i++) {
            const char *text = reply.element[1].element[i].str;
            long number = strtol(text + strlen("scan:"), NULL, 10);
            scanned += !seen[number];
            seen[number] = true;
        }
        nkv_value_release(value);
    } while (strcmp(cursor, "0") != 0);
    cr_assert_eq(scanned, KEYS);
    cr_assert_eq(t_near(r->client, "SCAN", "x").status, NKV_EINVAL);
    cr_assert_eq(t_near(r->client, "SCAN", "18014398509481984000").status, NKV_EINVAL);
}

/* Case 63 on every node: a user who may not track works, uncached, and is told why. */
static void case_63_tracking_refused(const rig *r)
{
    for (int i = 0; i < 3; i++) {
        t_ctl_ok(t_cluster_ctl(r->cluster, i), "ACL", "SETUSER", "ann", "on", ">pw", "+@all", "~*",
                 "&*", "-client|tracking");
    }
    t_events *events = t_events_new();
    nkv_options options = t_near_options(t_cluster_url(r->cluster));
    options.username = "ann";
    options.password = "pw";
    options.on_event = t_events_take;
    options.on_event_ud = events;
    nkv_client *client = t_near_start(&options);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_ENOTSUP);
    for (int slot = 1000; slot < T_CLUSTER_SLOTS; slot += 4000) {
        char key[T_CLUSTER_KEY_MAX];
        t_cluster_key(slot, key);
        cr_assert_eq(t_near_set(client, key, "v"), NKV_OK);
        for (int i = 0; i < 2; i++) {
            cr_assert(t_is(t_near_get(client, key), NKV_FROM_SERVER, "v"));
        }
    }
    cr_assert_geq(t_near_stats(client).bypass[NKV_BYPASS_UNTRACKED], 8);
    T_WAIT_UNTIL(t_events_of(events, NKV_EVENT_DISARMED) >= 3, 5000);
    nkv_client_destroy(client);
    t_events_free(events);
}

T_LIVE_TOPOLOGY(cluster_slots, g_cases_81_to_86_95_96)
{
    rig r = rig_open(kind);
    case_81_a_key_that_migrates(&r);
    case_82_a_missing_key_that_migrates(&r);
    case_82_a_missing_key_whose_slot_is_being_migrated(&r);
    case_83_reassigned_without_migrating(&r);
    case_84_a_slot_that_returns(&r);
    case_85_only_the_slot_that_moved(&r);
    case_86_an_answer_behind_asking(&r);
    case_95_and_96_a_batch_over_all_nodes(&r);
    case_54_a_barrier_while_a_slot_is_being_migrated(&r);
    case_63_tracking_refused(&r);
    scripts_of_every_node(&r);
    commands_of_the_whole_cluster(&r);
    rig_close(&r);
}
