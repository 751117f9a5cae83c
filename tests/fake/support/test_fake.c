/* tests/fake/support/test_fake.c - the played server, played with by a plain socket. */

#include <criterion/criterion.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/net.h"
#include "support/resp.h"

enum { SOON_MS = 10000 };

static void put(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void put_command_argv(int fd, const char *const *argv)
{
    t_resp r = {0};
    t_resp_command_argv(&r, argv);
    cr_assert_eq(send(fd, r.bytes, r.len, MSG_NOSIGNAL), (ssize_t)r.len);
    t_resp_free(&r);
}
#define put_command(fd, ...) put_command_argv((fd), (const char *const[]){__VA_ARGS__, NULL})

/* Exactly these bytes come next. */
static void assert_get(int fd, const char *want)
{
    char got[1024];
    size_t len = 0;
    while (len < strlen(want)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&ready, 1, SOON_MS), 1, "«%s» does not come", want);
        const ssize_t more = recv(fd, got + len, strlen(want) - len, 0);
        cr_assert_gt(more, 0);
        len += (size_t)more;
    }
    cr_assert(t_same_bytes("answer", got, len, want, strlen(want)));
}

static void assert_nothing(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 0), 0);
}

static void assert_end(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    cr_assert_eq(poll(&ready, 1, SOON_MS), 1);
    cr_assert_leq(recv(fd, &byte, 1, 0), 0);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

Test(support_fake, greets_like_a_resp3_server)
{
    t_fake *fake = t_fake_start(NULL);
    redisContext *link = redisConnectUnix(t_fake_path(fake));
    cr_assert(link != NULL && link->err == 0);
    redisReply *reply = redisCommand(link, "HELLO 3 AUTH ann pw SETNAME me");
    cr_assert_eq(reply->type, REDIS_REPLY_MAP);
    cr_assert_eq(reply->elements, 14);
    freeReplyObject(reply);
    static const char *const plain[] = {"CLIENT TRACKING ON", "CLIENT SETNAME x", "SELECT 3",
                                        "AUTH pw", "CLIENT CACHING YES"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        reply = redisCommand(link, plain[i]);
        cr_assert_str_eq(reply->str, "OK");
        freeReplyObject(reply);
    }
    reply = redisCommand(link, "CLIENT ID");
    cr_assert_eq(reply->integer, 1001);
    freeReplyObject(reply);
    reply = redisCommand(link, "CLIENT TRACKINGINFO");
    cr_assert_eq(reply->type, REDIS_REPLY_MAP);
    freeReplyObject(reply);
    reply = redisCommand(link, "PING");
    cr_assert_str_eq(reply->str, "PONG");
    freeReplyObject(reply);
    reply = redisCommand(link, "PING hello");
    cr_assert_str_eq(reply->str, "hello");
    freeReplyObject(reply);
    redisFree(link);
    cr_assert(t_fake_wait_closed(fake, 1, SOON_MS));
    cr_assert_null(t_fake_error(fake));
    t_fake_stop(fake);
}

Test(support_fake, greets_like_a_resp2_server_if_asked_to)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.resp2 = true, .tcp = true});
    redisContext *link = redisConnect("127.0.0.1", t_fake_port(fake));
    cr_assert(link != NULL && link->err == 0);
    redisReply *reply = redisCommand(link, "HELLO 3");
    cr_assert_eq(reply->type, REDIS_REPLY_ERROR);
    cr_assert(strncmp(reply->str, "NOPROTO", 7) == 0);
    freeReplyObject(reply);
    reply = redisCommand(link, "HELLO 2");
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
    reply = redisCommand(link, "SUBSCRIBE __redis__:invalidate");
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY);
    cr_assert_eq(reply->elements, 3);
    cr_assert_str_eq(reply->element[0]->str, "subscribe");
    freeReplyObject(reply);
    redisFree(link);
    t_fake_stop(fake);
}

