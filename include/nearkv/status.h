/* nearkv/status.h - what every call answers, and byte strings.
 *
 * Errors   One channel: a status a caller must look at, and for the detail an nkv_error that the
 *          caller owns.  NKV_OK (0) done · > 0 a normal outcome · < 0 a failure, so callers test
 *          `< 0`.
 * Threads  Everything here is [any]: any thread, any time. */
#ifndef NEARKV_STATUS_H
#define NEARKV_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NKV_API       __attribute__((visibility("default")))
#define NKV_NODISCARD __attribute__((warn_unused_result))
#else
#define NKV_API
#define NKV_NODISCARD
#endif

typedef enum nkv_status {
    NKV_OK = 0,
    NKV_NOT_FOUND = 1,  /* the server says that the key (or the asked part of it) does not exist */
    NKV_MISS = 2,       /* not in this cache; says nothing about the server */
    NKV_EINVAL = -1,    /* an argument, option or URL is wrong; the text says what is allowed */
    NKV_ENOMEM = -2,    /* memory ran out, or a limit of ours would be exceeded */
    NKV_ETIMEDOUT = -3, /* the deadline of the call passed */
    NKV_ECONN = -4,     /* no connection, or it was lost while the call was under way */
    NKV_EREPLY = -5,    /* the server answered with an error; the text is the server's */
    NKV_EPROTO = -6,    /* the peer does not speak RESP as it should; its connection was closed */
    NKV_ECLOSED = -7,   /* the client is being destroyed */
    NKV_EBUSY = -8,     /* a queue of ours is full: slow down and try again */
    NKV_EREFUSED = -9,  /* not a command for shared connections; the text says why */
    NKV_ENOTSUP = -10,  /* not available in this build or on this server */
    NKV_EDEADLK = -11, /* a blocking call from the loop's own thread, which alone could answer it */
    NKV_ECANCELED = -12, /* the caller cancelled it; what was sent may have been executed */
    NKV_ESIZE = -13,     /* the value is larger than the memory that was given for it */
    NKV_EDECODE = -14    /* what is stored is not what its codec or layout writes */
} nkv_status;

/* Detail of a failure.  The caller owns it; it is written only when a call fails (status < 0).
 * Never contains a password. */
typedef struct nkv_error {
    nkv_status status;
    int sys_errno;  /* errno of the failing system call, or 0 */
    char text[244]; /* always terminated; one line */
} nkv_error;

/* Bytes with a length; any bytes, NUL included.  Never owns what it points to. */
typedef struct nkv_str {
    const char *data;
    size_t len;
} nkv_str;

static inline nkv_str nkv_str_make(const void *data, size_t len)
{
    nkv_str s;
    s.data = (const char *)data;
    s.len = len;
    return s;
}

/* A C string without its NUL; NULL is the empty string. */
static inline nkv_str nkv_cstr(const char *text)
{
    return nkv_str_make(text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

/* Whether bytes are UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.  Returns 1
 * or 0.  Since 0.1 */
NKV_API int nkv_utf8_valid(nkv_str str);

/* A short constant text for a status ("timed out"); never NULL, also for unknown values.  Since
 * 0.1 */
NKV_API const char *nkv_status_text(nkv_status status);

/* Gives back memory that a function of this library handed out as a plain buffer (texts of
 * statistics, …); NULL is allowed.  Since 0.1 */
NKV_API void nkv_free(void *buffer);

#ifdef __cplusplus
}
#endif
#endif
