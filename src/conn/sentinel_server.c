/* conn/sentinel_server.c - see sentinel_impl.h: the servers, and what each says of itself. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "conn/sentinel_impl.h"

#define OFTEN_NS  (1000 * NKVI_NS_PER_MS) /* between two questions, at most */
#define FAILED_NS (100 * NKVI_NS_PER_MS)  /* before one whose word was not good is asked again */

static void vouch(server *s, int64_t until_ns)
{
    if (s->member.peer.tracked != NULL) {
        nkvi_lane_vouch(s->member.peer.tracked, until_ns);
    }
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void speak(server *s, bool well)
{
    s->speaks = well;
    atomic_store(&s->alive, well);
}

static void take_primary(server *s)
{
    sentinels *all = s->all;
    speak(s, s->understood && s->said.kind == NKVI_ROLE_PRIMARY);
    atomic_store(&s->demoted, s->understood && !s->speaks);
    if (!s->speaks) {
        vouch(s, INT64_MIN);
        nkvi_watchers_hurry(all);
        return;
    }
    s->heard_ns = s->asked_ns;
    vouch(s, s->asked_ns + all->max_age_ns);
    mark *at = &all->marks[all->marks_len++ % NKVI_MARKS];
    *at = (mark){.offset = s->said.offset, .writes = s->asked_at};
    memcpy(at->replid, s->said.replid, sizeof at->replid);
    atomic_store(&all->known, true);
}

/* Which of our writes it has: those that the primary had when it said an offset that this one has
 * reached.  No more than that, whatever it had before: it may have begun anew. */
static void take_offset(server *s)
{
    const sentinels *all = s->all;
    uint64_t has = 0;
    unsigned n = all->marks_len < NKVI_MARKS ? all->marks_len : NKVI_MARKS;
    for (unsigned i = 0; i < n; i++) {
        const mark *at = &all->marks[i];
        bool reached = at->offset >= 0 && at->offset <= s->said.replica_offset &&
                       strcmp(at->replid, s->said.replid) == 0;
        has = reached && at->writes > has ? at->writes : has;
    }
    atomic_store(&s->has, has);
}

static void take_replica(server *s)
{
    const nkvi_replication *said = &s->said;
    bool good = s->understood && said->kind == NKVI_ROLE_REPLICA && said->link_up &&
                !said->syncing && said->replica_offset >= 0;
    speak(s, good);
    if (good) {
        take_offset(s);
    }
    atomic_store(&s->readable, good && s->listed);
    vouch(s, good ? s->asked_ns + s->all->max_age_ns : INT64_MIN);
}

/* [loop] */
static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    server *s = NKVI_CONTAINER(request, server, request);
    (void)index;
    s->understood = nkvi_replication_parse(&reply->root, &s->said);
    if (!s->understood && reply->root.type == NKV_TYPE_ERROR) {
        nkv_error error;
        int len = reply->root.len < 120 ? (int)reply->root.len : 120;
        (void)nkvi_fail(&error, NKV_EREPLY, "%s: INFO: %.*s", nkvi_peer_address(&s->member.peer),
                        len, reply->root.str);
        nkvi_sentinels_note_error(s->all, &error);
    }
    nkvi_draft_clear(reply);
}

static void measure(server *s, int64_t took_ns)
{
    int64_t before_ns = atomic_load(&s->rtt_ns);
    atomic_store(&s->rtt_ns, before_ns > 0 ? before_ns + (took_ns - before_ns) / 8 : took_ns);
}

/* [loop] */
static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    server *s = NKVI_CONTAINER(request, server, request);
    sentinels *all = s->all;
    int64_t now_ns = nkvi_now_ns();
    int64_t period_ns = all->max_age_ns / 2 < OFTEN_NS ? all->max_age_ns / 2 : OFTEN_NS;
    (void)error;
    if (status == NKV_OK) {
        measure(s, now_ns - s->asked_ns);
    } else {
        s->understood = false;
    }
    if (s == atomic_load(&all->primary)) {
        take_primary(s);
    } else {
        take_replica(s);
    }
    s->due_ns = s->speaks ? s->asked_ns + period_ns : now_ns + FAILED_NS;
    s->asked_ns = NKVI_NEVER;
    all->config.handler.on_state(all->config.handler.ud, &s->member.peer);
}

/* ---- asking ---------------------------------------------------------------------------------- */

