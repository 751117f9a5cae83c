/* support/cache_conformance.c - the checks, one function each.
 *
 * Values carry a number; its owner counts how many live, so that a table that keeps or loses a
 * reference is seen.
 *
 * Callers      tests of tables; a user's own may copy these two files                            */

#include "support/cache_conformance.h"

#include "support/check.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, THREAD_ROUNDS = 3000, MODEL_ROUNDS = 20000, MODEL_KEYS = 40 };

typedef struct bench {
    const nkv_cache_ops *ops;
    void *self;
    char why[200];
} bench;

static atomic_int live_values;

static void free_number(void *data, void *ud)
{
    (void)ud;
    free(data);
    atomic_fetch_sub(&live_values, 1);
}

/* A value whose bytes are the number; one reference for the caller. */
static nkv_value *make_number(int number)
{
    char *text = malloc(16);
    T_REQUIRE(text != NULL);
    const int len = snprintf(text, 16, "%d", number);
    nkv_value *value = nkv_value_adopt(text, (size_t)len, free_number, NULL);
    T_REQUIRE(value != NULL);
    atomic_fetch_add(&live_values, 1);
    return value;
}

static void put(bench *b, uint32_t space, nkv_str key, nkv_str command, int number)
{
    nkv_value *value = make_number(number);
    b->ops->put(b->self, space, key, command, value, INT64_MAX);
    nkv_value_release(value);
}

/* The number that the table has there, -1 for none. */
static int get(bench *b, uint32_t space, nkv_str key, nkv_str command)
{
    nkv_value *value = b->ops->get(b->self, space, key, command);
    if (value == NULL) {
        return -1;
    }
    const long number = strtol(nkv_value_str(value).data, NULL, 10);
    nkv_value_release(value);
    return (int)number;
}

static bool want(bench *b, const char *what, int got, int wanted)
{
    if (got != wanted) {
        (void)snprintf(b->why, sizeof b->why, "%s: %d instead of %d", what, got, wanted);
    }
    return got == wanted;
}

static nkv_str str(const char *text)
{
    return nkv_cstr(text);
}

/* ---- The checks ------------------------------------------------------------------------------ */

static bool check_empty(bench *b)
{
    return want(b, "an empty table", get(b, 0, str("k"), str("")), -1);
}

static bool check_put_get(bench *b)
{
    put(b, 0, str("k"), str(""), 1);
    if (!want(b, "after put", get(b, 0, str("k"), str("")), 1)) {
        return false;
    }
    put(b, 0, str("k"), str(""), 2);
    return want(b, "after a second put", get(b, 0, str("k"), str("")), 2) &&
           want(b, "again", get(b, 0, str("k"), str("")), 2);
}

static bool check_same_bytes(bench *b)
{
    nkv_value *value = make_number(7);
    b->ops->put(b->self, 0, str("k"), str(""), value, INT64_MAX);
    nkv_value *got = b->ops->get(b->self, 0, str("k"), str(""));
    const bool same = got != NULL && nkv_value_equal(got, value);
    nkv_value_release(got);
    nkv_value_release(value);
    return want(b, "the answer equals what was put", same, true);
}

static bool check_told_apart(bench *b)
{
    static const struct {
        uint32_t space;
        const char *key;
        size_t key_len;
        const char *command;
        size_t command_len;
    } places[] = {
        {0, "a", 1, "", 0},     {1, "a", 1, "", 0},     {65535, "a", 1, "", 0},
        {0, "", 0, "", 0},      {0, "a", 1, "x", 1},    {0, "ax", 2, "", 0},
        {0, "", 0, "ax", 2},    {0, "a\0b", 3, "", 0},  {0, "a\0c", 3, "", 0},
        {0, "a", 1, "\0", 1},   {0, "a", 1, "\0\0", 2}, {0, "A", 1, "", 0},
        {0, "\xff", 1, "", 0},  {0, "a", 1, "x\0y", 3}, {0, "a", 1, "x\0z", 3},
        {0, "a\r\n", 3, "", 0},
    };
    enum { PLACES = sizeof places / sizeof places[0] };
    for (int i = 0; i < PLACES; i++) {
        put(b, places[i].space, nkv_str_make(places[i].key, places[i].key_len),
            nkv_str_make(places[i].command, places[i].command_len), i);
    }
    for (int i = 0; i < PLACES; i++) {
        char what[40];
        (void)snprintf(what, sizeof what, "place %d", i);
        if (!want(b, what,
                  get(b, places[i].space, nkv_str_make(places[i].key, places[i].key_len),
                      nkv_str_make(places[i].command, places[i].command_len)),
                  i)) {
            return false;
        }
    }
    return true;
}

