/* cli/help.c - what the command tells about itself.
 *
 * The options come from the table in options.c; here is what stands around them.                 */
#include "cli/help.h"

#include <string.h>

#include <nearkv/version.h>

#include "cli/connect.h"
#include "cli/options.h"

static const char overview[] =
    "nearkv - a cache in front of Redis or Valkey that the server itself keeps fresh\n"
    "\n"
    "usage:\n"
    "  nearkv shell  [option ...] [-- command ...]   talk to a server through the cache\n"
    "  nearkv replay [option ...]                    replay prefix traffic, with and\n"
    "                                                without the cache\n"
    "  nearkv lmcache put|get|contains|ls|rm ...     files as chunks of LMCache\n"
    "  nearkv kv get|set|del|exists|ttl|clear|tags   keys with a prefix, a time to live\n"
    "                                                and tags\n"
    "  nearkv help   [shell|replay|lmcache|kv]       this text, or all about a command\n"
    "  nearkv --version\n"
    "\n"
    "try it without a server of your own:\n"
    "  nearkv shell --embedded\n"
    "  nearkv replay --embedded --synthetic\n";

static const char exit_status[] =
    "\n"
    "exit status:\n"
    "  0        fine\n"
    "  1        failure: no connection, a wrong answer found by --verify, a file that\n"
    "           cannot be read, ...\n"
    "  2        usage: an option, a value or a URL is wrong\n"
    "  128 + N  ended by signal N\n";

static const char environment[] =
    "\n"
    "environment:\n"
    "  NEARKV_PASSWORD      the password, unless an option or the URL has one\n"
    "  NEARKV_SENTINEL_PASSWORD\n"
    "                       the password at sentinels, unless an option has one\n"
    "  REDIS_SERVICE_NAME   what sentinels call the servers, and\n"
    "  REDIS_TIMEOUT        the seconds for a question to one, unless an option or the\n"
    "                       URL says\n"
    "  NEARKV_REDIS_SERVER  path of the server that --embedded starts; else it\n"
    "                       is the first redis-server or valkey-server in PATH\n"
    "  TMPDIR               where --embedded makes its directory; default /tmp\n";

static const char shell_head[] =
    "nearkv shell - talk to a server through the cache\n"
    "\n"
    "usage: nearkv shell [option ...]              lines from a terminal or a pipe\n"
    "       nearkv shell [option ...] -- command   one command; status 1 if it fails\n"
    "\n"
    "Every answer tells where it came from and how long it took:\n"
    "  cache   from memory         joined  shared the question of another caller\n"
    "  server  asked for now       local   answered by the shell itself\n"
    "\n"
    "A line is split as redis-cli does: \"...\" with \\n \\r \\t \\b \\a \\xHH, '...' with \\'.\n"
    "MULTI collects commands here, EXEC sends them as one transaction, DISCARD forgets\n"
    "them. Commands that change the shared connection, or block on it, are refused\n"
    "with the reason.\n"
    "\n"
    "commands that are not for the server (:help lists them):\n"
    "  :stats :health :prefix KEY ... :level LEVEL :invalidate KEY ... :reset\n"
    "  :sleep MS :help :quit\n"
    "\n"
    "With --json the answer to a line is one JSON object on a line, one of\n"
    "  {\"cmd\":\"GET\",\"from\":\"cache\",\"value\":\"bar\",\"us\":0.412}\n"
    "  {\"cmd\":\"GET\",\"error\":\"...\"}           {\"error\":\"...\"} for a malformed line\n"
    "where the value is\n"
    "  nil                a null\n"
    "  integer, double    a number; \"inf\", \"-inf\" and \"nan\" are strings\n"
    "  string, status     a string; {\"b64\":\"...\"} if it is not UTF-8\n"
    "  array, set         an array; an error within it is {\"error\":\"...\"}\n"
    "  map                an object; a key that is no string is the text of its JSON;\n"
    "                     {\"pairs\":[[key,value],...]} if two would be the same\n"
    "For MGET and EXISTS of several keys \"from\" is an array, one for each key. An empty\n"
    "line has no answer.\n"
    "\n"
    "On a terminal lines are edited and kept in ~/.nearkv_history (NEARKV_HISTORY names\n"
    "another file, empty: none), except those that carry a password.\n"
    "\n"
    "options:\n";

