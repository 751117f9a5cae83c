/* model/test_model_cache.c - the built-in cache against a table that a child could check.
 *
 * The model is an array: for every (space, key, command) the number of the answer that was put
 * last, who vouches for it and until when.  An answer's content follows from its number, so any
 * value that comes out of the cache can be compared, and held values as well, long after.
 *
 *      a hit      must be the model's answer, and the model must say that it still counts
 *      no hit     is right where the model has none; where it has one, only if the cache is small
 *                 or has refused it
 *      after any  keys and bytes are within their limits
 *
 * The choice of operations never depends on what the cache says, so that two caches can be driven
 * by the same ones.  Seeds are fixed; NEARKV_SEED adds another. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/pool.h"
#include "support/check.h"
#include "support/core_kit.h"

enum { KEYS = 32, COMMANDS = 4, SPACES = 2, OWNERS = 3, HELD = 16, FLIGHTS = 8, BATCH = 24 };
enum { NODES = 64, TEXT = 1 << 17, KINDS = 15, KIND_BUFFER = 14 };

/* ---- Answers from numbers -------------------------------------------------------------------- */

typedef struct content {
    nkv_reply nodes[NODES];
    size_t used, text_used;
    char text[TEXT];
} content;

static void fill_text(content *c, nkv_reply *reply, nkv_type type, size_t len, uint64_t number)
{
    T_REQUIRE(c->text_used + len + 1 <= TEXT);
    t_rng rng;
    t_rng_init(&rng, number);
    reply->type = type;
    reply->str = c->text + c->text_used;
    reply->len = len;
    t_rng_fill(&rng, c->text + c->text_used, len);
    c->text[c->text_used + len] = '\0';
    c->text_used += len + 1;
}

static nkv_reply *children(content *c, nkv_reply *parent, nkv_type type, size_t count)
{
    T_REQUIRE(c->used + count <= NODES);
    nkv_reply *first = c->nodes + c->used;
    memset(first, 0, count * sizeof *first);
    c->used += count;
    parent->type = type;
    parent->elements = count;
    parent->element = count > 0 ? first : NULL;
    return first;
}

static void fill(content *c, nkv_reply *reply, uint64_t number, unsigned kind, unsigned depth)
{
    static const nkv_type nests[] = {NKV_TYPE_ARRAY, NKV_TYPE_MAP, NKV_TYPE_SET, NKV_TYPE_PUSH};
    switch (kind) {
    case 0:
        fill_text(c, reply, NKV_TYPE_STRING, number % 300, number);
        break;
    case 1:
        reply->type = NKV_TYPE_NIL;
        break;
    case 2:
        reply->type = NKV_TYPE_INTEGER;
        reply->integer = (int64_t)(number * UINT64_C(0x9e3779b97f4a7c15));
        break;
    case 3:
        reply->type = NKV_TYPE_DOUBLE;
        reply->dval = (double)number / 8;
        reply->len = (size_t)snprintf(c->text + c->text_used, 32, "%.17g", reply->dval);
        reply->str = c->text + c->text_used;
        c->text_used += reply->len + 1;
        break;
    case 4:
        reply->type = NKV_TYPE_BOOL;
        reply->integer = (int64_t)(number & 1);
        break;
    case 5:
        fill_text(c, reply, NKV_TYPE_STATUS, number % 9, number);
        break;
    case 6:
        fill_text(c, reply, NKV_TYPE_BIGNUM, 30, number);
        break;
    case 7:
        fill_text(c, reply, NKV_TYPE_VERBATIM, number % 70, number);
        memcpy(reply->vtype, number & 1 ? "txt" : "mkd", 4);
        break;
    case 8:
        (void)children(c, reply, NKV_TYPE_ARRAY, 0);
        break;
    case 9:
        fill_text(c, reply, NKV_TYPE_ERROR, 20, number);
        break;
    case 10:
        fill_text(c, reply, NKV_TYPE_STRING, 5000, number);
        break;
    case KIND_BUFFER:
        fill_text(c, reply, NKV_TYPE_STRING, 66000, number);
        break;
    default: {
        size_t count = kind == 12 ? 4 : 1 + number % 3;
        nkv_reply *child = children(c, reply, nests[kind - 11 < 3 ? kind - 11 : 3], count);
        for (size_t i = 0; i < count; i++) {
            unsigned inner = i == 0 && depth < 3 ? 11 + (unsigned)(number + depth) % 3
                                                 : (unsigned)(number + i) % 10;
            fill(c, child + i, number * 7 + i, inner, depth + 1);
        }
    }
    }
}

