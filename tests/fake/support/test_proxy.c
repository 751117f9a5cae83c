/* tests/fake/support/test_proxy.c - the fault proxy: what it forwards, keeps, loses and cuts. */

#include "fake/support/proxy_rig.h"

#include <pthread.h>

/* ---- Without faults -------------------------------------------------------------------------- */

typedef struct stream {
    int fd;
    uint64_t seed;
    size_t len;
    bool fine;
} stream;

static void *send_stream(void *ud)
{
    const stream *s = ud;
    t_rng rng;
    t_rng_init(&rng, s->seed);
    unsigned char bytes[1024];
    for (size_t sent = 0; sent < s->len; sent += sizeof bytes) {
        t_rng_fill(&rng, bytes, sizeof bytes);
        if (send(s->fd, bytes, sizeof bytes, MSG_NOSIGNAL) != (ssize_t)sizeof bytes) {
            return NULL;
        }
    }
    (void)shutdown(s->fd, SHUT_WR);
    return NULL;
}

/* Compares what comes until the end of file with what the seed says. */
static void *receive_stream(void *ud)
{
    stream *s = ud;
    t_rng rng;
    t_rng_init(&rng, s->seed);
    unsigned char want[1024];
    unsigned char got[1024];
    for (size_t left = s->len; left > 0; left -= sizeof got) {
        t_rng_fill(&rng, want, sizeof want);
        if (recv(s->fd, got, sizeof got, MSG_WAITALL) != (ssize_t)sizeof got ||
            memcmp(got, want, sizeof got) != 0) {
            return NULL;
        }
    }
    s->fine = recv(s->fd, got, 1, 0) == 0;
    return NULL;
}

/* Sends `len` bytes both ways at the same time and checks them and both ends of file. */
static void exchange(ends e, size_t len)
{
    stream streams[4] = {{e.client, 1, len, false},
                         {e.server, 1, len, false},
                         {e.server, 2, len, false},
                         {e.client, 2, len, false}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        void *(*fn)(void *) = i % 2 == 0 ? send_stream : receive_stream;
        cr_assert_eq(pthread_create(&threads[i], NULL, fn, &streams[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_assert(streams[1].fine && streams[3].fine);
}

PROXY_TEST(support_proxy, forwards_both_ways_without_loss)
{
    const size_t len = (size_t)1 << 20;
    const ends e = connect_through(r);
    exchange(e, len);
    cr_assert(t_proxy_wait_closed(r->proxy, 1, SOON_MS));
    cr_assert_eq(t_proxy_forwarded(r->proxy, 1, T_TO_SERVER), len);
    cr_assert_eq(t_proxy_seen(r->proxy, T_EVERY, T_BOTH_WAYS), 2 * len);
    cr_assert_eq(t_proxy_open(r->proxy), 0);
    close_ends(e);
}

PROXY_TEST(support_proxy, one_end_may_stop_sending_and_still_receive)
{
    const ends e = connect_through(r);
    put(e.client, "last");
    (void)shutdown(e.client, SHUT_WR);
    assert_get(e.server, "last");
    assert_get(e.server, "");
    put(e.server, "answer");
    assert_get(e.client, "answer");
    (void)close(e.server);
    assert_get(e.client, "");
    (void)close(e.client);
}

PROXY_TEST(support_proxy, a_target_that_is_not_there_closes_the_connection)
{
    (void)close(r->listener);
    const int client = connect_client(r);
    char got[256];
    const char *end = get(client, got);
    cr_assert(strcmp(end, "") == 0 || strcmp(end, "!") == 0);
    cr_assert(t_proxy_wait_closed(r->proxy, 1, SOON_MS));
    (void)close(client);
    r->listener = t_net_listen(r->target); /* the next connection tries anew */
    const ends e = connect_through(r);
    put(e.client, "x");
    assert_get(e.server, "x");
    close_ends(e);
}

PROXY_TEST(support_proxy, leaves_no_thread_and_no_descriptor)
{
    t_proxy_stop(r->proxy);
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    r->proxy = t_proxy_start(r->target, r->tcp);
    cr_assert_eq(t_thread_count(), threads + 1);
    const ends e = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_BOTH_WAYS);
    put(e.client, "kept");
    t_proxy_stop(r->proxy);
    close_ends(e);
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, SOON_MS);
    r->proxy = NULL;
}

/* ---- Hold, swallow, delay, bandwidth --------------------------------------------------------- */

PROXY_TEST(support_proxy, held_bytes_wait_while_the_other_direction_goes_on)
{
    const ends e = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_TO_CLIENT);
    put(e.server, "one ");
    put(e.server, "two");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_CLIENT, 7, SOON_MS));
    put(e.client, "up");
    assert_get(e.server, "up");
    assert_nothing(e.client);
    cr_assert_eq(t_proxy_kept(r->proxy, 1, T_TO_CLIENT), 7);
    t_proxy_release(r->proxy, 1, T_TO_CLIENT);
    assert_get(e.client, "one two"); /* in one read */
    cr_assert_eq(t_proxy_kept(r->proxy, 1, T_TO_CLIENT), 0);
    close_ends(e);
}

