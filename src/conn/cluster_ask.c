/* conn/cluster_ask.c - see cluster_impl.h: what nodes are asked, and when. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/cluster_impl.h"
#include "conn/redirect.h"

#define PATIENCE_NS (500 * NKVI_NS_PER_MS) /* who does not answer for so long is not credible */
#define URGENT_NS   (100 * NKVI_NS_PER_MS) /* between two questions for a map that is wanted */
#define FAILED_NS   (200 * NKVI_NS_PER_MS) /* before a node that gave no word is asked again */
#define SEED_NS     (100 * NKVI_NS_PER_MS) /* between two seeds that are tried */

/* Some way off `ns`, so that the clients of a cluster do not all ask at the same moments. */
static int64_t about(cluster *self, int64_t ns)
{
    self->random = nkvi_hash_mix(self->random, (uint64_t)ns);
    return ns - (int64_t)(self->random % (uint64_t)(ns / 5 + 1));
}

/* ---- what comes ------------------------------------------------------------------------------ */

static bool take_id(question *q, const nkv_reply *reply)
{
    bool text = reply->type == NKV_TYPE_STRING || reply->type == NKV_TYPE_VERBATIM;
    if (text && reply->len < sizeof q->id) {
        memcpy(q->id, reply->str, reply->len);
        q->id[reply->len] = '\0';
    }
    return text;
}

/* One of the questions was answered with an error. */
static void refused(question *q, const char *what, const nkv_reply *reply)
{
    bool soon = nkvi_redirect_of(reply).kind != NKVI_REDIRECT_NONE; /* LOADING … */
    int len = reply->len < 120 ? (int)reply->len : 120;
    (void)nkvi_fail(&q->error, soon ? NKV_EBUSY : NKV_EREPLY, "%s: CLUSTER %s: %.*s",
                    nkvi_peer_address(&q->node->member.peer), what, len, reply->str);
}

/* SHARDS came with Redis 7.0. */
static bool is_older(const question *q, const nkv_reply *reply)
{
    bool unknown = reply->len > 4 && memcmp(reply->str, "ERR ", 4) == 0;
    bool denied = reply->len > 7 && memcmp(reply->str, "NOPERM ", 7) == 0; /* SLOTS may not be */
    return q->shards && (unknown || denied);
}

static void take_info(question *q, const nkv_reply *reply)
{
    q->informed = nkvi_cluster_info_parse(reply, &q->info);
    if (reply->type == NKV_TYPE_ERROR) {
        refused(q, "INFO", reply);
    } else if (!q->informed || !q->info.ok) {
        (void)nkvi_fail(&q->error, NKV_EBUSY, "%s: CLUSTER INFO: the cluster is not well there",
                        nkvi_peer_address(&q->node->member.peer));
    }
}

static void take_view(question *q, const nkv_reply *reply)
{
    if (reply->type != NKV_TYPE_ERROR) {
        q->viewed = nkvi_cluster_view_parse(reply, &q->view, &q->error) == NKV_OK;
        return;
    }
    q->older = is_older(q, reply);
    refused(q, q->shards ? "SHARDS" : "SLOTS", reply);
}

/* MYID, INFO, and SHARDS or SLOTS.  [loop] */
static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    question *q = NKVI_CONTAINER(request, question, request);
    switch (index) {
    case 0:
        (void)take_id(q, &reply->root);
        break;
    case 1:
        take_info(q, &reply->root);
        break;
    case 2:
        q->leaving_len = nkvi_cluster_leaving_parse(&reply->root, q->leaving, NKVI_LEAVING_MAX);
        break;
    default:
        take_view(q, &reply->root);
        break;
    }
    nkvi_draft_clear(reply);
}

/* One that is down may hold slots, until another takes over; else it is waited for by nobody. */
static bool is_of_use(const nkvi_cluster_view *view, size_t i)
{
    const nkvi_view_node *seen = &view->nodes[i];
    bool holds = false;
    for (size_t k = 0; !seen->online && !holds && k < view->ranges_len; k++) {
        holds = view->ranges[k].node == i;
    }
    return seen->primary && seen->port != 0 && (seen->online || holds);
}

/* The nodes that the view speaks of; replicas, and what cannot be reached, are left out.  NULL:
 * memory. */
static nkvi_map_node **resolve(question *q)
{
    cluster *self = q->node->cluster;
    const nkvi_cluster_view *view = &q->view;
    nkvi_map_node **nodes = nkvi_calloc(view->nodes_len + 1, sizeof(void *));
    for (size_t i = 0; nodes != NULL && i < view->nodes_len; i++) {
        const nkvi_view_node *seen = &view->nodes[i];
        if (!is_of_use(view, i)) {
            continue;
        }
        cluster_node *node = nkvi_cluster_node(self, q->node, nkv_cstr(seen->host), seen->port);
        nodes[i] = node != NULL ? &node->map : NULL;
    }
    return nodes;
}

