/* tests/oom/client/test_reads.c - reads for which nobody waits, again and again, with the i-th
 * allocation failing, for every i: done() is called once, every result is set and none is wrong,
 * and the next reads work. */

#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/near.h"
#include "support/oom.h"
#include "support/reads.h"

enum { KEYS = 20, SOON_MS = 10000 };

/* ---- The scenario ---------------------------------------------------------------------------- */

static void check(const t_reads *reads, long from)
{
    nkv_status first = NKV_OK;
    for (size_t i = 0; i < reads->all.n; i++) {
        const nkv_result *result = &reads->results[i];
        first = first == NKV_OK ? result->status : first;
        const bool failed = result->status == NKV_ENOMEM || result->status == NKV_ECONN ||
                            result->status == NKV_EPROTO;
        cr_assert(failed || result->status == NKV_OK, "allocation %ld, key %zu: %s", from, i,
                  nkv_status_text(result->status));
        const nkv_str value = result->value != NULL ? nkv_value_str(result->value) : nkv_cstr("");
        cr_assert(failed || (value.len == 1 && value.data[0] == 'v'), "allocation %ld, key %zu",
                  from, i);
    }
    cr_assert_eq(reads->first, first, "allocation %ld: %s", from, nkv_status_text(reads->first));
    cr_assert_eq(reads->error.status, first, "allocation %ld", from);
}

static void read_and_check(t_reads *reads, nkv_level level, long from)
{
    reads->call.level = level;
    t_reads_start(reads, SOON_MS);
    t_reads_wait(reads);
    check(reads, from);
}

static void read_all(nkv_client *client, long from)
{
    t_reads *reads = t_reads_many(client, "k", KEYS);
    for (int round = 0; round < 2; round++) {
        for (nkv_level level = NKV_EVENTUAL; level <= NKV_BARRIER; level++) {
            read_and_check(reads, level, from);
        }
    }
    t_reads *more = t_reads_many(client, "x", KEYS);
    t_reads *joined = t_reads_many(client, "x", KEYS);
    t_reads_start(more, SOON_MS);
    t_reads_start(joined, SOON_MS);
    t_reads_wait(more);
    t_reads_wait(joined);
    check(more, from);
    check(joined, from);
    t_reads_free(more);
    t_reads_free(joined);
    t_reads_free(reads);
}

static void works_again(nkv_client *client, long from)
{
    t_reads *reads = t_reads_many(client, "k", KEYS);
    T_WAIT_UNTIL(t_near_healthy(client), SOON_MS);
    read_and_check(reads, NKV_BARRIER, from);
    cr_assert_eq(reads->first, NKV_OK, "allocation %ld: %s", from, reads->error.text);
    t_reads_free(reads);
}

/* Fails `burst` allocations in a row from each point on, `step` apart, until none fails any more.
 */
static void check_every(long burst, long step)
{
    bool more = true;
    long from = 0;
    t_oom_open();
    for (; more; from += step) {
        t_fake *fake = t_fake_start(NULL);
        t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
        t_fake_on(fake, ":-1\r\n", "PTTL", "*");
        nkv_options options = t_near_options(t_fake_url(fake));
        options.backoff_min_ms = 1;
        options.backoff_max_ms = 2;
        nkv_client *client = t_near_open(&options);
        t_oom_fail(from, burst);
        read_all(client, from);
        more = t_oom_failed();
        t_oom_relent();
        works_again(client, from);
        nkv_client_destroy(client);
        t_fake_stop(fake);
    }
    t_oom_close();
    cr_assert_gt(from, 50, "only %ld allocations: is the gate in force?", from);
}

Test(client_reads_oom, every_allocation_fails_once, .timeout = 280)
{
    check_every(1, 1);
}

Test(client_reads_oom, ten_allocations_fail_in_a_row, .timeout = 280)
{
    check_every(10, 7);
}
