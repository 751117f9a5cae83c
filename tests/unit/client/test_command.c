/* tests/unit/client/test_command.c - what a command is, and which of its arguments are keys.
 *
 * The live tests compare the table with the servers; here are its own consistency and every rule
 * that is not a plain row.                                                                       */

#include "client/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARGS_MAX = 64 };

/* Cuts a line into words; "''" is an empty one.  `line` is changed. */
static size_t words(char *line, nkv_str *argv)
{
    size_t argc = 0;

    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        cr_assert_lt(argc, ARGS_MAX);
        argv[argc++] = strcmp(word, "''") == 0 ? nkv_cstr("") : nkv_cstr(word);
    }
    return argc;
}

static const char *const class_names[] = {"CACHED", "READ",    "WRITE",  "FLUSH",
                                          "OTHER",  "REFUSED", "UNKNOWN"};

/* "CLASS position position …", "CLASS" without keys, "CLASS -" for -1. */
static void describe(const char *line, char *out, size_t room)
{
    char copy[512];
    nkv_str argv[ARGS_MAX];
    unsigned idx[ARGS_MAX];

    (void)snprintf(copy, sizeof copy, "%s", line);
    size_t argc = words(copy, argv);
    const nkvi_command *command = nkvi_command_find(argc, argv);
    int keys = nkvi_command_keys(command, argc, argv, idx, ARGS_MAX);
    int len = snprintf(out, room, "%s%s", class_names[command->klass], keys < 0 ? " -" : "");
    for (int i = 0; i < keys; i++) {
        len += snprintf(out + len, room - (size_t)len, " %u", idx[i]);
    }
}

typedef struct expectation {
    const char *line, *want;
} expectation;

static void check(const expectation *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char got[512];
        describe(rows[i].line, got, sizeof got);
        cr_expect_str_eq(got, rows[i].want, "%s\n  is    %s\n  wants %s", rows[i].line, got,
                         rows[i].want);
    }
}
#define CHECK(...)                                        \
    do {                                                  \
        static const expectation rows_[] = {__VA_ARGS__}; \
        check(rows_, sizeof rows_ / sizeof rows_[0]);     \
    } while (0)

/* ---- The table ------------------------------------------------------------------------------- */

typedef struct table_row {
    const char *name;
    nkvi_command_class klass;
    bool container;
} table_row;

/* Of the flags only this one matters here. */
#define CONTAINER 1
#define PER_KEY   0
#define MANY      0
#define OPT_IN    0
static const table_row table[] = {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason) \
    {name, NKVI_COMMAND_##klass, ((flags)&CONTAINER) != 0},
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason)
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
#undef CONTAINER
#undef PER_KEY
#undef MANY
#undef OPT_IN
};
enum { TABLE_LEN = sizeof table / sizeof table[0] };

/* The command or subcommand of that name, with `extra` more arguments. */
static const nkvi_command *find_name(const char *name, size_t extra)
{
    char copy[100];
    nkv_str argv[ARGS_MAX];
    size_t argc = 1;

    (void)snprintf(copy, sizeof copy, "%s", name);
    char *bar = strchr(copy, '|');
    if (bar != NULL) {
        *bar = '\0';
        argv[argc++] = nkv_cstr(bar + 1);
    }
    argv[0] = nkv_cstr(copy);
    for (size_t i = 0; i < extra; i++) {
        argv[argc++] = nkv_cstr("x");
    }
    return nkvi_command_find(argc, argv);
}

Test(client_command, every_row_is_found_by_its_name)
{
    for (size_t i = 0; i < TABLE_LEN; i++) {
        const nkvi_command *command = find_name(table[i].name, 0);
        cr_assert_str_eq(command->name, table[i].name);
        cr_assert_eq(command->id, i, "%s: the id is the place", table[i].name);
        if (i > 0) {
            cr_assert_lt(strcmp(table[i - 1].name, table[i].name), 0, "sorted: %s", table[i].name);
        }
    }
}

Test(client_command, reasons_are_there_where_a_user_asks_for_them)
{
    for (size_t i = 0; i < TABLE_LEN; i++) {
        const nkvi_command *command = find_name(table[i].name, table[i].container ? 0 : 40);
        bool asked = command->klass == NKVI_COMMAND_READ || command->klass == NKVI_COMMAND_REFUSED;
        cr_assert_eq(command->reason != NULL, asked, "%s", command->name);
        if (asked) {
            cr_assert(command->reason[0] >= 'a' && command->reason[0] <= 'z',
                      "it goes on behind the name: %s", command->reason);
            cr_assert_leq(strlen(command->reason) + strlen(command->name), 150);
        }
    }
}

