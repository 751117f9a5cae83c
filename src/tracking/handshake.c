/* tracking/handshake.c - see handshake.h.
 *
 * The steps are answered in the order in which they were sent; `pending` has one bit for each
 * that is still to come, and the lowest bit is the next.  All replies of a pipeline are awaited
 * even when an early one has decided, because the second pipeline must find an empty stream. */
#include "tracking/handshake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/status.h"
#include "tracking/audit.h"

enum step { STEP_HELLO, STEP_AUTH, STEP_SELECT, STEP_TRACKING, STEP_OFF };

#define VERSION_MIN 7 /* earlier servers put pushes into the middle of other replies */

/* ============ What is sent ============ */

static void send_select(nkvi_handshake *hs, nkvi_buf *out)
{
    if (hs->config.db == 0) {
        return; /* where every connection begins */
    }
    char number[16];
    int len = snprintf(number, sizeof number, "%d", hs->config.db);
    nkv_str argv[] = {nkv_cstr("SELECT"), nkv_str_make(number, (size_t)len)};
    nkvi_buf_resp(out, 2, argv);
    hs->pending |= 1u << STEP_SELECT;
}

static const char *username_of(const nkvi_handshake *hs)
{
    const char *name = hs->config.username;
    return name != NULL && name[0] != '\0' ? name : "default";
}

/* A name alone is reason enough to log in: such a user may need no password, and going on as
 * somebody else would be worse than a refusal. */
static bool wants_login(const nkvi_handshake *hs)
{
    return hs->config.password != NULL || strcmp(username_of(hs), "default") != 0;
}

static nkv_str password_of(const nkvi_handshake *hs)
{
    return nkv_cstr(hs->config.password != NULL ? hs->config.password : "");
}

static void send_hello(nkvi_handshake *hs, nkvi_buf *out)
{
    nkv_str argv[7] = {nkv_cstr("HELLO"), nkv_cstr("3")};
    size_t argc = 2;

    if (wants_login(hs)) {
        argv[argc++] = nkv_cstr("AUTH");
        argv[argc++] = nkv_cstr(username_of(hs));
        argv[argc++] = password_of(hs);
    }
    if (hs->config.client_name != NULL && hs->config.client_name[0] != '\0') {
        argv[argc++] = nkv_cstr("SETNAME");
        argv[argc++] = nkv_cstr(hs->config.client_name);
    }
    nkvi_buf_resp(out, argc, argv);
    hs->pending |= 1u << STEP_HELLO;
}

static void send_tracking(nkvi_handshake *hs, bool on, nkvi_buf *out)
{
    nkv_str argv[] = {nkv_cstr("CLIENT"), nkv_cstr("TRACKING"), nkv_cstr(on ? "ON" : "OFF")};
    nkvi_buf_resp(out, 3, argv);
    hs->pending |= 1u << (on ? STEP_TRACKING : STEP_OFF);
}

void nkvi_handshake_start(nkvi_handshake *hs, const nkvi_handshake_config *config, nkvi_buf *out)
{
    memset(hs, 0, sizeof *hs);
    hs->config = *config;
    send_hello(hs, out);
    send_select(hs, out);
    if (config->tracked) {
        send_tracking(hs, true, out);
    }
}

/* The second pipeline, for a server that does not know or allow HELLO 3.  The name is left out: who
 * forbids HELLO mostly forbids CLIENT too, and a name is not worth a failure. */
static void send_fallback(nkvi_handshake *hs, nkvi_buf *out)
{
    hs->fallback = true;
    if (wants_login(hs)) {
        bool named = strcmp(username_of(hs), "default") != 0;
        nkv_str argv[3] = {nkv_cstr("AUTH"), nkv_cstr(username_of(hs)), password_of(hs)};
        if (!named) {
            argv[1] = argv[2]; /* the form that servers before ACLs know */
        }
        nkvi_buf_resp(out, named ? 3 : 2, argv);
        hs->pending |= 1u << STEP_AUTH;
    }
    send_select(hs, out);
}

/* ============ What the answers mean ============ */

/* The server's text, up to where it begins to quote our arguments, and never with the password. */
static nkv_str safe_text(const nkvi_handshake *hs, const nkv_reply *reply)
{
    static const char quote[] = "with args beginning";
    const char *password = hs->config.password;
    nkv_str text = nkv_str_make(reply->str, reply->len);

    const char *cut = memmem(text.data, text.len, quote, sizeof quote - 1);
    if (cut != NULL) {
        text.len = (size_t)(cut - text.data);
    }
    if (password != NULL && password[0] != '\0') {
        cut = memmem(text.data, text.len, password, strlen(password));
        text.len = cut != NULL ? (size_t)(cut - text.data) : text.len;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == ',')) {
        text.len--;
    }
    return text;
}

static bool begins(const nkv_reply *reply, const char *with)
{
    size_t len = strlen(with);
    return reply->len >= len && strncasecmp(reply->str, with, len) == 0;
}

static bool contains(const nkv_reply *reply, const char *what)
{
    return memmem(reply->str, reply->len, what, strlen(what)) != NULL;
}

/* Whether HELLO itself is the problem, and not who we are or the state that the server is in. */
static bool hello_unavailable(const nkv_reply *reply)
{
    return begins(reply, "NOPROTO") || begins(reply, "NOPERM") ||
           contains(reply, "unknown command") || contains(reply, "Unknown command");
}

