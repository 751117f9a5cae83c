/* client/options.h - the table of options: defaults, ranges, and the text of docs/OPTIONS.md.
 *
 * Threads  [any]: constant data. */
#ifndef NKVI_CLIENT_OPTIONS_H
#define NKVI_CLIENT_OPTIONS_H

#include <nearkv/client.h>

typedef enum nkvi_option_kind {
    NKVI_OPTION_INT64,  /* int64_t */
    NKVI_OPTION_INT,    /* int */
    NKVI_OPTION_SIZE,   /* size_t */
    NKVI_OPTION_DOUBLE, /* double */
    NKVI_OPTION_ENUM,   /* an enum: 0..max */
    NKVI_OPTION_TEXT,   /* const char * */
    NKVI_OPTION_OTHER   /* pointers; documented, not checked */
} nkvi_option_kind;

typedef struct nkvi_option {
    const char *name; /* field of nkv_options, or "cache_options.…" */
    nkvi_option_kind kind;
    size_t offset;   /* in nkv_options */
    double min, max; /* allowed range of numbers */
    double initial;
    const char *unit; /* "ms", "bytes", "%", "keys", or "" */
    const char *text; /* one sentence for the manual */
} nkvi_option;

extern const nkvi_option nkvi_options_table[];
extern const size_t nkvi_options_count;

/* Reads a numeric option out of a struct. */
double nkvi_option_value(const nkvi_option *option, const void *options);

/* Checks every row and the rules between them.
 * Returns NKV_OK · NKV_EINVAL (error names the option, its value and the range). */
nkv_status nkvi_options_check(const nkv_options *options, nkv_error *error);

#endif
