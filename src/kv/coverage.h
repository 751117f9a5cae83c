/* kv/coverage.h - which hash slots a scan has seen all of, although slots move meanwhile.
 *
 *      word of N --scan of N begins--> pages --scan of N ends--> word of N
 *                     |                                             |
 *                     +------------> nkvi_coverage_scanned() <------+
 *
 * SCAN tells what a node has, and says nothing of what comes or goes while it runs.  So a node is
 * asked for its own word (CLUSTER NODES, the line of itself) before and behind:
 *
 *      its own all the time                      the slot is done
 *      its own, but being migrated away          keys that had gone before the scan came to them
 *                                                are at the target: done when that one has been
 *                                                scanned from then on
 *      anything else, or it has restarted        not done: whoever has it now is scanned
 *
 * A key that is there all the time is so seen at least once.  (Keys that are moved back, by a
 * migration that is given up at that moment, may not be.)
 * Threads  One at a time; pure. */
#ifndef NKVI_KV_COVERAGE_H
#define NKVI_KV_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <nearkv/value.h>

#define NKVI_KV_SLOTS  16384u
#define NKVI_KV_ID_MAX 41

typedef struct nkvi_slots {
    uint64_t bits[NKVI_KV_SLOTS / 64];
} nkvi_slots;

static inline bool nkvi_slots_has(const nkvi_slots *slots, unsigned slot)
{
    return (slots->bits[slot / 64] >> slot % 64 & 1) != 0;
}

static inline void nkvi_slots_add(nkvi_slots *slots, unsigned slot)
{
    slots->bits[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* What a node says of itself. */
typedef struct nkvi_node_word {
    char run_id[NKVI_KV_ID_MAX]; /* of the process; empty: it does not tell */
    nkvi_slots owned, leaving, coming;
} nkvi_node_word;

/* The answer of CLUSTER NODES; run_id is left empty.  false: not understood. */
bool nkvi_node_word_parse(nkv_str nodes, nkvi_node_word *out);

/* run_id out of INFO's answer; empty if there is none. */
void nkvi_run_id_parse(nkv_str info, char out[NKVI_KV_ID_MAX]);

typedef struct nkvi_coverage {
    nkvi_slots needed, done;
    nkvi_slots waiting; /* for a scan of the target that begins from now on */
} nkvi_coverage;

/* slot: the only one that is needed, or < 0: all. */
void nkvi_coverage_begin(nkvi_coverage *coverage, int slot);

/* Whether a scan of a node with this word could do one of the slots that are not done. */
bool nkvi_coverage_wants(const nkvi_coverage *coverage, const nkvi_node_word *word);

/* A whole scan is over: waiting, as it was when the scan began. */
void nkvi_coverage_scanned(nkvi_coverage *coverage, const nkvi_slots *waiting,
                           const nkvi_node_word *before, const nkvi_node_word *after);

/* How many slots are not done. */
unsigned nkvi_coverage_left(const nkvi_coverage *coverage);

#endif
