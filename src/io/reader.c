/* io/reader.c - see reader.h: the buffer, the look-through, large strings in place.
 *
 *      data:   [ handed out | the reply under way … | not yet looked at | free ]
 *              0         start               scan.at              end       cap
 *
 * The look-through keeps, for every open level, how many elements are still to come, and counts
 * what the draft will take.  A level that belongs to an attribute is dropped: its elements are
 * looked through but not counted as children.
 *
 * A large string that is a reply of its own leaves the buffer as soon as its length is known: it
 * gets a block of exactly its size, and space() hands out that block until it is full.  Memory that
 * was lent is received into in the same way, but for the line break, which has no room there.  Once
 * it was taken back, what is still to come is received into the buffer and forgotten.
 *
 * Invariants   start <= scan.at <= end <= cap
 *              home: the buffer is empty or holds only what follows the string
 *              the cost of the reply under way <= bytes_max */
#include "io/reader.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/pool.h"
#include "io/reader_build.h"
#include "io/resp.h"

char nkvi_reader_dropped;

#define LINE_SHORT 16 /* bytes of a line that are looked at one by one */

__attribute__((unused)) static bool reader_valid(const nkvi_reader *reader)
{
    return reader->start <= reader->end && reader->end <= reader->cap &&
           (reader->home != NKVI_HOME_NONE ||
            (reader->start <= reader->scan.at && reader->scan.at <= reader->end)) &&
           reader->scan.depth <= NKVI_READER_DEPTH_MAX;
}

static void scan_reset(nkvi_reader *reader)
{
    memset(&reader->scan, 0, offsetof(nkvi_reader_scan, left));
    reader->scan.at = reader->scan.seek = reader->start;
}

void nkvi_reader_init(nkvi_reader *reader, int64_t bytes_max, nkv_cache *cache)
{
    memset(reader, 0, sizeof *reader);
    reader->cache = cache;
    reader->bytes_max = bytes_max > 0 ? (size_t)bytes_max : SIZE_MAX / 2;
}

void nkvi_reader_lend(nkvi_reader *reader, nkvi_reader_lend_fn lend, void *ud)
{
    reader->lend = lend;
    reader->lend_ud = ud;
}

void nkvi_reader_share(nkvi_reader *reader, nkvi_reader_spare *spare)
{
    reader->spare = spare;
}

void nkvi_reader_rest(nkvi_reader *reader)
{
    nkvi_reader_spare *spare = reader->spare;
    if (spare == NULL || reader->end > 0 || reader->home != NKVI_HOME_NONE ||
        reader->data == NULL) {
        return;
    }
    if (spare->data == NULL) {
        *spare = (nkvi_reader_spare){.data = reader->data, .cap = reader->cap};
    } else {
        nkvi_free(reader->data);
    }
    reader->data = NULL;
    reader->cap = 0;
}

void nkvi_reader_spare_clear(nkvi_reader_spare *spare)
{
    nkvi_free(spare->data);
    *spare = (nkvi_reader_spare){.data = NULL};
}

bool nkvi_reader_take_back(nkvi_reader *reader)
{
    bool lent = reader->home == NKVI_HOME_LENT;
    if (lent) {
        reader->home = NKVI_HOME_LOST;
        reader->bulk = NULL;
    }
    return lent;
}

void nkvi_reader_clear(nkvi_reader *reader)
{
    nkvi_free(reader->data);
    if (reader->home == NKVI_HOME_POOL) {
        nkvi_pool_give(reader->bulk, NULL);
    } else if (reader->home == NKVI_HOME_OWN) {
        nkvi_free(reader->bulk);
    }
    memset(reader, 0, sizeof *reader);
}

size_t nkvi_reader_pending(const nkvi_reader *reader)
{
    return reader->end - reader->start + reader->bulk_have;
}

static nkv_status broken(nkvi_reader *reader, nkv_error *error, const char *why)
{
    reader->broken = true;
    return nkvi_fail(error, NKV_EPROTO, "protocol error: %s", why);
}

