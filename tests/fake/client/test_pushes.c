/* tests/fake/client/test_pushes.c - what a push does to the cache, in every order and encoding: the
 * acceptance cases 44, 53 (the push of several keys, which any mode may send) and 71 (I4).       */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/proxy.h"

enum { SOON_MS = 10000 };

#define PUSH_K     ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
#define PUSH_OTHER ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n"

static nkv_client *open_on(const char *url)
{
    const nkv_options options = t_near_options(url);
    return t_near_open(&options);
}

static int tracked_conn(t_fake *fake)
{
    const long at = t_fake_find(fake, 0, "CLIENT", "TRACKING", "ON");
    cr_assert_geq(at, 0);
    return t_fake_command_at(fake, (size_t)at).conn;
}

/* ---- Case 44: orders ------------------------------------------------------------------------- */

/* The answers to GET and PTTL with pushes around them; is the answer kept? */
static const struct {
    const char *bytes;
    bool kept;
    const char *what;
} orders[] = {
    {"$1\r\nv\r\n:-1\r\n", true, "no push"},
    {PUSH_K "$1\r\nv\r\n:-1\r\n", true, "the push, then the answer: the answer is newer"},
    {"$1\r\nv\r\n" PUSH_K ":-1\r\n", false, "between the answer and its expiry"},
    {"$1\r\nv\r\n:-1\r\n" PUSH_K, false, "behind both"},
    {PUSH_K PUSH_K "$1\r\nv\r\n:-1\r\n" PUSH_K PUSH_K, false, "twice around it"},
    {"$1\r\nv\r\n" PUSH_OTHER ":-1\r\n" PUSH_OTHER, true, "of another key"},
    {"$1\r\nv\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n:-1\r\n", false, "a flush between them"},
    {">2\r\n$10\r\ninvalidate\r\n_\r\n$1\r\nv\r\n:-1\r\n", true, "a flush before the answer"},
    {"$1\r\nv\r\n:-1\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n", false, "a flush behind both"},
    {"$1\r\nv\r\n:-2\r\n", false, "the key was gone when its expiry was asked for"},
    {"$1\r\nv\r\n:0\r\n", false, "it expires in this millisecond"},
    {"$1\r\nv\r\n-ERR no\r\n", false, "no expiry is told"},
    {"$1\r\nv\r\n$2\r\n-1\r\n", false, "the expiry is no number"},
    {"_\r\n:-2\r\n", true, "nothing there is an answer too"},
};

/* One order, its bytes split at `offset` (0: all in one piece). */
static void check_order(size_t i, size_t offset)
{
    t_fake *fake = t_fake_start(NULL);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_fake_path(fake)}, false);
    nkv_client *client = open_on(t_proxy_url(proxy));
    const int conn = tracked_conn(fake);
    if (offset > 0) {
        t_proxy_split(proxy, T_EVERY, T_TO_CLIENT, &offset, 1);
    }
    t_pending *read = t_near_begin(client, "GET", "k");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PTTL", "k"));
    t_fake_send(fake, conn, orders[i].bytes, strlen(orders[i].bytes));
    const char *first =
        orders[i].bytes[0] == '_' || strstr(orders[i].bytes, "v\r\n") == NULL ? "_" : "v";
    cr_assert(t_says(t_near_end(read), first), "%s, split at %zu", orders[i].what, offset);
    /* A barrier's PONG comes behind all of it. */
    t_fake_on(fake, "_\r\n", "GET", "t:sync");
    t_fake_on(fake, ":-2\r\n", "PTTL", "t:sync");
    t_fake_on(fake, "$5\r\nagain\r\n", "GET", "k");
    t_fake_on(fake, ":-1\r\n", "PTTL", "k");
    t_near_sync(client);
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), orders[i].kept ? NKV_FROM_CACHE : NKV_FROM_SERVER,
                   orders[i].kept ? first : "again"),
              "%s, split at %zu", orders[i].what, offset);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_fake_stop(fake);
}

Test(client_pushes, case_44_every_order_of_answers_and_pushes, .timeout = 60)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        check_order(i, 0);
    }
}

