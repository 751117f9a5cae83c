/* tests/fuzz/fuzz_trace.c - any line of a trace is a request or an error with a text.
 *
 * Promises  A request has at most NKVI_REQUEST_BLOCKS_MAX blocks, each a number that JSON could
 * hold.
 *           A refused line has a reason, and nothing else was written.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkvi_request request = {0};
    nkvi_out error = {0};

    if (nkvi_trace_parse((const char *)data, size, &request, &error)) {
        require(error.len == 0);
        require(request.n <= NKVI_REQUEST_BLOCKS_MAX);
        for (size_t i = 0; i < request.n; i++) {
            require(request.ids[i] <= INT64_MAX);
        }
    } else {
        require(error.len > 0);
        require(memchr(error.data, '\n', error.len) == NULL);
    }
    nkvi_request_clear(&request);
    nkvi_out_clear(&error);
    return 0;
}