Test(client_command, what_is_cached_names_one_key_or_splits)
{
    size_t cached = 0;

    for (size_t i = 0; i < TABLE_LEN; i++) {
        const nkvi_command *command = find_name(table[i].name, 0);
        if (command->klass == NKVI_COMMAND_CACHED) {
            cached++;
            cr_assert_gt(command->first_key, 0, "%s", command->name);
            cr_assert_gt(command->key_step, 0, "%s", command->name);
            cr_assert_eq(command->many_keys, command->per_key, "%s", command->name);
            cr_assert_eq(command->last_key, command->per_key ? -1 : command->first_key);
        } else {
            cr_assert_not(command->per_key);
        }
        cr_assert(!command->opt_in || command->klass == NKVI_COMMAND_READ);
    }
    cr_assert_geq(cached, 50, "only %zu", cached);
}

static void expect_row(const char *name, nkvi_command_class klass, const char *reason)
{
    const nkvi_command *found = find_name(name, 0);

    cr_expect_eq(found->klass, klass, "%s: run scripts/gen_commands", name);
    cr_expect_str_eq(found->reason != NULL ? found->reason : "", reason,
                     "%s: run scripts/gen_commands", name);
}

/* The table is made from the exceptions: who edits them runs scripts/gen_commands. */
Test(client_command, the_table_was_made_from_these_exceptions)
{
#define PER_KEY(name, why) expect_row(name, NKVI_COMMAND_CACHED, "");
#define NEVER(name, why)   expect_row(name, NKVI_COMMAND_READ, why);
#define OPT_IN(name, why)  expect_row(name, NKVI_COMMAND_READ, why);
#define WRITES(name, why)  expect_row(name, NKVI_COMMAND_WRITE, "");
#define FLUSHES(name, why) expect_row(name, NKVI_COMMAND_FLUSH, "");
#define REFUSE(name, why)  expect_row(name, NKVI_COMMAND_REFUSED, why);
#define WHEN(name, condition, klass, why)
#include "client/command_exceptions.def"
}

/* ---- Names ----------------------------------------------------------------------------------- */

Test(client_command, names_are_found_in_any_case)
{
    CHECK({"get k", "CACHED 1"}, {"GeT k", "CACHED 1"}, {"hGETALL k", "CACHED 1"},
          {"client id", "OTHER"}, {"Client Tracking on", "REFUSED"},
          {"ObJeCt EnCoDiNg k", "READ 2"}, {"sort_ro k bY x", "READ 1"},
          {"sort k store d", "WRITE 1 3"});
}

Test(client_command, what_is_not_known_may_write_anything)
{
    CHECK({"JSON.GET k", "UNKNOWN"}, {"NOSUCH", "UNKNOWN"}, {"GETX k", "UNKNOWN"},
          {"GE k", "UNKNOWN"}, {"XGROUP NEW k", "UNKNOWN"}, {"OBJECT SHAPE k", "UNKNOWN"},
          {"FUNCTION NEW", "UNKNOWN"}, {"'' k", "UNKNOWN"}, {"CLIENT|ID", "UNKNOWN"},
          {"XGROUP|CREATE k g $ x", "UNKNOWN"}, {"CONFIG GET|x", "UNKNOWN"},
          {"CONFIG ''", "UNKNOWN"},
          {"a-name-that-is-longer-than-every-name-of-the-table k", "UNKNOWN"},
          {"CONFIG a-subcommand-that-is-longer-than-every-name", "UNKNOWN"});
}

Test(client_command, a_nul_belongs_to_the_name)
{
    const nkv_str get[] = {nkv_str_make("GET\0", 4), nkv_cstr("k")};
    const nkv_str config[] = {nkv_cstr("CONFIG"), nkv_str_make("GET\0X", 5)};
    const nkv_str zeros[] = {nkv_str_make("\0\0\0", 3)};

    cr_assert_eq(nkvi_command_find(2, get)->klass, NKVI_COMMAND_UNKNOWN);
    cr_assert_eq(nkvi_command_find(2, config)->klass, NKVI_COMMAND_UNKNOWN);
    cr_assert_eq(nkvi_command_find(1, zeros)->klass, NKVI_COMMAND_UNKNOWN);
}

