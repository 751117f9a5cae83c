/* model/core/test_model_cache.c - random operations on the cache and on a naive one beside it.
 *
 * The naive cache is a list of keys, most recent first, each with its answers; what it does is
 * plain to see.  Where the order of eviction is exact, both must hold the same answers at any time.
 * Where it is not (second chance, S3-FIFO, a byte budget), what the cache serves must be in a naive
 * cache without limits, and the limits must hold.
 *
 * NEARKV_SEED repeats a run; the seed is printed. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/core_kit.h"

enum { KEYS = 40, COMMANDS = 3, SPACES = 2, OWNERS = 2, HELD = 16 };

/* ---- The naive cache ---------------------------------------------------------------------------
 * */

typedef struct answer {
    bool there;
    uint64_t version;
    unsigned owner;
    uint64_t generation;
    int64_t deadline;
} answer;

typedef struct naive_key {
    struct naive_key *older; /* less recently used */
    unsigned space, key;
    answer answers[COMMANDS];
} naive_key;

typedef struct naive {
    naive_key *newest;
    size_t keys, keys_max;
    uint64_t generations[OWNERS];
} naive;

/* Takes the key out of the list; NULL: it is not there. */
static naive_key *take(naive *n, unsigned space, unsigned key)
{
    naive_key **at = &n->newest;
    while (*at != NULL && ((*at)->space != space || (*at)->key != key)) {
        at = &(*at)->older;
    }
    naive_key *found = *at;
    if (found != NULL) {
        *at = found->older;
        n->keys--;
    }
    return found;
}

static void give(naive *n, naive_key *key)
{
    key->older = n->newest;
    n->newest = key;
    n->keys++;
}

static void drop_oldest(naive *n)
{
    naive_key **at = &n->newest;
    while ((*at)->older != NULL) {
        at = &(*at)->older;
    }
    free(*at);
    *at = NULL;
    n->keys--;
}

static void naive_put(naive *n, unsigned space, unsigned key, unsigned command, answer put)
{
    naive_key *found = take(n, space, key);
    if (found == NULL) {
        while (n->keys >= n->keys_max) {
            drop_oldest(n);
        }
        found = calloc(1, sizeof *found);
        found->space = space;
        found->key = key;
    }
    found->answers[command] = put;
    give(n, found);
}

static bool counts(const naive *n, const answer *a, int64_t now)
{
    return a->there && a->generation == n->generations[a->owner] && now < a->deadline;
}

/* The answer, or NULL; a key that is read becomes the most recent. */
static const answer *naive_get(naive *n, unsigned space, unsigned key, unsigned command,
                               int64_t now)
{
    for (naive_key *at = n->newest; at != NULL; at = at->older) {
        if (at->space == space && at->key == key && counts(n, &at->answers[command], now)) {
            give(n, take(n, space, key));
            return &at->answers[command];
        }
    }
    return NULL;
}

/* Forgets one answer, and its key if that was the last. Nothing becomes more recent. */
static void naive_drop(naive *n, unsigned space, unsigned key, unsigned command)
{
    for (naive_key **at = &n->newest; *at != NULL; at = &(*at)->older) {
        if ((*at)->space != space || (*at)->key != key) {
            continue;
        }
        bool some = false;
        (*at)->answers[command].there = false;
        for (unsigned i = 0; i < COMMANDS; i++) {
            some = some || (*at)->answers[i].there;
        }
        if (!some) {
            free(take(n, space, key));
        }
        return;
    }
}

/* Forgets what is dead, and keys without answers; space SPACES: none is flushed. */
static void naive_tidy(naive *n, unsigned flushed, int64_t now)
{
    naive_key **at = &n->newest;
    while (*at != NULL) {
        naive_key *key = *at;
        bool some = false;
        for (unsigned i = 0; i < COMMANDS; i++) {
            key->answers[i].there = key->space != flushed && counts(n, &key->answers[i], now);
            some = some || key->answers[i].there;
        }
        if (!some) {
            *at = key->older;
            free(key);
            n->keys--;
        } else {
            at = &key->older;
        }
    }
}

/* ---- Both side by side -------------------------------------------------------------------------
 * */

typedef struct pair {
    t_kit kits[SPACES]; /* one cache, a space each; their owners are the two */
    naive naive;
    t_rng rng;
    bool exact; /* both must hold the same */
    uint64_t next_version;
    int64_t now;
    nkv_cache_options options;
    nkv_value *held[HELD];
    uint64_t held_version[HELD];
    uint64_t hits, misses;
} pair;

static unsigned below(pair *p, unsigned n)
{
    return (unsigned)t_rng_below(&p->rng, n);
}