static nkv_status too_large(nkvi_reader *reader, nkv_error *error)
{
    reader->broken = true;
    return nkvi_fail(error, NKV_EPROTO, "protocol error: a reply larger than reply_bytes_max (%zu)",
                     reader->bytes_max);
}

/* ============ Buffer ============ */

/* Moves the unread bytes to the front. */
static void compact(nkvi_reader *reader)
{
    size_t shift = reader->start;
    if (shift == 0) {
        return;
    }
    memmove(reader->data, reader->data + shift, reader->end - shift);
    reader->start = 0;
    reader->end -= shift;
    reader->scan.at -= shift;
    reader->scan.seek -= shift;
}

/* Takes the buffer that another reader has left, if there is one. */
static bool take_spare(nkvi_reader *reader)
{
    nkvi_reader_spare *spare = reader->spare;
    if (reader->data != NULL || spare == NULL || spare->data == NULL) {
        return false;
    }
    reader->data = spare->data;
    reader->cap = spare->cap;
    *spare = (nkvi_reader_spare){.data = NULL};
    return true;
}

/* Room behind `end`: at least one byte, and more the longer the reply under way is.  Doubles, so
 * that what is taken is at most twice what has come. */
static bool make_room(nkvi_reader *reader)
{
    size_t held = reader->end - reader->start;
    if (take_spare(reader)) {
        return true;
    }
    if (reader->cap - reader->end >= NKVI_READER_BUFFER_MIN / 2) {
        return true;
    }
    if (reader->cap - held >= NKVI_READER_BUFFER_MIN / 2 && reader->start >= held) {
        compact(reader); /* moves no more than has been handed out since the last time */
        return true;
    }
    size_t cap = reader->cap < NKVI_READER_BUFFER_MIN ? NKVI_READER_BUFFER_MIN : reader->cap * 2;
    char *data = nkvi_realloc(reader->data, cap);
    if (data == NULL) {
        compact(reader);
        return reader->end < reader->cap;
    }
    reader->data = data;
    reader->cap = cap;
    return true;
}

/* Whether bytes of a large string are still to come. */
static bool bulk_comes(const nkvi_reader *reader)
{
    return reader->home != NKVI_HOME_NONE && reader->bulk_have < reader->bulk_len + 2;
}

/* Where the byte at `at` of the large string goes, and how many may follow it there.  NULL: it is
 * LOST. */
static char *bulk_place(nkvi_reader *reader, size_t at, size_t *len)
{
    if (reader->home == NKVI_HOME_LENT) {
        bool text = at < reader->bulk_len;
        *len = text ? reader->bulk_len - at : reader->bulk_len + 2 - at;
        return text ? reader->bulk + at : reader->bulk_end + (at - reader->bulk_len);
    }
    *len = reader->bulk_len + 2 - at;
    return reader->bulk != NULL ? reader->bulk + at : NULL;
}

bool nkvi_reader_space(nkvi_reader *reader, char **data, size_t *len)
{
    bool bulk = bulk_comes(reader);
    if (bulk && reader->home != NKVI_HOME_LOST) {
        *data = bulk_place(reader, reader->bulk_have, len);
        return true;
    }
    if (!make_room(reader)) {
        return false;
    }
    *data = reader->data + reader->end;
    *len = reader->cap - reader->end;
    if (bulk && *len > reader->bulk_len + 2 - reader->bulk_have) {
        *len = reader->bulk_len + 2 - reader->bulk_have; /* nothing behind it is thrown away */
    }
    return true;
}

void nkvi_reader_fed(nkvi_reader *reader, size_t len)
{
    if (bulk_comes(reader)) {
        reader->bulk_have += len;
        assert(reader->bulk_have <= reader->bulk_len + 2);
        return;
    }
    reader->end += len;
    assert(reader_valid(reader));
}

/* An empty buffer starts over, and one that has grown for a large reply is given back. */
static void consumed(nkvi_reader *reader, size_t end)
{
    reader->start = end;
    if (reader->start == reader->end) {
        reader->start = reader->end = 0;
        if (reader->cap > NKVI_READER_BUFFER_KEEP) {
            nkvi_free(reader->data);
            reader->data = NULL;
            reader->cap = 0;
        }
    }
    scan_reset(reader);
}

