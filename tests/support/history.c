/* support/history.c - the notebooks of readers and writers, and values that tell their version.
 *
 * A notebook is two arrays that only its own thread touches, so that taking notes disturbs the
 * threads as little as possible. The judge (history_judge.c) reads them when all are done.
 *
 * Callers      live and stress tests of freshness                                                */

#include "support/history.h"

#include "support/check.h"
#include "support/history_impl.h"

#include <stdlib.h>
#include <string.h>

t_history *t_history_create(void)
{
    t_history *history = calloc(1, sizeof *history);
    T_REQUIRE(history != NULL);
    (void)pthread_mutex_init(&history->mu, NULL);
    return history;
}

void t_history_destroy(t_history *history)
{
    if (history == NULL) {
        return;
    }
    while (history->threads != NULL) {
        t_history_thread *thread = history->threads;
        history->threads = thread->next;
        free(thread->writes);
        free(thread->reads);
        free(thread);
    }
    (void)pthread_mutex_destroy(&history->mu);
    free(history);
}

/* ---- Record ---------------------------------------------------------------------------------- */

t_history_thread *t_history_thread_new(t_history *history, int group)
{
    t_history_thread *thread = calloc(1, sizeof *thread);
    T_REQUIRE(thread != NULL);
    thread->group = group;
    (void)pthread_mutex_lock(&history->mu);
    thread->number = ++history->thread_count;
    thread->next = history->threads;
    history->threads = thread;
    (void)pthread_mutex_unlock(&history->mu);
    return thread;
}

/* Makes room for one more item. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return items;
    }
    *room = *room == 0 ? 1024 : 2 * *room;
    items = realloc(items, *room * size);
    T_REQUIRE(items != NULL);
    return items;
}

static void add_write(t_history_thread *thread, uint32_t key, uint64_t version, int64_t sent_ns,
                      int64_t acked_ns)
{
    thread->writes =
        grow(thread->writes, thread->write_count, &thread->write_room, sizeof *thread->writes);
    thread->writes[thread->write_count++] = (t_history_write){.key = key,
                                                              .group = thread->group,
                                                              .thread = thread->number,
                                                              .version = version,
                                                              .sent_ns = sent_ns,
                                                              .acked_ns = acked_ns};
}

size_t t_history_write_begin(t_history_thread *thread, uint32_t key, uint64_t version)
{
    add_write(thread, key, version, t_now_ns(), INT64_MAX);
    return thread->write_count - 1;
}

void t_history_write_end(t_history_thread *thread, size_t write, bool acked)
{
    T_REQUIRE(write < thread->write_count);
    if (acked) {
        thread->writes[write].acked_ns = t_now_ns();
    }
}

void t_history_write_at(t_history_thread *thread, uint32_t key, uint64_t version, int64_t sent_ns,
                        int64_t acked_ns)
{
    T_REQUIRE(sent_ns <= acked_ns);
    add_write(thread, key, version, sent_ns, acked_ns);
}

void t_history_read(t_history_thread *thread, int64_t begin_ns, t_history_got got)
{
    t_history_read_at(thread, got, begin_ns, t_now_ns());
}

void t_history_read_at(t_history_thread *thread, t_history_got got, int64_t begin_ns,
                       int64_t end_ns)
{
    T_REQUIRE(begin_ns <= end_ns);
    T_REQUIRE(got.level >= T_LEVEL_EVENTUAL && got.level <= T_LEVEL_BARRIER);
    thread->reads =
        grow(thread->reads, thread->read_count, &thread->read_room, sizeof *thread->reads);
    thread->reads[thread->read_count++] = (t_history_note){.thread = thread->number,
                                                           .group = thread->group,
                                                           .got = got,
                                                           .begin_ns = begin_ns,
                                                           .end_ns = end_ns};
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* key, version, length, then random bytes that follow from the three. */
enum { HEAD_LEN = sizeof(uint32_t) + sizeof(uint64_t) + sizeof(uint32_t) };

static void seed_tail(t_rng *rng, uint32_t key, uint64_t version, size_t len)
{
    t_rng_init(rng, version * 0x9e3779b97f4a7c15u + key + ((uint64_t)len << 32));
}

void t_history_value(void *out, size_t len, uint32_t key, uint64_t version)
{
    T_REQUIRE(len >= T_VALUE_LEN_MIN && len <= UINT32_MAX);
    unsigned char *bytes = out;
    const uint32_t len32 = (uint32_t)len;
    memcpy(bytes, &key, sizeof key);
    memcpy(bytes + 4, &version, sizeof version);
    memcpy(bytes + 12, &len32, sizeof len32);
    t_rng rng;
    seed_tail(&rng, key, version, len);
    t_rng_fill(&rng, bytes + HEAD_LEN, len - HEAD_LEN);
}

/* Are these the bytes that follow? Compared in parts, so that a large value needs no copy. */
static bool tail_fits(const unsigned char *value, size_t len, uint32_t key, uint64_t version)
{
    t_rng rng;
    seed_tail(&rng, key, version, len);
    unsigned char part[512]; /* whole words of the generator */
    for (size_t at = HEAD_LEN; at < len; at += sizeof part) {
        const size_t size = len - at < sizeof part ? len - at : sizeof part;
        t_rng_fill(&rng, part, size);
        if (memcmp(value + at, part, size) != 0) {
            return false;
        }
    }
    return true;
}

uint64_t t_history_version(const void *bytes, size_t len, uint32_t key)
{
    if (bytes == NULL) {
        return T_ABSENT;
    }
    if (len < T_VALUE_LEN_MIN) {
        return UINT64_MAX;
    }
    const unsigned char *value = bytes;
    uint32_t key_told;
    uint64_t version;
    uint32_t len_told;
    memcpy(&key_told, value, sizeof key_told);
    memcpy(&version, value + 4, sizeof version);
    memcpy(&len_told, value + 12, sizeof len_told);
    const bool whole = key_told == key && len_told == len && tail_fits(value, len, key, version);
    return whole ? version : UINT64_MAX;
}
