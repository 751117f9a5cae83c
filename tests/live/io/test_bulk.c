/* tests/live/io/test_bulk.c - bulk lanes on real servers: sizes, errors by key, deadlines, loss. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/bulk.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/proxy.h"
#include "support/server.h"

enum { SOON_MS = 20000, OPS_MAX = 2000 };

/* One operation of a test, and what became of it. */
typedef struct ask {
    nkvi_bulk_op op;
    char head[160];
    char *room;
    size_t cap, offered;
    _Atomic int done;
    nkv_status status;
    nkv_type type;
    int64_t integer;
    size_t len;
    bool in_place;
    char text[96];
    _Atomic int *order; /* NULL: not asked for */
    int nth;            /* of all that ended */
} ask;

static char *room(nkvi_bulk_op *op, size_t len)
{
    ask *a = NKVI_CONTAINER(op, ask, op);
    a->offered = len;
    return len <= a->cap ? a->room : NULL;
}

static void done(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error)
{
    ask *a = NKVI_CONTAINER(op, ask, op);
    a->status = status;
    if (reply != NULL) {
        a->type = reply->type;
        a->integer = reply->integer;
        a->len = reply->len;
        a->in_place = reply->str != NULL && reply->str == a->room;
    }
    if (error != NULL) {
        (void)snprintf(a->text, sizeof a->text, "%.90s", error->text);
    }
    if (a->order != NULL) {
        a->nth = atomic_fetch_add(a->order, 1);
    }
    atomic_fetch_add(&a->done, 1);
}

static nkvi_bulk *open_pool(const char *path, unsigned lanes)
{
    const nkvi_bulk_config config = {.endpoint = {.path = path},
                                     .lanes = lanes,
                                     .connect_timeout_ms = 2000,
                                     .backoff_min_ms = 1,
                                     .backoff_max_ms = 20,
                                     .reply_bytes_max = 1 << 30,
                                     .window_bytes = 8 << 20};
    nkvi_bulk *bulk = NULL;
    nkv_error error;
    T_REQUIRE(nkvi_bulk_create(&config, &bulk, &error) == NKV_OK);
    return bulk;
}

static ask *new_ask(nkvi_priority priority, int64_t timeout_ms)
{
    ask *a = calloc(1, sizeof *a);
    T_REQUIRE(a != NULL);
    a->op.priority = priority;
    a->op.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms);
    a->op.room = room;
    a->op.done = done;
    return a;
}

static ask *get_of(const char *key, size_t cap)
{
    ask *a = new_ask(NKVI_GET, SOON_MS);
    int len =
        snprintf(a->head, sizeof a->head, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
    a->op.parts[0] = nkv_str_make(a->head, (size_t)len);
    a->cap = cap;
    a->room = malloc(cap + 1);
    T_REQUIRE(a->room != NULL);
    a->op.expect = cap;
    return a;
}

static ask *set_of(const char *key, const char *value, size_t len)
{
    ask *a = new_ask(NKVI_PUT, SOON_MS);
    int n = snprintf(a->head, sizeof a->head, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
                     strlen(key), key, len);
    a->op.parts[0] = nkv_str_make(a->head, (size_t)n);
    a->op.parts[1] = nkv_str_make(value, len);
    a->op.parts[2] = nkv_cstr("\r\n");
    return a;
}

static ask *command_of(nkvi_priority priority, const char *line)
{
    ask *a = new_ask(priority, SOON_MS);
    int n = snprintf(a->head, sizeof a->head, "%s\r\n", line); /* an inline command */
    a->op.parts[0] = nkv_str_make(a->head, (size_t)n);
    return a;
}

static void submit(nkvi_bulk *bulk, ask *a)
{
    nkvi_bulk_op *op = &a->op;
    nkvi_bulk_submit(bulk, &op, 1);
}

static ask *run(nkvi_bulk *bulk, ask *a)
{
    submit(bulk, a);
    T_WAIT_UNTIL(atomic_load(&a->done) > 0, 2 * SOON_MS);
    return a;
}

static void drop(ask *a)
{
    cr_assert_eq(atomic_load(&a->done), 1, "done %d times", atomic_load(&a->done));
    free(a->room);
    free(a);
}

static char *bytes_of(size_t len, unsigned seed)
{
    char *bytes = malloc(len + 1);
    T_REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)((i * 2654435761u + seed) >> 13);
    }
    return bytes;
}

