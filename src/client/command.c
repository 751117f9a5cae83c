/* client/command.c - finding a command in the table, and the class that its arguments give it.
 *
 * A row of command_table.def is one command or subcommand,
 *
 *      COMMAND(identifier, name, prefix, arity, class, keys, flags, reason)
 *
 * and a VARIANT is the same command under a condition, which refine() looks for.  `keys` is one of
 * the rules of command_keys.h.  The rows are sorted by name, so a lookup is a binary search, in an
 * array of the names' first eight bytes as numbers, without a branch to guess wrong.  What a cache
 * is asked for most is compared first.
 * Callers    everything in the client that gets a command from outside.                          */
#include "client/command.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "client/command_keys.h"

/* ---- The table ------------------------------------------------------------------------------- */

/* Flags of a row. */
#define MANY      1
#define CONTAINER 2
#define PER_KEY   4
#define OPT_IN    8

/* Keys of a row: first_key, last_key, key_step, rule, at. */
#define NONE                     0, 0, 0, NKVI_KEYS_NONE, 0
#define RANGE(first, last, step) first, last, step, NKVI_KEYS_RANGE, 0
#define COUNTED(number)          0, 0, 0, NKVI_KEYS_COUNTED, number
#define MAYBE_COUNTED(number)    0, 0, 0, NKVI_KEYS_MAYBE_COUNTED, number
#define FIRST_COUNTED            0, 0, 0, NKVI_KEYS_FIRST_COUNTED, 2
#define STREAMS                  0, 0, 0, NKVI_KEYS_STREAMS, 0
#define STORE(from)              0, 0, 0, NKVI_KEYS_STORE, from
#define SORT_KEYS                0, 0, 0, NKVI_KEYS_SORT, 2
#define MIGRATE_KEYS             0, 0, 0, NKVI_KEYS_MIGRATE, 0

/* The keys come last because they are several values. */
#define ROW(identifier, name, arity, klass, flags, reason, ...)                                   \
    {                                                                                             \
        name, NKVI_COMMAND_##klass, ID_##identifier, ((flags)&PER_KEY) != 0, ((flags)&MANY) != 0, \
            ((flags)&OPT_IN) != 0, reason, __VA_ARGS__, arity, ((flags)&CONTAINER) != 0           \
    }

/* The place of a command in the table is its id. */
enum {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason) ID_##identifier,
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason)
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
    COMMANDS,
    ID_UNKNOWN = COMMANDS
};

static const nkvi_command commands[] = {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason) \
    ROW(identifier, name, arity, klass, flags, reason, keys),
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason)
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
};

/* The first eight bytes of each name as a number. */
static const uint64_t prefixes[] = {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason) UINT64_C(prefix),
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason)
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
};

enum {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason)
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason) \
    VARIANT_##identifier##_##condition,
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
};

static const nkvi_command variants[] = {
#define COMMAND(identifier, name, prefix, arity, klass, keys, flags, reason)
#define VARIANT(identifier, condition, name, prefix, arity, klass, keys, flags, reason) \
    ROW(identifier, name, arity, klass, flags, reason, keys),
#include "client/command_table.def"
#undef COMMAND
#undef VARIANT
};

static const nkvi_command unknown = ROW(UNKNOWN, "unknown command", -1, UNKNOWN, 0, NULL, NONE);

_Static_assert(COMMANDS < 1000, "ids are small, and the class of the table fits command.h");

/* ---- Looking up ------------------------------------------------------------------------------ */

/* Longer than every name of the table. */
#define NAME_ROOM 40

/* Appends `word` in upper case.  False if it is no part of a name: too long, with a NUL, or with
 * the '|' that only we put between command and subcommand.                                       */
static bool fold(char *name, size_t *len, nkv_str word)
{
    if (word.len >= NAME_ROOM - *len) {
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] == '\0' || word.data[i] == '|') {
            return false;
        }
        name[(*len)++] = nkvi_ascii_upper(word.data[i]);
    }
    return true;
}

/* What caches are asked for most: found by one comparison each. */
static const nkvi_command *find_hot(const char *name, size_t len)
{
    switch (len) {
    case 3:
        return memcmp(name, "GET", 3) == 0 ? &commands[ID_GET] : NULL;
    case 4:
        return memcmp(name, "MGET", 4) == 0   ? &commands[ID_MGET]
               : memcmp(name, "HGET", 4) == 0 ? &commands[ID_HGET]
                                              : NULL;
    case 6:
        return memcmp(name, "EXISTS", 6) == 0   ? &commands[ID_EXISTS]
               : memcmp(name, "STRLEN", 6) == 0 ? &commands[ID_STRLEN]
                                                : NULL;
    default:
        return NULL;
    }
}

