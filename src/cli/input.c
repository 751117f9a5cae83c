/* cli/input.c - the lines a user types, or a program sends. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <histedit.h>

#include "cli/must.h"
#include "cli/out.h"

#define LINE_BYTES_MAX ((size_t)512 << 20) /* what a server takes as one argument */
#define HISTORY_LINES  1000

struct nkvi_input {
    nkvi_lines lines; /* without an editor */
    EditLine *editor; /* NULL: none        */
    History *history;
    char *history_file; /* NULL: none */
    const char *prompt;
    char *line; /* the line read last, without its newline */
};

/* ---- With an editor -------------------------------------------------------------------------- */

static char *prompt_of(EditLine *editor)
{
    nkvi_input *input = NULL;

    (void)el_get(editor, EL_CLIENTDATA, &input);
    /* libedit does not write to it, it only lacks the const. */
    return (char *)(uintptr_t)input->prompt;
}

/* The caller frees; NULL: no history. */
static char *find_history_file(void)
{
    const char *given = getenv("NEARKV_HISTORY");
    const char *home = getenv("HOME");

    if (given != NULL) {
        return *given != '\0' ? nkvi_must_copy_text(given) : NULL;
    }
    if (home == NULL || *home == '\0') {
        return NULL;
    }
    nkvi_out path = {0};
    nkvi_out_printf(&path, "%s/.nearkv_history", home);
    char *copy = nkvi_must_copy(path.data, path.len);
    nkvi_out_clear(&path);
    return copy;
}

static void open_editor(nkvi_input *input)
{
    HistEvent event;

    input->editor = el_init("nearkv", stdin, stdout, stderr);
    input->history = history_init();
    if (input->editor == NULL || input->history == NULL) {
        nkvi_must_fail();
    }
    (void)el_set(input->editor, EL_CLIENTDATA, input);
    (void)el_set(input->editor, EL_PROMPT, prompt_of);
    (void)el_set(input->editor, EL_EDITOR, "emacs");
    (void)el_set(input->editor, EL_HIST, history, input->history);
    (void)el_set(input->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(input->editor, NULL); /* ~/.editrc */
    (void)history(input->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(input->history, &event, H_SETUNIQUE, 1);
    input->history_file = find_history_file();
    if (input->history_file != NULL) {
        (void)history(input->history, &event, H_LOAD, input->history_file);
    }
}

static nkvi_lines_result edit_line(nkvi_input *input, const char **line, size_t *len)
{
    int count = 0;

    el_resize(input->editor);
    const char *typed = el_gets(input->editor, &count);
    if (typed == NULL || count <= 0) {
        return count < 0 ? NKVI_LINES_ERROR : NKVI_LINES_END;
    }
    *len = strlen(typed);
    if (*len > 0 && typed[*len - 1] == '\n') {
        *len -= 1;
    }
    free(input->line);
    input->line = nkvi_must_copy(typed, *len);
    *line = input->line;
    return NKVI_LINES_LINE;
}

/* Writes the history; nobody else may read it. */
static void save_history(const nkvi_input *input)
{
    HistEvent event;
    int fd = open(input->history_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return;
    }
    /* A file that was there before may have another mode. */
    bool private = fchmod(fd, 0600) == 0;
    close(fd);
    if (private) {
        (void)history(input->history, &event, H_SAVE, input->history_file);
    }
}

/* ---- Both ------------------------------------------------------------------------------------ */

nkvi_input *nkvi_input_open(bool edit)
{
    nkvi_input *input = nkvi_must_alloc(1, sizeof *input);

    nkvi_lines_init(&input->lines, stdin, LINE_BYTES_MAX);
    if (edit) {
        open_editor(input);
    }
    return input;
}

nkvi_lines_result nkvi_input_next(nkvi_input *input, const char *prompt, const char **line,
                                  size_t *len)
{
    if (input->editor != NULL) {
        input->prompt = prompt;
        return edit_line(input, line, len);
    }
    nkvi_lines_result result = nkvi_lines_next(&input->lines);
    *line = input->lines.line;
    *len = input->lines.len;
    return result;
}

void nkvi_input_remember(nkvi_input *input)
{
    HistEvent event;

    if (input->editor != NULL && input->line != NULL) {
        (void)history(input->history, &event, H_ENTER, input->line);
        if (input->history_file != NULL) {
            save_history(input);
        }
    }
}

void nkvi_input_close(nkvi_input *input)
{
    if (input->editor != NULL) {
        history_end(input->history);
        el_end(input->editor);
    }
    nkvi_lines_clear(&input->lines);
    free(input->history_file);
    free(input->line);
    free(input);
}