static const nkv_reply *content_of(content *c, uint64_t number)
{
    c->used = 1;
    c->text_used = 0;
    memset(c->nodes, 0, sizeof c->nodes[0]);
    uint64_t kind = number % KINDS;
    /* Large ones are few: they cost the test its time. */
    kind = kind == KIND_BUFFER && number % 4 != 0 ? 0 : kind;
    fill(c, c->nodes, number, (unsigned)kind, 0);
    return c->nodes;
}

static bool same(const nkv_reply *a, const nkv_reply *b)
{
    if (a->type != b->type || a->len != b->len || a->elements != b->elements ||
        a->integer != b->integer || memcmp(&a->dval, &b->dval, sizeof a->dval) != 0 ||
        strcmp(a->vtype, b->vtype) != 0 || (a->str == NULL) != (b->str == NULL) ||
        (a->str != NULL && memcmp(a->str, b->str, a->len + 1) != 0)) {
        return false;
    }
    for (size_t i = 0; i < a->elements; i++) {
        if (!same(a->element + i, b->element + i)) {
            return false;
        }
    }
    return true;
}

/* ---- The model ------------------------------------------------------------------------------- */

typedef struct fact {
    uint64_t number; /* of the answer; 0: none */
    unsigned owner;
    uint64_t generation;
    int64_t deadline_ns;
    bool unsure; /* a put was refused: it may or may not be there still */
} fact;

typedef struct flight { /* a read under way, with its token */
    bool open;
    unsigned space, key, owner;
    uint64_t generation;
    nkvi_token token;
    bool overtaken; /* by a write of ours to this very key, or a flush */
    bool touched;   /* anything that may have moved its cell has happened */
} flight;

typedef struct config {
    nkv_index_kind index;
    nkv_policy policy;
    int strict;
    bool ample; /* nothing may be missing */
    bool
        flights; /* with tokens that are broken; off in differential runs, where the cells differ */
    uint64_t seed;
} config;

typedef struct rig {
    config how;
    nkv_cache *cache;
    uint64_t keys_max, bytes_max;
    t_rng rng;
    content *content, *other; /* room for two answers that are compared */
    char names[KEYS][400];
    nkv_str keys[KEYS], commands[COMMANDS];
    uint32_t spaces[SPACES];
    nkvi_fence *fences[SPACES];
    nkvi_owner *owners[OWNERS];
    uint64_t generations[OWNERS]; /* 0: does not vouch */
    int64_t fresh_until[OWNERS];
    fact facts[SPACES][KEYS][COMMANDS];
    flight flights[FLIGHTS];
    unsigned pending[KEYS];
    uint32_t pending_spaces[KEYS];
    struct {
        nkv_value *value;
        uint64_t number;
    } held[HELD];
    int64_t now_ns;
    uint64_t last; /* number of the last answer */
    uint64_t hits, step;
    unsigned char *trace; /* outcomes, for differential runs; NULL: not kept */
    size_t traced;
} rig;

static size_t pick(rig *r, size_t below)
{
    return (size_t)t_rng_below(&r->rng, below);
}

static void note(rig *r, int what)
{
    if (r->trace != NULL) {
        r->trace[r->traced++] = (unsigned char)what;
    }
}

static bool counts(const rig *r, const fact *f)
{
    return f->number != 0 && r->generations[f->owner] == f->generation &&
           r->now_ns < r->fresh_until[f->owner] && r->now_ns < f->deadline_ns;
}

