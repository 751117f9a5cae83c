/* tests/live/client/test_own_writes.c - P2, read your writes: the acceptance cases 49 to 51, and
 * the rows 6, 8 and 20 of the server's behaviours.
 *
 * The server pushes the invalidation of a write behind the reply to the writer, so a client that
 * waited for the push would read its own past. All reads here are EVENTUAL, at once after the
 * write. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

/* ---- Case 49 --------------------------------------------------------------------------------- */

/* A chain on the loop's thread: SET n, in its callback GET, in its callback compare and SET n + 1.
 */
typedef struct chain {
    nkv_client *client;
    int rounds;
    int round;
    int stale;
    int failed;
    char value[24];
    atomic_bool done;
} chain;

static void chain_read(nkv_status status, nkv_value *value, const nkv_call *call, void *ud);

static void chain_written(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    chain *c = ud;
    nkv_value_release(value);
    c->failed += status != NKV_OK;
    const nkv_str argv[] = {nkv_cstr("GET"), nkv_cstr("k")};
    if (nkv_command_async(c->client, 2, argv, NULL, chain_read, c) != NKV_OK) {
        c->failed++;
        atomic_store(&c->done, true);
    }
}

static void chain_write(chain *c)
{
    (void)snprintf(c->value, sizeof c->value, "%d", ++c->round);
    const nkv_str argv[] = {nkv_cstr("SET"), nkv_cstr("k"), nkv_cstr(c->value)};
    if (nkv_command_async(c->client, 3, argv, NULL, chain_written, c) != NKV_OK) {
        c->failed++;
        atomic_store(&c->done, true);
    }
}

static void chain_read(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)call;
    chain *c = ud;
    if (status != NKV_OK) {
        c->failed++;
    } else {
        const nkv_str got = nkv_value_str(value);
        c->stale += got.len != strlen(c->value) || memcmp(got.data, c->value, got.len) != 0;
    }
    nkv_value_release(value);
    if (c->round >= c->rounds) {
        atomic_store(&c->done, true);
        return;
    }
    chain_write(c);
}

T_LIVE(client_own_writes, p2_case_49_read_in_the_callback_of_the_write_1e5_times)
{
    nkv_client *client = t_near_open_on(server);
    chain c = {.client = client, .rounds = 100000};
    chain_write(&c);
    T_WAIT_UNTIL(atomic_load(&c.done), 100000);
    cr_assert(c.round == c.rounds && c.failed == 0, "%d rounds, %d failed", c.round, c.failed);
    cr_assert_eq(c.stale, 0, "%d stale reads", c.stale);
    nkv_client_destroy(client);
}

/* The same from a thread of the user's, with a reader in between that keeps the key cached. */
static void *keep_reading(void *ud)
{
    chain *c = ud;
    while (!atomic_load(&c->done)) {
        nkv_value *value = NULL;
        c->failed += nkv_get(c->client, nkv_cstr("k"), NULL, &value) < 0;
        nkv_value_release(value);
    }
    return NULL;
}

T_LIVE(client_own_writes, p2_case_49_read_behind_a_blocking_write)
{
    nkv_client *client = t_near_open_on(server);
    chain c = {.client = client};
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, keep_reading, &c), 0);
    int stale = 0;
    for (int i = 0; i < 10000; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        cr_assert_eq(t_near_set(client, "k", value), NKV_OK);
        const t_answer answer = t_near_get(client, "k");
        stale += strcmp(answer.text, value) != 0;
    }
    atomic_store(&c.done, true);
    cr_assert_eq(pthread_join(reader, NULL), 0);
    cr_assert_eq(stale, 0, "%d stale reads", stale);
    cr_assert_eq(c.failed, 0);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
}

