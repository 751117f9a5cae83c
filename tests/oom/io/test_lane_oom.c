/* tests/oom/io/test_lane_oom.c - the i-th allocation fails, for every i of a whole life: loop,
 * cache owner, lane, greeting, a small and a large reply, a push, the end.
 *
 * Whoever is refused is told so and may try again; the second try must do. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/cache.h"
#include "io/lane.h"
#include "support/check.h"
#include "support/peer.h"

#define LARGE 100000

/* ---- A server that knows enough -------------------------------------------------------------- */

static t_peer *peer;
static char large[LARGE + 32];
static size_t large_len;

/* The lane may have hung up: nobody's fault. */
static void say(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    ssize_t n;
    while (len > 0 && (n = send(fd, at, len, MSG_NOSIGNAL)) > 0) {
        at += n;
        len -= (size_t)n;
    }
}

/* Answers a command by its first letters; each comes in one piece, so small are they. */
static void answer(int fd, const char *command)
{
    static const char replies[] =
        "$1\r\nv\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n*2\r\n:1\r\n$1\r\nx\r\n";
    if (strstr(command, "HELLO") != NULL) {
        say(fd, T_WELCOME, sizeof T_WELCOME - 1);
    } else if (strstr(command, "GET") != NULL) {
        say(fd, replies, sizeof replies - 1);
        say(fd, large, large_len);
    }
}

static void *serve(void *arg)
{
    char command[512];
    (void)arg;
    for (;;) {
        int fd = t_peer_accept(peer);
        ssize_t n;
        while ((n = recv(fd, command, sizeof command - 1, 0)) > 0) {
            command[n] = '\0';
            if (strstr(command, "QUIT") != NULL) {
                t_peer_close(fd);
                return NULL;
            }
            answer(fd, command);
        }
        t_peer_close(fd);
    }
}

/* ---- A client that tries again --------------------------------------------------------------- */

typedef struct ask {
    nkvi_request request;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    unsigned replies;
    bool done;
    nkv_status status;
} ask;

static _Atomic unsigned pushes;

static void on_push(void *ud, const nkv_reply *push)
{
    (void)ud;
    pushes += push->elements == 2;
}

static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    static const nkv_type types[] = {NKV_TYPE_STRING, NKV_TYPE_ARRAY, NKV_TYPE_STRING};
    ((ask *)request)->replies += reply->root.type == types[index];
    nkvi_draft_clear(reply);
}

static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    ask *a = (ask *)request;
    (void)error;
    pthread_mutex_lock(&a->mu);
    a->status = status;
    a->done = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->mu);
}

static nkv_status get(nkvi_lane *lane)
{
    ask a = {.request = {.replies = 3, .on_reply = on_reply, .on_done = on_done}};
    nkvi_buf bytes;
    nkv_error error;
    nkvi_buf_init(&bytes);
    nkvi_buf_text(&bytes, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    a.request.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), 10000);
    pthread_mutex_init(&a.mu, NULL);
    pthread_cond_init(&a.changed, NULL);
    nkv_status status = nkvi_lane_submit(lane, &a.request, &bytes, NKVI_SUBMIT_WAIT, &error);
    if (status == NKV_OK) {
        pthread_mutex_lock(&a.mu);
        while (!a.done) {
            pthread_cond_wait(&a.changed, &a.mu);
        }
        pthread_mutex_unlock(&a.mu);
        status = a.status;
        cr_assert(status != NKV_OK || a.replies == 3);
    }
    pthread_cond_destroy(&a.changed);
    pthread_mutex_destroy(&a.mu);
    return status;
}

typedef struct life {
    nkvi_loop *loop;
    nkvi_lane *lane;
    nkv_cache *cache;
    nkvi_owner *owner;
    nkv_status status;
} life;

static void create(void *ud)
{
    life *l = ud;
    nkv_error error;
    nkvi_lane_config config = {.endpoint = {.path = t_peer_path(peer), .client_name = "rig"},
                               .handler = {.on_push = on_push},
                               .cache = l->cache,
                               .owner = l->owner,
                               .connect_timeout_ms = 10000,
                               .max_idle_ms = 60000,
                               .backoff_min_ms = 1,
                               .backoff_max_ms = 1,
                               .reply_bytes_max = 1 << 20};
    l->status = nkvi_lane_create(l->loop, &config, &l->lane, &error);
    if (l->status == NKV_OK) {
        nkvi_lane_start(l->lane);
    }
}

static void destroy(void *ud)
{
    nkvi_lane_destroy(((life *)ud)->lane);
}

/* NKV_OK, or NKV_ENOMEM if something could not be made; anything else is a failure of the test. */
static nkv_status live(void)
{
    life l = {0};
    nkv_error error;
    if (nkvi_loop_create(NULL, &l.loop, &error) != NKV_OK) {
        return error.status;
    }
    l.status = nkv_cache_create(NULL, &l.cache, &error);
    l.owner = l.status == NKV_OK ? nkvi_cache_owner_open(l.cache, NULL) : NULL;
    l.status = l.owner == NULL ? NKV_ENOMEM : NKV_OK;
    if (l.status == NKV_OK) {
        nkvi_loop_call(l.loop, create, &l);
    }
    if (l.lane != NULL) {
        nkv_status first = get(l.lane);
        cr_assert(first == NKV_OK || first == NKV_ENOMEM, "%d", (int)first);
        cr_assert(first == NKV_OK || get(l.lane) == NKV_OK, "the second try must do");
        nkvi_loop_call(l.loop, destroy, &l);
    }
    nkvi_loop_destroy(l.loop);
    if (l.owner != NULL) {
        nkvi_cache_owner_close(l.cache, l.owner);
    }
    nkv_cache_release(l.cache);
    return l.status;
}

/* ---- Every allocation once ------------------------------------------------------------------- */

static _Atomic size_t allocations;
static size_t refuse;

static bool gate(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return allocations++ != refuse;
}

Test(io_lane_oom, every_allocation_may_fail, .timeout = 60)
{
    pthread_t server;
    size_t survived = 0;
    large_len = (size_t)snprintf(large, sizeof large, "$%d\r\n", LARGE);
    memset(large + large_len, 'x', LARGE);
    memcpy(large + large_len + LARGE, "\r\n", 2);
    large_len += LARGE + 2;
    peer = t_peer_listen();
    T_REQUIRE(pthread_create(&server, NULL, serve, NULL) == 0);
    int fds = t_fd_count();
    for (bool refused = true; refused; refuse++) {
        allocations = 0;
        nkvi_mem_set_gate(gate, NULL);
        nkv_status status = live();
        nkvi_mem_set_gate(NULL, NULL);
        cr_assert(status == NKV_OK || status == NKV_ENOMEM, "allocation %zu: %d", refuse,
                  (int)status);
        survived += status == NKV_OK;
        refused = allocations > refuse;
        T_WAIT_UNTIL(t_fd_count() <= fds, 10000); /* the server's end closes a little later */
    }
    cr_assert_gt(refuse, 10);
    cr_assert_gt(survived, 5);
    cr_assert_gt(pushes, 0);
    int fd = t_peer_connect(peer);
    t_peer_send(fd, "QUIT");
    pthread_join(server, NULL);
    t_peer_close(fd);
    t_peer_free(peer);
}
