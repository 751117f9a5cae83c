/* tests/unit/conn/test_slot_map.c - whom a client believes about the hash slots of a cluster. */
#include "conn/slot_map.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

enum { NODES = 4, SLOTS = NKVI_HASH_SLOTS, NOBODY = -1 };

/* ---- A map and what is said to it ------------------------------------------------------------ */

static nkv_cache *cache;
static nkvi_slot_map *map;
static nkvi_map_node nodes[NODES];

/* A word as it is made up: who holds what, and who is not to be seen in it. */
typedef struct words {
    int speaker;
    uint64_t epoch;
    int16_t claims[SLOTS];
    bool unseen[NODES];
} words;

static void open_map(bool caching)
{
    nkv_cache_options options;
    nkv_cache_options_init(&options);
    cr_assert_eq(nkv_cache_create(&options, &cache, NULL), NKV_OK);
    map = calloc(1, sizeof *map);
    cr_assert_not_null(map);
    nkvi_slot_map_init(map, cache, caching ? nkvi_cache_moves_open(cache) : NULL);
    memset(nodes, 0, sizeof nodes);
    for (int i = 0; i < NODES; i++) {
        (void)snprintf(nodes[i].host, sizeof nodes[i].host, "Host-%d", i);
        nodes[i].port = 7000 + i;
        nodes[i].credible = true;
        cr_assert(nkvi_slot_map_add(map, &nodes[i]));
        cr_assert_eq(nodes[i].number, (uint32_t)i);
    }
}

static void open_all(void)
{
    open_map(true);
}

static void close_all(void)
{
    if (map->moves != NULL) {
        nkvi_cache_moves_close(cache, map->moves);
    }
    nkv_cache_release(cache);
    free(map);
}

static words *say(int speaker, uint64_t epoch)
{
    words *w = malloc(sizeof *w);
    cr_assert_not_null(w);
    w->speaker = speaker;
    w->epoch = epoch;
    memset(w->unseen, 0, sizeof w->unseen);
    for (int s = 0; s < SLOTS; s++) {
        w->claims[s] = NOBODY;
    }
    return w;
}

static void claim(words *w, int first, int last, int node)
{
    for (int s = first; s <= last; s++) {
        w->claims[s] = (int16_t)node;
    }
}

/* Says it; the words live on. */
static bool tell(const words *w)
{
    nkvi_view_node seen[NODES];
    nkvi_map_node *known[NODES];
    nkvi_view_range *ranges = malloc(SLOTS * sizeof *ranges);
    nkvi_cluster_view view = {.nodes = seen, .nodes_len = NODES, .ranges = ranges};
    cr_assert_not_null(ranges);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < NODES; i++) {
        (void)snprintf(seen[i].id, sizeof seen[i].id, "id-%u", i);
        seen[i].primary = true;
        known[i] = w->unseen[i] ? NULL : &nodes[i];
    }
    for (int s = 0; s < SLOTS; s++) {
        if (w->claims[s] == NOBODY) {
            continue;
        }
        bool goes_on = s > 0 && w->claims[s - 1] == w->claims[s];
        if (!goes_on) {
            ranges[view.ranges_len++] =
                (nkvi_view_range){.first = (uint16_t)s, .node = (uint32_t)w->claims[s]};
        }
        ranges[view.ranges_len - 1].last = (uint16_t)s;
    }
    const nkvi_word word = {&nodes[w->speaker], &view, known, w->epoch};
    bool changed = nkvi_slot_map_hear(map, &word);
    free(ranges);
    return changed;
}

static bool tell_free(words *w)
{
    bool changed = tell(w);
    free(w);
    return changed;
}

/* Says that the first node holds 0 to 999, the next 1000 to 1999, and so on. */
static words *fair(int speaker, uint64_t epoch)
{
    words *w = say(speaker, epoch);
    for (int i = 0; i < NODES; i++) {
        claim(w, 1000 * i, 1000 * i + 999, i);
    }
    return w;
}

static int holder(int s)
{
    const nkvi_map_node *node = nkvi_slot_map_holder(map, (uint16_t)s);
    return node != NULL ? (int)node->number : NOBODY;
}

static uint32_t moves_of(int s)
{
    return atomic_load(&map->moves->of[s]);
}

