/* core/confidence.h - how many hits are trusted without asking the server.
 *
 * A percentage.  With `dynamic` every validation moves it: × 0.999 for a dirty answer, × 1.0001 for
 * a confirmed one, kept within 0 … 100.  At 100 nothing is ever validated, so it stays there; at 0
 * everything is, and it stays as well.
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_CONFIDENCE_H
#define NKVI_CORE_CONFIDENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct nkvi_confidence {
    _Atomic uint64_t bits; /* of a double */
    double configured;
    bool dynamic;
} nkvi_confidence;

void nkvi_confidence_init(nkvi_confidence *confidence, double percent, bool dynamic);
void nkvi_confidence_reset(nkvi_confidence *confidence);
double nkvi_confidence_now(const nkvi_confidence *confidence);

/* A validation found the same answer, or another. */
void nkvi_confidence_feedback(nkvi_confidence *confidence, bool match);

/* Whether a hit must be validated; `random` is 64 random bits. */
bool nkvi_confidence_doubts(double percent, uint64_t random);

#endif
