/* tests/unit/io/test_reader.c - bytes in, drafts out: types, pieces, limits, garbage, lack of
 * memory. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/reader.h"
#include "io/resp.h"

#define KIB 1024u
#define MIB (1024u * KIB)

static nkvi_reader reader;
static nkvi_draft draft;
static nkv_error error;

static void begin(void)
{
    nkvi_reader_init(&reader, 16 * MIB, NULL);
    nkvi_draft_init(&draft);
}

static void end(void)
{
    nkvi_draft_clear(&draft);
    nkvi_reader_clear(&reader);
}

/* Feeds all of it, in pieces of at most `piece` bytes, without asking for replies. */
static void feed_pieces(const char *bytes, size_t len, size_t piece)
{
    while (len > 0) {
        char *data;
        size_t room;
        cr_assert(nkvi_reader_space(&reader, &data, &room));
        cr_assert_gt(room, 0);
        size_t n = len < room ? len : room;
        n = n < piece ? n : piece;
        memcpy(data, bytes, n);
        nkvi_reader_fed(&reader, n);
        bytes += n;
        len -= n;
    }
}

static void feed(const char *text)
{
    feed_pieces(text, strlen(text), SIZE_MAX);
}

static nkv_status next(void)
{
    nkvi_draft_clear(&draft);
    return nkvi_reader_next(&reader, &draft, &error);
}

/* The one reply that `text` is. */
static const nkv_reply *read_one(const char *text)
{
    feed(text);
    cr_assert_eq(next(), NKV_OK, "%s", error.text);
    cr_assert_eq(nkvi_reader_pending(&reader), 0);
    return &draft.root;
}

static void assert_str(const nkv_reply *reply, nkv_type type, const char *text)
{
    cr_assert_eq(reply->type, type);
    cr_assert_eq(reply->len, strlen(text));
    cr_assert_str_eq(reply->str, text);
}

/* ---- Types ----------------------------------------------------------------------------------- */

Test(io_reader, strings_and_lines, .init = begin, .fini = end)
{
    assert_str(read_one("$5\r\nhello\r\n"), NKV_TYPE_STRING, "hello");
    assert_str(read_one("$0\r\n\r\n"), NKV_TYPE_STRING, "");
    assert_str(read_one("+OK\r\n"), NKV_TYPE_STATUS, "OK");
    assert_str(read_one("+\r\n"), NKV_TYPE_STATUS, "");
    assert_str(read_one("-ERR no\r\n"), NKV_TYPE_ERROR, "ERR no");
    assert_str(read_one("!6\r\nERR no\r\n"), NKV_TYPE_ERROR, "ERR no");
    assert_str(read_one("(-123456789012345678901234567890\r\n"), NKV_TYPE_BIGNUM,
               "-123456789012345678901234567890");
    const nkv_reply *reply = read_one("=9\r\ntxt:a\r\nb\n\r\n");
    assert_str(reply, NKV_TYPE_VERBATIM, "a\r\nb\n");
    cr_assert_str_eq(reply->vtype, "txt");
}

Test(io_reader, strings_hold_any_byte, .init = begin, .fini = end)
{
    feed_pieces("$6\r\n\0\r\n\xff$1\r\n", 12, SIZE_MAX);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.len, 6);
    cr_assert_eq(memcmp(draft.root.str, "\0\r\n\xff$1", 7), 0, "and a NUL behind them");
}

Test(io_reader, numbers_and_words, .init = begin, .fini = end)
{
    cr_assert_eq(read_one(":42\r\n")->integer, 42);
    cr_assert_eq(read_one(":-9223372036854775808\r\n")->integer, INT64_MIN);
    cr_assert_eq(read_one(":9223372036854775807\r\n")->integer, INT64_MAX);
    cr_assert_eq(draft.root.type, NKV_TYPE_INTEGER);
    cr_assert_eq(read_one("#t\r\n")->integer, 1);
    cr_assert_eq(read_one("#f\r\n")->integer, 0);
    cr_assert_eq(draft.root.type, NKV_TYPE_BOOL);
    assert_str(read_one(",-1.5e3\r\n"), NKV_TYPE_DOUBLE, "-1.5e3");
    cr_assert_float_eq(draft.root.dval, -1500.0, 1e-9);
    cr_assert(isinf(read_one(",inf\r\n")->dval) && draft.root.dval > 0);
    cr_assert(isinf(read_one(",-inf\r\n")->dval) && draft.root.dval < 0);
    cr_assert(isnan(read_one(",nan\r\n")->dval));
}

