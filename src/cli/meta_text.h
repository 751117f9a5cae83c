/* cli/meta_text.h - a chunk's metadata as a short text.
 *
 *      fmt=KV_2LTD,dtype=bfloat16,shape=2x32x256x1024
 *      fmt=KV_2LTD,dtype=half,shape=2x2x256x1024;dtype=half,shape=1x2x256x64     two KV groups
 *      fmt=BINARY                                                                bytes
 *      fmt=9,dtype=uint8,shape=16x100                                            a fork's own
 *
 * The size is not in it: that is the file's.  For formats of tensors, and for UNDEFINED, the shapes
 * must come to just that size.                                                                   */
#ifndef NKVI_CLI_META_TEXT_H
#define NKVI_CLI_META_TEXT_H

#include <stdbool.h>

#include <nearkv/lmcache_meta.h>

#include "cli/out.h"

/* Reads a text; NULL: plain bytes, BINARY_BUFFER.  `meta` gets everything but the length; where no
 * shape is given it has no groups.  Returns true; false: `error` says what is wrong and what is
 * allowed, without a newline.                                                                    */
bool nkvi_meta_parse(const char *text, nkv_lmcache_meta *meta, nkvi_out *error);

/* Completes it for a payload of `size` bytes: length, and the shape if there is none yet.  Returns
 * true; false: `error` says why LMCache would not read such a chunk, without a newline.          */
bool nkvi_meta_fit(nkv_lmcache_meta *meta, uint64_t size, nkv_lmcache_padding padding,
                   nkvi_out *error);

/* As nkvi_meta_parse() reads it. */
void nkvi_meta_text(nkvi_out *out, const nkv_lmcache_meta *meta);

/* {"format":"KV_2LTD","groups":[{"dtype":"bfloat16","shape":[2,32,256,1024]}]}; a format without a
 * name is a number.                                                                              */
void nkvi_meta_json(nkvi_out *out, const nkv_lmcache_meta *meta);

#endif
