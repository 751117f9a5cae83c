/* support/resp.h - frames of RESP2 and RESP3 as bytes, right ones and wrong ones.
 *
 *      t_resp r = {0};
 *      t_resp_push_keys(&r, "a", "b");       >2 invalidate [a b]
 *      t_resp_bulk(&r, "v");                 $1 v
 *      … r.bytes, r.len …
 *      t_resp_free(&r);
 *
 * Threads    One at a time per t_resp.                                                           */

#ifndef T_SUPPORT_RESP_H
#define T_SUPPORT_RESP_H

#include <stdbool.h>
#include <stddef.h>

/* Begins as {0}. */
typedef struct t_resp {
    char *bytes;
    size_t len;
    size_t room;
} t_resp;

void t_resp_clear(t_resp *r); /* keeps the memory */
void t_resp_free(t_resp *r);

void t_resp_raw(t_resp *r, const void *bytes, size_t len);
void t_resp_text(t_resp *r, const char *text);

/* ---- Right ----------------------------------------------------------------------------------- */

/* A header: the type's character and a number. Arrays '*', maps '%' (pairs), sets '~', pushes '>',
 * attributes '|' (pairs), bulks '$', integers ':' …; nothing says that what follows fits it.     */
void t_resp_head(t_resp *r, char type, long long number);

void t_resp_bulk(t_resp *r, const char *text);
void t_resp_bulk_bytes(t_resp *r, const void *bytes, size_t len);

/* Nothing at all, in the three ways that servers write it. */
typedef enum t_nil { T_NIL3, T_NIL_BULK, T_NIL_ARRAY } t_nil; /* _, $-1, *-1 */
void t_resp_nil(t_resp *r, t_nil how);

/* A command as clients send it; `argv` ends with NULL. */
void t_resp_command_argv(t_resp *r, const char *const *argv);
#define t_resp_command(r, ...) t_resp_command_argv((r), (const char *const[]){__VA_ARGS__, NULL})

/* What tracking tells: these keys, or everything. */
void t_resp_push_keys_argv(t_resp *r, const char *const *keys);
#define t_resp_push_keys(r, ...) \
    t_resp_push_keys_argv((r), (const char *const[]){__VA_ARGS__, NULL})
void t_resp_push_flush(t_resp *r, t_nil how);

/* The same for a RESP2 listener that has subscribed to __redis__:invalidate. */
void t_resp_message_keys_argv(t_resp *r, const char *const *keys);
#define t_resp_message_keys(r, ...) \
    t_resp_message_keys_argv((r), (const char *const[]){__VA_ARGS__, NULL})
void t_resp_message_flush(t_resp *r, t_nil how);

/* One array that holds a value of every type of RESP3. Left out is what few readers know:
 * attributes, blob errors, streamed aggregates.                                                  */
void t_resp_every_type(t_resp *r);

/* Arrays in arrays: `depth` headers around an integer. */
void t_resp_nested(t_resp *r, size_t depth);

/* ---- Wrong ----------------------------------------------------------------------------------- */

/* The malformed frame of that number, appended to `r`, and its name; NULL behind the last one. No
 * prefix of such a frame makes it right; a reader must report an error and not wait for more.    */
const char *t_resp_malformed(size_t number, t_resp *r);

/* The unfinished frame of that number: right so far, but more must come. Announced lengths are
 * beyond all reason in some of them: a reader must neither believe nor allocate them.            */
const char *t_resp_unfinished(size_t number, t_resp *r);

#endif