/* ============ Look-through ============ */

/* The line at scan.at: its size with CR LF, or 0 if its end is not there yet. */
static size_t line_size(nkvi_reader *reader)
{
    nkvi_reader_scan *scan = &reader->scan;
    const char *data = reader->data;
    size_t near = scan->at + LINE_SHORT < reader->end ? scan->at + LINE_SHORT : reader->end;
    for (size_t i = scan->seek; i + 1 < near; i++) { /* a call to memchr costs more than this */
        if (data[i] == '\r' && data[i + 1] == '\n') {
            scan->seek = i + 1;
            return i + 2 - scan->at;
        }
    }
    while (scan->seek < reader->end) {
        const char *from = reader->data + scan->seek;
        const char *cr = memchr(from, '\r', reader->end - scan->seek);
        if (cr == NULL) {
            scan->seek = reader->end;
            return 0;
        }
        scan->seek = (size_t)(cr - reader->data);
        if (scan->seek + 1 == reader->end) {
            return 0;
        }
        scan->seek++;
        if (cr[1] == '\n') {
            return scan->seek + 1 - scan->at;
        }
    }
    return 0;
}

/* Adds to what the reply costs; false: beyond the limit. */
static bool charge(nkvi_reader *reader, uint64_t units, size_t unit_bytes)
{
    nkvi_reader_scan *scan = &reader->scan;
    if (units > (reader->bytes_max - scan->cost) / unit_bytes) {
        return false;
    }
    scan->cost += (size_t)units * unit_bytes;
    return true;
}

/* One element is complete: closes every level that it was the last of.  True: the whole reply
 * is. */
static bool element_done(nkvi_reader_scan *scan)
{
    while (scan->depth > 0) {
        if (--scan->left[scan->depth - 1] > 0) {
            return false;
        }
        uint32_t bit = UINT32_C(1) << --scan->depth;
        if ((scan->attributes & bit) != 0) {
            scan->attributes &= ~bit;
            return false; /* what the attribute is about comes next, and is the element */
        }
    }
    return true;
}

static nkv_status element_end(nkvi_reader *reader, size_t size)
{
    nkvi_reader_scan *scan = &reader->scan;
    scan->at += size;
    scan->seek = scan->at;
    return element_done(scan) ? NKV_OK : NKV_MISS;
}

static nkv_status take_line(nkvi_reader *reader, const nkvi_resp_token *token, nkv_error *error)
{
    bool text = token->type == NKV_TYPE_STATUS || token->type == NKV_TYPE_ERROR ||
                token->type == NKV_TYPE_DOUBLE || token->type == NKV_TYPE_BIGNUM;
    if (text) {
        if (!charge(reader, token->len + 1, 1)) {
            return too_large(reader, error);
        }
        reader->scan.text_bytes += reader->scan.attributes == 0 ? token->len + 1 : 0;
    }
    return element_end(reader, token->size);
}

/* Memory for a large string of its own. */
static bool find_home(nkvi_reader *reader, size_t len)
{
    reader->bulk = reader->lend != NULL ? reader->lend(reader->lend_ud, len) : NULL;
    reader->home = NKVI_HOME_LENT;
    if (reader->bulk == NKVI_READER_DROP) {
        reader->bulk = NULL;
        reader->home = NKVI_HOME_LOST;
        return true;
    }
    if (reader->bulk == NULL && reader->cache != NULL) {
        reader->bulk = nkvi_cache_buffer(reader->cache, len + 2);
        reader->home = NKVI_HOME_POOL;
    }
    if (reader->bulk == NULL) {
        reader->bulk = nkvi_alloc(len + 2);
        reader->home = NKVI_HOME_OWN;
    }
    if (reader->bulk == NULL) {
        reader->home = NKVI_HOME_NONE;
    }
    return reader->bulk != NULL;
}

