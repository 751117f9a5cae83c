/* support/proxy.h - a loopback proxy that breaks connections on demand.
 *
 *      client ==> [ listens ]==> T_TO_SERVER ==>[ connects ] ==> target
 *             <==            <== T_TO_CLIENT <==             <==
 *
 * Left alone it forwards what comes, at once. A fault is set for a connection (counted from 1 in
 * the order in which they are accepted; T_EVERY: all, those to come included) and a direction. It
 * may be set before the connection exists. When a setting function returns, the fault is in force:
 * not a byte is forwarded by the old rules any more. So a race is a script:
 *
 *      t_proxy_hold(proxy, 1, T_TO_CLIENT);          what the server says now stays here
 *      ... start a read, write the key elsewhere ...
 *      t_proxy_wait_seen(proxy, 1, T_TO_CLIENT, 40, 5000);
 *      t_proxy_release(proxy, 1, T_TO_CLIENT);       reply and push arrive in one read
 *
 * Bounds      64 KiB per direction are kept; while they are full the sender is not read from.
 *             T_PROXY_CONNS connections in a proxy's life; the next ones are closed when accepted.
 * Threads     One thread forwards; it is joined by t_proxy_stop(). Any thread may call.
 * Failure     Misuse and what a sane machine cannot refuse end the process.                      */

#ifndef T_SUPPORT_PROXY_H
#define T_SUPPORT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/net.h"

typedef struct t_proxy t_proxy;

typedef enum t_dir { T_TO_SERVER, T_TO_CLIENT, T_BOTH_WAYS } t_dir;

enum { T_PROXY_CONNS = 2048, T_PROXY_PATTERN = 128, T_PROXY_TRIGGERS = 8 };

/* ---- Life ------------------------------------------------------------------------------------ */

/* Listens on a unix socket of its own, or on a port of 127.0.0.1 if `tcp`. The target need not
 * listen yet: each connection tries anew, and is closed if nobody answers.                       */
t_proxy *t_proxy_start(t_addr target, bool tcp);

/* Closes all connections and frees the proxy. NULL is allowed. */
void t_proxy_stop(t_proxy *proxy);

const char *t_proxy_path(const t_proxy *proxy); /* NULL if it listens on a port                   */
int t_proxy_port(const t_proxy *proxy);         /* 0 if it listens on a unix socket               */
const char *t_proxy_url(const t_proxy *proxy); /* "unix:///…" or "redis://127.0.0.1:…"           */

/* Connections accepted from now on go there; those that exist stay. */
void t_proxy_retarget(t_proxy *proxy, t_addr target);

typedef enum t_accept {
    T_ACCEPT,        /* and forward                                                             */
    T_ACCEPT_REFUSE, /* nobody listens: ECONNREFUSED                                            */
    T_ACCEPT_CLOSE,  /* accepted and closed at once; not counted as connections                 */
    T_ACCEPT_NOTHING /* left in the kernel's queue: connected, but silent                       */
} t_accept;

void t_proxy_accept(t_proxy *proxy, t_accept how);

/* ---- Faults of a direction ------------------------------------------------------------------- */

/* Every byte is forwarded `ms` after it came; 0 ends that. */
void t_proxy_delay(t_proxy *proxy, int conn, t_dir dir, int ms);

/* Keeps what comes, and its end of file; release forwards it, in order. */
void t_proxy_hold(t_proxy *proxy, int conn, t_dir dir);
void t_proxy_release(t_proxy *proxy, int conn, t_dir dir);

/* Takes what comes, its end of file too, and forwards nothing: half-open. That is lost for good. */
void t_proxy_swallow(t_proxy *proxy, int conn, t_dir dir, bool on);

/* Pieces: each is written by itself, and only after the receiver has read the one before, so that a
 * read gets one piece at most. For small amounts: it takes up to 0.1 ms a piece, 1 ms on TCP.
 * chop: pieces of `bytes`; 0 ends that. split: a piece ends at each of the offsets, which count
 * from the first byte not yet forwarded and rise; after the last one all is as before.           */
