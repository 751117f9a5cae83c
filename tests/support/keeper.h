/* support/keeper.h - a child process that keeps one server process on a leash.
 *
 * Internal to the test kit: server.c is the only caller. The picture is in keeper.c.
 *
 * Threads    One thread at a time per keeper.                                                    */

#ifndef T_SUPPORT_KEEPER_H
#define T_SUPPORT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct t_keeper {
    pid_t pid;        /* the keeper; 0: none                                                      */
    pid_t server_pid; /* for reading only: signals go through the keeper, who knows if it lives   */
    int fd;           /* our end of the leash                                                     */
    bool dead;        /* the server is known to have ended                                        */
    int status;       /* then: its wait status                                                    */
} t_keeper;

typedef struct t_keeper_order {
    const char *binary;
    char *const *argv; /* NULL-terminated; argv[0] decides what a redis binary is                 */
    const char *dir;   /* working directory of the server; removed by the keeper at the very end  */
    const char *log;   /* its standard output and error are appended to this file                 */
} t_keeper_order;

/* Starts a keeper and, through it, the server. All strings are needed during the call only.
 * Ends the process if the machine refuses; a binary that cannot be run shows as a dead server.   */
void t_keeper_start(t_keeper *keeper, const t_keeper_order *order);

/* Sends a signal to the server. False if it has ended already. */
bool t_keeper_signal(t_keeper *keeper, int signo);

/* Waits until the server has ended. False if it still runs after `timeout_ms`. */
bool t_keeper_wait_dead(t_keeper *keeper, int64_t timeout_ms);

/* Lets go of the leash: the server, if it still lives, is killed, its directory removed unless
 * `keep_dir`. Returns when all that is done.                                                     */
void t_keeper_end(t_keeper *keeper, bool keep_dir);

#endif
