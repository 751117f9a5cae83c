/* cli/shell_command.c - the shell's server commands: asked, timed and handed to the view.
 *
 * MGET and EXISTS of several keys go through the library's own calls for many keys, because those
 * tell for every key where its answer came from; the answer is put together as the server would
 * give it. Commands between MULTI and EXEC are kept here and sent as one transaction: the
 * connections are shared, so there is no session on the server that could keep them.             */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/shell.h"
#include "cli/stopwatch.h"

/* A command under way: what the view needs to know, and its upper-case name. */
typedef struct asked {
    nkvi_answer answer;
    nkv_call call;
    int64_t began_ns;
    char name[64];
} asked;

static void begin(nkvi_shell *shell, asked *ask)
{
    nkv_str word = shell->words.word[0];
    size_t len = word.len < sizeof ask->name ? word.len : sizeof ask->name - 1;

    memset(ask, 0, sizeof *ask);
    for (size_t i = 0; i < len; i++) {
        ask->name[i] = (char)toupper((unsigned char)word.data[i]);
    }
    ask->answer.command = ask->name;
    nkv_call_init(&ask->call);
    ask->call.level = shell->level;
    ask->began_ns = nkvi_stopwatch_ns();
}

static void end(asked *ask)
{
    ask->answer.us = (double)(nkvi_stopwatch_ns() - ask->began_ns) / 1e3;
}

static void show(nkvi_shell *shell, const asked *ask)
{
    shell->failed = ask->answer.reply == NULL;
    shell->view->answer(&shell->out, &ask->answer);
}

static void show_reply(nkvi_shell *shell, asked *ask, const nkv_reply *reply)
{
    ask->answer.reply = reply;
    if (!ask->answer.by_key) {
        ask->answer.from = &ask->call.from;
        ask->answer.from_n = 1;
    }
    show(shell, ask);
}

static void show_error(nkvi_shell *shell, asked *ask, const char *text)
{
    ask->answer.reply = NULL;
    ask->answer.error = text;
    show(shell, ask);
}

/* An answer of the shell itself. */
static void show_local(nkvi_shell *shell, asked *ask, const char *status)
{
    nkv_reply reply = {.type = NKV_TYPE_STATUS, .str = status, .len = strlen(status)};

    ask->call.from = NKV_FROM_LOCAL;
    end(ask);
    show_reply(shell, ask, &reply);
}

/* The text of a failure: the server's own words if it answered, else the library's. */
static const char *failure_text(const nkv_call *call, nkv_status status, const nkv_value *value)
{
    if (value != NULL && nkv_value_reply(value).type == NKV_TYPE_ERROR) {
        return nkv_value_str(value).data;
    }
    return call->error.text[0] != '\0' ? call->error.text : nkv_status_text(status);
}

/* Shows what a call came to and gives `value` back. */
static void show_outcome(nkvi_shell *shell, asked *ask, nkv_status status, nkv_value *value)
{
    end(ask);
    if (status < 0) {
        show_error(shell, ask, failure_text(&ask->call, status, value));
    } else if (value != NULL) {
        nkv_reply reply = nkv_value_reply(value);
        show_reply(shell, ask, &reply);
    } else {
        nkv_reply nil = {.type = NKV_TYPE_NIL};
        show_reply(shell, ask, &nil);
    }
    nkv_value_release(value);
}

/* ---- Several keys ---------------------------------------------------------------------------- */

/* A server's MGET takes a key of another type for one that does not exist. */
static bool is_wrong_type(const nkv_result *result)
{
    static const char mark[] = "WRONGTYPE";

    if (result->status != NKV_EREPLY || result->value == NULL) {
        return false;
    }
    nkv_str text = nkv_value_str(result->value);
    return text.len >= sizeof mark - 1 && memcmp(text.data, mark, sizeof mark - 1) == 0;
}

/* Puts the results together as an MGET's array of `n` elements.  Returns the result that failed, or
 * NULL.                                                                                          */
static const nkv_result *gather_mget(const nkv_result *results, size_t n, nkv_reply *elements)
{
    for (size_t i = 0; i < n; i++) {
        if (results[i].status == NKV_OK) {
            elements[i] = nkv_value_reply(results[i].value);
        } else if (results[i].status == NKV_NOT_FOUND || is_wrong_type(&results[i])) {
            elements[i] = (nkv_reply){.type = NKV_TYPE_NIL};
        } else {
            return &results[i];
        }
    }
    return NULL;
}

static const nkv_result *gather_exists(const nkv_result *results, size_t n, int64_t *count)
{
    for (size_t i = 0; i < n; i++) {
        if (results[i].status < 0) {
            return &results[i];
        }
        *count += results[i].status == NKV_OK;
    }
    return NULL;
}