static const char replay_head[] =
    "nearkv replay - replay prefix traffic, with and without the cache\n"
    "\n"
    "usage: nearkv replay --trace FILE | --synthetic [option ...]\n"
    "\n"
    "A request is a prompt cut into blocks. Each is replayed as an engine does that\n"
    "keeps blocks of computed state in a server: look up how many leading blocks are\n"
    "there, fetch those, store the others. Every request is done twice, by a client\n"
    "with a cache and by one without, on keys of their own, one right after the other,\n"
    "and either goes first in turn: so both meet the same server, the same data and\n"
    "the same machine.\n"
    "\n"
    "With --layout a block is a chunk of LMCache: its metadata is looked up and cached,\n"
    "its payload goes over connections for large values, and into the cache only with\n"
    "--cache-payloads.\n"
    "\n"
    "The table tells how many keys were asked for and how many were answered locally,\n"
    "the round trips, how much payload there was, its rate while it was on its way (of\n"
    "all threads together), and the latency of the steps; \"lookup + fetch\" is what a\n"
    "prompt waits for, with --asks N all N lookups. Percentiles are right within 1.6 %.\n"
    "Of chunks both keys are counted, also those that a store reads back.\n"
    "\n"
    "A trace has a JSON object a line; only hash_ids counts, the numbers of the\n"
    "prompt's blocks: equal numbers mean an equal prompt up to that block. As in\n"
    "  {\"timestamp\": 0, \"input_length\": 1024, \"hash_ids\": [0, 1, 2]}\n"
    "The numbers are whole, from 0 to 2^63 - 1, at most 65536 in a line; a line that is\n"
    "no such object, but for empty ones, ends the replay with exit status 1.\n"
    "\n"
    "--synthetic makes requests of the shape that a chat service has:\n"
    "  opening     a request opens a conversation: a shared system prompt (one of four,\n"
    "              of 1, 1, 2 and 3 blocks, in 70, 15, 10 and 5 %) and fresh blocks; 11\n"
    "              blocks in the median, a quarter has 3 or less, a tenth 50 or more,\n"
    "              247 at most\n"
    "  continuing  with probability 0.44 a request is continued, once: by all its\n"
    "              blocks but the last, and fresh ones: 2 in the median, a tenth adds\n"
    "              20 or more\n"
    "  when        late: 423 requests later in the median of a run of 12,000 (3.5 % of\n"
    "              a shorter run), a tenth after nearly four times that\n"
    "All is drawn with --seed: the same seed makes the same requests.\n"
    "\n"
    "SIGINT ends the replay with the table so far and exit status 130; a second one\n"
    "ends it at once. The keys are deleted at the end (--keep leaves them), and expire\n"
    "in a day in any case.\n"
    "\n"
    "options:\n";

