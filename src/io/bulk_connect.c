/* io/bulk_connect.c - how a bulk lane gets its connection: by waiting, on its own thread. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/bulk_impl.h"
#include "tracking/handshake.h"

#define POLL_MAX_MS 60000

static int wait_ms(int64_t until_ns)
{
    int64_t now_ns = nkvi_now_ns();
    if (until_ns <= now_ns) {
        return 0;
    }
    int64_t ms = (until_ns - now_ns + NKVI_NS_PER_MS - 1) / NKVI_NS_PER_MS;
    return ms < POLL_MAX_MS ? (int)ms : POLL_MAX_MS;
}

short nkvi_bulk_wait(nkvi_bulk_lane *lane, short events, int64_t until_ns)
{
    struct pollfd fds[2] = {{.fd = lane->wake, .events = POLLIN},
                            {.fd = lane->wire.fd, .events = events}};
    nfds_t n = lane->wire.context != NULL ? 2 : 1;
    if (poll(fds, n, wait_ms(until_ns)) <= 0) {
        return 0;
    }
    if (fds[0].revents != 0) {
        uint64_t count;
        (void)!read(lane->wake, &count, sizeof count);
    }
    return n == 2 ? fds[1].revents : 0;
}

/* Waits for the socket; keeps the queue's deadlines meanwhile. */
static bool wait_socket(nkvi_bulk_lane *lane, short events, int64_t until_ns, nkv_error *error)
{
    for (;;) {
        nkvi_bulk_view view;
        nkvi_bulk_glance(lane, &view);
        nkvi_bulk_end_late(lane->bulk, &view);
        if (view.closing || view.hangs_up) {
            nkvi_fail(error, view.closing ? NKV_ECLOSED : NKV_ECONN, "%s",
                      view.closing ? "the connections are being closed"
                                   : "the server is not asked any more");
            return false;
        }
        int64_t wake_ns = view.wake_ns < until_ns ? view.wake_ns : until_ns;
        if (nkvi_bulk_wait(lane, events, wake_ns) != 0) {
            return true;
        }
        if (nkvi_now_ns() >= until_ns) {
            nkvi_fail_errno(error, NKV_ECONN, ETIMEDOUT, "no connection within %lld ms",
                            (long long)lane->bulk->config.connect_timeout_ms);
            return false;
        }
    }
}

static bool send_all(nkvi_bulk_lane *lane, const nkvi_buf *bytes, int64_t until_ns,
                     nkv_error *error)
{
    for (size_t at = 0; at < bytes->len;) {
        ptrdiff_t n = nkvi_wire_write(&lane->wire, bytes->data + at, bytes->len - at);
        if (n < 0) {
            nkvi_fail_errno(error, NKV_ECONN, errno, "connection lost");
            return false;
        }
        at += (size_t)n;
        if (n == 0 && !wait_socket(lane, POLLOUT, until_ns, error)) {
            return false;
        }
    }
    return true;
}

/* The next reply that is no push. */
static bool next_reply(nkvi_bulk_lane *lane, nkvi_draft *draft, int64_t until_ns, nkv_error *error)
{
    for (;;) {
        nkv_status status = nkvi_reader_next(&lane->reader, draft, error);
        if (status == NKV_OK && draft->root.type != NKV_TYPE_PUSH) {
            return true;
        }
        nkvi_draft_clear(draft);
        if (status == NKV_OK) {
            continue;
        }
        char *data;
        size_t len;
        if (status != NKV_MISS || !nkvi_reader_space(&lane->reader, &data, &len)) {
            if (status == NKV_MISS) {
                nkvi_fail(error, NKV_ENOMEM, "out of memory for replies");
            }
            return false;
        }
        ptrdiff_t n = nkvi_wire_read(&lane->wire, data, len, error);
        if (n < 0 || (n == 0 && !wait_socket(lane, POLLIN, until_ns, error))) {
            return false;
        }
        nkvi_reader_fed(&lane->reader, (size_t)n);
    }
}

