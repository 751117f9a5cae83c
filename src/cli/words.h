/* cli/words.h - a typed line becomes the words of a command.
 *
 * The rules are those that users of redis-cli know:
 *
 *      plain       up to the next blank
 *      "…"         with \n \r \t \b \a \xHH; a backslash before anything else gives that itself
 *      '…'         literally, but \' gives a quote
 *      after a closing quote the word ends: a blank or the end of the line must follow
 *
 * Threads  One thread at a time per object.                                                      */
#ifndef NKVI_CLI_WORDS_H
#define NKVI_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <nearkv/status.h>

#define NKVI_WORDS_MAX ((size_t)1 << 20) /* what a server takes in one command */

/* Zeroed is empty.  The words point into `bytes` and are each followed by a NUL. */
typedef struct nkvi_words {
    nkv_str *word;
    size_t n, cap;
    char *bytes;
} nkvi_words;

/* Splits `line`, whose bytes may be any, into `words`; what those held before is lost.
 * Returns NULL, or what is wrong with the line; the words are then empty.                        */
const char *nkvi_words_split(nkvi_words *words, const char *line, size_t len);

/* Takes `n` C strings as they are. */
void nkvi_words_from(nkvi_words *words, size_t n, char *const *texts);

/* Frees; usable again as when zeroed. */
void nkvi_words_clear(nkvi_words *words);

/* Whether word `i` is there and is `text`, whatever the case of its ASCII letters. */
bool nkvi_words_is(const nkvi_words *words, size_t i, const char *text);

/* Whether the command carries a password (AUTH, HELLO … AUTH, ACL, CONFIG SET requirepass …): such
 * a line is not kept in a history file.                                                          */
bool nkvi_words_secret(const nkvi_words *words);

#endif
