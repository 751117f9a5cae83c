/* client/reply.h - what can be told from a reply without knowing its command.
 *
 * Threads  [any]: pure functions. */
#ifndef NKVI_CLIENT_REPLY_H
#define NKVI_CLIENT_REPLY_H

#include <stdbool.h>

#include <nearkv/value.h>

/* Whether a reply is what a server says of a key that does not exist: nil, 0, -1, -2, "", an empty
 * list or a list of such, or the type "none". */
bool nkvi_reply_is_absent(const nkv_reply *reply);

/* Fills the error with the text of an error reply; returns NKV_EREPLY. */
nkv_status nkvi_reply_fail(nkv_error *error, const nkv_reply *reply);

/* Whether an error reply begins with this code ("WRONGTYPE"). */
bool nkvi_reply_has_code(const nkv_reply *reply, const char *code);

#endif
