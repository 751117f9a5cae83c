/* support/replies.c - see replies.h. */
#include "support/replies.h"

#include <stdlib.h>
#include <string.h>

#include "io/reader.h"
#include "support/check.h"

static void feed(nkvi_reader *reader, const char *bytes, size_t len)
{
    while (len > 0) {
        char *room;
        size_t n;
        T_REQUIRE(nkvi_reader_space(reader, &room, &n));
        n = len < n ? len : n;
        memcpy(room, bytes, n);
        nkvi_reader_fed(reader, n);
        bytes += n;
        len -= n;
    }
}

static nkvi_draft first_of(const char *what, const char *bytes, size_t len)
{
    nkvi_reader reader;
    nkvi_draft draft;

    nkvi_reader_init(&reader, 0, NULL);
    feed(&reader, bytes, len);
    if (nkvi_reader_next(&reader, &draft, NULL) != NKV_OK) {
        T_DIE("no reply: %s", what);
    }
    nkvi_reader_clear(&reader);
    return draft;
}

nkvi_draft t_reply(const char *text)
{
    return first_of(text, text, strlen(text));
}

nkvi_draft t_reply_kept(const char *name)
{
    char path[T_PATH_MAX];
    char *below = t_format("tests/fuzz/corpus/%s", name);
    size_t len;

    if (!t_find_upwards(below, path)) {
        T_DIE("there is no %s", below);
    }
    char *bytes = t_read_file(path, &len);
    T_REQUIRE(bytes != NULL);
    nkvi_draft draft = first_of(name, bytes, len);
    free(bytes);
    free(below);
    return draft;
}

void t_replies(const void *bytes, size_t len, void (*each)(const nkv_reply *reply, void *ud),
               void *ud)
{
    nkvi_reader reader;
    nkvi_draft draft;
    const char *next = bytes;

    nkvi_reader_init(&reader, 1 << 20, NULL);
    while (len > 0) {
        size_t n = len < 4096 ? len : 4096;
        feed(&reader, next, n);
        next += n;
        len -= n;
        while (nkvi_reader_next(&reader, &draft, NULL) == NKV_OK) {
            each(&draft.root, ud);
            nkvi_draft_clear(&draft);
        }
    }
    nkvi_reader_clear(&reader);
}
