/* base/parse.c - see parse.h.
 *
 * Every form is scanned once into a decimal (sign, whole part, up to six digits of fraction, rest)
 * and then scaled by its unit in integers, so that nothing depends on floating point or the locale.
 *
 *      "-12.5kb"  -->  negative, whole 12, fraction 500000 millionths, unit "kb"                 */
#include "base/parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/ascii.h"
#include "base/status.h"

#define MILLION      1000000
#define DIGITS_EXACT 15 /* every number of so many digits is a double of its own */

typedef struct decimal {
    uint64_t whole;
    uint32_t millionths;
    uint64_t mantissa; /* the first DIGITS_EXACT digits as one number               */
    unsigned digits;   /* how many were written                                     */
    unsigned places;   /* of them behind the point                                  */
    bool negative;
    bool overflow; /* the whole part does not fit                                   */
    bool finer;    /* something non-zero follows the millionths                     */
    nkv_str unit;  /* what is left of the text                                      */
} decimal;

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

static const unit size_units[] = {
    {"b", 1},
    {"k", 1000},
    {"kb", INT64_C(1) << 10},
    {"kib", INT64_C(1) << 10},
    {"m", 1000000},
    {"mb", INT64_C(1) << 20},
    {"mib", INT64_C(1) << 20},
    {"g", 1000000000},
    {"gb", INT64_C(1) << 30},
    {"gib", INT64_C(1) << 30},
    {"t", INT64_C(1000000000000)},
    {"tb", INT64_C(1) << 40},
    {"tib", INT64_C(1) << 40},
    {NULL, 0},
};

