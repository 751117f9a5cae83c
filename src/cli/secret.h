/* cli/secret.h - passwords: where they come from, and how they do not stay in sight.
 *
 * Threads  Called from main() before any other thread exists.                                    */
#ifndef NKVI_CLI_SECRET_H
#define NKVI_CLI_SECRET_H

#include <stdbool.h>

#include "cli/options.h"

/* The variable that is looked at unless --password-env names another. */
#define NKVI_SECRET_ENV "NEARKV_PASSWORD"

/* Overwrites a text with '*'; of a URL only the password. */
void nkvi_secret_wipe(char *text);
void nkvi_secret_wipe_url(char *url);

/* Whether there is a password between "://" and the "@" of a URL.  url: NULL is allowed. */
bool nkvi_secret_in_url(const char *url);

/* Decides which password counts and puts it into settings->password: that of --password, else the
 * file's, else (NULL: the library takes it) the URL's, else the environment's.  The environment
 * variable is removed in any case, so that a server we start does not inherit it; with --embedded
 * it is not used.
 * Returns false if the file cannot be read, or a variable that --password-env names is not set:
 * `error` says why.                                                                              */
bool nkvi_secret_find(nkvi_settings *settings, nkvi_out *error);

#endif
