/* support/resp_diff.c - see resp_diff.h. */

#include "support/resp_diff.h"

#include <hiredis/hiredis.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "io/reader.h"
#include "support/check.h"

#define BYTES_MAX (1 << 20)

static const char *const stricter[] = {
    "no line break behind",  "a push inside",
    "nested too deep",       "a double is not",
    "a big number is not",   "push of length -1",
    "a line too long",       "larger than reply_bytes_max",
    "a line without a type", "a boolean is neither",
};

static bool is_stricter(const char *text)
{
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++) {
        if (strstr(text, stricter[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* An attribute, a long error, or a number written as hiredis does not like it, somewhere. */
static bool may_be_lenient(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '|' || data[i] == '!') {
            return true;
        }
        if (memchr(":$*%~>!=(", data[i], 9) == NULL || i + 1 == len) {
            continue;
        }
        size_t at = i + 1 + (data[i + 1] == '-' || data[i + 1] == '+' ? 1 : 0);
        if (data[i + 1] == '+' || (at < len && data[at] == '0' &&
                                   (data[i + 1] == '-' || (at + 1 < len && data[at + 1] >= '0' &&
                                                           data[at + 1] <= '9')))) {
            return true;
        }
    }
    return false;
}

/* hiredis keeps a double's and a big number's text like a string; a boolean and an integer alike.
 * */
static bool same(const nkv_reply *ours, const redisReply *theirs)
{
    if ((int)ours->type != theirs->type || ours->elements != theirs->elements) {
        return false;
    }
    switch (ours->type) {
    case NKV_TYPE_INTEGER:
    case NKV_TYPE_BOOL:
        return ours->integer == theirs->integer;
    case NKV_TYPE_DOUBLE:
        return ((isnan(ours->dval) && isnan(theirs->dval)) || ours->dval == theirs->dval) &&
               strcmp(ours->str, theirs->str) == 0;
    case NKV_TYPE_STRING:
    case NKV_TYPE_STATUS:
    case NKV_TYPE_ERROR:
    case NKV_TYPE_BIGNUM:
    case NKV_TYPE_VERBATIM:
        return ours->len == theirs->len && memcmp(ours->str, theirs->str, ours->len + 1) == 0 &&
               (ours->type != NKV_TYPE_VERBATIM || strcmp(ours->vtype, theirs->vtype) == 0);
    default:
        break;
    }
    for (size_t i = 0; i < ours->elements; i++) {
        if (!same(&ours->element[i], theirs->element[i])) {
            return false;
        }
    }
    return true;
}

typedef struct pair {
    nkvi_reader ours;
    redisReader *theirs;
    nkv_error error;
    bool over;
    size_t agreed;
} pair;

static void give(pair *p, const uint8_t *data, size_t len)
{
    redisReaderFeed(p->theirs, (const char *)data, len);
    while (len > 0) {
        char *room;
        size_t n;
        T_REQUIRE(nkvi_reader_space(&p->ours, &room, &n));
        n = len < n ? len : n;
        memcpy(room, data, n);
        nkvi_reader_fed(&p->ours, n);
        data += n;
        len -= n;
    }
}

/* What one call to each brought. */
typedef struct step {
    nkv_status status;
    bool refused; /* by hiredis */
    bool lenient; /* something is in the bytes that only we take */
    nkvi_draft draft;
    void *theirs;
} step;

/* Ends the process unless the difference is a known one. */
static void judge(const pair *p, const step *s)
{
    bool ours = s->status == NKV_OK, theirs = s->theirs != NULL;
    if (ours && theirs && !same(&s->draft.root, s->theirs)) {
        T_DIE("reply %zu differs: type %d against %d", p->agreed, (int)s->draft.root.type,
              ((redisReply *)s->theirs)->type);
    }
    if (s->status == NKV_EPROTO && !s->refused && !is_stricter(p->error.text)) {
        T_DIE("reply %zu: refused by us alone: %s", p->agreed, p->error.text);
    }
    if (s->status == NKV_EPROTO || s->lenient) {
        return;
    }
    if (s->refused) {
        T_DIE("reply %zu: refused by hiredis alone: %s", p->agreed, p->theirs->errstr);
    }
    if (ours != theirs) {
        T_DIE("reply %zu: whole for %s alone", p->agreed, ours ? "us" : "hiredis");
    }
}

/* One reply from each. False: there is no more to compare for now, or for good (over). */
static bool compare_one(pair *p, const uint8_t *all, size_t len)
{
    step s = {.lenient = may_be_lenient(all, len)};
    s.status = nkvi_reader_next(&p->ours, &s.draft, &p->error);
    s.refused = redisReaderGetReply(p->theirs, &s.theirs) != REDIS_OK;
    judge(p, &s);
    bool both = s.status == NKV_OK && s.theirs != NULL;
    p->over = s.status == NKV_EPROTO || s.refused || (s.status == NKV_OK) != (s.theirs != NULL);
    p->agreed += both ? 1 : 0;
    nkvi_draft_clear(&s.draft);
    freeReplyObject(s.theirs);
    return both;
}

size_t t_resp_diff(const uint8_t *data, size_t len, size_t piece)
{
    pair p = {.theirs = redisReaderCreate()};
    T_REQUIRE(piece > 0 && p.theirs != NULL);
    nkvi_reader_init(&p.ours, BYTES_MAX, NULL);
    p.theirs->maxelements = BYTES_MAX; /* or it allocates what a peer announces */
    for (size_t at = 0; at < len && !p.over; at += piece) {
        give(&p, data + at, len - at < piece ? len - at : piece);
        while (compare_one(&p, data, len)) {}
    }
    nkvi_reader_clear(&p.ours);
    redisReaderFree(p.theirs);
    return p.agreed;
}
