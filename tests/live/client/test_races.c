/* tests/live/client/test_races.c - a reply and an invalidation under way at the same time: the
 * acceptance cases 44 to 48, against real servers (fake/client has the scripted ones).
 *
 * The proxy holds one direction of the connections, so that each race is a script.               */

#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

typedef struct scene {
    t_ctl *ctl;
    t_proxy *proxy;
    nkv_client *client;
} scene;

static scene open_scene(const t_server *server)
{
    scene s = {.ctl = t_ctl_open(server),
               .proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false)};
    const nkv_options options = t_near_options(t_proxy_url(s.proxy));
    s.client = t_near_open(&options);
    cr_assert_eq(t_near_set(s.client, "t:prime", ""), NKV_OK); /* every connection is there now */
    return s;
}

static void close_scene(scene *s)
{
    cr_assert(t_near_identity(s->client));
    nkv_client_destroy(s->client);
    t_proxy_stop(s->proxy);
    t_ctl_close(s->ctl);
}

/* Waits until bytes that the server has sent lie in the proxy. */
static void wait_kept(const scene *s, uint64_t more_than)
{
    T_WAIT_UNTIL(t_proxy_kept(s->proxy, T_EVERY, T_TO_CLIENT) > more_than, 5000);
}

/* ---- Case 44 --------------------------------------------------------------------------------- */

/* The reply, then the push behind it: the answer is the caller's and is not kept, wherever the
 * bytes are split, and when all of it arrives in one read. */
static void check_split(scene *s, size_t offset, size_t total)
{
    t_ctl_ok(s->ctl, "SET", "k", "old");
    t_near_sync(s->client);
    const long long gets = t_ctl_calls(s->ctl, "get");
    t_proxy_hold(s->proxy, T_EVERY, T_TO_CLIENT);
    t_pending *pending = t_near_begin(s->client, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(s->ctl, "get") > gets, 5000);
    wait_kept(s, 0);
    t_ctl_ok(s->ctl, "SET", "k", "new");
    /* The push is written before the SET is acknowledged, but may take a moment to the proxy. */
    T_WAIT_UNTIL(t_proxy_kept(s->proxy, T_EVERY, T_TO_CLIENT) >= total, 5000);
    if (offset > 0) {
        t_proxy_split(s->proxy, T_EVERY, T_TO_CLIENT, &offset, 1);
    }
    t_proxy_release(s->proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_end(pending), "old"), "offset %zu", offset);
    t_near_sync(s->client);
    cr_assert(t_is(t_near_get(s->client, "k"), NKV_FROM_SERVER, "new"), "offset %zu", offset);
    cr_assert(t_is(t_near_get(s->client, "k"), NKV_FROM_CACHE, "new"), "offset %zu", offset);
}

T_LIVE(client_races, case_44_reply_then_push_at_every_split)
{
    scene s = open_scene(server);
    /* the replies to GET and PTTL and the push. */
    const size_t total = strlen("$3\r\nold\r\n:-1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    for (size_t offset = 0; offset < total; offset++) {
        check_split(&s, offset, total);
    }
    close_scene(&s);
}

/* Every byte of the stream by itself. */
T_LIVE(client_races, case_44_one_byte_at_a_time)
{
    scene s = open_scene(server);
    t_proxy_chop(s.proxy, T_EVERY, T_TO_CLIENT, 1);
    for (int i = 0; i < 10; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "v%d", i);
        t_ctl_ok(s.ctl, "SET", "k", value);
        t_near_sync(s.client);
        cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, value));
        cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, value));
    }
    close_scene(&s);
}

/* The push first, then the reply: what the server said last is new and is kept. Here the push is
 * caused while the GET waits in the proxy.                                                       */
T_LIVE(client_races, case_44_push_then_reply_is_cached)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    cr_assert(t_says(t_near(s.client, "STRLEN", "k"), ":3")); /* tracked */
    t_proxy_hold(s.proxy, T_EVERY, T_TO_SERVER);
    t_pending *pending = t_near_begin(s.client, "GET", "k");
    T_WAIT_UNTIL(t_proxy_kept(s.proxy, T_EVERY, T_TO_SERVER) > 0, 5000);
    t_ctl_ok(s.ctl, "SET", "k", "newer");
    T_WAIT_UNTIL(t_near_stats(s.client).invalidations == 1, 5000);
    t_proxy_release(s.proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(pending), "newer"));
    cr_assert(t_says(t_near_get(s.client, "k"), "newer"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "newer"));
    close_scene(&s);
}

