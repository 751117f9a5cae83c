/* cli/input.h - the lines a user types, or a program sends.
 *
 * On a terminal lines are edited and remembered (libedit), in ~/.nearkv_history, or in the file
 * that NEARKV_HISTORY names (empty: none), with mode 0600.  Otherwise they are just read.
 * Threads  One thread at a time.                                                                 */
#ifndef NKVI_CLI_INPUT_H
#define NKVI_CLI_INPUT_H

#include <stdbool.h>

#include "cli/lines.h"

typedef struct nkvi_input nkvi_input;

/* Standard input; edited if `edit`.  The caller closes. */
nkvi_input *nkvi_input_open(bool edit);

/* Shows `prompt` if there is somebody to see it, and reads a line; *line is valid until the next
 * call and terminated.                                                                           */
nkvi_lines_result nkvi_input_next(nkvi_input *input, const char *prompt, const char **line,
                                  size_t *len);

/* Remembers the line read last. */
void nkvi_input_remember(nkvi_input *input);

void nkvi_input_close(nkvi_input *input);

#endif
