/* client/environment.h - what the environment says of sentinels.
 *
 *      REDIS_SERVICE_NAME   the service, 1 to 255 visible ASCII characters
 *      REDIS_TIMEOUT        of a question to a sentinel: seconds, or with a unit as in a URL
 *
 * The names are LMCache's.  One that is set to nothing is not set.
 * Threads  [any], as long as nobody changes the environment.                                     */
#ifndef NKVI_CLIENT_ENVIRONMENT_H
#define NKVI_CLIENT_ENVIRONMENT_H

#include <nearkv/client.h>

#include "base/url.h"

/* Puts into `url`, which is one of sentinels, what neither it nor `options` say; the others are not
 * looked at.
 * Returns NKV_OK · NKV_EINVAL (error names the variable and what is allowed, not what it is) ·
 * NKV_ENOMEM.  After a failure `url` is as good as before.                                       */
nkv_status nkvi_environment_read(const nkv_options *options, nkvi_url *url, nkv_error *error);

#endif
