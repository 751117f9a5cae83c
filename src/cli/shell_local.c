/* cli/shell_local.c - the shell's own commands: what begins with ":".
 *
 * A table of names, what they take, and functions.                                               */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/must.h"
#include "cli/shell.h"
#include "cli/stopwatch.h"
#include "cli/values.h"

#define SLEEP_MS_MAX 86400000.0

static const char *const level_names[] = {"eventual", "drain", "barrier"};
static const nkv_level levels[] = {NKV_EVENTUAL, NKV_DRAIN, NKV_BARRIER};

/* Each returns NULL, or what is wrong. */
typedef const char *local_fn(nkvi_shell *shell, const nkv_str *arguments, size_t n);

static const char *do_stats(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    nkv_stats stats = {.struct_size = sizeof stats};

    (void)arguments;
    (void)n;
    nkv_status status = nkv_client_stats(shell->client, &stats);
    if (status < 0) {
        return nkv_status_text(status);
    }
    shell->view->stats(&shell->out, &stats);
    return NULL;
}

static const char *do_health(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    nkv_stats stats = {.struct_size = sizeof stats};
    nkvi_health health = {0};
    nkv_node_health *nodes = NULL;
    size_t cap = 4, there = 0;
    nkv_status status = nkv_client_stats(shell->client, &stats);

    (void)arguments;
    (void)n;
    for (bool again = true; status >= 0 && again; cap = there) {
        nodes = nkvi_must_grow(nodes, cap, sizeof *nodes);
        status = nkv_client_health(shell->client, &health.healthy, nodes, cap, &there);
        again = there > cap;
    }
    if (status >= 0) {
        health.confidence = stats.confidence;
        health.nodes = nodes;
        health.n = there;
        shell->view->health(&shell->out, &health);
    }
    free(nodes);
    return status < 0 ? nkv_status_text(status) : NULL;
}

static const char *do_prefix(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    static char text[sizeof((nkv_error *)0)->text];
    size_t prefix = 0, from_cache = 0;
    nkv_call call;

    nkv_call_init(&call);
    call.level = shell->level;
    int64_t began_ns = nkvi_stopwatch_ns();
    nkv_status status = nkv_prefix(shell->client, arguments, n, &call, &prefix, &from_cache);
    double us = (double)(nkvi_stopwatch_ns() - began_ns) / 1e3;
    if (status < 0) {
        snprintf(text, sizeof text, "%s",
                 call.error.text[0] != '\0' ? call.error.text : nkv_status_text(status));
        return text;
    }
    shell->view->prefix(&shell->out, prefix, from_cache, us);
    return NULL;
}

static const char *do_level(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    nkvi_note note = {.kind = NKVI_NOTE_LEVEL};
    int64_t place;

    if (n == 1) {
        if (strlen(arguments[0].data) != arguments[0].len ||
            !nkvi_value_choice(arguments[0].data, "eventual|drain|barrier", &place)) {
            return "the level is one of eventual, drain, barrier";
        }
        shell->level = levels[place];
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (levels[i] == shell->level) {
            note.text = level_names[i];
        }
    }
    shell->view->note(&shell->out, &note);
    return NULL;
}

static const char *do_invalidate(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        nkv_client_invalidate(shell->client, arguments[i]);
    }
    shell->view->note(&shell->out, &(nkvi_note){NKVI_NOTE_INVALIDATED, NULL, (double)n});
    return NULL;
}

static const char *do_reset(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    (void)arguments;
    (void)n;
    nkv_client_reset(shell->client);
    shell->view->note(&shell->out, &(nkvi_note){.kind = NKVI_NOTE_RESET});
    return NULL;
}

static const char *do_sleep(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    double ms;

    (void)n;
    if (strlen(arguments[0].data) != arguments[0].len ||
        !nkvi_value_double(arguments[0].data, &ms) || ms < 0 || ms > SLEEP_MS_MAX) {
        return "takes a number of milliseconds, 0 to 86400000";
    }
    double seconds = floor(ms / 1e3);
    struct timespec left = {(time_t)seconds, (long)((ms - seconds * 1e3) * 1e6)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        /* `left` is what is left */
    }
    shell->view->note(&shell->out, &(nkvi_note){NKVI_NOTE_SLEPT, NULL, ms});
    return NULL;
}

static const char *do_quit(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    (void)arguments;
    (void)n;
    shell->done = true;
    return NULL;
}

static local_fn do_help;

static const struct {
    const char *name;
    size_t min, max; /* arguments */
    local_fn *run;
    nkvi_local_help help;
} commands[] = {
    {":stats", 0, 0, do_stats, {":stats", "hits, misses, invalidations and other numbers"}},
    {":health", 0, 0, do_health, {":health", "is the server heard, and does it track?"}},
    {":prefix", 1, SIZE_MAX, do_prefix, {":prefix KEY [KEY ...]", "how many leading keys exist"}},
    {":level",
     0,
     1,
     do_level,
     {":level [eventual|drain|barrier]", "how fresh reads are from now on"}},
    {":invalidate",
     1,
     SIZE_MAX,
     do_invalidate,
     {":invalidate KEY [KEY ...]", "forget keys locally"}},
    {":reset", 0, 0, do_reset, {":reset", "forget everything locally"}},
    {":sleep", 1, 1, do_sleep, {":sleep MS", "wait"}},
    {":help", 0, 0, do_help, {":help", "this list; everything else goes to the server"}},
    {":quit", 0, 0, do_quit, {":quit", "leave, as the end of input does"}},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static const char *do_help(nkvi_shell *shell, const nkv_str *arguments, size_t n)
{
    nkvi_local_help rows[COMMANDS];

    (void)arguments;
    (void)n;
    for (size_t i = 0; i < COMMANDS; i++) {
        rows[i] = commands[i].help;
    }
    shell->view->help(&shell->out, rows, COMMANDS);
    return NULL;
}

void nkvi_shell_local(nkvi_shell *shell)
{
    const nkvi_words *words = &shell->words;
    const char *wrong = "no such command; :help lists them";
    size_t n = words->n - 1;

    for (size_t i = 0; i < COMMANDS; i++) {
        if (nkvi_words_is(words, 0, commands[i].name)) {
            nkvi_out usage = {0};
            if (n < commands[i].min || n > commands[i].max) {
                nkvi_out_printf(&usage, "usage: %s", commands[i].help.usage);
                nkvi_out_add(&usage, "", 1);
                wrong = usage.data;
            } else {
                wrong = commands[i].run(shell, words->word + 1, n);
            }
            shell->failed = wrong != NULL;
            if (wrong != NULL) {
                shell->view->error(&shell->out, commands[i].name, wrong);
            }
            nkvi_out_clear(&usage);
            return;
        }
    }
    shell->failed = true;
    shell->view->error(&shell->out, words->word[0].data, wrong);
}