/* P2 holds for all clients that share the cache. */
T_LIVE(client_own_writes, p2_case_49_writes_through_one_client_are_read_through_another)
{
    nkv_client *writer = t_near_open_on(server);
    nkv_client *reader = NULL;
    cr_assert_eq(nkv_client_share(writer, &reader, NULL), NKV_OK);
    cr_assert_eq(nkv_client_wait_ready(reader, 5000, NULL), NKV_OK);
    int stale = 0;
    for (int i = 0; i < 5000; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        cr_assert_eq(t_near_set(i % 2 != 0 ? writer : reader, "k", value), NKV_OK);
        const t_answer other = t_near_get(i % 2 != 0 ? reader : writer, "k");
        const t_answer own = t_near_get(i % 2 != 0 ? writer : reader, "k");
        stale += strcmp(other.text, value) != 0 || strcmp(own.text, value) != 0;
    }
    cr_assert_eq(stale, 0, "%d stale reads", stale);
    nkv_client_destroy(reader);
    nkv_client_destroy(writer);
}

/* ---- Case 50: everything that writes --------------------------------------------------------- */

enum { WORDS_MAX = 12 };

typedef struct write_case {
    const char *min; /* a command the server must know; NULL: all do */
    const char *argv[WORDS_MAX];
} write_case;

static const write_case writes[] = {
    {NULL, {"SET", "s1", "new"}},
    {NULL, {"SET", "s1", "new", "EX", "100"}},
    {NULL, {"SET", "s1", "new", "GET"}},
    {NULL, {"GETSET", "s1", "new"}},
    {NULL, {"GETDEL", "s1"}},
    {NULL, {"GETEX", "s1", "PX", "1"}},
    {NULL, {"SETNX", "none", "new"}},
    {NULL, {"SETEX", "s1", "100", "new"}},
    {NULL, {"PSETEX", "s1", "100000", "new"}},
    {NULL, {"APPEND", "s1", "!"}},
    {NULL, {"SETRANGE", "s1", "1", "xx"}},
    {NULL, {"SETBIT", "s1", "7", "1"}},
    {NULL, {"INCR", "n1"}},
    {NULL, {"DECRBY", "n1", "5"}},
    {NULL, {"INCRBYFLOAT", "n1", "0.5"}},
    {NULL, {"DEL", "s1"}},
    {NULL, {"DEL", "s1", "s2", "l1"}},
    {NULL, {"UNLINK", "s1", "s2"}},
    {NULL, {"RENAME", "s1", "s2"}},
    {NULL, {"RENAMENX", "s1", "none"}},
    {NULL, {"MSET", "s1", "a", "s2", "b"}},
    {NULL, {"MSETNX", "none", "a", "none2", "b"}},
    {NULL, {"COPY", "s1", "s2", "REPLACE"}},
    {NULL, {"MOVE", "s1", "9"}},
    {NULL, {"PEXPIRE", "s1", "1"}},
    {NULL, {"EXPIREAT", "s1", "1"}},
    {NULL, {"BITOP", "NOT", "s2", "s1"}},
    {NULL, {"BITFIELD", "s1", "SET", "u8", "0", "200"}},
    {NULL, {"PFADD", "none", "x"}},
    {NULL, {"HSET", "h1", "f", "new"}},
    {NULL, {"HDEL", "h1", "f"}},
    {NULL, {"HINCRBY", "h1", "n", "2"}},
    {NULL, {"LPUSH", "l1", "new"}},
    {NULL, {"RPOP", "l1"}},
    {NULL, {"LSET", "l1", "0", "new"}},
    {NULL, {"LTRIM", "l1", "1", "1"}},
    {NULL, {"LMOVE", "l1", "l2", "LEFT", "RIGHT"}},
    {NULL, {"RPOPLPUSH", "l1", "l2"}},
    {"LMPOP", {"LMPOP", "2", "none", "l1", "LEFT"}},
    {NULL, {"SADD", "set1", "new"}},
    {NULL, {"SREM", "set1", "a"}},
    {NULL, {"SPOP", "set1", "5"}},
    {NULL, {"SMOVE", "set1", "set2", "a"}},
    {NULL, {"SUNIONSTORE", "set2", "set1"}},
    {NULL, {"SINTERSTORE", "set2", "set1", "none"}},
    {NULL, {"SDIFFSTORE", "set1", "none"}},
    {NULL, {"ZADD", "z1", "9", "new"}},
    {NULL, {"ZINCRBY", "z1", "2", "a"}},
    {NULL, {"ZREM", "z1", "a"}},
    {NULL, {"ZPOPMIN", "z1"}},
    {"ZMPOP", {"ZMPOP", "2", "none", "z1", "MAX"}},
    {NULL, {"ZREMRANGEBYRANK", "z1", "0", "0"}},
    {NULL, {"ZUNIONSTORE", "z2", "1", "z1"}},
    {NULL, {"ZRANGESTORE", "z2", "z1", "0", "0"}},
    {NULL, {"GEOADD", "z1", "1", "1", "here"}},
    {NULL, {"XADD", "x1", "9-9", "f", "v"}},
    {NULL, {"XTRIM", "x1", "MAXLEN", "0"}},
    {NULL, {"XDEL", "x1", "1-1"}},
    {NULL, {"SORT", "l1", "ALPHA", "DESC", "STORE", "l2"}},
    {NULL, {"RESTORE", "s1", "0", "garbage"}},
    {NULL, {"FLUSHDB"}},
    {NULL, {"FLUSHALL", "ASYNC"}},
};