static bool check_borrowed(bench *b)
{
    char key[] = "key";
    char command[] = "command";
    put(b, 0, str(key), str(command), 1);
    memset(key, '?', sizeof key - 1);
    memset(command, '?', sizeof command - 1);
    return want(b, "key and command are copied", get(b, 0, str("key"), str("command")), 1);
}

static bool check_invalidate(bench *b)
{
    put(b, 0, str("k"), str(""), 1);
    put(b, 0, str("k"), str("x"), 2);
    put(b, 0, str("k"), str("y"), 3);
    put(b, 0, str("other"), str(""), 4);
    put(b, 1, str("k"), str(""), 5);
    b->ops->invalidate(b->self, 0, str("k"));
    b->ops->invalidate(b->self, 0, str("never put"));
    return want(b, "GET of the key", get(b, 0, str("k"), str("")), -1) &&
           want(b, "its second command", get(b, 0, str("k"), str("x")), -1) &&
           want(b, "its third command", get(b, 0, str("k"), str("y")), -1) &&
           want(b, "another key", get(b, 0, str("other"), str("")), 4) &&
           want(b, "another space", get(b, 1, str("k"), str("")), 5);
}

static bool check_put_after_invalidate(bench *b)
{
    put(b, 0, str("k"), str(""), 1);
    b->ops->invalidate(b->self, 0, str("k"));
    put(b, 0, str("k"), str("x"), 2);
    return want(b, "the old answer", get(b, 0, str("k"), str("")), -1) &&
           want(b, "the new answer", get(b, 0, str("k"), str("x")), 2);
}

static bool check_reset_space(bench *b)
{
    for (int i = 0; i < 20; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        put(b, 1, str(key), str(""), i);
        put(b, 2, str(key), str("x"), i);
    }
    b->ops->reset(b->self, 1);
    int left = 0;
    int others = 0;
    for (int i = 0; i < 20; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        left += get(b, 1, str(key), str("")) >= 0;
        others += get(b, 2, str(key), str("x")) == i;
    }
    return want(b, "answers left in the space", left, 0) &&
           want(b, "answers of another space", others, 20);
}

static bool check_reset_all(bench *b)
{
    put(b, 0, str("k"), str(""), 1);
    put(b, 7, str("k"), str("x"), 2);
    b->ops->reset(b->self, UINT32_MAX);
    return want(b, "space 0", get(b, 0, str("k"), str("")), -1) &&
           want(b, "space 7", get(b, 7, str("k"), str("x")), -1);
}

/* What a reader holds stays as it is, whatever the table does. */
static bool check_held(bench *b)
{
    put(b, 0, str("k"), str(""), 1);
    nkv_value *held = b->ops->get(b->self, 0, str("k"), str(""));
    if (held == NULL) {
        return want(b, "after put", -1, 1);
    }
    put(b, 0, str("k"), str(""), 2);
    b->ops->invalidate(b->self, 0, str("k"));
    b->ops->reset(b->self, UINT32_MAX);
    const nkv_str bytes = nkv_value_str(held);
    const bool same = bytes.len == 1 && bytes.data[0] == '1';
    nkv_value_release(held);
    return want(b, "the held answer is as it was", same, true);
}

static bool check_optional(bench *b)
{
    nkv_cache_stats stats;
    memset(&stats, 0, sizeof stats);
    put(b, 0, str("k"), str(""), 1);
    if (b->ops->stats != NULL) {
        b->ops->stats(b->self, &stats);
    }
    if (b->ops->feedback != NULL) {
        b->ops->feedback(b->self, 0, str("k"), 1);
        b->ops->feedback(b->self, 0, str("never put"), 0);
    }
    const double confidence = b->ops->confidence != NULL ? b->ops->confidence(b->self) : 100;
    if (!(confidence >= 0 && confidence <= 100)) { /* NaN, too */
        return want(b, "confidence from 0 to 100", (int)confidence, 100);
    }
    if (b->ops->healthy != NULL) {
        (void)b->ops->healthy(b->self);
    }
    return true;
}

