/* tests/fake/client/test_shared_lanes.c - two clients on one cache, each with a tracked lane of its
 * own: what one lane has heard binds what the other may still store.
 *
 *      lane A   ........ push k ........ read k = new ........
 *      lane B   GET k sent .................. old comes in ...      old must not be in the cache */
#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/toy_cache.h"

enum { SOON_MS = 10000 };

static const char push_k[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
static const char push_flush[] = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

typedef struct pair {
    t_fake *fake;
    nkv_client *a, *b;
    int conn_a, conn_b;
    t_pending *late; /* b's question for k, whose answer has not come in */
} pair;

static int tracked_conn(t_fake *fake, int nth)
{
    long at = -1;
    for (int i = 0; i < nth; i++) {
        at = t_fake_find(fake, (size_t)(at + 1), "CLIENT", "TRACKING", "ON");
        cr_assert_geq(at, 0);
    }
    return t_fake_command_at(fake, (size_t)at).conn;
}

/* Both are armed, and b has asked for k.  cache: NULL for a built-in one. */
static pair open_pair_on(nkv_cache *cache)
{
    pair p = {.fake = t_fake_start(NULL)};
    nkv_options options = t_near_options(t_fake_url(p.fake));
    options.cache = cache;
    p.a = t_near_open(&options);
    cr_assert_eq(nkv_client_share(p.a, &p.b, NULL), NKV_OK);
    cr_assert_eq(nkv_client_wait_ready(p.b, SOON_MS, NULL), NKV_OK);
    p.conn_a = tracked_conn(p.fake, 1);
    p.conn_b = tracked_conn(p.fake, 2);
    p.late = t_near_begin(p.b, "GET", "k");
    cr_assert(t_fake_wait_hits(p.fake, 1, SOON_MS, "PTTL", "k"));
    return p;
}

static pair open_pair(void)
{
    return open_pair_on(NULL);
}

/* The answer that was on its way to b comes in. */
static void arrive(pair *p, const char *replies, const char *value)
{
    t_fake_send(p->fake, p->conn_b, replies, strlen(replies));
    cr_assert(t_says(t_near_end(p->late), value));
}

static void close_pair(pair *p)
{
    nkv_client_destroy(p->a);
    nkv_client_destroy(p->b);
    t_fake_stop(p->fake);
}

static uint64_t invalidations(nkv_client *client)
{
    nkv_stats stats = {.struct_size = sizeof stats};
    cr_assert_eq(nkv_client_stats(client, &stats), NKV_OK);
    return stats.invalidations + stats.flushes;
}

/* Sends a push to a's lane and waits until it was processed. */
static void hear(pair *p, const char *push, size_t len)
{
    uint64_t before = invalidations(p->a);
    t_fake_send(p->fake, p->conn_a, push, len);
    T_WAIT_UNTIL(invalidations(p->a) > before, SOON_MS);
}

static void answer_new(pair *p)
{
    t_fake_on(p->fake, "$3\r\nnew\r\n", "GET", "k");
    t_fake_on(p->fake, ":-1\r\n", "PTTL", "...");
}

/* P1: the node has said, on one of its lanes, that k changed. */
Test(client_shared_lanes, what_one_lane_heard_keeps_the_others_old_answer_out, .timeout = 30)
{
    pair p = open_pair();
    hear(&p, push_k, sizeof push_k - 1);
    arrive(&p, "$3\r\nold\r\n:-1\r\n", "old");
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(p.b, "k"), NKV_FROM_CACHE, "new"));
    close_pair(&p);
}

Test(client_shared_lanes, a_flush_that_one_lane_heard_does_too, .timeout = 30)
{
    pair p = open_pair();
    hear(&p, push_flush, sizeof push_flush - 1);
    arrive(&p, "$3\r\nold\r\n:-1\r\n", "old");
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    close_pair(&p);
}

/* No push: the server had never told a of k. Who has read the newer answer must not get the older
 * one from the cache afterwards; which of the two is newer nobody can tell, so neither stays. */
Test(client_shared_lanes, answers_that_contradict_each_other_both_go, .timeout = 30)
{
    pair p = open_pair();
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    arrive(&p, "$3\r\nold\r\n:-1\r\n", "old");
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_CACHE, "new"));
    close_pair(&p);
}

