/* tests/unit/client/test_connector_conformance.c - the suite for connectors of one's own: the toy
 * and the example's directory pass, and every fault of the toy is seen. */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "examples/dir_connector.h"
#include "support/check.h"
#include "support/connector_conformance.h"
#include "support/near.h"
#include "support/toy_store.h"

TestSuite(connector_conformance, .timeout = 240);

/* ---- The toy --------------------------------------------------------------------------------- */

static t_store_fault fault;

static void make_toy(nkv_connector *table)
{
    t_store *store = t_store_new();
    t_store_set_fault(store, fault);
    *table = t_store_table(store);
    table->batch_max = 8;
}

static void unmake_toy(nkv_connector *table)
{
    t_store_free(table->ud);
}

static void change_toy(const nkv_connector *table, nkv_str key, const nkv_str *value)
{
    t_store_change_and_tell(table->ud, key, value);
}

static const nkv_connector_kit toy_kit = {make_toy, unmake_toy, change_toy, 0};

Test(connector_conformance, a_right_connector_passes)
{
    fault = T_STORE_RIGHT;
    cr_assert_eq(nkv_connector_conformance(&toy_kit, stderr), 0);
}

Test(connector_conformance, every_wrong_connector_fails)
{
    nkv_connector_kit hasty = toy_kit;
    hasty.patience_ms = 300;
    for (int f = T_STORE_RIGHT + 1; f < T_STORE_FAULTS; f++) {
        fault = (t_store_fault)f;
        cr_assert_gt(nkv_connector_conformance(&hasty, NULL), 0, "fault %d was not seen", f);
    }
}

static void make_small(nkv_connector *table)
{
    make_toy(table);
    table->calls_max = 1;
    table->punctual = 1;
    table->put = table->remove = NULL;
    table->scan = NULL;
    table->ping = NULL;
    table->settle = NULL;
}

Test(connector_conformance, a_connector_may_lack_what_is_optional)
{
    fault = T_STORE_RIGHT;
    const nkv_connector_kit kit = {make_small, unmake_toy, change_toy, 0};
    cr_assert_eq(nkv_connector_conformance(&kit, stderr), 0);
}

/* ---- The directory --------------------------------------------------------------------------- */

static char folder[T_PATH_MAX];

static void make_dir(nkv_connector *table)
{
    t_temp_dir(folder);
    dir_store *store = dir_store_create(folder);
    T_REQUIRE(store != NULL);
    *table = dir_store_connector(store);
}

static void unmake_dir(nkv_connector *table)
{
    dir_store_destroy(table->ud);
    t_remove_dir(folder);
}

/* Another program: writes a file and moves it to its place. */
static void change_dir(const nkv_connector *table, nkv_str key, const nkv_str *value)
{
    dir_store *store = table->ud;
    char name[NAME_MAX + 1], path[PATH_MAX + 300], part[PATH_MAX + 16];
    T_REQUIRE(dir_encode(key, name));
    (void)snprintf(path, sizeof path, "%s/%s", store->path, name);
    (void)snprintf(part, sizeof part, "%s/.other", store->path);
    if (value == NULL) {
        T_REQUIRE(unlink(path) == 0);
        return;
    }
    FILE *file = fopen(part, "w");
    T_REQUIRE(file != NULL);
    T_REQUIRE(fwrite(value->data, 1, value->len, file) == value->len);
    T_REQUIRE(fclose(file) == 0 && rename(part, path) == 0);
}

Test(connector_conformance, the_directory_of_the_examples_passes)
{
    const nkv_connector_kit kit = {make_dir, unmake_dir, change_dir, 0};
    cr_assert_eq(nkv_connector_conformance(&kit, stderr), 0);
}

/* ---- What only a directory can do ------------------------------------------------------------ */

typedef struct rig {
    nkv_connector table;
    nkv_client *client;
    t_events *events;
} rig;

static rig open_dir(void)
{
    rig r = {.events = t_events_new()};
    nkv_options options = t_near_options(NULL);
    options.on_event = t_events_take;
    options.on_event_ud = r.events;
    make_dir(&r.table);
    cr_assert_eq(nkv_client_wrap(&r.table, &options, &r.client, NULL), NKV_OK);
    return r;
}

Test(connector_conformance, a_directory_that_is_moved_away_vouches_for_nothing)
{
    rig r = open_dir();
    char moved[T_PATH_MAX];
    (void)snprintf(moved, sizeof moved, "%.1000s.moved", folder);
    cr_assert_eq(t_near_set(r.client, "k", "v"), NKV_OK);
    T_WAIT_UNTIL(t_near_get(r.client, "k").from == NKV_FROM_CACHE, 20000);
    cr_assert_eq(rename(folder, moved), 0);
    cr_assert_geq(t_events_wait(r.events, 0, NKV_EVENT_DISARMED, 20000), 0);
    cr_assert(t_is(t_near_get(r.client, "k"), NKV_FROM_SERVER, "v"));
    cr_assert(t_is(t_near_get_at(r.client, "k", NKV_BARRIER), NKV_FROM_SERVER, "v"));
    cr_assert_str_eq(t_near_node(r.client).state, "untracked");
    nkv_client_destroy(r.client);
    (void)snprintf(folder, sizeof folder, "%s", moved);
    unmake_dir(&r.table);
    t_events_free(r.events);
}

Test(connector_conformance, a_directory_refuses_what_it_cannot_keep)
{
    rig r = open_dir();
    char key[300];
    memset(key, 'k', sizeof key);
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_get(r.client, nkv_str_make(key, sizeof key), &call, &value), NKV_EINVAL);
    cr_assert_neq(strstr(call.error.text, "too long"), NULL, "%s", call.error.text);
    cr_assert_eq(nkv_set(r.client, nkv_cstr("k"), nkv_cstr("v"), 1000, &call), NKV_ENOTSUP);
    cr_assert_eq(nkv_get(r.client, nkv_cstr("k"), NULL, &value), NKV_NOT_FOUND);
    nkv_client_destroy(r.client);
    unmake_dir(&r.table);
    t_events_free(r.events);
    cr_assert_null(dir_store_create("/no/such/place"));
}
