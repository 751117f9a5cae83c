/* cli/file.h - whole files: into one block of memory, and out of it without half of one in between.
 *
 *      FILE ---------> nkvi_block             - : standard input
 *      bytes --------> .nearkv-RANDOM beside it --rename--> FILE
 *              '-----> what is no regular file (a device, a pipe), and - : written as it is
 *
 * Threads  One file at a time.                                                                   */
#ifndef NKVI_CLI_FILE_H
#define NKVI_CLI_FILE_H

#include <stdbool.h>

#include "cli/out.h"

/* Memory that is used again and again.  Zeroed is empty. */
typedef struct nkvi_block {
    char *data;
    size_t len, cap;
} nkvi_block;

/* Room for `len` bytes, at least one; what was in it is lost.  Returns it, or NULL: memory ran
 * out.                                                                                           */
char *nkvi_block_room(nkvi_block *block, size_t len);
void nkvi_block_clear(nkvi_block *block);

/* What the file's size is; -1: only reading tells (a pipe, …).  Returns false if there is
 * no such file, or none that can be read: `error` says why, without a newline.                   */
bool nkvi_file_size(const char *path, int64_t *size, nkvi_out *error);

/* Reads all of it.  A file of known size needs that many bytes and one more.  Returns false if it
 * cannot be read, or has more than `most` bytes: `error` says why, without a newline.            */
bool nkvi_file_read(const char *path, size_t most, nkvi_block *block, nkvi_out *error);

/* Writes all of it: FILE is the old one or the new one, whatever happens, and keeps its mode; of a
 * link the file behind it.  Returns false: `error` says why, without a newline.                  */
bool nkvi_file_write(const char *path, const void *data, size_t len, nkvi_out *error);

/* Removes what nkvi_file_write() has not finished.  May be called in a signal handler. */
void nkvi_file_forget(void);

#endif
