/* tests/oom/client/test_sentinel_oom.c - a client behind a played sentinel, from its making to its
 * end, with the i-th allocation failing, for every i: the acceptance case 107 for sentinels. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"
#include "support/fake_sentinel.h"
#include "support/near.h"
#include "support/oom.h"

enum { SOON_MS = 10000 };

static int wrong;

static void allow(nkv_status status, const char *what)
{
    const bool follows = status == NKV_ENOMEM || status == NKV_ECONN || status == NKV_EPROTO ||
                         status == NKV_ENOTSUP || status == NKV_ETIMEDOUT || status == NKV_EREPLY;
    if (status < 0 && !(t_oom_failed() && follows)) {
        (void)fprintf(stderr, "%s: %s\n", what, nkv_status_text(status));
        wrong++;
    }
}

/* The switch may have been missed for want of memory, but not for ever. */
static void await_value(nkv_client *client, const char *value)
{
    T_WAIT_UNTIL(strcmp(t_near_get(client, "k").text, value) == 0, SOON_MS);
}

static void use(t_fs *stage, nkv_client *client)
{
    nkv_error error;
    allow(nkv_client_wait_ready(client, SOON_MS, &error), "ready");
    allow(t_near_get(client, "k").status, "get");
    allow(t_near_get_at(client, "k", NKV_BARRIER).status, "get behind a barrier");
    allow(t_near_set(client, "w", "v"), "set");
    t_fs_role(stage->b, "master");
    t_fs_name(stage, stage->b, 2);
    t_fs_announce(stage, t_fake_port(stage->a), t_fake_port(stage->b));
    allow(t_near_get(client, "k").status, "get after a switch");
    await_value(client, "b");
}

static void live_once(void)
{
    t_fs stage;
    t_fs_start(&stage);
    nkv_options options = t_near_options(stage.url);
    options.timeout_ms = 2000;
    options.topology_max_age_ms = 200;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    options.read_from = NKV_READ_PREFER_REPLICA;
    options.address_map = "nowhere=127.0.0.1";
    nkv_client *client = NULL;
    const nkv_status status = nkv_client_create(&options, &client, NULL);
    cr_assert_eq(client == NULL, status < 0);
    if (status >= 0) {
        use(&stage, client);
    } else {
        cr_assert_eq(status, NKV_ENOMEM, "%s", nkv_status_text(status));
    }
    nkv_client_destroy(client);
    t_fs_stop(&stage);
}

Test(oom_sentinel, case_107_every_allocation, .timeout = 300)
{
    bool more = true;
    long from = 0;
    t_oom_open();
    const int fds = t_fd_count(), threads = t_thread_count();
    for (; more; from++) {
        t_oom_fail(from, 1);
        live_once();
        more = t_oom_failed();
        t_oom_relent();
    }
    t_oom_close();
    cr_assert_gt(from, 50);
    cr_assert_eq(wrong, 0);
    cr_assert_eq(t_fd_count(), fds);
    T_WAIT_UNTIL(t_thread_count() == threads, SOON_MS);
}