PROXY_TEST(support_proxy, a_held_end_of_file_waits_too)
{
    const ends e = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_TO_SERVER);
    put(e.client, "bye");
    (void)close(e.client);
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_SERVER, 3, SOON_MS));
    assert_nothing(e.server);
    t_proxy_release(r->proxy, 1, T_TO_SERVER);
    assert_get(e.server, "bye");
    assert_get(e.server, "");
    (void)close(e.server);
}

PROXY_TEST(support_proxy, what_is_kept_is_bounded)
{
    const ends e = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_TO_SERVER);
    t_net_set_nonblocking(e.client);
    char bytes[4096] = {0};
    size_t sent = 0;
    int tries = 0;
    while (tries < 20) {
        const ssize_t put_now = send(e.client, bytes, sizeof bytes, MSG_NOSIGNAL);
        sent += put_now > 0 ? (size_t)put_now : 0;
        tries = put_now > 0 ? 0 : tries + 1;
        cr_assert_lt(sent, (size_t)64 << 20, "the sender is never stopped");
        if (put_now < 0) {
            t_sleep_ms(1);
        }
    }
    cr_assert_leq(t_proxy_kept(r->proxy, 1, T_TO_SERVER), 64 * 1024);
    t_proxy_release(r->proxy, 1, T_TO_SERVER);
    (void)shutdown(e.client, SHUT_WR);
    size_t received = 0;
    ssize_t got;
    while ((got = recv(e.server, bytes, sizeof bytes, 0)) > 0) {
        received += (size_t)got;
    }
    cr_assert_eq(received, sent);
    close_ends(e);
}

PROXY_TEST(support_proxy, swallowed_bytes_and_ends_of_file_are_lost)
{
    const ends e = connect_through(r);
    t_proxy_swallow(r->proxy, 1, T_TO_SERVER, true);
    put(e.client, "lost");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_SERVER, 4, SOON_MS));
    t_proxy_swallow(r->proxy, 1, T_TO_SERVER, false);
    put(e.client, "found");
    assert_get(e.server, "found");
    t_proxy_swallow(r->proxy, 1, T_BOTH_WAYS, true);
    (void)shutdown(e.client, SHUT_WR);
    put(e.server, "nobody hears");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_CLIENT, 12, SOON_MS));
    assert_nothing(e.client);
    assert_nothing(e.server);
    cr_assert_eq(t_proxy_open(r->proxy), 1);
    close_ends(e);
}

/* What is late must be told from what a busy machine does late. */
enum { DELAY_MS = 800 };

PROXY_TEST(support_proxy, delayed_bytes_come_late_and_in_order)
{
    const ends e = connect_through(r);
    t_proxy_delay(r->proxy, 1, T_TO_CLIENT, DELAY_MS);
    const int64_t begin_ms = t_now_ms();
    put(e.server, "late");
    t_sleep_ms(20);
    t_proxy_delay(r->proxy, 1, T_TO_CLIENT, 0);
    put(e.server, "r"); /* has no delay of its own, but must not overtake */
    assert_nothing(e.client);
    assert_get(e.client, "later");
    cr_assert_geq(t_now_ms() - begin_ms, DELAY_MS);
    put(e.server, "now");
    assert_get(e.client, "now");
    close_ends(e);
}

