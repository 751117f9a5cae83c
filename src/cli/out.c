/* cli/out.c - a line of output while it is put together. */
#include "cli/out.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"

/* A buffer that once held a large answer is not kept for the small ones after it. */
#define KEEP_BYTES_MAX ((size_t)1 << 20)

void nkvi_out_clear(nkvi_out *out)
{
    free(out->data);
    *out = (nkvi_out){0};
}

/* Makes room for `more` bytes. */
static void reserve(nkvi_out *out, size_t more)
{
    if (out->cap - out->len >= more) {
        return;
    }
    if (more > SIZE_MAX / 2 - out->len) {
        nkvi_must_fail();
    }
    size_t cap = out->cap < 128 ? 128 : out->cap;
    while (cap - out->len < more) {
        cap *= 2;
    }
    out->data = nkvi_must_grow(out->data, cap, 1);
    out->cap = cap;
}

void nkvi_out_add(nkvi_out *out, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    reserve(out, len);
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

void nkvi_out_char(nkvi_out *out, char c)
{
    nkvi_out_add(out, &c, 1);
}

void nkvi_out_text(nkvi_out *out, const char *text)
{
    nkvi_out_add(out, text, strlen(text));
}

void nkvi_out_printf(nkvi_out *out, const char *format, ...)
{
    va_list first, again;

    va_start(first, format);
    va_copy(again, first);
    int len = vsnprintf(NULL, 0, format, first);
    va_end(first);
    if (len < 0) {
        nkvi_must_fail();
    }
    reserve(out, (size_t)len + 1);
    vsnprintf(out->data + out->len, (size_t)len + 1, format, again);
    va_end(again);
    out->len += (size_t)len;
}

void nkvi_out_quoted(nkvi_out *out, nkv_str str)
{
    static const char named[] = "\nn\rr\tt\aa\bb\"\"\\\\";

    nkvi_out_char(out, '"');
    for (size_t i = 0; i < str.len; i++) {
        unsigned char c = (unsigned char)str.data[i];
        const char *name = c != 0 ? strchr(named, c) : NULL;

        /* Pairs of byte and letter: a byte stands at an even place, a letter at an odd one. */
        if (name != NULL && (name - named) % 2 == 0) {
            nkvi_out_char(out, '\\');
            nkvi_out_char(out, name[1]);
        } else if (c >= 0x20 && c < 0x7f) {
            nkvi_out_char(out, (char)c);
        } else {
            nkvi_out_printf(out, "\\x%02x", c);
        }
    }
    nkvi_out_char(out, '"');
}

void nkvi_out_double(nkvi_out *out, double number)
{
    char text[40];

    if (isnan(number)) {
        nkvi_out_text(out, "nan");
        return;
    }
    if (isinf(number)) {
        nkvi_out_text(out, number > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    nkvi_out_text(out, text);
}

bool nkvi_out_write(nkvi_out *out, FILE *stream)
{
    bool written = true;

    if (out->len > 0) {
        written = fwrite(out->data, 1, out->len, stream) == out->len;
    }
    written = fflush(stream) == 0 && written;
    out->len = 0;
    if (out->cap > KEEP_BYTES_MAX) {
        nkvi_out_clear(out);
    }
    return written;
}
