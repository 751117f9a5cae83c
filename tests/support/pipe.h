/* support/pipe.h - one direction of a proxied connection: bytes from one socket to another.
 *
 * Internal to the test kit: proxy.c is the only caller, with its lock held. The picture is in
 * pipe.c.                                                                                        */

#ifndef T_SUPPORT_PIPE_H
#define T_SUPPORT_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/proxy.h"

enum { T_PIPE_ROOM = 64 * 1024, T_PIPE_MARKS = 512, T_PIPE_SPLITS = 64, T_PIPE_INJECT = 64 * 1024 };

/* A trigger that is set. */
typedef struct t_armed {
    bool armed;
    int id;
    t_trigger trigger; /* its pattern points to the proxy's copy                                  */
    uint64_t base;     /* offset from which on it counts                                          */
} t_armed;

typedef struct t_pipe_rules {
    int64_t delay_ns;
    bool hold;
    bool swallow;
    size_t chop; /* 0: off                                                                        */
    uint64_t splits[T_PIPE_SPLITS]; /* offsets in the stream                                      */
    size_t split_count;
    size_t bytes_per_s;
    t_armed triggers[T_PROXY_TRIGGERS];
} t_pipe_rules;

/* Bytes before offset `end` may go on at `due_ns`. */
typedef struct t_pipe_mark {
    uint64_t end;
    int64_t due_ns;
} t_pipe_mark;

typedef struct t_pipe {
    int from; /* both non-blocking; owned by the connection                                       */
    int to;
    t_pipe_rules rules;

    unsigned char *bytes; /* T_PIPE_ROOM, made at open                                            */
    size_t begin;         /* of what is kept; up to T_PROXY_PATTERN sent bytes lie before it      */
    size_t len;
    uint64_t seen;
    uint64_t sent; /* offset of bytes[begin] in the stream; swallowed bytes do not count          */

    uint64_t due_end;   /* bytes before this offset have waited long enough                       */
    t_pipe_mark *marks; /* T_PIPE_MARKS, a ring: when the ones behind it may go on                */
    size_t first_mark;
    size_t mark_count;

    unsigned char *inject; /* T_PIPE_INJECT, made when needed                                     */
    size_t inject_len;

    bool eof_seen;
    bool reset;    /* … and it was a reset                                                      */
    bool finished; /* the end of file was forwarded, or the receiver is gone                    */
    bool full;     /* the receiver's socket takes no more: wait for POLLOUT                     */
    bool piece_out; /* a piece is on its way: wait until it is taken                             */
    int64_t piece_ns;
    double budget; /* bytes that the bandwidth allows now                                         */
    int64_t budget_ns;
} t_pipe;

/* What has come of a look at a pipe. */
typedef struct t_pipe_news {
    const t_armed *fired; /* a trigger's place is reached: act on it and look again               */
    bool reset;           /* the sender has reset the connection, and all before that is sent     */
    bool moved;           /* some counter has changed                                             */
    int64_t wake_ns;      /* look again then, at the latest                                       */
} t_pipe_news;

void t_pipe_open(t_pipe *pipe, int from, int to);
void t_pipe_close(t_pipe *pipe);

/* Reads what there is, as far as there is room. */
void t_pipe_read(t_pipe *pipe, int64_t now_ns, t_pipe_news *news);

/* Writes what may be written. */
void t_pipe_write(t_pipe *pipe, int64_t now_ns, t_pipe_news *news);

/* Puts bytes of the test's own before all that is kept. */
void t_pipe_inject(t_pipe *pipe, const void *bytes, size_t len);

/* Should POLLIN on `from`, POLLOUT on `to` be waited for? */
bool t_pipe_wants_in(const t_pipe *pipe);
bool t_pipe_wants_out(const t_pipe *pipe);

#endif