Test(client_pushes, case_44_push_then_reply_at_every_split, .timeout = 60)
{
    for (size_t offset = 1; offset < strlen(orders[1].bytes); offset++) {
        check_order(1, offset);
    }
}

Test(client_pushes, case_44_push_in_between_at_every_split, .timeout = 60)
{
    for (size_t offset = 1; offset < strlen(orders[2].bytes); offset++) {
        check_order(2, offset);
    }
}

/* ---- Cases 53, 71: what is pushed (I4) ------------------------------------------------------- */

/* a, b and c are cached; the push; then the letters of `left` still are. */
static void check_push(const char *push, const char *left, uint64_t unknown)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_on(t_fake_url(fake));
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    static const char *const keys[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        cr_assert(t_is(t_near_get(client, keys[i]), NKV_FROM_SERVER, "v"));
    }
    cr_assert(t_says(t_near_get(client, "t:sync"), "v")); /* a hit: a PING goes ahead of it */
    t_fake_send(fake, tracked_conn(fake), push, strlen(push));
    t_near_sync(client);
    for (int i = 0; i < 3; i++) {
        const bool kept = strchr(left, keys[i][0]) != NULL;
        cr_assert(t_is(t_near_get(client, keys[i]), kept ? NKV_FROM_CACHE : NKV_FROM_SERVER, "v"),
                  "%s after %s", keys[i], push);
    }
    cr_assert_eq(t_near_stats(client).unknown_pushes, unknown, "%s", push);
    cr_assert(t_near_healthy(client), "%s", push);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

Test(client_pushes, i4_case_53_a_push_names_several_keys, .timeout = 30)
{
    check_push(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nc\r\n", "b", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", "", 0);
    check_push(">2\r\n+invalidate\r\n*1\r\n+b\r\n", "ac", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n*0\r\n", "abc", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n*1\r\n$7\r\nunknown\r\n", "abc", 0);
}

Test(client_pushes, i4_case_71_every_null_is_a_flush, .timeout = 30)
{
    check_push(">2\r\n$10\r\ninvalidate\r\n_\r\n", "", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n*-1\r\n", "", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n$-1\r\n", "", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n_\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n", "", 0);
}

/* What is not known is let pass and counted; an invalidation that makes no sense voids all. */
Test(client_pushes, i4_unknown_pushes_are_ignored_and_counted, .timeout = 30)
{
    check_push(">3\r\n+message\r\n+channel\r\n$4\r\ntext\r\n", "abc", 1);
    check_push(">1\r\n+something-new\r\n>2\r\n+new\r\n%1\r\n:1\r\n:2\r\n", "abc", 2);
    check_push(">2\r\n$10\r\ninvalidate\r\n:5\r\n", "", 0);
    check_push(">1\r\n$10\r\ninvalidate\r\n", "", 0);
    check_push(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n:5\r\n", "", 0);
}

/* Pushes keep the answers of a batch in step, wherever they come. */
Test(client_pushes, i4_pushes_inside_of_a_batch, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_client *client = open_on(t_fake_url(fake));
    const int conn = tracked_conn(fake);
    t_pending *read = t_near_begin(client, "MGET", "a", "b", "c");
    cr_assert(t_fake_wait_hits(fake, 3, SOON_MS, "PTTL", "*"));
    t_fake_say(fake, conn,
               ">1\r\n+x\r\n$1\r\n1\r\n>1\r\n+x\r\n:-1\r\n$1\r\n2\r\n"
               ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nb\r\n:-1\r\n>1\r\n+x\r\n$1\r\n3\r\n:-1\r\n");
    cr_assert(t_says(t_near_end(read), "[1 2 3]"));
    t_fake_on(fake, "$1\r\n9\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    cr_assert(t_is(t_near_get(client, "a"), NKV_FROM_CACHE, "1"));
    cr_assert(t_is(t_near_get(client, "b"), NKV_FROM_SERVER, "9"));
    cr_assert(t_is(t_near_get(client, "c"), NKV_FROM_CACHE, "3"));
    cr_assert_eq(t_near_stats(client).unknown_pushes, 3);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