/* Who speaks: the node that has the asked one's number, if it is announced at another address. */
static nkvi_map_node *speaker_of(question *q, nkvi_map_node *const *nodes)
{
    for (size_t i = 0; q->id[0] != '\0' && i < q->view.nodes_len; i++) {
        if (nodes[i] != NULL && strcmp(q->view.nodes[i].id, q->id) == 0) {
            return nodes[i];
        }
    }
    return &q->node->map;
}

static void wake_holders(cluster *self, const question *q, nkvi_map_node *const *nodes)
{
    for (size_t i = 0; i < q->view.nodes_len; i++) {
        if (nodes[i] != NULL) {
            nkvi_member_wake(&node_of(nodes[i])->member);
        }
    }
    if (self->map.covered > 0) {
        atomic_store(&self->known, true);
    }
}

/* What was missing in a slot that is being migrated is made at its new place, and nobody tells. */
static void drop_leaving(const question *q)
{
    nkvi_slot_map *map = &q->node->cluster->map;
    bool all = q->leaving_len > NKVI_LEAVING_MAX;
    for (uint32_t s = 0; all && s < NKVI_HASH_SLOTS; s++) {
        nkvi_slot_map_leaving(map, (uint16_t)s, &q->node->map);
    }
    for (size_t i = 0; !all && i < q->leaving_len; i++) {
        nkvi_slot_map_leaving(map, q->leaving[i], &q->node->map);
    }
}

/* The node has given its word, as of asked_ns. */
static void take_word(question *q, int64_t asked_ns)
{
    cluster_node *node = q->node;
    cluster *self = node->cluster;
    bool well = q->informed && q->info.ok;
    nkvi_map_node **nodes = resolve(q);
    if (nodes == NULL) {
        return;
    }
    const nkvi_word word = {.speaker = speaker_of(q, nodes),
                            .view = &q->view,
                            .nodes = nodes,
                            .epoch = q->info.my_epoch};
    node->map.credible = well;
    if (well || self->map.covered == 0) { /* one that is cut off from the others has an old view */
        (void)nkvi_slot_map_hear(&self->map, &word);
    }
    drop_leaving(q);
    if (well) {
        atomic_store(&self->any, node->map.number);
    }
    wake_holders(self, q, nodes);
    nkvi_free(nodes);
    if (node->member.peer.tracked != NULL) {
        nkvi_lane_vouch(node->member.peer.tracked, well ? asked_ns + self->max_age_ns : INT64_MIN);
    }
}

/* [loop] */
static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    question *q = NKVI_CONTAINER(request, question, request);
    cluster_node *node = q->node;
    cluster *self = node->cluster;
    int64_t asked_ns = q->asked_ns, now_ns = nkvi_loop_now_ns(self->config.loop);
    q->asked_ns = NKVI_NEVER;
    if (status != NKV_OK) {
        q->error = *error;
        q->error.status = status;
    }
    if (status == NKV_OK && q->older) {
        self->no_shards = true;
        (void)nkvi_cluster_ask(node, false);
        return;
    }
    nkvi_cluster_note(node, q->error.status != NKV_OK ? &q->error : NULL);
    if (status == NKV_OK && q->viewed) {
        take_word(q, asked_ns);
        node->due_ns = asked_ns + about(self, self->max_age_ns / 2);
    } else {
        node->map.credible = false;
        node->due_ns = now_ns + FAILED_NS;
    }
    nkvi_cluster_view_clear(&q->view);
    self->config.handler.on_state(self->config.handler.ud, &node->member.peer);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void question_bytes(bool shards, nkvi_buf *bytes)
{
    const char *const words[] = {"MYID", "INFO", "NODES", shards ? "SHARDS" : "SLOTS"};
    nkvi_buf_init(bytes);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const nkv_str argv[2] = {nkv_cstr("CLUSTER"), nkv_cstr(words[i])};
        nkvi_buf_resp(bytes, 2, argv);
    }
}

