/* tests/unit/support/test_history.c - the judge of histories, with planted faults: it must find
 * each of them, and accuse nobody who may be innocent.                                           */

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/history.h"

static const t_history_rules strict = {.bound_ns = {1000, 100, 0}, .monotonic = true};

/* A history and two threads of different groups. */
typedef struct scene {
    t_history *history;
    t_history_thread *writer; /* group 1                                                          */
    t_history_thread *reader; /* group 2                                                          */
} scene;

static scene scene_open(void)
{
    scene s = {.history = t_history_create()};
    s.writer = t_history_thread_new(s.history, 1);
    s.reader = t_history_thread_new(s.history, 2);
    return s;
}

/* Version 1 at 100..110, version 2 at 200..210. */
static scene scene_with_two_versions(void)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, 110);
    t_history_write_at(s.writer, 7, 2, 200, 210);
    return s;
}

static void read_at(t_history_thread *thread, uint64_t version, t_level level, int64_t begin,
                    int64_t end)
{
    const t_history_got got = {.key = 7, .version = version, .level = level, .from = "cache"};
    t_history_read_at(thread, got, begin, end);
}

/* Judges, closes, and compares the numbers of errors. */
static void verdict_is(scene s, const t_history_rules *rules, t_history_verdict want)
{
    const t_history_verdict got = t_history_judge(s.history, rules, stderr);
    t_history_destroy(s.history);
    cr_assert_eq(got.stale, want.stale, "stale: %zu", got.stale);
    cr_assert_eq(got.own_write, want.own_write, "own writes: %zu", got.own_write);
    cr_assert_eq(got.backwards, want.backwards, "backwards: %zu", got.backwards);
    cr_assert_eq(got.future, want.future, "future: %zu", got.future);
    cr_assert_eq(got.unknown, want.unknown, "unknown: %zu", got.unknown);
    cr_assert_eq(t_history_errors(&got),
                 want.stale + want.own_write + want.backwards + want.future + want.unknown);
}

static const t_history_verdict innocent;

/* ---- Stale ----------------------------------------------------------------------------------- */

Test(support_history, the_newest_version_is_fine)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 1, T_LEVEL_BARRIER, 150, 160);
    read_at(s.reader, 2, T_LEVEL_BARRIER, 215, 220);
    verdict_is(s, &strict, innocent);
}

Test(support_history, an_old_version_after_the_bound_is_stale)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 1, T_LEVEL_BARRIER, 211, 220);
    verdict_is(s, &strict, (t_history_verdict){.stale = 1});
}

Test(support_history, the_bound_begins_at_the_ack_and_is_exact)
{
    for (int level = T_LEVEL_EVENTUAL; level <= T_LEVEL_BARRIER; level++) {
        const int64_t bound = strict.bound_ns[level];
        scene s = scene_with_two_versions();
        read_at(s.reader, 1, (t_level)level, 210 + bound, 210 + bound + 5);
        verdict_is(s, &strict, innocent);
        s = scene_with_two_versions();
        read_at(s.reader, 1, (t_level)level, 210 + bound + 1, 210 + bound + 5);
        verdict_is(s, &strict, (t_history_verdict){.stale = 1});
    }
}

Test(support_history, a_read_that_began_before_the_ack_may_get_either)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 1, T_LEVEL_BARRIER, 205, 5000);
    verdict_is(s, &strict, innocent);
    s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_BARRIER, 205, 207);
    verdict_is(s, &strict, innocent);
}

Test(support_history, a_write_that_was_never_acknowledged_proves_nothing)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, 110);
    t_history_write_at(s.writer, 7, 2, 200, INT64_MAX);
    read_at(s.reader, 1, T_LEVEL_BARRIER, 90000, 90001);
    read_at(s.reader, 2, T_LEVEL_BARRIER, 90002, 90003);
    read_at(s.writer, 1, T_LEVEL_BARRIER, 90004, 90005);
    const t_history_rules rules = {.bound_ns = {0, 0, 0}};
    verdict_is(s, &rules, innocent);
}

/* It may have come to the server after everything else. */
Test(support_history, an_unacknowledged_version_never_is_too_old)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, INT64_MAX);
    t_history_write_at(s.writer, 7, 2, 200, 210);
    read_at(s.reader, 1, T_LEVEL_BARRIER, 90000, 90001);
    verdict_is(s, &strict, innocent);
}

