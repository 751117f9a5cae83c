/* support/near_events.c - writes down the events of a client.
 *
 * Callers      tests, as nkv_options.on_event                                                    */

#include "support/near.h"

#include "support/check.h"

#include <pthread.h>
#include <stdlib.h>

enum { EVENTS_MAX = 20000 };

struct t_events {
    pthread_mutex_t lock;
    size_t count;
    t_event list[EVENTS_MAX]; /* further ones are counted only                                    */
};

t_events *t_events_new(void)
{
    t_events *events = calloc(1, sizeof *events);
    T_REQUIRE(events != NULL);
    T_REQUIRE(pthread_mutex_init(&events->lock, NULL) == 0);
    return events;
}

void t_events_free(t_events *events)
{
    (void)pthread_mutex_destroy(&events->lock);
    free(events);
}

void t_events_take(const nkv_event *event, void *ud)
{
    t_events *events = ud;
    T_REQUIRE(event->node != NULL && event->text != NULL);
    t_event copy = {.type = event->type, .cause = event->cause, .healthy = event->healthy};
    const int key_len = event->key.len < sizeof copy.key ? (int)event->key.len : 0;
    (void)snprintf(copy.key, sizeof copy.key, "%.*s", key_len,
                   event->key.data != NULL ? event->key.data : "");
    (void)snprintf(copy.node, sizeof copy.node, "%s", event->node);
    (void)snprintf(copy.text, sizeof copy.text, "%s", event->text);
    (void)pthread_mutex_lock(&events->lock);
    if (events->count < EVENTS_MAX) {
        events->list[events->count] = copy;
    }
    events->count++;
    (void)pthread_mutex_unlock(&events->lock);
}

size_t t_events_count(t_events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    const size_t count = events->count;
    (void)pthread_mutex_unlock(&events->lock);
    return count < EVENTS_MAX ? count : EVENTS_MAX;
}

t_event t_events_at(t_events *events, size_t index)
{
    (void)pthread_mutex_lock(&events->lock);
    T_REQUIRE(index < events->count && index < EVENTS_MAX);
    const t_event event = events->list[index];
    (void)pthread_mutex_unlock(&events->lock);
    return event;
}

long t_events_find(t_events *events, size_t from, nkv_event_type type)
{
    const size_t count = t_events_count(events);
    for (size_t i = from; i < count; i++) {
        if (t_events_at(events, i).type == type) {
            return (long)i;
        }
    }
    return -1;
}

long t_events_wait(t_events *events, size_t from, nkv_event_type type, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    long found;
    while ((found = t_events_find(events, from, type)) < 0 && t_now_ms() <= end_ms) {
        t_sleep_ms(1);
    }
    return found;
}

size_t t_events_of(t_events *events, nkv_event_type type)
{
    size_t sum = 0;
    for (size_t i = 0; i < t_events_count(events); i++) {
        sum += t_events_at(events, i).type == type;
    }
    return sum;
}

void t_events_print(t_events *events)
{
    static const char *const names[] = {"?",     "invalidate", "flush",   "health",
                                        "armed", "disarmed",   "pressure"};
    for (size_t i = 0; i < t_events_count(events); i++) {
        const t_event event = t_events_at(events, i);
        (void)fprintf(stderr, "event %zu: %s cause %d key \"%s\" healthy %d node %s \"%s\"\n", i,
                      (unsigned)event.type < 7 ? names[event.type] : "?", (int)event.cause,
                      event.key, event.healthy, event.node, event.text);
    }
}