/* Case 71: each null that RESP2 and RESP3 know. */
Test(io_reader, case_71_nulls_are_all_nil, .init = begin, .fini = end)
{
    cr_assert_eq(read_one("_\r\n")->type, NKV_TYPE_NIL);
    cr_assert_eq(read_one("$-1\r\n")->type, NKV_TYPE_NIL);
    cr_assert_eq(read_one("*-1\r\n")->type, NKV_TYPE_NIL);
    cr_assert_eq(read_one(">2\r\n$10\r\ninvalidate\r\n*-1\r\n")->element[1].type, NKV_TYPE_NIL);
    cr_assert_eq(read_one(">2\r\n$10\r\ninvalidate\r\n$-1\r\n")->element[1].type, NKV_TYPE_NIL);
    cr_assert_eq(read_one(">2\r\n$10\r\ninvalidate\r\n_\r\n")->element[1].type, NKV_TYPE_NIL);
}

Test(io_reader, aggregates_nest, .init = begin, .fini = end)
{
    const nkv_reply *root =
        read_one("*4\r\n%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*2\r\n:2\r\n:3\r\n~1\r\n#t\r\n*0\r\n_\r\n");
    cr_assert_eq(root->type, NKV_TYPE_ARRAY);
    cr_assert_eq(root->elements, 4);
    const nkv_reply *map = &root->element[0];
    cr_assert_eq(map->type, NKV_TYPE_MAP);
    cr_assert_eq(map->elements, 4, "two pairs");
    assert_str(&map->element[0], NKV_TYPE_STATUS, "a");
    cr_assert_eq(map->element[1].integer, 1);
    assert_str(&map->element[2], NKV_TYPE_STRING, "b");
    cr_assert_eq(map->element[3].elements, 2);
    cr_assert_eq(map->element[3].element[1].integer, 3);
    cr_assert_eq(root->element[1].type, NKV_TYPE_SET);
    cr_assert_eq(root->element[1].element[0].integer, 1);
    cr_assert_eq(root->element[2].elements, 0);
    cr_assert_null(root->element[2].element);
    cr_assert_eq(root->element[3].type, NKV_TYPE_NIL);
}

Test(io_reader, empty_aggregates_are_whole_replies, .init = begin, .fini = end)
{
    cr_assert_eq(read_one("*0\r\n")->type, NKV_TYPE_ARRAY);
    cr_assert_eq(read_one("%0\r\n")->type, NKV_TYPE_MAP);
    cr_assert_eq(read_one("~0\r\n")->type, NKV_TYPE_SET);
    cr_assert_eq(read_one(">0\r\n")->type, NKV_TYPE_PUSH);
    cr_assert_null(draft.block);
}

/* Metadata that nobody asked for: looked through and left out, wherever it stands. */
Test(io_reader, attributes_are_left_out, .init = begin, .fini = end)
{
    cr_assert_eq(read_one("|1\r\n+ttl\r\n:3600\r\n:7\r\n")->integer, 7);
    cr_assert_eq(read_one("|0\r\n:8\r\n")->integer, 8);
    const nkv_reply *root =
        read_one("*3\r\n:1\r\n|2\r\n+a\r\n*2\r\n$3\r\nxyz\r\n:9\r\n+b\r\n%0\r\n:2\r\n"
                 "|1\r\n|1\r\n+in\r\n+side\r\n+k\r\n+v\r\n$1\r\nc\r\n");
    cr_assert_eq(root->elements, 3);
    cr_assert_eq(root->element[1].integer, 2);
    assert_str(&root->element[2], NKV_TYPE_STRING, "c");
    cr_assert_eq(draft.block_bytes, 3 * sizeof(nkv_reply) + 2, "and takes no room");
    cr_assert_eq(read_one("*1\r\n|1\r\n+a\r\n+b\r\n*0\r\n")->element[0].elements, 0);
}