void t_proxy_chop(t_proxy *proxy, int conn, t_dir dir, size_t bytes);
void t_proxy_split(t_proxy *proxy, int conn, t_dir dir, const size_t *offsets, size_t count);

/* No more than that many bytes a second; 0 ends that. */
void t_proxy_bandwidth(t_proxy *proxy, int conn, t_dir dir, size_t bytes_per_s);

/* Sends bytes of the test's own, ahead of everything that is kept, and whatever else is set. */
void t_proxy_inject(t_proxy *proxy, int conn, t_dir dir, const void *bytes, size_t len);

/* ---- Cuts ------------------------------------------------------------------------------------ */

/* FIN: both ends read an end of file, after what was already forwarded. RST: both ends get
 * ECONNRESET (on a unix socket, which knows no reset, an end of file). What is kept is lost.     */
typedef enum t_cut { T_FIN, T_RST } t_cut;

void t_proxy_cut(t_proxy *proxy, int conn, t_cut how);

/* ---- Triggers: something happens at an exact place of the stream ----------------------------- */

typedef struct t_trigger {
    /* Where. */
    enum { T_AT_BYTES, T_BEFORE, T_AFTER } when;
    uint64_t bytes;      /* T_AT_BYTES: after so many bytes forwarded, counted from now           */
    const void *pattern; /* T_BEFORE, T_AFTER: when these bytes come next, or have been forwarded */
    size_t pattern_len;  /* 1..T_PROXY_PATTERN; only what is forwarded from now on counts         */
    int skip;            /* so many occurrences pass unnoticed                                    */

    /* What. */
    enum { T_DO_NOTHING, T_DO_HOLD, T_DO_CUT, T_DO_RELEASE } what;
    t_cut cut;      /* T_DO_CUT: the connection                                                   */
    int other_conn; /* T_DO_RELEASE: that connection and direction (T_EVERY: all)                 */
    t_dir other_dir;
} t_trigger;

/* Sets a trigger that fires once on each connection it is set for, at most T_PROXY_TRIGGERS in a
 * direction. T_BEFORE keeps back what may be the beginning of its pattern until it is known not to
 * be. `dir` is one direction. The pattern is copied. Returns a number for t_proxy_wait_fired().  */
int t_proxy_on(t_proxy *proxy, int conn, t_dir dir, const t_trigger *trigger);

/* ---- Questions ------------------------------------------------------------------------------- */

int t_proxy_accepted(t_proxy *proxy);                            /* connections so far          */
int t_proxy_open(t_proxy *proxy);                                /* connections now             */
uint64_t t_proxy_seen(t_proxy *proxy, int conn, t_dir dir);      /* bytes that came             */
uint64_t t_proxy_forwarded(t_proxy *proxy, int conn, t_dir dir); /* … and went on (no injected) */
uint64_t t_proxy_kept(t_proxy *proxy, int conn, t_dir dir);      /* … and are still here        */

/* All wait until it is so and return true, or false after `timeout_ms`. T_EVERY is the sum. */
bool t_proxy_wait_accepted(t_proxy *proxy, int count, int64_t timeout_ms);
bool t_proxy_wait_open(t_proxy *proxy, int count, int64_t timeout_ms); /* exactly `count` */
bool t_proxy_wait_closed(t_proxy *proxy, int conn, int64_t timeout_ms);
bool t_proxy_wait_seen(t_proxy *proxy, int conn, t_dir dir, uint64_t bytes, int64_t timeout_ms);
bool t_proxy_wait_forwarded(t_proxy *proxy, int conn, t_dir dir, uint64_t bytes,
                            int64_t timeout_ms);
bool t_proxy_wait_fired(t_proxy *proxy, int trigger, int64_t timeout_ms);

#endif
