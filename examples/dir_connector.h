/* dir_connector.h - a store of one's own for nkv_client_wrap(): a directory, a file for each key.
 *
 *      key "chunk/7"  <-->  file "chunk%2F7"        names that begin with a dot are none of ours
 *
 *      get      open, fstat, pread straight into the memory that the client gives
 *      put      write ".tmp-N", rename: a reader sees the old file or the new one, never half
 *      vouch    inotify tells of every file that is created, written, moved or deleted, by
 *               whomever; a thread passes that on.  If its queue overflows, everything is
 *               forgotten; if the directory is moved or deleted, nothing is vouched for any more.
 *      settle   makes a file ".settle-N" and waits until inotify tells of it: events come in the
 *               order of what happened
 *
 * What inotify does not see is not vouched for: writes through a mapping of a file (mmap) or
 * through a link to it in another directory, and whatever happens on another machine that mounts
 * the same directory.  Files do not expire, so a put with a ttl is refused.
 *
 * A program takes this file as it is: it is included by one source. */
#ifndef DIR_CONNECTOR_H
#define DIR_CONNECTOR_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nearkv/connector.h>

typedef struct dir_store {
    char path[PATH_MAX];
    char name[PATH_MAX + 8];
    int dir;              /* the directory */
    char mine[64];        /* process and time: in names of files that no other store has */
    atomic_ulong files;   /* made so far */
    int inotify, stop;    /* while open */
    pthread_t watcher;    /* the same */
    nkv_voucher *voucher; /* the same */
    pthread_mutex_t mu;   /* the rest */
    pthread_cond_t settled_cond;
    unsigned long settled; /* the number of the last .settle file that inotify told of */
    int lost;              /* the directory is gone */
} dir_store;

/* ---- Keys and names of files ----------------------------------------------------------------- */

static int dir_is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* The empty key is the file "%".  Returns 0 if the name would be too long. */
static int dir_encode(nkv_str key, char name[NAME_MAX + 1])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.data[i];
        if (len + (dir_is_plain(c) ? 1 : 3) > NAME_MAX) {
            return 0;
        }
        if (dir_is_plain(c)) {
            name[len++] = (char)c;
        } else {
            name[len++] = '%';
            name[len++] = hex[c >> 4];
            name[len++] = hex[c & 15];
        }
    }
    if (key.len == 0) {
        name[len++] = '%';
    }
    name[len] = '\0';
    return 1;
}

static int dir_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Returns the length of the key, or -1: the file is none of ours. */
static long dir_decode(const char *name, char key[NAME_MAX + 1])
{
    long len = 0;
    if (strcmp(name, "%") == 0) {
        return 0;
    }
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '%') {
            int high = dir_digit(at[1]);
            int low = high >= 0 ? dir_digit(at[2]) : -1;
            if (low < 0) {
                return -1;
            }
            key[len++] = (char)(high << 4 | low);
            at += 2;
        } else if (dir_is_plain((unsigned char)*at)) {
            key[len++] = *at;
        } else {
            return -1;
        }
    }
    return len;
}

/* ---- One file -------------------------------------------------------------------------------- */

/* What the failed system call means for the item. */
static void dir_fail(nkv_connector_item *item, const char *what)
{
    char text[160];
    int why = errno;
    if (why == ENOENT) {
        item->status = NKV_NOT_FOUND;
        return;
    }
    (void)snprintf(text, sizeof text, "%s: %s", what, strerrordesc_np(why));
    (void)nkv_connector_fail(item, why == ENOMEM ? NKV_ENOMEM : NKV_ECONN, text);
}

/* The name of the item's file; 0: the item has failed. */
static int dir_name(nkv_connector_item *item, char name[NAME_MAX + 1])
{
    if (dir_encode(item->key, name)) {
        return 1;
    }
    (void)nkv_connector_fail(item, NKV_EINVAL, "the key is too long for the name of a file");
    return 0;
}