void nkvi_server_ask(server *s)
{
    const sentinels *all = s->all;
    const nkv_str info[2] = {nkv_cstr("INFO"), nkv_cstr("replication")};
    nkvi_buf bytes;
    if (s->asked_ns != NKVI_NEVER) {
        return; /* its answer is on its way */
    }
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, 2, info);
    s->asked_ns = nkvi_now_ns();
    s->asked_at = all->config.written != NULL ? nkvi_written_now(all->config.written) : 0;
    s->request = (nkvi_request){.replies = 1,
                                .deadline_ns = s->asked_ns + all->max_age_ns,
                                .on_reply = on_reply,
                                .on_done = on_done};
    if (nkvi_lane_submit(nkvi_member_lane(&s->member), &s->request, &bytes, NKVI_SUBMIT_WAIT,
                         NULL) != NKV_OK) {
        s->asked_ns = NKVI_NEVER;
        s->due_ns = nkvi_now_ns() + FAILED_NS;
    }
}

/* Whether it is still of use. */
static bool is_needed(const server *s)
{
    return s == atomic_load(&s->all->primary) || s->listed;
}

void nkvi_server_tick(server *s, int64_t now_ns)
{
    if (s->listed && now_ns - s->named_ns > 2 * s->all->max_age_ns) {
        s->listed = false;
        atomic_store(&s->readable, false);
    }
    /* Whoever was on his way there wakes it once more. */
    bool over = !s->member.awake || !is_needed(s);
    if (s->fence || (over && !nkvi_member_busy(&s->member))) {
        nkvi_member_rest(&s->member);
    }
    s->fence = false;
    if (!s->member.awake && is_needed(s)) {
        nkvi_member_wake(&s->member);
    }
    nkvi_member_look(&s->member);
    if (s->member.up && now_ns >= s->due_ns) {
        nkvi_server_ask(s);
    }
}

/* ---- roles ----------------------------------------------------------------------------------- */

/* It has no say from now on; its connection, and what it vouched for, go at the next tick. */
static void fence(server *s)
{
    speak(s, false);
    atomic_store(&s->demoted, false);
    s->fence = true;
    atomic_store(&s->readable, false);
    atomic_store(&s->has, 0);
    vouch(s, INT64_MIN);
}

void nkvi_server_promote(sentinels *all, server *s, uint64_t epoch)
{
    server *before = atomic_load(&all->primary);
    all->epoch = epoch > all->epoch ? epoch : all->epoch;
    if (before == s) {
        return;
    }
    if (before != NULL) {
        fence(before);
        atomic_store(&before->member.peer.replica, true);
    }
    all->marks_len = 0;
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) { /* they follow the one before */
        atomic_store(&server_at(all, i)->readable, false);
        atomic_store(&server_at(all, i)->has, 0);
        server_at(all, i)->due_ns = INT64_MIN;
    }
    all->before = before;
    atomic_store(&s->member.peer.replica, false);
    atomic_store(&s->demoted, false);
    speak(s, false);
    s->heard_ns = nkvi_loop_now_ns(all->config.loop);
    s->due_ns = INT64_MIN;
    vouch(s, INT64_MIN);
    atomic_store(&all->primary, s);
    nkvi_member_wake(&s->member);
    if (s->member.up) {
        nkvi_server_ask(s);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void changed(nkvi_member *member, bool up)
{
    server *s = (server *)(void *)member;
    if (up) {
        nkvi_server_ask(s);
        return;
    }
    speak(s, false);
    atomic_store(&s->readable, false);
    atomic_store(&s->has, 0);
    if (s == atomic_load(&s->all->primary)) {
        nkvi_watchers_hurry(s->all);
    }
}

static server *make(sentinels *all, const char *host, int port)
{
    uint32_t n = atomic_load(&all->servers_len);
    server *s = n < NKVI_SERVERS_MAX ? nkvi_calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        return NULL;
    }
    s->all = all;
    s->port = port;
    s->asked_ns = NKVI_NEVER;
    memcpy(s->host, host, strlen(host) + 1);
    s->member.changed = changed;
    if (nkvi_member_open(&s->member, &all->config, s->host, port, NULL) != NKV_OK) {
        nkvi_free(s);
        return NULL;
    }
    atomic_store(&s->member.peer.replica, true);
    atomic_store_explicit(&all->servers[n], s, memory_order_release);
    atomic_store_explicit(&all->servers_len, n + 1, memory_order_release);
    return s;
}

server *nkvi_server_named(sentinels *all, nkv_str host, int port)
{
    char reached[NKVI_HOST_SIZE];
    if (!nkvi_host_copy(reached, host)) {
        return NULL;
    }
    nkvi_address_map_apply(all->addresses, reached, port, reached, sizeof reached, &port);
    for (uint32_t i = 0; i < atomic_load(&all->servers_len); i++) {
        server *s = server_at(all, i);
        if (s->port == port && strcasecmp(s->host, reached) == 0) {
            return s;
        }
    }
    return make(all, reached, port);
}

void nkvi_server_destroy(server *s)
{
    nkvi_member_close(&s->member);
    nkvi_free(s);
}
