/* tests/live/client/test_guards.c - what does not pass through shared connections, and what passes
 * but is never kept: the acceptance cases 65, 78 and 79 (I6).                                    */

#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"

enum { WORDS_MAX = 8 };

typedef struct attempt {
    const char *argv[WORDS_MAX];
} attempt;

/* ---- Case 65 --------------------------------------------------------------------------------- */

static const attempt refused[] = {
    {{"SELECT", "1"}},
    {{"select", "1"}},
    {{"AUTH", "pw"}},
    {{"HELLO", "2"}},
    {{"HELLO"}},
    {{"RESET"}},
    {{"QUIT"}},
    {{"MULTI"}},
    {{"EXEC"}},
    {{"DISCARD"}},
    {{"WATCH", "k"}},
    {{"UNWATCH"}},
    {{"SUBSCRIBE", "c"}},
    {{"PSUBSCRIBE", "c*"}},
    {{"SSUBSCRIBE", "c"}},
    {{"UNSUBSCRIBE"}},
    {{"MONITOR"}},
    {{"SYNC"}},
    {{"PSYNC", "?", "-1"}},
    {{"ASKING"}},
    {{"READONLY"}},
    {{"READWRITE"}},
    {{"CLIENT", "TRACKING", "OFF"}},
    {{"CLIENT", "TRACKING", "ON", "NOLOOP"}}, /* case 52: without BCAST it loses invalidations */
    {{"client", "tracking", "on", "BCAST"}},
    {{"CLIENT", "CACHING", "YES"}},
    {{"CLIENT", "REPLY", "OFF"}},
    {{"CLIENT", "REPLY", "SKIP"}},
    {{"CLIENT", "SETNAME", "me"}},
    {{"CLIENT", "NO-EVICT", "ON"}},
    {{"BLPOP", "k", "0"}},
    {{"BRPOP", "k", "0"}},
    {{"BLMOVE", "a", "b", "LEFT", "LEFT", "0"}},
    {{"BRPOPLPUSH", "a", "b", "0"}},
    {{"BLMPOP", "0", "1", "k", "LEFT"}},
    {{"BZPOPMIN", "k", "0"}},
    {{"BZPOPMAX", "k", "0"}},
    {{"BZMPOP", "0", "1", "k", "MIN"}},
    {{"XREAD", "BLOCK", "0", "STREAMS", "k", "$"}},
    {{"XREADGROUP", "GROUP", "g", "c", "block", "0", "STREAMS"}},
    {{"WAIT", "1", "0"}},
};

T_LIVE(client_guards, i6_case_65_commands_that_change_the_connection_are_refused)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_ctl_ok(ctl, "SET", "k", "v");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert_eq(t_near_set(client, "prime", "x"), NKV_OK);
    const nkv_node_health before = t_near_node(client);
    const long long commands = t_ctl_info_int(ctl, "stats", "total_commands_processed");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const t_answer answer = t_near_argv(client, NULL, refused[i].argv);
        cr_assert_eq(answer.status, NKV_EREFUSED, "%s %s: %s", refused[i].argv[0],
                     refused[i].argv[1], nkv_status_text(answer.status));
        cr_assert_gt(strlen(answer.error.text), 10, "%s does not say why", refused[i].argv[0]);
        nkv_call call;
        nkv_call_init(&call);
        call.no_cache = 1; /* nor by any other way */
        cr_assert_eq(t_near_argv(client, &call, refused[i].argv).status, NKV_EREFUSED);
    }
    /* Nothing of it reached the server: only our own INFO, and a watchdog's PING. */
    cr_assert_leq(t_ctl_info_int(ctl, "stats", "total_commands_processed") - commands, 3);
    cr_assert_eq(t_near_node(client).generation, before.generation);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    t_ctl_ok(ctl, "SET", "k", "w");
    t_near_sync(client);
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "w"), "tracking was lost");
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

static void never(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    (void)status;
    (void)call;
    nkv_value_release(value);
    *(volatile int *)ud = 1;
}

