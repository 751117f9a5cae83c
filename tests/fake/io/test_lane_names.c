/* tests/fake/io/test_lane_names.c - names with several addresses, with none, and with an answer
 * that is long in coming.
 *
 * getaddrinfo() of this program is ours: it knows three names, and hands all others on.
 *
 *      two.test      ::1 and 127.0.0.1, in this order
 *      nowhere.test  no such name
 *      slow.test     127.0.0.1, when the test says so */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/lane_rig.h"
#include "support/peer.h"

#define GET_K "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);

static sem_t slow_asked, slow_may_answer;

static getaddrinfo_fn real_getaddrinfo(void)
{
    getaddrinfo_fn fn;
    *(void **)&fn = dlsym(RTLD_NEXT, "getaddrinfo");
    return fn;
}

static int two_addresses(const char *service, const struct addrinfo *hints,
                         struct addrinfo **result)
{
    int rc = real_getaddrinfo()("::1", service, hints, result);
    if (rc == 0) {
        struct addrinfo *last = *result;
        while (last->ai_next != NULL) {
            last = last->ai_next;
        }
        rc = real_getaddrinfo()("127.0.0.1", service, hints, &last->ai_next);
    }
    return rc;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **result)
{
    bool name = node != NULL && (hints == NULL || (hints->ai_flags & AI_NUMERICHOST) == 0);
    if (name && strcmp(node, "two.test") == 0) {
        return two_addresses(service, hints, result);
    }
    if (name && strcmp(node, "nowhere.test") == 0) {
        return EAI_NONAME;
    }
    if (name && strcmp(node, "slow.test") == 0) {
        sem_post(&slow_asked);
        sem_wait(&slow_may_answer);
        node = "127.0.0.1";
    }
    return real_getaddrinfo()(node, service, hints, result);
}

static t_peer *peer;
static t_rig *rig;

static void begin(void)
{
    peer = t_peer_listen_tcp();
    sem_init(&slow_asked, 0, 0);
    sem_init(&slow_may_answer, 0, 0);
}

static void end(void)
{
    t_rig_free(rig);
    t_peer_free(peer);
}

static void start(t_rig_options options)
{
    options.port = t_peer_port(peer);
    rig = t_rig_start(&options);
}

/* Nobody listens on ::1: the second address is tried within the same attempt. */
Test(io_lane_names, every_address_is_tried, .init = begin, .fini = end)
{
    start((t_rig_options){.host = "two.test"});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_welcome(peer);
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "_\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    t_peer_close(fd);
}

Test(io_lane_names, when_no_address_will_do_the_attempt_is_over, .init = begin, .fini = end)
{
    t_peer_deafen(peer);
    start((t_rig_options){.host = "two.test"});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not_null(strstr(ask->error.text, "two.test"), "%s", ask->error.text);
    cr_assert_not_null(strstr(ask->error.text, "refused"), "%s", ask->error.text);
}

Test(io_lane_names, an_unknown_name_is_told, .init = begin, .fini = end)
{
    start((t_rig_options){.host = "nowhere.test"});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not_null(strstr(ask->error.text, "cannot find the address of nowhere.test"), "%s",
                       ask->error.text);
}

/* The loop is not held up, the connect timeout counts, and the answer is used when it comes. */
Test(io_lane_names, a_slow_answer_holds_nobody_up, .init = begin, .fini = end)
{
    start((t_rig_options){.host = "slow.test", .connect_timeout_ms = 50});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    sem_wait(&slow_asked);
    t_rig_drain(rig); /* returns: the loop goes round */
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not_null(strstr(ask->error.text, "50 ms"), "%s", ask->error.text);
    for (int i = 0; i < 100; i++) {
        sem_post(&slow_may_answer);
    }
    t_peer_close(t_peer_accept(peer));
}

static void *answer_late(void *arg)
{
    sem_wait(&slow_asked);
    t_sleep_ms(20); /* only to make it likely that the end comes first; any order must do */
    sem_post(&slow_may_answer);
    return arg;
}

/* I8: the end waits for the look-up's thread, and its answer reaches nobody. */
Test(io_lane_names, the_end_during_a_look_up, .init = begin)
{
    pthread_t thread;
    int threads = t_thread_count();
    start((t_rig_options){.host = "slow.test"});
    T_REQUIRE(pthread_create(&thread, NULL, answer_late, NULL) == 0);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_rig_stop(rig);
    cr_assert_eq(ask->status, NKV_ECLOSED);
    pthread_join(thread, NULL);
    cr_assert_eq(t_thread_count(), threads);
    end();
}
