/* io/resp.h - one token of RESP: the type byte and its line.
 *
 *      $5\r\nhello\r\n     token {'$', number 5, size 4}, payload of 5 bytes behind it
 *      :42\r\n             token {':', number 42, size 5}
 *      +OK\r\n             token {'+', text "OK", size 5}
 *
 * Shared by the two passes of the reader.  Pure functions. */
#ifndef NKVI_IO_RESP_H
#define NKVI_IO_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/value.h>

#define NKVI_RESP_TEXT_MAX   (1024u * 1024u) /* a line of text: + - ( */
#define NKVI_RESP_NUMBER_MAX 32u             /* a line with a number or a letter */

typedef enum nkvi_resp_class {
    NKVI_RESP_LINE,      /* all of it is in the line: + - : , ( # _ */
    NKVI_RESP_BULK,      /* `number` bytes and CR LF follow: $ ! = */
    NKVI_RESP_AGGREGATE, /* `number` elements follow: * ~ % > */
    NKVI_RESP_ATTRIBUTE, /* `number` elements follow, and then the reply that they are about: | */
    NKVI_RESP_BAD
} nkvi_resp_class;

typedef struct nkvi_resp_token {
    nkvi_resp_class klass;
    nkv_type type;    /* NIL also for $-1 and *-1, which are then of class LINE */
    uint64_t number;  /* BULK: bytes; AGGREGATE, ATTRIBUTE: elements (2 × pairs) */
    int64_t integer;  /* INTEGER, BOOL */
    double dval;      /* DOUBLE */
    const char *text; /* LINE: the text between type byte and CR LF */
    size_t len;
    size_t size; /* of the token: type byte, line, CR LF */
} nkvi_resp_token;

/* How long the line of a token may be, type byte and CR LF included, by the type byte; 0: no
 * type of RESP, which can thus be told from the first byte. */
size_t nkvi_resp_line_max(char kind);

/* All bytes of a token that is a reply by itself: with the payload of a BULK. */
static inline size_t nkvi_resp_size(const nkvi_resp_token *token)
{
    return token->size + (token->klass == NKVI_RESP_BULK ? (size_t)token->number + 2 : 0);
}

/* Parses the token at `data`, of which `size` bytes up to and including CR LF are there.  The
 * class is BAD, and `text` says why (constant text), if it is no RESP. */
nkvi_resp_token nkvi_resp_parse(const char *data, size_t size);

#endif
