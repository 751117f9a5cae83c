/* cli/words.c - a typed line becomes the words of a command.
 *
 * One pass: a cursor walks over the line, the unescaped bytes are written to one block that is as
 * long as the line at most plus a NUL for each word, and the words are cut out of it.
 *
 *      line    set  "a b"  'c'             from --->
 *      bytes   s e t 0 a _ b 0 c 0         to ----->   never ahead of `from` by more than a NUL
 *
 * Invariant    to <= (bytes of the line consumed) + (words finished): the block cannot overflow. */
#include "cli/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/must.h"

typedef struct cursor {
    const char *from, *end;
    char *to;
} cursor;

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that a backslash and `c` stand for. */
static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* Takes what stands behind a backslash within "…"; at->from is at it, and it is not the line's
 * end.                                                                                           */
static void take_escape(cursor *at)
{
    if (*at->from == 'x' && at->end - at->from >= 3 && hex_digit(at->from[1]) >= 0 &&
        hex_digit(at->from[2]) >= 0) {
        *at->to++ = (char)(hex_digit(at->from[1]) * 16 + hex_digit(at->from[2]));
        at->from += 3;
        return;
    }
    *at->to++ = unescape(*at->from++);
}

/* Takes the rest of a quoted part; at->from is behind the opening quote.  Returns what is wrong. */
static const char *take_quoted(cursor *at, char quote)
{
    while (at->from < at->end && *at->from != quote) {
        bool escape = *at->from == '\\' && at->end - at->from >= 2;

        if (escape && quote == '"') {
            at->from++;
            take_escape(at);
            continue;
        }
        if (escape && at->from[1] == '\'') {
            at->from++; /* within '…' nothing else is escaped */
        }
        *at->to++ = *at->from++;
    }
    if (at->from == at->end) {
        return quote == '"' ? "unbalanced quotes: a \" is not closed"
                            : "unbalanced quotes: a ' is not closed";
    }
    at->from++;
    if (at->from < at->end && !is_blank(*at->from)) {
        return "a blank must follow a closing quote";
    }
    return NULL;
}

/* Takes one word; at->from is at its first byte.  Returns what is wrong. */
static const char *take_word(cursor *at)
{
    while (at->from < at->end && !is_blank(*at->from)) {
        char c = *at->from++;
        if (c == '"' || c == '\'') {
            return take_quoted(at, c);
        }
        *at->to++ = c;
    }
    return NULL;
}

static void add_word(nkvi_words *words, const char *start, size_t len)
{
    if (words->n == words->cap) {
        words->cap = words->cap < 8 ? 8 : words->cap * 2;
        words->word = nkvi_must_grow(words->word, words->cap, sizeof *words->word);
    }
    words->word[words->n++] = nkv_str_make(start, len);
}

const char *nkvi_words_split(nkvi_words *words, const char *line, size_t len)
{
    words->n = 0;
    /* Every word but the last is followed by a blank, whose byte its NUL may have. */
    words->bytes = nkvi_must_grow(words->bytes, len < SIZE_MAX ? len + 1 : len, 1);

    cursor at = {line, line + len, words->bytes};
    for (;;) {
        while (at.from < at.end && is_blank(*at.from)) {
            at.from++;
        }
        if (at.from == at.end) {
            return NULL;
        }
        const char *start = at.to;
        const char *wrong = take_word(&at);
        if (wrong == NULL && words->n == NKVI_WORDS_MAX) {
            wrong = "more than 1048576 words";
        }
        if (wrong != NULL) {
            words->n = 0;
            return wrong;
        }
        add_word(words, start, (size_t)(at.to - start));
        *at.to++ = '\0';
    }
}

void nkvi_words_from(nkvi_words *words, size_t n, char *const *texts)
{
    size_t bytes = 0, at = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += strlen(texts[i]) + 1;
    }
    words->n = 0;
    words->bytes = nkvi_must_grow(words->bytes, bytes, 1);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(texts[i]);
        memcpy(words->bytes + at, texts[i], len + 1);
        add_word(words, words->bytes + at, len);
        at += len + 1;
    }
}

void nkvi_words_clear(nkvi_words *words)
{
    free(words->word);
    free(words->bytes);
    *words = (nkvi_words){0};
}

bool nkvi_words_is(const nkvi_words *words, size_t i, const char *text)
{
    size_t len = strlen(text);

    return i < words->n && words->word[i].len == len &&
           strncasecmp(words->word[i].data, text, len) == 0;
}

bool nkvi_words_secret(const nkvi_words *words)
{
    static const char *const marks[] = {"auth",        "auth2",      "requirepass", "masterauth",
                                        "primaryauth", "masteruser", "primaryuser", "sentinel-pass",
                                        "auth-pass",   "auth-user"};

    if (nkvi_words_is(words, 0, "acl")) {
        return true;
    }
    for (size_t i = 0; i < words->n; i++) {
        for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
            if (nkvi_words_is(words, i, marks[m])) {
                return true;
            }
        }
    }
    return false;
}
