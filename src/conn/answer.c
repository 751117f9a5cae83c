/* conn/answer.c - see answer.h. */
#include "conn/answer.h"

#include <string.h>

#include "base/parse.h"

static bool str_is(nkv_str text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static bool number_of(nkv_str text, nkvi_limits limits, int64_t *out)
{
    const nkvi_bound bound = {"a number", limits.min, limits.max};
    return nkvi_parse_int(text, &bound, out, NULL) == NKV_OK;
}

bool nkvi_answer_text(const nkv_reply *reply, nkv_str *out)
{
    *out = nkv_cstr("");
    if (reply == NULL || (reply->type != NKV_TYPE_STRING && reply->type != NKV_TYPE_STATUS &&
                          reply->type != NKV_TYPE_VERBATIM)) {
        return false;
    }
    *out = nkv_str_make(reply->str, reply->len);
    return true;
}

bool nkvi_answer_is(const nkv_reply *reply, const char *word)
{
    nkv_str text;
    return nkvi_answer_text(reply, &text) && str_is(text, word);
}

bool nkvi_answer_int(const nkv_reply *reply, nkvi_limits limits, int64_t *out)
{
    nkv_str text;

    if (reply != NULL && reply->type == NKV_TYPE_INTEGER) {
        if (reply->integer < limits.min || reply->integer > limits.max) {
            return false;
        }
        *out = reply->integer;
        return true;
    }
    return nkvi_answer_text(reply, &text) && number_of(text, limits, out);
}

bool nkvi_answer_is_list(const nkv_reply *reply)
{
    return reply != NULL && (reply->type == NKV_TYPE_ARRAY || reply->type == NKV_TYPE_SET);
}

bool nkvi_answer_is_pairs(const nkv_reply *reply)
{
    return reply != NULL && (reply->type == NKV_TYPE_MAP || reply->type == NKV_TYPE_ARRAY) &&
           reply->elements % 2 == 0;
}

const nkv_reply *nkvi_answer_field(const nkv_reply *pairs, const char *name)
{
    if (!nkvi_answer_is_pairs(pairs)) {
        return NULL;
    }
    for (size_t i = 0; i < pairs->elements; i += 2) {
        if (nkvi_answer_is(&pairs->element[i], name)) {
            return &pairs->element[i + 1];
        }
    }
    return NULL;
}

/* Takes the first line off `text`, without what ends it. */
static nkv_str next_line(nkv_str *text)
{
    const char *end = memchr(text->data, '\n', text->len);
    size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
    size_t taken = end != NULL ? len + 1 : len;
    nkv_str line = nkv_str_make(text->data, len);

    *text = nkv_str_make(text->data + taken, text->len - taken);
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

bool nkvi_answer_line(nkv_str text, const char *name, nkv_str *out)
{
    size_t len = strlen(name);

    while (text.len > 0) {
        nkv_str line = next_line(&text);
        if (line.len > len && memcmp(line.data, name, len) == 0 && line.data[len] == ':') {
            *out = nkv_str_make(line.data + len + 1, line.len - len - 1);
            return true;
        }
    }
    *out = nkv_cstr("");
    return false;
}

bool nkvi_answer_line_int(nkv_str text, const char *name, nkvi_limits limits, int64_t *out)
{
    nkv_str value;
    return nkvi_answer_line(text, name, &value) && number_of(value, limits, out);
}
