/* kv/refresh.c - see refresh.h. */
#include "kv/refresh.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"

#define WAITING_MAX 1024u

typedef struct task {
    nkvi_node node;
    nkv_str key;
    nkv_kv_maker maker;
    nkv_kv_set_options how;
    nkv_str tags[]; /* then the bytes of the tags and of the key */
} task;

struct nkvi_refresh {
    nkv_kv *kv;
    nkvi_refresh_fn run;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    nkvi_list waiting;
    unsigned waiting_n;
    bool ending;
};

static task *next(nkvi_refresh *refresh)
{
    task *found = NULL;
    pthread_mutex_lock(&refresh->mu);
    while (!refresh->ending && nkvi_list_empty(&refresh->waiting)) {
        pthread_cond_wait(&refresh->cond, &refresh->mu);
    }
    if (!refresh->ending) {
        nkvi_node *node = refresh->waiting.head.next;
        nkvi_list_remove(node);
        refresh->waiting_n--;
        found = NKVI_CONTAINER(node, task, node);
    }
    pthread_mutex_unlock(&refresh->mu);
    return found;
}

static void *work(void *arg)
{
    nkvi_refresh *refresh = arg;
    task *one;
    while ((one = next(refresh)) != NULL) {
        refresh->run(refresh->kv, one->key, &one->maker);
        nkvi_free(one);
    }
    return NULL;
}

/* The user's signals are for the user's threads. */
static bool start(nkvi_refresh *refresh)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&refresh->thread, NULL, work, refresh);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

nkvi_refresh *nkvi_refresh_create(nkv_kv *kv, nkvi_refresh_fn run)
{
    nkvi_refresh *refresh = nkvi_calloc(1, sizeof *refresh);
    if (refresh == NULL) {
        return NULL;
    }
    refresh->kv = kv;
    refresh->run = run;
    nkvi_list_init(&refresh->waiting);
    if (pthread_mutex_init(&refresh->mu, NULL) != 0) {
        nkvi_free(refresh);
        return NULL;
    }
    if (pthread_cond_init(&refresh->cond, NULL) == 0) {
        if (start(refresh)) {
            return refresh;
        }
        pthread_cond_destroy(&refresh->cond);
    }
    pthread_mutex_destroy(&refresh->mu);
    nkvi_free(refresh);
    return NULL;
}

void nkvi_refresh_destroy(nkvi_refresh *refresh)
{
    if (refresh == NULL) {
        return;
    }
    pthread_mutex_lock(&refresh->mu);
    refresh->ending = true;
    pthread_cond_signal(&refresh->cond);
    pthread_mutex_unlock(&refresh->mu);
    (void)pthread_join(refresh->thread, NULL);
    while (!nkvi_list_empty(&refresh->waiting)) {
        nkvi_node *node = refresh->waiting.head.next;
        nkvi_list_remove(node);
        nkvi_free(NKVI_CONTAINER(node, task, node));
    }
    pthread_cond_destroy(&refresh->cond);
    pthread_mutex_destroy(&refresh->mu);
    nkvi_free(refresh);
}

static task *task_make(nkv_str key, const nkv_kv_maker *maker)
{
    const nkv_kv_set_options *how = maker->how;
    size_t bytes = sizeof(task) + how->tags_len * sizeof(nkv_str) + key.len + 1;
    for (size_t i = 0; i < how->tags_len; i++) {
        bytes += how->tags[i].len;
    }
    task *one = nkvi_alloc(bytes);
    if (one == NULL) {
        return NULL;
    }
    char *at = (char *)&one->tags[how->tags_len];
    nkvi_node_init(&one->node);
    one->how = *how;
    one->how.tags = one->tags;
    one->maker = *maker;
    one->maker.how = &one->how;
    for (size_t i = 0; i < how->tags_len; i++) {
        memcpy(at, how->tags[i].data, how->tags[i].len);
        one->tags[i] = nkv_str_make(at, how->tags[i].len);
        at += how->tags[i].len;
    }
    if (key.len > 0) {
        memcpy(at, key.data, key.len);
    }
    one->key = nkv_str_make(at, key.len);
    return one;
}

static bool is_waiting(const nkvi_refresh *refresh, nkv_str key)
{
    for (nkvi_node *node = refresh->waiting.head.next; node != &refresh->waiting.head;
         node = node->next) {
        const task *one = NKVI_CONTAINER(node, task, node);
        if (one->key.len == key.len && memcmp(one->key.data, key.data, key.len) == 0) {
            return true;
        }
    }
    return false;
}

bool nkvi_refresh_put(nkvi_refresh *refresh, nkv_str key, const nkv_kv_maker *maker)
{
    task *one = task_make(key, maker);
    if (one == NULL) {
        return false;
    }
    pthread_mutex_lock(&refresh->mu);
    bool taken = !refresh->ending && refresh->waiting_n < WAITING_MAX && !is_waiting(refresh, key);
    if (taken) {
        nkvi_list_push(&refresh->waiting, &one->node);
        refresh->waiting_n++;
        pthread_cond_signal(&refresh->cond);
    }
    pthread_mutex_unlock(&refresh->mu);
    if (!taken) {
        nkvi_free(one);
    }
    return taken;
}
