/* tests/fuzz/fuzz_reply.c - any bytes as a stream of replies, by our reader and by hiredis's.
 *
 * The first byte says in which pieces they come. */
#include <stddef.h>
#include <stdint.h>

#include "support/resp_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        (void)t_resp_diff(data + 1, size - 1, data[0] == 0 ? size : data[0]);
    }
    return 0;
}
