/* tests/unit/support/test_resp.c - frames that tests are made of, read by hiredis' reader. */

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/resp.h"

static void check_text(t_resp *r, const char *want)
{
    cr_assert(t_same_bytes("frame", r->bytes, r->len, want, strlen(want)));
    t_resp_clear(r);
}

Test(support_resp, writes_what_the_protocol_says)
{
    t_resp r = {0};
    t_resp_head(&r, '%', 2);
    check_text(&r, "%2\r\n");
    t_resp_bulk(&r, "");
    check_text(&r, "$0\r\n\r\n");
    t_resp_bulk_bytes(&r, "a\0b", 3);
    cr_assert(t_same_bytes("NUL", r.bytes, r.len, "$3\r\na\0b\r\n", 9));
    t_resp_clear(&r);
    t_resp_nil(&r, T_NIL3);
    t_resp_nil(&r, T_NIL_BULK);
    t_resp_nil(&r, T_NIL_ARRAY);
    check_text(&r, "_\r\n$-1\r\n*-1\r\n");
    t_resp_command(&r, "GET", "key");
    check_text(&r, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
    t_resp_push_keys(&r, "a", "bc");
    check_text(&r, ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n");
    t_resp_push_flush(&r, T_NIL3);
    check_text(&r, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    t_resp_message_keys(&r, "a");
    check_text(&r, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n");
    t_resp_message_flush(&r, T_NIL_ARRAY);
    check_text(&r, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*-1\r\n");
    t_resp_nested(&r, 3);
    check_text(&r, "*1\r\n*1\r\n*1\r\n:1\r\n");
    t_resp_free(&r);
    cr_assert_null(r.bytes);
}

Test(support_resp, grows_without_losing_anything)
{
    t_resp r = {0};
    for (int i = 0; i < 10000; i++) {
        t_resp_head(&r, ':', i);
    }
    size_t at = 0;
    for (int i = 0; i < 10000; i++) {
        char text[16];
        const int len = snprintf(text, sizeof text, ":%d\r\n", i);
        cr_assert_eq(memcmp(r.bytes + at, text, (size_t)len), 0);
        at += (size_t)len;
    }
    cr_assert_eq(at, r.len);
    t_resp_free(&r);
}

/* Reads with hiredis: the status of the reader, and the reply if there is one. */
static int read_with_hiredis(const t_resp *r, redisReply **reply)
{
    redisReader *reader = redisReaderCreate();
    reader->maxelements = 1 << 20; /* or it allocates whatever is announced */
    void *out = NULL;
    int rc = redisReaderFeed(reader, r->bytes, r->len);
    rc = rc == REDIS_OK ? redisReaderGetReply(reader, &out) : rc;
    *reply = out;
    redisReaderFree(reader);
    return rc;
}

Test(support_resp, every_type_is_there_and_well_formed)
{
    t_resp r = {0};
    t_resp_every_type(&r);
    redisReply *reply = NULL;
    cr_assert_eq(read_with_hiredis(&r, &reply), REDIS_OK);
    cr_assert_not_null(reply);
    bool seen[16] = {false};
    for (size_t i = 0; i < reply->elements; i++) {
        seen[reply->element[i]->type] = true;
    }
    static const int types[] = {REDIS_REPLY_STRING, REDIS_REPLY_ARRAY,  REDIS_REPLY_INTEGER,
                                REDIS_REPLY_NIL,    REDIS_REPLY_STATUS, REDIS_REPLY_ERROR,
                                REDIS_REPLY_DOUBLE, REDIS_REPLY_BOOL,   REDIS_REPLY_MAP,
                                REDIS_REPLY_SET,    REDIS_REPLY_BIGNUM, REDIS_REPLY_VERB};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        cr_assert(seen[types[i]], "type %d is missing", types[i]);
    }
    cr_assert_eq(reply->element[4]->len, 5);
    freeReplyObject(reply);
    t_resp_free(&r);
}

/* An independent reader agrees: what is unfinished is neither a reply nor an error. (It stops at
 * lengths that it cannot allocate, which is as good.)                                            */
Test(support_resp, unfinished_frames_are_never_a_reply)
{
    size_t count = 0;
    t_resp r = {0};
    const char *name;
    for (; (name = t_resp_unfinished(count, &r)) != NULL; count++, t_resp_clear(&r)) {
        redisReply *reply = NULL;
        (void)read_with_hiredis(&r, &reply);
        cr_assert_null(reply, "%s", name);
    }
    cr_assert_geq(count, 15);
    t_resp_free(&r);
}

/* hiredis lets some of them pass: it does not look at what stands behind a bulk, and takes "_0" for
 * a null. Ours are for a reader that looks.                                                      */
Test(support_resp, malformed_frames_are_told_apart_from_unfinished_ones)
{
    size_t count = 0;
    size_t refused = 0;
    t_resp r = {0};
    const char *name;
    for (; (name = t_resp_malformed(count, &r)) != NULL; count++, t_resp_clear(&r)) {
        redisReply *reply = NULL;
        const int rc = read_with_hiredis(&r, &reply);
        cr_assert_eq(r.bytes[r.len - 1], '\n', "%s could be unfinished", name);
        cr_assert(rc != REDIS_OK || reply != NULL || r.len < 60, "%s", name);
        refused += rc != REDIS_OK;
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    cr_assert_geq(count, 25);
    cr_assert_geq(refused, count * 3 / 5, "hiredis refuses only %zu of %zu", refused, count);
    t_resp_free(&r);
}
