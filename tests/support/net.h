/* support/net.h - sockets of the test kit: unix paths and ports of 127.0.0.1, nothing else.
 *
 * Every descriptor is close-on-exec. What a sane machine cannot refuse ends the process.
 *
 * Threads    Any.                                                                                */

#ifndef T_SUPPORT_NET_H
#define T_SUPPORT_NET_H

#include <stdbool.h>
#include <stdint.h>

/* Instead of the number of a connection: all, those to come included. */
enum { T_EVERY = 0 };

/* Where to listen or connect: exactly one of both. */
typedef struct t_addr {
    const char *path; /* of a unix socket; NULL: TCP                                              */
    int port;         /* on 127.0.0.1                                                             */
} t_addr;

/* Listens there; what is left of an earlier unix socket is removed first. */
int t_net_listen(t_addr addr);

/* Listens on a port of 127.0.0.1 that was free, and tells which. */
int t_net_listen_free(int *port);

/* Connects, waiting as long as the kernel does. -1 with errno if nobody listens. */
int t_net_connect(t_addr addr);

/* The same, but returns at once with a non-blocking descriptor, which may still be connecting. */
int t_net_connect_begin(t_addr addr);

/* A port of 127.0.0.1 on which nobody listens now. It is below the kernel's ephemeral range, so
 * nobody gets it by accident afterwards, and so is the port + 10000.                             */
int t_net_free_port(void);

void t_net_set_nonblocking(int fd);

/* Has the program at the other end, on this machine, read all that was sent on `fd`? The last bytes
 * were sent `since_ns` ago.                                                                      */
bool t_net_all_read(int fd, int64_t since_ns);

#endif
