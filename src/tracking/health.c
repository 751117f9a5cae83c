/* tracking/health.c - see health.h. */
#include "tracking/health.h"

#include <assert.h>

#include "base/clock.h"

void nkvi_health_init(nkvi_health *health, int64_t max_idle_ms, int64_t now_ns)
{
    health->idle_ns = max_idle_ms <= 0 || max_idle_ms > NKVI_NEVER / NKVI_NS_PER_MS / 8
                          ? 0
                          : max_idle_ms * NKVI_NS_PER_MS;
    health->heard_ns = now_ns;
    health->ping_ns = INT64_MIN;
    health->healthy = true;
}

bool nkvi_health_heard(nkvi_health *health, int64_t now_ns)
{
    bool was = health->healthy;
    if (now_ns > health->heard_ns) {
        health->heard_ns = now_ns;
    }
    health->ping_ns = INT64_MIN;
    health->healthy = true;
    return !was;
}

nkvi_health_action nkvi_health_check(nkvi_health *health, int64_t now_ns, int64_t *next_ns)
{
    if (health->idle_ns == 0) {
        *next_ns = NKVI_NEVER;
        return NKVI_HEALTH_NOTHING;
    }
    int64_t silent = now_ns - health->heard_ns;
    bool pinged = health->ping_ns != INT64_MIN;

    *next_ns = now_ns;
    if (!pinged && silent >= health->idle_ns / 2) {
        health->ping_ns = now_ns;
        return NKVI_HEALTH_PING;
    }
    if (health->healthy && silent >= health->idle_ns) {
        health->healthy = false;
        return NKVI_HEALTH_UNHEALTHY;
    }
    int64_t close_ns =
        pinged ? health->ping_ns + health->idle_ns + health->idle_ns / 2 : NKVI_NEVER;
    if (now_ns >= close_ns) {
        return NKVI_HEALTH_CLOSE;
    }
    if (!pinged) {
        *next_ns = health->heard_ns + health->idle_ns / 2;
    } else if (health->healthy && health->heard_ns + health->idle_ns < close_ns) {
        *next_ns = health->heard_ns + health->idle_ns;
    } else {
        *next_ns = close_ns;
    }
    assert(*next_ns > now_ns);
    return NKVI_HEALTH_NOTHING;
}
