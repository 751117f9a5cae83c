/* support/replies.h - replies out of the bytes that a server sent, made up or kept.
 *
 *      nkvi_draft reply = t_reply("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7000\r\n");
 *      nkvi_draft reply = t_reply_kept("cluster/redis_shards");        tests/fuzz/corpus/…
 *      … &reply.root …
 *      nkvi_draft_clear(&reply);
 *
 * What is no whole reply ends the process.
 * Threads    Any.                                                                                */

#ifndef T_SUPPORT_REPLIES_H
#define T_SUPPORT_REPLIES_H

#include <stddef.h>

#include "core/draft.h"

/* The first reply in the text. */
nkvi_draft t_reply(const char *text);

/* The first reply in a file below tests/fuzz/corpus. */
nkvi_draft t_reply_kept(const char *name);

/* Calls `each(reply, ud)` for every reply in the bytes until they end, or are none. */
void t_replies(const void *bytes, size_t len, void (*each)(const nkv_reply *reply, void *ud),
               void *ud);

#endif