Test(io_reader, pipelined_replies_come_one_by_one, .init = begin, .fini = end)
{
    feed("+a\r\n:2\r\n$1\r\nc\r\n*1\r\n:4\r\n:");
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.integer, 2);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.element[0].integer, 4);
    cr_assert_eq(next(), NKV_MISS);
    cr_assert_eq(draft.root.type, NKV_TYPE_NIL);
    feed("5\r\n");
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.integer, 5);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Case 44: a reply, a push and a reply, cut at every byte, also byte by byte. */
Test(io_reader, case_44_split_at_every_byte, .init = begin, .fini = end)
{
    static const char stream[] = "$5\r\nfirst\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
                                 "%1\r\n+a\r\n,1.5\r\n|1\r\n+x\r\n:1\r\n=7\r\ntxt:abc\r\n";
    const size_t len = sizeof stream - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        size_t got = 0;
        for (int part = 0; part < 2; part++) {
            feed_pieces(part == 0 ? stream : stream + cut, part == 0 ? cut : len - cut,
                        cut == len ? 1 : SIZE_MAX);
            while (next() == NKV_OK) {
                static const nkv_type types[] = {NKV_TYPE_STRING, NKV_TYPE_PUSH, NKV_TYPE_MAP,
                                                 NKV_TYPE_VERBATIM};
                cr_assert_lt(got, 4);
                cr_assert_eq(draft.root.type, types[got], "reply %zu, cut at %zu", got, cut);
                got++;
            }
        }
        cr_assert_eq(got, 4, "cut at %zu", cut);
    }
}

Test(io_reader, byte_by_byte_asks_no_more_than_it_needs, .init = begin, .fini = end)
{
    static const char text[] = "*2\r\n$3\r\nabc\r\n:12\r\n";
    for (size_t i = 0; i < sizeof text - 2; i++) {
        feed_pieces(text + i, 1, 1);
        cr_assert_eq(next(), NKV_MISS, "after %zu bytes", i + 1);
    }
    feed_pieces("\n", 1, 1);
    cr_assert_eq(next(), NKV_OK);
}

/* A large string goes to a block of its own, which is the draft's: not copied once more. */
Test(io_reader, large_strings_are_received_in_place, .init = begin, .fini = end)
{
    enum { LEN = 1000000 };
    char *text = malloc(LEN + 64);
    int head = snprintf(text, 32, "$%d\r\n", LEN);
    memset(text + head, 'v', LEN);
    memcpy(text + head + LEN, "\r\n:5\r\n", 6);
    size_t total = (size_t)head + LEN + 6, at = 0;
    char *block = NULL;
    while (at < total) {
        char *data;
        size_t room;
        cr_assert(nkvi_reader_space(&reader, &data, &room));
        size_t n = total - at < room ? total - at : room;
        n = n < 50000 ? n : 50000;
        memcpy(data, text + at, n);
        nkvi_reader_fed(&reader, n);
        at += n;
        if (next() == NKV_OK && draft.root.type == NKV_TYPE_STRING) {
            cr_assert_eq(draft.root.str, block);
            cr_assert_eq(draft.root.len, LEN);
            cr_assert_eq(draft.block_bytes, LEN + 2);
            cr_assert_eq(draft.root.str[LEN - 1], 'v');
            cr_assert_eq(draft.root.str[LEN], '\0');
        } else if (at < total) {
            block = reader.bulk;
            cr_assert_not_null(block);
        }
    }
    cr_assert_eq(draft.root.integer, 5);
    free(text);
}