static void refuse(nkvi_handshake *hs, const nkv_reply *reply, const char *command)
{
    if (hs->refused) {
        return; /* the first refusal is the reason; the others follow from it */
    }
    hs->refused = true;
    if (reply->type != NKV_TYPE_ERROR) {
        nkvi_fail(&hs->error, NKV_EPROTO, "an unexpected reply to %s", command);
        return;
    }
    nkv_str text = safe_text(hs, reply);
    nkvi_fail(&hs->error, NKV_EREPLY, "%.*s (reply to %s)", (int)(text.len > 180 ? 180 : text.len),
              text.data, command);
}

static void no_tracking(nkvi_handshake *hs, const char *why, nkv_str detail)
{
    if (!hs->config.tracked || hs->untracked || hs->refused) {
        return;
    }
    hs->untracked = true;
    nkvi_fail(&hs->error, NKV_ENOTSUP, "not tracked: %s%s%.*s", why, detail.len > 0 ? ": " : "",
              (int)(detail.len > 180 ? 180 : detail.len), detail.data);
}

/* The value of a field of HELLO's map (an array on servers that answer in RESP2), or NULL. */
static const nkv_reply *hello_field(const nkv_reply *hello, const char *name)
{
    for (size_t i = 0; i + 1 < hello->elements; i += 2) {
        const nkv_reply *field = &hello->element[i];
        if (field->str != NULL && field->len == strlen(name) &&
            memcmp(field->str, name, field->len) == 0) {
            return &hello->element[i + 1];
        }
    }
    return NULL;
}

static void take_hello(nkvi_handshake *hs, const nkv_reply *reply)
{
    if (reply->type == NKV_TYPE_ERROR && hello_unavailable(reply)) {
        no_tracking(hs, "the server refused HELLO 3", safe_text(hs, reply));
        return;
    }
    if (reply->type != NKV_TYPE_MAP && reply->type != NKV_TYPE_ARRAY) {
        refuse(hs, reply, "HELLO");
        return;
    }
    hs->resp3 = true;
    const nkv_reply *id = hello_field(reply, "id");
    const nkv_reply *version = hello_field(reply, "version");
    hs->client_id = id != NULL && id->type == NKV_TYPE_INTEGER ? id->integer : 0;
    if (!hs->config.tracked) {
        return;
    }
    const nkv_reply *proto = hello_field(reply, "proto");
    if (reply->type != NKV_TYPE_MAP || (proto != NULL && proto->integer != 3)) {
        no_tracking(hs, "the server answered HELLO 3 in RESP2", nkv_cstr(""));
    } else if (version == NULL || version->str == NULL) {
        no_tracking(hs, "the server does not tell its version", nkv_cstr(""));
    } else if (strtol(version->str, NULL, 10) < VERSION_MIN) { /* NUL-terminated, see nkv_reply */
        no_tracking(hs, "servers before 7.0 can put invalidations inside replies; this is",
                    nkv_str_make(version->str, version->len));
    }
}

static void take_ok(nkvi_handshake *hs, const nkv_reply *reply, const char *command)
{
    if (reply->type != NKV_TYPE_STATUS || reply->len != 2 || memcmp(reply->str, "OK", 2) != 0) {
        refuse(hs, reply, command);
    }
}

static void take_tracking(nkvi_handshake *hs, const nkv_reply *reply)
{
    if (nkvi_refusal_passes(reply)) {
        refuse(hs, reply, "CLIENT TRACKING"); /* tried again: without for good would be too much */
        return;
    }
    if (reply->type == NKV_TYPE_ERROR) {
        no_tracking(hs, "the server refused CLIENT TRACKING", safe_text(hs, reply));
        return;
    }
    take_ok(hs, reply, "CLIENT TRACKING");
    hs->on = !hs->refused;
}

/* Before HELLO was answered well, what the rest of its pipeline says depends on it and tells
 * nothing. */
static void take(nkvi_handshake *hs, enum step step, const nkv_reply *reply)
{
    bool moot = !hs->resp3 && !hs->fallback;
    switch (step) {
    case STEP_HELLO:
        take_hello(hs, reply);
        break;
    case STEP_AUTH:
        take_ok(hs, reply, "AUTH");
        break;
    case STEP_SELECT:
        if (!moot) {
            take_ok(hs, reply, "SELECT");
        }
        break;
    case STEP_TRACKING:
        if (!moot) {
            take_tracking(hs, reply);
        }
        break;
    case STEP_OFF:
        take_ok(hs, reply, "CLIENT TRACKING OFF");
        hs->on = false;
        break;
    }
}

nkvi_handshake_result nkvi_handshake_reply(nkvi_handshake *hs, const nkv_reply *reply,
                                           nkvi_buf *out)
{
    assert(hs->pending != 0 && reply->type != NKV_TYPE_PUSH);
    unsigned step = (unsigned)__builtin_ctz(hs->pending);
    hs->pending &= hs->pending - 1;
    take(hs, (enum step)step, reply);
    if (hs->pending != 0) {
        return NKVI_HANDSHAKE_MORE;
    }
    if (hs->refused) {
        return NKVI_HANDSHAKE_REFUSED;
    }
    if (!hs->resp3 && !hs->fallback) {
        send_fallback(hs, out);
    } else if (hs->untracked && hs->on) {
        send_tracking(hs, false, out); /* or its pushes would break into replies after all */
    }
    if (hs->pending != 0) {
        return NKVI_HANDSHAKE_MORE;
    }
    return hs->config.tracked && !hs->untracked ? NKVI_HANDSHAKE_ARMED : NKVI_HANDSHAKE_UNTRACKED;
}
