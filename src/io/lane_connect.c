/* io/lane_connect.c - from nothing to a usable connection: name, addresses, greeting.
 *
 *      attempt --name?--> RESOLVING --> try_address --> CONNECTING --writable--> HANDSHAKE --> up
 *                                         ^    |            |
 *                                         +----+---failed---+      the next address, while there is
 *                                                                  one and time
 *
 * Nothing of a caller is sent before the greeting has been answered to its end (I5). */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "io/lane_impl.h"

static void try_address(nkvi_lane *lane);

/* ============ Attempts ============ */

/* More than any greeting takes. */
static size_t greeting_room(const nkvi_handshake_config *config)
{
    const char *const texts[] = {config->username, config->password, config->client_name};
    size_t room = 1024;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        room += texts[i] != NULL ? strlen(texts[i]) + 32 : 0;
    }
    return room;
}

void nkvi_lane_greet_begin(nkvi_lane *lane)
{
    nkvi_handshake_config config = {.username = lane->config.endpoint.username,
                                    .password = lane->config.endpoint.password,
                                    .client_name = lane->config.endpoint.client_name,
                                    .db = lane->config.endpoint.db,
                                    .tracked = lane->config.owner != NULL};
    lane->phase = NKVI_PHASE_HANDSHAKE;
    nkvi_reader_init(&lane->reader, lane->config.reply_bytes_max,
                     lane->config.owner != NULL ? lane->config.cache : NULL);
    nkvi_reader_share(&lane->reader, nkvi_loop_spare(lane->loop));
    (void)nkvi_buf_reserve(&lane->greeting, greeting_room(&config)); /* moved, it leaves a trace */
    nkvi_handshake_start(&lane->handshake, &config, &lane->greeting);
    ev_io_set(&lane->rx, lane->wire.fd, EV_READ);
    ev_io_start(lane->ev, &lane->rx);
    nkvi_lane_life_at(lane, lane->attempt_until_ns);
}

/* The password is not left behind in freed memory. */
void nkvi_lane_greeting_wipe(nkvi_lane *lane)
{
    if (lane->greeting.data != NULL) {
        explicit_bzero(lane->greeting.data, lane->greeting.cap);
    }
    nkvi_buf_clear(&lane->greeting);
    lane->greeting_at = 0;
}

bool nkvi_lane_greet_write(nkvi_lane *lane, nkv_error *error)
{
    if (lane->greeting.failed) {
        nkvi_fail(error, NKV_ENOMEM, "out of memory for the handshake");
        return false;
    }
    while (lane->greeting_at < lane->greeting.len) {
        ptrdiff_t n = nkvi_wire_write(&lane->wire, lane->greeting.data + lane->greeting_at,
                                      lane->greeting.len - lane->greeting_at);
        if (n < 0) {
            nkvi_fail_errno(error, NKV_ECONN, errno, "connection lost");
            return false;
        }
        if (n == 0) {
            ev_io_start(lane->ev, &lane->tx);
            return true;
        }
        lane->greeting_at += (size_t)n;
    }
    nkvi_lane_greeting_wipe(lane);
    ev_io_stop(lane->ev, &lane->tx);
    return true;
}

void nkvi_lane_try_failed(nkvi_lane *lane, const nkv_error *error)
{
    if (lane->address_next < lane->addresses.n && nkvi_now_ns() < lane->attempt_until_ns) {
        nkvi_lane_hang_up(lane);
        try_address(lane);
        return;
    }
    nkvi_lane_lose(lane, NKV_FLUSH_NONE, error);
}

/* Each address gets an equal share of the time that is left for the attempt. */
static void try_address(nkvi_lane *lane)
{
    nkv_error error;
    lane->phase = NKVI_PHASE_CONNECTING;
    while (lane->address_next < lane->addresses.n) {
        int64_t now_ns = nkvi_now_ns();
        int64_t others = (int64_t)(lane->addresses.n - lane->address_next);
        const nkvi_address *address = &lane->addresses.list[lane->address_next++];
        if (nkvi_wire_open(&lane->wire, address, lane->config.max_idle_ms * 2, &error) == NKV_OK) {
            ev_io_set(&lane->tx, lane->wire.fd, EV_WRITE);
            ev_io_start(lane->ev, &lane->tx);
            nkvi_lane_life_at(lane, lane->attempt_until_ns == NKVI_NEVER
                                        ? NKVI_NEVER
                                        : now_ns + (lane->attempt_until_ns - now_ns) / others);
            return;
        }
    }
    nkvi_lane_lose(lane, NKV_FLUSH_NONE, &error);
}

