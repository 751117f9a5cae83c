/* bench/bench_bulk.c - bulk lanes beside the least that moving the bytes can cost, in one run.
 *
 *      limit      one connection; GET: all commands written, answers received by recv() straight
 *                 into the buffers, whose sizes are known; SET: sendmsg() of header and value
 *      one, four  the pool with so many lanes
 *      per key    hiredis, one command after the other, the value copied to its place
 *
 * Each round runs every variant once; shown are the medians of the rounds in MB/s and the medians
 * of the ratios to the limit within a round. Server: a private redis on a unix socket.
 *
 *      bench_bulk [ROUNDS]        5 rounds */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "io/bulk.h"
#include "tests/support/check.h"
#include "tests/support/server.h"

enum { ROUNDS_MAX = 31, KEYS_MAX = 4096, VARIANTS = 4, HEAD = 64 };

typedef struct shape {
    const char *name;
    size_t bytes;
    unsigned keys;
} shape;

static const shape shapes[] = {{"2 KiB x 128", 2 << 10, 128},
                               {"64 KiB x 256", 64 << 10, 256},
                               {"1 MiB x 100", 1 << 20, 100},
                               {"4 MiB x 50", 4 << 20, 50},
                               {"32 MiB x 8", 32 << 20, 8}};

static const char *const variants[VARIANTS] = {"limit", "one", "four", "per key"};

typedef struct item {
    nkvi_bulk_op op;
    char head[HEAD];
    char *memory;
} item;

static item items[KEYS_MAX];
static const shape *now;
static const char *path;
static _Atomic unsigned left;

/* ---- The pool -------------------------------------------------------------------------------- */

static char *room(nkvi_bulk_op *op, size_t len)
{
    return len == now->bytes ? NKVI_CONTAINER(op, item, op)->memory : NULL;
}

static void done(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error)
{
    bool put = op->priority == NKVI_PUT;
    if (status != NKV_OK || (!put && reply->len != now->bytes)) {
        T_DIE("an operation failed: %s", error != NULL ? error->text : "another length");
    }
    atomic_fetch_sub(&left, 1);
}

static size_t head_of(char *head, unsigned key, bool put)
{
    char name[24];
    int len = snprintf(name, sizeof name, "bench:key:%u", key);
    int n = put ? snprintf(head, HEAD, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n", len, name,
                           now->bytes)
                : snprintf(head, HEAD, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len, name);
    return (size_t)n;
}

static nkvi_bulk *open_pool(unsigned lanes)
{
    const nkvi_bulk_config config = {.endpoint = {.path = path},
                                     .lanes = lanes,
                                     .connect_timeout_ms = 5000,
                                     .backoff_min_ms = 1,
                                     .backoff_max_ms = 100,
                                     .reply_bytes_max = 1 << 30,
                                     .window_bytes = 4 << 20};
    nkvi_bulk *bulk;
    T_REQUIRE(nkvi_bulk_create(&config, &bulk, NULL) == NKV_OK);
    return bulk;
}

static void run_pool(nkvi_bulk *bulk, bool put)
{
    static nkvi_bulk_op *ops[KEYS_MAX];
    for (unsigned i = 0; i < now->keys; i++) {
        item *it = &items[i];
        it->op = (nkvi_bulk_op){.priority = put ? NKVI_PUT : NKVI_GET,
                                .parts = {nkv_str_make(it->head, head_of(it->head, i, put))},
                                .expect = put ? 0 : now->bytes,
                                .deadline_ns = NKVI_NEVER,
                                .room = room,
                                .done = done};
        if (put) {
            it->op.parts[1] = nkv_str_make(it->memory, now->bytes);
            it->op.parts[2] = nkv_cstr("\r\n");
        }
        ops[i] = &it->op;
    }
    atomic_store(&left, now->keys);
    nkvi_bulk_submit(bulk, ops, now->keys);
    while (atomic_load(&left) > 0) {
        t_sleep_us(20);
    }
}

/* ---- The limit ------------------------------------------------------------------------------- */