Test(support_history, writes_that_overlap_have_no_order)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, 210);
    t_history_write_at(s.reader, 7, 2, 200, 220);
    read_at(s.reader, 1, T_LEVEL_BARRIER, 300, 310);
    read_at(s.reader, 2, T_LEVEL_BARRIER, 320, 330);
    read_at(s.reader, 1, T_LEVEL_BARRIER, 340, 350);
    verdict_is(s, &strict, innocent);
}

Test(support_history, keys_do_not_mix)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, 110);
    t_history_write_at(s.writer, 6, 2, 200, 210);
    t_history_write_at(s.writer, 8, 3, 200, 210);
    read_at(s.reader, 1, T_LEVEL_BARRIER, 300, 310);
    verdict_is(s, &strict, innocent);
}

Test(support_history, any_age_will_do_where_the_bound_is_off)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 1, T_LEVEL_EVENTUAL, 90000, 90001);
    const t_history_rules rules = {.bound_ns = {-1, 0, 0}};
    verdict_is(s, &rules, innocent);
}

/* ---- Own writes ------------------------------------------------------------------------------ */

Test(support_history, ones_own_write_has_no_bound)
{
    scene s = scene_with_two_versions();
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 211, 212);
    verdict_is(s, &strict, (t_history_verdict){.own_write = 1});
    s = scene_with_two_versions();
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 210, 212); /* not proved to be after the ack */
    verdict_is(s, &strict, innocent);
}

Test(support_history, a_thread_of_the_same_group_sees_them_too)
{
    scene s = scene_with_two_versions();
    t_history_thread *friend = t_history_thread_new(s.history, 1);
    read_at(friend, 1, T_LEVEL_EVENTUAL, 211, 212);
    read_at(s.reader, 1, T_LEVEL_EVENTUAL, 211, 212); /* group 2 has time until 1210 */
    verdict_is(s, &strict, (t_history_verdict){.own_write = 1});
    s = scene_with_two_versions();
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 211, 212);
    const t_history_rules rules = {.bound_ns = {1000, 0, 0}, .no_own_writes = true};
    verdict_is(s, &rules, innocent);
}

Test(support_history, another_groups_write_is_not_ones_own)
{
    scene s = scene_open();
    t_history_write_at(s.writer, 7, 1, 100, 110);
    t_history_write_at(s.reader, 7, 2, 200, 210); /* group 2, which sorts behind group 1 */
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 300, 310);
    verdict_is(s, &strict, innocent);
}

/* ---- Backwards, future, unknown -------------------------------------------------------------- */

Test(support_history, a_thread_never_reads_backwards)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 205, 206);
    read_at(s.reader, 1, T_LEVEL_EVENTUAL, 207, 208);
    verdict_is(s, &strict, (t_history_verdict){.backwards = 1});
    s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 205, 206);
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 207, 208); /* another thread's memory */
    verdict_is(s, &strict, innocent);
    s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 205, 206);
    read_at(s.reader, 1, T_LEVEL_EVENTUAL, 207, 208);
    const t_history_rules rules = {.bound_ns = {1000, 1000, 1000}};
    verdict_is(s, &rules, innocent);
}

Test(support_history, a_version_from_the_future)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 150, 199);
    verdict_is(s, &strict, (t_history_verdict){.future = 1});
    s = scene_with_two_versions();
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 150, 200);
    verdict_is(s, &strict, innocent);
}

Test(support_history, a_version_that_nobody_wrote)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, 3, T_LEVEL_EVENTUAL, 300, 310);
    read_at(s.reader, UINT64_MAX, T_LEVEL_EVENTUAL, 300, 310); /* a torn value */
    verdict_is(s, &strict, (t_history_verdict){.unknown = 2});
}

/* ---- Absence --------------------------------------------------------------------------------- */

Test(support_history, a_key_is_absent_until_it_is_written)
{
    scene s = scene_with_two_versions();
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 50, 60);
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 105, 120);
    verdict_is(s, &strict, innocent);
    s = scene_with_two_versions();
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 111, 120);
    verdict_is(s, &strict, (t_history_verdict){.stale = 1});
    s = scene_with_two_versions();
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 111, 120);
    const t_history_rules rules = {.bound_ns = {0, 0, 0}, .absent_is_fine = true};
    verdict_is(s, &rules, innocent);
}

