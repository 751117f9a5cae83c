/* tests/stress/stress_client_hits.c - a hit allocates nothing and makes no system call: the
 * acceptance case 31 (P6).
 *
 *      stress_client_hits [ROUNDS]       hits of each kind and thread; default 20 000
 *
 * Two threads read what is cached, in every way there is: nkv_get (a value, nil, with and without a
 * nkv_call), nkv_mget, nkv_exists, nkv_prefix, nkv_command. Meanwhile
 *
 *      allocations   are counted by support/mem_hook.h, of the threads and of the whole process
 *      system calls  cannot be made: a filter of the kernel's (seccomp) turns each into a signal
 *                    that counts it; and for who watches from outside (with strace,
 *                    tests/sh/hit_syscalls.sh) each thread calls getpgid(0) right
 *                    before and right after
 *
 * Under a sanitizer only the answers are looked at. The last line is "N passed, N failed". */

#include "support/mem_hook_here.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <nearkv/nearkv.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/mem_hook.h"
#include "support/near.h"
#include "support/server.h"

enum { THREADS = 2, KEYS = 128, BATCH = 16 };

static nkv_client *client;
static char names[KEYS][24];
static nkv_str keys[KEYS];

/* ---- No system calls ------------------------------------------------------------------------- */

static __thread volatile sig_atomic_t trapped;
static __thread volatile long trapped_number;

static void on_trap(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    trapped++;
    trapped_number = info->si_syscall;
}

/* From here on every system call of this thread is trapped, but getpgid, exit, and the return from
 * the handler. False if the kernel does not offer that.                                          */
static bool forbid_syscalls(void)
{
    static const struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter copy[sizeof rules / sizeof rules[0]];
    memcpy(copy, rules, sizeof rules);
    const struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = copy};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---- Hits ------------------------------------------------------------------------------------ */

static int is_hit(nkv_status status, const nkv_call *call, nkv_status wanted)
{
    return status == wanted && (call == NULL || call->from == NKV_FROM_CACHE);
}

/* One hit of every kind; returns how many were none. */
static int read_every_way(int i)
{
    static const nkv_str get[] = {{"GET", 3}, {"hit:0", 5}};
    static const nkv_str hget[] = {{"HGET", 4}, {"hash", 4}, {"f", 1}};
    nkv_result results[BATCH];
    nkv_value *value = NULL;
    nkv_call call;
    size_t prefix = 0;
    size_t from_cache = 0;
    int wrong = 0;
    nkv_call_init(&call);
    wrong += !is_hit(nkv_get(client, keys[i % KEYS], NULL, &value), NULL, NKV_OK);
    nkv_value_release(value);
    wrong += !is_hit(nkv_get(client, keys[i % KEYS], &call, &value), &call, NKV_OK);
    nkv_value_release(value);
    wrong += !is_hit(nkv_get(client, nkv_str_make("nil", 3), &call, &value), &call, NKV_NOT_FOUND);
    wrong += !is_hit(nkv_command(client, 2, get, &call, &value), &call, NKV_OK);
    nkv_value_release(value);
    wrong += !is_hit(nkv_command(client, 3, hget, &call, &value), &call, NKV_OK);
    nkv_value_release(value);
    wrong +=
        !is_hit(nkv_mget(client, &keys[i % (KEYS - BATCH)], BATCH, &call, results), &call, NKV_OK);
    for (int k = 0; k < BATCH; k++) {
        nkv_value_release(results[k].value);
    }
    wrong += !is_hit(nkv_exists(client, &keys[i % (KEYS - BATCH)], BATCH, &call, results), &call,
                     NKV_OK);
    wrong += nkv_prefix(client, keys, KEYS, NULL, &prefix, &from_cache) != NKV_OK ||
             prefix != KEYS || from_cache != KEYS;
    return wrong;
}

typedef struct worker {
    pthread_t thread;
    int rounds;
    int wrong;
    bool filtered;
    long syscalls;
    long number;
    t_mem mem;
} worker;

static void *hit(void *ud)
{
    worker *w = ud;
    for (int i = 0; i < 10; i++) { /* the thread's own beginnings */
        w->wrong += read_every_way(i);
    }
    w->filtered = t_mem_hooked() && forbid_syscalls(); /* sanitizers need theirs */
    const t_mem before = t_mem_of_thread();
    (void)syscall(SYS_getpgid, 0);
    for (int i = 0; i < w->rounds; i++) {
        w->wrong += read_every_way(i);
    }
    (void)syscall(SYS_getpgid, 0);
    w->mem = t_mem_diff(t_mem_of_thread(), before);
    w->syscalls = trapped;
    w->number = trapped_number;
    if (w->filtered) {
        (void)syscall(SYS_exit, 0); /* a thread's usual end makes calls that are trapped, too */
    }
    return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static int passed;
static int failed;

static void expect(bool good, const char *what)
{
    (void)printf("%s - %s\n", good ? "ok" : "FAILED", what);
    passed += good;
    failed += !good;
}

static void fill(t_server *server)
{
    t_ctl *ctl = t_ctl_open(server);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "hit:%d", i);
        keys[i] = nkv_cstr(names[i]);
        t_ctl_ok(ctl, "SET", names[i], "a value that is neither short nor long");
    }
    t_ctl_ok(ctl, "HSET", "hash", "f", "v");
    t_ctl_close(ctl);
}

static void run(int rounds)
{
    worker workers[THREADS];
    for (int i = 0; i < KEYS; i++) {
        (void)read_every_way(i); /* from the server */
    }
    const t_mem before = t_mem_of_process();
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.rounds = rounds};
        T_REQUIRE(pthread_create(&workers[i].thread, NULL, hit, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
    }
    const t_mem process = t_mem_diff(t_mem_of_process(), before);
    int wrong = 0;
    long syscalls = 0;
    int64_t allocs = 0;
    bool filtered = true;
    for (int i = 0; i < THREADS; i++) {
        wrong += workers[i].wrong;
        syscalls += workers[i].syscalls;
        allocs += workers[i].mem.allocs + workers[i].mem.frees;
        filtered = filtered && workers[i].filtered;
        if (workers[i].syscalls > 0) {
            (void)printf("system call number %ld\n", workers[i].number);
        }
    }
    (void)printf("%d threads, %d rounds of %d hits: %lld allocations, %ld system calls; "
                 "%lld allocations in the process\n",
                 THREADS, rounds, 6 + 2 * BATCH + KEYS, (long long)allocs, syscalls,
                 (long long)process.allocs);
    expect(wrong == 0, "all reads were hits");
    if (t_mem_hooked()) {
        expect(allocs == 0, "case 31: no allocation and no free in the reading threads");
        expect(process.allocs < 100, "case 31: nor in others on their behalf");
        expect(filtered, "the kernel filters system calls");
        expect(syscalls == 0, "case 31: no system call");
    }
}

int main(int argc, char **argv)
{
    const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    if (rounds < 1 || rounds > 100000000) {
        T_DIE("a number of rounds is wanted, not \"%s\"", argv[1]);
    }
    const struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    T_REQUIRE(sigaction(SIGSYS, &trap, NULL) == 0);
    t_server *server = t_server_start(NULL);
    fill(server);
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.max_idle_ms = 60000; /* no PING in between */
    client = t_near_open(&options);
    run((int)rounds);
    nkv_client_destroy(client);
    t_server_stop(server);
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
