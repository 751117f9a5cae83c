/* tests/harness/blame.c - names the test in a sanitizer's report.
 *
 * Each test is a process, and a report goes to a file that is named after the process alone.  The
 * sanitizer calls back when it has reported and is about to end the process, for a leak even after
 * the test; one more line then tells whose report it is:
 *
 *      in the test client_life::case_61 (pid 4711)
 *
 * Criterion's own note of the running test is not to be read by then, so it is copied when a test
 * begins: the linker leads the call that runs a test here first (--wrap).
 *
 * Linked by the Makefile into the Criterion programs of sanitized profiles.                      */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <unistd.h>

void __real_criterion_internal_test_main(void (*fn)(void));
void __wrap_criterion_internal_test_main(void (*fn)(void));

static char test_name[300];

/* In a process that may be broken: allocates nothing. */
static void blame(void)
{
    const char *path = __sanitizer_get_report_path();
    const int fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    char line[400];

    if (fd >= 0) {
        const int len =
            snprintf(line, sizeof line, "in the test %s (pid %ld)\n", test_name, (long)getpid());
        (void)!write(fd, line, (size_t)len);
        (void)close(fd);
    }
}

void __wrap_criterion_internal_test_main(void (*fn)(void))
{
    (void)snprintf(test_name, sizeof test_name, "%s::%s", criterion_current_test->category,
                   criterion_current_test->name);
    __sanitizer_set_death_callback(blame);
    __real_criterion_internal_test_main(fn);
}