static void forget(rig *r, int space, int key)
{
    for (int s = 0; s < SPACES; s++) {
        for (int k = 0; k < KEYS; k++) {
            if ((space < 0 || s == space) && (key < 0 || k == key)) {
                memset(r->facts[s][k], 0, sizeof r->facts[s][k]);
            }
        }
    }
}

/* A write to the key (-1: all) overtakes its flights; the cells of others may have moved, too. */
static void overtake(rig *r, int key)
{
    for (int i = 0; i < FLIGHTS; i++) {
        r->flights[i].touched = true;
        r->flights[i].overtaken |= key < 0 || r->flights[i].key == (unsigned)key;
    }
}

static bool equals(rig *r, const nkv_value *value, uint64_t number)
{
    nkv_reply got = nkv_value_reply(value);
    return same(&got, content_of(r->content, number));
}

static void judge(rig *r, unsigned space, unsigned key, unsigned command, const nkvi_found *found)
{
    fact *f = &r->facts[space][key][command];
    note(r, (int)found->outcome);
    if (found->outcome != NKVI_HIT) {
        cr_assert_null(found->value);
        cr_assert(!counts(r, f) || !r->how.ample || f->unsure,
                  "seed %lu step %lu: %u/%u/%u is lost (outcome %d)", r->how.seed, r->step, space,
                  key, command, (int)found->outcome);
        if (found->outcome == NKVI_ABSENT) {
            f->number = 0; /* what was not there cannot come back */
        } else {
            cr_assert(!counts(r, f) && f->number != 0, "seed %lu step %lu: outcome %d", r->how.seed,
                      r->step, (int)found->outcome);
        }
        return;
    }
    r->hits++;
    cr_assert(counts(r, f), "seed %lu step %lu: a stale hit of %u/%u/%u", r->how.seed, r->step,
              space, key, command);
    cr_assert(equals(r, found->value, f->number), "seed %lu step %lu: another answer", r->how.seed,
              r->step);
    cr_assert_eq(found->owner, r->owners[f->owner]->id);
    f->unsure = false;
}

static void check_limits(rig *r)
{
    nkv_cache_stats stats;
    nkv_cache_get_stats(r->cache, &stats);
    cr_assert_leq(stats.keys, r->keys_max, "seed %lu step %lu", r->how.seed, r->step);
    cr_assert_leq(stats.bytes, r->bytes_max, "seed %lu step %lu", r->how.seed, r->step);
}

/* ---- Operations ------------------------------------------------------------------------------ */

static nkvi_query ask(rig *r, unsigned space, unsigned key, unsigned command)
{
    nkvi_query query = {
        .key = r->keys[key], .command = r->commands[command], .space = r->spaces[space]};
    nkvi_query_hash(r->cache, &query);
    return query;
}

static void make_draft(rig *r, nkvi_draft *draft, uint64_t number)
{
    const nkv_reply *root = content_of(r->content, number);
    if (root->len < NKVI_POOL_LEAST) {
        T_REQUIRE(nkvi_draft_copy(draft, root));
        return;
    }
    nkvi_draft_init(draft);
    char *buffer = nkvi_cache_buffer(r->cache, root->len + 1);
    T_REQUIRE(buffer != NULL);
    memcpy(buffer, root->str, root->len + 1);
    draft->root = *root;
    draft->root.str = buffer;
    draft->block = buffer;
    draft->block_bytes = root->len + 1;
    draft->free_fn = nkvi_pool_give;
}

/* Whether another owner that still stands has said something else: then neither stays. */
static bool contradicted(rig *r, const fact *known, const flight *f, uint64_t number)
{
    return known->number != 0 && known->owner != f->owner &&
           r->generations[known->owner] == known->generation && known->deadline_ns > r->now_ns &&
           !same(content_of(r->content, known->number), content_of(r->other, number));
}

