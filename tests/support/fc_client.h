/* support/fc_client.h - a client of a played cluster, in few words.
 *
 *      t_fc *fc = t_fc_start(3);
 *      nkv_options options = t_fc_options(fc);
 *      nkv_client *client = t_near_open(&options);
 *
 * Threads     As the client: any.                                                                */

#ifndef T_SUPPORT_FC_CLIENT_H
#define T_SUPPORT_FC_CLIENT_H

#include "support/fake_cluster.h"
#include "support/near.h"

enum { T_FC_AGE_MS = 400 }; /* topology_max_age of t_fc_options() */

/* Every node a seed; impatient, so that tests need not be patient. */
nkv_options t_fc_options(t_fc *fc);

/* The same, and waits until it is armed. */
nkv_client *t_fc_open(t_fc *fc);

/* Reads the key; whether this was a hit with that text. */
bool t_fc_is_hit(nkv_client *client, const char *key, const char *text);

/* Reads the key until it is a hit with that text. Ends the process if it is none for long. */
void t_fc_warm(nkv_client *client, const char *key, const char *text);

/* How many nodes nkv_client_health() lists, and whether this is one of them. */
size_t t_fc_nodes(nkv_client *client);
bool t_fc_lists(nkv_client *client, const char *address);

#endif
