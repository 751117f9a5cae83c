/* io/resp.c - see resp.h. */
#include "io/resp.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLE_TEXT_MAX 400 /* longer than any text of a finite double that a server prints */

static nkvi_resp_token bad(const char *why)
{
    return (nkvi_resp_token){.klass = NKVI_RESP_BAD, .text = why};
}

/* A decimal int64 without anything around it; a sign is allowed. */
static bool parse_int(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    size_t i = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    uint64_t number = 0;

    if (i == len || len - i > 19) {
        return false; /* 19 digits: cannot overflow 64 bits without a sign */
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

/* strtod() reads the decimal point of the program's locale, which is not the protocol's. */
static bool parse_double(const char *text, size_t len, double *out)
{
    char copy[DOUBLE_TEXT_MAX + 1];
    char *end;

    if (len == 0 || len > DOUBLE_TEXT_MAX) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strlen(copy) != len) {
        return false;
    }
    if (strcasecmp(copy, "inf") == 0) {
        *out = (double)INFINITY;
        return true;
    }
    if (strcasecmp(copy, "-inf") == 0) {
        *out = -(double)INFINITY;
        return true;
    }
    if (strcasecmp(copy, "nan") == 0 || strcasecmp(copy, "-nan") == 0) {
        *out = (double)NAN;
        return true;
    }
    if (strspn(copy, "0123456789+-.eE") != len) {
        return false; /* hexadecimal, blanks and "infinity" are strtod's, not the protocol's */
    }
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* static in glibc: costs nothing */
    *out = locale != (locale_t)0 ? strtod_l(copy, &end, locale) : strtod(copy, &end);
    if (locale != (locale_t)0) {
        freelocale(locale);
    }
    return end == copy + len && isfinite(*out);
}

static bool is_bignum(const char *text, size_t len)
{
    size_t i = len > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (i == len) {
        return false;
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* "$5", "*3", "%2" …: the line holds a length. */
static nkvi_resp_token parse_length(nkvi_resp_token token, nkvi_resp_class klass, nkv_type type,
                                    bool pairs)
{
    int64_t number;
    if (!parse_int(token.text, token.len, &number) || number < -1) {
        return bad("a length is not a number from -1 to 2^63 - 1");
    }
    if (number == -1) {
        if (klass == NKVI_RESP_ATTRIBUTE || type == NKV_TYPE_PUSH) {
            return bad("an attribute or push of length -1");
        }
        token.klass = NKVI_RESP_LINE; /* RESP2's null */
        token.type = NKV_TYPE_NIL;
        return token;
    }
    token.klass = klass;
    token.type = type;
    token.number = pairs ? 2 * (uint64_t)number : (uint64_t)number;
    return token;
}

static nkvi_resp_token parse_number(nkvi_resp_token token, char kind)
{
    if (kind == ':') {
        token.type = NKV_TYPE_INTEGER;
        return parse_int(token.text, token.len, &token.integer) ? token
                                                                : bad("an integer is not a number");
    }
    if (kind == ',') {
        token.type = NKV_TYPE_DOUBLE;
        return parse_double(token.text, token.len, &token.dval) ? token
                                                                : bad("a double is not a number");
    }
    token.type = NKV_TYPE_BIGNUM;
    return is_bignum(token.text, token.len) ? token : bad("a big number is not a number");
}

static nkvi_resp_token parse_word(nkvi_resp_token token, char kind)
{
    if (kind == '_') {
        token.type = NKV_TYPE_NIL;
        return token.len == 0 ? token : bad("a null with something behind it");
    }
    token.type = NKV_TYPE_BOOL;
    if (token.len == 1 && memchr("tTfF", token.text[0], 4) != NULL) {
        token.integer = token.text[0] == 't' || token.text[0] == 'T';
        return token;
    }
    return bad("a boolean is neither t nor f");
}

/* A line break inside a line means that we have lost the thread. */
static nkvi_resp_token parse_text(nkvi_resp_token token, char kind)
{
    token.type = kind == '+' ? NKV_TYPE_STATUS : NKV_TYPE_ERROR;
    if (memchr(token.text, '\r', token.len) != NULL ||
        memchr(token.text, '\n', token.len) != NULL) {
        return bad("a line break inside a line");
    }
    return token;
}

size_t nkvi_resp_line_max(char kind)
{
    switch (kind) {
    case '+':
    case '-':
    case '(':
        return NKVI_RESP_TEXT_MAX;
    case ',':
        return DOUBLE_TEXT_MAX + 3;
    case ':':
    case '_':
    case '#':
    case '$':
    case '!':
    case '=':
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        return NKVI_RESP_NUMBER_MAX;
    default:
        return 0;
    }
}

nkvi_resp_token nkvi_resp_parse(const char *data, size_t size)
{
    assert(size >= 3);
    nkvi_resp_token token = {
        .klass = NKVI_RESP_LINE, .text = data + 1, .len = size - 3, .size = size};

    switch (data[0]) {
    case '+':
    case '-':
        return parse_text(token, data[0]);
    case ':':
    case ',':
    case '(':
        return parse_number(token, data[0]);
    case '_':
    case '#':
        return parse_word(token, data[0]);
    case '$':
        return parse_length(token, NKVI_RESP_BULK, NKV_TYPE_STRING, false);
    case '!':
        return parse_length(token, NKVI_RESP_BULK, NKV_TYPE_ERROR, false);
    case '=':
        return parse_length(token, NKVI_RESP_BULK, NKV_TYPE_VERBATIM, false);
    case '*':
        return parse_length(token, NKVI_RESP_AGGREGATE, NKV_TYPE_ARRAY, false);
    case '~':
        return parse_length(token, NKVI_RESP_AGGREGATE, NKV_TYPE_SET, false);
    case '>':
        return parse_length(token, NKVI_RESP_AGGREGATE, NKV_TYPE_PUSH, false);
    case '%':
        return parse_length(token, NKVI_RESP_AGGREGATE, NKV_TYPE_MAP, true);
    case '|':
        return parse_length(token, NKVI_RESP_ATTRIBUTE, NKV_TYPE_MAP, true);
    default:
        return bad("an unknown type byte");
    }
}