Test(support_history, a_deletion_is_a_write)
{
    scene s = scene_with_two_versions();
    t_history_write_at(s.writer, 7, T_ABSENT, 300, 310);
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 320, 330);
    verdict_is(s, &strict, innocent);
    s = scene_with_two_versions();
    t_history_write_at(s.writer, 7, T_ABSENT, 300, 310);
    read_at(s.reader, 2, T_LEVEL_BARRIER, 320, 330);
    verdict_is(s, &strict, (t_history_verdict){.stale = 1});
    /* Two deletions: a read after the second must not be taken for the first. */
    s = scene_with_two_versions();
    t_history_write_at(s.writer, 7, T_ABSENT, 150, 160);
    t_history_write_at(s.writer, 7, T_ABSENT, 300, 310);
    read_at(s.reader, T_ABSENT, T_LEVEL_BARRIER, 320, 330);
    verdict_is(s, &strict, innocent);
}

/* ---- The report ------------------------------------------------------------------------------ */

static char *report_of(const t_history *history, t_history_verdict *verdict)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    *verdict = t_history_judge(history, &strict, out);
    (void)fclose(out);
    return text;
}

Test(support_history, the_report_is_the_smallest_proof)
{
    scene s = scene_open();
    for (uint64_t v = 1; v <= 50; v++) {
        t_history_write_at(s.writer, 7, v, (int64_t)v * 1000, (int64_t)v * 1000 + 500);
    }
    read_at(s.reader, 10, T_LEVEL_BARRIER, 40000, 40100); /* 29 versions too old: a long story */
    read_at(s.reader, 20, T_LEVEL_BARRIER, 21700, 21800); /* one version */
    t_history_verdict verdict;
    char *text = report_of(s.history, &verdict);
    cr_assert_eq(verdict.stale, 2);
    cr_assert_eq(verdict.reads, 2);
    cr_assert_eq(verdict.writes, 50);
    cr_assert_eq(verdict.worst_ns, 40000 - 11500);
    static const char want[] =
        "STALE: key 7, in microseconds, too late by 0.2\n"
        "         0.0 .. 0.5       thread 1 (group 1) wrote version 20\n"
        "         1.0 .. 1.5       thread 1 (group 1) wrote version 21\n"
        "         1.7 .. 1.8       thread 2 (group 2) read version 20 (BARRIER, from cache)\n";
    cr_assert(t_same_bytes("report", text, strlen(text), want, sizeof want - 1));
    free(text);
    t_history_destroy(s.history);
}

Test(support_history, each_kind_of_error_is_reported_by_name)
{
    scene s = scene_with_two_versions();
    t_history_verdict verdict;
    read_at(s.reader, 2, T_LEVEL_EVENTUAL, 205, 206);
    read_at(s.reader, 1, T_LEVEL_EVENTUAL, 207, 208);
    char *text = report_of(s.history, &verdict);
    cr_assert_not_null(strstr(text, "BACKWARDS: key 7"), "%s", text);
    free(text);
    read_at(s.writer, 1, T_LEVEL_EVENTUAL, 211, 212); /* fewer lines than the one above */
    text = report_of(s.history, &verdict);
    cr_assert_not_null(strstr(text, "OWN WRITE: key 7"), "%s", text);
    free(text);
    t_history_write_at(s.writer, 7, 9, 9000, INT64_MAX);
    read_at(s.reader, 9, T_LEVEL_EVENTUAL, 300, 310);
    text = report_of(s.history, &verdict);
    cr_assert_not_null(strstr(text, "FUTURE: key 7"), "%s", text);
    cr_assert_not_null(strstr(text, "never acknowledged"), "%s", text);
    free(text);
    read_at(s.reader, 99, T_LEVEL_DRAIN, 300, 310);
    text = report_of(s.history, &verdict);
    cr_assert_not_null(strstr(text, "UNKNOWN: key 7"), "%s", text);
    cr_assert_not_null(strstr(text, "(DRAIN, from cache)"), "%s", text);
    cr_assert_eq(t_history_errors(&verdict), 4);
    free(text);
    t_history_destroy(s.history);
}

/* ---- Against a naive judge ------------------------------------------------------------------- */

enum { MODEL_WRITES = 40, MODEL_READS = 60 };

typedef struct model_write {
    uint32_t key;
    uint64_t version;
    int64_t sent;
    int64_t acked;
} model_write;

