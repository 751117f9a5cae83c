/* tests/live/support/test_topology_traffic.c - the load that live tests put on clients: it finds
 * planted faults, and accuses nobody else.                                                       */

#include <string.h>

#include "support/check.h"
#include "support/cluster.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/proxy.h"
#include "support/topology_traffic.h"

T_LIVE(support_load, finds_nothing_wrong_with_one_server)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    t_load *load = t_load_start(&(t_load_options){.url = t_server_tcp_url(server),
                                                  .barrier_percent = 30,
                                                  .bound_ms = 1000,
                                                  .monotonic = true,
                                                  .readers = 3});
    t_load_mark(load);
    cr_assert(t_load_wait_service(load, 10000) >= 0);
    cr_assert(t_load_wait_service(load, 10000) >= 0);
    const t_load_report report = t_load_stop(load);
    t_load_print(&report, stderr);
    cr_assert_eq(report.wrong, 0);
    cr_assert_eq(report.read_errors + report.write_errors, 0);
    cr_assert(report.hits > 0 && report.hits < report.reads);
    cr_assert(report.writes >= 256);
    cr_assert_eq(report.verdict.reads, report.reads);
    cr_assert_eq(report.verdict.writes, report.writes);
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, 5000); /* a joined one is listed a little longer */
}

/* All keys are there from the start on; once they are gone, reads are wrong until each was written
 * anew.                                                                                          */
static t_load_report lose_all(t_server *server, bool absent_is_fine, bool forgive)
{
    t_load *load = t_load_start(&(t_load_options){.url = t_server_tcp_url(server),
                                                  .bound_ms = 100,
                                                  .write_pause_us = 5000,
                                                  .absent_is_fine = absent_is_fine});
    t_ctl *ctl = t_ctl_open(server);
    t_sleep_ms(150);
    t_ctl_ok(ctl, "FLUSHALL");
    if (forgive) {
        t_load_forgive(load, 0, t_now_ns());
    }
    t_ctl_close(ctl);
    cr_assert(t_load_wait_service(load, 20000) >= 0);
    return t_load_stop(load);
}

T_LIVE(support_load, finds_lost_data)
{
    const t_load_report report = lose_all(server, false, false);
    cr_assert(report.verdict.stale > 0);
    cr_assert_eq(report.wrong, report.verdict.stale + report.verdict.own_write);
}

T_LIVE(support_load, forgives_what_it_is_told_to)
{
    cr_assert_eq(lose_all(server, true, false).wrong, 0);
    cr_assert_eq(lose_all(server, false, true).wrong, 0);
}

T_LIVE(support_load, finds_the_value_of_another_key)
{
    t_load *load = t_load_start(&(t_load_options){.url = t_server_tcp_url(server),
                                                  .bound_ms = -1,
                                                  .other_writers = -1,
                                                  .keys = 8,
                                                  .write_pause_us = 20000});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "COPY", t_load_key(load, 0), t_load_key(load, 1), "REPLACE");
    t_ctl_close(ctl);
    cr_assert(t_load_wait_service(load, 20000) >= 0);
    const t_load_report report = t_load_stop(load);
    cr_assert(report.verdict.unknown > 0);
}

/* What is cut off in the middle is unknown and no fault; the outage is measured. */
T_LIVE(support_load, measures_an_outage)
{
    t_proxy *proxy = t_proxy_start((t_addr){.port = t_server_port(server)}, true);
    t_load *load = t_load_start(&(t_load_options){
        .url = t_proxy_url(proxy), .bound_ms = 10000, .timeout_ms = 300, .barrier_percent = 20});
    t_load_mark(load);
    t_proxy_swallow(proxy, T_EVERY, T_TO_SERVER, true);
    t_sleep_ms(700);
    t_proxy_swallow(proxy, T_EVERY, T_TO_SERVER, false);
    t_proxy_cut(proxy, T_EVERY, T_RST);
    cr_assert(t_load_wait_service(load, 20000) >= 0);
    const t_load_report report = t_load_stop(load);
    t_load_print(&report, stderr);
    t_proxy_stop(proxy);
    cr_assert_eq(report.wrong, 0);
    cr_assert(report.unknown_writes > 0 && report.write_errors >= report.unknown_writes);
    cr_assert(report.errors[-NKV_ETIMEDOUT] > 0);
    cr_assert(report.first_text[-NKV_ETIMEDOUT][0] != '\0');
    cr_assert(report.server_gap_ms >= 600 && report.server_gap_ms < 20000);
    cr_assert(report.disturbed_ms >= 300 && report.call_ms >= 300);
}