Test(support_fake, the_latest_rule_wins_and_wildcards_fit)
{
    t_fake *fake = t_fake_start(NULL);
    const int fd = t_fake_pair(fake);
    t_fake_on(fake, "$-1\r\n", "GET", "*");
    t_fake_on(fake, ":-2\r\n", "PTTL", "...");
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "k");
    t_fake_on(fake, "-NOAUTH x\r\n", "PING");
    t_fake_on(fake, "", "CLIENT", "REPLY", "OFF");
    put(fd, "get k\r\nGET other\r\nPTTL a b c\r\nPTTL\r\nCLIENT REPLY OFF\r\nPING\r\n");
    assert_get(fd, "$1\r\nv\r\n$-1\r\n:-2\r\n:-2\r\n-NOAUTH x\r\n");
    assert_nothing(fd);
    put(fd, "GET K\r\n"); /* case matters in a key */
    assert_get(fd, "$-1\r\n");
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, without_rules_it_is_silent)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.no_rules = true});
    const int fd = t_fake_pair(fake);
    put(fd, "HELLO 3\r\n");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "HELLO", "3"));
    t_fake_say(fake, 1, "+by hand\r\n");
    assert_get(fd, "+by hand\r\n"); /* and nothing before it */
    (void)close(fd);
    t_fake_stop(fake);
}

/* ---- Scripts --------------------------------------------------------------------------------- */

Test(support_fake, a_script_runs_behind_the_greeting)
{
    static const t_step race[] = {
        T_EXPECT("GET", "k"),
        T_SYNC("asked"),
        T_SEND(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"),
        T_SEND("$3\r\nold\r\n"),
        T_EXPECT("SET", "k", "*"),
        T_SEND("+OK\r\n"),
        T_HANG_UP(),
    };
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, 1, race, T_STEPS(race));
    const int fd = t_net_connect((t_addr){.path = t_fake_path(fake)});
    put_command(fd, "CLIENT", "TRACKING", "ON");
    assert_get(fd, "+OK\r\n");
    put_command(fd, "GET", "k");
    put_command(fd, "PING");
    cr_assert(t_fake_wait_sync(fake, 1, "asked", SOON_MS));
    cr_assert_not(t_fake_wait_script(fake, 1, 0));
    assert_nothing(fd); /* the PING waits behind the GET, as in a server */
    t_fake_go(fake, 1, "asked");
    assert_get(fd, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n$3\r\nold\r\n+PONG\r\n");
    put_command(fd, "SET", "k", "any");
    assert_get(fd, "+OK\r\n");
    assert_end(fd);
    cr_assert(t_fake_wait_script(fake, 1, SOON_MS), "%s", t_fake_error(fake));
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, what_the_script_expects_is_not_for_the_rules)
{
    static const t_step refuse[] = {
        T_EXPECT("HELLO", "..."),
        T_SEND("-NOPERM no\r\n"),
    };
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, T_EVERY, refuse, T_STEPS(refuse));
    for (int i = 1; i <= 3; i++) { /* each connection from the beginning */
        const int fd = t_fake_pair(fake);
        put_command(fd, "HELLO", "3", "SETNAME", "x");
        assert_get(fd, "-NOPERM no\r\n");
        cr_assert(t_fake_wait_script(fake, i, SOON_MS));
        put_command(fd, "PING");
        assert_get(fd, "+PONG\r\n");
        (void)close(fd);
    }
    t_fake_stop(fake);
}

