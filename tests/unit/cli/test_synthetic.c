/* tests/unit/cli/test_synthetic.c - made-up traffic: the same for the same seed, and of the shape
 * that the help promises.                                                                        */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cli/ids.h"
#include "cli/source.h"

#define REQUESTS 12000

/* What was seen of a run. */
typedef struct shape {
    size_t requests, blocks, found, continued;
    size_t length[REQUESTS];
    size_t longest, shortest;
    uint64_t mixed; /* of all numbers in their order */
} shape;

static void run(shape *seen, uint64_t seed, uint64_t requests)
{
    nkvi_source *source = nkvi_synthetic_open(seed, requests);
    nkvi_request request = {0};
    nkvi_out error = {0};
    nkvi_ids ids = {0};

    *seen = (shape){.shortest = SIZE_MAX};
    while (source->next(source, &request, &error) == NKVI_SOURCE_REQUEST) {
        size_t found = 0;
        bool all = true;
        for (size_t i = 0; i < request.n; i++) {
            /* Numbers are counted up: what is new was not there, and what follows a new one is
             * new.                                                                               */
            bool new = nkvi_ids_add(&ids, request.ids[i]);
            cr_assert(all || new, "a known block behind a fresh one");
            all = all && !new;
            found += !new;
            seen->mixed = (seen->mixed ^ request.ids[i]) * UINT64_C(0x100000001b3);
        }
        seen->length[seen->requests++] = request.n;
        seen->blocks += request.n;
        seen->found += found;
        seen->continued += found > 3; /* more than any system prompt */
        seen->longest = request.n > seen->longest ? request.n : seen->longest;
        seen->shortest = request.n < seen->shortest ? request.n : seen->shortest;
    }
    cr_assert_eq(error.len, 0);
    cr_assert(source->done(source) >= 1);
    source->close(source);
    nkvi_request_clear(&request);
    nkvi_ids_clear(&ids);
}

static int compare(const void *left, const void *right)
{
    size_t a = *(const size_t *)left, b = *(const size_t *)right;

    return (a > b) - (a < b);
}

Test(cli_synthetic, the_same_seed_makes_the_same_requests)
{
    static shape one, other;

    run(&one, 1, 500);
    run(&other, 1, 500);
    cr_assert_eq(one.requests, 500);
    cr_assert_eq(one.mixed, other.mixed);
    run(&other, 2, 500);
    cr_assert_neq(one.mixed, other.mixed);
}

Test(cli_synthetic, the_shape_is_that_of_a_chat_service)
{
    static shape seen;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        run(&seen, seed, REQUESTS);
        qsort(seen.length, seen.requests, sizeof seen.length[0], compare);
        size_t median = seen.length[REQUESTS / 2];
        double found = (double)seen.found / (double)seen.blocks;
        double continued = (double)seen.continued / REQUESTS;
        cr_assert(median >= 12 && median <= 16, "median %zu", median);
        cr_assert_leq(seen.longest, 247);
        cr_assert_geq(seen.longest, 200);
        cr_assert_eq(seen.shortest, 2);
        cr_assert(found > 0.30 && found < 0.45, "found %.3f", found);
        cr_assert(continued > 0.30 && continued < 0.44, "continued %.3f", continued);
        size_t tenth = seen.length[REQUESTS * 9 / 10];
        cr_assert(tenth >= 45 && tenth <= 65, "a tenth has %zu or more", tenth);
    }
}

Test(cli_synthetic, short_runs_have_reuse_too)
{
    static shape seen;

    run(&seen, 1, 200);
    cr_assert_gt(seen.continued, 20);
    run(&seen, 1, 1);
    cr_assert_eq(seen.requests, 1);
    run(&seen, 1, 0);
    cr_assert_eq(seen.requests, 0);
}

Test(cli_synthetic, a_source_can_be_closed_early)
{
    nkvi_source *source = nkvi_synthetic_open(7, 1000);
    nkvi_request request = {0};
    nkvi_out error = {0};

    for (int i = 0; i < 100; i++) {
        cr_assert_eq(source->next(source, &request, &error), NKVI_SOURCE_REQUEST);
    }
    cr_assert_float_eq(source->done(source), 0.1, 1e-9);
    source->close(source);
    nkvi_request_clear(&request);
}