/* A call that fails at once calls nobody back, and a transaction has no way around. */
T_LIVE(client_guards, i6_case_65_refused_async_and_in_transactions)
{
    nkv_client *client = t_near_open_on(server);
    volatile int called = 0;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        nkv_str argv[WORDS_MAX];
        int argc = 0;
        for (; argc < WORDS_MAX && refused[i].argv[argc] != NULL; argc++) {
            argv[argc] = nkv_cstr(refused[i].argv[argc]);
        }
        cr_assert_eq(nkv_command_async(client, argc, argv, NULL, never, (void *)(uintptr_t)&called),
                     NKV_EREFUSED, "%s", refused[i].argv[0]);
        const nkv_argv one = {argc, argv};
        nkv_value *value = NULL;
        const nkv_status status = nkv_transaction(client, &one, 1, NULL, &value);
        /* Blocking commands do not block inside of MULTI, so those may be let through. */
        const bool blocks = refused[i].argv[0][0] == 'B' || refused[i].argv[0][0] == 'X' ||
                            strcmp(refused[i].argv[0], "WAIT") == 0;
        cr_assert(status == NKV_EREFUSED || (blocks && status != NKV_ETIMEDOUT), "%s: %s",
                  refused[i].argv[0], nkv_status_text(status));
        nkv_value_release(value);
    }
    t_near_sync(client);
    cr_assert_eq(called, 0);
    nkv_client_destroy(client);
}

/* A command without words, with an empty name, a name of any bytes, or a monstrous one. */
T_LIVE(client_guards, case_65_arguments_that_make_no_command)
{
    nkv_client *client = t_near_open_on(server);
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_command(client, 0, NULL, &call, &value), NKV_EINVAL);
    cr_assert_eq(nkv_command(client, -1, NULL, &call, &value), NKV_EINVAL);
    const nkv_str empty[] = {nkv_cstr("")};
    cr_assert_lt((int)nkv_command(client, 1, empty, &call, &value), 0);
    nkv_value_release(value);
    value = NULL;
    const nkv_str bytes[] = {nkv_str_make("GE\0T\r\n", 6), nkv_cstr("k")};
    cr_assert_eq(nkv_command(client, 2, bytes, &call, &value), NKV_EREPLY);
    nkv_value_release(value);
    char name[300];
    memset(name, 'A', sizeof name);
    const nkv_str long_name[] = {nkv_str_make(name, sizeof name), nkv_cstr("k")};
    value = NULL;
    cr_assert_eq(nkv_command(client, 2, long_name, &call, &value), NKV_EREPLY);
    nkv_value_release(value);
    cr_assert(t_says(t_near_get(client, "k"), "_"), "the stream is out of step");
    nkv_client_destroy(client);
}

/* ---- Cases 78, 79: reads that are never kept ------------------------------------------------- */

static const attempt never_cached[] = {
    {{"XPENDING", "stream", "g"}},
    {{"XREAD", "COUNT", "1", "STREAMS", "stream", "0"}},
    {{"SORT_RO", "list", "BY", "w_*"}},
    {{"SORT_RO", "list", "ALPHA", "GET", "w_*"}},
    {{"TTL", "str"}},
    {{"PTTL", "str"}},
    {{"EXPIRETIME", "str"}},
    {{"SRANDMEMBER", "set"}},
    {{"HRANDFIELD", "hash"}},
    {{"ZRANDMEMBER", "zset"}},
    {{"RANDOMKEY"}},
    {{"SCAN", "0"}},
    {{"SSCAN", "set", "0"}},
    {{"HSCAN", "hash", "0"}},
    {{"ZSCAN", "zset", "0"}},
    {{"KEYS", "*"}},
    {{"DBSIZE"}},
    {{"OBJECT", "ENCODING", "str"}},
    {{"OBJECT", "IDLETIME", "str"}},
    {{"TOUCH", "str"}},
    {{"DUMP", "str"}},
    {{"MEMORY", "USAGE", "str"}},
    {{"PFCOUNT", "hll"}},
    {{"EVAL_RO", "return redis.call('GET',KEYS[1])", "1", "str"}},
    {{"TIME"}},
    {{"INFO", "server"}},
    {{"PING"}},
    {{"ECHO", "x"}},
    {{"LASTSAVE"}},
    {{"GETEX", "str"}}, /* case 77: it writes, and the server does not track it */
};

