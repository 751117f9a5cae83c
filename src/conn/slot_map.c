/* conn/slot_map.c - see slot_map.h. */
#include "conn/slot_map.h"

#include <string.h>

#include "base/ascii.h"
#include "base/hash.h"

void nkvi_slot_map_init(nkvi_slot_map *map, nkv_cache *cache, nkvi_moves *moves)
{
    memset(map, 0, sizeof *map);
    map->cache = cache;
    map->moves = moves;
}

/* Where the search for an address begins. */
static uint32_t place_of(nkv_str host, int port)
{
    uint64_t hash = nkvi_hash_mix(0, (uint64_t)port);
    for (size_t i = 0; i < host.len; i++) {
        hash = nkvi_hash_mix(hash, (unsigned char)nkvi_ascii_upper(host.data[i]));
    }
    return (uint32_t)(hash % NKVI_MAP_PLACES);
}

/* The place behind it. */
static uint32_t next_place(uint32_t place)
{
    return (place + 1) % NKVI_MAP_PLACES;
}

bool nkvi_slot_map_add(nkvi_slot_map *map, nkvi_map_node *node)
{
    uint32_t n = atomic_load_explicit(&map->nodes_len, memory_order_relaxed);
    if (n == NKVI_MAP_NODES_MAX) {
        return false;
    }
    node->number = n;
    atomic_store_explicit(&map->nodes[n], node, memory_order_release);
    atomic_store_explicit(&map->nodes_len, n + 1, memory_order_release);
    uint32_t place = place_of(nkv_cstr(node->host), node->port);
    while (atomic_load_explicit(&map->places[place], memory_order_relaxed) != 0) {
        place = next_place(place);
    }
    atomic_store_explicit(&map->places[place], (uint16_t)(n + 1), memory_order_release);
    return true;
}

nkvi_map_node *nkvi_slot_map_find(const nkvi_slot_map *map, nkv_str host, int port)
{
    uint32_t place = place_of(host, port), number;
    while ((number = atomic_load_explicit(&map->places[place], memory_order_acquire)) != 0) {
        nkvi_map_node *node = nkvi_slot_map_node(map, number - 1);
        if (node->port == port && nkvi_ascii_is(host, node->host)) {
            return node;
        }
        place = next_place(place);
    }
    return NULL;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void drop_answers(nkvi_slot_map *map, uint16_t hash_slot)
{
    if (map->moves != NULL) {
        nkvi_cache_slot_moved(map->cache, map->moves, hash_slot);
    }
}

/* to NULL: nobody holds it. */
static void assign(nkvi_slot_map *map, uint16_t hash_slot, nkvi_map_node *to)
{
    nkvi_map_node *from = nkvi_slot_map_holder(map, hash_slot);
    if (from != NULL) {
        from->slots--;
        map->covered--;
    }
    if (to != NULL) {
        to->slots++;
        map->covered++;
    }
    atomic_store_explicit(&map->holders[hash_slot], (uint16_t)(to != NULL ? to->number + 1 : 0),
                          memory_order_release);
    drop_answers(map, hash_slot);
    map->version++;
}

bool nkvi_slot_map_moved(nkvi_slot_map *map, uint16_t hash_slot, const nkvi_map_node *from,
                         nkvi_map_node *to)
{
    nkvi_map_node *holder = nkvi_slot_map_holder(map, hash_slot);
    if (holder == to) {
        return false;
    }
    if (holder != NULL && holder != from && holder->credible) {
        holder->doubted = true; /* an answer of somebody who was asked before we knew better */
        return false;
    }
    assign(map, hash_slot, to);
    return true;
}

void nkvi_slot_map_leaving(nkvi_slot_map *map, uint16_t hash_slot, const nkvi_map_node *from)
{
    if (nkvi_slot_map_holder(map, hash_slot) == from) {
        drop_answers(map, hash_slot);
    }
}

/* ---- a node's word --------------------------------------------------------------------------- */

/* Who holds what, says the view. */
static void list_claims(const nkvi_word *word, uint16_t claims[NKVI_HASH_SLOTS])
{
    memset(claims, 0, NKVI_HASH_SLOTS * sizeof claims[0]);
    for (size_t i = 0; i < word->view->ranges_len; i++) {
        const nkvi_view_range *range = &word->view->ranges[i];
        const nkvi_map_node *node = word->nodes[range->node];
        for (uint32_t s = range->first; node != NULL && s <= range->last; s++) {
            claims[s] = (uint16_t)(node->number + 1);
        }
    }
}

/* A node has another configuration epoch when a slot has come to it.  That may be one that had left
 * it since its last word, besides those that changed, and nobody knows which. */
static bool note_epoch(nkvi_slot_map *map, const nkvi_word *word)
{
    nkvi_map_node *speaker = word->speaker;
    bool suspicious = speaker->spoke && speaker->epoch != word->epoch;
    for (uint32_t s = 0; suspicious && s < NKVI_HASH_SLOTS; s++) {
        if (nkvi_slot_map_holder(map, (uint16_t)s) == speaker) {
            drop_answers(map, (uint16_t)s);
        }
    }
    speaker->spoke = true;
    speaker->epoch = word->epoch;
    return suspicious;
}

static void note_listed(const nkvi_word *word)
{
    for (size_t i = 0; i < word->view->nodes_len; i++) {
        if (word->nodes[i] != NULL) {
            word->nodes[i]->listed = word->view->nodes[i].primary;
            memcpy(word->nodes[i]->id, word->view->nodes[i].id, sizeof word->nodes[i]->id);
        }
    }
}

bool nkvi_slot_map_hear(nkvi_slot_map *map, const nkvi_word *word)
{
    uint16_t claims[NKVI_HASH_SLOTS];
    bool changed = false;
    list_claims(word, claims);
    note_listed(word);
    for (uint32_t s = 0; s < NKVI_HASH_SLOTS; s++) {
        uint16_t claim = claims[s];
        nkvi_map_node *holder = nkvi_slot_map_holder(map, (uint16_t)s);
        if (claim == (holder != NULL ? holder->number + 1 : 0)) {
            continue;
        }
        if (holder == word->speaker || (claim != 0 && (holder == NULL || !holder->credible))) {
            if (holder != NULL && holder != word->speaker) {
                holder->outvoted = true;
            }
            assign(map, (uint16_t)s, claim != 0 ? nkvi_slot_map_node(map, claim - 1u) : NULL);
            changed = true;
        } else if (claim != 0) {
            holder->doubted = true;
        }
    }
    bool suspicious = note_epoch(map, word);
    return changed || suspicious;
}
