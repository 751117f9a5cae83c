/* cli/values.h - numbers as people type them: 5, 250ms, 1.5s, 64m, -1.
 *
 * Each function reads all of `text` or fails.                                                    */
#ifndef NKVI_CLI_VALUES_H
#define NKVI_CLI_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number in decimal. */
bool nkvi_value_integer(const char *text, int64_t *number);

/* A number of bytes, with k, m or g behind it for powers of 1024; a sign is allowed. */
bool nkvi_value_bytes(const char *text, int64_t *bytes);

/* A time in seconds, or with one of ms, s, m, h behind it; a fraction and a sign are allowed.
 * Rounded to the next millisecond, but what is not zero does not become zero.                    */
bool nkvi_value_ms(const char *text, int64_t *ms);

/* A decimal number that is finite. */
bool nkvi_value_double(const char *text, double *number);

/* The place of `text` among `choices` ("lru|s3fifo"), from 0. */
bool nkvi_value_choice(const char *text, const char *choices, int64_t *place);

#endif