/* The same answer is no contradiction: it stays. */
Test(client_shared_lanes, answers_that_agree_stay, .timeout = 30)
{
    pair p = open_pair();
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    arrive(&p, "$3\r\nnew\r\n:-1\r\n", "new");
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_CACHE, "new"));
    cr_assert(t_is(t_near_get(p.b, "k"), NKV_FROM_CACHE, "new"));
    close_pair(&p);
}

/* A third one may have an old answer on its way as well: it finds nothing that it contradicts. */
Test(client_shared_lanes, a_third_old_answer_is_kept_out_too, .timeout = 30)
{
    pair p = open_pair();
    nkv_client *c = NULL;
    cr_assert_eq(nkv_client_share(p.a, &c, NULL), NKV_OK);
    cr_assert_eq(nkv_client_wait_ready(c, SOON_MS, NULL), NKV_OK);
    t_pending *later = t_near_begin(c, "GET", "k");
    cr_assert(t_fake_wait_hits(p.fake, 2, SOON_MS, "PTTL", "k"));
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    arrive(&p, "$3\r\nold\r\n:-1\r\n", "old");
    t_fake_say(p.fake, tracked_conn(p.fake, 3), "$3\r\nold\r\n:-1\r\n");
    cr_assert(t_says(t_near_end(later), "old"));
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    nkv_client_destroy(c);
    close_pair(&p);
}

/* The same in a cache of one's own. */
Test(client_shared_lanes, contradictions_go_from_a_wrapped_cache_as_well, .timeout = 30)
{
    t_toy toy;
    nkv_cache *cache = NULL;
    t_toy_init(&toy);
    cr_assert_eq(nkv_cache_wrap(&t_toy_ops, &toy, &cache, NULL), NKV_OK);
    pair p = open_pair_on(cache);
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    arrive(&p, "$3\r\nold\r\n:-1\r\n", "old");
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(p.b, "k"), NKV_FROM_CACHE, "new"));
    close_pair(&p);
    nkv_cache_release(cache);
}

/* k = "old" is in the cache, and b's lane vouches for it. */
static void let_b_cache_old(pair *p)
{
    arrive(p, "$3\r\nold\r\n:-1\r\n", "old");
    cr_assert(t_is(t_near_get(p->a, "k"), NKV_FROM_CACHE, "old"));
}

/* a has read past what b vouches for, and its newer answer may not be stored. */
Test(client_shared_lanes, an_answer_that_is_not_kept_outdates_the_others_too, .timeout = 30)
{
    pair p = open_pair();
    let_b_cache_old(&p);
    answer_new(&p);
    t_fake_on(p.fake, "-NOPERM no\r\n", "PTTL", "...");
    cr_assert(t_is(t_near_get_at(p.a, "k", NKV_BARRIER), NKV_FROM_SERVER, "new"));
    cr_assert(t_is(t_near_get(p.a, "k"), NKV_FROM_SERVER, "new"));
    close_pair(&p);
}

Test(client_shared_lanes, so_does_another_type, .timeout = 30)
{
    pair p = open_pair();
    let_b_cache_old(&p);
    t_fake_on(p.fake, "-WRONGTYPE it is a list now\r\n", "GET", "k");
    t_fake_on(p.fake, ":-1\r\n", "PTTL", "...");
    cr_assert(t_failed(t_near_get_at(p.a, "k", NKV_BARRIER), NKV_EREPLY, "WRONGTYPE"));
    cr_assert(t_failed(t_near_get(p.a, "k"), NKV_EREPLY, "WRONGTYPE"));
    close_pair(&p);
}

/* Overtaken by what a heard, b's answer is not stored, but it may be newer than what a read since.
 */
Test(client_shared_lanes, an_answer_that_was_overtaken_outdates_the_others_too, .timeout = 30)
{
    pair p = open_pair();
    hear(&p, push_k, sizeof push_k - 1);
    t_pending *between = t_near_begin(p.a, "GET", "k");
    cr_assert(t_fake_wait_hits(p.fake, 2, SOON_MS, "PTTL", "k"));
    t_fake_say(p.fake, p.conn_a, "$3\r\nmid\r\n:-1\r\n");
    cr_assert(t_says(t_near_end(between), "mid"));
    arrive(&p, "$3\r\nnew\r\n:-1\r\n", "new");
    answer_new(&p);
    cr_assert(t_is(t_near_get(p.b, "k"), NKV_FROM_SERVER, "new"));
    close_pair(&p);
}
