/* tests/unit/io/test_reader_diff.c - our reader against hiredis's: random replies, whole and
 * damaged. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "support/check.h"
#include "support/resp_diff.h"

#define STREAMS 3000
#define BYTES   4096u

typedef struct maker {
    t_rng rng;
    nkvi_buf bytes;
} maker;

static void put_text(maker *m, char kind)
{
    size_t len = t_rng_below(&m->rng, 30);
    char text[40];
    t_rng_fill(&m->rng, text, len);
    switch (kind) {
    case '$':
        nkvi_buf_printf(&m->bytes, "$%zu\r\n", len);
        break;
    case '=':
        nkvi_buf_printf(&m->bytes, "=%zu\r\ntxt:", len + 4);
        break;
    default:
        nkvi_buf_append(&m->bytes, &kind, 1);
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)('a' + (text[i] & 15));
        }
        break;
    }
    nkvi_buf_append(&m->bytes, text, len);
    nkvi_buf_text(&m->bytes, "\r\n");
}

static void put_number(maker *m, char kind)
{
    int64_t number = (int64_t)(t_rng_next(&m->rng) >> t_rng_below(&m->rng, 64));
    bool negative = number != 0 && t_rng_below(&m->rng, 2) == 0;
    if (kind == ',') {
        static const char *const odd[] = {"inf", "-inf", "nan", "1e-300", "0", "-0.5"};
        size_t pick = t_rng_below(&m->rng, 12);
        if (pick < 6) {
            nkvi_buf_printf(&m->bytes, ",%s\r\n", odd[pick]);
        } else {
            nkvi_buf_printf(&m->bytes, ",%.17g\r\n", t_rng_unit(&m->rng) * 1e6);
        }
        return;
    }
    number = number < 0 ? -(number + 1) : number;
    nkvi_buf_printf(&m->bytes, "%c%s%lld\r\n", kind, negative && number > 0 ? "-" : "",
                    (long long)number);
}

static void put_reply(maker *m, unsigned depth)
{
    static const char kinds[] = "$+-=:,(_#nN*%~";
    char kind = kinds[t_rng_below(&m->rng, sizeof kinds - (depth > 5 ? 4 : 1))];
    size_t n = t_rng_below(&m->rng, 5);
    switch (kind) {
    case ':':
    case ',':
    case '(':
        put_number(m, kind);
        return;
    case '_':
        nkvi_buf_text(&m->bytes, "_\r\n");
        return;
    case '#':
        nkvi_buf_text(&m->bytes, n % 2 == 0 ? "#t\r\n" : "#f\r\n");
        return;
    case 'n':
        nkvi_buf_text(&m->bytes, "$-1\r\n");
        return;
    case 'N':
        nkvi_buf_text(&m->bytes, "*-1\r\n");
        return;
    case '*':
    case '%':
    case '~':
        nkvi_buf_printf(&m->bytes, "%c%zu\r\n", kind, n);
        for (size_t i = 0; i < (kind == '%' ? 2 * n : n); i++) {
            put_reply(m, depth + 1);
        }
        return;
    default:
        put_text(m, kind);
        return;
    }
}

static size_t put_stream(maker *m)
{
    size_t replies = 0;
    m->bytes.len = 0;
    while (m->bytes.len < BYTES && replies < 20) {
        if (t_rng_below(&m->rng, 5) == 0) {
            nkvi_buf_text(&m->bytes, ">2\r\n+invalidate\r\n"); /* and what comes next */
        }
        put_reply(m, 0);
        replies++;
    }
    return replies;
}

static void damage(maker *m)
{
    size_t hits = 1 + t_rng_below(&m->rng, 3);
    for (size_t i = 0; i < hits; i++) {
        static const char likely[] = "$*%~>:,-+_#(!=|0123456789\r\n";
        char byte = likely[t_rng_below(&m->rng, sizeof likely - 1)];
        m->bytes.data[t_rng_below(&m->rng, m->bytes.len)] = byte;
    }
}

Test(io_reader_diff, agrees_with_hiredis_on_whole_replies)
{
    maker m;
    t_rng_init(&m.rng, t_run_seed());
    nkvi_buf_init(&m.bytes);
    for (int i = 0; i < STREAMS; i++) {
        size_t replies = put_stream(&m);
        size_t piece = 1 + t_rng_below(&m.rng, i % 2 == 0 ? 20 : 3000);
        size_t agreed = t_resp_diff((const uint8_t *)m.bytes.data, m.bytes.len, piece);
        cr_assert_eq(agreed, replies, "stream %d: %zu of %zu", i, agreed, replies);
    }
    nkvi_buf_clear(&m.bytes);
}

Test(io_reader_diff, agrees_with_hiredis_on_damaged_ones)
{
    maker m;
    t_rng_init(&m.rng, t_run_seed() + 1);
    nkvi_buf_init(&m.bytes);
    for (int i = 0; i < STREAMS; i++) {
        (void)put_stream(&m);
        damage(&m);
        (void)t_resp_diff((const uint8_t *)m.bytes.data, m.bytes.len, 1 + t_rng_below(&m.rng, 500));
    }
    nkvi_buf_clear(&m.bytes);
}
