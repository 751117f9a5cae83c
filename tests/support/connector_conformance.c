/* support/connector_conformance.c - the checks, one function each.
 *
 * Reads that are to show what the table itself says ask it (no_cache); the others may be answered
 * from memory, as the table's vouching allows.
 *
 * Callers      tests of connectors; a user's own may copy these two files                        */

#include "support/connector_conformance.h"

#include <nearkv/nearkv.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

enum { SOON_MS = 10000, THREADS = 4, THREAD_ROUNDS = 60, MODEL_ROUNDS = 400, MODEL_KEYS = 12 };

typedef struct bench {
    const nkv_connector_kit *kit;
    nkv_connector table;
    nkv_client *client;
    char why[300];
} bench;

/* ---- Small things ---------------------------------------------------------------------------- */

static int64_t soon(const bench *b)
{
    return t_now_ms() + (b->kit->patience_ms > 0 ? b->kit->patience_ms : SOON_MS);
}

static bool want(bench *b, const char *what, long got, long wanted)
{
    if (got != wanted) {
        (void)snprintf(b->why, sizeof b->why, "%s: %ld instead of %ld", what, got, wanted);
    }
    return got == wanted;
}

static nkv_call asking(void)
{
    nkv_call call;
    nkv_call_init(&call);
    call.no_cache = 1;
    call.timeout_ms = SOON_MS;
    return call;
}

/* Whether the key has that value (NULL: is not there), as `call` finds it. */
static bool holds(bench *b, nkv_call *call, nkv_str key, const nkv_str *value)
{
    nkv_value *got = NULL;
    const nkv_status status = nkv_get(b->client, key, call, &got);
    const nkv_str bytes = got != NULL ? nkv_value_str(got) : nkv_cstr("");
    const bool same =
        value == NULL ? status == NKV_NOT_FOUND
                      : status == NKV_OK && bytes.len == value->len &&
                            (value->len == 0 || memcmp(bytes.data, value->data, value->len) == 0);
    if (!same) {
        (void)snprintf(b->why, sizeof b->why, "get of \"%.20s\": %s (%.60s), %zu bytes, not %zu",
                       key.data, nkv_status_text(status), status < 0 ? call->error.text : "",
                       bytes.len, value != NULL ? value->len : 0);
    }
    nkv_value_release(got);
    return same;
}

static bool is(bench *b, const char *key, const char *value)
{
    nkv_call call = asking();
    const nkv_str bytes = nkv_cstr(value);
    return holds(b, &call, nkv_cstr(key), value != NULL ? &bytes : NULL);
}

static bool put_bytes(bench *b, nkv_str key, nkv_str value)
{
    nkv_call call = asking();
    const nkv_status status = nkv_set(b->client, key, value, 0, &call);
    if (status != NKV_OK) {
        (void)snprintf(b->why, sizeof b->why, "put of \"%.20s\": %s (%.100s)", key.data,
                       nkv_status_text(status), call.error.text);
    }
    return status == NKV_OK;
}

static bool put(bench *b, const char *key, const char *value)
{
    return put_bytes(b, nkv_cstr(key), nkv_cstr(value));
}

/* How many of the keys remove() says were there; < 0: it failed. */
static long removed(bench *b, const nkv_str *keys, size_t n)
{
    int64_t count = 0;
    nkv_call call = asking();
    const nkv_status status = nkv_del(b->client, keys, n, &call, &count);
    return status == NKV_OK ? (long)count : (long)status;
}

static long exists(bench *b, nkv_str key)
{
    nkv_result result;
    nkv_call call = asking();
    (void)!nkv_exists(b->client, &key, 1, &call, &result);
    return result.status;
}

static bool writes(const bench *b)
{
    return b->table.put != NULL;
}

static bool vouches(bench *b)
{
    return b->table.open != NULL && nkv_client_wait_ready(b->client, SOON_MS, NULL) == NKV_OK;
}

/* ---- What is there --------------------------------------------------------------------------- */

static bool check_empty(bench *b)
{
    return is(b, "k", NULL) && is(b, "", NULL) &&
           want(b, "exists of nothing", exists(b, nkv_cstr("k")), NKV_NOT_FOUND);
}

