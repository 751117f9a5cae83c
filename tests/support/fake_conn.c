/* support/fake_conn.c - one connection of the played server: commands in, bytes out.
 *
 *      bytes --> in: whole commands? --> record, queue --> play --> out
 *                                                           |
 *              step EXPECT fits? script : rule? answer : built-in? answer : error or silence
 *
 * There is no I/O here: the thread (fake.c) reads into `in` and sends what lies in `out`.
 *
 * Invariants   every whole command is in the fake's records exactly once, in the order of arrival
 *              a command is treated once; none is treated while the script stands at a T_SYNC
 * Callers      fake.c, fake_api.c                                                                */

#include "support/fake_impl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Words ----------------------------------------------------------------------------------- */

static bool word_fits(const char *pattern, const char *word, size_t len, bool any_case)
{
    if (strcmp(pattern, "*") == 0) {
        return true;
    }
    if (strlen(pattern) != len) {
        return false;
    }
    return any_case ? strncasecmp(pattern, word, len) == 0 : memcmp(pattern, word, len) == 0;
}

bool t_fake_fits(const t_fake_command *command, const char *const *words)
{
    size_t i = 0;
    for (; words[i] != NULL; i++) {
        if (strcmp(words[i], "...") == 0 && words[i + 1] == NULL) {
            return true;
        }
        if (i >= command->argc ||
            !word_fits(words[i], command->argv[i], command->lens[i], i == 0)) {
            return false;
        }
    }
    return i == command->argc;
}

static bool fits(const t_fake_record *record, const char *first, const char *second)
{
    const char *const words[] = {first, second, second == NULL ? NULL : "...", NULL};
    return t_fake_fits(&record->command, words);
}

/* ---- Bytes to commands ----------------------------------------------------------------------- */

enum { WORDS_MAX = 65536 };

/* The places of the words of one command in a buffer. */
typedef struct words {
    size_t count;
    size_t room;
    struct {
        size_t at;
        size_t len;
    } * list;
} words;

static void add_word(words *w, size_t at, size_t len)
{
    if (w->count == w->room) {
        w->room = w->room == 0 ? 16 : 2 * w->room;
        w->list = realloc(w->list, w->room * sizeof *w->list);
        T_REQUIRE(w->list != NULL);
    }
    w->list[w->count].at = at;
    w->list[w->count++].len = len;
}

/* Reads "<type><number>\r\n" at `*at` and moves on. 1: done, 0: not whole yet, -1: not so. */
static int read_head(const t_resp *in, size_t *at, char type, long long max, long long *number)
{
    const size_t left = in->len - *at;
    const size_t line = t_find_bytes(in->bytes + *at, left, "\r\n", 2);
    if (left > 0 && in->bytes[*at] != type) {
        return -1;
    }
    if (line == left) {
        return left > 32 ? -1 : 0;
    }
    char text[32];
    if (line < 2 || line >= sizeof text) {
        return -1;
    }
    memcpy(text, in->bytes + *at + 1, line - 1);
    text[line - 1] = '\0';
    char *end = NULL;
    *number = strtoll(text, &end, 10);
    *at += line + 2;
    return *end == '\0' && *number >= 0 && *number <= max ? 1 : -1;
}

/* An array of bulks. Returns as read_head(); `*at` is then behind the command. */
static int read_array(const t_resp *in, size_t *at, words *w)
{
    long long count = 0;
    int rc = read_head(in, at, '*', WORDS_MAX, &count);
    for (long long i = 0; rc == 1 && i < count; i++) {
        long long len = 0;
        rc = read_head(in, at, '$', T_FAKE_COMMAND_BYTES, &len);
        if (rc != 1) {
            return rc;
        }
        if (in->len - *at < (size_t)len + 2) {
            return 0;
        }
        if (memcmp(in->bytes + *at + len, "\r\n", 2) != 0) {
            return -1;
        }
        add_word(w, *at, (size_t)len);
        *at += (size_t)len + 2;
    }
    return rc;
}

/* A line of words with blanks between them. */
static int read_inline(const t_resp *in, size_t *at, words *w)
{
    const size_t line = t_find_bytes(in->bytes, in->len, "\n", 1);
    if (line == in->len) {
        return in->len > T_FAKE_COMMAND_BYTES ? -1 : 0;
    }
    for (size_t i = 0; i < line;) {
        size_t len = 0;
        while (i + len < line && !isspace((unsigned char)in->bytes[i + len])) {
            len++;
        }
        if (len > 0) {
            add_word(w, i, len);
        }
        i += len + 1;
    }
    *at = line + 1;
    return 1;
}

/* ---- Records --------------------------------------------------------------------------------- */