/* Whether what became of a put is what the model allows. */
static void judge_put(rig *r, const flight *f, const fact *known, uint64_t number,
                      int64_t deadline_ns, bool stored)
{
    bool vouched = (f->generation & 1) != 0 && r->generations[f->owner] == f->generation;
    bool due = deadline_ns > r->now_ns;
    bool conflict = contradicted(r, known, f, number);
    cr_assert(!stored || (vouched && due && !f->overtaken),
              "seed %lu step %lu: stored what must not be", r->how.seed, r->step);
    cr_assert(!stored || !conflict || known->unsure || !r->how.ample,
              "seed %lu step %lu: of two that contradict each other one stayed", r->how.seed,
              r->step);
    cr_assert(stored || !vouched || !due || f->touched || conflict || !r->how.ample,
              "seed %lu step %lu: refused without a reason", r->how.seed, r->step);
}

static void put(rig *r, flight *f, unsigned command)
{
    uint64_t number = ++r->last;
    nkvi_query query = ask(r, f->space, f->key, command);
    nkvi_stamp stamp = {.owner = r->owners[f->owner],
                        .generation = f->generation,
                        .deadline_ns =
                            pick(r, 3) == 0 ? r->now_ns + (int64_t)pick(r, 40) : NKVI_NEVER,
                        .token = r->how.flights ? &f->token : NULL};
    nkvi_draft draft;
    make_draft(r, &draft, number);
    bool stored = false;
    nkv_value *value = nkvi_cache_put(r->cache, &query, &draft, &stamp, r->now_ns, &stored);
    cr_assert_not_null(value);
    cr_assert_null(draft.block);
    cr_assert(equals(r, value, number));
    size_t place = pick(r, HELD);
    nkv_value_release(r->held[place].value);
    r->held[place].value = value;
    r->held[place].number = number;

    fact *known = &r->facts[f->space][f->key][command];
    note(r, stored);
    judge_put(r, f, known, number, stamp.deadline_ns, stored);
    for (int i = 0; i < FLIGHTS && contradicted(r, known, f, number); i++) {
        r->flights[i].touched = true; /* it breaks what was asked for before */
    }
    if (stored) {
        *known = (fact){number, f->owner, f->generation, stamp.deadline_ns, false};
    } else {
        known->unsure = true;
    }
}

static void start_flight(rig *r, flight *f)
{
    *f = (flight){.open = true,
                  .space = (unsigned)pick(r, SPACES),
                  .key = (unsigned)pick(r, KEYS),
                  .owner = (unsigned)pick(r, OWNERS)};
    f->generation = r->generations[f->owner];
    nkvi_query query = ask(r, f->space, f->key, 0);
    f->token = nkvi_fence_token(r->fences[f->space], query.key_hash);
    for (int k = 0; k < KEYS; k++) {
        f->touched |= r->pending[k] > 0;
    }
    f->overtaken = r->pending[f->key] > 0;
}

static void op_put(rig *r)
{
    flight *f = &r->flights[pick(r, FLIGHTS)];
    if (!r->how.flights || !f->open) {
        start_flight(r, f);
        if (!r->how.flights) {
            f->overtaken = f->touched = false;
        }
    }
    put(r, f, (unsigned)pick(r, COMMANDS));
    f->open = pick(r, 4) == 0; /* one read may have several answers */
}

static void op_start(rig *r)
{
    start_flight(r, &r->flights[pick(r, FLIGHTS)]);
}

static bool not_nil(const nkv_value *value)
{
    return nkv_value_reply(value).type != NKV_TYPE_NIL;
}