static bool check_put_get(bench *b)
{
    return !writes(b) || (put(b, "k", "v") && is(b, "k", "v") && is(b, "other", NULL) &&
                          want(b, "exists", exists(b, nkv_cstr("k")), NKV_OK) && put(b, "k", "w") &&
                          is(b, "k", "w") && put(b, "k", "") && is(b, "k", "") &&
                          want(b, "exists of an empty value", exists(b, nkv_cstr("k")), NKV_OK));
}

static bool check_sizes(bench *b)
{
    static const size_t sizes[] = {0, 1, 63, 4095, 4096, 4097, 65535, 65536, 70001, 3000001};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    bool good = true;
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    char *bytes = malloc(sizes[SIZES - 1]);
    T_REQUIRE(bytes != NULL);
    t_rng_fill(&rng, bytes, sizes[SIZES - 1]);
    for (size_t i = 0; i < SIZES && good && writes(b); i++) {
        nkv_call call = asking();
        const nkv_str value = nkv_str_make(bytes, sizes[i]);
        char key[24];
        (void)snprintf(key, sizeof key, "size%zu", sizes[i]);
        good = put_bytes(b, nkv_cstr(key), value) && holds(b, &call, nkv_cstr(key), &value);
    }
    free(bytes);
    return good;
}

static bool check_keys(bench *b)
{
    static const char long_key[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *key;
        size_t len;
    } keys[] = {{"", 0},          {"a", 1},           {"A", 1},     {"a\0b", 3}, {"a\0c", 3},
                {"a/b", 3},       {"a%2Fb", 5},       {".", 1},     {"..", 2},   {"../a", 4},
                {".hidden", 7},   {"/", 1},           {"%", 1},     {"%00", 3},  {"\0", 1},
                {"\0\0", 2},      {"a b", 3},         {"a\r\n", 3}, {"\xff", 1}, {"\xc3\xa4", 2},
                {"chunk@7@0", 9}, {"a:metadata", 10}, {"a*", 2},    {"a?", 2},   {"-", 1},
                {long_key, 64},   {long_key, 63}};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    for (size_t i = 0; i < KEYS && writes(b); i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "value %zu", i);
        if (!put_bytes(b, nkv_str_make(keys[i].key, keys[i].len), nkv_cstr(value))) {
            return false;
        }
    }
    for (size_t i = 0; i < KEYS && writes(b); i++) {
        char value[16];
        nkv_call call = asking();
        (void)snprintf(value, sizeof value, "value %zu", i);
        const nkv_str bytes = nkv_cstr(value);
        if (!holds(b, &call, nkv_str_make(keys[i].key, keys[i].len), &bytes)) {
            return false;
        }
    }
    return true;
}

static bool check_remove(bench *b)
{
    if (!writes(b) || b->table.remove == NULL) {
        return true;
    }
    const nkv_str keys[] = {nkv_cstr("a"), nkv_cstr("no"), nkv_cstr("b")};
    return put(b, "a", "1") && put(b, "b", "2") && put(b, "c", "3") &&
           want(b, "remove of three keys, two of them there", removed(b, keys, 3), 2) &&
           is(b, "a", NULL) && is(b, "b", NULL) && is(b, "c", "3") &&
           want(b, "remove again", removed(b, keys, 3), 0) && put(b, "a", "4") && is(b, "a", "4");
}

enum { MANY = 100, MANY_NAMES = 90 }; /* ten come twice */

/* Of the many keys every third is left out. */
static bool many_is_there(const bench *b, int i)
{
    return writes(b) && i % MANY_NAMES % 3 != 0;
}

static bool check_many_value(bench *b, int i, nkv_str key, const nkv_result *result)
{
    const bool there = many_is_there(b, i);
    const nkv_str bytes = result->value != NULL ? nkv_value_str(result->value) : nkv_cstr("");
    const bool same = bytes.len == key.len && memcmp(bytes.data, key.data, key.len) == 0;
    return want(b, key.data, result->status, there ? NKV_OK : NKV_NOT_FOUND) &&
           (!there || want(b, key.data, same, 1));
}

