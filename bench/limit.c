/* bench/limit.c - see limit.h. */

#include "bench/limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { PIECES_MAX = 48 /* of one call */ };

static const char *const verbs[] = {"SET", "GET", "EXISTS"};

/* Pieces of memory one behind the other; those of a value end where the next one's begin. */
typedef struct layout {
    struct iovec *pieces; /* as they are */
    struct iovec *rest;   /* as they are used up */
    size_t n;
} layout;

struct b_limit {
    int fd;
    const b_value *values;
    size_t n;
    char *text[3];    /* by b_verb: all commands; of SET without values */
    size_t *begin[3]; /* of value i's command in the text; begin[n] is the end */
    layout sent;      /* of SET: command, value, end of line */
    layout got;       /* of GET: head, value, end of line */
    char *heads;      /* where heads and ends of lines go */
    char *expected;   /* what they have to be */
};

b_limit *b_limit_open(t_addr address)
{
    b_limit *limit = calloc(1, sizeof *limit);
    T_REQUIRE(limit != NULL);
    limit->fd = t_net_connect(address);
    T_REQUIRE(limit->fd >= 0);
    return limit;
}

void b_limit_forget(b_limit *limit)
{
    for (int v = 0; v < 3; v++) {
        free(limit->text[v]);
        free(limit->begin[v]);
        limit->text[v] = NULL;
        limit->begin[v] = NULL;
    }
    free(limit->sent.pieces);
    free(limit->sent.rest);
    free(limit->got.pieces);
    free(limit->got.rest);
    free(limit->heads);
    free(limit->expected);
    limit->sent = limit->got = (layout){.n = 0};
    limit->heads = limit->expected = NULL;
    limit->values = NULL;
}

void b_limit_close(b_limit *limit)
{
    if (limit != NULL) {
        b_limit_forget(limit);
        (void)close(limit->fd);
        free(limit);
    }
}

/* ---- Laying out ------------------------------------------------------------------------------ */

enum { HEAD_MAX = 32 /* "$536870912\r\n" and "\r\n" */, COMMAND_MAX = 64 /* without the key */ };

static void *must(void *block)
{
    T_REQUIRE(block != NULL);
    return block;
}

static void write_commands(b_limit *limit, b_verb verb)
{
    size_t room = 1, at = 0;
    for (size_t i = 0; i < limit->n; i++) {
        room += limit->values[i].key.len + COMMAND_MAX;
    }
    char *text = must(malloc(room));
    size_t *begin = must(malloc((limit->n + 1) * sizeof *begin));
    for (size_t i = 0; i < limit->n; i++) {
        nkv_str key = limit->values[i].key;
        begin[i] = at;
        at += (size_t)snprintf(text + at, room - at, "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n",
                               verb == B_SET ? 3 : 2, strlen(verbs[verb]), verbs[verb], key.len);
        memcpy(text + at, key.data, key.len);
        at += key.len;
        at += (size_t)snprintf(text + at, room - at, "\r\n");
        if (verb == B_SET) {
            at += (size_t)snprintf(text + at, room - at, "$%zu\r\n", limit->values[i].len);
        }
    }
    begin[limit->n] = at;
    limit->text[verb] = text;
    limit->begin[verb] = begin;
}

static layout make_layout(size_t n)
{
    return (layout){.pieces = must(malloc(n * sizeof(struct iovec))),
                    .rest = must(malloc(n * sizeof(struct iovec))),
                    .n = n};
}