/* ---- Case 45: a flush while a read is under way ---------------------------------------------- */

T_LIVE(client_races, case_45_flush_behind_the_reply)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    const long long gets = t_ctl_calls(s.ctl, "get");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    t_pending *pending = t_near_begin(s.client, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(s.ctl, "get") > gets, 5000);
    t_ctl_ok(s.ctl, "FLUSHALL");
    wait_kept(&s, 0);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_end(pending), "old"));
    t_near_sync(s.client);
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "_"));
    close_scene(&s);
}

T_LIVE(client_races, case_45_flush_before_the_reply)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    cr_assert(t_says(t_near(s.client, "STRLEN", "k"), ":3"));
    t_proxy_hold(s.proxy, T_EVERY, T_TO_SERVER);
    t_pending *pending = t_near_begin(s.client, "GET", "k");
    T_WAIT_UNTIL(t_proxy_kept(s.proxy, T_EVERY, T_TO_SERVER) > 0, 5000);
    t_ctl_ok(s.ctl, "FLUSHALL");
    t_ctl_ok(s.ctl, "SET", "k", "new");
    T_WAIT_UNTIL(t_near_stats(s.client).flushes > 0, 5000);
    t_proxy_release(s.proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(pending), "new"));
    t_near_sync(s.client);
    cr_assert(t_says(t_near_get(s.client, "k"), "new"));
    close_scene(&s);
}

/* ---- Cases 46, 47: one question for many (I3) ------------------------------------------------ */

enum { MANY = 1000 };

typedef struct tally {
    atomic_int done;
    atomic_int by_from[4];
    atomic_int by_status[32]; /* -status; 0: done, 31: a positive one                             */
    char text[64];            /* what the answers must be; "": not looked at                      */
    atomic_int wrong;
} tally;

static void take(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    tally *t = ud;
    if (t->text[0] != '\0') {
        const nkv_str got = value != NULL ? nkv_value_str(value) : nkv_cstr("");
        if (got.len != strlen(t->text) || memcmp(got.data, t->text, got.len) != 0) {
            atomic_fetch_add(&t->wrong, 1);
        }
    }
    nkv_value_release(value);
    atomic_fetch_add(&t->by_from[call->from & 3], 1);
    atomic_fetch_add(&t->by_status[status > 0 ? 31 : -(int)status], 1);
    atomic_fetch_add(&t->done, 1);
}

static void ask_many(nkv_client *client, const char *key, int64_t timeout_ms, tally *t)
{
    const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr(key)};
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = timeout_ms;
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(nkv_command_async(client, 2, argv, &call, take, t), NKV_OK);
    }
}

T_LIVE(client_races, i3_case_46_a_thousand_misses_are_one_request)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    tally t = {.text = "v"};
    ask_many(s.client, "k", 0, &t);
    T_WAIT_UNTIL(t_ctl_calls(s.ctl, "get") > 0, 5000);
    wait_kept(&s, 0);
    cr_assert_eq(atomic_load(&t.done), 0);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(atomic_load(&t.done) == MANY, 5000);
    cr_assert_eq(atomic_load(&t.wrong), 0);
    cr_assert_eq(t_ctl_calls(s.ctl, "get"), 1);
    cr_assert_eq(t_ctl_calls(s.ctl, "pttl"), 1);
    cr_assert_eq(atomic_load(&t.by_from[NKV_FROM_SERVER]), 1);
    cr_assert_eq(atomic_load(&t.by_from[NKV_FROM_JOINED]), MANY - 1);
    const nkv_stats stats = t_near_stats(s.client);
    cr_assert(stats.misses == 1 && stats.coalesced == MANY - 1 && stats.hits == 0);
    close_scene(&s);
}

T_LIVE(client_races, case_46_sixteen_threads_are_one_request)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    t_pending *pending[16];
    for (int i = 0; i < 16; i++) {
        pending[i] = t_near_begin(s.client, "GET", "k");
    }
    T_WAIT_UNTIL(t_near_stats(s.client).inflight > 0, 5000);
    t_sleep_ms(20); /* for the last threads; a late one would be a hit, and that is right too */
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    for (int i = 0; i < 16; i++) {
        cr_assert(t_says(t_near_end(pending[i]), "v"));
    }
    cr_assert_eq(t_ctl_calls(s.ctl, "get"), 1);
    close_scene(&s);
}