Test(io_reader, large_strings_inside_others_are_whole_too, .init = begin, .fini = end)
{
    enum { LEN = 300000 };
    char *text = malloc(LEN + 64);
    int head = snprintf(text, 32, "*2\r\n$%d\r\n", LEN);
    memset(text + head, 'w', LEN);
    memcpy(text + head + LEN, "\r\n:5\r\n", 6);
    feed_pieces(text, (size_t)head + LEN + 6, 7777);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.element[0].len, LEN);
    cr_assert_eq(draft.root.element[0].str[LEN - 1], 'w');
    cr_assert_eq(draft.root.element[1].integer, 5);
    cr_assert_leq(reader.cap, NKVI_READER_BUFFER_KEEP, "the large buffer is given back");
    free(text);
}

/* Of two readers that share, the one that is empty lends the other its buffer. */
Test(io_reader, an_empty_buffer_is_left_to_others, .init = begin, .fini = end)
{
    nkvi_reader other;
    nkvi_reader_spare spare = {.data = NULL};
    nkvi_reader_init(&other, 16 * MIB, NULL);
    nkvi_reader_share(&reader, &spare);
    nkvi_reader_share(&other, &spare);
    feed("+a\r\n+b");
    const char *buffer = reader.data;
    cr_assert_eq(next(), NKV_OK);
    nkvi_reader_rest(&reader);
    cr_assert_eq(reader.data, buffer, "half a reply is still in it");
    feed("\r\n");
    cr_assert_eq(next(), NKV_OK);
    nkvi_reader_rest(&reader);
    cr_assert_null(reader.data);

    char *data;
    size_t room;
    cr_assert(nkvi_reader_space(&other, &data, &room));
    cr_assert_eq(data, buffer);
    feed("+c\r\n");
    cr_assert_eq(next(), NKV_OK, "there is another one for it");
    cr_assert_eq(draft.root.str[0], 'c');
    nkvi_reader_rest(&other);
    nkvi_reader_rest(&reader);
    cr_assert_eq(spare.data, buffer, "one is kept");
    cr_assert_null(reader.data);
    nkvi_reader_clear(&other);
    nkvi_reader_spare_clear(&spare);
    cr_assert_null(spare.data);
}

/* A line and a string of many pieces are looked through once, not once a piece. */
Test(io_reader, many_pieces_take_linear_time, .init = begin, .fini = end, .timeout = 20)
{
    enum { LEN = 900000 };
    char *text = malloc(LEN);
    memset(text, 'e', LEN);
    text[0] = '-';
    for (size_t i = 0; i < LEN; i++) {
        feed_pieces(text + i, 1, 1);
        cr_assert_eq(next(), NKV_MISS);
    }
    feed("\r\n");
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.len, LEN - 1);
    free(text);
}

/* ---- Garbage and limits ---------------------------------------------------------------------- */

static void assert_refused(const char *bytes, const char *why)
{
    begin();
    feed(bytes);
    nkv_status status;
    while ((status = next()) == NKV_OK) {}
    cr_assert_eq(status, NKV_EPROTO, "%s", bytes);
    cr_assert_not_null(strstr(error.text, why), "\"%s\" for %s", error.text, bytes);
    feed("+OK\r\n");
    cr_assert_eq(next(), NKV_EPROTO, "nothing can follow");
    end();
}

Test(io_reader, garbage_is_refused_as_soon_as_it_is_seen)
{
    assert_refused("H", "unknown type byte");
    assert_refused("+OK\r\nHTTP/1.1", "unknown type byte");
    assert_refused("\r\n", "unknown type byte");
    assert_refused("*1\r\n?", "unknown type byte");
    assert_refused(":1a\r\n", "integer");
    assert_refused(":\r\n", "integer");
    assert_refused(":9223372036854775808\r\n", "integer");
    assert_refused(":-9223372036854775809\r\n", "integer");
    assert_refused("$abc\r\n", "length");
    assert_refused("$-2\r\n", "length");
    assert_refused("$?\r\n", "length");
    assert_refused("$3\r\nabcde\r\n", "line break");
    assert_refused("+a\rb\r\n", "line break inside");
    assert_refused("-a\nb\r\n", "line break inside");
    assert_refused("#x\r\n", "boolean");
    assert_refused("#\r\n", "boolean");
    assert_refused("_x\r\n", "null");
    assert_refused(",0x10\r\n", "double");
    assert_refused(",1,5\r\n", "double");
    assert_refused(",\r\n", "double");
    assert_refused("(12a\r\n", "big number");
    assert_refused("=3\r\nabc\r\n", "verbatim");
    assert_refused("=5\r\nabcde\r\n", "verbatim");
    assert_refused(">-1\r\n", "push");
    assert_refused("|-1\r\n", "attribute");
}

