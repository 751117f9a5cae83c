/* dir_connector.c - a store of one's own behind the cached client: a directory of files.
 *
 * The store is dir_connector.h; here it is wrapped and used.  What is read a second time comes from
 * memory, until somebody changes the file: then inotify tells, and it is read again.
 *
 *      dir_connector [DIRECTORY]      without one: in a temporary directory
 */
#include "dir_connector.h"

#include <nearkv/nearkv.h>

static int fail(const char *what, const char *text)
{
    fprintf(stderr, "dir_connector: %s: %s\n", what, text);
    return 1;
}

/* Another program's write: nothing that the client knows of. */
static int write_file(const char *folder, const char *name, const char *text)
{
    char part[PATH_MAX], path[PATH_MAX];
    int len = snprintf(part, sizeof part, "%s/.%s", folder, name);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = len > 0 && (size_t)len < sizeof part ? fopen(part, "we") : NULL;
    int failed = file == NULL || fputs(text, file) < 0;
    if (file != NULL) {
        failed = fclose(file) != 0 || rename(part, path) != 0 || failed;
    }
    return failed ? fail(name, "cannot be written") : 0;
}

static int show(nkv_client *client, const char *what, nkv_level level)
{
    nkv_call call;
    nkv_value *value;
    nkv_call_init(&call);
    call.level = level;
    nkv_status status = nkv_get(client, nkv_cstr("greeting"), &call, &value);
    if (status != NKV_OK) {
        return fail(what, status < 0 ? call.error.text : "not found");
    }
    nkv_str bytes = nkv_value_str(value);
    printf("%s: %.*s, from %s\n", what, (int)bytes.len, bytes.data,
           call.from == NKV_FROM_CACHE ? "the cache" : "the file");
    nkv_value_release(value);
    return 0;
}

/* How many of the chunks 0, 1, 2 … there are. */
static int show_prefix(nkv_client *client)
{
    static const char *const names[] = {"chunk/0", "chunk/1", "chunk/2", "chunk/3", "chunk/4"};
    nkv_str keys[5];
    size_t prefix, cached;
    for (size_t i = 0; i < 5; i++) {
        keys[i] = nkv_cstr(names[i]);
    }
    nkv_status status = nkv_prefix(client, keys, 5, NULL, &prefix, &cached);
    if (status < 0) {
        return fail("prefix", nkv_status_text(status));
    }
    printf("prefix: %zu of 5, %zu keys answered by the cache\n", prefix, cached);
    return 0;
}

static int use(nkv_client *client, const char *folder)
{
    int failed = show(client, "first read", NKV_EVENTUAL);
    failed = failed || show(client, "second read", NKV_EVENTUAL);
    failed = failed || write_file(folder, "greeting", "good evening");
    /* A barrier: everything that was done before it is seen. */
    failed = failed || show(client, "after an outside write", NKV_BARRIER);
    failed = failed || show(client, "again", NKV_EVENTUAL);
    for (int i = 0; i < 3 && !failed; i++) {
        char key[24];
        nkv_call call;
        nkv_call_init(&call);
        (void)snprintf(key, sizeof key, "chunk/%d", i);
        if (nkv_set(client, nkv_cstr(key), nkv_cstr("tensors"), 0, &call) != NKV_OK) {
            failed = fail(key, call.error.text);
        }
    }
    /* Our own writes are told of, too; let that be over, so that what is counted here is the same
     * every time. */
    failed = failed || show(client, "before the lookups", NKV_BARRIER);
    failed = failed || show_prefix(client);
    return failed || show_prefix(client);
}

static int run(const char *folder)
{
    dir_store *store = dir_store_create(folder);
    if (store == NULL) {
        return fail(folder, "no such directory");
    }
    nkv_connector connector = dir_store_connector(store);
    nkv_client *client;
    nkv_error error;
    int failed = write_file(folder, "greeting", "hello");
    if (!failed && nkv_client_wrap(&connector, NULL, &client, &error) != NKV_OK) {
        failed = fail("wrap", error.text);
    } else if (!failed) {
        failed = use(client, folder);
        nkv_client_destroy(client);
    }
    dir_store_destroy(store);
    return failed;
}

static void remove_all(const char *folder)
{
    static const char *const names[] = {"greeting", "chunk%2F0", "chunk%2F1", "chunk%2F2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX + 16];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: dir_connector [DIRECTORY]\n");
        return 2;
    }
    if (argc == 2) {
        return run(argv[1]);
    }
    char folder[PATH_MAX];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/dir_connector.XXXXXX",
                   parent != NULL && parent[0] == '/' ? parent : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return fail(folder, "cannot be made");
    }
    int failed = run(folder);
    remove_all(folder);
    return failed;
}