/* 79: scripts that only read could be cached where the user says so; no option says so yet, so
 * EVAL_RO passes through and is asked for again each time.                                       */
T_LIVE(client_guards, case_77_78_79_passed_through_and_never_cached)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "str", "v");
    t_ctl_ok(ctl, "RPUSH", "list", "1");
    t_ctl_ok(ctl, "SADD", "set", "a");
    t_ctl_ok(ctl, "HSET", "hash", "f", "v");
    t_ctl_ok(ctl, "ZADD", "zset", "1", "a");
    t_ctl_ok(ctl, "PFADD", "hll", "x");
    t_ctl_ok(ctl, "XGROUP", "CREATE", "stream", "g", "$", "MKSTREAM");
    t_ctl_ok(ctl, "XADD", "stream", "1-1", "f", "v");
    nkv_client *client = t_near_open_on(server);
    for (size_t i = 0; i < sizeof never_cached / sizeof never_cached[0]; i++) {
        const char *const *argv = never_cached[i].argv;
        char name[32];
        (void)snprintf(name, sizeof name, "%s", argv[0]);
        for (char *at = name; *at != '\0'; at++) {
            *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
        }
        if (strcmp(name, "object") == 0 || strcmp(name, "memory") == 0) {
            (void)snprintf(name + strlen(name), sizeof name - strlen(name), "|%s",
                           strcmp(argv[1], "ENCODING") == 0   ? "encoding"
                           : strcmp(argv[1], "IDLETIME") == 0 ? "idletime"
                                                              : "usage");
        }
        const long long before = t_ctl_calls(ctl, name);
        for (int k = 0; k < 2; k++) {
            const t_answer answer = t_near_argv(client, NULL, argv);
            cr_assert(answer.status >= 0, "%s: %s", argv[0], answer.error.text);
            cr_assert_eq(answer.from, NKV_FROM_SERVER, "%s", argv[0]);
        }
        cr_assert_geq(t_ctl_calls(ctl, name) - before, 2, "%s was not asked for twice", argv[0]);
    }
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.cache.keys, 0);
    cr_assert_eq(stats.hits, 0);
    cr_assert_gt(stats.bypass[NKV_BYPASS_NOT_CACHEABLE], 30);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* SORT_RO without BY and GET depends on its key alone. */
T_LIVE(client_guards, case_78_plain_sort_ro_is_cached)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "RPUSH", "list", "2", "1");
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_is(t_near(client, "SORT_RO", "list"), NKV_FROM_SERVER, "[1 2]"));
    cr_assert(t_is(t_near(client, "SORT_RO", "list"), NKV_FROM_CACHE, "[1 2]"));
    t_ctl_ok(ctl, "RPUSH", "list", "0");
    t_near_sync(client);
    cr_assert(t_is(t_near(client, "SORT_RO", "list"), NKV_FROM_SERVER, "[0 1 2]"));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* Commands of several keys that are not split by key: right after a change of any of them. */
T_LIVE(client_guards, reads_of_several_keys_are_never_stale)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SADD", "a", "1");
    t_ctl_ok(ctl, "SADD", "b", "2");
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_says(t_near(client, "SUNION", "a", "b"), "~[1 2]"));
    cr_assert(t_says(t_near(client, "SUNION", "a", "b"), "~[1 2]"));
    t_ctl_ok(ctl, "SADD", "b", "3");
    t_near_sync(client);
    cr_assert(t_says(t_near(client, "SUNION", "a", "b"), "~[1 2 3]"));
    t_ctl_ok(ctl, "SREM", "a", "1");
    t_near_sync(client);
    cr_assert(t_says(t_near(client, "SUNION", "a", "b"), "~[2 3]"));
    cr_assert_eq(t_near(client, "SADD", "b", "4").status, NKV_OK);
    cr_assert(t_says(t_near(client, "SUNION", "a", "b"), "~[2 3 4]"));
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}
