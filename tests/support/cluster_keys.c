/* support/cluster_keys.c - keys and the slots they are in, by the specification of clusters.
 *
 * Written anew, bit by bit, so that it does not share a mistake with the library's table.
 *
 * Callers      live tests of clusters, topology_traffic.c                                        */

#include "support/check.h"
#include "support/cluster.h"

#include <pthread.h>
#include <string.h>

/* CRC-16/XMODEM: polynomial 0x1021, nothing reflected, begins with 0. */
static unsigned crc16(const unsigned char *bytes, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000u) != 0 ? (crc << 1) ^ 0x1021u : crc << 1;
        }
        crc &= 0xffffu;
    }
    return crc;
}

/* What stands between the first brace and the next closing one counts, unless it is nothing. */
int t_cluster_slot(const void *key, size_t len)
{
    const char *bytes = key;
    const char *open = memchr(bytes, '{', len);
    if (open != NULL) {
        const size_t rest = len - (size_t)(open + 1 - bytes);
        const char *close = memchr(open + 1, '}', rest);
        if (close != NULL && close > open + 1) {
            return (int)(crc16((const unsigned char *)open + 1, (size_t)(close - open - 1)) %
                         T_CLUSTER_SLOTS);
        }
    }
    return (int)(crc16(key, len) % T_CLUSTER_SLOTS);
}

/* The number n of a key "kn" for each slot, less one. */
static unsigned numbers[T_CLUSTER_SLOTS];
static pthread_once_t numbers_once = PTHREAD_ONCE_INIT;

static void find_numbers(void)
{
    int found = 0;
    for (unsigned n = 1; found < T_CLUSTER_SLOTS; n++) {
        char key[T_CLUSTER_KEY_MAX];
        const int len = snprintf(key, sizeof key, "k%u", n);
        unsigned *number = &numbers[t_cluster_slot(key, (size_t)len)];
        found += *number == 0;
        *number = *number == 0 ? n : *number;
    }
}

void t_cluster_key(int slot, char out[T_CLUSTER_KEY_MAX])
{
    T_REQUIRE(slot >= 0 && slot < T_CLUSTER_SLOTS);
    (void)pthread_once(&numbers_once, find_numbers);
    (void)snprintf(out, T_CLUSTER_KEY_MAX, "k%u", numbers[slot]);
}

void t_cluster_tag(t_cluster *cluster, int node, char out[T_CLUSTER_KEY_MAX])
{
    char key[T_CLUSTER_KEY_MAX - 2];
    const int slot = t_cluster_first_slot(cluster, node);
    if (slot < 0) {
        T_DIE("node %d of the cluster has no slot", node);
    }
    (void)pthread_once(&numbers_once, find_numbers);
    (void)snprintf(key, sizeof key, "k%u", numbers[slot]);
    (void)snprintf(out, T_CLUSTER_KEY_MAX, "{%s}", key);
}
