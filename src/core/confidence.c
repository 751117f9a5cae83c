/* core/confidence.c - see confidence.h. */
#include "core/confidence.h"

#include <string.h>

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static double number_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

void nkvi_confidence_init(nkvi_confidence *confidence, double percent, bool dynamic)
{
    confidence->configured = percent;
    confidence->dynamic = dynamic;
    atomic_init(&confidence->bits, bits_of(percent));
}

void nkvi_confidence_reset(nkvi_confidence *confidence)
{
    atomic_store_explicit(&confidence->bits, bits_of(confidence->configured), memory_order_relaxed);
}

double nkvi_confidence_now(const nkvi_confidence *confidence)
{
    return number_of(atomic_load_explicit(&confidence->bits, memory_order_relaxed));
}

void nkvi_confidence_feedback(nkvi_confidence *confidence, bool match)
{
    if (!confidence->dynamic) {
        return;
    }
    uint64_t bits = atomic_load_explicit(&confidence->bits, memory_order_relaxed);
    double then;
    do {
        then = number_of(bits) * (match ? 1.0001 : 0.999);
        then = then > 100.0 ? 100.0 : then;
    } while (!atomic_compare_exchange_weak_explicit(&confidence->bits, &bits, bits_of(then),
                                                    memory_order_relaxed, memory_order_relaxed));
}

bool nkvi_confidence_doubts(double percent, uint64_t random)
{
    double dice = (double)(random >> 11) * 0x1p-53 * 100.0; /* [0, 100) */
    return !(dice < percent);
}
