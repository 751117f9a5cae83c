/* live/client/prometheus.c - checks the text line by line.
 *
 * Callers      test_stats.c                                                                      */

#include "live/client/prometheus.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 120, METRICS_MAX = 200, SAMPLES_MAX = 1000, KEY_MAX = 300 };

typedef struct reader {
    const char *at;
    int line;
    char *why;
    char metrics[METRICS_MAX][NAME_MAX_LEN]; /* whose group has begun; the last one is open     */
    bool has_type[METRICS_MAX];
    bool has_sample[METRICS_MAX];
    int metric_count;
    char samples[SAMPLES_MAX][KEY_MAX];
    int sample_count;
} reader;

static bool fail(reader *r, const char *what)
{
    (void)snprintf(r->why, 200, "line %d: %s, at \"%.60s\"", r->line, what, r->at);
    return false;
}

/* A name: [a-zA-Z_:][a-zA-Z0-9_:]*; labels have no colon. */
static bool read_name(reader *r, char out[NAME_MAX_LEN], bool colon)
{
    size_t len = 0;
    while (isalpha((unsigned char)r->at[len]) || r->at[len] == '_' ||
           (colon && r->at[len] == ':') || (len > 0 && isdigit((unsigned char)r->at[len]))) {
        len++;
    }
    if (len == 0 || len >= NAME_MAX_LEN) {
        return fail(r, "a name is missing");
    }
    memcpy(out, r->at, len);
    out[len] = '\0';
    r->at += len;
    return true;
}

static bool expect(reader *r, char c)
{
    if (*r->at != c) {
        return fail(r, "another character was expected");
    }
    r->at++;
    return true;
}

/* Opens the group of a metric, or finds it open. -1: its group was closed before. */
static int open_group(reader *r, const char *name)
{
    for (int i = 0; i < r->metric_count; i++) {
        if (strcmp(r->metrics[i], name) == 0) {
            return i == r->metric_count - 1 ? i : -1;
        }
    }
    if (r->metric_count == METRICS_MAX) {
        return -1;
    }
    (void)snprintf(r->metrics[r->metric_count], NAME_MAX_LEN, "%s", name);
    return r->metric_count++;
}

static bool is_type(const char *text, size_t len)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "summary", "untyped"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (len == strlen(types[i]) && memcmp(text, types[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_comment(reader *r)
{
    char word[NAME_MAX_LEN];
    char name[NAME_MAX_LEN];
    if (!expect(r, '#') || !expect(r, ' ') || !read_name(r, word, false) || !expect(r, ' ') ||
        !read_name(r, name, true) || !expect(r, ' ')) {
        return false;
    }
    const int group = open_group(r, name);
    if (group < 0 || r->has_sample[group]) {
        return fail(r, "this metric's group is closed, or has begun");
    }
    const size_t len = strcspn(r->at, "\n");
    if (strcmp(word, "TYPE") == 0) {
        if (!is_type(r->at, len) || r->has_type[group]) {
            return fail(r, "a second or unknown TYPE");
        }
        r->has_type[group] = true;
    } else if (strcmp(word, "HELP") != 0 || len == 0) {
        return fail(r, "neither HELP with words nor TYPE");
    }
    r->at += len;
    return true;
}

static bool read_labels(reader *r)
{
    char name[NAME_MAX_LEN];
    if (*r->at != '{') {
        return true;
    }
    r->at++;
    while (*r->at != '}') {
        if (!read_name(r, name, false) || !expect(r, '=') || !expect(r, '"')) {
            return false;
        }
        while (*r->at != '"') {
            if (*r->at == '\n' || *r->at == '\0') {
                return fail(r, "a label's value does not end");
            }
            if (*r->at == '\\') {
                r->at++;
                if (*r->at != '\\' && *r->at != '"' && *r->at != 'n') {
                    return fail(r, "an escape that is none");
                }
            }
            r->at++;
        }
        r->at++;
        if (*r->at == ',') {
            r->at++;
        } else if (*r->at != '}') {
            return fail(r, "labels are parted by commas");
        }
    }
    r->at++;
    return true;
}

static bool remember_sample(reader *r, const char *begin)
{
    const size_t len = (size_t)(r->at - begin);
    if (len >= KEY_MAX || r->sample_count == SAMPLES_MAX) {
        return fail(r, "more than this reader holds");
    }
    char *key = r->samples[r->sample_count];
    memcpy(key, begin, len);
    key[len] = '\0';
    for (int i = 0; i < r->sample_count; i++) {
        if (strcmp(r->samples[i], key) == 0) {
            return fail(r, "the same sample twice");
        }
    }
    r->sample_count++;
    return true;
}

static bool read_sample(reader *r)
{
    char name[NAME_MAX_LEN];
    const char *begin = r->at;
    if (!read_name(r, name, true)) {
        return false;
    }
    const int group = open_group(r, name);
    if (group < 0 || !r->has_type[group]) {
        return fail(r, "a sample without TYPE before it");
    }
    r->has_sample[group] = true;
    if (!read_labels(r) || !remember_sample(r, begin) || !expect(r, ' ')) {
        return false;
    }
    char *end = NULL;
    (void)strtod(r->at, &end);
    if (end == r->at || isspace((unsigned char)*r->at)) {
        return fail(r, "no number");
    }
    r->at = end;
    return true;
}

bool t_prometheus_check(const char *text, char why[200])
{
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        abort();
    }
    r->at = text;
    r->why = why;
    why[0] = '\0';
    bool good = *text != '\0' || fail(r, "nothing there");
    while (good && *r->at != '\0') {
        r->line++;
        good = *r->at == '#' ? read_comment(r) : read_sample(r);
        good = good && expect(r, '\n');
    }
    for (int i = 0; good && i < r->metric_count; i++) {
        if (!r->has_sample[i]) {
            (void)snprintf(why, 200, "%s has no sample", r->metrics[i]);
            good = false;
        }
    }
    free(r);
    return good;
}

double t_prometheus_sum(const char *text, const char *metric, const char *label, int *count)
{
    double sum = 0;
    *count = 0;
    const size_t len = strlen(metric);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, metric, len) == 0 && (line[len] == ' ' || line[len] == '{')) {
            const char *found = label == NULL || *label == '\0' ? line : strstr(line, label);
            if (found != NULL && found < end) {
                const char *blank = end;
                while (blank[-1] != ' ') {
                    blank--;
                }
                sum += strtod(blank, NULL);
                ++*count;
            }
        }
        if (end == NULL) {
            break;
        }
    }
    return sum;
}