/* Takes a large string out of the buffer to where it is received. */
static nkv_status start_in_place(nkvi_reader *reader, const nkvi_resp_token *token,
                                 nkv_error *error)
{
    size_t from = reader->scan.at + token->size;
    if (!find_home(reader, (size_t)token->number)) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for a reply of %llu bytes",
                         (unsigned long long)token->number);
    }
    reader->bulk_len = (size_t)token->number;
    reader->bulk_have = 0;
    while (bulk_comes(reader) && from < reader->end) {
        size_t room;
        char *place = bulk_place(reader, reader->bulk_have, &room);
        room = room < reader->end - from ? room : reader->end - from;
        if (place != NULL) {
            memcpy(place, reader->data + from, room);
            reader->copied += room;
        }
        from += room;
        reader->bulk_have += room;
    }
    consumed(reader, from);
    return NKV_MISS;
}

static nkv_status take_bulk(nkvi_reader *reader, const nkvi_resp_token *token, nkv_error *error)
{
    nkvi_reader_scan *scan = &reader->scan;
    if (token->number >= reader->bytes_max - scan->cost) {
        return too_large(reader, error);
    }
    size_t len = (size_t)token->number;
    size_t have = reader->end - scan->at - token->size;
    const char *payload = reader->data + scan->at + token->size;
    bool alone = scan->depth == 0 && token->type == NKV_TYPE_STRING;
    if (alone && (reader->lend != NULL || (len >= NKVI_READER_IN_PLACE && have < len + 2))) {
        scan->seek = scan->at + token->size - 2; /* if memory runs out it is looked at again */
        return start_in_place(reader, token, error);
    }
    if (have < len + 2) {
        scan->seek = scan->at + token->size - 2; /* finds this line again at once */
        return NKV_MISS;
    }
    if (payload[len] != '\r' || payload[len + 1] != '\n') {
        return broken(reader, error, "no line break behind a string");
    }
    if (token->type == NKV_TYPE_VERBATIM && (len < 4 || payload[3] != ':')) {
        return broken(reader, error, "a verbatim string without its format");
    }
    scan->cost += len + 1;
    if (scan->attributes == 0) {
        scan->text_bytes += len + 1 - (token->type == NKV_TYPE_VERBATIM ? 4 : 0);
    }
    return element_end(reader, token->size + len + 2);
}

static nkv_status take_aggregate(nkvi_reader *reader, const nkvi_resp_token *token,
                                 nkv_error *error)
{
    nkvi_reader_scan *scan = &reader->scan;
    bool attribute = token->klass == NKVI_RESP_ATTRIBUTE;
    if (token->type == NKV_TYPE_PUSH && scan->depth > 0) {
        return broken(reader, error, "a push inside a reply");
    }
    if (!charge(reader, token->number, sizeof(nkv_reply))) {
        return too_large(reader, error);
    }
    if (scan->attributes == 0 && !attribute) {
        scan->children += (size_t)token->number;
    }
    if (token->number > 0) {
        if (scan->depth == NKVI_READER_DEPTH_MAX) {
            return broken(reader, error, "a reply nested too deep");
        }
        scan->attributes |= attribute ? UINT32_C(1) << scan->depth : 0;
        scan->left[scan->depth++] = token->number;
    } else if (!attribute) {
        return element_end(reader, token->size);
    }
    scan->at += token->size;
    scan->seek = scan->at;
    return NKV_MISS;
}

/* Looks through one token.  NKV_OK: the whole reply is there; NKV_MISS: not yet, but scan.at may
 * have moved. */
