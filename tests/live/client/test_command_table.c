/* tests/live/client/test_command_table.c - the table of commands against the servers themselves.
 *
 * What the table calls cached must be read-only to the server, have its keys where the server says,
 * and really be tracked; what writes must not pass for a read.  Keys are compared with COMMAND
 * GETKEYS for random arguments.                                                                  */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/command_keys.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"

enum { ARGS_MAX = 24, WORD_MAX = 48 };

/* ---- Lines of words -------------------------------------------------------------------------- */

typedef struct line {
    char text[ARGS_MAX][WORD_MAX];
    nkv_str argv[ARGS_MAX];
    size_t argc;
} line;

static void line_add(line *l, const char *word, size_t len)
{
    cr_assert(l->argc < ARGS_MAX && len < WORD_MAX);
    memcpy(l->text[l->argc], word, len);
    l->text[l->argc][len] = '\0';
    l->argv[l->argc] = nkv_str_make(l->text[l->argc], len);
    l->argc++;
}

/* Cuts a text at blanks, and at the bar between command and subcommand. */
static void line_set(line *l, const char *text)
{
    l->argc = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " |");
        line_add(l, text, len);
        text += len + (text[len] != '\0');
    }
}

static redisReply *send_line(t_ctl *ctl, const line *l, const char *before, const char *before2)
{
    t_arg args[ARGS_MAX + 2];
    size_t n = 0;

    if (before != NULL) {
        args[n++] = T_ARG_BYTES(before, strlen(before));
        args[n++] = T_ARG_BYTES(before2, strlen(before2));
    }
    for (size_t i = 0; i < l->argc; i++) {
        args[n++] = T_ARG_BYTES(l->argv[i].data, l->argv[i].len);
    }
    redisReply *reply = t_ctl_args(ctl, n, args);
    cr_assert_not_null(reply);
    return reply;
}

/* ---- What COMMAND says ----------------------------------------------------------------------- */

/* One element of the reply. */
enum {
    NAME = 0,
    ARITY = 1,
    FLAGS = 2,
    FIRST = 3,
    LAST = 4,
    STEP = 5,
    TIPS = 7,
    SPECS = 8,
    SUBS = 9
};

static bool has(const redisReply *list, const char *word)
{
    for (size_t i = 0; i < list->elements; i++) {
        if (strcmp(list->element[i]->str, word) == 0) {
            return true;
        }
    }
    return false;
}

typedef void (*visit_fn)(const redisReply *said, void *ud);

/* Calls `visit` for every command and subcommand. */
static void each_command(t_ctl *ctl, visit_fn visit, void *ud)
{
    redisReply *all = t_ctl_cmd(ctl, "COMMAND");

    cr_assert(all != NULL && all->elements > 200);
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *said = all->element[i];
        visit(said, ud);
        for (size_t j = 0; j < said->element[SUBS]->elements; j++) {
            visit(said->element[SUBS]->element[j], ud);
        }
    }
    freeReplyObject(all);
}

/* Those that write only with certain arguments, which a bare name has not. */
static const char *writing_form(const char *name)
{
    static const char *const forms[][2] = {
        {"sort", "SORT k STORE d"},
        {"getex", "GETEX k PERSIST"},
        {"bitfield", "BITFIELD k SET u8 0 1"},
        {"georadius", "GEORADIUS k 0 0 1 m STORE d"},
        {"georadiusbymember", "GEORADIUSBYMEMBER k x 1 m STORE d"},
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(name, forms[i][0]) == 0) {
            return forms[i][1];
        }
    }
    return name;
}

static const nkvi_command *find_text(const char *text)
{
    line l;

    line_set(&l, text);
    return nkvi_command_find(l.argc, l.argv);
}

static bool accepts(int ours, long long theirs)
{
    return theirs >= 0 ? ours == theirs || (ours < 0 && -ours <= theirs)
                       : ours < 0 && ours >= theirs;
}

static void check_cached(const redisReply *said, const nkvi_command *ours)
{
    const redisReply *flags = said->element[FLAGS];

    cr_expect(has(flags, "readonly"), "%s is cached, but not read-only", ours->name);
    cr_expect_not(has(flags, "blocking"), "%s is cached, but blocks", ours->name);
    cr_expect_not(has(said->element[TIPS], "nondeterministic_output"), "%s varies", ours->name);
    cr_expect_eq(ours->first_key, said->element[FIRST]->integer, "%s: first key", ours->name);
    cr_expect_eq(ours->last_key, said->element[LAST]->integer, "%s: last key", ours->name);
    cr_expect_eq(ours->key_step, said->element[STEP]->integer, "%s: step", ours->name);
}

