/* cli/ending.c - how the command ends when a signal asks it to.
 *
 * The handler uses only what may be used in a handler: tcsetattr, unlink, close, waitpid, signal,
 * raise.                                                                                         */
#include "cli/ending.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

#include "cli/embedded.h"
#include "cli/file.h"

static volatile sig_atomic_t patient;
static volatile sig_atomic_t asked;
static volatile sig_atomic_t terminal_known;
static struct termios terminal;

static void die_by(int number)
{
    sigset_t only;

    if (terminal_known) {
        (void)signal(SIGTTOU, SIG_IGN); /* in the background this would stop us instead */
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    }
    nkvi_file_forget();
    nkvi_embedded_stop();
    (void)signal(number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    (void)raise(number);
    _exit(128 + number); /* not reached: the default of these signals is to end */
}

static void on_signal(int number)
{
    int saved = errno;

    if (!patient || asked) {
        die_by(number);
    }
    asked = number;
    errno = saved;
}

void nkvi_ending_install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    terminal_known = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &terminal) == 0;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction before;
        /* nohup and its like have a signal ignored: leave that so. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &action, NULL);
        }
    }
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void nkvi_ending_patience(bool on)
{
    patient = on;
}

int nkvi_ending_asked(void)
{
    return asked;
}