static void dir_receive(nkv_connector_item *item, int fd)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        dir_fail(item, "fstat");
        return;
    }
    size_t len = (size_t)about.st_size, have = 0;
    char *room = nkv_connector_room(item, len);
    while (room != NULL && have < len) {
        ssize_t n = pread(fd, room + have, len - have, (off_t)have);
        if (n == 0) {
            (void)nkv_connector_fail(item, NKV_ECONN, "the file became shorter while it was read");
            return;
        }
        if (n < 0 && errno != EINTR) {
            dir_fail(item, "read");
            return;
        }
        have += n > 0 ? (size_t)n : 0;
    }
    if (room != NULL) {
        item->status = NKV_OK;
    }
}

static nkv_status dir_get(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                          nkv_error *error)
{
    dir_store *store = ud;
    (void)deadline_ns; /* files do not keep anybody waiting */
    (void)error;
    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX + 1];
        if (!dir_name(&items[i], name)) {
            continue;
        }
        int fd = openat(store->dir, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            dir_fail(&items[i], "open");
            continue;
        }
        dir_receive(&items[i], fd);
        (void)close(fd);
    }
    return NKV_OK;
}

static nkv_status dir_exists(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                             nkv_error *error)
{
    dir_store *store = ud;
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX + 1];
        if (!dir_name(&items[i], name)) {
            continue;
        }
        if (faccessat(store->dir, name, F_OK, 0) == 0) {
            items[i].status = NKV_OK;
        } else {
            dir_fail(&items[i], "access");
        }
    }
    return NKV_OK;
}