Test(support_fake, a_wrong_command_ends_the_script_and_is_told)
{
    static const t_step steps[] = {T_EXPECT("GET", "a"), T_SEND("+1\r\n"), T_EXPECT("GET", "b")};
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, 1, steps, T_STEPS(steps));
    const int fd = t_fake_pair(fake);
    put_command(fd, "GET", "a");
    put_command(fd, "GET", "c", "d");
    assert_get(fd, "+1\r\n");
    assert_end(fd);
    cr_assert_not(t_fake_wait_script(fake, 1, SOON_MS));
    cr_assert_str_eq(t_fake_error(fake), "connection 1, step 2: the script does not expect «GET c "
                                         "d»; it waits for «GET b»");
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, a_wrong_command_may_be_let_through)
{
    static const t_step steps[] = {T_EXPECT("GET", "b"), T_SEND("+b\r\n")};
    t_fake *fake = t_fake_start(&(t_fake_options){.no_script_error = true});
    t_fake_script(fake, 1, steps, T_STEPS(steps));
    const int fd = t_fake_pair(fake);
    put_command(fd, "GET", "a");
    put_command(fd, "GET", "b");
    assert_get(fd, "+b\r\n");
    cr_assert(t_fake_wait_script(fake, 1, SOON_MS));
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, an_open_gate_stops_nobody)
{
    static const t_step steps[] = {T_EXPECT("A"), T_SYNC("one"), T_SEND("1"), T_SYNC("two"),
                                   T_SEND("2")};
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, 1, steps, T_STEPS(steps));
    t_fake_go(fake, 1, "one"); /* before there is a connection */
    const int fd = t_fake_pair(fake);
    cr_assert_not(t_fake_wait_sync(fake, 1, "one", 0));
    put(fd, "A\r\n");
    assert_get(fd, "1");
    cr_assert(t_fake_wait_sync(fake, 1, "two", SOON_MS));
    cr_assert(t_fake_wait_sync(fake, 1, "one", SOON_MS));
    assert_nothing(fd);
    t_fake_go(fake, 1, "two");
    assert_get(fd, "2");
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, a_new_script_takes_over)
{
    static const t_step first[] = {T_EXPECT("A"), T_SEND("a")};
    static const t_step second[] = {T_SEND("hello"), T_EXPECT("B"), T_SEND("b")};
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, 1, first, T_STEPS(first));
    const int fd = t_fake_pair(fake);
    put(fd, "A\r\n");
    assert_get(fd, "a");
    t_fake_script(fake, 1, second, T_STEPS(second));
    assert_get(fd, "hello");
    put(fd, "B\r\n");
    assert_get(fd, "b");
    cr_assert(t_fake_wait_script(fake, 1, SOON_MS));
    (void)close(fd);
    t_fake_stop(fake);
}

/* ---- By hand --------------------------------------------------------------------------------- */

Test(support_fake, says_what_it_is_told_to_on_each_connection)
{
    t_fake *fake = t_fake_start(NULL);
    const int one = t_fake_pair(fake);
    const int two = t_fake_pair(fake);
    t_fake_say(fake, 2, "a\0b");
    char got[4] = "";
    cr_assert_eq(recv(two, got, sizeof got, 0), 3);
    cr_assert_eq(memcmp(got, "a\0b", 3), 0);
    assert_nothing(one);
    t_fake_say(fake, T_EVERY, "+all\r\n");
    assert_get(one, "+all\r\n");
    assert_get(two, "+all\r\n");
    t_fake_say(fake, 1, "+last\r\n");
    t_fake_close(fake, 1, false);
    assert_get(one, "+last\r\n");
    assert_end(one);
    cr_assert(t_fake_wait_closed(fake, 1, 0));
    cr_assert_not(t_fake_wait_closed(fake, 2, 0));
    (void)close(one);
    (void)close(two);
    t_fake_stop(fake);
}

/* More than the kernel takes at once: the rest follows when the client reads. */
Test(support_fake, sends_large_answers_without_stopping_for_them)
{
    enum { LEN = 4000000 };
    char *big = malloc(LEN);
    cr_assert_not_null(big);
    memset(big, 'x', LEN);
    t_fake *fake = t_fake_start(NULL);
    const int fd = t_fake_pair(fake);
    const int other = t_fake_pair(fake);
    t_fake_send(fake, 1, big, LEN);
    put(other, "PING\r\n");
    assert_get(other, "+PONG\r\n");
    cr_assert_eq(recv(fd, big, LEN, MSG_WAITALL), LEN);
    (void)close(fd);
    (void)close(other);
    t_fake_stop(fake);
    free(big);
}

Test(support_fake, refuses_and_resets)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.tcp = true});
    const t_addr addr = {.port = t_fake_port(fake)};
    t_fake_refuse(fake, true);
    cr_assert_lt(t_net_connect(addr), 0);
    cr_assert_eq(errno, ECONNREFUSED);
    t_fake_refuse(fake, false);
    const int fd = t_net_connect(addr);
    cr_assert_geq(fd, 0);
    cr_assert(t_fake_wait_accepted(fake, 1, SOON_MS));
    t_fake_close(fake, 1, true);
    char byte;
    cr_assert_lt(recv(fd, &byte, 1, 0), 0);
    cr_assert_eq(errno, ECONNRESET);
    (void)close(fd);
    t_fake_stop(fake);
}