PROXY_TEST(support_proxy, each_byte_has_its_own_delay)
{
    const ends e = connect_through(r);
    t_proxy_delay(r->proxy, 1, T_TO_SERVER, DELAY_MS);
    const int64_t first_ms = t_now_ms();
    put(e.client, "a");
    t_sleep_ms(DELAY_MS / 2);
    const int64_t second_ms = t_now_ms();
    put(e.client, "b");
    assert_get(e.server, "a");
    cr_assert_geq(t_now_ms() - first_ms, DELAY_MS);
    assert_get(e.server, "b");
    cr_assert_geq(t_now_ms() - second_ms, DELAY_MS);
    close_ends(e);
}

PROXY_TEST(support_proxy, bandwidth_is_a_limit)
{
    const ends e = connect_through(r);
    t_proxy_bandwidth(r->proxy, 1, T_TO_CLIENT, 40000);
    char bytes[8000] = {0};
    const int64_t begin_ms = t_now_ms();
    cr_assert_eq(send(e.server, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
    cr_assert_eq(recv(e.client, bytes, sizeof bytes, MSG_WAITALL), (ssize_t)sizeof bytes);
    const int64_t took_ms = t_now_ms() - begin_ms; /* 200, minus the 10 of the first burst */
    cr_assert_geq(took_ms, 180);
    cr_assert_lt(took_ms, 5000);
    close_ends(e);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

PROXY_TEST(support_proxy, chopped_bytes_come_one_by_one)
{
    const ends e = connect_through(r);
    t_proxy_chop(r->proxy, 1, T_TO_CLIENT, 1);
    put(e.server, "abcdef");
    for (const char *want = "abcdef"; *want != '\0'; want++) {
        const char text[2] = {*want, '\0'};
        t_sleep_ms(3); /* a slow reader must not get two of them */
        assert_get(e.client, text);
    }
    t_proxy_chop(r->proxy, 1, T_TO_CLIENT, 0);
    put(e.server, "abcdef");
    assert_get(e.client, "abcdef");
    close_ends(e);
}

PROXY_TEST(support_proxy, chopped_bytes_do_not_take_for_ever)
{
    enum { LEN = 500 };
    const ends e = connect_through(r);
    t_proxy_chop(r->proxy, 1, T_TO_SERVER, 1);
    char bytes[LEN] = {0};
    cr_assert_eq(send(e.client, bytes, LEN, 0), LEN);
    const int64_t begin_ms = t_now_ms();
    cr_assert_eq(recv(e.server, bytes, LEN, MSG_WAITALL), LEN);
    cr_log_info("%d pieces of one byte: %d ms", LEN, (int)(t_now_ms() - begin_ms));
    cr_assert_lt(t_now_ms() - begin_ms, 20 * LEN);
    close_ends(e);
}

PROXY_TEST(support_proxy, split_at_every_offset)
{
    const ends e = connect_through(r);
    const char text[] = "+first\r\n>push\r\n$second\r\n";
    for (size_t at = 1; at < sizeof text - 1; at++) {
        t_proxy_split(r->proxy, 1, T_TO_CLIENT, &at, 1);
        put(e.server, text);
        char head[256] = "";
        memcpy(head, text, at);
        assert_get(e.client, head);
        assert_get(e.client, text + at);
    }
    const size_t offsets[] = {1, 3, 22};
    t_proxy_split(r->proxy, 1, T_TO_CLIENT, offsets, 3);
    put(e.server, text);
    assert_get(e.client, "+");
    assert_get(e.client, "fi");
    assert_get(e.client, "rst\r\n>push\r\n$second");
    assert_get(e.client, "\r\n");
    close_ends(e);
}

/* ---- Inject and cut -------------------------------------------------------------------------- */

PROXY_TEST(support_proxy, injected_bytes_come_first)
{
    const ends e = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_TO_CLIENT);
    put(e.server, "kept");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_CLIENT, 4, SOON_MS));
    t_proxy_inject(r->proxy, 1, T_TO_CLIENT, "made up", 7);
    assert_get(e.client, "made up");
    t_proxy_release(r->proxy, 1, T_TO_CLIENT);
    assert_get(e.client, "kept");
    cr_assert_eq(t_proxy_forwarded(r->proxy, 1, T_TO_CLIENT), 4);
    close_ends(e);

    t_proxy_inject(r->proxy, 2, T_TO_SERVER, "hello", 5); /* a connection to come */
    const ends next = connect_through(r);
    assert_get(next.server, "hello");
    close_ends(next);
}

