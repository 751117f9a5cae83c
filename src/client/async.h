/* client/async.h - deadlines of calls without a waiting thread. */
#ifndef NKVI_CLIENT_ASYNC_H
#define NKVI_CLIENT_ASYNC_H

#include "client/client_int.h"

/* Ends the async calls whose deadline has passed.  [loop] */
void nkvi_asyncs_expire(nkv_client *client, int64_t now_ns);

#endif