/* ---- What it was told ------------------------------------------------------------------------ */

Test(support_fake, writes_commands_down_byte_by_byte)
{
    t_fake *fake = t_fake_start(NULL);
    const int fd = t_fake_pair(fake);
    static const char bytes[] =
        "*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n";
    for (size_t i = 0; i + 1 < sizeof bytes; i++) {
        cr_assert_eq(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
    }
    assert_get(fd, "+PONG\r\n");
    cr_assert_eq(t_fake_count(fake), 2);
    const t_fake_command set = t_fake_command_at(fake, 0);
    cr_assert_eq(set.conn, 1);
    cr_assert_eq(set.argc, 3);
    cr_assert(t_same_bytes("key", set.argv[1], set.lens[1], "a\0\r\n", 4));
    cr_assert_eq(set.lens[2], 0);
    cr_assert_eq(set.argv[1][4], '\0');
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, finds_and_counts_commands)
{
    t_fake *fake = t_fake_start(NULL);
    const int fd = t_fake_pair(fake);
    put(fd, "GET a\r\nget b\r\nGET a\r\nMGET a b\r\nPING\r\n");
    cr_assert(t_fake_wait_hits(fake, 1, SOON_MS, "PING"));
    cr_assert_eq(t_fake_hits(fake, "GET", "*"), 3);
    cr_assert_eq(t_fake_hits(fake, "GET", "a"), 2);
    cr_assert_eq(t_fake_hits(fake, "GET"), 0);
    cr_assert_eq(t_fake_hits(fake, "MGET", "..."), 1);
    cr_assert_eq(t_fake_hits(fake, "..."), 5);
    cr_assert_eq(t_fake_find(fake, 0, "GET", "a"), 0);
    cr_assert_eq(t_fake_find(fake, 1, "GET", "a"), 2);
    cr_assert_eq(t_fake_find(fake, 3, "GET", "a"), -1);
    cr_assert_not(t_fake_wait_hits(fake, 4, 0, "GET", "*"));
    (void)close(fd);
    t_fake_stop(fake);
}

Test(support_fake, tells_when_it_is_sent_no_command)
{
    static const char *const wrong[] = {"*1\r\n:1\r\n", "*x\r\n", "*1\r\n$2\r\nabc\r\n",
                                        "*1\r\n$99999999999\r\n", "*-1\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        t_fake *fake = t_fake_start(NULL);
        const int fd = t_fake_pair(fake);
        put(fd, wrong[i]);
        assert_end(fd);
        cr_assert_not_null(t_fake_error(fake), "%s", wrong[i]);
        (void)close(fd);
        t_fake_stop(fake);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

Test(support_fake, leaves_no_thread_and_no_descriptor)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    static const t_step stuck[] = {T_SYNC("never"), T_SEND("x")};
    t_fake *fake = t_fake_start(NULL);
    t_fake_script(fake, 1, stuck, T_STEPS(stuck));
    const int fd = t_fake_pair(fake);
    put(fd, "GET k\r\n");
    t_fake_stop(fake);
    (void)close(fd);
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, SOON_MS);
}

static void *ping_often(void *ud)
{
    t_fake *fake = ud;
    const int fd = t_net_connect((t_addr){.path = t_fake_path(fake)});
    for (int i = 0; i < 300; i++) {
        put(fd, "PING\r\n");
        assert_get(fd, "+PONG\r\n");
    }
    (void)close(fd);
    return NULL;
}

Test(support_fake, serves_many_at_a_time)
{
    t_fake *fake = t_fake_start(NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, ping_often, fake), 0);
    }
    for (int i = 0; i < 100; i++) {
        t_fake_on(fake, "+1\r\n", "X");
        (void)t_fake_hits(fake, "PING");
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_assert_eq(t_fake_hits(fake, "PING"), 1200);
    t_fake_stop(fake);
}