static void op_find(rig *r)
{
    nkvi_query queries[BATCH];
    nkvi_found found[BATCH];
    unsigned at[BATCH][3];
    size_t n = pick(r, 3) == 0 ? 1 : 1 + pick(r, BATCH);
    size_t keep = pick(r, n), place = pick(r, HELD);
    bool all = pick(r, 2) == 0;
    for (size_t i = 0; i < n; i++) {
        at[i][0] = (unsigned)pick(r, SPACES);
        at[i][1] = (unsigned)pick(r, KEYS);
        at[i][2] = (unsigned)pick(r, COMMANDS);
        queries[i] = ask(r, at[i][0], at[i][1], at[i][2]);
    }
    size_t looked = n;
    if (all) {
        nkvi_cache_find(r->cache, queries, n, r->now_ns, found);
    } else {
        looked = nkvi_cache_find_while(r->cache, queries, n, r->now_ns, found, not_nil);
        cr_assert(looked > 0 && looked <= n);
    }
    for (size_t i = 0; i < looked; i++) {
        judge(r, at[i][0], at[i][1], at[i][2], &found[i]);
        bool goes_on = found[i].outcome == NKVI_HIT && not_nil(found[i].value);
        cr_assert(all || i + 1 == looked || goes_on, "seed %lu step %lu: went on", r->how.seed,
                  r->step);
        cr_assert(all || i + 1 < looked || looked == n || !goes_on, "seed %lu step %lu: stopped",
                  r->how.seed, r->step);
        if (i == keep && found[i].value != NULL) {
            nkv_value_release(r->held[place].value);
            r->held[place].value = found[i].value;
            r->held[place].number = r->facts[at[i][0]][at[i][1]][at[i][2]].number;
        } else {
            nkv_value_release(found[i].value);
        }
    }
}

static void op_drop(rig *r)
{
    unsigned space = (unsigned)pick(r, SPACES), key = (unsigned)pick(r, KEYS);
    size_t most = 0, least = 0;
    for (int c = 0; c < COMMANDS; c++) {
        const fact *f = &r->facts[space][key][c];
        most += f->number != 0;
        least += r->how.ample && counts(r, f) && !f->unsure;
    }
    size_t gone = nkvi_cache_invalidate(r->cache, r->spaces[space], r->keys[key]);
    cr_assert(gone >= least && gone <= most, "seed %lu step %lu: %zu dropped, not %zu to %zu",
              r->how.seed, r->step, gone, least, most);
    note(r, (int)gone);
    forget(r, (int)space, (int)key);
    for (int i = 0; i < FLIGHTS; i++) {
        r->flights[i].touched = true;
    }
}

static void op_write(rig *r)
{
    size_t key = pick(r, KEYS), from = pick(r, KEYS);
    bool end = pick(r, 3) != 0; /* most writes do not last long */
    for (size_t k = 0; end && k < KEYS && r->pending[key] == 0; k++) {
        key = (from + k) % KEYS;
    }
    if (r->pending[key] == 0 || !end) {
        r->pending_spaces[key] = nkvi_cache_write_begin(r->cache, r->keys[key]);
        cr_assert_eq(r->pending_spaces[key], SPACES);
        r->pending[key]++;
        forget(r, -1, (int)key);
        overtake(r, (int)key);
        if (r->how.flights) {
            return;
        }
    }
    nkvi_cache_write_end(r->cache, r->keys[key], r->pending_spaces[key]);
    r->pending[key]--;
    forget(r, -1, (int)key);
    overtake(r, (int)key);
}

static void op_flush(rig *r)
{
    size_t what = pick(r, 16);
    for (int i = 0; i < FLIGHTS; i++) {
        r->flights[i].touched = true;
    }
    if (what == 0) {
        nkv_cache_reset(r->cache);
        forget(r, -1, -1);
    } else if (what == 1) {
        nkvi_cache_flush_own(r->cache);
        forget(r, -1, -1);
        overtake(r, -1);
    } else if (what < 4) {
        size_t space = pick(r, SPACES);
        nkvi_cache_flush(r->cache, r->spaces[space]);
        forget(r, (int)space, -1);
    }
}

static void op_owner(rig *r)
{
    size_t i = pick(r, OWNERS), what = pick(r, 24);
    if (what < 18) { /* a sign of life */
        r->fresh_until[i] = r->now_ns + 200 + (int64_t)pick(r, 3000);
        atomic_store(&r->owners[i]->fresh_until_ns, r->fresh_until[i]);
        return;
    }
    if (what < 20 || r->generations[i] == 0) {
        if (r->generations[i] != 0) {
            nkvi_cache_owner_end(r->cache, r->owners[i]);
        }
        r->fresh_until[i] = r->now_ns + 3000;
        uint64_t next = nkvi_cache_owner_begin(r->cache, r->owners[i], r->fresh_until[i]);
        cr_assert(next > r->generations[i] && (next & 1) == 1);
        r->generations[i] = next;
    } else if (what == 20) {
        nkvi_cache_owner_end(r->cache, r->owners[i]);
        r->generations[i] = 0;
    } else if (what == 21) {
        nkvi_cache_owner_close(r->cache, r->owners[i]);
        r->owners[i] = nkvi_cache_owner_open(r->cache, NULL);
        T_REQUIRE(r->owners[i] != NULL);
        r->generations[i] = 0;
    }
}

