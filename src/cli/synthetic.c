/* cli/synthetic.c - made-up requests of the shape that real chat traffic has.
 *
 * Each request either opens a conversation or continues one.  After every request it is decided,
 * with probability 0.44, that the conversation will be continued, and when: so it comes back late,
 * and each request is continued at most once.
 *
 *      open        [ system prompt | fresh … fresh ]
 *      continue    [ all of the last request but its last block | fresh … fresh ]
 *
 *      due[]       a ring of slots, one for each of the next requests; in a slot a list of the
 *                  conversations to be continued there.  One can be: the others move on.
 *
 * Lengths, growth and gaps are drawn from tables of quantiles, with straight lines between them, in
 * whole numbers: so the same seed makes the same requests on every machine.  The tables are rounded
 * from a published trace of a chat service (12,031 requests).
 *
 * Invariants   I1  A block's number is fresh (counted up) or was in the request it continues.
 *              I2  A request has 2 to 247 blocks.
 *              I3  due[] holds only conversations whose request was handed out.                  */
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"
#include "cli/source.h"

#define BLOCKS_MAX       247
#define CONTINUE_PERCENT 44
#define GAPS_MAX         4096 /* slots of the ring                                                */
#define SYSTEM_PROMPTS   4

/* At `permille` of the draws the value is `value` or less. */
typedef struct quantile {
    uint32_t permille, value;
} quantile;

/* Blocks of a request that opens a conversation. */
static const quantile opening[] = {{0, 2},    {150, 2},  {250, 3},   {500, 11},  {750, 26},
                                   {900, 50}, {950, 76}, {990, 176}, {1000, 247}};
/* Fresh blocks of a request that continues one. */
static const quantile growth[] = {{0, 1},    {200, 1},  {400, 2},  {500, 2},   {750, 7},
                                  {900, 20}, {950, 29}, {990, 53}, {1000, 120}};
/* Requests until the next one of a conversation, in thousandths of the median. */
static const quantile gap[] = {{0, 100},    {50, 230},   {250, 540},  {500, 1000},
                               {750, 2130}, {900, 3930}, {950, 5040}, {1000, 12000}};

/* Shared beginnings: how many blocks each has, and which share of the conversations opens with
 * it.                                                                                            */
static const struct {
    uint32_t blocks, percent;
} system_prompts[SYSTEM_PROMPTS] = {{1, 70}, {1, 15}, {2, 10}, {3, 5}};

typedef struct conversation {
    struct conversation *next;
    size_t n;
    uint64_t ids[BLOCKS_MAX];
} conversation;

typedef struct synthetic {
    nkvi_source source; /* first: the rest sees only this */
    uint64_t random, requests, made, fresh;
    uint32_t gap_median;
    conversation *due[GAPS_MAX];
} synthetic;

/* ---- Chance ---------------------------------------------------------------------------------- */