PROXY_TEST(support_proxy, fin_lets_what_was_forwarded_be_read)
{
    const ends e = connect_through(r);
    put(e.server, "before");
    cr_assert(t_proxy_wait_forwarded(r->proxy, 1, T_TO_CLIENT, 6, SOON_MS));
    t_proxy_hold(r->proxy, 1, T_TO_CLIENT);
    put(e.server, "never");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_CLIENT, 11, SOON_MS));
    t_proxy_cut(r->proxy, 1, T_FIN);
    assert_get(e.client, "before");
    assert_get(e.client, "");
    assert_get(e.server, "");
    cr_assert(t_proxy_wait_closed(r->proxy, 1, 0));
    close_ends(e);
}

PROXY_TEST(support_proxy, a_reset_of_one_end_reaches_the_other)
{
    const ends e = connect_through(r);
    put(e.server, "last");
    cr_assert(t_proxy_wait_forwarded(r->proxy, 1, T_TO_CLIENT, 4, SOON_MS));
    const struct linger at_once = {.l_onoff = 1};
    (void)setsockopt(e.server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(e.server);
    assert_get(e.client, "last");
    assert_get(e.client, r->tcp ? "!" : "");
    (void)close(e.client);
    cr_assert(t_proxy_wait_closed(r->proxy, 1, SOON_MS));
}

PROXY_TEST(support_proxy, rst_resets_both_ends)
{
    const ends e = connect_through(r);
    const ends spared = connect_through(r);
    put(e.client, "x");
    assert_get(e.server, "x");
    t_proxy_cut(r->proxy, 1, T_RST);
    assert_get(e.client, r->tcp ? "!" : "");
    assert_get(e.server, r->tcp ? "!" : "");
    put(spared.client, "y");
    assert_get(spared.server, "y");
    close_ends(e);
    close_ends(spared);
}

/* ---- Which connection ------------------------------------------------------------------------ */

PROXY_TEST(support_proxy, a_fault_is_for_its_connection_alone)
{
    t_proxy_hold(r->proxy, 2, T_TO_SERVER); /* before there is any */
    ends e[3];
    for (int i = 0; i < 3; i++) {
        e[i] = connect_through(r);
        put(e[i].client, "hi");
    }
    assert_get(e[0].server, "hi");
    assert_get(e[2].server, "hi");
    cr_assert(t_proxy_wait_seen(r->proxy, 2, T_TO_SERVER, 2, SOON_MS));
    assert_nothing(e[1].server);
    cr_assert_eq(t_proxy_kept(r->proxy, T_EVERY, T_BOTH_WAYS), 2);

    t_proxy_hold(r->proxy, T_EVERY, T_TO_SERVER); /* those to come too */
    const ends later = connect_through(r);
    put(later.client, "hi");
    cr_assert(t_proxy_wait_seen(r->proxy, 4, T_TO_SERVER, 2, SOON_MS));
    assert_nothing(later.server);
    t_proxy_release(r->proxy, T_EVERY, T_TO_SERVER);
    assert_get(e[1].server, "hi");
    assert_get(later.server, "hi");
    for (int i = 0; i < 3; i++) {
        close_ends(e[i]);
    }
    close_ends(later);
}

PROXY_TEST(support_proxy, new_connections_can_be_refused_closed_or_left_waiting)
{
    const ends old = connect_through(r);
    t_proxy_accept(r->proxy, T_ACCEPT_REFUSE);
    cr_assert_lt(connect_client(r), 0);
    cr_assert_eq(errno, ECONNREFUSED);
    put(old.client, "still here");
    assert_get(old.server, "still here");

    t_proxy_accept(r->proxy, T_ACCEPT_CLOSE);
    const int closed = connect_client(r);
    assert_get(closed, "");
    (void)close(closed);

    t_proxy_accept(r->proxy, T_ACCEPT_NOTHING);
    const int waiting = connect_client(r);
    cr_assert_geq(waiting, 0);
    put(waiting, "early");
    cr_assert_eq(t_proxy_accepted(r->proxy), 1);
    t_proxy_accept(r->proxy, T_ACCEPT);
    const int server = accept(r->listener, NULL, NULL);
    assert_get(server, "early");
    cr_assert_eq(t_proxy_accepted(r->proxy), 2);
    (void)close(server);
    (void)close(waiting);
    close_ends(old);
}

PROXY_TEST(support_proxy, retarget_is_for_new_connections)
{
    const ends old = connect_through(r);
    char *path = t_format("%s/other", r->dir);
    const t_addr other = {.path = path};
    const int listener = t_net_listen(other);
    t_proxy_retarget(r->proxy, other);
    const int client = connect_client(r);
    const int server = accept(listener, NULL, NULL);
    put(client, "new");
    assert_get(server, "new");
    put(old.client, "old");
    assert_get(old.server, "old");
    (void)close(client);
    (void)close(server);
    (void)close(listener);
    close_ends(old);
    free(path);
}

/* ---- All at once ----------------------------------------------------------------------------- */

typedef struct worker {
    const rig *r;
    pthread_t thread;
    bool stop;
} worker;

/* Echoes one connection after the other until the listener is shut down. */
static void *serve_echo(void *ud)
{
    const worker *w = ud;
    int fd;
    while ((fd = accept(w->r->listener, NULL, NULL)) >= 0) {
        char bytes[512];
        ssize_t got;
        while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
            if (send(fd, bytes, (size_t)got, MSG_NOSIGNAL) < 0) {
                break;
            }
        }
        (void)close(fd);
    }
    return NULL;
}