T_LIVE(io_bulk, values_of_every_size_there_and_back_in_place)
{
    static const size_t sizes[] = {0,     1,     2,       100,           65534,
                                   65535, 65536, 1 << 20, (4 << 20) + 1, 32 << 20};
    nkvi_bulk *bulk = open_pool(t_server_path(server), 4);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *value = bytes_of(sizes[i], (unsigned)i);
        ask *put = run(bulk, set_of("big", value, sizes[i]));
        cr_assert(put->status == NKV_OK && put->type == NKV_TYPE_STATUS, "%s", put->text);
        drop(put);
        ask *get = run(bulk, get_of("big", sizes[i]));
        cr_assert(get->status == NKV_OK && get->type == NKV_TYPE_STRING, "%s", get->text);
        cr_assert(get->len == sizes[i] && get->offered == sizes[i] && get->in_place);
        cr_assert_eq(memcmp(get->room, value, sizes[i]), 0, "size %zu", sizes[i]);
        drop(get);
        free(value);
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_lt(info.copied, 10u * 70000, "%llu bytes of 37 MiB came through a buffer",
                 (unsigned long long)info.copied);
    nkvi_bulk_destroy(bulk);
}

/* I9: what is wrong with one key is told of that key; the others get their answers. */
T_LIVE(io_bulk, i9_errors_and_misses_leave_the_stream_aligned)
{
    enum { N = 400 };
    t_ctl *ctl = t_ctl_open(server);
    nkvi_bulk *bulk = open_pool(t_server_path(server), 2);
    char *value = bytes_of(100000, 7);
    t_ctl_ok(ctl, "RPUSH", "list", "x");
    drop(run(bulk, set_of("there", value, 100000)));
    ask *asks[N];
    for (int i = 0; i < N; i++) {
        static const char *const keys[] = {"there", "none", "list", "there"};
        asks[i] = get_of(keys[i % 4], i % 4 == 3 ? 50 : 100000); /* the last one lends too little */
        submit(bulk, asks[i]);
    }
    for (int i = 0; i < N; i++) {
        T_WAIT_UNTIL(atomic_load(&asks[i]->done) > 0, SOON_MS);
        switch (i % 4) {
        case 0:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->in_place);
            cr_assert_eq(memcmp(asks[i]->room, value, 100000), 0);
            break;
        case 1:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->type == NKV_TYPE_NIL);
            break;
        case 2:
            cr_assert_eq(asks[i]->status, NKV_EREPLY);
            cr_assert_not_null(strstr(asks[i]->text, "WRONGTYPE"));
            break;
        default:
            cr_assert(asks[i]->status == NKV_OK && asks[i]->len == 100000 && !asks[i]->in_place);
        }
        drop(asks[i]);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
    t_ctl_close(ctl);
}

