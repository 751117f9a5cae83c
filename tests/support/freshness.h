/* support/freshness.h - were these reads as fresh as promised? Judged while they happen, in a fixed
 * amount of memory.
 *
 * A key's versions count up from 1; one writer at a time writes a key, outside of the client under
 * test. Time is an argument.
 *
 *      writer:  v = t_fresh_write(f, key); SET; t_fresh_acked(f, key, v, now)
 *      reader:  t_fresh_ask ask = t_fresh_begin(f, key, now); GET
 *               t_fresh_verdict says = t_fresh_end(f, key, &ask, level, version)
 *
 * BARRIER     every version acknowledged before the read began is seen: an older one is STALE, if
 *             only by a nanosecond. `floor` (the newest version that the same thread has seen of
 *             the key before) is not undercut: BACKWARDS.
 * EVENTUAL, DRAIN   the version after the one read may have been acknowledged at most `bound_ns`
 *             before the read began; else STALE.
 * all         no version is read that nobody has begun to write: INVENTED.
 *
 * Threads    Any; a key has one writer at a time. */

#ifndef T_SUPPORT_FRESHNESS_H
#define T_SUPPORT_FRESHNESS_H

#include <nearkv/client.h>
#include <stdint.h>

typedef struct t_fresh t_fresh;

typedef enum t_fresh_verdict {
    T_FRESH_GOOD = 0,
    T_FRESH_STALE,
    T_FRESH_BACKWARDS,
    T_FRESH_INVENTED
} t_fresh_verdict;

typedef struct t_fresh_ask {
    int64_t begin_ns;
    uint64_t acked; /* the newest acknowledged version when the read began                        */
    uint64_t floor; /* in: see above; 0: none                                                     */
} t_fresh_ask;

t_fresh *t_fresh_new(int keys, int64_t bound_ns);
void t_fresh_free(t_fresh *fresh);

/* The version to write next; 1 the first time. */
uint64_t t_fresh_write(t_fresh *fresh, int key);
void t_fresh_acked(t_fresh *fresh, int key, uint64_t version, int64_t now_ns);

t_fresh_ask t_fresh_begin(t_fresh *fresh, int key, int64_t now_ns);

/* version 0: the key did not exist. */
t_fresh_verdict t_fresh_end(t_fresh *fresh, int key, const t_fresh_ask *ask, nkv_level level,
                            uint64_t version);

/* The greatest age so far of an answer that was not the newest, by level. */
int64_t t_fresh_age_max_ns(t_fresh *fresh, nkv_level level);

#endif