/* Counts are what one counts. */
static void check_counts(void)
{
    uint32_t covered = 0, each[NODES] = {0};
    for (int s = 0; s < SLOTS; s++) {
        covered += holder(s) != NOBODY;
        each[holder(s) != NOBODY ? holder(s) : 0] += holder(s) != NOBODY;
    }
    cr_assert_eq(map->covered, covered);
    for (int i = 0; i < NODES; i++) {
        cr_assert_eq(nodes[i].slots, each[i], "node %d", i);
    }
}

TestSuite(conn_slot_map, .init = open_all, .fini = close_all, .timeout = 60);

/* ---- Words ----------------------------------------------------------------------------------- */

Test(conn_slot_map, the_first_word_is_the_map)
{
    cr_assert(tell_free(fair(2, 7)));
    cr_assert(holder(0) == 0 && holder(999) == 0 && holder(1000) == 1 && holder(3999) == 3);
    cr_assert_eq(holder(4000), NOBODY);
    cr_assert_eq(map->covered, 4000);
    cr_assert_eq(map->version, 4000);
    cr_assert(nodes[2].spoke && nodes[2].epoch == 7 && !nodes[0].spoke);
    cr_assert(nodes[0].listed && strcmp(nodes[3].id, "id-3") == 0);
    check_counts();
    uint64_t version = map->version;
    cr_assert_not(tell_free(fair(2, 7)), "the same word again");
    cr_assert_eq(map->version, version);
    cr_assert_not(nodes[0].doubted || nodes[1].doubted || nodes[2].doubted || nodes[3].doubted);
}

Test(conn_slot_map, the_first_and_the_last_slot_count)
{
    words *w = say(0, 1);
    claim(w, 0, 0, 1);
    claim(w, SLOTS - 1, SLOTS - 1, 2);
    cr_assert(tell_free(w));
    cr_assert(holder(0) == 1 && holder(SLOTS - 1) == 2 && map->covered == 2);
    check_counts();
}

/* It speaks for itself: what it does not claim any more is nobody's, or whose it says. */
Test(conn_slot_map, a_node_gives_up_what_it_does_not_claim)
{
    (void)tell_free(fair(0, 1));
    words *w = fair(1, 1);
    claim(w, 1000, 1009, NOBODY);
    claim(w, 1010, 1019, 3);
    uint32_t before = moves_of(1005), others = moves_of(0);
    cr_assert(tell_free(w));
    cr_assert(holder(1005) == NOBODY && holder(1015) == 3 && holder(1020) == 1);
    cr_assert_eq(moves_of(1005), before + 1);
    cr_assert_eq(moves_of(1015), moves_of(1005));
    cr_assert_eq(moves_of(0), others);
    check_counts();
}

Test(conn_slot_map, what_a_credible_node_holds_nobody_else_takes_away)
{
    (void)tell_free(fair(0, 1));
    words *w = fair(1, 2);
    claim(w, 0, 9, 1);       /* for itself */
    claim(w, 2000, 2009, 3); /* for another */
    claim(w, 3000, 3009, NOBODY);
    uint64_t version = map->version;
    uint32_t before = moves_of(5);
    (void)tell_free(w);
    cr_assert(holder(5) == 0 && holder(2005) == 2 && holder(3005) == 3);
    cr_assert_eq(map->version, version);
    cr_assert_eq(moves_of(5), before);
    cr_assert(nodes[0].doubted && nodes[2].doubted, "they are to be asked");
    cr_assert_not(nodes[3].doubted, "that a slot is nobody's tells nothing of its holder");
    cr_assert_not(nodes[1].doubted);
}

Test(conn_slot_map, who_cannot_be_asked_loses_to_a_third_partys_word)
{
    (void)tell_free(fair(0, 1));
    nodes[0].credible = false;
    words *w = fair(2, 1);
    claim(w, 0, 499, 1);
    claim(w, 500, 599, NOBODY);
    uint32_t before = moves_of(0), nobodys = moves_of(550);
    cr_assert(tell_free(w));
    cr_assert(holder(0) == 1 && holder(499) == 1);
    cr_assert(holder(550) == 0 && holder(600) == 0, "nobody is no better than somebody");
    cr_assert(moves_of(0) == before + 1 && moves_of(550) == nobodys);
    check_counts();
}

