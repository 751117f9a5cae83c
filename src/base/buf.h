/* base/buf.h - a growing byte buffer whose failure is remembered.
 *
 * Appending after memory ran out does nothing; callers check `failed` once, at the end.  Used for
 * outgoing commands, texts and canonical encodings.                                              */
#ifndef NKVI_BASE_BUF_H
#define NKVI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

typedef struct nkvi_buf {
    char *data;
    size_t len, cap;
    bool failed;
} nkvi_buf;

void nkvi_buf_init(nkvi_buf *buf);                 /* empty, owns nothing                         */
void nkvi_buf_clear(nkvi_buf *buf);                /* frees; usable again as after init           */
bool nkvi_buf_reserve(nkvi_buf *buf, size_t more); /* room for `more` bytes; false sets failed    */
void nkvi_buf_append(nkvi_buf *buf, const void *data, size_t len);
void nkvi_buf_text(nkvi_buf *buf, const char *text);
void nkvi_buf_printf(nkvi_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number in decimal, faster than printf. */
void nkvi_buf_uint(nkvi_buf *buf, uint64_t number);

/* One command in RESP: "*argc\r\n$len\r\n…" header, then each argument. */
void nkvi_buf_resp_header(nkvi_buf *buf, size_t argc);
void nkvi_buf_resp_arg(nkvi_buf *buf, nkv_str arg);
void nkvi_buf_resp(nkvi_buf *buf, size_t argc, const nkv_str *argv);

/* Hands the bytes over, terminated by a NUL (not counted in *len), and empties the buffer.  NULL if
 * it failed or memory runs out now; the buffer is empty then too.  To be freed with nkvi_free.   */
char *nkvi_buf_take(nkvi_buf *buf, size_t *len);

#endif