static t_fake_record *make_record(const t_fake_conn *conn, const words *w, size_t *bytes)
{
    *bytes = sizeof(t_fake_record) + w->count * (sizeof(char *) + sizeof(size_t));
    size_t text_at = *bytes;
    for (size_t i = 0; i < w->count; i++) {
        *bytes += w->list[i].len + 1;
    }
    t_fake_record *record = calloc(1, *bytes);
    T_REQUIRE(record != NULL);
    const char **argv = (const char **)(void *)(record + 1);
    size_t *lens = (size_t *)(void *)(argv + w->count);
    for (size_t i = 0; i < w->count; i++) {
        char *text = (char *)record + text_at;
        memcpy(text, conn->in.bytes + w->list[i].at, w->list[i].len);
        argv[i] = text;
        lens[i] = w->list[i].len;
        text_at += w->list[i].len + 1;
    }
    record->command = (t_fake_command){conn->number, w->count, argv, lens};
    return record;
}

static void write_down(t_fake *fake, t_fake_conn *conn, const words *w)
{
    size_t bytes = 0;
    t_fake_record *record = make_record(conn, w, &bytes);
    fake->record_bytes += bytes;
    T_REQUIRE(fake->record_bytes <= T_FAKE_ALL_BYTES);
    if (fake->record_count == fake->record_room) {
        fake->record_room = fake->record_room == 0 ? 64 : 2 * fake->record_room;
        fake->records = realloc(fake->records, fake->record_room * sizeof *fake->records);
        T_REQUIRE(fake->records != NULL);
    }
    fake->records[fake->record_count++] = record;
    if (conn->first == NULL) {
        conn->last = &conn->first;
    }
    *conn->last = record;
    conn->last = &record->next_of_conn;
}

void t_fake_conn_input(t_fake *fake, t_fake_conn *conn, const char *bytes, size_t len)
{
    t_resp_raw(&conn->in, bytes, len);
    words w = {0};
    int rc = 1;
    while (rc == 1 && conn->in.len > 0) {
        size_t at = 0;
        w.count = 0;
        rc = conn->in.bytes[0] == '*' ? read_array(&conn->in, &at, &w)
                                      : read_inline(&conn->in, &at, &w);
        if (rc == 1) {
            if (w.count > 0) {
                write_down(fake, conn, &w);
            }
            conn->in.len -= at;
            memmove(conn->in.bytes, conn->in.bytes + at, conn->in.len);
        }
    }
    free(w.list);
    if (rc < 0 || conn->in.len > 2 * (size_t)T_FAKE_COMMAND_BYTES) {
        t_fake_conn_fail(fake, conn, "what came is no command", NULL);
    }
}

/* ---- Built-in rules -------------------------------------------------------------------------- */

/* A map's header, or that of the array which RESP2 has in its place. */
static void map_head(t_resp *out, bool resp3, long long pairs)
{
    t_resp_head(out, resp3 ? '%' : '*', resp3 ? pairs : 2 * pairs);
}

