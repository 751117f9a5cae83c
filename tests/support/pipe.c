/* support/pipe.c - one direction of a proxied connection.
 *
 *      from --read--> [ sent, for patterns | kept: may go | kept: may not yet ] --write--> to
 *                                          ^begin         ^limit
 *
 * Every rule is a limit: how many of the kept bytes may go now. A delay knows it from marks (this
 * much came at that time), a bandwidth from a budget, pieces from the next cut, a trigger from the
 * place where it will fire. The smallest limit wins; at a trigger's place writing stops until the
 * proxy has acted on it, so nothing behind that place can have left.
 *
 * Invariants   begin + len <= T_PIPE_ROOM;  sent + len == seen - swallowed
 *              a mark's end and due time never fall
 * Callers      proxy.c, with its lock held                                                       */

#include "support/pipe.h"

#include "support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE_POLL_NS = 100 * 1000 };

void t_pipe_open(t_pipe *pipe, int from, int to)
{
    pipe->from = from;
    pipe->to = to;
    pipe->bytes = malloc(T_PIPE_ROOM);
    pipe->marks = calloc(T_PIPE_MARKS, sizeof *pipe->marks);
    T_REQUIRE(pipe->bytes != NULL && pipe->marks != NULL);
}

void t_pipe_close(t_pipe *pipe)
{
    free(pipe->bytes);
    free(pipe->marks);
    free(pipe->inject);
    pipe->bytes = NULL;
    pipe->marks = NULL;
    pipe->inject = NULL;
    pipe->len = 0;
    pipe->inject_len = 0;
    pipe->from = -1;
    pipe->to = -1;
}

/* ---- Read ------------------------------------------------------------------------------------ */

static bool has_room(const t_pipe *pipe)
{
    return pipe->len < T_PIPE_ROOM - T_PROXY_PATTERN && pipe->mark_count < T_PIPE_MARKS;
}

bool t_pipe_wants_in(const t_pipe *pipe)
{
    return pipe->from >= 0 && !pipe->eof_seen && has_room(pipe);
}

/* Moves the kept bytes to the front, behind the last sent ones. */
static void compact(t_pipe *pipe)
{
    if (pipe->begin > T_PROXY_PATTERN) {
        memmove(pipe->bytes, pipe->bytes + pipe->begin - T_PROXY_PATTERN,
                T_PROXY_PATTERN + pipe->len);
        pipe->begin = T_PROXY_PATTERN;
    }
}

static void mark(t_pipe *pipe, int64_t now_ns)
{
    if (pipe->rules.delay_ns == 0 && pipe->mark_count == 0) {
        pipe->due_end = pipe->sent + pipe->len; /* nothing is waiting, and this need not wait */
        return;
    }
    const size_t at = (pipe->first_mark + pipe->mark_count++) % T_PIPE_MARKS;
    pipe->marks[at].end = pipe->sent + pipe->len;
    pipe->marks[at].due_ns = now_ns + pipe->rules.delay_ns;
}