static const char lmcache_head[] =
    "nearkv lmcache - chunks of LMCache: files in and out\n"
    "\n"
    "usage: nearkv lmcache put [option ...] KEY FILE [KEY FILE ...]\n"
    "       nearkv lmcache get [option ...] KEY FILE [KEY FILE ...]\n"
    "       nearkv lmcache contains [option ...] KEY ...\n"
    "       nearkv lmcache ls [option ...] [PREFIX]\n"
    "       nearkv lmcache rm [option ...] KEY ...\n"
    "\n"
    "Chunks are byte for byte as LMCache's connectors keep them. KEY is LMCache's key\n"
    "of a chunk, any bytes; the names in Redis are made from it (--layout). FILE may be\n"
    "-, for standard input or output. Names that begin with - stand behind a --.\n"
    "\n"
    "  put       the payload first, and its metadata when that is there. A file that\n"
    "            cannot be a chunk is refused before anything is sent\n"
    "  get       FILE is whole, or as it was before: it is written under another name\n"
    "            and renamed. With one KEY missing the others are still got\n"
    "  contains  what is known of each KEY, and how many are there: in front (prefix),\n"
    "            in all (found). Status 0 if all are there, 1 if not\n"
    "  ls        every KEY that begins with PREFIX, in no order. One that is there all\n"
    "            the time is listed at least once, perhaps twice\n"
    "  rm        the metadata first. Status 1 if a KEY was not there\n"
    "\n"
    "META is fmt=FORMAT,dtype=DTYPE,shape=AxBxCxD, as in\n"
    "  fmt=KV_2LTD,dtype=bfloat16,shape=2x32x256x1024\n"
    "with ; and dtype= and shape= again for every further KV group.\n"
    "  FORMAT  KV_2LTD KV_T2D KV_2TD KV_MLA_FMT EC_TD HS_TD UNDEFINED: the shapes must\n"
    "          come to the size of FILE; BINARY BINARY_BUFFER, or a number for what is\n"
    "          not listed here: any shape, by default the bytes of FILE\n"
    "  DTYPE   half bfloat16 float double uint8 fp8_e4m3fn fp8_e5m2; none: bytes\n"
    "  shape   1 to 4 sizes\n"
    "\n"
    "With --json there is an object a line for each KEY, one of\n"
    "  {\"key\":\"K\",\"file\":\"F\",\"stored\":true,\"bytes\":4,\"meta\":M}   put\n"
    "  {\"key\":\"K\",\"file\":\"F\",\"found\":true,\"bytes\":4,\"meta\":M}    get\n"
    "  {\"key\":\"K\",\"found\":true,\"bytes\":4,\"meta\":M}               contains\n"
    "  {\"key\":\"K\"}                                               ls\n"
    "  {\"key\":\"K\",\"found\":true}                                  rm\n"
    "  {\"key\":\"K\",\"found\":false}                                 it is not there\n"
    "  {\"key\":\"K\",\"error\":\"...\"}                                 it failed\n"
    "those of put and get with \"file\" in any case, errors without \"key\" and \"file\"\n"
    "where they are about neither; and behind those of contains\n"
    "  {\"prefix\":1,\"found\":1,\"keys\":2}\n"
    "M is\n"
    "  {\"format\":\"KV_2LTD\",\"groups\":[{\"dtype\":\"half\",\"shape\":[2,1,1,1]}]}\n"
    "Layout single has neither bytes nor meta in contains, and no meta in put and get.\n"
    "A KEY or FILE that is not UTF-8 is {\"b64\":\"...\"}. Errors are on standard output\n"
    "too, those of the options included.\n"
    "\n"
    "options, and the commands that take them if not all do:\n";

static const char lmcache_status[] =
    "\n"
    "exit status:\n"
    "  0        fine; contains: all are there\n"
    "  1        a KEY is not there; failure: no connection, the server refused, a file\n"
    "           that cannot be read or written, ...\n"
    "  2        usage: an option, a value, a URL or META is wrong, or does not fit FILE\n"
    "  128 + N  ended by signal N\n"
    "\n"
    "environment:\n"
    "  NEARKV_PASSWORD      the password, unless an option or the URL has one\n"
    "  NEARKV_SENTINEL_PASSWORD\n"
    "                       the password at sentinels, unless an option has one\n"
    "  REDIS_SERVICE_NAME   what sentinels call the servers, and\n"
    "  REDIS_TIMEOUT        the seconds for a question to one, unless an option or the\n"
    "                       URL says\n";