static const char *const keys[] = {"s1",   "s2", "n1", "h1", "l1",   "l2",   "set1",
                                   "set2", "z1", "z2", "x1", "none", "none2"};
enum { KEYS = sizeof keys / sizeof keys[0] };

static void fill(t_ctl *ctl)
{
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "MSET", "s1", "old", "s2", "other", "n1", "7");
    t_ctl_ok(ctl, "HSET", "h1", "f", "v", "n", "1");
    t_ctl_ok(ctl, "RPUSH", "l1", "a", "b", "c");
    t_ctl_ok(ctl, "RPUSH", "l2", "x");
    t_ctl_ok(ctl, "SADD", "set1", "a");
    t_ctl_ok(ctl, "SADD", "set2", "x");
    t_ctl_ok(ctl, "ZADD", "z1", "1", "a", "2", "b");
    t_ctl_ok(ctl, "ZADD", "z2", "1", "x");
    t_ctl_ok(ctl, "XADD", "x1", "1-1", "f", "v");
}

/* The whole content of a key through the client, as text, by a command that is cached. */
static t_answer content(nkv_client *client, const char *key)
{
    switch (key[0]) {
    case 'h':
        return t_near(client, "HGETALL", key);
    case 'l':
        return t_near(client, "LRANGE", key, "0", "-1");
    case 'z':
        return t_near(client, "ZRANGE", key, "0", "-1", "WITHSCORES");
    case 'x':
        return t_near(client, "XRANGE", key, "-", "+");
    case 'n':
        return t_near(client, "TYPE", key);
    default:
        break;
    }
    return key[1] == 'e' ? t_near(client, "SMEMBERS", key) : t_near(client, "GET", key);
}

static void check_write(nkv_client *client, nkv_client *plain, t_ctl *ctl, const write_case *w)
{
    fill(ctl);
    t_near_sync(client);
    for (int i = 0; i < 2; i++) { /* the second time it is in the cache */
        for (size_t k = 0; k < KEYS; k++) {
            const t_answer answer = content(client, keys[k]);
            cr_assert(i == 0 || answer.from == NKV_FROM_CACHE, "%s", keys[k]);
        }
    }
    const t_answer written = t_near_argv(client, NULL, w->argv);
    cr_assert(written.status >= 0 || written.status == NKV_EREPLY, "%s: %s", w->argv[0],
              written.error.text);
    t_answer got[KEYS];
    for (size_t k = 0; k < KEYS; k++) {
        got[k] = content(client, keys[k]);
    }
    for (size_t k = 0; k < KEYS; k++) {
        const t_answer truth = content(plain, keys[k]);
        if (strcmp(w->argv[0], "GETEX") == 0 || strcmp(w->argv[0], "PEXPIRE") == 0) {
            continue; /* 1 ms may or may not have passed: looked at below */
        }
        cr_assert_str_eq(got[k].text, truth.text, "%s: stale %s", w->argv[0], keys[k]);
    }
    t_sleep_ms(strstr(w->argv[0], "EX") != NULL ? 2 : 0);
    cr_assert(t_says(content(client, "s1"), content(plain, "s1").text), "%s", w->argv[0]);
}