/* MGET or EXISTS of at least two keys. */
static void ask_keys(nkvi_shell *shell, asked *ask, bool mget)
{
    const nkv_str *keys = shell->words.word + 1;
    size_t n = shell->words.n - 1;
    nkv_result *results = nkvi_must_alloc(n, sizeof *results);
    nkv_reply *elements = nkvi_must_alloc(n, sizeof *elements);
    nkv_from *from = nkvi_must_alloc(n, sizeof *from);
    nkv_reply reply = {.type = mget ? NKV_TYPE_ARRAY : NKV_TYPE_INTEGER};

    ask->began_ns = nkvi_stopwatch_ns();
    nkv_status status = mget ? nkv_mget(shell->client, keys, n, &ask->call, results)
                             : nkv_exists(shell->client, keys, n, &ask->call, results);
    end(ask);
    const nkv_result *failed =
        mget ? gather_mget(results, n, elements) : gather_exists(results, n, &reply.integer);
    if (failed != NULL) {
        show_error(shell, ask,
                   failure_text(&ask->call, status < 0 ? status : failed->status, failed->value));
    } else {
        for (size_t i = 0; i < n; i++) {
            from[i] = results[i].from;
        }
        ask->answer.by_key = true;
        ask->answer.from = from;
        ask->answer.from_n = n;
        reply.element = mget ? elements : NULL;
        reply.elements = mget ? n : 0;
        show_reply(shell, ask, &reply);
    }
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(results[i].value);
    }
    free(from);
    free(elements);
    free(results);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static void forget_queue(nkvi_shell *shell)
{
    for (size_t i = 0; i < shell->queued; i++) {
        nkvi_words_clear(&shell->queue[i]);
    }
    free(shell->queue);
    shell->queue = NULL;
    shell->queued = 0;
    shell->in_multi = false;
}

static void enqueue(nkvi_shell *shell, asked *ask)
{
    if (shell->queued == NKVI_QUEUE_MAX) {
        show_error(shell, ask, "the transaction has 65536 commands; more are not taken");
        return;
    }
    shell->queue = nkvi_must_grow(shell->queue, shell->queued + 1, sizeof *shell->queue);
    shell->queue[shell->queued++] = shell->words; /* the queue owns it now */
    shell->words = (nkvi_words){0};
    show_local(shell, ask, "QUEUED");
}

static void execute(nkvi_shell *shell, asked *ask)
{
    nkv_argv *commands = nkvi_must_alloc(shell->queued, sizeof *commands);
    nkv_value *value = NULL;

    if (shell->queued == 0) {
        nkv_reply nothing = {.type = NKV_TYPE_ARRAY};
        ask->call.from = NKV_FROM_LOCAL;
        end(ask);
        show_reply(shell, ask, &nothing);
    } else {
        for (size_t i = 0; i < shell->queued; i++) {
            commands[i] = (nkv_argv){(int)shell->queue[i].n, shell->queue[i].word};
        }
        nkv_status status =
            nkv_transaction(shell->client, commands, shell->queued, &ask->call, &value);
        show_outcome(shell, ask, status, value);
    }
    free(commands);
    forget_queue(shell);
}

/* MULTI, EXEC and DISCARD, and what stands between them.  Returns false if it is none of these. */
static bool in_transaction(nkvi_shell *shell, asked *ask)
{
    bool alone = shell->words.n == 1;

    if (alone && strcmp(ask->name, "MULTI") == 0) {
        if (shell->in_multi) {
            show_error(shell, ask, "ERR MULTI calls can not be nested");
        } else {
            shell->in_multi = true;
            show_local(shell, ask, "OK");
        }
    } else if (alone && strcmp(ask->name, "EXEC") == 0) {
        if (shell->in_multi) {
            execute(shell, ask);
        } else {
            show_error(shell, ask, "ERR EXEC without MULTI");
        }
    } else if (alone && strcmp(ask->name, "DISCARD") == 0) {
        if (shell->in_multi) {
            forget_queue(shell);
            show_local(shell, ask, "OK");
        } else {
            show_error(shell, ask, "ERR DISCARD without MULTI");
        }
    } else if (shell->in_multi) {
        enqueue(shell, ask);
    } else {
        return false;
    }
    return true;
}

/* ---- All ------------------------------------------------------------------------------------- */

void nkvi_shell_words(nkvi_shell *shell)
{
    asked ask;

    if (shell->words.word[0].len > 0 && shell->words.word[0].data[0] == ':') {
        nkvi_shell_local(shell);
        return;
    }
    begin(shell, &ask);
    bool alone = shell->words.n == 1;
    if (alone && (strcmp(ask.name, "QUIT") == 0 || strcmp(ask.name, "EXIT") == 0)) {
        shell->done = true;
        show_local(shell, &ask, "OK");
        return;
    }
    if (in_transaction(shell, &ask)) {
        return;
    }
    bool mget = strcmp(ask.name, "MGET") == 0;
    if ((mget || strcmp(ask.name, "EXISTS") == 0) && shell->words.n > 2) {
        ask_keys(shell, &ask, mget);
        return;
    }
    nkv_value *value = NULL;
    ask.began_ns = nkvi_stopwatch_ns();
    nkv_status status =
        nkv_command(shell->client, (int)shell->words.n, shell->words.word, &ask.call, &value);
    show_outcome(shell, &ask, status, value);
}

void nkvi_shell_clear(nkvi_shell *shell)
{
    forget_queue(shell);
    nkvi_words_clear(&shell->words);
    nkvi_out_clear(&shell->out);
}
