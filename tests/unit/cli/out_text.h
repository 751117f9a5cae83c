/* tests/unit/cli/out_text.h - what an nkvi_out holds, to be compared with a text. */
#ifndef T_CLI_OUT_TEXT_H
#define T_CLI_OUT_TEXT_H

#include <criterion/criterion.h>
#include <string.h>

#include "cli/out.h"

/* The bytes must be those of `text` (a literal, which may hold NULs); the buffer is cleared. */
#define OUT_IS(out, text)                                                                \
    do {                                                                                 \
        cr_assert((out)->len == sizeof(text) - 1 &&                                      \
                      ((out)->len == 0 || memcmp((out)->data, (text), (out)->len) == 0), \
                  "wanted \"%s\", got \"%.*s\"", (text), (int)(out)->len,                \
                  (out)->len > 0 ? (out)->data : "");                                    \
        nkvi_out_clear(out);                                                             \
    } while (0)

/* The bytes must contain the text. */
#define OUT_HAS(out, text)                                                                     \
    cr_assert((out)->len > 0 && memmem((out)->data, (out)->len, (text), strlen(text)) != NULL, \
              "\"%s\" is not in \"%.*s\"", (text), (int)(out)->len,                            \
              (out)->len > 0 ? (out)->data : "")

#endif