/* The flight's owner gets an error: so do all, each once, and the next read works at once. */
T_LIVE(client_races, i3_case_47_wrongtype_completes_all_waiters)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "RPUSH", "k", "x");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    tally t = {.text = ""};
    ask_many(s.client, "k", 0, &t);
    wait_kept(&s, 0);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(atomic_load(&t.done) == MANY, 5000);
    cr_assert_eq(atomic_load(&t.by_status[-NKV_EREPLY]), MANY);
    const t_answer next = t_near_get(s.client, "k");
    cr_assert(t_failed(next, NKV_EREPLY, "WRONGTYPE") && next.took_ms < 1000);
    t_ctl_ok(s.ctl, "DEL", "k");
    t_near_sync(s.client);
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "_"));
    cr_assert_eq(t_near_stats(s.client).failures, MANY + 1);
    close_scene(&s);
}

T_LIVE(client_races, i3_case_47_noperm_completes_all_waiters)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">secret", "+@all", "~allowed:*");
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_options options = t_near_options(t_proxy_url(proxy));
    options.username = "ann";
    options.password = "secret";
    nkv_client *client = t_near_open(&options);
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    tally t = {.text = ""};
    ask_many(client, "k", 0, &t);
    T_WAIT_UNTIL(t_proxy_kept(proxy, T_EVERY, T_TO_CLIENT) > 0, 5000);
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(atomic_load(&t.done) == MANY, 5000);
    cr_assert_eq(atomic_load(&t.by_status[-NKV_EREPLY]), MANY);
    cr_assert(t_failed(t_near_get(client, "k"), NKV_EREPLY, "NOPERM"));
    cr_assert(t_is(t_near_get(client, "allowed:k"), NKV_FROM_SERVER, "_"));
    cr_assert(t_is(t_near_get(client, "allowed:k"), NKV_FROM_CACHE, "_"));
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* Every waiter has its own deadline, also those that wait for another's question. */
T_LIVE(client_races, i3_case_47_timeouts_are_each_waiters_own)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    tally patient = {.text = "v"};
    tally hasty = {.text = ""};
    const int64_t begin_ms = t_now_ms();
    ask_many(s.client, "k", 300, &hasty); /* the first of these asks the server */
    ask_many(s.client, "k", 5000, &patient);
    T_WAIT_UNTIL(atomic_load(&hasty.done) == MANY, 5000);
    const int64_t took_ms = t_now_ms() - begin_ms;
    cr_assert(took_ms >= 299 && took_ms < 1500, "%lld ms", (long long)took_ms);
    cr_assert_eq(atomic_load(&hasty.by_status[-NKV_ETIMEDOUT]), MANY);
    cr_assert_eq(atomic_load(&patient.done), 0);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(atomic_load(&patient.done) == MANY, 5000);
    cr_assert_eq(atomic_load(&patient.by_status[0]), MANY);
    cr_assert_eq(atomic_load(&patient.wrong), 0);
    cr_assert(t_says(t_near_get(s.client, "k"), "v"));
    close_scene(&s);
}

T_LIVE(client_races, i3_case_47_a_disconnect_completes_all_waiters)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "v");
    t_proxy_hold(s.proxy, T_EVERY, T_TO_CLIENT);
    tally t = {.text = ""};
    ask_many(s.client, "k", 10000, &t);
    wait_kept(&s, 0);
    const uint64_t generation = t_near_node(s.client).generation;
    const int64_t begin_ms = t_now_ms();
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT); /* for the connections to come */
    t_proxy_cut(s.proxy, T_EVERY, T_RST);
    T_WAIT_UNTIL(atomic_load(&t.done) == MANY, 5000);
    cr_assert_lt(t_now_ms() - begin_ms, 2000);
    cr_assert_eq(atomic_load(&t.by_status[0]) + atomic_load(&t.by_status[-NKV_ECONN]), MANY);
    /* Until it is tracked again a read takes the other connection, of whose end the client may not
     * have heard yet: such a read is lost with it. */
    T_WAIT_UNTIL(t_near_node(s.client).generation > generation && t_near_healthy(s.client), 2000);
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "v"));
    close_scene(&s);
}

/* ---- Case 48: own writes under way (I2) ------------------------------------------------------ */