static void greet(const t_fake *fake, t_fake_conn *conn, const t_fake_record *hello)
{
    const char *version = hello->command.argc > 1 ? hello->command.argv[1] : "";
    const bool resp3 = strcmp(version, "3") == 0;
    t_resp *out = &conn->out;
    if ((resp3 && fake->options.resp2) || (!resp3 && version[0] != '\0' && version[0] != '2')) {
        t_resp_text(out, "-NOPROTO unsupported protocol version\r\n");
        return;
    }
    conn->resp3 = version[0] == '\0' ? conn->resp3 : resp3;
    map_head(out, conn->resp3, 7);
    t_resp_text(out, "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n");
    t_resp_text(out, "$5\r\nproto\r\n");
    t_resp_head(out, ':', conn->resp3 ? 3 : 2);
    t_resp_text(out, "$2\r\nid\r\n");
    t_resp_head(out, ':', 1000 + conn->number);
    t_resp_text(out, "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
    t_resp_text(out, "$7\r\nmodules\r\n*0\r\n");
}

/* Each channel is confirmed by itself. */
static void subscribe(t_fake_conn *conn, const t_fake_record *record)
{
    const char *word =
        toupper((unsigned char)record->command.argv[0][0]) == 'S' ? "subscribe" : "unsubscribe";
    for (size_t i = 1; i < record->command.argc; i++) {
        t_resp_head(&conn->out, conn->resp3 ? '>' : '*', 3);
        t_resp_bulk(&conn->out, word);
        t_resp_bulk_bytes(&conn->out, record->command.argv[i], record->command.lens[i]);
        t_resp_head(&conn->out, ':', word[0] == 's' ? (long long)i : 0);
    }
}

static void tell_tracking(t_fake_conn *conn)
{
    map_head(&conn->out, conn->resp3, 3);
    t_resp_text(&conn->out, "$5\r\nflags\r\n");
    t_resp_head(&conn->out, conn->resp3 ? '~' : '*', 1);
    t_resp_text(&conn->out, "$2\r\non\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n");
}

/* False if there is no built-in rule for the command. */
static bool answer_built_in(const t_fake *fake, t_fake_conn *conn, const t_fake_record *record)
{
    if (fits(record, "HELLO", "*") || fits(record, "HELLO", NULL)) {
        greet(fake, conn, record);
    } else if (fits(record, "PING", NULL)) {
        t_resp_text(&conn->out, "+PONG\r\n");
    } else if (fits(record, "PING", "*")) {
        t_resp_bulk_bytes(&conn->out, record->command.argv[1], record->command.lens[1]);
    } else if (fits(record, "CLIENT", "ID") || fits(record, "CLIENT", "id")) {
        t_resp_head(&conn->out, ':', 1000 + conn->number);
    } else if (fits(record, "CLIENT", "TRACKINGINFO")) {
        tell_tracking(conn);
    } else if (fits(record, "SUBSCRIBE", "*") || fits(record, "UNSUBSCRIBE", "*")) {
        subscribe(conn, record);
    } else if (fits(record, "CLIENT", "*") || fits(record, "AUTH", "*") ||
               fits(record, "SELECT", "*")) {
        t_resp_text(&conn->out, "+OK\r\n");
    } else if (fits(record, "QUIT", NULL)) {
        t_resp_text(&conn->out, "+OK\r\n");
        conn->close_when_sent = true;
    } else {
        return false;
    }
    return true;
}

/* ---- Play ------------------------------------------------------------------------------------ */

/* False if no rule knows the command. */
static bool answer(const t_fake *fake, t_fake_conn *conn, const t_fake_record *record)
{
    for (size_t i = fake->rule_count; i > 0; i--) {
        const t_fake_rule *rule = &fake->rules[i - 1];
        if (t_fake_fits(&record->command, (const char *const *)rule->words)) {
            t_resp_raw(&conn->out, rule->reply, rule->len);
            return true;
        }
    }
    if (fake->answer_by != NULL &&
        fake->answer_by(fake->answer_by_ud, &record->command, &conn->out)) {
        return true;
    }
    return !fake->options.no_rules && answer_built_in(fake, conn, record);
}

static const t_step *step_of(const t_fake_conn *conn)
{
    return conn->step < conn->step_count && !conn->failed ? &conn->steps[conn->step] : NULL;
}

/* Does a step that waits for no command. False if there is none to be done now. */
static bool play_step(t_fake_conn *conn)
{
    const t_step *step = step_of(conn);
    if (step == NULL || step->kind == T_STEP_EXPECT ||
        (step->kind == T_STEP_SYNC && !conn->released[conn->step])) {
        return false;
    }
    if (step->kind == T_STEP_SEND) {
        t_resp_raw(&conn->out, step->bytes, step->len);
    }
    conn->close_when_sent = conn->close_when_sent || step->kind == T_STEP_CLOSE;
    conn->step++;
    return true;
}

/* Treats the next command. False if there is none, or it must wait. */
static bool play_command(t_fake *fake, t_fake_conn *conn)
{
    const t_step *step = step_of(conn);
    t_fake_record *record = conn->first;
    if (record == NULL || (step != NULL && step->kind == T_STEP_SYNC)) {
        return false;
    }
    conn->first = record->next_of_conn;
    if (step != NULL && t_fake_fits(&record->command, step->words)) {
        conn->step++;
    } else if (!answer(fake, conn, record) && step != NULL && !fake->options.no_script_error) {
        t_fake_conn_fail(fake, conn, "the script does not expect", &record->command);
    }
    return true;
}

bool t_fake_conn_play(t_fake *fake, t_fake_conn *conn)
{
    bool changed = false;
    while (conn->fd >= 0 && !conn->close_when_sent && !conn->close_now &&
           (play_step(conn) || play_command(fake, conn))) {
        changed = true;
    }
    return changed;
}

void t_fake_conn_script(t_fake_conn *conn, const t_step *steps, size_t count)
{
    free(conn->released);
    conn->released = calloc(count + 1, sizeof *conn->released);
    T_REQUIRE(conn->released != NULL);
    conn->steps = steps;
    conn->step_count = count;
    conn->step = 0;
}

/* The words of a command or a step, for reading. The caller frees. */
static char *print_words(const char *const *argv, size_t argc)
{
    char *text = t_format("%s", "");
    for (size_t i = 0; i < argc && argv[i] != NULL; i++) {
        char *longer = t_format("%s%s%.40s", text, i == 0 ? "" : " ", argv[i]);
        free(text);
        text = longer;
    }
    return text;
}

void t_fake_conn_fail(t_fake *fake, t_fake_conn *conn, const char *what,
                      const t_fake_command *command)
{
    const t_step *step = step_of(conn);
    if (fake->error == NULL) {
        char *got =
            command == NULL ? t_format("%s", "") : print_words(command->argv, command->argc);
        char *want =
            step == NULL ? t_format("%s", "nothing") : print_words(step->words, T_FAKE_WORDS);
        fake->error = t_format("connection %d, step %zu: %s «%s»; it waits for «%s»", conn->number,
                               conn->step, what, got, want);
        free(got);
        free(want);
    }
    conn->failed = true;
    conn->close_when_sent = true;
}