static bool check_many(bench *b)
{
    char names[MANY][16];
    nkv_str keys[MANY];
    nkv_result results[MANY];
    nkv_call call = asking();
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "many%d", i % MANY_NAMES);
        keys[i] = nkv_cstr(names[i]);
        if (many_is_there(b, i) && i < MANY_NAMES && !put(b, names[i], names[i])) {
            return false;
        }
    }
    bool good = want(b, "mget", nkv_mget(b->client, keys, MANY, &call, results), NKV_OK);
    for (int i = 0; i < MANY; i++) {
        good = good && check_many_value(b, i, keys[i], &results[i]);
        nkv_value_release(results[i].value);
    }
    good = good && want(b, "exists", nkv_exists(b->client, keys, MANY, &call, results), NKV_OK);
    for (int i = 0; i < MANY && good; i++) {
        good = want(b, names[i], results[i].status, many_is_there(b, i) ? NKV_OK : NKV_NOT_FOUND);
    }
    return good;
}

/* A table that cannot expire says so; one that takes a ttl keeps it. */
static bool check_ttl(bench *b)
{
    nkv_call call = asking();
    if (!writes(b)) {
        return true;
    }
    const nkv_status status = nkv_set(b->client, nkv_cstr("t"), nkv_cstr("v"), 60, &call);
    if (status == NKV_ENOTSUP) {
        return is(b, "t", NULL);
    }
    const int64_t end_ms = soon(b);
    bool gone = false;
    while (!gone && t_now_ms() < end_ms) {
        gone = exists(b, nkv_cstr("t")) == NKV_NOT_FOUND;
    }
    return want(b, "put with a ttl", status, NKV_OK) && want(b, "it expires", gone, true) &&
           is(b, "t", NULL);
}

/* ---- Scans, pings ---------------------------------------------------------------------------- */

static nkv_status command(bench *b, const char *const *words, nkv_value **value)
{
    nkv_str argv[8];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = nkv_cstr(words[argc]);
    }
    return nkv_command(b->client, argc, argv, NULL, value);
}

/* How many keys a scan finds; < 0: it failed, or found one that does not begin so. */
static long scanned(bench *b, const char *prefix, const char *pattern)
{
    const char *const words[] = {"SCAN", "0", "MATCH", pattern, NULL};
    nkv_value *value = NULL;
    const nkv_status status = command(b, words, &value);
    long found = status < 0 ? (long)status : 0;
    if (status == NKV_OK) {
        const nkv_reply keys = nkv_value_reply(value).element[1];
        found = (long)keys.elements;
        for (size_t i = 0; i < keys.elements; i++) {
            const nkv_reply key = keys.element[i];
            if (key.len < strlen(prefix) || memcmp(key.str, prefix, strlen(prefix)) != 0) {
                found = -1000;
            }
        }
    }
    nkv_value_release(value);
    return found;
}

static bool check_scan(bench *b)
{
    if (!writes(b) || b->table.scan == NULL) {
        return true;
    }
    for (int i = 0; i < 50; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "%s%d", i % 2 == 0 ? "even/" : "odd/", i);
        if (!put(b, key, "")) {
            return false;
        }
    }
    return want(b, "scan of all", scanned(b, "", "*"), 50) &&
           want(b, "scan of a prefix", scanned(b, "odd/", "odd/*"), 25) &&
           want(b, "scan of a longer one", scanned(b, "even/4", "even/4*"), 6) &&
           want(b, "scan of none", scanned(b, "x", "x*"), 0);
}

static bool check_ping(bench *b)
{
    static const char *const words[] = {"PING", NULL};
    nkv_value *value = NULL;
    const nkv_status status = command(b, words, &value);
    nkv_value_release(value);
    return want(b, "ping", status, NKV_OK);
}

/* ---- Vouching -------------------------------------------------------------------------------- */

