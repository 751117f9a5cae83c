/* cli/file.c - whole files: into one block of memory, and out of it without half of one in between.
 *
 * Invariant    I1  While a temporary file is there, `unfinished` is set and its name is in
 *                  `temporary`: a signal that ends the command removes it.                       */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)64 << 10) /* of what has no size */

static char temporary[PATH_MAX];
static volatile sig_atomic_t unfinished;

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Says what went wrong with the file. */
static bool fail(const char *path, const char *standard, const char *what, nkvi_out *error)
{
    int number = errno;

    nkvi_out_printf(error, "%s: %s", is_standard(path) ? standard : path, what);
    if (number != 0) {
        nkvi_out_printf(error, ": %s", strerrordesc_np(number));
    }
    return false;
}

static bool fail_in(const char *path, const char *what, nkvi_out *error)
{
    return fail(path, "standard input", what, error);
}

static bool fail_out(const char *path, const char *what, nkvi_out *error)
{
    return fail(path, "standard output", what, error);
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

char *nkvi_block_room(nkvi_block *block, size_t len)
{
    block->len = 0;
    if (len > block->cap || block->data == NULL) {
        nkvi_block_clear(block); /* first, so that the two are never there together */
        block->data = malloc(len > 0 ? len : 1);
        block->cap = block->data != NULL ? len : 0;
    }
    return block->data;
}

void nkvi_block_clear(nkvi_block *block)
{
    free(block->data);
    *block = (nkvi_block){0};
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* -1: only reading tells.  Files that the kernel makes up are empty by their size. */
static int64_t known_size(const struct stat *info)
{
    return S_ISREG(info->st_mode) && info->st_size > 0 ? (int64_t)info->st_size : -1;
}

/* The size of what is open; -1 if it has none. */
static bool look_at(int fd, const char *path, int64_t *size, nkvi_out *error)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        return fail_in(path, "cannot be read", error);
    }
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return fail_in(path, "cannot be read", error);
    }
    *size = known_size(&info);
    return true;
}

bool nkvi_file_size(const char *path, int64_t *size, nkvi_out *error)
{
    struct stat info;

    if (is_standard(path)) {
        *size = -1;
        return true;
    }
    /* A pipe is not opened: that would take the place of whoever waits at its other end. */
    if (stat(path, &info) != 0 || access(path, R_OK) != 0) {
        return fail_in(path, "cannot be read", error);
    }
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return fail_in(path, "cannot be read", error);
    }
    *size = known_size(&info);
    return true;
}

/* Twice the room, with what is in it. */
static bool grow(nkvi_block *block)
{
    size_t cap = block->cap < FIRST_BYTES ? FIRST_BYTES : block->cap * 2;
    char *larger = realloc(block->data, cap);

    if (larger == NULL) {
        return false;
    }
    block->data = larger;
    block->cap = cap;
    return true;
}

/* Reads to the end, or until there are more than `most` bytes. */
static bool read_all(int fd, const char *path, size_t most, nkvi_block *block, nkvi_out *error)
{
    while (block->len <= most) {
        if (block->len == block->cap && !grow(block)) {
            errno = 0;
            return fail_in(path, "out of memory", error);
        }
        ssize_t got = read(fd, block->data + block->len, block->cap - block->len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_in(path, "cannot be read", error);
        }
        if (got == 0) {
            return true;
        }
        block->len += (size_t)got;
    }
    nkvi_out_printf(error, "%s: more than %zu bytes", is_standard(path) ? "standard input" : path,
                    most);
    return false;
}

bool nkvi_file_read(const char *path, size_t most, nkvi_block *block, nkvi_out *error)
{
    int fd = is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int64_t size = -1;

    if (fd < 0) {
        return fail_in(path, "cannot be read", error);
    }
    bool fine = look_at(fd, path, &size, error);
    if (fine && size >= 0) {
        /* One more byte, so that the end is met without growing. */
        size_t want = (uint64_t)size < most ? (size_t)size + 1 : most + 1;
        if (nkvi_block_room(block, want) == NULL) {
            errno = 0;
            fine = fail_in(path, "out of memory", error);
        }
    }
    block->len = 0;
    fine = fine && read_all(fd, path, most, block, error);
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    return fine;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void nkvi_file_forget(void)
{
    if (unfinished) {
        (void)unlink(temporary);
        unfinished = 0;
    }
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return false;
        }
        data += done;
        len -= (size_t)done;
    }
    return true;
}

/* Writes into what is there already. */
static bool write_through(int fd, const char *path, const void *data, size_t len, nkvi_out *error)
{
    if (fd < 0) {
        return fail_out(path, "cannot be written", error);
    }
    bool fine = write_all(fd, data, len);
    int number = errno;
    if (fd != STDOUT_FILENO) {
        fine = close(fd) == 0 && fine;
    }
    errno = number;
    return fine || fail_out(path, "cannot be written", error);
}

/* The mode of a new file, as open() would give it. */
static mode_t new_mode(void)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    return 0666 & ~mask;
}

/* Makes the temporary file beside `target`. */
static int make_temporary(const char *target)
{
    const char *slash = strrchr(target, '/');
    int folder = slash != NULL ? (int)(slash - target) + 1 : 0, fd;
    uint64_t random;

    do {
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
            return -1;
        }
        int len = snprintf(temporary, sizeof temporary, "%.*s.nearkv-%016" PRIx64, folder, target,
                           random);
        if (len < 0 || (size_t)len >= sizeof temporary) {
            errno = ENAMETOOLONG;
            return -1;
        }
        unfinished = 1; /* before it is there: see I1 */
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        unfinished = fd >= 0;
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

/* Writes beside `target`, and takes its place. */
static bool replace(const char *target, mode_t mode, const void *data, size_t len, nkvi_out *error)
{
    int fd = make_temporary(target);

    if (fd < 0) {
        return fail_out(target, "cannot be written", error);
    }
    bool fine = fchmod(fd, mode) == 0 && write_all(fd, data, len);
    int number = errno;
    if (close(fd) != 0 && fine) {
        number = errno;
        fine = false;
    }
    errno = number;
    if (fine && rename(temporary, target) == 0) {
        unfinished = 0;
        return true;
    }
    number = errno;
    nkvi_file_forget();
    errno = number;
    return fail_out(target, "cannot be written", error);
}

bool nkvi_file_write(const char *path, const void *data, size_t len, nkvi_out *error)
{
    char target[PATH_MAX];
    struct stat info;

    if (is_standard(path)) {
        return write_through(STDOUT_FILENO, path, data, len, error);
    }
    if (stat(path, &info) != 0) {
        bool absent = errno == ENOENT && lstat(path, &info) != 0; /* else a link to nothing */
        return absent ? replace(path, new_mode(), data, len, error)
                      : fail_out(path, "cannot be written", error);
    }
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return fail_out(path, "cannot be written", error);
    }
    if (!S_ISREG(info.st_mode)) {
        return write_through(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY), path, data, len, error);
    }
    /* What may not be written may not be replaced either; the file behind a link is meant. */
    if (access(path, W_OK) != 0 || realpath(path, target) == NULL) {
        return fail_out(path, "cannot be written", error);
    }
    return replace(target, info.st_mode & 07777, data, len, error);
}