static int connect_bare(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    T_REQUIRE(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    T_REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void receive(int fd, char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, data, len, 0);
        T_REQUIRE(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

static void limit_get(int fd)
{
    static char commands[KEYS_MAX * HEAD];
    char head[32], end[2];
    size_t len = 0;
    for (unsigned i = 0; i < now->keys; i++) {
        len += head_of(commands + len, i, false);
    }
    T_REQUIRE(send(fd, commands, len, MSG_NOSIGNAL) == (ssize_t)len);
    size_t head_len = (size_t)snprintf(head, sizeof head, "$%zu\r\n", now->bytes);
    for (unsigned i = 0; i < now->keys; i++) {
        receive(fd, head, head_len);
        receive(fd, items[i].memory, now->bytes);
        receive(fd, end, 2);
    }
}

static void limit_set(int fd)
{
    char ok[5];
    for (unsigned i = 0; i < now->keys; i++) {
        struct iovec pieces[3] = {{items[i].head, head_of(items[i].head, i, true)},
                                  {items[i].memory, now->bytes},
                                  {(void *)(uintptr_t) "\r\n", 2}};
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
        size_t total = pieces[0].iov_len + now->bytes + 2;
        while (total > 0) {
            ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
            T_REQUIRE(n > 0);
            total -= (size_t)n;
            for (size_t left_over = (size_t)n; left_over > 0;) {
                size_t part = message.msg_iov->iov_len;
                part = part < left_over ? part : left_over;
                message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + part;
                message.msg_iov->iov_len -= part;
                left_over -= part;
                if (message.msg_iov->iov_len == 0) {
                    message.msg_iov++;
                    message.msg_iovlen--;
                }
            }
        }
    }
    for (unsigned i = 0; i < now->keys; i++) {
        receive(fd, ok, sizeof ok);
    }
}

/* ---- One key after the other ----------------------------------------------------------------- */

static void per_key(redisContext *context, bool put)
{
    for (unsigned i = 0; i < now->keys; i++) {
        redisReply *reply =
            put ? redisCommand(context, "SET bench:key:%u %b", i, items[i].memory, now->bytes)
                : redisCommand(context, "GET bench:key:%u", i);
        T_REQUIRE(reply != NULL && reply->type != REDIS_REPLY_ERROR);
        if (!put) {
            T_REQUIRE(reply->len == now->bytes);
            memcpy(items[i].memory, reply->str, reply->len);
        }
        freeReplyObject(reply);
    }
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

typedef struct bench {
    int fd;
    nkvi_bulk *pools[2];
    redisContext *context;
} bench;

static double run(bench *b, unsigned variant, bool put)
{
    int64_t begin_ns = nkvi_now_ns();
    switch (variant) {
    case 0:
        (put ? limit_set : limit_get)(b->fd);
        break;
    case 1:
    case 2:
        run_pool(b->pools[variant - 1], put);
        break;
    default:
        per_key(b->context, put);
    }
    double seconds = (double)(nkvi_now_ns() - begin_ns) * 1e-9;
    return (double)now->bytes * now->keys / seconds / 1e6;
}

static void show(bench *b, bool put, size_t rounds)
{
    double rate[VARIANTS][ROUNDS_MAX], ratio[VARIANTS][ROUNDS_MAX];
    for (size_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < VARIANTS; i++) {
            unsigned v = (unsigned)((round + i) % VARIANTS); /* none is always the first */
            rate[v][round] = run(b, v, put);
        }
        for (unsigned v = 0; v < VARIANTS; v++) {
            ratio[v][round] = rate[v][round] / rate[0][round];
        }
    }
    printf("%-4s %-14s", put ? "SET" : "GET", now->name);
    for (unsigned v = 0; v < VARIANTS; v++) {
        char name[64];
        double x = b_median(ratio[v], rounds);
        printf(" %9.0f (%4.2f)", b_median(rate[v], rounds), x);
        (void)snprintf(name, sizeof name, "bulk_%s_%zu_%s", put ? "set" : "get", now->bytes,
                       variants[v]);
        b_result(name, x, "x", false);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_bulk: rounds are from 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    t_server *server = t_server_start(&(t_server_options){.kind = "redis"});
    path = t_server_path(server);
    b_results_open();
    bench b = {.fd = connect_bare(),
               .pools = {open_pool(1), open_pool(4)},
               .context = redisConnectUnix(path)};
    T_REQUIRE(b.context != NULL && b.context->err == 0);
    printf("MB/s (× limit)     ");
    for (unsigned v = 0; v < VARIANTS; v++) {
        printf(v == 0 ? "%10s" : "%17s", variants[v]);
    }
    printf("\n");
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        now = &shapes[s];
        for (unsigned i = 0; i < now->keys; i++) {
            items[i].memory = malloc(now->bytes + 2);
            T_REQUIRE(items[i].memory != NULL);
            memset(items[i].memory, (int)('a' + i % 26), now->bytes);
        }
        show(&b, true, rounds);
        show(&b, false, rounds);
        for (unsigned i = 0; i < now->keys; i++) {
            free(items[i].memory);
        }
    }
    (void)close(b.fd);
    nkvi_bulk_destroy(b.pools[0]);
    nkvi_bulk_destroy(b.pools[1]);
    redisFree(b.context);
    b_results_close();
    t_server_stop(server);
    return 0;
}