/* Writes the whole value; 0, or -1 with errno. */
static int dir_write(int fd, nkv_str value)
{
    size_t done = 0;
    while (done < value.len) {
        ssize_t n = write(fd, value.data + done, value.len - done);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Makes a file that nobody else has, named `kind`, the store and a number. */
static int dir_make(dir_store *store, const char *kind, char name[128], unsigned long *number)
{
    *number = atomic_fetch_add(&store->files, 1) + 1;
    (void)snprintf(name, 128, "%s%s%lu", kind, store->mine, *number);
    return openat(store->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static void dir_put_one(dir_store *store, nkv_connector_item *item)
{
    char name[NAME_MAX + 1], part[128];
    unsigned long number;
    if (item->ttl_ms > 0) {
        (void)nkv_connector_fail(item, NKV_ENOTSUP, "files do not expire");
        return;
    }
    if (!dir_name(item, name)) {
        return;
    }
    int fd = dir_make(store, ".tmp-", part, &number);
    if (fd < 0) {
        (void)nkv_connector_fail(item, NKV_ECONN, strerrordesc_np(errno));
        return;
    }
    int failed = dir_write(fd, item->value) != 0;
    failed = close(fd) != 0 || failed; /* a full disk may say so only here */
    failed = failed || renameat(store->dir, part, store->dir, name) != 0;
    if (!failed) {
        item->status = NKV_OK;
        return;
    }
    (void)nkv_connector_fail(item, NKV_ECONN, strerrordesc_np(errno));
    (void)unlinkat(store->dir, part, 0);
}

static nkv_status dir_put(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                          nkv_error *error)
{
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        dir_put_one(ud, &items[i]);
    }
    return NKV_OK;
}

static nkv_status dir_remove(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                             nkv_error *error)
{
    dir_store *store = ud;
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX + 1];
        if (!dir_name(&items[i], name)) {
            continue;
        }
        if (unlinkat(store->dir, name, 0) == 0) {
            items[i].status = NKV_OK;
        } else {
            dir_fail(&items[i], "unlink");
        }
    }
    return NKV_OK;
}

/* ---- The directory --------------------------------------------------------------------------- */

static nkv_status dir_failed(nkv_error *error, const char *what)
{
    int why = errno;
    error->status = NKV_ECONN;
    error->sys_errno = why;
    (void)snprintf(error->text, sizeof error->text, "%.150s: %s", what, strerrordesc_np(why));
    return NKV_ECONN;
}

static nkv_status dir_scan(void *ud, nkv_str prefix, nkv_connector_scan *scan, int64_t deadline_ns,
                           nkv_error *error)
{
    dir_store *store = ud;
    (void)deadline_ns;
    int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        nkv_status status = dir_failed(error, "opendir");
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    struct dirent *entry;
    int stop = 0;
    while (!stop && (errno = 0, entry = readdir(list)) != NULL) {
        char key[NAME_MAX + 1];
        long len = dir_decode(entry->d_name, key);
        if (len >= (long)prefix.len && memcmp(key, prefix.data, prefix.len) == 0) {
            stop = nkv_connector_add(scan, nkv_str_make(key, (size_t)len));
        }
    }
    nkv_status status = !stop && errno != 0 ? dir_failed(error, "readdir") : NKV_OK;
    (void)closedir(list);
    return status;
}

static nkv_status dir_ping(void *ud, int64_t deadline_ns, nkv_error *error)
{
    dir_store *store = ud;
    struct stat about;
    (void)deadline_ns;
    if (fstat(store->dir, &about) != 0) {
        return dir_failed(error, "fstat");
    }
    errno = ENOENT;
    return about.st_nlink > 0 ? NKV_OK : dir_failed(error, store->path);
}

/* ---- Vouching -------------------------------------------------------------------------------- */

static void dir_lost(dir_store *store, const char *why)
{
    pthread_mutex_lock(&store->mu);
    store->lost = 1;
    pthread_cond_broadcast(&store->settled_cond);
    pthread_mutex_unlock(&store->mu);
    nkv_voucher_end(store->voucher, why);
}

#define DIR_SETTLE ".settle-"

/* Of a file that this store has made to settle; 0: it is none of those. */
static unsigned long dir_number(const dir_store *store, const char *name)
{
    size_t kind = strlen(DIR_SETTLE), mine = strlen(store->mine);
    int ours = strncmp(name, DIR_SETTLE, kind) == 0 && strncmp(name + kind, store->mine, mine) == 0;
    return ours ? strtoul(name + kind + mine, NULL, 10) : 0;
}

static void dir_take_settle(dir_store *store, unsigned long settled)
{
    pthread_mutex_lock(&store->mu);
    if (settled > store->settled) {
        store->settled = settled;
    }
    pthread_cond_broadcast(&store->settled_cond);
    pthread_mutex_unlock(&store->mu);
}

static void dir_take_event(dir_store *store, const struct inotify_event *event)
{
    char key[NAME_MAX + 1];
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        nkv_voucher_flush(store->voucher, "the queue of inotify overflowed");
    } else if ((event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
        dir_lost(store, "the directory was moved, deleted or unmounted");
    } else if (event->len > 0 && dir_number(store, event->name) > 0) {
        dir_take_settle(store, dir_number(store, event->name));
    } else if (event->len > 0) {
        long key_len = dir_decode(event->name, key);
        if (key_len >= 0) {
            nkv_voucher_invalidate(store->voucher, nkv_str_make(key, (size_t)key_len));
        }
    }
}

/* Passes on what inotify holds; 0: it fails. */
static int dir_take_events(dir_store *store)
{
    _Alignas(struct inotify_event) char bytes[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    ssize_t n;
    while ((n = read(store->inotify, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const void *)(bytes + at);
            dir_take_event(store, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void *dir_watch(void *ud)
{
    dir_store *store = ud;
    struct pollfd fds[2] = {{.fd = store->inotify, .events = POLLIN},
                            {.fd = store->stop, .events = POLLIN}};
    int64_t half_ms = nkv_voucher_max_idle_ms(store->voucher) / 2;
    int wait_ms = half_ms < 1000 ? (int)half_ms : 1000;
    for (;;) {
        (void)poll(fds, 2, wait_ms);
        if (fds[1].revents != 0) {
            return NULL;
        }
        if (!dir_take_events(store)) {
            dir_lost(store, "inotify failed");
            return NULL;
        }
        nkv_voucher_heard(store->voucher); /* nothing is left to tell */
    }
}

/* Signals are the program's main thread's to take. */
static int dir_start(dir_store *store)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&store->watcher, NULL, dir_watch, store);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = rc;
    return rc == 0;
}

static void dir_close_watch(dir_store *store)
{
    if (store->inotify >= 0) {
        (void)close(store->inotify);
    }
    if (store->stop >= 0) {
        (void)close(store->stop);
    }
    store->inotify = store->stop = -1;
}

static nkv_status dir_open(void *ud, nkv_voucher *voucher, nkv_error *error)
{
    const uint32_t wanted = IN_CREATE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
                            IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    dir_store *store = ud;
    store->voucher = voucher;
    store->lost = 0;
    store->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    store->stop = eventfd(0, EFD_CLOEXEC);
    if (store->inotify < 0 || store->stop < 0 ||
        inotify_add_watch(store->inotify, store->path, wanted) < 0) {
        nkv_status status = dir_failed(error, store->path);
        dir_close_watch(store);
        return status;
    }
    nkv_voucher_begin(voucher); /* from now on inotify misses nothing */
    if (!dir_start(store)) {
        nkv_status status = dir_failed(error, "no thread for inotify");
        dir_close_watch(store);
        return status;
    }
    return NKV_OK;
}

static void dir_close(void *ud)
{
    dir_store *store = ud;
    const uint64_t one = 1;
    if (write(store->stop, &one, sizeof one) == (ssize_t)sizeof one) {
        (void)pthread_join(store->watcher, NULL);
    }
    dir_close_watch(store);
}

static nkv_status dir_settle(void *ud, int64_t deadline_ns, nkv_error *error)
{
    dir_store *store = ud;
    char name[128];
    unsigned long number;
    int fd = dir_make(store, DIR_SETTLE, name, &number);
    if (fd < 0) {
        return dir_failed(error, "create"); /* a directory that we may only read */
    }
    (void)close(fd);
    (void)unlinkat(store->dir, name, 0);
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
    int rc = 0;
    pthread_mutex_lock(&store->mu);
    while (store->settled < number && !store->lost && rc == 0) {
        rc = pthread_cond_timedwait(&store->settled_cond, &store->mu, &until);
    }
    int settled = store->settled >= number;
    pthread_mutex_unlock(&store->mu);
    errno = ETIMEDOUT;
    return settled ? NKV_OK : dir_failed(error, "inotify");
}

/* ---- For the program ------------------------------------------------------------------------- */

/* A store over an existing directory; NULL, with errno: there is none, or memory ran out. */
static dir_store *dir_store_create(const char *path)
{
    dir_store *store = calloc(1, sizeof *store);
    pthread_condattr_t attr;
    if (store == NULL || realpath(path, store->path) == NULL) {
        free(store);
        return NULL;
    }
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(store->name, sizeof store->name, "dir:%s", store->path);
    (void)snprintf(store->mine, sizeof store->mine, "%ld-%lld%09ld-", (long)getpid(),
                   (long long)now.tv_sec, now.tv_nsec);
    store->inotify = store->stop = -1;
    store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir < 0) {
        free(store);
        return NULL;
    }
    (void)pthread_mutex_init(&store->mu, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->settled_cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    return store;
}

/* Its table. A few keys for a call, so that several threads share a long batch. */
static nkv_connector dir_store_connector(dir_store *store)
{
    nkv_connector table = {.struct_size = sizeof table,
                           .name = store->name,
                           .ud = store,
                           .batch_max = 32,
                           .punctual = 1,
                           .get = dir_get,
                           .exists = dir_exists,
                           .put = dir_put,
                           .remove = dir_remove,
                           .scan = dir_scan,
                           .ping = dir_ping,
                           .settle = dir_settle,
                           .open = dir_open,
                           .close = dir_close};
    return table;
}

/* After the client is gone. The files stay. */
static void dir_store_destroy(dir_store *store)
{
    (void)pthread_cond_destroy(&store->settled_cond);
    (void)pthread_mutex_destroy(&store->mu);
    (void)close(store->dir);
    free(store);
}

#endif
