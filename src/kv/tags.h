/* kv/tags.h - which keys have a tag: sorted sets at the server, next to the keys.
 *
 *      prefix __tag__:{news}              key -> when it expires, ms of the wall clock, or +inf
 *      prefix __tag__:{news}:gone         the invalidations that are under way, or were broken off
 *      prefix __tag__:{news}:gone:9f3c…   what one of them has to remove; nothing is added to it
 *
 * A key is noted before it is set, and, where both cannot be done in one transaction because they
 * live in different hash slots, once more behind: an invalidation in between would have forgotten
 * it.  So a key that is there is always noted; that one is noted which is not there does no harm.
 *
 * An invalidation renames the set, which parts what was noted before from what is noted later,
 * removes the keys, and then forgets them.  One that was broken off is finished by the next.
 *
 * What has expired is forgotten a few at a time when the tag is used: asked for first, since a key
 * may have been given more time, and only if nobody has noted it anew meanwhile.
 * Threads  [any] but the loop's own. */
#ifndef NKVI_KV_TAGS_H
#define NKVI_KV_TAGS_H

#include "kv/write.h"

#define NKVI_TAGS_TOGETHER 16u /* more tags are noted in steps */

/* NKV_OK · NKV_EINVAL. */
nkv_status nkvi_kv_tag_check(const nkv_kv *kv, nkv_str tag, nkv_error *error);

/* Notes the keys under each of the tags of `how`, if there are any, until its deadline.  call:
 * never NULL. */
nkv_status nkvi_kv_tag_keys(nkv_kv *kv, const nkv_str *keys, size_t n, const nkvi_how *how,
                            nkv_call *call);

/* Sets one key, which has tags. */
nkv_status nkvi_kv_set_tagged(nkv_kv *kv, nkv_str key, nkv_str name, nkv_str bytes,
                              const nkvi_how *how, nkv_call *call);

#endif
