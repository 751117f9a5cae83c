/* support/check_files.c - temporary directories and small files for tests.
 *
 * Paths stay short: the socket of a server lives in such a directory, and the kernel takes at most
 * 107 bytes for the path of a unix socket.
 *
 * Callers      all tests through check.h                                                         */

#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TMPDIR_LEN_MAX = 70 };

void t_temp_dir(char out[T_PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/' || strlen(base) > TMPDIR_LEN_MAX) {
        base = "/tmp";
    }
    (void)snprintf(out, T_PATH_MAX, "%s/nkvt.XXXXXX", base);
    if (mkdtemp(out) == NULL) {
        T_DIE("%s: %s", out, strerror(errno));
    }
}

/* Empties the directory behind `fd`, which is closed. Depth is bounded by what tests make. */
static void remove_entries(int fd)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) == 0 || (errno != EISDIR && errno != EPERM)) {
            continue;
        }
        const int below =
            openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            remove_entries(below);
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(dir);
}

void t_remove_dir(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    remove_entries(fd);
    if (rmdir(path) != 0 && errno != ENOENT) {
        T_DIE("%s: %s", path, strerror(errno));
    }
}

/* Looks for `name` in `dir` and everything above it; `dir` is used up. */
static bool look_upwards(char *dir, const char *name, char out[T_PATH_MAX])
{
    for (;;) {
        const int len = snprintf(out, T_PATH_MAX, "%s/%s", dir, name);
        if (len < T_PATH_MAX && access(out, F_OK) == 0) {
            return true;
        }
        char *slash = strrchr(dir, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
    }
}

bool t_find_upwards(const char *name, char out[T_PATH_MAX])
{
    char dir[T_PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", dir, sizeof dir - 1);
    if (len > 0) {
        dir[len] = '\0';
        char *slash = strrchr(dir, '/');
        *slash = '\0';
        if (look_upwards(dir, name, out)) {
            return true;
        }
    }
    return getcwd(dir, sizeof dir) != NULL && look_upwards(dir, name, out);
}

char *t_read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    size_t room = 4096;
    size_t used = 0;
    char *text = malloc(room + 1);
    T_REQUIRE(text != NULL);
    for (;;) {
        used += fread(text + used, 1, room - used, file);
        if (used < room) {
            break;
        }
        room *= 2;
        text = realloc(text, room + 1);
        T_REQUIRE(text != NULL);
    }
    (void)fclose(file);
    text[used] = '\0';
    if (len != NULL) {
        *len = used;
    }
    return text;
}
