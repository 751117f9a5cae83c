/* conn/redirect.c - see redirect.h. */
#include "conn/redirect.h"

#include "conn/address.h"
#include "conn/hash_slot.h"

/* Takes the first word off `text`, and the one blank behind it. */
static nkv_str next_word(nkv_str *text)
{
    const char *blank = text->len > 0 ? memchr(text->data, ' ', text->len) : NULL;
    size_t len = blank != NULL ? (size_t)(blank - text->data) : text->len;
    size_t taken = blank != NULL ? len + 1 : len;
    nkv_str word = nkv_str_make(text->data, len);

    *text = nkv_str_make(text->data + taken, text->len - taken);
    return word;
}

static nkvi_redirect_kind kind_of(nkv_str code)
{
    static const struct {
        const char *code;
        nkvi_redirect_kind kind;
    } kinds[] = {
        {"MOVED", NKVI_REDIRECT_MOVED},       {"ASK", NKVI_REDIRECT_ASK},
        {"TRYAGAIN", NKVI_REDIRECT_TRYAGAIN}, {"CLUSTERDOWN", NKVI_REDIRECT_CLUSTERDOWN},
        {"LOADING", NKVI_REDIRECT_LOADING},   {"MASTERDOWN", NKVI_REDIRECT_MASTERDOWN},
        {"READONLY", NKVI_REDIRECT_READONLY},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (code.len == strlen(kinds[i].code) && memcmp(code.data, kinds[i].code, code.len) == 0) {
            return kinds[i].kind;
        }
    }
    return NKVI_REDIRECT_NONE;
}

/* The slot and the address behind MOVED and ASK. */
static bool target_of(nkv_str text, nkvi_redirect *out)
{
    uint64_t slot;

    if (!nkvi_digits_parse(next_word(&text), NKVI_HASH_SLOTS - 1, &slot) ||
        !nkvi_address_split(text, &out->host, &out->port)) {
        return false;
    }
    out->hash_slot = (uint16_t)slot;
    if (out->host.len == 1 && out->host.data[0] == '?') {
        out->host.len = 0; /* a server that should announce its name, and has none */
    }
    return true;
}

nkvi_redirect nkvi_redirect_of(const nkv_reply *error)
{
    nkvi_redirect redirect = {.kind = NKVI_REDIRECT_NONE};

    if (error == NULL || error->type != NKV_TYPE_ERROR) {
        return redirect;
    }
    nkv_str text = nkv_str_make(error->str, error->len);
    redirect.kind = kind_of(next_word(&text));
    bool target = redirect.kind == NKVI_REDIRECT_MOVED || redirect.kind == NKVI_REDIRECT_ASK;
    if (target && !target_of(text, &redirect)) {
        return (nkvi_redirect){.kind = NKVI_REDIRECT_NONE};
    }
    return redirect;
}
