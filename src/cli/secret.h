/* cli/secret.h - passwords: where they come from, and how they do not stay in sight.
 *
 * Threads  Called from main() before any other thread exists.                                    */
#ifndef NKVI_CLI_SECRET_H
#define NKVI_CLI_SECRET_H

#include <stdbool.h>

#include "cli/options.h"

/* Variables that are looked at unless --password-env or --sentinel-password-env names others. */
#define NKVI_SECRET_ENV          "NEARKV_PASSWORD"
#define NKVI_SECRET_SENTINEL_ENV "NEARKV_SENTINEL_PASSWORD"

/* Overwrites a text with '*'; of a URL only the password. */
void nkvi_secret_wipe(char *text);
void nkvi_secret_wipe_url(char *url);

/* Whether there is a password between "://" and the "@" of a URL.  url: NULL is allowed. */
bool nkvi_secret_in_url(const char *url);

/* Decides which passwords count.  settings->password becomes that of --password, else the file's,
 * else (NULL: the library takes it) the URL's, else the environment's; settings->sentinel_password
 * the file's, else the environment's.  The environment variables are removed in any case, so that a
 * server we start does not inherit them; with --embedded they are not used.
 * Returns false if a file cannot be read, or a variable that an option names is not set: `error`
 * says why.                                                                                      */
bool nkvi_secret_find(nkvi_settings *settings, nkvi_out *error);

#endif