bool nkvi_cluster_ask(cluster_node *node, bool shards)
{
    cluster *self = node->cluster;
    question *q = &node->question;
    if (q->asked_ns != NKVI_NEVER) {
        return false; /* its answer is on its way */
    }
    nkvi_buf bytes;
    nkv_error error;
    memset(&q->error, 0, sizeof q->error);
    q->informed = q->viewed = q->older = false;
    q->id[0] = '\0';
    q->shards = shards && !self->no_shards;
    q->asked_ns = nkvi_now_ns();
    node->map.doubted = false;
    q->request = (nkvi_request){.replies = 4,
                                .deadline_ns = q->asked_ns + self->max_age_ns,
                                .on_reply = on_reply,
                                .on_done = on_done};
    question_bytes(q->shards, &bytes);
    nkv_status status = nkvi_lane_submit(nkvi_member_lane(&node->member), &q->request, &bytes,
                                         NKVI_SUBMIT_WAIT, &error);
    if (status != NKV_OK) {
        q->asked_ns = NKVI_NEVER;
        node->due_ns = nkvi_now_ns() + FAILED_NS;
    }
    return status == NKV_OK;
}

/* ---- when ------------------------------------------------------------------------------------ */

static void tick_node(cluster_node *node, int64_t now_ns)
{
    question *q = &node->question;
    bool asking = q->asked_ns != NKVI_NEVER;
    nkvi_member_look(&node->member);
    if (asking && now_ns - q->asked_ns > PATIENCE_NS) {
        node->map.credible = false;
    }
    if (node->member.up && !asking && (node->map.doubted || now_ns >= node->due_ns)) {
        (void)nkvi_cluster_ask(node, false);
    }
}

/* Whether the node is still of use. */
static bool is_needed(const cluster_node *node, int64_t now_ns)
{
    const cluster *self = node->cluster;
    bool named = now_ns - node->named_ns < 2 * self->max_age_ns;
    return node->map.slots > 0 || (named && node->map.listed) ||
           node->question.asked_ns != NKVI_NEVER || !atomic_load(&self->known) ||
           (node->seed && self->silent) || (named && !node->seed);
}

/* Whether the map leaves something to be asked at once. */
static bool is_wanting(const cluster *self, uint32_t *credible)
{
    bool wanting = self->map.covered < NKVI_HASH_SLOTS;
    *credible = 0;
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        const cluster_node *node = node_at(self, i);
        *credible += node->map.credible;
        wanting = wanting || (node->map.slots > 0 && !node->map.credible);
    }
    return wanting;
}

/* The n-th of those that can be asked. */
static cluster_node *credible_at(const cluster *self, uint32_t n)
{
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        cluster_node *node = node_at(self, i);
        if (node->map.credible && n-- == 0) {
            return node;
        }
    }
    return NULL;
}

static void wake_a_seed(cluster *self, int64_t now_ns)
{
    uint32_t n = atomic_load(&self->map.nodes_len);
    for (uint32_t i = 0; now_ns >= self->seeds_due_ns && i < n; i++) {
        cluster_node *node = node_at(self, self->next_seed++ % n);
        if (node->seed && !node->member.awake) {
            nkvi_member_wake(&node->member);
            self->seeds_due_ns = now_ns + SEED_NS;
        }
    }
}

static void tick_map(cluster *self, int64_t now_ns)
{
    uint32_t credible;
    bool wanting = is_wanting(self, &credible);
    self->silent = credible == 0;
    if (credible == 0) {
        wake_a_seed(self, now_ns);
        return;
    }
    int64_t latest_ns = now_ns + (wanting ? URGENT_NS : self->max_age_ns);
    self->map_due_ns = self->map_due_ns < latest_ns ? self->map_due_ns : latest_ns;
    if (now_ns >= self->map_due_ns) {
        (void)about(self, now_ns);
        if (!nkvi_cluster_ask(credible_at(self, (uint32_t)(self->random % credible)), true)) {
            return; /* it is being asked for its own word: with the next tick */
        }
        self->map_due_ns = now_ns + (wanting ? URGENT_NS : about(self, self->max_age_ns));
    }
}

void nkvi_cluster_tick(void *ud)
{
    cluster *self = ud;
    int64_t now_ns = nkvi_loop_now_ns(self->config.loop);
    for (uint32_t i = 0; i < atomic_load(&self->map.nodes_len); i++) {
        cluster_node *node = node_at(self, i);
        tick_node(node, now_ns);
        /* Who waits for an answer of a node that has been replaced need not wait longer; nor who
         * was on his way there, and has woken it. */
        bool replaced =
            node->map.outvoted && !node->map.credible && atomic_load(&node->map.slots) == 0;
        node->map.outvoted = false;
        bool over = !node->member.awake || !is_needed(node, now_ns);
        if (replaced || (over && !nkvi_member_busy(&node->member))) {
            nkvi_member_rest(&node->member);
        }
    }
    tick_map(self, now_ns);
}