static int hold_at(const scene *s, t_dir dir, const char *pattern)
{
    const t_trigger at = {
        .when = T_BEFORE, .pattern = pattern, .pattern_len = strlen(pattern), .what = T_DO_HOLD};
    return t_proxy_on(s->proxy, T_EVERY, dir, &at);
}

/* The SET waits in front of the server, a GET gets the value from before: it may be handed over,
 * but must not be there when the SET has returned.                                               */
T_LIVE(client_races, i2_case_48_a_read_before_the_write_is_not_kept)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    const int fired = hold_at(&s, T_TO_SERVER, "$3\r\nSET\r\n");
    t_pending *write = t_near_begin(s.client, "SET", "k", "new");
    cr_assert(t_proxy_wait_fired(s.proxy, fired, 5000));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "old"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "old"), "kept while we write");
    t_proxy_release(s.proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(write), "+OK"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "new"));
    close_scene(&s);
}

/* The SET is executed, its reply waits. */
T_LIVE(client_races, i2_case_48_a_read_before_the_writes_reply_is_not_kept)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    cr_assert(t_says(t_near_get(s.client, "k"), "old"));
    const int fired = hold_at(&s, T_TO_CLIENT, "+OK\r\n");
    t_pending *write = t_near_begin(s.client, "SET", "k", "new");
    cr_assert(t_proxy_wait_fired(s.proxy, fired, 5000));
    const t_answer during = t_near_get(s.client, "k");
    cr_assert_eq(during.from, NKV_FROM_SERVER);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_end(write), "+OK"));
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_SERVER, "new"), "kept in between");
    cr_assert(t_is(t_near_get(s.client, "k"), NKV_FROM_CACHE, "new"));
    close_scene(&s);
}

/* The read was sent before the write and is answered (with the old value) after it returned; who
 * asks after the write must neither join that read nor find its answer.                          */
T_LIVE(client_races, i2_case_48_a_read_older_than_the_write_is_not_joined)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    const int fired = hold_at(&s, T_TO_CLIENT, "$3\r\nold\r\n");
    t_pending *read = t_near_begin(s.client, "GET", "k");
    cr_assert(t_proxy_wait_fired(s.proxy, fired, 5000));
    cr_assert_eq(t_near_set(s.client, "k", "new"), NKV_OK);
    t_pending *after = t_near_begin(s.client, "GET", "k");
    T_WAIT_UNTIL(t_ctl_calls(s.ctl, "get") == 2, 5000);
    t_proxy_release(s.proxy, T_EVERY, T_TO_CLIENT);
    cr_assert(t_says(t_near_end(read), "old"));
    cr_assert(t_says(t_near_end(after), "new"), "joined a read older than the write");
    cr_assert(t_says(t_near_get(s.client, "k"), "new"));
    close_scene(&s);
}

/* I3: a push made the flight dirty: who asks later starts a new one. */
T_LIVE(client_races, i3_a_flight_made_dirty_by_a_push_is_not_joined)
{
    scene s = open_scene(server);
    t_ctl_ok(s.ctl, "SET", "k", "old");
    const t_trigger at_pttl = {
        .when = T_BEFORE, .pattern = "PTTL", .pattern_len = 4, .what = T_DO_HOLD};
    const int fired = t_proxy_on(s.proxy, T_EVERY, T_TO_SERVER, &at_pttl);
    t_pending *read = t_near_begin(s.client, "GET", "k");
    cr_assert(t_proxy_wait_fired(s.proxy, fired, 5000));
    T_WAIT_UNTIL(t_ctl_calls(s.ctl, "get") == 1, 5000);
    t_ctl_ok(s.ctl, "SET", "k", "new");
    T_WAIT_UNTIL(t_near_stats(s.client).invalidations == 1, 5000);
    const uint64_t kept = t_proxy_kept(s.proxy, T_EVERY, T_TO_SERVER);
    t_pending *after = t_near_begin(s.client, "GET", "k");
    T_WAIT_UNTIL(t_proxy_kept(s.proxy, T_EVERY, T_TO_SERVER) > kept, 5000);
    t_proxy_release(s.proxy, T_EVERY, T_TO_SERVER);
    cr_assert(t_says(t_near_end(read), "old"));
    cr_assert(t_says(t_near_end(after), "new"), "P1: older than an invalidation already received");
    close_scene(&s);
}
