/* io/resolve.c - see resolve.h.
 *
 *      loop:    start ---------------------------------------> run_answer: join, done(), free
 *      thread:    `--> getaddrinfo --> post the answer --> end ^
 *
 * The answer's task is in the mailbox sooner or later in every case, and it is what frees the
 * job; so cancelling only waits for the thread and marks the job. */
#include "io/resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/status.h"
#include "io/loop_impl.h"

struct nkvi_resolve {
    nkvi_task task;
    nkvi_loop *loop;
    pthread_t thread;
    nkvi_resolve_fn done;
    void *ud;
    char *host;
    int port;
    int64_t timeout_ms;
    bool cancelled; /* loop thread only; the thread has been joined then */
    nkvi_addresses addresses;
    nkv_error error;
};

bool nkvi_resolve_numeric(const char *host, int port, nkvi_addresses *out)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;

    if (strlen(host) >= sizeof out->list[0].text || getaddrinfo(host, NULL, &hints, &info) != 0) {
        return false;
    }
    out->n = 1;
    out->list[0].family = info->ai_family == AF_INET6 ? NKVI_ADDRESS_V6 : NKVI_ADDRESS_V4;
    out->list[0].port = port;
    memcpy(out->list[0].text, host, strlen(host) + 1);
    freeaddrinfo(info);
    return true;
}

static void collect(nkvi_addresses *out, int port, const struct addrinfo *info)
{
    for (; info != NULL && out->n < NKVI_ADDRESSES_MAX; info = info->ai_next) {
        nkvi_address *address = &out->list[out->n];
        if ((info->ai_family != AF_INET && info->ai_family != AF_INET6) ||
            getnameinfo(info->ai_addr, info->ai_addrlen, address->text, sizeof address->text, NULL,
                        0, NI_NUMERICHOST) != 0) {
            continue;
        }
        address->family = info->ai_family == AF_INET6 ? NKVI_ADDRESS_V6 : NKVI_ADDRESS_V4;
        address->port = port;
        out->n++;
    }
}

/* Two tries of at least a second each, within about the timeout.  The settings are this thread's
 * own. */
static void limit_patience(int64_t timeout_ms)
{
    if (res_init() == 0) {
        int64_t seconds = timeout_ms / 2000;
        _res.retrans = seconds < 1 ? 1 : seconds > 5 ? 5 : (int)seconds;
        _res.retry = 2;
    }
}

/* Where nobody knows localhost (a container without a hosts file) it is the loopback all the same:
 * RFC 6761, section 6.3. */
static void localhost(nkvi_addresses *out, int port)
{
    out->n = 2;
    out->list[0] = (nkvi_address){NKVI_ADDRESS_V4, port, "127.0.0.1"};
    out->list[1] = (nkvi_address){NKVI_ADDRESS_V6, port, "::1"};
}

nkv_status nkvi_resolve_now(const char *host, int port, int64_t timeout_ms, nkvi_addresses *out,
                            nkv_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;

    out->n = 0;
    limit_patience(timeout_ms);
    int rc = getaddrinfo(host, NULL, &hints, &info);
    if (rc != 0 && strcasecmp(host, "localhost") == 0) {
        localhost(out, port);
        return NKV_OK;
    }
    if (rc != 0) {
        return nkvi_fail(error, rc == EAI_MEMORY ? NKV_ENOMEM : NKV_ECONN,
                         "cannot find the address of %.120s: %s", host, gai_strerror(rc));
    }
    collect(out, port, info);
    freeaddrinfo(info);
    return out->n > 0 ? NKV_OK : nkvi_fail(error, NKV_ECONN, "%.120s has no usable address", host);
}

static void *run_thread(void *arg)
{
    nkvi_resolve *job = arg;
    (void)nkvi_resolve_now(job->host, job->port, job->timeout_ms, &job->addresses, &job->error);
    nkvi_loop_post(job->loop, &job->task);
    return NULL;
}

static void job_free(nkvi_resolve *job)
{
    nkvi_free(job->host);
    nkvi_free(job);
}

static void run_answer(nkvi_task *task)
{
    nkvi_resolve *job = NKVI_TASK_OF(task, nkvi_resolve, task);
    if (!job->cancelled) {
        pthread_join(job->thread, NULL);
        bool found = job->addresses.n > 0;
        job->done(job->ud, found ? &job->addresses : NULL, &job->error);
    }
    job_free(job);
}

nkvi_resolve *nkvi_resolve_start(nkvi_loop *loop, const char *host, int port, int64_t timeout_ms,
                                 nkvi_resolve_fn done, void *ud)
{
    nkvi_resolve *job = nkvi_calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->task.run = run_answer;
    job->loop = loop;
    job->done = done;
    job->ud = ud;
    job->port = port;
    job->timeout_ms = timeout_ms;
    job->host = nkvi_strndup(host, strlen(host));

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = job->host == NULL ? 1 : pthread_create(&job->thread, NULL, run_thread, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        job_free(job);
        return NULL;
    }
    return job;
}

void nkvi_resolve_cancel(nkvi_resolve *job)
{
    if (job != NULL) {
        pthread_join(job->thread, NULL);
        job->cancelled = true;
    }
}
