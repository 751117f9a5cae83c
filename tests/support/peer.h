/* support/peer.h - the test plays the server, word by word.
 *
 *      t_peer *peer = t_peer_listen();
 *      ... something connects to t_peer_path(peer) ...
 *      int fd = t_peer_accept(peer);
 *      t_peer_expect(fd, "*1\r\n$4\r\nPING\r\n");      exactly these bytes come next
 *      t_peer_send(fd, "+PONG\r\n");
 *      t_peer_expect_silence(fd);                       and nothing more is there
 *      t_peer_close(fd);
 *
 * Everything happens in the test's own thread, so the text of a test is the course of events. What
 * does not come within ten seconds ends the process with what came instead.
 * Threads    Any; one at a time per descriptor.                                                  */

#ifndef T_SUPPORT_PEER_H
#define T_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct t_peer t_peer;

t_peer *t_peer_listen(void);     /* on a unix socket in a directory of its own */
t_peer *t_peer_listen_tcp(void); /* on a port of 127.0.0.1 */
void t_peer_free(t_peer *peer);  /* NULL is allowed */
const char *t_peer_path(t_peer *peer);
int t_peer_port(t_peer *peer);

/* Listening ends and begins again: connections are refused meanwhile. */
void t_peer_deafen(t_peer *peer);
void t_peer_hear(t_peer *peer);

int t_peer_accept(t_peer *peer);
/* A connection to it of the test's own. */
int t_peer_connect(t_peer *peer);
/* True if somebody has connected and waits. */
bool t_peer_is_asked(t_peer *peer);

void t_peer_expect_bytes(int fd, const void *bytes, size_t len);
void t_peer_expect(int fd, const char *text);
void t_peer_expect_silence(int fd); /* nothing is there now */
void t_peer_expect_end(int fd);     /* the other side has closed, or does within ten seconds */
void t_peer_send_bytes(int fd, const void *bytes, size_t len);
void t_peer_send(int fd, const char *text);
void t_peer_close(int fd);
void t_peer_reset(int fd); /* TCP: RST instead of FIN */

/* ---- Greetings ------------------------------------------------------------------------------- */

/* What a tracked lane named "rig" of db 0 without a password says first, and a good answer. */
#define T_GREETING_UNTRACKED "*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$3\r\nrig\r\n"
#define T_GREETING_TRACK     "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"
#define T_GREETING           T_GREETING_UNTRACKED T_GREETING_TRACK
#define T_WELCOME_MAP                                                                    \
    "%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n" \
    ":77\r\n"
#define T_WELCOME T_WELCOME_MAP "+OK\r\n"

/* Accepts, and goes through the greeting of a tracked lane. */
int t_peer_welcome(t_peer *peer);

#endif
