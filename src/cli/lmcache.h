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
#include "cli/tell.h"

/* A command under way. */
typedef struct nkvi_lmc {
    nkvi_tell tell;
    const nkvi_settings *settings; /* rest: what was named */
    nkv_client *client;
    nkv_lmcache *lmcache;
} nkvi_lmc;

/* A command: what can be wrong before anything is sent, and the work itself on connected handles.
 * check() returns false after nkvi_tell_fail(). */
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
