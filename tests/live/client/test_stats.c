/* tests/live/client/test_stats.c - the numbers: the acceptance cases 102 and 103.                */

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "live/client/prometheus.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

/* ---- Case 102: reads = hits + misses + coalesced + bypasses + failures ----------------------- */

/* Reads of every kind, as they come, some of which fail. Returns how many keys were asked for.   */
static uint64_t read_at_random(nkv_client *client, t_rng *rng, int rounds)
{
    uint64_t asked = 0;
    for (int i = 0; i < rounds; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", (int)t_rng_below(rng, 40));
        nkv_call call;
        nkv_call_init(&call);
        call.level = (nkv_level)t_rng_below(rng, 4);
        call.no_cache = t_rng_below(rng, 10) == 0;
        nkv_str keys[5] = {nkv_cstr(key), nkv_cstr("k1"), nkv_cstr("k2"), nkv_cstr("p:1"),
                           nkv_cstr(key)};
        nkv_result results[5];
        size_t prefix = 0;
        switch (t_rng_below(rng, 8)) {
        case 0:
            cr_assert_eq(nkv_mget(client, keys, 5, &call, results), NKV_OK);
            for (int k = 0; k < 5; k++) {
                nkv_value_release(results[k].value);
            }
            asked += 5;
            break;
        case 1:
            cr_assert_eq(nkv_exists(client, keys, 5, &call, results), NKV_OK);
            asked += 5;
            break;
        case 2:
            cr_assert_eq(nkv_prefix(client, keys, 1, &call, &prefix, NULL), NKV_OK);
            asked += 1;
            break;
        case 3:
            asked += t_near_with(client, &call, "STRLEN", key).from <= NKV_FROM_LOCAL;
            break;
        case 4:
            asked += t_near_with(client, &call, "TTL", key).from <= NKV_FROM_LOCAL;
            break;
        case 5:
            asked += t_near_with(client, &call, "HGET", key, "f").from <= NKV_FROM_LOCAL;
            break;
        case 6:
            (void)t_near_set(client, key, "v");
            break;
        default:
            asked += t_near_get_with(client, key, &call).from <= NKV_FROM_LOCAL;
            break;
        }
    }
    return asked;
}

typedef struct worker {
    pthread_t thread;
    nkv_client *client;
    uint64_t seed;
    uint64_t asked;
} worker;

static void *work(void *ud)
{
    worker *w = ud;
    t_rng rng;
    t_rng_init(&rng, w->seed);
    w->asked = read_at_random(w->client, &rng, 1500);
    return NULL;
}

T_LIVE(client_stats, case_102_identity_over_random_reads_of_four_threads)
{
    t_ctl *ctl = t_ctl_open(server);
    static const char *const prefixes[] = {"k"};
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.prefixes = prefixes;
    options.prefixes_len = 1;
    options.cache_options.keys_max = 30;
    options.cache_options.confidence = 80;
    nkv_client *client = t_near_open(&options);
    worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.client = client, .seed = t_run_seed() + (uint64_t)i};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    uint64_t asked = 0;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(workers[i].thread, NULL), 0);
        asked += workers[i].asked;
    }
    cr_assert(t_near_identity(client));
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.reads, asked, "%llu reads counted, %llu asked for",
                 (unsigned long long)stats.reads, (unsigned long long)asked);
    cr_assert_gt(stats.hits, 0);
    cr_assert_gt(stats.failures, 0, "HGET on strings fails");
    cr_assert_gt(stats.bypass[NKV_BYPASS_DISABLED], 0);
    cr_assert_gt(stats.bypass[NKV_BYPASS_FILTERED], 0);
    cr_assert_gt(stats.bypass[NKV_BYPASS_NOT_CACHEABLE], 0);
    cr_assert_eq(stats.inflight, 0);
    cr_assert_leq(stats.cache.keys, 30);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_stats, stats_want_their_size)
{
    nkv_client *client = t_near_open_on(server);
    nkv_stats stats = {.struct_size = 0};
    cr_assert_eq(nkv_client_stats(client, &stats), NKV_EINVAL);
    /* A program built against an older, smaller struct gets what fits and nothing behind it. */
    unsigned char older[sizeof(nkv_stats)];
    memset(older, 0xaa, sizeof older);
    const size_t size = offsetof(nkv_stats, failures);
    memcpy(older, &size, sizeof size);
    cr_assert_eq(nkv_client_stats(client, (nkv_stats *)(void *)older), NKV_OK);
    for (size_t i = size; i < sizeof older; i++) {
        cr_assert_eq(older[i], 0xaa, "byte %zu behind the caller's struct was written", i);
    }
    nkv_client_destroy(client);
}

