/* conn/address.c - see address.h. */
#include "conn/address.h"

#include <string.h>

#include "base/ascii.h"

bool nkvi_digits_parse(nkv_str text, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (!nkvi_ascii_digit(text.data[i]) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number)) {
            return false;
        }
    }
    if (text.len == 0 || number > max) {
        return false;
    }
    *out = number;
    return true;
}

bool nkvi_port_parse(nkv_str text, int *port)
{
    uint64_t number;

    if (!nkvi_digits_parse(text, NKVI_PORT_MAX, &number) || number == 0) {
        return false;
    }
    *port = (int)number;
    return true;
}

bool nkvi_host_valid(nkv_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.data[i];
        if (c <= ' ' || c == 0x7f) {
            return false;
        }
    }
    return host.len > 0 && host.len <= NKVI_HOST_MAX;
}

bool nkvi_host_copy(char out[NKVI_HOST_SIZE], nkv_str host)
{
    out[0] = '\0';
    if (host.len == 0) {
        return true;
    }
    if (!nkvi_host_valid(host)) {
        return false;
    }
    memcpy(out, host.data, host.len);
    out[host.len] = '\0';
    return true;
}

/* Takes off the brackets, if there are.  false: there is but one, or nothing between them. */
static bool strip_brackets(nkv_str *host)
{
    bool open = host->len > 0 && host->data[0] == '[';
    bool closed = host->len > 0 && host->data[host->len - 1] == ']';

    if (open && closed && host->len > 2) {
        *host = nkv_str_make(host->data + 1, host->len - 2);
        return true;
    }
    return !open && !closed;
}

bool nkvi_address_split(nkv_str text, nkv_str *host, int *port)
{
    const char *colon = text.len > 0 ? memrchr(text.data, ':', text.len) : NULL;
    if (colon == NULL) {
        return false;
    }
    nkv_str left = nkv_str_make(text.data, (size_t)(colon - text.data));
    nkv_str right = nkv_str_make(colon + 1, (size_t)(text.data + text.len - colon - 1));
    if (!strip_brackets(&left) || (left.len > 0 && !nkvi_host_valid(left)) ||
        !nkvi_port_parse(right, port)) {
        return false;
    }
    *host = left;
    return true;
}