static nkv_status take_token(nkvi_reader *reader, nkvi_resp_token *out, nkv_error *error)
{
    nkvi_reader_scan *scan = &reader->scan;
    size_t max = nkvi_resp_line_max(reader->data[scan->at]);
    if (max == 0) {
        return broken(reader, error, "an unknown type byte");
    }
    size_t size = line_size(reader);
    if (size > max || (size == 0 && reader->end - scan->at >= max)) {
        return broken(reader, error, "a line too long");
    }
    if (size == 0) {
        return NKV_MISS;
    }
    nkvi_resp_token token =
        size >= 3 ? nkvi_resp_parse(reader->data + scan->at, size)
                  : (nkvi_resp_token){.klass = NKVI_RESP_BAD, .text = "a line without a type"};
    *out = token;
    switch (token.klass) {
    case NKVI_RESP_LINE:
        return take_line(reader, &token, error);
    case NKVI_RESP_BULK:
        return take_bulk(reader, &token, error);
    case NKVI_RESP_AGGREGATE:
    case NKVI_RESP_ATTRIBUTE:
        return take_aggregate(reader, &token, error);
    default:
        return broken(reader, error, token.text);
    }
}

/* Looks through what is there.  NKV_OK: data[start..scan.at) is one reply; *last is its last
 * token. */
static nkv_status look_through(nkvi_reader *reader, nkvi_resp_token *last, nkv_error *error)
{
    nkvi_reader_scan *scan = &reader->scan;
    while (scan->at < reader->end) {
        size_t before = scan->at;
        nkv_status status = take_token(reader, last, error);
        if (status != NKV_MISS) {
            return status;
        }
        if (scan->at == before || reader->home != NKVI_HOME_NONE) {
            return NKV_MISS;
        }
    }
    return NKV_MISS;
}

/* ============ Replies ============ */

static nkv_status finish_in_place(nkvi_reader *reader, nkvi_draft *draft, nkv_error *error)
{
    if (bulk_comes(reader)) {
        return NKV_MISS;
    }
    nkvi_reader_home home = reader->home;
    if (home != NKVI_HOME_LOST) {
        size_t room;
        const char *end = bulk_place(reader, reader->bulk_len, &room);
        if (memcmp(end, "\r\n", 2) != 0) {
            return broken(reader, error, "no line break behind a string");
        }
        draft->root.type = NKV_TYPE_STRING;
        draft->root.str = reader->bulk;
        draft->root.len = reader->bulk_len;
    }
    if (home == NKVI_HOME_OWN || home == NKVI_HOME_POOL) {
        reader->bulk[reader->bulk_len] = '\0';
        draft->block = reader->bulk;
        draft->block_bytes = reader->bulk_len + 2;
        draft->free_fn = home == NKVI_HOME_POOL ? nkvi_pool_give : NULL;
    }
    reader->home = NKVI_HOME_NONE;
    reader->bulk = NULL;
    reader->bulk_len = reader->bulk_have = 0;
    return NKV_OK;
}

nkv_status nkvi_reader_next(nkvi_reader *reader, nkvi_draft *draft, nkv_error *error)
{
    assert(reader_valid(reader));
    nkvi_draft_init(draft);
    if (reader->broken) {
        return nkvi_fail(error, NKV_EPROTO, "protocol error earlier in this stream");
    }
    if (reader->home != NKVI_HOME_NONE) {
        return finish_in_place(reader, draft, error);
    }
    nkvi_reader_scan *scan = &reader->scan;
    nkvi_resp_token last = {.size = 0};
    nkv_status status = scan->whole ? NKV_OK : look_through(reader, &last, error);
    if (status == NKV_MISS && reader->home != NKVI_HOME_NONE) {
        return finish_in_place(reader, draft, error); /* all of it may be there already */
    }
    if (status != NKV_OK) {
        return status;
    }
    scan->whole = true;
    const char *data = reader->data + reader->start;
    size_t size = scan->at - reader->start;
    bool built = nkvi_resp_size(&last) == size
                     ? nkvi_reader_build_one(data, &last, scan->text_bytes, draft)
                     : nkvi_reader_build(data, size, scan->children, scan->text_bytes, draft);
    if (!built) {
        return nkvi_fail(error, NKV_ENOMEM, "out of memory for a reply of %zu bytes", size);
    }
    bool line = draft->root.type == NKV_TYPE_STATUS || draft->root.type == NKV_TYPE_ERROR;
    reader->copied += line ? 0 : scan->text_bytes;
    consumed(reader, scan->at);
    return NKV_OK;
}
