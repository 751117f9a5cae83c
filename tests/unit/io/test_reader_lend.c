/* tests/unit/io/test_reader_lend.c - strings that are received into memory of who asked. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/reader.h"

enum { ROOM = 200000 };

/* Lends `room` for strings up to `max`, between two fences. */
typedef struct lender {
    char fence[8];
    char room[ROOM];
    char fence_behind[8];
    size_t max, asked;
} lender;

static char *lend(void *ud, size_t len)
{
    lender *l = ud;
    l->asked++;
    return len <= l->max ? l->room : NULL;
}

static lender *lend_from(nkvi_reader *reader, size_t max)
{
    lender *l = nkvi_calloc(1, sizeof *l);
    memset(l, '#', offsetof(lender, max));
    l->max = max;
    nkvi_reader_init(reader, 0, NULL);
    nkvi_reader_lend(reader, lend, l);
    return l;
}

static bool fences_stand(const lender *l, size_t used)
{
    for (size_t i = used; i < ROOM; i++) {
        if (l->room[i] != '#') {
            return false;
        }
    }
    return memcmp(l->fence, "########", 8) == 0 && memcmp(l->fence_behind, "########", 8) == 0;
}

static void end(nkvi_reader *reader, lender *l)
{
    nkvi_reader_clear(reader);
    nkvi_free(l);
}

/* Feeds bytes in pieces of at most `piece`; returns how many were taken before a reply was whole,
 * which is handed out, or all. */
static size_t feed(nkvi_reader *reader, const char *bytes, size_t len, size_t piece,
                   nkvi_draft *draft)
{
    size_t at = 0;
    nkvi_draft_init(draft);
    while (at < len) {
        char *space;
        size_t room;
        cr_assert(nkvi_reader_space(reader, &space, &room));
        size_t n = room < piece ? room : piece;
        n = n < len - at ? n : len - at;
        memcpy(space, bytes + at, n);
        nkvi_reader_fed(reader, n);
        at += n;
        if (nkvi_reader_next(reader, draft, NULL) == NKV_OK) {
            return at;
        }
    }
    return at;
}

static size_t string_of(char *bytes, size_t len)
{
    int head = snprintf(bytes, 32, "$%zu\r\n", len);
    for (size_t i = 0; i < len; i++) {
        bytes[(size_t)head + i] = (char)('a' + i % 26);
    }
    memcpy(bytes + head + len, "\r\n", 2);
    return (size_t)head + len + 2;
}

Test(io_reader_lend, a_string_lies_where_it_was_wanted_whatever_the_pieces)
{
    static const size_t sizes[] = {0, 1, 2, 26, 1000, 65535, 65536, 150000};
    static const size_t pieces[] = {1, 2, 3, 7, 64, 4096, 65536, ROOM * 2};
    static char bytes[ROOM + 64];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            if (sizes[s] > 2000 && pieces[p] < 64) {
                continue;
            }
            nkvi_reader reader;
            lender *l = lend_from(&reader, ROOM);
            nkvi_draft draft;
            size_t len = string_of(bytes, sizes[s]);
            cr_assert_eq(feed(&reader, bytes, len, pieces[p], &draft), len);
            cr_assert_eq(draft.root.type, NKV_TYPE_STRING);
            cr_assert(draft.root.str == l->room && draft.root.len == sizes[s]);
            cr_assert_null(draft.block);
            cr_assert_eq(l->asked, 1);
            for (size_t i = 0; i < sizes[s]; i++) {
                cr_assert_eq(l->room[i], (char)('a' + i % 26));
            }
            cr_assert(fences_stand(l, sizes[s]));
            cr_assert_eq(nkvi_reader_pending(&reader), 0);
            end(&reader, l);
        }
    }
}