static void on_resolved(void *ud, const nkvi_addresses *addresses, const nkv_error *error)
{
    nkvi_lane *lane = ud;
    lane->resolve = NULL;
    if (lane->phase != NKVI_PHASE_RESOLVING) {
        return;
    }
    if (addresses == NULL) {
        nkvi_lane_lose(lane, NKV_FLUSH_NONE, error);
        return;
    }
    lane->addresses = *addresses;
    try_address(lane);
}

static void find_unix(nkvi_lane *lane)
{
    nkvi_address *address = &lane->addresses.list[0];
    nkv_error error;
    size_t len = strlen(lane->config.endpoint.path);
    if (len >= sizeof address->text) {
        nkvi_fail(&error, NKV_ECONN, "the path of the socket is longer than %zu bytes",
                  sizeof address->text - 1);
        nkvi_lane_lose(lane, NKV_FLUSH_NONE, &error);
        return;
    }
    lane->addresses.n = 1;
    address->family = NKVI_ADDRESS_UNIX;
    memcpy(address->text, lane->config.endpoint.path, len + 1);
    try_address(lane);
}

void nkvi_lane_attempt(nkvi_lane *lane)
{
    const nkvi_endpoint *endpoint = &lane->config.endpoint;
    nkv_error error;
    lane->attempt_until_ns = nkvi_deadline_ns(nkvi_now_ns(), lane->config.connect_timeout_ms);
    lane->addresses.n = lane->address_next = 0;
    if (endpoint->path != NULL) {
        find_unix(lane);
        return;
    }
    if (nkvi_resolve_numeric(endpoint->host, endpoint->port, &lane->addresses)) {
        try_address(lane);
        return;
    }
    lane->phase = NKVI_PHASE_RESOLVING;
    nkvi_lane_life_at(lane, lane->attempt_until_ns);
    if (lane->resolve == NULL) { /* else the look-up of an earlier attempt is still under way */
        lane->resolve = nkvi_resolve_start(lane->loop, endpoint->host, endpoint->port,
                                           lane->config.connect_timeout_ms, on_resolved, lane);
    }
    if (lane->resolve == NULL) {
        nkvi_fail(&error, NKV_ENOMEM, "out of memory or threads for looking %.100s up",
                  endpoint->host);
        nkvi_lane_lose(lane, NKV_FLUSH_NONE, &error);
    }
}

/* ============ Up ============ */

static void up(nkvi_lane *lane, bool armed)
{
    int64_t now_ns = nkvi_now_ns();
    uint64_t generation = 0;

    lane->phase = NKVI_PHASE_UP;
    lane->up_ns = now_ns;
    nkvi_health_init(&lane->health, lane->config.max_idle_ms, now_ns);
    lane->audit_ns = armed && lane->config.audit_ms > 0
                         ? nkvi_deadline_ns(now_ns, lane->config.audit_ms)
                         : NKVI_NEVER;
    lane->auditing = false;
    atomic_store_explicit(&lane->last_rx_ns, now_ns, memory_order_relaxed);
    lane->fresh_ns = nkvi_deadline_ns(now_ns, lane->config.max_idle_ms);
    lane->vouch_ns = lane->config.vouch_if_told ? INT64_MIN : NKVI_NEVER;
    if (armed) {
        generation =
            nkvi_cache_owner_begin(lane->config.cache, lane->config.owner,
                                   lane->config.vouch_if_told ? INT64_MIN : lane->fresh_ns);
    }
    pthread_mutex_lock(&lane->mu);
    lane->state = armed ? NKVI_LANE_ARMED : NKVI_LANE_UNTRACKED;
    lane->generation = generation;
    lane->client_id = lane->handshake.client_id;
    lane->ups++;
    if (lane->handshake.error.status != NKV_OK) {
        lane->last_error = lane->handshake.error;
    }
    nkvi_lane_tx_begin(lane);
    bool handed = lane->handed;
    pthread_mutex_unlock(&lane->mu);
    if (handed) {
        ev_async_send(lane->ev, &lane->kick);
    }
    nkvi_lane_watch(lane);
    nkvi_lane_tell(lane, NKV_FLUSH_NONE);
}

bool nkvi_lane_greet(nkvi_lane *lane, const nkv_reply *reply, nkv_error *error)
{
    if (lane->handshake.pending == 0) {
        nkvi_fail(error, NKV_EPROTO, "protocol error: a reply that nobody asked for");
        return false;
    }
    nkvi_handshake_result result = nkvi_handshake_reply(&lane->handshake, reply, &lane->greeting);
    switch (result) {
    case NKVI_HANDSHAKE_MORE:
        return nkvi_lane_greet_write(lane, error);
    case NKVI_HANDSHAKE_REFUSED:
        *error = lane->handshake.error;
        return false;
    default:
        up(lane, result == NKVI_HANDSHAKE_ARMED);
        return true;
    }
}
