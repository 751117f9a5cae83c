/* support/fake_sentinel.h - a sentinel and two servers that are played: each server says its name
 * as the value of every key.
 *
 *      t_fs stage;
 *      t_fs_start(&stage);                             a is the primary, says the sentinel
 *      ... a client of stage.url reads "a" ...
 *      t_fs_role(stage.b, "master");
 *      t_fs_name(&stage, stage.b, 2);                  b is, by the configuration of epoch 2
 *      t_fs_stop(&stage);
 *
 * Threads     One thread at a time.                                                              */

#ifndef T_SUPPORT_FAKE_SENTINEL_H
#define T_SUPPORT_FAKE_SENTINEL_H

#include "support/fake.h"

typedef struct t_fs {
    t_fake *sentinel, *a, *b;
    char url[96]; /* of the service "s" */
} t_fs;

void t_fs_start(t_fs *stage);
void t_fs_stop(t_fs *stage);

/* Whom the sentinel names as the primary, by the configuration of that epoch. */
void t_fs_name(t_fs *stage, const t_fake *fake, int epoch);

/* What a server says of itself: master or slave; offsets and history are always the same. */
void t_fs_role(t_fake *fake, const char *role);

/* Announces a switch between two ports to who has subscribed first. */
void t_fs_announce(t_fs *stage, int from, int to);

#endif
