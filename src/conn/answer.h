/* conn/answer.h - what servers tell of themselves: words, numbers, fields, lines of a text.
 *
 *      map, RESP3     %2 $4 role $6 master $4 port :7000
 *      map, RESP2     *4 $4 role $6 master $4 port :7000      the same as one flat array
 *      text           role:master\r\nmaster_repl_offset:12\r\n
 *
 * Threads  [any]: pure. */
#ifndef NKVI_CONN_ANSWER_H
#define NKVI_CONN_ANSWER_H

#include <stdbool.h>

#include <nearkv/value.h>

/* The bytes of a string, a status or a verbatim text.  false: it is none (NULL is none), *out is
 * empty. */
bool nkvi_answer_text(const nkv_reply *reply, nkv_str *out);

bool nkvi_answer_is(const nkv_reply *reply, const char *word);

typedef struct nkvi_limits {
    int64_t min, max; /* both included */
} nkvi_limits;

/* A number, or its decimal text.  false: it is none, or out of the limits; *out is untouched. */
bool nkvi_answer_int(const nkv_reply *reply, nkvi_limits limits, int64_t *out);

bool nkvi_answer_is_list(const nkv_reply *reply);  /* an array or a set, maybe empty */
bool nkvi_answer_is_pairs(const nkv_reply *reply); /* a map, or an array that may be one */

/* The value of a field of pairs; NULL: there is none, or these are no pairs.  O(fields). */
const nkv_reply *nkvi_answer_field(const nkv_reply *pairs, const char *name);

/* What stands behind "name:" on a line of its own.  false: no line begins so, *out is empty. */
bool nkvi_answer_line(nkv_str text, const char *name, nkv_str *out);

/* The same as a number.  false: there is none, or out of the limits; *out is untouched. */
bool nkvi_answer_line_int(nkv_str text, const char *name, nkvi_limits limits, int64_t *out);

#endif
