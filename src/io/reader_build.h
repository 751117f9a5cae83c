/* io/reader_build.h - the reader's second pass: a whole reply becomes a draft.
 *
 *      "*2\r\n$1\r\na\r\n:7\r\n"  -->  root {ARRAY, 2, element} --> block [ {STRING "a"}
 *                                 {INTEGER 7} | a\0 ]
 *
 * The first pass has proved that the bytes are one well-formed reply and has counted what it
 * takes, so nothing can go wrong here but the allocation. */
#ifndef NKVI_IO_READER_BUILD_H
#define NKVI_IO_READER_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/draft.h"
#include "io/resp.h"

/* Builds `draft` (empty before) from the `size` bytes of one reply, which has `children` replies
 * below its root and `text_bytes` of text, NULs included.  Attributes are left out.  false:
 * memory ran out. */
bool nkvi_reader_build(const char *data, size_t size, size_t children, size_t text_bytes,
                       nkvi_draft *draft);

/* The same for a reply of one token, as most are, which need not be parsed again. */
bool nkvi_reader_build_one(const char *data, const nkvi_resp_token *token, size_t text_bytes,
                           nkvi_draft *draft);

#endif
