/* client/command.h - what a command is: cached, read, write, or refused, and which of its arguments
 * are keys.
 *
 * The table (command_table.def) is made by scripts/gen_commands from what the servers themselves
 * say and from command_exceptions.def, which adds what they do not, each with a reason.
 * Threads  [any]: constant data.                                                                 */
#ifndef NKVI_CLIENT_COMMAND_H
#define NKVI_CLIENT_COMMAND_H

#include <stdbool.h>

#include <nearkv/status.h>

typedef enum nkvi_command_class {
    NKVI_COMMAND_CACHED,  /* read-only, deterministic, keyed: cached by command and arguments */
    NKVI_COMMAND_READ,    /* read-only but never cached; reason says why */
    NKVI_COMMAND_WRITE,   /* changes the keys it names; a script without keys may change any */
    NKVI_COMMAND_FLUSH,   /* changes everything: FLUSHALL, FLUSHDB, SWAPDB … */
    NKVI_COMMAND_OTHER,   /* touches no key: PING, INFO, PUBLISH … */
    NKVI_COMMAND_REFUSED, /* changes the connection, blocks, or subscribes; reason says why */
    NKVI_COMMAND_UNKNOWN  /* not in the table (module, newer server): may write anything */
} nkvi_command_class;

typedef struct nkvi_command {
    const char *name; /* upper case; a subcommand is "CLIENT|ID" */
    nkvi_command_class klass;
    unsigned id;        /* < 1000, constant in one build; goes into the canonical encoding */
    bool per_key;       /* MGET, EXISTS: an answer for many keys splits into answers by key */
    bool many_keys;     /* may name more than one key */
    bool opt_in;        /* READ: may be cached by key if the user vouches for it (EVAL_RO …) */
    const char *reason; /* READ, REFUSED: why, for users; else NULL */
    int first_key, last_key, key_step; /* as COMMAND's; 0: none, or found by a rule (EVAL …) */

    /* For the two parts of this module only. */
    unsigned char rule; /* an nkvi_keys_rule: how keys are found */
    unsigned char at;   /* where the rule begins */
    signed char arity;  /* arguments with the name; < 0: at least so many */
    bool container;     /* has subcommands */
} nkvi_command;

/* Never NULL: an unknown command or subcommand gets a shared UNKNOWN entry.  argc >= 1; names in
 * any case.  The class can depend on the arguments: SORT and GEORADIUS with STORE write, XREAD with
 * BLOCK is refused, GETEX without an option only reads.  No allocation; tens of nanoseconds. */
const nkvi_command *nkvi_command_find(size_t argc, const nkv_str *argv);

/* Writes the positions of the keys among argv to idx (at most cap) and returns how many there are;
 * keys beyond cap are counted but not written.  -1: the arguments do not fit the command, and no
 * server that the table knows would execute it; a newer one might, so a WRITE is to be treated as
 * UNKNOWN then.                                                                                  */
int nkvi_command_keys(const nkvi_command *command, size_t argc, const nkv_str *argv, unsigned *idx,
                      size_t cap);

#endif
