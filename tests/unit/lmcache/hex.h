/* tests/unit/lmcache/hex.h - vectors as hexadecimal text, and refusals as rows. */
#ifndef T_UNIT_LMCACHE_HEX_H
#define T_UNIT_LMCACHE_HEX_H

#include <nearkv/lmcache.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Decodes `hex` (blanks are passed over) into buf; returns how many bytes. */
static inline size_t t_unhex(const char *hex, unsigned char *buf, size_t cap)
{
    size_t len = 0;
    for (; *hex != '\0'; hex++) {
        unsigned byte = 0;
        if (*hex == ' ') {
            continue;
        }
        cr_assert(sscanf(hex, "%2x", &byte) == 1 && len < cap, "%s", hex);
        buf[len++] = (unsigned char)byte;
        hex++;
    }
    return len;
}

/* A refusal: that status, with a text that begins so. */
static inline void t_refused(nkv_status got, nkv_status want, const nkv_error *error,
                             const char *text)
{
    cr_assert_eq(got, want, "status %d: %s", got, error->text);
    cr_assert_eq(error->status, want);
    cr_assert_eq(strncmp(error->text, text, strlen(text)), 0, "'%s' is not '%s'", error->text,
                 text);
}

#endif
