/* tests/stress/stress_lmcache_hits.c - a prefix that is known here costs no round trip, and up to
 * 64 keys no allocation.
 *
 *      stress_lmcache_hits [ROUNDS]      lookups of each length and layout; default 2000
 *
 * Allocations are counted by support/mem_hook.h, of this thread and of the whole process; commands
 * by the server. Under a sanitizer only answers and commands are looked at. The last line is
 * "N passed, N failed".                                                                          */

#include "support/mem_hook_here.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/lm.h"
#include "support/mem_hook.h"

enum { KEYS = 300 };

static int passed;
static int failed;

static void expect(bool good, const char *name, const char *what, size_t n)
{
    (void)printf("%s - %s, %zu keys: %s\n", good ? "ok" : "FAILED", name, n, what);
    passed += good;
    failed += !good;
}

/* The first `n` keys: all there, or the last one missing. */
static void look_up(t_lm *lm, const nkv_str *keys, size_t n, size_t wants, long rounds)
{
    size_t wrong = 0;
    size_t prefix = 0;
    wrong += nkv_lmcache_prefix(lm->lm, keys, n, NULL, &prefix) != NKV_OK || prefix != wants;
    const long long calls = t_ctl_data_calls(lm->ctl);
    const t_mem thread = t_mem_of_thread();
    const t_mem process = t_mem_of_process();
    for (long i = 0; i < rounds; i++) {
        wrong += nkv_lmcache_prefix(lm->lm, keys, n, NULL, &prefix) != NKV_OK || prefix != wants;
    }
    const t_mem thread_diff = t_mem_diff(t_mem_of_thread(), thread);
    const t_mem process_diff = t_mem_diff(t_mem_of_process(), process);
    expect(wrong == 0, lm->name, "every lookup is right", n);
    expect(t_ctl_data_calls(lm->ctl) == calls, lm->name, "no command at the server", n);
    if (t_mem_hooked() && n <= 64) {
        /* The loop's thread may wake once in a while; it has no business with these lookups. */
        expect(thread_diff.allocs == 0, lm->name, "no allocation in this thread", n);
        expect(process_diff.allocs <= 4, lm->name, "none elsewhere on behalf of it", n);
        (void)printf("%lld allocations here, %lld in all\n", (long long)thread_diff.allocs,
                     (long long)process_diff.allocs);
    }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1, 2, 8, 63, 64, 65, 256, KEYS};
    const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 2000;
    if (rounds < 1) {
        T_DIE("a number of rounds is wanted, not \"%s\"", argv[1]);
    }
    t_server *server = t_server_start(NULL);
    t_items list = t_items_new("model@1@0@chunk", KEYS + 1);
    nkv_str keys[KEYS + 1];
    for (size_t i = 0; i <= KEYS; i++) {
        keys[i] = list.items[i].key;
    }
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        for (size_t i = 0; i < KEYS; i++) {
            t_lm_chunk(&lm, keys[i], 10);
        }
        t_lm_sync(&lm);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            look_up(&lm, keys, lengths[i], lengths[i], rounds);
        }
        look_up(&lm, &keys[KEYS - 20], 21, 20, rounds); /* the last one is known to be missing */
        t_lm_close(&lm);
    }
    t_items_free(&list);
    t_server_stop(server);
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