static nkv_str key_of(unsigned key, char out[160])
{
    int len = snprintf(out, 160, key % 4 == 0 ? "key-%u-%0130u" : "key-%u", key, key);
    return nkv_str_make(out, (size_t)len);
}

static nkvi_query query_of(pair *p, unsigned space, unsigned key, unsigned command, char out[160])
{
    static const char *const commands[COMMANDS] = {"", "STRLEN", "HGET field"};
    return t_kit_query(&p->kits[space], key_of(key, out), nkv_cstr(commands[command]));
}

static uint64_t version_of(const nkv_value *value)
{
    nkv_reply reply = nkv_value_reply(value);
    return reply.type == NKV_TYPE_INTEGER ? (uint64_t)reply.integer : strtoull(reply.str, NULL, 10);
}

/* Whether another owner that still stands has said something else: then neither stays. */
static bool contradicted(pair *p, unsigned space, unsigned key, unsigned command, unsigned owner)
{
    for (const naive_key *at = p->naive.newest; at != NULL; at = at->older) {
        if (at->space == space && at->key == key) {
            const answer *other = &at->answers[command];
            return other->owner != owner && counts(&p->naive, other, p->now);
        }
    }
    return false;
}

static void put(pair *p)
{
    unsigned space = below(p, SPACES);
    unsigned key = below(p, KEYS);
    unsigned command = below(p, COMMANDS);
    unsigned owner = below(p, OWNERS);
    answer a = {true, p->next_version++, owner, p->naive.generations[owner], 0};
    a.deadline = below(p, 3) == 0 ? p->now + 1 + below(p, 200) : NKVI_NEVER;
    char text[160];
    nkvi_query query = query_of(p, space, key, command, text);
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    if (below(p, 2) == 0) {
        draft.root = (nkv_reply){.type = NKV_TYPE_INTEGER, .integer = (int64_t)a.version};
    } else {
        char body[400];
        memset(body, ' ', sizeof body);
        int len = snprintf(body, sizeof body, "%llu", (unsigned long long)a.version);
        body[len] = ' ';
        cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, body, 20 + below(p, 380)));
    }
    nkvi_stamp stamp = {.owner = p->kits[owner].owner,
                        .generation = p->kits[owner].generation,
                        .deadline_ns = a.deadline,
                        .token = NULL};
    bool expected = !contradicted(p, space, key, command, owner);
    bool stored;
    nkv_value *value = nkvi_cache_put(p->kits[0].cache, &query, &draft, &stamp, p->now, &stored);
    cr_assert_eq(version_of(value), a.version);
    nkv_value_release(value);
    cr_assert(stored == expected || !p->exact);
    if (stored) {
        naive_put(&p->naive, space, key, command, a);
    } else {
        naive_drop(&p->naive, space, key, command);
    }
}

/* Keeps some values for a while: they must not change. */
static void hold(pair *p, nkv_value *value)
{
    unsigned at = below(p, 8 * HELD);
    if (at >= HELD) {
        nkv_value_release(value);
        return;
    }
    if (p->held[at] != NULL) {
        cr_assert_eq(version_of(p->held[at]), p->held_version[at]);
        nkv_value_release(p->held[at]);
    }
    p->held[at] = value;
    p->held_version[at] = version_of(value);
}

static void get(pair *p)
{
    enum { MOST = 20 };
    nkvi_query queries[MOST];
    nkvi_found found[MOST];
    unsigned spaces[MOST];
    unsigned keys[MOST];
    unsigned commands[MOST];
    char texts[MOST][160];
    size_t n = below(p, 4) == 0 ? 1 + below(p, MOST) : 1;
    for (size_t i = 0; i < n; i++) {
        spaces[i] = below(p, SPACES);
        keys[i] = below(p, KEYS);
        commands[i] = below(p, COMMANDS);
        queries[i] = query_of(p, spaces[i], keys[i], commands[i], texts[i]);
    }
    nkvi_cache_find(p->kits[0].cache, queries, n, p->now, found);
    for (size_t i = n; i > 0; i--) { /* the last one is promoted first */
        size_t j = i - 1;
        const answer *want = naive_get(&p->naive, spaces[j], keys[j], commands[j], p->now);
        if (found[j].value == NULL) {
            cr_assert(!p->exact || want == NULL, "version %llu is missing",
                      (unsigned long long)(want != NULL ? want->version : 0));
            p->misses++;
            continue;
        }
        cr_assert_not_null(want, "version %llu should not be there",
                           (unsigned long long)version_of(found[j].value));
        cr_assert_eq(version_of(found[j].value), want->version);
        cr_assert_eq(found[j].owner, p->kits[want->owner].owner->id);
        p->hits++;
        hold(p, found[j].value);
    }
}

