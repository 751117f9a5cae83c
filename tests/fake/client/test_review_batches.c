/* tests/fake/client/test_review_batches.c - batches of which a part fails, and what is told. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/fake.h"
#include "support/near.h"

enum { SOON_MS = 10000 };

static int tracked_conn(t_fake *fake)
{
    long at = t_fake_find(fake, 0, "CLIENT", "TRACKING", "ON");
    cr_assert_geq(at, 0);
    return t_fake_command_at(fake, (size_t)at).conn;
}

/* What was lost with the tracked connection is asked again; what failed before has still failed,
 * for its own reason. */
Test(client_batches, a_lost_connection_does_not_wipe_out_another_failure, .timeout = 30)
{
    static const t_step cut[] = {
        T_EXPECT("GET", "list"),
        T_EXPECT("PTTL", "list"),
        T_SEND("-WRONGTYPE it is a list\r\n:-1\r\n"),
        T_EXPECT("GET", "k"),
        T_HANG_UP(),
    };
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    nkv_client *client = t_near_open(&options);
    t_fake_script(fake, tracked_conn(fake), cut, T_STEPS(cut));
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "k");
    const nkv_str keys[] = {{"list", 4}, {"k", 1}};
    nkv_result results[2];
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_mget(client, keys, 2, &call, results), NKV_EREPLY);
    cr_assert_eq(results[0].status, NKV_EREPLY);
    cr_assert_eq(results[1].status, NKV_OK);
    cr_assert_eq(call.error.status, NKV_EREPLY);
    cr_assert_not_null(strstr(call.error.text, "WRONGTYPE"), "«%s»", call.error.text);
    nkv_value_release(results[0].value);
    nkv_value_release(results[1].value);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* BARRIER: one PING for the whole call, also where every hit is to be validated. */
Test(client_batches, a_barrier_is_one_ping_for_all_validated_keys, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.cache_options.confidence = 0;
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    const nkv_str keys[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    nkv_result results[4];
    for (int round = 0; round < 2; round++) {
        nkv_call call;
        nkv_call_init(&call);
        call.level = round == 0 ? NKV_EVENTUAL : NKV_BARRIER;
        cr_assert_eq(nkv_mget(client, keys, 4, &call, results), NKV_OK);
        for (int i = 0; i < 4; i++) {
            nkv_value_release(results[i].value);
        }
    }
    cr_assert_eq(t_near_stats(client).barriers, 1);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}

/* Confidence: a share of the hits is asked again, whether the caller waits or not. */
typedef struct done_state {
    _Atomic int done;
    nkv_from from;
} done_state;

static void note(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    done_state *state = ud;
    (void)status;
    nkv_value_release(value);
    state->from = call->from;
    state->done = 1;
}

Test(client_batches, confidence_holds_for_calls_that_do_not_wait, .timeout = 30)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.cache_options.confidence = 50;
    nkv_client *client = t_near_open(&options);
    t_fake_on(fake, "$1\r\nv\r\n", "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    const nkv_str get[] = {{"GET", 3}, {"k", 1}};
    unsigned hits = 0;
    for (int i = 0; i < 200; i++) {
        done_state state = {0, NKV_FROM_SERVER};
        cr_assert_eq(nkv_command_async(client, 2, get, NULL, note, &state), NKV_OK);
        while (!state.done) {}
        hits += state.from == NKV_FROM_CACHE;
    }
    cr_assert(hits > 40 && hits < 160, "%u of 200 from the cache", hits);
    const nkv_stats stats = t_near_stats(client);
    cr_assert_eq(stats.validations, 200 - hits);
    cr_assert_eq(stats.hits, 200);
    cr_assert(t_near_identity(client));
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
