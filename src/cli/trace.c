/* cli/trace.c - requests from a file: a JSON object a line, with the numbers of the blocks.
 *
 *      {"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2, 3]}
 *
 * Only hash_ids is needed; the other members are not looked at.  The file is read line by line, so
 * its length does not matter.  An empty line is passed over; anything else that is no such object
 * is an error that names the line.                                                               */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "cli/lines.h"
#include "cli/must.h"
#include "cli/source.h"

#define LINE_BYTES_MAX ((size_t)4 << 20)

typedef struct trace {
    nkvi_source source; /* first: the rest sees only this */
    nkvi_lines lines;
    FILE *file;
    char *path;
    off_t size; /* 0: not known */
    bool any;   /* has given a request */
} trace;

/* ---- One line -------------------------------------------------------------------------------- */

static bool take_ids(const json_t *ids, nkvi_request *request, nkvi_out *error)
{
    size_t n = json_array_size(ids);

    if (n > NKVI_REQUEST_BLOCKS_MAX) {
        nkvi_out_printf(error, "hash_ids has %zu elements, %zu at most", n,
                        NKVI_REQUEST_BLOCKS_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            nkvi_out_printf(error, "element %zu of hash_ids is no whole number from 0", i + 1);
            return false;
        }
        nkvi_request_add(request, (uint64_t)json_integer_value(id));
    }
    return true;
}

/* The text of an error quotes the line, whose control characters are not for a terminal. */
static void blank_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 127) {
            *text = '?';
        }
    }
}

bool nkvi_trace_parse(const char *line, size_t len, nkvi_request *request, nkvi_out *error)
{
    json_error_t wrong;
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &wrong);
    bool taken = false;

    request->n = 0;
    if (object == NULL && json_error_code(&wrong) == json_error_numeric_overflow) {
        nkvi_out_printf(error, "a number is too big: %" PRId64 " at most", INT64_MAX);
        return false;
    }
    if (object == NULL) {
        blank_controls(wrong.text);
        nkvi_out_printf(error, "no JSON: %s, at column %d", wrong.text, wrong.column);
        return false;
    }
    const json_t *ids = json_object_get(object, "hash_ids");
    if (!json_is_object(object)) {
        nkvi_out_text(error, "no JSON object");
    } else if (ids == NULL) {
        nkvi_out_text(error, "there is no hash_ids");
    } else if (!json_is_array(ids)) {
        nkvi_out_text(error, "hash_ids is no array");
    } else {
        taken = take_ids(ids, request, error);
    }
    json_decref(object);
    return taken;
}

/* ---- The file -------------------------------------------------------------------------------- */

static bool is_empty(const nkvi_lines *lines)
{
    return strspn(lines->line, " \t\r") == lines->len;
}

static nkvi_source_result trace_next(nkvi_source *source, nkvi_request *request, nkvi_out *error)
{
    trace *self = (trace *)source;
    nkvi_lines_result result;

    do {
        result = nkvi_lines_next(&self->lines);
    } while (result == NKVI_LINES_LINE && is_empty(&self->lines));

    if (result == NKVI_LINES_LINE) {
        size_t start = error->len;
        nkvi_out_printf(error, "nearkv: %s:%zu: ", self->path, self->lines.number);
        if (nkvi_trace_parse(self->lines.line, self->lines.len, request, error)) {
            error->len = start;
            self->any = true;
            return NKVI_SOURCE_REQUEST;
        }
        nkvi_out_char(error, '\n');
    } else if (result == NKVI_LINES_TOO_LONG) {
        nkvi_out_printf(error, "nearkv: %s:%zu: longer than %zu bytes\n", self->path,
                        self->lines.number, LINE_BYTES_MAX);
    } else if (result == NKVI_LINES_ERROR) {
        nkvi_out_printf(error, "nearkv: %s: cannot be read: %s\n", self->path,
                        strerrordesc_np(errno));
    } else if (!self->any) {
        nkvi_out_printf(error, "nearkv: %s: there is no request in it\n", self->path);
    } else {
        return NKVI_SOURCE_END;
    }
    return NKVI_SOURCE_ERROR;
}

static double trace_done(const nkvi_source *source)
{
    const trace *self = (const trace *)source;
    off_t at = self->size > 0 ? ftello(self->file) : -1;

    return at >= 0 ? (double)at / (double)self->size : -1;
}

static void trace_close(nkvi_source *source)
{
    trace *self = (trace *)source;

    nkvi_lines_clear(&self->lines);
    if (self->file != stdin) {
        fclose(self->file);
    }
    free(self->path);
    free(self);
}

nkvi_source *nkvi_trace_open(const char *path, nkvi_out *error)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    struct stat info;

    if (file == NULL) {
        nkvi_out_printf(error, "nearkv: --trace %s: cannot be opened: %s\n", path,
                        strerrordesc_np(errno));
        return NULL;
    }
    trace *self = nkvi_must_alloc(1, sizeof *self);
    self->source = (nkvi_source){trace_next, trace_done, trace_close};
    self->file = file;
    self->path = nkvi_must_copy_text(standard ? "standard input" : path);
    if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode)) {
        self->size = info.st_size;
    }
    nkvi_lines_init(&self->lines, file, LINE_BYTES_MAX);
    return &self->source;
}
