/* base/utf8.c - whether bytes are UTF-8 (nearkv/status.h). */
#include <stdbool.h>
#include <stdint.h>

#include <nearkv/status.h>

/* The length of the sequence at `at`, of which `len` > 0 bytes are there; 0 if it is not valid. */
static size_t sequence_len(const unsigned char *at, size_t len)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

    if (at[0] < 0x80) {
        return 1;
    }
    size_t need = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || need > len) {
        return 0;
    }
    uint32_t point = at[0] & (0x7fU >> need);
    for (size_t i = 1; i < need; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (at[i] & 0x3fU);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < smallest[need] || point > 0x10ffff || surrogate ? 0 : need;
}

int nkv_utf8_valid(nkv_str str)
{
    for (size_t i = 0; i < str.len;) {
        size_t step = sequence_len((const unsigned char *)str.data + i, str.len - i);
        if (step == 0) {
            return 0;
        }
        i += step;
    }
    return 1;
}
