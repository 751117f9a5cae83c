/* cli/tell.h - what a command says about keys and files: a line for each, or a JSON object, and the
 * exit status that comes of it.
 *
 *      text   answers to stdout, errors to stderr           json   all of it to stdout
 *
 * Threads  One thread at a time.                                                                 */
#ifndef NKVI_CLI_TELL_H
#define NKVI_CLI_TELL_H

#include <stdbool.h>

#include "cli/out.h"

typedef struct nkvi_tell {
    const char *name; /* "lmcache put" */
    bool json;
    nkvi_out line; /* what is being said */
    int status;    /* the exit status so far */
    bool deaf;     /* nobody takes our output any more */
} nkvi_tell;

/* What an error or an answer is about; NULL: nothing. */
typedef struct nkvi_about {
    const nkv_str *key;
    const char *file;
} nkvi_about;

/* Begins the JSON object of a key in self->line: {"key":…,"file":… */
void nkvi_tell_begin(nkvi_tell *self, nkvi_about about);

/* Adds a key as people read it: as it is, or between quotes if that would not be one line. */
void nkvi_tell_add_key(nkvi_out *out, nkv_str key);

/* Writes self->line to standard output. */
void nkvi_tell_say(nkvi_tell *self);

/* Tells of an error, on stderr or as JSON, and takes note of the exit status: the worst counts. */
void nkvi_tell_fail(nkvi_tell *self, int status, nkvi_about about, const char *why);

/* The same with a text of parts, which is cleared. */
void nkvi_tell_fail_out(nkvi_tell *self, int status, nkvi_about about, nkvi_out *why);

/* The same of an item that failed, or (NKV_NOT_FOUND) is not there; `error` is the call's if it is
 * about this item, else NULL. */
void nkvi_tell_fail_item(nkvi_tell *self, nkvi_about about, nkv_status status,
                         const nkv_error *error);

/* A line that others made, "nearkv …: what is wrong\n", as ours; it is cleared. */
void nkvi_tell_fail_line(nkvi_tell *self, int status, nkvi_out *line);

/* There is no such command of `topic` ("lmcache"), or none is named: says which there are.  Returns
 * the exit status. */
int nkvi_tell_unknown(nkvi_tell *self, int argc, char **argv, const char *topic,
                      const char *commands);

/* "--help", "-h" or "help" */
bool nkvi_tell_is_help(const char *word);

/* Whether errors are wanted as JSON, also those of the options themselves. */
bool nkvi_tell_wants_json(int argc, char **argv);

#endif
