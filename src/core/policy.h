/* core/policy.h - decides which key leaves when there is no room.
 *
 * The unit is the key: a slot that stands for it, with all its commands, is on exactly one queue.
 *
 *      LRU       new --> [ newest … oldest ] --not read since--> out
 *                           ^         | read since: once more around
 *                           +---------+
 *
 *      S3-FIFO   new --> [ small ] --read since--> [ main ] --not read since--> out
 *                           | not read                ^  | read since: once more around
 *                           v                         |  +--> [ main ]
 *                          out, hash to [ ghost ] ----+ seen again soon: straight to main
 *
 * A hit only sets the byte `visited`, so it needs no lock.  With `exact` (LRU only) every hit moves
 * its key to the front instead.
 * Threads  @locks the cache's */
#ifndef NKVI_CORE_POLICY_H
#define NKVI_CORE_POLICY_H

#include <nearkv/cache.h>

#include "core/ghost.h"
#include "core/store.h"

typedef struct nkvi_queue {
    uint32_t newest, oldest; /* 0: empty; cold.next leads to the older, cold.prev to the newer */
    uint32_t count;
} nkvi_queue;

#define NKVI_QUEUE_NONE  0u
#define NKVI_QUEUE_MAIN  1u
#define NKVI_QUEUE_SMALL 2u

typedef struct nkvi_policy {
    nkvi_store *store;
    nkv_policy kind;
    bool exact;
    nkvi_queue queues[3]; /* by NKVI_QUEUE_… */
    nkvi_ghost ghost;
} nkvi_policy;

void nkvi_policy_init(nkvi_policy *policy, nkvi_store *store, nkv_policy kind, bool exact);
void nkvi_policy_clear(nkvi_policy *policy);

/* A new key, its one that leaves (for whatever reason), one that was read or written. */
void nkvi_policy_add(nkvi_policy *policy, uint32_t head);
void nkvi_policy_remove(nkvi_policy *policy, uint32_t head);
void nkvi_policy_use(nkvi_policy *policy, uint32_t head);

/* `to` takes the place of `from`, which leaves. */
void nkvi_policy_hand_over(nkvi_policy *policy, uint32_t from, uint32_t to);

/* Who has to go next, or 0: there is no key.  It stays where it is until it is removed. */
uint32_t nkvi_policy_victim(nkvi_policy *policy);

/* Called before the victim is removed: it goes for lack of room. */
void nkvi_policy_evicted(nkvi_policy *policy, uint32_t head);

#endif