static const unit time_units[] = {
    {"ms", 1},      {"s", 1000},     {"m", 60000}, {"min", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

/* ---- Scanning -------------------------------------------------------------------------------- */

static void count_digit(decimal *number, uint64_t digit)
{
    if (number->digits < DIGITS_EXACT) {
        number->mantissa = number->mantissa * 10 + digit;
    }
    number->digits++;
}

/* Reads the digits behind the point; `i` is the place of the first. */
static size_t scan_fraction(nkv_str text, size_t i, decimal *number)
{
    uint32_t weight = MILLION / 10;

    for (; i < text.len && nkvi_ascii_digit(text.data[i]); i++) {
        uint32_t digit = (uint32_t)(text.data[i] - '0');
        count_digit(number, digit);
        number->places++;
        number->millionths += digit * weight;
        number->finer |= weight == 0 && digit != 0;
        weight /= 10;
    }
    return i;
}

/* False if the text does not begin with a number, or has a point without a digit on each side. */
static bool scan(nkv_str text, decimal *number)
{
    *number = (decimal){.negative = text.len > 0 && text.data[0] == '-'};
    size_t first = number->negative ? 1 : 0;
    size_t i = first;

    for (; i < text.len && nkvi_ascii_digit(text.data[i]); i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        count_digit(number, digit);
        number->overflow |= __builtin_mul_overflow(number->whole, 10, &number->whole);
        number->overflow |= __builtin_add_overflow(number->whole, digit, &number->whole);
    }
    if (i == first) {
        return false;
    }
    if (i < text.len && text.data[i] == '.') {
        size_t end = scan_fraction(text, i + 1, number);
        if (end == i + 1) {
            return false;
        }
        i = end;
    }
    number->unit = nkv_str_make(text.data + i, text.len - i);
    return true;
}

/* The factor of a unit, or 0 if there is none of that name. */
static int64_t factor_of(const unit *units, nkv_str name)
{
    for (; units->name != NULL; units++) {
        if (nkvi_ascii_is(name, units->name)) {
            return units->factor;
        }
    }
    return 0;
}

/* number × factor; false if that does not fit.  `up` rounds up what is left, else it is cut. */
static bool scale(const decimal *number, int64_t factor, bool up, int64_t *out)
{
    uint64_t part = (uint64_t)number->millionths * (uint64_t)factor;
    uint64_t value;

    assert(factor > 0 && factor <= INT64_C(1) << 40); /* so `part` is below 2^60 */
    if (up && (part % MILLION != 0 || number->finer)) {
        part += MILLION;
    }
    if (number->overflow || __builtin_mul_overflow(number->whole, (uint64_t)factor, &value) ||
        __builtin_add_overflow(value, part / MILLION, &value) || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static nkv_status wrong_form(const char *name, const char *form, nkv_error *error)
{
    return nkvi_fail(error, NKV_EINVAL, "%s: not %s", name, form);
}

/* `what` follows the numbers; a limit's -1 is no size or time and is told apart from them. */
static nkv_status out_of_range(const nkvi_bound *bound, const char *what, nkv_error *error)
{
    bool limit = bound->min < 0 && what[0] != '\0';
    char max[32] = " or more";

    if (bound->max != INT64_MAX) {
        (void)snprintf(max, sizeof max, " to %" PRId64, bound->max);
    }
    return nkvi_fail(error, NKV_EINVAL, "%s: allowed is %" PRId64 "%s%s%s", bound->name,
                     limit ? 0 : bound->min, max, what, limit ? ", or -1 for no limit" : "");
}

/* ---- The forms ------------------------------------------------------------------------------- */

nkv_status nkvi_parse_int(nkv_str text, const nkvi_bound *bound, int64_t *out, nkv_error *error)
{
    decimal number;
    int64_t value;

    if (!scan(text, &number) || number.places > 0 || number.unit.len > 0) {
        return wrong_form(bound->name, "a whole number", error);
    }
    if (!scale(&number, 1, false, &value)) {
        return out_of_range(bound, "", error);
    }
    if (number.negative) {
        value = -value;
    }
    if (value < bound->min || value > bound->max) {
        return out_of_range(bound, "", error);
    }
    *out = value;
    return NKV_OK;
}

/* Is it "-1" as a limit that is no limit? */
static bool is_unlimited(nkv_str text, const nkvi_bound *bound)
{
    return bound->min < 0 && text.len == 2 && text.data[0] == '-' && text.data[1] == '1';
}

nkv_status nkvi_parse_bytes(nkv_str text, const nkvi_bound *bound, int64_t *out, nkv_error *error)
{
    decimal number;
    int64_t value;

    if (is_unlimited(text, bound)) {
        *out = -1;
        return NKV_OK;
    }
    int64_t factor = 0;
    if (scan(text, &number)) {
        factor = number.unit.len > 0 ? factor_of(size_units, number.unit) : 1;
    }
    if (factor == 0 || (factor == 1 && number.places > 0)) {
        return wrong_form(bound->name, "a size such as 4096, 64mb or 1.5GiB", error);
    }
    if (number.negative || !scale(&number, factor, false, &value) || value < bound->min ||
        value > bound->max) {
        return out_of_range(bound, " bytes", error);
    }
    *out = value;
    return NKV_OK;
}

nkv_status nkvi_parse_ms(nkv_str text, int64_t unit_ms, const nkvi_bound *bound, int64_t *out,
                         nkv_error *error)
{
    decimal number;
    int64_t value;

    if (is_unlimited(text, bound)) {
        *out = -1;
        return NKV_OK;
    }
    int64_t factor = 0;
    if (scan(text, &number)) {
        factor = number.unit.len > 0 ? factor_of(time_units, number.unit) : unit_ms;
    }
    if (factor == 0) {
        return wrong_form(bound->name, "a duration such as 100ms, 5s or 1.5m", error);
    }
    if (number.negative || !scale(&number, factor, true, &value) || value < bound->min ||
        value > bound->max) {
        return out_of_range(bound, " ms", error);
    }
    *out = value;
    return NKV_OK;
}

nkv_status nkvi_parse_real(nkv_str text, const nkvi_real_bound *bound, double *out,
                           nkv_error *error)
{
    decimal number;

    if (!scan(text, &number) || number.unit.len > 0 || number.digits > DIGITS_EXACT) {
        return wrong_form(bound->name, "a number such as 99.5, of at most 15 digits", error);
    }
    double power = 1;
    for (unsigned i = 0; i < number.places; i++) {
        power *= 10;
    }
    /* Both are exact, so the division is the only rounding. */
    double value = (double)number.mantissa / power;
    if (number.negative) {
        value = -value;
    }
    if (value < bound->min || value > bound->max) {
        return nkvi_fail(error, NKV_EINVAL, "%s: allowed is %g to %g", bound->name, bound->min,
                         bound->max);
    }
    *out = value;
    return NKV_OK;
}