T_LIVE(client_own_writes, p2_case_50_every_command_that_writes_is_read_back)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.no_cache = 1;
    nkv_client *plain = t_near_start(&options);
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        if (writes[i].min == NULL || t_ctl_has_command(ctl, writes[i].min)) {
            check_write(client, plain, ctl, &writes[i]);
        }
    }
    cr_assert_eq(t_near_stats(client).writes, sizeof writes / sizeof writes[0]);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(plain);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_own_writes, p2_case_50_set_and_del_calls)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_says(t_near_get(client, "a"), "_"));
    cr_assert_eq(nkv_set(client, nkv_cstr("a"), nkv_cstr("1"), 60000, NULL), NKV_OK);
    cr_assert(t_says(t_near_get(client, "a"), "1"));
    const long long left = t_ctl_int(ctl, "PTTL", "a");
    cr_assert(left > 50000 && left <= 60000);
    cr_assert_eq(nkv_set(client, nkv_cstr("a"), nkv_cstr("2"), 0, NULL), NKV_OK);
    cr_assert_eq(t_ctl_int(ctl, "PTTL", "a"), -1);
    cr_assert_eq(t_near_set(client, "b", "3"), NKV_OK);
    cr_assert(t_says(t_near(client, "EXISTS", "a", "b"), ":2"));
    const nkv_str gone[] = {nkv_cstr("a"), nkv_cstr("none"), nkv_cstr("b")};
    int64_t removed = -1;
    cr_assert_eq(nkv_del(client, gone, 3, NULL, &removed), NKV_OK);
    cr_assert_eq(removed, 2);
    cr_assert(t_says(t_near(client, "EXISTS", "a", "b"), ":0"));
    cr_assert(t_says(t_near_get(client, "a"), "_"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Row 8: what SET … GET, GETSET and SET hand back does not register tracking and is not cached. */
T_LIVE(client_own_writes, row_8_answers_of_writes_are_not_cached)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    cr_assert_eq(t_near_set(client, "k", "1"), NKV_OK);
    t_ctl_ok(ctl, "SET", "k", "2");
    cr_assert(t_says(t_near(client, "SET", "k", "3", "GET"), "2"));
    t_ctl_ok(ctl, "SET", "k", "4"); /* of this nobody is told */
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "4"));
    cr_assert(t_says(t_near(client, "GETSET", "k", "5"), "4"));
    t_ctl_ok(ctl, "SET", "k", "6");
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "6"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* ---- Case 51: transactions and scripts ------------------------------------------------------- */