/* Other replies before, between and behind; those are built as ever. */
Test(io_reader_lend, the_stream_goes_on_behind_a_string)
{
    static const char bytes[] =
        "+OK\r\n$3\r\nabc\r\n-ERR no\r\n$4\r\ndefg\r\n_\r\n*1\r\n$2\r\nhi\r\n:7\r\n";
    static const nkv_type types[] = {NKV_TYPE_STATUS, NKV_TYPE_STRING, NKV_TYPE_ERROR,
                                     NKV_TYPE_STRING, NKV_TYPE_NIL,    NKV_TYPE_ARRAY,
                                     NKV_TYPE_INTEGER};
    const size_t len = sizeof bytes - 1;
    for (size_t piece = 1; piece <= len; piece++) {
        nkvi_reader reader;
        lender *l = lend_from(&reader, ROOM);
        size_t at = 0, seen = 0;
        while (seen < sizeof types / sizeof types[0]) {
            nkvi_draft draft;
            if (nkvi_reader_next(&reader, &draft, NULL) == NKV_OK) {
                cr_assert_eq(draft.root.type, types[seen]);
                cr_assert(seen != 3 || memcmp(l->room, "defg", 4) == 0);
                nkvi_draft_clear(&draft);
                seen++;
                continue;
            }
            char *space;
            size_t room;
            cr_assert(at < len && nkvi_reader_space(&reader, &space, &room));
            room = room < piece ? room : piece;
            room = room < len - at ? room : len - at;
            memcpy(space, bytes + at, room);
            nkvi_reader_fed(&reader, room);
            at += room;
        }
        cr_assert_eq(l->asked, 2, "a string inside an array is no reply of its own");
        end(&reader, l);
    }
}

Test(io_reader_lend, who_lends_nothing_gets_a_block)
{
    nkvi_reader reader;
    lender *l = lend_from(&reader, 2);
    nkvi_draft draft;
    (void)feed(&reader, "$3\r\nabc\r\n", 9, 4, &draft);
    cr_assert_eq(l->asked, 1);
    cr_assert(draft.root.str != l->room && draft.root.len == 3 && draft.block != NULL);
    cr_assert_str_eq(draft.root.str, "abc");
    cr_assert(fences_stand(l, 0));
    nkvi_draft_clear(&draft);
    end(&reader, l);
}

/* Nothing is written into memory that was taken back, and the stream stays aligned. */
Test(io_reader_lend, taken_back_in_the_middle)
{
    static char bytes[ROOM + 64];
    size_t len = string_of(bytes, 100000);
    for (size_t cut = 9; cut < len; cut += 9973) {
        nkvi_reader reader;
        lender *l = lend_from(&reader, ROOM);
        nkvi_draft draft;
        cr_assert_eq(feed(&reader, bytes, cut, 5000, &draft), cut);
        cr_assert(nkvi_reader_take_back(&reader));
        cr_assert_not(nkvi_reader_take_back(&reader));
        memset(l->room, '#', ROOM);
        cr_assert_eq(feed(&reader, bytes + cut, len - cut, 5000, &draft), len - cut);
        cr_assert_eq(draft.root.type, NKV_TYPE_NIL);
        cr_assert(fences_stand(l, 0));
        (void)feed(&reader, "$3\r\nabc\r\n", 9, 9, &draft);
        cr_assert(draft.root.type == NKV_TYPE_STRING && memcmp(l->room, "abc", 3) == 0);
        end(&reader, l);
    }
}

Test(io_reader_lend, a_missing_line_break_is_an_error)
{
    nkvi_reader reader;
    lender *l = lend_from(&reader, ROOM);
    nkvi_draft draft;
    char *space;
    size_t room;
    cr_assert(nkvi_reader_space(&reader, &space, &room));
    memcpy(space, "$3\r\nabcXY", 9);
    nkvi_reader_fed(&reader, 9);
    cr_assert_eq(nkvi_reader_next(&reader, &draft, NULL), NKV_EPROTO);
    end(&reader, l);
}

/* A string that nobody wants takes no memory, however large it is. */
static char *refuse(void *ud, size_t len)
{
    (void)len;
    ++*(int *)ud;
    return NKVI_READER_DROP;
}

Test(io_reader_lend, a_string_can_be_dropped)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, 150000};
    static const size_t pieces[] = {1, 7, 4096, ROOM * 2};
    static char bytes[ROOM + 64];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            nkvi_reader reader;
            nkvi_draft draft;
            int asked = 0;
            nkvi_reader_init(&reader, 0, NULL);
            nkvi_reader_lend(&reader, refuse, &asked);
            size_t len = string_of(bytes, sizes[s]);
            memcpy(bytes + len, ":7\r\n", 4);
            size_t at = feed(&reader, bytes, len, pieces[p], &draft);
            cr_assert_eq(at, len);
            cr_assert(draft.root.type == NKV_TYPE_NIL && draft.block == NULL && asked == 1);
            feed(&reader, bytes + len, 4, pieces[p], &draft);
            cr_assert(draft.root.type == NKV_TYPE_INTEGER && draft.root.integer == 7);
            cr_assert_eq(reader.copied, 0);
            nkvi_draft_clear(&draft);
            nkvi_reader_clear(&reader);
        }
    }
}