/* STALE by the definition, word by word, with every pair of writes. */
static bool model_stale(const model_write *writes, uint32_t key, uint64_t version, int64_t begin,
                        int64_t end, int64_t bound)
{
    bool excused = false; /* some write of that version may be what was read, and is not too old */
    for (int v = -1; v < MODEL_WRITES; v++) {
        const bool never_there = v < 0; /* the absence that a key begins with */
        const bool candidate = never_there ? version == T_ABSENT
                                           : writes[v].key == key && writes[v].version == version &&
                                                 writes[v].sent <= end;
        bool overwritten = false;
        for (int w = 0; candidate && w < MODEL_WRITES; w++) {
            const bool newer =
                writes[w].key == key && (never_there || writes[v].acked < writes[w].sent);
            overwritten = overwritten || (newer && writes[w].acked != INT64_MAX &&
                                          writes[w].acked + bound < begin);
        }
        excused = excused || (candidate && !overwritten);
    }
    return !excused;
}

Test(support_history, agrees_with_a_naive_judge_on_random_histories)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    size_t stale_seen = 0;
    for (int round = 0; round < 200; round++) {
        scene s = scene_open();
        model_write writes[MODEL_WRITES];
        for (int i = 0; i < MODEL_WRITES; i++) {
            model_write *w = &writes[i];
            w->key = (uint32_t)t_rng_below(&rng, 2);
            w->version = t_rng_below(&rng, 4) == 0 ? T_ABSENT : (uint64_t)i + 1;
            w->sent = (int64_t)t_rng_below(&rng, 1000);
            w->acked =
                t_rng_below(&rng, 8) == 0 ? INT64_MAX : w->sent + (int64_t)t_rng_below(&rng, 100);
            t_history_write_at(s.writer, w->key, w->version, w->sent, w->acked);
        }
        const t_history_rules rules = {.bound_ns = {30, 30, 30}};
        size_t want = 0;
        for (int i = 0; i < MODEL_READS; i++) {
            const model_write *w = &writes[t_rng_below(&rng, MODEL_WRITES)];
            const int64_t begin = w->sent + (int64_t)t_rng_below(&rng, 300);
            const int64_t end = begin + (int64_t)t_rng_below(&rng, 50);
            const t_history_got got = {.key = w->key, .version = w->version};
            t_history_read_at(s.reader, got, begin, end);
            want += model_stale(writes, w->key, w->version, begin, end, 30);
        }
        const t_history_verdict verdict = t_history_judge(s.history, &rules, NULL);
        cr_assert_eq(verdict.stale, want, "round %d: %zu, not %zu", round, verdict.stale, want);
        cr_assert_eq(t_history_errors(&verdict), want);
        stale_seen += want;
        t_history_destroy(s.history);
    }
    cr_assert_gt(stale_seen, 500, "only %zu stale reads were tried", stale_seen);
}

/* ---- In earnest ------------------------------------------------------------------------------ */

enum { GAME_WRITES = 3000, GAME_READS_MAX = 200000, MEMORY = 64 };

typedef struct game {
    t_history *history;
    pthread_barrier_t start;
    uint64_t cell; /* the «server»                                                                */
    bool over;
} game;

typedef struct player {
    game *game;
    t_history_thread *notes;
    pthread_t thread;
    bool lies; /* tells what it saw some reads ago                                                */
} player;

