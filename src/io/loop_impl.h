/* io/loop_impl.h - what the other files of this room need of a loop: libev's loop itself.
 *
 * Threads  [loop]. */
#ifndef NKVI_IO_LOOP_IMPL_H
#define NKVI_IO_LOOP_IMPL_H

#include <stddef.h>

#include "io/loop.h"
#include "io/reader.h"

/* The struct that `task` is member `member` of. */
#define NKVI_TASK_OF(task_, type, member) ((type *)(void *)((char *)(task_)-offsetof(type, member)))

struct ev_loop *nkvi_loop_ev(const nkvi_loop *loop);

/* What the readers of the loop's lanes share. */
nkvi_reader_spare *nkvi_loop_spare(nkvi_loop *loop);

/* Reads the clock again and notes the calling thread as the one that runs the loop; for entries
 * into our code that did not come through the poll. */
void nkvi_loop_enter(nkvi_loop *loop);

#endif
