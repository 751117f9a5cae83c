/* cli/out.h - a line of output while it is put together.
 *
 * Everything the command prints is first written into an nkvi_out and then handed to the stream in
 * one piece: a reader of our output never sees half an answer, and tests see what would be printed.
 * Threads  One thread at a time per object.                                                      */
#ifndef NKVI_CLI_OUT_H
#define NKVI_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <nearkv/status.h>

/* Zeroed is empty.  `data` has no NUL at its end. */
typedef struct nkvi_out {
    char *data;
    size_t len, cap;
} nkvi_out;

/* Frees; usable again as when zeroed. */
void nkvi_out_clear(nkvi_out *out);

void nkvi_out_add(nkvi_out *out, const void *data, size_t len);
void nkvi_out_char(nkvi_out *out, char c);
void nkvi_out_text(nkvi_out *out, const char *text);
void nkvi_out_printf(nkvi_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `str` between double quotes, as one would type it into the shell: \n \r \t \a \b \" \\, and \xHH
 * for every other byte that cannot be printed.                                                   */
void nkvi_out_quoted(nkvi_out *out, nkv_str str);

/* The shortest decimal text that reads back as the same double; inf, -inf and nan as such. */
void nkvi_out_double(nkvi_out *out, double number);

/* Writes and flushes what is there and empties the buffer.  Returns false if the stream refused
 * it.                                                                                            */
bool nkvi_out_write(nkvi_out *out, FILE *stream);

#endif