static bool is_one_of(nkvi_command_class klass, nkvi_command_class a, nkvi_command_class b,
                      nkvi_command_class c)
{
    return klass == a || klass == b || klass == c;
}

static void check_class(const redisReply *said, void *ud)
{
    const char *name = said->element[NAME]->str;
    const redisReply *flags = said->element[FLAGS];
    const nkvi_command *ours = find_text(writing_form(name));
    size_t *missing = ud;

    if (ours->klass == NKVI_COMMAND_UNKNOWN) {
        cr_log_info("not in the table: %s", name);
        (*missing)++;
        return;
    }
    cr_expect(strcasecmp(ours->name, name) == 0, "%s is found for %s", ours->name, name);
    cr_expect(accepts(ours->arity, said->element[ARITY]->integer),
              "%s: arity %d, the server's %lld", name, ours->arity, said->element[ARITY]->integer);
    if (ours->klass == NKVI_COMMAND_CACHED) {
        check_cached(said, ours);
    }
    if (has(flags, "write")) {
        cr_expect(
            is_one_of(ours->klass, NKVI_COMMAND_WRITE, NKVI_COMMAND_FLUSH, NKVI_COMMAND_REFUSED),
            "%s writes", name);
    }
    if (has(flags, "readonly")) {
        cr_expect(is_one_of(ours->klass, NKVI_COMMAND_CACHED, NKVI_COMMAND_READ, NKVI_COMMAND_READ),
                  "%s only reads", name);
    }
    if (has(flags, "blocking") && strcmp(name, "xread") != 0 && strcmp(name, "xreadgroup") != 0) {
        cr_expect_eq(ours->klass, NKVI_COMMAND_REFUSED, "%s blocks", name);
    }
    if (has(flags, "pubsub") && has(flags, "noscript")) {
        cr_expect_eq(ours->klass, NKVI_COMMAND_REFUSED, "%s subscribes", name);
    }
}

/* The table was made from these versions and must know all that older ones know. */
static bool is_known(t_server_version version)
{
    int newest_major = 8, newest_minor = version.valkey ? 1 : 0;

    return version.major < newest_major ||
           (version.major == newest_major && version.minor <= newest_minor);
}

T_LIVE(client_command_table, agrees_with_the_server_on_every_command)
{
    t_ctl *ctl = t_ctl_open(server);
    size_t missing = 0;

    each_command(ctl, check_class, &missing);
    cr_expect(missing == 0 || !is_known(t_server_get_version(server)),
              "%zu commands are missing: run scripts/gen_commands", missing);
    t_ctl_close(ctl);
}

/* ---- Keys: COMMAND GETKEYS for random arguments ---------------------------------------------- */

/* How often `key` is among the keys at our positions. */
static size_t count_ours(const line *l, const unsigned *ours, size_t count, const char *key)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found += strcmp(l->text[ours[i]], key) == 0;
    }
    return found;
}

/* Are the keys that the server names ours, as often, and ours no others? */
static bool same_keys(const redisReply *theirs, const line *l, const unsigned *ours, size_t count)
{
    for (size_t i = 0; i < theirs->elements; i++) {
        const char *key = theirs->element[i]->str;
        size_t named = 0;
        for (size_t j = 0; j < theirs->elements; j++) {
            named += strcmp(theirs->element[j]->str, key) == 0;
        }
        if (count_ours(l, ours, count, key) != named) {
            return false;
        }
    }
    return theirs->elements == count;
}

/* With several STORE, or STREAMS where no keys can be, servers differ in which of them counts. */
static bool is_ambiguous(const line *l)
{
    int stores = 0, streams = 0;

    for (size_t i = 0; i < l->argc; i++) {
        stores += strcasecmp(l->text[i], "STORE") == 0 || strcmp(l->text[i], "STOREDIST") == 0;
        streams += strcmp(l->text[i], "STREAMS") == 0;
    }
    return stores > 1 || streams > 1;
}

static void show(const line *l, const char *what, const redisReply *theirs, int ours)
{
    char text[ARGS_MAX * (WORD_MAX + 3)] = "";
    size_t len = 0;

    for (size_t i = 0; i < l->argc; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "'%s' ", l->text[i]);
    }
    cr_expect(false, "%s: %s: the server %zu keys %s, we %d", text, what, theirs->elements,
              theirs->type == REDIS_REPLY_ERROR ? theirs->str : "", ours);
}

/* GETKEYS checks less than execution does: half a pair (MSET, XREAD), a number of keys that is
 * none, and KEYS beside a key (MIGRATE) are refused then, and keys() says so.                    */
static bool is_refused_when_executed(const nkvi_command *command, const redisReply *theirs)
{
    return theirs->elements == 0 || command->key_step == 2 || command->rule == NKVI_KEYS_STREAMS ||
           command->rule == NKVI_KEYS_MIGRATE;
}