/* Behaviour 20: a question behind 500 large writes is answered before they are half done. */
T_LIVE(io_bulk, case_20_a_peek_overtakes_large_puts)
{
    enum { PUTS = 500, BYTES = 256 << 10 };
    nkvi_bulk *bulk = open_pool(t_server_path(server), 4);
    char *value = bytes_of(BYTES, 3);
    _Atomic int order = 0;
    static ask *puts[PUTS];
    static nkvi_bulk_op *ops[PUTS];
    for (int i = 0; i < PUTS; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%d", i);
        puts[i] = set_of(key, value, BYTES);
        puts[i]->order = &order;
        ops[i] = &puts[i]->op;
    }
    nkvi_bulk_submit(bulk, ops, PUTS);
    ask *peek = command_of(NKVI_PEEK, "EXISTS k0");
    peek->order = &order;
    run(bulk, peek);
    cr_assert_eq(peek->status, NKV_OK);
    cr_assert_lt(peek->nth, PUTS / 2, "answered behind %d of %d", peek->nth, PUTS);
    drop(peek);
    for (int i = 0; i < PUTS; i++) {
        T_WAIT_UNTIL(atomic_load(&puts[i]->done) > 0, SOON_MS);
        cr_assert_eq(puts[i]->status, NKV_OK, "%s", puts[i]->text);
        drop(puts[i]);
    }
    free(value);
    nkvi_bulk_destroy(bulk);
}

