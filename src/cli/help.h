/* cli/help.h - what the command tells about itself. */
#ifndef NKVI_CLI_HELP_H
#define NKVI_CLI_HELP_H

#include "cli/out.h"

/* The text of a topic: "shell", "replay", "lmcache", "kv", or NULL for the overview.  Returns
 * false if there is no such topic.                                                               */
bool nkvi_help_text(nkvi_out *out, const char *topic);

/* Prints it.  Returns the exit status of the command: a usage error if there is no such topic. */
int nkvi_help_print(const char *topic);

/* "nearkv 0.1.0" */
void nkvi_version_text(nkvi_out *out);

#endif