static void compare_keys(t_ctl *ctl, const line *l)
{
    unsigned ours[ARGS_MAX];
    const nkvi_command *command = nkvi_command_find(l->argc, l->argv);
    int count = nkvi_command_keys(command, l->argc, l->argv, ours, ARGS_MAX);
    bool exact = command->rule != NKVI_KEYS_STORE && command->rule != NKVI_KEYS_SORT &&
                 command->rule != NKVI_KEYS_STREAMS;
    redisReply *theirs = send_line(ctl, l, "COMMAND", "GETKEYS");

    if (theirs->type == REDIS_REPLY_ARRAY && count < 0) {
        if (!is_refused_when_executed(command, theirs)) {
            show(l, "only the server finds keys", theirs, count);
        }
    } else if (theirs->type == REDIS_REPLY_ARRAY && (exact || !is_ambiguous(l))) {
        if (!same_keys(theirs, l, ours, (size_t)count)) {
            show(l, "other keys", theirs, count);
        }
    } else if (command->klass == NKVI_COMMAND_CACHED && count > 0) {
        /* Of a write one key too many does no harm, and GETKEYS of a lone PFMERGE d is an error. */
        if (strstr(theirs->str, "Invalid number of arg") == NULL) {
            show(l, "only we find keys", theirs, count);
        }
    }
    freeReplyObject(theirs);
}

typedef struct round_state {
    t_ctl *ctl;
    t_rng rng;
} round_state;

static const char *const vocabulary[] = {
    "k",     "key2",    "a",    "b",         "0",         "1",     "2",     "3",
    "01",    "-1",      "",     "STORE",     "store",     "BY",    "GET",   "LIMIT",
    "COUNT", "KEYS",    "AUTH", "AUTH2",     "BLOCK",     "GROUP", "NOACK", "COPY",
    "BYLEX", "STREAMS", "$",    "STOREDIST", "WITHSCORES"};

static void random_rounds(const redisReply *said, void *ud)
{
    round_state *state = ud;
    line l;

    if (said->element[SPECS]->elements == 0) {
        return;
    }
    long long arity = said->element[ARITY]->integer;
    size_t least = (size_t)(arity < 0 ? -arity : arity);
    for (int round = 0; round < 40; round++) {
        line_set(&l, said->element[NAME]->str);
        size_t more = arity < 0 ? t_rng_below(&state->rng, 7) : 0;
        while (l.argc < least + more) {
            const size_t words = sizeof vocabulary / sizeof vocabulary[0];
            const char *word = vocabulary[t_rng_below(&state->rng, words)];
            line_add(&l, word, strlen(word));
        }
        compare_keys(state->ctl, &l);
    }
}

T_LIVE(client_command_table, finds_the_keys_that_the_server_finds)
{
    round_state state = {.ctl = t_ctl_open(server)};

    t_rng_init(&state.rng, t_run_seed());
    each_command(state.ctl, random_rounds, &state);
    t_ctl_close(state.ctl);
}

/* ---- Tracking -------------------------------------------------------------------------------- */

/* A call of every cached command; "K" becomes a key of its own. */
static const char *const cached_calls[] = {"BITCOUNT K",
                                           "BITFIELD_RO K GET u8 0",
                                           "BITPOS K 1",
                                           "EXISTS K",
                                           "GEODIST K a b",
                                           "GEOHASH K a",
                                           "GEOPOS K a",
                                           "GEORADIUSBYMEMBER_RO K a 1 m",
                                           "GEORADIUS_RO K 0 0 1 m",
                                           "GEOSEARCH K FROMLONLAT 0 0 BYRADIUS 1 m",
                                           "GET K",
                                           "GETBIT K 0",
                                           "GETRANGE K 0 1",
                                           "HEXISTS K f",
                                           "HGET K f",
                                           "HGETALL K",
                                           "HKEYS K",
                                           "HLEN K",
                                           "HMGET K f",
                                           "HSTRLEN K f",
                                           "HVALS K",
                                           "LINDEX K 0",
                                           "LLEN K",
                                           "LPOS K x",
                                           "LRANGE K 0 1",
                                           "MGET K",
                                           "SCARD K",
                                           "SISMEMBER K x",
                                           "SMEMBERS K",
                                           "SMISMEMBER K x",
                                           "SORT_RO K",
                                           "STRLEN K",
                                           "SUBSTR K 0 1",
                                           "TYPE K",
                                           "XLEN K",
                                           "XRANGE K - +",
                                           "XREVRANGE K + -",
                                           "ZCARD K",
                                           "ZCOUNT K 0 1",
                                           "ZLEXCOUNT K - +",
                                           "ZMSCORE K x",
                                           "ZRANGE K 0 1",
                                           "ZRANGEBYLEX K - +",
                                           "ZRANGEBYSCORE K 0 1",
                                           "ZRANK K x",
                                           "ZREVRANGE K 0 1",
                                           "ZREVRANGEBYLEX K + -",
                                           "ZREVRANGEBYSCORE K 1 0",
                                           "ZREVRANK K x",
                                           "ZSCORE K x"};

