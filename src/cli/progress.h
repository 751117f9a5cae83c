/* cli/progress.h - a bar on the terminal while the work goes on.
 *
 *      [##########..............]  41 %  4,930 requests, 1,210/s, 6 s left
 *
 * Drawn on stderr, at most ten times a second, and only if stderr is a terminal.
 * Threads  One thread at a time; the replay holds a lock.                                        */
#ifndef NKVI_CLI_PROGRESS_H
#define NKVI_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/out.h"

typedef struct nkvi_progress {
    bool shown;
    int64_t began_ns, drawn_ns;
} nkvi_progress;

void nkvi_progress_start(nkvi_progress *progress, bool shown, int64_t now_ns);

/* Draws if it is time.  done: 0..1, negative if not known. */
void nkvi_progress_step(nkvi_progress *progress, double done, uint64_t requests, int64_t now_ns);

/* Takes the bar off the screen. */
void nkvi_progress_end(nkvi_progress *progress);

/* The bar as text: what step() draws. */
void nkvi_progress_text(nkvi_out *out, double done, uint64_t requests, double seconds);

#endif
