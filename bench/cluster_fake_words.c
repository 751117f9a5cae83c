/* bench/cluster_fake_words.c - what the nodes of a cluster that is none say; see cluster_fake.h. */
#include "bench/cluster_fake.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = 16384 };

static void say_text(nkvi_buf *out, const char *text)
{
    nkvi_buf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

void b_fake_say_id(unsigned node, nkvi_buf *out)
{
    nkvi_buf_printf(out, "$%d\r\n%0*x\r\n", B_FAKE_ID, B_FAKE_ID, node + 1);
}

void b_fake_say_info(const b_fake_map *map, unsigned node, nkvi_buf *out)
{
    char text[256];
    unsigned primary = node % map->primaries;
    (void)snprintf(text, sizeof text,
                   "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
                   "cluster_known_nodes:%u\r\ncluster_size:%u\r\n"
                   "cluster_current_epoch:%llu\r\ncluster_my_epoch:%llu\r\n",
                   map->primaries * (map->replicas ? 2 : 1), map->primaries,
                   (unsigned long long)map->epoch, (unsigned long long)map->epochs[primary]);
    say_text(out, text);
}

/* One past the last slot of the range that begins at `first`. */
static unsigned range_end(const b_fake_map *map, unsigned first)
{
    unsigned end = first + 1;
    while (end < SLOTS && map->holders[end] == map->holders[first]) {
        end++;
    }
    return end;
}

/* ---- SLOTS ----------------------------------------------------------------------------------- */

static void say_slots_node(const b_fake_map *map, unsigned node, nkvi_buf *out)
{
    nkvi_buf_text(out, "*4\r\n");
    say_text(out, map->host);
    nkvi_buf_printf(out, ":%d\r\n", map->ports[node]);
    b_fake_say_id(node, out);
    nkvi_buf_text(out, "%0\r\n");
}

void b_fake_say_slots(const b_fake_map *map, nkvi_buf *out)
{
    unsigned ranges = 0;
    for (unsigned first = 0; first < SLOTS; first = range_end(map, first)) {
        ranges++;
    }
    nkvi_buf_printf(out, "*%u\r\n", ranges);
    for (unsigned first = 0, end; first < SLOTS; first = end) {
        unsigned node = map->holders[first];
        end = range_end(map, first);
        nkvi_buf_printf(out, "*%d\r\n:%u\r\n:%u\r\n", map->replicas ? 4 : 3, first, end - 1);
        say_slots_node(map, node, out);
        if (map->replicas) {
            say_slots_node(map, node + map->primaries, out);
        }
    }
}

/* ---- SHARDS ---------------------------------------------------------------------------------- */

static void say_shards_node(const b_fake_map *map, unsigned node, nkvi_buf *out)
{
    nkvi_buf_text(out, "%7\r\n");
    say_text(out, "id");
    b_fake_say_id(node, out);
    say_text(out, "port");
    nkvi_buf_printf(out, ":%d\r\n", map->ports[node]);
    say_text(out, "ip");
    say_text(out, map->host);
    say_text(out, "endpoint");
    say_text(out, map->host);
    say_text(out, "role");
    say_text(out, node < map->primaries ? "master" : "replica");
    say_text(out, "replication-offset");
    nkvi_buf_text(out, ":1\r\n");
    say_text(out, "health");
    say_text(out, "online");
}

void b_fake_say_shards(const b_fake_map *map, nkvi_buf *out)
{
    static unsigned ranges[SLOTS]; /* of each primary */
    memset(ranges, 0, sizeof ranges);
    for (unsigned first = 0; first < SLOTS; first = range_end(map, first)) {
        ranges[map->holders[first]]++;
    }
    nkvi_buf_printf(out, "*%u\r\n", map->primaries);
    for (unsigned node = 0; node < map->primaries; node++) {
        nkvi_buf_text(out, "%2\r\n");
        say_text(out, "slots");
        nkvi_buf_printf(out, "*%u\r\n", 2 * ranges[node]);
        for (unsigned first = 0, end; ranges[node] > 0 && first < SLOTS; first = end) {
            end = range_end(map, first);
            if (map->holders[first] == node) {
                nkvi_buf_printf(out, ":%u\r\n:%u\r\n", first, end - 1);
            }
        }
        say_text(out, "nodes");
        nkvi_buf_printf(out, "*%d\r\n", map->replicas ? 2 : 1);
        say_shards_node(map, node, out);
        if (map->replicas) {
            say_shards_node(map, node + map->primaries, out);
        }
    }
}