/* ---- Case 103: texts ------------------------------------------------------------------------- */

/* The reader itself can say no. */
Test(client_stats, case_103_the_reader_is_strict)
{
    static const char *const wrong[] = {
        "",
        "a 1\n",
        "# TYPE a counter\na 1",
        "# TYPE a counter\na x\n",
        "# TYPE a countess\na 1\n",
        "# TYPE a counter\n# TYPE a counter\na 1\n",
        "# TYPE a counter\na 1\na 2\n",
        "# TYPE a counter\na 1\n# TYPE b gauge\nb 1\na{x=\"1\"} 1\n",
        "# TYPE a counter\na{x=1} 1\n",
        "# TYPE a counter\na{x=\"\\q\"} 1\n",
        "# TYPE a counter\na{x=\"1} 1\n",
        "# TYPE a counter\n",
        "# TYPE 1a counter\n1a 1\n",
        "# TYPE a counter\na  1\n",
        "# TYPE a counter\n\na 1\n",
    };
    char why[200];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_not(t_prometheus_check(wrong[i], why), "let pass: %s", wrong[i]);
        cr_assert_neq(why[0], '\0');
    }
    cr_assert(t_prometheus_check("# HELP a words\n# TYPE a counter\na{x=\"\\\"\",y=\"\"} 1\n"
                                 "a{x=\"b\"} 2.5e3\n# TYPE b gauge\nb NaN\n",
                                 why),
              "%s", why);
    int count = 0;
    cr_assert_float_eq(
        t_prometheus_sum("# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 4\nab 9\n", "a", NULL, &count),
        5, 1e-9);
    cr_assert_eq(count, 2);
}

static char *text_of(nkv_client *client, nkv_format format, bool health)
{
    char *text = NULL;
    size_t len = 0;
    cr_assert_eq(health ? nkv_client_health_text(client, format, &text, &len)
                        : nkv_client_stats_text(client, format, &text, &len),
                 NKV_OK);
    cr_assert_eq(strlen(text), len);
    return text;
}

T_LIVE(client_stats, case_103_prometheus_text_parses_and_tells_the_same)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    for (int i = 0; i < 7; i++) {
        (void)t_near_get(client, "k");
        (void)t_near(client, "TTL", "k");
    }
    char *text = text_of(client, NKV_FORMAT_PROMETHEUS, false);
    char why[200];
    cr_assert(t_prometheus_check(text, why), "%s in\n%s", why, text);
    static const struct {
        const char *part;
        double value;
    } wanted[] = {{"hits", 6}, {"misses", 1}, {"reads", 14}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        bool found = false;
        /* Every metric begins with nearkv_ and counters end with _total. */
        char metric[64];
        (void)snprintf(metric, sizeof metric, "nearkv_%s_total", wanted[i].part);
        int count = 0;
        const double value = t_prometheus_sum(text, metric, NULL, &count);
        found = count == 1;
        cr_assert(found, "no %s in\n%s", metric, text);
        cr_assert_float_eq(value, wanted[i].value, 1e-9, "%s is %g", metric, value);
    }
    int count = 0;
    char label[64];
    (void)snprintf(label, sizeof label, "\"%s\"", nkv_bypass_name(NKV_BYPASS_NOT_CACHEABLE));
    cr_assert_float_eq(t_prometheus_sum(text, "nearkv_bypass_total", label, &count), 7, 1e-9);
    cr_assert_eq(count, 1, "%s", text);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        cr_assert(*line == '\0' || *line == '#' || strncmp(line, "nearkv_", 7) == 0, "%.40s", line);
        if (*line == '\0') {
            break;
        }
    }
    nkv_free(text);
    text = text_of(client, NKV_FORMAT_PROMETHEUS, true);
    cr_assert(t_prometheus_check(text, why), "%s in\n%s", why, text);
    nkv_free(text);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* An address may hold what a label must escape. */