/* Sends the call with a new key for K; returns by how many the keys that the server tracks grew. */
static long long tracked_by(t_ctl *ctl, const char *call)
{
    static int number;
    line l;

    line_set(&l, call);
    for (size_t i = 0; i < l.argc; i++) {
        if (strcmp(l.text[i], "K") == 0) {
            int len = snprintf(l.text[i], WORD_MAX, "tracked:%d", number++);
            l.argv[i].len = (size_t)len;
        }
    }
    long long before = t_ctl_info_int(ctl, "stats", "tracking_total_keys");
    redisReply *reply = send_line(ctl, &l, NULL, NULL);
    cr_expect_neq(reply->type, REDIS_REPLY_ERROR, "%s: %s", call, reply->str);
    freeReplyObject(reply);
    return t_ctl_info_int(ctl, "stats", "tracking_total_keys") - before;
}

static t_ctl *open_tracked(t_server *server)
{
    t_ctl *ctl = t_ctl_open(server);

    t_ctl_ok(ctl, "HELLO", "3");
    t_ctl_ok(ctl, "CLIENT", "TRACKING", "ON");
    return ctl;
}

/* Cached without a call above? */
static void check_listed(const redisReply *said, void *ud)
{
    const nkvi_command *ours = find_text(said->element[NAME]->str);
    bool listed = false;

    (void)ud;
    for (size_t i = 0; i < sizeof cached_calls / sizeof cached_calls[0]; i++) {
        const size_t len = strlen(ours->name);
        listed |= strncmp(cached_calls[i], ours->name, len) == 0 && cached_calls[i][len] == ' ';
    }
    cr_expect(listed || ours->klass != NKVI_COMMAND_CACHED, "%s: add a call", ours->name);
}

T_LIVE(client_command_table, every_cached_command_is_tracked_by_the_server)
{
    t_ctl *plain = t_ctl_open(server);
    t_ctl *ctl = open_tracked(server);

    each_command(plain, check_listed, NULL);
    for (size_t i = 0; i < sizeof cached_calls / sizeof cached_calls[0]; i++) {
        cr_expect_eq(find_text(cached_calls[i])->klass, NKVI_COMMAND_CACHED, "%s", cached_calls[i]);
        cr_expect_eq(tracked_by(ctl, cached_calls[i]), 1, "%s is not tracked", cached_calls[i]);
    }
    t_ctl_close(ctl);
    t_ctl_close(plain);
}

/* Case 77: what the server marks as a write it does not track, so it is never cached. */
T_LIVE(client_command_table, case_77_reads_that_are_marked_as_writes_are_not_tracked)
{
    static const char *const calls[] = {"GETEX K",
                                        "GETEX K PERSIST",
                                        "SET K v GET",
                                        "GETSET K v",
                                        "GETDEL K",
                                        "SORT K",
                                        "BITFIELD K GET u8 0",
                                        "GEORADIUS K 0 0 1 m",
                                        "GEORADIUSBYMEMBER K a 1 m"};
    t_ctl *ctl = open_tracked(server);

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        cr_expect_neq(find_text(calls[i])->klass, NKVI_COMMAND_CACHED, "%s", calls[i]);
        cr_expect_eq(tracked_by(ctl, calls[i]), 0, "%s is tracked", calls[i]);
    }
    t_ctl_close(ctl);
}

/* Case 78: the keys that patterns of SORT_RO lead to are not among the tracked ones. */
T_LIVE(client_command_table, case_78_what_sort_ro_gets_by_pattern_is_not_tracked)
{
    t_ctl *ctl = open_tracked(server);
    t_ctl *other = t_ctl_open(server);

    t_ctl_ok(other, "RPUSH", "list", "1", "2");
    t_ctl_ok(other, "MSET", "v_1", "a", "v_2", "b");
    long long before = t_ctl_info_int(ctl, "stats", "tracking_total_keys");
    t_ctl_ok(ctl, "SORT_RO", "list", "BY", "v_*", "GET", "v_*", "ALPHA");
    cr_expect_eq(t_ctl_info_int(ctl, "stats", "tracking_total_keys") - before, 1);
    cr_expect_eq(find_text("SORT_RO list BY v_* ALPHA")->klass, NKVI_COMMAND_READ);
    t_ctl_close(other);
    t_ctl_close(ctl);
}
