/* client/command_keys.h - the ways in which commands name their keys.
 *
 * Callers  command.c, command_keys.c; others call nkvi_command_keys() (command.h).               */
#ifndef NKVI_CLIENT_COMMAND_KEYS_H
#define NKVI_CLIENT_COMMAND_KEYS_H

#include <stdbool.h>

#include <nearkv/status.h>

typedef enum nkvi_keys_rule {
    NKVI_KEYS_NONE,
    NKVI_KEYS_RANGE,         /* first_key, last_key, key_step:   MSET k v k v */
    NKVI_KEYS_COUNTED,       /* their number at `at`, then they: ZUNION 2 k k WITHSCORES */
    NKVI_KEYS_MAYBE_COUNTED, /* the same, and there may be none: EVAL script 0 */
    NKVI_KEYS_FIRST_COUNTED, /* one, then as COUNTED:            ZUNIONSTORE k 2 k k */
    NKVI_KEYS_STREAMS,       /* half of what follows STREAMS:    XREAD COUNT 5 STREAMS k k id id */
    NKVI_KEYS_STORE,         /* one, and one behind STORE:       GEORADIUS k 0 0 1 m STORE k */
    NKVI_KEYS_SORT,          /* the same with other options:     SORT k BY p LIMIT 0 5 STORE k */
    NKVI_KEYS_MIGRATE        /* one, or what follows KEYS:       MIGRATE h p "" 0 9 KEYS k k */
} nkvi_keys_rule;

/* One option before the keys of a command, and how many arguments it has. */
typedef struct nkvi_option_word {
    const char *word;
    size_t arguments;
} nkvi_option_word;

/* The position of `word` among the options that begin at `from`; argc if it is not there.
 * Arguments of the options in `others` (ended by a NULL word) are passed over.                   */
size_t nkvi_find_option(size_t argc, const nkv_str *argv, size_t from, const char *word,
                        const nkvi_option_word *others);

#endif
