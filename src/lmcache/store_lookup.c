/* lmcache/store_lookup.c - contains and prefix.
 *
 * A prefix is looked up in two parts: first as far as the cache answers, in passes that lie on the
 * stack; then the server is asked, a batch of keys at a time. */
#include "base/mem.h"
#include "base/status.h"
#include "core/value.h"
#include "lmcache/store.h"

#define PASS       64u   /* lookups in one pass of the cache */
#define PASS_NAMES 8192u /* bytes of their names */
#define TAIL_ASK   8u    /* keys asked for behind a prefix that the cache knew */

/* ---- contains -------------------------------------------------------------------------------- */

static nkvi_step look_up_all(nkvi_op *op)
{
    return nkvi_op_look_up(op, nkvi_op_wants_all);
}

static nkvi_step (*const contains_steps[])(nkvi_op *) = {look_up_all, NULL};

static nkvi_op_plan contains_plan(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                  const nkv_call *call)
{
    return (nkvi_op_plan){.lmcache = lmcache,
                          .items = items,
                          .n = n,
                          .call = call,
                          .priority = NKV_PRIORITY_PEEK,
                          .steps = contains_steps,
                          .looks_up = true};
}

nkv_status nkv_lmcache_contains(nkv_lmcache *lmcache, nkv_item *items, size_t n, nkv_call *call)
{
    nkvi_op_plan plan = contains_plan(lmcache, items, n, call);
    return nkvi_op_run(&plan, call, NULL);
}

nkv_status nkv_lmcache_submit_contains(nkv_lmcache *lmcache, nkv_item *items, size_t n,
                                       nkv_ticket *ticket)
{
    nkvi_op_plan plan = contains_plan(lmcache, items, n, ticket->call);
    return nkvi_op_submit(&plan, ticket);
}

/* ---- prefix ---------------------------------------------------------------------------------- */

typedef struct walk {
    nkv_lmcache *lmcache;
    const nkv_str *keys;
    size_t n;
    size_t prefix; /* leading chunks that are there */
    bool ended;    /* one that is not was met */
} walk;

static bool go_on(const nkv_value *value)
{
    int64_t number;
    return nkvi_value_integer(value, &number) ? number > 0 : nkvi_value_is_string(value);
}

/* The queries of the next keys that fit a pass; returns how many keys. */
static size_t fill_pass(const walk *w, const nkv_call *call, char *names, nkvi_query *queries)
{
    const nkv_lmcache_options *options = &w->lmcache->options;
    nkv_client *client = w->lmcache->client;
    unsigned width = nkvi_lookup_width(options);
    size_t used = 0, keys = 0;
    for (; w->prefix + keys < w->n && (keys + 1) * width <= PASS; keys++) {
        for (unsigned i = 0; i < width; i++) {
            nkv_lmcache_name name = {.layout = options->layout, .key = w->keys[w->prefix + keys]};
            const nkvi_verb *verb = nkvi_lookup_verb(options, i, &name.part);
            size_t len;
            if (nkv_lmcache_name_build(&name, names + used, PASS_NAMES - used, &len, NULL) !=
                NKV_OK) {
                return keys;
            }
            nkv_str text = nkv_str_make(names + used, len);
            if (!nkvi_key_fits(client, verb, call, text)) {
                return keys;
            }
            queries[keys * width + i] = nkvi_verb_query(client, verb, text);
            used += len;
        }
    }
    return keys;
}

/* Walks as far as the cache answers. */
static void walk_local(walk *w, const nkv_call *call)
{
    const nkv_lmcache_options *options = &w->lmcache->options;
    unsigned width = nkvi_lookup_width(options);
    bool known = true;
    while (known && !w->ended && w->prefix < w->n) {
        char names[PASS_NAMES];
        nkvi_query queries[PASS];
        nkv_value *values[PASS];
        size_t keys = fill_pass(w, call, names, queries);
        size_t got = nkvi_read_hits_while(w->lmcache->client, queries, keys * width, values, go_on);
        known = keys > 0;
        for (size_t i = 0; i < keys && known && !w->ended; i++) {
            nkv_lmcache_meta meta;
            bool gone;
            size_t have = got > i * width ? got - i * width : 0;
            bool absent = have > 0 && !go_on(values[i * width + (have < width ? have : width) - 1]);
            known = have >= width || absent;
            w->ended = absent || (known && nkvi_judge_values(options, &values[i * width], &meta,
                                                             &gone) != NKV_OK);
            w->prefix += known && !w->ended;
        }
        for (size_t i = 0; i < got; i++) {
            nkv_value_release(values[i]);
        }
    }
}

/* Asks for the next keys in one round trip, in the time that is left for all of them. */
static nkv_status walk_ask(walk *w, size_t n, nkv_call *call, int64_t until_ns)
{
    nkv_completion outcome = {.prefix = 0};
    nkv_error error;
    nkv_item *items = nkvi_calloc(n, sizeof *items);
    if (items == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory to ask for %zu keys", n);
        return nkvi_call_done(call, NKV_ENOMEM, NKV_FROM_LOCAL, &error);
    }
    for (size_t i = 0; i < n; i++) {
        items[i].key = w->keys[w->prefix + i];
    }
    nkv_call own;
    nkvi_call_copy(&own, call);
    own.timeout_ms = nkvi_call_left_ms(until_ns);
    nkvi_op_plan plan = contains_plan(w->lmcache, items, n, &own);
    nkv_status status = nkvi_op_run(&plan, call, &outcome);
    if (status < 0 && outcome.prefix < n && items[outcome.prefix].status == NKV_NOT_FOUND) {
        status = NKV_OK; /* what failed lies behind the end of the prefix */
    }
    w->prefix += outcome.prefix;
    w->ended = outcome.prefix < n;
    nkvi_free(items);
    return status;
}

nkv_status nkv_lmcache_prefix(nkv_lmcache *lmcache, const nkv_str *keys, size_t n, nkv_call *call,
                              size_t *prefix)
{
    walk w = {.lmcache = lmcache, .keys = keys, .n = n};
    nkv_status status = NKV_OK;
    nkv_from from = n > 0 ? NKV_FROM_CACHE : NKV_FROM_LOCAL;
    size_t most = (size_t)lmcache->client->options.chunk_size;
    int64_t until_ns = 0;
    if (nkvi_read_hits_allowed(lmcache->client, call)) {
        walk_local(&w, call);
    }
    /* What follows a known prefix is new to everybody more often than not. */
    if (!w.ended && w.prefix < n) {
        until_ns = nkvi_lmcache_deadline(lmcache, call);
    }
    size_t ask = w.prefix > 0 && most > TAIL_ASK ? TAIL_ASK : most;
    while (status == NKV_OK && !w.ended && w.prefix < n) {
        status = walk_ask(&w, n - w.prefix < ask ? n - w.prefix : ask, call, until_ns);
        from = NKV_FROM_SERVER;
        ask = most;
    }
    *prefix = w.prefix;
    if (status == NKV_OK && call != NULL) {
        call->from = from;
    }
    return status;
}
