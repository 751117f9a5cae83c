/* tests/unit/cli/test_file.c - whole files: read into a block, written without half of one. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "support/check.h"
#include "unit/cli/out_text.h"

static char folder[T_PATH_MAX];
static char path[T_PATH_MAX + 16];

static void make_folder(void)
{
    t_temp_dir(folder);
    (void)snprintf(path, sizeof path, "%s/file", folder);
}

static void remove_folder(void)
{
    t_remove_dir(folder);
}

TestSuite(cli_file, .init = make_folder, .fini = remove_folder);

static void put(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* The file has this text and this mode, and is alone in its folder. */
static void is_now(const char *text, mode_t mode)
{
    struct stat info;
    nkvi_block block = {0};
    nkvi_out error = {0};
    DIR *directory = opendir(folder);
    int files = 0;

    cr_assert(nkvi_file_read(path, 1000, &block, &error));
    cr_assert(block.len == strlen(text) && memcmp(block.data, text, block.len) == 0);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 07777, mode, "%o", info.st_mode & 07777);
    while (readdir(directory) != NULL) {
        files++;
    }
    closedir(directory);
    cr_assert_eq(files, 3, "%d entries with . and ..", files);
    nkvi_block_clear(&block);
}

static void write_text(const char *text)
{
    nkvi_out error = {0};

    cr_assert(nkvi_file_write(path, text, strlen(text), &error), "%.*s", (int)error.len,
              error.data);
}

Test(cli_file, a_new_file_has_the_mode_of_new_files)
{
    umask(027);
    write_text("abc");
    is_now("abc", 0640);
}

Test(cli_file, an_old_file_is_replaced_and_keeps_its_mode)
{
    put("something longer", 0604);
    write_text("abc");
    is_now("abc", 0604);
}

Test(cli_file, of_a_link_the_file_behind_it_is_replaced)
{
    char link[sizeof path + 16];
    struct stat info;
    nkvi_out error = {0};

    put("old", 0600);
    (void)snprintf(link, sizeof link, "%s/link", folder);
    cr_assert_eq(symlink("file", link), 0);
    cr_assert(nkvi_file_write(link, "new", 3, &error));
    cr_assert_eq(lstat(link, &info), 0);
    cr_assert(S_ISLNK(info.st_mode));
    unlink(link);
    is_now("new", 0600);

    cr_assert_eq(symlink("nowhere", link), 0);
    cr_assert_not(nkvi_file_write(link, "new", 3, &error));
    OUT_HAS(&error, "cannot be written: No such file");
    nkvi_out_clear(&error);
}

Test(cli_file, what_cannot_be_written_says_why)
{
    char elsewhere[sizeof path + 16];
    nkvi_out error = {0};

    cr_assert_not(nkvi_file_write(folder, "x", 1, &error));
    OUT_HAS(&error, "cannot be written: Is a directory");
    nkvi_out_clear(&error);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/none/file", folder);
    cr_assert_not(nkvi_file_write(elsewhere, "x", 1, &error));
    OUT_HAS(&error, "/none/file: cannot be written: No such file or directory");
    nkvi_out_clear(&error);
    cr_assert_not(nkvi_file_write("/dev/full", "x", 1, &error));
    OUT_HAS(&error, "/dev/full: cannot be written: No space left on device");
    nkvi_out_clear(&error);
}

Test(cli_file, a_device_is_written_to_and_not_replaced)
{
    nkvi_out error = {0};
    struct stat info;

    cr_assert(nkvi_file_write("/dev/null", "x", 1, &error));
    cr_assert_eq(stat("/dev/null", &info), 0);
    cr_assert(S_ISCHR(info.st_mode));
}

Test(cli_file, forgetting_removes_nothing_that_is_finished)
{
    write_text("abc");
    nkvi_file_forget();
    is_now("abc", 0666 & ~022);
}

Test(cli_file, a_file_of_known_size_takes_that_much_memory)
{
    nkvi_block block = {0};
    nkvi_out error = {0};
    int64_t size;

    put("12345", 0600);
    cr_assert(nkvi_file_size(path, &size, &error));
    cr_assert_eq(size, 5);
    cr_assert(nkvi_file_read(path, 5, &block, &error));
    cr_assert_eq(block.len, 5);
    cr_assert_eq(block.cap, 6);
    cr_assert_not(nkvi_file_read(path, 4, &block, &error));
    OUT_HAS(&error, "/file: more than 4 bytes");
    nkvi_out_clear(&error);
    nkvi_block_clear(&block);
}

Test(cli_file, what_has_no_size_is_read_to_its_end)
{
    nkvi_block block = {0};
    nkvi_out error = {0};
    int64_t size;

    cr_assert(nkvi_file_size("/proc/self/status", &size, &error));
    cr_assert_eq(size, -1);
    cr_assert(nkvi_file_read("/proc/self/status", 1 << 20, &block, &error));
    cr_assert_gt(block.len, 100);
    put("", 0600);
    cr_assert(nkvi_file_read(path, 10, &block, &error));
    cr_assert_eq(block.len, 0);
    nkvi_block_clear(&block);
}

Test(cli_file, what_cannot_be_read_says_why)
{
    nkvi_block block = {0};
    nkvi_out error = {0};
    int64_t size;

    cr_assert_not(nkvi_file_size(path, &size, &error));
    OUT_HAS(&error, "/file: cannot be read: No such file or directory");
    nkvi_out_clear(&error);
    cr_assert_not(nkvi_file_size(folder, &size, &error));
    OUT_HAS(&error, "cannot be read: Is a directory");
    nkvi_out_clear(&error);
    cr_assert_not(nkvi_file_read(folder, 10, &block, &error));
    OUT_HAS(&error, "cannot be read: Is a directory");
    nkvi_out_clear(&error);
}

Test(cli_file, a_block_is_used_again)
{
    nkvi_block block = {0};

    char *first = nkvi_block_room(&block, 100);
    cr_assert_not_null(first);
    cr_assert_eq(nkvi_block_room(&block, 50), first);
    cr_assert_not_null(nkvi_block_room(&block, 0));
    cr_assert_not_null(nkvi_block_room(&block, 200));
    cr_assert_eq(block.cap, 200);
    nkvi_block_clear(&block);
    cr_assert_not_null(nkvi_block_room(&block, 0));
    nkvi_block_clear(&block);
}
