/* base/status.c - texts of statuses, and how an error is filled. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *nkv_status_text(nkv_status status)
{
    switch (status) {
    case NKV_OK:
        return "done";
    case NKV_NOT_FOUND:
        return "does not exist";
    case NKV_MISS:
        return "not cached";
    case NKV_EINVAL:
        return "invalid argument";
    case NKV_ENOMEM:
        return "out of memory";
    case NKV_ETIMEDOUT:
        return "timed out";
    case NKV_ECONN:
        return "no connection";
    case NKV_EREPLY:
        return "error reply";
    case NKV_EPROTO:
        return "protocol error";
    case NKV_ECLOSED:
        return "client closed";
    case NKV_EBUSY:
        return "queue full";
    case NKV_EREFUSED:
        return "command refused";
    case NKV_ENOTSUP:
        return "not supported";
    case NKV_EDEADLK:
        return "would wait for itself";
    case NKV_ECANCELED:
        return "cancelled";
    case NKV_ESIZE:
        return "too large for the given memory";
    case NKV_EDECODE:
        return "cannot be decoded";
    }
    return "unknown status";
}

static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

/* A text that was cut may end inside a UTF-8 character: takes off what is left of that. */
static void trim_partial(char *text, size_t len)
{
    size_t back = 0;

    while (back < len && back < 3 && ((unsigned char)text[len - 1 - back] & 0xC0) == 0x80) {
        back++;
    }
    if (back == len) {
        return;
    }
    unsigned char lead = (unsigned char)text[len - 1 - back];
    size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (whole > back + 1) {
        text[len - 1 - back] = '\0';
    }
}

static void fill(nkv_error *error, nkv_status status, int sys_errno, const char *format, va_list ap)
{
    error->status = status;
    error->sys_errno = sys_errno;
    int len = vsnprintf(error->text, sizeof error->text, format, ap);
    if (len >= (int)sizeof error->text) {
        trim_partial(error->text, sizeof error->text - 1);
    }
    clean(error->text);
}

nkv_status nkvi_fail(nkv_error *error, nkv_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list ap;
        va_start(ap, format);
        fill(error, status, 0, format, ap);
        va_end(ap);
    }
    return status;
}

nkv_status nkvi_fail_errno(nkv_error *error, nkv_status status, int sys_errno, const char *format,
                           ...)
{
    if (error != NULL) {
        va_list ap;
        va_start(ap, format);
        fill(error, status, sys_errno, format, ap);
        va_end(ap);
        const char *reason = strerrordesc_np(sys_errno); /* constant text in English */
        size_t used = strlen(error->text);

        (void)snprintf(error->text + used, sizeof error->text - used, ": %s",
                       reason != NULL ? reason : "unknown error");
    }
    return status;
}
