/* cli/source.c - a request's blocks, whoever makes them. */
#include "cli/source.h"

#include <stdlib.h>

#include "cli/must.h"

void nkvi_request_clear(nkvi_request *request)
{
    free(request->ids);
    *request = (nkvi_request){0};
}

void nkvi_request_add(nkvi_request *request, uint64_t id)
{
    if (request->n == request->cap) {
        request->cap = request->cap < 64 ? 64 : request->cap * 2;
        request->ids = nkvi_must_grow(request->ids, request->cap, sizeof *request->ids);
    }
    request->ids[request->n++] = id;
}