Test(conn_slot_map, what_is_nobodys_is_whose_anybody_says)
{
    words *w = say(3, 1);
    claim(w, 10, 19, 0);
    cr_assert(tell_free(w));
    cr_assert_eq(holder(15), 0);
}

Test(conn_slot_map, a_speaker_that_is_not_in_its_own_view_holds_nothing)
{
    (void)tell_free(fair(0, 1));
    words *w = fair(1, 1);
    w->unseen[1] = true;
    cr_assert(tell_free(w));
    cr_assert_eq(nodes[1].slots, 0);
    cr_assert_eq(holder(1000), NOBODY);
    cr_assert_eq(holder(0), 0);
    check_counts();
}

Test(conn_slot_map, nodes_that_cannot_be_reached_claim_nothing)
{
    words *w = fair(0, 1);
    w->unseen[2] = true;
    cr_assert(tell_free(w));
    cr_assert_eq(holder(2000), NOBODY);
    cr_assert_eq(map->covered, 3000);
    cr_assert_not(nodes[2].listed);
    check_counts();
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

Test(conn_slot_map, a_new_epoch_with_the_same_slots_drops_all_answers_of_the_node)
{
    (void)tell_free(fair(0, 1));
    cr_assert_not(tell_free(fair(1, 5)), "its first word has no epoch before it");
    uint32_t own = moves_of(1500), other = moves_of(500);
    uint64_t version = map->version;
    cr_assert(tell_free(fair(1, 6)));
    for (int s = 1000; s < 2000; s++) {
        cr_assert_eq(moves_of(s), own + 1);
    }
    cr_assert_eq(moves_of(500), other);
    cr_assert_eq(moves_of(2000), other);
    cr_assert_eq(holder(1500), 1);
    cr_assert_eq(map->version, version, "no slot changed hands");
    cr_assert_not(tell_free(fair(1, 6)));
    cr_assert_eq(moves_of(1500), own + 1);
    cr_assert(tell_free(fair(1, 2)), "an epoch that goes back is another one, too");
}

/* One slot may have left and come back while another one left for good, or came. */
Test(conn_slot_map, a_new_epoch_drops_all_answers_also_if_a_slot_has_changed)
{
    (void)tell_free(fair(1, 1));
    uint32_t own = moves_of(1500), other = moves_of(500);
    words *w = fair(1, 2);
    claim(w, 1000, 1000, 2);
    cr_assert(tell_free(w));
    cr_assert_eq(holder(1000), 2);
    cr_assert_eq(moves_of(1500), own + 1);
    cr_assert_eq(moves_of(500), other);
    w = fair(1, 3);
    claim(w, 1000, 1000, 2);
    claim(w, 5000, 5000, 1);
    cr_assert(tell_free(w));
    cr_assert_eq(moves_of(1500), own + 2);
    w = fair(1, 3);
    claim(w, 1000, 1001, 2);
    claim(w, 5000, 5000, 1);
    cr_assert(tell_free(w));
    cr_assert_eq(moves_of(1500), own + 2, "in one epoch nothing comes back");
}

Test(conn_slot_map, a_third_partys_epoch_is_its_own)
{
    (void)tell_free(fair(0, 1));
    (void)tell_free(fair(1, 1));
    uint32_t own = moves_of(500);
    cr_assert(tell_free(fair(1, 9)));
    cr_assert_eq(moves_of(500), own);
    cr_assert_eq(nodes[0].epoch, 1);
}

/* ---- MOVED ----------------------------------------------------------------------------------- */

Test(conn_slot_map, moved_from_the_holder_is_believed)
{
    (void)tell_free(fair(0, 1));
    uint32_t before = moves_of(5), next = moves_of(6);
    uint64_t version = map->version;
    cr_assert(nkvi_slot_map_moved(map, 5, &nodes[0], &nodes[3]));
    cr_assert(holder(5) == 3 && holder(6) == 0);
    cr_assert(moves_of(5) == before + 1 && moves_of(6) == next);
    cr_assert_eq(map->version, version + 1);
    check_counts();
    cr_assert_not(nkvi_slot_map_moved(map, 5, &nodes[0], &nodes[3]), "it is known");
    cr_assert_eq(moves_of(5), before + 1);
}

Test(conn_slot_map, moved_from_somebody_else_only_casts_doubt)
{
    (void)tell_free(fair(0, 1));
    uint32_t before = moves_of(5);
    cr_assert_not(nkvi_slot_map_moved(map, 5, &nodes[1], &nodes[2]));
    cr_assert(holder(5) == 0 && nodes[0].doubted && moves_of(5) == before);
    cr_assert_not(nkvi_slot_map_moved(map, 1005, &nodes[0], &nodes[1]), "as we know");
    cr_assert_not(nodes[1].doubted);
    nodes[0].credible = false;
    cr_assert(nkvi_slot_map_moved(map, 5, &nodes[1], &nodes[2]), "the holder cannot be asked");
    cr_assert_eq(holder(5), 2);
    check_counts();
}

Test(conn_slot_map, moved_of_what_is_nobodys_is_believed)
{
    cr_assert(nkvi_slot_map_moved(map, SLOTS - 1, &nodes[1], &nodes[2]));
    cr_assert(holder(SLOTS - 1) == 2 && map->covered == 1 && nodes[2].slots == 1);
}

/* ---- ASK ------------------------------------------------------------------------------------- */

Test(conn_slot_map, a_slot_that_is_leaving_loses_its_answers_but_not_its_holder)
{
    (void)tell_free(fair(0, 1));
    uint32_t before = moves_of(5), next = moves_of(6);
    uint64_t version = map->version;
    nkvi_slot_map_leaving(map, 5, &nodes[0]);
    cr_assert(holder(5) == 0 && map->version == version);
    cr_assert(moves_of(5) == before + 1 && moves_of(6) == next);
    nkvi_slot_map_leaving(map, 5, &nodes[1]);
    nkvi_slot_map_leaving(map, SLOTS - 1, &nodes[1]);
    cr_assert_eq(moves_of(5), before + 1, "who does not hold it has nothing to take back");
    cr_assert_not(nodes[0].doubted);
    check_counts();
}

/* ---- Without a cache, and limits ------------------------------------------------------------- */

Test(conn_slot_map, without_a_cache_there_is_nothing_to_drop)
{
    close_all();
    open_map(false);
    cr_assert(tell_free(fair(0, 1)));
    cr_assert(tell_free(fair(0, 2)));
    cr_assert(nkvi_slot_map_moved(map, 5, &nodes[0], &nodes[3]));
    nkvi_slot_map_leaving(map, 5, &nodes[3]);
    cr_assert_eq(holder(5), 3);
    check_counts();
}

Test(conn_slot_map, nodes_are_found_by_host_and_port)
{
    cr_assert_eq(nkvi_slot_map_find(map, nkv_cstr("host-2"), 7002), &nodes[2], "in any case");
    cr_assert_null(nkvi_slot_map_find(map, nkv_cstr("host-2"), 7001));
    cr_assert_null(nkvi_slot_map_find(map, nkv_cstr("host-"), 7002));
    cr_assert_null(nkvi_slot_map_find(map, nkv_cstr(""), 7002));
}

Test(conn_slot_map, there_are_no_more_than_so_many_nodes)
{
    nkvi_map_node *more = calloc(NKVI_MAP_NODES_MAX + 1, sizeof *more);
    cr_assert_not_null(more);
    for (uint32_t i = NODES; i < NKVI_MAP_NODES_MAX; i++) {
        (void)snprintf(more[i].host, sizeof more[i].host, "more");
        more[i].port = (int)i;
        cr_assert(nkvi_slot_map_add(map, &more[i]));
    }
    nkvi_map_node *last = &more[NKVI_MAP_NODES_MAX - 1];
    cr_assert_not(nkvi_slot_map_add(map, &more[NKVI_MAP_NODES_MAX]));
    cr_assert_eq(atomic_load(&map->nodes_len), NKVI_MAP_NODES_MAX);
    cr_assert(nkvi_slot_map_moved(map, 5, &nodes[0], last), "the last number is one, too");
    cr_assert_eq(nkvi_slot_map_holder(map, 5), last);
    cr_assert_eq(nkvi_slot_map_find(map, nkv_cstr("MORE"), (int)last->number), last);
    free(more);
}

/* ---- Against a naive model ------------------------------------------------------------------- */

/* What the map should be, slot by slot. */
typedef struct model {
    int16_t holders[SLOTS];
    uint32_t moves[SLOTS];
    bool doubted[NODES], spoke[NODES];
    uint64_t epochs[NODES], version;
} model;

static void model_assign(model *m, int s, int to)
{
    m->holders[s] = (int16_t)to;
    m->moves[s]++;
    m->version++;
}

static bool model_hear(model *m, const words *w)
{
    bool changed = false;
    for (int s = 0; s < SLOTS; s++) {
        int said = w->claims[s] != NOBODY && w->unseen[w->claims[s]] ? NOBODY : w->claims[s];
        int now = m->holders[s];
        bool asked_itself = now == w->speaker;
        bool out_of_reach = now == NOBODY || !nodes[now].credible;
        if (said == now) {
            continue;
        }
        if (asked_itself || (said != NOBODY && out_of_reach)) {
            model_assign(m, s, said);
            changed = true;
        } else if (said != NOBODY) {
            m->doubted[now] = true;
        }
    }
    bool epoch = m->spoke[w->speaker] && m->epochs[w->speaker] != w->epoch;
    for (int s = 0; epoch && s < SLOTS; s++) {
        m->moves[s] += m->holders[s] == w->speaker;
    }
    m->spoke[w->speaker] = true;
    m->epochs[w->speaker] = w->epoch;
    return changed || epoch;
}

static bool model_moved(model *m, int s, int from, int to)
{
    int now = m->holders[s];
    if (now == to) {
        return false;
    }
    if (now != NOBODY && now != from && nodes[now].credible) {
        m->doubted[now] = true;
        return false;
    }
    model_assign(m, s, to);
    return true;
}

static void check_model(const model *m, int step)
{
    for (int s = 0; s < SLOTS; s++) {
        cr_assert_eq(holder(s), m->holders[s], "step %d, slot %d", step, s);
        cr_assert_eq(moves_of(s), m->moves[s], "step %d, the moves of slot %d", step, s);
    }
    for (int i = 0; i < NODES; i++) {
        cr_assert_eq(nodes[i].doubted, m->doubted[i], "step %d, node %d", step, i);
    }
    cr_assert_eq(map->version, m->version, "step %d", step);
    check_counts();
}

/* Some words, and not too different ones from what is believed. */
static words *random_words(t_rng *rng, const model *m)
{
    words *w = say((int)t_rng_below(rng, NODES), t_rng_below(rng, 4));
    memcpy(w->claims, m->holders, sizeof w->claims);
    for (uint64_t i = t_rng_below(rng, 6); i > 0; i--) {
        int first = (int)t_rng_below(rng, SLOTS);
        int len = (int)t_rng_below(rng, t_rng_below(rng, 8) == 0 ? SLOTS : 64);
        int last = first + len < SLOTS ? first + len : SLOTS - 1;
        claim(w, first, last, (int)t_rng_below(rng, NODES + 1) - 1);
    }
    w->unseen[t_rng_below(rng, NODES)] = t_rng_below(rng, 8) == 0;
    return w;
}

Test(conn_slot_map, is_what_a_naive_model_says)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    model *m = calloc(1, sizeof *m);
    cr_assert_not_null(m);
    for (int s = 0; s < SLOTS; s++) {
        m->holders[s] = NOBODY;
        m->moves[s] = moves_of(s);
    }
    for (int step = 0; step < 600; step++) {
        int i = (int)t_rng_below(&rng, NODES);
        nodes[i].credible = t_rng_below(&rng, 4) != 0;
        if (t_rng_below(&rng, 4) == 0) {
            m->doubted[i] = nodes[i].doubted = false;
        }
        if (t_rng_below(&rng, 2) == 0) {
            words *w = random_words(&rng, m);
            bool expected = model_hear(m, w);
            cr_assert_eq(tell_free(w), expected, "step %d", step);
        }
        for (int k = 0; k < 8; k++) {
            int s = (int)t_rng_below(&rng, SLOTS), from = (int)t_rng_below(&rng, NODES);
            int to = (int)t_rng_below(&rng, NODES);
            bool expected = model_moved(m, s, from, to);
            cr_assert_eq(nkvi_slot_map_moved(map, (uint16_t)s, &nodes[from], &nodes[to]), expected);
        }
        check_model(m, step);
    }
    free(m);
}
