/* base/ascii.h - upper and lower case of ASCII letters, and numbers, whatever the program's locale
 * is.
 *
 * The C library's own follow the locale; in a Turkish one "MIB" and "mib" are different words.
 * Threads  [any].                                                                                */
#ifndef NKVI_BASE_ASCII_H
#define NKVI_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <nearkv/status.h>

static inline char nkvi_ascii_upper(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    return c;
}

static inline bool nkvi_ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Is `text` the word `word` (ending with a NUL), upper and lower case being the same? */
static inline bool nkvi_ascii_is(nkv_str text, const char *word)
{
    if (strlen(word) != text.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (nkvi_ascii_upper(text.data[i]) != nkvi_ascii_upper(word[i])) {
            return false;
        }
    }
    return true;
}

#define NKVI_DECIMAL_MAX 20 /* digits */

/* Writes a number in decimal, no NUL; returns how many digits. */
static inline size_t nkvi_ascii_decimal(char *out, uint64_t number)
{
    char digits[NKVI_DECIMAL_MAX];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, digits + i, sizeof digits - i);
    return sizeof digits - i;
}

#endif
