/* cli/values.c - numbers as people type them: 5, 250ms, 1.5s, 64m, -1. */
#include "cli/values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether a number begins here: strtol and its kin would also take blanks, "inf" and
 * hexadecimal.                                                                                   */
static bool begins_number(const char *text)
{
    if (*text == '-' || *text == '+') {
        text++;
    }
    return (*text >= '0' && *text <= '9') || (*text == '.' && text[1] >= '0' && text[1] <= '9');
}

/* Reads the whole number at `text`; *end is what follows. */
static bool read_integer(const char *text, int64_t *number, const char **end)
{
    char *stop;

    if (!begins_number(text)) {
        return false;
    }
    errno = 0;
    long long value = strtoll(text, &stop, 10);
    if (errno != 0 || stop == text) {
        return false;
    }
    *number = value;
    *end = stop;
    return true;
}

bool nkvi_value_integer(const char *text, int64_t *number)
{
    const char *end;

    return read_integer(text, number, &end) && *end == '\0';
}

bool nkvi_value_bytes(const char *text, int64_t *bytes)
{
    static const char units[] = "kmg";
    const char *end;
    int64_t number;

    if (!read_integer(text, &number, &end)) {
        return false;
    }
    if (*end != '\0') {
        const char *unit = strchr(units, *end | 0x20);
        if (unit == NULL || end[1] != '\0') {
            return false;
        }
        for (const char *u = units; u <= unit; u++) {
            if (__builtin_mul_overflow(number, (int64_t)1024, &number)) {
                return false;
            }
        }
    }
    *bytes = number;
    return true;
}

/* Reads the decimal number at `text`; *end is what follows. */
static bool read_double(const char *text, double *number, char **end)
{
    if (!begins_number(text)) {
        return false;
    }
    *number = strtod(text, end);
    /* "0x1p3" is a number for strtod, not for us. */
    return isfinite(*number) && memchr(text, 'x', (size_t)(*end - text)) == NULL &&
           memchr(text, 'X', (size_t)(*end - text)) == NULL;
}

bool nkvi_value_double(const char *text, double *number)
{
    char *end;

    return read_double(text, number, &end) && *end == '\0';
}

bool nkvi_value_ms(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}};
    double number;
    char *end;

    if (!read_double(text, &number, &end)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            number *= units[i].ms;
            if (fabs(number) > 9e15) {
                return false;
            }
            *ms = llround(number);
            if (*ms == 0 && number != 0) {
                *ms = number < 0 ? -1 : 1;
            }
            return true;
        }
    }
    return false;
}

bool nkvi_value_choice(const char *text, const char *choices, int64_t *place)
{
    size_t len = strlen(text);

    for (int64_t i = 0;; i++) {
        size_t choice = strcspn(choices, "|");
        if (choice == len && memcmp(choices, text, len) == 0) {
            *place = i;
            return true;
        }
        if (choices[choice] == '\0') {
            return false;
        }
        choices += choice + 1;
    }
}