static uint64_t prefix_of(const char *name, size_t len)
{
    uint64_t prefix = 0;

    for (size_t i = 0; i < 8; i++) {
        prefix = prefix << 8 | (i < len ? (unsigned char)name[i] : 0);
    }
    return prefix;
}

static const nkvi_command *find_row(const char *name, size_t len)
{
    uint64_t prefix = prefix_of(name, len);
    size_t at = 0;

    /* The last row whose prefix is not behind; then back over those with the same prefix. */
    for (size_t rest = COMMANDS; rest > 1; rest -= rest / 2) {
        at += prefixes[at + rest / 2] <= prefix ? rest / 2 : 0;
    }
    for (; prefixes[at] == prefix; at--) {
        if (strncmp(name, commands[at].name, len) == 0 && commands[at].name[len] == '\0') {
            return &commands[at];
        }
        if (at == 0) {
            break;
        }
    }
    return NULL;
}

/* The row of a subcommand.  One that is not known may do anything, to the connection too. */
static const nkvi_command *find_subcommand(const nkvi_command *command, nkv_str word)
{
    char name[NAME_ROOM];
    size_t len = 0;
    const nkvi_command *found = NULL;

    if (fold(name, &len, nkv_cstr(command->name))) {
        name[len++] = '|';
        found = fold(name, &len, word) ? find_row(name, len) : NULL;
    }
    if (found == NULL) {
        found = command->klass == NKVI_COMMAND_REFUSED ? command : &unknown;
    }
    return found;
}

/* ---- What depends on the arguments ----------------------------------------------------------- */

static const nkvi_option_word no_options[] = {{NULL, 0}};

static bool has_word(size_t argc, const nkv_str *argv, size_t from, const char *word)
{
    return nkvi_find_option(argc, argv, from, word, no_options) < argc;
}

/* Only what is a GET through and through is known not to write. */
static bool bitfield_only_gets(size_t argc, const nkv_str *argv)
{
    size_t at = 2;

    while (at < argc && nkvi_ascii_is(argv[at], "GET")) {
        at += 3;
    }
    return at == argc;
}

static bool xread_blocks(size_t argc, const nkv_str *argv)
{
    static const nkvi_option_word others[] = {{"COUNT", 1}, {"GROUP", 2}, {NULL, 0}};

    return nkvi_find_option(argc, argv, 1, "BLOCK", others) <
           nkvi_find_option(argc, argv, 1, "STREAMS", others);
}

static bool stores(size_t argc, const nkv_str *argv)
{
    return has_word(argc, argv, 2, "STORE") || has_word(argc, argv, 2, "STOREDIST");
}

#define IF(condition, variant) ((condition) ? &variants[VARIANT_##variant] : command)

static const nkvi_command *refine(const nkvi_command *command, size_t argc, const nkv_str *argv)
{
    switch (command->id) {
    case ID_BITFIELD:
        return IF(bitfield_only_gets(argc, argv), BITFIELD_ONLY_GET);
    case ID_DEBUG:
        return IF(argc > 1 && nkvi_ascii_is(argv[1], "SLEEP"), DEBUG_SLEEP);
    case ID_GEORADIUS:
        return IF(!stores(argc, argv), GEORADIUS_NO_STORE);
    case ID_GEORADIUSBYMEMBER:
        return IF(!stores(argc, argv), GEORADIUSBYMEMBER_NO_STORE);
    case ID_GETEX:
        return IF(argc <= 2, GETEX_NO_OPTION);
    case ID_SORT:
        return IF(!stores(argc, argv), SORT_NO_STORE);
    case ID_SORT_RO:
        return IF(has_word(argc, argv, 2, "BY") || has_word(argc, argv, 2, "GET"),
                  SORT_RO_BY_OR_GET);
    case ID_XREAD:
        return IF(xread_blocks(argc, argv), XREAD_BLOCK);
    case ID_XREADGROUP:
        return IF(xread_blocks(argc, argv), XREADGROUP_BLOCK);
    default:
        return command;
    }
}

const nkvi_command *nkvi_command_find(size_t argc, const nkv_str *argv)
{
    char name[NAME_ROOM];
    size_t len = 0;

    assert(argc >= 1);
    if (!fold(name, &len, argv[0])) {
        return &unknown;
    }
    const nkvi_command *command = find_hot(name, len);
    if (command != NULL) {
        return command;
    }
    command = find_row(name, len);
    if (command == NULL) {
        return &unknown;
    }
    if (command->container && argc > 1) {
        return find_subcommand(command, argv[1]);
    }
    return refine(command, argc, argv);
}
