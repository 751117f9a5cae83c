/* tests/fake/support/test_proxy_trigger.c - the fault proxy: triggers at places of a stream. */

#include "fake/support/proxy_rig.h"

/* ---- Triggers -------------------------------------------------------------------------------- */

/* The n-th connection is cut after n - 1 bytes: each place in the stream once. */
PROXY_TEST(support_proxy_trigger, cut_after_every_number_of_bytes)
{
    const char text[] = "$5\r\nvalue\r\n";
    for (int conn = 1; conn <= (int)sizeof text; conn++) {
        const t_trigger cut = {
            .when = T_AT_BYTES, .bytes = (uint64_t)(conn - 1), .what = T_DO_CUT, .cut = T_FIN};
        const int id = t_proxy_on(r->proxy, conn, T_TO_CLIENT, &cut);
        const int client = connect_client(r);
        const int server = accept(r->listener, NULL, NULL);
        (void)send(server, text, sizeof text - 1, MSG_NOSIGNAL);
        cr_assert(t_proxy_wait_fired(r->proxy, id, SOON_MS));
        char got[256] = "";
        const ssize_t len = recv(client, got, sizeof got, MSG_WAITALL);
        cr_assert_eq(len, conn - 1, "connection %d got %zd bytes", conn, len);
        cr_assert_eq(memcmp(got, text, (size_t)len), 0);
        (void)close(client);
        (void)close(server);
    }
}

PROXY_TEST(support_proxy_trigger, hold_before_a_pattern_however_it_comes)
{
    const t_trigger hold = {
        .when = T_BEFORE, .pattern = "$5\r\nstale", .pattern_len = 9, .what = T_DO_HOLD};
    const char text[] = "+OK\r\n$5\r\nst$5\r\nstale\r\n:1\r\n";
    for (size_t split = 1; split < sizeof text - 1; split++) {
        const int conn = t_proxy_accepted(r->proxy) + 1;
        const int id = t_proxy_on(r->proxy, conn, T_TO_CLIENT, &hold);
        const ends e = connect_through(r);
        cr_assert_eq(send(e.server, text, split, 0), (ssize_t)split);
        cr_assert(t_proxy_wait_seen(r->proxy, conn, T_TO_CLIENT, split, SOON_MS));
        put(e.server, text + split);
        cr_assert(t_proxy_wait_fired(r->proxy, id, SOON_MS));
        cr_assert_eq(t_proxy_forwarded(r->proxy, conn, T_TO_CLIENT), 11);
        char got[256] = "";
        cr_assert_eq(recv(e.client, got, 11, MSG_WAITALL), 11);
        cr_assert_eq(memcmp(got, text, 11), 0);
        assert_nothing(e.client);
        put(e.client, "up");
        assert_get(e.server, "up");
        t_proxy_release(r->proxy, conn, T_TO_CLIENT);
        cr_assert_eq(recv(e.client, got, sizeof text - 12, MSG_WAITALL), (ssize_t)sizeof text - 12);
        cr_assert_eq(memcmp(got, text + 11, sizeof text - 12), 0);
        close_ends(e);
    }
}

PROXY_TEST(support_proxy_trigger, what_only_begins_like_the_pattern_goes_on)
{
    const t_trigger hold = {
        .when = T_BEFORE, .pattern = "aab", .pattern_len = 3, .what = T_DO_HOLD};
    const ends e = connect_through(r);
    const int id = t_proxy_on(r->proxy, 1, T_TO_CLIENT, &hold);
    put(e.server, "xaa");
    assert_get(e.client, "x");
    put(e.server, "a"); /* "aaa": one more is known to be none */
    assert_get(e.client, "a");
    put(e.server, "c");
    assert_get(e.client, "aac");
    put(e.server, "aa");
    (void)shutdown(e.server, SHUT_WR);
    assert_get(e.client, "aa"); /* now it never can be */
    assert_get(e.client, "");
    cr_assert_not(t_proxy_wait_fired(r->proxy, id, 0));
    close_ends(e);
}

PROXY_TEST(support_proxy_trigger, after_a_pattern_that_came_in_parts_and_was_sent_already)
{
    const t_trigger cut = {
        .when = T_AFTER, .pattern = "\r\nEND", .pattern_len = 5, .what = T_DO_CUT, .cut = T_FIN};
    const ends e = connect_through(r);
    put(e.client, "\r\nEND"); /* forwarded before: does not count */
    assert_get(e.server, "\r\nEND");
    (void)t_proxy_on(r->proxy, 1, T_TO_SERVER, &cut);
    put(e.client, "x\r\nE");
    assert_get(e.server, "x\r\nE");
    put(e.client, "NDy");
    assert_get(e.server, "ND");
    assert_get(e.server, "");
    close_ends(e);
}

PROXY_TEST(support_proxy_trigger, skip_lets_the_first_ones_pass)
{
    const t_trigger hold = {
        .when = T_BEFORE, .pattern = "+OK", .pattern_len = 3, .skip = 2, .what = T_DO_HOLD};
    const t_trigger told = {
        .when = T_AFTER, .pattern = "+OK", .pattern_len = 3, .skip = 1, .what = T_DO_NOTHING};
    const ends e = connect_through(r);
    (void)t_proxy_on(r->proxy, T_EVERY, T_TO_CLIENT, &hold);
    const int id = t_proxy_on(r->proxy, T_EVERY, T_TO_CLIENT, &told);
    put(e.server, "+OK1");
    assert_get(e.client, "+OK1");
    cr_assert_not(t_proxy_wait_fired(r->proxy, id, 0));
    put(e.server, "+OK2+OK3");
    cr_assert(t_proxy_wait_fired(r->proxy, id, SOON_MS));
    cr_assert(t_proxy_wait_forwarded(r->proxy, 1, T_TO_CLIENT, 8, SOON_MS));
    cr_assert_eq(t_proxy_kept(r->proxy, 1, T_TO_CLIENT), 4);
    close_ends(e);
}

/* The order of two connections: the reply on one goes on when the push has passed on the other. */
PROXY_TEST(support_proxy_trigger, one_connection_waits_for_a_pattern_on_another)
{
    const ends data = connect_through(r);
    const ends listener = connect_through(r);
    t_proxy_hold(r->proxy, 1, T_TO_CLIENT);
    const t_trigger release = {.when = T_AFTER,
                               .pattern = "invalidate",
                               .pattern_len = 10,
                               .what = T_DO_RELEASE,
                               .other_conn = 1,
                               .other_dir = T_TO_CLIENT};
    (void)t_proxy_on(r->proxy, 2, T_TO_CLIENT, &release);
    put(data.server, "reply");
    cr_assert(t_proxy_wait_seen(r->proxy, 1, T_TO_CLIENT, 5, SOON_MS));
    assert_nothing(data.client);
    put(listener.server, "invalidate k");
    assert_get(data.client, "reply");
    char got[256];
    cr_assert_str_eq(peek(listener.client, got), "invalidate k", "the push must be there first");
    close_ends(data);
    close_ends(listener);
}