static const char kv_head[] =
    "nearkv kv - keys with a prefix, a time to live and tags\n"
    "\n"
    "usage: nearkv kv get [option ...] KEY ...\n"
    "       nearkv kv set [option ...] KEY VALUE\n"
    "       nearkv kv set [option ...] --input FILE KEY\n"
    "       nearkv kv del [option ...] KEY ...\n"
    "       nearkv kv exists [option ...] KEY ...\n"
    "       nearkv kv ttl [option ...] KEY ...\n"
    "       nearkv kv clear [option ...]\n"
    "       nearkv kv tags [option ...] [--invalidate TAG ...]\n"
    "\n"
    "Names that begin with - stand behind a --.\n"
    "\n"
    "  get     a line for each KEY: the value, between quotes if it would not be one line\n"
    "  del     status 1 if a KEY was not there\n"
    "  exists  status 0 if all are there, 1 if not\n"
    "  ttl     what is left, in ms; with --ttl what is left from now on\n"
    "  clear   removes all that --prefix has, page by page, from every node\n"
    "  tags    the tags of --prefix, and how many keys have them\n"
    "\n"
    "With --json there is an object a line, one of\n"
    "  {\"key\":\"K\",\"found\":true,\"value\":\"...\"}              get\n"
    "  {\"key\":\"K\",\"file\":\"F\",\"found\":true,\"bytes\":4}     get --output\n"
    "  {\"key\":\"K\",\"stored\":true}                            set\n"
    "  {\"key\":\"K\",\"found\":true}                             del, exists\n"
    "  {\"key\":\"K\",\"found\":true,\"ttl_ms\":100}              ttl; null: none\n"
    "  {\"key\":\"K\",\"found\":false}                            it is not there\n"
    "  {\"key\":\"K\",\"error\":\"...\"}                            it failed\n"
    "  {\"removed\":3}   {\"keys\":3}                           clear, tags; clear --count\n"
    "  {\"tag\":\"T\",\"keys\":3}                                tags\n"
    "A KEY, value or TAG that is not UTF-8 is {\"b64\":\"...\"}. Errors are on standard\n"
    "output too, those of the options included.\n"
    "\n"
    "options, and the commands that take them if not all do:\n";

bool nkvi_help_text(nkvi_out *out, const char *topic)
{
    if (topic == NULL) {
        nkvi_out_text(out, overview);
        nkvi_out_text(out, exit_status);
    } else if (strcmp(topic, "shell") == 0) {
        nkvi_out_text(out, shell_head);
        nkvi_options_help(out, NKVI_FOR_SHELL);
        nkvi_out_text(out, exit_status);
        nkvi_out_text(out, environment);
    } else if (strcmp(topic, "replay") == 0) {
        nkvi_out_text(out, replay_head);
        nkvi_options_help(out, NKVI_FOR_REPLAY);
        nkvi_out_text(out, exit_status);
        nkvi_out_text(out, environment);
    } else if (strcmp(topic, "lmcache") == 0) {
        nkvi_out_text(out, lmcache_head);
        nkvi_options_help(out, NKVI_FOR_LMCACHE);
        nkvi_out_text(out, lmcache_status);
    } else if (strcmp(topic, "kv") == 0) {
        nkvi_out_text(out, kv_head);
        nkvi_options_help(out, NKVI_FOR_KV);
        nkvi_out_text(out, exit_status);
        nkvi_out_text(out, environment);
    } else {
        return false;
    }
    return true;
}

int nkvi_help_print(const char *topic)
{
    nkvi_out out = {0};
    int status = NKVI_EXIT_OK;

    if (!nkvi_help_text(&out, topic)) {
        fprintf(stderr, "nearkv: there is no help on %s; topics: shell, replay, lmcache, kv\n",
                topic);
        return NKVI_EXIT_USAGE;
    }
    if (!nkvi_out_write(&out, stdout)) {
        status = NKVI_EXIT_FAILURE;
    }
    nkvi_out_clear(&out);
    return status;
}

void nkvi_version_text(nkvi_out *out)
{
    nkvi_out_printf(out, "nearkv %d.%d.%d\n", NKV_VERSION_MAJOR, NKV_VERSION_MINOR,
                    NKV_VERSION_PATCH);
}