T_LIVE_PRIVATE(client_stats, case_103_prometheus_escapes_addresses)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    char *odd = t_format("%s/a\"b\\c.sock", t_server_dir(server));
    T_REQUIRE(link(t_server_path(server), odd) == 0);
    char *url = t_format("unix://%s/a%%22b%%5Cc.sock", t_server_dir(server));
    const nkv_options options = t_near_options(url);
    nkv_client *client = t_near_open(&options);
    char why[200];
    for (int i = 0; i < 2; i++) {
        char *text = text_of(client, NKV_FORMAT_PROMETHEUS, i == 1);
        cr_assert(t_prometheus_check(text, why), "%s in\n%s", why, text);
        nkv_free(text);
        text = text_of(client, NKV_FORMAT_JSON, i == 1);
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(json, "%s", text);
        json_decref(json);
        nkv_free(text);
    }
    nkv_client_destroy(client);
    free(url);
    free(odd);
    t_server_stop(server);
}

T_LIVE(client_stats, case_103_json_parses_and_tells_the_same)
{
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 5; i++) {
        (void)t_near_get(client, "k");
    }
    char *text = text_of(client, NKV_FORMAT_JSON, false);
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json, "%s in %s", error.text, text);
    cr_assert_eq(json_integer_value(json_object_get(json, "hits")), 4);
    cr_assert_eq(json_integer_value(json_object_get(json, "misses")), 1);
    json_t *bypass = json_object_get(json, "bypass");
    cr_assert(json_is_object(bypass), "%s", text);
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        cr_assert(json_is_integer(json_object_get(bypass, nkv_bypass_name((nkv_bypass)i))), "%s",
                  nkv_bypass_name((nkv_bypass)i));
    }
    static const char *const fields[] = {"invalidations", "dirty", "evictions",
                                         "coalesced",     "keys",  "bytes"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        cr_assert(json_is_integer(json_object_get(json, fields[i])), "no %s in %s", fields[i],
                  text);
    }
    json_decref(json);
    nkv_free(text);

    text = text_of(client, NKV_FORMAT_JSON, true);
    json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json, "%s in %s", error.text, text);
    cr_assert(json_is_true(json_object_get(json, "healthy")), "%s", text);
    cr_assert(json_is_number(json_object_get(json, "confidence")), "%s", text);
    json_t *node = json_array_get(json_object_get(json, "nodes"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(node, "state")), "armed");
    cr_assert_gt(json_integer_value(json_object_get(node, "client_id")), 0);
    cr_assert(json_is_integer(json_object_get(node, "generation")));
    cr_assert(json_is_integer(json_object_get(node, "idle_ms")));
    cr_assert(json_is_string(json_object_get(node, "addr")));
    cr_assert_not_null(json_object_get(node, "tracking"));
    json_decref(json);
    nkv_free(text);
    char *none = NULL;
    size_t len = 0;
    cr_assert_eq(nkv_client_stats_text(client, (nkv_format)7, &none, &len), NKV_EINVAL);
    cr_assert_eq(nkv_client_health_text(client, (nkv_format)-1, &none, &len), NKV_EINVAL);
    nkv_client_destroy(client);
}

Test(client_stats, names_of_bypass_reasons)
{
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        cr_assert_not_null(nkv_bypass_name((nkv_bypass)i));
        for (int k = 0; k < i; k++) {
            cr_assert_str_neq(nkv_bypass_name((nkv_bypass)i), nkv_bypass_name((nkv_bypass)k));
        }
    }
    cr_assert_null(nkv_bypass_name(NKV_BYPASS_COUNT));
    cr_assert_null(nkv_bypass_name((nkv_bypass)-1));
}
