/* tests/fuzz/fuzz_command.c - any arguments as a command.
 *
 * The input is cut into arguments at 0xff bytes.  Whatever they are: a command is found, positions
 * of keys lie within the arguments and not at the name, they are counted alike for every room, and
 * what is cached names one key or splits by key.                                                 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define REQUIRE(condition)                                     \
    do {                                                       \
        if (!(condition)) {                                    \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort();                                           \
        }                                                      \
    } while (0)

enum { ARGS_MAX = 64, GUARD = 0x5a5a5a5a };

/* Each argument in a block of its own size, so that a sanitizer sees an overrun. */
static size_t cut(const unsigned char *data, size_t size, nkv_str *argv)
{
    size_t argc = 0;

    for (size_t at = 0; at <= size && argc < ARGS_MAX; argc++) {
        const unsigned char *end = at < size ? memchr(data + at, 0xff, size - at) : NULL;
        size_t len = end != NULL ? (size_t)(end - data) - at : size - at;
        char *copy = len > 0 ? malloc(len) : NULL;
        if (len > 0) {
            REQUIRE(copy != NULL);
            memcpy(copy, data + at, len);
        }
        argv[argc] = nkv_str_make(copy, len);
        at += len + 1;
    }
    return argc;
}

static void check_keys(const nkvi_command *command, size_t argc, const nkv_str *argv)
{
    unsigned all[ARGS_MAX], few[ARGS_MAX];
    int count = nkvi_command_keys(command, argc, argv, all, ARGS_MAX);

    REQUIRE(count >= -1 && count < (int)argc);
    for (int i = 0; i < count; i++) {
        REQUIRE(all[i] >= 1 && all[i] < argc);
        for (int j = 0; j < i; j++) {
            REQUIRE(all[i] != all[j]);
        }
    }
    for (size_t cap = 0; count > 0 && cap <= (size_t)count; cap++) {
        for (size_t i = 0; i < ARGS_MAX; i++) {
            few[i] = GUARD;
        }
        REQUIRE(nkvi_command_keys(command, argc, argv, few, cap) == count);
        for (size_t i = 0; i < ARGS_MAX; i++) {
            REQUIRE(few[i] == (i < cap ? all[i] : GUARD));
        }
    }
    if (command->klass == NKVI_COMMAND_CACHED) {
        REQUIRE(count != 0 && (count <= 1 || command->per_key));
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    nkv_str argv[ARGS_MAX];
    size_t argc = cut(data, size, argv);
    const nkvi_command *command = nkvi_command_find(argc, argv);

    REQUIRE(command != NULL && command->name != NULL);
    REQUIRE(command == nkvi_command_find(argc, argv));
    REQUIRE(command->reason != NULL ||
            (command->klass != NKVI_COMMAND_READ && command->klass != NKVI_COMMAND_REFUSED));
    check_keys(command, argc, argv);
    for (size_t i = 0; i < argc; i++) {
        free((void *)(uintptr_t)argv[i].data);
    }
    return 0;
}
