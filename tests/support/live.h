/* support/live.h - live tests: one text, run against every kind of server there is.
 *
 *      T_LIVE(client_get, second_read_is_a_hit)          a server shared with other tests, as new
 *      {
 *          t_ctl *ctl = t_ctl_open(server);              `server` is the argument: a t_server *
 *          ...
 *      }
 *
 *      T_LIVE_PRIVATE(client_restart, case_61_other_data, .description = "…")
 *      {
 *          t_server *server = t_server_start(&(t_server_options){.kind = kind, .tcp = true});
 *          ...                                           `kind` is the argument: a const char *
 *          t_server_stop(server);
 *      }
 *
 *      T_LIVE_TOPOLOGY(cluster_load, failover)           the same, for what takes many servers
 *
 * Each is one Criterion test per kind of server; a T_LIVE_TOPOLOGY, which takes seconds, of two: an
 * old redis and a new valkey, or of the first that NEARKV_SERVERS names, unless NEARKV_TOPOLOGIES
 * is "all". A kind that is required and missing fails; redis
 * or valkey missing elsewhere is a skip with the reason; redis8 and valkey81 are left out where
 * they are not there. A test that runs for two minutes is ended by SIGALRM: alarm() moves that.
 *
 * A test that uses T_LIVE makes the runner share servers (server.h); nothing else is needed.     */

#ifndef T_SUPPORT_LIVE_H
#define T_SUPPORT_LIVE_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "support/server.h"

typedef struct t_live_kind {
    char name[16];
} t_live_kind;

/* The kinds to run, as Criterion wants them. */
struct criterion_test_params t_live_kinds(void);

/* Those for T_LIVE_TOPOLOGY. */
struct criterion_test_params t_live_topology_kinds(void);

/* Runs a test on a borrowed server, or with the name of a kind; exactly one of both is given. Skips
 * or fails the test if the kind is missing.                                                      */
void t_live_run(const t_live_kind *kind, void (*on_server)(t_server *server),
                void (*with_kind)(const char *kind));

#define T_LIVE_FIRST_(first, ...)  first
#define T_LIVE_PASTE_(suite, name) suite##_##name##_live
#define T_LIVE_BODY_(suite, name)  T_LIVE_PASTE_(suite, name)
#define T_LIVE_KINDS_(suite, name) ParameterizedTestParameters(suite, name)

#define T_LIVE(suite, ...)                                                            \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(t_server * server); \
    T_LIVE_KINDS_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))                                \
    {                                                                                 \
        return t_live_kinds();                                                        \
    }                                                                                 \
    ParameterizedTest(t_live_kind *kind, suite, __VA_ARGS__)                          \
    {                                                                                 \
        t_live_run(kind, T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, )), NULL);    \
    }                                                                                 \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(t_server * server)

#define T_LIVE_TOPOLOGY(suite, ...)                                                  \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(const char *kind); \
    T_LIVE_KINDS_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))                               \
    {                                                                                \
        return t_live_topology_kinds();                                              \
    }                                                                                \
    ParameterizedTest(t_live_kind *kind, suite, __VA_ARGS__)                         \
    {                                                                                \
        t_live_run(kind, NULL, T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, )));   \
    }                                                                                \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(const char *kind)

#define T_LIVE_PRIVATE(suite, ...)                                                   \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(const char *kind); \
    T_LIVE_KINDS_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))                               \
    {                                                                                \
        return t_live_kinds();                                                       \
    }                                                                                \
    ParameterizedTest(t_live_kind *kind, suite, __VA_ARGS__)                         \
    {                                                                                \
        t_live_run(kind, NULL, T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, )));   \
    }                                                                                \
    static void T_LIVE_BODY_(suite, T_LIVE_FIRST_(__VA_ARGS__, ))(const char *kind)

#endif