/* Random calls beside a model: get finds the last answer put and not taken back, or nothing. */
static bool check_model(bench *b)
{
    int model[MODEL_KEYS][3];
    t_rng rng;
    int hits = 0;
    t_rng_init(&rng, t_run_seed());
    memset(model, 0xff, sizeof model); /* -1 */
    for (int i = 0; i < MODEL_ROUNDS; i++) {
        static const char *const commands[] = {"", "x", "y"};
        const int k = (int)t_rng_below(&rng, MODEL_KEYS);
        const int c = (int)t_rng_below(&rng, 3);
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", k / 2);
        const uint32_t space = (uint32_t)k % 2;
        switch (t_rng_below(&rng, 8)) {
        case 0:
        case 1:
        case 2:
            put(b, space, str(key), str(commands[c]), i);
            model[k][c] = i;
            break;
        case 3:
            b->ops->invalidate(b->self, space, str(key));
            memset(model[k], 0xff, sizeof model[k]);
            break;
        default: {
            const int got = get(b, space, str(key), str(commands[c]));
            hits += got >= 0;
            if (got != -1 && !want(b, "model", got, model[k][c])) {
                return false;
            }
        }
        }
        if (t_rng_below(&rng, 1000) == 0) {
            b->ops->reset(b->self, UINT32_MAX);
            memset(model, 0xff, sizeof model);
        }
    }
    return want(b, "something is kept", hits > 0, true);
}

/* Threads with keys of their own and one key of all. */
typedef struct worker {
    bench *b;
    int number;
    int wrong;
    pthread_t thread;
} worker;

static void *run_worker(void *ud)
{
    worker *w = ud;
    char key[24];
    (void)snprintf(key, sizeof key, "own%d", w->number);
    for (int i = 0; i < THREAD_ROUNDS; i++) {
        put(w->b, 0, str(key), str(""), i);
        const int got = get(w->b, 0, str(key), str(""));
        w->wrong += got != i && got != -1;
        put(w->b, 0, str("common"), str(""), i);
        (void)get(w->b, 0, str("common"), str(""));
        if (i % 3 == 0) {
            w->b->ops->invalidate(w->b->self, 0, str(key));
            w->wrong += get(w->b, 0, str(key), str("")) != -1;
            w->b->ops->invalidate(w->b->self, 0, str("common"));
        }
    }
    return NULL;
}

static bool check_threads(bench *b)
{
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.b = b, .number = i};
        T_REQUIRE(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0);
    }
    int wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
        wrong += workers[i].wrong;
    }
    return want(b, "wrong answers", wrong, 0);
}

/* ---- The suite ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*check)(bench *b);
} checks[] = {
    {"an empty table has nothing", check_empty},
    {"get finds what was put last", check_put_get},
    {"an answer is what was put", check_same_bytes},
    {"spaces, keys and commands are told apart", check_told_apart},
    {"keys and commands are borrowed", check_borrowed},
    {"invalidate drops every command of the key and no more", check_invalidate},
    {"a put after invalidate brings nothing old back", check_put_after_invalidate},
    {"reset drops a space", check_reset_space},
    {"reset of UINT32_MAX drops all", check_reset_all},
    {"what a reader holds stays", check_held},
    {"what is optional answers in its range", check_optional},
    {"random calls agree with a model", check_model},
    {"threads do not disturb each other", check_threads},
};

static bool run_one(const nkv_cache_ops *ops, void *(*make)(void), bool (*check)(bench *b),
                    bench *b)
{
    *b = (bench){.ops = ops, .self = make()};
    T_REQUIRE(b->self != NULL);
    atomic_store(&live_values, 0);
    bool good = check(b);
    if (ops->destroy != NULL) {
        ops->destroy(b->self);
        good = good && want(b, "references left after destroy", atomic_load(&live_values), 0);
    }
    return good;
}

int nkv_cache_conformance(const nkv_cache_ops *ops, void *(*make)(void), FILE *out)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        bench b;
        const bool good = run_one(ops, make, checks[i].check, &b);
        failed += !good;
        if (out != NULL) {
            (void)fprintf(out, "%s - %s%s%s\n", good ? "ok" : "not ok", checks[i].name,
                          good ? "" : ": ", good ? "" : b.why);
        }
    }
    return failed;
}
