/* bench/cluster_pipes.c - the least that a batch over several nodes can cost; see cluster.h.
 *
 * What a program does that knows all nodes and speaks to them itself: the commands of each node are
 * appended and written, node by node; then whichever node has answered is read. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>

#include "bench/cluster.h"
#include "support/check.h"

enum { NODES_MAX = 16 };

struct b_pipes {
    size_t n;
    redisContext *nodes[NODES_MAX];
    size_t awaited[NODES_MAX]; /* replies */
};

b_pipes *b_pipes_open(const int *ports, size_t n)
{
    b_pipes *pipes = calloc(1, sizeof *pipes);
    T_REQUIRE(pipes != NULL && n <= NODES_MAX);
    for (pipes->n = 0; pipes->n < n; pipes->n++) {
        redisContext *node = redisConnect("127.0.0.1", ports[pipes->n]);
        T_REQUIRE(node != NULL && node->err == 0);
        pipes->nodes[pipes->n] = node;
    }
    return pipes;
}

void b_pipes_close(b_pipes *pipes)
{
    for (size_t i = 0; i < pipes->n; i++) {
        redisFree(pipes->nodes[i]);
    }
    free(pipes);
}

static void write_all(redisContext *node)
{
    int done = 0;
    while (!done) {
        T_REQUIRE(redisBufferWrite(node, &done) == REDIS_OK);
    }
}

/* Takes the replies that have come. */
static void read_some(b_pipes *pipes, size_t i)
{
    void *reply = NULL;
    T_REQUIRE(redisBufferRead(pipes->nodes[i]) == REDIS_OK);
    while (pipes->awaited[i] > 0) {
        T_REQUIRE(redisGetReplyFromReader(pipes->nodes[i], &reply) == REDIS_OK);
        if (reply == NULL) {
            return;
        }
        T_REQUIRE(((redisReply *)reply)->type == REDIS_REPLY_STRING);
        freeReplyObject(reply);
        pipes->awaited[i]--;
    }
}

static bool wait_some(b_pipes *pipes)
{
    struct pollfd fds[NODES_MAX];
    size_t at[NODES_MAX], n = 0;
    for (size_t i = 0; i < pipes->n; i++) {
        if (pipes->awaited[i] > 0) {
            at[n] = i;
            fds[n++] = (struct pollfd){.fd = pipes->nodes[i]->fd, .events = POLLIN};
        }
    }
    if (n == 0) {
        return false;
    }
    T_REQUIRE(poll(fds, (nfds_t)n, 5000) > 0);
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents != 0) {
            read_some(pipes, at[i]);
        }
    }
    return true;
}

void b_pipes_get(b_pipes *pipes, const nkv_str *keys, const unsigned *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *argv[] = {"GET", keys[i].data};
        const size_t lens[] = {3, keys[i].len};
        T_REQUIRE(redisAppendCommandArgv(pipes->nodes[at[i]], 2, argv, lens) == REDIS_OK);
        pipes->awaited[at[i]]++;
    }
    for (size_t i = 0; i < pipes->n; i++) {
        if (pipes->awaited[i] > 0) {
            write_all(pipes->nodes[i]);
        }
    }
    while (wait_some(pipes)) {}
}
