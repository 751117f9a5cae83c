/* cli/shell.h - the shell: lines in, answers out.
 *
 *      line --words--> :command --> shell_local.c --\
 *                      MULTI EXEC DISCARD, queue     +--> view --> stream
 *                      anything else --> client ----/
 *
 * Threads  One thread at a time.                                                                 */
#ifndef NKVI_CLI_SHELL_H
#define NKVI_CLI_SHELL_H

#include <stdbool.h>

#include "cli/options.h"
#include "cli/view.h"
#include "cli/words.h"

#define NKVI_QUEUE_MAX ((size_t)1 << 16) /* commands of a transaction */

/* What a session knows. */
typedef struct nkvi_shell {
    nkv_client *client;
    const nkvi_view *view;
    nkv_level level;
    nkvi_out out; /* what the line has come to so far                                           */
    nkvi_words
        words;     /* of the line                                                                */
    bool in_multi; /* between MULTI and EXEC                                                     */
    nkvi_words
        *queue; /* the commands in between                                                    */
    size_t queued;
    bool failed; /* the last line came to an error */
    bool done;   /* quit was asked for */
} nkvi_shell;

/* Does what shell->words say (at least one word): shell->out has the answer. */
void nkvi_shell_words(nkvi_shell *shell);

/* The same for one of the shell's own commands, whose first byte is ":". */
void nkvi_shell_local(nkvi_shell *shell);

/* Frees what the session itself holds; not the client. */
void nkvi_shell_clear(nkvi_shell *shell);

/* The command `nearkv shell`.  Returns its exit status. */
int nkvi_shell_main(int argc, char **argv);

#endif
