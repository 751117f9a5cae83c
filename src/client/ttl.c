/* client/ttl.c - see ttl.h. */
#include "client/ttl.h"

#include "base/clock.h"
#include "client/client_int.h"
#include "client/reply.h"

/* The smaller of two bounds in ms, of which a negative one is none. */
static int64_t tighter(int64_t a, int64_t b)
{
    if (a < 0) {
        return b;
    }
    return b < 0 || a < b ? a : b;
}

void nkvi_ttl_init(nkvi_ttl *ttl)
{
    *ttl = (nkvi_ttl){.key_ms = NKVI_TTL_UNASKED, .fields_ms = NKVI_TTL_NONE, .failed = false};
}

void nkvi_ttl_of_key(nkvi_ttl *ttl, const nkv_reply *reply)
{
    if (reply->type != NKV_TYPE_INTEGER || reply->integer < NKVI_TTL_NO_KEY) {
        ttl->failed = true;
        return;
    }
    ttl->key_ms = reply->integer;
}

bool nkvi_ttl_of_fields(nkvi_ttl *ttl, const nkv_reply *reply)
{
    if (nkvi_reply_has_code(reply, "ERR")) {
        return false;
    }
    if (reply->type == NKV_TYPE_NIL) {
        return true; /* no such key */
    }
    if (reply->type != NKV_TYPE_ARRAY) {
        ttl->failed = true;
        return true;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i].type == NKV_TYPE_INTEGER) {
            ttl->fields_ms = tighter(ttl->fields_ms, reply->element[i].integer);
        }
    }
    return true;
}

/* Whether answer and PTTL agree on the key being there; *absent tells. */
static bool agree(const nkv_reply *answer, const nkvi_ttl *ttl, bool *absent)
{
    *absent = answer->type == NKV_TYPE_NIL;
    if (ttl->key_ms == NKVI_TTL_UNASKED) {
        return true;
    }
    if (ttl->key_ms == NKVI_TTL_NO_KEY) {
        *absent = nkvi_reply_is_absent(answer);
        return *absent; /* else it vanished between the two */
    }
    return true;
}

bool nkvi_ttl_deadline(const nkv_options *options, const nkvi_ask_mode *mode, int64_t sent_ns,
                       const nkv_reply *answer, const nkvi_ttl *ttl, int64_t *deadline_ns)
{
    bool absent;
    if (ttl->failed || !agree(answer, ttl, &absent)) {
        return false;
    }
    int64_t bound = tighter(options->max_ttl_ms, mode->ttl_ms > 0 ? mode->ttl_ms : -1);
    bound = tighter(bound, ttl->key_ms);
    bound = tighter(bound, ttl->fields_ms);
    if (absent) {
        bound = tighter(bound, options->negative_ttl_ms);
    }
    *deadline_ns = nkvi_deadline_ns(sent_ns, bound);
    return bound != 0;
}
