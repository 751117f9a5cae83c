/* base/buf.c - see buf.h.  Grows by doubling, so appending is O(1) amortised. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"

#define BUF_MIN        64
#define RESP_ARG_EXTRA 32 /* room for "$", 20 digits and two line ends */

void nkvi_buf_init(nkvi_buf *buf)
{
    memset(buf, 0, sizeof *buf);
}

void nkvi_buf_clear(nkvi_buf *buf)
{
    nkvi_free(buf->data);
    nkvi_buf_init(buf);
}

bool nkvi_buf_reserve(nkvi_buf *buf, size_t more)
{
    assert(buf->len <= buf->cap);
    if (buf->failed || more > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return false;
    }
    if (buf->cap - buf->len >= more) {
        return true;
    }
    size_t cap = buf->cap < BUF_MIN ? BUF_MIN : buf->cap;
    while (cap - buf->len < more) {
        cap *= 2;
    }
    char *data = nkvi_realloc(buf->data, cap);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void nkvi_buf_append(nkvi_buf *buf, const void *data, size_t len)
{
    if (len > 0 && nkvi_buf_reserve(buf, len)) {
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }
}

void nkvi_buf_text(nkvi_buf *buf, const char *text)
{
    nkvi_buf_append(buf, text, strlen(text));
}

void nkvi_buf_printf(nkvi_buf *buf, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int need = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (need < 0 || !nkvi_buf_reserve(buf, (size_t)need + 1)) {
        buf->failed = true;
        return;
    }
    va_start(ap, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)need + 1, format, ap);
    va_end(ap);
    buf->len += (size_t)need;
}

void nkvi_buf_uint(nkvi_buf *buf, uint64_t number)
{
    char digits[NKVI_DECIMAL_MAX];
    nkvi_buf_append(buf, digits, nkvi_ascii_decimal(digits, number));
}

void nkvi_buf_resp_header(nkvi_buf *buf, size_t argc)
{
    nkvi_buf_append(buf, "*", 1);
    nkvi_buf_uint(buf, argc);
    nkvi_buf_append(buf, "\r\n", 2);
}

void nkvi_buf_resp_arg(nkvi_buf *buf, nkv_str arg)
{
    if (arg.len > SIZE_MAX - RESP_ARG_EXTRA || !nkvi_buf_reserve(buf, arg.len + RESP_ARG_EXTRA)) {
        buf->failed = true;
        return;
    }
    nkvi_buf_append(buf, "$", 1);
    nkvi_buf_uint(buf, arg.len);
    nkvi_buf_append(buf, "\r\n", 2);
    nkvi_buf_append(buf, arg.data, arg.len);
    nkvi_buf_append(buf, "\r\n", 2);
}

static char *put_number(char *at, char mark, size_t number)
{
    *at++ = mark;
    at += nkvi_ascii_decimal(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

void nkvi_buf_resp(nkvi_buf *buf, size_t argc, const nkv_str *argv)
{
    size_t need = RESP_ARG_EXTRA;
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len > SIZE_MAX / 4 || need > SIZE_MAX / 4) {
            buf->failed = true;
            return;
        }
        need += argv[i].len + RESP_ARG_EXTRA;
    }
    if (!nkvi_buf_reserve(buf, need)) {
        return;
    }
    char *at = put_number(buf->data + buf->len, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        at = put_number(at, '$', argv[i].len);
        if (argv[i].len > 0) {
            memcpy(at, argv[i].data, argv[i].len);
        }
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    buf->len = (size_t)(at - buf->data);
}

char *nkvi_buf_take(nkvi_buf *buf, size_t *len)
{
    if (!nkvi_buf_reserve(buf, 1)) {
        nkvi_buf_clear(buf);
        return NULL;
    }
    buf->data[buf->len] = '\0';
    char *data = buf->data;
    if (len != NULL) {
        *len = buf->len;
    }
    nkvi_buf_init(buf);
    return data;
}
