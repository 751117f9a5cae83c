/* tests/oom/client/test_review_events.c - an event that there is no memory for is lost, and nothing
 * else is. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "support/fake.h"
#include "support/near.h"

static bool never(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return false;
}

static void ignore(const nkv_event *event, void *ud)
{
    (void)event;
    (void)ud;
}

/* It is posted from another thread than the loop's, which takes memory; destroy waits for what was
 * posted. */
Test(oom_client_events, destroy_does_not_wait_for_an_event_that_was_never_posted, .timeout = 20)
{
    t_fake *fake = t_fake_start(NULL);
    nkv_options options = t_near_options(t_fake_url(fake));
    options.on_event = ignore;
    nkv_client *client = t_near_open(&options);
    nkvi_mem_set_gate(never, NULL);
    nkv_client_reset(client);
    nkvi_mem_set_gate(NULL, NULL);
    nkv_client_destroy(client);
    t_fake_stop(fake);
}
