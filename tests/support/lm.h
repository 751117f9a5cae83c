/* support/lm.h - LMCache's chunks as an outsider lays them down and finds them, and a connector
 * under test beside it.
 *
 *      t_lm lm = t_lm_open(server, NKV_LMCACHE_COLON_SUFFIX);
 *      t_lm_chunk(&lm, nkv_cstr("k"), 1000);            the two keys, written by the outsider
 *      ... nkv_lmcache_get(lm.lm, ...) ...
 *      cr_assert_eq(t_lm_int(&lm, "EXISTS", nkv_cstr("k"), T_META), 1);
 *      t_lm_close(&lm);
 *
 * Names and metadata are made here from their description, without the library's help, so that both
 * can be compared.
 *
 * Threads     One thread at a time per t_lm; the connector in it is for any number.              */

#ifndef T_SUPPORT_LM_H
#define T_SUPPORT_LM_H

#include "support/ctl.h"
#include "support/items.h"
#include "support/near.h"

enum { T_LM_LAYOUTS = 4, T_LM_PAIRS = 3, T_LM_NAME_MAX = 70000 };

#define T_META NKV_LMCACHE_METADATA
#define T_KV   NKV_LMCACHE_PAYLOAD

typedef struct t_lm {
    t_server *server; /* borrowed */
    t_ctl *ctl;       /* the outsider */
    nkv_client *client;
    nkv_lmcache *lm;
    nkv_lmcache_layout layout;
    bool pair; /* there is metadata */
    const char *name;
} t_lm;

/* ---- Connectors ------------------------------------------------------------------------------ */

nkv_lmcache_options t_lm_options(nkv_lmcache_layout layout);

/* Ends the process if nkv_lmcache_create() fails. */
nkv_lmcache *t_lm_make(nkv_client *client, const nkv_lmcache_options *options);

/* A client that is armed, a connector over it, and an outsider in its database. */
t_lm t_lm_open(t_server *server, nkv_lmcache_layout layout);

/* The same with options of one's own; `client` NULL: the defaults on the server's unix socket. */
t_lm t_lm_open_with(t_server *server, const nkv_options *client,
                    const nkv_lmcache_options *options);
void t_lm_close(t_lm *lm);

/* Runs a check on each layout, or on each that has metadata: an empty database, a new client. */
void t_lm_each(t_server *server, void (*check)(t_lm *lm));
void t_lm_each_pair(t_server *server, void (*check)(t_lm *lm));

/* ---- The outsider ---------------------------------------------------------------------------- */

/* A name in Redis; `out` has room for T_LM_NAME_MAX.  SINGLE_KEY has T_KV only.  */
t_arg t_lm_name(nkv_lmcache_layout layout, nkv_lmcache_part part, nkv_str key, char *out);

/* Little-endian int32s one after the other, as metadata is written. */
typedef struct t_bytes {
    unsigned char bytes[512];
    size_t len;
} t_bytes;
t_bytes t_ints(const int32_t *ints, size_t count);
#define T_INTS(...) \
    t_ints((const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
t_bytes t_hex(const char *hex); /* blanks are left out */

/* Metadata of plain bytes. */
t_bytes t_lm_plain(size_t len);

/* SET of one name. */
void t_lm_lay(t_lm *lm, nkv_str key, nkv_lmcache_part part, const void *bytes, size_t len);

/* A whole chunk, payload first: the value of its key (items.h) and plain metadata. */
void t_lm_chunk(t_lm *lm, nkv_str key, size_t len);
void t_lm_chunk_version(t_lm *lm, nkv_str key, size_t len, uint64_t version);
/* Several of them, keys separated by blanks. */
void t_lm_chunks(t_lm *lm, const char *list, size_t len);

/* A command on one name that is answered by an integer: EXISTS DEL STRLEN PTTL … */
long long t_lm_int(t_lm *lm, const char *command, nkv_str key, nkv_lmcache_part part);

/* Does the name hold these bytes? */
bool t_lm_holds(t_lm *lm, nkv_str key, nkv_lmcache_part part, const void *bytes, size_t len);

/* ---- The connector, in few words ------------------------------------------------------------- */

/* nkv_lmcache_contains() of one key at a level: its status, and where it came from. */
nkv_status t_lm_has(t_lm *lm, nkv_str key, nkv_level level, nkv_from *from);

/* Waits until the server's pushes so far are in force.  The client must be armed. */
void t_lm_sync(t_lm *lm);

#endif
