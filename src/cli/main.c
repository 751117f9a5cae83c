/* cli/main.c - the command nearkv: which of its commands is meant. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/ending.h"
#include "cli/help.h"
#include "cli/kv.h"
#include "cli/lmcache.h"
#include "cli/replay.h"
#include "cli/secret.h"
#include "cli/shell.h"

/* Descriptors 0 to 2 are there, whatever the parent left open: else the first socket would be taken
 * for standard output.                                                                           */
static void fill_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

static bool is(const char *word, const char *name, const char *option)
{
    return strcmp(word, name) == 0 || strcmp(word, option) == 0;
}

static int print_version(void)
{
    nkvi_out out = {0};

    nkvi_version_text(&out);
    bool written = nkvi_out_write(&out, stdout);
    nkvi_out_clear(&out);
    return written ? NKVI_EXIT_OK : NKVI_EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    fill_streams();
    (void)setlocale(LC_CTYPE, "");
    nkvi_ending_install();
    if (strcmp(command, "shell") == 0) {
        return nkvi_shell_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "replay") == 0) {
        return nkvi_replay_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "lmcache") == 0) {
        return nkvi_lmc_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "kv") == 0) {
        return nkvi_kv_main(argc - 2, argv + 2);
    }
    if (is(command, "version", "--version")) {
        return print_version();
    }
    if (is(command, "help", "--help") || strcmp(command, "-h") == 0) {
        return nkvi_help_print(argc > 2 ? argv[2] : NULL);
    }
    for (int i = 1; i < argc; i++) {
        nkvi_secret_wipe_url(argv[i]);
    }
    fprintf(stderr,
            "nearkv: %s%s; commands: shell, replay, lmcache, kv, help; nearkv --help tells more\n",
            *command != '\0' ? "no such command: " : "a command is missing", command);
    return NKVI_EXIT_USAGE;
}
