/* support/resp.c - frames of RESP2 and RESP3 as bytes.
 *
 * Builders append to a growing buffer. The wrong frames are two tables: what no reader may accept,
 * and what no reader may be impressed by.
 *
 * Callers      fake.c, tests of everything that reads replies                                    */

#include "support/resp.h"

#include "support/check.h"

#include <stdlib.h>
#include <string.h>

void t_resp_clear(t_resp *r)
{
    r->len = 0;
}

void t_resp_free(t_resp *r)
{
    free(r->bytes);
    *r = (t_resp){0};
}

void t_resp_raw(t_resp *r, const void *bytes, size_t len)
{
    if (len > r->room - r->len) {
        const size_t twice = r->room < 64 ? 128 : 2 * r->room;
        r->room = twice > r->len + len ? twice : r->len + len;
        r->bytes = realloc(r->bytes, r->room);
        T_REQUIRE(r->bytes != NULL);
    }
    if (len > 0) {
        memcpy(r->bytes + r->len, bytes, len);
        r->len += len;
    }
}

void t_resp_text(t_resp *r, const char *text)
{
    t_resp_raw(r, text, strlen(text));
}

/* ---- Right ----------------------------------------------------------------------------------- */

void t_resp_head(t_resp *r, char type, long long number)
{
    char text[32];
    const int len = snprintf(text, sizeof text, "%c%lld\r\n", type, number);
    t_resp_raw(r, text, (size_t)len);
}

void t_resp_bulk(t_resp *r, const char *text)
{
    t_resp_bulk_bytes(r, text, strlen(text));
}

void t_resp_bulk_bytes(t_resp *r, const void *bytes, size_t len)
{
    t_resp_head(r, '$', (long long)len);
    t_resp_raw(r, bytes, len);
    t_resp_text(r, "\r\n");
}

void t_resp_nil(t_resp *r, t_nil how)
{
    static const char *const texts[] = {"_\r\n", "$-1\r\n", "*-1\r\n"};
    t_resp_text(r, texts[how]);
}

/* An array of bulks. */
static void append_strings(t_resp *r, const char *const *strings)
{
    long long count = 0;
    while (strings[count] != NULL) {
        count++;
    }
    t_resp_head(r, '*', count);
    for (long long i = 0; i < count; i++) {
        t_resp_bulk(r, strings[i]);
    }
}

void t_resp_command_argv(t_resp *r, const char *const *argv)
{
    append_strings(r, argv);
}

void t_resp_push_keys_argv(t_resp *r, const char *const *keys)
{
    t_resp_text(r, ">2\r\n$10\r\ninvalidate\r\n");
    append_strings(r, keys);
}

void t_resp_push_flush(t_resp *r, t_nil how)
{
    t_resp_text(r, ">2\r\n$10\r\ninvalidate\r\n");
    t_resp_nil(r, how);
}

void t_resp_message_keys_argv(t_resp *r, const char *const *keys)
{
    t_resp_text(r, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
    append_strings(r, keys);
}

void t_resp_message_flush(t_resp *r, t_nil how)
{
    t_resp_text(r, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
    t_resp_nil(r, how);
}

void t_resp_every_type(t_resp *r)
{
    static const char *const values[] = {
        "+status\r\n",
        "-ERR an error\r\n",
        ":9223372036854775807\r\n",
        ":-9223372036854775808\r\n",
        "$5\r\na\0b\r\n\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "_\r\n",
        ",-1.5e300\r\n",
        ",inf\r\n",
        ",-inf\r\n",
        ",nan\r\n",
        "#t\r\n",
        "#f\r\n",
        "(3492890328409238509324850943850943825024385\r\n",
        "=8\r\ntxt:text\r\n",
        "*0\r\n",
        "%2\r\n$1\r\nk\r\n:1\r\n:2\r\n*1\r\n#t\r\n",
        "%0\r\n",
        "~3\r\n:1\r\n$1\r\n2\r\n,3\r\n",
    };
    const size_t count = sizeof values / sizeof values[0];
    t_resp_head(r, '*', (long long)count);
    for (size_t i = 0; i < count; i++) {
        const bool has_nul = values[i][1] == '5'; /* the one text that strlen() would cut short */
        t_resp_raw(r, values[i], has_nul ? 11 : strlen(values[i]));
    }
}

void t_resp_nested(t_resp *r, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        t_resp_text(r, "*1\r\n");
    }
    t_resp_text(r, ":1\r\n");
}

/* ---- Wrong ----------------------------------------------------------------------------------- */

typedef struct named_frame {
    const char *name;
    const char *bytes;
} named_frame;

static const named_frame malformed[] = {
    {"unknown type", "?1\r\n"},
    {"no type at all", "\r\n"},
    {"a letter as length", "$a\r\n"},
    {"a letter behind the length", "$1a\r\nx\r\n"},
    {"no length", "$\r\n\r\n"},
    {"a sign alone", "*-\r\n"},
    {"bulk of -2", "$-2\r\n"},
    {"array of -2", "*-2\r\n"},
    {"length beyond 64 bits", "$18446744073709551617\r\n"},
    {"length beyond 63 bits", "*9223372036854775808\r\n"},
    {"bulk longer than announced", "$1\r\nxyz\r\n"},
    {"integer with a letter", ":12x\r\n"},
    {"empty integer", ":\r\n"},
    {"integer beyond 64 bits", ":99999999999999999999\r\n"},
    {"neither true nor false", "#x\r\n"},
    {"true and more", "#tt\r\n"},
    {"empty boolean", "#\r\n"},
    {"double of letters", ",abc\r\n"},
    {"empty double", ",\r\n"},
    {"null with a value", "_0\r\n"},
    {"map of -2", "%-2\r\n"},
    {"set of -2", "~-2\r\n"},
    {"push of -2", ">-2\r\n"},
    {"big number of letters", "(12a\r\n"},
    {"malformed inside an array", "*2\r\n:1\r\n?\r\n"},
    {"malformed inside a push", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$x\r\n"},
};

static const named_frame unfinished[] = {
    {"type alone", "$"},
    {"length alone", "$5"},
    {"half a line end", "$5\r"},
    {"bulk without its bytes", "$5\r\n"},
    {"bulk without its line end", "$5\r\nhello"},
    {"bulk with half its line end", "$5\r\nhello\r"},
    {"status without line end", "+OK"},
    {"array without its last element", "*2\r\n:1\r\n"},
    {"push without its keys", ">2\r\n$10\r\ninvalidate\r\n"},
    {"map without its last value", "%1\r\n$1\r\nk\r\n"},
    {"bulk of 512 GB", "$549755813888\r\nabc"},
    {"bulk of 2^63 - 1", "$9223372036854775807\r\nabc"},
    {"array of 2^32 - 1", "*4294967295\r\n:1\r\n"},
    {"map of 2^31", "%2147483648\r\n:1\r\n"},
    {"push of a billion", ">1000000000\r\n$10\r\ninvalidate\r\n"},
    {"arrays of arrays of many", "*1000000000\r\n*1000000000\r\n*1000000000\r\n"},
};

static const char *append_frame(const named_frame *table, size_t count, size_t number, t_resp *r)
{
    if (number >= count) {
        return NULL;
    }
    t_resp_text(r, table[number].bytes);
    return table[number].name;
}

const char *t_resp_malformed(size_t number, t_resp *r)
{
    return append_frame(malformed, sizeof malformed / sizeof malformed[0], number, r);
}

const char *t_resp_unfinished(size_t number, t_resp *r)
{
    return append_frame(unfinished, sizeof unfinished / sizeof unfinished[0], number, r);
}