void t_pipe_read(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    while (t_pipe_wants_in(pipe)) {
        compact(pipe);
        const size_t used = pipe->begin + pipe->len;
        const ssize_t got = recv(pipe->from, pipe->bytes + used, T_PIPE_ROOM - used, 0);
        if (got < 0) {
            pipe->reset = errno != EAGAIN && errno != EINTR;
            pipe->eof_seen = pipe->reset;
            news->moved = news->moved || pipe->reset;
            return;
        }
        news->moved = true;
        if (got == 0) {
            pipe->eof_seen = true;
            return;
        }
        pipe->seen += (uint64_t)got;
        if (!pipe->rules.swallow) {
            pipe->len += (size_t)got;
            mark(pipe, now_ns);
        }
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void wake_at(t_pipe_news *news, int64_t ns)
{
    if (ns < news->wake_ns) {
        news->wake_ns = ns;
    }
}

/* What has waited long enough. */
static size_t limit_of_delay(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    while (pipe->mark_count > 0) {
        const t_pipe_mark *first = &pipe->marks[pipe->first_mark];
        if (first->due_ns > now_ns) {
            wake_at(news, first->due_ns);
            break;
        }
        pipe->due_end = first->end;
        pipe->first_mark = (pipe->first_mark + 1) % T_PIPE_MARKS;
        pipe->mark_count--;
    }
    return (size_t)(pipe->due_end - pipe->sent);
}

static size_t limit_of_bandwidth(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    const double rate = (double)pipe->rules.bytes_per_s;
    if (pipe->rules.bytes_per_s == 0) {
        return pipe->len;
    }
    const double burst = rate / 100 > 1 ? rate / 100 : 1; /* what 10 ms let pass */
    pipe->budget += (double)(now_ns - pipe->budget_ns) * rate / 1e9;
    pipe->budget_ns = now_ns;
    if (pipe->budget > burst) {
        pipe->budget = burst;
    }
    if (pipe->len > 0) {
        wake_at(news, now_ns + (int64_t)(burst / rate * 1e9) + 1);
    }
    return (size_t)pipe->budget;
}

static size_t limit_of_pieces(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    t_pipe_rules *rules = &pipe->rules;
    if (pipe->piece_out && !t_net_all_read(pipe->to, now_ns - pipe->piece_ns)) {
        wake_at(news, now_ns + PIECE_POLL_NS);
        return 0;
    }
    pipe->piece_out = false;
    while (rules->split_count > 0 && rules->splits[0] <= pipe->sent) {
        rules->split_count--;
        memmove(rules->splits, rules->splits + 1, rules->split_count * sizeof rules->splits[0]);
    }
    size_t limit = rules->chop > 0 ? rules->chop : pipe->len;
    if (rules->split_count > 0 && rules->splits[0] - pipe->sent < limit) {
        limit = (size_t)(rules->splits[0] - pipe->sent);
    }
    return limit;
}

/* ---- Triggers -------------------------------------------------------------------------------- */

/* How many of the last kept bytes may be the beginning of the pattern. */
static size_t maybe_begun(const t_pipe *pipe, const t_trigger *trigger)
{
    const unsigned char *end = pipe->bytes + pipe->begin + pipe->len;
    size_t part = trigger->pattern_len - 1 < pipe->len ? trigger->pattern_len - 1 : pipe->len;
    part = pipe->eof_seen ? 0 : part;
    while (part > 0 && memcmp(end - part, trigger->pattern, part) != 0) {
        part--;
    }
    return part;
}

/* Where in the stream the pattern begins next, not before the trigger's base; UINT64_MAX: not in
 * what is here. Sent bytes are looked at too, so that a pattern that came in parts is found.     */
static uint64_t find_pattern(const t_pipe *pipe, const t_armed *armed)
{
    const t_trigger *trigger = &armed->trigger;
    const size_t back = trigger->pattern_len < pipe->begin ? trigger->pattern_len : pipe->begin;
    const uint64_t end = pipe->sent + pipe->len;
    uint64_t from = pipe->sent - back;
    from = armed->base > from ? armed->base : from;
    if (from >= end) {
        return UINT64_MAX;
    }
    const size_t len = (size_t)(end - from);
    const unsigned char *bytes = pipe->bytes + pipe->begin + pipe->len - len;
    const size_t at = t_find_bytes(bytes, len, trigger->pattern, trigger->pattern_len);
    return at == len ? UINT64_MAX : from + at;
}

/* How many kept bytes may go before the trigger fires; `*reached` if it fires here and now.      */
static size_t limit_of_trigger(const t_pipe *pipe, t_armed *armed, bool *reached)
{
    const t_trigger *trigger = &armed->trigger;
    uint64_t place = armed->base + trigger->bytes;
    if (trigger->when != T_AT_BYTES) {
        uint64_t begin = find_pattern(pipe, armed);
        while (begin != UINT64_MAX && armed->trigger.skip > 0) {
            armed->trigger.skip--;
            armed->base = begin + 1;
            begin = find_pattern(pipe, armed);
        }
        if (begin == UINT64_MAX) {
            *reached = false;
            return trigger->when == T_BEFORE ? pipe->len - maybe_begun(pipe, trigger) : pipe->len;
        }
        place = begin + (trigger->when == T_AFTER ? trigger->pattern_len : 0);
    }
    *reached = place <= pipe->sent;
    const uint64_t distance = *reached ? 0 : place - pipe->sent;
    return distance < pipe->len ? (size_t)distance : pipe->len;
}

static size_t limit_of_triggers(t_pipe *pipe, t_pipe_news *news)
{
    size_t limit = pipe->len;
    for (size_t i = 0; i < T_PROXY_TRIGGERS; i++) {
        t_armed *armed = &pipe->rules.triggers[i];
        bool reached = false;
        const size_t own = armed->armed ? limit_of_trigger(pipe, armed, &reached) : pipe->len;
        if (reached) {
            armed->armed = false;
            news->fired = armed;
            return 0;
        }
        limit = own < limit ? own : limit;
    }
    return limit;
}

/* ---- Write ----------------------------------------------------------------------------------- */

/* Sends; the number of bytes taken. When the receiver is gone, what is kept is lost, and what still
 * comes is taken and thrown away until the sender ends too.                                      */
static size_t send_some(t_pipe *pipe, const unsigned char *bytes, size_t len, t_pipe_news *news)
{
    const ssize_t put = send(pipe->to, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    news->moved = true;
    if (put >= 0) {
        pipe->full = (size_t)put < len;
        return (size_t)put;
    }
    pipe->full = errno == EAGAIN || errno == EINTR;
    if (!pipe->full) {
        pipe->finished = true;
        pipe->rules.swallow = true;
        pipe->len = 0;
        pipe->inject_len = 0;
        pipe->mark_count = 0;
        pipe->due_end = pipe->sent;
    }
    return 0;
}

static void send_injected(t_pipe *pipe, t_pipe_news *news)
{
    while (pipe->inject_len > 0 && !pipe->full) {
        const size_t put = send_some(pipe, pipe->inject, pipe->inject_len, news);
        if (put > 0) {
            pipe->inject_len -= put;
            memmove(pipe->inject, pipe->inject + put, pipe->inject_len);
        }
    }
}

/* The smallest of all limits. */
static size_t limit_of_all(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    const size_t limits[] = {limit_of_delay(pipe, now_ns, news),
                             limit_of_bandwidth(pipe, now_ns, news),
                             limit_of_pieces(pipe, now_ns, news), limit_of_triggers(pipe, news)};
    size_t least = pipe->len;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        least = limits[i] < least ? limits[i] : least;
    }
    return least;
}

static void send_kept(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    while (!pipe->full && !pipe->finished && !pipe->rules.hold) {
        const size_t limit = limit_of_all(pipe, now_ns, news);
        if (limit == 0 || news->fired != NULL) {
            return;
        }
        const bool is_piece = pipe->rules.chop > 0 || pipe->rules.split_count > 0;
        const size_t put = send_some(pipe, pipe->bytes + pipe->begin, limit, news);
        if (put > 0) {
            pipe->begin += put;
            pipe->len -= put;
            pipe->sent += put;
            pipe->budget -= (double)put;
            pipe->piece_out = is_piece;
            pipe->piece_ns = now_ns;
        }
    }
}

void t_pipe_write(t_pipe *pipe, int64_t now_ns, t_pipe_news *news)
{
    pipe->full = false;
    send_injected(pipe, news);
    send_kept(pipe, now_ns, news);
    const bool quiet = pipe->rules.hold || pipe->rules.swallow || news->fired != NULL;
    if (pipe->eof_seen && !pipe->finished && pipe->len == 0 && pipe->inject_len == 0 && !quiet) {
        pipe->finished = true;
        news->moved = true;
        news->reset = pipe->reset;
        if (!pipe->reset) {
            (void)shutdown(pipe->to, SHUT_WR);
        }
    }
}

void t_pipe_inject(t_pipe *pipe, const void *bytes, size_t len)
{
    if (pipe->inject == NULL) {
        pipe->inject = malloc(T_PIPE_INJECT);
        T_REQUIRE(pipe->inject != NULL);
    }
    T_REQUIRE(len <= T_PIPE_INJECT - pipe->inject_len);
    memcpy(pipe->inject + pipe->inject_len, bytes, len);
    pipe->inject_len += len;
}

bool t_pipe_wants_out(const t_pipe *pipe)
{
    return pipe->to >= 0 && pipe->full;
}
