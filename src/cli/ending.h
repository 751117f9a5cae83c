/* cli/ending.h - how the command ends when a signal asks it to.
 *
 *      SIGINT SIGTERM SIGHUP SIGQUIT
 *       |
 *       +-- the first, if patience was asked for: nkvi_ending_asked() turns true, work goes on
 *       +-- else: terminal put right, half a file removed, private server stopped, then death by
 *           that very signal, so that a parent sees what happened (128 + number in a shell)
 *
 * SIGPIPE is ignored: writing to a closed pipe fails like any other write.
 * Threads  Signals may arrive in any thread.                                                     */
#ifndef NKVI_CLI_ENDING_H
#define NKVI_CLI_ENDING_H

#include <stdbool.h>

/* Takes the signals over and remembers how the terminal is set.  Once, at the start. */
void nkvi_ending_install(void);

/* From now on (true) the first signal only sets nkvi_ending_asked(), and the second one ends. */
void nkvi_ending_patience(bool on);

/* The signal that asked, or 0. */
int nkvi_ending_asked(void);

#endif
