/* client/read_steps.h - the slow path of cached reads, cut into steps; for read.c, which waits
 * between them, and read_async.c, which does not.
 *
 *      look up --EVENTUAL------------------------> ask --> what was lost   --> judge --> end
 *       ^ |                                         ^      under way, and       |
 *       | '--DRAIN, BARRIER--> settle the peers     |      what bypasses:       |
 *       |                      look again ----------'      ask data lanes       |
 *       '-------------------------------------------- another peer, or a pause -'
 *
 *      while (nkvi_steps_go(&steps)) { until every slot of steps.gather is closed }
 *      status = nkvi_steps_finish(&steps, &error);
 *
 * Memory   The driver's, for so many reads as it says; nothing is allocated here.
 * Threads  One at a time, any. */
#ifndef NKVI_CLIENT_READ_STEPS_H
#define NKVI_CLIENT_READ_STEPS_H

#include "client/gather.h"
#include "client/read.h"

typedef enum nkvi_read_state {
    NKVI_READ_NEW,    /* to be looked up */
    NKVI_READ_HIT,    /* answered by the cache */
    NKVI_READ_ASK,    /* to be asked on the tracked lane */
    NKVI_READ_BYPASS, /* to be asked on the data lane */
    NKVI_READ_DONE,   /* asked, and soon answered, or failed: its slot has it */
    NKVI_READ_AGAIN   /* that was no answer: it is looked up and asked again */
} nkvi_read_state;

/* One read on its way. */
typedef struct nkvi_reading {
    const nkvi_read *read;
    nkv_result *result;
    nkvi_read_state state;
    nkv_bypass reason; /* NKV_BYPASS_COUNT: none */
    bool validated;    /* a hit that is asked all the same */
    bool joined;
    nkv_value *cached; /* the answer of the cache, a reference */
    nkvi_route route;
    nkvi_peer *there;   /* asked instead of the route's peer, behind ASKING; NULL: no */
    unsigned tries;     /* see again.h */
    nkvi_slot *settler; /* whose outcome says whether the peer has processed what was on its way */
    nkvi_ask ask;
    nkvi_slot slot;
} nkvi_reading;

typedef struct nkvi_steps {
    nkv_client *client;
    const nkv_call *call;
    nkv_level level;
    bool healthy; /* the cache is used, and is well */
    int64_t deadline_ns;
    /* Set between steps: whatever would have to be asked from here on ends so.  NKV_OK: none. */
    nkv_status ending;
    enum {
        NKVI_STEP_LOOK,
        NKVI_STEP_SETTLED,
        NKVI_STEP_ASK,
        NKVI_STEP_ASKED,
        NKVI_STEP_BYPASS,
        NKVI_STEP_JUDGE,
        NKVI_STEP_AGAIN,
        NKVI_STEP_END
    } at; /* what is next */
    size_t n;
    nkvi_reading *items;
    nkvi_ask **asks; /* room for as many */
    nkvi_slot pause; /* before some are asked again */
    nkvi_gather gather;
} nkvi_steps;

/* Bytes of working memory for n reads, aligned as a pointer; 0: too many. */
size_t nkvi_steps_room(size_t n);

/* `room` is for at most `most` reads. */
void nkvi_steps_init(nkvi_steps *all, nkv_client *client, const nkv_call *call, int64_t deadline_ns,
                     void *room, size_t most);

/* One more.  It is routed and filtered at once. */
void nkvi_steps_add(nkvi_steps *all, const nkvi_read *read, nkv_result *result);

/* Goes on.  true: slots of the gather were opened, and when all of them are closed it goes on from
 * there, by another call of this; some or all may be closed by now.  false: that was all. */
bool nkvi_steps_go(nkvi_steps *all);

/* Fills the results, counts the reads, clears the gather.  Returns the first failure or NKV_OK;
 * *error is set if there was one (NULL is allowed). */
nkv_status nkvi_steps_finish(nkvi_steps *all, nkv_error *error);

#endif