/* Reads until the cache answers; what it says is the value. */
static bool comes_from_memory(bench *b, const char *key, const char *value)
{
    const int64_t end_ms = soon(b);
    const nkv_str bytes = nkv_cstr(value);
    nkv_call call;
    do {
        nkv_call_init(&call);
        if (!holds(b, &call, nkv_cstr(key), value != NULL ? &bytes : NULL)) {
            return false;
        }
    } while (call.from != NKV_FROM_CACHE && t_now_ms() < end_ms);
    return want(b, "answered from memory", call.from, NKV_FROM_CACHE);
}

static void change(bench *b, const char *key, const char *value)
{
    const nkv_str bytes = nkv_cstr(value);
    b->kit->change(&b->table, nkv_cstr(key), value != NULL ? &bytes : NULL);
}

/* Reads until the change is seen, and then some more: nobody goes back. */
static bool is_seen(bench *b, const char *key, const char *value)
{
    const int64_t end_ms = soon(b);
    const nkv_str bytes = nkv_cstr(value);
    bool seen = false;
    for (int after = 0; after < 200 && (seen || t_now_ms() < end_ms); after += seen) {
        nkv_call call;
        nkv_call_init(&call);
        const bool now = holds(b, &call, nkv_cstr(key), value != NULL ? &bytes : NULL);
        if (seen && !now) {
            return false;
        }
        seen = now;
    }
    return want(b, "the change is seen", seen, true);
}

static bool check_cached(bench *b)
{
    if (!vouches(b)) {
        return true;
    }
    return comes_from_memory(b, "no", NULL) &&
           (!writes(b) || (put(b, "k", "v") && comes_from_memory(b, "k", "v")));
}

static bool check_told(bench *b)
{
    if (b->kit->change == NULL || !vouches(b)) {
        return true;
    }
    bool good = true;
    for (int i = 0; i < 10 && good; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "v%d", i);
        change(b, "k", value);
        good = is_seen(b, "k", value) && comes_from_memory(b, "k", value);
    }
    change(b, "k", NULL);
    good = good && is_seen(b, "k", NULL) && comes_from_memory(b, "k", NULL);
    change(b, "odd key/\xff", "x");
    return good && is_seen(b, "odd key/\xff", "x");
}

static bool check_settle(bench *b)
{
    if (b->kit->change == NULL || b->table.settle == NULL || !vouches(b)) {
        return true;
    }
    bool good = true;
    for (int i = 0; i < 50 && good; i++) {
        char value[16];
        nkv_call call;
        (void)snprintf(value, sizeof value, "v%d", i);
        const nkv_str bytes = nkv_cstr(value);
        nkv_call_init(&call);
        change(b, "k", value);
        call.level = NKV_BARRIER;
        good = holds(b, &call, nkv_cstr("k"), &bytes) && comes_from_memory(b, "k", value);
    }
    return good;
}

/* ---- Threads --------------------------------------------------------------------------------- */

typedef struct worker {
    bench b;
    int number;
    bool good;
    pthread_t thread;
} worker;

static void *run_worker(void *ud)
{
    worker *w = ud;
    char key[24], value[24];
    (void)snprintf(key, sizeof key, "own%d", w->number);
    w->good = true;
    for (int i = 0; i < THREAD_ROUNDS && w->good; i++) {
        nkv_call call;
        nkv_call_init(&call); /* from memory or not: our own writes are seen */
        (void)snprintf(value, sizeof value, "%d/%d", w->number, i);
        const nkv_str bytes = nkv_cstr(value);
        w->good = put(&w->b, key, value) && holds(&w->b, &call, nkv_cstr(key), &bytes) &&
                  is(&w->b, key, value) && put(&w->b, "common", value);
        if (w->good && w->b.table.remove != NULL && i % 3 == 0) {
            const nkv_str name = nkv_cstr(key);
            w->good = want(&w->b, "remove", removed(&w->b, &name, 1), 1) && is(&w->b, key, NULL);
        }
    }
    return NULL;
}

