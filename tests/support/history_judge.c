/* support/history_judge.c - decides which reads are proved wrong by the times alone.
 *
 * Everything is asked of sorted lists of writes with a running maximum. For STALE they are those of
 * one key, in the order in which they were acknowledged:
 *
 *      acknowledged      10    20    30    40          a read that begins at 35 has got a version
 *      sent               5    18     9    38          acknowledged at 7: which write is newer, and
 *      highest sent yet   5    18    18    38          was acknowledged first? the first whose
 *                              ^                       highest is above 7: the one at 20
 *
 * As it is the first of all newer ones, it alone decides, and tells how late the read was.
 *
 * Invariants   an item's highest is that of all items of its range up to it
 * Callers      tests, when all threads that took notes are done                                  */

#include "support/check.h"
#include "support/history.h"
#include "support/history_impl.h"

#include <stdlib.h>

/* ---- Sorted lists with a running maximum ----------------------------------------------------- */

typedef struct item {
    uint32_t key;
    uint64_t sub; /* the version or the group; 0 where the key alone counts                       */
    int64_t order;
    int64_t value;
    int64_t highest;
    const t_history_write *write;
} item;

typedef struct list {
    item *items;
    size_t count;
} list;

static int compare_items(const void *a, const void *b)
{
    const item *x = a;
    const item *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    if (x->sub != y->sub) {
        return x->sub < y->sub ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

static bool same_range(const item *a, const item *b)
{
    return a->key == b->key && a->sub == b->sub;
}

static void sort_list(list *l)
{
    qsort(l->items, l->count, sizeof *l->items, compare_items);
    for (size_t i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        const item *before = i > 0 && same_range(it - 1, it) ? it - 1 : NULL;
        it->highest = before != NULL && before->highest > it->value ? before->highest : it->value;
    }
}

/* A part of a list: items begin..end - 1. */
typedef struct part {
    size_t begin;
    size_t end;
} part;

/* The first item of the part that is not before (sub, order); its end if there is none. All items
 * are of one key.                                                                                */
static size_t lower_bound(const list *l, part p, uint64_t sub, int64_t order)
{
    while (p.begin < p.end) {
        const size_t middle = p.begin + (p.end - p.begin) / 2;
        const item *it = &l->items[middle];
        if (it->sub < sub || (it->sub == sub && it->order < order)) {
            p.begin = middle + 1;
        } else {
            p.end = middle;
        }
    }
    return p.begin;
}

/* The first item of (the key's part, sub) whose highest is above `value`; NULL if there is none. An
 * order of INT64_MAX is «never»: such items do not count.                                        */
static const item *first_above(const list *l, part key, uint64_t sub, int64_t value)
{
    part p = {.begin = lower_bound(l, key, sub, INT64_MIN)};
    p.end = lower_bound(l, (part){p.begin, key.end}, sub, INT64_MAX);
    const size_t end = p.end;
    while (p.begin < p.end) {
        const size_t middle = p.begin + (p.end - p.begin) / 2;
        if (l->items[middle].highest <= value) {
            p.begin = middle + 1;
        } else {
            p.end = middle;
        }
    }
    return p.begin < end ? &l->items[p.begin] : NULL;
}

/* ---- The case -------------------------------------------------------------------------------- */

/* What shows that a read is wrong. */
typedef struct proof {
    const char *kind;
    size_t lines; /* 0: there is none yet                                                         */
    int64_t span_ns;
    int64_t late_ns; /* STALE, OWN WRITE: by how much                                             */
    const t_history_note *read;
    const t_history_note *earlier; /* BACKWARDS: what the thread had read before                  */
    const t_history_write *got;
    const t_history_write *newer;
} proof;

/* Where the writes of a key lie: in the same places of all lists, as each holds all writes. */
typedef struct key_part {
    uint32_t key;
    part part;
} key_part;

typedef struct court {
    const t_history_rules *rules;
    key_part *keys; /* sorted                                                                     */
    size_t key_count;
    list by_ack;       /* key: order acked, value sent                                            */
    list by_group_ack; /* key, group: the same                                                    */
    list by_version;   /* key, version: order sent, value acked                                   */
    t_history_verdict verdict;
    proof smallest;
} court;

static int64_t sent_before(const t_history_write *write, int64_t ns)
{
    return write != NULL && write->sent_ns < ns ? write->sent_ns : ns;
}

/* Counts an error and keeps its proof if it is smaller than the one there is. */
static void convict(court *c, size_t *counter, proof p, const char *kind)
{
    (*counter)++;
    int64_t begin_ns = p.earlier == NULL ? p.read->begin_ns : p.earlier->begin_ns;
    begin_ns = sent_before(p.newer, sent_before(p.got, begin_ns));
    p.kind = kind;
    p.lines = 1u + (p.earlier != NULL) + (p.got != NULL) + (p.newer != NULL);
    p.span_ns = p.read->end_ns - begin_ns;
    const proof *s = &c->smallest;
    if (s->lines == 0 || p.lines < s->lines || (p.lines == s->lines && p.span_ns < s->span_ns)) {
        c->smallest = p;
    }
    if (p.late_ns > c->verdict.worst_ns) {
        c->verdict.worst_ns = p.late_ns;
    }
}

/* Where the writes of a key lie; empty if there are none. */
static part part_of_key(const court *c, uint32_t key)
{
    size_t low = 0;
    size_t high = c->key_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (c->keys[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->key_count && c->keys[low].key == key ? c->keys[low].part : (part){0, 0};
}

/* Which write can the read have got? */
typedef enum origin { ORIGIN_KNOWN, ORIGIN_UNKNOWN, ORIGIN_FUTURE } origin;

/* Finds the writes of that version that were sent before the read had ended. `*acked_ns`: when the
 * last of them was acknowledged, as that is the one least likely to be old; INT64_MIN for a key
 * that never was there.                                                                          */
static origin find_origin(const court *c, const t_history_note *note, proof *p, int64_t *acked_ns)
{
    const part key = part_of_key(c, note->got.key);
    const uint64_t version = note->got.version;
    const size_t first = lower_bound(&c->by_version, key, version, INT64_MIN);
    const size_t behind = lower_bound(&c->by_version, key, version, note->end_ns + 1);
    const size_t end = lower_bound(&c->by_version, key, version, INT64_MAX);
    *acked_ns = INT64_MIN;
    if (behind > first) {
        const item *last = &c->by_version.items[behind - 1];
        p->got = last->write;
        *acked_ns = last->highest;
        return ORIGIN_KNOWN;
    }
    if (version == T_ABSENT) {
        return ORIGIN_KNOWN;
    }
    if (end == first) {
        return ORIGIN_UNKNOWN;
    }
    p->got = c->by_version.items[first].write;
    return ORIGIN_FUTURE;
}

/* Was there a newer write, acknowledged before `limit_ns`? */
static bool is_late(const list *l, part key, uint64_t sub, int64_t acked_ns, int64_t limit_ns,
                    proof *p)
{
    const item *newer = first_above(l, key, sub, acked_ns);
    if (newer == NULL || newer->order >= limit_ns) {
        return false;
    }
    p->newer = newer->write;
    p->late_ns = limit_ns - newer->order;
    return true;
}

static uint64_t group_sub(int group)
{
    return (uint64_t)(int64_t)group;
}

static void judge_read(court *c, const t_history_note *note)
{
    t_history_verdict *verdict = &c->verdict;
    proof p = {.read = note};
    int64_t acked_ns;
    verdict->reads++;
    if (note->got.version == T_ABSENT && c->rules->absent_is_fine) {
        return;
    }
    switch (find_origin(c, note, &p, &acked_ns)) {
    case ORIGIN_UNKNOWN:
        convict(c, &verdict->unknown, p, "UNKNOWN");
        return;
    case ORIGIN_FUTURE:
        convict(c, &verdict->future, p, "FUTURE");
        return;
    case ORIGIN_KNOWN:
        break;
    }
    const part key = part_of_key(c, note->got.key);
    const uint64_t group = group_sub(note->group);
    const int64_t bound_ns = c->rules->bound_ns[note->got.level];
    if (bound_ns >= 0 && is_late(&c->by_ack, key, 0, acked_ns, note->begin_ns - bound_ns, &p)) {
        convict(c, &verdict->stale, p, "STALE");
    } else if (!c->rules->no_own_writes &&
               is_late(&c->by_group_ack, key, group, acked_ns, note->begin_ns, &p)) {
        convict(c, &verdict->own_write, p, "OWN WRITE");
    }
}

/* ---- Backwards ------------------------------------------------------------------------------- */

static int compare_notes(const void *a, const void *b)
{
    const t_history_note *x = *(const t_history_note *const *)a;
    const t_history_note *y = *(const t_history_note *const *)b;
    if (x->got.key != y->got.key) {
        return x->got.key < y->got.key ? -1 : 1;
    }
    return (x > y) - (x < y); /* their order in the notebook */
}

/* Follows one thread through the versions that it has read of each key. What was not there, or is
 * not known, has no place in an order.                                                           */
static void judge_order(court *c, const t_history_thread *thread)
{
    const t_history_note **notes = calloc(thread->read_count + 1, sizeof *notes);
    T_REQUIRE(notes != NULL);
    for (size_t i = 0; i < thread->read_count; i++) {
        notes[i] = &thread->reads[i];
    }
    qsort(notes, thread->read_count, sizeof *notes, compare_notes);
    const t_history_note *newest = NULL; /* of this key */
    const t_history_write *newest_write = NULL;
    for (size_t i = 0; i < thread->read_count; i++) {
        if (newest != NULL && newest->got.key != notes[i]->got.key) {
            newest = NULL;
        }
        proof p = {.read = notes[i], .earlier = newest};
        int64_t acked_ns;
        const bool skip = notes[i]->got.version == T_ABSENT;
        if (skip || find_origin(c, notes[i], &p, &acked_ns) != ORIGIN_KNOWN) {
            continue;
        }
        if (newest != NULL && acked_ns < newest_write->sent_ns) {
            p.newer = newest_write;
            convict(c, &c->verdict.backwards, p, "BACKWARDS");
        } else if (newest == NULL || p.got->sent_ns > newest_write->sent_ns) {
            newest = notes[i];
            newest_write = p.got;
        }
    }
    free(notes);
}

/* ---- Report ---------------------------------------------------------------------------------- */

static double us_since(int64_t ns, int64_t base_ns)
{
    return (double)(ns - base_ns) / 1e3;
}

static void print_version(FILE *out, uint64_t version)
{
    if (version == T_ABSENT) {
        (void)fputs("nothing", out);
    } else {
        (void)fprintf(out, "version %llu", (unsigned long long)version);
    }
}

static void print_write(FILE *out, const t_history_write *write, int64_t base_ns)
{
    if (write == NULL) {
        return;
    }
    (void)fprintf(out, "  %10.1f ", us_since(write->sent_ns, base_ns));
    if (write->acked_ns == INT64_MAX) {
        (void)fputs("..          ", out);
    } else {
        (void)fprintf(out, ".. %-8.1f ", us_since(write->acked_ns, base_ns));
    }
    (void)fprintf(out, " thread %d (group %d) wrote ", write->thread, write->group);
    print_version(out, write->version);
    (void)fputs(write->acked_ns == INT64_MAX ? ", never acknowledged\n" : "\n", out);
}

static void print_read(FILE *out, const t_history_note *note, int64_t base_ns)
{
    static const char *const levels[] = {"EVENTUAL", "DRAIN", "BARRIER"};
    if (note == NULL) {
        return;
    }
    (void)fprintf(out, "  %10.1f .. %-8.1f  thread %d (group %d) read ",
                  us_since(note->begin_ns, base_ns), us_since(note->end_ns, base_ns), note->thread,
                  note->group);
    print_version(out, note->got.version);
    (void)fprintf(out, " (%s, from %s)\n", levels[note->got.level],
                  note->got.from == NULL ? "?" : note->got.from);
}

static void report(const court *c, FILE *out)
{
    const proof *p = &c->smallest;
    const int64_t base_ns = p->read->end_ns - p->span_ns;
    (void)fprintf(out, "%s: key %u, in microseconds", p->kind, p->read->got.key);
    if (p->late_ns > 0) {
        (void)fprintf(out, ", too late by %.1f", (double)p->late_ns / 1e3);
    }
    (void)fputc('\n', out);
    const bool got_first =
        p->got == NULL || p->newer == NULL || p->got->sent_ns <= p->newer->sent_ns;
    print_write(out, got_first ? p->got : p->newer, base_ns);
    print_write(out, got_first ? p->newer : p->got, base_ns);
    print_read(out, p->earlier, base_ns);
    print_read(out, p->read, base_ns);
}

/* ---- Judge ----------------------------------------------------------------------------------- */

static void add_item(list *l, const t_history_write *write, uint64_t sub, int64_t order,
                     int64_t value)
{
    l->items[l->count++] =
        (item){.key = write->key, .sub = sub, .order = order, .value = value, .write = write};
}

/* Finds the keys in a sorted list. */
static void find_keys(court *c)
{
    c->keys = calloc(c->verdict.writes + 1, sizeof *c->keys);
    T_REQUIRE(c->keys != NULL);
    for (size_t i = 0; i < c->by_ack.count; i++) {
        const uint32_t key = c->by_ack.items[i].key;
        if (c->key_count == 0 || c->keys[c->key_count - 1].key != key) {
            c->keys[c->key_count++] = (key_part){.key = key, .part = {.begin = i}};
        }
        c->keys[c->key_count - 1].part.end = i + 1;
    }
}

/* Fills and sorts the three lists. */
static void open_case(court *c, const t_history *history)
{
    for (const t_history_thread *t = history->threads; t != NULL; t = t->next) {
        c->verdict.writes += t->write_count;
    }
    list *const lists[] = {&c->by_ack, &c->by_group_ack, &c->by_version};
    for (size_t i = 0; i < 3; i++) {
        lists[i]->items = calloc(c->verdict.writes + 1, sizeof *lists[i]->items);
        T_REQUIRE(lists[i]->items != NULL);
    }
    for (const t_history_thread *t = history->threads; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->write_count; i++) {
            const t_history_write *w = &t->writes[i];
            add_item(&c->by_ack, w, 0, w->acked_ns, w->sent_ns);
            add_item(&c->by_group_ack, w, group_sub(w->group), w->acked_ns, w->sent_ns);
            add_item(&c->by_version, w, w->version, w->sent_ns, w->acked_ns);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        sort_list(lists[i]);
    }
    find_keys(c);
}

size_t t_history_errors(const t_history_verdict *v)
{
    return v->stale + v->own_write + v->backwards + v->future + v->unknown;
}

t_history_verdict t_history_judge(const t_history *history, const t_history_rules *rules, FILE *out)
{
    court c = {.rules = rules};
    open_case(&c, history);
    for (const t_history_thread *t = history->threads; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->read_count; i++) {
            judge_read(&c, &t->reads[i]);
        }
        if (rules->monotonic) {
            judge_order(&c, t);
        }
    }
    if (c.smallest.lines > 0 && out != NULL) {
        report(&c, out);
    }
    free(c.keys);
    free(c.by_ack.items);
    free(c.by_group_ack.items);
    free(c.by_version.items);
    return c.verdict;
}
