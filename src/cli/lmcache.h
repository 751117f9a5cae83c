/* cli/lmcache.h - chunks of LMCache from the command line: files in and out.
 *
 *      nearkv lmcache put KEY FILE …      lmcache_files.c \
 *                     get KEY FILE …      lmcache_files.c  +--> a line for each KEY --> stdout
 *                     contains KEY …      lmcache_keys.c  /     (text: errors to stderr)
 *                     ls [PREFIX], rm KEY …
 *
 * A client without a cache: every command asks once.
 * Threads  One thread at a time.                                                                 */
#ifndef NKVI_CLI_LMCACHE_H
#define NKVI_CLI_LMCACHE_H

#include <stdbool.h>

#include <nearkv/lmcache_store.h>

#include "cli/options.h"

/* A command under way. */
typedef struct nkvi_lmc {
    const nkvi_settings *settings; /* rest: what was named */
    const char *name;              /* "lmcache put" */
    bool json;
    nkv_client *client;
    nkv_lmcache *lmcache;
    nkvi_out line; /* what is being said */
    int status;    /* the exit status so far */
    bool deaf;     /* nobody takes our output any more */
} nkvi_lmc;

/* What an error or an answer is about; NULL: nothing. */
typedef struct nkvi_lmc_about {
    const nkv_str *key;
    const char *file;
} nkvi_lmc_about;

/* Begins the JSON object of a key in self->line: {"key":…,"file":… */
void nkvi_lmc_begin(nkvi_lmc *self, nkvi_lmc_about about);

/* Adds a key as people read it: as it is, or between quotes if that would not be one line. */
void nkvi_lmc_add_key(nkvi_out *out, nkv_str key);

/* Writes self->line to standard output. */
void nkvi_lmc_say(nkvi_lmc *self);

/* Tells of an error, on stderr or as JSON, and takes note of the exit status: the worst counts. */
void nkvi_lmc_fail(nkvi_lmc *self, int status, nkvi_lmc_about about, const char *why);

/* The same with a text of parts, which is cleared. */
void nkvi_lmc_fail_out(nkvi_lmc *self, int status, nkvi_lmc_about about, nkvi_out *why);

/* The same of an item that failed, or (NKV_NOT_FOUND) is not there; `error` is the call's if it is
 * about this item, else NULL. */
void nkvi_lmc_fail_item(nkvi_lmc *self, nkvi_lmc_about about, nkv_status status,
                        const nkv_error *error);

/* A command: what can be wrong before anything is sent, and the work itself on connected handles.
 * check() returns false after nkvi_lmc_fail(). */
typedef struct nkvi_lmc_command {
    const char *name;
    unsigned option; /* NKVI_FOR_… */
    bool (*check)(nkvi_lmc *self);
    void (*run)(nkvi_lmc *self);
} nkvi_lmc_command;

bool nkvi_lmc_put_check(nkvi_lmc *self);
void nkvi_lmc_put(nkvi_lmc *self);
bool nkvi_lmc_get_check(nkvi_lmc *self);
void nkvi_lmc_get(nkvi_lmc *self);

bool nkvi_lmc_keys_check(nkvi_lmc *self); /* of contains and rm */
void nkvi_lmc_contains(nkvi_lmc *self);
void nkvi_lmc_rm(nkvi_lmc *self);
bool nkvi_lmc_ls_check(nkvi_lmc *self);
void nkvi_lmc_ls(nkvi_lmc *self);

/* `nearkv lmcache …`.  Returns its exit status. */
int nkvi_lmc_main(int argc, char **argv);

#endif
