/* conn/sentinel_reply.c - see sentinel_reply.h. */
#include "conn/sentinel_reply.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "conn/answer.h"

static const nkvi_limits port_limits = {1, NKVI_PORT_MAX};

static bool str_is(nkv_str text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool read_endpoint(const nkv_reply *host, const nkv_reply *port, nkvi_sentinel_address *out)
{
    nkv_str text;
    int64_t number;

    if (!nkvi_answer_text(host, &text) || text.len == 0 || !nkvi_host_copy(out->host, text) ||
        !nkvi_answer_int(port, port_limits, &number)) {
        *out = (nkvi_sentinel_address){.port = 0};
        return false;
    }
    out->port = (int)number;
    return true;
}

/* Is there no such service?  Told by nil or, by most commands, by an error. */
static bool is_unknown(const nkv_reply *reply)
{
    static const char *const texts[] = {"ERR No such master", "ERR No such primary"};

    if (reply->type != NKV_TYPE_ERROR) {
        return reply->type == NKV_TYPE_NIL;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t len = strlen(texts[i]);
        if (reply->len >= len && memcmp(reply->str, texts[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static nkv_status bad(nkv_error *error, const nkv_reply *reply, const char *what)
{
    bool refused = reply->type == NKV_TYPE_ERROR;
    return nkvi_fail(error, NKV_EPROTO, "sentinel: %s", refused ? reply->str : what);
}

nkv_status nkvi_sentinel_address_parse(const nkv_reply *reply, nkvi_sentinel_address *out,
                                       nkv_error *error)
{
    *out = (nkvi_sentinel_address){.port = 0};
    if (is_unknown(reply)) {
        return NKV_NOT_FOUND;
    }
    if (!nkvi_answer_is_list(reply) || reply->elements != 2 ||
        !read_endpoint(&reply->element[0], &reply->element[1], out)) {
        return bad(error, reply, "the primary's address is none");
    }
    return NKV_OK;
}

/* Is that one of the words between commas? */
static bool has_flag(nkv_str flags, const char *flag)
{
    while (flags.len > 0) {
        const char *comma = memchr(flags.data, ',', flags.len);
        size_t len = comma != NULL ? (size_t)(comma - flags.data) : flags.len;
        if (str_is(nkv_str_make(flags.data, len), flag)) {
            return true;
        }
        len += comma != NULL ? 1 : 0;
        flags = nkv_str_make(flags.data + len, flags.len - len);
    }
    return false;
}

/* false: it has no address. */
static bool read_node(const nkv_reply *fields, nkvi_sentinel_node *out)
{
    nkv_str flags;

    (void)nkvi_answer_text(nkvi_answer_field(fields, "flags"), &flags);
    out->subjectively_down = has_flag(flags, "s_down");
    out->objectively_down = has_flag(flags, "o_down");
    out->disconnected = has_flag(flags, "disconnected");
    nkv_str epoch;
    if (nkvi_answer_text(nkvi_answer_field(fields, "config-epoch"), &epoch)) {
        (void)nkvi_digits_parse(epoch, UINT64_MAX, &out->epoch);
    }
    out->link_up = nkvi_answer_is(nkvi_answer_field(fields, "master-link-status"), "ok");
    return read_endpoint(nkvi_answer_field(fields, "ip"), nkvi_answer_field(fields, "port"),
                         &out->at);
}

nkv_status nkvi_sentinel_primary_parse(const nkv_reply *reply, nkvi_sentinel_node *out,
                                       nkv_error *error)
{
    *out = (nkvi_sentinel_node){.link_up = false};
    if (is_unknown(reply)) {
        return NKV_NOT_FOUND;
    }
    if (!read_node(reply, out)) {
        *out = (nkvi_sentinel_node){.link_up = false};
        return bad(error, reply, "a primary without an address");
    }
    return NKV_OK;
}

static bool is_usable(const nkvi_sentinel_node *node)
{
    return !node->subjectively_down && !node->objectively_down && !node->disconnected;
}

/* usable: the others are left out. */
static nkv_status read_list(const nkv_reply *reply, bool usable, nkvi_sentinel_list *out,
                            nkv_error *error)
{
    *out = (nkvi_sentinel_list){.n = 0};
    if (is_unknown(reply)) {
        return NKV_NOT_FOUND;
    }
    if (!nkvi_answer_is_list(reply)) {
        return bad(error, reply, "the answer is no list");
    }
    if (reply->elements > NKVI_SENTINEL_LIST_MAX) {
        return bad(error, reply, "more than 1024 servers");
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (!nkvi_answer_is_pairs(&reply->element[i])) {
            return bad(error, reply, "a server without fields");
        }
    }
    if (reply->elements == 0) {
        return NKV_OK;
    }
    out->nodes = nkvi_calloc(reply->elements, sizeof *out->nodes);
    if (out->nodes == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "sentinel: out of memory");
    }
    for (size_t i = 0; i < reply->elements; i++) {
        nkvi_sentinel_node *node = &out->nodes[out->n];
        out->n += read_node(&reply->element[i], node) && (!usable || is_usable(node)) ? 1 : 0;
    }
    return NKV_OK;
}

nkv_status nkvi_sentinel_replicas_parse(const nkv_reply *reply, nkvi_sentinel_list *out,
                                        nkv_error *error)
{
    return read_list(reply, true, out, error);
}

nkv_status nkvi_sentinel_others_parse(const nkv_reply *reply, nkvi_sentinel_list *out,
                                      nkv_error *error)
{
    return read_list(reply, false, out, error);
}

void nkvi_sentinel_list_clear(nkvi_sentinel_list *list)
{
    nkvi_free(list->nodes);
    *list = (nkvi_sentinel_list){.n = 0};
}

/* ---- Announcements --------------------------------------------------------------------------- */

bool nkvi_message_parse(const nkv_reply *reply, nkv_str *channel, nkv_str *payload)
{
    if (reply->type != NKV_TYPE_PUSH && reply->type != NKV_TYPE_ARRAY) {
        return false;
    }
    const nkv_reply *part = reply->element;
    size_t n = reply->elements;
    bool plain = n == 3 && nkvi_answer_is(&part[0], "message");
    bool pattern = n == 4 && nkvi_answer_is(&part[0], "pmessage");
    return (plain || pattern) && nkvi_answer_text(&part[n - 2], channel) &&
           nkvi_answer_text(&part[n - 1], payload);
}

/* Takes the first word off `text`; empty: there is none. */
static nkv_str next_word(nkv_str *text)
{
    size_t begin = 0, end;

    while (begin < text->len && text->data[begin] == ' ') {
        begin++;
    }
    end = begin;
    while (end < text->len && text->data[end] != ' ') {
        end++;
    }
    nkv_str word = nkv_str_make(text->data + begin, end - begin);
    *text = nkv_str_make(text->data + end, text->len - end);
    return word;
}

bool nkvi_switch_parse(nkv_str payload, nkvi_switch *out)
{
    nkvi_switch to = {.service = next_word(&payload)};

    *out = (nkvi_switch){.new_port = 0};
    to.old_host = next_word(&payload);
    bool old_port = nkvi_port_parse(next_word(&payload), &to.old_port);
    to.new_host = next_word(&payload);
    bool new_port = nkvi_port_parse(next_word(&payload), &to.new_port);
    if (!old_port || !new_port || !nkvi_host_valid(to.old_host) || !nkvi_host_valid(to.new_host) ||
        next_word(&payload).len > 0) {
        return false;
    }
    *out = to;
    return true;
}

/* The service of "master SERVICE ip port …" and of "slave NAME ip port @ SERVICE ip port …". */
static nkv_str service_of(nkv_str payload)
{
    nkv_str kind = next_word(&payload);
    nkv_str name = next_word(&payload);
    nkv_str ip = next_word(&payload), port = next_word(&payload), at = next_word(&payload);
    int number;

    if (ip.len == 0 || !nkvi_port_parse(port, &number)) {
        return nkv_cstr("");
    }
    if (str_is(at, "@")) {
        return next_word(&payload);
    }
    return str_is(kind, "master") || str_is(kind, "primary") ? name : nkv_cstr("");
}

/* Whatever changes who the primary is, or which servers there are and can be used. */
static bool is_change(nkv_str channel)
{
    static const char *const changes[] = {
        "+switch-master",
        "+promoted-slave",
        "+config-update-from",
        "+failover-end",
        "+failover-end-for-timeout",
        "+sdown",
        "-sdown",
        "+odown",
        "-odown",
        "+reboot",
        "+role-change",
        "-role-change",
        "+slave",
        "+slave-reconf-done",
        "+convert-to-slave",
        "+fix-slave-config",
        "+monitor",
        "-monitor",
        "+reset-master",
        "+sentinel",
        "+sentinel-address-switch",
        "+sentinel-address-update",
        "+sentinel-invalid-addr",
    };

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (str_is(channel, changes[i])) {
            return true;
        }
    }
    return false;
}

bool nkvi_sentinel_event_parse(nkv_str channel, nkv_str payload, nkvi_sentinel_event *out)
{
    nkvi_sentinel_event event = {.refresh = is_change(channel)};

    *out = (nkvi_sentinel_event){.refresh = false};
    event.switched = str_is(channel, "+switch-master");
    if (event.switched) {
        if (!nkvi_switch_parse(payload, &event.to)) {
            return false;
        }
        event.service = event.to.service;
    } else {
        event.service = service_of(payload);
    }
    if (event.service.len == 0) {
        return false;
    }
    *out = event;
    return true;
}
