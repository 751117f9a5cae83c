/* tests/fuzz/fuzz_address_map.c - any text as a map of addresses, and addresses through it.
 *
 * The text ends at a NUL.  What is left to apply is the announced side of each entry. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conn/address.h"
#include "conn/address_map.h"
#include "support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(const nkvi_address_map *map, const char *host, int port)
{
    char out[NKVI_HOST_SIZE];
    int out_port;

    nkvi_address_map_apply(map, host, port, out, sizeof out, &out_port);
    T_REQUIRE(strlen(out) <= NKVI_HOST_MAX);
    T_REQUIRE(out_port == port || (out_port >= 1 && out_port <= NKVI_PORT_MAX));
    T_REQUIRE(map != NULL || strcmp(out, host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    nkvi_address_map *map;
    nkv_error error;

    T_REQUIRE(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    nkv_status status = nkvi_address_map_parse(text, &map, &error);
    T_REQUIRE(status == NKV_OK || (status == NKV_EINVAL && map == NULL));
    if (status == NKV_OK) {
        for (char *host = strtok(text, "=,:[]"); host != NULL; host = strtok(NULL, "=,:[]")) {
            char head[NKVI_HOST_SIZE];
            (void)snprintf(head, sizeof head, "%s", host);
            apply(map, head, 6379);
        }
        apply(map, "", 7000);
    }
    nkvi_address_map_free(map);
    free(text);
    return 0;
}