static void op_release(rig *r)
{
    size_t place = pick(r, HELD);
    if (r->held[place].value != NULL) {
        cr_assert(equals(r, r->held[place].value, r->held[place].number),
                  "seed %lu step %lu: a held answer has changed", r->how.seed, r->step);
    }
    nkv_value_release(r->held[place].value);
    r->held[place].value = NULL;
}

static void op_time(rig *r)
{
    r->now_ns += (int64_t)pick(r, 12);
    if (pick(r, 4) == 0) {
        (void)nkvi_cache_tidy(r->cache, r->now_ns, pick(r, 50));
    }
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void rig_names(rig *r)
{
    static const char *const commands[COMMANDS] = {
        "", "STRLEN", "HGET f1",
        ("GETRANGE with arguments that are longer than any slot in which a name might have found "
         "a place for itself: "
         "0123456789012345678901234567890123456789012345678901234567890123456")};
    for (int c = 0; c < COMMANDS; c++) {
        r->commands[c] = nkv_cstr(commands[c]);
    }
    t_rng rng;
    t_rng_init(&rng, 1);
    for (int k = 0; k < KEYS; k++) { /* 0 bytes, a few, up to 2 × a slot's worth, and long ones */
        size_t len = k < 26 ? (size_t)k * 3 : (size_t)k * 12;
        memset(r->names[k], 'k', len); /* names that only their ends and lengths tell apart */
        if (len > 0) {
            r->names[k][len - 1] = (char)k;
        }
        r->keys[k] = nkv_str_make(r->names[k], len);
    }
}

static rig *rig_open(const config *how, unsigned char *trace)
{
    rig *r = calloc(1, sizeof *r);
    T_REQUIRE(r != NULL);
    r->content = malloc(sizeof *r->content);
    r->other = malloc(sizeof *r->other);
    T_REQUIRE(r->content != NULL && r->other != NULL);
    r->how = *how;
    r->trace = trace;
    r->now_ns = 1;
    t_rng_init(&r->rng, how->seed);
    rig_names(r);
    bool by_keys = how->flights; /* a differential run: the sizes of the two indexes differ */
    r->keys_max = how->ample ? 4096 : 10;
    r->bytes_max = how->ample || !by_keys ? (uint64_t)64 << 20 : (uint64_t)96 << 10;
    nkv_cache_options options =
        t_kit_options(how->index, (int64_t)r->keys_max, (int64_t)r->bytes_max);
    options.policy = how->policy;
    options.strict = how->strict;
    nkv_error error;
    T_REQUIRE(nkv_cache_create(&options, &r->cache, &error) == NKV_OK);
    for (int i = 0; i < SPACES; i++) {
        T_REQUIRE(nkvi_cache_space_open(r->cache, nkv_cstr(i == 0 ? "one" : "two"), &r->spaces[i],
                                        &r->fences[i]));
    }
    for (int i = 0; i < OWNERS; i++) {
        r->owners[i] = nkvi_cache_owner_open(r->cache, NULL);
        T_REQUIRE(r->owners[i] != NULL);
        r->fresh_until[i] = 1000;
        r->generations[i] = nkvi_cache_owner_begin(r->cache, r->owners[i], 1000);
    }
    return r;
}

static void rig_close(rig *r)
{
    nkv_cache_reset(r->cache);
    for (int i = 0; i < HELD; i++) {
        cr_assert(r->held[i].value == NULL || equals(r, r->held[i].value, r->held[i].number));
        nkv_value_release(r->held[i].value);
    }
    cr_assert(!nkvi_cache_tidy(r->cache, r->now_ns, SIZE_MAX));
    nkv_cache_stats stats;
    nkv_cache_get_stats(r->cache, &stats);
    cr_assert_eq(stats.keys, 0);
    cr_assert_eq(stats.pinned_bytes, 0);
    nkv_cache_release(r->cache);
    free(r->content);
    free(r->other);
    free(r);
}

/* Returns how many lookups were hits. */
static uint64_t run(const config *how, uint64_t steps, unsigned char *trace, size_t *traced)
{
    rig *r = rig_open(how, trace);
    for (r->step = 0; r->step < steps; r->step++) {
        size_t what = pick(r, 100);
        if (what < 40) {
            op_put(r);
        } else if (what < 75) {
            op_find(r);
        } else if (what < 79) {
            op_drop(r);
        } else if (what < 82) {
            op_write(r);
        } else if (what < 83) {
            op_flush(r);
        } else if (what < 87) {
            op_owner(r);
        } else if (what < 90) {
            op_start(r);
        } else if (what < 95) {
            op_release(r);
        } else {
            op_time(r);
        }
        check_limits(r);
    }
    uint64_t hits = r->hits;
    if (traced != NULL) {
        *traced = r->traced;
    }
    rig_close(r);
    return hits;
}

static config configs[] = {
    {NKV_INDEX_CHUNKED, NKV_POLICY_LRU, 0, true, true, 0},
    {NKV_INDEX_CHUNKED, NKV_POLICY_LRU, 0, false, true, 0},
    {NKV_INDEX_CHUNKED, NKV_POLICY_LRU, 1, false, true, 0},
    {NKV_INDEX_CHUNKED, NKV_POLICY_S3FIFO, 0, true, true, 0},
    {NKV_INDEX_CHUNKED, NKV_POLICY_S3FIFO, 0, false, true, 0},
    {NKV_INDEX_UTHASH, NKV_POLICY_LRU, 0, true, true, 0},
    {NKV_INDEX_UTHASH, NKV_POLICY_LRU, 0, false, true, 0},
    {NKV_INDEX_UTHASH, NKV_POLICY_S3FIFO, 0, true, true, 0},
    {NKV_INDEX_UTHASH, NKV_POLICY_S3FIFO, 0, false, true, 0},
};

ParameterizedTestParameters(model_cache, the_cache_agrees_with_the_model)
{
    return cr_make_param_array(config, configs, sizeof configs / sizeof configs[0]);
}

ParameterizedTest(config *param, model_cache, the_cache_agrees_with_the_model)
{
    uint64_t seeds[] = {1, 2, 3, 20260101, 0};
    seeds[4] = getenv("NEARKV_SEED") != NULL ? t_run_seed() : 4;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        config how = *param;
        how.seed = seeds[i];
        uint64_t hits = run(&how, 20000, NULL, NULL);
        cr_assert_gt(hits, how.ample ? 3000 : 800, "seed %lu: only %lu hits show little", how.seed,
                     hits);
    }
}

/* The same operations with both indexes and exact LRU: every outcome is the same, so the same keys
 * were thrown out in the same order. */
Test(model_cache, both_indexes_do_the_same_under_strict_lru)
{
    enum { STEPS = 20000, MOST = STEPS * (BATCH + 1) };
    unsigned char *traces[2] = {malloc(MOST), malloc(MOST)};
    T_REQUIRE(traces[0] != NULL && traces[1] != NULL);
    for (uint64_t seed = 11; seed < 16; seed++) {
        size_t traced[2];
        for (int i = 0; i < 2; i++) {
            config how = {i == 0 ? NKV_INDEX_CHUNKED : NKV_INDEX_UTHASH,
                          NKV_POLICY_LRU,
                          1,
                          false,
                          false,
                          seed};
            cr_assert_gt(run(&how, STEPS, traces[i], &traced[i]), 100);
        }
        cr_assert_eq(traced[0], traced[1]);
        for (size_t i = 0; i < traced[0]; i++) {
            cr_assert_eq(traces[0][i], traces[1][i], "seed %lu: outcome %zu differs", seed, i);
        }
    }
    free(traces[0]);
    free(traces[1]);
}
