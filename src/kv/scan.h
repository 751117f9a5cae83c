/* kv/scan.h - every key that begins with certain bytes, on every node, page by page.
 *
 *      nkvi_scan scan = {.kv = kv, .beginning = …, .page = clear_page, .ud = …};
 *      status = nkvi_scan_run(&scan);
 *
 * A node whose scan was worth nothing in part, because slots moved or it restarted, is scanned
 * again (coverage.h): a key may come several times.
 * Threads  The calling one; page() runs in it. */
#ifndef NKVI_KV_SCAN_H
#define NKVI_KV_SCAN_H

#include "kv/coverage.h"
#include "kv/names.h"

typedef struct nkvi_scan {
    nkv_kv *kv;
    nkv_str beginning;            /* of the keys' names */
    nkv_kv_clear_options options; /* page, pause_ms, timeout_ms, progress */
    /* A page of names, all of which begin so; an error ends the scan.  n may be 0. */
    nkv_status (*page)(struct nkvi_scan *scan, const nkv_str *names, size_t n);
    /* A pass over a node begins, or ends; coverage is as it is then.  May be NULL. */
    void (*pass)(struct nkvi_scan *scan, bool begins);
    void *ud;
    nkv_kv_progress progress;
    uint64_t pages; /* that came to a good end */
    nkv_error *error;
    int64_t until_ns; /* of all of it */
    nkvi_coverage coverage;
    nkvi_buf pattern;
} nkvi_scan;

/* Looks through the options: as given, or the defaults.  NKV_OK · NKV_EINVAL. */
nkv_status nkvi_scan_options(const nkv_kv_clear_options *given, nkv_kv_clear_options *out,
                             nkv_error *error);

/* Returns NKV_OK (all of it was seen) · NKV_ETIMEDOUT · NKV_ECANCELED · what page() returns · as
 * nkvi_node_command(). */
nkv_status nkvi_scan_run(nkvi_scan *scan);

/* The deadline of one command. */
int64_t nkvi_scan_step_ns(const nkvi_scan *scan);

#endif
