/* How long an answer may be kept. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "client/ttl.h"

#define SENT INT64_C(1000000000)

static nkv_options options;
static const nkv_reply *fields_reply; /* to HPTTL; NULL: not asked */

static void setup(void)
{
    nkv_options_init(&options);
}

TestSuite(client_ttl, .init = setup);

static nkv_reply integer(int64_t number)
{
    return (nkv_reply){.type = NKV_TYPE_INTEGER, .integer = number};
}

static nkv_reply string(const char *text)
{
    return (nkv_reply){.type = NKV_TYPE_STRING, .str = text, .len = strlen(text)};
}

static const nkv_reply nil = {.type = NKV_TYPE_NIL};

/* The bound in ms after the sending, or -1 if the answer may not be stored. */
static int64_t kept(const nkv_reply *answer, const nkv_reply *pttl, int64_t call_ttl_ms)
{
    nkvi_ask_mode mode = {.tracked = true, .ttl_ms = call_ttl_ms};
    nkvi_ttl ttl;
    int64_t deadline;
    nkvi_ttl_init(&ttl);
    if (pttl != NULL) {
        nkvi_ttl_of_key(&ttl, pttl);
    }
    if (fields_reply != NULL) {
        cr_assert(nkvi_ttl_of_fields(&ttl, fields_reply));
    }
    if (!nkvi_ttl_deadline(&options, &mode, SENT, answer, &ttl, &deadline)) {
        return -1;
    }
    return deadline == NKVI_NEVER ? INT64_MAX : (deadline - SENT) / NKVI_NS_PER_MS;
}

Test(client_ttl, the_keys_own_expiry_counts_from_the_sending)
{
    nkv_reply answer = string("v"), pttl = integer(300);
    cr_assert_eq(kept(&answer, &pttl, 0), 300);
}

Test(client_ttl, max_ttl_bounds_a_key_without_expiry_and_a_longer_one)
{
    nkv_reply answer = string("v"), none = integer(-1), longer = integer(3600000);
    cr_assert_eq(kept(&answer, &none, 0), 600000);
    cr_assert_eq(kept(&answer, &longer, 0), 600000);
    options.max_ttl_ms = -1;
    cr_assert_eq(kept(&answer, &none, 0), INT64_MAX);
    cr_assert_eq(kept(&answer, &longer, 0), 3600000);
    options.max_ttl_ms = 0;
    cr_assert_eq(kept(&answer, &none, 0), -1);
}

Test(client_ttl, the_bound_of_the_call_only_tightens)
{
    nkv_reply answer = string("v"), none = integer(-1), own = integer(50);
    cr_assert_eq(kept(&answer, &none, 100), 100);
    cr_assert_eq(kept(&answer, &own, 100), 50);
    cr_assert_eq(kept(&answer, &none, 900000), 600000);
}

Test(client_ttl, a_key_that_vanished_in_between_is_not_stored)
{
    nkv_reply answer = string("v"), gone = integer(-2);
    cr_assert_eq(kept(&answer, &gone, 0), -1);
}

/* HGET of a missing field; the key is there and its expiry bounds the absence, too. */
Test(client_ttl, nil_of_a_key_that_exists_is_bounded_by_the_key)
{
    nkv_reply expiring = integer(10);
    cr_assert_eq(kept(&nil, &expiring, 0), 10);
}

Test(client_ttl, the_earliest_field_bounds_an_answer_of_fields)
{
    nkv_reply answer = string("v"), none = integer(-1);
    nkv_reply times[3] = {integer(-1), integer(250), integer(90)};
    nkv_reply fields = {.type = NKV_TYPE_ARRAY, .elements = 3, .element = times};
    fields_reply = &fields;
    cr_assert_eq(kept(&answer, &none, 0), 90);
    times[1] = times[2] = integer(-2); /* no such field: no bound of its own */
    cr_assert_eq(kept(&answer, &none, 0), 600000);
}

Test(client_ttl, a_server_without_field_expiry_is_told_apart)
{
    nkv_reply unknown = {.type = NKV_TYPE_ERROR, .str = "ERR unknown command 'HPTTL'", .len = 27};
    nkvi_ttl ttl;
    nkvi_ttl_init(&ttl);
    cr_assert_not(nkvi_ttl_of_fields(&ttl, &unknown));
    cr_assert_not(ttl.failed);
    nkv_reply denied = {.type = NKV_TYPE_ERROR, .str = "NOPERM no", .len = 9};
    cr_assert(nkvi_ttl_of_fields(&ttl, &denied));
    cr_assert(ttl.failed);
}

Test(client_ttl, an_expiry_of_zero_ms_is_not_stored)
{
    nkv_reply answer = string("v"), now = integer(0);
    cr_assert_eq(kept(&answer, &now, 0), -1);
}

Test(client_ttl, what_does_not_exist_has_a_bound_of_its_own)
{
    nkv_reply gone = integer(-2), zero = integer(0);
    cr_assert_eq(kept(&nil, &gone, 0), 600000);
    options.negative_ttl_ms = 1000;
    cr_assert_eq(kept(&nil, &gone, 0), 1000);
    cr_assert_eq(kept(&zero, &gone, 0), 1000); /* EXISTS, STRLEN, LLEN … */
    options.negative_ttl_ms = 0;
    cr_assert_eq(kept(&nil, &gone, 0), -1);
}

Test(client_ttl, an_answer_of_nothing_but_absences_is_an_absence)
{
    nkv_reply gone = integer(-2);
    nkv_reply nils[2] = {{.type = NKV_TYPE_NIL}, {.type = NKV_TYPE_NIL}};
    nkv_reply mixed[2] = {{.type = NKV_TYPE_NIL}, string("v")};
    nkv_reply hmget = {.type = NKV_TYPE_ARRAY, .elements = 2, .element = nils};
    nkv_reply live = {.type = NKV_TYPE_ARRAY, .elements = 2, .element = mixed};
    cr_assert_eq(kept(&hmget, &gone, 0), 600000);
    cr_assert_eq(kept(&live, &gone, 0), -1);
}

Test(client_ttl, a_refused_or_odd_pttl_is_not_stored)
{
    nkv_reply answer = string("v"), error = {.type = NKV_TYPE_ERROR, .str = "NOPERM", .len = 6};
    nkv_reply odd = integer(-3);
    cr_assert_eq(kept(&answer, &error, 0), -1);
    cr_assert_eq(kept(&answer, &odd, 0), -1);
}

Test(client_ttl, without_pttl_the_bounds_of_options_and_call_hold)
{
    nkv_reply answer = string("v");
    cr_assert_eq(kept(&answer, NULL, 0), 600000);
    cr_assert_eq(kept(&answer, NULL, 40), 40);
    options.negative_ttl_ms = 7;
    cr_assert_eq(kept(&nil, NULL, 40), 7);
}