/* SplitMix64: a counter, mixed. */
static uint64_t draw(synthetic *self)
{
    uint64_t z = self->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t draw_below(synthetic *self, uint32_t n)
{
    return (uint32_t)((draw(self) >> 32) * n >> 32);
}

/* A number from a table whose last row is at 1000. */
static uint32_t draw_from(synthetic *self, const quantile *table)
{
    const uint32_t scale = 1000; /* of the place between two rows */
    uint32_t at = draw_below(self, 1000 * scale);

    while (at >= table[1].permille * scale) {
        table++;
    }
    uint64_t width = (uint64_t)(table[1].permille - table[0].permille) * scale;
    uint64_t into = at - table[0].permille * scale;
    uint64_t rise = table[1].value - table[0].value;
    return table[0].value + (uint32_t)((rise * into + width / 2) / width);
}

/* ---- Conversations --------------------------------------------------------------------------- */

static void add_fresh(synthetic *self, conversation *talk, size_t n)
{
    for (; n > 0 && talk->n < BLOCKS_MAX; n--) {
        talk->ids[talk->n++] = self->fresh++;
    }
}

static conversation *open_conversation(synthetic *self)
{
    conversation *talk = nkvi_must_alloc(1, sizeof *talk);
    uint32_t chance = draw_below(self, 100), prompt = 0;
    uint64_t first = 0;

    while (chance >= system_prompts[prompt].percent) {
        chance -= system_prompts[prompt].percent;
        first += system_prompts[prompt].blocks;
        prompt++;
    }
    while (talk->n < system_prompts[prompt].blocks) {
        talk->ids[talk->n++] = first++;
    }
    size_t blocks = draw_from(self, opening);
    add_fresh(self, talk, blocks > talk->n ? blocks - talk->n : 1);
    return talk;
}

static void continue_conversation(synthetic *self, conversation *talk)
{
    talk->n--; /* the last block was not full: its continuation has another number */
    add_fresh(self, talk, draw_from(self, growth));
}

/* Takes the conversation that is due at this request, and hands the others of its slot on. */
static conversation *take_due(synthetic *self)
{
    size_t slot = self->made % GAPS_MAX;
    conversation *talk = self->due[slot];

    if (talk == NULL) {
        return NULL;
    }
    conversation **end = &talk->next;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = self->due[(slot + 1) % GAPS_MAX];
    self->due[(slot + 1) % GAPS_MAX] = talk->next;
    self->due[slot] = NULL;
    return talk;
}

/* Decides whether and when `talk` is continued. */
static void plan(synthetic *self, conversation *talk)
{
    if (draw_below(self, 100) >= CONTINUE_PERCENT || talk->n == BLOCKS_MAX) {
        free(talk);
        return;
    }
    uint64_t after = (uint64_t)draw_from(self, gap) * self->gap_median / 1000;
    after = after < 1 ? 1 : after > GAPS_MAX - 1 ? GAPS_MAX - 1 : after;
    conversation **end = &self->due[(self->made + after) % GAPS_MAX];
    while (*end != NULL) {
        end = &(*end)->next;
    }
    talk->next = NULL;
    *end = talk;
}

/* ---- The source ------------------------------------------------------------------------------ */

static nkvi_source_result synthetic_next(nkvi_source *source, nkvi_request *request,
                                         nkvi_out *error)
{
    synthetic *self = (synthetic *)source;

    (void)error;
    if (self->made == self->requests) {
        return NKVI_SOURCE_END;
    }
    conversation *talk = take_due(self);
    if (talk != NULL) {
        continue_conversation(self, talk);
    } else {
        talk = open_conversation(self);
    }
    request->n = 0;
    for (size_t i = 0; i < talk->n; i++) {
        nkvi_request_add(request, talk->ids[i]);
    }
    plan(self, talk);
    self->made++;
    return NKVI_SOURCE_REQUEST;
}

static double synthetic_done(const nkvi_source *source)
{
    const synthetic *self = (const synthetic *)source;

    return self->requests > 0 ? (double)self->made / (double)self->requests : 1;
}

static void synthetic_close(nkvi_source *source)
{
    synthetic *self = (synthetic *)source;

    for (size_t i = 0; i < GAPS_MAX; i++) {
        while (self->due[i] != NULL) {
            conversation *talk = self->due[i];
            self->due[i] = talk->next;
            free(talk);
        }
    }
    free(self);
}

nkvi_source *nkvi_synthetic_open(uint64_t seed, uint64_t requests)
{
    synthetic *self = nkvi_must_alloc(1, sizeof *self);

    self->source = (nkvi_source){synthetic_next, synthetic_done, synthetic_close};
    self->random = seed;
    self->requests = requests;
    /* Shorter runs get shorter gaps, else nothing would come back before their end. */
    self->gap_median = requests < 12000 ? (uint32_t)(requests * 423 / 12000) : 423;
    for (size_t i = 0; i < SYSTEM_PROMPTS; i++) {
        self->fresh += system_prompts[i].blocks;
    }
    return &self->source;
}