T_LIVE(client_own_writes, p2_case_51_own_transaction)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "MSET", "a", "1", "b", "1");
    cr_assert(t_says(t_near_get(client, "a"), "1"));
    cr_assert(t_says(t_near_get(client, "b"), "1"));
    const nkv_str set_a[] = {nkv_cstr("SET"), nkv_cstr("a"), nkv_cstr("2")};
    const nkv_str get_a[] = {nkv_cstr("GET"), nkv_cstr("a")};
    const nkv_str incr_b[] = {nkv_cstr("INCR"), nkv_cstr("b")};
    const nkv_str wrong[] = {nkv_cstr("LPUSH"), nkv_cstr("a"), nkv_cstr("x")};
    const nkv_argv commands[] = {{3, set_a}, {2, get_a}, {2, incr_b}, {3, wrong}};
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, commands, 4, NULL, &value), NKV_OK);
    char text[256];
    const nkv_reply reply = nkv_value_reply(value);
    t_near_write(&reply, text, sizeof text);
    cr_assert(strncmp(text, "[+OK 2 :2 -WRONGTYPE ", 21) == 0, "%s", text);
    nkv_value_release(value);
    cr_assert(t_is(t_near_get(client, "a"), NKV_FROM_SERVER, "2"));
    cr_assert(t_is(t_near_get(client, "b"), NKV_FROM_SERVER, "2"));
    cr_assert(t_is(t_near_get(client, "a"), NKV_FROM_CACHE, "2"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Row 20: what a transaction read is not what is cached. A transaction that the server refuses has
 * changed nothing and says so; one that cannot be sent at all is told before anything is sent.   */
T_LIVE(client_own_writes, case_51_refused_transactions)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    const nkv_str set[] = {nkv_cstr("SET"), nkv_cstr("a"), nkv_cstr("2")};
    const nkv_str bad[] = {nkv_cstr("SET"), nkv_cstr("a")};
    const nkv_argv refused[] = {{3, set}, {2, bad}};
    nkv_call call;
    nkv_call_init(&call);
    nkv_value *value = NULL;
    cr_assert_eq(nkv_transaction(client, refused, 2, &call, &value), NKV_EREPLY);
    cr_assert(strstr(call.error.text, "EXECABORT") != NULL ||
                  strstr(call.error.text, "wrong number of arguments") != NULL,
              "%s", call.error.text);
    nkv_value_release(value);
    cr_assert(t_says(t_near_get(client, "a"), "_"));

    const nkv_str select[] = {nkv_cstr("SELECT"), nkv_cstr("1")};
    const nkv_str watch[] = {nkv_cstr("WATCH"), nkv_cstr("a")};
    const nkv_str exec[] = {nkv_cstr("EXEC")};
    const nkv_argv changing[][2] = {
        {{3, set}, {2, select}}, {{3, set}, {2, watch}}, {{3, set}, {1, exec}}};
    for (size_t i = 0; i < 3; i++) {
        value = NULL;
        const nkv_status status = nkv_transaction(client, changing[i], 2, &call, &value);
        cr_assert_eq(status, NKV_EREFUSED, "%zu: %s", i, nkv_status_text(status));
        cr_assert_null(value);
    }
    cr_assert(t_says(t_near_get(client, "a"), "_"));
    cr_assert_null(t_ctl_text(ctl, "GET", "a"));
    /* An empty one is an empty answer or an error of ours, but not a hang. */
    value = NULL;
    const nkv_status status = nkv_transaction(client, NULL, 0, &call, &value);
    cr_assert(status == NKV_OK || status == NKV_EINVAL);
    nkv_value_release(value);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

T_LIVE(client_own_writes, p2_case_51_scripts_that_name_their_keys)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 200; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        cr_assert(t_near_get(client, "a").status >= 0 && t_near_get(client, "b").status >= 0);
        cr_assert(t_says(t_near(client, "EVAL",
                                "redis.call('SET',KEYS[1],ARGV[1]);"
                                "return redis.call('SET',KEYS[2],ARGV[1])",
                                "2", "a", "b", value),
                         "+OK"));
        cr_assert(t_says(t_near_get(client, "a"), value));
        cr_assert(t_says(t_near_get(client, "b"), value));
    }
    char *sha = t_ctl_text(ctl, "SCRIPT", "LOAD", "return redis.call('INCR',KEYS[1])");
    cr_assert(t_says(t_near(client, "EVALSHA", sha, "1", "a"), ":200"));
    cr_assert(t_says(t_near_get(client, "a"), "200"));
    free(sha);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* A script may write keys that it does not name, against the server's rule; nobody can know them
 * before the push. The next BARRIER read sees them at the latest, as it sees all that anybody
 * wrote. */
T_LIVE(client_own_writes, case_51_keys_that_a_script_hides_are_seen_by_a_barrier_read)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    for (int i = 0; i < 200; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        cr_assert_geq((int)t_near_get(client, "hidden").status, 0);
        cr_assert(
            t_says(t_near(client, "EVAL", "return redis.call('SET','hidden',ARGV[1])", "0", value),
                   "+OK"));
        cr_assert(t_says(t_near_get_at(client, "hidden", NKV_BARRIER), value));
    }
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
