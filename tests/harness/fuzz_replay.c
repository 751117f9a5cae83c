/* tests/harness/fuzz_replay.c - main() of a fuzz target where there is no fuzzer.
 *
 * `make test` links each tests/fuzz/fuzz_NAME.c with this file and runs it over the stored inputs
 * tests/fuzz/corpus/NAME/: what the fuzzer once found stays found, under every profile and
 * compiler.  The empty input is always among them.
 *
 *      fuzz/NAME PATH...        each PATH a file, or a directory whose files are taken
 *
 * A target reports a broken promise by crashing, as fuzz targets do; so an input that comes back
 * has passed, and a program that dies has no closing line, which scripts/run_tests counts as a
 * failure.  The name of the input is printed first, so that the last line says which it was.     */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t passed;
static size_t failed;

static void cannot(const char *path)
{
    printf("not ok - %s: %s\n", path, strerror(errno));
    failed++;
}

/* Reads all of `path` into a block of exactly its size, so that a sanitizer sees an overrun. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat info;

    if (file == NULL) {
        return NULL;
    }
    uint8_t *data = NULL;
    if (fstat(fileno(file), &info) == 0) {
        *size = (size_t)info.st_size;
        data = malloc(*size > 0 ? *size : 1);
    }
    if (data != NULL && fread(data, 1, *size, file) != *size) {
        free(data);
        data = NULL;
    }
    fclose(file);
    return data;
}

static void replay_file(const char *path)
{
    size_t size = 0;
    uint8_t *data = read_file(path, &size);

    if (data == NULL) {
        cannot(path);
        return;
    }
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    passed++;
}

static void replay_directory(const char *path)
{
    char file[PATH_MAX];
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);

    if (count < 0) {
        cannot(path);
        return;
    }
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
            replay_file(file);
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    struct stat info;
    uint8_t nothing = 0;

    printf("# the empty input\n");
    fflush(stdout);
    LLVMFuzzerTestOneInput(&nothing, 0);
    passed++;
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &info) != 0) {
            cannot(argv[i]);
        } else if (S_ISDIR(info.st_mode)) {
            replay_directory(argv[i]);
        } else {
            replay_file(argv[i]);
        }
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
