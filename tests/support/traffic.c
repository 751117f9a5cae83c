/* support/traffic.c - see traffic.h. */

#include "support/traffic.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { CHAIN_MAX = 512, BATCH = 64 };

/* ---- A growing list of requests ----------------------------------------------------------------
 * */

typedef struct writer {
    t_traffic traffic;
    size_t from_cap, blocks_cap, blocks;
} writer;

static void *grown(void *block, size_t count, size_t size)
{
    void *larger = realloc(block, count * size);
    T_REQUIRE(larger != NULL);
    return larger;
}

static void begin_request(writer *w)
{
    if (w->traffic.requests + 2 > w->from_cap) {
        w->from_cap = w->from_cap * 2 + 1024;
        w->traffic.from = grown(w->traffic.from, w->from_cap, sizeof *w->traffic.from);
    }
    w->traffic.from[w->traffic.requests++] = w->blocks;
}

static void add_block(writer *w, uint64_t block)
{
    if (w->blocks == w->blocks_cap) {
        w->blocks_cap = w->blocks_cap * 2 + 1024;
        w->traffic.blocks = grown(w->traffic.blocks, w->blocks_cap, sizeof *w->traffic.blocks);
    }
    w->traffic.blocks[w->blocks++] = block;
}

static t_traffic done(writer *w)
{
    w->traffic.from[w->traffic.requests] = w->blocks;
    return w->traffic;
}

/* ---- Made traffic ------------------------------------------------------------------------------
 * */

/* A chain of an earlier request, as long ago as conversations pause: the gap spreads over powers of
 * two around a few hundred requests. */
static size_t earlier(t_rng *rng, size_t requests)
{
    uint64_t scale = (uint64_t)16 << t_rng_below(rng, 9);
    uint64_t gap = 1 + t_rng_below(rng, scale);
    return gap > requests ? (size_t)t_rng_below(rng, requests) : requests - (size_t)gap;
}

static uint64_t more_blocks(t_rng *rng)
{
    uint64_t longest = (uint64_t)4 << t_rng_below(rng, 5);
    return 1 + t_rng_below(rng, longest);
}

t_traffic t_traffic_make(size_t requests, uint64_t seed)
{
    writer w;
    memset(&w, 0, sizeof w);
    t_rng rng;
    t_rng_init(&rng, seed);
    uint64_t next = 1; /* 0 is the block that is common to many */
    for (size_t i = 0; i < requests; i++) {
        size_t base = i > 0 && t_rng_below(&rng, 9) < 4 ? earlier(&rng, i) : requests;
        begin_request(&w);
        size_t len = 0;
        if (base < requests) {
            size_t end = w.traffic.from[base + 1];
            for (size_t at = w.traffic.from[base]; at < end && len < CHAIN_MAX; at++, len++) {
                add_block(&w, w.traffic.blocks[at]);
            }
        } else if (t_rng_below(&rng, 10) != 0) {
            add_block(&w, 0);
        }
        for (uint64_t more = more_blocks(&rng); more > 0 && len < CHAIN_MAX; more--, len++) {
            add_block(&w, next++);
        }
    }
    w.traffic.distinct = (size_t)next;
    return done(&w);
}

/* ---- Read traffic ------------------------------------------------------------------------------
 * */

t_traffic t_traffic_load(const char *path)
{
    size_t len;
    char *text = t_read_file(path, &len);
    if (text == NULL) {
        T_DIE("cannot read %s", path);
    }
    writer w;
    memset(&w, 0, sizeof w);
    begin_request(&w);
    w.traffic.requests = 0;
    uint64_t largest = 0;
    for (char *at = text; (at = strstr(at, "\"hash_ids\"")) != NULL;) {
        at = strchr(at, '[');
        T_REQUIRE(at != NULL);
        begin_request(&w);
        while (*at != ']' && *at != '\0') {
            at++;
            char *end;
            uint64_t block = strtoull(at, &end, 10);
            if (end != at) {
                add_block(&w, block);
                largest = block > largest ? block : largest;
                at = end;
            }
        }
    }
    free(text);
    /* The numbers are given out one after the other. */
    w.traffic.distinct = (size_t)largest + 1;
    return done(&w);
}

void t_traffic_free(t_traffic *traffic)
{
    free(traffic->from);
    free(traffic->blocks);
    memset(traffic, 0, sizeof *traffic);
}

/* ---- Replaying ---------------------------------------------------------------------------------
 * */

static nkv_str name_of(const uint64_t *block)
{
    return nkv_str_make(block, sizeof *block);
}

static bool always(const nkv_value *value)
{
    (void)value;
    return true;
}

/* How many leading blocks are there. */
static size_t prefix(t_kit *kit, const uint64_t *blocks, size_t n)
{
    size_t hits = 0;
    nkvi_query queries[BATCH];
    nkvi_found found[BATCH];
    for (size_t at = 0; at < n; at += BATCH) {
        size_t some = n - at < BATCH ? n - at : BATCH;
        for (size_t i = 0; i < some; i++) {
            queries[i] = t_kit_query(kit, name_of(&blocks[at + i]), nkv_cstr(""));
        }
        size_t looked = nkvi_cache_find_while(kit->cache, queries, some, 1, found, always);
        size_t before = hits;
        for (size_t i = 0; i < looked; i++) {
            hits += found[i].value != NULL;
            nkv_value_release(found[i].value);
        }
        if (hits - before < some) {
            break;
        }
    }
    return hits;
}

double t_traffic_replay(const t_traffic *traffic, t_kit *kit)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < traffic->requests; i++) {
        const uint64_t *blocks = traffic->blocks + traffic->from[i];
        size_t n = traffic->from[i + 1] - traffic->from[i];
        size_t known = prefix(kit, blocks, n);
        hits += known;
        for (size_t j = n; j > known; j--) {
            (void)t_kit_put_integer(kit, name_of(&blocks[j - 1]), nkv_cstr(""), 1);
        }
    }
    return 100.0 * (double)hits / (double)traffic->from[traffic->requests];
}

double t_traffic_ratio(const t_traffic *traffic, nkv_policy policy, int strict,
                       nkv_index_kind index, double percent)
{
    int64_t keys = (int64_t)((double)traffic->distinct * percent / 100);
    nkv_cache_options options = t_kit_options(index, keys > 0 ? keys : 1, -1);
    options.policy = policy;
    options.strict = strict;
    t_kit kit;
    t_kit_open(&kit, &options);
    double ratio = t_traffic_replay(traffic, &kit);
    t_kit_close(&kit);
    return ratio;
}
