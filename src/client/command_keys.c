/* client/command_keys.c - which arguments of a command are keys.
 *
 * The rules are those of the servers, which the live tests ask with COMMAND GETKEYS.  Every
 * function returns the number of keys, or -1 where the arguments do not fit.                     */
#include "client/command_keys.h"

#include <assert.h>
#include <limits.h>

#include "base/ascii.h"
#include "client/command.h"

/* Where keys are written to; those beyond the room are only counted. */
typedef struct sink {
    unsigned *idx;
    size_t cap;
    int count;
} sink;

static void add(sink *out, size_t at)
{
    if ((size_t)out->count < out->cap) {
        out->idx[out->count] = (unsigned)at;
    }
    out->count++;
}

/* Adds first, first + step … up to and with `last`. */
static int add_run(sink *out, size_t first, size_t last, size_t step)
{
    for (size_t at = first; at <= last; at += step) {
        add(out, at);
    }
    return out->count;
}

/* ---- Options --------------------------------------------------------------------------------- */

static size_t arguments_of(nkv_str word, const nkvi_option_word *options)
{
    for (; options->word != NULL; options++) {
        if (nkvi_ascii_is(word, options->word)) {
            return options->arguments;
        }
    }
    return 0;
}

size_t nkvi_find_option(size_t argc, const nkv_str *argv, size_t from, const char *word,
                        const nkvi_option_word *others)
{
    size_t at = from;

    while (at < argc && !nkvi_ascii_is(argv[at], word)) {
        at += 1 + arguments_of(argv[at], others);
    }
    return at < argc ? at : argc;
}

/* ---- The rules ------------------------------------------------------------------------------- */

static int keys_range(const nkvi_command *command, size_t argc, sink *out)
{
    size_t first = (size_t)command->first_key;
    size_t step = (size_t)command->key_step;
    size_t last = (size_t)command->last_key;

    if (command->last_key < 0) {
        size_t behind = (size_t)-command->last_key;
        if (behind > argc) {
            return -1;
        }
        last = argc - behind;
    }
    /* With pairs (MSET) the last one must be whole. */
    if (first > last || last >= argc || (command->last_key < 0 && (last + 1 - first) % step != 0)) {
        return -1;
    }
    return add_run(out, first, last, step);
}

/* A number of keys, `max` at most; else -1. */
static long count_of(nkv_str text, size_t max)
{
    size_t number = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (!nkvi_ascii_digit(text.data[i])) {
            return -1;
        }
        number = number * 10 + (size_t)(text.data[i] - '0');
        if (number > max) {
            return -1;
        }
    }
    return text.len > 0 ? (long)number : -1;
}

static int keys_counted(size_t at, bool may_be_none, size_t argc, const nkv_str *argv, sink *out)
{
    if (at >= argc) {
        return -1;
    }
    long number = count_of(argv[at], argc - at - 1);
    if (number < 0 || (number == 0 && !may_be_none)) {
        return -1;
    }
    return add_run(out, at + 1, at + (size_t)number, 1);
}

static int keys_streams(size_t argc, const nkv_str *argv, sink *out)
{
    static const nkvi_option_word others[] = {{"COUNT", 1}, {"GROUP", 2}, {"BLOCK", 1}, {NULL, 0}};
    size_t at = nkvi_find_option(argc, argv, 1, "STREAMS", others);

    if (at + 2 >= argc || (argc - at - 1) % 2 != 0) {
        return -1;
    }
    return add_run(out, at + 1, at + (argc - at - 1) / 2, 1);
}

/* Adds the key behind STORE (or STOREDIST), wherever that stands among the options.  If it is there
 * several times, all of them: which one counts is the server's to decide.                        */
static void add_stored(const nkvi_command *command, size_t argc, const nkv_str *argv, sink *out)
{
    static const nkvi_option_word none[] = {{NULL, 0}};
    static const nkvi_option_word sort[] = {{"LIMIT", 2}, {"BY", 1}, {"GET", 1}, {NULL, 0}};
    bool is_sort = command->rule == NKVI_KEYS_SORT;

    for (size_t at = command->at; at + 1 < argc; at++) {
        if (nkvi_ascii_is(argv[at], "STORE") ||
            (!is_sort && nkvi_ascii_is(argv[at], "STOREDIST"))) {
            add(out, ++at);
        } else {
            at += arguments_of(argv[at], is_sort ? sort : none);
        }
    }
}

static int keys_migrate(size_t argc, const nkv_str *argv, sink *out)
{
    static const nkvi_option_word others[] = {{"AUTH", 1}, {"AUTH2", 2}, {NULL, 0}};
    size_t at = nkvi_find_option(argc, argv, 6, "KEYS", others);

    if (at == argc) {
        add(out, 3);
        return out->count;
    }
    if (argv[3].len > 0 || at + 1 == argc) {
        return -1;
    }
    return add_run(out, at + 1, argc - 1, 1);
}

int nkvi_command_keys(const nkvi_command *command, size_t argc, const nkv_str *argv, unsigned *idx,
                      size_t cap)
{
    sink out = {idx, cap, 0};
    bool fits =
        command->arity >= 0 ? argc == (size_t)command->arity : argc >= (size_t)-command->arity;

    if (!fits || argc > INT_MAX) {
        return -1;
    }
    switch ((nkvi_keys_rule)command->rule) {
    case NKVI_KEYS_NONE:
        return 0;
    case NKVI_KEYS_RANGE:
        return keys_range(command, argc, &out);
    case NKVI_KEYS_COUNTED:
        return keys_counted(command->at, false, argc, argv, &out);
    case NKVI_KEYS_MAYBE_COUNTED:
        return keys_counted(command->at, true, argc, argv, &out);
    case NKVI_KEYS_FIRST_COUNTED:
        add(&out, 1);
        return keys_counted(command->at, false, argc, argv, &out);
    case NKVI_KEYS_STREAMS:
        return keys_streams(argc, argv, &out);
    case NKVI_KEYS_STORE:
    case NKVI_KEYS_SORT:
        add(&out, 1);
        add_stored(command, argc, argv, &out);
        return out.count;
    case NKVI_KEYS_MIGRATE:
        return keys_migrate(argc, argv, &out);
    }
    return -1;
}
