/* support/live.c - runs live tests over all kinds of servers, and shares servers between them.
 *
 * The two hooks are run by Criterion's runner before and after all tests. This file is linked only
 * into programs that use T_LIVE, so unit tests start no server.
 *
 * Callers      live.h's macros                                                                   */

#include "support/live.h"

#include "support/check.h"

#include <criterion/hooks.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_MAX = 120, SHARED_MIN = 2, SHARED_MAX = 4 };

/* As many as there are tests at a time; a test that waits is only slow. */
static int servers_to_share(void)
{
    const char *jobs = getenv("TEST_JOBS");
    const long count = jobs != NULL ? strtol(jobs, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    return count < SHARED_MIN ? SHARED_MIN : count > SHARED_MAX ? SHARED_MAX : (int)count;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    t_server_share_start(servers_to_share());
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    t_server_share_stop();
}

/* redis8 and valkey81 are extras: they are in the list only if they are there. */
static bool is_listed(const t_server_kind *kind)
{
    return kind->binary != NULL || kind->required || strcmp(kind->name, "redis") == 0 ||
           strcmp(kind->name, "valkey") == 0;
}

static struct criterion_test_params list_kinds(bool (*wanted)(const t_server_kind *kind))
{
    size_t count = 0;
    for (const t_server_kind *kind = t_server_kinds(); kind->name != NULL; kind++) {
        count += wanted(kind);
    }
    t_live_kind *list = cr_malloc((count + 1) * sizeof *list);
    T_REQUIRE(list != NULL);
    size_t used = 0;
    for (const t_server_kind *kind = t_server_kinds(); kind->name != NULL; kind++) {
        if (wanted(kind)) {
            (void)snprintf(list[used++].name, sizeof list->name, "%s", kind->name);
        }
    }
    return cr_make_param_array(t_live_kind, list, used, NULL);
}

struct criterion_test_params t_live_kinds(void)
{
    return list_kinds(is_listed);
}

/* Of those that were asked for the first, else redis and the newest valkey. */
static bool is_for_topologies(const t_server_kind *kind)
{
    const char *all = getenv("NEARKV_TOPOLOGIES"), *servers = getenv("NEARKV_SERVERS");
    const bool newest = t_server_kind_find("valkey81")->binary != NULL;
    if (all != NULL && strcmp(all, "all") == 0) {
        return is_listed(kind);
    }
    if (servers != NULL && servers[0] != '\0') {
        return strcmp(kind->name, t_server_kinds()->name) == 0;
    }
    return is_listed(kind) && (strcmp(kind->name, "redis") == 0 ||
                               strcmp(kind->name, newest ? "valkey81" : "valkey") == 0);
}

struct criterion_test_params t_live_topology_kinds(void)
{
    return list_kinds(is_for_topologies);
}

void t_live_run(const t_live_kind *kind, void (*on_server)(t_server *server),
                void (*with_kind)(const char *kind))
{
    const t_server_kind *found = t_server_kind_find(kind->name);
    if (found->binary == NULL) {
        if (found->required) {
            cr_assert(false, "%s", found->why);
        }
        cr_skip_test("%s", found->why);
        return;
    }
    (void)alarm(SECONDS_MAX);
    if (with_kind != NULL) {
        with_kind(kind->name);
        return;
    }
    t_server *server = t_server_borrow(kind->name);
    on_server(server);
    t_server_stop(server);
}