/* Nobody starves: what is of the lowest priority has its turn while others go on coming. */
T_LIVE(io_bulk, the_lowest_priority_has_its_turn)
{
    enum { PEEKS = 1000 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = open_pool(t_proxy_path(proxy), 1);
    drop(run(bulk, command_of(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS); /* all of them wait in one window and one queue */
    _Atomic int order = 0;
    static ask *peeks[PEEKS];
    for (int i = 0; i < PEEKS; i++) {
        peeks[i] = command_of(NKVI_PEEK, "PING");
        peeks[i]->order = &order;
        submit(bulk, peeks[i]);
    }
    ask *put = set_of("k", "v", 1);
    put->order = &order;
    submit(bulk, put);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    T_WAIT_UNTIL(atomic_load(&put->done) > 0, SOON_MS);
    cr_assert_lt(put->nth, PEEKS / 2, "the write came behind %d of %d", put->nth, PEEKS);
    drop(put);
    for (int i = 0; i < PEEKS; i++) {
        T_WAIT_UNTIL(atomic_load(&peeks[i]->done) > 0, SOON_MS);
        drop(peeks[i]);
    }
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* After done() nobody touches the memory, and the stream goes on. */
T_LIVE(io_bulk, a_deadline_in_the_middle_of_a_string)
{
    enum { BYTES = 4 << 20 };
    t_ctl *ctl = t_ctl_open(server);
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = open_pool(t_proxy_path(proxy), 1);
    char *value = bytes_of(BYTES, 5);
    drop(run(bulk, set_of("big", value, BYTES)));
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 4 << 20); /* it would take a second */
    ask *get = get_of("big", BYTES);
    get->op.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), 200);
    run(bulk, get);
    cr_assert_eq(get->status, NKV_ETIMEDOUT);
    cr_assert_gt(get->offered, 0, "the string had begun");
    memset(get->room, '#', BYTES);
    t_proxy_bandwidth(proxy, T_EVERY, T_TO_CLIENT, 0);
    ask *next = run(bulk, command_of(NKVI_GET, "ECHO aligned"));
    cr_assert(next->status == NKV_OK && next->len == 7, "%s", next->text);
    for (int i = 0; i < BYTES; i++) {
        cr_assert_eq(get->room[i], '#', "byte %d was written after the end", i);
    }
    nkvi_bulk_info info;
    nkvi_bulk_get_info(bulk, &info);
    cr_assert_eq(info.connections, 1, "the connection was kept");
    drop(get);
    drop(next);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* A request that is half written cannot be called back: the connection ends, what was behind it is
 * asked again on a new one. */
T_LIVE(io_bulk, a_deadline_in_the_middle_of_a_request)
{
    enum { BYTES = 32 << 20 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = open_pool(t_proxy_path(proxy), 1);
    drop(run(bulk, command_of(NKVI_PEEK, "PING")));
    t_proxy_hold(proxy, T_EVERY, T_TO_SERVER);
    char *value = bytes_of(BYTES, 5);
    ask *put = set_of("big", value, BYTES);
    put->op.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), 300);
    ask *get = get_of("other", 10);
    get->op.expect = 0;
    submit(bulk, put);
    submit(bulk, get);
    T_WAIT_UNTIL(atomic_load(&put->done) > 0, SOON_MS);
    cr_assert_eq(put->status, NKV_ETIMEDOUT, "%s", put->text);
    memset(value, 0, BYTES);
    t_proxy_release(proxy, T_EVERY, T_TO_SERVER);
    T_WAIT_UNTIL(atomic_load(&get->done) > 0, SOON_MS);
    cr_assert(get->status == NKV_OK && get->type == NKV_TYPE_NIL, "%s", get->text);
    ask *exists = run(bulk, command_of(NKVI_PEEK, "EXISTS big"));
    cr_assert(exists->status == NKV_OK && exists->integer == 0, "half a value was stored");
    drop(put);
    drop(get);
    drop(exists);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Behaviour 13: every operation ends when connections are cut, and later ones connect again. */
T_LIVE(io_bulk, case_13_cut_connections_end_everything_once)
{
    enum { ROUNDS = 20, N = 64 };
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkvi_bulk *bulk = open_pool(t_proxy_path(proxy), 4);
    char *value = bytes_of(20000, 1);
    drop(run(bulk, set_of("k", value, 20000)));
    int good = 0;
    for (int round = 0; round < ROUNDS; round++) {
        ask *asks[N];
        for (int i = 0; i < N; i++) {
            asks[i] = get_of("k", 20000);
            submit(bulk, asks[i]);
            if (i == N / 2) {
                t_proxy_cut(proxy, T_EVERY, round % 2 == 0 ? T_FIN : T_RST);
            }
        }
        for (int i = 0; i < N; i++) {
            T_WAIT_UNTIL(atomic_load(&asks[i]->done) > 0, SOON_MS);
            cr_assert(asks[i]->status == NKV_OK || asks[i]->status == NKV_ECONN, "%s",
                      asks[i]->text);
            good += asks[i]->status == NKV_OK && memcmp(asks[i]->room, value, 20000) == 0;
            drop(asks[i]);
        }
    }
    cr_assert_gt(good, ROUNDS, "hardly any was answered: %d", good);
    free(value);
    nkvi_bulk_destroy(bulk);
    t_proxy_stop(proxy);
}

/* Behaviour 14: nothing is left open, and nothing is left. */
T_LIVE(io_bulk, case_14_destroy_ends_what_is_open)
{
    enum { N = 500 };
    const int fds = t_fd_count(), threads = t_thread_count();
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const int fds_with_proxy = t_fd_count(), threads_with_proxy = t_thread_count();
    nkvi_bulk *bulk = open_pool(t_proxy_path(proxy), 3);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    static ask *asks[N];
    for (int i = 0; i < N; i++) {
        asks[i] = get_of("k", 10);
        submit(bulk, asks[i]);
    }
    nkvi_bulk_destroy(bulk);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(asks[i]->status, NKV_ECLOSED, "%s", asks[i]->text);
        drop(asks[i]);
    }
    cr_assert_eq(t_thread_count(), threads_with_proxy);
    T_WAIT_UNTIL(t_fd_count() <= fds_with_proxy + 6, SOON_MS); /* the proxy's side of three */
    t_proxy_stop(proxy);
    cr_assert(t_fd_count() == fds && t_thread_count() == threads);
}

T_LIVE(io_bulk, a_server_that_is_not_there)
{
    (void)server;
    nkvi_bulk *bulk = open_pool("/nowhere/at/all.sock", 2);
    ask *get = run(bulk, get_of("k", 10));
    cr_assert_eq(get->status, NKV_ECONN);
    cr_assert_not_null(strstr(get->text, "/nowhere/at/all.sock"), "%s", get->text);
    drop(get);
    nkvi_bulk_destroy(bulk);
}