/* ---- Classes that depend on arguments -------------------------------------------------------- */

Test(client_command, sort_writes_with_store_only)
{
    CHECK({"SORT k", "READ 1"}, {"SORT k BY w_* GET # LIMIT 0 5 DESC ALPHA", "READ 1"},
          {"SORT k STORE d", "WRITE 1 3"}, {"SORT k BY nosort GET x STORE d", "WRITE 1 7"},
          {"SORT k LIMIT 0 STORE STORE d", "WRITE 1 6"}, {"SORT k STORE a STORE b", "WRITE 1 3 5"},
          {"SORT k STORE STORE DESC", "WRITE 1 3"}, {"SORT k STORE", "WRITE 1"}, {"SORT", "READ -"},
          {"SORT k GET STORE", "WRITE 1"});
}

Test(client_command, case_78_sort_ro_is_not_cached_with_by_or_get)
{
    CHECK({"SORT_RO k", "CACHED 1"}, {"SORT_RO k LIMIT 0 5 ASC ALPHA", "CACHED 1"},
          {"SORT_RO k BY w_*", "READ 1"}, {"SORT_RO k GET w_*", "READ 1"},
          {"SORT_RO k get #", "READ 1"});
}

Test(client_command, georadius_writes_with_store_only)
{
    CHECK({"GEORADIUS k 0 0 1 m", "READ 1"}, {"GEORADIUS k 0 0 1 m ASC COUNT 1", "READ 1"},
          {"GEORADIUS k 0 0 1 m STORE d", "WRITE 1 7"},
          {"GEORADIUS k 0 0 1 m ASC STOREDIST d", "WRITE 1 8"},
          {"GEORADIUS k 0 0 1 m STORE a STOREDIST b", "WRITE 1 7 9"},
          {"GEORADIUSBYMEMBER k x 1 m", "READ 1"},
          {"GEORADIUSBYMEMBER k x 1 m STORE d", "WRITE 1 6"},
          {"GEORADIUS_RO k 0 0 1 m", "CACHED 1"},
          {"GEOSEARCHSTORE d k FROMMEMBER x BYRADIUS 1 m", "WRITE 1 2"},
          {"GEORADIUS k 0 0 1", "READ -"});
}

Test(client_command, bitfield_of_gets_only_reads)
{
    CHECK({"BITFIELD k", "READ 1"}, {"BITFIELD k GET u8 0", "READ 1"},
          {"BITFIELD k get u8 0 GET u8 #1", "READ 1"}, {"BITFIELD k SET u8 0 1", "WRITE 1"},
          {"BITFIELD k GET u8 0 SET u8 0 1", "WRITE 1"}, {"BITFIELD k INCRBY u8 0 1", "WRITE 1"},
          {"BITFIELD k OVERFLOW FAIL GET u8 0", "WRITE 1"}, {"BITFIELD k GET u8", "WRITE 1"},
          {"BITFIELD_RO k GET u8 0", "CACHED 1"});
}

/* Case 77: what is marked as a write is not tracked by the server, whatever it answers. */
Test(client_command, case_77_getex_and_set_get_are_never_cached)
{
    CHECK({"GETEX k", "READ 1"}, {"GETEX k EX 5", "WRITE 1"}, {"GETEX k PERSIST", "WRITE 1"},
          {"SET k v GET", "WRITE 1"}, {"SET k v", "WRITE 1"}, {"GETSET k v", "WRITE 1"},
          {"GETDEL k", "WRITE 1"}, {"HGETEX h FIELDS 1 f", "WRITE 1"},
          {"HGETDEL h FIELDS 1 f", "WRITE 1"});
}

Test(client_command, xread_is_refused_with_block)
{
    CHECK({"XREAD STREAMS s 0", "READ 2"}, {"XREAD COUNT 5 STREAMS s t 0 0", "READ 4 5"},
          {"XREAD BLOCK 0 STREAMS s $", "REFUSED 4"},
          {"XREAD COUNT 5 block 10 STREAMS s $", "REFUSED 6"}, {"XREAD STREAMS BLOCK 0", "READ 2"},
          {"XREAD COUNT BLOCK STREAMS s 0", "READ 4"},
          {"XREADGROUP GROUP g c STREAMS s >", "WRITE 5"},
          {"XREADGROUP GROUP g c COUNT 1 NOACK STREAMS s t > >", "WRITE 8 9"},
          {"XREADGROUP GROUP g c BLOCK 1 STREAMS s >", "REFUSED 7"},
          {"XREADGROUP GROUP BLOCK STREAMS STREAMS s >", "WRITE 5"},
          {"XREADGROUP GROUP g c CLAIM 10 STREAMS s >", "WRITE 7"},
          {"XREAD STREAMS s t 0", "READ -"}, {"XREAD COUNT 5 s 0", "READ -"},
          {"XREAD COUNT 5 6 STREAMS", "READ -"});
}