static bool check_threads(bench *b)
{
    worker workers[THREADS];
    bool good = true;
    for (int i = 0; i < THREADS && writes(b); i++) {
        workers[i] = (worker){.b = *b, .number = i};
        T_REQUIRE(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS && writes(b); i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
        if (!workers[i].good) {
            memcpy(b->why, workers[i].b.why, sizeof b->why);
            good = false;
        }
    }
    return good;
}

/* Random calls beside a model. */
static bool check_model(bench *b)
{
    int model[MODEL_KEYS];
    t_rng rng;
    bool good = true;
    t_rng_init(&rng, t_run_seed());
    memset(model, 0xff, sizeof model); /* -1 */
    for (int i = 0; i < MODEL_ROUNDS && good && writes(b); i++) {
        const int k = (int)t_rng_below(&rng, MODEL_KEYS);
        char key[16], value[16];
        (void)snprintf(key, sizeof key, "m%d", k);
        const nkv_str name = nkv_cstr(key);
        const uint64_t what = t_rng_below(&rng, 4);
        if (what == 0) {
            (void)snprintf(value, sizeof value, "%d", i);
            good = put(b, key, value);
            model[k] = i;
        } else if (what == 1 && b->table.remove != NULL) {
            good = want(b, "remove", removed(b, &name, 1), model[k] >= 0);
            model[k] = -1;
        } else {
            nkv_call call;
            nkv_call_init(&call);
            (void)snprintf(value, sizeof value, "%d", model[k]);
            const nkv_str bytes = nkv_cstr(value);
            good = holds(b, &call, name, model[k] >= 0 ? &bytes : NULL);
        }
    }
    return good;
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool wrap(bench *b)
{
    nkv_error error = {.text = ""};
    const nkv_status status = nkv_client_wrap(&b->table, NULL, &b->client, &error);
    if (status != NKV_OK) {
        (void)snprintf(b->why, sizeof b->why, "wrap: %s", error.text);
    }
    return status == NKV_OK;
}

static bool check_again(bench *b)
{
    nkv_client_destroy(b->client);
    b->client = NULL;
    const int threads = t_thread_count(), fds = t_fd_count();
    for (int i = 0; i < 3; i++) {
        if (!wrap(b)) {
            return false;
        }
        const bool good = !writes(b) || (put(b, "k", "v") && is(b, "k", "v"));
        nkv_client_destroy(b->client);
        b->client = NULL;
        if (!good) {
            return false;
        }
    }
    /* One that was joined stands in /proc for a moment longer. */
    for (const int64_t end_ms = soon(b); t_thread_count() != threads && t_now_ms() < end_ms;) {
        t_sleep_ms(1);
    }
    return want(b, "threads after close", t_thread_count(), threads) &&
           want(b, "descriptors after close", t_fd_count(), fds);
}

/* ---- The suite ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*check)(bench *b);
} checks[] = {
    {"an empty store has nothing", check_empty},
    {"get finds what was put last", check_put_get},
    {"values of all sizes are what was put", check_sizes},
    {"keys are told apart by all their bytes", check_keys},
    {"remove says what was there, and takes it away", check_remove},
    {"each item of many is answered for itself", check_many},
    {"an expiry is kept, or refused", check_ttl},
    {"scan finds what begins so, and no more", check_scan},
    {"ping answers", check_ping},
    {"what is vouched for is answered from memory", check_cached},
    {"a change by somebody else is told", check_told},
    {"settle waits until what was done has been told", check_settle},
    {"threads do not disturb each other", check_threads},
    {"random calls agree with a model", check_model},
    {"it can be closed and opened again", check_again},
};

static bool run_one(const nkv_connector_kit *kit, bool (*check)(bench *b), bench *b)
{
    memset(b, 0, sizeof *b);
    b->kit = kit;
    kit->make(&b->table);
    const bool good = wrap(b) && check(b);
    nkv_client_destroy(b->client);
    kit->unmake(&b->table);
    return good;
}

int nkv_connector_conformance(const nkv_connector_kit *kit, FILE *out)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        bench b;
        const bool good = run_one(kit, checks[i].check, &b);
        failed += !good;
        if (out != NULL) {
            (void)fprintf(out, "%s - %s%s%s\n", good ? "ok" : "not ok", checks[i].name,
                          good ? "" : ": ", good ? "" : b.why);
        }
    }
    return failed;
}