void b_limit_prepare(b_limit *limit, const b_value *values, size_t n)
{
    T_REQUIRE(n > 0 && n <= B_LIMIT_KEYS);
    if (limit->values == values && limit->n == n) {
        return;
    }
    b_limit_forget(limit);
    limit->values = values;
    limit->n = n;
    for (b_verb verb = B_SET; verb <= B_EXISTS; verb++) {
        write_commands(limit, verb);
    }
    limit->heads = must(calloc(n, HEAD_MAX));
    limit->expected = must(calloc(n, HEAD_MAX));
    limit->sent = make_layout(3 * n);
    limit->got = make_layout(3 * n);
    for (size_t i = 0; i < n; i++) {
        char *want = limit->expected + i * HEAD_MAX, *have = limit->heads + i * HEAD_MAX;
        struct iovec *sent = &limit->sent.pieces[3 * i], *got = &limit->got.pieces[3 * i];
        size_t len = (size_t)snprintf(want, HEAD_MAX, "$%zu\r\n\r\n", values[i].len) - 2;
        got[0] = (struct iovec){have, len};
        got[1] = sent[1] = (struct iovec){values[i].memory, values[i].len};
        got[2] = (struct iovec){have + len, 2};
        sent[0] = (struct iovec){limit->text[B_SET] + limit->begin[B_SET][i],
                                 limit->begin[B_SET][i + 1] - limit->begin[B_SET][i]};
        sent[2] = (struct iovec){want + len, 2};
    }
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* Sends or receives pieces first to last - 1 of a layout. */
static void move(int fd, layout *all, size_t first, size_t last, bool out)
{
    struct iovec *rest = all->rest;
    memcpy(rest + first, all->pieces + first, (last - first) * sizeof *rest);
    while (first < last) {
        size_t n = last - first < PIECES_MAX ? last - first : PIECES_MAX;
        struct msghdr message = {.msg_iov = rest + first, .msg_iovlen = n};
        ssize_t moved = out ? sendmsg(fd, &message, MSG_NOSIGNAL) : recvmsg(fd, &message, 0);
        T_REQUIRE(moved > 0);
        size_t left = (size_t)moved;
        while (first < last && left >= rest[first].iov_len) {
            left -= rest[first++].iov_len;
        }
        if (left > 0) {
            rest[first].iov_base = (char *)rest[first].iov_base + left;
            rest[first].iov_len -= left;
        }
    }
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        T_REQUIRE(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

/* Receives the same short answer for each value. */
static void answers(const b_limit *limit, const char *each)
{
    char text[4096];
    size_t len = strlen(each), left = limit->n * len, at = 0;
    while (left > 0) {
        ssize_t n = recv(limit->fd, text, left < sizeof text ? left : sizeof text, 0);
        T_REQUIRE(n > 0);
        for (ssize_t i = 0; i < n; i++, at++) {
            T_REQUIRE(text[i] == each[at % len]);
        }
        left -= (size_t)n;
    }
}

/* The first value behind `i` that does not fit into a window with those from i on. */
static size_t window_end(const b_limit *limit, size_t i)
{
    size_t bytes = 0;
    do {
        bytes += limit->values[i++].len;
    } while (i < limit->n && bytes < B_LIMIT_WINDOW);
    return i;
}

static void ask(const b_limit *limit, size_t first, size_t last)
{
    const size_t *begin = limit->begin[B_GET];
    send_all(limit->fd, limit->text[B_GET] + begin[first], begin[last] - begin[first]);
}

static void get(b_limit *limit)
{
    size_t asked = window_end(limit, 0), got = 0;
    ask(limit, 0, asked);
    while (got < limit->n) {
        size_t next = asked;
        if (asked < limit->n) {
            asked = window_end(limit, asked);
            ask(limit, next, asked);
        }
        move(limit->fd, &limit->got, 3 * got, 3 * next, false);
        got = next;
    }
    T_REQUIRE(memcmp(limit->heads, limit->expected, limit->n * HEAD_MAX) == 0);
}

void b_limit_run(b_limit *limit, b_verb verb)
{
    switch (verb) {
    case B_SET:
        move(limit->fd, &limit->sent, 0, limit->sent.n, true);
        answers(limit, "+OK\r\n");
        return;
    case B_GET:
        get(limit);
        return;
    case B_EXISTS:
        send_all(limit->fd, limit->text[B_EXISTS], limit->begin[B_EXISTS][limit->n]);
        answers(limit, ":1\r\n");
        return;
    }
}
