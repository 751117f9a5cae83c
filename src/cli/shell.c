/* cli/shell.c - the command `nearkv shell`: options, session, end.
 *
 * Three ways in: a terminal (lines are edited and remembered, the tag is dim), a pipe or a file
 * (lines are read), or one command behind "--".  Every line's output is flushed before the next is
 * read.                                                                                          */
#include "cli/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/embedded.h"
#include "cli/ending.h"
#include "cli/help.h"
#include "cli/input.h"
#include "cli/must.h"
#include "cli/secret.h"

/* Does one line.  Returns whether it may be remembered. */
static bool do_line(nkvi_shell *shell, const char *line, size_t len)
{
    const char *wrong = nkvi_words_split(&shell->words, line, len);

    if (wrong != NULL) {
        shell->failed = true;
        shell->view->error(&shell->out, NULL, wrong);
        return false; /* a password may be in it */
    }
    if (shell->words.n == 0) {
        return false;
    }
    bool secret = nkvi_words_secret(&shell->words);
    nkvi_shell_words(shell);
    return !secret;
}

/* "localhost:6379> ", with "(TX)" between MULTI and EXEC. */
static void make_prompt(const nkvi_shell *shell, nkvi_out *prompt)
{
    nkv_node_health node = {0};
    size_t n = 0;

    prompt->len = 0;
    if (nkv_client_health(shell->client, NULL, &node, 1, &n) < 0 || n == 0) {
        memcpy(node.address, "nearkv", sizeof "nearkv");
    }
    nkvi_out_printf(prompt, "%s%s> ", node.address, shell->in_multi ? "(TX)" : "");
    nkvi_out_add(prompt, "", 1);
}

/* Writes what the shell has to say.  Where nobody listens any more, nobody is told why. */
static bool write_out(nkvi_shell *shell)
{
    bool written = nkvi_out_write(&shell->out, stdout);

    if (!written && errno != EPIPE) {
        fprintf(stderr, "nearkv: standard output: %s\n", strerrordesc_np(errno));
    }
    return written;
}

/* Reads lines until the end.  Returns the exit status. */
static int converse(nkvi_shell *shell, bool edit)
{
    nkvi_input *input = nkvi_input_open(edit);
    nkvi_out prompt = {0};
    int status = NKVI_EXIT_OK;

    while (!shell->done && status == NKVI_EXIT_OK) {
        const char *line = NULL;
        size_t len = 0;

        if (edit) {
            make_prompt(shell, &prompt);
        }
        nkvi_lines_result result = nkvi_input_next(input, prompt.data, &line, &len);
        if (result == NKVI_LINES_END) {
            break;
        }
        if (result == NKVI_LINES_ERROR) {
            fprintf(stderr, "nearkv: standard input: %s\n", strerrordesc_np(errno));
            status = NKVI_EXIT_FAILURE;
        } else if (result == NKVI_LINES_TOO_LONG) {
            shell->view->error(&shell->out, NULL, "the line is longer than 512 MiB");
        } else if (do_line(shell, line, len)) {
            nkvi_input_remember(input);
        }
        if (!write_out(shell)) {
            status = NKVI_EXIT_FAILURE;
        }
    }
    if (edit && !shell->done) {
        putchar('\n'); /* behind the prompt at which the input ended */
    }
    nkvi_out_clear(&prompt);
    nkvi_input_close(input);
    return status;
}

/* Does the one command behind "--".  Returns the exit status. */
static int do_once(nkvi_shell *shell, const nkvi_settings *settings)
{
    nkvi_words_from(&shell->words, settings->rest_n, settings->rest);
    nkvi_shell_words(shell);
    bool written = write_out(shell);
    return written && !shell->failed ? NKVI_EXIT_OK : NKVI_EXIT_FAILURE;
}

static const nkvi_view *choose_view(const nkvi_settings *settings)
{
    const char *no_color = getenv("NO_COLOR");
    bool color = isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == '\0');

    return settings->json ? &nkvi_view_json : color ? &nkvi_view_text_color : &nkvi_view_text;
}

static bool can_edit(const nkvi_settings *settings)
{
    const char *terminal = getenv("TERM");

    return !settings->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

static int run(const nkvi_settings *settings)
{
    static const nkv_level levels[] = {NKV_EVENTUAL, NKV_DRAIN, NKV_BARRIER};
    nkvi_shell shell = {.view = choose_view(settings), .level = levels[settings->level]};
    bool once = settings->rest_n > 0;
    int status = nkvi_connect(settings, false, &shell.client);

    if (status != NKVI_EXIT_OK) {
        return status;
    }
    if (settings->embedded && !once && !settings->json) {
        fprintf(stderr, "nearkv: a private server is at %s; :help lists what is not for it\n",
                settings->url);
    }
    status = once ? do_once(&shell, settings) : converse(&shell, can_edit(settings));
    nkvi_shell_clear(&shell);
    nkv_client_destroy(shell.client);
    return status;
}

int nkvi_shell_main(int argc, char **argv)
{
    nkvi_settings settings;
    nkvi_out error = {0};
    int status = NKVI_EXIT_USAGE;

    if (!nkvi_options_parse(&settings, NKVI_FOR_SHELL, argc, argv, &error)) {
        (void)nkvi_out_write(&error, stderr);
    } else if (settings.help) {
        status = nkvi_help_print("shell");
    } else if (!nkvi_secret_find(&settings, &error) ||
               (settings.embedded && !nkvi_embedded_start(&settings.url, &error))) {
        (void)nkvi_out_write(&error, stderr);
        status = NKVI_EXIT_FAILURE;
    } else {
        status = run(&settings);
        nkvi_embedded_stop();
    }
    nkvi_settings_clear(&settings);
    nkvi_out_clear(&error);
    return status;
}
