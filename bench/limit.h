/* bench/limit.h - the least that moving values between memory and a server can cost.
 *
 *      SET     sendmsg() of commands and values from where they lie; then the answers
 *      GET     commands written ahead, for B_LIMIT_WINDOW bytes of values and as much again;
 *              recvmsg() of what is known to come to where it belongs
 *      EXISTS  all commands in one send(); then the answers
 *
 * One blocking connection, and nothing but system calls: what is sent and received is laid out
 * beforehand, answers are compared with what they have to be, nothing is parsed or copied.  A
 * server that is told to send gigabytes builds all its answers before it sends the first, and is
 * two to three times slower: so the window is part of the least.
 *
 * Memory   the values are the caller's, and stay where they are until the next prepare.
 * Failure  ends the process.
 * Threads  one at a time for each limit. */

#ifndef B_LIMIT_H
#define B_LIMIT_H

#include <stddef.h>

#include <nearkv/status.h>

#include "tests/support/net.h"

/* A key, and where its value lies or is to go. */
typedef struct b_value {
    nkv_str key;
    char *memory;
    size_t len;
} b_value;

typedef enum b_verb { B_SET, B_GET, B_EXISTS } b_verb;

enum { B_LIMIT_KEYS = 8192, B_LIMIT_WINDOW = 4 << 20 };

typedef struct b_limit b_limit;

b_limit *b_limit_open(t_addr address);
void b_limit_close(b_limit *limit);

/* Lays out the commands of some values, 1 to B_LIMIT_KEYS; nothing is done if they are those of the
 * last time. */
void b_limit_prepare(b_limit *limit, const b_value *values, size_t n);

/* The values are going: others may come to lie where they lie. */
void b_limit_forget(b_limit *limit);

/* Moves all of them once.  EXISTS: all keys are there. */
void b_limit_run(b_limit *limit, b_verb verb);

#endif