Test(client_command, debug_may_change_anything_and_must_not_sleep)
{
    CHECK({"DEBUG RELOAD", "FLUSH"}, {"DEBUG SET-ACTIVE-EXPIRE 0", "FLUSH"},
          {"DEBUG SLEEP 1", "REFUSED"}, {"debug sleep 0", "REFUSED"}, {"DEBUG", "FLUSH -"});
}

/* Case 79: the reads of scripts are cached only if the user says so; which they are stands here. */
Test(client_command, case_79_scripts)
{
    CHECK({"EVAL s 1 k a", "WRITE 3"}, {"EVAL s 2 k l", "WRITE 3 4"}, {"EVAL s 0", "WRITE"},
          {"EVAL s 0 a", "WRITE"}, {"EVALSHA s 1 k", "WRITE 3"}, {"FCALL f 1 k", "WRITE 3"},
          {"EVAL_RO s 1 k", "READ 3"}, {"EVALSHA_RO s 2 k l", "READ 3 4"}, {"FCALL_RO f 0", "READ"},
          {"EVAL s 1", "WRITE -"}, {"EVAL s 2 k", "WRITE -"}, {"EVAL s x k", "WRITE -"},
          {"EVAL s -1 k", "WRITE -"}, {"EVAL s 01 k", "WRITE 3"}, {"EVAL s +1 k", "WRITE -"},
          {"EVAL s '' k", "WRITE -"}, {"EVAL s 18446744073709551617 k", "WRITE -"},
          {"EVAL s", "WRITE -"});
    cr_assert(find_name("EVAL_RO", 0)->opt_in && find_name("EVALSHA_RO", 0)->opt_in);
    cr_assert(find_name("FCALL_RO", 0)->opt_in);
    cr_assert_not(find_name("EVAL", 0)->opt_in);
    cr_assert_not(find_name("GET", 0)->opt_in);
    cr_assert(find_name("MGET", 0)->per_key && find_name("EXISTS", 0)->per_key);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Case 50: writes to several keys name them all. */
Test(client_command, case_50_writes_name_all_their_keys)
{
    CHECK({"DEL a b c", "WRITE 1 2 3"}, {"UNLINK a", "WRITE 1"}, {"RENAME a b", "WRITE 1 2"},
          {"RENAMENX a b", "WRITE 1 2"}, {"COPY a b DB 1 REPLACE", "WRITE 1 2"},
          {"MSET a 1 b 2", "WRITE 1 3"}, {"MSETNX a 1", "WRITE 1"}, {"SMOVE a b m", "WRITE 1 2"},
          {"LMOVE a b LEFT RIGHT", "WRITE 1 2"}, {"RPOPLPUSH a b", "WRITE 1 2"},
          {"BITOP AND d a b", "WRITE 2 3 4"}, {"PFMERGE d a b", "WRITE 1 2 3"},
          {"SINTERSTORE d a b", "WRITE 1 2 3"}, {"ZRANGESTORE d a 0 1", "WRITE 1 2"},
          {"ZUNIONSTORE d 2 a b WEIGHTS 1 2", "WRITE 1 3 4"}, {"ZDIFFSTORE d 1 a", "WRITE 1 3"},
          {"LMPOP 2 a b LEFT", "WRITE 2 3"}, {"ZMPOP 1 a MIN", "WRITE 2"}, {"MOVE a 1", "WRITE 1"},
          {"RESTORE a 0 x", "WRITE 1"}, {"XGROUP CREATE s g $", "WRITE 2"},
          {"XADD s * f v", "WRITE 1"}, {"SPOP s", "WRITE 1"}, {"EXPIRE a 1", "WRITE 1"});
}

Test(client_command, migrate_names_one_key_or_those_behind_keys)
{
    CHECK({"MIGRATE h 1 k 0 9", "WRITE 3"}, {"MIGRATE h 1 k 0 9 COPY REPLACE", "WRITE 3"},
          {"MIGRATE h 1 '' 0 9 KEYS a b", "WRITE 7 8"},
          {"MIGRATE h 1 '' 0 9 COPY AUTH KEYS KEYS a", "WRITE 10"},
          {"MIGRATE h 1 '' 0 9 AUTH2 KEYS KEYS KEYS a b", "WRITE 10 11"},
          {"MIGRATE h 1 k 0 9 KEYS a", "WRITE -"}, {"MIGRATE h 1 '' 0 9 KEYS", "WRITE -"},
          {"MIGRATE h 1 '' 0 9", "WRITE 3"}, {"MIGRATE h 1 k 0", "WRITE -"});
}

Test(client_command, reads_name_their_keys_too)
{
    CHECK({"MGET a b c", "CACHED 1 2 3"}, {"EXISTS a a", "CACHED 1 2"}, {"HGET h f", "CACHED 1"},
          {"SINTER a b", "READ 1 2"}, {"SINTERCARD 2 a b LIMIT 1", "READ 2 3"},
          {"ZUNION 2 a b WITHSCORES", "READ 2 3"}, {"ZINTERCARD 1 a", "READ 2"},
          {"LCS a b LEN", "READ 1 2"}, {"PFCOUNT a b", "READ 1 2"}, {"TOUCH a b", "READ 1 2"},
          {"OBJECT ENCODING k", "READ 2"}, {"MEMORY USAGE k SAMPLES 5", "READ 2"},
          {"XINFO STREAM s FULL", "READ 2"}, {"DUMP k", "READ 1"}, {"KEYS *", "READ"},
          {"SCAN 0 MATCH k", "READ"}, {"DBSIZE", "READ"}, {"RANDOMKEY", "READ"});
}

/* Case 78: read-only, yet never cached. */
Test(client_command, case_78_what_varies_by_itself_is_not_cached)
{
    CHECK({"XPENDING s g", "READ 1"}, {"XREAD STREAMS s 0", "READ 2"}, {"TTL k", "READ 1"},
          {"PTTL k", "READ 1"}, {"HTTL h FIELDS 1 f", "READ 1"}, {"SRANDMEMBER s", "READ 1"},
          {"HRANDFIELD h", "READ 1"}, {"ZRANDMEMBER z", "READ 1"}, {"SSCAN s 0", "READ 1"},
          {"HSCAN h 0", "READ 1"}, {"ZSCAN z 0", "READ 1"}, {"OBJECT FREQ k", "READ 2"},
          {"VSIM v ELE x", "READ 1"});
}

Test(client_command, arguments_that_do_not_fit_have_no_keys)
{
    CHECK({"GET", "CACHED -"}, {"GET a b", "CACHED -"}, {"MGET", "CACHED -"},
          {"EXISTS", "CACHED -"}, {"HGET h", "CACHED -"}, {"HGET h f g", "CACHED -"},
          {"MSET a 1 b", "WRITE -"}, {"MSET a", "WRITE -"}, {"RENAME a", "WRITE -"},
          {"ZUNIONSTORE d 0 a", "WRITE -"}, {"ZUNIONSTORE d 3 a b", "WRITE -"},
          {"ZUNION 0 a", "READ -"}, {"LMPOP 2 a LEFT", "WRITE 2 3"}, {"LMPOP 3 a LEFT", "WRITE -"},
          {"BITOP AND d", "WRITE -"}, {"OBJECT ENCODING", "READ -"}, {"BLPOP k", "REFUSED -"},
          {"VCARD", "READ -"}, {"ZRANK z m WITHSCORE", "CACHED 1"}, {"PING a b c", "OTHER"},
          {"CONFIG", "OTHER -"});
}

/* A channel is no key. */
Test(client_command, messages_name_no_keys)
{
    CHECK({"PUBLISH c m", "OTHER"}, {"SPUBLISH c m", "OTHER"}, {"PUBSUB NUMSUB c", "OTHER"},
          {"SSUBSCRIBE c", "REFUSED"});
}

Test(client_command, keys_beyond_the_room_are_counted_and_not_written)
{
    nkv_str argv[9] = {nkv_cstr("DEL")};
    unsigned idx[9];

    for (size_t i = 1; i < 9; i++) {
        argv[i] = nkv_cstr("k");
    }
    const nkvi_command *command = nkvi_command_find(9, argv);
    for (size_t cap = 0; cap < 9; cap++) {
        memset(idx, 0xee, sizeof idx);
        cr_assert_eq(nkvi_command_keys(command, 9, argv, idx, cap), 8);
        for (size_t i = 0; i < 9; i++) {
            cr_assert_eq(idx[i], i < cap ? i + 1 : 0xeeeeeeee);
        }
    }
    cr_assert_eq(nkvi_command_keys(command, 9, argv, NULL, 0), 8);
}

/* ---- What is refused ------------------------------------------------------------------------- */

/* Case 65: whatever changes the connection. */
Test(client_command, case_65_what_changes_the_connection_is_refused)
{
    CHECK({"RESET", "REFUSED"}, {"SELECT 1", "REFUSED"}, {"AUTH u p", "REFUSED"},
          {"HELLO", "REFUSED"}, {"HELLO 2", "REFUSED"}, {"SUBSCRIBE c", "REFUSED"},
          {"PSUBSCRIBE c", "REFUSED"}, {"UNSUBSCRIBE", "REFUSED"}, {"MONITOR", "REFUSED"},
          {"QUIT", "REFUSED"}, {"SYNC", "REFUSED"}, {"PSYNC ? -1", "REFUSED"},
          {"REPLCONF x", "REFUSED"}, {"ASKING", "REFUSED"}, {"READONLY", "REFUSED"},
          {"READWRITE", "REFUSED"}, {"CLIENT TRACKING OFF", "REFUSED"},
          {"CLIENT CACHING YES", "REFUSED"}, {"CLIENT REPLY OFF", "REFUSED"},
          {"CLIENT SETNAME x", "REFUSED"}, {"CLIENT SETINFO LIB-NAME x", "REFUSED"},
          {"CLIENT NO-EVICT ON", "REFUSED"}, {"CLIENT NO-TOUCH ON", "REFUSED"},
          {"CLIENT NEWFANGLED ON", "REFUSED"}, {"CLIENT", "REFUSED -"},
          {"SCRIPT DEBUG YES", "REFUSED"}, {"SHUTDOWN", "REFUSED"});
}

Test(client_command, what_makes_a_transaction_or_blocks_is_refused)
{
    CHECK({"MULTI", "REFUSED"}, {"EXEC", "REFUSED"}, {"DISCARD", "REFUSED"},
          {"WATCH k", "REFUSED 1"}, {"UNWATCH", "REFUSED"}, {"BLPOP a b 0", "REFUSED 1 2"},
          {"BRPOP a 0", "REFUSED 1"}, {"BLMOVE a b LEFT LEFT 0", "REFUSED 1 2"},
          {"BLMPOP 0 2 a b LEFT", "REFUSED 3 4"}, {"BZPOPMIN z 0", "REFUSED 1"},
          {"BZMPOP 0 1 z MIN", "REFUSED 3"}, {"WAIT 1 0", "REFUSED"}, {"WAITAOF 0 1 0", "REFUSED"});
    cr_assert(strstr(find_name("MULTI", 0)->reason, "nkv_transaction()") != NULL);
}

Test(client_command, what_leaves_the_connection_alone_is_not_refused)
{
    CHECK({"PING", "OTHER"}, {"ECHO x", "OTHER"}, {"INFO", "OTHER"}, {"TIME", "OTHER"},
          {"CLIENT ID", "OTHER"}, {"CLIENT LIST", "OTHER"}, {"CLIENT KILL ID 3", "OTHER"},
          {"CLIENT GETNAME", "OTHER"}, {"CONFIG SET maxmemory 1", "OTHER"}, {"ROLE", "OTHER"},
          {"SCRIPT LOAD x", "OTHER"}, {"SCRIPT FLUSH", "OTHER"}, {"MEMORY DOCTOR", "OTHER"},
          {"OBJECT HELP", "OTHER"}, {"COMMAND", "OTHER"}, {"COMMAND INFO get", "OTHER"},
          {"SLOWLOG GET", "OTHER"}, {"ACL WHOAMI", "OTHER"}, {"FUNCTION LOAD x", "WRITE"});
}

Test(client_command, what_changes_everything_flushes)
{
    CHECK({"FLUSHALL", "FLUSH"}, {"FLUSHALL ASYNC", "FLUSH"}, {"FLUSHDB", "FLUSH"},
          {"SWAPDB 0 1", "FLUSH"}, {"REPLICAOF h 1", "FLUSH"},
          {"CLUSTER SETSLOT 1 NODE x", "FLUSH"});
}
