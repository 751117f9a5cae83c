/* bench/cluster_fake.h - a cluster of hundreds of nodes that is none: one process, one thread.
 *
 *      b_fake *fake = b_fake_start(500, false);
 *      ... b_fake_url(fake) ...
 *      b_fake_give(fake, 4242, 7);          the slot is node 7's from now on
 *      b_fake_stop(fake);
 *
 * Each node listens on a port of its own and knows as much RESP3 as a client of a
 * cluster asks for: the greeting, CLUSTER MYID, INFO, SLOTS and SHARDS, PING, and of the commands
 * on keys GET (which answers the number of the node), SET, PTTL and EXISTS; MOVED for slots that
 * are another's.  All nodes see a change at the same moment, when the call that made it returns.
 * The address is one of 127.0.0.0/8 that nobody else uses: hundreds of ports of 127.0.0.1 would
 * meet clients of other programs that look for servers which are gone.
 * Nodes have numbers: primaries first, in the order of their slots, then a replica of each.
 *
 * Failure  ends the process, with what is wrong.
 * Threads  one at a time; to be started before the program has threads (it forks). */
#ifndef B_CLUSTER_FAKE_H
#define B_CLUSTER_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct b_fake b_fake;

/* What it has seen so far, of all nodes together. */
typedef struct b_fake_counts {
    uint64_t accepted, open; /* connections so far, and now */
    uint64_t commands, maps; /* of these CLUSTER SLOTS or SHARDS */
    uint64_t bytes;          /* of answers */
    int64_t cpu_ns;          /* of the process */
} b_fake_counts;

b_fake *b_fake_start(unsigned primaries, bool replicas);
void b_fake_stop(b_fake *fake);

/* "redis-cluster://host:p1,host:p2,host:p3" */
const char *b_fake_url(const b_fake *fake);

/* Who holds the slot to begin with. */
unsigned b_fake_dealt(const b_fake *fake, unsigned slot);

/* The slot, or all slots of a node, are another's. */
void b_fake_give(b_fake *fake, unsigned slot, unsigned to);
void b_fake_take_over(b_fake *fake, unsigned from, unsigned to);

/* The node is gone: its connections are reset, and nobody listens there any more. */
void b_fake_kill(b_fake *fake, unsigned node);

void b_fake_count(b_fake *fake, b_fake_counts *counts);

/* ---- cluster_fake_words.c: what its nodes say ------------------------------------------------ */

enum { B_FAKE_ID = 40 };

/* What all nodes believe. */
typedef struct b_fake_map {
    unsigned primaries;
    bool replicas;
    char host[16];           /* of all nodes */
    int *ports;              /* of the nodes */
    uint64_t *epochs;        /* of the primaries */
    uint16_t holders[16384]; /* of the slots */
    uint64_t epoch;          /* the highest */
} b_fake_map;

void b_fake_say_slots(const b_fake_map *map, nkvi_buf *out);
void b_fake_say_shards(const b_fake_map *map, nkvi_buf *out);
void b_fake_say_info(const b_fake_map *map, unsigned node, nkvi_buf *out);
void b_fake_say_id(unsigned node, nkvi_buf *out);

#endif
