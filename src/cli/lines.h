/* cli/lines.h - a stream read line by line, whatever its bytes, within a limit.
 *
 * Threads  One thread at a time per object.                                                      */
#ifndef NKVI_CLI_LINES_H
#define NKVI_CLI_LINES_H

#include <stddef.h>
#include <stdio.h>

typedef struct nkvi_lines {
    FILE *file; /* borrowed                                                                    */
    size_t bytes_max; /* of a line */
    size_t number; /* of the line read last, from 1                                               */
    char *line;    /* the line read last, without its newline, terminated                         */
    size_t len, cap;
} nkvi_lines;

typedef enum nkvi_lines_result {
    NKVI_LINES_LINE, /* line and len are set                                                     */
    NKVI_LINES_END,  /* nothing follows                                                          */
    NKVI_LINES_TOO_LONG, /* the line was longer than bytes_max; it is passed over                 */
    NKVI_LINES_ERROR /* reading failed: see errno                                                */
} nkvi_lines_result;

void nkvi_lines_init(nkvi_lines *lines, FILE *file, size_t bytes_max);
void nkvi_lines_clear(nkvi_lines *lines); /* does not close the file */

/* Reads the next line.  The last one needs no newline. */
nkvi_lines_result nkvi_lines_next(nkvi_lines *lines);

#endif
