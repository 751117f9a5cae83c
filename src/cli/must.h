/* cli/must.h - memory for a command: there, or the command ends.
 *
 * A library must survive when memory runs out; a command can only say so.  These end the program
 * with a clear line and exit status 1 by exit(), so what was registered with atexit() still runs: a
 * private server is stopped.
 * Threads  [any].                                                                                */
#ifndef NKVI_CLI_MUST_H
#define NKVI_CLI_MUST_H

#include <stddef.h>

/* `count` times `size` bytes, zeroed; never NULL, also for 0.  The caller frees with free(). */
void *nkvi_must_alloc(size_t count, size_t size);

/* `block` (NULL: none yet) with room for `count` times `size` bytes; what is new is not set. */
void *nkvi_must_grow(void *block, size_t count, size_t size);

/* A copy of `len` bytes with a NUL behind that is not counted. */
char *nkvi_must_copy(const void *data, size_t len);

/* A copy of a C string. */
char *nkvi_must_copy_text(const char *text);

/* Ends the program: out of memory. */
_Noreturn void nkvi_must_fail(void);

#endif