/* Redis 6 did this to invalidations; those servers are told apart in the handshake. */
Test(io_reader, push_inside_a_reply_is_refused)
{
    assert_refused("*2\r\n:1\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n:2\r\n", "push inside");
}

Test(io_reader, lines_are_bounded)
{
    assert_refused(":00000000000000000000000000000000001", "too long");
    assert_refused("$11111111111111111111111111111111111111111111111111\r\n", "too long");
    begin();
    size_t len = NKVI_RESP_TEXT_MAX + 1;
    char *text = malloc(len);
    memset(text, '-', len);
    feed_pieces(text, len, SIZE_MAX);
    cr_assert_eq(next(), NKV_EPROTO);
    free(text);
    end();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

typedef struct gate {
    size_t allocated, refuse_at, count, largest;
} gate;

static bool count_gate(size_t size, void *ud)
{
    gate *g = ud;
    g->allocated += size;
    g->largest = size > g->largest ? size : g->largest;
    return g->count++ != g->refuse_at;
}

/* Announcements up to 2^63 and beyond: refused from the number alone, before memory is taken. */
Test(io_reader, huge_announcements_take_no_memory)
{
    static const char *const announcements[] = {
        "$9223372036854775807\r\n",
        "$9223372036854775806\r\n",
        "$9223372036854775805\r\nabc",
        "$18446744073709551615\r\n",
        "$16777217\r\n",
        "!536870912000\r\n",
        "=9223372036854775807\r\n",
        "*9223372036854775807\r\n",
        "*4294967296\r\n",
        "%9223372036854775807\r\n",
        "%4611686018427387904\r\n",
        "~9223372036854775807\r\n",
        ">9223372036854775807\r\n",
        "|9223372036854775807\r\n",
        "*1\r\n$16777216\r\n",
        "*1000000\r\n",
    };
    for (size_t i = 0; i < sizeof announcements / sizeof *announcements; i++) {
        gate g = {.refuse_at = SIZE_MAX};
        begin();
        nkvi_mem_set_gate(count_gate, &g);
        feed(announcements[i]);
        nkv_status status = next();
        nkvi_mem_set_gate(NULL, NULL);
        cr_assert_eq(status, NKV_EPROTO, "%s", announcements[i]);
        cr_assert_leq(g.allocated, NKVI_READER_BUFFER_MIN, "%s", announcements[i]);
        end();
    }
}

Test(io_reader, the_limit_is_exact)
{
    nkvi_reader_init(&reader, 10, NULL);
    nkvi_draft_init(&draft);
    feed("$9\r\n123456789\r\n");
    cr_assert_eq(next(), NKV_OK, "9 bytes and a NUL are 10");
    feed("$10\r\n");
    cr_assert_eq(next(), NKV_EPROTO);
    cr_assert_not_null(strstr(error.text, "reply_bytes_max (10)"), "%s", error.text);
    end();
    nkvi_reader_init(&reader, (int64_t)(2 * sizeof(nkv_reply)), NULL);
    feed("*2\r\n:1\r\n:2\r\n");
    cr_assert_eq(next(), NKV_OK);
    feed("*3\r\n");
    cr_assert_eq(next(), NKV_EPROTO);
    end();
    nkvi_reader_init(&reader, 8, NULL);
    feed("|1\r\n+a\r\n+b\r\n:1\r\n");
    cr_assert_eq(next(), NKV_EPROTO, "attributes count, although they are dropped");
    end();
}

/* Many announcements, each small: what is announced in total counts. */
Test(io_reader, announcements_add_up)
{
    begin();
    for (int i = 0; i < 3; i++) {
        feed("*99000\r\n");
        cr_assert_eq(next(), NKV_MISS);
    }
    feed("*99000\r\n");
    cr_assert_eq(next(), NKV_EPROTO);
    end();
}

Test(io_reader, depth_is_bounded)
{
    begin();
    for (int i = 0; i < NKVI_READER_DEPTH_MAX; i++) {
        feed("*1\r\n");
    }
    feed(":1\r\n");
    cr_assert_eq(next(), NKV_OK);
    const nkv_reply *reply = &draft.root;
    for (int i = 0; i < NKVI_READER_DEPTH_MAX; i++) {
        reply = &reply->element[0];
    }
    cr_assert_eq(reply->integer, 1);
    for (int i = 0; i < NKVI_READER_DEPTH_MAX + 1; i++) {
        feed("*1\r\n");
    }
    cr_assert_eq(next(), NKV_EPROTO);
    end();
}

/* The i-th allocation fails: the reader says so and loses nothing, the next call goes on. */
Test(io_reader, out_of_memory_loses_nothing)
{
    static const char text[] = "$3\r\nabc\r\n*2\r\n$1\r\nd\r\n:1\r\n";
    size_t large_len = 100000;
    char *stream = malloc(large_len + 100);
    size_t len = sizeof text - 1;
    memcpy(stream, text, len);
    len += (size_t)snprintf(stream + len, 32, "$%zu\r\n", large_len);
    memset(stream + len, 'x', large_len);
    len += large_len;
    memcpy(stream + len, "\r\n", 2);
    len += 2;
    for (size_t refuse = 0; refuse < 6; refuse++) {
        gate g = {.refuse_at = refuse};
        size_t got = 0, at = 0, refused = 0;
        begin();
        nkvi_mem_set_gate(count_gate, &g);
        while (got < 3) {
            char *data;
            size_t room;
            if (at < len && nkvi_reader_space(&reader, &data, &room)) {
                size_t n = len - at < room ? len - at : room;
                memcpy(data, stream + at, n);
                nkvi_reader_fed(&reader, n);
                at += n;
            } else if (at < len) {
                refused++;
            }
            nkv_status status;
            while ((status = next()) == NKV_OK) {
                got++;
            }
            refused += status == NKV_ENOMEM;
            cr_assert_neq(status, NKV_EPROTO);
        }
        nkvi_mem_set_gate(NULL, NULL);
        cr_assert_eq(refused, g.count > refuse ? 1 : 0, "allocation %zu", refuse);
        end();
    }
    free(stream);
}

/* Received for a cache, a large string counts against its limit from the start, and its buffer is
 * used again. */
Test(io_reader, large_strings_come_into_the_caches_buffers)
{
    enum { LEN = 200000 };
    char *text = malloc(LEN + 64);
    int head = snprintf(text, 32, "$%d\r\n", LEN);
    memset(text + head, 'v', LEN);
    memcpy(text + head + LEN, "\r\n", 2);
    nkv_cache *cache;
    nkv_cache_stats stats;
    cr_assert_eq(nkv_cache_create(NULL, &cache, NULL), NKV_OK);
    nkv_cache_get_stats(cache, &stats);
    uint64_t empty_bytes = stats.bytes;
    nkvi_reader_init(&reader, MIB, cache);
    feed_pieces(text, (size_t)head + LEN / 2, SIZE_MAX);
    cr_assert_eq(next(), NKV_MISS);
    nkv_cache_get_stats(cache, &stats);
    cr_assert_geq(stats.bytes, empty_bytes + LEN);
    feed_pieces(text + head + LEN / 2, LEN / 2 + 2, SIZE_MAX);
    cr_assert_eq(next(), NKV_OK);
    cr_assert_eq(draft.root.len, LEN);
    const void *first = draft.block;
    nkvi_draft_clear(&draft);
    feed_pieces(text, (size_t)head + LEN / 2, SIZE_MAX);
    cr_assert_eq(next(), NKV_MISS);
    cr_assert_eq(reader.bulk, first);
    end(); /* half received: given back as well */
    nkv_cache_release(cache);
    free(text);
}