static void *write_cell(void *ud)
{
    const player *p = ud;
    (void)pthread_barrier_wait(&p->game->start);
    for (uint64_t i = 1; i <= GAME_WRITES; i++) {
        const size_t write = t_history_write_begin(p->notes, 7, i);
        __atomic_store_n(&p->game->cell, i, __ATOMIC_SEQ_CST);
        t_history_write_end(p->notes, write, true);
        if (i % 16 == 0) {
            (void)sched_yield();
        }
    }
    __atomic_store_n(&p->game->over, true, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *read_cell(void *ud)
{
    const player *p = ud;
    uint64_t memory[MEMORY] = {0};
    (void)pthread_barrier_wait(&p->game->start);
    for (size_t i = 0; i < GAME_READS_MAX; i++) {
        if (__atomic_load_n(&p->game->over, __ATOMIC_SEQ_CST) && i > 2 * (size_t)MEMORY) {
            break;
        }
        const int64_t begin_ns = t_now_ns();
        const uint64_t seen = __atomic_load_n(&p->game->cell, __ATOMIC_SEQ_CST);
        const uint64_t told = p->lies && i >= MEMORY ? memory[i % MEMORY] : seen;
        memory[i % MEMORY] = seen;
        t_history_read(p->notes, begin_ns, (t_history_got){7, told, T_LEVEL_BARRIER, "memory"});
    }
    return NULL;
}

static t_history_verdict play_together(bool lies)
{
    game g = {.history = t_history_create()};
    player players[3];
    cr_assert_eq(pthread_barrier_init(&g.start, NULL, 3), 0);
    for (int i = 0; i < 3; i++) {
        players[i] = (player){
            .game = &g, .notes = t_history_thread_new(g.history, i), .lies = lies && i == 2};
        void *(*fn)(void *) = i == 0 ? write_cell : read_cell;
        cr_assert_eq(pthread_create(&players[i].thread, NULL, fn, &players[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(players[i].thread, NULL);
    }
    const t_history_rules rules = {.bound_ns = {0, 0, 0}, .monotonic = true};
    const t_history_verdict verdict = t_history_judge(g.history, &rules, stderr);
    (void)pthread_barrier_destroy(&g.start);
    t_history_destroy(g.history);
    return verdict;
}

Test(support_history, threads_on_one_cell_of_memory_are_innocent)
{
    const t_history_verdict verdict = play_together(false);
    cr_assert_eq(t_history_errors(&verdict), 0);
    cr_assert_gt(verdict.reads, 4 * MEMORY);
    cr_assert_eq(verdict.writes, GAME_WRITES);
}

Test(support_history, a_thread_that_remembers_too_long_is_found)
{
    t_history_verdict verdict = {0};
    for (int i = 0; i < 20 && verdict.stale == 0; i++) { /* the threads must overlap */
        verdict = play_together(true);
    }
    cr_assert_gt(verdict.stale, 0);
}

Test(support_history, a_long_history_is_judged_in_seconds)
{
    const char *profile = getenv("NEARKV_PROFILE");
    const bool valgrind = profile != NULL && strcmp(profile, "valgrind") == 0;
    const int64_t reads = valgrind ? 10000 : 300000;
    scene s = scene_open();
    for (int64_t i = 1; i <= reads / 3; i++) {
        t_history_write_at(s.writer, (uint32_t)(i % 1000), (uint64_t)i, i * 100, i * 100 + 50);
    }
    for (int64_t i = 1; i <= reads; i++) {
        const int64_t write = 1 + i % (reads / 3);
        const t_history_got got = {.key = (uint32_t)(write % 1000), .version = (uint64_t)write};
        t_history_read_at(s.reader, got, write * 100 + 60, write * 100 + 70);
    }
    const int64_t begin_ms = t_now_ms();
    const t_history_rules rules = {.bound_ns = {0, 0, 0}};
    const t_history_verdict verdict = t_history_judge(s.history, &rules, stderr);
    cr_log_info("judged in %d ms", (int)(t_now_ms() - begin_ms));
    cr_assert_eq(t_history_errors(&verdict), 0);
    cr_assert_lt(t_now_ms() - begin_ms, 30000);
    t_history_destroy(s.history);
}

/* ---- Values ---------------------------------------------------------------------------------- */

Test(support_history, a_value_tells_its_version_and_every_damage)
{
    enum { LEN = 3000 };
    unsigned char value[LEN];
    unsigned char other[LEN];
    t_history_value(value, LEN, 7, 42);
    cr_assert_eq(t_history_version(value, LEN, 7), 42);
    cr_assert_eq(t_history_version(value, LEN, 8), UINT64_MAX, "another key's");
    cr_assert_eq(t_history_version(value, LEN - 1, 7), UINT64_MAX, "cut short");
    cr_assert_eq(t_history_version(value, 5, 7), UINT64_MAX);
    cr_assert_eq(t_history_version(NULL, 0, 7), T_ABSENT);
    for (size_t at = 0; at < LEN; at++) {
        value[at] ^= 1;
        cr_assert_eq(t_history_version(value, LEN, 7), UINT64_MAX, "byte %zu", at);
        value[at] ^= 1;
    }
    t_history_value(other, LEN, 7, 43);
    memcpy(value + LEN / 2, other + LEN / 2, LEN / 2); /* torn */
    cr_assert_eq(t_history_version(value, LEN, 7), UINT64_MAX);
    for (size_t len = T_VALUE_LEN_MIN; len < 600; len++) {
        t_history_value(value, len, 1, len);
        cr_assert_eq(t_history_version(value, len, 1), len);
    }
}