/* Sends what the handshake wants to be sent and wipes it: the password is among it. */
static bool say(nkvi_bulk_lane *lane, nkvi_buf *out, int64_t until_ns, nkv_error *error)
{
    bool sent = !out->failed && send_all(lane, out, until_ns, error);
    if (out->failed) {
        nkvi_fail(error, NKV_ENOMEM, "out of memory for the handshake");
    }
    if (out->data != NULL) {
        explicit_bzero(out->data, out->cap);
    }
    nkvi_buf_clear(out);
    return sent;
}

static bool greet(nkvi_bulk_lane *lane, int64_t until_ns, nkv_error *error)
{
    const nkvi_endpoint *endpoint = &lane->bulk->config.endpoint;
    nkvi_handshake_config config = {.username = endpoint->username,
                                    .password = endpoint->password,
                                    .client_name = endpoint->client_name,
                                    .db = endpoint->db,
                                    .tracked = false};
    nkvi_handshake handshake;
    nkvi_buf out;
    nkvi_buf_init(&out);
    nkvi_handshake_start(&handshake, &config, &out);
    nkvi_handshake_result result = NKVI_HANDSHAKE_MORE;
    while (result == NKVI_HANDSHAKE_MORE) {
        nkvi_draft draft;
        nkvi_draft_init(&draft);
        if (!say(lane, &out, until_ns, error) || !next_reply(lane, &draft, until_ns, error)) {
            return false;
        }
        result = nkvi_handshake_reply(&handshake, &draft.root, &out);
        nkvi_draft_clear(&draft);
    }
    if (result == NKVI_HANDSHAKE_REFUSED) {
        *error = handshake.error;
    }
    return result != NKVI_HANDSHAKE_REFUSED && say(lane, &out, until_ns, error);
}

static bool try_address(nkvi_bulk_lane *lane, const nkvi_address *address, int64_t until_ns,
                        nkv_error *error)
{
    const nkvi_bulk_config *config = &lane->bulk->config;
    if (nkvi_wire_open(&lane->wire, address, config->connect_timeout_ms, error) != NKV_OK) {
        return false;
    }
    nkvi_reader_init(&lane->reader, config->reply_bytes_max, NULL);
    if (wait_socket(lane, POLLOUT, until_ns, error) &&
        nkvi_wire_finish(&lane->wire, error) == NKV_OK && greet(lane, until_ns, error)) {
        return true;
    }
    nkvi_wire_close(&lane->wire);
    nkvi_reader_clear(&lane->reader);
    return false;
}

static bool find_addresses(const nkvi_bulk *bulk, nkvi_addresses *out, nkv_error *error)
{
    const nkvi_endpoint *endpoint = &bulk->config.endpoint;
    if (endpoint->path == NULL) {
        return nkvi_resolve_numeric(endpoint->host, endpoint->port, out) ||
               nkvi_resolve_now(endpoint->host, endpoint->port, bulk->config.connect_timeout_ms,
                                out, error) == NKV_OK;
    }
    size_t len = strlen(endpoint->path);
    if (len >= sizeof out->list[0].text) {
        nkvi_fail(error, NKV_ECONN, "the path of the socket is longer than %zu bytes",
                  sizeof out->list[0].text - 1);
        return false;
    }
    out->n = 1;
    out->list[0] = (nkvi_address){.family = NKVI_ADDRESS_UNIX};
    memcpy(out->list[0].text, endpoint->path, len + 1);
    return true;
}

bool nkvi_bulk_connect(nkvi_bulk_lane *lane, int64_t until_ns, nkv_error *error)
{
    nkvi_addresses addresses = {.n = 0};
    nkv_error why = {.status = NKV_OK};
    bool connected = false;
    bool found = find_addresses(lane->bulk, &addresses, &why);
    for (size_t i = 0; found && !connected && i < addresses.n; i++) {
        /* Each address gets an equal share of the time that is left. */
        int64_t now_ns = nkvi_now_ns();
        int64_t share_ns = until_ns == NKVI_NEVER
                               ? NKVI_NEVER
                               : now_ns + (until_ns - now_ns) / (int64_t)(addresses.n - i);
        connected = try_address(lane, &addresses.list[i], share_ns, &why);
    }
    if (!connected) {
        nkvi_fail(error, why.status, "%s: %s", lane->bulk->address, why.text);
        error->sys_errno = why.sys_errno;
    }
    return connected;
}
