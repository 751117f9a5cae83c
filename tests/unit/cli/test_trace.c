/* tests/unit/cli/test_trace.c - a trace is read line by line, and what is wrong is named. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/source.h"
#include "unit/cli/out_text.h"

static char path[] = "/tmp/nearkv-trace-XXXXXX";

static nkvi_source *trace_of(const char *text)
{
    nkvi_out error = {0};
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    nkvi_source *source = nkvi_trace_open(path, &error);
    cr_assert_not_null(source, "%.*s", (int)error.len, error.data);
    unlink(path);
    return source;
}

static void is_request(nkvi_source *source, size_t n, uint64_t first)
{
    nkvi_request request = {0};
    nkvi_out error = {0};

    cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_REQUEST, "%.*s",
                 (int)error.len, error.data);
    cr_assert_eq(error.len, 0);
    cr_assert_eq(request.n, n);
    cr_assert(n == 0 || request.ids[0] == first);
    nkvi_request_clear(&request);
    nkvi_out_clear(&error);
}

static void is_end(nkvi_source *source)
{
    nkvi_request request = {0};
    nkvi_out error = {0};

    cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_END);
    source->close(source);
    nkvi_request_clear(&request);
}

Test(cli_trace, lines_become_requests)
{
    nkvi_source *source =
        trace_of("{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, "
                 "\"hash_ids\": [0, 1, 2]}\n"
                 "\n  \r\n"
                 "{\"hash_ids\":[9223372036854775807]}\n"
                 "{\"hash_ids\":[]}\r\n"
                 "{\"hash_ids\":[7,7],\"more\":{\"x\":[null]}}");

    is_request(source, 3, 0);
    cr_assert(source->done(source) > 0 && source->done(source) <= 1);
    is_request(source, 1, INT64_MAX);
    is_request(source, 0, 0);
    is_request(source, 2, 7);
    is_end(source);
}

Test(cli_trace, a_bad_line_is_named_with_what_is_wrong)
{
    nkvi_source *source = trace_of("{\"hash_ids\":[1]}\n\n{\"hash_ids\":[1,-2]}\n");
    nkvi_request request = {0};
    nkvi_out error = {0};

    is_request(source, 1, 1);
    cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_ERROR);
    OUT_HAS(&error, ":3: element 2 of hash_ids is no whole number from 0\n");
    nkvi_out_clear(&error);
    nkvi_request_clear(&request);
    source->close(source);
}

static void wrong(const char *line, const char *why)
{
    nkvi_request request = {0};
    nkvi_out error = {0};

    cr_assert_not(nkvi_trace_parse(line, strlen(line), &request, &error), "%s is taken", line);
    OUT_HAS(&error, why);
    nkvi_out_clear(&error);
    nkvi_request_clear(&request);
}

Test(cli_trace, every_kind_of_bad_line)
{
    wrong("{\"hash_ids\":[1]", "no JSON: ");
    wrong("hello", "no JSON: ");
    wrong("{\"hash_ids\":[1]} x", "no JSON: ");
    wrong("[1,2]", "no JSON object");
    wrong("{}", "there is no hash_ids");
    wrong("{\"hash_ids\":\"1\"}", "hash_ids is no array");
    wrong("{\"hash_ids\":null}", "hash_ids is no array");
    wrong("{\"hash_ids\":[1.5]}", "element 1 of hash_ids");
    wrong("{\"hash_ids\":[\"1\"]}", "element 1 of hash_ids");
    wrong("{\"hash_ids\":[1,null]}", "element 2 of hash_ids");
    wrong("{\"hash_ids\":[9223372036854775808]}",
          "a number is too big: 9223372036854775807 at most");
    wrong("{\"hash_ids\":[1],\"hash_ids\":[2]}", "no JSON: ");
    wrong("{\"hash_ids\":[\xff]}", "no JSON: ");
}

Test(cli_trace, a_request_has_a_limit)
{
    nkvi_out line = {0}, error = {0};
    nkvi_request request = {0};

    nkvi_out_text(&line, "{\"hash_ids\":[0");
    for (size_t i = 1; i < NKVI_REQUEST_BLOCKS_MAX; i++) {
        nkvi_out_text(&line, ",1");
    }
    nkvi_out_text(&line, "]}");
    cr_assert(nkvi_trace_parse(line.data, line.len, &request, &error));
    cr_assert_eq(request.n, NKVI_REQUEST_BLOCKS_MAX);
    line.len -= 2;
    nkvi_out_text(&line, ",1]}");
    cr_assert_not(nkvi_trace_parse(line.data, line.len, &request, &error));
    OUT_HAS(&error, "hash_ids has 65537 elements, 65536 at most");
    nkvi_out_clear(&line);
    nkvi_out_clear(&error);
    nkvi_request_clear(&request);
}

Test(cli_trace, a_line_that_is_too_long_is_an_error)
{
    size_t len = ((size_t)4 << 20) + 2;
    char *text = malloc(len + 1);
    nkvi_request request = {0};
    nkvi_out error = {0};

    cr_assert_not_null(text);
    memset(text, ' ', len);
    text[len] = '\0';
    nkvi_source *source = trace_of(text);
    cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_ERROR);
    OUT_HAS(&error, ":1: longer than 4194304 bytes\n");
    nkvi_out_clear(&error);
    source->close(source);
    free(text);
}

Test(cli_trace, a_file_that_is_not_there_is_told)
{
    nkvi_out error = {0};

    cr_assert_null(nkvi_trace_open("/does/not/exist", &error));
    OUT_HAS(&error, "/does/not/exist: cannot be opened: No such file or directory\n");
    nkvi_out_clear(&error);
}

Test(cli_trace, a_directory_cannot_be_read)
{
    nkvi_request request = {0};
    nkvi_out error = {0};
    nkvi_source *source = nkvi_trace_open("/", &error);

    cr_assert_not_null(source);
    cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_ERROR);
    OUT_HAS(&error, "/: cannot be read: ");
    nkvi_out_clear(&error);
    source->close(source);
}
