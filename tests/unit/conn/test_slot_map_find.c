/* tests/unit/conn/test_slot_map_find.c - nodes are found by their addresses, however many. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/slot_map.h"

static nkvi_slot_map map;

static nkvi_map_node *add(const char *host, int port)
{
    nkvi_map_node *node = calloc(1, sizeof *node);
    cr_assert_not_null(node);
    (void)snprintf(node->host, sizeof node->host, "%s", host);
    node->port = port;
    if (!nkvi_slot_map_add(&map, node)) {
        free(node);
        return NULL;
    }
    return node;
}

static void begin(void)
{
    nkvi_slot_map_init(&map, NULL, NULL);
}

static void end(void)
{
    for (uint32_t i = 0; i < atomic_load(&map.nodes_len); i++) {
        free(nkvi_slot_map_node(&map, i));
    }
}

Test(conn_slot_map_find, host_and_port_both_count, .init = begin, .fini = end)
{
    nkvi_map_node *one = add("10.0.0.1", 7000), *two = add("10.0.0.1", 7001);
    nkvi_map_node *three = add("10.0.0.2", 7000);
    cr_assert_eq(nkvi_slot_map_find(&map, nkv_cstr("10.0.0.1"), 7000), one);
    cr_assert_eq(nkvi_slot_map_find(&map, nkv_cstr("10.0.0.1"), 7001), two);
    cr_assert_eq(nkvi_slot_map_find(&map, nkv_cstr("10.0.0.2"), 7000), three);
    cr_assert_null(nkvi_slot_map_find(&map, nkv_cstr("10.0.0.2"), 7001));
    cr_assert_null(nkvi_slot_map_find(&map, nkv_cstr("10.0.0"), 7000));
    cr_assert_null(nkvi_slot_map_find(&map, nkv_cstr(""), 0));
}

Test(conn_slot_map_find, upper_and_lower_case_are_the_same, .init = begin, .fini = end)
{
    nkvi_map_node *node = add("Node-1.Example", 6379);
    cr_assert_eq(nkvi_slot_map_find(&map, nkv_cstr("nODE-1.eXAMPLE"), 6379), node);
    cr_assert_null(nkvi_slot_map_find(&map, nkv_cstr("node-1.examples"), 6379));
}

/* Until there are too many. */
Test(conn_slot_map_find, as_many_as_there_may_be, .init = begin, .fini = end)
{
    char host[32];
    for (unsigned i = 0; i < NKVI_MAP_NODES_MAX; i++) {
        (void)snprintf(host, sizeof host, "10.0.%u.%u", i / 256, i % 256);
        cr_assert_not_null(add(host, 6379));
    }
    cr_assert_null(add("10.1.0.0", 6379));
    for (unsigned i = 0; i < NKVI_MAP_NODES_MAX; i++) {
        (void)snprintf(host, sizeof host, "10.0.%u.%u", i / 256, i % 256);
        const nkvi_map_node *node = nkvi_slot_map_find(&map, nkv_cstr(host), 6379);
        cr_assert_not_null(node, "%s", host);
        cr_assert_eq(node->number, i);
        cr_assert_null(nkvi_slot_map_find(&map, nkv_cstr(host), 6380));
    }
}
