/* tests/unit/io/test_resolve.c - addresses from digits and from names that this machine itself
 * knows. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "io/resolve.h"
#include "support/check.h"

/* ---- Digits ---------------------------------------------------------------------------------- */

static void assert_numeric(const char *host, nkvi_family family)
{
    nkvi_addresses found;
    cr_assert(nkvi_resolve_numeric(host, 6379, &found), "%s", host);
    cr_assert_eq(found.n, 1);
    cr_assert_eq(found.list[0].family, family);
    cr_assert_eq(found.list[0].port, 6379);
    cr_assert_str_eq(found.list[0].text, host);
}

Test(io_resolve, digits_need_nobody)
{
    nkvi_addresses found;
    assert_numeric("127.0.0.1", NKVI_ADDRESS_V4);
    assert_numeric("::1", NKVI_ADDRESS_V6);
    assert_numeric("fe80::1%lo", NKVI_ADDRESS_V6);
    cr_assert_not(nkvi_resolve_numeric("localhost", 1, &found));
    cr_assert_not(nkvi_resolve_numeric("256.1.1.1", 1, &found));
    cr_assert_not(nkvi_resolve_numeric("", 1, &found));
    char longer[300];
    memset(longer, '1', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert_not(nkvi_resolve_numeric(longer, 1, &found));
}

/* ---- Names ----------------------------------------------------------------------------------- */

typedef struct answer {
    nkvi_loop *loop;
    nkvi_resolve *job;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool done, found, on_loop, cancel;
    nkvi_addresses addresses;
} answer;

static void done(void *ud, const nkvi_addresses *addresses, const nkv_error *error)
{
    answer *a = ud;
    (void)error;
    pthread_mutex_lock(&a->mu);
    a->done = true;
    a->found = addresses != NULL;
    a->on_loop = nkvi_loop_is_current(a->loop);
    if (a->found) {
        a->addresses = *addresses;
    }
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->mu);
}

static void start(void *ud)
{
    answer *a = ud;
    a->job = nkvi_resolve_start(a->loop, "localhost", 7000, 2000, done, a);
    T_REQUIRE(a->job != NULL);
    if (a->cancel) {
        nkvi_resolve_cancel(a->job);
    }
}

static void ask(answer *a)
{
    nkv_error error;
    pthread_mutex_init(&a->mu, NULL);
    pthread_cond_init(&a->changed, NULL);
    T_REQUIRE(nkvi_loop_create(NULL, &a->loop, &error) == NKV_OK);
    nkvi_loop_call(a->loop, start, a);
}

Test(io_resolve, a_name_is_answered_from_the_loop)
{
    answer a = {0};
    ask(&a);
    pthread_mutex_lock(&a.mu);
    while (!a.done) {
        pthread_cond_wait(&a.changed, &a.mu);
    }
    pthread_mutex_unlock(&a.mu);
    nkvi_loop_destroy(a.loop);
    cr_assert(a.found && a.on_loop);
    for (size_t i = 0; i < a.addresses.n; i++) {
        const char *text = a.addresses.list[i].text;
        cr_assert(strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0, "%s", text);
        cr_assert_eq(a.addresses.list[i].port, 7000);
    }
    cr_assert_gt(a.addresses.n, 0);
}

Test(io_resolve, cancelled_it_says_nothing_and_leaves_nothing)
{
    int threads = t_thread_count(), fds = t_fd_count();
    answer a = {.cancel = true};
    ask(&a);
    nkvi_loop_destroy(a.loop);
    cr_assert_not(a.done);
    cr_assert_eq(t_thread_count(), threads);
    cr_assert_eq(t_fd_count(), fds);
}
