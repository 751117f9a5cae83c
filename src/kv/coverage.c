/* kv/coverage.c - see coverage.h. */
#include "kv/coverage.h"

#include <string.h>

/* ---- what a node says ------------------------------------------------------------------------ */

/* The next word of a line, which is cut off; empty: there is none. */
static nkv_str next_word(nkv_str *line)
{
    while (line->len > 0 && *line->data == ' ') {
        line->data++;
        line->len--;
    }
    size_t len = 0;
    while (len < line->len && line->data[len] != ' ' && line->data[len] != '\r') {
        len++;
    }
    nkv_str word = nkv_str_make(line->data, len);
    line->data += len;
    line->len = line->len > len && line->data[0] == '\r' ? 0 : line->len - len;
    return word;
}

/* A slot's number at the beginning of a word, which is cut off there. */
static bool take_slot(nkv_str *word, unsigned *slot)
{
    size_t i = 0;
    *slot = 0;
    while (i < word->len && i < 6 && word->data[i] >= '0' && word->data[i] <= '9') {
        *slot = *slot * 10 + (unsigned)(word->data[i] - '0');
        i++;
    }
    word->data += i;
    word->len -= i;
    return i > 0 && *slot < NKVI_KV_SLOTS;
}

/* "7", "0-5460", "[7->-id]" or "[7-<-id]". */
static bool take_word(nkv_str word, nkvi_node_word *out)
{
    unsigned first, last;
    if (word.len > 0 && word.data[0] == '[') {
        nkv_str rest = nkv_str_make(word.data + 1, word.len - 1);
        if (!take_slot(&rest, &first) || rest.len < 3 || rest.data[0] != '-') {
            return false;
        }
        nkvi_slots_add(rest.data[1] == '>' ? &out->leaving : &out->coming, first);
        return rest.data[1] == '>' || rest.data[1] == '<';
    }
    if (!take_slot(&word, &first)) {
        return false;
    }
    last = first;
    if (word.len > 0) {
        word.data++;
        word.len--;
        if (!take_slot(&word, &last) || word.len > 0 || last < first) {
            return false;
        }
    }
    for (unsigned slot = first; slot <= last; slot++) {
        nkvi_slots_add(&out->owned, slot);
    }
    return true;
}

static bool has_flag(nkv_str flags, const char *flag)
{
    const size_t len = strlen(flag);
    while (flags.len >= len) {
        if (memcmp(flags.data, flag, len) == 0 && (flags.len == len || flags.data[len] == ',')) {
            return true;
        }
        const char *comma = memchr(flags.data, ',', flags.len);
        if (comma == NULL) {
            break;
        }
        flags.len -= (size_t)(comma + 1 - flags.data);
        flags.data = comma + 1;
    }
    return false;
}

/* id address flags primary ping pong epoch link slot …; false: no line that is understood. */
static bool take_line(nkv_str line, nkvi_node_word *out, bool *own)
{
    nkv_str flags = {NULL, 0}, word = {NULL, 0};
    for (int i = 0; i < 8; i++) {
        word = next_word(&line);
        flags = i == 2 ? word : flags;
    }
    if (word.len == 0) {
        return false;
    }
    *own = has_flag(flags, "myself");
    while (*own && line.len > 0) {
        word = next_word(&line);
        if (word.len > 0 && !take_word(word, out)) {
            return false;
        }
    }
    return true;
}

bool nkvi_node_word_parse(nkv_str nodes, nkvi_node_word *out)
{
    bool found = false;
    memset(out, 0, sizeof *out);
    while (nodes.len > 0 && !found) {
        const char *end = memchr(nodes.data, '\n', nodes.len);
        size_t len = end != NULL ? (size_t)(end - nodes.data) : nodes.len;
        if (len > 0 && !take_line(nkv_str_make(nodes.data, len), out, &found)) {
            return false;
        }
        len += end != NULL;
        nodes.data += len;
        nodes.len -= len;
    }
    return found;
}

void nkvi_run_id_parse(nkv_str info, char out[NKVI_KV_ID_MAX])
{
    static const char name[] = "run_id:";
    const size_t name_len = sizeof name - 1;
    out[0] = '\0';
    for (size_t i = 0; i + name_len <= info.len; i++) {
        bool begins = i == 0 || info.data[i - 1] == '\n';
        if (begins && memcmp(info.data + i, name, name_len) == 0) {
            size_t n = 0;
            for (i += name_len; i < info.len && n + 1 < NKVI_KV_ID_MAX; i++) {
                if (info.data[i] == '\r' || info.data[i] == '\n') {
                    break;
                }
                out[n++] = info.data[i];
            }
            out[n] = '\0';
            return;
        }
    }
}

/* ---- what was seen --------------------------------------------------------------------------- */

void nkvi_coverage_begin(nkvi_coverage *coverage, int slot)
{
    memset(coverage, 0, sizeof *coverage);
    if (slot >= 0) {
        nkvi_slots_add(&coverage->needed, (unsigned)slot);
    } else {
        memset(&coverage->needed, 0xff, sizeof coverage->needed);
    }
}

bool nkvi_coverage_wants(const nkvi_coverage *coverage, const nkvi_node_word *word)
{
    for (size_t i = 0; i < NKVI_KV_SLOTS / 64; i++) {
        uint64_t left = coverage->needed.bits[i] & ~coverage->done.bits[i];
        uint64_t target = word->coming.bits[i] & coverage->waiting.bits[i];
        if ((left & (word->owned.bits[i] | target)) != 0) {
            return true;
        }
    }
    return false;
}

void nkvi_coverage_scanned(nkvi_coverage *coverage, const nkvi_slots *waiting,
                           const nkvi_node_word *before, const nkvi_node_word *after)
{
    if (strcmp(before->run_id, after->run_id) != 0) {
        return; /* another process: the cursors meant nothing to it */
    }
    for (size_t i = 0; i < NKVI_KV_SLOTS / 64; i++) {
        uint64_t owned = before->owned.bits[i] & after->owned.bits[i];
        uint64_t leaving = before->leaving.bits[i] | after->leaving.bits[i];
        uint64_t target = (before->owned.bits[i] | before->coming.bits[i]) &
                          (after->owned.bits[i] | after->coming.bits[i]) & waiting->bits[i];
        coverage->done.bits[i] |= (owned & ~leaving) | (target & ~leaving);
        coverage->waiting.bits[i] |= owned & leaving;
    }
}

unsigned nkvi_coverage_left(const nkvi_coverage *coverage)
{
    unsigned left = 0;
    for (size_t i = 0; i < NKVI_KV_SLOTS / 64; i++) {
        left += (unsigned)__builtin_popcountll(coverage->needed.bits[i] & ~coverage->done.bits[i]);
    }
    return left;
}