/* Connects, sends, reads a little, and does not mind what comes of it. */
static void *use(void *ud)
{
    const worker *w = ud;
    const struct timeval wait = {.tv_usec = 2000};
    while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
        const int fd = connect_client(w->r);
        if (fd < 0) {
            continue;
        }
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        char bytes[100] = {0};
        (void)!send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
        (void)!recv(fd, bytes, sizeof bytes, 0);
        (void)close(fd);
    }
    return NULL;
}

static void random_fault(t_proxy *proxy, t_rng *rng)
{
    const t_dir dir = (t_dir)t_rng_below(rng, 3);
    const t_trigger cut = {.when = T_AT_BYTES, .bytes = t_rng_below(rng, 100), .what = T_DO_CUT};
    switch (t_rng_below(rng, 8)) {
    case 0:
        t_proxy_hold(proxy, T_EVERY, dir);
        break;
    case 1:
        t_proxy_cut(proxy, T_EVERY, t_rng_below(rng, 2) == 0 ? T_FIN : T_RST);
        break;
    case 2:
        t_proxy_chop(proxy, T_EVERY, dir, (size_t)t_rng_below(rng, 30));
        break;
    case 3:
        t_proxy_delay(proxy, T_EVERY, dir, (int)t_rng_below(rng, 3));
        break;
    case 4:
        t_proxy_inject(proxy, T_EVERY, dir, "??", 2);
        break;
    case 5:
        t_proxy_accept(proxy, (t_accept)t_rng_below(rng, 3));
        break;
    case 6:
        (void)t_proxy_on(proxy, t_proxy_accepted(proxy) + 1, (t_dir)t_rng_below(rng, 2), &cut);
        break;
    default:
        t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
        t_proxy_accept(proxy, T_ACCEPT);
        break;
    }
}

/* Nothing is checked but that it ends, and what the sanitizers see. */
PROXY_TEST(support_proxy, faults_in_any_order_do_not_hang_it)
{
    worker server = {.r = r};
    worker users[3];
    cr_assert_eq(pthread_create(&server.thread, NULL, serve_echo, &server), 0);
    for (int i = 0; i < 3; i++) {
        users[i] = (worker){.r = r};
        cr_assert_eq(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (int i = 0; i < 200 && t_proxy_accepted(r->proxy) < T_PROXY_CONNS / 2; i++) {
        random_fault(r->proxy, &rng);
        t_sleep_us(500);
    }
    t_proxy_accept(r->proxy, T_ACCEPT);
    for (int i = 0; i < 3; i++) {
        __atomic_store_n(&users[i].stop, true, __ATOMIC_RELAXED);
        (void)pthread_join(users[i].thread, NULL);
    }
    t_proxy_cut(r->proxy, T_EVERY, T_FIN);
    t_proxy_accept(r->proxy, T_ACCEPT_REFUSE);
    (void)shutdown(r->listener, SHUT_RDWR);
    (void)pthread_join(server.thread, NULL);
}
