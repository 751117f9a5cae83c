/* cli/kv.h - the key-value cache from the command line (nearkv/kv.h).
 *
 *      nearkv kv get KEY … | set KEY VALUE | del KEY … | exists KEY … | ttl KEY … | clear | tags
 *
 * A client without a cache: every command asks once.
 * Threads  One thread at a time.                                                                 */
#ifndef NKVI_CLI_KV_H
#define NKVI_CLI_KV_H

/* `nearkv kv …`.  Returns its exit status. */
int nkvi_kv_main(int argc, char **argv);

#endif
