/* kv/scan.c - see scan.h. */
#include "kv/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/nodes.h"
#include "conn/hash_slot.h"

#define NODES_MAX   1024u
#define WORD_MS     2000  /* a node that does not say a word is left for the next round */
#define BREATHE_MS  50    /* between rounds that did not help */
#define PATIENCE_MS 30000 /* in which nothing could be done */
#define PAGE_MAX    100000
#define PAUSE_MAX   INT64_C(3600000)
#define TIMEOUT_MAX INT64_C(1000000000000)

nkv_status nkvi_scan_options(const nkv_kv_clear_options *given, nkv_kv_clear_options *out,
                             nkv_error *error)
{
    nkv_kv_clear_options_init(out);
    nkv_status status =
        nkvi_kv_settings(out, sizeof *out, given, "nkv_kv_clear_options_init", error);
    if (status == NKV_OK && (out->page < 1 || out->page > PAGE_MAX)) {
        status = nkvi_fail(error, NKV_EINVAL, "option page is %" PRId64 "; allowed is 1 to %d",
                           out->page, PAGE_MAX);
    }
    if (status == NKV_OK && (out->pause_ms < 0 || out->pause_ms > PAUSE_MAX)) {
        status =
            nkvi_fail(error, NKV_EINVAL, "option pause_ms is %" PRId64 "; allowed is 0 to %" PRId64,
                      out->pause_ms, PAUSE_MAX);
    }
    if (status == NKV_OK && (out->timeout_ms < 0 || out->timeout_ms > TIMEOUT_MAX)) {
        status = nkvi_fail(error, NKV_EINVAL,
                           "option timeout_ms is %" PRId64 "; allowed is 0 (none) to %" PRId64,
                           out->timeout_ms, TIMEOUT_MAX);
    }
    return status;
}

int64_t nkvi_scan_step_ns(const nkvi_scan *scan)
{
    const nkv_kv *kv = scan->kv;
    int64_t ms =
        kv->options.timeout_ms > 0 ? kv->options.timeout_ms : kv->client->options.timeout_ms;
    int64_t step = nkvi_deadline_ns(nkvi_now_ns(), ms);
    return step < scan->until_ns ? step : scan->until_ns;
}

/* Sleeps, but not past the end of it all, and looks up now and then. */
static void rest(const nkvi_scan *scan, int64_t ms)
{
    int64_t end_ns = nkvi_deadline_ns(nkvi_now_ns(), ms);
    end_ns = end_ns < scan->until_ns ? end_ns : scan->until_ns;
    int64_t left_ns = end_ns - nkvi_now_ns();
    while (left_ns > 0 && !atomic_load_explicit(&scan->kv->closed, memory_order_relaxed)) {
        int64_t step_ns = left_ns < 50 * NKVI_NS_PER_MS ? left_ns : 50 * NKVI_NS_PER_MS;
        struct timespec pause = {0, (long)step_ns};
        (void)nanosleep(&pause, NULL);
        left_ns = end_ns - nkvi_now_ns();
    }
}

/* Whether all of it must end now. */
static nkv_status is_over(nkvi_scan *scan)
{
    if (atomic_load_explicit(&scan->kv->closed, memory_order_relaxed)) {
        return nkvi_fail(scan->error, NKV_ECLOSED, "the key-value handle was closed");
    }
    if (nkvi_now_ns() >= scan->until_ns) {
        return nkvi_fail(scan->error, NKV_ETIMEDOUT,
                         "not all was seen within the time; %" PRId64 " keys were",
                         scan->progress.scanned);
    }
    return NKV_OK;
}

/* ---- one page -------------------------------------------------------------------------------- */

/* The answer of SCAN is [cursor, [names]]. */
static nkv_status hand_out(nkvi_scan *scan, const nkv_reply *reply, char cursor[24])
{
    if (reply->type != NKV_TYPE_ARRAY || reply->elements != 2 ||
        reply->element[0].type != NKV_TYPE_STRING || reply->element[0].len >= 24 ||
        reply->element[1].type != NKV_TYPE_ARRAY) {
        return nkvi_fail(scan->error, NKV_EPROTO,
                         "the answer of SCAN is not a cursor and an array");
    }
    memcpy(cursor, reply->element[0].str, reply->element[0].len + 1);
    const nkv_reply *list = &reply->element[1];
    nkv_str *names = nkvi_alloc((list->elements + 1) * sizeof *names);
    if (names == NULL) {
        return nkvi_fail(scan->error, NKV_ENOMEM, "no memory for a page of %zu keys",
                         list->elements);
    }
    size_t n = 0;
    for (size_t i = 0; i < list->elements; i++) {
        nkv_str name = nkv_str_make(list->element[i].str, list->element[i].len);
        if (list->element[i].type == NKV_TYPE_STRING && nkvi_begins(name, scan->beginning)) {
            names[n++] = name;
        }
    }
    scan->progress.scanned += (int64_t)n;
    nkv_status status = scan->page(scan, names, n);
    nkvi_free(names);
    if (status == NKV_OK && scan->options.progress != NULL &&
        scan->options.progress(&scan->progress, scan->options.ud) != 0) {
        status = nkvi_fail(scan->error, NKV_ECANCELED, "cancelled by progress()");
    }
    return status;
}

