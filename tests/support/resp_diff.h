/* support/resp_diff.h - our reader of RESP against hiredis's, over the same bytes.
 *
 * Both are fed the bytes in the same pieces. What both hand out must be equal, and where only one
 * goes on, the reason must be one of the known differences:
 *
 *      ours stricter      a string without CR LF behind it, a push inside a reply, deeper than 32
 *                         levels, hexadecimal doubles, "(-", length -1 of a push, "#" and a NUL,
 *                         long lines, limits
 *      ours more lenient  attributes, long errors ("!"), "+" and leading zeros in numbers
 *
 * Anything else ends the process with both views of it. For the fuzzer and the unit tests.       */

#ifndef T_SUPPORT_RESP_DIFF_H
#define T_SUPPORT_RESP_DIFF_H

#include <stddef.h>
#include <stdint.h>

/* `piece`: how many bytes at a time, > 0. Returns how many replies both agreed on.               */
size_t t_resp_diff(const uint8_t *data, size_t len, size_t piece);

#endif
