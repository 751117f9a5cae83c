/* unit/core/test_fence_table.c - which order of read and write lets an answer in: every one of
 * them. */

#include "core/fence.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* One step of a script: T token, B write begins, E write ends, X touch, F flush. */
typedef struct play {
    nkvi_fence fence;
    nkvi_token token;
    int pending;
    bool taken, broken; /* by the definition in fence.h */
} play;

static bool step(play *p, char what, uint64_t hash)
{
    switch (what) {
    case 'T':
        p->token = nkvi_fence_token(&p->fence, hash);
        p->taken = true;
        p->broken = p->pending > 0;
        return true;
    case 'B':
        nkvi_fence_write_begin(&p->fence, hash);
        p->pending++;
        break;
    case 'E':
        if (p->pending == 0) {
            return false; /* no such script */
        }
        nkvi_fence_write_end(&p->fence, hash);
        p->pending--;
        break;
    case 'X':
        nkvi_fence_touch(&p->fence, hash);
        break;
    default:
        nkvi_fence_touch_all(&p->fence);
    }
    p->broken = true;
    return true;
}

/* All scripts of up to six steps: 5^6, those without a write to end left out. */
Test(core_fence_table, every_interleaving_of_reads_writes_touches_and_flushes)
{
    static const char steps[] = "TBEXF";
    play *p = malloc(sizeof *p);
    cr_assert_not_null(p);
    int intact = 0, broken = 0;
    nkvi_fence_init(&p->fence);
    for (int script = 0; script < 5 * 5 * 5 * 5 * 5 * 5; script++) {
        char text[7] = "";
        uint64_t hash = (uint64_t)script * UINT64_C(0x9e3779b97f4a7c15);
        p->pending = 0;
        p->taken = p->broken = false;
        bool possible = true;
        for (int i = 0, rest = script; i < 6 && possible; i++, rest /= 5) {
            text[i] = steps[rest % 5];
            possible = step(p, text[i], hash);
            if (possible && p->taken) {
                cr_assert_eq(nkvi_fence_intact(&p->token), !p->broken, "%s", text);
                intact += !p->broken;
                broken += p->broken;
            }
        }
        while (p->pending > 0) {
            (void)step(p, 'E', hash);
        }
        p->token = nkvi_fence_token(&p->fence, hash);
        cr_assert(nkvi_fence_intact(&p->token), "%s: a write is left over", text);
    }
    cr_assert(intact > 1000 && broken > 1000);
    free(p);
}

Test(core_fence_table, a_write_breaks_no_token_of_another_cell)
{
    nkvi_fence *fence = malloc(sizeof *fence);
    cr_assert_not_null(fence);
    nkvi_fence_init(fence);
    uint64_t mine = UINT64_C(0x123456789abcdef0);
    nkvi_token token = nkvi_fence_token(fence, mine);
    int kept = 0;
    for (uint64_t i = 1; i <= 100; i++) {
        token = nkvi_fence_token(fence, mine);
        nkvi_fence_write_begin(fence, mine + i * UINT64_C(0x9e3779b97f4a7c15));
        kept += nkvi_fence_intact(&token);
        nkvi_fence_write_end(fence, mine + i * UINT64_C(0x9e3779b97f4a7c15));
    }
    cr_assert_geq(kept, 97, "%d of 100 tokens survive the writes of others", kept);
    free(fence);
}
