/* support/connector_conformance.h - is this table a connector? For nkv_connector of one's own.
 *
 *      static const nkv_connector_kit kit = {make, unmake, change};
 *      ...
 *      T_REQUIRE(nkv_connector_conformance(&kit, stdout) == 0);
 *
 * What is asked of a table (nearkv/connector.h), through a client that wraps it: what was put is
 * found, byte for byte, under every key and of every size; every item of a call is answered for
 * itself; what it vouches for is told when it changes, after it is visible; settle waits for that;
 * threads do not disturb each other; close() leaves nothing behind. What a table has no function
 * for is left out.
 *
 * Threads    Calls the table from threads of its own; they are gone when it returns.             */

#ifndef T_SUPPORT_CONNECTOR_CONFORMANCE_H
#define T_SUPPORT_CONNECTOR_CONFORMANCE_H

#include <nearkv/connector.h>
#include <stdio.h>

typedef struct nkv_connector_kit {
    /* Fills a table over a store that is there and empty; its `ud` is handed to the others. */
    void (*make)(nkv_connector *table);
    void (*unmake)(nkv_connector *table); /* after the client is gone */
    /* Changes (value NULL: removes) a key as another program would, behind the table's back, and
     * returns when that is visible. NULL: such checks are left out. */
    void (*change)(const nkv_connector *table, nkv_str key, const nkv_str *value);
    int64_t patience_ms; /* for what must come soon; 0: 10 s                                      */
} nkv_connector_kit;

/* Runs every check on a store of its own. Writes "ok - …" or "not ok - …: why" for each to `out`
 * (NULL: nowhere) and returns how many failed.                                                   */
int nkv_connector_conformance(const nkv_connector_kit *kit, FILE *out);

#endif