static void invalidate(pair *p)
{
    unsigned space = below(p, SPACES);
    unsigned key = below(p, KEYS);
    char text[160];
    size_t gone = nkvi_cache_invalidate(p->kits[0].cache, p->kits[space].space, key_of(key, text));
    naive_key *old = take(&p->naive, space, key);
    size_t want = 0;
    for (unsigned i = 0; old != NULL && i < COMMANDS; i++) {
        want += old->answers[i].there;
    }
    cr_assert(!p->exact || gone == want);
    free(old);
}

static void something_rare(pair *p)
{
    unsigned what = below(p, 4);
    unsigned which = below(p, 2);
    unsigned flushed = SPACES;
    if (what == 0) {
        nkvi_cache_flush(p->kits[0].cache, p->kits[which].space);
        flushed = which;
    } else if (what == 1) {
        t_kit_lose_owner(&p->kits[which]);
        p->naive.generations[which]++;
    } else if (what == 2) {
        p->now += below(p, 100);
    }
    /* A whole turn of the sweep, so that what is dead takes no room in either. */
    if (p->exact || below(p, 3) == 0) {
        cr_assert(!nkvi_cache_tidy(p->kits[0].cache, p->now, SIZE_MAX));
    }
    naive_tidy(&p->naive, flushed, p->now);
}

static void check_numbers(pair *p)
{
    nkv_cache_stats stats = t_kit_stats(&p->kits[0]);
    cr_assert(!p->exact || stats.keys == p->naive.keys, "%llu keys, %zu expected",
              (unsigned long long)stats.keys, p->naive.keys);
    cr_assert(p->options.keys_max < 0 || stats.keys <= (uint64_t)p->options.keys_max);
    cr_assert(p->options.bytes_max < 0 || stats.bytes <= (uint64_t)p->options.bytes_max);
}

static void run(const nkv_cache_options *options, bool exact, int steps, uint64_t seed)
{
    static pair p;
    memset(&p, 0, sizeof p);
    p.exact = exact;
    p.options = *options;
    p.now = 1;
    p.next_version = 1;
    p.naive.keys_max = exact && options->keys_max >= 0 ? (size_t)options->keys_max : SIZE_MAX;
    t_rng_init(&p.rng, seed);
    t_kit_open(&p.kits[0], options);
    t_kit_share(&p.kits[1], p.kits[0].cache, "second");
    for (int i = 0; i < steps; i++) {
        unsigned dice = below(&p, 100);
        if (dice < 40) {
            put(&p);
        } else if (dice < 90) {
            get(&p);
        } else if (dice < 99) {
            invalidate(&p);
        } else {
            something_rare(&p);
        }
        check_numbers(&p);
    }
    cr_assert_gt(p.hits, (uint64_t)steps / 500, "%llu hits, %llu misses",
                 (unsigned long long)p.hits, (unsigned long long)p.misses);
    t_kit_unshare(&p.kits[1]);
    t_kit_close(&p.kits[0]);
    for (unsigned i = 0; i < HELD; i++) {
        if (p.held[i] != NULL) {
            cr_assert_eq(version_of(p.held[i]), p.held_version[i]);
        }
        nkv_value_release(p.held[i]);
    }
    while (p.naive.newest != NULL) {
        drop_oldest(&p.naive);
    }
}

static void run_kinds(int64_t keys_max, int64_t bytes_max, nkv_policy policy, bool exact)
{
    for (unsigned round = 0; round < 4; round++) {
        nkv_index_kind kind = round % 2 == 0 ? NKV_INDEX_CHUNKED : NKV_INDEX_UTHASH;
        nkv_cache_options options = t_kit_options(kind, keys_max, bytes_max);
        options.policy = policy;
        options.strict = exact;
        run(&options, exact, 20000, t_run_seed() + round / 2);
    }
}

/* ---- The tests ---------------------------------------------------------------------------------
 * */

Test(core_model, strict_lru_is_the_naive_cache)
{
    run_kinds(25, -1, NKV_POLICY_LRU, true);
}

Test(core_model, strict_lru_of_one_key)
{
    run_kinds(1, -1, NKV_POLICY_LRU, true);
}

Test(core_model, without_limits_nothing_is_lost)
{
    run_kinds(-1, -1, NKV_POLICY_LRU, true);
}

Test(core_model, second_chance_serves_nothing_wrong)
{
    run_kinds(2000, 9000, NKV_POLICY_LRU, false);
}

Test(core_model, s3fifo_serves_nothing_wrong)
{
    run_kinds(20, -1, NKV_POLICY_S3FIFO, false);
    run_kinds(-1, 12000, NKV_POLICY_S3FIFO, false);
}
