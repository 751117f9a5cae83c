/* cli/progress.c - a bar on the terminal while the work goes on. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>

#define WIDTH   30
#define STEP_NS 100000000

void nkvi_progress_start(nkvi_progress *progress, bool shown, int64_t now_ns)
{
    *progress = (nkvi_progress){.shown = shown, .began_ns = now_ns};
}

void nkvi_progress_text(nkvi_out *out, double done, uint64_t requests, double seconds)
{
    double rate = seconds > 0 ? (double)requests / seconds : 0;

    if (done >= 0) {
        done = done > 1 ? 1 : done;
        nkvi_out_char(out, '[');
        for (int i = 0; i < WIDTH; i++) {
            nkvi_out_char(out, i < (int)(done * WIDTH) ? '#' : '.');
        }
        nkvi_out_printf(out, "] %3d %%  ", (int)(done * 100));
    }
    nkvi_out_printf(out, "%" PRIu64 " requests, %.0f/s", requests, rate);
    if (done > 0 && seconds > 1) {
        nkvi_out_printf(out, ", %.0f s left", seconds / done - seconds);
    }
}

void nkvi_progress_step(nkvi_progress *progress, double done, uint64_t requests, int64_t now_ns)
{
    nkvi_out line = {0};

    if (!progress->shown || now_ns - progress->drawn_ns < STEP_NS) {
        return;
    }
    progress->drawn_ns = now_ns;
    nkvi_out_char(&line, '\r');
    nkvi_progress_text(&line, done, requests, (double)(now_ns - progress->began_ns) / 1e9);
    nkvi_out_text(&line, "\033[K");
    (void)nkvi_out_write(&line, stderr);
    nkvi_out_clear(&line);
}

void nkvi_progress_end(nkvi_progress *progress)
{
    if (progress->shown && progress->drawn_ns != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->shown = false;
}
