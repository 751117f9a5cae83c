/* conn/role.c - see role.h. */
#include "conn/role.h"

#include <string.h>

#include "conn/answer.h"

static const nkvi_limits port_limits = {0, NKVI_PORT_MAX};
static const nkvi_limits offset_limits = {-1, INT64_MAX};

static bool str_is(nkv_str text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static nkvi_role_kind kind_of(nkv_str word)
{
    if (str_is(word, "master") || str_is(word, "primary")) {
        return NKVI_ROLE_PRIMARY;
    }
    if (str_is(word, "slave") || str_is(word, "replica")) {
        return NKVI_ROLE_REPLICA;
    }
    return str_is(word, "sentinel") ? NKVI_ROLE_SENTINEL : NKVI_ROLE_UNKNOWN;
}

/* ---- ROLE ------------------------------------------------------------------------------------ */

static nkvi_role_link link_of(const nkv_reply *state)
{
    static const struct {
        const char *word;
        nkvi_role_link link;
    } states[] = {
        {"connect", NKVI_ROLE_LINK_CONNECT},      {"connecting", NKVI_ROLE_LINK_CONNECTING},
        {"handshake", NKVI_ROLE_LINK_CONNECTING}, {"sync", NKVI_ROLE_LINK_SYNC},
        {"connected", NKVI_ROLE_LINK_CONNECTED},
    };

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (nkvi_answer_is(state, states[i].word)) {
            return states[i].link;
        }
    }
    return NKVI_ROLE_LINK_UNKNOWN;
}

/* [slave host port state offset] */
static bool read_replica(const nkv_reply *parts, size_t n, nkvi_role *out)
{
    nkv_str host;
    int64_t port;

    if (n < 5 || !nkvi_answer_text(&parts[1], &host) || !nkvi_host_copy(out->primary_host, host) ||
        !nkvi_answer_int(&parts[2], port_limits, &port) ||
        !nkvi_answer_int(&parts[4], offset_limits, &out->offset)) {
        return false;
    }
    out->primary_port = (int)port;
    out->link = link_of(&parts[3]);
    return true;
}

bool nkvi_role_parse(const nkv_reply *reply, nkvi_role *out)
{
    nkv_str word;
    bool understood = false;

    *out = (nkvi_role){.kind = NKVI_ROLE_UNKNOWN};
    if (!nkvi_answer_is_list(reply) || reply->elements == 0 ||
        !nkvi_answer_text(&reply->element[0], &word)) {
        return false;
    }
    out->kind = kind_of(word);
    if (out->kind == NKVI_ROLE_PRIMARY) {
        understood =
            reply->elements > 1 && nkvi_answer_int(&reply->element[1], offset_limits, &out->offset);
    } else if (out->kind == NKVI_ROLE_REPLICA) {
        understood = read_replica(reply->element, reply->elements, out);
    } else {
        understood = out->kind == NKVI_ROLE_SENTINEL;
    }
    if (!understood) {
        *out = (nkvi_role){.kind = NKVI_ROLE_UNKNOWN};
    }
    return understood;
}

/* ---- INFO replication ------------------------------------------------------------------------ */

static void read_link(nkv_str text, nkvi_replication *out)
{
    nkv_str value;
    int64_t port = 0;

    out->link_up = nkvi_answer_line(text, "master_link_status", &value) && str_is(value, "up");
    out->syncing = nkvi_answer_line(text, "master_sync_in_progress", &value) && str_is(value, "1");
    (void)nkvi_answer_line_int(text, "slave_repl_offset", offset_limits, &out->replica_offset);
    (void)nkvi_answer_line_int(text, "master_port", port_limits, &port);
    out->primary_port = (int)port;
    (void)nkvi_answer_line(text, "master_host", &value);
    (void)nkvi_host_copy(out->primary_host, value);
}

bool nkvi_replication_parse(const nkv_reply *reply, nkvi_replication *out)
{
    nkv_str text, value;

    *out = (nkvi_replication){.kind = NKVI_ROLE_UNKNOWN};
    if (!nkvi_answer_text(reply, &text) || !nkvi_answer_line(text, "role", &value)) {
        return false;
    }
    nkvi_role_kind kind = kind_of(value);
    if (kind != NKVI_ROLE_PRIMARY && kind != NKVI_ROLE_REPLICA) {
        return false;
    }
    *out = (nkvi_replication){.kind = kind, .offset = -1, .replica_offset = -1};
    (void)nkvi_answer_line_int(text, "master_repl_offset", offset_limits, &out->offset);
    if (nkvi_answer_line(text, "master_replid", &value) && value.len < sizeof out->replid) {
        memcpy(out->replid, value.data, value.len);
    }
    if (kind == NKVI_ROLE_REPLICA) {
        read_link(text, out);
    }
    return true;
}
