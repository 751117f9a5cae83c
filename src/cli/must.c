/* cli/must.c - memory for a command: there, or the command ends. */
#include "cli/must.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void nkvi_must_fail(void)
{
    fputs("nearkv: out of memory\n", stderr);
    exit(1);
}

void *nkvi_must_alloc(size_t count, size_t size)
{
    void *block = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

    if (block == NULL) {
        nkvi_must_fail();
    }
    return block;
}

void *nkvi_must_grow(void *block, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size) {
        nkvi_must_fail();
    }
    size_t bytes = count * size;
    void *larger = realloc(block, bytes > 0 ? bytes : 1);
    if (larger == NULL) {
        nkvi_must_fail();
    }
    return larger;
}

char *nkvi_must_copy(const void *data, size_t len)
{
    if (len == SIZE_MAX) {
        nkvi_must_fail();
    }
    char *copy = nkvi_must_grow(NULL, len + 1, 1);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    return copy;
}

char *nkvi_must_copy_text(const char *text)
{
    return nkvi_must_copy(text, strlen(text));
}
