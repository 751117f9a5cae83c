/* cli/source.h - where the requests of a replay come from: a trace, or a generator.
 *
 * A request is a prompt, cut into blocks; each block has a number, and equal numbers mean that the
 * prompts are equal up to and including that block.
 *
 *      trace.c  ------\
 *                      +--> nkvi_source --next--> nkvi_request --> replay
 *      synthetic.c ---/
 *
 * Threads  One thread at a time; the replay holds a lock.                                        */
#ifndef NKVI_CLI_SOURCE_H
#define NKVI_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/out.h"

#define NKVI_REQUEST_BLOCKS_MAX ((size_t)1 << 16)

/* Zeroed is empty. */
typedef struct nkvi_request {
    uint64_t *ids;
    size_t n, cap;
} nkvi_request;

void nkvi_request_clear(nkvi_request *request);
void nkvi_request_add(nkvi_request *request, uint64_t id);

typedef enum nkvi_source_result {
    NKVI_SOURCE_REQUEST,
    NKVI_SOURCE_END,
    NKVI_SOURCE_ERROR
} nkvi_source_result;

typedef struct nkvi_source nkvi_source;
struct nkvi_source {
    /* The next request replaces what `request` held.  With NKVI_SOURCE_ERROR `error` gets a
     * line.                                                                                      */
    nkvi_source_result (*next)(nkvi_source *source, nkvi_request *request, nkvi_out *error);
    /* How much of all is done, 0..1; negative: not known. */
    double (*done)(const nkvi_source *source);
    void (*close)(nkvi_source *source); /* frees the source */
};

/* Opens a trace: a file of JSON lines, "-" for standard input.  NULL: `error` has a line. */
nkvi_source *nkvi_trace_open(const char *path, nkvi_out *error);

/* Reads one line of a trace.  Returns true, or false: `error` says what is wrong with it, without a
 * newline.                                                                                       */
bool nkvi_trace_parse(const char *line, size_t len, nkvi_request *request, nkvi_out *error);

/* Made-up traffic of `requests` requests. */
nkvi_source *nkvi_synthetic_open(uint64_t seed, uint64_t requests);

#endif
