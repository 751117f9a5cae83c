/* own_loop.c - nearkv on a libev loop of the program's own: no thread is made, answers come as
 * callbacks.
 *
 *      own_loop URL
 */
#include <ev.h>
#include <stdio.h>

#include <nearkv/nearkv.h>

typedef struct program {
    struct ev_loop *loop;
    nkv_client *client;
    int stored; /* the key is set */
    int told;   /* whether answers are cached: the tracked connection is armed, or will not be */
    int reads;  /* done so far */
    int failed;
} program;

static void ask(program *p);

static void on_answer(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    program *p = ud;
    if (status < 0) {
        fprintf(stderr, "own_loop: %s\n", call->error.text);
        p->failed = 1;
    } else {
        nkv_str bytes = status == NKV_OK ? nkv_value_str(value) : nkv_cstr("(nil)");
        printf("read %d: %.*s from the %s\n", ++p->reads, (int)bytes.len, bytes.data,
               call->from == NKV_FROM_CACHE ? "cache" : "server");
    }
    nkv_value_release(value);
    if (p->failed || p->reads == 3) {
        ev_break(p->loop, EVBREAK_ALL);
    } else {
        ask(p);
    }
}

static void ask(program *p)
{
    const nkv_str argv[2] = {nkv_cstr("GET"), nkv_cstr("own_loop:key")};
    if (nkv_command_async(p->client, 2, argv, NULL, on_answer, p) != NKV_OK) {
        p->failed = 1;
        ev_break(p->loop, EVBREAK_ALL);
    }
}

static void on_set(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    nkv_value_release(value);
    program *p = ud;
    if (status < 0) {
        on_answer(status, NULL, call, ud);
        return;
    }
    p->stored = 1;
    if (p->told) {
        ask(p);
    }
}

/* Reads that come before the tracked connection is armed are answered too, but not cached. */
static void on_event(const nkv_event *event, void *ud)
{
    program *p = ud;
    if (!p->told && (event->type == NKV_EVENT_ARMED || event->type == NKV_EVENT_DISARMED)) {
        p->told = 1;
        if (p->stored) {
            ask(p);
        }
    }
}

int main(int argc, char **argv)
{
    program p = {.loop = ev_loop_new(EVFLAG_AUTO)};
    if (argc != 2 || p.loop == NULL) {
        fprintf(stderr, "usage: own_loop URL\n");
        return 2;
    }
    nkv_options options;
    nkv_error error;
    nkv_options_init(&options);
    options.url = argv[1];
    options.loop = p.loop;
    options.on_event = on_event;
    options.on_event_ud = &p;
    if (nkv_client_create(&options, &p.client, &error) != NKV_OK) {
        fprintf(stderr, "own_loop: %s\n", error.text);
        return 1;
    }
    const nkv_str set[3] = {nkv_cstr("SET"), nkv_cstr("own_loop:key"),
                            nkv_cstr("from my own loop")};
    if (nkv_command_async(p.client, 3, set, NULL, on_set, &p) == NKV_OK) {
        ev_run(p.loop, 0);
    }
    nkv_client_destroy(
        p.client); /* on the loop's thread, outside ev_run: nothing is left on the loop */
    ev_loop_destroy(p.loop);
    return p.failed;
}