static nkv_status ask_page(nkvi_scan *scan, nkvi_peer *peer, const char *cursor, nkv_value **out)
{
    char count[24];
    (void)snprintf(count, sizeof count, "%" PRId64, scan->options.page);
    const nkv_str argv[6] = {nkv_cstr("SCAN"),  nkv_cstr(cursor),
                             nkv_cstr("MATCH"), nkv_str_make(scan->pattern.data, scan->pattern.len),
                             nkv_cstr("COUNT"), nkv_cstr(count)};
    const nkv_argv command = {6, argv};
    return peer == NULL
               ? nkvi_kv_command(scan->kv, &command, nkvi_scan_step_ns(scan), out, scan->error)
               : nkvi_node_command(scan->kv->client, peer, &command, nkvi_scan_step_ns(scan), out,
                                   scan->error);
}

/* All pages of a node; peer NULL: of a connector of the user's own. */
static nkv_status pass(nkvi_scan *scan, nkvi_peer *peer)
{
    char cursor[24] = "0";
    nkv_status status;
    bool more;
    scan->progress.passes++;
    do {
        nkv_value *value = NULL;
        status = is_over(scan);
        if (status == NKV_OK) {
            status = ask_page(scan, peer, cursor, &value);
        }
        if (status == NKV_OK) {
            nkv_reply reply = nkv_value_reply(value);
            status = hand_out(scan, &reply, cursor);
        }
        nkv_value_release(value);
        more = status == NKV_OK && strcmp(cursor, "0") != 0;
        scan->pages += status == NKV_OK;
        if (more && scan->options.pause_ms > 0) {
            rest(scan, scan->options.pause_ms);
        }
    } while (more);
    return status;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static nkv_status ask_text(nkvi_scan *scan, nkvi_peer *peer, const nkv_argv *command,
                           nkv_value **out)
{
    nkv_error error;
    int64_t until_ns = nkvi_deadline_ns(nkvi_now_ns(), WORD_MS), step_ns = nkvi_scan_step_ns(scan);
    nkv_status status = nkvi_node_command(scan->kv->client, peer, command,
                                          until_ns < step_ns ? until_ns : step_ns, out, &error);
    if (status < 0) {
        *scan->error = error;
    }
    return status;
}

/* What the node says of itself.  A server that may not be asked for INFO is taken to be the same
 * process all the time. */
static nkv_status ask_word(nkvi_scan *scan, nkvi_peer *peer, nkvi_node_word *out)
{
    const nkv_str nodes[2] = {nkv_cstr("CLUSTER"), nkv_cstr("NODES")};
    const nkv_str info[2] = {nkv_cstr("INFO"), nkv_cstr("server")};
    const nkv_argv ask_nodes = {2, nodes}, ask_info = {2, info};
    nkv_value *value = NULL;
    memset(out, 0, sizeof *out);
    nkv_status status = NKV_OK;
    if (scan->kv->client->connector->hash_slots) {
        status = ask_text(scan, peer, &ask_nodes, &value);
        if (status == NKV_OK && !nkvi_node_word_parse(nkv_value_str(value), out)) {
            status = nkvi_fail(scan->error, NKV_EPROTO, "%s: CLUSTER NODES is not understood",
                               nkvi_peer_address(peer));
        }
        nkv_value_release(value);
        value = NULL;
    } else {
        memset(&out->owned, 0xff, sizeof out->owned);
    }
    if (status == NKV_OK) {
        status = ask_text(scan, peer, &ask_info, &value);
        if (status == NKV_OK) {
            nkvi_run_id_parse(nkv_value_str(value), out->run_id);
        }
        nkv_value_release(value);
        status = status == NKV_EREPLY ? NKV_OK : status;
    }
    return status;
}

/* Whether another round may help after this failure of one node. */
static bool may_pass(nkv_status status)
{
    return status == NKV_OK || status == NKV_ECONN || status == NKV_EREPLY ||
           status == NKV_ETIMEDOUT || status == NKV_EPROTO;
}

/* *first: the failure of the first node that had one. */
static nkv_status visit(nkvi_scan *scan, nkvi_peer *peer, nkv_error *first)
{
    nkvi_node_word before, after;
    nkv_status status = ask_word(scan, peer, &before);
    bool scanned = false;
    if (status == NKV_OK && nkvi_coverage_wants(&scan->coverage, &before)) {
        const nkvi_slots waiting = scan->coverage.waiting;
        if (scan->pass != NULL) {
            scan->pass(scan, true);
        }
        status = pass(scan, peer);
        scanned = true;
        if (status == NKV_OK && ask_word(scan, peer, &after) == NKV_OK) {
            nkvi_coverage_scanned(&scan->coverage, &waiting, &before, &after);
        }
        if (scan->pass != NULL) {
            scan->pass(scan, false);
        }
    }
    if (status != NKV_OK && first->status == NKV_OK) {
        *first = *scan->error;
    }
    bool ends = scanned && (status == NKV_ECANCELED || nkvi_now_ns() >= scan->until_ns);
    return ends || !may_pass(status) ? status : NKV_OK;
}

/* All nodes; *first: the failure of the first that had one. */
static nkv_status round_of(nkvi_scan *scan, nkv_error *first)
{
    nkvi_peer *peers[NODES_MAX];
    nkv_status status = NKV_OK;
    size_t n = nkvi_nodes(scan->kv->client, peers, NODES_MAX);
    if (n > NODES_MAX) {
        return nkvi_fail(scan->error, NKV_ENOTSUP, "%zu nodes; up to %u are scanned", n, NODES_MAX);
    }
    for (size_t i = 0; status == NKV_OK && i < n; i++) {
        status = visit(scan, peers[i], first);
    }
    return status;
}

/* Why it is given up after all. */
static nkv_status give_up(nkvi_scan *scan, const nkv_error *first)
{
    if (first->status != NKV_OK) {
        *scan->error = *first;
        return first->status;
    }
    return nkvi_fail(scan->error, NKV_ETIMEDOUT, "%u hash slots are nobody's, or move all the time",
                     nkvi_coverage_left(&scan->coverage));
}

static nkv_status rounds(nkvi_scan *scan)
{
    nkv_status status = NKV_OK;
    int64_t patience_ns = 0; /* none is needed so far */
    unsigned left = nkvi_coverage_left(&scan->coverage);
    while (status == NKV_OK && left > 0) {
        nkv_error first = {.status = NKV_OK};
        uint64_t pages = scan->pages;
        status = round_of(scan, &first);
        unsigned now_left = nkvi_coverage_left(&scan->coverage);
        bool helped = now_left < left || scan->pages > pages;
        left = now_left;
        if (status != NKV_OK || left == 0) {
            break;
        }
        if (helped || patience_ns == 0) {
            patience_ns = scan->pages > 0 ? nkvi_deadline_ns(nkvi_now_ns(), PATIENCE_MS)
                                          : nkvi_scan_step_ns(scan);
        } else if (nkvi_now_ns() >= patience_ns) {
            return give_up(scan, &first);
        }
        rest(scan, BREATHE_MS);
        status = is_over(scan);
        if (status == NKV_ETIMEDOUT && first.status != NKV_OK) {
            status = give_up(scan, &first);
        }
    }
    return status;
}

/* The only hash slot that the names can be in, or -1. */
static int only_slot(nkv_str beginning)
{
    const char *open = beginning.len > 0 ? memchr(beginning.data, '{', beginning.len) : NULL;
    const char *end = beginning.data + beginning.len;
    const char *close = open != NULL ? memchr(open, '}', (size_t)(end - open)) : NULL;
    return close != NULL && close > open + 1 ? nkvi_hash_slot(beginning) : -1;
}

nkv_status nkvi_scan_run(nkvi_scan *scan)
{
    nkv_client *client = scan->kv->client;
    nkv_status status;
    scan->until_ns = scan->options.timeout_ms > 0
                         ? nkvi_deadline_ns(nkvi_now_ns(), scan->options.timeout_ms)
                         : NKVI_NEVER;
    nkvi_buf_init(&scan->pattern);
    nkvi_name_pattern(&scan->pattern, scan->beginning);
    bool slots = client->connector->hash_slots;
    nkvi_coverage_begin(&scan->coverage, slots ? only_slot(scan->beginning) : -1);
    if (scan->pattern.failed) {
        status = nkvi_fail(scan->error, NKV_ENOMEM, "no memory for a pattern");
    } else if (client->wrapped) {
        status = pass(scan, NULL);
    } else {
        status = rounds(scan);
    }
    nkvi_buf_clear(&scan->pattern);
    return status;
}
