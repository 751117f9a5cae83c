/* base/status.h - writing an nkv_error. */
#ifndef NKVI_BASE_STATUS_H
#define NKVI_BASE_STATUS_H

#include <nearkv/status.h>

/* Fills `error` (NULL is allowed) with a text made like printf, cut at its end between two
 * characters if need be, and returns `status`, so that `return nkvi_fail(error, NKV_EINVAL, …)` is
 * one line.  Line breaks and other control bytes of the text become '?'.                         */
nkv_status nkvi_fail(nkv_error *error, nkv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with an errno, whose text is appended. */
nkv_status nkvi_fail_errno(nkv_error *error, nkv_status status, int sys_errno, const char *format,
                           ...) __attribute__((format(printf, 4, 5)));

#endif
